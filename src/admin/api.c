/*
 * api.c - from a request on the admin port to a call of the target, and back.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table says which method and path does what. Every answer is JSON but the metrics.
 */
#include "admin/api.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER_BYTES ((size_t)16 << 20)
#define MAX_BODY_BYTES   ((size_t)1 << 20)
#define CLOSE_MS         1000

struct api {
    struct http_server *server;
    struct admin_target target;
    void (*closed)(void *user);
    void *closed_user;
};

/* A request, taken apart. */
struct call {
    struct api *api;
    struct http_exchange *exchange;
    char argument[256]; /* the path's variable part, decoded */
    const char *word;   /* the last segment of the pattern */
    char author[160];
};

static int status_of(enum serin_errc rc)
{
    switch (rc) {
    case SERIN_OK:
        return 200;
    case SERIN_NOT_FOUND:
        return 404;
    case SERIN_INVALID:
    case SERIN_UNSUPPORTED:
    case SERIN_CORRUPT:
        return 400;
    case SERIN_LIMIT:
        return 409;
    case SERIN_NOMEM:
        return 503;
    case SERIN_IO:
    case SERIN_ENGINE:
    case SERIN_MODEL:
        break;
    }
    return 500;
}

static void answer(struct http_exchange *exchange, const char *type, const char *text, size_t size)
{
    struct bytes *body = bytes_new(size);
    struct buffer fields;

    if (!body) {
        http_respond_error(exchange, 503, "no memory for an answer of %zu bytes", size);
        return;
    }
    if (size)
        memcpy(body->data, text, size);
    body->size = size;
    buffer_init(&fields, 512);
    http_write_field(&fields, "Content-Type", "%s", type);
    http_write_field(&fields, "Cache-Control", "no-store");
    http_respond(exchange, 200, &fields, body);
    buffer_done(&fields);
}

/* Ends an exchange with what a target wrote, or its error. */
static void answer_result(struct http_exchange *exchange, enum serin_errc rc, const char *type, struct buffer *out,
                          const struct serin_error *error)
{
    struct serin_error full;

    if (rc == SERIN_OK)
        rc = buffer_check(out, "the answer", &full);
    else
        full = *error;
    if (rc != SERIN_OK)
        http_respond_error(exchange, status_of(rc), "%s", full.message);
    else
        answer(exchange, type, out->bytes ? out->bytes : "", out->size);
}

void api_deploy_done(struct http_exchange *exchange, enum serin_errc rc, const char *text)
{
    if (rc == SERIN_OK)
        answer(exchange, "application/json", text, strlen(text));
    else
        http_respond_error(exchange, status_of(rc), "%s", text);
}

/* ---- what each path does ---- */

typedef enum serin_errc writer(void *user, struct buffer *out, struct serin_error *error);

static void answer_written(struct call *call, writer *write, const char *type)
{
    struct serin_error error = {0};
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    rc = write(call->api->target.user, &out, &error);
    answer_result(call->exchange, rc, type, &out, &error);
    buffer_done(&out);
}

static void do_status(struct call *call)
{
    answer_written(call, call->api->target.status, "application/json");
}

static void do_routes(struct call *call)
{
    answer_written(call, call->api->target.routes, "application/json");
}

static void do_metrics(struct call *call)
{
    answer_written(call, call->api->target.metrics, "text/plain; version=0.0.4; charset=utf-8");
}

static void answer_route(struct call *call, enum serin_errc rc, struct serin_error *error)
{
    struct buffer out;

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = call->api->target.route(call->api->target.user, call->argument, &out, error);
    answer_result(call->exchange, rc, "application/json", &out, error);
    buffer_done(&out);
}

static void do_get_route(struct call *call)
{
    struct serin_error error = {0};

    answer_route(call, SERIN_OK, &error);
}

static void do_put_route(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct serin_error error = {0};
    struct route route;
    enum serin_errc rc = route_from_json((const char *)body->data, body->size, &route, &error);

    if (rc == SERIN_OK && strcmp(route.model, call->argument) != 0)
        rc = error_set(&error, SERIN_INVALID, "the path names model '%s', the route '%s'", call->argument, route.model);
    if (rc == SERIN_OK)
        rc = call->api->target.put_route(call->api->target.user, &route, call->author, &error);
    answer_route(call, rc, &error);
}

static enum serin_errc patch_weights(const json_t *weights, struct route *route, struct serin_error *error)
{
    const char *tag;
    json_t *value;

    if (!json_is_object(weights) || json_object_size(weights) == 0)
        return error_set(error, SERIN_INVALID, "weights are an object: {\"TAG\": WEIGHT, ...}");
    json_object_foreach((json_t *)weights, tag, value)
    {
        int version = route_find(route, tag);

        if (version < 0)
            return error_set(
                error, SERIN_NOT_FOUND,
                "model '%s' has no version '%s' in its route: deploy it first (serin deploy %s:%s --canary)",
                route->model, tag, route->model, tag);
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > ROUTE_MAX_WEIGHT)
            return error_set(error, SERIN_INVALID, "the weight of '%s' must be a whole number from 0 to %u", tag,
                             ROUTE_MAX_WEIGHT);
        route->versions[version].weight = (uint32_t)json_integer_value(value);
    }
    return SERIN_OK;
}

static void do_patch_weights(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct admin_target *target = &call->api->target;
    struct serin_error error = {0};
    json_t *weights = NULL;
    struct buffer present;
    struct route route;
    enum serin_errc rc;

    buffer_init(&present, MAX_ANSWER_BYTES);
    rc = target->route(target->user, call->argument, &present, &error);
    if (rc == SERIN_OK)
        rc = route_from_json(present.bytes, present.size, &route, &error);
    if (rc == SERIN_OK) {
        weights = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL);
        rc = patch_weights(weights, &route, &error);
    }
    if (rc == SERIN_OK)
        rc = target->put_route(target->user, &route, call->author, &error);
    json_decref(weights);
    buffer_done(&present);
    answer_route(call, rc, &error);
}

static void answer_done(struct call *call, enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_OK)
        http_respond_error(call->exchange, status_of(rc), "%s", error->message);
    else
        answer(call->exchange, "application/json", "{}", 2);
}

static void do_remove_route(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.remove_route(call->api->target.user, call->argument, call->author, &error),
                &error);
}

static void do_undeploy(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.undeploy(call->api->target.user, call->argument, call->author, &error), &error);
}

static void do_reload(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.reload(call->api->target.user, &error), &error);
}

static void do_deploy(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct admin_deploy deploy = {.replicas = 1, .author = call->author};
    const char *name = NULL, *url = "";
    struct serin_error error = {0};
    int stable = 1, confirm = 0;
    json_t *root = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL);
    enum serin_errc rc = SERIN_OK;

    if (!root || json_unpack_ex(root, NULL, JSON_STRICT, "{s:s, s?:i, s?:s, s?:b, s?:F, s?:b}", "name", &name,
                                "replicas", &deploy.replicas, "url", &url, "stable", &stable, "min_map",
                                &deploy.min_map, "confirm", &confirm) != 0)
        rc = error_set(&error, SERIN_INVALID,
                       "a deploy is {\"name\": \"MODEL:TAG\", \"replicas\": 1, \"url\": \"\", \"stable\": true}");
    else if (strlen(name) >= sizeof(deploy.name) || strlen(url) >= sizeof(deploy.url))
        rc = error_set(&error, SERIN_INVALID, "name or url are too long: %zu and %zu bytes", strlen(name), strlen(url));
    else if (deploy.replicas < 1 || deploy.replicas > 16)
        rc = error_set(&error, SERIN_INVALID, "%d replicas, 1 to 16 are possible", deploy.replicas);
    else if (!(deploy.min_map >= 0 && deploy.min_map <= 1))
        rc = error_set(&error, SERIN_INVALID, "min_map is %g, it lies within 0 and 1", deploy.min_map);
    if (rc == SERIN_OK) {
        memcpy(deploy.name, name, strlen(name) + 1);
        memcpy(deploy.url, url, strlen(url) + 1);
        deploy.stable = stable;
        deploy.confirm = confirm;
        rc = call->api->target.deploy(call->api->target.user, &deploy, call->exchange, &error);
    }
    json_decref(root);
    if (rc != SERIN_OK)
        http_respond_error(call->exchange, status_of(rc), "%s", error.message);
}

static void do_rollouts(struct call *call)
{
    answer_written(call, call->api->target.rollouts, "application/json");
}

typedef enum serin_errc named_writer(void *user, const char *name, struct buffer *out, struct serin_error *error);

static void answer_named(struct call *call, named_writer *write)
{
    struct serin_error error = {0};
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    rc = write(call->api->target.user, call->argument, &out, &error);
    answer_result(call->exchange, rc, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_rollout(struct call *call)
{
    answer_named(call, call->api->target.rollout);
}

static void do_rollout_history(struct call *call)
{
    answer_named(call, call->api->target.rollout_history);
}

static void do_start_rollout(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct admin_rollout start = {.plan = "", .author = call->author};
    struct serin_error error = {0};
    int supersede = 0;
    json_t *root = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL);
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (!root || json_unpack_ex(root, NULL, JSON_STRICT, "{s:s, s?:s, s?:b}", "name", &start.name, "plan", &start.plan,
                                "supersede", &supersede) != 0) {
        rc = error_set(&error, SERIN_INVALID, "a rollout is {\"name\": \"MODEL:TAG\", \"plan\": \"YAML\"}");
    } else {
        start.supersede = supersede;
        rc = call->api->target.start_rollout(call->api->target.user, &start, &out, &error);
    }
    answer_result(call->exchange, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_act_on_rollout(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct serin_error error = {0};
    const char *why = "";
    json_t *root = body->size ? json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (body->size && (!root || json_unpack_ex(root, NULL, JSON_STRICT, "{s?:s}", "why", &why) != 0))
        rc = error_set(&error, SERIN_INVALID, "the body may be {\"why\": \"a sentence\"}");
    else
        rc = call->api->target.act_on_rollout(call->api->target.user, call->argument, call->word, call->author, why,
                                              &out, &error);
    answer_result(call->exchange, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_changes(struct call *call)
{
    const struct http_head *head = http_exchange_head(call->exchange);
    struct serin_error error = {0};
    struct buffer out;
    char text[16];
    long limit = 100;
    enum serin_errc rc;

    if (http_query_get(head->query, "limit", text, sizeof(text)))
        limit = strtol(text, NULL, 10);
    buffer_init(&out, MAX_ANSWER_BYTES);
    if (limit < 1 || limit > 10000)
        rc = error_set(&error, SERIN_INVALID, "limit is 1 to 10000");
    else
        rc = call->api->target.changes(call->api->target.user, (int)limit, &out, &error);
    answer_result(call->exchange, rc, "application/json", &out, &error);
    buffer_done(&out);
}

/* ---- the table ---- */

/* "*" in a path is its variable part, one segment. */
static const struct {
    const char *method, *path;
    void (*run)(struct call *call);
} actions[] = {
    {"GET", "/api/v1/status", do_status},
    {"GET", "/api/v1/routes", do_routes},
    {"GET", "/api/v1/routes/*", do_get_route},
    {"PUT", "/api/v1/routes/*", do_put_route},
    {"DELETE", "/api/v1/routes/*", do_remove_route},
    {"PATCH", "/api/v1/routes/*/weights", do_patch_weights},
    {"POST", "/api/v1/deploy", do_deploy},
    {"DELETE", "/api/v1/serving/*", do_undeploy},
    {"GET", "/api/v1/changes", do_changes},
    {"POST", "/api/v1/reload", do_reload},
    {"GET", "/api/v1/rollouts", do_rollouts},
    {"POST", "/api/v1/rollouts", do_start_rollout},
    {"GET", "/api/v1/rollouts/*", do_rollout},
    {"GET", "/api/v1/rollouts/*/history", do_rollout_history},
    {"POST", "/api/v1/rollouts/*/pause", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/resume", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/promote", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/promote-full", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/abort", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/retry", do_act_on_rollout},
    {"POST", "/api/v1/rollouts/*/undo", do_act_on_rollout},
    {"GET", "/metrics", do_metrics},
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

    if (!given || !http_slice_copy(*given, name, sizeof(name)) || !name[0])
        snprintf(name, sizeof(name), "api");
    for (i = 0; name[i]; i++)
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
    snprintf(call->author, sizeof(call->author), "%s from %s", name, http_exchange_peer(call->exchange));
}

/* A page that somebody has open in a browser may send requests here without being asked (they need no preflight): what
 * changes something is not taken from other origins, and nothing under a name that only an attacker's DNS gives this
 * address. */
static bool is_from_elsewhere(const struct http_head *head)
{
    const struct http_slice *origin = http_find(head, "Origin"), *site = http_find(head, "Sec-Fetch-Site");
    struct http_slice name = head->host;
    size_t i;

    if (origin || (site && !http_slice_is(*site, "same-origin") && !http_slice_is(*site, "none")))
        return true;
    for (i = 0; i < name.size && name.bytes[i] != ':' && name.bytes[0] != '['; i++)
        continue;
    if (name.size == 0 || name.bytes[0] == '[') /* an IPv6 address */
        return false;
    name.size = i; /* without the port */
    if (http_slice_is_name(name, "localhost"))
        return false;
    for (i = 0; i < name.size; i++)
        if (!strchr("0123456789.", name.bytes[i])) /* a name, which anybody's DNS may give this address */
            return true;
    return false;
}

/* RFC 9110, 15.5.6: with the methods that the path does take. */
static void refuse_method(struct http_exchange *exchange, const char *allowed)
{
    struct buffer fields;

    buffer_init(&fields, 1024);
    http_write_text(&fields, "Content-Type", "application/json");
    http_write_text(&fields, "Allow", allowed);
    http_respond(exchange, 405, &fields, http_error_body("that path does not take this method"));
    buffer_done(&fields);
}

static void handle(void *user, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct call call = {.api = user, .exchange = exchange};
    char allowed[64] = "";
    size_t used = 0, i;

    if (is_from_elsewhere(head) && !http_slice_is(head->method, "GET") && !http_slice_is(head->method, "HEAD")) {
        http_respond_error(exchange, 403,
                           "changes are not taken from web pages of other origins, or under another host's name");
        return;
    }
    name_author(&call);
    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (!path_fits(actions[i].path, head->path, call.argument, sizeof(call.argument)))
            continue;
        used +=
            (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used > 0 ? ", " : "", actions[i].method);
        if (http_slice_is(head->method, actions[i].method) ||
            (strcmp(actions[i].method, "GET") == 0 && http_slice_is(head->method, "HEAD"))) {
            call.word = strrchr(actions[i].path, '/') + 1;
            actions[i].run(&call);
            return;
        }
    }
    if (used > 0)
        refuse_method(exchange, allowed);
    else
        http_respond_error(exchange, 404, "no such path; GET /api/v1/status shows what is there");
}

enum serin_errc api_new(uv_loop_t *loop, const char *address, int socket, const struct admin_target *target,
                        struct api **ret, struct serin_error *error)
{
    struct http_server_options options;
    struct api *api = calloc(1, sizeof(*api));
    enum serin_errc rc;

    if (!api)
        return error_set(error, SERIN_NOMEM, "no memory for the admin API");
    api->target = *target;
    http_server_options_init(&options);
    options.limits.max_body_bytes = MAX_BODY_BYTES;
    options.max_connections = 256;
    options.stall_timeout_ms = 300000; /* a deploy answers when the model is ready */
    rc = http_server_new(loop, &options, handle, api, &api->server, error);
    if (rc == SERIN_OK && socket >= 0)
        rc = http_server_adopt(api->server, socket, error);
    else if (rc == SERIN_OK)
        rc = http_server_listen(api->server, address, false, error);
    if (rc != SERIN_OK) {
        if (api->server)
            http_server_close(api->server, 0, NULL, NULL);
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
    if (handed_over)
        http_server_hand_over(api->server, CLOSE_MS, server_closed, api);
    else
        http_server_close(api->server, CLOSE_MS, server_closed, api);
}
