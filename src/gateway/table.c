/*
 * table.c - from the table that the control thread publishes to what a thread routes by.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread compares its revision with the gateway's at the start of each request (one load) and takes the mutex only
 * when they differ. It keeps an http_client for each address; those that no table wants any more are closed once
 * nothing is in flight on them.
 */
#include "gateway/inside.h"

#include "http/address.h"

#include <string.h>

uint64_t thread_now_ms(const struct thread *thread)
{
    return uv_now(&thread->loop);
}

static void table_drop(struct shared_table *table)
{
    if (table && atomic_fetch_sub(&table->owners, 1) == 1)
        free(table);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    table_drop(snapshot->table);
    free(snapshot);
}

int snapshot_find(const struct snapshot *snapshot, const char *model)
{
    int e;

    for (e = 0; snapshot && e < snapshot->table->table.entry_count; e++)
        if (strcmp(snapshot->table->table.entries[e].route.model, model) == 0)
            return e;
    return -1;
}

static struct upstream *upstream_for(struct thread *thread, const char *address)
{
    struct http_client_options options;
    struct upstream *upstream;

    for (upstream = thread->upstreams; upstream; upstream = upstream->next)
        if (strcmp(upstream->address, address) == 0)
            return upstream;
    upstream = calloc(1, sizeof(*upstream));
    if (!upstream)
        return NULL;
    http_client_options_init(&options);
    options.limits.max_body_bytes = (size_t)thread->gateway->options.answer_max_bytes;
    options.max_connections = thread->gateway->options.connections_per_endpoint;
    options.tls = thread->gateway->options.upstream_tls;
    if (http_client_new(&thread->loop, address, &options, &upstream->client, NULL) != SERIN_OK) {
        free(upstream);
        return NULL;
    }
    memcpy(upstream->address, address, strlen(address) + 1);
    upstream->since_ms = thread_now_ms(thread);
    upstream->next = thread->upstreams;
    thread->upstreams = upstream;
    return upstream;
}

static void freed_client(void *user)
{
    free(user);
}

void thread_reap_upstreams(struct thread *thread, bool all)
{
    struct upstream **place = &thread->upstreams;

    while (*place) {
        struct upstream *upstream = *place;

        if (!all && (upstream->wanted || upstream->in_flight > 0)) {
            place = &upstream->next;
            continue;
        }
        *place = upstream->next;
        http_client_close(upstream->client, freed_client, upstream);
    }
}

static struct snapshot *snapshot_new(struct thread *thread, struct shared_table *table)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    struct upstream *upstream;
    int e, v, i;

    if (!snapshot)
        return NULL;
    snapshot->table = table;
    for (e = 0; e < table->table.entry_count; e++)
        for (v = 0; v < table->table.entries[e].route.version_count; v++)
            for (i = 0; i < table->table.entries[e].versions[v].endpoint_count; i++) {
                upstream = upstream_for(thread, table->table.entries[e].versions[v].endpoints[i]);
                if (!upstream) {
                    free(snapshot);
                    return NULL;
                }
                snapshot->upstreams[e][v][i] = upstream;
            }
    /* Only now: where a snapshot could not be made the old one goes on, and needs all of its upstreams. */
    for (upstream = thread->upstreams; upstream; upstream = upstream->next)
        upstream->wanted = false;
    for (e = 0; e < table->table.entry_count; e++)
        for (v = 0; v < table->table.entries[e].route.version_count; v++)
            for (i = 0; i < table->table.entries[e].versions[v].endpoint_count; i++)
                snapshot->upstreams[e][v][i]->wanted = true;
    return snapshot;
}

void thread_take_table(struct thread *thread)
{
    struct gateway *gateway = thread->gateway;
    struct shared_table *table;
    struct snapshot *snapshot;
    uint64_t revision;

    if (atomic_load_explicit(&gateway->revision, memory_order_acquire) == thread->revision)
        return;
    pthread_mutex_lock(&gateway->lock);
    table = gateway->table;
    atomic_fetch_add(&table->owners, 1);
    revision = atomic_load(&gateway->revision);
    pthread_mutex_unlock(&gateway->lock);
    snapshot = snapshot_new(thread, table);
    if (!snapshot) { /* without memory the old one stays, and the next request tries again */
        table_drop(table);
        return;
    }
    snapshot_free(thread->snapshot);
    thread->snapshot = snapshot;
    thread->revision = revision;
    thread_reap_upstreams(thread, false);
}

/* ---- publishing ---- */

static enum serin_errc check_address(const struct gateway *gateway, const char *endpoint, struct serin_error *error)
{
    struct http_address address;
    enum serin_errc rc = http_address_parse(endpoint, &address, error);

    if (rc == SERIN_OK && address.is_tls && !gateway->options.upstream_tls)
        return error_set(error, SERIN_UNSUPPORTED, "'%s': https:// is not spoken here", endpoint);
    return rc;
}

static enum serin_errc check_entry(const struct gateway *gateway, const struct gateway_entry *entry,
                                   struct serin_error *error)
{
    enum serin_errc rc = route_check(&entry->route, error);
    int v, i;

    if (entry->lease < 0 || entry->lease >= GATEWAY_MAX_MODELS)
        return error_set(error, SERIN_INVALID, "route '%s': lease %d of %d", entry->route.model, entry->lease,
                         GATEWAY_MAX_MODELS);
    for (v = 0; v < entry->route.version_count && rc == SERIN_OK; v++) {
        const struct gateway_version *version = &entry->versions[v];

        if (version->slot < 0 || version->slot >= GATEWAY_MAX_SLOTS || version->endpoint_count < 0 ||
            version->endpoint_count > GATEWAY_MAX_ENDPOINTS)
            return error_set(error, SERIN_INVALID, "route '%s', version '%s': slot %d of %d, %d endpoints of %d",
                             entry->route.model, entry->route.versions[v].tag, version->slot, GATEWAY_MAX_SLOTS,
                             version->endpoint_count, GATEWAY_MAX_ENDPOINTS);
        /* A table with an address that no thread could call would never be taken up. */
        for (i = 0; i < version->endpoint_count && rc == SERIN_OK; i++)
            rc = check_address(gateway, version->endpoints[i], error);
        rc = error_prefix(error, rc, "route '%s', version '%s'", entry->route.model, entry->route.versions[v].tag);
    }
    return rc;
}

enum serin_errc gateway_publish(struct gateway *gateway, const struct gateway_table *table, struct serin_error *error)
{
    struct shared_table *shared, *old;
    int i;

    if (table->entry_count < 0 || table->entry_count > GATEWAY_MAX_MODELS)
        return error_set(error, SERIN_LIMIT, "%d models, the limit is %d", table->entry_count, GATEWAY_MAX_MODELS);
    for (i = 0; i < table->entry_count; i++) {
        enum serin_errc rc = check_entry(gateway, &table->entries[i], error);

        if (rc != SERIN_OK)
            return rc;
    }
    shared = malloc(sizeof(*shared));
    if (!shared)
        return error_set(error, SERIN_NOMEM, "no memory for a table of %d models", table->entry_count);
    atomic_init(&shared->owners, 1);
    shared->table = *table;
    pthread_mutex_lock(&gateway->lock);
    old = gateway->table;
    gateway->table = shared;
    atomic_fetch_add_explicit(&gateway->revision, 1, memory_order_release);
    pthread_mutex_unlock(&gateway->lock);
    table_drop(old);
    for (i = 0; i < gateway->options.threads; i++) /* idle threads let go of the old one */
        uv_async_send(&gateway->threads[i].wake);
    return SERIN_OK;
}
