/*
 * graph.c - the table of operators, and what holds a graph together.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Values and nodes are arrays that grow, what they point to lies in the arena. Invariant: every index in a node is -1
 * or a value of the same graph, and a value's bytes never pass GRAPH_MAX_VALUE_BYTES.
 */
#include "engine/graph_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct operator_row {
    const char *name;
    struct graph_arity arity;
    enum graph_kind kind;
} operators[GRAPH_OP_COUNT] = {[GRAPH_REMOVED] = {"(removed)", {0, 0, 0, 0}, GRAPH_KIND_FUSED},
#define X(enumerator, name, min_in, max_in, min_out, max_out, kind)                                                    \
    [GRAPH_##enumerator] = {name, {min_in, max_in, min_out, max_out}, GRAPH_KIND_##kind},
                               GRAPH_OPERATORS(X)
#undef X
};

const char *graph_op_name(enum graph_op op)
{
    return operators[op].name;
}

enum graph_kind graph_op_kind(enum graph_op op)
{
    return operators[op].kind;
}

bool graph_op_is_unary(enum graph_op op)
{
    return operators[op].kind == GRAPH_KIND_UNARY || op == GRAPH_SILU;
}

struct graph_arity graph_op_arity(enum graph_op op)
{
    return operators[op].arity;
}

enum graph_op graph_op_find(struct slice name)
{
    int op;

    for (op = 0; op < GRAPH_OP_COUNT; op++)
        if (operators[op].kind != GRAPH_KIND_FUSED && slice_is(name, operators[op].name))
            return (enum graph_op)op;
    return GRAPH_REMOVED;
}

/* ---- types and texts ---- */

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [GRAPH_F32] = {"fp32", 4}, [GRAPH_I64] = {"int64", 8}, [GRAPH_I32] = {"int32", 4},
    [GRAPH_U8] = {"uint8", 1}, [GRAPH_I8] = {"int8", 1},   [GRAPH_BOOL] = {"bool", 1},
};

const char *graph_type_name(enum graph_type type)
{
    return types[type].name;
}

size_t graph_type_bytes(enum graph_type type)
{
    return types[type].bytes;
}

uint64_t graph_value_bytes(const struct graph_value *value)
{
    return value->element_count * types[value->type].bytes;
}

const char *graph_node_text(const struct graph_node *node, char *text)
{
    snprintf(text, GRAPH_TEXT_BYTES, "node '%.120s' (%s)", node->name, graph_op_name(node->op));
    return text;
}

const char *graph_shape_text(int rank, const int64_t *shape, char *text)
{
    size_t used = 0;
    int i;

    snprintf(text, GRAPH_TEXT_BYTES, "one number");
    for (i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, GRAPH_TEXT_BYTES - used, "%s%" PRId64, i ? "x" : "", shape[i]);
    return text;
}

/* ---- graphs ---- */

struct graph *graph_new(uint64_t max_bytes)
{
    struct graph *graph = calloc(1, sizeof(*graph));

    if (graph)
        arena_init(&graph->arena, (size_t)max_bytes);
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    arena_done(&graph->arena);
    free(graph->values);
    free(graph->nodes);
    free(graph->users);
    free(graph);
}

/* Makes room for one more element of size bytes. */
static bool grow(void **elements, int count, int *capacity, size_t size)
{
    int wanted = *capacity ? *capacity * 2 : 64;
    void *grown;

    if (count < *capacity)
        return true;
    if (*capacity > INT32_MAX / 4)
        return false;
    grown = realloc(*elements, (size_t)wanted * size);
    if (!grown)
        return false;
    *elements = grown;
    *capacity = wanted;
    return true;
}

int graph_add_name(struct graph *graph, const char *name)
{
    void *values = graph->values;
    bool room = grow(&values, graph->value_count, &graph->value_capacity, sizeof(*graph->values));

    graph->values = values;
    if (!room || !values)
        return GRAPH_NONE;
    graph->values[graph->value_count] = (struct graph_value){.name = name, .rank = -1, .producer = GRAPH_NONE};
    return graph->value_count++;
}

enum serin_errc graph_value_set(struct graph_value *value, enum graph_type type, int rank, const int64_t *shape,
                                struct serin_error *error)
{
    uint64_t bytes = types[type].bytes, count = 1;
    char text[GRAPH_TEXT_BYTES];
    int i;

    if (rank < 0 || rank > GRAPH_MAX_RANK)
        return error_set(error, SERIN_LIMIT, "%d dimensions, the limit is %d", rank, GRAPH_MAX_RANK);
    for (i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return error_set(error, SERIN_MODEL, "a size of %s", graph_shape_text(rank, shape, text));
        if (__builtin_mul_overflow(bytes, (uint64_t)(shape[i] ? shape[i] : 1), &bytes) || bytes > GRAPH_MAX_VALUE_BYTES)
            return error_set(error, SERIN_LIMIT, "a tensor of %s %s, the limit is %" PRIu64 " bytes",
                             graph_shape_text(rank, shape, text), types[type].name, GRAPH_MAX_VALUE_BYTES);
        count *= (uint64_t)shape[i];
    }
    value->type = type;
    value->rank = rank;
    for (i = 0; i < GRAPH_MAX_RANK; i++)
        value->shape[i] = i < rank ? shape[i] : 0;
    value->element_count = count;
    return SERIN_OK;
}

int graph_add_value(struct graph *graph, enum graph_type type, int rank, const int64_t *shape)
{
    int value = graph_add_name(graph, "");

    if (value == GRAPH_NONE || graph_value_set(&graph->values[value], type, rank, shape, NULL))
        return GRAPH_NONE;
    return value;
}

int graph_add_constant(struct graph *graph, enum graph_type type, int rank, const int64_t *shape, void **ret_bytes)
{
    int value = graph_add_value(graph, type, rank, shape);
    void *bytes;

    if (value == GRAPH_NONE)
        return GRAPH_NONE;
    /* At least one byte, so that a constant without elements is one, too. */
    bytes = arena_alloc(&graph->arena, (size_t)graph_value_bytes(&graph->values[value]) + 1, 1);
    if (!bytes)
        return GRAPH_NONE;
    graph->values[value].constant = bytes;
    *ret_bytes = bytes;
    return value;
}

static int *copy_indices(struct graph *graph, const int *indices, int count)
{
    int *copy = arena_new(&graph->arena, int, (size_t)count);

    if (copy && count)
        memcpy(copy, indices, (size_t)count * sizeof(*copy));
    return copy;
}

bool graph_set_inputs(struct graph *graph, struct graph_node *node, int count, const int *inputs)
{
    int *copy = copy_indices(graph, inputs, count);

    if (!copy)
        return false;
    node->inputs = copy;
    node->input_count = count;
    return true;
}

enum serin_errc graph_add_node(struct graph *graph, const struct graph_node *node, struct serin_error *error)
{
    void *nodes = graph->nodes;
    bool room = grow(&nodes, graph->node_count, &graph->node_capacity, sizeof(*graph->nodes));
    struct graph_node copy = *node;

    graph->nodes = nodes;
    if (room)
        copy.outputs = copy_indices(graph, node->outputs, node->output_count);
    if (!room || !copy.outputs || !graph_set_inputs(graph, &copy, node->input_count, node->inputs))
        return error_set(error, SERIN_NOMEM, "no memory for a graph of %d nodes", graph->node_count);
    graph->nodes[graph->node_count++] = copy;
    return SERIN_OK;
}

/* ---- who makes and who uses what ---- */

static bool is_needed(const struct graph *graph, const struct graph_node *node, const bool *used)
{
    int i;

    for (i = 0; i < node->output_count; i++)
        if (used[node->outputs[i]] || graph->values[node->outputs[i]].is_output)
            return true;
    return false;
}

/* Backwards: a node is needed where one behind it that is needed takes what it makes. */
static bool drop_nodes(struct graph *graph)
{
    bool *used = calloc((size_t)graph->value_count + 1, sizeof(*used));
    int i, j, kept = 0;

    if (!used)
        return false;
    for (i = graph->node_count - 1; i >= 0; i--) {
        struct graph_node *node = &graph->nodes[i];

        if (node->op == GRAPH_REMOVED || !is_needed(graph, node, used)) {
            node->op = GRAPH_REMOVED;
            continue;
        }
        for (j = 0; j < node->input_count; j++)
            if (node->inputs[j] != GRAPH_NONE)
                used[node->inputs[j]] = true;
    }
    free(used);
    for (i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op != GRAPH_REMOVED)
            graph->nodes[kept++] = graph->nodes[i];
    graph->node_count = kept;
    return true;
}

enum serin_errc graph_index(struct graph *graph, struct serin_error *error)
{
    int i, j, total = 0;
    int *users;

    for (i = 0; i < graph->value_count; i++) {
        graph->values[i].is_output = false;
        graph->values[i].user_count = 0;
        graph->values[i].producer = GRAPH_NONE;
    }
    for (i = 0; i < graph->output_count; i++)
        graph->values[graph->outputs[i]].is_output = true;
    if (!drop_nodes(graph))
        return error_set(error, SERIN_NOMEM, "no memory for %d values", graph->value_count);
    for (i = 0; i < graph->node_count; i++)
        for (j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] != GRAPH_NONE) {
                graph->values[graph->nodes[i].inputs[j]].user_count++;
                total++;
            }
    users = malloc(((size_t)total + 1) * sizeof(*users));
    if (!users)
        return error_set(error, SERIN_NOMEM, "no memory for %d uses of values", total);
    free(graph->users);
    graph->users = users;
    for (i = 0, total = 0; i < graph->value_count; i++) {
        graph->values[i].first_user = total;
        total += graph->values[i].user_count;
        graph->values[i].user_count = 0;
    }
    for (i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];

        for (j = 0; j < node->output_count; j++)
            graph->values[node->outputs[j]].producer = i;
        for (j = 0; j < node->input_count; j++)
            if (node->inputs[j] != GRAPH_NONE) {
                struct graph_value *value = &graph->values[node->inputs[j]];

                users[value->first_user + value->user_count++] = i;
            }
    }
    return SERIN_OK;
}

/* ---- work ---- */

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t graph_node_work(const struct graph *graph, const struct graph_node *node)
{
    uint64_t elements = 0;
    const struct graph_value *x, *y;
    int i;

    /* Each element of each input and output is looked at, at least. */
    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GRAPH_NONE)
            elements += graph->values[node->inputs[i]].element_count + 1;
    for (i = 0; i < node->output_count; i++)
        elements += graph->values[node->outputs[i]].element_count + 1;
    if (node->input_count == 0 || node->inputs[0] == GRAPH_NONE)
        return elements;
    x = &graph->values[node->inputs[0]];
    y = &graph->values[node->outputs[0]];
    switch (node->op) {
    case GRAPH_CONV:
    case GRAPH_CONV_INTEGER: { /* a weight for each input channel of the group and each place of the kernel */
        const struct graph_value *weight = &graph->values[node->inputs[1]];

        return times(y->element_count, weight->element_count / (uint64_t)(weight->shape[0] ? weight->shape[0] : 1) + 1);
    }
    case GRAPH_CONV_TRANSPOSE: {
        const struct graph_value *weight = &graph->values[node->inputs[1]];

        return times(y->element_count, weight->element_count / (uint64_t)(weight->shape[1] ? weight->shape[1] : 1) + 1);
    }
    case GRAPH_MATMUL:
    case GRAPH_MATMUL_INTEGER:
        return times(y->element_count, (uint64_t)x->shape[x->rank - 1] + 1);
    case GRAPH_GEMM:
        return times(y->element_count, (uint64_t)x->shape[node->gemm.transpose_a ? 0 : 1] + 1);
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
        return times(y->element_count,
                     times((uint64_t)node->pool.window.kernel[0], (uint64_t)node->pool.window.kernel[1]));
    case GRAPH_TOP_K:
        return times(x->element_count, 1 + (uint64_t)y->shape[node->axis.axis]); /* one list, kept in order */
    case GRAPH_RESIZE:
        return times(elements, 8);
    default:
        return elements;
    }
}
