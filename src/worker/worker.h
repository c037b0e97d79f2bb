/*
 * worker.h - a process that serves one version: decode, batch, infer, answer.  Depends on base, http, yolo, libuv.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One loop thread speaks HTTP; decode_threads take pictures apart and letterbox them; streams run the network and share
 * its threads (batcher.h). Every queue has a maximum; what does not fit is answered 503 with Retry-After at once.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/error.h"

#include <stdint.h>

struct worker_options {
    const char *model_path; /* ONNX */
    const char *name;       /* "street-person:v1.0.0-cpu": model and tag of the answers */
    const char *listen;     /* "unix:/path" or "127.0.0.1:0" */
    const char *provider;   /* as serin_open_options */
    int device;
    int threads;                   /* of the engine, for all it runs at once; 0: one for each processor */
    int decode_threads;            /* default: processors, at most 4 */
    int max_batch;                 /* default 8; 1 where the model's batch is fixed at 1 */
    int max_delay_us;              /* how long a batch waits for more; default 0: none, as Triton's */
    int max_queue;                 /* pictures that wait, decoded or not; default 64 */
    double conf, iou;              /* defaults of a request; .25, .7 */
    int max_det;                   /* 300 */
    int input_height, input_width; /* 0: the model's */
    uint64_t max_body_bytes;       /* 32 MiB */
    uint64_t max_pixels;           /* of one picture; 50,000,000 */
};

void worker_options_init(struct worker_options *options);

/* Opens the model, warms up, listens, and serves until SIGTERM or SIGINT: then drains and returns SERIN_OK. Prints one
 * line "listening on ADDRESS" on stdout once it is ready, JSON log lines on stderr. */
MUST_USE enum serin_errc worker_run(const struct worker_options *options, struct serin_error *error);

#endif
