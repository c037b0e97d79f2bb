/*
 * service.c - from a method and a path to a handler.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     POST /v1/predict[/{model}]                    POST /v2/models/{model}[/versions/{version}]/infer
 *     GET  /v1/stats                                GET  /v2/models/{model}[/versions/{version}][/ready|config|stats]
 *     GET  /v2   /v2/health/live   /v2/health/ready   /v2/models/stats          POST /v2/repository/index
 */
#include "worker/service.h"

#include <string.h>

#define MAX_SEGMENTS       8
#define MAX_SEGMENT        256
#define MAX_DOCUMENT_BYTES (64u << 20)

struct path {
    int count;
    char segments[MAX_SEGMENTS][MAX_SEGMENT];
};

/* False where a segment is bad or too long, or there are too many: then no path of ours is meant. */
static bool split_path(struct http_slice path, struct path *ret)
{
    size_t i = 1;

    ret->count = 0;
    while (i < path.size) {
        const char *slash = memchr(path.bytes + i, '/', path.size - i);
        struct http_slice segment = {path.bytes + i, slash ? (size_t)(slash - path.bytes) - i : path.size - i};

        if (ret->count == MAX_SEGMENTS ||
            !http_decode_segment(segment, ret->segments[ret->count], sizeof(ret->segments[0])))
            return false;
        ret->count++;
        i += segment.size + 1;
    }
    return path.size >= 1 && path.bytes[0] == '/';
}

static bool path_is(const struct path *path, const char *first, const char *second, const char *third)
{
    const char *const wanted[] = {first, second, third};
    int i;

    for (i = 0; i < 3 && wanted[i]; i++)
        if (i >= path->count || strcmp(path->segments[i], wanted[i]) != 0)
            return false;
    return path->count == i;
}

/* ---- small answers ---- */

/* body may be NULL: an empty one. */
static void respond_json(struct service *service, struct http_exchange *exchange, int status, struct bytes *body)
{
    struct buffer fields;

    buffer_init(&fields, 1024);
    if (body)
        http_write_field(&fields, "Content-Type", "application/json");
    http_write_field(&fields, "X-Serin-Version", "%s", service->version);
    http_respond(exchange, status, &fields, body);
    buffer_done(&fields);
}

static void respond_document(struct service *service, struct http_exchange *exchange, struct buffer *document)
{
    struct bytes *body = document->failed ? NULL : bytes_of(document);

    if (body)
        respond_json(service, exchange, 200, body);
    else
        http_respond_error(exchange, 503, "no memory for the answer");
    buffer_done(document);
}

static void respond_ready(struct service *service, struct http_exchange *exchange)
{
    struct buffer text;

    buffer_init(&text, 64);
    buffer_append_text(&text, service->draining ? "{\"ready\":false}" : "{\"ready\":true}");
    respond_json(service, exchange, service->draining ? 503 : 200, bytes_of(&text));
    buffer_done(&text);
}

static void refuse_method(struct service *service, struct http_exchange *exchange, const char *allowed)
{
    struct buffer fields, text;
    struct json_writer json;

    buffer_init(&fields, 1024);
    buffer_init(&text, 1024);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, "error");
    json_write_string(&json, allowed[0] == 'P' ? "this path takes POST" : "this path takes GET");
    json_end_object(&json);
    http_write_field(&fields, "Content-Type", "application/json");
    http_write_field(&fields, "Allow", "%s", allowed);
    http_write_field(&fields, "X-Serin-Version", "%s", service->version);
    http_respond(exchange, 405, &fields, bytes_of(&text));
    buffer_done(&fields);
    buffer_done(&text);
}

static bool is_get(const struct http_head *head)
{
    return http_slice_is(head->method, "GET") || http_slice_is(head->method, "HEAD");
}

static bool is_post(const struct http_head *head)
{
    return http_slice_is(head->method, "POST");
}

/* ---- version 1 ---- */

static bool names_model(const struct service *service, const char *text)
{
    size_t length = strlen(service->model);

    if (strncmp(text, service->model, length) != 0)
        return false;
    return !text[length] || (text[length] == ':' && strcmp(text + length + 1, service->version) == 0);
}

static bool handle_v1(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct buffer document;

    if (path->count >= 2 && path->count <= 3 && strcmp(path->segments[1], "predict") == 0) {
        if (!is_post(head))
            refuse_method(service, exchange, "POST");
        else if (path->count == 3 && !names_model(service, path->segments[2]))
            http_respond_error(exchange, 404, "there is no model '%.200s' here, only '%s'", path->segments[2],
                               service->model);
        else
            predict_handle(service, exchange);
        return true;
    }
    if (!path_is(path, "v1", "stats", NULL))
        return false;
    if (!is_get(head)) {
        refuse_method(service, exchange, "GET, HEAD");
        return true;
    }
    buffer_init(&document, MAX_DOCUMENT_BYTES);
    describe_statistics(service, &document);
    respond_document(service, exchange, &document);
    return true;
}

/* ---- version 2 ---- */

static void handle_document(struct service *service, struct http_exchange *exchange, const char *what)
{
    struct buffer document;

    if (strcmp(what, "ready") == 0) {
        respond_ready(service, exchange);
        return;
    }
    buffer_init(&document, MAX_DOCUMENT_BYTES);
    if (strcmp(what, "config") == 0)
        describe_config(service, &document);
    else if (strcmp(what, "stats") == 0)
        describe_triton_statistics(service, &document);
    else if (strcmp(what, "server") == 0)
        describe_server(service, &document);
    else
        describe_model(service, &document);
    respond_document(service, exchange, &document);
}

/* /v2/models/{model}[/versions/{version}][/what]; false: no such path. */
static bool handle_model(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    const struct http_head *head = http_exchange_head(exchange);
    bool versioned = path->count >= 5 && strcmp(path->segments[3], "versions") == 0;
    int rest = versioned ? 5 : 3;
    const char *what = path->count == rest ? "model" : path->segments[rest];
    static const char *const known[] = {"model", "ready", "config", "stats", "infer"};
    size_t i;

    if (path->count > rest + 1 || path->count < 3)
        return false;
    if (path->count == rest + 1 && strcmp(what, "model") == 0)
        return false;
    for (i = 0; i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], what) != 0; i++)
        ;
    if (i == sizeof(known) / sizeof(known[0]))
        return false;
    if (strcmp(path->segments[2], service->model) != 0) { /* Triton says 400 */
        http_respond_error(exchange, 400, "Request for unknown model: '%.200s' is not found", path->segments[2]);
        return true;
    }
    if (versioned && strcmp(path->segments[4], "1") != 0 && strcmp(path->segments[4], service->version) != 0) {
        http_respond_error(exchange, 404, "model '%s' has no version '%.200s', only '%s', which is also '1'",
                           service->model, path->segments[4], service->version);
        return true;
    }
    if (strcmp(what, "infer") == 0) {
        if (is_post(head))
            infer_handle(service, exchange);
        else
            refuse_method(service, exchange, "POST");
    } else if (is_get(head)) {
        handle_document(service, exchange, what);
    } else {
        refuse_method(service, exchange, "GET, HEAD");
    }
    return true;
}

static bool handle_v2(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct buffer document;

    if (path_is(path, "v2", "repository", "index")) {
        if (!is_post(head)) {
            refuse_method(service, exchange, "POST");
            return true;
        }
        buffer_init(&document, MAX_DOCUMENT_BYTES);
        describe_index(service, &document);
        respond_document(service, exchange, &document);
        return true;
    }
    if (path_is(path, "v2", NULL, NULL) || path_is(path, "v2", "models", "stats") ||
        path_is(path, "v2", "health", "live") || path_is(path, "v2", "health", "ready")) {
        if (!is_get(head))
            refuse_method(service, exchange, "GET, HEAD");
        else if (path->count == 1)
            handle_document(service, exchange, "server");
        else if (strcmp(path->segments[2], "live") == 0)
            respond_json(service, exchange, 200, NULL);
        else
            handle_document(service, exchange, path->segments[2]);
        return true;
    }
    return path->count >= 3 && strcmp(path->segments[1], "models") == 0 && handle_model(service, exchange, path);
}

void service_handle(void *user, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct service *service = user;
    struct path path = {0};
    bool handled = false;

    if (split_path(head->path, &path) && path.count > 0) {
        if (strcmp(path.segments[0], "v1") == 0)
            handled = handle_v1(service, exchange, &path);
        else if (strcmp(path.segments[0], "v2") == 0)
            handled = handle_v2(service, exchange, &path);
    }
    if (!handled)
        http_respond_error(exchange, 404, "there is nothing at this path");
}
