/*
 * serve.h - the one process: gateway threads, the control thread with its admin API, the writer of logs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Depends on everything below it: state, bundles, fleet, gateway, admin. What is in force is on disk first; after kill
 * -9 the same versions, routes and weights come back.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct tls;

struct serve_options {
    char data_dir[1024];       /* bundles, state.db, and run/ for sockets; "" until it is chosen */
    char listen[128];          /* the data port */
    char admin[128];           /* the control API */
    char log[1024];            /* events; "-": stderr */
    char access_log[1024];     /* a line a request; "-": stderr, "": none */
    double log_sample;         /* of the requests; errors and fallbacks always */
    char trace_endpoint[1024]; /* a URL; "": nothing is traced */
    double trace_sample;       /* share of the requests */
    char cors_origins[1024];   /* of web pages that may ask; "*": any, "": none */
    double gateway_threads;
    double max_connections; /* of each of them */
    double worker_threads;  /* of an engine, where the bundle does not say; 0: half of the processors */
    double max_body_mb, max_buffered_mb;
    double mirrors_in_flight;
    double min_map, map_margin, memory_reserve_mb; /* of admission.h */
    double drain_seconds;                          /* for requests in flight at the end */
    char health_path[256];
    double health_interval_ms, health_timeout_ms;
    double health_rise, health_fall;           /* checks in a row */
    double health_restart_seconds;             /* of failed checks, after which a worker of ours is killed; 0: never */
    double url_wait_seconds;                   /* a deploy waits for somebody's server */
    char tls_certificate[1024], tls_key[1024]; /* PEM; "": plain text */
    char tls_client_ca[1024];                  /* PEM; "": no certificates are asked for */
    double tls_client_optional;                /* 1: a client may have none */
    char upstream_ca[1024];                    /* PEM; "": the system's roots */
    struct tls *upstream_tls;                  /* whom to trust at https:// replicas; NULL until it runs */
    bool takeover;                             /* of the folder from the one that serves it, if there is one */
    /* Reads the configuration again; NULL: it cannot be. */
    enum serin_errc (*read)(const void *user, struct serve_options *ret, struct serin_error *error);
    const void *read_user;
};

void serve_options_init(struct serve_options *options);

/* Sets one by its name, as in the YAML file and after -- on the command line (with '-' for '_'). SERIN_INVALID names
 * the nearest. */
MUST_USE enum serin_errc serve_option_set(struct serve_options *options, const char *key, const char *value,
                                          struct serin_error *error);
/* Reads a YAML file of key: value. Errors have the line. */
MUST_USE enum serin_errc serve_options_read(struct serve_options *options, const char *path, struct serin_error *error);
/* Puts in force what differs between two readings of the configuration, all or nothing. SERIN_LIMIT names the key that
 * takes a new process. */
MUST_USE enum serin_errc serve_options_change(const struct serve_options *before, const struct serve_options *wish,
                                              struct serve_options *in_force, struct serin_error *error);
/* Writes them as such a file, each with its help. */
void serve_options_dump(const struct serve_options *options, struct buffer *out);

/* Whether these may be served: files of TLS that can be read, and the admin port elsewhere than on this machine only
 * with TLS and an admin's token in the state file. SERIN_INVALID says what is missing; SERIN_IO, SERIN_CORRUPT of the
 * state file. */
MUST_USE enum serin_errc serve_check_access(const struct serve_options *options, struct serin_error *error);
/* What both ports speak; *ret is NULL for plain text. SERIN_INVALID, SERIN_NOMEM. */
MUST_USE enum serin_errc serve_make_tls(const struct serve_options *options, struct tls **ret,
                                        struct serin_error *error);

/* Whether logs and data_dir can be opened or made; makes nothing. SERIN_INVALID names the key and the path. */
MUST_USE enum serin_errc serve_check_files(const struct serve_options *options, struct serin_error *error);
/* Whether what the environment has for the collector of traces can be sent. SERIN_INVALID names the variable. */
MUST_USE enum serin_errc serve_check_traces(const struct serve_options *options, struct serin_error *error);
/* What of a worker's sandbox and limits can be enforced on this machine, a line each. Returns text. */
const char *serve_describe_limits(char *text, size_t size);

/* Runs until SIGTERM or SIGINT, of which a second one ends it at once, or until another one has taken over. Prints
 * "serving on ADDRESS, admin on ADDRESS" on stdout once both listen and every stable version is ready (or has failed).
 * program: the path of serin, for its workers. */
MUST_USE enum serin_errc serve_run(const struct serve_options *options, const char *program, struct serin_error *error);

#endif
