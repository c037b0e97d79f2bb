/*
 * address.h - what to listen on or to connect to: a unix socket's path, or a host and a port.  Depends on base, libuv.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

struct http_address {
    bool is_unix, is_numeric;    /* is_numeric: ip is set */
    bool is_tls;                 /* "https://" was in front */
    char path[108];              /* of a unix socket, as sun_path has it */
    char host[256], port[6];     /* without brackets; empty for a unix socket */
    struct sockaddr_storage ip;  /* where host is an address */
    char authority[256 + 2 + 6]; /* for a Host field: "127.0.0.1:8000", "[::1]:8000"; "localhost" for a unix socket */
};

/* "unix:/path", "127.0.0.1:80", "[::1]:80", "host:80", each of the latter with or without "http://" or "https://" in
 * front and "/" behind; without a port under "http://": 80, under "https://": 443. SERIN_INVALID. */
MUST_USE enum serin_errc http_address_parse(const char *text, struct http_address *ret, struct serin_error *error);

/* Whether what listens there is reached from this machine only: a unix socket, 127.0.0.0/8, ::1. False where it is no
 * address. */
bool http_address_is_local(const char *text);

/* For a TCP socket that is to be bound or connected at the address, before that is done: where it is this machine
 * itself there is no network that could be congested, and what is sent goes out at once. */
void http_socket_expect(int fd, const struct sockaddr *address);

/* "10.0.0.7:51432", "[::1]:51432", "unix". */
void http_address_text(const struct sockaddr *address, char *text, size_t size);

/* A TCP or unix stream socket, as a libuv handle of the kind that it needs. */
union http_socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

int http_socket_init(uv_loop_t *loop, union http_socket *socket, bool is_unix);

#endif
