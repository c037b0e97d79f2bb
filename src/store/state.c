/*
 * state.c - the SQLite file: schema, writes in transactions, reads row by row.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A change and its line in the journal are one transaction. Statements are prepared anew for each call: changes are
 * rare, and a statement that lives on is one more thing to reset.
 */
#include "store/state_inside.h"

#include "base/clock.h"
#include "store/disk.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define APPLICATION_ID 0x53657269 /* "Seri", so that another program's file is not taken for ours */
#define SCHEMA_VERSION 4
#define PATIENCE_MS    2000 /* with another process's lock */
#define HURRIED_MS     100
#define REMOVE_SERVING "DELETE FROM serving WHERE name=?"

static const char *const schemas[SCHEMA_VERSION] = {
    "CREATE TABLE route(model TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE serving(name TEXT PRIMARY KEY, replicas INTEGER NOT NULL, url TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE change(number INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, author TEXT NOT NULL,"
    " what TEXT NOT NULL, detail TEXT NOT NULL);",
    "CREATE TABLE rollout(id TEXT PRIMARY KEY, model TEXT NOT NULL, plan TEXT NOT NULL, json TEXT NOT NULL);"
    "CREATE TABLE decision(number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,"
    " rollout TEXT NOT NULL REFERENCES rollout(id), model TEXT NOT NULL, author TEXT NOT NULL, event TEXT NOT NULL,"
    " why TEXT NOT NULL, numbers TEXT NOT NULL, records INTEGER NOT NULL, records_hash BLOB NOT NULL,"
    " state TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE INDEX decision_of ON decision(rollout, number);",
    ("CREATE TABLE token(name TEXT PRIMARY KEY, role TEXT NOT NULL, model TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,"
     " created_ms INTEGER NOT NULL) WITHOUT ROWID;"),
    "CREATE TABLE freeze(model TEXT PRIMARY KEY, calendar TEXT NOT NULL) WITHOUT ROWID;"};

enum serin_errc state_fault(struct state *state, const char *doing, struct serin_error *error)
{
    int code = sqlite3_errcode(state->db);

    return error_set(error, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? SERIN_CORRUPT : SERIN_IO,
                     "state file: %s: %s", doing, sqlite3_errmsg(state->db));
}

enum serin_errc state_execute(struct state *state, const char *sql, const char *doing, struct serin_error *error)
{
    return sqlite3_exec(state->db, sql, NULL, NULL, NULL) == SQLITE_OK ? SERIN_OK : state_fault(state, doing, error);
}

static int pragma_of(struct state *state, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int value = -1;

    if (sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static enum serin_errc bring_up(struct state *state, struct serin_error *error)
{
    int version = pragma_of(state, "PRAGMA user_version"), id = pragma_of(state, "PRAGMA application_id");
    char sql[64];
    enum serin_errc rc;

    if (version < 0 || id < 0)
        return state_fault(state, "reading its version", error);
    if (version > SCHEMA_VERSION || (version > 0 && id != APPLICATION_ID))
        return error_set(error, SERIN_CORRUPT,
                         "state file: its version is %d of program %08x, this program knows %d of %08x", version,
                         (unsigned)id, SCHEMA_VERSION, APPLICATION_ID);
    if (version == SCHEMA_VERSION)
        return SERIN_OK;
    rc = state_execute(state, "BEGIN IMMEDIATE", "making its tables", error);
    for (; version < SCHEMA_VERSION && rc == SERIN_OK; version++)
        rc = state_execute(state, schemas[version], "making its tables", error);
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
             SCHEMA_VERSION);
    if (rc == SERIN_OK)
        rc = state_execute(state, sql, "making its tables", error);
    if (rc != SERIN_OK)
        (void)sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* Who came in vain does not wait again within the next second: what is tried again and again, or by many, must not add
 * up to a thread that does nothing else. */
static int wait_for_lock(void *user, int tries)
{
    struct state *state = user;
    const uint64_t now_ms = clock_now_ns() / 1000000;
    const struct timespec pause = {.tv_nsec = 2000000};

    if (tries == 0)
        state->waits_since_ms = now_ms;
    if (now_ms < state->in_vain_until_ms)
        return 0;
    if (now_ms - state->waits_since_ms >= state->patience_ms) {
        state->in_vain_until_ms = now_ms + 1000;
        return 0;
    }
    nanosleep(&pause, NULL);
    return 1;
}

void state_hurry(struct state *state)
{
    state->patience_ms = HURRIED_MS;
}

enum serin_errc state_open(const char *path, struct state **ret, struct serin_error *error)
{
    struct state *state = calloc(1, sizeof(*state));
    enum serin_errc rc;

    if (!state)
        return error_set(error, SERIN_NOMEM, "no memory for the state file");
    disk_keep_private(path); /* hashes of tokens; SQLite gives its log the same mode */
    if (sqlite3_open_v2(path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        rc = error_set(error, SERIN_IO, "%s: %s", path, state->db ? sqlite3_errmsg(state->db) : "no memory");
        state_close(state);
        return rc;
    }
    state->patience_ms = PATIENCE_MS;
    sqlite3_busy_handler(state->db, wait_for_lock, state);
    rc = state_execute(state, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", "opening",
                       error);
    if (rc == SERIN_OK)
        rc = bring_up(state, error);
    if (rc != SERIN_OK) {
        error_prefix(error, rc, "%s", path);
        state_close(state);
        return rc;
    }
    *ret = state;
    return SERIN_OK;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    sqlite3_close(state->db);
    free(state);
}

/* ---- writing ---- */

/* One statement with text parameters. */
static enum serin_errc run_one(struct state *state, const char *sql, const char *const *texts, int count,
                               struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool done = sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK;
    int i;

    for (i = 0; i < count && done; i++)
        done = sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC) == SQLITE_OK;
    done = done && sqlite3_step(statement) == SQLITE_DONE;
    if (!done) {
        enum serin_errc rc = state_fault(state, "writing", error);

        sqlite3_finalize(statement);
        return rc;
    }
    sqlite3_finalize(statement);
    return SERIN_OK;
}

enum serin_errc state_note(struct state *state, const char *author, const char *what, const char *detail,
                           struct serin_error *error)
{
    char time_ms[32];
    const char *const line[] = {time_ms, author, what, detail};

    snprintf(time_ms, sizeof(time_ms), "%llu", (unsigned long long)clock_wall_ms());
    return run_one(state, "INSERT INTO change(time_ms, author, what, detail) VALUES(?, ?, ?, ?)", line, 4, error);
}

/* A change with its line in the journal. */
static enum serin_errc write_change(struct state *state, const char *sql, const char *const *texts, int count,
                                    const char *author, const char *what, const char *detail, struct serin_error *error)
{
    enum serin_errc rc = run_one(state, sql, texts, count, error);

    return rc == SERIN_OK ? state_note(state, author, what, detail, error) : rc;
}

bool state_is_gone(struct state *state)
{
    int moved = 0;

    return sqlite3_file_control(state->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

enum serin_errc state_begin(struct state *state, const char *doing, struct serin_error *error)
{
    if (state_is_gone(state)) /* the system would take it, for a file that nobody can open any more */
        return error_set(error, SERIN_IO, "state file: %s: it was deleted or replaced while the program runs", doing);
    return state_execute(state, "BEGIN IMMEDIATE", doing, error);
}

/* All of what was written since begin, or none where rc is an error. */
static enum serin_errc end(struct state *state, enum serin_errc rc, struct serin_error *error)
{
    if (rc == SERIN_OK)
        rc = state_execute(state, "COMMIT", "writing", error);
    if (rc != SERIN_OK)
        (void)sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

enum serin_errc state_write_change(struct state *state, const char *sql, const char *const *texts, int count,
                                   const char *author, const char *what, const char *detail, struct serin_error *error)
{
    enum serin_errc rc = state_begin(state, "writing", error);

    if (rc != SERIN_OK)
        return rc;
    return end(state, write_change(state, sql, texts, count, author, what, detail, error), error);
}

static enum serin_errc write_serving(struct state *state, const struct state_serving *serving, const char *author,
                                     struct serin_error *error)
{
    char replicas[16], detail[512];
    const char *const texts[] = {serving->name, replicas, serving->url};

    snprintf(replicas, sizeof(replicas), "%d", serving->replicas);
    snprintf(detail, sizeof(detail), "%s replicas=%d url=%s", serving->name, serving->replicas, serving->url);
    return write_change(state,
                        "INSERT INTO serving VALUES(?, ?, ?) ON CONFLICT(name) DO UPDATE SET "
                        "replicas=excluded.replicas, url=excluded.url",
                        texts, 3, author, "serving", detail, error);
}

enum serin_errc state_put_route(struct state *state, const char *model, const char *json,
                                const struct state_serving *enters, const char *leaves, const char *author,
                                struct serin_error *error)
{
    const char *const texts[] = {model, json};
    enum serin_errc rc = state_begin(state, "writing", error);

    if (rc != SERIN_OK)
        return rc;
    if (enters)
        rc = write_serving(state, enters, author, error);
    if (rc == SERIN_OK && leaves)
        rc = write_change(state, REMOVE_SERVING, &leaves, 1, author, "serving removed", leaves, error);
    if (rc == SERIN_OK)
        rc = write_change(state, "INSERT INTO route VALUES(?, ?) ON CONFLICT(model) DO UPDATE SET json=excluded.json",
                          texts, 2, author, "route", json, error);
    return end(state, rc, error);
}

enum serin_errc state_remove_route(struct state *state, const char *model, const char *author,
                                   struct serin_error *error)
{
    return state_write_change(state, "DELETE FROM route WHERE model=?", &model, 1, author, "route removed", model,
                              error);
}

enum serin_errc state_remove_serving(struct state *state, const char *name, const char *author,
                                     struct serin_error *error)
{
    return state_write_change(state, REMOVE_SERVING, &name, 1, author, "serving removed", name, error);
}

/* ---- reading ---- */

const char *state_text_at(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text ? (const char *)text : "";
}

enum serin_errc state_query(struct state *state, const char *sql, int limit,
                            void (*row)(sqlite3_stmt *statement, void *user), void *user, struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK) {
        if (limit > 0)
            sqlite3_bind_int(statement, 1, limit);
        while ((step = sqlite3_step(statement)) == SQLITE_ROW)
            row(statement, user);
    }
    if (step != SQLITE_DONE)
        rc = state_fault(state, "reading", error);
    sqlite3_finalize(statement);
    return rc;
}

struct reader {
    void (*route)(void *user, const char *model, const char *json);
    void (*serving)(void *user, const struct state_serving *serving);
    void (*change)(void *user, const struct state_change *change);
    void *user;
};

static void read_route(sqlite3_stmt *statement, void *user)
{
    struct reader *reader = user;

    reader->route(reader->user, state_text_at(statement, 0), state_text_at(statement, 1));
}

static void read_serving(sqlite3_stmt *statement, void *user)
{
    struct state_serving serving = {.replicas = sqlite3_column_int(statement, 1)};
    struct reader *reader = user;

    snprintf(serving.name, sizeof(serving.name), "%s", state_text_at(statement, 0));
    snprintf(serving.url, sizeof(serving.url), "%s", state_text_at(statement, 2));
    reader->serving(reader->user, &serving);
}

static void read_change(sqlite3_stmt *statement, void *user)
{
    const struct state_change change = {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                                        state_text_at(statement, 2), state_text_at(statement, 3),
                                        state_text_at(statement, 4)};
    struct reader *reader = user;

    reader->change(reader->user, &change);
}

enum serin_errc state_each_route(struct state *state, void (*each)(void *user, const char *model, const char *json),
                                 void *user, struct serin_error *error)
{
    struct reader reader = {.route = each, .user = user};

    return state_query(state, "SELECT model, json FROM route ORDER BY model", 0, read_route, &reader, error);
}

enum serin_errc state_each_serving(struct state *state, void (*each)(void *user, const struct state_serving *serving),
                                   void *user, struct serin_error *error)
{
    struct reader reader = {.serving = each, .user = user};

    return state_query(state, "SELECT name, replicas, url FROM serving ORDER BY name", 0, read_serving, &reader, error);
}

enum serin_errc state_each_change(struct state *state, int limit,
                                  void (*each)(void *user, const struct state_change *change), void *user,
                                  struct serin_error *error)
{
    struct reader reader = {.change = each, .user = user};

    return state_query(state, "SELECT number, time_ms, author, what, detail FROM change ORDER BY number DESC LIMIT ?",
                       limit > 0 ? limit : 100, read_change, &reader, error);
}
