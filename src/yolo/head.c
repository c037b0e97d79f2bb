/*
 * head.c - telling the heads apart, and walking their outputs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The v8 layout is channel-major: a class's scores for all anchors lie side by side. So the best score of each anchor
 * is found by streaming whole rows against an array that stays in the first-level cache, and only anchors that pass the
 * threshold are looked at again, one by one, for their class. A NaN never wins a comparison, so it is looked for on the
 * way: a model that gives NaN is broken, and an empty list of detections would hide it.
 */
#include "yolo/head.h"

#include "base/half.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX_VALUES        4
#define MAX_MASK_CHANNELS 256 /* Ultralytics' own models have 32 */
#define END2END_VALUES    6

const char *head_kind_name(enum head_kind kind)
{
    switch (kind) {
    case HEAD_YOLOV8:
        return "yolov8";
    case HEAD_YOLOV5:
        return "yolov5";
    case HEAD_END2END:
        return "end2end";
    case HEAD_CLASSIFY:
        return "classify";
    }
    return "unknown";
}

/* ---- recognising ---- */

static enum serin_errc unknown_shapes(const struct engine_interface *interface, const char *why,
                                      struct serin_error *error)
{
    char seen[220] = "", one[96];
    size_t used = 0;
    int i;

    for (i = 0; i < interface->output_count && used < sizeof(seen) - 1; i++) {
        int n = snprintf(seen + used, sizeof(seen) - used, "%s%s", i ? ", " : "",
                         tensor_spec_text(&interface->outputs[i], one, sizeof(one)));
        used += n < 0 ? 0 : (size_t)n;
    }
    return error_set(error, SERIN_UNSUPPORTED,
                     "not a YOLO that is known (%s): its outputs are %s; known are [B,4+nc+extra,A], [B,A,5+nc], "
                     "[B,N,6+extra], [B,nc], with [B,M,H/4,W/4] for masks",
                     why, seen);
}

static bool is_float(const struct tensor_spec *spec)
{
    return spec->type == TENSOR_F32 || spec->type == TENSOR_F16;
}

static int extras_of(const struct yolo_metadata *metadata, enum serin_task task, int64_t mask_channels)
{
    switch (task) {
    case SERIN_SEGMENT:
        return (int)mask_channels;
    case SERIN_POSE:
        return metadata->keypoint_count * metadata->keypoint_dims;
    case SERIN_OBB:
        return 1;
    case SERIN_DETECT:
    case SERIN_CLASSIFY:
        break;
    }
    return 0;
}

/* [B,x,y] with known or free x and y: can it be this head? Fixes the number of classes where it was not said. */
static bool fits(const struct tensor_spec *spec, enum head_kind kind, int extras, int *class_count)
{
    int64_t fields = kind == HEAD_YOLOV8 ? spec->shape[1] : spec->shape[2];
    int64_t places = kind == HEAD_YOLOV8 ? spec->shape[2] : spec->shape[1];

    if (kind == HEAD_END2END)
        return fields == END2END_VALUES + extras;
    fields -= kind == HEAD_YOLOV8 ? BOX_VALUES + extras : BOX_VALUES + 1;
    if (fields < 1 || fields > YOLO_MAX_CLASSES || (kind == HEAD_YOLOV5 && extras != 0))
        return false;
    if (*class_count > 0)
        return fields == *class_count;
    /* Without metadata the longer side must be the anchors. */
    if (places > 0 && places <= fields)
        return false;
    *class_count = (int)fields;
    return true;
}

enum serin_errc head_recognise(const struct engine_interface *interface, const struct yolo_metadata *metadata,
                               struct head *ret, struct serin_error *error)
{
    /* End to end comes first where the metadata says so, last where only the shape does. */
    static const enum head_kind order_said[] = {HEAD_END2END};
    static const enum head_kind order_guessed[] = {HEAD_YOLOV8, HEAD_YOLOV5, HEAD_END2END};
    const enum head_kind *order = metadata->end_to_end ? order_said : order_guessed;
    size_t order_count = metadata->end_to_end ? 1 : 3, k;
    struct head head = {.proto_output = -1, .output = -1, .class_count = metadata->class_count};
    const struct tensor_spec *spec;
    int64_t mask_channels = 0;
    int i, extras;

    for (i = 0; i < interface->output_count; i++) {
        if (!is_float(&interface->outputs[i]))
            return unknown_shapes(interface, "outputs must be fp32 or fp16", error);
        if (interface->outputs[i].rank == 4 && head.proto_output < 0)
            head.proto_output = i;
        else if (head.output < 0)
            head.output = i;
    }
    if (head.output < 0)
        return unknown_shapes(interface, "no output of rank 2 or 3", error);
    spec = &interface->outputs[head.output];
    head.half = spec->type == TENSOR_F16;
    if (metadata->has_task)
        head.task = metadata->task;
    else if (spec->rank == 2)
        head.task = SERIN_CLASSIFY;
    else
        head.task = head.proto_output >= 0 ? SERIN_SEGMENT : SERIN_DETECT;
    if (head.task == SERIN_CLASSIFY) {
        if (spec->rank != 2 || (head.class_count > 0 && spec->shape[1] >= 0 && spec->shape[1] != head.class_count) ||
            spec->shape[1] == 0 || spec->shape[1] > YOLO_MAX_CLASSES)
            return unknown_shapes(interface, "a classifier gives [B,nc]", error);
        if (head.class_count == 0 && spec->shape[1] < 0)
            return unknown_shapes(interface, "the number of classes is neither in the shape nor in the metadata",
                                  error);
        head.kind = HEAD_CLASSIFY;
        if (head.class_count == 0)
            head.class_count = (int)spec->shape[1];
        *ret = head;
        return SERIN_OK;
    }
    if (spec->rank != 3)
        return unknown_shapes(interface, "boxes come in rank 3", error);
    if (head.task == SERIN_SEGMENT && head.proto_output < 0)
        return unknown_shapes(interface, "segmentation needs mask prototypes", error);
    if (head.task == SERIN_POSE && metadata->keypoint_count == 0)
        return unknown_shapes(interface, "pose needs kpt_shape in the metadata", error);
    if (head.task == SERIN_SEGMENT)
        mask_channels = interface->outputs[head.proto_output].shape[1];
    if (head.task == SERIN_SEGMENT && (mask_channels < 1 || mask_channels > MAX_MASK_CHANNELS))
        return unknown_shapes(interface, "mask prototypes have 1 to 256 channels", error);
    extras = extras_of(metadata, head.task, mask_channels);
    for (k = 0; k < order_count; k++) {
        if (spec->shape[order[k] == HEAD_YOLOV8 ? 1 : 2] < 0) /* a later kind would be a guess */
            return unknown_shapes(interface, "the shape leaves open which", error);
        if (!fits(spec, order[k], extras, &head.class_count))
            continue;
        if (order[k] == HEAD_END2END && head.class_count == 0)
            return unknown_shapes(interface, "an end-to-end head needs class names in the metadata", error);
        head.kind = order[k];
        head.extra_count = extras;
        *ret = head;
        return SERIN_OK;
    }
    if (metadata->class_count > 0) {
        char why[96];

        snprintf(why, sizeof(why), "%s with %d classes", serin_task_name(head.task), metadata->class_count);
        return unknown_shapes(interface, why, error);
    }
    return unknown_shapes(interface, serin_task_name(head.task), error);
}

/* ---- decoding ---- */

void candidates_done(struct candidates *candidates)
{
    free(candidates->items);
    free(candidates->best);
    *candidates = (struct candidates){0};
}

static bool add_candidate(struct candidates *list, const struct candidate *candidate)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        struct candidate *items = realloc(list->items, capacity * sizeof(*items));

        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *candidate;
    return true;
}

static bool is_wanted(const struct head_filter *filter, int32_t class_id)
{
    size_t i;

    if (!filter->classes)
        return true;
    for (i = 0; i < filter->class_count; i++)
        if (filter->classes[i] == class_id)
            return true;
    return false;
}

static enum serin_errc not_a_number(const char *what, int64_t place, int64_t count, struct serin_error *error)
{
    return error_set(error, SERIN_MODEL,
                     "the model gave NaN as %s at place %lld of %lld: its weights or its input are broken", what,
                     (long long)place, (long long)count);
}

/* best[a] = max over the rows; returns whether a NaN was met. */
static bool find_best_scores(const float *restrict rows, size_t row_count, size_t columns, float *restrict best)
{
    int unordered = 0;
    size_t r, a;

    memcpy(best, rows, columns * sizeof(*best));
    for (a = 0; a < columns; a++)
        unordered |= !(best[a] == best[a]);
    for (r = 1; r < row_count; r++) {
        const float *restrict row = rows + r * columns;

        for (a = 0; a < columns; a++) {
            unordered |= !(row[a] == row[a]);
            best[a] = row[a] > best[a] ? row[a] : best[a];
        }
    }
    return unordered != 0;
}

static int by_score_then_place(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->anchor != b->anchor)
        return a->anchor < b->anchor ? -1 : 1;
    return (a->class_id > b->class_id) - (a->class_id < b->class_id);
}

/* Boxes as corners, but for rotated ones. False where the box has a NaN. */
static bool set_box(const struct head *head, float cx, float cy, float w, float h, struct candidate *candidate)
{
    if (head->task == SERIN_OBB) {
        candidate->x1 = cx, candidate->y1 = cy, candidate->x2 = w, candidate->y2 = h;
    } else {
        float half_w = w / 2, half_h = h / 2;

        candidate->x1 = cx - half_w, candidate->y1 = cy - half_h;
        candidate->x2 = cx + half_w, candidate->y2 = cy + half_h;
        if (head->half) {
            candidate->x1 = half_round(candidate->x1), candidate->y1 = half_round(candidate->y1);
            candidate->x2 = half_round(candidate->x2), candidate->y2 = half_round(candidate->y2);
        }
    }
    return !isnan(cx + cy + w + h);
}

static enum serin_errc add_with_class(struct candidates *ret, const struct head_filter *filter,
                                      struct candidate *candidate, float score, int32_t class_id,
                                      struct serin_error *error)
{
    if (isinf(score))
        return error_set(error, SERIN_MODEL, "the model gave an infinite score at place %d", (int)candidate->anchor);
    candidate->score = score;
    candidate->class_id = class_id;
    if (is_wanted(filter, class_id) && !add_candidate(ret, candidate))
        return error_set(error, SERIN_NOMEM, "no memory for %zu candidates", ret->count);
    return SERIN_OK;
}

static enum serin_errc decode_yolov8(const struct head *head, const struct head_output *output,
                                     const struct head_filter *filter, struct candidates *ret,
                                     struct serin_error *error)
{
    size_t columns = (size_t)output->columns, a;
    const float *box = output->values, *scores = output->values + BOX_VALUES * columns;
    const float *angle = scores + (size_t)head->class_count * columns;
    enum serin_errc rc;

    if (columns > ret->best_capacity) {
        float *best = realloc(ret->best, columns * sizeof(*best));

        if (!best)
            return error_set(error, SERIN_NOMEM, "no memory for %zu scores", columns);
        ret->best = best;
        ret->best_capacity = columns;
    }
    if (find_best_scores(scores, (size_t)head->class_count, columns, ret->best))
        return not_a_number("a score", 0, output->columns, error);
    for (a = 0; a < columns; a++) {
        struct candidate candidate = {.anchor = (int32_t)a};
        int32_t c;

        if (!(ret->best[a] > filter->conf))
            continue;
        if (!set_box(head, box[a], box[columns + a], box[2 * columns + a], box[3 * columns + a], &candidate))
            return not_a_number("a box", (int64_t)a, output->columns, error);
        if (head->task == SERIN_OBB) {
            candidate.angle = angle[a];
            if (isnan(candidate.angle))
                return not_a_number("an angle", (int64_t)a, output->columns, error);
        }
        for (c = 0; c < head->class_count; c++) {
            float score = scores[(size_t)c * columns + a];

            if (filter->multi_label ? !(score > filter->conf) : !(score == ret->best[a]))
                continue;
            rc = add_with_class(ret, filter, &candidate, score, c, error);
            if (rc != SERIN_OK)
                return rc;
            if (!filter->multi_label)
                break; /* of equal scores the first class wins */
        }
    }
    return SERIN_OK;
}

/* As YOLOv5's own export is read: the objectness must pass the threshold, and then its product with the class score. */
static enum serin_errc decode_yolov5(const struct head *head, const struct head_output *output,
                                     const struct head_filter *filter, struct candidates *ret,
                                     struct serin_error *error)
{
    int64_t a;

    for (a = 0; a < output->rows; a++) {
        const float *row = output->values + a * output->columns;
        struct candidate candidate = {.anchor = (int32_t)a};
        int32_t c, best = 0;
        enum serin_errc rc;

        if (isnan(row[BOX_VALUES]))
            return not_a_number("an objectness", a, output->rows, error);
        if (!(row[BOX_VALUES] > filter->conf))
            continue;
        if (!set_box(head, row[0], row[1], row[2], row[3], &candidate))
            return not_a_number("a box", a, output->rows, error);
        for (c = 0; c < head->class_count; c++) {
            float score = row[BOX_VALUES + 1 + c] * row[BOX_VALUES];

            if (isnan(score))
                return not_a_number("a score", a, output->rows, error);
            if (filter->multi_label && score > filter->conf) {
                rc = add_with_class(ret, filter, &candidate, score, c, error);
                if (rc != SERIN_OK)
                    return rc;
            }
            if (row[BOX_VALUES + 1 + c] > row[BOX_VALUES + 1 + best])
                best = c;
        }
        if (!filter->multi_label && row[BOX_VALUES + 1 + best] * row[BOX_VALUES] > filter->conf) {
            rc = add_with_class(ret, filter, &candidate, row[BOX_VALUES + 1 + best] * row[BOX_VALUES], best, error);
            if (rc != SERIN_OK)
                return rc;
        }
    }
    return SERIN_OK;
}

static enum serin_errc decode_end2end(const struct head *head, const struct head_output *output,
                                      const struct head_filter *filter, struct candidates *ret,
                                      struct serin_error *error)
{
    int64_t n;

    for (n = 0; n < output->rows; n++) {
        const float *row = output->values + n * output->columns;
        struct candidate candidate = {.x1 = row[0], .y1 = row[1], .x2 = row[2], .y2 = row[3], .anchor = (int32_t)n};
        enum serin_errc rc;

        if (isnan(row[4]))
            return not_a_number("a score", n, output->rows, error);
        if (!(row[4] > filter->conf))
            continue;
        if (isnan(row[0] + row[1] + row[2] + row[3]))
            return not_a_number("a box", n, output->rows, error);
        if (!(row[5] >= 0 && row[5] < (float)head->class_count))
            return error_set(error, SERIN_MODEL, "the model gave class %g, it has classes 0 to %d", (double)row[5],
                             head->class_count - 1);
        if (head->task == SERIN_OBB)
            candidate.angle = row[output->columns - 1];
        rc = add_with_class(ret, filter, &candidate, row[4], (int32_t)row[5], error);
        if (rc != SERIN_OK)
            return rc;
    }
    return SERIN_OK;
}

enum serin_errc head_decode(const struct head *head, const struct head_output *output, const struct head_filter *filter,
                            struct candidates *ret, struct serin_error *error)
{
    struct head_filter typed = *filter;
    enum serin_errc rc = SERIN_OK;

    BUG_ON(head->kind == HEAD_CLASSIFY);
    if (head->half)
        typed.conf = half_round(filter->conf);
    filter = &typed;
    ret->count = 0;
    switch (head->kind) {
    case HEAD_YOLOV8:
        rc = decode_yolov8(head, output, filter, ret, error);
        break;
    case HEAD_YOLOV5:
        rc = decode_yolov5(head, output, filter, ret, error);
        break;
    case HEAD_END2END:
    case HEAD_CLASSIFY:
        rc = decode_end2end(head, output, filter, ret, error);
        break;
    }
    if (rc == SERIN_OK && ret->count > HEAD_MAX_CANDIDATES) {
        qsort(ret->items, ret->count, sizeof(*ret->items), by_score_then_place);
        ret->count = HEAD_MAX_CANDIDATES;
    }
    return rc;
}

struct engine_selection head_selection(const struct head *head, float conf)
{
    return (struct engine_selection){
        .output = head->output,
        .first_score = BOX_VALUES,
        .score_count = head->kind == HEAD_YOLOV8 ? head->class_count : 0,
        .above = head->half ? half_round(conf) : conf,
    };
}

void head_read_extras(const struct head *head, const struct head_output *output, int32_t anchor, float *extras)
{
    int i;

    if (head->kind == HEAD_YOLOV8) {
        const float *first = output->values + (size_t)(BOX_VALUES + head->class_count) * (size_t)output->columns;

        for (i = 0; i < head->extra_count; i++)
            extras[i] = first[(size_t)i * (size_t)output->columns + (size_t)anchor];
    } else if (head->extra_count > 0) {
        memcpy(extras, output->values + (size_t)anchor * (size_t)output->columns + END2END_VALUES,
               (size_t)head->extra_count * sizeof(*extras));
    }
}
