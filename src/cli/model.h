/*
 * model.h - the options that every verb with a model has, and opening it.  Depends on yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "cli/cli.h"

#include <serin/yolo.h>

struct model_settings {
    const char *path;
    int provider; /* which of MODEL_PROVIDERS */
    int device;
    int threads;
    const char *sidecar;
    const char *cache_dir;
};

#define MODEL_PROVIDERS "cpu|cuda|tensorrt|auto"

/* Rows of a verb's option table, for settings that hold a struct model_settings named model. */
#define MODEL_PATH_OPTION(settings)                                                                                    \
    {                                                                                                                  \
        .name = "model", .value = "M.onnx", .type = CLI_TEXT, .required = true,                                        \
        .offset = offsetof(struct settings, model.path), .help = "the model, an ONNX file as Ultralytics exports it"   \
    }
#define MODEL_ENGINE_OPTIONS(settings)                                                                                 \
    {.name = "provider",                                                                                               \
     .value = MODEL_PROVIDERS,                                                                                         \
     .type = CLI_CHOICE,                                                                                               \
     .fallback = "cpu",                                                                                                \
     .offset = offsetof(struct settings, model.provider),                                                              \
     .help = "what runs the network; auto takes the fastest that loads"},                                              \
        {.name = "device",                                                                                             \
         .value = "N",                                                                                                 \
         .type = CLI_INTEGER,                                                                                          \
         .fallback = "0",                                                                                              \
         .max = 255,                                                                                                   \
         .offset = offsetof(struct settings, model.device),                                                            \
         .help = "the GPU's number, for cuda and tensorrt"},                                                           \
        {.name = "threads",                                                                                            \
         .value = "N",                                                                                                 \
         .type = CLI_INTEGER,                                                                                          \
         .fallback = "0",                                                                                              \
         .max = 1024,                                                                                                  \
         .offset = offsetof(struct settings, model.threads),                                                           \
         .help = "threads of the engine; 0 is one for each processor this process may use, and at most 4 for each "    \
                 "(or 16) are possible"},                                                                              \
        {.name = "sidecar",                                                                                            \
         .value = "FILE",                                                                                              \
         .type = CLI_TEXT,                                                                                             \
         .offset = offsetof(struct settings, model.sidecar),                                                           \
         .help = "YAML with the metadata that the model lacks; without this option, the .yaml beside the model"},      \
    {                                                                                                                  \
        .name = "cache-dir", .value = "DIR", .type = CLI_TEXT, .offset = offsetof(struct settings, model.cache_dir),   \
        .help = "where tensorrt keeps the engines it builds"                                                           \
    }

/* NULL where it cannot be opened, with error set. serin_yolo_close it. */
struct serin_yolo *model_try_open(const struct model_settings *settings, struct serin_error *error);

/* The same, with the sentence on stderr. CLI_OK, CLI_FAILED, or CLI_USAGE where an option's value is what is wrong. */
int model_open(const struct model_settings *settings, struct serin_yolo **ret);

#endif
