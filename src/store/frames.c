/*
 * frames.c - kept frames in a SQLite file: rows to be looked through, and their pictures apart.
 * SPDX-License-Identifier: Apache-2.0
 *
 * There is no log of writes, which would keep what was deleted. A put is one transaction, which ends with the limits
 * kept or is taken back. Nothing waits for the disk (synchronous=OFF): a machine that loses power loses the newest
 * frames, or all of them where the file is damaged then, and no more than pictures.
 */
#include "store/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 200 /* another process deletes */

struct frames {
    sqlite3 *db;
};

static const char schema[] =
    "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF; PRAGMA secure_delete=ON;"
    "CREATE TABLE IF NOT EXISTS frame(number INTEGER PRIMARY KEY AUTOINCREMENT, rollout TEXT NOT NULL,"
    " model TEXT NOT NULL, stable TEXT NOT NULL, canary TEXT NOT NULL, attempt INTEGER NOT NULL,"
    " request_id TEXT NOT NULL, camera TEXT NOT NULL, slices TEXT NOT NULL, width INTEGER NOT NULL,"
    " height INTEGER NOT NULL, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, difference REAL NOT NULL,"
    " bytes INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, verdict TEXT NOT NULL DEFAULT '',"
    " author TEXT NOT NULL DEFAULT '', judged_ms INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS frame_by_rollout ON frame(rollout, difference);"
    "CREATE TABLE IF NOT EXISTS picture(number INTEGER PRIMARY KEY, type TEXT NOT NULL, boxes TEXT NOT NULL,"
    " bytes BLOB NOT NULL);"
    "CREATE TRIGGER IF NOT EXISTS frame_goes AFTER DELETE ON frame BEGIN"
    " DELETE FROM picture WHERE number = old.number; END;";

#define COLUMNS                                                                                                        \
    "frame.number, rollout, model, stable, canary, attempt, request_id, camera, slices, width, height, time_ms,"       \
    " difference, frame.bytes, state, verdict, author, judged_ms, type, boxes FROM frame JOIN picture USING(number)"

static enum serin_errc fault(struct frames *frames, const char *doing, struct serin_error *error)
{
    return error_set(error, sqlite3_errcode(frames->db) == SQLITE_NOMEM ? SERIN_NOMEM : SERIN_IO, "kept frames: %s: %s",
                     doing, sqlite3_errmsg(frames->db));
}

static enum serin_errc execute(struct frames *frames, const char *sql, const char *doing, struct serin_error *error)
{
    return sqlite3_exec(frames->db, sql, NULL, NULL, NULL) == SQLITE_OK ? SERIN_OK : fault(frames, doing, error);
}

enum serin_errc frames_open(const char *path, struct frames **ret, struct serin_error *error)
{
    struct frames *frames = calloc(1, sizeof(*frames));
    int fd;
    enum serin_errc rc;

    if (!frames)
        return error_set(error, SERIN_NOMEM, "no memory for kept frames");
    /* SQLite gives its other files the mode of this one. */
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0) {
        rc = error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        free(frames);
        return rc;
    }
    close(fd);
    if (sqlite3_open_v2(path, &frames->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(frames->db, BUSY_MS) != SQLITE_OK)
        rc = fault(frames, path, error);
    else
        rc = execute(frames, schema, path, error);
    if (rc != SERIN_OK) {
        frames_close(frames);
        return rc;
    }
    *ret = frames;
    return SERIN_OK;
}

void frames_close(struct frames *frames)
{
    if (!frames)
        return;
    sqlite3_close(frames->db);
    free(frames);
}

/* ---- statements ---- */

/* Prepares sql and binds its parameters: 't' a text, 'i' an int64_t, 'd' a double. NULL: the error is SQLite's. */
static sqlite3_stmt *prepare(struct frames *frames, const char *sql, const char *kinds, ...)
{
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(frames->db, sql, -1, &statement, NULL) == SQLITE_OK;
    va_list given;
    int i;

    va_start(given, kinds);
    for (i = 0; good && kinds[i]; i++) {
        if (kinds[i] == 't')
            good = sqlite3_bind_text(statement, i + 1, va_arg(given, const char *), -1, SQLITE_TRANSIENT) == SQLITE_OK;
        else if (kinds[i] == 'i')
            good = sqlite3_bind_int64(statement, i + 1, va_arg(given, int64_t)) == SQLITE_OK;
        else
            good = sqlite3_bind_double(statement, i + 1, va_arg(given, double)) == SQLITE_OK;
    }
    va_end(given);
    if (good)
        return statement;
    sqlite3_finalize(statement);
    return NULL;
}

/* Runs a statement that has no rows. */
static enum serin_errc run(struct frames *frames, sqlite3_stmt *statement, const char *doing, struct serin_error *error)
{
    bool done = statement && sqlite3_step(statement) == SQLITE_DONE;
    enum serin_errc rc = done ? SERIN_OK : fault(frames, doing, error);

    sqlite3_finalize(statement);
    return rc;
}

static const char *text_at(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text ? text : "";
}

static struct kept_frame frame_at(sqlite3_stmt *row)
{
    return (struct kept_frame){.number = sqlite3_column_int64(row, 0),
                               .rollout = text_at(row, 1),
                               .model = text_at(row, 2),
                               .stable = text_at(row, 3),
                               .canary = text_at(row, 4),
                               .attempt = sqlite3_column_int(row, 5),
                               .request_id = text_at(row, 6),
                               .camera = text_at(row, 7),
                               .slices = text_at(row, 8),
                               .width = sqlite3_column_int(row, 9),
                               .height = sqlite3_column_int(row, 10),
                               .time_ms = sqlite3_column_int64(row, 11),
                               .difference = sqlite3_column_double(row, 12),
                               .picture_bytes = (size_t)sqlite3_column_int64(row, 13),
                               .state = (enum frame_state)sqlite3_column_int(row, 14),
                               .right = text_at(row, 15),
                               .author = text_at(row, 16),
                               .judged_ms = sqlite3_column_int64(row, 17),
                               .type = text_at(row, 18),
                               .boxes = text_at(row, 19)};
}

/* Calls found for each row of COLUMNS; statement is finalized. */
static enum serin_errc each(struct frames *frames, sqlite3_stmt *statement, frames_found *found, void *user,
                            int *ret_count, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    *ret_count = 0;
    while (statement && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct kept_frame frame = frame_at(statement);

        ++*ret_count;
        found(user, &frame);
    }
    if (step != SQLITE_DONE)
        rc = fault(frames, "looking through them", error);
    sqlite3_finalize(statement);
    return rc;
}

/* ---- keeping ---- */

enum room { ROOM_FOUND, ROOM_NONE, ROOM_FAULT };

/* One row of an integer and a number; false: none, or an error. */
static bool one_row(sqlite3_stmt *statement, int64_t *ret_number, double *ret_value)
{
    bool found = statement && sqlite3_step(statement) == SQLITE_ROW;

    if (found) {
        *ret_number = sqlite3_column_int64(statement, 0);
        *ret_value = sqlite3_column_double(statement, 1);
    }
    sqlite3_finalize(statement);
    return found;
}

static enum room give_up(struct frames *frames, int64_t number, struct serin_error *error)
{
    return run(frames, prepare(frames, "DELETE FROM frame WHERE number = ?", "i", number), "deleting one", error) ==
                   SERIN_OK
               ? ROOM_FOUND
               : ROOM_FAULT;
}

/* The frame of the same scene goes where the new one differs more. */
static enum room take_place_of_neighbour(struct frames *frames, const struct kept_frame *frame,
                                         struct serin_error *error)
{
    int64_t number;
    double difference;

    if (!one_row(prepare(frames,
                         "SELECT number, difference FROM frame WHERE rollout = ? AND camera = ? AND abs(time_ms - ?) < "
                         "? ORDER BY state DESC, difference DESC LIMIT 1",
                         "ttii", frame->rollout, frame->camera, frame->time_ms, (int64_t)FRAMES_GAP_MS),
                 &number, &difference))
        return ROOM_FOUND;
    /* One that somebody has judged stays. */
    if (difference >= frame->difference ||
        one_row(prepare(frames, "SELECT number, 0 FROM frame WHERE number = ? AND state != 0", "i", number), &number,
                &difference))
        return ROOM_NONE;
    return give_up(frames, number, error);
}

/* Lets one frame go for the new one: of the cameras that have most, the new one counted, the least different. */
static enum room make_room(struct frames *frames, const struct kept_frame *frame, struct serin_error *error)
{
    int64_t number;
    double difference;

    if (one_row(prepare(frames,
                        "SELECT number, 0 FROM frame WHERE rollout = ? AND state = 2 ORDER BY judged_ms LIMIT 1", "t",
                        frame->rollout),
                &number, &difference))
        return give_up(frames, number, error);
    /* The new one stands among the others as number 0, which comes first of equals. */
    if (!one_row(prepare(frames,
                         "WITH one(number, camera, difference) AS (SELECT number, camera, difference FROM frame WHERE"
                         " rollout = ?1 AND state = 0 UNION ALL SELECT 0, ?2, ?3),"
                         " many(camera, count) AS (SELECT camera, count(*) FROM one GROUP BY camera)"
                         " SELECT number, difference FROM one JOIN many USING(camera)"
                         " WHERE count = (SELECT max(count) FROM many) ORDER BY difference, number LIMIT 1",
                         "ttd", frame->rollout, frame->camera, frame->difference),
                 &number, &difference) ||
        number == 0)
        return ROOM_NONE;
    return give_up(frames, number, error);
}

static enum room find_room(struct frames *frames, const struct kept_frame *frame, size_t size,
                           const struct frames_limits *limits, struct serin_error *error)
{
    enum room room = take_place_of_neighbour(frames, frame, error);

    while (room == ROOM_FOUND) {
        struct frames_sum sum;

        if (frames_sum(frames, frame->rollout, &sum, error) != SERIN_OK)
            return ROOM_FAULT;
        if (sum.count < limits->count && sum.bytes + (int64_t)size <= limits->bytes)
            return ROOM_FOUND;
        room = sum.count > 0 ? make_room(frames, frame, error) : ROOM_NONE;
    }
    return room;
}

static enum serin_errc insert(struct frames *frames, const struct kept_frame *frame, const void *picture, size_t size,
                              const struct frames_limits *limits, struct serin_error *error)
{
    sqlite3_stmt *statement =
        prepare(frames,
                "INSERT INTO frame(rollout, model, stable, canary, attempt, request_id, camera, slices, width, height,"
                " time_ms, expires_ms, difference, bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                "ttttitttiiiidi", frame->rollout, frame->model, frame->stable, frame->canary, (int64_t)frame->attempt,
                frame->request_id, frame->camera, frame->slices, (int64_t)frame->width, (int64_t)frame->height,
                frame->time_ms, frame->time_ms + limits->retention_ms, frame->difference, (int64_t)size);
    enum serin_errc rc = run(frames, statement, "keeping one", error);

    if (rc != SERIN_OK)
        return rc;
    statement = prepare(frames, "INSERT INTO picture(number, type, boxes, bytes) VALUES(?, ?, ?, ?)", "itt",
                        (int64_t)sqlite3_last_insert_rowid(frames->db), frame->type, frame->boxes);
    if (statement && sqlite3_bind_blob(statement, 4, picture, (int)size, SQLITE_STATIC) != SQLITE_OK) {
        sqlite3_finalize(statement);
        statement = NULL;
    }
    return run(frames, statement, "keeping a picture", error);
}

enum serin_errc frames_put(struct frames *frames, const struct kept_frame *frame, const void *picture,
                           const struct frames_limits *limits, bool *ret_kept, struct serin_error *error)
{
    const size_t size = frame->picture_bytes;
    enum serin_errc rc;
    enum room room;

    if (size == 0 || size > FRAMES_MAX_PICTURE)
        return error_set(error, SERIN_LIMIT, "a picture of %zu bytes is not kept, the limit is %zu", size,
                         FRAMES_MAX_PICTURE);
    rc = execute(frames, "BEGIN IMMEDIATE", "beginning to keep one", error);
    if (rc != SERIN_OK)
        return rc;
    room = find_room(frames, frame, size, limits, error);
    rc = room == ROOM_FOUND   ? insert(frames, frame, picture, size, limits, error)
         : room == ROOM_FAULT ? error->code
                              : SERIN_OK;
    if (rc == SERIN_OK && room == ROOM_FOUND)
        rc = execute(frames, "COMMIT", "keeping one", error);
    if (rc != SERIN_OK || room != ROOM_FOUND)
        (void)sqlite3_exec(frames->db, "ROLLBACK", NULL, NULL, NULL);
    if (rc == SERIN_OK)
        *ret_kept = room == ROOM_FOUND;
    return rc;
}

/* ---- looking ---- */

enum serin_errc frames_each(struct frames *frames, const char *rollout, bool open_only, int from, int limit,
                            frames_found *found, void *user, struct serin_error *error)
{
    int count;

    return each(frames,
                prepare(frames,
                        "SELECT " COLUMNS " WHERE rollout = ? AND (state = 0 OR NOT ?) ORDER BY difference DESC,"
                        " frame.number LIMIT ? OFFSET ?",
                        "tiii", rollout, (int64_t)open_only, (int64_t)limit, (int64_t)from),
                found, user, &count, error);
}

static enum serin_errc not_found(int64_t number, struct serin_error *error)
{
    return error_set(error, SERIN_NOT_FOUND, "no frame %lld is kept (any more)", (long long)number);
}

enum serin_errc frames_find(struct frames *frames, int64_t number, frames_found *found, void *user,
                            struct serin_error *error)
{
    int count;
    enum serin_errc rc = each(frames, prepare(frames, "SELECT " COLUMNS " WHERE frame.number = ?", "i", number), found,
                              user, &count, error);

    return rc != SERIN_OK || count > 0 ? rc : not_found(number, error);
}

enum serin_errc frames_picture(struct frames *frames, int64_t number,
                               void (*found)(void *user, const char *type, const void *bytes, size_t size), void *user,
                               struct serin_error *error)
{
    sqlite3_stmt *statement = prepare(frames, "SELECT type, bytes FROM picture WHERE number = ?", "i", number);
    int step = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    enum serin_errc rc = SERIN_OK;

    if (step == SQLITE_ROW)
        found(user, text_at(statement, 0), sqlite3_column_blob(statement, 1),
              (size_t)sqlite3_column_bytes(statement, 1));
    else
        rc = step == SQLITE_DONE ? not_found(number, error) : fault(frames, "reading a picture", error);
    sqlite3_finalize(statement);
    return rc;
}

enum serin_errc frames_sum(struct frames *frames, const char *rollout, struct frames_sum *ret,
                           struct serin_error *error)
{
    sqlite3_stmt *statement = prepare(
        frames, "SELECT count(*), coalesce(sum(state = 0), 0), coalesce(sum(bytes), 0) FROM frame WHERE rollout = ?",
        "t", rollout);
    enum serin_errc rc = SERIN_OK;

    if (statement && sqlite3_step(statement) == SQLITE_ROW)
        *ret = (struct frames_sum){sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                                   sqlite3_column_int64(statement, 2)};
    else
        rc = fault(frames, "counting them", error);
    sqlite3_finalize(statement);
    return rc;
}

/* ---- judging ---- */

static void note_counted(void *user, const struct kept_frame *frame)
{
    struct serin_error *why = user;

    if (frame->state == FRAME_COUNTED && !frame->right[0])
        error_set(why, SERIN_LIMIT, "feedback has told what is right of frame %lld, and that counts already",
                  (long long)frame->number);
    else if (frame->state == FRAME_COUNTED)
        error_set(why, SERIN_LIMIT,
                  "%s has said '%s' of frame %lld, and that counts already: it can be changed only at "
                  "first",
                  frame->author, frame->right, (long long)frame->number);
}

enum serin_errc frames_judge(struct frames *frames, int64_t number, const char *right, const char *author,
                             int64_t now_ms, struct serin_error *error)
{
    struct serin_error why = {0};
    enum serin_errc rc = frames_find(frames, number, note_counted, &why, error);

    if (rc != SERIN_OK)
        return rc;
    if (why.code != SERIN_OK) {
        if (error)
            *error = why;
        return why.code;
    }
    return run(frames,
               prepare(frames,
                       "UPDATE frame SET state = 1, verdict = ?, author = ?, judged_ms = ? WHERE number = ? AND state <"
                       " 2",
                       "ttii", right, author, now_ms, number),
               "judging one", error);
}

enum serin_errc frames_mark_told(struct frames *frames, const char *rollout, const char *request_id, int64_t now_ms,
                                 struct serin_error *error)
{
    return run(frames,
               prepare(frames,
                       "UPDATE frame SET state = 2, author = 'feedback', judged_ms = ? WHERE rollout = ? AND"
                       " request_id = ? AND state = 0",
                       "itt", now_ms, rollout, request_id),
               "marking one as told", error);
}

#define GIVEN " WHERE state = 1 AND judged_ms <= ?1 AND frame.number != ?2 AND (?3 = '' OR rollout = ?3)"

struct counting {
    int64_t *numbers;
    int count, room;
};

static void note_number(void *user, const struct kept_frame *frame)
{
    struct counting *counting = user;

    if (counting->count < counting->room)
        counting->numbers[counting->count++] = frame->number;
}

enum serin_errc frames_settle(struct frames *frames, const char *rollout, int64_t until_ms, int64_t except,
                              frames_found *counted, void *user, struct serin_error *error)
{
    int64_t numbers[FRAMES_MAX_REQUESTED];
    struct counting counting = {.numbers = numbers, .room = FRAMES_MAX_REQUESTED};
    int unused, i;
    enum serin_errc rc = each(frames,
                              prepare(frames, "SELECT " COLUMNS GIVEN " ORDER BY judged_ms, frame.number", "iit",
                                      until_ms, except, rollout ? rollout : ""),
                              note_number, &counting, &unused, error);

    for (i = 0; i < counting.count && rc == SERIN_OK; i++) {
        rc = run(frames, prepare(frames, "UPDATE frame SET state = 2 WHERE number = ?", "i", numbers[i]),
                 "counting an answer", error);
        if (rc == SERIN_OK)
            rc = frames_find(frames, numbers[i], counted, user, error);
    }
    return rc;
}

/* ---- deleting ---- */

/* What was deleted has been overwritten by then; the file becomes smaller, too. */
static enum serin_errc remove_by(struct frames *frames, sqlite3_stmt *statement, int *ret_count,
                                 struct serin_error *error)
{
    enum serin_errc rc = run(frames, statement, "deleting", error);
    int count = rc == SERIN_OK ? sqlite3_changes(frames->db) : 0;

    if (count > 0)
        rc = execute(frames, "PRAGMA incremental_vacuum", "deleting", error);
    if (ret_count)
        *ret_count = count;
    return rc;
}

enum serin_errc frames_remove(struct frames *frames, int64_t number, int *ret_count, struct serin_error *error)
{
    int count = 0;
    enum serin_errc rc =
        remove_by(frames, prepare(frames, "DELETE FROM frame WHERE number = ?", "i", number), &count, error);

    if (ret_count)
        *ret_count = count;
    return rc != SERIN_OK || count > 0 ? rc : not_found(number, error);
}

enum serin_errc frames_remove_rollout(struct frames *frames, const char *rollout, int *ret_count,
                                      struct serin_error *error)
{
    return remove_by(frames, prepare(frames, "DELETE FROM frame WHERE rollout = ?", "t", rollout), ret_count, error);
}

enum serin_errc frames_remove_version(struct frames *frames, const char *model, const char *tag, int *ret_count,
                                      struct serin_error *error)
{
    return remove_by(
        frames,
        prepare(frames, "DELETE FROM frame WHERE model = ?1 AND (stable = ?2 OR canary = ?2)", "tt", model, tag),
        ret_count, error);
}

enum serin_errc frames_expire(struct frames *frames, int64_t now_ms, int *ret_count, struct serin_error *error)
{
    return remove_by(frames, prepare(frames, "DELETE FROM frame WHERE expires_ms <= ?", "i", now_ms), ret_count, error);
}
