/*
 * mixture.c - conjugate mixtures as differences of two integrals.
 * SPDX-License-Identifier: Apache-2.0
 *
 * E = posterior mass / prior mass, both relative to the integrand at the hypothesis: the beta integral for counts and
 * bounded steps, the gamma integral for the two gamma mixtures and for Poisson counts. With p = g/(g+h), v = g h n and
 * s = (g+h)(k - n p), sums of steps between -g and h are counts: one formula serves both.
 */
#include "judge/mixture.h"

#include "judge/crossing.h"

#include <math.h>

#define LEAST_KAPPA .001 /* as confseq has it: a prior must be worth something */

double mixture_spread(double alpha)
{
    double twice;

    if (!(alpha > 0 && alpha < 1))
        return NAN;
    twice = -2 * log(alpha);
    return twice + log1p(twice);
}

double mixture_rho(double v_opt, double alpha_opt, enum special_part part)
{
    return v_opt > 0 ? v_opt / mixture_spread(part == SPECIAL_WHOLE ? alpha_opt : 2 * alpha_opt) : NAN;
}

double mixture_kappa(double t_opt, double alpha_opt, enum special_part part)
{
    double kappa = mixture_rho(t_opt, alpha_opt, part) - 1;

    return kappa < LEAST_KAPPA ? LEAST_KAPPA : kappa; /* a NaN stays */
}

static struct mixture beta_binomial(double g, double h, double kappa, enum special_part part)
{
    struct mixture mixture = {.kind = MIXTURE_BETA_BINOMIAL, .part = part, .rho = kappa, .g = g, .h = h};
    double p = g / (g + h), q = h / (g + h);

    mixture.log_prior = special_log_beta_mass(part, kappa * p, kappa * q, p, q, 0);
    return mixture;
}

/* excess = k - n p, which the callers know without cancellation. */
static double beta_binomial_log_e(const struct mixture *mixture, double k, double rest, double excess)
{
    double p = mixture->g / (mixture->g + mixture->h), q = mixture->h / (mixture->g + mixture->h);

    if (!(k >= 0 && rest >= 0))
        return NAN;
    return special_log_beta_mass(mixture->part, mixture->rho * p + k, mixture->rho * q + rest, p, q, excess) -
           mixture->log_prior;
}

struct mixture mixture_counts(double p, double kappa, enum special_part part)
{
    return beta_binomial(p, 1 - p, kappa, part);
}

double mixture_counts_log_e(const struct mixture *mixture, double k, double n)
{
    double p = mixture->g / (mixture->g + mixture->h);

    return beta_binomial_log_e(mixture, k, n - k, fma(-n, p, k));
}

struct mixture mixture_sub_bernoulli(double v_opt, double alpha_opt, double g, double h, enum special_part part)
{
    return beta_binomial(g, h, mixture_kappa(v_opt / (g * h), alpha_opt, part), part);
}

struct mixture mixture_normal(double v_opt, double alpha_opt, enum special_part part)
{
    return (struct mixture){.kind = MIXTURE_NORMAL, .part = part, .rho = mixture_rho(v_opt, alpha_opt, part)};
}

struct mixture mixture_gamma_exponential(double v_opt, double alpha_opt, double c)
{
    struct mixture mixture = {.kind = MIXTURE_GAMMA_EXPONENTIAL, .part = SPECIAL_ABOVE, .c = c};
    double k;

    mixture.rho = mixture_rho(v_opt, alpha_opt, SPECIAL_ABOVE);
    k = mixture.rho / (c * c);
    mixture.log_prior = special_log_gamma_mass(SPECIAL_BELOW, k, k, 0);
    return mixture;
}

struct mixture mixture_gamma_poisson(double v_opt, double alpha_opt, double c)
{
    struct mixture mixture = {.kind = MIXTURE_GAMMA_POISSON, .part = SPECIAL_ABOVE, .c = c};
    double k;

    mixture.rho = mixture_rho(v_opt, alpha_opt, SPECIAL_ABOVE);
    k = mixture.rho / (c * c);
    mixture.log_prior = special_log_gamma_mass(SPECIAL_ABOVE, k, k, 0);
    return mixture;
}

static double normal_log_e(const struct mixture *mixture, double s, double v)
{
    double rho = mixture->rho, sum = v + rho, z = s / sqrt(sum), log_e = 0.5 * (z * z - log1p(v / rho));

    if (mixture->part == SPECIAL_WHOLE)
        return log_e;
    return log_e + M_LN2 + special_log_normal_cdf(mixture->part == SPECIAL_ABOVE ? z : -z);
}

/* A count that a sum stands for, which rounding may have taken below 0. */
static double count_behind(double count, double n)
{
    return count < 0 && count > -1e-9 * n ? 0 : count;
}

double mixture_log_e(const struct mixture *mixture, double s, double v)
{
    double g = mixture->g, h = mixture->h, c = mixture->c, k;

    if (!(v >= 0))
        return NAN;
    switch (mixture->kind) {
    case MIXTURE_NORMAL:
        return normal_log_e(mixture, s, v);
    case MIXTURE_BETA_BINOMIAL:
        k = v / (g * h);
        return beta_binomial_log_e(mixture, count_behind((v + h * s) / (h * (g + h)), k),
                                   count_behind((v - g * s) / (g * (g + h)), k), s / (g + h));
    case MIXTURE_GAMMA_EXPONENTIAL:
        k = (v + mixture->rho) / (c * c);
        return special_log_gamma_mass(SPECIAL_BELOW, k, k + s / c, -s / c) - mixture->log_prior;
    default:
        k = (v + mixture->rho) / (c * c);
        return special_log_gamma_mass(SPECIAL_ABOVE, k + s / c, k, s / c) - mixture->log_prior;
    }
}

struct bound_search {
    const struct mixture *mixture;
    double v, limit;
};

static double beyond_limit(const void *with, double s)
{
    const struct bound_search *search = with;

    return mixture_log_e(search->mixture, s, search->v) - search->limit;
}

double mixture_bound(const struct mixture *mixture, double v, double alpha)
{
    struct bound_search search = {.mixture = mixture, .v = v};
    double high = sqrt(v + mixture->rho);
    int i;

    if (!(alpha > 0 && alpha < 1 && v >= 0 && high >= 0) || mixture->part == SPECIAL_BELOW)
        return NAN;
    search.limit = -log(alpha);
    if (mixture->kind == MIXTURE_NORMAL && mixture->part == SPECIAL_WHOLE)
        return sqrt((v + mixture->rho) * (log1p(v / mixture->rho) + 2 * search.limit));
    if (mixture->kind == MIXTURE_BETA_BINOMIAL) {
        high = v / mixture->g; /* all steps were h */
        if (!(beyond_limit(&search, high) >= 0))
            return INFINITY;
    } else {
        for (i = 0; beyond_limit(&search, high) < 0 && i < 100; i++)
            high *= 2;
    }
    return crossing(beyond_limit, &search, 0, high);
}

double mixture_uniform_log_e(double k, double n, double p)
{
    if (!(k >= 0 && k <= n && p > 0 && p < 1))
        return NAN;
    return special_log_beta_mass(SPECIAL_WHOLE, k + 1, n - k + 1, p, 1 - p, fma(-n, p, k) + (1 - 2 * p)) + log(p) +
           log1p(-p);
}

double mixture_means_log_e(double difference, double variance, double prior_variance)
{
    double sum = variance + prior_variance;

    if (!(variance > 0 && prior_variance > 0))
        return NAN;
    return 0.5 * (prior_variance / variance * (difference * difference / sum) - log1p(prior_variance / variance));
}
