/*
 * access.c - what must be so before the admin port may be reached from other machines.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/serve.h"

#include "http/address.h"
#include "store/tokens.h"

#include <stdio.h>

enum serin_errc serve_check_access(const struct serve_options *options, struct serin_error *error)
{
    char path[1200];
    struct http_address address;
    bool has_admin;
    enum serin_errc rc = http_address_parse(options->admin, &address, error);

    if (rc != SERIN_OK || http_address_is_local(options->admin))
        return rc;
    snprintf(path, sizeof(path), "%s/state.db", options->data_dir);
    rc = tokens_has_admin(path, &has_admin, error);
    if (rc != SERIN_OK)
        return rc;
    if (!has_admin)
        return error_set(error, SERIN_INVALID,
                         "the control API would be open to other machines on %s without a token: make one first (serin "
                         "token create NAME --role admin), or use 127.0.0.1 or a unix socket",
                         options->admin);
    return error_set(error, SERIN_INVALID,
                     "the control API on %s would send tokens in plain text: use 127.0.0.1 or a unix socket",
                     options->admin);
}
