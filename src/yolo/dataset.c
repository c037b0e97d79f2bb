/*
 * dataset.c - finds a set's pictures and their labels, and matches its classes to the model's.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/dataset.h"

#include "base/file.h"
#include "yolo/data_yaml.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH      16 /* of folders of pictures */
#define MAX_LIST_BYTES (256u << 20)

void dataset_free(struct dataset *dataset)
{
    size_t i, k;

    if (!dataset)
        return;
    for (i = 0; i < dataset->image_count; i++) {
        struct dataset_image *image = &dataset->images[i];

        for (k = 0; k < image->object_count; k++) {
            free(image->objects[k].points);
            rle_done(&image->objects[k].mask);
        }
        free(image->objects);
        free(image->path);
    }
    free(dataset->images);
    free(dataset->known);
    free(dataset);
}

enum serin_errc dataset_add_image(struct dataset *dataset, char *path, struct dataset_image **ret,
                                  struct serin_error *error)
{
    enum serin_errc rc;

    if (dataset->image_count >= DATASET_MAX_IMAGES) {
        rc = error_set(error, SERIN_LIMIT, "%s: more than %d pictures", path, DATASET_MAX_IMAGES);
        free(path);
        return rc;
    }
    if (dataset->image_count == dataset->image_capacity) {
        size_t capacity = dataset->image_capacity ? dataset->image_capacity * 2 : 64;
        struct dataset_image *images = realloc(dataset->images, capacity * sizeof(*images));

        if (!images) {
            free(path);
            return error_set(error, SERIN_NOMEM, "no memory for %zu pictures", capacity);
        }
        dataset->images = images;
        dataset->image_capacity = capacity;
    }
    *ret = &dataset->images[dataset->image_count++];
    **ret = (struct dataset_image){.path = path};
    return SERIN_OK;
}

enum serin_errc dataset_add_object(struct dataset_image *image, struct dataset_object **ret, struct serin_error *error)
{
    if (image->object_count == image->object_capacity) {
        size_t capacity = image->object_capacity ? image->object_capacity * 2 : 4;
        struct dataset_object *objects = realloc(image->objects, capacity * sizeof(*objects));

        if (!objects)
            return error_set(error, SERIN_NOMEM, "no memory for %zu objects", capacity);
        image->objects = objects;
        image->object_capacity = capacity;
    }
    *ret = &image->objects[image->object_count++];
    **ret = (struct dataset_object){0};
    return SERIN_OK;
}

/* ---- classes ---- */

struct named {
    const char *name;
    int32_t class_id;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* True where every name is one of the model's and no two names are the same class. */
static bool map_by_name(const struct serin_yolo_info *model, struct named *sorted, char *const *names, size_t count,
                        bool *known, int32_t *map)
{
    size_t classes = (size_t)model->class_count, i;

    for (i = 0; i < classes; i++)
        sorted[i] = (struct named){model->class_names[i], (int32_t)i};
    qsort(sorted, classes, sizeof(*sorted), by_name);
    for (i = 1; i < classes; i++)
        if (by_name(&sorted[i - 1], &sorted[i]) == 0) /* the model's own names do not tell its classes apart */
            return false;
    for (i = 0; i < count; i++) {
        struct named key = {names[i], 0}, *found = bsearch(&key, sorted, classes, sizeof(*sorted), by_name);

        if (!found || known[found->class_id])
            return false;
        map[i] = found->class_id;
        known[found->class_id] = true;
    }
    return true;
}

/* The first name that no class of the model has; where each has a class, some have the same one: the first. */
static const char *first_stranger(const struct serin_yolo_info *model, char *const *names, size_t count)
{
    size_t i;
    int k;

    for (i = 0; i < count; i++) {
        for (k = 0; k < model->class_count && strcmp(names[i], model->class_names[k]) != 0;)
            k++;
        if (k == model->class_count)
            return names[i];
    }
    return names[0];
}

enum serin_errc dataset_map_classes(struct dataset *dataset, const struct serin_yolo_info *model, const char *where,
                                    char *const *names, size_t count, int32_t *map, struct serin_error *error)
{
    struct named *sorted = calloc((size_t)model->class_count + 1, sizeof(*sorted));
    const char *stranger;
    size_t i;

    if (!sorted)
        return error_set(error, SERIN_NOMEM, "no memory for %d classes", model->class_count);
    dataset->by_name = map_by_name(model, sorted, names, count, dataset->known, map);
    free(sorted);
    if (dataset->by_name)
        return SERIN_OK;
    if (count != (size_t)model->class_count) {
        stranger = first_stranger(model, names, count);
        return error_set(
            error, SERIN_INVALID,
            "%s: its %zu classes are not among the model's %d by name ('%.40s' is none; the model's first is "
            "'%.40s') and not as many",
            where, count, model->class_count, stranger, model->class_names[0]);
    }
    for (i = 0; i < count; i++) {
        map[i] = (int32_t)i;
        dataset->known[i] = true;
    }
    return SERIN_OK;
}

/* ---- pictures ---- */

static bool is_picture(const char *name)
{
    /* also those that cannot be decoded: then the error says so, and no picture is left out in silence */
    static const char *const endings[] = {"bmp", "dng", "heic", "heif", "avif", "jp2",  "jpeg",
                                          "jpg", "mpo", "png",  "tif",  "tiff", "webp", "pfm"};
    const char *dot = strrchr(name, '.');
    size_t i;

    for (i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

static enum serin_errc add_path(struct dataset *dataset, char *path, int32_t class_id, struct serin_error *error)
{
    struct dataset_image *image = NULL;
    enum serin_errc rc = path ? dataset_add_image(dataset, path, &image, error)
                              : error_set(error, SERIN_NOMEM, "no memory for the pictures' names");

    if (!rc) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): dataset_add_image succeeded, so there is one */
        image->class_id = class_id;
    return rc;
}

/* All pictures below a folder; names that begin with a dot are passed over, as a shell does. */
static enum serin_errc add_folder(struct dataset *dataset, const char *folder, int32_t class_id, int depth,
                                  struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    struct dirent *entry;
    DIR *directory;

    if (depth > MAX_DEPTH)
        return error_set(error, SERIN_LIMIT, "%s: folders are nested more than %d deep", folder, MAX_DEPTH);
    directory = opendir(folder);
    if (!directory)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", folder,
                         strerror(errno));
    while (!rc && (entry = readdir(directory))) {
        struct stat status;
        char *path;

        if (entry->d_name[0] == '.')
            continue;
        path = data_path_join(folder, entry->d_name);
        if (path && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
            rc = add_folder(dataset, path, class_id, depth + 1, error);
            free(path);
        } else if (!path || is_picture(path)) {
            rc = add_path(dataset, path, class_id, error);
        } else {
            free(path);
        }
    }
    closedir(directory);
    return rc;
}

/* A list has one picture a line; "./x" is relative to the list, other relative names to where the program runs. */
static enum serin_errc add_list(struct dataset *dataset, const char *list, struct serin_error *error)
{
    const char *slash = strrchr(list, '/');
    char *folder = slash ? strndup(list, (size_t)(slash - list) + 1) : strdup("."), *line, *rest;
    enum serin_errc rc;
    uint8_t *bytes;
    size_t size;

    if (!folder)
        return error_set(error, SERIN_NOMEM, "%s: no memory to read it", list);
    rc = file_read(list, MAX_LIST_BYTES, &bytes, &size, error);
    if (rc) {
        free(folder);
        return rc;
    }
    rest = (char *)bytes + (strncmp((char *)bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
    while (!rc && (line = strsep(&rest, "\n"))) {
        size_t length = strlen(line);

        if (length > 0 && line[length - 1] == '\r')
            line[--length] = '\0';
        if (length > DATA_YAML_MAX_TEXT)
            rc = error_set(error, SERIN_CORRUPT, "%s: a line has %zu bytes, the limit is %d", list, length,
                           DATA_YAML_MAX_TEXT);
        else if (is_picture(line))
            rc = add_path(dataset, strncmp(line, "./", 2) == 0 ? data_path_join(folder, line + 2) : strdup(line), 0,
                          error);
    }
    free(bytes);
    free(folder);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct dataset_image *)a)->path, ((const struct dataset_image *)b)->path);
}

static enum serin_errc add_sources(struct dataset *dataset, const struct data_yaml *data, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    size_t i;

    for (i = 0; i < data->source_count && !rc; i++) {
        const char *source = data->sources[i];
        struct stat status;

        if (stat(source, &status) != 0)
            rc = error_set(error, SERIN_NOT_FOUND, "%s: %s", source, strerror(errno));
        else if (S_ISDIR(status.st_mode))
            rc = add_folder(dataset, source, 0, 0, error);
        else if (is_picture(source))
            rc = add_path(dataset, strdup(source), 0, error);
        else
            rc = add_list(dataset, source, error);
    }
    if (!rc && dataset->image_count == 0)
        rc = error_set(error, SERIN_NOT_FOUND, "%s: no pictures there", data->sources[0]);
    if (!rc)
        qsort(dataset->images, dataset->image_count, sizeof(*dataset->images), by_path);
    return rc;
}

/* ---- the three forms ---- */

/* ".../images/x.jpg" to ".../labels/x.txt": the last folder of that name, as Ultralytics has it. */
static char *label_path_of(const char *image_path)
{
    const char *at = image_path, *folder = NULL, *slash = strrchr(image_path, '/'), *dot = strrchr(image_path, '.');
    int stem = (int)(dot && (!slash || dot > slash) ? dot - image_path : (ptrdiff_t)strlen(image_path)), before;
    char *path = NULL;

    while ((at = strstr(at, "/images/")))
        folder = at++;
    before = folder ? (int)(folder - image_path) : 0;
    if (folder ? asprintf(&path, "%.*s/labels/%.*s.txt", before, image_path, stem - before - 8, folder + 8) < 0
               : asprintf(&path, "%.*s.txt", stem, image_path) < 0)
        return NULL;
    return path;
}

static enum serin_errc read_labels(struct dataset *dataset, const char *yaml_path, const struct data_yaml *data,
                                   const struct serin_yolo_info *model, struct serin_error *error)
{
    int keypoints = data->keypoint_count ? data->keypoint_count : model->keypoint_count;
    int dims = data->keypoint_dims ? data->keypoint_dims : model->keypoint_dims;
    enum serin_errc rc;
    int32_t *map;
    size_t i;

    if (data->name_count == 0)
        return error_set(error, SERIN_CORRUPT, "%s: key 'names' is missing: what the classes are called", yaml_path);
    if (model->task == SERIN_POSE && keypoints != model->keypoint_count)
        return error_set(error, SERIN_INVALID, "%s: kpt_shape has %d points, the model %d", yaml_path, keypoints,
                         model->keypoint_count);
    map = calloc(data->name_count, sizeof(*map));
    if (!map)
        return error_set(error, SERIN_NOMEM, "no memory for %zu classes", data->name_count);
    rc = dataset_map_classes(dataset, model, yaml_path, data->names, data->name_count, map, error);
    if (!rc)
        rc = add_sources(dataset, data, error);
    for (i = 0; i < dataset->image_count && !rc; i++) {
        char *path = label_path_of(dataset->images[i].path);

        rc = path
                 ? labels_read(dataset, &dataset->images[i], path, model, map, data->name_count, keypoints, dims, error)
                 : error_set(error, SERIN_NOMEM, "no memory for a label file's name");
        free(path);
    }
    free(map);
    return rc;
}

static int is_class_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN);
}

static int plain_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum serin_errc read_class_folders(struct dataset *dataset, const char *folder,
                                          const struct serin_yolo_info *model, struct serin_error *error)
{
    struct dirent **entries = NULL;
    enum serin_errc rc = SERIN_OK;
    char **names = NULL;
    int32_t *map = NULL;
    int count, i;

    count = scandir(folder, &entries, is_class_folder, plain_order);
    if (count < 0)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", folder,
                         strerror(errno));
    names = calloc((size_t)count + 1, sizeof(*names));
    map = calloc((size_t)count + 1, sizeof(*map));
    if (!names || !map)
        rc = error_set(error, SERIN_NOMEM, "no memory for %d classes", count);
    else if (count == 0)
        rc = error_set(error, SERIN_NOT_FOUND, "%s: has no folders, there must be one for each class", folder);
    for (i = 0; i < count && !rc; i++)
        names[i] = entries[i]->d_name;
    if (!rc)
        rc = dataset_map_classes(dataset, model, folder, names, (size_t)count, map, error);
    for (i = 0; i < count && !rc; i++) {
        char *path = data_path_join(folder, names[i]);

        rc = path ? add_folder(dataset, path, map[i], 1, error) : error_set(error, SERIN_NOMEM, "no memory for a name");
        free(path);
    }
    for (i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    free(names);
    free(map);
    if (!rc && dataset->image_count == 0)
        rc = error_set(error, SERIN_NOT_FOUND, "%s: no pictures there", folder);
    if (!rc)
        qsort(dataset->images, dataset->image_count, sizeof(*dataset->images), by_path);
    return rc;
}

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static enum serin_errc read_folder(struct dataset *dataset, const char *folder, const struct serin_yolo_info *model,
                                   struct serin_error *error)
{
    static const char *const splits[] = {"val", "validation", "valid", "test"};
    enum serin_errc rc;
    size_t i;

    if (model->task != SERIN_CLASSIFY)
        return error_set(error, SERIN_INVALID,
                         "%s is a folder; only a classifier is evaluated on one, others on a data.yaml", folder);
    for (i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
        char *path = data_path_join(folder, splits[i]);

        if (!path)
            return error_set(error, SERIN_NOMEM, "no memory for a name");
        if (is_folder(path)) {
            rc = read_class_folders(dataset, path, model, error);
            free(path);
            return rc;
        }
        free(path);
    }
    return read_class_folders(dataset, folder, model, error);
}

static enum serin_errc read_yaml(struct dataset *dataset, const char *path, const struct serin_yolo_info *model,
                                 struct serin_error *error)
{
    enum serin_errc rc;
    struct data_yaml data;

    rc = data_yaml_read(path, &data, error);
    if (rc)
        return rc;
    if (model->task == SERIN_CLASSIFY)
        rc = data.source_count == 1 && is_folder(data.sources[0])
                 ? read_class_folders(dataset, data.sources[0], model, error)
                 : error_set(error, SERIN_INVALID, "%s: to classify, val must be one folder of class folders", path);
    else if (data.annotations)
        rc = coco_json_read(dataset, data.annotations, data.images ? data.images : data.root, model, error);
    else
        rc = read_labels(dataset, path, &data, model, error);
    data_yaml_done(&data);
    return rc;
}

enum serin_errc dataset_open(const char *path, const struct serin_yolo_info *model, struct dataset **ret,
                             struct serin_error *error)
{
    struct dataset *dataset = calloc(1, sizeof(*dataset));
    enum serin_errc rc;

    if (dataset)
        dataset->known = calloc((size_t)model->class_count + 1, sizeof(*dataset->known));
    if (!dataset || !dataset->known)
        rc = error_set(error, SERIN_NOMEM, "no memory for a data set of %d classes", model->class_count);
    else if (is_folder(path))
        rc = read_folder(dataset, path, model, error);
    else
        rc = read_yaml(dataset, path, model, error);
    if (rc)
        dataset_free(dataset);
    else
        *ret = dataset;
    return rc;
}

/* ---- truths in pixels ---- */

void dataset_truths_done(struct dataset_truths *truths)
{
    size_t i;

    if (!truths)
        return;
    for (i = 0; truths->masks && i < truths->count; i++)
        rle_done(&truths->masks[i]);
    free(truths->masks);
    free(truths->points);
    free(truths->truths);
    *truths = (struct dataset_truths){0};
}

static enum serin_errc scale_shape(const struct dataset_object *object, const struct serin_yolo_info *model, double sx,
                                   double sy, const struct dataset_image *image, int32_t width, int32_t height,
                                   struct dataset_truths *to, size_t i, struct serin_error *error)
{
    size_t step = model->task == SERIN_POSE ? 3 : 2, k;
    double *points = to->points ? to->points + i * step * object->point_count : NULL;
    enum serin_errc rc = SERIN_OK;

    if (model->task == SERIN_SEGMENT && object->mask.count > 0)
        rc = rle_union(&object->mask, 1, &to->masks[i], error);
    if (model->task == SERIN_SEGMENT && object->mask.count == 0) {
        points = malloc(2 * object->point_count * sizeof(*points));
        if (!points)
            return error_set(error, SERIN_NOMEM, "%s: no memory for %zu points", image->path, object->point_count);
    }
    for (k = 0; points && k < object->point_count; k++) {
        points[step * k] = object->points[step * k] * sx;
        points[step * k + 1] = object->points[step * k + 1] * sy;
        if (step == 3)
            points[step * k + 2] = object->points[step * k + 2];
    }
    if (model->task == SERIN_SEGMENT && object->mask.count == 0) {
        rc = rle_from_polygon((uint32_t)width, (uint32_t)height, points, object->point_count, &to->masks[i], error);
        if (rc)
            error_prefix(error, rc, "%s's labels", image->path);
        free(points);
    }
    to->truths[i].keypoints = model->task == SERIN_POSE ? points : NULL;
    to->truths[i].mask = model->task == SERIN_SEGMENT ? &to->masks[i] : NULL;
    return rc;
}

enum serin_errc dataset_scale(const struct dataset_image *image, const struct serin_yolo_info *model, int32_t width,
                              int32_t height, struct dataset_truths *ret, struct serin_error *error)
{
    double sx = image->width ? 1 : width, sy = image->width ? 1 : height;
    size_t each = model->task == SERIN_POSE ? 3 * (size_t)model->keypoint_count : 8, i;
    struct dataset_truths to = {.count = image->object_count};
    enum serin_errc rc = SERIN_OK;

    if (image->width && (image->width != width || image->height != height))
        return error_set(error, SERIN_CORRUPT, "%s is %d x %d, its annotations are for %d x %d", image->path, width,
                         height, image->width, image->height);
    to.truths = calloc(to.count + 1, sizeof(*to.truths));
    if (model->task == SERIN_SEGMENT)
        to.masks = calloc(to.count + 1, sizeof(*to.masks));
    if (model->task == SERIN_POSE || model->task == SERIN_OBB)
        to.points = calloc(to.count * each + 1, sizeof(*to.points));
    if (!to.truths || (model->task == SERIN_SEGMENT && !to.masks) ||
        ((model->task == SERIN_POSE || model->task == SERIN_OBB) && !to.points))
        rc = error_set(error, SERIN_NOMEM, "%s: no memory for %zu objects", image->path, to.count);
    for (i = 0; i < to.count && !rc; i++) {
        const struct dataset_object *object = &image->objects[i];
        struct coco_truth *truth = &to.truths[i];

        truth->class_id = object->class_id;
        truth->crowd = object->crowd;
        truth->box[0] = object->box[0] * sx;
        truth->box[1] = object->box[1] * sy;
        truth->box[2] = object->box[2] * sx;
        truth->box[3] = object->box[3] * sy;
        rc = scale_shape(object, model, sx, sy, image, width, height, &to, i, error);
        truth->area = object->area;
        if (!rc && truth->area < 0)
            truth->area = truth->mask ? (double)rle_area(truth->mask) : truth->box[2] * truth->box[3];
    }
    if (rc)
        dataset_truths_done(&to);
    else
        *ret = to;
    return rc;
}
