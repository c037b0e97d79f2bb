/*
 * label_gate.c - the gateway refuses at once what no rollout could take, as far as it has been told what they take.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One server is asked at a time. It is asked again after ASK_AGAIN_MS where it did not answer, and no more in this
 * attempt of the rollout once it has, whatever it said.
 */
#include "serve/label_gate.h"

#include "http/client.h"
#include "serve/declaration.h"
#include "serve/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS   10000
#define ASK_TIMEOUT_MS 5000

struct label_gate {
    struct server *server;
    struct observer *observer;
    struct http_client *client;                                     /* asks now; NULL: nobody is asked */
    char model[VERSION_MAX_MODEL + 1], rollout[ROLLOUT_MAX_ID + 1]; /* for whom */
    int turn;                                                       /* of the table's entries, so that all have one */
    uint64_t ask_after_ms;
    bool asking;  /* an answer is waited for; else the client, if there is one, is being closed */
    bool closing; /* the gate goes with its client */
};

static void name_of(const char *model, const char *tag, char *name, size_t size)
{
    snprintf(name, size, "%s:%s", model, tag);
}

/* ---- what the observer asks ---- */

static char *class_names(void *user, const char *model, const char *tag)
{
    struct label_gate *gate = user;
    struct bundle bundle = {0};
    char name[2 * ROUTE_MAX_TEXT + 2], *names = NULL;

    name_of(model, tag, name, sizeof(name));
    if (bundles_find(gate->server->bundles, name, &bundle, NULL) == SERIN_OK && bundle.class_names_json)
        names = strdup(bundle.class_names_json);
    bundle_done(&bundle);
    return names;
}

/* A model without a route has no key. */
static bool may_label(void *user, const char *model, uint64_t opened)
{
    const struct label_gate *gate = user;
    int at = table_find(gate->server, model);

    return at < 0 || (opened >> gate->server->table.entries[at].lease & 1);
}

/* ---- telling the gateway ---- */

void label_gate_renew(struct label_gate *gate)
{
    struct class_list *classes[GATEWAY_MAX_MODELS] = {NULL};
    bool expected[GATEWAY_MAX_MODELS] = {false};
    struct controller_trial trial;
    int i;

    for (i = 0; i < gate->server->table.entry_count; i++) {
        const struct gateway_entry *entry = &gate->server->table.entries[i];

        expected[entry->lease] = controller_find(gate->observer->controller, entry->route.model, &trial);
        if (expected[entry->lease])
            classes[entry->lease] = label_join_classes(gate->observer, trial.rollout);
    }
    for (i = 0; i < GATEWAY_MAX_MODELS; i++)
        gateway_expect_labels(gate->server->gateway, i, expected[i], classes[i]);
}

/* ---- asking a server ---- */

static void client_closed(void *user)
{
    struct label_gate *gate = user;

    if (gate->closing)
        free(gate);
    else
        gate->client = NULL;
}

static void let_go(struct label_gate *gate)
{
    gate->asking = false;
    http_client_close(gate->client, client_closed, gate);
}

/* Its classes as JSON in names; where it tells none they are empty. */
static enum serin_errc read_classes(const struct http_answer *answer, struct buffer *names, struct serin_error *error)
{
    struct declaration declaration = {0};
    enum serin_errc rc = SERIN_OK;

    if (answer->head->status == 200)
        rc = declaration_read_config(answer->body->data, answer->body->size, &declaration, error);
    if (rc == SERIN_OK && declaration_has_classes(&declaration))
        declaration_write_classes(&declaration, names);
    declaration_done(&declaration);
    return rc == SERIN_OK ? buffer_check(names, "the names of classes", error) : rc;
}

static void answered(void *user, const struct http_answer *answer)
{
    struct label_gate *gate = user;
    struct serin_error error;
    struct buffer names;

    if (!gate->asking)
        return;
    if (answer->rc == SERIN_OK) {
        buffer_init(&names, DECLARATION_MAX_BYTES);
        if (read_classes(answer, &names, &error) != SERIN_OK)
            log_event(gate->server->log, "warn", "asking for classes", "%s: %s", gate->model, error.message);
        label_join_learn_classes(gate->observer, gate->rollout, names.failed || names.size == 0 ? NULL : names.bytes);
        buffer_done(&names);
        gate->ask_after_ms = 0; /* the next one has done nothing wrong */
        label_gate_renew(gate);
    }
    let_go(gate);
}

static enum serin_errc ask(struct label_gate *gate, const char *endpoint, struct serin_error *error)
{
    struct http_client_options options;
    char target[VERSION_MAX_MODEL + 32];
    struct buffer head;
    enum serin_errc rc;

    http_client_options_init(&options);
    options.limits.max_body_bytes = DECLARATION_MAX_BYTES;
    options.max_connections = 1;
    options.tls = gate->server->options.upstream_tls;
    rc = http_client_new(&gate->server->loop, endpoint, &options, &gate->client, error);
    if (rc != SERIN_OK)
        return rc;
    snprintf(target, sizeof(target), "/v2/models/%s/config", gate->model);
    buffer_init(&head, 4096);
    http_write_request_line(&head, (struct http_slice){"GET", 3}, (struct http_slice){target, strlen(target)});
    http_write_field(&head, "User-Agent", "serin-admission");
    http_write_field(&head, "Accept", "application/json");
    rc = http_call_start(gate->client, &head, NULL, ASK_TIMEOUT_MS, answered, gate, NULL, error);
    buffer_done(&head);
    gate->asking = true;
    if (rc != SERIN_OK)
        let_go(gate);
    return rc;
}

/* Of the model whose turn it is, where a server that is up would know more than we. */
static void ask_in_turn(struct label_gate *gate)
{
    char name[2 * ROUTE_MAX_TEXT + 2];
    struct controller_trial trial;
    struct serin_error error;
    const char *endpoint;
    int count = gate->server->table.entry_count, i;

    for (i = 0; i < count; i++) {
        const struct route *route = &gate->server->table.entries[++gate->turn % count].route;

        if (!controller_find(gate->observer->controller, route->model, &trial) ||
            !label_join_lacks_classes(gate->observer, trial.rollout))
            continue;
        name_of(route->model, trial.rollout->stable, name, sizeof(name));
        endpoint = fleet_ready_endpoint(fleet_find(gate->server->fleet, name));
        if (!endpoint)
            continue;
        snprintf(gate->model, sizeof(gate->model), "%s", route->model);
        snprintf(gate->rollout, sizeof(gate->rollout), "%s", trial.rollout->id);
        gate->ask_after_ms = uv_now(&gate->server->loop) + ASK_AGAIN_MS;
        if (ask(gate, endpoint, &error) != SERIN_OK)
            log_event(gate->server->log, "warn", "asking for classes", "%s: %s", name, error.message);
        return;
    }
}

void label_gate_tick(struct label_gate *gate)
{
    label_gate_renew(gate);
    if (!gate->client && uv_now(&gate->server->loop) >= gate->ask_after_ms)
        ask_in_turn(gate);
}

enum serin_errc label_gate_new(struct server *server, struct observer *observer, struct label_gate **ret,
                               struct serin_error *error)
{
    struct label_gate *gate = calloc(1, sizeof(*gate));

    if (!gate)
        return error_set(error, SERIN_NOMEM, "no memory for what labels may say");
    gate->server = server;
    gate->observer = observer;
    observer->class_names = class_names;
    observer->may_label = may_label;
    observer->gate = gate;
    *ret = gate;
    return SERIN_OK;
}

void label_gate_close(struct label_gate *gate)
{
    if (!gate)
        return;
    gate->closing = true;
    if (!gate->client)
        free(gate);
    else if (gate->asking)
        let_go(gate);
}
