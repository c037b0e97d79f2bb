/*
 * rivals_test.c - the rivals do what their sources do: against scipy, and by hand.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rivals.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void read_numbers(FILE *file, double *values, int count)
{
    for (; count > 0; count--)
        assert_int_equal(fscanf(file, "%lf", values++), 1);
}

static void test_intervals_are_scipys(void **state)
{
    const char *source = getenv("SERIN_SOURCE_DIR");
    char path[4096];
    int n, m, rows = 0;
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/golden/rivals.tsv", source ? source : ".");
    file = fopen(path, "r");
    assert_non_null(file);
    for (; fscanf(file, "%d %d", &n, &m) == 2; rows++) {
        double x[64], y[64], expected[4];
        struct sorted a, b;

        assert_true(n > 0 && m > 0 && n <= 64 && m <= 64);
        read_numbers(file, x, n);
        read_numbers(file, y, m);
        read_numbers(file, expected, 4);
        assert_true(sorted_copy(x, (size_t)n, &a) && sorted_copy(y, (size_t)m, &b));
        assert_true(fabs(fabs(rank_statistic(&a, &b, 0)) - expected[0]) < 1e-9);
        assert_true(fabs(shift_at(&a, &b, Z_98) - expected[1]) < 1.5e-4);
        assert_true(fabs(shift_at(&a, &b, 0) - expected[2]) < 1.5e-4);
        assert_true(fabs(shift_at(&a, &b, -Z_98) - expected[3]) < 1.5e-4);
        free(a.values);
        free(b.values);
    }
    fclose(file);
    assert_int_equal(rows, 24);
}

static enum kayenta_class classify_simply(const double *x, size_t n, const double *y, size_t m)
{
    uint64_t random = 1;

    return kayenta_classify(x, n, y, m, KAYENTA_EITHER, 1, 1, &random, NULL);
}

static void test_kayenta_classes(void **state)
{
    double low[20], high[20], mixed[10] = {100, 100, 100, 100, 100, 100, 100, 0, 0, 0}, ones[10];
    const double nan_only[] = {NAN}, zero[] = {0, 0, 0};
    struct kayenta_shift shift;
    uint64_t random = 1;
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        low[i] = i;
        high[i] = i + 30;
    }
    for (i = 0; i < 10; i++)
        ones[i] = 100;
    assert_int_equal(classify_simply(high, 20, low, 20), KAYENTA_HIGH);
    assert_int_equal(classify_simply(low, 20, high, 20), KAYENTA_LOW);
    assert_int_equal(classify_simply(low, 20, low, 20), KAYENTA_PASS);
    assert_int_equal(classify_simply(low, 20, NULL, 0), KAYENTA_NO_DATA);
    assert_int_equal(classify_simply(nan_only, 1, low, 20), KAYENTA_NO_DATA);
    /* Its known blindness: values that are 0 in three of ten cases where the control always has 100. */
    assert_int_equal(classify_simply(mixed, 10, ones, 10), KAYENTA_PASS);
    /* Only one direction is bad, or the effect is below what is allowed: 39.5 / 9.5. */
    assert_int_equal(kayenta_classify(high, 20, low, 20, KAYENTA_DECREASE, 1, 1, &random, NULL), KAYENTA_PASS);
    assert_int_equal(kayenta_classify(low, 20, high, 20, KAYENTA_INCREASE, 1, 1, &random, NULL), KAYENTA_PASS);
    assert_int_equal(kayenta_classify(high, 20, low, 20, KAYENTA_EITHER, 4.2, 1, &random, NULL), KAYENTA_PASS);
    assert_int_equal(kayenta_classify(high, 20, low, 20, KAYENTA_EITHER, 4.1, 1, &random, &shift), KAYENTA_HIGH);
    assert_true(fabs(shift.estimate - 30) < 1e-3 && shift.lower < 30 && shift.upper > 30);
    /* A value each: noise parts them. Ten against one are too few for 98 %, and yet it decides, since an end beyond the
     * range of all differences is clamped to it. One against one are tied at the only shift there is. */
    assert_int_equal(classify_simply(ones, 10, low + 7, 1), KAYENTA_HIGH);
    assert_int_equal(classify_simply(ones, 10, zero, 3), KAYENTA_HIGH);
    assert_int_equal(classify_simply(low + 5, 1, zero, 1), KAYENTA_ERROR);
    for (i = 0; i < 10; i++)
        mixed[i] = 50;
    assert_int_equal(classify_simply(ones, 10, mixed, 10), KAYENTA_HIGH);
}

static void test_flagger_counts_failures_for_ever(void **state)
{
    struct flagger flagger = {.min = 99, .max = INFINITY, .threshold = 3};
    static const double values[] = {99.5, 98, 99, 99, NAN, 99, 99, 98.9, 100};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(values) - 1; i++)
        assert_false(flagger_tick(&flagger, values[i]));
    assert_int_equal(flagger.failures, 3);
    assert_true(flagger_tick(&flagger, values[i]));
    flagger = (struct flagger){.min = -INFINITY, .max = 500, .threshold = 1};
    assert_false(flagger_tick(&flagger, 500));
    assert_int_equal(flagger.failures, 0);
    assert_false(flagger_tick(&flagger, 500.1));
    assert_true(flagger_tick(&flagger, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_are_scipys),
        cmocka_unit_test(test_kayenta_classes),
        cmocka_unit_test(test_flagger_counts_failures_for_ever),
    };

    return cmocka_run_group_tests_name("bench/rivals", tests, NULL, NULL);
}
