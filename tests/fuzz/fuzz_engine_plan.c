/*
 * fuzz_engine_plan.c - fuzz target: bytes as a network, planned and run in fp32, beside plain C, and in bf16.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The structure is the file's, the numbers are ours: weights are overwritten with values between 1/4 and 1, so that a
 * difference is a mistake and not an overflow of the file's. What is left of sensitivity (a file may still subtract
 * equals, or compare) shows when plain C runs twice, with inputs that differ by 1e-5: the plan may be off by a hundred
 * times what that moves. In bf16, and where the network quantizes (a last digit may be a whole step there), a result
 * must only be finite where plain C's is. A slot begins as NaNs, and serves two runs: what was not written, or was left
 * behind, shows.
 */
#include "engine/plan.c"

#include <float.h>
#include <math.h>

#define MAX_WORK  ((uint64_t)1 << 20)
#define MAX_BYTES ((uint64_t)1 << 22) /* of all values; blocks may make sixteen times as much of it */
#define FREE_SIZE 3                   /* for dimensions that the file leaves free */
#define NUDGE     1e-5f
#define LARGEST   1e30f /* beyond it, what is finite is a matter of rounding */
#define TOLERANCE 1e-4f /* of an output's largest value */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint32_t random_state;

static float any_number(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return 0.25f + 0.75f * (float)(random_state >> 8) / (float)(1u << 24);
}

static void check_error(enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_OK && (rc != error->code || error->message[0] == '\0'))
        abort();
}

/* ---- the network ---- */

static bool takes_weights(const struct graph_node *node)
{
    switch ((int)node->op) {
    case GRAPH_CONV:
    case GRAPH_CONV_TRANSPOSE:
    case GRAPH_GEMM:
    case GRAPH_MATMUL:
    case GRAPH_BATCH_NORMALIZATION:
    case GRAPH_ADD:
    case GRAPH_SUB:
    case GRAPH_MUL:
    case GRAPH_DIV:
    case GRAPH_PRELU:
        return true;
    default:
        return false;
    }
}

/* Not those that are sizes or factors of one: the file's shapes stay. */
static void set_weights(struct graph *read)
{
    int i, k;

    for (i = 0; i < read->value_count; i++) {
        const struct graph_value *value = &read->values[i];
        bool is_weight = value->constant && value->type == GRAPH_F32 && value->user_count > 0;
        float *floats = (float *)value->constant; /* the graph's own memory */
        uint64_t n;

        for (k = 0; k < value->user_count; k++)
            is_weight = is_weight && takes_weights(&read->nodes[read->users[value->first_user + k]]);
        for (n = 0; is_weight && n < value->element_count; n++)
            floats[n] = any_number();
    }
}

static bool is_small(const struct graph *graph)
{
    uint64_t work = 0, sizes = 0;
    int i;

    for (i = 0; i < graph->node_count && work < MAX_WORK; i++) {
        const uint64_t more = graph_node_work(graph, &graph->nodes[i]);

        work = more > MAX_WORK ? MAX_WORK : work + more;
    }
    for (i = 0; i < graph->value_count; i++)
        if (graph->values[i].rank >= 0)
            sizes += graph_value_bytes(&graph->values[i]);
    return work < MAX_WORK && sizes < MAX_BYTES;
}

/* ---- plain C ---- */

struct buffers {
    void *at[ENGINE_MAX_TENSORS];
};

static struct buffers buffers_new(const struct graph *graph, int count, const int *values)
{
    struct buffers buffers = {{NULL}};
    int i;

    for (i = 0; i < count; i++) {
        buffers.at[i] = calloc(1, (size_t)graph_value_bytes(&graph->values[values[i]]) + 1);
        if (!buffers.at[i])
            abort();
    }
    return buffers;
}

static void buffers_done(struct buffers *buffers)
{
    int i;

    for (i = 0; i < ENGINE_MAX_TENSORS; i++)
        free(buffers->at[i]);
}

static void fill(const struct graph_value *value, void *memory)
{
    uint64_t i;

    for (i = 0; i < value->element_count; i++)
        if (value->type == GRAPH_F32)
            ((float *)memory)[i] = any_number();
        else if (value->type == GRAPH_I64)
            ((int64_t *)memory)[i] = (int64_t)(any_number() * 4.0f) - 1;
        else if (graph_type_bytes(value->type) == 1)
            ((uint8_t *)memory)[i] = (uint8_t)(any_number() * 255.0f);
}

static void nudge(const struct graph_value *value, void *memory)
{
    uint64_t i;

    for (i = 0; i < value->element_count && value->type == GRAPH_F32; i++)
        ((float *)memory)[i] *= 1.0f + (i % 2 ? NUDGE : -NUDGE);
}

/* ---- the comparison ---- */

/* nudged: want, of inputs that differ a little. exact: not only finite. */
static void compare(const struct graph_value *value, bool exact, const void *got, const void *want, const void *nudged)
{
    const float *g = got, *w = want, *n = nudged;
    float largest = 0.0f, moved = 0.0f, off = 0.0f;
    uint64_t i;

    if (value->type != GRAPH_F32) {
        if (exact && memcmp(want, nudged, (size_t)graph_value_bytes(value)) == 0 &&
            memcmp(got, want, (size_t)graph_value_bytes(value)) != 0)
            abort();
        return;
    }
    for (i = 0; i < value->element_count; i++) {
        if (!isfinite(w[i]) || !isfinite(n[i]) || fabsf(w[i]) > LARGEST)
            return;
        largest = fmaxf(largest, fabsf(w[i]));
        moved = fmaxf(moved, fabsf(n[i] - w[i]));
        off = fabsf(g[i] - w[i]) <= off ? off : fabsf(g[i] - w[i]); /* and a NaN is taken over */
    }
    /* Some kernels leave e^-87 where 0 is due. */
    if (exact ? !(off <= FLT_MIN * 16.0f + TOLERANCE * largest + 100.0f * moved) : !isfinite(off)) {
        fprintf(stderr, "'%s' is off by %g of %g, where the inputs' last digits move it by %g\n", value->name,
                (double)off, (double)largest, (double)moved);
        abort();
    }
}

/* Selections by the network's scores make the same numbers at selected places: of some, and last of everything. */
static void run_selections(const struct graph *graph, const struct buffers *inputs, struct plan_slot *slot)
{
    const struct plan_selectable *selectable = &slot->plan->selectable;
    struct engine_selection selection = {selectable->output, selectable->first_score, selectable->score_count, 0.0f};
    const struct graph_value *value = &graph->values[graph->outputs[selectable->output]];
    const int64_t channels = value->shape[1], places = value->shape[2];
    struct buffers whole = buffers_new(graph, graph->output_count, graph->outputs);
    struct serin_error error = {.code = SERIN_OK};
    const float *output = plan_slot_output(slot, selectable->output), *want = whole.at[selectable->output];
    int64_t i, c;
    int run, k;

    memcpy(whole.at[selectable->output], output, (size_t)graph_value_bytes(value));
    for (i = 0, selection.above = -INFINITY; i < places / 2; i++) /* few are left */
        selection.above = fmaxf(selection.above, want[selection.first_score * places + i]);
    for (run = 0; run < 2; run++, selection.above = -INFINITY) {
        memset(slot->memory, 0xff, slot->plan->slot_bytes);
        for (k = 0; k < graph->input_count; k++)
            memcpy(plan_slot_input(slot, k), inputs->at[k],
                   (size_t)graph_value_bytes(&graph->values[graph->inputs[k]]));
        if (plan_run(slot, &selection, &error) != SERIN_OK)
            break;
        for (i = 0; i < (int64_t)value->element_count; i++) {
            const int64_t picture = i / (channels * places), place = i % places;
            bool selected = false;

            for (c = 0; c < selectable->score_count; c++)
                selected |=
                    !(want[(picture * channels + selectable->first_score + c) * places + place] <= selection.above);
            if (selected && !(isnan(output[i]) && isnan(want[i])) && memcmp(&output[i], &want[i], sizeof(float)) != 0)
                abort();
        }
    }
    buffers_done(&whole);
}

static void run_twice(const struct graph *graph, bool exact, struct plan_slot *slot)
{
    struct buffers inputs = buffers_new(graph, graph->input_count, graph->inputs);
    struct buffers want = buffers_new(graph, graph->output_count, graph->outputs);
    struct buffers nudged = buffers_new(graph, graph->output_count, graph->outputs);
    struct serin_error error;
    enum serin_errc plain, planned;
    int i, run;

    memset(slot->memory, 0xff, slot->plan->slot_bytes);
    for (run = 0; run < 2; run++) {
        for (i = 0; i < graph->input_count; i++) {
            const struct graph_value *value = &graph->values[graph->inputs[i]];

            fill(value, inputs.at[i]);
            memcpy(plan_slot_input(slot, i), inputs.at[i], (size_t)graph_value_bytes(value));
        }
        error.code = SERIN_OK;
        planned = plan_run(slot, NULL, &error);
        check_error(planned, &error);
        if (planned == SERIN_OK && slot->plan->selectable.level_count > 0)
            run_selections(graph, &inputs, slot);
        plain = graph_plain_run(graph, 4 * MAX_BYTES, (const void *const *)inputs.at, want.at, &error);
        check_error(plain, &error);
        for (i = 0; i < graph->input_count; i++)
            nudge(&graph->values[graph->inputs[i]], inputs.at[i]);
        if (plain != SERIN_OK || planned != SERIN_OK ||
            graph_plain_run(graph, 4 * MAX_BYTES, (const void *const *)inputs.at, nudged.at, &error) != SERIN_OK)
            continue;
        for (i = 0; i < graph->output_count; i++)
            compare(&graph->values[graph->outputs[i]], exact, plan_slot_output(slot, i), want.at[i], nudged.at[i]);
    }
    buffers_done(&inputs);
    buffers_done(&want);
    buffers_done(&nudged);
}

static bool quantizes(const struct graph *graph)
{
    int i;

    for (i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == GRAPH_QUANTIZE_LINEAR || graph->nodes[i].op == GRAPH_DYNAMIC_QUANTIZE_LINEAR)
            return true;
    return false;
}

static void try_plan(const struct graph *read, const struct graph *shaped, const struct tensor *shapes,
                     enum plan_precision precision)
{
    const struct plan_options options = {.precision = precision, .threads = 1};
    struct plan_weights *weights = plan_weights_new();
    struct serin_error error = {.code = SERIN_OK};
    struct plan_slot *slot = NULL;
    struct plan *plan = NULL;
    enum serin_errc rc;
    int i, d;

    if (!weights)
        abort();
    rc = plan_new(read, shapes, &options, weights, &plan, &error);
    check_error(rc, &error);
    if (rc == SERIN_OK) {
        for (i = 0; i < shaped->output_count; i++) {
            const struct graph_value *one = &shaped->values[shaped->outputs[i]],
                                     *other = &plan_graph(plan)->values[plan_graph(plan)->outputs[i]];

            if (one->rank != other->rank || one->type != other->type)
                abort();
            for (d = 0; d < one->rank; d++)
                if (one->shape[d] != other->shape[d])
                    abort();
        }
        rc = plan_slot_new(plan, &slot, &error);
        check_error(rc, &error);
    }
    if (rc == SERIN_OK)
        run_twice(shaped, precision == PLAN_F32 && !quantizes(shaped), slot);
    plan_slot_free(slot);
    plan_free(plan);
    plan_weights_free(weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct serin_error error = {.code = SERIN_OK};
    struct tensor shapes[ENGINE_MAX_TENSORS] = {{.rank = 0}};
    struct graph *read = NULL, *shaped = NULL;
    int i, d;

    random_state = 1;
    if (graph_read(bytes, size, &read, &error) == SERIN_OK) {
        set_weights(read);
        for (i = 0; i < read->input_count; i++) {
            const struct tensor_spec *spec = &read->interface.inputs[i];

            shapes[i].rank = spec->rank;
            for (d = 0; d < spec->rank; d++)
                shapes[i].shape[d] = spec->shape[d] > 0 ? spec->shape[d] : FREE_SIZE;
        }
        if (graph_shape(read, shapes, &shaped, &error) == SERIN_OK && is_small(shaped)) {
            try_plan(read, shaped, shapes, PLAN_F32);
            if (onednn_has_bf16())
                try_plan(read, shaped, shapes, PLAN_BF16);
        }
    }
    graph_free(shaped);
    graph_free(read);
    return 0;
}
