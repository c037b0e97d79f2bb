/*
 * transport.h - bytes to and from the other side of a connection, in plain text or in TLS.  Depends on base, libuv,
 * address.h, tls.h. Private to the server's and the client's connections.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What libuv offers for its own streams, with one way to send: in plain text it is libuv itself, in TLS OpenSSL stands
 * between, in memory. Callbacks get libuv's handle, whose data is the caller's.
 */
#ifndef HTTP_TRANSPORT_H
#define HTTP_TRANSPORT_H

#include "base/buffer.h"
#include "http/address.h"
#include "http/tls.h"

struct transport {
    union http_socket socket; /* first: a handle of libuv is its transport */
    uv_write_t write, say_write;
    uv_shutdown_t shutdown;
    void (*sent)(struct transport *transport, int status); /* of what transport_send has not done yet; else NULL */
    /* TLS: */
    SSL *ssl;                                    /* NULL: plain text */
    void (*opened)(struct transport *transport); /* the handshake is done; may be NULL */
    uv_alloc_cb alloc;
    uv_read_cb read; /* NULL while nobody reads */
    const char *fed; /* what has come and was not deciphered yet */
    size_t fed_size;
    char *kept;        /* its memory, where nobody read on */
    uv_buf_t plain[2]; /* what is to be enciphered still */
    unsigned plain_count;
    struct buffer out;    /* what is enciphered, on its way to the kernel */
    struct buffer flying; /* what libuv sends of it */
    uv_write_t wake;
    bool is_open, is_client, is_flying, is_pumping, is_waking, is_ended, is_closed, is_broken;
    char why[160]; /* what a read that failed with UV_EPROTO failed with */
};

/* Sets up the socket; of TCP or of unix kind. A libuv error. */
int transport_init(uv_loop_t *loop, struct transport *transport, bool is_unix);
/* Speaks TLS from now on, before anything was read or sent; ssl (tls_begin) is taken over. A client begins at once,
 * and opened is called from the loop. UV_ENOMEM. */
int transport_begin_tls(struct transport *transport, SSL *ssl, bool is_client,
                        void (*opened)(struct transport *transport));
bool transport_is_open(const struct transport *transport); /* no handshake is going on */

/* As uv_read_start and uv_read_stop. An end that the other side did not announce is UV_ECONNRESET to a client, which
 * could not tell it from an attacker's; what is no TLS, or no certificate that one may trust, is UV_EPROTO. */
int transport_read_start(struct transport *transport, uv_alloc_cb alloc, uv_read_cb read);
void transport_read_stop(struct transport *transport);

/* Sends all of at most two buffers. 1: it has; 0: sent will be called, from the loop, and the bytes must stay; else a
 * libuv error. One at a time. */
int transport_send(struct transport *transport, const uv_buf_t *bufs, unsigned count,
                   void (*sent)(struct transport *transport, int status));
int transport_say(struct transport *transport,
                  const char *text); /* a short constant text, while nothing else is being sent */
size_t transport_unsent(const struct transport *transport); /* bytes that the other side has not taken yet, about */
int transport_shutdown(struct transport *transport);        /* no more will be sent */

void transport_close(struct transport *transport, uv_close_cb closed); /* uv_close */
void transport_done(struct transport *transport);                      /* frees, once closed was called */

#endif
