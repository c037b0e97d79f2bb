/*
 * state_inside.h - what the files on the SQLite file share.  For src/store alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORE_STATE_INSIDE_H
#define STORE_STATE_INSIDE_H

#include "store/state.h"

#include <sqlite3.h>

struct state {
    sqlite3 *db;
    uint64_t patience_ms, waits_since_ms, in_vain_until_ms; /* with another process's lock; the latter two monotonic */
};

/* The error of the last SQLite call. */
enum serin_errc state_fault(struct state *state, const char *doing, struct serin_error *error);
/* Statements without parameters or rows. */
MUST_USE enum serin_errc state_execute(struct state *state, const char *sql, const char *doing,
                                       struct serin_error *error);
/* Begins a transaction that will write. */
MUST_USE enum serin_errc state_begin(struct state *state, const char *doing, struct serin_error *error);
/* A change with its line in the journal, in one transaction. texts: the parameters of sql. */
MUST_USE enum serin_errc state_write_change(struct state *state, const char *sql, const char *const *texts, int count,
                                            const char *author, const char *what, const char *detail,
                                            struct serin_error *error);
/* Steps through a query; row is called for each. limit: its parameter; 0: it has none. */
MUST_USE enum serin_errc state_query(struct state *state, const char *sql, int limit,
                                     void (*row)(sqlite3_stmt *statement, void *user), void *user,
                                     struct serin_error *error);
/* Of the row that statement stands on; "" for NULL. Valid until the next step. */
const char *state_text_at(sqlite3_stmt *statement, int column);

#endif
