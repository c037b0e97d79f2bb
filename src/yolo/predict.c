/*
 * predict.c - pictures in, results out: letterbox, run, decode, suppress, pack.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call takes a scratch from the model's list (or makes one), so that many threads can predict on one model and none
 * allocates the input tensor anew. Invariant: what goes into a batch has one input size, and every shape that comes
 * back from the engine is checked against what the head was recognised as before a value is read.
 */
#include "yolo/model.h"

#include "base/clock.h"
#include "base/half.h"
#include "yolo/nms.h"
#include "yolo/result.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ANCHORS 10000000 /* 8400 at 640 px, a million at 7,000 px */

void serin_predict_options_init(struct serin_predict_options *options)
{
    *options = (struct serin_predict_options){.conf = 0.25f, .iou = 0.7, .max_det = 300};
}

/* ---- scratch ---- */

/* NULL without memory. */
static struct yolo_scratch *yolo_scratch_take(struct serin_yolo *yolo)
{
    struct yolo_scratch *scratch;

    pthread_mutex_lock(&yolo->lock);
    scratch = yolo->free_scratch;
    if (scratch) {
        yolo->free_scratch = scratch->next;
        yolo->free_count--;
    }
    pthread_mutex_unlock(&yolo->lock);
    return scratch ? scratch : calloc(1, sizeof(*scratch));
}

static void yolo_scratch_give(struct serin_yolo *yolo, struct yolo_scratch *scratch)
{
    bool keep;

    pthread_mutex_lock(&yolo->lock);
    keep = yolo->free_count < YOLO_MAX_FREE_SCRATCH;
    if (keep) {
        scratch->next = yolo->free_scratch;
        yolo->free_scratch = scratch;
        yolo->free_count++;
    }
    pthread_mutex_unlock(&yolo->lock);
    if (!keep)
        yolo_scratch_free(scratch);
}

void yolo_scratch_free(struct yolo_scratch *scratch)
{
    free(scratch->input);
    free(scratch->widened[0]);
    free(scratch->widened[1]);
    candidates_done(&scratch->candidates);
    free(scratch);
}

/* ---- checking ---- */

enum serin_errc yolo_check_options(const struct serin_yolo *yolo, const struct serin_predict_options *options,
                                   struct serin_error *error)
{
    const struct serin_yolo_info *info = &yolo->info;
    size_t i;

    if (!(options->conf >= 0 && options->conf <= 1))
        return error_set(error, SERIN_INVALID, "conf is %g, it lies within 0 and 1", (double)options->conf);
    if (!(options->iou >= 0 && options->iou <= 1))
        return error_set(error, SERIN_INVALID, "iou is %g, it lies within 0 and 1", options->iou);
    if (options->max_det < 1 || options->max_det > HEAD_MAX_CANDIDATES)
        return error_set(error, SERIN_INVALID, "max_det is %d, it lies within 1 and %d", options->max_det,
                         HEAD_MAX_CANDIDATES);
    for (i = 0; options->classes && i < options->class_count; i++)
        if (options->classes[i] < 0 || options->classes[i] >= info->class_count)
            return error_set(error, SERIN_INVALID, "class %d is not one of the model's, 0 to %d", options->classes[i],
                             info->class_count - 1);
    if (options->input_height < 0 || options->input_width < 0 || options->input_height > YOLO_MAX_SIDE_PX ||
        options->input_width > YOLO_MAX_SIDE_PX || (options->input_height == 0) != (options->input_width == 0))
        return error_set(error, SERIN_INVALID, "an input of %d x %d px: both sides are 1 to %d, or both 0",
                         options->input_width, options->input_height, YOLO_MAX_SIDE_PX);
    if (!info->dynamic_size && options->input_height > 0 &&
        (options->input_height != info->input_height || options->input_width != info->input_width))
        return error_set(error, SERIN_INVALID,
                         "an input of %d x %d px was asked for, but the model's is fixed at %d x %d",
                         options->input_width, options->input_height, info->input_width, info->input_height);
    if (!info->dynamic_size && options->rect == SERIN_RECT_ON)
        return error_set(error, SERIN_INVALID, "rect needs a model of dynamic size, this one's is fixed at %d x %d",
                         info->input_width, info->input_height);
    if (info->task == SERIN_CLASSIFY && options->input_height != options->input_width)
        return error_set(error, SERIN_INVALID, "a classifier's input is square");
    return SERIN_OK;
}

static enum serin_errc check_image(const struct serin_image *image, struct serin_error *error)
{
    if (!image->pixels || image->width < 1 || image->height < 1 || image->width > 65535 || image->height > 65535 ||
        image->stride_bytes < (size_t)image->width * 3)
        return error_set(
            error, SERIN_INVALID,
            "a picture of %d x %d px with rows of %zu bytes: sides are 1 to 65535, rows at least 3 * width",
            image->width, image->height, image->stride_bytes);
    return SERIN_OK;
}

/* ---- running ---- */

size_t yolo_picture_bytes(const struct serin_yolo *yolo, const struct letterbox *box)
{
    return (size_t)box->input_width * (size_t)box->input_height * 3 * tensor_type_bytes(yolo->picture_type);
}

enum tensor_type yolo_picture_type(const struct serin_yolo *yolo)
{
    return yolo->picture_type;
}

enum serin_errc yolo_prepare(const struct serin_yolo *yolo, const struct serin_image *image,
                             const struct letterbox *box, void *tensor, struct serin_error *error)
{
    if (yolo->head.task == SERIN_CLASSIFY)
        return centre_crop_to_tensor(image, box->input_width, yolo->pixel_type, tensor, error);
    return letterbox_to_tensor(image, box, yolo->pixel_type, tensor, error);
}

static enum serin_errc fill_input(struct serin_yolo *yolo, const struct prepared_picture *pictures, size_t count,
                                  size_t batch, struct yolo_scratch *scratch, double *preprocess_ms,
                                  struct serin_error *error)
{
    size_t bytes = yolo_picture_bytes(yolo, &pictures[0].letterbox), i;
    enum serin_errc rc;

    if (bytes * batch > scratch->input_bytes) {
        void *input = aligned_alloc(64, (bytes * batch + 63) / 64 * 64);

        if (!input)
            return error_set(error, SERIN_NOMEM, "no memory for an input of %zu bytes", bytes * batch);
        free(scratch->input);
        scratch->input = input;
        scratch->input_bytes = bytes * batch;
    }
    for (i = 0; i < count; i++) {
        void *tensor = (char *)scratch->input + i * bytes;
        uint64_t start = clock_now_ns();

        rc = yolo_prepare(yolo, pictures[i].image, &pictures[i].letterbox, tensor, error);
        if (rc != SERIN_OK)
            return rc;
        preprocess_ms[i] = clock_ms_since(start);
    }
    BUG_ON(!scratch->input);
    if (batch > count) /* a fixed batch that is not full */
        memset((char *)scratch->input + count * bytes, 0, (batch - count) * bytes);
    return SERIN_OK;
}

static enum serin_errc wrong_shape(const struct serin_yolo *yolo, int index, const struct tensor *tensor, size_t batch,
                                   struct serin_error *error)
{
    struct tensor_spec got = {.type = tensor->type, .rank = tensor->rank};
    char got_text[96], said_text[96];

    memcpy(got.shape, tensor->shape, sizeof(got.shape));
    return error_set(error, SERIN_MODEL, "output '%s' came as %s for a batch of %zu, the model says %s",
                     yolo->engine->interface.outputs[index].name, tensor_spec_text(&got, got_text, sizeof(got_text)),
                     batch, tensor_spec_text(&yolo->engine->interface.outputs[index], said_text, sizeof(said_text)));
}

static enum serin_errc check_outputs(const struct serin_yolo *yolo, const struct engine_outputs *outputs, size_t batch,
                                     struct serin_error *error)
{
    const struct head *head = &yolo->head;
    const struct tensor *main = &outputs->tensors[head->output];
    bool fits = main->type == yolo->engine->interface.outputs[head->output].type &&
                main->rank == (head->kind == HEAD_CLASSIFY ? 2 : 3) && main->shape[0] == (int64_t)batch;

    switch (head->kind) {
    case HEAD_CLASSIFY:
        fits = fits && main->shape[1] == head->class_count;
        break;
    case HEAD_YOLOV8:
        fits = fits && main->shape[1] == 4 + head->class_count + head->extra_count && main->shape[2] >= 1 &&
               main->shape[2] <= MAX_ANCHORS;
        break;
    case HEAD_YOLOV5:
        fits = fits && main->shape[2] == 5 + head->class_count && main->shape[1] >= 1 && main->shape[1] <= MAX_ANCHORS;
        break;
    case HEAD_END2END:
        fits = fits && main->shape[2] == 6 + head->extra_count && main->shape[1] >= 0 && main->shape[1] <= MAX_ANCHORS;
        break;
    }
    if (!fits)
        return wrong_shape(yolo, head->output, main, batch, error);
    if (head->task == SERIN_SEGMENT) {
        const struct tensor *protos = &outputs->tensors[head->proto_output];

        if (protos->type != yolo->engine->interface.outputs[head->proto_output].type || protos->rank != 4 ||
            protos->shape[0] != (int64_t)batch || protos->shape[1] != head->extra_count || protos->shape[2] < 1 ||
            protos->shape[3] < 1 || protos->shape[2] > YOLO_MAX_SIDE_PX || protos->shape[3] > YOLO_MAX_SIDE_PX)
            return wrong_shape(yolo, head->proto_output, protos, batch, error);
    }
    return SERIN_OK;
}

enum serin_errc yolo_run(const struct serin_yolo *yolo, const struct letterbox *box, enum tensor_type type,
                         void *tensor, size_t batch, float conf, int threads, struct engine_outputs *ret,
                         struct serin_error *error)
{
    const struct engine_selection selection = head_selection(&yolo->head, conf);
    const struct tensor input = {
        .type = type, .rank = 4, .shape = {(int64_t)batch, 3, box->input_height, box->input_width}, .values = tensor};
    struct engine_outputs outputs = {0};
    enum serin_errc rc = engine_run(yolo->engine, &input, conf < 0 ? NULL : &selection, threads, &outputs, error);

    if (rc == SERIN_OK)
        rc = check_outputs(yolo, &outputs, batch, error);
    if (rc == SERIN_OK)
        *ret = outputs;
    else
        engine_outputs_done(yolo->engine, &outputs);
    return rc;
}

/* One picture's share of an output, as float32; slot says which of the scratch's buffers holds it where it was fp16. */
static enum serin_errc widen(const struct tensor *tensor, size_t index, struct yolo_scratch *scratch, int slot,
                             const float **ret, struct serin_error *error)
{
    size_t count = 1, i;
    const uint16_t *halves;
    int d;

    for (d = 1; d < tensor->rank; d++)
        count *= (size_t)tensor->shape[d];
    if (tensor->type == TENSOR_F32) {
        *ret = (const float *)tensor->values + index * count;
        return SERIN_OK;
    }
    BUG_ON(tensor->type != TENSOR_F16);
    if (count > scratch->widened_count[slot]) {
        float *widened = realloc(scratch->widened[slot], count * sizeof(*widened));

        if (!widened)
            return error_set(error, SERIN_NOMEM, "no memory for an output of %zu values", count);
        scratch->widened[slot] = widened;
        scratch->widened_count[slot] = count;
    }
    halves = (const uint16_t *)tensor->values + index * count;
    for (i = 0; i < count; i++)
        scratch->widened[slot][i] = half_to_float(halves[i]);
    *ret = scratch->widened[slot];
    return SERIN_OK;
}

static enum serin_errc finish_boxes(const struct serin_yolo *yolo, const struct engine_outputs *outputs, size_t index,
                                    const struct letterbox *letterbox, const struct serin_predict_options *options,
                                    struct yolo_scratch *scratch, struct serin_result **ret, struct serin_error *error)
{
    const struct head_filter filter = {.conf = options->conf,
                                       .multi_label = options->multi_label && yolo->head.class_count > 1,
                                       .classes = options->classes,
                                       .class_count = options->class_count};
    const struct tensor *main = &outputs->tensors[yolo->head.output];
    struct head_output output = {.rows = main->shape[1], .columns = main->shape[2]};
    struct mask_prototypes prototypes = {0};
    enum serin_errc rc;

    rc = widen(main, index, scratch, 0, &output.values, error);
    if (rc == SERIN_OK)
        rc = head_decode(&yolo->head, &output, &filter, &scratch->candidates, error);
    if (rc != SERIN_OK)
        return rc;
    if (yolo->head.kind == HEAD_END2END) {
        if (scratch->candidates.count > (size_t)options->max_det)
            scratch->candidates.count = (size_t)options->max_det;
    } else if (yolo->head.task == SERIN_OBB) {
        rc = nms_rotated(&scratch->candidates, options->iou, options->agnostic_nms, options->max_det, error);
    } else {
        rc = nms_upright(&scratch->candidates, options->iou, options->agnostic_nms, options->max_det, error);
    }
    if (rc == SERIN_OK && yolo->head.task == SERIN_SEGMENT) {
        const struct tensor *protos = &outputs->tensors[yolo->head.proto_output];

        prototypes.channels = (int32_t)protos->shape[1];
        prototypes.height = (int32_t)protos->shape[2];
        prototypes.width = (int32_t)protos->shape[3];
        rc = widen(protos, index, scratch, 1, &prototypes.values, error);
    }
    if (rc != SERIN_OK)
        return rc;
    return result_new(yolo, &output, yolo->head.task == SERIN_SEGMENT ? &prototypes : NULL, &scratch->candidates,
                      letterbox, options->retina_masks, ret, error);
}

static enum serin_errc finish_picture(const struct serin_yolo *yolo, const struct engine_outputs *outputs, size_t index,
                                      const struct letterbox *letterbox, const struct serin_predict_options *options,
                                      struct yolo_scratch *scratch, struct serin_result **ret,
                                      struct serin_error *error)
{
    const float *probabilities = NULL;
    enum serin_errc rc;

    if (yolo->head.kind != HEAD_CLASSIFY)
        return finish_boxes(yolo, outputs, index, letterbox, options, scratch, ret, error);
    rc = widen(&outputs->tensors[yolo->head.output], index, scratch, 0, &probabilities, error);
    return rc != SERIN_OK ? rc : result_new_classes(yolo, probabilities, letterbox, ret, error);
}

enum serin_errc yolo_finish(struct serin_yolo *yolo, const struct engine_outputs *outputs, size_t index,
                            const struct letterbox *box, const struct serin_predict_options *options,
                            struct serin_result **ret, struct serin_error *error)
{
    struct yolo_scratch *scratch = yolo_scratch_take(yolo);
    enum serin_errc rc;

    if (!scratch)
        return error_set(error, SERIN_NOMEM, "no memory for a prediction");
    rc = finish_picture(yolo, outputs, index, box, options, scratch, ret, error);
    yolo_scratch_give(yolo, scratch);
    return rc;
}

enum serin_errc yolo_predict_batch(struct serin_yolo *yolo, const struct prepared_picture *pictures, size_t count,
                                   const struct serin_predict_options *options, struct serin_result **ret_results,
                                   struct serin_error *error)
{
    size_t batch = yolo->info.batch > 0 ? (size_t)yolo->info.batch : count, i;
    struct serin_result *results[YOLO_MAX_PICTURES] = {NULL};
    double preprocess_ms[YOLO_MAX_PICTURES], inference_ms = 0;
    struct yolo_scratch *scratch = yolo_scratch_take(yolo);
    struct engine_outputs outputs = {0};
    enum serin_errc rc;

    BUG_ON(count < 1 || count > batch || batch > YOLO_MAX_PICTURES);
    if (!scratch)
        return error_set(error, SERIN_NOMEM, "no memory for a prediction");
    rc = fill_input(yolo, pictures, count, batch, scratch, preprocess_ms, error);
    if (rc == SERIN_OK) {
        uint64_t start = clock_now_ns();

        rc = yolo_run(yolo, &pictures[0].letterbox, yolo->picture_type, scratch->input, batch, options->conf,
                      yolo->engine->threads, &outputs, error);
        inference_ms = clock_ms_since(start) / (double)count;
    }
    for (i = 0; i < count && rc == SERIN_OK; i++) {
        uint64_t start = clock_now_ns();

        rc = finish_picture(yolo, &outputs, i, &pictures[i].letterbox, options, scratch, &results[i], error);
        if (rc == SERIN_OK)
            results[i]->speed = (struct serin_speed){preprocess_ms[i], inference_ms, clock_ms_since(start)};
    }
    engine_outputs_done(yolo->engine, &outputs);
    yolo_scratch_give(yolo, scratch);
    for (i = 0; i < count; i++) {
        if (rc == SERIN_OK)
            ret_results[i] = results[i];
        else
            serin_result_free(results[i]);
    }
    return rc;
}

/* ---- the public call ---- */

static int round_up(int value, int step)
{
    return (value + step - 1) / step * step;
}

/* Whether the input shrinks to the pictures' shape: Ultralytics' rule, but for models whose height and width are fixed.
 */
static bool use_rect(const struct serin_yolo *yolo, const struct serin_image *images, size_t count,
                     const struct serin_predict_options *options)
{
    size_t i;

    if (!yolo->info.dynamic_size || options->rect == SERIN_RECT_OFF)
        return false;
    for (i = 1; i < count; i++)
        if (images[i].width != images[0].width || images[i].height != images[0].height)
            return false;
    return true;
}

enum serin_errc yolo_plan(const struct serin_yolo *yolo, const struct serin_image *image, bool rect,
                          const struct serin_predict_options *options, struct letterbox *ret, struct serin_error *error)
{
    int stride = yolo->info.stride;
    int height = options->input_height > 0 ? options->input_height : yolo->info.input_height;
    int width = options->input_width > 0 ? options->input_width : yolo->info.input_width;

    if (yolo->head.task == SERIN_CLASSIFY) {
        *ret = (struct letterbox){
            .image_width = image->width, .image_height = image->height, .input_width = width, .input_height = height};
        return SERIN_OK;
    }
    if (yolo->info.dynamic_size)
        height = round_up(height, stride), width = round_up(width, stride);
    return letterbox_plan(image->width, image->height, width, height, rect, stride, ret, error);
}

enum serin_errc serin_yolo_predict(struct serin_yolo *yolo, const struct serin_image *images, size_t count,
                                   const struct serin_predict_options *options, struct serin_result **ret_results,
                                   struct serin_error *error)
{
    struct prepared_picture pictures[YOLO_MAX_PICTURES];
    struct serin_result *results[YOLO_MAX_PICTURES] = {NULL};
    struct serin_predict_options defaults;
    size_t batch = yolo->info.batch > 0 ? (size_t)yolo->info.batch : YOLO_MAX_BATCH, i;
    enum serin_errc rc;
    bool rect;

    serin_predict_options_init(&defaults);
    options = options ? options : &defaults;
    if (count < 1 || count > YOLO_MAX_PICTURES)
        return error_set(error, SERIN_INVALID, "%zu pictures at once: 1 to %d are possible", count, YOLO_MAX_PICTURES);
    rc = yolo_check_options(yolo, options, error);
    rect = use_rect(yolo, images, count, options);
    for (i = 0; i < count && rc == SERIN_OK; i++) {
        rc = check_image(&images[i], error);
        pictures[i].image = &images[i];
        if (rc == SERIN_OK)
            rc = yolo_plan(yolo, &images[i], rect, options, &pictures[i].letterbox, error);
    }
    for (i = 0; i < count && rc == SERIN_OK; i += batch) {
        size_t part = count - i < batch ? count - i : batch;

        rc = yolo_predict_batch(yolo, pictures + i, part, options, results + i, error);
    }
    for (i = 0; i < count; i++) {
        if (rc == SERIN_OK)
            ret_results[i] = results[i];
        else
            serin_result_free(results[i]);
    }
    return rc;
}

const struct engine *yolo_engine(const struct serin_yolo *yolo)
{
    return yolo->engine;
}
