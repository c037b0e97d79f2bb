/*
 * parts_test.c - log lines and the place of control groups.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/cgroup_place.c"
#include "runtime/log_lines.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- log lines ---- */

struct heard {
    int lines;
    size_t longest;
    char last[LOG_LINE_BYTES + 1];
};

static void hear(void *user, const char *line)
{
    struct heard *heard = user;

    heard->lines++;
    if (strlen(line) > heard->longest)
        heard->longest = strlen(line);
    snprintf(heard->last, sizeof(heard->last), "%s", line);
}

static void feed(struct log_lines *lines, const char *text, uint64_t now_ms)
{
    log_lines_feed(lines, text, strlen(text), now_ms);
}

static void lines_come_whole_whatever_the_pieces(void **state)
{
    static struct log_lines lines;
    static struct heard heard;

    (void)state;
    log_lines_init(&lines, hear, &heard);
    feed(&lines, "one\r\ntw", 0);
    assert_int_equal(heard.lines, 1);
    assert_string_equal(heard.last, "one");
    feed(&lines, "o\n\nthree", 0);
    assert_int_equal(heard.lines, 3);
    assert_string_equal(heard.last, "");
    log_lines_end(&lines);
    assert_string_equal(heard.last, "three");
    log_lines_end(&lines); /* nothing is told twice */
    assert_int_equal(heard.lines, 4);
    log_lines_feed(&lines, "a\0b\n", 4, 0);
    assert_string_equal(heard.last, "a?b");
}

static void long_lines_are_cut_and_many_are_dropped(void **state)
{
    static struct log_lines lines;
    static struct heard heard;
    char text[5001];
    int i;

    (void)state;
    log_lines_init(&lines, hear, &heard);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    feed(&lines, text, 0);
    feed(&lines, text, 0);
    feed(&lines, "end\nnext\n", 0);
    assert_int_equal(heard.lines, 2);
    assert_int_equal(heard.longest, LOG_LINE_BYTES);
    assert_string_equal(heard.last, "next");
    for (i = 0; i < LOG_LINES_PER_SECOND + 5; i++)
        feed(&lines, "again\n", 500);
    assert_int_equal(heard.lines, LOG_LINES_PER_SECOND);
    feed(&lines, "later\n", 1000);
    assert_int_equal(heard.lines, LOG_LINES_PER_SECOND + 2);
    assert_string_equal(heard.last, "later");
    for (i = 0; i < LOG_LINES_PER_SECOND; i++)
        feed(&lines, "again\n", 1000);
    log_lines_end(&lines);
    assert_string_equal(heard.last, "(1 lines were dropped, the limit is 1000 a second)");
}

/* ---- control groups ---- */

static int place(const char *own, const char *mounts, const char *controller, char path[256])
{
    FILE *first = fmemopen((void *)own, strlen(own), "r"), *second = fmemopen((void *)mounts, strlen(mounts), "r");
    int version;

    assert_non_null(first);
    assert_non_null(second);
    strcpy(path, "untouched");
    version = cgroup_place(first, second, controller, path, 256);
    fclose(first);
    fclose(second);
    return version;
}

static void our_group_is_found_in_every_layout(void **state)
{
    const char *unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const char *hybrid = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                         "34 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
                         "35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const char *inside = "34 31 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    const char *own = "4:memory:/user/a\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/init.scope\n";
    char path[256];

    (void)state;
    assert_int_equal(place("0::/user.slice/serin.service\n", unified, "memory", path), 2);
    assert_string_equal(path, "/sys/fs/cgroup/user.slice/serin.service");
    assert_int_equal(place("0::/\n", unified, "cpu", path), 2);
    assert_string_equal(path, "/sys/fs/cgroup");
    assert_int_equal(place(own, hybrid, "memory", path), 1);
    assert_string_equal(path, "/sys/fs/cgroup/memory/user/a");
    assert_int_equal(place(own, hybrid, "cpu", path), 1);
    assert_string_equal(path, "/sys/fs/cgroup/cpu,cpuacct");
    assert_int_equal(place(own, hybrid, "pids", path), 2);
    assert_string_equal(path, "/sys/fs/cgroup/unified/init.scope");
    assert_int_equal(place("4:memory:/docker/abc\n", inside, "memory", path), 1);
    assert_string_equal(path, "/sys/fs/cgroup/memory");
    assert_int_equal(place("4:memory:/docker/abc/x\n", inside, "memory", path), 1);
    assert_string_equal(path, "/sys/fs/cgroup/memory/x");
}

static void what_lies_elsewhere_is_not_ours(void **state)
{
    const char *inside = "34 31 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    char path[256];

    (void)state;
    assert_int_equal(place("4:memory:/docker/abcd\n", inside, "memory", path), 0);
    assert_int_equal(place("4:memory:/other\n", inside, "memory", path), 0);
    assert_int_equal(place("4:memory:/../..\n", inside, "memory", path), 0);
    assert_int_equal(place("4:memory:/docker/abc\n", "nonsense\n", "memory", path), 0);
    assert_int_equal(place("nonsense\n::\n", inside, "memory", path), 0);
    assert_string_equal(path, "untouched");
    assert_true(cgroup_has_word("cpuset cpu io\n", " \n", "cpu"));
    assert_false(cgroup_has_word("cpuset io\n", " \n", "cpu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_come_whole_whatever_the_pieces),
                                       cmocka_unit_test(long_lines_are_cut_and_many_are_dropped),
                                       cmocka_unit_test(our_group_is_found_in_every_layout),
                                       cmocka_unit_test(what_lies_elsewhere_is_not_ours)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
