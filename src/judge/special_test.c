/*
 * special_test.c - the special functions against 50 digits, and at the borders of their domains.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/special.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double value_of(const char *name, double a, double b, double x)
{
    if (strcmp(name, "beta") == 0)
        return special_log_beta(a, b);
    if (strcmp(name, "below") == 0)
        return special_log_beta_below(a, b, x);
    if (strcmp(name, "gamma_below") == 0)
        return special_log_gamma_below(a, b);
    if (strcmp(name, "gamma_above") == 0)
        return special_log_gamma_above(a, b);
    if (strcmp(name, "normal") == 0)
        return special_log_normal_cdf(a);
    if (strcmp(name, "zeta") == 0)
        return special_zeta(a);
    if (strcmp(name, "one_minus_exp") == 0)
        return special_log_one_minus_exp(a);
    return NAN;
}

static void test_golden(void **state)
{
    const char *source = getenv("SERIN_SOURCE_DIR");
    char path[4096], name[32];
    double a, b, x, expected;
    int rows = 0, faults = 0;
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/golden/special.tsv", source ? source : ".");
    file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%31s %lf %lf %lf %lf", name, &a, &b, &x, &expected) == 5) {
        double found = value_of(name, a, b, x);

        if (!(fabs(found - expected) <= 1e-10 * fmax(1, fabs(expected)))) {
            print_error("%s(%g, %g, %g): %.17g, not %.17g\n", name, a, b, x, found, expected);
            faults++;
        }
        rows++;
    }
    fclose(file);
    assert_int_equal(faults, 0);
    assert_true(rows > 700);
}

/* Both parts of each integral make up the whole, also where one is tiny, and on both sides of SMALL. */
static void test_parts_make_up_the_whole(void **state)
{
    static const double sizes[] = {1e-3, .7, 20, SMALL - 1, SMALL + 1, 1e5, 1e9};
    size_t i, j;
    int step;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (step = -12; step <= 12; step++) {
            double a = sizes[i], x = fmax(a + step * 2.5 * sqrt(a), a / 100);

            for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
                double b = sizes[j], u = a + b, mean = a / u;
                double p = mean + step * 2.5 * sqrt(mean * (b / u) / (u + 1)), parts[2], whole;

                if (!(p > 1e-12 && p < 1 - 1e-12))
                    continue;
                parts[0] = special_log_beta_mass(SPECIAL_BELOW, a, b, p, 1 - p, a - u * p);
                parts[1] = special_log_beta_mass(SPECIAL_ABOVE, a, b, p, 1 - p, a - u * p);
                whole = special_log_beta_mass(SPECIAL_WHOLE, a, b, p, 1 - p, a - u * p);
                assert_true(fabs(special_log_sum_exp(parts, 2) - whole) < 1e-10 * fmax(1, fabs(whole)));
                /* Seen from the other side. */
                assert_true(fabs(special_log_beta_mass(SPECIAL_BELOW, b, a, 1 - p, p, u * p - a) - parts[1]) <
                            1e-10 * fmax(1, fabs(parts[1])));
            }
            assert_true(fabs(exp(special_log_gamma_below(a, x)) + exp(special_log_gamma_above(a, x)) - 1) < 1e-10);
        }
}

/* Below an x that is not positive, against Simpson's rule with w = u^(1/a), which takes the pole away. */
static void test_gamma_below_negative(void **state)
{
    static const double sizes[] = {.003, .5, 1, 7, 300};
    static const double xs[] = {0, -1e-9, -.3, -5, -39.9, -40.1, -90};
    size_t i, j;
    int k;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (j = 0; j < sizeof(xs) / sizeof(xs[0]); j++) {
            double a = sizes[i], x = xs[j], sum = 0, found = special_log_gamma_mass(SPECIAL_BELOW, a, x, a - x);

            for (k = 0; k <= 400000; k++)
                sum += (k == 0 || k == 400000 ? 1 : k % 2 ? 4 : 2) * exp(x * (1 - pow(k / 4e5, 1 / a)));
            assert_true(fabs(found - log(sum / (3 * 4e5 * a))) < 1e-6);
        }
    assert_true(special_log_gamma_mass(SPECIAL_BELOW, 4, 0, 4) == -log(4));
    assert_true(fabs(special_log_gamma_mass(SPECIAL_BELOW, 4, 1e-12, 4) + log(4)) < 1e-11);
    assert_true(isfinite(special_log_gamma_mass(SPECIAL_BELOW, .001, -1e9, 1e9)));
}

static void test_borders(void **state)
{
    const double terms[] = {-1e4, -1e4, -INFINITY};
    const double broken[] = {1, NAN, 2};

    (void)state;
    assert_true(special_log_beta_below(2, 3, 0) == -INFINITY && special_log_beta_below(2, 3, 1) == 0);
    assert_true(special_log_gamma_below(2, 0) == -INFINITY && special_log_gamma_above(2, 0) == 0);
    assert_true(isnan(special_log_beta(0, 1)) && isnan(special_log_beta(-1, 1)) && isnan(special_log_beta(NAN, 1)));
    assert_true(isnan(special_log_beta_below(2, 3, -.1)) && isnan(special_log_beta_below(2, 3, 1.1)) &&
                isnan(special_log_beta_below(2, 3, NAN)));
    assert_true(isnan(special_log_gamma_below(-1, 2)) && isnan(special_log_gamma_above(1, -2)));
    assert_true(isnan(special_zeta(1)) && isnan(special_zeta(NAN)));
    assert_true(isnan(special_log_normal_cdf(NAN)));
    assert_true(special_log_normal_cdf(40) == 0 && special_log_normal_cdf(INFINITY) == 0);
    assert_true(special_log_sum_exp(NULL, 0) == -INFINITY);
    assert_true(fabs(special_log_sum_exp(terms, 3) - (-1e4 + log(2))) < 1e-11);
    assert_true(isnan(special_log_sum_exp(broken, 3)));
    assert_true(special_expit(-800) == 0 && special_expit(800) == 1 && special_expit(0) == .5);
    assert_true(fabs(special_logit(special_expit(-30)) + 30) < 1e-13 && special_logit(.5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_parts_make_up_the_whole),
        cmocka_unit_test(test_gamma_below_negative),
        cmocka_unit_test(test_borders),
    };

    return cmocka_run_group_tests_name("judge/special", tests, NULL, NULL);
}
