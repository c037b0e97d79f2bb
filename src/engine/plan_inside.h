/*
 * plan_inside.h - what the parts of a plan share: plan_select.c, plan_choose.c, plan_build.c and its parts, which make
 * the steps, and plan.c, which runs them. SPDX-License-Identifier: Apache-2.0
 *
 * Included by those only. Depends on plan.h, onednn.h.
 */
#ifndef ENGINE_PLAN_INSIDE_H
#define ENGINE_PLAN_INSIDE_H

#include "engine/kernel_convolution.h"
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
    STEP_KERNEL,    /* a convolution of our own, the batch at once */
    STEP_ROWS,      /* a picture of floats made plain */
    STEP_COPY_CHANNELS,
    STEP_RESIZE,
    STEP_SPREAD_TAPS,
    STEP_WIDEN_BYTES,
    STEP_ADD_OR_MULTIPLY, /* of pictures */
    STEP_UNARY_PICTURE,
    STEP_QUANTIZE, /* pictures, and STEP_LOOKUP */
    STEP_DEQUANTIZE,
    STEP_LOOKUP,
    STEP_UNARY,
    STEP_BINARY,
    STEP_SOFTMAX,
    STEP_MIX,
    STEP_EXPECTATION,
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
    const struct kernel_convolution *kernel;      /* KERNEL */
    const struct onednn_convolution *convolution; /* KERNEL */
    int64_t pictures; /* of a batch: the step is repeated for each. 1 where it takes the batch at once */
    int input_count, output_count;
    struct plan_place *inputs, *outputs; /* convolutions: src, residual? */
    struct plan_place scratch;
    const void *weights, *bias; /* PRIMITIVE, KERNEL, MIX, DENSE, EXPECTATION */
    struct onednn_image src, dst;
    int64_t src_channel, dst_channel, count;  /* COPY_CHANNELS; count: elements elsewhere */
    bool last;                                /* COPY_CHANNELS: the block that dst ends with is filled up */
    int64_t outer, rows, inner;               /* SOFTMAX, MIX, DENSE (rows, in, out), EXPECTATION (rows: bins) */
    struct graph_scale scale;                 /* QUANTIZE, DEQUANTIZE */
    const void *table;                        /* LOOKUP */
    size_t run_bytes, from_stride, to_stride; /* CHUNKS: outer runs; ROWS: to_stride */
    /* KERNEL, EXPECTATION: of plan->selectable, whose selected rows are enough; GRAPH_NONE: it has none. And how many
     * rows around them, and around what is computed with them, are needed, too. */
    int level;
    int64_t reach;
};

#define PLAN_MAX_LEVELS 8

/* A picture of scores, as it lies before what depends on them. */
struct plan_level {
    int scores; /* value */
    struct plan_place place;
    struct onednn_image layout; /* fp32 */
    size_t rows;                /* of a slot's selected rows, the first picture's first */
};

/* A selection that some steps can make use of (plan_select.c). */
struct plan_selectable {
    int output;
    int64_t first_score, score_count, pictures;
    int level_count; /* 0: there is none */
    struct plan_level levels[PLAN_MAX_LEVELS];
    int first_step; /* that has a level */
    size_t row_count;
};

struct plan {
    struct graph *graph; /* with shapes, rewritten */
    struct plan_selectable selectable;
    struct plan_options options;
    struct plan_step *steps;
    int step_count, step_capacity;
    struct plan_buffer *buffers;
    int buffer_count, buffer_capacity;
    struct plan_place *inputs, *outputs; /* of the graph */
    struct plan_place *kept;             /* options.keep */
    uint64_t *kept_counts;               /* of their elements */
    size_t slot_bytes;
    struct arena arena; /* the small parts of steps */
};

/* Weights, packed in one way. */
struct plan_pack {
    uint64_t digest;                         /* of the constant: its address may be that of a plan that is gone */
    const struct kernel_convolution *kernel; /* or */
    struct onednn_primitive *packer;
    enum onednn_type type; /* of the pictures that they are multiplied by */
    void *bytes;
};

struct plan_weights {
    struct plan_pack *packs;
    int count, capacity;
};

struct planned_value {
    bool makes_picture; /* its node leaves one */
    bool as_it_comes; /* what reads it as a picture takes fp32, whatever the plan's precision, and bytes if it has them
                       */
    struct onednn_image layout; /* of the picture, once somebody needs it */
    int parent;                 /* value in whose picture this one lies, or GRAPH_NONE */
    int64_t parent_channel;
    int source; /* value of whose channels this one is a copy, made only if somebody needs it, or GRAPH_NONE */
    int64_t source_channel;
    int integers; /* value of integers that its convolution writes and this one is not, or GRAPH_NONE */
    int flat; /* picture of which this one is the rows, made only if somebody needs them by themselves, or GRAPH_NONE */
    bool wide;                   /* fp32 in a plan of bf16, too */
    bool has_picture, has_plain; /* by the steps up to now */
    struct plan_place picture, plain;
    bool has_bytes; /* an input that comes as such */
    struct plan_place bytes;
};

/* Who needs a value: nobody, those who look at selected places only, or others. Those are rows of a level's picture and
 * so many around them, or places of all levels beside each other. */
struct plan_need {
    enum { PLAN_NEEDS_NOTHING, PLAN_NEEDS_PLACES, PLAN_NEEDS_ROWS, PLAN_NEEDS_ALL } kind;
    int level;
    int64_t reach;
};

struct plan_builder {
    struct plan *plan;
    struct graph *graph;
    struct plan_weights *weights;
    struct planned_value *values;
    struct plan_need *needs;                   /* by value */
    bool *works_on_pictures;                   /* by node */
    struct onednn_primitive **primitives;      /* of convolutions and pools, until a step takes them over */
    const struct kernel_convolution **kernels; /* of convolutions that are none of oneDNN's */
    int64_t block;                             /* of pictures of floats, as in onednn.h */
    struct serin_error *error;
};

static inline enum serin_errc no_memory(const struct plan_builder *builder)
{
    return error_set(builder->error, SERIN_NOMEM, "no memory for a plan of %d nodes", builder->graph->node_count);
}

static inline const struct graph_value *value_of(const struct plan_builder *builder, int value)
{
    return &builder->graph->values[value];
}

static inline bool has_input(const struct graph_node *node, int input)
{
    return input < node->input_count && node->inputs[input] != GRAPH_NONE;
}

static inline bool is_constant_or_missing(const struct plan_builder *builder, const struct graph_node *node, int input)
{
    return !has_input(node, input) || (value_of(builder, node->inputs[input])->constant &&
                                       value_of(builder, node->inputs[input])->type == GRAPH_F32);
}

static inline int64_t product_of_sizes(const int64_t *shape, int from, int to)
{
    int64_t all = 1;

    for (; from < to; from++)
        all *= shape[from];
    return all;
}

static inline int64_t channels_of(const struct plan_builder *builder, int value)
{
    return value_of(builder, value)->shape[1];
}

/* ---- plan_choose.c ---- */

struct onednn_image plan_layout_of(const struct plan_builder *builder, int value);
/* The layout in which a convolution reads value: its own where it is a picture, else what it will be made into. */
struct onednn_image plan_layout_to_read(const struct plan_builder *builder, int value);
/* A convolution over one pixel to one channel, of a plain value: the expectation in a head's distribution of distances.
 * It is a weighted sum of planes, and would be 15 empty channels in a picture. */
bool plan_is_mix(const struct plan_builder *builder, const struct graph_node *node);
/* A transposed convolution whose windows touch and do not overlap: each pixel becomes a rectangle, which a convolution
 * over one pixel computes as channels. oneDNN's own takes five times as long, and twenty in bf16. */
bool plan_spreads_taps(const struct plan_builder *builder, const struct graph_node *node);
struct onednn_convolution plan_describe_convolution(const struct plan_builder *builder, const struct graph_node *node,
                                                    enum onednn_type dst_type);
/* Only a lack of memory is an error: otherwise *ret is NULL where oneDNN has nothing fast. */
enum serin_errc plan_make_convolution(const struct plan_builder *builder, const struct graph_node *node,
                                      enum onednn_type dst_type, struct onednn_primitive **ret);
/* The first channel of a slice that takes a range of channels and everything else whole; -1 for other slices. */
int64_t plan_channel_slice(const struct plan_builder *builder, const struct graph_node *node);
bool plan_same_layout(const struct onednn_image *one, const struct onednn_image *other);
/* The value in whose memory value lies in the end, and at which of its channels. */
int plan_root_of(const struct plan_builder *builder, int value, int64_t *ret_channel);

/* Fills works_on_pictures, and of the values makes_picture, layout and parent. */
MUST_USE enum serin_errc plan_choose(struct plan_builder *builder);

/* ---- plan_forms.c ---- */

/* A buffer of a slot, from the step that is being made on. */
MUST_USE enum serin_errc plan_add_buffer(struct plan_builder *builder, uint64_t bytes, struct plan_place *ret);
/* Begins a step that plan_step_end puts at the end of the list. */
MUST_USE enum serin_errc plan_step_begin(struct plan_builder *builder, enum plan_step_kind kind, int node,
                                         int input_count, int output_count, struct plan_step **ret);
void plan_step_end(struct plan_builder *builder);
/* Where value is written as a picture, and where it lies as one for those who read it; and as a plain value. */
MUST_USE enum serin_errc plan_picture_to_write(struct plan_builder *builder, int value, struct plan_place *ret);
MUST_USE enum serin_errc plan_picture_to_read(struct plan_builder *builder, int value, struct plan_place *ret);
MUST_USE enum serin_errc plan_plain_to_write(struct plan_builder *builder, int value, struct plan_place *ret);
MUST_USE enum serin_errc plan_plain_to_read(struct plan_builder *builder, int value, struct plan_place *ret);
/* An input of fp32 as the caller has it: a byte each. */
MUST_USE enum serin_errc plan_bytes_to_write(struct plan_builder *builder, int value, struct plan_place *ret);
/* value lies where something else does: its memory, with the strides of its own shape. */
void plan_lies_at(struct plan_builder *builder, int value, struct plan_place place);
/* The picture of floats that value, which has no plain form yet, has the numbers of, in their order, where it can be
 * put into a concatenation over axis row by row; GRAPH_NONE where it cannot. */
int plan_picture_in_rows(const struct plan_builder *builder, int value, int axis);
/* A step that changes the layout: from src, which lies at from, to dst. */
MUST_USE enum serin_errc plan_add_reorder(struct plan_builder *builder, const struct onednn_image *src,
                                          struct plan_place from, const struct onednn_image *dst, struct plan_place to,
                                          int64_t pictures);
/* A step that makes a picture of floats plain, its rows row_stride bytes from each other. */
MUST_USE enum serin_errc plan_add_rows(struct plan_builder *builder, int picture, struct plan_place to,
                                       size_t row_stride);
/* Channels [from_channel, + count) of one picture to to_channel of another; last: nothing comes behind them. */
MUST_USE enum serin_errc plan_add_copy(struct plan_builder *builder, int from, int64_t from_channel, int to,
                                       int64_t to_channel, int64_t count, bool last);

/* ---- plan_pictures.c, plan_plain.c ---- */

MUST_USE enum serin_errc plan_build_picture_node(struct plan_builder *builder, int at);
MUST_USE enum serin_errc plan_add_scratch(struct plan_builder *builder, struct plan_step *step);
MUST_USE enum serin_errc plan_build_plain_node(struct plan_builder *builder, int at);

/* ---- plan_select.c ---- */

/* Finds the graph's scores, and in needs who needs what, and moves nodes that rows of pictures are enough for behind
 * the scores. */
MUST_USE enum serin_errc plan_select_order(struct plan_builder *builder);
/* Once there are steps: those that can do with selected rows know it. */
void plan_select_steps(struct plan_builder *builder);

/* ---- plan_build.c ---- */

/* Fills plan's steps and buffers, without offsets, for plan->graph. */
MUST_USE enum serin_errc plan_build(struct plan *plan, struct plan_weights *weights, struct serin_error *error);

#endif
