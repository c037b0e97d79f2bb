/*
 * serin/image.h - decoded pictures: 8-bit RGB, interleaved.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERIN_IMAGE_H
#define SERIN_IMAGE_H

#include <serin/error.h>

#include <stddef.h>
#include <stdint.h>

/* height rows of width RGB triples; row y begins at pixels + y * stride_bytes (stride_bytes >= 3 * width). A caller may
 * fill this in over memory of its own; only what serin_image_decode* made is given to serin_image_free. */
struct serin_image {
    uint8_t *pixels;
    int32_t width;  /* px, 1..65535 */
    int32_t height; /* px, 1..65535 */
    size_t stride_bytes;
};

/* Checked before anything is decoded. Decoding takes 3 bytes a pixel at least and 11 at most (a progressive CMYK JPEG).
 */
struct serin_image_limits {
    uint64_t max_bytes;  /* of the encoded file; 0: 64 MiB */
    uint64_t max_pixels; /* width * height; 0: 100,000,000 */
};

/* Decodes JPEG, PNG, WebP or BMP (told by their first bytes) to RGB as OpenCV's imdecode(IMREAD_COLOR) does: EXIF
 * orientation applied, grey and palette expanded, alpha dropped, 16 bits reduced to 8, CMYK converted. limits may be
 * NULL. ret->pixels is the caller's: serin_image_free. Thread-safe. Errors: SERIN_UNSUPPORTED (another format),
 * SERIN_CORRUPT (damaged, with the place), SERIN_LIMIT, SERIN_NOMEM. */
enum serin_errc serin_image_decode(const void *bytes, size_t size_bytes, const struct serin_image_limits *limits,
                                   struct serin_image *ret, struct serin_error *error);

/* The same for a file. Also SERIN_NOT_FOUND, SERIN_IO. */
enum serin_errc serin_image_decode_file(const char *path, const struct serin_image_limits *limits,
                                        struct serin_image *ret, struct serin_error *error);

void serin_image_free(struct serin_image *image); /* NULL and an empty one are fine; leaves it empty */

#endif
