/*
 * server.c - listening, taking connections, the one sweep for all their times, and the end.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A server lives until its listeners, its connections and the exchanges that handlers still have are gone; only then
 * http_server_close's callback is called. When the process is out of descriptors, libuv gives up its reserve one to
 * take and close what waits, so that the loop does not spin.
 */
#include "http/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SWEEP_MS      250
#define STALLED_MS    1000 /* between two sweeps */
#define CLOSE_IDLE_MS 200
#define BACKLOG       1024

void http_server_options_init(struct http_server_options *options)
{
    *options = (struct http_server_options){
        .limits = http_default_limits,
        .max_connections = 4096,
        .max_buffered_bytes = 1u << 30,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .stall_timeout_ms = 30000,
    };
}

/* ---- being over ---- */

static void on_sweep_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;

    if (server->closed)
        server->closed(server->closed_user);
    free(server);
}

static void finish_if_over(struct http_server *server)
{
    if (server->closing && !server->connections && server->open_listeners == 0 &&
        !uv_is_closing((uv_handle_t *)&server->sweep))
        uv_close((uv_handle_t *)&server->sweep, on_sweep_closed);
}

void server_connection_gone(struct http_server *server)
{
    atomic_fetch_sub_explicit(&server->counters.connections_open, 1, memory_order_relaxed);
    finish_if_over(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;

    listener->server->open_listeners--;
    finish_if_over(listener->server);
}

/* ---- times ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_listener *listener = stream->data;

    if (status != 0)
        counter_add(&listener->server->counters.refused_total, 1);
    else
        listener->stuck = connection_accept(listener, -1) != SERIN_OK;
}

/* No connection is freed while this runs: handles end later, on the loop, and only a handler that answers an exchange
 * whose handle has ended frees one, which is not the one at hand. */
static void sweep(struct http_server *server, uint64_t now)
{
    struct http_connection *connection;
    int i;

    for (connection = server->connections; connection; connection = connection->next) {
        connection_sweep(connection, now);
        if (server->closing &&
            (now >= server->close_at_ms || (connection->state == CONNECTION_IDLE && now >= server->close_idle_at_ms)))
            connection_close(connection);
    }
    for (i = 0; i < server->listener_count && !server->closing; i++)
        if (server->listeners[i].stuck)
            on_connection(&server->listeners[i].socket.stream, 0);
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    const uint64_t now = uv_now(server->loop), away_ms = now - server->swept_ms;
    struct http_connection *connection;

    server->swept_ms = now;
    /* The program has stood still (a paused container, a debugger), and timers fire before sockets are read: what
     * clients have sent lies there, and the time is not theirs. */
    for (connection = server->connections; connection && away_ms > STALLED_MS; connection = connection->next)
        connection->since_ms = connection->since_ms + away_ms < now ? connection->since_ms + away_ms : now;
    sweep(server, now);
}

/* ---- closing ---- */

/* Who has connected and was not taken yet would be reset with the listener, request and all. */
static void take_waiting(struct http_listener *listener)
{
    uv_os_fd_t at;
    int fd, i;

    if (uv_fileno(&listener->socket.handle, &at) != 0)
        return;
    for (i = 0; i < BACKLOG; i++) {
        fd = accept4(at, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (connection_accept(listener, fd) != SERIN_OK)
            close(fd);
    }
}

static void close_server(struct http_server *server, uint64_t deadline_ms, bool handed_over, void (*done)(void *user),
                         void *user)
{
    uint64_t idle_ms = deadline_ms < CLOSE_IDLE_MS || handed_over ? deadline_ms : CLOSE_IDLE_MS;
    struct http_connection *connection;
    int i;

    BUG_ON(server->closing);
    server->closing = true;
    server->closed = done;
    server->closed_user = user;
    server->close_at_ms = uv_now(server->loop) + deadline_ms;
    server->close_idle_at_ms = uv_now(server->loop) + idle_ms;
    for (i = 0; i < server->listener_count; i++) {
        if (deadline_ms > 0 && !handed_over)
            take_waiting(&server->listeners[i]);
        uv_close(&server->listeners[i].socket.handle, on_listener_closed);
    }
    for (connection = server->connections; connection && deadline_ms == 0; connection = connection->next)
        connection_close(connection);
    uv_timer_start(&server->sweep, on_sweep, deadline_ms < SWEEP_MS ? deadline_ms : SWEEP_MS, SWEEP_MS);
    finish_if_over(server);
}

void http_server_close(struct http_server *server, uint64_t deadline_ms, void (*done)(void *user), void *user)
{
    close_server(server, deadline_ms, false, done, user);
}

void http_server_hand_over(struct http_server *server, uint64_t deadline_ms, void (*done)(void *user), void *user)
{
    close_server(server, deadline_ms, true, done, user);
}

/* ---- the beginning ---- */

enum serin_errc http_server_new(uv_loop_t *loop, const struct http_server_options *options, http_handler *handler,
                                void *user, struct http_server **ret, struct serin_error *error)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (!server)
        return error_set(error, SERIN_NOMEM, "no memory for a server");
    server->loop = loop;
    server->options = *options;
    server->handler = handler;
    server->user = user;
    server->date_second = -1;
    uv_timer_init(loop, &server->sweep);
    server->sweep.data = server;
    uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    server->swept_ms = uv_now(loop);
    *ret = server;
    return SERIN_OK;
}

enum serin_errc http_server_adopt(struct http_server *server, int fd, struct serin_error *error)
{
    struct http_listener *listener = &server->listeners[server->listener_count];
    struct sockaddr_storage name = {0};
    socklen_t name_size = sizeof(name);
    int type = 0, rc;
    socklen_t type_size = sizeof(type);

    if (server->listener_count == HTTP_SERVER_MAX_SOCKETS || server->closing) {
        close(fd);
        return error_set(error, SERIN_LIMIT, "a server listens on %d sockets at most", HTTP_SERVER_MAX_SOCKETS);
    }
    if (getsockname(fd, (struct sockaddr *)&name, &name_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_STREAM ||
        (name.ss_family != AF_UNIX && name.ss_family != AF_INET && name.ss_family != AF_INET6)) {
        close(fd);
        return error_set(error, SERIN_INVALID, "descriptor %d is no stream socket of TCP or unix kind", fd);
    }
    listener->server = server;
    listener->is_unix = name.ss_family == AF_UNIX;
    rc = http_socket_init(server->loop, &listener->socket, listener->is_unix);
    if (rc != 0) {
        close(fd);
        return error_set(error, SERIN_IO, "a listener: %s", uv_strerror(rc));
    }
    listener->socket.handle.data = listener;
    server->listener_count++;
    server->open_listeners++;
    rc = listener->is_unix ? uv_pipe_open(&listener->socket.pipe, fd) : uv_tcp_open(&listener->socket.tcp, fd);
    if (rc != 0)
        close(fd);
    else
        rc = uv_listen(&listener->socket.stream, BACKLOG, on_connection);
    if (rc != 0)
        return error_set(error, SERIN_IO, "descriptor %d cannot be listened on: %s", fd, uv_strerror(rc));
    if (name.ss_family == AF_INET)
        server->port = ntohs(((const struct sockaddr_in *)&name)->sin_port);
    else if (name.ss_family == AF_INET6)
        server->port = ntohs(((const struct sockaddr_in6 *)&name)->sin6_port);
    return SERIN_OK;
}

/* Binds with mode 0600 from the first moment: the kernel gives the file the mode of the socket. */
static int bind_unix(int fd, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct stat old;

    memcpy(name.sun_path, path, strlen(path) + 1);
    if (fchmod(fd, 0600) != 0)
        return -1;
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode) && unlink(path) != 0)
        return -1;
    return bind(fd, (const struct sockaddr *)&name, sizeof(name));
}

static int bind_tcp(int fd, const struct http_address *address, bool share)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0))
        return -1;
    http_socket_expect(fd, (const struct sockaddr *)&address->ip); /* which the connections it takes inherit */
    return bind(fd, (const struct sockaddr *)&address->ip,
                address->ip.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

enum serin_errc http_server_listen(struct http_server *server, const char *address, bool share,
                                   struct serin_error *error)
{
    struct http_address parsed;
    enum serin_errc rc = http_address_parse(address, &parsed, error);
    int fd;

    if (rc != SERIN_OK)
        return rc;
    if (parsed.is_tls || (!parsed.is_unix && !parsed.is_numeric))
        return error_set(error, SERIN_INVALID, "'%s': an address to listen on has numbers, such as 127.0.0.1:8080",
                         address);
    fd = socket(parsed.is_unix ? AF_UNIX : parsed.ip.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: no socket: %s", address, strerror(errno));
    if ((parsed.is_unix ? bind_unix(fd, parsed.path) : bind_tcp(fd, &parsed, share)) != 0) {
        rc = error_set(error, SERIN_IO, "%s: cannot be bound: %s", address, strerror(errno));
        close(fd);
        return rc;
    }
    rc = http_server_adopt(server, fd, error);
    return error_prefix(error, rc, "%s", address);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

int http_server_sockets(const struct http_server *server, int *fds)
{
    int count = 0, i;
    uv_os_fd_t fd;

    for (i = 0; i < server->listener_count; i++)
        if (uv_fileno(&server->listeners[i].socket.handle, &fd) == 0)
            fds[count++] = fd;
    return count;
}

const struct http_server_counters *http_server_counters(const struct http_server *server)
{
    return &server->counters;
}
