/*
 * quantize.c - serin quantize: an int8 network of one in fp32, measured on pictures.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/quantize.h"
#include "base/file.h"
#include "cli/evaluation.h"
#include "cli/model.h"
#include "cli/sources.h"
#include "cli/terminal.h"
#include "engine/onnx_probe.h"
#include "yolo/dataset.h"
#include "yolo/stages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_MODEL_BYTES ((size_t)1 << 30)
#define WORST_LAYERS    5
#define FEW_PICTURES    16 /* fewer are not what will come, whatever they are */

struct quantize_settings {
    struct model_settings model;
    const char *data, *output;
    struct cli_texts keep;
    struct cli_size imgsz;
    int images, compare;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(quantize_settings),
    {.name = "data",
     .value = "DATA",
     .type = CLI_TEXT,
     .required = true,
     .offset = offsetof(struct quantize_settings, data),
     .help = "pictures like those it will see: a data.yaml, with whose labels the accuracy is compared too, or a "
             "folder, or a file"},
    {.name = "output",
     .value = "OUT.onnx",
     .type = CLI_TEXT,
     .required = true,
     .letter = 'o',
     .offset = offsetof(struct quantize_settings, output),
     .help = "where the int8 network goes"},
    {.name = "images",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "128",
     .min = 1,
     .max = 100000,
     .offset = offsetof(struct quantize_settings, images),
     .help = "measure on so many of the pictures, evenly chosen"},
    {.name = "compare",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "500",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct quantize_settings, compare),
     .help = "compare the accuracy of both on so many of the labelled pictures, evenly chosen; 0: do not"},
    {.name = "keep",
     .value = "LAYER",
     .type = CLI_TEXTS,
     .offset = offsetof(struct quantize_settings, keep),
     .help = "leave this layer in fp32 (may be given several times); the table has their names"},
    MODEL_SIZE_OPTION(quantize_settings),
    {.name = "threads",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 1024,
     .offset = offsetof(struct quantize_settings, model.threads),
     .help = "threads of the engine; 0 is one for each processor this process may use"},
    {.name = "sidecar",
     .value = "FILE",
     .type = CLI_TEXT,
     .offset = offsetof(struct quantize_settings, model.sidecar),
     .help = "YAML with the metadata that the model lacks; without this option, the .yaml beside the model"},
    MODEL_MEMORY_OPTION(quantize_settings),
    {0},
};

static const struct cli_example examples[] = {
    {"serin quantize --model yolov8n.onnx --data data.yaml --output yolov8n-int8.onnx",
     "measured on 128 pictures of the data, and compared on 500 of them"},
    {"serin predict --provider onednn --model yolov8n-int8.onnx street/", "the result is a model like any other"},
    {0},
};

/* ---- where it goes ---- */

/* A rename puts what is written in the place of whatever is there, be it a device, a link or somebody's photograph.
 * What was there and is a model may go: the last one that was made, but not the one that it is made of. */
static enum serin_errc check_file(const char *path, const char *model_path, struct serin_error *error)
{
    struct stat status, model;
    struct onnx_summary summary;
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum serin_errc rc;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? SERIN_OK : error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, SERIN_INVALID, "%s is there and is no regular file: give --output another name", path);
    if (stat(model_path, &model) == 0 && model.st_dev == status.st_dev && model.st_ino == status.st_ino)
        return error_set(error, SERIN_INVALID,
                         "%s is the model itself, which would be lost: give --output another name", path);
    if (status.st_size == 0)
        return SERIN_OK;
    rc = file_read(path, MAX_MODEL_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    rc = onnx_probe(bytes, size, &summary, NULL);
    free(bytes);
    if (rc != SERIN_OK)
        return error_set(error, SERIN_INVALID,
                         "%s is there and is no model, and would be lost: give --output another name", path);
    onnx_summary_done(&summary);
    return SERIN_OK;
}

static enum serin_errc check_output(const char *path, const char *model_path, struct serin_error *error)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    enum serin_errc rc;

    if (strcmp(path, "-") == 0)
        return error_set(error, SERIN_INVALID, "--output - is no name of a file: a model is not printed");
    rc = check_file(path, model_path, error);
    if (rc != SERIN_OK)
        return rc;
    folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder)
        return error_set(error, SERIN_NOMEM, "no memory for a path");
    if (access(folder, W_OK | X_OK) != 0)
        rc = error_set(error, SERIN_IO, "%s: the folder cannot be written to: %s", path, strerror(errno));
    free(folder);
    return rc;
}

/* Before it is opened, which would end with what oneDNN lacks for it. */
static enum serin_errc check_model(const char *path, const uint8_t *bytes, size_t size, struct serin_error *error)
{
    struct onnx_summary summary;
    bool quantized;

    if (onnx_probe(bytes, size, &summary, NULL) != SERIN_OK)
        return SERIN_OK; /* opening it says why */
    quantized = summary.quantized;
    onnx_summary_done(&summary);
    return quantized ? error_set(error, SERIN_UNSUPPORTED,
                                 "%s is quantized already: take the fp32 model that it was made of", path)
                     : SERIN_OK;
}

/* ---- pictures ---- */

struct counted {
    size_t chosen, failed;
};

static bool is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* The paths of a data set's pictures, or of a folder's; a classifier's data set is a folder of folders. */
static enum serin_errc list_pictures(const struct quantize_settings *settings, const struct serin_yolo_info *info,
                                     struct sources *ret, bool *ret_labelled, struct serin_error *error)
{
    struct dataset *dataset = NULL;
    enum serin_errc rc = SERIN_NOT_FOUND;
    size_t i;

    *ret_labelled = is_yaml(settings->data);
    if (!*ret_labelled)
        rc = sources_add(ret, settings->data, error);
    if (rc != SERIN_NOT_FOUND || (!*ret_labelled && info->task != SERIN_CLASSIFY))
        return rc;
    *ret_labelled = true;
    rc = dataset_open(settings->data, info, &dataset, error);
    for (i = 0; rc == SERIN_OK && i < dataset->image_count; i++)
        rc = sources_add(ret, dataset->images[i].path, error);
    dataset_free(dataset);
    return rc;
}

static struct serin_predict_options predict_options(const struct quantize_settings *settings)
{
    struct serin_predict_options predict;

    serin_predict_options_init(&predict);
    predict.input_height = settings->imgsz.height, predict.input_width = settings->imgsz.width;
    return predict;
}

/* The one shape that the network is measured in: that of predict's squares, multiples of the stride. */
static enum serin_errc shape_input(const struct serin_yolo *yolo, const struct quantize_settings *settings,
                                   struct tensor *ret, struct serin_error *error)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(yolo);
    const struct tensor_spec *spec = &yolo_engine(yolo)->interface.inputs[0];
    const struct serin_predict_options predict = predict_options(settings);
    const struct serin_image any = {.width = info->input_width, .height = info->input_height};
    struct letterbox box;
    enum serin_errc rc = yolo_check_options(yolo, &predict, error);

    if (rc == SERIN_OK && info->batch > 1)
        rc = error_set(error, SERIN_UNSUPPORTED,
                       "the model takes %d pictures at once: export it for one, or for any number", info->batch);
    if (rc == SERIN_OK)
        rc = yolo_plan(yolo, &any, false, &predict, &box, error);
    if (rc == SERIN_OK)
        *ret = (struct tensor){.type = yolo_engine(yolo)->takes_bytes ? TENSOR_U8 : spec->type,
                               .rank = 4,
                               .shape = {1, 3, box.input_height, box.input_width}};
    return rc;
}

static enum serin_errc look_at(struct quantizer *quantizer, int pass, const struct serin_yolo *yolo,
                               const struct quantize_settings *settings, const struct serin_image *image,
                               struct serin_error *error)
{
    const struct serin_predict_options predict = predict_options(settings);
    struct letterbox box;
    void *tensor = NULL;
    enum serin_errc rc = yolo_plan(yolo, image, false, &predict, &box, error);

    if (rc == SERIN_OK) {
        tensor = aligned_alloc(64, (yolo_picture_bytes(yolo, &box) + 63) / 64 * 64);
        rc = tensor ? yolo_prepare(yolo, image, &box, tensor, error)
                    : error_set(error, SERIN_NOMEM, "no memory for a picture");
    }
    if (rc == SERIN_OK)
        rc = quantizer_look(quantizer, pass, tensor, error);
    free(tensor);
    return rc;
}

/* Every pass over the same pictures, evenly chosen. One that cannot be read is named, counted and left out. */
static enum serin_errc measure(struct quantizer *quantizer, const struct serin_yolo *yolo,
                               const struct quantize_settings *settings, const struct sources *pictures,
                               struct counted *ret, struct serin_error *error)
{
    const size_t wanted = (size_t)settings->images;
    const size_t count = pictures->count < wanted ? pictures->count : wanted;
    bool *failed = calloc(count + 1, sizeof(*failed));
    struct progress progress;
    enum serin_errc rc = SERIN_OK;
    size_t i, done = 0;
    int pass;

    *ret = (struct counted){.chosen = count};
    if (!failed)
        return error_set(error, SERIN_NOMEM, "no memory for %zu pictures", count);
    progress_begin(&progress, "measuring", QUANTIZE_PASSES * count, "img");
    for (pass = 0; pass < QUANTIZE_PASSES && rc == SERIN_OK; pass++)
        for (i = 0; i < count && rc == SERIN_OK; i++) {
            const char *path = pictures->paths[i * pictures->count / count];
            struct serin_image image = {0};

            progress_step(&progress, ++done);
            if (failed[i])
                continue;
            rc = serin_image_decode_file(path, NULL, &image, error); /* its sentence names the picture */
            if (rc == SERIN_OK) {
                rc = look_at(quantizer, pass, yolo, settings, &image, error);
                rc = error_prefix(error, rc, "%.200s", path);
            } else if (count > 1) {
                progress_hide(&progress);
                terminal_complain_of(path, error);
                failed[i] = true;
                ret->failed++;
                rc = SERIN_OK;
            }
            serin_image_free(&image);
        }
    progress_hide(&progress);
    free(failed);
    if (rc == SERIN_OK && ret->failed == count)
        rc = error_set(error, SERIN_INVALID, "%s: not one of %zu pictures could be read, so nothing was measured",
                       settings->data, count);
    return rc;
}

/* ---- what came of it ---- */

static int by_noise(const void *one, const void *other)
{
    const struct quantize_layer *a = one, *b = other;

    return (a->signal_db > b->signal_db) - (a->signal_db < b->signal_db);
}

static void print_layers(const struct quantizer *quantizer)
{
    int count, i, quantized = 0;
    const struct quantize_layer *layers = quantizer_layers(quantizer, &count);
    struct quantize_layer *sorted = calloc((size_t)count + 1, sizeof(*sorted));
    int64_t weights = 0, all = 0;

    if (!sorted)
        return;
    for (i = 0; i < count; i++) {
        all += layers[i].weights;
        if (!layers[i].kept) {
            weights += layers[i].weights;
            sorted[quantized++] = layers[i];
        }
    }
    printf("%d of %d convolutions are int8, with %.1f %% of the weights\n", quantized, count,
           all ? 100.0 * (double)weights / (double)all : 0.0);
    for (i = 0; i < count; i++)
        if (layers[i].kept) {
            printf("  fp32  ");
            terminal_text(stdout, layers[i].name);
            printf(": %s\n", layers[i].kept);
        }
    qsort(sorted, (size_t)quantized, sizeof(*sorted), by_noise);
    printf("signal over what rounding adds, where it is the least:\n");
    for (i = 0; i < quantized && i < WORST_LAYERS; i++) {
        printf("  %5.1f dB  ", sorted[i].signal_db);
        terminal_text(stdout, sorted[i].name);
        printf("\n");
    }
    free(sorted);
}

static enum serin_errc evaluate(const struct quantize_settings *settings, const char *what, const char *path,
                                double *ret, struct serin_error *error)
{
    struct model_settings model = settings->model;
    struct serin_evaluation *evaluation = NULL;
    struct serin_eval_options eval;
    struct serin_open_options open;
    struct serin_yolo *yolo = NULL;
    struct progress progress;
    enum serin_errc rc;

    serin_open_options_init(&open);
    open.provider = "onednn";
    open.threads = model.threads;
    open.sidecar = model.sidecar;
    rc = serin_yolo_open(path, &open, &yolo, error);
    if (rc != SERIN_OK)
        return rc;
    serin_eval_options_init(&eval);
    eval.input_height = settings->imgsz.height, eval.input_width = settings->imgsz.width;
    eval.max_images = (size_t)settings->compare;
    evaluation_report_to(&progress, what, &eval);
    rc = serin_yolo_evaluate(yolo, settings->data, &eval, &evaluation, error);
    progress_hide(&progress);
    if (rc == SERIN_OK)
        *ret = evaluation->task == SERIN_CLASSIFY ? evaluation->top1
               : evaluation->task == SERIN_OBB    ? evaluation->ultralytics.map50_95
                                                  : evaluation->box.map50_95;
    serin_evaluation_free(evaluation);
    serin_yolo_close(yolo);
    return rc;
}

/* The accuracy of both on labelled pictures. */
static enum serin_errc compare(const struct quantize_settings *settings, enum serin_task task,
                               struct serin_error *error)
{
    double before, after;
    enum serin_errc rc = evaluate(settings, "comparing, fp32", settings->model.path, &before, error);

    if (rc == SERIN_OK)
        rc = evaluate(settings, "comparing, int8", settings->output, &after, error);
    if (rc == SERIN_OK && before >= 0 && after >= 0)
        printf("%s  fp32 %.4f  int8 %.4f  %+.2f points\n", task == SERIN_CLASSIFY ? "top-1" : "mAP50-95", before, after,
               100 * (after - before));
    return rc;
}

/* ---- the verb ---- */

/* What makes the result mean less than it seems to. */
static void complain(const struct counted *pictures)
{
    const size_t measured = pictures->chosen - pictures->failed;

    if (pictures->failed)
        terminal_complain("quantize: %zu of %zu pictures failed; the others were measured", pictures->failed,
                          pictures->chosen);
    if (measured < FEW_PICTURES)
        terminal_complain("quantize: the ranges are those of %zu picture%s, which is few: others may go beyond them, "
                          "and lose accuracy; 128 are usual",
                          measured, measured == 1 ? "" : "s");
}

static enum serin_errc make(const struct quantize_settings *settings, struct serin_yolo *yolo, const uint8_t *bytes,
                            size_t size, struct counted *ret, struct serin_error *error)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(yolo);
    struct quantizer *quantizer = NULL;
    struct sources pictures = {0};
    struct tensor input;
    struct buffer out;
    enum serin_errc rc;
    bool labelled = false;

    buffer_init(&out, MAX_MODEL_BYTES);
    rc = shape_input(yolo, settings, &input, error);
    if (rc == SERIN_OK)
        rc = list_pictures(settings, info, &pictures, &labelled, error);
    if (rc == SERIN_OK)
        rc = quantizer_new(bytes, size, &input, settings->keep.items, settings->keep.count, info->threads, &quantizer,
                           error);
    if (rc == SERIN_OK)
        rc = measure(quantizer, yolo, settings, &pictures, ret, error);
    if (rc == SERIN_OK)
        rc = quantizer_write(quantizer, &out, error);
    if (rc == SERIN_OK)
        rc = file_write(settings->output, out.bytes, out.size, error);
    if (rc == SERIN_OK) {
        print_layers(quantizer);
        printf("%.1f MB became %.1f MB\n", (double)size / 1e6, (double)out.size / 1e6);
        terminal_flush(); /* the file is there; what is still to come takes minutes */
        complain(ret);
    }
    quantizer_free(quantizer);
    buffer_done(&out);
    sources_done(&pictures);
    if (rc == SERIN_OK && labelled && settings->compare > 0)
        rc = compare(settings, info->task, error);
    if (rc == SERIN_OK) {
        printf("to serve it in integers: serin push NAME:TAG --set provider=onednn --model ");
        terminal_text(stdout, settings->output);
        printf("\n");
    }
    return rc;
}

static int quantize(const void *given, char *const *operands, size_t operand_count)
{
    const struct quantize_settings *settings = given;
    struct serin_open_options open;
    struct serin_yolo *yolo = NULL;
    struct counted pictures = {0};
    struct serin_error error;
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    size_t size = 0;

    (void)operands, (void)operand_count;
    serin_open_options_init(&open);
    open.provider = "onednn"; /* what measures it, and says what it does not know */
    open.threads = settings->model.threads;
    open.sidecar = settings->model.sidecar;
    rc = check_output(settings->output, settings->model.path, &error);
    if (rc == SERIN_OK)
        rc = model_limit_memory(&settings->model, &error);
    if (rc == SERIN_OK)
        rc = file_read(settings->model.path, MAX_MODEL_BYTES, &bytes, &size, &error);
    if (rc == SERIN_OK)
        rc = check_model(settings->model.path, bytes, size, &error);
    if (rc == SERIN_OK)
        rc = serin_yolo_open(settings->model.path, &open, &yolo, &error);
    if (rc == SERIN_OK)
        rc = make(settings, yolo, bytes, size, &pictures, &error);
    if (rc != SERIN_OK)
        terminal_complain("quantize: %s", error.message);
    serin_yolo_close(yolo);
    free(bytes);
    return rc == SERIN_OK && pictures.failed == 0 ? CLI_OK : CLI_FAILED;
}

const struct cli_verb cli_quantize = {
    .name = "quantize",
    .summary = "make an int8 model of one in fp32",
    .text =
        "Runs the model over pictures, measures what flows between its layers, and writes it anew with weights and "
        "tensors in integers of 8 bits. Names, task and all other metadata stay. The result is an ordinary ONNX file "
        "(QuantizeLinear and DequantizeLinear around the convolutions): --provider onednn computes it in integers, and "
        "ONNX Runtime and others run it, too.\n\n"
        "The first and the last layers stay fp32, as does what no rule fits; the table says which, and why. Where the "
        "data has labels, the accuracy of both is compared on them. Use pictures like those that will come: by night, "
        "if it has to see at night. One that cannot be read is named and left out, and the exit code is 1.\n\n"
        "An OUT.onnx that is there is replaced where it is a model, and not the one that was given; anything else is "
        "left as it is.\n\n"
        "The model has to be in fp32, of opset 13 or later, with fused batch normalizations, as Ultralytics exports "
        "it. The same pictures make the same file.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct quantize_settings),
    .runs_networks = true,
    .run = quantize,
};
