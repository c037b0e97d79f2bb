/*
 * decode_png.c - PNG by libspng, row by row into the caller's memory; the header and eXIf by a walk of our own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * PNG (third edition). Transparency is dropped, not applied, and of 16 bits the upper 8 stay, as OpenCV asks libpng
 * for. The walk hops from chunk to chunk and allocates nothing. libspng's limits bound what compressed text and colour
 * profiles may inflate to; of the pixel data it inflates only as much as the header's size asks for. An animated PNG
 * gives its default image.
 */
#include "image/codec.h"
#include "image/exif.h"

#include <stdio.h>
#include <string.h>

#include <spng.h>

#define SIGNATURE_BYTES 8
#define CHUNK_OVERHEAD  12 /* length, type and CRC */
#define MAX_EXIF_BYTES  65536
#define MAX_CHUNK_BYTES (8u << 20) /* one chunk's content, inflated; colour profiles reach 3 MB */
#define MAX_CACHE_BYTES (16u << 20)

/* CRC-32 of ISO 3309, as PNG has it; only short eXIf chunks are held against theirs, so a table would not pay. */
static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    int bit;

    for (; size > 0; size--, bytes++) {
        crc ^= *bytes;
        for (bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* The first intact eXIf chunk, before or behind the pixels. A damaged end is not our business: the decoder reports it.
 */
static int find_orientation(const uint8_t *bytes, size_t size)
{
    size_t at = SIGNATURE_BYTES;

    while (size - at >= CHUNK_OVERHEAD) {
        size_t length = read_u32_be(bytes + at);
        const uint8_t *type = bytes + at + 4;

        if (length > size - at - CHUNK_OVERHEAD || memcmp(type, "IEND", 4) == 0)
            break;
        if (memcmp(type, "eXIf", 4) == 0 && length <= MAX_EXIF_BYTES &&
            crc32_of(type, length + 4) == read_u32_be(type + 4 + length))
            return exif_find_orientation(type + 4, length);
        at += length + CHUNK_OVERHEAD;
    }
    return 0;
}

enum serin_errc decode_png_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                  struct serin_error *error)
{
    const uint8_t *header = bytes + SIGNATURE_BYTES;

    if (size < SIGNATURE_BYTES + CHUNK_OVERHEAD + 13)
        return error_set(error, SERIN_CORRUPT, "PNG: premature end of file at byte %zu of %zu (in the header)", size,
                         size);
    if (memcmp(header + 4, "IHDR", 4) != 0 || read_u32_be(header) != 13)
        return error_set(error, SERIN_CORRUPT, "PNG: no IHDR chunk of 13 bytes at byte %d", SIGNATURE_BYTES);
    ret->orientation = find_orientation(bytes, size);
    return image_header_set_size(ret, read_u32_be(header + 8), read_u32_be(header + 12), error);
}

static enum serin_errc fail(int code, const char *where, size_t size, struct serin_error *error)
{
    switch (code) {
    case SPNG_EMEM:
        return error_set(error, SERIN_NOMEM, "PNG: no memory %s", where);
    case SPNG_ECHUNK_LIMITS:
        return error_set(error, SERIN_LIMIT, "PNG: a chunk inflates beyond its limit of %u bytes %s", MAX_CHUNK_BYTES,
                         where);
    case SPNG_IO_EOF:
    case SPNG_EOF:
        return error_set(error, SERIN_CORRUPT, "PNG: premature end of file at byte %zu of %zu %s", size, size, where);
    default:
        return error_set(error, SERIN_CORRUPT, "PNG: %s %s", spng_strerror(code), where);
    }
}

enum serin_errc decode_png_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                  struct serin_error *error)
{
    const char *where = "(in the header)";
    struct spng_row_info row = {0};
    char place[48];
    spng_ctx *codec;
    enum serin_errc rc = SERIN_OK;
    size_t row_bytes = 3 * (size_t)image->width;
    int code;

    codec = spng_ctx_new(0);
    if (!codec)
        return fail(SPNG_EMEM, where, size, error);
    code = spng_set_chunk_limits(codec, MAX_CHUNK_BYTES, MAX_CACHE_BYTES);
    if (code == 0)
        code = spng_set_png_buffer(codec, bytes, size);
    if (code == 0)
        code = spng_decode_image(codec, NULL, 0, SPNG_FMT_RGB8, SPNG_DECODE_PROGRESSIVE);
    while (code == 0) {
        code = spng_get_row_info(codec, &row);
        if (code != 0)
            break;
        BUG_ON(row.row_num >= (uint32_t)image->height);
        where = place;
        snprintf(place, sizeof(place), "(row %u of %d)", row.row_num, image->height);
        code = spng_decode_row(codec, image->pixels + (size_t)row.row_num * image->stride_bytes, row_bytes);
    }
    if (code == SPNG_EOI) { /* all rows are there; what follows them must be whole, too */
        where = "(behind the pixels)";
        code = spng_decode_chunks(codec);
    }
    if (code != 0)
        rc = fail(code, where, size, error);
    spng_ctx_free(codec);
    return rc;
}
