/*
 * client.c - calls to one endpoint: their queue, their times, their ends.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Callbacks run from the loop only: what fails while a call is started is told by the call's own timer, set to 0. A
 * client is freed when nothing of it is left on the loop (`handles`).
 */
#include "http/pool.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SWEEP_MS               100
#define STALLED_MS             100  /* so late no timer fires that could */
#define SPARED_MS              1000 /* at most */
#define MAX_REQUEST_HEAD_BYTES (64u << 10)

void http_client_options_init(struct http_client_options *options)
{
    *options = (struct http_client_options){
        .limits = http_default_limits,
        .max_connections = 256,
        .max_waiting = 1024,
        .connect_timeout_ms = 1000,
        .idle_timeout_ms = 30000,
    };
    options->limits.max_body_bytes = 64u << 20;
}

/* ---- lists ---- */

void call_move(struct http_call *call, struct call_list *list)
{
    if (call->list) {
        if (call->previous)
            call->previous->next = call->next;
        else
            call->list->first = call->next;
        if (call->next)
            call->next->previous = call->previous;
        else
            call->list->last = call->previous;
        call->list->count--;
    }
    call->list = list;
    call->previous = call->next = NULL;
    if (!list)
        return;
    call->previous = list->last;
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
    list->count++;
}

/* ---- ends ---- */

static void on_timer(uv_timer_t *timer);

void client_handle_gone(struct http_client *client)
{
    struct http_call *call;

    if (--client->handles > 0)
        return;
    if (client->closed)
        client->closed(client->closed_user);
    while ((call = client->spare)) {
        client->spare = call->next;
        buffer_done(&call->request);
        free(call);
    }
    free(client);
}

static struct http_call *call_new(struct http_client *client)
{
    struct http_call *call = client->spare;
    struct buffer request = {0};

    if (call) {
        client->spare = call->next;
        client->spare_count--;
        request = call->request;
    } else {
        call = malloc(sizeof(*call));
        if (!call)
            return NULL;
    }
    memset(call, 0, offsetof(struct http_call, head));
    call->request = request;
    call->client = client;
    call->in = call->first_in;
    call->in_capacity = sizeof(call->first_in);
    return call;
}

/* Not the request's bytes' last reader: libuv does not touch what is queued once its handle is closing. */
static void call_free(struct http_call *call)
{
    struct http_client *client = call->client;

    call_move(call, NULL);
    bytes_drop(call->request_body);
    http_body_done(&call->body);
    if (call->in != call->first_in)
        free(call->in);
    if (http_client_in_flight(client) == 0 && !client->closing)
        uv_unref((uv_handle_t *)&client->timer); /* an idle client is no reason for a loop to go on */
    if (client->spare_count < CLIENT_MAX_SPARE && call->request.capacity <= CLIENT_SPARE_REQUEST) {
        call->next = client->spare;
        client->spare = call;
        client->spare_count++;
        return;
    }
    buffer_done(&call->request);
    free(call);
}

/* Sees to it that the timer fires then, or earlier. */
static void wake_at(struct http_client *client, uint64_t at_ms)
{
    uint64_t now = uv_now(client->loop);

    if (at_ms >= client->timer_ms)
        return;
    client->timer_ms = at_ms;
    uv_timer_start(&client->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

void call_finish(struct http_call *call, enum serin_errc rc, const char *why, bool timed_out)
{
    struct http_answer answer = {
        .rc = rc,
        .timed_out = timed_out,
        .sent = call->sent,
        .why = why,
        .total_ns = clock_now_ns() - call->started_ns,
    };

    if (rc == SERIN_OK) {
        answer.head = &call->head;
        answer.body = call->body.bytes;
    }
    call_move(call, NULL);
    call->answered(call->user, &answer);
    call_free(call);
}

/* A call of `due`: its time is over, or it is to be told that it has failed. */
static void end_due(struct http_call *call)
{
    struct http_client *client = call->client;
    bool timed_out = call->failure.code == SERIN_OK;

    if (timed_out)
        error_set(&call->failure, SERIN_IO, "%s: no whole answer in %llu ms", client->name,
                  (unsigned long long)((clock_now_ns() - call->started_ns) / 1000000u));
    if (call->connection)
        pool_close(call->connection);
    client_pump(client);
    call_finish(call, call->failure.code, call->failure.message, timed_out);
}

/* The program has stood still (a paused container, a debugger), and timers fire before sockets are read: the answer may
 * lie there. Whoever answers may have stood still, too, so it gets as long as that was. */
static bool spare(struct http_call *call, uint64_t now_ms)
{
    const uint64_t late_ms = now_ms - call->due_ms;

    if (call->failure.code != SERIN_OK || call->spared || late_ms < STALLED_MS)
        return false;
    call->spared = true;
    call->due_ms = now_ms + (late_ms < SPARED_MS ? late_ms : SPARED_MS);
    return true;
}

/* Puts those whose time has come into `due`; the earliest time of the others. */
static uint64_t gather_due(struct http_client *client, struct call_list *list, uint64_t now_ms)
{
    uint64_t earliest = UINT64_MAX;
    struct http_call *call, *next;

    for (call = list->first; call; call = next) {
        next = call->next;
        if (call->due_ms <= now_ms && !spare(call, now_ms))
            call_move(call, &client->due);
        else if (call->due_ms < earliest)
            earliest = call->due_ms;
    }
    return earliest;
}

static void on_timer_closed(uv_handle_t *handle)
{
    client_handle_gone(handle->data);
}

/* What ends here may cancel others, which takes them out of `due`, and may start new ones. */
static void on_timer(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    uint64_t now = uv_now(client->loop);

    client->timer_ms = UINT64_MAX;
    wake_at(client, gather_due(client, &client->waiting, now));
    wake_at(client, gather_due(client, &client->bound, now));
    while (client->due.first)
        end_due(client->due.first); /* NOLINT: which takes it out of the list, unlike what clang-analyzer believes */
    if (client->closing && http_client_in_flight(client) == 0 && !uv_is_closing((uv_handle_t *)timer))
        uv_close((uv_handle_t *)timer, on_timer_closed);
}

void call_fail_later(struct http_call *call, enum serin_errc rc, const char *format, ...)
{
    char sentence[sizeof(call->failure.message)];
    va_list args;

    if (call->failure.code != SERIN_OK)
        return;
    va_start(args, format);
    if (vsnprintf(sentence, sizeof(sentence), format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    error_set(&call->failure, rc, "%s", sentence);
    call_move(call, &call->client->bound);
    call->due_ms = 0;
    wake_at(call->client, 0);
}

void http_call_cancel(struct http_call *call)
{
    struct http_client *client = call->client;

    BUG_ON(!call->list);
    if (call->connection)
        pool_close(call->connection);
    call_free(call);
    client_pump(client);
}

/* ---- names ---- */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct http_client *client = request->data;
    struct addrinfo *at;

    client->resolving = false;
    for (at = found; status == 0 && at && client->address_count < CLIENT_MAX_ADDRESSES; at = at->ai_next)
        if (at->ai_addrlen <= sizeof(client->addresses[0]))
            memcpy(&client->addresses[client->address_count++], at->ai_addr, at->ai_addrlen);
    uv_freeaddrinfo(found);
    if (client->address_count == 0 && !client->closing)
        while (client->waiting.first) /* the next call asks again */
            call_fail_later(client->waiting.first, SERIN_IO, "%s: the host's name cannot be resolved: %s", client->name,
                            status != 0 ? uv_strerror(status) : "it has no address");
    client_pump(client);
    client_handle_gone(client);
}

static void resolve(struct http_client *client)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int rc;

    if (client->resolving)
        return;
    client->resolver.data = client;
    rc = uv_getaddrinfo(client->loop, &client->resolver, on_resolved, client->address.host, client->address.port,
                        &hints);
    if (rc == 0) {
        client->resolving = true;
        client->handles++;
        return;
    }
    while (client->waiting.first)
        call_fail_later(client->waiting.first, SERIN_IO, "%s: the host's name cannot be resolved: %s", client->name,
                        uv_strerror(rc));
}

static bool has_address(const struct http_client *client)
{
    return client->address.is_unix || client->address_count > 0;
}

/* Whether a call that is started now has no connection at once. */
static bool must_wait(const struct http_client *client)
{
    return !client->idle && (!has_address(client) || client->connection_count >= client->options.max_connections);
}

void client_pump(struct http_client *client)
{
    while (client->waiting.first && !client->closing) {
        struct http_call *call = client->waiting.first;

        if (pool_reuse(client, call))
            continue;
        if (client->connection_count >= client->options.max_connections)
            return;
        if (!has_address(client)) {
            resolve(client);
            return;
        }
        pool_connect(client, call);
    }
}

/* ---- calls ---- */

/* The request's head: what the caller gave, then what is ours to say. RFC 9110, 8.6: a method that has a meaning for
 * content says its length even where it is 0. */
static enum serin_errc write_request(struct http_call *call, const struct buffer *head, struct serin_error *error)
{
    bool expects_body = strncmp(head->bytes, "POST ", 5) == 0 || strncmp(head->bytes, "PUT ", 4) == 0 ||
                        strncmp(head->bytes, "PATCH ", 6) == 0;

    call->request.max = MAX_REQUEST_HEAD_BYTES;
    buffer_clear(&call->request);
    buffer_append(&call->request, head->bytes, head->size);
    http_write_text(&call->request, "Host", call->client->address.authority);
    if (call->request_body || expects_body) {
        buffer_append_text(&call->request, "Content-Length: ");
        buffer_append_number(&call->request, call->request_body ? call->request_body->size : 0);
        buffer_append(&call->request, "\r\n", 2);
    }
    http_write_end(&call->request);
    return buffer_check(&call->request, "the head of a request", error);
}

enum serin_errc http_call_start(struct http_client *client, const struct buffer *head, struct bytes *body,
                                uint64_t timeout_ms, http_answered *answered, void *user, struct http_call **ret_call,
                                struct serin_error *error)
{
    struct http_call *call;
    enum serin_errc rc = buffer_check(head, "the head of a request", error);

    if (rc != SERIN_OK)
        return rc;
    BUG_ON(head->size == 0);
    if (client->closing)
        return error_set(error, SERIN_IO, "%s: the client is closed", client->name);
    if (client->waiting.count >= client->options.max_waiting && must_wait(client))
        return error_set(error, SERIN_LIMIT, "%s: %d connections are in use and %d calls wait, more may not",
                         client->name, client->connection_count, client->waiting.count);
    call = call_new(client);
    if (!call)
        return error_set(error, SERIN_NOMEM, "%s: no memory for a call", client->name);
    call->started_ns = clock_now_ns();
    call->due_ms = timeout_ms > 0 ? uv_now(client->loop) + timeout_ms : UINT64_MAX;
    call->answered = answered;
    call->user = user;
    call->request_body = body ? bytes_share(body) : NULL;
    call->is_head = strncmp(head->bytes, "HEAD ", 5) == 0;
    rc = write_request(call, head, error);
    if (rc != SERIN_OK) {
        call_free(call);
        return rc;
    }
    uv_ref((uv_handle_t *)&client->timer);
    wake_at(client, call->due_ms);
    call_move(call, &client->waiting);
    client_pump(client);
    if (ret_call)
        *ret_call = call;
    return SERIN_OK;
}

int http_client_in_flight(const struct http_client *client)
{
    return client->waiting.count + client->bound.count + client->due.count;
}

/* ---- the client ---- */

static void on_sweep(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    const uint64_t now = uv_now(client->loop), away_ms = now - client->swept_ms;
    struct pool_connection *connection;

    client->swept_ms = now;
    for (connection = client->connections; connection && away_ms > 5 * SWEEP_MS; connection = connection->next)
        connection->since_ms =
            connection->since_ms + away_ms < now ? connection->since_ms + away_ms : now; /* as spare() */
    pool_sweep(client, now);
}

enum serin_errc http_client_new(uv_loop_t *loop, const char *endpoint, const struct http_client_options *options,
                                struct http_client **ret, struct serin_error *error)
{
    struct http_address address;
    enum serin_errc rc = http_address_parse(endpoint, &address, error);
    struct http_client *client;

    if (rc == SERIN_OK && address.is_tls && !options->tls)
        rc = error_set(error, SERIN_UNSUPPORTED, "'%s': https:// is not spoken here", endpoint);
    if (rc != SERIN_OK)
        return rc;
    client = calloc(1, sizeof(*client));
    if (!client)
        return error_set(error, SERIN_NOMEM, "no memory for a client of %s", endpoint);
    client->loop = loop;
    client->options = *options;
    client->address = address;
    snprintf(client->name, sizeof(client->name), "%s%s", address.is_unix ? "unix:" : "",
             address.is_unix ? address.path : address.authority);
    if (address.is_numeric) {
        client->addresses[0] = address.ip;
        client->address_count = 1;
    }
    uv_timer_init(loop, &client->sweep);
    uv_timer_init(loop, &client->timer);
    client->sweep.data = client->timer.data = client;
    client->timer_ms = UINT64_MAX;
    client->handles = 2;
    uv_timer_start(&client->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    client->swept_ms = uv_now(loop);
    uv_unref((uv_handle_t *)&client->sweep);
    uv_unref((uv_handle_t *)&client->timer);
    *ret = client;
    return SERIN_OK;
}

void http_client_close(struct http_client *client, void (*done)(void *user), void *user)
{
    struct pool_connection *connection;

    BUG_ON(client->closing);
    client->closing = true;
    client->closed = done;
    client->closed_user = user;
    for (connection = client->connections; connection; connection = connection->next)
        pool_close(connection);
    while (client->waiting.first)
        call_fail_later(client->waiting.first, SERIN_IO, "%s: closed", client->name);
    for (struct http_call *call = client->bound.first; call; call = call->next)
        if (call->failure.code == SERIN_OK) {
            error_set(&call->failure, SERIN_IO, "%s: closed", client->name);
            call->due_ms = 0;
        }
    uv_ref((uv_handle_t *)&client->timer);
    wake_at(client, 0); /* for the calls, and then for the timer itself */
    if (client->resolving)
        uv_cancel((uv_req_t *)&client->resolver);
    uv_close((uv_handle_t *)&client->sweep, on_timer_closed);
}
