/*
 * boundary_test.c - published values, coverage at every look, and the ends of the range.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/boundary.c"

#include "judge/test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define assert_near(found, expected) assert_true(fabs((found) - (expected)) <= 5e-6 * fabs(expected))

static void test_share(void **state)
{
    static const struct {
        double k, n, t_opt, lower, upper;
    } cases[] = {{700, 1000, 100, 0.651629, 0.745949},
                 {15, 50, 50, 0.129556, 0.511896},
                 {5, 50, 50, 0.013021, 0.269264},
                 {1, 50, 50, 0, 0.134891},
                 {100, 200, 1, 0.328923, 0.671076},
                 {0, 1, 50, 0, 1},
                 {0, 0, 50, 0, 1},
                 {1, 1, 50, 0, 1}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        struct boundary_interval found =
            boundary_share(cases[i].k, cases[i].n, mixture_kappa(cases[i].t_opt, .05, SPECIAL_WHOLE), .05);

        assert_true(fabs(found.lower - cases[i].lower) < 1e-6);
        assert_true(fabs(found.upper - cases[i].upper) < 1e-6);
    }
}

static void test_share_at_the_ends(void **state)
{
    static const double ks[] = {0, 1, 5e8, 1e9 - 1, 1e9};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ks); i++) {
        struct boundary_interval found = boundary_share(ks[i], 1e9, 100, 1e-6);

        assert_true(found.lower >= 0 && found.lower <= ks[i] / 1e9 && found.upper >= ks[i] / 1e9 && found.upper <= 1);
        assert_true(found.upper - found.lower < 3e-4);
        assert_true(ks[i] == 0 || found.lower > 0 || ks[i] == 1);
    }
    assert_true(isnan(boundary_share(2, 1, 100, .05).lower) && isnan(boundary_share(-1, 1, 100, .05).lower));
    assert_true(isnan(boundary_share(1, 2, 100, 0).upper) && isnan(boundary_share(NAN, 2, 100, .05).upper));
    assert_true(isnan(boundary_share(1, 2, -1, .05).upper));
}

static void test_means(void **state)
{
    (void)state;
    assert_near(boundary_means(5e-5, 4e-4, .05), 0.02146191);
    assert_true(fabs(mixture_means_log_e(boundary_means(3., .2, .01), 3, .2) - log(100)) < 1e-12);
    assert_true(isnan(boundary_means(0, 1, .05)) && isnan(boundary_means(1, 1, 1)));
}

static void test_asymptotic(void **state)
{
    double rho = 0.03984007, n = 1000, root = sqrt(n * rho * rho + 1);
    double alpha = .025, one = sqrt(2 * (n * rho * rho + 1) / (n * n * rho * rho) * log(1 + root / (2 * alpha)));

    (void)state;
    assert_near(sqrt(mixture_spread(.05) / 5000), rho);
    assert_near(boundary_asymptotic(1000, 1, 5000, .05, SPECIAL_WHOLE), .1063755);
    assert_near(boundary_asymptotic(5000, 1, 5000, .05, SPECIAL_WHOLE), .0429243);
    assert_near(boundary_asymptotic(100000, 3, 5000, .05, SPECIAL_WHOLE), 3 * .0105521);
    /* One-sided at .025 is tuned as two-sided at .05. */
    assert_near(boundary_asymptotic(1000, 1, 5000, .025, SPECIAL_ABOVE), one);
    assert_true(boundary_asymptotic(1000, 1, 5000, .05, SPECIAL_ABOVE) <
                boundary_asymptotic(1000, 1, 5000, .05, SPECIAL_WHOLE));
    assert_true(isnan(boundary_asymptotic(0, 1, 5000, .05, SPECIAL_WHOLE)));
    assert_true(isnan(boundary_asymptotic(10, 1, 5000, .5, SPECIAL_ABOVE)));
}

static void test_stitching(void **state)
{
    (void)state;
    assert_near(boundary_stitching(100, .05, 10, 3, 1.4, 2), 64.48755);
    assert_near(boundary_stitching(100, .05, 10, -1, 1.4, 2), 28.99389);
    assert_true(boundary_stitching(3, .05, 10, 0, 1.4, 2) == boundary_stitching(10, .05, 10, 0, 1.4, 2));
    assert_true(isnan(boundary_stitching(3, .05, 0, 0, 1.4, 2)) && isnan(boundary_stitching(3, .05, 10, 0, 1, 2)));
}

static void test_bands(void **state)
{
    static const struct {
        double n, alpha, radius; /* four digits were published */
    } cases[] = {{1e3, .05, 0.08657},  {1e4, .05, 0.02771},  {1e5, .05, 0.008846},
                 {1e6, .05, 0.002819}, {1e3, .025, 0.08885}, {1e5, .025, 0.009070}};
    size_t i;
    double C = boundary_lil_constant(.05, .85);

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        assert_true(fabs(boundary_band(cases[i].n, cases[i].alpha) - cases[i].radius) < 1.5e-4 * cases[i].radius);
    assert_near(boundary_band(1e4, .05), .85 * sqrt((log(log(M_E * 1e4)) + .8 * log(1612 / .05)) / 1e4));
    assert_near(boundary_lil(1000, 100, .85, C), .08204769);
    assert_true(boundary_lil(99, 100, .85, C) == INFINITY);
    assert_true(boundary_lil_constant(.01, .85) > C && boundary_lil_constant(.05, 1.2) < C);
    assert_true(isnan(boundary_lil_constant(.05, .7)) && isnan(boundary_lil_constant(0, .85)));
    assert_true(isnan(boundary_band(.5, .05)));
}

/* Looking at every value, the mean may be missed in at most alpha of the runs: .1 of 500, and four standard
 * deviations. And it closes in on the mean. */
static void test_mean_is_covered(void **state)
{
    int run, missed = 0, t;

    (void)state;
    seed = 3;
    for (run = 0; run < 500; run++) {
        struct boundary_interval interval = {0, 1};
        struct boundary_mean mean;
        bool inside = true;

        boundary_mean_init(&mean, .1);
        for (t = 0; t < 1000; t++) {
            double u = chance();

            assert_true(boundary_mean_add(&mean, u * u));
            interval = boundary_mean_interval(&mean);
            inside = inside && interval.lower <= 1. / 3 && interval.upper >= 1. / 3;
        }
        missed += !inside;
        assert_true(interval.upper - interval.lower < .12);
    }
    assert_true(missed <= 77 && missed >= 1);
}

static void test_mean_at_the_ends(void **state)
{
    struct boundary_mean mean, before;
    struct boundary_interval interval;
    int i;

    (void)state;
    boundary_mean_init(&mean, .05);
    interval = boundary_mean_interval(&mean);
    assert_true(interval.lower == 0 && interval.upper == 1);
    before = mean;
    assert_false(boundary_mean_add(&mean, -.001));
    assert_false(boundary_mean_add(&mean, 1.001));
    assert_false(boundary_mean_add(&mean, NAN));
    assert_memory_equal(&mean, &before, sizeof(mean));
    for (i = 0; i < 100000; i++)
        assert_true(boundary_mean_add(&mean, 1));
    interval = boundary_mean_interval(&mean);
    assert_true(interval.lower > .999 && interval.upper == 1);
    boundary_mean_init(&mean, 2);
    assert_true(boundary_mean_add(&mean, .5));
    assert_true(isnan(boundary_mean_interval(&mean).lower));
    /* The series and the logarithm meet. */
    assert_true(fabs(psi(.01) / (-log1p(-.0100000001) - .0100000001) - 1) < 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),           cmocka_unit_test(test_share_at_the_ends), cmocka_unit_test(test_means),
        cmocka_unit_test(test_asymptotic),      cmocka_unit_test(test_stitching),         cmocka_unit_test(test_bands),
        cmocka_unit_test(test_mean_is_covered), cmocka_unit_test(test_mean_at_the_ends),
    };

    return cmocka_run_group_tests_name("judge/boundary", tests, NULL, NULL);
}
