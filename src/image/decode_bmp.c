/*
 * decode_bmp.c - Windows and OS/2 bitmaps as OpenCV reads them: 1, 4, 8, 16, 24 and 32 bits, RLE4 and RLE8.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The format: Microsoft's BITMAPFILEHEADER, BITMAPCOREHEADER and BITMAPINFOHEADER. Where the format leaves room, or
 * where OpenCV is known to read it in its own way (5-bit channels are shifted and not spread; the fourth byte of 32
 * bits is dropped; masks of 32 bits count only within the header; a run-length picture's skipped pixels get the
 * palette's first colour), OpenCV is followed. Invariant: every read of the file goes through take(), which knows its
 * end.
 */
#include "image/codec.h"

#include <stdbool.h>
#include <string.h>

#define FILE_HEADER_BYTES 14
#define CORE_HEADER_BYTES 12
#define INFO_HEADER_BYTES 40
#define MIN_INFO_BYTES    36 /* what OpenCV accepts */
#define MASKS_AT          40 /* in headers that hold masks: V3 (56 bytes), V4 (108) and V5 (124) */
#define MASKED_BYTES      56

enum compression { PLAIN = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 };

/* Where a channel's bits stand in a pixel of 32 bits. */
struct channel {
    uint32_t mask, shift; /* shift: the mask's lowest bit */
    float scale;          /* from the mask's largest value to 255 */
};

struct bitmap {
    const uint8_t *bytes;
    size_t size, at;
    int64_t width, height;
    bool top_down;
    uint32_t bits, compression, pixels_at;
    bool is_565;    /* 16 bits as 5, 6, 5; otherwise 5, 5, 5 */
    bool is_masked; /* 32 bits, taken apart by channels */
    struct channel channels[3];
    uint8_t palette[256][3]; /* RGB */
};

/* The next count bytes, or NULL with the error set to SERIN_CORRUPT. */
static const uint8_t *take(struct bitmap *bitmap, size_t count, struct serin_error *error)
{
    size_t at = bitmap->at;

    if (bitmap->at > bitmap->size || count > bitmap->size - bitmap->at) {
        error_set(error, SERIN_CORRUPT, "BMP: premature end of file at byte %zu: %zu bytes are needed at %zu",
                  bitmap->size, count, bitmap->at);
        return NULL;
    }
    bitmap->at += count;
    return bitmap->bytes + at;
}

static enum serin_errc read_palette(struct bitmap *bitmap, size_t count, size_t entry_bytes, struct serin_error *error)
{
    const uint8_t *entries;
    size_t i;

    entries = take(bitmap, count * entry_bytes, error);
    if (!entries)
        return SERIN_CORRUPT;
    for (i = 0; i < count; i++, entries += entry_bytes) {
        bitmap->palette[i][0] = entries[2];
        bitmap->palette[i][1] = entries[1];
        bitmap->palette[i][2] = entries[0];
    }
    return SERIN_OK;
}

static bool is_known(const struct bitmap *bitmap)
{
    switch (bitmap->bits) {
    case 1:
    case 24:
        return bitmap->compression == PLAIN;
    case 4:
        return bitmap->compression == PLAIN || bitmap->compression == RLE4;
    case 8:
        return bitmap->compression == PLAIN || bitmap->compression == RLE8;
    case 16:
    case 32:
        return bitmap->compression == PLAIN || bitmap->compression == BITFIELDS;
    default:
        return false;
    }
}

static enum serin_errc read_masks(struct bitmap *bitmap, struct serin_error *error)
{
    const uint8_t *masks;
    uint32_t red, green, blue;

    masks = take(bitmap, 12, error);
    if (!masks)
        return SERIN_CORRUPT;
    red = read_u32_le(masks);
    green = read_u32_le(masks + 4);
    blue = read_u32_le(masks + 8);
    bitmap->is_565 = red == 0xf800 && green == 0x07e0 && blue == 0x001f;
    if (!bitmap->is_565 && !(red == 0x7c00 && green == 0x03e0 && blue == 0x001f))
        return error_set(error, SERIN_UNSUPPORTED, "BMP: 16 bits with masks %04x %04x %04x; 5-5-5 and 5-6-5 are known",
                         red, green, blue);
    return SERIN_OK;
}

/* 32 bits: OpenCV heeds masks only where the header itself holds all four, and none of the three colours' is empty.
 * Masks behind a shorter header, or of any other kind, leave B, G, R and a fourth byte. */
static void find_channels(struct bitmap *bitmap, const uint8_t *header, uint32_t header_bytes)
{
    int c;

    if (bitmap->bits != 32 || bitmap->compression != BITFIELDS || header_bytes < MASKED_BYTES)
        return;
    for (c = 0; c < 3; c++) {
        uint32_t mask = read_u32_le(header + MASKS_AT + 4 * c);

        if (mask == 0)
            return;
        bitmap->channels[c].mask = mask;
        bitmap->channels[c].shift = (uint32_t)__builtin_ctz(mask);
        bitmap->channels[c].scale = 255.0f / (float)(mask >> bitmap->channels[c].shift);
    }
    bitmap->is_masked = true;
}

static enum serin_errc parse(struct bitmap *bitmap, const uint8_t *bytes, size_t size, struct serin_error *error)
{
    uint32_t header_bytes, colours = 0;
    const uint8_t *header;

    *bitmap = (struct bitmap){.bytes = bytes, .size = size};
    header = take(bitmap, FILE_HEADER_BYTES + 4, error);
    if (!header)
        return SERIN_CORRUPT;
    bitmap->pixels_at = read_u32_le(header + 10);
    header_bytes = read_u32_le(header + FILE_HEADER_BYTES);
    bitmap->at = FILE_HEADER_BYTES;
    if (header_bytes != CORE_HEADER_BYTES && header_bytes < MIN_INFO_BYTES)
        return error_set(error, SERIN_UNSUPPORTED, "BMP: header of %u bytes, it must have 12 or at least %d",
                         header_bytes, MIN_INFO_BYTES);
    header = take(bitmap, header_bytes, error);
    if (!header)
        return SERIN_CORRUPT;
    if (header_bytes == CORE_HEADER_BYTES) {
        bitmap->width = read_u16_le(header + 4);
        bitmap->height = read_u16_le(header + 6);
        bitmap->bits = read_u16_le(header + 10);
    } else {
        bitmap->width = (int32_t)read_u32_le(header + 4);
        bitmap->height = (int32_t)read_u32_le(header + 8);
        bitmap->bits = read_u16_le(header + 14);
        bitmap->compression = read_u32_le(header + 16);
        colours = read_u32_le(header + 32);
        find_channels(bitmap, header, header_bytes);
    }
    bitmap->top_down = bitmap->height < 0;
    if (bitmap->top_down)
        bitmap->height = -bitmap->height;
    if (!is_known(bitmap) || (header_bytes == CORE_HEADER_BYTES && bitmap->bits == 16))
        return error_set(error, SERIN_UNSUPPORTED, "BMP: %u bits a pixel with compression %u", bitmap->bits,
                         bitmap->compression);
    if (bitmap->bits <= 8) {
        if (colours > 256)
            return error_set(error, SERIN_CORRUPT, "BMP: palette of %u colours, the limit is 256", colours);
        if (colours == 0)
            colours = 1u << bitmap->bits;
        return read_palette(bitmap, colours, header_bytes == CORE_HEADER_BYTES ? 3 : 4, error);
    }
    if (bitmap->bits == 16 && bitmap->compression == BITFIELDS)
        return read_masks(bitmap, error);
    return SERIN_OK;
}

/* Bytes of a row in the file: whole groups of four. */
static size_t row_bytes(const struct bitmap *bitmap)
{
    return ((size_t)bitmap->width * bitmap->bits + 31) / 32 * 4;
}

enum serin_errc decode_bmp_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                  struct serin_error *error)
{
    struct bitmap bitmap;
    enum serin_errc rc;

    rc = parse(&bitmap, bytes, size, error);
    if (rc != SERIN_OK)
        return rc;
    rc = image_header_set_size(ret, bitmap.width, bitmap.height, error);
    if (rc != SERIN_OK)
        return rc;
    if (bitmap.pixels_at > size)
        return error_set(error, SERIN_CORRUPT, "BMP: pixels at byte %u of a file of %zu bytes", bitmap.pixels_at, size);
    /* Before memory is spent: a plain bitmap's file is as long as its pixels are. */
    if ((bitmap.compression == PLAIN || bitmap.compression == BITFIELDS) &&
        row_bytes(&bitmap) * (size_t)bitmap.height > size - bitmap.pixels_at)
        return error_set(
            error, SERIN_CORRUPT,
            "BMP: premature end of file at byte %zu: %d x %d pixels of %u bits need %zu bytes from byte %u on", size,
            ret->width, ret->height, bitmap.bits, row_bytes(&bitmap) * (size_t)bitmap.height, bitmap.pixels_at);
    return SERIN_OK;
}

static uint8_t *row_of(const struct bitmap *bitmap, const struct serin_image *image, int32_t y)
{
    int32_t row = bitmap->top_down ? y : image->height - 1 - y;

    return image->pixels + (size_t)row * image->stride_bytes;
}

/* A channel may be of any width, even with gaps; as in OpenCV it is stretched to 0..255 in float and cut off. */
static void unpack_masked_row(const struct bitmap *bitmap, const uint8_t *in, uint8_t *out)
{
    int64_t x;
    int c;

    for (x = 0; x < bitmap->width; x++, in += 4, out += 3) {
        uint32_t value = read_u32_le(in);

        for (c = 0; c < 3; c++) {
            const struct channel *channel = &bitmap->channels[c];

            out[c] = (uint8_t)((float)((value & channel->mask) >> channel->shift) * channel->scale);
        }
    }
}

static void unpack_row(const struct bitmap *bitmap, const uint8_t *in, uint8_t *out)
{
    int64_t x;

    for (x = 0; x < bitmap->width; x++, out += 3) {
        uint32_t value;

        switch (bitmap->bits) {
        case 1:
            memcpy(out, bitmap->palette[in[x / 8] >> (7 - x % 8) & 1], 3);
            break;
        case 4:
            memcpy(out, bitmap->palette[in[x / 2] >> (4 - x % 2 * 4) & 15], 3);
            break;
        case 8:
            memcpy(out, bitmap->palette[in[x]], 3);
            break;
        case 16:
            value = read_u16_le(in + 2 * x);
            out[0] = (uint8_t)(bitmap->is_565 ? value >> 8 & 0xf8 : value >> 7 & 0xf8);
            out[1] = (uint8_t)(bitmap->is_565 ? value >> 3 & 0xfc : value >> 2 & 0xf8);
            out[2] = (uint8_t)(value << 3 & 0xf8);
            break;
        default: /* 24 and 32 */
            value = bitmap->bits / 8;
            out[0] = in[x * value + 2];
            out[1] = in[x * value + 1];
            out[2] = in[x * value];
            break;
        }
    }
}

/* Where the next pixel of a run-length picture goes. x may equal the width: the row is full, but not yet ended. */
struct pen {
    const struct bitmap *bitmap;
    const struct serin_image *image;
    int64_t x, y;
};

/* Writes count pixels, going on in the next row where one is full, and stopping after the last. A row that is full at
 * the end, or was at the beginning, is left. */
static void draw_run(struct pen *pen, int64_t count, const uint8_t *colour)
{
    int64_t width = pen->image->width;

    for (;;) {
        int64_t end = count < width - pen->x ? pen->x + count : width;
        uint8_t *out = row_of(pen->bitmap, pen->image, (int32_t)pen->y) + 3 * pen->x;

        count -= end - pen->x;
        for (; pen->x < end; pen->x++, out += 3)
            memcpy(out, colour, 3);
        if (pen->x == width) {
            pen->x = 0;
            if (++pen->y >= pen->image->height)
                return;
        }
        if (count <= 0)
            return;
    }
}

static enum serin_errc fail_overrun(const struct pen *pen, int64_t count, struct serin_error *error)
{
    return error_set(error, SERIN_CORRUPT, "BMP: at byte %zu a run of %lld pixels leaves row %lld (column %lld of %d)",
                     pen->bitmap->at, (long long)count, (long long)pen->y, (long long)pen->x, pen->image->width);
}

/* count palette indices of 4 or 8 bits, which stand in the file as they are, padded to 16 bits. */
static enum serin_errc draw_literal(struct bitmap *bitmap, struct pen *pen, int count, struct serin_error *error)
{
    size_t bytes = bitmap->bits == 8 ? (size_t)count : ((size_t)count + 1) / 2;
    uint8_t *out = row_of(bitmap, pen->image, (int32_t)pen->y) + 3 * pen->x;
    const uint8_t *in;
    int i;

    if (pen->x + count > pen->image->width)
        return fail_overrun(pen, count, error);
    in = take(bitmap, (bytes + 1) & ~(size_t)1, error);
    if (!in)
        return SERIN_CORRUPT;
    for (i = 0; i < count; i++, out += 3) {
        int index = bitmap->bits == 8 ? in[i] : in[i / 2] >> (4 - i % 2 * 4) & 15;

        memcpy(out, bitmap->palette[index], 3);
    }
    pen->x += count;
    return SERIN_OK;
}

/* One row-length run of alternating colours (RLE4). Unlike RLE8's, it stays in its row even when it fills it. */
static enum serin_errc draw_pair(struct pen *pen, int count, int pair, struct serin_error *error)
{
    const struct bitmap *bitmap = pen->bitmap;
    uint8_t *out = row_of(bitmap, pen->image, (int32_t)pen->y) + 3 * pen->x;
    int i;

    if (pen->x + count > pen->image->width)
        return fail_overrun(pen, count, error);
    for (i = 0; i < count; i++, out += 3)
        memcpy(out, bitmap->palette[i % 2 ? pair & 15 : pair >> 4], 3);
    pen->x += count;
    return SERIN_OK;
}

/* End of the row (0), end of the picture (1), or a jump by so many columns and rows (2). */
static enum serin_errc leave(struct bitmap *bitmap, struct pen *pen, int code, struct serin_error *error)
{
    int64_t columns = pen->image->width - pen->x, rows = code == 1 ? pen->image->height - pen->y : 0;

    if (code == 2) {
        const uint8_t *jump = take(bitmap, 2, error);

        if (!jump)
            return SERIN_CORRUPT;
        columns = jump[0];
        rows = jump[1];
    }
    if (bitmap->bits == 4) /* OpenCV's RLE4 reader moves within the row only */
        rows = 0;
    draw_run(pen, columns + rows * pen->image->width, bitmap->palette[0]);
    return SERIN_OK;
}

static enum serin_errc draw_runs(struct bitmap *bitmap, const struct serin_image *image, struct serin_error *error)
{
    struct pen pen = {.bitmap = bitmap, .image = image};
    bool row_just_ended = false; /* by a run that filled it, so that the end-of-row code behind it says nothing new */
    enum serin_errc rc = SERIN_OK;

    while (rc == SERIN_OK && pen.y < image->height) {
        const uint8_t *code = take(bitmap, 2, error);
        int64_t old_y = pen.y;

        if (!code)
            return SERIN_CORRUPT;
        if (code[0] > 0 && bitmap->bits == 4) {
            rc = draw_pair(&pen, code[0], code[1], error);
        } else if (code[0] > 0) {
            if (pen.x + code[0] > image->width)
                return fail_overrun(&pen, code[0], error);
            draw_run(&pen, code[0], bitmap->palette[code[1]]);
            row_just_ended = pen.y != old_y;
        } else if (code[1] > 2) {
            rc = draw_literal(bitmap, &pen, code[1], error);
            row_just_ended = false;
        } else {
            if (code[1] > 0 || !row_just_ended || pen.x > 0)
                rc = leave(bitmap, &pen, code[1], error);
            row_just_ended = false;
        }
    }
    return rc;
}

enum serin_errc decode_bmp_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                  struct serin_error *error)
{
    struct bitmap bitmap;
    enum serin_errc rc;
    int32_t y;

    rc = parse(&bitmap, bytes, size, error);
    if (rc != SERIN_OK)
        return rc;
    bitmap.at = bitmap.pixels_at;
    if (bitmap.compression == RLE4 || bitmap.compression == RLE8)
        return draw_runs(&bitmap, image, error);
    for (y = 0; y < image->height; y++) {
        const uint8_t *in = take(&bitmap, row_bytes(&bitmap), error);

        if (!in)
            return SERIN_CORRUPT;
        if (bitmap.is_masked)
            unpack_masked_row(&bitmap, in, row_of(&bitmap, image, y));
        else
            unpack_row(&bitmap, in, row_of(&bitmap, image, y));
    }
    return SERIN_OK;
}
