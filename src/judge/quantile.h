/*
 * quantile.h - quantiles of one arm with their uncertainty, and of two arms against each other, at every look.
 * Depends on mixture.h, base/histogram.h. SPDX-License-Identifier: Apache-2.0
 *
 * Howard and Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
 * identification" (arXiv 1906.09712), called HR below. p is the quantile, 0 < p < 1; kappa is mixture_kappa(t_opt, ..)
 * with t_opt in observations of one arm, two-sided or one-sided as the test is. The values of an arm are taken to be
 * independent and alike; where bursts and days make them otherwise, a test that rests on the draw of the arm alone is
 * to decide, and these show where the quantiles are.
 *
 * Samples are sorted, ascending. Of a histogram only the counts at its buckets' edges are known, so that inside a
 * bucket each arm's evidence is taken at its least: conservative, and valid. An argument outside its domain gives NaN
 * or the widest interval.
 */
#ifndef JUDGE_QUANTILE_H
#define JUDGE_QUANTILE_H

#include "base/histogram.h"
#include "judge/boundary.h"

#include <stddef.h>

/* The order statistics (from 1 on) between which the quantile of n values lies (HR, theorem 1). lower 0: there is no
 * lower end yet (-inf); upper n + 1: there is no upper end yet. */
struct quantile_ranks {
    uint64_t lower, upper;
};
struct quantile_ranks quantile_ranks(double p, uint64_t n, double kappa, double alpha);

/* The same in microseconds, on the outer edges of the ranks' buckets; 0 and INFINITY where there is no end yet, or
 * where the end lies in the last bucket, which has none. */
struct boundary_interval quantile_interval_us(const struct histogram_sum *sum, double p, double kappa, double alpha);

/* How far the number of values at or below the quantile can be from n p, for all quantiles at once, by double stitching
 * (HR, theorem 3): for t observations, sharpest from t_opt on; usual: delta = .5, s = 1.4, eta = 2. */
double quantile_stitching(double p, double t, double alpha, double t_opt, double delta, double s, double eta);

/* ln E against "both arms have the same quantile" (HR, theorem 5): the least, over all places x where the quantile
 * could be, of the evidence of both arms against x, which makes it an e-process. Its p-value is min(1, exp(-ln E)). 0
 * of arms without values. */
double quantile_differs(double p, double kappa, const double *a, size_t a_count, const double *b, size_t b_count);
double quantile_differs_us(double p, double kappa, const struct histogram_sum *a, const struct histogram_sum *b);

/* ln E against "canary's quantile <= stable's (1 + margin)", margin > -1, the values not negative; as above. For "no
 * harm" exchange the arms: stable slower than canary with the margin 1/(1+margin) - 1 is canary's < (1+margin)
 * stable's. */
double quantile_slower(double p, double kappa, double margin, const double *stable, size_t stable_count,
                       const double *canary, size_t canary_count);
double quantile_slower_us(double p, double kappa, double margin, const struct histogram_sum *stable,
                          const struct histogram_sum *canary);

#endif
