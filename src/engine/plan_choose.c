/*
 * plan_choose.c - decides for each node in which layout it works, and whose memory its result lies in.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions want pictures (the blocked layout of onednn.h) and leave one; what can work on pictures does where its
 * inputs are pictures already; everything else is plain.
 *
 * In the blocked layout a range of channels is a piece of memory of its own. So the parts of a concatenation are
 * written where they belong to begin with (value->parent), and the parts of a split are where they are: neither takes
 * a step. What does not begin at a block is copied.
 *
 * Integers lie in block 0, as oneDNN's kernels for 8 bits want them, and so does bf16 where the processor has AMX.
 * There a range of channels is no piece of memory, and oneDNN reads and writes none that lies between others:
 * concatenations are copies, and so are the parts of splits (value->source), but only those that somebody needs by
 * themselves: a concatenation takes its channels from where they are. A concatenation that only plain nodes read is
 * plain itself, since a range of channels is a piece of memory there. What a convolution of integers leaves in floats
 * is brought into the floats' layout at once, so that they have one.
 * A kernel of our own may write the integers that a QuantizeLinear makes of its floats, where nobody else wants those
 * (value->integers).
 *
 * bf16 ends where pictures do: a convolution whose result goes only to plain nodes (directly or in a concatenation)
 * writes fp32, since the boxes are computed from it. Half a sum that waits for the other half is fp32, too
 * (value->wide), and so is what the last convolutions of the distances of larger objects read.
 */
#include "engine/graph_fuse.h"
#include "engine/plan_inside.h"
#include "engine/plan_kernels.h"

#define FEW_CHANNELS 3 /* a network's input is read in ONNX's own order: oneDNN has kernels for that */

/* ---- layouts ---- */

static bool is_eight_bits(enum graph_type type)
{
    return type == GRAPH_U8 || type == GRAPH_I8;
}

static bool is_floats(const struct onednn_image *image)
{
    return image->type == ONEDNN_F32 || image->type == ONEDNN_BF16;
}

static bool is_picture_shaped(const struct graph_value *value)
{
    return (value->type == GRAPH_F32 || is_eight_bits(value->type)) && value->rank == 4 && value->element_count > 0;
}

static enum onednn_type type_of(const struct plan_builder *builder, enum graph_type type)
{
    if (type == GRAPH_F32)
        return builder->plan->options.precision == PLAN_BF16 ? ONEDNN_BF16 : ONEDNN_F32;
    return type == GRAPH_U8 ? ONEDNN_U8 : ONEDNN_S8;
}

struct onednn_image plan_layout_of(const struct plan_builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);

    return (struct onednn_image){
        .type = builder->values[value].wide ? ONEDNN_F32 : type_of(builder, of->type),
        .channels = of->shape[1],
        .height = of->shape[2],
        .width = of->shape[3],
        .block = is_eight_bits(of->type) ? 0 : builder->block,
    };
}

struct onednn_image plan_layout_to_read(const struct plan_builder *builder, int value)
{
    const struct planned_value *planned = &builder->values[value];
    struct onednn_image layout;

    if (planned->makes_picture || planned->has_picture)
        return planned->layout;
    layout = plan_layout_of(builder, value);
    if ((layout.block != 0 || planned->as_it_comes) && layout.channels <= FEW_CHANNELS)
        layout.block = 1;
    if (planned->as_it_comes)
        layout.type = planned->has_bytes ? ONEDNN_U8 : ONEDNN_F32;
    return layout;
}

bool plan_is_mix(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *weight;

    if (node->op != GRAPH_CONV || builder->values[node->inputs[0]].makes_picture || node->input_count > 3 ||
        node->conv.activation.op != GRAPH_REMOVED || !has_input(node, 1) || !is_constant_or_missing(builder, node, 1) ||
        !is_constant_or_missing(builder, node, 2) || !is_picture_shaped(value_of(builder, node->inputs[0])))
        return false;
    weight = value_of(builder, node->inputs[1]);
    return weight->rank == 4 && weight->shape[0] == 1 && weight->shape[2] == 1 && weight->shape[3] == 1 &&
           node->conv.groups == 1 && node->conv.window.stride[0] == 1 && node->conv.window.stride[1] == 1 &&
           node->conv.window.pad_begin[0] == 0 && node->conv.window.pad_begin[1] == 0 &&
           node->conv.window.pad_end[0] == 0 && node->conv.window.pad_end[1] == 0;
}

bool plan_spreads_taps(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    const struct graph_window *window = &node->conv.window;
    int i;

    if (node->op != GRAPH_CONV_TRANSPOSE || node->conv.groups != 1 ||
        onednn_round_up(y->shape[1], builder->block) != y->shape[1])
        return false;
    for (i = 0; i < 2; i++)
        if (window->kernel[i] != window->stride[i] || window->dilation[i] != 1 || window->pad_begin[i] != 0 ||
            y->shape[2 + i] != x->shape[2 + i] * window->stride[i])
            return false;
    return true;
}

struct onednn_convolution plan_describe_convolution(const struct plan_builder *builder, const struct graph_node *node,
                                                    enum onednn_type dst_type)
{
    struct onednn_convolution convolution = {
        .src = plan_layout_to_read(builder, node->inputs[0]),
        .dst = plan_layout_of(builder, node->outputs[0]),
        .transposed = node->op == GRAPH_CONV_TRANSPOSE,
        .groups = node->conv.groups,
        .window = node->conv.window,
        .activation = node->conv.activation,
        .has_bias = has_input(node, 2),
        .has_residual = has_input(node, 3),
        .residual_first = node->op == GRAPH_CONV && node->conv.residual_first,
        .quantized = {.scales = node->conv.quantized},
    };
    const int integers = builder->values[node->outputs[0]].integers;
    int i;

    convolution.dst.type = dst_type;
    if (integers != GRAPH_NONE) {
        convolution.dst = plan_layout_of(builder, integers);
        BUG_ON(!graph_scale_of(builder->graph, &builder->graph->nodes[value_of(builder, integers)->producer],
                               &convolution.integers));
    }
    if (node->conv.quantized && convolution.has_residual)
        convolution.quantized.residual = plan_layout_of(builder, node->inputs[3]).type;
    if (plan_spreads_taps(builder, node)) {
        convolution.taps = convolution.window.kernel[0] * convolution.window.kernel[1];
        convolution.transposed = false;
        convolution.dst.channels *= convolution.taps;
        convolution.dst.height = convolution.src.height;
        convolution.dst.width = convolution.src.width;
        convolution.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    }
    /* What the output leaves off: oneDNN wants the padding that leads to exactly this size. */
    for (i = 0; i < 2; i++) {
        struct graph_window *window = &convolution.window;
        const int64_t from = i ? convolution.src.width : convolution.src.height;
        const int64_t to = i ? convolution.dst.width : convolution.dst.height;
        const int64_t reach = (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1;

        window->pad_end[i] = convolution.transposed
                                 ? (int32_t)((from - 1) * window->stride[i] + reach - to - window->pad_begin[i])
                                 : (int32_t)((to - 1) * window->stride[i] + reach - from - window->pad_begin[i]);
    }
    return convolution;
}

enum serin_errc plan_make_convolution(const struct plan_builder *builder, const struct graph_node *node,
                                      enum onednn_type dst_type, struct onednn_primitive **ret)
{
    struct onednn_convolution convolution = plan_describe_convolution(builder, node, dst_type);
    enum serin_errc rc;

    if (node->conv.quantized) { /* all channels together, and floats only in fp32 */
        convolution.dst.block = 0;
        if (!is_eight_bits(value_of(builder, node->outputs[0])->type))
            convolution.dst.type = ONEDNN_F32;
    }
    *ret = NULL;
    rc = onednn_convolution_new(&convolution, ret, builder->error);
    return rc == SERIN_UNSUPPORTED ? SERIN_OK : rc;
}

/* Weights in the type that the convolution takes them in, known beforehand. */
static bool has_weights(const struct plan_builder *builder, const struct graph_node *node)
{
    if (!has_input(node, 1))
        return false;
    if (node->op == GRAPH_CONV && node->conv.quantized)
        return value_of(builder, node->inputs[1])->constant;
    return is_constant_or_missing(builder, node, 1);
}

/* The integers that a convolution of floats may write in place of its result: nothing else is made of that. */
static int integers_of(const struct plan_builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);
    const struct graph_node *user;
    struct graph_scale scale;

    if (of->user_count != 1 || of->is_output || builder->plan->options.keep_count)
        return GRAPH_NONE;
    user = &builder->graph->nodes[builder->graph->users[of->first_user]];
    return user->op == GRAPH_QUANTIZE_LINEAR && user->inputs[0] == value &&
                   graph_scale_of(builder->graph, user, &scale) && of->type == GRAPH_F32
               ? user->outputs[0]
               : GRAPH_NONE;
}

/* One of our own kernels, which may write integers where they are what is asked for. */
static void choose_kernel(struct plan_builder *builder, int at, enum onednn_type type)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int *integers = &builder->values[node->outputs[0]].integers;
    struct onednn_convolution convolution;

    *integers = node->conv.quantized ? GRAPH_NONE : integers_of(builder, node->outputs[0]);
    if (*integers != GRAPH_NONE) {
        convolution = plan_describe_convolution(builder, node, type);
        builder->kernels[at] = kernel_convolution_for(&convolution);
        if (builder->kernels[at])
            return;
        *integers = GRAPH_NONE;
    }
    convolution = plan_describe_convolution(builder, node, type);
    builder->kernels[at] = kernel_convolution_for(&convolution);
}

static enum serin_errc choose_convolution(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const int *inputs = node->inputs;
    enum onednn_type type;

    if (!is_picture_shaped(value_of(builder, inputs[0])) || !is_picture_shaped(value_of(builder, node->outputs[0])) ||
        value_of(builder, inputs[0])->constant || !has_weights(builder, node) ||
        value_of(builder, inputs[1])->rank != 4 || !is_constant_or_missing(builder, node, 2) ||
        plan_is_mix(builder, node))
        return SERIN_OK;
    if (has_input(node, 3) &&
        plan_layout_to_read(builder, inputs[3]).block != (node->conv.quantized ? 0 : builder->block))
        return SERIN_OK;
    type = plan_layout_of(builder, node->outputs[0]).type;
    if (value_of(builder, inputs[0])->user_count == 1 && !node->conv.quantized &&
        !builder->values[inputs[0]].makes_picture)
        builder->values[inputs[0]].as_it_comes = true;
    choose_kernel(builder, at, type);
    if (!builder->kernels[at])
        builder->values[inputs[0]].as_it_comes = false;
    return builder->kernels[at] ? SERIN_OK : plan_make_convolution(builder, node, type, &builder->primitives[at]);
}

static enum serin_errc choose_pool(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct onednn_image src = builder->values[node->inputs[0]].layout,
                              dst = plan_layout_of(builder, node->outputs[0]);
    struct graph_window window = node->pool.window;
    enum serin_errc rc;
    int i;

    if (!is_picture_shaped(value_of(builder, node->outputs[0])))
        return SERIN_OK;
    for (i = 0; i < 2; i++) {
        const int64_t from = i ? src.width : src.height, to = i ? dst.width : dst.height;
        const int64_t reach = (int64_t)(window.kernel[i] - 1) * window.dilation[i] + 1;
        const int64_t end = (to - 1) * window.stride[i] + reach - from - window.pad_begin[i];

        /* ONNX does not count what rounding up adds to the padding, oneDNN does. */
        if (node->op == GRAPH_AVERAGE_POOL && end > window.pad_end[i] && node->pool.count_include_pad)
            return SERIN_OK;
        window.pad_end[i] = (int32_t)end;
    }
    rc = onednn_pool_new(node->op, node->pool.count_include_pad, &window, &src, &dst, &builder->primitives[at],
                         builder->error);
    return rc == SERIN_UNSUPPORTED ? SERIN_OK : rc;
}

/* Where each pixel of the source becomes a rectangle: floor(y / scale), however it is written. */
static bool is_plain_enlargement(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    const int64_t down = y->shape[2] / x->shape[2], across = y->shape[3] / x->shape[3];
    const bool by_two = y->shape[2] == 2 * x->shape[2] && y->shape[3] == 2 * x->shape[3];

    if (node->resize.mode != GRAPH_RESIZE_NEAREST || y->shape[0] != x->shape[0] || y->shape[1] != x->shape[1] ||
        y->shape[2] % x->shape[2] || y->shape[3] % x->shape[3])
        return false;
    if (node->resize.scales[2] != (float)down || node->resize.scales[3] != (float)across)
        return false;
    if (node->resize.coordinate == GRAPH_RESIZE_ASYMMETRIC)
        return node->resize.nearest == GRAPH_NEAREST_FLOOR ||
               (by_two && node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_FLOOR);
    return by_two && node->resize.coordinate == GRAPH_RESIZE_HALF_PIXEL &&
           (node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_FLOOR ||
            node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_CEIL);
}

int64_t plan_channel_slice(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    int d;

    for (d = 0; d < 4; d++)
        if (node->slice.step[d] != 1 || (d != 1 && y->shape[d] != x->shape[d]))
            return -1;
    return node->slice.begin[1];
}

bool plan_same_layout(const struct onednn_image *one, const struct onednn_image *other)
{
    return one->type == other->type && one->channels == other->channels && one->height == other->height &&
           one->width == other->width && one->block == other->block;
}

/* A convolution would take integers that are made of what is plain. */
static bool goes_to_convolution(const struct plan_builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);
    int i;

    for (i = 0; i < of->user_count; i++)
        if (builder->graph->nodes[builder->graph->users[of->first_user + i]].op == GRAPH_CONV)
            return true;
    return false;
}

/* Of nodes between numbers and integers, and of a table: their other inputs are constants. */
static bool scales_picture(const struct plan_builder *builder, const struct graph_node *node)
{
    struct graph_scale scale;

    if (!is_picture_shaped(value_of(builder, node->inputs[0])) || value_of(builder, node->inputs[0])->constant)
        return false;
    if (!builder->values[node->inputs[0]].makes_picture)
        return node->op == GRAPH_QUANTIZE_LINEAR && graph_scale_of(builder->graph, node, &scale) &&
               value_of(builder, node->inputs[0])->type == GRAPH_F32 && goes_to_convolution(builder, node->outputs[0]);
    return node->op == GRAPH_LOOKUP ||
           (graph_scale_of(builder->graph, node, &scale) &&
            (node->op == GRAPH_DEQUANTIZE_LINEAR || value_of(builder, node->inputs[0])->type == GRAPH_F32));
}

static enum serin_errc choose(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    enum serin_errc rc = SERIN_OK;
    bool all = node->input_count > 0, fits = false;
    int i;

    for (i = 0; i < node->input_count; i++)
        all = all && node->inputs[i] != GRAPH_NONE && builder->values[node->inputs[i]].makes_picture;
    if (node->op == GRAPH_CONV || node->op == GRAPH_CONV_TRANSPOSE) {
        rc = choose_convolution(builder, at);
        fits = builder->primitives[at] || builder->kernels[at];
    } else if (node->op == GRAPH_QUANTIZE_LINEAR || node->op == GRAPH_DEQUANTIZE_LINEAR || node->op == GRAPH_LOOKUP) {
        fits = scales_picture(builder, node);
    } else if (all && is_picture_shaped(value_of(builder, node->outputs[0]))) {
        const struct onednn_image *first = &builder->values[node->inputs[0]].layout;

        switch ((int)node->op) {
        case GRAPH_MAX_POOL:
        case GRAPH_AVERAGE_POOL:
            rc = choose_pool(builder, at);
            fits = builder->primitives[at];
            break;
        case GRAPH_CONCAT:
        case GRAPH_SPLIT:
            fits = node->axis.axis == 1;
            break;
        case GRAPH_SLICE:
            fits = plan_channel_slice(builder, node) >= 0;
            break;
        case GRAPH_RESIZE:
            fits = is_plain_enlargement(builder, node);
            break;
        case GRAPH_ADD:
        case GRAPH_MUL:
            fits = is_floats(first) && plan_same_layout(first, &builder->values[node->inputs[1]].layout);
            break;
        default:
            fits = is_floats(first) && kernel_knows_unary(node->op);
            break;
        }
    }
    if (!fits)
        return rc;
    builder->works_on_pictures[at] = true;
    for (i = 0; i < node->output_count; i++)
        if (node->outputs[i] != GRAPH_NONE) {
            builder->values[node->outputs[i]].makes_picture = true;
            builder->values[node->outputs[i]].layout = plan_layout_of(builder, node->outputs[i]);
        }
    return rc;
}

/* ---- bf16's end ---- */

/* Whether value goes to plain nodes only, perhaps in a concatenation that does (those have been looked at). */
static bool only_plain_users(const struct plan_builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);
    int i;

    for (i = 0; i < of->user_count; i++) {
        const int user = builder->graph->users[of->first_user + i];
        const struct graph_node *node = &builder->graph->nodes[user];

        if (builder->works_on_pictures[user] &&
            !(node->op == GRAPH_CONCAT && builder->values[node->outputs[0]].layout.type == ONEDNN_F32))
            return false;
    }
    return true;
}

static bool ends_in_convolution(const struct plan_builder *builder, int value)
{
    const int producer = value_of(builder, value)->producer;

    return producer != GRAPH_NONE && builder->works_on_pictures[producer] &&
           (builder->graph->nodes[producer].op == GRAPH_CONV) && !has_input(&builder->graph->nodes[producer], 3);
}

static void widen(struct plan_builder *builder)
{
    int at, i;

    for (at = builder->graph->node_count - 1; at >= 0; at--) {
        const struct graph_node *node = &builder->graph->nodes[at];
        bool wide = builder->works_on_pictures[at] && only_plain_users(builder, node->outputs[0]);

        if (node->op == GRAPH_CONCAT)
            for (i = 0; i < node->input_count && wide; i++)
                wide = ends_in_convolution(builder, node->inputs[i]) &&
                       value_of(builder, node->inputs[i])->user_count == 1;
        else
            wide = wide && ends_in_convolution(builder, node->outputs[0]);
        if (wide && builder->values[node->outputs[0]].layout.type == ONEDNN_BF16)
            builder->values[node->outputs[0]].layout.type = ONEDNN_F32;
    }
}

/* Concatenations of floats, all channels of a pixel together, that are made plain right away. */
static void make_plain(struct plan_builder *builder)
{
    int at;

    for (at = builder->graph->node_count - 1; at >= 0; at--) {
        const struct graph_node *node = &builder->graph->nodes[at];
        struct planned_value *y;

        if (!builder->works_on_pictures[at] || node->op != GRAPH_CONCAT)
            continue;
        y = &builder->values[node->outputs[0]];
        if (y->layout.block == 0 && is_floats(&y->layout) && only_plain_users(builder, node->outputs[0]))
            builder->works_on_pictures[at] = y->makes_picture = false;
    }
}

/* ---- parts that lie where they belong ---- */

/* Whether ranges of its channels are pieces of memory. */
static bool lies_in_blocks(const struct plan_builder *builder, int value)
{
    return builder->values[value].layout.block != 0;
}

static void place_parts(struct plan_builder *builder, const struct graph_node *node)
{
    const struct planned_value *whole = &builder->values[node->inputs[0]];
    int64_t channel = node->op == GRAPH_SLICE ? plan_channel_slice(builder, node) : 0;
    int i;

    for (i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == GRAPH_NONE)
            return; /* its size is not known: what comes behind is copied */
        if (!lies_in_blocks(builder, node->inputs[0])) {
            builder->values[node->outputs[i]].source = whole->source != GRAPH_NONE ? whole->source : node->inputs[0];
            builder->values[node->outputs[i]].source_channel = whole->source_channel + channel;
        } else if (channel % builder->block == 0 && channels_of(builder, node->outputs[i]) % builder->block == 0) {
            builder->values[node->outputs[i]].parent = node->inputs[0];
            builder->values[node->outputs[i]].parent_channel = channel;
        }
        channel += channels_of(builder, node->outputs[i]);
    }
}

/* The parts of whole that are inputs of concat, where they would lie if whole lay at channel: all of them are there
 * or whole cannot lie in it, because somebody else's channels would be in between. */
static bool concat_has_all(const struct plan_builder *builder, const struct graph_node *concat, int whole,
                           int64_t channel)
{
    int64_t offset = 0, covered = 0;
    int i;

    for (i = 0; i < concat->input_count; i++) {
        const struct planned_value *part = &builder->values[concat->inputs[i]];

        if (part->parent == whole && channel + part->parent_channel == offset)
            covered += channels_of(builder, concat->inputs[i]);
        offset += channels_of(builder, concat->inputs[i]);
    }
    return covered == channels_of(builder, whole);
}

static void place_inputs(struct plan_builder *builder, const struct graph_node *concat)
{
    int64_t channel = 0;
    int i;

    for (i = 0; i < concat->input_count; i++) {
        struct planned_value *part = &builder->values[concat->inputs[i]];

        if (part->parent != GRAPH_NONE) {
            struct planned_value *whole = &builder->values[part->parent];

            if (whole->parent == GRAPH_NONE && part->parent != concat->outputs[0] && whole->makes_picture &&
                channel >= part->parent_channel && (channel - part->parent_channel) % builder->block == 0 &&
                concat_has_all(builder, concat, part->parent, channel - part->parent_channel)) {
                whole->parent = concat->outputs[0];
                whole->parent_channel = channel - part->parent_channel;
            }
        } else if (channel % builder->block == 0 && channels_of(builder, concat->inputs[i]) % builder->block == 0) {
            part->parent = concat->outputs[0];
            part->parent_channel = channel;
        }
        channel += channels_of(builder, concat->inputs[i]);
    }
}

static void place_all(struct plan_builder *builder)
{
    int at;

    for (at = 0; at < builder->graph->node_count; at++) {
        const struct graph_node *node = &builder->graph->nodes[at];

        if (builder->works_on_pictures[at] && (node->op == GRAPH_SPLIT || node->op == GRAPH_SLICE))
            place_parts(builder, node);
    }
    /* The last concatenation first: the one before it may lie in it as a whole. */
    for (at = builder->graph->node_count - 1; at >= 0; at--) {
        const struct graph_node *node = &builder->graph->nodes[at];

        if (builder->works_on_pictures[at] && node->op == GRAPH_CONCAT && lies_in_blocks(builder, node->outputs[0]))
            place_inputs(builder, node);
    }
}

int plan_root_of(const struct plan_builder *builder, int value, int64_t *ret_channel)
{
    int64_t channel = 0;

    while (builder->values[value].parent != GRAPH_NONE) {
        channel += builder->values[value].parent_channel;
        value = builder->values[value].parent;
    }
    *ret_channel = channel;
    return value;
}

/* Half a sum that is enlarged before the other half is added to it. */
static void keep_halves_wide(struct plan_builder *builder)
{
    int at;

    for (at = 0; at < builder->graph->node_count; at++) {
        const struct graph_node *node = &builder->graph->nodes[at];

        if (node->op == GRAPH_CONV && node->conv.residual_first) {
            const struct graph_node *resize = &builder->graph->nodes[value_of(builder, node->inputs[3])->producer];

            builder->values[node->inputs[3]].wide = builder->values[resize->inputs[0]].wide = true;
        }
    }
}

/* The convolution of floats, with nothing added to it, of which value is the result that one node alone reads; NULL
 * where that is not so. */
static const struct graph_node *convolution_for_one(const struct plan_builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);
    const struct graph_node *node;

    if (of->producer == GRAPH_NONE || of->user_count != 1 || of->is_output)
        return NULL;
    node = &builder->graph->nodes[of->producer];
    return node->op == GRAPH_CONV && !node->conv.quantized && !has_input(node, 3) ? node : NULL;
}

/* What the last convolutions before distances read, and their weights: not of the largest picture, which takes three
 * times the time of all others, and whose distances count in the smallest units. */
static void keep_distributions_wide(struct plan_builder *builder)
{
    const struct graph *graph = builder->graph;
    uint64_t largest = 0;
    int at;

    for (at = 0; at < graph->node_count; at++)
        if (graph->nodes[at].op == GRAPH_EXPECTATION &&
            value_of(builder, graph->nodes[at].inputs[0])->element_count > largest)
            largest = value_of(builder, graph->nodes[at].inputs[0])->element_count;
    for (at = 0; at < graph->node_count; at++) {
        const int bins = graph->nodes[at].op == GRAPH_EXPECTATION ? graph->nodes[at].inputs[0] : GRAPH_NONE;
        const struct graph_node *last = bins == GRAPH_NONE ? NULL : convolution_for_one(builder, bins);

        if (last && value_of(builder, bins)->element_count < largest && convolution_for_one(builder, last->inputs[0]))
            builder->values[last->inputs[0]].wide = builder->values[bins].wide = true;
    }
}

enum serin_errc plan_choose(struct plan_builder *builder)
{
    enum serin_errc rc = SERIN_OK;
    int i;

    keep_halves_wide(builder);
    if (builder->block != 0) /* tiles of bf16 are ten times as fast as fp32 */
        keep_distributions_wide(builder);
    for (i = 0; i < builder->graph->node_count && rc == SERIN_OK; i++)
        rc = choose(builder, i);
    if (rc != SERIN_OK)
        return rc;
    if (builder->plan->options.precision == PLAN_BF16)
        widen(builder);
    make_plain(builder);
    place_all(builder);
    return SERIN_OK;
}
