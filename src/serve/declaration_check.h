/*
 * declaration_check.h - asks stable and a version that wants in what they take and give, and compares.  Depends on
 * declaration.h, http/client.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For versions of which one has no bundle: what a server says is all that is known of it. Both are asked over the wire,
 * so that there is one way to compare, whoever serves them.
 */
#ifndef SERVE_DECLARATION_CHECK_H
#define SERVE_DECLARATION_CHECK_H

#include "base/error.h"

#include <uv.h>

struct declaration_check;
struct tls;

/* Who is asked: borrowed for the call. */
struct declarer {
    const char *name;     /* "model:tag" */
    const char *endpoint; /* of a replica that is ready, as http_client_new takes it */
};

/* tls: whom to trust at https:// endpoints, or NULL. done is called once, from the loop; not where this returns an
 * error. SERIN_OK: nothing differs, and said, if it is not empty, tells what could not be compared, since a server does
 * not speak of it. SERIN_LIMIT: said tells what differs, or what was answered in the place of an answer. Each of four
 * answers has timeout_ms. */
MUST_USE enum serin_errc declaration_check_start(uv_loop_t *loop, struct tls *tls, uint64_t timeout_ms,
                                                 const char *model, const struct declarer *stable,
                                                 const struct declarer *own,
                                                 void (*done)(void *user, enum serin_errc rc, const char *said),
                                                 void *user, struct declaration_check **ret, struct serin_error *error);
/* done is not called any more. NULL is fine. */
void declaration_check_cancel(struct declaration_check *check);

#endif
