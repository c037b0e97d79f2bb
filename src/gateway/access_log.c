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

/* Keys come as JSON_KEY: to look for what needs an escape in them was a tenth of a request's instructions. */
static void write_text(struct json_writer *json, const char *key, const char *value)
{
    json_raw_key(json, key);
    json_write_string(json, value);
}

static void write_number(struct json_writer *json, const char *key, int64_t value)
{
    json_raw_key(json, key);
    json_write_integer(json, value);
}

static const char *outcome_of(int status)
{
    return status == 499 ? "unknown" : status >= 400 ? "failure" : "success";
}

static void write_slice(struct json_writer *json, const char *key, struct http_slice slice)
{
    char text[256];

    if (!http_slice_copy(slice, text, sizeof(text)))
        snprintf(text, sizeof(text), "(%zu bytes)", slice.size);
    write_text(json, key, text);
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
    struct json_writer json;

    if (!options->log)
        return;
    if (access->status < 400 && !access->fell_back && options->log_sample < 1 &&
        !thread_chance(thread, options->log_sample))
        return;
    line->max = MAX_LINE_BYTES;
    buffer_clear(line);
    json_init(&json, line);
    json_begin_object(&json);
    write_text(&json, JSON_KEY(LOG_TIME), clock_stamp(&thread->stamp));
    write_text(&json, JSON_KEY(LOG_LEVEL), access->status >= 500 ? "error" : "info");
    write_text(&json, log_access_keys, "answering");
    write_text(&json, JSON_KEY(LOG_OUTCOME), outcome_of(access->status));
    write_number(&json, JSON_KEY(LOG_DURATION), (int64_t)(clock_now_ns() - access->started_ns));
    write_text(&json, JSON_KEY(LOG_REQUEST_ID), access->request_id);
    write_text(&json, JSON_KEY(LOG_CLIENT), access->peer);
    if (access->method.size > 0)
        write_slice(&json, JSON_KEY(LOG_METHOD), access->method);
    if (access->path.size > 0)
        write_slice(&json, JSON_KEY(LOG_PATH), access->path);
    write_number(&json, JSON_KEY(LOG_REQUEST_BYTES), (int64_t)access->request_bytes);
    write_number(&json, JSON_KEY(LOG_STATUS), access->status);
    write_number(&json, JSON_KEY(LOG_RESPONSE_BYTES), (int64_t)access->answer_bytes);
    if (access->model) {
        write_text(&json, JSON_KEY(LOG_MODEL), access->model);
        write_text(&json, JSON_KEY(LOG_ASSIGNED), access->assigned);
        write_text(&json, JSON_KEY(LOG_VERSION), access->tag);
        write_text(&json, JSON_KEY(LOG_REASON), access->reason);
        write_number(&json, JSON_KEY(LOG_TRIES), access->tries);
        json_raw_key(&json, JSON_KEY(LOG_FALLBACK));
        json_write_boolean(&json, access->fell_back);
        json_raw_key(&json, JSON_KEY(LOG_MIRRORED));
        json_write_boolean(&json, access->mirrored);
    }
    if (access->trace_id)
        write_text(&json, JSON_KEY(LOG_TRACE_ID), access->trace_id);
    if (access->why)
        write_text(&json, JSON_KEY(LOG_ERROR), access->why);
    json_end_object(&json);
    if (!line->failed)
        options->log(options->log_user, line->bytes, line->size);
}
