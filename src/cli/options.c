/*
 * options.c - from argv to a verb's settings, by its table.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Options are long, may stand anywhere, and take their value as the next word or after '='. "--" ends them; "-" is an
 * operand. Nothing is abbreviated: a script that works today must not become ambiguous when an option is added. One
 * value is given once: of two, a script's author has forgotten one. A few have a letter too ("-o json").
 */
#include "cli/cli.h"

#include "base/text.h"
#include "cli/terminal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS 64

static bool read_real(const char *text, double min, double max, double *ret)
{
    const char *end;
    double value;

    if (!text_number(text, &end, &value) || *end || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

/* Digits up to a terminator; *end is behind them. */
static bool read_integer(const char *text, double min, double max, const char **end, int *ret)
{
    char *rest;
    long value;

    errno = 0;
    value = strtol(text, &rest, 10);
    if (rest == text || errno || (double)value < min || (double)value > max || value < INT_MIN || value > INT_MAX)
        return false;
    *end = rest;
    *ret = (int)value;
    return true;
}

static bool read_size(const char *text, double min, double max, struct cli_size *ret)
{
    struct cli_size size;
    const char *end;

    if (!read_integer(text, min, max, &end, &size.height))
        return false;
    size.width = size.height;
    if (*end == ',' && !read_integer(end + 1, min, max, &end, &size.width))
        return false;
    if (*end)
        return false;
    *ret = size;
    return true;
}

static bool add_text(const char *text, struct cli_texts *texts)
{
    if (texts->count == CLI_MAX_TEXTS)
        return false;
    texts->items[texts->count++] = text;
    return true;
}

/* False where text is no value for the option. */
static bool store(const struct cli_option *option, const char *text, void *settings)
{
    void *field = (char *)settings + option->offset;
    const char *end = "";

    switch (option->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return true;
    case CLI_TEXT:
        *(const char **)field = text;
        return *text != '\0';
    case CLI_TEXTS:
        return *text != '\0' && add_text(text, field);
    case CLI_REAL:
        return read_real(text, option->min, option->max, field);
    case CLI_INTEGER:
        return read_integer(text, option->min, option->max, &end, field) && !*end;
    case CLI_SIZE:
        return read_size(text, option->min, option->max, field);
    case CLI_CHOICE:
        *(int *)field = text_choice_find(option->value, text);
        return *(int *)field >= 0;
    }
    return false;
}

static int bad_value(const struct cli_verb *verb, const struct cli_option *option, const char *text)
{
    const char *name = option->name;

    switch (option->type) {
    case CLI_REAL:
        terminal_complain("%s: --%s '%s' is not a number from %g to %g", verb->name, name, text, option->min,
                          option->max);
        break;
    case CLI_INTEGER:
        terminal_complain("%s: --%s '%s' is not a whole number from %.0f to %.0f", verb->name, name, text, option->min,
                          option->max);
        break;
    case CLI_SIZE:
        terminal_complain("%s: --%s '%s' is not a size: N, or HEIGHT,WIDTH, each from %.0f to %.0f pixels", verb->name,
                          name, text, option->min, option->max);
        break;
    case CLI_CHOICE:
        terminal_complain("%s: --%s '%s' is not one of %s", verb->name, name, text, option->value);
        break;
    case CLI_TEXTS:
        if (*text) {
            terminal_complain("%s: --%s can be given %d times", verb->name, name, CLI_MAX_TEXTS);
            break;
        }
        __attribute__((fallthrough));
    case CLI_TEXT:
    case CLI_FLAG:
        terminal_complain("%s: --%s needs a value that is not empty", verb->name, name);
        break;
    }
    return CLI_USAGE;
}

static const struct cli_option *find_option(const struct cli_verb *verb, const char *name, size_t length)
{
    const struct cli_option *option;

    for (option = verb->options; option->name; option++)
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_verb *verb, char letter)
{
    const struct cli_option *option;

    for (option = verb->options; option->name; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

static int unknown_option(const struct cli_verb *verb, const char *word)
{
    const char *names[MAX_OPTIONS], *name = word + strspn(word, "-"), *nearest; /* "-conf" is a slip too */
    char typed[TEXT_MAX_WORD + 1];
    size_t count = 0;

    for (; verb->options[count].name; count++)
        names[count] = verb->options[count].name;
    snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(name, "="), name);
    nearest = text_nearest(typed, names, count);
    if (access(word, F_OK) == 0)
        terminal_complain("%s: unknown option %.100s; if the file of that name is meant, write ./%.100s", verb->name,
                          word, word);
    else if (nearest)
        terminal_complain("%s: unknown option %.100s: did you mean --%s? 'serin %s --help' lists them all", verb->name,
                          word, nearest, verb->name);
    else
        terminal_complain("%s: unknown option %.100s; 'serin %s --help' lists them all", verb->name, word, verb->name);
    return CLI_USAGE;
}

/* Reads the option in argv[*at]; *at moves on to its value. given: which of the table's have been read. */
static int read_option(const struct cli_verb *verb, int argc, char **argv, int *at, void *settings,
                       bool given[static MAX_OPTIONS])
{
    const char *word = argv[*at], *equals = strchr(word, '='), *value;
    const struct cli_option *option = NULL;

    if (word[1] == '-')
        option = find_option(verb, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
    else if (word[2] == '\0' || word[2] == '=')
        option = find_letter(verb, word[1]);
    if (!option)
        return unknown_option(verb, word);
    if (given[option - verb->options] && option->type != CLI_FLAG && option->type != CLI_TEXTS) {
        terminal_complain("%s: --%s is given twice, and takes one value", verb->name, option->name);
        return CLI_USAGE;
    }
    given[option - verb->options] = true;
    if (option->type == CLI_FLAG) {
        if (equals) {
            terminal_complain("%s: --%s takes no value", verb->name, option->name);
            return CLI_USAGE;
        }
        value = "";
    } else if (equals) {
        value = equals + 1;
    } else if (*at + 1 < argc) {
        value = argv[++*at];
    } else {
        terminal_complain("%s: --%s needs a value: %s", verb->name, option->name, option->value);
        return CLI_USAGE;
    }
    return store(option, value, settings) ? CLI_OK : bad_value(verb, option, value);
}

static int check_operands(const struct cli_verb *verb, size_t count, char *const *operands)
{
    if (count < verb->min_operands) {
        terminal_complain("%s: nothing to work on: %s is missing; 'serin %s --help' has examples", verb->name,
                          verb->operands, verb->name);
        return CLI_USAGE;
    }
    if (count > verb->max_operands) {
        terminal_complain("%s: '%s' is one argument too many; 'serin %s --help' has examples", verb->name,
                          operands[verb->max_operands], verb->name);
        return CLI_USAGE;
    }
    return CLI_OK;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, void *settings, size_t *ret_operand_count,
              bool *ret_help)
{
    const struct cli_option *option;
    bool given[MAX_OPTIONS] = {false}, options_end = false;
    size_t operands = 0;
    int i, code;

    for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_help = true;
            return CLI_OK;
        }
    }
    for (option = verb->options; option->name; option++) {
        BUG_ON(option - verb->options >= MAX_OPTIONS);
        BUG_ON(option->fallback && !store(option, option->fallback, settings));
    }
    for (i = 0; i < argc; i++) {
        if (options_end || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[operands++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else {
            code = read_option(verb, argc, argv, &i, settings, given);
            if (code != CLI_OK)
                return code;
        }
    }
    for (option = verb->options; option->name; option++) {
        if (option->required && !given[option - verb->options]) {
            terminal_complain("%s: --%s %s is required; 'serin %s --help' has examples", verb->name, option->name,
                              option->value, verb->name);
            return CLI_USAGE;
        }
    }
    *ret_operand_count = operands;
    return check_operands(verb, operands, argv);
}
