/*
 * bench.c - serin bench: pictures per second and latencies by stage, of the whole machine and of a core.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"
#include "base/json.h"
#include "cli/model.h"
#include "cli/terminal.h"
#include "cli/workload.h"

#include <sys/resource.h>

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
     .max = WORKLOAD_MAX_BATCH,
     .offset = offsetof(struct bench_settings, batch),
     .help = "pictures of one call"},
    {.name = "concurrency",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = WORKLOAD_MAX_CONCURRENCY,
     .offset = offsetof(struct bench_settings, concurrency),
     .help = "threads that call the model at once; with more than one, --threads 1 is often the fastest"},
    MODEL_SIZE_OPTION(bench_settings),
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

static const char *const stage_names[STAGES] = {"decode", "preprocess", "inference", "postprocess", "whole"};

static double peak_memory_mb(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e6; /* Linux counts in KiB */
}

static void print_report(const struct bench_settings *settings, const struct serin_yolo_info *info,
                         const struct outcome *outcome)
{
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
    json_write_rounded(json, value, decimals);
}

static void print_json(const struct bench_settings *settings, const struct serin_yolo_info *info,
                       const struct outcome *outcome)
{
    struct json_writer json;
    struct buffer out;
    int stage;

    buffer_init(&out, 1u << 20); /* far more than it can need */
    json_init(&json, &out);
    json_begin_object(&json);
    json_key(&json, "model");
    json_write_string(&json, settings->model.path);
    json_key(&json, "provider");
    json_write_string(&json, info->provider);
    json_put_integer(&json, "threads", info->threads);
    json_put_integer(&json, "concurrency", settings->concurrency);
    json_put_integer(&json, "batch", settings->batch);
    json_put_integer(&json, "images", (int64_t)outcome->pictures);
    json_put_integer(&json, "images_failed", (int64_t)outcome->pictures_failed);
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

static int run_bench(const void *given, char *const *operands, size_t operand_count)
{
    const struct bench_settings *settings = given;
    struct workload workload = {.images = settings->images,
                                .seconds = settings->seconds,
                                .imgsz = settings->imgsz,
                                .batch = settings->batch,
                                .concurrency = settings->concurrency};
    const struct serin_yolo_info *info;
    struct outcome outcome;
    struct serin_error error;
    enum serin_errc rc;
    int code;

    (void)operands, (void)operand_count;
    code = model_open(&settings->model, &workload.yolo);
    if (code != CLI_OK)
        return code;
    info = serin_yolo_get_info(workload.yolo);
    rc = workload_measure(&workload, &outcome, &error);
    if (rc != SERIN_OK)
        terminal_complain("bench: %s", error.message);
    else if (settings->json)
        print_json(settings, info, &outcome);
    else
        print_report(settings, info, &outcome);
    serin_yolo_close(workload.yolo);
    if (rc == SERIN_OK && outcome.pictures_failed == 0)
        return CLI_OK;
    if (rc == SERIN_OK)
        terminal_complain("bench: %zu picture%s of %s failed; the others were measured", outcome.pictures_failed,
                          outcome.pictures_failed == 1 ? "" : "s", settings->images);
    return CLI_FAILED;
}

const struct cli_verb cli_bench = {
    .name = "bench",
    .summary = "measure a model's speed, stage by stage",
    .text =
        "Decodes and predicts for some seconds and prints, in milliseconds, the mean, the median, the 90th and 99th "
        "percentile and the maximum of each stage for a picture, and of the whole; then pictures per second of the "
        "whole "
        "machine, and of one core: pictures for each second of processor time.\n\n"
        "A warm-up comes first and is not counted. Files are read before the measurement begins. One that cannot be "
        "read "
        "or decoded is named and left out, and the exit code is 1.\n\n"
        "With --json, what prevents the measurement has no JSON, only a sentence on the standard error.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct bench_settings),
    .runs_networks = true,
    .run = run_bench,
};
