/*
 * graph_constant.c - TensorProto to the bytes of a constant.
 * SPDX-License-Identifier: Apache-2.0
 *
 * onnx_tensor_read has already counted: there are exactly as many values as the dimensions say, in the one field that
 * the type has, or in raw_data. Here they are only copied, and floats of 16 bits widened. ONNX is little-endian, and so
 * is every processor that Serin runs on.
 */
#include "engine/graph_inside.h"
#include "engine/onnx_fields.h"
#include "engine/onnx_tensor.h"

#include "base/half.h"

#include <string.h>

ONNX_MESSAGE(tensor_message, "tensor", TENSOR_FIELDS)

enum { ONNX_FLOAT = 1, ONNX_FLOAT16 = 10, ONNX_BFLOAT16 = 16 };

bool graph_type_of_onnx(uint64_t onnx_type, enum graph_type *ret)
{
    static const struct {
        uint8_t onnx, graph;
    } pairs[] = {
        {ONNX_FLOAT, GRAPH_F32},
        {ONNX_FLOAT16, GRAPH_F32},
        {ONNX_BFLOAT16, GRAPH_F32},
        {2, GRAPH_U8},
        {3, GRAPH_I8},
        {6, GRAPH_I32},
        {7, GRAPH_I64},
        {9, GRAPH_BOOL},
    };
    size_t i;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i].onnx == onnx_type) {
            *ret = (enum graph_type)pairs[i].graph;
            return true;
        }
    return false;
}

const char *graph_copy_text(struct graph *graph, struct slice slice)
{
    size_t size = slice.size < GRAPH_TEXT_BYTES ? slice.size + 1 : GRAPH_TEXT_BYTES;
    char *text = arena_new(&graph->arena, char, size);

    return text ? slice_text(slice, text, size) : NULL;
}

static float widen(uint64_t onnx_type, uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;

    if (onnx_type == ONNX_FLOAT16)
        return half_to_float(bits);
    memcpy(&value, &wide, sizeof(value));
    return value;
}

/* Where values are written: the next one is number at of count. */
struct sink {
    uint64_t onnx_type;
    enum graph_type type;
    uint64_t at, count;
    void *bytes;
};

static void put_integer(struct sink *sink, uint64_t bits)
{
    uint64_t at = sink->at++;

    BUG_ON(at >= sink->count);
    switch (sink->type) {
    case GRAPH_F32:
        ((float *)sink->bytes)[at] = widen(sink->onnx_type, (uint16_t)bits);
        break;
    case GRAPH_I64:
        ((int64_t *)sink->bytes)[at] = (int64_t)bits;
        break;
    case GRAPH_I32:
        ((int32_t *)sink->bytes)[at] = (int32_t)bits;
        break;
    case GRAPH_BOOL:
        ((uint8_t *)sink->bytes)[at] = bits != 0;
        break;
    case GRAPH_U8:
    case GRAPH_I8:
        ((uint8_t *)sink->bytes)[at] = (uint8_t)bits;
        break;
    }
}

/* Values just as they lie in memory. */
static void put_bytes(struct sink *sink, struct slice bytes)
{
    size_t width = graph_type_bytes(sink->type);

    BUG_ON(bytes.size / width > sink->count - sink->at);
    if (bytes.size)
        memcpy((uint8_t *)sink->bytes + sink->at * width, bytes.bytes, bytes.size);
    sink->at += bytes.size / width;
}

static void put_raw(struct sink *sink, struct slice raw)
{
    bool half = sink->onnx_type == ONNX_FLOAT16 || sink->onnx_type == ONNX_BFLOAT16;
    size_t i, width = half ? 2 : 1;

    if (!half && sink->type != GRAPH_BOOL) {
        put_bytes(sink, raw);
        return;
    }
    for (i = 0; i + width <= raw.size; i += width)
        put_integer(sink, half ? (uint64_t)(raw.bytes[i] | raw.bytes[i + 1] << 8) : raw.bytes[i]);
}

/* One number, or a packed run of them; false where a varint has no end. */
static bool put_varints(struct sink *sink, const struct message *message)
{
    uint64_t value;
    size_t at = 0;

    if (message->wire == WIRE_VARINT) {
        put_integer(sink, message->value);
        return true;
    }
    while (at < message->bytes.size) {
        if (!varint_read(message->bytes.bytes, message->bytes.size, &at, &value))
            return false;
        put_integer(sink, value);
    }
    return true;
}

static enum serin_errc read_values(struct protobuf *file, struct slice bytes, struct sink *sink,
                                   struct serin_error *error)
{
    struct message message = message_open(file, &tensor_message, bytes);
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            return rc;
        switch (message.number) {
        case TENSOR_RAW_DATA:
            put_raw(sink, message.bytes);
            break;
        case TENSOR_FLOAT_DATA:
            put_bytes(sink, message.bytes);
            break;
        case TENSOR_INT32_DATA:
        case TENSOR_INT64_DATA:
            if (!put_varints(sink, &message))
                return error_set(error, SERIN_CORRUPT, "a number of field %u has no end", message.number);
            break;
        default:
            break;
        }
    }
}

static enum serin_errc read_dims(struct protobuf *file, struct slice bytes, int *ret_rank, int64_t *shape,
                                 struct serin_error *error)
{
    struct message message = message_open(file, &tensor_message, bytes);
    int64_t dims[ONNX_MAX_TENSOR_RANK];
    struct sink sink = {.type = GRAPH_I64, .count = ONNX_MAX_TENSOR_RANK, .bytes = dims};
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == TENSOR_DIMS && !put_varints(&sink, &message))
            return error_set(error, SERIN_CORRUPT, "a dimension has no end");
    }
    if (sink.at > GRAPH_MAX_RANK)
        return error_set(error, SERIN_UNSUPPORTED, "%d dimensions, the limit is %d", (int)sink.at, GRAPH_MAX_RANK);
    *ret_rank = (int)sink.at;
    memcpy(shape, dims, (size_t)sink.at * sizeof(*shape));
    return SERIN_OK;
}

enum serin_errc graph_read_constant(struct protobuf *file, struct slice bytes, struct graph *graph, int *ret_value,
                                    struct slice *ret_name, struct serin_error *error)
{
    struct onnx_tensor tensor;
    struct graph_value measured = {.rank = 0};
    struct sink sink = {.at = 0};
    char text[GRAPH_TEXT_BYTES];
    enum serin_errc rc;
    int64_t shape[GRAPH_MAX_RANK];
    int rank = 0, value;

    rc = onnx_tensor_read(file, bytes, &tensor, error);
    if (rc)
        return rc;
    slice_text(tensor.name, text, sizeof(text));
    sink.onnx_type = tensor.type;
    if (!graph_type_of_onnx(tensor.type, &sink.type))
        return error_set(error, SERIN_UNSUPPORTED, "tensor '%s' has elements of type %s", text,
                         onnx_type_name(tensor.type));
    rc = read_dims(file, bytes, &rank, shape, error);
    if (rc == SERIN_OK)
        rc = graph_value_set(&measured, sink.type, rank, shape, error);
    if (rc)
        return error_prefix(error, rc, "tensor '%s'", text);
    value = graph_add_constant(graph, sink.type, rank, shape, &sink.bytes);
    if (value == GRAPH_NONE)
        return error_set(error, SERIN_NOMEM, "no memory for tensor '%s'", text);
    sink.count = graph->values[value].element_count;
    rc = read_values(file, bytes, &sink, error);
    if (rc)
        return rc;
    graph->values[value].name = graph_copy_text(graph, tensor.name);
    if (!graph->values[value].name)
        return error_set(error, SERIN_NOMEM, "no memory for the name of tensor '%s'", text);
    BUG_ON(sink.at != sink.count);
    *ret_value = value;
    *ret_name = tensor.name;
    return SERIN_OK;
}
