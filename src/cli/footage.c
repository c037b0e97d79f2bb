/*
 * footage.c - reads footage before it is played, so that no disk delays a frame.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/footage.h"

#include "base/file.h"
#include "cli/sources.h"

#include <string.h>
#include <strings.h>

/* By the extension: a server looks at the bytes anyway. */
static const char *type_of(const char *path)
{
    static const struct {
        const char *extension, *type;
    } types[] = {{".jpg", "image/jpeg"},
                 {".jpeg", "image/jpeg"},
                 {".png", "image/png"},
                 {".webp", "image/webp"},
                 {".bmp", "image/bmp"}};
    const char *dot = strrchr(path, '.');
    size_t i;

    for (i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot, types[i].extension) == 0)
            return types[i].type;
    return "application/octet-stream";
}

static enum serin_errc read_frame(const char *path, struct bytes **ret, struct serin_error *error)
{
    struct bytes *frame;
    enum serin_errc rc;
    uint8_t *bytes;
    size_t size;

    rc = file_read(path, FOOTAGE_MAX_FRAME_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    frame = bytes_new(size);
    if (frame) {
        memcpy(frame->data, bytes, size);
        frame->size = size;
    }
    free(bytes);
    if (!frame)
        return error_set(error, SERIN_NOMEM, "%s: no memory for its %zu bytes", path, size);
    *ret = frame;
    return SERIN_OK;
}

enum serin_errc footage_load(const char *folder, struct footage *ret, struct serin_error *error)
{
    struct sources sources = {.paths = NULL};
    struct footage footage = {.frames = NULL};
    enum serin_errc rc;
    size_t bytes = 0;

    rc = sources_add(&sources, folder, error);
    if (rc == SERIN_OK) {
        footage.frames = calloc(sources.count, sizeof(struct bytes *));
        footage.types = calloc(sources.count, sizeof(const char *));
        if (!footage.frames || !footage.types)
            rc = error_set(error, SERIN_NOMEM, "%s: no memory for %zu frames", folder, sources.count);
    }
    while (rc == SERIN_OK && footage.count < sources.count) {
        const char *path = sources.paths[footage.count];
        struct bytes *frame = NULL;

        rc = read_frame(path, &frame, error);
        if (rc != SERIN_OK)
            break;
        bytes += frame->size;
        footage.types[footage.count] = type_of(path);
        footage.frames[footage.count++] = frame;
        if (bytes > FOOTAGE_MAX_BYTES)
            rc = error_set(error, SERIN_LIMIT, "%s: its first %zu of %zu frames have %zu bytes, the limit is %llu",
                           folder, footage.count, sources.count, bytes, (unsigned long long)FOOTAGE_MAX_BYTES);
    }
    if (rc == SERIN_OK) {
        footage.paths = sources.paths; /* handed over: there are as many as frames */
        sources = (struct sources){.paths = NULL};
    }
    sources_done(&sources);
    if (rc == SERIN_OK)
        *ret = footage;
    else
        footage_done(&footage);
    return rc;
}

void footage_done(struct footage *footage)
{
    size_t i;

    for (i = 0; i < footage->count; i++) {
        bytes_drop(footage->frames[i]);
        if (footage->paths)
            free(footage->paths[i]);
        if (footage->truths)
            bytes_drop(footage->truths[i]);
    }
    free(footage->frames);
    free(footage->types);
    free(footage->paths);
    free(footage->truths);
    *footage = (struct footage){.frames = NULL};
}
