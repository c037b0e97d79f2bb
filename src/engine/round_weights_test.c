/*
 * round_weights_test.c - each weight is one of its neighbours in bf16, and sums stay.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/round_weights.h"

#include "engine/test_graphs.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MOST 3000

static float cut(float x, uint32_t add)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    bits = (bits & 0xffff0000) + add;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static float nearest(float x)
{
    const float low = cut(x, 0), high = cut(x, 0x10000);

    return fabs((double)high - (double)x) < fabs((double)low - (double)x) ? high : low;
}

/* Weights as networks have them: many small ones, few large. */
static void fill(int64_t count, float *weights)
{
    int64_t i;

    for (i = 0; i < count; i++)
        weights[i] = any_number() * any_number() * any_number();
}

static void test_each_is_a_neighbour(void **state)
{
    float from[MOST], to[MOST];
    int64_t i;

    (void)state;
    fill(MOST, from);
    from[0] = 0.0f, from[1] = -0.0f, from[2] = 1.0f, from[3] = -0.7421875f; /* bf16 has these */
    round_weights(MOST, from, to);
    for (i = 0; i < MOST; i++)
        if (memcmp(&to[i], &(float){cut(from[i], 0)}, sizeof(float)) != 0)
            assert_memory_equal(&to[i], &(float){cut(from[i], 0x10000)}, sizeof(float));
    assert_memory_equal(from, to, 4 * sizeof(float));
}

/* Errors of inputs that have a mean in common, and of the parts in which they differ. */
static void test_sums_stay(void **state)
{
    static const int64_t counts[] = {16, 48, 64, 256, 1024, MOST};
    float from[MOST], to[MOST];
    double sums, nearest_sums, squares, nearest_squares;
    size_t c;
    int64_t i;
    int row;

    (void)state;
    for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        sums = nearest_sums = squares = nearest_squares = 0.0;
        for (row = 0; row < 50; row++) {
            double sum = 0.0, nearest_sum = 0.0;

            fill(counts[c], from);
            round_weights(counts[c], from, to);
            for (i = 0; i < counts[c]; i++) {
                const double error = (double)to[i] - (double)from[i];
                const double nearest_error = (double)nearest(from[i]) - (double)from[i];

                sum += error, squares += error * error;
                nearest_sum += nearest_error, nearest_squares += nearest_error * nearest_error;
            }
            sums += sum * sum, nearest_sums += nearest_sum * nearest_sum;
        }
        assert_true(sums < nearest_sums / (counts[c] < 48 ? 3 : 25));
        assert_true(squares < 1.05 * nearest_squares);
    }
}

static void test_what_is_not_finite_is_left_alone(void **state)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX};
    float from[64], to[64];
    uint32_t bits;
    size_t k;
    int i;

    (void)state;
    for (k = 0; k < sizeof(odd) / sizeof(odd[0]); k++) {
        fill(64, from);
        from[7] = odd[k];
        round_weights(64, from, to);
        for (i = 0; i < 64; i++)
            if (i != 7)
                assert_true(to[i] == nearest(from[i]));
        memcpy(&bits, &to[7], sizeof(bits));
        assert_int_equal(bits & 0xffff, 0);
        assert_true(isnan(odd[k]) ? isnan(to[7]) : isinf(to[7]));
        assert_true(!signbit(to[7]) == !signbit(odd[k]));
    }
    bits = 0x7fffffff; /* a NaN that adding to would make -0 */
    memcpy(&from[7], &bits, sizeof(bits));
    round_weights(64, from, to);
    assert_true(isnan(to[7]));
    from[7] = 1.401298464e-45f; /* the least there is */
    round_weights(64, from, to);
    assert_true(fabsf(to[7]) <= 9.2e-41f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_a_neighbour),
        cmocka_unit_test(test_sums_stay),
        cmocka_unit_test(test_what_is_not_finite_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
