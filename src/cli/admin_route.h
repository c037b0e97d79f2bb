/*
 * admin_route.h - the routes that the admin API answers with.  Depends on gateway/route.h, jansson.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_ADMIN_ROUTE_H
#define CLI_ADMIN_ROUTE_H

#include "gateway/route.h"

#include <jansson.h>

/* SERIN_CORRUPT where the answer is no route that this program knows. SERIN_NOMEM. */
MUST_USE enum serin_errc admin_route_read(const json_t *answer, struct route *ret, struct serin_error *error);

#endif
