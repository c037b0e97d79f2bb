/*
 * trace_json.c - the spans of traced requests, as the OpenTelemetry protocol has them in JSON.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     POST /v1/predict/{model}        server: head read to answer given
 *         POST                        client, one for each try of a version's replica
 *             queue, decode, inference, post      internal, as the worker told them
 *
 * Names of attributes are those of OpenTelemetry's semantic conventions for HTTP (1.23 and later); ours begin with
 * serin. A worker tells how long its stages took, not when: they are laid one behind the other in the middle of the
 * try, as if the way there had taken as long as the way back; what does not fit is cut at the try's end.
 */
#include "serve/tracer.h"

#include "base/json.h"
#include "serin_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* trace.proto, SpanKind */
enum { STATUS_ERROR = 2 };

/* 64-bit integers are texts in OTLP's JSON. */
static void put_nanoseconds(struct json_writer *json, const char *key, uint64_t ns)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)ns);
    json_key(json, key);
    json_write_string(json, text);
}

static void begin_attribute(struct json_writer *json, const char *name)
{
    json_begin_object(json);
    json_put_string(json, "key", name);
    json_key(json, "value");
    json_begin_object(json);
}

static void attribute_text(struct json_writer *json, const char *name, const char *value)
{
    begin_attribute(json, name);
    json_put_string(json, "stringValue", value);
    json_end_object(json);
    json_end_object(json);
}

static void attribute_integer(struct json_writer *json, const char *name, uint64_t value)
{
    begin_attribute(json, name);
    put_nanoseconds(json, "intValue", value);
    json_end_object(json);
    json_end_object(json);
}

static void attribute_boolean(struct json_writer *json, const char *name, bool value)
{
    begin_attribute(json, name);
    json_key(json, "boolValue");
    json_write_boolean(json, value);
    json_end_object(json);
    json_end_object(json);
}

/* Its attributes follow, then end_span. */
static void begin_span(struct json_writer *json, const struct gateway_trace *trace, const char *id, const char *parent,
                       const char *name, int kind, uint64_t start_ns, uint64_t end_ns)
{
    json_begin_object(json);
    json_put_string(json, "traceId", trace->trace_id);
    json_put_string(json, "spanId", id);
    if (parent[0])
        json_put_string(json, "parentSpanId", parent);
    json_put_string(json, "name", name);
    json_key(json, "kind");
    json_write_integer(json, kind);
    put_nanoseconds(json, "startTimeUnixNano", start_ns + trace->wall_offset_ns);
    put_nanoseconds(json, "endTimeUnixNano", end_ns + trace->wall_offset_ns);
    json_key(json, "attributes");
    json_begin_array(json);
}

static void end_span(struct json_writer *json, bool failed, const char *why)
{
    json_end_array(json);
    if (failed) {
        json_key(json, "status");
        json_begin_object(json);
        json_key(json, "code");
        json_write_integer(json, STATUS_ERROR);
        json_put_string(json, "message", why ? why : "");
        json_end_object(json);
    }
    json_end_object(json);
}

static void error_type(struct json_writer *json, int status)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", status);
    attribute_text(json, "error.type", status > 0 ? text : "_OTHER");
}

static void write_stages(struct json_writer *json, const struct gateway_trace *trace, const struct gateway_try *at)
{
    static const struct {
        int stage;
        const char *name;
    } order[] = {{GATEWAY_STAGE_queue, "queue"},
                 {GATEWAY_STAGE_decode, "decode"},
                 {GATEWAY_STAGE_inference, "inference"},
                 {GATEWAY_STAGE_post, "post"}};
    uint64_t sum_ns = 0, from_ns = at->start_ns;
    size_t i;

    for (i = 0; i < 4; i++)
        sum_ns += at->stage_us[i] * 1000;
    if (sum_ns < at->end_ns - at->start_ns)
        from_ns += (at->end_ns - at->start_ns - sum_ns) / 2;
    for (i = 0; i < 4; i++) {
        uint64_t to_ns = from_ns + at->stage_us[order[i].stage] * 1000;

        if (to_ns > at->end_ns)
            to_ns = at->end_ns;
        begin_span(json, trace, at->stage_ids[order[i].stage], at->span_id, order[i].name, SPAN_INTERNAL, from_ns,
                   to_ns);
        attribute_text(json, "serin.model", trace->model);
        attribute_text(json, "serin.version", at->version);
        if (order[i].stage == GATEWAY_STAGE_inference && at->batch > 0)
            attribute_integer(json, "serin.batch_size", at->batch);
        end_span(json, false, NULL);
        from_ns = to_ns;
    }
}

/* "host:port", or what has no port. */
static void write_host(struct json_writer *json, const char *address, const char *port, const char *both)
{
    const char *colon = both[0] == '/' ? NULL : strrchr(both, ':');
    char host[GATEWAY_MAX_ADDRESS];

    snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - both) : (int)sizeof(host), both);
    attribute_text(json, address, host);
    if (colon)
        attribute_integer(json, port, strtoull(colon + 1, NULL, 10));
}

/* "unix:/path", "host:port", "http://host:port" into what the conventions ask for. */
static void write_address(struct json_writer *json, const struct gateway_trace *trace, const char *endpoint)
{
    char url[GATEWAY_MAX_ADDRESS + sizeof(trace->path) + 16];
    const char *scheme = strstr(endpoint, "://");
    bool is_unix = strncmp(endpoint, "unix:", 5) == 0;
    const char *host = is_unix ? endpoint + 5 : scheme ? scheme + 3 : endpoint;

    snprintf(url, sizeof(url), "%.*s%s%s", scheme ? (int)(scheme - endpoint) : 4, scheme ? endpoint : "http",
             is_unix ? "://localhost" : "://", is_unix ? "" : host);
    snprintf(url + strlen(url), sizeof(url) - strlen(url), "%s", trace->path);
    write_host(json, "server.address", "server.port", host);
    attribute_text(json, "url.full", url);
}

static void write_try(struct json_writer *json, const struct gateway_trace *trace, int number)
{
    const struct gateway_try *at = &trace->tries[number];

    begin_span(json, trace, at->span_id, trace->span_id, trace->method, SPAN_CLIENT, at->start_ns, at->end_ns);
    attribute_text(json, "http.request.method", trace->method);
    write_address(json, trace, at->endpoint);
    if (at->status > 0)
        attribute_integer(json, "http.response.status_code", (uint64_t)at->status);
    if (number > 0)
        attribute_integer(json, "http.request.resend_count", (uint64_t)number);
    attribute_text(json, "serin.model", trace->model);
    attribute_text(json, "serin.version", at->version);
    if (at->why || at->status >= 400)
        error_type(json, at->status);
    end_span(json, at->why || at->status >= 400, at->why);
    if (at->stages_told)
        write_stages(json, trace, at);
}

static void write_request(struct json_writer *json, const struct gateway_trace *trace)
{
    const char *model = trace->model[0] ? strstr(trace->path, trace->model) : NULL;
    char route[sizeof(trace->path) + 16], name[sizeof(route) + sizeof(trace->method)];

    /* The route is what many requests share: the path with the model's place in it. */
    if (model)
        snprintf(route, sizeof(route), "%.*s{model}%s", (int)(model - trace->path), trace->path,
                 strncmp(trace->path, "/v1/", 4) == 0 ? "" : model + strlen(trace->model));
    else
        snprintf(route, sizeof(route), "%s", trace->path);
    snprintf(name, sizeof(name), "%s %s", trace->method, route);
    begin_span(json, trace, trace->span_id, trace->parent_id, name, SPAN_SERVER, trace->start_ns, trace->end_ns);
    attribute_text(json, "http.request.method", trace->method);
    attribute_text(json, "http.route", route);
    attribute_text(json, "url.path", trace->path);
    attribute_text(json, "url.scheme", trace->by_tls ? "https" : "http");
    write_host(json, "client.address", "client.port", trace->peer);
    attribute_integer(json, "http.request.body.size", trace->request_bytes);
    attribute_integer(json, "http.response.body.size", trace->answer_bytes);
    attribute_integer(json, "http.response.status_code", (uint64_t)trace->status);
    attribute_text(json, "serin.request_id", trace->request_id);
    attribute_text(json, "serin.model", trace->model);
    attribute_text(json, "serin.version", trace->version);
    attribute_text(json, "serin.assigned", trace->assigned);
    attribute_text(json, "serin.reason", trace->reason);
    attribute_boolean(json, "serin.fallback", trace->fell_back);
    if (trace->status >= 500) /* of a server's span 4xx is no error */
        error_type(json, trace->status);
    end_span(json, trace->status >= 500, trace->why);
}

void trace_write_json(struct gateway_trace *const *traces, int count, struct buffer *out)
{
    char host[256] = "";
    struct json_writer json;
    int i, k;

    (void)gethostname(host, sizeof(host) - 1);
    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "resourceSpans");
    json_begin_array(&json);
    json_begin_object(&json);
    json_key(&json, "resource");
    json_begin_object(&json);
    json_key(&json, "attributes");
    json_begin_array(&json);
    attribute_text(&json, "service.name", "serin");
    attribute_text(&json, "service.version", SERIN_VERSION);
    attribute_text(&json, "host.name", host);
    attribute_integer(&json, "process.pid", (uint64_t)getpid());
    json_end_array(&json);
    json_end_object(&json);
    json_key(&json, "scopeSpans");
    json_begin_array(&json);
    json_begin_object(&json);
    json_key(&json, "scope");
    json_begin_object(&json);
    json_put_string(&json, "name", "serin.gateway");
    json_put_string(&json, "version", SERIN_VERSION);
    json_end_object(&json);
    json_key(&json, "spans");
    json_begin_array(&json);
    for (i = 0; i < count; i++) {
        write_request(&json, traces[i]);
        for (k = 0; k < traces[i]->try_count; k++)
            write_try(&json, traces[i], k);
    }
    json_end_array(&json);
    json_end_object(&json);
    json_end_array(&json);
    json_end_object(&json);
    json_end_array(&json);
    json_end_object(&json);
}
