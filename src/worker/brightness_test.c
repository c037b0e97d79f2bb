/*
 * brightness_test.c - light and sharpness of pictures whose numbers are known.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/brightness.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct serin_image blank(int width, int height, int value)
{
    struct serin_image image = {.width = width, .height = height, .stride_bytes = 3 * (size_t)width};

    image.pixels = malloc(image.stride_bytes * (size_t)height);
    assert_non_null(image.pixels);
    memset(image.pixels, value, image.stride_bytes * (size_t)height);
    return image;
}

static void test_flat_pictures(void **state)
{
    static const int sizes[][2] = {{1, 1}, {2, 2}, {3, 3}, {1, 4000}, {4000, 1}, {640, 480}, {65535, 2}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct serin_image image = blank(sizes[i][0], sizes[i][1], 51);
        double light, sharpness;

        brightness_measure(&image, &light, &sharpness);
        assert_float_equal(light, 0.2, 1e-6);
        assert_float_equal(sharpness, 0, 1e-6);
        free(image.pixels);
    }
}

static void test_colours_weigh_as_bt601_says(void **state)
{
    struct serin_image image = blank(1, 1, 0);
    double light, sharpness;
    static const double weights[] = {0.299, 0.587, 0.114};
    int c;

    (void)state;
    for (c = 0; c < 3; c++) {
        memset(image.pixels, 0, 3);
        image.pixels[c] = 255;
        brightness_measure(&image, &light, &sharpness);
        assert_float_equal(light, weights[c], 0.004);
    }
    free(image.pixels);
}

/* Stripes of one pixel, 0 and 100: the Laplacian is +-200 everywhere, its variance 40,000. */
static void test_stripes_have_a_known_variance(void **state)
{
    struct serin_image image = blank(102, 50, 0);
    double light, sharpness;
    int x, y;

    (void)state;
    for (y = 0; y < 50; y++)
        for (x = 0; x < 102; x += 2)
            memset(image.pixels + (size_t)y * image.stride_bytes + 3 * (size_t)x, 100, 3);
    brightness_measure(&image, &light, &sharpness);
    assert_float_equal(light * 255, 50, 1e-3);
    assert_float_equal(sharpness, 40000, 1e-3);
    free(image.pixels);
}

static void test_a_blurred_edge_is_less_sharp(void **state)
{
    struct serin_image sharp = blank(1024, 768, 0), soft = blank(1024, 768, 0);
    double light, sharpness[2];
    int x, y;

    (void)state;
    for (y = 0; y < 768; y++) {
        for (x = 0; x < 1024; x++) {
            int ramp = (x - 448) * 2;

            memset(sharp.pixels + (size_t)y * sharp.stride_bytes + 3 * (size_t)x, x < 512 ? 0 : 255, 3);
            ramp = ramp < 0 ? 0 : ramp > 255 ? 255 : ramp;
            memset(soft.pixels + (size_t)y * soft.stride_bytes + 3 * (size_t)x, ramp, 3);
        }
    }
    brightness_measure(&sharp, &light, &sharpness[0]);
    brightness_measure(&soft, &light, &sharpness[1]);
    assert_true(sharpness[0] > 10 * sharpness[1]);
    free(sharp.pixels);
    free(soft.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat_pictures),
        cmocka_unit_test(test_colours_weigh_as_bt601_says),
        cmocka_unit_test(test_stripes_have_a_known_variance),
        cmocka_unit_test(test_a_blurred_edge_is_less_sharp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
