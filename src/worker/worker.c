/*
 * worker.c - the life of a worker: open, warm up, listen, serve, drain.
 * SPDX-License-Identifier: Apache-2.0
 *
 * It listens only after the warm-up, so a connection that is taken is one that will be answered. SIGTERM and SIGINT
 * stop the listening; what was accepted is answered; then the loop has nothing left and ends.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/processors.h"
#include "worker/service.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS           30000
#define MAX_DECODE_THREADS 4
#define MAX_INPUT_PX       1280 /* of a side that a request may ask for; the model's own where that is larger */
#define ENGINE_MAX_BATCH   16   /* as predict's: more gains nothing and costs memory */

void worker_options_init(struct worker_options *options)
{
    *options = (struct worker_options){
        .provider = "cpu",
        .max_batch = 8,
        .max_queue = 64,
        .conf = 0.25,
        .iou = 0.7,
        .max_det = 300,
        .max_body_bytes = 32u << 20,
        .max_pixels = 50000000,
    };
}

/* One JSON line on stderr, in one write so that lines of several processes do not mix. provider, text: NULL: none. */
static void log_line(const struct service *service, const char *event, const char *provider, const char *text)
{
    struct json_writer json;
    struct clock_stamp when = {0};
    struct buffer line;

    buffer_init(&line, 4096);
    json_init(&json, &line);
    json_begin_object(&json);
    json_put_string(&json, "time", clock_stamp(&when));
    json_put_string(&json, "event", event);
    json_put_string(&json, "model", service->model);
    json_put_string(&json, "version", service->version);
    if (provider)
        json_put_string(&json, "provider", provider);
    if (text)
        json_put_string(&json, "text", text);
    json_end_object(&json);
    buffer_append_text(&line, "\n");
    if (line.bytes && write(STDERR_FILENO, line.bytes, line.size) < 0)
        errno = 0; /* nobody listens */
    buffer_done(&line);
}

/* ---- setting up ---- */

static void prepare(void *user, struct batch_item *item)
{
    network_prepare(((struct service *)user)->network, item);
}

static void run(void *user, const struct batch_run *batch)
{
    network_run(((struct service *)user)->network, batch);
}

static void finish(void *user, struct batch_item *item)
{
    network_finish(((struct service *)user)->network, item);
}

static enum serin_errc check_options(const struct worker_options *options, struct serin_error *error)
{
    if (!options->model_path || !options->listen || !options->name)
        return error_set(error, SERIN_INVALID, "a worker needs a model, a name and an address to listen on");
    if (options->max_batch < 1 || options->max_batch > ENGINE_MAX_BATCH)
        return error_set(error, SERIN_INVALID, "batches of %d: 1 to %d are possible", options->max_batch,
                         ENGINE_MAX_BATCH);
    if (options->max_delay_us < 0 || options->max_queue < 1 || options->decode_threads < 0)
        return error_set(error, SERIN_INVALID,
                         "a delay of %d us, a queue of %d, %d decoding threads: none below 0, a queue of at least 1",
                         options->max_delay_us, options->max_queue, options->decode_threads);
    return SERIN_OK;
}

static enum serin_errc open_model(struct service *service, struct serin_error *error)
{
    const struct worker_options *options = service->options;
    struct serin_open_options open_options;
    enum serin_errc rc;

    serin_open_options_init(&open_options);
    open_options.provider = options->provider;
    open_options.device = options->device;
    open_options.threads = options->threads;
    rc = serin_yolo_open(options->model_path, &open_options, &service->yolo, error);
    if (rc != SERIN_OK)
        return rc;
    service->info = serin_yolo_get_info(service->yolo);
    service->interface = &yolo_engine(service->yolo)->interface;
    service->max_batch = options->max_batch;
    if (service->info->batch > 0 && service->info->batch < service->max_batch)
        service->max_batch = service->info->batch;
    service->max_input_px = MAX_INPUT_PX;
    if (service->info->input_height > service->max_input_px)
        service->max_input_px = service->info->input_height;
    if (service->info->input_width > service->max_input_px)
        service->max_input_px = service->info->input_width;
    serin_predict_options_init(&service->defaults);
    service->defaults.conf = (float)options->conf;
    service->defaults.iou = options->iou;
    service->defaults.max_det = options->max_det;
    service->defaults.input_height = options->input_height;
    service->defaults.input_width = options->input_width;
    service->infer = (struct infer_model){.name = service->model,
                                          .version = service->version,
                                          .interface = service->interface,
                                          .info = service->info,
                                          .max_batch = service->max_batch,
                                          .max_input_px = service->max_input_px};
    return yolo_check_options(service->yolo, &service->defaults, error);
}

static enum serin_errc start_batcher(struct service *service, struct serin_error *error)
{
    static const struct batcher_stages stages = {prepare, run, finish, service_job_done};
    const struct worker_options *options = service->options;
    int pool = options->decode_threads > 0 ? options->decode_threads : processors_usable();
    struct job_limits limits = {.max_image_bytes = options->max_body_bytes, .max_pixels = options->max_pixels};
    const struct engine *engine = yolo_engine(service->yolo);
    struct batcher_options *batching = &service->batching;
    enum serin_errc rc;

    if (options->decode_threads == 0 && pool > MAX_DECODE_THREADS)
        pool = MAX_DECODE_THREADS;
    *batching = (struct batcher_options){.max_batch = service->max_batch,
                                         .max_delay_ns = (uint64_t)options->max_delay_us * 1000,
                                         .max_queue = options->max_queue,
                                         .pool_threads = pool,
                                         .threads = engine->threads,
                                         .least_threads = engine->least_threads};
    if (!engine->gains_by_batch && service->info->batch <= 0 && options->max_delay_us == 0)
        batching->max_batch = 1;
    /* a batch in each stream, one ready, and what the pool has in hand */
    batching->slots = (batcher_streams(batching) + 1) * batching->max_batch + pool;
    rc = network_new(service->yolo, batching, &limits, &service->network, error);
    if (rc == SERIN_OK)
        rc = network_warm_up(service->network, error);
    if (rc == SERIN_OK)
        rc = batcher_new(batching, &stages, service, &service->batcher, error);
    return rc;
}

static enum serin_errc start_server(struct service *service, struct serin_error *error)
{
    struct http_server_options options;
    enum serin_errc rc;

    http_server_options_init(&options);
    options.limits.max_body_bytes = service->options->max_body_bytes;
    rc = http_server_new(&service->loop, &options, service_handle, service, &service->server, error);
    return rc == SERIN_OK ? http_server_listen(service->server, service->options->listen, false, error) : rc;
}

/* "127.0.0.1:0" with the port that the kernel chose. */
static void announce(const struct service *service)
{
    const char *listen = service->options->listen, *colon = strrchr(listen, ':');
    int port = http_server_port(service->server);

    if (port > 0 && colon)
        printf("listening on %.*s:%d\n", (int)(colon - listen), listen, port);
    else
        printf("listening on %s\n", listen);
    fflush(stdout);
    log_line(service, "engine", service->info->provider, service->info->provider_why); /* serve/fleet.c reads it */
    log_line(service, "ready", NULL, listen);
}

/* ---- the end ---- */

struct ending {
    struct service *service;
    uv_signal_t terminate, interrupt;
};

static void server_closed(void *user)
{
    struct ending *ending = user;

    ending->service->server = NULL;
    uv_close((uv_handle_t *)&ending->service->wake_up, NULL);
    uv_close((uv_handle_t *)&ending->service->give_back, NULL);
}

static void told_to_end(uv_signal_t *handle, int number)
{
    struct ending *ending = handle->data;

    if (ending->service->draining)
        return;
    ending->service->draining = true;
    log_line(ending->service, "draining", NULL, number == SIGTERM ? "SIGTERM" : "SIGINT");
    uv_close((uv_handle_t *)&ending->terminate, NULL);
    uv_close((uv_handle_t *)&ending->interrupt, NULL);
    http_server_close(ending->service->server, DRAIN_MS, server_closed, ending);
}

static void catch_signals(struct ending *ending, uv_loop_t *loop)
{
    uv_signal_init(loop, &ending->terminate);
    uv_signal_init(loop, &ending->interrupt);
    ending->terminate.data = ending->interrupt.data = ending;
    uv_signal_start(&ending->terminate, told_to_end, SIGTERM);
    uv_signal_start(&ending->interrupt, told_to_end, SIGINT);
}

static void set_names(struct service *service, const struct version_name *name)
{
    memcpy(service->model, name->model, sizeof(service->model));
    memcpy(service->version, name->tag, sizeof(service->version));
}

enum serin_errc worker_run(const struct worker_options *options, struct serin_error *error)
{
    struct service service = {.options = options};
    struct ending ending = {.service = &service};
    struct version_name name;
    enum serin_errc rc;

    rc = check_options(options, error);
    if (rc == SERIN_OK)
        rc = version_name_parse(options->name, &name, error);
    if (rc != SERIN_OK)
        return rc;
    set_names(&service, &name);
    /* Pictures and tensors stay on the heap, which is warm, until give_back; of other arenas than the main one
     * malloc_trim would leave the end, up to 64 MB of each thread. */
    mallopt(M_ARENA_MAX, 1);
    if (uv_loop_init(&service.loop) != 0)
        return error_set(error, SERIN_NOMEM, "no memory for an event loop");
    pthread_mutex_init(&service.lock, NULL);
    uv_async_init(&service.loop, &service.wake_up, service_answer_completed);
    service.wake_up.data = &service;
    uv_timer_init(&service.loop, &service.give_back);
    rc = open_model(&service, error);
    if (rc == SERIN_OK)
        rc = start_batcher(&service, error);
    if (rc == SERIN_OK)
        rc = start_server(&service, error);
    if (rc == SERIN_OK) {
        catch_signals(&ending, &service.loop);
        announce(&service);
        uv_run(&service.loop, UV_RUN_DEFAULT);
        log_line(&service, "stopped", NULL, NULL);
    } else {
        if (service.server)
            http_server_close(service.server, 0, NULL, NULL);
        uv_close((uv_handle_t *)&service.wake_up, NULL);
        uv_close((uv_handle_t *)&service.give_back, NULL);
        uv_run(&service.loop, UV_RUN_DEFAULT);
    }
    batcher_close(service.batcher);
    network_free(service.network);
    serin_yolo_close(service.yolo);
    uv_loop_close(&service.loop);
    pthread_mutex_destroy(&service.lock);
    return rc;
}
