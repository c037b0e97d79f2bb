/*
 * graph_infer_layers.c - rules of the layers: convolutions, pools, products of matrices, resizing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * See graph_infer.c. Source: onnx/docs/Operators.md and Changelog.md.
 */
#include "engine/graph_infer_inside.h"

#include <inttypes.h>
#include <string.h>

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
            return infer_unsupported(in, "a kernel with its dilation is larger than any picture");
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
            return infer_wrong(in, "kernel_shape is not that of the weights");
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
        if (!infer_has(in->node, i))
            continue;
        rc = infer_need_type(in, i, 1u << infer_input(in, i - 2)->type);
        if (rc == SERIN_OK)
            rc = infer_need_vector(in, i, i == 3 ? size : 1, true);
        if (rc)
            return rc;
    }
    return SERIN_OK;
}

enum serin_errc infer_convolution(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0), *weight = infer_input(in, 1);
    bool integer = node->op == GRAPH_CONV_INTEGER;
    int64_t shape[4];
    enum serin_errc rc;
    int i;

    for (i = 0; i < 2; i++) {
        rc = infer_need_type(in, i, integer ? U8 | I8 : F32);
        if (rc == SERIN_OK)
            rc = infer_need_rank(in, i, 4);
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
    else if (infer_has(node, 2))
        rc = infer_need_vector(in, 2, weight->shape[0], false);
    if (rc == SERIN_OK && !integer && infer_has(node, 2))
        rc = infer_need_type(in, 2, F32);
    if (rc == SERIN_OK)
        rc = slide(in, &node->conv.window, node->conv.auto_pad, false, x->shape, shape + 2);
    if (rc)
        return rc;
    node->conv.auto_pad = GRAPH_PAD_EXPLICIT;
    shape[0] = x->shape[0];
    shape[1] = weight->shape[0];
    return infer_set(in, 0, integer ? GRAPH_I32 : GRAPH_F32, 4, shape);
}

enum serin_errc infer_transposed_convolution(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0), *weight = infer_input(in, 1);
    struct graph_window *window = &node->conv.window;
    enum serin_errc rc = SERIN_OK;
    int64_t shape[4];
    int i;

    for (i = 0; rc == SERIN_OK && i < 2; i++) {
        rc = infer_need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = infer_need_rank(in, i, 4);
    }
    if (rc == SERIN_OK)
        rc = kernel_of(in, window, weight);
    if (rc)
        return rc;
    if (x->shape[1] != weight->shape[0] || weight->shape[0] < 1 || weight->shape[0] % node->conv.groups ||
        weight->shape[1] < 1)
        return infer_wrong(in, "the channels do not fit the weights");
    shape[0] = x->shape[0];
    shape[1] = weight->shape[1] * node->conv.groups;
    if (infer_has(node, 2)) {
        rc = infer_need_type(in, 2, F32);
        if (rc == SERIN_OK)
            rc = infer_need_vector(in, 2, shape[1], false);
        if (rc)
            return rc;
    }
    if (node->conv.auto_pad != GRAPH_PAD_EXPLICIT)
        return infer_unsupported(in, "auto_pad is known for Conv and pools only");
    for (i = 0; i < 2; i++) {
        if (x->shape[2 + i] < 1)
            return infer_wrong(in, "an empty picture");
        shape[2 + i] = (x->shape[2 + i] - 1) * window->stride[i] +
                       (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1 + node->conv.output_padding[i] -
                       window->pad_begin[i] - window->pad_end[i];
    }
    return infer_set(in, 0, GRAPH_F32, 4, shape);
}

enum serin_errc infer_pool(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[4] = {x->shape[0], x->shape[1]};
    enum serin_errc rc = infer_need_type(in, 0, F32);
    int i;

    if (rc == SERIN_OK)
        rc = infer_need_rank(in, 0, 4);
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
            return infer_unsupported(in, "padding as large as the window, or with dilation");
    node->pool.auto_pad = GRAPH_PAD_EXPLICIT;
    return infer_set(in, 0, GRAPH_F32, 4, shape);
}

/* ---- products ---- */

enum serin_errc infer_matmul(struct inference *in)
{
    const struct graph_value *a = infer_input(in, 0), *b = infer_input(in, 1);
    bool integer = in->node->op == GRAPH_MATMUL_INTEGER;
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = infer_need_type(in, 0, integer ? U8 | I8 : F32);
    struct graph_value rows, columns;
    int rank = 0;

    if (rc == SERIN_OK)
        rc = infer_need_type(in, 1, integer ? U8 | I8 : F32);
    if (rc)
        return rc;
    if (a->rank < 2 || b->rank < 2)
        return infer_unsupported(in, "a vector: known are matrices, and stacks of them");
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
    rc = infer_broadcast(in, &rank, shape, &rows);
    if (rc == SERIN_OK)
        rc = infer_broadcast(in, &rank, shape, &columns);
    if (rc)
        return rc;
    shape[rank] = a->shape[a->rank - 2];
    shape[rank + 1] = b->shape[b->rank - 1];
    return infer_set(in, 0, integer ? GRAPH_I32 : GRAPH_F32, rank + 2, shape);
}

enum serin_errc infer_gemm(struct inference *in)
{
    const struct graph_node *node = in->node;
    const struct graph_value *a = infer_input(in, 0), *b = infer_input(in, 1);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = SERIN_OK;
    int i, rank = 2;

    for (i = 0; rc == SERIN_OK && i < 2; i++) {
        rc = infer_need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = infer_need_rank(in, i, 2);
    }
    if (rc)
        return rc;
    shape[0] = a->shape[node->gemm.transpose_a];
    shape[1] = b->shape[!node->gemm.transpose_b];
    if (a->shape[!node->gemm.transpose_a] != b->shape[node->gemm.transpose_b])
        return infer_wrong(in, "the two matrices do not fit each other");
    if (infer_has(node, 2)) {
        int64_t result[GRAPH_MAX_RANK] = {shape[0], shape[1]};

        rc = infer_need_type(in, 2, F32);
        if (rc == SERIN_OK)
            rc = infer_broadcast(in, &rank, result, infer_input(in, 2));
        if (rc)
            return rc;
        if (rank != 2 || result[0] != shape[0] || result[1] != shape[1])
            return infer_wrong(in, "what is added does not fit the product");
    }
    return infer_set(in, 0, GRAPH_F32, 2, shape);
}

enum serin_errc infer_batch_normalization(struct inference *in)
{
    const struct graph_value *x = infer_input(in, 0);
    enum serin_errc rc = infer_need_type(in, 0, F32);
    int i;

    if (rc)
        return rc;
    if (x->rank < 2)
        return infer_wrong(in, "no channels");
    for (i = 1; i < 5; i++) {
        rc = infer_need_type(in, i, F32);
        if (rc == SERIN_OK)
            rc = infer_need_vector(in, i, x->shape[1], false);
        if (rc)
            return rc;
    }
    return infer_set_as(in, 0, GRAPH_F32, x);
}

/* ---- resizing ---- */

enum serin_errc infer_resize(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int i, count = 0, stretched = 0;

    rc = infer_need_type(in, 0, node->resize.mode == GRAPH_RESIZE_LINEAR ? F32 : ANY);
    if (rc)
        return rc;
    if (infer_has(node, 2) && infer_input(in, 2)->element_count) {
        const struct graph_value *scales = infer_input(in, 2);

        rc = infer_need_constant(in, 2);
        if (rc == SERIN_OK)
            rc = infer_need_type(in, 2, F32);
        if (rc)
            return rc;
        if (scales->rank != 1 || scales->shape[0] != x->rank)
            return infer_unsupported(in, "scales that are not one for each dimension");
        for (i = 0; i < x->rank; i++) {
            float scale = ((const float *)scales->constant)[i];
            float size = (float)x->shape[i] * scale; /* rounded as ONNX Runtime does it: .7f of 10 is 7 */

            if (!(scale > 0) || !(size <= (float)GRAPH_MAX_VALUE_BYTES))
                return infer_wrong(in, "a scale that is not above 0, or beyond all sizes");
            node->resize.scales[i] = scale;
            shape[i] = (int64_t)size;
        }
    } else if (infer_has(node, 3)) {
        rc = infer_integers(in, 3, shape, GRAPH_MAX_RANK, &count);
        if (rc)
            return rc;
        if (count != x->rank)
            return infer_unsupported(in, "sizes that are not one for each dimension");
        for (i = 0; i < count; i++)
            node->resize.scales[i] = x->shape[i] ? (float)shape[i] / (float)x->shape[i] : 1;
    } else {
        return infer_wrong(in, "neither scales nor sizes");
    }
    for (i = 0; i < x->rank; i++) {
        if (shape[i] < 1 || x->shape[i] < 1)
            return infer_wrong(in, "an empty picture");
        stretched += shape[i] != x->shape[i] || node->resize.scales[i] != 1; /* a scale of 1.01 moves places, too */
    }
    if (stretched > 2 && node->resize.mode == GRAPH_RESIZE_LINEAR)
        return infer_unsupported(in, "linear in more than two dimensions");
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, x->rank, shape);
}
