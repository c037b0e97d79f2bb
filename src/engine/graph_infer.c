/*
 * graph_infer.c - one node: from ONNX's form to the narrow one of graphs with shapes, and the shapes of what it makes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inputs that are parameters (sizes, axes, starts) must be constants by now; they are read, written into the node's
 * fields, and taken off its inputs. Everything that a kernel relies on is checked here: ranks, types, that sizes fit,
 * that windows lie on something. What is left to kernels is what only the data can tell. This file has what the rules
 * share; the rules themselves are in graph_infer_layers.c, _moves.c and _elements.c.
 * Source: onnx/docs/Operators.md and Changelog.md, opsets 11 to 24.
 */
#include "engine/graph_infer_inside.h"

#include <inttypes.h>
#include <string.h>

/* ---- inputs ---- */

bool infer_has(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

/* The value of an input that is there. */
const struct graph_value *infer_input(const struct inference *in, int number)
{
    BUG_ON(!infer_has(in->node, number));
    return &in->graph->values[in->node->inputs[number]];
}

enum serin_errc infer_wrong(const struct inference *in, const char *what)
{
    return error_set(in->error, SERIN_MODEL, "%s", what);
}

enum serin_errc infer_unsupported(const struct inference *in, const char *what)
{
    return error_set(in->error, SERIN_UNSUPPORTED, "%s", what);
}

enum serin_errc infer_need_type(const struct inference *in, int number, uint32_t types)
{
    const struct graph_value *value = infer_input(in, number);

    if (types >> value->type & 1)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED, "input %d is of type %s", number, graph_type_name(value->type));
}

enum serin_errc infer_need_rank(const struct inference *in, int number, int rank)
{
    const struct graph_value *value = infer_input(in, number);

    if (value->rank == rank)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED, "input %d has %d dimensions: known is %d", number, value->rank,
                     rank);
}

/* A vector of size numbers, or one number. */
enum serin_errc infer_need_vector(const struct inference *in, int number, int64_t size, bool or_one)
{
    const struct graph_value *value = infer_input(in, number);
    char text[GRAPH_TEXT_BYTES];

    if (value->rank == 1 && value->shape[0] == size)
        return SERIN_OK;
    if (or_one && value->element_count == 1 && value->rank <= 1)
        return SERIN_OK;
    return error_set(in->error, SERIN_MODEL, "input %d has %s numbers where %" PRId64 " are needed", number,
                     graph_shape_text(value->rank, value->shape, text), size);
}

enum serin_errc infer_need_constant(const struct inference *in, int number)
{
    if (infer_input(in, number)->constant)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED,
                     "input %d is not known before the picture is, but a size or place depends on it", number);
}

/* The integers of a constant input of at most one dimension, at most max of them. */
enum serin_errc infer_integers(const struct inference *in, int number, int64_t *ret, int max, int *ret_count)
{
    const struct graph_value *value = infer_input(in, number);
    enum serin_errc rc = infer_need_constant(in, number);
    uint64_t i;

    if (rc == SERIN_OK)
        rc = infer_need_type(in, number, I64 | I32);
    if (rc)
        return rc;
    if (value->rank > 1 || value->element_count > (uint64_t)max)
        return error_set(in->error, SERIN_MODEL, "input %d holds %" PRIu64 " numbers, the limit is %d", number,
                         value->element_count, max);
    for (i = 0; i < value->element_count; i++)
        ret[i] =
            value->type == GRAPH_I64 ? ((const int64_t *)value->constant)[i] : ((const int32_t *)value->constant)[i];
    *ret_count = (int)value->element_count;
    return SERIN_OK;
}

/* As many inputs as that are data. */
void infer_keep(struct graph_node *node, int count)
{
    if (node->input_count > count)
        node->input_count = count;
}

/* ---- shapes ---- */

enum serin_errc infer_set(struct inference *in, int output, enum graph_type type, int rank, const int64_t *shape)
{
    struct graph_value measured;
    enum serin_errc rc = graph_value_set(&measured, type, rank, shape, in->error);

    if (rc)
        return rc;
    in->outputs[output].type = type;
    in->outputs[output].rank = rank;
    memcpy(in->outputs[output].shape, measured.shape, sizeof(measured.shape));
    return SERIN_OK;
}

enum serin_errc infer_set_as(struct inference *in, int output, enum graph_type type, const struct graph_value *value)
{
    return infer_set(in, output, type, value->rank, value->shape);
}

/* A dimension that may be counted from the end; end: rank itself is one, too. */
enum serin_errc infer_axis(const struct inference *in, int64_t axis, int rank, bool end, int *ret)
{
    if (axis < -rank || axis >= rank + end)
        return error_set(in->error, SERIN_MODEL, "axis %" PRId64 " of %d dimensions", axis, rank);
    *ret = (int)(axis < 0 ? axis + rank : axis);
    return SERIN_OK;
}

/* Each axis at most once, as bits. */
enum serin_errc infer_axes(const struct inference *in, const int64_t *axes, int count, int rank, uint32_t *ret)
{
    enum serin_errc rc;
    uint32_t bits = 0;
    int i, axis = 0;

    for (i = 0; i < count; i++) {
        rc = infer_axis(in, axes[i], rank, false, &axis);
        if (rc)
            return rc;
        if (bits >> axis & 1)
            return error_set(in->error, SERIN_MODEL, "axis %d comes twice", axis);
        bits |= 1u << axis;
    }
    *ret = bits;
    return SERIN_OK;
}

/* ONNX's multidirectional broadcasting; shape starts as {} with rank 0. */
enum serin_errc infer_broadcast(const struct inference *in, int *rank, int64_t *shape, const struct graph_value *value)
{
    int64_t result[GRAPH_MAX_RANK] = {0};
    int i, most = *rank > value->rank ? *rank : value->rank;
    char text[GRAPH_TEXT_BYTES], text2[GRAPH_TEXT_BYTES];

    for (i = 0; i < most; i++) {
        int64_t a = i < *rank ? shape[*rank - 1 - i] : 1;
        int64_t b = i < value->rank ? value->shape[value->rank - 1 - i] : 1;

        if (a != b && a != 1 && b != 1)
            return error_set(in->error, SERIN_MODEL, "%s and %s do not fit each other",
                             graph_shape_text(*rank, shape, text), graph_shape_text(value->rank, value->shape, text2));
        result[most - 1 - i] = a == 1 ? b : a;
    }
    memcpy(shape, result, (size_t)most * sizeof(*shape));
    *rank = most;
    return SERIN_OK;
}

/* ---- which is which ---- */

enum serin_errc graph_infer(struct graph *graph, struct graph_node *node, struct graph_shape_of *outputs,
                            struct serin_error *error)
{
    static infer_rule *const rules[GRAPH_OP_COUNT] = {
        [GRAPH_CONV] = infer_convolution,
        [GRAPH_CONV_INTEGER] = infer_convolution,
        [GRAPH_CONV_TRANSPOSE] = infer_transposed_convolution,
        [GRAPH_MATMUL] = infer_matmul,
        [GRAPH_MATMUL_INTEGER] = infer_matmul,
        [GRAPH_GEMM] = infer_gemm,
        [GRAPH_BATCH_NORMALIZATION] = infer_batch_normalization,
        [GRAPH_MAX_POOL] = infer_pool,
        [GRAPH_AVERAGE_POOL] = infer_pool,
        [GRAPH_GLOBAL_AVERAGE_POOL] = infer_global_pool,
        [GRAPH_GLOBAL_MAX_POOL] = infer_global_pool,
        [GRAPH_RESIZE] = infer_resize,
        [GRAPH_SOFTMAX] = infer_softmax,
        [GRAPH_REDUCE_MAX] = infer_reduce,
        [GRAPH_REDUCE_MIN] = infer_reduce,
        [GRAPH_REDUCE_SUM] = infer_reduce,
        [GRAPH_REDUCE_MEAN] = infer_reduce,
        [GRAPH_ARG_MAX] = infer_arg_max,
        [GRAPH_TOP_K] = infer_top_k,
        [GRAPH_CONCAT] = infer_concat,
        [GRAPH_SPLIT] = infer_split,
        [GRAPH_SLICE] = infer_slice,
        [GRAPH_PAD] = infer_pad,
        [GRAPH_RESHAPE] = infer_reshape,
        [GRAPH_FLATTEN] = infer_flatten,
        [GRAPH_SQUEEZE] = infer_squeeze,
        [GRAPH_UNSQUEEZE] = infer_unsqueeze,
        [GRAPH_TRANSPOSE] = infer_transpose,
        [GRAPH_EXPAND] = infer_expand,
        [GRAPH_TILE] = infer_tile,
        [GRAPH_GATHER] = infer_gather,
        [GRAPH_GATHER_ELEMENTS] = infer_gather_elements,
        [GRAPH_GATHER_ND] = infer_gather_nd,
        [GRAPH_CAST] = infer_cast,
        [GRAPH_WHERE] = infer_where,
        [GRAPH_QUANTIZE_LINEAR] = infer_quantization,
        [GRAPH_DEQUANTIZE_LINEAR] = infer_quantization,
        [GRAPH_DYNAMIC_QUANTIZE_LINEAR] = infer_dynamic_quantization,
    };
    struct inference in = {.graph = graph, .node = node, .outputs = outputs, .error = error};

    if (graph_op_is_unary(node->op))
        return infer_unary(&in);
    if (graph_op_kind(node->op) == GRAPH_KIND_BINARY)
        return infer_binary(&in);
    BUG_ON(!rules[node->op]); /* the others are graph_shape.c's own */
    return rules[node->op](&in);
}
