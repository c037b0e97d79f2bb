/*
 * graph_test.c - each operator beside what ONNX Runtime makes of it, damaged files, and graphs that are rewritten.
 * SPDX-License-Identifier: Apache-2.0
 *
 * tests/golden/graph_operators.ndjson has one model an operator and form, with inputs and outputs, and those that must
 * be refused with their sentence; make_graph_operators.py beside it made them.
 */
#include "engine/graph_plain.h"

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BYTES   ((uint64_t)1 << 24)
#define MAX_NUMBERS 4096
#define TOLERANCE   1e-5

static struct serin_error error;

/* ---- the golden cases ---- */

struct golden {
    json_t *json;
    const char *name;
    uint8_t *model;
    size_t size;
};

static json_t *golden_lines(void)
{
    const char *folder = getenv("SERIN_SOURCE_DIR");
    json_t *all = json_array();
    char path[4096], *text, *line, *rest;
    uint8_t *bytes;
    size_t size;

    snprintf(path, sizeof(path), "%s/tests/golden/graph_operators.ndjson", folder ? folder : ".");
    if (file_read(path, 1u << 24, &bytes, &size, &error))
        fail_msg("%s", error.message);
    text = (char *)bytes;
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_array_append_new(all, json_loads(line, 0, NULL));
    free(bytes);
    return all;
}

static struct golden golden_at(json_t *all, size_t index)
{
    struct golden golden = {.json = json_array_get(all, index)};
    const char *hex = json_string_value(json_object_get(golden.json, "model"));
    size_t i;

    golden.name = json_string_value(json_object_get(golden.json, "name"));
    assert_non_null(hex);
    golden.size = strlen(hex) / 2;
    golden.model = malloc(golden.size + 1);
    assert_non_null(golden.model);
    for (i = 0; i < golden.size; i++)
        sscanf(hex + 2 * i, "%2hhx", &golden.model[i]);
    return golden;
}

static struct tensor shape_of(json_t *described)
{
    json_t *shape = json_object_get(described, "shape");
    struct tensor tensor = {.rank = (int)json_array_size(shape)};
    int i;

    for (i = 0; i < tensor.rank; i++)
        tensor.shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
    return tensor;
}

static void fill(void *bytes, enum graph_type type, json_t *values)
{
    size_t i;

    assert_true(json_array_size(values) <= MAX_NUMBERS);
    for (i = 0; i < json_array_size(values); i++) {
        json_t *value = json_array_get(values, i);

        if (type == GRAPH_F32)
            ((float *)bytes)[i] = (float)json_number_value(value);
        else if (type == GRAPH_I64)
            ((int64_t *)bytes)[i] = json_integer_value(value);
        else
            ((uint8_t *)bytes)[i] = (uint8_t)json_integer_value(value);
    }
}

static void expect_output(const char *name, const struct graph_value *value, const void *bytes, json_t *described)
{
    struct tensor shape = shape_of(described);
    json_t *values = json_object_get(described, "values");
    size_t i;
    int j;

    if (value->rank != shape.rank || value->element_count != json_array_size(values))
        fail_msg("%s: an output of %d dimensions and %d elements", name, value->rank, (int)value->element_count);
    for (j = 0; j < value->rank; j++)
        if (value->shape[j] != shape.shape[j])
            fail_msg("%s: dimension %d is %lld", name, j, (long long)value->shape[j]);
    for (i = 0; i < value->element_count; i++) {
        json_t *expected = json_array_get(values, i);
        double wanted = json_number_value(expected), got;

        if (value->type == GRAPH_I64) {
            if (((const int64_t *)bytes)[i] != json_integer_value(expected))
                fail_msg("%s: element %zu is %lld", name, i, (long long)((const int64_t *)bytes)[i]);
            continue;
        }
        got = value->type == GRAPH_F32 ? (double)((const float *)bytes)[i] : (double)((const uint8_t *)bytes)[i];
        if (!(fabs(got - wanted) <= TOLERANCE * fmax(1, fabs(wanted))))
            fail_msg("%s: element %zu is %.9g, and ONNX Runtime has %.9g", name, i, got, wanted);
    }
}

/* Reads, infers and runs; outputs are malloc'ed, and go with the graphs. */
static enum serin_errc run_golden(const struct golden *golden, struct graph **read, struct graph **shaped,
                                  void **outputs)
{
    json_t *described = json_object_get(golden->json, "inputs");
    static uint8_t bytes[ENGINE_MAX_TENSORS][MAX_NUMBERS * 8];
    const void *inputs[ENGINE_MAX_TENSORS];
    struct tensor shapes[ENGINE_MAX_TENSORS];
    enum serin_errc rc;
    int i;

    for (i = 0; i < (int)json_array_size(described); i++)
        shapes[i] = shape_of(json_array_get(described, (size_t)i));
    rc = graph_read(golden->model, golden->size, read, &error);
    if (rc)
        return rc;
    rc = graph_shape(*read, shapes, shaped, &error);
    if (rc)
        return rc;
    for (i = 0; i < (*shaped)->input_count; i++) {
        fill(bytes[i], (*shaped)->values[(*shaped)->inputs[i]].type,
             json_object_get(json_array_get(described, (size_t)i), "values"));
        inputs[i] = bytes[i];
    }
    for (i = 0; i < (*shaped)->output_count; i++)
        outputs[i] = calloc(1, graph_value_bytes(&(*shaped)->values[(*shaped)->outputs[i]]) + 1);
    return graph_plain_run(*shaped, MAX_BYTES, inputs, outputs, &error);
}

static void operators_make_what_onnx_runtime_makes(void **state)
{
    json_t *all = golden_lines();
    size_t index, refused = 0;

    (void)state;
    for (index = 0; index < json_array_size(all); index++) {
        struct golden golden = golden_at(all, index);
        const char *sentence = json_string_value(json_object_get(golden.json, "error"));
        struct graph *read = NULL, *shaped = NULL;
        void *outputs[ENGINE_MAX_TENSORS] = {NULL};
        enum serin_errc rc;
        int i;

        error = (struct serin_error){.code = SERIN_OK};
        rc = run_golden(&golden, &read, &shaped, outputs);
        if (sentence) {
            if (rc == SERIN_OK || !strstr(error.message, sentence))
                fail_msg("%s: '%s' where '%s' is wanted", golden.name, error.message, sentence);
            refused++;
        } else if (rc) {
            fail_msg("%s: %s", golden.name, error.message);
        }
        for (i = 0; rc == SERIN_OK && i < shaped->output_count; i++)
            expect_output(golden.name, &shaped->values[shaped->outputs[i]], outputs[i],
                          json_array_get(json_object_get(golden.json, "outputs"), (size_t)i));
        for (i = 0; i < ENGINE_MAX_TENSORS; i++)
            free(outputs[i]);
        graph_free(shaped);
        graph_free(read);
        free(golden.model);
    }
    assert_true(refused >= 10 && index - refused >= 180);
    json_decref(all);
}

/* ---- damage ---- */

/* Whatever comes of it, it is a graph or a sentence. */
static void try_damaged(const uint8_t *model, size_t size)
{
    struct graph *read = NULL, *shaped = NULL;
    struct tensor shapes[ENGINE_MAX_TENSORS];
    enum serin_errc rc;
    int i, j;

    error = (struct serin_error){.code = SERIN_OK};
    rc = graph_read(model, size, &read, &error);
    if (rc == SERIN_OK) {
        for (i = 0; i < read->input_count; i++) {
            shapes[i].rank = read->interface.inputs[i].rank;
            for (j = 0; j < shapes[i].rank; j++)
                shapes[i].shape[j] = read->interface.inputs[i].shape[j] > 0 ? read->interface.inputs[i].shape[j] : 3;
        }
        rc = graph_shape(read, shapes, &shaped, &error);
    }
    assert_true(rc == SERIN_OK || (rc == error.code && error.message[0]));
    graph_free(shaped);
    graph_free(read);
}

static void damaged_files_get_a_sentence(void **state)
{
    json_t *all = golden_lines();
    size_t index, i;

    (void)state;
    for (index = 0; index < json_array_size(all); index += 3) {
        struct golden golden = golden_at(all, index);

        for (i = 0; i < golden.size; i++) {
            uint8_t *cut = malloc(i + 1); /* its own, so that a sanitizer sees what is read behind it */

            assert_non_null(cut);
            memcpy(cut, golden.model, i);
            try_damaged(cut, i);
            free(cut);
            golden.model[i] ^= (uint8_t)(1u << (i + index) % 8);
            try_damaged(golden.model, golden.size);
            golden.model[i] ^= (uint8_t)(1u << (i + index) % 8);
        }
        free(golden.model);
    }
    json_decref(all);
}

/* ---- shapes ---- */

static struct golden golden_named(json_t *all, const char *name)
{
    size_t i;

    for (i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(all, i), "name")), name) == 0)
            return golden_at(all, i);
    fail_msg("no golden case '%s'", name);
    return (struct golden){.json = NULL};
}

static void another_shape_than_declared_is_refused(void **state)
{
    json_t *all = golden_lines();
    struct golden golden = golden_named(all, "Conv plain");
    struct tensor input = {.rank = 4, .shape = {2, 3, 5, 7}};
    struct graph *read, *shaped = NULL;

    (void)state;
    assert_int_equal(graph_read(golden.model, golden.size, &read, &error), SERIN_OK);
    assert_int_equal(graph_shape(read, &input, &shaped, &error), SERIN_INVALID);
    assert_string_equal(error.message, "input 'x' cannot be 2x3x5x7");
    input.rank = 3;
    assert_int_equal(graph_shape(read, &input, &shaped, &error), SERIN_INVALID);
    graph_free(read);
    free(golden.model);
    json_decref(all);
}

static void what_follows_from_constants_is_one(void **state)
{
    json_t *all = golden_lines();
    struct golden golden = golden_named(all, "shapes");
    struct tensor input = {.rank = 2, .shape = {2, 5}};
    struct graph *read, *shaped;
    const struct graph_value *anchors;
    int i;

    (void)state;
    assert_int_equal(graph_read(golden.model, golden.size, &read, &error), SERIN_OK);
    assert_int_equal(graph_shape(read, &input, &shaped, &error), SERIN_OK);
    assert_int_equal(read->node_count, 5);
    assert_int_equal(shaped->node_count, 1); /* the sum with the input */
    anchors = &shaped->values[shaped->nodes[0].inputs[0]];
    assert_int_equal(anchors->element_count, 5);
    for (i = 0; i < 5; i++)
        assert_true(((const float *)anchors->constant)[i] == (float)i);
    graph_free(shaped);
    graph_free(read);
    free(golden.model);
    json_decref(all);
}

/* Two tensors of 200 bytes are there at a time: what a node takes, and what it makes. */
static void running_is_bounded(void **state)
{
    json_t *all = golden_lines();
    struct golden golden = golden_named(all, "a chain");
    struct tensor input = {.rank = 1, .shape = {50}};
    struct graph *read, *shaped;
    float x[50] = {0}, y[50];
    const void *inputs[] = {x};
    void *outputs[] = {y};

    (void)state;
    assert_int_equal(graph_read(golden.model, golden.size, &read, &error), SERIN_OK);
    assert_int_equal(graph_shape(read, &input, &shaped, &error), SERIN_OK);
    assert_int_equal(graph_plain_run(shaped, 399, inputs, outputs, &error), SERIN_LIMIT);
    assert_int_equal(graph_plain_run(shaped, 400, inputs, outputs, &error), SERIN_OK);
    assert_true(y[49] == -.5f);
    graph_free(shaped);
    graph_free(read);
    free(golden.model);
    json_decref(all);
}

/* ---- rewriting ---- */

/* relu(x + b) becomes silu(x), and the sum goes by itself. */
static void a_rewritten_graph_is_counted_anew(void **state)
{
    json_t *all = golden_lines();
    struct golden golden = golden_named(all, "Identity and Dropout");
    struct tensor input = {.rank = 1, .shape = {4}};
    int64_t shape[] = {4};
    struct graph *read, *shaped;
    struct graph_node node = {
        .op = GRAPH_SILU, .name = "", .unary.op = GRAPH_SILU, .input_count = 1, .output_count = 1};
    float x[4] = {-1, 0, 1, 2}, y[4], *bias;
    const void *inputs[] = {x};
    void *outputs[] = {y}, *bytes;
    int constant, sum, made;

    (void)state;
    assert_int_equal(graph_read(golden.model, golden.size, &read, &error), SERIN_OK);
    assert_int_equal(graph_shape(read, &input, &shaped, &error), SERIN_OK);
    assert_int_equal(shaped->node_count, 0); /* the three did nothing */
    assert_int_equal(shaped->outputs[0], shaped->inputs[0]);
    constant = graph_add_constant(shaped, GRAPH_F32, 1, shape, &bytes);
    bias = bytes;
    bias[0] = 3;
    sum = graph_add_value(shaped, GRAPH_F32, 1, shape);
    made = graph_add_value(shaped, GRAPH_F32, 1, shape);
    assert_true(constant >= 0 && sum >= 0 && made >= 0);
    node.inputs = (int[]){sum};
    node.outputs = (int[]){made};
    {
        struct graph_node add = {.op = GRAPH_ADD, .name = "", .input_count = 2, .output_count = 1};

        add.inputs = (int[]){shaped->inputs[0], constant};
        add.outputs = (int[]){sum};
        assert_int_equal(graph_add_node(shaped, &add, &error), SERIN_OK);
    }
    assert_int_equal(graph_add_node(shaped, &node, &error), SERIN_OK);
    shaped->outputs[0] = made;
    assert_int_equal(graph_index(shaped, &error), SERIN_OK);
    assert_int_equal(shaped->node_count, 2);
    assert_int_equal(shaped->values[sum].producer, 0);
    assert_int_equal(shaped->values[sum].user_count, 1);
    assert_int_equal(shaped->users[shaped->values[sum].first_user], 1);
    assert_true(graph_set_inputs(shaped, &shaped->nodes[1], 1, (int[]){shaped->inputs[0]}));
    assert_int_equal(graph_index(shaped, &error), SERIN_OK);
    assert_int_equal(shaped->node_count, 1); /* nobody uses the sum */
    assert_true(shaped->values[made].is_output && !shaped->values[sum].is_output);
    assert_int_equal(graph_plain_run(shaped, MAX_BYTES, inputs, outputs, &error), SERIN_OK);
    assert_true(fabsf(y[2] - .7310586f) < 1e-6f);
    graph_free(shaped);
    graph_free(read);
    free(golden.model);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_make_what_onnx_runtime_makes),
        cmocka_unit_test(damaged_files_get_a_sentence),
        cmocka_unit_test(another_shape_than_declared_is_refused),
        cmocka_unit_test(what_follows_from_constants_is_one),
        cmocka_unit_test(running_is_bounded),
        cmocka_unit_test(a_rewritten_graph_is_counted_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
