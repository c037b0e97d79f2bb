/*
 * text_test.c - distances between words, and what is UTF-8.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void distance_counts_four_kinds_of_edit(void **state)
{
    char longest[TEXT_MAX_WORD + 2];

    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("stride", "stride"), 0);
    assert_int_equal(text_distance("stirde", "stride"), 1);
    assert_int_equal(text_distance("strid", "stride"), 1);
    assert_int_equal(text_distance("sstride", "stride"), 1);
    assert_int_equal(text_distance("ca", "abc"), 3); /* 2 if substrings could be edited twice */
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(text_distance(longest, longest), TEXT_MAX_WORD + 1);
    assert_int_equal(text_distance(longest + 1, longest + 1), 0);
}

static void nearest_is_silent_where_nothing_is_near(void **state)
{
    static const char *const keys[] = {"task", "names", "stride", "imgsz", "batch"};
    char longest[1000];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_ptr_equal(text_nearest("imgzs", keys, 5), keys[3]);
    assert_ptr_equal(text_nearest("batchs", keys, 5), keys[4]);
    assert_ptr_equal(text_nearest("name", keys, 5), keys[1]);
    assert_null(text_nearest("colour", keys, 5));
    assert_null(text_nearest("bo", keys, 5));
    assert_null(text_nearest("", keys, 5));
    assert_null(text_nearest(longest, keys, 5));
    assert_null(text_nearest("task", keys, 0));
}

static void numbers_are_decimal(void **state)
{
    static const struct {
        const char *text;
        double value;
        size_t length;
    } good[] = {{"1", 1, 1},   {"-.5", -.5, 3},   {"+2.e1x", 20, 5}, {"1e-3,", 1e-3, 4}, {"0x", 0, 1},
                {"007", 7, 3}, {"1.2.3", 1.2, 3}, {"1-2", 1, 1},     {"3e", 3, 1}};
    static const char *const bad[] = {"",    " 1",   "x",      "0x1",   "0X1p3", "-0x.8", "inf", "INFINITY", "-inf",
                                      "nan", "-nan", "nan(1)", "1e999", ".",     "-",     "e5",  "\t1"};
    const char *end;
    double value;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(text_number(good[i].text, &end, &value));
        assert_true(value == good[i].value); /* NOLINT: exactness is the point */
        assert_ptr_equal(end, good[i].text + good[i].length);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (text_number(bad[i], &end, &value))
            fail_msg("'%s' was taken", bad[i]);
}

static void utf8_is_that_of_rfc_3629(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"", 1},
        {"\xc3\xa9", 2},
        {"\xe7\x8c\xab", 3},
        {"\xf0\x9f\x90\x88", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\x80", 0},
        {"\xe7\x8c", 0},
        {"\xff", 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(text_utf8_length(rows[i].text), rows[i].length);
}

static void hex_is_two_digits_a_byte(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x0f, 0xa0, 0xff, 0x9b};
    char text[12] = "???????????";

    (void)state;
    text_hex(bytes, sizeof(bytes), text);
    assert_string_equal(text, "000fa0ff9b");
    assert_int_equal(text[11], '\0');
    text_hex(bytes, 0, text);
    assert_string_equal(text, "");
}

static void choices_are_whole_words(void **state)
{
    static const char choices[] = "cpu|cuda|onednn|onednn-bf16";
    char text[8];

    (void)state;
    assert_int_equal(text_choice_find(choices, "cpu"), 0);
    assert_int_equal(text_choice_find(choices, "onednn"), 2);
    assert_int_equal(text_choice_find(choices, "onednn-bf16"), 3);
    assert_int_equal(text_choice_find(choices, "cud"), -1);
    assert_int_equal(text_choice_find(choices, "cpu|cuda"), -1);
    assert_int_equal(text_choice_find(choices, ""), -1);
    assert_int_equal(text_choice_find("", "cpu"), -1);
    assert_string_equal(text_choice(choices, 0, text, sizeof(text)), "cpu");
    assert_string_equal(text_choice(choices, 2, text, sizeof(text)), "onednn");
    assert_string_equal(text_choice(choices, 3, text, sizeof(text)), "onednn-"); /* cut */
    assert_string_equal(text_choice(choices, 4, text, sizeof(text)), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_four_kinds_of_edit),
        cmocka_unit_test(nearest_is_silent_where_nothing_is_near),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(utf8_is_that_of_rfc_3629),
        cmocka_unit_test(choices_are_whole_words),
        cmocka_unit_test(hex_is_two_digits_a_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
