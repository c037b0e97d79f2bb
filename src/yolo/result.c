/*
 * result.c - packing results, and writing them as Ultralytics' JSON.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A result and all it points to live in one arena, which stands behind the public struct; freeing the result frees the
 * arena.
 */
#include "yolo/result.h"

#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOP_CLASSES    5
#define JSON_DECIMALS  5
#define MAX_JSON_BYTES ((size_t)256 << 20)

struct owned_result {
    struct serin_result result; /* first: the public pointer is this one */
    struct arena arena;
};

static struct owned_result *owned_new(const struct serin_yolo *yolo, const struct letterbox *letterbox)
{
    struct owned_result *owned = calloc(1, sizeof(*owned));

    if (!owned)
        return NULL;
    arena_init(&owned->arena, YOLO_MAX_RESULT_BYTES);
    owned->result.task = yolo->head.task;
    owned->result.width = letterbox->image_width;
    owned->result.height = letterbox->image_height;
    owned->result.info = &yolo->info;
    return owned;
}

void serin_result_free(struct serin_result *result)
{
    struct owned_result *owned = (struct owned_result *)result;

    if (!owned)
        return;
    arena_done(&owned->arena);
    free(owned);
}

static float min4(float a, float b, float c, float d)
{
    return fminf(fminf(a, b), fminf(c, d));
}

static float max4(float a, float b, float c, float d)
{
    return fmaxf(fmaxf(a, b), fmaxf(c, d));
}

/* Centre and size go back to the picture, unclipped; corners in Ultralytics' order. */
static void set_rotated(const struct candidate *candidate, const struct scale *scale, struct serin_detection *ret)
{
    float cosine = cosf(candidate->angle), sine = sinf(candidate->angle), ax, ay, bx, by;

    ret->cx = (candidate->x1 - scale->pad_x) / scale->gain_x;
    ret->cy = (candidate->y1 - scale->pad_y) / scale->gain_y;
    ret->w = candidate->x2 / scale->gain_x;
    ret->h = candidate->y2 / scale->gain_y;
    ret->angle = candidate->angle;
    ax = ret->w / 2 * cosine, ay = ret->w / 2 * sine;
    bx = -ret->h / 2 * sine, by = ret->h / 2 * cosine;
    ret->corners[0][0] = ret->cx + ax + bx, ret->corners[0][1] = ret->cy + ay + by;
    ret->corners[1][0] = ret->cx + ax - bx, ret->corners[1][1] = ret->cy + ay - by;
    ret->corners[2][0] = ret->cx - ax - bx, ret->corners[2][1] = ret->cy - ay - by;
    ret->corners[3][0] = ret->cx - ax + bx, ret->corners[3][1] = ret->cy - ay + by;
    ret->x1 = min4(ret->corners[0][0], ret->corners[1][0], ret->corners[2][0], ret->corners[3][0]);
    ret->y1 = min4(ret->corners[0][1], ret->corners[1][1], ret->corners[2][1], ret->corners[3][1]);
    ret->x2 = max4(ret->corners[0][0], ret->corners[1][0], ret->corners[2][0], ret->corners[3][0]);
    ret->y2 = max4(ret->corners[0][1], ret->corners[1][1], ret->corners[2][1], ret->corners[3][1]);
}

static enum serin_errc set_keypoints(const struct serin_yolo *yolo, const float *extras, const struct scale *scale,
                                     struct arena *arena, struct serin_detection *ret, struct serin_error *error)
{
    int count = yolo->info.keypoint_count, dims = yolo->info.keypoint_dims, k;
    struct serin_keypoint *keypoints = arena_new(arena, struct serin_keypoint, (size_t)count);

    if (!keypoints)
        return error_set(error, SERIN_NOMEM, "no memory for %d keypoints", count);
    for (k = 0; k < count; k++) {
        keypoints[k].x = extras[k * dims];
        keypoints[k].y = extras[k * dims + 1];
        keypoints[k].visible = dims == 3 ? extras[k * dims + 2] : 1;
        if (isnan(keypoints[k].x + keypoints[k].y + keypoints[k].visible))
            return error_set(error, SERIN_MODEL, "the model gave NaN as keypoint %d", k);
        scale_point(scale, &keypoints[k].x, &keypoints[k].y);
    }
    ret->keypoints = keypoints;
    return SERIN_OK;
}

static enum serin_errc set_mask(const struct mask_prototypes *prototypes, const float *extras,
                                const struct candidate *candidate, const struct letterbox *letterbox, bool native,
                                struct arena *arena, struct serin_detection *ret, struct serin_error *error)
{
    struct mask_box box = {candidate->x1, candidate->y1, candidate->x2, candidate->y2};
    struct serin_mask *mask = NULL;
    enum serin_errc rc;
    int c;

    for (c = 0; c < prototypes->channels; c++)
        if (isnan(extras[c]))
            return error_set(error, SERIN_MODEL, "the model gave NaN as mask coefficient %d", c);
    if (native)
        box = (struct mask_box){ret->x1, ret->y1, ret->x2, ret->y2};
    rc = mask_build(prototypes, extras, &box, letterbox, native, arena, &mask, error);
    ret->mask = mask;
    return rc;
}

enum serin_errc result_new(const struct serin_yolo *yolo, const struct head_output *output,
                           const struct mask_prototypes *prototypes, const struct candidates *candidates,
                           const struct letterbox *letterbox, bool native_masks, struct serin_result **ret,
                           struct serin_error *error)
{
    struct scale scale = scale_of(letterbox);
    struct owned_result *owned = owned_new(yolo, letterbox);
    struct serin_detection *detections = NULL;
    enum serin_errc rc = SERIN_OK;
    float *extras = NULL;
    size_t i;

    if (owned) {
        detections = arena_new(&owned->arena, struct serin_detection, candidates->count);
        extras = malloc(((size_t)yolo->head.extra_count + 1) * sizeof(*extras));
    }
    if (!detections || !extras)
        rc = error_set(error, SERIN_NOMEM, "no memory for %zu detections", candidates->count);
    for (i = 0; i < candidates->count && rc == SERIN_OK; i++) {
        const struct candidate *candidate = &candidates->items[i];
        struct serin_detection *detection = &detections[owned->result.count];

        *detection = (struct serin_detection){.class_id = candidate->class_id, .confidence = candidate->score};
        if (yolo->head.task == SERIN_OBB) {
            set_rotated(candidate, &scale, detection);
        } else {
            detection->x1 = candidate->x1, detection->y1 = candidate->y1;
            detection->x2 = candidate->x2, detection->y2 = candidate->y2;
            scale_point(&scale, &detection->x1, &detection->y1);
            scale_point(&scale, &detection->x2, &detection->y2);
        }
        head_read_extras(&yolo->head, output, candidate->anchor, extras);
        if (yolo->head.task == SERIN_POSE) {
            rc = set_keypoints(yolo, extras, &scale, &owned->arena, detection, error);
        } else if (prototypes) {
            rc = set_mask(prototypes, extras, candidate, letterbox, native_masks, &owned->arena, detection, error);
            if (!detection->mask)
                continue; /* a detection without a mask is none */
        }
        owned->result.count++;
    }
    free(extras);
    if (rc != SERIN_OK) {
        serin_result_free(owned ? &owned->result : NULL);
        return rc;
    }
    owned->result.detections = detections;
    *ret = &owned->result;
    return SERIN_OK;
}

enum serin_errc result_new_classes(const struct serin_yolo *yolo, const float *probabilities,
                                   const struct letterbox *letterbox, struct serin_result **ret,
                                   struct serin_error *error)
{
    struct owned_result *owned = owned_new(yolo, letterbox);
    size_t class_count = (size_t)yolo->head.class_count, top = class_count < TOP_CLASSES ? class_count : TOP_CLASSES;
    struct serin_detection *detections = NULL;
    float *copy = NULL;
    size_t c, i;

    if (owned) {
        detections = arena_new(&owned->arena, struct serin_detection, top);
        copy = arena_new(&owned->arena, float, class_count);
    }
    if (!detections || !copy) {
        serin_result_free(owned ? &owned->result : NULL);
        return error_set(error, SERIN_NOMEM, "no memory for %zu probabilities", class_count);
    }
    memcpy(copy, probabilities, class_count * sizeof(*copy));
    for (c = 0; c < class_count; c++) {
        if (isnan(copy[c])) {
            serin_result_free(&owned->result);
            return error_set(error, SERIN_MODEL, "the model gave NaN as the probability of class %zu", c);
        }
        /* Insertion into the five best; of equal ones the lower class number stays in front. */
        for (i = owned->result.count; i > 0 && detections[i - 1].confidence < copy[c]; i--)
            if (i < top)
                detections[i] = detections[i - 1];
        if (i < top) {
            detections[i] = (struct serin_detection){.class_id = (int32_t)c, .confidence = copy[c]};
            owned->result.count += owned->result.count < top;
        }
    }
    owned->result.detections = detections;
    owned->result.probabilities = copy;
    *ret = &owned->result;
    return SERIN_OK;
}

/* ---- JSON ---- */

static void write_pair(struct json_writer *json, const char *name_x, double x, const char *name_y, double y)
{
    json_key(json, name_x);
    json_write_rounded(json, x, JSON_DECIMALS);
    json_key(json, name_y);
    json_write_rounded(json, y, JSON_DECIMALS);
}

static void write_box(struct json_writer *json, enum serin_task task, const struct serin_detection *detection)
{
    static const char *const names[4][2] = {{"x1", "y1"}, {"x2", "y2"}, {"x3", "y3"}, {"x4", "y4"}};
    int i;

    json_key(json, "box");
    json_begin_object(json);
    if (task == SERIN_OBB) {
        for (i = 0; i < 4; i++)
            write_pair(json, names[i][0], (double)detection->corners[i][0], names[i][1],
                       (double)detection->corners[i][1]);
    } else {
        write_pair(json, "x1", (double)detection->x1, "y1", (double)detection->y1);
        write_pair(json, "x2", (double)detection->x2, "y2", (double)detection->y2);
    }
    json_end_object(json);
}

static void write_list(struct json_writer *json, const char *key, const float *first, size_t count, size_t step_bytes)
{
    size_t i;

    json_key(json, key);
    json_begin_array(json);
    for (i = 0; i < count; i++)
        json_write_rounded(json, (double)*(const float *)(const void *)((const char *)first + i * step_bytes),
                           JSON_DECIMALS);
    json_end_array(json);
}

static void write_detection(struct json_writer *json, const struct serin_result *result,
                            const struct serin_detection *detection)
{
    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, result->info->class_names[detection->class_id]);
    json_key(json, "class");
    json_write_integer(json, detection->class_id);
    json_key(json, "confidence");
    json_write_rounded(json, (double)detection->confidence, JSON_DECIMALS);
    if (result->task != SERIN_CLASSIFY)
        write_box(json, result->task, detection);
    if (detection->mask) {
        json_key(json, "segments");
        json_begin_object(json);
        write_list(json, "x", detection->mask->points, detection->mask->point_count, 2 * sizeof(float));
        write_list(json, "y", detection->mask->points + 1, detection->mask->point_count, 2 * sizeof(float));
        json_end_object(json);
    }
    if (detection->keypoints) {
        size_t count = (size_t)result->info->keypoint_count, step = sizeof(struct serin_keypoint);

        json_key(json, "keypoints");
        json_begin_object(json);
        write_list(json, "x", &detection->keypoints->x, count, step);
        write_list(json, "y", &detection->keypoints->y, count, step);
        if (result->info->keypoint_dims == 3)
            write_list(json, "visible", &detection->keypoints->visible, count, step);
        json_end_object(json);
    }
    json_end_object(json);
}

enum serin_errc serin_result_to_json(const struct serin_result *result, char **ret_json, struct serin_error *error)
{
    struct json_writer json;
    struct buffer out;
    enum serin_errc rc;
    size_t i;

    buffer_init(&out, MAX_JSON_BYTES);
    json_init(&json, &out);
    json_begin_array(&json);
    for (i = 0; i < result->count; i++)
        write_detection(&json, result, &result->detections[i]);
    json_end_array(&json);
    rc = buffer_check(&out, "the JSON of a picture's results", error);
    if (rc != SERIN_OK) {
        buffer_done(&out);
        return rc;
    }
    *ret_json = buffer_steal(&out);
    return SERIN_OK;
}
