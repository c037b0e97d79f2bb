/*
 * model.c - opening the model that the command line names.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/model.h"

#include "base/memory_limit.h"
#include "base/text.h"
#include "cli/terminal.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char aborted_text[256]; /* made before, for a signal's handler may not make it */

static void aborted(int number)
{
    ssize_t written = write(STDERR_FILENO, aborted_text, strlen(aborted_text));

    (void)number, (void)written;
    _exit(CLI_FAILED);
}

enum serin_errc model_limit_memory(const struct model_settings *settings, struct serin_error *error)
{
    struct sigaction action = {.sa_handler = aborted};
    struct stat status;
    uint64_t bytes = (uint64_t)settings->memory_mb * 1000000;
    enum serin_errc rc;

    if (bytes == 0)
        bytes = memory_limit_default(stat(settings->path, &status) == 0 ? (uint64_t)status.st_size : 0);
    rc = memory_limit_process(bytes, error);
    if (rc != SERIN_OK || memory_limit_in_force() == 0)
        return rc;
    snprintf(aborted_text, sizeof(aborted_text),
             "serin: the program was aborted, as the engine does where no memory is left; it may take %llu MB "
             "(--memory-mb)\n",
             (unsigned long long)memory_limit_in_force() / 1000000);
    sigaction(SIGABRT, &action, NULL);
    return SERIN_OK;
}

struct serin_yolo *model_try_open(const struct model_settings *settings, struct serin_error *error)
{
    char provider[PROVIDER_MAX_BYTES];
    struct serin_open_options options;
    struct serin_yolo *yolo = NULL;

    serin_open_options_init(&options);
    options.provider = text_choice(PROVIDERS, settings->provider, provider, sizeof(provider));
    options.device = settings->device;
    options.threads = settings->threads;
    options.sidecar = settings->sidecar;
    options.cache_dir = settings->cache_dir;
    if (model_limit_memory(settings, error) != SERIN_OK)
        return NULL;
    return serin_yolo_open(settings->path, &options, &yolo, error) == SERIN_OK ? yolo : NULL;
}

int model_open(const struct model_settings *settings, struct serin_yolo **ret)
{
    struct serin_error error;
    struct serin_yolo *yolo = model_try_open(settings, &error);
    const struct serin_yolo_info *info;
    char provider[PROVIDER_MAX_BYTES];

    if (!yolo) {
        terminal_complain("%s", error.message);
        return error.code == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
    }
    info = serin_yolo_get_info(yolo);
    text_choice(PROVIDERS, settings->provider, provider, sizeof(provider));
    if (strcmp(provider, "auto") == 0)
        terminal_complain("provider auto took %s%s%s", info->provider, *info->provider_why ? ", because " : "",
                          info->provider_why);
    *ret = yolo;
    return CLI_OK;
}
