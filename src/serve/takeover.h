/*
 * takeover.h - one serin serve hands its sockets to the next, and no connection is refused.  Depends on serve.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For src/serve alone; all on the control thread. takeover.c has how it goes.
 */
#ifndef SERVE_TAKEOVER_H
#define SERVE_TAKEOVER_H

#include "gateway/gateway.h"

#include <stdbool.h>

struct server;
struct takeover;

/* What the elder gave: sockets that listen, which whoever uses them takes over. */
struct handed {
    char run_dir[128]; /* the elder's: another one must be used */
    int data[GATEWAY_MAX_SOCKETS], data_count;
    int admin; /* -1: none */
};

MUST_USE enum serin_errc takeover_new(struct takeover **ret, struct serin_error *error);
void takeover_free(
    struct takeover *takeover); /* at the very end: the heir reads that this process has gone. NULL is fine */

/* ---- the elder ---- */

/* From now on another one may take over. SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc takeover_open_door(struct server *server, struct serin_error *error);
/* SERIN_LIMIT while nobody may change anything, because somebody takes over or this one ends. */
MUST_USE enum serin_errc takeover_check(const struct server *server, struct serin_error *error);
/* Lets nobody in any more, and the one that takes over know, unless it does so. */
void takeover_end(struct server *server, bool handed_over);

/* ---- the heir ---- */

/* Asks the one that serves the folder for its sockets and its lock; without one nothing is handed. Waits for its
 * answer. SERIN_LIMIT: it does not hand over now, and says why. SERIN_IO, SERIN_CORRUPT, SERIN_NOMEM. */
MUST_USE enum serin_errc takeover_ask(struct server *server, struct serin_error *error);
struct handed *takeover_handed(struct server *server);
bool takeover_is_heir(const struct server *server); /* another one serves still, and accepts at the same sockets */
/* Serves (serve_open) as soon as all is ready that the elder has ready; gives up where something never will be. */
void takeover_look(struct server *server);

#endif
