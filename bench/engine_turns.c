/*
 * engine_turns.c - runs a network whenever it is told to, in the engine that it is told: for bench_engines.py, which
 * lets engines of several programs take turns.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   engine_turns THREADS BATCH PIXELS MODEL.onnx NAME... [-- PICTURE.jpg...]
 *
 * A name is a provider, or floor-fp32, floor-bf16, floor-int8 (convolution_floor.h), or PROVIDER:CONF, which is asked
 * for what is found above that score. Says "ready NAME" or "without NAME: why" of each, then "gflop N" (of the batch)
 * and "go". Then each line of stdin is a name that is ready: it runs the network once, on noise or its next picture,
 * and answers with "CPU WALL", milliseconds of processor (of all threads) and of the clock. Free dimensions beside the
 * batch are PIXELS.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/half.h"
#include "convolution_floor.h"
#include "engine/engine.h"
#include "engine/graph_fuse.h"
#include "engine/onednn.h"
#include "yolo/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FILE_BYTES ((size_t)1 << 30)

enum { MAX_CONTENDERS = 16, MAX_PICTURES = 128, NAME_BYTES = 32 };

struct contender {
    char name[NAME_BYTES];
    struct engine *engine;           /* this, */
    struct convolution_floor *floor; /* or this, */
    struct serin_yolo *yolo;         /* or this */
    float conf;
    int turns;
};

/* What there is to run on: tensors of one shape. */
struct inputs {
    struct tensor tensor;
    void *values[MAX_PICTURES];
    int count;
};

static const struct {
    const char *name;
    enum floor_precision precision;
} floors[] = {{"floor-fp32", FLOOR_F32}, {"floor-bf16", FLOOR_BF16}, {"floor-int8", FLOOR_INT8}};

enum { FLOORS = sizeof(floors) / sizeof(floors[0]) };

/* Noise in 0..1 of the shape that the model declares. NULL without memory. */
static void *make_input(const struct tensor_spec *spec, int64_t batch, int64_t pixels, struct tensor *ret)
{
    uint32_t noise = 1;
    size_t count = 1, i;
    int d;

    *ret = (struct tensor){.type = spec->type, .rank = spec->rank};
    for (d = 0; d < spec->rank; d++) {
        ret->shape[d] = spec->shape[d] > 0 ? spec->shape[d] : d == 0 ? batch : d == 1 ? 3 : pixels;
        count *= (size_t)ret->shape[d];
    }
    ret->values = calloc(count, tensor_type_bytes(spec->type));
    for (i = 0; ret->values && i < count; i++) {
        const float number = (float)((noise = noise * 1664525u + 1013904223u) >> 8) / (float)(1u << 24);

        if (spec->type == TENSOR_F32)
            ((float *)ret->values)[i] = number;
        else if (spec->type == TENSOR_F16)
            ((uint16_t *)ret->values)[i] = half_from_float(number);
        else
            ((uint8_t *)ret->values)[i] = (uint8_t)(number * 255.0f);
    }
    return ret->values;
}

/* A letterboxed picture as the model declares its input. */
static enum serin_errc read_picture(const char *path, const struct tensor *input, void **ret, struct serin_error *error)
{
    struct serin_image image = {0};
    struct letterbox box;
    enum serin_errc rc = serin_image_decode_file(path, NULL, &image, error);

    if (rc == SERIN_OK)
        rc = letterbox_plan(image.width, image.height, (int32_t)input->shape[3], (int32_t)input->shape[2], false, 32,
                            &box, error);
    if (rc == SERIN_OK) {
        *ret = calloc((size_t)(3 * input->shape[2] * input->shape[3]), tensor_type_bytes(input->type));
        rc = *ret ? letterbox_to_tensor(&image, &box, input->type == TENSOR_F16 ? PIXEL_F16 : PIXEL_F32, *ret, error)
                  : error_set(error, SERIN_NOMEM, "no memory for %s", path);
    }
    serin_image_free(&image);
    return rc;
}

static enum serin_errc make_inputs(const struct tensor_spec *spec, int64_t batch, int64_t pixels, char **paths,
                                   struct inputs *ret, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;

    if (!make_input(spec, batch, pixels, &ret->tensor))
        return error_set(error, SERIN_NOMEM, "no memory for a batch of %d", (int)batch);
    for (; *paths && ret->count < MAX_PICTURES && rc == SERIN_OK; paths++) {
        if (batch != 1 || (spec->type != TENSOR_F32 && spec->type != TENSOR_F16))
            return error_set(error, SERIN_INVALID, "pictures are for batches of one, of fp32 or fp16");
        rc = read_picture(*paths, &ret->tensor, &ret->values[ret->count], error);
        ret->count += rc == SERIN_OK;
    }
    return rc;
}

static bool fused_silu(const struct graph_unary *activation)
{
    return activation->op == GRAPH_SILU;
}

static double gflop_of(const struct graph *graph)
{
    double gflop = 0.0;
    int i;

    for (i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == GRAPH_CONV || graph->nodes[i].op == GRAPH_CONV_TRANSPOSE ||
            graph->nodes[i].op == GRAPH_MATMUL || graph->nodes[i].op == GRAPH_GEMM)
            gflop += 2e-9 * (double)graph_node_work(graph, &graph->nodes[i]);
    return gflop;
}

static enum serin_errc open_contender(struct contender *contender, const uint8_t *bytes, size_t size, int threads,
                                      const struct graph *fused, struct serin_error *error)
{
    const struct engine_options options = {.provider = contender->name, .threads = threads};
    const char *conf = strchr(contender->name, ':');
    struct serin_open_options asking;
    char provider[NAME_BYTES];
    int i;

    for (i = 0; i < FLOORS; i++)
        if (strcmp(contender->name, floors[i].name) == 0)
            return convolution_floor_new(fused, floors[i].precision, &contender->floor, error);
    if (conf) {
        snprintf(provider, sizeof(provider), "%.*s", (int)(conf - contender->name), contender->name);
        serin_open_options_init(&asking);
        asking.provider = provider, asking.threads = threads;
        contender->conf = strtof(conf + 1, NULL);
        return serin_yolo_open_memory(bytes, size, &asking, &contender->yolo, error);
    }
    return engine_open(bytes, size, &options, &contender->engine, error);
}

static enum serin_errc run(const struct contender *contender, const struct tensor *input, int threads,
                           struct serin_error *error)
{
    const struct letterbox box = {.input_width = (int32_t)input->shape[3], .input_height = (int32_t)input->shape[2]};
    const struct engine *engine = contender->yolo ? yolo_engine(contender->yolo) : contender->engine;
    struct engine_outputs outputs;
    enum serin_errc rc;

    onednn_set_threads(threads);
    if (contender->floor)
        return convolution_floor_run(contender->floor, error);
    if (contender->yolo)
        rc = yolo_run(contender->yolo, &box, input->type, input->values, (size_t)input->shape[0], contender->conf,
                      threads, &outputs, error);
    else
        rc = engine_run(engine, input, NULL, threads, &outputs, error);
    if (rc == SERIN_OK)
        engine_outputs_done(engine, &outputs);
    return rc;
}

static double processor_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static enum serin_errc take_turns(struct contender *contenders, int count, const struct inputs *inputs, int threads,
                                  struct serin_error *error)
{
    struct tensor input = inputs->tensor;
    char line[NAME_BYTES + 2];
    enum serin_errc rc = SERIN_OK;

    while (rc == SERIN_OK && fgets(line, sizeof(line), stdin)) {
        double processor;
        uint64_t start;
        int i;

        line[strcspn(line, "\n")] = '\0';
        for (i = 0; i < count && strcmp(contenders[i].name, line) != 0; i++)
            ;
        if (i == count)
            return error_set(error, SERIN_INVALID, "'%s' is none of the names that are ready", line);
        if (inputs->count > 0)
            input.values = inputs->values[contenders[i].turns++ % inputs->count];
        processor = processor_ms();
        start = clock_now_ns();
        rc = run(&contenders[i], &input, threads, error);
        if (rc == SERIN_OK)
            printf("%.4f %.4f\n", processor_ms() - processor, clock_ms_since(start));
        fflush(stdout);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const int threads = argc > 5 ? atoi(argv[1]) : 0, batch = argc > 5 ? atoi(argv[2]) : 0;
    const int pixels = argc > 5 ? atoi(argv[3]) : 0;
    struct contender contenders[MAX_CONTENDERS];
    struct graph *read = NULL, *graph = NULL;
    struct serin_error error = {0};
    struct inputs inputs = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    int i, names = 5, count = 0;
    enum serin_errc rc;

    while (names < argc && strcmp(argv[names], "--") != 0)
        names++;
    if (threads < 1 || batch < 1 || pixels < 1 || names - 5 > MAX_CONTENDERS) {
        fprintf(stderr,
                "engine_turns THREADS BATCH PIXELS MODEL.onnx NAME... [-- PICTURE.jpg...]  (%d names at most)\n",
                MAX_CONTENDERS);
        return 2;
    }
    memset(contenders, 0, sizeof(contenders));
    onednn_set_threads(threads);
    rc = file_read(argv[4], MAX_FILE_BYTES, &bytes, &size, &error);
    if (rc == SERIN_OK)
        rc = graph_read(bytes, size, &read, &error);
    if (rc == SERIN_OK)
        rc = make_inputs(&read->interface.inputs[0], batch, pixels, argv + (names < argc ? names + 1 : argc), &inputs,
                         &error);
    if (rc == SERIN_OK)
        rc = graph_shape(read, &inputs.tensor, &graph, &error);
    if (rc == SERIN_OK)
        rc = graph_fuse(graph, fused_silu, &error);
    for (i = 5; i < names && rc == SERIN_OK; i++) {
        struct contender *contender = &contenders[count];

        snprintf(contender->name, sizeof(contender->name), "%s", argv[i]);
        if (open_contender(contender, bytes, size, threads, graph, &error) == SERIN_OK) {
            printf("ready %s\n", contender->name);
            count++;
        } else {
            printf("without %s: %s\n", argv[i], error.message);
        }
    }
    if (rc == SERIN_OK) {
        printf("gflop %.4f\ngo\n", gflop_of(graph));
        fflush(stdout);
        rc = take_turns(contenders, count, &inputs, threads, &error);
    }
    if (rc != SERIN_OK)
        fprintf(stderr, "engine_turns: %s: %s\n", argv[4], error.message);
    for (i = 0; i < count; i++) {
        engine_close(contenders[i].engine);
        convolution_floor_free(contenders[i].floor);
        serin_yolo_close(contenders[i].yolo);
    }
    graph_free(graph);
    graph_free(read);
    for (i = 0; i < inputs.count; i++)
        free(inputs.values[i]);
    free(inputs.tensor.values);
    free(bytes);
    return rc == SERIN_OK ? 0 : 1;
}
