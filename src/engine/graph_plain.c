/*
 * graph_plain.c - which kernel an operator has, and a whole graph run node by node.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A value's memory is taken when its node comes, and given back after the last node that uses it.
 */
#include "engine/graph_plain_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static plain_kernel *kernel_of(enum graph_op op)
{
    static plain_kernel *const kernels[GRAPH_OP_COUNT] = {
        [GRAPH_CONV] = plain_conv,
        [GRAPH_CONV_INTEGER] = plain_conv_integer,
        [GRAPH_CONV_TRANSPOSE] = plain_conv_transpose,
        [GRAPH_MATMUL] = plain_matmul,
        [GRAPH_MATMUL_INTEGER] = plain_matmul_integer,
        [GRAPH_GEMM] = plain_gemm,
        [GRAPH_BATCH_NORMALIZATION] = plain_batch_normalization,
        [GRAPH_MAX_POOL] = plain_pool,
        [GRAPH_AVERAGE_POOL] = plain_pool,
        [GRAPH_RESIZE] = plain_resize,
        [GRAPH_SOFTMAX] = plain_softmax,
        [GRAPH_REDUCE_MAX] = plain_reduce,
        [GRAPH_REDUCE_MIN] = plain_reduce,
        [GRAPH_REDUCE_SUM] = plain_reduce,
        [GRAPH_REDUCE_MEAN] = plain_reduce,
        [GRAPH_ARG_MAX] = plain_arg_max,
        [GRAPH_TOP_K] = plain_top_k,
        [GRAPH_CONCAT] = plain_concat,
        [GRAPH_SPLIT] = plain_split,
        [GRAPH_SLICE] = plain_slice,
        [GRAPH_PAD] = plain_pad,
        [GRAPH_RESHAPE] = plain_reshape,
        [GRAPH_TRANSPOSE] = plain_transpose,
        [GRAPH_EXPAND] = plain_expand,
        [GRAPH_TILE] = plain_tile,
        [GRAPH_GATHER] = plain_gather,
        [GRAPH_GATHER_ELEMENTS] = plain_gather_elements,
        [GRAPH_GATHER_ND] = plain_gather_nd,
        [GRAPH_CAST] = plain_cast,
        [GRAPH_WHERE] = plain_where,
        [GRAPH_QUANTIZE_LINEAR] = plain_quantize,
        [GRAPH_DEQUANTIZE_LINEAR] = plain_dequantize,
        [GRAPH_DYNAMIC_QUANTIZE_LINEAR] = plain_dynamic_quantize,
        [GRAPH_LOOKUP] = plain_lookup,
        [GRAPH_EXPECTATION] = plain_expectation,
    };

    if (graph_op_is_unary(op))
        return plain_unary;
    return graph_op_kind(op) == GRAPH_KIND_BINARY ? plain_binary : kernels[op];
}

enum serin_errc graph_plain_node(const struct graph *graph, const struct graph_node *node, const void *const *inputs,
                                 void *const *outputs, struct serin_error *error)
{
    struct plain plain = {.graph = graph, .node = node, .inputs = inputs, .outputs = outputs, .error = error};
    plain_kernel *kernel = kernel_of(node->op);
    uint64_t elements = 0;
    int i;

    BUG_ON(!kernel);
    for (i = 0; i < node->output_count; i++)
        elements += graph->values[node->outputs[i]].element_count;
    return elements ? kernel(&plain) : SERIN_OK; /* so that no kernel divides by a size of 0 */
}

/* ---- whole graphs ---- */

struct run {
    const struct graph *graph;
    const void **bytes; /* by value: where it is, or NULL */
    void **owned;       /* the same where it is this run's memory */
    int *uses_left;     /* by value */
    uint64_t used_bytes, max_bytes;
    const void **inputs; /* of the node in work */
    void **outputs;
    struct serin_error *error;
};

static enum serin_errc take(struct run *run, int value)
{
    uint64_t bytes = graph_value_bytes(&run->graph->values[value]);

    if (bytes > run->max_bytes - run->used_bytes)
        return error_set(run->error, SERIN_LIMIT, "more than %" PRIu64 " bytes for the tensors of a network",
                         run->max_bytes);
    run->owned[value] = malloc((size_t)bytes + 1);
    if (!run->owned[value])
        return error_set(run->error, SERIN_NOMEM, "no memory for a tensor of %" PRIu64 " bytes", bytes);
    run->used_bytes += bytes;
    run->bytes[value] = run->owned[value];
    return SERIN_OK;
}

static void give_back(struct run *run, int value)
{
    if (!run->owned[value])
        return;
    free(run->owned[value]);
    run->owned[value] = NULL;
    run->bytes[value] = NULL;
    run->used_bytes -= graph_value_bytes(&run->graph->values[value]);
}

static enum serin_errc run_node(struct run *run, const struct graph_node *node)
{
    enum serin_errc rc;
    int i;

    for (i = 0; i < node->input_count; i++)
        run->inputs[i] = node->inputs[i] == GRAPH_NONE ? NULL : run->bytes[node->inputs[i]];
    for (i = 0; i < node->output_count; i++) {
        rc = take(run, node->outputs[i]);
        if (rc)
            return rc;
        run->outputs[i] = run->owned[node->outputs[i]];
    }
    rc = graph_plain_node(run->graph, node, run->inputs, run->outputs, run->error);
    if (rc)
        return error_prefix(run->error, rc, "node '%.120s' (%s)", node->name, graph_op_name(node->op));
    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GRAPH_NONE && --run->uses_left[node->inputs[i]] == 0)
            give_back(run, node->inputs[i]);
    for (i = 0; i < node->output_count; i++)
        if (run->uses_left[node->outputs[i]] == 0)
            give_back(run, node->outputs[i]);
    return SERIN_OK;
}

static enum serin_errc run_all(struct run *run, const void *const *inputs, void *const *outputs)
{
    const struct graph *graph = run->graph;
    enum serin_errc rc;
    int i;

    for (i = 0; i < graph->value_count; i++) {
        run->bytes[i] = graph->values[i].constant;
        run->uses_left[i] = graph->values[i].user_count + graph->values[i].is_output;
    }
    for (i = 0; i < graph->input_count; i++)
        run->bytes[graph->inputs[i]] = inputs[i];
    for (i = 0; i < graph->node_count; i++) {
        rc = run_node(run, &graph->nodes[i]);
        if (rc)
            return rc;
    }
    for (i = 0; i < graph->output_count; i++) {
        size_t bytes = (size_t)graph_value_bytes(&graph->values[graph->outputs[i]]);

        if (bytes)
            memcpy(outputs[i], run->bytes[graph->outputs[i]], bytes);
    }
    return SERIN_OK;
}

enum serin_errc graph_plain_run(const struct graph *graph, uint64_t max_bytes, const void *const *inputs,
                                void *const *outputs, struct serin_error *error)
{
    size_t count = (size_t)graph->value_count + 1;
    struct run run = {
        .graph = graph,
        .bytes = calloc(count, sizeof(*run.bytes)),
        .owned = calloc(count, sizeof(*run.owned)),
        .uses_left = calloc(count, sizeof(*run.uses_left)),
        .inputs = calloc(GRAPH_MAX_ARITY, sizeof(*run.inputs)),
        .outputs = calloc(GRAPH_MAX_ARITY, sizeof(*run.outputs)),
        .max_bytes = max_bytes,
        .error = error,
    };
    enum serin_errc rc;
    int i;

    BUG_ON(!graph->has_shapes);
    if (run.bytes && run.owned && run.uses_left && run.inputs && run.outputs)
        rc = run_all(&run, inputs, outputs);
    else
        rc = error_set(error, SERIN_NOMEM, "no memory to run a graph of %d values", graph->value_count);
    for (i = 0; run.owned && i < graph->value_count; i++)
        free(run.owned[i]);
    free(run.bytes);
    free(run.owned);
    free(run.uses_left);
    free(run.inputs);
    free(run.outputs);
    return rc;
}
