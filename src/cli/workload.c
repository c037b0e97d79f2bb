/*
 * workload.c - worker threads that decode and predict until the time is up.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each thread keeps every duration it saw (up to a limit), so quantiles are exact. The encoded pictures are in memory
 * before the clock starts; the first rounds of each thread do not count.
 */
#include "cli/workload.h"

#include "base/clock.h"
#include "base/file.h"
#include "cli/sources.h"
#include "cli/terminal.h"
#include "image/decode.h"
#include "image/encode.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MAX_PICTURE_BYTES_IN_ALL (1ull << 30)
#define MAX_SAMPLES              1000000u /* of a thread and stage; later ones are not kept */
#define WARM_UP_ROUNDS           3
#define SYNTHETIC_WIDTH          1280
#define SYNTHETIC_HEIGHT         720

struct picture {
    uint8_t *bytes;
    size_t size;
};

struct samples {
    float *ms;
    size_t count, capacity;
};

struct run;

struct worker {
    struct run *run;
    pthread_t thread;
    size_t number, pictures;
    struct samples samples[STAGES];
    enum serin_errc rc;
    struct serin_error error;
};

struct run {
    const struct workload *settings;
    struct picture *pictures;
    size_t picture_count, pictures_failed, bytes_in_all;
    pthread_barrier_t start, end;
    atomic_bool stop;
    uint64_t deadline_ns; /* written before the start barrier opens */
    struct worker *workers;
};

/* ---- pictures ---- */

static enum serin_errc add_picture(struct run *run, uint8_t *bytes, size_t size)
{
    run->pictures[run->picture_count++] = (struct picture){bytes, size};
    run->bytes_in_all += size;
    return SERIN_OK;
}

/* A sky, a ground with texture and some blocks: enough detail for a JPEG of ordinary size. */
static enum serin_errc make_picture(struct run *run, struct serin_error *error)
{
    struct serin_image image = {0};
    uint8_t *bytes = NULL;
    uint32_t noise = 1;
    enum serin_errc rc;
    size_t size = 0;
    int x, y, channel;

    rc = image_alloc(SYNTHETIC_WIDTH, SYNTHETIC_HEIGHT, &image, error);
    if (rc != SERIN_OK)
        return rc;
    for (y = 0; y < SYNTHETIC_HEIGHT; y++) {
        for (x = 0; x < SYNTHETIC_WIDTH; x++) {
            uint8_t *pixel = image.pixels + (size_t)y * image.stride_bytes + (size_t)x * 3;
            int block = (x / 90 + y / 70) % 3 * 25;

            noise = noise * 1664525u + 1013904223u;
            for (channel = 0; channel < 3; channel++)
                pixel[channel] = (uint8_t)(60 + y / 8 + block + channel * 10 + (int)(noise >> 28));
        }
    }
    rc = image_encode_jpeg(&image, 90, &bytes, &size, error);
    serin_image_free(&image);
    return rc == SERIN_OK ? add_picture(run, bytes, size) : rc;
}

/* Reads a file and decodes it once, for nothing but to know that it can be measured. */
static enum serin_errc load_picture(struct run *run, const char *path, struct serin_error *error)
{
    struct serin_image image = {0};
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    size_t size;

    rc = file_read(path, IMAGE_DEFAULT_MAX_BYTES, &bytes, &size, error);
    if (rc == SERIN_OK)
        rc = serin_image_decode(bytes, size, NULL, &image, error);
    serin_image_free(&image);
    if (rc == SERIN_OK)
        return add_picture(run, bytes, size);
    free(bytes);
    run->pictures_failed++;
    terminal_complain_of(path, error);
    return rc;
}

static enum serin_errc load_pictures(struct run *run, struct serin_error *error)
{
    const char *images = run->settings->images;
    struct sources sources = {0};
    enum serin_errc rc;
    size_t i;

    run->pictures = calloc(WORKLOAD_MAX_PICTURES, sizeof(*run->pictures));
    if (!run->pictures)
        return error_set(error, SERIN_NOMEM, "no memory for %d pictures", WORKLOAD_MAX_PICTURES);
    if (!images)
        return make_picture(run, error);
    rc = sources_add(&sources, images, error);
    if (rc == SERIN_OK && (sources.count == 0 || sources.count > WORKLOAD_MAX_PICTURES))
        rc = error_set(error, SERIN_LIMIT, "--images: %s is %zu pictures, 1 to %d can be measured", images,
                       sources.count, WORKLOAD_MAX_PICTURES);
    for (i = 0; rc == SERIN_OK && i < sources.count; i++) {
        if (load_picture(run, sources.paths[i], error) == SERIN_NOMEM)
            rc = SERIN_NOMEM;
        else if (run->bytes_in_all > MAX_PICTURE_BYTES_IN_ALL)
            rc = error_set(error, SERIN_LIMIT, "--images: %s holds more than %llu bytes, which is the limit", images,
                           MAX_PICTURE_BYTES_IN_ALL);
    }
    if (rc == SERIN_OK && run->picture_count == 0)
        rc = error_set(error, SERIN_CORRUPT, "--images: %s: not one of %zu pictures can be decoded", images,
                       sources.count);
    sources_done(&sources);
    return rc;
}

/* ---- measuring ---- */

static void keep(struct samples *samples, double ms)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity ? samples->capacity * 2 : 1024;
        float *more = capacity <= MAX_SAMPLES * 2 ? realloc(samples->ms, capacity * sizeof(*more)) : NULL;

        if (!more)
            return;
        samples->ms = more;
        samples->capacity = capacity;
    }
    samples->ms[samples->count++] = (float)ms;
}

/* One call: batch pictures decoded and predicted. With worker->samples only if counted. */
static enum serin_errc run_round(struct worker *worker, size_t round, bool counted)
{
    struct run *run = worker->run;
    size_t batch = (size_t)run->settings->batch, decoded = 0, i;
    struct serin_image images[WORKLOAD_MAX_BATCH] = {0};
    struct serin_result *results[WORKLOAD_MAX_BATCH] = {0};
    struct serin_predict_options predict_options;
    double decode_ms[WORKLOAD_MAX_BATCH];
    uint64_t start = clock_now_ns();
    enum serin_errc rc = SERIN_OK;

    serin_predict_options_init(&predict_options);
    predict_options.input_height = run->settings->imgsz.height;
    predict_options.input_width = run->settings->imgsz.width;
    for (; rc == SERIN_OK && decoded < batch; decoded += rc == SERIN_OK) {
        /* The workers start at different pictures, so that they do not decode in step. */
        size_t which = (round * batch + decoded + worker->number * 7) % run->picture_count;
        uint64_t before = clock_now_ns();

        rc = serin_image_decode(run->pictures[which].bytes, run->pictures[which].size, NULL, &images[decoded],
                                &worker->error);
        decode_ms[decoded] = clock_ms_since(before);
    }
    if (rc == SERIN_OK)
        rc = serin_yolo_predict(run->settings->yolo, images, batch, &predict_options, results, &worker->error);
    if (rc == SERIN_OK && counted) {
        keep(&worker->samples[STAGE_WHOLE], clock_ms_since(start));
        for (i = 0; i < batch; i++) {
            keep(&worker->samples[STAGE_DECODE], decode_ms[i]);
            keep(&worker->samples[STAGE_PREPROCESS], results[i]->speed.preprocess_ms);
            keep(&worker->samples[STAGE_INFERENCE], results[i]->speed.inference_ms);
            keep(&worker->samples[STAGE_POSTPROCESS], results[i]->speed.postprocess_ms);
        }
        worker->pictures += batch;
    }
    for (i = 0; i < batch; i++) {
        serin_result_free(results[i]);
        serin_image_free(&images[i]);
    }
    return rc;
}

static void *work(void *given)
{
    struct worker *worker = given;
    struct run *run = worker->run;
    size_t round;

    for (round = 0; worker->rc == SERIN_OK && round < WARM_UP_ROUNDS; round++)
        worker->rc = run_round(worker, round, false);
    pthread_barrier_wait(&run->start); /* all are warm */
    pthread_barrier_wait(&run->start); /* the deadline is set */
    while (worker->rc == SERIN_OK && !atomic_load_explicit(&run->stop, memory_order_relaxed)) {
        worker->rc = run_round(worker, round++, true);
        if (worker->rc != SERIN_OK || clock_now_ns() >= run->deadline_ns)
            atomic_store_explicit(&run->stop, true, memory_order_relaxed);
    }
    pthread_barrier_wait(&run->end);
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) / 1e6;
}

/* Runs all workers. The first failure of any of them is the result. */
static enum serin_errc measure(struct run *run, struct outcome *ret, struct serin_error *error)
{
    size_t count = (size_t)run->settings->concurrency, i;
    enum serin_errc rc = SERIN_OK;
    double cpu_start;
    uint64_t start;

    pthread_barrier_init(&run->start, NULL, (unsigned)count + 1);
    pthread_barrier_init(&run->end, NULL, (unsigned)count + 1);
    for (i = 0; i < count; i++) {
        run->workers[i].run = run;
        run->workers[i].number = i;
        /* Those already started wait at a barrier that will never open; ending the program is all that is left to do.
         */
        if (pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i]) != 0) {
            terminal_complain("bench: thread %zu of %zu could not be started", i + 1, count);
            exit(CLI_FAILED);
        }
    }
    pthread_barrier_wait(&run->start);
    cpu_start = cpu_seconds();
    start = clock_now_ns();
    run->deadline_ns = start + (uint64_t)(run->settings->seconds * 1e9);
    pthread_barrier_wait(&run->start);
    pthread_barrier_wait(&run->end);
    ret->wall_s = clock_ms_since(start) / 1000;
    ret->cpu_s = cpu_seconds() - cpu_start;
    for (i = 0; i < count; i++) {
        pthread_join(run->workers[i].thread, NULL);
        ret->pictures += run->workers[i].pictures;
        if (run->workers[i].rc != SERIN_OK && rc == SERIN_OK) {
            rc = run->workers[i].rc;
            *error = run->workers[i].error;
        }
    }
    pthread_barrier_destroy(&run->start);
    pthread_barrier_destroy(&run->end);
    return rc;
}

/* ---- adding up ---- */

static int by_size(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;

    return (left > right) - (left < right);
}

/* The nearest-rank quantile of sorted values. */
static double quantile(const float *sorted, size_t count, double share)
{
    size_t rank = (size_t)(share * (double)count + 0.999999);

    return (double)sorted[rank > count ? count - 1 : rank ? rank - 1 : 0];
}

static enum serin_errc summarise(const struct run *run, enum stage stage, struct quantiles *ret,
                                 struct serin_error *error)
{
    size_t workers = (size_t)run->settings->concurrency, count = 0, i;
    double sum = 0;
    float *all;

    for (i = 0; i < workers; i++)
        count += run->workers[i].samples[stage].count;
    if (count == 0)
        return error_set(error, SERIN_LIMIT, "nothing was measured in %g seconds", run->settings->seconds);
    all = malloc(count * sizeof(*all));
    if (!all)
        return error_set(error, SERIN_NOMEM, "no memory for %zu durations", count);
    count = 0;
    for (i = 0; i < workers; i++) {
        const struct samples *samples = &run->workers[i].samples[stage];

        if (samples->count)
            memcpy(all + count, samples->ms, samples->count * sizeof(*all));
        count += samples->count;
    }
    qsort(all, count, sizeof(*all), by_size);
    for (i = 0; i < count; i++)
        sum += (double)all[i];
    *ret = (struct quantiles){sum / (double)count, quantile(all, count, .5), quantile(all, count, .9),
                              quantile(all, count, .99), (double)all[count - 1]};
    free(all);
    return SERIN_OK;
}

static void run_done(struct run *run)
{
    size_t i;
    int stage;

    for (i = 0; run->workers && i < (size_t)run->settings->concurrency; i++)
        for (stage = 0; stage < STAGES; stage++)
            free(run->workers[i].samples[stage].ms);
    for (i = 0; i < run->picture_count; i++)
        free(run->pictures[i].bytes);
    free(run->workers);
    free(run->pictures);
}

enum serin_errc workload_measure(const struct workload *workload, struct outcome *ret, struct serin_error *error)
{
    struct run run = {.settings = workload};
    struct outcome outcome = {0};
    enum serin_errc rc;
    int stage;

    rc = load_pictures(&run, error);
    outcome.pictures_failed = run.pictures_failed;
    if (rc == SERIN_OK) {
        run.workers = calloc((size_t)workload->concurrency, sizeof(*run.workers));
        rc = run.workers ? measure(&run, &outcome, error)
                         : error_set(error, SERIN_NOMEM, "no memory for %d threads", workload->concurrency);
    }
    for (stage = 0; rc == SERIN_OK && stage < STAGES; stage++)
        rc = summarise(&run, (enum stage)stage, &outcome.stages[stage], error);
    run_done(&run);
    if (rc == SERIN_OK)
        *ret = outcome;
    return rc;
}
