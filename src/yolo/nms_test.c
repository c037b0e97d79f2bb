/*
 * nms_test.c - suppression against a plain reading of its definition, and the half-precision arithmetic beside it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/nms.c"

#include "base/half.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint32_t seed;

static float uniform(void) /* Numerical Recipes' linear congruential generator: the same on every machine */
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 16777216.0f;
}

static struct candidates random_boxes(size_t count, int classes, bool rotated)
{
    struct candidates list = {.count = count, .capacity = count};
    size_t i;

    list.items = calloc(count, sizeof(*list.items));
    assert_non_null(list.items);
    for (i = 0; i < count; i++) {
        float x = uniform() * 200, y = uniform() * 200, w = 5 + uniform() * 60, h = 5 + uniform() * 60;

        /* Scores in steps, so that there are ties. */
        list.items[i] = (struct candidate){.score = (float)(int)(uniform() * 50) / 50,
                                           .class_id = (int32_t)(uniform() * (float)classes),
                                           .anchor = (int32_t)i};
        list.items[i].x1 = x, list.items[i].y1 = y;
        list.items[i].x2 = rotated ? w : x + w, list.items[i].y2 = rotated ? h : y + h;
        list.items[i].angle = rotated ? uniform() * 3 - 0.7f : 0;
    }
    return list;
}

static float plain_iou(const struct candidate *a, const struct candidate *b, bool agnostic)
{
    float oa = agnostic ? 0 : (float)a->class_id * 7680, ob = agnostic ? 0 : (float)b->class_id * 7680;
    float w = fminf(a->x2 + oa, b->x2 + ob) - fmaxf(a->x1 + oa, b->x1 + ob);
    float h = fminf(a->y2 + oa, b->y2 + ob) - fmaxf(a->y1 + oa, b->y1 + ob);
    float overlap = fmaxf(w, 0) * fmaxf(h, 0);
    float area_a = ((a->x2 + oa) - (a->x1 + oa)) * ((a->y2 + oa) - (a->y1 + oa));
    float area_b = ((b->x2 + ob) - (b->x1 + ob)) * ((b->y2 + ob) - (b->y1 + ob));

    return overlap / (area_a + area_b - overlap);
}

/* Picks the best box that is left again and again (of equal ones the first), which is what greedy suppression means. */
static size_t plain_nms(const struct candidates *list, double iou, bool agnostic, size_t max_det, int32_t *kept)
{
    bool *gone = calloc(list->count, sizeof(*gone));
    size_t count = 0, i;

    assert_non_null(gone);
    while (count < max_det) {
        const struct candidate *best = NULL;

        for (i = 0; i < list->count; i++)
            if (!gone[i] && (!best || list->items[i].score > best->score))
                best = &list->items[i];
        if (!best)
            break;
        kept[count++] = best->anchor;
        for (i = 0; i < list->count; i++)
            if (&list->items[i] == best || (!gone[i] && (double)plain_iou(best, &list->items[i], agnostic) > iou))
                gone[i] = true;
    }
    free(gone);
    return count;
}

static void upright_is_greedy(void **state)
{
    static const double ious[] = {0, .3, .45, .7, .99, 1};
    int round;

    (void)state;
    for (round = 0; round < 60; round++) {
        double iou = ious[round % 6];
        bool agnostic = round % 4 == 3;
        int max_det = round % 5 == 4 ? 7 : 300;
        struct candidates list;
        int32_t kept[300];
        size_t count, i;

        seed = (uint32_t)round;
        list = random_boxes(1 + (size_t)round * 11, round % 3 == 0 ? 1 : 80, false);
        count = plain_nms(&list, iou, agnostic, (size_t)max_det, kept);
        assert_int_equal(nms_upright(&list, iou, agnostic, max_det, NULL), SERIN_OK);
        assert_int_equal(list.count, count);
        for (i = 0; i < count; i++)
            assert_int_equal(list.items[i].anchor, kept[i]);
        candidates_done(&list);
    }
}

static void an_overlap_equal_to_the_limit_stays(void **state)
{
    /* Two boxes of 10 x 10 that share 10 x 5: IoU is 1/3 in float32. */
    struct candidate items[2] = {{.x2 = 10, .y2 = 10, .score = .9f}, {.y1 = 5, .x2 = 10, .y2 = 15, .score = .8f}};
    struct candidates list = {.items = items, .count = 2};

    (void)state;
    assert_int_equal(nms_upright(&list, (double)(50.0f / 150.0f), false, 300, NULL), SERIN_OK);
    assert_int_equal(list.count, 2);
    /* float32(1/3) is above the double 1/3, and the comparison is made in double. */
    assert_int_equal(nms_upright(&list, 1.0 / 3.0, false, 300, NULL), SERIN_OK);
    assert_int_equal(list.count, 1);
}

static void rotated_is_fast_nms(void **state)
{
    int round;

    (void)state;
    for (round = 0; round < 30; round++) {
        double iou = round % 3 == 0 ? .1 : round % 3 == 1 ? .5 : .8;
        struct candidates list, sorted;
        size_t i, j, k = 0;

        seed = 77u + (uint32_t)round;
        list = random_boxes(1 + (size_t)round * 9, round % 2 ? 3 : 1, true);
        sorted = random_boxes(list.count, 1, true);
        memcpy(sorted.items, list.items, list.count * sizeof(*list.items));
        assert_true(sort_by_score(&sorted));
        assert_int_equal(nms_rotated(&list, iou, false, 300, NULL), SERIN_OK);
        for (i = 0; i < sorted.count && k < 300; i++) {
            bool suppressed = false;

            for (j = 0; j < i; j++)
                if (sorted.items[i].class_id == sorted.items[j].class_id) {
                    struct gaussian p = gaussian_of(&sorted.items[j], (float)sorted.items[j].class_id * 7680);
                    struct gaussian q = gaussian_of(&sorted.items[i], (float)sorted.items[i].class_id * 7680);

                    suppressed |= probiou(&p, &q) > (float)iou;
                }
            if (!suppressed) {
                assert_true(k < list.count);
                assert_int_equal(list.items[k++].anchor, sorted.items[i].anchor);
            }
        }
        assert_int_equal(list.count, k);
        candidates_done(&list);
        candidates_done(&sorted);
    }
}

static void probabilistic_iou_has_known_values(void **state)
{
    /* From Ultralytics 8.4.190 batch_probiou. */
    const struct candidate a = {.x1 = 50, .y1 = 50, .x2 = 40, .y2 = 20, .angle = .3f};
    const struct candidate rows[] = {{.x1 = 50, .y1 = 50, .x2 = 40, .y2 = 20, .angle = .3f},
                                     {.x1 = 55, .y1 = 48, .x2 = 40, .y2 = 20, .angle = .3f},
                                     {.x1 = 50, .y1 = 50, .x2 = 40, .y2 = 20, .angle = 1.2f},
                                     {.x1 = 90, .y1 = 90, .x2 = 10, .y2 = 10, .angle = 0}};
    const float expected[] = {0.99953181f, 0.75970399f, 0.62880307f, 0.00005656f};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        struct gaussian p = gaussian_of(&a, 0), q = gaussian_of(&rows[i], 0);

        assert_true(fabsf(probiou(&p, &q) - expected[i]) < 1e-5f);
    }
}

static void halves_round_as_ieee_754_says(void **state)
{
    static const struct {
        float value;
        uint16_t half;
    } rows[] = {{0.0f, 0},
                {-0.0f, 0x8000},
                {1.0f, 0x3c00},
                {65504.0f, 0x7bff},
                {65519.9f, 0x7bff},
                {65520.0f, 0x7c00},
                {0x1p-24f, 1},
                {0x1p-25f, 0},
                {0x1.8p-25f, 1},
                {0x1p-14f, 0x0400},
                {0x1.ff8p-15f, 0x3ff},
                {1.0f + 0x1p-11f, 0x3c00},
                {1.0f + 0x1.8p-10f, 0x3c02},
                {INFINITY, 0x7c00},
                {-INFINITY, 0xfc00}};
    uint32_t bits;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(half_from_float(rows[i].value), rows[i].half);
    assert_true(isnan(half_to_float(half_from_float(NAN))));
    for (bits = 0; bits < 0x10000; bits++) /* every half there is comes back */
        if ((bits & 0x7c00) != 0x7c00 || (bits & 0x3ff) == 0)
            assert_int_equal(half_from_float(half_to_float((uint16_t)bits)), bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upright_is_greedy),
        cmocka_unit_test(an_overlap_equal_to_the_limit_stays),
        cmocka_unit_test(rotated_is_fast_nms),
        cmocka_unit_test(probabilistic_iou_has_known_values),
        cmocka_unit_test(halves_round_as_ieee_754_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
