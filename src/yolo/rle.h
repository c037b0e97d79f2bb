/*
 * rle.h - binary masks as run lengths, the form that COCO's annotations and pycocotools use.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mask is read column by column (top to bottom, then left to right); counts alternate between runs of 0 and runs of
 * 1 and begin with the zeros, so the first count may be 0. The counts of a mask made here sum to width * height.
 * Reference: the mask API of COCO (pycocotools), whose results these equal bit for bit.
 */
#ifndef YOLO_RLE_H
#define YOLO_RLE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define RLE_MAX_SIDE_PX        65535u
#define RLE_MAX_PIXELS         (1u << 30)
#define RLE_MAX_POLYGON_POINTS 100000u

struct rle {
    uint32_t width, height; /* px */
    uint32_t *counts;       /* [count]; the owner frees it with rle_done */
    size_t count;
};

void rle_done(struct rle *rle); /* NULL and an empty one are fine; leaves it empty */

/* Each constructor writes *ret on success only; its counts are the caller's. SERIN_LIMIT where a side passes
 * RLE_MAX_SIDE_PX or the area RLE_MAX_PIXELS; SERIN_NOMEM. */

/* From rows of bytes (0, or anything else for 1), stride_bytes apart, for the rectangle at x, y of a mask that is width
 * x height and 0 elsewhere. SERIN_INVALID where the rectangle leaves the mask. */
MUST_USE enum serin_errc rle_from_bitmap(uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint32_t bitmap_width,
                                         uint32_t bitmap_height, const uint8_t *bitmap, size_t stride_bytes,
                                         struct rle *ret, struct serin_error *error);

/* From a closed polygon of point_count x, y pairs in px. SERIN_CORRUPT: fewer than 3 points, or a point that is not a
 * number or lies further than RLE_MAX_SIDE_PX outside; SERIN_LIMIT: too many points or too long an outline. */
MUST_USE enum serin_errc rle_from_polygon(uint32_t width, uint32_t height, const double *points, size_t point_count,
                                          struct rle *ret, struct serin_error *error);

/* From counts as a JSON file holds them. SERIN_CORRUPT where they do not sum to width * height. */
MUST_USE enum serin_errc rle_from_counts(uint32_t width, uint32_t height, const uint32_t *counts, size_t count,
                                         struct rle *ret, struct serin_error *error);

/* From COCO's compressed text. SERIN_CORRUPT: a character or number that cannot be, or a wrong sum. */
MUST_USE enum serin_errc rle_from_text(uint32_t width, uint32_t height, const char *text, size_t length,
                                       struct rle *ret, struct serin_error *error);

/* The union of count masks (at least 1) of one size; SERIN_INVALID where the sizes differ. */
MUST_USE enum serin_errc rle_union(const struct rle *masks, size_t count, struct rle *ret, struct serin_error *error);

uint64_t rle_area(const struct rle *rle); /* px that are 1 */

/* Intersection over union, or over the area of the detection where the truth is a crowd; -1 where the sizes differ. */
double rle_iou(const struct rle *detection, const struct rle *truth, int crowd);

#endif
