/*
 * health.c - a timer, a kept connection, two counters.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One check is under way at a time, and the next is timed from its end, so that a slow endpoint is not asked more than
 * it answers. Rise and fall are HAProxy's words, and keep one lost packet from moving traffic.
 */
#include "serve/health.h"

#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER_BYTES ((size_t)64 << 10) /* nobody reads it */

struct health {
    const struct serve_options *options;
    struct http_client *client;
    uv_timer_t timer;
    enum health_state state;
    int passed, failed; /* in a row */
    uint64_t failing_since_ms;
    bool asked, closing;
    int handles; /* the timer and the client, until they are closed */
    void (*changed)(void *user);
    void *user;
    char why[200];
};

static void ask(uv_timer_t *timer);

static void judge(struct health *health, const char *why)
{
    enum health_state before = health->state;
    bool first = !health->asked;

    health->asked = true;
    snprintf(health->why, sizeof(health->why), "%s", why ? why : "");
    health->passed = why ? 0 : health->passed + 1;
    health->failed = why ? health->failed + 1 : 0;
    if (health->failed == 1)
        health->failing_since_ms = uv_now(health->timer.loop);
    if (!why && (before == HEALTH_UNKNOWN || health->passed >= (int)health->options->health_rise))
        health->state = HEALTH_UP;
    if (why && before == HEALTH_UP && health->failed >= (int)health->options->health_fall)
        health->state = HEALTH_DOWN;
    uv_timer_start(&health->timer, ask, (uint64_t)health->options->health_interval_ms, 0);
    if (first || health->state != before || health_hangs(health))
        health->changed(health->user);
}

static void answered(void *user, const struct http_answer *answer)
{
    struct health *health = user;
    char why[200];

    if (health->closing)
        return;
    if (answer->rc != SERIN_OK) {
        judge(health, answer->why);
    } else if (answer->head->status < 200 || answer->head->status > 299) {
        snprintf(why, sizeof(why), "%.120s was answered with status %d", health->options->health_path,
                 answer->head->status);
        judge(health, why);
    } else {
        judge(health, NULL);
    }
}

static void ask(uv_timer_t *timer)
{
    struct health *health = timer->data;
    const char *path = health->options->health_path;
    struct serin_error error;
    struct buffer head;

    buffer_init(&head, 2048);
    http_write_request_line(&head, (struct http_slice){"GET", 3}, (struct http_slice){path, strlen(path)});
    http_write_field(&head, "User-Agent", "serin-health");
    if (http_call_start(health->client, &head, NULL, (uint64_t)health->options->health_timeout_ms, answered, health,
                        NULL, &error) != SERIN_OK)
        judge(health, error.message);
    buffer_done(&head);
}

enum serin_errc health_new(uv_loop_t *loop, const char *endpoint, enum health_state state,
                           const struct serve_options *options, void (*changed)(void *user), void *user,
                           struct health **ret, struct serin_error *error)
{
    struct health *health = calloc(1, sizeof(*health));
    struct http_client_options client;
    enum serin_errc rc;

    if (!health)
        return error_set(error, SERIN_NOMEM, "no memory for a health check");
    http_client_options_init(&client);
    client.limits.max_body_bytes = MAX_ANSWER_BYTES;
    client.max_connections = 1;
    client.tls = options->upstream_tls;
    client.idle_timeout_ms = 2 * (uint64_t)options->health_interval_ms;
    rc = http_client_new(loop, endpoint, &client, &health->client, error);
    if (rc != SERIN_OK) {
        free(health);
        return rc;
    }
    health->options = options;
    health->state = state;
    health->changed = changed;
    health->user = user;
    health->handles = 2;
    uv_timer_init(loop, &health->timer);
    health->timer.data = health;
    uv_timer_start(&health->timer, ask, state == HEALTH_UP ? (uint64_t)options->health_interval_ms : 0, 0);
    *ret = health;
    return SERIN_OK;
}

enum health_state health_state(const struct health *health)
{
    return health->state;
}

const char *health_why(const struct health *health)
{
    return health->why;
}

bool health_hangs(const struct health *health)
{
    double limit_s = health->options->health_restart_seconds;

    return health->state == HEALTH_DOWN && limit_s > 0 &&
           (double)(uv_now(health->timer.loop) - health->failing_since_ms) >= limit_s * 1000;
}

static void handle_gone(struct health *health)
{
    if (--health->handles == 0)
        free(health);
}

static void timer_closed(uv_handle_t *timer)
{
    handle_gone(timer->data);
}

static void client_closed(void *user)
{
    handle_gone(user);
}

void health_close(struct health *health)
{
    if (!health)
        return;
    health->closing = true;
    uv_close((uv_handle_t *)&health->timer, timer_closed);
    http_client_close(health->client, client_closed, health);
}
