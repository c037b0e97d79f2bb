/*
 * landlock.h - which files a worker may touch (Landlock), prepared beforehand.  Depends on base, runtime.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_LANDLOCK_H
#define RUNTIME_LANDLOCK_H

#include "runtime/runtime.h"

/* A ruleset that a child can put in force by itself between fork and exec: it writes in run_dir only, and where
 * spec->readable is given it reads those, its program, libraries and little else. Returns a descriptor (close it).
 * SERIN_UNSUPPORTED without Landlock, SERIN_IO. A path that is not there is passed over: whoever needs it will say so.
 */
MUST_USE enum serin_errc landlock_rules_new(const struct replica_spec *spec, int *ret_fd, struct serin_error *error);

/* Adds a folder that was mounted since then, for reading. Async-signal-safe. */
void landlock_grant_mounted(int fd, const char *path);

/* Async-signal-safe. 0, or -1 with errno. */
int landlock_enforce(int fd);

#endif
