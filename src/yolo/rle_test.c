/*
 * rle_test.c - masks against pycocotools' on random polygons and bitmaps, and hostile ones.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/rle.c"

#include "base/file.h"
#include "base/test_paths.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static json_t *golden;

static int load_golden(void **state)
{
    (void)state;
    golden = json_load_file(test_source_path("tests/golden", "eval.json"), 0, NULL);
    return golden ? 0 : -1;
}

static int drop_golden(void **state)
{
    (void)state;
    json_decref(golden);
    return 0;
}

static uint32_t side(const json_t *row, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(row, name));
}

static void assert_text(const struct rle *rle, const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    struct serin_error error;
    struct rle wanted;

    assert_int_equal(rle_from_text(rle->width, rle->height, text, strlen(text), &wanted, &error), SERIN_OK);
    assert_int_equal(rle->count, wanted.count);
    assert_memory_equal(rle->counts, wanted.counts, wanted.count * sizeof(wanted.counts[0]));
    rle_done(&wanted);
}

/* Into width * height bytes, 0 or 1, row by row. */
static void draw(const struct rle *rle, uint8_t *bitmap)
{
    uint32_t position = 0;
    size_t i;

    for (i = 0; i < rle->count; i++) {
        uint32_t end = position + rle->counts[i];

        for (; position < end; position++)
            bitmap[(size_t)(position % rle->height) * rle->width + position / rle->height] = i % 2;
    }
}

static void polygons_are_pycocotools_bit_for_bit(void **state)
{
    const json_t *rows = json_object_get(golden, "polygons"), *row;
    struct serin_error error;
    size_t i, k;

    (void)state;
    assert_int_equal(json_array_size(rows), 120);
    json_array_foreach(rows, i, row)
    {
        const json_t *points = json_object_get(row, "points");
        double xy[64];
        struct rle rle;

        for (k = 0; k < json_array_size(points); k++)
            xy[k] = json_number_value(json_array_get(points, k));
        assert_int_equal(rle_from_polygon(side(row, "w"), side(row, "h"), xy, k / 2, &rle, &error), SERIN_OK);
        assert_text(&rle, row, "text");
        assert_int_equal(rle_area(&rle), json_integer_value(json_object_get(row, "area")));
        rle_done(&rle);
    }
}

static void bitmaps_round_trip_and_compare_as_pycocotools(void **state)
{
    const json_t *rows = json_object_get(golden, "bitmaps"), *row;
    struct serin_error error;
    size_t i, k;

    (void)state;
    assert_true(json_array_size(rows) > 10);
    json_array_foreach(rows, i, row)
    {
        uint32_t w = side(row, "w"), h = side(row, "h");
        const char *b_text = json_string_value(json_object_get(row, "b"));
        uint8_t bitmap[256], back[256];
        struct rle a, pair[2], sum;

        for (k = 0; k < w * h; k++)
            bitmap[k] = json_string_value(json_array_get(json_object_get(row, "rows"), k / w))[k % w] == '1';
        assert_int_equal(rle_from_bitmap(w, h, 0, 0, w, h, bitmap, w, &a, &error), SERIN_OK);
        assert_text(&a, row, "a");
        assert_int_equal(rle_area(&a), json_integer_value(json_object_get(row, "area")));
        draw(&a, back);
        assert_memory_equal(bitmap, back, w * h);
        pair[0] = a;
        assert_int_equal(rle_from_text(w, h, b_text, strlen(b_text), &pair[1], &error), SERIN_OK);
        assert_true(rle_iou(&a, &pair[1], 0) == json_number_value(json_object_get(row, "iou")));
        assert_true(rle_iou(&a, &pair[1], 1) == json_number_value(json_object_get(row, "crowd_iou")));
        assert_int_equal(rle_union(pair, 2, &sum, &error), SERIN_OK);
        assert_text(&sum, row, "union");
        rle_done(&sum);
        rle_done(&pair[1]);
        rle_done(&a);
    }
}

static void a_rectangle_lies_where_it_was_put(void **state)
{
    static const uint8_t ones[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct serin_error error;
    uint32_t i, p, x, y, w, h;
    uint8_t bitmap[20];
    struct rle rle;

    (void)state;
    for (i = 0; i < 5 * 4 * 4 * 4; i++) {
        x = i / 64 % 5, y = i / 16 % 4, w = i / 4 % 4, h = i % 4;
        if (x + w > 5 || y + h > 4) {
            assert_int_equal(rle_from_bitmap(5, 4, x, y, w, h, ones, 4, &rle, &error), SERIN_INVALID);
            continue;
        }
        assert_int_equal(rle_from_bitmap(5, 4, x, y, w, h, ones, 4, &rle, &error), SERIN_OK);
        draw(&rle, bitmap);
        for (p = 0; p < 20; p++)
            assert_int_equal(bitmap[p], p % 5 >= x && p % 5 < x + w && p / 5 >= y && p / 5 < y + h);
        assert_int_equal(rle_area(&rle), w * h);
        rle_done(&rle);
    }
}

static void hostile_masks_are_refused(void **state)
{
    static const double far[] = {0, 0, 1e9, 0, 5, 5}, not_a_number[] = {0, 0, (double)NAN, 0, 5, 5};
    static const uint32_t wrong_sum[] = {5, 5}, wraps[] = {0xffffffffu, 101};
    struct serin_error error;
    struct rle rle, other;

    (void)state;
    assert_int_equal(rle_from_polygon(10, 10, far, 2, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_polygon(10, 10, far, 3, &rle, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "1e+09"));
    assert_int_equal(rle_from_polygon(10, 10, not_a_number, 3, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_polygon(10, 10, far, 100001, &rle, &error), SERIN_LIMIT);
    assert_int_equal(rle_from_polygon(0, 10, far, 3, &rle, &error), SERIN_LIMIT);
    assert_int_equal(rle_from_polygon(65536, 10, far, 3, &rle, &error), SERIN_LIMIT);
    assert_int_equal(rle_from_counts(65535, 65535, wrong_sum, 2, &rle, &error), SERIN_LIMIT);
    assert_int_equal(rle_from_counts(10, 10, wrong_sum, 2, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_counts(10, 10, wraps, 2, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_counts(10, 10, NULL, 0, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_text(10, 10, "ooooooooooo0", 12, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_text(10, 10, "T3o", 3, &rle, &error), SERIN_CORRUPT); /* ends within a number */
    assert_int_equal(rle_from_text(10, 10, "T3 ", 3, &rle, &error), SERIN_CORRUPT);
    assert_int_equal(rle_from_text(10, 10, "O", 1, &rle, &error), SERIN_CORRUPT); /* -1 */
    assert_int_equal(rle_from_text(10, 10, "T3", 2, &rle, &error), SERIN_OK);     /* 100 zeros */
    assert_int_equal(rle.counts[0], 100);
    assert_int_equal(rle_from_text(10, 9, "j2", 2, &other, &error), SERIN_OK);
    assert_true(rle_iou(&rle, &other, 0) == -1);
    {
        struct rle both[2] = {rle, other}, sum;

        assert_int_equal(rle_union(both, 2, &sum, &error), SERIN_INVALID);
    }
    rle_done(&other);
    rle_done(&rle);
    rle_done(&rle);
    rle_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polygons_are_pycocotools_bit_for_bit),
        cmocka_unit_test(bitmaps_round_trip_and_compare_as_pycocotools),
        cmocka_unit_test(a_rectangle_lies_where_it_was_put),
        cmocka_unit_test(hostile_masks_are_refused),
    };

    return cmocka_run_group_tests(tests, load_golden, drop_golden);
}
