/*
 * model.h - the options that every verb with a model has, and opening it.  Depends on yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "base/error.h"
#include "base/providers.h"
#include "cli/cli.h"

#include <serin/yolo.h>

struct model_settings {
    const char *path;
    int provider; /* which of PROVIDERS */
    int device;
    int threads;
    const char *sidecar;
    const char *cache_dir;
    int memory_mb; /* of this process; 0: memory_limit_default */
};

/* Rows of a verb's option table, for settings that hold a struct model_settings named model. */
#define MODEL_PATH_OPTION(settings)                                                                                    \
    {                                                                                                                  \
        .name = "model", .value = "M.onnx", .type = CLI_TEXT, .required = true,                                        \
        .offset = offsetof(struct settings, model.path), .help = "the model, an ONNX file as Ultralytics exports it"   \
    }
#define MODEL_MEMORY_OPTION(settings)                                                                                  \
    {                                                                                                                  \
        .name = "memory-mb", .value = "N", .type = CLI_INTEGER, .fallback = "0", .max = 1e9,                           \
        .offset = offsetof(struct settings, model.memory_mb),                                                          \
        .help = "memory that the program may take, in MB; what needs more is refused; 0 is half of the machine's, "    \
                "and at least 1 GiB and 8 times the model"                                                             \
    }
#define MODEL_SIZE_OPTION(settings) /* of settings that hold a struct cli_size named imgsz */                          \
    {                                                                                                                  \
        .name = "imgsz", .value = "N|H,W", .type = CLI_SIZE, .min = 1, .max = 8192,                                    \
        .offset = offsetof(struct settings, imgsz),                                                                    \
        .help = "the network's input size in pixels, for models that take any, each side rounded up to the model's "   \
                "stride (mostly 32); without this option, the model's own"                                             \
    }
#define MODEL_PROVIDER_OPTIONS(settings)                                                                               \
    {.name = "provider",                                                                                               \
     .value = PROVIDERS,                                                                                               \
     .type = CLI_CHOICE,                                                                                               \
     .fallback = PROVIDER_DEFAULT,                                                                                     \
     .offset = offsetof(struct settings, model.provider),                                                              \
     .help = "what runs the network: ONNX Runtime on the CPU or a GPU, or oneDNN on the CPU in fp32 or bf16; auto is " \
             "the first of tensorrt, cuda, onednn and cpu that can run the model"},                                    \
    {                                                                                                                  \
        .name = "device", .value = "N", .type = CLI_INTEGER, .fallback = "0", .max = 255,                              \
        .offset = offsetof(struct settings, model.device), .help = "the GPU's number, for cuda and tensorrt"           \
    }
#define MODEL_ENGINE_OPTIONS(settings)                                                                                 \
    MODEL_PROVIDER_OPTIONS(settings),                                                                                  \
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
        MODEL_MEMORY_OPTION(settings),                                                                                 \
    {                                                                                                                  \
        .name = "cache-dir", .value = "DIR", .type = CLI_TEXT, .offset = offsetof(struct settings, model.cache_dir),   \
        .help = "where tensorrt keeps the engines it builds"                                                           \
    }

/* Limits the memory of this process, before a model is opened that may ask for all of the machine's. Where the engine
 * ends the program for want of it (C++ calls abort where an exception finds no handler) a sentence on stderr says so.
 * SERIN_IO. */
MUST_USE enum serin_errc model_limit_memory(const struct model_settings *settings, struct serin_error *error);

/* With limited memory. NULL where it cannot be opened, with error set. serin_yolo_close it. */
struct serin_yolo *model_try_open(const struct model_settings *settings, struct serin_error *error);

/* The same, with the sentence on stderr, and what runs it where it is told to choose. CLI_OK, CLI_FAILED, or CLI_USAGE
 * where an option's value is what is wrong. */
int model_open(const struct model_settings *settings, struct serin_yolo **ret);

#endif
