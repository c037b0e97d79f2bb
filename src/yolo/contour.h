/*
 * contour.h - the outline of a binary mask as one polygon.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Outer borders are followed as in S. Suzuki and K. Abe, "Topological structural analysis of digitized binary images by
 * border following", CVGIP 30 (1985), with runs shortened to their end points, in the order in which OpenCV's
 * findContours (RETR_EXTERNAL, CHAIN_APPROX_SIMPLE) gives them. Several outlines are joined into one polygon by walking
 * along the shortest links from each to the next, and back.
 */
#ifndef YOLO_CONTOUR_H
#define YOLO_CONTOUR_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct contour_point {
    int32_t x, y;
};

/* mask: height rows of width bytes, 0 or 1. *ret_points is malloc'ed; *ret_count is 0 (and *ret_points NULL) for an
 * empty mask. SERIN_NOMEM. */
MUST_USE enum serin_errc contour_outline(const uint8_t *mask, int32_t width, int32_t height,
                                         struct contour_point **ret_points, size_t *ret_count,
                                         struct serin_error *error);

#endif
