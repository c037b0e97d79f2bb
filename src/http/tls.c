/*
 * tls.c - OpenSSL's contexts, made from files.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A reload makes a new context and puts it in the place of the old one, which lives on in its connections. Sessions are
 * resumed by tickets, of which the server keeps nothing; a reload ends them, since their key is the context's.
 */
#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mozilla's "intermediate" list, without the DHE ones (which nobody needs who has ECDHE, and which cost most). */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static const unsigned char alpn[] = "\x08http/1.1";

struct tls {
    pthread_mutex_t lock; /* context */
    SSL_CTX *context;
    char certificate[1024], key[1024], client_ca[1024];
    bool client_optional;
};

/* The oldest of OpenSSL's errors has the cause; the others say who passed it on. */
static enum serin_errc fault(const char *path, const char *what, struct serin_error *error)
{
    unsigned long code = ERR_get_error();
    const char *reason =
        ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    ERR_clear_error();
    return error_set(error, SERIN_INVALID, "%s: %s: %s", path, what, reason ? reason : "OpenSSL does not say why");
}

/* A key with a passphrase would have OpenSSL ask on the terminal, and the program wait. */
static int no_passphrase(char *text, int size, int writing, void *user)
{
    (void)text, (void)size, (void)writing, (void)user;
    return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *user)
{
    unsigned char *chosen;

    (void)ssl, (void)user;
    if (SSL_select_next_proto(&chosen, out_size, alpn, sizeof(alpn) - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE); /* idle ones are many */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static enum serin_errc ask_clients(const struct tls *tls, SSL_CTX *context, struct serin_error *error)
{
    STACK_OF(X509_NAME) * names;

    if (!tls->client_ca[0])
        return SERIN_OK;
    if (SSL_CTX_load_verify_file(context, tls->client_ca) != 1)
        return fault(tls->client_ca, "no roots of clients' certificates can be read from it", error);
    names = SSL_load_client_CA_file(tls->client_ca);
    if (!names)
        return fault(tls->client_ca, "no roots of clients' certificates can be read from it", error);
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (tls->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
    return SERIN_OK;
}

static enum serin_errc use_certificate(SSL_CTX *context, const char *certificate, const char *key,
                                       struct serin_error *error)
{
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return fault(certificate, "no certificate can be read from it", error);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return fault(key, "no key of the certificate, without a passphrase, can be read from it", error);
    return SERIN_OK;
}

static enum serin_errc read_server(const struct tls *tls, SSL_CTX **ret, struct serin_error *error)
{
    SSL_CTX *context = make_context(TLS_server_method());
    enum serin_errc rc;

    if (!context)
        return error_set(error, SERIN_NOMEM, "no memory for TLS");
    ERR_clear_error();
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"serin", 5);
    rc = use_certificate(context, tls->certificate, tls->key, error);
    if (rc == SERIN_OK)
        rc = ask_clients(tls, context, error);
    if (rc == SERIN_OK)
        *ret = context;
    else
        SSL_CTX_free(context);
    return rc;
}

static enum serin_errc copy_name(const char *what, const char *given, char *name, size_t size,
                                 struct serin_error *error)
{
    if (strlen(given) >= size)
        return error_set(error, SERIN_INVALID, "the name of %s has %zu bytes, the limit is %zu", what, strlen(given),
                         size - 1);
    memcpy(name, given, strlen(given) + 1);
    return SERIN_OK;
}

enum serin_errc tls_server_new(const struct tls_files *files, struct tls **ret, struct serin_error *error)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    enum serin_errc rc;

    if (!tls)
        return error_set(error, SERIN_NOMEM, "no memory for TLS");
    pthread_mutex_init(&tls->lock, NULL);
    tls->client_optional = files->client_optional;
    rc = copy_name("the certificate", files->certificate, tls->certificate, sizeof(tls->certificate), error);
    if (rc == SERIN_OK)
        rc = copy_name("the key", files->key, tls->key, sizeof(tls->key), error);
    if (rc == SERIN_OK)
        rc = copy_name("the clients' roots", files->client_ca, tls->client_ca, sizeof(tls->client_ca), error);
    if (rc == SERIN_OK)
        rc = read_server(tls, &tls->context, error);
    if (rc == SERIN_OK)
        *ret = tls;
    else
        tls_free(tls);
    return rc;
}

enum serin_errc tls_server_reload(struct tls *tls, struct serin_error *error)
{
    SSL_CTX *fresh, *old;
    enum serin_errc rc = read_server(tls, &fresh, error);

    if (rc != SERIN_OK)
        return rc;
    pthread_mutex_lock(&tls->lock);
    old = tls->context;
    tls->context = fresh;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return SERIN_OK;
}

double tls_server_left_s(struct tls *tls)
{
    const X509 *certificate;
    int days = 0, seconds = 0;

    pthread_mutex_lock(&tls->lock);
    certificate = SSL_CTX_get0_certificate(tls->context);
    if (!certificate || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        days = seconds = 0;
    pthread_mutex_unlock(&tls->lock);
    return days * 86400.0 + seconds;
}

enum serin_errc tls_client_new(const char *ca, struct tls **ret, struct serin_error *error)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    enum serin_errc rc = SERIN_OK;

    if (!tls)
        return error_set(error, SERIN_NOMEM, "no memory for TLS");
    pthread_mutex_init(&tls->lock, NULL);
    ERR_clear_error();
    tls->context = make_context(TLS_client_method());
    if (!tls->context)
        rc = error_set(error, SERIN_NOMEM, "no memory for TLS");
    else if (*ca && SSL_CTX_load_verify_file(tls->context, ca) != 1)
        rc = fault(ca, "no roots can be read from it", error);
    else if (!*ca && SSL_CTX_set_default_verify_paths(tls->context) != 1)
        rc = fault("the system's roots", "cannot be used", error);
    if (rc != SERIN_OK) {
        tls_free(tls);
        return rc;
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(tls->context, alpn, sizeof(alpn) - 1);
    *ret = tls;
    return SERIN_OK;
}

enum serin_errc tls_client_show(struct tls *tls, const char *certificate, const char *key, struct serin_error *error)
{
    ERR_clear_error();
    return use_certificate(tls->context, certificate, key, error);
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* RFC 6066, 3: an address is no name for the server to choose by. */
static bool expect(SSL *ssl, const char *host)
{
    unsigned char address[16];

    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *tls_begin(struct tls *tls, const char *host)
{
    SSL *ssl;

    pthread_mutex_lock(&tls->lock);
    ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (ssl && host && !expect(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl && host)
        SSL_set_connect_state(ssl);
    else if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}
