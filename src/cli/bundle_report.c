/*
 * bundle_report.c - versions for people: a table, or all of one.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names come out of model files and reports that anybody may have written: they are printed with terminal_text.
 */
#include "cli/bundle_report.h"

#include "cli/terminal.h"

#include <jansson.h>
#include <string.h>

#define LISTED_CLASSES 12
#define DIGEST_SHOWN   12 /* digits, as other tools of this kind show them */

static json_t *parse(const char *text)
{
    return text ? json_loads(text, 0, NULL) : NULL;
}

static void print_size(uint64_t bytes)
{
    if (bytes < 1000000)
        printf("%.1f kB", (double)bytes / 1e3);
    else
        printf("%.1f MB", (double)bytes / 1e6);
}

/* ---- the table ---- */

static void print_row(const struct bundle *bundle, int name_columns)
{
    json_t *scan = parse(bundle->scan_json);
    const char *which;
    double score;
    char name[VERSION_MAX_NAME], provider[PROVIDER_MAX_BYTES];

    printf("%-*s  ", name_columns, version_name_text(&bundle->name, name));
    if (*bundle->problem) {
        fputs("damaged: ", stdout);
        terminal_text(stdout, bundle->problem);
        putchar('\n');
        return;
    }
    printf("%-8s  %-11s  %7d  %7.1f MB  ", bundle->task, bundle_provider(bundle, provider), bundle->class_count,
           (double)bundle->model_bytes / 1e6);
    score = bundle_accuracy(bundle, &which);
    if (score >= 0)
        printf("%8.4f", score);
    else
        printf("%8s", "-");
    if (scan)
        printf("  %4lld/%-4lld", json_integer_value(json_object_get(scan, "critical")),
               json_integer_value(json_object_get(scan, "high")));
    else
        printf("  %9s", "-    ");
    printf("  %-6s  %-20s  %.*s\n", bundle->in_use ? "yes" : "no", *bundle->created ? bundle->created : "-",
           DIGEST_SHOWN, bundle->digest + strlen("sha256:"));
    json_decref(scan);
}

void bundle_report_table(const struct bundle *bundles, size_t count)
{
    int columns = 7;
    size_t i;

    for (i = 0; i < count; i++) {
        char name[VERSION_MAX_NAME];
        int length = (int)strlen(version_name_text(&bundles[i].name, name));

        columns = length > columns ? length : columns;
    }
    printf("%-*s  %-8s  %-11s  %7s  %10s  %8s  %9s  %-6s  %-20s  %s\n", columns, "version", "task", "provider",
           "classes", "size", "accuracy", "crit/high", "in use", "pushed", "digest");
    for (i = 0; i < count; i++)
        print_row(&bundles[i], columns);
}

/* ---- all of one ---- */

static void print_strings(const char *name, const char *json, size_t most, bool with_count)
{
    json_t *list = parse(json);
    const json_t *item;
    size_t i;

    printf("%-12s ", name);
    if (with_count)
        printf("%zu: ", json_array_size(list));
    json_array_foreach(list, i, item)
    {
        if (i == most) {
            printf(", and %zu more", json_array_size(list) - most);
            break;
        }
        fputs(i ? ", " : "", stdout);
        terminal_text(stdout, json_string_value(item) ? json_string_value(item) : "");
    }
    putchar('\n');
    json_decref(list);
}

static void print_evaluation(const struct bundle *bundle)
{
    json_t *eval = parse(bundle->eval_json);
    const json_t *map50 = json_object_get(eval, "map50");
    const char *which;
    double score = bundle_accuracy(bundle, &which);

    printf("%-12s ", "evaluation");
    if (score >= 0)
        printf("%s %.4f", which, score);
    else
        putchar('-');
    if (score >= 0 && json_is_number(map50))
        printf(", mAP50 %.4f", json_number_value(map50));
    if (score >= 0)
        printf(" on %lld pictures", json_integer_value(json_object_get(eval, "images")));
    putchar('\n');
    json_decref(eval);
}

static void print_scan(const char *text)
{
    static const char *const keys[] = {"critical", "high", "medium", "low", "unknown"};
    json_t *scan = parse(text);
    size_t i;

    printf("%-12s ", "scan");
    if (!scan)
        putchar('-');
    for (i = 0; scan && i < sizeof(keys) / sizeof(keys[0]); i++)
        printf("%s%lld %s", i ? ", " : "", json_integer_value(json_object_get(scan, keys[i])), keys[i]);
    if (scan) {
        const char *scanner = json_string_value(json_object_get(scan, "scanner"));

        fputs(" by ", stdout);
        terminal_text(stdout, scanner ? scanner : "?");
    }
    putchar('\n');
    json_decref(scan);
}

static void print_golden(const char *text)
{
    json_t *golden = parse(text);
    const json_t *pictures = json_object_get(golden, "pictures"), *picture;
    size_t i;

    if (!golden)
        return;
    printf("%-12s ", "golden");
    json_array_foreach(pictures, i, picture)
    {
        const char *name = json_string_value(json_object_get(picture, "name"));

        fputs(i ? ", " : "", stdout);
        terminal_text(stdout, name ? name : "?");
    }
    putchar('\n');
    json_decref(golden);
}

void bundle_report_print(const struct bundle *bundle)
{
    char name[VERSION_MAX_NAME], text[64];
    int i;

    printf("%-12s %s\n", "version", version_name_text(&bundle->name, name));
    printf("%-12s %s\n", "digest", bundle->digest);
    printf("%-12s %s\n", "pushed", *bundle->created ? bundle->created : "-");
    printf("%-12s %s\n", "in use", bundle->in_use ? "yes" : "no");
    printf("%-12s %s\n%-12s ", "model", bundle->model_digest, "size");
    print_size(bundle->model_bytes);
    printf(" (%llu bytes)\n", (unsigned long long)bundle->model_bytes);
    printf("%-12s %s (%s head, %s)\n", "task", bundle->task, bundle->architecture, bundle->precision);
    print_strings("classes", bundle->class_names_json, LISTED_CLASSES, true);
    print_strings("input", bundle->inputs_json, SIZE_MAX, false);
    print_strings("output", bundle->outputs_json, SIZE_MAX, false);
    printf("%-12s %s", "settings", bundle->setting_count ? "" : "-");
    for (i = 0; i < bundle->setting_count; i++)
        printf("%s%s=%s", i ? ", " : "", bundle->settings[i].key,
               bundle_setting_text(&bundle->settings[i], text, sizeof(text)));
    putchar('\n');
    print_evaluation(bundle);
    print_scan(bundle->scan_json);
    print_golden(bundle->golden_json);
}
