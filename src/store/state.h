/*
 * state.h - what must survive the program: routes, and what serves each version.  Depends on base, disk.h, SQLite.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One SQLite file in WAL mode with full synchronisation: a call that has returned SERIN_OK is on disk. Used from one
 * thread. Every change carries its author and is kept in a journal beside the state.
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct state;

/* Opens or makes the file, and brings an older schema up. SERIN_IO, SERIN_CORRUPT (not ours, or newer than this
 * program). */
MUST_USE enum serin_errc state_open(const char *path, struct state **ret, struct serin_error *error);
void state_close(struct state *state); /* NULL is fine */

/* A change waits 2 s for another process's lock (a backup's, somebody's sqlite3) before it fails with SERIN_IO. From
 * now on .1 s, and for one that was waited for in vain not again within a second: for a thread that others wait for. */
void state_hurry(struct state *state);

/* The file is not where it was opened any more: deleted, moved or replaced. Then nothing is written, since it would be
 * lost; only a start of the program helps. */
bool state_is_gone(struct state *state);

/* How a version is served: replicas of our own, or somebody's server at url ("": our own). name: "model:tag". */
struct state_serving {
    char name[200];
    int replicas;
    char url[256];
};

/* A route's JSON (gateway/route.h), by model; and in the same transaction what serves the version that enters it, and
 * the name of one that leaves it and is served no more (NULL: none does). author: "cli root", "api 127.0.0.1". */
MUST_USE enum serin_errc state_put_route(struct state *state, const char *model, const char *json,
                                         const struct state_serving *enters, const char *leaves, const char *author,
                                         struct serin_error *error);
MUST_USE enum serin_errc state_remove_route(struct state *state, const char *model, const char *author,
                                            struct serin_error *error);
/* Calls each for every route, by model. */
MUST_USE enum serin_errc state_each_route(struct state *state,
                                          void (*each)(void *user, const char *model, const char *json), void *user,
                                          struct serin_error *error);

MUST_USE enum serin_errc state_remove_serving(struct state *state, const char *name, const char *author,
                                              struct serin_error *error);
MUST_USE enum serin_errc state_each_serving(struct state *state,
                                            void (*each)(void *user, const struct state_serving *serving), void *user,
                                            struct serin_error *error);

/* A line in the journal of what is kept elsewhere. */
MUST_USE enum serin_errc state_note(struct state *state, const char *author, const char *what, const char *detail,
                                    struct serin_error *error);

/* The journal, newest first, at most limit entries. */
struct state_change {
    int64_t number, time_ms; /* wall clock */
    const char *author, *what, *detail;
};
MUST_USE enum serin_errc state_each_change(struct state *state, int limit,
                                           void (*each)(void *user, const struct state_change *change), void *user,
                                           struct serin_error *error);

#endif
