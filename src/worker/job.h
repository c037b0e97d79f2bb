/*
 * job.h - one picture, or one request's tensors, on its way through the batcher and the network.  Depends on yolo.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The stages of batcher.h for YOLO models: prepare decodes and letterboxes into a slot of one slab; run gives the
 * network a run of slots (in place where they lie side by side, else gathered); finish makes the answer's JSON.
 * Pictures and raw tensors of one input size and type share batches.
 */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include "base/buffer.h"
#include "worker/batcher.h"
#include "yolo/stages.h"

struct network;
struct job;
struct run_outputs; /* of a batch, shared by its jobs */

struct job_limits {
    uint64_t max_image_bytes, max_pixels;
    int max_input_px; /* of a side of the network's input */
};

/* What a job for raw tensors does itself. */
struct tensor_work {
    /* Writes the input (job->tensor_bytes) to tensor. Pool thread. */
    enum serin_errc (*fill)(struct job *job, void *tensor, struct serin_error *error);
    /* The outputs of job->batch pictures from index on, of batch in all. Pool thread. */
    enum serin_errc (*take)(struct job *job, const struct engine_outputs *outputs, size_t index, size_t batch,
                            struct serin_error *error);
};

struct job {
    struct batch_item item; /* first */
    void *owner;            /* the caller's */
    /* a picture */
    const uint8_t *bytes; /* encoded; not owned */
    size_t size;
    const struct serin_predict_options *options; /* checked; not owned */
    /* raw tensors: work is not NULL */
    const struct tensor_work *work;
    int batch; /* pictures in it; 1 for a picture */
    size_t tensor_bytes;
    /* the answer */
    struct serin_error error; /* code is not SERIN_OK where it failed */
    struct letterbox letterbox;
    struct serin_speed speed;
    double light, sharpness;
    char *results;  /* JSON; malloc'ed */
    int detections; /* in them */
    /* the network's */
    void *own_tensor; /* where a slot is too small */
    struct run_outputs *outputs;
    size_t index;
};

/* The model must outlive it. batching: of the batcher that will call the stages. SERIN_NOMEM. */
MUST_USE enum serin_errc network_new(struct serin_yolo *yolo, const struct batcher_options *batching,
                                     const struct job_limits *limits, struct network **ret, struct serin_error *error);
void network_free(struct network *network);

/* Runs the largest batch once on black with each share of the threads, so that what the engine makes late is made. */
MUST_USE enum serin_errc network_warm_up(struct network *network, struct serin_error *error);

/* For batcher_stages, with user the network; done is the caller's own. */
void network_prepare(void *user, struct batch_item *item);
void network_run(void *user, const struct batch_run *run);
void network_finish(void *user, struct batch_item *item);

void job_done(struct job *job); /* frees what the stages left; a zeroed one is fine */

#endif
