/*
 * plan_plain.c - the steps of nodes that work on plain values: what has a kernel here takes it, all else is
 * graph_plain_node. SPDX-License-Identifier: Apache-2.0
 */
#include "engine/plan_inside.h"

#include "engine/plan_kernels.h"

#include <stdlib.h>
#include <string.h>

/* Everything that reads all its inputs and writes all its outputs whole. */
static enum serin_errc build_plain(struct plan_builder *builder, int at, enum plan_step_kind kind,
                                   struct plan_step **ret)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place *places = calloc((size_t)node->input_count + (size_t)node->output_count, sizeof(*places));
    struct plan_step *step = NULL;
    enum serin_errc rc = SERIN_OK;
    int i;

    if (!places)
        return no_memory(builder);
    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        places[i] = (struct plan_place){.buffer = GRAPH_NONE};
        if (node->inputs[i] != GRAPH_NONE)
            rc = plan_plain_to_read(builder, node->inputs[i], &places[i]);
    }
    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        places[node->input_count + i] = (struct plan_place){.buffer = GRAPH_NONE};
        if (node->outputs[i] != GRAPH_NONE)
            rc = plan_plain_to_write(builder, node->outputs[i], &places[node->input_count + i]);
    }
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, kind, at, node->input_count, node->output_count, &step);
    if (rc == SERIN_OK) {
        BUG_ON(!step);
        memcpy(step->inputs, places, (size_t)node->input_count * sizeof(*places));
        memcpy(step->outputs, places + node->input_count, (size_t)node->output_count * sizeof(*places));
        step->count = (int64_t)value_of(builder, node->outputs[0])->element_count;
        *ret = step;
    }
    free(places);
    return rc;
}

/* Runs of memory from one place to another: outer of them. */
static enum serin_errc add_chunks(struct plan_builder *builder, int at, struct plan_place from, struct plan_place to,
                                  int64_t outer, size_t run_bytes, size_t from_stride, size_t to_stride)
{
    struct plan_step *step = NULL;
    enum serin_errc rc = plan_step_begin(builder, STEP_CHUNKS, at, 1, 1, &step);

    if (rc != SERIN_OK)
        return rc;
    step->inputs[0] = from, step->outputs[0] = to;
    step->outer = outer;
    step->run_bytes = run_bytes, step->from_stride = from_stride, step->to_stride = to_stride;
    plan_step_end(builder);
    return SERIN_OK;
}

/* What is not there to begin with is put there: pictures row by row, what is plain in runs of memory. */
static enum serin_errc build_plain_concat(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *y = value_of(builder, node->outputs[0]);
    const int axis = node->axis.axis;
    const int64_t outer = product_of_sizes(y->shape, 0, axis);
    const size_t element = graph_type_bytes(y->type),
                 stride = (size_t)product_of_sizes(y->shape, axis, y->rank) * element;
    struct plan_place from, to;
    enum serin_errc rc = plan_plain_to_write(builder, node->outputs[0], &to);
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        const struct graph_value *x = value_of(builder, node->inputs[i]);
        const size_t run = (size_t)product_of_sizes(x->shape, axis, x->rank) * element;
        const int picture = plan_picture_in_rows(builder, node->inputs[i], axis);

        if (picture != GRAPH_NONE) {
            rc = plan_add_rows(
                builder, picture, to,
                (size_t)(axis == 1 ? product_of_sizes(x->shape, 2, x->rank) : product_of_sizes(y->shape, 2, y->rank)) *
                    element);
        } else if (run) {
            rc = plan_plain_to_read(builder, node->inputs[i], &from);
            if (rc == SERIN_OK && (from.buffer != to.buffer || from.offset != to.offset))
                rc = add_chunks(builder, at, from, to, outer, run, run, stride);
        }
        to.offset += run;
    }
    return rc;
}

/* A run of indices of one dimension, whole in the others; begins at begin. */
static enum serin_errc build_plain_part(struct plan_builder *builder, int at, int input, int output, int axis,
                                        int64_t begin)
{
    const struct graph_value *x = value_of(builder, input), *y = value_of(builder, output);
    const int64_t outer = product_of_sizes(x->shape, 0, axis), inner = product_of_sizes(x->shape, axis + 1, x->rank);
    const size_t element = graph_type_bytes(x->type);
    struct plan_place from, to;
    enum serin_errc rc = plan_plain_to_read(builder, input, &from);

    if (rc != SERIN_OK)
        return rc;
    if (from.buffer == GRAPH_NONE)
        from.constant = (const char *)from.constant + (size_t)(begin * inner) * element;
    else
        from.offset += (size_t)(begin * inner) * element;
    if (outer == 1) { /* it is there already */
        plan_lies_at(builder, output, from);
        return SERIN_OK;
    }
    rc = plan_plain_to_write(builder, output, &to);
    if (rc == SERIN_OK)
        rc = add_chunks(builder, at, from, to, outer, (size_t)(y->shape[axis] * inner) * element,
                        (size_t)(x->shape[axis] * inner) * element, (size_t)(y->shape[axis] * inner) * element);
    return rc;
}

static enum serin_errc build_plain_split(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    enum serin_errc rc = SERIN_OK;
    int64_t begin = 0;
    int i;

    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        if (node->outputs[i] == GRAPH_NONE)
            return error_set(builder->error, SERIN_UNSUPPORTED, "%s '%s' leaves an output out", graph_op_name(node->op),
                             node->name);
        rc = build_plain_part(builder, at, node->inputs[0], node->outputs[i], node->axis.axis, begin);
        begin += value_of(builder, node->outputs[i])->shape[node->axis.axis];
    }
    return rc;
}

/* The only dimension that a slice with step 1 cuts, or -1. */
static int sliced_axis(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    int d, axis = -1;

    for (d = 0; d < x->rank; d++) {
        if (x->shape[d] == y->shape[d] && node->slice.step[d] == 1)
            continue;
        if (axis >= 0 || node->slice.step[d] != 1)
            return -1;
        axis = d;
    }
    return axis;
}

/* The batch of one factor: *ret_repeats where it has one matrix for all. False where it stretches otherwise. */
static bool matmul_batch(const struct graph_value *factor, const struct graph_value *product_of, bool *ret_repeats)
{
    const int64_t own = product_of_sizes(factor->shape, 0, factor->rank - 2);
    const int64_t all = product_of_sizes(product_of->shape, 0, product_of->rank - 2);

    *ret_repeats = own == 1 && all != 1;
    return own == 1 || own == all;
}

/* NULL where it is none that oneDNN takes. */
static enum serin_errc make_product(const struct plan_builder *builder, const struct graph_node *node,
                                    struct onednn_primitive **ret)
{
    const struct graph_value *a = value_of(builder, node->inputs[0]), *b = value_of(builder, node->inputs[1]),
                             *c = value_of(builder, node->outputs[0]);
    struct onednn_matmul matmul = {0};
    enum serin_errc rc;

    *ret = NULL;
    if (a->type != GRAPH_F32 || b->type != GRAPH_F32 || a->rank < 2 || b->rank < 2 || c->element_count == 0 ||
        a->element_count == 0 || !matmul_batch(a, c, &matmul.repeat_a) || !matmul_batch(b, c, &matmul.repeat_b))
        return SERIN_OK;
    matmul.batch = product_of_sizes(c->shape, 0, c->rank - 2);
    matmul.m = c->shape[c->rank - 2];
    matmul.n = c->shape[c->rank - 1];
    matmul.k = a->shape[a->rank - 1];
    rc = onednn_matmul_new(&matmul, ret, builder->error);
    return rc == SERIN_UNSUPPORTED ? SERIN_OK : rc;
}

static bool all_fp32(const struct plan_builder *builder, const struct graph_node *node)
{
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] == GRAPH_NONE || value_of(builder, node->inputs[i])->type != GRAPH_F32)
            return false;
    return value_of(builder, node->outputs[0])->type == GRAPH_F32;
}

static enum serin_errc build_product(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct onednn_primitive *primitive;
    struct plan_step *step = NULL;
    enum serin_errc rc = make_product(builder, node, &primitive);

    if (rc == SERIN_OK)
        rc = build_plain(builder, at, primitive ? STEP_PRODUCT : STEP_PLAIN, &step);
    if (rc != SERIN_OK) {
        onednn_primitive_free(primitive);
        return rc;
    }
    BUG_ON(!step);
    step->primitive = primitive;
    if (primitive)
        rc = plan_add_scratch(builder, step);
    plan_step_end(builder);
    return rc;
}

static enum serin_errc build_softmax(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct plan_step *step = NULL;
    enum serin_errc rc = build_plain(builder, at, STEP_SOFTMAX, &step);

    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->outer = product_of_sizes(x->shape, 0, node->softmax.first);
    step->rows = product_of_sizes(x->shape, node->softmax.first, node->softmax.last);
    step->inner = product_of_sizes(x->shape, node->softmax.last, x->rank);
    plan_step_end(builder);
    return SERIN_OK;
}

static enum serin_errc build_mix(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct plan_step *step = NULL;
    enum serin_errc rc = build_plain(builder, at, STEP_MIX, &step);

    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->outer = x->shape[0];
    step->rows = x->shape[1];
    step->inner = x->shape[2] * x->shape[3];
    step->weights = value_of(builder, node->inputs[1])->constant;
    step->bias = has_input(node, 2) ? value_of(builder, node->inputs[2])->constant : NULL;
    plan_step_end(builder);
    return SERIN_OK;
}

/* Of a picture, or of rows that are plain already. */
static enum serin_errc build_expectation(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct onednn_image layout = {ONEDNN_F32, x->shape[1], 1, product_of_sizes(x->shape, 2, x->rank), 1};
    struct plan_place from, to;
    struct plan_step *step = NULL;
    enum serin_errc rc;

    if (builder->values[node->inputs[0]].makes_picture) {
        layout = builder->values[node->inputs[0]].layout;
        rc = plan_picture_to_read(builder, node->inputs[0], &from);
    } else {
        rc = plan_plain_to_read(builder, node->inputs[0], &from);
    }
    if (rc == SERIN_OK)
        rc = plan_plain_to_write(builder, node->outputs[0], &to);
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, STEP_EXPECTATION, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = from, step->outputs[0] = to;
    step->pictures = x->shape[0];
    step->src = layout;
    step->rows = (int64_t)value_of(builder, node->inputs[1])->element_count;
    step->weights = value_of(builder, node->inputs[1])->constant;
    plan_step_end(builder);
    return SERIN_OK;
}

/* x times the weights transposed, as exporters write a classifier's last layer: its bias is a row. */
static bool is_dense(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *y = value_of(builder, node->outputs[0]);
    const struct graph_value *bias = has_input(node, 2) ? value_of(builder, node->inputs[2]) : NULL;

    return node->gemm.alpha == 1.0f && node->gemm.beta == 1.0f && !node->gemm.transpose_a && node->gemm.transpose_b &&
           value_of(builder, node->inputs[0])->type == GRAPH_F32 && y->type == GRAPH_F32 && has_input(node, 1) &&
           is_constant_or_missing(builder, node, 1) && is_constant_or_missing(builder, node, 2) &&
           (!bias || (bias->element_count == (uint64_t)y->shape[1] && bias->rank > 0 &&
                      bias->shape[bias->rank - 1] == y->shape[1]));
}

static enum serin_errc build_dense(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    struct plan_step *step = NULL;
    enum serin_errc rc = build_plain(builder, at, STEP_DENSE, &step);

    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->outer = x->shape[0];
    step->rows = x->shape[1];
    step->inner = y->shape[1];
    step->weights = value_of(builder, node->inputs[1])->constant;
    step->bias = has_input(node, 2) ? value_of(builder, node->inputs[2])->constant : NULL;
    plan_step_end(builder);
    return SERIN_OK;
}

static enum plan_step_kind plain_kind(const struct plan_builder *builder, const struct graph_node *node)
{
    const size_t element = graph_type_bytes(value_of(builder, node->outputs[0])->type);

    if (node->op == GRAPH_TRANSPOSE && (element == 4 || element == 8) &&
        value_of(builder, node->outputs[0])->element_count > 0)
        return STEP_TRANSPOSE;
    if (all_fp32(builder, node) && value_of(builder, node->outputs[0])->element_count > 0) {
        if (kernel_knows_unary(node->op))
            return STEP_UNARY;
        if (kernel_knows_binary(node->op))
            return STEP_BINARY;
    }
    return STEP_PLAIN;
}

/* Of a picture to rows, which whoever reads them may want elsewhere than in memory of their own. */
static bool is_flattening(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);

    return builder->values[node->inputs[0]].makes_picture && x->type == GRAPH_F32 && y->rank == 3 &&
           x->shape[0] == y->shape[0] && x->shape[1] == y->shape[1];
}

enum serin_errc plan_build_plain_node(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place place;
    struct plan_step *step = NULL;
    enum serin_errc rc;
    int axis;

    switch ((int)node->op) {
    case GRAPH_RESHAPE:
        if (is_flattening(builder, node)) {
            builder->values[node->outputs[0]].flat = node->inputs[0];
            return SERIN_OK;
        }
        rc = plan_plain_to_read(builder, node->inputs[0], &place);
        if (rc == SERIN_OK)
            plan_lies_at(builder, node->outputs[0], place);
        return rc;
    case GRAPH_CONCAT:
        return build_plain_concat(builder, at);
    case GRAPH_SPLIT:
        return build_plain_split(builder, at);
    case GRAPH_SLICE:
        axis = sliced_axis(builder, node);
        if (axis >= 0)
            return build_plain_part(builder, at, node->inputs[0], node->outputs[0], axis, node->slice.begin[axis]);
        break;
    case GRAPH_MATMUL:
        return build_product(builder, at);
    case GRAPH_GEMM:
        if (is_dense(builder, node))
            return build_dense(builder, at);
        break;
    case GRAPH_SOFTMAX:
        if (all_fp32(builder, node) && value_of(builder, node->outputs[0])->element_count > 0)
            return build_softmax(builder, at);
        break;
    case GRAPH_CONV:
        if (plan_is_mix(builder, node))
            return build_mix(builder, at);
        break;
    case GRAPH_EXPECTATION:
        if (value_of(builder, node->outputs[0])->element_count > 0)
            return build_expectation(builder, at);
        break;
    default:
        break;
    }
    rc = build_plain(builder, at, plain_kind(builder, node), &step);
    if (rc == SERIN_OK)
        plan_step_end(builder);
    return rc;
}
