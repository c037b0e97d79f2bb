/*
 * quantize_inside.h - what the parts of a quantizer share: quantize.c, which chooses and measures, and
 * quantize_write.c. SPDX-License-Identifier: Apache-2.0
 *
 * Included by those only. Depends on quantize.h, name_set.h, plan.h.
 */
#ifndef ENGINE_QUANTIZE_INSIDE_H
#define ENGINE_QUANTIZE_INSIDE_H

#include "engine/name_set.h"
#include "engine/plan.h"
#include "engine/quantize.h"

#define QUANTIZE_BINS 2048

/* Tensors that share a scale, because they meet. */
struct quantize_group {
    bool needed, measured;
    float low, high; /* 0 lies between them */
    uint64_t *bins;  /* of [low, high], QUANTIZE_BINS of them */
    struct graph_scale scale;
    double noise; /* the power of what rounding adds, over the signal's */
};

/* A tensor that a Q and a DQ go behind. */
struct quantize_tensor {
    int value, group;
};

/* A convolution. */
struct quantize_convolution {
    struct quantize_layer layer;
    int x, weights, bias, y; /* values; bias may be GRAPH_NONE */
    int group;               /* of x */
    float *scales;           /* of each output channel; shared by those that share the weights */
};

struct quantizer {
    struct slice file;
    struct graph *read, *graph; /* as read; with shapes, not fused */
    struct plan_weights *plan_weights;
    struct plan *plan;
    struct plan_slot *slot;
    bool takes_bytes;             /* where the file declares fp32 */
    struct name_set initializers; /* of fp32, in the file */
    struct quantize_group *groups;
    int *group_of; /* by value */
    int group_count;
    struct quantize_tensor *tensors; /* as options.keep of plan */
    int tensor_count;
    struct quantize_convolution *convolutions;
    struct quantize_layer *layers;
    int convolution_count;
    struct arena arena;
};

static inline const char *quantize_name(const struct quantizer *quantizer, int value)
{
    return quantizer->graph->values[value].name;
}

#endif
