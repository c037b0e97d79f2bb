/*
 * graph_infer.c - one node: from ONNX's form to the narrow one of graphs with shapes, and the shapes of what it makes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inputs that are parameters (sizes, axes, starts) must be constants by now; they are read, written into the node's
 * fields, and taken off its inputs. Everything that a kernel relies on is checked here: ranks, types, that sizes fit,
 * that windows lie on something. What is left to kernels is what only the data can tell.
 * Source: onnx/docs/Operators.md and Changelog.md, opsets 11 to 24.
 */
#include "engine/graph_inside.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_PARAMETERS GRAPH_MAX_ARITY /* the sizes of a split */

struct inference {
    struct graph *graph;
    struct graph_node *node;
    struct graph_shape_of *outputs;
    struct serin_error *error;
};

/* ---- inputs ---- */

static bool has_input(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

/* The value of an input that is there. */
static const struct graph_value *input(const struct inference *in, int number)
{
    BUG_ON(!has_input(in->node, number));
    return &in->graph->values[in->node->inputs[number]];
}

static enum serin_errc wrong(const struct inference *in, const char *what)
{
    return error_set(in->error, SERIN_MODEL, "%s", what);
}

static enum serin_errc unsupported(const struct inference *in, const char *what)
{
    return error_set(in->error, SERIN_UNSUPPORTED, "%s", what);
}

static enum serin_errc need_type(const struct inference *in, int number, uint32_t types)
{
    const struct graph_value *value = input(in, number);

    if (types >> value->type & 1)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED, "input %d is of type %s", number, graph_type_name(value->type));
}

#define F32     (1u << GRAPH_F32)
#define I64     (1u << GRAPH_I64)
#define I32     (1u << GRAPH_I32)
#define U8      (1u << GRAPH_U8)
#define I8      (1u << GRAPH_I8)
#define BOOL    (1u << GRAPH_BOOL)
#define NUMBERS (F32 | I64 | I32 | U8 | I8)
#define ANY     (NUMBERS | BOOL)

static enum serin_errc need_rank(const struct inference *in, int number, int rank)
{
    const struct graph_value *value = input(in, number);

    if (value->rank == rank)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED, "input %d has %d dimensions: known is %d", number, value->rank,
                     rank);
}

/* A vector of size numbers, or one number. */
static enum serin_errc need_vector(const struct inference *in, int number, int64_t size, bool or_one)
{
    const struct graph_value *value = input(in, number);
    char text[GRAPH_TEXT_BYTES];

    if (value->rank == 1 && value->shape[0] == size)
        return SERIN_OK;
    if (or_one && value->element_count == 1 && value->rank <= 1)
        return SERIN_OK;
    return error_set(in->error, SERIN_MODEL, "input %d has %s numbers where %" PRId64 " are needed", number,
                     graph_shape_text(value->rank, value->shape, text), size);
}

static enum serin_errc need_constant(const struct inference *in, int number)
{
    if (input(in, number)->constant)
        return SERIN_OK;
    return error_set(in->error, SERIN_UNSUPPORTED,
                     "input %d is not known before the picture is, but a size or place depends on it", number);
}

/* The integers of a constant input of at most one dimension, at most max of them. */
static enum serin_errc integers(const struct inference *in, int number, int64_t *ret, int max, int *ret_count)
{
    const struct graph_value *value = input(in, number);
    enum serin_errc rc = need_constant(in, number);
    uint64_t i;

    if (rc == SERIN_OK)
        rc = need_type(in, number, I64 | I32);
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
static void keep_inputs(struct graph_node *node, int count)
{
    if (node->input_count > count)
        node->input_count = count;
}

/* ---- shapes ---- */

static enum serin_errc set(struct inference *in, int output, enum graph_type type, int rank, const int64_t *shape)
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

static enum serin_errc set_as(struct inference *in, int output, enum graph_type type, const struct graph_value *value)
{
    return set(in, output, type, value->rank, value->shape);
}

/* A dimension that may be counted from the end; end: rank itself is one, too. */
static enum serin_errc axis_of(const struct inference *in, int64_t axis, int rank, bool end, int *ret)
{
    if (axis < -rank || axis >= rank + end)
        return error_set(in->error, SERIN_MODEL, "axis %" PRId64 " of %d dimensions", axis, rank);
    *ret = (int)(axis < 0 ? axis + rank : axis);
    return SERIN_OK;
}

/* Each axis at most once, as bits. */
static enum serin_errc axes_of(const struct inference *in, const int64_t *axes, int count, int rank, uint32_t *ret)
{
    enum serin_errc rc;
    uint32_t bits = 0;
    int i, axis = 0;

    for (i = 0; i < count; i++) {
        rc = axis_of(in, axes[i], rank, false, &axis);
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
static enum serin_errc broadcast(const struct inference *in, int *rank, int64_t *shape, const struct graph_value *value)
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

/* ---- windows ---- */

/* Padding of one dimension for auto_pad; effective: the kernel with its dilation. */
static void pad_same(enum graph_auto_pad mode, int64_t size, int64_t stride, int64_t effective, int32_t *begin,
                     int32_t *end)
{
    int64_t out = (size + stride - 1) / stride, total = (out - 1) * stride + effective - size;

    if (total < 0)
        total = 0;
    *begin = (int32_t)(mode == GRAPH_PAD_SAME_UPPER ? total / 2 : total - total / 2);
    *end = (int32_t)(total - *begin);
}

/* Height and width of what a window makes of shape[2..3]. round_up as for pools. */
static enum serin_errc slide(struct inference *in, struct graph_window *window, enum graph_auto_pad auto_pad,
                             bool round_up, const int64_t *shape, int64_t *ret)
{
    int i;

    for (i = 0; i < 2; i++) {
        int64_t size = shape[2 + i], stride = window->stride[i];
        int64_t effective = (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1, reach;

        if (auto_pad == GRAPH_PAD_VALID)
            window->pad_begin[i] = window->pad_end[i] = 0;
        else if (auto_pad != GRAPH_PAD_EXPLICIT && effective > INT32_MAX / 2)
            return unsupported(in, "a kernel with its dilation is larger than any picture");
        else if (auto_pad != GRAPH_PAD_EXPLICIT)
            pad_same(auto_pad, size, stride, effective, &window->pad_begin[i], &window->pad_end[i]);
        reach = size + window->pad_begin[i] + window->pad_end[i] - effective;
        if (size < 1 || reach < 0)
            return error_set(in->error, SERIN_MODEL, "a window of %" PRId64 " on %" PRId64 " with %d and %d around it",
                             effective, size, window->pad_begin[i], window->pad_end[i]);
        ret[i] = reach / stride + 1;
        if (round_up && reach % stride) {
            ret[i]++;
            if ((ret[i] - 1) * stride >= size + window->pad_begin[i]) /* it would see padding only */
                ret[i]--;
        }
    }
    return SERIN_OK;
}

/* The kernel's size: given, or the weights'. */
static enum serin_errc kernel_of(const struct inference *in, struct graph_window *window,
                                 const struct graph_value *weight)
{
    int i;

    for (i = 0; i < 2; i++) {
        if (weight->shape[2 + i] < 1 || weight->shape[2 + i] > 1 << 20 ||
            (window->kernel[i] && window->kernel[i] != weight->shape[2 + i]))
            return wrong(in, "kernel_shape is not that of the weights");
        window->kernel[i] = (int32_t)weight->shape[2 + i];
    }
    return SERIN_OK;
}

/* Zero points of an integer operator are of their operand's type: one number, or size of them for input 3. */
static enum serin_errc zero_points(const struct inference *in, int64_t size)
{
    enum serin_errc rc;
    int i;

    for (i = 2; i < 4; i++) {
        if (!has_input(in->node, i))
            continue;
        rc = need_type(in, i, 1u << input(in, i - 2)->type);
        if (rc == SERIN_OK)
            rc = need_vector(in, i, i == 3 ? size : 1, true);
        if (rc)
            return rc;
    }
    return SERIN_OK;
}

static enum serin_errc convolution(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0), *weight = input(in, 1);
    bool integer = node->op == GRAPH_CONV_INTEGER;
    int64_t shape[4];
    enum serin_errc rc;
    int i;

    for (i = 0; i < 2; i++) {
        rc = need_type(in, i, integer ? U8 | I8 : F32);
        if (rc == SERIN_OK)
            rc = need_rank(in, i, 4);
        if (rc)
            return rc;
    }
    rc = kernel_of(in, &node->conv.window, weight);
    if (rc)
        return rc;
    if (weight->shape[1] < 1 || weight->shape[0] < 1 || weight->shape[0] % node->conv.groups ||
        x->shape[1] % node->conv.groups || x->shape[1] / node->conv.groups != weight->shape[1])
        return error_set(in->error, SERIN_MODEL,
                         "%" PRId64 " channels in %" PRId64 " groups, but weights for %" PRId64 " to %" PRId64,
                         x->shape[1], node->conv.groups, weight->shape[1], weight->shape[0]);
    if (integer)
        rc = zero_points(in, weight->shape[0]);
    else if (has_input(node, 2))
        rc = need_vector(in, 2, weight->shape[0], false);
    if (rc == SERIN_OK && !integer && has_input(node, 2))
        rc = need_type(in, 2, F32);
    if (rc == SERIN_OK)
        rc = slide(in, &node->conv.window, node->conv.auto_pad, false, x->shape, shape + 2);
    if (rc)
        return rc;
    node->conv.auto_pad = GRAPH_PAD_EXPLICIT;
    shape[0] = x->shape[0];
    shape[1] = weight->shape[0];
    return set(in, 0, integer ? GRAPH_I32 : GRAPH_F32, 4, shape);
}

static enum serin_errc transposed_convolution(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0), *weight = input(in, 1);
    struct graph_window *window = &node->conv.window;
    enum serin_errc rc = SERIN_OK;
    int64_t shape[4];
    int i;

    for (i = 0; rc == SERIN_OK && i < 2; i++) {
        rc = need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = need_rank(in, i, 4);
    }
    if (rc == SERIN_OK)
        rc = kernel_of(in, window, weight);
    if (rc)
        return rc;
    if (x->shape[1] != weight->shape[0] || weight->shape[0] < 1 || weight->shape[0] % node->conv.groups ||
        weight->shape[1] < 1)
        return wrong(in, "the channels do not fit the weights");
    shape[0] = x->shape[0];
    shape[1] = weight->shape[1] * node->conv.groups;
    if (has_input(node, 2)) {
        rc = need_type(in, 2, F32);
        if (rc == SERIN_OK)
            rc = need_vector(in, 2, shape[1], false);
        if (rc)
            return rc;
    }
    if (node->conv.auto_pad != GRAPH_PAD_EXPLICIT)
        return unsupported(in, "auto_pad is known for Conv and pools only");
    for (i = 0; i < 2; i++) {
        if (x->shape[2 + i] < 1)
            return wrong(in, "an empty picture");
        shape[2 + i] = (x->shape[2 + i] - 1) * window->stride[i] +
                       (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1 + node->conv.output_padding[i] -
                       window->pad_begin[i] - window->pad_end[i];
    }
    return set(in, 0, GRAPH_F32, 4, shape);
}

static enum serin_errc pool(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[4] = {x->shape[0], x->shape[1]};
    enum serin_errc rc = need_type(in, 0, F32);
    int i;

    if (rc == SERIN_OK)
        rc = need_rank(in, 0, 4);
    if (rc == SERIN_OK)
        rc = slide(in, &node->pool.window, node->pool.auto_pad, node->pool.round_up, x->shape, shape + 2);
    if (rc)
        return rc;
    for (i = 0; i < 2; i++) /* so that each window holds at least one element */
        if (node->pool.window.pad_begin[i] >=
                (node->pool.window.kernel[i] - 1) * (int64_t)node->pool.window.dilation[i] + 1 ||
            node->pool.window.pad_end[i] >=
                (node->pool.window.kernel[i] - 1) * (int64_t)node->pool.window.dilation[i] + 1 ||
            (node->pool.window.dilation[i] != 1 && (node->pool.window.pad_begin[i] || node->pool.window.pad_end[i])))
            return unsupported(in, "padding as large as the window, or with dilation");
    node->pool.auto_pad = GRAPH_PAD_EXPLICIT;
    return set(in, 0, GRAPH_F32, 4, shape);
}

/* ---- products ---- */

static enum serin_errc matmul(struct inference *in)
{
    const struct graph_value *a = input(in, 0), *b = input(in, 1);
    bool integer = in->node->op == GRAPH_MATMUL_INTEGER;
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = need_type(in, 0, integer ? U8 | I8 : F32);
    struct graph_value rows, columns;
    int rank = 0;

    if (rc == SERIN_OK)
        rc = need_type(in, 1, integer ? U8 | I8 : F32);
    if (rc)
        return rc;
    if (a->rank < 2 || b->rank < 2)
        return unsupported(in, "a vector: known are matrices, and stacks of them");
    if (a->shape[a->rank - 1] != b->shape[b->rank - 2])
        return error_set(in->error, SERIN_MODEL, "%" PRId64 " columns against %" PRId64 " rows", a->shape[a->rank - 1],
                         b->shape[b->rank - 2]);
    rc = integer ? zero_points(in, b->shape[b->rank - 1]) : SERIN_OK;
    if (rc)
        return rc;
    rows = *a;
    columns = *b;
    rows.rank -= 2;
    columns.rank -= 2;
    rc = broadcast(in, &rank, shape, &rows);
    if (rc == SERIN_OK)
        rc = broadcast(in, &rank, shape, &columns);
    if (rc)
        return rc;
    shape[rank] = a->shape[a->rank - 2];
    shape[rank + 1] = b->shape[b->rank - 1];
    return set(in, 0, integer ? GRAPH_I32 : GRAPH_F32, rank + 2, shape);
}

static enum serin_errc gemm(struct inference *in)
{
    const struct graph_node *node = in->node;
    const struct graph_value *a = input(in, 0), *b = input(in, 1);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = SERIN_OK;
    int i, rank = 2;

    for (i = 0; rc == SERIN_OK && i < 2; i++) {
        rc = need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = need_rank(in, i, 2);
    }
    if (rc)
        return rc;
    shape[0] = a->shape[node->gemm.transpose_a];
    shape[1] = b->shape[!node->gemm.transpose_b];
    if (a->shape[!node->gemm.transpose_a] != b->shape[node->gemm.transpose_b])
        return wrong(in, "the two matrices do not fit each other");
    if (has_input(node, 2)) {
        int64_t result[GRAPH_MAX_RANK] = {shape[0], shape[1]};

        rc = need_type(in, 2, F32);
        if (rc == SERIN_OK)
            rc = broadcast(in, &rank, result, input(in, 2));
        if (rc)
            return rc;
        if (rank != 2 || result[0] != shape[0] || result[1] != shape[1])
            return wrong(in, "what is added does not fit the product");
    }
    return set(in, 0, GRAPH_F32, 2, shape);
}

static enum serin_errc batch_normalization(struct inference *in)
{
    const struct graph_value *x = input(in, 0);
    enum serin_errc rc = need_type(in, 0, F32);
    int i;

    if (rc)
        return rc;
    if (x->rank < 2)
        return wrong(in, "no channels");
    for (i = 1; i < 5; i++) {
        rc = need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = need_vector(in, i, x->shape[1], false);
        if (rc)
            return rc;
    }
    return set_as(in, 0, GRAPH_F32, x);
}

/* ---- resize, softmax, reductions ---- */

static enum serin_errc resize(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int i, count = 0, stretched = 0;

    rc = need_type(in, 0, node->resize.mode == GRAPH_RESIZE_LINEAR ? F32 : ANY);
    if (rc)
        return rc;
    if (has_input(node, 2) && input(in, 2)->element_count) {
        const struct graph_value *scales = input(in, 2);

        rc = need_constant(in, 2);
        if (rc == SERIN_OK)
            rc = need_type(in, 2, F32);
        if (rc)
            return rc;
        if (scales->rank != 1 || scales->shape[0] != x->rank)
            return unsupported(in, "scales that are not one for each dimension");
        for (i = 0; i < x->rank; i++) {
            float scale = ((const float *)scales->constant)[i];
            float size = (float)x->shape[i] * scale; /* rounded as ONNX Runtime does it: .7f of 10 is 7 */

            if (!(scale > 0) || !(size <= (float)GRAPH_MAX_VALUE_BYTES))
                return wrong(in, "a scale that is not above 0, or beyond all sizes");
            node->resize.scales[i] = scale;
            shape[i] = (int64_t)size;
        }
    } else if (has_input(node, 3)) {
        rc = integers(in, 3, shape, GRAPH_MAX_RANK, &count);
        if (rc)
            return rc;
        if (count != x->rank)
            return unsupported(in, "sizes that are not one for each dimension");
        for (i = 0; i < count; i++)
            node->resize.scales[i] = x->shape[i] ? (float)shape[i] / (float)x->shape[i] : 1;
    } else {
        return wrong(in, "neither scales nor sizes");
    }
    for (i = 0; i < x->rank; i++) {
        if (shape[i] < 1 || x->shape[i] < 1)
            return wrong(in, "an empty picture");
        stretched += shape[i] != x->shape[i] || node->resize.scales[i] != 1; /* a scale of 1.01 moves places, too */
    }
    if (stretched > 2 && node->resize.mode == GRAPH_RESIZE_LINEAR)
        return unsupported(in, "linear in more than two dimensions");
    keep_inputs(node, 1);
    return set(in, 0, x->type, x->rank, shape);
}

static enum serin_errc softmax(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    bool to_the_end = node->softmax.last;
    enum serin_errc rc = need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = axis_of(in, node->softmax.first, x->rank, to_the_end, &node->softmax.first);
    if (rc)
        return rc;
    node->softmax.last = to_the_end ? x->rank : node->softmax.first + 1;
    return set_as(in, 0, GRAPH_F32, x);
}

/* The output's shape without the dimensions of axes, or with 1 in their place. */
static enum serin_errc set_reduced(struct inference *in, enum graph_type type, uint32_t axes, bool keep_dims)
{
    const struct graph_value *x = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    int i, rank = 0;

    for (i = 0; i < x->rank; i++) {
        if (!(axes >> i & 1))
            shape[rank++] = x->shape[i];
        else if (x->shape[i] < 1)
            return wrong(in, "a dimension without elements is reduced");
        else if (keep_dims)
            shape[rank++] = 1;
    }
    return set(in, 0, type, rank, shape);
}

static enum serin_errc reduce(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    enum serin_errc rc = need_type(in, 0, F32 | I64 | I32);
    int64_t axes[GRAPH_MAX_RANK] = {0};
    int count = 0;

    if (rc == SERIN_OK && has_input(node, 1))
        rc = integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK)
        rc = axes_of(in, axes, count, x->rank, &node->reduce.axes);
    if (rc)
        return rc;
    if (count == 0)
        node->reduce.axes = (1u << x->rank) - 1;
    keep_inputs(node, 1);
    return set_reduced(in, x->type, node->reduce.axes, node->reduce.keep_dims);
}

static enum serin_errc global_pool(struct inference *in)
{
    struct graph_node *node = in->node;
    enum serin_errc rc = need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = need_rank(in, 0, 4);
    if (rc)
        return rc;
    node->op = node->op == GRAPH_GLOBAL_MAX_POOL ? GRAPH_REDUCE_MAX : GRAPH_REDUCE_MEAN;
    node->reduce.axes = 1u << 2 | 1u << 3;
    node->reduce.keep_dims = true;
    return set_reduced(in, GRAPH_F32, node->reduce.axes, true);
}

static enum serin_errc arg_max(struct inference *in)
{
    struct graph_node *node = in->node;
    enum serin_errc rc = need_type(in, 0, NUMBERS);

    if (rc == SERIN_OK)
        rc = axis_of(in, node->axis.axis, input(in, 0)->rank, false, &node->axis.axis);
    return rc ? rc : set_reduced(in, GRAPH_I64, 1u << node->axis.axis, node->axis.keep_dims);
}

static enum serin_errc top_k(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK], k = 0;
    enum serin_errc rc = need_type(in, 0, F32 | I64 | I32);
    int count = 0;

    if (rc == SERIN_OK && !has_input(node, 1))
        rc = wrong(in, "k is missing");
    if (rc == SERIN_OK)
        rc = axis_of(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc == SERIN_OK)
        rc = integers(in, 1, &k, 1, &count);
    if (rc)
        return rc;
    memcpy(shape, x->shape, sizeof(shape));
    if (count != 1 || k < 0 || k > shape[node->axis.axis])
        return error_set(in->error, SERIN_MODEL, "the top %" PRId64 " of %" PRId64, k, shape[node->axis.axis]);
    shape[node->axis.axis] = k;
    keep_inputs(node, 1);
    rc = set(in, 0, x->type, x->rank, shape);
    return rc ? rc : set(in, 1, GRAPH_I64, x->rank, shape);
}

/* ---- moving data ---- */

static enum serin_errc concat(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *first = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = axis_of(in, node->axis.axis, first->rank, false, &node->axis.axis);
    char text[GRAPH_TEXT_BYTES];
    int i, j;

    if (rc)
        return rc;
    memcpy(shape, first->shape, sizeof(shape));
    for (i = 1; i < node->input_count; i++) {
        const struct graph_value *x;

        if (!has_input(node, i))
            return wrong(in, "an input is left out");
        x = input(in, i);
        if (x->type != first->type || x->rank != first->rank)
            return error_set(in->error, SERIN_MODEL, "input %d has another type or rank than the first", i);
        for (j = 0; j < first->rank; j++)
            if (j != node->axis.axis && x->shape[j] != first->shape[j])
                return error_set(in->error, SERIN_MODEL, "input %d is %s, which does not fit the others", i,
                                 graph_shape_text(x->rank, x->shape, text));
        shape[node->axis.axis] += x->shape[node->axis.axis]; /* 1024 times 2^32 at most */
    }
    return set(in, 0, first->type, first->rank, shape);
}

static enum serin_errc split(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t sizes[MAX_PARAMETERS], shape[GRAPH_MAX_RANK], size, left;
    enum serin_errc rc = axis_of(in, node->axis.axis, x->rank, false, &node->axis.axis);
    int i, count = 0;

    if (rc)
        return rc;
    size = x->shape[node->axis.axis];
    if (has_input(node, 1)) {
        rc = integers(in, 1, sizes, MAX_PARAMETERS, &count);
        if (rc)
            return rc;
    } else { /* equal parts, the last one is what is left */
        int64_t part = (size + node->output_count - 1) / node->output_count;

        for (left = size; count < node->output_count; count++) {
            sizes[count] = left < part ? left : part;
            left -= sizes[count];
        }
    }
    for (i = 0, left = size; i < count && left >= 0; i++)
        left = sizes[i] < 0 || sizes[i] > left ? -1 : left - sizes[i];
    if (count != node->output_count || left != 0)
        return error_set(in->error, SERIN_MODEL, "%d parts that do not add up to %" PRId64 " for %d outputs", count,
                         size, node->output_count);
    memcpy(shape, x->shape, sizeof(shape));
    for (i = 0; i < count; i++) {
        shape[node->axis.axis] = sizes[i];
        rc = set(in, i, x->type, x->rank, shape);
        if (rc)
            return rc;
    }
    keep_inputs(node, 1);
    return SERIN_OK;
}

/* begin and end are clamped to where the step can reach. */
static void slice_one(int64_t size, int64_t begin, int64_t end, int64_t step, int64_t *ret_begin, int64_t *ret_count)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;

    if (begin < 0)
        begin = begin < -size ? low : begin + size;
    if (end < 0)
        end = end < -size ? low : end + size;
    begin = begin < low ? low : begin > high ? high : begin;
    end = end < low ? low : end > high ? high : end;
    *ret_count = 0;
    if (step > 0 && end > begin)
        *ret_count = (end - begin - 1) / step + 1;
    if (step < 0 && begin > end)
        *ret_count = (begin - end - 1) / -step + 1;
    *ret_begin = *ret_count ? begin : 0;
}

static enum serin_errc slice(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t numbers[5][GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int counts[5] = {0}, i, axis = 0;
    uint32_t seen = 0;

    if (!has_input(node, 1) || !has_input(node, 2))
        return wrong(in, "no starts or no ends");
    for (i = 1; i < 5; i++) {
        if (!has_input(node, i))
            continue;
        rc = integers(in, i, numbers[i], GRAPH_MAX_RANK, &counts[i]);
        if (rc)
            return rc;
        if (counts[i] != counts[1])
            return wrong(in, "starts, ends, axes and steps are not equally many");
    }
    if (counts[1] > x->rank)
        return wrong(in, "more starts than dimensions");
    memcpy(shape, x->shape, sizeof(shape));
    for (i = 0; i < x->rank; i++) {
        node->slice.begin[i] = 0;
        node->slice.step[i] = 1;
    }
    for (i = 0; i < counts[1]; i++) {
        int64_t step = has_input(node, 4) ? numbers[4][i] : 1;

        rc = axis_of(in, has_input(node, 3) ? numbers[3][i] : i, x->rank, false, &axis);
        if (rc)
            return rc;
        if (seen >> axis & 1)
            return error_set(in->error, SERIN_MODEL, "axis %d comes twice", axis);
        seen |= 1u << axis;
        if (step == 0)
            return wrong(in, "a step of 0");
        if (step > INT32_MAX || step < -(int64_t)INT32_MAX) /* beyond every size: one element either way */
            step = step > 0 ? INT32_MAX : -(int64_t)INT32_MAX;
        if (x->shape[axis] > INT32_MAX)
            return unsupported(in, "a dimension of more than 2147483647");
        slice_one(x->shape[axis], numbers[1][i], numbers[2][i], step, &node->slice.begin[axis], &shape[axis]);
        node->slice.step[axis] = step;
    }
    keep_inputs(node, 1);
    return set(in, 0, x->type, x->rank, shape);
}

static enum serin_errc pad(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t pads[2 * GRAPH_MAX_RANK], axes[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    uint32_t seen = 0;
    int i, count = 0, axis_count = x->rank, axis = 0;

    if (!has_input(node, 1))
        return wrong(in, "no pads");
    rc = integers(in, 1, pads, 2 * GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK && has_input(node, 3))
        rc = integers(in, 3, axes, GRAPH_MAX_RANK, &axis_count);
    if (rc == SERIN_OK && has_input(node, 3))
        rc = axes_of(in, axes, axis_count, x->rank, &seen);
    if (rc)
        return rc;
    if (count != 2 * axis_count)
        return wrong(in, "not two pads for each dimension");
    node->pad.value = 0;
    if (has_input(node, 2) && input(in, 2)->element_count) {
        const struct graph_value *value = input(in, 2);

        rc = need_constant(in, 2);
        if (rc == SERIN_OK)
            rc = need_type(in, 2, (F32 | I64) & 1u << x->type);
        if (rc == SERIN_OK)
            rc = need_vector(in, 2, 1, true);
        if (rc)
            return rc;
        node->pad.value = value->type == GRAPH_F32 ? (double)*(const float *)value->constant
                                                   : (double)*(const int64_t *)value->constant;
    }
    memcpy(shape, x->shape, sizeof(shape));
    for (i = 0; i < x->rank; i++)
        node->pad.begin[i] = 0;
    for (i = 0; i < axis_count; i++) {
        int64_t begin = pads[i], end = pads[axis_count + i], most;

        rc = axis_of(in, has_input(node, 3) ? axes[i] : i, x->rank, false, &axis);
        if (rc)
            return rc;
        most = node->pad.mode == GRAPH_PAD_REFLECT ? x->shape[axis] - 1 : INT32_MAX;
        if (begin > most || end > most || begin < -x->shape[axis] || end < -x->shape[axis] ||
            (node->pad.mode != GRAPH_PAD_CONSTANT && x->shape[axis] < 1) || x->shape[axis] + begin + end < 0)
            return error_set(in->error, SERIN_MODEL, "pads of %" PRId64 " and %" PRId64 " on %" PRId64, begin, end,
                             x->shape[axis]);
        node->pad.begin[axis] = begin;
        shape[axis] += begin + end;
    }
    keep_inputs(node, 1);
    return set(in, 0, x->type, x->rank, shape);
}

static enum serin_errc reshape(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    uint64_t known = 1;
    enum serin_errc rc;
    char text[GRAPH_TEXT_BYTES], text2[GRAPH_TEXT_BYTES];
    int i, rank = 0, open = -1;

    rc = integers(in, 1, shape, GRAPH_MAX_RANK, &rank);
    if (rc)
        return rc;
    for (i = 0; i < rank; i++) {
        if (shape[i] == 0 && !node->allow_zero) {
            if (i >= x->rank)
                return wrong(in, "a 0 in the new shape where the old one has no dimension");
            shape[i] = x->shape[i];
        }
        if (shape[i] == -1) {
            if (open >= 0)
                return wrong(in, "two sizes of the new shape are to be found out");
            open = i;
        } else if (shape[i] < 0 || __builtin_mul_overflow(known, (uint64_t)shape[i], &known)) {
            return wrong(in, "a size below -1, or beyond all limits");
        }
    }
    if (open >= 0) {
        if (known == 0 || x->element_count % known)
            return error_set(in->error, SERIN_MODEL, "%s cannot be cut into parts of %" PRIu64,
                             graph_shape_text(x->rank, x->shape, text), known);
        shape[open] = (int64_t)(x->element_count / known);
        known *= (uint64_t)shape[open];
    }
    if (known != x->element_count)
        return error_set(in->error, SERIN_MODEL, "%s is not %s", graph_shape_text(x->rank, x->shape, text),
                         graph_shape_text(rank, shape, text2));
    keep_inputs(node, 1);
    return set(in, 0, x->type, rank, shape);
}

static enum serin_errc flatten(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[2] = {1, 1};
    enum serin_errc rc;
    int i, axis = 0;

    rc = axis_of(in, node->axis.axis, x->rank, true, &axis);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++)
        shape[i >= axis] *= x->shape[i];
    node->op = GRAPH_RESHAPE;
    return set(in, 0, x->type, 2, shape);
}

static enum serin_errc squeeze(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t axes[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc = SERIN_OK;
    uint32_t bits = 0;
    int i, count = 0, rank = 0;

    if (has_input(node, 1))
        rc = integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK)
        rc = axes_of(in, axes, count, x->rank, &bits);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++) {
        bool out = has_input(node, 1) ? bits >> i & 1 : x->shape[i] == 1;

        if (out && x->shape[i] != 1)
            return error_set(in->error, SERIN_MODEL, "axis %d is %" PRId64 ", not 1", i, x->shape[i]);
        if (!out)
            shape[rank++] = x->shape[i];
    }
    node->op = GRAPH_RESHAPE;
    keep_inputs(node, 1);
    return set(in, 0, x->type, rank, shape);
}

static enum serin_errc unsqueeze(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t axes[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    uint32_t bits = 0;
    int i, count = 0, from = 0;

    if (!has_input(node, 1))
        return wrong(in, "no axes");
    rc = integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc)
        return rc;
    if (x->rank + count > GRAPH_MAX_RANK)
        return error_set(in->error, SERIN_LIMIT, "%d dimensions, the limit is %d", x->rank + count, GRAPH_MAX_RANK);
    rc = axes_of(in, axes, count, x->rank + count, &bits);
    if (rc)
        return rc;
    for (i = 0; i < x->rank + count; i++)
        shape[i] = bits >> i & 1 ? 1 : x->shape[from++];
    node->op = GRAPH_RESHAPE;
    keep_inputs(node, 1);
    return set(in, 0, x->type, x->rank + count, shape);
}

static enum serin_errc transpose(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    int i;

    if (node->transpose.count == 0)
        for (i = 0; i < x->rank; i++)
            node->transpose.permutation[i] = x->rank - 1 - i;
    else if (node->transpose.count != x->rank)
        return error_set(in->error, SERIN_MODEL, "a permutation of %d for %d dimensions", node->transpose.count,
                         x->rank);
    node->transpose.count = x->rank;
    for (i = 0; i < x->rank; i++)
        shape[i] = x->shape[node->transpose.permutation[i]];
    return set(in, 0, x->type, x->rank, shape);
}

static enum serin_errc expand(struct inference *in)
{
    const struct graph_value *x = input(in, 0);
    struct graph_value wanted = {.rank = 0};
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int rank = 0;

    rc = integers(in, 1, wanted.shape, GRAPH_MAX_RANK, &wanted.rank);
    if (rc == SERIN_OK)
        rc = broadcast(in, &rank, shape, x);
    if (rc == SERIN_OK)
        rc = broadcast(in, &rank, shape, &wanted);
    if (rc)
        return rc;
    keep_inputs(in->node, 1);
    return set(in, 0, x->type, rank, shape);
}

static enum serin_errc tile(struct inference *in)
{
    const struct graph_value *x = input(in, 0);
    int64_t repeats[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int i, count = 0;

    rc = integers(in, 1, repeats, GRAPH_MAX_RANK, &count);
    if (rc)
        return rc;
    if (count != x->rank)
        return wrong(in, "not one number for each dimension");
    for (i = 0; i < count; i++)
        if (repeats[i] < 0 || __builtin_mul_overflow(x->shape[i], repeats[i], &shape[i]))
            return wrong(in, "a number below 0, or beyond all limits");
    keep_inputs(in->node, 1);
    return set(in, 0, x->type, x->rank, shape);
}

static enum serin_errc gather(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0), *indices = input(in, 1);
    int64_t shape[2 * GRAPH_MAX_RANK];
    enum serin_errc rc = need_type(in, 1, I64 | I32);
    int i, rank = 0;

    if (rc == SERIN_OK)
        rc = axis_of(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc)
        return rc;
    for (i = 0; i < node->axis.axis; i++)
        shape[rank++] = x->shape[i];
    for (i = 0; i < indices->rank; i++)
        shape[rank++] = indices->shape[i];
    for (i = node->axis.axis + 1; i < x->rank; i++)
        shape[rank++] = x->shape[i];
    return set(in, 0, x->type, rank, shape);
}

static enum serin_errc gather_elements(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0), *indices = input(in, 1);
    enum serin_errc rc = need_type(in, 1, I64 | I32);
    int i;

    if (rc == SERIN_OK)
        rc = axis_of(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++)
        if (indices->rank != x->rank || (i != node->axis.axis && indices->shape[i] > x->shape[i]))
            return wrong(in, "the indices do not fit the data");
    return set_as(in, 0, x->type, indices);
}

static enum serin_errc gather_nd(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = input(in, 0), *indices = input(in, 1);
    int64_t shape[2 * GRAPH_MAX_RANK], depth;
    enum serin_errc rc = need_type(in, 1, I64);
    int i, rank = 0, batch = node->batch_dims;

    if (rc)
        return rc;
    if (indices->rank < 1 || batch < 0 || batch >= indices->rank || batch >= x->rank)
        return wrong(in, "batch_dims does not fit");
    depth = indices->shape[indices->rank - 1];
    if (depth < 1 || depth > x->rank - batch)
        return wrong(in, "the indices have more parts than the data has dimensions, or none");
    for (i = 0; i < batch; i++)
        if (x->shape[i] != indices->shape[i])
            return wrong(in, "the batches of data and indices differ");
    for (i = 0; i < indices->rank - 1; i++)
        shape[rank++] = indices->shape[i];
    for (i = batch + (int)depth; i < x->rank; i++)
        shape[rank++] = x->shape[i];
    return set(in, 0, x->type, rank, shape);
}

/* ---- elements ---- */

static enum serin_errc unary(struct inference *in)
{
    struct graph_node *node = in->node;
    uint32_t types = F32;

    if (node->op == GRAPH_NEG || node->op == GRAPH_ABS)
        types = F32 | I64 | I32 | I8;
    if (node->op == GRAPH_NOT)
        types = BOOL;
    if (node->op == GRAPH_CLIP) {
        float *ends[2] = {&node->unary.alpha, &node->unary.beta};
        int i;

        node->unary.alpha = -INFINITY;
        node->unary.beta = INFINITY;
        for (i = 0; i < 2; i++) {
            enum serin_errc rc;

            if (!has_input(node, i + 1))
                continue;
            rc = need_constant(in, i + 1);
            if (rc == SERIN_OK)
                rc = need_type(in, i + 1, F32);
            if (rc == SERIN_OK)
                rc = need_vector(in, i + 1, 1, true);
            if (rc)
                return rc;
            *ends[i] = *(const float *)input(in, i + 1)->constant;
        }
        keep_inputs(node, 1);
    }
    if (need_type(in, 0, types))
        return error_set(in->error, SERIN_UNSUPPORTED, "of %s", graph_type_name(input(in, 0)->type));
    return set_as(in, 0, input(in, 0)->type, input(in, 0));
}

static enum serin_errc binary(struct inference *in)
{
    const struct graph_value *a = input(in, 0), *b = input(in, 1);
    int64_t shape[GRAPH_MAX_RANK];
    enum graph_type type = a->type;
    uint32_t types = F32 | I64 | I32 | U8 | I8;
    enum serin_errc rc;
    int rank = 0;

    switch (in->node->op) {
    case GRAPH_EQUAL:
        types |= BOOL;
        type = GRAPH_BOOL;
        break;
    case GRAPH_LESS:
    case GRAPH_LESS_OR_EQUAL:
    case GRAPH_GREATER:
    case GRAPH_GREATER_OR_EQUAL:
        type = GRAPH_BOOL;
        break;
    case GRAPH_AND:
    case GRAPH_OR:
        types = BOOL;
        break;
    case GRAPH_POW:
    case GRAPH_PRELU:
        types = F32;
        break;
    default:
        break;
    }
    rc = need_type(in, 0, types);
    if (rc == SERIN_OK)
        rc = need_type(in, 1, 1u << a->type);
    if (rc == SERIN_OK)
        rc = broadcast(in, &rank, shape, a);
    if (rc == SERIN_OK)
        rc = broadcast(in, &rank, shape, b);
    if (rc)
        return rc;
    if (in->node->op == GRAPH_MOD && a->type == GRAPH_F32 && !in->node->fmod)
        return wrong(in, "floats without fmod");
    if (in->node->op == GRAPH_PRELU && (rank != a->rank || memcmp(shape, a->shape, (size_t)rank * sizeof(*shape)) != 0))
        return wrong(in, "slopes that do not fit");
    return set(in, 0, type, rank, shape);
}

static enum serin_errc where(struct inference *in)
{
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = need_type(in, 0, BOOL);
    int i, rank = 0;

    if (rc == SERIN_OK)
        rc = need_type(in, 2, 1u << input(in, 1)->type);
    for (i = 0; rc == SERIN_OK && i < 3; i++)
        rc = broadcast(in, &rank, shape, input(in, i));
    return rc ? rc : set(in, 0, input(in, 1)->type, rank, shape);
}

static enum serin_errc quantization(struct inference *in)
{
    struct graph_node *node = in->node;
    bool down = node->op == GRAPH_QUANTIZE_LINEAR;
    const struct graph_value *x = input(in, 0);
    enum graph_type type = down ? GRAPH_U8 : GRAPH_F32;
    enum serin_errc rc = need_type(in, 0, down ? F32 | I32 : U8 | I8 | I32);
    int64_t size = 1;

    if (rc == SERIN_OK)
        rc = need_type(in, 1, F32);
    if (rc)
        return rc;
    if (input(in, 1)->rank == 1 && input(in, 1)->shape[0] != 1) {
        rc = axis_of(in, node->axis.axis, x->rank, false, &node->axis.axis);
        if (rc)
            return rc;
        size = x->shape[node->axis.axis];
    } else {
        node->axis.axis = 0; /* one scale for all */
    }
    rc = need_vector(in, 1, size, size == 1);
    if (rc == SERIN_OK && has_input(node, 2)) {
        rc = need_type(in, 2, down ? U8 | I8 : 1u << x->type);
        if (rc == SERIN_OK)
            rc = need_vector(in, 2, size, size == 1);
        type = down ? input(in, 2)->type : GRAPH_F32;
    }
    return rc ? rc : set_as(in, 0, type, x);
}

static enum serin_errc dynamic_quantization(struct inference *in)
{
    enum serin_errc rc = need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = set_as(in, 0, GRAPH_U8, input(in, 0));
    if (rc == SERIN_OK)
        rc = set(in, 1, GRAPH_F32, 0, NULL);
    if (rc == SERIN_OK)
        rc = set(in, 2, GRAPH_U8, 0, NULL);
    return rc;
}

/* ---- which is which ---- */

enum serin_errc graph_infer(struct graph *graph, struct graph_node *node, struct graph_shape_of *outputs,
                            struct serin_error *error)
{
    struct inference in = {.graph = graph, .node = node, .outputs = outputs, .error = error};

    if (graph_op_is_unary(node->op))
        return unary(&in);
    if (graph_op_kind(node->op) == GRAPH_KIND_BINARY)
        return binary(&in);
    switch (node->op) {
    case GRAPH_CONV:
    case GRAPH_CONV_INTEGER:
        return convolution(&in);
    case GRAPH_CONV_TRANSPOSE:
        return transposed_convolution(&in);
    case GRAPH_MATMUL:
    case GRAPH_MATMUL_INTEGER:
        return matmul(&in);
    case GRAPH_GEMM:
        return gemm(&in);
    case GRAPH_BATCH_NORMALIZATION:
        return batch_normalization(&in);
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
        return pool(&in);
    case GRAPH_GLOBAL_AVERAGE_POOL:
    case GRAPH_GLOBAL_MAX_POOL:
        return global_pool(&in);
    case GRAPH_RESIZE:
        return resize(&in);
    case GRAPH_SOFTMAX:
        return softmax(&in);
    case GRAPH_REDUCE_MAX:
    case GRAPH_REDUCE_MIN:
    case GRAPH_REDUCE_SUM:
    case GRAPH_REDUCE_MEAN:
        return reduce(&in);
    case GRAPH_ARG_MAX:
        return arg_max(&in);
    case GRAPH_TOP_K:
        return top_k(&in);
    case GRAPH_CONCAT:
        return concat(&in);
    case GRAPH_SPLIT:
        return split(&in);
    case GRAPH_SLICE:
        return slice(&in);
    case GRAPH_PAD:
        return pad(&in);
    case GRAPH_RESHAPE:
        return reshape(&in);
    case GRAPH_FLATTEN:
        return flatten(&in);
    case GRAPH_SQUEEZE:
        return squeeze(&in);
    case GRAPH_UNSQUEEZE:
        return unsqueeze(&in);
    case GRAPH_TRANSPOSE:
        return transpose(&in);
    case GRAPH_EXPAND:
        return expand(&in);
    case GRAPH_TILE:
        return tile(&in);
    case GRAPH_GATHER:
        return gather(&in);
    case GRAPH_GATHER_ELEMENTS:
        return gather_elements(&in);
    case GRAPH_GATHER_ND:
        return gather_nd(&in);
    case GRAPH_CAST:
        return set_as(&in, 0, node->to, input(&in, 0));
    case GRAPH_WHERE:
        return where(&in);
    case GRAPH_QUANTIZE_LINEAR:
    case GRAPH_DEQUANTIZE_LINEAR:
        return quantization(&in);
    case GRAPH_DYNAMIC_QUANTIZE_LINEAR:
        return dynamic_quantization(&in);
    default: /* sources are graph_shape.c's own */
        BUG_ON(true);
    }
}
