/*
 * feedback.c - POST /v1/feedback/REQUEST_ID: the truth about a frame, or which of two answers is right.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     {"boxes": [{"name": "person", "box": {"x1": 10, "y1": 20, "x2": 110, "y2": 220}}, ...]}    px; none: []
 *     {"right": "stable"}                                                         or canary, both, neither
 *
 * Boxes are written as answers have them, "class" (its number) may stand for "name". The gateway knows nothing of the
 * request any more, not even its model. What is wrong whatever the request was is refused at once: the form, places
 * that are in no picture, classes that no model has which takes labels now, and the lack of a key. The rest is found
 * when the request's answer is looked up (serve/label_join.c), who is also told of what was refused: it is why a guard
 * hears nothing.
 */
#include "gateway/inside.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEEDBACK_BYTES ((size_t)256 << 10)
#define MAX_PLACE_PX       1e6 /* either way; far beyond any picture's side, and exact enough as a float */

static const char *const right_names[] = {"neither", "stable", "canary", "both"};

static enum serin_errc read_places(const json_t *box, size_t index, struct gateway_box *ret, struct serin_error *error)
{
    static const char *const names[] = {"x1", "y1", "x2", "y2"};
    float *const places[] = {&ret->x1, &ret->y1, &ret->x2, &ret->y2};
    size_t i;

    for (i = 0; i < 4; i++) {
        const json_t *value = json_object_get(box, names[i]);

        if (!json_is_number(value))
            return error_set(error, SERIN_INVALID, "boxes[%zu]: 'box' must have the numbers x1, y1, x2, y2, in pixels",
                             index);
        if (fabs(json_number_value(value)) > MAX_PLACE_PX)
            return error_set(error, SERIN_INVALID, "boxes[%zu]: %s is %g px, the limit is %g either way", index,
                             names[i], json_number_value(value), MAX_PLACE_PX);
        *places[i] = (float)json_number_value(value);
    }
    if (ret->x2 <= ret->x1 || ret->y2 <= ret->y1)
        return error_set(error, SERIN_INVALID,
                         "boxes[%zu] from (%g, %g) to (%g, %g) has no area: x1 < x2 and y1 < y2 must hold", index,
                         (double)ret->x1, (double)ret->y1, (double)ret->x2, (double)ret->y2);
    return SERIN_OK;
}

static enum serin_errc read_box(const json_t *object, size_t index, struct gateway_box *ret, struct serin_error *error)
{
    const json_t *name = json_object_get(object, "name"), *number = json_object_get(object, "class");

    if (!json_is_object(object) || (json_string_length(name) == 0 && !json_is_integer(number)))
        return error_set(error, SERIN_INVALID, "boxes[%zu] has no 'name' (text) and no 'class' (a whole number)",
                         index);
    ret->class_id = -1;
    if (json_is_integer(number)) {
        if (json_integer_value(number) < 0 || json_integer_value(number) > INT32_MAX)
            return error_set(error, SERIN_INVALID, "boxes[%zu]: 'class' is %lld; classes have the numbers 0 to %d",
                             index, (long long)json_integer_value(number), INT32_MAX);
        ret->class_id = (int32_t)json_integer_value(number);
    }
    if (json_is_string(name) && json_string_length(name) >= sizeof(ret->name))
        return error_set(error, SERIN_INVALID, "boxes[%zu]: a name of %zu bytes, the limit is %zu", index,
                         json_string_length(name), sizeof(ret->name) - 1);
    snprintf(ret->name, sizeof(ret->name), "%s", json_is_string(name) ? json_string_value(name) : "");
    return read_places(json_object_get(object, "box"), index, ret, error);
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

    if (!root && json_error_code(&where) == json_error_null_character)
        rc = error_set(error, SERIN_INVALID, "a text in line %d has the character \\u0000, which no name has",
                       where.line);
    else if (!root)
        rc = error_set(error, SERIN_INVALID, "the body is no JSON: %s, line %d", where.text, where.line);
    else if (boxes && right)
        rc = error_set(error, SERIN_INVALID, "both 'boxes' and 'right' are given; feedback has one of them");
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
    if (rc == SERIN_OK)
        rc = gateway_check_places(feedback, 0, 0, error);
    if (rc != SERIN_OK) {
        free(feedback);
        return rc;
    }
    *ret = feedback;
    return SERIN_OK;
}

void gateway_expect_labels(struct gateway *gateway, int lease, bool expected, struct class_list *classes)
{
    struct class_list *before;

    pthread_mutex_lock(&gateway->lock);
    before = gateway->labels[lease].classes;
    gateway->labels[lease].expected = expected;
    gateway->labels[lease].classes = class_list_share(classes);
    pthread_mutex_unlock(&gateway->lock);
    class_list_drop(before);
}

/* The models whose rollouts take labels now; classes are shared. */
struct expected {
    uint64_t leases; /* a bit for each */
    int count;
    const char *models[GATEWAY_MAX_MODELS]; /* of the snapshot */
    struct class_list *classes[GATEWAY_MAX_MODELS];
};

/* Those of them that are among `opened`. */
static void find_expected(struct thread *thread, uint64_t opened, struct expected *ret)
{
    const struct snapshot *snapshot = thread->snapshot;
    struct gateway *gateway = thread->gateway;
    int e;

    ret->leases = 0;
    ret->count = 0;
    pthread_mutex_lock(&gateway->lock); /* of the few posts of labels, not of requests */
    for (e = 0; snapshot && e < snapshot->table->table.entry_count; e++) {
        const struct gateway_entry *entry = &snapshot->table->table.entries[e];

        if (!gateway->labels[entry->lease].expected)
            continue;
        ret->leases |= UINT64_C(1) << entry->lease;
        if (!(opened >> entry->lease & 1))
            continue;
        ret->models[ret->count] = entry->route.model;
        ret->classes[ret->count++] = class_list_share(gateway->labels[entry->lease].classes);
    }
    pthread_mutex_unlock(&gateway->lock);
}

/* Whether one of these models could have been asked for a frame with such labels; any, where none is expected. */
static enum serin_errc check_expected(const struct expected *expected, const struct gateway_feedback *feedback,
                                      struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = expected->count; i-- > 0;) {
        rc = gateway_check_classes(feedback, expected->models[i], expected->classes[i], error);
        if (rc == SERIN_OK)
            return rc;
    }
    return expected->count > 1 ? error_prefix(error, rc, "no model takes such labels now; one of %d", expected->count)
                               : rc;
}

static void drop_expected(struct expected *expected)
{
    while (expected->count > 0)
        class_list_drop(expected->classes[--expected->count]);
}

/* Who takes labels is told of it, too, since a rollout may wait for them. */
static void refuse(struct thread *thread, struct http_exchange *exchange, struct gateway_sighting *sighting, int status,
                   const char *why)
{
    free(sighting->feedback);
    sighting->feedback = calloc(1, sizeof(*sighting->feedback));
    if (sighting->feedback) {
        snprintf(sighting->feedback->refused, sizeof(sighting->feedback->refused), "%s", why);
        (void)tap_push(thread, sighting);
    } else {
        gateway_sighting_free(sighting);
    }
    own_respond_error(thread, exchange, status, "%s", why);
}

/* Whether who posts shows a key of a model that it may be about, of those that take labels now or, where none does, of
 * all. */
static bool is_admitted(const struct thread *thread, const struct expected *expected, uint64_t opened)
{
    return opened & expected->leases ||
           (!expected->leases && (opened || !thread->snapshot || thread->snapshot->table->table.entry_count == 0));
}

/* The body of feedback on the request that the sighting names, which is taken over. */
static void take(struct thread *thread, struct http_exchange *exchange, struct gateway_sighting *sighting)
{
    const struct bytes *body = http_exchange_body(exchange);
    const uint64_t opened = key_opened(thread->snapshot, http_exchange_head(exchange));
    struct serin_error error;
    struct expected expected;
    enum serin_errc rc;

    find_expected(thread, opened, &expected);
    if (!is_admitted(thread, &expected, opened)) {
        refuse(thread, exchange, sighting, 401,
               "feedback takes an API key of the model that the request was for: Authorization: Bearer, or X-Api-Key");
    } else if (body->size > MAX_FEEDBACK_BYTES) {
        refuse(thread, exchange, sighting, 413, "feedback is larger than 256 KiB");
    } else {
        rc = feedback_read(body->data, body->size, &sighting->feedback, &error);
        if (rc == SERIN_OK)
            rc = check_expected(&expected, sighting->feedback, &error);
        if (rc == SERIN_OK)
            sighting->feedback->opened = opened;
        if (rc != SERIN_OK)
            refuse(thread, exchange, sighting, rc == SERIN_NOMEM ? 503 : rc == SERIN_LIMIT ? 413 : 400, error.message);
        else if (!tap_push(thread, sighting))
            own_respond_error(thread, exchange, 503, "more feedback has come than was taken");
        else
            own_accept(thread, exchange);
    }
    drop_expected(&expected);
}

bool feedback_answer(struct thread *thread, struct http_exchange *exchange)
{
    static const char root[] = "/v1/feedback/";
    const struct http_head *head = http_exchange_head(exchange);
    struct gateway_sighting *sighting;
    struct http_slice id;

    if (head->path.size < sizeof(root) || memcmp(head->path.bytes, root, sizeof(root) - 1) != 0)
        return false;
    if (!http_slice_is(head->method, "POST")) {
        own_respond_error(thread, exchange, 405, "feedback is posted");
        return true;
    }
    sighting = calloc(1, sizeof(*sighting));
    if (!sighting) {
        own_respond_error(thread, exchange, 503, "no memory for feedback");
        return true;
    }
    sighting->kind = GATEWAY_SAW_FEEDBACK;
    id = (struct http_slice){head->path.bytes + sizeof(root) - 1, head->path.size - (sizeof(root) - 1)};
    if (!memchr(id.bytes, '/', id.size) &&
        http_decode_segment(id, sighting->request_id, sizeof(sighting->request_id))) {
        take(thread, exchange, sighting);
    } else {
        own_respond_error(thread, exchange, 404, "no request id of 1 to 63 bytes, without a slash");
        gateway_sighting_free(sighting);
    }
    return true;
}
