/*
 * admin_call.h - one question to the admin API of a running `serin serve`, and its answer.  Depends on base, http,
 * jansson. SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_ADMIN_CALL_H
#define CLI_ADMIN_CALL_H

#include "base/bytes.h"
#include "base/error.h"
#include "cli/cli.h"

#include <jansson.h>

#define ADMIN_DEFAULT       "127.0.0.1:8081"
#define ADMIN_MAX_PATH      512
#define ADMIN_TIMEOUT_MS    15000u
#define ADMIN_NO_CONNECTION "no serin serve at %s: %s"

/* The row of a verb's table whose settings have a field `const char *admin`. */
#define ADMIN_OPTION(settings)                                                                                         \
    {                                                                                                                  \
        .name = "admin", .value = "HOST:PORT", .type = CLI_TEXT, .offset = offsetof(struct settings, admin),           \
        .help =                                                                                                        \
            "where the admin API of serin serve listens, or unix:PATH (default $SERIN_ADMIN, or else " ADMIN_DEFAULT   \
            ")"                                                                                                        \
    }

/* The address to call: what was given, $SERIN_ADMIN, or the default. */
const char *admin_address(const char *given);

/* "cli alice": who it is, for the journal of changes. Returns text. */
#define ADMIN_MAX_AUTHOR 70
const char *admin_author(char text[ADMIN_MAX_AUTHOR]);

/* Writes "prefix" and the text, percent-encoded where it must be, into path of ADMIN_MAX_PATH bytes. SERIN_LIMIT. */
MUST_USE enum serin_errc admin_path(char *path, const char *prefix, const char *text, const char *suffix,
                                    struct serin_error *error);

/* What the token is called in sentences. It is not an option: everybody on a machine sees command lines. */
#define ADMIN_TOKEN_FROM "$SERIN_TOKEN, or the file $SERIN_TOKEN_FILE or ~/.config/serin/token, which only you may read"

/* For calls to an https:// address: trusts $SERIN_CA (PEM), or else the system's roots, and shows the certificate
 * $SERIN_CERT with the key $SERIN_KEY (PEM; the same file where only the first is set) to who asks for one. *ret is
 * NULL for other addresses; tls_free it once the client is closed. SERIN_INVALID, SERIN_NOMEM. */
struct tls;
MUST_USE enum serin_errc admin_tls(const char *address, struct tls **ret, struct serin_error *error);

/* Sends method and path, and the token that there is (ADMIN_TOKEN_FROM), with body as JSON (NULL: none), and waits for
 * the answer: timeout_ms for all of it. *ret_json is the answer's JSON (json_decref it); NULL for an answer without a
 * body. Errors: SERIN_IO (nobody there, too late), SERIN_NOT_FOUND (404), SERIN_INVALID (other 4xx) with the server's
 * own sentence, SERIN_CORRUPT (no JSON), SERIN_NOMEM. */
MUST_USE enum serin_errc admin_call(const char *address, const char *method, const char *path, const char *body,
                                    unsigned timeout_ms, json_t **ret_json, struct serin_error *error);
/* The bytes of what a GET answers with 200; bytes_drop them. Errors as admin_call's. */
MUST_USE enum serin_errc admin_fetch(const char *address, const char *path, unsigned timeout_ms, struct bytes **ret,
                                     struct serin_error *error);

#endif
