/*
 * json_answer_test.c - both forms read back as what was printed, with the shortest numbers.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/json_answer.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(const char *json, int form, const char *expected)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL), *again;
    size_t size = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_non_null(value);
    print(out, form, value);
    assert_int_equal(fclose(out), 0);
    if (expected)
        assert_string_equal(text, expected);
    if (form != OUTPUT_YAML) {
        again = json_loads(text, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(value, again));
        json_decref(again);
    }
    free(text);
    json_decref(value);
}

static void json_is_the_same_value(void **state)
{
    static const char *const values[] = {"{}",
                                         "[]",
                                         "[[],{},[[1]],{\"a\":{\"b\":[]}}]",
                                         "\"\"",
                                         "null",
                                         "[true,false,null,-1,9223372036854775807,0.05,1e-7,-2.5e300,5e-324]",
                                         "{\"z\":1,\"a\":\"\\u0001\\u007f\\u0085\\u2028\\ud83d\\ude00 \\\"\\\\\"}"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        check(values[i], OUTPUT_JSON, NULL);
        check(values[i], OUTPUT_JSON_LINE, NULL);
    }
    check("{\"b\": 0.05, \"a\": [1, {}], \"c\": 1.5}", OUTPUT_JSON,
          "{\n  \"b\": 0.05,\n  \"a\": [\n    1,\n    {}\n  ],\n  \"c\": 1.5\n}\n");
    check("{\"b\": 0.05, \"a\": [1, {}]}", OUTPUT_JSON_LINE, "{\"b\":0.05,\"a\":[1,{}]}\n");
}

/* What PyYAML, a reader of 1.1, would take for something else is quoted, or has its point. */
static void yaml_is_not_read_as_something_else(void **state)
{
    (void)state;
    check("{\"alpha\": 0.05, \"list\": [{\"a\": 1}, \"b\"], \"none\": [], \"empty\": {}}", OUTPUT_YAML,
          "alpha: 0.05\nlist:\n  -\n    a: 1\n  - b\nnone: []\nempty: {}\n");
    check("[1e-07, 2e+300, 1.5e-07, 12, null, true]", OUTPUT_YAML,
          "- 1.0e-07\n- 2.0e+300\n- 1.5e-07\n- 12\n- null\n- true\n");
    check("[\"yes\", \"No\", \"NULL\", \"0x10\", \"1e5\", \"2026-11-23\", \"-\", \"\", \"a b\", \"a: b\", \"v1.0\", "
          "\"y\", \"cam-7\"]",
          OUTPUT_YAML,
          "- \"yes\"\n- \"No\"\n- \"NULL\"\n- \"0x10\"\n- \"1e5\"\n- \"2026-11-23\"\n- \"-\"\n- \"\"\n- \"a b\"\n"
          "- \"a: b\"\n- \"v1.0\"\n- \"y\"\n- cam-7\n");
    check("\"\\u007f\\u0085\\u2029\\u00e9\"", OUTPUT_YAML, "\"\\u007f\\u0085\\u2029\xc3\xa9\"\n");
    check("[]", OUTPUT_YAML, "[]\n");
    check("\"a\\n\\t\\\\u000a\\u0001\\\"\"", OUTPUT_JSON, "\"a\\n\\t\\\\u000a\\u0001\\\"\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_the_same_value),
        cmocka_unit_test(yaml_is_not_read_as_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
