/*
 * limits.h - memory and processor limits of one replica: cgroup v2, v1 as found, or what rlimits can do.  Depends on
 * base. SPDX-License-Identifier: Apache-2.0
 *
 * A replica's group lies under our own and is named serin-PID-NUMBER after the process that made it, so that the next
 * start can remove what a killed one left.
 */
#ifndef RUNTIME_LIMITS_H
#define RUNTIME_LIMITS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LIMITS_CONTROLLER_MAP(X)                                                                                       \
    X(MEMORY, "memory")                                                                                                \
    X(CPU, "cpu")                                                                                                      \
    X(PIDS, "pids")

enum limits_controller {
#define X(name, text) LIMITS_##name,
    LIMITS_CONTROLLER_MAP(X)
#undef X
        LIMITS_CONTROLLERS
};

struct limits_group {
    char paths[LIMITS_CONTROLLERS][512]; /* "": no such controller here; with version 2 all are the same */
    uint64_t oom_kills;                  /* of earlier lives of the replica */
};

/* 1 or 2 for a controller under which we can make groups; 0: none. Tried once, then remembered. Threadsafe. */
int limits_cgroup_version(enum limits_controller controller);

/* Removes the groups of servers that were killed; limits_cgroup_version's first call does too. */
void limits_sweep(void);

/* Makes the groups. 0: no limit. What has no controller is left out (limits_cgroup_version tells). SERIN_IO where one
 * that should work does not. On failure nothing is left. */
MUST_USE enum serin_errc limits_init(struct limits_group *ret, uint64_t memory_bytes, double cpus,
                                     struct serin_error *error);
MUST_USE enum serin_errc limits_admit(const struct limits_group *group, pid_t pid, struct serin_error *error);
/* Whether the kernel has killed for memory in the group since the last call. */
bool limits_killed_for_memory(struct limits_group *group);
/* The most that the group has had resident, as its limit counts (with what it keeps of files); 0 where the kernel does
 * not tell. */
uint64_t limits_peak_bytes(const struct limits_group *group);
/* What the groups that we are in still let us take, files that the kernel may drop counted as free; UINT64_MAX: they
 * have no limit. */
uint64_t limits_available_bytes(void);
/* Ends whatever is still in the group. */
void limits_kill(const struct limits_group *group);
/* Removes the groups; false while the kernel still holds a dead process in one (try again soon). */
bool limits_done(struct limits_group *group);

#endif
