/*
 * random.c - a thread's two sources of numbers: a fast one that draws, and one that nobody can foretell.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a client gets to see comes from the kernel's generator and never from the one that draws versions: three
 * outputs of that one would tell its state, and with it who gets which version from then on.
 */
#include "gateway/inside.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void refill(struct thread *thread)
{
    /* At most 256 bytes come whole and without interruption (getrandom(2)); that the call works at all was seen when
     * the thread was made. */
    _Static_assert(sizeof(thread->secret) <= 256, "what the kernel gives in one piece");
    BUG_ON(getrandom(thread->secret, sizeof(thread->secret), 0) != (ssize_t)sizeof(thread->secret));
    thread->secret_left = sizeof(thread->secret);
}

enum serin_errc thread_seed(struct thread *thread, struct serin_error *error)
{
    if (getrandom(&thread->random_state, sizeof(thread->random_state), 0) != (ssize_t)sizeof(thread->random_state))
        return error_set(error, SERIN_IO, "the kernel gives no random numbers: %s", strerror(errno));
    return SERIN_OK;
}

uint64_t thread_random(struct thread *thread) /* SplitMix64 (Steele, Lea and Flood 2014) */
{
    uint64_t z = (thread->random_state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool thread_chance(struct thread *thread, double probability)
{
    return (double)(thread_random(thread) >> 11) * 0x1p-53 < probability;
}

void thread_random_id(struct thread *thread, char id[THREAD_ID_BYTES])
{
    const size_t bytes = (THREAD_ID_BYTES - 1) / 2;

    if (thread->secret_left < bytes)
        refill(thread);
    thread->secret_left -= bytes;
    text_hex(thread->secret + thread->secret_left, bytes, id);
}
