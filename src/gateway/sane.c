/*
 * sane.c - whether what a version on trial answers is an answer to what it was asked.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A version that is sick may well say "200" and give valid JSON: an error, nothing, the answer of another model. A
 * client would take it for the model's. What is asked for here is what the two protocols ask of every server, and no
 * more (docs/serving.md; Open Inference Protocol v2, "inference response JSON object"): whether boxes are right is the
 * judge's matter. All of an answer is looked at, however large: what a version may answer with is bounded by
 * answer_max_bytes.
 */
#include "gateway/inside.h"

#include "base/json_check.h"
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

/* What has been seen of an answer so far. A member that is read here must be there once at most: which of two a client
 * would take is its own choice. */
struct seen {
    const char *model;
    int pictures;          /* that were asked about; 0: not known */
    int elements, results; /* of "images" or "outputs", and those of them that are no error */
    bool lists, model_name;
    bool name, datatype, shape; /* of the present element */
    bool has_results, has_error;
};

static bool once(bool *seen)
{
    bool first = !*seen;

    *seen = true;
    return first;
}

static bool is_named(const struct json_check_value *value, int depth, const char *name)
{
    return value->names[depth - 1].bytes && json_check_reads(value->names[depth - 1], name);
}

/* {"model", "images": [{"results": [...]} or {"error": {...}}, ...]}. Where all have failed, the status is an error's.
 */
static bool see_prediction(void *user, const struct json_check_value *value)
{
    struct seen *seen = user;
    char first = value->text.bytes[0];

    switch (value->depth) {
    case 0:
        return first == '{' && seen->lists;
    case 1:
        if (is_named(value, 1, "model"))
            return once(&seen->model_name) && json_check_reads(value->text, seen->model);
        if (is_named(value, 1, "images"))
            return once(&seen->lists) && first == '[' && seen->results > 0 &&
                   (seen->pictures == 0 || seen->elements == seen->pictures);
        return true;
    case 2:
        if (!is_named(value, 1, "images"))
            return true;
        if (first != '{' || seen->has_results == seen->has_error)
            return false;
        seen->elements++;
        seen->results += seen->has_results;
        seen->has_results = seen->has_error = false;
        return true;
    default:
        if (!is_named(value, 1, "images"))
            return true;
        if (is_named(value, 3, "results"))
            return once(&seen->has_results) && first == '[';
        if (is_named(value, 3, "error"))
            return once(&seen->has_error) && first == '{';
        return true;
    }
}

/* {"model_name", "outputs": [{"name", "datatype", "shape"}, ...]}; the data may stand behind the JSON. */
static bool see_inference(void *user, const struct json_check_value *value)
{
    struct seen *seen = user;
    char first = value->text.bytes[0];

    switch (value->depth) {
    case 0:
        return first == '{' && seen->lists;
    case 1:
        if (is_named(value, 1, "model_name"))
            return once(&seen->model_name) && json_check_reads(value->text, seen->model);
        if (is_named(value, 1, "outputs"))
            return once(&seen->lists) && first == '[' && seen->elements > 0;
        return true;
    case 2:
        if (!is_named(value, 1, "outputs"))
            return true;
        if (first != '{' || !seen->name || !seen->datatype || !seen->shape)
            return false;
        seen->elements++;
        seen->name = seen->datatype = seen->shape = false;
        return true;
    default:
        if (!is_named(value, 1, "outputs"))
            return true;
        if (is_named(value, 3, "name"))
            return once(&seen->name) && first == '"';
        if (is_named(value, 3, "datatype"))
            return once(&seen->datatype) && first == '"';
        if (is_named(value, 3, "shape"))
            return once(&seen->shape) && first == '[';
        return true;
    }
}

/* How many pictures a request to /v1/predict holds; 0 where that cannot be told. */
static int count_pictures(const struct http_exchange *exchange)
{
    const struct http_slice *type = http_find(http_exchange_head(exchange), "Content-Type");
    const struct bytes *body = http_exchange_body(exchange);
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    int part_count = 0, pictures = 0, i;

    if (!type || type->size < 10 || strncasecmp(type->bytes, "multipart/", 10) != 0)
        return 1;
    if (multipart_parse(*type, body->data, body->size, parts, &part_count, NULL) != SERIN_OK)
        return 0;
    for (i = 0; i < part_count; i++)
        pictures += multipart_is_picture(&parts[i]);
    return pictures;
}

const char *sane_fault(const struct http_exchange *exchange, const char *model, const struct http_answer *answer)
{
    const struct http_head *asked = http_exchange_head(exchange);
    enum request_kind kind = request_kind_of(asked);
    const struct http_slice *type = http_find(answer->head, "Content-Type");
    const struct http_slice *length = http_find(answer->head, "Inference-Header-Content-Length");
    const struct bytes *body = answer->body;
    struct seen seen = {.model = model};
    json_check_told *see = kind == REQUEST_PREDICTION  ? see_prediction
                           : kind == REQUEST_INFERENCE ? see_inference
                                                       : NULL;
    size_t json_bytes = body->size;
    char digits[20];

    if (see && answer->head->status != 200)
        return "its status is no answer to a prediction";
    if (length && kind != REQUEST_PREDICTION) {
        json_bytes = http_slice_copy(*length, digits, sizeof(digits)) ? strtoull(digits, NULL, 10) : 0;
        if (json_bytes > body->size)
            return "the answer is no valid JSON";
    } else if (!type) { /* some servers say that they are ready with nothing but their status */
        return body->size == 0 && !http_slice_is(asked->method, "POST") ? NULL : "the answer is no valid JSON";
    } else if (type->size < 16 || strncasecmp(type->bytes, "application/json", 16) != 0) {
        return "the answer is no valid JSON";
    }
    if (kind == REQUEST_PREDICTION)
        seen.pictures = count_pictures(exchange);
    if (json_check_shape(body->data, json_bytes, see, &seen))
        return NULL;
    return see && json_check(body->data, json_bytes) ? "the answer is not one to what was asked"
                                                     : "the answer is no valid JSON";
}
