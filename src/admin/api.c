/*
 * api.c - from a request on the admin port to a call of the target, and back.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table says which method and path does what. Every answer is JSON but the metrics.
 */
#include "admin/api.h"

#include "admin/assets.h"
#include "admin/events.h"
#include "base/json.h"
#include "base/text.h"

#include <jansson.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER_BYTES   ((size_t)16 << 20)
#define MAX_BODY_BYTES     ((size_t)1 << 20)
#define MAX_PICTURE_BYTES  ((size_t)32 << 20) /* to be tried */
#define MAX_BUFFERED_BYTES ((uint64_t)128 << 20)
#define CLOSE_MS           1000
#define RETRY_AFTER_S      1

struct api {
    struct http_server *server;
    struct admin_target target;
    struct access *access;
    struct events *events;
    void (*closed)(void *user);
    void *closed_user;
};

/* A request, taken apart. */
struct call {
    struct api *api;
    struct http_exchange *exchange;
    char argument[256]; /* the path's variable part, decoded */
    const char *word;   /* the last segment of the pattern */
    struct caller caller;
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

/* fields are appended to. */
static void answer_with(struct http_exchange *exchange, struct buffer *fields, const char *type, const char *text,
                        size_t size)
{
    struct bytes *body = bytes_new(size);

    if (!body) {
        http_respond_error(exchange, 503, "no memory for an answer of %zu bytes", size);
        return;
    }
    if (size)
        memcpy(body->data, text, size);
    body->size = size;
    http_write_field(fields, "Content-Type", "%s", type);
    http_write_field(fields, "Cache-Control", "no-store");
    http_respond(exchange, 200, fields, body);
}

static void answer(struct http_exchange *exchange, const char *type, const char *text, size_t size)
{
    struct buffer fields;

    buffer_init(&fields, 512);
    answer_with(exchange, &fields, type, text, size);
    buffer_done(&fields);
}

/* fields are appended to. */
static void refuse_with(struct http_exchange *exchange, int status, struct buffer *fields, const char *sentence)
{
    if (status == 401) /* RFC 9110, 11.6.1 */
        http_write_field(fields, "WWW-Authenticate", "Bearer realm=\"serin\"");
    http_write_field(fields, "Content-Type", "application/json");
    http_respond(exchange, status, fields, http_error_body(sentence));
}

static void answer_refusal(struct call *call, enum serin_errc rc, const char *sentence)
{
    const struct admin_target *target = &call->api->target;
    struct buffer fields;

    buffer_init(&fields, 512);
    if (rc == SERIN_NOMEM || (rc == SERIN_LIMIT && target->is_passing(target->user)))
        http_write_field(&fields, "Retry-After", "%d", RETRY_AFTER_S);
    refuse_with(call->exchange, status_of(rc), &fields, sentence);
    buffer_done(&fields);
}

/* Ends an exchange with what a target wrote, or its error. */
static void answer_result(struct call *call, enum serin_errc rc, const char *type, struct buffer *out,
                          const struct serin_error *error)
{
    struct serin_error full;

    if (rc == SERIN_OK)
        rc = buffer_check(out, "the answer", &full);
    else
        full = *error;
    if (rc != SERIN_OK)
        answer_refusal(call, rc, full.message);
    else
        answer(call->exchange, type, out->bytes ? out->bytes : "", out->size);
}

void api_answered(struct http_exchange *exchange, enum serin_errc rc, const char *text)
{
    if (rc == SERIN_OK)
        answer(exchange, "application/json", text, strlen(text));
    else
        http_respond_error(exchange, status_of(rc), "%s", text);
}

/* ---- what each path does ---- */

/* json_decref(*ret). */
static enum serin_errc read_json(const struct bytes *body, json_t **ret, struct serin_error *error)
{
    json_error_t fault;

    if (body->size == 0)
        return error_set(error, SERIN_INVALID, "the body is empty, and this takes JSON");
    *ret = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, &fault);
    return *ret ? SERIN_OK
                : error_set(error, SERIN_INVALID, "the body is not JSON: %s, line %d, column %d", fault.text,
                            fault.line, fault.column);
}

/* An object, unpacked strictly as json_unpack_ex does: a member that is missing, unknown or of another type is an error
 * that says which, and what form was expected. *ret_root keeps what is unpacked: json_decref it, also after an error.
 */
static enum serin_errc read_object(const struct bytes *body, json_t **ret_root, struct serin_error *error,
                                   const char *form, const char *format, ...)
{
    enum serin_errc rc = read_json(body, ret_root, error);
    json_error_t fault;
    va_list args;

    if (rc != SERIN_OK)
        return rc;
    va_start(args, format);
    if (json_vunpack_ex(*ret_root, &fault, JSON_STRICT, format, args) != 0)
        rc = error_set(error, SERIN_INVALID, "%s: %s", form, fault.text);
    va_end(args);
    return rc;
}

typedef enum serin_errc writer(void *user, struct buffer *out, struct serin_error *error);

static void answer_written(struct call *call, writer *write, const char *type)
{
    struct serin_error error = {0};
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    rc = write(call->api->target.user, &out, &error);
    answer_result(call, rc, type, &out, &error);
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

static enum serin_errc read_route(struct call *call, struct buffer *json, struct route *ret, struct serin_error *error)
{
    enum serin_errc rc = call->api->target.route(call->api->target.user, call->argument, json, error);

    if (rc == SERIN_OK)
        rc = buffer_check(json, "a route", error);
    return rc == SERIN_OK ? route_from_json(json->bytes, json->size, ret, error) : rc;
}

static void answer_route(struct call *call, enum serin_errc rc, struct serin_error *error)
{
    struct buffer fields, out;
    struct route route;

    buffer_init(&fields, 512);
    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = read_route(call, &out, &route, error);
    if (rc == SERIN_OK) {
        http_write_field(&fields, "ETag", "\"%llu\"", (unsigned long long)route.revision);
        answer_with(call->exchange, &fields, "application/json", out.bytes, out.size);
    } else {
        answer_refusal(call, rc, error->message);
    }
    buffer_done(&out);
    buffer_done(&fields);
}

/* "*", or revisions in quotes with commas between them. */
static bool is_etag_list(struct http_slice text)
{
    size_t i = 0;

    if (http_slice_is(text, "*"))
        return true;
    for (;;) {
        size_t start = i + 1;

        if (i >= text.size || text.bytes[i++] != '"')
            return false;
        while (i < text.size && text.bytes[i] >= '0' && text.bytes[i] <= '9')
            i++;
        if (i == start || i >= text.size || text.bytes[i++] != '"')
            return false;
        if (i == text.size)
            return true;
        if (text.bytes[i++] != ',')
            return false;
        while (i < text.size && text.bytes[i] == ' ')
            i++;
    }
}

/* Whether the route is the one that a change is based on, by If-Match (RFC 9110, 13.1.1) with the ETag of an answer;
 * else it is answered with 412. */
static bool is_route_as_known(struct call *call)
{
    const struct http_slice *wanted = http_find(http_exchange_head(call->exchange), "If-Match");
    struct serin_error error = {0};
    struct buffer present, fields;
    struct route route = {0};
    int status = 412;
    char tag[32];

    if (!wanted)
        return true;
    buffer_init(&present, MAX_ANSWER_BYTES);
    if (!is_etag_list(*wanted)) {
        status = 400;
        error_set(&error, SERIN_INVALID, "If-Match is *, or an ETag of this route such as \"7\"");
    } else if (read_route(call, &present, &route, &error) == SERIN_OK) {
        snprintf(tag, sizeof(tag), "\"%llu\"", (unsigned long long)route.revision);
        if (http_slice_is(*wanted, "*") || memmem(wanted->bytes, wanted->size, tag, strlen(tag)))
            status = 0;
        else
            error_set(&error, SERIN_LIMIT,
                      "the route of '%s' is at revision %s, and this is based on %.*s: read it again", call->argument,
                      tag, (int)(wanted->size < 40 ? wanted->size : 40), wanted->bytes);
    }
    buffer_done(&present);
    if (status) {
        buffer_init(&fields, 512);
        refuse_with(call->exchange, status, &fields, error.message);
        buffer_done(&fields);
    }
    return status == 0;
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
    enum serin_errc rc;

    if (!is_route_as_known(call))
        return;
    rc = route_from_json((const char *)body->data, body->size, &route, &error);
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

    if (!is_route_as_known(call))
        return;
    buffer_init(&present, MAX_ANSWER_BYTES);
    rc = read_route(call, &present, &route, &error);
    if (rc == SERIN_OK)
        rc = read_json(body, &weights, &error);
    if (rc == SERIN_OK)
        rc = patch_weights(weights, &route, &error);
    if (rc == SERIN_OK)
        rc = target->put_route(target->user, &route, call->author, &error);
    json_decref(weights);
    buffer_done(&present);
    answer_route(call, rc, &error);
}

static void answer_done(struct call *call, enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_OK)
        answer_refusal(call, rc, error->message);
    else
        answer(call->exchange, "application/json", "{}", 2);
}

static void do_remove_route(struct call *call)
{
    struct serin_error error = {0};

    if (!is_route_as_known(call))
        return;
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
    struct admin_deploy deploy = {.replicas = 0, .author = call->author};
    const char *name = NULL, *url = "";
    struct serin_error error = {0};
    int stable = 1, confirm = 0;
    json_int_t replicas = 0;
    json_t *root = NULL;
    enum serin_errc rc = read_object(
        body, &root, &error, "a deploy is {\"name\": \"MODEL:TAG\", \"replicas\": N, \"url\": \"\", \"stable\": true}",
        "{s:s, s?:I, s?:s, s?:b, s?:F, s?:b}", "name", &name, "replicas", &replicas, "url", &url, "stable", &stable,
        "min_map", &deploy.min_map, "confirm", &confirm);

    if (rc == SERIN_OK && (strlen(name) >= sizeof(deploy.name) || strlen(url) >= sizeof(deploy.url)))
        rc = error_set(&error, SERIN_INVALID, "name or url are too long: %zu and %zu bytes", strlen(name), strlen(url));
    else if (rc == SERIN_OK && json_object_get(root, "replicas") && (replicas < 1 || replicas > 16))
        rc = error_set(&error, SERIN_INVALID, "%lld replicas, 1 to 16 are possible", (long long)replicas);
    else if (rc == SERIN_OK && !(deploy.min_map >= 0 && deploy.min_map <= 1))
        rc = error_set(&error, SERIN_INVALID, "min_map is %g, it lies within 0 and 1", deploy.min_map);
    if (rc == SERIN_OK) {
        memcpy(deploy.name, name, strlen(name) + 1);
        memcpy(deploy.url, url, strlen(url) + 1);
        deploy.replicas = (int)replicas;
        deploy.stable = stable;
        deploy.confirm = confirm;
        rc = call->api->target.deploy(call->api->target.user, &deploy, call->exchange, &error);
    }
    json_decref(root);
    if (rc != SERIN_OK)
        answer_refusal(call, rc, error.message);
}

static void do_freezes(struct call *call)
{
    answer_written(call, call->api->target.freezes, "application/json");
}

static void do_set_freeze(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    json_t *root = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, NULL);
    const char *calendar = NULL;
    struct serin_error error = {0};
    enum serin_errc rc;

    if (!root || json_unpack_ex(root, NULL, JSON_STRICT, "{s:s}", "calendar", &calendar) != 0)
        rc = error_set(&error, SERIN_INVALID, "a freeze is {\"calendar\": \"YAML\"}");
    else
        rc = call->api->target.set_freeze(call->api->target.user, call->argument, calendar, call->author, &error);
    answer_done(call, rc, &error);
    json_decref(root);
}

static void do_end_freeze(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.end_freeze(call->api->target.user, call->argument, call->author, &error),
                &error);
}

static void do_rollouts(struct call *call)
{
    answer_written(call, call->api->target.rollouts, "application/json");
}

/* A whole number of the query; *ret stays where there is none. */
static enum serin_errc read_whole(const struct call *call, const char *name, int64_t least, int64_t most, int64_t *ret,
                                  struct serin_error *error)
{
    char text[24], *end = text;
    long long value = -1;

    if (!http_query_get(http_exchange_head(call->exchange)->query, name, text, sizeof(text)))
        return SERIN_OK;
    errno = 0;
    if (text[0] >= '0' && text[0] <= '9')
        value = strtoll(text, &end, 10);
    if (value < least || value > most || *end || errno)
        return error_set(error, SERIN_INVALID, "%s is a whole number from %lld to %lld", name, (long long)least,
                         (long long)most);
    *ret = value;
    return SERIN_OK;
}

typedef enum serin_errc named_writer(void *user, const char *name, struct buffer *out, struct serin_error *error);

static void answer_named(struct call *call, named_writer *write)
{
    struct serin_error error = {0};
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    rc = write(call->api->target.user, call->argument, &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_rollout(struct call *call)
{
    answer_named(call, call->api->target.rollout);
}

static void do_rollout_history(struct call *call)
{
    struct serin_error error = {0};
    int64_t before = 0, limit = 100;
    struct buffer out;
    enum serin_errc rc = read_whole(call, "before", 1, INT64_MAX, &before, &error);

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = read_whole(call, "limit", 1, 1000, &limit, &error);
    if (rc == SERIN_OK)
        rc =
            call->api->target.rollout_history(call->api->target.user, call->argument, before, (int)limit, &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_start_rollout(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct admin_rollout start = {.plan = "", .author = call->author, .why = ""};
    struct serin_error error = {0};
    int supersede = 0;
    json_t *root = NULL;
    struct buffer out;
    enum serin_errc rc = read_object(
        body, &root, &error, "a rollout is {\"name\": \"MODEL:TAG\", \"plan\": \"YAML\", \"why\": \"a sentence\"}",
        "{s:s, s?:s, s?:b, s?:s}", "name", &start.name, "plan", &start.plan, "supersede", &supersede, "why",
        &start.why);

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK) {
        start.supersede = supersede;
        rc = call->api->target.start_rollout(call->api->target.user, &start, &out, &error);
    }
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_act_on_rollout(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct serin_error error = {0};
    const char *why = "";
    json_t *root = NULL;
    struct buffer out;
    enum serin_errc rc = SERIN_OK;

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (body->size > 0)
        rc = read_object(body, &root, &error, "the body may be {\"why\": \"a sentence\"}", "{s?:s}", "why", &why);
    if (rc == SERIN_OK)
        rc = call->api->target.act_on_rollout(call->api->target.user, call->argument, call->word, call->author, why,
                                              &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_frames(struct call *call)
{
    int64_t from = 0, limit = 24, open = 0;
    struct admin_page page;
    struct serin_error error = {0};
    struct buffer out;
    enum serin_errc rc = read_whole(call, "from", 0, 100000, &from, &error);

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = read_whole(call, "limit", 1, 200, &limit, &error);
    if (rc == SERIN_OK)
        rc = read_whole(call, "open", 0, 1, &open, &error);
    page = (struct admin_page){(int)from, (int)limit, open == 1};
    if (rc == SERIN_OK)
        rc = call->api->target.frames(call->api->target.user, call->argument, &page, &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_frame(struct call *call)
{
    answer_named(call, call->api->target.frame);
}

/* A stranger's bytes: whoever opens them by themselves runs nothing of theirs. */
static void do_frame_picture(struct call *call)
{
    struct serin_error error = {0};
    struct buffer out, fields;
    const char *type = NULL;
    enum serin_errc rc;

    buffer_init(&out, MAX_ANSWER_BYTES);
    buffer_init(&fields, 1024);
    http_write_field(&fields, "X-Content-Type-Options", "nosniff");
    http_write_field(&fields, "Content-Security-Policy", "default-src 'none'; sandbox");
    rc = call->api->target.frame_picture(call->api->target.user, call->argument, &out, &type, &error);
    if (rc == SERIN_OK)
        rc = buffer_check(&out, "the picture", &error);
    if (rc == SERIN_OK)
        answer_with(call->exchange, &fields, type, out.bytes, out.size);
    else
        answer_refusal(call, rc, error.message);
    buffer_done(&fields);
    buffer_done(&out);
}

static void do_judge_frame(struct call *call)
{
    struct serin_error error = {0};
    const char *right = "";
    json_t *root = NULL;
    struct buffer out;
    enum serin_errc rc =
        read_object(http_exchange_body(call->exchange), &root, &error,
                    "an answer is {\"right\": \"stable\"}: or canary, both, neither", "{s:s}", "right", &right);

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = call->api->target.judge_frame(call->api->target.user, call->argument, right, call->author, &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_remove_frames(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.remove_frames(call->api->target.user, call->argument, call->author, &error),
                &error);
}

static void do_remove_frame(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, call->api->target.remove_frame(call->api->target.user, call->argument, call->author, &error),
                &error);
}

static void do_changes(struct call *call)
{
    struct serin_error error = {0};
    struct buffer out;
    int64_t limit = 100;
    enum serin_errc rc = read_whole(call, "limit", 1, 10000, &limit, &error);

    buffer_init(&out, MAX_ANSWER_BYTES);
    if (rc == SERIN_OK)
        rc = call->api->target.changes(call->api->target.user, (int)limit, &out, &error);
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_versions(struct call *call)
{
    const struct http_head *head = http_exchange_head(call->exchange);
    struct serin_error error = {0};
    char against[256];
    enum serin_errc rc;

    if (!http_query_get(head->query, "against", against, sizeof(against)))
        against[0] = '\0';
    else if (!against[0]) {
        http_respond_error(call->exchange, 400, "against is the name of a version, and not empty");
        return;
    }
    rc = call->api->target.versions(call->api->target.user, call->argument, against, call->exchange, &error);
    if (rc != SERIN_OK)
        answer_refusal(call, rc, error.message);
}

static void do_try(struct call *call)
{
    struct serin_error error = {0};
    enum serin_errc rc = call->api->target.try_picture(call->api->target.user, call->argument, call->exchange, &error);

    if (rc != SERIN_OK)
        answer_refusal(call, rc, error.message);
}

static void do_events(struct call *call)
{
    events_begin(call->api->events, call->exchange);
}

/* ---- access ---- */

static void write_caller(struct call *call, const struct caller *caller, struct buffer *out)
{
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "required");
    json_write_boolean(&json, access_is_required(call->api->access));
    json_key(&json, "name");
    json_write_string(&json, caller->name);
    json_key(&json, "role");
    json_write_string(&json, token_role_text(caller->role));
    json_end_object(&json);
}

static void do_session(struct call *call)
{
    struct serin_error error = {0};
    struct buffer out;

    buffer_init(&out, 1024);
    write_caller(call, &call->caller, &out);
    answer_result(call, SERIN_OK, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_login(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct serin_error error = {0};
    const char *secret = NULL;
    json_t *root = NULL;
    struct buffer fields, out;
    struct caller caller;
    int status = 400;

    buffer_init(&fields, 1024);
    buffer_init(&out, 1024);
    if (read_object(body, &root, &error, "a log-in is {\"token\": \"serin_...\"}", "{s:s}", "token", &secret) ==
        SERIN_OK)
        status = access_log_in(call->api->access, call->exchange, secret, &fields, &caller, &error);
    if (status == 0) {
        write_caller(call, &caller, &out);
        answer_with(call->exchange, &fields, "application/json", out.bytes, out.size);
    } else {
        refuse_with(call->exchange, status, &fields, error.message);
    }
    json_decref(root);
    buffer_done(&out);
    buffer_done(&fields);
}

static void do_logout(struct call *call)
{
    struct buffer fields;

    buffer_init(&fields, 1024);
    access_log_out(call->api->access, call->exchange, &fields);
    answer_with(call->exchange, &fields, "application/json", "{}", 2);
    buffer_done(&fields);
}

static void write_token(struct json_writer *json, const char *name, enum token_role role, const char *model)
{
    json_key(json, "name");
    json_write_string(json, name);
    json_key(json, "role");
    json_write_string(json, token_role_text(role));
    json_key(json, "model");
    json_write_string(json, model);
}

static void do_tokens(struct call *call)
{
    const struct tokens *tokens = access_tokens(call->api->access);
    struct serin_error error = {0};
    struct json_writer json;
    struct buffer out;
    int i;

    buffer_init(&out, MAX_ANSWER_BYTES);
    json_init(&json, &out);
    json_begin_array(&json);
    for (i = 0; i < tokens->count; i++) {
        json_begin_object(&json);
        write_token(&json, tokens->items[i].name, tokens->items[i].role, tokens->items[i].model);
        json_key(&json, "created_ms");
        json_write_integer(&json, tokens->items[i].created_ms);
        json_end_object(&json);
    }
    json_end_array(&json);
    answer_result(call, SERIN_OK, "application/json", &out, &error);
    buffer_done(&out);
}

static void do_create_token(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    const char *name = NULL, *role_text = "key", *model = "";
    enum token_role role = ROLE_NOBODY;
    char secret[TOKEN_SECRET_BYTES];
    struct serin_error error = {0};
    struct json_writer json;
    json_t *root = NULL;
    struct buffer out;
    enum serin_errc rc =
        read_object(body, &root, &error,
                    "a token is {\"name\": \"NAME\", \"role\": \"viewer\"}, or {\"name\", \"model\"} for the data port",
                    "{s:s, s?:s, s?:s}", "name", &name, "role", &role_text, "model", &model);

    buffer_init(&out, 4096);
    if (rc == SERIN_OK && !token_role_read(role_text, &role))
        rc = error_set(&error, SERIN_INVALID, "a role is viewer, operator or admin, and not '%.40s'", role_text);
    else if (rc == SERIN_OK)
        rc = access_create_token(call->api->access, name, role, model, call->author, secret, &error);
    if (rc == SERIN_OK) {
        json_init(&json, &out);
        json_begin_object(&json);
        write_token(&json, name, role, model);
        json_key(&json, "token");
        json_write_string(&json, secret);
        json_end_object(&json);
    }
    answer_result(call, rc, "application/json", &out, &error);
    buffer_done(&out);
    json_decref(root);
}

static void do_revoke_token(struct call *call)
{
    struct serin_error error = {0};

    answer_done(call, access_revoke_token(call->api->access, call->argument, call->author, &error), &error);
}

/* ---- the table ---- */

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
static void answer_methods(struct http_exchange *exchange, const char *allowed)
{
    const bool asked = http_slice_is(http_exchange_head(exchange)->method, "OPTIONS");
    struct buffer fields;
    char sentence[128];

    buffer_init(&fields, 1024);
    http_write_field(&fields, "Allow", "%s, OPTIONS", allowed);
    snprintf(sentence, sizeof(sentence), "this path takes %s", allowed);
    if (asked)
        http_respond(exchange, 204, &fields, NULL);
    else
        refuse_with(exchange, 405, &fields, sentence);
    buffer_done(&fields);
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
    struct call call = {.api = user, .exchange = exchange, .argument = ""};
    char allowed[96];
    const struct action *action = find_action(&call, allowed, sizeof(allowed));
    struct serin_error error = {0};
    struct buffer fields;
    int status;

    if (assets_answer(exchange)) /* they hold nothing that not everybody may know, and one of them is the log-in */
        return;
    /* What is there and what is not is told only to who may read. */
    status = access_admit(call.api->access, exchange, action ? action->least : ROLE_VIEWER,
                          !is_reading(http_exchange_head(exchange)->method), &call.caller, &error);
    if (status != 0) {
        buffer_init(&fields, 1024);
        refuse_with(exchange, status, &fields, error.message);
        buffer_done(&fields);
    } else if (action && is_other_type(action, exchange)) {
        http_respond_error(exchange, 415, "the body must be application/json");
    } else if (action) {
        name_author(&call);
        call.word = strrchr(action->path, '/') + 1;
        if (!is_reading(http_exchange_head(exchange)->method))
            events_soon(call.api->events);
        action->run(&call);
    } else if (allowed[0]) {
        answer_methods(exchange, allowed);
    } else {
        refuse_path(exchange);
    }
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
