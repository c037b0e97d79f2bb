/*
 * test_streams.h - for the judge's tests: options, records, and a loop that adds and looks.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef JUDGE_TEST_STREAMS_H
#define JUDGE_TEST_STREAMS_H

#include "judge/judge.h"
#include "judge/test_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct judge_options options;

static inline void start(int guards, const char *const *metrics)
{
    int i, k;

    options = (struct judge_options){
        .alpha = .05, .beta = .05, .guard_count = guards, .step_count = 2, .golden_map = {(double)NAN, (double)NAN}};
    for (i = 0; i < guards; i++) {
        struct judge_guard *guard = &options.guards[i];

        guard->metric = judge_metric_find(metrics[i]);
        assert_non_null(guard->metric);
        snprintf(guard->name, sizeof(guard->name), "%s", metrics[i]);
        guard->margin = guard->metric->margin;
        guard->limit = (double)NAN;
        guard->alpha_share = 1;
        guard->action = guard->metric->action;
        guard->required = true;
        for (k = 0; k < JUDGE_MAX_STEPS; k++)
            guard->prove[k] = guard->metric->scale == JUDGE_RELATIVE ? 1 : guard->margin;
    }
}

static inline void slice_by(const char *name, int values)
{
    int i;

    snprintf(options.dimensions[options.dimension_count].name, JUDGE_MAX_NAME, "%s", name);
    options.dimensions[options.dimension_count].values = values;
    options.dimensions[options.dimension_count].required = true;
    options.dimensions[options.dimension_count].min_share = .05;
    for (i = 0; i < options.guard_count; i++)
        options.guards[i].dimensions |= 1u << options.dimension_count;
    options.dimension_count++;
}

static inline struct judge *make(void)
{
    struct serin_error error;
    struct judge *judge;

    if (judge_new(&options, &judge, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return judge;
}

static inline struct record request(double t_s, double share)
{
    struct record record = {.kind = RECORD_REQUEST, .t_s = t_s, .share = share};

    record.arm = chance() < share ? JUDGE_CANARY : JUDGE_STABLE;
    record.request =
        (struct record_request){.status = 200, .total_ms = -1, .queue_ms = -1, .inference_ms = -1, .detections = -1};
    return record;
}

/* Looks after each tenth record until the answer is not to hold any more, or `most` records. */
static inline struct judge_decision run(struct judge *judge, int most, double share, void (*fill)(struct record *),
                                        int *ret_at)
{
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    int i;

    for (i = 0; i < most && decision.answer == JUDGE_HOLD; i++) {
        struct record record = request(i * .01, share);

        fill(&record);
        judge_add(judge, &record);
        if (i % 10 == 9)
            judge_look(judge, i * .01, &decision);
    }
    *ret_at = i;
    return decision;
}

#endif
