/*
 * terminal_test.c - progress where stderr is no terminal.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/terminal.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int said[2], own_stderr; /* a pipe that stands in for stderr */

static int set_up(void **state)
{
    (void)state;
    unsetenv("SERIN_PROGRESS");
    own_stderr = dup(STDERR_FILENO);
    return pipe2(said, O_NONBLOCK) == 0 && own_stderr >= 0 && dup2(said[1], STDERR_FILENO) >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dup2(own_stderr, STDERR_FILENO) < 0 || close(own_stderr) || close(said[0]) || close(said[1]);
}

/* All that has been said since the last call. */
static const char *heard(void)
{
    static char text[512];
    ssize_t size = read(said[0], text, sizeof(text) - 1);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void a_line_each_half_minute(void **state)
{
    struct progress progress;

    (void)state;
    progress_begin(&progress, "measuring", 256, "img");
    progress_step(&progress, 1);
    assert_string_equal(heard(), "");
    progress.start_ns -= 31000000000u, progress.drawn_ns -= 31000000000u;
    progress_step(&progress, 62);
    assert_non_null(strstr(heard(), "serin: measuring: 62/256  24%  2.0 img/s  ETA 1:3"));
    progress_step(&progress, 63);
    assert_string_equal(heard(), "");
    progress.drawn_ns -= 31000000000u;
    progress_step(&progress, 128);
    assert_non_null(strstr(heard(), " 128/256 "));
    progress_hide(&progress);
    assert_string_equal(heard(), "");
    progress_begin(&progress, NULL, 4, "img");
    progress.drawn_ns -= 31000000000u;
    progress_step(&progress, 1);
    assert_non_null(strstr(heard(), "serin: 1/4  25%"));
}

static void no_line_where_none_is_wanted(void **state)
{
    struct progress progress;

    (void)state;
    setenv("SERIN_PROGRESS", "off", 1);
    progress_begin(&progress, "measuring", 256, "img");
    progress.drawn_ns -= 31000000000u;
    progress_step(&progress, 62);
    assert_string_equal(heard(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_each_half_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_line_where_none_is_wanted, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
