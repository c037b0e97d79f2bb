/*
 * graph_fuse.c - rewriting of a graph with shapes, so that a convolution takes with it what surrounds it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is fused saves a pass over memory: the result is finished while it lies in registers. Each rule looks at one
 * node and at the one that made its input; it applies only where nobody else sees the value in between. The rules run
 * in the order in which networks write these nodes (convolution, normalization, activation, addition), with the users
 * counted anew after each, so that a rule need not know what another one has done.
 */
#include "engine/graph_fuse.h"

#include "engine/graph_fuse_inside.h"

#include <math.h>
#include <string.h>

static bool is_convolution(const struct graph_node *node)
{
    return node->op == GRAPH_CONV || node->op == GRAPH_CONV_TRANSPOSE;
}

static const struct graph_value *constant_of(const struct graph *graph, const struct graph_node *node, int input)
{
    const struct graph_value *value;

    if (input >= node->input_count || node->inputs[input] == GRAPH_NONE)
        return NULL;
    value = &graph->values[node->inputs[input]];
    return value->constant && value->type == GRAPH_F32 ? value : NULL;
}

struct graph_node *graph_maker_for_one(const struct graph *graph, int value)
{
    const struct graph_value *of;

    if (value == GRAPH_NONE)
        return NULL;
    of = &graph->values[value];
    if (of->producer == GRAPH_NONE || of->user_count != 1 || of->is_output)
        return NULL;
    return &graph->nodes[of->producer];
}

/* ---- x * f(x) ---- */

static bool is_hard_swish_gate(const struct graph_node *node)
{
    return node->op == GRAPH_HARD_SIGMOID && fabsf(node->unary.alpha - 1.0f / 6.0f) < 1e-6f && node->unary.beta == 0.5f;
}

static enum serin_errc fuse_gate(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *mul = &graph->nodes[at];
    int i;

    if (mul->op != GRAPH_MUL || graph->values[mul->outputs[0]].type != GRAPH_F32)
        return SERIN_OK;
    for (i = 0; i < 2; i++) {
        const int x = mul->inputs[1 - i];
        struct graph_node *gate = graph_maker_for_one(graph, mul->inputs[i]);

        if (!gate || gate->inputs[0] != x || (gate->op != GRAPH_SIGMOID && !is_hard_swish_gate(gate)))
            continue;
        mul->op = gate->op == GRAPH_SIGMOID ? GRAPH_SILU : GRAPH_HARD_SWISH;
        mul->unary = (struct graph_unary){.op = mul->op};
        gate->op = GRAPH_REMOVED;
        return graph_set_inputs(graph, mul, 1, &x) ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a graph");
    }
    return SERIN_OK;
}

/* ---- convolution, then batch normalization ---- */

/* Batch normalization (Ioffe and Szegedy, 2015): y = (x - mean) scale / sqrt(variance + epsilon) + shift. It scales a
 * channel, which the weights of that channel can do as well. In double: the weights are then right to half a unit. */
static enum serin_errc fuse_normalization(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *bn = &graph->nodes[at], *conv;
    const struct graph_value *parts[4], *weight, *old_bias;
    int64_t out, groups, o, i, g, block;
    int inputs[3], weight_at, bias_at, k;
    void *new_weight, *new_bias;

    if (bn->op != GRAPH_BATCH_NORMALIZATION)
        return SERIN_OK;
    conv = graph_maker_for_one(graph, bn->inputs[0]);
    if (!conv || !is_convolution(conv) || (conv->op == GRAPH_CONV && conv->conv.activation.op != GRAPH_REMOVED) ||
        conv->input_count > 3)
        return SERIN_OK;
    out = graph->values[conv->outputs[0]].shape[1];
    weight = constant_of(graph, conv, 1);
    old_bias = constant_of(graph, conv, 2);
    if (!weight || weight->rank != 4 ||
        (conv->input_count == 3 && conv->inputs[2] != GRAPH_NONE &&
         (!old_bias || old_bias->element_count != (uint64_t)out)))
        return SERIN_OK;
    for (k = 0; k < 4; k++) {
        parts[k] = constant_of(graph, bn, k + 1);
        if (!parts[k] || parts[k]->element_count != (uint64_t)out)
            return SERIN_OK;
    }
    const float *scale = parts[0]->constant, *shift = parts[1]->constant, *mean = parts[2]->constant,
                *variance = parts[3]->constant;
    const float *from = weight->constant, *from_bias = old_bias ? old_bias->constant : NULL;
    const double epsilon = (double)bn->batch_normalization.epsilon;
    const int64_t weight_shape[4] = {weight->shape[0], weight->shape[1], weight->shape[2], weight->shape[3]};
    const int64_t taps = weight_shape[2] * weight_shape[3];
    float *to, *to_bias;

    groups = conv->conv.groups;
    weight_at = graph_add_constant(graph, GRAPH_F32, 4, weight_shape, &new_weight);
    bias_at = graph_add_constant(graph, GRAPH_F32, 1, &out, &new_bias);
    if (weight_at == GRAPH_NONE || bias_at == GRAPH_NONE)
        return error_set(error, SERIN_NOMEM, "no memory for normalized weights");
    bn = &graph->nodes[at];
    conv = &graph->nodes[graph->values[bn->inputs[0]].producer];
    to = new_weight, to_bias = new_bias;
    for (o = 0; o < out; o++) {
        const double factor = (double)scale[o] / sqrt((double)variance[o] + epsilon);

        to_bias[o] = (float)(((from_bias ? (double)from_bias[o] : 0.0) - (double)mean[o]) * factor + (double)shift[o]);
        if (conv->op == GRAPH_CONV) {
            block = weight_shape[1] * taps;
            for (i = 0; i < block; i++)
                to[o * block + i] = (float)((double)from[o * block + i] * factor);
            continue;
        }
        /* transposed: [in][out / groups][taps], and in's channels of one group see only its out */
        block = weight_shape[0] / groups;
        g = o / weight_shape[1];
        for (i = g * block; i < (g + 1) * block; i++)
            for (k = 0; k < taps; k++) {
                const int64_t tap = (i * weight_shape[1] + o % weight_shape[1]) * taps + k;

                to[tap] = (float)((double)from[tap] * factor);
            }
    }
    inputs[0] = conv->inputs[0], inputs[1] = weight_at, inputs[2] = bias_at;
    conv->outputs[0] = bn->outputs[0];
    bn->op = GRAPH_REMOVED;
    return graph_set_inputs(graph, conv, 3, inputs) ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a graph");
}

/* ---- convolution, then activation ---- */

static enum serin_errc fuse_activation(struct graph *graph, int at, bool (*known)(const struct graph_unary *))
{
    struct graph_node *unary = &graph->nodes[at], *conv;

    if (!graph_op_is_unary(unary->op) || !known(&unary->unary))
        return SERIN_OK;
    conv = graph_maker_for_one(graph, unary->inputs[0]);
    if (!conv || conv->op != GRAPH_CONV || conv->conv.activation.op != GRAPH_REMOVED || conv->input_count > 3)
        return SERIN_OK;
    conv->conv.activation = unary->unary;
    conv->outputs[0] = unary->outputs[0];
    unary->op = GRAPH_REMOVED;
    return SERIN_OK;
}

/* ---- convolution, then addition ---- */

static bool same_shape(const struct graph_value *one, const struct graph_value *other)
{
    return one->rank == other->rank && memcmp(one->shape, other->shape, (size_t)one->rank * sizeof(one->shape[0])) == 0;
}

/* The convolution moves to where the addition stood: by then the residual has been made. */
static enum serin_errc fuse_residual(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *add = &graph->nodes[at];
    struct graph_scale scale;
    int i, integers;

    if (add->op != GRAPH_ADD)
        return SERIN_OK;
    for (i = 1; i >= 0; i--) {
        struct graph_node *conv = graph_maker_for_one(graph, add->inputs[i]);
        const int residual = add->inputs[1 - i], result = add->outputs[0];
        const char *name = add->name;
        int inputs[4] = {GRAPH_NONE, GRAPH_NONE, GRAPH_NONE, residual};

        if (!conv || conv->op != GRAPH_CONV || conv->input_count > 3 || residual == add->inputs[i] ||
            graph->values[residual].constant ||
            !same_shape(&graph->values[residual], &graph->values[conv->outputs[0]]) ||
            (conv->conv.quantized && !graph_dequantized(graph, residual, &integers, &scale)))
            continue;
        memcpy(inputs, conv->inputs, (size_t)conv->input_count * sizeof(inputs[0]));
        *add = *conv;
        add->name = name;
        add->outputs[0] = result;
        conv->op = GRAPH_REMOVED;
        return graph_set_inputs(graph, add, 4, inputs) ? SERIN_OK
                                                       : error_set(error, SERIN_NOMEM, "no memory for a graph");
    }
    return SERIN_OK;
}

enum serin_errc graph_fuse(struct graph *graph, bool (*known)(const struct graph_unary *activation),
                           struct serin_error *error)
{
    enum serin_errc rc;
    int rule, at;

    BUG_ON(!graph->has_shapes);
    rc = graph_fuse_begin_int8(graph, error);
    for (rule = 0; rule < 4 && rc == SERIN_OK; rule++) {
        for (at = 0; at < graph->node_count && rc == SERIN_OK; at++)
            switch (rule) {
            case 0:
                rc = fuse_gate(graph, at, error);
                break;
            case 1:
                rc = fuse_normalization(graph, at, error);
                break;
            case 2:
                rc = fuse_activation(graph, at, known);
                break;
            default:
                rc = fuse_residual(graph, at, error);
                break;
            }
        if (rc == SERIN_OK)
            rc = graph_index(graph, error);
    }
    if (rc == SERIN_OK)
        rc = graph_fuse_head(graph, known, error);
    return rc == SERIN_OK ? graph_fuse_end_int8(graph, error) : rc;
}
