/*
 * runtime.h - what starts and stops workers: a table of functions, one row a driver.  Depends on base, http, libuv.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A replica is one worker process (container, pod) of one version, kept alive: started, asked for readiness, restarted
 * with back-off when it dies, drained when it is stopped. All calls and callbacks are on the thread of the loop, and
 * a replica ends with that thread. The embedded default is the process driver; its workers have no capabilities, so
 * that what they read must be readable for the server's user (root included) as a file's permissions say.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define REPLICA_STATE_MAP(X)                                                                                           \
    X(STARTING, "starting", "the process runs and is not ready yet")                                                   \
    X(READY, "ready", "it answers")                                                                                    \
    X(DRAINING, "draining", "it ends what it has and takes no more")                                                   \
    X(BACKOFF, "backoff", "it died and waits to be started again")                                                     \
    X(FAILED, "failed", "it could not be started, and will not be tried again")                                        \
    X(STOPPED, "stopped", "it is gone, as asked")

enum replica_state {
#define X(name, text, meaning) REPLICA_##name,
    REPLICA_STATE_MAP(X)
#undef X
};
const char *replica_state_text(enum replica_state state);

struct replica_spec {
    const char *label;            /* for logs: "street-person:v1.0.0-cpu#0" */
    const char *program;          /* absolute path of the serin binary */
    const char *const *arguments; /* NULL-terminated, without the program: {"worker", "--model", ...} */
    const char *run_dir;          /* a private folder (0700), all that it may write to; made where it is missing */
    const char *socket_path;      /* where it will listen: DIR/NAME.sock, at most 107 bytes */
    const char *const *readable;  /* what it may read besides libraries; NULL-terminated. NULL: anything */
    uint64_t memory_bytes;        /* 0: no limit */
    double cpus;                  /* 0: no limit */
    const int *pinned_cpus;       /* cores it runs on; NULL: any */
    int pinned_count;
    int gpu;                   /* -1: none; else CUDA_VISIBLE_DEVICES */
    uint64_t ready_timeout_ms; /* from start to ready; default 120,000 */
    uint64_t drain_timeout_ms; /* from SIGTERM to SIGKILL; default 10,000 */
    int max_restarts;          /* in a row without having been ready; then FAILED. 0: 5; negative: never again */
};

struct replica;

struct replica_usage {
    uint64_t resident_bytes, peak_bytes;
    double cpu_seconds;
    uint64_t gpu_bytes;     /* 0 where there is no NVML */
    double gpu_utilisation; /* 0..1 */
    int restarts;
    int pid;  /* 0: none */
    int user; /* its id, as we see it; -1: not known */
};

struct replica_callbacks {
    void (*state_changed)(void *user, struct replica *replica, enum replica_state state, const char *why);
    void (*logged)(void *user, struct replica *replica,
                   const char *line); /* a line of its stdout or stderr, cut at 4 KiB */
    void *user;
};

/* One row a driver. */
struct runtime_driver {
    const char *name; /* "process" */
    /* What limits it can enforce here, one line a limit, for `serin serve --check` and the console. Returns text. */
    const char *(*describe)(char *text, size_t size);
    /* The spec is copied. State callbacks follow, the first one STARTING. */
    enum serin_errc (*start)(uv_loop_t *loop, const struct replica_spec *spec,
                             const struct replica_callbacks *callbacks, struct replica **ret,
                             struct serin_error *error);
    void (*stop)(struct replica *replica); /* drains; STOPPED is the last callback, after which the replica is freed */
    /* Ends a READY replica that does not answer, at once, as if it had crashed: it is started again with back-off. */
    void (*restart)(struct replica *replica);
    enum replica_state (*state)(const struct replica *replica);
    void (*usage)(struct replica *replica, struct replica_usage *ret);
    const char *(*endpoint)(const struct replica *replica); /* "unix:/path" */
};

extern const struct runtime_driver runtime_process;

#endif
