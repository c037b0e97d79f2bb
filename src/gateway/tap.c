/*
 * tap.c - tells the judge of requests: from each gateway thread a ring that only it fills, and one thread empties all.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A gateway thread never waits for the judge: a full ring drops what is new and counts it. That a request is dropped
 * does not depend on which version answered it, so the judge's tests stay valid.
 */
#include "gateway/inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gateway_sighting *sighting_new(const struct gateway_entry *entry, const char *request_id, const char *key)
{
    struct gateway_sighting *sighting = calloc(1, sizeof(*sighting));
    const struct route *route = &entry->route;

    if (!sighting)
        return NULL;
    sighting->drawn_ms = clock_wall_ms();
    sighting->trial_share = route_share_on_trial(route, key[0]);
    sighting->alone_share = route_share_alone(route, key[0]);
    sighting->revision = route->revision;
    snprintf(sighting->model, sizeof(sighting->model), "%s", route->model);
    snprintf(sighting->request_id, sizeof(sighting->request_id), "%s", request_id);
    snprintf(sighting->key, sizeof(sighting->key), "%s", key);
    return sighting;
}

void sighting_set(struct gateway_answer *answer, int status, double latency_ms, struct bytes *body)
{
    bytes_drop(answer->body);
    answer->status = status;
    answer->latency_ms = latency_ms;
    answer->body = body ? bytes_share(body) : NULL;
}

static size_t size_of(const struct gateway_sighting *sighting)
{
    size_t bytes = sizeof(*sighting) + (sighting->own.body ? sighting->own.body->size : 0);
    int i;

    if (sighting->feedback)
        bytes += sizeof(*sighting->feedback) + (size_t)sighting->feedback->box_count * sizeof(struct gateway_box);
    for (i = 0; i < sighting->copy_count; i++)
        bytes += sighting->copies[i].body ? sighting->copies[i].body->size : 0;
    return bytes;
}

static size_t picture_size(const struct gateway_sighting *sighting)
{
    return sighting->picture ? sighting->picture->size : 0;
}

void gateway_sighting_free(struct gateway_sighting *sighting)
{
    int i;

    if (!sighting)
        return;
    for (i = 0; i < sighting->copy_count; i++)
        bytes_drop(sighting->copies[i].body);
    bytes_drop(sighting->own.body);
    bytes_drop(sighting->picture);
    free(sighting->feedback);
    free(sighting);
}

bool tap_push(struct thread *thread, struct gateway_sighting *sighting)
{
    struct tap *tap = &thread->tap;
    uint32_t written = atomic_load_explicit(&tap->written, memory_order_relaxed);
    size_t bytes = size_of(sighting);

    sighting->time_ms = clock_wall_ms();
    if (written - atomic_load_explicit(&tap->taken, memory_order_acquire) == TAP_SIGHTINGS ||
        atomic_load_explicit(&tap->bytes, memory_order_relaxed) + bytes > TAP_BYTES) {
        gateway_sighting_free(sighting);
        return false;
    }
    /* Pictures are no evidence: for want of room one of them goes alone. */
    if (atomic_load_explicit(&tap->picture_bytes, memory_order_relaxed) + picture_size(sighting) > TAP_PICTURES) {
        bytes_drop(sighting->picture);
        sighting->picture = NULL;
    }
    atomic_fetch_add_explicit(&tap->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&tap->picture_bytes, picture_size(sighting), memory_order_relaxed);
    tap->ring[written % TAP_SIGHTINGS] = sighting;
    atomic_store_explicit(&tap->written, written + 1, memory_order_release);
    return true;
}

/* Whether there is room does not depend on which version was drawn, so a draw that has none is not missed. */
void tap_push_draw(struct thread *thread, const struct gateway_entry *entry, const char *tag, const char *key)
{
    const double share = route_share_on_trial(&entry->route, key[0]);
    struct gateway_sighting *sighting;

    if (share <= 0 || share >= 1 || !(sighting = sighting_new(entry, "", key)))
        return;
    sighting->kind = GATEWAY_SAW_DRAW;
    sighting->drawn = true;
    snprintf(sighting->own.tag, sizeof(sighting->own.tag), "%s", tag);
    (void)tap_push(thread, sighting);
}

void tap_push_request(struct thread *thread, int slot, struct gateway_sighting *sighting)
{
    if (sighting && !tap_push(thread, sighting))
        COUNT(thread, slot, untold, 1);
}

static struct gateway_sighting *take(struct tap *tap)
{
    uint32_t taken = atomic_load_explicit(&tap->taken, memory_order_relaxed);
    struct gateway_sighting *sighting;

    if (taken == atomic_load_explicit(&tap->written, memory_order_acquire))
        return NULL;
    sighting = tap->ring[taken % TAP_SIGHTINGS];
    atomic_fetch_sub_explicit(&tap->bytes, size_of(sighting), memory_order_relaxed);
    atomic_fetch_sub_explicit(&tap->picture_bytes, picture_size(sighting), memory_order_relaxed);
    atomic_store_explicit(&tap->taken, taken + 1, memory_order_release);
    return sighting;
}

/* In turn: a camera stays with one thread, and where there are too many to take all, none must go unheard for long. */
struct gateway_sighting *gateway_take_sighting(struct gateway *gateway)
{
    struct gateway_sighting *sighting = NULL;
    int i;

    for (i = 0; i < gateway->options.threads && !sighting; i++) {
        gateway->taken_last = (gateway->taken_last + 1) % gateway->options.threads;
        sighting = take(&gateway->threads[gateway->taken_last].tap);
    }
    return sighting;
}

void gateway_want_pictures(struct gateway *gateway, int slot, bool wanted)
{
    if (slot >= 0 && slot < GATEWAY_MAX_SLOTS)
        atomic_store_explicit(&gateway->wants_pictures[slot], wanted, memory_order_relaxed);
}

void gateway_hold_trial(struct gateway *gateway, int lease, uint64_t for_ms)
{
    atomic_store(&gateway->trial_until_ms[lease], for_ms ? uv_hrtime() / 1000000 + for_ms : 0);
}
