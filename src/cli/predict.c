/*
 * predict.c - serin predict: pictures in, results out, one line each.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A picture that fails costs a line on stderr and the exit code, never the pictures after it.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/annotate.h"
#include "cli/classes.h"
#include "cli/model.h"
#include "cli/save.h"
#include "cli/sources.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE_BYTES (256u << 20) /* of JSON for one picture */

struct predict_settings {
    struct model_settings model;
    double conf, iou;
    struct cli_size imgsz;
    const char *classes;
    int max_det;
    int rect; /* auto, on, off */
    bool agnostic_nms, retina_masks, json;
    const char *save;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(predict_settings),
    {.name = "conf",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".25",
     .max = 1,
     .offset = offsetof(struct predict_settings, conf),
     .help = "keep what the model is surer of than X"},
    {.name = "iou",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".7",
     .max = 1,
     .offset = offsetof(struct predict_settings, iou),
     .help = "of two boxes of a class that overlap by more than X (intersection over union), keep the surer one"},
    MODEL_SIZE_OPTION(predict_settings),
    {.name = "classes",
     .value = "LIST",
     .type = CLI_TEXT,
     .offset = offsetof(struct predict_settings, classes),
     .help = "keep only these classes: numbers or names, with commas between them"},
    {.name = "max-det",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "300",
     .min = 1,
     .max = 30000,
     .offset = offsetof(struct predict_settings, max_det),
     .help = "most detections of one picture"},
    {.name = "agnostic-nms",
     .type = CLI_FLAG,
     .offset = offsetof(struct predict_settings, agnostic_nms),
     .help = "let boxes suppress each other across classes"},
    {.name = "retina-masks",
     .type = CLI_FLAG,
     .offset = offsetof(struct predict_settings, retina_masks),
     .help = "make masks at the picture's own size instead of the network's"},
    {.name = "rect",
     .value = "auto|on|off",
     .type = CLI_CHOICE,
     .fallback = "auto",
     .offset = offsetof(struct predict_settings, rect),
     .help = "pad to the nearest multiple of the stride instead of a square; auto does for models that take any size"},
    MODEL_ENGINE_OPTIONS(predict_settings),
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct predict_settings, json),
     .help = "print one JSON object a line for each picture"},
    {.name = "save",
     .value = "DIR",
     .type = CLI_TEXT,
     .offset = offsetof(struct predict_settings, save),
     .help = "draw the results and save each picture under its own name in DIR, which is made where it is missing"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin predict --model yolov8n.onnx --save out photo.jpg",
     "find objects in a photo and look at them in out/photo.jpg"},
    {"serin predict --model yolov8n.onnx --classes person,car --conf .4 street/",
     "only people and cars, in all pictures of a folder"},
    {"ffmpeg -i clip.mp4 frames/%04d.jpg && serin predict --model yolov8n.onnx --json frames/%04d.jpg > clip.jsonl",
     "a video, frame by frame, as JSON"},
    {"find /data -name '*.png' | serin predict --model yolov8n-seg.onnx --json -",
     "a list of files from another program"},
    {0},
};

/* What is added up over the run. */
struct totals {
    size_t done, failed;
    double decode_ms, preprocess_ms, inference_ms, postprocess_ms;
};

struct predict_run {
    const struct predict_settings *settings;
    struct serin_yolo *yolo;
    struct serin_predict_options options;
    struct progress progress;
    struct buffer line;
    struct totals totals;
    bool refused; /* the model cannot do what the options ask for, so no other picture will fare better */
};

/* Prints what is in run->line and empties it. */
static enum serin_errc print_line(struct predict_run *run, struct serin_error *error)
{
    enum serin_errc rc;

    buffer_append_text(&run->line, "\n");
    rc = buffer_check(&run->line, "the output line", error);
    progress_hide(&run->progress);
    if (rc == SERIN_OK)
        fwrite(run->line.bytes, 1, run->line.size, stdout);
    buffer_clear(&run->line);
    return rc;
}

static void report_failure(struct predict_run *run, const char *path, const struct serin_error *error)
{
    struct serin_error unprinted;
    struct json_writer json;
    char code[32];

    run->totals.failed++;
    progress_hide(&run->progress);
    terminal_complain_of(path, error);
    if (!run->settings->json)
        return;
    error_code_name(error->code, code, sizeof(code));
    json_init(&json, &run->line);
    json_begin_object(&json);
    json_key(&json, "image");
    json_write_string(&json, path);
    json_key(&json, "error");
    json_begin_object(&json);
    json_key(&json, "code");
    json_write_string(&json, code);
    json_key(&json, "message");
    json_write_string(&json, error->message);
    json_end_object(&json);
    json_end_object(&json);
    if (print_line(run, &unprinted) != SERIN_OK)
        terminal_complain("%s", unprinted.message);
}

static enum serin_errc report_json(struct predict_run *run, const char *path, const struct serin_result *result,
                                   struct serin_error *error)
{
    struct json_writer json;
    char *results = NULL;
    enum serin_errc rc;

    rc = serin_result_to_json(result, &results, error);
    if (rc != SERIN_OK)
        return rc;
    json_init(&json, &run->line);
    json_begin_object(&json);
    json_key(&json, "image");
    json_write_string(&json, path);
    json_key(&json, "shape");
    json_begin_array(&json);
    json_write_integer(&json, result->height);
    json_write_integer(&json, result->width);
    json_end_array(&json);
    json_key(&json, "speed");
    json_begin_object(&json);
    json_key(&json, "preprocess");
    json_write_rounded(&json, result->speed.preprocess_ms, 3);
    json_key(&json, "inference");
    json_write_rounded(&json, result->speed.inference_ms, 3);
    json_key(&json, "postprocess");
    json_write_rounded(&json, result->speed.postprocess_ms, 3);
    json_end_object(&json);
    json_key(&json, "results");
    json_write_raw(&json, results);
    json_end_object(&json);
    free(results);
    return print_line(run, error);
}

static void report_people(struct predict_run *run, const char *path, const struct serin_result *result,
                          double decode_ms)
{
    progress_hide(&run->progress);
    terminal_text(stdout, path);
    printf("  %dx%d  ", result->width, result->height);
    classes_describe(&run->line, result);
    terminal_text(stdout, run->line.bytes ? run->line.bytes : "");
    buffer_clear(&run->line);
    printf("  (%.1f ms decode, %.1f pre, %.1f inference, %.1f post)\n", decode_ms, result->speed.preprocess_ms,
           result->speed.inference_ms, result->speed.postprocess_ms);
}

/* Decodes, predicts, draws, reports. */
static enum serin_errc predict_one(struct predict_run *run, const char *path, struct serin_error *error)
{
    struct serin_image image = {0};
    struct serin_result *result = NULL;
    uint64_t start = clock_now_ns();
    enum serin_errc rc;
    double decode_ms;

    rc = serin_image_decode_file(path, NULL, &image, error);
    if (rc != SERIN_OK)
        return rc;
    decode_ms = clock_ms_since(start);
    rc = serin_yolo_predict(run->yolo, &image, 1, &run->options, &result, error);
    run->refused = rc == SERIN_INVALID;
    if (rc == SERIN_OK && run->settings->save) {
        rc = annotate(&image, result, error);
        if (rc == SERIN_OK)
            rc = save_picture(run->settings->save, path, &image, error);
    }
    if (rc == SERIN_OK && run->settings->json)
        rc = report_json(run, path, result, error);
    else if (rc == SERIN_OK)
        report_people(run, path, result, decode_ms);
    if (rc == SERIN_OK) {
        run->totals.done++;
        run->totals.decode_ms += decode_ms;
        run->totals.preprocess_ms += result->speed.preprocess_ms;
        run->totals.inference_ms += result->speed.inference_ms;
        run->totals.postprocess_ms += result->speed.postprocess_ms;
    }
    serin_result_free(result);
    serin_image_free(&image);
    return rc;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_summary(const struct totals *totals, double wall_ms)
{
    double count = (double)totals->done;

    printf("%zu picture%s", totals->done, plural(totals->done));
    if (totals->failed)
        printf(", %zu failed", totals->failed);
    if (totals->done)
        printf("; mean %.1f ms decode, %.1f pre, %.1f inference, %.1f post; %.1f img/s", totals->decode_ms / count,
               totals->preprocess_ms / count, totals->inference_ms / count, totals->postprocess_ms / count,
               count / wall_ms * 1000);
    printf("\n");
}

static int predict_all(struct predict_run *run, const struct sources *sources)
{
    uint64_t start = clock_now_ns();
    struct serin_error error;
    bool heard = true;
    size_t i;

    progress_begin(&run->progress, NULL, sources->count, "img");
    for (i = 0; heard && i < sources->count; i++) {
        enum serin_errc rc = predict_one(run, sources->paths[i], &error);

        if (run->refused) {
            progress_hide(&run->progress);
            terminal_complain("predict: %s", error.message);
            return CLI_USAGE;
        }
        if (rc != SERIN_OK)
            report_failure(run, sources->paths[i], &error);
        heard = terminal_flush();
        progress_step(&run->progress, i + 1);
    }
    progress_hide(&run->progress);
    if (heard && !run->settings->json)
        print_summary(&run->totals, clock_ms_since(start));
    else if (heard && run->totals.failed)
        terminal_complain("%zu of %zu pictures failed", run->totals.failed, sources->count);
    return run->totals.failed ? CLI_FAILED : CLI_OK;
}

static void set_options(const struct predict_settings *settings, struct serin_predict_options *ret)
{
    static const enum serin_rect rects[] = {SERIN_RECT_AUTO, SERIN_RECT_ON, SERIN_RECT_OFF};

    serin_predict_options_init(ret);
    ret->conf = (float)settings->conf;
    ret->iou = settings->iou;
    ret->max_det = settings->max_det;
    ret->agnostic_nms = settings->agnostic_nms;
    ret->retina_masks = settings->retina_masks;
    ret->input_height = settings->imgsz.height;
    ret->input_width = settings->imgsz.width;
    ret->rect = rects[settings->rect];
}

static int predict(const void *given, char *const *operands, size_t operand_count)
{
    const struct predict_settings *settings = given;
    struct predict_run run = {.settings = settings};
    struct sources sources = {0};
    struct serin_error error;
    int32_t *classes = NULL;
    int code = CLI_FAILED;
    size_t i;

    buffer_init(&run.line, MAX_LINE_BYTES);
    for (i = 0; i < operand_count; i++)
        if (sources_add(&sources, operands[i], &error) != SERIN_OK)
            goto fail;
    if (sources.count == 0) {
        terminal_complain("predict: the list on stdin is empty: no pictures to work on");
        goto out;
    }
    code = model_open(&settings->model, &run.yolo);
    if (code != CLI_OK)
        goto out;
    code = CLI_FAILED;
    set_options(settings, &run.options);
    if (settings->classes && classes_parse(settings->classes, serin_yolo_get_info(run.yolo), &classes,
                                           &run.options.class_count, &error) != SERIN_OK) {
        code = error.code == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
        goto fail;
    }
    run.options.classes = classes;
    if (settings->save && save_prepare(settings->save, &sources, &error) != SERIN_OK)
        goto fail;
    code = predict_all(&run, &sources);
    goto out;
fail:
    terminal_complain("predict: %s", error.message);
out:
    free(classes);
    serin_yolo_close(run.yolo);
    sources_done(&sources);
    buffer_done(&run.line);
    return code;
}

const struct cli_verb cli_predict = {
    .name = "predict",
    .summary = "find objects, masks, keypoints or classes in pictures",
    .operands = "IMAGE|DIR|FRAMES...",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .text =
        "Runs a model over pictures (JPEG, PNG, WebP, BMP) and prints a line for each. The results are those that "
        "Ultralytics gives for the same ONNX file and the same options.\n\n"
        "Pictures are named as files; as a folder, whose pictures are taken in the order of their names; as frames of "
        "a video (frames/%04d.jpg), taken by number; as a pattern in quotes ('cam*/*.jpg'); or as '-', a list of "
        "files on the standard input, one a line.\n\n"
        "With --json each line is an object with image, shape (height and width), speed (milliseconds) and results, "
        "the list of Ultralytics' Results.to_json(); or with image and error (its code and message). A picture that "
        "fails is reported, the others go on, and the exit code is 1. What ends the run before its first picture has "
        "no JSON, only a sentence on the standard error: a wrong command line (exit code 2), a model that cannot be "
        "opened, sources that are not there, a folder for --save that cannot be written to.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct predict_settings),
    .runs_networks = true,
    .run = predict,
};
