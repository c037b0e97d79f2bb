/*
 * plan_test.c - the example models through plans and through plain C, and each kernel beside a loop that says what it
 * means. SPDX-License-Identifier: Apache-2.0
 */
#include "engine/plan.c"
#include "engine/plan_build.c"
#include "engine/plan_choose.c"
#include "engine/plan_kernels.c"

#define LEAST_NUMBER 0.0f
#include "engine/test_graphs.h"

#include <math.h>

/* ---- whole models ---- */

/* Fills a slot's input, of bytes where the plan takes them for fp32; returns the same for graph_plain, to be freed. */
static void *fill_input(const struct graph *graph, bool bytes, void *memory)
{
    const struct graph_value *value = &graph->values[graph->inputs[0]];
    float *plain = malloc((size_t)graph_value_bytes(value));
    uint64_t i;

    assert_non_null(plain);
    for (i = 0; i < value->element_count; i++)
        if (value->type == GRAPH_U8) {
            ((uint8_t *)memory)[i] = ((uint8_t *)plain)[i] = (uint8_t)(any_number() * 255.0f);
        } else if (bytes) {
            ((uint8_t *)memory)[i] = (uint8_t)(any_number() * 255.0f);
            plain[i] = (float)((uint8_t *)memory)[i] / 255.0f;
        } else {
            ((float *)memory)[i] = plain[i] = any_number();
        }
    return plain;
}

/* The greatest difference over the greatest value. */
static double difference(const struct graph_value *value, const void *got, const void *want)
{
    double largest = 0.0, worst = 0.0;
    uint64_t i;

    if (value->type != GRAPH_F32)
        return memcmp(got, want, graph_value_bytes(value)) == 0 ? 0.0 : INFINITY;
    for (i = 0; i < value->element_count; i++) {
        const double w = (double)((const float *)want)[i], g = (double)((const float *)got)[i];

        largest = fmax(largest, fabs(w));
        worst = fabs(g - w) <= worst ? worst : fabs(g - w);
    }
    return worst / largest;
}

/* bytes: the input comes as such, where the model's is fp32. */
static void check_model(const char *name, int64_t batch, int64_t side_px, enum plan_precision precision, bool bytes,
                        enum plan_layout layout, double tolerance)
{
    struct graph *graph = read_model(name), *plain = NULL;
    const struct tensor input = input_of(graph, batch, side_px);
    const bool as_bytes = bytes && graph->interface.inputs[0].type == TENSOR_F32;
    const struct plan_options options = {.precision = precision, .threads = 1, .bytes = as_bytes, .layout = layout};
    struct plan_weights *weights = plan_weights_new();
    void *want[ENGINE_MAX_TENSORS];
    const void *inputs[1];
    struct serin_error error;
    struct plan_slot *slot;
    struct plan *plan;
    int i, run;

    must(graph_shape(graph, &input, &plain, &error), &error);
    must(plan_new(graph, &input, &options, weights, &plan, &error), &error);
    must(plan_slot_new(plan, &slot, &error), &error);
    memset(slot->memory, 0xff, plan->slot_bytes); /* NaNs: nothing that was not written may be read */
    for (i = 0; i < plain->output_count; i++)
        want[i] = random_floats((int64_t)(graph_value_bytes(&plain->values[plain->outputs[i]]) + 3) / 4);
    for (run = 0; run < 2; run++) { /* twice: what one run leaves behind does not reach the next */
        void *picture = fill_input(plan_graph(plan), as_bytes, plan_slot_input(slot, 0));

        inputs[0] = picture;
        must(graph_plain_run(plain, (uint64_t)1 << 30, inputs, want, &error), &error);
        free(picture);
        must(plan_run(slot, NULL, &error), &error);
        for (i = 0; i < plain->output_count; i++) {
            const double off = difference(&plain->values[plain->outputs[i]], plan_slot_output(slot, i), want[i]);

            if (!(off <= tolerance))
                fail_msg("%s: output %d is off by %g of its greatest value, the limit is %g", name, i, off, tolerance);
        }
    }
    for (i = 0; i < plain->output_count; i++)
        free(want[i]);
    plan_slot_free(slot);
    plan_free(plan);
    plan_weights_free(weights);
    graph_free(plain);
    graph_free(graph);
}

static const char *const models[] = {"miniature/detect",         "miniature/detect-v5",   "miniature/segment",
                                     "miniature/pose",           "miniature/obb",         "miniature/classify",
                                     "miniature/detect-uint8in", "miniature/detect-fp16", "street-person/v1.1.0"};

static void test_models_in_fp32(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        check_model(models[i], 2, 96, PLAN_F32, i % 2, PLAN_FASTEST, 1e-4);
}

static void test_models_in_bf16(void **state)
{
    size_t i;

    (void)state;
    if (!onednn_has_bf16())
        skip();
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        check_model(models[i], 1, 64, PLAN_BF16, i % 2, PLAN_BLOCKS, 0.15);
}

/* The layout of a processor with AMX, whichever this one is. */
static void test_models_with_channels_together(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        check_model(models[i], 2, 96, PLAN_F32, i % 2, PLAN_TOGETHER, 1e-4);
        if (onednn_has_bf16())
            check_model(models[i], 2, 64, PLAN_BF16, i % 2, PLAN_TOGETHER, 0.15);
    }
}

/* Weights are packed once, and the last plan to go leaves them to the others. */
static void test_plans_share_weights(void **state)
{
    static const struct plan_options options = {.precision = PLAN_F32, .threads = 1};
    struct graph *graph = read_model("street-person/v1.1.0");
    struct plan_weights *weights = plan_weights_new();
    struct tensor input = input_of(graph, 1, 64);
    struct plan *small, *large;
    struct serin_error error;
    int count;

    (void)state;
    must(plan_new(graph, &input, &options, weights, &small, &error), &error);
    count = weights->count;
    assert_true(count > 0);
    must(plan_new(graph, &input, &options, weights, &large, &error), &error);
    assert_int_equal(weights->count, count);
    plan_free(small);
    plan_free(large);
    plan_weights_free(weights);
    graph_free(graph);
}

/* Runs a graph of one input and one output, made by hand, as a plan and in plain C. The result is how many steps spread
 * taps. */
static int check_graph_in(enum plan_layout layout, struct graph *graph, bool bytes, struct plan_weights *weights)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    const struct graph_value *y;
    struct serin_error error;
    struct plan_slot *slot;
    const void *inputs[1];
    void *outputs[1];
    float *want;
    void *picture;
    int i, spread = 0;

    assert_non_null(plan);
    if (!graph->output_count) {
        graph->output_count = 1;
        must(graph_index(graph, &error), &error);
    }
    arena_init(&plan->arena, (size_t)1 << 20);
    plan->graph = graph;
    plan->options = (struct plan_options){.precision = PLAN_F32, .threads = 1, .bytes = bytes, .layout = layout};
    must(plan_build(plan, weights, &error), &error);
    must(give_offsets(plan, &error), &error);
    must(plan_slot_new(plan, &slot, &error), &error);
    for (i = 0; i < plan->step_count; i++)
        spread += plan->steps[i].kind == STEP_SPREAD_TAPS;
    inputs[0] = picture = fill_input(graph, bytes, plan_slot_input(slot, 0));
    y = &graph->values[graph->outputs[0]];
    want = random_floats((int64_t)y->element_count);
    outputs[0] = want;
    must(graph_plain_run(graph, (uint64_t)1 << 24, inputs, outputs, &error), &error);
    must(plan_run(slot, NULL, &error), &error);
    assert_true(difference(y, plan_slot_output(slot, 0), want) < 1e-5);
    free(want);
    free(picture);
    plan_slot_free(slot);
    plan->graph = NULL;
    plan_free(plan);
    return spread;
}

/* In both layouts, beside each other. Takes the graph over. */
static int check_graph(struct graph *graph, bool bytes)
{
    struct plan_weights *weights = plan_weights_new();
    int spread = check_graph_in(PLAN_BLOCKS, graph, bytes, weights);

    assert_int_equal(check_graph_in(PLAN_TOGETHER, graph, bytes, weights), spread);
    plan_weights_free(weights);
    graph_free(graph);
    return spread;
}

/* Windows that touch (2 x 2 and 3 x 1, as far apart) go through a convolution over one pixel; others do not. */
static void test_transposed_convolutions(void **state)
{
    static const int32_t kernels[][2] = {{2, 2}, {3, 1}, {3, 3}};
    const int64_t x_shape[4] = {2, 32, 3, 5}, out = 16;
    size_t k;

    (void)state;
    for (k = 0; k < 3; k++) {
        const int32_t stride[2] = {k == 2 ? 2 : kernels[k][0], k == 2 ? 2 : kernels[k][1]};
        const int64_t w_shape[4] = {32, out, kernels[k][0], kernels[k][1]};
        const int64_t y_shape[4] = {2, out, 2 * stride[0] + kernels[k][0], 4 * stride[1] + kernels[k][1]};
        struct graph_node node = {.op = GRAPH_CONV_TRANSPOSE};
        struct graph *graph = start_graph(4, x_shape);
        int inputs[3] = {graph->inputs[0]};

        inputs[1] = random_constant(graph, 4, w_shape, -0.5f, 1.0f);
        inputs[2] = random_constant(graph, 1, &out, 0.0f, 1.0f);
        node.conv.groups = 1;
        node.conv.window =
            (struct graph_window){{kernels[k][0], kernels[k][1]}, {stride[0], stride[1]}, {1, 1}, {0, 0}, {0, 0}};
        graph->outputs[0] = add_node(graph, node, 3, inputs, 4, y_shape);
        assert_int_equal(check_graph(graph, k == 1), k == 2 ? 0 : 1);
    }
}

/* A half of a picture that goes into a concatenation beside something else: the whole cannot lie there, because its
 * other half would be written over before its last user has read it. */
static void test_half_of_a_split_in_a_concatenation(void **state)
{
    const int64_t half[4] = {1, 16, 4, 4}, whole[4] = {1, 32, 4, 4}, w_shape[4] = {32, 16, 1, 1};
    struct graph *graph = start_graph(4, half);
    struct graph_node node = {.op = GRAPH_CONV};
    int conv[2] = {graph->inputs[0], random_constant(graph, 4, w_shape, -0.5f, 1.0f)};
    int parts[2], pair[2], x, halves[2], i;

    (void)state;
    node.conv.groups = 1;
    node.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    x = add_node(graph, node, 2, conv, 4, whole);
    for (i = 0; i < 2; i++) {
        node = (struct graph_node){.op = GRAPH_SLICE};
        node.slice.begin[1] = 16 * i;
        node.slice.step[0] = node.slice.step[1] = node.slice.step[2] = node.slice.step[3] = 1;
        halves[i] = add_node(graph, node, 1, &x, 4, half);
    }
    node = (struct graph_node){.op = GRAPH_SIGMOID};
    node.unary.op = GRAPH_SIGMOID;
    parts[0] = halves[0];
    parts[1] = add_node(graph, node, 1, &halves[1], 4, half);
    node = (struct graph_node){.op = GRAPH_CONCAT};
    node.axis.axis = 1;
    pair[0] = add_node(graph, node, 2, parts, 4, whole);
    pair[1] = x;
    graph->outputs[0] = add_node(graph, (struct graph_node){.op = GRAPH_ADD}, 2, pair, 4, whole);
    assert_int_equal(check_graph(graph, false), 0);
}

/* Boxes and scores of one size, as heads of networks leave them: nothing reads both as a picture. */
static void test_a_concatenation_for_plain_nodes(void **state)
{
    const int64_t x_shape[4] = {2, 16, 4, 5}, y_shape[4] = {2, 36, 4, 5};
    struct graph *graph = start_graph(4, x_shape);
    int parts[2], i;

    (void)state;
    for (i = 0; i < 2; i++) {
        const int64_t w_shape[4] = {i ? 20 : 16, 16, 1, 1}, part_shape[4] = {2, w_shape[0], 4, 5};
        struct graph_node node = {.op = GRAPH_CONV};
        int inputs[2] = {graph->inputs[0], random_constant(graph, 4, w_shape, -0.5f, 1.0f)};

        node.conv.groups = 1;
        node.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
        parts[i] = add_node(graph, node, 2, inputs, 4, part_shape);
    }
    graph->outputs[0] = add_node(graph, (struct graph_node){.op = GRAPH_CONCAT, .axis.axis = 1}, 2, parts, 4, y_shape);
    assert_int_equal(check_graph(graph, false), 0);
}

static int count_of_steps(const struct plan *plan, enum plan_step_kind kind)
{
    int i, count = 0;

    for (i = 0; i < plan->step_count; i++)
        count += plan->steps[i].kind == kind;
    return count;
}

/* Rows of two pictures, beside something else: they are written where they lie in the end, whatever the batch; of what
 * is plain, that is so for one picture. */
static void test_rows_are_written_where_they_belong(void **state)
{
    int64_t batch;

    (void)state;
    for (batch = 1; batch <= 2; batch++) {
        const int64_t x_shape[4] = {batch, 16, 4, 5}, w_shape[4] = {20, 16, 1, 1}, picture[4] = {batch, 20, 4, 5};
        const int64_t flat[3] = {batch, 20, 20}, pair[3] = {batch, 20, 40}, y_shape[3] = {batch, 40, 40};
        const struct plan_options options = {.precision = PLAN_F32, .threads = 1};
        struct graph *graph = start_graph(4, x_shape);
        struct plan_weights *weights = plan_weights_new();
        struct plan *plan = calloc(1, sizeof(*plan));
        struct graph_node conv = {.op = GRAPH_CONV}, function = {.op = GRAPH_SIGMOID, .unary = {.op = GRAPH_SIGMOID}};
        struct serin_error error;
        int rows[2], parts[2], i, at;

        conv.conv.groups = 1;
        conv.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
        for (i = 0; i < 2; i++) {
            int inputs[2] = {graph->inputs[0], random_constant(graph, 4, w_shape, -0.5f, 1.0f)};

            at = add_node(graph, conv, 2, inputs, 4, picture);
            rows[i] = add_node(graph, (struct graph_node){.op = GRAPH_RESHAPE}, 1, &at, 3, flat);
        }
        parts[0] = add_node(graph, (struct graph_node){.op = GRAPH_CONCAT, .axis.axis = 2}, 2, rows, 3, pair);
        at = add_node(graph, (struct graph_node){.op = GRAPH_CONCAT, .axis.axis = 2}, 2, rows, 3, pair);
        parts[1] = add_node(graph, function, 1, &at, 3, pair);
        graph->outputs[0] =
            add_node(graph, (struct graph_node){.op = GRAPH_CONCAT, .axis.axis = 1}, 2, parts, 3, y_shape);
        check_graph_in(PLAN_BLOCKS, graph, false, weights);
        check_graph_in(PLAN_TOGETHER, graph, false, weights);
        plan->graph = graph;
        plan->options = options;
        arena_init(&plan->arena, (size_t)1 << 20);
        must(plan_build(plan, weights, &error), &error);
        assert_int_equal(count_of_steps(plan, STEP_ROWS), 4);
        assert_int_equal(count_of_steps(plan, STEP_CHUNKS), batch - 1);
        plan_free(plan);
        plan_weights_free(weights);
    }
}

/* A convolution over one pixel of pictures that were another shape: so many, so large, are read. */
static void test_pictures_that_a_reshape_made(void **state)
{
    const int64_t x_shape[4] = {1, 6, 4, 4}, pictures[4] = {2, 3, 4, 4}, y_shape[4] = {2, 16, 4, 4};
    const int64_t w_shape[4] = {16, 3, 1, 1};
    struct graph *graph = start_graph(4, x_shape);
    struct graph_node node = {.op = GRAPH_CONV};
    int inputs[2];

    (void)state;
    inputs[0] = add_node(graph, (struct graph_node){.op = GRAPH_RESHAPE}, 1, graph->inputs, 4, pictures);
    inputs[1] = random_constant(graph, 4, w_shape, -0.5f, 1.0f);
    node.conv.groups = 1;
    node.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    graph->outputs[0] = add_node(graph, node, 2, inputs, 4, y_shape);
    assert_int_equal(check_graph(graph, false), 0);
}

/* Its size is that of a row, by chance. */
static void test_a_dense_layer_whose_bias_is_a_column(void **state)
{
    const int64_t a_shape[2] = {3, 5}, b_shape[2] = {3, 5}, c_shape[2] = {3, 1}, y_shape[2] = {3, 3};
    struct graph *graph = start_graph(2, a_shape);
    struct graph_node node = {.op = GRAPH_GEMM};
    int inputs[3] = {graph->inputs[0]};

    (void)state;
    inputs[1] = random_constant(graph, 2, b_shape, -0.5f, 1.0f);
    inputs[2] = random_constant(graph, 2, c_shape, -0.5f, 1.0f);
    node.gemm.alpha = node.gemm.beta = 1.0f;
    node.gemm.transpose_b = true;
    graph->outputs[0] = add_node(graph, node, 3, inputs, 2, y_shape);
    assert_int_equal(check_graph(graph, false), 0);
}

/* Weights that a plan made itself, from a normalization, go with it: others may lie at their address the next time. */
static void test_packed_weights_outlive_what_they_were_made_from(void **state)
{
    const int64_t shape[4] = {1, 16, 4, 4}, w_shape[4] = {16, 16, 1, 1};
    struct plan_weights *weights = plan_weights_new();
    int round;

    (void)state;
    for (round = 0; round < 8; round++) {
        struct graph *graph = start_graph(4, shape);
        struct graph_node node = {.op = GRAPH_CONV};
        int inputs[2] = {graph->inputs[0]};

        random_state = 7u + (uint32_t)round / 2; /* every second round has the weights of the one before */
        inputs[1] = random_constant(graph, 4, w_shape, -0.5f, 1.0f);
        node.conv.groups = 1;
        node.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
        graph->outputs[0] = add_node(graph, node, 2, inputs, 4, shape);
        assert_int_equal(check_graph_in(PLAN_BLOCKS, graph, false, weights), 0);
        assert_int_equal(weights->count, round / 2 + 1);
        graph_free(graph);
    }
    plan_weights_free(weights);
}

/* ---- memory ---- */

static void test_memory_is_shared_by_what_does_not_live_together(void **state)
{
    struct plan_buffer buffers[] = {{100, 0, 0, 1}, {1000, 0, 1, 2}, {100, 0, 2, 3}, {64, 0, 0, PLAN_KEEP}};
    struct plan plan = {.buffers = buffers, .buffer_count = 4};
    struct serin_error error;
    int i, k;

    (void)state;
    must(give_offsets(&plan, &error), &error);
    for (i = 0; i < 4; i++)
        for (k = 0; k < i; k++)
            if (live_together(&buffers[i], &buffers[k]))
                assert_true(buffers[i].offset >= buffers[k].offset + buffers[k].bytes ||
                            buffers[k].offset >= buffers[i].offset + buffers[i].bytes);
    assert_int_equal(buffers[0].offset, buffers[2].offset); /* they never meet */
    assert_int_equal(plan.slot_bytes, 1024 + 128 + 64);
}

static void test_what_takes_too_much_is_refused(void **state)
{
    struct plan_buffer buffers[] = {{PLAN_MAX_SLOT_BYTES, 0, 0, 1}, {64, 0, 1, 2}};
    struct plan plan = {.buffers = buffers, .buffer_count = 2};
    struct serin_error error;

    (void)state;
    assert_int_equal(give_offsets(&plan, &error), SERIN_LIMIT);
    assert_string_equal(error.message, "a run takes more than 8589934592 bytes");
}

/* ---- kernels ---- */

static size_t place_in(const struct onednn_image *image, int64_t channel, int64_t pixel)
{
    const int64_t block = image->block ? image->block : image->channels;

    return (size_t)((channel / block * image->height * image->width + pixel) * block + channel % block);
}

/* Channels that begin and end within blocks, from and to any layout; nothing else changes, but for what fills up. */
static void test_copy_channels(void **state)
{
    static const int64_t cases[][3] = {{0, 0, 20}, {16, 0, 16}, {3, 18, 15}, {5, 5, 7}, {0, 20, 20}};
    static const int64_t blocks[] = {16, 8, 1, 0};
    size_t c, b;
    int64_t k, pixel;

    (void)state;
    for (c = 0; c < 5; c++)
        for (b = 0; b < 4; b++) {
            const struct onednn_image src = {ONEDNN_F32, 36, 3, 5, blocks[b]}, dst = {ONEDNN_F32, 40, 3, 5, blocks[b]};
            float *from = random_floats((int64_t)onednn_image_bytes(&src) / 4);
            float *to = random_floats((int64_t)onednn_image_bytes(&dst) / 4);
            float *before = random_floats((int64_t)onednn_image_bytes(&dst) / 4);

            memcpy(before, to, onednn_image_bytes(&dst));
            kernel_copy_channels(&src, from, cases[c][0], &dst, to, cases[c][1], cases[c][2], true);
            for (pixel = 0; pixel < 15; pixel++) {
                for (k = 0; k < 40; k++) {
                    const bool copied = k >= cases[c][1] && k < cases[c][1] + cases[c][2];
                    const float want = copied ? from[place_in(&src, k - cases[c][1] + cases[c][0], pixel)]
                                              : before[place_in(&dst, k, pixel)];

                    assert_true(to[place_in(&dst, k, pixel)] == want);
                }
                for (k = 40; k < onednn_round_up(40, dst.block); k++)
                    assert_true(to[place_in(&dst, k, pixel)] == 0.0f);
            }
            free(from), free(to), free(before);
        }
}

static void test_resize_nearest(void **state)
{
    const struct onednn_image src = {ONEDNN_BF16, 20, 2, 3, 16}, dst = {ONEDNN_BF16, 20, 4, 9, 16};
    uint16_t *from = malloc(onednn_image_bytes(&src)), *to = malloc(onednn_image_bytes(&dst));
    int64_t c, y, x;

    (void)state;
    for (c = 0; c < 32 * 6; c++)
        from[c] = (uint16_t)c;
    kernel_resize_nearest(&src, from, &dst, to);
    for (c = 0; c < 20; c++)
        for (y = 0; y < 4; y++)
            for (x = 0; x < 9; x++)
                assert_int_equal(to[place_in(&dst, c, y * 9 + x)], from[place_in(&src, c, y / 2 * 3 + x / 3)]);
    free(from), free(to);
}

static void test_exponential_to_two_units(void **state)
{
    float x;

    (void)state;
    for (x = -87.0f; x < 88.0f; x += 0.00731f) {
        const double want = exp((double)x);

        assert_true(fabs((double)exponential(x) - want) <= want * 2.4e-7);
    }
    assert_true(sigmoid(-1000.0f) >= 0.0f && sigmoid(-1000.0f) < 1e-37f);
    assert_true(sigmoid(1000.0f) == 1.0f);
}

static void test_bf16_rounds_to_even(void **state)
{
    (void)state;
    assert_int_equal(to_bf16(1.0f), 0x3f80);
    assert_int_equal(to_bf16(0x1.01p0f), 0x3f80);     /* half a unit above an even one */
    assert_int_equal(to_bf16(0x1.03p0f), 0x3f82);     /* half a unit above an odd one */
    assert_int_equal(to_bf16(0x1.010002p0f), 0x3f81); /* a little more than half */
    assert_int_equal(to_bf16(INFINITY), 0x7f80);
    assert_true(isnan(from_bf16(to_bf16(NAN))));
    assert_true(from_bf16(0xc020) == -2.5f);
}

static void test_arithmetic_and_functions_in_both_types(void **state)
{
    enum { COUNT = 1000 };
    float *a = random_floats(COUNT), *b = random_floats(COUNT), *y = random_floats(COUNT);
    uint16_t a16[COUNT], b16[COUNT], y16[COUNT];
    int i;

    (void)state;
    for (i = 0; i < COUNT; i++) {
        a[i] = a[i] * 20.0f - 10.0f;
        a16[i] = to_bf16(a[i]), b16[i] = to_bf16(b[i]);
    }
    kernel_add_or_multiply(GRAPH_ADD, ONEDNN_F32, COUNT, a, b, y);
    kernel_add_or_multiply(GRAPH_ADD, ONEDNN_BF16, COUNT, a16, b16, y16);
    for (i = 0; i < COUNT; i++) {
        assert_true(y[i] == a[i] + b[i]);
        assert_int_equal(y16[i], to_bf16(from_bf16(a16[i]) + from_bf16(b16[i])));
    }
    kernel_add_or_multiply(GRAPH_MUL, ONEDNN_F32, COUNT, a, b, y);
    kernel_add_or_multiply(GRAPH_MUL, ONEDNN_BF16, COUNT, a16, b16, y16);
    for (i = 0; i < COUNT; i++) {
        assert_true(y[i] == a[i] * b[i]);
        assert_int_equal(y16[i], to_bf16(from_bf16(a16[i]) * from_bf16(b16[i])));
    }
    kernel_unary(GRAPH_SILU, ONEDNN_F32, COUNT, a, y);
    for (i = 0; i < COUNT; i++)
        assert_true(fabs((double)y[i] - (double)a[i] / (1.0 + exp(-(double)a[i]))) < 2e-6);
    kernel_unary(GRAPH_SIGMOID, ONEDNN_BF16, COUNT, a16, y16);
    for (i = 0; i < COUNT; i++)
        assert_true(fabs((double)from_bf16(y16[i]) - 1.0 / (1.0 + exp(-(double)from_bf16(a16[i])))) < 2.1e-3);
    kernel_unary(GRAPH_RELU, ONEDNN_F32, COUNT, a, y);
    for (i = 0; i < COUNT; i++)
        assert_true(y[i] == fmaxf(a[i], 0.0f));
    free(a), free(b), free(y);
}

static void test_softmax(void **state)
{
    static const int64_t shapes[][3] = {{3, 50, 1}, {2, 16, 300}, {1, 1, 7}, {1, 5, 1}};
    int64_t o, k, i;
    size_t s;

    (void)state;
    for (s = 0; s < 4; s++) {
        const int64_t outer = shapes[s][0], n = shapes[s][1], inner = shapes[s][2];
        float *x = random_floats(outer * n * inner), *y = random_floats(outer * n * inner);

        for (i = 0; i < outer * n * inner; i++)
            x[i] = x[i] * 200.0f - 100.0f;
        kernel_softmax(outer, n, inner, x, y);
        for (o = 0; o < outer; o++)
            for (i = 0; i < inner; i++) {
                const float *column = x + o * n * inner + i;
                double largest = -1e9, sum = 0.0;

                for (k = 0; k < n; k++)
                    largest = fmax(largest, (double)column[k * inner]);
                for (k = 0; k < n; k++)
                    sum += exp((double)column[k * inner] - largest);
                for (k = 0; k < n; k++)
                    assert_true(fabs((double)y[(o * n + k) * inner + i] -
                                     exp((double)column[k * inner] - largest) / sum) < 1e-6);
            }
        free(x), free(y);
    }
}

static void test_mix_and_dense(void **state)
{
    float *x = random_floats(2 * 16 * 50), *w = random_floats(20 * 50), *y = random_floats(2 * 50);
    int64_t o, i, k;

    (void)state;
    kernel_mix(2, 16, 50, x, w, 0.5f, y);
    for (o = 0; o < 2; o++)
        for (i = 0; i < 50; i++) {
            double sum = 0.5;

            for (k = 0; k < 16; k++)
                sum += (double)w[k] * (double)x[(o * 16 + k) * 50 + i];
            assert_true(fabs((double)y[o * 50 + i] - sum) < 1e-5);
        }
    kernel_dense(2, 50, 20, x, w, x, y);
    for (o = 0; o < 2; o++)
        for (i = 0; i < 20; i++) {
            double sum = (double)x[i];

            for (k = 0; k < 50; k++)
                sum += (double)w[i * 50 + k] * (double)x[o * 50 + k];
            assert_true(fabs((double)y[o * 20 + i] - sum) < 1e-5);
        }
    free(x), free(w), free(y);
}

static void test_transpose(void **state)
{
    static const int64_t shape[4] = {3, 17, 5, 40}; /* of x */
    static const int permutations[][4] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 1, 3, 2}, {3, 2, 1, 0}, {1, 0, 3, 2},
                                          {0, 2, 3, 1}, {0, 3, 1, 2}, {2, 3, 0, 1}, {1, 2, 3, 0}};
    const int64_t strides[4] = {17 * 5 * 40, 5 * 40, 40, 1};
    float *x = random_floats(3 * 17 * 5 * 40), *y = random_floats(3 * 17 * 5 * 40);
    size_t p;

    (void)state;
    for (p = 0; p < sizeof(permutations) / sizeof(permutations[0]); p++) {
        const int *perm = permutations[p];
        const int64_t to[4] = {shape[perm[0]], shape[perm[1]], shape[perm[2]], shape[perm[3]]};
        int64_t index[4] = {0}, at = 0;

        kernel_transpose(4, to, perm, 4, x, y);
        do {
            assert_true(y[at++] == x[index[0] * strides[perm[0]] + index[1] * strides[perm[1]] +
                                     index[2] * strides[perm[2]] + index[3] * strides[perm[3]]]);
        } while (step_index(4, to, index));
    }
    free(x), free(y);
}

static void test_binary_stretches(void **state)
{
    static const struct {
        int rank;
        int64_t a[3], b[3];
    } cases[] = {{3, {2, 3, 20}, {2, 3, 20}}, {3, {2, 3, 20}, {1, 3, 1}}, {3, {1, 1, 20}, {2, 3, 20}},
                 {3, {2, 1, 20}, {1, 3, 1}},  {2, {4, 1}, {1, 1}},        {1, {20}, {1}}};
    static const enum graph_op ops[] = {GRAPH_ADD, GRAPH_SUB, GRAPH_MUL, GRAPH_DIV};
    float *a = random_floats(120), *b = random_floats(120), *y = random_floats(120);
    size_t c, o;
    int d;

    (void)state;
    for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
        for (o = 0; o < 4; o++) {
            struct graph_value va = {.rank = cases[c].rank}, vb = va, vy = va;
            int64_t as[GRAPH_MAX_RANK], bs[GRAPH_MAX_RANK], index[3] = {0}, at = 0;

            for (d = 0; d < cases[c].rank; d++) {
                va.shape[d] = cases[c].a[d], vb.shape[d] = cases[c].b[d];
                vy.shape[d] = va.shape[d] > vb.shape[d] ? va.shape[d] : vb.shape[d];
            }
            broadcast_strides(&va, &vy, as);
            broadcast_strides(&vb, &vy, bs);
            kernel_binary(ops[o], vy.rank, vy.shape, as, a, bs, b, y);
            do {
                float l = a[0], r = b[0], want;
                int64_t a_at = 0, b_at = 0;

                for (d = 0; d < vy.rank; d++) {
                    a_at = a_at * va.shape[d] + (va.shape[d] == 1 ? 0 : index[d]);
                    b_at = b_at * vb.shape[d] + (vb.shape[d] == 1 ? 0 : index[d]);
                }
                l = a[a_at], r = b[b_at];
                want = o == 0 ? l + r : o == 1 ? l - r : o == 2 ? l * r : l / r;
                assert_true(y[at++] == want);
            } while (step_index(vy.rank, vy.shape, index));
        }
    free(a), free(b), free(y);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_in_fp32),
        cmocka_unit_test(test_models_in_bf16),
        cmocka_unit_test(test_models_with_channels_together),
        cmocka_unit_test(test_plans_share_weights),
        cmocka_unit_test(test_transposed_convolutions),
        cmocka_unit_test(test_half_of_a_split_in_a_concatenation),
        cmocka_unit_test(test_a_concatenation_for_plain_nodes),
        cmocka_unit_test(test_rows_are_written_where_they_belong),
        cmocka_unit_test(test_pictures_that_a_reshape_made),
        cmocka_unit_test(test_a_dense_layer_whose_bias_is_a_column),
        cmocka_unit_test(test_packed_weights_outlive_what_they_were_made_from),
        cmocka_unit_test(test_memory_is_shared_by_what_does_not_live_together),
        cmocka_unit_test(test_what_takes_too_much_is_refused),
        cmocka_unit_test(test_copy_channels),
        cmocka_unit_test(test_resize_nearest),
        cmocka_unit_test(test_exponential_to_two_units),
        cmocka_unit_test(test_bf16_rounds_to_even),
        cmocka_unit_test(test_arithmetic_and_functions_in_both_types),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_mix_and_dense),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_binary_stretches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
