/*
 * json_check_test.c - what is JSON and what is not, by hand and beside another reader.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json_check.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* Without a byte behind, so that a sanitizer sees who reads there. */
static bool check(const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    bool found;

    assert_non_null(copy);
    memcpy(copy, text, size);
    found = json_check(copy, size);
    free(copy);
    return found;
}

static void test_good(void **state)
{
    static const char *const texts[] = {
        "{}",
        " [ ] ",
        "\t\r\n{\"a\":1}\n",
        "[0,-0,1.5,-2e3,1E+9,2e-7,10.25]",
        "[true,false,null,\"\",{}]",
        "{\"a\":{\"b\":[{\"c\":[[]]}]},\"a\":2}",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\"]",
        "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa4\"]",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!check(texts[i], strlen(texts[i])))
            fail_msg("refused: %s", texts[i]);
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "1",
        "\"a\"",
        "null",
        "{",
        "[",
        "]",
        "[}",
        "{]",
        "{} {}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{1:2}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[-]",
        "[1e]",
        "[1e+]",
        "[0x1]",
        "[NaN]",
        "[tru]",
        "[nul]",
        "[\"a]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\u12g4\"]",
        "[\"\t\"]",
        "[\"\xff\"]",
        "[\"\xc3\"]",
        "[\"\xc3",
        "[\"\\",
        "[Infinity]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xc0\xaf\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "\xef\xbb\xbf[]",
        "['a']",
        "[1]x",
        "{\"a\" 1}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (check(texts[i], strlen(texts[i])))
            fail_msg("taken: %s", texts[i]);
    assert_false(check("[\"\0\"]", 5));
    assert_false(check("[]\0", 3));
    assert_false(check("[\"\\\0\"]", 6));
}

static void test_depth_is_bounded(void **state)
{
    char text[2 * JSON_CHECK_DEPTH + 2];

    (void)state;
    memset(text, '[', JSON_CHECK_DEPTH + 1);
    memset(text + JSON_CHECK_DEPTH + 1, ']', JSON_CHECK_DEPTH + 1);
    assert_true(check(text + 1, 2 * JSON_CHECK_DEPTH));
    assert_false(check(text, 2 * JSON_CHECK_DEPTH + 2));
}

/* Every text that one byte's change makes of a good one, beside jansson's verdict. */
static void test_agrees_with_another_reader(void **state)
{
    static const char good[] = "{\"a\": [1.5, -2e+3, true, null, \"\\u00e9\\n\xc3\xa9\"], \"\": {\"b\": false}}";
    char text[sizeof(good)];
    size_t i;
    int c, taken = 0;

    (void)state;
    for (i = 0; i + 1 < sizeof(good); i++)
        for (c = 0; c < 256; c++) {
            json_t *root;

            memcpy(text, good, sizeof(good));
            text[i] = (char)c;
            root = json_loadb(text, sizeof(good) - 1, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
            if (check(text, sizeof(good) - 1) != (root != NULL) && !strstr(text, "\\ud"))
                fail_msg("byte %zu as %d: %s", i, c, text);
            taken += root != NULL;
            json_decref(root);
        }
    assert_true(taken > 500);
}

struct heard {
    char text[512];
    const char *unwanted; /* a name at the top; NULL: all is taken */
};

static bool hear(void *user, const struct json_check_value *value)
{
    struct heard *heard = user;
    size_t used = strlen(heard->text);
    int i;

    for (i = 0; i < value->depth; i++)
        used += (size_t)snprintf(heard->text + used, sizeof(heard->text) - used, "%.*s/", (int)value->names[i].size,
                                 value->names[i].bytes ? value->names[i].bytes : "");
    snprintf(heard->text + used, sizeof(heard->text) - used, "%.*s ", (int)value->text.size, value->text.bytes);
    return value->depth != 1 || !heard->unwanted || !json_check_reads(value->names[0], heard->unwanted);
}

static void test_tells_what_lies_above(void **state)
{
    static const char text[] = " {\"a\":[{\"b\":[7,{\"c\":8}]},null],\"d\" : -1} ";
    struct heard heard = {.unwanted = NULL};

    (void)state;
    assert_true(json_check_shape(text, sizeof(text) - 1, hear, &heard));
    assert_string_equal(heard.text, "\"a\"//\"b\"/[7,{\"c\":8}] \"a\"//{\"b\":[7,{\"c\":8}]} \"a\"//null "
                                    "\"a\"/[{\"b\":[7,{\"c\":8}]},null] \"d\"/-1 "
                                    "{\"a\":[{\"b\":[7,{\"c\":8}]},null],\"d\" : -1} ");
    heard = (struct heard){.unwanted = "d"};
    assert_false(json_check_shape(text, sizeof(text) - 1, hear, &heard));
    heard = (struct heard){.unwanted = "b"}; /* not at the top */
    assert_true(json_check_shape(text, sizeof(text) - 1, hear, &heard));
    assert_false(json_check_shape(text, sizeof(text) - 2 - 1, hear, &heard));
}

static bool reads(const char *text, const char *word)
{
    return json_check_reads((struct json_check_span){text, strlen(text)}, word);
}

static void test_reads_escapes(void **state)
{
    (void)state;
    assert_true(reads("\"images\"", "images"));
    assert_true(reads("\"im\\u0061ge\\u0073\"", "images"));
    assert_true(reads("\"a\\/b\\n\\\"\"", "a/b\n\""));
    assert_true(reads("\"\"", ""));
    assert_true(reads("\"\xc3\xa9\"", "\xc3\xa9"));
    assert_false(reads("\"image\"", "images"));
    assert_false(reads("\"imagess\"", "images"));
    assert_false(reads("\"images\\u0000\"", "images"));
    assert_false(reads("\"\\u0169mages\"", "images"));
    assert_false(reads("17", "17"));
    assert_false(json_check_reads((struct json_check_span){NULL, 0}, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_agrees_with_another_reader),
        cmocka_unit_test(test_tells_what_lies_above),
        cmocka_unit_test(test_reads_escapes),
    };

    return cmocka_run_group_tests_name("base/json_check", tests, NULL, NULL);
}
