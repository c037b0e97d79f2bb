/*
 * plan_bf16_test.c - what a plan of bf16 keeps in more digits, how it rounds weights, and what a batch leaves alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/plan.c"

#include "engine/test_graphs.h"

#include <math.h>

/* ---- graphs by hand ---- */

static int weights_of(struct graph *graph, const int64_t *shape)
{
    return random_constant(graph, 4, shape, 0.0f, 1.0f / sqrtf((float)(shape[1] * shape[2] * shape[3])));
}

/* side: of the window; padded so that only stride makes pictures smaller. */
static int convolution(struct graph *graph, int x, int weights, int32_t stride, enum graph_op activation)
{
    const int64_t *from = graph->values[x].shape, *w = graph->values[weights].shape;
    const int64_t shape[4] = {from[0], w[0], from[2] / stride, from[3] / stride};
    const int32_t side = (int32_t)w[2], pad = side / 2;
    struct graph_node node = {.op = GRAPH_CONV};
    int inputs[2] = {x, weights};

    node.conv.groups = 1;
    node.conv.window = (struct graph_window){{side, side}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}};
    node.conv.activation.op = activation;
    return add_node(graph, node, 2, inputs, 4, shape);
}

/* ---- plans ---- */

struct planned {
    struct plan *plan;
    struct plan_weights *weights;
    struct plan_slot *slot;
};

static struct planned make_plan(struct graph *graph, enum plan_layout layout)
{
    struct planned planned = {.plan = calloc(1, sizeof(struct plan)), .weights = plan_weights_new()};
    struct serin_error error;

    assert_non_null(planned.plan);
    must(graph_index(graph, &error), &error);
    arena_init(&planned.plan->arena, (size_t)1 << 20);
    planned.plan->graph = graph;
    planned.plan->options = (struct plan_options){.precision = PLAN_BF16, .threads = 1, .layout = layout};
    must(plan_build(planned.plan, planned.weights, &error), &error);
    must(give_offsets(planned.plan, &error), &error);
    must(plan_slot_new(planned.plan, &planned.slot, &error), &error);
    return planned;
}

/* The graph stays. */
static void planned_done(struct planned *planned)
{
    plan_slot_free(planned->slot);
    planned->plan->graph = NULL;
    plan_free(planned->plan);
    plan_weights_free(planned->weights);
}

/* ---- what stays fp32 ---- */

enum { LEVELS = 3, BINS = 16, IN = 32 };

/* A head of distributions, its levels 16, 8 and 4 pixels a side, whose last convolutions have the same weights. */
static struct graph *make_head(int last[LEVELS])
{
    const int64_t shape[4] = {1, IN, 16, 16}, w_shape[4] = {IN, IN, 3, 3}, last_shape[4] = {4 * BINS, IN, 1, 1};
    const int64_t bins_shape[1] = {BINS};
    struct graph *graph = start_graph(4, shape);
    const int shared = weights_of(graph, last_shape);
    int inputs[2], x = graph->inputs[0], level, i;
    void *bins;

    inputs[1] = graph_add_constant(graph, GRAPH_F32, 1, bins_shape, &bins);
    for (i = 0; i < BINS; i++)
        ((float *)bins)[i] = (float)i;
    for (level = 0; level < LEVELS; level++) {
        const int64_t y_shape[3] = {1, 4, (int64_t)256 >> 2 * level};
        int branch;

        x = convolution(graph, x, weights_of(graph, w_shape), level ? 2 : 1, GRAPH_SILU);
        branch = convolution(graph, x, weights_of(graph, w_shape), 1, GRAPH_SILU);
        inputs[0] = convolution(graph, branch, shared, 1, GRAPH_REMOVED);
        last[level] = inputs[0];
        graph->outputs[level] = add_node(graph, (struct graph_node){.op = GRAPH_EXPECTATION}, 2, inputs, 3, y_shape);
    }
    graph->output_count = LEVELS;
    return graph;
}

static const struct plan_step *step_of(const struct plan *plan, int value)
{
    int i;

    for (i = 0; i < plan->step_count; i++)
        if (plan->steps[i].node == plan->graph->values[value].producer)
            return &plan->steps[i];
    fail();
    return NULL;
}

static void test_distributions_of_all_levels_but_the_largest_are_wide(void **state)
{
    float picture[IN * 256], want[LEVELS][4 * 256];
    struct planned planned;
    struct graph *graph;
    struct serin_error error;
    const void *inputs[1] = {picture};
    void *outputs[LEVELS];
    int last[LEVELS], level, i;

    (void)state;
    if (!onednn_has_bf16())
        skip();
    graph = make_head(last);
    planned = make_plan(graph, PLAN_BLOCKS);
    for (i = 0; i < IN * 256; i++)
        ((float *)plan_slot_input(planned.slot, 0))[i] = picture[i] = 4.0f * any_number();
    for (level = 0; level < LEVELS; level++)
        outputs[level] = want[level];
    must(graph_plain_run(graph, (uint64_t)1 << 26, inputs, outputs, &error), &error);
    must(plan_run(planned.slot, NULL, &error), &error);
    for (level = 0; level < LEVELS; level++) {
        const struct plan_step *step = step_of(planned.plan, last[level]);
        const float *got = plan_slot_output(planned.slot, level);

        assert_int_equal(step->src.type, level ? ONEDNN_F32 : ONEDNN_BF16);
        assert_int_equal(step->dst.type, ONEDNN_F32);
        for (i = 0; i < 4 * 256 >> 2 * level; i++)
            assert_true(fabsf(got[i] - want[level][i]) < 0.05f);
    }
    planned_done(&planned);
    graph_free(graph);
}

/* ---- weights ---- */

/* Errors of results whose inputs are all 1 are those that the weights' sums have. */
static void test_sums_of_weights_stay(void **state)
{
    enum { OUT = 32, CHANNELS = 64, PIXELS = 16 };
    const int64_t shape[4] = {1, CHANNELS, 4, 4}, w_shape[4] = {OUT, CHANNELS, 1, 1};
    static const enum plan_layout layouts[] = {PLAN_BLOCKS, PLAN_TOGETHER};
    size_t k;

    (void)state;
    if (!onednn_has_bf16())
        skip();
    for (k = 0; k < 2; k++) {
        struct graph *graph = start_graph(4, shape);
        const int weights = weights_of(graph, w_shape);
        struct serin_error error;
        struct planned planned;
        const float *got, *numbers;
        double squares = 0.0;
        int o, i;

        graph->outputs[0] = convolution(graph, graph->inputs[0], weights, 1, GRAPH_REMOVED);
        graph->output_count = 1;
        planned = make_plan(graph, layouts[k]);
        for (i = 0; i < CHANNELS * PIXELS; i++)
            ((float *)plan_slot_input(planned.slot, 0))[i] = 1.0f;
        must(plan_run(planned.slot, NULL, &error), &error);
        got = plan_slot_output(planned.slot, 0), numbers = graph->values[weights].constant;
        for (o = 0; o < OUT; o++, numbers += CHANNELS) {
            double sum = 0.0;

            for (i = 0; i < CHANNELS; i++)
                sum += (double)numbers[i];
            squares += ((double)got[o * PIXELS] - sum) * ((double)got[o * PIXELS] - sum);
        }
        assert_true(sqrt(squares / OUT) < 2e-4); /* 1e-3 where each goes to the nearest */
        planned_done(&planned);
        graph_free(graph);
    }
}

/* ---- batches ---- */

/* The first picture's results of a batch: of windows and strides as YOLOs have them. */
static void run_batch(int64_t pictures, float results[64 * 64])
{
    const int64_t shape[4] = {pictures, 16, 32, 32}, to_shape[4] = {64, 16, 3, 3}, w_shape[4] = {64, 64, 3, 3};
    const int64_t mix_shape[4] = {64, 64, 1, 1};
    struct graph *graph = start_graph(4, shape);
    struct serin_error error;
    struct planned planned;
    int x = graph->inputs[0];
    float *input;
    int64_t i;

    random_state = 1;
    x = convolution(graph, x, weights_of(graph, to_shape), 1, GRAPH_SILU);
    x = convolution(graph, x, weights_of(graph, w_shape), 2, GRAPH_SILU); /* to 16 tiles */
    x = convolution(graph, x, weights_of(graph, mix_shape), 1, GRAPH_SILU);
    graph->outputs[0] = convolution(graph, x, weights_of(graph, w_shape), 2, GRAPH_SILU);
    graph->output_count = 1;
    planned = make_plan(graph, PLAN_BLOCKS);
    input = plan_slot_input(planned.slot, 0);
    for (i = 0; i < pictures * 16 * 32 * 32; i++)
        input[i] = any_number();
    must(plan_run(planned.slot, NULL, &error), &error);
    memcpy(results, plan_slot_output(planned.slot, 0), 64 * 64 * sizeof(float));
    planned_done(&planned);
    graph_free(graph);
}

/* Otherwise the same frame would be judged by how busy a worker is. */
static void test_a_picture_is_the_same_in_any_batch(void **state)
{
    float alone[64 * 64], among[64 * 64];
    int64_t pictures;

    (void)state;
    if (!onednn_has_bf16())
        skip();
    run_batch(1, alone);
    for (pictures = 2; pictures < 9; pictures += 3) {
        run_batch(pictures, among);
        assert_memory_equal(alone, among, sizeof(alone));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions_of_all_levels_but_the_largest_are_wide),
        cmocka_unit_test(test_sums_of_weights_stay),
        cmocka_unit_test(test_a_picture_is_the_same_in_any_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
