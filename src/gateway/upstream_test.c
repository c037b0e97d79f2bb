/*
 * upstream_test.c - which replica is picked, and which is left out for a while.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/upstream.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT_OF_PICKS 1000
#define LONG_AGO_MS    1000000

/* The thread's clock is its loop's; here it is set. */
static struct thread *thread_at(uint64_t now_ms)
{
    static struct thread thread;

    thread = (struct thread){.random_state = 7};
    uv_loop_init(&thread.loop);
    thread.loop.time = now_ms;
    return &thread;
}

static void end(struct thread *thread)
{
    assert_int_equal(uv_loop_close(&thread->loop), 0);
}

static int picks_of(struct thread *thread, struct upstream *const *endpoints, int count, const struct upstream *which)
{
    int found = 0, i;

    for (i = 0; i < COUNT_OF_PICKS; i++)
        found += upstream_pick(thread, endpoints, count, NULL) == which;
    return found;
}

static void test_none_and_one(void **state)
{
    struct thread *thread = thread_at(LONG_AGO_MS);
    struct upstream a = {0}, *endpoints[] = {&a};

    (void)state;
    assert_null(upstream_pick(thread, endpoints, 0, NULL));
    assert_ptr_equal(upstream_pick(thread, endpoints, 1, NULL), &a);
    assert_null(upstream_pick(thread, endpoints, 1, &a));
    end(thread);
}

static void test_the_less_loaded_of_two(void **state)
{
    struct thread *thread = thread_at(LONG_AGO_MS);
    struct upstream a = {.latency_ms = 10}, b = {.latency_ms = 10}, c = {.latency_ms = 10};
    struct upstream *two[] = {&a, &b}, *three[] = {&a, &b, &c};

    (void)state;
    a.in_flight = 3;
    assert_int_equal(picks_of(thread, two, 2, &b), COUNT_OF_PICKS);
    b.latency_ms = 100; /* four in flight of 10 ms are done before one of 100 */
    assert_int_equal(picks_of(thread, two, 2, &a), COUNT_OF_PICKS);
    b.latency_ms = 10;
    assert_int_equal(picks_of(thread, three, 3, &a), 0); /* never both of a pair */
    assert_in_range(picks_of(thread, three, 3, &b), COUNT_OF_PICKS / 5, COUNT_OF_PICKS * 4 / 5);
    end(thread);
}

static void test_a_new_one_is_spared(void **state)
{
    struct thread *thread = thread_at(LONG_AGO_MS);
    struct upstream old = {.latency_ms = 10, .in_flight = 3}, new = {.latency_ms = 10, .since_ms = LONG_AGO_MS};
    struct upstream *two[] = {&old, &new};

    (void)state;
    assert_int_equal(picks_of(thread, two, 2, &old), COUNT_OF_PICKS);
    thread->loop.time += SLOW_START_MS;
    assert_int_equal(picks_of(thread, two, 2, &new), COUNT_OF_PICKS);
    end(thread);
}

static void fail_times(struct thread *thread, struct upstream *upstream, int times)
{
    for (; times > 0; times--) {
        upstream_started(upstream);
        upstream_ended(thread, upstream, true, 1);
    }
}

static void test_failures_in_a_row_leave_one_out(void **state)
{
    struct thread *thread = thread_at(LONG_AGO_MS);
    struct upstream a = {.latency_ms = 1}, b = {.latency_ms = 1, .in_flight = 9}, *two[] = {&a, &b};

    (void)state;
    fail_times(thread, &a, EJECT_FAILURES - 1);
    upstream_started(&a);
    upstream_given_up(&a); /* tells nothing */
    assert_int_equal(picks_of(thread, two, 2, &a), COUNT_OF_PICKS);
    fail_times(thread, &a, 1);
    assert_int_equal(picks_of(thread, two, 2, &a), 0);
    assert_ptr_equal(upstream_pick(thread, two, 2, &b), &a); /* better than none */
    fail_times(thread, &b, EJECT_FAILURES);
    assert_int_equal(picks_of(thread, two, 2, &a), COUNT_OF_PICKS); /* all are out: as if none was */
    thread->loop.time += EJECT_MS;
    assert_int_equal(picks_of(thread, two, 2, &a), COUNT_OF_PICKS);
    assert_int_equal(a.in_flight, 0);
    assert_int_equal(b.in_flight, 9);
    end(thread);
}

static void test_success_ends_a_row(void **state)
{
    struct thread *thread = thread_at(LONG_AGO_MS);
    struct upstream a = {0};

    (void)state;
    fail_times(thread, &a, EJECT_FAILURES - 1);
    upstream_started(&a);
    upstream_ended(thread, &a, false, 8);
    fail_times(thread, &a, EJECT_FAILURES - 1);
    assert_int_equal(a.ejected_until_ms, 0);
    assert_true(a.latency_ms == 8);
    upstream_started(&a);
    upstream_ended(thread, &a, false, 16);
    assert_true(a.latency_ms == 9);
    end(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_and_one),        cmocka_unit_test(test_the_less_loaded_of_two),
        cmocka_unit_test(test_a_new_one_is_spared), cmocka_unit_test(test_failures_in_a_row_leave_one_out),
        cmocka_unit_test(test_success_ends_a_row),
    };

    return cmocka_run_group_tests_name("gateway/upstream", tests, NULL, NULL);
}
