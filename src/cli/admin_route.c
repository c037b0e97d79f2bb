/*
 * admin_route.c - routes out of the admin API's answers.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/admin_route.h"

#include <stdlib.h>
#include <string.h>

enum serin_errc admin_route_read(const json_t *answer, struct route *ret, struct serin_error *error)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct serin_error inner;
    enum serin_errc rc = SERIN_OK;

    if (!text)
        return error_set(error, SERIN_CORRUPT, "the admin API answered without a route");
    if (route_from_json(text, strlen(text), ret, &inner) != SERIN_OK)
        rc = error_set(error, SERIN_CORRUPT, "the admin API answered with a route that cannot be read: %s",
                       inner.message);
    free(text);
    return rc;
}
