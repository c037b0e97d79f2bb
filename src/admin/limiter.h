/*
 * limiter.h - how often strangers may try something: a few times each, and some times all of them together.
 * Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Buckets of tries that refill with time (the token bucket of RFC 2697, one rate). There is a fixed number of buckets,
 * and a keyed hash of the address chooses one: addresses that share a bucket share its tries, which no stranger can
 * bring about on purpose, and nothing grows. IPv6 addresses count by their first 64 bits, for who has one has them all.
 */
#ifndef ADMIN_LIMITER_H
#define ADMIN_LIMITER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMITER_BUCKETS 1024

struct limiter_bucket {
    uint64_t full_at_ms; /* when all of its tries are back */
};

struct limiter {
    uint64_t key[2];
    uint32_t each, all;                   /* tries at once */
    uint32_t each_every_ms, all_every_ms; /* after which one more is given */
    struct limiter_bucket together, buckets[LIMITER_BUCKETS];
};

/* SERIN_IO where the kernel has no random numbers. */
MUST_USE enum serin_errc limiter_init(struct limiter *limiter, uint32_t each, uint32_t each_every_ms, uint32_t all,
                                      uint32_t all_every_ms, struct serin_error *error);
/* peer: "10.0.0.7:51432", "[2001:db8::1]:443", "unix". Milliseconds until it may try; 0: now, and nothing is taken. */
uint64_t limiter_wait_ms(const struct limiter *limiter, const char *peer, uint64_t now_ms);
void limiter_take(struct limiter *limiter, const char *peer, uint64_t now_ms); /* one try of its, and of all */

#endif
