/*
 * inside.h - what the files of the serving process share.  For src/serve alone; all of it belongs to the control
 * thread. SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_INSIDE_H
#define SERVE_INSIDE_H

#include "admin/api.h"
#include "gateway/gateway.h"
#include "serve/fleet.h"
#include "serve/log.h"
#include "serve/serve.h"
#include "serve/takeover.h"
#include "store/state.h"

struct deployment { /* somebody waits for a version to be ready */
    struct deployment *next;
    struct server *server;
    struct http_exchange *exchange; /* NULL once the client has gone */
    struct admin_deploy deploy;
    char author[160];
    int added; /* replicas that it started */
    uint64_t started_ms;
    size_t questions;                       /* of admission that were begun */
    struct declaration_check *declarations; /* in flight, or NULL; so is golden, and never both */
    struct golden_check *golden;
    bool refused;
    struct serin_error why; /* refused */
};

struct freezes;
struct rollouts;

struct server {
    uv_loop_t loop;
    struct serve_options options; /* in force, with a port and a folder for what was left open */
    struct serve_options read;    /* as they were read */
    char run_dir[128];
    struct bundles *bundles;
    struct state *state;
    struct fleet *fleet;
    struct gateway *gateway;
    struct api *api;
    struct access *access;
    struct tls *tls; /* of both ports; NULL: plain text */
    uv_timer_t
        second_clock; /* looks whether another process has made or revoked tokens, and how many connections are */
    struct gateway_connections crowd_told; /* as they were when it looked last */
    unsigned long lost_told;               /* lines of the access log; as above */
    struct freezes *freezes;
    struct rollouts *rollouts;
    struct log *log, *access_log;
    struct tracer *tracer;             /* NULL: nothing is traced */
    struct gateway_table table;        /* the routes in force, and the endpoints as they are now */
    bool unstored[GATEWAY_MAX_MODELS]; /* as table.entries: in force, but it could not be written yet */
    struct deployment *deployments;
    struct trial_picture *pictures; /* that are being tried */
    uv_timer_t deploy_clock;        /* runs while somebody waits */
    uv_signal_t terminated, interrupted, hung_up;
    uv_async_t gateway_stopped;
    struct takeover *takeover;
    int lock;        /* of the data folder */
    bool state_gone; /* its state file was deleted; as it was looked at last */
    uint64_t started_ms;
    unsigned seconds;               /* of second_clock */
    size_t resident_bytes;          /* when memory was given back last */
    bool open, announced, stopping; /* open: it answers on both ports */
    struct serin_error failure;     /* what it ends with; code SERIN_OK: none */
};

/* serve.c */
MUST_USE enum serin_errc serve_open(struct server *server, struct serin_error *error); /* starts answering */
/* Begins the end. handed_over: another process accepts at the sockets. */
void serve_end(struct server *server, bool handed_over);
void serve_fail(struct server *server, enum serin_errc rc, const char *sentence); /* ends, with an error */

/* table.c: routes in force, disk first, unless a version is taken off */
int table_find(const struct server *server, const char *model); /* -1 */
/* SERIN_NOT_FOUND, with a sentence that names the models that have a route. */
enum serin_errc table_no_route(const struct server *server, const char *model, struct serin_error *error);
/* Checks, numbers, stores and publishes. In the same transaction: what serves a version that enters the route, and the
 * name of one that leaves it and is served no more; or NULL. Where only weights change and only stable's rises it is in
 * force at once: an error that says "in force" means that it could not be stored, and table_store will. */
MUST_USE enum serin_errc table_put(struct server *server, const struct route *route, const struct state_serving *enters,
                                   const char *leaves, const char *author, struct serin_error *error);
MUST_USE enum serin_errc table_remove(struct server *server, const char *model, const char *author,
                                      struct serin_error *error);
/* For a rollout's controller: the same without asking whether who gains weight is ready, and also while another process
 * takes over, for a way back must be open always; and whether the route is on trial. */
MUST_USE enum serin_errc table_put_rollout(struct server *server, const struct route *route, bool on_trial,
                                           const char *author, struct serin_error *error);
void table_set_trial(struct server *server, const char *model, bool on_trial);
void table_store(struct server *server); /* tries again to write what could not be */
bool table_is_stored(const struct server *server);
/* Of the model of an entry something is in force that is not on disk: a sentence says what; NULL: nothing. */
const char *table_unstored(const struct server *server, int entry);
/* A person is told where writing has taken long. started_ns: when it began, as clock_now_ns. */
void table_tell_slow(struct server *server, const char *what, uint64_t started_ns);
void table_refresh(struct server *server); /* endpoints anew from the fleet, and publish */
MUST_USE enum serin_errc table_load(struct server *server, struct serin_error *error); /* at the start */
/* The stored routes, again: those that another process had the hands on meanwhile. */
MUST_USE enum serin_errc table_load_routes(struct server *server, struct serin_error *error);

/* deploy.c */
MUST_USE enum serin_errc deploy_start(void *user, const struct admin_deploy *deploy, struct http_exchange *exchange,
                                      struct serin_error *error);
void deploy_look(struct server *server);    /* ends those that are ready, or have failed */
void deploy_end_all(struct server *server); /* at the program's end */
bool deploy_is_in_route(const struct server *server, const char *name);
bool deploy_has_weight(const struct server *server, const char *name);
void deploy_split_name(const char *name, char *model, char *tag, size_t size); /* size: of each */
MUST_USE enum serin_errc deploy_undo(void *user, const char *name, const char *author, struct serin_error *error);

/* admit.c: SERIN_LIMIT says what keeps a version out. Somebody's server has a bundle where one of its name was pushed,
 * and is then measured by it, memory apart. What is in
 * the route already is compared with stable again, unless it has weight, and not asked for its golden pictures.
 * deploy->replicas are those it will have. */
MUST_USE enum serin_errc admit_before_start(struct server *server, const struct admin_deploy *deploy,
                                            struct serin_error *error);
/* For a version whose replicas are ready. False while it is asked what it takes and gives, or for its golden pictures,
 * after which deploy_look is called; else *rc has the outcome. */
bool admit_when_ready(struct deployment *deployment, const struct fleet_version *version, enum serin_errc *rc,
                      struct serin_error *error);
void admit_cancel(struct deployment *deployment); /* deploy_look is not called any more */

/* shelf.c: what is in the store, and pictures to be tried; for the admin API */
enum serin_errc shelf_versions(void *user, const char *name, const char *against, struct http_exchange *exchange,
                               struct serin_error *error);
enum serin_errc shelf_try(void *user, const char *name, struct http_exchange *exchange, struct serin_error *error);
void shelf_end_all(struct server *server); /* at the program's end */

/* report.c: what the admin API shows */
enum serin_errc report_status(void *user, struct buffer *out, struct serin_error *error);
/* The member "engine": what runs a version's network, and why not a faster one; null where provider is "". */
void report_engine(struct json_writer *json, const char *provider, const char *why);
enum serin_errc report_routes(void *user, struct buffer *out, struct serin_error *error);
enum serin_errc report_route(void *user, const char *model, struct buffer *out, struct serin_error *error);
enum serin_errc report_changes(void *user, int limit, struct buffer *out, struct serin_error *error);

/* metrics.c: the same as Prometheus' text format */
enum serin_errc metrics_write(void *user, struct buffer *out, struct serin_error *error);

#endif
