/*
 * kernel_rows_test.c - rows and expectations beside loops that say what they mean.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/kernel_rows.c"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MAX_CHANNELS 70
#define MAX_PIXELS   150
#define ROW_STRIDE   (MAX_PIXELS + 7)
#define UNTOUCHED    -9.0f /* what lies between rows */

static float from[(MAX_CHANNELS + 16) * MAX_PIXELS] __attribute__((aligned(64)));
static float to[MAX_CHANNELS * ROW_STRIDE];
static uint32_t random_state = 1;

/* Between -8 and 8, as logits are, with so few digits that bf16 has them. */
static float any_number(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 24) / 16.0f - 8.0f;
}

static void put(const struct onednn_image *image, int64_t channel, int64_t pixel, float number)
{
    char *at = (char *)(uintptr_t)number_at(image, from, channel, pixel);
    uint16_t narrow = to_bf16(number);

    if (image->type == ONEDNN_F32)
        memcpy(at, &number, sizeof(number));
    else
        memcpy(at, &narrow, sizeof(narrow));
}

static float get(const struct onednn_image *image, int64_t channel, int64_t pixel)
{
    const char *at = number_at(image, from, channel, pixel);

    return image->type == ONEDNN_F32 ? *(const float *)(const void *)at
                                     : from_bf16(*(const uint16_t *)(const void *)at);
}

static struct onednn_image any_picture(enum onednn_type type, int64_t channels, int64_t height, int64_t width,
                                       int64_t block)
{
    const struct onednn_image image = {type, channels, height, width, block};
    int64_t c, p;

    memset(from, 0xff, sizeof(from)); /* NaNs behind the last channel */
    for (c = 0; c < channels; c++)
        for (p = 0; p < height * width; p++)
            put(&image, c, p, any_number());
    for (p = 0; p < (int64_t)(sizeof(to) / sizeof(to[0])); p++)
        to[p] = UNTOUCHED;
    return image;
}

/* Every layout and type, and every way that tiles of pixels and of channels end. */
static void for_each_picture(void (*check)(const struct onednn_image *image, int threads))
{
    static const int64_t blocks[] = {0, 1, 8, 16}, channels[] = {1, 16, 20, 64, MAX_CHANNELS};
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {4, 4}, {1, 17}, {8, 8}, {5, 13}, {10, 15}};
    size_t b, c, s;
    int type;

    for (type = ONEDNN_F32; type <= ONEDNN_BF16; type++)
        for (b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
            for (c = 0; c < sizeof(channels) / sizeof(channels[0]); c++)
                for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
                    const struct onednn_image image =
                        any_picture(type ? ONEDNN_BF16 : ONEDNN_F32, channels[c], sizes[s][0], sizes[s][1], blocks[b]);

                    check(&image, 1 + (int)s % 3);
                }
}

static void check_rows(const struct onednn_image *image, int threads)
{
    int64_t c, p;

    kernel_rows(image, from, to, ROW_STRIDE, threads);
    for (c = 0; c < MAX_CHANNELS; c++)
        for (p = 0; p < ROW_STRIDE; p++)
            assert_true(to[c * ROW_STRIDE + p] ==
                        (c < image->channels && p < image->height * image->width ? get(image, c, p) : UNTOUCHED));
}

static void test_rows(void **state)
{
    (void)state;
    for_each_picture(check_rows);
}

static void check_expectations(const struct onednn_image *image, int threads)
{
    const int64_t pixels = image->height * image->width;
    static const int64_t all_bins[] = {1, 5, 16, 64};
    float weights[GRAPH_MAX_BINS];
    int64_t bins, row, p, bin;
    size_t i;

    for (bin = 0; bin < GRAPH_MAX_BINS; bin++)
        weights[bin] = (float)bin - 0.5f;
    for (i = 0; i < sizeof(all_bins) / sizeof(all_bins[0]); i++) {
        bins = all_bins[i];
        if (image->channels % bins)
            continue;
        for (p = 0; p < (int64_t)(sizeof(to) / sizeof(to[0])); p++)
            to[p] = UNTOUCHED;
        kernel_expectation(image, from, 0, image->height, bins, weights, to, threads);
        for (row = 0; row < image->channels / bins; row++)
            for (p = 0; p < pixels; p++) {
                double sum = 0.0, mean = 0.0;

                for (bin = 0; bin < bins; bin++) {
                    const double e = exp((double)get(image, row * bins + bin, p));

                    sum += e;
                    mean += e * (double)weights[bin];
                }
                assert_true(fabs((double)to[row * pixels + p] - mean / sum) <= 2e-6 * fmax(fabs(mean / sum), 1.0));
            }
        assert_true(to[image->channels / bins * pixels] == UNTOUCHED);
    }
}

static void test_expectations(void **state)
{
    (void)state;
    for_each_picture(check_expectations);
}

/* Beyond what e^x reaches: one bin has it all. A NaN stays one. */
static void test_expectations_at_the_ends(void **state)
{
    float weights[16];
    int64_t block, bin, p;

    (void)state;
    for (bin = 0; bin < 16; bin++)
        weights[bin] = (float)bin;
    for (block = 1; block <= 16; block += 15) {
        const struct onednn_image image = any_picture(ONEDNN_F32, 16, 4, 5, block);

        for (p = 0; p < 20; p++)
            for (bin = 0; bin < 16; bin++)
                put(&image, bin, p, bin == p % 16 ? 3e38f : p < 16 ? -3e38f : -INFINITY);
        put(&image, 3, 19, NAN);
        kernel_expectation(&image, from, 0, image.height, 16, weights, to, 1);
        for (p = 0; p < 19; p++)
            assert_true(fabsf(to[p] - (float)(p % 16)) < 1e-5f);
        assert_true(isnan(to[19]));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_expectations_at_the_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
