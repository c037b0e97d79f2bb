/*
 * connection.c - one client's connection: heads and bodies in, answers out, in order, one exchange at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Events (bytes read, an answer given, an answer written) change the state and then call advance, which does what can
 * be done without waiting: parse the next head, take its body from what is here already, call the handler. A handler
 * that answers at once is called from a loop there and not from ever deeper within itself, however much is pipelined.
 *
 * Reading goes on while a request is handled, to notice a client that goes away, and pauses when `in` is full.
 * Sources: RFC 9112 (framing, persistence, 9.6 on closing), RFC 9110 10.1.1 (Expect).
 */
#include "http/connection.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_IN_BYTES     4096u
#define MAX_REFUSAL_FIELDS 32768u /* an allowed Origin is in them, which may be as long as a head */

static void advance(struct http_connection *connection);
static void answer(struct http_connection *connection, int status, const struct buffer *fields, struct bytes *body,
                   bool keep_alive);

static uint64_t now_ms(const struct http_connection *connection)
{
    return uv_now(connection->server->loop);
}

static void unlink_it(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    *(connection->previous ? &connection->previous->next : &server->connections) = connection->next;
    *(connection->next ? &connection->next->previous : &server->newest) = connection->previous;
}

static void link_last(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    connection->next = NULL;
    connection->previous = server->newest;
    *(server->newest ? &server->newest->next : &server->connections) = connection;
    server->newest = connection;
}

static void set_state(struct http_connection *connection, enum connection_state state)
{
    if (state == CONNECTION_IDLE) {
        unlink_it(connection);
        link_last(connection);
    }
    connection->state = state;
    connection->since_ms = now_ms(connection);
    connection->moved_bytes = 0;
}

/* What must move in each stall_timeout_ms. */
static size_t least_progress(const struct http_connection *connection)
{
    return (size_t)(connection->server->options.stall_timeout_ms * SERVER_MIN_BYTES_PER_S / 1000);
}

/* ---- life ---- */

static void release_bodies(struct http_connection *connection)
{
    atomic_fetch_sub_explicit(&connection->server->counters.buffered_bytes, connection->held_bytes,
                              memory_order_relaxed);
    connection->held_bytes = 0;
    http_body_done(&connection->body);
    bytes_drop(connection->exchange.body);
    connection->exchange.body = NULL;
}

static void free_if_over(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    if (!connection->handle_closed || connection->exchange.handled || connection->advancing)
        return;
    release_bodies(connection);
    unlink_it(connection);
    transport_done(&connection->transport);
    buffer_done(&connection->out);
    bytes_drop(connection->out_body);
    free(connection->in);
    free(connection);
    server_connection_gone(server);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *connection = handle->data;

    connection->handle_closed = true;
    free_if_over(connection);
}

/* Tells the handler once. It may answer from within. */
static void tell_aborted(struct http_connection *connection)
{
    void (*aborted)(void *user) = connection->exchange.aborted;

    connection->exchange.aborted = NULL;
    if (connection->exchange.handled && aborted)
        aborted(connection->exchange.aborted_user);
}

void connection_close(struct http_connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->state = CONNECTION_CLOSED;
    if (!connection->exchange.handled)
        release_bodies(connection);
    transport_close(&connection->transport, on_closed);
    tell_aborted(connection);
}

/* ---- reading ---- */

/* The head's slices follow `in` when it moves. Some point to constants ("/" of an absolute target). */
static void move_slice(struct http_slice *slice, const char *from, size_t size, const char *to)
{
    if ((uintptr_t)slice->bytes >= (uintptr_t)from && (uintptr_t)slice->bytes <= (uintptr_t)from + size)
        slice->bytes = to + (slice->bytes - from);
}

static void move_head(struct http_head *head, const char *from, size_t size, const char *to)
{
    struct http_slice *slices[] = {&head->method, &head->target, &head->path, &head->query, &head->host};
    size_t i;
    int f;

    for (i = 0; i < sizeof(slices) / sizeof(slices[0]); i++)
        move_slice(slices[i], from, size, to);
    for (f = 0; f < head->field_count; f++) {
        move_slice(&head->fields[f].name, from, size, to);
        move_slice(&head->fields[f].value, from, size, to);
    }
}

/* Makes `in` so large that more bytes fit; false without memory. */
static bool make_room(struct http_connection *connection, size_t more)
{
    size_t capacity = connection->in_capacity ? connection->in_capacity : FIRST_IN_BYTES;
    char *in;

    while (capacity < connection->in_size + more)
        capacity *= 2;
    if (capacity == connection->in_capacity)
        return true;
    in = malloc(capacity);
    if (!in)
        return false;
    if (connection->in_size > 0)
        memcpy(in, connection->in, connection->in_size);
    if (connection->head_bytes > 0)
        move_head(&connection->exchange.head, connection->in, connection->in_size, in);
    free(connection->in);
    connection->in = in;
    connection->in_capacity = capacity;
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct http_connection *connection = handle->data;
    struct http_server *server = connection->server;
    size_t size;

    (void)suggested;
    *ret = uv_buf_init(server->scratch, sizeof(server->scratch));
    switch (connection->state) {
    case CONNECTION_BODY:
        ret->base = http_body_room(&connection->body, SERVER_BODY_READ_BYTES, &size);
        if (ret->base)
            ret->len = size;
        else
            ret->base = server->scratch;
        return;
    case CONNECTION_LINGERING:
    case CONNECTION_CLOSED:
        return;
    case CONNECTION_IDLE:
    case CONNECTION_HEAD:
    case CONNECTION_HANDLED:
    case CONNECTION_ANSWERING:
    case CONNECTION_STREAMING:
        /* Length 0 makes libuv report UV_ENOBUFS, and that closes. `in` is never full here: see pause_if_full. */
        if (!connection->in && !make_room(connection, FIRST_IN_BYTES))
            *ret = uv_buf_init(NULL, 0);
        else
            *ret = uv_buf_init(connection->in + connection->in_size,
                               (unsigned)(connection->in_capacity - connection->in_size));
        return;
    }
}

static void pause_reading(struct http_connection *connection)
{
    if (connection->reading)
        transport_read_stop(&connection->transport);
    connection->reading = false;
}

static void pause_if_full(struct http_connection *connection)
{
    if (connection->in && connection->in_size == connection->in_capacity)
        pause_reading(connection);
}

/* The client's side has ended, whole or in half (they cannot be told apart before something is written). The handler
 * is told and may give up; if it answers nevertheless, a client that only shut its sending side has its answer. */
static void on_end(struct http_connection *connection, bool orderly)
{
    pause_reading(connection);
    connection->ended = true;
    switch (connection->state) {
    case CONNECTION_HANDLED:
        if (orderly)
            tell_aborted(connection);
        else
            connection_close(connection);
        return;
    case CONNECTION_ANSWERING:
        if (!orderly)
            connection_close(connection);
        return;
    default:
        connection_close(connection);
    }
}

/* What has come of the request line. */
static struct http_slice line_of(const struct http_connection *connection)
{
    const char *end = connection->in_size > 0 ? memchr(connection->in, '\n', connection->in_size) : NULL;

    return (struct http_slice){connection->in, end ? (size_t)(end - connection->in) : connection->in_size};
}

static void refuse(struct http_connection *connection, int status, const char *sentence)
{
    const struct http_server_options *options = &connection->server->options;
    struct http_server_counters *counters = &connection->server->counters;
    struct bytes *body = http_error_body(sentence);
    struct http_refusal refusal = {
        .head = connection->head_bytes > 0 ? &connection->exchange.head : NULL,
        .line = line_of(connection),
        .peer = connection->peer,
        .why = sentence,
        .started_ns = connection->exchange.started_ns,
        .body_bytes = connection->body.bytes ? connection->body.bytes->size : 0,
        .status = status,
        .answer_bytes = body ? body->size : 0,
    };
    struct buffer fields;

    counter_add(status == 408   ? &counters->timeouts_total
                : status == 503 ? &counters->refused_total
                                : &counters->bad_requests_total,
                1);
    buffer_init(&fields, MAX_REFUSAL_FIELDS);
    respond_write_error_fields(&fields, status);
    if (options->refused)
        options->refused(connection->server->user, &refusal, &fields);
    if (fields.failed) /* none is better than half of one */
        buffer_clear(&fields);
    if (connection->head_bytes == 0) /* no head yet: not the last one's, which may have been a HEAD */
        connection->exchange.head = (struct http_head){.minor_version = 1};
    release_bodies(connection);
    answer(connection, status, &fields, body, false);
    buffer_done(&fields);
}

/* What the body did not take belongs to the next request; it goes behind the head in `in`. */
static bool keep_for_next(struct http_connection *connection, const char *bytes, size_t size)
{
    if (size == 0)
        return true;
    if (!make_room(connection, size))
        return false;
    memcpy(connection->in + connection->in_size, bytes, size);
    connection->in_size += size;
    return true;
}

static void refuse_for(struct http_connection *connection, const struct serin_error *error)
{
    refuse(connection, error->code == SERIN_LIMIT ? 413 : error->code == SERIN_NOMEM ? 503 : 400, error->message);
}

/* Feeds the body. False where that ended in a refusal; else *ret_used and *ret_complete are set. */
static bool feed_body(struct http_connection *connection, const char *bytes, size_t size, size_t *ret_used,
                      bool *ret_complete)
{
    struct http_server *server = connection->server;
    size_t before = connection->body.bytes->size;
    uint64_t more;
    struct serin_error error;

    if (http_body_read(&connection->body, bytes, size, ret_used, ret_complete, &error) != SERIN_OK) {
        refuse_for(connection, &error);
        return false;
    }
    more = connection->body.bytes->size - before;
    connection->held_bytes += more;
    counter_add(&server->counters.buffered_bytes, more);
    if (atomic_load_explicit(&server->counters.buffered_bytes, memory_order_relaxed) >
        server->options.max_buffered_bytes) {
        refuse(connection, 503, "the server holds as many bytes of requests as it may, try again");
        return false;
    }
    return true;
}

static void handle(struct http_connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;

    exchange->body = http_body_take(&connection->body);
    exchange->aborted = NULL;
    exchange->handled = true;
    set_state(connection, CONNECTION_HANDLED);
    pause_if_full(connection);
    counter_add(&connection->server->counters.requests_total, 1);
    connection->server->handler(connection->server->user, exchange);
}

static void on_body(struct http_connection *connection, const char *bytes, size_t size)
{
    bool complete;
    size_t used;

    connection->moved_bytes += size;
    if (connection->moved_bytes >= least_progress(connection)) {
        connection->since_ms = now_ms(connection);
        connection->moved_bytes = 0;
    }
    if (!feed_body(connection, bytes, size, &used, &complete))
        return;
    if (!complete)
        return;
    if (!keep_for_next(connection, bytes + used, size - used))
        connection_close(connection);
    else
        handle(connection);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct http_connection *connection = stream->data;

    if (nread == 0)
        return;
    if (nread < 0) {
        connection->advancing = true; /* so that nothing below frees it */
        on_end(connection, nread == UV_EOF);
        connection->advancing = false;
        advance(connection);
        return;
    }
    counter_add(&connection->server->counters.received_bytes_total, (uint64_t)nread);
    connection->advancing = true;
    switch (connection->state) {
    case CONNECTION_IDLE:
        connection->exchange.started_ns = clock_now_ns();
        set_state(connection, CONNECTION_HEAD);
        /* fall through */
    case CONNECTION_HEAD:
    case CONNECTION_HANDLED:
    case CONNECTION_ANSWERING:
    case CONNECTION_STREAMING:
        connection->in_size += (size_t)nread;
        if (connection->state != CONNECTION_HEAD)
            pause_if_full(connection);
        break;
    case CONNECTION_BODY:
        on_body(connection, buf->base, (size_t)nread);
        break;
    case CONNECTION_LINGERING:
        connection->lingered_bytes += (size_t)nread;
        if (connection->lingered_bytes > SERVER_LINGER_BYTES)
            connection_close(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
    connection->advancing = false;
    advance(connection);
}

static void resume_reading(struct http_connection *connection)
{
    if (connection->reading || connection->ended)
        return;
    if (transport_read_start(&connection->transport, on_alloc, on_read) != 0)
        connection_close(connection);
    else
        connection->reading = true;
}

/* ---- requests ---- */

static void say_continue(struct http_connection *connection)
{
    if (transport_say(&connection->transport, "HTTP/1.1 100 Continue\r\n\r\n") != 0)
        connection_close(connection);
}

/* The head is parsed: may its body come, and how much of it is here already? */
static void begin_body(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    const struct http_head *head = &connection->exchange.head;
    const struct http_slice *expect = head->minor_version > 0 ? http_find(head, "Expect") : NULL;
    size_t here = connection->in_size - connection->head_bytes, used;
    char *rest = connection->in + connection->head_bytes;
    size_t limit = server->options.limits.max_body_bytes;
    struct serin_error error;
    bool complete;

    if (expect && !head->expect_continue) {
        refuse(connection, 417, "the only expectation that is met is 100-continue");
        return;
    }
    if (server->options.body_limit)
        limit = server->options.body_limit(server->user, head);
    if (http_body_begin(&connection->body, head, limit, &error) != SERIN_OK) {
        refuse_for(connection, &error);
        return;
    }
    if (head->framing == HTTP_LENGTH &&
        atomic_load_explicit(&server->counters.buffered_bytes, memory_order_relaxed) + head->content_length >
            server->options.max_buffered_bytes) {
        refuse(connection, 503, "the server holds as many bytes of requests as it may, try again");
        return;
    }
    if (!feed_body(connection, rest, here, &used, &complete))
        return;
    memmove(rest, rest + used, here - used);
    connection->in_size -= used;
    if (complete) {
        handle(connection);
        return;
    }
    set_state(connection, CONNECTION_BODY);
    if (expect && here == 0)
        say_continue(connection);
    if (connection->ended) /* nothing more can come */
        connection_close(connection);
}

/* Parses the head at the start of `in`. Returns whether anything has changed. */
static bool read_head(struct http_connection *connection)
{
    const struct http_limits *limits = &connection->server->options.limits;
    struct http_head *head = &connection->exchange.head;
    const char *why = NULL;
    int status = 400;

    switch (
        http_parse_request(connection->in, connection->in_size, limits, &connection->scanned, head, &status, &why)) {
    case HTTP_DONE:
        connection->head_bytes = head->head_bytes;
        begin_body(connection);
        return true;
    case HTTP_MORE:
        if (connection->ended)
            connection_close(connection);
        else if (connection->in_size >= limits->max_head_bytes)
            break;
        else if (connection->in_size == connection->in_capacity && !make_room(connection, 1))
            connection_close(connection);
        else
            resume_reading(connection);
        return false;
    case HTTP_BAD:
        refuse(connection, status, why);
        return true;
    }
    refuse(connection, 431, "the head of the request passes the limit");
    return true;
}

static void advance(struct http_connection *connection)
{
    if (connection->advancing)
        return;
    connection->advancing = true;
    while (connection->state == CONNECTION_HEAD && read_head(connection))
        ;
    connection->advancing = false;
    free_if_over(connection);
}

/* ---- answers ---- */

/* The answer is written: on to the next request, or to the end. */
static void end_exchange(struct http_connection *connection)
{
    bytes_drop(connection->out_body);
    connection->out_body = NULL;
    connection->in_size -= connection->head_bytes;
    memmove(connection->in, connection->in + connection->head_bytes, connection->in_size);
    connection->head_bytes = connection->scanned = 0;
    if (connection->close_after || (connection->in_size == 0 && (connection->ended || connection->server->closing))) {
        if (connection->ended || transport_shutdown(&connection->transport) != 0) {
            connection_close(connection);
            return;
        }
        set_state(connection, CONNECTION_LINGERING);
        resume_reading(connection);
        return;
    }
    set_state(connection, connection->in_size > 0 ? CONNECTION_HEAD : CONNECTION_IDLE);
    if (connection->state == CONNECTION_HEAD) {
        connection->exchange.started_ns = clock_now_ns();
    } else if (connection->in_capacity > FIRST_IN_BYTES) { /* idle connections are many: they hold little */
        free(connection->in);
        connection->in = NULL;
        connection->in_capacity = 0;
    }
    if (!connection->in || connection->in_size < connection->in_capacity)
        resume_reading(connection);
}

/* All that was sent has been taken: the answer, or a piece of a stream. */
static void end_sending(struct http_connection *connection)
{
    if (connection->state == CONNECTION_ANSWERING) {
        end_exchange(connection);
    } else {
        bytes_drop(connection->out_body);
        connection->out_body = NULL;
        connection->sending = false;
    }
}

static void on_sent(struct transport *transport, int status)
{
    struct http_connection *connection = transport->socket.handle.data;

    if (connection->state != CONNECTION_ANSWERING && connection->state != CONNECTION_STREAMING)
        return;
    if (status != 0)
        connection_close(connection);
    else
        end_sending(connection);
    advance(connection);
}

/* The first of two pieces is the answer's head. */
static void send_out(struct http_connection *connection, const uv_buf_t *bufs, unsigned count)
{
    counter_add(&connection->server->counters.sent_bytes_total, bufs[0].len + (count == 2 ? bufs[1].len : 0));
    switch (transport_send(&connection->transport, bufs, count, on_sent)) {
    case 1:
        end_sending(connection);
        return;
    case 0:
        connection->unsent_bytes = transport_unsent(&connection->transport);
        return;
    default:
        connection_close(connection);
    }
}

/* Takes body over. */
static void answer(struct http_connection *connection, int status, const struct buffer *fields, struct bytes *body,
                   bool keep_alive)
{
    bool bare = http_slice_is(connection->exchange.head.method, "HEAD") || status == 204 || status == 304;
    size_t body_bytes = body ? body->size : 0;
    uv_buf_t bufs[2];

    connection->close_after = !keep_alive;
    connection->out_body = body;
    set_state(connection, CONNECTION_ANSWERING);
    if (!respond_write_head(connection, status, fields, body_bytes, keep_alive)) {
        connection_close(connection);
        return;
    }
    bufs[0] = (uv_buf_t){.base = connection->out.bytes, .len = connection->out.size};
    if (body_bytes > 0)
        bufs[1] = (uv_buf_t){.base = (char *)body->data, .len = body_bytes};
    send_out(connection, bufs, bare || body_bytes == 0 ? 1 : 2);
}

void http_respond(struct http_exchange *exchange, int status, const struct buffer *fields, struct bytes *body)
{
    struct http_connection *connection = exchange->connection;
    bool more_here = connection->in_size > connection->head_bytes;

    BUG_ON(!exchange->handled);
    BUG_ON(status < 200 || status > 599);
    exchange->handled = false;
    exchange->aborted = NULL;
    release_bodies(connection);
    if (connection->state == CONNECTION_CLOSED) {
        bytes_drop(body);
        free_if_over(connection);
        return;
    }
    answer(connection, status, fields, body,
           exchange->head.keep_alive && !connection->server->closing && (!connection->ended || more_here));
    advance(connection);
}

/* ---- answers without an end ---- */

void http_stream_begin(struct http_exchange *exchange, const struct buffer *fields, void (*gone)(void *user),
                       void *user)
{
    struct http_connection *connection = exchange->connection;
    uv_buf_t head;

    BUG_ON(!exchange->handled || connection->state != CONNECTION_HANDLED);
    http_exchange_on_abort(exchange, gone, user);
    release_bodies(connection);
    set_state(connection, CONNECTION_STREAMING);
    connection->sending = true;
    if (!respond_write_head(connection, 200, fields, RESPOND_NO_LENGTH, false)) {
        connection_close(connection);
        return;
    }
    head = (uv_buf_t){.base = connection->out.bytes, .len = connection->out.size};
    send_out(connection, &head, 1);
}

bool http_stream_send(struct http_exchange *exchange, struct bytes *piece)
{
    struct http_connection *connection = exchange->connection;
    uv_buf_t buf = {.base = (char *)piece->data, .len = piece->size};

    if (connection->state != CONNECTION_STREAMING || connection->sending || piece->size == 0)
        return false;
    connection->out_body = bytes_share(piece);
    connection->sending = true;
    connection->since_ms = now_ms(connection);
    send_out(connection, &buf, 1);
    return true;
}

void http_stream_end(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    BUG_ON(!exchange->handled);
    exchange->handled = false;
    exchange->aborted = NULL;
    connection_close(connection);
    free_if_over(connection);
}

/* ---- times ---- */

void connection_sweep(struct http_connection *connection, uint64_t now)
{
    const struct http_server_options *options = &connection->server->options;
    uint64_t waited = now > connection->since_ms ? now - connection->since_ms : 0;
    size_t unsent;

    switch (connection->state) {
    case CONNECTION_IDLE:
        if (waited > (transport_is_open(&connection->transport) ? options->idle_timeout_ms : options->head_timeout_ms))
            connection_close(connection);
        return;
    case CONNECTION_HEAD:
        if (waited > options->head_timeout_ms)
            refuse(connection, 408, "the head of the request took too long");
        return;
    case CONNECTION_BODY:
        if (waited > options->stall_timeout_ms)
            refuse(connection, 408, "the body of the request came to a halt, or slower than 1 KiB/s");
        return;
    case CONNECTION_STREAMING:
        if (!connection->sending)
            return;
        /* fall through */
    case CONNECTION_ANSWERING:
        unsent = transport_unsent(&connection->transport);
        if (unsent + least_progress(connection) <= connection->unsent_bytes) {
            connection->unsent_bytes = unsent;
            connection->since_ms = now;
        } else if (waited > options->stall_timeout_ms) {
            counter_add(&connection->server->counters.timeouts_total, 1);
            connection_close(connection);
        }
        return;
    case CONNECTION_LINGERING:
        if (waited > SERVER_LINGER_MS)
            connection_close(connection);
        return;
    case CONNECTION_HANDLED:
    case CONNECTION_CLOSED:
        return;
    }
}

/* ---- accepting ---- */

static int take(struct http_listener *listener, struct http_connection *connection, int fd)
{
    int rc;

    if (fd < 0)
        return uv_accept(&listener->socket.stream, &connection->transport.socket.stream);
    rc = listener->is_unix ? uv_pipe_open(&connection->transport.socket.pipe, fd)
                           : uv_tcp_open(&connection->transport.socket.tcp, fd);
    if (rc != 0)
        close(fd);
    return rc;
}

static bool begin_tls(struct http_connection *connection)
{
    SSL *ssl = tls_begin(connection->server->options.tls, NULL);

    return ssl && transport_begin_tls(&connection->transport, ssl, false, NULL) == 0;
}

/* For one more than there may be another goes: who holds many connections and asks nothing must not keep out those who
 * ask. False where each has its request. Of those that are idle the first is the longest so: the list is in that order.
 */
static bool make_place(struct http_server *server)
{
    struct http_connection *connection = server->connections, *slowest = NULL;

    for (; connection != server->newest && connection->state != CONNECTION_IDLE; connection = connection->next)
        if (connection->state == CONNECTION_HEAD && (!slowest || connection->since_ms < slowest->since_ms))
            slowest = connection;
    if (connection == server->newest) /* which is the one that asks for a place */
        connection = slowest;
    if (!connection)
        return false;
    counter_add(&server->counters.connections_evicted_total, 1);
    connection_close(connection);
    return true;
}

enum serin_errc connection_accept(struct http_listener *listener, int fd)
{
    struct http_server *server = listener->server;
    struct http_connection *connection = calloc(1, sizeof(*connection));
    struct sockaddr_storage peer;
    int peer_size = sizeof(peer);

    if (!connection)
        return SERIN_NOMEM;
    connection->server = server;
    connection->exchange.connection = connection;
    buffer_init(&connection->out, 0);
    if (transport_init(server->loop, &connection->transport, listener->is_unix) != 0) {
        free(connection);
        return SERIN_NOMEM;
    }
    connection->transport.socket.handle.data = connection;
    link_last(connection);
    counter_add(&server->counters.connections_open, 1);
    set_state(connection, CONNECTION_IDLE);
    if (take(listener, connection, fd) != 0) {
        connection_close(connection);
        return SERIN_OK;
    }
    counter_add(&server->counters.connections_total, 1);
    if (atomic_load_explicit(&server->counters.connections_open, memory_order_relaxed) >
            (uint64_t)server->options.max_connections &&
        !make_place(server)) {
        counter_add(&server->counters.connections_refused_total, 1);
        connection_close(connection);
        return SERIN_OK;
    }
    snprintf(connection->peer, sizeof(connection->peer), "unix");
    if (!listener->is_unix) {
        uv_tcp_nodelay(&connection->transport.socket.tcp, 1);
        if (uv_tcp_getpeername(&connection->transport.socket.tcp, (struct sockaddr *)&peer, &peer_size) == 0)
            http_address_text((struct sockaddr *)&peer, connection->peer, sizeof(connection->peer));
    }
    if (server->options.tls && !listener->is_unix && !begin_tls(connection)) {
        connection_close(connection);
        return SERIN_OK;
    }
    resume_reading(connection);
    return SERIN_OK;
}

/* ---- what a handler asks ---- */

const struct http_head *http_exchange_head(const struct http_exchange *exchange)
{
    return &exchange->head;
}

struct bytes *http_exchange_body(const struct http_exchange *exchange)
{
    return exchange->body;
}

const char *http_exchange_peer(const struct http_exchange *exchange)
{
    return exchange->connection->peer;
}

uint64_t http_exchange_started_ns(const struct http_exchange *exchange)
{
    return exchange->started_ns;
}

void http_exchange_on_abort(struct http_exchange *exchange, void (*aborted)(void *user), void *user)
{
    BUG_ON(!exchange->handled);
    exchange->aborted = aborted;
    exchange->aborted_user = user;
}
