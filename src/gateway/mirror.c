/*
 * mirror.c - copies of requests to versions on trial, whose answers no client sees.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A copy shares the body's bytes, has its own limits and counters, and is the first thing to be dropped. When the
 * client's answer and the copy's are both there they become a pair for the judge; the ring of pairs drops what nobody
 * takes in time, and the copy never makes the client's answer wait: it is started after it, and nothing waits for it.
 */
#include "gateway/inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct copy {
    struct mirrors *mirrors;
    struct upstream *upstream;
    struct gateway_answer answer;
    int slot;
    bool done;
};

struct mirrors {
    struct thread *thread;
    struct gateway_answer primary;
    bool primary_done;
    size_t body_bytes;
    char model[ROUTE_MAX_TEXT + 1], request_id[64], key[ROUTE_MAX_TEXT + 1];
    int count, pending;
    struct copy copies[ROUTE_MAX_MIRRORS];
};

/* ---- pairs ---- */

static size_t pair_bytes(const struct gateway_pair *pair)
{
    return (pair->primary.body ? pair->primary.body->size : 0) + (pair->mirror.body ? pair->mirror.body->size : 0);
}

/* Under the lock. */
static struct gateway_pair take_oldest(struct gateway *gateway)
{
    struct gateway_pair pair = gateway->pairs[gateway->pair_first];

    gateway->pair_first = (gateway->pair_first + 1) % MAX_PAIRS;
    gateway->pair_count--;
    gateway->pair_bytes -= pair_bytes(&pair);
    return pair;
}

static void drop_oldest(struct gateway *gateway)
{
    struct gateway_pair pair = take_oldest(gateway);

    bytes_drop(pair.primary.body);
    bytes_drop(pair.mirror.body);
}

static void keep_pair(struct mirrors *mirrors, struct copy *copy)
{
    struct gateway *gateway = mirrors->thread->gateway;
    struct gateway_pair pair = {.time_ms = clock_wall_ms(), .primary = mirrors->primary, .mirror = copy->answer};

    if (pthread_mutex_trylock(&gateway->pairs_lock) != 0) {
        COUNT(mirrors->thread, copy->slot, pairs_dropped, 1);
        return;
    }
    /* The newest are worth most: where there is no room the oldest go. */
    while (gateway->pair_count > 0 &&
           (gateway->pair_count == MAX_PAIRS || gateway->pair_bytes + pair_bytes(&pair) > MAX_PAIR_BYTES)) {
        drop_oldest(gateway);
        COUNT(mirrors->thread, copy->slot, pairs_dropped, 1);
    }
    if (pair_bytes(&pair) <= MAX_PAIR_BYTES) {
        memcpy(pair.model, mirrors->model, sizeof(pair.model));
        memcpy(pair.request_id, mirrors->request_id, sizeof(pair.request_id));
        memcpy(pair.key, mirrors->key, sizeof(pair.key));
        if (pair.primary.body)
            bytes_share(pair.primary.body);
        if (pair.mirror.body)
            bytes_share(pair.mirror.body);
        gateway->pairs[(gateway->pair_first + gateway->pair_count) % MAX_PAIRS] = pair;
        gateway->pair_count++;
        gateway->pair_bytes += pair_bytes(&pair);
    }
    pthread_mutex_unlock(&gateway->pairs_lock);
}

bool gateway_take_pair(struct gateway *gateway, struct gateway_pair *ret)
{
    bool any;

    pthread_mutex_lock(&gateway->pairs_lock);
    any = gateway->pair_count > 0;
    if (any)
        *ret = take_oldest(gateway);
    pthread_mutex_unlock(&gateway->pairs_lock);
    return any;
}

/* ---- copies ---- */

static void end_if_complete(struct mirrors *mirrors)
{
    int i;

    if (!mirrors->primary_done || mirrors->pending > 0)
        return;
    for (i = 0; i < mirrors->count; i++) {
        keep_pair(mirrors, &mirrors->copies[i]);
        bytes_drop(mirrors->copies[i].answer.body);
    }
    bytes_drop(mirrors->primary.body);
    free(mirrors);
}

static void copy_answered(void *user, const struct http_answer *answer)
{
    struct copy *copy = user;
    struct mirrors *mirrors = copy->mirrors;
    struct thread *thread = mirrors->thread;
    bool failed = answer->rc != SERIN_OK || answer->head->status >= 500;

    copy->answer.latency_ms = (double)answer->total_ns / 1e6;
    if (answer->rc == SERIN_OK) {
        copy->answer.status = answer->head->status;
        copy->answer.body = bytes_share(answer->body);
    }
    upstream_ended(thread, copy->upstream, failed, copy->answer.latency_ms);
    if (failed)
        COUNT(thread, copy->slot, mirror_failures, 1);
    else
        histogram_record(&thread->counters[copy->slot].mirror_latency, answer->total_ns / 1000);
    thread->mirrors_in_flight--;
    thread->mirror_bytes -= mirrors->body_bytes;
    mirrors->pending--;
    end_if_complete(mirrors);
}

static bool start_copy(struct mirrors *mirrors, struct copy *copy, const struct buffer *head, struct bytes *body,
                       uint32_t timeout_ms)
{
    struct thread *thread = mirrors->thread;
    const struct gateway_options *options = &thread->gateway->options;

    if (thread->mirrors_in_flight >= options->mirrors_in_flight ||
        thread->mirror_bytes + mirrors->body_bytes > options->mirror_bytes || !copy->upstream)
        return false;
    copy->mirrors = mirrors;
    if (http_call_start(copy->upstream->client, head, body, timeout_ms, copy_answered, copy, NULL, NULL) != SERIN_OK)
        return false;
    upstream_started(copy->upstream);
    thread->mirrors_in_flight++;
    thread->mirror_bytes += mirrors->body_bytes;
    return true;
}

struct mirrors *mirror_start(struct thread *thread, int entry, const char *primary_tag,
                             const struct mirror_request *request)
{
    struct snapshot *snapshot = thread->snapshot;
    const struct gateway_entry *of = &snapshot->table->table.entries[entry];
    struct mirrors *mirrors = NULL;
    struct buffer head;
    int i;

    buffer_init(&head, request->head->head_bytes + 1024);
    for (i = 0; i < of->route.mirror_count; i++) {
        int version = route_find(&of->route, of->route.mirrors[i].tag);
        struct copy *copy;

        if (version < 0 || strcmp(of->route.mirrors[i].tag, primary_tag) == 0 ||
            thread_random(thread) % 1000000 >= of->route.mirrors[i].per_million)
            continue;
        if (!mirrors) {
            mirrors = calloc(1, sizeof(*mirrors));
            if (!mirrors)
                break;
            mirrors->thread = thread;
            mirrors->body_bytes = request->body->size;
            snprintf(mirrors->model, sizeof(mirrors->model), "%s", of->route.model);
            snprintf(mirrors->request_id, sizeof(mirrors->request_id), "%s", request->request_id);
            snprintf(mirrors->key, sizeof(mirrors->key), "%s", request->key ? request->key : "");
            proxy_head_write(&head, request->head, request->peer, request->request_id, true);
        }
        copy = &mirrors->copies[mirrors->count];
        copy->slot = of->versions[version].slot;
        copy->upstream =
            upstream_pick(thread, snapshot->upstreams[entry][version], of->versions[version].endpoint_count, NULL);
        snprintf(copy->answer.tag, sizeof(copy->answer.tag), "%s", of->route.mirrors[i].tag);
        if (!head.failed && start_copy(mirrors, copy, &head, request->body, of->route.timeout_ms)) {
            COUNT(thread, copy->slot, mirrored, 1);
            mirrors->count++;
            mirrors->pending++;
        } else {
            COUNT(thread, copy->slot, mirror_dropped, 1);
        }
    }
    buffer_done(&head);
    if (mirrors && mirrors->count == 0) {
        free(mirrors);
        mirrors = NULL;
    }
    return mirrors;
}

void mirror_primary_answered(struct mirrors *mirrors, const char *tag, int status, double latency_ms,
                             struct bytes *body)
{
    snprintf(mirrors->primary.tag, sizeof(mirrors->primary.tag), "%s", tag);
    mirrors->primary.status = status;
    mirrors->primary.latency_ms = latency_ms;
    mirrors->primary.body = body ? bytes_share(body) : NULL;
    mirrors->primary_done = true;
    end_if_complete(mirrors);
}
