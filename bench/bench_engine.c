/*
 * bench_engine.c - one network in each engine: milliseconds of processor, GFLOP/s, and how far the outputs are apart.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   bench_engine [--runs N] [--batch N] [--size PIXELS] [--threads N] [--bytes] [--layouts] [--steps] MODEL.onnx...
 *
 * The engines take turns, run by run, so that what disturbs the machine disturbs all; processor time, not the clock,
 * so that neighbours count little. Shown is the median, and ONNX Runtime's median over it. --steps shows where the time
 * of a run of oneDNN's engine goes, in fp32 and in bf16: each step, each kind of step. --bytes: an engine that takes
 * bytes for fp32 gets them, as it does from pictures. --layouts: bf16 in blocks of channels and with all channels
 * of a pixel together take their turns, too; the engine has the latter where the processor has AMX.
 */
#include "base/file.h"
#include "base/half.h"
#include "engine/engine.h"
#include "engine/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FILE_BYTES ((size_t)1 << 30)
#define MAX_RUNS       1000

struct settings {
    int runs, threads;
    int64_t batch, size_px;
    bool steps, bytes, layouts;
};

/* A plan by itself, as the engine makes one. */
struct planned {
    struct plan_weights *weights;
    struct graph *graph;
    struct plan *plan;
    struct plan_slot *slot;
};

/* Takes its turns: an engine, or a plan where one has been forced to a layout. */
struct contestant {
    const char *name; /* the provider, for an engine */
    enum plan_precision precision;
    enum plan_layout layout; /* PLAN_FASTEST: an engine */
    struct tensor input;
    struct engine *engine;
    struct planned planned;
    struct engine_outputs outputs; /* of an engine's last run */
    double apart, ms[MAX_RUNS];
};

enum { ENGINES = 3, CONTESTANTS = 5 };

static struct contestant contestants[CONTESTANTS] = {
    {.name = "cpu"}, /* what the others are beside */
    {.name = "onednn", .precision = PLAN_F32},
    {.name = "onednn-bf16", .precision = PLAN_BF16},
    {.name = "blocks", .precision = PLAN_BF16, .layout = PLAN_BLOCKS},
    {.name = "together", .precision = PLAN_BF16, .layout = PLAN_TOGETHER},
};

static double processor_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int by_number(const void *one, const void *other)
{
    const double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

/* The input as the model declares it or, of type, free dimensions from settings; the same noise in steps of 1/255 each
 * time. NULL without memory. */
static void *make_input(const struct tensor_spec *spec, enum tensor_type type, const struct settings *settings,
                        struct tensor *ret)
{
    size_t count = 1, i;
    uint32_t state = 1;
    void *values;
    int d;

    *ret = (struct tensor){.type = type, .rank = spec->rank};
    for (d = 0; d < spec->rank; d++) {
        ret->shape[d] = spec->shape[d] > 0 ? spec->shape[d] : d == 0 ? settings->batch : d == 1 ? 3 : settings->size_px;
        count *= (size_t)ret->shape[d];
    }
    values = calloc(count, tensor_type_bytes(type));
    for (i = 0; values && i < count; i++) {
        const uint8_t byte = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);

        if (type == TENSOR_F32)
            ((float *)values)[i] = (float)byte / 255.0f;
        else if (type == TENSOR_F16)
            ((uint16_t *)values)[i] = half_from_float((float)byte / 255.0f);
        else
            ((uint8_t *)values)[i] = byte;
    }
    ret->values = values;
    return values;
}

static double number_of(const struct tensor *tensor, size_t i)
{
    if (tensor->type == TENSOR_F32)
        return (double)((const float *)tensor->values)[i];
    return tensor->type == TENSOR_F16 ? (double)half_to_float(((const uint16_t *)tensor->values)[i]) : 0.0;
}

/* The greatest difference of the first outputs over the greatest value. */
static double difference(const struct tensor *one, const struct tensor *other)
{
    double largest = 0.0, worst = 0.0;
    size_t count = 1, i;
    int d;

    for (d = 0; d < one->rank; d++)
        count *= (size_t)one->shape[d];
    for (i = 0; i < count; i++) {
        largest = fmax(largest, fabs(number_of(one, i)));
        worst = fmax(worst, fabs(number_of(one, i) - number_of(other, i)));
    }
    return largest > 0.0 ? worst / largest : 0.0;
}

/* A plan for input, with its values. */
static enum serin_errc planned_make(const uint8_t *bytes, size_t size, const struct contestant *contestant,
                                    const struct settings *settings, struct planned *planned, struct serin_error *error)
{
    const struct tensor *input = &contestant->input;
    struct plan_options options = {
        .precision = contestant->precision, .threads = settings->threads, .layout = contestant->layout};
    const struct graph_value *value;
    enum serin_errc rc = graph_read(bytes, size, &planned->graph, error);
    void *to;
    uint64_t i;

    planned->weights = plan_weights_new();
    if (rc == SERIN_OK && !planned->weights)
        rc = error_set(error, SERIN_NOMEM, "no memory for weights");
    if (rc != SERIN_OK)
        return rc;
    options.bytes = input->type == TENSOR_U8 && planned->graph->interface.inputs[0].type == TENSOR_F32;
    rc = plan_new(planned->graph, input, &options, planned->weights, &planned->plan, error);
    if (rc == SERIN_OK)
        rc = plan_slot_new(planned->plan, &planned->slot, error);
    if (rc != SERIN_OK)
        return rc;
    value = &plan_graph(planned->plan)->values[plan_graph(planned->plan)->inputs[0]];
    to = plan_slot_input(planned->slot, 0);
    if (input->type == TENSOR_F16)
        for (i = 0; i < value->element_count; i++)
            ((float *)to)[i] = half_to_float(((const uint16_t *)input->values)[i]);
    else
        memcpy(to, input->values, (size_t)value->element_count * tensor_type_bytes(input->type));
    return SERIN_OK;
}

static void planned_done(struct planned *planned)
{
    plan_slot_free(planned->slot);
    plan_free(planned->plan);
    plan_weights_free(planned->weights);
    graph_free(planned->graph);
}

static struct tensor planned_output(const struct planned *planned)
{
    const struct graph *graph = plan_graph(planned->plan);
    const struct graph_value *value = &graph->values[graph->outputs[0]];
    struct tensor tensor = {.type = value->type == GRAPH_F32 ? TENSOR_F32 : TENSOR_OTHER, .rank = value->rank};

    memcpy(tensor.shape, value->shape, (size_t)value->rank * sizeof(value->shape[0]));
    tensor.values = (void *)plan_slot_output(planned->slot, 0);
    return tensor;
}

/* Multiply-adds of the convolutions and matrix products, in units of 10^9 operations. */
static double gflop_of(const struct planned *planned)
{
    const struct graph *shaped = plan_graph(planned->plan);
    double gflop = 0.0;
    int i;

    for (i = 0; i < shaped->node_count; i++)
        if (shaped->nodes[i].op == GRAPH_CONV || shaped->nodes[i].op == GRAPH_CONV_TRANSPOSE ||
            shaped->nodes[i].op == GRAPH_MATMUL || shaped->nodes[i].op == GRAPH_GEMM)
            gflop += 2e-9 * (double)graph_node_work(shaped, &shaped->nodes[i]);
    return gflop;
}

static void print_steps(const struct planned *planned, const char *name, const struct settings *settings)
{
    int i;

    for (i = 0; i < settings->runs && plan_run(planned->slot, NULL, NULL) == SERIN_OK; i++)
        ;
    printf("%s:\n", name);
    plan_print(planned->plan, planned->slot, stdout);
}

/* ---- contestants ---- */

static bool takes_part(const struct contestant *contestant)
{
    return contestant->engine || contestant->planned.slot;
}

static enum serin_errc contestant_open(struct contestant *contestant, const uint8_t *bytes, size_t size,
                                       const struct settings *settings, struct serin_error *error)
{
    const struct engine_options options = {.provider = contestant->name, .threads = settings->threads};
    const struct tensor_spec *spec = &contestants[0].engine->interface.inputs[0];
    enum serin_errc rc = SERIN_OK;
    bool bytes_taken;

    if (contestant->layout == PLAN_FASTEST && !contestant->engine)
        rc = engine_open(bytes, size, &options, &contestant->engine, error);
    bytes_taken = contestant->engine ? contestant->engine->takes_bytes : spec->type == TENSOR_F32;
    if (rc == SERIN_OK &&
        !make_input(spec, settings->bytes && bytes_taken ? TENSOR_U8 : spec->type, settings, &contestant->input))
        rc = error_set(error, SERIN_NOMEM, "no memory for an input");
    if (rc == SERIN_OK && contestant->layout != PLAN_FASTEST)
        rc = planned_make(bytes, size, contestant, settings, &contestant->planned, error);
    return rc;
}

static enum serin_errc contestant_run(struct contestant *contestant, const struct settings *settings,
                                      struct tensor *ret, struct serin_error *error)
{
    enum serin_errc rc;

    if (contestant->engine) {
        rc = engine_run(contestant->engine, &contestant->input, NULL, settings->threads, &contestant->outputs, error);
        *ret = contestant->outputs.tensors[0];
        return rc;
    }
    rc = plan_run(contestant->planned.slot, NULL, error);
    *ret = planned_output(&contestant->planned);
    return rc;
}

static void contestant_rest(struct contestant *contestant)
{
    if (contestant->engine)
        engine_outputs_done(contestant->engine, &contestant->outputs);
}

static void contestant_close(struct contestant *contestant)
{
    engine_close(contestant->engine);
    planned_done(&contestant->planned);
    free(contestant->input.values);
    contestant->engine = NULL;
    contestant->planned = (struct planned){0};
    contestant->input = (struct tensor){0};
}

static enum serin_errc take_turns(const struct settings *settings, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    struct tensor wanted, output;
    double before;
    int i, run;

    rc = contestant_run(&contestants[0], settings, &wanted, error);
    for (i = 1; i < CONTESTANTS && rc == SERIN_OK; i++)
        if (takes_part(&contestants[i])) {
            rc = contestant_run(&contestants[i], settings, &output, error);
            if (rc == SERIN_OK)
                contestants[i].apart = difference(&wanted, &output);
            contestant_rest(&contestants[i]);
        }
    contestant_rest(&contestants[0]);
    for (run = 0; run < settings->runs; run++)
        for (i = 0; i < CONTESTANTS && rc == SERIN_OK; i++)
            if (takes_part(&contestants[i])) {
                before = processor_ms();
                rc = contestant_run(&contestants[i], settings, &output, error);
                contestants[i].ms[run] = processor_ms() - before;
                contestant_rest(&contestants[i]);
            }
    return rc;
}

static void print_table(const char *path, double gflop, const struct settings *settings)
{
    const int middle = settings->runs / 2;
    int i;

    printf("%s: %.2f GFLOP, %d runs\n%-12s %9s %9s %9s %10s\n", path, gflop, settings->runs, "provider", "ms",
           "GFLOP/s", "ratio", "apart");
    for (i = 0; i < CONTESTANTS; i++) {
        struct contestant *contestant = &contestants[i];

        if (!takes_part(contestant))
            continue;
        qsort(contestant->ms, (size_t)settings->runs, sizeof(contestant->ms[0]), by_number);
        printf("%-12s %9.2f %9.0f %9.2f %10.1g\n", contestant->name, contestant->ms[middle],
               1e3 * gflop / contestant->ms[middle], contestants[0].ms[middle] / contestant->ms[middle],
               contestant->apart);
    }
}

/* Plans as the engines make them, for their steps; returns the work of the first. */
static double look_inside(const uint8_t *bytes, size_t size, const struct settings *settings)
{
    double gflop = 0.0;
    int i;

    for (i = 1; i < CONTESTANTS; i++) {
        struct planned planned = {0};

        if (takes_part(&contestants[i]) &&
            planned_make(bytes, size, &contestants[i], settings, &planned, NULL) == SERIN_OK) {
            if (gflop == 0.0)
                gflop = gflop_of(&planned);
            if (settings->steps)
                print_steps(&planned, contestants[i].name, settings);
        }
        planned_done(&planned);
    }
    return gflop;
}

static int bench(const char *path, const struct settings *settings)
{
    struct serin_error error = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum serin_errc rc = file_read(path, MAX_FILE_BYTES, &bytes, &size, &error);
    int i;

    if (rc == SERIN_OK)
        rc = engine_open(bytes, size, &(struct engine_options){.provider = "cpu", .threads = settings->threads},
                         &contestants[0].engine, &error);
    for (i = 0; i < (settings->layouts ? CONTESTANTS : ENGINES) && rc == SERIN_OK; i++)
        if (contestant_open(&contestants[i], bytes, size, settings, &error) != SERIN_OK)
            printf("%-12s %s\n", contestants[i].name, error.message);
    if (rc == SERIN_OK)
        rc = take_turns(settings, &error);
    if (rc == SERIN_OK)
        print_table(path, look_inside(bytes, size, settings), settings);
    else
        fprintf(stderr, "%s: %s\n", path, error.message);
    for (i = 0; i < CONTESTANTS; i++)
        contestant_close(&contestants[i]);
    free(bytes);
    return rc != SERIN_OK;
}

int main(int argc, char **argv)
{
    struct settings settings = {.runs = 20, .threads = 1, .batch = 1, .size_px = 640};
    int i, status = 0;

    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const long number = i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0;

        if (strcmp(argv[i], "--steps") == 0 || strcmp(argv[i], "--bytes") == 0 || strcmp(argv[i], "--layouts") == 0) {
            *(argv[i][2] == 's' ? &settings.steps : argv[i][2] == 'b' ? &settings.bytes : &settings.layouts) = true;
            continue;
        }
        if (number < 1 || number > MAX_RUNS * 8)
            break;
        if (strcmp(argv[i], "--runs") == 0)
            settings.runs = number < MAX_RUNS ? (int)number : MAX_RUNS;
        else if (strcmp(argv[i], "--batch") == 0)
            settings.batch = number;
        else if (strcmp(argv[i], "--size") == 0)
            settings.size_px = number;
        else if (strcmp(argv[i], "--threads") == 0)
            settings.threads = (int)number;
        else
            break;
        i++;
    }
    if (i >= argc || strncmp(argv[i], "--", 2) == 0) {
        fprintf(stderr,
                "usage: bench_engine [--runs N] [--batch N] [--size PIXELS] [--threads N] [--bytes] [--layouts] "
                "[--steps] MODEL.onnx...\n");
        return 2;
    }
    for (; i < argc; i++)
        status |= bench(argv[i], &settings);
    return status;
}
