/*
 * encode.c - RGB rows to JPEG (libjpeg-turbo, 4:2:0) and PNG (libspng).
 * SPDX-License-Identifier: Apache-2.0
 *
 * As in decode_jpeg.c, libjpeg runs under one setjmp in a function without local variables that a longjmp could
 * clobber.
 */
#include "image/encode.h"

#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <spng.h>

static enum serin_errc check(const struct serin_image *image, struct serin_error *error)
{
    if (!image->pixels || image->width < 1 || image->height < 1 || image->width > IMAGE_MAX_SIDE_PX ||
        image->height > IMAGE_MAX_SIDE_PX || image->stride_bytes < 3 * (size_t)image->width)
        return error_set(error, SERIN_INVALID, "image of %d x %d pixels with rows of %zu bytes cannot be encoded",
                         image->width, image->height, image->stride_bytes);
    return SERIN_OK;
}

struct jpeg_writer {
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr errors;
    jmp_buf stop;
    const struct serin_image *image;
    int quality;
    unsigned char *bytes; /* libjpeg's, malloc'ed; grows as it writes */
    unsigned long size;
    enum serin_errc rc;
    struct serin_error *error;
};

static _Noreturn void stop_on_error(j_common_ptr codec)
{
    struct jpeg_writer *writer = codec->client_data;
    char what[JMSG_LENGTH_MAX];

    codec->err->format_message(codec, what);
    /* The picture was checked before, so what is left to fail is memory (or, from 65,501 pixels on, the format's side).
     */
    writer->rc =
        error_set(writer->error,
                  writer->image->width > JPEG_MAX_DIMENSION || writer->image->height > JPEG_MAX_DIMENSION ? SERIN_LIMIT
                                                                                                          : SERIN_NOMEM,
                  "JPEG encoder: %s", what);
    longjmp(writer->stop, 1);
}

static void print_nothing(j_common_ptr codec)
{
    (void)codec;
}

static void write_jpeg(struct jpeg_writer *writer)
{
    struct jpeg_compress_struct *codec = &writer->codec;
    const struct serin_image *image = writer->image;

    jpeg_create_compress(codec);
    jpeg_mem_dest(codec, &writer->bytes, &writer->size);
    codec->image_width = (JDIMENSION)image->width;
    codec->image_height = (JDIMENSION)image->height;
    codec->input_components = 3;
    codec->in_color_space = JCS_RGB;
    jpeg_set_defaults(codec);
    jpeg_set_quality(codec, writer->quality, TRUE);
    jpeg_start_compress(codec, TRUE);
    while (codec->next_scanline < codec->image_height) {
        JSAMPROW row = image->pixels + (size_t)codec->next_scanline * image->stride_bytes;

        jpeg_write_scanlines(codec, &row, 1);
    }
    jpeg_finish_compress(codec);
}

static void run(struct jpeg_writer *writer)
{
    writer->codec.err = jpeg_std_error(&writer->errors);
    writer->codec.client_data = writer;
    writer->errors.error_exit = stop_on_error;
    writer->errors.output_message = print_nothing;
    if (setjmp(writer->stop) == 0)
        write_jpeg(writer);
    jpeg_destroy_compress(&writer->codec);
}

enum serin_errc image_encode_jpeg(const struct serin_image *image, int quality, uint8_t **ret_bytes, size_t *ret_size,
                                  struct serin_error *error)
{
    struct jpeg_writer writer = {.image = image, .quality = quality, .error = error};
    enum serin_errc rc;

    rc = check(image, error);
    if (rc != SERIN_OK)
        return rc;
    if (quality < 1 || quality > 100)
        return error_set(error, SERIN_INVALID, "JPEG quality %d is not within 1 to 100", quality);
    run(&writer);
    if (writer.rc != SERIN_OK) {
        free(writer.bytes);
        return writer.rc;
    }
    *ret_bytes = writer.bytes;
    *ret_size = writer.size;
    return SERIN_OK;
}

enum serin_errc image_encode_png(const struct serin_image *image, uint8_t **ret_bytes, size_t *ret_size,
                                 struct serin_error *error)
{
    struct spng_ihdr header = {.width = (uint32_t)image->width,
                               .height = (uint32_t)image->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    enum serin_errc rc;
    spng_ctx *codec;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int32_t y;
    int code;

    rc = check(image, error);
    if (rc != SERIN_OK)
        return rc;
    codec = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!codec)
        return error_set(error, SERIN_NOMEM, "PNG encoder: no memory");
    code = spng_set_option(codec, SPNG_ENCODE_TO_BUFFER, 1);
    if (code == 0)
        code = spng_set_ihdr(codec, &header);
    if (code == 0)
        code = spng_encode_image(codec, NULL, 0, SPNG_FMT_PNG, SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
    for (y = 0; code == 0 && y < image->height; y++)
        code = spng_encode_row(codec, image->pixels + (size_t)y * image->stride_bytes, 3 * (size_t)image->width);
    if (code == SPNG_EOI)
        bytes = spng_get_png_buffer(codec, &size, &code);
    spng_ctx_free(codec);
    if (!bytes)
        return error_set(error, SERIN_NOMEM, "PNG encoder: %s", spng_strerror(code));
    *ret_bytes = bytes;
    *ret_size = size;
    return SERIN_OK;
}
