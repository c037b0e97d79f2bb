/*
 * decode.h - looking at an encoded picture without decoding it.  Depends on base and the codecs' libraries.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decoding itself is public: serin_image_decode in <serin/image.h>.
 */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "base/error.h"

#include <serin/image.h>

#define IMAGE_DEFAULT_MAX_BYTES  (64ull << 20)
#define IMAGE_DEFAULT_MAX_PIXELS 100000000ull
#define IMAGE_MAX_SIDE_PX        65535

enum image_format { IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP, IMAGE_BMP };

struct image_header {
    enum image_format format;
    int32_t width, height; /* px, as stored: before any EXIF rotation */
    int orientation;       /* EXIF, 1..8; 1 where there is none */
};

/* Reads the header only, in bounded time, from the first bytes of any length. Same errors as serin_image_decode. */
MUST_USE enum serin_errc image_read_header(const void *bytes, size_t size_bytes, struct image_header *ret,
                                           struct serin_error *error);

const char *image_format_name(enum image_format format); /* "JPEG" */

/* Allocates pixels for width x height, packed rows. SERIN_NOMEM or SERIN_LIMIT. */
MUST_USE enum serin_errc image_alloc(int32_t width, int32_t height, struct serin_image *ret, struct serin_error *error);

#endif
