/*
 * rollout.c - serin rollout: releases a version step by step, and takes it back.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The verbs have the names of Argo Rollouts' where that has them. All of them but replay ask the admin API; nothing is
 * decided here.
 */
#include "base/file.h"
#include "cli/admin_call.h"
#include "cli/data_dir.h"
#include "cli/json_answer.h"
#include "cli/rollout_replay.h"
#include "cli/rollout_view.h"
#include "cli/terminal.h"
#include "rollout/plan.h"
#include "version/name.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPLOY_TIMEOUT_MS 600000u
#define LOOK_NS           500000000L
#define MAX_FAILED_LOOKS  20 /* of watch and status, in a row */

struct rollout_settings {
    const char *admin, *plan, *why, *url, *data_dir;
    int output, replicas;
    double timeout_s;
    bool full, supersede, confirm, all;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(rollout_settings),
    DATA_DIR_OPTION(rollout_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json|yaml",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct rollout_settings, output),
     .help = "lines for people, or what the admin API says, as JSON or YAML"},
    {.name = "plan",
     .value = "FILE",
     .type = CLI_TEXT,
     .offset = offsetof(struct rollout_settings, plan),
     .help = "start: the plan, as YAML ('-' is stdin; serin lint checks one, and prints the default one); replay: what "
             "another plan's "
             "judge would have said"},
    {.name = "replicas",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 16,
     .offset = offsetof(struct rollout_settings, replicas),
     .help = "start: how many workers serve the version; 0 is as many as run already, or as its settings say, or one"},
    {.name = "url",
     .value = "URL",
     .type = CLI_TEXT,
     .offset = offsetof(struct rollout_settings, url),
     .help = "start: a server that runs elsewhere serves the version"},
    {.name = "confirm",
     .type = CLI_FLAG,
     .offset = offsetof(struct rollout_settings, confirm),
     .help = "start: let it in although admission found a difference from stable (see serin deploy)"},
    {.name = "supersede",
     .type = CLI_FLAG,
     .offset = offsetof(struct rollout_settings, supersede),
     .help = "start: abort the rollout of this model that is under way, or end its time to undo"},
    {.name = "full",
     .type = CLI_FLAG,
     .offset = offsetof(struct rollout_settings, full),
     .help = "promote: to all traffic at once, past all steps"},
    {.name = "why",
     .value = "TEXT",
     .type = CLI_TEXT,
     .offset = offsetof(struct rollout_settings, why),
     .help = "what the record of decisions says of your word"},
    {.name = "all",
     .type = CLI_FLAG,
     .offset = offsetof(struct rollout_settings, all),
     .help = "history: also those before the newest hundred"},
    {.name = "timeout",
     .value = "SECONDS",
     .type = CLI_REAL,
     .fallback = "0",
     .max = 604800,
     .offset = offsetof(struct rollout_settings, timeout_s),
     .help = "status: wait so long for it to be promoted or to end; 0 looks once"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin rollout start yolov8n:v1.1.0-cpu --plan plan.yaml", "release it over the stable version, by evidence"},
    {"serin rollout watch yolov8n", "a live view"},
    {"serin rollout abort yolov8n --why 'blind at gate 4'", "all traffic to stable, now"},
    {"serin rollout undo yolov8n", "back to the version before, also after it was promoted"},
    {"serin rollout status yolov8n --timeout 3600", "for scripts: exit code 0 once it is promoted, 1 if it goes back"},
    {"serin rollout history yolov8n", "who decided what, when, and why"},
    {"serin rollout replay yolov8n", "whether every decision follows from what is on disk; 1 where one does not"},
    {0},
};

/* ---- asking ---- */

static enum serin_errc ask(const struct rollout_settings *settings, const char *method, const char *rollout,
                           const char *suffix, const char *body, json_t **ret, struct serin_error *error)
{
    char path[ADMIN_MAX_PATH];
    enum serin_errc rc = admin_path(path, "/api/v1/rollouts/", rollout, suffix, error);

    return rc == SERIN_OK ? admin_call(admin_address(settings->admin), method, path, body, ADMIN_TIMEOUT_MS, ret, error)
                          : rc;
}

static int fail(const struct serin_error *error)
{
    terminal_complain("rollout: %s", error->message);
    return CLI_FAILED;
}

static void print_one(FILE *out, const json_t *rollout)
{
    rollout_view_print(out, rollout, isatty(fileno(out)), terminal_columns(fileno(out)));
}

static int get(const struct rollout_settings *settings, const char *rollout)
{
    struct serin_error error;
    json_t *answer = NULL;

    if (ask(settings, "GET", rollout, "", NULL, &answer, &error) != SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, print_one);
    json_decref(answer);
    return CLI_OK;
}

/* ---- history ---- */

static bool begins_with_start(const json_t *decisions)
{
    return json_array_size(decisions) == 0 || strcmp(text_of(json_array_get(decisions, 0), "event"), "start") == 0;
}

/* The page before what is in *decisions, put in front of it; false in *ret_more where there is none. */
static enum serin_errc ask_before(const struct rollout_settings *settings, const char *rollout, json_t *decisions,
                                  bool *ret_more, struct serin_error *error)
{
    json_t *answer = NULL;
    char suffix[64];
    size_t i;
    enum serin_errc rc;

    snprintf(suffix, sizeof(suffix), "/history?before=%lld",
             (long long)json_integer_value(json_object_get(json_array_get(decisions, 0), "number")));
    rc = ask(settings, "GET", rollout, suffix, NULL, &answer, error);
    if (rc != SERIN_OK)
        return rc;
    *ret_more = json_array_size(answer) > 0;
    for (i = json_array_size(answer); i > 0; i--)
        json_array_insert(decisions, 0, json_array_get(answer, i - 1));
    json_decref(answer);
    return SERIN_OK;
}

static int history(const struct rollout_settings *settings, const char *rollout)
{
    struct serin_error error;
    json_t *decisions = NULL;
    bool more = settings->all;
    enum serin_errc rc = ask(settings, "GET", rollout, "/history", NULL, &decisions, &error);

    while (rc == SERIN_OK && more && !begins_with_start(decisions))
        rc = ask_before(settings, rollout, decisions, &more, &error);
    if (rc != SERIN_OK) {
        json_decref(decisions);
        return fail(&error);
    }
    if (!settings->all && !begins_with_start(decisions))
        terminal_complain("rollout: the newest %zu decisions; --all shows those before", json_array_size(decisions));
    json_answer_print(settings->output, decisions, rollout_view_history);
    json_decref(decisions);
    return CLI_OK;
}

/* ---- start ---- */

static enum serin_errc deploy(const struct rollout_settings *settings, const char *name, struct serin_error *error)
{
    json_t *body = json_pack("{s:s, s:b, s:b}", "name", name, "stable", 0, "confirm", settings->confirm),
           *answer = NULL;
    enum serin_errc rc;
    char *text;

    if (settings->url)
        json_object_set_new(body, "url", json_string(settings->url));
    else if (settings->replicas > 0)
        json_object_set_new(body, "replicas", json_integer(settings->replicas));
    text = json_dumps(body, JSON_COMPACT);
    rc = text ? admin_call(admin_address(settings->admin), "POST", "/api/v1/deploy", text, DEPLOY_TIMEOUT_MS, &answer,
                           error)
              : error_set(error, SERIN_INVALID, "the name or URL is no UTF-8 text");
    free(text);
    json_decref(body);
    json_decref(answer);
    return rc;
}

static enum serin_errc read_plan(const char *path, char **ret, struct serin_error *error)
{
    static struct plan plan; /* large */
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum serin_errc rc;

    *ret = NULL;
    if (!path)
        return SERIN_OK;
    rc = file_read_input(path, PLAN_MAX_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    plan_init(&plan);
    rc = plan_read((const char *)bytes, size, &plan, error); /* here the sentence can name the file */
    rc = error_prefix(error, rc, "%s", strcmp(path, "-") == 0 ? "stdin" : path);
    if (rc == SERIN_OK) {
        *ret = strndup((const char *)bytes, size);
        if (!*ret)
            rc = error_set(error, SERIN_NOMEM, "no memory for a plan");
    }
    free(bytes);
    return rc;
}

/* Before anything is started for it: whether the model is free. No rollout yet is fine. */
static enum serin_errc check_free(const struct rollout_settings *settings, const char *model, struct serin_error *error)
{
    json_t *answer = NULL;
    enum serin_errc rc = ask(settings, "GET", model, "", NULL, &answer, error);

    if (rc == SERIN_NOT_FOUND)
        return SERIN_OK;
    if (rc == SERIN_OK && !settings->supersede && !json_is_true(json_object_get(answer, "ended")))
        rc = error_set(error, SERIN_LIMIT, "%s is %s (%s): %s", text_of(answer, "id"), text_of(answer, "phase"),
                       text_of(answer, "canary"),
                       strcmp(text_of(answer, "phase"), "Promoted") == 0
                           ? "its undo window is open; undo it, or end it with --supersede"
                           : "abort it, or say --supersede");
    json_decref(answer);
    return rc;
}

static int start(const struct rollout_settings *settings, const char *name)
{
    json_t *body = NULL, *answer = NULL;
    struct version_name parsed;
    struct serin_error error;
    char *plan = NULL, *text = NULL;
    enum serin_errc rc;

    if (version_name_parse(name, &parsed, &error) != SERIN_OK) {
        terminal_complain("rollout: %s", error.message);
        return CLI_USAGE;
    }
    rc = read_plan(settings->plan, &plan, &error);
    if (rc == SERIN_OK)
        rc = check_free(settings, parsed.model, &error);
    if (rc == SERIN_OK)
        rc = deploy(settings, name, &error);
    if (rc == SERIN_OK) {
        body = json_pack("{s:s, s:s, s:b, s:s}", "name", name, "plan", plan ? plan : "", "supersede",
                         settings->supersede, "why", settings->why ? settings->why : "");
        text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        rc = text ? admin_call(admin_address(settings->admin), "POST", "/api/v1/rollouts", text, ADMIN_TIMEOUT_MS,
                               &answer, &error)
                  : error_set(&error, SERIN_INVALID, "the plan or --why is no UTF-8 text");
    }
    free(plan);
    free(text);
    json_decref(body);
    if (rc != SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, print_one);
    json_decref(answer);
    return CLI_OK;
}

/* ---- a person's word ---- */

static int act(const struct rollout_settings *settings, const char *verb, const char *rollout)
{
    json_t *body = json_pack("{s:s}", "why", settings->why ? settings->why : ""), *answer = NULL;
    struct serin_error error;
    enum serin_errc rc;
    char suffix[32], *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    snprintf(suffix, sizeof(suffix), "/%s%s", verb, strcmp(verb, "promote") == 0 && settings->full ? "-full" : "");
    rc = text ? ask(settings, "POST", rollout, suffix, text, &answer, &error)
              : error_set(&error, SERIN_INVALID, "--why is no UTF-8 text");
    free(text);
    json_decref(body);
    if (rc != SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, print_one);
    json_decref(answer);
    return CLI_OK;
}

/* ---- watching ---- */

static bool has_ended(const json_t *rollout)
{
    const char *phase = json_string_value(json_object_get(rollout, "phase"));

    return json_is_true(json_object_get(rollout, "ended")) || (phase && strcmp(phase, "Promoted") == 0);
}

static bool has_succeeded(const json_t *rollout)
{
    const char *phase = json_string_value(json_object_get(rollout, "phase"));

    return phase && (strcmp(phase, "Promoted") == 0 || strcmp(phase, "Completed") == 0);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Looks again and again; a server that is starting again is waited for. *ret is the last look, or NULL. */
static enum serin_errc look_until(const struct rollout_settings *settings, const char *rollout, double until_s,
                                  bool draw, json_t **ret, struct serin_error *error)
{
    const struct timespec pause = {0, LOOK_NS};
    enum serin_errc rc = SERIN_OK;
    int failed = 0;

    *ret = NULL;
    for (;;) {
        json_t *answer = NULL;

        rc = ask(settings, "GET", rollout, "", NULL, &answer, error);
        if (rc == SERIN_OK) {
            json_decref(*ret);
            *ret = answer;
            failed = 0;
            if (draw && isatty(STDOUT_FILENO))
                fputs("\033[H\033[2J", stdout);
            if (draw && settings->output == OUTPUT_YAML)
                puts("---"); /* each look is a document of its own */
            if (draw)
                json_answer_print(settings->output == OUTPUT_JSON ? (int)OUTPUT_JSON_LINE : settings->output, answer,
                                  print_one);
            if ((draw && !terminal_flush()) || has_ended(answer))
                return SERIN_OK;
        } else if (rc != SERIN_IO || ++failed > MAX_FAILED_LOOKS) {
            return rc;
        }
        if (until_s > 0 && seconds_now() >= until_s)
            return rc;
        nanosleep(&pause, NULL);
    }
}

static int watch(const struct rollout_settings *settings, const char *rollout)
{
    struct serin_error error;
    json_t *last = NULL;
    enum serin_errc rc = look_until(settings, rollout, 0, true, &last, &error);

    json_decref(last);
    return rc == SERIN_OK ? CLI_OK : fail(&error);
}

/* Exit code 0: promoted. 1: it went back, or not yet (a sentence says which). */
static int status(const struct rollout_settings *settings, const char *rollout)
{
    struct serin_error error;
    json_t *last = NULL;
    enum serin_errc rc;
    int code = CLI_FAILED;

    rc = look_until(settings, rollout, seconds_now() + settings->timeout_s, false, &last, &error);
    if (rc != SERIN_OK && !last)
        return fail(&error);
    json_answer_print(settings->output, last, print_one);
    if (has_succeeded(last))
        code = CLI_OK;
    else if (!has_ended(last) && settings->timeout_s > 0)
        terminal_complain("rollout: it has not ended after %g s", settings->timeout_s);
    else
        terminal_complain("rollout: it is %s", has_ended(last) ? "taken back" : "not promoted yet");
    json_decref(last);
    return code;
}

static int list(const struct rollout_settings *settings, const char *none)
{
    struct serin_error error;
    json_t *answer = NULL;

    (void)none;
    if (admin_call(admin_address(settings->admin), "GET", "/api/v1/rollouts", NULL, ADMIN_TIMEOUT_MS, &answer,
                   &error) != SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, rollout_view_list);
    json_decref(answer);
    return CLI_OK;
}

static int replay(const struct rollout_settings *settings, const char *rollout)
{
    if (settings->output == OUTPUT_TABLE)
        return rollout_replay(settings->data_dir, settings->plan, rollout);
    terminal_complain("rollout: replay prints lines for people only, and its exit code is for scripts");
    return CLI_USAGE;
}

/* ---- the verbs ---- */

#define OF_ROLLOUT "a rollout's id, or a model's name"

enum { PLAN = 1, REPLICAS = 2, URL = 4, CONFIRM = 8, SUPERSEDE = 16, FULL = 32, WHY = 64, ALL = 128, TIMEOUT = 256 };

static const struct rollout_verb {
    const char *name, *operand;
    int (*run)(const struct rollout_settings *settings, const char *operand); /* NULL: a person's word, act */
    unsigned takes;                                                           /* which of the options */
} verbs[] = {
    {"start", "NAME:TAG", start, PLAN | REPLICAS | URL | CONFIRM | SUPERSEDE | WHY},
    {"get", OF_ROLLOUT, get, 0},
    {"list", NULL, list, 0},
    {"watch", OF_ROLLOUT, watch, 0},
    {"pause", OF_ROLLOUT, NULL, WHY},
    {"resume", OF_ROLLOUT, NULL, WHY},
    {"promote", OF_ROLLOUT, NULL, FULL | WHY},
    {"abort", OF_ROLLOUT, NULL, WHY},
    {"retry", OF_ROLLOUT, NULL, WHY},
    {"undo", OF_ROLLOUT, NULL, WHY},
    {"status", OF_ROLLOUT, status, TIMEOUT},
    {"history", OF_ROLLOUT, history, ALL},
    {"replay", OF_ROLLOUT, replay, PLAN},
    {"repair", OF_ROLLOUT, NULL, WHY},
};

static const struct rollout_verb *find_verb(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* An option that a verb has nothing to do with; NULL: none. */
static const char *misplaced_option(const struct rollout_settings *settings, unsigned takes)
{
    const struct {
        unsigned option;
        bool is_given;
        const char *name;
    } given[] = {{PLAN, settings->plan != NULL, "--plan"},        {REPLICAS, settings->replicas > 0, "--replicas"},
                 {URL, settings->url != NULL, "--url"},           {CONFIRM, settings->confirm, "--confirm"},
                 {SUPERSEDE, settings->supersede, "--supersede"}, {FULL, settings->full, "--full"},
                 {WHY, settings->why != NULL, "--why"},           {ALL, settings->all, "--all"},
                 {TIMEOUT, settings->timeout_s > 0, "--timeout"}};
    size_t i;

    for (i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        if (given[i].is_given && !(given[i].option & takes))
            return given[i].name;
    return NULL;
}

static int rollout(const void *given, char *const *operands, size_t operand_count)
{
    const struct rollout_settings *settings = given;
    const struct rollout_verb *verb = find_verb(operands[0]);
    const char *misplaced, *name;

    if (!verb) {
        terminal_complain("rollout: '%s' is not known: start, get, list, watch, pause, resume, promote, abort, retry, "
                          "undo, status, history, replay, repair",
                          operands[0]);
        return CLI_USAGE;
    }
    if ((operand_count == 2) != (verb->operand != NULL)) {
        terminal_complain("rollout: 'serin rollout %s' takes %s", verb->name,
                          verb->operand ? verb->operand : "no name");
        return CLI_USAGE;
    }
    misplaced = misplaced_option(settings, verb->takes);
    if (misplaced) {
        terminal_complain("rollout: 'serin rollout %s' has nothing to do with %s", verb->name, misplaced);
        return CLI_USAGE;
    }
    name = operand_count == 2 ? operands[1] : NULL;
    return terminal_finish(verb->run ? verb->run(settings, name) : act(settings, verb->name, name));
}

const struct cli_verb cli_rollout = {
    .name = "rollout",
    .summary = "release a version step by step, by evidence, and take it back",
    .operands = "VERB [NAME:TAG | ROLLOUT | MODEL]",
    .min_operands = 1,
    .max_operands = 2,
    .text =
        "start NAME:TAG deploys the version as canary and begins its rollout: the canary gets the share of the plan's "
        "first step, then more with every step that is proven harmless, and none at once where it does harm. One "
        "rollout a model at a time.\n\n"
        "get, list and watch show how it stands; pause, resume, promote, abort, retry and undo are a person's word; "
        "status is for scripts; history shows every decision, and replay judges them again from the data folder, "
        "whether or "
        "not serin serve runs. ROLLOUT is an id (yolov8n-1), or a model's name for "
        "its newest.\n\n"
        "A rollout that is Inconclusive waits for a person: the versions differ, and nobody has said which is right. "
        "undo works after the promotion too, and needs no steps.\n\n"
        "Where the log of decisions is damaged, rollouts of the models that it concerns stand still and stable has "
        "their "
        "traffic. history shows the log; repair is a person's word that it is accepted as it stands, and aborts what "
        "was "
        "under way.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct rollout_settings),
    .run = rollout,
};
