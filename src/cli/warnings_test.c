/*
 * warnings_test.c - that each thing that hurts is said, and that a good model gets no warning.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/warnings.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct onnx_summary good_summary(void)
{
    static char *const metadata[][2] = {{"names", "{0: 'a'}"}, {"license", "AGPL-3.0"}, {"args", "{'simplify': True}"}};
    struct onnx_summary summary = {
        .opset = 17, .metadata_count = 3, .interface = {.input_count = 1, .output_count = 1}};
    int i;

    for (i = 0; i < 3; i++)
        summary.metadata[i] = (struct onnx_metadata){metadata[i][0], metadata[i][1]};
    summary.bytes_by_type[TENSOR_F32] = 1000;
    return summary;
}

static struct serin_yolo_info good_info(void)
{
    return (struct serin_yolo_info){
        .task = SERIN_DETECT, .input_height = 640, .input_width = 640, .stride = 32, .provider = "cpu"};
}

/* The codes of the warnings, with a space behind each. */
static const char *codes(const struct onnx_summary *summary, const struct serin_yolo_info *info)
{
    static struct warnings warnings;
    static char text[1000];
    size_t used = 0;
    int i;

    warnings = (struct warnings){0};
    warnings_collect(&warnings, summary, info);
    text[0] = '\0';
    for (i = 0; i < warnings.count; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", warnings.items[i].code);
    return text;
}

static void a_good_model_is_left_in_peace(void **state)
{
    struct onnx_summary summary = good_summary();
    struct serin_yolo_info info = good_info();

    (void)state;
    assert_string_equal(codes(&summary, &info), "");
    assert_string_equal(codes(NULL, NULL), "");
}

static void what_hurts_is_said(void **state)
{
    struct onnx_summary summary = good_summary();
    struct serin_yolo_info info = good_info();

    (void)state;
    info.batch = 1;
    assert_string_equal(codes(&summary, &info), "fixed_batch ");
    info = good_info();
    info.input_width = 650;
    assert_string_equal(codes(&summary, &info), "size_not_of_stride ");
    info = good_info();
    info.input_width = 1920;
    assert_string_equal(codes(&summary, &info), "large_input ");
    info = good_info();

    summary.interface.outputs[0].type = TENSOR_F64;
    assert_string_equal(codes(&summary, &info), "fp64 ");
    summary = good_summary();
    summary.nan_count = 1;
    assert_string_equal(codes(&summary, &info), "nan_weights ");
    summary = good_summary();
    summary.broken_scale_count = 1;
    assert_string_equal(codes(&summary, &info), "broken_scales ");
    summary = good_summary();
    summary.quantized = true;
    assert_string_equal(codes(&summary, &info), "quantised_on_cpu ");
    summary.operators[0] = (struct onnx_operator){"DynamicQuantizeLinear", 60};
    summary.operator_count = 1;
    assert_string_equal(codes(&summary, &info), "dynamic_quantisation_on_cpu ");
    info.provider = "cuda";
    assert_string_equal(codes(&summary, &info), "");
    info = good_info();
    summary = good_summary();
    summary.bytes_by_type[TENSOR_F16] = 2000;
    assert_string_equal(codes(&summary, &info), "fp16_on_cpu ");
    summary = good_summary();
    summary.opset = 9;
    assert_string_equal(codes(&summary, &info), "old_opset ");
    summary = good_summary();
    summary.metadata_count = 1; /* only the names */
    assert_string_equal(codes(&summary, &info), "no_licence ");
    summary.metadata_count = 0;
    assert_string_equal(codes(&summary, &info), "no_metadata ");
    summary = good_summary();
    summary.metadata[2].value = (char *)"{'batch': 1, 'simplify': False}";
    assert_string_equal(codes(&summary, &info), "not_simplified ");
}

static void warnings_beyond_the_limit_are_dropped(void **state)
{
    static struct warnings warnings;
    int i;

    (void)state;
    for (i = 0; i < 2 * WARNINGS_MAX; i++)
        warnings_add(&warnings, "code", "%0600d", i);
    assert_int_equal(warnings.count, WARNINGS_MAX);
    assert_int_equal(strlen(warnings.items[0].sentence), WARNING_MAX_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_model_is_left_in_peace),
        cmocka_unit_test(what_hurts_is_said),
        cmocka_unit_test(warnings_beyond_the_limit_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
