/*
 * plan_int8_test.c - quantized networks through plans, beside the floats that the file describes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each graph is computed three times: as it is written (Q and DQ between operators of floats), rewritten in plain C,
 * and as a plan. A number that lies between two integers may fall to either side, which is one unit further on.
 */
#include "engine/plan.c"
#include "engine/plan_kernels_int8.c"

#define LEAST_NUMBER 0.0f
#include "engine/test_graphs.h"

#include <math.h>

/* ---- graphs by hand ---- */

static int scalar(struct graph *graph, enum graph_type type, float number)
{
    void *bytes;
    int value = graph_add_constant(graph, type, 0, NULL, &bytes);

    if (type == GRAPH_F32)
        *(float *)bytes = number;
    else
        *(int8_t *)bytes = (int8_t)(int32_t)number;
    return value;
}

/* Q and DQ of value, which lies between -2 and 4 or so. */
static int through_integers(struct graph *graph, int value, enum graph_type type, float scale, int zero)
{
    int inputs[3] = {value, scalar(graph, GRAPH_F32, scale), scalar(graph, type, (float)zero)};
    int64_t shape[GRAPH_MAX_RANK];

    memcpy(shape, graph->values[value].shape, sizeof(shape));
    inputs[0] = add_node(graph, (struct graph_node){.op = GRAPH_QUANTIZE_LINEAR}, 3, inputs, 4, shape);
    return add_node(graph, (struct graph_node){.op = GRAPH_DEQUANTIZE_LINEAR}, 3, inputs, 4, shape);
}

struct layer {
    int64_t out, groups;
    int32_t kernel, stride;
    bool per_channel, has_bias, has_floats; /* the last: weights that are no integers */
    enum graph_op activation;
};

static int weights(struct graph *graph, const struct layer *layer, const int64_t *shape)
{
    const int64_t scales = layer->per_channel ? layer->out : 1;
    void *bytes, *scale;
    int inputs[2];
    uint64_t i;

    if (layer->has_floats)
        return random_constant(graph, 4, shape, -0.25f, 0.5f);
    inputs[0] = graph_add_constant(graph, GRAPH_I8, 4, shape, &bytes);
    for (i = 0; i < graph->values[inputs[0]].element_count; i++)
        ((int8_t *)bytes)[i] = (int8_t)(any_number() * 255.0f - 127.5f);
    inputs[1] = graph_add_constant(graph, GRAPH_F32, 1, &scales, &scale);
    for (i = 0; i < (uint64_t)scales; i++)
        ((float *)scale)[i] = (0.2f + any_number()) * 0.5f / 127.0f / sqrtf((float)(shape[1] * shape[2] * shape[3]));
    return add_node(graph, (struct graph_node){.op = GRAPH_DEQUANTIZE_LINEAR}, 2, inputs, 4, shape);
}

static int layer(struct graph *graph, int x, struct layer layer)
{
    const int64_t *from = graph->values[x].shape;
    const int64_t shape[4] = {layer.out, from[1] / layer.groups, layer.kernel, layer.kernel};
    const int64_t to[4] = {from[0], layer.out, (from[2] - 1) / layer.stride + 1, (from[3] - 1) / layer.stride + 1};
    struct graph_node node = {.op = GRAPH_CONV};
    int inputs[3], y;

    inputs[0] = x;
    inputs[1] = weights(graph, &layer, shape);
    if (layer.has_bias)
        inputs[2] = random_constant(graph, 1, &layer.out, -0.5f, 1.0f);
    node.conv.groups = layer.groups;
    node.conv.window = (struct graph_window){{layer.kernel, layer.kernel},
                                             {layer.stride, layer.stride},
                                             {1, 1},
                                             {layer.kernel / 2, layer.kernel / 2},
                                             {layer.kernel / 2, layer.kernel / 2}};
    y = add_node(graph, node, layer.has_bias ? 3 : 2, inputs, 4, to);
    if (layer.activation == GRAPH_SILU) { /* as files have it */
        struct graph_node gate = {.op = GRAPH_SIGMOID, .unary = {.op = GRAPH_SIGMOID}};

        inputs[0] = y;
        inputs[1] = add_node(graph, gate, 1, &y, 4, to);
        y = add_node(graph, (struct graph_node){.op = GRAPH_MUL}, 2, inputs, 4, to);
    } else if (layer.activation != GRAPH_REMOVED) {
        struct graph_node unary = {.op = layer.activation, .unary = {.op = layer.activation}};

        y = add_node(graph, unary, 1, &y, 4, to);
    }
    return y;
}

/* ---- the three ways ---- */

struct counted {
    int integers, floats, tables, to_integers, to_numbers, plain, adds; /* steps; convolutions of both kinds */
};

static struct counted count_steps(const struct plan *plan)
{
    struct counted counted = {0};
    int i;

    for (i = 0; i < plan->step_count; i++) {
        const struct plan_step *step = &plan->steps[i];
        const struct graph_node *node = step->node == GRAPH_NONE ? NULL : &plan->graph->nodes[step->node];

        if ((step->kind == STEP_PRIMITIVE || step->kind == STEP_KERNEL) && node && node->op == GRAPH_CONV)
            counted.integers += node->conv.quantized != NULL, counted.floats += !node->conv.quantized;
        counted.tables += step->kind == STEP_LOOKUP;
        counted.to_integers += step->kind == STEP_QUANTIZE;
        counted.to_numbers += step->kind == STEP_DEQUANTIZE;
        counted.plain += step->kind == STEP_PLAIN;
        counted.adds += step->kind == STEP_ADD_OR_MULTIPLY || step->kind == STEP_BINARY;
    }
    return counted;
}

static void compare(const char *what, const float *got, const float *want, uint64_t count, float unit)
{
    uint64_t i, off = 0;

    for (i = 0; i < count; i++) {
        const float difference = fabsf(got[i] - want[i]);

        if (!(difference <= 1.01f * unit))
            fail_msg("%s: number %llu is %g and should be %g; a unit is %g", what, (unsigned long long)i,
                     (double)got[i], (double)want[i], (double)unit);
        off += difference > 0.1f * unit;
    }
    if (off > count / 50 && unit < 0.05f) /* not of bf16 */
        fail_msg("%s: %llu numbers of %llu are off", what, (unsigned long long)off, (unsigned long long)count);
}

/* Takes graph over. unit: how much one integer's difference may make in the output; bytes: its input is of such. */
static struct counted check_input(struct graph *graph, int output, enum plan_precision precision, bool bytes,
                                  float unit)
{
    struct plan_weights *weights_of_plan = plan_weights_new();
    struct plan *plan = calloc(1, sizeof(*plan));
    const struct graph_value *x = &graph->values[graph->inputs[0]], *y = &graph->values[output];
    const uint64_t count = y->element_count, in_count = x->element_count;
    float *in = malloc(in_count * sizeof(float)), *want = malloc(count * sizeof(float)),
          *plain = malloc(count * sizeof(float));
    const void *inputs[1] = {in};
    void *outputs[1] = {want};
    struct serin_error error;
    struct plan_slot *slot;
    struct counted counted;
    uint64_t i;

    assert_true(plan && in && want && plain);
    for (i = 0; i < in_count; i++)
        in[i] = bytes ? (float)(int)(any_number() * 256.0f) / 255.0f : any_number() * 6.0f - 2.0f;
    graph->outputs[0] = output, graph->output_count = 1;
    must(graph_index(graph, &error), &error);
    must(graph_plain_run(graph, (uint64_t)1 << 26, inputs, outputs, &error), &error);
    must(graph_fuse(graph, onednn_knows, &error), &error);
    outputs[0] = plain;
    must(graph_plain_run(graph, (uint64_t)1 << 26, inputs, outputs, &error), &error);
    compare("rewritten", plain, want, count, unit);
    arena_init(&plan->arena, (size_t)1 << 20);
    plan->graph = graph;
    plan->options = (struct plan_options){.precision = precision, .threads = 1, .bytes = bytes};
    must(plan_build(plan, weights_of_plan, &error), &error);
    must(give_offsets(plan, &error), &error);
    must(plan_slot_new(plan, &slot, &error), &error);
    memset(slot->memory, 0xff, plan->slot_bytes);
    if (bytes)
        for (i = 0; i < in_count; i++)
            ((uint8_t *)plan_slot_input(slot, 0))[i] = (uint8_t)lrintf(in[i] * 255.0f);
    else
        memcpy(plan_slot_input(slot, 0), in, in_count * sizeof(float));
    must(plan_run(slot, NULL, &error), &error);
    compare("planned", plan_slot_output(slot, 0), want, count, unit);
    counted = count_steps(plan);
    free(in), free(want), free(plain);
    plan_slot_free(slot);
    plan_free(plan);
    plan_weights_free(weights_of_plan);
    return counted;
}

static struct counted check(struct graph *graph, int output, enum plan_precision precision, float unit)
{
    return check_input(graph, output, precision, false, unit);
}

/* One convolution, whose own activation and quantization is all that may differ. */
static void test_convolutions_of_integers(void **state)
{
    static const struct {
        int64_t in;
        struct layer layer;
        enum graph_type from, to; /* F32: the result stays a number */
        int from_zero;
    } cases[] = {
        {16, {32, 1, 3, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 85},
        {16, {32, 1, 1, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 0},
        {16, {32, 1, 3, 2, true, false, false, GRAPH_RELU}, GRAPH_U8, GRAPH_I8, 85},
        {16, {32, 1, 3, 1, false, true, false, GRAPH_REMOVED}, GRAPH_I8, GRAPH_U8, -40},
        {16, {16, 1, 3, 1, true, true, false, GRAPH_SILU}, GRAPH_I8, GRAPH_I8, 0},
        {32, {32, 32, 3, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 85}, /* depthwise */
        {64, {64, 4, 3, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 85},
        {3, {16, 1, 3, 2, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 85}, /* a network's first */
        {20, {10, 1, 3, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_U8, 85},
        {20, {10, 1, 1, 1, true, true, false, GRAPH_SILU}, GRAPH_U8, GRAPH_F32, 85},
        {16, {32, 1, 3, 1, true, true, false, GRAPH_REMOVED}, GRAPH_I8, GRAPH_F32, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int64_t shape[4] = {2, cases[i].in, 9, 7};
        const float unit = 4.0f / 255.0f;
        struct graph *graph = start_graph(4, shape);
        struct counted counted;
        int y;

        y = through_integers(graph, graph->inputs[0], cases[i].from, 6.0f / 255.0f, cases[i].from_zero);
        y = layer(graph, y, cases[i].layer);
        if (cases[i].to != GRAPH_F32)
            y = through_integers(graph, y, cases[i].to, unit, cases[i].to == GRAPH_U8 ? 100 : -10);
        /* Winograd rounds to 16 bits on its way */
        counted = check(graph, y, PLAN_F32,
                        cases[i].to != GRAPH_F32     ? unit
                        : cases[i].layer.kernel == 3 ? 5e-3f
                                                     : 1e-4f);
        if (counted.integers != 1 || counted.plain || counted.to_integers != 1)
            fail_msg("case %zu: %d convolutions of integers, %d plain steps, %d quantizations", i, counted.integers,
                     counted.plain, counted.to_integers);
        assert_int_equal(counted.to_numbers, cases[i].to != GRAPH_F32);
    }
}

static int move(struct graph *graph, struct graph_node node, int x, int64_t channels, int64_t height, int64_t width)
{
    const int64_t shape[4] = {graph->values[x].shape[0], channels, height, width};

    return add_node(graph, node, 1, &x, 4, shape);
}

/* What a YOLO has between its convolutions: a split, a residual, a concatenation, a pool and an enlargement. All of it
 * is of one scale, so that nothing but the end becomes numbers again. */
static int block_of_network(struct graph *graph, bool odd)
{
    const struct layer first = {32, 1, 3, 1, true, true, false, GRAPH_SILU};
    const int64_t half = odd ? 12 : 16, height = 8, width = 6;
    struct graph_node slice = {.op = GRAPH_SLICE}, pool = {.op = GRAPH_MAX_POOL}, resize = {.op = GRAPH_RESIZE};
    struct graph_node concat = {.op = GRAPH_CONCAT};
    const int64_t whole[4] = {2, 32 + half, height, width}, part[4] = {2, half, height, width};
    struct layer inner = {half, 1, 3, 1, true, true, false, GRAPH_SILU};
    int x, parts[2], pair[2], sum;

    x = through_integers(graph, graph->inputs[0], GRAPH_U8, 6.0f / 255.0f, 85);
    x = through_integers(graph, layer(graph, x, first), GRAPH_U8, 5.0f / 255.0f, 14);
    slice.slice.begin[1] = 32 - half;
    slice.slice.step[0] = slice.slice.step[1] = slice.slice.step[2] = slice.slice.step[3] = 1;
    pair[1] = move(graph, slice, x, half, height, width);
    pair[0] = layer(graph, pair[1], inner);
    sum = add_node(graph, (struct graph_node){.op = GRAPH_ADD}, 2, pair, 4, part);
    sum = through_integers(graph, sum, GRAPH_U8, 5.0f / 255.0f, 14);
    concat.axis.axis = 1;
    parts[0] = x, parts[1] = sum;
    x = add_node(graph, concat, 2, parts, 4, whole);
    pool.pool.window = (struct graph_window){{5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}};
    x = move(graph, pool, x, whole[1], height, width);
    resize.resize.mode = GRAPH_RESIZE_NEAREST;
    resize.resize.coordinate = GRAPH_RESIZE_ASYMMETRIC;
    resize.resize.nearest = GRAPH_NEAREST_FLOOR;
    resize.resize.scales[0] = resize.resize.scales[1] = 1;
    resize.resize.scales[2] = resize.resize.scales[3] = 2;
    x = move(graph, resize, x, whole[1], 2 * height, 2 * width);
    x = through_integers(graph, x, GRAPH_U8, 5.0f / 255.0f, 14); /* once more: exporters do */
    return layer(graph, x, (struct layer){24, 1, 1, 1, true, true, false, GRAPH_SILU});
}

static void test_everything_between_two_convolutions_stays_integers(void **state)
{
    const int64_t shape[4] = {2, 16, 8, 6};
    int odd;

    (void)state;
    for (odd = 0; odd < 2; odd++) {
        struct graph *graph = start_graph(4, shape);
        struct counted counted = check(graph, block_of_network(graph, odd), PLAN_F32, 0.02f);

        assert_int_equal(counted.integers, 3);
        assert_int_equal(counted.to_integers, 1);
        assert_int_equal(counted.to_numbers, 0);
        assert_int_equal(counted.plain, 0);
        assert_int_equal(counted.adds, 0);
    }
}

/* A convolution of floats behind one of integers, and in front of it, in either precision. */
static void test_floats_on_both_sides(void **state)
{
    const int64_t shape[4] = {1, 3, 12, 10};
    int bf16;

    (void)state;
    for (bf16 = 0; bf16 < (onednn_has_bf16() ? 2 : 1); bf16++) {
        struct graph *graph = start_graph(4, shape);
        struct counted counted;
        int x = layer(graph, graph->inputs[0], (struct layer){16, 1, 3, 2, true, true, true, GRAPH_SILU});

        x = through_integers(graph, x, GRAPH_U8, 4.0f / 255.0f, 20);
        x = layer(graph, x, (struct layer){16, 1, 3, 1, true, true, false, GRAPH_SILU});
        x = layer(graph, x, (struct layer){20, 1, 1, 1, true, true, true, GRAPH_REMOVED});
        counted = check(graph, x, bf16 ? PLAN_BF16 : PLAN_F32, bf16 ? 0.1f : 0.01f);
        assert_int_equal(counted.integers, 1);
        assert_int_equal(counted.floats, 2);
        assert_int_equal(counted.plain, 0);
    }
}

static bool multiplies_16_bits(void)
{
#if defined(__x86_64__)
    return onednn_block() == 16 && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

/* The first convolution, of a picture's bytes, writes the integers itself, unless somebody else wants its numbers. */
static void test_a_stem_writes_integers(void **state)
{
    const int64_t shape[4] = {2, 3, 12, 46}, half[4] = {2, 16, 6, 23};
    const float scale = 4.0f / 255.0f;
    int bf16, both, channels;

    (void)state;
    if (!multiplies_16_bits())
        skip();
    for (bf16 = 0; bf16 < (onednn_has_bf16() ? 2 : 1); bf16++)
        for (both = 0; both < 2; both++)
            for (channels = 16; channels <= 20; channels += 4) {
                const struct layer after = {16, 1, 3, 1, true, true, false, GRAPH_SILU};
                struct graph *graph = start_graph(4, shape);
                struct counted counted;
                int stem, pair[2], x;

                stem = layer(graph, graph->inputs[0], (struct layer){channels, 1, 3, 2, true, true, true, GRAPH_SILU});
                x = layer(graph, through_integers(graph, stem, GRAPH_U8, scale, 20), after);
                if (both) {
                    pair[0] = x;
                    pair[1] = layer(graph, stem, (struct layer){16, 1, 1, 1, true, true, true, GRAPH_REMOVED});
                    x = add_node(graph, (struct graph_node){.op = GRAPH_ADD}, 2, pair, 4, half);
                }
                counted = check_input(graph, x, bf16 ? PLAN_BF16 : PLAN_F32, true, bf16 ? 0.1f : 0.02f);
                assert_int_equal(counted.integers, 1);
                assert_int_equal(counted.plain, 0);
                assert_int_equal(counted.to_integers, both || channels == 20);
            }
}

/* Pictures that lie in the memory of another shape become integers one by one. */
static void test_pictures_that_a_reshape_made(void **state)
{
    const int64_t shape[4] = {1, 16, 6, 6}, pictures[4] = {4, 4, 6, 6};
    struct graph *graph = start_graph(4, shape);
    int x = add_node(graph, (struct graph_node){.op = GRAPH_RESHAPE}, 1, graph->inputs, 4, pictures);

    (void)state;
    x = through_integers(graph, x, GRAPH_U8, 4.0f / 255.0f, 20);
    x = layer(graph, x, (struct layer){16, 1, 3, 1, true, true, false, GRAPH_REMOVED});
    assert_int_equal(check(graph, x, PLAN_F32, 0.01f).integers, 1);
}

/* As ONNX Runtime's quantizer writes it: the result is rounded before its activation, which is then a table. */
static void test_an_activation_between_integers_is_a_table(void **state)
{
    const int64_t shape[4] = {1, 16, 5, 5};
    static const enum graph_type types[] = {GRAPH_U8, GRAPH_I8};
    int k;

    (void)state;
    for (k = 0; k < 2; k++) {
        struct graph *graph = start_graph(4, shape);
        struct graph_node gate = {.op = GRAPH_SIGMOID, .unary = {.op = GRAPH_SIGMOID}};
        struct counted counted;
        int x, pair[2];

        x = through_integers(graph, graph->inputs[0], GRAPH_U8, 6.0f / 255.0f, 85);
        x = layer(graph, x, (struct layer){16, 1, 3, 1, true, true, false, GRAPH_REMOVED});
        x = through_integers(graph, x, types[k], 5.0f / 255.0f, k ? 1 : 120);
        pair[0] = x;
        pair[1] = move(graph, gate, x, 16, 5, 5);
        x = add_node(graph, (struct graph_node){.op = GRAPH_MUL}, 2, pair, 4, shape);
        x = through_integers(graph, x, types[1 - k], 3.0f / 255.0f, k ? 20 : -100);
        counted = check(graph, x, PLAN_F32, 8.0f / 255.0f); /* one of 5 / 255 before SiLU, and a half of 3 / 255 */
        assert_int_equal(counted.tables, 1);
        assert_int_equal(counted.integers, 1);
        assert_int_equal(counted.plain, 0);
    }
}

/* What does not fit runs in floats: a weight that is not symmetric, and parts of two scales. */
static void test_what_does_not_fit_stays_floats(void **state)
{
    const int64_t shape[4] = {1, 16, 5, 5}, both[4] = {1, 32, 5, 5};
    struct graph *graph = start_graph(4, shape);
    struct graph_node concat = {.op = GRAPH_CONCAT};
    struct counted counted;
    int parts[2], inputs[3], x, i;
    uint64_t n;

    (void)state;
    concat.axis.axis = 1;
    parts[0] = through_integers(graph, graph->inputs[0], GRAPH_U8, 6.0f / 255.0f, 85);
    parts[1] = through_integers(graph, graph->inputs[0], GRAPH_U8, 5.0f / 255.0f, 85);
    x = add_node(graph, concat, 2, parts, 4, both);
    x = layer(graph, x, (struct layer){16, 1, 3, 1, true, true, false, GRAPH_SILU});
    for (i = 0; i < graph->node_count; i++) /* the weights' DQ */
        if (graph->nodes[i].op == GRAPH_DEQUANTIZE_LINEAR && graph->nodes[i].input_count == 2) {
            void *bytes;
            const int64_t count = 16;

            memcpy(inputs, graph->nodes[i].inputs, 2 * sizeof(inputs[0]));
            inputs[2] = graph_add_constant(graph, GRAPH_I8, 1, &count, &bytes);
            for (n = 0; n < 16; n++)
                ((int8_t *)bytes)[n] = 3;
            assert_true(graph_set_inputs(graph, &graph->nodes[i], 3, inputs));
        }
    counted = check(graph, x, PLAN_F32, 0.01f);
    assert_int_equal(counted.integers, 0);
    assert_int_equal(counted.floats, 1);
}

/* ---- kernels ---- */

static void test_numbers_and_integers(void **state)
{
    static const int64_t blocks[] = {1, 8, 16, 0};
    float x[2 * 3 * 32], back[2 * 3 * 32];
    uint8_t q[2 * 3 * 20];
    size_t b;
    int64_t c, p;
    int is_signed;

    (void)state;
    for (b = 0; b < 4; b++)
        for (is_signed = 0; is_signed < 2; is_signed++) {
            const struct onednn_image image = {ONEDNN_F32, 20, 2, 3, blocks[b]};
            const struct onednn_image integers = {is_signed ? ONEDNN_S8 : ONEDNN_U8, 20, 2, 3, 0};
            const struct graph_scale scale = {0.25f, is_signed ? -7 : 9};
            const int64_t block = blocks[b] ? blocks[b] : 20;
            const double low = is_signed ? -128 : 0;

            for (p = 0; p < 2 * 3 * 32; p++)
                x[p] = (float)((int)(any_number() * 640.0f) - 320) / 8.0f; /* many halves of a unit */
            x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY;
            kernel_quantize(&image, x, &scale, &integers, q);
            kernel_dequantize(&integers, q, &scale, &image, back);
            for (c = 0; c < 20; c++)
                for (p = 0; p < 6; p++) {
                    const int64_t at = c / block * block * 6 + p * block + c % block;
                    const int got = is_signed ? (int8_t)q[p * 20 + c] : q[p * 20 + c];
                    double want = rint((double)x[at] / 0.25) + scale.zero;

                    want = want > low ? want < low + 255 ? want : low + 255 : low;
                    assert_int_equal(got, (int)want);
                    if (blocks[b] != 1)
                        assert_true(back[at] == (float)(got - scale.zero) * 0.25f);
                }
        }
}

static void test_lookup(void **state)
{
    uint8_t table[256], from[1000], to[1001];
    int64_t count;
    int i;

    (void)state;
    for (i = 0; i < 256; i++)
        table[i] = (uint8_t)(any_number() * 255.9f);
    for (i = 0; i < 1000; i++)
        from[i] = (uint8_t)(any_number() * 255.9f);
    for (count = 0; count <= 1000; count += 1 + count / 3) {
        memset(to, 7, sizeof(to));
        kernel_lookup(table, count, from, to);
        for (i = 0; i < count; i++)
            assert_int_equal(to[i], table[from[i]]);
        assert_int_equal(to[count], 7);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions_of_integers),
        cmocka_unit_test(test_everything_between_two_convolutions_stays_integers),
        cmocka_unit_test(test_floats_on_both_sides),
        cmocka_unit_test(test_a_stem_writes_integers),
        cmocka_unit_test(test_pictures_that_a_reshape_made),
        cmocka_unit_test(test_an_activation_between_integers_is_a_table),
        cmocka_unit_test(test_what_does_not_fit_stays_floats),
        cmocka_unit_test(test_numbers_and_integers),
        cmocka_unit_test(test_lookup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
