/*
 * measures.h - the order of the metrics' table, for the judge's own files.  Depends on judge.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef JUDGE_MEASURES_H
#define JUDGE_MEASURES_H

#include "judge/judge.h"

enum measure {
    MEASURE_ERROR_RATE,
    MEASURE_FALLBACK_RATE,
    MEASURE_LATENCY_P50, /* three kinds of time by three levels, in this order */
    MEASURE_LATENCY_P95,
    MEASURE_LATENCY_P99,
    MEASURE_QUEUE_P50,
    MEASURE_QUEUE_P95,
    MEASURE_QUEUE_P99,
    MEASURE_INFERENCE_P50,
    MEASURE_INFERENCE_P95,
    MEASURE_INFERENCE_P99,
    MEASURE_IMAGE_TIME,
    MEASURE_DETECTIONS,
    MEASURE_SCORE,
    MEASURE_LOW_SCORES,
    MEASURE_MIRROR_ERROR_RATE,
    MEASURE_DISAGREEMENT,
    MEASURE_LOST,
    MEASURE_GAINED,
    MEASURE_FLIPPED,
    MEASURE_JITTER,
    MEASURE_SCORE_SHIFT,
    MEASURE_MISSED,
    MEASURE_WRONG,
    MEASURE_F1_LOSS,
    MEASURE_CHOICES,
    MEASURE_MEMORY,
    MEASURE_GPU_MEMORY,
    MEASURE_MEMORY_GROWTH,
    MEASURE_GOLDEN_MAP,
    MEASURES
};

#define MEASURE_TIMES     3   /* whole, queue, inference */
#define MEASURE_LOW_SCORE .4f /* a score under it counts as low */

enum measure measure_of(const struct judge_metric *metric);

/* Of a quantile's measure: its level (.5, .95, .99), and which time (0..MEASURE_TIMES-1). NAN and -1 of others. */
double measure_level(enum measure measure);
int measure_time(enum measure measure);

#endif
