/*
 * evaluate_test.c - whole evaluations of the miniature models on sets whose labels are their own predictions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a model found with confidence is then the truth, so every number is known: all of it is found, at every
 * threshold.
 */
#include "yolo/evaluate.c"

#include "base/buffer.h"
#include "base/file.h"

#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const pictures[] = {"shapes-640x480.jpg", "shapes-200x150.png",  "shapes-97x211.jpg",
                                       "cross-120x90.jpg",   "figures-320x240.png", "bars-480x360.jpg"};
#define PICTURES (sizeof(pictures) / sizeof(pictures[0]))

static char folder[64];
static struct serin_yolo *yolo;

static void source_path(char path[1024], const char *kind, const char *name)
{
    const char *source = getenv("SERIN_SOURCE_DIR");

    assert_true(snprintf(path, 1024, "%s/examples/models/miniature/%s%s", source ? source : ".", kind, name) < 1024);
}

static int drop_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static int new_folder(void **state)
{
    char path[128];

    (void)state;
    strcpy(folder, "/tmp/serin-evaluate-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/images", folder);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/labels", folder);
    return mkdir(path, 0755);
}

static int drop_folder(void **state)
{
    (void)state;
    serin_yolo_close(yolo);
    yolo = NULL;
    return nftw(folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_model(const char *name)
{
    struct serin_error error;
    char path[1024];

    source_path(path, "", name);
    if (serin_yolo_open(path, NULL, &yolo, &error))
        fail_msg("%s", error.message);
}

static void copy_picture(const char *name, const char *to)
{
    char path[1024];
    uint8_t *bytes;
    size_t size;

    source_path(path, "images/", name);
    assert_int_equal(file_read(path, 1 << 24, &bytes, &size, NULL), SERIN_OK);
    snprintf(path, sizeof(path), "%s/%s", folder, to);
    assert_int_equal(file_write(path, bytes, size, NULL), SERIN_OK);
    free(bytes);
}

static struct serin_result *predicted(const char *name)
{
    char path[1024];
    struct serin_predict_options options;
    struct serin_result *result;
    struct serin_image image;

    serin_predict_options_init(&options);
    options.multi_label = true; /* as evaluation has both: else other boxes would be found */
    options.rect = SERIN_RECT_OFF;
    source_path(path, "images/", name);
    assert_int_equal(serin_image_decode_file(path, NULL, &image, NULL), SERIN_OK);
    assert_int_equal(serin_yolo_predict(yolo, &image, 1, &options, &result, NULL), SERIN_OK);
    serin_image_free(&image);
    return result;
}

/* A label row of a detection, in the form of its task. */
static void write_row(struct buffer *out, const struct serin_result *result, const struct serin_detection *d)
{
    double w = result->width, h = result->height;
    int i;

    buffer_printf(out, "%d", d->class_id);
    if (result->task == SERIN_OBB) {
        for (i = 0; i < 4; i++)
            buffer_printf(out, " %.9f %.9f", (double)d->corners[i][0] / w, (double)d->corners[i][1] / h);
    } else if (result->task == SERIN_SEGMENT) {
        for (i = 0; i < (int)d->mask->point_count; i++)
            buffer_printf(out, " %.9f %.9f", (double)d->mask->points[2 * i] / w,
                          (double)d->mask->points[2 * i + 1] / h);
    } else {
        buffer_printf(out, " %.9f %.9f %.9f %.9f", (double)(d->x1 + d->x2) / 2 / w, (double)(d->y1 + d->y2) / 2 / h,
                      (double)(d->x2 - d->x1) / w, (double)(d->y2 - d->y1) / h);
        for (i = 0; i < result->info->keypoint_count; i++) {
            buffer_printf(out, " %.9f %.9f", (double)d->keypoints[i].x / w, (double)d->keypoints[i].y / h);
            if (result->info->keypoint_dims == 3)
                buffer_append_text(out, " 2");
        }
    }
    buffer_append_text(out, "\n");
}

/* Turned boxes may stick out of the picture; labels may not. */
static bool lies_inside(const struct serin_result *result)
{
    size_t i, k;

    for (i = 0; i < result->count && result->task == SERIN_OBB; i++)
        for (k = 0; k < 4; k++)
            if (result->detections[i].corners[k][0] < 0 || result->detections[i].corners[k][1] < 0 ||
                result->detections[i].corners[k][0] > (float)result->width ||
                result->detections[i].corners[k][1] > (float)result->height)
                return false;
    return true;
}

/* Labels the pictures with the model's own predictions. Returns the number of objects. */
static size_t make_set(void)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(yolo);
    size_t i, k, objects = 0;
    struct buffer out;
    char path[256];

    buffer_init(&out, 1 << 20);
    for (i = 0; i < PICTURES; i++) {
        struct serin_result *result = predicted(pictures[i]);

        if (!lies_inside(result)) {
            serin_result_free(result);
            continue;
        }
        snprintf(path, sizeof(path), "images/%s", pictures[i]);
        copy_picture(pictures[i], path);
        buffer_clear(&out);
        for (k = 0; k < result->count; k++)
            write_row(&out, result, &result->detections[k]);
        objects += result->count;
        snprintf(path, sizeof(path), "%s/labels/%.*s.txt", folder, (int)(strchr(pictures[i], '.') - pictures[i]),
                 pictures[i]);
        assert_int_equal(file_write(path, out.size ? out.bytes : "", out.size, NULL), SERIN_OK);
        serin_result_free(result);
    }
    buffer_clear(&out);
    buffer_append_text(&out, "val: images\nnames:\n");
    for (k = 0; k < (size_t)info->class_count; k++)
        buffer_printf(&out, "  %zu: %s\n", k, info->class_names[k]);
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    assert_int_equal(file_write(path, out.bytes, out.size, NULL), SERIN_OK);
    buffer_done(&out);
    assert_true(objects >= 5);
    return objects;
}

static struct serin_evaluation *evaluated(void)
{
    struct serin_evaluation *evaluation = NULL;
    struct serin_error error;
    char path[256];

    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    if (serin_yolo_evaluate(yolo, path, NULL, &evaluation, &error))
        fail_msg("%s", error.message);
    serin_yolo_close(yolo); /* an evaluation outlives its model */
    yolo = NULL;
    return evaluation;
}

static void assert_is_one(const char *what, double value, double tolerance)
{
    if (!(fabs(value - 1) <= tolerance))
        fail_msg("%s is %.9f, not 1", what, value);
}

#define assert_one(value, tolerance) assert_is_one(#value, value, tolerance)

static void boxes_that_are_all_found(void **state)
{
    struct serin_evaluation *evaluation;
    size_t objects, i, instances = 0;

    (void)state;
    open_model("detect.onnx");
    objects = make_set();
    evaluation = evaluated();
    assert_int_equal(evaluation->images, PICTURES);
    assert_int_equal(evaluation->instances, objects);
    assert_one(evaluation->box.map50_95, 1e-9);
    assert_one(evaluation->box.recall, 1e-9);
    assert_one(evaluation->ultralytics.map50_95, .006); /* its curve ends half a hundredth before recall 1 */
    assert_true(evaluation->ultralytics.map50_95 < 1);
    assert_one(evaluation->precision, 1e-9);
    assert_one(evaluation->recall, 1e-9);
    assert_one(evaluation->f1, 1e-9);
    assert_true(evaluation->mask.map50 == -1 && evaluation->keypoints.map50 == -1 && evaluation->top1 == -1);
    for (i = 0; i < evaluation->class_count; i++) {
        instances += evaluation->per_class[i].instances;
        assert_true(evaluation->per_class[i].images <= evaluation->per_class[i].instances);
        assert_true((evaluation->per_class[i].instances == 0) == (evaluation->per_class[i].box.map50 == -1));
        assert_true(strlen(evaluation->per_class[i].name) > 0);
    }
    assert_int_equal(instances, objects);
    serin_evaluation_free(evaluation);
}

static void masks_that_are_all_found(void **state)
{
    struct serin_evaluation *evaluation;

    (void)state;
    open_model("segment.onnx");
    make_set();
    evaluation = evaluated();
    assert_one(evaluation->mask.map50, 1e-9);
    assert_true(evaluation->mask.map50_95 > .5);
    serin_evaluation_free(evaluation);
}

static void keypoints_that_are_all_found(void **state)
{
    struct serin_evaluation *evaluation;

    (void)state;
    open_model("pose.onnx");
    make_set();
    evaluation = evaluated();
    assert_one(evaluation->keypoints.map50_95, 1e-9);
    assert_one(evaluation->box.map50_95, 1e-9);
    serin_evaluation_free(evaluation);
}

static void turned_boxes_that_are_all_found(void **state)
{
    struct serin_evaluation *evaluation;

    (void)state;
    open_model("obb.onnx");
    make_set();
    evaluation = evaluated();
    assert_one(evaluation->ultralytics.map50_95, .006);
    assert_true(evaluation->box.map50 == -1);
    assert_one(evaluation->recall, 1e-9);
    serin_evaluation_free(evaluation);
}

static void classes_by_folder(void **state)
{
    const struct serin_yolo_info *info;
    struct serin_evaluation *evaluation;
    struct serin_error error;
    char path[512];
    size_t i, k;

    (void)state;
    open_model("classify.onnx");
    info = serin_yolo_get_info(yolo);
    for (k = 0; k < (size_t)info->class_count; k++) {
        snprintf(path, sizeof(path), "%s/%s", folder, info->class_names[k]);
        mkdir(path, 0755);
    }
    for (i = 0; i < PICTURES; i++) {
        struct serin_result *result = predicted(pictures[i]);
        char to[512];
        int32_t best = result->detections[0].class_id;

        /* the last picture lies in a wrong folder */
        best = i + 1 < PICTURES ? best : (best + 1) % info->class_count;
        snprintf(to, sizeof(to), "%s/%s", info->class_names[best], pictures[i]);
        copy_picture(pictures[i], to);
        serin_result_free(result);
    }
    snprintf(path, sizeof(path), "%s/images", folder); /* not a class */
    remove(path);
    snprintf(path, sizeof(path), "%s/labels", folder);
    remove(path);
    if (serin_yolo_evaluate(yolo, folder, NULL, &evaluation, &error))
        fail_msg("%s", error.message);
    assert_true(fabs(evaluation->top1 - (double)(PICTURES - 1) / PICTURES) < 1e-9);
    assert_true(evaluation->top5 >= evaluation->top1);
    assert_int_equal(evaluation->instances, PICTURES);
    assert_true(evaluation->box.map50 == -1 && evaluation->precision == -1);
    serin_evaluation_free(evaluation);
}

static void a_part_of_the_pictures_evenly_chosen(void **state)
{
    struct serin_evaluation *evaluation;
    struct serin_eval_options options;
    struct serin_error error;
    size_t objects, part;
    char path[256];

    (void)state;
    open_model("detect.onnx");
    objects = make_set();
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    serin_eval_options_init(&options);
    for (part = 1; part <= PICTURES + 1; part++) {
        options.max_images = part;
        assert_int_equal(serin_yolo_evaluate(yolo, path, &options, &evaluation, &error), SERIN_OK);
        assert_int_equal(evaluation->images, part < PICTURES ? part : PICTURES);
        assert_true(part < PICTURES ? evaluation->instances < objects : evaluation->instances == objects);
        assert_one(evaluation->box.map50_95, 1e-9);
        serin_evaluation_free(evaluation);
    }
    /* by name the third of three is the fifth of six */
    snprintf(path, sizeof(path), "%s/images/shapes-640x480.jpg", folder);
    assert_int_equal(file_write(path, "no picture", 10, NULL), SERIN_OK);
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    options.max_images = 3;
    assert_int_equal(serin_yolo_evaluate(yolo, path, &options, &evaluation, &error), SERIN_OK);
    assert_int_equal(evaluation->images, 2);
    assert_int_equal(evaluation->images_failed, 1);
    serin_evaluation_free(evaluation);
}

static bool stop_at_two(void *user, size_t done, size_t total)
{
    assert_int_equal(total, PICTURES);
    *(size_t *)user = done;
    return done < 2;
}

static void it_stops_when_told_and_says_which_file_is_bad(void **state)
{
    struct serin_evaluation *evaluation = NULL;
    struct serin_eval_options options;
    struct serin_error error;
    size_t done = 0;
    char path[256];

    (void)state;
    open_model("detect.onnx");
    make_set();
    serin_eval_options_init(&options);
    options.progress = stop_at_two;
    options.user = &done;
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    assert_int_equal(serin_yolo_evaluate(yolo, path, &options, &evaluation, &error), SERIN_INVALID);
    assert_string_equal(error.message, "evaluation was stopped after 2 of 6 pictures");
    assert_int_equal(done, 2);
    options.progress = NULL;
    options.conf = 2;
    assert_int_equal(serin_yolo_evaluate(yolo, path, &options, &evaluation, &error), SERIN_INVALID);
    snprintf(path, sizeof(path), "%s/labels/bars-480x360.txt", folder);
    assert_int_equal(file_write(path, "no label", 8, NULL), SERIN_OK);
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    assert_int_not_equal(serin_yolo_evaluate(yolo, path, NULL, &evaluation, &error), SERIN_OK);
    assert_non_null(strstr(error.message, "bars-480x360.txt"));
    assert_int_equal(serin_yolo_evaluate(yolo, "/nonexistent.yaml", NULL, &evaluation, NULL), SERIN_NOT_FOUND);
    assert_null(evaluation);
}

static void the_shorter_side_is_rounded_up_as_in_val(void **state)
{
    static const int32_t rows[][6] = {
        /* picture's width, height; resized width, height; left, top */
        {600, 500, 640, 534, 0, 53}, {500, 333, 640, 427, 0, 106}, {333, 500, 427, 640, 106, 0},
        {640, 480, 640, 480, 0, 80}, {640, 427, 640, 427, 0, 106}, {64, 64, 640, 640, 0, 0},
        {5000, 1, 640, 1, 0, 319},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct serin_image image = {.width = rows[i][0], .height = rows[i][1]};
        struct letterbox box = val_letterbox(&image, 640);

        assert_int_equal(box.resized_width, rows[i][2]);
        assert_int_equal(box.resized_height, rows[i][3]);
        assert_int_equal(box.left, rows[i][4]);
        assert_int_equal(box.top, rows[i][5]);
    }
}

/* 21 photographs of COCO128, among them two whose shorter side val rounds up. Expected: `yolo val` of
 * Ultralytics 8.4.190 on the same file and list, and pycocotools on the detections it wrote. */
static void coco_is_what_yolo_val_and_pycocotools_say(void **state)
{
    static const int numbers[] = {30,  42,  64,  73,  78,  89,  109, 127, 138, 144, 154,
                                  192, 201, 247, 260, 294, 309, 321, 328, 349, 143};
    const char *data = getenv("SERIN_TEST_DATA"), *source = getenv("SERIN_SOURCE_DIR");
    char root[1024], path[PATH_MAX + 64], yaml[256], *absolute;
    struct serin_evaluation *evaluation;
    struct serin_error error;
    struct buffer out;
    uint8_t *names;
    size_t size, i;

    (void)state;
    if (data)
        snprintf(root, sizeof(root), "%s", data);
    else
        snprintf(root, sizeof(root), "%s/../shared/data", source ? source : ".");
    snprintf(path, sizeof(path), "%s/models/yolov8n.onnx", root);
    absolute = realpath(root, NULL);
    if (access(path, R_OK) != 0 || !absolute) {
        free(absolute);
        skip();
    }
    if (serin_yolo_open(path, NULL, &yolo, &error))
        fail_msg("%s", error.message);
    snprintf(path, sizeof(path), "%s/coco128/data.yaml", absolute);
    assert_int_equal(file_read(path, 1 << 20, &names, &size, &error), SERIN_OK);
    buffer_init(&out, 1 << 20);
    buffer_append_text(&out, "val:\n");
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        buffer_printf(&out, "  - \"%s/coco128/images/%012d.jpg\"\n", absolute, numbers[i]);
    buffer_append_text(&out, strstr((char *)names, "names:"));
    free(names);
    free(absolute);
    snprintf(yaml, sizeof(yaml), "%s/data.yaml", folder);
    assert_int_equal(file_write(yaml, out.bytes, out.size, &error), SERIN_OK);
    buffer_done(&out);
    if (serin_yolo_evaluate(yolo, yaml, NULL, &evaluation, &error))
        fail_msg("%s", error.message);
    assert_int_equal(evaluation->images, 21);
    assert_true(fabs(evaluation->ultralytics.map50_95 - .5770050427522125) < 1e-4);
    assert_true(fabs(evaluation->ultralytics.map50 - .7658740618614681) < 1e-4);
    assert_true(fabs(evaluation->box.map50_95 - .5804905009602954) < 1e-4);
    assert_true(fabs(evaluation->box.map50 - .7697191893539255) < 1e-4);
    assert_true(fabs(evaluation->box.recall - .722454304954305) < 1e-4);
    serin_evaluation_free(evaluation);
}

static void note_failure(void *user, const char *path, const struct serin_error *error)
{
    struct buffer *out = user;

    buffer_printf(out, "%s %s\n", strrchr(path, '/') + 1, serin_errc_text(error->code));
}

static void spoil(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/images/%s", folder, name);
    assert_int_equal(file_write(path, "no picture", 10, NULL), SERIN_OK);
}

/* One damaged picture ended the whole evaluation. */
static void damaged_pictures_are_counted_and_left_out(void **state)
{
    struct serin_evaluation *evaluation = NULL;
    struct serin_eval_options options;
    struct serin_error error;
    struct buffer failures;
    char path[256];
    size_t i, lost;

    (void)state;
    open_model("detect.onnx");
    make_set();
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    assert_int_equal(serin_yolo_evaluate(yolo, path, NULL, &evaluation, NULL), SERIN_OK);
    lost = evaluation->instances;
    assert_int_equal(evaluation->images_failed, 0);
    serin_evaluation_free(evaluation);
    spoil("aaa.png");
    spoil(pictures[0]);
    buffer_init(&failures, 1 << 16);
    serin_eval_options_init(&options);
    options.failed = note_failure;
    options.user = &failures;
    assert_int_equal(serin_yolo_evaluate(yolo, path, &options, &evaluation, NULL), SERIN_OK);
    assert_string_equal(failures.bytes, "aaa.png not supported\nshapes-640x480.jpg not supported\n");
    assert_int_equal(evaluation->images_failed, 2);
    assert_int_equal(evaluation->images, PICTURES - 1);
    assert_true(evaluation->instances < lost && evaluation->instances > 0); /* its objects are not missed either */
    assert_one(evaluation->box.map50_95, 1e-9);
    assert_one(evaluation->recall, 1e-9);
    serin_evaluation_free(evaluation);
    evaluation = NULL;
    for (i = 0; i < PICTURES; i++)
        spoil(pictures[i]);
    assert_int_equal(serin_yolo_evaluate(yolo, path, NULL, &evaluation, &error), SERIN_UNSUPPORTED);
    assert_non_null(strstr(error.message, "not one of 7 pictures could be decoded"));
    assert_null(evaluation);
    buffer_done(&failures);
}

/* By number without a word: figures of another order of classes looked like those of a bad model. */
static void classes_matched_by_number_are_told(void **state)
{
    static const char other[] = "val: images\nnames: [kreis, quadrat, dreieck]\n";
    struct serin_evaluation *evaluation = NULL;
    char path[256];

    (void)state;
    open_model("detect.onnx");
    make_set();
    snprintf(path, sizeof(path), "%s/data.yaml", folder);
    assert_int_equal(serin_yolo_evaluate(yolo, path, NULL, &evaluation, NULL), SERIN_OK);
    assert_true(evaluation->classes_by_name);
    serin_evaluation_free(evaluation);
    assert_int_equal(file_write(path, other, strlen(other), NULL), SERIN_OK);
    assert_int_equal(serin_yolo_evaluate(yolo, path, NULL, &evaluation, NULL), SERIN_OK);
    assert_false(evaluation->classes_by_name);
    assert_one(evaluation->box.map50_95, 1e-9); /* the order is the same */
    serin_evaluation_free(evaluation);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, new_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(boxes_that_are_all_found),
        WITH_FOLDER(masks_that_are_all_found),
        WITH_FOLDER(keypoints_that_are_all_found),
        WITH_FOLDER(turned_boxes_that_are_all_found),
        WITH_FOLDER(classes_by_folder),
        cmocka_unit_test(the_shorter_side_is_rounded_up_as_in_val),
        WITH_FOLDER(coco_is_what_yolo_val_and_pycocotools_say),
        WITH_FOLDER(damaged_pictures_are_counted_and_left_out),
        WITH_FOLDER(classes_matched_by_number_are_told),
        WITH_FOLDER(a_part_of_the_pictures_evenly_chosen),
        WITH_FOLDER(it_stops_when_told_and_says_which_file_is_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
