/*
 * plan_inside.h - what the two halves of a plan share: plan_build.c makes the steps, plan.c runs them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by those two only. Depends on plan.h, onednn.h.
 */
#ifndef ENGINE_PLAN_INSIDE_H
#define ENGINE_PLAN_INSIDE_H

#include "engine/onednn.h"
#include "engine/plan.h"

#include <limits.h>

#define PLAN_KEEP INT_MAX /* the last step of a buffer that is needed after the run */

/* A stretch of a slot. Two share memory where neither lives during a step of the other. */
struct plan_buffer {
    size_t bytes, offset;
    int first, last; /* steps that use it */
};

/* Where something lies: in a buffer, or where the constant is. */
struct plan_place {
    int buffer; /* GRAPH_NONE: constant */
    const void *constant;
    size_t offset;
    size_t picture_bytes; /* from one picture of a batch to the next */
};

enum plan_step_kind {
    STEP_PRIMITIVE, /* of oneDNN, a call a picture */
    STEP_COPY_CHANNELS,
    STEP_RESIZE,
    STEP_ADD_OR_MULTIPLY, /* of pictures */
    STEP_UNARY_PICTURE,
    STEP_UNARY,
    STEP_BINARY,
    STEP_SOFTMAX,
    STEP_MIX,
    STEP_DENSE,
    STEP_TRANSPOSE,
    STEP_CHUNKS,  /* concat and split of plain values: runs of memory */
    STEP_PRODUCT, /* oneDNN's matrix product, one call */
    STEP_PLAIN,   /* graph_plain_node */
};

struct plan_step {
    enum plan_step_kind kind;
    int node; /* of the graph; GRAPH_NONE: a change of layout */
    struct onednn_primitive *primitive;
    int64_t pictures; /* of a batch: the step is repeated for each. 1 where it takes the batch at once */
    int input_count, output_count;
    struct plan_place *inputs, *outputs; /* convolutions: src, residual? */
    struct plan_place scratch;
    const void *weights, *bias; /* PRIMITIVE */
    struct onednn_image src, dst;
    int64_t src_channel, dst_channel, count;  /* COPY_CHANNELS; count: elements elsewhere */
    bool last;                                /* COPY_CHANNELS: the block that dst ends with is filled up */
    int64_t outer, rows, inner;               /* SOFTMAX, MIX, DENSE (rows, in, out) */
    size_t run_bytes, from_stride, to_stride; /* CHUNKS: outer runs */
};

struct plan {
    struct graph *graph; /* with shapes, rewritten */
    struct plan_options options;
    struct plan_step *steps;
    int step_count, step_capacity;
    struct plan_buffer *buffers;
    int buffer_count, buffer_capacity;
    struct plan_place *inputs, *outputs; /* of the graph */
    size_t slot_bytes;
    struct arena arena; /* the small parts of steps */
};

/* The weights of one constant, packed in one way. */
struct plan_pack {
    const void *constant;
    struct onednn_primitive *packer;
    void *bytes;
};

struct plan_weights {
    struct plan_pack *packs;
    int count, capacity;
};

/* Fills plan's steps and buffers, without offsets, for plan->graph. */
MUST_USE enum serin_errc plan_build(struct plan *plan, struct plan_weights *weights, struct serin_error *error);

#endif
