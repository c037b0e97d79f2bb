/*
 * onnx_tensor.h - one TensorProto, measured and checked.  Depends on protobuf.h and engine.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_ONNX_TENSOR_H
#define ENGINE_ONNX_TENSOR_H

#include "engine/engine.h"
#include "engine/protobuf.h"

#define ONNX_MAX_TENSOR_RANK 32
#define ONNX_MAX_SCALE_BYTES 65536 /* 16,384 channels */

/* Name of an element type's number ("float16"), or NULL where ONNX has none of that number; its counterpart of
 * engine.h. */
const char *onnx_type_name(uint64_t type);
enum tensor_type onnx_tensor_type(uint64_t type);
bool onnx_type_is_exotic(uint64_t type); /* strings and complex numbers: never a picture, never boxes */

struct onnx_tensor {
    struct slice name;
    uint64_t type; /* TensorProto.DataType */
    uint64_t element_count, bytes;
    uint64_t nan_count, inf_count; /* of float16, bfloat16, float and double */
    uint64_t no_scale_count;       /* numbers that are no scale: not finite and above 0, or too small to be normal. Of
                                      float16, bfloat16 and float, in pieces of at most ONNX_MAX_SCALE_BYTES */
    bool counts_as_parameter;      /* floating point or 8 bits wide */
};

/* Checks that dimensions, type and values agree with each other and lie in this file. */
MUST_USE enum serin_errc onnx_tensor_read(struct protobuf *file, struct slice bytes, struct onnx_tensor *ret,
                                          struct serin_error *error);

/* Text of a slice for a message, cut to fit: returns text. */
const char *slice_text(struct slice slice, char *text, size_t size);

#endif
