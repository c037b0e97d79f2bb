/*
 * statistics.c - from the stamps of a job to counters.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/statistics.h"

#include <time.h>

const char *const stage_names[STAGES] = {"decode", "queue", "inference", "post", "whole"};

static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns && to_ns > from_ns ? to_ns - from_ns : 0;
}

static uint64_t stage_ns(const struct job *job, enum stage stage)
{
    const struct batch_item *item = &job->item;

    switch (stage) {
    case STAGE_DECODE:
        return between(item->prepare_ns, item->ready_ns);
    case STAGE_QUEUE:
        return between(item->arrived_ns, item->prepare_ns) + between(item->ready_ns, item->run_ns);
    case STAGE_INFERENCE:
        return between(item->run_ns, item->ran_ns);
    case STAGE_POST:
        return between(item->ran_ns, item->done_ns);
    case STAGE_WHOLE:
    case STAGES:
        break;
    }
    return between(item->arrived_ns, item->done_ns);
}

double job_stage_ms(const struct job *job, enum stage stage)
{
    return (double)stage_ns(job, stage) / 1e6;
}

void statistics_add(struct statistics *statistics, const struct job *job, bool succeeded)
{
    struct timespec now;
    int stage;

    if (!succeeded) {
        statistics->failed++;
        return;
    }
    for (stage = 0; stage < STAGES; stage++)
        histogram_record(&statistics->stages[stage], stage_ns(job, (enum stage)stage) / 1000);
    clock_gettime(CLOCK_REALTIME, &now);
    statistics->last_inference_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    statistics->succeeded++;
    statistics->inferences += (uint64_t)job->batch;
    statistics->batch_ns[job->item.batch_size] += stage_ns(job, STAGE_INFERENCE);
    statistics->batch_jobs[job->item.batch_size]++;
}
