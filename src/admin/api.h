/*
 * api.h - the control API: JSON over HTTP on the admin port.  Depends on base, http, gateway/route.h, access.h, libuv.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     GET    /api/v1/status                everything at a glance
 *     GET    /api/v1/routes                all routes
 *     GET    /api/v1/routes/MODEL          one
 *     PUT    /api/v1/routes/MODEL          replaces it (route_from_json)
 *     PATCH  /api/v1/routes/MODEL/weights  {"TAG": WEIGHT, ...}; the others stay
 *     DELETE /api/v1/routes/MODEL
 *     POST   /api/v1/deploy                {"name", "replicas", "url", "stable", "confirm"}; waits until it is ready
 *     DELETE /api/v1/serving/MODEL:TAG     stops its replicas
 *     GET    /api/v1/changes?limit=N       who changed what
 *     GET    /api/v1/rollouts              the newest rollout of each model
 *     POST   /api/v1/rollouts              {"name": "MODEL:TAG", "plan": "YAML", "supersede"}; starts one
 *     GET    /api/v1/rollouts/ID           how it stands; by its id, or its model's name
 *     GET    /api/v1/rollouts/ID/history   its decisions, oldest first
 *     POST   /api/v1/rollouts/ID/VERB      pause, resume, promote, promote-full, abort, retry, undo; {"why"}
 *     GET    /api/v1/versions              what is in the store
 *     GET    /api/v1/versions/MODEL:TAG    one; with ?against=MODEL:TAG what it changes (store/bundle_diff.h)
 *     POST   /api/v1/try/MODEL:TAG         a picture, as the data port takes it; that version answers, and nothing
 * counts GET    /api/v1/events                all of this as it changes (events.h) GET    / the console (assets.h) GET
 * /metrics                      Prometheus' text format POST   /api/v1/login                 {"token"}; a session for a
 * browser POST   /api/v1/logout GET    /api/v1/session               who one is: {"required", "name", "role"} GET
 * /api/v1/tokens                names and roles POST   /api/v1/tokens                {"name", "role", "model"}; the
 * answer has the secret, this once DELETE /api/v1/tokens/NAME
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
    bool supersede;
};

struct admin_target {
    void *user;
    /* These write JSON (or text) into out, or return an error whose sentence goes to the client. SERIN_NOT_FOUND: 404,
     * SERIN_INVALID: 400, SERIN_LIMIT: 409 (refused in the present state), else 500. */
    enum serin_errc (*status)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*routes)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*route)(void *user, const char *model, struct buffer *out, struct serin_error *error);
    enum serin_errc (*put_route)(void *user, const struct route *route, const char *author, struct serin_error *error);
    enum serin_errc (*remove_route)(void *user, const char *model, const char *author, struct serin_error *error);
    enum serin_errc (*undeploy)(void *user, const char *name, const char *author, struct serin_error *error);
    enum serin_errc (*changes)(void *user, int limit, struct buffer *out, struct serin_error *error);
    enum serin_errc (*reload)(void *user, struct serin_error *error); /* of the configuration */
    enum serin_errc (*metrics)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*rollouts)(void *user, struct buffer *out, struct serin_error *error);
    enum serin_errc (*rollout)(void *user, const char *rollout, struct buffer *out, struct serin_error *error);
    enum serin_errc (*rollout_history)(void *user, const char *rollout, struct buffer *out, struct serin_error *error);
    enum serin_errc (*start_rollout)(void *user, const struct admin_rollout *start, struct buffer *out,
                                     struct serin_error *error);
    enum serin_errc (*act_on_rollout)(void *user, const char *rollout, const char *verb, const char *author,
                                      const char *why, struct buffer *out, struct serin_error *error);
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
