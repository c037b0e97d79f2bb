/*
 * access_log.c - one line of JSON a request, with the field names of the Elastic Common Schema.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every request that is answered has exactly one line, whoever answered it: a version (flight.c), the gateway, or its
 * server before a handler was asked (own.c); and so has one whose client went away before the answer, as 499. The line
 * is made here and handed on; writing it anywhere is somebody else's, on another thread. Errors and fallbacks
 * are always logged, the rest by the sampling share. Bodies, queries and credentials never are.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log_fields.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_LINE_BYTES 8192 /* more than all its texts, each at its longest */

/* Pieces of constant text with the values between them: a line takes half the time that it took with a writer that puts
 * commas and quotes one by one, and looks for what needs an escape in our own words. */
#define PUT(line, constant) buffer_append(line, constant, sizeof(constant) - 1)
/* value needs no escape: a word of ours, a name that was checked (version/name.h), a sane id, an address. */
#define PUT_TEXT(line, field, value)   (PUT(line, ",\"" field "\":\""), buffer_append_text(line, value), PUT(line, "\""))
#define PUT_NUMBER(line, field, value) (PUT(line, ",\"" field "\":"), buffer_append_number(line, value))
#define PUT_BOOLEAN(line, field, value)                                                                                \
    (PUT(line, ",\"" field "\":"), buffer_append_text(line, (value) ? "true" : "false"))
#define PUT_QUOTED(line, field, value) (PUT(line, ",\"" field "\":"), put_quoted(line, value))

static void put_quoted(struct buffer *line, const char *text)
{
    struct json_writer json;

    json_init(&json, line);
    json_write_string(&json, text);
}

static const char *outcome_of(int status)
{
    return status == 499 ? "unknown" : status >= 400 ? "failure" : "success";
}

static void put_path(struct buffer *line, struct http_slice path)
{
    char text[256];

    if (!http_slice_copy(path, text, sizeof(text)))
        snprintf(text, sizeof(text), "(%zu bytes)", path.size);
    PUT_QUOTED(line, LOG_PATH, text);
}

struct access access_of(const struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);

    return (struct access){.method = head->method,
                           .path = head->path,
                           .peer = http_exchange_peer(exchange),
                           .started_ns = http_exchange_started_ns(exchange),
                           .request_bytes = http_exchange_body(exchange)->size};
}

void access_log_write(struct thread *thread, const struct access *access)
{
    const struct gateway_options *options = &thread->gateway->options;
    struct buffer *line = &thread->line;

    if (!options->log)
        return;
    if (access->status < 400 && !access->fell_back && options->log_sample < 1 &&
        !thread_chance(thread, options->log_sample))
        return;
    line->max = MAX_LINE_BYTES;
    buffer_clear(line);
    PUT(line, "{\"" LOG_TIME "\":\"");
    buffer_append_text(line, clock_stamp(&thread->stamp));
    PUT(line, "\"");
    PUT_TEXT(line, LOG_LEVEL, access->status >= 500 ? "error" : "info");
    PUT(line, ",");
    buffer_append_text(line, log_access_keys);
    PUT(line, "\"answering\"");
    PUT_TEXT(line, LOG_OUTCOME, outcome_of(access->status));
    PUT_NUMBER(line, LOG_DURATION, clock_now_ns() - access->started_ns);
    PUT_TEXT(line, LOG_REQUEST_ID, access->request_id);
    PUT_TEXT(line, LOG_CLIENT, access->peer);
    if (access->method.size > 0) { /* a token (RFC 9110, 5.6.2) */
        PUT(line, ",\"" LOG_METHOD "\":\"");
        buffer_append(line, access->method.bytes, access->method.size);
        PUT(line, "\"");
    }
    if (access->path.size > 0)
        put_path(line, access->path);
    PUT_NUMBER(line, LOG_REQUEST_BYTES, access->request_bytes);
    PUT_NUMBER(line, LOG_STATUS, (uint64_t)access->status);
    PUT_NUMBER(line, LOG_RESPONSE_BYTES, access->answer_bytes);
    if (access->model) {
        PUT_TEXT(line, LOG_MODEL, access->model);
        PUT_TEXT(line, LOG_ASSIGNED, access->assigned);
        PUT_TEXT(line, LOG_VERSION, access->tag);
        PUT_TEXT(line, LOG_REASON, access->reason);
        PUT_NUMBER(line, LOG_TRIES, (uint64_t)access->tries);
        PUT_BOOLEAN(line, LOG_FALLBACK, access->fell_back);
        PUT_BOOLEAN(line, LOG_MIRRORED, access->mirrored);
    }
    if (access->trace_id)
        PUT_TEXT(line, LOG_TRACE_ID, access->trace_id);
    if (access->why)
        PUT_QUOTED(line, LOG_ERROR, access->why);
    PUT(line, "}");
    if (!line->failed)
        options->log(options->log_user, line->bytes, line->size);
}
