/*
 * table.c - the routes in force: on disk first, then in the gateway; but who takes a version off does not wait for the
 * disk. SPDX-License-Identifier: Apache-2.0
 */
#include "serve/inside.h"
#include "serve/rollouts.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define SLOW_S 1.0

int table_find(const struct server *server, const char *model)
{
    int i;

    for (i = 0; i < server->table.entry_count; i++)
        if (strcmp(server->table.entries[i].route.model, model) == 0)
            return i;
    return -1;
}

enum serin_errc table_no_route(const struct server *server, const char *model, struct serin_error *error)
{
    char names[256] = "";
    size_t used = 0;
    int i;

    for (i = 0; i < server->table.entry_count && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "",
                                 server->table.entries[i].route.model);
    return error_set(error, SERIN_NOT_FOUND, "no model '%.*s' has a route: there %s%s%s", VERSION_MAX_MODEL, model,
                     i == 0 ? "is none" : "is ", names, used >= sizeof(names) ? " ..." : "");
}

/* Fills in where the versions of an entry are served now. */
static void fill_endpoints(struct server *server, struct gateway_entry *entry)
{
    int v, i;

    for (v = 0; v < entry->route.version_count; v++) {
        struct gateway_version *version = &entry->versions[v];
        char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
        struct fleet_version *of;

        snprintf(name, sizeof(name), "%s:%s", entry->route.model, entry->route.versions[v].tag);
        of = fleet_find(server->fleet, name);
        version->endpoint_count = 0;
        version->doubtful = false;
        version->slot = fleet_slot(server->fleet, name);
        if (!of || of->leaving)
            continue;
        /* Where every replica of stable fails its checks, those that have been ready are tried all the same: nobody
         * stands behind stable, and checks may fail where requests do not. */
        version->doubtful =
            fleet_ready_count(of) == 0 && strcmp(entry->route.versions[v].tag, entry->route.stable) == 0;
        for (i = 0; i < of->replica_count; i++)
            if (version->doubtful ? of->replicas[i].state == REPLICA_READY : fleet_is_up(&of->replicas[i]))
                snprintf(version->endpoints[version->endpoint_count++], GATEWAY_MAX_ADDRESS, "%s",
                         of->replicas[i].endpoint);
    }
}

_Static_assert(TOKENS_MAX_KEYS == GATEWAY_MAX_KEYS && TOKEN_HASH_BYTES == GATEWAY_KEY_BYTES, "all keys have a place");

static void fill_keys(const struct server *server, struct gateway_entry *entry)
{
    const struct tokens *tokens = access_tokens(server->access);
    int i;

    entry->key_count = 0;
    for (i = 0; i < tokens->count && entry->key_count < GATEWAY_MAX_KEYS; i++)
        if (tokens->items[i].role == ROLE_KEY && strcmp(tokens->items[i].model, entry->route.model) == 0)
            memcpy(entry->keys[entry->key_count++], tokens->items[i].hash, GATEWAY_KEY_BYTES);
}

static enum serin_errc publish(struct server *server, struct serin_error *error)
{
    int i;

    for (i = 0; i < server->table.entry_count; i++) {
        fill_endpoints(server, &server->table.entries[i]);
        fill_keys(server, &server->table.entries[i]);
    }
    return gateway_publish(server->gateway, &server->table, error);
}

void table_refresh(struct server *server)
{
    struct serin_error error;

    if (publish(server, &error) != SERIN_OK)
        log_event(server->log, "error", "publishing the table", "%s", error.message);
}

/* A version may come into a route, get more weight, or become stable, only where something serves it. What stays or
 * falls is not asked: a version must be taken off also while another one is down. */
static enum serin_errc check_served(const struct server *server, const struct route *route, struct serin_error *error)
{
    int at = table_find(server, route->model), v;
    uint64_t total = 0;

    for (v = 0; v < route->version_count; v++) {
        const struct route_version *version = &route->versions[v];
        char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
        bool is_new = true, gains = version->weight > 0, becomes_stable = strcmp(route->stable, version->tag) == 0;
        const struct fleet_version *of;

        if (at >= 0) {
            const struct route *present = &server->table.entries[at].route;
            int before = route_find(present, version->tag);

            is_new = before < 0;
            gains = gains && (is_new || version->weight > present->versions[before].weight);
            becomes_stable = becomes_stable && strcmp(route->stable, present->stable) != 0;
        }
        gains = gains || becomes_stable;
        snprintf(name, sizeof(name), "%s:%s", route->model, version->tag);
        of = fleet_find(server->fleet, name);
        if ((!of || of->leaving) && (is_new || gains))
            return error_set(error, SERIN_LIMIT, "%s is not served: deploy it first (serin deploy %s --canary)", name,
                             name);
        if (gains && of && fleet_ready_count(of) == 0)
            return error_set(error, SERIN_LIMIT,
                             "%s has no replica that is ready: it gets no weight and does not become stable", name);
    }
    for (v = 0; v < route->version_count; v++)
        total += route->versions[v].weight + route->versions[v].drain_weight;
    if (total == 0)
        return error_set(error, SERIN_LIMIT,
                         "no version of '%s' would have weight, and every client an error: remove the route "
                         "where that is meant",
                         route->model);
    return SERIN_OK;
}

static int free_lease(const struct server *server)
{
    bool taken[GATEWAY_MAX_MODELS] = {false};
    int i;

    for (i = 0; i < server->table.entry_count; i++)
        taken[server->table.entries[i].lease] = true;
    for (i = 0; taken[i]; i++) /* there are as many as models */
        ;
    return i;
}

static enum serin_errc write_json(const struct route *route, struct buffer *json, struct serin_error *error)
{
    buffer_init(json, 1 << 20);
    route_to_json(route, json);
    return buffer_check(json, "the route", error);
}

/* But for the revision; salt 0 is the present one. */
static bool is_same_route(const struct route *present, const struct route *route)
{
    struct route other = *route;

    other.revision = present->revision;
    other.salt = other.salt ? other.salt : present->salt;
    return route_is_same(present, &other);
}

/* Whether all that changes are weights, and only stable's rises: then somebody takes a version off, or back. */
static bool only_goes_back(const struct route *present, const struct route *route)
{
    struct route same = *present;
    int i;

    if (!present->stable[0] || present->version_count != route->version_count)
        return false;
    for (i = 0; i < route->version_count; i++) {
        const struct route_version *before = &present->versions[i], *after = &route->versions[i];
        uint32_t kept = before->weight > before->drain_weight ? before->weight : before->drain_weight;

        if (strcmp(before->tag, present->stable) != 0 && (after->weight > before->weight || after->drain_weight > kept))
            return false;
        same.versions[i].weight = after->weight;
        same.versions[i].drain_weight = after->drain_weight;
    }
    return is_same_route(&same, route);
}

/* What a rollout has said of it stays; where its versions are served is filled in when it is published. */
static void put_entry(struct server *server, const struct route *route)
{
    int at = table_find(server, route->model);

    if (at < 0) {
        const int lease = free_lease(server);

        at = server->table.entry_count++;
        memset(&server->table.entries[at], 0, sizeof(server->table.entries[at]));
        server->table.entries[at].lease = lease;
    }
    server->table.entries[at].route = *route;
}

/* The safety of going back wins over its durability: the route is in force, and written when it can be. */
static enum serin_errc keep_unstored(struct server *server, int at, const struct serin_error *fault,
                                     struct serin_error *error)
{
    const char *model = server->table.entries[at].route.model;

    server->unstored[at] = true;
    log_event(server->log, "error", "changing a route", "%s is in force, but not stored yet: %s", model,
              fault->message);
    return error_set(error, fault->code,
                     "the route of '%s' is in force as asked, but not stored: until it is (tried every second), a "
                     "start would bring back the weights of before: %s",
                     model, fault->message);
}

void table_store(struct server *server)
{
    int i;

    for (i = 0; i < server->table.entry_count; i++) {
        const struct route *route = &server->table.entries[i].route;
        struct serin_error error;
        struct buffer json;

        if (!server->unstored[i])
            continue;
        if (write_json(route, &json, &error) == SERIN_OK &&
            state_put_route(server->state, route->model, json.bytes, NULL, NULL, "serin", &error) == SERIN_OK) {
            server->unstored[i] = false;
            log_event(server->log, "info", "changing a route", "%s is stored, too", route->model);
        }
        buffer_done(&json);
    }
}

bool table_is_stored(const struct server *server)
{
    int i;

    for (i = 0; i < server->table.entry_count; i++)
        if (server->unstored[i])
            return false;
    return true;
}

const char *table_unstored(const struct server *server, int entry)
{
    if (server->state_gone)
        return "the state file was deleted or replaced: a start would find nothing of what is in force, and no change "
               "is "
               "taken that is not a way back";
    if (server->unstored[entry])
        return "its weights are in force, but not on disk: a start would bring back those of before";
    if (rollouts_are_unwritten(server->rollouts, server->table.entries[entry].route.model))
        return "its rollout goes back, and stable has everything, but that is not on disk: a start would go on with "
               "the "
               "rollout";
    return NULL;
}

void table_tell_slow(struct server *server, const char *what, uint64_t started_ns)
{
    const double took_s = clock_ms_since(started_ns) / 1000;

    if (took_s >= SLOW_S)
        log_event(server->log, "warn", "writing",
                  "the disk is slow: %s took %.1f s, in which the control port did nothing", what, took_s);
}

static enum serin_errc put(struct server *server, const struct route *route, const struct state_serving *enters,
                           const char *leaves, bool by_rollout, const char *author, struct serin_error *error)
{
    int at = table_find(server, route->model);
    struct route numbered = *route;
    struct serin_error fault;
    struct buffer json;
    bool goes_back;
    enum serin_errc stored, rc = by_rollout ? SERIN_OK : takeover_check(server, error);

    if (rc != SERIN_OK)
        return rc;
    if (at < 0 && server->table.entry_count == GATEWAY_MAX_MODELS)
        return error_set(error, SERIN_LIMIT, "%d models are served already, the limit", GATEWAY_MAX_MODELS);
    /* Who asks again because the answer was lost has what was asked for, and nothing has been changed twice. */
    if (at >= 0 && !by_rollout && !enters && !leaves && !server->unstored[at] &&
        is_same_route(&server->table.entries[at].route, route))
        return SERIN_OK;
    /* Two people who change a route at once must not undo each other's work without knowing. */
    if (at >= 0 && route->revision != 0 && route->revision != server->table.entries[at].route.revision)
        return error_set(error, SERIN_LIMIT,
                         "the route of '%s' was changed meanwhile: it is at revision %llu, this is based on %llu",
                         route->model, (unsigned long long)server->table.entries[at].route.revision,
                         (unsigned long long)route->revision);
    rc = route_check(route, error);
    if (rc == SERIN_OK && !by_rollout)
        rc = check_served(server, route, error);
    if (rc != SERIN_OK)
        return rc;
    if (at >= 0 && numbered.salt == 0) /* another salt would move every camera */
        numbered.salt = server->table.entries[at].route.salt;
    numbered.revision = at < 0 ? 1 : server->table.entries[at].route.revision + 1;
    /* A rollout's controller sends all to stable by itself while it cannot write (controller.c). */
    goes_back =
        !by_rollout && !enters && !leaves && at >= 0 && only_goes_back(&server->table.entries[at].route, &numbered);
    rc = write_json(&numbered, &json, error);
    if (rc == SERIN_OK && goes_back) {
        put_entry(server, &numbered);
        rc = publish(server, error);
    }
    if (rc == SERIN_OK) {
        const uint64_t started_ns = clock_now_ns();

        stored = state_put_route(server->state, numbered.model, json.bytes, enters, leaves, author, &fault);
        table_tell_slow(server, "putting a route on disk", started_ns);
        if (stored != SERIN_OK)
            rc = goes_back ? keep_unstored(server, at, &fault, error) : error_set(error, stored, "%s", fault.message);
    }
    if (rc == SERIN_OK && !goes_back) {
        put_entry(server, &numbered);
        rc = publish(server, error);
    }
    if (rc == SERIN_OK || goes_back)
        log_event(server->log, "info", "changing a route", "%s by %s: %s", numbered.model, author, json.bytes);
    if (rc == SERIN_OK)
        server->unstored[table_find(server, numbered.model)] = false;
    buffer_done(&json);
    return rc;
}

enum serin_errc table_put(struct server *server, const struct route *route, const struct state_serving *enters,
                          const char *leaves, const char *author, struct serin_error *error)
{
    return put(server, route, enters, leaves, false, author, error);
}

enum serin_errc table_put_rollout(struct server *server, const struct route *route, bool on_trial, const char *author,
                                  struct serin_error *error)
{
    int at = table_find(server, route->model);
    bool before = at >= 0 && server->table.entries[at].on_trial;
    enum serin_errc rc;

    if (at >= 0)
        server->table.entries[at].on_trial = on_trial;
    rc = put(server, route, NULL, NULL, true, author, error);
    if (rc != SERIN_OK && at >= 0)
        server->table.entries[at].on_trial = before;
    return rc;
}

void table_set_trial(struct server *server, const char *model, bool on_trial)
{
    int at = table_find(server, model);

    if (at < 0 || server->table.entries[at].on_trial == on_trial)
        return;
    server->table.entries[at].on_trial = on_trial;
    table_refresh(server);
}

enum serin_errc table_remove(struct server *server, const char *model, const char *author, struct serin_error *error)
{
    int at = table_find(server, model), i;
    enum serin_errc rc;

    rc = takeover_check(server, error);
    if (rc != SERIN_OK)
        return rc;
    if (at < 0)
        return table_no_route(server, model, error);
    rc = state_remove_route(server->state, model, author, error);
    if (rc != SERIN_OK)
        return rc;
    for (i = at; i + 1 < server->table.entry_count; i++) {
        server->table.entries[i] = server->table.entries[i + 1];
        server->unstored[i] = server->unstored[i + 1];
    }
    server->unstored[--server->table.entry_count] = false;
    log_event(server->log, "info", "removing a route", "%s by %s", model, author);
    return publish(server, error);
}

/* ---- at the start ---- */

struct loading {
    struct server *server;
    struct serin_error *error;
    enum serin_errc rc;
};

static void load_serving(void *user, const struct state_serving *serving)
{
    struct loading *loading = user;
    struct fleet_version *version;
    struct serin_error error;

    /* A bundle that is gone must not keep the others from being served. */
    if (fleet_add(loading->server->fleet, serving->name, serving->replicas, serving->url, &version, &error) != SERIN_OK)
        log_event(loading->server->log, "error", "starting what was served before", "%s: %s", serving->name,
                  error.message);
}

static void load_route(void *user, const char *model, const char *json)
{
    struct loading *loading = user;
    struct route route;

    if (loading->rc == SERIN_OK && loading->server->table.entry_count < GATEWAY_MAX_MODELS) {
        loading->rc = route_from_json(json, strlen(json), &route, loading->error);
        loading->rc = error_prefix(loading->error, loading->rc, "the stored route of %s", model);
        if (loading->rc == SERIN_OK)
            put_entry(loading->server, &route);
    }
}

enum serin_errc table_load_routes(struct server *server, struct serin_error *error)
{
    struct loading loading = {server, error, SERIN_OK};
    enum serin_errc rc = state_each_route(server->state, load_route, &loading, error);

    if (rc == SERIN_OK)
        rc = loading.rc;
    return rc == SERIN_OK ? publish(server, error) : rc;
}

enum serin_errc table_load(struct server *server, struct serin_error *error)
{
    struct loading loading = {server, error, SERIN_OK};
    enum serin_errc rc = state_each_serving(server->state, load_serving, &loading, error);

    return rc == SERIN_OK ? table_load_routes(server, error) : rc;
}
