/*
 * push.c - serin push: a model becomes a version.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file is read once: the bytes that are tried are the bytes that are stored. It is opened without a sidecar, since
 * a bundle has none: a worker must be able to run what is in the store.
 */
#include "base/file.h"
#include "base/json.h"
#include "cli/bundle_report.h"
#include "cli/data_digest.h"
#include "cli/data_dir.h"
#include "cli/evaluation.h"
#include "cli/golden_pictures.h"
#include "cli/model.h"
#include "cli/tag_hint.h"
#include "cli/terminal.h"
#include "engine/onnx_probe.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct push_settings {
    struct model_settings model;
    struct cli_texts set, golden;
    const char *eval, *scan;
    const char *data_dir;
    bool json;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(push_settings),
    {.name = "set",
     .value = "KEY=VALUE",
     .type = CLI_TEXTS,
     .offset = offsetof(struct push_settings, set),
     .help = "a setting that the version is served with, such as conf=.3; may be given several times"},
    {.name = "eval",
     .value = "DATA.yaml",
     .type = CLI_TEXT,
     .offset = offsetof(struct push_settings, eval),
     .help = "measure the accuracy on these labelled pictures, as 'serin eval' does, and keep it with the version"},
    {.name = "golden",
     .value = "FILE|DIR",
     .type = CLI_TEXTS,
     .offset = offsetof(struct push_settings, golden),
     .help =
         "pictures that are kept with what the model says of them now, and where the version is deployed it must say "
         "the same; may be given several times, up to 32 pictures of 8 MiB, 64 MiB together"},
    {.name = "scan",
     .value = "REPORT.json",
     .type = CLI_TEXT,
     .offset = offsetof(struct push_settings, scan),
     .help = "keep a security scan with the version: what 'trivy --format json' wrote"},
    DATA_DIR_OPTION(push_settings),
    {.name = "threads",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 1024,
     .offset = offsetof(struct push_settings, model.threads),
     .help = "threads of the engine for the trial; 0 is one for each processor this process may use"},
    MODEL_MEMORY_OPTION(push_settings),
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct push_settings, json),
     .help = "print one JSON object with all that is known of the version"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin push street-person:v1.0.0-cpu --model v1.0.0.onnx", "make a model a version"},
    {"serin push yolov8n:v1.3.0-gpu-cu118 --model yolov8n.onnx --set provider=cuda --set max_batch=16 --eval "
     "coco128.yaml",
     "with what it is served with, and how accurate it is"},
    {"serin push yolov8n:v1.3.0-cpu-bf16 --model yolov8n.onnx --set provider=onednn-bf16",
     "the same network in bf16, to be released as any other version"},
    {"serin push yolov8n:v1.3.0-cpu-int8 --model yolov8n-int8.onnx --set provider=onednn",
     "what 'serin quantize' made of it, computed in integers"},
    {"serin push yolov8n:v1.3.1-cpu --model yolov8n.onnx --golden golden/",
     "with pictures to which it must give the same answers where it is deployed"},
    {0},
};

struct push {
    const struct push_settings *settings;
    struct bundle bundle;
    uint8_t *model, *report;
    size_t model_bytes, report_bytes;
    struct serin_yolo *yolo;
    struct golden_pictures golden;
};

/* ---- what the model is ---- */

static enum serin_errc copy_names(struct push *push, const struct serin_yolo_info *info, struct serin_error *error)
{
    struct json_writer json;
    struct buffer out;
    enum serin_errc rc;
    int i;

    buffer_init(&out, BUNDLE_MAX_DESCRIPTION_BYTES);
    json_init(&json, &out);
    json_begin_array(&json);
    for (i = 0; i < info->class_count; i++)
        json_write_string(&json, info->class_names[i]);
    json_end_array(&json);
    rc = buffer_check(&out, "the list of class names", error);
    if (rc == SERIN_OK)
        push->bundle.class_names_json = buffer_steal(&out);
    buffer_done(&out);
    push->bundle.class_count = info->class_count;
    return rc;
}

static enum serin_errc copy_shapes(const struct tensor_spec *specs, int count, char **ret, struct serin_error *error)
{
    struct json_writer json;
    struct buffer out;
    enum serin_errc rc;
    char text[256];
    int i;

    buffer_init(&out, 64u << 10);
    json_init(&json, &out);
    json_begin_array(&json);
    for (i = 0; i < count; i++)
        json_write_string(&json, tensor_spec_text(&specs[i], text, sizeof(text)));
    json_end_array(&json);
    rc = buffer_check(&out, "the list of shapes", error);
    if (rc == SERIN_OK)
        *ret = buffer_steal(&out);
    buffer_done(&out);
    return rc;
}

/* What people would notice too late: a tag that says something else than the version is, and integers that are slow. */
static void warn(const struct bundle *bundle, const struct onnx_summary *summary)
{
    const bool int8 = summary->int8_convolutions > 0;
    const bool fp16 = summary->bytes_by_type[TENSOR_F16] > summary->bytes_by_type[TENSOR_F32];
    char provider[PROVIDER_MAX_BYTES], hint[TAG_HINT_BYTES];

    bundle_provider(bundle, provider);
    if (tag_hint(&bundle->name, provider, int8 ? "int8" : fp16 ? "fp16" : "fp32", hint))
        terminal_complain("push: %s", hint);
    if (int8 && strcmp(provider, "cpu") == 0)
        terminal_complain("push: the model is quantised to 8 bits, and ONNX Runtime on a CPU (provider cpu) is often "
                          "slower with it than in fp32: --set provider=onednn computes it in integers");
}

static enum serin_errc describe(struct push *push, struct serin_error *error)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(push->yolo);
    struct bundle *bundle = &push->bundle;
    struct onnx_summary summary;
    enum serin_errc rc;

    snprintf(bundle->task, sizeof(bundle->task), "%s", serin_task_name(info->task));
    snprintf(bundle->architecture, sizeof(bundle->architecture), "%s", info->head);
    rc = copy_names(push, info, error);
    if (rc == SERIN_OK)
        rc = onnx_probe(push->model, push->model_bytes, &summary, error);
    if (rc != SERIN_OK)
        return rc;
    rc = copy_shapes(summary.interface.inputs, summary.interface.input_count, &bundle->inputs_json, error);
    if (rc == SERIN_OK)
        rc = copy_shapes(summary.interface.outputs, summary.interface.output_count, &bundle->outputs_json, error);
    snprintf(bundle->precision, sizeof(bundle->precision), "%s", onnx_summary_precision(&summary));
    warn(bundle, &summary);
    onnx_summary_done(&summary);
    return rc;
}

/* ---- trying it ---- */

/* Settings that this model cannot follow. */
static enum serin_errc check_settings(const struct push *push, struct serin_error *error)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(push->yolo);
    int imgsz = (int)bundle_setting_get(&push->bundle, "imgsz", 0);
    int max_batch = (int)bundle_setting_get(&push->bundle, "max_batch", 0);

    if (imgsz && !info->dynamic_size && (imgsz != info->input_height || imgsz != info->input_width))
        return error_set(error, SERIN_INVALID, "setting imgsz is %d, and the model's size is fixed at %d x %d", imgsz,
                         info->input_height, info->input_width);
    if (max_batch && info->batch && max_batch != info->batch)
        return error_set(error, SERIN_INVALID, "setting max_batch is %d, and the model's batch is fixed at %d",
                         max_batch, info->batch);
    return SERIN_OK;
}

static void set_predict_options(const struct push *push, struct serin_predict_options *predict)
{
    serin_predict_options_init(predict);
    predict->conf = (float)bundle_setting_get(&push->bundle, "conf", (double)predict->conf);
    predict->iou = bundle_setting_get(&push->bundle, "iou", predict->iou);
    predict->max_det = (int)bundle_setting_get(&push->bundle, "max_det", predict->max_det);
    predict->input_height = predict->input_width = (int)bundle_setting_get(&push->bundle, "imgsz", 0);
}

/* One prediction with the settings it will be served with: a network full of NaN looks healthy until it runs. */
static enum serin_errc try_once(const struct push *push, struct serin_error *error)
{
    enum { SIDE = 64 };
    uint8_t pixels[SIDE * SIDE * 3];
    const struct serin_image image = {pixels, SIDE, SIDE, (size_t)SIDE * 3};
    struct serin_predict_options predict;
    struct serin_result *result = NULL;
    enum serin_errc rc;
    size_t i;

    for (i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 7 + i / 192 * 5); /* some texture */
    set_predict_options(push, &predict);
    rc = serin_yolo_predict(push->yolo, &image, 1, &predict, &result, error);
    serin_result_free(result);
    return error_prefix(error, rc, "a trial prediction failed");
}

static enum serin_errc take_golden(struct push *push, struct serin_error *error)
{
    const struct cli_texts *given = &push->settings->golden;
    struct serin_predict_options predict;

    set_predict_options(push, &predict);
    return given->count == 0 ? SERIN_OK
                             : golden_pictures_take(given->items, given->count, push->yolo, &predict, &push->golden,
                                                    &push->bundle, error);
}

/* conf stays that of evaluation: average precision needs nearly everything. */
static enum serin_errc evaluate(struct push *push, struct serin_error *error)
{
    struct serin_evaluation *evaluation = NULL;
    struct serin_eval_options eval;
    char digest[BUNDLE_DIGEST_TEXT];
    struct progress progress;
    struct json_writer json;
    struct buffer out;
    enum serin_errc rc;

    serin_eval_options_init(&eval);
    eval.iou = bundle_setting_get(&push->bundle, "iou", eval.iou);
    eval.max_det = (int)bundle_setting_get(&push->bundle, "max_det", eval.max_det);
    eval.input_height = eval.input_width = (int)bundle_setting_get(&push->bundle, "imgsz", 0);
    evaluation_report_to(&progress, NULL, &eval);
    rc = serin_yolo_evaluate(push->yolo, push->settings->eval, &eval, &evaluation, error);
    progress_hide(&progress);
    if (rc != SERIN_OK)
        return rc;
    rc = data_digest(push->settings->eval, serin_yolo_get_info(push->yolo), digest, error);
    if (rc != SERIN_OK) {
        serin_evaluation_free(evaluation);
        return rc;
    }
    if (evaluation->images_failed) { /* what a version is judged by is whole */
        rc = error_set(error, SERIN_CORRUPT, "%s: %zu of %zu pictures cannot be read", push->settings->eval,
                       evaluation->images_failed, evaluation->images + evaluation->images_failed);
        serin_evaluation_free(evaluation);
        return rc;
    }
    evaluation_warn("push", push->settings->eval, evaluation);
    buffer_init(&out, BUNDLE_MAX_EVAL_BYTES);
    json_init(&json, &out);
    evaluation_json(&json, evaluation, false,
                    digest); /* speed differs from run to run, and a bundle's digest must not */
    rc = buffer_check(&out, "the evaluation", error);
    if (rc == SERIN_OK)
        push->bundle.eval_json = buffer_steal(&out);
    buffer_done(&out);
    serin_evaluation_free(evaluation);
    return rc;
}

static enum serin_errc read_scan(struct push *push, struct serin_error *error)
{
    enum serin_errc rc;

    rc = file_read(push->settings->scan, BUNDLE_MAX_SCAN_BYTES, &push->report, &push->report_bytes, error);
    if (rc != SERIN_OK)
        return rc;
    rc = bundle_scan_summary(push->report, push->report_bytes, &push->bundle.scan_json, error);
    return error_prefix(error, rc, "%s", push->settings->scan);
}

/* What reads the same files where the machine of the push lacks what the version is for; NULL: every machine has it. */
static const char *stand_in(const char *provider)
{
    if (strcmp(provider, "onednn-bf16") == 0)
        return "onednn";
    return strcmp(provider, "cuda") == 0 || strcmp(provider, "tensorrt") == 0 ? "cpu" : NULL;
}

static enum serin_errc open_model(struct push *push, struct serin_error *error)
{
    const char *path = push->settings->model.path;
    struct serin_open_options open;
    char provider[PROVIDER_MAX_BYTES];
    enum serin_errc rc;

    rc = model_limit_memory(&push->settings->model, error);
    if (rc == SERIN_OK)
        rc = file_read(path, BUNDLE_MAX_MODEL_BYTES, &push->model, &push->model_bytes, error);
    if (rc != SERIN_OK)
        return rc;
    serin_open_options_init(&open);
    open.threads = push->settings->model.threads;
    open.provider = bundle_provider(&push->bundle, provider);
    rc = serin_yolo_open_memory(push->model, push->model_bytes, &open, &push->yolo, error);
    if (rc == SERIN_ENGINE && stand_in(provider)) {
        terminal_complain("push: the version is tried with %s, since this machine cannot run it as it will be served "
                          "(%s): %s",
                          stand_in(provider), provider, error->message);
        open.provider = stand_in(provider);
        rc = serin_yolo_open_memory(push->model, push->model_bytes, &open, &push->yolo, error);
    }
    return error_prefix(error, rc, "%s", path);
}

/* Reproducible builds: a time that was given is taken instead of the clock. */
static void say_time(struct bundle *bundle)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    long long seconds = epoch ? strtoll(epoch, &end, 10) : -1;
    time_t when = (time_t)seconds;
    struct tm utc;

    if (seconds >= 0 && seconds < 253402300800 && *end == '\0' && end != epoch && gmtime_r(&when, &utc))
        strftime(bundle->created, sizeof(bundle->created), "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static enum serin_errc store(struct push *push, char *digest, struct serin_error *error)
{
    const struct bundle_push what = {.model = push->model,
                                     .model_bytes = push->model_bytes,
                                     .description = &push->bundle,
                                     .golden = push->golden.pictures,
                                     .golden_count = push->golden.count,
                                     .scan_report = push->report,
                                     .scan_report_bytes = push->report_bytes};
    struct bundles *bundles = NULL;
    enum serin_errc rc;

    rc = data_dir_open(push->settings->data_dir, true, &bundles, error);
    if (rc == SERIN_OK)
        rc = bundles_push(bundles, &what, digest, error);
    if (rc == SERIN_OK) { /* what is there now, as others will see it */
        char name[VERSION_MAX_NAME];
        struct bundle stored;

        rc = bundles_find(bundles, version_name_text(&push->bundle.name, name), &stored, error);
        if (rc == SERIN_OK) {
            bundle_done(&push->bundle);
            push->bundle = stored;
        }
    }
    bundles_close(bundles);
    return rc;
}

static enum serin_errc make(struct push *push, char *digest, struct serin_error *error)
{
    enum serin_errc rc;

    say_time(&push->bundle);
    rc = push->settings->scan ? read_scan(push, error) : SERIN_OK; /* first what is quickly told to be wrong */
    rc = rc ? rc : open_model(push, error);
    rc = rc ? rc : check_settings(push, error);
    rc = rc ? rc : describe(push, error);
    rc = rc ? rc : try_once(push, error);
    rc = rc ? rc : take_golden(push, error);
    rc = rc ? rc : (push->settings->eval ? evaluate(push, error) : SERIN_OK);
    return rc ? rc : store(push, digest, error);
}

static int push(const void *given, char *const *operands, size_t operand_count)
{
    struct push push = {.settings = given};
    char digest[BUNDLE_DIGEST_TEXT];
    struct serin_error error;
    int code = CLI_OK, i;

    (void)operand_count;
    if (version_name_parse(operands[0], &push.bundle.name, &error) != SERIN_OK) {
        terminal_complain("push: %s", error.message);
        return CLI_USAGE;
    }
    for (i = 0; i < push.settings->set.count; i++) {
        if (bundle_setting_set(&push.bundle, push.settings->set.items[i], &error) != SERIN_OK) {
            terminal_complain("push: %s", error.message);
            bundle_done(&push.bundle);
            return CLI_USAGE;
        }
    }
    if (make(&push, digest, &error) != SERIN_OK) {
        terminal_complain("push: %s", error.message);
        code = CLI_FAILED;
    } else if (push.settings->json) {
        code = bundle_report_json("push", &push.bundle, 1, false);
    } else {
        bundle_report_print(&push.bundle);
    }
    serin_yolo_close(push.yolo);
    bundle_done(&push.bundle);
    golden_pictures_done(&push.golden);
    free(push.model);
    free(push.report);
    return code;
}

const struct cli_verb cli_push = {
    .name = "push",
    .summary = "put a model into the store as a version",
    .operands = "NAME:TAG",
    .min_operands = 1,
    .max_operands = 1,
    .text =
        "Makes an immutable version of a model: the network, its classes and shapes, the settings it is served with, "
        "and where they are given its accuracy, golden pictures and a security scan. The model is opened and makes one "
        "trial "
        "prediction with these settings first; what cannot run is not stored.\n\n"
        "NAME is lower case; TAG is best a SemVer and the hardware it is for, as in yolov8n:v1.2.0-gpu-cu118, "
        "yolov8n:v0.9.1-cpu or m:v1.0.0-rc.1-cpu-amx. A tag never moves: pushing the same content again changes "
        "nothing, and another content under the same tag is refused. The identity of a version is its digest, which "
        "depends on the content alone.\n\n"
        "Settings: conf, iou, max_det, imgsz (as in 'serin predict'); max_batch, max_delay_us, max_queue (batching); "
        "threads, decode_threads, cpus, memory_mb, replicas (of a worker); golden_map_floor (least accuracy at "
        "admission); provider (" PROVIDERS ": what runs the network; without it " PROVIDER_DEFAULT ").\n\n"
        "The trial, the accuracy and the golden pictures are of that provider; where this machine lacks what it needs "
        "(a GPU, instructions for bf16) the nearest that it has stands in, which a sentence says.\n\n"
        "The store is an OCI image layout with ModelPack's media types: 'skopeo copy oci:DIR:NAME:TAG ...' takes a "
        "version to any registry.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct push_settings),
    .runs_networks = true,
    .run = push,
};
