/*
 * classes_test.c - class lists and the words for what was found.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/classes.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const names[] = {"person", "bus", "wine glass", "skis", "puppy", "toy", "\xe7\x8c\xab", "mouse"};
static const struct serin_yolo_info info = {.class_count = 8, .class_names = names};

static void lists_hold_numbers_and_names(void **state)
{
    static const int32_t expected[] = {7, 0, 2, 6};
    struct serin_error error;
    int32_t *classes = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(classes_parse("7, Person,wine glass ,\xe7\x8c\xab", &info, &classes, &count, &error), SERIN_OK);
    assert_int_equal(count, 4);
    assert_memory_equal(classes, expected, sizeof(expected));
    free(classes);
    assert_int_equal(classes_parse("8", &info, &classes, &count, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "0 to 7"));
    assert_int_equal(classes_parse("-1", &info, &classes, &count, &error), SERIN_INVALID);
    assert_int_equal(classes_parse("1,persn", &info, &classes, &count, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "'person'"));
    assert_int_equal(classes_parse("person,", &info, &classes, &count, &error), SERIN_INVALID);
    assert_string_equal(error.message, "--classes 'person,': place 2 of 2 is empty");
    assert_int_equal(classes_parse(",person", &info, &classes, &count, &error), SERIN_INVALID);
    assert_string_equal(error.message, "--classes ',person': place 1 of 2 is empty");
    assert_int_equal(classes_parse("0,,1", &info, &classes, &count, &error), SERIN_INVALID);
    assert_int_equal(classes_parse(" , ", &info, &classes, &count, &error), SERIN_INVALID);
    assert_int_equal(classes_parse("", &info, &classes, &count, &error), SERIN_INVALID);
}

static void a_model_of_one_class_is_called_so(void **state) /* "the model has 0 to 0" */
{
    static const struct serin_yolo_info one = {.class_count = 1, .class_names = names};
    struct serin_error error;
    int32_t *classes = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(classes_parse("99", &one, &classes, &count, &error), SERIN_INVALID);
    assert_string_equal(error.message, "--classes: there is no class 99: the model has one class, 0 (person)");
    assert_int_equal(classes_parse("0", &one, &classes, &count, &error), SERIN_OK);
    free(classes);
}

static void describe(const int32_t *ids, size_t count, enum serin_task task, const char *expected)
{
    struct serin_detection detections[32] = {0};
    struct serin_result result = {.task = task, .count = count, .detections = detections, .info = &info};
    struct buffer out;
    size_t i;

    for (i = 0; i < count; i++) {
        detections[i].class_id = ids[i];
        detections[i].confidence = 0.5f;
    }
    buffer_init(&out, 1000);
    classes_describe(&out, &result);
    assert_string_equal(out.bytes, expected);
    buffer_done(&out);
}

static void counts_are_said_in_words(void **state)
{
    static const int32_t ids[] = {7, 0, 2, 1, 0, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 1, 0};

    (void)state;
    describe(ids, 17, SERIN_DETECT,
             "3 persons, 2 buses, 2 wine glasses, 2 skis, 2 puppies, 2 toys, 2 \xe7\x8c\xab, 2 mice");
    describe(ids, 1, SERIN_OBB, "1 mouse");
    describe(ids, 0, SERIN_POSE, "nothing");
    describe(ids, 2, SERIN_CLASSIFY, "mouse 0.50, person 0.50");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_hold_numbers_and_names),
        cmocka_unit_test(a_model_of_one_class_is_called_so),
        cmocka_unit_test(counts_are_said_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
