/*
 * upstream.c - which replica of a version gets a request.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The less loaded of two drawn at random (Mitzenmacher, "The power of two choices", 2001), load being requests in
 * flight times the recent latency. A replica that fails EJECT_FAILURES times in a row is left out for a while, unless
 * all are; a new one is drawn into its full share over SLOW_START_MS, since a model's first inferences are slow.
 */
#include "gateway/inside.h"

static double load_of(const struct upstream *upstream, uint64_t now_ms)
{
    double latency = upstream->latency_ms > 0.1 ? upstream->latency_ms : 0.1;
    double load = (upstream->in_flight + 1) * latency;
    uint64_t age_ms = now_ms - upstream->since_ms;

    if (age_ms < SLOW_START_MS)
        load *= (double)SLOW_START_MS / ((double)age_ms + SLOW_START_MS / 10.0);
    return load;
}

struct upstream *upstream_pick(struct thread *thread, struct upstream *const *endpoints, int count,
                               const struct upstream *not_this)
{
    struct upstream *usable[GATEWAY_MAX_ENDPOINTS];
    uint64_t now_ms = thread_now_ms(thread), random;
    int usable_count = 0, i, first, second;

    for (i = 0; i < count; i++)
        if (endpoints[i] != not_this && endpoints[i]->ejected_until_ms <= now_ms)
            usable[usable_count++] = endpoints[i];
    if (usable_count == 0) /* all are out: better a doubtful one than none */
        for (i = 0; i < count; i++)
            if (endpoints[i] != not_this)
                usable[usable_count++] = endpoints[i];
    if (usable_count == 0)
        return NULL;
    if (usable_count == 1)
        return usable[0];
    random = thread_random(thread);
    first = (int)((random & UINT32_MAX) % (uint64_t)usable_count);
    second = (int)((random >> 32) % (uint64_t)(usable_count - 1));
    second += second >= first;
    return load_of(usable[first], now_ms) <= load_of(usable[second], now_ms) ? usable[first] : usable[second];
}

void upstream_started(struct upstream *upstream)
{
    upstream->in_flight++;
}

void upstream_given_up(struct upstream *upstream)
{
    upstream->in_flight--;
}

void upstream_ended(struct thread *thread, struct upstream *upstream, bool failed, double latency_ms)
{
    upstream->in_flight--;
    if (failed) {
        if (++upstream->failures >= EJECT_FAILURES) {
            upstream->failures = 0;
            upstream->ejected_until_ms = thread_now_ms(thread) + EJECT_MS;
        }
        return;
    }
    upstream->failures = 0;
    upstream->ejected_until_ms = 0;
    upstream->latency_ms = upstream->latency_ms > 0 ? upstream->latency_ms * 7 / 8 + latency_ms / 8 : latency_ms;
}
