/*
 * sandbox.h - starting a process that can do little.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything is prepared before the fork; the child then only makes system calls, since the parent has other threads
 * that may hold any lock. A worker dies with the thread that started it: start replicas from a thread that lives as
 * long as they shall.
 */
#ifndef RUNTIME_SANDBOX_H
#define RUNTIME_SANDBOX_H

#include "base/error.h"

#include <linux/filter.h>
#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

/* What a kernel, a container or an administrator may forbid; found out by trying. */
#define SANDBOX_FEATURE_MAP(X)                                                                                         \
    X(USER_NAMESPACE, "user namespace: its privileges end at itself")                                                  \
    X(NETWORK, "network namespace: no interface, unix sockets by path only")                                           \
    X(IPC_UTS, "ipc and uts namespaces")                                                                               \
    X(PROCESSES, "pid and mount namespaces: it sees itself only, and nothing of it outlives it")                       \
    X(SYSCALL_FILTER,                                                                                                  \
      "seccomp: listens on unix sockets only, no new processes; ptrace, mount, bpf, modules, clocks end it")           \
    X(FILES, "landlock: writes in its run_dir only, reads what it was given and libraries")                            \
    X(OTHER_USER, "user: of root's server they are nobody, where all they read is open to everybody")

enum sandbox_feature_index {
#define X(name, meaning) SANDBOX_INDEX_##name,
    SANDBOX_FEATURE_MAP(X)
#undef X
};

enum sandbox_feature {
#define X(name, meaning) SANDBOX_##name = 1 << SANDBOX_INDEX_##name,
    SANDBOX_FEATURE_MAP(X)
#undef X
};

struct sandbox_plan {
    const char *program; /* NULL: a rehearsal that exits with 0 where it would exec */
    char *const *argv, *const *envp;
    unsigned features;               /* SANDBOX_ bits */
    int log_fd;                      /* becomes stdout and stderr */
    int landlock_fd;                 /* with SANDBOX_FILES */
    const struct sock_fprog *filter; /* with SANDBOX_SYSCALL_FILTER */
    const cpu_set_t *cores;          /* NULL: any */
    uint64_t data_bytes;             /* RLIMIT_DATA; 0: none */
    /* Called in the parent while the child waits: put it into its cgroup. May be NULL. */
    enum serin_errc (*admit)(void *user, pid_t pid, struct serin_error *error);
    void *user;
};

/* The features that work for this process on this machine; tried once, then remembered. Threadsafe. */
unsigned sandbox_features(void);

/* Returns when the program has been exec'd, so that "no such program" is this call's error; takes milliseconds. The
 * caller reaps *ret (SIGCHLD). SERIN_IO: the sentence names the step that failed. SERIN_NOMEM. */
MUST_USE enum serin_errc sandbox_spawn(const struct sandbox_plan *plan, pid_t *ret, struct serin_error *error);

#endif
