/*
 * breaker_test.c - when a version is off, when it gets a trial, and that threads agree on it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/breaker.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* As if so many requests that had been let through failed. */
static void fail_times(struct breaker *breaker, int times, uint64_t now_ms)
{
    atomic_fetch_add(&breaker->in_flight, times);
    for (; times > 0; times--)
        breaker_failed(breaker, false, now_ms);
}

static void succeed(struct breaker *breaker)
{
    atomic_fetch_add(&breaker->in_flight, 1);
    breaker_succeeded(breaker);
}

/* What a request would be told, which is then not sent. */
static enum breaker_answer look(struct breaker *breaker, uint64_t now_ms)
{
    enum breaker_answer answer = breaker_ask(breaker, now_ms);

    if (answer == BREAKER_CLOSED || answer == BREAKER_TRIAL)
        breaker_given_up(breaker, answer == BREAKER_TRIAL);
    return answer;
}

static void test_opens_after_failures_in_a_row(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    assert_int_equal(look(&breaker, 1000), BREAKER_CLOSED);
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES - 1, 1000);
    assert_int_equal(look(&breaker, 1000), BREAKER_CLOSED);
    succeed(&breaker); /* not in a row any more */
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES - 1, 1000);
    assert_int_equal(look(&breaker, 1000), BREAKER_CLOSED);
    fail_times(&breaker, 1, 1000);
    assert_int_equal(look(&breaker, 1000), BREAKER_OPEN);
    assert_int_equal(look(&breaker, 1000 + BREAKER_FIRST_MS - 1), BREAKER_OPEN);
    assert_int_equal(breaker.in_flight, 0);
}

static void test_one_trial_at_a_time(void **state)
{
    struct breaker breaker = {0};
    const uint64_t then = 1000 + BREAKER_FIRST_MS;

    (void)state;
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES, 1000);
    assert_int_equal(breaker_ask(&breaker, then), BREAKER_TRIAL);
    assert_int_equal(breaker_ask(&breaker, then), BREAKER_OPEN);
    breaker_given_up(&breaker, true);
    assert_int_equal(breaker_ask(&breaker, then), BREAKER_TRIAL);
    breaker_succeeded(&breaker);
    assert_int_equal(look(&breaker, then), BREAKER_CLOSED);
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES - 1, then); /* counted from the beginning again */
    assert_int_equal(look(&breaker, then), BREAKER_CLOSED);
    assert_int_equal(breaker.in_flight, 0);
}

static void test_failed_trials_double_the_time_up_to_a_limit(void **state)
{
    struct breaker breaker = {0};
    uint64_t now_ms = 1000, expected_ms = BREAKER_FIRST_MS;
    int i;

    (void)state;
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES, now_ms);
    for (i = 0; i < 8; i++) {
        assert_int_equal(breaker_ask(&breaker, now_ms + expected_ms - 1), BREAKER_OPEN);
        assert_int_equal(breaker_ask(&breaker, now_ms + expected_ms), BREAKER_TRIAL);
        now_ms += expected_ms;
        breaker_failed(&breaker, true, now_ms);
        expected_ms = expected_ms * 2 < BREAKER_MAX_MS ? expected_ms * 2 : BREAKER_MAX_MS;
    }
    assert_int_equal(expected_ms, BREAKER_MAX_MS);
    breaker_ask(&breaker, now_ms + expected_ms);
    breaker_succeeded(&breaker); /* and a success forgets them all */
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES, now_ms);
    assert_int_equal(breaker_ask(&breaker, now_ms + BREAKER_FIRST_MS), BREAKER_TRIAL);
}

static void test_what_was_in_flight_does_not_lengthen_it(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    fail_times(&breaker, GATEWAY_BREAKER_FAILURES, 1000);
    fail_times(&breaker, 50, 2000);
    assert_int_equal(breaker_ask(&breaker, 1000 + BREAKER_FIRST_MS), BREAKER_TRIAL);
    fail_times(&breaker, 1, 1000 + BREAKER_FIRST_MS); /* one from before, that fails beside the trial */
    assert_int_equal(breaker_ask(&breaker, 1000 + BREAKER_FIRST_MS), BREAKER_OPEN);
    breaker_succeeded(&breaker);
    assert_int_equal(look(&breaker, 1000 + BREAKER_FIRST_MS), BREAKER_CLOSED);
}

/* The state that a success between another thread's count and its opening leaves: open, and no failure in a row. */
static void test_opened_beside_a_success_it_still_closes(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    atomic_store(&breaker.open_until_ms, 1000);
    assert_int_equal(breaker_ask(&breaker, 2000), BREAKER_TRIAL);
    breaker_succeeded(&breaker);
    assert_int_equal(look(&breaker, 2000), BREAKER_CLOSED);
    atomic_store(&breaker.open_until_ms, 1000);
    assert_int_equal(breaker_ask(&breaker, 2000), BREAKER_TRIAL);
    breaker_failed(&breaker, true, 2000); /* the trial fails: open for longer, and then there is another one */
    assert_int_equal(breaker_ask(&breaker, 2001), BREAKER_OPEN);
    assert_int_equal(breaker_ask(&breaker, 2000 + BREAKER_MAX_MS), BREAKER_TRIAL);
}

static void test_in_doubt_no_more_in_flight_than_may_fail(void **state)
{
    struct breaker breaker = {0};
    int i;

    (void)state;
    for (i = 0; i < BREAKER_MOST; i++) /* nothing is known of it yet */
        assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_CLOSED);
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_FULL);
    breaker_given_up(&breaker, false);
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_CLOSED);
    breaker_failed(&breaker, false, 1000); /* a failure makes no room */
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_FULL);
    breaker_succeeded(&breaker); /* now it is known to work */
    for (i = 0; i < 100; i++)
        assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_CLOSED);
    breaker_failed(&breaker, false, 1000); /* and in doubt again */
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_FULL);
    breaker_reset(&breaker); /* the next release: those in flight are still there, and told of */
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_FULL);
}

#define THREADS 4

static void *fail_often(void *breaker)
{
    fail_times(breaker, 1000, 1000);
    return NULL;
}

static void *ask_often(void *breaker)
{
    uintptr_t trials = 0;
    int i;

    for (i = 0; i < 1000; i++)
        trials += breaker_ask(breaker, 1000 + BREAKER_FIRST_MS) == BREAKER_TRIAL;
    return (void *)trials; /* NOLINT(performance-no-int-to-ptr) */
}

/* Requests that all fail: how many were let through? */
static void *send_failing(void *breaker)
{
    uintptr_t sent = 0;
    int i;

    for (i = 0; i < 10000; i++)
        if (breaker_ask(breaker, 1000) == BREAKER_CLOSED) {
            sent++;
            breaker_failed(breaker, false, 1000);
        }
    return (void *)sent; /* NOLINT(performance-no-int-to-ptr) */
}

static uintptr_t sum_of_threads(void *(*run)(void *breaker), struct breaker *breaker)
{
    pthread_t threads[THREADS];
    uintptr_t sum = 0;
    void *found;
    int i;

    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, breaker), 0);
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &found);
        sum += (uintptr_t)found;
    }
    return sum;
}

static void test_threads_share_it(void **state)
{
    struct breaker breaker = {0};
    int i;

    (void)state;
    sum_of_threads(fail_often, &breaker);
    assert_int_equal(breaker_ask(&breaker, 1000), BREAKER_OPEN);
    assert_int_equal(sum_of_threads(ask_often, &breaker), 1);
    for (i = 0; i < 200; i++) {
        breaker = (struct breaker){0};
        assert_in_range(sum_of_threads(send_failing, &breaker), GATEWAY_BREAKER_FAILURES, BREAKER_MOST);
        assert_int_equal(breaker.in_flight, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_after_failures_in_a_row),
        cmocka_unit_test(test_one_trial_at_a_time),
        cmocka_unit_test(test_failed_trials_double_the_time_up_to_a_limit),
        cmocka_unit_test(test_what_was_in_flight_does_not_lengthen_it),
        cmocka_unit_test(test_opened_beside_a_success_it_still_closes),
        cmocka_unit_test(test_in_doubt_no_more_in_flight_than_may_fail),
        cmocka_unit_test(test_threads_share_it),
    };

    return cmocka_run_group_tests_name("gateway/breaker", tests, NULL, NULL);
}
