/*
 * exif.c - reading one tag of an EXIF block, and the eight ways a picture can lie.
 * SPDX-License-Identifier: Apache-2.0
 *
 * EXIF 2.32, section 4.6.4: the block is a TIFF file; the tag stands in its first directory. Only that directory is
 * read, once and forwards, so that directories which point at themselves cannot hold us up.
 */
#include "image/exif.h"

#include "image/codec.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TIFF_MAGIC      42
#define TAG_ORIENTATION 0x0112
#define ENTRY_BYTES     12
#define VALUE_END       10 /* tag, type, count and a SHORT: where a last, cut entry may end, as in OpenCV */
#define BLOCK_PX        32 /* a transposed tile of 32 x 32 pixels stays in the first-level cache, read and written */

int exif_find_orientation(const uint8_t *bytes, size_t size)
{
    bool little;
    size_t at, count, i;

    if (size < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return 0;
    little = bytes[0] == 'I';
    if ((little ? read_u16_le(bytes + 2) : read_u16_be(bytes + 2)) != TIFF_MAGIC)
        return 0;
    at = little ? read_u32_le(bytes + 4) : read_u32_be(bytes + 4);
    if (at > size - 2)
        return 0;
    count = little ? read_u16_le(bytes + at) : read_u16_be(bytes + at);
    at += 2;
    for (i = 0; i < count && at <= size && size - at >= VALUE_END; i++, at += ENTRY_BYTES) {
        if ((little ? read_u16_le(bytes + at) : read_u16_be(bytes + at)) == TAG_ORIENTATION)
            return (int)(little ? read_u16_le(bytes + at + 8) : read_u16_be(bytes + at + 8));
    }
    return 0;
}

static void swap_pixels(uint8_t *a, uint8_t *b)
{
    uint8_t kept[3];

    memcpy(kept, a, 3);
    memcpy(a, b, 3);
    memcpy(b, kept, 3);
}

static void mirror_rows(const struct serin_image *image)
{
    int32_t y;

    for (y = 0; y < image->height; y++) {
        uint8_t *left = image->pixels + (size_t)y * image->stride_bytes;
        uint8_t *right = left + 3 * ((size_t)image->width - 1);

        for (; left < right; left += 3, right -= 3)
            swap_pixels(left, right);
    }
}

static void reverse_rows(const struct serin_image *image)
{
    uint8_t *top = image->pixels, *bottom = top + ((size_t)image->height - 1) * image->stride_bytes;

    for (; top < bottom; top += image->stride_bytes, bottom -= image->stride_bytes) {
        size_t i;

        for (i = 0; i < 3 * (size_t)image->width; i++) {
            uint8_t kept = top[i];

            top[i] = bottom[i];
            bottom[i] = kept;
        }
    }
}

/* to(x, y) = from(y, x), with from's rows and columns counted from their ends where asked. */
static void transpose(const struct serin_image *from, const struct serin_image *to, bool flip_rows, bool flip_columns)
{
    int32_t top, left, x, y;

    for (top = 0; top < to->height; top += BLOCK_PX) {
        for (left = 0; left < to->width; left += BLOCK_PX) {
            for (y = top; y < to->height && y < top + BLOCK_PX; y++) {
                int32_t column = flip_columns ? from->width - 1 - y : y;
                uint8_t *out = to->pixels + (size_t)y * to->stride_bytes + 3 * (size_t)left;

                for (x = left; x < to->width && x < left + BLOCK_PX; x++, out += 3) {
                    int32_t row = flip_rows ? from->height - 1 - x : x;

                    memcpy(out, from->pixels + (size_t)row * from->stride_bytes + 3 * (size_t)column, 3);
                }
            }
        }
    }
}

enum serin_errc exif_turn_upright(struct serin_image *image, int orientation, struct serin_error *error)
{
    struct serin_image turned;
    enum serin_errc rc;

    if (orientation == 2 || orientation == 3)
        mirror_rows(image);
    if (orientation == 3 || orientation == 4)
        reverse_rows(image);
    if (orientation < 5 || orientation > 8)
        return SERIN_OK;
    rc = image_alloc(image->height, image->width, &turned, error);
    if (rc != SERIN_OK)
        return rc;
    /* 6 was stored with its right side up: its left column, read from below, becomes the top row. */
    transpose(image, &turned, orientation == 6 || orientation == 7, orientation == 7 || orientation == 8);
    serin_image_free(image);
    *image = turned;
    return SERIN_OK;
}
