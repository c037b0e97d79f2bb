/*
 * onnx_fields.h - the messages and field numbers of onnx.proto3 that the readers know.  Depends on protobuf.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source: onnx/onnx.proto3 of ONNX 1.18 (the numbers never change). Included by onnx_*.c and
 * graph_*.c only.
 */
#ifndef ENGINE_ONNX_FIELDS_H
#define ENGINE_ONNX_FIELDS_H

#include "engine/protobuf.h"

#define VARINT  WIRE_BIT(WIRE_VARINT)
#define BYTES   WIRE_BIT(WIRE_BYTES)
#define FIXED32 WIRE_BIT(WIRE_FIXED32)
#define FIXED64 WIRE_BIT(WIRE_FIXED64)

/* X(enumerator, number, name, wire types, repeated) */
#define MODEL_FIELDS(X)                                                                                                \
    X(MODEL_IR_VERSION, 1, "ir_version", VARINT, false)                                                                \
    X(MODEL_PRODUCER_NAME, 2, "producer_name", BYTES, false)                                                           \
    X(MODEL_GRAPH, 7, "graph", BYTES, false)                                                                           \
    X(MODEL_OPSET_IMPORT, 8, "opset_import", BYTES, true)                                                              \
    X(MODEL_METADATA_PROPS, 14, "metadata_props", BYTES, true)                                                         \
    X(MODEL_TRAINING_INFO, 20, "training_info", BYTES, true)                                                           \
    X(MODEL_FUNCTIONS, 25, "functions", BYTES, true)

#define OPSET_FIELDS(X)                                                                                                \
    X(OPSET_DOMAIN, 1, "domain", BYTES, false)                                                                         \
    X(OPSET_VERSION, 2, "version", VARINT, false)

/* StringStringEntryProto, of metadata */
#define METADATA_FIELDS(X)                                                                                             \
    X(METADATA_KEY, 1, "key", BYTES, false)                                                                            \
    X(METADATA_VALUE, 2, "value", BYTES, false)

/* StringStringEntryProto, of external_data */
#define EXTERNAL_FIELDS(X)                                                                                             \
    X(EXTERNAL_KEY, 1, "key", BYTES, false)                                                                            \
    X(EXTERNAL_VALUE, 2, "value", BYTES, false)

#define GRAPH_FIELDS(X)                                                                                                \
    X(GRAPH_NODE, 1, "node", BYTES, true)                                                                              \
    X(GRAPH_INITIALIZER, 5, "initializer", BYTES, true)                                                                \
    X(GRAPH_INPUT, 11, "input", BYTES, true)                                                                           \
    X(GRAPH_OUTPUT, 12, "output", BYTES, true)                                                                         \
    X(GRAPH_SPARSE_INITIALIZER, 15, "sparse_initializer", BYTES, true)

#define NODE_FIELDS(X)                                                                                                 \
    X(NODE_INPUT, 1, "input", BYTES, true)                                                                             \
    X(NODE_OUTPUT, 2, "output", BYTES, true)                                                                           \
    X(NODE_NAME, 3, "name", BYTES, false)                                                                              \
    X(NODE_OP_TYPE, 4, "op_type", BYTES, false)                                                                        \
    X(NODE_ATTRIBUTE, 5, "attribute", BYTES, true)                                                                     \
    X(NODE_DOMAIN, 7, "domain", BYTES, false)

#define ATTRIBUTE_FIELDS(X)                                                                                            \
    X(ATTRIBUTE_NAME, 1, "name", BYTES, false)                                                                         \
    X(ATTRIBUTE_F, 2, "f", FIXED32, false)                                                                             \
    X(ATTRIBUTE_I, 3, "i", VARINT, false)                                                                              \
    X(ATTRIBUTE_S, 4, "s", BYTES, false)                                                                               \
    X(ATTRIBUTE_T, 5, "t", BYTES, false)                                                                               \
    X(ATTRIBUTE_G, 6, "g", BYTES, false)                                                                               \
    X(ATTRIBUTE_FLOATS, 7, "floats", FIXED32 | BYTES, true)                                                            \
    X(ATTRIBUTE_INTS, 8, "ints", VARINT | BYTES, true)                                                                 \
    X(ATTRIBUTE_TENSORS, 10, "tensors", BYTES, true)                                                                   \
    X(ATTRIBUTE_GRAPHS, 11, "graphs", BYTES, true)                                                                     \
    X(ATTRIBUTE_SPARSE_TENSOR, 22, "sparse_tensor", BYTES, false)                                                      \
    X(ATTRIBUTE_SPARSE_TENSORS, 23, "sparse_tensors", BYTES, true)

#define TENSOR_FIELDS(X)                                                                                               \
    X(TENSOR_DIMS, 1, "dims", VARINT | BYTES, true)                                                                    \
    X(TENSOR_DATA_TYPE, 2, "data_type", VARINT, false)                                                                 \
    X(TENSOR_SEGMENT, 3, "segment", BYTES, false)                                                                      \
    X(TENSOR_FLOAT_DATA, 4, "float_data", FIXED32 | BYTES, true)                                                       \
    X(TENSOR_INT32_DATA, 5, "int32_data", VARINT | BYTES, true)                                                        \
    X(TENSOR_STRING_DATA, 6, "string_data", BYTES, true)                                                               \
    X(TENSOR_INT64_DATA, 7, "int64_data", VARINT | BYTES, true)                                                        \
    X(TENSOR_NAME, 8, "name", BYTES, false)                                                                            \
    X(TENSOR_RAW_DATA, 9, "raw_data", BYTES, false)                                                                    \
    X(TENSOR_DOUBLE_DATA, 10, "double_data", FIXED64 | BYTES, true)                                                    \
    X(TENSOR_UINT64_DATA, 11, "uint64_data", VARINT | BYTES, true)                                                     \
    X(TENSOR_EXTERNAL_DATA, 13, "external_data", BYTES, true)                                                          \
    X(TENSOR_DATA_LOCATION, 14, "data_location", VARINT, false)

#define VALUE_FIELDS(X)                                                                                                \
    X(VALUE_NAME, 1, "name", BYTES, false)                                                                             \
    X(VALUE_TYPE, 2, "type", BYTES, false)

#define TYPE_FIELDS(X)                                                                                                 \
    X(TYPE_TENSOR, 1, "tensor_type", BYTES, false)                                                                     \
    X(TYPE_SEQUENCE, 4, "sequence_type", BYTES, false)                                                                 \
    X(TYPE_MAP, 5, "map_type", BYTES, false)                                                                           \
    X(TYPE_OPAQUE, 7, "opaque_type", BYTES, false)                                                                     \
    X(TYPE_SPARSE, 8, "sparse_tensor_type", BYTES, false)                                                              \
    X(TYPE_OPTIONAL, 9, "optional_type", BYTES, false)

#define TENSOR_TYPE_FIELDS(X)                                                                                          \
    X(TENSOR_TYPE_ELEMENT, 1, "elem_type", VARINT, false)                                                              \
    X(TENSOR_TYPE_SHAPE, 2, "shape", BYTES, false)

#define SHAPE_FIELDS(X) X(SHAPE_DIM, 1, "dim", BYTES, true)

#define DIMENSION_FIELDS(X)                                                                                            \
    X(DIMENSION_VALUE, 1, "dim_value", VARINT, false)                                                                  \
    X(DIMENSION_PARAM, 2, "dim_param", BYTES, false)

/* Enumerators and initialisers, where parentheses may not stand. NOLINTBEGIN(bugprone-macro-parentheses) */
#define AS_ENUM(enumerator, number, name, wires, repeated) enumerator = number,
#define AS_ROW(enumerator, number, name, wires, repeated)  {number, name, (uint8_t)(wires), repeated},
/* NOLINTEND(bugprone-macro-parentheses) */

/* Declares enum and struct message_type of one message. */
#define ONNX_MESSAGE(variable, text, FIELDS)                                                                           \
    enum variable##_field{FIELDS(AS_ENUM)};                                                                            \
    static const struct message_type variable = {text, (const struct message_field[]){FIELDS(AS_ROW){0}}};

#endif
