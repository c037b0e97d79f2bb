/*
 * quantize.h - makes an int8 network of one in fp32: measures it on pictures, and writes the ONNX file anew.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Depends on graph.h, base/buffer.h. What comes out is an ordinary ONNX file in QDQ form (QuantizeLinear and
 * DequantizeLinear of opset 13) for whatever runs ONNX: weights in int8, symmetric, a scale for each output channel;
 * what flows between convolutions in uint8, a scale and a zero point for each tensor, chosen behind the activation, one
 * for all tensors that meet in a concatenation; biases in int32. Everything else of the file is copied byte by byte,
 * and the same pictures make the same bytes.
 *
 *     quantizer_new                   which layers, and which tensors are to be measured
 *     for (pass = 0; pass < QUANTIZE_PASSES; pass++)
 *         quantizer_look              at each picture
 *     quantizer_write
 *
 * The first and the last layers stay fp32, and what is behind them. Not thread-safe.
 */
#ifndef ENGINE_QUANTIZE_H
#define ENGINE_QUANTIZE_H

#include "base/buffer.h"
#include "engine/graph.h"

#define QUANTIZE_PASSES    2 /* the ranges; then how often each number comes */
#define QUANTIZE_MIN_OPSET 13

struct quantize_layer {
    const char *name; /* the node's, or that of its result */
    const char *kept; /* why it stays fp32; NULL: it does not */
    int64_t weights;
    double signal_db; /* its power over that of what rounding adds, of weights and input together */
};

struct quantizer;

/* inputs: one tensor, whose shape is what counts; its type is the file's, or TENSOR_U8 where that is fp32: bytes that
 * stand for value / 255. keep: names of layers that stay fp32, all the same. bytes must outlive ret, which is the
 * caller's: quantizer_free. Errors: those of graph_read and plan_new; SERIN_UNSUPPORTED for a network that is quantized
 * already, that is not fp32, whose opset is older, or that has no layer to quantize; SERIN_INVALID where a name of keep
 * is no layer's. */
MUST_USE enum serin_errc quantizer_new(const uint8_t *bytes, size_t size_bytes, const struct tensor *inputs,
                                       const char *const *keep, int keep_count, int threads, struct quantizer **ret,
                                       struct serin_error *error);
void quantizer_free(struct quantizer *quantizer); /* NULL is fine */

/* One input, in this pass. SERIN_INVALID where what comes out is not finite. */
MUST_USE enum serin_errc quantizer_look(struct quantizer *quantizer, int pass, const void *input,
                                        struct serin_error *error);

/* Appends the file. Errors: SERIN_LIMIT, SERIN_NOMEM of the buffer; SERIN_UNSUPPORTED where names are in the way. */
MUST_USE enum serin_errc quantizer_write(struct quantizer *quantizer, struct buffer *ret, struct serin_error *error);

/* All convolutions in the network's order; signal_db is there after quantizer_write. */
const struct quantize_layer *quantizer_layers(const struct quantizer *quantizer, int *ret_count);

#endif
