/*
 * graph_fuse_enlarged.c - a convolution over one pixel is done before a picture is enlarged, not after.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The necks of YOLOs enlarge a picture, put it beside another one of that size, and mix both by a convolution over one
 * pixel. Each result is a sum over the channels of both, and enlarging by repeating pixels and summing channels may
 * change places: so the half of the sum that belongs to the small picture is computed there, for a quarter of the
 * pixels, and what is enlarged is that half, which has fewer channels. It goes into the other half's convolution as a
 * residual that is added before the activation.
 *
 *     conv(concat(enlarge(a), b))   becomes   conv_b(b) + enlarge(conv_a(a)),   then the activation
 */
#include "engine/graph_fuse.h"

#include "engine/graph_fuse_inside.h"

#include <string.h>

#define LEAST_GAIN 4 /* pixels for one: with fewer, reading the residual takes what is saved */

/* Over one pixel, of constant weights, with nothing added to it yet. */
static bool mixes_channels(const struct graph *graph, const struct graph_node *node)
{
    const struct graph_window *window = &node->conv.window;
    const struct graph_value *weight;
    int i;

    if (node->op != GRAPH_CONV || node->conv.quantized || node->conv.groups != 1 || node->input_count < 2 ||
        node->input_count > 3 || node->inputs[1] == GRAPH_NONE)
        return false;
    weight = &graph->values[node->inputs[1]];
    for (i = 0; i < 2; i++)
        if (window->kernel[i] != 1 || window->stride[i] != 1 || window->pad_begin[i] != 0 || window->pad_end[i] != 0)
            return false;
    return weight->constant && weight->type == GRAPH_F32 && weight->rank == 4;
}

/* Which input of concat is a picture that has been enlarged for it alone, and is worth it; -1 for none. */
static int enlarged_part(const struct graph *graph, const struct graph_node *concat, int64_t out_channels)
{
    int part;

    if (concat->op != GRAPH_CONCAT || concat->axis.axis != 1 || concat->input_count != 2)
        return -1;
    for (part = 0; part < 2; part++) {
        const struct graph_node *resize = graph_maker_for_one(graph, concat->inputs[part]);
        const struct graph_value *small, *large;

        if (!resize || resize->op != GRAPH_RESIZE || resize->resize.mode != GRAPH_RESIZE_NEAREST)
            continue;
        small = &graph->values[resize->inputs[0]], large = &graph->values[concat->inputs[part]];
        if (small->type == GRAPH_F32 && small->rank == 4 && large->rank == 4 && small->shape[0] == large->shape[0] &&
            small->shape[1] == large->shape[1] && resize->resize.scales[0] == 1.0f &&
            resize->resize.scales[1] == 1.0f &&
            large->shape[2] * large->shape[3] >= LEAST_GAIN * small->shape[2] * small->shape[3] &&
            out_channels <= 2 * small->shape[1])
            return part;
    }
    return -1;
}

/* The weights of count input channels from first on; GRAPH_NONE without memory. */
static int part_of_weights(struct graph *graph, int weight, int64_t first, int64_t count)
{
    const int64_t out = graph->values[weight].shape[0], in = graph->values[weight].shape[1];
    const int64_t shape[4] = {out, count, 1, 1};
    void *bytes;
    const int part = graph_add_constant(graph, GRAPH_F32, 4, shape, &bytes);
    int64_t o;

    for (o = 0; part != GRAPH_NONE && o < out; o++)
        memcpy((float *)bytes + o * count, (const float *)graph->values[weight].constant + o * in + first,
               (size_t)count * sizeof(float));
    return part;
}

static enum serin_errc split_at(struct graph *graph, int at, struct serin_error *error)
{
    struct graph_node *conv = &graph->nodes[at], *concat, *resize;
    const struct graph_value *small, *y;
    int part, first_input, other, weights[2], half, enlarged, inputs[4];
    int64_t channels[2];

    if (!mixes_channels(graph, conv) || !graph_maker_for_one(graph, conv->inputs[0]))
        return SERIN_OK;
    y = &graph->values[conv->outputs[0]];
    concat = &graph->nodes[graph->values[conv->inputs[0]].producer];
    part = enlarged_part(graph, concat, y->shape[1]);
    if (part < 0)
        return SERIN_OK;
    resize = &graph->nodes[graph->values[concat->inputs[part]].producer];
    first_input = resize->inputs[0], other = concat->inputs[1 - part];
    small = &graph->values[first_input];
    channels[0] = graph->values[concat->inputs[0]].shape[1], channels[1] = graph->values[concat->inputs[1]].shape[1];
    const int64_t half_shape[4] = {y->shape[0], y->shape[1], small->shape[2], small->shape[3]};
    const int64_t whole_shape[4] = {y->shape[0], y->shape[1], y->shape[2], y->shape[3]};

    weights[0] = part_of_weights(graph, conv->inputs[1], 0, channels[0]);
    weights[1] = part_of_weights(graph, conv->inputs[1], channels[0], channels[1]);
    half = graph_add_value(graph, GRAPH_F32, 4, half_shape);
    enlarged = graph_add_value(graph, GRAPH_F32, 4, whole_shape);
    if (weights[0] == GRAPH_NONE || weights[1] == GRAPH_NONE || half == GRAPH_NONE || enlarged == GRAPH_NONE)
        return error_set(error, SERIN_NOMEM, "no memory for the halves of a convolution");
    /* The nodes keep their places: the half where the picture was enlarged, and its enlargement where the concatenation
     * was, each behind what it reads. */
    *concat = (struct graph_node){.op = GRAPH_RESIZE,
                                  .name = resize->name,
                                  .input_count = concat->input_count,
                                  .output_count = 1,
                                  .inputs = concat->inputs,
                                  .outputs = concat->outputs,
                                  .resize = resize->resize};
    concat->outputs[0] = enlarged;
    *resize = (struct graph_node){.op = GRAPH_CONV,
                                  .name = conv->name,
                                  .input_count = resize->input_count,
                                  .output_count = 1,
                                  .inputs = resize->inputs,
                                  .outputs = resize->outputs,
                                  .conv = conv->conv};
    resize->conv.activation = (struct graph_unary){.op = GRAPH_REMOVED};
    resize->outputs[0] = half;
    conv->conv.residual_first = true;
    inputs[0] = first_input, inputs[1] = weights[part];
    if (!graph_set_inputs(graph, concat, 1, &half) || !graph_set_inputs(graph, resize, 2, inputs))
        return error_set(error, SERIN_NOMEM, "no memory for a graph");
    inputs[0] = other, inputs[1] = weights[1 - part];
    inputs[2] = conv->input_count > 2 ? conv->inputs[2] : GRAPH_NONE, inputs[3] = enlarged;
    return graph_set_inputs(graph, conv, 4, inputs) ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a graph");
}

enum serin_errc graph_fuse_enlarged(struct graph *graph, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int at;

    for (at = 0; at < graph->node_count && rc == SERIN_OK; at++)
        rc = split_at(graph, at, error);
    return rc == SERIN_OK ? graph_index(graph, error) : rc;
}
