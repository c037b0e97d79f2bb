/*
 * chunks_test.c - the chunked coding: its rules, every way to cut the bytes, and bodies that are put on and taken off.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/chunks.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)   text, sizeof(text) - 1

struct outcome {
    enum http_result result;
    size_t used;
    struct buffer body;
    struct http_chunks chunks;
    const char *why;
};

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

/* Pieces of `step` bytes, or of 1 to -step drawn anew for each; every piece is copied, so that a read too far shows. */
static struct outcome take_off(const char *bytes, size_t size, size_t max_body_bytes, long step)
{
    struct outcome outcome = {.result = HTTP_MORE};
    size_t at = 0;

    buffer_init(&outcome.body, 1 << 22);
    http_chunks_init(&outcome.chunks);
    while (outcome.result == HTTP_MORE && at < size) {
        size_t piece = step > 0 ? (size_t)step : 1 + draw((uint32_t)-step), part = 0;
        char *copy;

        if (piece > size - at)
            piece = size - at;
        copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, bytes + at, piece);
        while (outcome.result == HTTP_MORE && part < piece) {
            const char *run;
            size_t run_size, used;

            outcome.result = http_chunks_read(&outcome.chunks, copy + part, piece - part, max_body_bytes, &run,
                                              &run_size, &used, &outcome.why);
            assert_true(used > 0 && used <= piece - part);
            assert_true(run_size == 0 || (run >= copy + part && run + run_size <= copy + part + used));
            buffer_append(&outcome.body, run, run_size);
            part += used;
        }
        free(copy);
        at += part;
    }
    outcome.used = at;
    assert_int_equal(outcome.body.failed, SERIN_OK);
    assert_true(outcome.chunks.body_bytes == outcome.body.size);
    if (outcome.result != HTTP_MORE) { /* the end is final */
        const char *run;
        size_t run_size, used;

        assert_int_equal(
            http_chunks_read(&outcome.chunks, "5", 1, max_body_bytes, &run, &run_size, &used, &outcome.why),
            outcome.result);
        assert_true(run_size == 0 && used == 0);
    }
    return outcome;
}

static void good_bodies_are_taken_off(void **state)
{
    static const struct {
        const char *bytes, *body;
        size_t behind; /* bytes of the next message */
    } rows[] = {
        {"0\r\n\r\n", "", 0},
        {"5\r\nhello\r\n0\r\n\r\nGET /", "hello", 5},
        {"A\r\nhelloworld\r\n0\r\n\r\n", "helloworld", 0},
        {"a\r\nhelloworld\r\n0\r\n\r\n\r\n", "helloworld", 2},
        {"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", 0},
        /* RFC 9112, 7.1.1 and 7.1.2 */
        {"5;a;b=c;d=\"\";e\r\nhello\r\n0\r\n\r\n", "hello", 0},
        {"5;ext=value\r\nhello\r\n0; a; b=\"c;d\\\"\"\r\n\r\n", "hello", 0},
        {"4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n", "Wikipedia in \r\nchunks.", 0},
        {"1\r\nx\r\n0\r\nX-Checksum: 1\r\nEmpty:\r\nContent-Lengths: 5\r\nabcdefghijklmnopqrstuvwxyz:1\r\n\r\n", "x",
         0},
    };
    size_t i;
    long step;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].bytes);

        for (step = 1; step <= (long)size; step++) {
            struct outcome outcome = take_off(rows[i].bytes, size, 1000, step);

            if (outcome.result != HTTP_DONE)
                fail_msg("%s: %s", rows[i].bytes, outcome.why ? outcome.why : "not at its end");
            assert_int_equal(outcome.used, size - rows[i].behind);
            assert_int_equal(outcome.body.size, strlen(rows[i].body));
            assert_memory_equal(outcome.body.bytes ? outcome.body.bytes : "", rows[i].body, outcome.body.size);
            buffer_done(&outcome.body);
        }
        for (step = 1; step < (long)(size - rows[i].behind); step++) {
            struct outcome outcome = take_off(rows[i].bytes, (size_t)step, 1000, step);

            assert_int_equal(outcome.result, HTTP_MORE);
            buffer_done(&outcome.body);
        }
    }
}

static void bad_bodies_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *why;
        bool too_large;
    } rows[] = {
        {TEXT("\r\n"), "hexadecimal", false},
        {TEXT(" 5\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5 \r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5 ;a\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5\t\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("0x5\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("+5\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("-5\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("1_0\r\nhello world!!!!!\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5g\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5\0\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("5,5\r\nhello\r\n0\r\n\r\n"), "hexadecimal", false},
        {TEXT("00000000000000005\r\nhello\r\n0\r\n\r\n"), "16 digits", false},
        {TEXT("10000000000000005\r\nhello\r\n0\r\n\r\n"), "16 digits", false},
        {TEXT("5\rhello\r\n0\r\n\r\n"), "ends no line", false},
        {TEXT("5\r\rhello\r\n0\r\n\r\n"), "ends no line", false},
        {TEXT("5;\r\nhello\r\n0\r\n\r\n"), "no name", false},
        {TEXT("5;\0ext\r\nhello\r\n0\r\n\r\n"), "no name", false},
        {TEXT("5;;a\r\nhello\r\n0\r\n\r\n"), "no name", false},
        {TEXT("5;a\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a\x01\r\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a\xff\r\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a b\r\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a=b=c\r\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), "name=value", false},
        {TEXT("5;a=\r\nhello\r\n0\r\n\r\n"), "no value", false},
        {TEXT("5;a=;b\r\nhello\r\n0\r\n\r\n"), "no value", false},
        {TEXT("5;a=\"b\r\nhello\r\n0\r\n\r\n"), "control character", false},
        {TEXT("5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n"), "control character", false},
        {TEXT("5;a=\"b\\\r\nhello\r\n0\r\n\r\n"), "control character", false},
        {TEXT("5;a\rb\r\nhello\r\n0\r\n\r\n"), "ends no line", false},
        {TEXT("5\r\nhello0\r\n\r\n"), "longer", false},
        {TEXT("5\r\nhello!!\r\n0\r\n\r\n"), "longer", false},
        {TEXT("5\r\nhello\n0\r\n\r\n"), "longer", false},
        {TEXT("5\r\nhello\r0\r\n\r\n"), "longer", false},
        {TEXT("5\r\nhell\r\n0\r\n\r\n"), "longer", false},
        {TEXT("3E9\r\n"), "larger", true},
        {TEXT("5\r\nhello\r\n3E4\r\n"), "larger", true},
        {TEXT("FFFFFFFFFFFFFFFF\r\n"), "larger", true},
        {TEXT("5\r\nhello\r\nFFFFFFFFFFFFFFFB\r\n"), "larger", true},
        {TEXT("0\r\n\n"), "not a field", false},
        {TEXT("0\r\n\rX"), "ends no line", false},
        {TEXT("0\r\n\r\r\n"), "ends no line", false},
        {TEXT("0\r\nX\r\n\r\n"), "not a field", false},
        {TEXT("0\r\n: x\r\n\r\n"), "not a field", false},
        {TEXT("0\r\n X: y\r\n\r\n"), "not a field", false},
        {TEXT("0\r\nX : y\r\n\r\n"), "not a field", false},
        {TEXT("0\r\nX: y\r\n z\r\n\r\n"), "not a field", false},
        {TEXT("0\r\nX: y\nZ: z\r\n\r\n"), "control character", false},
        {TEXT("0\r\nX: y\0\r\n\r\n"), "control character", false},
        {TEXT("0\r\nX: y\rZ: z\r\n\r\n"), "ends no line", false},
        {TEXT("0\r\nContent-Length: 50\r\n\r\n"), "must not be there", false},
        {TEXT("0\r\nX: y\r\ntransfer-ENCODING: chunked\r\n\r\n"), "must not be there", false},
        {TEXT("0\r\nHost: evil.example.com\r\n\r\n"), "must not be there", false},
        {TEXT("0\r\nContent-Type: text/evil\r\n\r\n"), "must not be there", false},
    };
    size_t i;
    long step;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        for (step = 1; step <= (long)rows[i].size; step++) {
            struct outcome outcome = take_off(rows[i].bytes, rows[i].size, 1000, step);

            if (outcome.result != HTTP_BAD)
                fail_msg("accepted: %s", rows[i].bytes);
            assert_int_equal(outcome.chunks.too_large, rows[i].too_large);
            buffer_done(&outcome.body);
        }
    }
    for (i = 0; i < COUNT(rows); i++) { /* the sentence of the first refusal */
        struct http_chunks chunks;
        const char *run, *why = "", *p = rows[i].bytes, *end = p + rows[i].size;
        size_t run_size, used;

        http_chunks_init(&chunks);
        while (p < end &&
               http_chunks_read(&chunks, p, (size_t)(end - p), 1000, &run, &run_size, &used, &why) == HTTP_MORE)
            p += used;
        if (!strstr(why, rows[i].why))
            fail_msg("%s: %s", rows[i].bytes, why);
    }
}

/* How many repetitions of a piece are let through, each followed by the rest. */
static int most_accepted(const char *start, const char *piece, const char *rest, int most)
{
    int count, accepted = -1;

    for (count = 0; count <= most && accepted == count - 1; count++) {
        struct buffer in;
        struct outcome outcome;
        int i;

        buffer_init(&in, 1 << 22);
        buffer_append_text(&in, start);
        for (i = 0; i < count; i++)
            buffer_append_text(&in, piece);
        buffer_append_text(&in, rest);
        outcome = take_off(in.bytes, in.size, 1 << 20, -300);
        if (outcome.result == HTTP_DONE)
            accepted = count;
        buffer_done(&outcome.body);
        buffer_done(&in);
    }
    return accepted;
}

static void what_is_dropped_is_bounded(void **state)
{
    (void)state;
    /* one extension; all extensions (CVE-2023-39326); the trailer */
    assert_in_range(most_accepted("1;a", "a", "\r\nx\r\n0\r\n\r\n", 1000), 200, 256);
    assert_in_range(
        most_accepted("", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n",
                      "0\r\n\r\n", 1000),
        50, 120);
    assert_in_range(
        most_accepted("0\r\n", "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "\r\n", 1000),
        100, 130);
    assert_in_range(most_accepted("0\r\na", "a", ": b\r\n\r\n", 9000), 8000, 8192);
    /* ordinary small chunks are not */
    assert_int_equal(most_accepted("", "1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n", "0\r\n\r\n", 300), 300);
}

static void bodies_come_back_whole(void **state)
{
    int round;

    (void)state;
    for (round = 0; round < 200; round++) {
        struct buffer body, coded;
        struct outcome outcome;
        size_t size = draw(5000), at = 0, i;

        buffer_init(&body, 1 << 20);
        buffer_init(&coded, 1 << 20);
        for (i = 0; i < size; i++) {
            char c = (char)draw(256);

            buffer_append(&body, &c, 1);
        }
        while (at < size) {
            size_t piece = 1 + draw(draw(2) ? 20 : 3000);

            if (piece > size - at)
                piece = size - at;
            buffer_printf(&coded, draw(2) ? "%zx%s\r\n" : "%04zX%s\r\n", piece, draw(20) ? "" : "; n=v");
            buffer_append(&coded, body.bytes + at, piece);
            buffer_append(&coded, "\r\n", 2);
            at += piece;
        }
        buffer_append_text(&coded, draw(2) ? "0\r\n\r\nnext" : "0\r\nX-Sum: 1\r\n\r\nnext");
        outcome = take_off(coded.bytes, coded.size, size, -(long)(1 + draw(2000)));
        assert_int_equal(outcome.result, HTTP_DONE);
        assert_int_equal(outcome.used, coded.size - 4);
        assert_int_equal(outcome.body.size, size);
        if (size)
            assert_memory_equal(outcome.body.bytes, body.bytes, size);
        buffer_done(&outcome.body);
        if (size > 0) { /* one byte less is too few */
            outcome = take_off(coded.bytes, coded.size, size - 1, -100);
            assert_int_equal(outcome.result, HTTP_BAD);
            assert_true(outcome.chunks.too_large);
            buffer_done(&outcome.body);
        }
        buffer_done(&body);
        buffer_done(&coded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies_are_taken_off),
        cmocka_unit_test(bad_bodies_are_refused),
        cmocka_unit_test(what_is_dropped_is_bounded),
        cmocka_unit_test(bodies_come_back_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
