/*
 * onnx_probe.c - one walk over the model: metadata, interface, and whether every value is made before it is used.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A graph is walked in passes, since the fields of a message may come in any order: inputs, initializers, nodes in
 * turn, outputs. Sub-graphs lie in attributes of nodes and see the names that were visible there; their own leave with
 * them. Each byte is looked at a constant number of times; the graphs' passes step over the payloads of the fields that
 * are not theirs.
 */
#include "engine/onnx_probe.h"

#include "engine/name_set.h"
#include "engine/onnx_fields.h"
#include "engine/onnx_nodes.h"
#include "engine/onnx_tensor.h"
#include "engine/onnx_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ONNX_MESSAGE(model_message, "model", MODEL_FIELDS)
ONNX_MESSAGE(opset_message, "opset_import", OPSET_FIELDS)
ONNX_MESSAGE(metadata_message, "metadata_props", METADATA_FIELDS)
ONNX_MESSAGE(graph_message, "graph", GRAPH_FIELDS)
ONNX_MESSAGE(node_message, "node", NODE_FIELDS)
ONNX_MESSAGE(attribute_message, "attribute", ATTRIBUTE_FIELDS)

#define TEXT_BYTES 72 /* of a name in a message */

/* Flags of a name. */
#define IS_INPUT       1u
#define IS_INITIALIZER 2u
#define IS_NO_SCALE    4u /* holds a number that none is */
#define IS_DEQUANTIZED 8u

struct probe {
    struct protobuf file;
    struct onnx_summary *summary;
    struct name_set names; /* visible where the walk stands */
    size_t metadata_bytes;
    int depth;
    struct serin_error *error;
};

static enum serin_errc walk_graph(struct probe *probe, struct slice bytes);

static bool has_nul(struct slice slice)
{
    return slice.size && memchr(slice.bytes, 0, slice.size);
}

static size_t offset(const struct probe *probe, struct slice slice)
{
    return (size_t)(slice.bytes - probe->file.bytes);
}

/* ---- metadata ---- */

static enum serin_errc copy_slice(struct slice slice, char **ret, struct serin_error *error)
{
    char *copy = malloc(slice.size + 1);

    if (!copy)
        return error_set(error, SERIN_NOMEM, "no memory for %zu bytes of metadata", slice.size);
    if (slice.size)
        memcpy(copy, slice.bytes, slice.size);
    copy[slice.size] = '\0';
    *ret = copy;
    return SERIN_OK;
}

static enum serin_errc read_metadata(struct probe *probe, struct slice bytes)
{
    struct message message = message_open(&probe->file, &metadata_message, bytes);
    struct onnx_summary *summary = probe->summary;
    struct slice key = {bytes.bytes, 0}, value = key;
    struct onnx_metadata *entry;
    enum serin_errc rc;
    char text[TEXT_BYTES];
    bool more = false;
    int i;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == METADATA_KEY)
            key = message.bytes;
        if (message.number == METADATA_VALUE)
            value = message.bytes;
    }
    slice_text(key, text, sizeof(text));
    if (summary->metadata_count == ONNX_MAX_METADATA)
        return error_set(probe->error, SERIN_LIMIT, "more than %d metadata entries", ONNX_MAX_METADATA);
    if (key.size + value.size > ONNX_MAX_METADATA_BYTES - probe->metadata_bytes)
        return error_set(probe->error, SERIN_LIMIT, "metadata of more than %u bytes (at '%s')", ONNX_MAX_METADATA_BYTES,
                         text);
    if (has_nul(key) || has_nul(value))
        return error_set(probe->error, SERIN_CORRUPT, "a NUL byte in the metadata '%s'", text);
    for (i = 0; i < summary->metadata_count; i++)
        if (slice_is(key, summary->metadata[i].key))
            return error_set(probe->error, SERIN_CORRUPT, "the metadata '%s' is there twice", text);
    probe->metadata_bytes += key.size + value.size;
    entry = &summary->metadata[summary->metadata_count];
    rc = copy_slice(key, &entry->key, probe->error);
    if (rc)
        return rc;
    rc = copy_slice(value, &entry->value, probe->error);
    if (rc) {
        free(entry->key);
        return rc;
    }
    summary->metadata_count++;
    return SERIN_OK;
}

/* ---- inputs and outputs ---- */

/* Adds one input or output of the model to a list of the interface. */
static enum serin_errc describe(struct probe *probe, struct slice name, struct slice type, const char *what,
                                struct tensor_spec *specs, int *count)
{
    struct tensor_spec spec = {.rank = 0};
    enum serin_errc rc;
    char text[TEXT_BYTES];

    if (*count == ENGINE_MAX_TENSORS)
        return error_set(probe->error, SERIN_UNSUPPORTED, "more than %d %ss", ENGINE_MAX_TENSORS, what);
    if (name.size >= ENGINE_MAX_NAME || has_nul(name))
        return error_set(probe->error, SERIN_UNSUPPORTED, "the name of %s '%s' is longer than %d bytes or has a NUL",
                         what, slice_text(name, text, sizeof(text)), ENGINE_MAX_NAME - 1);
    memcpy(spec.name, name.bytes, name.size);
    rc = onnx_value_type(&probe->file, type, &spec, probe->error);
    if (rc)
        return error_prefix(probe->error, rc, "%s", what);
    specs[(*count)++] = spec;
    return SERIN_OK;
}

/* ---- nodes ---- */

struct node {
    struct slice bytes, name, op_type, domain;
};

/* Writes "node 'name' (Conv)". */
static const char *node_text(const struct node *node, char *text, size_t size)
{
    char name[TEXT_BYTES], op_type[TEXT_BYTES];

    snprintf(text, size, "node '%s' (%s)", slice_text(node->name, name, sizeof(name)),
             slice_text(node->op_type, op_type, sizeof(op_type)));
    return text;
}

static void count_operator(struct onnx_summary *summary, struct slice op_type)
{
    struct onnx_operator *entry;
    int i;

    for (i = 0; i < summary->operator_count; i++) {
        entry = &summary->operators[i];
        if (slice_is(op_type, entry->name)) {
            entry->count++;
            return;
        }
    }
    if (summary->operator_count == ONNX_MAX_OPERATORS || op_type.size >= sizeof(entry->name) || has_nul(op_type))
        return;
    entry = &summary->operators[summary->operator_count++];
    memcpy(entry->name, op_type.bytes, op_type.size);
    entry->name[op_type.size] = '\0';
    entry->count = 1;
}

static int by_falling_count(const void *a, const void *b)
{
    const struct onnx_operator *left = a, *right = b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->name, right->name);
}

static bool slice_is_one_of(struct slice slice, const char *const *texts, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (slice_is(slice, texts[i]))
            return true;
    return false;
}

#define IS_ONE_OF(slice, texts) slice_is_one_of(slice, texts, sizeof(texts) / sizeof((texts)[0]))

static enum serin_errc check_operator(struct probe *probe, const struct node *node)
{
    static const char *const domains[] = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"};
    /* These bring code or compiled engines from outside of the file. */
    static const char *const foreign[] = {"EPContext", "PythonOp", "PythonOpGrad", "ATen", "ExternalGemm"};
    /* How often these run, and so when they end, is told by numbers in the file. No YOLO has them. */
    static const char *const loops[] = {"Loop", "Scan"};
    static const char *const integer[] = {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger",
        "MatMulInteger",  "QLinearConv",      "QLinearMatMul",         "QGemm",
        "QLinearAdd",     "QLinearConcat",    "QLinearSigmoid",        "MatMulIntegerToFloat",
    };
    static const char *const convolutions[] = {"ConvInteger", "QLinearConv"};
    char text[3 * TEXT_BYTES], domain[TEXT_BYTES];

    if (node->op_type.size == 0)
        return error_set(probe->error, SERIN_CORRUPT, "%s at byte %zu has no operator",
                         node_text(node, text, sizeof(text)), offset(probe, node->bytes));
    if (!IS_ONE_OF(node->domain, domains))
        return error_set(probe->error, SERIN_UNSUPPORTED,
                         "%s needs the operator domain '%s': known are ai.onnx, ai.onnx.ml and com.microsoft",
                         node_text(node, text, sizeof(text)), slice_text(node->domain, domain, sizeof(domain)));
    if (IS_ONE_OF(node->op_type, foreign))
        return error_set(probe->error, SERIN_UNSUPPORTED, "%s loads what is not in the model",
                         node_text(node, text, sizeof(text)));
    if (IS_ONE_OF(node->op_type, loops))
        return error_set(probe->error, SERIN_UNSUPPORTED, "%s may run without end: models with loops are not loaded",
                         node_text(node, text, sizeof(text)));
    probe->summary->quantized = probe->summary->quantized || IS_ONE_OF(node->op_type, integer);
    probe->summary->int8_convolutions += IS_ONE_OF(node->op_type, convolutions);
    count_operator(probe->summary, node->op_type);
    return SERIN_OK;
}

/* The input of this number, from 0. */
static enum serin_errc check_input(struct probe *probe, const struct node *node, int number, struct slice name)
{
    static const char *const scaled[] = {"QuantizeLinear", "DequantizeLinear"};
    const struct named *named = name_set_find(&probe->names, name);
    char text[3 * TEXT_BYTES], input[TEXT_BYTES];

    if (named && number == 1 && named->flags & IS_NO_SCALE && IS_ONE_OF(node->op_type, scaled))
        probe->summary->broken_scale_count++;
    if (named && number == 0 && named->flags & IS_DEQUANTIZED && slice_is(node->op_type, "Conv"))
        probe->summary->int8_convolutions++;
    if (name.size == 0 || named) /* an empty name: an optional input left out */
        return SERIN_OK;
    return error_set(probe->error, SERIN_CORRUPT,
                     "%s takes '%s', which nothing before it makes: the nodes are out of order, or form a cycle",
                     node_text(node, text, sizeof(text)), slice_text(name, input, sizeof(input)));
}

static enum serin_errc add_name(struct probe *probe, struct slice name, uint32_t flags, const char *what)
{
    char text[TEXT_BYTES];

    if (name_set_find(&probe->names, name))
        return error_set(probe->error, SERIN_CORRUPT, "%s '%s' at byte %zu: that name is taken already", what,
                         slice_text(name, text, sizeof(text)), offset(probe, name));
    return name_set_add(&probe->names, name, flags, probe->error);
}

static enum serin_errc walk_attribute(struct probe *probe, struct slice bytes)
{
    struct message message = message_open(&probe->file, &attribute_message, bytes);
    struct onnx_tensor tensor;
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc || !more)
            return rc;
        switch (message.number) {
        case ATTRIBUTE_T:
        case ATTRIBUTE_TENSORS:
            rc = onnx_tensor_read(&probe->file, message.bytes, &tensor, probe->error);
            break;
        case ATTRIBUTE_G:
        case ATTRIBUTE_GRAPHS:
            rc = walk_graph(probe, message.bytes);
            break;
        case ATTRIBUTE_SPARSE_TENSOR:
        case ATTRIBUTE_SPARSE_TENSORS:
            rc =
                error_set(probe->error, SERIN_UNSUPPORTED, "a sparse tensor at byte %zu", offset(probe, message.bytes));
            break;
        default:
            break;
        }
        if (rc)
            return rc;
    }
}

/* Walks the fields of one number of a node: its inputs, then its attributes, then its outputs, each at its time. */
static enum serin_errc walk_node_fields(struct probe *probe, const struct node *node, uint32_t number)
{
    struct message message = message_open(&probe->file, &node_message, node->bytes);
    const uint32_t flags = slice_is(node->op_type, "DequantizeLinear") ? IS_DEQUANTIZED : 0;
    enum serin_errc rc;
    bool more = false;
    int inputs = 0;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc || !more)
            return rc;
        if (message.number != number)
            continue;
        if (number == NODE_INPUT)
            rc = check_input(probe, node, inputs++, message.bytes);
        else if (number == NODE_ATTRIBUTE)
            rc = walk_attribute(probe, message.bytes);
        else if (message.bytes.size) /* an empty name: an optional output left out */
            rc = add_name(probe, message.bytes, flags, "output of a node");
        if (rc)
            return rc;
    }
}

static enum serin_errc walk_node(struct probe *probe, struct slice bytes)
{
    struct message message = message_open(&probe->file, &node_message, bytes);
    struct slice none = {bytes.bytes, 0};
    struct node node = {.bytes = bytes, .name = none, .op_type = none, .domain = none};
    char text[3 * TEXT_BYTES];
    enum serin_errc rc;
    bool more = false;

    if (probe->summary->node_count == ONNX_MAX_NODES)
        return error_set(probe->error, SERIN_LIMIT, "more than %d nodes", ONNX_MAX_NODES);
    probe->summary->node_count++;
    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == NODE_NAME)
            node.name = message.bytes;
        if (message.number == NODE_OP_TYPE)
            node.op_type = message.bytes;
        if (message.number == NODE_DOMAIN)
            node.domain = message.bytes;
    }
    rc = check_operator(probe, &node);
    if (rc == SERIN_OK)
        rc = walk_node_fields(probe, &node, NODE_INPUT);
    if (rc)
        return rc;
    rc = walk_node_fields(probe, &node, NODE_ATTRIBUTE);
    if (rc)
        return probe->depth > 1 ? rc : error_prefix(probe->error, rc, "%s", node_text(&node, text, sizeof(text)));
    return walk_node_fields(probe, &node, NODE_OUTPUT);
}

static enum serin_errc visit_node(void *user, struct slice node)
{
    return walk_node(user, node);
}

/* ---- graphs ---- */

static enum serin_errc walk_initializer(struct probe *probe, struct slice bytes)
{
    struct onnx_summary *summary = probe->summary;
    struct onnx_tensor tensor = {.bytes = 0};
    struct named *input;
    enum serin_errc rc;
    uint32_t flags;

    rc = onnx_tensor_read(&probe->file, bytes, &tensor, probe->error);
    if (rc)
        return rc;
    if (probe->depth == 1) {
        summary->initializer_count++;
        summary->parameter_count += tensor.counts_as_parameter ? tensor.element_count : 0;
        summary->bytes_by_type[onnx_tensor_type(tensor.type)] += tensor.bytes;
        summary->nan_count += tensor.nan_count;
        summary->inf_count += tensor.inf_count;
    }
    /* An input of the same name takes the initializer as its default: ONNX up to IR 3 asks for both. */
    flags = IS_INITIALIZER | (tensor.no_scale_count > 0 ? IS_NO_SCALE : 0);
    input = name_set_find(&probe->names, tensor.name);
    if (input && input->flags == IS_INPUT) {
        input->flags = IS_INPUT | flags;
        return SERIN_OK;
    }
    return add_name(probe, tensor.name, flags, "initializer");
}

/* An input, on the first pass; the interface is made of those that no initializer has claimed, on the third. */
static enum serin_errc walk_input(struct probe *probe, struct slice bytes, bool describing)
{
    struct engine_interface *interface = &probe->summary->interface;
    struct slice name, type;
    enum serin_errc rc;

    rc = onnx_value_read(&probe->file, bytes, &name, &type, probe->error);
    if (rc)
        return rc;
    if (!describing)
        return add_name(probe, name, IS_INPUT, "input");
    if (name_set_find(&probe->names, name)->flags & IS_INITIALIZER)
        return SERIN_OK;
    return describe(probe, name, type, "input", interface->inputs, &interface->input_count);
}

static enum serin_errc walk_output(struct probe *probe, struct slice bytes)
{
    struct engine_interface *interface = &probe->summary->interface;
    struct slice name, type;
    char text[TEXT_BYTES];
    enum serin_errc rc;

    rc = onnx_value_read(&probe->file, bytes, &name, &type, probe->error);
    if (rc)
        return rc;
    if (!name_set_find(&probe->names, name))
        return error_set(probe->error, SERIN_CORRUPT, "no node makes the output '%s'",
                         slice_text(name, text, sizeof(text)));
    if (probe->depth > 1)
        return SERIN_OK;
    return describe(probe, name, type, "output", interface->outputs, &interface->output_count);
}

enum pass { PASS_INPUTS, PASS_INITIALIZERS, PASS_INTERFACE, PASS_NODES, PASS_OUTPUTS, PASS_COUNT };

static enum serin_errc walk_pass(struct probe *probe, struct slice bytes, enum pass pass)
{
    static const uint32_t numbers[] = {GRAPH_INPUT, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_NODE, GRAPH_OUTPUT};
    struct message message = message_open(&probe->file, &graph_message, bytes);
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc || !more)
            return rc;
        if (message.number == GRAPH_SPARSE_INITIALIZER)
            return error_set(probe->error, SERIN_UNSUPPORTED, "a sparse initializer at byte %zu",
                             offset(probe, message.bytes));
        if (message.number != numbers[pass])
            continue;
        if (pass == PASS_INITIALIZERS)
            rc = walk_initializer(probe, message.bytes);
        else if (pass == PASS_NODES)
            rc = walk_node(probe, message.bytes);
        else if (pass == PASS_OUTPUTS)
            rc = walk_output(probe, message.bytes);
        else
            rc = walk_input(probe, message.bytes, pass == PASS_INTERFACE);
        if (rc)
            return rc;
    }
}

static enum serin_errc walk_graph(struct probe *probe, struct slice bytes)
{
    size_t outer_names = probe->names.count;
    enum serin_errc rc = SERIN_OK;
    int pass;

    if (probe->depth == ONNX_MAX_DEPTH)
        return error_set(probe->error, SERIN_LIMIT, "graphs within graphs, deeper than %d, at byte %zu", ONNX_MAX_DEPTH,
                         offset(probe, bytes));
    probe->depth++;
    for (pass = 0; pass < PASS_COUNT && rc == SERIN_OK; pass++)
        if (pass == PASS_NODES && probe->depth == 1)
            rc = onnx_nodes_visit(&probe->file, bytes, &probe->names, visit_node, probe, probe->error);
        else if (pass != PASS_INTERFACE || probe->depth == 1)
            rc = walk_pass(probe, bytes, (enum pass)pass);
    probe->depth--;
    name_set_shrink(&probe->names, outer_names);
    return rc;
}

/* ---- the model ---- */

static enum serin_errc read_opset(struct probe *probe, struct slice bytes)
{
    struct message message = message_open(&probe->file, &opset_message, bytes);
    struct slice domain = {bytes.bytes, 0};
    uint64_t version = 0;
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == OPSET_DOMAIN)
            domain = message.bytes;
        if (message.number == OPSET_VERSION)
            version = message.value;
    }
    if (slice_is(domain, "") || slice_is(domain, "ai.onnx"))
        probe->summary->opset = (int64_t)version;
    return SERIN_OK;
}

static enum serin_errc walk_model(struct probe *probe)
{
    struct slice whole = {probe->file.bytes, probe->file.size}, graph = {0};
    struct message message = message_open(&probe->file, &model_message, whole);
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, probe->error);
        if (rc)
            return rc;
        if (!more)
            break;
        switch (message.number) {
        case MODEL_IR_VERSION:
            probe->summary->ir_version = (int64_t)message.value;
            break;
        case MODEL_PRODUCER_NAME:
            slice_text(message.bytes, probe->summary->producer, sizeof(probe->summary->producer));
            break;
        case MODEL_GRAPH:
            graph = message.bytes;
            break;
        case MODEL_OPSET_IMPORT:
            rc = read_opset(probe, message.bytes);
            break;
        case MODEL_METADATA_PROPS:
            rc = read_metadata(probe, message.bytes);
            break;
        case MODEL_TRAINING_INFO:
            rc = error_set(probe->error, SERIN_UNSUPPORTED, "a model with a training graph: export it for inference");
            break;
        case MODEL_FUNCTIONS:
            rc = error_set(probe->error, SERIN_UNSUPPORTED, "a model with functions of its own: export it inlined");
            break;
        default:
            break;
        }
        if (rc)
            return rc;
    }
    if (!graph.bytes)
        return error_set(probe->error, SERIN_CORRUPT, "no graph in it");
    rc = walk_graph(probe, graph);
    if (rc)
        return rc;
    if (probe->summary->interface.output_count == 0)
        return error_set(probe->error, SERIN_CORRUPT, "the graph has no outputs");
    qsort(probe->summary->operators, (size_t)probe->summary->operator_count, sizeof(probe->summary->operators[0]),
          by_falling_count);
    return SERIN_OK;
}

/* What people hand over instead of an ONNX file, by the first bytes; NULL where it is none of these. */
static const char *known_stranger(const uint8_t *bytes, size_t size_bytes)
{
    static const struct {
        const char *mark, *sentence;
    } strangers[] = {
        {"PK\003\004",
         "a ZIP, as PyTorch's checkpoints (.pt) are: export it with 'yolo export model=best.pt format=onnx'"},
        {"version https://git-lfs", "a pointer of Git LFS, not the file itself: fetch it with 'git lfs pull'"},
        {"\xff\xd8\xff", "a picture (JPEG)"},
        {"\x89PNG", "a picture (PNG)"},
        {"\x7f"
         "ELF",
         "a program or library (ELF)"},
        {"\037\213", "compressed with gzip: unpack it first"},
    };
    size_t i;

    for (i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        size_t length = strlen(strangers[i].mark);

        if (size_bytes >= length && memcmp(bytes, strangers[i].mark, length) == 0)
            return strangers[i].sentence;
    }
    return NULL;
}

enum serin_errc onnx_probe(const uint8_t *bytes, size_t size_bytes, struct onnx_summary *ret, struct serin_error *error)
{
    struct onnx_summary summary = {.ir_version = 0};
    struct probe probe = {
        .file = {.bytes = bytes, .size = size_bytes, .fields_left = ONNX_MAX_FIELDS},
        .summary = &summary,
        .error = error,
    };
    const char *stranger;
    enum serin_errc rc;

    if (size_bytes == 0)
        return error_set(error, SERIN_CORRUPT, "not an ONNX model: it is empty");
    stranger = known_stranger(bytes, size_bytes);
    if (stranger)
        return error_set(error, SERIN_UNSUPPORTED, "not an ONNX model: it is %s", stranger);
    name_set_init(&probe.names);
    rc = walk_model(&probe);
    name_set_done(&probe.names);
    if (rc) {
        onnx_summary_done(&summary);
        return error_prefix(error, rc, "not a usable ONNX model");
    }
    *ret = summary;
    return SERIN_OK;
}

void onnx_summary_done(struct onnx_summary *summary)
{
    int i;

    for (i = 0; i < summary->metadata_count; i++) {
        free(summary->metadata[i].key);
        free(summary->metadata[i].value);
    }
    *summary = (struct onnx_summary){.ir_version = 0};
}

const char *onnx_summary_find(const struct onnx_summary *summary, const char *key)
{
    int i;

    for (i = 0; i < summary->metadata_count; i++)
        if (strcmp(summary->metadata[i].key, key) == 0)
            return summary->metadata[i].value;
    return NULL;
}

const char *onnx_summary_precision(const struct onnx_summary *summary)
{
    return summary->int8_convolutions ? "int8" : tensor_type_name(summary->interface.inputs[0].type);
}
