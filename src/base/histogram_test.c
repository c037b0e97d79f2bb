/*
 * histogram_test.c - buckets without gaps, quantiles within 1/16, sums over threads.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_buckets_have_no_gaps(void **state)
{
    int i;

    (void)state;
    assert_int_equal(histogram_bucket(0), 0);
    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t floor = histogram_floor_us(i), end = histogram_floor_us(i + 1);

        assert_true(end > floor);
        assert_int_equal(histogram_bucket(floor), i);
        assert_int_equal(histogram_bucket(end - 1), i);
        assert_true((end - floor) * 16 <= floor || end - floor == 1);
    }
    assert_int_equal(histogram_floor_us(HISTOGRAM_BUCKETS), (uint64_t)UINT32_MAX + 1);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

#define VALUES 20000

static void test_quantiles_are_near(void **state)
{
    static const double quantiles[] = {0, .01, .25, .5, .9, .99, .999, 1};
    static struct histogram histograms[2];
    static struct histogram_sum sum;
    static uint64_t values[VALUES];
    uint64_t random = 1, total = 0;
    size_t i;

    (void)state;
    for (i = 0; i < VALUES; i++) { /* from 1 us to a minute, as many in each octave */
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] = (uint64_t)exp2((double)(random >> 11) * 0x1p-53 * 26);
        histogram_record(&histograms[i % 2], values[i]);
        total += values[i];
    }
    histogram_add(&sum, &histograms[0]);
    histogram_add(&sum, &histograms[1]);
    assert_int_equal(sum.total, VALUES);
    assert_int_equal(sum.sum_us, total);
    qsort(values, VALUES, sizeof(values[0]), by_value);
    for (i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        size_t rank = (size_t)(quantiles[i] * VALUES);
        double expected = (double)values[rank < VALUES ? rank : VALUES - 1];
        double found = histogram_quantile_us(&sum, quantiles[i]);

        assert_true(fabs(found - expected) <= fmax(expected / 16, .5));
    }
}

static void test_empty(void **state)
{
    static struct histogram_sum sum;

    (void)state;
    assert_true(histogram_quantile_us(&sum, .5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_have_no_gaps),
        cmocka_unit_test(test_quantiles_are_near),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests_name("base/histogram", tests, NULL, NULL);
}
