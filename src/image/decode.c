/*
 * decode.c - telling formats apart, holding headers against the limits, and handing over to the format's decoder.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order is the defence: size of the file, then its header, then width times height, and only then memory and
 * pixels.
 */
#include "image/decode.h"

#include "base/file.h"
#include "image/codec.h"
#include "image/exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct codec {
    const char *name;
    enum serin_errc (*read_header)(const uint8_t *bytes, size_t size, struct image_header *ret,
                                   struct serin_error *error);
    enum serin_errc (*decode)(const uint8_t *bytes, size_t size, const struct serin_image *image,
                              struct serin_error *error);
} codecs[] = {
    [IMAGE_JPEG] = {"JPEG", decode_jpeg_header, decode_jpeg_pixels},
    [IMAGE_PNG] = {"PNG", decode_png_header, decode_png_pixels},
    [IMAGE_WEBP] = {"WebP", decode_webp_header, decode_webp_pixels},
    [IMAGE_BMP] = {"BMP", decode_bmp_header, decode_bmp_pixels},
};

/* Magic numbers: those we read, and those that people send by mistake, so that the refusal can name them. Within an ISO
 * media file ("ftyp") the brand at byte 8 tells. */
struct magic {
    uint8_t offset, length;
    int8_t format; /* enum image_format, or -1 */
    const char *bytes;
    const char *name;
};

static const struct magic magics[] = {
    {0, 3, IMAGE_JPEG, "\xff\xd8\xff", "JPEG"},
    {0, 8, IMAGE_PNG, "\x89PNG\r\n\x1a\n", "PNG"},
    {8, 4, IMAGE_WEBP, "WEBP", "WebP"}, /* "RIFF" is asked for by its reader, with a sentence of its own */
    {0, 2, IMAGE_BMP, "BM", "BMP"},
    {0, 4, -1, "GIF8", "GIF"},
    {0, 4, -1, "II*\0", "TIFF"},
    {0, 4, -1, "MM\0*", "TIFF"},
    {0, 4, -1, "II+\0", "BigTIFF"},
    {0, 4, -1, "MM\0+", "BigTIFF"},
    {4, 8, -1, "ftypavif", "AVIF"},
    {4, 8, -1, "ftypavis", "AVIF"},
    {4, 8, -1, "ftypheic", "HEIC"},
    {4, 8, -1, "ftypheix", "HEIC"},
    {4, 8, -1, "ftyphevc", "HEIC"},
    {4, 8, -1, "ftypmif1", "HEIF"},
    {4, 8, -1, "ftypmsf1", "HEIF"},
    {4, 4, -1, "ftyp", "an MP4 video"},
    {0, 2, -1, "\xff\x0a", "JPEG XL"},
    {4, 4, -1, "JXL ", "JPEG XL"},
    {4, 4, -1, "jP  ", "JPEG 2000"},
    {0, 4, -1, "\xff\x4f\xff\x51", "JPEG 2000"},
    {8, 4, -1, "AVI ", "an AVI video"},
    {8, 4, -1, "WAVE", "WAVE audio"},
    {0, 4, -1, "\x1a\x45\xdf\xa3", "a Matroska or WebM video"},
    {0, 4, -1, "8BPS", "Photoshop"},
    {0, 4, -1, "\0\0\1\0", "ICO"},
    {0, 4, -1, "qoif", "QOI"},
    {0, 4, -1, "v/1\1", "OpenEXR"},
    {0, 5, -1, "%PDF-", "PDF"},
    {0, 4, -1, "<svg", "SVG"},
    {0, 4, -1, "PK\3\4", "a ZIP archive"},
    {0, 2, -1, "\x1f\x8b", "gzip"},
    {0, 4, -1,
     "\x7f"
     "ELF",
     "a program"},
};

#define KNOWN_FORMATS "JPEG, PNG, WebP and BMP are known"

static bool is_text(const uint8_t *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size && i < 64; i++)
        if (bytes[i] >= 0x7f || (bytes[i] < 0x20 && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t'))
            return false;
    return true;
}

static enum serin_errc find_format(const uint8_t *bytes, size_t size, enum image_format *ret, struct serin_error *error)
{
    size_t i;

    if (size == 0)
        return error_set(error, SERIN_CORRUPT, "image is empty (0 bytes)");
    for (i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        const struct magic *magic = &magics[i];

        if (size < (size_t)magic->offset + magic->length ||
            memcmp(bytes + magic->offset, magic->bytes, magic->length) != 0)
            continue;
        if (magic->format < 0)
            return error_set(error, SERIN_UNSUPPORTED, "image is %s; " KNOWN_FORMATS, magic->name);
        *ret = (enum image_format)magic->format;
        return SERIN_OK;
    }
    if (size < 4)
        return error_set(error, SERIN_CORRUPT, "image of %zu bytes is too short for any format", size);
    if (is_text(bytes, size))
        return error_set(error, SERIN_UNSUPPORTED, "image is text; " KNOWN_FORMATS);
    return error_set(error, SERIN_UNSUPPORTED,
                     "image begins with %02x %02x %02x %02x, no format's mark; " KNOWN_FORMATS, bytes[0], bytes[1],
                     bytes[2], bytes[3]);
}

const char *image_format_name(enum image_format format)
{
    return codecs[format].name;
}

enum serin_errc image_header_set_size(struct image_header *ret, int64_t width, int64_t height,
                                      struct serin_error *error)
{
    const char *name = image_format_name(ret->format);

    if (width <= 0 || height <= 0)
        return error_set(error, SERIN_CORRUPT, "%s: image is %lld x %lld, which holds nothing", name, (long long)width,
                         (long long)height);
    if (width > IMAGE_MAX_SIDE_PX || height > IMAGE_MAX_SIDE_PX)
        return error_set(error, SERIN_LIMIT, "%s: image is %lld x %lld, the limit is %d pixels a side", name,
                         (long long)width, (long long)height, IMAGE_MAX_SIDE_PX);
    ret->width = (int32_t)width;
    ret->height = (int32_t)height;
    return SERIN_OK;
}

enum serin_errc image_read_header(const void *bytes, size_t size_bytes, struct image_header *ret,
                                  struct serin_error *error)
{
    struct image_header header = {.orientation = 1};
    enum serin_errc rc;

    rc = find_format(bytes, size_bytes, &header.format, error);
    if (rc == SERIN_OK)
        rc = codecs[header.format].read_header(bytes, size_bytes, &header, error);
    if (rc != SERIN_OK)
        return rc;
    if (header.orientation < 1 || header.orientation > 8)
        header.orientation = 1;
    *ret = header;
    return SERIN_OK;
}

enum serin_errc image_alloc(int32_t width, int32_t height, struct serin_image *ret, struct serin_error *error)
{
    size_t stride;
    uint8_t *pixels;

    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE_PX || height > IMAGE_MAX_SIDE_PX)
        return error_set(error, SERIN_LIMIT, "image is %d x %d, each side must be 1 to %d pixels", width, height,
                         IMAGE_MAX_SIDE_PX);
    stride = 3 * (size_t)width;
    pixels = malloc(stride * (size_t)height); /* at most 3 * 65535 * 65535, far below SIZE_MAX */
    if (!pixels)
        return error_set(error, SERIN_NOMEM, "no memory for an image of %d x %d pixels", width, height);
    *ret = (struct serin_image){.pixels = pixels, .width = width, .height = height, .stride_bytes = stride};
    return SERIN_OK;
}

void serin_image_free(struct serin_image *image)
{
    if (!image)
        return;
    free(image->pixels);
    *image = (struct serin_image){0};
}

static uint64_t limit_or(uint64_t limit, uint64_t otherwise)
{
    return limit ? limit : otherwise;
}

enum serin_errc serin_image_decode(const void *bytes, size_t size_bytes, const struct serin_image_limits *limits,
                                   struct serin_image *ret, struct serin_error *error)
{
    uint64_t max_bytes = limit_or(limits ? limits->max_bytes : 0, IMAGE_DEFAULT_MAX_BYTES);
    uint64_t max_pixels = limit_or(limits ? limits->max_pixels : 0, IMAGE_DEFAULT_MAX_PIXELS);
    struct serin_image image = {0};
    struct image_header header;
    enum serin_errc rc;

    if (size_bytes > max_bytes)
        return error_set(error, SERIN_LIMIT, "image has %zu bytes, the limit is %llu", size_bytes,
                         (unsigned long long)max_bytes);
    rc = image_read_header(bytes, size_bytes, &header, error);
    if (rc != SERIN_OK)
        return rc;
    if ((uint64_t)header.width * (uint64_t)header.height > max_pixels)
        return error_set(error, SERIN_LIMIT, "%s: image is %d x %d, the limit is %llu pixels",
                         image_format_name(header.format), header.width, header.height, (unsigned long long)max_pixels);
    rc = image_alloc(header.width, header.height, &image, error);
    if (rc == SERIN_OK)
        rc = codecs[header.format].decode(bytes, size_bytes, &image, error);
    if (rc == SERIN_OK)
        rc = exif_turn_upright(&image, header.orientation, error);
    if (rc != SERIN_OK) {
        serin_image_free(&image);
        return rc;
    }
    *ret = image;
    return SERIN_OK;
}

enum serin_errc serin_image_decode_file(const char *path, const struct serin_image_limits *limits,
                                        struct serin_image *ret, struct serin_error *error)
{
    uint64_t max_bytes = limit_or(limits ? limits->max_bytes : 0, IMAGE_DEFAULT_MAX_BYTES);
    uint8_t *bytes;
    size_t size;
    enum serin_errc rc;

    rc = file_read(path, max_bytes < SIZE_MAX ? (size_t)max_bytes : SIZE_MAX - 1, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    rc = serin_image_decode(bytes, size, limits, ret, error);
    free(bytes);
    return error_prefix(error, rc, "%s", path);
}
