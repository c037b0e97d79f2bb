/*
 * rollout_view.c - how a rollout is printed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * At 3 a.m. the first line must say how it stands, the second why, and the guards come with the worst first.
 */
#include "cli/rollout_view.h"

#include "cli/json_answer.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

#define MAX_SLICES_PRINTED 8
#define WIDE_COLUMNS       118 /* of a terminal that takes a guard's whole line */

#define LABEL_COLUMNS 12

/* A label and its text, whose lines after the first stand below its beginning. */
static void put(FILE *out, const char *label, const char *text, int columns)
{
    const int room = columns > 2 * LABEL_COLUMNS ? columns - LABEL_COLUMNS : LABEL_COLUMNS;
    char line[1024];

    if (!text[0])
        return;
    fprintf(out, "  %-9s ", label);
    while (*text) {
        size_t size = strnlen(text, sizeof(line) - 1), at = size;

        if (size > (size_t)room) {
            for (at = (size_t)room; at > 0 && text[at] != ' '; at--)
                ;
            at = at > 0 ? at : size; /* a word that is longer than a line */
        }
        snprintf(line, sizeof(line), "%.*s", (int)at, text);
        terminal_text(out, line);
        text += at;
        text += strspn(text, " ");
        fprintf(out, "\n%*s", *text ? LABEL_COLUMNS : 0, "");
    }
}

static const char *colour_of_phase(const char *phase, int colours)
{
    if (!colours)
        return "";
    if (strcmp(phase, "Promoted") == 0 || strcmp(phase, "Completed") == 0)
        return GREEN;
    if (strcmp(phase, "RolledBack") == 0 || strcmp(phase, "Undone") == 0 || strcmp(phase, "Aborted") == 0)
        return RED;
    return strcmp(phase, "Progressing") == 0 ? BOLD : YELLOW;
}

static void put_duration(char *text, size_t size, double seconds)
{
    if (!isfinite(seconds))
        snprintf(text, size, "-");
    else if (seconds < 90)
        snprintf(text, size, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(text, size, "%.0f min", seconds / 60);
    else if (seconds < 129600)
        snprintf(text, size, "%.1f h", seconds / 3600);
    else
        snprintf(text, size, "%.1f d", seconds / 86400);
}

/* Only where some have failed. */
static void put_copies(FILE *out, const json_t *copies, int columns)
{
    const double answered = number_of(copies, "answered"), failed = number_of(copies, "failed");
    char text[200];

    if (!(failed > 0))
        return;
    snprintf(text, sizeof(text), "%.0f of %.0f were answered in this step; the last that failed: %s", answered,
             answered + failed, text_of(copies, "failure"));
    put(out, "copies", text, columns);
}

/* Nobody looks for what a labeller posts, but its guards wait for it. */
static void put_labels(FILE *out, const json_t *labels, int columns)
{
    const double counted = number_of(labels, "counted"), refused = number_of(labels, "refused");
    const double unmatched = number_of(labels, "unmatched"), unchecked = number_of(labels, "unchecked");
    char text[600];
    size_t used = 0;

    if (!(refused > 0 || unmatched > 0 || unchecked > 0)) /* not known is not a number */
        return;
    used += (size_t)snprintf(text, sizeof(text), "%.0f counted", counted);
    if (unchecked > 0)
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 ", %.0f of them unchecked: what the model's classes are called is not known here",
                                 unchecked);
    if (unmatched > 0)
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "; %.0f came for requests whose answers are not kept", unmatched);
    if (refused > 0 && used < sizeof(text))
        snprintf(text + used, sizeof(text) - used, "; %.0f REFUSED, the last: %s", refused, text_of(labels, "why"));
    put(out, "labels", text, columns);
}

/* ---- steps ---- */

static void put_steps(FILE *out, const json_t *rollout, int colours)
{
    const json_t *steps = json_object_get(rollout, "plan_steps"), *step;
    int at = (int)integer_of(rollout, "step");
    const char *phase = text_of(rollout, "phase");
    int ended_well = strcmp(phase, "Promoted") == 0 || strcmp(phase, "Completed") == 0;
    size_t i;

    fputs("  steps     ", out);
    json_array_foreach(steps, i, step)
    {
        double weight = number_of(step, "weight_percent"), mirror = number_of(step, "mirror_percent");
        int number = (int)i + 1, passed = number < at || ended_well;

        if (i > 0)
            fputs(" > ", out);
        if (number == at && !ended_well && colours)
            fputs(BOLD, out);
        if (number == at && !ended_well)
            fputc('[', out);
        if (weight > 0)
            fprintf(out, "%g %%", weight);
        else
            fprintf(out, "mirror %g %%", mirror);
        if (number == at && !ended_well)
            fputs(json_is_true(json_object_get(rollout, "step_begun")) ? "]" : "?]", out);
        if (number == at && !ended_well && colours)
            fputs(PLAIN, out);
        if (passed)
            fputs(" ok", out);
    }
    fputc('\n', out);
}

/* ---- guards ---- */

static int rank_of(const json_t *guard)
{
    const char *verdict = text_of(guard, "verdict");

    return strcmp(verdict, "harm") == 0 ? 0 : strcmp(verdict, "unknown") == 0 ? 1 : 2;
}

/* Harm first; then what is nearest to it. */
static int by_weight(const void *left, const void *right)
{
    const json_t *a = *(const json_t *const *)left, *b = *(const json_t *const *)right;
    double near_a, near_b;

    if (rank_of(a) != rank_of(b))
        return rank_of(a) - rank_of(b);
    near_a = number_of(a, "log_e_harm") - number_of(a, "log_e_harm_needed");
    near_b = number_of(b, "log_e_harm") - number_of(b, "log_e_harm_needed");
    near_a = isfinite(near_a) ? near_a : -1e9;
    near_b = isfinite(near_b) ? near_b : -1e9;
    return near_a > near_b ? -1 : near_a < near_b;
}

/* A value of the metric: "3.1 %" of a share, "36.0 ms". */
static void value_text(char *text, size_t size, double value, const char *unit)
{
    if (!isfinite(value))
        snprintf(text, size, "-");
    else if (strcmp(unit, "share") == 0)
        snprintf(text, size, "%.3g %%", 100 * value);
    else
        snprintf(text, size, "%.4g %s", value, unit);
}

/* A difference from stable: "+12 %", or in points where the metric is a share itself. */
static void change_text(char *text, size_t size, double change, const json_t *guard)
{
    const char *unit = text_of(guard, "unit");

    if (!isfinite(change))
        snprintf(text, size, "?");
    else if (json_is_true(json_object_get(guard, "relative")))
        snprintf(text, size, "%+.3g %%", 100 * change);
    else if (strcmp(unit, "share") == 0)
        snprintf(text, size, "%+.3g pt", 100 * change);
    else
        snprintf(text, size, "%+.3g", change);
}

/* A step may prove less than the margin: "no harm" and "proven" would then say too much. */
static void verdict_text(char *text, size_t size, const json_t *guard)
{
    /* The step behind a promotion asks for no proof: what led to it is told, and of which step it is. */
    const bool earlier = strcmp(text_of(guard, "verdict"), "unknown") == 0 && !isfinite(number_of(guard, "proves")) &&
                         number_of(guard, "proven_step") > 0;
    const double proven = number_of(guard, earlier ? "proven_margin" : "proves");
    char within[32], step[32] = "";

    if (earlier)
        snprintf(step, sizeof(step), " in step %d", (int)number_of(guard, "proven_step"));
    snprintf(text, size, "%s%s", earlier ? "proven" : text_of(guard, "verdict"), step);
    if (strcmp(text, "harm") == 0 && strcmp(text_of(guard, "on_harm"), "note") == 0) /* nothing follows from it */
        snprintf(text, size, "noted");
    if ((earlier || strcmp(text, "no harm") == 0) && proven > number_of(guard, "margin")) {
        change_text(within, sizeof(within), proven, guard);
        snprintf(text, size, "within %s%s", within, step);
    }
}

static void put_guard(FILE *out, const json_t *guard, int colours, bool is_narrow)
{
    const char *verdict = text_of(guard, "verdict"), *slice = text_of(guard, "slice"), *colour = "";
    char name[96], stable[32], canary[32], change[32], lower[32], upper[32], bounds[80], margin[32], left[32];
    char said[48];

    verdict_text(said, sizeof(said), guard);
    if (colours)
        colour = strcmp(said, "noted") == 0 ? YELLOW : rank_of(guard) == 0 ? RED : rank_of(guard) == 2 ? GREEN : "";
    snprintf(name, sizeof(name), "%s%s%s", text_of(guard, "guard"), slice[0] ? " " : "", slice);
    value_text(stable, sizeof(stable), number_of(guard, "stable"), text_of(guard, "unit"));
    value_text(canary, sizeof(canary), number_of(guard, "canary"), text_of(guard, "unit"));
    change_text(change, sizeof(change), number_of(guard, "estimate"), guard);
    change_text(lower, sizeof(lower), number_of(guard, "lower"), guard);
    change_text(upper, sizeof(upper), number_of(guard, "upper"), guard);
    change_text(margin, sizeof(margin), number_of(guard, "margin"), guard);
    if (is_narrow) /* the unit once */
        lower[strcspn(lower, " ")] = '\0';
    snprintf(bounds, sizeof(bounds), "%s .. %s", lower, upper);
    put_duration(left, sizeof(left), number_of(guard, "left_s"));
    if (strcmp(bounds, "? .. ?") == 0)
        snprintf(bounds, sizeof(bounds), "-");
    if (is_narrow)
        fprintf(out, "  %s%-20.20s %9s %9s  %-19.19s %-7s", colour, name, stable, canary, bounds, said);
    else
        fprintf(out, "  %s%-30.30s %10s %10s %9s  %-20s %9s  %-8s", colour, name, stable, canary,
                strcmp(change, "?") == 0 ? "-" : change, bounds, margin, said);
    if (strcmp(verdict, "unknown") == 0 && strcmp(left, "-") != 0)
        fprintf(out, " %s", left);
    fprintf(out, "%s\n", colours ? PLAIN : "");
}

static void put_guards(FILE *out, const json_t *rollout, int colours, bool is_narrow)
{
    const json_t *guards = json_object_get(rollout, "guards"), *guard;
    size_t count = json_array_size(guards), i;
    int slices = 0, hidden = 0;
    const json_t **sorted;

    if (count == 0)
        return;
    sorted = calloc(count, sizeof(json_t *));
    if (!sorted)
        return;
    json_array_foreach(guards, i, guard) sorted[i] = guard;
    qsort(sorted, count, sizeof(json_t *), by_weight);
    if (is_narrow)
        fprintf(out, "\n  %-20s %9s %9s  %-19s %s\n", "GUARD", "STABLE", "CANARY", "SURELY WITHIN", "VERDICT");
    else
        fprintf(out, "\n  %-30s %10s %10s %9s  %-20s %9s  %s\n", "GUARD", "STABLE", "CANARY", "CHANGE", "SURELY WITHIN",
                "MARGIN", "VERDICT");
    for (i = 0; i < count; i++) {
        if (text_of(sorted[i], "slice")[0] && rank_of(sorted[i]) != 0 && ++slices > MAX_SLICES_PRINTED) {
            hidden++;
            continue;
        }
        put_guard(out, sorted[i], colours, is_narrow);
    }
    if (hidden)
        fprintf(out, "  and %d more slices (-o json)\n", hidden);
    free(sorted);
}

void rollout_view_print(FILE *out, const json_t *rollout, int colours, int columns)
{
    const char *phase = text_of(rollout, "phase");
    const json_t *ratio = json_object_get(rollout, "sample_ratio"), *verb;
    char left[32];
    size_t i;

    fprintf(out, "%s%s%s  ", colours ? BOLD : "", text_of(rollout, "id"), colours ? PLAIN : "");
    terminal_text(out, text_of(rollout, "canary"));
    fputs(" against ", out);
    terminal_text(out, text_of(rollout, "stable"));
    if (columns < WIDE_COLUMNS)
        fputc('\n', out);
    fprintf(out, "  %s%s%s, step %d of %d, %g %% of the requests\n", colour_of_phase(phase, colours), phase,
            colours ? PLAIN : "", (int)integer_of(rollout, "step"), (int)integer_of(rollout, "steps"),
            number_of(rollout, "share_percent"));
    put(out, "why", text_of(rollout, "why"), columns);
    put(out, "now", text_of(rollout, "waiting"), columns);
    put_labels(out, json_object_get(rollout, "labels"), columns);
    put_duration(left, sizeof(left), number_of(rollout, "left_s"));
    if (strcmp(phase, "Progressing") == 0 && strcmp(left, "-") != 0)
        fprintf(out, "  %-9s about %s at the present traffic\n", "left", left);
    if (number_of(rollout, "analysis_left_s") > 0) {
        put_duration(left, sizeof(left), number_of(rollout, "analysis_left_s"));
        fprintf(out, "  %-9s %s left, in which harm that is found takes it back\n", "analysis", left);
    }
    if (json_object_get(rollout, "undo_left_s")) {
        put_duration(left, sizeof(left), number_of(rollout, "undo_left_s"));
        fprintf(out, "  %-9s %s left (serin rollout undo %s)\n", "undo", left, text_of(rollout, "id"));
    }
    put_copies(out, json_object_get(rollout, "copies"), columns);
    put_steps(out, rollout, colours);
    if (json_is_true(json_object_get(ratio, "alarm")))
        fprintf(out, "  %-9s the canary got %.3g %% of the requests where the draw says %.3g %%\n", "ALARM",
                100 * number_of(ratio, "seen"), 100 * number_of(ratio, "expected"));
    fputs("  possible ", out);
    json_array_foreach(json_object_get(rollout, "possible"), i, verb)
    {
        fprintf(out, "%s %s", i ? "," : "", json_string_value(verb));
    }
    fputc('\n', out);
    put_guards(out, rollout, colours, columns < WIDE_COLUMNS);
}

/* ---- lists ---- */

static void put_time(FILE *out, double time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm at;
    char text[32] = "-";

    if (localtime_r(&seconds, &at))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &at);
    fputs(text, out);
}

void rollout_view_list(FILE *out, const json_t *list)
{
    const json_t *rollout;
    size_t i;

    if (json_array_size(list) == 0) {
        fputs("no rollouts yet: 'serin rollout start NAME:TAG' begins one\n", out);
        return;
    }
    fprintf(out, "%-28s %-20s %-20s %-13s %-6s %8s\n", "ROLLOUT", "CANARY", "STABLE", "PHASE", "STEP", "SHARE");
    json_array_foreach(list, i, rollout)
    {
        char step[32];

        snprintf(step, sizeof(step), "%d/%d", (int)integer_of(rollout, "step"), (int)integer_of(rollout, "steps"));
        fprintf(out, "%-28.28s %-20.20s %-20.20s %-13s %-6s %6g %%\n", text_of(rollout, "id"),
                text_of(rollout, "canary"), text_of(rollout, "stable"), text_of(rollout, "phase"), step,
                number_of(rollout, "share_percent"));
    }
}

void rollout_view_history(FILE *out, const json_t *decisions)
{
    const json_t *decision;
    size_t i;

    json_array_foreach(decisions, i, decision)
    {
        const json_t *state = json_object_get(decision, "state");

        fprintf(out, "%4d  ", (int)integer_of(decision, "number"));
        put_time(out, number_of(decision, "time_ms"));
        fprintf(out, "  %-13s %-13s ", text_of(decision, "event"), text_of(state, "phase"));
        terminal_text(out, text_of(decision, "author"));
        fputs(": ", out);
        terminal_text(out, text_of(decision, "why"));
        fputc('\n', out);
    }
}
