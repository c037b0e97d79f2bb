/*
 * fleet.h - the versions that are being served, and the replicas that serve them.  Depends on base, http, version,
 * store/bundles.h, runtime. SPDX-License-Identifier: Apache-2.0
 *
 * A version is served by replicas of our own (started through the runtime driver from the bundle store) or by
 * somebody's server (an URL). All on the control thread.
 */
#ifndef SERVE_FLEET_H
#define SERVE_FLEET_H

#include "runtime/runtime.h"
#include "serve/health.h"
#include "store/bundles.h"

#define FLEET_MAX_VERSIONS 128
#define FLEET_MAX_REPLICAS 16
#define FLEET_MAX_URL      128 /* with its NUL, as the gateway takes endpoints */
#define FLEET_MAX_SLOTS    255 /* one fewer than the gateway's: the last is for what has none */

struct fleet_replica {
    struct replica *replica; /* NULL: none */
    enum replica_state state;
    char why[640]; /* a worker's last words stand at its end */
    char endpoint[128];
    struct health *health;         /* from its readiness on; of an URL: from the beginning */
    struct fleet_watcher *watcher; /* who is told of it */
};

struct fleet_version {
    char name[VERSION_MAX_NAME]; /* "model:tag" */
    char model[VERSION_MAX_MODEL + 1], tag[VERSION_MAX_TAG + 1];
    int slot;                /* of the gateway's counters */
    char url[FLEET_MAX_URL]; /* "": our own replicas; else the one replica has no process */
    int replica_count;
    struct fleet_replica replicas[FLEET_MAX_REPLICAS];
    uint64_t memory_bytes;             /* limit of each of our own replicas; 0: none */
    char provider[PROVIDER_MAX_BYTES]; /* what runs the network, as a replica of our own has told; "": not told */
    char provider_why[400];            /* of "auto": why it is not a faster one, or "" */
    bool leaving;                      /* being stopped */
};

struct fleet;

struct fleet_options {
    const char *program;                /* of serin itself */
    const char *run_dir;                /* for sockets; absolute, at most 60 bytes */
    int threads;                        /* of an engine, where the bundle does not say; 0: half of the processors */
    const struct serve_options *health; /* of checks; read at each, lives as long */
    void (*changed)(void *user, struct fleet_version *version);     /* a replica came or went */
    void (*logged)(void *user, const char *name, const char *line); /* a line of a worker */
    void *user;
};

MUST_USE enum serin_errc fleet_new(uv_loop_t *loop, struct bundles *bundles, const struct fleet_options *options,
                                   struct fleet **ret, struct serin_error *error);

/* Starts serving a version, or more replicas of it, and those that had failed anew. SERIN_NOT_FOUND (no such bundle),
 * SERIN_LIMIT, SERIN_INVALID. */
MUST_USE enum serin_errc fleet_add(struct fleet *fleet, const char *name, int replicas, const char *url,
                                   struct fleet_version **ret, struct serin_error *error);
/* Drains and stops; changed is called with leaving set until it is gone. */
void fleet_remove(struct fleet *fleet, struct fleet_version *version);
struct fleet_version *fleet_find(struct fleet *fleet, const char *name); /* NULL */
struct fleet_version *fleet_at(struct fleet *fleet, int index);          /* 0.. ; NULL behind the last */

/* The slot of a name, served or not; FLEET_MAX_SLOTS where none is left. */
int fleet_slot(struct fleet *fleet, const char *name);

/* It is ready, and its last health checks do not say otherwise. */
bool fleet_is_up(const struct fleet_replica *replica);
int fleet_ready_count(const struct fleet_version *version); /* how many are up */
/* Where one that is up listens, as http_client_new takes it; NULL: none is, or version is NULL. */
const char *fleet_ready_endpoint(const struct fleet_version *version);
/* A replica that will not come any more; its reason, or NULL. */
const char *fleet_failure(const struct fleet_version *version);
void fleet_usage(struct fleet *fleet, const struct fleet_replica *replica, struct replica_usage *ret);

/* Stops all; done is called when nothing is left on the loop. Then fleet_free. */
void fleet_stop(struct fleet *fleet, void (*done)(void *user), void *user);
void fleet_free(struct fleet *fleet);

#endif
