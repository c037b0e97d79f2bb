/*
 * spec.h - a replica's specification, checked and owned.  Depends on base, runtime.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_SPEC_H
#define RUNTIME_SPEC_H

#include "base/arena.h"
#include "runtime/runtime.h"

struct owned_spec {
    struct replica_spec spec; /* with the defaults filled in; its pointers live in the arena */
    char **argv;              /* program, arguments, NULL: as execve takes them */
    char **envp;              /* what of our environment a worker needs, and the GPU's choice */
    struct arena arena;
};

/* Copies and checks. SERIN_INVALID, SERIN_LIMIT (a socket path over 107 bytes, too many arguments), SERIN_NOMEM; on
 * failure *ret holds nothing. */
MUST_USE enum serin_errc owned_spec_init(struct owned_spec *ret, const struct replica_spec *spec,
                                         struct serin_error *error);
void owned_spec_done(struct owned_spec *owned);

#endif
