/*
 * plan_pictures.c - the steps of nodes that work on pictures: convolutions, pools, and what moves channels.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights are shared by all plans that have the same ones, and pack them alike.
 */
#include "engine/plan_inside.h"

#include "base/siphash.h"
#include "engine/graph_fuse.h"
#include "engine/round_weights.h"

#include <stdlib.h>
#include <string.h>

/* By content: weights that took a normalization in belong to one plan, and are another's all the same. */
static uint64_t digest_of(const struct graph_value *constant)
{
    static const uint64_t no_key[2] = {0, 0}; /* who makes two weights alike spoils a model of his own */
    const uint64_t key[2] = {siphash(no_key, constant->shape, (size_t)constant->rank * sizeof(constant->shape[0])),
                             constant->element_count};

    return siphash(key, constant->constant, (size_t)graph_value_bytes(constant));
}

/* Of floats, as step's convolution multiplies them; transposed ones have an output channel's weights apart. */
static bool takes_weights_of_bf16(const struct plan_builder *builder, const struct plan_step *step)
{
    return step->src.type == ONEDNN_BF16 && builder->graph->nodes[step->node].op == GRAPH_CONV &&
           (!step->kernel || step->kernel->weights_of_bf16);
}

/* All output channels of constant; NULL without memory. */
static float *rounded_weights(const struct graph_value *constant)
{
    const int64_t count = product_of_sizes(constant->shape, 1, constant->rank);
    float *rounded = malloc((size_t)graph_value_bytes(constant));
    int64_t o;

    for (o = 0; rounded && o < constant->shape[0]; o++)
        round_weights(count, (const float *)constant->constant + o * count, rounded + o * count);
    return rounded;
}

/* step's convolution is by its kernel or its primitive. */
static enum serin_errc packed_weights(struct plan_builder *builder, const struct graph_value *constant,
                                      struct plan_step *step)
{
    const uint64_t digest = digest_of(constant);
    struct plan_weights *weights = builder->weights;
    const void *numbers = constant->constant;
    enum serin_errc rc = SERIN_OK;
    float *rounded = NULL;
    void *bytes;
    size_t size;
    int i;

    for (i = 0; i < weights->count; i++)
        if (weights->packs[i].digest == digest && weights->packs[i].kernel == step->kernel &&
            weights->packs[i].type == step->src.type &&
            (step->kernel || onednn_packs_alike(weights->packs[i].packer, step->primitive))) {
            step->weights = weights->packs[i].bytes;
            return SERIN_OK;
        }
    if (weights->count == weights->capacity) {
        const int capacity = weights->capacity ? 2 * weights->capacity : 128;
        struct plan_pack *more = realloc(weights->packs, (size_t)capacity * sizeof(*more));

        if (!more)
            return no_memory(builder);
        weights->packs = more;
        weights->capacity = capacity;
    }
    size = step->kernel ? step->kernel->weights_bytes(step->convolution) : onednn_weights_bytes(step->primitive);
    bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    if (bytes && takes_weights_of_bf16(builder, step))
        numbers = rounded = rounded_weights(constant);
    if (!bytes || !numbers) {
        free(bytes);
        return no_memory(builder);
    }
    if (step->kernel)
        step->kernel->pack(step->convolution, numbers, bytes);
    else
        rc = onednn_pack(step->primitive, numbers, bytes, builder->error);
    free(rounded);
    if (rc != SERIN_OK) {
        free(bytes);
        return rc;
    }
    weights->packs[weights->count++] =
        (struct plan_pack){.digest = digest,
                           .kernel = step->kernel,
                           .packer = step->kernel ? NULL : onednn_primitive_share(step->primitive),
                           .type = step->src.type,
                           .bytes = bytes};
    step->weights = bytes;
    return SERIN_OK;
}

enum serin_errc plan_add_scratch(struct plan_builder *builder, struct plan_step *step)
{
    const size_t bytes =
        step->kernel ? step->kernel->scratch_bytes(step->convolution, step->pictures, builder->plan->options.threads)
                     : onednn_scratch_bytes(step->primitive);

    return bytes ? plan_add_buffer(builder, bytes, &step->scratch) : SERIN_OK;
}

/* Whether it is a convolution of integers whose result is none. */
static bool floats_of_integers(const struct plan_builder *builder, const struct graph_node *node)
{
    return node->op == GRAPH_CONV && node->conv.quantized && value_of(builder, node->outputs[0])->type == GRAPH_F32;
}

/* As a convolution of integers leaves floats. */
static bool leaves_layout(const struct onednn_image *layout)
{
    return layout->type == ONEDNN_F32 && layout->block == 0;
}

/* What computes it, and how many floats of a bias that reads. */
static enum serin_errc take_kernel(struct plan_builder *builder, int at, struct plan_step *step, size_t *ret_bias)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const enum onednn_type type = builder->values[node->outputs[0]].layout.type;
    const struct onednn_convolution described = plan_describe_convolution(builder, node, type);
    struct onednn_convolution *convolution;
    enum serin_errc rc;

    if (builder->kernels[at] && builder->kernels[at]->pays(&described)) {
        convolution = arena_new(&builder->plan->arena, struct onednn_convolution, 1);
        if (!convolution)
            return no_memory(builder);
        *convolution = described;
        step->kind = STEP_KERNEL;
        step->kernel = builder->kernels[at];
        step->convolution = convolution;
        *ret_bias = (size_t)onednn_round_up(convolution->dst.channels, convolution->dst.block);
        return SERIN_OK;
    }
    if (!floats_of_integers(builder, node) &&
        type != plan_layout_of(builder, node->outputs[0]).type) { /* it was chosen before its result became fp32 */
        onednn_primitive_free(builder->primitives[at]);
        rc = plan_make_convolution(builder, node, type, &builder->primitives[at]);
        if (rc == SERIN_OK && !builder->primitives[at])
            return error_set(builder->error, SERIN_UNSUPPORTED, "%s '%s': oneDNN does not write its result in fp32",
                             graph_op_name(node->op), node->name);
        if (rc != SERIN_OK)
            return rc;
    }
    step->primitive = builder->primitives[at];
    builder->primitives[at] = NULL;
    *ret_bias = onednn_bias_count(step->primitive);
    return SERIN_OK;
}

static enum serin_errc build_convolution(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const int integers = builder->values[node->outputs[0]].integers;
    const int output = integers == GRAPH_NONE ? node->outputs[0] : integers;
    const bool has_residual = has_input(node, 3);
    const bool spreads = plan_spreads_taps(builder, node);
    const bool to_floats = floats_of_integers(builder, node) && !builder->kernels[at] &&
                           !leaves_layout(&builder->values[node->outputs[0]].layout);
    const int64_t pictures = value_of(builder, node->inputs[0])->shape[0];
    struct plan_place src, residual = {.buffer = GRAPH_NONE}, dst = {.buffer = GRAPH_NONE}, result;
    struct onednn_image taps;
    size_t bias_count = 0;
    struct plan_step *step = NULL;
    enum serin_errc rc;
    float *bias;

    rc = plan_picture_to_read(builder, node->inputs[0], &src);
    if (rc == SERIN_OK && has_residual)
        rc = plan_picture_to_read(builder, node->inputs[3], &residual);
    if (rc == SERIN_OK)
        rc = plan_picture_to_write(builder, output, &dst);
    result = dst;
    taps = builder->values[output].layout;
    if (spreads && rc == SERIN_OK) {
        taps.height = value_of(builder, node->inputs[0])->shape[2];
        taps.width = value_of(builder, node->inputs[0])->shape[3];
        taps.channels *= (int64_t)node->conv.window.kernel[0] * node->conv.window.kernel[1];
        rc = plan_add_buffer(builder, (uint64_t)onednn_image_bytes(&taps) * (uint64_t)pictures, &result);
        result.picture_bytes = onednn_image_bytes(&taps);
    }
    if (to_floats && rc == SERIN_OK) { /* all channels together, brought into blocks behind it */
        taps.type = ONEDNN_F32;
        taps.block = 0;
        rc = plan_add_buffer(builder, (uint64_t)onednn_image_bytes(&taps) * (uint64_t)pictures, &result);
        result.picture_bytes = onednn_image_bytes(&taps);
    }
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, STEP_PRIMITIVE, at, has_residual ? 2 : 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    rc = take_kernel(builder, at, step, &bias_count);
    if (rc != SERIN_OK)
        return rc;
    step->pictures = pictures;
    step->inputs[0] = src, step->outputs[0] = result;
    if (has_residual)
        step->inputs[1] = residual;
    step->src = builder->values[node->inputs[0]].layout, step->dst = taps;
    if (has_input(node, 2)) {
        const struct graph_value *constant = value_of(builder, node->inputs[2]);

        bias = arena_alloc(&builder->plan->arena, bias_count, sizeof(*bias));
        if (!bias)
            rc = no_memory(builder);
        else if (step->kernel)
            memcpy(bias, constant->constant, graph_value_bytes(constant));
        else
            onednn_fill_bias(step->primitive, constant->constant, (size_t)constant->element_count, bias);
        step->bias = bias;
    }
    if (rc == SERIN_OK)
        rc = packed_weights(builder, value_of(builder, node->inputs[1]), step);
    if (rc == SERIN_OK)
        rc = plan_add_scratch(builder, step);
    plan_step_end(builder); /* even where it failed: the plan owns the primitive */
    if (to_floats && rc == SERIN_OK)
        return plan_add_reorder(builder, &taps, result, &builder->values[node->outputs[0]].layout, dst, pictures);
    if (!spreads || rc != SERIN_OK)
        return rc;
    rc = plan_step_begin(builder, STEP_SPREAD_TAPS, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    step->pictures = pictures;
    step->inputs[0] = result, step->outputs[0] = dst;
    step->src = taps, step->dst = builder->values[node->outputs[0]].layout;
    plan_step_end(builder);
    return SERIN_OK;
}

/* A step that reads one or two pictures and writes one. */
static enum serin_errc build_on_pictures(struct plan_builder *builder, int at, enum plan_step_kind kind)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place places[2], dst;
    struct plan_step *step = NULL;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++)
        rc = plan_picture_to_read(builder, node->inputs[i], &places[i]);
    if (rc == SERIN_OK)
        rc = plan_picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, kind, at, node->input_count, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    memcpy(step->inputs, places, (size_t)node->input_count * sizeof(places[0]));
    step->outputs[0] = dst;
    step->pictures = value_of(builder, node->outputs[0])->shape[0];
    step->src = builder->values[node->inputs[0]].layout, step->dst = builder->values[node->outputs[0]].layout;
    step->count = (int64_t)(onednn_image_bytes(&step->dst) / onednn_type_bytes(step->dst.type));
    if (kind == STEP_PRIMITIVE) {
        step->primitive = builder->primitives[at];
        builder->primitives[at] = NULL;
        rc = plan_add_scratch(builder, step);
    }
    plan_step_end(builder);
    return rc;
}

/* Between numbers and integers, and by a table. */
static enum serin_errc build_scaling(struct plan_builder *builder, int at, enum plan_step_kind kind)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const int x = node->inputs[0];
    struct onednn_image layout = builder->values[x].layout;
    struct plan_place src, dst;
    struct plan_step *step = NULL;
    enum serin_errc rc;

    if (builder->values[x].integers != GRAPH_NONE) /* they have been written in its place */
        return SERIN_OK;
    if (kind == STEP_QUANTIZE && !builder->values[x].has_picture &&
        builder->values[x].source == GRAPH_NONE) { /* as it is: it can be read from there */
        layout = plan_layout_of(builder, x);
        layout.type = ONEDNN_F32;
        layout.block = 1;
        rc = plan_plain_to_read(builder, x, &src);
    } else {
        rc = plan_picture_to_read(builder, x, &src);
    }
    if (rc == SERIN_OK)
        rc = plan_picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, kind, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = src, step->outputs[0] = dst;
    step->pictures = value_of(builder, x)->shape[0];
    step->src = layout, step->dst = builder->values[node->outputs[0]].layout;
    step->count = (int64_t)onednn_image_bytes(&layout);
    if (kind == STEP_LOOKUP)
        step->table = value_of(builder, node->inputs[1])->constant;
    else
        BUG_ON(!graph_scale_of(builder->graph, node, &step->scale));
    plan_step_end(builder);
    return SERIN_OK;
}

/* Two parts of a split that lie beside each other in its source. */
static bool follows(const struct plan_builder *builder, int one, int next)
{
    const struct planned_value *first = &builder->values[one], *second = &builder->values[next];

    return first->source != GRAPH_NONE && first->source == second->source &&
           second->source_channel == first->source_channel + channels_of(builder, one);
}

static enum serin_errc build_concat(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int64_t channel = 0, count, base, lies;
    const int root = plan_root_of(builder, node->outputs[0], &base);
    enum serin_errc rc = SERIN_OK;
    struct plan_place place;
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        const int input = node->inputs[i];

        count = channels_of(builder, input);
        if (plan_root_of(builder, input, &lies) != root || lies != base + channel) {
            while (i + 1 < node->input_count && follows(builder, node->inputs[i], node->inputs[i + 1]))
                count += channels_of(builder, node->inputs[++i]);
            rc = plan_add_copy(builder, input, 0, node->outputs[0], channel, count, i + 1 == node->input_count);
        }
        channel += count;
    }
    return rc == SERIN_OK ? plan_picture_to_write(builder, node->outputs[0], &place) : rc;
}

static enum serin_errc build_parts(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int64_t channel = node->op == GRAPH_SLICE ? plan_channel_slice(builder, node) : 0;
    enum serin_errc rc = SERIN_OK;
    struct plan_place place;
    int i;

    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        const int output = node->outputs[i];

        if (output == GRAPH_NONE)
            return error_set(builder->error, SERIN_UNSUPPORTED, "%s '%s' leaves an output out", graph_op_name(node->op),
                             node->name);
        if (builder->values[output].parent == node->inputs[0])
            rc = plan_picture_to_write(builder, output, &place);
        else if (builder->values[output].source == GRAPH_NONE)
            rc = plan_add_copy(builder, node->inputs[0], channel, output, 0, channels_of(builder, output), true);
        channel += channels_of(builder, output);
    }
    return rc;
}

enum serin_errc plan_build_picture_node(struct plan_builder *builder, int at)
{
    switch ((int)builder->graph->nodes[at].op) {
    case GRAPH_CONV:
    case GRAPH_CONV_TRANSPOSE:
        return build_convolution(builder, at);
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
        return build_on_pictures(builder, at, STEP_PRIMITIVE);
    case GRAPH_CONCAT:
        return build_concat(builder, at);
    case GRAPH_SPLIT:
    case GRAPH_SLICE:
        return build_parts(builder, at);
    case GRAPH_RESIZE:
        return build_on_pictures(builder, at, STEP_RESIZE);
    case GRAPH_QUANTIZE_LINEAR:
        return build_scaling(builder, at, STEP_QUANTIZE);
    case GRAPH_DEQUANTIZE_LINEAR:
        return build_scaling(builder, at, STEP_DEQUANTIZE);
    case GRAPH_LOOKUP:
        return build_scaling(builder, at, STEP_LOOKUP);
    case GRAPH_ADD:
    case GRAPH_MUL:
        return build_on_pictures(builder, at, STEP_ADD_OR_MULTIPLY);
    default:
        return build_on_pictures(builder, at, STEP_UNARY_PICTURE);
    }
}
