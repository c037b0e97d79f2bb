/*
 * plan_select.c - which steps need only be done where a detector's scores say that something is.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The last convolutions of a YOLO are branches: scores, boxes, and perhaps masks or keypoints. A caller who reads boxes
 * only where a score is above a threshold (struct engine_selection) needs no others, and they are a tenth of the work.
 * So the scores are made first, and what the other branches need for rows of pixels in which nothing is left out:
 *
 *     the output:    concatenation over the channels, of the scores among others
 *     the scores:    concatenation over the places, of each level's picture made flat: a convolution with a sigmoid
 *     the others:    what is made of a level's picture, row by row or with some rows around it, and nothing else uses
 *
 * Who uses what is found from the output backwards, operator by operator: an operator that is not known to keep places
 * apart needs all of what it reads. Of what is known, each place of a value depends on the same place of its inputs
 * only, or on a window of rows around it.
 */
#include "engine/plan_inside.h"

#include <stdlib.h>

/* ---- scores ---- */

static const struct graph_node *maker_of(const struct graph *graph, int value)
{
    const int producer = graph->values[value].producer;

    return producer == GRAPH_NONE ? NULL : &graph->nodes[producer];
}

/* Whether value is [n][channels][places], and is made of the levels of pictures that convolutions end with a sigmoid.
 */
static bool find_levels(const struct graph *graph, int value, struct plan_selectable *ret)
{
    const struct graph_node *join = maker_of(graph, value);
    int i;

    if (!join || join->op != GRAPH_CONCAT || join->axis.axis != 2 || graph->values[value].rank != 3 ||
        graph->values[value].type != GRAPH_F32 || join->input_count > PLAN_MAX_LEVELS)
        return false;
    for (i = 0; i < join->input_count; i++) {
        const struct graph_node *flatten = maker_of(graph, join->inputs[i]), *conv;
        const struct graph_value *flat = &graph->values[join->inputs[i]], *picture;

        if (!flatten || flatten->op != GRAPH_RESHAPE)
            return false;
        picture = &graph->values[flatten->inputs[0]];
        conv = maker_of(graph, flatten->inputs[0]);
        if (!conv || conv->op != GRAPH_CONV || conv->conv.activation.op != GRAPH_SIGMOID || picture->rank != 4 ||
            picture->shape[0] != flat->shape[0] || picture->shape[1] != flat->shape[1] || picture->element_count == 0)
            return false;
        ret->levels[i].scores = flatten->inputs[0];
    }
    ret->level_count = join->input_count;
    ret->pictures = graph->values[value].shape[0];
    return true;
}

/* Scores among the channels of value, which begin at channel of the output. Of two that could be scores, neither is. */
static int find_scores(const struct graph *graph, int value, int64_t channel, struct plan_selectable *ret,
                       int *ret_scores)
{
    const struct graph_node *concat = maker_of(graph, value);
    int i, found = 0;

    if (find_levels(graph, value, ret)) {
        *ret_scores = value;
        ret->first_score = channel;
        ret->score_count = graph->values[value].shape[1];
        return 1;
    }
    if (!concat || concat->op != GRAPH_CONCAT || concat->axis.axis != 1 || graph->values[value].rank != 3)
        return 0;
    for (i = 0; i < concat->input_count; i++) {
        found += find_scores(graph, concat->inputs[i], channel, ret, ret_scores);
        channel += graph->values[concat->inputs[i]].shape[1];
    }
    return found;
}

/* ---- needs ---- */

static void add_need(struct plan_builder *builder, int value, struct plan_need need)
{
    struct plan_need *known = &builder->needs[value];

    if (value_of(builder, value)->constant || need.kind == PLAN_NEEDS_NOTHING)
        return;
    if (known->kind == PLAN_NEEDS_NOTHING)
        *known = need;
    else if (known->kind != need.kind || known->level != need.level)
        known->kind = PLAN_NEEDS_ALL;
    else if (known->reach < need.reach)
        known->reach = need.reach;
}

/* What the users of a node's outputs need of them, together. */
static struct plan_need need_of(const struct plan_builder *builder, const struct graph_node *node)
{
    struct plan_need need = {.kind = PLAN_NEEDS_NOTHING};
    int i;

    for (i = 0; i < node->output_count; i++) {
        const struct plan_need *other = &builder->needs[node->outputs[i]];

        if (node->outputs[i] == GRAPH_NONE || other->kind == PLAN_NEEDS_NOTHING)
            continue;
        if (need.kind == PLAN_NEEDS_NOTHING)
            need = *other;
        else if (need.kind != other->kind || need.level != other->level)
            need.kind = PLAN_NEEDS_ALL;
        else if (need.reach < other->reach)
            need.reach = other->reach;
    }
    return need;
}

static bool is_picture_of(const struct plan_builder *builder, int value, int level)
{
    const struct graph_value *scores = value_of(builder, builder->plan->selectable.levels[level].scores);
    const struct graph_value *picture = value_of(builder, value);

    return picture->rank == 4 && picture->shape[0] == scores->shape[0] && picture->shape[2] == scores->shape[2] &&
           picture->shape[3] == scores->shape[3];
}

/* As many as a level's picture has pixels. */
static int64_t places_of(const struct plan_builder *builder, int level)
{
    const struct graph_value *scores = value_of(builder, builder->plan->selectable.levels[level].scores);

    return scores->shape[2] * scores->shape[3];
}

static int64_t last_of(const struct plan_builder *builder, int value)
{
    const struct graph_value *x = value_of(builder, value);

    return x->rank > 0 ? x->shape[x->rank - 1] : 0;
}

/* A concatenation of levels, in their order. */
static bool joins_levels(const struct plan_builder *builder, const struct graph_node *node)
{
    int i;

    if (node->axis.axis != value_of(builder, node->outputs[0])->rank - 1 ||
        node->input_count != builder->plan->selectable.level_count)
        return false;
    for (i = 0; i < node->input_count; i++)
        if (last_of(builder, node->inputs[i]) != places_of(builder, i))
            return false;
    return true;
}

/* Whether each place of node's output, and places are its last dimension, is made of that place of its inputs. */
static bool keeps_places(const struct plan_builder *builder, const struct graph_node *node)
{
    const struct graph_value *y = value_of(builder, node->outputs[0]);
    const int last = y->rank - 1;
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GRAPH_NONE && !value_of(builder, node->inputs[i])->constant &&
            last_of(builder, node->inputs[i]) != last_of(builder, node->outputs[0]))
            return false;
    if (graph_op_is_unary(node->op) || graph_op_kind(node->op) == GRAPH_KIND_BINARY)
        return true;
    switch ((int)node->op) {
    case GRAPH_RESHAPE:
        return true;
    case GRAPH_CONCAT:
    case GRAPH_SPLIT:
        return node->axis.axis != last;
    case GRAPH_SLICE:
        return node->slice.begin[last] == 0 && node->slice.step[last] == 1;
    case GRAPH_TRANSPOSE:
        return node->transpose.permutation[last] == last;
    default:
        return false;
    }
}

/* Rows of a picture around those that a convolution makes of it; -1 where there is another number of rows. Convolutions
 * compute KERNEL_ROWS of them together, and Winograd's mix what these depend on: none of it may be left out. */
static int64_t reach_of(const struct graph_node *node)
{
    const struct graph_window *w = &node->conv.window;
    const int64_t before = w->pad_begin[0], after = (int64_t)(w->kernel[0] - 1) * w->dilation[0] - before;

    if (w->stride[0] != 1 || w->stride[1] != 1 || before < 0 || after < 0)
        return -1;
    return onednn_round_up(before > after ? before : after, KERNEL_ROWS);
}

static void needs_of_rows(struct plan_builder *builder, const struct graph_node *node, struct plan_need need)
{
    const bool picture = is_picture_of(builder, node->outputs[0], need.level);
    struct plan_need first = need, rest = {.kind = PLAN_NEEDS_ALL};
    int i;

    if (picture && node->op == GRAPH_CONV) {
        const int64_t reach = reach_of(node);

        first.reach += reach;
        first.kind = reach < 0 ? PLAN_NEEDS_ALL : first.kind;
        rest = need; /* a residual */
    } else if (picture && (graph_op_is_unary(node->op) || node->op == GRAPH_LOOKUP ||
                           node->op == GRAPH_QUANTIZE_LINEAR || node->op == GRAPH_DEQUANTIZE_LINEAR)) {
        rest = first;
    } else if (node->op != GRAPH_EXPECTATION && node->op != GRAPH_RESHAPE) {
        first.kind = PLAN_NEEDS_ALL;
    }
    for (i = 0; i < node->input_count; i++) {
        struct plan_need of_input = {.kind = PLAN_NEEDS_ALL};

        if (node->inputs[i] == GRAPH_NONE)
            continue;
        if (is_picture_of(builder, node->inputs[i], need.level))
            of_input = i == 0 ? first : rest;
        add_need(builder, node->inputs[i], of_input);
    }
}

static void needs_of_node(struct plan_builder *builder, const struct graph_node *node)
{
    const struct plan_need need = need_of(builder, node);
    int i;

    if (need.kind == PLAN_NEEDS_ROWS) {
        needs_of_rows(builder, node, need);
        return;
    }
    for (i = 0; i < node->input_count; i++) {
        struct plan_need of_input = {.kind = PLAN_NEEDS_ALL};

        if (node->inputs[i] == GRAPH_NONE)
            continue;
        if (need.kind == PLAN_NEEDS_PLACES && node->op == GRAPH_CONCAT && joins_levels(builder, node))
            of_input = (struct plan_need){.kind = PLAN_NEEDS_ROWS, .level = i};
        else if (need.kind == PLAN_NEEDS_PLACES && keeps_places(builder, node))
            of_input = need;
        add_need(builder, node->inputs[i], of_input);
    }
}

/* ---- order ---- */

/* Nodes that rows are enough for, and what is made of those, behind everything else. */
static enum serin_errc move_behind(struct plan_builder *builder)
{
    struct graph *graph = builder->graph;
    struct graph_node *nodes = calloc((size_t)graph->node_count + 1, sizeof(*nodes));
    bool *late = calloc((size_t)graph->node_count + 1, sizeof(*late));
    enum serin_errc rc = SERIN_OK;
    int i, k, count = 0;

    if (!nodes || !late) {
        rc = no_memory(builder);
    } else {
        for (i = 0; i < graph->node_count; i++) {
            const struct graph_node *node = &graph->nodes[i];

            late[i] = need_of(builder, node).kind == PLAN_NEEDS_ROWS;
            for (k = 0; k < node->input_count && !late[i]; k++)
                late[i] = node->inputs[k] != GRAPH_NONE && value_of(builder, node->inputs[k])->producer != GRAPH_NONE &&
                          late[value_of(builder, node->inputs[k])->producer];
            if (!late[i])
                nodes[count++] = *node;
        }
        for (i = 0; i < graph->node_count; i++)
            if (late[i])
                nodes[count++] = graph->nodes[i];
        for (i = 0; i < count; i++)
            graph->nodes[i] = nodes[i];
        rc = graph_index(graph, builder->error);
    }
    free(nodes);
    free(late);
    return rc;
}

enum serin_errc plan_select_order(struct plan_builder *builder)
{
    struct plan_selectable *selectable = &builder->plan->selectable;
    const struct graph *graph = builder->graph;
    int i, scores = GRAPH_NONE;

    for (i = 0; i < graph->output_count; i++) {
        *selectable = (struct plan_selectable){.output = i};
        if (find_scores(graph, graph->outputs[i], 0, selectable, &scores) == 1 && scores != graph->outputs[i])
            break;
        selectable->level_count = 0;
    }
    if (selectable->level_count == 0)
        return SERIN_OK;
    for (i = 0; i < graph->output_count; i++)
        add_need(builder, graph->outputs[i],
                 (struct plan_need){.kind = i == selectable->output ? PLAN_NEEDS_PLACES : PLAN_NEEDS_ALL});
    add_need(builder, scores, (struct plan_need){.kind = PLAN_NEEDS_ALL});
    for (i = graph->node_count - 1; i >= 0; i--)
        needs_of_node(builder, &graph->nodes[i]);
    return move_behind(builder);
}

/* ---- steps ---- */

/* Whether the scores of a level lie where a run can look at them, from step before on. */
static bool can_be_seen(struct plan_builder *builder, struct plan_level *level, int before)
{
    const struct planned_value *scores = &builder->values[level->scores];
    struct plan_buffer *buffer;

    level->place = scores->picture;
    level->layout = scores->layout;
    if (!scores->has_picture || scores->layout.type != ONEDNN_F32 || scores->picture.buffer == GRAPH_NONE ||
        (scores->layout.block == 0 && scores->parent != GRAPH_NONE))
        return false;
    buffer = &builder->plan->buffers[scores->picture.buffer];
    if (buffer->last < before)
        buffer->last = before;
    return buffer->first < before;
}

void plan_select_steps(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    struct plan_selectable *selectable = &plan->selectable;
    bool seen = true;
    int i;

    selectable->first_step = plan->step_count;
    for (i = plan->step_count - 1; i >= 0 && selectable->level_count > 0; i--) {
        struct plan_step *step = &plan->steps[i];
        const struct plan_need *need;

        if ((step->kind != STEP_KERNEL || !step->kernel->takes_rows) && step->kind != STEP_EXPECTATION)
            continue;
        need = &builder->needs[builder->graph->nodes[step->node].outputs[0]];
        if (need->kind != PLAN_NEEDS_ROWS)
            continue;
        step->level = need->level;
        step->reach = need->reach;
        selectable->first_step = i;
    }
    for (i = 0; i < selectable->level_count; i++) {
        struct plan_level *level = &selectable->levels[i];

        seen = can_be_seen(builder, level, selectable->first_step) && seen;
        level->rows = selectable->row_count;
        selectable->row_count += (size_t)(selectable->pictures * level->layout.height);
    }
    selectable->level_count = seen ? selectable->level_count : 0;
}
