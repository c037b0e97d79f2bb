/*
 * api.h - the control API: JSON over HTTP on the admin port.  Depends on base, http, gateway/route.h, access.h, libuv.
 * SPDX-License-Identifier: Apache-2.0
 *
 * docs/openapi.yaml has every call with its bodies, answers and errors; api.c's table has each with its role, and a
 * test holds the two together.
 *
 * The API knows nothing of how these are done: struct admin_target is what it calls. All on one thread.
 */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include "admin/access.h"
#include "gateway/route.h"
#include "http/server.h"

/* What a deploy asks for. */
struct admin_deploy {
    char name[200]; /* "model:tag" */
    int replicas;   /* 1..16; 0: as many as run, or as its bundle says */
    char url[256];  /* "": our own replicas */
    bool stable;
    double min_map; /* 0..1: least accuracy; 0: what the server's configuration says */
    bool confirm;   /* that it differs from stable, from its golden pictures or misses a floor is meant */
    const char *author;
};

/* What the start of a rollout asks for. */
struct admin_rollout {
    const char *name; /* "model:tag" */
    const char *plan; /* YAML; "": the default plan */
    const char *author;
    const char *why; /* a person's; "": none is given */
    bool supersede;
};

/* Which of a long list. */
struct admin_page {
    int from, limit;
    bool open_only; /* those that nobody has judged */
};

struct admin_target {
    void *user;
    /* These write JSON (or text) into out, or return an error whose sentence goes to the client. SERIN_NOT_FOUND: 404,
     * SERIN_INVALID: 400, SERIN_LIMIT: 409 (refused in the present state), else 500. */
    enum serin_errc (*status)(void *user, struct buffer *out, struct serin_error *error);
    bool (*is_passing)(void *user); /* what is refused now (409) may be done in a moment: then with Retry-After */
    enum serin_errc (*routes)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*route)(void *user, const char *model, struct buffer *out, struct serin_error *error);
    enum serin_errc (*put_route)(void *user, const struct route *route, const char *author, struct serin_error *error);
    enum serin_errc (*remove_route)(void *user, const char *model, const char *author, struct serin_error *error);
    enum serin_errc (*undeploy)(void *user, const char *name, const char *author, struct serin_error *error);
    enum serin_errc (*changes)(void *user, int limit, struct buffer *out, struct serin_error *error);
    enum serin_errc (*freezes)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*set_freeze)(void *user, const char *model, const char *calendar, const char *author,
                                  struct serin_error *error); /* YAML */
    enum serin_errc (*end_freeze)(void *user, const char *model, const char *author, struct serin_error *error);
    enum serin_errc (*reload)(void *user, struct serin_error *error); /* of the configuration */
    enum serin_errc (*metrics)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*rollouts)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*rollout)(void *user, const char *rollout, struct buffer *out, struct serin_error *error);
    /* Of the decisions before that number (0: of all) the newest limit, oldest first. */
    enum serin_errc (*rollout_history)(void *user, const char *rollout, int64_t before, int limit, struct buffer *out,
                                       struct serin_error *error);
    enum serin_errc (*start_rollout)(void *user, const struct admin_rollout *start, struct buffer *out,
                                     struct serin_error *error);
    enum serin_errc (*act_on_rollout)(void *user, const char *rollout, const char *verb, const char *author,
                                      const char *why, struct buffer *out, struct serin_error *error);
    /* Kept frames; rollout: an id or a model's name, frame: a number. *ret_type: of the picture, a constant. */
    enum serin_errc (*frames)(void *user, const char *rollout, const struct admin_page *page, struct buffer *out,
                              struct serin_error *error);
    enum serin_errc (*frame)(void *user, const char *frame, struct buffer *out, struct serin_error *error);
    enum serin_errc (*frame_picture)(void *user, const char *frame, struct buffer *out, const char **ret_type,
                                     struct serin_error *error);
    enum serin_errc (*judge_frame)(void *user, const char *frame, const char *right, const char *author,
                                   struct buffer *out, struct serin_error *error);
    enum serin_errc (*remove_frames)(void *user, const char *rollout, const char *author, struct serin_error *error);
    enum serin_errc (*remove_frame)(void *user, const char *frame, const char *author, struct serin_error *error);
    /* The following answer later, by api_answered with the same exchange, where they return SERIN_OK; their strings are
     * valid during the call only. The target asks http_exchange_on_abort itself.
     * versions: name "": all; against "": none. */
    enum serin_errc (*versions)(void *user, const char *name, const char *against, struct http_exchange *exchange,
                                struct serin_error *error);
    enum serin_errc (*try_picture)(void *user, const char *name, struct http_exchange *exchange,
                                   struct serin_error *error);
    enum serin_errc (*deploy)(void *user, const struct admin_deploy *deploy, struct http_exchange *exchange,
                              struct serin_error *error);
};

struct api;

/* Listens at address ("127.0.0.1:8081"), or on a socket that does so already (taken over; -1: none). target is copied,
 * access and tls (NULL: plain text) are borrowed. */
MUST_USE enum serin_errc api_new(uv_loop_t *loop, const char *address, int socket, const struct admin_target *target,
                                 struct access *access, struct tls *tls, struct api **ret, struct serin_error *error);
int api_port(const struct api *api);
int api_socket(const struct api *api); /* it listens there; stays the API's */
/* handed_over: another process accepts at the socket. done may be NULL. */
void api_close(struct api *api, bool handed_over, void (*done)(void *user), void *user);

/* Ends an exchange that a target has kept: rc SERIN_OK with the JSON in text, else with the error's sentence. */
void api_answered(struct http_exchange *exchange, enum serin_errc rc, const char *text);

#endif
