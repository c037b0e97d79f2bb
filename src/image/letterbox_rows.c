/*
 * letterbox_rows.c - OpenCV's 8-bit bilinear resize (INTER_LINEAR of the 4.x series), bit for bit, one row at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source: modules/imgproc/src/resize.cpp of OpenCV 4.x. Weights are rounded to 1/2048 separately for the two
 * neighbours; the horizontal sums lose 4 bits and each vertical product 16, before the last two are rounded away.
 * OpenCV averages 2 x 2 pixels where both sides are exactly halved; that needs no code here, because with all four
 * weights 1024 nothing is lost on the way and the result is the same (a + b + c + d + 2) >> 2.
 *
 * Where the vertical weight of the lower row is 0 (always, for a threefold reduction) it is not worked on at all.
 */
#include "image/letterbox_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_ONE          2048
#define LETTERBOX_ALIGNMENT 64

/* Where output pixel i lies in the source: *ret_index the left (upper) neighbour, possibly -1; returns the rest.
 * Positions are double and rounded to float before the index is taken off, as there. */
static float locate(int32_t i, double scale, int32_t *ret_index)
{
    float position = (float)((i + 0.5) * scale - 0.5);

    *ret_index = (int32_t)floorf(position);
    return position - (float)*ret_index;
}

static int32_t weight_of(float share)
{
    return (int32_t)lrintf(share * WEIGHT_ONE); /* half to even */
}

/* Numbers the bytes that 8 columns read within a window of the row. */
static void place_window(struct letterbox_columns *columns, int32_t first, uint8_t *places)
{
    uint32_t start = columns->window_offsets[first / 8];
    int i, k;

    for (i = 0; i < 8; i++) {
        uint32_t left = columns->offsets[first + i] - start;
        uint32_t right = first + i < columns->paired ? left + 3 : left;
        uint8_t *to = places + (i & 1) * 64 + (i / 2) * 16;

        for (k = 0; k < 3; k++) {
            to[4 * k] = (uint8_t)(left + (uint32_t)k);
            to[4 * k + 2] = (uint8_t)(right + (uint32_t)k);
        }
    }
}

static uint32_t column_end(const struct letterbox_columns *columns, int32_t x)
{
    return columns->offsets[x] + (x < columns->paired ? 6 : 3);
}

static void fill_windows(struct letterbox_columns *columns)
{
    int32_t padded = letterbox_padded(columns->count), x;
    uint32_t span = 0;

    for (x = 0; x < padded; x++)
        if (column_end(columns, x) - columns->offsets[x & ~7] > span)
            span = column_end(columns, x) - columns->offsets[x & ~7];
    columns->window_bytes = span <= 64 ? 64 : span <= 128 ? 128 : 0;
    if (columns->window_bytes == 0)
        return;
    for (x = 0; x < padded; x += 8) {
        uint32_t latest = (uint32_t)columns->row_bytes - (uint32_t)columns->window_bytes;

        columns->window_offsets[x / 8] = columns->offsets[x] < latest ? columns->offsets[x] : latest;
        place_window(columns, x, columns->window_places + 16 * (size_t)x);
    }
}

static void fill_columns(struct letterbox_columns *columns, int32_t image_width)
{
    double scale = 1.0 / ((double)columns->count / image_width); /* this order: the last bit matters */
    int32_t padded = letterbox_padded(columns->count), x, index;

    for (x = 0; x < columns->count; x++) {
        float share = locate(x, scale, &index);

        if (index < 0) {
            index = 0;
            share = 0;
        }
        if (index >= image_width - 1) {
            index = image_width - 1;
            share = 0;
        } else {
            columns->paired = x + 1;
        }
        columns->offsets[x] = 3 * (uint32_t)index;
        columns->weights[x] = (uint32_t)weight_of(1.0f - share) | (uint32_t)weight_of(share) << 16;
    }
    for (; x < padded; x++) {
        columns->offsets[x] = columns->offsets[columns->count - 1];
        columns->weights[x] = columns->weights[columns->count - 1];
    }
    fill_windows(columns);
}

static void *take(uint8_t **rest, size_t size)
{
    void *piece = *rest;

    *rest += (size + LETTERBOX_ALIGNMENT - 1) / LETTERBOX_ALIGNMENT * LETTERBOX_ALIGNMENT;
    return piece;
}

enum serin_errc letterbox_rows_init(struct letterbox_rows *rows, const struct serin_image *image, int32_t width,
                                    int32_t height, struct serin_error *error)
{
    size_t padded = (size_t)letterbox_padded(width), row_bytes = 3 * (size_t)image->width;
    size_t size = padded * (sizeof(uint32_t) * 2 + 16 + 1 + 8 * sizeof(int16_t) + 4) + LETTERBOX_MIN_ROW_BYTES;
    uint8_t *rest;

    size = (size + 9 * LETTERBOX_ALIGNMENT) / LETTERBOX_ALIGNMENT *
           LETTERBOX_ALIGNMENT; /* up to 8 pieces, each rounded up */
    *rows = (struct letterbox_rows){.image = image, .width = width, .height = height, .line_y = {-1, -1}};
    rows->memory = aligned_alloc(LETTERBOX_ALIGNMENT, size);
    if (!rows->memory)
        return error_set(error, SERIN_NOMEM, "no memory for the %zu bytes to resize a picture to %d x %d", size, width,
                         height);
    memset(rows->memory, 0, size); /* vector code also computes on the excess places */
    rest = rows->memory;
    rows->columns.offsets = take(&rest, padded * sizeof(uint32_t));
    rows->columns.weights = take(&rest, padded * sizeof(uint32_t));
    rows->columns.window_offsets = take(&rest, padded / 8 * sizeof(uint32_t));
    rows->columns.window_places = take(&rest, padded * 16);
    rows->lines[0] = take(&rest, padded * 4 * sizeof(int16_t));
    rows->lines[1] = take(&rest, padded * 4 * sizeof(int16_t));
    rows->rgbx = take(&rest, padded * 4);
    if (row_bytes < LETTERBOX_MIN_ROW_BYTES) {
        row_bytes = LETTERBOX_MIN_ROW_BYTES;
        rows->short_row = take(&rest, row_bytes);
    }
    BUG_ON(rest > (uint8_t *)rows->memory + size);
    rows->kernels = letterbox_kernels();
    rows->same_size = width == image->width && height == image->height;
    rows->scale_y = 1.0 / ((double)height / image->height);
    rows->columns.count = width;
    rows->columns.row_bytes = row_bytes;
    if (!rows->same_size)
        fill_columns(&rows->columns, image->width);
    return SERIN_OK;
}

void letterbox_rows_done(struct letterbox_rows *rows)
{
    free(rows->memory);
    *rows = (struct letterbox_rows){0};
}

static const uint8_t *source_row(struct letterbox_rows *rows, int32_t y)
{
    const uint8_t *row = rows->image->pixels + (size_t)y * rows->image->stride_bytes;

    if (!rows->short_row)
        return row;
    memcpy(rows->short_row, row, 3 * (size_t)rows->image->width);
    return rows->short_row;
}

/* The source row y after the horizontal step, overwriting another one than keep. */
static const int16_t *line_of(struct letterbox_rows *rows, int32_t y, int32_t keep)
{
    int slot = rows->line_y[0] == y || (rows->line_y[1] != y && rows->line_y[0] != keep) ? 0 : 1;

    if (rows->line_y[slot] != y) {
        rows->kernels->horizontal(&rows->columns, source_row(rows, y), rows->lines[slot]);
        rows->line_y[slot] = y;
    }
    return rows->lines[slot];
}

const uint8_t *letterbox_rows_get(struct letterbox_rows *rows, int32_t y)
{
    int32_t padded = letterbox_padded(rows->width), last = rows->image->height - 1, y0, y1;
    const int16_t *line0, *line1;
    int32_t weight0, weight1;
    float share;

    if (rows->same_size) {
        rows->kernels->widen(source_row(rows, y), rows->width, rows->rgbx);
        return rows->rgbx;
    }
    share = locate(y, rows->scale_y, &y0); /* unlike a column's share, not set to 0 at the edges */
    weight0 = weight_of(1.0f - share);
    weight1 = weight_of(share);
    y1 = y0 + 1 > last ? last : y0 + 1;
    y0 = y0 < 0 ? 0 : y0 > last ? last : y0;
    line0 = line_of(rows, y0, weight1 > 0 ? y1 : y0);
    line1 = weight1 > 0 ? line_of(rows, y1, y0) : line0;
    rows->kernels->vertical(line0, line1, (int16_t)weight0, (int16_t)weight1, padded, rows->rgbx);
    return rows->rgbx;
}
