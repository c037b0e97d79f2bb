/*
 * mirror.c - copies of requests to versions on trial, whose answers no client sees.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A copy shares the body's bytes, has its own limits and counters, and is the first thing to be dropped. Nothing of the
 * client's waits for it: copies are sent one by one when the thread has no request of a client in flight, or after
 * PATIENCE_MS where it always has one, so that those that come together are not each behind the others' copies. Where a
 * rollout wants to know, the copies' answers go to the judge with the client's. A mirror to stable itself is sent
 * stable's own requests once more: what it answers differently is the noise of the models.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 10 /* longer than a burst of requests takes, shorter than a person or a judge notices */

struct copy {
    struct mirrors *mirrors;
    struct upstream *upstream;
    struct gateway_answer answer;
    int slot;
};

struct mirrors {
    struct thread *thread;
    struct mirrors *next; /* of those that wait to be sent */
    uint64_t since_ms;
    struct buffer head; /* until they are sent, as body and timeout_ms */
    struct bytes *body;
    uint32_t timeout_ms;
    bool primary_done, is_watched;
    int primary_slot;
    struct gateway_sighting *sighting; /* of one that is watched, once its own answer is there */
    size_t body_bytes;
    struct bytes *picture; /* the request's body, where somebody may want to see it; else NULL */
    char picture_type[GATEWAY_MAX_TYPE];
    int count, pending;
    struct copy copies[ROUTE_MAX_MIRRORS];
};

static void end_if_complete(struct mirrors *mirrors)
{
    struct gateway_sighting *sighting = mirrors->sighting;
    int i;

    if (!mirrors->primary_done || mirrors->pending > 0)
        return;
    for (i = 0; i < mirrors->count && sighting; i++)
        sighting->copies[sighting->copy_count++] = mirrors->copies[i].answer;
    if (sighting) {
        sighting->picture = mirrors->picture;
        memcpy(sighting->picture_type, mirrors->picture_type, sizeof(mirrors->picture_type));
    } else {
        bytes_drop(mirrors->picture);
    }
    tap_push_request(mirrors->thread, mirrors->primary_slot, sighting);
    free(mirrors);
}

static void copy_ended(struct copy *copy)
{
    struct mirrors *mirrors = copy->mirrors;

    /* A copy lacks credentials, and may come when there is too much to do: neither its failure leaves the replica out
     * for clients, nor does its success bring one back that fails them. */
    upstream_given_up(copy->upstream);
    mirrors->thread->mirrors_in_flight--;
    mirrors->thread->mirror_bytes -= mirrors->body_bytes;
    mirrors->pending--;
    end_if_complete(mirrors);
}

static void copy_answered(void *user, const struct http_answer *answer)
{
    struct copy *copy = user;
    struct thread *thread = copy->mirrors->thread;

    copy->answer.latency_ms = (double)answer->total_ns / 1e6;
    if (answer->rc == SERIN_OK) {
        copy->answer.status = answer->head->status;
        if (copy->mirrors->is_watched)
            copy->answer.body = bytes_share(answer->body);
    } else if (answer->timed_out) {
        snprintf(copy->answer.why, sizeof(copy->answer.why), "later than %u ms", copy->mirrors->timeout_ms);
    } else {
        snprintf(copy->answer.why, sizeof(copy->answer.why), "%s", answer->why);
    }
    if (answer->rc != SERIN_OK || answer->head->status >= 500)
        COUNT(thread, copy->slot, mirror_failures, 1);
    else
        histogram_record(&thread->counters[copy->slot].mirror_latency, answer->total_ns / 1000);
    copy_ended(copy);
}

/* Where the copy went to a version whose pictures are wanted. */
static void keep_picture(struct mirrors *mirrors, const struct copy *copy, const struct mirror_request *request)
{
    const struct http_slice *type = http_find(request->head, "Content-Type");

    if (!mirrors->is_watched || mirrors->picture ||
        !atomic_load_explicit(&mirrors->thread->gateway->wants_pictures[copy->slot], memory_order_relaxed))
        return;
    mirrors->picture = bytes_share(request->body);
    if (!type || !http_slice_copy(*type, mirrors->picture_type, sizeof(mirrors->picture_type)))
        mirrors->picture_type[0] = '\0';
}

/* Whether there is room for one more; it is taken then. */
static bool take_copy(struct mirrors *mirrors, struct copy *copy)
{
    struct thread *thread = mirrors->thread;
    const struct gateway_options *options = &thread->gateway->options;

    if (thread->mirrors_in_flight >= options->mirrors_in_flight ||
        thread->mirror_bytes + mirrors->body_bytes > options->mirror_bytes || !copy->upstream)
        return false;
    copy->mirrors = mirrors;
    upstream_started(copy->upstream);
    thread->mirrors_in_flight++;
    thread->mirror_bytes += mirrors->body_bytes;
    return true;
}

/* ---- waiting, and sending ---- */

/* Takes the first out of those that wait, and sends its copies; without send they count as failed. */
static void end_wait(struct thread *thread, bool send)
{
    struct mirrors *mirrors = thread->waiting;
    struct buffer head = mirrors->head;
    struct bytes *body = mirrors->body;
    uint32_t timeout_ms = mirrors->timeout_ms;
    int i, count = mirrors->count;

    thread->waiting = mirrors->next;
    if (!thread->waiting)
        thread->waiting_last = NULL;
    mirrors->pending++; /* the last copy's end, which may come from within, must not free what is gone through here */
    for (i = 0; i < count; i++) {
        struct copy *copy = &mirrors->copies[i];

        if (!send || http_call_start(copy->upstream->client, &head, body, timeout_ms, copy_answered, copy, NULL,
                                     NULL) != SERIN_OK) {
            COUNT(thread, copy->slot, mirror_failures, 1);
            copy_ended(copy);
        }
    }
    mirrors->pending--;
    end_if_complete(mirrors);
    buffer_done(&head);
    bytes_drop(body);
}

/* Runs once in a turn of the loop, which does not sleep meanwhile. */
static void send_next(uv_idle_t *idle)
{
    struct thread *thread = idle->data;
    const struct mirrors *first = thread->waiting;

    if (first && (thread->flights == 0 || thread_now_ms(thread) - first->since_ms >= PATIENCE_MS)) {
        end_wait(thread, true);
        return;
    }
    uv_idle_stop(idle);
    if (!first)
        uv_timer_stop(&thread->patience);
}

static void patience_over(uv_timer_t *patience)
{
    struct thread *thread = patience->data;

    uv_idle_start(&thread->sending, send_next);
}

static void wait_to_send(struct mirrors *mirrors, const struct buffer *head, struct bytes *body, uint32_t timeout_ms)
{
    struct thread *thread = mirrors->thread;

    mirrors->head = *head;
    mirrors->body = bytes_share(body);
    mirrors->timeout_ms = timeout_ms;
    mirrors->since_ms = thread_now_ms(thread);
    if (thread->waiting_last)
        thread->waiting_last->next = mirrors;
    else
        thread->waiting = mirrors;
    thread->waiting_last = mirrors;
    if (!uv_is_active((uv_handle_t *)&thread->patience))
        uv_timer_start(&thread->patience, patience_over, PATIENCE_MS, PATIENCE_MS);
}

void mirror_open(struct thread *thread)
{
    uv_idle_init(&thread->loop, &thread->sending);
    uv_timer_init(&thread->loop, &thread->patience);
    thread->sending.data = thread->patience.data = thread;
}

void mirror_flight_ended(struct thread *thread)
{
    if (thread->flights == 0 && thread->waiting)
        uv_idle_start(&thread->sending, send_next);
}

void mirror_close(struct thread *thread)
{
    while (thread->waiting)
        end_wait(thread, false);
    uv_close((uv_handle_t *)&thread->sending, NULL);
    uv_close((uv_handle_t *)&thread->patience, NULL);
}

struct mirrors *mirror_start(struct thread *thread, int entry, const char *primary_tag,
                             const struct mirror_request *request, bool is_watched)
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

        if (version < 0 ||
            (strcmp(of->route.mirrors[i].tag, primary_tag) == 0 && strcmp(primary_tag, of->route.stable) != 0) ||
            !thread_chance(thread, of->route.mirrors[i].per_million / 1e6))
            continue;
        if (!mirrors) {
            mirrors = calloc(1, sizeof(*mirrors));
            if (!mirrors)
                break;
            mirrors->thread = thread;
            mirrors->is_watched = is_watched;
            mirrors->body_bytes = request->body->size;
            proxy_head_write(&head, request->head, request->peer, request->request_id, true, NULL, NULL);
        }
        copy = &mirrors->copies[mirrors->count];
        copy->slot = of->versions[version].slot;
        copy->upstream =
            upstream_pick(thread, snapshot->upstreams[entry][version], of->versions[version].endpoint_count, NULL);
        snprintf(copy->answer.tag, sizeof(copy->answer.tag), "%s", of->route.mirrors[i].tag);
        if (!head.failed && take_copy(mirrors, copy)) {
            COUNT(thread, copy->slot, mirrored, 1);
            keep_picture(mirrors, copy, request);
            mirrors->count++;
            mirrors->pending++;
        } else {
            COUNT(thread, copy->slot, mirror_dropped, 1);
        }
    }
    if (mirrors && mirrors->count > 0) {
        wait_to_send(mirrors, &head, request->body, of->route.timeout_ms);
        return mirrors;
    }
    buffer_done(&head);
    free(mirrors);
    return NULL;
}

void mirror_primary_answered(struct mirrors *mirrors, int slot, struct gateway_sighting *sighting)
{
    mirrors->primary_slot = slot;
    mirrors->sighting = sighting;
    mirrors->primary_done = true;
    end_if_complete(mirrors);
}
