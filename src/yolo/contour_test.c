/*
 * contour_test.c - outlines equal OpenCV's, point by point, and joined ones Ultralytics'.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/contour.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void outlines_are_opencvs(void **state)
{
    char path[4096], pixel;
    int cases = 0, joined = 0, i, k;
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/golden/contours.txt", getenv("SERIN_SOURCE_DIR"));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &cases), 1);
    assert_true(cases >= 100);
    for (i = 0; i < cases; i++) {
        struct contour_point *points = NULL;
        int width, height, count, pieces = 0;
        uint8_t *mask;
        size_t got = 0;

        assert_int_equal(fscanf(file, "%d %d %d", &width, &height, &count), 3);
        mask = malloc((size_t)width * (size_t)height);
        assert_non_null(mask);
        for (k = 0; k < width * height; k++) {
            assert_int_equal(fscanf(file, " %c", &pixel), 1);
            mask[k] = pixel == '1';
        }
        assert_int_equal(contour_outline(mask, width, height, &points, &got, NULL), SERIN_OK);
        assert_int_equal(got, count);
        for (k = 0; k < count; k++) {
            int x, y;

            assert_int_equal(fscanf(file, "%d %d", &x, &y), 2);
            assert_int_equal(points[k].x, x);
            assert_int_equal(points[k].y, y);
            pieces += k > 0 && points[k].x == points[0].x && points[k].y == points[0].y;
        }
        joined += pieces > 0;
        free(points);
        free(mask);
    }
    fclose(file);
    assert_true(joined > 20); /* enough masks in several pieces */
}

static void an_empty_mask_has_no_outline(void **state)
{
    struct contour_point *points = NULL;
    uint8_t mask[12] = {0};
    size_t count = 1;

    (void)state;
    assert_int_equal(contour_outline(mask, 4, 3, &points, &count, NULL), SERIN_OK);
    assert_int_equal(count, 0);
    free(points);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outlines_are_opencvs),
        cmocka_unit_test(an_empty_mask_has_no_outline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
