/*
 * golden.c - reading golden answers, and matching an answer with them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each expected detection, the surest first, takes the free one of its class that overlaps it most. What is left on
 * either side counts as a difference only where its score is clear of the threshold.
 */
#include "version/golden.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DETECTIONS 30000 /* the most of max_det */
#define MAX_NAME       128
#define ALIKE          .3 /* an IoU from which on two boxes are of one object, for the sentence */

struct detection {
    json_int_t class;
    const char *name;
    double score;
    bool has_box, taken;
    double x1, y1, x2, y2;
};

struct detections {
    struct detection *list;
    size_t count;
};

const char *golden_layer(int picture, char text[static 16])
{
    snprintf(text, 16, "golden/%02d", picture);
    return text;
}

/* ---- reading ---- */

/* The upright box; of an oriented one, the one around its corners. */
static bool read_box(const json_t *box, struct detection *detection)
{
    static const char *const keys[4][2] = {{"x1", "y1"}, {"x2", "y2"}, {"x3", "y3"}, {"x4", "y4"}};
    int i;

    detection->x1 = detection->y1 = INFINITY;
    detection->x2 = detection->y2 = -INFINITY;
    for (i = 0; i < 4; i++) {
        const json_t *x = json_object_get(box, keys[i][0]), *y = json_object_get(box, keys[i][1]);

        if (i >= 2 && !x && !y)
            break;
        if (!json_is_number(x) || !json_is_number(y))
            return false;
        detection->x1 = fmin(detection->x1, json_number_value(x));
        detection->y1 = fmin(detection->y1, json_number_value(y));
        detection->x2 = fmax(detection->x2, json_number_value(x));
        detection->y2 = fmax(detection->y2, json_number_value(y));
    }
    return true;
}

static enum serin_errc read_detections(const json_t *results, const char *whose, struct detections *ret,
                                       struct serin_error *error)
{
    struct detections read = {NULL, 0};
    const json_t *item;
    size_t i;

    if (!json_is_array(results) || json_array_size(results) > MAX_DETECTIONS)
        return error_set(error, SERIN_CORRUPT, "%s are no list of at most %d detections", whose, MAX_DETECTIONS);
    read.list = calloc(json_array_size(results) + 1, sizeof(*read.list));
    if (!read.list)
        return error_set(error, SERIN_NOMEM, "no memory for %zu detections", json_array_size(results));
    json_array_foreach(results, i, item)
    {
        const json_t *box = json_object_get(item, "box"), *class = json_object_get(item, "class");
        const json_t *score = json_object_get(item, "confidence");
        struct detection *detection = &read.list[read.count++];

        detection->class = json_integer_value(class);
        detection->name = json_string_value(json_object_get(item, "name"));
        detection->score = json_number_value(score);
        detection->has_box = box != NULL;
        if (!json_is_integer(class) || !json_is_number(score) || !detection->name ||
            (box && !read_box(box, detection))) {
            free(read.list);
            return error_set(error, SERIN_CORRUPT, "%s: entry %zu has no name, class, confidence and box", whose, i);
        }
    }
    *ret = read;
    return SERIN_OK;
}

static json_t *pictures_of(const json_t *root)
{
    return json_object_get(root, "pictures");
}

enum serin_errc golden_parse(const char *text, json_t **ret_root, struct serin_error *error)
{
    const json_t *pictures, *picture;
    json_error_t where;
    json_t *root;
    size_t i;

    if (strlen(text) > GOLDEN_MAX_JSON_BYTES)
        return error_set(error, SERIN_LIMIT, "golden.json has %zu bytes, the limit is %u", strlen(text),
                         GOLDEN_MAX_JSON_BYTES);
    root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(error, SERIN_CORRUPT, "golden.json is no JSON: line %d: %s", where.line, where.text);
    pictures = pictures_of(root);
    if (!json_is_array(pictures) || json_array_size(pictures) == 0 || json_array_size(pictures) > GOLDEN_MAX_PICTURES) {
        json_decref(root);
        return error_set(error, SERIN_CORRUPT, "golden.json: \"pictures\" is no list of 1 to %d", GOLDEN_MAX_PICTURES);
    }
    json_array_foreach(pictures, i, picture)
    {
        const char *name = json_string_value(json_object_get(picture, "name"));

        if (!name || strlen(name) > MAX_NAME || !json_is_array(json_object_get(picture, "results"))) {
            json_decref(root);
            return error_set(error, SERIN_CORRUPT,
                             "golden.json: picture %zu has no name of at most %d bytes, or no results", i, MAX_NAME);
        }
    }
    *ret_root = root;
    return SERIN_OK;
}

int golden_count(const json_t *root)
{
    return (int)json_array_size(pictures_of(root));
}

const char *golden_name(const json_t *root, int picture)
{
    return json_string_value(json_object_get(json_array_get(pictures_of(root), (size_t)picture), "name"));
}

/* ---- comparing ---- */

/* Without boxes (classes of a whole picture) the class alone tells. */
static double iou(const struct detection *a, const struct detection *b)
{
    double width = fmin(a->x2, b->x2) - fmax(a->x1, b->x1), height = fmin(a->y2, b->y2) - fmax(a->y1, b->y1), both, all;

    if (!a->has_box || !b->has_box)
        return a->has_box == b->has_box ? 1 : 0;
    both = width > 0 && height > 0 ? width * height : 0;
    all = (a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1) - both;
    return all > 0 ? both / all : 1; /* two clipped to nothing */
}

static struct detection *nearest(const struct detections *among, const struct detection *wanted, double *ret_iou)
{
    struct detection *found = NULL;
    size_t i;

    *ret_iou = 0;
    for (i = 0; i < among->count; i++) {
        struct detection *other = &among->list[i];
        double overlap;

        if (other->taken || other->class != wanted->class)
            continue;
        overlap = iou(wanted, other);
        if (overlap > *ret_iou) {
            *ret_iou = overlap;
            found = other;
        }
    }
    return found;
}

static enum serin_errc differs(const struct detection *detection, const char *what, struct serin_error *error)
{
    if (!detection->has_box)
        return error_set(error, SERIN_LIMIT, "%.60s with a score of %.3f %s", detection->name, detection->score, what);
    return error_set(error, SERIN_LIMIT, "%.60s with a score of %.3f in %.0f,%.0f to %.0f,%.0f %s", detection->name,
                     detection->score, detection->x1, detection->y1, detection->x2, detection->y2, what);
}

static enum serin_errc compare(const struct detections *expected, const struct detections *answered, double threshold,
                               struct serin_error *error)
{
    const double clear = threshold + GOLDEN_SCORE_TOLERANCE;
    char what[160];
    size_t i;

    for (i = 0; i < expected->count; i++) {
        const struct detection *wanted = &expected->list[i];
        double overlap;
        struct detection *found = nearest(answered, wanted, &overlap);

        if (found && overlap >= GOLDEN_LEAST_IOU && fabs(found->score - wanted->score) <= GOLDEN_SCORE_TOLERANCE) {
            found->taken = true;
            continue;
        }
        if (wanted->score <= clear)
            continue;
        if (!found || overlap < ALIKE)
            return differs(wanted, "is missing", error);
        snprintf(what, sizeof(what),
                 "came with a score of %.3f and an IoU of %.2f (up to %g and from %g on are let in)", found->score,
                 overlap, GOLDEN_SCORE_TOLERANCE, GOLDEN_LEAST_IOU);
        return differs(wanted, what, error);
    }
    for (i = 0; i < answered->count; i++)
        if (!answered->list[i].taken && answered->list[i].score > clear)
            return differs(&answered->list[i], "was not there when it was pushed", error);
    return SERIN_OK;
}

enum serin_errc golden_compare(const json_t *root, int picture, const json_t *results, double threshold,
                               struct serin_error *error)
{
    const json_t *of = json_array_get(pictures_of(root), (size_t)picture);
    struct detections expected = {NULL, 0}, answered = {NULL, 0};
    enum serin_errc rc;

    rc = read_detections(json_object_get(of, "results"), "the golden results", &expected, error);
    if (rc == SERIN_OK)
        rc = read_detections(results, "the results", &answered, error);
    if (rc == SERIN_OK)
        rc = compare(&expected, &answered, threshold, error);
    free(expected.list);
    free(answered.list);
    return rc;
}
