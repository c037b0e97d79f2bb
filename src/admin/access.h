/*
 * access.h - who calls the admin port, and may they: tokens, sessions of browsers, requests from elsewhere.
 * Depends on base, http, store/tokens.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where no token for the admin port exists and it listens on this machine only, everything is allowed to everybody who
 * gets there; with the first token (an admin's) everybody needs one. A browser gives its token once, to POST
 * /api/v1/login, and has a session from then on. All on one thread.
 */
#ifndef ADMIN_ACCESS_H
#define ADMIN_ACCESS_H

#include "http/message.h"
#include "http/server.h"
#include "store/tokens.h"

#define ACCESS_SESSION_COOKIE "serin_session"
#define ACCESS_CSRF_FIELD     "X-Serin-Console" /* any value; a page of another origin cannot set it */
#define ACCESS_MAX_SESSIONS   256
#define ACCESS_SESSION_S      (12 * 3600) /* then one logs in anew, a working day */
#define ACCESS_IDLE_S         3600        /* without a call */

struct access_options {
    struct state *state; /* borrowed */
    bool open;           /* the port is reached from this machine only: without tokens all is allowed */
    bool secure;         /* it speaks TLS: the cookie is kept from plain connections */
    /* An event for the log; what: one line. */
    void (*log)(void *user, const char *level, const char *doing, const char *what);
    void *log_user;
};

struct access;

/* SERIN_NOMEM, SERIN_IO, SERIN_CORRUPT. */
MUST_USE enum serin_errc access_new(const struct access_options *options, struct access **ret,
                                    struct serin_error *error);
void access_free(struct access *access); /* NULL is fine */

/* The tokens as they are now; true where they have changed since the last call that returned true. */
bool access_refresh(struct access *access);
const struct tokens *access_tokens(const struct access *access);
/* As tokens_create and tokens_revoke; in force at once. */
MUST_USE enum serin_errc access_create_token(struct access *access, const char *name, enum token_role role,
                                             const char *model, const char *author, char secret[TOKEN_SECRET_BYTES],
                                             struct serin_error *error);
MUST_USE enum serin_errc access_revoke_token(struct access *access, const char *name, const char *author,
                                             struct serin_error *error);

/* Who calls. */
struct caller {
    char name[TOKEN_MAX_NAME + 1]; /* of the token; "": nobody needs one */
    enum token_role role;
    bool by_session;
};

/* Whether a request may be answered: 0, or the status of the refusal with its sentence in error. changes: it is no mere
 * reading. ret is who calls, also where the call is public (least ROLE_NOBODY). The log has what is refused. */
MUST_USE int access_admit(struct access *access, const struct http_exchange *exchange, enum token_role least,
                          bool changes, struct caller *ret, struct serin_error *error);
bool access_is_required(const struct access *access); /* a token */

/* Begins a session for who has this secret: 0, and its cookie's field in fields; or 401, or 429 with Retry-After. */
MUST_USE int access_log_in(struct access *access, const struct http_exchange *exchange, const char *secret,
                           struct buffer *fields, struct caller *ret, struct serin_error *error);
void access_log_out(struct access *access, const struct http_exchange *exchange, struct buffer *fields);

#endif
