/*
 * exif.c - reading one tag of an EXIF block, and the eight ways a picture can lie.
 * SPDX-License-Identifier: Apache-2.0
 *
 * EXIF 2.32, section 4.6.4: the block is a TIFF file; the tag stands in its first directory. Only that directory is
 * read, once and forwards, so that directories which point at themselves cannot hold us up. Damaged blocks are read as
 * far as OpenCV reads them, so that the picture lies the same way.
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

/* A TIFF block; offsets of 32 bits are counted in 64, so that no sum of them wraps. */
struct block {
    const uint8_t *bytes;
    uint64_t size;
    bool little;
};

static bool holds(const struct block *block, uint64_t at, uint64_t count)
{
    return at <= block->size && count <= block->size - at;
}

/* The caller has checked that the bytes are there. */
static uint32_t u16_at(const struct block *block, uint64_t at)
{
    return block->little ? read_u16_le(block->bytes + at) : read_u16_be(block->bytes + at);
}

static uint32_t u32_at(const struct block *block, uint64_t at)
{
    return block->little ? read_u32_le(block->bytes + at) : read_u32_be(block->bytes + at);
}

/* The tags that OpenCV looks up, and how many rationals (0: a text) it takes each to be, whatever its type and count
 * say. */
static int rationals_of(uint32_t tag)
{
    switch (tag) {
    case 0x010e: /* ImageDescription */
    case 0x010f: /* Make */
    case 0x0110: /* Model */
    case 0x0131: /* Software */
    case 0x0132: /* DateTime */
    case 0x8298: /* Copyright */
        return 0;
    case 0x011a: /* XResolution */
    case 0x011b: /* YResolution */
        return 1;
    case 0x013e: /* WhitePoint */
        return 2;
    case 0x0211: /* YCbCrCoefficients */
        return 3;
    case 0x013f: /* PrimaryChromaticities */
    case 0x0214: /* ReferenceBlackWhite */
        return 6;
    default:
        return -1;
    }
}

/* True where the value of the entry at `at` lies within the block. OpenCV gives up the rest of a directory at the first
 * tag for which it does not; a text of at most 4 bytes it looks for at byte 8 of the block. */
static bool is_sound(const struct block *block, uint64_t at)
{
    int rationals = rationals_of(u16_at(block, at));
    uint64_t count;

    if (rationals < 0)
        return true;
    if (!holds(block, at, ENTRY_BYTES))
        return false;
    if (rationals > 0)
        return holds(block, u32_at(block, at + 8), (uint64_t)rationals * 8);
    count = u32_at(block, at + 4);
    return holds(block, count > 4 ? u32_at(block, at + 8) : 8, count);
}

int exif_find_orientation(const uint8_t *bytes, size_t size)
{
    struct block block = {.bytes = bytes, .size = size};
    uint64_t at;
    uint32_t i, count;

    if (size < 8)
        return -1;
    block.little = bytes[0] == 'I' && bytes[1] == 'I'; /* OpenCV takes anything else for "MM" */
    if (u16_at(&block, 2) != TIFF_MAGIC)
        return -1;
    at = u32_at(&block, 4);
    if (!holds(&block, at, 2))
        return -1;
    count = u16_at(&block, at);
    at += 2;
    for (i = 0; i < count && holds(&block, at, VALUE_END); i++, at += ENTRY_BYTES) {
        if (u16_at(&block, at) == TAG_ORIENTATION)
            return (int)u16_at(&block, at + 8);
        if (!is_sound(&block, at))
            break;
    }
    return -1;
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
