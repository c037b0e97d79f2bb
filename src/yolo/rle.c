/*
 * rle.c - run-length masks: making, joining, measuring and comparing them without ever unpacking a bitmap.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariant of every struct rle that a constructor returned: the counts sum to width * height, which is at most
 * RLE_MAX_PIXELS, so 32 bits hold every position.
 */
#include "yolo/rle.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Runs that are still being collected. */
struct runs {
    uint32_t *counts;
    size_t count, capacity;
};

static enum serin_errc check_size(uint32_t width, uint32_t height, struct serin_error *error)
{
    if (width == 0 || height == 0 || width > RLE_MAX_SIDE_PX || height > RLE_MAX_SIDE_PX ||
        (uint64_t)width * height > RLE_MAX_PIXELS)
        return error_set(error, SERIN_LIMIT,
                         "mask is %u x %u, each side must be 1 to %u and the area at most %u pixels", width, height,
                         RLE_MAX_SIDE_PX, RLE_MAX_PIXELS);
    return SERIN_OK;
}

static enum serin_errc runs_push(struct runs *runs, uint32_t length, struct serin_error *error)
{
    if (runs->count == runs->capacity) {
        size_t capacity = runs->capacity ? runs->capacity * 2 : 32;
        uint32_t *counts = realloc(runs->counts, capacity * sizeof(*counts));

        if (!counts)
            return error_set(error, SERIN_NOMEM, "no memory for a mask of %zu runs", capacity);
        runs->counts = counts;
        runs->capacity = capacity;
    }
    runs->counts[runs->count++] = length;
    return SERIN_OK;
}

static void runs_hand_over(struct runs *runs, uint32_t width, uint32_t height, struct rle *ret)
{
    uint32_t *shrunk = realloc(runs->counts, runs->count * sizeof(*shrunk));

    *ret = (struct rle){width, height, shrunk ? shrunk : runs->counts, runs->count};
    *runs = (struct runs){0};
    /* cppcheck-suppress memleak ; ret keeps it */
}

void rle_done(struct rle *rle)
{
    if (!rle)
        return;
    free(rle->counts);
    *rle = (struct rle){0};
}

enum serin_errc rle_from_bitmap(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint32_t bitmap_width,
                                uint32_t bitmap_height, const uint8_t *bitmap, size_t stride_bytes, struct rle *ret,
                                struct serin_error *error)
{
    struct runs runs = {0};
    uint32_t column, row, length;
    enum serin_errc rc = check_size(width, height, error);
    bool value = false;

    if (rc)
        return rc;
    if (x > width || y > height || bitmap_width > width - x || bitmap_height > height - y)
        return error_set(error, SERIN_INVALID, "bitmap of %u x %u at %u, %u lies outside its mask of %u x %u",
                         bitmap_width, bitmap_height, x, y, width, height);
    if (bitmap_width == 0 || bitmap_height == 0)
        bitmap_width = bitmap_height = 0;
    length = x * height; /* of the run so far */
    for (column = 0; column < bitmap_width; column++) {
        if (value && y > 0) {
            rc = runs_push(&runs, length, error);
            value = false;
            length = 0;
        }
        length += y;
        for (row = 0; row < bitmap_height && !rc; row++) {
            if ((bitmap[row * stride_bytes + column] != 0) != value) {
                rc = runs_push(&runs, length, error);
                value = !value;
                length = 0;
            }
            length++;
        }
        if (value && y + bitmap_height < height && !rc) {
            rc = runs_push(&runs, length, error);
            value = false;
            length = 0;
        }
        length += height - y - bitmap_height;
        if (rc)
            goto fail;
    }
    if (value && x + bitmap_width < width) {
        rc = runs_push(&runs, length, error);
        length = 0;
    }
    length += (width - x - bitmap_width) * height;
    if (!rc)
        rc = runs_push(&runs, length, error);
    if (rc)
        goto fail;
    runs_hand_over(&runs, width, height, ret);
    return SERIN_OK;
fail:
    free(runs.counts);
    return rc;
}

/* ---- polygons ---- */

/* COCO's definition: the outline is drawn five times finer than the pixels; wherever it steps from one fine column to
 * the next over the centre line of a pixel's column, it crosses that column at some height; between the first and
 * second crossing of a column (counted on through all columns) lie the ones. */
#define POLYGON_SCALE     5
#define POLYGON_MAX_STEPS 100000000u

struct outline {
    uint32_t width, height;
    struct runs crossings; /* positions in column-major order */
    bool started;
    int u, v; /* the fine point before */
};

static enum serin_errc outline_visit(struct outline *outline, int u, int v, struct serin_error *error)
{
    int before_u = outline->u, before_v = outline->v, fine, low;
    double y;

    if (!outline->started || u == before_u) {
        outline->started = true;
        outline->u = u;
        outline->v = v;
        return SERIN_OK;
    }
    outline->u = u;
    outline->v = v;
    fine = u < before_u ? u : u - 1;
    low = v < before_v ? v : before_v;
    /* (fine + .5) / 5 - .5 is a whole number only for fine = 5 * column + 2, the middle of a pixel */
    if (fine < 0 || fine % POLYGON_SCALE != POLYGON_SCALE / 2 || fine / POLYGON_SCALE > (int)outline->width - 1)
        return SERIN_OK;
    y = ((double)low + .5) / POLYGON_SCALE - .5;
    if (y < 0)
        y = 0;
    else if (y > outline->height)
        y = outline->height;
    return runs_push(&outline->crossings, (uint32_t)(fine / POLYGON_SCALE) * outline->height + (uint32_t)ceil(y),
                     error);
}

/* Visits the fine points of one edge in its own direction. The point is computed from the end with the smaller
 * coordinate on the longer axis, so that an edge gives the same points both ways. */
static enum serin_errc outline_edge(struct outline *outline, int xs, int ys, int xe, int ye, struct serin_error *error)
{
    int dx = abs(xe - xs), dy = abs(ys - ye), length = dx >= dy ? dx : dy, i, t;
    bool flip = (dx >= dy && xs > xe) || (dx < dy && ys > ye);
    enum serin_errc rc = SERIN_OK;
    double slope;

    if (length == 0)
        return SERIN_OK;
    if (flip) {
        t = xs, xs = xe, xe = t;
        t = ys, ys = ye, ye = t;
    }
    slope = dx >= dy ? (double)(ye - ys) / dx : (double)(xe - xs) / dy;
    for (i = 0; i <= length && !rc; i++) {
        t = flip ? length - i : i;
        if (dx >= dy)
            rc = outline_visit(outline, xs + t, (int)(ys + slope * t + .5), error);
        else
            rc = outline_visit(outline, (int)(xs + slope * t + .5), ys + t, error);
    }
    return rc;
}

static int by_position(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Sorted crossings to runs: equal crossings cancel. */
static enum serin_errc crossings_to_runs(struct runs *crossings, uint32_t area, struct runs *runs,
                                         struct serin_error *error)
{
    enum serin_errc rc;
    uint32_t before = 0;
    size_t i;

    rc = runs_push(crossings, area, error);
    if (rc)
        return rc;
    qsort(crossings->counts, crossings->count, sizeof(*crossings->counts), by_position);
    for (i = 0; i < crossings->count && !rc; i++) {
        uint32_t length = crossings->counts[i] - before;

        before = crossings->counts[i];
        if (length > 0 || i == 0)
            rc = runs_push(runs, length, error);
        else if (++i < crossings->count) { /* a run of nothing: the ones on both sides of it are one run */
            runs->counts[runs->count - 1] += crossings->counts[i] - before;
            before = crossings->counts[i];
        }
    }
    return rc;
}

enum serin_errc rle_from_polygon(uint32_t width, uint32_t height, const double *points, size_t point_count,
                                 struct rle *ret, struct serin_error *error)
{
    struct outline outline = {.width = width, .height = height};
    enum serin_errc rc = check_size(width, height, error);
    struct runs runs = {0};
    uint64_t steps = 0;
    size_t i;

    if (rc)
        return rc;
    if (point_count < 3)
        return error_set(error, SERIN_CORRUPT, "polygon of %zu points, at least 3 are needed", point_count);
    if (point_count > RLE_MAX_POLYGON_POINTS)
        return error_set(error, SERIN_LIMIT, "polygon of %zu points, the limit is %u", point_count,
                         RLE_MAX_POLYGON_POINTS);
    for (i = 0; i < point_count * 2; i++)
        if (!(points[i] >= -(double)RLE_MAX_SIDE_PX && points[i] <= 2.0 * RLE_MAX_SIDE_PX))
            return error_set(error, SERIN_CORRUPT, "polygon's coordinate %g is not within -%u to %u px", points[i],
                             RLE_MAX_SIDE_PX, 2 * RLE_MAX_SIDE_PX);
    for (i = 0; i < point_count && !rc; i++) {
        size_t next = i + 1 < point_count ? i + 1 : 0;
        int xs = (int)(POLYGON_SCALE * points[2 * i] + .5), ys = (int)(POLYGON_SCALE * points[2 * i + 1] + .5);
        int xe = (int)(POLYGON_SCALE * points[2 * next] + .5), ye = (int)(POLYGON_SCALE * points[2 * next + 1] + .5);

        steps += (uint64_t)abs(xe - xs) + (uint64_t)abs(ye - ys) + 1;
        if (steps > POLYGON_MAX_STEPS)
            rc = error_set(error, SERIN_LIMIT, "polygon's outline is longer than the limit of %u px",
                           POLYGON_MAX_STEPS / POLYGON_SCALE);
        else
            rc = outline_edge(&outline, xs, ys, xe, ye, error);
    }
    if (!rc)
        rc = crossings_to_runs(&outline.crossings, width * height, &runs, error);
    free(outline.crossings.counts);
    if (rc) {
        free(runs.counts);
        return rc;
    }
    runs_hand_over(&runs, width, height, ret);
    return SERIN_OK;
}

/* ---- counts and text ---- */

enum serin_errc rle_from_counts(uint32_t width, uint32_t height, const uint32_t *counts, size_t count, struct rle *ret,
                                struct serin_error *error)
{
    enum serin_errc rc = check_size(width, height, error);
    uint64_t sum = 0;
    uint32_t *copy;
    size_t i;

    if (rc)
        return rc;
    for (i = 0; i < count; i++)
        sum += counts[i];
    if (sum != (uint64_t)width * height)
        return error_set(error, SERIN_CORRUPT, "mask's %zu counts sum to %llu, not to %u x %u", count,
                         (unsigned long long)sum, width, height);
    copy = malloc((count + 1) * sizeof(*copy)); /* of nothing malloc may give NULL */
    if (!copy)
        return error_set(error, SERIN_NOMEM, "no memory for a mask of %zu runs", count);
    memcpy(copy, counts, count * sizeof(*copy));
    *ret = (struct rle){width, height, copy, count};
    return SERIN_OK;
}

/* Each number is cut in groups of five bits, lowest first; a character is 48 + group + 32 where more follow, and the
 * highest group's bit 16 is the sign. From the fourth count on, the difference to the count two before is stored. */
enum serin_errc rle_from_text(uint32_t width, uint32_t height, const char *text, size_t length, struct rle *ret,
                              struct serin_error *error)
{
    enum serin_errc rc = check_size(width, height, error);
    struct runs runs = {0};
    size_t i = 0;

    while (i < length && !rc) {
        int64_t value = 0;
        unsigned shift = 0;
        int group;

        do {
            if (i == length || text[i] < '0' || text[i] > 'o' || shift > 30) {
                rc = error_set(error, SERIN_CORRUPT, "compressed mask is damaged at character %zu of %zu", i, length);
                goto fail;
            }
            group = text[i++] - '0';
            value |= (int64_t)(group & 31) << shift;
            shift += 5;
        } while (group & 32);
        if (group & 16)
            value -= (int64_t)1 << shift;
        if (runs.count > 2)
            value += runs.counts[runs.count - 2];
        if (value < 0 || value > (int64_t)width * height)
            rc = error_set(error, SERIN_CORRUPT, "compressed mask's count %zu is %lld, the mask has %u x %u pixels",
                           runs.count, (long long)value, width, height);
        else
            rc = runs_push(&runs, (uint32_t)value, error);
    }
    if (!rc)
        rc = rle_from_counts(width, height, runs.counts, runs.count, ret, error);
fail:
    free(runs.counts);
    return rc;
}

/* ---- walking two masks together ---- */

struct walker {
    const struct rle *rle;
    size_t next;   /* the count after the current one */
    uint32_t left; /* of the current run */
    bool value;
};

static struct walker walker_start(const struct rle *rle)
{
    return (struct walker){rle, 1, rle->count ? rle->counts[0] : 0, false};
}

static void walker_advance(struct walker *walker, uint32_t length)
{
    walker->left -= length;
    while (walker->left == 0 && walker->next < walker->rle->count) {
        walker->left = walker->rle->counts[walker->next++];
        walker->value = !walker->value;
    }
}

static enum serin_errc union_of_two(const struct rle *a, const struct rle *b, struct rle *ret,
                                    struct serin_error *error)
{
    struct walker x = walker_start(a), y = walker_start(b);
    enum serin_errc rc = SERIN_OK;
    struct runs runs = {0};
    uint32_t length = 0;
    bool value = false;

    walker_advance(&x, 0); /* over empty runs at the start */
    walker_advance(&y, 0);
    while (x.left > 0 && y.left > 0 && !rc) {
        uint32_t step = x.left < y.left ? x.left : y.left;

        if ((x.value || y.value) != value) {
            rc = runs_push(&runs, length, error);
            value = !value;
            length = 0;
        }
        length += step;
        walker_advance(&x, step);
        walker_advance(&y, step);
    }
    if (!rc)
        rc = runs_push(&runs, length, error);
    if (rc) {
        free(runs.counts);
        return rc;
    }
    runs_hand_over(&runs, a->width, a->height, ret);
    return SERIN_OK;
}

enum serin_errc rle_union(const struct rle *masks, size_t count, struct rle *ret, struct serin_error *error)
{
    struct rle sum, next;
    enum serin_errc rc;
    size_t i;

    BUG_ON(count == 0);
    rc = rle_from_counts(masks[0].width, masks[0].height, masks[0].counts, masks[0].count, &sum, error);
    if (rc)
        return rc;
    for (i = 1; i < count; i++) {
        if (masks[i].width != sum.width || masks[i].height != sum.height)
            rc = error_set(error, SERIN_INVALID, "masks of %u x %u and %u x %u cannot be joined", sum.width, sum.height,
                           masks[i].width, masks[i].height);
        else
            rc = union_of_two(&sum, &masks[i], &next, error);
        rle_done(&sum);
        if (rc)
            return rc;
        sum = next;
    }
    *ret = sum;
    return SERIN_OK;
}

uint64_t rle_area(const struct rle *rle)
{
    uint64_t area = 0;
    size_t i;

    for (i = 1; i < rle->count; i += 2)
        area += rle->counts[i];
    return area;
}

double rle_iou(const struct rle *detection, const struct rle *truth, int crowd)
{
    struct walker d = walker_start(detection), t = walker_start(truth);
    uint64_t both = 0, either = 0;

    if (detection->width != truth->width || detection->height != truth->height)
        return -1;
    walker_advance(&d, 0);
    walker_advance(&t, 0);
    while (d.left > 0 && t.left > 0) {
        uint32_t step = d.left < t.left ? d.left : t.left;

        both += d.value && t.value ? step : 0;
        either += d.value || t.value ? step : 0;
        walker_advance(&d, step);
        walker_advance(&t, step);
    }
    if (both == 0)
        return 0;
    return (double)both / (double)(crowd ? rle_area(detection) : either);
}
