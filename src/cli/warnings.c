/*
 * warnings.c - rules, each a question to the model and a sentence with the remedy.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OLDEST_GOOD_OPSET                                                                                              \
    12 /* below, ONNX Runtime has neither the fused nor the quantised kernels for YOLO's operators */

void warnings_add(struct warnings *warnings, const char *code, const char *format, ...)
{
    struct warning *warning;
    va_list args;

    if (warnings->count >= WARNINGS_MAX)
        return;
    warning = &warnings->items[warnings->count++];
    warning->code = code;
    va_start(args, format);
    vsnprintf(warning->sentence, sizeof(warning->sentence), format, args);
    va_end(args);
}

static bool has_operator(const struct onnx_summary *summary, const char *name)
{
    int i;

    for (i = 0; i < summary->operator_count; i++)
        if (strcmp(summary->operators[i].name, name) == 0)
            return true;
    return false;
}

static void look_at_types(struct warnings *warnings, const struct onnx_summary *summary, bool on_cpu)
{
    const struct engine_interface *interface = &summary->interface;
    bool fp64 = summary->bytes_by_type[TENSOR_F64] > 64; /* a few constants do no harm */
    int i;

    for (i = 0; i < interface->input_count; i++)
        fp64 = fp64 || interface->inputs[i].type == TENSOR_F64;
    for (i = 0; i < interface->output_count; i++)
        fp64 = fp64 || interface->outputs[i].type == TENSOR_F64;
    if (summary->nan_count)
        warnings_add(warnings, "nan_weights",
                     "%llu of its weights are NaN: the training went wrong, and what it finds cannot be relied on",
                     (unsigned long long)summary->nan_count);
    if (summary->inf_count)
        warnings_add(warnings, "infinite_weights", "%llu of its weights are infinite, which is seldom meant",
                     (unsigned long long)summary->inf_count);
    if (summary->broken_scale_count)
        warnings_add(
            warnings, "broken_scales",
            "%zu of its roundings to 8 bits have a scale that is 0, negative, NaN, infinite or too small: what "
            "passes them is lost, and it may find nothing. --provider onednn refuses it; quantize it anew",
            summary->broken_scale_count);
    if (fp64)
        warnings_add(warnings, "fp64",
                     "64-bit floats: twice the memory and half the speed, for digits that no box needs. Convert the "
                     "weights to fp32 and export again");
    if (on_cpu && has_operator(summary, "DynamicQuantizeLinear"))
        warnings_add(
            warnings, "dynamic_quantisation_on_cpu",
            "quantised dynamically: every picture pays for measuring and rounding each layer's input, and on a CPU "
            "that usually costs more than the 8-bit arithmetic saves; it is less accurate, too. Compare it with "
            "the fp32 export in 'serin bench' and 'serin eval'");
    else if (summary->quantized && on_cpu)
        warnings_add(
            warnings, "quantised_on_cpu",
            "quantised to 8 bits: the file is smaller, but ONNX Runtime on a CPU is often slower with it than in fp32; "
            "--provider onednn computes it in integers. Compare both with 'serin bench' and 'serin eval'");
    if (!summary->quantized && on_cpu && summary->bytes_by_type[TENSOR_F16] > summary->bytes_by_type[TENSOR_F32])
        warnings_add(
            warnings, "fp16_on_cpu",
            "16-bit floats on a CPU: most are computed in fp32 with conversions in between, which is slower than an "
            "fp32 export. Serve it from a GPU, or export without half=True");
}

static void look_at_metadata(struct warnings *warnings, const struct onnx_summary *summary)
{
    const char *args = onnx_summary_find(summary, "args");

    if (summary->metadata_count == 0 || !onnx_summary_find(summary, "names"))
        warnings_add(
            warnings, "no_metadata",
            "no metadata: class names, task and stride are not in the file. They come from a sidecar (MODEL.yaml) or "
            "are guessed; a model released without them cannot be told from another");
    else if (!onnx_summary_find(summary, "license"))
        warnings_add(warnings, "no_licence", "the metadata names no licence");
    if (args && strstr(args, "'simplify': False"))
        warnings_add(
            warnings, "not_simplified",
            "exported with simplify=False: the graph of %zu nodes holds arithmetic that could have been done once. "
            "It loads slower; export with simplify=True",
            summary->node_count);
    if (summary->opset > 0 && summary->opset < OLDEST_GOOD_OPSET)
        warnings_add(warnings, "old_opset", "opset %lld is old: export with opset %d or later for the faster kernels",
                     (long long)summary->opset, OLDEST_GOOD_OPSET);
}

static void look_at_model(struct warnings *warnings, const struct serin_yolo_info *info)
{
    if (info->batch == 1)
        warnings_add(warnings, "fixed_batch",
                     "fixed batch 1: pictures cannot be computed together, which leaves most of a GPU idle under load. "
                     "Export with dynamic=True");
    else if (info->batch > 1)
        warnings_add(warnings, "fixed_batch",
                     "fixed batch %d: a single picture costs as much as %d. Export with dynamic=True", info->batch,
                     info->batch);
    if (info->task != SERIN_CLASSIFY && info->stride > 0 &&
        (info->input_height % info->stride || info->input_width % info->stride))
        warnings_add(warnings, "size_not_of_stride",
                     "the input of %d x %d is no multiple of the stride %d: boxes at the edges will be off",
                     info->input_height, info->input_width, info->stride);
    if (info->input_height > 0 && info->input_width > 0 && (info->input_height > 1280 || info->input_width > 1280))
        warnings_add(warnings, "large_input", "an input of %d x %d costs %.1f times as much as 640 x 640",
                     info->input_height, info->input_width,
                     (double)info->input_height * info->input_width / (640.0 * 640.0));
}

void warnings_collect(struct warnings *warnings, const struct onnx_summary *summary, const struct serin_yolo_info *info)
{
    bool on_cpu = !info || strcmp(info->provider, "cpu") == 0;

    if (info)
        look_at_model(warnings, info);
    if (summary) {
        look_at_types(warnings, summary, on_cpu);
        look_at_metadata(warnings, summary);
    }
}
