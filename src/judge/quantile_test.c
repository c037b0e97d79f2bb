/*
 * quantile_test.c - published values, histograms against samples and against brute force, false alarms and power.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/quantile.c"

#include "judge/test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define assert_near(found, expected) assert_true(fabs((found) - (expected)) <= 5e-6 * fabs(expected))

#define VALUES 4000

/* Whole microseconds around a median, with the logarithm's standard deviation. */
static double random_latency_us(double median_us, double sigma)
{
    return floor(median_us * exp(sigma * normal()));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct arm {
    double values[VALUES];
    size_t count;
    struct histogram_sum sum;
};

static void arm_add(struct arm *arm, size_t count, double median_us, double sigma)
{
    for (; count > 0; count--) {
        double value = random_latency_us(median_us, sigma);

        arm->values[arm->count++] = value;
        arm->sum.counts[histogram_bucket((uint64_t)value)]++;
        arm->sum.total++;
    }
    qsort(arm->values, arm->count, sizeof(arm->values[0]), by_value);
}

/* ---- values ---- */

static void test_two_arms_published(void **state)
{
    static const struct {
        double p, p_value;
        int offset;
    } cases[] = {{.5, .814704, 70}, {.5, .0838055, 85}, {.5, .0054947, 100}, {.9, .0340463, 55}};
    static double a[1000], b[1000];
    size_t i;
    int j;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        double kappa = mixture_kappa(100, .05, SPECIAL_WHOLE);

        for (j = 0; j < 1000; j++) {
            a[j] = j + 1;
            b[j] = j + 1 + cases[i].offset;
        }
        assert_near(exp(-quantile_differs(cases[i].p, kappa, a, 1000, b, 1000)), cases[i].p_value);
        assert_near(exp(-quantile_differs(cases[i].p, kappa, b, 1000, a, 1000)), cases[i].p_value);
    }
}

static void test_rank_widths_published(void **state)
{
    static const struct {
        double p, n, lower, upper; /* four digits */
    } cases[] = {{.95, 500, .9013, .9931},     {.95, 2000, .9329, .9656}, {.95, 10000, .9432, .9565},
                 {.95, 100000, .9478, .9522},  {.99, 2000, .9817, .9967}, {.99, 10000, .9868, .9928},
                 {.5, 2000, .5 - .0376, .5376}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        double p = cases[i].p, n = cases[i].n, v = p * (1 - p) * n;
        struct mixture down = mixture_sub_bernoulli(1e4 * p * (1 - p), .05, 1 - p, p, SPECIAL_WHOLE);
        struct mixture up = mixture_sub_bernoulli(1e4 * p * (1 - p), .05, p, 1 - p, SPECIAL_WHOLE);
        double lower = p - mixture_bound(&down, v, .05) / n, upper = p + mixture_bound(&up, v, .05) / n;
        struct quantile_ranks ranks = quantile_ranks(p, (uint64_t)n, mixture_kappa(1e4, .05, SPECIAL_WHOLE), .05);

        assert_true(fabs(lower - cases[i].lower) < 6e-5 && fabs(upper - cases[i].upper) < 6e-5);
        assert_int_equal(ranks.lower, floor(n * lower + 1));
        assert_int_equal(ranks.upper, ceil(n * upper));
    }
}

static void test_stitching_published(void **state)
{
    (void)state;
    assert_near(quantile_stitching(.5, 1000, .05, 100, .5, 1.4, 2), 68.62803);
    assert_near(quantile_stitching(.9, 1000, .05, 100, .5, 1.4, 2), 43.72119);
    assert_near(quantile_stitching(.1, 1000, .05, 100, .5, 1.4, 2), 59.96521);
    assert_true(isnan(quantile_stitching(0, 1000, .05, 100, .5, 1.4, 2)));
}

/* ---- one arm ---- */

static void test_few_values_have_no_ends(void **state)
{
    double kappa = mixture_kappa(1000, .05, SPECIAL_WHOLE);
    struct quantile_ranks ranks;
    uint64_t n;

    (void)state;
    for (n = 0; n < 3000; n++) {
        ranks = quantile_ranks(.95, n, kappa, .05);
        assert_true(ranks.lower <= n && ranks.upper <= n + 1 && ranks.lower < ranks.upper);
        if (n < 50) /* all of n values below the p95 are no surprise: .95^50 = .08 */
            assert_int_equal(ranks.upper, n + 1);
        if (n == 0)
            assert_int_equal(ranks.lower, 0);
    }
    ranks = quantile_ranks(.95, 1000000000, kappa, .05);
    assert_true(ranks.lower > 949900000 && ranks.upper < 950100000);
    ranks = quantile_ranks(1.5, 10, kappa, .05);
    assert_true(ranks.lower == 0 && ranks.upper == 11);
    ranks = quantile_ranks(.5, 10, NAN, .05);
    assert_true(ranks.lower == 0 && ranks.upper == 11);
}

static void test_interval_holds_the_ranks(void **state)
{
    static struct arm arm;
    static struct histogram_sum empty;
    double kappa = mixture_kappa(1000, .05, SPECIAL_WHOLE);
    struct boundary_interval interval;
    struct quantile_ranks ranks;

    (void)state;
    seed = 1;
    memset(&arm, 0, sizeof(arm));
    arm_add(&arm, VALUES, 20000, .4);
    ranks = quantile_ranks(.95, VALUES, kappa, .01);
    interval = quantile_interval_us(&arm.sum, .95, kappa, .01);
    assert_true(interval.lower <= arm.values[ranks.lower - 1] && interval.upper > arm.values[ranks.upper - 1]);
    assert_true(interval.lower > .93 * arm.values[ranks.lower - 1] &&
                interval.upper < 1.07 * arm.values[ranks.upper - 1]);
    interval = quantile_interval_us(&empty, .95, kappa, .01);
    assert_true(interval.lower == 0 && interval.upper == INFINITY);
}

/* ---- two arms ---- */

/* With values below 16 us each bucket is one value. */
static void test_histograms_of_single_values_are_samples(void **state)
{
    static struct arm a, b;
    int i;

    (void)state;
    seed = 2;
    for (i = 0; i < 20; i++) {
        double kappa = mixture_kappa(100, .05, SPECIAL_WHOLE), p = i % 2 ? .5 : .9;

        memset(&a, 0, sizeof(a));
        memset(&b, 0, sizeof(b));
        arm_add(&a, 300, 6, .2);
        arm_add(&b, 200, 6 + i % 3, .2);
        assert_true(fabs(quantile_differs(p, kappa, a.values, a.count, b.values, b.count) -
                         quantile_differs_us(p, kappa, &a.sum, &b.sum)) < 1e-10);
        assert_true(fabs(quantile_slower(p, kappa, 0, a.values, a.count, b.values, b.count) -
                         quantile_slower_us(p, kappa, 0, &a.sum, &b.sum)) < 1e-10);
    }
}

/* The least over places that lie close together, each judged by the buckets it lies in, for both arms. */
static double slower_by_force(double p, double kappa, double margin, const struct arm *stable, const struct arm *canary)
{
    struct mixture above = mixture_counts(p, kappa, SPECIAL_ABOVE), below = mixture_counts(p, kappa, SPECIAL_BELOW);
    double least = INFINITY, x;

    for (x = 500; x < 60000; x *= 1.0005) { /* in stable's microseconds; much finer than a bucket */
        int stable_bucket = histogram_bucket((uint64_t)x),
            canary_bucket = histogram_bucket((uint64_t)(x * (1 + margin)));
        double before = 0, through = 0;
        int i;

        for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
            before += i < stable_bucket ? (double)stable->sum.counts[i] : 0;
            through += i <= canary_bucket ? (double)canary->sum.counts[i] : 0;
        }
        least = fmin(least, mixture_counts_log_e(&above, before, (double)stable->count) +
                                mixture_counts_log_e(&below, through, (double)canary->count));
    }
    return least;
}

static void test_histograms_are_the_least_of_their_buckets(void **state)
{
    static const double margins[] = {0, .037, .1, -.25, 1};
    static struct arm a, b;
    double kappa = mixture_kappa(300, .05, SPECIAL_ABOVE), two_sided = mixture_kappa(300, .05, SPECIAL_WHOLE);
    size_t i;

    (void)state;
    seed = 4;
    for (i = 0; i < COUNT(margins); i++) {
        double found, of_samples_too;

        memset(&a, 0, sizeof(a));
        memset(&b, 0, sizeof(b));
        arm_add(&a, 800, 5000, .3);
        arm_add(&b, 300, 5000 * (1 + margins[i]) * 1.2, .3);
        found = quantile_slower_us(.5, kappa, margins[i], &a.sum, &b.sum);
        of_samples_too = quantile_slower(.5, kappa, margins[i], a.values, a.count, b.values, b.count);
        assert_true(fabs(found - slower_by_force(.5, kappa, margins[i], &a, &b)) < 1e-9);
        assert_true(found > 1 && found <= of_samples_too + 1e-9);
        found = quantile_differs_us(.5, two_sided, &a.sum, &b.sum);
        assert_true(found <= quantile_differs(.5, two_sided, a.values, a.count, b.values, b.count) + 1e-9);
    }
}

/* Arms that share no bucket: what is faster is not slower, and how far apart they are does not matter. */
static void test_arms_apart(void **state)
{
    static struct arm fast, slow;
    double kappa = mixture_kappa(300, .05, SPECIAL_ABOVE), slower, differs;
    int i;

    (void)state;
    for (i = 0; i < 200; i++) {
        fast.values[fast.count++] = 3;
        slow.values[slow.count++] = 12;
    }
    fast.sum.counts[3] = fast.sum.total = 200;
    slow.sum.counts[12] = slow.sum.total = 200;
    slower = quantile_slower_us(.5, kappa, 0, &fast.sum, &slow.sum);
    differs = quantile_differs_us(.5, kappa, &fast.sum, &slow.sum);
    assert_true(quantile_slower_us(.5, kappa, 0, &slow.sum, &fast.sum) < 0);
    assert_true(slower > 50 && differs > 50);
    assert_true(fabs(quantile_slower(.5, kappa, 0, fast.values, 200, slow.values, 200) - slower) < 1e-10);
    assert_true(fabs(quantile_differs(.5, kappa, fast.values, 200, slow.values, 200) - differs) < 1e-10);
}

/* Counts at which the two-sided evidence is least, found by trying them all in hundredths. */
static void test_likeliest_count(void **state)
{
    static const double ps[] = {.01, .5, .95};
    static const double ns[] = {1, 7, 100};
    size_t i, j;
    int k;

    (void)state;
    for (i = 0; i < COUNT(ps); i++)
        for (j = 0; j < COUNT(ns); j++) {
            struct mixture mixture = mixture_counts(ps[i], 3, SPECIAL_WHOLE);
            double best = mixture_counts_log_e(&mixture, likeliest_count(&mixture, ps[i], ns[j]), ns[j]);

            for (k = 0; k <= 100 * ns[j]; k++)
                assert_true(mixture_counts_log_e(&mixture, fmin(k / 100., ns[j]), ns[j]) >= best - 1e-12);
        }
}

struct outcome {
    int alarms, differences, proofs, runs;
};

/* Looks at every 200 values of each arm up to 2,000; the canary is as many times slower. */
static struct outcome looks(double p, double slower, double margin, int runs)
{
    static struct arm stable, canary;
    double kappa = mixture_kappa(1000, .05, SPECIAL_ABOVE), two_sided = mixture_kappa(1000, .05, SPECIAL_WHOLE);
    struct outcome outcome = {.runs = runs};

    for (; runs > 0; runs--) {
        bool alarm = false, difference = false, proof = false;

        memset(&stable, 0, sizeof(stable));
        memset(&canary, 0, sizeof(canary));
        while (stable.count < 2000) {
            arm_add(&stable, 200, 20000, .3);
            arm_add(&canary, 200, 20000 * slower, .3);
            alarm |= quantile_slower_us(p, kappa, margin, &stable.sum, &canary.sum) >= log(20);
            difference |= quantile_differs_us(p, two_sided, &stable.sum, &canary.sum) >= log(20);
            proof |= quantile_slower_us(p, kappa, 1 / 1.3 - 1, &canary.sum, &stable.sum) >= log(20);
        }
        outcome.alarms += alarm;
        outcome.differences += difference;
        outcome.proofs += proof;
    }
    return outcome;
}

static void test_false_alarms_and_power(void **state)
{
    struct outcome outcome;

    (void)state;
    seed = 6;
    outcome = looks(.5, 1, 0, 60); /* alike: .05 of 60, and four standard deviations */
    assert_true(outcome.alarms <= 9 && outcome.differences <= 9);
    assert_true(outcome.proofs == 60); /* and by looks alone, not 30 % slower */
    outcome = looks(.95, 1, 0, 60);
    assert_true(outcome.alarms <= 9 && outcome.differences <= 9);
    outcome = looks(.5, 1.05, .05, 30); /* slower by the margin */
    assert_true(outcome.alarms <= 6);
    outcome = looks(.5, 1.25, .05, 30); /* by more: a bucket's width on each side of 20 % more is still much */
    assert_true(outcome.alarms == 30 && outcome.differences == 30);
    outcome = looks(.95, 1.3, .05, 30);
    assert_true(outcome.alarms >= 25);
    outcome = looks(.5, 1.3, 0, 30); /* no proof of what is not so */
    assert_true(outcome.proofs <= 6);
}

static void test_what_no_test_can_have(void **state)
{
    static const double two[] = {1, 2}, unsorted[] = {2, 1}, with_nan[] = {1, NAN};
    static struct histogram_sum empty, full;
    struct histogram_sum last = {.total = 5};

    (void)state;
    last.counts[HISTOGRAM_BUCKETS - 1] = 5;
    full.counts[3] = UINT64_C(1) << 31;
    full.total = UINT64_C(1) << 31;
    assert_true(quantile_differs(.5, 10, two, 0, two, 2) == 0 && quantile_slower(.5, 10, 0, two, 2, NULL, 0) == 0);
    assert_true(quantile_differs_us(.5, 10, &empty, &full) == 0 && quantile_slower_us(.5, 10, 0, &full, &empty) == 0);
    assert_true(isnan(quantile_differs(.5, 10, unsorted, 2, two, 2)));
    assert_true(isnan(quantile_differs(.5, 10, two, 2, with_nan, 2)));
    assert_true(isnan(quantile_differs(0, 10, two, 2, two, 2)) && isnan(quantile_differs(.5, -1, two, 2, two, 2)));
    assert_true(isnan(quantile_slower(.5, 10, -1, two, 2, two, 2)));
    assert_true(isnan(quantile_slower_us(.5, 10, NAN, &full, &full)));
    assert_true(quantile_differs_us(.5, 10, &full, &full) < 0);
    assert_true(isfinite(quantile_slower_us(.99, 10, 1e6, &full, &full)));
    assert_true(isfinite(quantile_slower_us(.99, 10, -.999999, &full, &full)));
    assert_true(isfinite(quantile_slower_us(.5, 10, .1, &full, &last)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_arms_published),
        cmocka_unit_test(test_rank_widths_published),
        cmocka_unit_test(test_stitching_published),
        cmocka_unit_test(test_few_values_have_no_ends),
        cmocka_unit_test(test_interval_holds_the_ranks),
        cmocka_unit_test(test_histograms_of_single_values_are_samples),
        cmocka_unit_test(test_histograms_are_the_least_of_their_buckets),
        cmocka_unit_test(test_arms_apart),
        cmocka_unit_test(test_likeliest_count),
        cmocka_unit_test(test_false_alarms_and_power),
        cmocka_unit_test(test_what_no_test_can_have),
    };

    return cmocka_run_group_tests_name("judge/quantile", tests, NULL, NULL);
}
