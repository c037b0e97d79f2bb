/*
 * coco_json.c - COCO's annotation file: images, categories, annotations.
 * SPDX-License-Identifier: Apache-2.0
 *
 * jansson parses; what is read from its tree is checked value by value, and an error names the entry and its id. Fields
 * as pycocotools uses them: area decides on the size class, iscrowd on crowds, `ignore` is not looked at.
 */
#include "yolo/dataset.h"

#include "base/file.h"
#include "yolo/data_yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define MAX_POLYGONS 10000 /* of one object */

struct category {
    int64_t id;
    char *name;
    int32_t class_id;
};

struct coco_file {
    const char *path, *folder;
    const struct serin_yolo_info *model;
    struct dataset *dataset;
    struct category *categories; /* by id */
    size_t category_count;
    double *points; /* scratch for one polygon */
    size_t point_capacity;
    size_t at; /* the entry that is read, for errors */
    int64_t id;
    struct serin_error *error;
};

#define BAD(file, code, format, ...)                                                                                   \
    error_set((file)->error, code, "%s: annotations[%zu] (id %lld): " format, (file)->path, (file)->at,                \
              (long long)(file)->id, __VA_ARGS__)

static enum serin_errc list_of(struct coco_file *file, const json_t *root, const char *name, size_t max,
                               const json_t **ret)
{
    const json_t *list = json_object_get(root, name);

    if (!json_is_array(list))
        return error_set(file->error, SERIN_CORRUPT, "%s: has no list '%s': is it COCO JSON?", file->path, name);
    if (json_array_size(list) > max)
        return error_set(file->error, SERIN_LIMIT, "%s: %zu %s, the limit is %zu", file->path, json_array_size(list),
                         name, max);
    *ret = list;
    return SERIN_OK;
}

/* ---- categories ---- */

static int by_category_id(const void *a, const void *b)
{
    const struct category *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static enum serin_errc map_categories(struct coco_file *file)
{
    size_t count = file->category_count, i;
    char **names = calloc(count + 1, sizeof(*names)); /* none is no error: of nothing calloc may give NULL */
    int32_t *map = calloc(count + 1, sizeof(*map));
    enum serin_errc rc;

    if (!names || !map) {
        rc = error_set(file->error, SERIN_NOMEM, "%s: no memory for %zu categories", file->path, count);
    } else {
        for (i = 0; i < count; i++)
            names[i] = file->categories[i].name;
        rc = dataset_map_classes(file->dataset, file->model, file->path, names, count, map, file->error);
        for (i = 0; i < count && !rc; i++)
            file->categories[i].class_id = map[i];
    }
    free(names);
    free(map);
    return rc;
}

static enum serin_errc read_categories(struct coco_file *file, const json_t *root)
{
    const json_t *list = NULL, *row;
    enum serin_errc rc = list_of(file, root, "categories", DATA_YAML_MAX_CLASSES, &list);
    size_t i;

    if (rc)
        return rc;
    if (json_array_size(list) == 0)
        return error_set(file->error, SERIN_CORRUPT, "%s: has no categories", file->path);
    file->categories = calloc(json_array_size(list), sizeof(*file->categories));
    if (!file->categories)
        return error_set(file->error, SERIN_NOMEM, "%s: no memory for its categories", file->path);
    json_array_foreach(list, i, row)
    {
        const json_t *id = json_object_get(row, "id"), *name = json_object_get(row, "name");
        struct category *category = &file->categories[i];

        if (!json_is_integer(id) || !json_is_string(name))
            return error_set(file->error, SERIN_CORRUPT, "%s: categories[%zu] has no id or no name", file->path, i);
        *category = (struct category){.id = json_integer_value(id), .name = strdup(json_string_value(name))};
        if (!category->name)
            return error_set(file->error, SERIN_NOMEM, "%s: no memory for its categories", file->path);
        file->category_count++;
    }
    qsort(file->categories, file->category_count, sizeof(*file->categories), by_category_id);
    for (i = 1; i < file->category_count; i++)
        if (file->categories[i].id == file->categories[i - 1].id)
            return error_set(file->error, SERIN_CORRUPT, "%s: two categories have the id %lld", file->path,
                             (long long)file->categories[i].id);
    return map_categories(file);
}

/* ---- images ---- */

static int by_image_id(const void *a, const void *b)
{
    const struct dataset_image *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* A name below the folder: not absolute, no step upwards. */
static bool stays_below(const char *name)
{
    const char *part = name;

    if (!*name || *name == '/')
        return false;
    for (; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    return true;
}

static enum serin_errc read_image(struct coco_file *file, const json_t *row, size_t i)
{
    const json_t *id = json_object_get(row, "id"), *name = json_object_get(row, "file_name");
    json_int_t width = json_integer_value(json_object_get(row, "width"));
    json_int_t height = json_integer_value(json_object_get(row, "height"));
    struct dataset_image *image;
    enum serin_errc rc;
    char *path;

    if (!json_is_integer(id) || !json_is_string(name))
        return error_set(file->error, SERIN_CORRUPT, "%s: images[%zu] has no id or no file_name", file->path, i);
    if (!stays_below(json_string_value(name)))
        return error_set(file->error, SERIN_CORRUPT,
                         "%s: images[%zu]: file_name '%.100s' leaves the folder of pictures", file->path, i,
                         json_string_value(name));
    if (width < 1 || height < 1 || width > (json_int_t)RLE_MAX_SIDE_PX || height > (json_int_t)RLE_MAX_SIDE_PX)
        return error_set(file->error, SERIN_CORRUPT, "%s: images[%zu]: width %lld, height %lld; they must be 1 to %u",
                         file->path, i, (long long)width, (long long)height, RLE_MAX_SIDE_PX);
    path = data_path_join(file->folder, json_string_value(name));
    if (!path)
        return error_set(file->error, SERIN_NOMEM, "%s: no memory for its images", file->path);
    if (access(path, R_OK) != 0) {
        rc = error_set(file->error, SERIN_NOT_FOUND, "%s: images[%zu]: %.200s: %s", file->path, i, path,
                       strerror(errno));
        free(path);
        return rc;
    }
    rc = dataset_add_image(file->dataset, path, &image, file->error);
    if (rc)
        return rc;
    image->id = json_integer_value(id);
    image->width = (int32_t)width;
    image->height = (int32_t)height;
    return SERIN_OK;
}

static enum serin_errc read_images(struct coco_file *file, const json_t *root)
{
    struct dataset *dataset = file->dataset;
    const json_t *list = NULL, *row;
    enum serin_errc rc = list_of(file, root, "images", DATASET_MAX_IMAGES, &list);
    size_t i;

    if (rc)
        return rc;
    json_array_foreach(list, i, row)
    {
        rc = read_image(file, row, i);
        if (rc)
            return rc;
    }
    if (dataset->image_count == 0)
        return error_set(file->error, SERIN_CORRUPT, "%s: has no images", file->path);
    qsort(dataset->images, dataset->image_count, sizeof(*dataset->images), by_image_id);
    for (i = 1; i < dataset->image_count; i++)
        if (dataset->images[i].id == dataset->images[i - 1].id)
            return error_set(file->error, SERIN_CORRUPT, "%s: two images have the id %lld", file->path,
                             (long long)dataset->images[i].id);
    return SERIN_OK;
}

/* ---- annotations ---- */

static enum serin_errc read_polygon(struct coco_file *file, const json_t *list, const struct dataset_image *image,
                                    struct rle *ret)
{
    size_t count = json_array_size(list), i;
    struct serin_error why;
    enum serin_errc rc;

    if (!json_is_array(list) || count < 6 || count % 2 || count / 2 > RLE_MAX_POLYGON_POINTS)
        return BAD(file, SERIN_CORRUPT, "polygon of %zu numbers, it must be x, y of 3 to %u points", count,
                   RLE_MAX_POLYGON_POINTS);
    if (count > file->point_capacity) {
        double *points = realloc(file->points, count * sizeof(*points));

        if (!points)
            return BAD(file, SERIN_NOMEM, "no memory for %zu points", count / 2);
        file->points = points;
        file->point_capacity = count;
    }
    for (i = 0; i < count; i++) {
        if (!json_is_number(json_array_get(list, i)))
            return BAD(file, SERIN_CORRUPT, "polygon's value %zu is not a number", i);
        file->points[i] = json_number_value(json_array_get(list, i));
    }
    rc = rle_from_polygon((uint32_t)image->width, (uint32_t)image->height, file->points, count / 2, ret, &why);
    return rc ? BAD(file, rc, "%s", why.message) : SERIN_OK;
}

static enum serin_errc read_polygons(struct coco_file *file, const json_t *list, const struct dataset_image *image,
                                     struct rle *ret)
{
    size_t count = json_array_size(list), i, made = 0;
    enum serin_errc rc = SERIN_OK;
    struct rle *parts;

    if (count < 1 || count > MAX_POLYGONS)
        return BAD(file, SERIN_CORRUPT, "segmentation of %zu polygons, it must be 1 to %d", count, MAX_POLYGONS);
    parts = calloc(count, sizeof(*parts));
    if (!parts)
        return BAD(file, SERIN_NOMEM, "no memory for %zu polygons", count);
    while (made < count && !rc) {
        rc = read_polygon(file, json_array_get(list, made), image, &parts[made]);
        made += !rc;
    }
    if (!rc)
        rc = rle_union(parts, count, ret, file->error);
    for (i = 0; i < made; i++)
        rle_done(&parts[i]);
    free(parts);
    return rc;
}

static enum serin_errc read_runs(struct coco_file *file, const json_t *row, const struct dataset_image *image,
                                 struct rle *ret)
{
    const json_t *size = json_object_get(row, "size"), *counts = json_object_get(row, "counts");
    json_int_t height = json_integer_value(json_array_get(size, 0)),
               width = json_integer_value(json_array_get(size, 1));
    uint32_t w = (uint32_t)image->width, h = (uint32_t)image->height, *numbers;
    size_t count = json_array_size(counts), i;
    struct serin_error why;
    enum serin_errc rc;

    if (height != image->height || width != image->width)
        return BAD(file, SERIN_CORRUPT, "mask's size is [%lld, %lld], the image's [%d, %d]", (long long)height,
                   (long long)width, image->height, image->width);
    if (json_is_string(counts)) {
        rc = rle_from_text(w, h, json_string_value(counts), json_string_length(counts), ret, &why);
        return rc ? BAD(file, rc, "%s", why.message) : SERIN_OK;
    }
    if (!json_is_array(counts))
        return BAD(file, SERIN_CORRUPT, "%s", "mask's counts are neither a list nor text");
    numbers = calloc(count + 1, sizeof(*numbers));
    if (!numbers)
        return BAD(file, SERIN_NOMEM, "no memory for a mask of %zu runs", count);
    for (i = 0; i < count; i++) {
        const json_t *number = json_array_get(counts, i);

        if (!json_is_integer(number) || json_integer_value(number) < 0 || json_integer_value(number) > UINT32_MAX) {
            free(numbers);
            return BAD(file, SERIN_CORRUPT, "mask's count %zu is not a whole number from 0", i);
        }
        numbers[i] = (uint32_t)json_integer_value(number);
    }
    rc = rle_from_counts(w, h, numbers, count, ret, &why);
    free(numbers);
    return rc ? BAD(file, rc, "%s", why.message) : SERIN_OK;
}

static enum serin_errc read_numbers(struct coco_file *file, const json_t *row, const char *key, double *to,
                                    size_t count)
{
    const json_t *list = json_object_get(row, key);
    size_t i;

    if (!json_is_array(list) || json_array_size(list) != count)
        return BAD(file, SERIN_CORRUPT, "%s must be %zu numbers", key, count);
    for (i = 0; i < count; i++) {
        const json_t *number = json_array_get(list, i);

        to[i] = json_number_value(number);
        if (!json_is_number(number) || !isfinite(to[i]) || fabs(to[i]) > 1e6)
            return BAD(file, SERIN_CORRUPT, "%s[%zu] is not a number of pixels", key, i);
    }
    return SERIN_OK;
}

static enum serin_errc read_shape(struct coco_file *file, const json_t *row, const struct dataset_image *image,
                                  struct dataset_object *object)
{
    const json_t *shape = json_object_get(row, "segmentation");
    size_t count = (size_t)file->model->keypoint_count;

    if (file->model->task == SERIN_SEGMENT) {
        if (json_is_array(shape))
            return read_polygons(file, shape, image, &object->mask);
        if (json_is_object(shape))
            return read_runs(file, shape, image, &object->mask);
        return BAD(file, SERIN_CORRUPT, "%s", "has no segmentation, which evaluating masks needs");
    }
    if (file->model->task == SERIN_POSE) {
        object->points = calloc(3 * count, sizeof(*object->points));
        if (!object->points)
            return BAD(file, SERIN_NOMEM, "no memory for %zu keypoints", count);
        object->point_count = count;
        return read_numbers(file, row, "keypoints", object->points, 3 * count);
    }
    return SERIN_OK;
}

static enum serin_errc read_annotation(struct coco_file *file, const json_t *row)
{
    const json_t *category_id = json_object_get(row, "category_id"), *image_id = json_object_get(row, "image_id");
    const json_t *area = json_object_get(row, "area"), *crowd = json_object_get(row, "iscrowd");
    struct dataset_image image_key = {.id = json_integer_value(image_id)}, *image;
    struct category category_key = {.id = json_integer_value(category_id)}, *category;
    struct dataset_object *object;
    enum serin_errc rc;

    file->id = json_integer_value(json_object_get(row, "id"));
    image = json_is_integer(image_id)
                ? bsearch(&image_key, file->dataset->images, file->dataset->image_count, sizeof(image_key), by_image_id)
                : NULL;
    if (!image)
        return BAD(file, SERIN_CORRUPT, "image_id %lld is not among the images", (long long)image_key.id);
    category = json_is_integer(category_id) ? bsearch(&category_key, file->categories, file->category_count,
                                                      sizeof(category_key), by_category_id)
                                            : NULL;
    if (!category)
        return BAD(file, SERIN_CORRUPT, "category_id %lld is not among the categories", (long long)category_key.id);
    if (image->object_count >= DATASET_MAX_OBJECTS)
        return BAD(file, SERIN_LIMIT, "more than %d objects in one image", DATASET_MAX_OBJECTS);
    rc = dataset_add_object(image, &object, file->error);
    if (!rc)
        rc = read_numbers(file, row, "bbox", object->box, 4);
    if (rc)
        return rc;
    if (object->box[2] < 0 || object->box[3] < 0)
        return BAD(file, SERIN_CORRUPT, "bbox is %g x %g", object->box[2], object->box[3]);
    object->class_id = category->class_id;
    object->crowd = json_is_true(crowd) || json_number_value(crowd) != 0;
    object->area = json_is_number(area) ? json_number_value(area) : -1;
    return read_shape(file, row, image, object);
}

enum serin_errc coco_json_read(struct dataset *dataset, const char *json_path, const char *image_folder,
                               const struct serin_yolo_info *model, struct serin_error *error)
{
    struct coco_file file = {
        .path = json_path, .folder = image_folder, .model = model, .dataset = dataset, .error = error};
    const json_t *list = NULL, *row;
    json_error_t problem;
    enum serin_errc rc;
    uint8_t *bytes;
    json_t *root;
    size_t size, i;

    if (model->task != SERIN_DETECT && model->task != SERIN_SEGMENT && model->task != SERIN_POSE)
        return error_set(error, SERIN_UNSUPPORTED, "%s: COCO JSON is for detect, segment and pose models only",
                         json_path);
    rc = file_read(json_path, DATASET_MAX_JSON_BYTES, &bytes, &size, error);
    if (rc)
        return rc;
    root = json_loadb((const char *)bytes, size, 0, &problem);
    free(bytes);
    if (!root)
        return error_set(error, SERIN_CORRUPT, "%s:%d: %s", json_path, problem.line, problem.text);
    rc = read_categories(&file, root);
    if (!rc)
        rc = read_images(&file, root);
    if (!rc)
        rc = list_of(&file, root, "annotations", (size_t)DATASET_MAX_IMAGES * 10, &list);
    json_array_foreach(list, i, row)
    {
        if (rc)
            break;
        file.at = i;
        rc = read_annotation(&file, row);
    }
    for (i = 0; i < file.category_count; i++)
        free(file.categories[i].name);
    free(file.categories);
    free(file.points);
    json_decref(root);
    return rc;
}
