/*
 * call.h - one call of the control API, inside src/admin: what its handlers read from it and how they end it.
 * Depends on api.h, access.h, jansson.
 * SPDX-License-Identifier: Apache-2.0
 *
 * api.c finds the row of its table, fills a struct call and runs the row's handler. A handler writes into out, fields
 * and error, which belong to the call, and ends it by one of the call_answer functions, or hands the exchange to the
 * target, which ends it later (api_answered). After that only the call's own memory may be touched.
 */
#ifndef ADMIN_CALL_H
#define ADMIN_CALL_H

#include "admin/api.h"

#include <jansson.h>

#define CALL_MAX_ANSWER_BYTES ((size_t)16 << 20)

struct events;

struct call {
    const struct admin_target *target;
    struct access *access;
    struct events *events;
    struct http_exchange *exchange;
    char argument[256]; /* the path's variable part, decoded */
    const char *word;   /* the last segment of the pattern */
    struct caller caller;
    char author[160];  /* of a change, for the journal */
    json_t *body;      /* what call_read_json has read */
    struct buffer out; /* the answer's body */
    struct buffer fields;
    struct serin_error error;
};

/* caller is nobody yet; all pointers are borrowed. */
void call_init(struct call *call, const struct admin_target *target, struct access *access, struct events *events,
               struct http_exchange *exchange);
void call_done(struct call *call);

/* ---- what it says; SERIN_INVALID and a sentence in call->error where that is wrong ---- */

/* The body, which must not be empty. */
MUST_USE enum serin_errc call_read_json(struct call *call);
/* An object, unpacked strictly as json_unpack_ex does: a member that is missing, unknown or of another type is an error
 * that says which, and what form was expected. What is unpacked lives as long as the call. */
MUST_USE enum serin_errc call_read_object(struct call *call, const char *form, const char *format, ...);
/* A whole number of the query; *ret stays where there is none. */
MUST_USE enum serin_errc call_read_whole(struct call *call, const char *name, int64_t least, int64_t most,
                                         int64_t *ret);

/* ---- how it ends: exactly one of these, once ---- */

/* 200 with out and fields, or what rc and error say. */
void call_answer(struct call *call, enum serin_errc rc, const char *type);
void call_answer_json(struct call *call, enum serin_errc rc);
void call_answer_done(struct call *call, enum serin_errc rc); /* {} */
/* The status that rc stands for; 503, and 409 while that passes, with Retry-After. */
void call_answer_error(struct call *call, enum serin_errc rc);
/* A status with the sentence in error. */
void call_refuse(struct call *call, int status);

/* ---- the handlers, each one the do_ of a row in api.c's table, by file ---- */

/* call_access.c */
void do_login(struct call *call);
void do_logout(struct call *call);
void do_session(struct call *call);
void do_tokens(struct call *call);
void do_create_token(struct call *call);
void do_revoke_token(struct call *call);
/* call_frames.c */
void do_frames(struct call *call);
void do_frame(struct call *call);
void do_frame_picture(struct call *call);
void do_judge_frame(struct call *call);
void do_remove_frames(struct call *call);
void do_remove_frame(struct call *call);
/* call_rollouts.c */
void do_rollouts(struct call *call);
void do_rollout(struct call *call);
void do_rollout_history(struct call *call);
void do_start_rollout(struct call *call);
void do_act_on_rollout(struct call *call);
void do_freezes(struct call *call);
void do_set_freeze(struct call *call);
void do_end_freeze(struct call *call);
/* call_routes.c */
void do_routes(struct call *call);
void do_get_route(struct call *call);
void do_put_route(struct call *call);
void do_patch_weights(struct call *call);
void do_remove_route(struct call *call);
/* call_server.c */
void do_status(struct call *call);
void do_metrics(struct call *call);
void do_events(struct call *call);
void do_changes(struct call *call);
void do_reload(struct call *call);
/* call_versions.c */
void do_versions(struct call *call);
void do_deploy(struct call *call);
void do_undeploy(struct call *call);
void do_try(struct call *call);

#endif
