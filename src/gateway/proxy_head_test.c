/*
 * proxy_head_test.c - what of a head passes the gateway, and what it adds.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/proxy_head.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char request[] = "POST /v1/predict/m?a=%20 HTTP/1.1\r\n"
                              "Host: here\r\n"
                              "Authorization: Bearer secret\r\n"
                              "cookie: session=1\r\n"
                              "X-API-Key: secret\r\n"
                              "Content-Type: image/jpeg\r\n"
                              "Content-Length: 0\r\n"
                              "Connection: keep-alive, X-Private\r\n"
                              "X-Private: 1\r\n"
                              "Keep-Alive: 5\r\n"
                              "TE: trailers\r\n"
                              "Upgrade: h2c\r\n"
                              "Proxy-Authorization: Basic secret\r\n"
                              "via: 1.0 other\r\n"
                              "X-Forwarded-For: 1.2.3.4\r\n"
                              "X-Serin-Mirror: 1\r\n"
                              "accept-encoding: gzip\r\n"
                              "X-Camera: seven\r\n"
                              "X-Request-Id: given\r\n\r\n";

static void parse(const char *text, struct http_head *ret)
{
    const char *why = NULL;
    size_t scanned = 0;
    int status = 0;

    assert_int_equal(http_parse_request(text, strlen(text), &http_default_limits, &scanned, ret, &status, &why),
                     HTTP_DONE);
}

static void expect(const struct buffer *out, const char *expected)
{
    assert_false(out->failed);
    assert_string_equal(out->bytes, expected);
}

static void test_requests(void **state)
{
    struct http_head head;
    struct buffer out;

    (void)state;
    parse(request, &head);
    buffer_init(&out, 4096);
    proxy_head_write(&out, &head, "10.0.0.7:51432", "given", false, NULL, NULL);
    expect(&out, "POST /v1/predict/m?a=%20 HTTP/1.1\r\n"
                 "Authorization: Bearer secret\r\n"
                 "cookie: session=1\r\n"
                 "X-API-Key: secret\r\n"
                 "Content-Type: image/jpeg\r\n"
                 "X-Camera: seven\r\n"
                 "X-Request-Id: given\r\n"
                 "X-Forwarded-For: 10.0.0.7\r\n"
                 "Via: 1.1 serin\r\n");
    buffer_clear(&out);
    proxy_head_write(&out, &head, "[::1]:51432", "given", true, NULL, NULL);
    expect(&out, "POST /v1/predict/m?a=%20 HTTP/1.1\r\n"
                 "Content-Type: image/jpeg\r\n"
                 "X-Camera: seven\r\n"
                 "X-Request-Id: given\r\n"
                 "X-Forwarded-For: [::1]\r\n"
                 "Via: 1.1 serin\r\n"
                 "X-Serin-Mirror: 1\r\n");
    buffer_done(&out);
}

static void test_head_asks_with_get(void **state)
{
    struct http_head head;
    struct buffer out;

    (void)state;
    parse("HEAD /v2/models/m HTTP/1.1\r\nHost: here\r\n\r\n", &head);
    buffer_init(&out, 4096);
    proxy_head_write(&out, &head, "unix", "x", false, NULL, NULL);
    expect(&out, "GET /v2/models/m HTTP/1.1\r\nX-Request-Id: x\r\nX-Forwarded-For: unix\r\nVia: 1.1 serin\r\n");
    buffer_done(&out);
}

static void test_answers(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: application/json\r\n"
                               "Content-Length: 0\r\n"
                               "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Server: other\r\n"
                               "Connection: X-Private\r\n"
                               "X-Private: 1\r\n"
                               "x-serin-version: wrong\r\n"
                               "X-Serin-Fallback: wrong\r\n"
                               "X-Request-Id: wrong\r\n"
                               "set-cookie: camera=7\r\n"
                               "Access-Control-Allow-Origin: http://a\r\n"
                               "Server-Timing: infer;dur=3\r\n"
                               "Inference-Header-Content-Length: 10\r\n\r\n";
    struct http_head head;
    struct buffer out;
    const char *why = NULL;
    size_t scanned = 0;

    (void)state;
    assert_int_equal(http_parse_response(text, strlen(text), &http_default_limits, &scanned, false, &head, &why),
                     HTTP_DONE);
    buffer_init(&out, 4096);
    proxy_fields_write(&out, &head);
    expect(&out, "Content-Type: application/json\r\n"
                 "Server-Timing: infer;dur=3\r\n"
                 "Inference-Header-Content-Length: 10\r\n");
    buffer_done(&out);
}

static void test_request_ids(void **state)
{
    static const char *const refused[] = {"a b", "a\"b", "a\\b",
                                          "0123456789012345678901234567890123456789012345678901234567890"};
    struct thread *thread = calloc(1, sizeof(*thread));
    char id[64], again[64], text[256];
    struct http_head head;
    size_t i;

    (void)state;
    assert_non_null(thread);
    parse(request, &head);
    proxy_request_id(thread, &head, id, sizeof(id));
    assert_string_equal(id, "given");
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\n\r\n", refused[i]);
        parse(text, &head);
        proxy_request_id(thread, &head, id, sizeof(id));
        proxy_request_id(thread, &head, again, sizeof(again));
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        assert_string_not_equal(id, again);
    }
    free(thread);
}

/* Clients see the ids: they must not tell which version the next ones get. */
static void test_request_ids_tell_nothing_of_the_draws(void **state)
{
    struct thread *thread = calloc(1, sizeof(*thread)), *same = calloc(1, sizeof(*same));
    struct http_head head;
    char id[64], other[64];
    int i;

    (void)state;
    assert_non_null(thread);
    assert_non_null(same);
    thread->random_state = same->random_state = 7;
    parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &head);
    for (i = 0; i < 100; i++) {
        proxy_request_id(thread, &head, id, sizeof(id));
        proxy_request_id(same, &head, other, sizeof(other));
        assert_string_not_equal(id, other);
    }
    assert_true(thread->random_state == 7);
    free(thread);
    free(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_head_asks_with_get),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_request_ids),
        cmocka_unit_test(test_request_ids_tell_nothing_of_the_draws),
    };

    return cmocka_run_group_tests_name("gateway/proxy_head", tests, NULL, NULL);
}
