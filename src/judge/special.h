/*
 * special.h - the special functions below the judge's tests, in logarithms.  Depends on libm alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything is the natural logarithm of what is named, so that nothing underflows. Accuracy, tested against 50 digits
 * (tests/golden/special.tsv): |error| <= 1e-10 max(1, |value|) for parameters from 1e-3 to 1e9. An argument outside its
 * domain gives NaN, which is no evidence: NAN >= limit is false. Pure functions; any thread.
 */
#ifndef JUDGE_SPECIAL_H
#define JUDGE_SPECIAL_H

/* Which part of a mixture's prior is used: all of it, what lies above the hypothesis, what lies below it. */
enum special_part { SPECIAL_WHOLE, SPECIAL_ABOVE, SPECIAL_BELOW };

/* The two integrals that all mixtures with a conjugate prior are made of. They are relative to the integrand at the
 * hypothesis, so that evidence is the difference of two of them, of the posterior and of the prior, in which numbers as
 * large as the count never meet.
 *
 *   beta:   integral of t^(a-1) (1-t)^(b-1) dt over (0,1), (p,1) or (0,p), divided by p^a (1-p)^b
 *   gamma:  integral of t^(a-1) e^-t dt over (0,inf), (x,inf) or (0,x), divided by x^a e^-x
 *
 * a, b, x > 0, 0 < p < 1, q = 1-p (passed since it is known better where p is near 1). excess = a - (a+b) p, or a - x:
 * the caller knows it without cancellation. The gamma's part below has a meaning for x <= 0 too: it is the integral of
 * w^(a-1) e^(x(1-w)) dw over (0,1). */
double special_log_beta_mass(enum special_part part, double a, double b, double p, double q, double excess);
double special_log_gamma_mass(enum special_part part, double a, double x, double excess);

double special_log_beta(double a, double b);                 /* B(a, b) */
double special_log_beta_below(double a, double b, double x); /* I_x(a, b), regularised */
double special_log_gamma_below(double a, double x);          /* P(a, x), regularised */
double special_log_gamma_above(double a, double x);          /* Q(a, x), regularised */
double special_log_normal_cdf(double z);                     /* PHI(z) */
double special_log_sum_exp(const double *terms, int count);  /* -INFINITY of none */
double special_log_one_minus_exp(double x);                  /* 1 - e^x, x <= 0 */

/* Not logarithms. */
double special_zeta(double s); /* Riemann's, s > 1; relative error below 1e-13 */
double special_expit(double x);
double special_logit(double p); /* 0 < p < 1 */

#endif
