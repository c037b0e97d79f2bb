/*
 * inspect.c - serin inspect: what an ONNX file is, and what about it will hurt in production.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two readers look at the file: the probe, which runs nothing and therefore knows something of every file, and the
 * library, which opens it and makes one trial prediction, since a network full of NaN looks healthy until it runs.
 */
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/bundle_report.h"
#include "cli/data_dir.h"
#include "cli/model.h"
#include "cli/terminal.h"
#include "cli/warnings.h"
#include "engine/onnx_probe.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MODEL_BYTES  (1ull << 30) /* as serin_yolo_open's default */
#define MAX_REPORT_BYTES (16u << 20)
#define LISTED_OPERATORS 6
#define LISTED_CLASSES   12 /* for people; JSON has them all */

struct inspect_settings {
    struct model_settings model;
    const char *data_dir;
    bool json;
};

static const struct cli_option options[] = {
    {.name = "model",
     .value = "M.onnx",
     .type = CLI_TEXT,
     .offset = offsetof(struct inspect_settings, model.path),
     .help = "the same as M.onnx without --model, for other verbs have it so"},
    MODEL_ENGINE_OPTIONS(inspect_settings),
    DATA_DIR_OPTION(inspect_settings),
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct inspect_settings, json),
     .help = "print one JSON object"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin inspect yolov8n.onnx", "what a model is, and what to mend before it is released"},
    {"serin inspect --json yolov8n.onnx | jq -r .sha256", "its digest"},
    {"serin inspect street-person:v1.0.0-cpu", "what a version in the store is, its digests checked"},
    {0},
};

/* What is known of one file; the parts that could not be read are absent. */
struct inspection {
    const char *path;
    uint8_t *bytes;
    size_t size;
    char sha256[65];
    bool probed;
    struct onnx_summary summary;
    struct serin_yolo *yolo; /* NULL: not one that we know */
    struct serin_error open_error, trial_error;
    bool trial_failed;
    struct warnings warnings;
};

static void digest(struct inspection *inspection)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int length;

    if (EVP_Digest(inspection->bytes, inspection->size, hash, &length, EVP_sha256(), NULL) == 1 && length == 32)
        text_hex(hash, length, inspection->sha256);
}

static void try_once(struct inspection *inspection)
{
    enum { SIDE = 64 };
    uint8_t pixels[SIDE * SIDE * 3];
    struct serin_image image = {pixels, SIDE, SIDE, (size_t)SIDE * 3};
    struct serin_result *result = NULL;
    size_t i;

    for (i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 7 + i / 192 * 5); /* some texture */
    inspection->trial_failed =
        serin_yolo_predict(inspection->yolo, &image, 1, NULL, &result, &inspection->trial_error) != SERIN_OK;
    serin_result_free(result);
}

/* ---- for people ---- */

static void print_field(const char *name, const char *text)
{
    printf("%-12s ", name);
    terminal_text(stdout, text && *text ? text : "-");
    putchar('\n');
}

static void print_size(size_t bytes)
{
    if (bytes < 1000000)
        printf("%-12s %.1f kB (%zu bytes)\n", "size", (double)bytes / 1e3, bytes);
    else
        printf("%-12s %.1f MB (%zu bytes)\n", "size", (double)bytes / 1e6, bytes);
}

static void print_tensors(const char *name, const struct tensor_spec *specs, int count)
{
    char text[256];
    int i;

    for (i = 0; i < count; i++) {
        printf("%-12s ", i ? "" : name);
        terminal_text(stdout, specs[i].name);
        printf("  %s\n", tensor_spec_text(&specs[i], text, sizeof(text)));
    }
}

static void print_network(const struct onnx_summary *summary)
{
    bool first = true;
    int type, i;

    print_tensors("input", summary->interface.inputs, summary->interface.input_count);
    print_tensors("output", summary->interface.outputs, summary->interface.output_count);
    printf("%-12s %.2f million in %zu tensors", "parameters", (double)summary->parameter_count / 1e6,
           summary->initializer_count);
    for (type = 0; type <= TENSOR_OTHER; type++) {
        if (!summary->bytes_by_type[type])
            continue;
        printf("%s%s %.2f MB", first ? ": " : ", ", tensor_type_name((enum tensor_type)type),
               (double)summary->bytes_by_type[type] / 1e6);
        first = false;
    }
    printf("%s\n%-12s %zu nodes, opset %lld, IR %lld, producer ", summary->quantized ? ", quantised" : "", "graph",
           summary->node_count, (long long)summary->opset, (long long)summary->ir_version);
    terminal_text(stdout, *summary->producer ? summary->producer : "-");
    putchar('\n');
    for (i = 0; i < summary->operator_count && i < LISTED_OPERATORS; i++) {
        printf("%s%zu ", i ? ", " : "             ", summary->operators[i].count);
        terminal_text(stdout, summary->operators[i].name);
    }
    if (i < summary->operator_count)
        printf(", and %d other kinds", summary->operator_count - i);
    putchar('\n');
}

static void print_model(const struct serin_yolo_info *info, const char *precision)
{
    char batch[32];
    int i;

    printf("%-12s %s (%s head%s)\n", "task", serin_task_name(info->task), info->head,
           info->end_to_end ? ", boxes come out final" : "");
    printf("%-12s %d: ", "classes", info->class_count);
    for (i = 0; i < info->class_count && i < LISTED_CLASSES; i++) {
        fputs(i ? ", " : "", stdout);
        terminal_text(stdout, info->class_names[i]);
    }
    if (i < info->class_count)
        printf(", and %d more", info->class_count - i);
    snprintf(batch, sizeof(batch), "%d", info->batch);
    printf("\n%-12s %d x %d (height x width), %s, stride %d, batch %s, %s\n", "input size", info->input_height,
           info->input_width, info->dynamic_size ? "others too" : "fixed", info->stride, info->batch ? batch : "any",
           precision);
    if (info->task == SERIN_POSE)
        printf("%-12s %d of %d values\n", "keypoints", info->keypoint_count, info->keypoint_dims);
    print_field("description", info->description);
    print_field("licence", info->license);
    printf("%-12s %s, %d thread%s%s", "engine", info->provider, info->threads, info->threads == 1 ? "" : "s",
           *info->provider_why ? ", because " : "");
    terminal_text(stdout, info->provider_why);
    putchar('\n');
}

static void print_report(const struct inspection *inspection)
{
    int i;

    print_field("file", inspection->path);
    print_size(inspection->size);
    print_field("sha256", inspection->sha256);
    if (inspection->yolo)
        print_model(serin_yolo_get_info(inspection->yolo), onnx_summary_precision(&inspection->summary));
    if (inspection->probed)
        print_network(&inspection->summary);
    if (inspection->warnings.count)
        printf("\n%d thing%s will hurt:\n", inspection->warnings.count, inspection->warnings.count == 1 ? "" : "s");
    for (i = 0; i < inspection->warnings.count; i++) {
        fputs("  ! ", stdout);
        terminal_text(stdout, inspection->warnings.items[i].sentence);
        putchar('\n');
    }
}

/* ---- for programs ---- */

static void json_tensors(struct json_writer *json, const char *key, const struct tensor_spec *specs, int count)
{
    int i, k;

    json_key(json, key);
    json_begin_array(json);
    for (i = 0; i < count; i++) {
        json_begin_object(json);
        json_key(json, "name");
        json_write_string(json, specs[i].name);
        json_key(json, "type");
        json_write_string(json, tensor_type_name(specs[i].type));
        json_key(json, "shape");
        json_begin_array(json);
        for (k = 0; k < specs[i].rank; k++) {
            if (specs[i].shape[k] < 0)
                json_write_null(json);
            else
                json_write_integer(json, specs[i].shape[k]);
        }
        json_end_array(json);
        json_end_object(json);
    }
    json_end_array(json);
}

static void json_network(struct json_writer *json, const struct onnx_summary *summary)
{
    int i;

    json_tensors(json, "inputs", summary->interface.inputs, summary->interface.input_count);
    json_tensors(json, "outputs", summary->interface.outputs, summary->interface.output_count);
    json_put_integer(json, "parameters", (int64_t)summary->parameter_count);
    json_put_integer(json, "nodes", (int64_t)summary->node_count);
    json_key(json, "operators");
    json_begin_object(json);
    for (i = 0; i < summary->operator_count; i++)
        json_put_integer(json, summary->operators[i].name, (int64_t)summary->operators[i].count);
    json_end_object(json);
    json_put_integer(json, "nan_weights", (int64_t)summary->nan_count);
    json_put_integer(json, "infinite_weights", (int64_t)summary->inf_count);
    json_put_integer(json, "opset", summary->opset);
    json_put_integer(json, "ir_version", summary->ir_version);
    json_put_string(json, "producer", summary->producer);
    json_key(json, "quantized");
    json_write_boolean(json, summary->quantized);
    json_key(json, "weight_bytes");
    json_begin_object(json);
    for (i = 0; i <= TENSOR_OTHER; i++)
        if (summary->bytes_by_type[i])
            json_put_integer(json, tensor_type_name((enum tensor_type)i), (int64_t)summary->bytes_by_type[i]);
    json_end_object(json);
    json_key(json, "metadata");
    json_begin_object(json);
    for (i = 0; i < summary->metadata_count; i++)
        json_put_string(json, summary->metadata[i].key, summary->metadata[i].value);
    json_end_object(json);
}

static void json_model(struct json_writer *json, const struct serin_yolo_info *info, const char *precision)
{
    int i;

    json_put_string(json, "task", serin_task_name(info->task));
    json_put_string(json, "head", info->head);
    json_key(json, "classes");
    json_begin_array(json);
    for (i = 0; i < info->class_count; i++)
        json_write_string(json, info->class_names[i]);
    json_end_array(json);
    json_key(json, "imgsz");
    json_begin_array(json);
    json_write_integer(json, info->input_height);
    json_write_integer(json, info->input_width);
    json_end_array(json);
    json_key(json, "dynamic_size");
    json_write_boolean(json, info->dynamic_size);
    json_put_integer(json, "stride", info->stride);
    json_key(json, "batch");
    if (info->batch)
        json_write_integer(json, info->batch);
    else
        json_write_null(json);
    json_put_string(json, "precision", precision);
    json_key(json, "end_to_end");
    json_write_boolean(json, info->end_to_end);
    if (info->task == SERIN_POSE) {
        json_key(json, "kpt_shape");
        json_begin_array(json);
        json_write_integer(json, info->keypoint_count);
        json_write_integer(json, info->keypoint_dims);
        json_end_array(json);
    }
    json_put_string(json, "description", info->description);
    json_put_string(json, "license", info->license);
    json_put_string(json, "provider", info->provider);
    json_put_string(json, "provider_why", info->provider_why);
    json_put_integer(json, "threads", info->threads);
}

static void json_report(struct json_writer *json, const struct inspection *inspection)
{
    int i;

    json_begin_object(json);
    json_put_string(json, "file", inspection->path);
    if (inspection->sha256[0]) {
        json_put_integer(json, "size_bytes", (int64_t)inspection->size);
        json_put_string(json, "sha256", inspection->sha256);
    } else { /* it could not even be read */
        json_key(json, "size_bytes");
        json_write_null(json);
        json_key(json, "sha256");
        json_write_null(json);
    }
    if (inspection->yolo)
        json_model(json, serin_yolo_get_info(inspection->yolo), onnx_summary_precision(&inspection->summary));
    else
        json_put_string(json, "error", inspection->open_error.message);
    if (inspection->probed)
        json_network(json, &inspection->summary);
    json_key(json, "warnings");
    json_begin_array(json);
    for (i = 0; i < inspection->warnings.count; i++) {
        json_begin_object(json);
        json_put_string(json, "code", inspection->warnings.items[i].code);
        json_put_string(json, "message", inspection->warnings.items[i].sentence);
        json_end_object(json);
    }
    json_end_array(json);
    json_end_object(json);
}

static void print_json(const struct inspection *inspection, int *code)
{
    struct json_writer json;
    struct serin_error error;
    struct buffer out;

    buffer_init(&out, MAX_REPORT_BYTES);
    json_init(&json, &out);
    json_report(&json, inspection);
    if (buffer_check(&out, "the report", &error) == SERIN_OK) {
        puts(out.bytes);
    } else {
        terminal_complain("inspect: %s", error.message);
        *code = CLI_FAILED;
    }
    buffer_done(&out);
}

/* What cannot be read at all: a sentence, and in JSON the object that a file which is no model gives too. */
static int report_unread(const struct inspect_settings *settings, const char *operand, const struct serin_error *error)
{
    struct inspection inspection = {.path = operand, .open_error = *error};
    int code = CLI_FAILED;

    if (settings->json)
        print_json(&inspection, &code);
    if (terminal_flush())
        terminal_complain("inspect: %s", error->message);
    return code;
}

/* ---- a version ---- */

/* "NAME:TAG" or "NAME@sha256:...", and no file of that name. */
static bool is_version(const char *operand)
{
    const char *at = strchr(operand, '@');
    struct version_name name;

    if (access(operand, F_OK) == 0)
        return false;
    return (at && strncmp(at, "@sha256:", 8) == 0) || version_name_parse(operand, &name, NULL) == SERIN_OK;
}

static int inspect_version(const struct inspect_settings *settings, const char *name)
{
    struct bundle bundle = {.class_count = 0};
    struct bundles *store = NULL;
    struct serin_error error;
    enum serin_errc rc;
    int code = CLI_OK;

    rc = data_dir_open(settings->data_dir, false, &store, &error);
    if (rc == SERIN_OK)
        rc = bundles_find(store, name, &bundle, &error);
    if (rc == SERIN_OK)
        rc = bundles_verify(store, name, &error);
    if (rc != SERIN_OK) {
        code = report_unread(settings, name, &error);
    } else if (settings->json) {
        code = bundle_report_json("inspect", &bundle, 1, false);
    } else {
        bundle_report_print(&bundle);
    }
    bundle_done(&bundle);
    bundles_close(store);
    return code;
}

static int inspect(const void *given, char *const *operands, size_t operand_count)
{
    const struct inspect_settings *settings = given;
    struct model_settings model = settings->model;
    struct inspection inspection = {.path = operand_count ? operands[0] : model.path};
    struct serin_error error;
    int code = CLI_OK;

    if (!inspection.path || (operand_count && model.path)) {
        terminal_complain("inspect: %s; 'serin inspect --help' has examples",
                          inspection.path ? "a model by --model and one without it: it takes one"
                                          : "nothing to work on: M.onnx|NAME:TAG is missing");
        return CLI_USAGE;
    }
    if (operand_count && is_version(inspection.path))
        return inspect_version(settings, inspection.path);
    if (file_read(inspection.path, MAX_MODEL_BYTES, &inspection.bytes, &inspection.size, &error) != SERIN_OK)
        return report_unread(settings, inspection.path, &error);
    digest(&inspection);
    inspection.probed = onnx_probe(inspection.bytes, inspection.size, &inspection.summary, &error) == SERIN_OK;
    free(inspection.bytes); /* a model is large, and the library reads it by itself */
    model.path = inspection.path;
    inspection.yolo = model_try_open(&model, &inspection.open_error);
    if (inspection.yolo)
        try_once(&inspection);
    warnings_collect(&inspection.warnings, inspection.probed ? &inspection.summary : NULL,
                     inspection.yolo ? serin_yolo_get_info(inspection.yolo) : NULL);
    if (inspection.trial_failed)
        warnings_add(&inspection.warnings, "trial_failed", "a trial prediction failed: %s",
                     inspection.trial_error.message);
    if (!inspection.yolo || inspection.trial_failed)
        code = CLI_FAILED;
    if (settings->json)
        print_json(&inspection, &code);
    else
        print_report(&inspection);
    if (!inspection.yolo && terminal_flush())
        terminal_complain("%s", inspection.open_error.message);
    serin_yolo_close(inspection.yolo);
    if (inspection.probed)
        onnx_summary_done(&inspection.summary);
    return code;
}

const struct cli_verb cli_inspect = {
    .name = "inspect",
    .summary = "say what a model or a version is, and what about it will hurt",
    .operands = "M.onnx|NAME:TAG",
    .max_operands = 1,
    .text =
        "Shows task, classes, inputs and outputs, precision, size, digest, licence and description of a model, makes "
        "one "
        "trial prediction, and lists what will cost speed or accuracy once the model serves: a fixed batch of one, "
        "64-bit floats, missing metadata, and others.\n\n"
        "Of a file that is no YOLO model it shows what can be read, and why it cannot be used; the exit code is then "
        "1. Warnings alone do not change the exit code. With --json every failure but a wrong command line gives an "
        "object with file and error.\n\n"
        "A NAME:TAG or NAME@sha256:... that is no file is looked up in the store of versions. The digests of all that "
        "the version consists of are checked.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct inspect_settings),
    .runs_networks = true,
    .run = inspect,
};
