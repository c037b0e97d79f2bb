/*
 * log_test.c - who reads slowly, not at all, or has no room; and what people see.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/log.c"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define LINES 200000 /* more than both buffers take */

static char line[101];

static void make_line(void)
{
    memset(line, 'x', sizeof(line) - 1);
}

static void make_fifo(char *path, size_t size)
{
    char folder[] = "/tmp/serin-log-XXXXXX";

    assert_non_null(mkdtemp(folder));
    snprintf(path, size, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void remove_fifo(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* Reads to the end; whole lines of ours, and how many lines the log says it lost. */
static void read_all(int fd, unsigned long *ret_lines, unsigned long *ret_told)
{
    FILE *stream = fdopen(fd, "r");
    char text[512];

    *ret_lines = *ret_told = 0;
    while (fgets(text, sizeof(text), stream)) {
        const char *told = strstr(text, "\"message\":\"");

        assert_int_equal(text[strlen(text) - 1], '\n');
        if (told)
            *ret_told += strtoul(told + 11, NULL, 10);
        else
            assert_int_equal(strlen(text), sizeof(line));
        *ret_lines += told == NULL;
    }
    fclose(stream);
}

static void *read_on(void *argument)
{
    unsigned long *found = argument;

    read_all((int)found[2], &found[0], &found[1]);
    return NULL;
}

static void test_a_reader_that_stands_still(void **state)
{
    char path[64];
    struct log_counts counts;
    struct log *log = NULL;
    unsigned long found[3];
    pthread_t reader;
    int fd, i;

    (void)state;
    make_line();
    make_fifo(path, sizeof(path));
    fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(log_open(path, &log, NULL), SERIN_OK);
    for (i = 0; i < LINES; i++) /* would stand still too, if it waited */
        log_line(log, line, sizeof(line) - 1);
    counts = log_counts(log);
    assert_true(counts.dropped > 0 && counts.taken > 0);
    assert_int_equal(counts.taken + counts.dropped, LINES);

    /* It goes on: all that was taken is there, whole, and what was lost is told. */
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    found[2] = (unsigned long)fd;
    assert_int_equal(pthread_create(&reader, NULL, read_on, found), 0);
    log_close(log);
    pthread_join(reader, NULL);
    assert_int_equal(found[0], counts.taken);
    assert_int_equal(found[1], counts.dropped);
    remove_fifo(path);
}

static void test_the_end_does_not_wait_for_it(void **state)
{
    char path[64];
    struct log *log = NULL;
    struct serin_error error;
    int fd, i;

    (void)state;
    make_line();
    make_fifo(path, sizeof(path));
    assert_int_equal(log_open(path, &log, &error), SERIN_IO);
    assert_non_null(strstr(error.message, "nobody reads"));
    fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(log_open(path, &log, NULL), SERIN_OK);
    for (i = 0; i < 2000; i++)
        log_line(log, line, sizeof(line) - 1);
    log_close(log);
    close(fd); /* lets the writer end */
    remove_fifo(path);
}

static void test_a_full_disk(void **state)
{
    struct log_counts counts;
    struct log *log = NULL;
    int i;

    (void)state;
    make_line();
    assert_int_equal(log_open("/dev/full", &log, NULL), SERIN_OK);
    for (i = 0; i < 1000; i++)
        log_line(log, line, sizeof(line) - 1);
    do { /* until the writer has tried */
        poll(NULL, 0, 10);
        counts = log_counts(log);
    } while (counts.dropped < 1000);
    assert_int_equal(counts.taken, 1000);
    assert_int_equal(counts.dropped, 1000);
    log_close(log);
}

/* A disk that has room for half a line, and later for more: lines before and behind stay whole. */
static void test_half_a_line(void **state)
{
    struct log log = {.torn = false};
    char text[64] = "";
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    log.fd = ends[1];
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    while (write(ends[1], "", 1) == 1)
        ;
    write_counted(&log, "lost\nlost\n", 10);
    assert_int_equal(log.dropped, 2);
    assert_false(log.torn);
    log.torn = true; /* as after a part */
    assert_true(read(ends[0], (char[4096]){0}, 4096) > 0);
    write_counted(&log, "whole\n", 6);
    assert_false(log.torn);
    assert_int_equal(read(ends[0], text, sizeof(text)), 7);
    assert_string_equal(text, "\nwhole\n");
    assert_int_equal(log.dropped, 2);
    close(ends[0]);
    close(ends[1]);
}

static void check_readable(const char *json, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 4096);
    log_readable(json, strlen(json), &out);
    assert_string_equal(out.bytes, expected);
    buffer_done(&out);
}

static void test_what_people_see(void **state)
{
    struct buffer line_out;

    (void)state;
    check_readable("{\"@timestamp\":\"2026-01-31T12:04:31.207Z\",\"log.level\":\"warn\",\"doing\":\"watching\","
                   "\"message\":\"a\\u001b[2Jb\"}",
                   "12:04:31.207 warn  watching: a [2Jb\n");
    check_readable(
        "{\"@timestamp\":\"2026-01-31T12:04:31.207Z\",\"log.level\":\"info\",\"http.request.method\":\"POST\","
        "\"url.path\":\"/v1/predict/m\",\"http.response.status_code\":200,\"event.duration\":12500000,"
        "\"serin.version\":\"v1\",\"serin.assigned\":\"v2\",\"error.message\":\"too late\"}",
        "12:04:31.207 info  POST /v1/predict/m 200 in 12.5 ms by v1 in the place of v2: too late\n");
    check_readable("not JSON", "not JSON\n");
    check_readable("[1]", "[1]\n");
    buffer_init(&line_out, 4096);
    write_event(&line_out, "info", "testing", "a \"sentence\"\n");
    assert_non_null(strstr(line_out.bytes, "\"doing\":\"testing\",\"message\":\"a \\\"sentence\\\"\\u000a\"}"));
    assert_non_null(strstr(line_out.bytes, "\"service.name\":\"serin\""));
    buffer_done(&line_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_stands_still),
        cmocka_unit_test(test_the_end_does_not_wait_for_it),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_half_a_line),
        cmocka_unit_test(test_what_people_see),
    };

    signal(SIGPIPE, SIG_IGN); /* as serve_run */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
