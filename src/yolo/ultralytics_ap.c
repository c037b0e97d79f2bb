/*
 * ultralytics_ap.c - the metric of `yolo val`, computed from matches made picture by picture.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ten bits of each detection (one an IoU threshold) are kept with its score and class; at the end they are sorted by
 * score and one precision curve a class and threshold is integrated.
 */
#include "yolo/ultralytics_ap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define THRESHOLDS   10
#define CURVE_POINTS 101

struct hit {
    float score;
    int32_t class_id;
    uint32_t index; /* keeps the sort stable */
    uint16_t right; /* bit i: at threshold i */
};

struct ultralytics_ap {
    size_t class_count;
    double working_point;
    size_t *objects; /* [class_count] */
    struct hit *hits;
    size_t count, capacity;
};

static float threshold(int i)
{
    const float step = (.95f - .5f) / 9; /* torch.linspace: from both ends towards the middle */

    return i < THRESHOLDS / 2 ? .5f + step * (float)i : .95f - step * (float)(THRESHOLDS - 1 - i);
}

enum serin_errc ultralytics_ap_new(size_t class_count, double working_point, struct ultralytics_ap **ret,
                                   struct serin_error *error)
{
    struct ultralytics_ap *ap = calloc(1, sizeof(*ap));

    if (ap)
        ap->objects = calloc(class_count + 1, sizeof(*ap->objects));
    if (!ap || !ap->objects) {
        ultralytics_ap_free(ap);
        return error_set(error, SERIN_NOMEM, "no memory for an evaluation of %zu classes", class_count);
    }
    ap->class_count = class_count;
    ap->working_point = working_point;
    *ret = ap;
    return SERIN_OK;
}

void ultralytics_ap_free(struct ultralytics_ap *ap)
{
    if (!ap)
        return;
    free(ap->objects);
    free(ap->hits);
    free(ap);
}

static enum serin_errc check_classes(const struct ultralytics_ap *ap, const int32_t *classes, size_t count,
                                     struct serin_error *error)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (classes[i] < 0 || (size_t)classes[i] >= ap->class_count)
            return error_set(error, SERIN_INVALID, "class %d of an object, there are %zu", classes[i], ap->class_count);
    return SERIN_OK;
}

/* Each detection, best score first, takes the free object of its class that it overlaps most, at every threshold apart.
 */
static uint16_t take_objects(const int32_t *truth_classes, size_t truth_count, int32_t class_id, const float *overlap,
                             uint16_t *taken)
{
    uint16_t right = 0;
    int i;

    for (i = 0; i < THRESHOLDS; i++) {
        float best = 0;
        size_t t, found = truth_count;

        for (t = 0; t < truth_count; t++)
            if (truth_classes[t] == class_id && !(taken[t] >> i & 1) && overlap[t] > best) {
                best = overlap[t];
                found = t;
            }
        if (found < truth_count && best >= threshold(i)) {
            taken[found] |= (uint16_t)(1u << i);
            right |= (uint16_t)(1u << i);
        }
    }
    return right;
}

enum serin_errc ultralytics_ap_add(struct ultralytics_ap *ap, const int32_t *truth_classes, size_t truth_count,
                                   const int32_t *classes, const float *scores, size_t count, const float *overlap,
                                   struct serin_error *error)
{
    enum serin_errc rc = check_classes(ap, truth_classes, truth_count, error);
    uint16_t *taken;
    size_t i;

    if (!rc)
        rc = check_classes(ap, classes, count, error);
    if (rc)
        return rc;
    if (ap->capacity - ap->count < count) {
        size_t capacity = (ap->count + count) * 2;
        struct hit *hits = realloc(ap->hits, capacity * sizeof(*hits));

        if (!hits)
            return error_set(error, SERIN_NOMEM, "no memory for %zu detections", capacity);
        ap->hits = hits;
        ap->capacity = capacity;
    }
    taken = calloc(truth_count + 1, sizeof(*taken));
    if (!taken)
        return error_set(error, SERIN_NOMEM, "no memory to match %zu objects", truth_count);
    for (i = 0; i < truth_count; i++)
        ap->objects[truth_classes[i]]++;
    for (i = 0; i < count; i++, ap->count++)
        ap->hits[ap->count] =
            (struct hit){scores[i], classes[i], (uint32_t)ap->count,
                         take_objects(truth_classes, truth_count, classes[i], overlap + i * truth_count, taken)};
    free(taken);
    return SERIN_OK;
}

static int by_class_and_score(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    if (x->class_id != y->class_id)
        return x->class_id < y->class_id ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The curve's corners are (0, 1), then each detection's recall and precision, then (last recall, 0) and (1, 0). Its
 * envelope is sampled at 0, .01 .. 1 by straight lines and the trapezoids are summed. recall and precision have room
 * for count + 3. */
static double curve_area(const struct hit *hits, size_t count, size_t objects, int at, double *recall,
                         double *precision)
{
    double right = 0, before = 0, area = 0;
    size_t i, j;
    int point;

    recall[0] = 0;
    precision[0] = 1;
    for (i = 0; i < count; i++) {
        right += hits[i].right >> at & 1;
        recall[i + 1] = right / ((double)objects + 1e-16);
        precision[i + 1] = right / (double)(i + 1);
    }
    recall[count + 1] = recall[count];
    recall[count + 2] = 1;
    precision[count + 1] = precision[count + 2] = 0;
    for (i = count + 2; i > 0; i--)
        precision[i - 1] = fmax(precision[i - 1], precision[i]);
    for (point = 0, j = 0; point < CURVE_POINTS; point++) {
        double x = point == CURVE_POINTS - 1 ? 1.0 : point * .01, y, x_before;

        while (j < count + 2 && recall[j + 1] <= x) /* the last corner that is not right of x */
            j++;
        y = precision[j];
        if (j < count + 2)
            y += (precision[j + 1] - precision[j]) / (recall[j + 1] - recall[j]) * (x - recall[j]);
        x_before = (point - 1) * .01;
        if (point > 0)
            area += (x - x_before) * (y + before) / 2;
        before = y;
    }
    return area;
}

static struct ultralytics_result finish_class(const struct ultralytics_ap *ap, const struct hit *hits, size_t count,
                                              size_t objects, double *scratch)
{
    struct ultralytics_result result = {.ap = {-1, -1, -1}, .objects = objects};
    double areas[THRESHOLDS] = {0}, sum = 0;
    size_t i;
    int t;

    for (i = 0; i < count; i++)
        if (hits[i].score > ap->working_point)
            *(hits[i].right & 1 ? &result.right : &result.wrong) += 1;
    if (objects == 0)
        return result;
    for (t = 0; t < THRESHOLDS; t++) {
        if (count > 0) /* a class without any detection has 0 */
            areas[t] = curve_area(hits, count, objects, t, scratch, scratch + ap->count + 3);
        sum += areas[t];
    }
    result.ap = (struct serin_ultralytics_ap){sum / THRESHOLDS, areas[0], areas[5]};
    return result;
}

enum serin_errc ultralytics_ap_finish(const struct ultralytics_ap *ap, struct ultralytics_result *total,
                                      struct ultralytics_result *per_class, struct serin_error *error)
{
    struct hit *hits = malloc((ap->count + 1) * sizeof(*hits));
    double *scratch = malloc((ap->count + 3) * 2 * sizeof(*scratch));
    struct ultralytics_result sum = {0};
    size_t i, first = 0, classes = 0;

    if (!hits || !scratch) {
        free(hits);
        free(scratch);
        return error_set(error, SERIN_NOMEM, "no memory to sort %zu detections", ap->count);
    }
    if (ap->count)
        memcpy(hits, ap->hits, ap->count * sizeof(*hits));
    qsort(hits, ap->count, sizeof(*hits), by_class_and_score);
    for (i = 0; i < ap->class_count; i++) {
        struct ultralytics_result one;
        size_t end = first;

        while (end < ap->count && (size_t)hits[end].class_id == i)
            end++;
        one = finish_class(ap, hits + first, end - first, ap->objects[i], scratch);
        first = end;
        if (per_class)
            per_class[i] = one;
        sum.objects += one.objects;
        sum.right += one.right;
        sum.wrong += one.wrong;
        if (one.objects == 0)
            continue;
        sum.ap.map50_95 += one.ap.map50_95;
        sum.ap.map50 += one.ap.map50;
        sum.ap.map75 += one.ap.map75;
        classes++;
    }
    sum.ap = classes ? (struct serin_ultralytics_ap){sum.ap.map50_95 / (double)classes, sum.ap.map50 / (double)classes,
                                                     sum.ap.map75 / (double)classes}
                     : (struct serin_ultralytics_ap){-1, -1, -1};
    *total = sum;
    free(hits);
    free(scratch);
    return SERIN_OK;
}

float ultralytics_box_iou(const float a[4], const float b[4])
{
    float w = fmaxf(fminf(a[2], b[2]) - fmaxf(a[0], b[0]), 0), h = fmaxf(fminf(a[3], b[3]) - fmaxf(a[1], b[1]), 0);
    float both = w * h;

    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both + 1e-7f);
}

/* The covariance matrix [[a, c], [c, b]] of a box as a Gaussian. */
static void covariance(const float box[5], float *a, float *b, float *c)
{
    float along = box[2] * box[2] / 12, across = box[3] * box[3] / 12, cosine = cosf(box[4]), sine = sinf(box[4]);

    *a = along * (cosine * cosine) + across * (sine * sine);
    *b = along * (sine * sine) + across * (cosine * cosine);
    *c = (along - across) * cosine * sine;
}

float ultralytics_turned_iou(const float p[5], const float q[5])
{
    const float epsilon = 1e-7f;
    float a1, b1, c1, a2, b2, c2, dx = p[0] - q[0], dy = p[1] - q[1], determinant, t1, t2, t3, distance;

    covariance(p, &a1, &b1, &c1);
    covariance(q, &a2, &b2, &c2);
    determinant = (a1 + a2) * (b1 + b2) - (c1 + c2) * (c1 + c2);
    t1 = ((a1 + a2) * (dy * dy) + (b1 + b2) * (dx * dx)) / (determinant + epsilon) * .25f;
    t2 = (c1 + c2) * -dx * dy / (determinant + epsilon) * .5f;
    t3 =
        logf(determinant / (4 * sqrtf(fmaxf(a1 * b1 - c1 * c1, 0) * fmaxf(a2 * b2 - c2 * c2, 0)) + epsilon) + epsilon) *
        .5f;
    distance = fminf(fmaxf(t1 + t2 + t3, epsilon), 100);
    return 1 - sqrtf(1 - expf(-distance) + epsilon);
}

void ultralytics_turned_box(const double corners[8], float ret[5])
{
    double smallest = INFINITY;
    int i, j, k;

    /* a side of the smallest rectangle lies on a side of the points' hull, so some pair of points has its direction */
    ret[0] = (float)corners[0], ret[1] = (float)corners[1], ret[2] = ret[3] = ret[4] = 0;
    for (i = 0; i < 4; i++)
        for (j = i + 1; j < 4; j++) {
            double dx = corners[2 * j] - corners[2 * i], dy = corners[2 * j + 1] - corners[2 * i + 1];
            double length = hypot(dx, dy), low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY}, w, h;

            if (!(length > 0))
                continue;
            dx /= length, dy /= length;
            for (k = 0; k < 4; k++) {
                double along = corners[2 * k] * dx + corners[2 * k + 1] * dy;
                double across = corners[2 * k + 1] * dx - corners[2 * k] * dy;

                low[0] = fmin(low[0], along), high[0] = fmax(high[0], along);
                low[1] = fmin(low[1], across), high[1] = fmax(high[1], across);
            }
            w = high[0] - low[0], h = high[1] - low[1];
            if (w * h >= smallest)
                continue;
            smallest = w * h;
            ret[0] = (float)((low[0] + high[0]) / 2 * dx - (low[1] + high[1]) / 2 * dy);
            ret[1] = (float)((low[0] + high[0]) / 2 * dy + (low[1] + high[1]) / 2 * dx);
            ret[2] = (float)w, ret[3] = (float)h, ret[4] = (float)atan2(dy, dx);
        }
}
