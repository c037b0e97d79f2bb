/*
 * decode_jpeg.c - JPEG by libjpeg-turbo: its slow integer DCT and fancy upsampling, straight into the caller's rows.
 * SPDX-License-Identifier: Apache-2.0
 *
 * libjpeg reports errors by a callback that must not return, so a reader runs in steps under one setjmp, in a function
 * that has no local variables a longjmp could clobber: everything that outlives a step lives in struct jpeg_reader.
 *
 * What libjpeg calls a warning about the coded data is an error here: it would fill the rest with grey and go on.
 * ITU-T T.81; the two ways a small file can cost much time are scans (T.81 allows any number; libjpeg-turbo's paper
 * "Two Issues with the JPEG Standard" recommends a limit) and warnings.
 */
#include "image/codec.h"
#include "image/exif.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#define MAX_SCANS    100 /* encoders write about 10, the most thorough optimisers 64 */
#define MAX_WARNINGS 100 /* harmless ones, such as padding between segments */
#define ROWS_AT_ONCE 4   /* libjpeg hands out at most max_v_samp_factor rows a call */

struct jpeg_reader {
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf stop;
    size_t size;                     /* bytes, of the whole file */
    const struct serin_image *image; /* to fill; NULL when only the header is wanted */
    struct image_header *header;     /* to fill; NULL when the pixels are wanted */
    int orientation;
    int warnings;
    enum serin_errc rc;
    struct serin_error *error;
};

static struct jpeg_reader *reader_of(const void *codec)
{
    return ((const struct jpeg_decompress_struct *)codec)->client_data;
}

static _Noreturn void fail(struct jpeg_reader *reader, enum serin_errc code, const char *what)
{
    const struct jpeg_decompress_struct *codec = &reader->codec;
    size_t at = reader->size - reader->source.bytes_in_buffer;
    char place[64] = "";

    if (codec->input_scan_number > 1)
        snprintf(place, sizeof(place), " (scan %d)", codec->input_scan_number);
    else if (codec->output_scanline > 0)
        snprintf(place, sizeof(place), " (row %u of %u)", codec->output_scanline, codec->output_height);
    reader->rc = error_set(reader->error, code, "JPEG: %s at byte %zu of %zu%s", what, at, reader->size, place);
    longjmp(reader->stop, 1);
}

static enum serin_errc code_of(int message)
{
    switch (message) {
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
        return SERIN_NOMEM;
    case JERR_IMAGE_TOO_BIG:
        return SERIN_LIMIT;
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
        return SERIN_UNSUPPORTED;
    default:
        return SERIN_CORRUPT;
    }
}

static _Noreturn void stop_on_error(j_common_ptr codec)
{
    char what[JMSG_LENGTH_MAX];

    codec->err->format_message(codec, what);
    fail(reader_of(codec), code_of(codec->err->msg_code), what);
}

static void judge_warning(j_common_ptr codec, int level)
{
    struct jpeg_reader *reader = reader_of(codec);

    if (level >= 0) /* a trace message */
        return;
    switch (codec->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_NOT_SEQUENTIAL: /* encoders exist that write zeros there */
        if (++reader->warnings > MAX_WARNINGS)
            fail(reader, SERIN_CORRUPT, "more than 100 irregularities");
        return;
    default:
        stop_on_error(codec);
    }
}

static void print_nothing(j_common_ptr codec)
{
    (void)codec;
}

static void limit_scans(j_common_ptr codec)
{
    struct jpeg_reader *reader = reader_of(codec);

    if (reader->codec.input_scan_number > MAX_SCANS)
        fail(reader, SERIN_LIMIT, "more than 100 scans");
}

static void do_nothing(j_decompress_ptr codec)
{
    (void)codec;
}

static boolean refuse_to_fill(j_decompress_ptr codec)
{
    codec->src->bytes_in_buffer = 0; /* libjpeg writes its own, more recent, count back only later */
    fail(reader_of(codec), SERIN_CORRUPT, "premature end of file");
}

static void skip_bytes(j_decompress_ptr codec, long count)
{
    if (count <= 0)
        return;
    if ((size_t)count > codec->src->bytes_in_buffer)
        refuse_to_fill(codec);
    codec->src->next_input_byte += count;
    codec->src->bytes_in_buffer -= (size_t)count;
}

/* Looks into an APP1 segment where it lies, instead of having libjpeg copy it. The first orientation found counts. */
static boolean look_for_exif(j_decompress_ptr codec)
{
    struct jpeg_reader *reader = reader_of(codec);
    const uint8_t *segment = codec->src->next_input_byte;
    size_t length;

    if (codec->src->bytes_in_buffer < 2)
        refuse_to_fill(codec);
    length = read_u16_be(segment); /* counts itself */
    if (length < 2)
        fail(reader, SERIN_CORRUPT, "APP1 segment shorter than its own length field");
    if (reader->orientation < 0 && length >= 8 && length <= codec->src->bytes_in_buffer &&
        memcmp(segment + 2, "Exif\0", 6) == 0)
        reader->orientation = exif_find_orientation(segment + 8, length - 8);
    skip_bytes(codec, (long)length);
    return TRUE;
}

static void open_file(struct jpeg_reader *reader)
{
    struct jpeg_decompress_struct *codec = &reader->codec;

    reader->orientation = -1;
    jpeg_create_decompress(codec);
    codec->src = &reader->source;
    codec->progress = &reader->progress;
    jpeg_set_marker_processor(codec, JPEG_APP0 + 1, look_for_exif);
    jpeg_read_header(codec, TRUE);
}

static void read_header_step(struct jpeg_reader *reader)
{
    open_file(reader);
    reader->header->orientation = reader->orientation;
    reader->rc =
        image_header_set_size(reader->header, reader->codec.image_width, reader->codec.image_height, reader->error);
}

static void read_rgb_rows(struct jpeg_reader *reader)
{
    struct jpeg_decompress_struct *codec = &reader->codec;
    const struct serin_image *image = reader->image;

    while (codec->output_scanline < codec->output_height) {
        JDIMENSION y = codec->output_scanline, count = 0;
        JSAMPROW rows[ROWS_AT_ONCE];

        for (; count < ROWS_AT_ONCE && y + count < codec->output_height; count++)
            rows[count] = image->pixels + (size_t)(y + count) * image->stride_bytes;
        jpeg_read_scanlines(codec, rows, count);
    }
}

/* Ink to light as OpenCV has it: inverted CMYK, as Adobe's programs write it, with a truncating product. */
static void read_cmyk_rows(struct jpeg_reader *reader)
{
    struct jpeg_decompress_struct *codec = &reader->codec;
    const struct serin_image *image = reader->image;
    JSAMPARRAY line;

    line = codec->mem->alloc_sarray((j_common_ptr)codec, JPOOL_IMAGE, 4 * codec->output_width, 1);
    while (codec->output_scanline < codec->output_height) {
        uint8_t *out = image->pixels + (size_t)codec->output_scanline * image->stride_bytes;
        const uint8_t *in = line[0];
        int32_t x;

        jpeg_read_scanlines(codec, line, 1);
        for (x = 0; x < image->width; x++, in += 4, out += 3) {
            int black = in[3];

            out[0] = (uint8_t)(black - ((255 - in[0]) * black >> 8));
            out[1] = (uint8_t)(black - ((255 - in[1]) * black >> 8));
            out[2] = (uint8_t)(black - ((255 - in[2]) * black >> 8));
        }
    }
}

static void decode_step(struct jpeg_reader *reader)
{
    struct jpeg_decompress_struct *codec = &reader->codec;
    const struct serin_image *image = reader->image;

    open_file(reader);
    codec->out_color_space = codec->num_components == 4 ? JCS_CMYK : JCS_RGB;
    /* A progressive file keeps 2 bytes a coefficient, of at most 4 components, in whole blocks. */
    codec->mem->max_memory_to_use = (64l << 20) + 8l * (image->width + 64) * (image->height + 64);
    jpeg_start_decompress(codec);
    BUG_ON(codec->output_width != (JDIMENSION)image->width || codec->output_height != (JDIMENSION)image->height);
    if (codec->out_color_space == JCS_CMYK)
        read_cmyk_rows(reader);
    else
        read_rgb_rows(reader);
    jpeg_finish_decompress(codec);
}

static enum serin_errc run(struct jpeg_reader *reader, void (*step)(struct jpeg_reader *reader), const uint8_t *bytes,
                           size_t size, struct serin_error *error)
{
    reader->size = size;
    reader->error = error;
    reader->codec.err = jpeg_std_error(&reader->errors);
    reader->codec.client_data = reader;
    reader->errors.error_exit = stop_on_error;
    reader->errors.emit_message = judge_warning;
    reader->errors.output_message = print_nothing;
    reader->progress.progress_monitor = limit_scans;
    reader->source = (struct jpeg_source_mgr){.next_input_byte = bytes,
                                              .bytes_in_buffer = size,
                                              .init_source = do_nothing,
                                              .fill_input_buffer = refuse_to_fill,
                                              .skip_input_data = skip_bytes,
                                              .resync_to_restart = jpeg_resync_to_restart,
                                              .term_source = do_nothing};
    if (setjmp(reader->stop) == 0)
        step(reader);
    jpeg_destroy_decompress(&reader->codec); /* fine also when jpeg_create_decompress itself had failed */
    return reader->rc;
}

enum serin_errc decode_jpeg_header(const uint8_t *bytes, size_t size, struct image_header *ret,
                                   struct serin_error *error)
{
    struct jpeg_reader reader = {.header = ret};

    return run(&reader, read_header_step, bytes, size, error);
}

enum serin_errc decode_jpeg_pixels(const uint8_t *bytes, size_t size, const struct serin_image *image,
                                   struct serin_error *error)
{
    struct jpeg_reader reader = {.image = image};

    return run(&reader, decode_step, bytes, size, error);
}
