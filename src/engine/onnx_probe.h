/*
 * onnx_probe.h - reads what an ONNX file says of itself, without running it and without trusting it.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A walk over the protobuf of ModelProto (onnx.proto3, ONNX 1.x) that allocates only the metadata text, checks every length
 * against the bytes there are, and refuses what a worker must never load: weights in other files, sub-graph nesting beyond a
 * limit, tensors larger than the file, cycles (nodes must come in topological order, IR specification "Graphs").
 */
#ifndef ENGINE_ONNX_PROBE_H
#define ENGINE_ONNX_PROBE_H

#include "engine/engine.h"

#define ONNX_MAX_METADATA 64
#define ONNX_MAX_METADATA_BYTES (1u << 20)
#define ONNX_MAX_NODES 65536
#define ONNX_MAX_DEPTH 8

struct onnx_metadata {
    char *key;   /* NUL-terminated, malloc'ed */
    char *value; /* same */
};

struct onnx_summary {
    int64_t ir_version;
    int64_t opset; /* of the default domain; 0 where it is missing */
    char producer[64];
    struct engine_interface interface; /* graph inputs that are not initializers, and outputs */
    size_t node_count;
    size_t initializer_count;
    uint64_t parameter_count; /* elements of the floating-point and 8-bit initializers */
    uint64_t bytes_by_type[TENSOR_OTHER + 1]; /* of the initializers */
    bool quantized; /* has integer convolutions or (de)quantize nodes */
    int metadata_count;
    struct onnx_metadata metadata[ONNX_MAX_METADATA];
};

/* SERIN_CORRUPT (what, at which byte), SERIN_UNSUPPORTED (external weights), SERIN_LIMIT, SERIN_NOMEM. ret is the
 * caller's: onnx_summary_done. */
MUST_USE enum serin_errc onnx_probe(const uint8_t *bytes, size_t size_bytes, struct onnx_summary *ret,
                                    struct serin_error *error);
void onnx_summary_done(struct onnx_summary *summary);
const char *onnx_summary_find(const struct onnx_summary *summary, const char *key); /* NULL where it is missing */

#endif
