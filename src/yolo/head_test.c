/*
 * head_test.c - telling heads apart by their shapes, and what comes out of each layout.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/head.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct engine_interface interface_of(int count, const struct tensor_spec *outputs)
{
    struct engine_interface interface = {.input_count = 1, .output_count = count};

    memcpy(interface.outputs, outputs, (size_t)count * sizeof(*outputs));
    return interface;
}

#define F32_3(a, b, c)                                                                                                 \
    (struct tensor_spec)                                                                                               \
    {                                                                                                                  \
        .name = "output0", .type = TENSOR_F32, .rank = 3, .shape = { a, b, c }                                         \
    }

static void shapes_tell_the_head(void **state)
{
    static char *names[2] = {"a", "b"};
    const struct yolo_metadata none = {0}, two = {.class_names = names, .class_count = 2},
                               end = {.class_names = names, .class_count = 2, .end_to_end = true},
                               pose = {.has_task = true,
                                       .task = SERIN_POSE,
                                       .class_names = names,
                                       .class_count = 2,
                                       .keypoint_count = 5,
                                       .keypoint_dims = 3},
                               obb = {.has_task = true, .task = SERIN_OBB, .class_names = names, .class_count = 2};
    const struct {
        struct tensor_spec output;
        const struct yolo_metadata *metadata;
        enum serin_errc rc;
        enum head_kind kind;
        int class_count, extra_count;
    } rows[] = {
        {F32_3(1, 84, 8400), &none, SERIN_OK, HEAD_YOLOV8, 80, 0},
        {F32_3(-1, 84, -1), &none, SERIN_OK, HEAD_YOLOV8, 80, 0},
        {F32_3(1, 25200, 85), &none, SERIN_OK, HEAD_YOLOV5, 80, 0},
        {F32_3(1, 6, 8400), &two, SERIN_OK, HEAD_YOLOV8, 2, 0},
        {F32_3(1, 25200, 7), &two, SERIN_OK, HEAD_YOLOV5, 2, 0},
        {F32_3(1, 300, 6), &two, SERIN_OK, HEAD_END2END, 2, 0},
        {F32_3(1, 300, 6), &end, SERIN_OK, HEAD_END2END, 2, 0},
        {F32_3(1, 6, 8400), &end, SERIN_UNSUPPORTED, 0, 0, 0},
        {F32_3(1, 21, 8400), &pose, SERIN_OK, HEAD_YOLOV8, 2, 15},
        {F32_3(1, 300, 21), &pose, SERIN_OK, HEAD_END2END, 2, 15},
        {F32_3(1, 7, 21504), &obb, SERIN_OK, HEAD_YOLOV8, 2, 1},
        {F32_3(1, 84, 8400), &two, SERIN_UNSUPPORTED, 0, 0, 0},
        {F32_3(1, 3, 8400), &none, SERIN_UNSUPPORTED, 0, 0, 0},
        {{.type = TENSOR_I64, .rank = 3, .shape = {1, 84, 8400}}, &none, SERIN_UNSUPPORTED, 0, 0, 0},
        {{.type = TENSOR_F32, .rank = 1, .shape = {84}}, &none, SERIN_UNSUPPORTED, 0, 0, 0},
        {{.type = TENSOR_F32, .rank = 2, .shape = {1, 1000}}, &none, SERIN_OK, HEAD_CLASSIFY, 1000, 0},
        {{.type = TENSOR_F32, .rank = 2, .shape = {1, 0}}, &none, SERIN_UNSUPPORTED, 0, 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct engine_interface interface = interface_of(1, &rows[i].output);
        struct serin_error error = {0};
        struct head head = {0};

        assert_int_equal(head_recognise(&interface, rows[i].metadata, &head, &error), rows[i].rc);
        if (rows[i].rc != SERIN_OK) {
            assert_non_null(strstr(error.message, "known are [B,4+nc+extra,A]"));
            continue;
        }
        assert_int_equal(head.kind, rows[i].kind);
        assert_int_equal(head.class_count, rows[i].class_count);
        assert_int_equal(head.extra_count, rows[i].extra_count);
    }
}

static const struct head two_classes = {.kind = HEAD_YOLOV8, .task = SERIN_DETECT, .class_count = 2};

static void the_first_of_equal_classes_wins(void **state)
{
    /* three anchors as columns: cx, cy, w, h, two classes */
    float values[] = {10, 20, 30, 10, 20, 30, 4, 4, 4, 2, 2, 2, .9f, .25f, .3f, .9f, .1f, .6f};
    const struct head_output output = {values, 6, 3};
    struct head_filter filter = {.conf = .25f};
    struct candidates list = {0};
    const int32_t only_zero = 0;

    (void)state;
    assert_int_equal(head_decode(&two_classes, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 2); /* .25 is not above .25 */
    assert_int_equal(list.items[0].class_id, 0);
    assert_true(list.items[0].x1 == 8 && list.items[0].y1 == 9 && list.items[0].x2 == 12 && list.items[0].y2 == 11);
    assert_int_equal(list.items[1].class_id, 1);
    assert_int_equal(list.items[1].anchor, 2);
    filter.multi_label = true;
    assert_int_equal(head_decode(&two_classes, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 4);
    filter.classes = &only_zero;
    filter.class_count = 1;
    assert_int_equal(head_decode(&two_classes, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 2);
    filter.multi_label = false; /* the best class is chosen before the filter looks */
    assert_int_equal(head_decode(&two_classes, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 1);
    candidates_done(&list);
}

static void not_a_number_is_an_error_wherever_it_is(void **state)
{
    const struct head_filter filter = {.conf = .25f};
    struct candidates list = {0};
    int place;

    (void)state;
    for (place = 0; place < 12; place++) {
        float values[] = {10, 20, 10, 20, 4, 4, 2, 2, .9f, .8f, .1f, .1f};
        const struct head_output output = {values, 6, 2};
        struct serin_error error = {0};

        values[place] = NAN;
        assert_int_equal(head_decode(&two_classes, &output, &filter, &list, &error), SERIN_MODEL);
        assert_non_null(strstr(error.message, "NaN"));
    }
    candidates_done(&list);
}

static void only_the_best_candidates_go_on(void **state)
{
    enum { ANCHORS = 40000 };
    const struct head one_class = {.kind = HEAD_YOLOV8, .task = SERIN_DETECT, .class_count = 1};
    const struct head_filter filter = {.conf = 0};
    float *values = calloc(5 * ANCHORS, sizeof(*values));
    const struct head_output output = {values, 5, ANCHORS};
    struct candidates list = {0};
    size_t i;

    (void)state;
    assert_non_null(values);
    for (i = 0; i < ANCHORS; i++)
        values[4 * ANCHORS + i] = (float)(i + 1) / ANCHORS;
    assert_int_equal(head_decode(&one_class, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, HEAD_MAX_CANDIDATES);
    for (i = 0; i < list.count; i++)
        assert_true(list.items[i].anchor >= ANCHORS - HEAD_MAX_CANDIDATES);
    candidates_done(&list);
    free(values);
}

static void yolov5_multiplies_objectness(void **state)
{
    const struct head head = {.kind = HEAD_YOLOV5, .task = SERIN_DETECT, .class_count = 2};
    const struct head_filter filter = {.conf = .25f};
    float values[] = {10, 10, 4, 4, .5f, .4f, .8f,  /* .4 of class 1 */
                      10, 10, 4, 4, .2f, 1,   1,    /* objectness too low */
                      10, 10, 4, 4, .4f, .5f, .5f}; /* .2 */
    const struct head_output output = {values, 3, 7};
    struct candidates list = {0};

    (void)state;
    assert_int_equal(head_decode(&head, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].class_id, 1);
    assert_true(list.items[0].score == .5f * .8f);
    candidates_done(&list);
}

static void end_to_end_rows_keep_their_order(void **state)
{
    const struct head head = {.kind = HEAD_END2END, .task = SERIN_DETECT, .class_count = 2};
    const struct head_filter filter = {.conf = .25f};
    float values[] = {1, 2, 3, 4, .3f, 1, 5, 6, 7, 8, .9f, 0, 0, 0, 0, 0, 0, 0};
    const struct head_output output = {values, 3, 6};
    struct serin_error error = {0};
    struct candidates list = {0};

    (void)state;
    assert_int_equal(head_decode(&head, &output, &filter, &list, NULL), SERIN_OK);
    assert_int_equal(list.count, 2);
    assert_true(list.items[0].score == .3f && list.items[1].x1 == 5);
    values[5] = 7;
    assert_int_equal(head_decode(&head, &output, &filter, &list, &error), SERIN_MODEL);
    assert_non_null(strstr(error.message, "class 7"));
    candidates_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_tell_the_head),
        cmocka_unit_test(the_first_of_equal_classes_wins),
        cmocka_unit_test(not_a_number_is_an_error_wherever_it_is),
        cmocka_unit_test(only_the_best_candidates_go_on),
        cmocka_unit_test(yolov5_multiplies_objectness),
        cmocka_unit_test(end_to_end_rows_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
