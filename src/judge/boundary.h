/*
 * boundary.h - confidence sequences: intervals that contain the truth at all times at once.  Depends on mixture.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * With probability 1 - alpha the truth lies in every one of a sequence's intervals, however often one looks, so that
 * they may be intersected as they come. HRMS is Howard, Ramdas, McAuliffe and Sekhon 2021 (arXiv 1810.08240). An
 * argument outside its domain gives NaN. Pure functions without memory; any thread.
 */
#ifndef JUDGE_BOUNDARY_H
#define JUDGE_BOUNDARY_H

#include "judge/mixture.h"

#include <stdbool.h>

struct boundary_interval {
    double lower, upper;
};

/* The probability behind k successes in n trials: all p that mixture_counts (two-sided, kappa) does not reject. Ends
 * are rounded outward. [0, 1] for n = 0. */
struct boundary_interval boundary_share(double k, double n, double kappa, double alpha);

/* Half the width for the difference of two means by mSPRT; arguments as mixture_means_log_e's. */
double boundary_means(double variance, double prior_variance, double alpha);

/* Half the width for a mean of n observations with standard deviation sigma, sharpest at n_opt; one-sided (either
 * part): the distance to the one end. For a difference of means sigma^2 = n se^2. Asymptotic, not for low counts
 * (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476). */
double boundary_asymptotic(double n, double sigma, double n_opt, double alpha, enum special_part part);

/* The boundary of a sum with variance v by polynomial stitching: closed form, one-sided, sub-gamma with scale c (may be
 * negative; 0: sub-Gaussian), from variance v_min > 0 on, exponent s > 1, epochs growing by eta > 1 (HRMS, theorem 1).
 * Usual: s = 1.4, eta = 2. */
double boundary_stitching(double v, double alpha, double v_min, double c, double s, double eta);

/* Half the height of a band around a whole empirical distribution function of n >= 1 observations (Howard and Ramdas
 * 2022, arXiv 1906.09712, corollary 2; Lindon and others, arXiv 2205.14762, use it): .85 sqrt((ln ln(e n) + .8
 * ln(1612/alpha)) / n). Above .01 for n < 80,000: for one quantile quantile.h is far sharper. */
double boundary_band(double n, double alpha);

/* The same band for any A > 1/sqrt(2), from n_min on: A sqrt((ln(1 + ln(n/n_min)) + C) / n); INFINITY before (Howard
 * and Ramdas, theorem 2). C is found once, by some thousand evaluations. */
double boundary_lil_constant(double alpha, double A);
double boundary_lil(double n, double n_min, double A, double C);

/* The mean of values in [0, 1] by a predictable plug-in empirical Bernstein confidence sequence (Waudby-Smith and
 * Ramdas 2023, arXiv 2010.09686, theorem 2): no assumption on their distribution beyond the mean given the past, no
 * tuning. A paired difference d in [-1, 1] goes in as (d + 1) / 2. */
struct boundary_mean {
    double log_two_over_alpha, count, sum, squares; /* SUM (x_i - mean_i)^2 */
    double weights, weighted, penalty;              /* SUM lambda, SUM lambda x, SUM v psi(lambda) */
};
void boundary_mean_init(struct boundary_mean *mean, double alpha);
bool boundary_mean_add(struct boundary_mean *mean, double x); /* false, and nothing added, where x is not in [0, 1] */
struct boundary_interval boundary_mean_interval(const struct boundary_mean *mean); /* [0, 1] of nothing */

#endif
