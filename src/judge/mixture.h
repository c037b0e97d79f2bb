/*
 * mixture.h - evidence against a hypothesis from counts or sums, valid at every look.  Depends on special.h, libm.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each function gives ln E of an e-process: E is never negative and has expectation at most 1 under the hypothesis at
 * every stopping time, so that a test may look after every observation and reject when ln E >= ln(1/alpha) (Ville's
 * inequality). E is the likelihood ratio of the hypothesis' alternatives, mixed by a prior. Logarithms stay logarithms.
 *
 * Sources: Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
 * confidence sequences" (arXiv 1810.08240), called HRMS below; Lindon and Malek 2022 (arXiv 2011.03567).
 *
 * The part says which alternatives the prior covers: SPECIAL_WHOLE both sides; SPECIAL_ABOVE and SPECIAL_BELOW one side
 * of the hypothesis, which then is "at most" or "at least". An argument outside its domain gives NaN, which never
 * reaches a limit. No memory is allocated; any thread.
 */
#ifndef JUDGE_MIXTURE_H
#define JUDGE_MIXTURE_H

#include "judge/special.h"

/* A mixture is sharpest at the time for which its prior is tuned: t_opt in observations or v_opt in the variance of
 * the sum, at the level alpha_opt (one-sided: below 1/2). Choose before looking; a factor of ten beside it costs
 * little. spread is D(alpha) = 2 ln(1/alpha) + ln(1 + 2 ln(1/alpha)) (HRMS, section 3.5). */
double mixture_spread(double alpha);
double mixture_rho(double v_opt, double alpha_opt, enum special_part part);   /* v_opt / D, D(2 alpha) one-sided */
double mixture_kappa(double t_opt, double alpha_opt, enum special_part part); /* t_opt / D - 1, at least .001 */

enum mixture_kind { MIXTURE_NORMAL, MIXTURE_BETA_BINOMIAL, MIXTURE_GAMMA_EXPONENTIAL, MIXTURE_GAMMA_POISSON };

/* A prior with its constant, made once for many observations. */
struct mixture {
    enum mixture_kind kind;
    enum special_part part;
    double rho;  /* in units of the variance v; for beta-binomial kappa: in observations */
    double g, h; /* beta-binomial: steps lie between -g and h */
    double c;    /* gamma: the scale, in units of the sum */
    double log_prior;
};

/* k successes in n trials, each with probability p under the hypothesis (0 < p < 1); the prior is Beta(kappa p,
 * kappa (1-p)), worth kappa trials. Also: an event's arm, with p the canary's share; a sample ratio; the values below a
 * quantile; discordant pairs, a fair coin with p = 1/2 and the prior Beta(a, a) at kappa = 2 a. 0 <= k <= n. */
struct mixture mixture_counts(double p, double kappa, enum special_part part);
double mixture_counts_log_e(const struct mixture *mixture, double k, double n);

/* A sum s with intrinsic variance v:
 *   normal            sub-Gaussian increments; asymptotically any, with estimated variance
 *   sub_bernoulli     increments between -g and h with mean at most 0 (HRMS, proposition 7)
 *   gamma_exponential right tails as heavy as an exponential's of scale c; with v = SUM (x_i - prediction_i)^2 of
 * values in an interval of length c it is the empirical Bernstein bound (HRMS, theorem 4; propositions 9) gamma_poisson
 * right tails of a Poisson variable's of scale c (HRMS, proposition 10) The two gamma mixtures are one-sided (above).
 */
struct mixture mixture_normal(double v_opt, double alpha_opt, enum special_part part);
struct mixture mixture_sub_bernoulli(double v_opt, double alpha_opt, double g, double h, enum special_part part);
struct mixture mixture_gamma_exponential(double v_opt, double alpha_opt, double c);
struct mixture mixture_gamma_poisson(double v_opt, double alpha_opt, double c);
double mixture_log_e(const struct mixture *mixture, double s, double v);

/* The sum s > 0 from which on ln E >= ln(1/alpha) at variance v, rounded away from 0; INFINITY where no possible sum
 * gets there. Not for SPECIAL_BELOW: negate the sum instead. */
double mixture_bound(const struct mixture *mixture, double v, double alpha);

/* As mixture_counts, with a uniform prior over all probabilities (Robbins): E = 1 / ((n+1) C(n,k) p^k (1-p)^(n-k)). */
double mixture_uniform_log_e(double k, double n, double p);

/* mSPRT of two means: difference of the samples' means, its variance s_a^2/n_a + s_b^2/n_b, and the variance of the
 * prior for the true difference (about 7.94 times the variance at the size of interest, for alpha .05). Asymptotic: not
 * for low counts (Johari, Pekelis and Walsh, arXiv 1512.04922). */
double mixture_means_log_e(double difference, double variance, double prior_variance);

#endif
