/*
 * boundary.c - confidence sequences, in closed form or by searching where a test begins to reject.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/boundary.h"

#include "judge/crossing.h"

#include <math.h>

/* ---- a probability ---- */

struct share_search {
    double k, n, kappa, limit;
};

static double share_rejected(const void *with, double p)
{
    const struct share_search *search = with;
    struct mixture mixture = mixture_counts(p, search->kappa, SPECIAL_WHOLE);

    return mixture_counts_log_e(&mixture, search->k, search->n) - search->limit;
}

struct boundary_interval boundary_share(double k, double n, double kappa, double alpha)
{
    struct share_search search = {.k = k, .n = n, .kappa = kappa};
    struct boundary_interval interval = {0, 1};

    if (!(alpha > 0 && alpha < 1) || !(k >= 0 && k <= n && n < INFINITY && kappa > 0))
        return (struct boundary_interval){NAN, NAN};
    search.limit = -log(alpha);
    if (k > 0)
        interval.lower = crossing(share_rejected, &search, k / n, 0);
    if (k < n)
        interval.upper = crossing(share_rejected, &search, k / n, 1);
    return interval;
}

/* ---- means ---- */

double boundary_means(double variance, double prior_variance, double alpha)
{
    double sum = variance + prior_variance;

    if (!(variance > 0 && prior_variance > 0 && alpha > 0 && alpha < 1))
        return NAN;
    return sqrt(variance * (sum / prior_variance) * (log1p(prior_variance / variance) - 2 * log(alpha)));
}

double boundary_asymptotic(double n, double sigma, double n_opt, double alpha, enum special_part part)
{
    double level = part == SPECIAL_WHOLE ? alpha : 2 * alpha, rho_squared, root, log_term;

    if (!(n > 0 && n_opt > 0 && sigma >= 0 && alpha > 0 && level < 1))
        return NAN;
    rho_squared = mixture_spread(level) / n_opt;
    root = sqrt(n * rho_squared + 1);
    log_term = part == SPECIAL_WHOLE ? log(root / alpha) : log1p(root / level);
    return sigma * sqrt(2 * (n * rho_squared + 1) / (n * n * rho_squared) * log_term);
}

double boundary_stitching(double v, double alpha, double v_min, double c, double s, double eta)
{
    double k1 = (pow(eta, .25) + pow(eta, -.25)) * M_SQRT1_2, k2 = (sqrt(eta) + 1) / 2, epoch, term;

    if (!(v >= 0 && v_min > 0 && alpha > 0 && alpha < 1 && eta > 1 && s > 1))
        return NAN;
    v = fmax(v, v_min);
    epoch = s * log(log(eta * (v / v_min))) + log(special_zeta(s)) - s * log(log(eta)) - log(alpha);
    term = k2 * c * epoch;
    return sqrt(k1 * k1 * v * epoch + term * term) + term;
}

/* ---- a whole distribution ---- */

double boundary_band(double n, double alpha)
{
    if (!(n >= 1 && alpha > 0 && alpha < 1))
        return NAN;
    return 0.85 * sqrt((log1p(log(n)) + 0.8 * log(1612 / alpha)) / n);
}

/* The probability of leaving the band, bounded, for one way (eta) to cut time into epochs. */
static double lil_error(double C, double A, double eta)
{
    double room = A - sqrt(2 * (eta - 1) / C), gamma = 2 / eta * room * room;

    if (!(room > 0 && gamma > 1 && eta > 1))
        return INFINITY;
    return 4 * exp(-gamma * C) * (1 + 1 / ((gamma - 1) * log(eta)));
}

struct lil_search {
    double alpha, A, C;
};

/* Where gamma comes down to 1. */
static double lil_past_gamma_one(const void *with, double eta)
{
    const struct lil_search *search = with;

    return sqrt(eta / 2) + sqrt(2 * (eta - 1) / search->C) - search->A;
}

/* alpha less the least error over eta, which falls and then rises until gamma is 1. By golden sections. */
static double lil_spare(const void *with, double C)
{
    const double golden = 0.61803398874989484820;
    struct lil_search search = *(const struct lil_search *)with;
    double low = 1, high, left, right, left_error, right_error;
    int i;

    search.C = C;
    high = crossing(lil_past_gamma_one, &search, 1, 2 * search.A * search.A);
    left = high - golden * (high - low);
    right = low + golden * (high - low);
    left_error = lil_error(C, search.A, left);
    right_error = lil_error(C, search.A, right);
    for (i = 0; i < 50; i++)
        if (left_error < right_error) {
            high = right;
            right = left;
            right_error = left_error;
            left = high - golden * (high - low);
            left_error = lil_error(C, search.A, left);
        } else {
            low = left;
            left = right;
            left_error = right_error;
            right = low + golden * (high - low);
            right_error = lil_error(C, search.A, right);
        }
    return search.alpha - fmin(left_error, right_error);
}

double boundary_lil_constant(double alpha, double A)
{
    struct lil_search search = {.alpha = alpha, .A = A};
    double high = 1;
    int i;

    if (!(alpha > 0 && alpha < 1 && A > M_SQRT1_2 && A < INFINITY))
        return NAN;
    for (i = 0; i < 60 && lil_spare(&search, high) < 0; i++)
        high *= 2;
    return crossing(lil_spare, &search, high / 2, high);
}

double boundary_lil(double n, double n_min, double A, double C)
{
    if (!(n_min >= 1 && n > 0))
        return NAN;
    return n < n_min ? INFINITY : A * sqrt((log1p(log(n / n_min)) + C) / n);
}

/* ---- the mean of bounded values ---- */

void boundary_mean_init(struct boundary_mean *mean, double alpha)
{
    *mean = (struct boundary_mean){.log_two_over_alpha = alpha > 0 && alpha < 1 ? log(2 / alpha) : NAN};
}

/* -ln(1 - x) - x; its series where the terms cancel. */
static double psi(double x)
{
    if (x > 0.01)
        return -log1p(-x) - x;
    return x * x * (1. / 2 + x * (1. / 3 + x * (1. / 4 + x * (1. / 5 + x * (1. / 6 + x / 7)))));
}

bool boundary_mean_add(struct boundary_mean *mean, double x)
{
    double t = mean->count + 1, guess = (0.5 + mean->sum) / t, spread = (0.25 + mean->squares) / t, lambda, error;

    if (!(x >= 0 && x <= 1))
        return false;
    /* guess and lambda come from the past alone: that is what makes it valid. */
    lambda = fmin(sqrt(2 * mean->log_two_over_alpha / (spread * t * log1p(t))), 0.5);
    mean->weights += lambda;
    mean->weighted += lambda * x;
    mean->penalty += (x - guess) * (x - guess) * psi(lambda);
    mean->count = t;
    mean->sum += x;
    error = x - (0.5 + mean->sum) / (t + 1);
    mean->squares += error * error;
    return true;
}

struct boundary_interval boundary_mean_interval(const struct boundary_mean *mean)
{
    double half, centre;

    if (mean->count == 0)
        return (struct boundary_interval){0, 1};
    centre = mean->weighted / mean->weights;
    half = (mean->log_two_over_alpha + mean->penalty) / mean->weights;
    if (!(half >= 0))
        return (struct boundary_interval){NAN, NAN};
    return (struct boundary_interval){fmax(centre - half, 0), fmin(centre + half, 1)};
}
