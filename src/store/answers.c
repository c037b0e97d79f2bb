/*
 * answers.c - kept answers in a SQLite file that is written behind.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A batch is one transaction, which a put begins and a flush ends; reads see it before it has ended, for they use the
 * same connection. Statements are prepared once: puts come with every request of a rollout.
 */
#include "store/answers.h"

#include "store/disk.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_EVERY 1000 /* puts between two looks at how many there are */

struct answers {
    sqlite3 *db;
    sqlite3_stmt *put, *find, *tell, *trim;
    int64_t max_kept;
    int since_trim;
    bool in_batch;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    "CREATE TABLE IF NOT EXISTS answer(number INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE,"
    " rollout TEXT NOT NULL, camera TEXT NOT NULL, slices TEXT NOT NULL, attempt INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, arm INTEGER NOT NULL, share REAL NOT NULL, stable BLOB, canary BLOB);";

/* Of files from before these columns were; where they are there it fails, and nothing is changed. */
static const char *const later[] = {"ALTER TABLE answer ADD COLUMN width_px INTEGER NOT NULL DEFAULT 0",
                                    "ALTER TABLE answer ADD COLUMN height_px INTEGER NOT NULL DEFAULT 0",
                                    "ALTER TABLE answer ADD COLUMN told INTEGER NOT NULL DEFAULT 0"};

static enum serin_errc fault(struct answers *answers, const char *doing, struct serin_error *error)
{
    return error_set(error, SERIN_IO, "kept answers: %s: %s", doing, sqlite3_errmsg(answers->db));
}

static bool add_columns(struct answers *answers)
{
    size_t i;

    for (i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        (void)sqlite3_exec(answers->db, later[i], NULL, NULL, NULL);
    return true;
}

static bool prepare(struct answers *answers, const char *sql, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v3(answers->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK;
}

enum serin_errc answers_open(const char *path, int64_t max_kept, struct answers **ret, struct serin_error *error)
{
    struct answers *answers = calloc(1, sizeof(*answers));
    enum serin_errc rc;

    if (!answers)
        return error_set(error, SERIN_NOMEM, "no memory for kept answers");
    answers->max_kept = max_kept;
    disk_keep_private(path); /* what cameras saw, as boxes */
    if (sqlite3_open_v2(path, &answers->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        sqlite3_exec(answers->db, schema, NULL, NULL, NULL) == SQLITE_OK && add_columns(answers) &&
        prepare(answers,
                "INSERT OR REPLACE INTO answer(request_id, rollout, camera, slices, attempt, time_ms, arm, share,"
                " stable, canary, width_px, height_px) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                &answers->put) &&
        prepare(answers,
                "SELECT request_id, rollout, camera, slices, attempt, time_ms, arm, share, stable, canary, width_px,"
                " height_px, told FROM answer WHERE request_id=?",
                &answers->find) &&
        prepare(answers, "UPDATE answer SET told=1 WHERE request_id=?", &answers->tell) &&
        prepare(answers, "DELETE FROM answer WHERE number <= (SELECT max(number) FROM answer) - ?", &answers->trim)) {
        *ret = answers;
        return SERIN_OK;
    }
    rc = fault(answers, path, error);
    answers_close(answers);
    return rc;
}

void answers_close(struct answers *answers)
{
    if (!answers)
        return;
    if (answers->in_batch)
        (void)sqlite3_exec(answers->db, "COMMIT", NULL, NULL, NULL);
    sqlite3_finalize(answers->put);
    sqlite3_finalize(answers->find);
    sqlite3_finalize(answers->tell);
    sqlite3_finalize(answers->trim);
    sqlite3_close(answers->db);
    free(answers);
}

static bool bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    return sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC) == SQLITE_OK;
}

static bool bind_boxes(sqlite3_stmt *statement, int place, const void *boxes, size_t size)
{
    if (!boxes)
        return sqlite3_bind_null(statement, place) == SQLITE_OK;
    if (size == 0)
        return sqlite3_bind_zeroblob(statement, place, 0) == SQLITE_OK;
    return sqlite3_bind_blob(statement, place, boxes, (int)size, SQLITE_STATIC) == SQLITE_OK;
}

static bool run(sqlite3_stmt *statement)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return done;
}

static bool begin(struct answers *answers)
{
    if (!answers->in_batch)
        answers->in_batch = sqlite3_exec(answers->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;
    return answers->in_batch;
}

enum serin_errc answers_put(struct answers *answers, const struct kept_answer *answer, struct serin_error *error)
{
    sqlite3_stmt *put = answers->put;

    if (answer->sizes[0] > ANSWERS_MAX_BYTES || answer->sizes[1] > ANSWERS_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "an answer's boxes are larger than %d bytes", ANSWERS_MAX_BYTES);
    if (!begin(answers))
        return fault(answers, "beginning a batch", error);
    if (!bind_text(put, 1, answer->request_id) || !bind_text(put, 2, answer->rollout) ||
        !bind_text(put, 3, answer->camera) || !bind_text(put, 4, answer->slices) ||
        sqlite3_bind_int(put, 5, answer->attempt) != SQLITE_OK ||
        sqlite3_bind_int64(put, 6, answer->time_ms) != SQLITE_OK ||
        sqlite3_bind_int(put, 7, answer->arm) != SQLITE_OK || sqlite3_bind_double(put, 8, answer->share) != SQLITE_OK ||
        !bind_boxes(put, 9, answer->boxes[0], answer->sizes[0]) ||
        !bind_boxes(put, 10, answer->boxes[1], answer->sizes[1]) ||
        sqlite3_bind_int(put, 11, answer->width_px) != SQLITE_OK ||
        sqlite3_bind_int(put, 12, answer->height_px) != SQLITE_OK || !run(put))
        return fault(answers, "keeping one", error);
    if (++answers->since_trim >= TRIM_EVERY) {
        answers->since_trim = 0;
        if (sqlite3_bind_int64(answers->trim, 1, answers->max_kept) != SQLITE_OK || !run(answers->trim))
            return fault(answers, "letting the oldest go", error);
    }
    return SERIN_OK;
}

enum serin_errc answers_flush(struct answers *answers, struct serin_error *error)
{
    if (!answers->in_batch)
        return SERIN_OK;
    answers->in_batch = false;
    if (sqlite3_exec(answers->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
        return SERIN_OK;
    (void)fault(answers, "ending a batch", error);
    (void)sqlite3_exec(answers->db, "ROLLBACK", NULL, NULL, NULL);
    return SERIN_IO;
}

enum serin_errc answers_find(struct answers *answers, const char *request_id,
                             void (*found)(void *user, const struct kept_answer *answer), void *user,
                             struct serin_error *error)
{
    sqlite3_stmt *find = answers->find;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR, arm;

    if (bind_text(find, 1, request_id))
        step = sqlite3_step(find);
    if (step == SQLITE_ROW) {
        struct kept_answer answer = {.request_id = (const char *)sqlite3_column_text(find, 0),
                                     .rollout = (const char *)sqlite3_column_text(find, 1),
                                     .camera = (const char *)sqlite3_column_text(find, 2),
                                     .slices = (const char *)sqlite3_column_text(find, 3),
                                     .attempt = sqlite3_column_int(find, 4),
                                     .time_ms = sqlite3_column_int64(find, 5),
                                     .arm = sqlite3_column_int(find, 6) == 1,
                                     .share = sqlite3_column_double(find, 7),
                                     .width_px = sqlite3_column_int(find, 10),
                                     .height_px = sqlite3_column_int(find, 11),
                                     .told = sqlite3_column_int(find, 12) != 0};

        for (arm = 0; arm < 2; arm++)
            if (sqlite3_column_type(find, 8 + arm) != SQLITE_NULL) {
                answer.boxes[arm] = sqlite3_column_blob(find, 8 + arm);
                answer.sizes[arm] = (size_t)sqlite3_column_bytes(find, 8 + arm);
                if (!answer.boxes[arm]) /* an empty blob: it answered that nothing is there */
                    answer.boxes[arm] = "";
            }
        found(user, &answer);
    } else if (step == SQLITE_DONE) {
        rc = error_set(error, SERIN_NOT_FOUND, "no answer to request '%s' is kept", request_id);
    } else {
        rc = fault(answers, "looking one up", error);
    }
    sqlite3_reset(find);
    sqlite3_clear_bindings(find);
    return rc;
}

enum serin_errc answers_mark_told(struct answers *answers, const char *request_id, struct serin_error *error)
{
    if (!begin(answers) || !bind_text(answers->tell, 1, request_id) || !run(answers->tell))
        return fault(answers, "marking one as told", error);
    return SERIN_OK;
}
