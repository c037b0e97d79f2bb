/*
 * ready_probe.c - one small question over a unix socket, again and again.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only the status line of the answer is read, and strictly: whatever else listens there is not ready. A try that hangs
 * is given up after ten ticks. A try lives until its handle has closed; it may outlive the probe, and then knows none.
 */
#include "runtime/ready_probe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS     100
#define TICKS_A_TRY 10

static const char question[] = "GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 "; /* RFC 9112, section 4: the space stands even without a reason */

struct try_once {
    struct ready_probe *probe; /* NULL: given up */
    uv_pipe_t pipe;
    uv_connect_t connecting;
    uv_write_t writing;
    char head[sizeof(answer) - 1];
    size_t got;
};

struct ready_probe {
    uv_timer_t ticks;
    const char *socket_path;
    struct try_once *now; /* NULL between tries */
    int age_ticks;
    void (*ready)(void *user);
    void *user;
};

static void try_closed(uv_handle_t *pipe)
{
    free(pipe->data);
}

static void give_up(struct try_once *once)
{
    if (once->probe)
        once->probe->now = NULL;
    once->probe = NULL;
    if (!uv_is_closing((uv_handle_t *)&once->pipe))
        uv_close((uv_handle_t *)&once->pipe, try_closed);
}

static void take_head(uv_handle_t *pipe, size_t suggested, uv_buf_t *buffer)
{
    struct try_once *once = pipe->data;

    (void)suggested;
    *buffer = uv_buf_init(once->head + once->got, (unsigned)(sizeof(once->head) - once->got));
}

static void head_read(uv_stream_t *pipe, ssize_t got, const uv_buf_t *buffer)
{
    struct try_once *once = pipe->data;
    struct ready_probe *probe = once->probe;

    (void)buffer;
    if (got > 0)
        once->got += (size_t)got;
    if (got >= 0 && once->got < sizeof(once->head))
        return;
    give_up(once);
    if (got < 0 || !probe || memcmp(once->head, answer, sizeof(once->head)) != 0)
        return;
    uv_timer_stop(&probe->ticks);
    probe->ready(probe->user);
}

static void question_sent(uv_write_t *request, int status)
{
    struct try_once *once = request->handle->data;

    if (status < 0)
        give_up(once);
}

static void connected(uv_connect_t *request, int status)
{
    struct try_once *once = request->handle->data;
    uv_buf_t text = uv_buf_init((char *)question, sizeof(question) - 1);

    if (status < 0 || !once->probe ||
        uv_write(&once->writing, (uv_stream_t *)&once->pipe, &text, 1, question_sent) != 0 ||
        uv_read_start((uv_stream_t *)&once->pipe, take_head, head_read) != 0)
        give_up(once);
}

static void tick(uv_timer_t *timer)
{
    struct ready_probe *probe = timer->data;
    struct try_once *once;

    if (probe->now && ++probe->age_ticks < TICKS_A_TRY)
        return;
    if (probe->now)
        give_up(probe->now);
    once = calloc(1, sizeof(*once));
    if (!once)
        return; /* there may be memory at the next tick */
    if (uv_pipe_init(timer->loop, &once->pipe, 0) != 0) {
        free(once);
        return;
    }
    once->probe = probe;
    once->pipe.data = once;
    probe->now = once;
    probe->age_ticks = 0;
    uv_pipe_connect(&once->connecting, &once->pipe, probe->socket_path, connected);
}

enum serin_errc ready_probe_new(uv_loop_t *loop, const char *socket_path, void (*ready)(void *user), void *user,
                                struct ready_probe **ret, struct serin_error *error)
{
    struct ready_probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return error_set(error, SERIN_NOMEM, "no memory for a ready check");
    probe->socket_path = socket_path;
    probe->ready = ready;
    probe->user = user;
    uv_timer_init(loop, &probe->ticks);
    probe->ticks.data = probe;
    uv_timer_start(&probe->ticks, tick, TICK_MS / 5, TICK_MS);
    *ret = probe;
    return SERIN_OK;
}

static void probe_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void ready_probe_close(struct ready_probe *probe)
{
    if (!probe)
        return;
    if (probe->now)
        give_up(probe->now);
    uv_close((uv_handle_t *)&probe->ticks, probe_closed);
}
