/*
 * retry.c - how many tries may be made again on another replica, so that an outage does not get twice the load.
 * SPDX-License-Identifier: Apache-2.0
 *
 * As Finagle's RetryBudget and Envoy's retry_budget: a fifth of the requests, and a few a second for who has few. Each
 * version has an account in each thread: a request pays in 1, a retry costs RETRY_COST. Once a second a tenth of the
 * account is forgotten, so that it holds ten seconds of what comes in: enough for all that was in flight on a replica
 * that dies, and nothing that a quiet day has saved for an outage.
 *
 * What stable answers in the place of another version is no retry: it then gets what it would have got without that
 * version, and the client must not see an error for it.
 */
#include "gateway/inside.h"

#define RETRY_COST    5  /* a retry for five requests */
#define FREE_A_SECOND 5  /* retries, in each thread */
#define FORGOTTEN     10 /* one part of so many, each second */

void retry_begin(struct thread *thread)
{
    int slot;

    for (slot = 0; slot < GATEWAY_MAX_SLOTS; slot++)
        thread->retry_credit[slot] = FREE_A_SECOND * RETRY_COST * FORGOTTEN; /* what the free ones come to rest at */
}

void retry_second_over(struct thread *thread)
{
    int slot;

    for (slot = 0; slot < GATEWAY_MAX_SLOTS; slot++)
        thread->retry_credit[slot] += FREE_A_SECOND * RETRY_COST - thread->retry_credit[slot] / FORGOTTEN;
}

void retry_earn(struct thread *thread, int slot)
{
    if (thread->retry_credit[slot] < UINT32_MAX / 2)
        thread->retry_credit[slot]++;
}

bool retry_spend(struct thread *thread, int slot)
{
    if (thread->retry_credit[slot] < RETRY_COST) {
        COUNT(thread, slot, retries_refused, 1);
        return false;
    }
    thread->retry_credit[slot] -= RETRY_COST;
    COUNT(thread, slot, retries, 1);
    return true;
}
