/*
 * gateway.c - the threads of the gateway: start, wake, count, end.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each thread makes its loop and listener before gateway_new returns, so that a bad address is an error there. The
 * first listener of port 0 finds the port, the others share it (SO_REUSEPORT).
 */
#include "gateway/inside.h"

#include "http/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REAP_MS 1000 /* retry.c counts on it */

void gateway_options_init(struct gateway_options *options)
{
    *options = (struct gateway_options){.listen = "127.0.0.1:8080",
                                        .threads = 2,
                                        .answer_max_bytes = (uint64_t)64 << 20,
                                        .connections_per_endpoint = 256,
                                        .mirrors_in_flight = 64,
                                        .mirror_bytes = (uint64_t)256 << 20,
                                        .log_sample = 1,
                                        .cors_origins = ""};
    http_server_options_init(&options->server);
}

static void reap(uv_timer_t *timer)
{
    struct thread *thread = timer->data;

    thread_take_table(thread);
    thread_reap_upstreams(thread, false);
    retry_second_over(thread);
}

static void server_closed(void *user)
{
    struct thread *thread = user;
    struct gateway *gateway = thread->gateway;

    thread_reap_upstreams(thread, true);
    snapshot_free(thread->snapshot);
    thread->snapshot = NULL;
    pthread_mutex_lock(&gateway->lock); /* gateway_stop may still be about to wake this thread */
    uv_close((uv_handle_t *)&thread->wake, NULL);
    thread->over = true;
    pthread_mutex_unlock(&gateway->lock);
    uv_close((uv_handle_t *)&thread->reaper, NULL);
    if (atomic_fetch_sub(&gateway->running, 1) == 1 && gateway->stopped)
        gateway->stopped(gateway->stopped_user);
}

static void woken(uv_async_t *async)
{
    struct thread *thread = async->data;

    thread_take_table(thread);
    if (atomic_load(&thread->gateway->stopping) && !thread->closing) {
        thread->closing = true;
        if (thread->gateway->handed_over)
            http_server_hand_over(thread->server, thread->gateway->deadline_ms, server_closed, thread);
        else
            http_server_close(thread->server, thread->gateway->deadline_ms, server_closed, thread);
    }
}

static void *run_thread(void *argument)
{
    struct thread *thread = argument;

    uv_run(&thread->loop, UV_RUN_DEFAULT);
    uv_loop_close(&thread->loop);
    return NULL;
}

/* Of TCP each thread has a socket of its own, among which the kernel spreads the connections. A unix socket is a file
 * that a second one would take away, so there the threads accept at the first one's. */
static enum serin_errc listen_with(struct gateway *gateway, struct thread *thread, bool share,
                                   struct serin_error *error)
{
    int fds[HTTP_SERVER_MAX_SOCKETS], fd;

    if (thread == gateway->threads || strncmp(gateway->listen, "unix:", 5) != 0)
        return http_server_listen(thread->server, gateway->listen, share, error);
    BUG_ON(http_server_sockets(gateway->threads[0].server, fds) != 1);
    fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", gateway->listen, strerror(errno));
    return http_server_adopt(thread->server, fd, error);
}

/* Each handed-over socket has a thread that accepts there, whatever their numbers: with more threads than sockets some
 * are accepted at by several. */
static enum serin_errc adopt_sockets(struct gateway *gateway, struct thread *thread, struct serin_error *error)
{
    int threads = gateway->options.threads, count = gateway->options.socket_count;
    int at = (int)(thread - gateway->threads), i;
    enum serin_errc rc = SERIN_OK;

    for (i = at % count; i < count && rc == SERIN_OK; i += threads) {
        int fd = fcntl(gateway->options.sockets[i], F_DUPFD_CLOEXEC, 0);

        rc = fd < 0 ? error_set(error, SERIN_IO, "socket %d: %s", gateway->options.sockets[i], strerror(errno))
                    : http_server_adopt(thread->server, fd, error);
    }
    return rc;
}

static enum serin_errc prepare_thread(struct gateway *gateway, struct thread *thread, bool share,
                                      struct serin_error *error)
{
    enum serin_errc rc = thread_seed(thread, error);

    if (rc != SERIN_OK)
        return rc;
    retry_begin(thread);
    thread->gateway = gateway;
    thread->counters = calloc(GATEWAY_MAX_SLOTS, sizeof(*thread->counters));
    if (!thread->counters)
        return error_set(error, SERIN_NOMEM, "no memory for a gateway thread's counters");
    if (uv_loop_init(&thread->loop) != 0)
        return error_set(error, SERIN_NOMEM, "no event loop for a gateway thread");
    uv_async_init(&thread->loop, &thread->wake, woken);
    uv_timer_init(&thread->loop, &thread->reaper);
    thread->wake.data = thread->reaper.data = thread;
    uv_timer_start(&thread->reaper, reap, REAP_MS, REAP_MS);
    gateway->options.server.refused = own_refused;
    rc = http_server_new(&thread->loop, &gateway->options.server, flight_start, thread, &thread->server, error);
    if (rc == SERIN_OK && gateway->options.socket_count > 0)
        rc = adopt_sockets(gateway, thread, error);
    else if (rc == SERIN_OK)
        rc = listen_with(gateway, thread, share, error);
    return rc;
}

/* Listeners that share a port would share it with another program of the same user too, each getting half of the
 * clients; so first it is seen whether the port is free for one that does not share. */
static enum serin_errc check_free(const char *listen, struct serin_error *error)
{
    struct http_address address;
    enum serin_errc rc = http_address_parse(listen, &address, error);
    int on = 1, fd;

    if (rc != SERIN_OK || address.is_unix || !address.is_numeric)
        return rc;
    fd = socket(address.ip.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: no socket: %s", listen, strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&address.ip,
             address.ip.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) != 0)
        rc = error_set(error, SERIN_IO, "%s: cannot be bound: %s", listen, strerror(errno));
    close(fd);
    return rc;
}

enum serin_errc gateway_new(const struct gateway_options *options, struct gateway **ret, struct serin_error *error)
{
    struct gateway *gateway;
    enum serin_errc rc = SERIN_OK;
    int i;

    if (options->threads < 1 || options->threads > MAX_THREADS)
        return error_set(error, SERIN_INVALID, "%d gateway threads, 1 to %d are possible", options->threads,
                         MAX_THREADS);
    gateway = calloc(1, sizeof(*gateway));
    if (!gateway)
        return error_set(error, SERIN_NOMEM, "no memory for a gateway");
    gateway->options = *options;
    snprintf(gateway->listen, sizeof(gateway->listen), "%s", options->listen);
    pthread_mutex_init(&gateway->lock, NULL);
    if (options->socket_count == 0)
        rc = check_free(gateway->listen, error);
    for (i = 0; i < options->threads && rc == SERIN_OK; i++) {
        rc = prepare_thread(gateway, &gateway->threads[i], options->threads > 1, error);
        if (rc == SERIN_OK && i == 0 && strncmp(gateway->listen, "unix:", 5) != 0) {
            char *colon = strrchr(gateway->listen, ':');

            gateway->port = http_server_port(gateway->threads[0].server);
            if (colon && strcmp(colon, ":0") == 0)
                snprintf(colon, sizeof(gateway->listen) - (size_t)(colon - gateway->listen), ":%d", gateway->port);
        }
    }
    for (i = 0; i < options->socket_count; i++) /* the threads have copies */
        close(options->sockets[i]);
    if (rc != SERIN_OK) {
        gateway_close(gateway);
        return rc;
    }
    *ret = gateway;
    return SERIN_OK;
}

enum serin_errc gateway_start(struct gateway *gateway, struct serin_error *error)
{
    int i;

    for (i = 0; i < gateway->options.threads; i++) {
        if (pthread_create(&gateway->threads[i].id, NULL, run_thread, &gateway->threads[i]) != 0)
            return error_set(error, SERIN_NOMEM, "no gateway thread %d of %d", i + 1, gateway->options.threads);
        gateway->threads[i].started = true;
    }
    return SERIN_OK;
}

int gateway_sockets(const struct gateway *gateway, int *fds)
{
    int count = 0, i;

    for (i = 0; i < gateway->options.threads && count < GATEWAY_MAX_SOCKETS; i++) {
        int own[HTTP_SERVER_MAX_SOCKETS], own_count = http_server_sockets(gateway->threads[i].server, own), k;

        for (k = 0; k < own_count && count < GATEWAY_MAX_SOCKETS; k++)
            fds[count++] = own[k];
    }
    return count;
}

int gateway_port(const struct gateway *gateway)
{
    return gateway->port;
}

void gateway_read(const struct gateway *gateway, int slot, struct gateway_totals *ret)
{
    int i;

    *ret = (struct gateway_totals){0};
    for (i = 0; i < gateway->options.threads; i++) {
        const struct slot_counters *counters = &gateway->threads[i].counters[slot];

#define X(name, help) ret->name += atomic_load_explicit(&counters->name, memory_order_relaxed);
        GATEWAY_COUNTERS(X)
#undef X
        histogram_add(&ret->latency, &counters->latency);
        histogram_add(&ret->mirror_latency, &counters->mirror_latency);
    }
}

void gateway_read_work(const struct gateway *gateway, int slot, struct gateway_work *ret)
{
    int i, k;

    *ret = (struct gateway_work){0};
    for (i = 0; i < gateway->options.threads; i++) {
        const struct slot_counters *counters = &gateway->threads[i].counters[slot];

        for (k = 0; k < 2 * GATEWAY_OUTCOME_COUNT; k++)
            ret->outcomes[k / 2][k % 2] +=
                atomic_load_explicit(&counters->outcomes[k / 2][k % 2], memory_order_relaxed);
        histogram_add(&ret->whole, &counters->whole);
        for (k = 0; k < GATEWAY_STAGE_COUNT; k++)
            histogram_add(&ret->stages[k], &counters->stages[k]);
        histogram_add(&ret->batch, &counters->batch);
    }
}

void gateway_read_connections(struct gateway *gateway, struct gateway_connections *ret)
{
    int i;

    *ret = (struct gateway_connections){0};
    pthread_mutex_lock(&gateway->lock);
    for (i = 0; i < gateway->options.threads; i++) {
        const struct http_server_counters *counters;

        if (gateway->threads[i].over) /* and its server is gone */
            continue;
        counters = http_server_counters(gateway->threads[i].server);
        ret->open += atomic_load_explicit(&counters->connections_open, memory_order_relaxed);
        ret->taken += atomic_load_explicit(&counters->connections_total, memory_order_relaxed);
        ret->refused += atomic_load_explicit(&counters->connections_refused_total, memory_order_relaxed);
        ret->evicted += atomic_load_explicit(&counters->connections_evicted_total, memory_order_relaxed);
    }
    pthread_mutex_unlock(&gateway->lock);
}

bool gateway_breaker_open(const struct gateway *gateway, int slot)
{
    return atomic_load(&gateway->breakers[slot].open_until_ms) != 0;
}

void gateway_breaker_reset(struct gateway *gateway, int slot)
{
    breaker_reset(&gateway->breakers[slot]);
}

void gateway_stop(struct gateway *gateway, uint64_t deadline_ms, bool handed_over, void (*stopped)(void *user),
                  void *user)
{
    int i;

    gateway->deadline_ms = deadline_ms;
    gateway->handed_over = handed_over;
    gateway->stopped = stopped;
    gateway->stopped_user = user;
    for (i = 0; i < gateway->options.threads; i++)
        atomic_fetch_add(&gateway->running, gateway->threads[i].server != NULL);
    pthread_mutex_lock(&gateway->lock); /* a thread that sees this before it is woken must still be there to be woken */
    atomic_store(&gateway->stopping, true);
    for (i = 0; i < gateway->options.threads; i++) /* all stop listening before one is waited for */
        if (gateway->threads[i].server)
            uv_async_send(&gateway->threads[i].wake);
    pthread_mutex_unlock(&gateway->lock);
}

void gateway_close(struct gateway *gateway)
{
    struct gateway_sighting *sighting;
    int i;

    if (!gateway)
        return;
    if (!atomic_load(&gateway->stopping))
        gateway_stop(gateway, 0, false, NULL, NULL);
    for (i = 0; i < gateway->options.threads; i++) {
        struct thread *thread = &gateway->threads[i];

        if (!thread->server) /* it was never made, or not wholly */
            continue;
        if (thread->started) {
            pthread_join(thread->id, NULL);
        } else { /* it stops listening first, lest its loop takes a connection that it will not answer */
            woken(&thread->wake);
            run_thread(thread);
        }
    }
    for (i = 0; i < gateway->options.threads; i++) {
        free(gateway->threads[i].counters);
        buffer_done(&gateway->threads[i].line);
    }
    while ((sighting = gateway_take_sighting(gateway)) != NULL)
        gateway_sighting_free(sighting);
    if (gateway->table && atomic_fetch_sub(&gateway->table->owners, 1) == 1)
        free(gateway->table);
    for (i = 0; i < GATEWAY_MAX_MODELS; i++)
        class_list_drop(gateway->labels[i].classes);
    pthread_mutex_destroy(&gateway->lock);
    free(gateway);
}
