/*
 * graph_read.c - an ONNX file to a graph as read: its initializers, inputs, nodes and outputs, by name.
 * SPDX-License-Identifier: Apache-2.0
 *
 * onnx_probe goes over the file first. After it every name is made once and before it is used, the interface is known,
 * and nothing is refused here but what a graph does not know.
 */
#include "engine/graph_inside.h"
#include "engine/name_set.h"
#include "engine/onnx_fields.h"
#include "engine/onnx_nodes.h"
#include "engine/onnx_probe.h"
#include "engine/onnx_tensor.h"

#include <stdlib.h>
#include <string.h>

ONNX_MESSAGE(model_message, "model", MODEL_FIELDS)
ONNX_MESSAGE(graph_message, "graph", GRAPH_FIELDS)
ONNX_MESSAGE(node_message, "node", NODE_FIELDS)

#define MIN_OPSET 11
#define MAX_OPSET 24

/* What a graph may take: an int of 64 bits may be one byte in the file, and small things are rounded up. */
#define BYTES_PER_BYTE 16u
#define BYTES_MORE     ((uint64_t)64 << 20)

struct reader {
    struct protobuf file;
    struct graph *graph;
    struct name_set names; /* flags: the value's index */
    struct graph_draft draft;
    struct serin_error *error;
};

static enum serin_errc no_memory(struct reader *reader)
{
    return error_set(reader->error, SERIN_NOMEM, "no memory for a graph of %d nodes", reader->graph->node_count);
}

static enum serin_errc new_value(struct reader *reader, struct slice name, int *ret)
{
    const char *text = graph_copy_text(reader->graph, name);
    int value = text ? graph_add_name(reader->graph, text) : GRAPH_NONE;

    if (value == GRAPH_NONE)
        return no_memory(reader);
    *ret = value;
    if (name.size == 0) /* an output that is left out: a value that nobody can use */
        return SERIN_OK;
    /* The set keeps the slice: it must be a piece of the file, or the interface's. The probe has seen that it is new.
     */
    return name_set_add(&reader->names, name, (uint32_t)value, reader->error);
}

/* ---- nodes ---- */

/* Names, operator and domain. */
static enum serin_errc read_head(struct reader *reader, struct slice bytes)
{
    struct message message = message_open(&reader->file, &node_message, bytes);
    struct slice name = {bytes.bytes, 0}, op_type = name, domain = name;
    struct graph_node *node = &reader->draft.node;
    char text[120], prefix[60], operator[60];
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, reader->error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == NODE_NAME)
            name = message.bytes;
        if (message.number == NODE_OP_TYPE)
            op_type = message.bytes;
        if (message.number == NODE_DOMAIN)
            domain = message.bytes;
    }
    node->op = slice_is(domain, "") || slice_is(domain, "ai.onnx") ? graph_op_find(op_type) : GRAPH_REMOVED;
    if (node->op == GRAPH_REMOVED)
        return error_set(reader->error, SERIN_UNSUPPORTED, "node '%s': the operator %s%s%s is not known here",
                         slice_text(name, text, sizeof(text)), slice_text(domain, prefix, sizeof(prefix)),
                         domain.size ? "." : "", slice_text(op_type, operator, sizeof(operator)));
    node->name = graph_copy_text(reader->graph, name);
    return node->name ? SERIN_OK : no_memory(reader);
}

/* Inputs, or the names of outputs, which become values when all of the node is read. */
static enum serin_errc read_ends(struct reader *reader, struct slice bytes, bool outputs)
{
    struct message message = message_open(&reader->file, &node_message, bytes);
    struct graph_draft *draft = &reader->draft;
    int *count = outputs ? &draft->node.output_count : &draft->node.input_count;
    int *ends = outputs ? draft->outputs : draft->inputs;
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, reader->error);
        if (rc || !more)
            return rc;
        if (message.number != (outputs ? NODE_OUTPUT : NODE_INPUT))
            continue;
        if (*count == GRAPH_MAX_ARITY)
            return error_set(reader->error, SERIN_LIMIT, "more than %d inputs or outputs", GRAPH_MAX_ARITY);
        ends[*count] = GRAPH_NONE;
        if (outputs) {
            rc = new_value(reader, message.bytes, &ends[*count]);
            if (rc)
                return rc;
        } else if (message.bytes.size) {
            struct named *named = name_set_find(&reader->names, message.bytes);

            BUG_ON(!named); /* the probe has looked */
            ends[*count] = (int)named->flags;
        }
        (*count)++;
    }
}

static enum serin_errc check_arity(struct reader *reader)
{
    struct graph_node *node = &reader->draft.node;
    struct graph_arity arity = graph_op_arity(node->op);
    int i;

    /* Optional inputs that are left out at the end may be named "" or be missing. */
    while (node->input_count > arity.min_inputs && reader->draft.inputs[node->input_count - 1] == GRAPH_NONE)
        node->input_count--;
    if (node->op == GRAPH_CONSTANT ? node->input_count != 1
                                   : node->input_count < arity.min_inputs || node->input_count > arity.max_inputs)
        return error_set(reader->error, SERIN_UNSUPPORTED, "%d inputs, known are %d to %d", node->input_count,
                         arity.min_inputs, arity.max_inputs);
    for (i = 0; i < arity.min_inputs; i++)
        if (reader->draft.inputs[i] == GRAPH_NONE)
            return error_set(reader->error, SERIN_CORRUPT, "input %d is left out, and is not optional", i);
    if (node->output_count < arity.min_outputs || node->output_count > arity.max_outputs)
        return error_set(reader->error, SERIN_UNSUPPORTED, "%d outputs, known are %d to %d", node->output_count,
                         arity.min_outputs, arity.max_outputs);
    return SERIN_OK;
}

static enum serin_errc read_node(struct reader *reader, struct slice bytes)
{
    struct graph_draft *draft = &reader->draft;
    char text[GRAPH_TEXT_BYTES];
    enum serin_errc rc;

    memset(&draft->node, 0, sizeof(draft->node));
    draft->node.inputs = draft->inputs;
    draft->node.outputs = draft->outputs;
    rc = read_head(reader, bytes);
    if (rc)
        return rc;
    rc = read_ends(reader, bytes, false);
    if (rc == SERIN_OK)
        rc = graph_read_attributes(&reader->file, bytes, reader->graph, draft, reader->error);
    if (rc == SERIN_OK)
        rc = read_ends(reader, bytes, true);
    if (rc == SERIN_OK)
        rc = check_arity(reader);
    if (rc)
        return error_prefix(reader->error, rc, "%s", graph_node_text(&draft->node, text));
    if (draft->node.op == GRAPH_CONSTANT) { /* its value is the constant itself */
        struct graph_value *made = &reader->graph->values[draft->outputs[0]];
        const char *name = made->name;

        *made = reader->graph->values[draft->inputs[0]];
        made->name = name;
        return SERIN_OK;
    }
    return graph_add_node(reader->graph, &draft->node, reader->error);
}

static enum serin_errc visit_node(void *user, struct slice node)
{
    return read_node(user, node);
}

/* ---- inputs and outputs ---- */

static enum serin_errc read_inputs(struct reader *reader)
{
    struct graph *graph = reader->graph;
    const struct engine_interface *interface = &graph->interface;
    enum serin_errc rc;
    int i, value = GRAPH_NONE;

    for (i = 0; i < interface->input_count; i++) {
        const struct tensor_spec *spec = &interface->inputs[i];
        struct slice name = {(const uint8_t *)spec->name, strlen(spec->name)};

        rc = new_value(reader, name, &value);
        if (rc)
            return rc;
        graph->inputs[graph->input_count++] = value;
        switch (spec->type) {
        case TENSOR_F32:
        case TENSOR_F16:
            graph->values[value].type = GRAPH_F32;
            break;
        case TENSOR_U8:
            graph->values[value].type = GRAPH_U8;
            break;
        case TENSOR_I64:
            graph->values[value].type = GRAPH_I64;
            break;
        default:
            return error_set(reader->error, SERIN_UNSUPPORTED,
                             "input '%s' is of type %s: known are fp32, fp16, uint8 "
                             "and int64",
                             spec->name, tensor_type_name(spec->type));
        }
    }
    return SERIN_OK;
}

static void find_outputs(struct reader *reader)
{
    struct graph *graph = reader->graph;
    int i;

    for (i = 0; i < graph->interface.output_count; i++) {
        const char *name = graph->interface.outputs[i].name;
        const struct named *named = name_set_find(&reader->names, (struct slice){(const uint8_t *)name, strlen(name)});

        BUG_ON(!named); /* the probe has looked */
        graph->outputs[graph->output_count++] = (int)named->flags;
    }
}

/* ---- the model ---- */

static enum serin_errc read_initializers(struct reader *reader, struct slice bytes)
{
    struct message message = message_open(&reader->file, &graph_message, bytes);
    enum serin_errc rc;
    struct slice name;
    bool more = false;
    int value = 0;

    for (;;) {
        rc = message_next(&message, &more, reader->error);
        if (rc || !more)
            return rc;
        if (message.number != GRAPH_INITIALIZER)
            continue;
        rc = graph_read_constant(&reader->file, message.bytes, reader->graph, &value, &name, reader->error);
        if (rc == SERIN_OK)
            rc = name_set_add(&reader->names, name, (uint32_t)value, reader->error);
        if (rc)
            return rc;
    }
}

static enum serin_errc read_graph(struct reader *reader, struct slice bytes)
{
    enum serin_errc rc;

    rc = read_inputs(reader);
    if (rc == SERIN_OK)
        rc = read_initializers(reader, bytes);
    if (rc == SERIN_OK)
        rc = onnx_nodes_visit(&reader->file, bytes, &reader->names, visit_node, reader, reader->error);
    if (rc)
        return rc;
    find_outputs(reader);
    return graph_index(reader->graph, reader->error);
}

static enum serin_errc read_model(struct reader *reader)
{
    struct slice whole = {reader->file.bytes, reader->file.size}, bytes = {reader->file.bytes, 0};
    struct message message = message_open(&reader->file, &model_message, whole);
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, reader->error);
        if (rc)
            return rc;
        if (!more)
            return read_graph(reader, bytes);
        if (message.number == MODEL_GRAPH)
            bytes = message.bytes;
    }
}

/* What the probe knows goes into the graph. */
static enum serin_errc probe(const uint8_t *bytes, size_t size_bytes, struct graph *graph, struct serin_error *error)
{
    struct onnx_summary *summary = malloc(sizeof(*summary));
    enum serin_errc rc;

    if (!summary)
        return error_set(error, SERIN_NOMEM, "no memory for the summary of a model");
    rc = onnx_probe(bytes, size_bytes, summary, error);
    if (rc == SERIN_OK) {
        graph->interface = summary->interface;
        graph->opset = summary->opset;
        onnx_summary_done(summary);
        if (graph->opset < MIN_OPSET || graph->opset > MAX_OPSET)
            rc = error_set(error, SERIN_UNSUPPORTED, "opset %lld: known are %d to %d", (long long)graph->opset,
                           MIN_OPSET, MAX_OPSET);
    }
    free(summary);
    return rc;
}

enum serin_errc graph_read(const uint8_t *bytes, size_t size_bytes, struct graph **ret, struct serin_error *error)
{
    struct reader *reader = calloc(1, sizeof(*reader)); /* too large for the stack */
    enum serin_errc rc = SERIN_OK;

    if (reader)
        reader->graph = graph_new(size_bytes * BYTES_PER_BYTE + BYTES_MORE);
    if (!reader || !reader->graph) {
        free(reader);
        return error_set(error, SERIN_NOMEM, "no memory for a graph");
    }
    rc = probe(bytes, size_bytes, reader->graph, error);
    if (rc == SERIN_OK) {
        /* The passes here look at each field a few times more than the probe, which has its own budget. */
        reader->file = (struct protobuf){.bytes = bytes, .size = size_bytes, .fields_left = 4ull * ONNX_MAX_FIELDS};
        reader->error = error;
        name_set_init(&reader->names);
        rc = read_model(reader);
        name_set_done(&reader->names);
    }
    if (rc == SERIN_OK)
        *ret = reader->graph;
    else
        graph_free(reader->graph);
    free(reader);
    return rc;
}
