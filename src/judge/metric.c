/*
 * metric.c - the metrics that a guard can be about: one table.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Margins are defaults, chosen so that they are smaller than what an operator would call an incident and larger than
 * what a day's evidence cannot tell from nothing. Disagreement with stable calls a person and goes back on nothing by
 * itself, since a better version disagrees too.
 */
#include "judge/measures.h"

#include <math.h>
#include <string.h>

#define TIME(index, text, of)                                                                                          \
    [MEASURE_##index##                                                                                                 \
        _P50] = {text "_p50", JUDGE_FROM_REQUESTS, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .05,        \
                 "ms",        "median of " of},                                                                        \
 [MEASURE_##index##                                                                                                    \
     _P95] = {text "_p95", JUDGE_FROM_REQUESTS,     JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .05,       \
              "ms",        "95th percentile of " of},                                                                  \
 [MEASURE_##index##                                                                                                    \
     _P99] = {text "_p99", JUDGE_FROM_REQUESTS,     JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .1,        \
              "ms",        "99th percentile of " of}

static const struct judge_metric metrics[MEASURES] = {
    [MEASURE_ERROR_RATE] = {"error_rate", JUDGE_FROM_REQUESTS, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK,
                            .5, "share", "requests that the version failed, whether or not stable answered instead"},
    [MEASURE_FALLBACK_RATE] = {"fallback_rate", JUDGE_FROM_REQUESTS, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE,
                               JUDGE_ROLL_BACK, .5, "share", "requests that stable had to answer for the version"},
    TIME(LATENCY, "latency", "the time from a request's arrival to its answer"),
    TIME(QUEUE, "queue", "the time that a request waits in the worker"),
    TIME(INFERENCE, "inference", "the time in the model"),
    [MEASURE_IMAGE_TIME] = {"image_time", JUDGE_FROM_REQUESTS, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK,
                            .1, "ms", "mean time in the model of a picture: pictures a second, at equal load"},
    [MEASURE_DETECTIONS] = {"detections", JUDGE_FROM_REQUESTS, JUDGE_RELATIVE, JUDGE_EITHER_IS_WORSE, JUDGE_CALL_PERSON,
                            .2, "boxes", "mean number of boxes of a picture"},
    [MEASURE_SCORE] = {"score", JUDGE_FROM_REQUESTS, JUDGE_ABSOLUTE, JUDGE_EITHER_IS_WORSE, JUDGE_CALL_PERSON, .05,
                       "points", "mean score of a picture's boxes"},
    [MEASURE_LOW_SCORES] = {"low_scores", JUDGE_FROM_REQUESTS, JUDGE_ABSOLUTE, JUDGE_EITHER_IS_WORSE, JUDGE_CALL_PERSON,
                            .1, "share", "share of a picture's boxes with a score under 0.4"},
    [MEASURE_MIRROR_ERROR_RATE] = {"mirror_error_rate", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE,
                                   JUDGE_ROLL_BACK, .05, "share",
                                   "mirrored frames that stable answered and the version failed, or was too late for"},
    [MEASURE_DISAGREEMENT] = {"disagreement", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE,
                              JUDGE_CALL_PERSON, .1, "share",
                              "boxes of a mirrored frame that only one version has, or with another class"},
    [MEASURE_LOST] = {"lost", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_CALL_PERSON, .05, "share",
                      "stable's boxes of a mirrored frame that the version does not have"},
    [MEASURE_GAINED] = {"gained", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_CALL_PERSON, .05,
                        "share", "the version's boxes of a mirrored frame that stable does not have"},
    [MEASURE_FLIPPED] = {"flipped", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_CALL_PERSON, .03,
                         "share", "stable's boxes of a mirrored frame that have another class"},
    [MEASURE_JITTER] = {"jitter", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_CALL_PERSON, .05,
                        "share", "mean of 1 - IoU of the boxes on which a mirrored frame agrees"},
    [MEASURE_SCORE_SHIFT] = {"score_shift", JUDGE_FROM_PAIRS, JUDGE_ABSOLUTE, JUDGE_EITHER_IS_WORSE, JUDGE_CALL_PERSON,
                             .05, "points", "mean change of the score of the boxes on which a mirrored frame agrees"},
    [MEASURE_MISSED] = {"missed", JUDGE_FROM_LABELS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .03,
                        "share", "labelled objects of a frame that the version did not find"},
    [MEASURE_WRONG] = {"wrong", JUDGE_FROM_LABELS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .03, "share",
                       "boxes of a labelled frame where nothing is"},
    [MEASURE_F1_LOSS] = {"f1_loss", JUDGE_FROM_LABELS, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .03,
                         "share", "1 - F1 of a labelled frame"},
    [MEASURE_CHOICES] = {"choices", JUDGE_FROM_CHOICES, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .1,
                         "share", "differing frames where a person says that stable is right, less one half"},
    [MEASURE_MEMORY] = {"memory", JUDGE_FROM_GAUGES, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK, .25, "MB",
                        "memory of a worker"},
    [MEASURE_GPU_MEMORY] = {"gpu_memory", JUDGE_FROM_GAUGES, JUDGE_RELATIVE, JUDGE_HIGHER_IS_WORSE, JUDGE_ROLL_BACK,
                            .25, "MB", "GPU memory of a worker"},
    [MEASURE_MEMORY_GROWTH] = {"memory_growth", JUDGE_FROM_GAUGES, JUDGE_ABSOLUTE, JUDGE_HIGHER_IS_WORSE,
                               JUDGE_ROLL_BACK, 5, "MB", "growth of a worker's memory in 1,000 requests: a leak"},
    [MEASURE_GOLDEN_MAP] = {"golden_map", JUDGE_FROM_GOLDEN, JUDGE_ABSOLUTE, JUDGE_LOWER_IS_WORSE, JUDGE_ROLL_BACK, .01,
                            "points", "mAP 50-95 on the golden set, evaluated before the rollout"},
};

const struct judge_metric *judge_metric_at(int index)
{
    return index >= 0 && index < MEASURES ? &metrics[index] : NULL;
}

const struct judge_metric *judge_metric_find(const char *name)
{
    int i;

    for (i = 0; i < MEASURES; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

enum measure measure_of(const struct judge_metric *metric)
{
    return (enum measure)(metric - metrics);
}

double measure_level(enum measure measure)
{
    static const double levels[] = {.5, .95, .99};

    return measure_time(measure) < 0 ? (double)NAN : levels[(measure - MEASURE_LATENCY_P50) % 3];
}

int measure_time(enum measure measure)
{
    if (measure < MEASURE_LATENCY_P50 || measure > MEASURE_INFERENCE_P99)
        return -1;
    return (int)(measure - MEASURE_LATENCY_P50) / 3;
}
