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

/* The quarter points of block number at of count along a side of that length, in px. */
static void find_samples(int32_t length, int at, int count, size_t ret[2])
{
    int64_t from = (int64_t)length * at / count, to = (int64_t)length * (at + 1) / count;

    ret[0] = (size_t)(from + (to - from) / 4);
    ret[1] = (size_t)(from + (to - from) * 3 / 4);
}

void brightness_measure(const struct serin_image *image, double *ret_light, double *ret_sharpness)
{
    int64_t longest = image->width > image->height ? image->width : image->height;
    int64_t side = longest < THUMBNAIL_PX ? longest : THUMBNAIL_PX;
    int width = (int)(image->width * side / longest), height = (int)(image->height * side / longest), x, y;
    uint8_t rows[3][THUMBNAIL_PX]; /* the newest three */
    size_t at_px[THUMBNAIL_PX][2]; /* of the columns; found once: to divide in each row costs a third of the time */
    int64_t light = 0, sum = 0, squares = 0; /* 65,536 Laplacians of at most 1,020 squared are far from the limit */
    double count, mean;

    width = width < 1 ? 1 : width;
    height = height < 1 ? 1 : height;
    for (x = 0; x < width; x++)
        find_samples(image->width, x, width, at_px[x]);
    for (y = 0; y < height; y++) {
        const uint8_t *above = rows[(y + 1) % 3], *middle = rows[(y + 2) % 3], *upper, *lower;
        uint8_t *below = rows[y % 3];
        size_t lines[2];

        find_samples(image->height, y, height, lines);
        upper = image->pixels + lines[0] * image->stride_bytes;
        lower = image->pixels + lines[1] * image->stride_bytes;
        for (x = 0; x < width; x++) { /* the mean of a block's four samples */
            int four = luma(upper + 3 * at_px[x][0]) + luma(upper + 3 * at_px[x][1]) + luma(lower + 3 * at_px[x][0]) +
                       luma(lower + 3 * at_px[x][1]);

            below[x] = (uint8_t)((four + 2) / 4);
            light += below[x];
        }
        if (y < 2)
            continue;
        for (x = 1; x < width - 1; x++) {
            int laplacian = above[x] + below[x] + middle[x - 1] + middle[x + 1] - 4 * middle[x];

            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    *ret_light = (double)light / (255.0 * width * height);
    count = (double)(width - 2) * (height - 2);
    mean = (double)sum / count;
    *ret_sharpness = width < 3 || height < 3 ? 0 : (double)squares / count - mean * mean;
}
