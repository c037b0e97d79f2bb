/*
 * timing.h - quantiles of a time by arm, and the fading memory of stable's that thresholds come from.  Depends on
 * base/histogram.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef JUDGE_TIMING_H
#define JUDGE_TIMING_H

#include "base/histogram.h"

#define TIMING_FADES_S 600 /* half of what is remembered is younger: thresholds follow the day */

struct timing {
    uint32_t counts[2][HISTOGRAM_BUCKETS]; /* by arm */
    uint64_t total[2];
};

/* What stable's times have been lately. */
struct fading {
    float counts[HISTOGRAM_BUCKETS];
    double total, faded_t_s;
};

void timing_add(struct timing *timing, int arm, double time_ms);
void fading_add(struct fading *fading, double time_ms);
void fading_fade(struct fading *fading, double t_s);

/* In ms, interpolated within the bucket; NAN where there is nothing. */
double timing_quantile(const struct timing *timing, int arm, double level);
double fading_quantile(const struct fading *fading, double level);

#endif
