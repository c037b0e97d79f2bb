/*
 * client.h - HTTP/1.1 calls to one endpoint over kept connections, on one libuv loop.  Depends on base, message.h,
 * libuv. SPDX-License-Identifier: Apache-2.0
 *
 * A call sends a whole request and hands over a whole answer. Connections are kept and used again only after an answer
 * that was framed, complete and without a byte behind it. A kept connection that turns out to be dead before the first
 * byte of an answer is replaced by a new one once, without the caller noticing. If http_call returns an error its
 * callback is never called; else exactly once, on the loop's thread, never from within http_call.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "base/bytes.h"
#include "http/message.h"

#include <uv.h>

struct tls;

struct http_client_options {
    struct http_limits limits;   /* of answers; max_body_bytes default 64 MiB */
    int max_connections;         /* in use and idle together; default 256 */
    int max_waiting;             /* calls that wait for a connection; default 1024; more are SERIN_LIMIT */
    uint64_t connect_timeout_ms; /* default 1,000 */
    uint64_t idle_timeout_ms;    /* a kept connection is closed after; default 30,000 */
    struct tls *tls;             /* tls_client_new: whom to trust at https:// endpoints; borrowed. NULL: no such */
};

void http_client_options_init(struct http_client_options *options);

struct http_client;
struct http_call;

/* What became of a call. head and body are valid during the callback; bytes_share the body to keep it. */
struct http_answer {
    enum serin_errc rc; /* SERIN_OK: an answer came, of whatever status */
    const struct http_head *head;
    struct bytes *body; /* never NULL where rc is SERIN_OK */
    bool timed_out;     /* rc is SERIN_IO and it was the call's time that ran out */
    bool sent;          /* some byte of the request may have reached the other side */
    const char *why;    /* rc other than SERIN_OK: a sentence */
    uint64_t total_ns;  /* since http_call_start */
};

typedef void http_answered(void *user, const struct http_answer *answer);

/* "unix:/path", "127.0.0.1:8000", "http://host:port", "https://host:port" (resolved by libuv's thread pool once).
 * SERIN_INVALID, SERIN_UNSUPPORTED (https:// without options.tls), SERIN_NOMEM. */
MUST_USE enum serin_errc http_client_new(uv_loop_t *loop, const char *endpoint,
                                         const struct http_client_options *options, struct http_client **ret,
                                         struct serin_error *error);
/* Calls in flight end with SERIN_IO "closed". done is called when nothing of it is left on the loop; may be NULL. */
void http_client_close(struct http_client *client, void (*done)(void *user), void *user);

/* head: request line and finished field lines, without Host, Content-Length, Connection, which are added, and without
 * the empty line (copied). body is shared (NULL: none). timeout_ms: for all of it; 0: none. *ret_call may be NULL; it
 * is valid until the callback. */
MUST_USE enum serin_errc http_call_start(struct http_client *client, const struct buffer *head, struct bytes *body,
                                         uint64_t timeout_ms, http_answered *answered, void *user,
                                         struct http_call **ret_call, struct serin_error *error);
/* The callback is not called any more; the connection is closed. */
void http_call_cancel(struct http_call *call);

int http_client_in_flight(const struct http_client *client);

#endif
