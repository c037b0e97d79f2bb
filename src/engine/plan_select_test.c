/*
 * plan_select_test.c - what is selected is the same as without a selection, to the bit, and other rows are left out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Before each run with a selection the memory between input and output is filled with NaNs, so that whatever a selected
 * place is made of has been made by this run.
 */
#include "engine/plan.c"

#define LEAST_NUMBER 0.0f
#include "engine/test_graphs.h"
#include "engine/kernel_vectors.h"

#include <math.h>

enum { SIDE = 160, SCORES_FROM = 4 };

/* A network whose head has scores of its own. */
struct network {
    const char *file;
    int64_t pictures, classes;
    int steps; /* that can do with rows: of each level's boxes, and more, two convolutions of 3 x 3 and one of 1 x 1;
                  and distances */
};

static const struct network networks[] = {{"miniature/detect", 2, 3, 3 * 4},
                                          {"miniature/segment", 1, 3, 3 * 7},
                                          {"miniature/pose", 1, 1, 3 * 7},
                                          {"miniature/obb", 1, 2, 3 * 7}};

struct planned {
    struct graph *graph;
    struct plan_weights *weights;
    struct plan *plan;
    struct plan_slot *slot;
    const float *output;
    float *whole; /* the output without a selection */
    int64_t pictures, channels, places;
};

/* Pictures that differ: noise, brighter in some rows than in others. */
static void fill_input(const struct planned *made)
{
    float *values = plan_slot_input(made->slot, 0);
    int64_t i;

    random_state = 7;
    for (i = 0; i < made->pictures * 3 * SIDE * SIDE; i++) {
        const int64_t row = i / SIDE % SIDE, picture = i / (3 * SIDE * SIDE);

        values[i] = any_number() * (row / 40 == picture + 1 ? 1.0f : .3f);
    }
}

static struct planned make_plan(const struct network *network, enum plan_precision precision, enum plan_layout layout,
                                int threads)
{
    const struct tensor input = {.type = TENSOR_F32, .rank = 4, .shape = {network->pictures, 3, SIDE, SIDE}};
    const struct plan_options options = {.precision = precision, .threads = threads, .layout = layout};
    struct planned made = {
        .graph = read_model(network->file), .weights = plan_weights_new(), .pictures = network->pictures};
    const struct graph_value *output;
    struct serin_error error;
    size_t bytes;

    must(plan_new(made.graph, &input, &options, made.weights, &made.plan, &error), &error);
    must(plan_slot_new(made.plan, &made.slot, &error), &error);
    output = &plan_graph(made.plan)->values[plan_graph(made.plan)->outputs[0]];
    assert_int_equal(output->rank, 3);
    made.channels = output->shape[1], made.places = output->shape[2];
    made.output = plan_slot_output(made.slot, 0);
    bytes = (size_t)(made.pictures * made.channels * made.places) * sizeof(float);
    made.whole = malloc(bytes);
    assert_non_null(made.whole);
    fill_input(&made);
    must(plan_run(made.slot, NULL, &error), &error);
    memcpy(made.whole, made.output, bytes);
    return made;
}

static void planned_done(struct planned *made)
{
    plan_slot_free(made->slot);
    plan_free(made->plan);
    plan_weights_free(made->weights);
    graph_free(made->graph);
    free(made->whole);
}

static float best_score(const struct planned *made, int64_t classes, int64_t picture, int64_t place)
{
    const float *scores = made->whole + (picture * made->channels + SCORES_FROM) * made->places + place;
    float best = scores[0];
    int64_t c;

    for (c = 1; c < classes; c++)
        best = fmaxf(best, scores[c * made->places]);
    return best;
}

static int by_size_of_score(const void *one, const void *other)
{
    const float a = *(const float *)one, b = *(const float *)other;

    return (a < b) - (a > b);
}

/* The score that so many places of the whole batch are above, if no two are equal. */
static float threshold_for(const struct planned *made, int64_t classes, int64_t count)
{
    const int64_t all = made->pictures * made->places;
    float *best = malloc((size_t)all * sizeof(*best)), found;
    int64_t i;

    assert_non_null(best);
    for (i = 0; i < all; i++)
        best[i] = best_score(made, classes, i / made->places, i % made->places);
    qsort(best, (size_t)all, sizeof(*best), by_size_of_score);
    found = count < all ? best[count] : -1.0f;
    free(best);
    return found;
}

/* How many places that are not selected have other numbers than without a selection. */
static int64_t check_selection(struct planned *made, int64_t classes, float above)
{
    const struct engine_selection selection = {0, SCORES_FROM, classes, above};
    struct serin_error error;
    int64_t picture, place, channel, others = 0;

    memset(made->slot->memory, 0xff, made->plan->slot_bytes);
    fill_input(made);
    must(plan_run(made->slot, &selection, &error), &error);
    for (picture = 0; picture < made->pictures; picture++)
        for (place = 0; place < made->places; place++) {
            const bool selected = best_score(made, classes, picture, place) > above;
            bool same = true;

            for (channel = 0; channel < made->channels; channel++) {
                const int64_t at = (picture * made->channels + channel) * made->places + place;
                const bool score = channel >= SCORES_FROM && channel < SCORES_FROM + classes;
                const bool equal = memcmp(&made->output[at], &made->whole[at], sizeof(float)) == 0;

                if (!equal && (score || selected))
                    fail_msg("above %g: channel %d of place %d of picture %d is %g, not %g", (double)above,
                             (int)channel, (int)place, (int)picture, (double)made->output[at], (double)made->whole[at]);
                same = same && equal;
            }
            others += !same;
        }
    return others;
}

static void check_network(const struct network *network, enum plan_precision precision, enum plan_layout layout,
                          int threads)
{
    static const int64_t counts[] = {0, 1, 2, 5, 20, 100, 1000000};
    struct planned made = make_plan(network, precision, layout, threads);
    int64_t left_out[sizeof(counts) / sizeof(counts[0])];
    int i, steps = 0;
    bool by_our_kernels = layout != PLAN_TOGETHER && !(precision == PLAN_BF16 && onednn_has_amx());

#ifdef KERNEL_VECTORS
    by_our_kernels = by_our_kernels && kernel_has_avx512();
#else
    by_our_kernels = false;
#endif

    for (i = 0; i < made.plan->step_count; i++)
        steps += made.plan->steps[i].level != GRAPH_NONE;
    assert_int_equal(made.plan->selectable.first_score, SCORES_FROM);
    assert_int_equal(made.plan->selectable.score_count, network->classes);
    for (i = 0; i < (int)(sizeof(counts) / sizeof(counts[0])); i++)
        left_out[i] = check_selection(&made, network->classes, threshold_for(&made, network->classes, counts[i]));
    assert_int_equal(left_out[i - 1], 0); /* everything is selected */
    if (by_our_kernels) {                 /* oneDNN's make everything */
        assert_int_equal(steps, network->steps);
        assert_true(left_out[0] > made.pictures * made.places * 9 / 10);
        assert_true(left_out[1] > made.pictures * made.places / 4 && left_out[1] < left_out[0]);
    }
    planned_done(&made);
}

static void test_selected_places_are_the_same(void **state)
{
    size_t i;
    int threads;

    (void)state;
    for (i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
        for (threads = 1; threads <= 2; threads++) {
            check_network(&networks[i], PLAN_F32, PLAN_FASTEST, threads);
            check_network(&networks[i], PLAN_F32, PLAN_TOGETHER, threads);
            if (onednn_has_bf16())
                check_network(&networks[i], PLAN_BF16, PLAN_FASTEST, threads);
        }
}

/* A score that is no number is above any threshold: it is for the caller to find it. */
static void test_no_number_is_selected(void **state)
{
    const struct engine_selection all = {0, SCORES_FROM, 3, 1.0f};
    struct planned made = make_plan(&networks[0], PLAN_F32, PLAN_FASTEST, 1);
    const int64_t count = made.pictures * made.channels * made.places;
    struct serin_error error;
    float *input = plan_slot_input(made.slot, 0);
    int64_t i, numbers = 0;

    (void)state;
    for (i = 0; i < made.pictures * 3 * SIDE * SIDE; i++)
        input[i] = NAN;
    must(plan_run(made.slot, &all, &error), &error);
    for (i = 0; i < count; i++)
        numbers += !isnan(made.output[i]);
    assert_int_equal(numbers, 0);
    planned_done(&made);
}

/* A selection by other channels than the scores' leaves nothing out. */
static void test_other_channels_select_nothing(void **state)
{
    static const struct engine_selection others[] = {
        {0, 0, 4, 1e9f}, {0, 4, 1, 1e9f}, {0, 5, 1, 1e9f}, {1, 4, 3, 1e9f}};
    struct planned made = make_plan(&networks[0], PLAN_F32, PLAN_FASTEST, 1);
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        memset(made.slot->memory, 0xff, made.plan->slot_bytes);
        fill_input(&made);
        must(plan_run(made.slot, &others[i], &error), &error);
        assert_memory_equal(made.output, made.whole,
                            (size_t)(made.pictures * made.channels * made.places) * sizeof(float));
    }
    planned_done(&made);
}

/* Networks without a threshold of this kind take a selection, and make everything. */
static void test_networks_without_scores(void **state)
{
    static const char *const files[] = {"miniature/end-to-end", "miniature/detect-v5", "miniature/classify"};
    const struct tensor input = {.type = TENSOR_F32, .rank = 4, .shape = {1, 3, SIDE, SIDE}};
    const struct plan_options options = {.threads = 1};
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct plan_weights *weights = plan_weights_new();
        struct graph *graph = read_model(files[i]);
        struct tensor shaped = input;
        struct plan *plan;
        int d;

        for (d = 0; d < 4; d++)
            if (graph->interface.inputs[0].shape[d] > 0)
                shaped.shape[d] = graph->interface.inputs[0].shape[d];
        must(plan_new(graph, &shaped, &options, weights, &plan, &error), &error);
        assert_int_equal(plan->selectable.level_count, 0);
        plan_free(plan);
        plan_weights_free(weights);
        graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selected_places_are_the_same),
        cmocka_unit_test(test_no_number_is_selected),
        cmocka_unit_test(test_other_channels_select_nothing),
        cmocka_unit_test(test_networks_without_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
