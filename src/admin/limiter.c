/*
 * limiter.c - buckets of tries, each as the one time at which it will be full again.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bucket of n tries, one of which comes back every t, lacks (full_at - now) / t of them (the "virtual scheduling"
 * form of the generic cell rate algorithm, ITU-T I.371): a try may be made where n - 1 or fewer are lacking.
 */
#include "admin/limiter.h"

#include "base/siphash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum serin_errc limiter_init(struct limiter *limiter, uint32_t each, uint32_t each_every_ms, uint32_t all,
                             uint32_t all_every_ms, struct serin_error *error)
{
    *limiter = (struct limiter){.each = each, .each_every_ms = each_every_ms, .all = all, .all_every_ms = all_every_ms};
    if (getrandom(limiter->key, sizeof(limiter->key), 0) != (ssize_t)sizeof(limiter->key))
        return error_set(error, SERIN_IO, "the kernel gives no random numbers: %s", strerror(errno));
    return SERIN_OK;
}

static size_t bucket_of(const struct limiter *limiter, const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t size = colon ? (size_t)(colon - peer) : strlen(peer);
    char host[64];
    uint8_t ip6[16];

    if (peer[0] == '[' && size > 2 && size - 2 < sizeof(host)) {
        memcpy(host, peer + 1, size - 2);
        host[size - 2] = '\0';
        if (inet_pton(AF_INET6, host, ip6) == 1)
            return siphash(limiter->key, ip6, 8) % LIMITER_BUCKETS;
    }
    return siphash(limiter->key, peer, size) % LIMITER_BUCKETS;
}

static uint64_t wait_of(const struct limiter_bucket *bucket, uint32_t most, uint32_t every_ms, uint64_t now_ms)
{
    uint64_t room_ms = (uint64_t)(most - 1) * every_ms;

    return bucket->full_at_ms > now_ms + room_ms ? bucket->full_at_ms - now_ms - room_ms : 0;
}

uint64_t limiter_wait_ms(const struct limiter *limiter, const char *peer, uint64_t now_ms)
{
    uint64_t own = wait_of(&limiter->buckets[bucket_of(limiter, peer)], limiter->each, limiter->each_every_ms, now_ms);
    uint64_t all = wait_of(&limiter->together, limiter->all, limiter->all_every_ms, now_ms);

    return own > all ? own : all;
}

static void take(struct limiter_bucket *bucket, uint32_t every_ms, uint64_t now_ms)
{
    bucket->full_at_ms = (bucket->full_at_ms > now_ms ? bucket->full_at_ms : now_ms) + every_ms;
}

void limiter_take(struct limiter *limiter, const char *peer, uint64_t now_ms)
{
    take(&limiter->buckets[bucket_of(limiter, peer)], limiter->each_every_ms, now_ms);
    take(&limiter->together, limiter->all_every_ms, now_ms);
}
