/*
 * answers_test.c - what was kept is found, once, and the oldest go.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_FILE "answers.db"
#include "store/test_folder.h"

static struct answers *open_answers(int64_t max)
{
    struct answers *answers = NULL;
    struct serin_error error;

    assert_int_equal(answers_open(path, max, &answers, &error), SERIN_OK);
    return answers;
}

static void put(struct answers *answers, const char *id, const char *stable, const char *canary)
{
    const struct kept_answer answer = {.request_id = id,
                                       .rollout = "m-1",
                                       .camera = "c7",
                                       .slices = "light=dark",
                                       .attempt = 2,
                                       .time_ms = 1700000000123,
                                       .arm = 1,
                                       .share = .05,
                                       .width_px = 640,
                                       .height_px = 480,
                                       .boxes = {stable, canary},
                                       .sizes = {stable ? strlen(stable) : 0, canary ? strlen(canary) : 0}};
    struct serin_error error = {0};

    if (answers_put(answers, &answer, &error) != SERIN_OK)
        fail_msg("%s", error.message);
}

static char seen[256];

static void note(void *user, const struct kept_answer *a)
{
    (void)user;
    snprintf(seen, sizeof(seen), "%s %s %s %s %d %lld %d %.2f %.*s/%.*s", a->request_id, a->rollout, a->camera,
             a->slices, a->attempt, (long long)a->time_ms, a->arm, a->share, (int)a->sizes[0],
             a->boxes[0] ? (const char *)a->boxes[0] : "", (int)a->sizes[1],
             a->boxes[1] ? (const char *)a->boxes[1] : "");
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), " %d%d %dx%d%s", a->boxes[0] != NULL,
             a->boxes[1] != NULL, a->width_px, a->height_px, a->told ? " told" : "");
}

static enum serin_errc find(struct answers *answers, const char *id)
{
    struct serin_error error;

    seen[0] = '\0';
    return answers_find(answers, id, note, NULL, &error);
}

static void what_was_kept_is_found(void **unused)
{
    struct answers *answers = open_answers(100);
    struct serin_error error;

    (void)unused;
    put(answers, "r1", NULL, "boxes");
    assert_int_equal(find(answers, "r1"), SERIN_OK); /* before the batch has ended, too */
    assert_string_equal(seen, "r1 m-1 c7 light=dark 2 1700000000123 1 0.05 /boxes 01 640x480");
    put(answers, "r1", "new", "");
    assert_int_equal(answers_flush(answers, &error), SERIN_OK);
    assert_int_equal(answers_flush(answers, &error), SERIN_OK);
    put(answers, "r2", "", NULL);
    answers_close(answers);
    answers = open_answers(100);
    assert_int_equal(find(answers, "r1"), SERIN_OK);
    assert_string_equal(seen, "r1 m-1 c7 light=dark 2 1700000000123 1 0.05 new/ 11 640x480");
    assert_int_equal(find(answers, "r2"), SERIN_OK);
    assert_string_equal(seen, "r2 m-1 c7 light=dark 2 1700000000123 1 0.05 / 10 640x480");
    assert_int_equal(find(answers, "r3"), SERIN_NOT_FOUND);
    assert_string_equal(seen, "");
    answers_close(answers);
}

static void what_was_told_is_marked_until_the_id_is_used_again(void **unused)
{
    struct answers *answers = open_answers(100);
    struct serin_error error;

    (void)unused;
    put(answers, "r1", "", NULL);
    put(answers, "r2", "", NULL);
    assert_int_equal(answers_flush(answers, &error), SERIN_OK);
    assert_int_equal(answers_mark_told(answers, "r1", &error), SERIN_OK);
    assert_int_equal(answers_mark_told(answers, "nobody's", &error), SERIN_OK);
    answers_close(answers);
    answers = open_answers(100);
    assert_int_equal(find(answers, "r1"), SERIN_OK);
    assert_non_null(strstr(seen, " told"));
    assert_int_equal(find(answers, "r2"), SERIN_OK);
    assert_null(strstr(seen, " told"));
    put(answers, "r1", "", NULL); /* another request */
    assert_int_equal(find(answers, "r1"), SERIN_OK);
    assert_null(strstr(seen, " told"));
    answers_close(answers);
}

/* The file of a program from before sizes were kept. */
static void older_files_are_read(void **unused)
{
    sqlite3 *db;
    struct answers *answers;

    (void)unused;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE answer(number INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE,"
                     " rollout TEXT NOT NULL, camera TEXT NOT NULL, slices TEXT NOT NULL, attempt INTEGER NOT NULL,"
                     " time_ms INTEGER NOT NULL, arm INTEGER NOT NULL, share REAL NOT NULL, stable BLOB, canary BLOB);"
                     "INSERT INTO answer VALUES(1, 'r1', 'm-1', 'c7', '', 2, 5, 0, .05, x'', NULL)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    answers = open_answers(100);
    assert_int_equal(find(answers, "r1"), SERIN_OK);
    assert_string_equal(seen, "r1 m-1 c7  2 5 0 0.05 / 10 0x0");
    answers_close(answers);
}

static void the_oldest_go(void **unused)
{
    struct answers *answers = open_answers(500);
    char id[16];
    int i;

    (void)unused;
    for (i = 0; i < 3000; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        put(answers, id, "x", NULL);
    }
    assert_int_equal(find(answers, "r2499"), SERIN_NOT_FOUND);
    assert_int_equal(find(answers, "r2500"), SERIN_OK);
    assert_int_equal(find(answers, "r2999"), SERIN_OK);
    answers_close(answers);
}

static void large_ones_are_refused(void **unused)
{
    struct answers *answers = open_answers(10);
    static char large[ANSWERS_MAX_BYTES + 1];
    const struct kept_answer answer = {.request_id = "r",
                                       .rollout = "",
                                       .camera = "",
                                       .slices = "",
                                       .boxes = {large, NULL},
                                       .sizes = {sizeof(large), 0}};
    struct serin_error error;

    (void)unused;
    assert_int_equal(answers_put(answers, &answer, &error), SERIN_LIMIT);
    answers_close(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_kept_is_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_was_told_is_marked_until_the_id_is_used_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(older_files_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_oldest_go, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(large_ones_are_refused, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
