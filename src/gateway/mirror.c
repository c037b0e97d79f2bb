/*
 * mirror.c - copies of requests to versions on trial, whose answers no client sees.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A copy shares the body's bytes, has its own limits and counters, and is the first thing to be dropped. Nothing of the
 * client's waits for it. Where a rollout wants to know, the copies' answers go to the judge with the client's. A mirror
 * to stable itself is sent stable's own requests once more: what it answers differently is the noise of the models.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct copy {
    struct mirrors *mirrors;
    struct upstream *upstream;
    struct gateway_answer answer;
    int slot;
};

struct mirrors {
    struct thread *thread;
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

static void copy_answered(void *user, const struct http_answer *answer)
{
    struct copy *copy = user;
    struct mirrors *mirrors = copy->mirrors;
    struct thread *thread = mirrors->thread;

    copy->answer.latency_ms = (double)answer->total_ns / 1e6;
    if (answer->rc == SERIN_OK) {
        copy->answer.status = answer->head->status;
        if (mirrors->is_watched)
            copy->answer.body = bytes_share(answer->body);
    } else if (answer->timed_out) {
        snprintf(copy->answer.why, sizeof(copy->answer.why), "later than %u ms", mirrors->timeout_ms);
    } else {
        snprintf(copy->answer.why, sizeof(copy->answer.why), "%s", answer->why);
    }
    /* A copy lacks credentials, and may come when there is too much to do: neither its failure leaves the replica out
     * for clients, nor does its success bring one back that fails them. */
    upstream_given_up(copy->upstream);
    if (answer->rc != SERIN_OK || answer->head->status >= 500)
        COUNT(thread, copy->slot, mirror_failures, 1);
    else
        histogram_record(&thread->counters[copy->slot].mirror_latency, answer->total_ns / 1000);
    thread->mirrors_in_flight--;
    thread->mirror_bytes -= mirrors->body_bytes;
    mirrors->pending--;
    end_if_complete(mirrors);
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

static bool start_copy(struct mirrors *mirrors, struct copy *copy, const struct buffer *head, struct bytes *body)
{
    struct thread *thread = mirrors->thread;
    const struct gateway_options *options = &thread->gateway->options;

    if (thread->mirrors_in_flight >= options->mirrors_in_flight ||
        thread->mirror_bytes + mirrors->body_bytes > options->mirror_bytes || !copy->upstream)
        return false;
    copy->mirrors = mirrors;
    if (http_call_start(copy->upstream->client, head, body, mirrors->timeout_ms, copy_answered, copy, NULL, NULL) !=
        SERIN_OK)
        return false;
    upstream_started(copy->upstream);
    thread->mirrors_in_flight++;
    thread->mirror_bytes += mirrors->body_bytes;
    return true;
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
            mirrors->timeout_ms = of->route.timeout_ms;
            mirrors->body_bytes = request->body->size;
            proxy_head_write(&head, request->head, request->peer, request->request_id, true, NULL, NULL);
        }
        copy = &mirrors->copies[mirrors->count];
        copy->slot = of->versions[version].slot;
        copy->upstream =
            upstream_pick(thread, snapshot->upstreams[entry][version], of->versions[version].endpoint_count, NULL);
        snprintf(copy->answer.tag, sizeof(copy->answer.tag), "%s", of->route.mirrors[i].tag);
        if (!head.failed && start_copy(mirrors, copy, &head, request->body)) {
            COUNT(thread, copy->slot, mirrored, 1);
            keep_picture(mirrors, copy, request);
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

void mirror_primary_answered(struct mirrors *mirrors, int slot, struct gateway_sighting *sighting)
{
    mirrors->primary_slot = slot;
    mirrors->sighting = sighting;
    mirrors->primary_done = true;
    end_if_complete(mirrors);
}
