/*
 * ready_probe.h - asks a worker's socket until it answers that it is ready.  Depends on base, libuv.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_READY_PROBE_H
#define RUNTIME_READY_PROBE_H

#include "base/error.h"

#include <uv.h>

struct ready_probe;

/* GET /v2/health/ready every 100 ms until the status is 200; then ready(user) once, and it asks no more. socket_path
 * is not copied. SERIN_NOMEM. */
MUST_USE enum serin_errc ready_probe_new(uv_loop_t *loop, const char *socket_path, void (*ready)(void *user),
                                         void *user, struct ready_probe **ret, struct serin_error *error);
/* Asks no more; frees itself on the loop. NULL is fine. */
void ready_probe_close(struct ready_probe *probe);

#endif
