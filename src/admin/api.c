/*
 * api.c - the admin port: the table of calls, and the way from a request to its row.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table alone says which method and path does what, and who may. The handlers are in call_*.c, by subject.
 */
#include "admin/api.h"

#include "admin/assets.h"
#include "admin/call.h"
#include "admin/events.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY_BYTES     ((size_t)1 << 20)
#define MAX_PICTURE_BYTES  ((size_t)32 << 20) /* to be tried */
#define MAX_BUFFERED_BYTES ((uint64_t)128 << 20)
#define CLOSE_MS           1000

struct api {
    struct http_server *server;
    struct admin_target target;
    struct access *access;
    struct events *events;
    void (*closed)(void *user);
    void *closed_user;
};

/* "*" in a path is its variable part, one segment. least: the role that it takes; viewers read, operators move routes
 * and rollouts and deploy, admins say who may. ROLE_NOBODY: anybody who gets here. */
static const struct action {
    const char *method, *path;
    enum token_role least;
    void (*run)(struct call *call);
} actions[] = {
    {"GET", "/api/v1/status", ROLE_VIEWER, do_status},
    {"GET", "/api/v1/routes", ROLE_VIEWER, do_routes},
    {"GET", "/api/v1/routes/*", ROLE_VIEWER, do_get_route},
    {"PUT", "/api/v1/routes/*", ROLE_OPERATOR, do_put_route},
    {"DELETE", "/api/v1/routes/*", ROLE_OPERATOR, do_remove_route},
    {"PATCH", "/api/v1/routes/*/weights", ROLE_OPERATOR, do_patch_weights},
    {"POST", "/api/v1/deploy", ROLE_OPERATOR, do_deploy},
    {"DELETE", "/api/v1/serving/*", ROLE_OPERATOR, do_undeploy},
    {"GET", "/api/v1/changes", ROLE_VIEWER, do_changes},
    {"GET", "/api/v1/freezes", ROLE_VIEWER, do_freezes},
    {"PUT", "/api/v1/freezes/*", ROLE_OPERATOR, do_set_freeze},
    {"DELETE", "/api/v1/freezes/*", ROLE_OPERATOR, do_end_freeze},
    {"POST", "/api/v1/reload", ROLE_ADMIN, do_reload},
    {"GET", "/api/v1/rollouts", ROLE_VIEWER, do_rollouts},
    {"POST", "/api/v1/rollouts", ROLE_OPERATOR, do_start_rollout},
    {"GET", "/api/v1/rollouts/*", ROLE_VIEWER, do_rollout},
    {"GET", "/api/v1/rollouts/*/history", ROLE_VIEWER, do_rollout_history},
    {"POST", "/api/v1/rollouts/*/pause", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/resume", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/promote", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/promote-full", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/abort", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/retry", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/undo", ROLE_OPERATOR, do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/repair", ROLE_ADMIN, do_act_on_rollout},
    {"GET", "/api/v1/rollouts/*/frames", ROLE_OPERATOR, do_frames},
    {"DELETE", "/api/v1/rollouts/*/frames", ROLE_OPERATOR, do_remove_frames},
    {"GET", "/api/v1/frames/*", ROLE_OPERATOR, do_frame},
    {"DELETE", "/api/v1/frames/*", ROLE_OPERATOR, do_remove_frame},
    {"GET", "/api/v1/frames/*/picture", ROLE_OPERATOR, do_frame_picture},
    {"POST", "/api/v1/frames/*/judge", ROLE_OPERATOR, do_judge_frame},
    {"GET", "/api/v1/versions", ROLE_VIEWER, do_versions},
    {"GET", "/api/v1/versions/*", ROLE_VIEWER, do_versions},
    {"POST", "/api/v1/try/*", ROLE_OPERATOR, do_try},
    {"GET", "/api/v1/events", ROLE_VIEWER, do_events},
    {"GET", "/metrics", ROLE_VIEWER, do_metrics},
    {"POST", "/api/v1/login", ROLE_NOBODY, do_login},
    {"POST", "/api/v1/logout", ROLE_NOBODY, do_logout},
    {"GET", "/api/v1/session", ROLE_NOBODY, do_session},
    {"GET", "/api/v1/tokens", ROLE_ADMIN, do_tokens},
    {"POST", "/api/v1/tokens", ROLE_ADMIN, do_create_token},
    {"DELETE", "/api/v1/tokens/*", ROLE_ADMIN, do_revoke_token},
};

static bool path_fits(const char *pattern, struct http_slice path, char *argument, size_t size)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0, after = star ? strlen(star + 1) : 0;
    struct http_slice middle;

    if (!star)
        return http_slice_is(path, pattern);
    if (path.size <= before + after || memcmp(path.bytes, pattern, before) != 0 ||
        memcmp(path.bytes + path.size - after, star + 1, after) != 0)
        return false;
    middle = (struct http_slice){path.bytes + before, path.size - before - after};
    return !memchr(middle.bytes, '/', middle.size) && http_decode_segment(middle, argument, size);
}

static void name_author(struct call *call)
{
    const struct http_slice *given = http_find(http_exchange_head(call->exchange), "X-Serin-Author");
    char name[64];
    size_t i;

    if (call->caller.name[0]) { /* what a token says is known; else it is only said */
        snprintf(call->author, sizeof(call->author), "%s from %s", call->caller.name,
                 http_exchange_peer(call->exchange));
        return;
    }
    if (!given || !http_slice_copy(*given, name, sizeof(name)) || !name[0])
        snprintf(name, sizeof(name), "api");
    for (i = 0; name[i]; i++)
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
    snprintf(call->author, sizeof(call->author), "%s from %s", name, http_exchange_peer(call->exchange));
}

static bool is_reading(struct http_slice method)
{
    return http_slice_is(method, "GET") || http_slice_is(method, "HEAD") || http_slice_is(method, "OPTIONS");
}

/* The row for a request; else NULL, and the methods that the path does take in allowed, "" where nobody knows it. */
static const struct action *find_action(struct call *call, char *allowed, size_t size)
{
    const struct http_head *head = http_exchange_head(call->exchange);
    size_t used = 0, i;

    allowed[0] = '\0';
    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (!path_fits(actions[i].path, head->path, call->argument, sizeof(call->argument)))
            continue;
        if (http_slice_is(head->method, actions[i].method) ||
            (strcmp(actions[i].method, "GET") == 0 && http_slice_is(head->method, "HEAD")))
            return &actions[i];
        if (used < size)
            used += (size_t)snprintf(allowed + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     strcmp(actions[i].method, "GET") == 0 ? "GET, HEAD" : actions[i].method);
    }
    return NULL;
}

/* RFC 9110, 15.5.6 and 9.3.7: with the methods that the path does take. A browser's preflight is answered, too, and
 * told of no origin that may send anything. */
static void answer_methods(struct call *call, const char *allowed)
{
    http_write_field(&call->fields, "Allow", "%s, OPTIONS", allowed);
    error_set(&call->error, SERIN_INVALID, "this path takes %s", allowed);
    if (http_slice_is(http_exchange_head(call->exchange)->method, "OPTIONS"))
        http_respond(call->exchange, 204, &call->fields, NULL);
    else
        call_refuse(call, 405);
}

static void refuse_path(struct http_exchange *exchange)
{
    const char *known[sizeof(actions) / sizeof(actions[0])], *nearest = NULL;
    size_t count = sizeof(actions) / sizeof(actions[0]), i;
    char path[TEXT_MAX_WORD + 1];

    for (i = 0; i < count; i++)
        known[i] = actions[i].path;
    if (http_slice_copy(http_exchange_head(exchange)->path, path, sizeof(path)))
        nearest = text_nearest(path, known, count);
    http_respond_error(exchange, 404, "no such path%s%s%s; GET /openapi.yaml lists all",
                       nearest ? ": did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* A body that says to be something else than JSON. What curl -d and others say of every body is no such word. */
static bool is_other_type(const struct action *action, struct http_exchange *exchange)
{
    const struct http_slice *field = http_find(http_exchange_head(exchange), "Content-Type");
    struct http_slice type;
    const char *end;

    if (action->run == do_try || !field || http_exchange_body(exchange)->size == 0)
        return false;
    end = memchr(field->bytes, ';', field->size);
    type = (struct http_slice){field->bytes, end ? (size_t)(end - field->bytes) : field->size};
    while (type.size > 0 && type.bytes[type.size - 1] == ' ')
        type.size--;
    return !http_slice_is_name(type, "application/json") &&
           !http_slice_is_name(type, "application/x-www-form-urlencoded");
}

/* Before the body is read, and so before anybody's token is looked at. */
static size_t body_limit(void *user, const struct http_head *head)
{
    static const char tries[] = "/api/v1/try/";

    (void)user;
    return head->path.size > strlen(tries) && memcmp(head->path.bytes, tries, strlen(tries)) == 0 ? MAX_PICTURE_BYTES
                                                                                                  : MAX_BODY_BYTES;
}

static void handle(void *user, struct http_exchange *exchange)
{
    const bool reads = is_reading(http_exchange_head(exchange)->method);
    const struct action *action;
    struct api *api = user;
    struct call call;
    char allowed[96];
    int status;

    if (assets_answer(exchange)) /* they hold nothing that not everybody may know, and one of them is the log-in */
        return;
    call_init(&call, &api->target, api->access, api->events, exchange);
    action = find_action(&call, allowed, sizeof(allowed));
    /* What is there and what is not is told only to who may read. */
    status =
        access_admit(api->access, exchange, action ? action->least : ROLE_VIEWER, !reads, &call.caller, &call.error);
    if (status != 0) {
        call_refuse(&call, status);
    } else if (action && is_other_type(action, exchange)) {
        http_respond_error(exchange, 415, "the body must be application/json");
    } else if (action) {
        name_author(&call);
        call.word = strrchr(action->path, '/') + 1;
        if (!reads)
            events_soon(api->events);
        action->run(&call);
    } else if (allowed[0]) {
        answer_methods(&call, allowed);
    } else {
        refuse_path(exchange);
    }
    call_done(&call);
}

enum serin_errc api_new(uv_loop_t *loop, const char *address, int socket, const struct admin_target *target,
                        struct access *access, struct tls *tls, struct api **ret, struct serin_error *error)
{
    struct http_server_options options;
    struct api *api = calloc(1, sizeof(*api));
    enum serin_errc rc;

    if (!api)
        return error_set(error, SERIN_NOMEM, "no memory for the admin API");
    api->target = *target;
    api->access = access;
    http_server_options_init(&options);
    options.body_limit = body_limit;
    options.max_buffered_bytes = MAX_BUFFERED_BYTES;
    options.max_connections = 256;
    options.tls = tls;
    rc = events_new(loop, &api->target, access, &api->events, error);
    if (rc == SERIN_OK)
        rc = http_server_new(loop, &options, handle, api, &api->server, error);
    if (rc == SERIN_OK && socket >= 0)
        rc = http_server_adopt(api->server, socket, error);
    else if (rc == SERIN_OK)
        rc = http_server_listen(api->server, address, false, error);
    if (rc != SERIN_OK) {
        if (api->server)
            http_server_close(api->server, 0, NULL, NULL);
        events_close(api->events);
        free(api);
        return rc;
    }
    *ret = api;
    return SERIN_OK;
}

int api_port(const struct api *api)
{
    return http_server_port(api->server);
}

static void server_closed(void *user)
{
    struct api *api = user;
    void (*closed)(void *closed_user) = api->closed;
    void *closed_user = api->closed_user;

    free(api);
    if (closed)
        closed(closed_user);
}

int api_socket(const struct api *api)
{
    int fds[HTTP_SERVER_MAX_SOCKETS];

    return http_server_sockets(api->server, fds) > 0 ? fds[0] : -1;
}

void api_close(struct api *api, bool handed_over, void (*done)(void *user), void *user)
{
    api->closed = done;
    api->closed_user = user;
    events_close(api->events);
    if (handed_over)
        http_server_hand_over(api->server, CLOSE_MS, server_closed, api);
    else
        http_server_close(api->server, CLOSE_MS, server_closed, api);
}
