/*
 * predict_test.c - what the golden files do not ask: batches, threads, options, sidecars, providers, errors.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/predict.c"

#include "base/file.h"
#include "base/sanitizers.h"

#include <math.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define PICTURES 5
#define THREADS  4
#define ROUNDS   6

static char *path_of(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/examples/models/%s", getenv("SERIN_SOURCE_DIR"), name);
    return path;
}

static struct serin_yolo *open_model(const char *name)
{
    struct serin_yolo *yolo = NULL;
    struct serin_error error;

    if (serin_yolo_open(path_of(name), NULL, &yolo, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return yolo;
}

/* Pictures of several sizes with something on them, made here. */
static void make_pictures(struct serin_image *pictures)
{
    static const int sizes[PICTURES][2] = {{200, 150}, {97, 211}, {320, 240}, {64, 64}, {33, 500}};
    int i, x, y;

    for (i = 0; i < PICTURES; i++) {
        int width = sizes[i][0], height = sizes[i][1];

        pictures[i] = (struct serin_image){.width = width, .height = height, .stride_bytes = (size_t)width * 3 + 5};
        pictures[i].pixels = calloc((size_t)height, pictures[i].stride_bytes);
        assert_non_null(pictures[i].pixels);
        for (y = 0; y < height; y++)
            for (x = 0; x < width; x++) {
                uint8_t *pixel = pictures[i].pixels + (size_t)y * pictures[i].stride_bytes + (size_t)x * 3;
                int dx = x - width / 2, dy = y - height / 3, radius = width / 4;

                pixel[0] = (uint8_t)(dx * dx + dy * dy < radius * radius ? 220 : 40 + (x * y) % 50);
                pixel[1] = (uint8_t)(y > height * 2 / 3 && x > width / 3 ? 200 : 60);
                pixel[2] = (uint8_t)((x * 7 + y * 3 + i) % 90);
            }
    }
}

static void free_pictures(struct serin_image *pictures)
{
    int i;

    for (i = 0; i < PICTURES; i++)
        free(pictures[i].pixels);
}

static char *json_of(struct serin_yolo *yolo, const struct serin_image *picture,
                     const struct serin_predict_options *options)
{
    struct serin_result *result = NULL;
    struct serin_error error;
    char *json = NULL;

    if (serin_yolo_predict(yolo, picture, 1, options, &result, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(serin_result_to_json(result, &json, NULL), SERIN_OK);
    serin_result_free(result);
    return json;
}

static void a_batch_gives_what_single_pictures_give(void **state)
{
    static const char *const models[] = {"street-person/v1.0.0.onnx", "miniature/detect.onnx",
                                         "miniature/segment.onnx",    "miniature/pose.onnx",
                                         "miniature/classify.onnx",   "miniature/obb.onnx"};
    struct serin_predict_options options;
    struct serin_image pictures[PICTURES];
    size_t m, i, d;

    (void)state;
    make_pictures(pictures);
    serin_predict_options_init(&options);
    options.conf = 0.02f;
    options.rect = SERIN_RECT_OFF;
    for (m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
        struct serin_yolo *yolo = open_model(models[m]);
        struct serin_result *together[PICTURES];

        assert_int_equal(serin_yolo_predict(yolo, pictures, PICTURES, &options, together, NULL), SERIN_OK);
        for (i = 0; i < PICTURES; i++) {
            struct serin_result *alone = NULL;

            assert_int_equal(serin_yolo_predict(yolo, &pictures[i], 1, &options, &alone, NULL), SERIN_OK);
            assert_int_equal(together[i]->count, alone->count);
            assert_int_equal(together[i]->width, pictures[i].width);
            for (d = 0; d < alone->count; d++) {
                assert_int_equal(together[i]->detections[d].class_id, alone->detections[d].class_id);
                /* another batch size may sum in another order */
                assert_true(fabsf(together[i]->detections[d].confidence - alone->detections[d].confidence) < 1e-4f);
                assert_true(fabsf(together[i]->detections[d].x1 - alone->detections[d].x1) < 0.05f);
            }
            serin_result_free(alone);
            serin_result_free(together[i]);
        }
        serin_yolo_close(yolo);
    }
    free_pictures(pictures);
}

/* As Ultralytics, and as serin/yolo.h warns. */
static void mixed_shapes_in_one_call_are_padded_to_the_square(void **state)
{
    struct serin_yolo *yolo = open_model("miniature/detect.onnx");
    struct serin_result *together[2], *square = NULL, *alone = NULL;
    struct serin_predict_options options;
    struct serin_image pictures[PICTURES];
    bool differs = false;
    size_t i, d;

    (void)state;
    make_pictures(pictures);
    assert_int_equal(serin_yolo_predict(yolo, pictures, 2, NULL, together, NULL), SERIN_OK);
    serin_predict_options_init(&options);
    options.rect = SERIN_RECT_OFF;
    for (i = 0; i < 2; i++) {
        assert_int_equal(serin_yolo_predict(yolo, &pictures[i], 1, &options, &square, NULL), SERIN_OK);
        assert_int_equal(serin_yolo_predict(yolo, &pictures[i], 1, NULL, &alone, NULL), SERIN_OK);
        assert_int_equal(together[i]->count, square->count);
        for (d = 0; d < square->count; d++) {
            assert_true(fabsf(together[i]->detections[d].confidence - square->detections[d].confidence) < 1e-4f);
            differs |= d >= alone->count ||
                       fabsf(together[i]->detections[d].confidence - alone->detections[d].confidence) > 1e-3f;
        }
        serin_result_free(square);
        serin_result_free(alone);
        serin_result_free(together[i]);
    }
    assert_true(differs);
    free_pictures(pictures);
    serin_yolo_close(yolo);
}

struct worker {
    struct serin_yolo *yolo;
    const struct serin_image *pictures;
    char *const *expected;
    int first, wrong;
};

static void *predict_again_and_again(void *argument)
{
    struct worker *worker = argument;
    int i;

    for (i = 0; i < ROUNDS * PICTURES; i++) {
        int p = (worker->first + i) % PICTURES;
        char *json = json_of(worker->yolo, &worker->pictures[p], NULL);

        worker->wrong += strcmp(json, worker->expected[p]) != 0;
        free(json);
    }
    return NULL;
}

static void many_threads_share_one_model(void **state)
{
    struct serin_yolo *yolo = open_model("miniature/segment.onnx");
    struct serin_image pictures[PICTURES];
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    char *expected[PICTURES];
    int i;

    (void)state;
    make_pictures(pictures);
    for (i = 0; i < PICTURES; i++)
        expected[i] = json_of(yolo, &pictures[i], NULL);
    for (i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){yolo, pictures, expected, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, predict_again_and_again, &workers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    for (i = 0; i < PICTURES; i++)
        free(expected[i]);
    free_pictures(pictures);
    serin_yolo_close(yolo);
}

static void wrong_options_are_named(void **state)
{
    struct serin_yolo *yolo = open_model("miniature/pose.onnx");
    struct serin_image pictures[PICTURES], bad;
    struct serin_predict_options options;
    struct serin_result *result = NULL;
    const int32_t class_id = 1000000;
    struct serin_error error;

    (void)state;
    make_pictures(pictures);
#define REFUSED(change, words)                                                                                         \
    do {                                                                                                               \
        serin_predict_options_init(&options);                                                                          \
        change;                                                                                                        \
        assert_int_equal(serin_yolo_predict(yolo, pictures, 1, &options, &result, &error), SERIN_INVALID);             \
        if (!strstr(error.message, words))                                                                             \
            fail_msg("'%s' lacks '%s'", error.message, words);                                                         \
    } while (0)
    REFUSED(options.conf = 1.5f, "conf is 1.5");
    REFUSED(options.conf = NAN, "conf is");
    REFUSED(options.iou = -1, "iou is -1");
    REFUSED(options.max_det = 0, "max_det is 0");
    REFUSED((options.classes = &class_id, options.class_count = 1), "class 1000000 is not one of the model's");
    REFUSED(options.input_height = 64, "both sides");
    REFUSED((options.input_height = options.input_width = 100000), "100000");
    if (!yolo->info.dynamic_size) {
        REFUSED((options.input_height = options.input_width = 32), "fixed at");
        REFUSED(options.rect = SERIN_RECT_ON, "rect needs a model of dynamic size");
    }
    assert_int_equal(serin_yolo_predict(yolo, pictures, 0, NULL, &result, &error), SERIN_INVALID);
    assert_int_equal(serin_yolo_predict(yolo, pictures, 65, NULL, &result, &error), SERIN_INVALID);
    bad = pictures[0];
    bad.stride_bytes = 10;
    assert_int_equal(serin_yolo_predict(yolo, &bad, 1, NULL, &result, &error), SERIN_INVALID);
    bad.width = 0;
    assert_int_equal(serin_yolo_predict(yolo, &bad, 1, NULL, &result, &error), SERIN_INVALID);
    assert_null(result);
    free_pictures(pictures);
    serin_yolo_close(yolo);
}

/* Without a GPU: with one, all of these run there. */
static void auto_is_the_fastest_that_can(void **state)
{
    static const struct {
        const char *file, *provider, *why;
    } rows[] = {
        {"examples/models/miniature/detect.onnx", "onednn", ""},
        {"examples/models/miniature/detect-nms.onnx", "cpu", /* refused as it is read */
         "oneDNN cannot run this network (the provider cpu may): node '/NonZero': the operator NonZero is not known "
         "here"},
        {"tests/golden/unplannable.onnx", "cpu", /* refused as it is planned, which is at the first prediction */
         "oneDNN cannot run this network (the provider cpu may): node 'by_the_picture' (Reshape): input 1 is not known "
         "before the picture is, but a size or place depends on it"},
        {"tests/golden/left_to_plain.onnx", "cpu", /* it could, but who would wait */
         "oneDNN cannot run this network (the provider cpu may): node 'conv_quant': there is no fast ConvInteger of "
         "this kind, and 58 million steps would be left to plain code, at most 17 may be"},
    };
    struct serin_open_options options;
    struct serin_error error = {.message = ""};
    struct serin_result *results[PICTURES];
    struct serin_image pictures[PICTURES];
    char path[4096];
    size_t i;

    (void)state;
    serin_open_options_init(&options);
    options.threads = 1;
    make_pictures(pictures);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct serin_yolo *yolo = NULL;
        const struct serin_yolo_info *info;

        options.provider = "auto";
        snprintf(path, sizeof(path), "%s/%s", getenv("SERIN_SOURCE_DIR"), rows[i].file);
        assert_int_equal(serin_yolo_open(path, &options, &yolo, &error), SERIN_OK);
        assert_string_equal(error.message, ""); /* what did not matter is not reported */
        info = serin_yolo_get_info(yolo);
        if (strcmp(info->provider, "cuda") != 0 && strcmp(info->provider, "tensorrt") != 0) {
            assert_string_equal(info->provider, rows[i].provider);
            assert_string_equal(info->provider_why, rows[i].why);
        }
        assert_int_equal(serin_yolo_predict(yolo, pictures, 1, NULL, results, &error), SERIN_OK);
        serin_result_free(results[0]);
        serin_yolo_close(yolo);
        options.provider = "onednn"; /* who asks for it by name is refused */
        assert_int_equal(serin_yolo_open(path, &options, &yolo, &error) == SERIN_OK, !*rows[i].why);
        if (*rows[i].why)
            assert_non_null(strstr(error.message, rows[i].why));
        else
            serin_yolo_close(yolo);
        error.message[0] = '\0';
    }
    free_pictures(pictures);
}

static void a_missing_provider_is_said(void **state)
{
    struct serin_open_options options;
    struct serin_yolo *yolo = NULL;
    struct serin_error error;

    (void)state;
    serin_open_options_init(&options);
    options.provider = "abacus";
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "unknown provider 'abacus'"));
    options.provider = "cuda";
    if (serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error) != SERIN_OK) {
        assert_int_equal(error.code, SERIN_ENGINE);
        assert_non_null(strstr(error.message, "CUDA provider"));
    } else {
        serin_yolo_close(yolo);
    }
    options.provider = "cpu";
    options.threads = 1;
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_OK);
    assert_int_equal(serin_yolo_get_info(yolo)->threads, 1);
    assert_string_equal(serin_yolo_get_info(yolo)->provider_why, "");
    serin_yolo_close(yolo);
    options.threads = 5000; /* beyond 4 for each of the 1024 processors that can be counted */
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "5000 threads: 0 to "));
    options.threads = -1;
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_INVALID);
}

static void a_sidecar_speaks_over_the_model(void **state)
{
    char path[] = "/tmp/serin-sidecar-XXXXXX";
    struct serin_open_options options;
    struct serin_yolo *yolo = open_model("miniature/detect.onnx");
    int class_count = serin_yolo_get_info(yolo)->class_count, i, fd = mkstemp(path);
    struct serin_error error;
    FILE *file;

    (void)state;
    serin_yolo_close(yolo);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    fprintf(file, "names:\n");
    for (i = 0; i < class_count; i++)
        fprintf(file, "  %d: other %d\n", i, i);
    fclose(file);
    serin_open_options_init(&options);
    options.sidecar = path;
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_OK);
    assert_string_equal(serin_yolo_get_info(yolo)->class_names[class_count - 1] + 6, class_count == 3 ? "2" : "1");
    serin_yolo_close(yolo);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "names: [one, two, three, four, five, six, seven]\n");
    fclose(file);
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_UNSUPPORTED);
    assert_non_null(strstr(error.message, "with 7 classes"));
    remove(path);
    assert_int_equal(serin_yolo_open(path_of("miniature/detect.onnx"), &options, &yolo, &error), SERIN_NOT_FOUND);
}

/* Makes the dimensions of an output free: each DIMENSION_VALUE becomes a denotation of as many bytes, which says
 * nothing. All lengths on the way are below 128, and so are bytes. */
static void free_dimensions(uint8_t *bytes, size_t size_bytes, const char *name)
{
    const size_t length = strlen(name);
    uint8_t pattern[32] = {0x0a, (uint8_t)length}, *at, *end;

    memcpy(pattern + 2, name, length);
    pattern[2 + length] = 0x12; /* ValueInfoProto: the name, then the type */
    at = memmem(bytes, size_bytes, pattern, length + 3);
    assert_non_null(at);
    at += length + 8; /* past the lengths of two types and the element */
    assert_int_equal(*at, 0x12);
    for (end = at + 2 + at[1], at += 2; at < end; at += 2 + at[1]) {
        assert_int_equal(*at, 0x0a);
        if (at[1] == 0 || at[2] != 0x08)
            continue;
        at[2] = 0x1a;
        memset(at + 3, 'x', at[1] - 1u);
        at[3] = (uint8_t)(at[1] - 2);
    }
}

/* As an export with simplify=False leaves them: only a run tells the head. */
static void outputs_of_free_shape_are_recognised(void **state)
{
    static const struct {
        const char *file, *outputs[2];
    } rows[] = {{"miniature/detect.onnx", {"output0"}},    {"miniature/segment.onnx", {"output0", "output1"}},
                {"miniature/pose.onnx", {"output0"}},      {"miniature/obb.onnx", {"output0"}},
                {"miniature/detect-v5.onnx", {"output0"}}, {"miniature/end-to-end.onnx", {"output0"}},
                {"miniature/classify.onnx", {"output0"}}};
    static const char *const providers[] = {"cpu", "onednn"};
    struct serin_image pictures[PICTURES];
    size_t i, k;

    (void)state;
    make_pictures(pictures);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (k = 0; k < sizeof(providers) / sizeof(providers[0]); k++) {
            struct serin_yolo *said = NULL, *free_shape = NULL;
            struct serin_open_options options;
            struct serin_error error;
            char *expected, *json;
            size_t size_bytes, o;
            uint8_t *bytes;

            serin_open_options_init(&options);
            options.provider = providers[k];
            assert_int_equal(file_read(path_of(rows[i].file), 1 << 24, &bytes, &size_bytes, &error), SERIN_OK);
            assert_int_equal(serin_yolo_open_memory(bytes, size_bytes, &options, &said, &error), SERIN_OK);
            for (o = 0; o < 2 && rows[i].outputs[o]; o++)
                free_dimensions(bytes, size_bytes, rows[i].outputs[o]);
            if (serin_yolo_open_memory(bytes, size_bytes, &options, &free_shape, &error) != SERIN_OK)
                fail_msg("%s, %s: %s", rows[i].file, providers[k], error.message);
            assert_string_equal(said->info.head, free_shape->info.head);
            expected = json_of(said, &pictures[2], NULL);
            json = json_of(free_shape, &pictures[2], NULL);
            assert_string_equal(json, expected);
            free(expected);
            free(json);
            free(bytes);
            serin_yolo_close(said);
            serin_yolo_close(free_shape);
        }
    free_pictures(pictures);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The model has about 900 KB of weights: one session forgotten in each round would show as some 50 MB. */
static void opening_again_and_again_keeps_no_memory(void **state)
{
    long before = 0, more;
    int i;

    (void)state;
    for (i = 0; i < 60; i++) {
        if (i == 10)
            before = resident_kib();
        serin_yolo_close(open_model("miniature/detect.onnx"));
    }
    more = resident_kib() - before;
    if (!ADDRESS_SANITIZED && more > 20000) /* a sanitizer's quarantine keeps what was freed */
        fail_msg("%ld KiB more after 50 openings", more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_gives_what_single_pictures_give),
        cmocka_unit_test(mixed_shapes_in_one_call_are_padded_to_the_square),
        cmocka_unit_test(many_threads_share_one_model),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_missing_provider_is_said),
        cmocka_unit_test(auto_is_the_fastest_that_can),
        cmocka_unit_test(a_sidecar_speaks_over_the_model),
        cmocka_unit_test(outputs_of_free_shape_are_recognised),
        cmocka_unit_test(opening_again_and_again_keeps_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
