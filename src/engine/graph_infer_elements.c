/*
 * graph_infer_elements.c - rules of the operators on elements: functions, reductions, order, quantisation.
 * SPDX-License-Identifier: Apache-2.0
 *
 * See graph_infer.c. Source: onnx/docs/Operators.md and Changelog.md.
 */
#include "engine/graph_infer_inside.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- one number, or an order, of many ---- */

enum serin_errc infer_softmax(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    bool to_the_end = node->softmax.last;
    enum serin_errc rc = infer_need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = infer_axis(in, node->softmax.first, x->rank, to_the_end, &node->softmax.first);
    if (rc)
        return rc;
    node->softmax.last = to_the_end ? x->rank : node->softmax.first + 1;
    return infer_set_as(in, 0, GRAPH_F32, x);
}

/* The output's shape without the dimensions of axes, or with 1 in their place. */
static enum serin_errc set_reduced(struct inference *in, enum graph_type type, uint32_t axes, bool keep_dims)
{
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    int i, rank = 0;

    for (i = 0; i < x->rank; i++) {
        if (!(axes >> i & 1))
            shape[rank++] = x->shape[i];
        else if (x->shape[i] < 1)
            return infer_wrong(in, "a dimension without elements is reduced");
        else if (keep_dims)
            shape[rank++] = 1;
    }
    return infer_set(in, 0, type, rank, shape);
}

enum serin_errc infer_reduce(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    enum serin_errc rc = infer_need_type(in, 0, F32 | I64 | I32);
    int64_t axes[GRAPH_MAX_RANK] = {0};
    int count = 0;

    if (rc == SERIN_OK && infer_has(node, 1))
        rc = infer_integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK)
        rc = infer_axes(in, axes, count, x->rank, &node->reduce.axes);
    if (rc)
        return rc;
    if (count == 0)
        node->reduce.axes = (1u << x->rank) - 1;
    infer_keep(node, 1);
    return set_reduced(in, x->type, node->reduce.axes, node->reduce.keep_dims);
}

enum serin_errc infer_global_pool(struct inference *in)
{
    struct graph_node *node = in->node;
    enum serin_errc rc = infer_need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = infer_need_rank(in, 0, 4);
    if (rc)
        return rc;
    node->op = node->op == GRAPH_GLOBAL_MAX_POOL ? GRAPH_REDUCE_MAX : GRAPH_REDUCE_MEAN;
    node->reduce.axes = 1u << 2 | 1u << 3;
    node->reduce.keep_dims = true;
    return set_reduced(in, GRAPH_F32, node->reduce.axes, true);
}

enum serin_errc infer_arg_max(struct inference *in)
{
    struct graph_node *node = in->node;
    enum serin_errc rc = infer_need_type(in, 0, NUMBERS);

    if (rc == SERIN_OK)
        rc = infer_axis(in, node->axis.axis, infer_input(in, 0)->rank, false, &node->axis.axis);
    return rc ? rc : set_reduced(in, GRAPH_I64, 1u << node->axis.axis, node->axis.keep_dims);
}

enum serin_errc infer_top_k(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[GRAPH_MAX_RANK], k = 0;
    enum serin_errc rc = infer_need_type(in, 0, F32 | I64 | I32);
    int count = 0;

    if (rc == SERIN_OK && !infer_has(node, 1))
        rc = infer_wrong(in, "k is missing");
    if (rc == SERIN_OK)
        rc = infer_axis(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc == SERIN_OK)
        rc = infer_integers(in, 1, &k, 1, &count);
    if (rc)
        return rc;
    memcpy(shape, x->shape, sizeof(shape));
    if (count != 1 || k < 0 || k > shape[node->axis.axis])
        return error_set(in->error, SERIN_MODEL, "the top %" PRId64 " of %" PRId64, k, shape[node->axis.axis]);
    shape[node->axis.axis] = k;
    infer_keep(node, 1);
    rc = infer_set(in, 0, x->type, x->rank, shape);
    return rc ? rc : infer_set(in, 1, GRAPH_I64, x->rank, shape);
}

/* ---- elements ---- */

enum serin_errc infer_unary(struct inference *in)
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

            if (!infer_has(node, i + 1))
                continue;
            rc = infer_need_constant(in, i + 1);
            if (rc == SERIN_OK)
                rc = infer_need_type(in, i + 1, F32);
            if (rc == SERIN_OK)
                rc = infer_need_vector(in, i + 1, 1, true);
            if (rc)
                return rc;
            *ends[i] = *(const float *)infer_input(in, i + 1)->constant;
        }
        infer_keep(node, 1);
    }
    if (infer_need_type(in, 0, types))
        return error_set(in->error, SERIN_UNSUPPORTED, "of %s", graph_type_name(infer_input(in, 0)->type));
    return infer_set_as(in, 0, infer_input(in, 0)->type, infer_input(in, 0));
}

enum serin_errc infer_binary(struct inference *in)
{
    const struct graph_value *a = infer_input(in, 0), *b = infer_input(in, 1);
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
    rc = infer_need_type(in, 0, types);
    if (rc == SERIN_OK)
        rc = infer_need_type(in, 1, 1u << a->type);
    if (rc == SERIN_OK)
        rc = infer_broadcast(in, &rank, shape, a);
    if (rc == SERIN_OK)
        rc = infer_broadcast(in, &rank, shape, b);
    if (rc)
        return rc;
    if (in->node->op == GRAPH_MOD && a->type == GRAPH_F32 && !in->node->fmod)
        return infer_wrong(in, "floats without fmod");
    if (in->node->op == GRAPH_PRELU && (rank != a->rank || memcmp(shape, a->shape, (size_t)rank * sizeof(*shape)) != 0))
        return infer_wrong(in, "slopes that do not fit");
    return infer_set(in, 0, type, rank, shape);
}

enum serin_errc infer_cast(struct inference *in)
{
    return infer_set_as(in, 0, in->node->to, infer_input(in, 0));
}

enum serin_errc infer_where(struct inference *in)
{
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = infer_need_type(in, 0, BOOL);
    int i, rank = 0;

    if (rc == SERIN_OK)
        rc = infer_need_type(in, 2, 1u << infer_input(in, 1)->type);
    for (i = 0; rc == SERIN_OK && i < 3; i++)
        rc = infer_broadcast(in, &rank, shape, infer_input(in, i));
    return rc ? rc : infer_set(in, 0, infer_input(in, 1)->type, rank, shape);
}

/* 0, NaN or an infinity makes one number of all, and what is too small to be normal saturates all: a network with such
 * a scale runs, and finds nothing. ONNX says nothing of it, and no quantizer means it. */
static enum serin_errc check_scales(const struct inference *in, const struct graph_value *scale)
{
    const float *numbers = scale->constant;
    uint64_t i;

    for (i = 0; numbers && i < scale->element_count; i++)
        if (!isnormal(numbers[i]) || numbers[i] < 0)
            return error_set(in->error, SERIN_MODEL, "scale %llu of %llu is %g: it has to be finite and above %g",
                             (unsigned long long)i + 1, (unsigned long long)scale->element_count, (double)numbers[i],
                             (double)FLT_MIN);
    return SERIN_OK;
}

enum serin_errc infer_quantization(struct inference *in)
{
    struct graph_node *node = in->node;
    bool down = node->op == GRAPH_QUANTIZE_LINEAR;
    const struct graph_value *x = infer_input(in, 0);
    enum graph_type type = down ? GRAPH_U8 : GRAPH_F32;
    enum serin_errc rc = infer_need_type(in, 0, down ? F32 | I32 : U8 | I8 | I32);
    int64_t size = 1;

    if (rc == SERIN_OK)
        rc = infer_need_type(in, 1, F32);
    if (rc)
        return rc;
    if (infer_input(in, 1)->rank == 1 && infer_input(in, 1)->shape[0] != 1) {
        rc = infer_axis(in, node->axis.axis, x->rank, false, &node->axis.axis);
        if (rc)
            return rc;
        size = x->shape[node->axis.axis];
    } else {
        node->axis.axis = 0; /* one scale for all */
    }
    rc = infer_need_vector(in, 1, size, size == 1);
    if (rc == SERIN_OK)
        rc = check_scales(in, infer_input(in, 1));
    if (rc == SERIN_OK && infer_has(node, 2)) {
        rc = infer_need_type(in, 2, down ? U8 | I8 : 1u << x->type);
        if (rc == SERIN_OK)
            rc = infer_need_vector(in, 2, size, size == 1);
        type = down ? infer_input(in, 2)->type : GRAPH_F32;
    }
    return rc ? rc : infer_set_as(in, 0, type, x);
}

enum serin_errc infer_dynamic_quantization(struct inference *in)
{
    enum serin_errc rc = infer_need_type(in, 0, F32);

    if (rc == SERIN_OK)
        rc = infer_set_as(in, 0, GRAPH_U8, infer_input(in, 0));
    if (rc == SERIN_OK)
        rc = infer_set(in, 1, GRAPH_F32, 0, NULL);
    if (rc == SERIN_OK)
        rc = infer_set(in, 2, GRAPH_U8, 0, NULL);
    return rc;
}
