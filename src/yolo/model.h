/*
 * model.h - the inside of struct serin_yolo, for the files of src/yolo alone.  Depends on engine, image, head.h,
 * metadata.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef YOLO_MODEL_H
#define YOLO_MODEL_H

#include "base/arena.h"
#include "image/letterbox.h"
#include "yolo/head.h"
#include "yolo/stages.h"

#include <pthread.h>

#define YOLO_DEFAULT_SIDE_PX  640
#define YOLO_MAX_SIDE_PX      8192
#define YOLO_MAX_BATCH        16 /* pictures that go through the network at once */
#define YOLO_MAX_PICTURES     64 /* of one call */
#define YOLO_MAX_FREE_SCRATCH 64
#define YOLO_MAX_RESULT_BYTES ((size_t)512 << 20) /* of one picture: masks can be large */

/* What one prediction needs besides its results; kept for the next one. */
struct yolo_scratch {
    struct yolo_scratch *next;
    void *input;
    size_t input_bytes;
    float *widened[2]; /* fp16 outputs of one picture, as float32: the head's, the prototypes' */
    size_t widened_count[2];
    struct candidates candidates;
};

struct serin_yolo {
    struct engine *engine;
    struct yolo_metadata metadata;
    struct head head;
    struct serin_yolo_info info;
    enum tensor_type picture_type; /* of the input tensor that pictures are prepared as */
    enum pixel_type pixel_type;    /* the same, for the letterbox */
    char description[512], license[256];
    char provider_why[sizeof(((struct serin_error *)0)->message)]; /* info.provider_why */
    pthread_mutex_t lock;                                          /* guards free_scratch and free_count */
    struct yolo_scratch *free_scratch;
    int free_count;
};

/* A picture that lies in the input already, for evaluation, which prepares pictures in its own way. */
struct prepared_picture {
    const struct serin_image *image; /* as it is to be letterboxed */
    struct letterbox letterbox;
};

/* The stages of serin_yolo_predict for up to YOLO_MAX_BATCH pictures of one input size, in one run of the network.
 * ret_results as there. Options have been checked. */
MUST_USE enum serin_errc yolo_predict_batch(struct serin_yolo *yolo, const struct prepared_picture *pictures,
                                            size_t count, const struct serin_predict_options *options,
                                            struct serin_result **ret_results, struct serin_error *error);

void yolo_scratch_free(struct yolo_scratch *scratch);

#endif
