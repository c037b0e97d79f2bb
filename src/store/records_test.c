/*
 * records_test.c - lines come back whole, a cut one goes, a full disk is waited for, and the hash is that of the bytes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/records.h"

#include <openssl/sha.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_FILE "m-1/2.ndjson"
#include "store/test_folder.h"

static char seen[4096];

static void note(void *user, const char *line, size_t size)
{
    (void)user;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s|", (int)size, line);
}

static struct records *open_records(void)
{
    struct records *records = NULL;
    struct serin_error error;

    seen[0] = '\0';
    if (records_open(folder, "m-1", 2, note, NULL, &records, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return records;
}

static void check_sync(struct records *records, int64_t lines, const char *bytes)
{
    uint8_t hash[RECORDS_HASH_BYTES], expected[RECORDS_HASH_BYTES];
    struct serin_error error;
    int64_t count;

    if (records_sync(records, &count, hash, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(count, lines);
    SHA256((const uint8_t *)bytes, strlen(bytes), expected);
    assert_memory_equal(hash, expected, sizeof(hash));
}

static void lines_come_back(void **unused)
{
    struct records *records = open_records();

    (void)unused;
    assert_string_equal(seen, "");
    check_sync(records, 0, "");
    records_append(records, "one\n", 4);
    records_append(records, "two\nthree\n", 10);
    check_sync(records, 3, "one\ntwo\nthree\n");
    records_append(records, "four\n", 5);
    records_close(records);
    records = open_records();
    assert_string_equal(seen, "one|two|three|four|");
    check_sync(records, 4, "one\ntwo\nthree\nfour\n");
    records_append(records, "five\n", 5);
    check_sync(records, 5, "one\ntwo\nthree\nfour\nfive\n");
    records_close(records);
}

static void a_cut_line_goes(void **unused)
{
    struct records *records = open_records();
    FILE *file;

    (void)unused;
    records_append(records, "whole\n", 6);
    records_close(records);
    file = fopen(path, "a");
    assert_non_null(file);
    assert_true(fputs("{\"t\":1.5,\"ar", file) >= 0);
    assert_int_equal(fclose(file), 0);
    records = open_records();
    assert_string_equal(seen, "whole|");
    records_append(records, "next\n", 5);
    check_sync(records, 2, "whole\nnext\n");
    records_close(records);
    records_close(open_records());
    assert_string_equal(seen, "whole|next|");
}

static void a_line_without_end_is_corrupt(void **unused)
{
    struct records *records = open_records();
    struct serin_error error;
    FILE *file;
    int i;

    (void)unused;
    records_close(records);
    file = fopen(path, "w");
    assert_non_null(file);
    for (i = 0; i < 3 * RECORDS_MAX_LINE; i++)
        assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    assert_int_equal(records_open(folder, "m-1", 2, NULL, NULL, &records, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "line 1"));
}

/* The limit of a file's size stands for a disk that is full, and is full no more after a while. */
static void waits_for_a_full_disk(void **unused)
{
    const struct rlimit small = {10, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    struct records *records = open_records();
    uint8_t hash[RECORDS_HASH_BYTES];
    struct serin_error error;
    int64_t count;

    (void)unused;
    signal(SIGXFSZ, SIG_IGN);
    records_append(records, "one\n", 4);
    check_sync(records, 1, "one\n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    records_append(records, "two\nthree\n", 10);
    assert_int_equal(records_sync(records, &count, hash, &error), SERIN_IO);
    records_append(records, "four\n", 5);
    assert_int_equal(records_sync(records, &count, hash, &error), SERIN_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    check_sync(records, 4, "one\ntwo\nthree\nfour\n");
    records_close(records);
    records_close(open_records());
    assert_string_equal(seen, "one|two|three|four|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_cut_line_goes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_line_without_end_is_corrupt, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(waits_for_a_full_disk, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
