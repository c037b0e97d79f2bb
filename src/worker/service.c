/*
 * service.c - from a method and a path to a handler.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table says which method and path does what. "*" is a segment: a model's name, or a version's.
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

static bool path_fits(const struct path *path, const char *pattern)
{
    int i;

    for (i = 0; i < path->count; i++) {
        size_t size;

        if (*pattern != '/') /* it has ended: nothing stands behind it */
            return false;
        size = strcspn(pattern + 1, "/");
        if (strncmp(pattern + 1, "*", size) != 0 &&
            (strncmp(pattern + 1, path->segments[i], size) != 0 || path->segments[i][size]))
            return false;
        pattern += 1 + size;
    }
    return !*pattern;
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

/* ---- what each path does ---- */

static void do_predict(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    const char *name = path->count == 3 ? path->segments[2] : service->model;
    size_t length = strlen(service->model);
    struct request *request;

    if (strncmp(name, service->model, length) == 0 &&
        (!name[length] || (name[length] == ':' && strcmp(name + length + 1, service->version) == 0))) {
        predict_handle(service, exchange);
        return;
    }
    request = request_begin(service, exchange, false);
    if (request)
        request_fail(request, 404, "not_found", "there is no model '%.200s' here, only '%s'", name, service->model);
}

static void do_infer(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    (void)path;
    infer_handle(service, exchange);
}

static void do_live(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    (void)path;
    respond_json(service, exchange, 200, NULL);
}

static void do_ready(struct service *service, struct http_exchange *exchange, const struct path *path)
{
    (void)path;
    respond_ready(service, exchange);
}

#define DOCUMENT(name, describe)                                                                                       \
    static void name(struct service *service, struct http_exchange *exchange, const struct path *path)                 \
    {                                                                                                                  \
        struct buffer document;                                                                                        \
                                                                                                                       \
        (void)path;                                                                                                    \
        buffer_init(&document, MAX_DOCUMENT_BYTES);                                                                    \
        describe(service, &document);                                                                                  \
        respond_document(service, exchange, &document);                                                                \
    }
DOCUMENT(do_server, describe_server)
DOCUMENT(do_model, describe_model)
DOCUMENT(do_config, describe_config)
DOCUMENT(do_triton_statistics, describe_triton_statistics)
DOCUMENT(do_statistics, describe_statistics)
DOCUMENT(do_index, describe_index)
#undef DOCUMENT

/* ---- the table ---- */

/* The first row that fits is meant. */
static const struct call {
    const char *method, *path;
    void (*run)(struct service *service, struct http_exchange *exchange, const struct path *path);
} calls[] = {
    {"POST", "/v1/predict", do_predict},
    {"POST", "/v1/predict/*", do_predict},
    {"GET", "/v1/stats", do_statistics},
    {"GET", "/v2", do_server},
    {"GET", "/v2/health/live", do_live},
    {"GET", "/v2/health/ready", do_ready},
    {"POST", "/v2/repository/index", do_index},
    {"GET", "/v2/models/stats", do_triton_statistics},
    {"GET", "/v2/models/*", do_model},
    {"GET", "/v2/models/*/ready", do_ready},
    {"GET", "/v2/models/*/config", do_config},
    {"GET", "/v2/models/*/stats", do_triton_statistics},
    {"POST", "/v2/models/*/infer", do_infer},
    {"GET", "/v2/models/*/versions/*", do_model},
    {"GET", "/v2/models/*/versions/*/ready", do_ready},
    {"GET", "/v2/models/*/versions/*/config", do_config},
    {"GET", "/v2/models/*/versions/*/stats", do_triton_statistics},
    {"POST", "/v2/models/*/versions/*/infer", do_infer},
};

/* Whether a path of /v2/models names what is here; else it is answered. */
static bool names_ours(struct service *service, struct http_exchange *exchange, const struct call *call,
                       const struct path *path)
{
    if (strncmp(call->path, "/v2/models/*", 12) != 0)
        return true;
    if (strcmp(path->segments[2], service->model) != 0) { /* Triton says 400 */
        http_respond_error(exchange, 400, "Request for unknown model: '%.200s' is not found", path->segments[2]);
        return false;
    }
    if (strncmp(call->path, "/v2/models/*/versions/*", 23) == 0 && strcmp(path->segments[4], "1") != 0 &&
        strcmp(path->segments[4], service->version) != 0) {
        http_respond_error(exchange, 404, "model '%s' has no version '%.200s', only '%s', which is also '1'",
                           service->model, path->segments[4], service->version);
        return false;
    }
    return true;
}

void service_handle(void *user, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct service *service = user;
    const struct call *call = NULL;
    struct path path = {0};
    bool reads;
    size_t i;

    if (split_path(head->path, &path))
        for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && !call; i++)
            if (path_fits(&path, calls[i].path))
                call = &calls[i];
    if (!call) {
        http_respond_error(exchange, 404, "there is nothing at this path");
        return;
    }
    if (!names_ours(service, exchange, call, &path))
        return;
    reads = strcmp(call->method, "GET") == 0;
    if (http_slice_is(head->method, call->method) || (reads && http_slice_is(head->method, "HEAD")))
        call->run(service, exchange, &path);
    else
        refuse_method(service, exchange, reads ? "GET, HEAD" : "POST");
}
