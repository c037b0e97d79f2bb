/*
 * coco_eval_test.c - both metrics against pycocotools and Ultralytics on the same detections.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/coco_eval.c"

#include "base/test_paths.h"
#include "yolo/ultralytics_ap.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SIZE_PX     200
#define MAX_OBJECTS 600
#define MAX_POINTS  17

static json_t *golden;

/* One picture of the golden file. */
struct picture {
    struct coco_truth truths[MAX_OBJECTS];
    struct coco_detection detections[MAX_OBJECTS];
    size_t truth_count, detection_count;
    struct rle masks[2 * MAX_OBJECTS];
    double keypoints[2 * MAX_OBJECTS][3 * MAX_POINTS];
};

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

static double number(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

static void read_numbers(const json_t *row, const char *name, double *to, size_t max)
{
    const json_t *array = json_object_get(row, name);
    size_t i;

    assert_true(json_array_size(array) <= max);
    for (i = 0; i < json_array_size(array); i++)
        to[i] = json_number_value(json_array_get(array, i));
}

static void read_shape(const json_t *row, struct rle *mask, double *keypoints)
{
    const char *text = json_string_value(json_object_get(row, "mask"));

    *mask = (struct rle){0};
    if (text)
        assert_int_equal(rle_from_text(SIZE_PX, SIZE_PX, text, strlen(text), mask, NULL), SERIN_OK);
    read_numbers(row, "points", keypoints, 3 * MAX_POINTS);
}

static void read_picture(const json_t *from, struct picture *to)
{
    const json_t *row;
    size_t i, k = 0;

    *to = (struct picture){0};
    json_array_foreach(json_object_get(from, "truths"), i, row)
    {
        struct coco_truth *truth = &to->truths[to->truth_count++];

        assert_true(i < MAX_OBJECTS);
        truth->class_id = (int32_t)number(row, "class");
        truth->area = number(row, "area");
        truth->crowd = number(row, "crowd") > 0;
        read_numbers(row, "box", truth->box, 4);
        read_shape(row, &to->masks[k], to->keypoints[k]);
        truth->mask = &to->masks[k];
        truth->keypoints = to->keypoints[k++];
    }
    json_array_foreach(json_object_get(from, "detections"), i, row)
    {
        struct coco_detection *detection = &to->detections[to->detection_count++];

        assert_true(i < MAX_OBJECTS);
        detection->class_id = (int32_t)number(row, "class");
        detection->score = number(row, "score");
        read_numbers(row, "box", detection->box, 4);
        read_shape(row, &to->masks[k], to->keypoints[k]);
        detection->mask = &to->masks[k];
        detection->keypoints = to->keypoints[k++];
    }
}

static void drop_picture(struct picture *picture)
{
    size_t i;

    for (i = 0; i < picture->truth_count + picture->detection_count; i++)
        rle_done(&picture->masks[i]);
}

static void assert_result(const struct coco_result *result, const json_t *expected)
{
    const double got[] = {result->ap.map50_95, result->ap.map50,  result->ap.map75, result->ap.small, result->ap.medium,
                          result->ap.large,    result->ap.recall, result->recall_1, result->recall_10};
    size_t i;

    assert_int_equal(json_array_size(expected), 9);
    for (i = 0; i < 9; i++)
        if (!(fabs(got[i] - json_number_value(json_array_get(expected, i))) < 1e-12))
            fail_msg("value %zu is %.17g, pycocotools says %.17g", i, got[i],
                     json_number_value(json_array_get(expected, i)));
}

static void every_case_is_pycocotools(void **state)
{
    const json_t *cases = json_object_get(golden, "cases"), *row, *image;
    struct picture *picture = malloc(sizeof(*picture));
    size_t i, k;

    (void)state;
    assert_int_equal(json_array_size(cases), 8);
    json_array_foreach(cases, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "kind"));
        enum coco_kind kind = *name == 'b' ? COCO_BOX : *name == 's' ? COCO_MASK : COCO_KEYPOINTS;
        size_t classes = (size_t)number(row, "classes");
        struct coco_result total, per_class[8];
        struct coco_eval *eval;

        assert_int_equal(coco_eval_new(kind, classes, (size_t)number(row, "keypoints"), .25, &eval, NULL), SERIN_OK);
        json_array_foreach(json_object_get(row, "images"), k, image)
        {
            read_picture(image, picture);
            assert_int_equal(coco_eval_add(eval, picture->truths, picture->truth_count, picture->detections,
                                           picture->detection_count, NULL),
                             SERIN_OK);
            drop_picture(picture);
        }
        assert_int_equal(coco_eval_finish(eval, &total, per_class, NULL), SERIN_OK);
        assert_result(&total, json_object_get(row, "total"));
        for (k = 0; k < classes; k++)
            assert_result(&per_class[k], json_array_get(json_object_get(row, "per_class"), k));
        coco_eval_free(eval);
    }
    free(picture);
}

static void corners(const json_t *row, bool turned, float to[5])
{
    double from[5] = {0};
    int i;

    read_numbers(row, turned ? "turned" : "box", from, 5);
    for (i = 0; i < 5; i++)
        to[i] = (float)from[i];
    if (!turned) {
        to[2] += to[0];
        to[3] += to[1];
    }
}

static void assert_ultralytics(const json_t *row, bool turned)
{
    struct picture *picture = malloc(sizeof(*picture));
    struct ultralytics_result total;
    struct ultralytics_ap *ap;
    const json_t *image;
    size_t i, k, d, t;

    assert_int_equal(ultralytics_ap_new((size_t)number(row, "classes"), .25, &ap, NULL), SERIN_OK);
    json_array_foreach(json_object_get(row, "images"), i, image)
    {
        const json_t *truths = json_object_get(image, "truths"), *detections = json_object_get(image, "detections");
        size_t truth_count = json_array_size(truths), count = json_array_size(detections);
        int32_t truth_classes[MAX_OBJECTS], classes[MAX_OBJECTS];
        float *overlap = malloc((truth_count * count + 1) * sizeof(*overlap)), scores[MAX_OBJECTS], a[5], b[5];
        uint32_t order[MAX_OBJECTS];

        for (k = 0; k < count; k++) {
            picture->detections[k].score = number(json_array_get(detections, k), "score");
            picture->detections[k].class_id = 0;
            order[k] = (uint32_t)k;
        }
        qsort_r(order, count, sizeof(*order), detection_order, picture->detections);
        for (t = 0; t < truth_count; t++)
            truth_classes[t] = (int32_t)number(json_array_get(truths, t), "class");
        for (d = 0; d < count; d++) {
            const json_t *detection = json_array_get(detections, order[d]);

            classes[d] = (int32_t)number(detection, "class");
            scores[d] = (float)number(detection, "score");
            corners(detection, turned, a);
            for (t = 0; t < truth_count; t++) {
                corners(json_array_get(truths, t), turned, b);
                overlap[d * truth_count + t] = turned ? ultralytics_turned_iou(b, a) : ultralytics_box_iou(b, a);
            }
        }
        assert_int_equal(ultralytics_ap_add(ap, truth_classes, truth_count, classes, scores, count, overlap, NULL),
                         SERIN_OK);
        free(overlap);
    }
    assert_int_equal(ultralytics_ap_finish(ap, &total, NULL, NULL), SERIN_OK);
    {
        const json_t *expected = json_object_get(row, "ultralytics");

        assert_true(fabs(total.ap.map50_95 - json_number_value(json_array_get(expected, 0))) < 1e-12);
        assert_true(fabs(total.ap.map50 - json_number_value(json_array_get(expected, 1))) < 1e-12);
        assert_true(fabs(total.ap.map75 - json_number_value(json_array_get(expected, 2))) < 1e-12);
    }
    ultralytics_ap_free(ap);
    free(picture);
}

static void the_other_metric_is_ultralytics(void **state)
{
    (void)state;
    assert_ultralytics(json_array_get(json_object_get(golden, "cases"), 1), false);
    assert_ultralytics(json_object_get(golden, "turned"), true);
}

static void labels_become_turned_boxes(void **state)
{
    static const double corners[8] = {10, 0, 13, 4, 5, 10, 2, 6}, flat[8] = {1, 2, 1, 2, 1, 2, 1, 2};
    float box[5];

    (void)state;
    ultralytics_turned_box(corners, box);
    assert_true(fabsf(box[0] - 7.5f) < 1e-5f && fabsf(box[1] - 5) < 1e-5f);
    assert_true(fabsf(box[2] * box[3] - 50) < 1e-4f);
    /* 10 px along the direction (-.8, .6), 5 px across, whichever of the two is called the width */
    assert_true(fabsf(fabsf((box[2] > box[3] ? cosf(box[4]) : sinf(box[4]))) - .8f) < 1e-5f);
    ultralytics_turned_box(flat, box);
    assert_true(box[0] == 1 && box[1] == 2 && box[2] == 0 && box[3] == 0);
}

static void the_working_point_counts_right_wrong_and_missed(void **state)
{
    static const struct coco_truth truths[] = {
        {.class_id = 0, .box = {0, 0, 10, 10}, .area = 100},
        {.class_id = 0, .box = {50, 0, 10, 10}, .area = 100},
        {.class_id = 1, .box = {0, 50, 40, 40}, .area = 1600, .crowd = true},
    };
    static const struct coco_detection detections[] = {
        {.class_id = 0, .score = .9, .box = {0, 0, 10, 10}},   {.class_id = 0, .score = .8, .box = {0, 0, 10, 10}},
        {.class_id = 0, .score = .25, .box = {50, 0, 10, 10}}, {.class_id = 1, .score = .9, .box = {5, 55, 10, 10}},
        {.class_id = 1, .score = .9, .box = {20, 60, 10, 10}},
    };
    struct coco_result total;
    struct coco_eval *eval;

    (void)state;
    assert_int_equal(coco_eval_new(COCO_BOX, 2, 0, .25, &eval, NULL), SERIN_OK);
    assert_int_equal(coco_eval_add(eval, truths, 3, detections, 5, NULL), SERIN_OK);
    assert_int_equal(coco_eval_finish(eval, &total, NULL, NULL), SERIN_OK);
    assert_int_equal(total.truths, 2);
    assert_int_equal(total.right, 1);
    assert_int_equal(total.wrong, 1);
    assert_int_equal(total.images, 1);
    coco_eval_free(eval);
}

static void bad_numbers_are_refused(void **state)
{
    struct coco_truth truth = {.class_id = 2, .box = {0, 0, 10, 10}, .area = 100};
    struct coco_detection detection = {.class_id = 0, .score = (double)NAN, .box = {0, 0, 10, 10}};
    struct serin_error error;
    struct coco_eval *eval;

    (void)state;
    assert_int_equal(coco_eval_new(COCO_BOX, 0, 0, .25, &eval, &error), SERIN_LIMIT);
    assert_int_equal(coco_eval_new(COCO_KEYPOINTS, 1, 0, .25, &eval, &error), SERIN_LIMIT);
    assert_int_equal(coco_eval_new(COCO_BOX, 2, 0, .25, &eval, &error), SERIN_OK);
    assert_int_equal(coco_eval_add(eval, &truth, 1, NULL, 0, &error), SERIN_INVALID);
    assert_string_equal(error.message, "class 2 of an object, there are 2");
    assert_int_equal(coco_eval_add(eval, NULL, 0, &detection, 1, &error), SERIN_INVALID);
    detection.score = .5;
    detection.box[2] = (double)INFINITY;
    assert_int_equal(coco_eval_add(eval, NULL, 0, &detection, 1, &error), SERIN_INVALID);
    assert_int_equal(coco_eval_add(eval, &truth, COCO_MAX_PER_IMAGE + 1, NULL, 0, &error), SERIN_LIMIT);
    coco_eval_free(eval);
    coco_eval_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_pycocotools),  cmocka_unit_test(the_other_metric_is_ultralytics),
        cmocka_unit_test(labels_become_turned_boxes), cmocka_unit_test(the_working_point_counts_right_wrong_and_missed),
        cmocka_unit_test(bad_numbers_are_refused),
    };

    return cmocka_run_group_tests(tests, load_golden, drop_golden);
}
