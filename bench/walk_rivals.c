/*
 * walk_rivals.c - the same requests, judged by Kayenta and by Flagger over one number a minute.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each request is drawn by the same number as for walk_serin. Neither knows evidence, so their steps have a fixed time.
 */
#include "walk.h"

#include "rivals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARES        4
#define MINUTES_EACH  15
#define MINUTES       (SHARES * MINUTES_EACH)
#define MOST_TIMES    (1 << 16) /* of a version in a minute; what is more does not count */
#define FIRST_MINUTE  10
#define EACH_MINUTES  5
#define MIRROR        .1
#define FAILED_CHECKS 5

static const double shares[SHARES] = {.01, .05, .2, .5};

enum number { ERRORS, P95, MISSED, LOST, MEMORY, NUMBERS };
static const char *const names[NUMBERS] = {"error_rate", "latency_p95", "missed", "lost", "memory"};

/* Of one minute, by version. */
struct minute {
    double requests[2], errors[2], objects[2], missed[2], boxes[2], lost[2];
    size_t time_count[2];
    float *times[2];
};

struct minutes {
    struct traffic traffic;
    struct minute now;
    double answered[2];
    double numbers[2][NUMBERS][MINUTES];
    int count;
};

static int by_time(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double part(double of, double all)
{
    return all > 0 ? of / all : (double)NAN;
}

static void take(struct minutes *minutes, const struct traffic_request *request, double share, double label_share)
{
    struct minute *now = &minutes->now;
    const int arm = (double)(request->draw >> 11) * 0x1p-53 < share, answers = request->failed[arm] ? 0 : 1;

    now->requests[arm]++;
    now->errors[arm] += request->failed[arm];
    minutes->answered[arm]++;
    if (now->time_count[arm] < MOST_TIMES)
        now->times[arm][now->time_count[arm]++] = request->time_ms[arm];
    if (answers && request->label < label_share) { /* the delay is spared them */
        now->objects[arm] += __builtin_popcount(request->objects);
        now->missed[arm] += __builtin_popcount(request->objects & (uint8_t)~request->found[arm]);
    }
    if (!answers || arm != 0)
        return;
    if (request->mirror < MIRROR && !request->failed[1]) {
        minutes->answered[1]++;
        now->boxes[1] += __builtin_popcount(request->found[0]);
        now->lost[1] += __builtin_popcount(request->found[0] & (uint8_t)~request->found[1]);
    }
    if (request->noise < MIRROR / 10) {
        now->boxes[0] += __builtin_popcount(request->found[0]);
        now->lost[0] += __builtin_popcount(request->found[0] & (uint8_t)~request->found_again);
    }
}

static void end_minute(struct minutes *minutes)
{
    struct minute *now = &minutes->now;
    int arm;

    for (arm = 0; arm < 2; arm++) {
        double(*numbers)[MINUTES] = minutes->numbers[arm];
        const int at = minutes->count;
        const size_t times = now->time_count[arm];

        qsort(now->times[arm], times, sizeof(float), by_time);
        numbers[ERRORS][at] = part(now->errors[arm], now->requests[arm]);
        numbers[P95][at] = times ? (double)now->times[arm][times * 95 / 100] : (double)NAN;
        numbers[MISSED][at] = part(now->missed[arm], now->objects[arm]);
        numbers[LOST][at] = part(now->lost[arm], now->boxes[arm]);
        numbers[MEMORY][at] = traffic_memory_mb(&minutes->traffic, arm, minutes->answered[arm]);
    }
    minutes->count++;
    *now = (struct minute){.times = {now->times[0], now->times[1]}};
}

/* Goes on to the end of a minute; false: the last has passed. */
static bool next_minute(struct minutes *minutes, const struct walk_options *options, struct traffic_request *request)
{
    if (minutes->count == MINUTES)
        return false;
    while (request->t_s < 60. * (minutes->count + 1)) {
        if (request->t_s > 0)
            take(minutes, request, shares[minutes->count / MINUTES_EACH], options->label_share);
        traffic_next(&minutes->traffic, request);
    }
    end_minute(minutes);
    return true;
}

/* What a person would have measured the day before. */
static double usual_p95_ms(const struct walk_options *options)
{
    enum { MEASURED = 20000 };
    float *times = calloc(MEASURED, sizeof(float)), p95;
    struct traffic traffic;
    struct traffic_request request;
    int i;

    if (!times)
        abort();
    traffic_init(&traffic, &options->traffic, options->seed);
    for (i = 0; i < MEASURED; i++) {
        traffic_next(&traffic, &request);
        times[i] = request.time_ms[0];
    }
    qsort(times, MEASURED, sizeof(float), by_time);
    p95 = times[MEASURED * 95 / 100];
    free(times);
    return (double)p95;
}

static bool kayenta_fails(struct minutes *minutes, uint64_t *random, struct walk_result *ret)
{
    const size_t count = (size_t)minutes->count;
    int i;

    if (minutes->count < FIRST_MINUTE || minutes->count % EACH_MINUTES != 0)
        return false;
    for (i = 0; i < NUMBERS; i++)
        if (kayenta_classify(minutes->numbers[1][i], count, minutes->numbers[0][i], count, KAYENTA_INCREASE, 1, 1,
                             random, NULL) == KAYENTA_HIGH) {
            snprintf(ret->guard, sizeof(ret->guard), "%s", names[i]);
            return true;
        }
    return false;
}

static bool flagger_fails(struct minutes *minutes, struct flagger checks[NUMBERS], struct walk_result *ret)
{
    static const int looked_at[] = {ERRORS, P95, MEMORY};
    size_t i;

    for (i = 0; i < sizeof(looked_at) / sizeof(looked_at[0]); i++)
        if (flagger_tick(&checks[looked_at[i]], minutes->numbers[1][looked_at[i]][minutes->count - 1])) {
            snprintf(ret->guard, sizeof(ret->guard), "%s", names[looked_at[i]]);
            return true;
        }
    return false;
}

static void walk_minutes(const struct walk_options *options, bool kayenta, struct walk_result *ret)
{
    struct minutes *minutes = calloc(1, sizeof(*minutes));
    struct flagger checks[NUMBERS] = {[ERRORS] = {.max = 1.5 * options->traffic.error_rate},
                                      [P95] = {.max = 1.05 * (kayenta ? 0 : usual_p95_ms(options))},
                                      [MEMORY] = {.max = 1.25 * 400}};
    struct traffic_request request = {.t_s = 0};
    uint64_t random = options->seed;
    bool failed = false;
    int i;

    *ret = (struct walk_result){.end = WALK_PROMOTED, .reference_pairs = (double)NAN};
    for (i = 0; i < NUMBERS; i++) {
        checks[i].min = (double)-INFINITY;
        checks[i].threshold = FAILED_CHECKS;
    }
    for (i = 0; minutes && i < 2; i++)
        minutes->now.times[i] = calloc(MOST_TIMES, sizeof(float));
    if (!minutes || !minutes->now.times[0] || !minutes->now.times[1])
        abort();
    traffic_init(&minutes->traffic, &options->traffic, options->seed);
    while (!failed && next_minute(minutes, options, &request))
        failed = kayenta ? kayenta_fails(minutes, &random, ret) : flagger_fails(minutes, checks, ret);
    if (failed)
        ret->end = WALK_ROLLED_BACK;
    ret->t_s = 60. * minutes->count;
    for (i = 0; i < 2; i++)
        free(minutes->now.times[i]);
    free(minutes);
}

void walk_kayenta(const struct walk_options *options, struct walk_result *ret)
{
    walk_minutes(options, true, ret);
}

void walk_flagger(const struct walk_options *options, struct walk_result *ret)
{
    walk_minutes(options, false, ret);
}
