/*
 * decode_webp.c - WebP by libwebp; the RIFF chunks around it (EXIF, animation frames) by a walk of our own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * WebP container specification (RFC 9649). Alpha is dropped, not applied. Of an animation the first frame is shown as
 * OpenCV shows it: at its place on a canvas that is black elsewhere.
 */
#include "image/codec.h"
#include "image/exif.h"

#include <stdbool.h>
#include <string.h>

#include <webp/decode.h>

#define RIFF_HEADER_BYTES  12
#define CHUNK_HEADER_BYTES 8
#define FRAME_HEADER_BYTES 16
#define FLAG_EXIF          0x08

struct chunk {
    const uint8_t *bytes; /* its content */
    size_t size;
};

/* Finds the first chunk of that name after the RIFF header, within the file and within what RIFF claims. */
static struct chunk find_chunk(const uint8_t *bytes, size_t size, const char *name)
{
    size_t at = RIFF_HEADER_BYTES, end = (size_t)read_u32_le(bytes + 4) + CHUNK_HEADER_BYTES;

    if (end > size)
        end = size;
    while (at <= end && end - at >= CHUNK_HEADER_BYTES) {
        size_t length = read_u32_le(bytes + at + 4);

        if (length > end - at - CHUNK_HEADER_BYTES)
            break;
        if (memcmp(bytes + at, name, 4) == 0)
            return (struct chunk){bytes + at + CHUNK_HEADER_BYTES, length};
        at += CHUNK_HEADER_BYTES + length + (length & 1);
    }
    return (struct chunk){0};
}

/* Where chunks follow one another from the RIFF header to the very end that it claims. libwebp's demuxer, through which
 * OpenCV looks for EXIF, finds nothing in a file where they do not. */
static bool has_whole_chunks(const uint8_t *bytes, size_t size)
{
    size_t at = RIFF_HEADER_BYTES, end = (size_t)read_u32_le(bytes + 4) + CHUNK_HEADER_BYTES;

    if (end > size)
        return false;
    while (at < end) {
        size_t length;

        if (end - at < CHUNK_HEADER_BYTES)
            return false;
        length = read_u32_le(bytes + at + 4);
        if (length + (length & 1) > end - at - CHUNK_HEADER_BYTES)
            return false;
        at += CHUNK_HEADER_BYTES + length + (length & 1);
    }
    return at == end;
}

static enum serin_errc fail(VP8StatusCode status, size_t size, struct serin_error *error)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return error_set(error, SERIN_NOMEM, "WebP: no memory for the decoder");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return error_set(error, SERIN_UNSUPPORTED, "WebP: a feature that libwebp does not support");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return error_set(error, SERIN_CORRUPT, "WebP: premature end of file at byte %zu of %zu", size, size);
    default:
        return error_set(error, SERIN_CORRUPT, "WebP: the bitstream of this file of %zu bytes is damaged", size);
    }
}

enum serin_errc decode_webp_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                   struct serin_error *error)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status;

    if (memcmp(bytes, "RIFF", 4) != 0)
        return error_set(error, SERIN_CORRUPT, "WebP: no RIFF mark at byte 0");
    status = WebPGetFeatures(bytes, size, &features);
    if (status != VP8_STATUS_OK)
        return fail(status, size, error);
    if (size >= RIFF_HEADER_BYTES + CHUNK_HEADER_BYTES + 1 && memcmp(bytes + RIFF_HEADER_BYTES, "VP8X", 4) == 0 &&
        bytes[RIFF_HEADER_BYTES + CHUNK_HEADER_BYTES] & FLAG_EXIF && has_whole_chunks(bytes, size)) {
        struct chunk exif = find_chunk(bytes, size, "EXIF");

        ret->orientation = exif_find_orientation(exif.bytes, exif.size);
    }
    return image_header_set_size(ret, features.width, features.height, error);
}

/* Decodes a whole file, or a frame's chunks, into width x height pixels of image from (x, y) on. */
static VP8StatusCode decode_into(const uint8_t *bytes, size_t size, const struct serin_image *image, uint32_t x,
                                 uint32_t y)
{
    WebPDecoderConfig config;
    size_t offset = (size_t)y * image->stride_bytes + 3 * (size_t)x;

    if (!WebPInitDecoderConfig(&config))
        return VP8_STATUS_INVALID_PARAM;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + offset;
    config.output.u.RGBA.stride = (int)image->stride_bytes;
    config.output.u.RGBA.size = image->stride_bytes * (size_t)image->height - offset;
    return WebPDecode(bytes, size, &config);
}

static enum serin_errc decode_first_frame(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                          struct serin_error *error)
{
    struct chunk frame = find_chunk(bytes, size, "ANMF");
    WebPBitstreamFeatures features;
    uint32_t x, y, width, height;
    VP8StatusCode status;

    if (frame.size < FRAME_HEADER_BYTES)
        return error_set(error, SERIN_CORRUPT, "WebP: an animation without a whole frame in its %zu bytes", size);
    x = 2 * read_u24_le(frame.bytes);
    y = 2 * read_u24_le(frame.bytes + 3);
    width = 1 + read_u24_le(frame.bytes + 6);
    height = 1 + read_u24_le(frame.bytes + 9);
    if (x + width > (uint32_t)image->width || y + height > (uint32_t)image->height)
        return error_set(error, SERIN_CORRUPT, "WebP: frame of %u x %u at (%u, %u) leaves the canvas of %d x %d", width,
                         height, x, y, image->width, image->height);
    frame.bytes += FRAME_HEADER_BYTES;
    frame.size -= FRAME_HEADER_BYTES;
    status = WebPGetFeatures(frame.bytes, frame.size, &features);
    if (status != VP8_STATUS_OK)
        return fail(status, size, error);
    if ((uint32_t)features.width != width || (uint32_t)features.height != height)
        return error_set(error, SERIN_CORRUPT, "WebP: frame says %u x %u, its bitstream %d x %d", width, height,
                         features.width, features.height);
    memset(image->pixels, 0, image->stride_bytes * (size_t)image->height);
    status = decode_into(frame.bytes, frame.size, image, x, y);
    return status == VP8_STATUS_OK ? SERIN_OK : fail(status, size, error);
}

enum serin_errc decode_webp_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                   struct serin_error *error)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status;

    status = WebPGetFeatures(bytes, size, &features);
    if (status == VP8_STATUS_OK && features.has_animation)
        return decode_first_frame(bytes, size, image, error);
    if (status == VP8_STATUS_OK)
        status = decode_into(bytes, size, image, 0, 0);
    return status == VP8_STATUS_OK ? SERIN_OK : fail(status, size, error);
}
