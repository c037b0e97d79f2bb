/*
 * access.c - what the ports speak, and what must be so before the admin port may be reached from other machines.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/serve.h"

#include "http/address.h"
#include "http/tls.h"
#include "store/tokens.h"

#include <stdio.h>

enum serin_errc serve_make_tls(const struct serve_options *options, struct tls **ret, struct serin_error *error)
{
    const struct tls_files files = {.certificate = options->tls_certificate,
                                    .key = options->tls_key,
                                    .client_ca = options->tls_client_ca,
                                    .client_optional = options->tls_client_optional > 0};

    *ret = NULL;
    if (files.certificate[0] && files.key[0])
        return tls_server_new(&files, ret, error);
    if (files.certificate[0] || files.key[0] || files.client_ca[0])
        return error_set(error, SERIN_INVALID, "tls_certificate and tls_key go together, and tls_client_ca with them");
    return SERIN_OK;
}

static enum serin_errc check_tls(const struct serve_options *options, bool *ret_speaks, struct serin_error *error)
{
    struct tls *tls;
    enum serin_errc rc = serve_make_tls(options, &tls, error);

    if (rc != SERIN_OK)
        return rc;
    *ret_speaks = tls != NULL;
    tls_free(tls);
    rc = tls_client_new(options->upstream_ca, &tls, error);
    if (rc == SERIN_OK)
        tls_free(tls);
    return rc;
}

enum serin_errc serve_check_access(const struct serve_options *options, struct serin_error *error)
{
    bool has_admin, speaks_tls;
    struct http_address address;
    enum serin_errc rc = check_tls(options, &speaks_tls, error);
    char path[1200];

    if (rc == SERIN_OK)
        rc = http_address_parse(options->admin, &address, error);
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
    if (!speaks_tls)
        return error_set(
            error, SERIN_INVALID,
            "the control API on %s would get its tokens in plain text: set tls_certificate and tls_key, or "
            "use 127.0.0.1 or a unix socket",
            options->admin);
    return SERIN_OK;
}
