/*
 * eval.c - serin eval: how accurate a model is on labelled pictures, as a table or as JSON.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"
#include "base/json.h"
#include "cli/evaluation.h"
#include "cli/model.h"
#include "cli/terminal.h"

#include <string.h>

#define MAX_REPORT_BYTES (64u << 20)
#define MAX_NAME_COLUMNS 24

struct eval_settings {
    struct model_settings model;
    const char *data;
    double conf, iou;
    struct cli_size imgsz;
    int max_det;
    bool json;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(eval_settings),
    {.name = "data",
     .value = "DATA.yaml",
     .type = CLI_TEXT,
     .required = true,
     .offset = offsetof(struct eval_settings, data),
     .help = "the labelled pictures: a YOLO data.yaml, one with 'annotations:' that names COCO JSON, or for a "
             "classifier a folder"},
    {.name = "conf",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".001",
     .max = 1,
     .offset = offsetof(struct eval_settings, conf),
     .help = "count what the model is surer of than X; average precision needs nearly everything"},
    {.name = "iou",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".7",
     .max = 1,
     .offset = offsetof(struct eval_settings, iou),
     .help = "of two boxes of a class that overlap by more than X, keep the surer one"},
    MODEL_SIZE_OPTION(eval_settings),
    {.name = "max-det",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "300",
     .min = 1,
     .max = 30000,
     .offset = offsetof(struct eval_settings, max_det),
     .help = "most detections of one picture"},
    MODEL_ENGINE_OPTIONS(eval_settings),
    {.name = "json", .type = CLI_FLAG, .offset = offsetof(struct eval_settings, json), .help = "print one JSON object"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin eval --model yolov8n.onnx --data coco128/data.yaml", "average precision of a detector, for every class"},
    {"serin eval --model new.onnx --data data.yaml --json | jq .map50_95", "one figure, for a script"},
    {0},
};

/* ---- for people ---- */

static void print_score(double value)
{
    if (value < 0)
        printf("  %8s", "-");
    else
        printf("  %8.4f", value);
}

/* ultralytics: NULL in the tables of masks and keypoints. */
static void print_row(const char *name, size_t images, size_t instances, const struct serin_ap *ap,
                      const struct serin_ultralytics_ap *ultralytics, int name_columns)
{
    char shown[MAX_NAME_COLUMNS + 1];
    int length = (int)strlen(name);

    if (length > name_columns)
        length = name_columns;
    while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--; /* not in the middle of a character */
    snprintf(shown, sizeof(shown), "%.*s", length, name);
    terminal_text(stdout, shown);
    printf("%*s  %7zu  %9zu", name_columns - length, "", images, instances);
    print_score(ap->map50_95);
    print_score(ap->map50);
    print_score(ap->map75);
    print_score(ap->small);
    print_score(ap->medium);
    print_score(ap->large);
    print_score(ap->recall);
    if (ultralytics) {
        print_score(ultralytics->map50_95);
        print_score(ultralytics->map50);
    }
    putchar('\n');
}

/* Which of a class's three scores a table is of. */
enum part { PART_BOX, PART_MASK, PART_KEYPOINTS };

static const struct serin_ap *part_of_class(const struct serin_eval_class *class, enum part part)
{
    return part == PART_BOX ? &class->box : part == PART_MASK ? &class->mask : &class->keypoints;
}

static void print_table(const struct serin_evaluation *evaluation, const char *title, enum part part)
{
    const struct serin_ap *all = part == PART_BOX    ? &evaluation->box
                                 : part == PART_MASK ? &evaluation->mask
                                                     : &evaluation->keypoints;
    int columns = 9; /* as "keypoints" */
    size_t i;

    for (i = 0; i < evaluation->class_count; i++) {
        size_t length = strlen(evaluation->per_class[i].name);

        if ((int)length > columns)
            columns = length < MAX_NAME_COLUMNS ? (int)length : MAX_NAME_COLUMNS;
    }
    printf("%s%-*s  %7s  %9s  %8s  %8s  %8s  %8s  %8s  %8s  %8s", part == PART_BOX ? "" : "\n", columns, title,
           "images", "instances", "mAP50-95", "mAP50", "mAP75", "small", "medium", "large", "AR100");
    printf("%s\n", part == PART_BOX ? "   UL50-95      UL50" : "");
    print_row("all", evaluation->images, evaluation->instances, all, part == PART_BOX ? &evaluation->ultralytics : NULL,
              columns);
    for (i = 0; i < evaluation->class_count; i++) {
        const struct serin_eval_class *class = &evaluation->per_class[i];

        if (class->instances)
            print_row(class->name, class->images, class->instances, part_of_class(class, part),
                      part == PART_BOX ? &class->ultralytics : NULL, columns);
    }
}

static void print_report(const struct serin_evaluation *evaluation)
{
    if (evaluation->task == SERIN_CLASSIFY) {
        printf("%zu pictures: top-1 %.4f, top-5 %.4f\n", evaluation->images, evaluation->top1, evaluation->top5);
    } else {
        print_table(evaluation, "boxes", PART_BOX);
        if (evaluation->task == SERIN_SEGMENT)
            print_table(evaluation, "masks", PART_MASK);
        if (evaluation->task == SERIN_POSE)
            print_table(evaluation, "keypoints", PART_KEYPOINTS);
        printf("\nUL50-95 and UL50 are what 'yolo val' prints, from the same detections.\n");
        if (evaluation->precision >= 0)
            printf("precision %.4f, recall %.4f, F1 %.4f (boxes at confidence .25 and IoU .5)\n", evaluation->precision,
                   evaluation->recall, evaluation->f1);
    }
    printf("a picture takes %.1f ms pre, %.1f inference, %.1f post\n", evaluation->speed.preprocess_ms,
           evaluation->speed.inference_ms, evaluation->speed.postprocess_ms);
}

/* ---- for programs ---- */

static int print_json(const struct serin_evaluation *evaluation)
{
    struct json_writer json;
    struct serin_error error;
    struct buffer out;
    int code = CLI_OK;

    buffer_init(&out, MAX_REPORT_BYTES);
    json_init(&json, &out);
    evaluation_json(&json, evaluation, true, NULL);
    if (buffer_check(&out, "the report", &error) == SERIN_OK) {
        puts(out.bytes);
    } else {
        terminal_complain("eval: %s", error.message);
        code = CLI_FAILED;
    }
    buffer_done(&out);
    return code;
}

/* What makes the figures mean less than they seem to. Returns the exit code. */
static int complain(const char *data, const struct serin_evaluation *evaluation)
{
    int code = CLI_OK;

    evaluation_warn("eval", data, evaluation);
    if (evaluation->images_failed) {
        terminal_complain("eval: %zu of %zu pictures failed; the figures are of the others", evaluation->images_failed,
                          evaluation->images + evaluation->images_failed);
        code = CLI_FAILED;
    }
    if (evaluation->instances == 0) {
        terminal_complain("eval: %s: not one labelled object on its %zu pictures, so nothing was measured", data,
                          evaluation->images);
        code = CLI_FAILED;
    }
    return code;
}

static int eval(const void *given, char *const *operands, size_t operand_count)
{
    const struct eval_settings *settings = given;
    struct serin_evaluation *evaluation = NULL;
    struct serin_eval_options eval_options;
    struct serin_error error;
    struct serin_yolo *yolo = NULL;
    struct progress progress;
    enum serin_errc rc;
    int code;

    (void)operands, (void)operand_count;
    code = model_open(&settings->model, &yolo);
    if (code != CLI_OK)
        return code;
    serin_eval_options_init(&eval_options);
    eval_options.conf = (float)settings->conf;
    eval_options.iou = settings->iou;
    eval_options.max_det = settings->max_det;
    eval_options.input_height = settings->imgsz.height;
    eval_options.input_width = settings->imgsz.width;
    evaluation_report_to(&progress, NULL, &eval_options);
    rc = serin_yolo_evaluate(yolo, settings->data, &eval_options, &evaluation, &error);
    progress_hide(&progress);
    if (rc != SERIN_OK) {
        terminal_complain("eval: %s", error.message);
        code = CLI_FAILED;
    } else if (settings->json) {
        code = print_json(evaluation);
    } else {
        print_report(evaluation);
    }
    if (rc == SERIN_OK && complain(settings->data, evaluation) != CLI_OK)
        code = CLI_FAILED;
    serin_evaluation_free(evaluation);
    serin_yolo_close(yolo);
    return code;
}

const struct cli_verb cli_eval = {
    .name = "eval",
    .summary = "measure a model's accuracy on labelled pictures",
    .text =
        "Runs the model over the validation pictures of a data set and prints COCO's average precision as pycocotools "
        "computes it: over IoU .50 to .95, at .50, at .75, and for objects that are small (under 32 x 32 pixels), "
        "medium and large (from 96 x 96); for boxes, and for masks and keypoints where the model gives them. A '-' in "
        "the table, or null in JSON, stands where the data set has no such object.\n\n"
        "Beside it stands the figure that 'yolo val' of Ultralytics prints for the same detections (UL); of turned "
        "boxes "
        "there is only that one. A classifier is measured by top-1 and top-5.\n\n"
        "The labels are YOLO text files beside the pictures, COCO JSON, or for a classifier a folder for each class. "
        "They are "
        "matched to the model's classes by name; by number, with a warning and classes_by_name false in JSON, where "
        "the "
        "names are others but as many.\n\n"
        "A picture that cannot be read is named on the standard error, counted (images_failed in JSON) and left out of "
        "every figure; the others go on, and the exit code is 1. Bad labels end the evaluation, and what ends it has "
        "no JSON, only a sentence on the standard error.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct eval_settings),
    .runs_networks = true,
    .run = eval,
};
