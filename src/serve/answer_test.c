/*
 * answer_test.c - which answers tell of pictures, which hold tensors, and which tell nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/answer.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_what_an_answer_tells(void **state)
{
    static const struct {
        const char *text;
        bool has_boxes, is_tensors;
    } rows[] = {
        {"{\"images\":[{\"results\":[]}]}", true, false},
        {"{\"images\":[{\"error\":{}},{\"results\":[]}]}", true, false},
        {"{\"images\":[{\"error\":{}}]}", false, false},
        {"{\"images\":[{\"results\":\"none\"}]}", false, false},
        {"{\"images\":[]}", false, false},
        {"{\"error\":\"sick\"}", false, false},
        {"[]", false, false},
        {"no JSON", false, false},
        {"{\"outputs\":[{\"name\":\"output0\",\"data\":[1]}]}", false, true},
        {"{\"outputs\":[{\"name\":\"a\"},{\"name\":\"b\"}]}", false, true},
        {"{\"outputs\":[]}", false, false},
        {"{\"outputs\":[{\"name\":\"detections\",\"data\":[\"{\\\"results\\\":[]}\"]}]}", true, false},
        {"{\"outputs\":[{\"name\":\"detections\",\"data\":[\"sick\"]}]}", false, false},
        {"{\"outputs\":[{\"name\":\"detections\",\"parameters\":{\"binary_data_size\":3}}]}abc", false, true},
    };
    static struct answer answer;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        answer_read((const uint8_t *)rows[i].text, strlen(rows[i].text), &answer);
        if (answer.has_boxes != rows[i].has_boxes || answer.is_tensors != rows[i].is_tensors)
            fail_msg("%s: %d %d", rows[i].text, answer.has_boxes, answer.is_tensors);
    }
    answer_read(NULL, 0, &answer);
    assert_false(answer.has_boxes || answer.is_tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_answer_tells),
    };

    return cmocka_run_group_tests_name("serve/answer", tests, NULL, NULL);
}
