/*
 * decode_png.c - PNG by libspng, row by row into the caller's memory; the header and eXIf by a walk of our own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * PNG (third edition). Transparency is dropped, not applied, and of 16 bits the upper 8 stay, as OpenCV asks libpng
 * for. libspng gets the critical chunks only: no text, profile or note, however often it comes, however much it would
 * inflate to, costs anything or can spoil a sound picture. Of the pixel data it inflates only as much as the header's
 * size asks for. An animated PNG is refused: its default image need not be a frame of it, and OpenCV shows one or the
 * other by the bits a sample has.
 */
#include "image/codec.h"
#include "image/exif.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <spng.h>

#define SIGNATURE_BYTES 8
#define CHUNK_OVERHEAD  12 /* length, type and CRC */
#define MAX_EXIF_BYTES  65536

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

/* Bytes of the chunk at `at`, as far as the file has them. The caller has checked that its length and type are there.
 */
static size_t chunk_bytes(const uint8_t *bytes, size_t size, size_t at)
{
    size_t length = read_u32_be(bytes + at);

    return length > size - at || size - at - length < CHUNK_OVERHEAD ? size - at : length + CHUNK_OVERHEAD;
}

/* Hops from chunk to chunk: true where that leads to a whole IEND. *ret_orientation is that of the first intact eXIf
 * chunk, before or behind the pixels, or 0. *ret_frames is what an animation says it has: 0 where it is none, as with
 * an acTL behind the pixels. */
static bool walk(const uint8_t *bytes, size_t size, int *ret_orientation, uint32_t *ret_frames)
{
    bool wants_exif = true, seen_pixels = false;
    size_t at, count;

    *ret_orientation = 0;
    *ret_frames = 0;
    for (at = SIGNATURE_BYTES; size - at >= CHUNK_OVERHEAD; at += count) {
        const uint8_t *type = bytes + at + 4, *content = type + 4;
        size_t length = read_u32_be(bytes + at);

        count = chunk_bytes(bytes, size, at);
        if (count - CHUNK_OVERHEAD != length)
            return false;
        if (memcmp(type, "IEND", 4) == 0)
            return true;
        seen_pixels |= memcmp(type, "IDAT", 4) == 0;
        if (!seen_pixels && memcmp(type, "acTL", 4) == 0 && length == 8 && read_u32_be(content) > 1)
            *ret_frames = read_u32_be(content);
        if (wants_exif && memcmp(type, "eXIf", 4) == 0 && length >= 4 && length <= MAX_EXIF_BYTES &&
            (memcmp(content, "II*", 4) == 0 || memcmp(content, "MM\0*", 4) == 0) &&
            crc32_of(type, length + 4) == read_u32_be(content + length)) {
            *ret_orientation = exif_find_orientation(content, length);
            wants_exif = false;
        }
    }
    return false;
}

enum serin_errc decode_png_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                  struct serin_error *error)
{
    const uint8_t *header = bytes + SIGNATURE_BYTES;
    uint32_t frames;

    if (size < SIGNATURE_BYTES + CHUNK_OVERHEAD + 13)
        return error_set(error, SERIN_CORRUPT, "PNG: premature end of file at byte %zu of %zu (in the header)", size,
                         size);
    if (memcmp(header + 4, "IHDR", 4) != 0 || read_u32_be(header) != 13)
        return error_set(error, SERIN_CORRUPT, "PNG: no IHDR chunk of 13 bytes at byte %d", SIGNATURE_BYTES);
    walk(bytes, size, &ret->orientation, &frames);
    if (frames > 0)
        return error_set(error, SERIN_UNSUPPORTED,
                         "PNG: animated PNG of %u frames; only pictures of one frame are read", frames);
    return image_header_set_size(ret, read_u32_be(header + 8), read_u32_be(header + 12), error);
}

/* What libspng reads: the file without its ancillary chunks. */
struct source {
    const uint8_t *bytes;
    size_t size, at;
    size_t chunk_left; /* bytes of the present chunk (at first: of the signature) not read yet */
};

static int read_critical(spng_ctx *codec, void *user, void *to, size_t count)
{
    struct source *source = user;
    uint8_t *out = to;

    (void)codec;
    while (count > 0) {
        size_t part;

        if (source->chunk_left == 0) {
            if (source->size - source->at < 8)
                return SPNG_IO_EOF;
            source->chunk_left = chunk_bytes(source->bytes, source->size, source->at);
            if (source->bytes[source->at + 4] & 0x20) { /* a small first letter: ancillary */
                source->at += source->chunk_left;
                source->chunk_left = 0;
                continue;
            }
        }
        part = count < source->chunk_left ? count : source->chunk_left;
        memcpy(out, source->bytes + source->at, part);
        source->at += part;
        source->chunk_left -= part;
        out += part;
        count -= part;
    }
    return 0;
}

static enum serin_errc fail(int code, const char *where, size_t size, struct serin_error *error)
{
    switch (code) {
    case SPNG_EMEM:
        return error_set(error, SERIN_NOMEM, "PNG: no memory %s", where);
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
    struct source source = {.bytes = bytes, .size = size, .chunk_left = SIGNATURE_BYTES};
    size_t row_bytes = 3 * (size_t)image->width;
    const char *where = "(in the header)";
    struct spng_row_info row = {0};
    enum serin_errc rc = SERIN_OK;
    int code, orientation;
    uint32_t frames;
    char place[48];
    spng_ctx *codec;

    codec = spng_ctx_new(0);
    if (!codec)
        return fail(SPNG_EMEM, where, size, error);
    code = spng_set_png_stream(codec, read_critical, &source);
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
        if (code == 0 && !walk(bytes, size, &orientation, &frames))
            code = SPNG_IO_EOF;
    }
    if (code != 0)
        rc = fail(code, where, size, error);
    spng_ctx_free(codec);
    return rc;
}
