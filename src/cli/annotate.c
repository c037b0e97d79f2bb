/*
 * annotate.c - drawing in layers: masks below, then boxes, skeletons, and labels on top of all.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines have a dark rim, so that they can be seen on any ground. Within a layer the most confident is drawn last.
 */
#include "cli/annotate.h"

#include "cli/labels.h"
#include "image/letterbox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE_PX      32767 /* of a cairo surface */
#define MASK_OPACITY     0.45
#define RIM_OPACITY      0.45
#define RIMMED_LINE_PX   1.5  /* a thinner line would drown in its rim */
#define CROWD            12   /* detections from which on labels adapt to the objects */
#define VISIBLE_KEYPOINT 0.5f /* points below are not drawn */

struct canvas {
    cairo_t *cairo;
    cairo_surface_t *surface;
    double width, height; /* px */
    double line_px, font_px;
};

static void set_colour(cairo_t *cairo, struct colour colour, double opacity)
{
    cairo_set_source_rgba(cairo, colour.red, colour.green, colour.blue, opacity);
}

/* Strokes the current path: a dark rim, then the colour. */
static void stroke_with_rim(const struct canvas *canvas, struct colour colour, double line_px)
{
    if (line_px >= RIMMED_LINE_PX) {
        cairo_set_line_width(canvas->cairo, line_px + fmax(1.5, line_px * 0.6));
        cairo_set_source_rgba(canvas->cairo, 0, 0, 0, RIM_OPACITY);
        cairo_stroke_preserve(canvas->cairo);
    }
    cairo_set_line_width(canvas->cairo, line_px);
    set_colour(canvas->cairo, colour, 1);
    cairo_stroke(canvas->cairo);
}

/* The stored rectangle of a mask as a stencil, scaled from the network's input back to the picture. */
static void draw_mask(const struct canvas *canvas, const struct serin_mask *mask, struct colour colour)
{
    cairo_t *cairo = canvas->cairo;
    struct letterbox box;
    cairo_surface_t *stencil;
    cairo_pattern_t *pattern;
    unsigned char *rows;
    int stride, x, y;

    if (mask->width <= 0 || mask->height <= 0 ||
        letterbox_plan((int32_t)canvas->width, (int32_t)canvas->height, mask->full_width, mask->full_height, false, 1,
                       &box, NULL) != SERIN_OK)
        return;
    stencil = cairo_image_surface_create(CAIRO_FORMAT_A8, mask->width, mask->height);
    rows = cairo_image_surface_get_data(stencil); /* NULL for a surface without memory: nothing is drawn */
    stride = cairo_image_surface_get_stride(stencil);
    for (y = 0; rows && y < mask->height; y++)
        for (x = 0; x < mask->width; x++)
            rows[(size_t)y * (size_t)stride + (size_t)x] =
                mask->values[(size_t)y * (size_t)mask->width + (size_t)x] ? 255 : 0;
    cairo_surface_mark_dirty(stencil);
    cairo_save(cairo);
    cairo_scale(cairo, canvas->width / box.resized_width, canvas->height / box.resized_height);
    cairo_translate(cairo, mask->x - box.left, mask->y - box.top);
    pattern = cairo_pattern_create_for_surface(stencil);
    cairo_pattern_set_filter(pattern, CAIRO_FILTER_BILINEAR); /* smooth edges where the mask is enlarged */
    set_colour(cairo, colour, MASK_OPACITY);
    cairo_mask(cairo, pattern);
    cairo_restore(cairo);
    cairo_pattern_destroy(pattern);
    cairo_surface_destroy(stencil);
}

static void draw_box(const struct canvas *canvas, const struct serin_detection *detection, struct colour colour)
{
    double inset = canvas->line_px / 2; /* a box along the picture's edge keeps its whole line */
    double x1 = fmax(detection->x1, inset), y1 = fmax(detection->y1, inset);
    double x2 = fmin(detection->x2, canvas->width - inset), y2 = fmin(detection->y2, canvas->height - inset);

    cairo_rectangle(canvas->cairo, x1, y1, fmax(x2 - x1, 1), fmax(y2 - y1, 1));
    stroke_with_rim(canvas, colour, canvas->line_px);
}

static void draw_rotated_box(const struct canvas *canvas, const struct serin_detection *detection, struct colour colour)
{
    int i;

    for (i = 0; i < 4; i++)
        cairo_line_to(canvas->cairo, detection->corners[i][0], detection->corners[i][1]);
    cairo_close_path(canvas->cairo);
    stroke_with_rim(canvas, colour, canvas->line_px);
}

#define PERSON_POINTS 17

/* COCO's keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; odd numbers are the left side. */
static const unsigned char limbs[][2] = {
    {15, 13}, {13, 11}, {16, 14}, {14, 12}, {11, 12}, {5, 11}, {6, 12}, {5, 6}, {5, 7}, {6, 8},
    {7, 9},   {8, 10},  {1, 2},   {0, 1},   {0, 2},   {1, 3},  {2, 4},  {3, 5}, {4, 6},
};

static struct colour colour_of_side(int a, int b)
{
    static const struct colour left = {1.0, 0.62, 0.10}, right = {0.16, 0.68, 1.0}, middle = {0.45, 0.93, 0.40};

    if (a == 0 || b == 0 || a % 2 != b % 2)
        return a == 0 && b == 0 ? middle : (a == 0 || b == 0) ? ((a + b) % 2 ? left : right) : middle;
    return a % 2 ? left : right;
}

static void draw_keypoints(const struct canvas *canvas, const struct serin_detection *detection, int count)
{
    const struct serin_keypoint *points = detection->keypoints;
    double size = (double)fmaxf(detection->x2 - detection->x1, detection->y2 - detection->y1);
    double limb_px = fmax(1.2, fmin(size * 0.011, canvas->line_px * 1.5)), radius = limb_px * 1.1 + 0.6;
    cairo_t *cairo = canvas->cairo;
    size_t i;
    int k;

    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
    for (i = 0; count == PERSON_POINTS && i < sizeof(limbs) / sizeof(limbs[0]); i++) {
        const struct serin_keypoint *a = &points[limbs[i][0]], *b = &points[limbs[i][1]];

        if (a->visible < VISIBLE_KEYPOINT || b->visible < VISIBLE_KEYPOINT)
            continue;
        cairo_move_to(cairo, a->x, a->y);
        cairo_line_to(cairo, b->x, b->y);
        stroke_with_rim(canvas, colour_of_side(limbs[i][0], limbs[i][1]), limb_px);
    }
    for (k = 0; k < count; k++) {
        if (points[k].visible < VISIBLE_KEYPOINT)
            continue;
        cairo_arc(cairo, points[k].x, points[k].y, radius, 0, 2 * M_PI);
        set_colour(cairo, count == PERSON_POINTS ? colour_of_side(k, k) : colour_of_class(k), 1);
        cairo_fill_preserve(cairo);
        cairo_set_line_width(cairo, fmax(0.8, radius * 0.3));
        cairo_set_source_rgba(cairo, 1, 1, 1, 0.95);
        cairo_stroke(cairo);
    }
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_BUTT);
}

static const char *name_of_class(const struct serin_result *result, int class_id)
{
    return class_id >= 0 && class_id < result->info->class_count ? result->info->class_names[class_id] : "?";
}

/* The best classes as lines in the upper left corner. */
static void add_class_list(struct labels *labels, const struct serin_result *result)
{
    size_t i;

    for (i = 0; i < result->count; i++) {
        const struct serin_detection *best = &result->detections[i];
        struct rectangle corner = {labels->padding, labels->padding + (double)i * (labels->line_height + 1), 1, 1};

        labels_add(labels, &(struct rectangle){corner.x, corner.y + labels->line_height, 1, labels->height},
                   name_of_class(result, best->class_id), best->confidence, colour_of_class((int)i));
    }
}

static int by_size(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;

    return (left > right) - (left < right);
}

/* Lines and text for a picture of this size; smaller where it is crowded with small objects, which they would bury. */
static void choose_sizes(struct canvas *canvas, const struct serin_result *result)
{
    double mean_side = (canvas->width + canvas->height) / 2, smallest = mean_side < 200 ? 9 : 11;
    float *sides;
    size_t i;

    canvas->line_px = fmax(mean_side < 100 ? 1 : 2, round(mean_side * 0.003));
    canvas->font_px = fmin(fmax(mean_side * 0.0175, smallest), 96);
    if (result->task == SERIN_CLASSIFY || result->count < CROWD)
        return;
    sides = malloc(result->count * sizeof(*sides));
    if (!sides)
        return; /* it is only a matter of looks */
    for (i = 0; i < result->count; i++) {
        const struct serin_detection *one = &result->detections[i];

        sides[i] = fmaxf(one->x2 - one->x1, one->y2 - one->y1);
    }
    qsort(sides, result->count, sizeof(*sides), by_size);
    canvas->font_px = fmax(smallest, fmin(canvas->font_px, sides[result->count / 2] * 0.22));
    canvas->line_px =
        fmax(fmax(1, round(mean_side * 0.0012)), fmin(canvas->line_px, round(sides[result->count / 2] * 0.035)));
    free(sides);
}

static enum serin_errc draw_labels(const struct canvas *canvas, const struct serin_result *result,
                                   struct serin_error *error)
{
    struct labels labels;
    enum serin_errc rc;
    size_t i;

    rc = labels_init(&labels, canvas->cairo, canvas->width, canvas->height, canvas->font_px, result->count, error);
    if (rc != SERIN_OK)
        return rc;
    if (result->task == SERIN_CLASSIFY)
        add_class_list(&labels, result);
    for (i = 0; result->task != SERIN_CLASSIFY && i < result->count; i++) {
        const struct serin_detection *one = &result->detections[i];
        double x1 = fmax(one->x1, 0), y1 = fmax(one->y1, 0);
        double x2 = fmin(one->x2, canvas->width), y2 = fmin(one->y2, canvas->height);

        labels_add(&labels, &(struct rectangle){x1, y1, x2 - x1, y2 - y1}, name_of_class(result, one->class_id),
                   one->confidence, colour_of_class(one->class_id));
    }
    labels_draw(&labels);
    labels_done(&labels);
    return SERIN_OK;
}

static enum serin_errc draw(const struct canvas *canvas, const struct serin_result *result, struct serin_error *error)
{
    size_t i;

    for (i = result->count; i-- > 0;)
        if (result->detections[i].mask)
            draw_mask(canvas, result->detections[i].mask, colour_of_class(result->detections[i].class_id));
    for (i = result->count; i-- > 0;) {
        const struct serin_detection *one = &result->detections[i];
        struct colour colour = colour_of_class(one->class_id);

        if (result->task == SERIN_OBB)
            draw_rotated_box(canvas, one, colour);
        else if (result->task != SERIN_CLASSIFY)
            draw_box(canvas, one, colour);
        if (one->keypoints)
            draw_keypoints(canvas, one, result->info->keypoint_count);
    }
    return draw_labels(canvas, result, error);
}

static void copy_in(const struct canvas *canvas, const struct serin_image *image)
{
    unsigned char *rows = cairo_image_surface_get_data(canvas->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(canvas->surface);
    int32_t x, y;

    for (y = 0; y < image->height; y++) {
        const uint8_t *from = image->pixels + (size_t)y * image->stride_bytes;
        uint32_t *to = (uint32_t *)(void *)(rows + (size_t)y * stride); /* cairo aligns its rows to 4 bytes */

        for (x = 0; x < image->width; x++, from += 3)
            to[x] = 0xff000000u | (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
    }
    cairo_surface_mark_dirty(canvas->surface);
}

static void copy_out(const struct canvas *canvas, struct serin_image *image)
{
    const unsigned char *rows = cairo_image_surface_get_data(canvas->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(canvas->surface);
    int32_t x, y;

    for (y = 0; y < image->height; y++) {
        uint8_t *to = image->pixels + (size_t)y * image->stride_bytes;
        const uint32_t *from = (const uint32_t *)(const void *)(rows + (size_t)y * stride);

        for (x = 0; x < image->width; x++, to += 3) {
            to[0] = (uint8_t)(from[x] >> 16);
            to[1] = (uint8_t)(from[x] >> 8);
            to[2] = (uint8_t)from[x];
        }
    }
}

enum serin_errc annotate(struct serin_image *image, const struct serin_result *result, struct serin_error *error)
{
    struct canvas canvas = {.width = image->width, .height = image->height};
    enum serin_errc rc;

    if (image->width > MAX_SIDE_PX || image->height > MAX_SIDE_PX)
        return error_set(error, SERIN_LIMIT, "a picture of %d x %d cannot be drawn on, the limit is %d pixels a side",
                         image->width, image->height, MAX_SIDE_PX);
    choose_sizes(&canvas, result);
    canvas.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    canvas.cairo = cairo_create(canvas.surface);
    if (cairo_status(canvas.cairo) != CAIRO_STATUS_SUCCESS) {
        rc = error_set(error, SERIN_NOMEM, "no memory to draw on a picture of %d x %d", image->width, image->height);
    } else {
        copy_in(&canvas, image);
        cairo_set_line_join(canvas.cairo, CAIRO_LINE_JOIN_ROUND);
        rc = draw(&canvas, result, error);
        cairo_surface_flush(canvas.surface);
        if (rc == SERIN_OK && cairo_status(canvas.cairo) != CAIRO_STATUS_SUCCESS)
            rc = error_set(error, SERIN_IO, "drawing failed: %s", cairo_status_to_string(cairo_status(canvas.cairo)));
        if (rc == SERIN_OK)
            copy_out(&canvas, image);
    }
    cairo_destroy(canvas.cairo);
    cairo_surface_destroy(canvas.surface);
    return rc;
}
