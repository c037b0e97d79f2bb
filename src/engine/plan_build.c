/*
 * plan_build.c - writes a plan's steps down, node by node.
 * SPDX-License-Identifier: Apache-2.0
 *
 * plan_choose.c has said how each node works; plan_pictures.c and plan_plain.c make its steps, and plan_forms.c says
 * where its values lie.
 */
#include "engine/plan_inside.h"

#include <stdlib.h>
#include <string.h>

/* What is asked for besides the outputs, behind everything else. */
static enum serin_errc build_kept(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    enum serin_errc rc = SERIN_OK;
    int i, v;

    for (i = 0; i < plan->options.keep_count && rc == SERIN_OK; i++) {
        const char *name = plan->options.keep[i];

        for (v = 0; v < builder->graph->value_count; v++)
            if (strcmp(value_of(builder, v)->name, name) == 0 && value_of(builder, v)->type == GRAPH_F32 &&
                (builder->values[v].has_picture || builder->values[v].has_plain ||
                 builder->values[v].source != GRAPH_NONE || builder->values[v].flat != GRAPH_NONE))
                break;
        if (v == builder->graph->value_count)
            return error_set(builder->error, SERIN_UNSUPPORTED, "'%.120s' is not there while the network runs", name);
        rc = plan_plain_to_read(builder, v, &plan->kept[i]);
        plan->kept_counts[i] = value_of(builder, v)->element_count;
        if (rc == SERIN_OK && plan->kept[i].buffer != GRAPH_NONE)
            plan->buffers[plan->kept[i].buffer].last = PLAN_KEEP;
    }
    return rc;
}

static enum serin_errc build_all(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    struct graph *graph = builder->graph;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < graph->input_count && rc == SERIN_OK; i++) {
        if (i == 0 && plan->options.bytes)
            rc = plan_bytes_to_write(builder, graph->inputs[i], &plan->inputs[i]);
        else
            rc = plan_plain_to_write(builder, graph->inputs[i], &plan->inputs[i]);
        if (rc == SERIN_OK)
            plan->buffers[plan->inputs[i].buffer].last = 0;
    }
    if (rc == SERIN_OK)
        rc = plan_choose(builder);
    for (i = 0; i < graph->node_count && rc == SERIN_OK; i++)
        rc = builder->works_on_pictures[i] ? plan_build_picture_node(builder, i) : plan_build_plain_node(builder, i);
    for (i = 0; i < graph->output_count && rc == SERIN_OK; i++) {
        rc = plan_plain_to_read(builder, graph->outputs[i], &plan->outputs[i]);
        if (rc == SERIN_OK && plan->outputs[i].buffer != GRAPH_NONE)
            plan->buffers[plan->outputs[i].buffer].last = PLAN_KEEP;
    }
    return rc == SERIN_OK ? build_kept(builder) : rc;
}

/* oneDNN's kernels with tiles take all channels together, and nothing else: it would run the others without tiles. */
static int64_t block_of_floats(const struct plan_options *options)
{
    if (options->layout == PLAN_FASTEST)
        return options->precision == PLAN_BF16 && onednn_has_amx() ? 0 : onednn_block();
    return options->layout == PLAN_TOGETHER ? 0 : onednn_block();
}

enum serin_errc plan_build(struct plan *plan, struct plan_weights *weights, struct serin_error *error)
{
    struct graph *graph = plan->graph;
    struct plan_builder builder = {
        .plan = plan, .graph = graph, .weights = weights, .block = block_of_floats(&plan->options), .error = error};
    enum serin_errc rc;
    int i;

    builder.values = calloc((size_t)graph->value_count + 1, sizeof(*builder.values));
    builder.needs = calloc((size_t)graph->value_count + 1, sizeof(*builder.needs));
    builder.works_on_pictures = calloc((size_t)graph->node_count + 1, sizeof(*builder.works_on_pictures));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    builder.primitives = calloc((size_t)graph->node_count + 1, sizeof(*builder.primitives));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    builder.kernels = calloc((size_t)graph->node_count + 1, sizeof(*builder.kernels));
    plan->inputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->input_count);
    plan->outputs = arena_new(&plan->arena, struct plan_place, (size_t)graph->output_count);
    plan->kept = arena_new(&plan->arena, struct plan_place, (size_t)plan->options.keep_count);
    plan->kept_counts = arena_new(&plan->arena, uint64_t, (size_t)plan->options.keep_count);
    if (!builder.values || !builder.needs || !builder.works_on_pictures || !builder.primitives || !builder.kernels ||
        !plan->inputs || !plan->outputs || !plan->kept || !plan->kept_counts) {
        rc = no_memory(&builder);
    } else {
        for (i = 0; i < graph->value_count; i++)
            builder.values[i].flat = builder.values[i].parent = builder.values[i].source = builder.values[i].integers =
                GRAPH_NONE;
        rc = plan_select_order(&builder);
        if (rc == SERIN_OK)
            rc = build_all(&builder);
        if (rc == SERIN_OK)
            plan_select_steps(&builder);
    }
    for (i = 0; builder.primitives && i < graph->node_count; i++)
        onednn_primitive_free(builder.primitives[i]);
    free(builder.values);
    free(builder.needs);
    free(builder.works_on_pictures);
    free(builder.primitives);
    free(builder.kernels);
    return rc;
}
