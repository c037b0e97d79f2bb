/*
 * memory_limit_test.c - the default, and that what is more fails as an allocation and not as a death.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/memory_limit.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static void a_default_leaves_room_for_the_model(void **state)
{
    const uint64_t huge = (uint64_t)1 << 45;

    (void)state;
    if (ADDRESS_SANITIZED || THREAD_SANITIZED) {
        assert_int_equal(memory_limit_default(huge), 0);
        return;
    }
    assert_true(memory_limit_default(0) >= LEAST_BYTES);
    assert_true(memory_limit_default(0) <= machine_bytes() / 2 || memory_limit_default(0) == LEAST_BYTES);
    assert_int_equal(memory_limit_default(huge), LEAST_BYTES + 8 * huge);
}

static bool can_have(uint64_t bytes)
{
    volatile char *got = malloc(bytes);
    bool there = got != NULL;

    free((void *)got);
    return there;
}

/* In a child, whose limit ends with it. Which check failed, counted from 1; 0: none. */
static int check_in_child(void)
{
    struct serin_error error;

    if (memory_limit_in_force() != 0 || memory_limit_process(0, &error) != SERIN_OK || memory_limit_in_force() != 0)
        return 1;
    if (memory_limit_process(64 * MIB, &error) != SERIN_OK || memory_limit_in_force() < 64 * MIB)
        return 2;
    if (can_have(128 * MIB) || !can_have(32 * MIB))
        return 3;
    if (memory_limit_process(512 * MIB, &error) != SERIN_OK || can_have(128 * MIB)) /* the lower one stays */
        return 4;
    return 0;
}

static void what_is_more_fails(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
    if (ADDRESS_SANITIZED || THREAD_SANITIZED)
        skip();
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check_in_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_default_leaves_room_for_the_model),
        cmocka_unit_test(what_is_more_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
