/*
 * model.c - opening the model that the command line names.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/model.h"

#include "cli/terminal.h"

struct serin_yolo *model_try_open(const struct model_settings *settings, struct serin_error *error)
{
    static const char *const providers[] = {"cpu", "cuda", "tensorrt", "auto"}; /* MODEL_PROVIDERS */
    struct serin_open_options options;
    struct serin_yolo *yolo = NULL;

    serin_open_options_init(&options);
    options.provider = providers[settings->provider];
    options.device = settings->device;
    options.threads = settings->threads;
    options.sidecar = settings->sidecar;
    options.cache_dir = settings->cache_dir;
    return serin_yolo_open(settings->path, &options, &yolo, error) == SERIN_OK ? yolo : NULL;
}

int model_open(const struct model_settings *settings, struct serin_yolo **ret)
{
    struct serin_error error;
    struct serin_yolo *yolo = model_try_open(settings, &error);

    if (!yolo) {
        terminal_complain("%s", error.message);
        return error.code == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
    }
    *ret = yolo;
    return CLI_OK;
}
