/*
 * decisions.c - the log of decisions in the state file, each row chained to the one before it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is hashed: the hash before (zeros for the first row), then every column in the order of the table, each as its
 * length in 8 bytes, little-endian, and its bytes; numbers as their decimal text. The numbers of rows are given here
 * and not by SQLite, so that a gap is a fault. Nothing is ever updated but the rollout's present state, which is the
 * state of its last decision and is checked against it. Its plan is checked against the digest in its first one.
 */
#include "store/decisions.h"

#include "base/text.h"
#include "store/state_inside.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
    enum serin_errc rc = state_begin(state, "writing a decision", error);

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
                                       void (*each)(void *user, const struct stored_rollout *rollout), void *user,
                                       struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(
            state->db,
            "SELECT id, model, json, plan, (SELECT max(number) FROM decision WHERE rollout = id) FROM rollout"
            " WHERE ?1 IS NULL OR model=?1 ORDER BY rowid DESC"
            " LIMIT ?2",
            -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, model, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_int(statement, 2, limit) == SQLITE_OK)
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            const struct stored_rollout rollout = {state_text_at(statement, 0), state_text_at(statement, 1),
                                                   state_text_at(statement, 2), state_text_at(statement, 3),
                                                   sqlite3_column_int64(statement, 4)};

            each(user, &rollout);
        }
    if (step != SQLITE_DONE)
        rc = state_fault(state, "reading rollouts", error);
    sqlite3_finalize(statement);
    return rc;
}

/* statement: prepared and bound, or NULL; taken over. */
static enum serin_errc read_rows(struct state *state, sqlite3_stmt *statement, bool is_bound,
                                 void (*each)(void *user, const struct decision *decision), void *user,
                                 struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (is_bound)
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

enum serin_errc decisions_each(struct state *state, const char *rollout,
                               void (*each)(void *user, const struct decision *decision), void *user,
                               struct serin_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool is_bound =
        sqlite3_prepare_v2(state->db, "SELECT " COLUMNS " FROM decision WHERE ?1 IS NULL OR rollout=?1 ORDER BY number",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, rollout, -1, SQLITE_STATIC) == SQLITE_OK;

    return read_rows(state, statement, is_bound, each, user, error);
}

enum serin_errc decisions_page(struct state *state, const char *rollout, int64_t before, int limit, int64_t max_bytes,
                               void (*each)(void *user, const struct decision *decision), void *user,
                               struct serin_error *error)
{
    static const char sql[] =
        "SELECT " COLUMNS " FROM (SELECT *, sum(length(numbers) + length(state) + length(why)) OVER (ORDER BY number"
        " DESC) AS bytes FROM (SELECT * FROM decision WHERE rollout=?1 AND number<?2 ORDER BY number DESC LIMIT ?3))"
        " WHERE bytes<=?4 ORDER BY number";
    sqlite3_stmt *statement = NULL;
    bool is_bound = sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) == SQLITE_OK &&
                    sqlite3_bind_text(statement, 1, rollout, -1, SQLITE_STATIC) == SQLITE_OK &&
                    sqlite3_bind_int64(statement, 2, before > 0 ? before : INT64_MAX) == SQLITE_OK &&
                    sqlite3_bind_int(statement, 3, limit) == SQLITE_OK &&
                    sqlite3_bind_int64(statement, 4, max_bytes) == SQLITE_OK;

    return read_rows(state, statement, is_bound, each, user, error);
}

/* ---- the chain ---- */

#define MAX_FAULTS 1000 /* then the log is said to be beyond repair */

struct fault {
    struct decision_fault of; /* its texts are those below */
    char model[200], what[200];
};

struct chain {
    struct state *state;
    int64_t count;
    uint8_t last[DECISION_HASH_BYTES];
    int fault_count;
    struct fault *faults; /* [MAX_FAULTS] */
    struct serin_error *error;
    enum serin_errc rc;
};

/* Which model a damaged row concerns can be told only where its rollout says the same. */
static bool is_of(struct state *state, const char *rollout, const char *model)
{
    sqlite3_stmt *statement = NULL;
    bool is = sqlite3_prepare_v2(state->db, "SELECT 1 FROM rollout WHERE id=? AND model=?", -1, &statement, NULL) ==
                  SQLITE_OK &&
              sqlite3_bind_text(statement, 1, rollout, -1, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_bind_text(statement, 2, model, -1, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;

    sqlite3_finalize(statement);
    return is;
}

static void add_fault(struct chain *chain, int64_t number, const char *model, const uint8_t *found, const char *format,
                      ...) PRINTF_LIKE(5, 6);

static void add_fault(struct chain *chain, int64_t number, const char *model, const uint8_t *found, const char *format,
                      ...)
{
    struct fault *fault = &chain->faults[chain->fault_count];
    va_list arguments;

    if (chain->fault_count == MAX_FAULTS) {
        chain->rc = error_set(chain->error, SERIN_CORRUPT, "decisions: more than %d are damaged", MAX_FAULTS);
        return;
    }
    chain->fault_count++;
    *fault = (struct fault){.of = {.number = number}};
    if (found)
        memcpy(fault->of.found, found, DECISION_HASH_BYTES);
    va_start(arguments, format);
    vsnprintf(fault->what, sizeof(fault->what), format, arguments);
    va_end(arguments);
    fault->of.what = fault->what;
    if (model) {
        snprintf(fault->model, sizeof(fault->model), "%s", model);
        fault->of.model = fault->model;
    }
}

/* Takes off what a repair has accepted as it stands: {"accepted": [{"number", "hash"}]}. */
static void accept_faults(struct chain *chain, const struct decision *repair)
{
    json_t *root = json_loads(repair->numbers, 0, NULL), *one;
    char hash[2 * DECISION_HASH_BYTES + 1];
    const char *accepted;
    json_int_t number;
    size_t i;
    int f;

    json_array_foreach(json_object_get(root, "accepted"), i, one)
    {
        if (json_unpack(one, "{s:I, s:s}", "number", &number, "hash", &accepted) != 0)
            continue;
        for (f = 0; f < chain->fault_count; f++) {
            text_hex(chain->faults[f].of.found, DECISION_HASH_BYTES, hash);
            if (chain->faults[f].of.number == number && strcmp(hash, accepted) == 0)
                chain->faults[f].of.what = NULL;
        }
    }
    json_decref(root);
}

/* Of a start whose own row is what was written: whether the plan is the one that it was begun with. */
static void check_plan(struct chain *chain, const struct decision *start)
{
    json_t *state = json_loads(start->state, 0, NULL);
    const char *written = json_string_value(json_object_get(state, "plan_sha256")), *plan;
    char present[2 * DECISION_HASH_BYTES + 1] = "";
    uint8_t found[DECISION_HASH_BYTES] = {0};
    sqlite3_stmt *statement = NULL;

    if (written && written[0] &&
        sqlite3_prepare_v2(chain->state->db, "SELECT plan FROM rollout WHERE id=?", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_bind_text(statement, 1, start->rollout, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        plan = state_text_at(statement, 0);
        SHA256((const uint8_t *)plan, strlen(plan), found);
        text_hex(found, sizeof(found), present);
    }
    if (written && written[0] && strcmp(written, present) != 0)
        add_fault(chain, start->number, start->model, found,
                  "the plan of %.64s is not the one that it was started with", start->rollout);
    sqlite3_finalize(statement);
    json_decref(state);
}

static void check_row(void *user, const struct decision *row)
{
    struct chain *chain = user;
    uint8_t hash[DECISION_HASH_BYTES];

    if (chain->rc != SERIN_OK)
        return;
    if (row->number != chain->count + 1)
        add_fault(chain, chain->count + 1, NULL, NULL, "number %lld is missing", (long long)chain->count + 1);
    chain->count = row->number;
    if (!hash_row(chain->last, row, hash))
        chain->rc = error_set(chain->error, SERIN_NOMEM, "no memory to hash a decision");
    else if (memcmp(hash, row->hash, sizeof(hash)) != 0)
        add_fault(chain, row->number, is_of(chain->state, row->rollout, row->model) ? row->model : NULL, hash,
                  "number %lld (%.64s) is not what was written", (long long)row->number, row->rollout);
    else if (strcmp(row->event, DECISION_REPAIR) == 0)
        accept_faults(chain, row);
    else if (strcmp(row->event, DECISION_START) == 0)
        check_plan(chain, row);
    memcpy(chain->last, row->hash, sizeof(chain->last));
}

/* What a rollout is said to be must be what its last decision made it. */
static enum serin_errc check_states(struct chain *chain)
{
    static const char sql[] =
        "SELECT id, model FROM rollout WHERE json IS NOT (SELECT state FROM decision WHERE rollout=id AND "
        "decision.model=rollout.model ORDER BY number DESC LIMIT 1)";
    sqlite3_stmt *statement = NULL;
    enum serin_errc rc = SERIN_OK;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(chain->state->db, sql, -1, &statement, NULL) == SQLITE_OK)
        while ((step = sqlite3_step(statement)) == SQLITE_ROW)
            add_fault(chain, 0, state_text_at(statement, 1), NULL,
                      "the state of %.64s is not that of its last decision", state_text_at(statement, 0));
    if (step != SQLITE_DONE)
        rc = state_fault(chain->state, "reading rollouts", chain->error);
    sqlite3_finalize(statement);
    return rc;
}

enum serin_errc decisions_check(struct state *state, void (*each)(void *user, const struct decision_fault *fault),
                                void *user, int64_t *ret_count, uint8_t ret_last[DECISION_HASH_BYTES],
                                struct serin_error *error)
{
    struct chain chain = {.state = state, .error = error, .faults = malloc(MAX_FAULTS * sizeof(struct fault))};
    enum serin_errc rc = chain.faults ? decisions_each(state, NULL, check_row, &chain, error)
                                      : error_set(error, SERIN_NOMEM, "no memory to check decisions");
    int f;

    if (rc == SERIN_OK)
        rc = chain.rc;
    if (rc == SERIN_OK)
        rc = check_states(&chain);
    if (rc == SERIN_OK)
        rc = chain.rc;
    if (rc == SERIN_OK) {
        for (f = 0; f < chain.fault_count; f++)
            if (chain.faults[f].of.what)
                each(user, &chain.faults[f].of);
        *ret_count = chain.count;
        memcpy(ret_last, chain.last, DECISION_HASH_BYTES);
    }
    free(chain.faults);
    return rc;
}

struct first {
    struct serin_error *error;
    enum serin_errc rc;
};

static void keep_first(void *user, const struct decision_fault *fault)
{
    struct first *first = user;

    if (first->rc == SERIN_OK)
        first->rc = error_set(first->error, SERIN_CORRUPT, "decisions: %s", fault->what);
}

enum serin_errc decisions_verify(struct state *state, int64_t *ret_count, uint8_t ret_last[DECISION_HASH_BYTES],
                                 struct serin_error *error)
{
    struct first first = {error, SERIN_OK};
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;
    enum serin_errc rc = decisions_check(state, keep_first, &first, &count, last, error);

    if (rc == SERIN_OK)
        rc = first.rc;
    if (rc != SERIN_OK)
        return rc;
    *ret_count = count;
    memcpy(ret_last, last, DECISION_HASH_BYTES);
    return SERIN_OK;
}
