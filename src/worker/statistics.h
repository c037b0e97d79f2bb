/*
 * statistics.h - what a worker counts.  Depends on base, job.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Written by the loop's thread alone.
 */
#ifndef WORKER_STATISTICS_H
#define WORKER_STATISTICS_H

#include "base/histogram.h"
#include "worker/job.h"

enum stage { STAGE_DECODE, STAGE_QUEUE, STAGE_INFERENCE, STAGE_POST, STAGE_WHOLE, STAGES };

extern const char *const stage_names[STAGES];

struct statistics {
    struct histogram stages[STAGES]; /* of jobs */
    uint64_t requests, answers_2xx, answers_4xx, answers_5xx;
    uint64_t succeeded, failed;                 /* jobs that came to an answer, good or bad */
    uint64_t inferences;                        /* pictures that went through the network */
    uint64_t batch_ns[BATCHER_MAX_BATCH + 1];   /* time in the network by batch size, summed over jobs */
    uint64_t batch_jobs[BATCHER_MAX_BATCH + 1]; /* jobs in runs of that size */
    uint64_t last_inference_ms;                 /* since the epoch; 0: never */
};

/* Milliseconds of a job's stage; 0 where it did not get that far. decode is from the pool's first touch to ready; queue
 * is the time in both queues; post from the end of the run. */
double job_stage_ms(const struct job *job, enum stage stage);

void statistics_add(struct statistics *statistics, const struct job *job, bool succeeded);

#endif
