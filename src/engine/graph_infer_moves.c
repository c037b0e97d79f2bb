/*
 * graph_infer_moves.c - rules of the operators that only move elements.
 * SPDX-License-Identifier: Apache-2.0
 *
 * See graph_infer.c. Source: onnx/docs/Operators.md and Changelog.md.
 */
#include "engine/graph_infer_inside.h"

#include <inttypes.h>
#include <string.h>

#define MAX_PARAMETERS GRAPH_MAX_ARITY /* the sizes of a split */

enum serin_errc infer_concat(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *first = infer_input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc = infer_axis(in, node->axis.axis, first->rank, false, &node->axis.axis);
    char text[GRAPH_TEXT_BYTES];
    int i, j;

    if (rc)
        return rc;
    memcpy(shape, first->shape, sizeof(shape));
    for (i = 1; i < node->input_count; i++) {
        const struct graph_value *x;

        if (!infer_has(node, i))
            return infer_wrong(in, "an input is left out");
        x = infer_input(in, i);
        if (x->type != first->type || x->rank != first->rank)
            return error_set(in->error, SERIN_MODEL, "input %d has another type or rank than the first", i);
        for (j = 0; j < first->rank; j++)
            if (j != node->axis.axis && x->shape[j] != first->shape[j])
                return error_set(in->error, SERIN_MODEL, "input %d is %s, which does not fit the others", i,
                                 graph_shape_text(x->rank, x->shape, text));
        shape[node->axis.axis] += x->shape[node->axis.axis]; /* 1024 times 2^32 at most */
    }
    return infer_set(in, 0, first->type, first->rank, shape);
}

enum serin_errc infer_split(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t sizes[MAX_PARAMETERS], shape[GRAPH_MAX_RANK], size, left;
    enum serin_errc rc = infer_axis(in, node->axis.axis, x->rank, false, &node->axis.axis);
    int i, count = 0;

    if (rc)
        return rc;
    size = x->shape[node->axis.axis];
    if (infer_has(node, 1)) {
        rc = infer_integers(in, 1, sizes, MAX_PARAMETERS, &count);
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
        rc = infer_set(in, i, x->type, x->rank, shape);
        if (rc)
            return rc;
    }
    infer_keep(node, 1);
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

enum serin_errc infer_slice(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t numbers[5][GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int counts[5] = {0}, i, axis = 0;
    uint32_t seen = 0;

    if (!infer_has(node, 1) || !infer_has(node, 2))
        return infer_wrong(in, "no starts or no ends");
    for (i = 1; i < 5; i++) {
        if (!infer_has(node, i))
            continue;
        rc = infer_integers(in, i, numbers[i], GRAPH_MAX_RANK, &counts[i]);
        if (rc)
            return rc;
        if (counts[i] != counts[1])
            return infer_wrong(in, "starts, ends, axes and steps are not equally many");
    }
    if (counts[1] > x->rank)
        return infer_wrong(in, "more starts than dimensions");
    memcpy(shape, x->shape, sizeof(shape));
    for (i = 0; i < x->rank; i++) {
        node->slice.begin[i] = 0;
        node->slice.step[i] = 1;
    }
    for (i = 0; i < counts[1]; i++) {
        int64_t step = infer_has(node, 4) ? numbers[4][i] : 1;

        rc = infer_axis(in, infer_has(node, 3) ? numbers[3][i] : i, x->rank, false, &axis);
        if (rc)
            return rc;
        if (seen >> axis & 1)
            return error_set(in->error, SERIN_MODEL, "axis %d comes twice", axis);
        seen |= 1u << axis;
        if (step == 0)
            return infer_wrong(in, "a step of 0");
        if (step > INT32_MAX || step < -(int64_t)INT32_MAX) /* beyond every size: one element either way */
            step = step > 0 ? INT32_MAX : -(int64_t)INT32_MAX;
        if (x->shape[axis] > INT32_MAX)
            return infer_unsupported(in, "a dimension of more than 2147483647");
        slice_one(x->shape[axis], numbers[1][i], numbers[2][i], step, &node->slice.begin[axis], &shape[axis]);
        node->slice.step[axis] = step;
    }
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, x->rank, shape);
}

enum serin_errc infer_pad(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t pads[2 * GRAPH_MAX_RANK], axes[GRAPH_MAX_RANK] = {0}, shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    uint32_t seen = 0;
    int i, count = 0, axis_count = x->rank, axis = 0;

    if (!infer_has(node, 1))
        return infer_wrong(in, "no pads");
    rc = infer_integers(in, 1, pads, 2 * GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK && infer_has(node, 3))
        rc = infer_integers(in, 3, axes, GRAPH_MAX_RANK, &axis_count);
    if (rc == SERIN_OK && infer_has(node, 3))
        rc = infer_axes(in, axes, axis_count, x->rank, &seen);
    if (rc)
        return rc;
    if (count != 2 * axis_count)
        return infer_wrong(in, "not two pads for each dimension");
    node->pad.value = 0;
    if (infer_has(node, 2) && infer_input(in, 2)->element_count) {
        const struct graph_value *value = infer_input(in, 2);

        rc = infer_need_constant(in, 2);
        if (rc == SERIN_OK)
            rc = infer_need_type(in, 2, (F32 | I64) & 1u << x->type);
        if (rc == SERIN_OK)
            rc = infer_need_vector(in, 2, 1, true);
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

        rc = infer_axis(in, infer_has(node, 3) ? axes[i] : i, x->rank, false, &axis);
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
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, x->rank, shape);
}

enum serin_errc infer_reshape(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[GRAPH_MAX_RANK];
    uint64_t known = 1;
    enum serin_errc rc;
    char text[GRAPH_TEXT_BYTES], text2[GRAPH_TEXT_BYTES];
    int i, rank = 0, open = -1;

    rc = infer_integers(in, 1, shape, GRAPH_MAX_RANK, &rank);
    if (rc)
        return rc;
    for (i = 0; i < rank; i++) {
        if (shape[i] == 0 && !node->allow_zero) {
            if (i >= x->rank)
                return infer_wrong(in, "a 0 in the new shape where the old one has no dimension");
            shape[i] = x->shape[i];
        }
        if (shape[i] == -1) {
            if (open >= 0)
                return infer_wrong(in, "two sizes of the new shape are to be found out");
            open = i;
        } else if (shape[i] < 0 || __builtin_mul_overflow(known, (uint64_t)shape[i], &known)) {
            return infer_wrong(in, "a size below -1, or beyond all limits");
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
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, rank, shape);
}

enum serin_errc infer_flatten(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t shape[2] = {1, 1};
    enum serin_errc rc;
    int i, axis = 0;

    rc = infer_axis(in, node->axis.axis, x->rank, true, &axis);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++)
        shape[i >= axis] *= x->shape[i];
    node->op = GRAPH_RESHAPE;
    return infer_set(in, 0, x->type, 2, shape);
}

enum serin_errc infer_squeeze(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t axes[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc = SERIN_OK;
    uint32_t bits = 0;
    int i, count = 0, rank = 0;

    if (infer_has(node, 1))
        rc = infer_integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc == SERIN_OK)
        rc = infer_axes(in, axes, count, x->rank, &bits);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++) {
        bool out = infer_has(node, 1) ? bits >> i & 1 : x->shape[i] == 1;

        if (out && x->shape[i] != 1)
            return error_set(in->error, SERIN_MODEL, "axis %d is %" PRId64 ", not 1", i, x->shape[i]);
        if (!out)
            shape[rank++] = x->shape[i];
    }
    node->op = GRAPH_RESHAPE;
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, rank, shape);
}

enum serin_errc infer_unsqueeze(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
    int64_t axes[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    uint32_t bits = 0;
    int i, count = 0, from = 0;

    if (!infer_has(node, 1))
        return infer_wrong(in, "no axes");
    rc = infer_integers(in, 1, axes, GRAPH_MAX_RANK, &count);
    if (rc)
        return rc;
    if (x->rank + count > GRAPH_MAX_RANK)
        return error_set(in->error, SERIN_LIMIT, "%d dimensions, the limit is %d", x->rank + count, GRAPH_MAX_RANK);
    rc = infer_axes(in, axes, count, x->rank + count, &bits);
    if (rc)
        return rc;
    for (i = 0; i < x->rank + count; i++)
        shape[i] = bits >> i & 1 ? 1 : x->shape[from++];
    node->op = GRAPH_RESHAPE;
    infer_keep(node, 1);
    return infer_set(in, 0, x->type, x->rank + count, shape);
}

enum serin_errc infer_transpose(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0);
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
    return infer_set(in, 0, x->type, x->rank, shape);
}

enum serin_errc infer_expand(struct inference *in)
{
    const struct graph_value *x = infer_input(in, 0);
    struct graph_value wanted = {.rank = 0};
    int64_t shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int rank = 0;

    rc = infer_integers(in, 1, wanted.shape, GRAPH_MAX_RANK, &wanted.rank);
    if (rc == SERIN_OK)
        rc = infer_broadcast(in, &rank, shape, x);
    if (rc == SERIN_OK)
        rc = infer_broadcast(in, &rank, shape, &wanted);
    if (rc)
        return rc;
    infer_keep(in->node, 1);
    return infer_set(in, 0, x->type, rank, shape);
}

enum serin_errc infer_tile(struct inference *in)
{
    const struct graph_value *x = infer_input(in, 0);
    int64_t repeats[GRAPH_MAX_RANK], shape[GRAPH_MAX_RANK];
    enum serin_errc rc;
    int i, count = 0;

    rc = infer_integers(in, 1, repeats, GRAPH_MAX_RANK, &count);
    if (rc)
        return rc;
    if (count != x->rank)
        return infer_wrong(in, "not one number for each dimension");
    for (i = 0; i < count; i++)
        if (repeats[i] < 0 || __builtin_mul_overflow(x->shape[i], repeats[i], &shape[i]))
            return infer_wrong(in, "a number below 0, or beyond all limits");
    infer_keep(in->node, 1);
    return infer_set(in, 0, x->type, x->rank, shape);
}

enum serin_errc infer_gather(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0), *indices = infer_input(in, 1);
    int64_t shape[2 * GRAPH_MAX_RANK];
    enum serin_errc rc = infer_need_type(in, 1, I64 | I32);
    int i, rank = 0;

    if (rc == SERIN_OK)
        rc = infer_axis(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc)
        return rc;
    for (i = 0; i < node->axis.axis; i++)
        shape[rank++] = x->shape[i];
    for (i = 0; i < indices->rank; i++)
        shape[rank++] = indices->shape[i];
    for (i = node->axis.axis + 1; i < x->rank; i++)
        shape[rank++] = x->shape[i];
    return infer_set(in, 0, x->type, rank, shape);
}

enum serin_errc infer_gather_elements(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0), *indices = infer_input(in, 1);
    enum serin_errc rc = infer_need_type(in, 1, I64 | I32);
    int i;

    if (rc == SERIN_OK)
        rc = infer_axis(in, node->axis.axis, x->rank, false, &node->axis.axis);
    if (rc)
        return rc;
    for (i = 0; i < x->rank; i++)
        if (indices->rank != x->rank || (i != node->axis.axis && indices->shape[i] > x->shape[i]))
            return infer_wrong(in, "the indices do not fit the data");
    return infer_set_as(in, 0, x->type, indices);
}

enum serin_errc infer_gather_nd(struct inference *in)
{
    struct graph_node *node = in->node;
    const struct graph_value *x = infer_input(in, 0), *indices = infer_input(in, 1);
    int64_t shape[2 * GRAPH_MAX_RANK], depth;
    enum serin_errc rc = infer_need_type(in, 1, I64);
    int i, rank = 0, batch = node->batch_dims;

    if (rc)
        return rc;
    if (indices->rank < 1 || batch < 0 || batch >= indices->rank || batch >= x->rank)
        return infer_wrong(in, "batch_dims does not fit");
    depth = indices->shape[indices->rank - 1];
    if (depth < 1 || depth > x->rank - batch)
        return infer_wrong(in, "the indices have more parts than the data has dimensions, or none");
    for (i = 0; i < batch; i++)
        if (x->shape[i] != indices->shape[i])
            return infer_wrong(in, "the batches of data and indices differ");
    for (i = 0; i < indices->rank - 1; i++)
        shape[rank++] = indices->shape[i];
    for (i = batch + (int)depth; i < x->rank; i++)
        shape[rank++] = x->shape[i];
    return infer_set(in, 0, x->type, rank, shape);
}
