/*
 * mask.c - masks, computed only where their box is.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plane is a rectangle of a larger picture of logits that happens to be in memory. The weighted sum gives a plane at
 * the prototypes' resolution; one or two bilinear steps give the box at the wanted size, row by row, and each row is
 * thresholded at once. The native mask takes the original's two steps (prototypes -> about the input's size -> padding
 * cut off -> picture), since one step would differ at the edges.
 */
#include "yolo/mask.h"

#include "yolo/contour.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pixels begin <= p < end of an axis. */
struct span {
    int32_t begin, end;
};

/* How the pixels of a span come from the pixels of a source axis. */
struct axis {
    struct span out, in; /* in: what is read of the source */
    int32_t *lower;      /* [out.end - out.begin]: index of the source pixel below, counted from in.begin */
    int32_t *upper;
    float *weight; /* of the upper one */
};

static void axis_done(struct axis *axis)
{
    free(axis->lower);
    free(axis->upper);
    free(axis->weight);
}

/* out_size pixels interpolated from in_size; offset is added to the source index (the padding that was cut off). */
static bool axis_init(struct axis *axis, struct span out, int32_t in_size, int32_t out_size, int32_t offset)
{
    size_t count = (size_t)(out.end - out.begin), i;
    float scale = (float)in_size / (float)out_size;

    BUG_ON(out.begin >= out.end);
    axis->out = out;
    axis->lower = calloc(count, sizeof(*axis->lower));
    axis->upper = calloc(count, sizeof(*axis->upper));
    axis->weight = calloc(count, sizeof(*axis->weight));
    if (!axis->lower || !axis->upper || !axis->weight)
        return false;
    for (i = 0; i < count; i++) {
        float source = scale * ((float)(out.begin + (int32_t)i) + 0.5f) - 0.5f;
        int32_t lower;

        if (source < 0)
            source = 0;
        lower = (int32_t)source;
        if (lower > in_size - 1)
            lower = in_size - 1;
        axis->weight[i] = source - (float)lower;
        axis->lower[i] = lower + offset;
        axis->upper[i] = (lower < in_size - 1 ? lower + 1 : lower) + offset;
    }
    axis->in = (struct span){axis->lower[0], axis->upper[count - 1] + 1};
    for (i = 0; i < count; i++) {
        axis->lower[i] -= axis->in.begin;
        axis->upper[i] -= axis->in.begin;
    }
    return true;
}

/* One row of the source, interpolated along x. */
static void interpolate_row(const float *source, const struct axis *x, float *row)
{
    int32_t count = x->out.end - x->out.begin, i;

    for (i = 0; i < count; i++)
        row[i] = (1 - x->weight[i]) * source[x->lower[i]] + x->weight[i] * source[x->upper[i]];
}

/* Rows of an interpolated plane, from top to bottom; remembers the two source rows it used last. */
struct row_interpolator {
    const float *source; /* rows of source_width from axis y's in.begin on */
    size_t source_width;
    const struct axis *x, *y;
    float *rows[2]; /* source rows, interpolated along x */
    int32_t have[2];
};

static float *source_row(struct row_interpolator *in, int32_t index)
{
    int slot;

    if (in->have[0] == index || in->have[1] == index)
        return in->rows[in->have[0] == index ? 0 : 1];
    slot = in->have[0] <= in->have[1] ? 0 : 1; /* the older one goes: rows are asked for in rising order */
    interpolate_row(in->source + (size_t)index * in->source_width, in->x, in->rows[slot]);
    in->have[slot] = index;
    return in->rows[slot];
}

static void next_row(struct row_interpolator *in, int32_t y, float *restrict row)
{
    int32_t count = in->x->out.end - in->x->out.begin, i;
    const float *restrict above = source_row(in, in->y->lower[y]);
    const float *restrict below = source_row(in, in->y->upper[y]);
    float weight = in->y->weight[y];

    for (i = 0; i < count;
         i++) /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): source_row filled it */
        row[i] = (1 - weight) * above[i] + weight * below[i];
}

static bool interpolator_init(struct row_interpolator *in, const float *source, const struct axis *x,
                              const struct axis *y)
{
    size_t width = (size_t)(x->out.end - x->out.begin);

    *in = (struct row_interpolator){.source = source, .x = x, .y = y, .have = {-1, -1}};
    in->source_width = (size_t)(x->in.end - x->in.begin);
    in->rows[0] = malloc(width * 2 * sizeof(float));
    in->rows[1] = in->rows[0] ? in->rows[0] + width : NULL;
    return in->rows[0] != NULL;
}

/* The weighted sum of the prototypes over a rectangle: (y.end - y.begin) rows of (x.end - x.begin). */
static float *sum_prototypes(const struct mask_prototypes *prototypes, const float *coefficients, struct span x,
                             struct span y)
{
    size_t width = (size_t)(x.end - x.begin), height = (size_t)(y.end - y.begin), i;
    float *sum = calloc(width * height, sizeof(*sum));
    int32_t row, c;

    if (!sum)
        return NULL;
    for (row = y.begin; row < y.end; row++) {
        float *restrict out = sum + (size_t)(row - y.begin) * width;

        for (c = 0; c < prototypes->channels; c++) {
            const float *restrict in =
                prototypes->values +
                ((size_t)c * (size_t)prototypes->height + (size_t)row) * (size_t)prototypes->width + x.begin;
            float weight = coefficients[c];

            for (i = 0; i < width; i++)
                out[i] += weight * in[i];
        }
    }
    return sum;
}

/* The pixels p with from <= p < to, within 0..size. */
static struct span pixels_between(float from, float to, int32_t size)
{
    float limit = (float)size;
    struct span span;

    span.begin = (int32_t)ceilf(from < 0 ? 0 : from > limit ? limit : from);
    span.end = (int32_t)ceilf(to < 0 ? 0 : to > limit ? limit : to);
    return span;
}

/* Sizes on the way to a native mask: the factor of the first step, and what is cut out of its result. */
struct native_steps {
    int32_t factor;            /* 1, 2 or 4 */
    struct span columns, rows; /* of the picture within the enlarged prototypes */
};

static int32_t rounded_part(int32_t size, double gain)
{
    double part = rint(size * gain);

    return part < 1 ? 1 : (int32_t)part;
}

static struct native_steps native_steps_of(const struct mask_prototypes *prototypes, int32_t width, int32_t height)
{
    int32_t full_width = 4 * prototypes->width, full_height = 4 * prototypes->height, pad, divisor, enlarged_width,
            enlarged_height, part_width, part_height;
    double gain = fmin((double)full_height / height, (double)full_width / width);
    struct native_steps steps;

    /* The smallest enlargement at which the padding ends on a whole pixel: 4 / gcd(4, both paddings and their halves).
     */
    pad = (full_height - rounded_part(height, gain)) | (full_width - rounded_part(width, gain));
    pad |= pad >> 1;
    divisor = pad & 1 ? 1 : pad & 2 ? 2 : 4;
    steps.factor = 4 / divisor;
    enlarged_width = steps.factor * prototypes->width;
    enlarged_height = steps.factor * prototypes->height;
    gain = fmin((double)enlarged_height / height, (double)enlarged_width / width);
    part_width = rounded_part(width, gain);
    part_height = rounded_part(height, gain);
    steps.columns.begin = (int32_t)rint((enlarged_width - part_width) / 2.0 - 0.1);
    steps.rows.begin = (int32_t)rint((enlarged_height - part_height) / 2.0 - 0.1);
    steps.columns.end = steps.columns.begin + part_width;
    steps.rows.end = steps.rows.begin + part_height;
    return steps;
}

/* Makes the plane that the last step reads: the prototypes' sum over (x, y) of the enlarged prototypes. */
static float *enlarged_plane(const struct mask_prototypes *prototypes, const float *coefficients, int32_t factor,
                             struct span x, struct span y)
{
    struct axis ax = {0}, ay = {0};
    struct row_interpolator in = {0};
    float *sum = NULL, *plane = NULL;
    size_t width = (size_t)(x.end - x.begin);
    int32_t row;

    if (factor == 1)
        return sum_prototypes(prototypes, coefficients, x, y);
    if (axis_init(&ax, x, prototypes->width, factor * prototypes->width, 0) &&
        axis_init(&ay, y, prototypes->height, factor * prototypes->height, 0))
        sum = sum_prototypes(prototypes, coefficients, ax.in, ay.in);
    if (sum && interpolator_init(&in, sum, &ax, &ay))
        plane = malloc(width * (size_t)(y.end - y.begin) * sizeof(*plane));
    if (plane)
        for (row = 0; row < y.end - y.begin; row++)
            next_row(&in, row, plane + (size_t)row * width);
    free(in.rows[0]);
    free(sum);
    axis_done(&ax);
    axis_done(&ay);
    return plane;
}

static enum serin_errc add_outline(struct serin_mask *mask, const struct letterbox *letterbox, bool native,
                                   struct arena *arena, struct serin_error *error)
{
    struct scale scale = scale_of(letterbox);
    struct contour_point *points = NULL;
    enum serin_errc rc;
    float *outline;
    size_t count = 0, i;

    rc = contour_outline(mask->values, mask->width, mask->height, &points, &count, error);
    if (rc != SERIN_OK)
        return rc;
    outline = arena_new(arena, float, 2 * count);
    if (!outline) {
        free(points);
        return error_set(error, SERIN_LIMIT, "the masks of a picture need more than %zu bytes", arena->max_bytes);
    }
    for (i = 0; i < count; i++) {
        float x = (float)(points[i].x + mask->x), y = (float)(points[i].y + mask->y);

        if (!native)
            scale_point(&scale, &x, &y);
        outline[2 * i] = x;
        outline[2 * i + 1] = y;
    }
    free(points);
    mask->points = outline;
    mask->point_count = count;
    return SERIN_OK;
}

enum serin_errc mask_build(const struct mask_prototypes *prototypes, const float *coefficients,
                           const struct mask_box *box, const struct letterbox *letterbox, bool native,
                           struct arena *arena, struct serin_mask **ret, struct serin_error *error)
{
    int32_t full_width = native ? letterbox->image_width : letterbox->input_width;
    int32_t full_height = native ? letterbox->image_height : letterbox->input_height;
    struct span columns = pixels_between(box->x1, box->x2, full_width);
    struct span rows = pixels_between(box->y1, box->y2, full_height);
    struct native_steps steps = {.factor = 1, .columns = {0, prototypes->width}, .rows = {0, prototypes->height}};
    size_t width = (size_t)(columns.end - columns.begin), height = (size_t)(rows.end - rows.begin), x;
    struct axis ax = {0}, ay = {0};
    struct row_interpolator in = {0};
    float *plane = NULL, *logits = NULL;
    enum serin_errc rc = SERIN_OK;
    struct serin_mask *mask;
    bool any = false, broken = false;
    uint8_t *values;
    int32_t y;

    *ret = NULL;
    if (columns.begin >= columns.end || rows.begin >= rows.end)
        return SERIN_OK;
    if (native)
        steps = native_steps_of(prototypes, full_width, full_height);
    mask = arena_new(arena, struct serin_mask, 1);
    values = arena_new(arena, uint8_t, width * height);
    if (!mask || !values)
        return error_set(error, SERIN_LIMIT, "the masks of a picture need more than %zu bytes", arena->max_bytes);
    if (axis_init(&ax, columns, steps.columns.end - steps.columns.begin, full_width, steps.columns.begin) &&
        axis_init(&ay, rows, steps.rows.end - steps.rows.begin, full_height, steps.rows.begin))
        plane = enlarged_plane(prototypes, coefficients, steps.factor, ax.in, ay.in);
    if (plane && interpolator_init(&in, plane, &ax, &ay))
        logits = malloc(width * sizeof(*logits));
    if (logits) {
        for (y = 0; y < rows.end - rows.begin; y++) {
            uint8_t *restrict out = values + (size_t)y * width;
            unsigned set = 0, unordered = 0;

            next_row(&in, y, logits);
            for (x = 0; x < width; x++) {
                out[x] = logits[x] > 0;
                set |= out[x];
                unordered |= !(logits[x] == logits[x]);
            }
            any |= set != 0;
            broken |= unordered != 0;
        }
    } else {
        rc = error_set(error, SERIN_NOMEM, "no memory for a mask of %zu x %zu", width, height);
    }
    free(logits);
    free(in.rows[0]);
    free(plane);
    axis_done(&ax);
    axis_done(&ay);
    if (broken) /* NaN is above nothing: it would pass for an empty mask */
        return error_set(error, SERIN_MODEL, "the model gave NaN in a mask: its weights or its input are broken");
    if (rc != SERIN_OK || !any)
        return rc;
    *mask = (struct serin_mask){.full_width = full_width,
                                .full_height = full_height,
                                .x = columns.begin,
                                .y = rows.begin,
                                .width = columns.end - columns.begin,
                                .height = rows.end - rows.begin,
                                .values = values};
    rc = add_outline(mask, letterbox, native, arena, error);
    if (rc == SERIN_OK)
        *ret = mask;
    return rc;
}
