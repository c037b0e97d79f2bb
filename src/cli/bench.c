/*
 * bench.c - serin bench: pictures per second and latencies by stage, of the whole machine and of a core.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each worker thread loops over decode and predict until the time is up and keeps every duration it saw (up to a
 * limit), so quantiles are exact. The encoded pictures are in memory before the clock starts; the first rounds of each
 * thread do not count.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/model.h"
#include "cli/sources.h"
#include "cli/terminal.h"
#include "image/decode.h"
#include "image/encode.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MAX_CONCURRENCY          256
#define MAX_BATCH                64
#define MAX_PICTURES             1000
#define MAX_PICTURE_BYTES_IN_ALL (1ull << 30)
#define MAX_SAMPLES              1000000u /* of a thread and stage; later ones are not kept */
#define WARM_UP_ROUNDS           3
#define SYNTHETIC_WIDTH          1280
#define SYNTHETIC_HEIGHT         720

struct bench_settings {
    struct model_settings model;
    const char *images;
    double seconds;
    struct cli_size imgsz;
    int batch, concurrency;
    bool json;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(bench_settings),
    {.name = "images",
     .value = "DIR|FILE",
     .type = CLI_TEXT,
     .offset = offsetof(struct bench_settings, images),
     .help = "pictures to work on, at most 1000; without this option, a synthetic JPEG of 1280 x 720"},
    {.name = "seconds",
     .value = "S",
     .type = CLI_REAL,
     .fallback = "5",
     .min = 0.01,
     .max = 86400,
     .offset = offsetof(struct bench_settings, seconds),
     .help = "how long to measure, after the warm-up"},
    {.name = "batch",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = MAX_BATCH,
     .offset = offsetof(struct bench_settings, batch),
     .help = "pictures of one call"},
    {.name = "concurrency",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = MAX_CONCURRENCY,
     .offset = offsetof(struct bench_settings, concurrency),
     .help = "threads that call the model at once; with more than one, --threads 1 is often the fastest"},
    {.name = "imgsz",
     .value = "N|H,W",
     .type = CLI_SIZE,
     .min = 1,
     .max = 8192,
     .offset = offsetof(struct bench_settings, imgsz),
     .help = "the network's input size in pixels, for models that take any; without this option, the model's own"},
    MODEL_ENGINE_OPTIONS(bench_settings),
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct bench_settings, json),
     .help = "print one JSON object"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin bench --model yolov8n.onnx", "latencies of one caller, all cores on each picture"},
    {"serin bench --model yolov8n.onnx --concurrency $(nproc) --threads 1 --images street/",
     "the most pictures per second on a CPU"},
    {0},
};

enum stage { STAGE_DECODE, STAGE_PREPROCESS, STAGE_INFERENCE, STAGE_POSTPROCESS, STAGE_WHOLE, STAGES };

static const char *const stage_names[STAGES] = {"decode", "preprocess", "inference", "postprocess", "whole"};

struct picture {
    uint8_t *bytes;
    size_t size;
};

struct samples {
    float *ms;
    size_t count, capacity;
};

struct bench;

struct worker {
    struct bench *bench;
    pthread_t thread;
    size_t number, pictures;
    struct samples samples[STAGES];
    enum serin_errc rc;
    struct serin_error error;
};

struct bench {
    const struct bench_settings *settings;
    struct serin_yolo *yolo;
    struct picture *pictures;
    size_t picture_count, bytes_in_all;
    pthread_barrier_t start, end;
    atomic_bool stop;
    uint64_t deadline_ns; /* written before the start barrier opens */
    struct worker *workers;
};

/* ---- pictures ---- */

static enum serin_errc add_picture(struct bench *bench, uint8_t *bytes, size_t size)
{
    bench->pictures[bench->picture_count++] = (struct picture){bytes, size};
    bench->bytes_in_all += size;
    return SERIN_OK;
}

/* A sky, a ground with texture and some blocks: enough detail for a JPEG of ordinary size. */
static enum serin_errc make_picture(struct bench *bench, struct serin_error *error)
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
    return rc == SERIN_OK ? add_picture(bench, bytes, size) : rc;
}

static enum serin_errc load_pictures(struct bench *bench, struct serin_error *error)
{
    const char *images = bench->settings->images;
    struct sources sources = {0};
    enum serin_errc rc;
    uint8_t *bytes;
    size_t size, i;

    bench->pictures = calloc(MAX_PICTURES, sizeof(*bench->pictures));
    if (!bench->pictures)
        return error_set(error, SERIN_NOMEM, "no memory for %d pictures", MAX_PICTURES);
    if (!images)
        return make_picture(bench, error);
    rc = sources_add(&sources, images, error);
    if (rc == SERIN_OK && (sources.count == 0 || sources.count > MAX_PICTURES))
        rc = error_set(error, SERIN_LIMIT, "--images: %s is %zu pictures, 1 to %d can be measured", images,
                       sources.count, MAX_PICTURES);
    for (i = 0; rc == SERIN_OK && i < sources.count; i++) {
        rc = file_read(sources.paths[i], IMAGE_DEFAULT_MAX_BYTES, &bytes, &size, error);
        if (rc == SERIN_OK)
            rc = add_picture(bench, bytes, size);
        if (rc == SERIN_OK && bench->bytes_in_all > MAX_PICTURE_BYTES_IN_ALL)
            rc = error_set(error, SERIN_LIMIT, "--images: %s holds more than %llu bytes, which is the limit", images,
                           MAX_PICTURE_BYTES_IN_ALL);
    }
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
    struct bench *bench = worker->bench;
    size_t batch = (size_t)bench->settings->batch, decoded = 0, i;
    struct serin_image images[MAX_BATCH] = {0};
    struct serin_result *results[MAX_BATCH] = {0};
    struct serin_predict_options predict_options;
    double decode_ms[MAX_BATCH];
    uint64_t start = clock_now_ns();
    enum serin_errc rc = SERIN_OK;

    serin_predict_options_init(&predict_options);
    predict_options.input_height = bench->settings->imgsz.height;
    predict_options.input_width = bench->settings->imgsz.width;
    for (; rc == SERIN_OK && decoded < batch; decoded += rc == SERIN_OK) {
        /* The workers start at different pictures, so that they do not decode in step. */
        size_t which = (round * batch + decoded + worker->number * 7) % bench->picture_count;
        uint64_t before = clock_now_ns();

        rc = serin_image_decode(bench->pictures[which].bytes, bench->pictures[which].size, NULL, &images[decoded],
                                &worker->error);
        decode_ms[decoded] = clock_ms_since(before);
    }
    if (rc == SERIN_OK)
        rc = serin_yolo_predict(bench->yolo, images, batch, &predict_options, results, &worker->error);
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
    struct bench *bench = worker->bench;
    size_t round;

    for (round = 0; worker->rc == SERIN_OK && round < WARM_UP_ROUNDS; round++)
        worker->rc = run_round(worker, round, false);
    pthread_barrier_wait(&bench->start); /* all are warm */
    pthread_barrier_wait(&bench->start); /* the deadline is set */
    while (worker->rc == SERIN_OK && !atomic_load_explicit(&bench->stop, memory_order_relaxed)) {
        worker->rc = run_round(worker, round++, true);
        if (worker->rc != SERIN_OK || clock_now_ns() >= bench->deadline_ns)
            atomic_store_explicit(&bench->stop, true, memory_order_relaxed);
    }
    pthread_barrier_wait(&bench->end);
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) / 1e6;
}

static double peak_memory_mb(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e6; /* Linux counts in KiB */
}

struct quantiles {
    double mean, p50, p90, p99, max;
};

struct outcome {
    size_t pictures;
    double wall_s, cpu_s;
    struct quantiles stages[STAGES];
};

/* Runs all workers. The first failure of any of them is the result. */
static enum serin_errc measure(struct bench *bench, struct outcome *ret, struct serin_error *error)
{
    size_t count = (size_t)bench->settings->concurrency, i;
    enum serin_errc rc = SERIN_OK;
    double cpu_start;
    uint64_t start;

    pthread_barrier_init(&bench->start, NULL, (unsigned)count + 1);
    pthread_barrier_init(&bench->end, NULL, (unsigned)count + 1);
    for (i = 0; i < count; i++) {
        bench->workers[i].bench = bench;
        bench->workers[i].number = i;
        /* Those already started wait at a barrier that will never open; ending the program is all that is left to do.
         */
        if (pthread_create(&bench->workers[i].thread, NULL, work, &bench->workers[i]) != 0) {
            terminal_complain("bench: thread %zu of %zu could not be started", i + 1, count);
            exit(CLI_FAILED);
        }
    }
    pthread_barrier_wait(&bench->start);
    cpu_start = cpu_seconds();
    start = clock_now_ns();
    bench->deadline_ns = start + (uint64_t)(bench->settings->seconds * 1e9);
    pthread_barrier_wait(&bench->start);
    pthread_barrier_wait(&bench->end);
    ret->wall_s = clock_ms_since(start) / 1000;
    ret->cpu_s = cpu_seconds() - cpu_start;
    for (i = 0; i < count; i++) {
        pthread_join(bench->workers[i].thread, NULL);
        ret->pictures += bench->workers[i].pictures;
        if (bench->workers[i].rc != SERIN_OK && rc == SERIN_OK) {
            rc = bench->workers[i].rc;
            *error = bench->workers[i].error;
        }
    }
    pthread_barrier_destroy(&bench->start);
    pthread_barrier_destroy(&bench->end);
    return rc;
}

/* ---- reporting ---- */

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

static enum serin_errc summarise(const struct bench *bench, enum stage stage, struct quantiles *ret,
                                 struct serin_error *error)
{
    size_t workers = (size_t)bench->settings->concurrency, count = 0, i;
    double sum = 0;
    float *all;

    for (i = 0; i < workers; i++)
        count += bench->workers[i].samples[stage].count;
    if (count == 0)
        return error_set(error, SERIN_LIMIT, "nothing was measured in %g seconds", bench->settings->seconds);
    all = malloc(count * sizeof(*all));
    if (!all)
        return error_set(error, SERIN_NOMEM, "no memory for %zu durations", count);
    count = 0;
    for (i = 0; i < workers; i++) {
        const struct samples *samples = &bench->workers[i].samples[stage];

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

static void print_report(const struct bench *bench, const struct outcome *outcome)
{
    const struct bench_settings *settings = bench->settings;
    const struct serin_yolo_info *info = serin_yolo_get_info(bench->yolo);
    double rate = (double)outcome->pictures / outcome->wall_s;
    int stage;

    printf("%zu pictures in %.2f s, %s, %d engine thread%s, %d at once, batch %d\n\n", outcome->pictures,
           outcome->wall_s, info->provider, info->threads, info->threads == 1 ? "" : "s", settings->concurrency,
           settings->batch);
    printf("%-12s %9s %9s %9s %9s %9s\n", "ms", "mean", "p50", "p90", "p99", "max");
    for (stage = 0; stage < STAGES; stage++) {
        const struct quantiles *q = &outcome->stages[stage];

        printf("%-12s %9.3f %9.3f %9.3f %9.3f %9.3f%s\n", stage_names[stage], q->mean, q->p50, q->p90, q->p99, q->max,
               stage == STAGE_WHOLE && settings->batch > 1 ? "  (a batch)" : "");
    }
    printf("\nwhole machine %.2f img/s\nper core      %.2f img/s (%.2f s of processor time, %.1f cores busy)\n"
           "peak memory   %.0f MB\n",
           rate, (double)outcome->pictures / outcome->cpu_s, outcome->cpu_s, outcome->cpu_s / outcome->wall_s,
           peak_memory_mb());
}

static void json_real(struct json_writer *json, const char *key, double value, int decimals)
{
    json_key(json, key);
    json_rounded(json, value, decimals);
}

static void json_count(struct json_writer *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_integer(json, value);
}

static void print_json(const struct bench *bench, const struct outcome *outcome)
{
    const struct serin_yolo_info *info = serin_yolo_get_info(bench->yolo);
    struct json_writer json;
    struct buffer out;
    int stage;

    buffer_init(&out, 1u << 20); /* far more than it can need */
    json_init(&json, &out);
    json_begin_object(&json);
    json_key(&json, "model");
    json_string(&json, bench->settings->model.path);
    json_key(&json, "provider");
    json_string(&json, info->provider);
    json_count(&json, "threads", info->threads);
    json_count(&json, "concurrency", bench->settings->concurrency);
    json_count(&json, "batch", bench->settings->batch);
    json_count(&json, "images", (int64_t)outcome->pictures);
    json_real(&json, "seconds", outcome->wall_s, 6);
    json_real(&json, "cpu_seconds", outcome->cpu_s, 6);
    json_real(&json, "images_per_second", (double)outcome->pictures / outcome->wall_s, 4);
    json_real(&json, "images_per_cpu_second", (double)outcome->pictures / outcome->cpu_s, 4);
    json_real(&json, "peak_memory_mb", peak_memory_mb(), 3);
    json_key(&json, "stages_ms");
    json_begin_object(&json);
    for (stage = 0; stage < STAGES; stage++) {
        const struct quantiles *q = &outcome->stages[stage];

        json_key(&json, stage_names[stage]);
        json_begin_object(&json);
        json_real(&json, "mean", q->mean, 6);
        json_real(&json, "p50", q->p50, 6);
        json_real(&json, "p90", q->p90, 6);
        json_real(&json, "p99", q->p99, 6);
        json_real(&json, "max", q->max, 6);
        json_end_object(&json);
    }
    json_end_object(&json);
    json_end_object(&json);
    puts(out.bytes ? out.bytes : "{}");
    buffer_done(&out);
}

static void bench_done(struct bench *bench)
{
    size_t i;
    int stage;

    for (i = 0; bench->workers && i < (size_t)bench->settings->concurrency; i++)
        for (stage = 0; stage < STAGES; stage++)
            free(bench->workers[i].samples[stage].ms);
    for (i = 0; i < bench->picture_count; i++)
        free(bench->pictures[i].bytes);
    free(bench->workers);
    free(bench->pictures);
    serin_yolo_close(bench->yolo);
}

static int run_bench(const void *given, char *const *operands, size_t operand_count)
{
    struct bench bench = {.settings = given};
    struct outcome outcome = {0};
    struct serin_error error;
    enum serin_errc rc;
    int stage;

    (void)operands, (void)operand_count;
    rc = load_pictures(&bench, &error);
    if (rc == SERIN_OK) {
        bench.workers = calloc((size_t)bench.settings->concurrency, sizeof(*bench.workers));
        bench.yolo = bench.workers ? model_open(&bench.settings->model) : NULL;
        if (!bench.yolo) {
            bench_done(&bench);
            return CLI_FAILED;
        }
        rc = measure(&bench, &outcome, &error);
    }
    for (stage = 0; rc == SERIN_OK && stage < STAGES; stage++)
        rc = summarise(&bench, (enum stage)stage, &outcome.stages[stage], &error);
    if (rc != SERIN_OK)
        terminal_complain("bench: %s", error.message);
    else if (bench.settings->json)
        print_json(&bench, &outcome);
    else
        print_report(&bench, &outcome);
    bench_done(&bench);
    return rc == SERIN_OK ? CLI_OK : CLI_FAILED;
}

const struct cli_verb cli_bench = {
    .name = "bench",
    .summary = "measure a model's speed, stage by stage",
    .text =
        "Decodes and predicts for some seconds and prints, in milliseconds, the mean, the median, the 90th and 99th "
        "percentile and the maximum of each stage for a picture, and of the whole; then pictures per second of the "
        "whole "
        "machine, and of one core: pictures for each second of processor time.\n\n"
        "A warm-up comes first and is not counted. Files are read before the measurement begins.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct bench_settings),
    .run = run_bench,
};
