/*
 * centre_crop.c - what Ultralytics feeds to classifiers: Pillow's antialiased resize of the shorter side, and the
 * centre of it. SPDX-License-Identifier: Apache-2.0
 *
 * Source: src/libImaging/Resample.c of Pillow (8 bits a channel, BILINEAR). Each output pixel is a weighted sum over
 * the triangle that it covers in the source, weights rounded to 2^-22; first all rows, rounded to bytes, then all
 * columns. Only what the cut needs is computed: source rows pass once, in order, and a ring holds those that the next
 * output row still sums.
 */
#include "image/letterbox.h"
#include "image/letterbox_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_BITS 22
#define MAX_SIDE_PX 65535

/* The weighted sums of one axis, for the output positions within the cut. */
struct taps {
    int32_t *first;   /* source px of the first weight, never falling */
    int32_t *count;   /* weights used, 1..each */
    int32_t *weights; /* each for every output position, 2^22 is one */
    int32_t each;
};

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

static void resize_row(const struct taps *taps, const uint8_t *row, int32_t size, uint8_t *rgbx)
{
    int32_t x, k;

    for (x = 0; x < size; x++, rgbx += 4) {
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

/* The rows that one output row sums, of a ring of taps->each rows. */
static void sum_rows(const struct taps *taps, int32_t y, const uint8_t *ring, int32_t places, int32_t *sums,
                     uint8_t *rgbx)
{
    int32_t i, k;

    for (i = 0; i < places; i++)
        sums[i] = 1 << (WEIGHT_BITS - 1);
    for (k = 0; k < taps->count[y]; k++) {
        const uint8_t *row = ring + (size_t)((taps->first[y] + k) % taps->each) * (size_t)places;
        int32_t weight = taps->weights[(size_t)y * (size_t)taps->each + (size_t)k];

        for (i = 0; i < places; i++)
            sums[i] += row[i] * weight;
    }
    for (i = 0; i < places; i++)
        rgbx[i] = byte_of(sums[i]);
}

enum serin_errc centre_crop_to_tensor(const struct serin_image *image, int32_t size, enum pixel_type type, void *tensor,
                                      struct serin_error *error)
{
    static const size_t element_bytes[] = {[PIXEL_F32] = 4, [PIXEL_F16] = 2, [PIXEL_U8] = 1};
    struct taps across = {0}, down = {0};
    int32_t shorter, places, y, ready = 0;
    int64_t width, height;
    enum serin_errc rc;
    int32_t *sums = NULL;
    uint8_t *ring = NULL, *rgbx;

    if (!image->pixels || image->width < 1 || image->height < 1 || image->width > MAX_SIDE_PX ||
        image->height > MAX_SIDE_PX || image->stride_bytes < 3 * (size_t)image->width)
        return error_set(error, SERIN_INVALID, "image of %d x %d px in rows of %zu bytes, each side must be 1..%d",
                         image->width, image->height, image->stride_bytes, MAX_SIDE_PX);
    if (size < 1 || size > MAX_SIDE_PX)
        return error_set(error, SERIN_INVALID, "network input of %d x %d px, each side must be 1..%d", size, size,
                         MAX_SIDE_PX);
    BUG_ON((unsigned)type > PIXEL_U8);
    shorter = image->width < image->height ? image->width : image->height;
    width = image->width == shorter ? size : (int64_t)size * image->width / shorter;
    height = image->height == shorter ? size : (int64_t)size * image->height / shorter;
    rc = taps_init(&across, image->width, width, (int64_t)rint((double)(width - size) / 2.0), size, error);
    if (!rc)
        rc = taps_init(&down, image->height, height, (int64_t)rint((double)(height - size) / 2.0), size, error);
    if (rc)
        goto out;
    places = 4 * letterbox_padded(size);
    ring = calloc((size_t)down.each + 1, (size_t)places);
    sums = malloc((size_t)places * sizeof(int32_t));
    if (!ring || !sums) {
        rc = error_set(error, SERIN_NOMEM, "no memory for %d rows of %d pixels", down.each, size);
        goto out;
    }
    rgbx = ring + (size_t)down.each * (size_t)places;
    for (y = 0; y < size; y++) {
        for (ready = ready < down.first[y] ? down.first[y] : ready; ready < down.first[y] + down.count[y]; ready++)
            resize_row(&across, image->pixels + (size_t)ready * image->stride_bytes, size,
                       ring + (size_t)(ready % down.each) * (size_t)places);
        sum_rows(&down, y, ring, places, sums, rgbx);
        letterbox_kernels()->write[type](rgbx, size, (uint8_t *)tensor + (size_t)y * (size_t)size * element_bytes[type],
                                         (size_t)size * (size_t)size);
    }
out:
    free(sums);
    free(ring);
    taps_done(&down);
    taps_done(&across);
    return rc;
}
