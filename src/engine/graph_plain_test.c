/*
 * graph_plain_test.c - what is no number is not lost among numbers: a broken network must be seen to be broken.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What operators make of numbers is in graph_test.c.
 */
#include "engine/graph_plain.h"
#include "engine/test_graphs.h"

#include <math.h>

enum { COUNT = 5 };

static const int64_t shape[4] = {1, 1, 1, COUNT}, one[4] = {1, 1, 1, 1};

/* The results, count of them, of a node with COUNT numbers, of which the one at place is NaN. one_at: the operand that
 * is 1 beside them; GRAPH_NONE: there is none. */
static void run(struct graph_node node, int one_at, int64_t count, int place, float *results)
{
    const int64_t results_shape[4] = {1, 1, 1, count};
    struct graph *graph = start_graph(4, shape);
    float numbers[COUNT] = {3, -1, 2, 0, 4};
    const void *inputs[] = {numbers};
    void *outputs[] = {results};
    int values[2] = {graph->inputs[0], graph->inputs[0]};
    struct serin_error error;

    numbers[place] = NAN;
    if (one_at != GRAPH_NONE)
        values[one_at] = random_constant(graph, 4, one, 1.0f, 0.0f);
    graph->outputs[0] = add_node(graph, node, one_at == GRAPH_NONE ? 1 : 2, values, 4, results_shape);
    graph->output_count = 1;
    must(graph_index(graph, &error), &error);
    must(graph_plain_run(graph, 1 << 20, inputs, outputs, &error), &error);
    graph_free(graph);
}

static void test_what_is_no_number(void **state)
{
    static const struct graph_window window = {{1, COUNT}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    float results[COUNT];
    int place, one_at;

    (void)state;
    for (place = 0; place < COUNT; place++) {
        run((struct graph_node){.op = GRAPH_REDUCE_MAX, .reduce = {8, true}}, GRAPH_NONE, 1, place, results);
        assert_true(isnan(results[0]));
        run((struct graph_node){.op = GRAPH_REDUCE_MIN, .reduce = {8, true}}, GRAPH_NONE, 1, place, results);
        assert_true(isnan(results[0]));
        run((struct graph_node){.op = GRAPH_MAX_POOL, .pool = {.window = window}}, GRAPH_NONE, 1, place, results);
        assert_true(isnan(results[0]));
        run((struct graph_node){.op = GRAPH_SOFTMAX, .softmax = {3, 4}}, GRAPH_NONE, COUNT, place, results);
        assert_true(isnan(results[0]) && isnan(results[4]));
        for (one_at = 0; one_at < 2; one_at++) {
            run((struct graph_node){.op = GRAPH_MAX}, one_at, COUNT, place, results);
            assert_true(isnan(results[place]) && (place == 4 || results[4] == 4.0f));
            run((struct graph_node){.op = GRAPH_MIN}, one_at, COUNT, place, results);
            assert_true(isnan(results[place]) && (place == 4 || results[4] == 1.0f));
        }
    }
}

/* The greatest of all, and so among the first. */
static void test_what_is_no_number_in_an_order(void **state)
{
    const int64_t best_shape[4] = {1, 1, 1, 2};
    int place;

    (void)state;
    for (place = 0; place < COUNT; place++) {
        struct graph *graph = start_graph(4, shape);
        float numbers[COUNT] = {3, -1, 2, 0, 4}, best[2];
        int64_t places[2] = {-1, -1};
        int outputs[2] = {graph_add_value(graph, GRAPH_F32, 4, best_shape),
                          graph_add_value(graph, GRAPH_I64, 4, best_shape)};
        struct graph_node node = {.op = GRAPH_TOP_K,
                                  .name = "",
                                  .inputs = graph->inputs,
                                  .outputs = outputs,
                                  .input_count = 1,
                                  .output_count = 2,
                                  .axis = {.axis = 3, .largest = true}};
        struct serin_error error;

        numbers[place] = NAN;
        must(graph_add_node(graph, &node, &error), &error);
        graph->outputs[0] = outputs[0], graph->outputs[1] = outputs[1];
        graph->output_count = 2;
        must(graph_index(graph, &error), &error);
        must(graph_plain_run(graph, 1 << 20, (const void *[]){numbers}, (void *[]){best, places}, &error), &error);
        assert_true(isnan(best[0]) && places[0] == place);
        assert_true(best[1] == (place == 4 ? 3.0f : 4.0f) && places[1] == (place == 4 ? 0 : 4));
        graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_what_is_no_number_in_an_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
