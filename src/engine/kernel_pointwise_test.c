/*
 * kernel_pointwise_test.c - how 1 x 1 convolutions are shared out; kernel_convolution_test.c has what they compute.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/kernel_pointwise.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef KERNEL_VECTORS

#define PICTURES 3
#define MOST     64 /* pixels */
#define SENTINEL 12345.0f

/* The last pixels of a picture are computed with some before them: not by another thread, which ThreadSanitizer calls a
 * race. */
static void test_no_two_parts_write_the_same(void **state)
{
    static float src[PICTURES * MOST * LANES] __attribute__((aligned(64)));
    static float dst[PICTURES * MOST * LANES] __attribute__((aligned(64)));
    static float weights[LANES * LANES] __attribute__((aligned(64)));
    struct onednn_convolution c = {.src = {ONEDNN_F32, LANES, 1, 0, LANES}, .activation = {.op = GRAPH_SILU}};
    const struct onednn_addresses addresses = {.src = src, .weights = weights, .dst = dst};
    struct kernel_batch batch = {.pictures = PICTURES};
    struct work work = {&c, &addresses, &batch};
    int parts, part, number, numbers, writers[PICTURES * MOST * LANES];

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (c.src.width = PIXELS; c.src.width <= MOST; c.src.width++) {
        c.dst = c.src;
        batch.src_bytes = batch.dst_bytes = onednn_image_bytes(&c.src);
        numbers = PICTURES * LANES * (int)c.src.width;
        for (parts = 1; parts <= 16; parts++) {
            memset(writers, 0, sizeof(writers));
            for (part = 0; part < parts; part++) {
                for (number = 0; number < numbers; number++)
                    dst[number] = SENTINEL;
                run_part(&work, part, parts);
                for (number = 0; number < numbers; number++)
                    writers[number] += memcmp(&dst[number], &(float){SENTINEL}, sizeof(float)) != 0;
            }
            for (number = 0; number < numbers; number++)
                assert_int_equal(writers[number], 1);
        }
    }
}

#else

static void test_no_two_parts_write_the_same(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_two_parts_write_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
