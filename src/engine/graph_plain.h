/*
 * graph_plain.h - every operator of a graph in plain C: slow, and meant to be obviously right.  Depends on graph.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What faster kernels are tested against, what computes constants when shapes are inferred, and what an engine runs for
 * operators that are too rare for a kernel. Tensors are dense and row-major; fp32 sums are kept in double. Thread-safe.
 */
#ifndef ENGINE_GRAPH_PLAIN_H
#define ENGINE_GRAPH_PLAIN_H

#include "engine/graph.h"

/* f(value), rounded to fp32 once. */
float graph_plain_unary(const struct graph_unary *unary, float value);

/* Computes one node of a graph with shapes. inputs and outputs: its tensors, in its order, with the types and shapes of
 * the graph's values; NULL where one is left out. Outputs overlap no input. Allocates nothing. SERIN_MODEL where the
 * data itself is wrong: an index beyond its dimension, an integer divided by 0. */
MUST_USE enum serin_errc graph_plain_node(const struct graph *graph, const struct graph_node *node,
                                          const void *const *inputs, void *const *outputs, struct serin_error *error);

/* Runs a whole graph with shapes. inputs and outputs: one buffer each, in the graph's order, of graph_value_bytes (what
 * the file calls fp16 is fp32 here). Errors: as above, SERIN_LIMIT where it would take more than max_bytes of memory at
 * once, SERIN_NOMEM. */
MUST_USE enum serin_errc graph_plain_run(const struct graph *graph, uint64_t max_bytes, const void *const *inputs,
                                         void *const *outputs, struct serin_error *error);

#endif
