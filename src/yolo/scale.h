/*
 * scale.h - from the network's input back to the picture.  Depends on image/letterbox.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of Ultralytics' scale_boxes and scale_coords: the factor of each axis follows from the rounded size of
 * the resized picture, the padding is whole pixels, and both are applied in float32.
 */
#ifndef YOLO_SCALE_H
#define YOLO_SCALE_H

#include "image/letterbox.h"

#include <math.h>

struct scale {
    float pad_x, pad_y;         /* px of the input */
    float gain_x, gain_y;       /* px of the input per px of the picture */
    float least, width, height; /* px: what points are clipped to */
};

static inline struct scale scale_of(const struct letterbox *box)
{
    struct scale scale = {.width = (float)box->image_width, .height = (float)box->image_height};
    double gain_x, gain_y;

    if (box->as_it_stands)
        return (struct scale){
            .pad_x = (float)box->left,
            .pad_y = (float)box->top,
            .gain_x = (float)((double)box->resized_width / box->image_width),
            .gain_y = (float)((double)box->resized_height / box->image_height),
            .least = -INFINITY,
            .width = INFINITY,
            .height = INFINITY,
        };
    letterbox_padding(box, &scale.pad_x, &scale.pad_y);
    letterbox_gain(box, &gain_x, &gain_y);
    scale.gain_x = (float)gain_x;
    scale.gain_y = (float)gain_y;
    return scale;
}

static inline float scale_clip(float value, float least, float most)
{
    return value < least ? least : value > most ? most : value;
}

/* A point, clipped to the picture (its far edges included), or not at all where the letterbox is taken as it stands. */
static inline void scale_point(const struct scale *scale, float *x, float *y)
{
    *x = scale_clip((*x - scale->pad_x) / scale->gain_x, scale->least, scale->width);
    *y = scale_clip((*y - scale->pad_y) / scale->gain_y, scale->least, scale->height);
}

#endif
