/*
 * centre_crop.c - what Ultralytics feeds to classifiers: Pillow's antialiased resize of the shorter side, and the
 * centre of it. SPDX-License-Identifier: Apache-2.0
 *
 * Source: src/libImaging/Resample.c of Pillow (8 bits a channel, BILINEAR). Each output pixel is a weighted sum over
 * the triangle that it covers in the source, weights rounded to 2^-22. One direction comes first and is rounded to
 * bytes, then the other: rows first until Pillow 13, which does tall pictures columns first (columns_first below). Only
 * what the cut needs is computed. Rows first: source rows pass once, in order, and a ring holds those that the next
 * output row still sums. Columns first: each output row is summed out of the source rows and then resized.
 */
#include "image/letterbox.h"

#include "image/centre_crop_kernels.h"
#include "image/letterbox_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_BITS CENTRE_CROP_WEIGHT_BITS
#define MAX_SIDE_PX 65535

static void taps_done(struct taps *taps)
{
    free(taps->first);
    free(taps->weights);
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* source px are resized to resized px, of which [start, start + size) are wanted. */
static enum serin_errc taps_init(struct taps *taps, int32_t source, int64_t resized, int64_t start, int32_t size,
                                 struct serin_error *error)
{
    double scale = (double)source / (double)resized, support = scale < 1.0 ? 1.0 : scale, total;
    double *shares;
    int32_t i, k;

    taps->each = (int32_t)ceil(support) * 2 + 1;
    taps->first = calloc((size_t)size, 2 * sizeof(int32_t));
    taps->weights = calloc((size_t)size * (size_t)taps->each, sizeof(int32_t));
    shares = calloc((size_t)taps->each, sizeof(double));
    if (!taps->first || !taps->weights || !shares) {
        free(shares);
        return error_set(error, SERIN_NOMEM, "no memory for %d x %d weights to resize a picture", size, taps->each);
    }
    taps->count = taps->first + size;
    for (i = 0; i < size; i++) {
        double centre = ((double)(start + i) + 0.5) * scale;
        int32_t first = (int32_t)(centre - support + 0.5), end = (int32_t)(centre + support + 0.5);

        first = first < 0 ? 0 : first;
        end = end > source ? source : end;
        BUG_ON(end - first < 1 || end - first > taps->each);
        total = 0.0;
        for (k = 0; k < end - first; k++) {
            shares[k] = triangle((k + first - centre + 0.5) * (1.0 / support));
            total += shares[k];
        }
        for (k = 0; k < end - first; k++)
            taps->weights[i * taps->each + k] = (int32_t)(0.5 + shares[k] / total * (1 << WEIGHT_BITS));
        taps->first[i] = first;
        taps->count[i] = end - first;
    }
    free(shares);
    return SERIN_OK;
}

static uint8_t byte_of(int32_t sum)
{
    sum >>= WEIGHT_BITS;
    return sum > 255 ? 255 : (uint8_t)sum; /* weights are never negative, but rounding can pass 255 */
}

#if defined(__x86_64__)
/* Every vector implementation of the letterbox implies AVX2. */
static bool has_vectors(void)
{
    return letterbox_kernels() != &letterbox_plain;
}
#endif

static void resize_row(const struct taps *taps, const uint8_t *row, int32_t row_px, int32_t size, uint8_t *rgbx)
{
    int32_t x = 0, k;

#if defined(__x86_64__)
    if (has_vectors())
        x = centre_crop_resize_row_avx2(taps, row, row_px, size, rgbx);
#endif
    (void)row_px;
    for (rgbx += 4 * (size_t)x; x < size; x++, rgbx += 4) {
        const int32_t *weights = taps->weights + (size_t)x * (size_t)taps->each;
        const uint8_t *from = row + 3 * (size_t)taps->first[x];
        int32_t red = 1 << (WEIGHT_BITS - 1), green = red, blue = red;

        for (k = 0; k < taps->count[x]; k++, from += 3) {
            red += from[0] * weights[k];
            green += from[1] * weights[k];
            blue += from[2] * weights[k];
        }
        rgbx[0] = byte_of(red);
        rgbx[1] = byte_of(green);
        rgbx[2] = byte_of(blue);
    }
}

/* The sum of the rows that output row y covers: row i lies at rows + i % ring * stride. */
static void sum_rows(const struct taps *taps, int32_t y, const uint8_t *rows, size_t stride, int32_t ring, size_t bytes,
                     int32_t *sums, uint8_t *ret)
{
    size_t begin = 0, i;
    int32_t k;

#if defined(__x86_64__)
    if (has_vectors())
        begin = centre_crop_sum_rows_avx2(taps, y, rows, stride, ring, bytes, ret);
#endif
    for (i = begin; i < bytes; i++)
        sums[i] = 1 << (WEIGHT_BITS - 1);
    for (k = 0; k < taps->count[y]; k++) {
        const uint8_t *row = rows + (size_t)((taps->first[y] + k) % ring) * stride;
        int32_t weight = taps->weights[(size_t)y * (size_t)taps->each + (size_t)k];

        for (i = begin; i < bytes; i++)
            sums[i] += row[i] * weight;
    }
    for (i = begin; i < bytes; i++)
        ret[i] = byte_of(sums[i]);
}

/* Found by experiment with Pillow 13.0 (several hundred sizes): where that many more rows than columns go. */
static bool columns_first(const struct serin_image *image, int64_t width, int64_t height)
{
    return image->height > height && image->height - height > 2 * (image->width - width);
}

/* What one output row needs. */
struct crop {
    const struct serin_image *image;
    int32_t size, ready; /* px; source rows before ready are in the ring, as far as it reaches */
    struct taps across, down;
    size_t begin, end; /* bytes of a source row that the cut covers */
    uint8_t *ring, *summed, *rgbx;
    int32_t *sums;
};

static void make_row_columns_first(struct crop *crop, int32_t y)
{
    sum_rows(&crop->down, y, crop->image->pixels + crop->begin, crop->image->stride_bytes, crop->image->height,
             crop->end - crop->begin, crop->sums, crop->summed + crop->begin);
    resize_row(&crop->across, crop->summed, crop->image->width, crop->size, crop->rgbx);
}

static void make_row_rows_first(struct crop *crop, int32_t y)
{
    size_t row_bytes = 4 * (size_t)crop->size;
    const struct taps *down = &crop->down;

    for (crop->ready = crop->ready < down->first[y] ? down->first[y] : crop->ready;
         crop->ready < down->first[y] + down->count[y]; crop->ready++)
        resize_row(&crop->across, crop->image->pixels + (size_t)crop->ready * crop->image->stride_bytes,
                   crop->image->width, crop->size, crop->ring + (size_t)(crop->ready % down->each) * row_bytes);
    sum_rows(down, y, crop->ring, row_bytes, down->each, row_bytes, crop->sums, crop->rgbx);
}

static void crop_done(struct crop *crop)
{
    free(crop->rgbx);
    free(crop->ring);
    free(crop->summed);
    free(crop->sums);
    taps_done(&crop->down);
    taps_done(&crop->across);
}

static enum serin_errc crop_init(struct crop *crop, const struct serin_image *image, int32_t size, int64_t width,
                                 int64_t height, struct serin_error *error)
{
    size_t rgbx_bytes = 4 * (size_t)letterbox_padded(size), widest = 3 * (size_t)image->width;
    enum serin_errc rc;

    *crop = (struct crop){.image = image, .size = size};
    rc = taps_init(&crop->across, image->width, width, (int64_t)rint((double)(width - size) / 2.0), size, error);
    if (rc)
        return rc;
    rc = taps_init(&crop->down, image->height, height, (int64_t)rint((double)(height - size) / 2.0), size, error);
    if (rc)
        return rc;
    crop->begin = 3 * (size_t)crop->across.first[0];
    crop->end = 3 * (size_t)(crop->across.first[size - 1] + crop->across.count[size - 1]);
    crop->ring = calloc((size_t)crop->down.each, 4 * (size_t)size);
    crop->summed = malloc(widest);
    crop->sums = malloc((widest > rgbx_bytes ? widest : rgbx_bytes) * sizeof(int32_t));
    crop->rgbx = aligned_alloc(LETTERBOX_ALIGNMENT, rgbx_bytes);
    if (!crop->ring || !crop->summed || !crop->sums || !crop->rgbx)
        return error_set(error, SERIN_NOMEM, "no memory for %d rows of %d pixels", crop->down.each, size);
    memset(crop->rgbx, 0, rgbx_bytes);
    return SERIN_OK;
}

enum serin_errc centre_crop_to_tensor(const struct serin_image *image, int32_t size, enum pixel_type type, void *tensor,
                                      struct serin_error *error)
{
    static const size_t element_bytes[] = {[PIXEL_F32] = 4, [PIXEL_F16] = 2, [PIXEL_U8] = 1};
    int64_t width = size, height = size;
    struct crop crop;
    enum serin_errc rc;
    int32_t y;

    if (!image->pixels || image->width < 1 || image->height < 1 || image->width > MAX_SIDE_PX ||
        image->height > MAX_SIDE_PX || image->stride_bytes < 3 * (size_t)image->width)
        return error_set(error, SERIN_INVALID, "image of %d x %d px in rows of %zu bytes, each side must be 1..%d",
                         image->width, image->height, image->stride_bytes, MAX_SIDE_PX);
    if (size < 1 || size > MAX_SIDE_PX)
        return error_set(error, SERIN_INVALID, "network input of %d x %d px, each side must be 1..%d", size, size,
                         MAX_SIDE_PX);
    BUG_ON((unsigned)type > PIXEL_U8);
    if (image->width < image->height)
        height = height * image->height / image->width;
    else
        width = width * image->width / image->height;
    rc = crop_init(&crop, image, size, width, height, error);
    for (y = 0; !rc && y < size; y++) {
        if (columns_first(image, width, height))
            make_row_columns_first(&crop, y);
        else
            make_row_rows_first(&crop, y);
        letterbox_kernels()->write[type](crop.rgbx, size,
                                         (uint8_t *)tensor + (size_t)y * (size_t)size * element_bytes[type],
                                         (size_t)size * (size_t)size);
    }
    crop_done(&crop);
    return rc;
}
