/*
 * onnx_probe.h - reads what an ONNX file says of itself, without running it and without trusting it.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A walk over the protobuf of ModelProto (onnx.proto3, ONNX 1.x) that allocates only the metadata text and a set of
 * names, checks every length against the bytes there are, and refuses what a worker must never load: weights in other
 * files, sub-graph nesting beyond a limit, tensors larger than the file, cycles, operators that are not ONNX's own or
 * ONNX Runtime's, and what two readers may read in two ways (a single field, a name or a metadata key that comes
 * twice).
 *
 * Nodes should come in topological order (IR specification "Graphs"), but converters to fp16 put the cast of the input
 * behind all others, and Ultralytics' half=True is such a file. So the model's own nodes are taken in rounds: those
 * whose inputs are made, in the file's order, then again those that were left, ONNX_MAX_ROUNDS times at most. What is
 * left then is a cycle, or might as well be one.
 */
#ifndef ENGINE_ONNX_PROBE_H
#define ENGINE_ONNX_PROBE_H

#include "engine/engine.h"

#define ONNX_MAX_METADATA       64
#define ONNX_MAX_METADATA_BYTES (1u << 20)
#define ONNX_MAX_NODES          65536
#define ONNX_MAX_DEPTH          8 /* of graphs: the model's own is 1 */
#define ONNX_MAX_FIELDS         (1u << 24)
#define ONNX_MAX_ROUNDS         8  /* over nodes that are out of order */
#define ONNX_MAX_OPERATORS      64 /* kinds that are counted by name */

struct onnx_metadata {
    char *key;   /* NUL-terminated, malloc'ed */
    char *value; /* same */
};

struct onnx_operator {
    char name[32]; /* "Conv"; longer ones are cut */
    size_t count;  /* nodes, in all graphs */
};

struct onnx_summary {
    int64_t ir_version;
    int64_t opset; /* of the default domain; 0 where it is missing */
    char producer[64];
    struct engine_interface interface;        /* graph inputs that are not initializers, and outputs */
    size_t node_count;                        /* in all graphs */
    size_t initializer_count;                 /* of the model's own graph, as the counts below */
    uint64_t parameter_count;                 /* elements of the floating-point and 8-bit initializers */
    uint64_t bytes_by_type[TENSOR_OTHER + 1]; /* of the initializers */
    bool quantized;                           /* has integer convolutions or (de)quantize nodes */
    size_t int8_convolutions;                 /* of integers, or of what is dequantized right before (QDQ) */
    uint64_t nan_count, inf_count; /* among the floating-point initializers. A NaN is a training gone wrong; an infinity
                                      may be meant (masks that add -inf) */
    size_t broken_scale_count;     /* (de)quantize nodes with an initializer as their scale that holds what is no
                                      scale: see onnx_tensor.h */
    int operator_count;            /* kinds, at most ONNX_MAX_OPERATORS; by falling count */
    struct onnx_operator operators[ONNX_MAX_OPERATORS];
    int metadata_count;
    struct onnx_metadata metadata[ONNX_MAX_METADATA];
};

/* SERIN_CORRUPT (what, at which byte), SERIN_UNSUPPORTED (external weights, foreign operators), SERIN_LIMIT,
 * SERIN_NOMEM. ret is the caller's: onnx_summary_done. Linear in size_bytes; memory is bounded by the limits above, not
 * by the size. */
MUST_USE enum serin_errc onnx_probe(const uint8_t *bytes, size_t size_bytes, struct onnx_summary *ret,
                                    struct serin_error *error);
void onnx_summary_done(struct onnx_summary *summary);
const char *onnx_summary_find(const struct onnx_summary *summary, const char *key); /* NULL where it is missing */
/* What the file is in: "int8" where convolutions of it are, else the type of its first input ("fp32", "fp16",
 * "uint8"). With weights alone in int8 the convolutions are of floats. Constant text. */
const char *onnx_summary_precision(const struct onnx_summary *summary);

#endif
