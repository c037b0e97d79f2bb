/*
 * job.c - decode, letterbox, run, finish: the stages of a picture in the worker's threads.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The slab holds slots of one picture of the model's own input size. The batcher hands slots out in a circle and sorts
 * a batch by slot, so that what became ready together mostly lies together and goes to the engine without a copy. For
 * the rest each stream has a place to gather it.
 */
#include "worker/job.h"

#include "base/clock.h"
#include "worker/brightness.h"

#include <stdlib.h>
#include <string.h>

struct run_outputs {
    atomic_int owners;
    const struct engine *engine;
    struct engine_outputs outputs;
    size_t batch; /* as the network saw it */
};

/* Where a stream puts together what does not lie together. */
struct gathered {
    uint8_t *memory;
    size_t bytes;
};

struct network {
    struct serin_yolo *yolo;
    const struct serin_yolo_info *info;
    struct job_limits limits;
    struct batcher_options batching;
    uint8_t *slab;
    size_t slot_bytes;
    struct gathered *gathered; /* [batcher_streams] */
};

static void *alloc_tensor(size_t bytes)
{
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

enum serin_errc network_new(struct serin_yolo *yolo, const struct batcher_options *batching,
                            const struct job_limits *limits, struct network **ret, struct serin_error *error)
{
    struct network *network = calloc(1, sizeof(*network));
    const struct serin_yolo_info *info = serin_yolo_get_info(yolo);
    const struct letterbox whole = {.input_width = info->input_width, .input_height = info->input_height};
    enum serin_errc rc;

    if (!network)
        return error_set(error, SERIN_NOMEM, "no memory for a network");
    network->yolo = yolo;
    network->info = info;
    network->limits = *limits;
    network->batching = *batching;
    network->slot_bytes = yolo_picture_bytes(yolo, &whole);
    network->slab = alloc_tensor(network->slot_bytes * (size_t)batching->slots);
    network->gathered = calloc((size_t)batcher_streams(batching), sizeof(*network->gathered));
    if (!network->slab || !network->gathered) {
        rc = error_set(error, SERIN_NOMEM, "no memory for %d pictures of %zu bytes", batching->slots,
                       network->slot_bytes);
        network_free(network);
        return rc;
    }
    *ret = network;
    return SERIN_OK;
}

void network_free(struct network *network)
{
    int i;

    if (!network)
        return;
    for (i = 0; network->gathered && i < batcher_streams(&network->batching); i++)
        free(network->gathered[i].memory);
    free(network->slab);
    free(network->gathered);
    free(network);
}

static size_t network_batch(const struct network *network, size_t count)
{
    return network->info->batch > 0 ? (size_t)network->info->batch : count;
}

/* Between runs a stream keeps room for no more than the largest batch of the model's own size. */
static void gather_done(const struct network *network, struct gathered *gathered)
{
    if (gathered->bytes <= network_batch(network, (size_t)network->batching.max_batch) * network->slot_bytes)
        return;
    free(gathered->memory);
    *gathered = (struct gathered){NULL, 0};
}

static bool gather_room(struct gathered *gathered, size_t bytes)
{
    uint8_t *room;

    if (bytes <= gathered->bytes)
        return true;
    room = alloc_tensor(bytes);
    if (!room)
        return false;
    free(gathered->memory);
    *gathered = (struct gathered){room, bytes};
    return true;
}

enum serin_errc network_warm_up(struct network *network, struct serin_error *error)
{
    const struct letterbox whole = {.input_width = network->info->input_width,
                                    .input_height = network->info->input_height};
    const struct batcher_options *batching = &network->batching;
    size_t batch = network_batch(network, (size_t)batching->max_batch);
    int threads = batching->threads, next;
    struct engine_outputs outputs = {0};
    enum serin_errc rc;

    if (!gather_room(&network->gathered[0], batch * network->slot_bytes))
        return error_set(error, SERIN_NOMEM, "no memory for a batch of %zu", batch);
    memset(network->gathered[0].memory, 0, batch * network->slot_bytes);
    for (;;) {
        rc = yolo_run(network->yolo, &whole, yolo_picture_type(network->yolo), network->gathered[0].memory, batch,
                      YOLO_EVERYTHING, threads, &outputs, error);
        if (rc != SERIN_OK)
            return error_prefix(error, rc, "warming up with a batch of %zu and %d thread%s", batch, threads,
                                threads == 1 ? "" : "s");
        engine_outputs_done(yolo_engine(network->yolo), &outputs);
        next = batcher_share(batching, threads - 1);
        if (next == threads)
            return SERIN_OK;
        threads = next;
    }
}

/* ---- prepare ---- */

static void *job_tensor(const struct network *network, const struct job *job)
{
    return job->own_tensor ? (uint8_t *)job->own_tensor : network->slab + (size_t)job->item.slot * network->slot_bytes;
}

static enum tensor_type job_type(const struct network *network, const struct job *job)
{
    return job->work ? yolo_engine(network->yolo)->interface.inputs[0].type : yolo_picture_type(network->yolo);
}

/* What may share a batch has the same: size and type. */
static uint64_t shape_of(const struct network *network, const struct job *job)
{
    return (uint64_t)job_type(network, job) << 60 | (uint64_t)job->letterbox.input_height << 32 |
           (uint64_t)job->letterbox.input_width;
}

static enum serin_errc find_room(const struct network *network, struct job *job, struct serin_error *error)
{
    if (job->tensor_bytes <= network->slot_bytes)
        return SERIN_OK;
    job->own_tensor = alloc_tensor(job->tensor_bytes);
    return job->own_tensor ? SERIN_OK
                           : error_set(error, SERIN_NOMEM, "no memory for an input of %zu bytes", job->tensor_bytes);
}

static enum serin_errc prepare_tensors(const struct network *network, struct job *job, struct serin_error *error)
{
    enum serin_errc rc = find_room(network, job, error);

    job->item.shape = job->batch > 1 ? BATCHER_ALONE : shape_of(network, job);
    return rc == SERIN_OK ? job->work->fill(job, job_tensor(network, job), error) : rc;
}

static enum serin_errc prepare_picture(const struct network *network, struct job *job, struct serin_error *error)
{
    const struct serin_image_limits limits = {.max_bytes = network->limits.max_image_bytes,
                                              .max_pixels = network->limits.max_pixels};
    struct serin_image image = {0};
    enum serin_errc rc;
    uint64_t start;

    rc = serin_image_decode(job->bytes, job->size, &limits, &image, error);
    if (rc != SERIN_OK)
        return rc;
    brightness_measure(&image, &job->light, &job->sharpness);
    start = clock_now_ns();
    /* A picture is by itself here, so rect is what predict's "auto" means for one picture. */
    rc = yolo_plan(network->yolo, &image, network->info->dynamic_size, job->options, &job->letterbox, error);
    if (rc == SERIN_OK) {
        job->tensor_bytes = yolo_picture_bytes(network->yolo, &job->letterbox);
        job->item.shape = shape_of(network, job);
        rc = find_room(network, job, error);
    }
    if (rc == SERIN_OK)
        rc = yolo_prepare(network->yolo, &image, &job->letterbox, job_tensor(network, job), error);
    job->speed.preprocess_ms = clock_ms_since(start);
    serin_image_free(&image);
    return rc;
}

/* A stage's failure is the job's; a stage that set no code has a bug. */
static void settle(struct job *job, enum serin_errc rc)
{
    job->item.failed = rc != SERIN_OK;
    BUG_ON(rc != SERIN_OK && job->error.code == SERIN_OK);
}

void network_prepare(void *user, struct batch_item *item)
{
    const struct network *network = user;
    struct job *job = (struct job *)item;

    settle(job, job->work ? prepare_tensors(network, job, &job->error) : prepare_picture(network, job, &job->error));
}

/* ---- run ---- */

/* The batch's input in one piece: where it lies already, or gathered. NULL without memory. */
static void *batch_tensor(const struct network *network, const struct batch_run *run, size_t batch)
{
    struct gathered *gathered = &network->gathered[run->stream];
    struct batch_item *const *items = run->items;
    const struct job *first = (struct job *)items[0];
    const int count = run->count;
    size_t bytes = first->tensor_bytes / (size_t)first->batch;
    bool in_place = (size_t)(count == 1 ? first->batch : count) == batch;
    int i;

    for (i = 1; i < count && in_place; i++)
        in_place = (uint8_t *)job_tensor(network, (struct job *)items[i]) ==
                   (uint8_t *)job_tensor(network, (struct job *)items[i - 1]) + bytes;
    if (in_place)
        return job_tensor(network, first);
    if (!gather_room(gathered, batch * bytes))
        return NULL;
    for (i = 0; i < count; i++) {
        const struct job *job = (struct job *)items[i];

        memcpy(gathered->memory + (size_t)i * bytes, job_tensor(network, job), job->tensor_bytes);
    }
    i = count == 1 ? first->batch : count;
    memset(gathered->memory + (size_t)i * bytes, 0, (batch - (size_t)i) * bytes);
    return gathered->memory;
}

/* Of those that the results of a batch are read with. */
static float least_conf(const struct batch_run *run)
{
    float least = 1.0f;
    int i;

    for (i = 0; i < run->count; i++) {
        const struct job *job = (struct job *)run->items[i];

        if (job->work)
            return YOLO_EVERYTHING;
        least = job->options->conf < least ? job->options->conf : least;
    }
    return least;
}

void network_run(void *user, const struct batch_run *run)
{
    const struct network *network = user;
    struct batch_item *const *items = run->items;
    const int count = run->count;
    const struct job *first = (struct job *)items[0];
    size_t pictures = (size_t)(count == 1 ? first->batch : count), batch = network_batch(network, pictures);
    struct run_outputs *outputs = calloc(1, sizeof(*outputs));
    void *tensor = batch_tensor(network, run, batch);
    uint64_t start = clock_now_ns();
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc;
    double ms;
    int i;

    if (outputs && tensor)
        rc = yolo_run(network->yolo, &first->letterbox, job_type(network, first), tensor, batch, least_conf(run),
                      run->threads, &outputs->outputs, &error);
    else
        rc = error_set(&error, SERIN_NOMEM, "no memory for a batch of %zu", batch);
    ms = clock_ms_since(start) / (double)pictures;
    gather_done(network, &network->gathered[run->stream]);
    if (rc == SERIN_OK) {
        atomic_init(&outputs->owners, count);
        outputs->engine = yolo_engine(network->yolo);
        outputs->batch = batch;
    } else {
        free(outputs);
        outputs = NULL;
    }
    for (i = 0; i < count; i++) {
        struct job *job = (struct job *)items[i];

        job->outputs = outputs;
        job->index = (size_t)i;
        job->speed.inference_ms = ms;
        job->error = error;
        settle(job, rc);
        free(job->own_tensor);
        job->own_tensor = NULL;
    }
}

/* ---- finish ---- */

static void drop_outputs(struct job *job)
{
    struct run_outputs *outputs = job->outputs;

    job->outputs = NULL;
    if (!outputs || atomic_fetch_sub(&outputs->owners, 1) != 1)
        return;
    engine_outputs_done(outputs->engine, &outputs->outputs);
    free(outputs);
}

static enum serin_errc finish_picture(const struct network *network, struct job *job, struct serin_error *error)
{
    struct serin_result *result = NULL;
    enum serin_errc rc;

    rc = yolo_finish(network->yolo, &job->outputs->outputs, job->index, &job->letterbox, job->options, &result, error);
    if (rc == SERIN_OK) {
        job->detections = (int)result->count;
        rc = serin_result_to_json(result, &job->results, error);
    }
    serin_result_free(result);
    return rc;
}

void network_finish(void *user, struct batch_item *item)
{
    const struct network *network = user;
    struct job *job = (struct job *)item;
    uint64_t start = clock_now_ns();

    if (job->work)
        settle(job, job->work->take(job, &job->outputs->outputs, job->index, job->outputs->batch, &job->error));
    else
        settle(job, finish_picture(network, job, &job->error));
    drop_outputs(job);
    job->speed.postprocess_ms = clock_ms_since(start);
}

void job_done(struct job *job)
{
    drop_outputs(job);
    free(job->own_tensor);
    free(job->results);
    job->own_tensor = NULL;
    job->results = NULL;
}
