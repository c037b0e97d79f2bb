/*
 * mixture_test.c - published values, expectation 1 under the hypothesis, monotony, and the ends of the range.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/mixture.c"

#include "judge/test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Equal to as many digits as were published, six at least. */
#define assert_near(found, expected) assert_true(fabs((found) - (expected)) <= 5e-6 * fabs(expected))

/* ---- values ---- */

static void test_tuning(void **state)
{
    (void)state;
    assert_near(mixture_spread(.05), 7.936155);
    assert_near(mixture_spread(.01), 11.533741);
    assert_near(mixture_spread(.001), 16.511185);
    assert_near(mixture_rho(100, .05, SPECIAL_WHOLE), 12.600561);
    assert_near(mixture_rho(100, .05, SPECIAL_ABOVE), 15.800635);
    assert_near(mixture_kappa(100, .05, SPECIAL_WHOLE), 11.600561);
    assert_near(mixture_kappa(100, .05, SPECIAL_BELOW), 14.800635);
    assert_true(mixture_kappa(1, .05, SPECIAL_WHOLE) == .001);
    assert_true(isnan(mixture_spread(0)) && isnan(mixture_spread(1)) && isnan(mixture_kappa(-1, .05, SPECIAL_WHOLE)));
    assert_true(isnan(mixture_kappa(100, .5, SPECIAL_ABOVE)));
}

static void test_counts(void **state)
{
    static const struct {
        double k, n, p, e[2]; /* at kappa 10 and 100 */
    } cases[] = {
        {4, 200, .01, {0.203573, 0.737209}}, {8, 200, .01, {10.3473, 16.2536}}, {70, 100, .5, {540.17, 40.4376}}};
    size_t i;
    int j;

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        for (j = 0; j < 2; j++) {
            struct mixture mixture = mixture_counts(cases[i].p, j ? 100 : 10, SPECIAL_WHOLE);

            assert_near(exp(mixture_counts_log_e(&mixture, cases[i].k, cases[i].n)), cases[i].e[j]);
        }
}

/* Against the formula itself, with the truncated prior's incomplete beta functions, where nothing cancels. */
static void test_counts_one_sided(void **state)
{
    static const double ps[] = {.01, .3, .5, .9};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < COUNT(ps); i++)
        for (k = 0; k <= 40; k++) {
            double p = ps[i], kappa = 12, a = kappa * p, b = kappa * (1 - p), n = 40;
            struct mixture above = mixture_counts(p, kappa, SPECIAL_ABOVE);
            struct mixture below = mixture_counts(p, kappa, SPECIAL_BELOW);
            double base =
                special_log_beta(a + k, b + n - k) - special_log_beta(a, b) - k * log(p) - (n - k) * log(1 - p);

            assert_true(
                fabs(mixture_counts_log_e(&above, k, n) - (base + special_log_beta_below(b + n - k, a + k, 1 - p) -
                                                           special_log_beta_below(b, a, 1 - p))) < 1e-10);
            assert_true(fabs(mixture_counts_log_e(&below, k, n) - (base + special_log_beta_below(a + k, b + n - k, p) -
                                                                   special_log_beta_below(a, b, p))) < 1e-10);
        }
}

static void test_fair_coin(void **state)
{
    static const double a[] = {.5, 1, 5};
    static const struct {
        double b, c, e[3];
    } cases[] = {{5, 0, {7.875, 5.3333333, 2.0139860}},
                 {10, 0, {180.42578, 93.090909, 11.095975}},
                 {15, 3, {14.503098, 16.908153, 9.2987129}},
                 {30, 10, {23.443987, 31.636906, 29.309504}}};
    static const int unanimous[3][2] = {{7, 13}, {8, 14}, {12, 20}}; /* to reject at .05 and .001 */
    size_t i, j, k;

    (void)state;
    for (j = 0; j < COUNT(a); j++) {
        struct mixture coin = mixture_counts(.5, 2 * a[j], SPECIAL_WHOLE);

        for (i = 0; i < COUNT(cases); i++)
            assert_near(exp(mixture_counts_log_e(&coin, cases[i].b, cases[i].b + cases[i].c)), cases[i].e[j]);
        for (k = 0; k < 2; k++) {
            double limit = log(k ? 1000 : 20);
            int n = unanimous[j][k];

            assert_true(mixture_counts_log_e(&coin, n, n) >= limit);
            assert_true(mixture_counts_log_e(&coin, n - 1, n - 1) < limit);
        }
    }
}

/* The least number of requests without an error that excludes an error rate. */
static void test_uniform(void **state)
{
    static const struct {
        double p;
        int at_05, at_01;
    } cases[] = {{.001, 12417, 14157}, {.005, 2127, 2478}, {.01, 984, 1161}, {.02, 451, 540}, {.05, 158, 193}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_true(mixture_uniform_log_e(0, cases[i].at_05, cases[i].p) > log(20));
        assert_false(mixture_uniform_log_e(0, cases[i].at_05 - 1, cases[i].p) > log(20));
        assert_true(mixture_uniform_log_e(0, cases[i].at_01, cases[i].p) > log(100));
        assert_false(mixture_uniform_log_e(0, cases[i].at_01 - 1, cases[i].p) > log(100));
    }
    /* 1 / (11 C(10,3) .2^3 .8^7) */
    assert_near(exp(mixture_uniform_log_e(3, 10, .2)), 1 / (11 * 120 * pow(.2, 3) * pow(.8, 7)));
}

static void test_sums(void **state)
{
    struct mixture mixture = mixture_normal(100, .05, SPECIAL_WHOLE);

    (void)state;
    assert_near(mixture_log_e(&mixture, 10, 100), -0.6510052);
    assert_near(mixture_bound(&mixture, 100, .05), 30.35209);
    mixture = mixture_normal(100, .05, SPECIAL_ABOVE);
    assert_near(mixture_log_e(&mixture, 10, 100), -0.06502391);
    assert_near(mixture_bound(&mixture, 100, .05), 27.66071);
    mixture = mixture_normal(100, .05, SPECIAL_BELOW);
    assert_near(mixture_log_e(&mixture, -10, 100), -0.06502391);
    mixture = mixture_sub_bernoulli(100, .05, .2, .8, SPECIAL_WHOLE);
    assert_near(mixture_log_e(&mixture, 10, 100), -0.6941012);
    assert_near(mixture_bound(&mixture, 100, .05), 31.4308);
    mixture = mixture_sub_bernoulli(100, .05, .2, .8, SPECIAL_ABOVE);
    assert_near(mixture_log_e(&mixture, 10, 100), -0.07134019);
    assert_near(mixture_bound(&mixture, 100, .05), 28.41238);
    mixture = mixture_gamma_exponential(100, .05, 2);
    assert_near(mixture_log_e(&mixture, 10, 100), -0.2490165);
    assert_near(mixture_bound(&mixture, 100, .05), 33.02017);
    mixture = mixture_gamma_poisson(100, .05, 2);
    assert_near(mixture_log_e(&mixture, 10, 100), -0.06991219);
    assert_near(mixture_bound(&mixture, 100, .05), 30.1949);
}

static void test_means(void **state)
{
    (void)state;
    assert_near(exp(mixture_means_log_e(.02, 5e-5, 4e-4)), 11.669088);
    assert_near(exp(mixture_means_log_e(0.0214619114, 5e-5, 4e-4)), 20.);
    assert_true(isnan(mixture_means_log_e(.02, 0, 4e-4)) && isnan(mixture_means_log_e(.02, 5e-5, -1)));
}

/* Successes that are counted are a sum of steps between -p and 1-p. */
static void test_counts_are_sums(void **state)
{
    double p = .03, n = 5000, k = 190;
    struct mixture counts = mixture_counts(p, mixture_kappa(1000, .01, SPECIAL_ABOVE), SPECIAL_ABOVE);
    struct mixture steps = mixture_sub_bernoulli(1000 * p * (1 - p), .01, p, 1 - p, SPECIAL_ABOVE);

    (void)state;
    assert_true(fabs(mixture_counts_log_e(&counts, k, n) - mixture_log_e(&steps, k - n * p, n * p * (1 - p))) < 1e-9);
}

/* ---- properties ---- */

/* The mean of E over all outcomes, each with its probability at the truth. */
static double mean_e(const struct mixture *mixture, int n, double truth)
{
    double sum = 0;
    int k;

    for (k = 0; k <= n; k++)
        sum += exp(mixture_counts_log_e(mixture, k, n) + lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) +
                   k * log(truth) + (n - k) * log(1 - truth));
    return sum;
}

static void test_counts_have_mean_one(void **state)
{
    static const double ps[] = {.002, .05, .5, .8};
    static const double kappas[] = {.001, 1, 30, 3000};
    size_t i, j;

    (void)state;
    for (i = 0; i < COUNT(ps); i++)
        for (j = 0; j < COUNT(kappas); j++) {
            struct mixture whole = mixture_counts(ps[i], kappas[j], SPECIAL_WHOLE);
            struct mixture above = mixture_counts(ps[i], kappas[j], SPECIAL_ABOVE);
            struct mixture below = mixture_counts(ps[i], kappas[j], SPECIAL_BELOW);

            assert_true(fabs(mean_e(&whole, 60, ps[i]) - 1) < 1e-9);
            assert_true(fabs(mean_e(&above, 60, ps[i]) - 1) < 1e-9);
            assert_true(fabs(mean_e(&below, 60, ps[i]) - 1) < 1e-9);
            assert_true(mean_e(&above, 60, ps[i] * .7) < 1); /* still harmless */
            assert_true(mean_e(&below, 60, 1 - (1 - ps[i]) * .7) < 1);
            assert_true(mean_e(&above, 60, 1 - (1 - ps[i]) * .7) > 1); /* and here there is something to find */
        }
}

/* A random step of mean 0 for each kind, and the variance that it adds. */
static double step(enum mixture_kind kind, double *variance)
{
    double x;

    switch (kind) {
    case MIXTURE_NORMAL:
        *variance = 1;
        return normal();
    case MIXTURE_BETA_BINOMIAL: /* of -.2 and .8 */
        *variance = .16;
        return chance() < .2 ? .8 : -.2;
    case MIXTURE_GAMMA_EXPONENTIAL: /* empirical Bernstein: 0 or 1 with mean .7, which is predicted as .6 */
        x = chance() < .7;
        *variance = (x - .6) * (x - .6);
        return x - .7;
    default: /* a Poisson variable less its mean of .3, by inversion */
        *variance = .3;
        x = chance();
        return (x < .740818 ? 0 : x < .963064 ? 1 : x < .996401 ? 2 : 3) - .3;
    }
}

/* Looking after every step, at most alpha of the runs may ever see E >= 1/alpha; and the mean of E at the stop is at
 * most 1. 1,000 runs: four standard deviations are .0276 at .05. */
static void test_stopping_at_will(void **state)
{
    struct mixture mixtures[] = {
        mixture_normal(100, .05, SPECIAL_WHOLE),
        mixture_normal(100, .05, SPECIAL_ABOVE),
        mixture_sub_bernoulli(20, .05, .2, .8, SPECIAL_WHOLE),
        mixture_sub_bernoulli(20, .05, .2, .8, SPECIAL_ABOVE),
        mixture_gamma_exponential(60, .05, 1),
        mixture_gamma_poisson(30, .05, 1),
    };
    size_t i;

    (void)state;
    seed = 5;
    for (i = 0; i < COUNT(mixtures); i++) {
        int run, alarms = 0;
        double sum = 0;

        for (run = 0; run < 1000; run++) {
            double s = 0, v = 0, log_e = 0, variance;
            int t;

            for (t = 0; t < 300 && log_e < log(20); t++) {
                s += step(mixtures[i].kind, &variance);
                v += variance;
                log_e = mixture_log_e(&mixtures[i], s, v);
            }
            alarms += log_e >= log(20);
            sum += exp(log_e);
        }
        assert_true(alarms <= 77);
        assert_true(alarms >= 1); /* a test that sees nothing would be none */
        assert_true(sum / 1000 < 1.5);
    }
}

static void test_monotone(void **state)
{
    static const double ps[] = {1e-6, .01, .5, .99};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < COUNT(ps); i++) {
        struct mixture whole = mixture_counts(ps[i], 20, SPECIAL_WHOLE);
        struct mixture above = mixture_counts(ps[i], 20, SPECIAL_ABOVE);
        struct mixture below = mixture_counts(ps[i], 20, SPECIAL_BELOW);

        for (k = 1; k <= 2000; k++) {
            double rise = mixture_counts_log_e(&whole, k, 2000) - mixture_counts_log_e(&whole, k - 1, 2000);

            assert_true(mixture_counts_log_e(&above, k, 2000) > mixture_counts_log_e(&above, k - 1, 2000));
            assert_true(mixture_counts_log_e(&below, k, 2000) < mixture_counts_log_e(&below, k - 1, 2000));
            if (k > 2000 * ps[i] + 1)
                assert_true(rise > 0);
            if (k < 2000 * ps[i] - 1)
                assert_true(rise < 0);
        }
    }
}

static void test_bounds_are_where_evidence_suffices(void **state)
{
    static const double vs[] = {.5, 30, 1e4, 1e7};
    struct mixture mixtures[] = {
        mixture_normal(100, .05, SPECIAL_WHOLE),
        mixture_normal(100, .05, SPECIAL_ABOVE),
        mixture_sub_bernoulli(100, .01, .02, .98, SPECIAL_WHOLE),
        mixture_sub_bernoulli(100, .01, .98, .02, SPECIAL_ABOVE),
        mixture_gamma_exponential(100, .05, 3),
        mixture_gamma_poisson(100, .05, .3),
    };
    size_t i, j;

    (void)state;
    for (i = 0; i < COUNT(mixtures); i++)
        for (j = 0; j < COUNT(vs); j++) {
            double bound = mixture_bound(&mixtures[i], vs[j], .001);

            if (isinf(bound)) /* so few steps that even all of them upward would not do */
                assert_true(mixtures[i].kind == MIXTURE_BETA_BINOMIAL && vs[j] < 1);
            else {
                assert_true(mixture_log_e(&mixtures[i], bound, vs[j]) >= log(1000) - 1e-7);
                assert_true(mixture_log_e(&mixtures[i], bound * (1 - 1e-6), vs[j]) < log(1000));
            }
        }
    assert_true(isnan(mixture_bound(&mixtures[0], -1, .05)) && isnan(mixture_bound(&mixtures[0], 1, 0)) &&
                isnan(mixture_bound(&mixtures[0], NAN, .05)));
    mixtures[0] = mixture_normal(100, .05, SPECIAL_BELOW);
    assert_true(isnan(mixture_bound(&mixtures[0], 1, .05)));
}

static void test_extremes_are_finite(void **state)
{
    static const double ps[] = {1e-12, 1e-6, .5, 1 - 1e-6};
    static const double kappas[] = {.001, 100, 1e9};
    static const double ns[] = {1, 1000, 1e9};
    enum special_part part;
    size_t i, j, m;

    (void)state;
    for (part = SPECIAL_WHOLE; part <= SPECIAL_BELOW; part++)
        for (i = 0; i < COUNT(ps); i++)
            for (j = 0; j < COUNT(kappas); j++) {
                struct mixture mixture = mixture_counts(ps[i], kappas[j], part);

                assert_true(mixture_counts_log_e(&mixture, 0, 0) == 0);
                for (m = 0; m < COUNT(ns); m++) {
                    assert_true(isfinite(mixture_counts_log_e(&mixture, 0, ns[m])));
                    assert_true(isfinite(mixture_counts_log_e(&mixture, ns[m], ns[m])));
                    assert_true(isfinite(mixture_counts_log_e(&mixture, floor(ns[m] * ps[i]), ns[m])));
                }
                assert_true(isnan(mixture_counts_log_e(&mixture, -1, 10)));
                assert_true(isnan(mixture_counts_log_e(&mixture, 11, 10)));
                assert_true(isnan(mixture_counts_log_e(&mixture, NAN, 10)));
            }
    /* What a formula of three large logarithms would lose: a count of a billion, one off. */
    {
        struct mixture mixture = mixture_counts(.5, 1, SPECIAL_WHOLE);
        double difference = mixture_counts_log_e(&mixture, 5e8 + 1, 1e9) - mixture_counts_log_e(&mixture, 5e8, 1e9);

        assert_true(fabs(difference - 2e-9) < 1e-13);
    }
    for (i = 0; i < COUNT(ps); i++)
        assert_true(isnan(mixture_counts(ps[i] - 2, 1, SPECIAL_WHOLE).log_prior));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tuning),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_counts_one_sided),
        cmocka_unit_test(test_fair_coin),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_counts_are_sums),
        cmocka_unit_test(test_counts_have_mean_one),
        cmocka_unit_test(test_stopping_at_will),
        cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_bounds_are_where_evidence_suffices),
        cmocka_unit_test(test_extremes_are_finite),
    };

    return cmocka_run_group_tests_name("judge/mixture", tests, NULL, NULL);
}
