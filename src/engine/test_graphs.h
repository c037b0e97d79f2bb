/*
 * test_graphs.h - what the tests of graphs and plans share: numbers, graphs made by hand, and example models.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by tests only. Depends on cmocka and graph_inside.h.
 */
#ifndef ENGINE_TEST_GRAPHS_H
#define ENGINE_TEST_GRAPHS_H

#include "base/file.h"
#include "base/test_paths.h"
#include "engine/graph_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* any_number lies between this and 1. A test may say another before it includes this: its tolerances depend on it. */
#ifndef LEAST_NUMBER
#define LEAST_NUMBER (-1.0f)
#endif

static uint32_t random_state = 1;

static inline float any_number(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return LEAST_NUMBER + (1.0f - LEAST_NUMBER) * ((float)(random_state >> 8) / (float)(1u << 24));
}

static inline float *random_floats(int64_t count)
{
    float *floats = malloc((size_t)count * sizeof(float));
    int64_t i;

    assert_non_null(floats);
    for (i = 0; i < count; i++)
        floats[i] = any_number();
    return floats;
}

static inline void must(enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_OK)
        fail_msg("%s", error->message);
}

/* A graph with one input so far, and no output. */
static inline struct graph *start_graph(int rank, const int64_t *shape)
{
    struct graph *graph = graph_new((uint64_t)1 << 22);

    assert_non_null(graph);
    graph->has_shapes = true;
    graph->input_count = 1;
    graph->inputs[0] = graph_add_value(graph, GRAPH_F32, rank, shape);
    return graph;
}

/* The result of a new node: floats, or what a quantization's zero, its last input, is of. */
static inline int add_node(struct graph *graph, struct graph_node node, int input_count, int *inputs, int rank,
                           const int64_t *shape)
{
    const enum graph_type last = graph->values[inputs[input_count - 1]].type;
    int output = graph_add_value(graph, node.op == GRAPH_QUANTIZE_LINEAR ? last : GRAPH_F32, rank, shape);
    struct serin_error error;

    node.name = "", node.input_count = input_count, node.output_count = 1;
    node.inputs = inputs, node.outputs = &output;
    must(graph_add_node(graph, &node, &error), &error);
    return output;
}

/* Of offset + factor * any_number(). */
static inline int random_constant(struct graph *graph, int rank, const int64_t *shape, float offset, float factor)
{
    void *bytes;
    const int value = graph_add_constant(graph, GRAPH_F32, rank, shape, &bytes);
    uint64_t i;

    assert_true(value != GRAPH_NONE);
    for (i = 0; i < graph->values[value].element_count; i++)
        ((float *)bytes)[i] = offset + factor * any_number();
    return value;
}

/* "miniature/detect" */
static inline uint8_t *read_model_bytes(const char *name, size_t *ret_size)
{
    struct serin_error error;
    uint8_t *bytes = NULL;
    char file[64];

    snprintf(file, sizeof(file), "%s.onnx", name);
    must(file_read(test_source_path("examples/models", file), (size_t)1 << 26, &bytes, ret_size, &error), &error);
    return bytes;
}

static inline struct graph *read_model(const char *name)
{
    struct graph *graph = NULL;
    struct serin_error error;
    size_t size;
    uint8_t *bytes = read_model_bytes(name, &size);

    must(graph_read(bytes, size, &graph, &error), &error);
    free(bytes);
    return graph;
}

/* The shape that the model declares, with batch and side_px where it leaves them open. */
static inline struct tensor input_of(const struct graph *graph, int64_t batch, int64_t side_px)
{
    const struct tensor_spec *spec = &graph->interface.inputs[0];
    struct tensor tensor = {.type = spec->type, .rank = spec->rank};
    int d;

    for (d = 0; d < spec->rank; d++)
        tensor.shape[d] = spec->shape[d] > 0 ? spec->shape[d] : d == 0 ? batch : d == 1 ? 3 : side_px;
    return tensor;
}

#endif
