/*
 * engine_onednn_test.c - one engine for many threads and many shapes, and what it refuses.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine_onednn.c"

#include "engine/test_graphs.h"

#include <dirent.h>
#include <math.h>

enum { SIDE = 32, MAX_BATCH = MAX_PLANS + 4 };

static enum serin_errc open_model(const char *name, const char *provider, int threads, struct engine **ret,
                                  struct serin_error *error)
{
    const struct engine_options options = {.provider = provider, .threads = threads};
    size_t size;
    uint8_t *bytes = read_model_bytes(name, &size);
    const enum serin_errc rc = engine_open(bytes, size, &options, ret, error);

    free(bytes);
    return rc;
}

/* Pictures of this batch; the same numbers for the same batch. */
static float *pictures(int64_t batch)
{
    const size_t count = (size_t)(batch * 3 * SIDE * SIDE);
    float *values = malloc(count * sizeof(*values));
    uint32_t state = (uint32_t)batch;
    size_t i;

    assert_non_null(values);
    for (i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / (float)(1u << 24);
    }
    return values;
}

static double sum_with(const struct engine *engine, int64_t batch, int threads)
{
    struct tensor input = {.type = TENSOR_F32, .rank = 4, .shape = {batch, 3, SIDE, SIDE}};
    struct engine_outputs outputs;
    struct serin_error error;
    double sum = 0.0;
    int64_t count = 1, i;
    float *values = pictures(batch);

    input.values = values;
    if (engine_run(engine, &input, NULL, threads, &outputs, &error) != SERIN_OK) {
        free(values);
        fprintf(stderr, "%s\n", error.message);
        return -1.0;
    }
    for (i = 0; i < outputs.tensors[0].rank; i++)
        count *= outputs.tensors[0].shape[i];
    if (outputs.tensors[0].shape[0] == batch)
        for (i = 0; i < count; i++)
            sum += (double)((const float *)outputs.tensors[0].values)[i] * (double)(i % 7 + 1);
    engine_outputs_done(engine, &outputs);
    free(values);
    return sum;
}

static double sum_of_run(const struct engine *engine, int64_t batch)
{
    return sum_with(engine, batch, engine->threads);
}

struct runner {
    const struct engine *engine;
    const double *want;
    int first, failures;
};

static void *run_many(void *user)
{
    struct runner *runner = user;
    int i;

    for (i = 0; i < 24; i++) {
        const int batch = (runner->first + i) % 6 + 1;

        runner->failures += sum_of_run(runner->engine, batch) != runner->want[batch];
    }
    return NULL;
}

static void test_threads_share_an_engine(void **state)
{
    struct runner runners[4];
    struct serin_error error;
    struct engine *engine = NULL;
    pthread_t threads[4];
    double want[7];
    int i;

    (void)state;
    if (open_model("miniature/detect", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    for (i = 1; i < 7; i++) {
        want[i] = sum_of_run(engine, i);
        assert_true(want[i] > 0.0);
    }
    engine_close(engine);
    if (open_model("miniature/detect", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    for (i = 0; i < 4; i++) {
        runners[i] = (struct runner){engine, want, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &runners[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(runners[i].failures, 0);
    }
    engine_close(engine);
}

/* OpenMP's threads belong to those that use them, so that only a thread of its own shows whether a run uses any. */
struct sole {
    const struct engine *engine;
    int threads, more_threads;
    double sum;
};

static int count_threads(void)
{
    struct dirent **entries;
    int count = scandir("/proc/self/task", &entries, NULL, NULL), i;

    assert_true(count > 2);
    for (i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count;
}

static void *run_sole(void *user)
{
    struct sole *sole = user;
    const int before = count_threads();

    sole->sum = sum_with(sole->engine, 1, sole->threads);
    sole->more_threads = count_threads() - before;
    return NULL;
}

static void test_a_run_takes_the_threads_that_it_is_given(void **state)
{
    struct serin_error error;
    struct engine *engine = NULL;
    double want;
    int threads;

    (void)state;
    assert_int_equal(open_model("miniature/detect", "onednn", 4, &engine, &error), SERIN_OK);
    assert_int_equal(engine->threads, 4);
    assert_int_equal(engine->least_threads, 1);
    want = sum_with(engine, 1, 4);
    for (threads = 1; threads <= 4; threads++) {
        struct sole sole = {engine, threads, -1, 0.0};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, run_sole, &sole), 0);
        pthread_join(thread, NULL);
        assert_true(fabs(sole.sum - want) <= 1e-5 * fabs(want));
        assert_true(sole.more_threads < threads);
    }
    engine_close(engine);
}

/* More shapes than there is room for plans: the oldest goes, and is made again when its shape comes back. */
static void test_plans_are_bounded(void **state)
{
    const struct network *network;
    struct serin_error error;
    struct engine *engine = NULL;
    double first;
    int i;

    (void)state;
    if (open_model("miniature/detect", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    first = sum_of_run(engine, 1);
    for (i = 2; i <= MAX_BATCH; i++)
        assert_true(sum_of_run(engine, i) > 0.0);
    network = engine->state;
    for (i = 0; i < MAX_PLANS; i++) {
        assert_non_null(network->plans[i].plan);
        assert_int_not_equal(network->plans[i].shapes[0][0], 1);
        assert_int_equal(network->plans[i].leased_count, 0);
    }
    assert_true(sum_of_run(engine, 1) == first);
    engine_close(engine);
}

static uint64_t free_bytes_of(const struct network *network)
{
    uint64_t bytes = 0;
    int i;

    for (i = 0; i < MAX_PLANS; i++) {
        const struct lease *lease;

        for (lease = network->plans[i].free; lease; lease = lease->next)
            bytes += lease->bytes;
    }
    return bytes;
}

/* Outputs of many pictures are held at once, and of more sizes than are kept: what is held stays as it was, what is
 * not is kept within the bound, and a size that comes all the time finds a slot. */
static void test_free_slots_are_bounded(void **state)
{
    enum { HELD = 12, LARGEST = 1280 };
    struct tensor input = {.type = TENSOR_F32, .rank = 4, .shape = {1, 3, 0, 0}};
    float *values = calloc((size_t)3 * LARGEST * LARGEST, sizeof(*values));
    struct engine_outputs held[HELD];
    const struct network *network;
    const struct lease *last;
    struct engine *engine = NULL;
    struct serin_error error;
    uint64_t largest = 0;
    float before[HELD];
    int i;

    (void)state;
    assert_non_null(values);
    if (open_model("miniature/detect", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    network = engine->state;
    input.values = values;
    for (i = 0; i < HELD; i++) {
        input.shape[2] = input.shape[3] = LARGEST - 32 * (i / 2);
        if (engine_run(engine, &input, NULL, 1, &held[i], &error) != SERIN_OK)
            fail_msg("%s", error.message);
        before[i] = *(const float *)held[i].tensors[0].values;
        largest += ((const struct lease *)held[i].handles[0])->bytes;
    }
    assert_true(largest > 2 * KEPT_SLOT_BYTES); /* else the bound is not met here */
    assert_true(network->free_bytes == 0);
    for (i = 0; i < HELD; i++) {
        const struct lease *lease = held[i].handles[0];
        const uint64_t most = 2 * lease->bytes > KEPT_SLOT_BYTES ? 2 * lease->bytes : KEPT_SLOT_BYTES;

        assert_true(*(const float *)held[i].tensors[0].values == before[i]);
        engine_outputs_done(engine, &held[i]);
        assert_true(network->free_bytes == free_bytes_of(network) && network->free_bytes <= most);
    }
    input.shape[2] = input.shape[3] = LARGEST;
    assert_int_equal(engine_run(engine, &input, NULL, 1, &held[0], &error), SERIN_OK);
    last = held[0].handles[0];
    engine_outputs_done(engine, &held[0]);
    assert_int_equal(engine_run(engine, &input, NULL, 1, &held[0], &error), SERIN_OK);
    assert_ptr_equal(held[0].handles[0], last);
    engine_outputs_done(engine, &held[0]);
    engine_close(engine);
    free(values);
}

static void test_fp16_is_widened_and_narrowed(void **state)
{
    const int64_t side = 160, count = 3 * side * side;
    uint16_t *values = calloc((size_t)count, sizeof(*values));
    struct tensor input = {.type = TENSOR_F16, .rank = 4, .shape = {1, 3, side, side}, .values = values};
    struct engine_outputs ours, theirs;
    struct engine *engine = NULL, *other = NULL;
    struct serin_error error;
    int64_t i;

    (void)state;
    for (i = 0; i < count; i++)
        values[i] = half_from_float((float)(i * 7919 % 255) / 255.0f);
    assert_int_equal(open_model("miniature/detect-fp16", "onednn", 1, &engine, &error), SERIN_OK);
    assert_int_equal(open_model("miniature/detect-fp16", "cpu", 1, &other, &error), SERIN_OK);
    assert_int_equal(engine_run(engine, &input, NULL, 1, &ours, &error), SERIN_OK);
    assert_int_equal(engine_run(other, &input, NULL, 1, &theirs, &error), SERIN_OK);
    assert_int_equal(ours.tensors[0].type, TENSOR_F16);
    assert_int_equal(ours.tensors[0].rank, theirs.tensors[0].rank);
    for (i = 0; i < ours.tensors[0].shape[1] * ours.tensors[0].shape[2]; i++) {
        const float a = half_to_float(((const uint16_t *)ours.tensors[0].values)[i]);
        const float b = half_to_float(((const uint16_t *)theirs.tensors[0].values)[i]);

        assert_true(a - b < 0.5f && b - a < 0.5f); /* of 160 pixels: ONNX Runtime rounds each layer to fp16 */
    }
    engine_outputs_done(engine, &ours);
    engine_outputs_done(other, &theirs);
    engine_close(engine);
    engine_close(other);
    free(values);
}

static void test_what_it_refuses(void **state)
{
    struct serin_error error;
    struct engine *engine = NULL;

    (void)state;
    assert_int_equal(open_model("miniature/detect-nms", "onednn", 1, &engine, &error), SERIN_UNSUPPORTED);
    assert_string_equal(error.message, "oneDNN cannot run this network (the provider cpu may): node '/NonZero': the "
                                       "operator NonZero is not known here");
    assert_int_equal(open_model("miniature/detect", "onednn-int4", 1, &engine, &error), SERIN_INVALID);
    assert_string_equal(error.message,
                        "unknown provider 'onednn-int4': it is one of cpu|cuda|tensorrt|auto|onednn|onednn-bf16");
}

/* Bytes stand for value / 255, and have plans of their own beside those of the same shape for fp32. */
static void test_bytes_for_floats(void **state)
{
    struct tensor floats = {.type = TENSOR_F32, .rank = 4, .shape = {2, 3, SIDE, SIDE}}, bytes = floats;
    const size_t count = (size_t)2 * 3 * SIDE * SIDE;
    float *values = malloc(count * sizeof(*values));
    uint8_t *picture = malloc(count);
    struct engine_outputs want, got;
    struct engine *engine = NULL;
    struct serin_error error;
    int64_t outputs = 1, k;
    size_t i;

    (void)state;
    assert_true(values && picture);
    if (open_model("miniature/detect", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_true(engine->takes_bytes);
    for (i = 0; i < count; i++) {
        picture[i] = (uint8_t)(i * 7 % 251);
        values[i] = (float)picture[i] / 255.0f;
    }
    floats.values = values;
    bytes.type = TENSOR_U8, bytes.values = picture;
    if (engine_run(engine, &floats, NULL, 1, &want, &error) != SERIN_OK ||
        engine_run(engine, &bytes, NULL, 1, &got, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    for (k = 0; k < want.tensors[0].rank; k++) {
        assert_int_equal(got.tensors[0].shape[k], want.tensors[0].shape[k]);
        outputs *= want.tensors[0].shape[k];
    }
    for (k = 0; k < outputs; k++) {
        const float w = ((const float *)want.tensors[0].values)[k], g = ((const float *)got.tensors[0].values)[k];

        assert_true(fabsf(g - w) <= 1e-4f * (1.0f + fabsf(w)));
    }
    engine_outputs_done(engine, &want);
    engine_outputs_done(engine, &got);
    engine_close(engine);
    if (open_model("miniature/detect-uint8in", "onednn", 1, &engine, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_false(engine->takes_bytes); /* they are what they are there */
    engine_close(engine);
    free(values), free(picture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_for_floats),
        cmocka_unit_test(test_threads_share_an_engine),
        cmocka_unit_test(test_a_run_takes_the_threads_that_it_is_given),
        cmocka_unit_test(test_plans_are_bounded),
        cmocka_unit_test(test_free_slots_are_bounded),
        cmocka_unit_test(test_fp16_is_widened_and_narrowed),
        cmocka_unit_test(test_what_it_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
