/*
 * onnx_value.c - ValueInfoProto down to its dimensions.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/onnx_value.h"

#include "engine/onnx_fields.h"
#include "engine/onnx_tensor.h"

ONNX_MESSAGE(value_message, "value", VALUE_FIELDS)
ONNX_MESSAGE(type_message, "type", TYPE_FIELDS)
ONNX_MESSAGE(tensor_type_message, "tensor type", TENSOR_TYPE_FIELDS)
ONNX_MESSAGE(shape_message, "shape", SHAPE_FIELDS)
ONNX_MESSAGE(dimension_message, "dimension", DIMENSION_FIELDS)

static enum serin_errc read_dimension(struct protobuf *file, struct slice bytes, int64_t *ret,
                                      struct serin_error *error)
{
    struct message message = message_open(file, &dimension_message, bytes);
    enum serin_errc rc;
    bool more = false;

    *ret = -1;
    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            return rc;
        if (message.number != DIMENSION_VALUE)
            continue;
        if ((int64_t)message.value < -1)
            return error_set(error, SERIN_CORRUPT, "a dimension of %lld", (long long)message.value);
        *ret = (int64_t)message.value; /* -1 is how some writers say "free" */
    }
}

static enum serin_errc read_shape(struct protobuf *file, struct slice bytes, struct tensor_spec *spec,
                                  struct serin_error *error)
{
    struct message message = message_open(file, &shape_message, bytes);
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            return rc;
        if (message.number != SHAPE_DIM)
            continue;
        if (spec->rank == ENGINE_MAX_RANK)
            return error_set(error, SERIN_UNSUPPORTED, "'%s' has more than %d dimensions", spec->name, ENGINE_MAX_RANK);
        rc = read_dimension(file, message.bytes, &spec->shape[spec->rank], error);
        if (rc)
            return error_prefix(error, rc, "'%s'", spec->name);
        spec->rank++;
    }
}

static enum serin_errc read_tensor_type(struct protobuf *file, struct slice bytes, struct tensor_spec *spec,
                                        struct serin_error *error)
{
    struct message message = message_open(file, &tensor_type_message, bytes);
    uint64_t type = 0;
    enum serin_errc rc;
    bool more = false;

    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc)
            return rc;
        if (!more)
            break;
        if (message.number == TENSOR_TYPE_ELEMENT)
            type = message.value;
        if (message.number == TENSOR_TYPE_SHAPE) {
            rc = read_shape(file, message.bytes, spec, error);
            if (rc)
                return rc;
        }
    }
    if (!onnx_type_name(type))
        return error_set(error, SERIN_UNSUPPORTED, "'%s' has the unknown element type %llu", spec->name,
                         (unsigned long long)type);
    if (onnx_type_is_exotic(type))
        return error_set(error, SERIN_UNSUPPORTED, "'%s' is of type %s: numbers are expected", spec->name,
                         onnx_type_name(type));
    spec->type = onnx_tensor_type(type);
    return SERIN_OK;
}

enum serin_errc onnx_value_type(struct protobuf *file, struct slice bytes, struct tensor_spec *spec,
                                struct serin_error *error)
{
    struct message message = message_open(file, &type_message, bytes);
    bool more = false, tensor = false;
    enum serin_errc rc;

    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc)
            return rc;
        if (!more)
            break;
        switch (message.number) {
        case TYPE_TENSOR:
            tensor = true;
            rc = read_tensor_type(file, message.bytes, spec, error);
            if (rc)
                return rc;
            break;
        case TYPE_SEQUENCE:
        case TYPE_MAP:
        case TYPE_OPAQUE:
        case TYPE_SPARSE:
        case TYPE_OPTIONAL:
            return error_set(error, SERIN_UNSUPPORTED, "'%s' is no plain tensor", spec->name);
        default:
            break;
        }
    }
    if (!tensor)
        return error_set(error, SERIN_CORRUPT, "'%s' has no tensor type", spec->name);
    return SERIN_OK;
}

enum serin_errc onnx_value_read(struct protobuf *file, struct slice bytes, struct slice *ret_name,
                                struct slice *ret_type, struct serin_error *error)
{
    struct message message = message_open(file, &value_message, bytes);
    enum serin_errc rc;
    bool more = false;

    *ret_name = *ret_type = (struct slice){bytes.bytes, 0};
    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            return rc;
        if (message.number == VALUE_NAME)
            *ret_name = message.bytes;
        if (message.number == VALUE_TYPE)
            *ret_type = message.bytes;
    }
}
