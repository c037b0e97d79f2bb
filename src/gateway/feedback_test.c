/*
 * feedback_test.c - which bodies are feedback, and which sentence the others get.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gateway_feedback *read_good(const char *text)
{
    struct gateway_feedback *feedback = NULL;
    struct serin_error error = {0};

    if (feedback_read((const uint8_t *)text, strlen(text), &feedback, &error) != SERIN_OK)
        fail_msg("%s: %s", text, error.message);
    return feedback;
}

static void reads_boxes_and_choices(void **unused)
{
    static const char *const choices[] = {"neither", "stable", "canary", "both"};
    struct gateway_feedback *feedback;
    char text[64];
    int i;

    (void)unused;
    feedback = read_good("{\"boxes\": [{\"name\": \"person\", \"box\": {\"x1\": 10, \"y1\": 20.5, \"x2\": 110, \"y2\": "
                         "220}}, {\"class\": 7, \"box\": {\"x1\": 0, \"y1\": 0, \"x2\": 2, \"y2\": 1}}]}");
    assert_false(feedback->is_choice);
    assert_int_equal(feedback->box_count, 2);
    assert_string_equal(feedback->boxes[0].name, "person");
    assert_int_equal(feedback->boxes[0].class_id, -1);
    assert_true(feedback->boxes[0].x1 == 10 && feedback->boxes[0].y1 == 20.5f && feedback->boxes[0].x2 == 110 &&
                feedback->boxes[0].y2 == 220);
    assert_string_equal(feedback->boxes[1].name, "");
    assert_int_equal(feedback->boxes[1].class_id, 7);
    free(feedback);
    feedback = read_good("{\"boxes\": []}"); /* nothing is there to see: that is a truth, too */
    assert_int_equal(feedback->box_count, 0);
    assert_false(feedback->is_choice);
    free(feedback);
    for (i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "{\"right\": \"%s\"}", choices[i]);
        feedback = read_good(text);
        assert_true(feedback->is_choice);
        assert_int_equal(feedback->choice, i);
        free(feedback);
    }
}

static void refuses_the_rest_with_a_sentence(void **unused)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "no JSON"},
        {"[]", "must be"},
        {"{}", "must be"},
        {"{\"boxes\": {}}", "must be"},
        {"{\"boxes\": [], \"right\": \"stable\"}", "both 'boxes' and 'right'"},
        {"{\"right\": \"stable\\u0000\"}", "has the character \\u0000, which no name has"},
        {"{\"boxes\": [], \"boxes\": []}", "no JSON"},
        {"{\"right\": \"old\"}", "'old'"},
        {"{\"right\": 1}", "must be"},
        {"{\"boxes\": [1]}", "boxes[0]"},
        {"{\"boxes\": [{\"box\": {\"x1\":0,\"y1\":0,\"x2\":1,\"y2\":1}}]}", "no 'name'"},
        {"{\"boxes\": [{\"class\": -1, \"box\": {\"x1\":0,\"y1\":0,\"x2\":1,\"y2\":1}}]}",
         "'class' is -1; classes have the numbers 0 to 2147483647"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":0,\"y1\":0,\"x2\":1e300,\"y2\":1}}]}",
         "boxes[0]: x2 is 1e+300 px, the limit is 1e+06 either way"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":2,\"y1\":0,\"x2\":1,\"y2\":1}}]}", "x1 < x2"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":2,\"y1\":3,\"x2\":2,\"y2\":9}}]}", "x1 < x2"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":NaN,\"y1\":0,\"x2\":9,\"y2\":9}}]}", "no JSON"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":1e999,\"y1\":0,\"x2\":9,\"y2\":9}}]}", "no JSON"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":5,\"y1\":5,\"x2\":9,\"y2\":9}}, {\"name\": \"a\", "
         "\"box\": {\"x1\":0.41,\"y1\":0.2,\"x2\":0.5,\"y2\":0.9}}]}",
         "boxes[1] from (0.41, 0.2) to (0.5, 0.9) lies within one pixel"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":-20,\"y1\":5,\"x2\":-10,\"y2\":9}}]}", "less than half"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":1,\"y1\":-11,\"x2\":9,\"y2\":9}}]}", "less than half"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":0,\"y1\":0,\"x2\":1}}]}", "in pixels"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": [0, 0, 1, 1]}]}", "in pixels"},
    };
    struct gateway_feedback *feedback = NULL;
    struct serin_error error;
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(feedback_read((const uint8_t *)cases[i].text, strlen(cases[i].text), &feedback, &error),
                         SERIN_INVALID);
        if (!strstr(error.message, cases[i].sentence))
            fail_msg("%s: %s", cases[i].text, error.message);
        assert_null(feedback);
    }
}

static void the_frames_size_says_more(void **unused)
{
    static const struct {
        float x1, y1, x2, y2;
        bool good;
    } cases[] = {
        {0, 0, 640, 480, true},   {600, 10, 680, 60, true},  {601, 10, 681, 60, false}, {700, 10, 760, 60, false},
        {10, 450, 60, 510, true}, {10, 480, 60, 500, false}, {-50, 10, 51, 60, true},   {-50, 10, 49, 60, false},
        {0, 0, 1280, 960, false}, /* half of each side of a picture that was twice as large is a quarter of the area */
    };
    struct gateway_feedback *feedback;
    struct serin_error error;
    char text[160];
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text),
                 "{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":0,\"y1\":0,\"x2\":9,\"y2\":9}}]}");
        feedback = read_good(text);
        feedback->boxes[0].x1 = cases[i].x1;
        feedback->boxes[0].y1 = cases[i].y1;
        feedback->boxes[0].x2 = cases[i].x2;
        feedback->boxes[0].y2 = cases[i].y2;
        if ((gateway_check_places(feedback, 640, 480, &error) == SERIN_OK) != cases[i].good)
            fail_msg("%zu", i);
        if (!cases[i].good && !strstr(error.message, "of 640 x 480 px"))
            fail_msg("%s", error.message);
        free(feedback);
    }
}

static void classes_are_those_of_the_model(void **unused)
{
    static const struct {
        const char *class, *sentence; /* NULL: it is taken; with the list, and without one */
        const char *without;
    } cases[] = {
        {"\"name\": \"person\"", NULL, NULL},
        {"\"class\": 1", NULL, "is not known here: say 'name'"},
        {"\"class\": 1, \"name\": \"car\"", NULL, NULL},
        {"\"name\": \"tram\"", NULL, NULL}, /* the canary's own */
        {"\"name\": \"truck\"", "boxes[0]: street has no class 'truck': it has 0 person, 1 car", NULL},
        {"\"class\": 7", "boxes[0]: street has no class 7: it has 0 person, 1 car", "is not known here: say 'name'"},
        {"\"class\": 7, \"name\": \"car\"", "has no class 7", NULL},
        {"\"class\": 0, \"name\": \"car\"", "class 0 of street is 'person', not 'car'", NULL},
    };
    struct gateway_feedback *feedback;
    struct class_list *list;
    struct serin_error error;
    char text[200];
    size_t i;

    (void)unused;
    assert_int_equal(class_list_new("[\"person\", \"car\"]", "[\"person\", \"car\", \"tram\"]", &list, &error),
                     SERIN_OK);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"boxes\": [{%s, \"box\": {\"x1\": 0, \"y1\": 0, \"x2\": 9, \"y2\": 9}}]}",
                 cases[i].class);
        feedback = read_good(text);
        error.message[0] = '\0';
        if ((gateway_check_classes(feedback, "street", list, &error) == SERIN_OK) != !cases[i].sentence ||
            (cases[i].sentence && !strstr(error.message, cases[i].sentence)))
            fail_msg("%s: %s", text, error.message);
        error.message[0] = '\0';
        if ((gateway_check_classes(feedback, "street", NULL, &error) == SERIN_OK) != !cases[i].without ||
            (cases[i].without && !strstr(error.message, cases[i].without)))
            fail_msg("%s: %s", text, error.message);
        free(feedback);
    }
    class_list_drop(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_boxes_and_choices),
        cmocka_unit_test(refuses_the_rest_with_a_sentence),
        cmocka_unit_test(the_frames_size_says_more),
        cmocka_unit_test(classes_are_those_of_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
