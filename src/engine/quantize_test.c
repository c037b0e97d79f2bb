/*
 * quantize_test.c - scales and weights beside onnxruntime's, and whole models, read again and computed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/quantize_write.c"

#include "engine/test_graphs.h"
#include "engine/onnx_probe.h"

#define MAX_BYTES ((size_t)1 << 26)

/* ---- numbers ---- */

static void test_numbers_are_those_of_onnxruntime(void **state)
{
    char line[512];
    FILE *file = fopen(test_source_path("tests/golden", "quantization.tsv"), "r");
    int lines = 0, i;

    (void)state;
    assert_non_null(file);
    for (; fgets(line, sizeof(line), file); lines++) {
        double scale, w[4], low, high;
        int zero, q[4];

        if (sscanf(line, "range %lf %lf %lf %d", &low, &high, &scale, &zero) == 4) {
            const struct graph_scale got = scale_of_range(low, high);

            assert_true(fabs((double)got.scale / scale - 1) < 1e-6);
            assert_int_equal(got.zero, zero);
        } else {
            assert_int_equal(sscanf(line, "weights %lf %lf %lf %lf %lf %d %d %d %d", &scale, &w[0], &w[1], &w[2], &w[3],
                                    &q[0], &q[1], &q[2], &q[3]),
                             9);
            for (i = 0; i < 4; i++)
                assert_int_equal(weight_of((float)w[i], (float)scale), q[i]);
        }
    }
    fclose(file);
    assert_int_equal(lines, 38);
}

/* A number that comes once in a million is cut off; two heaps that fill the range are not. */
static void test_the_range_costs_the_least(void **state)
{
    uint64_t bins[QUANTIZE_BINS] = {0};
    struct quantize_group group = {.low = -0.25f, .high = 100.0f, .bins = bins};
    int i;

    (void)state;
    for (i = 0; i < 200; i++)
        bins[i] = 5000;
    bins[QUANTIZE_BINS - 1] = 1;
    choose_scale(&group);
    assert_true((double)group.scale.scale * 255 < 60);
    bins[QUANTIZE_BINS - 1] = 1000000;
    choose_scale(&group);
    assert_true((double)group.scale.scale * 255 > 95);
    group = (struct quantize_group){.bins = bins}; /* nothing but zeros */
    choose_scale(&group);
    assert_true(group.scale.scale > 0 && group.scale.zero == 0);
}

/* ---- whole models ---- */

/* Pictures of stripes, so that something flows through the network. */
static void fill(const struct tensor *tensor, int picture, void *ret)
{
    const int64_t count = 3 * tensor->shape[2] * tensor->shape[3];
    int64_t i;

    for (i = 0; i < count; i++) {
        const int value = (int)((i * (3 + picture) + i / tensor->shape[3] * 5) % 256);

        if (tensor->type == TENSOR_U8)
            ((uint8_t *)ret)[i] = (uint8_t)value;
        else
            ((float *)ret)[i] = (float)value / 255.0f;
    }
}

static enum serin_errc try_quantize(const uint8_t *bytes, size_t size, const char *const *keep, int keep_count,
                                    struct buffer *ret, int *ret_quantized, struct serin_error *error)
{
    struct quantizer *quantizer = NULL;
    const struct quantize_layer *layers;
    struct graph *graph = NULL;
    struct tensor input;
    enum serin_errc rc;
    int pass, picture, count, i;
    void *tensor;

    must(graph_read(bytes, size, &graph, error), error);
    input = input_of(graph, 1, 96);
    graph_free(graph);
    rc = quantizer_new(bytes, size, &input, keep, keep_count, 1, &quantizer, error);
    if (rc != SERIN_OK)
        return rc;
    tensor = calloc((size_t)(3 * input.shape[2] * input.shape[3]), sizeof(float));
    assert_non_null(tensor);
    for (pass = 0; pass < QUANTIZE_PASSES; pass++)
        for (picture = 0; picture < 2; picture++) {
            fill(&input, picture, tensor);
            must(quantizer_look(quantizer, pass, tensor, error), error);
        }
    must(quantizer_write(quantizer, ret, error), error);
    layers = quantizer_layers(quantizer, &count);
    for (*ret_quantized = 0, i = 0; i < count; i++) {
        *ret_quantized += !layers[i].kept;
        assert_true(layers[i].kept || layers[i].signal_db > 10);
    }
    free(tensor);
    quantizer_free(quantizer);
    return SERIN_OK;
}

/* What flows out of a network for the first picture. */
static float *outputs_of(const uint8_t *bytes, size_t size, uint64_t *ret_count, int *ret_integers, char *ret_kinds)
{
    struct plan_weights *weights = plan_weights_new();
    const struct plan_options options = {.precision = PLAN_F32, .threads = 1};
    struct graph *graph = NULL;
    struct serin_error error;
    struct plan_slot *slot;
    struct tensor input;
    struct plan *plan;
    float *out;
    int i;

    must(graph_read(bytes, size, &graph, &error), &error);
    input = input_of(graph, 1, 96);
    must(plan_new(graph, &input, &options, weights, &plan, &error), &error);
    must(plan_slot_new(plan, &slot, &error), &error);
    fill(&input, 0, plan_slot_input(slot, 0));
    must(plan_run(slot, NULL, &error), &error);
    *ret_count = plan_graph(plan)->values[plan_graph(plan)->outputs[0]].element_count;
    for (*ret_integers = 0, i = 0; i < plan_graph(plan)->node_count; i++)
        *ret_integers +=
            plan_graph(plan)->nodes[i].op == GRAPH_CONV && plan_graph(plan)->nodes[i].conv.quantized != NULL;
    for (*ret_kinds = 0, i = 0; i < plan_graph(plan)->node_count; i++)
        *ret_kinds = (char)(*ret_kinds + (plan_graph(plan)->nodes[i].op == GRAPH_DEQUANTIZE_LINEAR));
    out = malloc((size_t)*ret_count * sizeof(*out));
    assert_non_null(out);
    memcpy(out, plan_slot_output(slot, 0), (size_t)*ret_count * sizeof(*out));
    plan_slot_free(slot);
    plan_free(plan);
    plan_weights_free(weights);
    graph_free(graph);
    return out;
}

static void same_metadata(const uint8_t *one, size_t one_size, const char *other, size_t other_size)
{
    struct onnx_summary *summaries = calloc(2, sizeof(*summaries));
    struct serin_error error;
    int i;

    assert_non_null(summaries);
    must(onnx_probe(one, one_size, &summaries[0], &error), &error);
    must(onnx_probe((const uint8_t *)other, other_size, &summaries[1], &error), &error);
    assert_int_equal(summaries[0].metadata_count, summaries[1].metadata_count);
    for (i = 0; i < summaries[0].metadata_count; i++)
        assert_string_equal(summaries[0].metadata[i].value, summaries[1].metadata[i].value);
    assert_memory_equal(&summaries[0].interface, &summaries[1].interface, sizeof(summaries[0].interface));
    assert_false(summaries[0].quantized);
    assert_true(summaries[1].quantized);
    onnx_summary_done(&summaries[0]);
    onnx_summary_done(&summaries[1]);
    free(summaries);
}

/* Each runs as integers from its second layer to its last but one, twice gives the same bytes, and computes nearly what
 * the one in fp32 does. */
static void test_models(void **state)
{
    static const char *const models[] = {"miniature/detect",   "miniature/segment",        "miniature/pose",
                                         "miniature/obb",      "miniature/detect-uint8in", "miniature/detect-v5",
                                         "miniature/classify", "miniature/end-to-end",     "street-person/v1.1.0"};
    size_t m;

    (void)state;
    for (m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
        struct buffer once, again;
        struct serin_error error;
        uint64_t count, k;
        int quantized, integers, none;
        double signal = 0, noise = 0;
        float *want, *got;
        char dqs;
        uint8_t *bytes;
        size_t size;

        bytes = read_model_bytes(models[m], &size);
        buffer_init(&once, MAX_BYTES), buffer_init(&again, MAX_BYTES);
        must(try_quantize(bytes, size, NULL, 0, &once, &quantized, &error), &error);
        must(try_quantize(bytes, size, NULL, 0, &again, &quantized, &error), &error);
        assert_int_equal(once.size, again.size);
        assert_memory_equal(once.bytes, again.bytes, once.size);
        assert_true(once.size < size / 2 || size < 400000);
        same_metadata(bytes, size, once.bytes, once.size);
        want = outputs_of(bytes, size, &count, &none, &dqs);
        assert_int_equal(none, 0);
        got = outputs_of((const uint8_t *)once.bytes, once.size, &count, &integers, &dqs);
        assert_true(quantized > 10);
        assert_int_equal(integers, quantized);
        for (k = 0; k < count; k++) {
            signal += (double)want[k] * (double)want[k];
            noise += ((double)want[k] - (double)got[k]) * ((double)want[k] - (double)got[k]);
        }
        if (!(noise < 0.02 * signal) && strcmp(models[m], "miniature/end-to-end") != 0) /* its rows change places */
            fail_msg("%s: noise is %g of the signal", models[m], noise / signal);
        free(want), free(got), free(bytes);
        buffer_done(&once), buffer_done(&again);
    }
}

/* ---- what is refused, and what is kept ---- */

static void test_layers_are_kept_as_asked(void **state)
{
    static const char *const keep[] = {"/model.1/conv/Conv", "/model.22/cv3.0/cv3.0.0/conv/Conv"};
    static const char *const wrong[] = {"/model.1/conv/Con"};
    struct serin_error error;
    struct buffer out;
    int all, fewer;
    size_t size;
    uint8_t *bytes = read_model_bytes("miniature/detect", &size);

    (void)state;
    buffer_init(&out, MAX_BYTES);
    must(try_quantize(bytes, size, NULL, 0, &out, &all, &error), &error);
    buffer_clear(&out);
    must(try_quantize(bytes, size, keep, 2, &out, &fewer, &error), &error);
    assert_int_equal(fewer, all - 2);
    assert_int_equal(try_quantize(bytes, size, wrong, 1, &out, &fewer, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "/model.1/conv/Con"));
    buffer_done(&out);
    free(bytes);
}

static void test_what_cannot_be_quantized_is_refused(void **state)
{
    struct serin_error error;
    struct buffer out, again;
    int quantized;
    size_t size, i;
    uint8_t *bytes = read_model_bytes("miniature/detect-fp16", &size);
    static const uint8_t opset[] = {0x42, 0x02, 0x10, 17}; /* opset_import: version; behind the graph */

    (void)state;
    buffer_init(&out, MAX_BYTES), buffer_init(&again, MAX_BYTES);
    assert_int_equal(try_quantize(bytes, size, NULL, 0, &out, &quantized, &error), SERIN_UNSUPPORTED);
    assert_non_null(strstr(error.message, "fp16"));
    free(bytes);
    bytes = read_model_bytes("miniature/detect", &size);
    must(try_quantize(bytes, size, NULL, 0, &out, &quantized, &error), &error);
    assert_int_equal(try_quantize((const uint8_t *)out.bytes, out.size, NULL, 0, &again, &quantized, &error),
                     SERIN_UNSUPPORTED);
    assert_non_null(strstr(error.message, "already"));
    for (i = size - sizeof(opset); memcmp(bytes + i, opset, sizeof(opset)) != 0; i--)
        assert_true(i > 0);
    bytes[i + 3] = 12;
    assert_int_equal(try_quantize(bytes, size, NULL, 0, &again, &quantized, &error), SERIN_UNSUPPORTED);
    assert_non_null(strstr(error.message, "opset"));
    free(bytes);
    buffer_done(&out), buffer_done(&again);
}

/* The constant of the last layer but one of a branch: what it makes is read by one that stays fp32, and not measured.
 */
static void test_weights_that_are_not_finite_are_refused(void **state)
{
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    struct serin_error error;
    struct buffer out;
    size_t size, i;
    int part;
    uint8_t *bytes = read_model_bytes("miniature/detect", &size);
    struct graph *graph = NULL;

    (void)state;
    buffer_init(&out, MAX_BYTES);
    must(graph_read(bytes, size, &graph, &error), &error);
    for (part = 1; part <= 2; part++) {
        const struct graph_value *value = NULL;
        void *there;
        float kept;
        int quantized, n;

        for (n = 0; n < graph->node_count; n++)
            if (strcmp(graph->nodes[n].name, "/model.22/cv3.2/cv3.2.1/conv/Conv") == 0)
                value = &graph->values[graph->nodes[n].inputs[part]];
        assert_non_null(value);
        there = memmem(bytes, size, value->constant, (size_t)graph_value_bytes(value));
        assert_non_null(there);
        memcpy(&kept, there, sizeof(kept));
        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            memcpy(there, &wrong[i], sizeof(wrong[i]));
            assert_int_equal(try_quantize(bytes, size, NULL, 0, &out, &quantized, &error), SERIN_INVALID);
            assert_string_equal(error.message, part == 1
                                                   ? "'/model.22/cv3.2/cv3.2.1/conv/Conv' has a weight that is not "
                                                     "finite: the training went wrong"
                                                   : "'/model.22/cv3.2/cv3.2.1/conv/Conv' has a bias that is not "
                                                     "finite: the training went wrong");
        }
        memcpy(there, &kept, sizeof(kept));
    }
    graph_free(graph);
    buffer_done(&out);
    free(bytes);
}

/* A buffer that is too small is an error, wherever it ends. */
static void test_a_file_that_grows_too_large_is_refused(void **state)
{
    struct quantizer *quantizer = NULL;
    struct graph *graph = NULL;
    struct serin_error error;
    struct tensor input;
    size_t size, max;
    uint8_t *bytes = read_model_bytes("miniature/classify", &size);
    float *tensor;

    (void)state;
    must(graph_read(bytes, size, &graph, &error), &error);
    input = input_of(graph, 1, 64);
    graph_free(graph);
    must(quantizer_new(bytes, size, &input, NULL, 0, 1, &quantizer, &error), &error);
    tensor = calloc((size_t)(3 * input.shape[2] * input.shape[3]), sizeof(float));
    must(quantizer_look(quantizer, 0, tensor, &error), &error);
    must(quantizer_look(quantizer, 1, tensor, &error), &error);
    for (max = 1; max < 100000; max = max * 3 + 7) {
        struct buffer out;

        buffer_init(&out, max);
        assert_int_equal(quantizer_write(quantizer, &out, &error), SERIN_LIMIT);
        buffer_done(&out);
    }
    tensor[0] = NAN;
    assert_int_equal(quantizer_look(quantizer, 0, tensor, &error), SERIN_INVALID);
    free(tensor);
    quantizer_free(quantizer);
    free(bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_those_of_onnxruntime),
        cmocka_unit_test(test_the_range_costs_the_least),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_layers_are_kept_as_asked),
        cmocka_unit_test(test_what_cannot_be_quantized_is_refused),
        cmocka_unit_test(test_weights_that_are_not_finite_are_refused),
        cmocka_unit_test(test_a_file_that_grows_too_large_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
