/*
 * graph_attributes.c - the attributes of nodes: one table says which operator has which, and where each is kept.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An attribute that the table does not have is an error, since what it changes is unknown. Lists that later opsets pass
 * as inputs (axes, splits, starts) become inputs here, as constants, so that nobody else knows the older form.
 * Source: onnx/docs/Operators.md and Changelog.md, opsets 11 to 24.
 */
#include "engine/graph_inside.h"
#include "engine/onnx_fields.h"
#include "engine/onnx_tensor.h"

#include <stddef.h>
#include <string.h>

ONNX_MESSAGE(node_message, "node", NODE_FIELDS)
ONNX_MESSAGE(attribute_message, "attribute", ATTRIBUTE_FIELDS)

#define MAX_INTS   1024      /* numbers in one attribute */
#define MAX_WINDOW (1 << 20) /* of a kernel, stride, dilation or pad */

enum target {
    TO_FLAG,    /* 0 or 1 into a bool */
    TO_INT,     /* into an int32, within INT32_MIN / 2 .. INT32_MAX / 2 */
    TO_INT64,   /* into an int64, 1 to 2^31 */
    TO_FLOAT,   /* into a float */
    TO_SIZES,   /* as many numbers as two dimensions have, 1 to MAX_WINDOW, into int32[2] */
    TO_PADS,    /* begin[2], end[2] of a window, 0 to MAX_WINDOW */
    TO_PADDING, /* int32[2], 0 to MAX_WINDOW */
    TO_ENUM,    /* a word, whose place in words goes into an enum */
    TO_INPUT,   /* a list or number becomes the constant input of that number (where) */
    TO_SCALAR,  /* the same, but a scalar */
    TO_PERM,    /* a transposition */
    TO_TYPE,    /* a number of an ONNX type */
    TO_TENSOR,  /* a tensor, whose value goes to an int */
    DEFAULT,    /* must be the integer in where: nothing else is supported */
    ONE_WORD,   /* must be the word in words */
    IGNORED,    /* changes nothing here */
};

struct attribute_row {
    enum graph_op op;
    enum target target;
    const char *name;
    size_t where; /* offset in struct graph_node; or as told above */
    const char *words;
};

#define AT(member) offsetof(struct graph_node, member)
#define AUTO_PAD   "NOTSET SAME_UPPER SAME_LOWER VALID"

#define CONVOLUTION(op)                                                                                                \
    {op, TO_ENUM, "auto_pad", AT(conv.auto_pad), AUTO_PAD}, {op, TO_SIZES, "dilations", AT(conv.window.dilation), ""}, \
        {op, TO_INT64, "group", AT(conv.groups), ""}, {op, TO_SIZES, "kernel_shape", AT(conv.window.kernel), ""},      \
        {op, TO_PADS, "pads", AT(conv.window), ""},                                                                    \
    {                                                                                                                  \
        op, TO_SIZES, "strides", AT(conv.window.stride), ""                                                            \
    }
#define POOL(op)                                                                                                       \
    {op, TO_ENUM, "auto_pad", AT(pool.auto_pad), AUTO_PAD}, {op, TO_SIZES, "dilations", AT(pool.window.dilation), ""}, \
        {op, TO_FLAG, "ceil_mode", AT(pool.round_up), ""}, {op, TO_SIZES, "kernel_shape", AT(pool.window.kernel), ""}, \
        {op, TO_PADS, "pads", AT(pool.window), ""},                                                                    \
    {                                                                                                                  \
        op, TO_SIZES, "strides", AT(pool.window.stride), ""                                                            \
    }
#define REDUCTION(op)                                                                                                  \
    {op, TO_INPUT, "axes", 1, ""}, {op, TO_FLAG, "keepdims", AT(reduce.keep_dims), ""},                                \
    {                                                                                                                  \
        op, DEFAULT, "noop_with_empty_axes", 0, ""                                                                     \
    }

static const struct attribute_row rows[] = {
    CONVOLUTION(GRAPH_CONV),
    CONVOLUTION(GRAPH_CONV_INTEGER),
    CONVOLUTION(GRAPH_CONV_TRANSPOSE),
    {GRAPH_CONV_TRANSPOSE, TO_PADDING, "output_padding", AT(conv.output_padding), ""},
    {GRAPH_GEMM, TO_FLOAT, "alpha", AT(gemm.alpha), ""},
    {GRAPH_GEMM, TO_FLOAT, "beta", AT(gemm.beta), ""},
    {GRAPH_GEMM, TO_FLAG, "transA", AT(gemm.transpose_a), ""},
    {GRAPH_GEMM, TO_FLAG, "transB", AT(gemm.transpose_b), ""},
    {GRAPH_BATCH_NORMALIZATION, TO_FLOAT, "epsilon", AT(batch_normalization.epsilon), ""},
    {GRAPH_BATCH_NORMALIZATION, IGNORED, "momentum", 0, ""}, /* of training */
    {GRAPH_BATCH_NORMALIZATION, DEFAULT, "training_mode", 0, ""},
    POOL(GRAPH_MAX_POOL),
    {GRAPH_MAX_POOL, IGNORED, "storage_order", 0, ""}, /* of the second output, which is not supported */
    POOL(GRAPH_AVERAGE_POOL),
    {GRAPH_AVERAGE_POOL, TO_FLAG, "count_include_pad", AT(pool.count_include_pad), ""},
    {GRAPH_RESIZE, DEFAULT, "antialias", 0, ""},
    {GRAPH_RESIZE, TO_ENUM, "coordinate_transformation_mode", AT(resize.coordinate),
     "half_pixel pytorch_half_pixel align_corners asymmetric"},
    {GRAPH_RESIZE, IGNORED, "cubic_coeff_a", 0, ""}, /* of the mode cubic, which is not supported */
    {GRAPH_RESIZE, DEFAULT, "exclude_outside", 0, ""},
    {GRAPH_RESIZE, IGNORED, "extrapolation_value", 0, ""}, /* of tf_crop_and_resize, which is not supported */
    {GRAPH_RESIZE, ONE_WORD, "keep_aspect_ratio_policy", 0, "stretch"},
    {GRAPH_RESIZE, TO_ENUM, "mode", AT(resize.mode), "nearest linear"},
    {GRAPH_RESIZE, TO_ENUM, "nearest_mode", AT(resize.nearest), "round_prefer_floor round_prefer_ceil floor ceil"},
    {GRAPH_SOFTMAX, TO_INT, "axis", AT(softmax.first), ""},
    REDUCTION(GRAPH_REDUCE_MAX),
    REDUCTION(GRAPH_REDUCE_MIN),
    REDUCTION(GRAPH_REDUCE_SUM),
    REDUCTION(GRAPH_REDUCE_MEAN),
    {GRAPH_ARG_MAX, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_ARG_MAX, TO_FLAG, "keepdims", AT(axis.keep_dims), ""},
    {GRAPH_ARG_MAX, TO_FLAG, "select_last_index", AT(axis.last), ""},
    {GRAPH_TOP_K, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_TOP_K, TO_FLAG, "largest", AT(axis.largest), ""},
    {GRAPH_TOP_K, IGNORED, "sorted", 0, ""}, /* it always is */
    {GRAPH_CONCAT, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_SPLIT, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_SPLIT, TO_INPUT, "split", 1, ""},
    {GRAPH_SPLIT, IGNORED, "num_outputs", 0, ""}, /* the node's outputs are counted */
    {GRAPH_PAD, TO_ENUM, "mode", AT(pad.mode), "constant reflect edge"},
    {GRAPH_RESHAPE, TO_FLAG, "allowzero", AT(allow_zero), ""},
    {GRAPH_TRANSPOSE, TO_PERM, "perm", 0, ""},
    {GRAPH_GATHER, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_GATHER_ELEMENTS, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_GATHER_ND, TO_INT, "batch_dims", AT(batch_dims), ""},
    {GRAPH_CAST, TO_TYPE, "to", AT(to), ""},
    {GRAPH_CAST, IGNORED, "saturate", 0, ""}, /* of float8, which is not supported */
    {GRAPH_QUANTIZE_LINEAR, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_QUANTIZE_LINEAR, DEFAULT, "block_size", 0, ""},
    {GRAPH_QUANTIZE_LINEAR, DEFAULT, "output_dtype", 0, ""},
    {GRAPH_QUANTIZE_LINEAR, IGNORED, "saturate", 0, ""},
    {GRAPH_DEQUANTIZE_LINEAR, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_DEQUANTIZE_LINEAR, DEFAULT, "block_size", 0, ""},
    {GRAPH_DEQUANTIZE_LINEAR, DEFAULT, "output_dtype", 0, ""},
    {GRAPH_LEAKY_RELU, TO_FLOAT, "alpha", AT(unary.alpha), ""},
    {GRAPH_ELU, TO_FLOAT, "alpha", AT(unary.alpha), ""},
    {GRAPH_HARD_SIGMOID, TO_FLOAT, "alpha", AT(unary.alpha), ""},
    {GRAPH_HARD_SIGMOID, TO_FLOAT, "beta", AT(unary.beta), ""},
    {GRAPH_MOD, TO_FLAG, "fmod", AT(fmod), ""},
    {GRAPH_DROPOUT, IGNORED, "ratio", 0, ""}, /* of training */
    {GRAPH_DROPOUT, IGNORED, "seed", 0, ""},
    {GRAPH_CONSTANT, TO_TENSOR, "value", 0, ""},
    {GRAPH_CONSTANT, TO_SCALAR, "value_int", 0, ""},
    {GRAPH_CONSTANT, TO_INPUT, "value_ints", 0, ""},
    {GRAPH_CONSTANT, TO_SCALAR, "value_float", 0, ""},
    {GRAPH_CONSTANT, TO_INPUT, "value_floats", 0, ""},
    {GRAPH_CONSTANT_OF_SHAPE, TO_TENSOR, "value", 0, ""},
    {GRAPH_SHAPE, TO_INT, "start", AT(range.begin), ""},
    {GRAPH_SHAPE, TO_INT, "end", AT(range.end), ""},
    {GRAPH_FLATTEN, TO_INT, "axis", AT(axis.axis), ""},
    {GRAPH_SQUEEZE, TO_INPUT, "axes", 1, ""},
    {GRAPH_UNSQUEEZE, TO_INPUT, "axes", 1, ""},
};

/* An attribute as the file has it. */
struct attribute {
    struct slice name, text, tensor;
    bool has_f, has_i, has_s, has_t, has_floats, has_ints;
    float f;
    int64_t i;
    float floats[MAX_INTS];
    int64_t ints[MAX_INTS];
    int count;    /* of floats or ints */
    bool strange; /* has a graph, or several tensors */
};

/* ---- reading one ---- */

static enum serin_errc add_float(struct attribute *attribute, const uint8_t *bytes, struct serin_error *error)
{
    if (attribute->count == MAX_INTS)
        return error_set(error, SERIN_LIMIT, "more than %d numbers in an attribute", MAX_INTS);
    memcpy(&attribute->floats[attribute->count++], bytes, sizeof(float));
    return SERIN_OK;
}

static enum serin_errc add_int(struct attribute *attribute, uint64_t value, struct serin_error *error)
{
    if (attribute->count == MAX_INTS)
        return error_set(error, SERIN_LIMIT, "more than %d numbers in an attribute", MAX_INTS);
    attribute->ints[attribute->count++] = (int64_t)value;
    return SERIN_OK;
}

static enum serin_errc add_numbers(struct attribute *attribute, const struct message *message,
                                   struct serin_error *error)
{
    struct slice bytes = message->bytes;
    enum serin_errc rc = SERIN_OK;
    uint64_t value;
    size_t at;

    if (message->number == ATTRIBUTE_FLOATS) {
        attribute->has_floats = true;
        if (bytes.size % sizeof(float))
            return error_set(error, SERIN_CORRUPT, "%zu bytes of floats", bytes.size);
        for (at = 0; rc == SERIN_OK && at < bytes.size; at += sizeof(float))
            rc = add_float(attribute, bytes.bytes + at, error);
        return rc;
    }
    attribute->has_ints = true;
    if (message->wire == WIRE_VARINT)
        return add_int(attribute, message->value, error);
    for (at = 0; rc == SERIN_OK && at < bytes.size;) {
        if (!varint_read(bytes.bytes, bytes.size, &at, &value))
            return error_set(error, SERIN_CORRUPT, "a number has no end within 64 bits");
        rc = add_int(attribute, value, error);
    }
    return rc;
}

static enum serin_errc read_attribute(struct protobuf *file, struct slice bytes, struct attribute *attribute,
                                      struct serin_error *error)
{
    struct message message = message_open(file, &attribute_message, bytes);
    enum serin_errc rc = SERIN_OK;
    bool more = false;

    memset(attribute, 0, offsetof(struct attribute, floats));
    attribute->count = 0;
    attribute->strange = false;
    attribute->name = (struct slice){bytes.bytes, 0};
    while (rc == SERIN_OK) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            break;
        switch (message.number) {
        case ATTRIBUTE_NAME:
            attribute->name = message.bytes;
            break;
        case ATTRIBUTE_F:
            attribute->has_f = true;
            memcpy(&attribute->f, message.bytes.bytes, sizeof(float));
            break;
        case ATTRIBUTE_I:
            attribute->has_i = true;
            attribute->i = (int64_t)message.value;
            break;
        case ATTRIBUTE_S:
            attribute->has_s = true;
            attribute->text = message.bytes;
            break;
        case ATTRIBUTE_T:
            attribute->has_t = true;
            attribute->tensor = message.bytes;
            break;
        case ATTRIBUTE_FLOATS:
        case ATTRIBUTE_INTS:
            rc = add_numbers(attribute, &message, error);
            break;
        case ATTRIBUTE_G:
        case ATTRIBUTE_GRAPHS:
        case ATTRIBUTE_TENSORS:
            attribute->strange = true;
            break;
        default:
            break;
        }
    }
    return rc;
}

/* ---- storing one ---- */

static enum serin_errc wrong(const struct attribute *attribute, const char *wanted, struct serin_error *error)
{
    char text[GRAPH_TEXT_BYTES];

    return error_set(error, SERIN_UNSUPPORTED, "the attribute '%s' is not %s",
                     slice_text(attribute->name, text, sizeof(text)), wanted);
}

static enum serin_errc store_window(const struct attribute *attribute, int count, int64_t least, int32_t *numbers,
                                    struct serin_error *error)
{
    int i;

    if (!attribute->has_ints || attribute->count != count)
        return wrong(attribute,
                     count == 4 ? "four numbers, as two dimensions need"
                                : "two numbers: only two dimensions are supported",
                     error);
    for (i = 0; i < count; i++) {
        if (attribute->ints[i] < least || attribute->ints[i] > MAX_WINDOW)
            return wrong(attribute, least ? "from 1 to 1048576" : "from 0 to 1048576", error);
        numbers[i] = (int32_t)attribute->ints[i];
    }
    return SERIN_OK;
}

/* The place of word in a list of words with blanks between them, or -1. */
static int word_index(const char *words, struct slice word)
{
    int index;

    for (index = 0; *words; index++) {
        size_t length = strcspn(words, " ");

        if (length == word.size && memcmp(words, word.bytes, length) == 0)
            return index;
        words += length + (words[length] == ' ');
    }
    return -1;
}

static enum serin_errc store_word(const struct attribute *attribute, const char *words, void *field,
                                  struct serin_error *error)
{
    char name[GRAPH_TEXT_BYTES], text[GRAPH_TEXT_BYTES];
    int index = attribute->has_s ? word_index(words, attribute->text) : -1;

    _Static_assert(sizeof(enum graph_auto_pad) == sizeof(int), "enums are ints");
    if (index < 0)
        return error_set(error, SERIN_UNSUPPORTED, "the attribute '%.40s' is '%.40s': known are %s",
                         slice_text(attribute->name, name, sizeof(name)),
                         attribute->has_s ? slice_text(attribute->text, text, sizeof(text)) : "no word", words);
    memcpy(field, &index, sizeof(index));
    return SERIN_OK;
}

/* The attribute's numbers as the constant input of that number. */
static enum serin_errc store_input(const struct attribute *attribute, struct graph *graph, struct graph_draft *draft,
                                   size_t input, bool scalar, struct serin_error *error)
{
    bool floats = scalar ? attribute->has_f : attribute->has_floats;
    int64_t count = attribute->count;
    const void *source = floats ? (const void *)attribute->floats : attribute->ints;
    void *bytes;
    int value;

    if (scalar) {
        if (!attribute->has_f && !attribute->has_i)
            return wrong(attribute, "a number", error);
        source = floats ? (const void *)&attribute->f : &attribute->i;
    } else if (!attribute->has_floats && !attribute->has_ints) {
        count = 0; /* an empty list has no field at all */
    } else if (attribute->has_floats && attribute->has_ints) {
        return wrong(attribute, "one list", error);
    }
    if (draft->node.input_count > (int)input)
        return error_set(error, SERIN_CORRUPT, "it has an attribute and an input for the same numbers");
    value = graph_add_constant(graph, floats ? GRAPH_F32 : GRAPH_I64, scalar ? 0 : 1, &count, &bytes);
    if (value == GRAPH_NONE)
        return error_set(error, SERIN_NOMEM, "no memory for an attribute");
    if (scalar || count)
        memcpy(bytes, source, (size_t)(scalar ? 1 : count) * (floats ? sizeof(float) : sizeof(int64_t)));
    while (draft->node.input_count < (int)input)
        draft->inputs[draft->node.input_count++] = GRAPH_NONE;
    draft->inputs[draft->node.input_count++] = value;
    return SERIN_OK;
}

static enum serin_errc store_permutation(const struct attribute *attribute, struct graph_node *node,
                                         struct serin_error *error)
{
    uint32_t seen = 0;
    int i;

    if (!attribute->has_ints || attribute->count > GRAPH_MAX_RANK)
        return wrong(attribute, "a list of up to eight dimensions", error);
    for (i = 0; i < attribute->count; i++) {
        int64_t dimension = attribute->ints[i];

        if (dimension < 0 || dimension >= attribute->count || seen >> dimension & 1)
            return wrong(attribute, "each dimension once", error);
        seen |= 1u << dimension;
        node->transpose.permutation[i] = (int)dimension;
    }
    node->transpose.count = attribute->count;
    return SERIN_OK;
}

static enum serin_errc store_tensor(struct protobuf *file, const struct attribute *attribute, struct graph *graph,
                                    struct graph_draft *draft, struct serin_error *error)
{
    enum serin_errc rc;
    struct slice name;
    int value = GRAPH_NONE;

    if (!attribute->has_t)
        return wrong(attribute, "a tensor", error);
    rc = graph_read_constant(file, attribute->tensor, graph, &value, &name, error);
    if (rc)
        return rc;
    if (draft->node.op == GRAPH_CONSTANT) {
        if (draft->node.input_count)
            return error_set(error, SERIN_CORRUPT, "it has two values");
        draft->inputs[draft->node.input_count++] = value;
        return SERIN_OK;
    }
    if (graph->values[value].element_count != 1)
        return wrong(attribute, "one number", error);
    draft->node.constant = value;
    return SERIN_OK;
}

static enum serin_errc store_type(const struct attribute *attribute, struct graph_node *node, struct serin_error *error)
{
    const char *name = onnx_type_name((uint64_t)attribute->i);

    if (!attribute->has_i || !graph_type_of_onnx((uint64_t)attribute->i, &node->to))
        return error_set(error, SERIN_UNSUPPORTED, "the type %s, number %lld, is not known here", name ? name : "?",
                         (long long)attribute->i);
    return SERIN_OK;
}

static enum serin_errc store(struct protobuf *file, const struct attribute_row *row, const struct attribute *attribute,
                             struct graph *graph, struct graph_draft *draft, struct serin_error *error)
{
    void *field = (char *)&draft->node + row->where;
    struct graph_window *window = field;

    switch (row->target) {
    case TO_FLAG:
        if (!attribute->has_i || (attribute->i & ~(int64_t)1))
            return wrong(attribute, "0 or 1", error);
        *(bool *)field = attribute->i != 0;
        return SERIN_OK;
    case TO_INT:
        if (!attribute->has_i)
            return wrong(attribute, "a number", error);
        /* "To the end" is the largest number of 64 bits in some files. */
        *(int *)field = attribute->i < INT32_MIN / 2   ? INT32_MIN / 2
                        : attribute->i > INT32_MAX / 2 ? INT32_MAX / 2
                                                       : (int)attribute->i;
        return SERIN_OK;
    case TO_INT64:
        if (!attribute->has_i || attribute->i < 1 || attribute->i > INT32_MAX)
            return wrong(attribute, "from 1 to 2147483647", error);
        *(int64_t *)field = attribute->i;
        return SERIN_OK;
    case TO_FLOAT:
        if (!attribute->has_f)
            return wrong(attribute, "a float", error);
        *(float *)field = attribute->f;
        return SERIN_OK;
    case TO_SIZES:
        return store_window(attribute, 2, 1, field, error);
    case TO_PADDING:
        return store_window(attribute, 2, 0, field, error);
    case TO_PADS: {
        int32_t pads[4];
        enum serin_errc rc = store_window(attribute, 4, 0, pads, error);

        if (rc)
            return rc;
        memcpy(window->pad_begin, pads, sizeof(window->pad_begin));
        memcpy(window->pad_end, pads + 2, sizeof(window->pad_end));
        return SERIN_OK;
    }
    case TO_ENUM:
        return store_word(attribute, row->words, field, error);
    case TO_INPUT:
    case TO_SCALAR:
        return store_input(attribute, graph, draft, row->where, row->target == TO_SCALAR, error);
    case TO_PERM:
        return store_permutation(attribute, &draft->node, error);
    case TO_TYPE:
        return store_type(attribute, &draft->node, error);
    case TO_TENSOR:
        return store_tensor(file, attribute, graph, draft, error);
    case DEFAULT:
        return attribute->has_i && attribute->i == (int64_t)row->where
                   ? SERIN_OK
                   : wrong(attribute, "at its default, the only value that is supported", error);
    case ONE_WORD:
        return store_word(attribute, row->words, &(int){0}, error);
    case IGNORED:
        return SERIN_OK;
    }
    return SERIN_OK;
}

/* ---- a node's ---- */

static void set_ones(int32_t numbers[2])
{
    numbers[0] = numbers[1] = 1;
}

/* What ONNX says of attributes that are left out. A kernel of 0 is to be taken from the weights. */
static void set_defaults(struct graph_node *node, int64_t opset)
{
    switch (node->op) {
    case GRAPH_CONV:
    case GRAPH_CONV_INTEGER:
    case GRAPH_CONV_TRANSPOSE:
        set_ones(node->conv.window.stride);
        set_ones(node->conv.window.dilation);
        node->conv.groups = 1;
        break;
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
        set_ones(node->pool.window.stride);
        set_ones(node->pool.window.dilation);
        break;
    case GRAPH_GEMM:
        node->gemm.alpha = node->gemm.beta = 1;
        break;
    case GRAPH_BATCH_NORMALIZATION:
        node->batch_normalization.epsilon = 1e-5f;
        break;
    case GRAPH_SOFTMAX:
        node->softmax.first = opset < 13 ? 1 : -1;
        node->softmax.last = opset < 13; /* as read: whether it goes on to the last dimension */
        break;
    case GRAPH_REDUCE_MAX:
    case GRAPH_REDUCE_MIN:
    case GRAPH_REDUCE_SUM:
    case GRAPH_REDUCE_MEAN:
        node->reduce.keep_dims = true;
        break;
    case GRAPH_ARG_MAX:
        node->axis.keep_dims = true;
        break;
    case GRAPH_TOP_K:
        node->axis.axis = -1;
        node->axis.largest = true;
        break;
    case GRAPH_QUANTIZE_LINEAR:
    case GRAPH_DEQUANTIZE_LINEAR:
    case GRAPH_FLATTEN:
        node->axis.axis = 1;
        break;
    case GRAPH_LEAKY_RELU:
        node->unary.alpha = 0.01f;
        break;
    case GRAPH_ELU:
        node->unary.alpha = 1;
        break;
    case GRAPH_HARD_SIGMOID:
        node->unary.alpha = 0.2f;
        node->unary.beta = 0.5f;
        break;
    case GRAPH_SHAPE:
        node->range.end = INT32_MAX / 2;
        break;
    case GRAPH_CONSTANT_OF_SHAPE:
        node->constant = GRAPH_NONE;
        break;
    default:
        break;
    }
    if (graph_op_is_unary(node->op))
        node->unary.op = node->op;
}

/* Attributes without which the operator means nothing. */
static const struct {
    enum graph_op op;
    const char *name;
} required[] = {
    {GRAPH_CONCAT, "axis"}, {GRAPH_CAST, "to"}, {GRAPH_MAX_POOL, "kernel_shape"}, {GRAPH_AVERAGE_POOL, "kernel_shape"}};

enum serin_errc graph_read_attributes(struct protobuf *file, struct slice node_bytes, struct graph *graph,
                                      struct graph_draft *draft, struct serin_error *error)
{
    struct message message = message_open(file, &node_message, node_bytes);
    const size_t row_count = sizeof(rows) / sizeof(rows[0]);
    enum serin_errc rc = SERIN_OK;
    struct attribute attribute;
    char text[GRAPH_TEXT_BYTES];
    uint64_t seen[2] = {0, 0};
    bool more = false;
    size_t i, j;

    _Static_assert(sizeof(rows) / sizeof(rows[0]) <= 128, "a bit for each row");
    set_defaults(&draft->node, graph->opset);
    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number != NODE_ATTRIBUTE)
            continue;
        rc = read_attribute(file, message.bytes, &attribute, error);
        if (rc)
            return rc;
        for (i = 0; i < row_count; i++)
            if (rows[i].op == draft->node.op && slice_is(attribute.name, rows[i].name))
                break;
        slice_text(attribute.name, text, sizeof(text));
        if (i == row_count || attribute.strange)
            return error_set(error, SERIN_UNSUPPORTED, "the attribute '%s' is not known here", text);
        if (seen[i / 64] >> i % 64 & 1)
            return error_set(error, SERIN_CORRUPT, "the attribute '%s' is there twice", text);
        seen[i / 64] |= (uint64_t)1 << i % 64;
        rc = store(file, &rows[i], &attribute, graph, draft, error);
        if (rc)
            return rc;
    }
    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        for (j = 0; j < row_count && required[i].op == draft->node.op; j++)
            if (rows[j].op == required[i].op && strcmp(rows[j].name, required[i].name) == 0 &&
                !(seen[j / 64] >> j % 64 & 1))
                return error_set(error, SERIN_CORRUPT, "the attribute '%s' is missing", required[i].name);
    return SERIN_OK;
}
