/*
 * graph_shape.c - a graph for one set of input shapes: types and shapes of all values, and what is constant computed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One walk over the nodes in their order. A node whose inputs are all constants is computed at once, by graph_plain,
 * and leaves constants behind, so that the anchors, strides and shapes which exporters compute in the network are there
 * when the node that needs them is reached. Nodes that do nothing leave their input behind. All else is copied.
 *
 * One is never computed beforehand: DequantizeLinear, whose int8 weights an engine may want as they are.
 */
#include "engine/graph_inside.h"
#include "engine/graph_plain.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct shaper {
    const struct graph *source;
    struct graph *graph;
    int *map; /* value of source to value of graph, or GRAPH_NONE */
    uint64_t fold_bytes_left, fold_work_left;
    struct graph_draft draft; /* the node in work */
    struct graph_shape_of shapes[GRAPH_MAX_ARITY];
    const void *input_bytes[GRAPH_MAX_ARITY];
    void *output_bytes[GRAPH_MAX_ARITY];
    struct serin_error *error;
};

static enum serin_errc no_memory(struct shaper *shaper)
{
    return error_set(shaper->error, SERIN_NOMEM, "no memory for a graph of %d nodes", shaper->graph->node_count);
}

/* The value of graph that stands for one of source; constants come over when they are first asked for. */
static enum serin_errc mapped(struct shaper *shaper, int from, int *ret)
{
    const struct graph_value *value = &shaper->source->values[from];

    if (shaper->map[from] == GRAPH_NONE) {
        int to = graph_add_name(shaper->graph, value->name);

        BUG_ON(!value->constant); /* nodes are in order */
        if (to == GRAPH_NONE)
            return no_memory(shaper);
        shaper->graph->values[to] = *value;
        shaper->map[from] = to;
    }
    *ret = shaper->map[from];
    return SERIN_OK;
}

/* A constant that is computed here, counted against the limit; ret_bytes, untouched on errors, are to be filled. */
static enum serin_errc new_constant(struct shaper *shaper, int from, enum graph_type type, int rank,
                                    const int64_t *shape, void **ret_bytes)
{
    struct graph_value measured;
    enum serin_errc rc = graph_value_set(&measured, type, rank, shape, shaper->error);
    uint64_t bytes;
    int to;

    if (rc)
        return rc;
    bytes = graph_value_bytes(&measured);
    if (bytes > shaper->fold_bytes_left)
        return error_set(shaper->error, SERIN_LIMIT, "its constants take the computed ones beyond %" PRIu64 " bytes",
                         GRAPH_MAX_FOLD_BYTES);
    to = graph_add_constant(shaper->graph, type, rank, shape, ret_bytes);
    if (to == GRAPH_NONE)
        return no_memory(shaper);
    shaper->fold_bytes_left -= bytes;
    shaper->graph->values[to].name = shaper->source->values[from].name;
    shaper->map[from] = to;
    return SERIN_OK;
}

/* ---- nodes that are only there to make constants ---- */

static enum serin_errc shape_node(struct shaper *shaper, int output)
{
    const struct graph_node *node = &shaper->draft.node;
    const struct graph_value *x = &shaper->graph->values[node->inputs[0]];
    int begin = node->range.begin, end = node->range.end, rank = x->rank;
    int64_t sizes[GRAPH_MAX_RANK], count;
    enum serin_errc rc;
    void *bytes = NULL;

    begin = begin < 0 ? begin + rank : begin;
    end = end < 0 ? end + rank : end;
    begin = begin < 0 ? 0 : begin > rank ? rank : begin;
    end = end < 0 ? 0 : end > rank ? rank : end;
    count = end > begin ? end - begin : 0;
    memcpy(sizes, x->shape, sizeof(sizes));
    rc = new_constant(shaper, output, GRAPH_I64, 1, &count, &bytes);
    if (bytes && count)
        memcpy(bytes, sizes + begin, (size_t)count * sizeof(*sizes));
    return rc;
}

static enum serin_errc filled_node(struct shaper *shaper, int output)
{
    const struct graph_value *sizes = &shaper->graph->values[shaper->draft.node.inputs[0]], *fill;
    int constant = shaper->draft.node.constant;
    enum graph_type type = constant == GRAPH_NONE ? GRAPH_F32 : shaper->source->values[constant].type;
    size_t width = graph_type_bytes(type);
    uint64_t i, count;
    enum serin_errc rc;
    void *bytes = NULL;

    if (sizes->type != GRAPH_I64 || sizes->rank != 1 || sizes->shape[0] > GRAPH_MAX_RANK)
        return error_set(shaper->error, SERIN_UNSUPPORTED, "the shape is no list of at most %d int64", GRAPH_MAX_RANK);
    rc = new_constant(shaper, output, type, (int)sizes->shape[0], sizes->constant, &bytes);
    if (!bytes || constant == GRAPH_NONE) /* a new constant is all zero */
        return rc;
    fill = &shaper->source->values[constant];
    count = shaper->graph->values[shaper->map[output]].element_count;
    for (i = 0; i < count; i++)
        memcpy((uint8_t *)bytes + i * width, fill->constant, width);
    return SERIN_OK;
}

static double number(const struct graph_value *value)
{
    if (value->type == GRAPH_F32)
        return (double)*(const float *)value->constant;
    return value->type == GRAPH_I64 ? (double)*(const int64_t *)value->constant
                                    : (double)*(const int32_t *)value->constant;
}

static enum serin_errc range_node(struct shaper *shaper, int output)
{
    const int *inputs = shaper->draft.node.inputs;
    const struct graph_value *ends[3];
    enum graph_type type;
    double begin, end, step, count;
    int64_t size, i;
    enum serin_errc rc;
    void *bytes = NULL;

    BUG_ON(shaper->draft.node.input_count != 3);
    for (i = 0; i < 3; i++) {
        ends[i] = &shaper->graph->values[inputs[i]];
        if (ends[i]->element_count != 1 || ends[i]->type != ends[0]->type ||
            (ends[i]->type != GRAPH_F32 && ends[i]->type != GRAPH_I64 && ends[i]->type != GRAPH_I32))
            return error_set(shaper->error, SERIN_UNSUPPORTED, "input %d is not one fp32, int64 or int32 number",
                             (int)i);
    }
    type = ends[0]->type;
    begin = number(ends[0]);
    end = number(ends[1]);
    step = number(ends[2]);
    count = ceil((end - begin) / step);
    if (!(fabs(begin) <= 0x1p52 && fabs(end) <= 0x1p52 && fabs(step) <= 0x1p52 && fabs(count) <= 0x1p40))
        return error_set(shaper->error, SERIN_MODEL, "from %g to %g in steps of %g", begin, end, step);
    size = count > 0 ? (int64_t)count : 0;
    rc = new_constant(shaper, output, type, 1, &size, &bytes);
    for (i = 0; bytes && i < size; i++) {
        double x = begin + (double)i * step;

        if (type == GRAPH_F32)
            ((float *)bytes)[i] = (float)x;
        else if (type == GRAPH_I64)
            ((int64_t *)bytes)[i] = (int64_t)x;
        else
            ((int32_t *)bytes)[i] = (int32_t)x;
    }
    return rc;
}

/* ---- nodes ---- */

static bool all_constant(const struct shaper *shaper)
{
    const struct graph_node *node = &shaper->draft.node;
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GRAPH_NONE && !shaper->graph->values[node->inputs[i]].constant)
            return false;
    return true;
}

/* Whether what the node makes is little enough to compute it now. */
static bool is_cheap(const struct shaper *shaper)
{
    const struct graph_node *node = &shaper->draft.node;
    uint64_t bytes = 0, work = graph_node_work(shaper->graph, node);
    int i;

    for (i = 0; i < node->output_count; i++)
        bytes += graph_value_bytes(&shaper->graph->values[node->outputs[i]]);
    return bytes <= shaper->fold_bytes_left && work <= shaper->fold_work_left;
}

/* Computes the node, whose outputs are values by now, and makes them constants. */
static enum serin_errc fold(struct shaper *shaper)
{
    const struct graph_node *node = &shaper->draft.node;
    struct graph *graph = shaper->graph;
    enum serin_errc rc;
    int i;

    for (i = 0; i < node->input_count; i++)
        shaper->input_bytes[i] = node->inputs[i] == GRAPH_NONE ? NULL : graph->values[node->inputs[i]].constant;
    for (i = 0; i < node->output_count; i++) {
        uint64_t bytes = graph_value_bytes(&graph->values[node->outputs[i]]);

        shaper->output_bytes[i] = arena_alloc(&graph->arena, (size_t)bytes + 1, 1);
        if (!shaper->output_bytes[i])
            return no_memory(shaper);
        shaper->fold_bytes_left -= bytes;
    }
    shaper->fold_work_left -= graph_node_work(graph, node);
    rc = graph_plain_node(graph, node, shaper->input_bytes, shaper->output_bytes, shaper->error);
    if (rc)
        return rc;
    for (i = 0; i < node->output_count; i++)
        graph->values[node->outputs[i]].constant = shaper->output_bytes[i];
    return SERIN_OK;
}

/* Gives each output of the node in work its value. */
static enum serin_errc add_outputs(struct shaper *shaper, const struct graph_node *from)
{
    struct graph *graph = shaper->graph;
    enum serin_errc rc;
    int i;

    for (i = 0; i < from->output_count; i++) {
        const struct graph_shape_of *shape = &shaper->shapes[i];
        int value = graph_add_name(graph, shaper->source->values[from->outputs[i]].name);

        if (value == GRAPH_NONE)
            return no_memory(shaper);
        rc = graph_value_set(&graph->values[value], shape->type, shape->rank, shape->shape, shaper->error);
        if (rc)
            return rc;
        shaper->map[from->outputs[i]] = value;
        shaper->draft.outputs[i] = value;
    }
    return SERIN_OK;
}

static enum serin_errc take_node(struct shaper *shaper, const struct graph_node *from)
{
    struct graph_node *node = &shaper->draft.node;
    enum serin_errc rc;
    int i;

    BUG_ON(from->input_count < graph_op_arity(from->op).min_inputs); /* graph_read has looked */
    *node = *from;
    node->inputs = shaper->draft.inputs;
    node->outputs = shaper->draft.outputs;
    for (i = 0; i < from->input_count; i++) {
        node->inputs[i] = GRAPH_NONE;
        rc = from->inputs[i] == GRAPH_NONE ? SERIN_OK : mapped(shaper, from->inputs[i], &node->inputs[i]);
        if (rc)
            return rc;
    }
    switch (node->op) {
    case GRAPH_IDENTITY:
    case GRAPH_DROPOUT:
        shaper->map[from->outputs[0]] = node->inputs[0];
        return SERIN_OK;
    case GRAPH_CAST:
        if (shaper->graph->values[node->inputs[0]].type != node->to)
            break;
        shaper->map[from->outputs[0]] = node->inputs[0];
        return SERIN_OK;
    case GRAPH_SHAPE:
        return shape_node(shaper, from->outputs[0]);
    case GRAPH_CONSTANT_OF_SHAPE:
    case GRAPH_RANGE:
        if (!all_constant(shaper))
            return error_set(shaper->error, SERIN_UNSUPPORTED, "what it makes is only known when the picture is");
        return node->op == GRAPH_RANGE ? range_node(shaper, from->outputs[0]) : filled_node(shaper, from->outputs[0]);
    default:
        break;
    }
    rc = graph_infer(shaper->graph, node, shaper->shapes, shaper->error);
    if (rc == SERIN_OK)
        rc = add_outputs(shaper, from);
    if (rc)
        return rc;
    if (node->op != GRAPH_DEQUANTIZE_LINEAR && all_constant(shaper) && is_cheap(shaper))
        return fold(shaper);
    return graph_add_node(shaper->graph, node, shaper->error);
}

/* ---- the whole ---- */

static enum serin_errc take_inputs(struct shaper *shaper, const struct tensor *inputs)
{
    const struct graph *source = shaper->source;
    struct graph *graph = shaper->graph;
    char text[GRAPH_TEXT_BYTES];
    enum serin_errc rc;
    int i, j;

    for (i = 0; i < source->input_count; i++) {
        const struct graph_value *from = &source->values[source->inputs[i]];
        const struct tensor_spec *spec = &source->interface.inputs[i];
        bool fits = inputs[i].rank == spec->rank;
        int value;

        for (j = 0; fits && j < spec->rank; j++)
            fits = inputs[i].shape[j] > 0 && (spec->shape[j] == -1 || spec->shape[j] == inputs[i].shape[j]);
        if (!fits)
            return error_set(shaper->error, SERIN_INVALID, "input '%s' cannot be %s", spec->name,
                             graph_shape_text(inputs[i].rank, inputs[i].shape, text));
        value = graph_add_name(graph, from->name);
        if (value == GRAPH_NONE)
            return no_memory(shaper);
        rc = graph_value_set(&graph->values[value], from->type, spec->rank, inputs[i].shape, shaper->error);
        if (rc)
            return error_prefix(shaper->error, rc, "input '%s'", spec->name);
        shaper->map[source->inputs[i]] = value;
        graph->inputs[graph->input_count++] = value;
    }
    return SERIN_OK;
}

static enum serin_errc take_all(struct shaper *shaper, const struct tensor *inputs)
{
    const struct graph *source = shaper->source;
    struct graph *graph = shaper->graph;
    char text[GRAPH_TEXT_BYTES];
    enum serin_errc rc = take_inputs(shaper, inputs);
    int i;

    if (rc)
        return rc;
    for (i = 0; i < source->node_count; i++) {
        rc = take_node(shaper, &source->nodes[i]);
        if (rc)
            return error_prefix(shaper->error, rc, "%s", graph_node_text(&source->nodes[i], text));
    }
    for (i = 0; i < source->output_count; i++) {
        rc = mapped(shaper, source->outputs[i], &graph->outputs[i]);
        if (rc)
            return rc;
        graph->output_count++;
    }
    return graph_index(graph, shaper->error);
}

enum serin_errc graph_shape(const struct graph *graph, const struct tensor *inputs, struct graph **ret,
                            struct serin_error *error)
{
    struct shaper *shaper = calloc(1, sizeof(*shaper)); /* too large for the stack */
    enum serin_errc rc;
    int i;

    BUG_ON(graph->has_shapes);
    if (shaper) {
        shaper->map = malloc(((size_t)graph->value_count + 1) * sizeof(*shaper->map));
        /* Twice, since each constant is rounded up. */
        shaper->graph = graph_new(graph->arena.used_bytes + 2 * GRAPH_MAX_FOLD_BYTES);
    }
    if (!shaper || !shaper->map || !shaper->graph) {
        rc = error_set(error, SERIN_NOMEM, "no memory for a graph of %d nodes", graph->node_count);
    } else {
        for (i = 0; i < graph->value_count; i++)
            shaper->map[i] = GRAPH_NONE;
        shaper->source = graph;
        shaper->fold_bytes_left = GRAPH_MAX_FOLD_BYTES;
        shaper->fold_work_left = GRAPH_MAX_FOLD_WORK;
        shaper->error = error;
        shaper->graph->interface = graph->interface;
        shaper->graph->opset = graph->opset;
        shaper->graph->has_shapes = true;
        rc = take_all(shaper, inputs);
    }
    if (rc == SERIN_OK)
        *ret = shaper->graph;
    else if (shaper)
        graph_free(shaper->graph);
    if (shaper)
        free(shaper->map);
    free(shaper);
    return rc;
}
