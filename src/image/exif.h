/*
 * exif.h - the orientation a camera noted, and turning a picture by it.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef IMAGE_EXIF_H
#define IMAGE_EXIF_H

#include "base/error.h"

#include <serin/image.h>

/* The Orientation tag (0x0112) of the first directory of an EXIF block, which begins with its TIFF header ("II*\0" or
 * "MM\0*"): any 16-bit value. -1 where there is none or where the block is damaged before it: a broken note never costs
 * the picture. */
int exif_find_orientation(const uint8_t *bytes, size_t size);

/* Turns the picture upright: orientations 2 to 4 in place, 5 to 8 into new pixels that replace the old ones (and swap
 * width and height). Any other value changes nothing. SERIN_NOMEM leaves the picture as it was. */
MUST_USE enum serin_errc exif_turn_upright(struct serin_image *image, int orientation, struct serin_error *error);

#endif
