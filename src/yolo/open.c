/*
 * open.c - from a file to a model that is ready: probe, metadata, engine, head, warm-up.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order is the point: the file is read without being trusted first (onnx_probe), so that the engine, a large C++
 * library, sees only what has passed; and the first inference happens here, so that a model that cannot run fails when
 * it is opened and not when a camera waits.
 */
#include "yolo/model.h"

#include "base/file.h"
#include "base/processors.h"
#include "base/providers.h"
#include "engine/onnx_probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_MODEL_BYTES ((uint64_t)1 << 30)
#define MAX_SIDECAR_BYTES       (1u << 20)

const char *serin_task_name(enum serin_task task)
{
    switch (task) {
    case SERIN_DETECT:
        return "detect";
    case SERIN_SEGMENT:
        return "segment";
    case SERIN_POSE:
        return "pose";
    case SERIN_CLASSIFY:
        return "classify";
    case SERIN_OBB:
        return "obb";
    }
    return "unknown";
}

void serin_open_options_init(struct serin_open_options *options)
{
    *options = (struct serin_open_options){.provider = PROVIDER_DEFAULT, .max_model_bytes = DEFAULT_MAX_MODEL_BYTES};
}

static enum serin_errc check_threads(int threads, struct serin_error *error)
{
    int processors = processors_usable(), most = processors_most_threads();

    if (threads < 0 || threads > most)
        return error_set(error, SERIN_INVALID, "%d threads: 0 to %d are possible with %d usable processor%s", threads,
                         most, processors, processors == 1 ? "" : "s");
    return SERIN_OK;
}

static const char *find_property(const void *user, const char *key)
{
    return onnx_summary_find(user, key);
}

static enum serin_errc check_input(const struct serin_yolo *yolo, struct serin_error *error)
{
    const struct engine_interface *interface = &yolo->engine->interface;
    const struct tensor_spec *input = &interface->inputs[0];
    char seen[96];

    if (interface->input_count != 1)
        return error_set(error, SERIN_UNSUPPORTED, "a YOLO has one input, this model has %d", interface->input_count);
    tensor_spec_text(input, seen, sizeof(seen));
    if (input->rank != 4 || (input->shape[1] != 3 && input->shape[1] != -1))
        return error_set(error, SERIN_UNSUPPORTED, "the input is %s, a YOLO takes [B,3,H,W]", seen);
    if (input->type != TENSOR_F32 && input->type != TENSOR_F16 && input->type != TENSOR_U8)
        return error_set(error, SERIN_UNSUPPORTED, "the input is %s; fp32, fp16 and uint8 are known: export it again",
                         seen);
    if (input->shape[0] == 0 || input->shape[0] > YOLO_MAX_PICTURES)
        return error_set(error, SERIN_UNSUPPORTED, "the input is %s: a batch of %lld, the limit is %d", seen,
                         (long long)input->shape[0], YOLO_MAX_PICTURES);
    if ((input->shape[2] < 0) != (input->shape[3] < 0))
        return error_set(error, SERIN_UNSUPPORTED, "the input is %s: height and width are both fixed or both free",
                         seen);
    if (input->shape[2] == 0 || input->shape[3] == 0 || input->shape[2] > YOLO_MAX_SIDE_PX ||
        input->shape[3] > YOLO_MAX_SIDE_PX)
        return error_set(error, SERIN_UNSUPPORTED, "the input is %s: the limit is %d px a side", seen,
                         YOLO_MAX_SIDE_PX);
    if (yolo->metadata.input_height > YOLO_MAX_SIDE_PX || yolo->metadata.input_width > YOLO_MAX_SIDE_PX)
        return error_set(error, SERIN_UNSUPPORTED,
                         "the metadata says an input of %d x %d px: the limit is %d px a side",
                         yolo->metadata.input_width, yolo->metadata.input_height, YOLO_MAX_SIDE_PX);
    if (yolo->metadata.channels > 0 && yolo->metadata.channels != 3)
        return error_set(error, SERIN_UNSUPPORTED, "the metadata says %d channels, only RGB is known",
                         yolo->metadata.channels);
    return SERIN_OK;
}

/* Class names for a model that does not say them: class0, class1, as Ultralytics does. */
static enum serin_errc name_classes(struct yolo_metadata *metadata, int class_count, struct serin_error *error)
{
    int i;

    if (metadata->class_count > 0)
        return SERIN_OK;
    metadata->class_names = calloc((size_t)class_count, sizeof(*metadata->class_names));
    if (!metadata->class_names)
        return error_set(error, SERIN_NOMEM, "no memory for %d class names", class_count);
    metadata->class_count = class_count;
    for (i = 0; i < class_count; i++)
        if (asprintf(&metadata->class_names[i], "class%d", i) < 0) {
            metadata->class_names[i] = NULL;
            return error_set(error, SERIN_NOMEM, "no memory for %d class names", class_count);
        }
    return SERIN_OK;
}

/* What pictures are prepared as, and of what size; task: as far as it is known. */
static void set_input(struct serin_yolo *yolo, enum serin_task task)
{
    const struct tensor_spec *input = &yolo->engine->interface.inputs[0];
    const struct yolo_metadata *metadata = &yolo->metadata;
    struct serin_yolo_info *info = &yolo->info;

    yolo->picture_type = yolo->engine->takes_bytes ? TENSOR_U8 : input->type;
    yolo->pixel_type = yolo->picture_type == TENSOR_F16  ? PIXEL_F16
                       : yolo->picture_type == TENSOR_U8 ? PIXEL_U8
                                                         : PIXEL_F32;
    info->stride = metadata->stride > 0 ? metadata->stride : 32;
    info->batch = input->shape[0] > 0 ? (int)input->shape[0] : 0;
    info->dynamic_size = input->shape[2] < 0;
    if (!info->dynamic_size) {
        info->input_height = (int)input->shape[2];
        info->input_width = (int)input->shape[3];
    } else if (metadata->input_height > 0) {
        info->input_height = metadata->input_height;
        info->input_width = metadata->input_width;
    } else {
        info->input_height = info->input_width = task == SERIN_CLASSIFY ? 224 : YOLO_DEFAULT_SIDE_PX;
    }
}

static void fill_info(struct serin_yolo *yolo)
{
    const struct yolo_metadata *metadata = &yolo->metadata;

    snprintf(yolo->description, sizeof(yolo->description), "%s", metadata->description ? metadata->description : "");
    snprintf(yolo->license, sizeof(yolo->license), "%s", metadata->license ? metadata->license : "");
    yolo->info = (struct serin_yolo_info){
        .task = yolo->head.task,
        .class_count = yolo->head.class_count,
        .class_names = (const char *const *)metadata->class_names,
        .channels = 3,
        .end_to_end = yolo->head.kind == HEAD_END2END,
        .keypoint_count = yolo->head.task == SERIN_POSE ? metadata->keypoint_count : 0,
        .keypoint_dims = yolo->head.task == SERIN_POSE ? metadata->keypoint_dims : 0,
        .input_type = tensor_type_name(yolo->engine->interface.inputs[0].type),
        .head = head_kind_name(yolo->head.kind),
        .provider = yolo->engine->provider,
        .provider_why = yolo->provider_why,
        .threads = yolo->engine->threads,
        .description = yolo->description,
        .license = yolo->license,
    };
    set_input(yolo, yolo->head.task);
}

/* What no engine of this kind can run is no matter of the moment. */
static enum serin_errc first_run(enum serin_errc rc, struct serin_error *error)
{
    return rc == SERIN_UNSUPPORTED ? rc : error_prefix(error, rc, "warming up");
}

static bool has_free_outputs(const struct engine_interface *interface)
{
    int i, d;

    for (i = 0; i < interface->output_count; i++) {
        if (interface->outputs[i].rank == 0)
            return true;
        for (d = 1; d < interface->outputs[i].rank; d++)
            if (interface->outputs[i].shape[d] < 0)
                return true;
    }
    return false;
}

/* Sets the dimensions that outputs have behind the batch where the file leaves them free (an export with simplify=False
 * names each anew), to those of a run on an input of the size that the model is opened with. */
static enum serin_errc observe_outputs(struct serin_yolo *yolo, struct engine_interface *interface,
                                       struct serin_error *error)
{
    struct engine_outputs outputs = {0};
    struct tensor input = {.rank = 4};
    struct serin_predict_options options;
    struct letterbox box;
    enum serin_errc rc;
    int64_t batch;
    int i, d;

    set_input(yolo, yolo->metadata.has_task ? yolo->metadata.task : SERIN_DETECT);
    serin_predict_options_init(&options);
    rc = yolo_plan(yolo, &(struct serin_image){.width = yolo->info.input_width, .height = yolo->info.input_height},
                   false, &options, &box, error);
    if (rc != SERIN_OK)
        return rc;
    batch = yolo->info.batch > 0 ? yolo->info.batch : 1;
    input.type = yolo->picture_type;
    memcpy(input.shape, (int64_t[]){batch, 3, box.input_height, box.input_width}, 4 * sizeof(input.shape[0]));
    input.values = calloc((size_t)batch, yolo_picture_bytes(yolo, &box));
    if (!input.values)
        return error_set(error, SERIN_NOMEM, "no memory for an input of %d x %d", box.input_width, box.input_height);
    rc = first_run(engine_run(yolo->engine, &input, NULL, yolo->engine->threads, &outputs, error), error);
    free(input.values);
    for (i = 0; i < outputs.count && rc == SERIN_OK; i++) {
        struct tensor_spec *spec = &interface->outputs[i];

        if (spec->rank == 0) { /* not said */
            spec->rank = outputs.tensors[i].rank;
            memset(spec->shape, -1, sizeof(spec->shape));
        }
        for (d = 1; d < spec->rank && spec->rank == outputs.tensors[i].rank; d++)
            if (spec->shape[d] < 0)
                spec->shape[d] = outputs.tensors[i].shape[d];
    }
    engine_outputs_done(yolo->engine, &outputs);
    return rc;
}

/* Only the kind of head, the classes and the extras are kept, and each run is checked against these. */
static enum serin_errc recognise(struct serin_yolo *yolo, struct serin_error *error)
{
    struct engine_interface interface = yolo->engine->interface;
    enum serin_errc rc = SERIN_OK;

    if (head_recognise(&interface, &yolo->metadata, &yolo->head, NULL) == SERIN_OK)
        return SERIN_OK;
    if (has_free_outputs(&interface))
        rc = observe_outputs(yolo, &interface, error);
    return rc == SERIN_OK ? head_recognise(&interface, &yolo->metadata, &yolo->head, error) : rc;
}

/* One prediction on a grey picture: allocates what the engine allocates late, builds GPU kernels, and proves the
 * shapes. */
static enum serin_errc warm_up(struct serin_yolo *yolo, struct serin_error *error)
{
    struct serin_image grey = {.width = yolo->info.input_width, .height = yolo->info.input_height};
    struct serin_result *result = NULL;
    size_t bytes = (size_t)grey.width * (size_t)grey.height * 3;
    enum serin_errc rc;

    grey.stride_bytes = (size_t)grey.width * 3;
    grey.pixels = malloc(bytes);
    if (!grey.pixels)
        return error_set(error, SERIN_NOMEM, "no memory for a picture of %d x %d", grey.width, grey.height);
    memset(grey.pixels, LETTERBOX_PAD, bytes);
    rc = serin_yolo_predict(yolo, &grey, 1, NULL, &result, error);
    free(grey.pixels);
    serin_result_free(result);
    return first_run(rc, error);
}

/* From an engine to a prediction. After a failure yolo is as if it had not been called, but for close_engine. */
static enum serin_errc open_engine(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                                   struct serin_yolo *yolo, struct serin_error *error)
{
    enum serin_errc rc = engine_open(bytes, size_bytes, options, &yolo->engine, error);

    if (rc == SERIN_OK)
        rc = check_input(yolo, error);
    if (rc == SERIN_OK)
        rc = recognise(yolo, error);
    if (rc == SERIN_OK)
        rc = name_classes(&yolo->metadata, yolo->head.class_count, error);
    if (rc != SERIN_OK)
        return rc;
    fill_info(yolo);
    if (yolo->head.task == SERIN_CLASSIFY && yolo->info.input_height != yolo->info.input_width)
        return error_set(error, SERIN_UNSUPPORTED, "a classifier's input is square, this one's is %d x %d",
                         yolo->info.input_width, yolo->info.input_height);
    return warm_up(yolo, error);
}

static void close_engine(struct serin_yolo *yolo)
{
    while (yolo->free_scratch) {
        struct yolo_scratch *next = yolo->free_scratch->next;

        yolo_scratch_free(yolo->free_scratch);
        yolo->free_scratch = next;
    }
    yolo->free_count = 0;
    engine_close(yolo->engine);
    yolo->engine = NULL;
}

/* "auto". That there is no GPU is no news; that the engine for CPUs is passed over is told with its reason. */
static enum serin_errc open_fastest(const uint8_t *bytes, size_t size_bytes, struct engine_options options,
                                    struct serin_yolo *yolo, struct serin_error *error)
{
    static const char *const fastest_first[] = {"tensorrt", "cuda", "onednn"};
    struct serin_error why;
    size_t i;

    for (i = 0; i < sizeof(fastest_first) / sizeof(fastest_first[0]); i++) {
        options.provider = fastest_first[i];
        if (open_engine(bytes, size_bytes, &options, yolo, &why) == SERIN_OK)
            return SERIN_OK;
        close_engine(yolo);
    }
    memcpy(yolo->provider_why, why.message, sizeof(yolo->provider_why));
    options.provider = "cpu";
    return open_engine(bytes, size_bytes, &options, yolo, error);
}

static enum serin_errc open_bytes(const uint8_t *bytes, size_t size_bytes, const char *sidecar_path,
                                  const struct serin_open_options *options, struct serin_yolo *yolo,
                                  struct serin_error *error)
{
    const struct engine_options engine_options = {
        .provider = options->provider ? options->provider : PROVIDER_DEFAULT,
        .threads = options->threads > 0 ? options->threads : processors_usable(),
        .device = options->device,
        .cache_dir = options->cache_dir,
    };
    struct onnx_summary summary = {0};
    uint8_t *sidecar = NULL;
    size_t sidecar_size = 0;
    enum serin_errc rc;

    rc = onnx_probe(bytes, size_bytes, &summary, error);
    if (rc != SERIN_OK)
        return rc;
    rc = metadata_read(find_property, &summary, &yolo->metadata, error);
    onnx_summary_done(&summary);
    if (rc == SERIN_OK && sidecar_path) {
        rc = file_read(sidecar_path, MAX_SIDECAR_BYTES, &sidecar, &sidecar_size, error);
        if (rc == SERIN_OK)
            rc = error_prefix(error, metadata_read_sidecar((const char *)sidecar, sidecar_size, &yolo->metadata, error),
                              "%s", sidecar_path);
        free(sidecar);
    }
    if (rc != SERIN_OK)
        return rc;
    if (strcmp(engine_options.provider, "auto") == 0)
        return open_fastest(bytes, size_bytes, engine_options, yolo, error);
    return open_engine(bytes, size_bytes, &engine_options, yolo, error);
}

static enum serin_errc open_common(const uint8_t *bytes, size_t size_bytes, const char *sidecar_path,
                                   const struct serin_open_options *options, struct serin_yolo **ret,
                                   struct serin_error *error)
{
    struct serin_yolo *yolo = calloc(1, sizeof(*yolo));
    enum serin_errc rc;

    if (!yolo)
        return error_set(error, SERIN_NOMEM, "no memory for a model");
    pthread_mutex_init(&yolo->lock, NULL);
    rc = open_bytes(bytes, size_bytes, sidecar_path, options, yolo, error);
    if (rc != SERIN_OK) {
        serin_yolo_close(yolo);
        return rc;
    }
    *ret = yolo;
    return SERIN_OK;
}

enum serin_errc serin_yolo_open_memory(const void *bytes, size_t size_bytes, const struct serin_open_options *options,
                                       struct serin_yolo **ret, struct serin_error *error)
{
    struct serin_open_options defaults;
    enum serin_errc rc;

    serin_open_options_init(&defaults);
    options = options ? options : &defaults;
    rc = check_threads(options->threads, error);
    if (rc != SERIN_OK)
        return rc;
    if (!bytes || size_bytes == 0)
        return error_set(error, SERIN_INVALID, "the model has no bytes");
    return open_common(bytes, size_bytes, options->sidecar, options, ret, error);
}

enum serin_errc serin_yolo_open(const char *path, const struct serin_open_options *options, struct serin_yolo **ret,
                                struct serin_error *error)
{
    struct serin_open_options defaults;
    uint64_t max_bytes;
    char *beside = NULL;
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    enum serin_errc rc;

    serin_open_options_init(&defaults);
    options = options ? options : &defaults;
    rc = check_threads(options->threads, error);
    if (rc != SERIN_OK)
        return rc;
    max_bytes = options->max_model_bytes ? options->max_model_bytes : DEFAULT_MAX_MODEL_BYTES;
    if (!options->sidecar) {
        FILE *file;

        if (asprintf(&beside, "%s.yaml", path) < 0)
            return error_set(error, SERIN_NOMEM, "no memory for a path");
        file = fopen(beside, "re");
        if (file) {
            fclose(file);
        } else {
            free(beside);
            beside = NULL;
        }
    }
    rc = file_read(path, (size_t)max_bytes, &bytes, &size_bytes, error);
    if (rc == SERIN_OK)
        rc = error_prefix(
            error, open_common(bytes, size_bytes, options->sidecar ? options->sidecar : beside, options, ret, error),
            "%s", path);
    free(bytes);
    free(beside);
    return rc;
}

void serin_yolo_close(struct serin_yolo *yolo)
{
    if (!yolo)
        return;
    close_engine(yolo);
    metadata_done(&yolo->metadata);
    pthread_mutex_destroy(&yolo->lock);
    free(yolo);
}

const struct serin_yolo_info *serin_yolo_get_info(const struct serin_yolo *yolo)
{
    return &yolo->info;
}
