/*
 * health.h - asks one endpoint again and again whether it is ready.  Depends on base, http, serve.h, libuv.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Never blocks: all on the control thread's loop. An endpoint is up once it has answered 2xx for the first time; it is
 * down after health_fall failed checks in a row, and up again after health_rise good ones.
 */
#ifndef SERVE_HEALTH_H
#define SERVE_HEALTH_H

#include "serve/serve.h"

#include <uv.h>

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN }; /* unknown: it has never answered ready */

struct health;

/* endpoint: as http_client_new takes it. state: HEALTH_UNKNOWN is asked at once, HEALTH_UP (who is known to be ready)
 * after an interval. options are read at each check, so that they may change. changed is called on the loop when the
 * state has changed, after the first check, and after each while health_hangs; it may close. SERIN_INVALID,
 * SERIN_NOMEM. */
MUST_USE enum serin_errc health_new(uv_loop_t *loop, const char *endpoint, enum health_state state,
                                    const struct serve_options *options, void (*changed)(void *user), void *user,
                                    struct health **ret, struct serin_error *error);
enum health_state health_state(const struct health *health);
const char *health_why(const struct health *health); /* why the last check failed; "" where it did not */
/* It is down, and no check has gone well for health_restart_seconds. */
bool health_hangs(const struct health *health);
/* Asks no more; frees itself on the loop. NULL is fine. */
void health_close(struct health *health);

#endif
