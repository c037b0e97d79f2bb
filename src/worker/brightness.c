/*
 * brightness.c - light and sharpness from a thumbnail of luma.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The variance of the Laplacian as a measure of focus: Pech-Pacheco et al., "Diatom autofocusing in brightfield
 * microscopy", ICPR 2000. On a thumbnail of fixed size the number compares across cameras of any resolution.
 */
#include "worker/brightness.h"

#define THUMBNAIL_PX 256

static int luma(const uint8_t *rgb)
{
    return (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8; /* BT.601 in 1/256 */
}

/* The mean of four samples of a block, at its quarter points. */
static int sample_block(const struct serin_image *image, int64_t left, int64_t top, int64_t right, int64_t bottom)
{
    int64_t x[2] = {left + (right - left) / 4, left + (right - left) * 3 / 4};
    int64_t y[2] = {top + (bottom - top) / 4, top + (bottom - top) * 3 / 4};
    int sum = 0, i;

    for (i = 0; i < 4; i++)
        sum += luma(image->pixels + (size_t)y[i / 2] * image->stride_bytes + 3 * (size_t)x[i % 2]);
    return (sum + 2) / 4;
}

void brightness_measure(const struct serin_image *image, double *ret_light, double *ret_sharpness)
{
    int64_t longest = image->width > image->height ? image->width : image->height;
    int64_t side = longest < THUMBNAIL_PX ? longest : THUMBNAIL_PX;
    int width = (int)(image->width * side / longest), height = (int)(image->height * side / longest), x, y;
    uint8_t rows[3][THUMBNAIL_PX]; /* the newest three */
    double light = 0, sum = 0, squares = 0, count;

    width = width < 1 ? 1 : width;
    height = height < 1 ? 1 : height;
    for (y = 0; y < height; y++) {
        const uint8_t *above = rows[(y + 1) % 3], *middle = rows[(y + 2) % 3], *below = rows[y % 3];

        for (x = 0; x < width; x++) {
            int value =
                sample_block(image, (int64_t)image->width * x / width, (int64_t)image->height * y / height,
                             (int64_t)image->width * (x + 1) / width, (int64_t)image->height * (y + 1) / height);

            rows[y % 3][x] = (uint8_t)value;
            light += value;
        }
        if (y < 2)
            continue;
        for (x = 1; x < width - 1; x++) {
            int laplacian = above[x] + below[x] + middle[x - 1] + middle[x + 1] - 4 * middle[x];

            sum += laplacian;
            squares += (double)laplacian * laplacian;
        }
    }
    *ret_light = light / (255.0 * width * height);
    count = (double)(width - 2) * (height - 2);
    *ret_sharpness = width < 3 || height < 3 ? 0 : squares / count - (sum / count) * (sum / count);
}
