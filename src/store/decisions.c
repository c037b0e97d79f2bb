/*
 * decisions.c - the log of decisions in the state file, each row chained to the one before it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is hashed: the hash before (zeros for the first row), then every column in the order of the table, each as its
 * length in 8 bytes, little-endian, and its bytes; numbers as their decimal text. The numbers of rows are given here
 * and not by SQLite, so that a gap is a fault. Nothing is ever updated but the rollout's present state, which is the
 * state of its last decision and is checked against it.
 */
#include "store/decisions.h"

#include "store/state_inside.h"

#include <openssl/evp.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS "number, time_ms, rollout, model, author, event, why, numbers, records, records_hash, state, hash"

static bool add_text(EVP_MD_CTX *digest, const void *bytes, size_t size)
{
    uint8_t length[8];
    int i;

    for (i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)size >> (8 * i));
    return EVP_DigestUpdate(digest, length, sizeof(length)) == 1 && EVP_DigestUpdate(digest, bytes, size) == 1;
}

static bool add_number(EVP_MD_CTX *digest, int64_t number)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%lld", (long long)number);

    return add_text(digest, text, (size_t)size);
}

static bool hash_row(const uint8_t before[DECISION_HASH_BYTES], const struct decision *row,
                     uint8_t ret[DECISION_HASH_BYTES])
{
    const char *const texts[] = {row->rollout, row->model, row->author, row->event, row->why, row->numbers};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                add_text(digest, before, DECISION_HASH_BYTES) && add_number(digest, row->number) &&
                add_number(digest, row->time_ms);
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]) && done; i++)
        done = add_text(digest, texts[i], strlen(texts[i]));
    done = done && add_number(digest, row->records) && add_text(digest, row->records_hash, DECISION_HASH_BYTES) &&
           add_text(digest, row->state, strlen(row->state)) && EVP_DigestFinal_ex(digest, ret, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return done;
}

static void read_hash(sqlite3_stmt *statement, int column, uint8_t ret[DECISION_HASH_BYTES])
{
    const void *bytes = sqlite3_column_blob(statement, column);

    memset(ret, 0, DECISION_HASH_BYTES);
    if (bytes && sqlite3_column_bytes(statement, column) == DECISION_HASH_BYTES)
        memcpy(ret, bytes, DECISION_HASH_BYTES);
}

/* The texts belong to the statement until its next step. */
static void read_row(sqlite3_stmt *statement, struct decision *ret)
{
    *ret = (struct decision){.number = sqlite3_column_int64(statement, 0),
                             .time_ms = sqlite3_column_int64(statement, 1),
                             .rollout = state_text_at(statement, 2),
                             .model = state_text_at(statement, 3),
                             .author = state_text_at(statement, 4),
                             .event = state_text_at(statement, 5),
                             .why = state_text_at(statement, 6),
                             .numbers = state_text_at(statement, 7),
                             .records = sqlite3_column_int64(statement, 8),
                             .state = state_text_at(statement, 10)};
    read_hash(statement, 9, ret->records_hash);
    read_hash(statement, 11, ret->hash);
}

/* ---- writing ---- */

static enum serin_errc read_last(struct state *state, int64_t *ret_number, uint8_t ret_hash[DECISION_HASH_BYTES],
                                 struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    *ret_number = 0;
    memset(ret_hash, 0, DECISION_HASH_BYTES);
    if (sqlite3_prepare_v2(state->db, "SELECT number, hash FROM decision ORDER BY number DESC LIMIT 1", -1, &statement,
                           NULL) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        read_hash(statement, 1, ret_hash);
    } else if (step != SQLITE_DONE) {
        rc = state_fault(state, "reading the last decision", error);
    }
    sqlite3_finalize(statement);
    return rc;
}

static enum serin_errc insert(struct state *state, const struct decision *row, struct serin_error *error)
{
    static const char sql[] = "INSERT INTO decision(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    const char *const texts[] = {row->rollout, row->model, row->author, row->event, row->why, row->numbers};
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    bool done = sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 1, row->number) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 2, row->time_ms) == SQLITE_OK;
    int i;

    for (i = 0; i < 6 && done; i++)
        done = sqlite3_bind_text(statement, 3 + i, texts[i], -1, SQLITE_STATIC) == SQLITE_OK;
    done = done && sqlite3_bind_int64(statement, 9, row->records) == SQLITE_OK &&
           sqlite3_bind_blob(statement, 10, row->records_hash, DECISION_HASH_BYTES, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_text(statement, 11, row->state, -1, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_blob(statement, 12, row->hash, DECISION_HASH_BYTES, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_step(statement) == SQLITE_DONE;
    if (!done)
        rc = state_fault(state, "writing a decision", error);
    sqlite3_finalize(statement);
    return rc;
}

/* plan NULL: the rollout is there already. */
static enum serin_errc put_rollout(struct state *state, const struct decision *row, const char *plan,
                                   struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    bool done = sqlite3_prepare_v2(state->db,
                                   plan ? "INSERT INTO rollout(json, id, model, plan) VALUES(?, ?, ?, ?)"
                                        : "UPDATE rollout SET json=? WHERE id=? AND model=?",
                                   -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_text(statement, 1, row->state, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_text(statement, 2, row->rollout, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_text(statement, 3, row->model, -1, SQLITE_STATIC) == SQLITE_OK &&
                (!plan || sqlite3_bind_text(statement, 4, plan, -1, SQLITE_STATIC) == SQLITE_OK) &&
                sqlite3_step(statement) == SQLITE_DONE;

    if (!done)
        rc = state_fault(state, "writing a rollout", error);
    else if (sqlite3_changes(state->db) != 1)
        rc = error_set(error, SERIN_NOT_FOUND, "no rollout %s of %s", row->rollout, row->model);
    sqlite3_finalize(statement);
    return rc;
}

enum serin_errc decisions_append(struct state *state, struct decision *decision, const char *plan,
                                 struct serin_error *error)
{
    uint8_t before[DECISION_HASH_BYTES];
    struct decision row = *decision;
    enum serin_errc rc = state_execute(state, "BEGIN IMMEDIATE", "writing a decision", error);

    if (rc != SERIN_OK)
        return rc;
    rc = read_last(state, &row.number, before, error);
    row.number++;
    if (rc == SERIN_OK && !hash_row(before, &row, row.hash))
        rc = error_set(error, SERIN_NOMEM, "no memory to hash a decision");
    if (rc == SERIN_OK)
        rc = put_rollout(state, &row, plan, error);
    if (rc == SERIN_OK)
        rc = insert(state, &row, error);
    if (rc == SERIN_OK)
        rc = state_execute(state, "COMMIT", "writing a decision", error);
    if (rc != SERIN_OK) {
        (void)sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    *decision = row;
    return SERIN_OK;
}

/* ---- reading ---- */

enum serin_errc decisions_each_rollout(struct state *state, const char *model, int limit,
                                       void (*each)(void *user, const char *id, const char *rollout_json,
                                                    const char *plan_yaml, int64_t number),
                                       void *user, struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(state->db,
                           "SELECT id, json, plan, (SELECT max(number) FROM decision WHERE rollout = id) FROM rollout"
                           " WHERE ?1 IS NULL OR model=?1 ORDER BY rowid DESC"
                           " LIMIT ?2",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, model, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_int(statement, 2, limit) == SQLITE_OK)
        while ((step = sqlite3_step(statement)) == SQLITE_ROW)
            each(user, state_text_at(statement, 0), state_text_at(statement, 1), state_text_at(statement, 2),
                 sqlite3_column_int64(statement, 3));
    if (step != SQLITE_DONE)
        rc = state_fault(state, "reading rollouts", error);
    sqlite3_finalize(statement);
    return rc;
}

enum serin_errc decisions_each(struct state *state, const char *rollout,
                               void (*each)(void *user, const struct decision *decision), void *user,
                               struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(state->db, "SELECT " COLUMNS " FROM decision WHERE ?1 IS NULL OR rollout=?1 ORDER BY number",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, rollout, -1, SQLITE_STATIC) == SQLITE_OK)
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            struct decision row;

            read_row(statement, &row);
            each(user, &row);
        }
    if (step != SQLITE_DONE)
        rc = state_fault(state, "reading decisions", error);
    sqlite3_finalize(statement);
    return rc;
}

struct chain {
    int64_t count, bad; /* bad: number of the first row that does not fit; 0: none */
    const char *fault;
    uint8_t last[DECISION_HASH_BYTES];
};

static void check_row(void *user, const struct decision *row)
{
    struct chain *chain = user;
    uint8_t hash[DECISION_HASH_BYTES];

    if (chain->bad)
        return;
    chain->count++;
    if (row->number != chain->count) {
        chain->bad = chain->count;
        chain->fault = "is missing";
    } else if (!hash_row(chain->last, row, hash) || memcmp(hash, row->hash, sizeof(hash)) != 0) {
        chain->bad = row->number;
        chain->fault = "is not what was written";
    }
    memcpy(chain->last, row->hash, sizeof(chain->last));
}

/* What a rollout is said to be must be what its last decision made it. */
static enum serin_errc check_states(struct state *state, struct serin_error *error)
{
    static const char sql[] =
        "SELECT id FROM rollout WHERE json IS NOT (SELECT state FROM decision WHERE rollout=id AND decision.model="
        "rollout.model ORDER BY number DESC LIMIT 1) LIMIT 1";
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        rc = error_set(error, SERIN_CORRUPT, "decisions: the state of rollout %s is not that of its last decision",
                       state_text_at(statement, 0));
    else if (step != SQLITE_DONE)
        rc = state_fault(state, "reading rollouts", error);
    sqlite3_finalize(statement);
    return rc;
}

enum serin_errc decisions_verify(struct state *state, int64_t *ret_count, uint8_t ret_last[DECISION_HASH_BYTES],
                                 struct serin_error *error)
{
    struct chain chain = {0};
    enum serin_errc rc = decisions_each(state, NULL, check_row, &chain, error);

    if (rc != SERIN_OK)
        return rc;
    if (chain.bad)
        return error_set(error, SERIN_CORRUPT, "decisions: number %lld %s", (long long)chain.bad, chain.fault);
    rc = check_states(state, error);
    if (rc != SERIN_OK)
        return rc;
    *ret_count = chain.count;
    memcpy(ret_last, chain.last, DECISION_HASH_BYTES);
    return SERIN_OK;
}
