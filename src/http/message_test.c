/*
 * message_test.c - every rule for heads, each with every way to cut its bytes; questions about fields; writing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)   text, sizeof(text) - 1 /* literals that hold NULs */

/* Exactly sized, so that a sanitizer sees a read too far. */
static char *copy_of(const char *bytes, size_t size)
{
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

struct verdict {
    enum http_result result;
    int status;
    const char *why;
};

static struct http_head head; /* of the last parse */
static char *kept;            /* the bytes that its slices point into */

static void keep(char *bytes)
{
    free(kept);
    kept = bytes;
}

static struct verdict parse(const char *bytes, size_t size, const struct http_limits *limits, bool response,
                            size_t *scanned)
{
    struct verdict verdict = {HTTP_MORE, 0, NULL};

    if (response)
        verdict.result = http_parse_response(bytes, size, limits, scanned, false, &head, &verdict.why);
    else
        verdict.result = http_parse_request(bytes, size, limits, scanned, &head, &verdict.status, &verdict.why);
    if (verdict.result == HTTP_BAD)
        assert_true(verdict.why && *verdict.why && (response || (verdict.status >= 400 && verdict.status <= 505)));
    return verdict;
}

static struct verdict parse_whole(const char *bytes, size_t size, const struct http_limits *limits, bool response)
{
    char *copy = copy_of(bytes, size);
    size_t scanned = 0;
    struct verdict verdict = parse(copy, size, limits, response, &scanned);

    keep(copy);
    return verdict;
}

/* In pieces of `step` bytes, each time in another buffer. */
static struct verdict parse_in_steps(const char *bytes, size_t size, const struct http_limits *limits, bool response,
                                     size_t first, size_t step)
{
    struct verdict verdict = {HTTP_MORE, 0, NULL};
    size_t scanned = 0, have;

    for (have = first; verdict.result == HTTP_MORE; have = have + step < size ? have + step : size) {
        char *copy = copy_of(bytes, have);

        verdict = parse(copy, have, limits, response, &scanned);
        keep(copy);
        if (have == size)
            break;
    }
    return verdict;
}

/* The same verdict however the bytes are cut. */
static struct verdict parse_every_way(const char *bytes, size_t size, const struct http_limits *limits, bool response)
{
    struct verdict whole, cut;
    size_t split;

    cut = parse_in_steps(bytes, size, limits, response, 0, 1);
    whole = parse_whole(bytes, size, limits, response);
    assert_int_equal(cut.result, whole.result);
    assert_int_equal(cut.status, whole.status);
    assert_true(whole.result != HTTP_BAD || strcmp(whole.why, cut.why) == 0);
    for (split = 0; split <= size && size < 2000; split++) {
        cut = parse_in_steps(bytes, size, limits, response, split, size - split);
        assert_int_equal(cut.result, whole.result);
        assert_int_equal(cut.status, whole.status);
        assert_true(whole.result != HTTP_BAD || strcmp(whole.why, cut.why) == 0);
    }
    return parse_whole(bytes, size, limits, response);
}

static void assert_slice(struct http_slice slice, const char *text)
{
    if (!http_slice_is(slice, text))
        fail_msg("\"%.*s\" where \"%s\" was expected", (int)slice.size, slice.size ? slice.bytes : "", text);
}

/* ---- requests ---- */

#define H "Host: a\r\n"

static void requests_that_break_a_rule_are_refused(void **state)
{
    static const struct {
        int status;
        const char *bytes;
        size_t size;
        const char *why; /* a part of the sentence */
    } rows[] = {
        /* the request line */
        {400, TEXT("GET /\r\n"), "no target"},
        {400, TEXT("GET / \r\n" H "\r\n"), "version"},
        {400, TEXT("GET HTTP/1.1\r\n" H "\r\n"), "no target"},
        {400, TEXT("GET  / HTTP/1.1\r\n" H "\r\n"), "no target"},
        {400, TEXT("GET /  HTTP/1.1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTP/1.1 \r\n" H "\r\n"), "version"},
        {400, TEXT("GET\t/ HTTP/1.1\r\n" H "\r\n"), "method"},
        {400, TEXT("GET /\tHTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("GET /a b HTTP/1.1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET /a#b HTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("GET /\x7f HTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("GET /\0 HTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("GET /\r HTTP/1.1\r\n" H "\r\n"), "target"},
        {400, TEXT("G(T / HTTP/1.1\r\n" H "\r\n"), "method"},
        {400, TEXT("G\xc3T / HTTP/1.1\r\n" H "\r\n"), "method"},
        {400, TEXT(" GET / HTTP/1.1\r\n" H "\r\n"), "not an HTTP request"},
        {400, TEXT("\0GET / HTTP/1.1\r\n" H "\r\n"), "not an HTTP request"},
        {400, TEXT("\x16\x03\x01\x02"), "not an HTTP request"},
        {400, TEXT("\n"), "not an HTTP request"},
        {400, TEXT("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), "not an HTTP request"},
        {400, TEXT("\rGET / HTTP/1.1\r\n" H "\r\n"), "not an HTTP request"},
        {400, TEXT("GET / HTTP/01.1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / http/1.1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTP/1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTP/1.10\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTP/1,1\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTPS/1.1\r\n" H "\r\n"), "version"},
        {505, TEXT("GET / HTTP/1.2\r\n"), "version"},
        {505, TEXT("GET / HTTP/0.9\r\n"), "version"},
        {505, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "version"},
        {501, TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n"), "32 characters"},
        /* the target's forms */
        {501, TEXT("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), "CONNECT"},
        {501, TEXT("CONNECT / HTTP/1.1\r\n" H "\r\n"), "CONNECT"},
        {400, TEXT("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), "http URL"},
        {400, TEXT("GET a HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET ?a HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET * HTTP/1.1\r\n" H "\r\n"), "OPTIONS"},
        {400, TEXT("OPTIONS *a HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET ftp://a/ HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET http:/a/ HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET http: HTTP/1.1\r\n" H "\r\n"), "http URL"},
        {400, TEXT("GET http:/// HTTP/1.1\r\n" H "\r\n"), "plain host"},
        {400, TEXT("GET http://u@a/ HTTP/1.1\r\n" H "\r\n"), "plain host"},
        {400, TEXT("GET http://a?b HTTP/1.1\r\n" H "\r\n"), "no path"},
        {400, TEXT("GET http://b/ HTTP/1.1\r\n" H "\r\n"), "another host"},
        {400, TEXT("GET http://a:80/ HTTP/1.1\r\n" H "\r\n"), "another host"},
        /* lines and fields */
        {400, TEXT("GET / HTTP/1.1\n" H "\r\n"), "LF alone"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), "LF alone"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\n"), "LF alone"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\r\rX\r\n\r\n"), "no name has"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\rX: y\r\n\r\n"), "no name has"},
        {400, TEXT("GET / HTTP/1.1\r\r\n" H "\r\n"), "version"},
        {400, TEXT("GET / HTTP/1.1\r\nX: a\rb\r\n" H "\r\n"), "ends no line"},
        {400, TEXT("GET / HTTP/1.1\r\nX: a\r\r\n" H "\r\n"), "ends no line"},
        {400, TEXT("GET / HTTP/1.1\r\nX: a\0b\r\n" H "\r\n"), "control character"},
        {400,
         TEXT("GET / HTTP/1.1\r\nX: 12345678\x01"
              "12345678\r\n" H "\r\n"),
         "control character"},
        {400, TEXT("GET / HTTP/1.1\r\nX: 1234567812345\x7f\r\n" H "\r\n"), "control character"},
        {400, TEXT("GET / HTTP/1.1\r\nX: \x0b\r\n" H "\r\n"), "control character"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X : y\r\n\r\n"), "between"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\t: y\r\n\r\n"), "between"},
        {400, TEXT("GET / HTTP/1.1\r\n" H ": y\r\n\r\n"), "no name"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\r\n\r\n"), "no colon"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X y: z\r\n\r\n"), "between"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X(y: z\r\n\r\n"), "character that no name"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\xc3\xa9: z\r\n\r\n"), "character that no name"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\0: z\r\n\r\n"), "character that no name"},
        {400, TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "folded"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: y\r\n z\r\n\r\n"), "folded"},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: y\r\n\tz\r\n\r\n"), "folded"},
        {400, TEXT("GET / HTTP/1.1\r\n" H " \r\n\r\n"), "folded"},
        /* Host */
        {400, TEXT("GET / HTTP/1.1\r\n\r\n"), "no Host"},
        {400, TEXT("GET http://a/ HTTP/1.1\r\n\r\n"), "no Host"},
        {400, TEXT("GET / HTTP/1.1\r\n" H H "\r\n"), "more than one Host"},
        {400, TEXT("GET / HTTP/1.0\r\n" H "host: b\r\n\r\n"), "more than one Host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), "plain host"},
        {400, TEXT("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"), "plain host"},
        /* framing */
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "both"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"), "both"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), "more than one"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"), "more than one"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 1 0\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 1_0\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 00\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n"), "plain number"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content_Length: 5\r\n\r\n"), "named like"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer_Encoding: chunked\r\n\r\n"), "named like"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Connection: close, content-length\r\nContent-Length: 5\r\n\r\n"),
         "do without"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Connection: Host\r\n\r\n"), "do without"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
         "more than one"},
        {400, TEXT("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), "HTTP/1.0"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: , chunked\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"), "known coding"},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"), "known coding"},
        {400,
         TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n"),
         "control character"},
        {501, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"), "other than chunked"},
        {501, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: x-compress\r\n\r\n"), "other than chunked"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        struct verdict verdict = parse_every_way(rows[i].bytes, rows[i].size, &http_default_limits, false);

        if (verdict.result != HTTP_BAD || verdict.status != rows[i].status || !strstr(verdict.why, rows[i].why))
            fail_msg("%s: result %d, status %d, %s", rows[i].bytes, verdict.result, verdict.status,
                     verdict.result == HTTP_BAD ? verdict.why : "-");
    }
}

static void requests_are_read(void **state)
{
    static const struct {
        const char *bytes, *method, *target, *path, *query, *host;
        int minor_version;
        bool keep_alive, expect_continue;
        enum http_framing framing;
        uint64_t content_length;
        int field_count;
    } rows[] = {
        /* RFC 9112, 2.1 and 3.2.1 to 3.2.4 */
        {"GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, "
         "mi\r\n\r\n",
         "GET", "/hello.txt", "/hello.txt", "", "www.example.com", 1, true, false, HTTP_NO_BODY, 0, 3},
        {"GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "GET", "/where?q=now", "/where", "q=now",
         "www.example.org", 1, true, false, HTTP_NO_BODY, 0, 1},
        {"GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "GET",
         "/pub/WWW/TheProject.html", "/pub/WWW/TheProject.html", "", "www.example.org", 1, true, false, HTTP_NO_BODY, 0,
         1},
        {"OPTIONS * HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "OPTIONS", "*", "*", "", "www.example.org", 1, true,
         false, HTTP_NO_BODY, 0, 1},
        {"OPTIONS http://www.example.org:8001 HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n", "OPTIONS", "*", "*", "",
         "www.example.org:8001", 1, true, false, HTTP_NO_BODY, 0, 1},
        {"GET HTTPS://A.b HTTP/1.1\r\nHost: a.B\r\n\r\n", "GET", "/", "/", "", "a.B", 1, true, false, HTTP_NO_BODY, 0,
         1},
        {"GET http://a/?b HTTP/1.0\r\n\r\n", "GET", "/?b", "/", "b", "a", 0, false, false, HTTP_NO_BODY, 0, 0},
        {"GET /a??b=/? HTTP/1.0\r\n\r\n", "GET", "/a??b=/?", "/a", "?b=/?", "", 0, false, false, HTTP_NO_BODY, 0, 0},
        {"GET // HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n\r\n", "GET", "//", "//", "", "[2001:db8::1]:65535", 1, true,
         false, HTTP_NO_BODY, 0, 1},
        {"\r\nX-UNKNOWN!0123456789012345678901 / HTTP/1.1\r\nHost:127.0.0.1:0\r\n\r\n",
         "X-UNKNOWN!0123456789012345678901", "/", "/", "", "127.0.0.1:0", 1, true, false, HTTP_NO_BODY, 0, 1},
        /* keep-alive, by version and Connection (RFC 9112, 9.3) */
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET", "/", "/", "", "a", 1, false, false, HTTP_NO_BODY, 0,
         2},
        {"GET / HTTP/1.1\r\n" H "Connection: TE\r\nConnection: x, Close\r\n\r\n", "GET", "/", "/", "", "a", 1, false,
         false, HTTP_NO_BODY, 0, 3},
        {"GET / HTTP/1.1\r\n" H "Connection: closed, \"close\"\r\n\r\n", "GET", "/", "/", "", "a", 1, true, false,
         HTTP_NO_BODY, 0, 2},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "/", "", "", 0, true, false, HTTP_NO_BODY, 0,
         1},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET", "/", "/", "", "", 0, false, false,
         HTTP_NO_BODY, 0, 1},
        /* framing */
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST", "/", "/", "", "a", 1, true, false, HTTP_LENGTH, 0,
         2},
        {"GET / HTTP/1.1\r\n" H "CONTENT-LENGTH:\t 9223372036854775807 \t\r\n\r\n", "GET", "/", "/", "", "a", 1, true,
         false, HTTP_LENGTH, INT64_MAX, 2},
        {"POST / HTTP/1.1\r\n" H "transfer-encoding: CHUNKED\r\n\r\n", "POST", "/", "/", "", "a", 1, true, false,
         HTTP_CHUNKED, 0, 2},
        /* Expect (RFC 9110, 10.1.1: not in HTTP/1.0) */
        {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 7\r\n\r\n", "POST", "/", "/", "", "a", 1,
         true, true, HTTP_LENGTH, 7, 3},
        {"POST / HTTP/1.0\r\n" H "Expect: 100-continue\r\nContent-Length: 7\r\n\r\n", "POST", "/", "/", "", "a", 0,
         false, false, HTTP_LENGTH, 7, 3},
        {"POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", "POST", "/", "/", "", "a", 1, true, false, HTTP_NO_BODY, 0,
         2},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].bytes);
        struct verdict verdict = parse_every_way(rows[i].bytes, size, &http_default_limits, false);
        char *more;

        if (verdict.result != HTTP_DONE)
            fail_msg("%s: result %d, %s", rows[i].bytes, verdict.result, verdict.why ? verdict.why : "");
        assert_slice(head.method, rows[i].method);
        assert_slice(head.target, rows[i].target);
        assert_slice(head.path, rows[i].path);
        assert_slice(head.query, rows[i].query);
        assert_slice(head.host, rows[i].host);
        assert_int_equal(head.minor_version, rows[i].minor_version);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
        assert_int_equal(head.expect_continue, rows[i].expect_continue);
        assert_int_equal(head.framing, rows[i].framing);
        assert_true(head.content_length == rows[i].content_length);
        assert_int_equal(head.field_count, rows[i].field_count);
        assert_int_equal(head.head_bytes, size);
        assert_int_equal(head.status, 0);
        /* What stands behind a head does not matter to it. */
        assert_true(asprintf(&more, "%s\n \r\n:", rows[i].bytes) > 0);
        assert_int_equal(parse_whole(more, strlen(more), &http_default_limits, false).result, HTTP_DONE);
        assert_int_equal(head.head_bytes, size);
        free(more);
    }
}

static void a_part_of_a_request_asks_for_more(void **state)
{
    static const char bytes[] = "\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX:\r\n\r\n";
    size_t size;

    (void)state;
    for (size = 0; size < sizeof(bytes) - 1; size++)
        assert_int_equal(parse_every_way(bytes, size, &http_default_limits, false).result, HTTP_MORE);
    assert_int_equal(parse_every_way(bytes, size, &http_default_limits, false).result, HTTP_DONE);
}

static void fields_keep_their_bytes(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\r\nX-Caf\xe9: \r\n\r\n";
    static const char good[] = "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: \xc3\xa9\t\"; \xff \t\r\nEmpty:\r\n"
                               "Blank: \t \r\nColon: a:b:\r\n\r\n";

    (void)state;
    assert_int_equal(parse_every_way(bytes, sizeof(bytes) - 1, &http_default_limits, false).result, HTTP_BAD);
    assert_int_equal(parse_every_way(good, sizeof(good) - 1, &http_default_limits, false).result, HTTP_DONE);
    assert_int_equal(head.field_count, 5);
    assert_slice(head.fields[1].name, "!#$%&'*+-.^_`|~09azAZ");
    assert_slice(head.fields[1].value, "\xc3\xa9\t\"; \xff");
    assert_slice(head.fields[2].value, "");
    assert_slice(head.fields[3].value, "");
    assert_slice(head.fields[4].value, "a:b:");
    assert_slice(*http_find(&head, "eMPTY"), "");
    assert_null(http_find(&head, "Colo"));
}

/* Each byte value at each kind of place: the table against the words of the RFC. */
static void each_byte_stands_where_it_may(void **state)
{
    static const char tokens[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char request[64];
    int c;

    (void)state;
    for (c = 0; c < 256; c++) {
        int size = snprintf(request, sizeof(request), "A_ / HTTP/1.1\r\nHost: a\r\n\r\n");
        bool token = c && strchr(tokens, c);

        request[1] = (char)c;
        assert_int_equal(parse_whole(request, (size_t)size, &http_default_limits, false).result == HTTP_DONE, token);
        size = snprintf(request, sizeof(request), "GET /_ HTTP/1.1\r\nHost: a\r\n\r\n");
        request[5] = (char)c;
        assert_int_equal(parse_whole(request, (size_t)size, &http_default_limits, false).result == HTTP_DONE,
                         c > 0x20 && c < 0x7f && c != '#');
        size = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\nX_Y: z\r\n\r\n");
        request[26] = (char)c;
        assert_int_equal(parse_whole(request, (size_t)size, &http_default_limits, false).result == HTTP_DONE,
                         token || c == ':');
        size = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\nX: 1234567_901234\r\n\r\n");
        request[35] = (char)c;
        assert_int_equal(parse_whole(request, (size_t)size, &http_default_limits, false).result == HTTP_DONE,
                         c == '\t' || (c >= ' ' && c != 0x7f));
        size = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n");
        request[23] = (char)c;
        assert_int_equal(parse_whole(request, (size_t)size, &http_default_limits, false).result == HTTP_DONE,
                         c && strchr(tokens, c) && (!strchr("!#$%&'*+^`|", c)));
    }
}

static char *request_of(size_t target, int fields, size_t value)
{
    struct buffer out;
    int i;

    buffer_init(&out, 1 << 20);
    buffer_append_text(&out, "GET ");
    for (i = 0; i < (int)target; i++)
        buffer_append_text(&out, "/");
    buffer_append_text(&out, " HTTP/1.1\r\nHost: a\r\n");
    for (i = 1; i < fields; i++)
        buffer_printf(&out, "X-%d: %0*d\r\n", i, (int)value, 0);
    buffer_append_text(&out, "\r\n");
    return buffer_steal(&out);
}

static int status_of(size_t target, int fields, size_t value, const struct http_limits *limits, size_t cut)
{
    char *bytes = request_of(target, fields, value);
    struct verdict verdict = parse_every_way(bytes, strlen(bytes) - cut, limits, false);

    free(bytes);
    return verdict.result == HTTP_BAD ? verdict.status : verdict.result == HTTP_DONE ? 200 : 0;
}

static void sizes_have_limits(void **state)
{
    const struct http_limits small = {.max_head_bytes = 1000, .max_target_bytes = 100, .max_body_bytes = 1};
    struct http_limits exact = small;
    char *bytes = request_of(10, 10, 50);

    (void)state;
    assert_int_equal(status_of(100, 1, 1, &small, 0), 200);
    assert_int_equal(status_of(101, 1, 1, &small, 0), 414);
    assert_int_equal(status_of(500, 1, 1, &small, 100), 414); /* before the line is complete */
    assert_int_equal(status_of(8192, 1, 1, &http_default_limits, 0), 200);
    assert_int_equal(status_of(8193, 1, 1, &http_default_limits, 0), 414);
    assert_int_equal(status_of(1, HTTP_MAX_FIELDS, 1, &http_default_limits, 0), 200);
    assert_int_equal(head.field_count, HTTP_MAX_FIELDS);
    assert_int_equal(status_of(1, HTTP_MAX_FIELDS + 1, 1, &http_default_limits, 0), 431);
    assert_int_equal(status_of(1, 2, 2000, &small, 0), 431);
    assert_int_equal(status_of(1, 2, 2000, &small, 500), 431); /* before the head is complete */
    assert_int_equal(status_of(1, 2, 700, &small, 500), 0);
    exact.max_head_bytes = strlen(bytes);
    assert_int_equal(status_of(10, 10, 50, &exact, 0), 200);
    exact.max_head_bytes--;
    assert_int_equal(status_of(10, 10, 50, &exact, 0), 431);
    free(bytes);
}

/* ---- responses ---- */

static void responses_are_read(void **state)
{
    static const struct {
        const char *bytes;
        int status;
        bool head_request, keep_alive;
        enum http_framing framing;
        uint64_t content_length;
    } rows[] = {
        /* RFC 9110, 1: the first example */
        {"HTTP/1.1 200 OK\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nServer: Apache\r\nContent-Length: 51\r\n"
         "Vary: Accept-Encoding\r\nContent-Type: text/plain\r\n\r\n",
         200, false, true, HTTP_LENGTH, 51},
        {"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n", 200, false, true, HTTP_LENGTH, 1},
        {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", 200, false, true, HTTP_LENGTH, 1},
        {"HTTP/1.1 200 Gr\xc3\xbc\xc3\x9f"
         "e\t!\r\nTransfer-Encoding: chunked\r\n\r\n",
         200, false, true, HTTP_CHUNKED, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", 200, false, false, HTTP_UNTIL_CLOSE, 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, false, false, HTTP_LENGTH, 1},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", 200, false, true, HTTP_LENGTH, 1},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200, false, false, HTTP_LENGTH, 0},
        {"HTTP/1.1 100 Continue\r\n\r\n", 100, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 103, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, false, true, HTTP_NO_BODY, 9},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", 304, false, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, true, true, HTTP_NO_BODY, 9},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, true, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", 200, true, true, HTTP_NO_BODY, 0},
        {"HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", 599, false, true, HTTP_LENGTH, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].bytes), scanned = 0;
        const char *why = NULL;
        char *copy = copy_of(rows[i].bytes, size);

        assert_int_equal(parse_every_way(rows[i].bytes, size, &http_default_limits, true).result, HTTP_DONE);
        assert_int_equal(
            http_parse_response(copy, size, &http_default_limits, &scanned, rows[i].head_request, &head, &why),
            HTTP_DONE);
        keep(copy);
        assert_int_equal(head.status, rows[i].status);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
        assert_int_equal(head.framing, rows[i].framing);
        assert_true(head.content_length == rows[i].content_length);
        assert_int_equal(head.head_bytes, size);
        assert_int_equal(head.method.size, 0);
    }
}

static void responses_that_break_a_rule_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {TEXT("X")},
        {TEXT("HTTP/2 200\r\n\r\n")},
        {TEXT("ICY 200 OK\r\n\r\n")},
        {TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n")},
        {TEXT("HTTP/1.2 200 OK\r\n\r\n")},
        {TEXT("HTTP/1.1  200 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 20 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 2000 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 099 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 600 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 2x0 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 -20 OK\r\n\r\n")},
        {TEXT("HTTP/1.1 200\tOK\r\n\r\n")},
        {TEXT("HTTP/1.1\r\n\r\n")},
        {TEXT("HTTP/1.1 200 O\0K\r\n\r\n")},
        {TEXT("HTTP/1.1 200 O\rK\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\n X: y\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\nX : y\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")},
        {TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")},
        {TEXT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {TEXT("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n")},
        {TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")},
        {TEXT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")},
    };
    char longest[4096];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        if (parse_every_way(rows[i].bytes, rows[i].size, &http_default_limits, true).result != HTTP_BAD)
            fail_msg("accepted: %s", rows[i].bytes);
    i = (size_t)snprintf(longest, sizeof(longest), "HTTP/1.1 200 %01000d\r\n\r\n", 0);
    assert_int_equal(parse_whole(longest, i, &http_default_limits, true).result, HTTP_BAD);
}

/* ---- fields ---- */

static struct http_slice slice(const char *text)
{
    return (struct http_slice){text, strlen(text)};
}

static void cookies_are_searched(void **state)
{
    struct http_slice value;

    (void)state;
    assert_true(http_cookie_get(slice("a=1; camera=7;b=; ab=\"x=y\""), "camera", &value));
    assert_slice(value, "7");
    assert_true(http_cookie_get(slice("a=1; camera=7;b=; ab=\"x=y\""), "b", &value));
    assert_slice(value, "");
    assert_true(http_cookie_get(slice("a=1; camera=7;b=; ab=\"x=y\""), "ab", &value));
    assert_slice(value, "\"x=y\"");
    assert_true(http_cookie_get(slice("a=1; a=2"), "a", &value));
    assert_slice(value, "1");
    assert_false(http_cookie_get(slice("a=1; camera=7"), "Camera", &value));
    assert_false(http_cookie_get(slice("camera"), "camera", &value));
    assert_false(http_cookie_get(slice(""), "a", &value));
}

static void parameters_are_decoded(void **state)
{
    static const char query[] =
        "conf=.3&na+me=caf%C3%A9+1%2B1&bad=%4&bad2=%g0&nul=%00&empty=&flag&conf=.9&%63lasses=1,2";
    char text[16];

    (void)state;
    assert_true(http_query_get(slice(query), "conf", text, sizeof(text)));
    assert_string_equal(text, ".3");
    assert_true(http_query_get(slice(query), "na me", text, sizeof(text)));
    assert_string_equal(text, "caf\xc3\xa9 1+1");
    assert_true(http_query_get(slice(query), "na me", text, 10));
    assert_false(http_query_get(slice(query), "na me", text, 9));
    assert_true(http_query_get(slice(query), "classes", text, sizeof(text)));
    assert_string_equal(text, "1,2");
    assert_true(http_query_get(slice(query), "empty", text, 1));
    assert_string_equal(text, "");
    assert_true(http_query_get(slice(query), "flag", text, sizeof(text)));
    assert_false(http_query_get(slice(query), "empty", text, 0));
    assert_false(http_query_get(slice(query), "bad", text, sizeof(text)));
    assert_false(http_query_get(slice(query), "bad2", text, sizeof(text)));
    assert_false(http_query_get(slice(query), "nul", text, sizeof(text)));
    assert_false(http_query_get(slice(query), "con", text, sizeof(text)));
    assert_false(http_query_get(slice(query), "confi", text, sizeof(text)));
    assert_false(http_query_get((struct http_slice){NULL, 0}, "conf", text, sizeof(text)));
    assert_true(http_decode_segment(slice("a+b%2Fc"), text, sizeof(text)));
    assert_string_equal(text, "a+b/c");
    assert_false(http_decode_segment(slice("a%"), text, sizeof(text)));
    assert_false(http_decode_segment(slice("%00"), text, sizeof(text)));
    assert_false(http_slice_copy(slice("abcd"), text, 4));
    assert_true(http_slice_copy(slice("abcd"), text, 5));
}

static void parameters_come_one_by_one(void **state)
{
    struct http_slice query = slice("a=1=2&&b&=c&a=%zz"), name, value;
    static const char *const expected[][2] = {{"a", "1=2"}, {"", ""}, {"b", ""}, {"", "c"}, {"a", "%zz"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(http_query_next(&query, &name, &value));
        assert_slice(name, expected[i][0]);
        assert_slice(value, expected[i][1]);
    }
    assert_false(http_query_next(&query, &name, &value));
}

static void fields_of_the_connection_stay_on_it(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A\r\nConnection: close , x-b\r\n\r\n";
    static const char *const yes[] = {"connection",    "Keep-Alive", "TE",    "Transfer-Encoding", "Upgrade",
                                      "x-a",           "X-B",        "close", "Trailer",           "Proxy-Connection",
                                      "HTTP2-Settings"};
    static const char *const no[] = {"X-C", "X", "Content-Type", "Host", "Authorization", "Cookie"};
    size_t i;

    (void)state;
    assert_int_equal(parse_whole(bytes, sizeof(bytes) - 1, &http_default_limits, false).result, HTTP_DONE);
    for (i = 0; i < COUNT(yes); i++)
        assert_true(http_is_hop_by_hop(&head, slice(yes[i])));
    for (i = 0; i < COUNT(no); i++)
        assert_false(http_is_hop_by_hop(&head, slice(no[i])));
}

static void heads_are_written_as_they_are_read(void **state)
{
    struct buffer out;
    char large[2000];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    buffer_init(&out, 4096);
    http_write_request_line(&out, slice("POST"), slice("/a?b"));
    http_write_field(&out, "Host", "%s:%d", "a", 80);
    http_write_slice(&out, slice("X"), slice("y"));
    http_write_slice(&out, slice("Empty"), (struct http_slice){"", 0});
    http_write_field(&out, "Large", "%s", large);
    http_write_end(&out);
    assert_int_equal(out.failed, SERIN_OK);
    assert_memory_equal(out.bytes, "POST /a?b HTTP/1.1\r\nHost: a:80\r\nX: y\r\nEmpty: \r\nLarge: xxx", 57);
    assert_int_equal(parse_whole(out.bytes, out.size, &http_default_limits, false).result, HTTP_DONE);
    assert_slice(*http_find(&head, "large"), large);
    buffer_clear(&out);
    http_write_status_line(&out, 503);
    http_write_end(&out);
    assert_string_equal(out.bytes, "HTTP/1.1 503 Service Unavailable\r\n\r\n");
    buffer_done(&out);
    assert_string_equal(http_status_text(599), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_break_a_rule_are_refused),
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(a_part_of_a_request_asks_for_more),
        cmocka_unit_test(fields_keep_their_bytes),
        cmocka_unit_test(each_byte_stands_where_it_may),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(responses_that_break_a_rule_are_refused),
        cmocka_unit_test(cookies_are_searched),
        cmocka_unit_test(parameters_are_decoded),
        cmocka_unit_test(parameters_come_one_by_one),
        cmocka_unit_test(fields_of_the_connection_stay_on_it),
        cmocka_unit_test(heads_are_written_as_they_are_read),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    keep(NULL);
    return failed;
}
