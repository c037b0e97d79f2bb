/*
 * letterbox_kernels.h - the inner loops of the letterbox, once per instruction set.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row of the resized picture passes through these steps. Between them a pixel has four places (R, G, B and an unused
 * one): four places fill vectors evenly, and as bytes a pixel is one 32-bit word, from which a shift and a mask give
 * each plane.
 *
 *     source row, RGB bytes --horizontal--> line, 4 x int16 --vertical, with a second line--> row of 4 x uint8
 * --write--> planes source row, RGB bytes --widen-----------------------------------------------------------^   (where
 * nothing is resized)
 *
 * Every implementation gives the same bytes in the three used places. Rows between the steps are aligned to
 * LETTERBOX_ALIGNMENT and allocated for letterbox_padded(count) pixels; kernels may read and write up to there, and
 * never outside of [row, row + row_bytes).
 */
#ifndef IMAGE_LETTERBOX_KERNELS_H
#define IMAGE_LETTERBOX_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LETTERBOX_ALIGNMENT 64 /* bytes */

/* A source row is at least this long: the caller copies shorter ones into a buffer. So a kernel may load a window of
 * this size anywhere in it. */
#define LETTERBOX_MIN_ROW_BYTES 128

/* Column x of the resized picture is (row[offset] * weight0 + row[offset + 3] * weight1) >> 4 in each channel. */
struct letterbox_columns {
    int32_t count;     /* px; the arrays hold letterbox_padded(count), the excess repeating the last column */
    int32_t paired;    /* columns before this one have a right neighbour within the row; for the others weight1 is 0 */
    size_t row_bytes;  /* of a source row, at least LETTERBOX_MIN_ROW_BYTES */
    uint32_t *offsets; /* bytes, never falling */
    uint32_t *weights; /* weight0 | weight1 << 16, both 0..2048 */

    /* For each 8 columns: a window of the row that holds all they need, and for each of their input bytes its place in
     * it. window_bytes is 64 or 128, or 0 where 8 columns do not fit. */
    int32_t window_bytes;
    uint32_t *window_offsets; /* bytes; window_offsets + window_bytes <= row_bytes */
    uint8_t *window_places; /* 128 per 8 columns: columns 0, 2, 4, 6 and then 1, 3, 5, 7, each as R R' G G' B B' with a
                               don't-care after every one, and 4 don't-cares (R' is the right neighbour) */
};

struct letterbox_kernels {
    const char *name;
    bool (*supported)(void);
    void (*horizontal)(const struct letterbox_columns *columns, const uint8_t *row, int16_t *line);
    /* ((weight0 * line0 >> 16) + (weight1 * line1 >> 16) + 2) >> 2 */
    void (*vertical)(const int16_t *line0, const int16_t *line1, int16_t weight0, int16_t weight1, int32_t count,
                     uint8_t *rgbx);
    void (*widen)(const uint8_t *row, int32_t count, uint8_t *rgbx);
    /* By enum pixel_type: count elements each to planes[0], planes[plane] and planes[2 * plane], and nothing behind
     * them. */
    void (*write[3])(const uint8_t *rgbx, int32_t count, void *planes, size_t plane);
};

static inline int32_t letterbox_padded(int32_t count)
{
    return (count + 31) & ~31;
}

extern const struct letterbox_kernels letterbox_plain;
#if defined(__x86_64__)
extern const struct letterbox_kernels letterbox_avx2;
extern const struct letterbox_kernels letterbox_avx512;
#endif

/* byte / 255 as IEEE binary16, rounded to nearest. */
uint16_t letterbox_half(uint8_t byte);

/* The kernels in use now. */
const struct letterbox_kernels *letterbox_kernels(void);

#endif
