/*
 * letterbox.h - fits a picture into the network's input as Ultralytics and OpenCV do, bit for bit.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: the rounding of Ultralytics' LetterBox, the fixed-point arithmetic of OpenCV 4.x's 8-bit INTER_LINEAR
 * resize, and Pillow's 8-bit antialiased bilinear resize for classifiers. Vector code (AVX-512, AVX2) is chosen at run
 * time and gives the same bytes as the plain C beside it.
 */
#ifndef IMAGE_LETTERBOX_H
#define IMAGE_LETTERBOX_H

#include "base/error.h"

#include <serin/image.h>

#include <stdbool.h>

#define LETTERBOX_PAD 114 /* grey, in all three channels */

/* Where a picture lies in the network's input. */
struct letterbox {
    int32_t image_width, image_height;     /* px, of the original */
    int32_t input_width, input_height;     /* px, of the network's input */
    int32_t resized_width, resized_height; /* px, of the picture within it */
    int32_t left, top;                     /* px, padding before it; the rest lies behind it */
    bool as_it_stands; /* evaluation: the way back takes these sizes and clips nothing; else it derives them anew and
                          clips, as Ultralytics' scale_boxes does */
};

/* Square (or any fixed) input: the picture is centred in input_width x input_height, the odd pixel of padding behind
 * it. With rect (Ultralytics' auto), the padding shrinks to its remainder by stride, so that a whole multiple of stride
 * stays the smallest multiple that holds the resized picture: read input_width and input_height from ret. SERIN_INVALID
 * where a size or the stride is not 1..65535. */
MUST_USE enum serin_errc letterbox_plan(int32_t image_width, int32_t image_height, int32_t input_width,
                                        int32_t input_height, bool rect, int32_t stride, struct letterbox *ret,
                                        struct serin_error *error);

/* The way back from input pixels to image pixels, as Ultralytics 8.4's scale_boxes goes it: x' = (x - padding) / gain.
 * Each axis has a gain of its own, because the resized sides were rounded. Padding is in px of the input. Both are
 * recomputed from image and input size as there, not taken from left, top and resized_*; they differ only for odd rect
 * sizes. */
void letterbox_gain(const struct letterbox *box, double *ret_x, double *ret_y);
void letterbox_padding(const struct letterbox *box, float *ret_x, float *ret_y);

/* What a tensor element is made of, and how 0..255 becomes one: value / 255 in that type's arithmetic, or the byte. */
enum pixel_type { PIXEL_F32, PIXEL_F16, PIXEL_U8 };

/* Writes the letterboxed picture as planes (R, G, B), each input_height x input_width elements, into tensor, which the
 * caller owns and has aligned to its element. Allocates a few rows of scratch: SERIN_NOMEM. SERIN_INVALID where image
 * is not the one that box was planned for. Reads nothing outside the image's rows. Thread-safe. */
MUST_USE enum serin_errc letterbox_to_tensor(const struct serin_image *image, const struct letterbox *box,
                                             enum pixel_type type, void *tensor, struct serin_error *error);

/* The same picture as interleaved bytes (3 * input_width a row, packed): for tests, drawing and thumbnails. */
MUST_USE enum serin_errc letterbox_to_rgb(const struct serin_image *image, const struct letterbox *box, uint8_t *rgb,
                                          struct serin_error *error);

/* Classifiers: the shorter side is resized to size px (Pillow's antialiased bilinear), the centre size x size is cut
 * out and written as planes. Only what the cut needs is computed. SERIN_INVALID where size is not 1..65535,
 * SERIN_NOMEM. */
MUST_USE enum serin_errc centre_crop_to_tensor(const struct serin_image *image, int32_t size, enum pixel_type type,
                                               void *tensor, struct serin_error *error);

/* "avx512", "avx2" or "plain": what this processor gets. letterbox_force (tests and benchmarks) returns false for one
 * that this processor or build lacks; NULL goes back to the best. It acts on the whole process. */
const char *letterbox_implementation(void);
bool letterbox_force(const char *implementation);

#endif
