/*
 * golden_test.c - compares libserin's predictions with those that Ultralytics itself gave (tests/golden/).
 * SPDX-License-Identifier: Apache-2.0
 *
 *     golden_test PREDICTIONS.json
 *
 * Predicts every case of the file with the same options and asks, for each picture: the same number of detections, the
 * same classes, in the same order (two whose scores differ by less than CONF_TOLERANCE may trade places), boxes,
 * keypoints and corners within POINT_TOLERANCE_PX, scores within CONF_TOLERANCE, masks with an IoU of at least
 * MASK_IOU, and the same JSON fields in the same order. Where a mask is equal in every pixel its polygon must be equal
 * point for point too. The worst differences seen are printed, also on success: a drift shows before it fails.
 *
 * Models and pictures of the set "miniature" lie in $SERIN_SOURCE_DIR/examples/models/miniature; those of "shared" in
 * $SERIN_TEST_DATA, or $SERIN_SOURCE_DIR/../shared/data. Exit status 77 (skipped, to meson) where they are absent.
 */
#include <serin/yolo.h>

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINT_TOLERANCE_PX 0.05
#define CONF_TOLERANCE     1e-4
#define MASK_IOU           0.99
#define ROUNDING           0.6e-5 /* to_json's five decimals, on top of the above */

#define MOST_ROWS       4096
#define MOST_IN_GROUP   16
#define MOST_COMPLAINTS 25
#define SKIPPED         77

struct worst {
    double conf, box, keypoint, corner, polygon;
    double mask_iou;
    size_t mask_pixels; /* that differ, of all masks together */
    size_t rows, masks, polygons;
};

static struct worst worst = {.mask_iou = 1};
static int complaints;
static const char *case_name = "";

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    va_list arguments;

    if (complaints++ >= MOST_COMPLAINTS)
        return;
    printf("  %s: ", case_name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void keep_worst(double *kept, double value)
{
    if (!(value <= *kept)) /* NaN is the worst of all */
        *kept = value;
}

/* A field that the golden file must have; anything else is a broken file and ends the test. */
static json_t *field(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    if (value == NULL) {
        printf("golden file: \"%s\" is missing\n", key);
        exit(1);
    }
    return value;
}

static double number_at(json_t *array, size_t index)
{
    return json_number_value(json_array_get(array, index));
}

/* |a - b|, where text stands for a float32: equal floats differ by 0, however short the text is. */
static double distance(double text, float value)
{
    return fabs((double)(float)text - (double)value);
}

/* ---- masks ---- */

/* COCO's compressed run lengths (pycocotools maskApi.c, rleFrString): columns from the left, runs of 0 and 1 in turn,
 * each written in groups of 5 bits from the lowest, as the difference to the run before the last from the third run on.
 */
static uint8_t *mask_decode(json_t *rle, int32_t *ret_width, int32_t *ret_height)
{
    const char *text = json_string_value(field(rle, "counts"));
    int32_t height = (int32_t)json_integer_value(json_array_get(field(rle, "size"), 0));
    int32_t width = (int32_t)json_integer_value(json_array_get(field(rle, "size"), 1));
    size_t total = (size_t)height * (size_t)width, at = 0;
    long runs[3] = {0}; /* this one and the two before it */
    uint8_t *values = calloc(total, 1);

    for (size_t run = 0; *text != '\0'; run++) {
        long value = 0;
        int shift = 0;
        bool more = true;
        for (; more && *text != '\0'; text++, shift += 5) {
            long bits = *text - 48;
            value |= (bits & 0x1f) << shift;
            more = bits & 0x20;
            if (!more && bits & 0x10)
                value |= -1L * (1L << (shift + 5));
        }
        if (run > 2)
            value += runs[1];
        runs[1] = runs[0];
        runs[0] = value;
        for (; value > 0 && at < total; value--, at++)
            values[at % (size_t)height * (size_t)width + at / (size_t)height] = run & 1;
    }
    *ret_width = width;
    *ret_height = height;
    return values;
}

/* Returns the number of pixels that differ. */
static size_t compare_mask(json_t *rle, const struct serin_mask *mask, size_t index)
{
    int32_t width, height;
    uint8_t *expected;
    size_t both = 0, any = 0;
    double iou;

    if (mask == NULL) {
        complain("detection %zu has no mask", index);
        return SIZE_MAX;
    }
    expected = mask_decode(rle, &width, &height);
    if (mask->full_width != width || mask->full_height != height) {
        complain("mask %zu is %d x %d, expected %d x %d", index, mask->full_width, mask->full_height, width, height);
        free(expected);
        return SIZE_MAX;
    }
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            bool inside = x >= mask->x && x < mask->x + mask->width && y >= mask->y && y < mask->y + mask->height;
            bool ours = inside && mask->values[(size_t)(y - mask->y) * (size_t)mask->width + (size_t)(x - mask->x)];
            bool theirs = expected[(size_t)y * (size_t)width + (size_t)x];
            both += ours && theirs;
            any += ours || theirs;
        }
    free(expected);
    iou = any == 0 ? 1 : (double)both / (double)any;
    if (iou < worst.mask_iou)
        worst.mask_iou = iou;
    worst.mask_pixels += any - both;
    worst.masks++;
    if (iou < MASK_IOU)
        complain("mask %zu has an IoU of %.4f", index, iou);
    return any - both;
}

/* ---- rows ---- */

static double largest_difference(json_t *expected, const float *values, size_t count)
{
    double largest = json_array_size(expected) == count ? 0 : INFINITY;

    for (size_t i = 0; i < count; i++)
        keep_worst(&largest, distance(number_at(expected, i), values[i]));
    return largest;
}

static double keypoint_difference(json_t *expected, const struct serin_detection *found,
                                  const struct serin_yolo_info *info)
{
    int dims = info->keypoint_dims, count = info->keypoint_count;
    double largest = json_array_size(expected) == (size_t)(dims * count) && found->keypoints ? 0 : INFINITY;

    for (int i = 0; i < count && largest == largest && largest < INFINITY; i++) {
        const struct serin_keypoint *point = &found->keypoints[i];
        size_t at = (size_t)(i * dims);
        keep_worst(&largest, distance(number_at(expected, at), point->x));
        keep_worst(&largest, distance(number_at(expected, at + 1), point->y));
        if (dims == 3 && !(distance(number_at(expected, at + 2), point->visible) <= CONF_TOLERANCE))
            return INFINITY;
    }
    return largest;
}

static void check(const char *what, double value, double *kept, size_t index)
{
    keep_worst(kept, value);
    if (!(value <= POINT_TOLERANCE_PX))
        complain("%s of detection %zu differs by %g px", what, index, value);
}

/* Which of ours is this row: the nearest unused one of the same class and score. -1: none. */
static long find_row(json_t *row, const struct serin_result *result, const bool *used)
{
    double least = INFINITY;
    long best = -1;

    for (size_t i = 0; i < result->count; i++) {
        const struct serin_detection *found = &result->detections[i];
        double apart;
        if (used[i] || found->class_id != json_integer_value(field(row, "class")) ||
            !(distance(json_number_value(field(row, "conf")), found->confidence) <= CONF_TOLERANCE))
            continue;
        apart = largest_difference(field(row, "box"), &found->x1, 4);
        if (best < 0 || apart < least) {
            least = apart;
            best = (long)i;
        }
    }
    return best;
}

/* ---- JSON ---- */

/* The same fields in the same order, and values that agree. */
static bool json_agrees(json_t *expected, json_t *found, double tolerance)
{
    if (json_is_number(expected))
        return json_is_number(found) && json_is_integer(expected) == json_is_integer(found) &&
               fabs(json_number_value(expected) - json_number_value(found)) <= tolerance + ROUNDING;
    if (json_is_array(expected)) {
        bool agrees = json_is_array(found) && json_array_size(expected) == json_array_size(found);
        for (size_t i = 0; agrees && i < json_array_size(expected); i++)
            agrees = json_agrees(json_array_get(expected, i), json_array_get(found, i), tolerance);
        return agrees;
    }
    if (json_is_object(expected)) {
        void *a = json_object_iter(expected), *b = json_object_iter(found);
        for (; a != NULL && b != NULL; a = json_object_iter_next(expected, a), b = json_object_iter_next(found, b)) {
            const char *key = json_object_iter_key(a);
            bool score = strcmp(key, "confidence") == 0 || strcmp(key, "visible") == 0;
            if (strcmp(key, json_object_iter_key(b)) != 0 ||
                !json_agrees(json_object_iter_value(a), json_object_iter_value(b), score ? CONF_TOLERANCE : tolerance))
                return false;
        }
        return a == NULL && b == NULL;
    }
    return json_equal(expected, found);
}

static void compare_json(json_t *expected, json_t *found, size_t index, bool with_segments)
{
    if (!with_segments) { /* the golden file has none here, or the mask differs a little, and so the polygon may */
        json_object_del(expected, "segments");
        json_object_del(found, "segments");
    }
    if (!json_agrees(expected, found, POINT_TOLERANCE_PX)) {
        char *a = json_dumps(expected, JSON_COMPACT | JSON_REAL_PRECISION(9)),
             *b = json_dumps(found, JSON_COMPACT | JSON_REAL_PRECISION(9));
        complain("JSON of detection %zu: expected %.300s, got %.300s", index, a, b ? b : "nothing");
        free(a);
        free(b);
    }
}

static void note_polygon(json_t *expected, const struct serin_mask *mask, size_t index)
{
    json_t *x = field(field(expected, "segments"), "x"), *y = field(field(expected, "segments"), "y");

    if (json_array_size(x) != mask->point_count) {
        complain("the polygon of detection %zu has %zu points, expected %zu", index, mask->point_count,
                 json_array_size(x));
        return;
    }
    for (size_t i = 0; i < mask->point_count; i++) {
        keep_worst(&worst.polygon, fabs(number_at(x, i) - (double)mask->points[2 * i]));
        keep_worst(&worst.polygon, fabs(number_at(y, i) - (double)mask->points[2 * i + 1]));
    }
    worst.polygons++;
}

/* ---- one picture ---- */

static void compare_classes(json_t *rows, json_t *results, const struct serin_result *result, json_t *ours)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_int_t class_id = json_integer_value(field(json_array_get(rows, i), "class"));
        double conf = json_number_value(field(json_array_get(rows, i), "conf"));
        double difference =
            class_id < result->info->class_count ? distance(conf, result->probabilities[class_id]) : INFINITY;
        keep_worst(&worst.conf, difference);
        if (!(difference <= CONF_TOLERANCE))
            complain("class %d has %g, expected %g", (int)class_id, (double)result->probabilities[class_id], conf);
        if (i < result->count && !(distance(conf, result->detections[i].confidence) <= CONF_TOLERANCE))
            complain("place %zu has %g, expected %g", i, (double)result->detections[i].confidence, conf);
        worst.rows++;
    }
    if (result->count != json_array_size(results))
        complain("%zu classes reported, expected %zu", result->count, json_array_size(results));
    for (size_t i = 0; i < json_array_size(results) && i < json_array_size(ours); i++) {
        json_t *a = json_array_get(results, i), *b = json_array_get(ours, i);
        if (json_equal(field(a, "class"), json_object_get(b, "class"))) /* equal scores may trade places */
            compare_json(a, b, i, false);
    }
}

static void compare_detections(json_t *rows, json_t *results, const struct serin_result *result, json_t *ours)
{
    bool used[MOST_ROWS] = {false};

    if (result->count != json_array_size(rows) || result->count > MOST_ROWS) {
        complain("%zu detections, expected %zu", result->count, json_array_size(rows));
        return;
    }
    for (size_t i = 0; i < result->count; i++) {
        json_t *row = json_array_get(rows, i), *expected = json_array_get(results, i), *value;
        const struct serin_detection *found;
        double rank = distance(json_number_value(field(row, "conf")), result->detections[i].confidence);
        long at = find_row(row, result, used);
        size_t differing = SIZE_MAX;

        if (!(rank <= CONF_TOLERANCE))
            complain("place %zu has confidence %g, expected %g", i, (double)result->detections[i].confidence,
                     json_number_value(field(row, "conf")));
        if (at < 0) {
            complain("detection %zu (class %d, %g) has no match", i, (int)json_integer_value(field(row, "class")),
                     json_number_value(field(row, "conf")));
            continue;
        }
        used[at] = true;
        found = &result->detections[at];
        worst.rows++;
        keep_worst(&worst.conf, distance(json_number_value(field(row, "conf")), found->confidence));
        check("box", largest_difference(field(row, "box"), &found->x1, 4), &worst.box, i);
        if ((value = json_object_get(row, "keypoints")))
            check("keypoints", keypoint_difference(value, found, result->info), &worst.keypoint, i);
        if ((value = json_object_get(row, "corners"))) {
            check("corners", largest_difference(value, &found->corners[0][0], 8), &worst.corner, i);
            check("centre and size", largest_difference(field(row, "xywhr"), &found->cx, 5), &worst.corner, i);
        }
        if ((value = json_object_get(row, "mask")))
            differing = compare_mask(value, found->mask, i);
        if (differing == 0 && json_object_get(expected, "segments"))
            note_polygon(expected, found->mask, i);
        compare_json(expected, json_array_get(ours, (size_t)at), i,
                     differing == 0 && json_object_get(expected, "segments"));
    }
}

static void compare_case(json_t *item, const struct serin_result *result)
{
    json_t *shape = field(item, "shape"), *ours;
    struct serin_error error;
    char *text = NULL;

    if (result->height != number_at(shape, 0) || result->width != number_at(shape, 1))
        complain("the picture is %d x %d, expected %g x %g", result->width, result->height, number_at(shape, 1),
                 number_at(shape, 0));
    if (serin_result_to_json(result, &text, &error)) {
        complain("to_json: %s", error.message);
        return;
    }
    ours = json_loads(text, 0, NULL);
    if (ours == NULL || json_array_size(ours) != result->count)
        complain("to_json gives no list of %zu: %.100s", result->count, text);
    else if (result->task == SERIN_CLASSIFY)
        compare_classes(field(item, "rows"), field(item, "results"), result, ours);
    else
        compare_detections(field(item, "rows"), field(item, "results"), result, ours);
    json_decref(ours);
    free(text);
}

/* ---- a file ---- */

static void read_options(json_t *given, struct serin_predict_options *options, int32_t classes[static 64])
{
    json_t *value;
    const char *key;

    serin_predict_options_init(options);
    json_object_foreach(given, key, value)
    {
        if (strcmp(key, "conf") == 0)
            options->conf = (float)json_number_value(value);
        else if (strcmp(key, "iou") == 0)
            options->iou = (float)json_number_value(value);
        else if (strcmp(key, "max_det") == 0)
            options->max_det = (int)json_integer_value(value);
        else if (strcmp(key, "agnostic_nms") == 0)
            options->agnostic_nms = json_is_true(value);
        else if (strcmp(key, "retina_masks") == 0)
            options->retina_masks = json_is_true(value);
        else if (strcmp(key, "rect") == 0)
            options->rect = json_is_true(value) ? SERIN_RECT_AUTO : SERIN_RECT_OFF;
        else if (strcmp(key, "imgsz") == 0) {
            options->input_height = (int)(json_is_array(value) ? number_at(value, 0) : json_number_value(value));
            options->input_width = (int)(json_is_array(value) ? number_at(value, 1) : json_number_value(value));
        } else if (strcmp(key, "classes") == 0 && json_array_size(value) <= 64) {
            for (size_t i = 0; i < json_array_size(value); i++)
                classes[i] = (int32_t)number_at(value, i);
            options->classes = classes;
            options->class_count = json_array_size(value);
        } else {
            printf("golden file: option \"%s\" is not known here\n", key);
            exit(1);
        }
    }
}

/* Predicts the cases from `first` that belong to one call, compares them, and returns how many they were. */
static size_t run_group(struct serin_yolo *yolo, json_t *cases, size_t first, const char *images_folder)
{
    json_t *item = json_array_get(cases, first), *group = json_object_get(item, "group");
    struct serin_image images[MOST_IN_GROUP] = {{0}};
    struct serin_result *results[MOST_IN_GROUP] = {NULL};
    struct serin_predict_options options;
    struct serin_error error = {0};
    int32_t classes[64];
    size_t count = 1;
    bool failed = false;

    while (group && count < MOST_IN_GROUP &&
           json_equal(group, json_object_get(json_array_get(cases, first + count), "group")))
        count++;
    case_name = json_string_value(field(item, "image"));
    for (size_t i = 0; i < count && !failed; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", images_folder,
                 json_string_value(field(json_array_get(cases, first + i), "image")));
        failed = serin_image_decode_file(path, NULL, &images[i], &error);
    }
    read_options(field(item, "options"), &options, classes);
    if (failed || serin_yolo_predict(yolo, images, count, &options, results, &error)) {
        complain("%s", error.message);
    } else {
        for (size_t i = 0; i < count; i++) {
            char name[512], *given;
            item = json_array_get(cases, first + i);
            given = json_dumps(field(item, "options"), JSON_COMPACT | JSON_REAL_PRECISION(6));
            snprintf(name, sizeof name, "%s %s", json_string_value(field(item, "image")), given);
            free(given);
            case_name = name;
            compare_case(item, results[i]);
            case_name = "";
        }
    }
    for (size_t i = 0; i < count; i++) {
        serin_result_free(results[i]);
        serin_image_free(&images[i]);
    }
    return count;
}

int main(int argc, char **argv)
{
    const char *source = getenv("SERIN_SOURCE_DIR"), *data = getenv("SERIN_TEST_DATA");
    char folder[2048], model[4096];
    struct serin_open_options options;
    struct serin_yolo *yolo = NULL;
    struct serin_error error = {0};
    json_error_t json_error;
    json_t *golden, *cases;
    size_t count = 0;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: golden_test PREDICTIONS.json [PROVIDER]\n");
        return 2;
    }
    serin_open_options_init(&options);
    if (argc == 3)
        options.provider = argv[2];
    golden = json_load_file(argv[1], 0, &json_error);
    if (golden == NULL) {
        printf("%s:%d: %s\n", argv[1], json_error.line, json_error.text);
        return 1;
    }
    if (source == NULL)
        source = ".";
    if (strcmp(json_string_value(field(golden, "set")), "miniature") == 0) {
        snprintf(folder, sizeof folder, "%s/examples/models/miniature/images", source);
        snprintf(model, sizeof model, "%s/../%s", folder, json_string_value(field(golden, "model")));
    } else {
        if (data && data[0])
            snprintf(folder, sizeof folder, "%s", data);
        else
            snprintf(folder, sizeof folder, "%s/../shared/data", source);
        snprintf(model, sizeof model, "%s/models/%s", folder, json_string_value(field(golden, "model")));
    }
    if (access(model, R_OK) != 0) {
        printf("skipped: %s is not there\n", model);
        json_decref(golden);
        return SKIPPED;
    }
    if (serin_yolo_open(model, &options, &yolo, &error)) {
        printf("%s: %s\n", model, error.message);
        json_decref(golden);
        return 1;
    }
    cases = field(golden, "cases");
    if (strcmp(serin_task_name(serin_yolo_get_info(yolo)->task), json_string_value(field(golden, "task"))) != 0)
        complain("the task is %s", serin_task_name(serin_yolo_get_info(yolo)->task));
    while (count < json_array_size(cases))
        count += run_group(yolo, cases, count, folder);
    printf("%s: %zu cases, %zu rows; worst score %.2g, box %.2g px", json_string_value(field(golden, "model")), count,
           worst.rows, worst.conf, worst.box);
    if (serin_yolo_get_info(yolo)->task == SERIN_POSE)
        printf(", keypoint %.2g px", worst.keypoint);
    if (serin_yolo_get_info(yolo)->task == SERIN_OBB)
        printf(", corner %.2g px", worst.corner);
    if (worst.masks > 0)
        printf(", mask IoU %.5f (%zu pixels in %zu masks), %zu polygons within %.2g px", worst.mask_iou,
               worst.mask_pixels, worst.masks, worst.polygons, worst.polygon);
    printf("%s\n", complaints > 0 ? ": FAILED" : "");
    serin_yolo_close(yolo);
    json_decref(golden);
    if (worst.rows == 0)
        printf("nothing was compared\n");
    return complaints > 0 || worst.rows == 0;
}
