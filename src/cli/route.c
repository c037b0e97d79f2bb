/*
 * route.c - serin route: which version of a model gets which share of its requests, shown and changed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Weights alone are one PATCH, which changes nothing else whoever else is at work. Anything else reads the route,
 * changes it and puts it back whole.
 */
#include "base/buffer.h"
#include "cli/admin_call.h"
#include "cli/admin_route.h"
#include "cli/json_answer.h"
#include "cli/route_words.h"
#include "cli/terminal.h"
#include "version/name.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPERANDS   (2 + ROUTE_MAX_VERSIONS)
#define MAX_BODY_BYTES 65536

struct route_settings {
    const char *admin, *key, *mirror, *rule;
    int output; /* table, json */
    int unit;   /* keep, then enum route_unit */
    int block_seconds, timeout_ms, canary_timeout_ms, cameras, need_key;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(route_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct route_settings, output),
     .help = "lines for people, or the JSON of the admin API"},
    {.name = "unit",
     .value = "keep|request|key|key_block",
     .type = CLI_CHOICE,
     .fallback = "keep",
     .offset = offsetof(struct route_settings, unit),
     .help = "what is assigned to a version: each request by itself, a key (a camera) for good, or a key for a block "
             "of time"},
    {.name = "key",
     .value = "SOURCE",
     .type = CLI_TEXT,
     .offset = offsetof(struct route_settings, key),
     .help = "where the key of a request is: header:NAME, cookie:NAME, query:NAME or address; a route by request "
             "becomes one by key"},
    {.name = "block",
     .value = "SECONDS",
     .type = CLI_INTEGER,
     .min = 1,
     .max = 604800,
     .offset = offsetof(struct route_settings, block_seconds),
     .help = "how long a key keeps its version before it is drawn again; without --unit, the unit becomes key_block"},
    {.name = "mirror",
     .value = "LIST",
     .type = CLI_TEXT,
     .offset = offsetof(struct route_settings, mirror),
     .help = "TAG=PERCENT,...: versions that get copies of requests and whose answers nobody waits for, in place of "
             "those there were; none: no mirrors"},
    {.name = "rule",
     .value = "LIST",
     .type = CLI_TEXT,
     .offset = offsetof(struct route_settings, rule),
     .help = "HEADER=VALUE:TAG,...: requests that get a version whatever the weights (HEADER:TAG: of any value), in "
             "place of the rules there were; none: no rules"},
    {.name = "timeout-ms",
     .value = "N",
     .type = CLI_INTEGER,
     .min = 1,
     .max = 600000,
     .offset = offsetof(struct route_settings, timeout_ms),
     .help = "how long one try at a version may take"},
    {.name = "canary-timeout-ms",
     .value = "N",
     .type = CLI_INTEGER,
     .min = 1,
     .max = 600000,
     .offset = offsetof(struct route_settings, canary_timeout_ms),
     .help = "after how long stable is asked in place of another version"},
    {.name = "need-key",
     .value = "keep|yes|no",
     .type = CLI_CHOICE,
     .fallback = "keep",
     .offset = offsetof(struct route_settings, need_key),
     .help = "whether who asks must show an API key of the model (serin token create NAME --model MODEL)"},
    {.name = "cameras",
     .value = "N",
     .type = CLI_INTEGER,
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct route_settings, cameras),
     .help = "how many keys there are: says whether so few can give the shares that are asked for"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin route get", "all routes, and the shares in force"},
    {"serin route set yolov8n v2=1 v1=99", "one request of a hundred to v2"},
    {"serin route set yolov8n v2=0", "take v2 off, from the next request on"},
    {"serin route set yolov8n v1=9 v2=1 --key header:X-Camera --block 300",
     "a tenth of the cameras' time, drawn again every five minutes"},
    {"serin route set yolov8n --mirror v2=100 --rule X-Line=3:v2",
     "v2 gets a copy of every request, and all of line 3 for real"},
    {0},
};

/* ---- get ---- */

static enum serin_errc print_routes(const json_t *answer, struct serin_error *error)
{
    const json_t *list = json_is_object(answer) && json_is_array(json_object_get(answer, "routes"))
                             ? json_object_get(answer, "routes")
                             : answer;
    enum serin_errc rc = SERIN_OK;
    struct route route;
    size_t i;

    if (!json_is_array(list)) {
        rc = admin_route_read(answer, &route, error);
        if (rc == SERIN_OK)
            route_print(stdout, &route);
        return rc;
    }
    if (json_array_size(list) == 0)
        puts("no routes yet: 'serin deploy NAME:TAG' makes one");
    for (i = 0; i < json_array_size(list) && rc == SERIN_OK; i++) {
        rc = admin_route_read(json_array_get(list, i), &route, error);
        if (i > 0)
            putchar('\n');
        if (rc == SERIN_OK)
            route_print(stdout, &route);
    }
    return rc;
}

static enum serin_errc get(const struct route_settings *settings, const char *model, struct serin_error *error)
{
    char path[ADMIN_MAX_PATH] = "/api/v1/routes";
    json_t *answer = NULL;
    enum serin_errc rc = SERIN_OK;

    if (model)
        rc = admin_path(path, "/api/v1/routes/", model, "", error);
    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), "GET", path, NULL, ADMIN_TIMEOUT_MS, &answer, error);
    if (rc == SERIN_OK && settings->output == OUTPUT_JSON)
        json_answer_print(OUTPUT_JSON, answer, NULL);
    else if (rc == SERIN_OK)
        rc = print_routes(answer, error);
    json_decref(answer);
    return rc;
}

/* ---- set ---- */

/* What the command line asks for besides weights, put into route. */
static enum serin_errc apply(const struct route_settings *settings, struct route *route, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;

    if (settings->key)
        rc = route_read_key(settings->key, route, error);
    if (rc == SERIN_OK && settings->rule)
        rc = route_read_rules(settings->rule, route, error);
    if (rc == SERIN_OK && settings->mirror)
        rc = route_read_mirrors(settings->mirror, route, error);
    if (rc != SERIN_OK)
        return rc;
    if (settings->unit > 0)
        route->unit = (enum route_unit)(settings->unit - 1);
    else if (settings->block_seconds)
        route->unit = ROUTE_KEY_BLOCK;
    else if (settings->key && route->unit == ROUTE_REQUEST)
        route->unit = ROUTE_KEY;
    if (settings->block_seconds)
        route->block_seconds = (uint32_t)settings->block_seconds;
    if (settings->need_key)
        route->needs_key = settings->need_key == 1;
    if (settings->timeout_ms)
        route->timeout_ms = (uint32_t)settings->timeout_ms;
    if (settings->canary_timeout_ms)
        route->canary_timeout_ms = (uint32_t)settings->canary_timeout_ms;
    return SERIN_OK;
}

static bool only_weights(const struct route_settings *settings)
{
    return !settings->key && !settings->rule && !settings->mirror && settings->unit == 0 && !settings->block_seconds &&
           !settings->timeout_ms && !settings->canary_timeout_ms && settings->need_key == 0;
}

static enum serin_errc patch(const char *address, const char *model, const struct route_weight *weights, size_t count,
                             json_t **ret, struct serin_error *error)
{
    char path[ADMIN_MAX_PATH];
    json_t *body = json_object();
    enum serin_errc rc = admin_path(path, "/api/v1/routes/", model, "/weights", error);
    char *text;
    size_t i;

    for (i = 0; i < count; i++)
        json_object_set_new(body, weights[i].tag, json_integer(weights[i].weight));
    text = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (rc == SERIN_OK && !text)
        rc = error_set(error, SERIN_INVALID, "a tag is no UTF-8 text");
    if (rc == SERIN_OK)
        rc = admin_call(address, "PATCH", path, text, ADMIN_TIMEOUT_MS, ret, error);
    free(text);
    json_decref(body);
    return rc;
}

static enum serin_errc put(const struct route_settings *settings, const char *model, const struct route_weight *weights,
                           size_t count, json_t **ret, struct serin_error *error)
{
    const char *address = admin_address(settings->admin);
    char path[ADMIN_MAX_PATH];
    json_t *present = NULL;
    struct buffer body;
    struct route route;
    enum serin_errc rc;
    size_t i;

    rc = admin_path(path, "/api/v1/routes/", model, "", error);
    if (rc == SERIN_OK)
        rc = admin_call(address, "GET", path, NULL, ADMIN_TIMEOUT_MS, &present, error);
    if (rc == SERIN_OK)
        rc = admin_route_read(present, &route, error);
    json_decref(present);
    for (i = 0; i < count && rc == SERIN_OK; i++)
        rc = route_set_weight(&route, &weights[i], error);
    if (rc == SERIN_OK)
        rc = apply(settings, &route, error);
    if (rc == SERIN_OK)
        rc = route_check(&route, error);
    if (rc != SERIN_OK)
        return rc;
    buffer_init(&body, MAX_BODY_BYTES);
    route_to_json(&route, &body);
    rc = buffer_check(&body, "the route", error);
    if (rc == SERIN_OK)
        rc = admin_call(address, "PUT", path, body.bytes, ADMIN_TIMEOUT_MS, ret, error);
    buffer_done(&body);
    return rc;
}

/* All that the words alone can be wrong in, before anything is asked or changed. */
static enum serin_errc read_words(const struct route_settings *settings, const char *model, char *const *words,
                                  size_t count, struct route_weight *weights, struct serin_error *error)
{
    enum serin_errc rc = version_model_check(model, error);
    struct route scratch;
    size_t i, k;

    for (i = 0; i < count && rc == SERIN_OK; i++) {
        rc = route_read_weight(words[i], &weights[i], error);
        for (k = 0; k < i && rc == SERIN_OK; k++)
            if (strcmp(weights[k].tag, weights[i].tag) == 0)
                rc = error_set(error, SERIN_INVALID, "%s is given two weights", weights[i].tag);
    }
    route_init(&scratch, model);
    return rc == SERIN_OK ? apply(settings, &scratch, error) : rc;
}

static int set(const struct route_settings *settings, const char *model, char *const *words, size_t count)
{
    struct route_weight weights[ROUTE_MAX_VERSIONS];
    struct serin_error error;
    json_t *answer = NULL;
    struct route route;
    enum serin_errc rc;
    char hint[400];

    if (read_words(settings, model, words, count, weights, &error) != SERIN_OK) {
        terminal_complain("route: %s", error.message);
        return CLI_USAGE;
    }
    if (count == 0 && only_weights(settings)) {
        terminal_complain(
            "route: nothing to set: TAG=WEIGHT or an option is missing; 'serin route --help' has examples");
        return CLI_USAGE;
    }
    rc = only_weights(settings) ? patch(admin_address(settings->admin), model, weights, count, &answer, &error)
                                : put(settings, model, weights, count, &answer, &error);
    if (rc == SERIN_OK)
        rc = admin_route_read(answer, &route, &error);
    if (rc == SERIN_OK && settings->output == OUTPUT_JSON)
        json_answer_print(OUTPUT_JSON, answer, NULL);
    else if (rc == SERIN_OK)
        route_print(stdout, &route);
    json_decref(answer);
    if (rc != SERIN_OK) {
        terminal_complain("route: %s", error.message);
        return CLI_FAILED;
    }
    if (route_hint(&route, settings->cameras, hint, sizeof(hint)) && terminal_flush())
        terminal_complain("route: note: %s", hint);
    return CLI_OK;
}

static int run(const void *given, char *const *operands, size_t operand_count)
{
    const struct route_settings *settings = given;
    struct serin_error error;

    if (strcmp(operands[0], "set") == 0) {
        if (operand_count >= 2)
            return set(settings, operands[1], operands + 2, operand_count - 2);
        terminal_complain("route: set needs a model: serin route set MODEL TAG=WEIGHT ...");
        return CLI_USAGE;
    }
    if (strcmp(operands[0], "get") != 0) {
        terminal_complain("route: '%s' is neither get nor set", operands[0]);
        return CLI_USAGE;
    }
    if (operand_count > 2) {
        terminal_complain("route: '%s' is one argument too many for get", operands[2]);
        return CLI_USAGE;
    }
    if (!only_weights(settings)) {
        terminal_complain("route: get changes nothing: what is to be changed goes with 'serin route set'");
        return CLI_USAGE;
    }
    if (get(settings, operand_count == 2 ? operands[1] : NULL, &error) != SERIN_OK) {
        terminal_complain("route: %s", error.message);
        return CLI_FAILED;
    }
    return CLI_OK;
}

const struct cli_verb cli_route = {
    .name = "route",
    .summary = "show or change which version gets which share",
    .operands = "get [MODEL] | set MODEL [TAG=WEIGHT ...]",
    .min_operands = 1,
    .max_operands = MAX_OPERANDS,
    .text = "Of a running serin serve. A version's share is its weight divided by the sum of all weights of the model; "
            "0 is none, exactly. What set changes holds for the next request, and all that is not named stays as it "
            "is.\n\n"
            "With --unit key the share is one of keys, such as cameras: raising a weight only moves keys to that "
            "version, and no key changes sides otherwise. Few keys cannot give small shares; set says so, and "
            "--unit key_block helps.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct route_settings),
    .run = run,
};
