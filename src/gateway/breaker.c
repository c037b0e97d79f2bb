/*
 * breaker.c - takes a version off that only fails, before anybody has judged it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Closed until GATEWAY_BREAKER_FAILURES in a row; then open for a time; after that one request is the trial: if it
 * succeeds the breaker closes, if it fails it is open for twice as long. All threads share it: the failures are its own
 * in a row, whichever thread saw them.
 *
 * What is in flight when a version begins to fail fails with it. So a version that is in doubt, because it has not
 * succeeded yet or has just failed, is sent no more requests at once than would make it BREAKER_MOST failures.
 * Invariant that threads keep without a lock: a request is added to in_flight before the sum is looked at, and a
 * failure to failures before it leaves in_flight, so that the sum is never seen too small.
 */
#include "gateway/inside.h"

enum breaker_answer breaker_ask(struct breaker *breaker, uint64_t now_ms)
{
    uint64_t until = atomic_load(&breaker->open_until_ms);
    int in_flight, failures;
    bool free = false;

    if (until != 0) {
        if (now_ms < until || !atomic_compare_exchange_strong(&breaker->trial, &free, true))
            return BREAKER_OPEN;
        atomic_fetch_add(&breaker->in_flight, 1);
        return BREAKER_TRIAL;
    }
    in_flight = atomic_fetch_add(&breaker->in_flight, 1) + 1;
    failures = atomic_load(&breaker->failures);
    if ((failures == 0 && atomic_load(&breaker->proven)) || in_flight + failures <= BREAKER_MOST)
        return BREAKER_CLOSED;
    atomic_fetch_sub(&breaker->in_flight, 1);
    return BREAKER_FULL;
}

void breaker_succeeded(struct breaker *breaker)
{
    atomic_fetch_sub(&breaker->in_flight, 1);
    /* All are asked: another thread may have opened it after a success had set the failures to 0. */
    if (atomic_load(&breaker->proven) && atomic_load(&breaker->failures) == 0 &&
        atomic_load(&breaker->open_until_ms) == 0)
        return;
    atomic_store(&breaker->failures, 0);
    atomic_store(&breaker->open_for_ms, 0);
    atomic_store(&breaker->open_until_ms, 0);
    atomic_store(&breaker->trial, false);
    atomic_store(&breaker->proven, true);
}

void breaker_failed(struct breaker *breaker, bool trial, uint64_t now_ms)
{
    int failures = atomic_fetch_add(&breaker->failures, 1) + 1;
    uint64_t until = atomic_load(&breaker->open_until_ms);
    uint64_t last = atomic_load(&breaker->open_for_ms), open_for;

    atomic_fetch_sub(&breaker->in_flight, 1);
    if (until == 0 ? failures < GATEWAY_BREAKER_FAILURES : !trial) /* open already: this one was in flight */
        return;
    open_for = last == 0 ? BREAKER_FIRST_MS : last * 2 > BREAKER_MAX_MS ? BREAKER_MAX_MS : last * 2;
    if (!atomic_compare_exchange_strong(&breaker->open_until_ms, &until, now_ms + open_for))
        return; /* another thread was first: once is enough */
    atomic_store(&breaker->open_for_ms, open_for);
    atomic_store(&breaker->trial, false);
}

void breaker_given_up(struct breaker *breaker, bool trial)
{
    atomic_fetch_sub(&breaker->in_flight, 1);
    if (trial)
        atomic_store(&breaker->trial, false);
}

void breaker_reset(struct breaker *breaker)
{
    atomic_store(&breaker->failures, 0);
    atomic_store(&breaker->open_for_ms, 0);
    atomic_store(&breaker->trial, false);
    atomic_store(&breaker->proven, false);
    atomic_store(&breaker->open_until_ms, 0);
}
