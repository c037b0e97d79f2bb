/*
 * tls.h - what a server proves and a client asks for: certificates, keys, roots.  Depends on base, OpenSSL.
 * SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only (BCP 195, RFC 9325), ALPN http/1.1. Used from
 * any thread.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "base/error.h"

#include <openssl/ssl.h>

#include <stdbool.h>

struct tls;

struct tls_files {
    const char *certificate, *key; /* PEM; the certificate first, then what it was signed with */
    const char *client_ca;         /* PEM: who signs clients' certificates; "": none are asked for */
    bool client_optional;          /* a client without a certificate is let in, one with a wrong one never */
};

/* Reads the files; their names are copied. SERIN_INVALID says which of them is wrong and why. */
MUST_USE enum serin_errc tls_server_new(const struct tls_files *files, struct tls **ret, struct serin_error *error);
/* Reads them again, for connections that come from now on; on an error all stays as it was. */
MUST_USE enum serin_errc tls_server_reload(struct tls *tls, struct serin_error *error);
/* Until the certificate in force ends; negative: since it has. */
double tls_server_left_s(struct tls *tls);
/* ca: PEM with roots to trust; "": the system's. */
MUST_USE enum serin_errc tls_client_new(const char *ca, struct tls **ret, struct serin_error *error);
/* What a client shows a server that asks for it: PEM, as in struct tls_files. Before the first tls_begin.
 * SERIN_INVALID says which of them is wrong and why. */
MUST_USE enum serin_errc tls_client_show(struct tls *tls, const char *certificate, const char *key,
                                         struct serin_error *error);
void tls_free(struct tls *tls); /* NULL is fine; connections go on */

/* One connection, to be freed by SSL_free, without a BIO. host: whom a client expects there, a name or an address;
 * NULL for a server. NULL without memory. */
SSL *tls_begin(struct tls *tls, const char *host);

#endif
