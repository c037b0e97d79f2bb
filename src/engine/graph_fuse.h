/*
 * graph_fuse.h - fewer, larger nodes that mean the same.  Depends on graph.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_GRAPH_FUSE_H
#define ENGINE_GRAPH_FUSE_H

#include "engine/graph.h"

/* Rewrites a graph with shapes:
 *   - x * sigmoid(x) becomes SILU, x * clip(x / 6 + 1/2, 0, 1) HARD_SWISH
 *   - a batch normalization behind a convolution goes into its weights and bias
 *   - an activation that takes the place of a convolution's result goes into the convolution
 *   - an addition to a convolution's result of a value of the same shape goes into it as its residual
 *   - a sigmoid of scores that are put together from several convolutions goes into each of them
 *   - what makes a distance of a distribution (the head of DFL) becomes one node, EXPECTATION, for each picture
 *   - convolutions between DequantizeLinear and QuantizeLinear work on the integers (struct graph_quantized), what
 * moves numbers or makes one of one moves integers or looks them up (LOOKUP); no integer becomes another one by it and
 * takes out what nobody uses then. known: the activations that a convolution of the caller's can do. Errors:
 * SERIN_NOMEM, SERIN_LIMIT; the graph is then to be freed. */
MUST_USE enum serin_errc graph_fuse(struct graph *graph, bool (*known)(const struct graph_unary *activation),
                                    struct serin_error *error);

/* After graph_fuse: a convolution over one pixel, of an enlarged picture beside another one, is done to each by itself,
 * and what is enlarged is the result (residual_first), which is not to be rounded to bf16: that costs .1 points of
 * mAP50-95 (yolov8n). Errors as above. */
MUST_USE enum serin_errc graph_fuse_enlarged(struct graph *graph, struct serin_error *error);

/* The scale of a QuantizeLinear or DequantizeLinear of 8 bits; false where it has several, or none beforehand. */
bool graph_scale_of(const struct graph *graph, const struct graph_node *node, struct graph_scale *ret);

/* A node of a graph with shapes that makes no number of its own: its results are integers where its inputs are, of one
 * scale. */
bool graph_only_moves(const struct graph *graph, const struct graph_node *node);

#endif
