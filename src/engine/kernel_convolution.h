/*
 * kernel_convolution.h - convolutions of our own, for the shapes at which they beat oneDNN's.  Depends on onednn.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each is a table of functions and has a file of its own (kernel_direct.c, kernel_pointwise.c, kernel_stem.c,
 * kernel_stem_bytes.c, kernel_winograd.c, kernel_winograd_int16.c, kernel_winograd_stride2.c). They take the
 * description, the layouts and the addresses that oneDNN's take, and compute the same, so that a plan may have either.
 * Immutable; nothing is allocated while one runs, and nothing fails.
 */
#ifndef ENGINE_KERNEL_CONVOLUTION_H
#define ENGINE_KERNEL_CONVOLUTION_H

#include "engine/onednn.h"

#define KERNEL_ROWS 4 /* rows of dst that are computed together, or not */

/* A batch: src, dst and residual of addresses are the first picture's; the others follow at these distances. */
struct kernel_batch {
    int64_t pictures;
    size_t src_bytes, dst_bytes, residual_bytes;
    /* Of one picture, only these rows of dst are needed: [first_row, end_row), from one multiple of KERNEL_ROWS to
     * another one, or to the end. Others may be written, too. end_row 0: all rows of all pictures. */
    int64_t first_row, end_row;
};

struct kernel_convolution {
    const char *name;     /* for people */
    bool takes_rows;      /* of a batch; otherwise it takes none but all */
    bool weights_of_bf16; /* where src is bf16; others have more digits */
    /* It can do this on this processor, and is the faster for one picture. How many a batch has is not asked, since
     * then a picture's numbers would depend on what else is in it. */
    bool (*pays)(const struct onednn_convolution *convolution);
    size_t (*weights_bytes)(const struct onednn_convolution *convolution);
    /* weights as ONNX has them, fp32, or int8 where src is of 8 bits; packed: 64-byte aligned. What it writes depends
     * on the channels, and on src's type. */
    void (*pack)(const struct onednn_convolution *convolution, const void *weights, void *packed);
    size_t (*scratch_bytes)(const struct onednn_convolution *convolution, int64_t pictures, int threads);
    /* bias: out channels rounded up, zeros behind; NULL where there is none. */
    void (*run)(const struct onednn_convolution *convolution, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads);
};

extern const struct kernel_convolution kernel_direct, kernel_pointwise, kernel_stem, kernel_stem_bytes, kernel_winograd,
    kernel_winograd_int16, kernel_winograd_stride2;

/* The one to take; NULL: oneDNN's. */
const struct kernel_convolution *kernel_convolution_for(const struct onednn_convolution *convolution);

#endif
