/*
 * brightness.h - how light and how sharp a picture is, for the slices that versions are compared on.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WORKER_BRIGHTNESS_H
#define WORKER_BRIGHTNESS_H

#include <serin/image.h>

/* *ret_light: mean luma (ITU-R BT.601), 0 black to 1 white. *ret_sharpness: variance of the Laplacian (4 neighbours) of
 * luma 0..255 on a thumbnail of at most 256 px a side; 0 where the picture is flat or has no inside. The thumbnail
 * averages four samples a pixel, so that the cost does not grow with the picture. */
void brightness_measure(const struct serin_image *image, double *ret_light, double *ret_sharpness);

#endif
