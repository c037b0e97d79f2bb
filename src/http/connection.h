/*
 * connection.h - a client's connection to our server, and the server it belongs to.  Depends on base, libuv, body.h,
 * address.h, server.h. Private to server.c, connection.c and respond.c.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One struct a connection, with its exchange within. It is freed when its handle is closed and no handler has its
 * exchange any more. `in` holds the head of the present request, which the exchange's slices point into, and behind it
 * what a pipelining client has sent ahead; it moves only in connection.c's make_room, which moves the slices too.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "http/address.h"
#include "http/body.h"
#include "http/server.h"
#include "http/transport.h"

#define SERVER_SCRATCH_BYTES   65536  /* a read of a chunked body, or of what is thrown away */
#define SERVER_BODY_READ_BYTES 262144 /* a read straight into a body: the largest that measurably helps */
/* Of a body or an answer, on the average of each stall_timeout_ms. A picture of 50 KB over the slowest mobile link
 * (GPRS) comes at several times that; a client that sends a byte a minute would hold its connection and its memory for
 * weeks. */
#define SERVER_MIN_BYTES_PER_S 1024
#define SERVER_LINGER_MS       2000u /* a refused client may still be sending for so long */
#define SERVER_LINGER_BYTES    (64u << 20)

enum connection_state {
    CONNECTION_IDLE,      /* nothing of a next request is here */
    CONNECTION_HEAD,      /* some bytes of a head are */
    CONNECTION_BODY,      /* the head is parsed, its body is being read */
    CONNECTION_HANDLED,   /* the handler has the exchange */
    CONNECTION_ANSWERING, /* the answer is being written */
    CONNECTION_STREAMING, /* the handler has the exchange, and sends pieces of an answer without an end */
    CONNECTION_LINGERING, /* answered and shut; what the client still sends is thrown away, so that no reset
                             overtakes the answer */
    CONNECTION_CLOSED     /* the handle is closing or closed */
};

struct http_exchange {
    struct http_connection *connection;
    struct http_head head;
    struct bytes *body;
    uint64_t started_ns;
    void (*aborted)(void *user);
    void *aborted_user;
    bool handled; /* between the call of the handler and http_respond or http_stream_end */
};

struct http_connection {
    struct transport transport;
    struct http_server *server;
    struct http_connection *previous, *next;
    enum connection_state state;
    bool reading, advancing, handle_closed;
    bool ended;       /* the client has shut its side */
    bool close_after; /* the present answer */
    bool sending;     /* a piece of a stream is not all taken yet */
    char *in;         /* in_size of in_capacity bytes; the first head_bytes are the present request's head */
    size_t in_size, in_capacity, scanned, head_bytes;
    struct http_body body;
    uint64_t held_bytes; /* of the server's buffered_bytes */
    struct http_exchange exchange;
    struct buffer out; /* the answer's head */
    struct bytes *out_body;
    size_t moved_bytes;  /* of the body that is being received, since since_ms */
    size_t unsent_bytes; /* of the answer, at since_ms */
    size_t lingered_bytes;
    uint64_t since_ms; /* when the state began or last had made enough progress, as uv_now */
    char peer[64];
};

struct http_listener {
    union http_socket socket;
    struct http_server *server;
    bool is_unix;
    bool stuck; /* a connection waits that could not be taken for want of memory */
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    http_handler *handler;
    void *user;
    struct http_connection *connections, *newest; /* by when they became idle last, the longest ago first */
    struct http_listener listeners[HTTP_SERVER_MAX_SOCKETS];
    int listener_count, open_listeners;
    int port;
    uv_timer_t sweep;  /* one for all connections: times are limits, not schedules */
    uint64_t swept_ms; /* as uv_now, the last time */
    struct http_server_counters counters;
    int64_t date_second;
    char date[48]; /* the line of that second */
    bool closing;
    uint64_t close_idle_at_ms, close_at_ms;
    void (*closed)(void *user);
    void *closed_user;
    char scratch[SERVER_SCRATCH_BYTES];
};

/* Only the loop's thread writes counters. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* ---- connection.c ---- */

/* Takes what waits at the listener, or fd, which was accepted there already (-1: none). SERIN_NOMEM: it still waits. */
MUST_USE enum serin_errc connection_accept(struct http_listener *listener, int fd);
/* Closes it for what it has been waiting for too long. */
void connection_sweep(struct http_connection *connection, uint64_t now_ms);
void connection_close(struct http_connection *connection);

/* ---- respond.c ---- */

#define RESPOND_NO_LENGTH SIZE_MAX /* the body ends with the connection */

/* Writes the head of an answer into connection->out; false without memory. */
MUST_USE bool respond_write_head(struct http_connection *connection, int status, const struct buffer *fields,
                                 size_t body_bytes, bool keep_alive);
void respond_write_error_fields(struct buffer *fields, int status);

/* ---- server.c ---- */

void server_connection_gone(struct http_server *server);

#endif
