/*
 * feedback.c - POST /v1/feedback/REQUEST_ID: the truth about a frame, or which of two answers is right.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     {"boxes": [{"name": "person", "box": {"x1": 10, "y1": 20, "x2": 110, "y2": 220}}, ...]}    px; none: []
 *     {"right": "stable"}                                                         or canary, both, neither
 *
 * Boxes are written as answers have them, "class" (its number) may stand for "name". The gateway knows nothing of the
 * request any more: it checks the form, hands it on and says 202; whether it met an answer that is still kept is
 * counted by who takes it (the status page tells).
 */
#include "gateway/inside.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEEDBACK_BYTES ((size_t)256 << 10)

static const char *const right_names[] = {"neither", "stable", "canary", "both"};

static bool read_side(const json_t *box, const char *name, float *ret)
{
    const json_t *value = json_object_get(box, name);

    *ret = (float)json_number_value(value);
    return json_is_number(value) && fabsf(*ret) <= 1e6f;
}

static enum serin_errc read_box(const json_t *object, size_t index, struct gateway_box *ret, struct serin_error *error)
{
    const json_t *box = json_object_get(object, "box"), *name = json_object_get(object, "name"),
                 *number = json_object_get(object, "class");

    if (!json_is_object(object) || (json_string_length(name) == 0 && !json_is_integer(number)))
        return error_set(error, SERIN_INVALID, "boxes[%zu] has no 'name' (text) and no 'class' (a whole number)",
                         index);
    ret->class_id = -1;
    if (json_is_integer(number)) {
        if (json_integer_value(number) < 0 || json_integer_value(number) > INT32_MAX)
            return error_set(error, SERIN_INVALID, "boxes[%zu]: class %lld", index,
                             (long long)json_integer_value(number));
        ret->class_id = (int32_t)json_integer_value(number);
    }
    if (json_is_string(name) && json_string_length(name) >= sizeof(ret->name))
        return error_set(error, SERIN_INVALID, "boxes[%zu]: a name of %zu bytes, the limit is %zu", index,
                         json_string_length(name), sizeof(ret->name) - 1);
    snprintf(ret->name, sizeof(ret->name), "%s", json_is_string(name) ? json_string_value(name) : "");
    if (!read_side(box, "x1", &ret->x1) || !read_side(box, "y1", &ret->y1) || !read_side(box, "x2", &ret->x2) ||
        !read_side(box, "y2", &ret->y2) || ret->x2 < ret->x1 || ret->y2 < ret->y1)
        return error_set(error, SERIN_INVALID,
                         "boxes[%zu]: 'box' must have x1, y1, x2, y2 in pixels, x1 <= x2 and y1 <= y2", index);
    return SERIN_OK;
}

enum serin_errc feedback_read(const uint8_t *text, size_t size, struct gateway_feedback **ret,
                              struct serin_error *error)
{
    json_error_t where;
    json_t *root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *boxes = json_object_get(root, "boxes"), *right = json_object_get(root, "right");
    struct gateway_feedback *feedback = NULL;
    enum serin_errc rc = SERIN_OK;
    size_t i, count = json_array_size(boxes);

    if (!root)
        rc = error_set(error, SERIN_INVALID, "the body is no JSON: %s, line %d", where.text, where.line);
    else if (json_object_size(root) != 1 || (!json_is_array(boxes) && !json_is_string(right)))
        rc = error_set(error, SERIN_INVALID, "the body must be {\"boxes\": [...]} or {\"right\": \"stable\"}");
    else if (count > GATEWAY_MAX_BOXES)
        rc = error_set(error, SERIN_LIMIT, "%zu boxes, the limit is %d", count, GATEWAY_MAX_BOXES);
    if (rc == SERIN_OK) {
        feedback = calloc(1, sizeof(*feedback) + count * sizeof(feedback->boxes[0]));
        if (!feedback)
            rc = error_set(error, SERIN_NOMEM, "no memory for %zu boxes", count);
    }
    if (rc == SERIN_OK && right) {
        for (i = 0; i < 4 && strcmp(json_string_value(right), right_names[i]) != 0; i++)
            ;
        feedback->is_choice = true;
        feedback->choice = (enum gateway_choice)i;
        if (i == 4)
            rc = error_set(error, SERIN_INVALID, "'right' is '%.40s'; it can be stable, canary, both or neither",
                           json_string_value(right));
    }
    for (i = 0; i < count && rc == SERIN_OK; i++) {
        rc = read_box(json_array_get(boxes, i), i, &feedback->boxes[i], error);
        feedback->box_count++;
    }
    json_decref(root);
    if (rc != SERIN_OK) {
        free(feedback);
        return rc;
    }
    *ret = feedback;
    return SERIN_OK;
}

bool feedback_answer(struct thread *thread, struct http_exchange *exchange)
{
    static const char root[] = "/v1/feedback/";
    const struct http_head *head = http_exchange_head(exchange);
    const struct bytes *body = http_exchange_body(exchange);
    struct http_slice id;
    struct gateway_sighting *sighting;
    struct serin_error error;
    enum serin_errc rc;

    if (head->path.size < sizeof(root) || memcmp(head->path.bytes, root, sizeof(root) - 1) != 0)
        return false;
    if (!http_slice_is(head->method, "POST")) {
        own_respond_error(thread, exchange, 405, "feedback is posted");
        return true;
    }
    if (body->size > MAX_FEEDBACK_BYTES) {
        own_respond_error(thread, exchange, 413, "feedback is larger than 256 KiB");
        return true;
    }
    sighting = calloc(1, sizeof(*sighting));
    if (!sighting) {
        own_respond_error(thread, exchange, 503, "no memory for feedback");
        return true;
    }
    sighting->kind = GATEWAY_SAW_FEEDBACK;
    id = (struct http_slice){head->path.bytes + sizeof(root) - 1, head->path.size - (sizeof(root) - 1)};
    if (!http_decode_segment(id, sighting->request_id, sizeof(sighting->request_id))) {
        own_respond_error(thread, exchange, 404, "no request id of 1 to 63 bytes");
        gateway_sighting_free(sighting);
        return true;
    }
    rc = feedback_read(body->data, body->size, &sighting->feedback, &error);
    if (rc != SERIN_OK) {
        own_respond_error(thread, exchange,
                          rc == SERIN_NOMEM   ? 503
                          : rc == SERIN_LIMIT ? 413
                                              : 400,
                          "%s", error.message);
        gateway_sighting_free(sighting);
    } else if (!tap_push(thread, sighting)) {
        own_respond_error(thread, exchange, 503, "more feedback has come than was taken");
    } else {
        own_accept(thread, exchange);
    }
    return true;
}
