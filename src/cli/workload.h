/*
 * workload.h - decodes and predicts as fast as it can for some seconds, and takes the time of each stage.  Depends on
 * yolo. SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_WORKLOAD_H
#define CLI_WORKLOAD_H

#include "base/error.h"
#include "cli/cli.h"

#include <serin/yolo.h>

#define WORKLOAD_MAX_BATCH       64
#define WORKLOAD_MAX_CONCURRENCY 256
#define WORKLOAD_MAX_PICTURES    1000

struct workload {
    struct serin_yolo *yolo;
    const char *images; /* a file, a folder or a pattern; NULL: a synthetic JPEG of 1280 x 720 */
    double seconds;     /* after the warm-up */
    struct cli_size imgsz;
    int batch, concurrency; /* 1 to the limits above */
};

enum stage { STAGE_DECODE, STAGE_PREPROCESS, STAGE_INFERENCE, STAGE_POSTPROCESS, STAGE_WHOLE, STAGES };

struct quantiles {
    double mean, p50, p90, p99, max;
};

struct outcome {
    size_t pictures;
    size_t pictures_failed; /* files that could not be read or decoded, each named on stderr; not among pictures */
    double wall_s, cpu_s;
    struct quantiles stages[STAGES]; /* ms for a picture; STAGE_WHOLE: for a call, of batch pictures */
};

/* Errors: those of predicting, of the first picture that fails; of reading, where no picture could be decoded;
 * SERIN_LIMIT; SERIN_NOMEM. */
MUST_USE enum serin_errc workload_measure(const struct workload *workload, struct outcome *ret,
                                          struct serin_error *error);

#endif
