/*
 * retry_test.c - retries are a share of the requests.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/retry.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SLOT 3

static int make_thread(void **state)
{
    struct thread *thread = calloc(1, sizeof(*thread));

    assert_non_null(thread);
    thread->counters = calloc(GATEWAY_MAX_SLOTS, sizeof(*thread->counters));
    assert_non_null(thread->counters);
    retry_begin(thread);
    *state = thread;
    return 0;
}

static int free_thread(void **state)
{
    struct thread *thread = *state;

    free(thread->counters);
    free(thread);
    return 0;
}

static int spend_all(struct thread *thread)
{
    int count = 0;

    while (retry_spend(thread, SLOT))
        count++;
    return count;
}

static void a_share_of_the_requests(void **state)
{
    struct thread *thread = *state;
    int i;

    assert_int_equal(spend_all(thread), FREE_A_SECOND * FORGOTTEN);
    assert_int_equal(spend_all(thread), 0);
    for (i = 0; i < 1000; i++)
        retry_earn(thread, SLOT);
    assert_int_equal(spend_all(thread), 200);
    assert_int_equal(thread->counters[SLOT].retries, FREE_A_SECOND * FORGOTTEN + 200);
    assert_int_equal(thread->counters[SLOT].retries_refused, 3);
    assert_int_equal(thread->retry_credit[SLOT + 1], thread->retry_credit[0]); /* each version has its own */
}

static void a_few_a_second_whatever_comes(void **state)
{
    struct thread *thread = *state;

    spend_all(thread);
    retry_second_over(thread);
    assert_int_equal(spend_all(thread), FREE_A_SECOND);
}

static void nothing_is_saved_for_long(void **state)
{
    struct thread *thread = *state;
    int i;

    for (i = 0; i < 1000000; i++)
        retry_earn(thread, SLOT);
    for (i = 0; i < 200; i++)
        retry_second_over(thread);
    assert_in_range(spend_all(thread), FREE_A_SECOND * FORGOTTEN, FREE_A_SECOND * FORGOTTEN + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_share_of_the_requests, make_thread, free_thread),
        cmocka_unit_test_setup_teardown(a_few_a_second_whatever_comes, make_thread, free_thread),
        cmocka_unit_test_setup_teardown(nothing_is_saved_for_long, make_thread, free_thread),
    };

    return cmocka_run_group_tests_name("gateway/retry", tests, NULL, NULL);
}
