/*
 * report.c - the state of things as JSON, and as Prometheus' text format.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/rollouts.h"

#include "base/json.h"
#include "serin_config.h"

#include <string.h>

static void write_text(struct json_writer *json, const char *key, const char *value)
{
    json_key(json, key);
    json_write_string(json, value);
}

static void write_number(struct json_writer *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_write_integer(json, (int64_t)value);
}

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
        write_text(json, "state", replica_state_text(replica->state));
        write_text(json, "health", !replica->health ? "unknown" : health_texts[health_state(replica->health)]);
        write_text(json, "why", replica->why);
        write_number(json, "pid", (uint64_t)usage.pid);
        json_key(json, "user");
        json_write_integer(json, usage.user);
        write_text(json, "endpoint", replica->endpoint);
        write_number(json, "resident_bytes", usage.resident_bytes);
        write_number(json, "gpu_bytes", usage.gpu_bytes);
        json_key(json, "cpu_seconds");
        json_write_rounded(json, usage.cpu_seconds, 3);
        write_number(json, "restarts", (uint64_t)usage.restarts);
        json_end_object(json);
    }
    json_end_array(json);
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
    write_text(json, "tag", entry->route.versions[v].tag);
    write_number(json, "weight", entry->route.versions[v].weight);
    json_key(json, "share");
    json_write_number(json, share_of(&entry->route, v));
    write_text(json, "url", version ? version->url : "");
    write_text(json, "breaker", gateway_breaker_open(server->gateway, entry->versions[v].slot) ? "open" : "closed");
    write_number(json, "ready", (uint64_t)ready_count(&entry->versions[v]));
    write_replicas(server, json, version);
    write_number(json, "memory_limit_bytes", version ? version->memory_bytes : 0); /* of each replica; 0: none */
    json_key(json, "counters");
    json_begin_object(json);
#define X(counter, help) write_number(json, #counter, totals.counter);
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
    write_text(&json, "version", SERIN_VERSION);
    write_number(&json, "uptime_s", (uv_now(&server->loop) - server->started_ms) / 1000);
    json_key(&json, "gateway");
    json_begin_object(&json);
    write_text(&json, "listen", server->options.listen);
    write_number(&json, "port", (uint64_t)gateway_port(server->gateway));
    json_end_object(&json);
    json_key(&json, "models");
    json_begin_array(&json);
    for (e = 0; e < server->table.entry_count; e++) {
        const struct gateway_entry *entry = &server->table.entries[e];

        json_begin_object(&json);
        write_text(&json, "model", entry->route.model);
        write_text(&json, "stable", entry->route.stable);
        write_text(&json, "unit", units[entry->route.unit]);
        write_number(&json, "revision", entry->route.revision);
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
        return error_set(error, SERIN_NOT_FOUND, "no model '%s' has a route", model);
    route_to_json(&server->table.entries[at].route, out);
    return SERIN_OK;
}

static void write_change(void *user, const struct state_change *change)
{
    struct json_writer *json = user;

    json_begin_object(json);
    write_number(json, "number", (uint64_t)change->number);
    write_number(json, "time_ms", (uint64_t)change->time_ms);
    write_text(json, "author", change->author);
    write_text(json, "what", change->what);
    write_text(json, "detail", change->detail);
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

/* ---- metrics ---- */

static int down_count(const struct server *server, const char *model, const char *tag)
{
    char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
    const struct fleet_version *version;
    int count = 0, i;

    snprintf(name, sizeof(name), "%s:%s", model, tag);
    version = fleet_find(server->fleet, name);
    for (i = 0; version && i < version->replica_count; i++)
        count += version->replicas[i].state == REPLICA_READY && !fleet_is_up(&version->replicas[i]);
    return count;
}

/* Buckets that Prometheus sees, from the finer ones of the histogram: 1 ms to 10 s. */
static const double bounds_ms[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

static void write_histogram(struct buffer *out, const char *model, const char *tag, const struct histogram_sum *sum)
{
    uint64_t seen = 0;
    size_t b;
    int i = 0;

    for (b = 0; b < sizeof(bounds_ms) / sizeof(bounds_ms[0]); b++) {
        while (i < HISTOGRAM_BUCKETS - 1 && (double)histogram_floor_us(i + 1) <= bounds_ms[b] * 1000)
            seen += sum->counts[i++];
        buffer_printf(out, "serin_latency_seconds_bucket{model=\"%s\",version=\"%s\",le=\"%g\"} %llu\n", model, tag,
                      bounds_ms[b] / 1000, (unsigned long long)seen);
    }
    buffer_printf(out, "serin_latency_seconds_bucket{model=\"%s\",version=\"%s\",le=\"+Inf\"} %llu\n", model, tag,
                  (unsigned long long)sum->total);
    buffer_printf(out, "serin_latency_seconds_sum{model=\"%s\",version=\"%s\"} %.6f\n", model, tag,
                  (double)sum->sum_us / 1e6);
    buffer_printf(out, "serin_latency_seconds_count{model=\"%s\",version=\"%s\"} %llu\n", model, tag,
                  (unsigned long long)sum->total);
}

static void write_connections(struct buffer *out, struct gateway *gateway)
{
    struct gateway_connections now;
    const struct {
        const char *name, *kind, *help;
        const uint64_t *value;
    } rows[] = {
        {"open", "gauge", "Connections of clients that are open", &now.open},
        {"taken_total", "counter", "Connections of clients that were taken", &now.taken},
        {"refused_total", "counter", "New connections that were closed at once: max_connections had requests",
         &now.refused},
        {"evicted_total", "counter", "Connections without a request that were closed for new ones at max_connections",
         &now.evicted},
    };
    size_t i;

    gateway_read_connections(gateway, &now);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        buffer_printf(
            out, "# HELP serin_connections_%s %s.\n# TYPE serin_connections_%s %s\nserin_connections_%s %llu\n",
            rows[i].name, rows[i].help, rows[i].name, rows[i].kind, rows[i].name, (unsigned long long)*rows[i].value);
}

enum serin_errc report_metrics(void *user, struct buffer *out, struct serin_error *error)
{
    static struct gateway_totals totals;
    struct server *server = user;
    int e, v;

    (void)error;
    /* Names of models and tags hold no quote, backslash or newline (version/name.h), so they need no escaping. */
#define FOR_EACH_VERSION                                                                                               \
    for (e = 0; e < server->table.entry_count; e++)                                                                    \
        for (v = 0; v < server->table.entries[e].route.version_count; v++)
#define MODEL server->table.entries[e].route.model
#define TAG   server->table.entries[e].route.versions[v].tag
#define X(counter, help)                                                                                               \
    buffer_printf(out, "# HELP serin_" #counter "_total " help ".\n# TYPE serin_" #counter "_total counter\n");        \
    FOR_EACH_VERSION                                                                                                   \
    {                                                                                                                  \
        gateway_read(server->gateway, server->table.entries[e].versions[v].slot, &totals);                             \
        buffer_printf(out, "serin_" #counter "_total{model=\"%s\",version=\"%s\"} %llu\n", MODEL, TAG,                 \
                      (unsigned long long)totals.counter);                                                             \
    }
    GATEWAY_COUNTERS(X)
#undef X
    rollouts_metrics(server->rollouts, out);
    write_connections(out, server->gateway);
    buffer_append_text(out, "# HELP serin_route_weight Weight of the version in its route.\n"
                            "# TYPE serin_route_weight gauge\n");
    FOR_EACH_VERSION
    buffer_printf(out, "serin_route_weight{model=\"%s\",version=\"%s\"} %u\n", MODEL, TAG,
                  server->table.entries[e].route.versions[v].weight);
    buffer_append_text(out, "# HELP serin_replicas_ready Replicas of the version that take requests.\n"
                            "# TYPE serin_replicas_ready gauge\n");
    FOR_EACH_VERSION
    buffer_printf(out, "serin_replicas_ready{model=\"%s\",version=\"%s\"} %d\n", MODEL, TAG,
                  ready_count(&server->table.entries[e].versions[v]));
    buffer_append_text(out, "# HELP serin_replicas_down Replicas that were ready and now fail their health checks.\n"
                            "# TYPE serin_replicas_down gauge\n");
    FOR_EACH_VERSION
    buffer_printf(out, "serin_replicas_down{model=\"%s\",version=\"%s\"} %d\n", MODEL, TAG,
                  down_count(server, MODEL, TAG));
    buffer_append_text(out, "# HELP serin_latency_seconds Time from the request sent to the version to its answer.\n"
                            "# TYPE serin_latency_seconds histogram\n");
    FOR_EACH_VERSION
    {
        gateway_read(server->gateway, server->table.entries[e].versions[v].slot, &totals);
        write_histogram(out, MODEL, TAG, &totals.latency);
    }
    return SERIN_OK;
}
