/*
 * predict_http.c - POST /v1/predict: pictures in a body or a form, Ultralytics' results out.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/service.h"

#include "base/json.h"

#include <string.h>

#define MAX_ANSWER_BYTES ((size_t)512 << 20)

/* ---- reading ---- */

static enum serin_errc read_field(struct request *request, const struct multipart_part *part, unsigned *seen,
                                  struct serin_error *error)
{
    char name[PARAMETERS_MAX_TEXT + 1], text[PARAMETERS_MAX_TEXT + 1];

    if (!http_slice_copy(part->name, name, sizeof(name)) || strlen(name) != part->name.size)
        return error_set(error, SERIN_INVALID, "a name in the form is not a text of at most %d bytes",
                         PARAMETERS_MAX_TEXT);
    if (!http_slice_copy(part->body, text, sizeof(text)) || strlen(text) != part->body.size)
        return request_set_once(request, name, NULL, seen, "form", error);
    return request_set_once(request, name, text, seen, "form", error);
}

static bool read_form(struct request *request, struct http_slice content_type)
{
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    struct serin_error error;
    int part_count = 0, images = 0, i;
    unsigned seen = 0;
    enum serin_errc rc;

    rc = multipart_parse(content_type, request->body->data, request->body->size, parts, &part_count, &error);
    for (i = 0; i < part_count && rc == SERIN_OK; i++)
        images += multipart_is_picture(&parts[i]);
    if (rc == SERIN_OK && images == 0) /* before the fields: a picture named "img" is no imgsz */
        rc = error_set(&error, SERIN_INVALID, "the form of %d parts has none named 'file' or 'image'", part_count);
    if (rc == SERIN_OK && images > REQUEST_MAX_IMAGES)
        rc = error_set(&error, SERIN_LIMIT, "the form has %d images, the limit is %d", images, REQUEST_MAX_IMAGES);
    for (i = 0; i < part_count && rc == SERIN_OK; i++)
        if (!multipart_is_picture(&parts[i]))
            rc = read_field(request, &parts[i], &seen, &error);
    if (rc != SERIN_OK) {
        request_fail_error(request, &error);
        return false;
    }
    if (!request_add_jobs(request, images))
        return false;
    for (i = 0, images = 0; i < part_count; i++) {
        if (!multipart_is_picture(&parts[i]))
            continue;
        request->jobs[images].bytes = (const uint8_t *)parts[i].body.bytes;
        request->jobs[images++].size = parts[i].body.size;
    }
    return true;
}

static bool is_form(const struct http_slice *content_type)
{
    static const char wanted[] = "multipart/";

    return content_type && content_type->size >= sizeof(wanted) - 1 &&
           strncasecmp(content_type->bytes, wanted, sizeof(wanted) - 1) == 0;
}

static bool read_pictures(struct request *request)
{
    const struct http_slice *content_type = http_find(http_exchange_head(request->exchange), "Content-Type");

    if (is_form(content_type))
        return read_form(request, *content_type);
    if (request->body->size == 0) {
        request_fail(request, 400, "invalid", "the body is empty: send an image, or a form with parts named 'file'");
        return false;
    }
    if (!request_add_jobs(request, 1))
        return false;
    request->jobs[0].bytes = request->body->data;
    request->jobs[0].size = request->body->size;
    return true;
}

/* ---- answering ---- */

static void write_milliseconds(struct json_writer *json, const char *key, double value)
{
    json_key(json, key);
    json_write_rounded(json, value, 3);
}

static void write_picture(struct json_writer *json, const struct request *request, const struct job *job)
{
    const char *message;
    char code[32];

    json_begin_object(json);
    if (!job_succeeded(job)) {
        job_error(request, job, code, sizeof(code), &message);
        write_error_object(json, code, message);
        json_end_object(json);
        return;
    }
    json_key(json, "shape");
    json_begin_array(json);
    json_write_integer(json, job->letterbox.image_height);
    json_write_integer(json, job->letterbox.image_width);
    json_end_array(json);
    json_key(json, "speed");
    json_begin_object(json);
    write_milliseconds(json, "preprocess", job->speed.preprocess_ms);
    write_milliseconds(json, "inference", job->speed.inference_ms);
    write_milliseconds(json, "postprocess", job->speed.postprocess_ms);
    json_end_object(json);
    json_key(json, "light");
    json_write_rounded(json, job->light, 4);
    json_key(json, "sharpness");
    json_write_rounded(json, job->sharpness, 2);
    json_key(json, "results");
    json_write_raw(json, job->results);
    json_end_object(json);
}

static void answer(struct request *request)
{
    struct buffer fields, text;
    struct json_writer json;
    struct serin_error error;
    enum serin_errc rc;
    int i;

    if (request_fail_if_all_did(request))
        return;
    buffer_init(&text, MAX_ANSWER_BYTES);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, "model");
    json_write_string(&json, request->service->model);
    json_key(&json, "version");
    json_write_string(&json, request->service->version);
    json_key(&json, "request_id");
    json_write_string(&json, request->id);
    json_key(&json, "images");
    json_begin_array(&json);
    for (i = 0; i < request->count; i++)
        write_picture(&json, request, &request->jobs[i]);
    json_end_array(&json);
    json_end_object(&json);
    rc = buffer_check(&text, "the answer", &error);
    if (rc != SERIN_OK) {
        request_fail_error(request, &error);
    } else {
        buffer_init(&fields, 1024);
        http_write_field(&fields, "Content-Type", "application/json");
        request_write_timing(request, &fields);
        request_respond(request, 200, &fields, bytes_of(&text));
        buffer_done(&fields);
    }
    buffer_done(&text);
}

void predict_handle(struct service *service, struct http_exchange *exchange)
{
    struct request *request = request_begin(service, exchange, false);

    if (request && request_read_query(request) && read_pictures(request))
        request_submit(request, answer);
}
