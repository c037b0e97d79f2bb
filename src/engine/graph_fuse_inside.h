/*
 * graph_fuse_inside.h - the passes that graph_fuse is made of.  Depends on graph.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by graph_fuse*.c only. A quantized file is a network of floats in which QuantizeLinear and DequantizeLinear
 * ("Q" and "DQ") say what may be kept as integers ("QDQ form"). So each rewriting below leaves the numbers as they
 * are, and what no rule fits runs in floats.
 */
#ifndef ENGINE_GRAPH_FUSE_INSIDE_H
#define ENGINE_GRAPH_FUSE_INSIDE_H

#include "engine/graph.h"

/* The node that makes value, where nothing but one node uses it; NULL otherwise. */
struct graph_node *graph_maker_for_one(const struct graph *graph, int value);

/* What follows the last convolutions of a YOLO goes into them, or is done before their pictures are put beside each
 * other (graph_fuse_head.c). known as in graph_fuse. */
enum serin_errc graph_fuse_head(struct graph *graph, bool (*known)(const struct graph_unary *activation),
                                struct serin_error *error);

/* Before everything else: what only moves numbers goes before the DQ, a Q of what a DQ has just made is gone, and
 * convolutions between DQs take the integers. DQs of constants that are left become constants of floats. */
MUST_USE enum serin_errc graph_fuse_begin_int8(struct graph *graph, struct serin_error *error);

/* After convolutions have their activations: a Q behind one becomes a part of it, as its residual's DQ does; and a
 * function of one number between DQ and Q becomes a table. */
MUST_USE enum serin_errc graph_fuse_end_int8(struct graph *graph, struct serin_error *error);

/* The scale of the DQ that makes value, and in *ret_integers what it makes it of; false where there is none, or one
 * with several scales. */
bool graph_dequantized(const struct graph *graph, int value, int *ret_integers, struct graph_scale *ret);

#endif
