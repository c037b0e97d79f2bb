/*
 * centre_crop_kernels.h - the weights of an antialiased resize, and its inner loops with AVX2.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * They do part of the work, from the left, and say how far they came; centre_crop.c's plain C does the rest. Sums are
 * exact in 32 bits, so that both give the same bytes.
 */
#ifndef IMAGE_CENTRE_CROP_KERNELS_H
#define IMAGE_CENTRE_CROP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define CENTRE_CROP_WEIGHT_BITS 22

/* The weighted sums of one axis, for the output positions within the cut. */
struct taps {
    int32_t *first;   /* source px of the first weight, never falling */
    int32_t *count;   /* weights used, 1..each */
    int32_t *weights; /* each for every output position, 2^22 is one */
    int32_t each;
};

#if defined(__x86_64__)
/* Output pixels made, of size: those before the first that needs the row's last pixel, row_px - 1. */
int32_t centre_crop_resize_row_avx2(const struct taps *taps, const uint8_t *row, int32_t row_px, int32_t size,
                                    uint8_t *rgbx);
/* Bytes made of output row y: as many as go into whole vectors. Source row i lies at rows + i % ring * stride. */
size_t centre_crop_sum_rows_avx2(const struct taps *taps, int32_t y, const uint8_t *rows, size_t stride, int32_t ring,
                                 size_t bytes, uint8_t *ret);
#endif

#endif
