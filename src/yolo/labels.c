/*
 * labels.c - YOLO label files: one line an object, class number first, coordinates as shares of the picture's size.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     detect   class cx cy w h                     segment  class x1 y1 x2 y2 x3 y3 ...
 *     pose     class cx cy w h, then x y [v] for each keypoint       obb  class x1 y1 x2 y2 x3 y3 x4 y4
 *
 * Detect takes polygons too (their bounding boxes) and pose rows (their boxes). A file holds one kind of row.
 */
#include "yolo/dataset.h"

#include "base/file.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST (-.01) /* Ultralytics' tolerance for labels that stick out */
#define MOST  1.01

struct row {
    double *values; /* class and numbers */
    size_t count, capacity;
};

struct label_file {
    const char *path;
    size_t line;
    enum serin_task task;
    const int32_t *class_map;
    size_t class_count;
    size_t keypoint_count, keypoint_dims;
    bool has_boxes, has_polygons;
    locale_t locale; /* numbers have a point wherever the program runs */
    struct serin_error *error;
};

static enum serin_errc row_read(struct label_file *file, const char *line, const char *end, struct row *row)
{
    row->count = 0;
    for (;;) {
        char *after;

        while (line < end && (*line == ' ' || *line == '\t' || *line == '\r'))
            line++;
        if (line == end)
            return SERIN_OK;
        if (row->count == row->capacity) {
            size_t capacity = row->capacity ? row->capacity * 2 : 64;
            double *values = realloc(row->values, capacity * sizeof(*values));

            if (!values)
                return error_set(file->error, SERIN_NOMEM, "%s: no memory to read it", file->path);
            row->values = values;
            row->capacity = capacity;
        }
        row->values[row->count] = strtod_l(line, &after, file->locale);
        if (after == line || after > end || memchr(line, 'x', (size_t)(after - line)) || /* 0x1 is none in Python */
            memchr(line, 'X', (size_t)(after - line)) || (after < end && !strchr(" \t\r", *after)) ||
            !isfinite(row->values[row->count]))
            return error_set(file->error, SERIN_CORRUPT, "%s:%zu: '%.*s' is not a number", file->path, file->line,
                             (int)strcspn(line, " \t\r\n") < 40 ? (int)strcspn(line, " \t\r\n") : 40, line);
        if (++row->count > 2 * RLE_MAX_POLYGON_POINTS + 1)
            return error_set(file->error, SERIN_LIMIT, "%s:%zu: more than %u points", file->path, file->line,
                             RLE_MAX_POLYGON_POINTS);
        line = after;
    }
}

static enum serin_errc check_shares(struct label_file *file, const double *values, size_t count, size_t step)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (i % step < 2 && (values[i] < LEAST || values[i] > MOST))
            return error_set(file->error, SERIN_CORRUPT,
                             "%s:%zu: coordinate %g; it must be a share of the picture's size, 0 to 1", file->path,
                             file->line, values[i]);
    return SERIN_OK;
}

static enum serin_errc check_box(struct label_file *file, const double *values)
{
    enum serin_errc rc = check_shares(file, values, 4, 2);

    /* row_read wrote as many values as the caller counted.
     * NOLINTBEGIN(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    if (!rc && (values[2] < 0 || values[3] < 0))
        rc = error_set(file->error, SERIN_CORRUPT, "%s:%zu: box of %g x %g", file->path, file->line, values[2],
                       values[3]);
    return rc;
    /* NOLINTEND(clang-analyzer-core.UndefinedBinaryOperatorResult) */
}

static void box_of_centre(const double *values, double box[4])
{
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): as above */
    box[0] = values[0] - values[2] / 2;
    box[1] = values[1] - values[3] / 2;
    box[2] = values[2];
    box[3] = values[3];
}

static void box_of_points(const double *points, size_t count, double box[4])
{
    double x1 = points[0], y1 = points[1], x2 = x1, y2 = y1;
    size_t i;

    for (i = 1; i < count; i++) {
        x1 = fmin(x1, points[2 * i]);
        y1 = fmin(y1, points[2 * i + 1]);
        x2 = fmax(x2, points[2 * i]);
        y2 = fmax(y2, points[2 * i + 1]);
    }
    box[0] = x1, box[1] = y1, box[2] = x2 - x1, box[3] = y2 - y1;
}

static enum serin_errc keep_points(struct label_file *file, struct dataset_object *object, const double *values,
                                   size_t count, size_t numbers)
{
    object->points = malloc(numbers * sizeof(*object->points));
    if (!object->points)
        return error_set(file->error, SERIN_NOMEM, "%s: no memory for %zu points", file->path, count);
    if (values)
        memcpy(object->points, values, numbers * sizeof(*object->points));
    object->point_count = count;
    return SERIN_OK;
}

static enum serin_errc take_box(struct label_file *file, const struct row *row, struct dataset_object *object)
{
    if (file->task == SERIN_SEGMENT)
        return error_set(file->error, SERIN_CORRUPT,
                         "%s:%zu: a box, but evaluating masks needs polygons (class x y x y x y ...)", file->path,
                         file->line);
    if (file->has_polygons)
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: a box in a file of polygons", file->path, file->line);
    file->has_boxes = true;
    box_of_centre(row->values + 1, object->box);
    return check_box(file, row->values + 1);
}

static enum serin_errc take_polygon(struct label_file *file, const struct row *row, struct dataset_object *object)
{
    size_t numbers = row->count - 1;
    enum serin_errc rc;

    if (numbers < 6 || numbers % 2)
        return error_set(file->error, SERIN_CORRUPT,
                         "%s:%zu: %zu numbers; a box has 5 (class cx cy w h), a polygon 1 and x y of 3 points or more",
                         file->path, file->line, row->count);
    if (file->has_boxes)
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: a polygon in a file of boxes", file->path, file->line);
    file->has_polygons = true;
    rc = check_shares(file, row->values + 1, numbers, 2);
    if (rc)
        return rc;
    box_of_points(row->values + 1, numbers / 2, object->box);
    return file->task == SERIN_SEGMENT ? keep_points(file, object, row->values + 1, numbers / 2, numbers) : SERIN_OK;
}

static enum serin_errc take_pose(struct label_file *file, const struct row *row, struct dataset_object *object)
{
    size_t dims = file->keypoint_dims, count = file->keypoint_count, i;
    enum serin_errc rc;

    if (row->count != 5 + count * dims)
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: %zu numbers; a pose has 5 + %zu x %zu", file->path,
                         file->line, row->count, count, dims);
    rc = check_box(file, row->values + 1);
    if (!rc)
        rc = check_shares(file, row->values + 5, count * dims, dims);
    if (!rc)
        rc = keep_points(file, object, NULL, count, 3 * count);
    if (rc)
        return rc;
    box_of_centre(row->values + 1, object->box);
    for (i = 0; i < count; i++) {
        const double *from = row->values + 5 + i * dims;
        double *to = object->points + 3 * i;

        to[0] = from[0];
        to[1] = from[1];
        /* without a flag, a point is labelled unless it lies left of or above the picture */
        to[2] = dims == 3 ? from[2] : !(from[0] < 0 || from[1] < 0);
    }
    return SERIN_OK;
}

static enum serin_errc take_corners(struct label_file *file, const struct row *row, struct dataset_object *object)
{
    enum serin_errc rc;

    if (row->count != 9)
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: %zu numbers; a turned box has 9 (class and 4 corners)",
                         file->path, file->line, row->count);
    rc = check_shares(file, row->values + 1, 8, 2);
    if (rc)
        return rc;
    box_of_points(row->values + 1, 4, object->box);
    return keep_points(file, object, row->values + 1, 4, 8);
}

static enum serin_errc take_row(struct label_file *file, const struct row *row, struct dataset_object *object)
{
    double number = row->values[0];

    if (number < 0 || number != floor(number))
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: class %g is not a class number", file->path, file->line,
                         number);
    if (number >= (double)file->class_count)
        return error_set(file->error, SERIN_CORRUPT, "%s:%zu: class %.0f, but the classes are 0 to %zu", file->path,
                         file->line, number, file->class_count - 1);
    object->class_id = file->class_map[(size_t)number];
    object->area = -1;
    if (file->task == SERIN_OBB)
        return take_corners(file, row, object);
    if (file->task == SERIN_POSE)
        return take_pose(file, row, object);
    if (row->count == 5 || (file->task == SERIN_DETECT && file->keypoint_count > 0 &&
                            row->count == 5 + file->keypoint_count * file->keypoint_dims))
        return take_box(file, row, object);
    return take_polygon(file, row, object);
}

static bool same_numbers(const double *a, const double *b, size_t count)
{
    size_t i;

    for (i = 0; i < count && a[i] == b[i]; i++)
        ;
    return i == count;
}

static bool same_object(const struct dataset_object *a, const struct dataset_object *b, enum serin_task task)
{
    size_t numbers = a->point_count * (task == SERIN_POSE ? 3 : 2);

    return a->class_id == b->class_id && same_numbers(a->box, b->box, 4) && a->point_count == b->point_count &&
           same_numbers(a->points, b->points, numbers);
}

static enum serin_errc read_rows(struct label_file *file, struct dataset *dataset, struct dataset_image *image,
                                 const char *text, struct row *row)
{
    enum serin_errc rc = SERIN_OK;

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte-order mark */
        text += 3;
    for (file->line = 1; *text && !rc; file->line++) {
        size_t length = strcspn(text, "\n"), i;
        struct dataset_object *object;

        rc = row_read(file, text, text + length, row);
        text += length + (text[length] == '\n');
        if (rc || row->count == 0)
            continue;
        if (image->object_count >= DATASET_MAX_OBJECTS)
            return error_set(file->error, SERIN_LIMIT, "%s:%zu: more than %d objects", file->path, file->line,
                             DATASET_MAX_OBJECTS);
        rc = dataset_add_object(image, &object, file->error);
        if (!rc)
            rc = take_row(file, row, object);
        for (i = 0; !rc && i + 1 < image->object_count; i++)
            if (same_object(&image->objects[i], object, file->task)) {
                free(object->points);
                image->object_count--;
                dataset->duplicates++;
                break;
            }
    }
    return rc;
}

enum serin_errc labels_read(struct dataset *dataset, struct dataset_image *image, const char *label_path,
                            const struct serin_yolo_info *model, const int32_t *class_map, size_t class_count,
                            int keypoint_count, int keypoint_dims, struct serin_error *error)
{
    struct label_file file = {.path = label_path,
                              .task = model->task,
                              .class_map = class_map,
                              .class_count = class_count,
                              .keypoint_count = (size_t)keypoint_count,
                              .keypoint_dims = (size_t)keypoint_dims,
                              .error = error};
    struct serin_error missing;
    struct row row = {0};
    enum serin_errc rc;
    uint8_t *bytes;
    size_t size;

    rc = file_read(label_path, DATASET_MAX_LABEL_BYTES, &bytes, &size, &missing);
    if (rc == SERIN_NOT_FOUND)
        return SERIN_OK; /* a picture of nothing */
    if (rc)
        return error_set(error, rc, "%s", missing.message);
    file.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (file.locale == (locale_t)0)
        rc = error_set(error, SERIN_NOMEM, "%s: no memory to read it", label_path);
    else if (memchr(bytes, 0, size))
        rc = error_set(error, SERIN_CORRUPT, "%s: is not text: it has a NUL", label_path);
    else
        rc = read_rows(&file, dataset, image, (const char *)bytes, &row);
    if (file.locale != (locale_t)0)
        freelocale(file.locale);
    free(row.values);
    free(bytes);
    return rc;
}
