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

#define MEMBERS 3

/* An answer is {MODEL: "name", LIST: [{members}, ...]}. An element is an answer where it has just these members (bits),
 * and a failure with just those; where all have failed, the status is an error's. The data of outputs may stand behind
 * the JSON. */
struct form {
    const char *model, *list;
    struct {
        const char *name;
        char first; /* of its value */
    } members[MEMBERS];
    unsigned answer, failure;
};

static const struct form prediction = {
    "model", "images", {{"results", '['}, {"error", '{'}}, .answer = 1, .failure = 2};
static const struct form inference = {
    "model_name", "outputs", {{"name", '"'}, {"datatype", '"'}, {"shape", '['}}, .answer = 7, .failure = 7};

/* What has been seen of an answer so far. A member that is read here must be there once at most: which of two a client
 * would take is its own choice. */
struct seen {
    const struct form *form;
    const char *model;
    int pictures;          /* that were asked about; 0: not known */
    int elements, results; /* of the list, and those of them that are answers */
    bool lists, model_name;
    unsigned members; /* of the present element */
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

static bool see_member(struct seen *seen, const struct json_check_value *value)
{
    const struct form *form = seen->form;
    int i;

    for (i = 0; i < MEMBERS && form->members[i].name; i++) {
        if (!is_named(value, 3, form->members[i].name))
            continue;
        if (seen->members & 1U << i || value->text.bytes[0] != form->members[i].first)
            return false;
        seen->members |= 1U << i;
        break;
    }
    return true;
}

static bool see(void *user, const struct json_check_value *value)
{
    struct seen *seen = user;
    const struct form *form = seen->form;
    char first = value->text.bytes[0];
    unsigned members;

    if (value->depth == 0)
        return first == '{' && seen->lists;
    if (value->depth == 1 && is_named(value, 1, form->model))
        return once(&seen->model_name) && json_check_reads(value->text, seen->model);
    if (!is_named(value, 1, form->list))
        return true;
    if (value->depth == 1)
        return once(&seen->lists) && first == '[' && seen->results > 0 &&
               (seen->pictures == 0 || seen->elements == seen->pictures);
    if (value->depth > 2)
        return see_member(seen, value);
    members = seen->members;
    seen->members = 0;
    seen->elements++;
    seen->results += members == form->answer;
    return first == '{' && (members == form->answer || members == form->failure);
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
    struct seen seen = {.form = kind == REQUEST_PREDICTION  ? &prediction
                                : kind == REQUEST_INFERENCE ? &inference
                                                            : NULL,
                        .model = model};
    size_t json_bytes = body->size;
    char digits[20];

    if (seen.form && answer->head->status != 200)
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
    if (json_check_shape(body->data, json_bytes, seen.form ? see : NULL, &seen))
        return NULL;
    return seen.form && json_check(body->data, json_bytes) ? "the answer is not one to what was asked"
                                                           : "the answer is no valid JSON";
}
