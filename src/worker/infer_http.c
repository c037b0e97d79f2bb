/*
 * infer_http.c - POST /v2/models/{model}/infer: the Open Inference Protocol over the batcher.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Small JSON is read on the loop's thread; a tensor written out in JSON takes tens of milliseconds to scan, so it goes
 * through libuv's pool first. Its numbers are read by the batcher's pool in either case.
 */
#include "worker/service.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_JSON_ON_LOOP (64u << 10)

/* ---- answering ---- */

static void respond(struct request *request, struct bytes *body, size_t json_size)
{
    bool binary = json_size < body->size;
    struct buffer fields;

    buffer_init(&fields, 1024);
    http_write_field(&fields, "Content-Type", binary ? "application/octet-stream" : "application/json");
    if (binary)
        http_write_field(&fields, "Inference-Header-Content-Length", "%zu", json_size);
    request_write_timing(request, &fields);
    request_respond(request, 200, &fields, body);
    buffer_done(&fields);
}

static void answer_tensors(struct request *request)
{
    struct bytes *body = request->tensors;

    if (request_fail_if_all_did(request))
        return;
    request->tensors = NULL;
    respond(request, body, request->tensors_json_size);
}

/* {"error":{...}} for a picture among others that could be read. */
static char *failure_text(const struct request *request, const struct job *job)
{
    struct json_writer json;
    const char *message;
    struct buffer text;
    char code[32], *stolen;

    job_error(request, job, code, sizeof(code), &message);
    buffer_init(&text, 4096);
    json_init(&json, &text);
    json_begin_object(&json);
    write_error_object(&json, code, message);
    json_end_object(&json);
    stolen = buffer_steal(&text);
    buffer_done(&text);
    return stolen;
}

static void answer_images(struct request *request)
{
    char *failures[REQUEST_MAX_IMAGES] = {NULL};
    const char *texts[REQUEST_MAX_IMAGES];
    struct serin_error error;
    struct bytes *body = NULL;
    size_t json_size = 0;
    enum serin_errc rc;
    int i;

    if (request_fail_if_all_did(request))
        return;
    for (i = 0; i < request->count; i++) {
        if (!job_succeeded(&request->jobs[i]))
            failures[i] = failure_text(request, &request->jobs[i]);
        texts[i] = job_succeeded(&request->jobs[i]) ? request->jobs[i].results : failures[i] ? failures[i] : "null";
    }
    rc = infer_answer_images(&request->service->infer, &request->infer, texts, &body, &json_size, &error);
    for (i = 0; i < request->count; i++)
        free(failures[i]);
    if (rc == SERIN_OK)
        respond(request, body, json_size);
    else
        request_fail_error(request, &error);
}

/* ---- the work of a job for tensors ---- */

static enum serin_errc fill(struct job *job, void *tensor, struct serin_error *error)
{
    const struct request *request = job->owner;

    return infer_fill(&request->service->infer, &request->infer, tensor, error);
}

static enum serin_errc take(struct job *job, const struct engine_outputs *outputs, size_t index, size_t batch,
                            struct serin_error *error)
{
    struct request *request = job->owner;

    return infer_answer_tensors(&request->service->infer, &request->infer, outputs, index, batch, &request->tensors,
                                &request->tensors_json_size, error);
}

static const struct tensor_work tensor_work = {fill, take};

/* ---- reading ---- */

static void submit(struct request *request)
{
    const struct infer_request *infer = &request->infer;
    struct job *job;
    int i;

    if (!request_add_jobs(request, infer->images ? infer->image_count : 1))
        return;
    for (i = 0; infer->images && i < infer->image_count; i++) {
        request->jobs[i].bytes = infer->pictures[i].bytes;
        request->jobs[i].size = infer->pictures[i].size;
    }
    if (!infer->images) {
        job = &request->jobs[0];
        job->work = &tensor_work;
        job->batch = (int)infer->shape[0];
        job->tensor_bytes = infer_input_bytes(&request->service->infer, infer);
        job->letterbox.input_height = (int32_t)infer->shape[2];
        job->letterbox.input_width = (int32_t)infer->shape[3];
    }
    request_submit(request, infer->images ? answer_images : answer_tensors);
}

static enum serin_errc read_request(struct request *request, struct serin_error *error)
{
    return infer_read(&request->service->infer, request->body->data, request->body->size, request->infer_json_size,
                      &request->parameters, &request->infer, error);
}

static void read_in_pool(uv_work_t *reader)
{
    struct request *request = reader->data;

    if (read_request(request, &request->read_error) == SERIN_OK)
        request->read_error.code = SERIN_OK;
}

static void after_reading(uv_work_t *reader, int status)
{
    struct request *request = reader->data;

    request->service->reading--;
    if (status != 0)
        request_fail(request, 503, "cancelled", "the server is going down");
    else if (request->read_error.code != SERIN_OK)
        request_fail_error(request, &request->read_error);
    else
        submit(request);
}

/* Inference-Header-Content-Length; INFER_WHOLE where it is missing. */
static bool read_json_size(const struct http_exchange *exchange, size_t *ret)
{
    const struct http_slice *field = http_find(http_exchange_head(exchange), "Inference-Header-Content-Length");
    char text[12];

    *ret = INFER_WHOLE;
    if (!field)
        return true;
    if (!http_slice_copy(*field, text, sizeof(text)) || !*text || strspn(text, "0123456789") != strlen(text))
        return false;
    *ret = strtoull(text, NULL, 10);
    return true;
}

void infer_handle(struct service *service, struct http_exchange *exchange)
{
    struct request *request = request_begin(service, exchange, true);
    struct serin_error error;
    size_t json_size;

    if (!request)
        return;
    if (!read_json_size(exchange, &json_size)) {
        request_fail(request, 400, "invalid", "Inference-Header-Content-Length is not a number of bytes");
        return;
    }
    request->infer_json_size = json_size;
    if ((json_size < request->body->size ? json_size : request->body->size) <= MAX_JSON_ON_LOOP) {
        if (read_request(request, &error) == SERIN_OK)
            submit(request);
        else
            request_fail_error(request, &error);
        return;
    }
    if (service->reading >= service->options->max_queue) {
        request_fail(request, 503, "overloaded", "the queue is full, try again later");
        return;
    }
    service->reading++;
    request->reader.data = request;
    if (uv_queue_work(&service->loop, &request->reader, read_in_pool, after_reading) != 0) {
        service->reading--;
        request_fail(request, 503, "overloaded", "the request could not be queued");
    }
}
