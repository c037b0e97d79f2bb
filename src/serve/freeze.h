/*
 * freeze.h - the freeze calendars in force: when no rollout of a model goes forward.  Depends on serve/inside.h,
 * rollout/calendar.h, store/freezes.h. For src/serve alone; all on the control thread.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Going back is never frozen, and a person's promote goes past a window: the controller writes both down.
 */
#ifndef SERVE_FREEZE_H
#define SERVE_FREEZE_H

#include "serve/inside.h"

struct freezes;

/* Reads what is stored. One that can no longer be read (its zone is gone from this machine) freezes its model until a
 * person sets another, and says so. */
MUST_USE enum serin_errc freezes_new(struct server *server, struct freezes **ret, struct serin_error *error);
void freezes_free(struct freezes *freezes); /* NULL is fine */

/* Whether the model is frozen now (wall clock, ms); then why and until when, for people. */
bool freezes_hold(const struct freezes *freezes, const char *model, int64_t now_ms, char *ret_why, size_t size);

/* For the admin API. */
enum serin_errc freezes_list(void *user, struct buffer *out, struct serin_error *error);
enum serin_errc freezes_set(void *user, const char *model, const char *text, const char *author,
                            struct serin_error *error);
enum serin_errc freezes_end(void *user, const char *model, const char *author, struct serin_error *error);

#endif
