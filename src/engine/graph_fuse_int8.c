/*
 * graph_fuse_int8.c - rewriting of quantized networks, so that integers stay integers between convolutions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first pass writes the list of nodes anew, in order, and knows of each value of floats whether it is a DQ of
 * integers. A pool, a concatenation or a split of such values is made of the integers, with a DQ of its own behind it,
 * which the next one passes in turn; those that nobody needs then are taken out in the end.
 */
#include "engine/graph_fuse.h"
#include "engine/graph_fuse_inside.h"
#include "engine/graph_plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct passing {
    struct graph *graph;
    struct graph_node *nodes; /* as they were */
    int *stands_for;          /* by value: the one to be used in its place */
    int *dq;                  /* by value: the DQ that makes it, in the new list; GRAPH_NONE */
    int value_count;          /* when the pass began: the arrays' size */
    struct serin_error *error;
};

static enum serin_errc no_memory(struct serin_error *error)
{
    return error_set(error, SERIN_NOMEM, "no memory for a graph");
}

static bool has_input(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

/* ---- scales ---- */

static bool is_eight_bits(enum graph_type type)
{
    return type == GRAPH_U8 || type == GRAPH_I8;
}

bool graph_scale_of(const struct graph *graph, const struct graph_node *node, struct graph_scale *ret)
{
    const struct graph_value *scale = &graph->values[node->inputs[1]], *zero = NULL;
    const enum graph_type type =
        graph->values[node->op == GRAPH_QUANTIZE_LINEAR ? node->outputs[0] : node->inputs[0]].type;

    if (has_input(node, 2))
        zero = &graph->values[node->inputs[2]];
    if (!scale->constant || scale->element_count != 1 || (zero && (!zero->constant || zero->element_count != 1)))
        return false;
    ret->scale = *(const float *)scale->constant;
    ret->zero = 0;
    if (zero)
        ret->zero = zero->type == GRAPH_U8 ? *(const uint8_t *)zero->constant : *(const int8_t *)zero->constant;
    return is_eight_bits(type);
}

static bool same_scale(const struct graph_scale *one, const struct graph_scale *other)
{
    return one->scale == other->scale && one->zero == other->zero;
}

bool graph_dequantized(const struct graph *graph, int value, int *ret_integers, struct graph_scale *ret)
{
    const int producer = value == GRAPH_NONE ? GRAPH_NONE : graph->values[value].producer;
    const struct graph_node *node = producer == GRAPH_NONE ? NULL : &graph->nodes[producer];

    if (!node || node->op != GRAPH_DEQUANTIZE_LINEAR || !graph_scale_of(graph, node, ret))
        return false;
    *ret_integers = node->inputs[0];
    return true;
}

/* ---- the pass along the list ---- */

static const struct graph_node *dq_of(const struct passing *passing, int value)
{
    return value == GRAPH_NONE || value >= passing->value_count || passing->dq[value] == GRAPH_NONE
               ? NULL
               : &passing->graph->nodes[passing->dq[value]];
}

bool graph_only_moves(const struct graph *graph, const struct graph_node *node)
{
    switch ((int)node->op) {
    case GRAPH_RESIZE:
        return node->resize.mode == GRAPH_RESIZE_NEAREST;
    case GRAPH_MAX_POOL:
    case GRAPH_CONCAT:
    case GRAPH_SPLIT:
    case GRAPH_SLICE:
        return graph->values[node->outputs[0]].rank == 4;
    default:
        return false;
    }
}

/* Whether all inputs of node are DQs of one scale. */
static bool all_of_one_scale(const struct passing *passing, const struct graph_node *node)
{
    const struct graph *graph = passing->graph;
    struct graph_scale first, other;
    int i;

    for (i = 0; i < node->input_count; i++) {
        const struct graph_node *dq = dq_of(passing, node->inputs[i]);

        if (!dq || !graph_scale_of(graph, dq, i ? &other : &first) || (i && !same_scale(&first, &other)) ||
            graph->values[dq->inputs[0]].type != graph->values[dq_of(passing, node->inputs[0])->inputs[0]].type)
            return false;
    }
    return node->input_count > 0;
}

/* node, of the integers; and a DQ of each of its results. */
static enum serin_errc pass_move(struct passing *passing, struct graph_node *node)
{
    struct graph *graph = passing->graph;
    struct graph_node dq = *dq_of(passing, node->inputs[0]);
    const enum graph_type type = graph->values[dq.inputs[0]].type;
    const int moved = graph->node_count;
    int dq_inputs[3], i;
    enum serin_errc rc = graph_add_node(graph, node, passing->error);

    if (rc != SERIN_OK)
        return rc;
    memcpy(dq_inputs, dq.inputs, (size_t)dq.input_count * sizeof(dq_inputs[0]));
    dq.inputs = dq_inputs;
    for (i = 0; i < node->input_count; i++)
        graph->nodes[moved].inputs[i] = dq_of(passing, node->inputs[i])->inputs[0];
    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        const struct graph_value *of = &graph->values[node->outputs[i]];
        int output = node->outputs[i];
        int64_t shape[GRAPH_MAX_RANK];

        memcpy(shape, of->shape, sizeof(shape));
        dq_inputs[0] = graph_add_value(graph, type, of->rank, shape);
        if (dq_inputs[0] == GRAPH_NONE)
            return no_memory(passing->error);
        graph->nodes[moved].outputs[i] = dq_inputs[0];
        dq.outputs = &output;
        dq.output_count = 1;
        passing->dq[output] = graph->node_count;
        rc = graph_add_node(graph, &dq, passing->error);
    }
    return rc;
}

/* The int8 weights that value is a DQ of: one scale for all or one for each output channel, symmetric. */
static const struct graph_node *weights_of(const struct passing *passing, int value)
{
    const struct graph_node *dq = dq_of(passing, value);
    const struct graph_value *weights, *scale, *zero;
    uint64_t i;

    if (!dq)
        return NULL;
    weights = &passing->graph->values[dq->inputs[0]];
    scale = &passing->graph->values[dq->inputs[1]];
    if (!weights->constant || weights->type != GRAPH_I8 || weights->rank != 4 || !scale->constant ||
        (scale->element_count != 1 && (dq->axis.axis != 0 || scale->element_count != (uint64_t)weights->shape[0])))
        return NULL;
    if (has_input(dq, 2)) {
        zero = &passing->graph->values[dq->inputs[2]];
        for (i = 0; i < zero->element_count; i++)
            if (!zero->constant || ((const int8_t *)zero->constant)[i] != 0)
                return NULL;
    }
    return dq;
}

/* A bias of floats for out channels; *ret_value is GRAPH_NONE where node has none. False where it is no constant. */
static bool bias_of(const struct passing *passing, const struct graph_node *node, int64_t out, int *ret_value)
{
    const struct graph_value *bias;

    *ret_value = has_input(node, 2) ? node->inputs[2] : GRAPH_NONE;
    if (*ret_value == GRAPH_NONE)
        return true;
    bias = &passing->graph->values[*ret_value];
    return bias->constant && bias->type == GRAPH_F32 && bias->element_count == (uint64_t)out;
}

/* Whether the sums of a convolution over these weights stay within 32 bits, whatever x is. */
static bool sums_fit(const struct graph_value *weights)
{
    return weights->element_count / (uint64_t)(weights->shape[0] ? weights->shape[0] : 1) <= INT32_MAX / (255 * 128);
}

static enum serin_errc pass_convolution(struct passing *passing, struct graph_node *node)
{
    struct graph *graph = passing->graph;
    const struct graph_node *x = dq_of(passing, node->inputs[0]), *weights = weights_of(passing, node->inputs[1]);
    const int64_t out = graph->values[node->outputs[0]].rank == 4 ? graph->values[node->outputs[0]].shape[1] : 0;
    struct graph_quantized *quantized;
    struct graph_scale scale;
    const float *scales;
    float *each;
    int inputs[3];
    int64_t i;

    if (!x || !graph_scale_of(graph, x, &scale) || !weights || !sums_fit(&graph->values[weights->inputs[0]]) ||
        graph->values[x->inputs[0]].constant || !bias_of(passing, node, out, &inputs[2]))
        return graph_add_node(graph, node, passing->error);
    quantized = arena_new(&graph->arena, struct graph_quantized, 1);
    each = arena_new(&graph->arena, float, (size_t)out);
    if (!quantized || !each)
        return no_memory(passing->error);
    scales = graph->values[weights->inputs[1]].constant;
    for (i = 0; i < out; i++)
        each[i] = scales[graph->values[weights->inputs[1]].element_count == 1 ? 0 : i];
    *quantized = (struct graph_quantized){.x = scale, .weights = each};
    inputs[0] = x->inputs[0], inputs[1] = weights->inputs[0];
    node->conv.quantized = quantized;
    node->inputs = inputs;
    node->input_count = inputs[2] == GRAPH_NONE ? 2 : 3;
    return graph_add_node(graph, node, passing->error);
}

/* Makes the result of a DQ of constants a constant itself. */
static enum serin_errc fold(struct graph *graph, const struct graph_node *dq, struct serin_error *error)
{
    const void *inputs[3] = {0};
    const struct graph_value *y = &graph->values[dq->outputs[0]];
    int64_t shape[GRAPH_MAX_RANK];
    void *bytes;
    enum serin_errc rc;
    int i;

    for (i = 0; i < dq->input_count; i++)
        inputs[i] = dq->inputs[i] == GRAPH_NONE ? NULL : graph->values[dq->inputs[i]].constant;
    memcpy(shape, y->shape, sizeof(shape));
    if (graph_add_constant(graph, GRAPH_F32, y->rank, shape, &bytes) == GRAPH_NONE)
        return no_memory(error);
    rc = graph_plain_node(graph, dq, inputs, &bytes, error);
    graph->values[dq->outputs[0]].constant = bytes;
    return rc;
}

static bool is_dq_of_constants(const struct graph *graph, const struct graph_node *node)
{
    int i;

    if (node->op != GRAPH_DEQUANTIZE_LINEAR)
        return false;
    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GRAPH_NONE && !graph->values[node->inputs[i]].constant)
            return false;
    return true;
}

static enum serin_errc pass(struct passing *passing, struct graph_node *node)
{
    struct graph *graph = passing->graph;
    const struct graph_node *dq;
    struct graph_scale own, before;
    int i;

    for (i = 0; i < node->input_count; i++)
        if (has_input(node, i) && node->inputs[i] < passing->value_count)
            node->inputs[i] = passing->stands_for[node->inputs[i]];
    if (node->op == GRAPH_CONV)
        return pass_convolution(passing, node);
    if (node->op == GRAPH_DEQUANTIZE_LINEAR) {
        if (is_dq_of_constants(graph, node) && graph->values[node->inputs[0]].type == GRAPH_I32) /* a bias */
            return fold(graph, node, passing->error);
        passing->dq[node->outputs[0]] = graph->node_count;
        return graph_add_node(graph, node, passing->error);
    }
    dq = has_input(node, 0) ? dq_of(passing, node->inputs[0]) : NULL;
    if (node->op == GRAPH_QUANTIZE_LINEAR && dq && !graph->values[node->outputs[0]].is_output &&
        graph_scale_of(graph, node, &own) && graph_scale_of(graph, dq, &before) && same_scale(&own, &before) &&
        graph->values[dq->inputs[0]].type == graph->values[node->outputs[0]].type) {
        passing->stands_for[node->outputs[0]] = dq->inputs[0];
        return SERIN_OK;
    }
    if (graph_only_moves(graph, node) && all_of_one_scale(passing, node))
        return pass_move(passing, node);
    return graph_add_node(graph, node, passing->error);
}

static enum serin_errc pass_all(struct passing *passing, int node_count)
{
    enum serin_errc rc = SERIN_OK;
    int i;

    if (!passing->stands_for || !passing->dq)
        return no_memory(passing->error);
    for (i = 0; i < passing->value_count; i++)
        passing->stands_for[i] = i, passing->dq[i] = GRAPH_NONE;
    for (i = 0; i < node_count && rc == SERIN_OK; i++)
        rc = pass(passing, &passing->nodes[i]);
    return rc;
}

static bool is_quantized(const struct graph *graph)
{
    int i;

    for (i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == GRAPH_DEQUANTIZE_LINEAR)
            return true;
    return false;
}

enum serin_errc graph_fuse_begin_int8(struct graph *graph, struct serin_error *error)
{
    const int node_count = graph->node_count;
    struct passing passing = {.graph = graph, .nodes = graph->nodes, .value_count = graph->value_count, .error = error};
    enum serin_errc rc;
    int i;

    if (!is_quantized(graph))
        return SERIN_OK;
    passing.stands_for = calloc((size_t)graph->value_count + 1, sizeof(*passing.stands_for));
    passing.dq = calloc((size_t)graph->value_count + 1, sizeof(*passing.dq));
    graph->nodes = NULL;
    graph->node_count = graph->node_capacity = 0;
    rc = pass_all(&passing, node_count);
    free(passing.nodes);
    free(passing.stands_for);
    free(passing.dq);
    if (rc == SERIN_OK)
        rc = graph_index(graph, error);
    for (i = 0; i < graph->node_count && rc == SERIN_OK; i++)
        if (is_dq_of_constants(graph, &graph->nodes[i])) {
            rc = fold(graph, &graph->nodes[i], error);
            graph->nodes[i].op = GRAPH_REMOVED;
        }
    return rc == SERIN_OK ? graph_index(graph, error) : rc;
}

/* ---- behind the fusion of floats ---- */

static struct graph_node *only_for_one(const struct graph *graph, int value)
{
    const struct graph_value *of = &graph->values[value];

    return of->producer == GRAPH_NONE || of->user_count != 1 || of->is_output ? NULL : &graph->nodes[of->producer];
}

/* The numbers of a convolution are the graph's, and made for it alone. */
static struct graph_quantized *quantized_of(const struct graph_node *conv)
{
    return (struct graph_quantized *)conv->conv.quantized;
}

static void take_residual(struct graph *graph, struct graph_node *conv)
{
    struct graph_scale scale;
    int integers;

    if (conv->op != GRAPH_CONV || !conv->conv.quantized || !has_input(conv, 3) ||
        !graph_dequantized(graph, conv->inputs[3], &integers, &scale))
        return;
    quantized_of(conv)->residual = scale;
    conv->inputs[3] = integers;
}

/* The convolution goes on to be where it was: everything that its result needs is there. */
static void take_quantization(struct graph *graph, struct graph_node *q)
{
    struct graph_node *conv = q->op == GRAPH_QUANTIZE_LINEAR ? only_for_one(graph, q->inputs[0]) : NULL;
    struct graph_scale scale;

    if (!conv || conv->op != GRAPH_CONV || !conv->conv.quantized || !graph_scale_of(graph, q, &scale) ||
        (has_input(conv, 3) && graph->values[conv->inputs[3]].type == GRAPH_F32))
        return;
    quantized_of(conv)->y = scale;
    conv->outputs[0] = q->outputs[0];
    q->op = GRAPH_REMOVED;
}

/* Q(f(DQ(x))) is a table with 256 places: it is filled by running the three nodes on each number there is. */
static enum serin_errc make_table(struct graph *graph, struct graph_node *q, struct serin_error *error)
{
    static const int64_t shape[1] = {256};
    struct graph_node *f = q->op == GRAPH_QUANTIZE_LINEAR ? only_for_one(graph, q->inputs[0]) : NULL;
    struct graph_scale from, to;
    enum graph_type from_type, to_type;
    int x, table, inputs[2], i;
    void *bytes;

    if (!f || !graph_op_is_unary(f->op) || !graph_dequantized(graph, f->inputs[0], &x, &from) ||
        !graph_scale_of(graph, q, &to))
        return SERIN_OK;
    from_type = graph->values[x].type, to_type = graph->values[q->outputs[0]].type;
    table = graph_add_constant(graph, to_type, 1, shape, &bytes);
    if (table == GRAPH_NONE)
        return no_memory(error);
    for (i = 0; i < 256; i++) {
        const int32_t integer = from_type == GRAPH_I8 ? (int8_t)i : i;
        const float y = graph_plain_unary(&f->unary, (float)(integer - from.zero) * from.scale);
        const double low = to_type == GRAPH_I8 ? -128 : 0;
        double rounded = rint((double)(y / to.scale)) + to.zero;

        rounded = rounded > low ? rounded : low; /* NaN: the lowest */
        rounded = rounded < low + 255 ? rounded : low + 255;
        ((uint8_t *)bytes)[i] = (uint8_t)(int32_t)rounded;
    }
    inputs[0] = x, inputs[1] = table;
    q->op = GRAPH_LOOKUP;
    return graph_set_inputs(graph, q, 2, inputs) ? SERIN_OK : no_memory(error);
}

enum serin_errc graph_fuse_end_int8(struct graph *graph, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int at;

    for (at = 0; at < graph->node_count && rc == SERIN_OK; at++) {
        take_residual(graph, &graph->nodes[at]);
        take_quantization(graph, &graph->nodes[at]);
        rc = make_table(graph, &graph->nodes[at], error);
    }
    return rc == SERIN_OK ? graph_index(graph, error) : rc;
}
