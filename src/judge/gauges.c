/*
 * gauges.c - memory of the workers: its level and its growth, from readings that no draw has made.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Level: a block of GAUGE_BLOCK_S is an observation; canary's mean in it is over stable's by the margin, or not. That
 * it is so for more than half of the time is harm: one busy block is none.
 * Growth: from one point to the next at which both arms have answered GAUGE_REQUESTS more, the difference of MB per
 * 1,000 requests, cut off at eight margins. A worker that has begun anew begins again; the first stretch warms up.
 */
#include "judge/inside.h"

#include <math.h>

#define GAUGE_BLOCK_S  5
#define GAUGE_REQUESTS 100

static void close_level(struct judge *judge, struct guard *guard, struct gauge_state *gauge)
{
    const double stable = gauge->sums[JUDGE_STABLE].x / gauge->sums[JUDGE_STABLE].n;
    const double canary = gauge->sums[JUDGE_CANARY].x / gauge->sums[JUDGE_CANARY].n;
    struct cell *cell = guard->whole;
    int i;

    for (i = 0; i < guard->side_count; i++) {
        const struct side *side = &guard->sides[i];

        cell_add(judge, cell, JUDGE_CANARY, i,
                 canary > (side->kind == SIDE_LIMIT ? side->margin : stable * (1 + side->margin)));
    }
    cell->count[JUDGE_STABLE]++;
    cell->weight[JUDGE_STABLE]++;
    cell->weight[JUDGE_CANARY]++;
    cell->weighted[JUDGE_STABLE] += stable;
    cell->weighted[JUDGE_CANARY] += canary;
}

static void take_level(struct judge *judge, struct guard *guard, struct gauge_state *gauge, enum judge_arm arm,
                       double memory_mb)
{
    if (judge->t_s >= gauge->began_t_s + GAUGE_BLOCK_S) {
        if (gauge->sums[JUDGE_STABLE].n > 0 && gauge->sums[JUDGE_CANARY].n > 0)
            close_level(judge, guard, gauge);
        gauge->sums[JUDGE_STABLE] = gauge->sums[JUDGE_CANARY] = (struct bet_sums){0, 0, 0};
        gauge->began_t_s = judge->t_s;
    }
    gauge->sums[arm].n++;
    gauge->sums[arm].x += memory_mb;
}

static void take_growth(struct judge *judge, struct guard *guard, struct gauge_state *gauge, enum judge_arm arm,
                        double memory_mb, double requests)
{
    double growth[2];
    int i;

    if (requests < gauge->requests[arm])
        gauge->blocks = 0; /* another process */
    gauge->memory_mb[arm] = memory_mb;
    gauge->requests[arm] = requests;
    if (gauge->blocks > 0)
        for (i = 0; i < 2; i++)
            if (gauge->requests[i] < gauge->from_requests[i] + GAUGE_REQUESTS)
                return;
    if (gauge->blocks > 1) {
        for (i = 0; i < 2; i++)
            growth[i] =
                1000 * (gauge->memory_mb[i] - gauge->from_mb[i]) / (gauge->requests[i] - gauge->from_requests[i]);
        cell_add(judge, guard->whole, JUDGE_CANARY, -1,
                 fmax(-1, fmin(1, (growth[JUDGE_CANARY] - growth[JUDGE_STABLE]) / guard->scale)));
        guard->whole->count[JUDGE_STABLE]++;
    }
    gauge->blocks++;
    for (i = 0; i < 2; i++) {
        gauge->from_mb[i] = gauge->memory_mb[i];
        gauge->from_requests[i] = gauge->requests[i];
    }
}

void gauges_add(struct judge *judge, const struct record *record)
{
    int i;

    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];
        const double memory_mb =
            guard->measure == MEASURE_GPU_MEMORY ? record->gauge.gpu_memory_mb : record->gauge.memory_mb;

        if (guard->given->metric->source != JUDGE_FROM_GAUGES || !(memory_mb >= 0))
            continue;
        guard->heard |= 1u << record->arm;
        if (guard->measure == MEASURE_MEMORY_GROWTH)
            take_growth(judge, guard, &guard->gauge, record->arm, memory_mb, record->gauge.requests);
        else
            take_level(judge, guard, &guard->gauge, record->arm, memory_mb);
    }
}
