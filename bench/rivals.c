/*
 * rivals.c - Kayenta's rank test and Flagger's threshold, as their sources have them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Kayenta asks for which shift mu of the experiment the rank sum of (experiment - mu) among the control lies at its
 * null mean (the estimate) and at its 1 % points (the interval). The statistic falls in steps as mu rises; Kayenta
 * finds the step by Brent's method to an absolute 1e-4, which halving does as well.
 */
#include "rivals.h"

#include <math.h>
#include <stdlib.h>

#define Z_98       2.3263478740408411 /* PHI^-1(1 - .02 / 2) */
#define TOLERANCE  1e-4               /* of a shift, absolute */
#define SHIFT_PART .25                /* of the estimated shift, which the interval must clear */

struct sorted {
    double *values;
    size_t count;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool sorted_copy(const double *values, size_t count, struct sorted *ret)
{
    size_t i;

    *ret = (struct sorted){.values = malloc((count + 1) * sizeof(double))};
    if (!ret->values)
        return false;
    for (i = 0; i < count; i++)
        if (!isnan(values[i]))
            ret->values[ret->count++] = values[i];
    qsort(ret->values, ret->count, sizeof(double), by_value);
    return true;
}

/* (W - its mean - continuity correction) / its standard deviation, with average ranks and the correction for ties; NaN
 * where all are equal. W counts the pairs in which x - mu is above y, ties by half. */
static double rank_statistic(const struct sorted *x, const struct sorted *y, double mu)
{
    double pairs = 0, ties = 0, n = (double)x->count, m = (double)y->count, excess, variance;
    size_t i = 0, j = 0;

    while (i < x->count || j < y->count) {
        double from_x = i < x->count ? x->values[i] - mu : INFINITY, from_y = j < y->count ? y->values[j] : INFINITY;
        double value = fmin(from_x, from_y), equal;
        size_t first_i = i, first_j = j;

        while (i < x->count && x->values[i] - mu == value)
            i++;
        while (j < y->count && y->values[j] == value)
            j++;
        pairs += (double)(i - first_i) * ((double)first_j + (double)(j - first_j) / 2);
        equal = (double)(i - first_i) + (double)(j - first_j);
        ties += equal * equal * equal - equal;
    }
    excess = pairs - n * m / 2;
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)));
    if (!(variance > 0))
        return NAN;
    return (excess - (excess > 0 ? .5 : excess < 0 ? -.5 : 0)) / sqrt(variance);
}

/* The shift at which the statistic falls through z; an end of the range where it does so outside. */
static double shift_at(const struct sorted *x, const struct sorted *y, double z)
{
    double low = x->values[0] - y->values[y->count - 1], high = x->values[x->count - 1] - y->values[0];

    if (rank_statistic(x, y, low) <= z)
        return low;
    if (rank_statistic(x, y, high) >= z)
        return high;
    while (high - low > TOLERANCE) {
        double middle = low + (high - low) / 2;

        if (middle <= low || middle >= high) /* numbers so large that the tolerance is below their last bit */
            break;
        if (rank_statistic(x, y, middle) > z)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static bool same(const struct sorted *x, const struct sorted *y)
{
    size_t i;

    for (i = 0; i < x->count && i < y->count; i++)
        if (x->values[i] != y->values[i])
            return false;
    return x->count == y->count;
}

static bool one_value(const struct sorted *x)
{
    return x->values[0] == x->values[x->count - 1];
}

/* Uniform in (0, 1): SplitMix64. */
static double uniform(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static void add_noise(struct sorted *x, uint64_t *random)
{
    size_t i;

    for (i = 0; i < x->count; i++)
        x->values[i] += 1e-5 * x->values[i] * sqrt(-2 * log(uniform(random))) * cos(2 * M_PI * uniform(random));
    qsort(x->values, x->count, sizeof(double), by_value);
}

static double mean_of(const struct sorted *x)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < x->count; i++)
        sum += x->values[i];
    return sum / (double)x->count;
}

static enum kayenta_class classify(struct sorted *x, struct sorted *y, enum kayenta_direction direction,
                                   double allowed_increase, double allowed_decrease, uint64_t *random,
                                   struct kayenta_shift *shift)
{
    double effect = mean_of(x) / mean_of(y), clear; /* NaN where a mean is 0, which then excuses nothing */

    if (x->count == 0 || y->count == 0)
        return KAYENTA_NO_DATA;
    if (same(x, y) || (one_value(x) && one_value(y) && x->values[0] == y->values[0]))
        return KAYENTA_PASS;
    if (one_value(x) && one_value(y)) {
        add_noise(x, random);
        add_noise(y, random);
    }
    if (mean_of(x) == 0 || mean_of(y) == 0)
        effect = NAN;
    *shift = (struct kayenta_shift){shift_at(x, y, Z_98), shift_at(x, y, 0), shift_at(x, y, -Z_98)};
    if (isnan(rank_statistic(x, y, shift->estimate)))
        return KAYENTA_ERROR;
    clear = SHIFT_PART * fabs(shift->estimate);
    if (direction != KAYENTA_DECREASE && shift->lower > clear && !(effect < allowed_increase))
        return KAYENTA_HIGH;
    if (direction != KAYENTA_INCREASE && shift->upper < -clear && !(effect > allowed_decrease))
        return KAYENTA_LOW;
    return KAYENTA_PASS;
}

enum kayenta_class kayenta_classify(const double *experiment, size_t experiment_count, const double *control,
                                    size_t control_count, enum kayenta_direction direction, double allowed_increase,
                                    double allowed_decrease, uint64_t *random, struct kayenta_shift *shift)
{
    enum kayenta_class class = KAYENTA_ERROR;
    struct kayenta_shift unused;
    struct sorted x = {0}, y = {0};

    if (sorted_copy(experiment, experiment_count, &x) && sorted_copy(control, control_count, &y))
        class = classify(&x, &y, direction, allowed_increase, allowed_decrease, random, shift ? shift : &unused);
    free(x.values);
    free(y.values);
    return class;
}

bool flagger_tick(struct flagger *flagger, double value)
{
    if (flagger->failures >= flagger->threshold)
        return true;
    if (!(value >= flagger->min && value <= flagger->max))
        flagger->failures++;
    return false;
}
