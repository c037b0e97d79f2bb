/*
 * golden_pictures.c - reading golden pictures, and asking the model what it says of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/golden_pictures.h"

#include "base/file.h"
#include "base/json.h"
#include "cli/sources.h"

#include <stdlib.h>
#include <string.h>

/* A picture's results on a line of their own: what a worker answers to it. */
static enum serin_errc predict(struct serin_yolo *yolo, const struct bundle_picture *picture,
                               const struct serin_predict_options *options, char **ret_json, struct serin_error *error)
{
    struct serin_image image = {0};
    struct serin_result *result = NULL;
    enum serin_errc rc;

    rc = serin_image_decode(picture->bytes, picture->size, NULL, &image, error);
    if (rc == SERIN_OK)
        rc = serin_yolo_predict(yolo, &image, 1, options, &result, error);
    if (rc == SERIN_OK)
        rc = serin_result_to_json(result, ret_json, error);
    serin_result_free(result);
    serin_image_free(&image);
    return rc;
}

static enum serin_errc take(const char *path, size_t room, struct serin_yolo *yolo,
                            const struct serin_predict_options *options, struct golden_pictures *pictures,
                            struct json_writer *json, struct serin_error *error)
{
    const char *slash = strrchr(path, '/');
    uint8_t *bytes = NULL;
    char *results = NULL;
    enum serin_errc rc;
    size_t size;

    rc = file_read(path, room < GOLDEN_MAX_PICTURE_BYTES ? room : GOLDEN_MAX_PICTURE_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    pictures->pictures[pictures->count] = (struct bundle_picture){bytes, size};
    rc = error_prefix(error, predict(yolo, &pictures->pictures[pictures->count++], options, &results, error), "%s",
                      path);
    if (rc != SERIN_OK)
        return rc;
    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, slash ? slash + 1 : path);
    json_key(json, "results");
    json_write_raw(json, results);
    json_end_object(json);
    free(results);
    return SERIN_OK;
}

static enum serin_errc take_all(const struct sources *sources, struct serin_yolo *yolo,
                                const struct serin_predict_options *options, struct golden_pictures *pictures,
                                struct buffer *out, struct serin_error *error)
{
    size_t room = GOLDEN_MAX_TOTAL_BYTES, i;
    enum serin_errc rc = SERIN_OK;
    struct json_writer json;

    if (sources->count > GOLDEN_MAX_PICTURES)
        return error_set(error, SERIN_LIMIT, "%zu golden pictures, the limit is %d", sources->count,
                         GOLDEN_MAX_PICTURES);
    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "pictures");
    json_begin_array(&json);
    for (i = 0; rc == SERIN_OK && i < sources->count; i++) {
        rc = take(sources->paths[i], room, yolo, options, pictures, &json, error);
        if (rc == SERIN_OK)
            room -= pictures->pictures[i].size;
    }
    json_end_array(&json);
    json_end_object(&json);
    return rc == SERIN_OK ? buffer_check(out, "what the model says of the golden pictures", error) : rc;
}

enum serin_errc golden_pictures_take(const char *const *arguments, int argument_count, struct serin_yolo *yolo,
                                     const struct serin_predict_options *options, struct golden_pictures *ret,
                                     struct bundle *bundle, struct serin_error *error)
{
    struct sources sources = {0};
    enum serin_errc rc = SERIN_OK;
    struct buffer out;
    int i;

    *ret = (struct golden_pictures){0};
    for (i = 0; rc == SERIN_OK && i < argument_count; i++)
        rc = sources_add(&sources, arguments[i], error);
    buffer_init(&out, GOLDEN_MAX_JSON_BYTES);
    if (rc == SERIN_OK)
        rc = take_all(&sources, yolo, options, ret, &out, error);
    if (rc == SERIN_OK)
        bundle->golden_json = buffer_steal(&out);
    buffer_done(&out);
    sources_done(&sources);
    return rc;
}

void golden_pictures_done(struct golden_pictures *pictures)
{
    int i;

    for (i = 0; i < pictures->count; i++)
        free((void *)pictures->pictures[i].bytes);
    *pictures = (struct golden_pictures){0};
}
