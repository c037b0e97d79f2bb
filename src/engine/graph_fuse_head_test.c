/*
 * graph_fuse_head_test.c - the heads of YOLOs, as exporters write them, compute the same when they are fused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/graph_fuse_head.c"

#include "engine/test_graphs.h"
#include "engine/graph_fuse.h"
#include "engine/graph_plain.h"

#include <math.h>

enum { BATCH = 2, LEVELS = 2, PARTS = 3, BINS = 5, CLASSES = 4, IN = 2, PIXELS = 5 * 4 + 2 * 2 };

static const int64_t sizes[LEVELS][2] = {{5, 4}, {2, 2}};

/* What may be different about a head. */
enum variant {
    AS_EXPORTED,
    PAIRED,            /* distances and scores of a level lie together first */
    LAST_SOFTMAX,      /* exchanged to the end, where the softmax is, and back */
    PAIRED_TWICE_USED, /* what lies together is an output, too */
    SCORES_TWICE_USED,
    WRONG_SOFTMAX,  /* over the parts */
    WRONG_EXCHANGE, /* with the pixels */
    WITH_ACTIVATION,
    VARIANTS
};

static bool all_known(const struct graph_unary *activation)
{
    (void)activation;
    return true;
}

static int weights(struct graph *graph, int64_t out, int64_t in)
{
    return random_constant(graph, 4, (const int64_t[]){out, in, 1, 1}, 0.0f, 2.0f);
}

static struct graph_node convolution(void)
{
    struct graph_node node = {.op = GRAPH_CONV};

    node.conv.groups = 1;
    node.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    return node;
}

static int reshape(struct graph *graph, int x, int rank, const int64_t *shape)
{
    return add_node(graph, (struct graph_node){.op = GRAPH_RESHAPE}, 1, &x, rank, shape);
}

static int transpose(struct graph *graph, int x, const int64_t *shape, int a, int b, int c, int d)
{
    struct graph_node node = {.op = GRAPH_TRANSPOSE};

    node.transpose.count = 4;
    memcpy(node.transpose.permutation, (const int[]){a, b, c, d}, 4 * sizeof(int));
    return add_node(graph, node, 1, &x, 4, shape);
}

static int softmax(struct graph *graph, int x, int over, const int64_t *shape)
{
    struct graph_node node = {.op = GRAPH_SOFTMAX};

    node.softmax.first = over, node.softmax.last = over + 1;
    return add_node(graph, node, 1, &x, 4, shape);
}

static int concat(struct graph *graph, int count, int *inputs, int axis, int rank, const int64_t *shape)
{
    return add_node(graph, (struct graph_node){.op = GRAPH_CONCAT, .axis.axis = axis}, count, inputs, rank, shape);
}

/* PARTS mean values of distributions over BINS: [n][PARTS * BINS][pixels] to [n][PARTS][pixels]. */
static int add_distances(struct graph *graph, int x, enum variant variant)
{
    const int64_t split[4] = {BATCH, PARTS, BINS, PIXELS}, exchanged[4] = {BATCH, BINS, PARTS, PIXELS};
    const int64_t last[4] = {BATCH, PIXELS, PARTS, BINS}, one[4] = {BATCH, 1, PARTS, PIXELS};
    const int64_t mixed[4] = {BATCH, BINS, PIXELS, PARTS}, one_mixed[4] = {BATCH, 1, PIXELS, PARTS};
    const int64_t y[3] = {BATCH, PARTS, PIXELS};
    int inputs[2];

    x = reshape(graph, x, 4, split);
    if (variant == LAST_SOFTMAX) {
        x = softmax(graph, transpose(graph, x, last, 0, 3, 1, 2), 3, last);
        inputs[0] = transpose(graph, x, exchanged, 0, 3, 2, 1);
    } else if (variant == WRONG_EXCHANGE) {
        inputs[0] = softmax(graph, transpose(graph, x, mixed, 0, 2, 3, 1), 1, mixed);
    } else {
        x = transpose(graph, x, exchanged, 0, 2, 1, 3);
        inputs[0] = softmax(graph, x, variant == WRONG_SOFTMAX ? 2 : 1, exchanged);
    }
    inputs[1] = weights(graph, 1, BINS);
    return reshape(graph, add_node(graph, convolution(), 2, inputs, 4, variant == WRONG_EXCHANGE ? one_mixed : one), 3,
                   y);
}

/* Distances and scores of all levels, from one input for each: y[n][PARTS + CLASSES][PIXELS]. */
static struct graph *make_head(enum variant variant)
{
    const bool paired = variant == PAIRED || variant == PAIRED_TWICE_USED;
    const int64_t channels[2] = {PARTS * BINS, CLASSES}, both = PARTS * BINS + CLASSES;
    const int64_t whole[3] = {BATCH, both, PIXELS}, y_shape[3] = {BATCH, PARTS + CLASSES, PIXELS};
    struct graph *graph = graph_new((uint64_t)1 << 20);
    int flat[2][LEVELS], joined[2], parts[2], level, k;
    struct serin_error error;

    assert_non_null(graph);
    graph->has_shapes = true;
    random_state = 7;
    for (level = 0; level < LEVELS; level++) {
        const int64_t height = sizes[level][0], width = sizes[level][1];
        const int64_t x_shape[4] = {BATCH, IN, height, width}, pair_shape[4] = {BATCH, both, height, width};
        const int64_t pair_flat[3] = {BATCH, both, height * width};
        int pair[2];

        graph->inputs[graph->input_count++] = graph_add_value(graph, GRAPH_F32, 4, x_shape);
        for (k = 0; k < 2; k++) {
            const int64_t shape[4] = {BATCH, channels[k], height, width};
            const int64_t flat_shape[3] = {BATCH, channels[k], height * width};
            int inputs[2] = {graph->inputs[level], weights(graph, channels[k], IN)};
            struct graph_node conv = convolution();

            if (variant == WITH_ACTIVATION)
                conv.conv.activation.op = GRAPH_RELU;
            pair[k] = add_node(graph, conv, 2, inputs, 4, shape);
            if (!paired)
                flat[k][level] = reshape(graph, pair[k], 3, flat_shape);
        }
        if (paired)
            flat[0][level] = reshape(graph, concat(graph, 2, pair, 1, 4, pair_shape), 3, pair_flat);
    }
    if (paired) {
        struct graph_node split = {.op = GRAPH_SPLIT, .name = "", .input_count = 1, .output_count = 2};
        int x = concat(graph, LEVELS, flat[0], 2, 3, whole);

        for (k = 0; k < 2; k++)
            joined[k] = graph_add_value(graph, GRAPH_F32, 3, (const int64_t[]){BATCH, channels[k], PIXELS});
        split.axis.axis = 1;
        split.inputs = &x, split.outputs = joined;
        must(graph_add_node(graph, &split, &error), &error);
        if (variant == PAIRED_TWICE_USED)
            graph->outputs[graph->output_count++] = x;
    } else {
        for (k = 0; k < 2; k++)
            joined[k] = concat(graph, LEVELS, flat[k], 2, 3, (const int64_t[]){BATCH, channels[k], PIXELS});
    }
    if (variant == SCORES_TWICE_USED)
        graph->outputs[graph->output_count++] = joined[1];
    parts[0] = add_distances(graph, joined[0], variant);
    parts[1] = add_node(graph, (struct graph_node){.op = GRAPH_SIGMOID, .unary = {.op = GRAPH_SIGMOID}}, 1, &joined[1],
                        3, graph->values[joined[1]].shape);
    graph->outputs[graph->output_count++] = concat(graph, 2, parts, 1, 3, y_shape);
    must(graph_index(graph, &error), &error);
    return graph;
}

static int count_of(const struct graph *graph, enum graph_op op)
{
    int i, count = 0;

    for (i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].op == op;
    return count;
}

static void run(const struct graph *graph, void *const *outputs)
{
    enum { ROOM = BATCH * IN * PIXELS };
    static float x[LEVELS * ROOM];
    const void *inputs[LEVELS] = {x, x + ROOM};
    struct serin_error error;
    size_t i;

    random_state = 9;
    for (i = 0; i < LEVELS * ROOM; i++)
        x[i] = 2.0f * any_number();
    must(graph_plain_run(graph, (uint64_t)1 << 24, inputs, outputs, &error), &error);
}

/* Same numbers, and what is left of the nodes. Nodes stand behind those whose results they take, or nothing runs. */
static void test_heads(void **state)
{
    enum { MOST = BATCH * (PARTS * BINS + CLASSES) * PIXELS };
    static float before[2][MOST], after[2][MOST];
    void *const first[] = {before[0], before[1]}, *const second[] = {after[0], after[1]};
    int variant, k, i;

    (void)state;
    for (variant = 0; variant < VARIANTS; variant++) {
        struct graph *graph = make_head((enum variant)variant);
        const bool wrong = variant == WRONG_SOFTMAX || variant == WRONG_EXCHANGE;
        const bool distances = !wrong && variant != PAIRED_TWICE_USED;
        const bool scores = variant != SCORES_TWICE_USED && variant != PAIRED_TWICE_USED && variant != WITH_ACTIVATION;
        struct serin_error error;

        run(graph, first);
        must(graph_fuse(graph, all_known, &error), &error);
        run(graph, second);
        for (k = 0; k < graph->output_count; k++)
            for (i = 0; i < (int)graph->values[graph->outputs[k]].element_count; i++)
                assert_true(fabsf(before[k][i] - after[k][i]) <= 1e-6f * fmaxf(1.0f, fabsf(before[k][i])));
        assert_int_equal(count_of(graph, GRAPH_SIGMOID), !scores);
        assert_int_equal(count_of(graph, GRAPH_SOFTMAX), wrong);
        assert_int_equal(count_of(graph, GRAPH_EXPECTATION), wrong ? 0 : distances ? LEVELS : 1);
        assert_int_equal(count_of(graph, GRAPH_SPLIT), variant == PAIRED_TWICE_USED);
        assert_int_equal(count_of(graph, GRAPH_CONCAT), variant == PAIRED_TWICE_USED ? 2 + LEVELS : 3);
        graph_free(graph);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_heads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
