/*
 * fuzz_graph.c - fuzz target: bytes as a network, read, given shapes, and run where it is small.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/graph.h"
#include "engine/graph_plain.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORK  ((uint64_t)1 << 20) /* of a network that is run */
#define MAX_BYTES ((uint64_t)1 << 24)
#define FREE_SIZE 3 /* for dimensions that the file leaves free */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_error(enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_OK && (rc != error->code || error->message[0] == '\0'))
        abort();
}

/* What graph.h promises of every graph with shapes. */
static void check_graph(const struct graph *graph)
{
    int i, j;

    for (i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];

        if (graph_op_kind(node->op) == GRAPH_KIND_SOURCE || graph_node_work(graph, node) == 0)
            abort();
        for (j = 0; j < node->input_count; j++) {
            int value = node->inputs[j];

            if (value != GRAPH_NONE && (value < 0 || value >= graph->value_count ||
                                        graph->values[value].producer >= i || graph->values[value].rank < 0))
                abort();
        }
        for (j = 0; j < node->output_count; j++)
            if (graph->values[node->outputs[j]].producer != i || graph->values[node->outputs[j]].constant)
                abort();
    }
    for (i = 0; i < graph->value_count; i++)
        if (graph->values[i].rank >= 0 && graph_value_bytes(&graph->values[i]) > GRAPH_MAX_VALUE_BYTES)
            abort();
}

/* Buffers of 0x3f for the inputs: floats of .75, and indices that are far too large. */
static void run(const struct graph *graph)
{
    const void *inputs[ENGINE_MAX_TENSORS];
    void *buffers[2 * ENGINE_MAX_TENSORS] = {NULL}, **outputs = buffers + ENGINE_MAX_TENSORS;
    struct serin_error error = {.code = SERIN_OK};
    uint64_t work = 0, sizes = 0, node_work;
    int i;

    for (i = 0; i < graph->node_count; i++) {
        node_work = graph_node_work(graph, &graph->nodes[i]);
        work = node_work > MAX_WORK - work ? MAX_WORK : work + node_work;
    }
    for (i = 0; i < graph->input_count; i++)
        sizes += graph_value_bytes(&graph->values[graph->inputs[i]]);
    for (i = 0; i < graph->output_count; i++)
        sizes += graph_value_bytes(&graph->values[graph->outputs[i]]);
    if (work == MAX_WORK || sizes > MAX_BYTES)
        return;
    for (i = 0; i < graph->input_count + graph->output_count; i++) {
        bool in = i < graph->input_count;
        int value = in ? graph->inputs[i] : graph->outputs[i - graph->input_count];
        size_t count = (size_t)graph_value_bytes(&graph->values[value]);
        void *buffer = malloc(count + 1);

        if (!buffer)
            abort();
        memset(buffer, 0x3f, count + 1);
        if (in)
            inputs[i] = buffers[i] = buffer;
        else
            outputs[i - graph->input_count] = buffer;
    }
    check_error(graph_plain_run(graph, MAX_BYTES, inputs, outputs, &error), &error);
    for (i = 0; i < 2 * ENGINE_MAX_TENSORS; i++)
        free(buffers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct serin_error error = {.code = SERIN_OK};
    struct tensor shapes[ENGINE_MAX_TENSORS] = {{.rank = 0}};
    struct graph *read = NULL, *shaped = NULL;
    enum serin_errc rc;
    int i, j;

    rc = graph_read(bytes, size, &read, &error);
    check_error(rc, &error);
    for (i = 0; rc == SERIN_OK && i < read->input_count; i++) {
        const struct tensor_spec *spec = &read->interface.inputs[i];

        shapes[i].rank = spec->rank;
        for (j = 0; j < spec->rank; j++)
            shapes[i].shape[j] = spec->shape[j] > 0 ? spec->shape[j] : FREE_SIZE;
    }
    if (rc == SERIN_OK) {
        rc = graph_shape(read, shapes, &shaped, &error);
        check_error(rc, &error);
    }
    if (rc == SERIN_OK) {
        check_graph(shaped);
        run(shaped);
    }
    graph_free(shaped);
    graph_free(read);
    return 0;
}
