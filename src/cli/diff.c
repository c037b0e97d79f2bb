/*
 * diff.c - serin diff: what a release would change.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/bundle_diff.h"
#include "cli/data_dir.h"
#include "cli/terminal.h"

#include <stdlib.h>

#define COLUMN 16
/* Of many classes, those that lose most and those that gain most: what a person reads. */
#define LOSERS  10
#define WINNERS 5

struct diff_settings {
    const char *data_dir;
    int output;
};

enum { OUTPUT_TEXT, OUTPUT_JSON };

static const struct cli_option options[] = {
    DATA_DIR_OPTION(diff_settings),
    {.name = "output",
     .letter = 'o',
     .value = "text|json",
     .type = CLI_CHOICE,
     .fallback = "text",
     .offset = offsetof(struct diff_settings, output),
     .help = "text for people, or one JSON object"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin diff yolov8n:v1.2.0-cpu yolov8n:v1.3.0-cpu", "what the next version changes"},
    {"serin diff m:v1 m:v2 -o json | jq '.evaluation.classes[0]'", "the class that loses most"},
    {0},
};

/* A scalar as it is, a list with blanks between; what is null was not set. */
static void print_value(const json_t *value)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value))
        terminal_text(stdout, json_string_value(value));
    else if (json_is_number(value))
        printf("%.10g", json_number_value(value));
    else if (!json_is_array(value))
        putchar('-');
    json_array_foreach(value, i, item)
    {
        if (i)
            putchar(' ');
        print_value(item);
    }
}

static void print_list(const char *name, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        printf("%-*s ", COLUMN, i ? "" : name);
        print_value(item);
        putchar('\n');
    }
}

static void print_change(const char *name, const json_t *change)
{
    printf("%-*s ", COLUMN, name);
    print_value(json_object_get(change, "from"));
    fputs(" -> ", stdout);
    print_value(json_object_get(change, "to"));
}

static void print_change_number(const json_t *class)
{
    const json_t *change = json_object_get(class, "change");

    if (json_is_number(change))
        printf("%+.4f", json_number_value(change));
    else
        printf("%7s", "-");
}

static void print_class(const json_t *class)
{
    fputs("  ", stdout);
    print_change_number(class);
    fputs("  ", stdout);
    terminal_text(stdout, json_string_value(json_object_get(class, "name")));
    fputs(": ", stdout);
    print_value(json_object_get(class, "from"));
    fputs(" -> ", stdout);
    print_value(json_object_get(class, "to"));
    putchar('\n');
}

static void print_evaluation(const json_t *evaluation)
{
    const json_t *classes = json_object_get(evaluation, "classes"), *class;
    size_t count = json_array_size(classes), i;
    size_t left_out = count > LOSERS + WINNERS + 1 ? count - LOSERS - WINNERS : 0; /* one line is not hidden by one */

    if (!json_is_object(evaluation))
        return;
    print_change(json_string_value(json_object_get(evaluation, "name")), evaluation);
    puts(json_is_true(json_object_get(evaluation, "same_data")) ? ""
                                                                : " (not known to be of the same pictures and labels)");
    json_array_foreach(classes, i, class)
    {
        if (left_out == 0 || i < LOSERS || i >= LOSERS + left_out)
            print_class(class);
        if (left_out > 0 && i == LOSERS) {
            printf("  (%zu classes from ", left_out);
            print_change_number(class);
            fputs(" to ", stdout);
            print_change_number(json_array_get(classes, i + left_out - 1));
            puts(": -o json)");
        }
    }
}

static void print_findings(const char *name, const json_t *findings)
{
    static const char *const keys[] = {"severity", "id", "target", "package"};
    const json_t *finding;
    size_t i, k;

    json_array_foreach(findings, i, finding)
    {
        printf("%-*s", COLUMN, name);
        for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            putchar(' ');
            terminal_text(stdout, json_string_value(json_object_get(finding, keys[k])));
        }
        putchar('\n');
    }
}

static void print_text(const json_t *root)
{
    const json_t *field, *classes = json_object_get(root, "classes"), *scan = json_object_get(root, "scan");
    size_t i;

    if (json_is_true(json_object_get(root, "same"))) {
        puts("the same content");
        return;
    }
    json_array_foreach(json_object_get(root, "fields"), i, field)
    {
        print_change(json_string_value(json_object_get(field, "name")), field);
        putchar('\n');
    }
    print_list("classes added", json_object_get(classes, "added"));
    print_list("classes removed", json_object_get(classes, "removed"));
    if (json_is_true(json_object_get(classes, "reordered")))
        printf("%-*s the same names with other numbers\n", COLUMN, "classes");
    print_evaluation(json_object_get(root, "evaluation"));
    print_findings("new finding", json_object_get(scan, "new"));
    print_findings("gone finding", json_object_get(scan, "gone"));
}

static int diff(const void *given, char *const *operands, size_t operand_count)
{
    const struct diff_settings *settings = given;
    struct bundles *store = NULL;
    struct serin_error error;
    json_t *root = NULL;
    enum serin_errc rc;

    (void)operand_count;
    rc = data_dir_open(settings->data_dir, false, &store, &error);
    if (rc == SERIN_OK)
        rc = bundle_diff(store, operands[0], operands[1], &root, &error);
    bundles_close(store);
    if (rc != SERIN_OK) {
        terminal_complain("diff: %s", error.message);
        return rc == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
    }
    if (settings->output == OUTPUT_JSON) {
        json_dumpf(root, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        print_text(root);
    }
    json_decref(root);
    return CLI_OK;
}

const struct cli_verb cli_diff = {
    .name = "diff",
    .summary = "say what differs between two versions",
    .operands = "NAME:TAG NAME:TAG",
    .min_operands = 2,
    .max_operands = 2,
    .text =
        "Compares two versions in the store: digests and size of the model, task, engine, shapes, settings "
        "(thresholds, "
        "preprocessing, limits), classes, the evaluation with each class's change (the greatest loss first; of many "
        "the 10 that lose "
        "and the 5 that gain most), and the findings of the security scans that are new or gone. '-' stands for what "
        "is not set.\n\n"
        "Only what differs is shown. The exit code is 0 whether there are differences or not.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct diff_settings),
    .run = diff,
};
