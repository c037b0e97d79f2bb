/*
 * plan_forms.c - where a plan's values lie: buffers, steps that use them, and the forms that a value has.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A value has up to two forms: plain (row-major, fp32 or integers, as ONNX has it) and picture (the blocked layout of
 * onednn.h, fp32 or bf16). plan_choose.c says which one its node leaves; the other is made when somebody asks for it.
 */
#include "engine/plan_inside.h"

#include <stdlib.h>

/* ---- memory ---- */

enum serin_errc plan_add_buffer(struct plan_builder *builder, uint64_t bytes, struct plan_place *ret)
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

enum serin_errc plan_step_begin(struct plan_builder *builder, enum plan_step_kind kind, int node, int input_count,
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
                               .scratch = {.buffer = GRAPH_NONE},
                               .level = GRAPH_NONE};
    step->inputs = arena_new(&plan->arena, struct plan_place, (size_t)input_count);
    step->outputs = arena_new(&plan->arena, struct plan_place, (size_t)output_count);
    if (!step->inputs || !step->outputs)
        return no_memory(builder);
    *ret = step;
    return SERIN_OK;
}

void plan_step_end(struct plan_builder *builder)
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

enum serin_errc plan_picture_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
{
    int64_t channel;
    struct planned_value *planned = &builder->values[value],
                         *root = &builder->values[plan_root_of(builder, value, &channel)];
    enum serin_errc rc = SERIN_OK;

    if (!root->has_picture) {
        const size_t bytes = onednn_image_bytes(&root->layout);

        rc = plan_add_buffer(builder, (uint64_t)bytes * (uint64_t)value_of(builder, value)->shape[0], &root->picture);
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

void plan_lies_at(struct plan_builder *builder, int value, struct plan_place place)
{
    place.picture_bytes = plain_picture_bytes(value_of(builder, value));
    builder->values[value].plain = place;
    builder->values[value].has_plain = true;
}

int plan_picture_in_rows(const struct plan_builder *builder, int value, int axis)
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
            plan_picture_in_rows(builder, node->inputs[i], node->axis.axis) == GRAPH_NONE)
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
        if (product_of_sizes(of->shape, 0, axis) != 1 &&
            (axis != 1 || of->user_count != 1 || of->is_output || builder->plan->options.keep_count ||
             !is_made_of_pictures(builder, value)))
            continue;
        for (*ret_offset = 0, k = 0; concat->inputs[k] != value; k++)
            *ret_offset +=
                (size_t)product_of_sizes(value_of(builder, concat->inputs[k])->shape, axis, of->rank) * sizeof(float);
        return concat->outputs[0];
    }
    return GRAPH_NONE;
}

enum serin_errc plan_plain_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
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
        rc = plan_plain_to_write(builder, whole, &planned->plain);
        planned->plain.offset += offset;
        planned->has_plain = rc == SERIN_OK;
    } else {
        const struct graph_value *of = value_of(builder, value);

        rc = plan_add_buffer(builder, graph_value_bytes(of), &planned->plain);
        planned->has_plain = rc == SERIN_OK;
        planned->plain.picture_bytes = plain_picture_bytes(of);
    }
    *ret = planned->plain;
    return rc;
}

enum serin_errc plan_bytes_to_write(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc;

    BUG_ON(of->type != GRAPH_F32);
    rc = plan_add_buffer(builder, of->element_count, &planned->bytes);
    planned->has_bytes = rc == SERIN_OK;
    if (of->rank > 0 && of->shape[0] > 0)
        planned->bytes.picture_bytes = (size_t)(of->element_count / (uint64_t)of->shape[0]);
    *ret = planned->bytes;
    return rc;
}

enum serin_errc plan_add_reorder(struct plan_builder *builder, const struct onednn_image *src, struct plan_place from,
                                 const struct onednn_image *dst, struct plan_place to, int64_t pictures)
{
    struct plan_step *step = NULL;
    enum serin_errc rc = plan_step_begin(builder, STEP_PRIMITIVE, GRAPH_NONE, 1, 1, &step);

    if (rc == SERIN_OK)
        rc = onednn_reorder_new(src, dst, &step->primitive, builder->error);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->pictures = pictures;
    step->inputs[0] = from, step->outputs[0] = to;
    step->src = *src, step->dst = *dst;
    plan_step_end(builder);
    return SERIN_OK;
}

enum serin_errc plan_add_rows(struct plan_builder *builder, int picture, struct plan_place to, size_t row_stride)
{
    struct plan_place from;
    struct plan_step *step = NULL;
    enum serin_errc rc = plan_picture_to_read(builder, picture, &from);

    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, STEP_ROWS, GRAPH_NONE, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->pictures = value_of(builder, picture)->shape[0];
    step->inputs[0] = from, step->outputs[0] = to;
    step->src = builder->values[picture].layout;
    step->to_stride = row_stride;
    plan_step_end(builder);
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
    enum serin_errc rc = plan_plain_to_write(builder, value, ret);

    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, STEP_WIDEN_BYTES, GRAPH_NONE, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = builder->values[value].bytes, step->outputs[0] = *ret;
    step->count = (int64_t)value_of(builder, value)->element_count;
    plan_step_end(builder);
    return SERIN_OK;
}

enum serin_errc plan_plain_to_read(struct plan_builder *builder, int value, struct plan_place *ret)
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
        rc = plan_plain_to_read(builder, planned->flat, ret);
        if (rc == SERIN_OK)
            plan_lies_at(builder, value, *ret);
    } else if (!planned->has_plain && of->type == GRAPH_F32) {
        BUG_ON(!planned->has_picture && planned->source == GRAPH_NONE);
        rc = plan_plain_to_write(builder, value, ret);
        if (rc == SERIN_OK)
            rc = plan_add_rows(builder, value, planned->plain, (size_t)(of->shape[2] * of->shape[3]) * sizeof(float));
    } else if (!planned->has_plain) {
        struct onednn_image plain = planned->layout;
        struct plan_place from;

        BUG_ON(!planned->has_picture && planned->source == GRAPH_NONE);
        plain.type = plain_type(&planned->layout);
        plain.block = 1;
        rc = plan_picture_to_read(builder, value, &from);
        if (rc == SERIN_OK)
            rc = plan_plain_to_write(builder, value, ret);
        if (rc == SERIN_OK)
            rc = plan_add_reorder(builder, &planned->layout, from, &plain, planned->plain, of->shape[0]);
    }
    *ret = planned->plain;
    return rc;
}

enum serin_errc plan_add_copy(struct plan_builder *builder, int from, int64_t from_channel, int to, int64_t to_channel,
                              int64_t count, bool last)
{
    const struct planned_value *planned = &builder->values[from];
    struct plan_place src, dst;
    struct plan_step *step = NULL;
    enum serin_errc rc;

    if (planned->source != GRAPH_NONE) {
        from_channel += planned->source_channel;
        from = planned->source;
    }
    rc = plan_picture_to_read(builder, from, &src);
    if (rc == SERIN_OK)
        rc = plan_picture_to_write(builder, to, &dst);
    if (rc == SERIN_OK)
        rc = plan_step_begin(builder, STEP_COPY_CHANNELS, value_of(builder, to)->producer, 1, 1, &step);
    if (rc != SERIN_OK)
        return rc;
    BUG_ON(!step);
    step->inputs[0] = src, step->outputs[0] = dst;
    step->pictures = value_of(builder, to)->shape[0];
    step->src = builder->values[from].layout, step->dst = builder->values[to].layout;
    step->src_channel = from_channel, step->dst_channel = to_channel, step->count = count, step->last = last;
    plan_step_end(builder);
    return SERIN_OK;
}

enum serin_errc plan_picture_to_read(struct plan_builder *builder, int value, struct plan_place *ret)
{
    struct planned_value *planned = &builder->values[value];
    const struct graph_value *of = value_of(builder, value);
    enum serin_errc rc = SERIN_OK;

    if (!planned->has_picture && planned->source != GRAPH_NONE) {
        rc = plan_add_copy(builder, value, 0, value, 0, channels_of(builder, value), true);
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
        rc = plan_plain_to_read(builder, value, &from);
        if (rc == SERIN_OK && plan_same_layout(&plain, &layout) && from.buffer != GRAPH_NONE) {
            planned->picture = from;
            planned->has_picture = true;
        } else if (rc == SERIN_OK) {
            rc = plan_picture_to_write(builder, value, ret);
            if (rc == SERIN_OK)
                rc = plan_add_reorder(builder, &plain, from, &layout, planned->picture, of->shape[0]);
        }
    }
    *ret = planned->picture;
    return rc;
}
