/*
 * breaker.c - takes a version off that only fails, before anybody has judged it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Closed until GATEWAY_BREAKER_FAILURES in a row; then open for a time; after that one request is the trial: if it
 * succeeds the breaker closes, if it fails it is open for twice as long. All threads share it: the failures are its own
 * in a row, whichever thread saw them.
 */
#include "gateway/inside.h"

enum breaker_answer breaker_ask(struct breaker *breaker, uint64_t now_ms)
{
    uint64_t until = atomic_load(&breaker->open_until_ms);
    bool free = false;

    if (until == 0)
        return BREAKER_CLOSED;
    if (now_ms < until || !atomic_compare_exchange_strong(&breaker->trial, &free, true))
        return BREAKER_OPEN;
    return BREAKER_TRIAL;
}

void breaker_succeeded(struct breaker *breaker)
{
    /* Both are asked: another thread may have opened it after a success had set the failures to 0. */
    if (atomic_load(&breaker->failures) == 0 && atomic_load(&breaker->open_until_ms) == 0)
        return;
    atomic_store(&breaker->failures, 0);
    atomic_store(&breaker->open_for_ms, 0);
    atomic_store(&breaker->open_until_ms, 0);
    atomic_store(&breaker->trial, false);
}

void breaker_failed(struct breaker *breaker, uint64_t now_ms)
{
    int failures = atomic_fetch_add(&breaker->failures, 1) + 1;
    uint64_t until = atomic_load(&breaker->open_until_ms);
    uint64_t last = atomic_load(&breaker->open_for_ms), open_for;

    if (failures < GATEWAY_BREAKER_FAILURES && until == 0)
        return;
    if (until != 0 && !atomic_load(&breaker->trial))
        return; /* open already: this one was in flight */
    open_for = last == 0 ? BREAKER_FIRST_MS : last * 2 > BREAKER_MAX_MS ? BREAKER_MAX_MS : last * 2;
    if (!atomic_compare_exchange_strong(&breaker->open_until_ms, &until, now_ms + open_for))
        return; /* another thread was first: once is enough */
    atomic_store(&breaker->open_for_ms, open_for);
    atomic_store(&breaker->trial, false);
}

void breaker_trial_given_up(struct breaker *breaker)
{
    atomic_store(&breaker->trial, false);
}
