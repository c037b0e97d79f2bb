/*
 * clock.h - the monotonic clock for durations, and the wall clock for what people read.  Depends on pthread.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline double clock_ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

/* Milliseconds since 1970, UTC. */
static inline uint64_t clock_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A condition that is waited for by the monotonic clock: one by the wall's would sleep for hours when that is set back.
 */
static inline void clock_init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* What clock_stamp keeps between calls, since a second is written once and asked for many times. Begins as {0}. */
struct clock_stamp {
    time_t second;
    int size;
    char text[40];
};

/* The present as RFC 3339 has it, "2026-01-31T12:00:00.123Z"; valid until the next call with the same stamp. */
static inline const char *clock_stamp(struct clock_stamp *stamp)
{
    struct timespec now;
    struct tm utc;
    int ms;

    clock_gettime(CLOCK_REALTIME, &now);
    if (stamp->size == 0 || now.tv_sec != stamp->second) {
        gmtime_r(&now.tv_sec, &utc);
        stamp->size = snprintf(stamp->text, sizeof(stamp->text), "%04d-%02d-%02dT%02d:%02d:%02d.000Z",
                               utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
        stamp->second = now.tv_sec;
    }
    ms = (int)(now.tv_nsec / 1000000);
    stamp->text[stamp->size - 4] = (char)('0' + ms / 100);
    stamp->text[stamp->size - 3] = (char)('0' + ms / 10 % 10);
    stamp->text[stamp->size - 2] = (char)('0' + ms % 10);
    return stamp->text;
}

#endif
