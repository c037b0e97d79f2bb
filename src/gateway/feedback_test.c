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
                         "220}}, {\"class\": 7, \"box\": {\"x1\": 0, \"y1\": 0, \"x2\": 0, \"y2\": 0}}]}");
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
        {"{\"boxes\": [], \"right\": \"stable\"}", "must be"},
        {"{\"boxes\": [], \"boxes\": []}", "no JSON"},
        {"{\"right\": \"old\"}", "'old'"},
        {"{\"right\": 1}", "must be"},
        {"{\"boxes\": [1]}", "boxes[0]"},
        {"{\"boxes\": [{\"box\": {\"x1\":0,\"y1\":0,\"x2\":1,\"y2\":1}}]}", "no 'name'"},
        {"{\"boxes\": [{\"class\": -1, \"box\": {\"x1\":0,\"y1\":0,\"x2\":1,\"y2\":1}}]}", "class -1"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":2,\"y1\":0,\"x2\":1,\"y2\":1}}]}", "x1 <= x2"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":0,\"y1\":0,\"x2\":1}}]}", "in pixels"},
        {"{\"boxes\": [{\"name\": \"a\", \"box\": {\"x1\":0,\"y1\":0,\"x2\":1e9,\"y2\":1}}]}", "in pixels"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_boxes_and_choices),
        cmocka_unit_test(refuses_the_rest_with_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
