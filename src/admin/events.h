/*
 * events.h - the state of things as server-sent events, for pages that stay open.  Depends on api.h, access.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     GET /api/v1/events?rollout=ID
 *
 * Once a second, and soon after a change through the API, each open page gets three events: "status" and "rollouts",
 * whose data are those of GET /api/v1/status and /rollouts, and, where it asked for one, "rollout", as of
 * /rollouts/ID. An event tells all of the present state and nothing of the past, so the first ones make a page right
 * again after a lost connection, Last-Event-ID need not be looked at, and a page that is too slow for all of them
 * misses none that matters. Whose token or session has come to an end hears no more. What cannot be told is {"error":
 * sentence}. Source: the HTML standard, 9.2.
 */
#ifndef ADMIN_EVENTS_H
#define ADMIN_EVENTS_H

#include "admin/api.h"

#define EVENTS_MAX_STREAMS 32

struct events;

/* target and access are borrowed. SERIN_NOMEM. */
MUST_USE enum serin_errc events_new(uv_loop_t *loop, const struct admin_target *target, struct access *access,
                                    struct events **ret, struct serin_error *error);
/* Ends all streams. Its memory goes when the loop has let go of its clock. NULL is fine. */
void events_close(struct events *events);

/* Takes an exchange over, or answers it with 503 where there are as many as there may be. */
void events_begin(struct events *events, struct http_exchange *exchange);
/* Something has changed: all are told in a moment. */
void events_soon(struct events *events);

#endif
