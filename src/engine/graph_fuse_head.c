/*
 * graph_fuse_head.c - what follows the last convolutions of a YOLO: sigmoids of scores, expectations of distances.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A head has convolutions for each of its levels (pictures of 80 x 80, 40 x 40 and 20 x 20), flattens what they make,
 * puts the levels beside each other, and works on the whole. What takes pixels one by one can as well be done to each
 * level before that: in the convolution, or where its picture still lies in the layout that convolutions like.
 *
 *     parts of join(flatten(concat(a, b)))    become   join(flatten(a)) and join(flatten(b))
 *     sigmoid(join(flatten(convolution)))     becomes  join(flatten(sigmoid of the convolution))
 *     distances(join(flatten(x)))             becomes  join(expectation(x))
 *
 * where the first line is how exporters wrote heads before 2026, and distances are the four mean values of
 * distributions over bins: softmax, and a convolution whose weights are the bins' values ("Generalized Focal Loss", Li
 * et al., 2020). No node is added: each new one takes the place of one that is no longer needed, so that their order
 * holds.
 */
#include "engine/graph_fuse_inside.h"

#include <string.h>

#define MAX_LEVELS 8

static enum serin_errc no_memory(struct serin_error *error)
{
    return error_set(error, SERIN_NOMEM, "no memory for the head of a network");
}

/* node becomes another one, with its name and its place in the order. False without memory. */
static bool replace(struct graph *graph, struct graph_node *node, enum graph_op op, int input_count, const int *inputs,
                    int output)
{
    *node = (struct graph_node){.op = op,
                                .name = node->name,
                                .input_count = node->input_count,
                                .output_count = 1,
                                .inputs = node->inputs,
                                .outputs = node->outputs};
    node->outputs[0] = output;
    return graph_set_inputs(graph, node, input_count, inputs);
}

/* Levels of a head, and who puts them beside each other. */
struct levels {
    struct graph_node *join;                /* over the last of three dimensions */
    struct graph_node *flatten[MAX_LEVELS]; /* of pictures to [n][channels][pixels] */
    int count;
};

/* How value, which nobody else sees, is made of levels; false where it is not. */
static bool find_levels(const struct graph *graph, int value, struct levels *ret)
{
    int i;

    ret->join = graph_maker_for_one(graph, value);
    if (!ret->join || ret->join->op != GRAPH_CONCAT || ret->join->axis.axis != 2 ||
        graph->values[value].type != GRAPH_F32 || graph->values[value].rank != 3 || ret->join->input_count > MAX_LEVELS)
        return false;
    ret->count = ret->join->input_count;
    for (i = 0; i < ret->count; i++) {
        const struct graph_value *flat = &graph->values[ret->join->inputs[i]], *picture;

        ret->flatten[i] = graph_maker_for_one(graph, ret->join->inputs[i]);
        if (!ret->flatten[i] || ret->flatten[i]->op != GRAPH_RESHAPE)
            return false;
        picture = &graph->values[ret->flatten[i]->inputs[0]];
        if (picture->rank != 4 || picture->shape[0] != flat->shape[0] || picture->shape[1] != flat->shape[1])
            return false;
    }
    return true;
}

/* The channels of levels: a value like value, but with so many. GRAPH_NONE without memory. */
static int with_channels(struct graph *graph, int value, int64_t channels)
{
    const int64_t shape[3] = {graph->values[value].shape[0], channels, graph->values[value].shape[2]};

    return graph_add_value(graph, GRAPH_F32, 3, shape);
}

/* ---- parts of what was put together ---- */

/* The concatenations of two kinds of channels, as split has them, that levels are flattened from. */
static bool find_pairs(const struct graph *graph, const struct graph_node *split, const struct levels *levels,
                       struct graph_node **ret)
{
    int i, k;

    for (i = 0; i < levels->count; i++) {
        ret[i] = graph_maker_for_one(graph, levels->flatten[i]->inputs[0]);
        if (!ret[i] || ret[i]->op != GRAPH_CONCAT || ret[i]->axis.axis != 1 || ret[i]->input_count != 2)
            return false;
        for (k = 0; k < 2; k++)
            if (split->outputs[k] == GRAPH_NONE ||
                graph->values[ret[i]->inputs[k]].shape[1] != graph->values[split->outputs[k]].shape[1])
                return false;
    }
    return true;
}

static enum serin_errc take_apart(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *split = &graph->nodes[at], *pairs[MAX_LEVELS];
    struct levels levels;
    int flat[2][MAX_LEVELS], whole[2], i, k;

    if (split->op != GRAPH_SPLIT || split->axis.axis != 1 || split->output_count != 2 ||
        !find_levels(graph, split->inputs[0], &levels) || !find_pairs(graph, split, &levels, pairs))
        return SERIN_OK;
    for (i = 0; i < levels.count; i++) {
        const int input[2] = {pairs[i]->inputs[0], pairs[i]->inputs[1]}, joined = levels.join->inputs[i];

        for (k = 0; k < 2; k++) {
            flat[k][i] = with_channels(graph, joined, graph->values[input[k]].shape[1]);
            if (flat[k][i] == GRAPH_NONE ||
                !replace(graph, k ? levels.flatten[i] : pairs[i], GRAPH_RESHAPE, 1, &input[k], flat[k][i]))
                return no_memory(error);
        }
    }
    whole[0] = split->outputs[0], whole[1] = split->outputs[1];
    for (k = 0; k < 2; k++) {
        struct graph_node *join = k ? split : levels.join;

        if (!replace(graph, join, GRAPH_CONCAT, levels.count, flat[k], whole[k]))
            return no_memory(error);
        join->axis.axis = 2;
    }
    return SERIN_OK;
}

/* ---- scores ---- */

static enum serin_errc fuse_scores(struct graph *graph, int at, bool (*known)(const struct graph_unary *))
{
    struct graph_node *sigmoid = &graph->nodes[at], *convolutions[MAX_LEVELS];
    struct levels levels;
    int i;

    if (sigmoid->op != GRAPH_SIGMOID || !known(&sigmoid->unary) || !find_levels(graph, sigmoid->inputs[0], &levels))
        return SERIN_OK;
    for (i = 0; i < levels.count; i++) {
        struct graph_node *conv = graph_maker_for_one(graph, levels.flatten[i]->inputs[0]);

        if (!conv || conv->op != GRAPH_CONV || conv->conv.activation.op != GRAPH_REMOVED || conv->input_count > 3)
            return SERIN_OK;
        convolutions[i] = conv;
    }
    for (i = 0; i < levels.count; i++)
        convolutions[i]->conv.activation = sigmoid->unary;
    levels.join->outputs[0] = sigmoid->outputs[0];
    sigmoid->op = GRAPH_REMOVED;
    return SERIN_OK;
}

/* ---- distances ---- */

/* A sum over the channels of x, which nothing is added to: [n][bins][parts][pixels] to [n][1][parts][pixels]. */
static bool sums_channels(const struct graph *graph, const struct graph_node *node)
{
    const struct graph_window *window = &node->conv.window;
    const struct graph_value *weight;
    int i;

    if (node->op != GRAPH_CONV || node->conv.quantized || node->conv.groups != 1 || node->input_count != 2 ||
        node->conv.activation.op != GRAPH_REMOVED)
        return false;
    for (i = 0; i < 2; i++)
        if (window->kernel[i] != 1 || window->stride[i] != 1 || window->pad_begin[i] != 0 || window->pad_end[i] != 0)
            return false;
    weight = &graph->values[node->inputs[1]];
    return weight->constant && weight->type == GRAPH_F32 && weight->rank == 4 && weight->shape[0] == 1 &&
           weight->shape[1] > 0 && weight->shape[1] <= GRAPH_MAX_BINS;
}

/* The node that makes [n][parts][bins][pixels] of three dimensions, where value is softmax(it) over the bins with parts
 * and bins exchanged; NULL where it is not. The exchange may be before the softmax, or in two halves around it. */
static struct graph_node *find_distributions(const struct graph *graph, int value)
{
    int dimension[4] = {0, 1, 2, 3}; /* of what node makes: where value's are */
    bool softmax = false;
    struct graph_node *node;
    int i;

    for (;;) {
        node = graph_maker_for_one(graph, value);
        if (node && node->op == GRAPH_TRANSPOSE && node->transpose.count == 4) {
            for (i = 0; i < 4; i++)
                dimension[i] = node->transpose.permutation[dimension[i]];
        } else if (node && node->op == GRAPH_SOFTMAX && !softmax && node->softmax.first == dimension[1] &&
                   node->softmax.last == dimension[1] + 1) {
            softmax = true;
        } else {
            break;
        }
        value = node->inputs[0];
    }
    if (!node || node->op != GRAPH_RESHAPE || !softmax || dimension[0] != 0 || dimension[1] != 2 || dimension[2] != 1)
        return NULL;
    const struct graph_value *x = &graph->values[node->inputs[0]], *y = &graph->values[value];

    return x->type == GRAPH_F32 && x->rank == 3 && y->rank == 4 && x->shape[0] == y->shape[0] &&
                   x->shape[1] == y->shape[1] * y->shape[2]
               ? node
               : NULL;
}

static enum serin_errc fuse_distances(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *conv = &graph->nodes[at];
    const struct graph_node *distributions;
    struct levels levels;
    int64_t parts;
    int inputs[2], flat[MAX_LEVELS], joined, i;

    if (!sums_channels(graph, conv))
        return SERIN_OK;
    distributions = find_distributions(graph, conv->inputs[0]);
    if (!distributions)
        return SERIN_OK;
    inputs[0] = distributions->inputs[0], inputs[1] = conv->inputs[1];
    parts = graph->values[distributions->outputs[0]].shape[1];
    if (!find_levels(graph, inputs[0], &levels))
        return replace(graph, conv, GRAPH_EXPECTATION, 2, inputs, conv->outputs[0]) ? SERIN_OK : no_memory(error);
    joined = with_channels(graph, inputs[0], parts);
    if (joined == GRAPH_NONE || !replace(graph, conv, GRAPH_RESHAPE, 1, &joined, conv->outputs[0]))
        return no_memory(error);
    for (i = 0; i < levels.count; i++) {
        inputs[0] = levels.flatten[i]->inputs[0];
        flat[i] = with_channels(graph, levels.join->inputs[i], parts);
        if (flat[i] == GRAPH_NONE || !replace(graph, levels.flatten[i], GRAPH_EXPECTATION, 2, inputs, flat[i]))
            return no_memory(error);
    }
    levels.join->outputs[0] = joined;
    return graph_set_inputs(graph, levels.join, levels.count, flat) ? SERIN_OK : no_memory(error);
}

enum serin_errc graph_fuse_head(struct graph *graph, bool (*known)(const struct graph_unary *activation),
                                struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int rule, at;

    for (rule = 0; rule < 3 && rc == SERIN_OK; rule++) {
        for (at = 0; at < graph->node_count && rc == SERIN_OK; at++)
            if (rule == 0)
                rc = take_apart(graph, at, error);
            else if (rule == 1)
                rc = fuse_scores(graph, at, known);
            else
                rc = fuse_distances(graph, at, error);
        if (rc == SERIN_OK)
            rc = graph_index(graph, error);
    }
    return rc;
}
