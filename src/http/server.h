/*
 * server.h - an HTTP/1.1 server on one libuv loop: whole requests in, whole answers out (or a stream of pieces).
 * Depends on base, message.h, libuv. SPDX-License-Identifier: Apache-2.0
 *
 * The handler is called on the loop's thread once a request is complete (its body bounded and in one piece), and
 * answers then or later, exactly once, on the same thread: http_respond. Keep-alive, pipelining (answers keep their
 * order; one request of a connection is handled at a time), chunked bodies, Expect: 100-continue, HEAD, limits on every
 * size and time. On any doubt: 400 and close. A body of known length is read straight into the bytes that the handler
 * gets.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/bytes.h"
#include "http/message.h"

#include <uv.h>

/* A request that the server answers itself, before a handler has seen it. Valid during the call. */
struct http_refusal {
    const struct http_head *head; /* NULL: it could not be read */
    struct http_slice line;       /* what came of the request line, if anything; it may hold any bytes */
    const char *peer, *why;       /* as http_exchange_peer; a sentence */
    uint64_t started_ns;
    size_t body_bytes; /* of the request, as far as they came */
    int status;
    size_t answer_bytes;
};
/* Called on the loop's thread; fields may be appended to. */
typedef void http_refused(void *user, const struct http_refusal *refusal, struct buffer *fields);

struct tls;

/* How large the body of a request with this head may be, where that differs from request to request. */
typedef size_t http_body_limit(void *user, const struct http_head *head);

struct http_server_options {
    struct http_limits limits;
    http_body_limit *body_limit; /* with the handler's user; NULL: limits.max_body_bytes for all */
    int max_connections;         /* default 4096; for one more the longest idle one is closed, else the one whose
                                    head has been coming for longest; where each has its request, it is refused */
    uint64_t max_buffered_bytes; /* of all bodies that are being received or held by exchanges; default 1 GiB: 503 */
    uint64_t head_timeout_ms;    /* from the first byte of a head to its last; default 10,000 */
    uint64_t idle_timeout_ms;    /* between requests; default 75,000 */
    uint64_t stall_timeout_ms;   /* in each such time a body or an answer must move 1 KiB/s; default 30,000 */
    struct tls *tls; /* what TCP sockets speak (tls.h), with the time for heads for its handshake; borrowed. NULL: plain
                        text, as unix sockets always do */
    http_refused *refused; /* with the handler's user; NULL: nobody is told */
};

void http_server_options_init(struct http_server_options *options);

struct http_server;
struct http_exchange; /* one request and its answer; lives until it is answered and the answer is written */

typedef void http_handler(void *user, struct http_exchange *exchange);

/* Counters, read by the same thread or by others (each is an atomic that only the loop's thread writes). */
struct http_server_counters {
    _Atomic uint64_t connections_total, connections_open, requests_total, bad_requests_total, timeouts_total,
        refused_total, received_bytes_total, sent_bytes_total, buffered_bytes;
    _Atomic uint64_t connections_refused_total, connections_evicted_total; /* of those that came to max_connections */
};

MUST_USE enum serin_errc http_server_new(uv_loop_t *loop, const struct http_server_options *options,
                                         http_handler *handler, void *user, struct http_server **ret,
                                         struct serin_error *error);

/* "127.0.0.1:8080" or "[::1]:0" (port 0: the kernel chooses; ask http_server_port), with SO_REUSEPORT where share is
 * set; or "unix:/path" (mode 0600; an old socket file is replaced, and the file is left at the end:
 * the socket may have been handed over). SERIN_INVALID, SERIN_IO. */
MUST_USE enum serin_errc http_server_listen(struct http_server *server, const char *address, bool share,
                                            struct serin_error *error);
/* The same for a listening socket that is open already (handed over by a parent or by an older process). Takes fd over.
 */
MUST_USE enum serin_errc http_server_adopt(struct http_server *server, int fd, struct serin_error *error);
int http_server_port(const struct http_server *server); /* 0 for unix sockets */
/* The descriptors it listens on, at most HTTP_SERVER_MAX_SOCKETS, into fds; returns how many. They stay the server's.
 * From any thread, until it is closed. */
#define HTTP_SERVER_MAX_SOCKETS 64
int http_server_sockets(const struct http_server *server, int *fds);
const struct http_server_counters *http_server_counters(const struct http_server *server);

/* Stops listening, lets requests in flight end (of connections that were not yet accepted too), closes idle connections
 * after a moment, in which a request that is on its way still comes, and the rest after deadline_ms; then calls done on
 * the loop's thread, once each exchange has been answered. Frees the server after done has returned. done may be NULL.
 */
void http_server_close(struct http_server *server, uint64_t deadline_ms, void (*done)(void *user), void *user);

/* The same where another process goes on accepting at the same sockets: what waits there is left to it, and idle
 * connections have all of deadline_ms to send one more request, whose answer tells them that it was the last. */
void http_server_hand_over(struct http_server *server, uint64_t deadline_ms, void (*done)(void *user), void *user);

/* ---- within an exchange ---- */

const struct http_head *http_exchange_head(const struct http_exchange *exchange);
struct bytes *http_exchange_body(const struct http_exchange *exchange);  /* never NULL; bytes_share to keep it longer */
const char *http_exchange_peer(const struct http_exchange *exchange);    /* "10.0.0.7:51432", "unix" */
uint64_t http_exchange_started_ns(const struct http_exchange *exchange); /* monotonic, at the head's first byte */

/* Called once on the loop's thread if the client goes away before the answer; http_respond must still be called (from
 * within is fine), and does little more than end the exchange. A client that has only shut its sending side looks the
 * same: what the handler answers nevertheless, it receives. Not noticed while a client has pipelined more than the
 * connection's buffer holds. */
void http_exchange_on_abort(struct http_exchange *exchange, void (*aborted)(void *user), void *user);

/* Ends the exchange. fields is a run of finished field lines ("Name: value\r\n"...) without Content-Length, Connection
 * and Date, which are added here; NULL for none. body is taken over (NULL: empty). After this the exchange must not be
 * touched. */
void http_respond(struct http_exchange *exchange, int status, const struct buffer *fields, struct bytes *body);

/* ---- answers without an end, as server-sent events are ---- */

/* Begins one, from within the handler: status 200, fields as http_respond's, and a body that ends with the connection.
 * The exchange (without its body) is the caller's until http_stream_end, which it must call once: of its own will, or
 * when gone says that the client has left, or has not taken 1 KiB/s for stall_timeout_ms. gone is called once, on the
 * loop's thread, perhaps from within these functions; it may call http_stream_end. */
void http_stream_begin(struct http_exchange *exchange, const struct buffer *fields, void (*gone)(void *user),
                       void *user);
/* Sends the bytes, shared. False: the client still has some of the ones before to take, or has left; then these are not
 * sent. So a stream holds one piece at most, and whoever is too slow for all of them gets fewer. */
bool http_stream_send(struct http_exchange *exchange, struct bytes *piece);
/* Closes the connection. After this the exchange must not be touched. */
void http_stream_end(struct http_exchange *exchange);

/* {"error": sentence}; bytes that nobody may print are replaced. NULL without memory: the answer is empty then. */
struct bytes *http_error_body(const char *sentence);

/* An answer of JSON: {"error": sentence}. */
void http_respond_error(struct http_exchange *exchange, int status, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
