/*
 * freezes.h - each model's freeze calendar, as people wrote it.  Depends on base, store/state.h, SQLite.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Kept in the state file, each change with its author in the journal. What the text means is not known here.
 */
#ifndef STORE_FREEZES_H
#define STORE_FREEZES_H

#include "store/state.h"

MUST_USE enum serin_errc freezes_put(struct state *state, const char *model, const char *calendar, const char *author,
                                     struct serin_error *error);
/* SERIN_NOT_FOUND: the model has none. */
MUST_USE enum serin_errc freezes_remove(struct state *state, const char *model, const char *author,
                                        struct serin_error *error);
/* By model. */
MUST_USE enum serin_errc freezes_each(struct state *state,
                                      void (*each)(void *user, const char *model, const char *calendar), void *user,
                                      struct serin_error *error);

#endif
