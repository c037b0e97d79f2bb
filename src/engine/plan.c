/*
 * plan.c - the memory of a plan, and its run.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory is given out by size: the largest buffer first, each at the lowest offset where no buffer lies that lives at
 * the same time (greedy by size; Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
 * A slot then binds every primitive to addresses once, so that a run only goes through the list.
 */
#include "engine/plan_inside.h"

#include "base/clock.h"
#include "engine/graph_fuse.h"
#include "engine/graph_plain.h"
#include "engine/plan_kernels.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT       64
#define MAX_SMALL_BYTES ((size_t)256 << 20) /* lists of places, and biases */

struct plan_slot {
    const struct plan *plan;
    char *memory;
    struct onednn_call **calls; /* those of a step follow each other, a picture each */
    int call_count;
    const void **inputs; /* of the step at work, for graph_plain_node */
    void **outputs;
    uint64_t *step_ns;
    uint8_t *selected; /* rows of each level of plan->selectable, picture by picture */
};

struct plan_weights *plan_weights_new(void)
{
    return calloc(1, sizeof(struct plan_weights));
}

void plan_weights_free(struct plan_weights *weights)
{
    int i;

    if (!weights)
        return;
    for (i = 0; i < weights->count; i++) {
        onednn_primitive_free(weights->packs[i].packer);
        free(weights->packs[i].bytes);
    }
    free(weights->packs);
    free(weights);
}

/* ---- memory ---- */

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int by_size(const void *one, const void *other)
{
    const struct plan_buffer *a = *(struct plan_buffer *const *)one, *b = *(struct plan_buffer *const *)other;

    return a->bytes != b->bytes ? (a->bytes < b->bytes ? 1 : -1) : (a > b) - (a < b);
}

static bool live_together(const struct plan_buffer *one, const struct plan_buffer *other)
{
    return one->first <= other->last && other->first <= one->last;
}

/* The lowest offset for buffer beside those of placed, which are sorted by offset. */
static size_t lowest_offset(const struct plan_buffer *buffer, struct plan_buffer *const *placed, int count)
{
    size_t offset = 0;
    int i;

    for (i = 0; i < count; i++) {
        if (!live_together(buffer, placed[i]))
            continue;
        if (placed[i]->offset >= offset + aligned(buffer->bytes))
            break;
        if (placed[i]->offset + aligned(placed[i]->bytes) > offset)
            offset = placed[i]->offset + aligned(placed[i]->bytes);
    }
    return offset;
}

static enum serin_errc give_offsets(struct plan *plan, struct serin_error *error)
{
    struct plan_buffer **sorted, **placed;
    enum serin_errc rc = SERIN_OK;
    int i, at;

    sorted = calloc((size_t)plan->buffer_count + 1, sizeof(struct plan_buffer *));
    placed = calloc((size_t)plan->buffer_count + 1, sizeof(struct plan_buffer *));
    if (!sorted || !placed) {
        rc = error_set(error, SERIN_NOMEM, "no memory for a plan of %d buffers", plan->buffer_count);
    } else {
        for (i = 0; i < plan->buffer_count; i++)
            sorted[i] = &plan->buffers[i];
        qsort(sorted, (size_t)plan->buffer_count, sizeof(struct plan_buffer *), by_size);
        for (i = 0; i < plan->buffer_count && rc == SERIN_OK; i++) {
            struct plan_buffer *buffer = sorted[i];

            buffer->offset = lowest_offset(buffer, placed, i);
            if (buffer->offset > PLAN_MAX_SLOT_BYTES - aligned(buffer->bytes))
                rc = error_set(error, SERIN_LIMIT, "a run takes more than %" PRIu64 " bytes", PLAN_MAX_SLOT_BYTES);
            if (plan->slot_bytes < buffer->offset + aligned(buffer->bytes))
                plan->slot_bytes = buffer->offset + aligned(buffer->bytes);
            for (at = i; at > 0 && placed[at - 1]->offset > buffer->offset; at--)
                placed[at] = placed[at - 1];
            placed[at] = buffer;
        }
    }
    free(sorted);
    free(placed);
    return rc;
}

enum serin_errc plan_new(const struct graph *graph, const struct tensor *inputs, const struct plan_options *options,
                         struct plan_weights *weights, struct plan **ret, struct serin_error *error)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    enum serin_errc rc;

    if (!plan)
        return error_set(error, SERIN_NOMEM, "no memory for a plan");
    arena_init(&plan->arena, MAX_SMALL_BYTES);
    plan->options = *options;
    onednn_set_threads(options->threads);
    rc = graph_shape(graph, inputs, &plan->graph, error);
    if (rc == SERIN_OK)
        rc = graph_fuse(plan->graph, onednn_knows, error);
    if (rc == SERIN_OK)
        rc = graph_fuse_enlarged(plan->graph, error);
    if (rc == SERIN_OK)
        rc = plan_build(plan, weights, error);
    if (rc == SERIN_OK)
        rc = give_offsets(plan, error);
    plan->options.keep = NULL; /* the caller's */
    if (rc != SERIN_OK) {
        plan_free(plan);
        return rc;
    }
    *ret = plan;
    return SERIN_OK;
}

void plan_free(struct plan *plan)
{
    int i;

    if (!plan)
        return;
    for (i = 0; i < plan->step_count; i++)
        onednn_primitive_free(plan->steps[i].primitive);
    graph_free(plan->graph);
    free(plan->steps);
    free(plan->buffers);
    arena_done(&plan->arena);
    free(plan);
}

const struct graph *plan_graph(const struct plan *plan)
{
    return plan->graph;
}

uint64_t plan_slot_bytes(const struct plan *plan)
{
    return plan->slot_bytes;
}

uint64_t plan_plain_work(const struct plan *plan, const struct graph_node **ret_most)
{
    uint64_t sum = 0, most = 0;
    int i;

    *ret_most = NULL;
    for (i = 0; i < plan->step_count; i++) {
        const struct graph_node *node = &plan->graph->nodes[plan->steps[i].node];
        uint64_t work;

        if (plan->steps[i].kind != STEP_PLAIN)
            continue;
        work = graph_node_work(plan->graph, node);
        sum = work > UINT64_MAX - sum ? UINT64_MAX : sum + work;
        if (work > most) {
            most = work;
            *ret_most = node;
        }
    }
    return sum;
}

/* ---- slots ---- */

static void *address(const struct plan_slot *slot, const struct plan_place *place, int64_t picture)
{
    if (place->buffer == GRAPH_NONE)
        return (void *)place->constant;
    return slot->memory + slot->plan->buffers[place->buffer].offset + place->offset +
           (size_t)picture * place->picture_bytes;
}

static enum serin_errc bind(struct plan_slot *slot, const struct plan_step *step, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int64_t picture;

    for (picture = 0; picture < step->pictures && rc == SERIN_OK; picture++) {
        struct onednn_addresses addresses = {
            .src = address(slot, &step->inputs[0], picture),
            .dst = address(slot, &step->outputs[0], picture),
            .weights = step->weights,
            .bias = step->bias,
            .scratch = step->scratch.buffer == GRAPH_NONE ? NULL : address(slot, &step->scratch, 0),
        };

        if (step->input_count > 1 && step->kind == STEP_PRODUCT)
            addresses.weights = address(slot, &step->inputs[1], 0);
        else if (step->input_count > 1)
            addresses.residual = address(slot, &step->inputs[1], picture);
        rc = onednn_call_new(step->primitive, &addresses, &slot->calls[slot->call_count], error);
        slot->call_count += rc == SERIN_OK;
    }
    return rc;
}

enum serin_errc plan_slot_new(const struct plan *plan, struct plan_slot **ret, struct serin_error *error)
{
    struct plan_slot *slot = calloc(1, sizeof(*slot));
    int64_t calls = 0;
    int i, inputs = 1, outputs = 1;
    enum serin_errc rc = SERIN_OK;

    for (i = 0; i < plan->step_count; i++) {
        const struct plan_step *step = &plan->steps[i];

        calls += step->primitive ? step->pictures : 0;
        inputs = step->input_count > inputs ? step->input_count : inputs;
        outputs = step->output_count > outputs ? step->output_count : outputs;
    }
    if (slot) {
        slot->plan = plan;
        slot->memory = aligned_alloc(ALIGNMENT, plan->slot_bytes + ALIGNMENT);
        slot->calls = calloc((size_t)calls + 1, sizeof(struct onednn_call *));
        slot->inputs = calloc((size_t)inputs, sizeof(*slot->inputs));
        slot->outputs = calloc((size_t)outputs, sizeof(*slot->outputs));
        slot->step_ns = calloc((size_t)plan->step_count + 1, sizeof(*slot->step_ns));
        slot->selected = calloc(plan->selectable.row_count + 1, sizeof(*slot->selected));
    }
    if (!slot || !slot->memory || !slot->calls || !slot->inputs || !slot->outputs || !slot->step_ns || !slot->selected)
        rc = error_set(error, SERIN_NOMEM, "no memory for a run of %zu bytes", plan->slot_bytes);
    for (i = 0; i < plan->step_count && rc == SERIN_OK; i++)
        if (plan->steps[i].primitive)
            rc = bind(slot, &plan->steps[i], error);
    if (rc != SERIN_OK) {
        plan_slot_free(slot);
        return rc;
    }
    *ret = slot;
    return SERIN_OK;
}

void plan_slot_free(struct plan_slot *slot)
{
    int i;

    if (!slot)
        return;
    for (i = 0; i < slot->call_count; i++)
        onednn_call_free(slot->calls[i]);
    free(slot->calls);
    free(slot->memory);
    free(slot->inputs);
    free(slot->outputs);
    free(slot->step_ns);
    free(slot->selected);
    free(slot);
}

void *plan_slot_input(const struct plan_slot *slot, int input)
{
    return address(slot, &slot->plan->inputs[input], 0);
}

const void *plan_slot_output(const struct plan_slot *slot, int output)
{
    return address(slot, &slot->plan->outputs[output], 0);
}

const float *plan_slot_kept(const struct plan_slot *slot, int kept, uint64_t *ret_count)
{
    *ret_count = slot->plan->kept_counts[kept];
    return address(slot, &slot->plan->kept[kept], 0);
}

/* ---- the run ---- */

static void run_chunks(const struct plan_step *step, const char *from, char *to)
{
    int64_t i;

    BUG_ON(!from);
    for (i = 0; i < step->outer; i++)
        memcpy(to + (size_t)i * step->to_stride, from + (size_t)i * step->from_stride, step->run_bytes);
}

/* Strides of x for an index of y: 0 where x stretches. */
static void broadcast_strides(const struct graph_value *x, const struct graph_value *y, int64_t *ret)
{
    int64_t stride = 1;
    int d;

    for (d = y->rank - 1; d >= 0; d--) {
        const int own = d - (y->rank - x->rank);

        ret[d] = own < 0 || x->shape[own] == 1 ? 0 : stride;
        stride *= own < 0 ? 1 : x->shape[own];
    }
}

static void run_binary(const struct plan_slot *slot, const struct plan_step *step)
{
    const struct graph *graph = slot->plan->graph;
    const struct graph_node *node = &graph->nodes[step->node];
    const struct graph_value *y = &graph->values[node->outputs[0]];
    int64_t a[GRAPH_MAX_RANK], b[GRAPH_MAX_RANK];

    broadcast_strides(&graph->values[node->inputs[0]], y, a);
    broadcast_strides(&graph->values[node->inputs[1]], y, b);
    kernel_binary(node->op, y->rank, y->shape, a, address(slot, &step->inputs[0], 0), b,
                  address(slot, &step->inputs[1], 0), address(slot, &step->outputs[0], 0));
}

static enum serin_errc run_plain(struct plan_slot *slot, const struct plan_step *step, struct serin_error *error)
{
    int i;

    for (i = 0; i < step->input_count; i++)
        slot->inputs[i] = address(slot, &step->inputs[i], 0);
    for (i = 0; i < step->output_count; i++)
        slot->outputs[i] = address(slot, &step->outputs[i], 0);
    return graph_plain_node(slot->plan->graph, &slot->plan->graph->nodes[step->node], slot->inputs, slot->outputs,
                            error);
}

/* Pictures from that one on, and of dst the rows [first_row, end_row), or all where that is 0. */
static void run_kernel(const struct plan_slot *slot, const struct plan_step *step, int64_t picture, int64_t pictures,
                       int64_t first_row, int64_t end_row)
{
    const bool has_residual = step->input_count > 1;
    const struct onednn_addresses addresses = {
        .src = address(slot, &step->inputs[0], picture),
        .weights = step->weights,
        .bias = step->bias,
        .residual = has_residual ? address(slot, &step->inputs[1], picture) : NULL,
        .dst = address(slot, &step->outputs[0], picture),
        .scratch = step->scratch.buffer == GRAPH_NONE ? NULL : address(slot, &step->scratch, 0),
    };
    const struct kernel_batch batch = {.pictures = pictures,
                                       .src_bytes = step->inputs[0].picture_bytes,
                                       .dst_bytes = step->outputs[0].picture_bytes,
                                       .residual_bytes = has_residual ? step->inputs[1].picture_bytes : 0,
                                       .first_row = first_row,
                                       .end_row = end_row};

    step->kernel->run(step->convolution, &addresses, &batch, slot->plan->options.threads);
}

static void run_expectation(const struct plan_slot *slot, const struct plan_step *step, int64_t picture,
                            int64_t first_row, int64_t end_row)
{
    kernel_expectation(&step->src, address(slot, &step->inputs[0], picture), first_row, end_row, step->rows,
                       step->weights, address(slot, &step->outputs[0], picture), slot->plan->options.threads);
}

/* What a step does for one picture. */
static void run_picture(const struct plan_slot *slot, const struct plan_step *step, int64_t picture)
{
    const void *from = address(slot, &step->inputs[0], picture);
    void *to = address(slot, &step->outputs[0], picture);

    switch (step->kind) {
    case STEP_ROWS:
        kernel_rows(&step->src, from, to, (int64_t)(step->to_stride / sizeof(float)), slot->plan->options.threads);
        return;
    case STEP_EXPECTATION:
        run_expectation(slot, step, picture, 0, step->src.height);
        return;
    case STEP_COPY_CHANNELS:
        kernel_copy_channels(&step->src, from, step->src_channel, &step->dst, to, step->dst_channel, step->count,
                             step->last);
        return;
    case STEP_RESIZE:
        kernel_resize_nearest(&step->src, from, &step->dst, to);
        return;
    case STEP_SPREAD_TAPS:
        kernel_spread_taps(&step->src, from, &step->dst, to);
        return;
    case STEP_ADD_OR_MULTIPLY:
        kernel_add_or_multiply(slot->plan->graph->nodes[step->node].op, step->dst.type, step->count, from,
                               address(slot, &step->inputs[1], picture), to);
        return;
    case STEP_QUANTIZE:
        kernel_quantize(&step->src, from, &step->scale, &step->dst, to);
        return;
    case STEP_DEQUANTIZE:
        kernel_dequantize(&step->src, from, &step->scale, &step->dst, to);
        return;
    case STEP_LOOKUP:
        kernel_lookup(step->table, step->count, from, to);
        return;
    default:
        kernel_unary(slot->plan->graph->nodes[step->node].op, step->dst.type, step->count, from, to);
        return;
    }
}

/* call: the first of this step's; moved on behind them. */
static enum serin_errc run_step(struct plan_slot *slot, const struct plan_step *step, int *call,
                                struct serin_error *error)
{
    const struct graph_node *node = step->node == GRAPH_NONE ? NULL : &slot->plan->graph->nodes[step->node];
    const void *from = step->input_count ? address(slot, &step->inputs[0], 0) : NULL;
    void *to = address(slot, &step->outputs[0], 0);
    enum serin_errc rc = SERIN_OK;
    int64_t picture;

    switch (step->kind) {
    case STEP_PRIMITIVE:
    case STEP_PRODUCT:
        for (picture = 0; picture < step->pictures && rc == SERIN_OK; picture++)
            rc = onednn_call_run(slot->calls[(*call)++], error);
        return rc;
    case STEP_KERNEL:
        run_kernel(slot, step, 0, step->pictures, 0, 0);
        return SERIN_OK;
    case STEP_ROWS:
    case STEP_EXPECTATION:
    case STEP_COPY_CHANNELS:
    case STEP_RESIZE:
    case STEP_SPREAD_TAPS:
    case STEP_ADD_OR_MULTIPLY:
    case STEP_UNARY_PICTURE:
    case STEP_QUANTIZE:
    case STEP_DEQUANTIZE:
    case STEP_LOOKUP:
        for (picture = 0; picture < step->pictures; picture++)
            run_picture(slot, step, picture);
        return SERIN_OK;
    case STEP_WIDEN_BYTES:
        kernel_widen_bytes(step->count, from, to);
        return SERIN_OK;
    case STEP_UNARY:
        BUG_ON(!node);
        kernel_unary(node->op, ONEDNN_F32, step->count, from, to);
        return SERIN_OK;
    case STEP_BINARY:
        run_binary(slot, step);
        return SERIN_OK;
    case STEP_SOFTMAX:
        kernel_softmax(step->outer, step->rows, step->inner, from, to);
        return SERIN_OK;
    case STEP_MIX:
        kernel_mix(step->outer, step->rows, step->inner, from, step->weights,
                   step->bias ? *(const float *)step->bias : 0.0f, to);
        return SERIN_OK;
    case STEP_DENSE:
        kernel_dense(step->outer, step->rows, step->inner, from, step->weights, step->bias, to);
        return SERIN_OK;
    case STEP_TRANSPOSE:
        BUG_ON(!node);
        kernel_transpose(node->transpose.count, slot->plan->graph->values[node->outputs[0]].shape,
                         node->transpose.permutation,
                         graph_type_bytes(slot->plan->graph->values[node->outputs[0]].type), from, to);
        return SERIN_OK;
    case STEP_CHUNKS:
        run_chunks(step, from, to);
        return SERIN_OK;
    case STEP_PLAIN:
        return run_plain(slot, step, error);
    }
    return rc;
}

/* ---- selected rows ---- */

static void select_rows(const struct plan_slot *slot, float above)
{
    const struct plan_selectable *selectable = &slot->plan->selectable;
    int64_t picture;
    int i;

    for (i = 0; i < selectable->level_count; i++) {
        const struct plan_level *level = &selectable->levels[i];

        for (picture = 0; picture < selectable->pictures; picture++)
            kernel_rows_above(&level->layout, address(slot, &level->place, picture), above,
                              slot->selected + level->rows + picture * level->layout.height);
    }
}

/* The next rows of a picture, from *end on, that step is needed for: false where there are none. */
static bool next_rows(const struct plan_slot *slot, const struct plan_step *step, int64_t picture, int64_t *first,
                      int64_t *end)
{
    const struct plan_level *level = &slot->plan->selectable.levels[step->level];
    const int64_t height = level->layout.height;
    const uint8_t *selected = slot->selected + level->rows + picture * height;
    int64_t row;
    bool needed = false;

    for (*first = *end; *end < height; *end += KERNEL_ROWS) {
        needed = false;
        for (row = *end - step->reach; row < *end + KERNEL_ROWS + step->reach && !needed; row++)
            needed = row >= 0 && row < height && selected[row];
        if (!needed && *first < *end)
            break;
        if (!needed)
            *first = *end + KERNEL_ROWS;
    }
    *end = *end < height ? *end : height;
    return *first < *end;
}

static void run_selected(const struct plan_slot *slot, const struct plan_step *step)
{
    int64_t picture, first, end;

    for (picture = 0; picture < step->pictures; picture++)
        for (first = end = 0; next_rows(slot, step, picture, &first, &end);)
            if (step->kind == STEP_KERNEL)
                run_kernel(slot, step, picture, 1, first, end);
            else
                run_expectation(slot, step, picture, first, end);
}

enum serin_errc plan_run(struct plan_slot *slot, const struct engine_selection *selection, struct serin_error *error)
{
    const struct plan *plan = slot->plan;
    const struct plan_selectable *selectable = &plan->selectable;
    const bool selects = selection && selectable->level_count > 0 && selectable->output == selection->output &&
                         selectable->first_score == selection->first_score &&
                         selectable->score_count == selection->score_count;
    enum serin_errc rc = SERIN_OK;
    uint64_t before, now;
    int i, call = 0;

    onednn_set_threads(plan->options.threads);
    before = clock_now_ns();
    for (i = 0; i < plan->step_count && rc == SERIN_OK; i++) {
        if (selects && i == selectable->first_step)
            select_rows(slot, selection->above);
        if (selects && plan->steps[i].level != GRAPH_NONE)
            run_selected(slot, &plan->steps[i]);
        else
            rc = run_step(slot, &plan->steps[i], &call, error);
        now = clock_now_ns();
        slot->step_ns[i] = now - before < slot->step_ns[i] || !slot->step_ns[i] ? now - before : slot->step_ns[i];
        before = now;
    }
    return rc;
}

/* ---- for people ---- */

static const char *step_name(enum plan_step_kind kind)
{
    static const char *const names[] = {
        [STEP_PRIMITIVE] = "primitive",
        [STEP_KERNEL] = "kernel",
        [STEP_ROWS] = "rows",
        [STEP_COPY_CHANNELS] = "copy of channels",
        [STEP_RESIZE] = "enlargement",
        [STEP_SPREAD_TAPS] = "spreading of taps",
        [STEP_WIDEN_BYTES] = "widening of bytes",
        [STEP_ADD_OR_MULTIPLY] = "arithmetic on pictures",
        [STEP_UNARY_PICTURE] = "function of pictures",
        [STEP_QUANTIZE] = "numbers to integers",
        [STEP_DEQUANTIZE] = "integers to numbers",
        [STEP_LOOKUP] = "table",
        [STEP_UNARY] = "function",
        [STEP_BINARY] = "arithmetic",
        [STEP_SOFTMAX] = "softmax",
        [STEP_MIX] = "weighted sum",
        [STEP_EXPECTATION] = "softmax and weighted sum",
        [STEP_DENSE] = "dense layer",
        [STEP_TRANSPOSE] = "transposition",
        [STEP_CHUNKS] = "copy",
        [STEP_PRODUCT] = "matrix product",
        [STEP_PLAIN] = "plain C",
    };

    return names[kind];
}

static const char *step_title(const struct plan_step *step)
{
    return step->primitive ? onednn_kernel(step->primitive) : step->kernel ? step->kernel->name : step_name(step->kind);
}

static const char *step_op(const struct plan *plan, const struct plan_step *step)
{
    return step->node == GRAPH_NONE ? "(layout)" : graph_op_name(plan->graph->nodes[step->node].op);
}

/* Each kind of step with the sum of its times, in the order in which they come. */
static void print_kinds(const struct plan *plan, const struct plan_slot *slot, FILE *file)
{
    double all = 0.0;
    int i, k;

    for (i = 0; i < plan->step_count; i++)
        all += (double)slot->step_ns[i] / 1e6;
    for (i = 0; i < plan->step_count; i++) {
        const char *op = step_op(plan, &plan->steps[i]), *title = step_title(&plan->steps[i]);
        double ms = 0.0, gflop = 0.0;
        int count = 0, first = -1;

        for (k = 0; k < plan->step_count; k++) {
            const struct plan_step *step = &plan->steps[k];

            if (strcmp(step_op(plan, step), op) != 0 || strcmp(step_title(step), title) != 0)
                continue;
            first = first < 0 ? k : first;
            ms += (double)slot->step_ns[k] / 1e6;
            count++;
            if (step->node != GRAPH_NONE && plan->graph->nodes[step->node].op == GRAPH_CONV)
                gflop += 2e-9 * (double)graph_node_work(plan->graph, &plan->graph->nodes[step->node]);
        }
        if (first < i)
            continue;
        fprintf(file, "%8.3f ms %5.1f %%  %4d x %-14s %-26s", ms, 100.0 * ms / all, count, op, title);
        if (gflop > 0.0)
            fprintf(file, " %5.0f GFLOP/s", 1e3 * gflop / ms);
        fprintf(file, "\n");
    }
    fprintf(file, "%8.3f ms in %d steps\n", all, plan->step_count);
}

void plan_print(const struct plan *plan, const struct plan_slot *slot, FILE *file)
{
    int i, d;

    for (i = 0; i < plan->step_count; i++) {
        const struct plan_step *step = &plan->steps[i];
        const struct graph_node *node = step->node == GRAPH_NONE ? NULL : &plan->graph->nodes[step->node];
        const double ms = (double)slot->step_ns[i] / 1e6;

        fprintf(file, "%8.3f ms  %-14s %-26s", ms, step_op(plan, step), step_title(step));
        if (node) {
            const struct graph_value *y = &plan->graph->values[node->outputs[0]];

            if (node->op == GRAPH_CONV && ms > 0)
                fprintf(file, " %5.0f GFLOP/s", 2e-6 * (double)graph_node_work(plan->graph, node) / ms);
            fprintf(file, "  [");
            for (d = 0; d < y->rank; d++)
                fprintf(file, "%s%" PRId64, d ? "," : "", y->shape[d]);
            fprintf(file, "] %s%s", node->name, step->level == GRAPH_NONE ? "" : " (rows that are selected)");
        }
        fprintf(file, "\n");
    }
    print_kinds(plan, slot, file);
}
