/*
 * encode.h - RGB pictures to JPEG and PNG bytes.  Depends on base, libjpeg and libspng.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef IMAGE_ENCODE_H
#define IMAGE_ENCODE_H

#include "base/error.h"

#include <serin/image.h>

/* quality 1..100. *ret_bytes is malloc'ed. */
MUST_USE enum serin_errc image_encode_jpeg(const struct serin_image *image, int quality, uint8_t **ret_bytes,
                                           size_t *ret_size, struct serin_error *error);
MUST_USE enum serin_errc image_encode_png(const struct serin_image *image, uint8_t **ret_bytes, size_t *ret_size,
                                          struct serin_error *error);

#endif
