/*
 * plan.h - a network made ready for one set of input shapes: steps, and where in memory each reads and writes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Depends on graph.h. A plan is immutable once made, and may be run by many threads at once, each in a slot of its own:
 * one piece of memory for everything between input and output. Nothing is allocated while a plan runs. Convolutions'
 * weights are packed once and shared by the plans of a network.
 */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "engine/graph.h"

#include <stdio.h>

#define PLAN_MAX_SLOT_BYTES ((uint64_t)8 << 30)

enum plan_precision {
    PLAN_F32,
    PLAN_BF16, /* weights and what lies between convolutions; sums, and what follows the last ones, are fp32 */
};

/* How the channels of a picture of floats lie in memory, where the order is ours to choose. */
enum plan_layout {
    PLAN_FASTEST,  /* TOGETHER in bf16 on a processor with AMX, whose kernels take nothing else; otherwise BLOCKS */
    PLAN_BLOCKS,   /* blocks of onednn_block channels: ranges of channels are pieces of memory */
    PLAN_TOGETHER, /* all channels of a pixel */
};

struct plan_weights; /* what plans share; not thread-safe: one plan is made at a time */
struct plan;
struct plan_slot;

struct plan_weights *plan_weights_new(void);          /* NULL without memory */
void plan_weights_free(struct plan_weights *weights); /* after its plans; NULL is fine */

struct plan_options {
    enum plan_precision precision;
    int threads;             /* for one run */
    bool bytes;              /* input 0, which the graph has as fp32, is filled with bytes that stand for value / 255 */
    const char *const *keep; /* names of values of floats that are asked for besides the outputs; good until plan_new
                                returns */
    int keep_count;
    enum plan_layout layout;
};

/* graph: as read; it and weights must outlive the plan, which is the caller's: plan_free. Errors: those of graph_shape;
 * SERIN_LIMIT where a run would take more than PLAN_MAX_SLOT_BYTES; SERIN_NOMEM, SERIN_ENGINE. */
MUST_USE enum serin_errc plan_new(const struct graph *graph, const struct tensor *inputs,
                                  const struct plan_options *options, struct plan_weights *weights, struct plan **ret,
                                  struct serin_error *error);
void plan_free(struct plan *plan); /* after its slots; NULL is fine */

/* What it was made of, with the shapes of the outputs. */
const struct graph *plan_graph(const struct plan *plan);
uint64_t plan_slot_bytes(const struct plan *plan);
/* Of a run, the part that is left to plain C, a hundred times slower than the rest: as graph_node_work counts, with the
 * node that has the most of it (NULL: none has any). */
uint64_t plan_plain_work(const struct plan *plan, const struct graph_node **ret_most);

/* For people: one line a step (what, the kernel, the shape, the least milliseconds of slot's runs), then how much each
 * kind of step takes of their sum. */
void plan_print(const struct plan *plan, const struct plan_slot *slot, FILE *file);

MUST_USE enum serin_errc plan_slot_new(const struct plan *plan, struct plan_slot **ret, struct serin_error *error);
void plan_slot_free(struct plan_slot *slot); /* NULL is fine */

/* The memory for an input, to be filled before a run (what the file calls fp16 is fp32 here), and of an output, good
 * until the next run; in the graph's order, row-major. */
void *plan_slot_input(const struct plan_slot *slot, int input);
const void *plan_slot_output(const struct plan_slot *slot, int output);
/* Of options.keep, likewise. */
const float *plan_slot_kept(const struct plan_slot *slot, int kept, uint64_t *ret_count);

/* selection: as engine_run has it; rows of pixels around selected places are computed. Errors: SERIN_MODEL where the
 * data itself is wrong (an index beyond its dimension), SERIN_ENGINE. */
MUST_USE enum serin_errc plan_run(struct plan_slot *slot, const struct engine_selection *selection,
                                  struct serin_error *error);

#endif
