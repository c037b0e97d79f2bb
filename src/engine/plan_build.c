/*
 * plan_build.c - writes a plan's steps down, node by node.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A value has up to two forms: plain (row-major, fp32 or integers, as ONNX has it) and picture (the blocked layout of
 * onednn.h, fp32 or bf16). plan_choose.c says which one its node leaves; the other is made when somebody asks for it.
 */
#include "engine/plan_inside.h"

#include "base/siphash.h"
#include "engine/graph_fuse.h"
#include "engine/plan_kernels.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static enum serin_errc add_buffer(struct plan_builder *builder, uint64_t bytes, struct plan_place *ret)
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

static void touch(struct plan_builder *builder, const struct plan_place *place)
{
    struct plan *plan = builder->plan;

    if (place->buffer != GRAPH_NONE && plan->buffers[place->buffer].last < plan->step_count)
        plan->buffers[place->buffer].last = plan->step_count;
}

/* Begins a step that step_end puts at the end of the list. */
static enum serin_errc step_begin(struct plan_builder *builder, enum plan_step_kind kind, int node, int input_count,
                                  int output_count, struct plan_step **ret)
{
    struct plan *plan = builder->plan;
    struct plan_step *step = NULL;

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

static void step_end(struct plan_builder *builder)
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

static enum serin_errc picture_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
{
    int64_t channel;
    struct planned_value *planned = &builder->values[value],
                         *root = &builder->values[plan_root_of(builder, value, &channel)];
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

/* From one picture to the next, where value is plain. */
static size_t plain_picture_bytes(const struct graph_value *value)
{
    const uint64_t bytes = graph_value_bytes(value);

    return (size_t)(value->rank > 0 && value->shape[0] > 0 ? bytes / (uint64_t)value->shape[0] : bytes);
}

/* value lies where something else does: its memory, with the strides of its own shape. */
static void lies_at(struct plan_builder *builder, int value, struct plan_place place)
{
    place.picture_bytes = plain_picture_bytes(value_of(builder, value));
    builder->values[value].plain = place;
    builder->values[value].has_plain = true;
}

static int64_t product(const int64_t *shape, int from, int to)
{
    int64_t all = 1;

    for (; from < to; from++)
        all *= shape[from];
    return all;
}

/* The picture of floats that value, which has no plain form yet, has the numbers of, in their order, where it can be
 * put into a concatenation over axis row by row; GRAPH_NONE where it cannot. */
static int picture_in_rows(const struct plan_builder *builder, int value, int axis)
{
    const int picture = builder->values[value].flat != GRAPH_NONE ? builder->values[value].flat : value;

    return (axis == 1 || axis == 2) && !builder->values[value].has_plain && !builder->values[picture].has_plain &&
                   builder->values[picture].makes_picture && value_of(builder, picture)->type == GRAPH_F32
               ? picture
               : GRAPH_NONE;
}

/* Whether value is a concatenation of nothing but pictures, each of which is written picture by picture of a batch. */
static bool is_made_of_pictures(const struct plan_builder *builder, int value)
{
    const int at = value_of(builder, value)->producer;
    const struct graph_node *node = &builder->graph->nodes[at];
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->op != GRAPH_CONCAT || builder->works_on_pictures[at] ||
            picture_in_rows(builder, node->inputs[i], node->axis.axis) == GRAPH_NONE)
            return false;
    return true;
}

/* The plain concatenation in whose memory value is written to begin with, and how many bytes into it: there it is one
 * piece, or one for each picture of a batch, which nobody but the concatenation reads. Not what oneDNN writes: it wants
 * its memory aligned. */
static int whole_of(const struct plan_builder *builder, int value, size_t *ret_offset)
{
    const struct graph_value *of = value_of(builder, value);
    int i, k;

    if (of->type != GRAPH_F32 || of->producer == GRAPH_NONE || builder->graph->nodes[of->producer].op == GRAPH_MATMUL)
        return GRAPH_NONE;
    for (i = 0; i < of->user_count; i++) {
        const int user = builder->graph->users[of->first_user + i];
        const struct graph_node *concat = &builder->graph->nodes[user];
        const int axis = concat->axis.axis;

        if (concat->op != GRAPH_CONCAT || builder->works_on_pictures[user])
            continue;
        if (product(of->shape, 0, axis) != 1 &&
            (axis != 1 || of->user_count != 1 || of->is_output || builder->plan->options.keep_count ||
             !is_made_of_pictures(builder, value)))
            continue;
        for (*ret_offset = 0, k = 0; concat->inputs[k] != value; k++)
            *ret_offset += (size_t)product(value_of(builder, concat->inputs[k])->shape, axis, of->rank) * sizeof(float);
        return concat->outputs[0];
    }
    return GRAPH_NONE;
}

static enum serin_errc plain_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    enum serin_errc rc = SERIN_OK;
    size_t offset;
    int whole;

    if (planned->has_plain) {
        *ret = planned->plain;
        return SERIN_OK;
    }
    whole = whole_of(builder, value, &offset);
    if (whole != GRAPH_NONE) {
        rc = plain_to_write(builder, whole, &planned->plain);
        planned->plain.offset += offset;
        planned->has_plain = rc == SERIN_OK;
    } else {
        const struct graph_value *of = value_of(builder, value);

        rc = add_buffer(builder, graph_value_bytes(of), &planned->plain);
        planned->has_plain = rc == SERIN_OK;
        planned->plain.picture_bytes = plain_picture_bytes(of);
    }
    *ret = planned->plain;
    return rc;
}

/* An input of fp32 as the caller has it: a byte each. */
static enum serin_errc bytes_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc;

    BUG_ON(of->type != GRAPH_F32);
    rc = add_buffer(builder, of->element_count, &planned->bytes);
    planned->has_bytes = rc == SERIN_OK;
    if (of->rank > 0 && of->shape[0] > 0)
        planned->bytes.picture_bytes = (size_t)(of->element_count / (uint64_t)of->shape[0]);
    *ret = planned->bytes;
    return rc;
}

static enum serin_errc picture_to_read(struct plan_builder *builder, int value, struct plan_place *ret);

/* A step that changes the layout: from src, which lies at from, to dst. */
static enum serin_errc add_reorder(struct plan_builder *builder, const struct onednn_image *src, struct plan_place from,
                                   const struct onednn_image *dst, struct plan_place to, int64_t pictures)
{
    struct plan_step *step = NULL;
    enum serin_errc rc = step_begin(builder, STEP_PRIMITIVE, GRAPH_NONE, 1, 1, &step);

    if (rc == SERIN_OK)
        rc = onednn_reorder_new(src, dst, &step->primitive, builder->error);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->pictures = pictures;
    step->inputs[0] = from, step->outputs[0] = to;
    step->src = *src, step->dst = *dst;
    step_end(builder);
    return SERIN_OK;
}

/* A step that makes a picture of floats plain, its rows row_stride bytes from each other. */
static enum serin_errc add_rows(struct plan_builder *builder, int picture, struct plan_place to, size_t row_stride)
{
    struct plan_place from;
    struct plan_step *step = NULL;
    enum serin_errc rc = picture_to_read(builder, picture, &from);

    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_ROWS, GRAPH_NONE, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->pictures = value_of(builder, picture)->shape[0];
    step->inputs[0] = from, step->outputs[0] = to;
    step->src = builder->values[picture].layout;
    step->to_stride = row_stride;
    step_end(builder);
    return SERIN_OK;
}

/* bf16 is a picture's only; integers are the same in both forms. */
static enum onednn_type plain_type(const struct onednn_image *layout)
{
    return layout->type == ONEDNN_BF16 ? ONEDNN_F32 : layout->type;
}

/* A step that makes floats of an input that comes as bytes. */
static enum serin_errc add_widening(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct plan_step *step = NULL;
    enum serin_errc rc = plain_to_write(builder, value, ret);

    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_WIDEN_BYTES, GRAPH_NONE, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = builder->values[value].bytes, step->outputs[0] = *ret;
    step->count = (int64_t)value_of(builder, value)->element_count;
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc plain_to_read(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc = SERIN_OK;

    if (of->constant) {
        *ret = (struct plan_place){
            .buffer = GRAPH_NONE, .constant = of->constant, .picture_bytes = plain_picture_bytes(of)};
        return SERIN_OK;
    }
    if (!planned->has_plain && planned->has_bytes)
        return add_widening(builder, value, ret);
    if (!planned->has_plain && planned->flat != GRAPH_NONE) {
        rc = plain_to_read(builder, planned->flat, ret);
        if (rc == SERIN_OK)
            lies_at(builder, value, *ret);
    } else if (!planned->has_plain && of->type == GRAPH_F32) {
        BUG_ON(!planned->has_picture && planned->source == GRAPH_NONE);
        rc = plain_to_write(builder, value, ret);
        if (rc == SERIN_OK)
            rc = add_rows(builder, value, planned->plain, (size_t)(of->shape[2] * of->shape[3]) * sizeof(float));
    } else if (!planned->has_plain) {
        struct onednn_image plain = planned->layout;
        struct plan_place from;

        BUG_ON(!planned->has_picture && planned->source == GRAPH_NONE);
        plain.type = plain_type(&planned->layout);
        plain.block = 1;
        rc = picture_to_read(builder, value, &from);
        if (rc == SERIN_OK)
            rc = plain_to_write(builder, value, ret);
        if (rc == SERIN_OK)
            rc = add_reorder(builder, &planned->layout, from, &plain, planned->plain, of->shape[0]);
    }
    *ret = planned->plain;
    return rc;
}

/* Channels [from_channel, + count) of one picture to to_channel of another; last: nothing comes behind them. */
static enum serin_errc add_copy(struct plan_builder *builder, int from, int64_t from_channel, int to,
                                int64_t to_channel, int64_t count, bool last)
{
    const struct planned_value *planned = &builder->values[from];
    struct plan_place src, dst;
    struct plan_step *step = NULL;
    enum serin_errc rc;

    if (planned->source != GRAPH_NONE) {
        from_channel += planned->source_channel;
        from = planned->source;
    }
    rc = picture_to_read(builder, from, &src);
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, to, &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_COPY_CHANNELS, value_of(builder, to)->producer, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    step->inputs[0] = src, step->outputs[0] = dst;
    step->pictures = value_of(builder, to)->shape[0];
    step->src = builder->values[from].layout, step->dst = builder->values[to].layout;
    step->src_channel = from_channel, step->dst_channel = to_channel, step->count = count, step->last = last;
    step_end(builder);
    return SERIN_OK;
}

static enum serin_errc picture_to_read(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc = SERIN_OK;

    if (!planned->has_picture && planned->source != GRAPH_NONE) {
        rc = add_copy(builder, value, 0, value, 0, channels_of(builder, value), true);
    } else if (!planned->has_picture) {
        const struct onednn_image layout = plan_layout_to_read(builder, value);
        struct onednn_image plain = layout;
        struct plan_place from;

        BUG_ON(planned->makes_picture || planned->parent != GRAPH_NONE);
        plain.type = plain_type(&layout);
        plain.block = 1;
        planned->layout = layout;
        if (planned->as_it_comes && planned->has_bytes) {
            planned->picture = planned->bytes;
            planned->has_picture = true;
            *ret = planned->picture;
            return SERIN_OK;
        }
        rc = plain_to_read(builder, value, &from);
        if (rc == SERIN_OK && plan_same_layout(&plain, &layout) && from.buffer != GRAPH_NONE) {
            planned->picture = from;
            planned->has_picture = true;
        } else if (rc == SERIN_OK) {
            rc = picture_to_write(builder, value, ret);
            if (rc == SERIN_OK)
                rc = add_reorder(builder, &plain, from, &layout, planned->picture, of->shape[0]);
        }
    }
    *ret = planned->picture;
    return rc;
}

/* ---- steps on pictures ---- */

/* By content: weights that took a normalization in belong to one plan, and are another's all the same. */
static uint64_t digest_of(const struct graph_value *constant)
{
    static const uint64_t no_key[2] = {0, 0}; /* who makes two weights alike spoils a model of his own */
    const uint64_t key[2] = {siphash(no_key, constant->shape, (size_t)constant->rank * sizeof(constant->shape[0])),
                             constant->element_count};

    return siphash(key, constant->constant, (size_t)graph_value_bytes(constant));
}

/* step's convolution is by its kernel or its primitive. */
static enum serin_errc packed_weights(struct plan_builder *builder, const struct graph_value *constant,
                                      struct plan_step *step)
{
    const uint64_t digest = digest_of(constant);
    struct plan_weights *weights = builder->weights;
    enum serin_errc rc = SERIN_OK;
    void *bytes;
    size_t size;
    int i;

    for (i = 0; i < weights->count; i++)
        if (weights->packs[i].digest == digest && weights->packs[i].kernel == step->kernel &&
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
    if (!bytes)
        return no_memory(builder);
    if (step->kernel)
        step->kernel->pack(step->convolution, constant->constant, bytes);
    else
        rc = onednn_pack(step->primitive, constant->constant, bytes, builder->error);
    if (rc != SERIN_OK) {
        free(bytes);
        return rc;
    }
    weights->packs[weights->count++] =
        (struct plan_pack){digest, step->kernel, step->kernel ? NULL : onednn_primitive_share(step->primitive), bytes};
    step->weights = bytes;
    return SERIN_OK;
}

static enum serin_errc add_scratch(struct plan_builder *builder, struct plan_step *step)
{
    const size_t bytes =
        step->kernel ? step->kernel->scratch_bytes(step->convolution, step->pictures, builder->plan->options.threads)
                     : onednn_scratch_bytes(step->primitive);

    return bytes ? add_buffer(builder, bytes, &step->scratch) : SERIN_OK;
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

    if (builder->kernels[at] && builder->kernels[at]->pays(&described, value_of(builder, node->inputs[0])->shape[0])) {
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

    rc = picture_to_read(builder, node->inputs[0], &src);
    if (rc == SERIN_OK && has_residual)
        rc = picture_to_read(builder, node->inputs[3], &residual);
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, output, &dst);
    result = dst;
    taps = builder->values[output].layout;
    if (spreads && rc == SERIN_OK) {
        taps.height = value_of(builder, node->inputs[0])->shape[2];
        taps.width = value_of(builder, node->inputs[0])->shape[3];
        taps.channels *= (int64_t)node->conv.window.kernel[0] * node->conv.window.kernel[1];
        rc = add_buffer(builder, (uint64_t)onednn_image_bytes(&taps) * (uint64_t)pictures, &result);
        result.picture_bytes = onednn_image_bytes(&taps);
    }
    if (to_floats && rc == SERIN_OK) { /* all channels together, brought into blocks behind it */
        taps.type = ONEDNN_F32;
        taps.block = 0;
        rc = add_buffer(builder, (uint64_t)onednn_image_bytes(&taps) * (uint64_t)pictures, &result);
        result.picture_bytes = onednn_image_bytes(&taps);
    }
    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_PRIMITIVE, at, has_residual ? 2 : 1, 1, &step);
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
        rc = add_scratch(builder, step);
    step_end(builder); /* even where it failed: the plan owns the primitive */
    if (to_floats && rc == SERIN_OK)
        return add_reorder(builder, &taps, result, &builder->values[node->outputs[0]].layout, dst, pictures);
    if (!spreads || rc != SERIN_OK)
        return rc;
    rc = step_begin(builder, STEP_SPREAD_TAPS, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    step->pictures = pictures;
    step->inputs[0] = result, step->outputs[0] = dst;
    step->src = taps, step->dst = builder->values[node->outputs[0]].layout;
    step_end(builder);
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
        rc = picture_to_read(builder, node->inputs[i], &places[i]);
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, kind, at, node->input_count, 1, &step);
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
        rc = add_scratch(builder, step);
    }
    step_end(builder);
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
        rc = plain_to_read(builder, x, &src);
    } else {
        rc = picture_to_read(builder, x, &src);
    }
    if (rc == SERIN_OK)
        rc = picture_to_write(builder, node->outputs[0], &dst);
    if (rc == SERIN_OK)
        rc = step_begin(builder, kind, at, 1, 1, &step);
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
    step_end(builder);
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
            rc = add_copy(builder, input, 0, node->outputs[0], channel, count, i + 1 == node->input_count);
        }
        channel += count;
    }
    return rc == SERIN_OK ? picture_to_write(builder, node->outputs[0], &place) : rc;
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
            rc = picture_to_write(builder, output, &place);
        else if (builder->values[output].source == GRAPH_NONE)
            rc = add_copy(builder, node->inputs[0], channel, output, 0, channels_of(builder, output), true);
        channel += channels_of(builder, output);
    }
    return rc;
}

static enum serin_errc build_picture_node(struct plan_builder *builder, int at)
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

/* ---- steps on plain values ---- */

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
    enum serin_errc rc = step_begin(builder, STEP_CHUNKS, at, 1, 1, &step);

    if (rc != SERIN_OK)
        return rc;
    step->inputs[0] = from, step->outputs[0] = to;
    step->outer = outer;
    step->run_bytes = run_bytes, step->from_stride = from_stride, step->to_stride = to_stride;
    step_end(builder);
    return SERIN_OK;
}

/* What is not there to begin with is put there: pictures row by row, what is plain in runs of memory. */
static enum serin_errc build_plain_concat(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *y = value_of(builder, node->outputs[0]);
    const int axis = node->axis.axis;
    const int64_t outer = product(y->shape, 0, axis);
    const size_t element = graph_type_bytes(y->type), stride = (size_t)product(y->shape, axis, y->rank) * element;
    struct plan_place from, to;
    enum serin_errc rc = plain_to_write(builder, node->outputs[0], &to);
    int i;

    for (i = 0; i < node->input_count && rc == SERIN_OK; i++) {
        const struct graph_value *x = value_of(builder, node->inputs[i]);
        const size_t run = (size_t)product(x->shape, axis, x->rank) * element;
        const int picture = picture_in_rows(builder, node->inputs[i], axis);

        if (picture != GRAPH_NONE) {
            rc =
                add_rows(builder, picture, to,
                         (size_t)(axis == 1 ? product(x->shape, 2, x->rank) : product(y->shape, 2, y->rank)) * element);
        } else if (run) {
            rc = plain_to_read(builder, node->inputs[i], &from);
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
        lies_at(builder, output, from);
        return SERIN_OK;
    }
    rc = plain_to_write(builder, output, &to);
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
    const int64_t own = product(factor->shape, 0, factor->rank - 2);
    const int64_t all = product(product_of->shape, 0, product_of->rank - 2);

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
    matmul.batch = product(c->shape, 0, c->rank - 2);
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
        rc = add_scratch(builder, step);
    step_end(builder);
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
    step->outer = product(x->shape, 0, node->softmax.first);
    step->rows = product(x->shape, node->softmax.first, node->softmax.last);
    step->inner = product(x->shape, node->softmax.last, x->rank);
    step_end(builder);
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
    step_end(builder);
    return SERIN_OK;
}

/* Of a picture, or of rows that are plain already. */
static enum serin_errc build_expectation(struct plan_builder *builder, int at)
{
    const struct graph_node *node = &builder->graph->nodes[at];
    const struct graph_value *x = value_of(builder, node->inputs[0]);
    struct onednn_image layout = {ONEDNN_F32, x->shape[1], 1, product(x->shape, 2, x->rank), 1};
    struct plan_place from, to;
    struct plan_step *step = NULL;
    enum serin_errc rc;

    if (builder->values[node->inputs[0]].makes_picture) {
        layout = builder->values[node->inputs[0]].layout;
        rc = picture_to_read(builder, node->inputs[0], &from);
    } else {
        rc = plain_to_read(builder, node->inputs[0], &from);
    }
    if (rc == SERIN_OK)
        rc = plain_to_write(builder, node->outputs[0], &to);
    if (rc == SERIN_OK)
        rc = step_begin(builder, STEP_EXPECTATION, at, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = from, step->outputs[0] = to;
    step->pictures = x->shape[0];
    step->src = layout;
    step->rows = (int64_t)value_of(builder, node->inputs[1])->element_count;
    step->weights = value_of(builder, node->inputs[1])->constant;
    step_end(builder);
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
    step_end(builder);
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

static enum serin_errc build_plain_node(struct plan_builder *builder, int at)
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
        rc = plain_to_read(builder, node->inputs[0], &place);
        if (rc == SERIN_OK)
            lies_at(builder, node->outputs[0], place);
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
        step_end(builder);
    return rc;
}

/* ---- all together ---- */

/* What is asked for besides the outputs, behind everything else. */
static enum serin_errc build_kept(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    enum serin_errc rc = SERIN_OK;
    int i, v;

    for (i = 0; i < plan->options.keep_count && rc == SERIN_OK; i++) {
        const char *name = plan->options.keep[i];

        for (v = 0; v < builder->graph->value_count; v++)
            if (strcmp(value_of(builder, v)->name, name) == 0 && value_of(builder, v)->type == GRAPH_F32 &&
                (builder->values[v].has_picture || builder->values[v].has_plain ||
                 builder->values[v].source != GRAPH_NONE || builder->values[v].flat != GRAPH_NONE))
                break;
        if (v == builder->graph->value_count)
            return error_set(builder->error, SERIN_UNSUPPORTED, "'%.120s' is not there while the network runs", name);
        rc = plain_to_read(builder, v, &plan->kept[i]);
        plan->kept_counts[i] = value_of(builder, v)->element_count;
        if (rc == SERIN_OK && plan->kept[i].buffer != GRAPH_NONE)
            plan->buffers[plan->kept[i].buffer].last = PLAN_KEEP;
    }
    return rc;
}

static enum serin_errc build_all(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    struct graph *graph = builder->graph;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < graph->input_count && rc == SERIN_OK; i++) {
        if (i == 0 && plan->options.bytes)
            rc = bytes_to_write(builder, graph->inputs[i], &plan->inputs[i]);
        else
            rc = plain_to_write(builder, graph->inputs[i], &plan->inputs[i]);
        if (rc == SERIN_OK)
            plan->buffers[plan->inputs[i].buffer].last = 0;
    }
    if (rc == SERIN_OK)
        rc = plan_choose(builder);
    for (i = 0; i < graph->node_count && rc == SERIN_OK; i++)
        rc = builder->works_on_pictures[i] ? build_picture_node(builder, i) : build_plain_node(builder, i);
    for (i = 0; i < graph->output_count && rc == SERIN_OK; i++) {
        rc = plain_to_read(builder, graph->outputs[i], &plan->outputs[i]);
        if (rc == SERIN_OK && plan->outputs[i].buffer != GRAPH_NONE)
            plan->buffers[plan->outputs[i].buffer].last = PLAN_KEEP;
    }
    return rc == SERIN_OK ? build_kept(builder) : rc;
}

/* oneDNN's kernels with tiles take all channels together, and nothing else: it would run the others without tiles. */
static int64_t block_of_floats(const struct plan_options *options)
{
    if (options->layout == PLAN_FASTEST)
        return options->precision == PLAN_BF16 && onednn_has_amx() ? 0 : onednn_block();
    return options->layout == PLAN_TOGETHER ? 0 : onednn_block();
}

enum serin_errc plan_build(struct plan *plan, struct plan_weights *weights, struct serin_error *error)
{
    struct graph *graph = plan->graph;
    struct plan_builder builder = {
        .plan = plan, .graph = graph, .weights = weights, .block = block_of_floats(&plan->options), .error = error};
    enum serin_errc rc;
    int i;

    builder.values = calloc((size_t)graph->value_count + 1, sizeof(*builder.values));
    builder.works_on_pictures = calloc((size_t)graph->node_count + 1, sizeof(*builder.works_on_pictures));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    builder.primitives = calloc((size_t)graph->node_count + 1, sizeof(*builder.primitives));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    builder.kernels = calloc((size_t)graph->node_count + 1, sizeof(*builder.kernels));
    plan->inputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->input_count);
    plan->outputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->output_count);
    plan->kept = arena_new(&plan->arena, struct plan_place, (size_t)plan->options.keep_count);
    plan->kept_counts = arena_new(&plan->arena, uint64_t, (size_t)plan->options.keep_count);
    if (!builder.values || !builder.works_on_pictures || !builder.primitives || !builder.kernels || !plan->inputs ||
        !plan->outputs || !plan->kept || !plan->kept_counts) {
        rc = no_memory(&builder);
    } else {
        for (i = 0; i < graph->value_count; i++)
            builder.values[i].flat = builder.values[i].parent = builder.values[i].source = builder.values[i].integers =
                GRAPH_NONE;
        rc = build_all(&builder);
    }
    for (i = 0; builder.primitives && i < graph->node_count; i++)
        onednn_primitive_free(builder.primitives[i]);
    free(builder.values);
    free(builder.works_on_pictures);
    free(builder.primitives);
    free(builder.kernels);
    return rc;
}
