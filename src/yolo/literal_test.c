/*
 * literal_test.c - what repr() and json.dumps() write is read; anything else is an error with its place.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/literal.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct literal parse(const char *text)
{
    struct literal literal = {0};
    struct serin_error error = {0};

    if (literal_parse(text, &literal, &error))
        fail_msg("%s: %s", text, error.message);
    return literal;
}

static void numbers_are_pythons(void **state)
{
    static const struct {
        const char *text;
        int64_t integer;
    } whole[] = {{"0", 0},
                 {"00", 0},
                 {"-7", -7},
                 {"+7", 7},
                 {" 32\n", 32},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"(5)", 5}};
    static const struct {
        const char *text;
        double real;
    } real[] = {{"32.0", 32}, {"1e-05", 1e-5}, {"-.5", -.5}, {"5.", 5}, {"1E+3", 1000}, {"0.1", 0.1}};
    struct literal literal;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        literal = parse(whole[i].text);
        assert_int_equal(literal.kind, LITERAL_INT);
        assert_true(literal.as.integer == whole[i].integer);
    }
    for (i = 0; i < sizeof(real) / sizeof(real[0]); i++) {
        literal = parse(real[i].text);
        assert_int_equal(literal.kind, LITERAL_FLOAT);
        assert_true(literal.as.real == real[i].real);
    }
}

static void numbers_do_not_follow_the_locale(void **state)
{
    struct literal literal;

    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
    literal = parse("[0.5]");
    setlocale(LC_NUMERIC, "C");
    assert_true(literal.as.items[0].as.real == 0.5);
    literal_done(&literal);
}

static void text_has_pythons_and_jsons_escapes(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        {"'a'", "a"},
        {"''", ""},
        {"\"it's\"", "it's"},
        {"'it\\'s \\\"so\\\" \\\\ \\n\\t\\r'", "it's \"so\" \\ \n\t\r"},
        {"'\\x41\\xe9'", "A\xc3\xa9"},
        {"'\\u732b'", "\xe7\x8c\xab"},
        {"'\\U0001F408'", "\xf0\x9f\x90\x88"},
        {"\"\\ud83d\\udc08\"", "\xf0\x9f\x90\x88"},
        {"'\xe7\x8c\xab'", "\xe7\x8c\xab"},
        {"'{0: [1'", "{0: [1"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct literal literal = parse(rows[i].text);

        assert_int_equal(literal.kind, LITERAL_TEXT);
        assert_string_equal(literal.as.text, rows[i].value);
        literal_done(&literal);
    }
}

static void containers_nest(void **state)
{
    struct literal literal = parse("{'a': (1,), \"b\": [True, None, {'c': ()}], 3: false, 'a': [1, 2.5,],}");
    const struct literal *value;

    (void)state;
    assert_int_equal(literal.kind, LITERAL_DICT);
    assert_int_equal(literal.count, 4);
    assert_int_equal(literal.as.items[1].kind, LITERAL_LIST);
    assert_int_equal(literal.as.items[1].count, 1);
    value = literal_find(&literal, "a"); /* the last one, as in Python */
    assert_int_equal(value->count, 2);
    assert_true(value->as.items[1].as.real == 2.5);
    value = literal_find(&literal, "b");
    assert_int_equal(value->count, 3);
    assert_true(value->as.items[0].as.boolean);
    assert_int_equal(value->as.items[1].kind, LITERAL_NONE);
    assert_int_equal(literal_find(&value->as.items[2], "c")->count, 0);
    assert_null(literal_find(&literal, "c"));
    assert_null(literal_find(value, "c"));
    literal_done(&literal);
    assert_int_equal(literal.kind, LITERAL_NONE);
    literal = parse("('x')");
    assert_int_equal(literal.kind, LITERAL_TEXT);
    literal_done(&literal);
}

static void anything_else_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        enum serin_errc code;
        const char *part;
    } rows[] = {
        {"", SERIN_CORRUPT, "ends at byte 0"},
        {"   ", SERIN_CORRUPT, "ends at byte 3"},
        {"__import__(\"os\").system(\"id\")", SERIN_CORRUPT, "'__import__' at byte 0 is not a literal"},
        {"inf", SERIN_CORRUPT, "not a literal"},
        {"-inf", SERIN_CORRUPT, "'-' at byte 0 is not a number"},
        {"nan", SERIN_CORRUPT, "not a literal"},
        {"Truely", SERIN_CORRUPT, "not a literal"},
        {"u'a'", SERIN_CORRUPT, "not a literal"},
        {"b'a'", SERIN_CORRUPT, "not a literal"},
        {"1e999", SERIN_LIMIT, "beyond a double"},
        {"9223372036854775808", SERIN_LIMIT, "beyond 64 bits"},
        {"010", SERIN_CORRUPT, "not a number"},
        {"-01", SERIN_CORRUPT, "not a number"},
        {"1_000", SERIN_CORRUPT, "byte 1 is '_'"},
        {"0x10", SERIN_CORRUPT, "byte 1 is 'x'"},
        {".", SERIN_CORRUPT, "not a number"},
        {"1e", SERIN_CORRUPT, "not a number"},
        {"+", SERIN_CORRUPT, "not a number"},
        {"1 2", SERIN_CORRUPT, "byte 2 is '2' where the end"},
        {"1+2", SERIN_CORRUPT, "the end of the text was expected"},
        {"'abc", SERIN_CORRUPT, "begins at byte 0 has no end"},
        {"'abc\\", SERIN_CORRUPT, "has no end"},
        {"'abc\\'", SERIN_CORRUPT, "has no end"},
        {"'\\0'", SERIN_CORRUPT, "unknown escape"},
        {"'\\x00'", SERIN_CORRUPT, "U+0000"},
        {"'\\x4'", SERIN_CORRUPT, "needs 2 hexadecimal digits"},
        {"'\\uD800'", SERIN_CORRUPT, "U+D800"},
        {"'\\ud83d\\u0041'", SERIN_CORRUPT, "U+D83D"},
        {"'\\U00110000'", SERIN_CORRUPT, "U+110000"},
        {"'\\N{CAT}'", SERIN_CORRUPT, "unknown escape"},
        {"'a\nb'", SERIN_CORRUPT, "byte 2 is 0x0a"},
        {"'\xff'", SERIN_CORRUPT, "byte 1 is 0xff"},
        {"'a' 'b'", SERIN_CORRUPT, "the end of the text"},
        {"[1", SERIN_CORRUPT, "ends at byte 2"},
        {"[1}", SERIN_CORRUPT, "',' or ']'"},
        {"[,]", SERIN_CORRUPT, "byte 1 is ','"},
        {"[1,,2]", SERIN_CORRUPT, "byte 3 is ','"},
        {"(,)", SERIN_CORRUPT, "byte 1 is ','"},
        {"{1}", SERIN_CORRUPT, "':' of a dict"},
        {"{1: }", SERIN_CORRUPT, "a value"},
        {"{1: 2, 3}", SERIN_CORRUPT, "':' of a dict"},
        {"{[1]: 2}", SERIN_CORRUPT, "key at byte 1 is a list"},
        {"{{}: 2}", SERIN_CORRUPT, "key at byte 1 is a list or a dict"},
        {"]", SERIN_CORRUPT, "byte 0 is ']'"},
        {"[[[[[[[[[1]]]]]]]]]", SERIN_LIMIT, "deeper than 8"},
        {"((((((((((1))))))))))", SERIN_LIMIT, "deeper than 8"},
        {"0.1234567890123456789012345678901234567890123456789012345678901234567890", SERIN_LIMIT, "the limit is 64"},
    };
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct literal literal = {.kind = LITERAL_DICT, .count = 99};

        error = (struct serin_error){0};
        if (literal_parse(rows[i].text, &literal, &error) != rows[i].code || !strstr(error.message, rows[i].part))
            fail_msg("%s: %d '%s', expected %d '%s'", rows[i].text, error.code, error.message, rows[i].code,
                     rows[i].part);
        assert_int_equal(literal.count, 99); /* written on success only */
    }
}

static void every_cut_of_a_good_text_is_an_error(void **state)
{
    static const char text[] = "{0: 'a\\u732b', 'k': [1, -2.5e-3, (True,)], \"q\": {'z': None}}";
    char cut[sizeof(text)];
    size_t i;

    (void)state;
    for (i = 0; i + 1 < sizeof(text); i++) {
        struct literal literal;

        memcpy(cut, text, i);
        cut[i] = '\0';
        assert_int_equal(literal_parse(cut, &literal, NULL), SERIN_CORRUPT);
    }
}

static void the_counts_are_limited(void **state)
{
    size_t size = LITERAL_MAX_BYTES + 1, i;
    char *text = malloc(size + 1);
    struct literal literal;
    struct serin_error error;

    (void)state;
    memset(text, ' ', size);
    text[0] = '1';
    text[size] = '\0';
    assert_int_equal(literal_parse(text, &literal, &error), SERIN_LIMIT);
    text[size - 1] = '\0';
    assert_int_equal(literal_parse(text, &literal, &error), SERIN_OK);
    text[0] = '[';
    for (i = 1; i + 1 < size - 1; i += 2) {
        text[i] = '1';
        text[i + 1] = ',';
    }
    assert_int_equal(literal_parse(text, &literal, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "more than 262144 values"));
    text[2 * (LITERAL_MAX_VALUES - 1)] = ']';
    text[2 * (LITERAL_MAX_VALUES - 1) + 1] = '\0';
    assert_int_equal(literal_parse(text, &literal, &error), SERIN_OK);
    assert_int_equal(literal.count, LITERAL_MAX_VALUES - 1);
    literal_done(&literal);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_pythons),
        cmocka_unit_test(numbers_do_not_follow_the_locale),
        cmocka_unit_test(text_has_pythons_and_jsons_escapes),
        cmocka_unit_test(containers_nest),
        cmocka_unit_test(anything_else_is_refused_with_its_place),
        cmocka_unit_test(every_cut_of_a_good_text_is_an_error),
        cmocka_unit_test(the_counts_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
