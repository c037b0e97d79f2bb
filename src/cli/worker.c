/*
 * worker.c - serin worker: one version, served over HTTP.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/worker.h"

#include "base/text.h"
#include "cli/model.h"
#include "cli/terminal.h"

struct worker_settings {
    struct model_settings model;
    const char *name, *listen;
    struct cli_size imgsz;
    double conf, iou;
    int max_det, decode_threads, max_batch, max_delay_us, max_queue, max_body_mib, max_megapixels;
};

static const struct cli_option options[] = {
    MODEL_PATH_OPTION(worker_settings),
    {.name = "name",
     .value = "NAME:TAG",
     .type = CLI_TEXT,
     .required = true,
     .offset = offsetof(struct worker_settings, name),
     .help = "the version that is served, as clients see it"},
    {.name = "listen",
     .value = "ADDRESS",
     .type = CLI_TEXT,
     .fallback = "127.0.0.1:8000",
     .offset = offsetof(struct worker_settings, listen),
     .help = "HOST:PORT (port 0: any free one) or unix:PATH"},
    {.name = "max-batch",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "8",
     .min = 1,
     .max = 16,
     .offset = offsetof(struct worker_settings, max_batch),
     .help = "most pictures that go through the network at once; less where the model's batch is fixed"},
    {.name = "max-delay-us",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 10000000,
     .offset = offsetof(struct worker_settings, max_delay_us),
     .help = "microseconds that a picture waits for others to share its batch"},
    {.name = "max-queue",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "64",
     .min = 1,
     .max = 65536,
     .offset = offsetof(struct worker_settings, max_queue),
     .help = "pictures that wait; more are refused with 503 and Retry-After"},
    {.name = "decode-threads",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 64,
     .offset = offsetof(struct worker_settings, decode_threads),
     .help = "threads that decode pictures and write answers; 0 is one for each processor, at most 4"},
    {.name = "conf",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".25",
     .max = 1,
     .offset = offsetof(struct worker_settings, conf),
     .help = "keep what the model is surer of than X, where a request does not say"},
    {.name = "iou",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".7",
     .max = 1,
     .offset = offsetof(struct worker_settings, iou),
     .help = "of two boxes of a class that overlap by more than X, keep the surer one, where a request does not say"},
    {.name = "max-det",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "300",
     .min = 1,
     .max = 30000,
     .offset = offsetof(struct worker_settings, max_det),
     .help = "most detections of one picture, where a request does not say"},
    MODEL_SIZE_OPTION(worker_settings),
    {.name = "max-body-mib",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "32",
     .min = 1,
     .max = 1024,
     .offset = offsetof(struct worker_settings, max_body_mib),
     .help = "MiB of one request's body"},
    {.name = "max-megapixels",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "50",
     .min = 1,
     .max = 4000,
     .offset = offsetof(struct worker_settings, max_megapixels),
     .help = "million pixels of one picture"},
    MODEL_PROVIDER_OPTIONS(worker_settings),
    {.name = "threads",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = 1024,
     .offset = offsetof(struct worker_settings, model.threads),
     .help = "threads of the engine; 0 is one for each processor this process may use"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin worker --model yolov8n.onnx --name yolov8n:v1.0.0-cpu", "serve a model on port 8000 of this machine"},
    {"curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/predict", "ask it"},
    {"serin worker --model yolov8n.onnx --name yolov8n:v1.0.0-cpu --listen unix:/run/yolov8n.sock --max-queue 16",
     "behind a gateway on the same machine"},
    {0},
};

static int run_worker(const void *given, char *const *operands, size_t operand_count)
{
    const struct worker_settings *settings = given;
    char provider[PROVIDER_MAX_BYTES];
    struct worker_options worker;
    struct serin_error error;

    (void)operands, (void)operand_count;
    worker_options_init(&worker);
    worker.model_path = settings->model.path;
    worker.name = settings->name;
    worker.listen = settings->listen;
    worker.provider = text_choice(PROVIDERS, settings->model.provider, provider, sizeof(provider));
    worker.device = settings->model.device;
    worker.threads = settings->model.threads;
    worker.decode_threads = settings->decode_threads;
    worker.max_batch = settings->max_batch;
    worker.max_delay_us = settings->max_delay_us;
    worker.max_queue = settings->max_queue;
    worker.conf = settings->conf;
    worker.iou = settings->iou;
    worker.max_det = settings->max_det;
    worker.input_height = settings->imgsz.height;
    worker.input_width = settings->imgsz.width;
    worker.max_body_bytes = (uint64_t)settings->max_body_mib << 20;
    worker.max_pixels = (uint64_t)settings->max_megapixels * 1000000;
    if (worker_run(&worker, &error) == SERIN_OK)
        return CLI_OK;
    terminal_complain("worker: %s", error.message);
    return error.code == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
}

const struct cli_verb cli_worker = {
    .name = "worker",
    .summary = "serve one version of a model over HTTP",
    .text =
        "Opens a model, warms it up, prints a line 'listening on ADDRESS' and answers until SIGTERM, after which it "
        "ends what it has accepted and exits with 0. Log lines in JSON go to stderr.\n\n"
        "POST /v1/predict takes a picture as the body, or several as parts named 'file' or 'image' of a form, and "
        "answers with the results of Ultralytics. conf, iou, imgsz, classes and max_det are taken from the query or "
        "the form; X-Priority (1, most urgent, to 9) and X-Request-Timeout-Ms from the header.\n\n"
        "The Open Inference Protocol v2 stands under /v2, with binary tensors and Triton's configuration and "
        "statistics. Counters are at GET /v1/stats.\n\n"
        "Pictures are decoded by threads of their own and run through the network in batches of those that are ready; "
        "with oneDNN's providers a picture that is alone has all threads of the engine, and those that wait have one "
        "each and run side by side, unless --max-delay-us asks for batches. What finds the queue full is refused at "
        "once.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct worker_settings),
    .runs_networks = true,
    .run = run_worker,
};
