/*
 * graph_infer_inside.h - what the rules of graph_infer share, and the rules by file.  Depends on graph_inside.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by graph_infer*.c only.
 */
#ifndef ENGINE_GRAPH_INFER_INSIDE_H
#define ENGINE_GRAPH_INFER_INSIDE_H

#include "engine/graph_inside.h"

/* One node at work. */
struct inference {
    struct graph *graph;
    struct graph_node *node;
    struct graph_shape_of *outputs;
    struct serin_error *error;
};

/* ---- inputs ---- */

/* Sets of types. */
#define F32     (1u << GRAPH_F32)
#define I64     (1u << GRAPH_I64)
#define I32     (1u << GRAPH_I32)
#define U8      (1u << GRAPH_U8)
#define I8      (1u << GRAPH_I8)
#define BOOL    (1u << GRAPH_BOOL)
#define NUMBERS (F32 | I64 | I32 | U8 | I8)
#define ANY     (NUMBERS | BOOL)

bool infer_has(const struct graph_node *node, int input);

/* The value of an input that is there. */
const struct graph_value *infer_input(const struct inference *in, int number);

enum serin_errc infer_wrong(const struct inference *in, const char *what);       /* SERIN_MODEL */
enum serin_errc infer_unsupported(const struct inference *in, const char *what); /* SERIN_UNSUPPORTED */

MUST_USE enum serin_errc infer_need_type(const struct inference *in, int number, uint32_t types);
MUST_USE enum serin_errc infer_need_rank(const struct inference *in, int number, int rank);
MUST_USE enum serin_errc infer_need_constant(const struct inference *in, int number);

/* A vector of size numbers, or one number. */
MUST_USE enum serin_errc infer_need_vector(const struct inference *in, int number, int64_t size, bool or_one);

/* The integers of a constant input of at most one dimension, at most max of them. */
MUST_USE enum serin_errc infer_integers(const struct inference *in, int number, int64_t *ret, int max, int *ret_count);

/* Takes off the inputs that are parameters: count of them are data. */
void infer_keep(struct graph_node *node, int count);

/* ---- shapes ---- */

MUST_USE enum serin_errc infer_set(struct inference *in, int output, enum graph_type type, int rank,
                                   const int64_t *shape);
MUST_USE enum serin_errc infer_set_as(struct inference *in, int output, enum graph_type type,
                                      const struct graph_value *value);

/* A dimension that may be counted from the end; end: rank itself is one, too. */
MUST_USE enum serin_errc infer_axis(const struct inference *in, int64_t axis, int rank, bool end, int *ret);

/* Each axis at most once, as bits. */
MUST_USE enum serin_errc infer_axes(const struct inference *in, const int64_t *axes, int count, int rank,
                                    uint32_t *ret);

/* ONNX's multidirectional broadcasting of value with the shape so far, which starts with rank 0. */
MUST_USE enum serin_errc infer_broadcast(const struct inference *in, int *rank, int64_t *shape,
                                         const struct graph_value *value);

/* ---- rules: see graph_infer in graph_inside.h ---- */

typedef enum serin_errc infer_rule(struct inference *in);

infer_rule infer_convolution, infer_transposed_convolution, infer_pool, infer_matmul, infer_gemm,
    infer_batch_normalization, infer_resize; /* graph_infer_layers.c */
infer_rule infer_softmax, infer_reduce, infer_global_pool, infer_arg_max, infer_top_k, infer_unary, infer_binary,
    infer_cast, infer_where, infer_quantization, infer_dynamic_quantization; /* graph_infer_elements.c */
infer_rule infer_concat, infer_split, infer_slice, infer_pad, infer_reshape, infer_flatten, infer_squeeze,
    infer_unsqueeze, infer_transpose, infer_expand, infer_tile, infer_gather, infer_gather_elements,
    infer_gather_nd; /* graph_infer_moves.c */

#endif
