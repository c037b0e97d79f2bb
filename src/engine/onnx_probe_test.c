/*
 * onnx_probe_test.c - the probe on real, hostile, cut and flipped models, and on the values of its tensors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hostile files are those of tests/hostile/, of which models.tsv says what each must get. What would be too large
 * to keep there is built here.
 */
#include "engine/name_set.c"
#include "engine/onnx_probe.c"
#include "engine/onnx_tensor.c"
#include "engine/onnx_value.c"
#include "engine/protobuf.c"

#include "base/buffer.h"
#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- writing protobuf ---- */

static void put_varint(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buffer_append(out, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    buffer_append(out, &(uint8_t){(uint8_t)value}, 1);
}

static void put_number(struct buffer *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(struct buffer *out, unsigned field, const void *bytes, size_t size)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, size);
    buffer_append(out, bytes, size);
}

static void put_text(struct buffer *out, unsigned field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

/* Appends part as a field of out, and empties it. */
static void put_part(struct buffer *out, unsigned field, struct buffer *part)
{
    put_bytes(out, field, part->bytes ? part->bytes : "", part->size);
    buffer_done(part);
}

static struct buffer part(void)
{
    struct buffer buffer;

    buffer_init(&buffer, 1u << 28);
    return buffer;
}

static void put_node(struct buffer *graph, const char *op_type, const char *input, const char *output)
{
    struct buffer node = part();

    put_text(&node, NODE_INPUT, input);
    put_text(&node, NODE_OUTPUT, output);
    put_text(&node, NODE_OP_TYPE, op_type);
    put_part(graph, GRAPH_NODE, &node);
}

static void put_value(struct buffer *graph, unsigned field, const char *name)
{
    struct buffer value = part(), type = part(), tensor = part();

    put_number(&tensor, TENSOR_TYPE_ELEMENT, 1);
    put_part(&type, TYPE_TENSOR, &tensor);
    put_text(&value, VALUE_NAME, name);
    put_part(&value, VALUE_TYPE, &type);
    put_part(graph, field, &value);
}

/* Probes model (and frees it). */
static enum serin_errc probe_buffer(struct buffer *model, struct onnx_summary *ret, struct serin_error *error)
{
    enum serin_errc rc;

    *error = (struct serin_error){.code = SERIN_OK};
    rc = onnx_probe((const uint8_t *)model->bytes, model->size, ret, error);
    buffer_done(model);
    return rc;
}

/* A model of that graph (which it frees), probed. */
static enum serin_errc probe_graph(struct buffer *graph, struct onnx_summary *ret, struct serin_error *error)
{
    struct buffer model = part();

    put_part(&model, MODEL_GRAPH, graph);
    return probe_buffer(&model, ret, error);
}

static struct onnx_summary summary; /* too large for comfort on the stack of every test */
static struct serin_error error;

/* ---- files ---- */

static const char *source_dir(void)
{
    const char *folder = getenv("SERIN_SOURCE_DIR");

    return folder ? folder : ".";
}

static void read_source(const char *path, uint8_t **ret_bytes, size_t *ret_size)
{
    char whole[4096];

    snprintf(whole, sizeof(whole), "%s/%s", source_dir(), path);
    if (file_read(whole, 1u << 26, ret_bytes, ret_size, &error))
        fail_msg("%s", error.message);
}

static void an_exported_model_is_summed_up(void **state)
{
    uint8_t *bytes;
    size_t size;

    (void)state;
    read_source("examples/models/miniature/detect.onnx", &bytes, &size);
    if (onnx_probe(bytes, size, &summary, &error))
        fail_msg("%s", error.message);
    free(bytes);
    assert_int_equal(summary.ir_version, 8);
    assert_int_equal(summary.opset, 17);
    assert_string_equal(summary.producer, "pytorch");
    assert_int_equal(summary.interface.input_count, 1);
    assert_string_equal(summary.interface.inputs[0].name, "images");
    assert_int_equal(summary.interface.inputs[0].type, TENSOR_F32);
    assert_int_equal(summary.interface.inputs[0].rank, 4);
    assert_true(summary.interface.inputs[0].shape[0] == -1 && summary.interface.inputs[0].shape[1] == 3);
    assert_int_equal(summary.interface.output_count, 1);
    assert_int_equal(summary.interface.outputs[0].rank, 3);
    assert_string_equal(summary.operators[0].name, "Conv");
    assert_true(summary.node_count > 100 && summary.operators[0].count < summary.node_count);
    assert_true(summary.bytes_by_type[TENSOR_F32] > 500000 && summary.bytes_by_type[TENSOR_F32] < size);
    assert_true(summary.parameter_count == summary.bytes_by_type[TENSOR_F32] / 4);
    assert_int_equal(summary.nan_count, 0);
    assert_false(summary.quantized);
    assert_string_equal(onnx_summary_find(&summary, "task"), "detect");
    assert_null(onnx_summary_find(&summary, "tas"));
    onnx_summary_done(&summary);
    onnx_summary_done(&summary);
}

/* Appends a node of two inputs. */
static void put_convolution(struct buffer *graph, const char *op_type, const char *input, const char *weights)
{
    struct buffer node = part();

    put_text(&node, NODE_INPUT, input);
    put_text(&node, NODE_INPUT, weights);
    put_text(&node, NODE_OUTPUT, "y");
    put_text(&node, NODE_OP_TYPE, op_type);
    put_part(graph, GRAPH_NODE, &node);
}

/* Weights alone in int8 are half of the file, and none of the arithmetic. */
static void what_convolutions_are_of_is_the_precision(void **state)
{
    static const struct {
        const char *op_type, *input, *weights, *precision;
    } rows[] = {
        {"Conv", "x", "w", "fp32"},     {"Conv", "x", "dw", "fp32"},       {"Conv", "dx", "dw", "int8"},
        {"Conv", "dx", "w", "int8"},    {"ConvInteger", "x", "w", "int8"}, {"QLinearConv", "x", "w", "int8"},
        {"MatMul", "dx", "dw", "fp32"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer graph = part();

        put_value(&graph, GRAPH_INPUT, "x");
        put_value(&graph, GRAPH_INPUT, "w");
        put_node(&graph, "DequantizeLinear", "x", "dx");
        put_node(&graph, "DequantizeLinear", "w", "dw");
        put_convolution(&graph, rows[i].op_type, rows[i].input, rows[i].weights);
        put_value(&graph, GRAPH_OUTPUT, "y");
        if (probe_graph(&graph, &summary, &error))
            fail_msg("%s", error.message);
        if (strcmp(onnx_summary_precision(&summary), rows[i].precision) != 0)
            fail_msg("%s of %s and %s is %s", rows[i].op_type, rows[i].input, rows[i].weights,
                     onnx_summary_precision(&summary));
        onnx_summary_done(&summary);
    }
}

static void hostile_files_get_the_sentence_of_their_row(void **state)
{
    static const char *const codes[] = {
#define X(name, text) #name,
        SERIN_ERRC_MAP(X)
#undef X
    };
    uint8_t *table, *bytes;
    size_t size;
    char *line, *rest, path[512];
    int rows = 0;

    (void)state;
    read_source("tests/hostile/models.tsv", &table, &size);
    for (rest = (char *)table; (line = strsep(&rest, "\n"));) {
        const char *file = strsep(&line, "\t"), *stage = strsep(&line, "\t"), *code = strsep(&line, "\t");
        enum serin_errc rc;

        if (file[0] == '#' || !code)
            continue;
        snprintf(path, sizeof(path), "tests/hostile/models/%s", file);
        read_source(path, &bytes, &size);
        error = (struct serin_error){.code = SERIN_OK};
        rc = onnx_probe(bytes, size, &summary, &error);
        free(bytes);
        if (strcmp(stage, "probe") != 0) {
            if (rc)
                fail_msg("%s: '%s' from the probe, but its stage is %s", file, error.message, stage);
            onnx_summary_done(&summary);
        } else if (strcmp(codes[rc], code) != 0 || !strstr(error.message, line)) {
            fail_msg("%s: %s '%s', expected %s '%s'", file, codes[rc], error.message, code, line);
        }
        rows++;
    }
    free(table);
    assert_true(rows >= 60);
}

static void every_cut_and_flip_is_survived(void **state)
{
    uint8_t *bytes, *exact;
    size_t size, i;
    int bit;

    (void)state;
    read_source("tests/hostile/models/valid.onnx", &bytes, &size);
    for (i = 0; i < size; i++) {
        exact = malloc(i ? i : 1); /* so that a sanitizer sees a read past the cut */
        memcpy(exact, bytes, i);
        if (onnx_probe(exact, i, &summary, NULL) == SERIN_OK) {
            assert_true(i > size / 2); /* only between two metadata entries, behind the graph */
            onnx_summary_done(&summary);
        }
        free(exact);
        for (bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            if (onnx_probe(bytes, size, &summary, NULL) == SERIN_OK)
                onnx_summary_done(&summary);
            bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
    free(bytes);
}

/* ---- limits ---- */

static void a_hundred_thousand_metadata_entries_are_refused(void **state)
{
    struct buffer model = part(), entry;
    char key[32];
    int i;

    (void)state;
    for (i = 0; i < 100000; i++) {
        entry = part();
        snprintf(key, sizeof(key), "key%d", i);
        put_text(&entry, METADATA_KEY, key);
        put_part(&model, MODEL_METADATA_PROPS, &entry);
    }
    assert_int_equal(probe_buffer(&model, &summary, &error), SERIN_LIMIT);
    model = part();
    entry = part();
    put_text(&entry, METADATA_KEY, "names");
    put_varint(&entry, METADATA_VALUE << 3 | WIRE_BYTES);
    put_varint(&entry, ONNX_MAX_METADATA_BYTES - 4);
    for (i = 0; i < (int)ONNX_MAX_METADATA_BYTES / 4 - 1; i++)
        buffer_append(&entry, "0:0,", 4);
    put_part(&model, MODEL_METADATA_PROPS, &entry);
    assert_int_equal(probe_buffer(&model, &summary, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "metadata of more than 1048576 bytes (at 'names')"));
}

/* A chain of count Relu nodes from "n0". */
static struct buffer chain(int count)
{
    struct buffer graph = part();
    char from[32], to[32];
    int i;

    put_value(&graph, GRAPH_INPUT, "n0");
    for (i = 0; i < count; i++) {
        snprintf(from, sizeof(from), "n%d", i);
        snprintf(to, sizeof(to), "n%d", i + 1);
        put_node(&graph, "Relu", from, to);
    }
    put_value(&graph, GRAPH_OUTPUT, "n1");
    return graph;
}

static void nodes_are_counted_and_limited(void **state)
{
    struct buffer graph = chain(ONNX_MAX_NODES);

    (void)state;
    assert_int_equal(probe_graph(&graph, &summary, &error), SERIN_OK);
    assert_int_equal(summary.node_count, ONNX_MAX_NODES);
    assert_int_equal(summary.operator_count, 1);
    assert_int_equal(summary.operators[0].count, ONNX_MAX_NODES);
    onnx_summary_done(&summary);
    graph = chain(ONNX_MAX_NODES + 1);
    assert_int_equal(probe_graph(&graph, &summary, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "more than 65536 nodes"));
}

/* A chain of count nodes, the last one first, so that each round takes one. */
static enum serin_errc probe_backwards(int count)
{
    struct buffer graph = part();
    char from[16], to[16];
    int i;

    put_value(&graph, GRAPH_INPUT, "n0");
    for (i = count; i > 0; i--) {
        snprintf(from, sizeof(from), "n%d", i - 1);
        snprintf(to, sizeof(to), "n%d", i);
        put_node(&graph, "Relu", from, to);
    }
    put_value(&graph, GRAPH_OUTPUT, "n1");
    return probe_graph(&graph, &summary, &error);
}

/* Ultralytics' half=True has the cast of its input behind all other nodes. */
static void nodes_out_of_order_are_taken_in_rounds(void **state)
{
    (void)state;
    assert_int_equal(probe_backwards(2), SERIN_OK);
    assert_int_equal(summary.node_count, 2);
    onnx_summary_done(&summary);
    assert_int_equal(probe_backwards(ONNX_MAX_ROUNDS), SERIN_OK);
    onnx_summary_done(&summary);
    assert_int_equal(probe_backwards(ONNX_MAX_ROUNDS + 1), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "out of order, or form a cycle"));
}

static void fields_are_limited(void **state)
{
    struct buffer graph = part(), model = part();
    uint32_t i;

    (void)state;
    for (i = 0; i < ONNX_MAX_FIELDS; i++)
        buffer_append(&model, "\x28\x01", 2); /* model_version */
    put_part(&model, MODEL_GRAPH, &graph);
    assert_int_equal(probe_buffer(&model, &summary, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "more protobuf fields than the limit"));
}

static void kinds_of_operators_beyond_the_table_are_not_named(void **state)
{
    struct buffer graph = part();
    char name[64];
    int i;

    (void)state;
    put_value(&graph, GRAPH_INPUT, "x");
    put_node(&graph, "AnOperatorWhoseNameIsFarTooLongForTheTable", "x", "y");
    for (i = 0; i < 2 * ONNX_MAX_OPERATORS; i++) {
        char to[32];

        snprintf(name, sizeof(name), "Op%d", i);
        snprintf(to, sizeof(to), "t%d", i);
        put_node(&graph, name, "x", to);
        snprintf(to, sizeof(to), "u%d", i);
        put_node(&graph, "Op3", "x", to);
    }
    put_value(&graph, GRAPH_OUTPUT, "y");
    assert_int_equal(probe_graph(&graph, &summary, &error), SERIN_OK);
    assert_int_equal(summary.operator_count, ONNX_MAX_OPERATORS);
    assert_string_equal(summary.operators[0].name, "Op3");
    assert_int_equal(summary.operators[0].count, 2 * ONNX_MAX_OPERATORS + 1);
    onnx_summary_done(&summary);
}

static void an_initializer_is_no_input(void **state)
{
    struct buffer graph = part(), tensor = part();

    (void)state;
    /* Outputs and nodes before the rest: the fields of a message come in any order. */
    put_value(&graph, GRAPH_OUTPUT, "y");
    put_node(&graph, "Relu", "w", "y");
    put_text(&tensor, TENSOR_NAME, "w");
    put_number(&tensor, TENSOR_DIMS, 0);
    put_number(&tensor, TENSOR_DATA_TYPE, 1);
    put_part(&graph, GRAPH_INITIALIZER, &tensor);
    put_value(&graph, GRAPH_INPUT, "w");
    put_value(&graph, GRAPH_INPUT, "x");
    assert_int_equal(probe_graph(&graph, &summary, &error), SERIN_OK);
    assert_int_equal(summary.interface.input_count, 1);
    assert_string_equal(summary.interface.inputs[0].name, "x");
    assert_int_equal(summary.initializer_count, 1);
    onnx_summary_done(&summary);
}

/* ---- tensors ---- */

static enum serin_errc read_tensor(struct buffer *bytes, struct onnx_tensor *ret)
{
    struct protobuf file = {
        .bytes = (const uint8_t *)bytes->bytes, .size = bytes->size, .fields_left = ONNX_MAX_FIELDS};
    enum serin_errc rc;

    error = (struct serin_error){.code = SERIN_OK};
    rc = onnx_tensor_read(&file, (struct slice){file.bytes, file.size}, ret, &error);
    buffer_done(bytes);
    return rc;
}

static void nan_and_infinity_are_counted_apart_in_every_field(void **state)
{
    const float values[] = {1, (float)NAN, -(float)NAN, (float)INFINITY, -(float)INFINITY, 0, 3e38f, 1e-45f};
    const double doubles[] = {NAN, INFINITY, 1};
    const uint16_t halves[] = {0x7c00, 0xfc00, 0x7c01, 0xffff, 0x7bff, 0x3c00};
    float many[200] = {
        [0] = (float)NAN, [63] = (float)INFINITY, [64] = (float)NAN, [127] = (float)NAN, [199] = (float)INFINITY};
    struct onnx_tensor tensor;
    struct buffer bytes = part(), packed = part();
    size_t i;

    (void)state;
    put_number(&bytes, TENSOR_DIMS, 200);
    put_number(&bytes, TENSOR_DATA_TYPE, 1);
    put_bytes(&bytes, TENSOR_RAW_DATA, many, sizeof(many));
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.nan_count, 3);
    assert_int_equal(tensor.inf_count, 2);
    bytes = part();
    put_bytes(&bytes, TENSOR_RAW_DATA, values, sizeof(values)); /* before the type that says what it means */
    put_number(&bytes, TENSOR_DIMS, 8);
    put_number(&bytes, TENSOR_DATA_TYPE, 1);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.nan_count, 2);
    assert_int_equal(tensor.inf_count, 2);
    bytes = part();
    put_number(&bytes, TENSOR_DIMS, 2);
    put_number(&bytes, TENSOR_DIMS, 4);
    put_number(&bytes, TENSOR_DATA_TYPE, 1);
    put_bytes(&bytes, TENSOR_FLOAT_DATA, values, 4 * sizeof(float));
    for (i = 4; i < 8; i++) {
        put_varint(&bytes, TENSOR_FLOAT_DATA << 3 | WIRE_FIXED32);
        buffer_append(&bytes, &values[i], sizeof(float));
    }
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.nan_count, 2);
    assert_int_equal(tensor.inf_count, 2);
    assert_int_equal(tensor.element_count, 8);
    bytes = part();
    put_number(&bytes, TENSOR_DIMS, 3);
    put_number(&bytes, TENSOR_DATA_TYPE, 11);
    put_bytes(&bytes, TENSOR_DOUBLE_DATA, doubles, sizeof(doubles));
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.nan_count, 1);
    assert_int_equal(tensor.inf_count, 1);
    bytes = part();
    put_number(&bytes, TENSOR_DIMS, 6);
    put_number(&bytes, TENSOR_DATA_TYPE, 10);
    for (i = 0; i < 6; i++)
        put_varint(&packed, halves[i]);
    put_part(&bytes, TENSOR_INT32_DATA, &packed);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.nan_count, 2);
    assert_int_equal(tensor.inf_count, 2);
}

static void numbers_that_are_no_scale_are_counted(void **state)
{
    static const struct {
        uint64_t type, count;
        uint32_t bits[9];
        uint64_t broken;
    } rows[] = {
        /* 1, the smallest normal, the largest; 0, -0, -1, subnormal, infinity, NaN */
        {1, 9, {0x3f800000, 0x00800000, 0x7f7fffff, 0, 0x80000000, 0xbf800000, 1, 0x7f800000, 0x7fc00000}, 6},
        {16, 9, {0x3f80, 0x0080, 0x7f7f, 0, 0x8000, 0xbf80, 1, 0x7f80, 0x7fc0}, 6},
        {10, 9, {0x3c00, 0x0400, 0x7bff, 0, 0x8000, 0xbc00, 1, 0x7c00, 0x7e00}, 5}, /* 2^-24 is normal in 32 bits */
        {6, 3, {0, 1, 2}, 0},
    };
    struct onnx_tensor tensor;
    struct buffer bytes;
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint16_t halves[9];
        const bool half = rows[i].type >= 10;

        for (k = 0; k < 9; k++)
            halves[k] = (uint16_t)rows[i].bits[k];
        bytes = part();
        put_number(&bytes, TENSOR_DIMS, rows[i].count);
        put_number(&bytes, TENSOR_DATA_TYPE, rows[i].type);
        put_bytes(&bytes, TENSOR_RAW_DATA, half ? (const void *)halves : rows[i].bits, rows[i].count * (half ? 2 : 4));
        assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
        assert_int_equal(tensor.no_scale_count, rows[i].broken);
    }
}

/* Only what rounds is asked for its scale: a Mul may multiply with 0. */
static void broken_scales_are_counted_where_they_are_used(void **state)
{
    static const char *const users[][3] = {{"QuantizeLinear", "x", "good"},   {"QuantizeLinear", "x", "bad"},
                                           {"QuantizeLinear", "bad", "good"}, {"Mul", "x", "bad"},
                                           {"DequantizeLinear", "x", "bad"},  {"DequantizeLinear", "x", "good"}};
    const float scales[2][2] = {{0.5f, 1.0f}, {0.5f, 0.0f}};
    struct buffer graph = part();
    size_t i;

    (void)state;
    put_value(&graph, GRAPH_INPUT, "x");
    for (i = 0; i < 2; i++) {
        struct buffer tensor = part();

        put_text(&tensor, TENSOR_NAME, i ? "bad" : "good");
        put_number(&tensor, TENSOR_DIMS, 2);
        put_number(&tensor, TENSOR_DATA_TYPE, 1);
        put_bytes(&tensor, TENSOR_RAW_DATA, scales[i], sizeof(scales[i]));
        put_part(&graph, GRAPH_INITIALIZER, &tensor);
    }
    for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct buffer node = part();
        char output[8];

        snprintf(output, sizeof(output), "y%zu", i);
        put_text(&node, NODE_INPUT, users[i][1]);
        put_text(&node, NODE_INPUT, users[i][2]);
        put_text(&node, NODE_OUTPUT, output);
        put_text(&node, NODE_OP_TYPE, users[i][0]);
        put_part(&graph, GRAPH_NODE, &node);
    }
    put_value(&graph, GRAPH_OUTPUT, "y0");
    assert_int_equal(probe_graph(&graph, &summary, &error), SERIN_OK);
    assert_int_equal(summary.broken_scale_count, 2);
    onnx_summary_done(&summary);
}

static void small_and_paired_elements_are_measured(void **state)
{
    struct onnx_tensor tensor;
    struct buffer bytes = part(), dims = part();

    (void)state;
    put_varint(&dims, 3); /* packed */
    put_varint(&dims, 3);
    put_part(&bytes, TENSOR_DIMS, &dims);
    put_number(&bytes, TENSOR_DATA_TYPE, 22); /* int4: two in a byte */
    put_bytes(&bytes, TENSOR_RAW_DATA, "12345", 5);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    assert_int_equal(tensor.bytes, 5);
    bytes = part();
    put_number(&bytes, TENSOR_DIMS, 1);
    put_number(&bytes, TENSOR_DATA_TYPE, 14); /* complex64: two floats */
    put_bytes(&bytes, TENSOR_FLOAT_DATA, "12345678", 8);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    bytes = part();
    put_number(&bytes, TENSOR_DATA_TYPE, 8); /* a string, of no dimension */
    put_text(&bytes, TENSOR_STRING_DATA, "x");
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_OK);
    bytes = part();
    put_number(&bytes, TENSOR_DATA_TYPE, 8);
    put_text(&bytes, TENSOR_RAW_DATA, "");
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_CORRUPT);
    bytes = part();
    put_number(&bytes, TENSOR_DATA_TYPE, 1);
    put_bytes(&bytes, TENSOR_FLOAT_DATA, "12345", 5);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_CORRUPT);
    bytes = part();
    put_number(&bytes, TENSOR_DATA_TYPE, 7);
    put_bytes(&bytes, TENSOR_INT64_DATA, "\x80", 1);
    assert_int_equal(read_tensor(&bytes, &tensor), SERIN_CORRUPT);
}

/* ---- names ---- */

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void names_come_and_go_in_scopes(void **state)
{
    static char names[5000][8];
    struct name_set set;
    int i;

    (void)state;
    name_set_init(&set);
    assert_null(name_set_find(&set, slice_of("n0")));
    for (i = 0; i < 5000; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        assert_int_equal(name_set_add(&set, slice_of(names[i]), (uint32_t)i, &error), SERIN_OK);
    }
    for (i = 0; i < 5000; i++)
        assert_int_equal(name_set_find(&set, slice_of(names[i]))->flags, i);
    assert_null(name_set_find(&set, slice_of("n5000")));
    assert_null(name_set_find(&set, slice_of("n")));
    name_set_shrink(&set, 1234);
    for (i = 0; i < 5000; i++)
        assert_int_equal(name_set_find(&set, slice_of(names[i])) != NULL, i < 1234);
    assert_int_equal(name_set_add(&set, slice_of(names[4000]), 1, &error), SERIN_OK);
    assert_non_null(name_set_find(&set, slice_of(names[4000])));
    name_set_done(&set);
}

static void varints_end_within_64_bits(void **state)
{
    static const uint8_t largest[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
                         over[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
    uint64_t value = 0;
    size_t at = 0;

    (void)state;
    assert_true(varint_read(largest, sizeof(largest), &at, &value));
    assert_true(value == UINT64_MAX && at == 10);
    at = 0;
    assert_false(varint_read(over, sizeof(over), &at, &value));
    at = 0;
    assert_false(varint_read(largest, 9, &at, &value));
    at = 0;
    assert_false(varint_read(largest, 0, &at, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exported_model_is_summed_up),
        cmocka_unit_test(what_convolutions_are_of_is_the_precision),
        cmocka_unit_test(hostile_files_get_the_sentence_of_their_row),
        cmocka_unit_test(every_cut_and_flip_is_survived),
        cmocka_unit_test(a_hundred_thousand_metadata_entries_are_refused),
        cmocka_unit_test(nodes_are_counted_and_limited),
        cmocka_unit_test(nodes_out_of_order_are_taken_in_rounds),
        cmocka_unit_test(fields_are_limited),
        cmocka_unit_test(kinds_of_operators_beyond_the_table_are_not_named),
        cmocka_unit_test(an_initializer_is_no_input),
        cmocka_unit_test(nan_and_infinity_are_counted_apart_in_every_field),
        cmocka_unit_test(numbers_that_are_no_scale_are_counted),
        cmocka_unit_test(broken_scales_are_counted_where_they_are_used),
        cmocka_unit_test(small_and_paired_elements_are_measured),
        cmocka_unit_test(names_come_and_go_in_scopes),
        cmocka_unit_test(varints_end_within_64_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
