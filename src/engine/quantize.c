/*
 * quantize.c - chooses what becomes int8, measures it, and finds the scales.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A tensor is quantized where a convolution that becomes int8 reads it, or something that is made of it by moving
 * numbers alone (a concatenation, a split, a pool). All that meet in such a move are a group and get one scale, so that
 * the move stays one of integers. The scale is that of the range whose rounding and cutting off together cost the least
 * squared error on the pictures, found by trying (as Migacz, "8-bit Inference with TensorRT", 2017, tries ranges for
 * the least divergence); docs/quantize.md has what other rules gave.
 */
#include "engine/quantize_inside.h"

#include "engine/graph_fuse.h"
#include "engine/onnx_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SMALL_BYTES ((size_t)1 << 30)
#define TENSOR_IS_FP32  1 /* onnx.proto3, TensorProto.DataType */

ONNX_MESSAGE(model_message, "ModelProto", MODEL_FIELDS)
ONNX_MESSAGE(graph_message, "GraphProto", GRAPH_FIELDS)
ONNX_MESSAGE(tensor_message, "TensorProto", TENSOR_FIELDS)

static enum serin_errc no_memory(struct serin_error *error)
{
    return error_set(error, SERIN_NOMEM, "no memory for a quantizer");
}

static bool has_input(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

static const struct graph_value *value_of(const struct quantizer *quantizer, int value)
{
    return &quantizer->graph->values[value];
}

/* ---- the file ---- */

/* The names of initializers of fp32: weights that are anything else are left alone. */
static enum serin_errc find_initializers(struct quantizer *quantizer, struct serin_error *error)
{
    struct protobuf file = {quantizer->file.bytes, quantizer->file.size, UINT64_MAX};
    struct message model = message_open(&file, &model_message, quantizer->file), graph, tensor;
    bool more = true, more_fields;
    enum serin_errc rc;

    do
        rc = message_next(&model, &more, error);
    while (rc == SERIN_OK && more && model.number != MODEL_GRAPH);
    if (rc != SERIN_OK || !more)
        return rc;
    graph = message_open(&file, &graph_message, model.bytes);
    for (;;) {
        struct slice name = {0};
        bool fp32 = false;

        rc = message_next(&graph, &more, error);
        if (rc != SERIN_OK || !more)
            return rc;
        if (graph.number != GRAPH_INITIALIZER)
            continue;
        tensor = message_open(&file, &tensor_message, graph.bytes);
        for (rc = message_next(&tensor, &more_fields, error); rc == SERIN_OK && more_fields;
             rc = message_next(&tensor, &more_fields, error)) {
            if (tensor.number == TENSOR_NAME)
                name = tensor.bytes;
            fp32 = fp32 || (tensor.number == TENSOR_DATA_TYPE && tensor.value == TENSOR_IS_FP32);
        }
        if (rc == SERIN_OK && fp32)
            rc = name_set_add(&quantizer->initializers, name, 0, error);
        if (rc != SERIN_OK)
            return rc;
    }
}

static bool is_initializer(const struct quantizer *quantizer, int value)
{
    const char *name = quantize_name(quantizer, value);

    return value_of(quantizer, value)->constant && value_of(quantizer, value)->type == GRAPH_F32 && name[0] &&
           name_set_find(&quantizer->initializers, (struct slice){(const uint8_t *)name, strlen(name)});
}

/* ---- groups ---- */

static int root_of(struct quantizer *quantizer, int value)
{
    int *group_of = quantizer->group_of;

    while (group_of[value] != value)
        value = group_of[value] = group_of[group_of[value]];
    return value;
}

static void unite(struct quantizer *quantizer, int one, int other)
{
    const int a = root_of(quantizer, one), b = root_of(quantizer, other);

    quantizer->group_of[a > b ? a : b] = a > b ? b : a;
}

/* A move whose inputs all are tensors that flow. */
static bool is_move(const struct quantizer *quantizer, const struct graph_node *node)
{
    int i;

    for (i = 0; i < node->input_count; i++)
        if (node->inputs[i] == GRAPH_NONE || value_of(quantizer, node->inputs[i])->constant ||
            value_of(quantizer, node->inputs[i])->type != GRAPH_F32)
            return false;
    return graph_only_moves(quantizer->graph, node);
}

static void find_groups(struct quantizer *quantizer)
{
    const struct graph *graph = quantizer->graph;
    int i, k;

    for (i = 0; i < graph->value_count; i++)
        quantizer->group_of[i] = i;
    for (i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];

        if (!is_move(quantizer, node))
            continue;
        for (k = 0; k < node->input_count; k++)
            unite(quantizer, node->inputs[0], node->inputs[k]);
        for (k = 0; k < node->output_count; k++)
            unite(quantizer, node->inputs[0], node->outputs[k]);
    }
    for (i = 0; i < graph->value_count; i++) /* a root is the lowest of its group, so it has been settled */
        quantizer->group_of[i] = quantizer->group_of[i] == i ? i : quantizer->group_of[quantizer->group_of[i]];
}

/* ---- layers ---- */

/* The expectation in a head's distribution of distances: arithmetic that exporters write as a convolution. */
static bool is_expectation(const struct quantizer *quantizer, const struct graph_node *node)
{
    const struct graph_value *weights = value_of(quantizer, node->inputs[1]);
    uint64_t i;

    if (!weights->constant || weights->type != GRAPH_F32 || weights->rank != 4 || weights->shape[0] != 1 ||
        weights->element_count != (uint64_t)weights->shape[1])
        return false;
    for (i = 0; i < weights->element_count; i++)
        if (((const float *)weights->constant)[i] != (float)i)
            return false;
    return true;
}

static bool is_layer(const struct quantizer *quantizer, const struct graph_node *node)
{
    return (node->op == GRAPH_CONV && !is_expectation(quantizer, node)) || node->op == GRAPH_CONV_TRANSPOSE ||
           node->op == GRAPH_GEMM;
}

/* Marks values that are made of the picture by no layer, and those that no layer is made of. */
static void find_ends(const struct quantizer *quantizer, bool *is_first, bool *reaches_layer)
{
    const struct graph *graph = quantizer->graph;
    int i, k;

    for (i = 0; i < graph->input_count; i++)
        is_first[graph->inputs[i]] = true;
    for (i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        bool first = false;

        for (k = 0; k < node->input_count && !is_layer(quantizer, node); k++)
            first = first || (has_input(node, k) && is_first[node->inputs[k]]);
        for (k = 0; k < node->output_count; k++)
            is_first[node->outputs[k]] = first;
    }
    for (i = graph->node_count - 1; i >= 0; i--) {
        const struct graph_node *node = &graph->nodes[i];
        bool reaches = is_layer(quantizer, node);

        for (k = 0; k < node->output_count; k++)
            reaches = reaches || reaches_layer[node->outputs[k]];
        for (k = 0; k < node->input_count; k++)
            if (has_input(node, k))
                reaches_layer[node->inputs[k]] = reaches_layer[node->inputs[k]] || reaches;
    }
}

static bool is_normalized(const struct quantizer *quantizer, const struct graph_node *node)
{
    const struct graph_value *y = value_of(quantizer, node->outputs[0]);
    const struct graph *graph = quantizer->graph;

    return y->user_count == 1 && graph->nodes[graph->users[y->first_user]].op == GRAPH_BATCH_NORMALIZATION;
}

/* Why a convolution stays fp32, or NULL. */
static const char *why_kept(const struct quantizer *quantizer, const struct graph_node *node, const bool *is_first,
                            const bool *reaches_layer)
{
    const struct graph_value *y = value_of(quantizer, node->outputs[0]);

    if (node->op == GRAPH_CONV_TRANSPOSE)
        return "transposed";
    if (is_expectation(quantizer, node))
        return "arithmetic";
    if (is_first[node->inputs[0]])
        return "first layer";
    if (!reaches_layer[node->outputs[0]])
        return "last layer";
    if (y->rank != 4 || !is_initializer(quantizer, node->inputs[1]))
        return "its weights are computed";
    if (has_input(node, 2) && (!is_initializer(quantizer, node->inputs[2]) ||
                               value_of(quantizer, node->inputs[2])->element_count != (uint64_t)y->shape[1]))
        return "its bias is computed";
    if (is_normalized(quantizer, node))
        return "a batch normalization behind it: export it fused";
    if (!quantize_name(quantizer, node->inputs[0])[0] || !quantize_name(quantizer, node->outputs[0])[0])
        return "its tensors have no names";
    return NULL;
}

/* No integer stands for NaN; and one that is infinite takes the others' scale with it. */
static enum serin_errc check_finite(const struct quantizer *quantizer, const struct quantize_convolution *convolution,
                                    struct serin_error *error)
{
    const int parts[] = {convolution->weights, convolution->bias};
    uint64_t k;
    int i;

    for (i = 0; i < 2 && !convolution->layer.kept; i++) {
        const struct graph_value *part = parts[i] == GRAPH_NONE ? NULL : value_of(quantizer, parts[i]);

        for (k = 0; part && k < part->element_count; k++)
            if (!isfinite(((const float *)part->constant)[k]))
                return error_set(error, SERIN_INVALID, "'%.120s' has %s that is not finite: the training went wrong",
                                 convolution->layer.name, i ? "a bias" : "a weight");
    }
    return SERIN_OK;
}

static enum serin_errc find_layers(struct quantizer *quantizer, const char *const *keep, int keep_count,
                                   const bool *is_first, const bool *reaches_layer, struct serin_error *error)
{
    const struct graph *graph = quantizer->graph;
    enum serin_errc rc = SERIN_OK;
    int i, k;

    quantizer->convolutions = arena_new(&quantizer->arena, struct quantize_convolution, (size_t)graph->node_count);
    quantizer->layers = arena_new(&quantizer->arena, struct quantize_layer, (size_t)graph->node_count);
    if (!quantizer->convolutions || !quantizer->layers)
        return no_memory(error);
    for (i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        struct quantize_convolution *convolution = &quantizer->convolutions[quantizer->convolution_count];

        if (node->op != GRAPH_CONV && node->op != GRAPH_CONV_TRANSPOSE)
            continue;
        quantizer->convolution_count++;
        *convolution = (struct quantize_convolution){
            .x = node->inputs[0],
            .weights = node->inputs[1],
            .bias = has_input(node, 2) ? node->inputs[2] : GRAPH_NONE,
            .y = node->outputs[0],
            .group = quantizer->group_of[node->inputs[0]],
        };
        convolution->layer.name = node->name[0] ? node->name : quantize_name(quantizer, node->outputs[0]);
        convolution->layer.weights = (int64_t)value_of(quantizer, node->inputs[1])->element_count;
        convolution->layer.kept = why_kept(quantizer, node, is_first, reaches_layer);
    }
    for (k = 0; k < keep_count; k++) {
        bool found = false;

        for (i = 0; i < quantizer->convolution_count; i++)
            if (strcmp(quantizer->convolutions[i].layer.name, keep[k]) == 0) {
                quantizer->convolutions[i].layer.kept = "as asked";
                found = true;
            }
        if (!found)
            return error_set(error, SERIN_INVALID, "no layer is called '%.120s'", keep[k]);
    }
    for (i = 0; i < quantizer->convolution_count && rc == SERIN_OK; i++)
        rc = check_finite(quantizer, &quantizer->convolutions[i], error);
    return rc;
}

/* ---- tensors ---- */

/* Every tensor of a group has to be one that a Q can go behind; what the picture is moved into, or has no name, cannot.
 * Then those that read it stay fp32, too. */
static bool can_be_quantized(const struct quantizer *quantizer, int value)
{
    const struct graph_value *of = value_of(quantizer, value);

    return of->producer != GRAPH_NONE && of->name[0] && of->rank == 4;
}

static bool is_moved(const struct quantizer *quantizer, int value)
{
    const int producer = value_of(quantizer, value)->producer;

    return producer != GRAPH_NONE && is_move(quantizer, &quantizer->graph->nodes[producer]);
}

static enum serin_errc find_tensors(struct quantizer *quantizer, bool *excluded, struct serin_error *error)
{
    const struct graph *graph = quantizer->graph;
    int i, quantized = 0;

    for (i = 0; i < graph->value_count; i++)
        if (value_of(quantizer, i)->type == GRAPH_F32 && !value_of(quantizer, i)->constant &&
            !can_be_quantized(quantizer, i) && (value_of(quantizer, i)->user_count > 0))
            excluded[quantizer->group_of[i]] = true;
    quantizer->groups = arena_new(&quantizer->arena, struct quantize_group, (size_t)graph->value_count);
    quantizer->tensors = arena_new(&quantizer->arena, struct quantize_tensor, (size_t)graph->value_count);
    if (!quantizer->groups || !quantizer->tensors)
        return no_memory(error);
    for (i = 0; i < quantizer->convolution_count; i++) {
        struct quantize_convolution *convolution = &quantizer->convolutions[i];

        if (!convolution->layer.kept && excluded[convolution->group])
            convolution->layer.kept = "what it reads cannot be quantized";
        quantizer->groups[convolution->group].needed |= !convolution->layer.kept;
        quantized += !convolution->layer.kept;
    }
    if (quantized == 0)
        return error_set(error, SERIN_UNSUPPORTED,
                         "the network has no convolution between its first and its last "
                         "layers that could be quantized");
    for (i = 0; i < graph->value_count; i++) {
        const int group = quantizer->group_of[i];

        if (!quantizer->groups[group].needed || value_of(quantizer, i)->producer == GRAPH_NONE ||
            is_moved(quantizer, i) || value_of(quantizer, i)->user_count == 0)
            continue;
        quantizer->tensors[quantizer->tensor_count++] = (struct quantize_tensor){i, group};
        if (!quantizer->groups[group].bins)
            quantizer->groups[group].bins = arena_new(&quantizer->arena, uint64_t, QUANTIZE_BINS);
        if (!quantizer->groups[group].bins)
            return no_memory(error);
    }
    return SERIN_OK;
}

static enum serin_errc choose(struct quantizer *quantizer, const char *const *keep, int keep_count,
                              struct serin_error *error)
{
    const size_t count = (size_t)quantizer->graph->value_count + 1;
    bool *is_first = calloc(count, sizeof(bool)), *reaches_layer = calloc(count, sizeof(bool)),
         *excluded = calloc(count, sizeof(bool));
    enum serin_errc rc = SERIN_OK;

    quantizer->group_of = arena_new(&quantizer->arena, int, count);
    if (!is_first || !reaches_layer || !excluded || !quantizer->group_of)
        rc = no_memory(error);
    if (rc == SERIN_OK) {
        find_groups(quantizer);
        find_ends(quantizer, is_first, reaches_layer);
        rc = find_layers(quantizer, keep, keep_count, is_first, reaches_layer, error);
    }
    if (rc == SERIN_OK)
        rc = find_tensors(quantizer, excluded, error);
    free(is_first), free(reaches_layer), free(excluded);
    return rc;
}

/* ---- beginning and end ---- */

static enum serin_errc check(const struct quantizer *quantizer, struct serin_error *error)
{
    const struct graph *graph = quantizer->read;
    int i;

    if (graph->opset < QUANTIZE_MIN_OPSET)
        return error_set(error, SERIN_UNSUPPORTED,
                         "the model is of opset %lld, scales for each channel came with %d: export it with opset=%d or "
                         "later",
                         (long long)graph->opset, QUANTIZE_MIN_OPSET, QUANTIZE_MIN_OPSET);
    for (i = 0; i < graph->input_count; i++)
        if (graph->interface.inputs[i].type == TENSOR_F16)
            return error_set(error, SERIN_UNSUPPORTED, "the model is fp16: quantize the fp32 one that it was made of");
    for (i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == GRAPH_DEQUANTIZE_LINEAR || graph->nodes[i].op == GRAPH_CONV_INTEGER)
            return error_set(error, SERIN_UNSUPPORTED, "the model is quantized already");
    return SERIN_OK;
}

static enum serin_errc make_plan(struct quantizer *quantizer, const struct tensor *inputs, int threads,
                                 struct serin_error *error)
{
    const char **names = calloc((size_t)quantizer->tensor_count + 1, sizeof(*names));
    const struct plan_options options = {.precision = PLAN_F32,
                                         .threads = threads,
                                         .bytes = quantizer->takes_bytes,
                                         .keep = names,
                                         .keep_count = quantizer->tensor_count};
    enum serin_errc rc;
    int i;

    quantizer->plan_weights = plan_weights_new();
    if (!names || !quantizer->plan_weights) {
        free(names);
        return no_memory(error);
    }
    for (i = 0; i < quantizer->tensor_count; i++)
        names[i] = quantize_name(quantizer, quantizer->tensors[i].value);
    rc = plan_new(quantizer->read, inputs, &options, quantizer->plan_weights, &quantizer->plan, error);
    free(names);
    return rc == SERIN_OK ? plan_slot_new(quantizer->plan, &quantizer->slot, error) : rc;
}

enum serin_errc quantizer_new(const uint8_t *bytes, size_t size_bytes, const struct tensor *inputs,
                              const char *const *keep, int keep_count, int threads, struct quantizer **ret,
                              struct serin_error *error)
{
    struct quantizer *quantizer = calloc(1, sizeof(*quantizer));
    enum serin_errc rc;

    if (!quantizer)
        return no_memory(error);
    quantizer->file = (struct slice){bytes, size_bytes};
    arena_init(&quantizer->arena, MAX_SMALL_BYTES);
    name_set_init(&quantizer->initializers);
    rc = graph_read(bytes, size_bytes, &quantizer->read, error);
    if (rc == SERIN_OK)
        rc = check(quantizer, error);
    if (rc == SERIN_OK)
        rc = find_initializers(quantizer, error);
    if (rc == SERIN_OK)
        rc = graph_shape(quantizer->read, inputs, &quantizer->graph, error);
    if (rc == SERIN_OK)
        quantizer->takes_bytes =
            inputs[0].type == TENSOR_U8 && value_of(quantizer, quantizer->graph->inputs[0])->type == GRAPH_F32;
    if (rc == SERIN_OK && quantizer->read->input_count != 1)
        rc = error_set(error, SERIN_UNSUPPORTED, "the network has %d inputs, and a picture is one",
                       quantizer->read->input_count);
    if (rc == SERIN_OK)
        rc = choose(quantizer, keep, keep_count, error);
    if (rc == SERIN_OK)
        rc = make_plan(quantizer, inputs, threads, error);
    if (rc != SERIN_OK) {
        quantizer_free(quantizer);
        return rc;
    }
    *ret = quantizer;
    return SERIN_OK;
}

void quantizer_free(struct quantizer *quantizer)
{
    if (!quantizer)
        return;
    plan_slot_free(quantizer->slot);
    plan_free(quantizer->plan);
    plan_weights_free(quantizer->plan_weights);
    graph_free(quantizer->graph);
    graph_free(quantizer->read);
    name_set_done(&quantizer->initializers);
    arena_done(&quantizer->arena);
    free(quantizer);
}

const struct quantize_layer *quantizer_layers(const struct quantizer *quantizer, int *ret_count)
{
    int i;

    for (i = 0; i < quantizer->convolution_count; i++)
        quantizer->layers[i] = quantizer->convolutions[i].layer;
    *ret_count = quantizer->convolution_count;
    return quantizer->layers;
}

/* ---- measuring ---- */

static enum serin_errc widen(struct quantize_group *group, const float *x, uint64_t count, const char *name,
                             struct serin_error *error)
{
    float low = group->low, high = group->high;
    uint64_t i;

    for (i = 0; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    for (i = 0; i < count; i++)
        if (!isfinite(x[i]))
            return error_set(error, SERIN_INVALID, "'%.120s' is not finite on one of the pictures", name);
    group->low = low, group->high = high;
    return SERIN_OK;
}

static void count_bins(struct quantize_group *group, const float *x, uint64_t count)
{
    const float scale = group->high > group->low ? (float)QUANTIZE_BINS / (group->high - group->low) : 0.0f;
    uint64_t i;

    for (i = 0; i < count; i++) {
        const float place = (x[i] - group->low) * scale;
        const int bin = place > 0 ? place < QUANTIZE_BINS - 1 ? (int)place : QUANTIZE_BINS - 1 : 0;

        group->bins[bin]++;
    }
}

enum serin_errc quantizer_look(struct quantizer *quantizer, int pass, const void *input, struct serin_error *error)
{
    const struct graph_value *x = value_of(quantizer, quantizer->graph->inputs[0]);
    enum serin_errc rc;
    uint64_t count;
    int i;

    memcpy(plan_slot_input(quantizer->slot, 0), input,
           (size_t)(quantizer->takes_bytes ? x->element_count : graph_value_bytes(x)));
    rc = plan_run(quantizer->slot, NULL, error);
    for (i = 0; i < quantizer->tensor_count && rc == SERIN_OK; i++) {
        struct quantize_group *group = &quantizer->groups[quantizer->tensors[i].group];
        const float *numbers = plan_slot_kept(quantizer->slot, i, &count);

        if (pass == 0)
            rc = widen(group, numbers, count, quantize_name(quantizer, quantizer->tensors[i].value), error);
        else
            count_bins(group, numbers, count);
    }
    return rc;
}
