/*
 * pool.h - the client's connections to its endpoint, and the calls on them.  Depends on base, libuv, body.h, address.h,
 * client.h. Private to client.c and pool.c.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call is in one list of its client, `waiting` or `bound`, until it has ended; a bound one has a connection, or fails
 * soon. `due` holds those whose time has come while the timer ends them one by one. All of an answer lies in its call,
 * so that a connection is free for the next call before the callback runs.
 */
#ifndef HTTP_POOL_H
#define HTTP_POOL_H

#include "http/address.h"
#include "http/body.h"
#include "http/client.h"
#include "http/transport.h"

#define CLIENT_SCRATCH_BYTES   65536
#define CLIENT_BODY_READ_BYTES 262144
#define CLIENT_MAX_ADDRESSES   4    /* of a host name, tried in turn */
#define CLIENT_MAX_SPARE       32   /* calls' memory that is kept for the next ones, 9 KB each */
#define CLIENT_SPARE_REQUEST   2048 /* bytes of a request's head that a spare one may hold */

struct call_list {
    struct http_call *first, *last;
    int count;
};

struct http_call {
    struct http_client *client;
    struct pool_connection *connection; /* NULL while it waits */
    struct call_list *list;             /* NULL once it has ended */
    struct http_call *previous, *next;
    uint64_t due_ms; /* as uv_now: the end of its time, or 0 where its failure is to be told; UINT64_MAX: none */
    http_answered *answered;
    void *user;
    struct buffer request; /* the request's whole head */
    struct bytes *request_body;
    bool is_head, sent;
    bool spared; /* its time was over while nobody read, and it has got some more */
    int addresses_tried;
    struct serin_error failure; /* code SERIN_OK: none */

    char *in; /* what has come of the answer's head, and behind it */
    size_t in_size, in_capacity, scanned;
    bool has_head, some_byte;
    int interim_count; /* 1xx answers */
    struct http_body body;
    uint64_t started_ns;
    /* From here on not set before it is used: 8 KB that a call would begin with clearing. */
    struct http_head head; /* where has_head */
    char first_in[4096];
};

enum pool_state { POOL_CONNECTING, POOL_BUSY, POOL_IDLE, POOL_CLOSED };

struct pool_connection {
    struct transport transport;
    struct http_client *client;
    struct pool_connection *previous, *next; /* all */
    struct pool_connection *previous_idle, *next_idle;
    enum pool_state state;
    struct http_call *call;
    bool used; /* has carried an answer: it may be stale */
    bool writing;
    uv_connect_t connect;
    uint64_t since_ms; /* in this state */
};

struct http_client {
    uv_loop_t *loop;
    struct http_client_options options;
    struct http_address address;
    char name[256 + 16]; /* for sentences */
    struct sockaddr_storage addresses[CLIENT_MAX_ADDRESSES];
    int address_count, address_at;
    bool resolving;
    uv_getaddrinfo_t resolver;
    struct pool_connection *connections, *idle; /* idle: the one used last comes first */
    int connection_count;                       /* without those that are closing */
    struct call_list waiting, bound, due;
    struct http_call *spare; /* linked by next */
    int spare_count;
    uv_timer_t sweep;  /* connections' times */
    uv_timer_t timer;  /* calls' times: set to the earliest, and not set back when that call ends in time */
    uint64_t swept_ms; /* as uv_now, the last time */
    uint64_t timer_ms; /* when it fires, as uv_now; UINT64_MAX: it does not */
    int handles;       /* of connections, the resolver and the timers that are still on the loop */
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
    char scratch[CLIENT_SCRATCH_BYTES];
};

/* ---- client.c ---- */

/* Ends a call that has no connection any more: the callback, then its memory. */
void call_finish(struct http_call *call, enum serin_errc rc, const char *why, bool timed_out);
/* The same, from the loop. */
void call_fail_later(struct http_call *call, enum serin_errc rc, const char *format, ...) PRINTF_LIKE(3, 4);
void call_move(struct http_call *call, struct call_list *list); /* NULL: to none */
/* Gives waiting calls what connections there are or may be. */
void client_pump(struct http_client *client);
void client_handle_gone(struct http_client *client);

/* ---- pool.c ---- */

/* Opens a new connection for the call; a failure is told later. */
void pool_connect(struct http_client *client, struct http_call *call);
/* Gives the call an idle connection; false where there is none. */
bool pool_reuse(struct http_client *client, struct http_call *call);
void pool_close(struct pool_connection *connection); /* its call, if any, is left without */
void pool_sweep(struct http_client *client, uint64_t now_ms);

#endif
