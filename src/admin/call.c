/*
 * call.c - reading a call's body and query, and ending it: the one place that knows which error is which status.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every answer that is no success is {"error": sentence}.
 */
#include "admin/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS_BYTES 1024
#define RETRY_AFTER_S    1

void call_init(struct call *call, const struct admin_target *target, struct access *access, struct events *events,
               struct http_exchange *exchange)
{
    *call = (struct call){
        .target = target, .access = access, .events = events, .exchange = exchange, .argument = "", .author = ""};
    buffer_init(&call->out, CALL_MAX_ANSWER_BYTES);
    buffer_init(&call->fields, MAX_FIELDS_BYTES);
}

void call_done(struct call *call)
{
    json_decref(call->body);
    buffer_done(&call->out);
    buffer_done(&call->fields);
}

/* ---- reading ---- */

enum serin_errc call_read_json(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    json_error_t fault;

    if (body->size == 0)
        return error_set(&call->error, SERIN_INVALID, "the body is empty, and this takes JSON");
    call->body = json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, &fault);
    return call->body ? SERIN_OK
                      : error_set(&call->error, SERIN_INVALID, "the body is not JSON: %s, line %d, column %d",
                                  fault.text, fault.line, fault.column);
}

enum serin_errc call_read_object(struct call *call, const char *form, const char *format, ...)
{
    enum serin_errc rc = call_read_json(call);
    json_error_t fault;
    va_list args;

    if (rc != SERIN_OK)
        return rc;
    va_start(args, format);
    if (json_vunpack_ex(call->body, &fault, JSON_STRICT, format, args) != 0)
        rc = error_set(&call->error, SERIN_INVALID, "%s: %s", form, fault.text);
    va_end(args);
    return rc;
}

enum serin_errc call_read_whole(struct call *call, const char *name, int64_t least, int64_t most, int64_t *ret)
{
    char text[24], *end = text;
    long long value = -1;

    if (!http_query_get(http_exchange_head(call->exchange)->query, name, text, sizeof(text)))
        return SERIN_OK;
    errno = 0;
    if (text[0] >= '0' && text[0] <= '9')
        value = strtoll(text, &end, 10);
    if (value < least || value > most || *end || errno)
        return error_set(&call->error, SERIN_INVALID, "%s is a whole number from %lld to %lld", name, (long long)least,
                         (long long)most);
    *ret = value;
    return SERIN_OK;
}

/* ---- ending ---- */

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

/* 200; fields are appended to. */
static void answer(struct http_exchange *exchange, struct buffer *fields, const char *type, const char *text,
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

void call_refuse(struct call *call, int status)
{
    if (status == 401) /* RFC 9110, 11.6.1 */
        http_write_field(&call->fields, "WWW-Authenticate", "Bearer realm=\"serin\"");
    http_write_field(&call->fields, "Content-Type", "application/json");
    http_respond(call->exchange, status, &call->fields, http_error_body(call->error.message));
}

void call_answer_error(struct call *call, enum serin_errc rc)
{
    if (rc == SERIN_NOMEM || (rc == SERIN_LIMIT && call->target->is_passing(call->target->user)))
        http_write_field(&call->fields, "Retry-After", "%d", RETRY_AFTER_S);
    call_refuse(call, status_of(rc));
}

void call_answer(struct call *call, enum serin_errc rc, const char *type)
{
    if (rc == SERIN_OK)
        rc = buffer_check(&call->out, "the answer", &call->error);
    if (rc == SERIN_OK)
        answer(call->exchange, &call->fields, type, call->out.bytes, call->out.size);
    else
        call_answer_error(call, rc);
}

void call_answer_json(struct call *call, enum serin_errc rc)
{
    call_answer(call, rc, "application/json");
}

void call_answer_done(struct call *call, enum serin_errc rc)
{
    buffer_clear(&call->out);
    buffer_append_text(&call->out, "{}");
    call_answer_json(call, rc);
}

/* Of api.h: the call is gone by then, and the exchange alone is left. */
void api_answered(struct http_exchange *exchange, enum serin_errc rc, const char *text)
{
    struct buffer fields;

    if (rc != SERIN_OK) {
        http_respond_error(exchange, status_of(rc), "%s", text);
        return;
    }
    buffer_init(&fields, MAX_FIELDS_BYTES);
    answer(exchange, &fields, "application/json", text, strlen(text));
    buffer_done(&fields);
}
