/*
 * plan_kernels.h - what plans do themselves, between the primitives of oneDNN.  Depends on onednn.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each has its counterpart in graph_plain.h, which it is tested against; where the compiler's vectors help, it is
 * compiled for AVX-512, AVX2 and any processor, and chosen as it is called. Pictures are in the layout of onednn.h.
 * Sizes are in elements. Nothing is allocated, nothing fails.
 */
#ifndef ENGINE_PLAN_KERNELS_H
#define ENGINE_PLAN_KERNELS_H

#include "engine/onednn.h"

/* Channels [0, count) of src from src_channel to dst_channel of dst; the same height, width, block and type. last: what
 * fills up the last block of dst is set to zero. */
void kernel_copy_channels(const struct onednn_image *src, const void *from, int64_t src_channel,
                          const struct onednn_image *dst, void *to, int64_t dst_channel, int64_t count, bool last);
/* Each pixel of src becomes a rectangle of pixels of dst; sizes are multiples, channels and block are equal. */
void kernel_resize_nearest(const struct onednn_image *src, const void *from, const struct onednn_image *dst, void *to);
/* Channels [tap][dst's channels] of src become the rectangle of pixels that each of its pixels has in dst. Channels of
 * dst fill whole blocks; block is the same. */
void kernel_spread_taps(const struct onednn_image *src, const void *from, const struct onednn_image *dst, void *to);
/* to[i] = from[i] / 255. */
void kernel_widen_bytes(int64_t count, const uint8_t *from, float *to);
/* In either type; op is ADD or MUL. */
void kernel_add_or_multiply(enum graph_op op, enum onednn_type type, int64_t count, const void *a, const void *b,
                            void *to);

bool kernel_knows_unary(enum graph_op op); /* SIGMOID, SILU, RELU */
void kernel_unary(enum graph_op op, enum onednn_type type, int64_t count, const void *from, void *to);

/* y[outer][n][inner], over n. */
void kernel_softmax(int64_t outer, int64_t n, int64_t inner, const float *from, float *to);
/* y[outer][inner] = the sum over n of weights[n] x[outer][n][inner], and bias. */
void kernel_mix(int64_t outer, int64_t n, int64_t inner, const float *from, const float *weights, float bias,
                float *to);
/* y[row][out] = the sum over in of x[row][in] weights[out][in], and bias[out] where there is one: a Gemm as exporters
 * write the last layer of a classifier. */
void kernel_dense(int64_t rows, int64_t in, int64_t out, const float *from, const float *weights, const float *bias,
                  float *to);
/* Elements of 4 or 8 bytes. */
void kernel_transpose(int rank, const int64_t *to_shape, const int *permutation, size_t element_bytes, const void *from,
                      void *to);
bool kernel_knows_binary(enum graph_op op); /* ADD, SUB, MUL, DIV */
/* ONNX's broadcasting, fp32. Shapes are shape's rank; strides in elements, 0 where a dimension stretches. */
void kernel_binary(enum graph_op op, int rank, const int64_t *shape, const int64_t *a_strides, const float *a,
                   const int64_t *b_strides, const float *b, float *to);

/* ---- kernel_rows.c ---- */

/* Each channel of src, of fp32 or bf16 in any block, becomes a row of floats; row_stride: from one row to the next. */
void kernel_rows(const struct onednn_image *src, const void *from, float *to, int64_t row_stride, int threads);
/* A matrix of numbers of 4 bytes: to[row][column] = from[column * column_stride + row]. column_stride is at least rows.
 */
void kernel_transpose_matrix(int64_t rows, int64_t columns, int64_t column_stride, const void *from, void *to);
/* Like kernel_rows, but of [row][bin] channels: each row is the sum over its bins of softmax weights[bin]. At most
 * GRAPH_MAX_BINS; rows follow each other. Of src, and of each, the pixels of rows [first_row, end_row) of the picture.
 */
void kernel_expectation(const struct onednn_image *src, const void *from, int64_t first_row, int64_t end_row,
                        int64_t bins, const float *weights, float *to, int threads);
/* rows[y]: whether any channel of a pixel of row y of src, which is of fp32, is above a number, or is none itself. */
void kernel_rows_above(const struct onednn_image *src, const void *from, float above, uint8_t *rows);

/* ---- plan_kernels_int8.c ---- */

/* A picture of fp32 or bf16, in any block, to integers in block 0, and back to fp32 or bf16. Halves to even. */
void kernel_quantize(const struct onednn_image *src, const void *from, const struct graph_scale *scale,
                     const struct onednn_image *dst, void *to);
void kernel_dequantize(const struct onednn_image *src, const void *from, const struct graph_scale *scale,
                       const struct onednn_image *dst, void *to);
/* to[i] = table[from[i]]; table has 256 places. */
void kernel_lookup(const uint8_t *table, int64_t count, const void *from, void *to);

#endif
