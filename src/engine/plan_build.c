/*
 * plan_build.c - decides for each node in which layout it works, and writes the steps down.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A value has up to two forms: plain (row-major, fp32 or integers, as ONNX has it) and picture (the blocked layout of
 * onednn.h, fp32 or bf16). Convolutions want pictures and leave one; what can work on pictures does where its inputs
 * are pictures already; everything else is plain. A form that is missing is made when somebody asks for it.
 *
 * In the blocked layout a range of channels is a piece of memory of its own. So the parts of a concatenation are
 * written where they belong to begin with (value->parent), and the parts of a split are where they are: neither takes
 * a step. What does not begin at a block is copied.
 *
 * bf16 ends where pictures do: a convolution whose result goes only to plain nodes (directly or in a concatenation)
 * writes fp32, since the boxes are computed from it.
 */
#include "engine/plan_inside.h"

#include "engine/graph_fuse.h"
#include "engine/plan_kernels.h"

#include <stdlib.h>
#include <string.h>

#define FEW_CHANNELS 3 /* a network's input is read in ONNX's own order: oneDNN has kernels for that */

struct planned_value {
    bool makes_picture;         /* its node leaves one */
    struct onednn_image layout; /* of the picture, once somebody needs it */
    int parent;                 /* value in whose picture this one lies, or GRAPH_NONE */
    int64_t parent_channel;
    bool has_picture, has_plain; /* by the steps up to now */
    struct plan_place picture, plain;
};

struct builder {
    struct plan *plan;
    struct graph *graph;
    struct plan_weights *weights;
    struct planned_value *values;
    bool *works_on_pictures;              /* by node */
    struct onednn_primitive **primitives; /* of convolutions and pools, until a step takes them over */
    int64_t block;
    struct serin_error *error;
};

static enum serin_errc no_memory(const struct builder *builder)
{
    return error_set(builder->error, SERIN_NOMEM, "no memory for a plan of %d nodes", builder->graph->node_count);
}

static const struct graph_value *value_of(const struct builder *builder, int value)
{
    return &builder->graph->values[value];
}

/* ---- layouts ---- */

static bool is_picture_shaped(const struct graph_value *value)
{
    return value->type == GRAPH_F32 && value->rank == 4 && value->element_count > 0;
}

static struct onednn_image layout_of(const struct builder *builder, int value)
{
    const struct graph_value *of = value_of(builder, value);

    return (struct onednn_image){
        .type = builder->plan->options.precision == PLAN_BF16 ? ONEDNN_BF16 : ONEDNN_F32,
        .channels = of->shape[1],
        .height = of->shape[2],
        .width = of->shape[3],
        .block = builder->block,
    };
}

/* The layout in which a convolution reads value: its own where it is a picture, else what it will be made into. */
static struct onednn_image layout_to_read(const struct builder *builder, int value)
{
    const struct planned_value *planned = &builder->values[value];
    struct onednn_image layout;

    if (planned->makes_picture || planned->has_picture)
        return planned->layout;
    layout = layout_of(builder, value);
    if (layout.channels <= FEW_CHANNELS)
        layout.block = 1;
    return layout;
}

static bool has_input(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

static bool is_constant_or_missing(const struct builder *builder, const struct graph_node *node, int input)
{
    return !has_input(node, input) || (value_of(builder, node->inputs[input])->constant &&
                                       value_of(builder, node->inputs[input])->type == GRAPH_F32);
}

/* A convolution over one pixel to one channel, of a plain value: the expectation in a head's distribution of distances.
 * It is a weighted sum of planes, and would be 15 empty channels in a picture. */
static bool is_mix(const struct builder *builder, const struct graph_node *node)
{
    const struct graph_value *weight;

    if (node->op != GRAPH_CONV || builder->values[node->inputs[0]].makes_picture || node->input_count > 3 ||
        node->conv.activation.op != GRAPH_REMOVED || !is_constant_or_missing(builder, node, 1) ||
        !is_constant_or_missing(builder, node, 2) || !is_picture_shaped(value_of(builder, node->inputs[0])))
        return false;
    weight = value_of(builder, node->inputs[1]);
    return weight->rank == 4 && weight->shape[0] == 1 && weight->shape[2] == 1 && weight->shape[3] == 1 &&
           node->conv.groups == 1 && node->conv.window.stride[0] == 1 && node->conv.window.stride[1] == 1 &&
           node->conv.window.pad_begin[0] == 0 && node->conv.window.pad_begin[1] == 0 &&
           node->conv.window.pad_end[0] == 0 && node->conv.window.pad_end[1] == 0;
}

/* Only a lack of memory is an error: otherwise *ret is NULL where oneDNN has nothing fast. */
static enum serin_errc make_convolution(const struct builder *builder, const struct graph_node *node,
                                        enum onednn_type dst_type, struct onednn_primitive **ret)
{
    struct onednn_convolution convolution = {
        .src = layout_to_read(builder, node->inputs[0]),
        .dst = layout_of(builder, node->outputs[0]),
        .transposed = node->op == GRAPH_CONV_TRANSPOSE,
        .groups = node->conv.groups,
        .window = node->conv.window,
        .activation = node->conv.activation,
        .has_bias = has_input(node, 2),
        .has_residual = has_input(node, 3),
    };
    enum serin_errc rc;
    int i;

    convolution.dst.type = dst_type;
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
    *ret = NULL;
    rc = onednn_convolution_new(&convolution, ret, builder->error);
    return rc == SERIN_UNSUPPORTED ? SERIN_OK : rc;
}

static enum serin_errc choose_convolution(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int *inputs = node->inputs;

    if (!is_picture_shaped(value_of(builder, inputs[0])) || !is_picture_shaped(value_of(builder, node->outputs[0])) ||
        value_of(builder, inputs[0])->constant || !has_input(node, 1) || !is_constant_or_missing(builder, node, 1) ||
        value_of(builder, inputs[1])->rank != 4 || !is_constant_or_missing(builder, node, 2) || is_mix(builder, node))
        return SERIN_OK;
    if (has_input(node, 3) && layout_to_read(builder, inputs[3]).block != builder->block)
        return SERIN_OK;
    return make_convolution(builder, node, layout_of(builder, node->outputs[0]).type, &builder->primitives[at]);
}

static enum serin_errc choose_pool(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct onednn_image src = builder->values[node->inputs[0]].layout, dst = layout_of(builder, node->outputs[0]);
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
static bool is_plain_enlargement(const struct builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    const bool by_two = y->shape[2] == 2 * x->shape[2] && y->shape[3] == 2 * x->shape[3];

    if (node->resize.mode != GRAPH_RESIZE_NEAREST || y->shape[0] != x->shape[0] || y->shape[1] != x->shape[1] ||
        y->shape[2] % x->shape[2] || y->shape[3] % x->shape[3])
        return false;
    if (node->resize.scales[2] != (float)(y->shape[2] / x->shape[2]) ||
        node->resize.scales[3] != (float)(y->shape[3] / x->shape[3]))
        return false;
    if (node->resize.coordinate == GRAPH_RESIZE_ASYMMETRIC)
        return node->resize.nearest == GRAPH_NEAREST_FLOOR ||
               (by_two && node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_FLOOR);
    return by_two && node->resize.coordinate == GRAPH_RESIZE_HALF_PIXEL &&
           (node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_FLOOR ||
            node->resize.nearest == GRAPH_NEAREST_ROUND_PREFER_CEIL);
}

/* The first channel of a slice that takes a range of channels and everything else whole; -1 for other slices. */
static int64_t channel_slice(const struct builder *builder, const struct graph_node *node)
{
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    int d;

    for (d = 0; d < 4; d++)
        if (node->slice.step[d] != 1 || (d != 1 && y->shape[d] != x->shape[d]))
            return -1;
    return node->slice.begin[1];
}

static bool same_layout(const struct onednn_image *one, const struct onednn_image *other)
{
    return one->type == other->type && one->channels == other->channels && one->height == other->height &&
           one->width == other->width && one->block == other->block;
}

static enum serin_errc choose(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    enum serin_errc rc = SERIN_OK;
    bool all = node->input_count > 0, fits = false;
    int i;

    for (i = 0; i < node->input_count; i++)
        all = all && node->inputs[i] != GRAPH_NONE && builder->values[node->inputs[i]].makes_picture;
    if (node->op == GRAPH_CONV || node->op == GRAPH_CONV_TRANSPOSE) {
        rc = choose_convolution(builder, at);
        fits = builder->primitives[at];
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
            fits = channel_slice(builder, node) >= 0;
            break;
        case GRAPH_RESIZE:
            fits = is_plain_enlargement(builder, node);
            break;
        case GRAPH_ADD:
        case GRAPH_MUL:
            fits = same_layout(first, &builder->values[node->inputs[1]].layout);
            break;
        default:
            fits = kernel_knows_unary(node->op);
            break;
        }
    }
    if (!fits)
        return rc;
    builder->works_on_pictures[at] = true;
    for (i = 0; i < node->output_count; i++)
        if (node->outputs[i] != GRAPH_NONE) {
            builder->values[node->outputs[i]].makes_picture = true;
            builder->values[node->outputs[i]].layout = layout_of(builder, node->outputs[i]);
        }
    return rc;
}

/* ---- bf16's end ---- */

/* Whether value goes to plain nodes only, perhaps in a concatenation that does (those have been looked at). */
static bool only_plain_users(const struct builder *builder, int value)
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

static bool ends_in_convolution(const struct builder *builder, int value)
{
    const int producer = value_of(builder, value)->producer;

    return producer != GRAPH_NONE && builder->works_on_pictures[producer] &&
           (builder->graph->nodes[producer].op == GRAPH_CONV) && !has_input(&builder->graph->nodes[producer], 3);
}

static void widen(struct builder *builder)
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
        if (wide)
            builder->values[node->outputs[0]].layout.type = ONEDNN_F32;
    }
}

/* ---- parts that lie where they belong ---- */

static int64_t channels_of(const struct builder *builder, int value)
{
    return value_of(builder, value)->shape[1];
}

static void place_parts(struct builder *builder, const struct graph_node *node)
{
    int64_t channel = node->op == GRAPH_SLICE ? channel_slice(builder, node) : 0;
    int i;

    for (i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == GRAPH_NONE)
            return; /* its size is not known: what comes behind is copied */
        if (channel % builder->block == 0 && channels_of(builder, node->outputs[i]) % builder->block == 0) {
            builder->values[node->outputs[i]].parent = node->inputs[0];
            builder->values[node->outputs[i]].parent_channel = channel;
        }
        channel += channels_of(builder, node->outputs[i]);
    }
}

/* The parts of whole that are inputs of concat, where they would lie if whole lay at channel: all of them are there
 * or whole cannot lie in it, because somebody else's channels would be in between. */
static bool concat_has_all(const struct builder *builder, const struct graph_node *concat, int whole, int64_t channel)
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

static void place_inputs(struct builder *builder, const struct graph_node *concat)
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

static void place_all(struct builder *builder)
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

        if (builder->works_on_pictures[at] && node->op == GRAPH_CONCAT)
            place_inputs(builder, node);
    }
}

/* The value in whose memory value lies in the end, and at which of its channels. */
static int root_of(const struct builder *builder, int value, int64_t *ret_channel)
{
    int64_t channel = 0;

    while (builder->values[value].parent != GRAPH_NONE) {
        channel += builder->values[value].parent_channel;
        value = builder->values[value].parent;
    }
    *ret_channel = channel;
    return value;
}

/* ---- memory ---- */

static enum serin_errc add_buffer(struct builder *builder, uint64_t bytes, struct plan_place *ret)
{
    struct plan *plan = builder->plan;

    if (bytes > PLAN_MAX_SLOT_BYTES)
        return error_set(builder->error, SERIN_LIMIT, "one value takes %llu bytes, the limit of a run is %llu",
                         (unsigned long long)bytes, (unsigned long long)PLAN_MAX_SLOT_BYTES);
    if (plan->buffer_count == plan->buffer_capacity) {
        const int capacity = plan->buffer_capacity ? 2 * plan->buffer_capacity : 256;
        struct plan_buffer *more = realloc(plan->buffers, (size_t)capacity * sizeof(*more));

        if (!more)
            return no_memory(builder);
        plan->buffers = more;
        plan->buffer_capacity = capacity;
    }
    plan->buffers[plan->buffer_count] =
        (struct plan_buffer){.bytes = (size_t)bytes, .first = plan->step_count, .last = plan->step_count};
    *ret = (struct plan_place){.buffer = plan->buffer_count++, .picture_bytes = (size_t)bytes};
    return SERIN_OK;
}

static void touch(struct builder *builder, const struct plan_place *place)
{
    struct plan *plan = builder->plan;

    if (place->buffer != GRAPH_NONE && plan->buffers[place->buffer].last < plan->step_count)
        plan->buffers[place->buffer].last = plan->step_count;
}

/* Begins a step that step_end puts at the end of the list. */
static enum serin_errc step_begin(struct builder *builder, enum plan_step_kind kind, int node, int input_count,
                                  int output_count, struct plan_step **ret)
{
    struct plan *plan = builder->plan;
    struct plan_step *step;

    if (plan->step_count == plan->step_capacity) {
        const int capacity = plan->step_capacity ? 2 * plan->step_capacity : 256;

        step = realloc(plan->steps, (size_t)capacity * sizeof(*step));
        if (!step)
            return no_memory(builder);
        plan->steps = step;
        plan->step_capacity = capacity;
    }
    step = &plan->steps[plan->step_count];
    *step = (struct plan_step){.kind = kind,
                               .node = node,
                               .pictures = 1,
                               .input_count = input_count,
                               .output_count = output_count,
                               .scratch = {.buffer = GRAPH_NONE}};
    step->inputs = arena_new(&plan->arena, struct plan_place, (size_t)input_count);
    step->outputs = arena_new(&plan->arena, struct plan_place, (size_t)output_count);
    if (!step->inputs || !step->outputs)
        return no_memory(builder);
    *ret = step;
    return SERIN_OK;
}

static void step_end(struct builder *builder)
{
    struct plan_step *step = &builder->plan->steps[builder->plan->step_count];
    int i;

    for (i = 0; i < step->input_count; i++)
        touch(builder, &step->inputs[i]);
    for (i = 0; i < step->output_count; i++)
        touch(builder, &step->outputs[i]);
    builder->plan->step_count++;
}

/* ---- forms of a value ---- */

static enum serin_errc picture_to_write(struct builder *builder, int value, struct plan_place *ret)
{
    int64_t channel;
    struct planned_value *planned = &builder->values[value],
                         *root = &builder->values[root_of(builder, value, &channel)];
    enum serin_errc rc = SERIN_OK;

    if (!root->has_picture) {
        const size_t bytes = onednn_image_bytes(&root->layout);

        rc = add_buffer(builder, (uint64_t)bytes * (uint64_t)value_of(builder, value)->shape[0], &root->picture);
        if (rc != SERIN_OK)
            return rc;
        root->picture.picture_bytes = bytes;
        root->has_picture = true;
    }
    if (planned != root) {
        planned->picture = root->picture;
        planned->picture.offset +=
            (size_t)(channel * root->layout.height * root->layout.width) * onednn_type_bytes(root->layout.type);
        planned->has_picture = true;
    }
    *ret = planned->picture;
    return rc;
}

static enum serin_errc plain_to_write(struct builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    enum serin_errc rc = SERIN_OK;

    if (!planned->has_plain) {
        const struct graph_value *of = value_of(builder, value);

        rc = add_buffer(builder, graph_value_bytes(of), &planned->plain);
        planned->has_plain = rc == SERIN_OK;
        if (of->rank > 0 && of->shape[0] > 0)
            planned->plain.picture_bytes = (size_t)(graph_value_bytes(of) / (uint64_t)of->shape[0]);
    }
    *ret = planned->plain;
    return rc;
}

/* A step that changes the layout: from src, which lies at from, to dst. */
static enum serin_errc add_reorder(struct builder *builder, const struct onednn_image *src, struct plan_place from,
                                   const struct onednn_image *dst, struct plan_place to, int64_t pictures)
{
    struct plan_step *step;
    enum serin_errc rc = step_begin(builder, STEP_PRIMITIVE, GRAPH_NONE, 1, 1, &step);

    if (rc == SERIN_OK)
        rc = onednn_reorder_new(src, dst, &step->primitive, builder->error);
    if (rc != SERIN_OK)
        return rc;
    step->pictures = pictures;
    step->inputs[0] = from, step->outputs[0] = to;
    step->src = *src, step->dst = *dst;
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc plain_to_read(struct builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc = SERIN_OK;

    if (of->constant) {
        *ret = (struct plan_place){.buffer = GRAPH_NONE, .constant = of->constant};
        return SERIN_OK;
    }
    if (!planned->has_plain) {
        struct onednn_image plain = planned->layout;

        BUG_ON(!planned->has_picture);
        plain.type = ONEDNN_F32;
        plain.block = 1;
        rc = plain_to_write(builder, value, ret);
        if (rc == SERIN_OK)
            rc = add_reorder(builder, &planned->layout, planned->picture, &plain, planned->plain, of->shape[0]);
    }
    *ret = planned->plain;
    return rc;
}

static enum serin_errc picture_to_read(struct builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc = SERIN_OK;

    if (!planned->has_picture) {
        const struct onednn_image layout = layout_to_read(builder, value);
        struct onednn_image plain = layout;
        struct plan_place from;

        BUG_ON(planned->makes_picture || planned->parent != GRAPH_NONE);
        plain.type = ONEDNN_F32;
        plain.block = 1;
        planned->layout = layout;
        rc = plain_to_read(builder, value, &from);
        if (rc == SERIN_OK && same_layout(&plain, &layout) && from.buffer != GRAPH_NONE) {
            planned->picture = from;
            planned->has_picture = true;
        } else if (rc == SERIN_OK) {
            from.picture_bytes = onednn_image_bytes(&plain);
            rc = picture_to_write(builder, value, ret);
            if (rc == SERIN_OK)
                rc = add_reorder(builder, &plain, from, &layout, planned->picture, of->shape[0]);
        }
    }
    *ret = planned->picture;
    return rc;
}

/* ---- steps on pictures ---- */

static enum serin_errc packed_weights(struct builder *builder, const struct graph_value *constant,
                                      struct onednn_primitive *primitive, const void **ret)
{
    struct plan_weights *weights = builder->weights;
    enum serin_errc rc;
    void *bytes;
    size_t size;
    int i;

    for (i = 0; i < weights->count; i++)
        if (weights->packs[i].constant == constant->constant &&
            onednn_packs_alike(weights->packs[i].packer, primitive)) {
            *ret = weights->packs[i].bytes;
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
    size = onednn_weights_bytes(primitive);
    bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!bytes)
        return no_memory(builder);
    rc = onednn_pack(primitive, constant->constant, bytes, builder->error);
    if (rc != SERIN_OK) {
        free(bytes);
        return rc;
    }
    weights->packs[weights->count++] = (struct plan_pack){constant->constant, onednn_primitive_share(primitive), bytes};
    *ret = bytes;
    return SERIN_OK;
}

static enum serin_errc add_scratch(struct builder *builder, struct plan_step *step)
{
    const size_t bytes = onednn_scratch_bytes(step->primitive);

    return bytes ? add_buffer(builder, bytes, &step->scratch) : SERIN_OK;
}

static enum serin_errc build_convolution(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const bool has_residual = has_input(node, 3);
    const enum onednn_type type = builder->values[node->outputs[0]].layout.type;
    struct plan_place src, residual = {.buffer = GRAPH_NONE}, dst;
    struct plan_step *step;
    enum serin_errc rc;
    float *bias;

    rc = picture_to_read(builder, node->inputs[0], &src);
    if (rc == SERIN_OK && has_residual)
        rc = picture_to_read(builder, node->inputs[3], &residual);
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_PRIMITIVE, at, has_residual ? 2 : 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    if (type != layout_of(builder, node->outputs[0]).type) { /* it was chosen before its result became fp32 */
        onednn_primitive_free(builder->primitives[at]);
        rc = make_convolution(builder, node, type, &builder->primitives[at]);
        if (rc == SERIN_OK && !builder->primitives[at])
            return error_set(builder->error, SERIN_UNSUPPORTED, "%s '%s': oneDNN does not write its result in fp32",
                             graph_op_name(node->op), node->name);
        if (rc != SERIN_OK)
            return rc;
    }
    step->primitive = builder->primitives[at];
    builder->primitives[at] = NULL;
    step->pictures = value_of(builder, node->inputs[0])->shape[0];
    step->inputs[0] = src, step->outputs[0] = dst;
    if (has_residual)
        step->inputs[1] = residual;
    step->src = builder->values[node->inputs[0]].layout, step->dst = builder->values[node->outputs[0]].layout;
    if (has_input(node, 2)) {
        const struct graph_value *constant = value_of(builder, node->inputs[2]);

        bias = arena_alloc(&builder->plan->arena, onednn_bias_count(step->primitive), sizeof(*bias));
        if (!bias)
            rc = no_memory(builder);
        else
            memcpy(bias, constant->constant, graph_value_bytes(constant));
        step->bias = bias;
    }
    if (rc == SERIN_OK)
        rc = packed_weights(builder, value_of(builder, node->inputs[1]), step->primitive, &step->weights);
    if (rc == SERIN_OK)
        rc = add_scratch(builder, step);
    step_end(builder); /* even where it failed: the plan owns the primitive */
    return rc;
}

/* A step that reads one or two pictures and writes one. */
static enum serin_errc build_on_pictures(struct builder *builder, int at, enum plan_step_kind kind)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place places[2], dst;
    struct plan_step *step;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++)
        rc = picture_to_read(builder, node->inputs[i], &places[i]);
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, kind, at, node->input_count, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    memcpy(step->inputs, places, (size_t)node->input_count * sizeof(places[0]));
    step->outputs[0] = dst;
    step->pictures = value_of(builder, node->outputs[0])->shape[0];
    step->src = builder->values[node->inputs[0]].layout, step->dst = builder->values[node->outputs[0]].layout;
    step->count = (int64_t)(onednn_image_bytes(&step->dst) / onednn_type_bytes(step->dst.type));
    if (kind == STEP_PRIMITIVE) {
        step->primitive = builder->primitives[at];
        builder->primitives[at] = NULL;
        rc = add_scratch(builder, step);
    }
    step_end(builder);
    return rc;
}

static enum serin_errc copy_channels(struct builder *builder, int at, int from, int64_t from_channel, int to,
                                     int64_t to_channel, int64_t count, bool last)
{
    struct plan_place src, dst;
    struct plan_step *step;
    enum serin_errc rc = picture_to_read(builder, from, &src);

    if (rc == SERIN_OK)
        rc = picture_to_write(builder, to, &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_COPY_CHANNELS, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    step->inputs[0] = src, step->outputs[0] = dst;
    step->pictures = value_of(builder, to)->shape[0];
    step->src = builder->values[from].layout, step->dst = builder->values[to].layout;
    step->src_channel = from_channel, step->dst_channel = to_channel, step->count = count, step->last = last;
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc build_concat(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int64_t channel = 0, base, lies;
    const int root = root_of(builder, node->outputs[0], &base);
    enum serin_errc rc = SERIN_OK;
    struct plan_place place;
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        const int input = node->inputs[i];

        if (root_of(builder, input, &lies) != root || lies != base + channel)
            rc = copy_channels(builder, at, input, 0, node->outputs[0], channel, channels_of(builder, input),
                               i + 1 == node->input_count);
        channel += channels_of(builder, input);
    }
    return rc == SERIN_OK ? picture_to_write(builder, node->outputs[0], &place) : rc;
}

static enum serin_errc build_parts(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    int64_t channel = node->op == GRAPH_SLICE ? channel_slice(builder, node) : 0;
    enum serin_errc rc = SERIN_OK;
    struct plan_place place;
    int i;

    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        const int output = node->outputs[i];

        if (output == GRAPH_NONE)
            return error_set(builder->error, SERIN_UNSUPPORTED, "%s '%s' leaves an output out", graph_op_name(node->op),
                             node->name);
        if (builder->values[output].parent == node->inputs[0])
            rc = picture_to_write(builder, output, &place);
        else
            rc = copy_channels(builder, at, node->inputs[0], channel, output, 0, channels_of(builder, output), true);
        channel += channels_of(builder, output);
    }
    return rc;
}

static enum serin_errc build_picture_node(struct builder *builder, int at)
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
    case GRAPH_ADD:
    case GRAPH_MUL:
        return build_on_pictures(builder, at, STEP_ADD_OR_MULTIPLY);
    default:
        return build_on_pictures(builder, at, STEP_UNARY_PICTURE);
    }
}

/* ---- steps on plain values ---- */

/* Everything that reads all its inputs and writes all its outputs whole. */
static enum serin_errc build_plain(struct builder *builder, int at, enum plan_step_kind kind, struct plan_step **ret)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place *places = calloc((size_t)(node->input_count + node->output_count), sizeof(*places));
    struct plan_step *step = NULL;
    enum serin_errc rc = places ? SERIN_OK : no_memory(builder);
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        places[i] = (struct plan_place){.buffer = GRAPH_NONE};
        if (node->inputs[i] != GRAPH_NONE)
            rc = plain_to_read(builder, node->inputs[i], &places[i]);
    }
    for (i = 0; i < node->output_count && rc == SERIN_OK; i++) {
        places[node->input_count + i] = (struct plan_place){.buffer = GRAPH_NONE};
        if (node->outputs[i] != GRAPH_NONE)
            rc = plain_to_write(builder, node->outputs[i], &places[node->input_count + i]);
    }
    if (rc == SERIN_OK)
        rc = step_begin(builder, kind, at, node->input_count, node->output_count, &step);
    if (rc == SERIN_OK) {
        memcpy(step->inputs, places, (size_t)node->input_count * sizeof(*places));
        memcpy(step->outputs, places + node->input_count, (size_t)node->output_count * sizeof(*places));
        step->count = (int64_t)value_of(builder, node->outputs[0])->element_count;
        *ret = step;
    }
    free(places);
    return rc;
}

static int64_t product(const int64_t *shape, int from, int to)
{
    int64_t all = 1;

    for (; from < to; from++)
        all *= shape[from];
    return all;
}

/* Runs of memory from one place to another: outer of them. */
static enum serin_errc add_chunks(struct builder *builder, int at, struct plan_place from, struct plan_place to,
                                  int64_t outer, size_t run_bytes, size_t from_stride, size_t to_stride)
{
    struct plan_step *step;
    enum serin_errc rc = step_begin(builder, STEP_CHUNKS, at, 1, 1, &step);

    if (rc != SERIN_OK)
        return rc;
    step->inputs[0] = from, step->outputs[0] = to;
    step->outer = outer;
    step->run_bytes = run_bytes, step->from_stride = from_stride, step->to_stride = to_stride;
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc build_plain_concat(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *y = value_of(builder, node->outputs[0]);
    const int axis = node->axis.axis;
    const int64_t outer = product(y->shape, 0, axis);
    const size_t element = graph_type_bytes(y->type), stride = (size_t)product(y->shape, axis, y->rank) * element;
    enum serin_errc rc = SERIN_OK;
    struct plan_place from, to;
    size_t offset = 0;
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        const struct graph_value *x = value_of(builder, node->inputs[i]);
        const size_t run = (size_t)product(x->shape, axis, x->rank) * element;

        rc = plain_to_read(builder, node->inputs[i], &from);
        if (rc == SERIN_OK)
            rc = plain_to_write(builder, node->outputs[0], &to);
        to.offset += offset;
        if (rc == SERIN_OK && run)
            rc = add_chunks(builder, at, from, to, outer, run, run, stride);
        offset += run;
    }
    return rc;
}

/* A run of indices of one dimension, whole in the others; begins at begin. */
static enum serin_errc build_plain_part(struct builder *builder, int at, int input, int output, int axis, int64_t begin)
{
    const struct graph_value *x = value_of(builder, input), *y = value_of(builder, output);
    const int64_t outer = product(x->shape, 0, axis), inner = product(x->shape, axis + 1, x->rank);
    const size_t element = graph_type_bytes(x->type);
    struct plan_place from, to;
    enum serin_errc rc = plain_to_read(builder, input, &from);

    if (rc != SERIN_OK)
        return rc;
    if (from.buffer == GRAPH_NONE)
        from.constant = (const char *)from.constant + (size_t)(begin * inner) * element;
    else
        from.offset += (size_t)(begin * inner) * element;
    if (outer == 1) { /* it is there already */
        builder->values[output].plain = from;
        builder->values[output].has_plain = true;
        return SERIN_OK;
    }
    rc = plain_to_write(builder, output, &to);
    if (rc == SERIN_OK)
        rc = add_chunks(builder, at, from, to, outer, (size_t)(y->shape[axis] * inner) * element,
                        (size_t)(x->shape[axis] * inner) * element, (size_t)(y->shape[axis] * inner) * element);
    return rc;
}

static enum serin_errc build_plain_split(struct builder *builder, int at)
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
static int sliced_axis(const struct builder *builder, const struct graph_node *node)
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
    const int64_t own = product(factor->shape, 0, factor->rank - 2);
    const int64_t all = product(product_of->shape, 0, product_of->rank - 2);

    *ret_repeats = own == 1 && all != 1;
    return own == 1 || own == all;
}

/* NULL where it is none that oneDNN takes. */
static enum serin_errc make_product(const struct builder *builder, const struct graph_node *node,
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
    matmul.batch = product(c->shape, 0, c->rank - 2);
    matmul.m = c->shape[c->rank - 2];
    matmul.n = c->shape[c->rank - 1];
    matmul.k = a->shape[a->rank - 1];
    rc = onednn_matmul_new(&matmul, ret, builder->error);
    return rc == SERIN_UNSUPPORTED ? SERIN_OK : rc;
}

static bool all_fp32(const struct builder *builder, const struct graph_node *node)
{
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] == GRAPH_NONE || value_of(builder, node->inputs[i])->type != GRAPH_F32)
            return false;
    return value_of(builder, node->outputs[0])->type == GRAPH_F32;
}

static enum serin_errc build_product(struct builder *builder, int at)
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
    step->primitive = primitive;
    if (primitive)
        rc = add_scratch(builder, step);
    step_end(builder);
    return rc;
}

static enum serin_errc build_softmax(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct plan_step *step;
    enum serin_errc rc = build_plain(builder, at, STEP_SOFTMAX, &step);

    if (rc != SERIN_OK)
        return rc;
    step->outer = product(x->shape, 0, node->softmax.first);
    step->rows = product(x->shape, node->softmax.first, node->softmax.last);
    step->inner = product(x->shape, node->softmax.last, x->rank);
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc build_mix(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct plan_step *step;
    enum serin_errc rc = build_plain(builder, at, STEP_MIX, &step);

    if (rc != SERIN_OK)
        return rc;
    step->outer = x->shape[0];
    step->rows = x->shape[1];
    step->inner = x->shape[2] * x->shape[3];
    step->weights = value_of(builder, node->inputs[1])->constant;
    step->bias = has_input(node, 2) ? value_of(builder, node->inputs[2])->constant : NULL;
    step_end(builder);
    return SERIN_OK;
}

/* x times the weights transposed, as exporters write a classifier's last layer. */
static bool is_dense(const struct builder *builder, const struct graph_node *node)
{
    const struct graph_value *y = value_of(builder, node->outputs[0]);

    return node->gemm.alpha == 1.0f && node->gemm.beta == 1.0f && !node->gemm.transpose_a && node->gemm.transpose_b &&
           value_of(builder, node->inputs[0])->type == GRAPH_F32 && y->type == GRAPH_F32 &&
           is_constant_or_missing(builder, node, 1) && is_constant_or_missing(builder, node, 2) &&
           (!has_input(node, 2) || value_of(builder, node->inputs[2])->element_count == (uint64_t)y->shape[1]);
}

static enum serin_errc build_dense(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]), *y = value_of(builder, node->outputs[0]);
    struct plan_step *step;
    enum serin_errc rc = build_plain(builder, at, STEP_DENSE, &step);

    if (rc != SERIN_OK)
        return rc;
    step->outer = x->shape[0];
    step->rows = x->shape[1];
    step->inner = y->shape[1];
    step->weights = value_of(builder, node->inputs[1])->constant;
    step->bias = has_input(node, 2) ? value_of(builder, node->inputs[2])->constant : NULL;
    step_end(builder);
    return SERIN_OK;
}

static enum plan_step_kind plain_kind(const struct builder *builder, const struct graph_node *node)
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

static enum serin_errc build_plain_node(struct builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    struct plan_place place;
    struct plan_step *step;
    enum serin_errc rc;
    int axis;

    switch ((int)node->op) {
    case GRAPH_RESHAPE:
        rc = plain_to_read(builder, node->inputs[0], &place);
        builder->values[node->outputs[0]].plain = place;
        builder->values[node->outputs[0]].has_plain = true;
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
        if (is_mix(builder, node))
            return build_mix(builder, at);
        break;
    default:
        break;
    }
    rc = build_plain(builder, at, plain_kind(builder, node), &step);
    if (rc == SERIN_OK)
        step_end(builder);
    return rc;
}

/* ---- all together ---- */

static enum serin_errc build_all(struct builder *builder)
{
    struct plan *plan = builder->plan;
    struct graph *graph = builder->graph;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < graph->input_count && rc == SERIN_OK; i++) {
        rc = plain_to_write(builder, graph->inputs[i], &plan->inputs[i]);
        if (rc == SERIN_OK)
            plan->buffers[plan->inputs[i].buffer].last = 0;
    }
    for (i = 0; i < graph->node_count && rc == SERIN_OK; i++)
        rc = choose(builder, i);
    if (rc != SERIN_OK)
        return rc;
    if (plan->options.precision == PLAN_BF16)
        widen(builder);
    place_all(builder);
    for (i = 0; i < graph->node_count && rc == SERIN_OK; i++)
        rc = builder->works_on_pictures[i] ? build_picture_node(builder, i) : build_plain_node(builder, i);
    for (i = 0; i < graph->output_count && rc == SERIN_OK; i++) {
        rc = plain_to_read(builder, graph->outputs[i], &plan->outputs[i]);
        if (rc == SERIN_OK && plan->outputs[i].buffer != GRAPH_NONE)
            plan->buffers[plan->outputs[i].buffer].last = PLAN_KEEP;
    }
    return rc;
}

enum serin_errc plan_build(struct plan *plan, struct plan_weights *weights, struct serin_error *error)
{
    struct graph *graph = plan->graph;
    struct builder builder = {
        .plan = plan, .graph = graph, .weights = weights, .block = onednn_block(), .error = error};
    enum serin_errc rc;
    int i;

    builder.values = calloc((size_t)graph->value_count + 1, sizeof(*builder.values));
    builder.works_on_pictures = calloc((size_t)graph->node_count + 1, sizeof(*builder.works_on_pictures));
    builder.primitives = calloc((size_t)graph->node_count + 1, sizeof(*builder.primitives));
    plan->inputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->input_count);
    plan->outputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->output_count);
    if (!builder.values || !builder.works_on_pictures || !builder.primitives || !plan->inputs || !plan->outputs) {
        rc = no_memory(&builder);
    } else {
        for (i = 0; i < graph->value_count; i++)
            builder.values[i].parent = GRAPH_NONE;
        rc = build_all(&builder);
    }
    for (i = 0; builder.primitives && i < graph->node_count; i++)
        onednn_primitive_free(builder.primitives[i]);
    free(builder.values);
    free(builder.works_on_pictures);
    free(builder.primitives);
    return rc;
}
