/*
 * other_user.h - whether a worker of root's server could run as nobody.  Depends on runtime.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_OTHER_USER_H
#define RUNTIME_OTHER_USER_H

#include "runtime/runtime.h"

#define OTHER_USER 65534 /* nobody and nogroup, and the kernel's overflow id: nothing belongs to it */

/* Are we root, with the capabilities to give a worker another user and to reach its socket all the same? */
bool other_user_is_possible(void);

/* Is all that the worker is known to need open to everybody: the program, its libraries (those that this program has
 * loaded), what it may read, and the way to its run_dir? Not where the spec does not say what it reads, and not with a
 * GPU, whose devices the driver makes as root. */
bool other_user_can_run(const struct replica_spec *spec);

/* Lets that user, and our group, write into run_dir. */
MUST_USE enum serin_errc other_user_own(const char *run_dir, struct serin_error *error);

#endif
