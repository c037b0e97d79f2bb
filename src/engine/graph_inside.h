/*
 * graph_inside.h - what the files that make graphs share.  Depends on graph.h and protobuf.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by graph*.c only.
 */
#ifndef ENGINE_GRAPH_INSIDE_H
#define ENGINE_GRAPH_INSIDE_H

#include "engine/graph.h"
#include "engine/protobuf.h"

#define GRAPH_TEXT_BYTES 200

/* ---- graph.c ---- */

/* An empty graph whose arena may take max_bytes; NULL without memory. */
struct graph *graph_new(uint64_t max_bytes);

/* The operator that a file means by name, or GRAPH_REMOVED. */
enum graph_op graph_op_find(struct slice name);

/* Fewest and most inputs, fewest and most outputs. */
struct graph_arity {
    int min_inputs, max_inputs, min_outputs, max_outputs;
};
struct graph_arity graph_op_arity(enum graph_op op);

/* Sets type, rank, shape and element_count, having checked them: SERIN_LIMIT. A dimension of 0 is fine; the product of
 * the others is bounded all the same, so that no product of some of them can overflow. */
MUST_USE enum serin_errc graph_value_set(struct graph_value *value, enum graph_type type, int rank,
                                         const int64_t *shape, struct serin_error *error);

/* A value without type; GRAPH_NONE without memory. The name must be the graph's. */
int graph_add_name(struct graph *graph, const char *name);

/* Writes "node 'name' (Conv)": returns text, of GRAPH_TEXT_BYTES. */
const char *graph_node_text(const struct graph_node *node, char *text);

/* "1x3x640x640": returns text, of GRAPH_TEXT_BYTES. */
const char *graph_shape_text(int rank, const int64_t *shape, char *text);

/* ---- graph_constant.c ---- */

/* Reads a TensorProto into a constant, fp16 and bfloat16 widened: SERIN_UNSUPPORTED for types that graphs do not have,
 * and more than GRAPH_MAX_RANK dimensions. ret_name is a piece of the file. */
MUST_USE enum serin_errc graph_read_constant(struct protobuf *file, struct slice bytes, struct graph *graph,
                                             int *ret_value, struct slice *ret_name, struct serin_error *error);

/* Copies a slice to a string of the graph; NULL without memory. NULs become '?', what is too long is cut. */
const char *graph_copy_text(struct graph *graph, struct slice slice);

/* ---- graph_attributes.c ---- */

/* A node while it is read: attributes may still become inputs. */
struct graph_draft {
    struct graph_node node;
    int inputs[GRAPH_MAX_ARITY], outputs[GRAPH_MAX_ARITY];
};

/* Sets the fields of draft from the attributes of a NodeProto, and ONNX's defaults where there are none; CONSTANT has
 * its value in inputs[0] afterwards. */
MUST_USE enum serin_errc graph_read_attributes(struct protobuf *file, struct slice node_bytes, struct graph *graph,
                                               struct graph_draft *draft, struct serin_error *error);

/* The type of a graph for ONNX's number of one; false where graphs have none. */
bool graph_type_of_onnx(uint64_t onnx_type, enum graph_type *ret);

/* ---- graph_infer.c ---- */

/* What one node makes. */
struct graph_shape_of {
    enum graph_type type;
    int rank;
    int64_t shape[GRAPH_MAX_RANK];
};

/* Brings node, whose inputs are values of graph, to the form that graphs with shapes have, and tells its outputs (room
 * for output_count of them). node's inputs may be changed. */
MUST_USE enum serin_errc graph_infer(struct graph *graph, struct graph_node *node, struct graph_shape_of *outputs,
                                     struct serin_error *error);

#endif
