/*
 * lint.c - serin lint: is a plan right, and what do its steps need?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/cli.h"

#include "base/buffer.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "rollout/plan.h"
#include "rollout/zone.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WARNINGS 64
#define MAX_NEEDS    (JUDGE_MAX_STEPS * (JUDGE_MAX_GUARDS + 1))

struct settings {
    double requests, labels, error_rate;
    int cameras, output;
    bool print_default;
};

enum { OUTPUT_TABLE, OUTPUT_JSON };

static const struct cli_option options[] = {
    {.name = "rate",
     .value = "N",
     .fallback = "10",
     .type = CLI_REAL,
     .max = 1e6,
     .offset = offsetof(struct settings, requests),
     .help = "requests a second of the model"},
    {.name = "labels",
     .value = "N",
     .fallback = "0",
     .type = CLI_REAL,
     .max = 1e6,
     .offset = offsetof(struct settings, labels),
     .help = "labelled frames a second"},
    {.name = "cameras",
     .value = "N",
     .fallback = "0",
     .type = CLI_INTEGER,
     .max = 1e6,
     .offset = offsetof(struct settings, cameras),
     .help = "cameras, or other keys; 0: not known"},
    {.name = "error-rate",
     .value = "SHARE",
     .fallback = "0.01",
     .type = CLI_REAL,
     .min = 1e-9,
     .max = 1,
     .offset = offsetof(struct settings, error_rate),
     .help = "requests that fail today"},
    {.name = "default",
     .type = CLI_FLAG,
     .offset = offsetof(struct settings, print_default),
     .help = "print the default plan with all its keys and their help, to be edited"},
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct settings, output),
     .help = "a table for people, or JSON"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin lint --default > plan.yaml", "the default plan, as a file to edit"},
    {"serin lint --rate 200 --labels 5 --cameras 40 plan.yaml", "what its steps need at 200 requests a second"},
    {0},
};

struct report {
    struct plan plan;
    struct plan_need needs[MAX_NEEDS];
    char warnings[MAX_WARNINGS][400];
    int need_count, warning_count;
};

static void take_need(void *user, const struct plan_need *need)
{
    struct report *report = user;

    BUG_ON(report->need_count == MAX_NEEDS);
    report->needs[report->need_count++] = *need;
}

static void take_warning(void *user, const char *sentence)
{
    struct report *report = user;

    if (report->warning_count < MAX_WARNINGS) /* the first ones say enough */
        snprintf(report->warnings[report->warning_count++], sizeof(report->warnings[0]), "%s", sentence);
}

/* What a step takes: the longest of what it must have. NaN: nothing that can be told. */
static double step_time_s(const struct report *report, int step)
{
    double longest_s = 0;
    int i;

    for (i = 0; i < report->need_count; i++) {
        const struct plan_need *need = &report->needs[i];

        if (need->step == step && need->required && !isnan(need->time_s))
            longest_s = fmax(longest_s, need->time_s);
    }
    return longest_s;
}

static const char *time_text(double s, char text[32])
{
    if (isnan(s))
        return "?";
    if (!isfinite(s))
        return "never";
    if (s < 120)
        snprintf(text, 32, "%.0f s", s);
    else if (s < 2 * 3600)
        snprintf(text, 32, "%.0f min", s / 60);
    else if (s < 2 * 86400)
        snprintf(text, 32, "%.1f h", s / 3600);
    else
        snprintf(text, 32, "%.1f d", s / 86400);
    return text;
}

static void print_need(const struct plan_need *need)
{
    char time[32], text[32], units[32] = "?", margin[32] = "";

    if (!isnan(need->units))
        snprintf(units, sizeof(units), isfinite(need->units) ? "%.0f" : "-", ceil(need->units));
    if (need->guard)
        snprintf(margin, sizeof(margin), "%g", need->guard->prove[need->step]);
    if (!need->required && isinf(need->time_s)) /* not never, but not by what is known of the traffic */
        snprintf(time, sizeof(time), "-");
    else
        snprintf(time, sizeof(time), "%s", time_text(need->time_s, text));
    printf("      %-20s  %7s  %10s  %9s%s\n", need->guard ? need->guard->name : "at least", margin, units, time,
           need->required || !need->guard                     ? ""
           : need->guard->required == JUDGE_REQUIRED_IF_HEARD ? "  (once labels come)"
                                                              : "  (not required)");
}

static void print_report(const struct report *report)
{
    const struct plan *plan = &report->plan;
    double total_s = 0;
    char time[32];
    int step, i;

    printf("step  %-20s  %7s  %10s  %9s\n", "guard", "proves", "evidence", "about");
    for (step = 0; step < plan->judge.step_count; step++) {
        double step_s = step_time_s(report, step);

        printf("%4d  weight %g %%, mirror %g %%: %s%s\n", step + 1, plan->steps[step].weight_per_million / 1e4,
               plan->steps[step].mirror_per_million / 1e4,
               step + 1 < plan->judge.step_count ? time_text(step_s, time) : "promoted",
               plan->steps[step].pause ? ", then a person" : "");
        total_s += step_s;
        for (i = 0; i < report->need_count; i++)
            if (report->needs[i].step == step)
                print_need(&report->needs[i]);
    }
    printf("\n%s to promotion where the versions do not differ; evidence is of the new version, medians.\n",
           time_text(total_s, time));
    for (i = 0; i < report->warning_count; i++)
        printf("warning: %s\n", report->warnings[i]);
}

static int print_json(const struct report *report)
{
    struct json_writer json;
    struct serin_error error;
    struct buffer out;
    int i;

    buffer_init(&out, 1u << 20);
    json_init(&json, &out);
    json_begin_object(&json);
    json_key(&json, "needs");
    json_begin_array(&json);
    for (i = 0; i < report->need_count; i++) {
        const struct plan_need *need = &report->needs[i];

        json_begin_object(&json);
        json_key(&json, "step");
        json_write_integer(&json, need->step + 1);
        json_key(&json, "guard");
        json_write_string(&json, need->guard ? need->guard->name : NULL);
        json_key(&json, "required");
        json_write_boolean(&json, need->required);
        json_key(&json, "possible");
        json_write_boolean(&json, !isinf(need->time_s));
        json_key(&json, "units");
        json_write_number(&json, need->units);
        json_key(&json, "time_s");
        json_write_number(&json, need->time_s);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_key(&json, "warnings");
    json_begin_array(&json);
    for (i = 0; i < report->warning_count; i++)
        json_write_string(&json, report->warnings[i]);
    json_end_array(&json);
    json_end_object(&json);
    if (buffer_check(&out, "the report", &error) != SERIN_OK)
        terminal_complain("lint: %s", error.message);
    else
        printf("%s\n", out.bytes);
    i = out.failed;
    buffer_done(&out);
    return i ? CLI_FAILED : CLI_OK;
}

static int print_default(struct plan *plan)
{
    struct serin_error error;
    struct buffer out;
    int code = CLI_FAILED;

    buffer_init(&out, PLAN_MAX_BYTES);
    plan_init(plan);
    plan_write(plan, true, &out);
    if (buffer_check(&out, "the default plan", &error) != SERIN_OK) {
        terminal_complain("lint: %s", error.message);
    } else {
        fputs(out.bytes, stdout);
        code = CLI_OK;
    }
    buffer_done(&out);
    return code;
}

static int lint_file(const struct settings *settings, const char *path, struct report *report)
{
    const struct plan_traffic traffic = {settings->requests, settings->labels, settings->error_rate, settings->cameras};
    struct judge *judge = NULL;
    struct zone *zone = NULL;
    struct serin_error error;

    /* The zone and the judge are asked too, since a plan that they refuse would not start. */
    if (plan_read_file(path, &report->plan, &error) != SERIN_OK ||
        zone_open(report->plan.zone, &zone, &error) != SERIN_OK ||
        judge_new(&report->plan.judge, &judge, &error) != SERIN_OK) {
        terminal_complain("lint: %s", error.message);
        zone_free(zone);
        return CLI_FAILED;
    }
    zone_free(zone);
    judge_free(judge);
    plan_lint(&report->plan, &traffic, take_need, take_warning, report);
    if (settings->output == OUTPUT_JSON)
        return print_json(report);
    print_report(report);
    return CLI_OK;
}

static int lint(const void *given, char *const *operands, size_t operand_count)
{
    const struct settings *settings = given;
    struct report *report;
    int code;

    if (settings->print_default == (operand_count > 0)) {
        terminal_complain("lint: either a plan, or --default");
        return CLI_USAGE;
    }
    report = calloc(1, sizeof(*report));
    if (!report) {
        terminal_complain("lint: no memory for a report");
        return CLI_FAILED;
    }
    code = settings->print_default ? print_default(&report->plan) : lint_file(settings, operands[0], report);
    free(report);
    return code;
}

const struct cli_verb cli_lint = {
    .name = "lint",
    .summary = "check a release plan, and tell what its steps need",
    .operands = "[PLAN]",
    .max_operands = 1,
    .text = "Checks a plan of a release (docs/plans.md; '-' is stdin): an unknown key, metric, slice or guard is an "
            "error with its "
            "line and the nearest known name.\n\n"
            "For each step and guard it prints the margin that the step proves, the evidence of the new version that "
            "the proof takes in the median where the versions do not differ, and the time at the traffic given. Rates "
            "of errors follow from theirs; for all else a usual spread is assumed, and the numbers are orders of "
            "magnitude. What a person should know is a warning; warnings do not change the exit code.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct settings),
    .run = lint,
};
