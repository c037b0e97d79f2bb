/*
 * graph_plain_inside.h - the plain kernels, by file, and how they walk over tensors.  Depends on graph_plain.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by graph_plain*.c only.
 */
#ifndef ENGINE_GRAPH_PLAIN_INSIDE_H
#define ENGINE_GRAPH_PLAIN_INSIDE_H

#include "engine/graph_plain.h"

/* One node at work. */
struct plain {
    const struct graph *graph;
    const struct graph_node *node;
    const void *const *inputs;
    void *const *outputs;
    struct serin_error *error;
};

/* The value of an input that is there, and of an output. */
static inline const struct graph_value *plain_in(const struct plain *plain, int input)
{
    return &plain->graph->values[plain->node->inputs[input]];
}

static inline const struct graph_value *plain_out(const struct plain *plain, int output)
{
    return &plain->graph->values[plain->node->outputs[output]];
}

static inline bool plain_has(const struct plain *plain, int input)
{
    return input < plain->node->input_count && plain->node->inputs[input] != GRAPH_NONE;
}

/* The product of shape[first .. last - 1]. */
static inline int64_t plain_product(const struct graph_value *value, int first, int last)
{
    int64_t product = 1;

    for (; first < last; first++)
        product *= value->shape[first];
    return product;
}

/* How far apart, in elements, neighbours of each dimension lie in a row-major tensor. */
static inline void plain_strides(const struct graph_value *value, int64_t *strides)
{
    int64_t stride = 1;
    int i;

    for (i = value->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= value->shape[i];
    }
}

/* Strides of x as it is seen from y, whose shape it is broadcast to: 0 where it is repeated. */
static inline void plain_broadcast(const struct graph_value *x, const struct graph_value *y, int64_t *strides)
{
    int64_t own[GRAPH_MAX_RANK] = {0};
    int i, missing = y->rank - x->rank;

    plain_strides(x, own);
    for (i = 0; i < y->rank; i++)
        strides[i] = i < missing || x->shape[i - missing] == 1 ? 0 : own[i - missing];
}

/* Where one element after the other of a shape lies in up to three tensors. Starts as {.rank, .shape}, then for each
 * element: use at, and plain_step. */
struct plain_walk {
    int rank;
    const int64_t *shape;
    int64_t strides[3][GRAPH_MAX_RANK];
    int64_t index[GRAPH_MAX_RANK], at[3];
};

static inline void plain_step(struct plain_walk *walk)
{
    int i, j;

    for (i = walk->rank - 1; i >= 0; i--) {
        for (j = 0; j < 3; j++)
            walk->at[j] += walk->strides[j][i];
        if (++walk->index[i] < walk->shape[i])
            return;
        for (j = 0; j < 3; j++)
            walk->at[j] -= walk->shape[i] * walk->strides[j][i];
        walk->index[i] = 0;
    }
}

/* Element at of a tensor of integers, or of bool. */
static inline int64_t plain_integer(enum graph_type type, const void *bytes, int64_t at)
{
    switch (type) {
    case GRAPH_I64:
        return ((const int64_t *)bytes)[at];
    case GRAPH_I32:
        return ((const int32_t *)bytes)[at];
    case GRAPH_I8:
        return ((const int8_t *)bytes)[at];
    case GRAPH_U8:
    case GRAPH_BOOL:
        return ((const uint8_t *)bytes)[at];
    case GRAPH_F32:
        break;
    }
    BUG_ON(true);
}

/* Stores the low bits of a number. */
static inline void plain_store(enum graph_type type, void *bytes, int64_t at, int64_t number)
{
    switch (type) {
    case GRAPH_I64:
        ((int64_t *)bytes)[at] = number;
        return;
    case GRAPH_I32:
        ((int32_t *)bytes)[at] = (int32_t)number;
        return;
    case GRAPH_I8:
    case GRAPH_U8:
        ((uint8_t *)bytes)[at] = (uint8_t)number;
        return;
    case GRAPH_BOOL:
        ((uint8_t *)bytes)[at] = number != 0;
        return;
    case GRAPH_F32:
        break;
    }
    BUG_ON(true);
}

/* The range of places k of one dimension of a kernel that lie on the input, for output place out: k in [*first, *last).
 * *start is where k = 0 lies. */
static inline void plain_overlap(const struct graph_window *window, int dimension, int64_t out, int64_t size,
                                 int64_t *start, int64_t *first, int64_t *last)
{
    int64_t step = window->dilation[dimension];

    *start = out * window->stride[dimension] - window->pad_begin[dimension];
    *first = *start < 0 ? (-*start + step - 1) / step : 0;
    *last = *start >= size ? 0 : (size - *start + step - 1) / step;
    if (*last > window->kernel[dimension])
        *last = window->kernel[dimension];
}

/* To the integer that stands for number: halves to even, what is out of its range to the end of it. */
int64_t plain_quantized(float number, const struct graph_scale *scale, enum graph_type type);

typedef enum serin_errc plain_kernel(const struct plain *plain);

plain_kernel plain_conv, plain_conv_integer, plain_conv_transpose, plain_matmul, plain_matmul_integer, plain_gemm,
    plain_batch_normalization, plain_pool, plain_resize;                                 /* graph_plain_layers.c */
plain_kernel plain_conv_quantized, plain_lookup;                                         /* graph_plain_int8.c */
plain_kernel plain_softmax, plain_expectation, plain_reduce, plain_arg_max, plain_top_k; /* graph_plain_reduce.c */
plain_kernel plain_concat, plain_split, plain_slice, plain_pad, plain_reshape, plain_transpose, plain_expand,
    plain_tile, plain_gather, plain_gather_elements, plain_gather_nd; /* graph_plain_moves.c */
plain_kernel plain_unary, plain_binary, plain_cast, plain_where, plain_quantize, plain_dequantize,
    plain_dynamic_quantize; /* graph_plain_elements.c */

#endif
