/*
 * trace.c - a request that is traced: its ids, where it went, and when.
 * SPDX-License-Identifier: Apache-2.0
 *
 * W3C Trace Context: a client that traces says so in traceparent, and then its word decides; of the others a share is
 * drawn. What is noted here is handed over whole when the client has its answer; making spans of it, and sending them,
 * is somebody else's, on another thread. A request that is not traced costs one look for a field, and nothing where
 * tracing is off.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>

#define PARENT_BYTES 55 /* "00-" 32 digits "-" 16 digits "-" 2 digits */
#define SAMPLED      1

static bool is_hex(const char *text, size_t size)
{
    size_t i;

    for (i = 0; i < size && ((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')); i++)
        ;
    return i == size;
}

static bool is_zero(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] == '0')
        size--;
    return size == 0;
}

/* Section 3.2: version ff is none; versions to come may have more behind a dash. */
static bool read_parent(const struct http_slice *field, struct gateway_trace *trace, bool *ret_sampled)
{
    const char *text = field ? field->bytes : NULL;

    if (!field || field->size < PARENT_BYTES || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !is_hex(text, 2) || !is_hex(text + 3, 32) || !is_hex(text + 36, 16) || !is_hex(text + 53, 2) ||
        memcmp(text, "ff", 2) == 0 || is_zero(text + 3, 32) || is_zero(text + 36, 16))
        return false;
    if (field->size > PARENT_BYTES && (memcmp(text, "00", 2) == 0 || text[PARENT_BYTES] != '-'))
        return false;
    memcpy(trace->trace_id, text + 3, 32);
    memcpy(trace->parent_id, text + 36, 16);
    *ret_sampled = (text[54] >= 'a' ? text[54] - 'a' + 10 : text[54] - '0') & SAMPLED;
    return true;
}

static void draw_span_id(struct thread *thread, char id[GATEWAY_SPAN_ID_BYTES])
{
    char random[THREAD_ID_BYTES];

    thread_random_id(thread, random);
    snprintf(id, GATEWAY_SPAN_ID_BYTES, "%.16s", random);
}

struct gateway_trace *trace_begin(struct thread *thread, const struct http_head *head)
{
    const struct gateway_options *options = &thread->gateway->options;
    struct gateway_trace found = {0}, *trace;
    bool sampled = false;

    if (!options->trace)
        return NULL;
    if (!read_parent(http_find(head, "traceparent"), &found, &sampled)) {
        sampled = thread_chance(thread, options->trace_sample);
        if (sampled)
            thread_random_id(thread, found.trace_id);
    }
    trace = sampled ? malloc(sizeof(*trace)) : NULL;
    if (!trace)
        return NULL;
    draw_span_id(thread, found.span_id);
    *trace = found;
    return trace;
}

void trace_write_parent(const struct gateway_trace *trace, struct buffer *out)
{
    http_write_field(out, "traceparent", "00-%s-%s-01", trace->trace_id, trace->span_id);
}

void trace_try_started(struct thread *thread, struct gateway_trace *trace, struct buffer *head, const char *tag,
                       const char *endpoint)
{
    struct gateway_try *at;
    int i;

    if (!trace || trace->try_count == GATEWAY_MAX_TRIES)
        return;
    at = &trace->tries[trace->try_count++];
    draw_span_id(thread, at->span_id);
    for (i = 0; i < GATEWAY_STAGE_COUNT; i++)
        draw_span_id(thread, at->stage_ids[i]);
    snprintf(at->version, sizeof(at->version), "%s", tag);
    snprintf(at->endpoint, sizeof(at->endpoint), "%s", endpoint);
    at->start_ns = clock_now_ns();
    /* The version's own spans are this try's children: trace_write_parent's field is the last of the head. */
    if (!head->failed)
        memcpy(head->bytes + head->size - strlen("-01\r\n") - 16, at->span_id, 16);
}

void trace_try_ended(struct gateway_trace *trace, int status, const char *why, const struct work *work)
{
    struct gateway_try *at = trace && trace->try_count > 0 ? &trace->tries[trace->try_count - 1] : NULL;

    if (!at || at->end_ns)
        return;
    at->end_ns = clock_now_ns();
    at->status = status;
    at->why = why;
    if (work && work->stages_told) {
        at->stages_told = true;
        at->batch = work->batch;
        memcpy(at->stage_us, work->stage_us, sizeof(at->stage_us));
    }
}

static void copy_slice(struct http_slice slice, char *text, size_t size)
{
    snprintf(text, size, "%.*s", (int)(slice.size < size ? slice.size : size - 1), slice.bytes);
}

void trace_end(struct thread *thread, struct gateway_trace *trace, const struct access *access)
{
    const struct gateway_options *options = &thread->gateway->options;
    struct timespec wall;

    if (!trace)
        return;
    trace_try_ended(trace, 0, access->why, NULL); /* one that was under way when the client went */
    trace->start_ns = access->started_ns;
    trace->end_ns = clock_now_ns();
    clock_gettime(CLOCK_REALTIME, &wall);
    trace->wall_offset_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec - trace->end_ns;
    copy_slice(access->method, trace->method, sizeof(trace->method));
    copy_slice(access->path, trace->path, sizeof(trace->path));
    snprintf(trace->peer, sizeof(trace->peer), "%s", access->peer);
    snprintf(trace->request_id, sizeof(trace->request_id), "%s", access->request_id);
    snprintf(trace->model, sizeof(trace->model), "%s", access->model);
    snprintf(trace->assigned, sizeof(trace->assigned), "%s", access->assigned);
    snprintf(trace->version, sizeof(trace->version), "%s", access->tag);
    trace->reason = access->reason;
    trace->why = access->why;
    trace->status = access->status;
    trace->by_tls = options->server.tls && strncmp(thread->gateway->listen, "unix:", 5) != 0;
    trace->fell_back = access->fell_back;
    trace->request_bytes = access->request_bytes;
    trace->answer_bytes = access->answer_bytes;
    options->trace(options->trace_user, trace);
}
