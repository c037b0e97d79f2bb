/*
 * report.c - the state of things as JSON.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/rollouts.h"

#include "base/json.h"
#include "serin_config.h"

#include <string.h>

static void write_ms(struct json_writer *json, const char *key, const struct histogram_sum *sum, double quantile)
{
    json_key(json, key);
    json_write_rounded(json, histogram_quantile_us(sum, quantile) / 1000, 3);
}

static double share_of(const struct route *route, int version)
{
    uint64_t total = 0;
    int i;

    for (i = 0; i < route->version_count; i++)
        total += route->versions[i].weight;
    return total ? (double)route->versions[version].weight / (double)total : 0;
}

static const char *const health_texts[] = {"unknown", "up", "down"}; /* as enum health_state */

static int ready_count(const struct gateway_version *version)
{
    return version->doubtful ? 0 : version->endpoint_count;
}

static void write_replicas(struct server *server, struct json_writer *json, const struct fleet_version *version)
{
    int i;

    json_key(json, "replicas");
    json_begin_array(json);
    for (i = 0; version && i < version->replica_count; i++) {
        const struct fleet_replica *replica = &version->replicas[i];
        struct replica_usage usage;

        fleet_usage(server->fleet, replica, &usage);
        json_begin_object(json);
        json_put_string(json, "state", replica_state_text(replica->state));
        json_put_string(json, "health", !replica->health ? "unknown" : health_texts[health_state(replica->health)]);
        json_put_string(json, "why", replica->why);
        json_put_integer(json, "pid", (uint64_t)usage.pid);
        json_key(json, "user");
        json_write_integer(json, usage.user);
        json_put_string(json, "endpoint", replica->endpoint);
        json_put_integer(json, "resident_bytes", usage.resident_bytes);
        json_put_integer(json, "gpu_bytes", usage.gpu_bytes);
        json_key(json, "cpu_seconds");
        json_write_rounded(json, usage.cpu_seconds, 3);
        json_put_integer(json, "restarts", (uint64_t)usage.restarts);
        json_end_object(json);
    }
    json_end_array(json);
}

void report_engine(struct json_writer *json, const char *provider, const char *why)
{
    json_key(json, "engine");
    if (!*provider) {
        json_write_null(json);
        return;
    }
    json_begin_object(json);
    json_put_string(json, "provider", provider);
    json_put_string(json, "why", why);
    json_end_object(json);
}

static void write_version(struct server *server, struct json_writer *json, const struct gateway_entry *entry, int v)
{
    static struct gateway_totals totals; /* 8 KiB of histogram; the control thread is one */
    char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
    const struct fleet_version *version;

    snprintf(name, sizeof(name), "%s:%s", entry->route.model, entry->route.versions[v].tag);
    version = fleet_find(server->fleet, name);
    gateway_read(server->gateway, entry->versions[v].slot, &totals);
    json_begin_object(json);
    json_put_string(json, "tag", entry->route.versions[v].tag);
    json_put_integer(json, "weight", entry->route.versions[v].weight);
    json_key(json, "share");
    json_write_number(json, share_of(&entry->route, v));
    json_put_string(json, "url", version ? version->url : "");
    json_put_string(json, "breaker",
                    gateway_breaker_open(server->gateway, entry->versions[v].slot) ? "open" : "closed");
    json_put_integer(json, "ready", (uint64_t)ready_count(&entry->versions[v]));
    write_replicas(server, json, version);
    report_engine(json, version ? version->provider : "", version ? version->provider_why : "");
    json_put_integer(json, "memory_limit_bytes", version ? version->memory_bytes : 0); /* of each replica; 0: none */
    json_key(json, "counters");
    json_begin_object(json);
#define X(counter, help) json_put_integer(json, #counter, totals.counter);
    GATEWAY_COUNTERS(X)
#undef X
    json_end_object(json);
    json_key(json, "latency_ms");
    json_begin_object(json);
    write_ms(json, "p50", &totals.latency, .5);
    write_ms(json, "p95", &totals.latency, .95);
    write_ms(json, "p99", &totals.latency, .99);
    json_end_object(json);
    json_end_object(json);
}

enum serin_errc report_status(void *user, struct buffer *out, struct serin_error *error)
{
    static const char *const units[] = {"request", "key", "key_block"};
    struct server *server = user;
    struct json_writer json;
    int e, v;

    (void)error;
    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "version", SERIN_VERSION);
    json_put_integer(&json, "uptime_s", (uv_now(&server->loop) - server->started_ms) / 1000);
    json_key(&json, "gateway");
    json_begin_object(&json);
    json_put_string(&json, "listen", server->options.listen);
    json_put_integer(&json, "port", (uint64_t)gateway_port(server->gateway));
    json_end_object(&json);
    json_key(&json, "models");
    json_begin_array(&json);
    for (e = 0; e < server->table.entry_count; e++) {
        const struct gateway_entry *entry = &server->table.entries[e];

        json_begin_object(&json);
        json_put_string(&json, "model", entry->route.model);
        json_put_string(&json, "stable", entry->route.stable);
        json_put_string(&json, "unit", units[entry->route.unit]);
        json_put_integer(&json, "revision", entry->route.revision);
        if (rollouts_damage(server->rollouts, entry->route.model))
            json_put_string(&json, "damage", rollouts_damage(server->rollouts, entry->route.model));
        if (table_unstored(server, e))
            json_put_string(&json, "unstored", table_unstored(server, e));
        json_key(&json, "versions");
        json_begin_array(&json);
        for (v = 0; v < entry->route.version_count; v++)
            write_version(server, &json, entry, v);
        json_end_array(&json);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    return SERIN_OK;
}

enum serin_errc report_routes(void *user, struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    int e;

    (void)error;
    buffer_append_text(out, "[");
    for (e = 0; e < server->table.entry_count; e++) {
        if (e)
            buffer_append_text(out, ",");
        route_to_json(&server->table.entries[e].route, out);
    }
    buffer_append_text(out, "]");
    return SERIN_OK;
}

enum serin_errc report_route(void *user, const char *model, struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    int at = table_find(server, model);

    if (at < 0)
        return table_no_route(server, model, error);
    route_to_json(&server->table.entries[at].route, out);
    return SERIN_OK;
}

static void write_change(void *user, const struct state_change *change)
{
    struct json_writer *json = user;

    json_begin_object(json);
    json_put_integer(json, "number", (uint64_t)change->number);
    json_put_integer(json, "time_ms", (uint64_t)change->time_ms);
    json_put_string(json, "author", change->author);
    json_put_string(json, "what", change->what);
    json_put_string(json, "detail", change->detail);
    json_end_object(json);
}

enum serin_errc report_changes(void *user, int limit, struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    struct json_writer json;
    enum serin_errc rc;

    json_init(&json, out);
    json_begin_array(&json);
    rc = state_each_change(server->state, limit, write_change, &json, error);
    json_end_array(&json);
    return rc;
}
