/*
 * truth.c - label files to feedback, before anything is played.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/truth.h"

#include "base/buffer.h"
#include "base/json.h"
#include "image/decode.h"
#include "yolo/data_yaml.h"
#include "yolo/dataset.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ".../images/x.jpg" to ".../labels/x.txt", or "DIR/x.txt"; malloc'ed. */
static enum serin_errc label_path(const char *frame, const char *labels, char **ret, struct serin_error *error)
{
    const char *name = strrchr(frame, '/'), *dot, *folder = NULL, *at = frame;
    int length;

    name = name ? name + 1 : frame;
    dot = strrchr(name, '.');
    length = dot ? (int)(dot - name) : (int)strlen(name);
    if (strcmp(labels, TRUTH_AUTO) != 0) {
        length = asprintf(ret, "%s/%.*s.txt", labels, length, name);
    } else {
        while ((at = strstr(at, "images/")) != NULL) {
            if (at == frame || at[-1] == '/')
                folder = at;
            at++;
        }
        if (!folder)
            return error_set(error, SERIN_INVALID,
                             "%s lies in no folder 'images', so its labels are not beside it: name their folder",
                             frame);
        length = asprintf(ret, "%.*slabels/%.*s.txt", (int)(folder - frame), frame, (int)(name - folder) - 7 + length,
                          folder + 7);
    }
    return length < 0 ? error_set(error, SERIN_NOMEM, "no memory for a path") : SERIN_OK;
}

static void write_boxes(struct buffer *out, const struct dataset_image *image, char *const *names, double width,
                        double height)
{
    static const char *const sides[] = {"x1", "y1", "x2", "y2"};
    struct json_writer json;
    size_t i;
    int k;

    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "boxes");
    json_begin_array(&json);
    for (i = 0; i < image->object_count; i++) {
        const double *box = image->objects[i].box;
        const double at[] = {box[0] * width, box[1] * height, (box[0] + box[2]) * width, (box[1] + box[3]) * height};

        json_begin_object(&json);
        json_key(&json, "name");
        json_write_string(&json, names[image->objects[i].class_id]);
        json_key(&json, "box");
        json_begin_object(&json);
        for (k = 0; k < 4; k++) {
            json_key(&json, sides[k]);
            json_write_rounded(&json, at[k], 2);
        }
        json_end_object(&json);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
}

static enum serin_errc write_truth(const struct bytes *frame, const char *path, const struct dataset_image *image,
                                   char *const *names, struct bytes **ret, struct serin_error *error)
{
    struct image_header header;
    struct buffer body;
    enum serin_errc rc = image_read_header(frame->data, frame->size, &header, error);
    bool on_its_side = rc == SERIN_OK && header.orientation >= 5; /* EXIF: what is decoded is turned by 90 degrees */

    if (rc != SERIN_OK)
        return error_prefix(error, rc, "%s", path);
    buffer_init(&body, TRUTH_MAX_BYTES);
    write_boxes(&body, image, names, on_its_side ? header.height : header.width,
                on_its_side ? header.width : header.height);
    rc = buffer_check(&body, "the labels of a frame", error);
    if (rc == SERIN_OK) {
        *ret = bytes_new(body.size);
        if (*ret) {
            memcpy((*ret)->data, body.bytes, body.size);
            (*ret)->size = body.size;
        } else {
            rc = error_set(error, SERIN_NOMEM, "%s: no memory for its labels", path);
        }
    }
    buffer_done(&body);
    return rc;
}

static enum serin_errc read_truth(struct footage *footage, size_t at, const char *labels, const struct data_yaml *data,
                                  const int32_t *class_map, struct serin_error *error)
{
    const struct serin_yolo_info task = {.task = SERIN_DETECT, .class_count = (int)data->name_count};
    struct dataset *set = calloc(1, sizeof(*set));
    struct dataset_image *image = NULL;
    char *copy = strdup(footage->paths[at]), *path = NULL;
    enum serin_errc rc = set && copy ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for labels");

    if (rc != SERIN_OK)
        free(copy);
    else
        rc = dataset_add_image(set, copy, &image, error);
    if (rc == SERIN_OK)
        rc = label_path(footage->paths[at], labels, &path, error);
    if (rc == SERIN_OK && access(path, F_OK) == 0) {
        rc = labels_read(set, image, path, &task, class_map, data->name_count, 0, 0, error);
        if (rc == SERIN_OK)
            rc = write_truth(footage->frames[at], footage->paths[at], image, data->names, &footage->truths[at], error);
    }
    free(path);
    dataset_free(set);
    return rc;
}

enum serin_errc truth_load(struct footage *footage, const char *labels, const char *data_yaml,
                           struct serin_error *error)
{
    struct data_yaml data;
    int32_t *class_map = NULL;
    size_t i, found = 0;
    enum serin_errc rc = data_yaml_read(data_yaml, &data, error);

    if (rc != SERIN_OK)
        return rc;
    if (data.name_count == 0)
        rc = error_set(error, SERIN_INVALID, "%s has no 'names', so its classes have none", data_yaml);
    if (rc == SERIN_OK) {
        footage->truths = calloc(footage->count, sizeof(struct bytes *));
        class_map = calloc(data.name_count, sizeof(*class_map));
        if (!footage->truths || !class_map)
            rc = error_set(error, SERIN_NOMEM, "no memory for the labels of %zu frames", footage->count);
    }
    for (i = 0; rc == SERIN_OK && i < data.name_count; i++)
        class_map[i] = (int32_t)i;
    for (i = 0; rc == SERIN_OK && i < footage->count; i++) {
        rc = read_truth(footage, i, labels, &data, class_map, error);
        found += footage->truths[i] != NULL;
    }
    if (rc == SERIN_OK && found == 0)
        rc = error_set(error, SERIN_NOT_FOUND, "no label file for any of the %zu frames beside %s", footage->count,
                       footage->paths[0]);
    free(class_map);
    data_yaml_done(&data);
    return rc;
}
