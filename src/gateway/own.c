/*
 * own.c - answers that no version gives: health, metadata, the list of models, and errors of the gateway's own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: Open Inference Protocol v2 (server metadata, health), Triton's model repository extension (index).
 */
#include "gateway/inside.h"

#include "base/json.h"
#include "serin_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OWN_ID_BYTES    64
#define MAX_ERROR_BYTES 8192
#define LONGEST_METHOD  32

static void write_flag(struct json_writer *json, const char *key, bool value)
{
    json_begin_object(json);
    json_key(json, key);
    json_write_boolean(json, value);
    json_end_object(json);
}

static bool is_served(const struct gateway_version *version)
{
    return version->endpoint_count > 0 && !version->doubtful;
}

/* Whether some model's stable version has a replica. Not of every model, though the protocol's text can be read so
 * (Triton has --strict-readiness for both): balancers and Kubernetes take traffic off who is not ready, and one model's
 * outage would become that of all. Of one model /v2/models/MODEL/ready tells. */
static bool is_ready(const struct gateway_table *table)
{
    int e, v;

    for (e = 0; table && e < table->entry_count; e++) {
        v = route_find(&table->entries[e].route, table->entries[e].route.stable);
        if (v >= 0 && is_served(&table->entries[e].versions[v]))
            return true;
    }
    return false;
}

static void write_metadata(struct json_writer *json)
{
    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, "serin");
    json_key(json, "version");
    json_write_string(json, SERIN_VERSION);
    json_key(json, "extensions");
    json_begin_array(json);
    json_write_string(json, "binary_tensor_data");
    json_write_string(json, "model_configuration");
    json_write_string(json, "statistics");
    json_end_array(json);
    json_end_object(json);
}

static void write_index(struct json_writer *json, const struct gateway_table *table)
{
    int e, v;

    json_begin_array(json);
    for (e = 0; table && e < table->entry_count; e++)
        for (v = 0; v < table->entries[e].route.version_count; v++) {
            bool ready = is_served(&table->entries[e].versions[v]);

            json_begin_object(json);
            json_key(json, "name");
            json_write_string(json, table->entries[e].route.model);
            json_key(json, "version");
            json_write_string(json, table->entries[e].route.versions[v].tag);
            json_key(json, "state");
            json_write_string(json, ready ? "READY" : "UNAVAILABLE");
            json_key(json, "reason");
            json_write_string(json, ready ? "" : "no replica is ready");
            json_end_object(json);
        }
    json_end_array(json);
}

static const char *code_of(int status)
{
    switch (status) {
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not_found";
    case 413:
        return "limit";
    case 405:
    case 501:
        return "unsupported";
    case 502:
        return "bad_gateway";
    case 503:
        return "unavailable";
    case 504:
        return "timeout";
    default:
        return "invalid";
    }
}

struct bytes *own_error_body(const struct http_head *head, int status, const char *sentence, const char *request_id)
{
    struct serin_error printable;
    struct json_writer json;
    struct bytes *body = NULL;
    struct buffer text;

    if (head->path.size < 4 || memcmp(head->path.bytes, "/v1/", 4) != 0)
        return http_error_body(sentence);
    error_set(&printable, SERIN_INVALID, "%s", sentence); /* what is quoted may hold anything */
    buffer_init(&text, MAX_ERROR_BYTES);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, "error");
    json_begin_object(&json);
    json_key(&json, "code");
    json_write_string(&json, code_of(status));
    json_key(&json, "message");
    json_write_string(&json, printable.message);
    json_end_object(&json);
    json_key(&json, "request_id");
    json_write_string(&json, request_id);
    json_end_object(&json);
    if (buffer_check(&text, "an error", NULL) == SERIN_OK)
        body = bytes_new(text.size);
    if (body) {
        memcpy(body->data, text.bytes, text.size);
        body->size = text.size;
    }
    buffer_done(&text);
    return body;
}

static void respond_as(struct thread *thread, struct http_exchange *exchange, const char *id, int status,
                       struct buffer *fields, struct bytes *body, const char *why)
{
    struct access access = access_of(exchange);

    http_write_field(fields, "X-Request-Id", "%s", id);
    cors_write_fields(thread, http_exchange_head(exchange), fields);
    if (fields->failed) { /* half a head must not pass for one */
        buffer_clear(fields);
        bytes_drop(body);
        body = NULL;
        status = 503;
        why = "no room for the head of the answer";
    }
    access.status = status;
    access.answer_bytes = body ? body->size : 0;
    access.request_id = id;
    access.why = why;
    access_log_write(thread, &access);
    http_respond(exchange, status, fields, body);
}

void own_respond(struct thread *thread, struct http_exchange *exchange, int status, struct buffer *fields,
                 struct bytes *body, const char *why)
{
    char id[OWN_ID_BYTES];

    proxy_request_id(thread, http_exchange_head(exchange), id, sizeof(id));
    respond_as(thread, exchange, id, status, fields, body, why);
}

void own_respond_error(struct thread *thread, struct http_exchange *exchange, int status, const char *format, ...)
{
    const struct http_head *head = http_exchange_head(exchange);
    char sentence[sizeof(((struct serin_error *)0)->message)], id[OWN_ID_BYTES];
    struct buffer fields;
    va_list args;

    va_start(args, format);
    if (vsnprintf(sentence, sizeof(sentence), format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    buffer_init(&fields, OWN_FIELDS_BYTES);
    http_write_field(&fields, "Content-Type", "application/json");
    if (status == 503)
        http_write_field(&fields, "Retry-After", "1");
    if (status == 401) /* RFC 9110, 11.6.1 */
        http_write_text(&fields, "WWW-Authenticate", "Bearer realm=\"serin\"");
    if (status == 405) /* RFC 9110, 15.5.6 */
        http_write_text(&fields, "Allow", request_allowed(head->path));
    proxy_request_id(thread, head, id, sizeof(id));
    respond_as(thread, exchange, id, status, &fields, own_error_body(head, status, sentence, id), sentence);
    buffer_done(&fields);
}

/* The method and the path of a line that the parser has not taken, as far as they are clear: a query, or whatever else
 * such a line may hold, has no place in a log. */
static void read_line(struct http_slice line, struct http_slice *ret_method, struct http_slice *ret_path)
{
    const char *blank = line.size > 0 ? memchr(line.bytes, ' ', line.size) : NULL;
    size_t method_bytes = blank ? (size_t)(blank - line.bytes) : 0, path_bytes = 0, rest, i;

    if (method_bytes == 0 || method_bytes > LONGEST_METHOD)
        return;
    for (i = 0; i < method_bytes; i++)
        if (line.bytes[i] < 'A' || line.bytes[i] > 'Z')
            return;
    *ret_method = (struct http_slice){line.bytes, method_bytes};
    rest = line.size - method_bytes - 1;
    while (path_bytes < rest && blank[1 + path_bytes] > ' ' && blank[1 + path_bytes] <= '~' &&
           blank[1 + path_bytes] != '?')
        path_bytes++;
    if (path_bytes > 0 && blank[1] == '/')
        *ret_path = (struct http_slice){blank + 1, path_bytes};
}

void own_refused(void *user, const struct http_refusal *refusal, struct buffer *fields)
{
    struct thread *thread = user;
    struct access access = {.peer = refusal->peer,
                            .why = refusal->why,
                            .started_ns = refusal->started_ns,
                            .request_bytes = refusal->body_bytes,
                            .answer_bytes = refusal->answer_bytes,
                            .status = refusal->status};
    char id[OWN_ID_BYTES];

    if (refusal->head) {
        access.method = refusal->head->method;
        access.path = refusal->head->path;
        proxy_request_id(thread, refusal->head, id, sizeof(id));
        cors_write_fields(thread, refusal->head, fields);
    } else {
        read_line(refusal->line, &access.method, &access.path);
        thread_random_id(thread, id);
    }
    access.request_id = id;
    http_write_field(fields, "X-Request-Id", "%s", id);
    access_log_write(thread, &access);
}

static void answer_json(struct thread *thread, struct http_exchange *exchange, int status, struct buffer *text)
{
    struct bytes *body = text->failed ? NULL : bytes_new(text->size);
    struct buffer fields;

    if (!body) {
        own_respond_error(thread, exchange, 503, "no memory for the answer");
        return;
    }
    memcpy(body->data, text->bytes, text->size);
    body->size = text->size;
    buffer_init(&fields, OWN_FIELDS_BYTES);
    http_write_field(&fields, "Content-Type", "application/json");
    own_respond(thread, exchange, status, &fields, body, NULL);
    buffer_done(&fields);
}

void own_accept(struct thread *thread, struct http_exchange *exchange)
{
    struct json_writer json;
    struct buffer text;

    buffer_init(&text, 256);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, "status");
    json_write_string(&json, "accepted");
    json_end_object(&json);
    answer_json(thread, exchange, 202, &text);
    buffer_done(&text);
}

/* Each writes its document, and gives the status. */
static int answer_live(struct json_writer *json, const struct gateway_table *table)
{
    (void)table;
    write_flag(json, "live", true);
    return 200;
}

static int answer_ready(struct json_writer *json, const struct gateway_table *table)
{
    const bool ready = is_ready(table);

    write_flag(json, "ready", ready);
    return ready ? 200 : 503;
}

static int answer_metadata(struct json_writer *json, const struct gateway_table *table)
{
    (void)table;
    write_metadata(json);
    return 200;
}

static int answer_index(struct json_writer *json, const struct gateway_table *table)
{
    write_index(json, table);
    return 200;
}

static const struct own_call {
    const char *method, *path;
    int (*write)(struct json_writer *json, const struct gateway_table *table);
} own_calls[] = {
    {"GET", "/v2", answer_metadata},
    {"GET", "/v2/health/live", answer_live},
    {"GET", "/v2/health/ready", answer_ready},
    {"POST", "/v2/repository/index", answer_index},
};

static bool takes_method(const struct own_call *call, struct http_slice method)
{
    return http_slice_is(method, call->method) || (http_slice_is(method, "HEAD") && strcmp(call->method, "GET") == 0);
}

bool own_answer(struct thread *thread, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct gateway_table *table = thread->snapshot ? &thread->snapshot->table->table : NULL;
    const struct own_call *call = NULL;
    struct json_writer json;
    struct buffer text;
    size_t i;

    if (head->path.size < 3 || memcmp(head->path.bytes, "/v2", 3) != 0)
        return false;
    for (i = 0; i < sizeof(own_calls) / sizeof(own_calls[0]) && !call; i++)
        if (http_slice_is(head->path, own_calls[i].path))
            call = &own_calls[i];
    if (!call)
        return false;
    if (!takes_method(call, head->method)) {
        own_respond_error(thread, exchange, 405, "this path takes %s", request_allowed(head->path));
        return true;
    }
    buffer_init(&text, 1 << 20);
    json_init(&json, &text);
    answer_json(thread, exchange, call->write(&json, table), &text);
    buffer_done(&text);
    return true;
}
