/*
 * other_user_test.c - what is open to everybody, and a process that became nobody.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/other_user.c"

#include "runtime/sandbox.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static char tree[64];

static int make_tree(void **state)
{
    char path[128];
    FILE *file;

    (void)state;
    strcpy(tree, "/tmp/serin-other-user-XXXXXX");
    assert_non_null(mkdtemp(tree));
    snprintf(path, sizeof(path), "%s/file", tree);
    file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
    return chmod(tree, 0755);
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

static void every_folder_on_the_way_must_be_open(void **state)
{
    char file[128], link[128];

    (void)state;
    snprintf(file, sizeof(file), "%s/file", tree);
    snprintf(link, sizeof(link), "%s/link", tree);
    assert_int_equal(symlink("file", link), 0);
    assert_true(is_open(file, S_IROTH));
    assert_true(is_open(link, S_IROTH));
    assert_false(is_open(file, S_IROTH | S_IXOTH));
    assert_int_equal(chmod(file, 0640), 0);
    assert_false(is_open(file, S_IROTH));
    assert_false(is_open(link, S_IROTH)); /* the file counts, not the link */
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(tree, 0750), 0);
    assert_false(is_open(file, S_IROTH));
    assert_int_equal(chmod(tree, 0711), 0);
    assert_true(is_open(file, S_IROTH));
    assert_false(is_open("/no/such/file", S_IROTH));
}

static void what_is_not_known_to_be_open_stays_closed(void **state)
{
    const char *nothing[] = {NULL}, *closed[] = {"/proc/1/mem", NULL};
    char run_dir[128];
    struct replica_spec spec = {.program = "/bin/cat", .run_dir = run_dir, .readable = NULL, .gpu = -1};

    (void)state;
    snprintf(run_dir, sizeof(run_dir), "%s/run", tree);
    assert_false(other_user_can_run(&spec)); /* it may read anything */
    spec.readable = closed;
    assert_false(other_user_can_run(&spec));
    spec.readable = nothing;
    /* Our own libraries may lie in somebody's home. */
    assert_int_equal(other_user_can_run(&spec), dl_iterate_phdr(look_at_library, NULL) == 0);
    spec.gpu = 0;
    assert_false(other_user_can_run(&spec));
    spec.gpu = -1;
    assert_int_equal(chmod(tree, 0700), 0);
    assert_false(other_user_can_run(&spec));
}

static void a_process_becomes_nobody(void **state)
{
    char *const argv[] = {(char *)"cat", (char *)"/proc/self/status", NULL}, *const envp[] = {NULL};
    struct sandbox_plan plan = {.program = "/bin/cat", .argv = argv, .envp = envp, .landlock_fd = -1};
    struct serin_error error = {0};
    char text[8192];
    size_t size = 0;
    ssize_t got;
    int fds[2], status;
    pid_t pid;

    (void)state;
    if (!(sandbox_features() & SANDBOX_OTHER_USER)) {
        print_message("skipped: we are not root, or may not give users\n");
        assert_true(!other_user_is_possible() || !(sandbox_features() & SANDBOX_USER_NAMESPACE));
        return;
    }
    plan.features = sandbox_features() & ~(unsigned)(SANDBOX_FILES | SANDBOX_SYSCALL_FILTER);
    assert_int_equal(pipe(fds), 0);
    plan.log_fd = fds[1];
    if (sandbox_spawn(&plan, &pid, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    close(fds[1]);
    while (size < sizeof(text) - 1 && (got = read(fds[0], text + size, sizeof(text) - 1 - size)) > 0)
        size += (size_t)got;
    text[size] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "\nUid:\t65534\t65534\t65534\t65534\n"));
    assert_non_null(strstr(text, "\nGid:\t65534\t65534\t65534\t65534\n"));
    assert_non_null(strstr(text, "\nGroups:\t \n")); /* ours are gone, too */
    assert_non_null(strstr(text, "\nCapEff:\t0000000000000000\n"));
}

static void a_run_dir_is_given_away(void **state)
{
    struct stat status;

    (void)state;
    if (!other_user_is_possible())
        return;
    assert_int_equal(other_user_own(tree, NULL), SERIN_OK);
    assert_int_equal(stat(tree, &status), 0);
    assert_int_equal(status.st_uid, OTHER_USER);
    assert_int_equal(status.st_gid, getegid());
    assert_int_equal(status.st_mode & 07777, 0770);
}

#define ON_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_TREE(every_folder_on_the_way_must_be_open),
        ON_A_TREE(what_is_not_known_to_be_open_stays_closed),
        ON_A_TREE(a_process_becomes_nobody),
        ON_A_TREE(a_run_dir_is_given_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
