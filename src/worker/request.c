/*
 * request.c - a request's life: begun, its jobs queued, answered once all are done.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request is freed by its answer and by nothing else; a client that goes away only marks the jobs as cancelled, and
 * the answer, which nobody reads, ends the exchange. The timer's handle outlives the answer until libuv has let go of
 * it.
 */
#include "worker/service.h"

#include "base/clock.h"
#include "base/json.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MAX_ERROR_BYTES 8192
#define MAX_FIELD_BYTES 4096
#define GIVE_BACK_MS    2000 /* so a busy worker spends .1 % on it, and an idle one nothing */

/* ---- errors ---- */

int status_of(const struct request *request, enum serin_errc code)
{
    switch (code) {
    case SERIN_OK:
        return 200;
    case SERIN_INVALID:
    case SERIN_CORRUPT:
        return 400;
    case SERIN_LIMIT:
        return 413;
    case SERIN_UNSUPPORTED:
        return request->protocol_v2 ? 501 : 415; /* Triton's mapping */
    case SERIN_NOT_FOUND:
        return 404;
    case SERIN_NOMEM:
        return 503;
    case SERIN_IO:
    case SERIN_ENGINE:
    case SERIN_MODEL:
        break;
    }
    return 500;
}

bool job_succeeded(const struct job *job)
{
    return job->item.outcome == BATCH_FINISHED && job->error.code == SERIN_OK;
}

int job_error(const struct request *request, const struct job *job, char *code, size_t size, const char **ret_message)
{
    if (job->item.outcome == BATCH_EXPIRED) {
        snprintf(code, size, "timeout");
        *ret_message = "the request's time ran out before the model was free";
        return request->protocol_v2 ? 503 : 504; /* Triton says 503 */
    }
    if (job->item.outcome == BATCH_CANCELLED) {
        snprintf(code, size, "cancelled");
        *ret_message = "the client went away";
        return 499;
    }
    error_code_name(job->error.code, code, size);
    *ret_message = job->error.message;
    return status_of(request, job->error.code);
}

void write_error_object(struct json_writer *json, const char *code, const char *message)
{
    json_key(json, "error");
    json_begin_object(json);
    json_key(json, "code");
    json_write_string(json, code);
    json_key(json, "message");
    json_write_string(json, message);
    json_end_object(json);
}

struct bytes *bytes_of(const struct buffer *buffer)
{
    struct bytes *bytes = bytes_new(buffer->size);

    if (bytes && buffer->size) {
        memcpy(bytes->data, buffer->bytes, buffer->size);
        bytes->size = buffer->size;
    }
    return bytes;
}

/* ---- the end ---- */

static void free_request(struct request *request)
{
    uv_timer_t *give_back = &request->service->give_back;
    int i;

    for (i = 0; i < request->count; i++)
        job_done(&request->jobs[i]);
    free(request->jobs);
    infer_request_done(&request->infer);
    bytes_drop(request->tensors);
    bytes_drop(request->body);
    free(request);
    if (!uv_is_active((uv_handle_t *)give_back))
        uv_timer_start(give_back, service_give_back, GIVE_BACK_MS, 0);
}

void service_give_back(uv_timer_t *give_back)
{
    (void)give_back;
    malloc_trim(0); /* a millisecond or two */
}

static void timer_closed(uv_handle_t *timer)
{
    free_request(timer->data);
}

void request_respond(struct request *request, int status, const struct buffer *more_fields, struct bytes *body)
{
    struct statistics *statistics = &request->service->statistics;
    struct buffer fields;

    statistics->answers_2xx += status < 400;
    statistics->answers_4xx += status >= 400 && status < 500;
    statistics->answers_5xx += status >= 500;
    buffer_init(&fields, MAX_FIELD_BYTES);
    http_write_field(&fields, "X-Request-Id", "%s", request->id);
    http_write_field(&fields, "X-Serin-Version", "%s", request->service->version);
    if (more_fields && more_fields->size)
        buffer_append(&fields, more_fields->bytes, more_fields->size);
    http_respond(request->exchange, status, &fields, body);
    buffer_done(&fields);
    if (request->has_timer)
        uv_close((uv_handle_t *)&request->timer, timer_closed);
    else
        free_request(request);
}

static void fail_text(struct request *request, int status, const char *code, const char *message, int retry_after_s)
{
    struct buffer fields, text;
    struct json_writer json;

    buffer_init(&fields, MAX_FIELD_BYTES);
    buffer_init(&text, MAX_ERROR_BYTES);
    json_init(&json, &text);
    json_begin_object(&json);
    if (request->protocol_v2) {
        json_key(&json, "error");
        json_write_string(&json, message);
    } else {
        write_error_object(&json, code, message);
        json_key(&json, "request_id");
        json_write_string(&json, request->id);
    }
    json_end_object(&json);
    http_write_field(&fields, "Content-Type", "application/json");
    if (retry_after_s > 0)
        http_write_field(&fields, "Retry-After", "%d", retry_after_s);
    request_respond(request, status, &fields, bytes_of(&text));
    buffer_done(&fields);
    buffer_done(&text);
}

void request_fail(struct request *request, int status, const char *code, const char *format, ...)
{
    struct serin_error sentence;
    va_list arguments;
    char text[sizeof(sentence.message)];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(&sentence, SERIN_INVALID, "%s", text); /* replaces control characters */
    fail_text(request, status, code, sentence.message, 0);
}

void request_fail_error(struct request *request, const struct serin_error *error)
{
    char code[32];

    error_code_name(error->code, code, sizeof(code));
    fail_text(request, status_of(request, error->code), code, error->message, error->code == SERIN_NOMEM ? 1 : 0);
}

void request_write_timing(const struct request *request, struct buffer *fields)
{
    int pictures = 0, together, batch = 0, detections = 0, i, stage;
    double longest[STAGES] = {0};
    bool is_known = true; /* how many detections there are: not in raw tensors */

    for (i = 0; i < request->count; i++) {
        for (stage = 0; stage < STAGES; stage++) {
            double ms = job_stage_ms(&request->jobs[i], (enum stage)stage);

            longest[stage] = ms > longest[stage] ? ms : longest[stage];
        }
        if (!job_succeeded(&request->jobs[i]))
            continue;
        pictures += request->jobs[i].batch;
        together = request->jobs[i].batch > 1 ? request->jobs[i].batch : request->jobs[i].item.batch_size;
        batch = together > batch ? together : batch;
        detections += request->jobs[i].detections;
        is_known = is_known && !request->jobs[i].work;
    }
    http_write_field(fields, "Server-Timing", "decode;dur=%.3f, queue;dur=%.3f, inference;dur=%.3f, post;dur=%.3f",
                     longest[STAGE_DECODE], longest[STAGE_QUEUE], longest[STAGE_INFERENCE], longest[STAGE_POST]);
    if (is_known)
        http_write_field(fields, "X-Serin-Work", "pictures=%d, batch=%d, detections=%d", pictures, batch, detections);
    else
        http_write_field(fields, "X-Serin-Work", "pictures=%d, batch=%d", pictures, batch);
}

bool request_fail_if_all_did(struct request *request)
{
    const char *message;
    char code[32];
    int i, status;

    for (i = 0; i < request->count; i++)
        if (job_succeeded(&request->jobs[i]))
            return false;
    status = job_error(request, &request->jobs[0], code, sizeof(code), &message);
    if (status == 499) /* nobody reads it */
        status = 503;
    fail_text(request, status, code, message, status == 503 ? 1 : 0);
    return true;
}

/* ---- the beginning ---- */

/* Ours where the client gave none, or one that is no plain word. */
static void set_id(struct request *request, const struct http_slice *given)
{
    uint64_t random[2];
    size_t i;

    if (given && given->size >= 1 && http_slice_copy(*given, request->id, sizeof(request->id))) {
        for (i = 0; request->id[i] > ' ' && request->id[i] < 0x7f; i++)
            ;
        if (!request->id[i])
            return;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random[0] = clock_now_ns(), random[1] = (uint64_t)(uintptr_t)request;
    snprintf(request->id, sizeof(request->id), "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

static enum serin_errc set_parameter(struct request *request, const char *name, const char *value,
                                     struct serin_error *error)
{
    const struct service *service = request->service;

    return parameters_set(&request->parameters, name, value, service->info, service->max_input_px, error);
}

static enum serin_errc read_fields(struct request *request, const struct http_head *head, struct serin_error *error)
{
    const struct http_slice *priority = http_find(head, "X-Priority");
    const struct http_slice *timeout = http_find(head, "X-Request-Timeout-Ms");
    char text[32];
    enum serin_errc rc = SERIN_OK;

    if (priority && (!http_slice_copy(*priority, text, sizeof(text)) ||
                     (rc = set_parameter(request, "priority", text, error)) != SERIN_OK))
        return rc ? error_prefix(error, rc, "X-Priority")
                  : error_set(error, SERIN_INVALID, "X-Priority is not a whole number from %d to %d", BATCHER_HIGHEST,
                              BATCHER_LOWEST);
    if (timeout) {
        size_t digits;

        if (!http_slice_copy(*timeout, text, 10) || (digits = strspn(text, "0123456789")) == 0 || text[digits])
            return error_set(error, SERIN_INVALID,
                             "X-Request-Timeout-Ms is not a whole number of milliseconds below a thousand million");
        request->parameters.timeout_us = strtoull(text, NULL, 10) * 1000;
    }
    return SERIN_OK;
}

struct request *request_begin(struct service *service, struct http_exchange *exchange, bool protocol_v2)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct http_slice *encoding = http_find(head, "Content-Encoding");
    struct request *request = calloc(1, sizeof(*request));
    struct serin_error error;

    service->statistics.requests++;
    if (!request) {
        http_respond_error(exchange, 503, "no memory for a request");
        return NULL;
    }
    request->service = service;
    request->exchange = exchange;
    request->protocol_v2 = protocol_v2;
    request->body = bytes_share(http_exchange_body(exchange));
    set_id(request, http_find(head, "X-Request-Id"));
    parameters_init(&request->parameters, &service->defaults);
    if (encoding && encoding->size && !http_slice_is_name(*encoding, "identity")) {
        request_fail(request, 415, "unsupported", "bodies with a Content-Encoding are not taken");
        return NULL;
    }
    if (read_fields(request, head, &error) != SERIN_OK) {
        request_fail_error(request, &error);
        return NULL;
    }
    return request;
}

enum serin_errc request_set_once(struct request *request, const char *name, const char *value, unsigned *seen,
                                 const char *where, struct serin_error *error)
{
    int at;
    enum serin_errc rc = parameters_find(name, &at, error);

    if (rc != SERIN_OK || at < 0)
        return rc;
    if (*seen & 1u << at)
        return error_set(error, SERIN_INVALID, "the %s has %s twice", where, name);
    *seen |= 1u << at;
    if (!value)
        return error_set(error, SERIN_INVALID, "%s in the %s is not a text of at most %d bytes", name, where,
                         PARAMETERS_MAX_TEXT);
    return set_parameter(request, name, value, error);
}

bool request_read_query(struct request *request)
{
    struct http_slice query = http_exchange_head(request->exchange)->query, name, value;
    char name_text[PARAMETERS_MAX_TEXT + 1], text[PARAMETERS_MAX_TEXT + 1];
    enum serin_errc rc = SERIN_OK;
    struct serin_error error;
    unsigned seen = 0;

    while (rc == SERIN_OK && http_query_next(&query, &name, &value)) {
        if (!http_query_decode(name, name_text, sizeof(name_text)))
            rc = error_set(&error, SERIN_INVALID, "a name in the query is not a text of at most %d bytes",
                           PARAMETERS_MAX_TEXT);
        else
            rc = request_set_once(request, name_text, http_query_decode(value, text, sizeof(text)) ? text : NULL, &seen,
                                  "query", &error);
    }
    if (rc != SERIN_OK)
        request_fail_error(request, &error);
    return rc == SERIN_OK;
}

bool request_add_jobs(struct request *request, int count)
{
    int i;

    request->jobs = calloc((size_t)count, sizeof(*request->jobs));
    if (!request->jobs) {
        request_fail(request, 503, "nomem", "no memory for %d pictures", count);
        return false;
    }
    request->count = count;
    for (i = 0; i < count; i++) {
        request->jobs[i].owner = request;
        request->jobs[i].options = &request->parameters.options;
        request->jobs[i].batch = 1;
    }
    return true;
}

/* ---- in the batcher's hands ---- */

static void deadline_passed(uv_timer_t *timer)
{
    struct request *request = timer->data;

    batcher_sweep(request->service->batcher);
}

static void client_gone(void *user)
{
    struct request *request = user;
    int i;

    request->aborted = true;
    for (i = 0; i < request->count; i++)
        atomic_store(&request->jobs[i].item.cancelled, true);
    batcher_sweep(request->service->batcher);
}

static void start_timer(struct request *request)
{
    uint64_t now = clock_now_ns();
    uint64_t left_ms = request->deadline_ns > now ? (request->deadline_ns - now + 999999) / 1000000 : 0;

    uv_timer_init(&request->service->loop, &request->timer);
    request->timer.data = request;
    request->has_timer = true;
    uv_update_time(&request->service->loop);
    uv_timer_start(&request->timer, deadline_passed, left_ms + 1, 0);
}

void request_submit(struct request *request, void (*answer)(struct request *request))
{
    struct batch_item *items[REQUEST_MAX_IMAGES];
    struct service *service = request->service;
    struct serin_error error;
    int retry_after_s = 1, i;

    BUG_ON(request->count < 1 || request->count > REQUEST_MAX_IMAGES);
    if (yolo_check_options(service->yolo, &request->parameters.options, &error) != SERIN_OK) {
        request_fail_error(request, &error);
        return;
    }
    if (request->parameters.timeout_us)
        request->deadline_ns = http_exchange_started_ns(request->exchange) + request->parameters.timeout_us * 1000;
    for (i = 0; i < request->count; i++) {
        request->jobs[i].item.priority = request->parameters.priority;
        request->jobs[i].item.deadline_ns = request->deadline_ns;
        items[i] = &request->jobs[i].item;
    }
    request->answer = answer;
    atomic_init(&request->left, request->count);
    if (!batcher_offer(service->batcher, items, request->count, &retry_after_s)) {
        fail_text(request, 503, "overloaded", "the queue is full, try again later", retry_after_s);
        return;
    }
    /* The jobs may be done already; their answer waits for this thread. */
    if (request->deadline_ns)
        start_timer(request);
    http_exchange_on_abort(request->exchange, client_gone, request);
}

void service_job_done(void *user, struct batch_item *item)
{
    struct service *service = user;
    struct request *request = ((struct job *)item)->owner;

    if (atomic_fetch_sub(&request->left, 1) != 1)
        return;
    pthread_mutex_lock(&service->lock);
    request->next = service->completed;
    service->completed = request;
    pthread_mutex_unlock(&service->lock);
    uv_async_send(&service->wake_up);
}

/* A request that has lost a picture to more urgent ones has lost its place, as if it had been refused. */
static const struct job *find_displaced(const struct request *request)
{
    int i;

    for (i = 0; i < request->count; i++)
        if (request->jobs[i].item.outcome == BATCH_DISPLACED)
            return &request->jobs[i];
    return NULL;
}

void service_answer_completed(uv_async_t *wake_up)
{
    struct service *service = wake_up->data;
    struct request *list, *next, *in_order = NULL;
    const struct job *displaced;
    int i;

    pthread_mutex_lock(&service->lock);
    list = service->completed;
    service->completed = NULL;
    pthread_mutex_unlock(&service->lock);
    for (; list; list = next) { /* the newest is first */
        next = list->next;
        list->next = in_order;
        in_order = list;
    }
    for (; in_order; in_order = next) {
        next = in_order->next;
        for (i = 0; i < in_order->count; i++)
            statistics_add(&service->statistics, &in_order->jobs[i], job_succeeded(&in_order->jobs[i]));
        displaced = find_displaced(in_order);
        if (displaced)
            fail_text(in_order, 503, "overloaded",
                      "the queue is full, and what is more urgent goes first: try again later",
                      displaced->item.retry_after_s);
        else
            in_order->answer(in_order);
    }
}
