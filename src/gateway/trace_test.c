/*
 * trace_test.c - who is traced, and whose child it is.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/trace.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static bool read_text(const char *text, struct gateway_trace *trace, bool *sampled)
{
    struct http_slice field = {text, strlen(text)};

    *trace = (struct gateway_trace){0};
    *sampled = false;
    return read_parent(&field, trace, sampled);
}

static void test_parents(void **state)
{
    static const char *const bad[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-xy",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
    };
    struct gateway_trace trace;
    bool sampled;
    size_t i;

    (void)state;
    assert_true(read_text(GOOD, &trace, &sampled));
    assert_string_equal(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(trace.parent_id, "b7ad6b7169203331");
    assert_true(sampled);
    assert_true(read_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", &trace, &sampled));
    assert_false(sampled);
    assert_true(read_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0b", &trace, &sampled));
    assert_true(sampled);
    assert_true(read_text("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", &trace, &sampled));
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(read_text(bad[i], &trace, &sampled));
    assert_false(read_parent(NULL, &trace, &sampled));
}

static void take(void *user, struct gateway_trace *trace)
{
    (void)user;
    free(trace);
}

static int count_traced(struct thread *thread, const char *parent)
{
    struct http_head head = {.field_count = parent ? 1 : 0};
    int traced = 0, i;

    if (parent)
        head.fields[0] = (struct http_field){{"Traceparent", 11}, {parent, strlen(parent)}};
    for (i = 0; i < 1000; i++) {
        struct gateway_trace *trace = trace_begin(thread, &head);

        traced += trace != NULL;
        free(trace);
    }
    return traced;
}

static void test_sampling(void **state)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    struct thread *thread = gateway ? &gateway->threads[0] : NULL;

    (void)state;
    assert_non_null(thread);
    thread->gateway = gateway;
    assert_int_equal(count_traced(thread, GOOD), 0); /* off is off */
    gateway->options.trace = take;
    assert_int_equal(count_traced(thread, GOOD), 1000); /* the client's word */
    assert_int_equal(count_traced(thread, NULL), 0);
    gateway->options.trace_sample = 1;
    assert_int_equal(count_traced(thread, NULL), 1000);
    assert_int_equal(count_traced(thread, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), 0);
    assert_int_equal(count_traced(thread, "rubbish"), 1000);
    gateway->options.trace_sample = .1;
    assert_in_range(count_traced(thread, NULL), 40, 170);
    free(gateway);
}

static void test_the_try_is_the_parent(void **state)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    struct gateway_trace trace = {.trace_id = "0af7651916cd43dd8448eb211c80319c", .span_id = "b7ad6b7169203331"};
    char expected[128];
    struct buffer head;

    (void)state;
    assert_non_null(gateway);
    gateway->threads[0].gateway = gateway;
    buffer_init(&head, 4096);
    buffer_append_text(&head, "GET / HTTP/1.1\r\n");
    trace_write_parent(&trace, &head);
    trace_try_started(&gateway->threads[0], &trace, &head, "v1", "unix:/x");
    snprintf(expected, sizeof(expected), "GET / HTTP/1.1\r\ntraceparent: 00-%s-%s-01\r\n", trace.trace_id,
             trace.tries[0].span_id);
    assert_string_equal(head.bytes, expected);
    assert_int_equal(strlen(trace.tries[0].span_id), 16);
    assert_string_not_equal(trace.tries[0].span_id, trace.span_id);
    buffer_done(&head);
    free(gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parents),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_the_try_is_the_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
