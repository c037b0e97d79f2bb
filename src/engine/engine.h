/*
 * engine.h - what runs a network: a table of functions, one row a backend.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An engine is opened from the bytes of an ONNX file and runs tensors through it. It knows nothing of YOLO. Open
 * engines are immutable: engine_run may be called from many threads at once.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_MAX_RANK    6
#define ENGINE_MAX_TENSORS 8
#define ENGINE_MAX_NAME    128

enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_U8, TENSOR_F64, TENSOR_I64, TENSOR_OTHER };

const char *tensor_type_name(enum tensor_type type); /* "fp32", "fp16", "uint8", "fp64", "int64", "other" */
size_t tensor_type_bytes(enum tensor_type type);     /* 0 for other */

/* What the model says of an input or output: -1 stands for a dimension that is free. */
struct tensor_spec {
    char name[ENGINE_MAX_NAME];
    enum tensor_type type;
    int rank;
    int64_t shape[ENGINE_MAX_RANK];
};

/* "fp32[1,3,640,640]", free dimensions as "?"; returns text. */
const char *tensor_spec_text(const struct tensor_spec *spec, char *text, size_t size);

struct tensor {
    enum tensor_type type;
    int rank;
    int64_t shape[ENGINE_MAX_RANK]; /* row-major */
    void *values;                   /* inputs: the caller's, unchanged; outputs: the run's */
};

/* Where a run's answer matters: of an output [pictures][channels][places], the places of a picture at which one of the
 * channels [first_score, first_score + score_count) is above a threshold, or no number. */
struct engine_selection {
    int output;
    int64_t first_score, score_count;
    float above;
};

struct engine_options {
    const char *provider; /* one of PROVIDERS (base/providers.h) but "auto", which is for who knows what to try */
    int threads;          /* >= 1, for all runs together */
    int device;
    const char *cache_dir; /* NULL: none */
};

struct engine_interface {
    int input_count, output_count;
    struct tensor_spec inputs[ENGINE_MAX_TENSORS];
    struct tensor_spec outputs[ENGINE_MAX_TENSORS];
};

/* The outputs of one run, freed together. */
struct engine_outputs {
    int count;
    struct tensor tensors[ENGINE_MAX_TENSORS];
    void *handles[ENGINE_MAX_TENSORS]; /* the backend's own */
};

struct engine;

/* One row a backend. All slots are required. */
struct engine_backend {
    const char *name;
    enum serin_errc (*open)(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                            struct engine *engine, struct serin_error *error);
    enum serin_errc (*run)(const struct engine *engine, const struct tensor *inputs,
                           const struct engine_selection *selection, int threads, struct engine_outputs *ret,
                           struct serin_error *error);
    void (*outputs_done)(const struct engine *engine, struct engine_outputs *outputs);
    void (*close)(struct engine *engine); /* half-open is fine */
};

struct engine {
    const struct engine_backend *backend;
    struct engine_interface interface;
    char provider[16]; /* the one in use */
    int threads;
    bool takes_bytes;    /* input 0 is fp32 and may come as TENSOR_U8, which then stands for value / 255 */
    int least_threads;   /* of a run: threads where the backend cannot divide them */
    bool gains_by_batch; /* pictures cost less together; else they had better run side by side */
    void *state;         /* the backend's own */
};

/* bytes are not needed after the call. Errors: SERIN_CORRUPT, SERIN_UNSUPPORTED, SERIN_ENGINE, SERIN_NOMEM. */
MUST_USE enum serin_errc engine_open(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                                     struct engine **ret, struct serin_error *error);
void engine_close(struct engine *engine); /* NULL is fine */

/* inputs: interface.input_count tensors, in that order. selection: NULL where everything matters; else a backend may
 * leave anything in the other channels of other places. threads: least_threads to threads; runs at the same time should
 * not have more than threads together. ret is the caller's: engine_outputs_done. */
MUST_USE enum serin_errc engine_run(const struct engine *engine, const struct tensor *inputs,
                                    const struct engine_selection *selection, int threads, struct engine_outputs *ret,
                                    struct serin_error *error);
void engine_outputs_done(const struct engine *engine, struct engine_outputs *outputs);

extern const struct engine_backend engine_onnxruntime, engine_onednn;

#endif
