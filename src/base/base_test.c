/*
 * base_test.c - errors, buffers, files and JSON text.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.c"
#include "base/error.c"
#include "base/file.c"
#include "base/json.c"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void error_keeps_one_bounded_line(void **state)
{
    struct serin_error error;
    char name[1000], code[16];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(error_set(&error, SERIN_LIMIT, "line\nbreak \033[2J %s", name), SERIN_LIMIT);
    assert_int_equal(error.code, SERIN_LIMIT);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_null(strchr(error.message, '\n'));
    assert_null(strchr(error.message, '\033'));
    error_set(&error, SERIN_IO, "%s: Permission denied", name); /* once a long path hid what was wrong */
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_string_equal(error.message + strlen(error.message) - 22, "xxx: Permission denied");
    error_set(&error, SERIN_CORRUPT, "bad byte 7");
    error_prefix(&error, SERIN_CORRUPT, "%s", name);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_string_equal(error.message + strlen(error.message) - 15, "xxx: bad byte 7");
    error_set(&error, SERIN_CORRUPT, "'%s'", "\xe7\x8c\xab \xe7\x8c \xff");
    assert_string_equal(error.message, "'\xe7\x8c\xab ?? ?'");
    assert_int_equal(error_set(NULL, SERIN_IO, "nobody asks"), SERIN_IO);
    error_set(&error, SERIN_CORRUPT, "bad byte %d", 7);
    error_prefix(&error, SERIN_CORRUPT, "%s", "a.png");
    assert_string_equal(error.message, "a.png: bad byte 7");
    assert_string_equal(serin_errc_text(SERIN_NOMEM), "out of memory");
    error_code_name(SERIN_NOT_FOUND, code, sizeof(code));
    assert_string_equal(code, "not_found");
    error_code_name((enum serin_errc)99, code, sizeof(code));
    assert_string_equal(code, "unknown");
}

static void buffer_never_passes_its_maximum(void **state)
{
    struct serin_error error;
    struct buffer buffer;
    int i;

    (void)state;
    buffer_init(&buffer, 1000);
    for (i = 0; i < 100; i++)
        buffer_printf(&buffer, "%09d,", i);
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(buffer_check(&buffer, "the list", &error), SERIN_OK);
    buffer_append(&buffer, "x", 1);
    buffer_append(&buffer, "", 0);
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(buffer_check(&buffer, "the list", &error), SERIN_LIMIT);
    assert_string_equal(error.message, "the list would be larger than its limit of 1000 bytes");
    assert_null(buffer_steal(&buffer));
    buffer_init(&buffer, 10);
    buffer_printf(&buffer, "%s", "longer than ten bytes and longer than nothing");
    assert_int_equal(buffer.failed, SERIN_LIMIT);
    buffer_clear(&buffer);
    buffer_append_text(&buffer, "ten bytes!");
    assert_string_equal(buffer.bytes, "ten bytes!");
    buffer_done(&buffer);
}

static void json_numbers_are_pythons(void **state)
{
    /* round(value, 5) and its repr, from CPython 3.11 */
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {1.0, "1.0"},
        {0.873449981212616, "0.87345"},
        {805.0, "805.0"},
        {0.123455, "0.12345"},
        {2.675, "2.675"},
        {-0.5, "-0.5"},
        {0.000014999, "0.00001"},
        {1234567.1234567, "1234567.12346"},
        {0.5 + 1.0 / 64, "0.51562"},
        {16777216.0, "16777216.0"},
    };
    struct json_writer writer;
    struct buffer out;
    size_t i;

    (void)state;
    buffer_init(&out, 4096);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&out);
        json_init(&writer, &out);
        json_write_rounded(&writer, rows[i].value, 5);
        assert_string_equal(out.bytes, rows[i].text);
    }
    buffer_clear(&out);
    json_init(&writer, &out);
    json_begin_array(&writer);
    json_write_rounded(&writer, (double)NAN, 5);
    json_write_number(&writer, 0.1);
    json_write_number(&writer, 1.0 / 3.0);
    json_write_number(&writer, 1e300);
    json_end_array(&writer);
    assert_string_equal(out.bytes, "[null,0.1,0.3333333333333333,1e+300]");
    buffer_done(&out);
}

static void json_text_is_always_valid(void **state)
{
    struct json_writer writer;
    struct buffer out;

    (void)state;
    buffer_init(&out, 4096);
    json_init(&writer, &out);
    json_begin_object(&writer);
    json_key(&writer, "na\"me");
    json_write_string(&writer, "\xe7\x8c\xab \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe7\x8c\n\\");
    json_key(&writer, "list");
    json_begin_array(&writer);
    json_write_integer(&writer, INT64_MIN);
    json_write_integer(&writer, INT64_MAX);
    json_write_integer(&writer, 0);
    json_write_boolean(&writer, true);
    json_write_string(&writer, NULL);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_end_array(&writer);
    json_end_object(&writer);
    assert_string_equal(out.bytes, "{\"na\\\"me\":\"\xe7\x8c\xab \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
                                   "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\u000a\\\\\","
                                   "\"list\":[-9223372036854775808,9223372036854775807,0,true,null,{}]}");
    buffer_done(&out);
}

/* Every byte at every place of a word, among the words that are skipped eight bytes at a time. */
static void json_escapes_wherever_the_character_stands(void **state)
{
    int c, at;

    (void)state;
    for (c = 1; c < 256; c++)
        for (at = 0; at < 20; at++) {
            char text[] = "abcdefghijklmnopqrst", expected[64], escape[8];
            struct json_writer writer;
            struct buffer out;

            text[at] = (char)c;
            if (c == '"' || c == '\\')
                snprintf(escape, sizeof(escape), "\\%c", c);
            else if (c < 0x20 || c == 0x7f)
                snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
            else
                snprintf(escape, sizeof(escape), c < 0x80 ? "%c" : "\\ufffd", c);
            snprintf(expected, sizeof(expected), "\"%.*s%s%s\"", at, text, escape, text + at + 1);
            buffer_init(&out, 64);
            json_init(&writer, &out);
            json_write_string(&writer, text);
            assert_string_equal(out.bytes, expected);
            buffer_done(&out);
        }
}

static void
numbers_have_a_point_in_every_locale(void **state) /* "confidence":0,75803 in a program that speaks German */
{
    static const char *const pairs[][2] = {
        {"0,75803", "0.75803"},
        {"-1,5e-07", "-1.5e-07"},
        {"3", "3"},
        {"1e+20", "1e+20"},
        {"0.5", "0.5"},
        {"1\xd9\xab"
         "25",
         "1.25"},
    };
    char text[32];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        snprintf(text, sizeof(text), "%s", pairs[i][0]);
        put_decimal_point(text);
        assert_string_equal(text, pairs[i][1]);
    }
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8")) { /* where it is installed */
        struct json_writer json;
        struct buffer out;

        buffer_init(&out, 100);
        json_init(&json, &out);
        json_begin_array(&json);
        json_write_rounded(&json, 0.75803, 5);
        json_write_number(&json, 2.5);
        json_end_array(&json);
        setlocale(LC_NUMERIC, "C");
        assert_string_equal(out.bytes, "[0.75803,2.5]");
        buffer_done(&out);
    }
}

static void file_is_read_whole_or_refused(void **state)
{
    char folder[] = "/tmp/serin-base-XXXXXX", path[64];
    struct serin_error error;
    uint8_t *bytes = NULL;
    size_t size = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/f", folder);
    assert_int_equal(file_read(path, 10, &bytes, &size, &error), SERIN_NOT_FOUND);
    assert_int_equal(file_write(path, "0123456789", 10, &error), SERIN_OK);
    assert_int_equal(file_read(path, 10, &bytes, &size, &error), SERIN_OK);
    assert_int_equal(size, 10);
    assert_memory_equal(bytes, "0123456789", 11);
    free(bytes);
    assert_int_equal(file_read(path, 9, &bytes, &size, &error), SERIN_LIMIT);
    assert_int_equal(file_read(folder, 10, &bytes, &size, &error), SERIN_INVALID);
    assert_int_equal(file_read("/dev/zero", 10, &bytes, &size, &error), SERIN_INVALID);
    assert_int_equal(file_write("/nonexistent/f", "", 0, &error), SERIN_IO);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_keeps_one_bounded_line),
        cmocka_unit_test(buffer_never_passes_its_maximum),
        cmocka_unit_test(json_numbers_are_pythons),
        cmocka_unit_test(json_text_is_always_valid),
        cmocka_unit_test(json_escapes_wherever_the_character_stands),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(file_is_read_whole_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
