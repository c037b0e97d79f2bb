/*
 * save.c - names, folders and encoding of annotated pictures.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/save.h"

#include "base/file.h"
#include "image/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define JPEG_QUALITY 92

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);

    return length > tail && strcasecmp(name + length - tail, ending) == 0;
}

static bool is_jpeg(const char *name)
{
    return ends_with(name, ".jpg") || ends_with(name, ".jpeg");
}

/* What is appended to a source's name. */
static const char *extension_for(const char *name)
{
    return is_jpeg(name) || ends_with(name, ".png") ? "" : ".png";
}

static enum serin_errc make_folders(const char *folder, struct serin_error *error)
{
    char path[PATH_MAX];
    struct stat status;
    char *p;

    if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path))
        return error_set(error, SERIN_LIMIT, "--save: a path of %zu bytes, the limit is %zu", strlen(folder),
                         sizeof(path) - 1);
    for (p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return error_set(error, SERIN_IO, "--save: %s: %s", path, strerror(errno));
        *p = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return error_set(error, SERIN_IO, "--save: %s: %s", path, strerror(errno));
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_set(error, SERIN_IO, "--save: %s is not a folder", path);
    return SERIN_OK;
}

/* Makes a file and removes it again: permissions, read-only mounts and folders that only look like some (/proc) all
 * show, which access() does not see. */
static enum serin_errc try_to_write(const char *folder, struct serin_error *error)
{
    char path[PATH_MAX + 20];
    int fd;

    snprintf(path, sizeof(path), "%s/.serin-XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set(error, SERIN_IO, "--save: no file can be made in %s: %s", folder, strerror(errno));
    close(fd);
    unlink(path);
    return SERIN_OK;
}

/* The folder that a picture lies in, links followed: what a link points to must not be overwritten either. False where
 * there is no such file. */
static bool folder_of(const char *path, struct stat *ret)
{
    char *real = realpath(path, NULL);
    bool found;

    if (!real)
        return false;
    real[base_name(real) - real] = '\0';
    found = stat(real, ret) == 0;
    free(real);
    return found;
}

/* Orders by the names that the pictures are saved under, which are not all their own: a.webp and a.webp.png meet. */
static int by_saved_name(const void *a, const void *b)
{
    const char *left = base_name(*(char *const *)a), *right = base_name(*(char *const *)b);
    char left_saved[NAME_MAX + 8], right_saved[NAME_MAX + 8];

    snprintf(left_saved, sizeof(left_saved), "%s%s", left, extension_for(left));
    snprintf(right_saved, sizeof(right_saved), "%s%s", right, extension_for(right));
    return strcmp(left_saved, right_saved);
}

static enum serin_errc refuse_equal_names(const char *folder, const struct sources *sources, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    char **sorted;
    size_t i;

    sorted = malloc((sources->count + 1) * sizeof(*sorted));
    if (!sorted)
        return error_set(error, SERIN_NOMEM, "no memory for the names of %zu pictures", sources->count);
    memcpy(sorted, sources->paths, sources->count * sizeof(*sorted));
    qsort(sorted, sources->count, sizeof(*sorted), by_saved_name);
    for (i = 1; rc == SERIN_OK && i < sources->count; i++) {
        const char *name = base_name(sorted[i]);

        if (by_saved_name(&sorted[i - 1], &sorted[i]) == 0)
            rc = error_set(error, SERIN_INVALID,
                           "--save: %s and %s would both become %s/%s%s: save them into two folders", sorted[i - 1],
                           sorted[i], folder, name, extension_for(name));
    }
    free(sorted);
    return rc;
}

enum serin_errc save_prepare(const char *folder, const struct sources *sources, struct serin_error *error)
{
    struct stat target, source;
    enum serin_errc rc;
    size_t i;

    rc = make_folders(folder, error);
    if (rc != SERIN_OK)
        return rc;
    if (stat(folder, &target) != 0)
        return error_set(error, SERIN_IO, "--save: %s: %s", folder, strerror(errno));
    for (i = 0; i < sources->count; i++)
        if (folder_of(sources->paths[i], &source) && source.st_dev == target.st_dev && source.st_ino == target.st_ino)
            return error_set(error, SERIN_INVALID,
                             "--save: %s lies in %s itself and would be overwritten: name another folder",
                             sources->paths[i], folder);
    rc = refuse_equal_names(folder, sources, error);
    return rc == SERIN_OK ? try_to_write(folder, error) : rc;
}

enum serin_errc save_picture(const char *folder, const char *source, const struct serin_image *image,
                             struct serin_error *error)
{
    const char *name = base_name(source), *extension = extension_for(name);
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    char path[PATH_MAX];
    size_t size = 0;

    if (snprintf(path, sizeof(path), "%s%s%s%s", folder, slash, name, extension) >= (int)sizeof(path))
        return error_set(error, SERIN_LIMIT, "--save: a path longer than %zu bytes", sizeof(path) - 1);
    rc = is_jpeg(name) ? image_encode_jpeg(image, JPEG_QUALITY, &bytes, &size, error)
                       : image_encode_png(image, &bytes, &size, error);
    if (rc == SERIN_OK)
        rc = file_write(path, bytes, size, error);
    free(bytes);
    return rc;
}
