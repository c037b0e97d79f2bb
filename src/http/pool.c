/*
 * pool.c - connections to one endpoint: connecting, sending a request, receiving its answer, being kept.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A connection is kept only after an answer that was framed, complete, and without a byte behind it, and after the
 * whole request was sent. A kept one that says anything by itself is closed. One that turns out to be dead before the
 * first byte of an answer gives its call one new connection. RFC 9112, 9.3 and 9.6.
 */
#include "http/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_INTERIM 100 /* 1xx answers of one call */

static void set_state(struct pool_connection *connection, enum pool_state state)
{
    connection->state = state;
    connection->since_ms = uv_now(connection->client->loop);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct pool_connection *connection = handle->data;
    struct http_client *client = connection->client;

    if (connection->previous)
        connection->previous->next = connection->next;
    else
        client->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    transport_done(&connection->transport);
    free(connection);
    client_handle_gone(client);
}

static void leave_idle(struct pool_connection *connection)
{
    if (connection->previous_idle)
        connection->previous_idle->next_idle = connection->next_idle;
    else
        connection->client->idle = connection->next_idle;
    if (connection->next_idle)
        connection->next_idle->previous_idle = connection->previous_idle;
    connection->previous_idle = connection->next_idle = NULL;
}

void pool_close(struct pool_connection *connection)
{
    if (connection->state == POOL_CLOSED)
        return;
    if (connection->state == POOL_IDLE)
        leave_idle(connection);
    if (connection->call)
        connection->call->connection = NULL;
    connection->call = NULL;
    connection->state = POOL_CLOSED;
    connection->client->connection_count--;
    transport_close(&connection->transport, on_closed);
}

/* Closes the connection and ends its call. */
static void fail_with(struct pool_connection *connection, enum serin_errc rc, const char *what)
{
    struct http_client *client = connection->client;
    struct http_call *call = connection->call;
    struct serin_error error;

    error_set(&error, rc, "%s: %s", client->name, what);
    pool_close(connection);
    client_pump(client);
    if (call)
        call_finish(call, rc, error.message, false);
}

/* ---- answers ---- */

/* What was read has ended the answer; more: there was a byte behind it. */
static void complete(struct pool_connection *connection, bool more)
{
    struct http_client *client = connection->client;
    struct http_call *call = connection->call;

    if (more || connection->writing || !call->head.keep_alive || call->head.framing == HTTP_UNTIL_CLOSE ||
        client->closing) {
        pool_close(connection);
    } else {
        connection->call = NULL;
        call->connection = NULL;
        connection->used = true;
        set_state(connection, POOL_IDLE);
        connection->next_idle = client->idle;
        if (client->idle)
            client->idle->previous_idle = connection;
        client->idle = connection;
    }
    client_pump(client);
    call_finish(call, SERIN_OK, NULL, false);
}

static void read_body(struct pool_connection *connection, const char *bytes, size_t size)
{
    struct http_call *call = connection->call;
    struct serin_error error;
    bool is_complete;
    size_t used;

    if (http_body_read(&call->body, bytes, size, &used, &is_complete, &error) != SERIN_OK)
        fail_with(connection, error.code, error.message);
    else if (is_complete)
        complete(connection, used < size);
}

/* Makes room in `in` for more of a head; slices do not exist yet. */
static bool grow_in(struct http_call *call)
{
    size_t capacity = call->in_capacity * 2;
    char *in = malloc(capacity);

    if (!in)
        return false;
    memcpy(in, call->in, call->in_size);
    if (call->in != call->first_in)
        free(call->in);
    call->in = in;
    call->in_capacity = capacity;
    return true;
}

/* Skips an interim answer; false where it is one that must not come. */
static bool skip_interim(struct http_call *call)
{
    if (call->head.status == 101 || ++call->interim_count > MAX_INTERIM)
        return false;
    call->in_size -= call->head.head_bytes;
    memmove(call->in, call->in + call->head.head_bytes, call->in_size);
    call->scanned = 0;
    return true;
}

static void read_head(struct pool_connection *connection)
{
    struct http_call *call = connection->call;
    const struct http_limits *limits = &connection->client->options.limits;
    const char *why = NULL;
    struct serin_error error;
    enum http_result result;

    do {
        result = http_parse_response(call->in, call->in_size, limits, &call->scanned, call->is_head, &call->head, &why);
        if (result == HTTP_BAD) {
            fail_with(connection, SERIN_CORRUPT, why);
            return;
        }
        if (result == HTTP_MORE) {
            if (call->in_size >= limits->max_head_bytes)
                fail_with(connection, SERIN_CORRUPT, "the head of the answer passes the limit");
            else if (call->in_size == call->in_capacity && !grow_in(call))
                fail_with(connection, SERIN_NOMEM, "no memory for the head of the answer");
            return;
        }
        if (call->head.status < 200 && !skip_interim(call)) {
            fail_with(connection, SERIN_CORRUPT, "an interim answer that was not asked for");
            return;
        }
    } while (call->head.status < 200);
    call->has_head = true;
    if (http_body_begin(&call->body, &call->head, limits->max_body_bytes, &error) != SERIN_OK)
        fail_with(connection, error.code, error.message);
    else
        read_body(connection, call->in + call->head.head_bytes, call->in_size - call->head.head_bytes);
}

/* The other side has closed. */
static void on_end(struct pool_connection *connection, int status)
{
    struct http_client *client = connection->client;
    struct http_call *call = connection->call;

    if (call->has_head && call->head.framing == HTTP_UNTIL_CLOSE && status == UV_EOF) {
        complete(connection, false);
    } else if (connection->used && !call->some_byte && !client->closing) {
        pool_close(connection); /* it had been closed before our request met it; a new one was never used, so: once */
        pool_connect(client, call);
        client_pump(client);
    } else if (call->some_byte) {
        fail_with(connection, SERIN_IO, "closed in the middle of an answer");
    } else {
        fail_with(connection, SERIN_IO,
                  status == UV_EOF      ? "closed without an answer"
                  : status == UV_EPROTO ? connection->transport.why
                                        : uv_strerror(status));
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct pool_connection *connection = handle->data;
    struct http_call *call = connection->call;
    struct http_client *client = connection->client;
    size_t size = sizeof(client->scratch);
    char *room = client->scratch;

    (void)suggested;
    if (call && call->has_head) {
        room = http_body_room(&call->body, CLIENT_BODY_READ_BYTES, &size);
        if (!room) {
            room = client->scratch;
            size = sizeof(client->scratch);
        }
    } else if (call) {
        room = call->in + call->in_size;
        size = call->in_capacity - call->in_size;
    }
    *ret = (uv_buf_t){.base = room, .len = size};
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct pool_connection *connection = stream->data;
    struct http_call *call = connection->call;

    if (nread == 0)
        return;
    if (!call) { /* idle: an end, or words that nobody asked for */
        pool_close(connection);
        client_pump(connection->client);
        return;
    }
    if (nread < 0 && connection->state == POOL_CONNECTING) {
        fail_with(connection, SERIN_IO,
                  nread == UV_EPROTO ? connection->transport.why : "closed while it was to begin TLS");
        return;
    }
    if (nread < 0) {
        on_end(connection, (int)nread);
        return;
    }
    call->some_byte = true;
    if (call->has_head) {
        read_body(connection, buf->base, (size_t)nread);
    } else {
        call->in_size += (size_t)nread;
        read_head(connection);
    }
}

/* ---- requests ---- */

/* A server that answers early and closes makes our writing fail while its answer is still to be read; so it is the
 * reader who ends the call, where the error is that of a closed connection. */
static void on_sent(struct transport *transport, int status)
{
    struct pool_connection *connection = transport->socket.handle.data;

    connection->writing = false;
    if (status == 0 || connection->state != POOL_BUSY)
        return;
    connection->writing = true; /* it is not all sent, and never will be: not to be kept */
    if (status != UV_EPIPE && status != UV_ECONNRESET && status != UV_ECANCELED)
        fail_with(connection, SERIN_IO, uv_strerror(status));
}

static void send_request(struct pool_connection *connection)
{
    struct http_call *call = connection->call;
    struct bytes *body = call->request_body;
    uv_buf_t bufs[2] = {{.base = call->request.bytes, .len = call->request.size}};
    int n;

    set_state(connection, POOL_BUSY);
    call->sent = true;
    if (body)
        bufs[1] = (uv_buf_t){.base = (char *)body->data, .len = body->size};
    n = transport_send(&connection->transport, bufs, body && body->size > 0 ? 2 : 1, on_sent);
    connection->writing = n != 1;
    if (n < 0) {
        pool_close(connection);
        call_fail_later(call, SERIN_IO, "%s: %s", call->client->name, uv_strerror(n));
    }
}

/* ---- connecting ---- */

static void on_open(struct transport *transport)
{
    send_request(transport->socket.handle.data);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct pool_connection *connection = request->handle->data;
    struct http_client *client = connection->client;
    struct http_call *call = connection->call;
    char what[128];
    SSL *ssl;

    if (connection->state == POOL_CLOSED)
        return;
    if (status == 0 && !client->address.is_unix)
        uv_tcp_nodelay(&connection->transport.socket.tcp, 1);
    if (status == 0 && client->address.is_tls) {
        ssl = tls_begin(client->options.tls, client->address.host);
        status = ssl ? transport_begin_tls(&connection->transport, ssl, true, on_open) : UV_ENOMEM;
    }
    if (status == 0)
        status = transport_read_start(&connection->transport, on_alloc, on_read);
    if (status == 0) {
        if (!client->address.is_tls)
            send_request(connection);
        return;
    }
    if (++call->addresses_tried < client->address_count) { /* a name of several addresses: the next one */
        client->address_at = (client->address_at + 1) % client->address_count;
        pool_close(connection);
        pool_connect(client, call);
        return;
    }
    snprintf(what, sizeof(what), "cannot connect: %s", uv_strerror(status));
    fail_with(connection, SERIN_IO, what);
}

static int connect_tcp(struct pool_connection *connection, const struct sockaddr *address)
{
    uv_tcp_t *tcp = &connection->transport.socket.tcp;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    http_socket_expect(fd, address);
    rc = uv_tcp_open(tcp, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return uv_tcp_connect(&connection->connect, tcp, address, on_connect);
}

void pool_connect(struct http_client *client, struct http_call *call)
{
    struct pool_connection *connection = calloc(1, sizeof(*connection));
    int rc;

    call_move(call, &client->bound);
    if (!connection || transport_init(client->loop, &connection->transport, client->address.is_unix) != 0) {
        free(connection);
        call_fail_later(call, SERIN_NOMEM, "%s: no memory for a connection", client->name);
        return;
    }
    connection->client = client;
    connection->transport.socket.handle.data = connection;
    client->handles++;
    client->connection_count++;
    connection->next = client->connections;
    if (connection->next)
        connection->next->previous = connection;
    client->connections = connection;
    connection->call = call;
    call->connection = connection;
    set_state(connection, POOL_CONNECTING);
    if (client->address.is_unix) {
        uv_pipe_connect(&connection->connect, &connection->transport.socket.pipe, client->address.path, on_connect);
        return;
    }
    rc = connect_tcp(connection, (const struct sockaddr *)&client->addresses[client->address_at]);
    if (rc != 0) {
        pool_close(connection);
        call_fail_later(call, SERIN_IO, "%s: cannot connect: %s", client->name, uv_strerror(rc));
    }
}

bool pool_reuse(struct http_client *client, struct http_call *call)
{
    struct pool_connection *connection = client->idle;

    if (!connection)
        return false;
    leave_idle(connection);
    connection->call = call;
    call->connection = connection;
    call_move(call, &client->bound);
    send_request(connection);
    return true;
}

/* ---- times ---- */

/* Connections are freed by the loop, never here, so that the list holds while callbacks run. */
void pool_sweep(struct http_client *client, uint64_t now)
{
    struct pool_connection *connection;

    for (connection = client->connections; connection; connection = connection->next) {
        uint64_t waited = now > connection->since_ms ? now - connection->since_ms : 0;

        if (connection->state == POOL_CONNECTING && waited > client->options.connect_timeout_ms)
            fail_with(connection, SERIN_IO, "cannot connect: no answer in the time for it");
        else if (connection->state == POOL_IDLE && waited > client->options.idle_timeout_ms)
            pool_close(connection);
    }
}
