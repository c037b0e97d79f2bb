/*
 * graph_fuse_test.c - what is fused computes the same as before, and what somebody else needs is left alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/graph_fuse.c"

#include "engine/test_graphs.h"
#include "engine/graph_plain.h"

enum { CHANNELS = 8, SIDE = 6 };

static const int64_t picture[4] = {1, CHANNELS, SIDE, SIDE};

static bool all_known(const struct graph_unary *activation)
{
    return activation->op != GRAPH_ERF;
}

/* A graph whose value 0 is its input, a picture. */
static struct graph *start(void)
{
    random_state = 7;
    return start_graph(4, picture);
}

static int convolution(struct graph *graph, int x, enum graph_op op, int64_t groups, bool has_bias)
{
    const int64_t shape[4] = {CHANNELS, CHANNELS / groups, 3, 3}, count = CHANNELS;
    int inputs[3] = {x, random_constant(graph, 4, shape, 0.0f, 1.0f), GRAPH_NONE};
    struct graph_node node = {.op = op};

    if (has_bias)
        inputs[2] = random_constant(graph, 1, &count, 0.0f, 1.0f);
    node.conv.window = (struct graph_window){{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    node.conv.groups = groups;
    return add_node(graph, node, has_bias ? 3 : 2, inputs, 4, picture);
}

static int normalization(struct graph *graph, int x)
{
    const int64_t count = CHANNELS;
    int inputs[5] = {x, random_constant(graph, 1, &count, 0.0f, 1.0f), random_constant(graph, 1, &count, 0.0f, 1.0f),
                     random_constant(graph, 1, &count, 0.0f, 1.0f), random_constant(graph, 1, &count, 1.5f, 1.0f)};
    struct graph_node node = {.op = GRAPH_BATCH_NORMALIZATION};

    node.batch_normalization.epsilon = 1e-3f;
    return add_node(graph, node, 5, inputs, 4, picture);
}

static int unary(struct graph *graph, int x, enum graph_op op, float alpha, float beta)
{
    struct graph_node node = {.op = op};

    node.unary = (struct graph_unary){op, alpha, beta};
    return add_node(graph, node, 1, &x, 4, picture);
}

static int binary(struct graph *graph, enum graph_op op, int a, int b)
{
    int inputs[2] = {a, b};

    return add_node(graph, (struct graph_node){.op = op}, 2, inputs, 4, picture);
}

static int silu(struct graph *graph, int x)
{
    return binary(graph, GRAPH_MUL, x, unary(graph, x, GRAPH_SIGMOID, 0, 0));
}

static void finish(struct graph *graph, int output)
{
    struct serin_error error;

    graph->outputs[graph->output_count++] = output;
    must(graph_index(graph, &error), &error);
}

/* Fuses graph and checks that it still computes the same, in count nodes. Takes graph over; the result is how many
 * concatenations are left. */
static int check(struct graph *graph, int count)
{
    float x[CHANNELS * SIDE * SIDE], before[2][3 * CHANNELS * SIDE * SIDE], after[2][3 * CHANNELS * SIDE * SIDE];
    const void *inputs[] = {x};
    void *first[] = {before[0], before[1]}, *second[] = {after[0], after[1]};
    struct serin_error error;
    int i, k, concatenations = 0;

    for (i = 0; i < CHANNELS * SIDE * SIDE; i++)
        x[i] = any_number();
    must(graph_plain_run(graph, 1 << 24, inputs, first, &error), &error);
    must(graph_fuse(graph, all_known, &error), &error);
    must(graph_fuse_enlarged(graph, &error), &error);
    must(graph_plain_run(graph, 1 << 24, inputs, second, &error), &error);
    for (k = 0; k < graph->output_count; k++)
        for (i = 0; i < (int)graph->values[graph->outputs[k]].element_count; i++)
            assert_true(fabsf(before[k][i] - after[k][i]) <= 2e-5f * fmaxf(1.0f, fabsf(before[k][i])));
    assert_int_equal(graph->node_count, count);
    for (i = 0; i < graph->node_count; i++)
        concatenations += graph->nodes[i].op == GRAPH_CONCAT;
    graph_free(graph);
    return concatenations;
}

static void test_normalization_goes_into_weights(void **state)
{
    static const struct {
        enum graph_op op;
        int64_t groups;
        bool has_bias;
    } cases[] = {{GRAPH_CONV, 1, true},
                 {GRAPH_CONV, 1, false},
                 {GRAPH_CONV, 8, true},
                 {GRAPH_CONV_TRANSPOSE, 1, true},
                 {GRAPH_CONV_TRANSPOSE, 2, false}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct graph *graph = start();

        finish(graph, normalization(graph, convolution(graph, 0, cases[i].op, cases[i].groups, cases[i].has_bias)));
        check(graph, 1);
    }
}

static void test_activations_go_into_the_convolution(void **state)
{
    struct graph *graph = start();
    int x;

    (void)state;
    x = silu(graph, normalization(graph, convolution(graph, 0, GRAPH_CONV, 1, false)));
    x = unary(graph, convolution(graph, x, GRAPH_CONV, 1, true), GRAPH_LEAKY_RELU, 0.1f, 0);
    x = convolution(graph, x, GRAPH_CONV, 1, true);
    x = binary(graph, GRAPH_MUL, unary(graph, x, GRAPH_HARD_SIGMOID, 1.0f / 6.0f, 0.5f), x); /* hard swish */
    finish(graph, x);
    check(graph, 3);
}

/* x + f(f(x)), as bottlenecks write it, twice; the second begins with what the first has added up. */
static void test_residuals(void **state)
{
    struct graph *graph = start();
    int x = 0, i;

    (void)state;
    for (i = 0; i < 2; i++) {
        const int inner = silu(graph, convolution(graph, x, GRAPH_CONV, 1, true));

        x = binary(graph, GRAPH_ADD, x, silu(graph, convolution(graph, inner, GRAPH_CONV, 1, true)));
    }
    finish(graph, x);
    check(graph, 4);
}

/* The residual is made after the convolution that takes it: the convolution moves behind it. */
static void test_a_residual_that_comes_later(void **state)
{
    struct graph *graph = start();
    int one, other;

    (void)state;
    one = convolution(graph, 0, GRAPH_CONV, 1, true);
    other = unary(graph, 0, GRAPH_TANH, 0, 0);
    finish(graph, binary(graph, GRAPH_ADD, one, other));
    check(graph, 2);
}

/* Both sides of the addition are convolutions with an activation behind it: that one is of the sum. */
static void test_an_activation_of_a_sum_stays_behind(void **state)
{
    struct graph *graph = start();
    int one, other;

    (void)state;
    one = convolution(graph, 0, GRAPH_CONV, 1, true);
    other = convolution(graph, 0, GRAPH_CONV, 1, true);
    finish(graph, silu(graph, binary(graph, GRAPH_ADD, one, other)));
    check(graph, 3);
}

static void test_what_others_need_is_left_alone(void **state)
{
    struct graph *graph = start();
    int x;

    (void)state;
    x = convolution(graph, 0, GRAPH_CONV, 1, true);
    graph->outputs[graph->output_count++] = x;
    finish(graph, unary(graph, x, GRAPH_RELU, 0, 0));
    check(graph, 2);

    graph = start();
    x = unary(graph, convolution(graph, 0, GRAPH_CONV, 1, true), GRAPH_ERF, 0, 0); /* not known */
    finish(graph, x);
    check(graph, 2);

    graph = start();
    x = convolution(graph, 0, GRAPH_CONV, 1, true);
    finish(graph, binary(graph, GRAPH_ADD, x, x));
    check(graph, 2);
}

/* As the necks of YOLOs: what is small is enlarged and mixed with what is large, in either order. With more results
 * than the small one has channels twice over, or with another user of the concatenation, it stays as it is. */
static void test_what_is_enlarged_is_mixed_before(void **state)
{
    enum { PLAIN, OTHER_ORDER, MANY_RESULTS, TWO_USERS, CASES };
    const int64_t small[4] = {1, CHANNELS, SIDE / 2, SIDE / 2}, both[4] = {1, 2 * CHANNELS, SIDE, SIDE};
    int which;

    (void)state;
    for (which = 0; which < CASES; which++) {
        const int64_t out = which == MANY_RESULTS ? 3 * CHANNELS : CHANNELS, y_shape[4] = {1, out, SIDE, SIDE};
        const int64_t w_shape[4] = {CHANNELS, CHANNELS, 3, 3}, mix_shape[4] = {out, 2 * CHANNELS, 1, 1};
        struct graph *graph = start();
        struct graph_node conv = {.op = GRAPH_CONV}, resize = {.op = GRAPH_RESIZE}, concat = {.op = GRAPH_CONCAT};
        int inputs[3] = {0, random_constant(graph, 4, w_shape, 0.0f, 1.0f), GRAPH_NONE};
        int large = unary(graph, 0, GRAPH_TANH, 0, 0), parts[2], y;

        conv.conv.groups = 1;
        conv.conv.window = (struct graph_window){{3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}};
        y = add_node(graph, conv, 2, inputs, 4, small);
        resize.resize.mode = GRAPH_RESIZE_NEAREST;
        resize.resize.coordinate = GRAPH_RESIZE_ASYMMETRIC;
        resize.resize.nearest = GRAPH_NEAREST_FLOOR;
        resize.resize.scales[0] = resize.resize.scales[1] = 1.0f;
        resize.resize.scales[2] = resize.resize.scales[3] = 2.0f;
        parts[which == OTHER_ORDER] = add_node(graph, resize, 1, &y, 4, picture);
        parts[which != OTHER_ORDER] = large;
        concat.axis.axis = 1;
        inputs[0] = add_node(graph, concat, 2, parts, 4, both);
        inputs[1] = random_constant(graph, 4, mix_shape, 0.0f, 1.0f);
        inputs[2] = random_constant(graph, 1, &out, 0.0f, 1.0f);
        conv.conv.window = (struct graph_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
        y = add_node(graph, conv, 3, inputs, 4, y_shape);
        if (which == TWO_USERS)
            graph->outputs[graph->output_count++] = add_node(
                graph, (struct graph_node){.op = GRAPH_TANH, .unary = {.op = GRAPH_TANH}}, 1, &inputs[0], 4, both);
        finish(graph,
               add_node(graph, (struct graph_node){.op = GRAPH_RELU, .unary = {.op = GRAPH_RELU}}, 1, &y, 4, y_shape));
        assert_int_equal(check(graph, which == TWO_USERS ? 6 : 5), which == MANY_RESULTS || which == TWO_USERS);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalization_goes_into_weights),
        cmocka_unit_test(test_activations_go_into_the_convolution),
        cmocka_unit_test(test_residuals),
        cmocka_unit_test(test_a_residual_that_comes_later),
        cmocka_unit_test(test_an_activation_of_a_sum_stays_behind),
        cmocka_unit_test(test_what_others_need_is_left_alone),
        cmocka_unit_test(test_what_is_enlarged_is_mixed_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
