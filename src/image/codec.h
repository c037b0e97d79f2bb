/*
 * codec.h - what each format's file gives to decode.c.  Depends on decode.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * decode_NAME_header fills ret in time bounded by size and allocates nothing by what the header claims.
 * decode_NAME_pixels writes into image, whose packed rows decode.c has allocated for exactly the size that
 * decode_NAME_header gave, after it was held against the limits. Every sentence begins with the format's name and says
 * the byte (or row) where it went wrong.
 */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/decode.h"

MUST_USE enum serin_errc decode_jpeg_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                            struct serin_error *error);
MUST_USE enum serin_errc decode_jpeg_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                            struct serin_error *error);

MUST_USE enum serin_errc decode_png_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                           struct serin_error *error);
MUST_USE enum serin_errc decode_png_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                           struct serin_error *error);

MUST_USE enum serin_errc decode_webp_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                            struct serin_error *error);
MUST_USE enum serin_errc decode_webp_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                            struct serin_error *error);

MUST_USE enum serin_errc decode_bmp_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                           struct serin_error *error);
MUST_USE enum serin_errc decode_bmp_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                           struct serin_error *error);

/* SERIN_CORRUPT for an empty picture, SERIN_LIMIT for a side above IMAGE_MAX_SIDE_PX; otherwise fills in ret's size. */
MUST_USE enum serin_errc image_header_set_size(struct image_header *ret, int64_t width, int64_t height,
                                               struct serin_error *error);

/* Integers of a file; the caller has checked that the bytes are there. */
static inline uint32_t read_u16_le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t read_u24_le(const uint8_t *p)
{
    return read_u16_le(p) | (uint32_t)p[2] << 16;
}

static inline uint32_t read_u32_le(const uint8_t *p)
{
    return read_u16_le(p) | read_u16_le(p + 2) << 16;
}

static inline uint32_t read_u16_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t read_u32_be(const uint8_t *p)
{
    return read_u16_be(p) << 16 | read_u16_be(p + 2);
}

#endif
