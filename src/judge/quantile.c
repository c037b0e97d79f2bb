/*
 * quantile.c - evidence about quantiles from counts of values below a place.
 * SPDX-License-Identifier: Apache-2.0
 *
 * That x is an arm's quantile p is tested by the count of values below x, which is as good as binomial(n, p): where
 * values are equal to x, or lie in one bucket with it, the count may be anything between those below and those through
 * x, and the evidence is taken at its least. Two arms share a quantile if some x is the quantile of both, so the
 * evidence against that is the least sum over all x. Those sums change only where a count does: at the values of a
 * sample, at the edges of a histogram's buckets. Each such place is a piece, whatever it was made from.
 */
#include "judge/quantile.h"

#include <math.h>

struct quantile_counts {
    double below, through; /* values < x, values <= x; in a bucket: before it, and with it */
};

/* ---- the evidence of one arm against a place ---- */

struct quantile_arm {
    struct mixture mixture;
    double n;
    double likeliest; /* two-sided: the count with the least evidence against it, not an integer */
    struct quantile_counts at;
    double log_e; /* at counts */
};

/* Evidence is convex in the count, and its derivative psi(kappa p + k) - psi(kappa q + n-k) - ln(p/q) is 0 between
 * n p - p/2 and n p + q/2, by ln(x - 1/2) < psi(x) < ln x. By golden sections; the evidence is flat there, so that this
 * is exact long before the place is. */
static double likeliest_count(const struct mixture *mixture, double p, double n)
{
    const double golden = 0.61803398874989484820;
    double low = fmax(n * p - p / 2, 0), high = fmin(n * p + (1 - p) / 2, n);
    double left = high - golden * (high - low), right = low + golden * (high - low);
    double left_log_e = mixture_counts_log_e(mixture, left, n), right_log_e = mixture_counts_log_e(mixture, right, n);
    int i;

    for (i = 0; i < 40; i++)
        if (left_log_e < right_log_e) {
            high = right;
            right = left;
            right_log_e = left_log_e;
            left = high - golden * (high - low);
            left_log_e = mixture_counts_log_e(mixture, left, n);
        } else {
            low = left;
            left = right;
            left_log_e = right_log_e;
            right = low + golden * (high - low);
            right_log_e = mixture_counts_log_e(mixture, right, n);
        }
    return (low + high) / 2;
}

static void arm_init(struct quantile_arm *arm, double p, double kappa, double n, enum special_part part)
{
    *arm = (struct quantile_arm){.mixture = mixture_counts(p, kappa, part), .n = n, .at = {NAN, NAN}};
    if (part == SPECIAL_WHOLE)
        arm->likeliest = likeliest_count(&arm->mixture, p, n);
}

static double arm_log_e(struct quantile_arm *arm, struct quantile_counts counts)
{
    double k;

    if (counts.below == arm->at.below && counts.through == arm->at.through)
        return arm->log_e;
    switch (arm->mixture.part) {
    case SPECIAL_ABOVE: /* evidence of too many rises with the count */
        k = counts.below;
        break;
    case SPECIAL_BELOW:
        k = counts.through;
        break;
    default:
        k = fmin(fmax(arm->likeliest, counts.below), counts.through);
    }
    arm->at = counts;
    arm->log_e = mixture_counts_log_e(&arm->mixture, k, arm->n);
    return arm->log_e;
}

/* ---- two arms ---- */

struct quantile_pair {
    struct quantile_arm a, b;
    double least; /* so far */
};

/* The parts for "too slow": of stable too many lie below, of canary too few. */
static void pair_init(struct quantile_pair *pair, double p, double kappa, double a_count, double b_count, bool slower)
{
    arm_init(&pair->a, p, kappa, a_count, slower ? SPECIAL_ABOVE : SPECIAL_WHOLE);
    arm_init(&pair->b, p, kappa, b_count, slower ? SPECIAL_BELOW : SPECIAL_WHOLE);
    pair->least = INFINITY;
}

static void pair_try(struct quantile_pair *pair, struct quantile_counts a, struct quantile_counts b)
{
    double log_e = arm_log_e(&pair->a, a) + arm_log_e(&pair->b, b);

    if (!(log_e >= pair->least)) /* a NaN stays */
        pair->least = isnan(pair->least) ? NAN : log_e;
}

static bool pair_is_valid(double p, double kappa, double margin)
{
    return p > 0 && p < 1 && kappa > 0 && kappa < INFINITY && margin > -1 && margin < INFINITY;
}

static double of_samples(double p, double kappa, double margin, bool slower, const double *a, size_t a_count,
                         const double *b, size_t b_count)
{
    struct quantile_pair pair;
    double last = -INFINITY;
    size_t i = 0, j = 0;

    if (!pair_is_valid(p, kappa, margin))
        return NAN;
    if (a_count == 0 || b_count == 0)
        return 0;
    pair_init(&pair, p, kappa, (double)a_count, (double)b_count, slower);
    while (i < a_count || j < b_count) {
        double from_a = i < a_count ? a[i] : INFINITY, from_b = j < b_count ? b[j] / (1 + margin) : INFINITY;
        double x = fmin(from_a, from_b);
        struct quantile_counts in_a = {.below = (double)i}, in_b = {.below = (double)j};

        if (!(from_a >= x && from_b >= x && x > last && x < INFINITY)) /* a NaN, or not sorted */
            return NAN;
        last = x;
        while (i < a_count && a[i] == x)
            i++;
        while (j < b_count && b[j] / (1 + margin) == x)
            j++;
        in_a.through = (double)i;
        in_b.through = (double)j;
        pair_try(&pair, in_a, in_b);
    }
    return pair.least;
}

static double of_histograms(double p, double kappa, double margin, bool slower, const struct histogram_sum *a,
                            const struct histogram_sum *b)
{
    struct quantile_pair pair;
    struct quantile_counts in_a = {0, (double)a->counts[0]}, in_b = {0, (double)b->counts[0]};
    int i = 0, j = 0;

    if (!pair_is_valid(p, kappa, margin))
        return NAN;
    if (a->total == 0 || b->total == 0)
        return 0;
    pair_init(&pair, p, kappa, (double)a->total, (double)b->total, slower);
    pair_try(&pair, in_a, in_b);
    while (i + 1 < HISTOGRAM_BUCKETS || j + 1 < HISTOGRAM_BUCKETS) {
        /* The last bucket has no end. */
        double a_end = i + 1 < HISTOGRAM_BUCKETS ? (double)histogram_floor_us(i + 1) * (1 + margin) : INFINITY;
        double b_end = j + 1 < HISTOGRAM_BUCKETS ? (double)histogram_floor_us(j + 1) : INFINITY;

        if (a_end <= b_end) {
            in_a.below = in_a.through;
            in_a.through += (double)a->counts[++i];
        }
        if (b_end <= a_end) {
            in_b.below = in_b.through;
            in_b.through += (double)b->counts[++j];
        }
        if (in_a.through > in_a.below || in_b.through > in_b.below) /* else the piece before had all this in it */
            pair_try(&pair, in_a, in_b);
    }
    return pair.least;
}

double quantile_differs(double p, double kappa, const double *a, size_t a_count, const double *b, size_t b_count)
{
    return of_samples(p, kappa, 0, false, a, a_count, b, b_count);
}

double quantile_differs_us(double p, double kappa, const struct histogram_sum *a, const struct histogram_sum *b)
{
    return of_histograms(p, kappa, 0, false, a, b);
}

double quantile_slower(double p, double kappa, double margin, const double *stable, size_t stable_count,
                       const double *canary, size_t canary_count)
{
    return of_samples(p, kappa, margin, true, stable, stable_count, canary, canary_count);
}

double quantile_slower_us(double p, double kappa, double margin, const struct histogram_sum *stable,
                          const struct histogram_sum *canary)
{
    return of_histograms(p, kappa, margin, true, stable, canary);
}

/* ---- one arm ---- */

struct quantile_ranks quantile_ranks(double p, uint64_t n, double kappa, double alpha)
{
    struct quantile_ranks ranks = {0, n + 1};
    double limit, middle = floor((double)n * p);
    struct mixture mixture;
    uint64_t low, high;

    if (!(p > 0 && p < 1 && kappa > 0 && kappa < INFINITY && alpha > 0 && alpha < 1 && n < (uint64_t)1 << 52))
        return ranks;
    mixture = mixture_counts(p, kappa, SPECIAL_WHOLE);
    limit = -log(alpha);
    /* Too few at or below the quantile: the largest such count, then one more. */
    if (mixture_counts_log_e(&mixture, 0, (double)n) >= limit) {
        for (low = 0, high = (uint64_t)middle; high - low > 1;) {
            uint64_t k = low + (high - low) / 2;

            if (mixture_counts_log_e(&mixture, (double)k, (double)n) >= limit)
                low = k;
            else
                high = k;
        }
        ranks.lower = low + 1;
    }
    /* Too many below it: the smallest such count. */
    if (mixture_counts_log_e(&mixture, (double)n, (double)n) >= limit) {
        for (low = (uint64_t)middle, high = n; high - low > 1;) {
            uint64_t k = low + (high - low) / 2;

            if (mixture_counts_log_e(&mixture, (double)k, (double)n) >= limit)
                high = k;
            else
                low = k;
        }
        ranks.upper = high;
    }
    return ranks;
}

struct boundary_interval quantile_interval_us(const struct histogram_sum *sum, double p, double kappa, double alpha)
{
    struct quantile_ranks ranks = quantile_ranks(p, sum->total, kappa, alpha);
    struct boundary_interval interval = {0, INFINITY};
    uint64_t seen = 0;
    int i;

    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (seen < ranks.lower && seen + sum->counts[i] >= ranks.lower)
            interval.lower = (double)histogram_floor_us(i);
        if (seen < ranks.upper && seen + sum->counts[i] >= ranks.upper && i + 1 < HISTOGRAM_BUCKETS)
            interval.upper = (double)histogram_floor_us(i + 1);
        seen += sum->counts[i];
    }
    return interval;
}

double quantile_stitching(double p, double t, double alpha, double t_opt, double delta, double s, double eta)
{
    double k1 = (pow(eta, .25) + pow(eta, -.25)) * M_SQRT1_2, k2 = (sqrt(eta) + 1) / 2, zeta = special_zeta(s);
    double growth, near, variance, epoch, term;

    if (!(p > 0 && p < 1 && t > 0 && t_opt >= 1 && alpha > 0 && alpha < 1 && delta > 0 && s > 1 && eta > 1))
        return NAN;
    t = fmax(t, t_opt);
    growth = t / t_opt;
    near = p >= .5 ? p : fmin(.5, special_expit(special_logit(p) + 2 * delta * sqrt(eta / growth)));
    variance = near * (1 - near);
    epoch = s * log(log(eta * growth)) + s * log(sqrt(growth) * fabs(special_logit(p)) / (2 * delta) + 1) +
            log(2 * zeta * (2 * zeta + 1) / alpha) - s * log(log(eta));
    term = k2 * ((1 - 2 * p) / 3) * epoch;
    return delta * sqrt(eta * growth * variance) + sqrt(k1 * k1 * variance * t * epoch + term * term) + term;
}
