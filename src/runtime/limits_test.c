/*
 * limits_test.c - control groups of version 2, on made-up trees: the machine that tests may have version 1 only.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/limits.c"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char tree[64]; /* the parent of "own" */
static char own[80];

static void put(const char *folder, const char *file, const char *text)
{
    char path[256];
    FILE *stream;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void assert_holds(const char *folder, const char *file, const char *text)
{
    char got[256];

    assert_true(read_file(folder, file, got, sizeof(got)));
    assert_string_equal(got, text);
}

static int make_tree(void **state)
{
    (void)state;
    strcpy(tree, "/tmp/serin-limits-XXXXXX");
    assert_non_null(mkdtemp(tree));
    snprintf(own, sizeof(own), "%s/own", tree);
    assert_int_equal(mkdir(own, 0700), 0);
    put(tree, "cgroup.subtree_control", "memory pids\n");
    put(own, "cgroup.controllers", "memory pids\n");
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static int remove_tree(void **state)
{
    (void)state;
    return nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_controller_is_handed_down(void **state)
{
    char path[128];

    (void)state;
    strcpy(path, own);
    put(own, "cgroup.subtree_control", "");
    assert_false(find_unified(path, "cpu")); /* we have none to hand down */
    assert_holds(own, "cgroup.subtree_control", "");
    assert_true(find_unified(path, "memory"));
    assert_string_equal(path, own);
    assert_holds(own, "cgroup.subtree_control", "+memory");
    put(own, "cgroup.subtree_control", "memory pids\n");
    assert_true(find_unified(path, "pids")); /* it is already */
    assert_holds(own, "cgroup.subtree_control", "memory pids\n");
}

/* Without a file cgroup.subtree_control to write, as with one that answers EBUSY. */
static void with_others_in_the_group_we_go_beside_it(void **state)
{
    char path[128];

    (void)state;
    strcpy(path, own);
    put(own, "cgroup.procs", "1\n2\n");
    put(own, "memory.max", "max\n");
    put(own, "pids.max", "18000\n");
    assert_true(find_unified(path, "memory"));
    assert_string_equal(path, tree);
}

static void a_limit_of_the_group_is_not_evaded(void **state)
{
    char path[128];

    (void)state;
    strcpy(path, own);
    put(own, "cgroup.procs", "1\n2\n");
    put(own, "memory.max", "1073741824\n");
    assert_false(find_unified(path, "memory"));
    put(own, "memory.max", "max\n");
    put(own, "cpu.max", "200000 100000\n");
    strcpy(path, own);
    assert_false(find_unified(path, "memory"));
}

static void limits_are_written_as_version_2_reads_them(void **state)
{
    struct limits_group group;
    struct serin_error error;
    char path[128];
    int i;

    (void)state;
    limits_cgroup_version(LIMITS_MEMORY); /* so that it has looked */
    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        places[i].version = 2;
        snprintf(places[i].path, sizeof(places[i].path), "%s", own);
    }
    snprintf(path, sizeof(path), "%s/serin-%d-0", own, (int)getpid());
    assert_int_equal(mkdir(path, 0700), 0);
    put(path, "memory.max", "");
    put(path, "cpu.max", "");
    put(path, "pids.max", "");
    put(path, "cgroup.procs", "");
    put(path, "memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n");
    assert_int_equal(limits_init(&group, 64 << 20, 1.5, &error), SERIN_OK);
    assert_holds(path, "memory.max", "67108864");
    assert_holds(path, "cpu.max", "150000 100000");
    assert_holds(path, "pids.max", "4096");
    assert_int_equal(limits_peak_bytes(&group), 0); /* a kernel before 5.19 */
    put(path, "memory.peak", "54321000\n");
    assert_int_equal(limits_peak_bytes(&group), 54321000);
    assert_int_equal(limits_admit(&group, 1234567, &error), SERIN_OK);
    assert_holds(path, "cgroup.procs", "1234567");
    assert_false(limits_killed_for_memory(&group));
    put(path, "memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n");
    assert_true(limits_killed_for_memory(&group));
    assert_false(limits_killed_for_memory(&group)); /* told once */
    assert_false(limits_done(&group));              /* something is in it still */
    put(path, "cgroup.kill", "");
    limits_kill(&group);
    assert_holds(path, "cgroup.kill", "1");
}

static void the_tightest_group_tells_what_is_left(void **state)
{
    (void)state;
    assert_true(left_from(own, 2) == UINT64_MAX); /* nothing is limited */
    put(tree, "memory.max", "max\n");
    put(tree, "memory.current", "900\n");
    assert_true(left_from(own, 2) == UINT64_MAX);
    put(own, "memory.max", "1000\n");
    put(own, "memory.current", "700\n");
    assert_int_equal(left_from(own, 2), 300);
    put(own, "memory.stat", "anon 500\nfile 200\ninactive_file 150\nactive_file 50\n");
    assert_int_equal(left_from(own, 2), 450);
    put(tree, "memory.max", "1100\n");
    assert_int_equal(left_from(own, 2), 200); /* neighbours use it, too */
    put(tree, "memory.current", "1200\n");
    assert_int_equal(left_from(own, 2), 0);
    put(own, "memory.limit_in_bytes", "9223372036854771712\n");
    put(own, "memory.usage_in_bytes", "712\n");
    put(own, "memory.stat", "inactive_file 9\ntotal_inactive_file 12\n");
    assert_true(left_from(own, 1) == 9223372036854771012u);
}

static void only_stale_groups_are_removed(void **state)
{
    static const char *const names_of_groups[] = {"serin-1-0", "serin-4194305-3", "serin-4194305-self",
                                                  "other-4194305-1", "serin-x-1"};
    static const int stays[] = {1, 0, 0, 1, 1};
    char path[128];
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++) { /* 4194304 is the kernel's largest id, and 1 always lives */
        snprintf(path, sizeof(path), "%s/%s", own, names_of_groups[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    remove_stale(own, false);
    for (i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "%s/%s", own, names_of_groups[i]);
        assert_int_equal(access(path, F_OK) == 0, stays[i]);
    }
    snprintf(path, sizeof(path), "%s/serin-%d-0", own, (int)getpid());
    assert_int_equal(mkdir(path, 0700), 0);
    remove_stale(own, false);
    assert_int_equal(access(path, F_OK), 0);
    remove_stale(own, true);
    assert_int_equal(access(path, F_OK), -1);
}

#define ON_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_TREE(a_controller_is_handed_down),           ON_A_TREE(with_others_in_the_group_we_go_beside_it),
        ON_A_TREE(a_limit_of_the_group_is_not_evaded),    ON_A_TREE(limits_are_written_as_version_2_reads_them),
        ON_A_TREE(the_tightest_group_tells_what_is_left), ON_A_TREE(only_stale_groups_are_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
