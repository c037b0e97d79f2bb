/*
 * onnx_value.h - one ValueInfoProto: an input or output of a graph.  Depends on protobuf.h and engine.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_ONNX_VALUE_H
#define ENGINE_ONNX_VALUE_H

#include "engine/engine.h"
#include "engine/protobuf.h"

/* Its name, and the bytes of its type; both empty where they are missing. */
MUST_USE enum serin_errc onnx_value_read(struct protobuf *file, struct slice bytes, struct slice *ret_name,
                                         struct slice *ret_type, struct serin_error *error);

/* Reads a type into spec, whose name the caller has set: for the messages. SERIN_UNSUPPORTED where it is no tensor of
 * numbers, or has more than ENGINE_MAX_RANK dimensions; SERIN_CORRUPT. */
MUST_USE enum serin_errc onnx_value_type(struct protobuf *file, struct slice bytes, struct tensor_spec *spec,
                                         struct serin_error *error);

#endif
