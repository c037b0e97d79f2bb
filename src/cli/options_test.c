/*
 * options_test.c - the command line's grammar.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/options.c"
#include "cli/terminal.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct settings {
    bool loud;
    const char *text;
    double real;
    int integer, choice;
    struct cli_size size;
};

static const struct cli_option table[] = {
    {.name = "loud", .type = CLI_FLAG, .offset = offsetof(struct settings, loud), .help = "h"},
    {.name = "text", .value = "T", .type = CLI_TEXT, .required = true, .offset = offsetof(struct settings, text)},
    {.name = "real",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".25",
     .max = 1,
     .offset = offsetof(struct settings, real)},
    {.name = "integer",
     .value = "N",
     .type = CLI_INTEGER,
     .min = 1,
     .max = 9,
     .offset = offsetof(struct settings, integer)},
    {.name = "choice",
     .value = "aa|b|ccc",
     .type = CLI_CHOICE,
     .fallback = "b",
     .offset = offsetof(struct settings, choice)},
    {.name = "size", .value = "S", .type = CLI_SIZE, .min = 1, .max = 100, .offset = offsetof(struct settings, size)},
    {0},
};

static const struct cli_verb verb = {
    .name = "try", .operands = "FILE", .min_operands = 1, .max_operands = 2, .options = table};

/* Splits line at its spaces and parses it. */
static int parse(const char *line, struct settings *settings, char *first_operand, bool *help)
{
    char words[200], *argv[20], *word, *rest;
    size_t operands = 0;
    int argc = 0, code;

    snprintf(words, sizeof(words), "%s", line);
    for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    *settings = (struct settings){0};
    *help = false;
    code = cli_parse(&verb, argc, argv, settings, &operands, help);
    if (code == CLI_OK && !*help)
        snprintf(first_operand, 50, "%s", argv[0]);
    return code;
}

static void options_are_read_in_any_order(void **state)
{
    struct settings settings;
    char operand[50];
    bool help;

    (void)state;
    assert_int_equal(
        parse("a.jpg --text t --real .5 --integer=9 --loud --choice ccc --size 48,64", &settings, operand, &help),
        CLI_OK);
    assert_string_equal(operand, "a.jpg");
    assert_true(settings.loud);
    assert_true(settings.real == 0.5 && settings.integer == 9 && settings.choice == 2);
    assert_true(settings.size.height == 48 && settings.size.width == 64);
    assert_int_equal(parse("--text t --size 7 -- --loud", &settings, operand, &help), CLI_OK);
    assert_string_equal(operand, "--loud");
    assert_false(settings.loud);
    assert_true(settings.real == 0.25 && settings.choice == 1 && settings.integer == 0); /* the defaults */
    assert_true(settings.size.height == 7 && settings.size.width == 7);
    assert_int_equal(parse("--text=t -", &settings, operand, &help), CLI_OK);
    assert_string_equal(operand, "-");
    assert_int_equal(parse("--nonsense --help", &settings, operand, &help), CLI_OK);
    assert_true(help);
}

static void wrong_command_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "",                      /* nothing at all */
        "a",                     /* no --text */
        "--text t",              /* no operand */
        "a b c --text t",        /* one too many */
        "a --text",              /* no value */
        "a --text=",             /* an empty one */
        "a --text t --loud=1",   /* a flag with a value */
        "a --text t --real 1.5", /* beyond the limit */
        "a --text t --real nan",
        "a --text t --real .5x",
        "a --text t --integer 0",
        "a --text t --integer 10",
        "a --text t --integer 3.5",
        "a --text t --integer 99999999999999999999",
        "a --text t --choice cc",
        "a --text t --choice aa|b",
        "a --text t --size 101",
        "a --text t --size 5,",
        "a --text t --size 5,6,7",
        "a --text t --tex t", /* nothing is abbreviated */
        "a --text t -loud",
        "a --text t -l",
    };
    struct settings settings;
    char operand[50];
    bool help;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (parse(lines[i], &settings, operand, &help) != CLI_USAGE)
            fail_msg("accepted: %s", lines[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_in_any_order),
        cmocka_unit_test(wrong_command_lines_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
