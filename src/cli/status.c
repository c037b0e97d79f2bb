/*
 * status.c - serin status: what a running serin serve serves, and how it fares.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One look is one call. With --watch each look is compared with the one before, which gives the rates.
 */
#include "base/clock.h"
#include "cli/admin_call.h"
#include "cli/json_answer.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CELL 200

struct status_settings {
    const char *admin;
    int output; /* table, json */
    double every_s;
    bool watch;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(status_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct status_settings, output),
     .help = "a table for people, or the JSON of the admin API"},
    {.name = "watch",
     .type = CLI_FLAG,
     .offset = offsetof(struct status_settings, watch),
     .help = "look again and again, with rates, until interrupted"},
    {.name = "every",
     .value = "SECONDS",
     .type = CLI_REAL,
     .fallback = "1",
     .min = .01,
     .max = 3600,
     .offset = offsetof(struct status_settings, every_s),
     .help = "the time between two looks of --watch"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin status", "models, versions, shares, replicas, failures"},
    {"serin status --watch", "the same, each second, with requests a second"},
    {"serin status -o json | jq '.models[].versions[] | select(.breaker == \"open\") | .tag'",
     "versions that were taken off because they failed"},
    {0},
};

/* A look at the server: its answer, and when it came. */
struct look {
    json_t *answer;
    uint64_t time_ns;
};

static double count_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key)); /* 0 where there is none */
}

static const json_t *find_by(const json_t *list, const char *key, const char *wanted)
{
    size_t i;

    for (i = 0; i < json_array_size(list); i++)
        if (strcmp(text_of(json_array_get(list, i), key), wanted) == 0)
            return json_array_get(list, i);
    return NULL;
}

/* Requests a second since the look before; negative where that cannot be said. */
static double rate_of(const struct look *now, const struct look *before, const char *model, const json_t *version)
{
    const json_t *old;
    double seconds = (double)(now->time_ns - before->time_ns) / 1e9, grown;

    if (!before->answer || !(seconds > 0))
        return -1;
    old = find_by(json_object_get(before->answer, "models"), "model", model);
    old = find_by(json_object_get(old, "versions"), "tag", text_of(version, "tag"));
    if (!old)
        return -1;
    grown = count_of(json_object_get(version, "counters"), "requests") -
            count_of(json_object_get(old, "counters"), "requests");
    return grown >= 0 ? grown / seconds : -1; /* less than before: it was started again */
}

/* ---- the table ---- */

enum { MODEL, VERSION, SHARE, READY, RESTARTS, RATE, COPIES, P95, FAILURES, FALLBACKS, BREAKER, ENGINE, COLUMNS };

static const struct {
    const char *title;
    bool left;
} columns[COLUMNS] = {{"MODEL", true},     {"VERSION", true},    {"SHARE", false},  {"READY", false},
                      {"RESTARTS", false}, {"REQ/S", false},     {"COPIES", false}, {"P95 MS", false},
                      {"FAILURES", false}, {"FALLBACKS", false}, {"BREAKER", true}, {"ENGINE", true}};

struct row {
    char cells[COLUMNS][MAX_CELL];
};

static void fill_row(struct row *row, const json_t *model, const json_t *version, double sum, double rate, bool first)
{
    const json_t *counters = json_object_get(version, "counters"), *replicas = json_object_get(version, "replicas");
    const char *provider = text_of(json_object_get(version, "engine"), "provider");
    bool stable = strcmp(text_of(model, "stable"), text_of(version, "tag")) == 0;

    snprintf(row->cells[MODEL], MAX_CELL, "%s", first ? text_of(model, "model") : "");
    snprintf(row->cells[VERSION], MAX_CELL, "%s%s", text_of(version, "tag"), stable ? " (stable)" : "");
    snprintf(row->cells[SHARE], MAX_CELL, "%.4g %%", sum > 0 ? 100 * count_of(version, "weight") / sum : 0.0);
    snprintf(row->cells[READY], MAX_CELL, "%.0f/%zu", count_of(version, "ready"), json_array_size(replicas));
    snprintf(row->cells[RESTARTS], MAX_CELL, "%.0f", sum_of(replicas, "restarts"));
    if (count_of(counters, "mirror_failures") > 0)
        snprintf(row->cells[COPIES], MAX_CELL, "%.0f (%.0f failed)", count_of(counters, "mirrored"),
                 count_of(counters, "mirror_failures"));
    else
        snprintf(row->cells[COPIES], MAX_CELL, "%.0f", count_of(counters, "mirrored"));
    if (rate < 0)
        snprintf(row->cells[RATE], MAX_CELL, "-");
    else
        snprintf(row->cells[RATE], MAX_CELL, "%.1f", rate);
    if (count_of(counters, "answered") > 0)
        snprintf(row->cells[P95], MAX_CELL, "%.1f", count_of(json_object_get(version, "latency_ms"), "p95"));
    else
        snprintf(row->cells[P95], MAX_CELL, "-");
    snprintf(row->cells[FAILURES], MAX_CELL, "%.0f", count_of(counters, "failures"));
    snprintf(row->cells[FALLBACKS], MAX_CELL, "%.0f", count_of(counters, "fallbacks"));
    snprintf(row->cells[BREAKER], MAX_CELL, "%s", text_of(version, "breaker"));
    /* "-": a server of others', or none of ours is ready yet. */
    snprintf(row->cells[ENGINE], MAX_CELL, "%s", *provider ? provider : "-");
}

static void print_row(const struct row *row, const int *widths)
{
    int i;

    for (i = 0; i < COLUMNS; i++) {
        int gap = widths[i] - (int)strlen(row->cells[i]);

        printf("%s%*s", i ? "  " : "", columns[i].left ? 0 : gap, "");
        terminal_text(stdout, row->cells[i]);
        if (columns[i].left && i + 1 < COLUMNS)
            printf("%*s", gap, "");
    }
    putchar('\n');
}

static void print_rows(const struct row *rows, size_t count)
{
    struct row titles;
    int widths[COLUMNS], i;
    size_t k;

    for (i = 0; i < COLUMNS; i++) {
        snprintf(titles.cells[i], MAX_CELL, "%s", columns[i].title);
        widths[i] = (int)strlen(columns[i].title);
        for (k = 0; k < count; k++)
            if ((int)strlen(rows[k].cells[i]) > widths[i])
                widths[i] = (int)strlen(rows[k].cells[i]);
    }
    print_row(&titles, widths);
    for (k = 0; k < count; k++)
        print_row(&rows[k], widths);
}

static void print_name(const json_t *model, const json_t *version)
{
    fputs("! ", stdout);
    terminal_text(stdout, text_of(model, "model"));
    putchar(':');
    terminal_text(stdout, text_of(version, "tag"));
}

/* Replicas that are not ready, with the reason: what one looks for first. And a version of provider auto that does not
 * run as fast as it might. */
static void print_troubles(const json_t *model, const json_t *version)
{
    const json_t *replicas = json_object_get(version, "replicas"), *engine = json_object_get(version, "engine");
    size_t i;

    if (*text_of(engine, "why")) {
        print_name(model, version);
        printf(" runs with provider ");
        terminal_text(stdout, text_of(engine, "provider"));
        fputs(": ", stdout);
        terminal_text(stdout, text_of(engine, "why"));
        putchar('\n');
    }
    for (i = 0; i < json_array_size(replicas); i++) {
        const json_t *replica = json_array_get(replicas, i);
        const char *why = text_of(replica, "why");

        const char *state = strcmp(text_of(replica, "health"), "down") == 0 ? "down" : text_of(replica, "state");

        if (strcmp(state, "ready") == 0)
            continue;
        print_name(model, version);
        printf(" replica %zu is ", i);
        terminal_text(stdout, state);
        fputs(*why ? ": " : "", stdout);
        terminal_text(stdout, why);
        printf(" (%.0f restarts)\n", count_of(replica, "restarts"));
    }
}

static void print_head(const json_t *answer)
{
    double up = floor(count_of(answer, "uptime_s"));
    const json_t *gateway = json_object_get(answer, "gateway");

    fputs("serin ", stdout);
    terminal_text(stdout, text_of(answer, "version"));
    printf(", up %.0f h %02.0f min %02.0f s, gateway ", floor(up / 3600), floor(fmod(up, 3600) / 60), fmod(up, 60));
    terminal_text(stdout, text_of(gateway, "listen"));
    puts("\n");
}

static enum serin_errc print_table(const struct look *now, const struct look *before, struct serin_error *error)
{
    const json_t *models = json_object_get(now->answer, "models");
    size_t count = 0, at = 0, i, k;
    struct row *rows;

    print_head(now->answer);
    for (i = 0; i < json_array_size(models); i++)
        count += json_array_size(json_object_get(json_array_get(models, i), "versions"));
    if (count == 0) {
        puts("nothing is served yet: 'serin deploy NAME:TAG' starts a version");
        return SERIN_OK;
    }
    rows = calloc(count, sizeof(*rows));
    if (!rows)
        return error_set(error, SERIN_NOMEM, "no memory for a table of %zu versions", count);
    for (i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i), *versions = json_object_get(model, "versions");

        for (k = 0; k < json_array_size(versions); k++, at++)
            fill_row(&rows[at], model, json_array_get(versions, k), sum_of(versions, "weight"),
                     rate_of(now, before, text_of(model, "model"), json_array_get(versions, k)), k == 0);
    }
    print_rows(rows, count);
    free(rows);
    for (i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i), *versions = json_object_get(model, "versions");
        const char *damage = text_of(model, "damage");

        if (*damage) {
            fputs("! ", stdout);
            terminal_text(stdout, text_of(model, "model"));
            fputs(": the log of decisions is damaged: ", stdout);
            terminal_text(stdout, damage);
            fputs("; its rollouts stand still (serin rollout repair)\n", stdout);
        }
        if (*text_of(model, "unstored")) {
            fputs("! ", stdout);
            terminal_text(stdout, text_of(model, "model"));
            fputs(": ", stdout);
            terminal_text(stdout, text_of(model, "unstored"));
            fputs("\n", stdout);
        }
        for (k = 0; k < json_array_size(versions); k++)
            print_troubles(model, json_array_get(versions, k));
    }
    return SERIN_OK;
}

/* ---- the verb ---- */

static enum serin_errc look(const struct status_settings *settings, const struct look *before, struct look *ret,
                            struct serin_error *error)
{
    struct look now = {.answer = NULL};
    enum serin_errc rc =
        admin_call(admin_address(settings->admin), "GET", "/api/v1/status", NULL, ADMIN_TIMEOUT_MS, &now.answer, error);

    if (rc != SERIN_OK)
        return rc;
    now.time_ns = clock_now_ns();
    if (!json_is_array(json_object_get(now.answer, "models"))) {
        rc =
            error_set(error, SERIN_CORRUPT, "%s answered without a list of models; is it the admin API of serin serve?",
                      admin_address(settings->admin));
    } else if (settings->output == OUTPUT_JSON) {
        json_answer_print(settings->watch ? OUTPUT_JSON_LINE : OUTPUT_JSON, now.answer, NULL);
    } else {
        if (settings->watch && isatty(STDOUT_FILENO))
            fputs("\033[H\033[2J", stdout); /* to the top of an empty screen */
        rc = print_table(&now, before, error);
        if (settings->watch && !isatty(STDOUT_FILENO))
            putchar('\n');
    }
    if (rc == SERIN_OK)
        *ret = now;
    else
        json_decref(now.answer);
    return rc;
}

static int status(const void *given, char *const *operands, size_t operand_count)
{
    const struct status_settings *settings = given;
    struct look before = {.answer = NULL}, now = {.answer = NULL};
    struct timespec pause = {(time_t)settings->every_s, (long)(fmod(settings->every_s, 1) * 1e9)};
    struct serin_error error;
    enum serin_errc rc;

    (void)operands;
    (void)operand_count;
    for (;;) {
        rc = look(settings, &before, &now, &error);
        json_decref(before.answer);
        before.answer = NULL;
        if (rc != SERIN_OK)
            break;
        before = now;
        if (!terminal_flush() || !settings->watch)
            break;
        nanosleep(&pause, NULL);
    }
    json_decref(before.answer);
    if (rc == SERIN_OK)
        return CLI_OK;
    if (terminal_flush())
        terminal_complain("status: %s", error.message);
    return CLI_FAILED;
}

const struct cli_verb cli_status = {
    .name = "status",
    .summary = "what is served, which share it has, and how it fares",
    .text = "Of a running serin serve: the versions of each model with their share of the requests, the replicas that "
            "are ready, the 95th percentile of latency, the tries a version failed, the requests that stable answered "
            "in its place, whether its breaker is open (such a version was taken off because it only failed), and what "
            "runs the network, as 'serin push --set provider=' has it.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct status_settings),
    .run = status,
};
