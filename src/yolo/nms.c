/*
 * nms.c - which of the boxes that lie over each other stay.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Upright: a candidate is compared with the boxes kept so far, which lie in arrays by coordinate, sixteen at a time and
 * without branches, so that the compiler makes vectors of it. Once max_det are kept the rest need not be looked at:
 * greedy order makes them irrelevant. The class offset is added in float32 on purpose: at class 79 it costs precision
 * (an ulp is 1/16 px), and the same survivors are wanted as the original gives.
 */
#include "yolo/nms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_OFFSET_PX 7680.0f
#define LANES           16
#define EPSILON         1e-7f

/* A stable merge sort by falling score: equal scores keep their order. */
static bool sort_by_score(struct candidates *list)
{
    struct candidate *from = list->items, *to, *scratch;
    size_t width, i;

    scratch = malloc(list->count * sizeof(*scratch));
    if (!scratch)
        return false;
    to = scratch;
    for (width = 1; width < list->count; width *= 2) {
        struct candidate *swap;

        for (i = 0; i < list->count; i += 2 * width) {
            size_t middle = i + width < list->count ? i + width : list->count;
            size_t end = i + 2 * width < list->count ? i + 2 * width : list->count;
            size_t left = i, right = middle, k;

            for (k = i; k < end; k++) {
                if (left < middle && (right >= end || from[left].score >= from[right].score))
                    to[k] = from[left++];
                else
                    to[k] = from[right++];
            }
        }
        swap = from, from = to, to = swap;
    }
    if (from != list->items)
        memcpy(list->items, from, list->count * sizeof(*from));
    free(scratch);
    return true;
}

struct kept_boxes {
    float *x1, *y1, *x2, *y2, *area; /* each of a multiple of LANES; unused lanes hold empty boxes far away */
    size_t count;
};

/* Whether any kept box overlaps this one by more than limit. */
static bool is_suppressed(const struct kept_boxes *kept, float x1, float y1, float x2, float y2, float area,
                          float limit)
{
    size_t block, i;

    for (block = 0; block < kept->count; block += LANES) {
        const float *restrict kx1 = kept->x1 + block, *restrict ky1 = kept->y1 + block;
        const float *restrict kx2 = kept->x2 + block, *restrict ky2 = kept->y2 + block;
        const float *restrict karea = kept->area + block;
        int hit = 0;

        for (i = 0; i < LANES; i++) {
            float left = kx1[i] > x1 ? kx1[i] : x1, top = ky1[i] > y1 ? ky1[i] : y1;
            float right = kx2[i] < x2 ? kx2[i] : x2, bottom = ky2[i] < y2 ? ky2[i] : y2;
            float w = right - left > 0 ? right - left : 0, h = bottom - top > 0 ? bottom - top : 0;
            float overlap = w * h;

            hit |= overlap / (karea[i] + area - overlap) > limit;
        }
        if (hit)
            return true;
    }
    return false;
}

enum serin_errc nms_upright(struct candidates *list, double iou, bool agnostic, int max_det, struct serin_error *error)
{
    size_t limit = (size_t)max_det < list->count ? (size_t)max_det : list->count;
    size_t lanes = (limit + LANES - 1) / LANES * LANES, i;
    struct kept_boxes kept = {0};
    float threshold = (float)iou, *memory;

    if (list->count == 0)
        return SERIN_OK;
    /* The original compares a float32 overlap with a double: above the largest float that is not above it is the same.
     */
    if ((double)threshold > iou)
        threshold = nextafterf(threshold, -1.0f);
    memory = calloc(lanes * 5 + LANES, sizeof(*memory));
    if (!memory || !sort_by_score(list)) {
        free(memory);
        return error_set(error, SERIN_NOMEM, "no memory for suppression among %zu boxes", list->count);
    }
    kept.x1 = memory, kept.y1 = memory + lanes, kept.x2 = memory + 2 * lanes, kept.y2 = memory + 3 * lanes;
    kept.area = memory + 4 * lanes;
    for (i = 0; i < lanes; i++)
        kept.x1[i] = kept.y1[i] = kept.x2[i] = kept.y2[i] = -1e9f, kept.area[i] = 1;
    for (i = 0; i < list->count && kept.count < limit; i++) {
        const struct candidate *box = &list->items[i];
        float offset = agnostic ? 0 : (float)box->class_id * CLASS_OFFSET_PX;
        float x1 = box->x1 + offset, y1 = box->y1 + offset, x2 = box->x2 + offset, y2 = box->y2 + offset;
        float area = (x2 - x1) * (y2 - y1);

        if (is_suppressed(&kept, x1, y1, x2, y2, area, threshold))
            continue;
        kept.x1[kept.count] = x1, kept.y1[kept.count] = y1, kept.x2[kept.count] = x2, kept.y2[kept.count] = y2;
        kept.area[kept.count] = area;
        list->items[kept.count++] = *box;
    }
    list->count = kept.count;
    free(memory);
    return SERIN_OK;
}

/* ---- rotated ---- */

/* A box as a Gaussian: variances of a uniform rectangle, turned (arXiv 2106.06072, section 3). */
struct gaussian {
    float x, y, a, b, c;
};

static struct gaussian gaussian_of(const struct candidate *box, float offset)
{
    float a = box->x2 * box->x2 / 12, b = box->y2 * box->y2 / 12;
    float cosine = cosf(box->angle), sine = sinf(box->angle);
    float cosine2 = cosine * cosine, sine2 = sine * sine;

    return (struct gaussian){box->x1 + offset, box->y1 + offset, a * cosine2 + b * sine2, a * sine2 + b * cosine2,
                             (a - b) * cosine * sine};
}

static float probiou(const struct gaussian *p, const struct gaussian *q)
{
    float a = p->a + q->a, b = p->b + q->b, c = p->c + q->c;
    float dx = q->x - p->x, dy = p->y - q->y;
    float det = a * b - c * c;
    float det_p = fmaxf(p->a * p->b - p->c * p->c, 0), det_q = fmaxf(q->a * q->b - q->c * q->c, 0);
    float t1 = (a * dy * dy + b * dx * dx) / (det + EPSILON) * 0.25f;
    float t2 = c * dx * dy / (det + EPSILON) * 0.5f;
    float t3 = logf(det / (4 * sqrtf(det_p * det_q) + EPSILON) + EPSILON) * 0.5f;
    float distance = t1 + t2 + t3;

    distance = distance < EPSILON ? EPSILON : distance > 100.0f ? 100.0f : distance;
    return 1 - sqrtf(1.0f - expf(-distance) + EPSILON);
}

/* The Bhattacharyya distance is at least d^2 / (4 * largest eigenvalue of the summed covariance), and that eigenvalue
 * is at most the trace: boxes far apart are told without logarithms. reach is four times the largest distance that can
 * still give an IoU above the threshold. */
static bool may_overlap(const struct gaussian *p, const struct gaussian *q, float reach)
{
    float dx = q->x - p->x, dy = q->y - p->y;

    return !(dx * dx + dy * dy > reach * (p->a + q->a + p->b + q->b));
}

enum serin_errc nms_rotated(struct candidates *list, double iou, bool agnostic, int max_det, struct serin_error *error)
{
    /* iou > t needs sqrt(1 - exp(-d) + eps) < 1 - t; with some room for rounding. */
    float threshold = (float)iou, root = 1.0f - threshold, rest = 1.0f - root * root;
    float reach = rest > 1e-6f ? -4.0f * logf(rest) * 1.01f + 0.01f : 400.0f;
    struct gaussian *boxes;
    size_t kept = 0, i, j;

    if (list->count == 0)
        return SERIN_OK;
    boxes = malloc(list->count * sizeof(*boxes));
    if (!boxes || !sort_by_score(list)) {
        free(boxes);
        return error_set(error, SERIN_NOMEM, "no memory for suppression among %zu boxes", list->count);
    }
    for (i = 0; i < list->count && kept < (size_t)max_det; i++) {
        bool suppressed = false;

        boxes[i] = gaussian_of(&list->items[i], agnostic ? 0 : (float)list->items[i].class_id * CLASS_OFFSET_PX);
        for (j = 0; j < i && !suppressed; j++)
            suppressed = may_overlap(&boxes[j], &boxes[i], reach) && probiou(&boxes[j], &boxes[i]) > threshold;
        if (!suppressed)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
    free(boxes);
    return SERIN_OK;
}
