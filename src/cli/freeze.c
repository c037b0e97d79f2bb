/*
 * freeze.c - serin freeze: when no rollout of a model goes forward.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/file.h"
#include "cli/admin_call.h"
#include "cli/json_answer.h"
#include "cli/terminal.h"
#include "rollout/calendar.h"

#include <stdlib.h>
#include <string.h>

struct freeze_settings {
    const char *admin;
    int output;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(freeze_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct freeze_settings, output),
     .help = "of list: a table for people, or what the admin API says, with the calendars"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin freeze set yolov8n calendar.yaml", "no rollout of this model goes forward within its windows"},
    {"serin freeze set yolov8n '{zone: Europe/Berlin, windows: [{days: fri-sun}]}'", "the same, without a file"},
    {"serin freeze list", "which models are frozen now, and until when"},
    {"serin rollout promote yolov8n --why 'gate 4 is blind'", "goes past a window, and is written down as that"},
    {"serin freeze remove yolov8n", "its rollouts go on"},
    {0},
};

static int fail(const struct serin_error *error)
{
    terminal_complain("freeze: %s", error->message);
    return CLI_FAILED;
}

/* rules: YAML that begins with '{', or a file of it. *ret is the caller's: free. */
static enum serin_errc read_rules(const char *rules, char **ret, struct serin_error *error)
{
    struct calendar calendar;
    uint8_t *bytes = NULL;
    size_t size = strlen(rules);
    enum serin_errc rc = SERIN_OK;

    if (rules[0] != '{') {
        rc = file_read_input(rules, CALENDAR_MAX_BYTES, &bytes, &size, error);
        if (rc != SERIN_OK)
            return rc;
    }
    *ret = strndup(bytes ? (const char *)bytes : rules, size);
    free(bytes);
    if (!*ret)
        return error_set(error, SERIN_NOMEM, "no memory for a calendar");
    rc = calendar_read(*ret, strlen(*ret), &calendar, error); /* here the sentence can name the file */
    if (rc == SERIN_NOT_FOUND)                                /* the server has a data base of zones of its own */
        rc = SERIN_OK;
    if (rc != SERIN_OK && rules[0] != '{')
        error_prefix(error, rc, "%s", rules);
    if (rc != SERIN_OK)
        free(*ret);
    return rc;
}

static void print_row(FILE *out, const json_t *freeze)
{
    bool frozen = json_is_true(json_object_get(freeze, "frozen"));

    terminal_text(out, text_of(freeze, "model"));
    fputs(frozen ? "  frozen " : "  not frozen now", out);
    if (frozen)
        terminal_text(out, text_of(freeze, "why"));
    fputc('\n', out);
}

/* What the calendar that was set does now, as list tells it: a window that was not meant shows at once. */
static enum serin_errc print_set(const struct freeze_settings *settings, const char *model, struct serin_error *error)
{
    const json_t *freeze;
    json_t *list = NULL;
    size_t i;
    enum serin_errc rc =
        admin_call(admin_address(settings->admin), "GET", "/api/v1/freezes", NULL, ADMIN_TIMEOUT_MS, &list, error);

    if (rc != SERIN_OK)
        return error_prefix(error, rc, "the calendar is set, until when it holds is not known");
    json_array_foreach(list, i, freeze)
    {
        if (strcmp(text_of(freeze, "model"), model) == 0)
            print_row(stdout, freeze);
    }
    json_decref(list);
    return SERIN_OK;
}

static int change(const struct freeze_settings *settings, const char *model, const char *rules)
{
    char path[ADMIN_MAX_PATH], *text = NULL, *body = NULL;
    json_t *json = NULL, *answer = NULL;
    struct serin_error error;
    enum serin_errc rc = admin_path(path, "/api/v1/freezes/", model, "", &error);

    if (rc == SERIN_OK && rules)
        rc = read_rules(rules, &text, &error);
    if (rc == SERIN_OK && rules) {
        json = json_pack("{s:s}", "calendar", text);
        body = json ? json_dumps(json, JSON_COMPACT) : NULL;
        if (!body)
            rc = error_set(&error, SERIN_INVALID, "the calendar is no UTF-8 text");
        free(text);
    }
    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), rules ? "PUT" : "DELETE", path, body, ADMIN_TIMEOUT_MS, &answer,
                        &error);
    free(body);
    json_decref(json);
    json_decref(answer);
    if (rc == SERIN_OK && rules)
        rc = print_set(settings, model, &error);
    return rc == SERIN_OK ? CLI_OK : fail(&error);
}

static void print_table(FILE *out, const json_t *list)
{
    const json_t *freeze;
    size_t i;

    if (json_array_size(list) == 0)
        fputs("no freeze calendars: 'serin freeze set MODEL FILE' makes one\n", out);
    json_array_foreach(list, i, freeze)
    {
        print_row(out, freeze);
    }
}

static int list(const struct freeze_settings *settings)
{
    struct serin_error error;
    json_t *answer = NULL;

    if (admin_call(admin_address(settings->admin), "GET", "/api/v1/freezes", NULL, ADMIN_TIMEOUT_MS, &answer, &error) !=
        SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, print_table);
    json_decref(answer);
    return CLI_OK;
}

static int freeze(const void *given, char *const *operands, size_t operand_count)
{
    const struct freeze_settings *settings = given;

    if (strcmp(operands[0], "list") == 0 && operand_count == 1)
        return terminal_finish(list(settings));
    if (strcmp(operands[0], "set") == 0 && operand_count == 3)
        return terminal_finish(change(settings, operands[1], operands[2]));
    if (strcmp(operands[0], "remove") == 0 && operand_count == 2)
        return terminal_finish(change(settings, operands[1], NULL));
    terminal_complain("freeze: it is 'freeze set MODEL FILE', 'freeze list' or 'freeze remove MODEL'");
    return CLI_USAGE;
}

const struct cli_verb cli_freeze = {
    .name = "freeze",
    .summary = "say when no rollout of a model goes forward",
    .operands = "set|list|remove [MODEL] [FILE | RULES]",
    .min_operands = 1,
    .max_operands = 3,
    .text =
        "A model's freeze calendar holds for every rollout of it: within a window no step begins, neither the first "
        "nor a later one, and 'serin rollout get' and watch say until when. Evidence goes on counting, and going "
        "back is never frozen. A person's promote goes past a window, and the record of decisions says so.\n\n"
        "The calendar is YAML: zone, and windows of days of the week with times, or of dates (docs/plans.md).",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct freeze_settings),
    .run = freeze,
};
