/*
 * check.c - whether the files of a configuration can be opened or made, without making them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/serve.h"

#include "runtime/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PATH 1200

/* The folder that path lies in. */
static void parent_of(const char *path, char *parent)
{
    char *slash;

    snprintf(parent, MAX_PATH, "%s", path);
    for (slash = parent + strlen(parent); slash > parent + 1 && slash[-1] == '/';)
        *--slash = '\0';
    slash = strrchr(parent, '/');
    if (!slash)
        snprintf(parent, MAX_PATH, ".");
    else
        slash[slash == parent] = '\0';
}

static enum serin_errc check_folder(const char *key, const char *path, struct serin_error *error)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return error_set(error, SERIN_INVALID, "%s: %s: %s", key, path, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return error_set(error, SERIN_INVALID, "%s: %s is no folder", key, path);
    if (access(path, W_OK | X_OK) != 0)
        return error_set(error, SERIN_INVALID, "%s: %s cannot be written to: %s", key, path, strerror(errno));
    return SERIN_OK;
}

static enum serin_errc check_log(const char *key, const char *path, struct serin_error *error)
{
    char parent[MAX_PATH];
    struct stat status;

    if (!path[0] || strcmp(path, "-") == 0)
        return SERIN_OK;
    if (stat(path, &status) != 0 && errno == ENOENT) {
        parent_of(path, parent);
        return check_folder(key, parent, error);
    }
    if (access(path, W_OK) != 0)
        return error_set(error, SERIN_INVALID, "%s: %s: %s", key, path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return error_set(error, SERIN_INVALID, "%s: %s is a folder", key, path);
    return SERIN_OK;
}

enum serin_errc serve_check_files(const struct serve_options *options, struct serin_error *error)
{
    char folder[MAX_PATH], parent[MAX_PATH];
    struct stat status;
    enum serin_errc rc = check_log("log", options->log, error);

    if (rc == SERIN_OK)
        rc = check_log("access_log", options->access_log, error);
    if (rc != SERIN_OK)
        return rc;
    snprintf(folder, sizeof(folder), "%s", options->data_dir);
    while (stat(folder, &status) != 0 && errno == ENOENT) { /* what is missing is made, parents too */
        parent_of(folder, parent);
        memcpy(folder, parent, sizeof(folder));
    }
    return check_folder("data_dir", folder, error);
}

const char *serve_describe_limits(char *text, size_t size)
{
    return runtime_process.describe(text, size);
}
