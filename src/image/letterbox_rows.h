/*
 * letterbox_rows.h - OpenCV's 8-bit bilinear resize, one row at a time.  Depends on letterbox_kernels.h and base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef IMAGE_LETTERBOX_ROWS_H
#define IMAGE_LETTERBOX_ROWS_H

#include "base/error.h"
#include "image/letterbox_kernels.h"

#include <serin/image.h>

struct letterbox_rows {
    const struct serin_image *image; /* borrowed */
    int32_t width, height;           /* px, of the resized picture */
    const struct letterbox_kernels *kernels;
    struct letterbox_columns columns;
    bool same_size;
    double scale_y;
    int16_t *lines[2]; /* the last two source rows after the horizontal step, */
    int32_t line_y[2]; /* and which rows those are; -1 for none */
    uint8_t *short_row;
    uint8_t *rgbx;
    void *memory; /* all of the above in one piece */
};

/* image's fields are already checked. SERIN_NOMEM. */
MUST_USE enum serin_errc letterbox_rows_init(struct letterbox_rows *rows, const struct serin_image *image,
                                             int32_t width, int32_t height, struct serin_error *error);
void letterbox_rows_done(struct letterbox_rows *rows);

/* Row y of the resized picture, 4 bytes a pixel (R, G, B, anything), valid until the next call. Ask in rising order of
 * y: then no source row is worked on twice. */
const uint8_t *letterbox_rows_get(struct letterbox_rows *rows, int32_t y);

#endif
