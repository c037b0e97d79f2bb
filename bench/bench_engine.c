/*
 * bench_engine.c - one network in each engine: milliseconds of processor, GFLOP/s, and how far the outputs are apart.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   bench_engine [--runs N] [--batch N] [--size PIXELS] [--threads N] [--bytes] [--steps] MODEL.onnx...
 *
 * The engines take turns, run by run, so that what disturbs the machine disturbs all; processor time, not the clock,
 * so that neighbours count little. Shown is the median, and ONNX Runtime's median over it. --steps shows where the time
 * of a run of oneDNN's engine goes, in fp32 and in bf16: each step, each kind of step. --bytes: an engine that takes
 * bytes for fp32 gets them, as it does from pictures.
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

static const char *const providers[] = {"cpu", "onednn", "onednn-bf16"}; /* the first is what the others are beside */

enum { PROVIDERS = sizeof(providers) / sizeof(providers[0]) };

struct settings {
    int runs, threads;
    int64_t batch, size_px;
    bool steps, bytes;
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

/* Multiply-adds of the convolutions and matrix products, in units of 10^9 operations; and with steps, where they go. */
static double measure_plan(const uint8_t *bytes, size_t size, enum plan_precision precision, const struct tensor *input,
                           const struct settings *settings)
{
    const struct plan_options options = {
        .precision = precision, .threads = settings->threads, .bytes = settings->bytes && input->type == TENSOR_U8};
    struct plan_weights *weights = plan_weights_new();
    struct graph *graph = NULL;
    struct plan *plan = NULL;
    struct plan_slot *slot = NULL;
    double gflop = 0.0;
    int i;

    if (weights && graph_read(bytes, size, &graph, NULL) == SERIN_OK &&
        plan_new(graph, input, &options, weights, &plan, NULL) == SERIN_OK) {
        const struct graph *shaped = plan_graph(plan);

        for (i = 0; i < shaped->node_count; i++)
            if (shaped->nodes[i].op == GRAPH_CONV || shaped->nodes[i].op == GRAPH_CONV_TRANSPOSE ||
                shaped->nodes[i].op == GRAPH_MATMUL || shaped->nodes[i].op == GRAPH_GEMM)
                gflop += 2e-9 * (double)graph_node_work(shaped, &shaped->nodes[i]);
        if (settings->steps && plan_slot_new(plan, &slot, NULL) == SERIN_OK) {
            for (i = 0; i < settings->runs && plan_run(slot, NULL) == SERIN_OK; i++)
                ;
            printf("%s:\n", precision == PLAN_F32 ? "onednn" : "onednn-bf16");
            plan_print(plan, slot, stdout);
        }
    }
    plan_slot_free(slot);
    plan_free(plan);
    plan_weights_free(weights);
    graph_free(graph);
    return gflop;
}

static int bench(const char *path, const struct settings *settings)
{
    static double ms[PROVIDERS][MAX_RUNS];
    struct engine *engines[PROVIDERS] = {NULL};
    struct engine_outputs outputs, wanted;
    double apart[PROVIDERS] = {0.0}, before, gflop;
    struct serin_error error = {0};
    uint8_t *bytes = NULL;
    struct tensor inputs[PROVIDERS] = {0};
    size_t size = 0;
    int i, run, status = 1;

    if (file_read(path, MAX_FILE_BYTES, &bytes, &size, &error) != SERIN_OK)
        goto out;
    for (i = 0; i < PROVIDERS; i++) {
        const struct engine_options options = {.provider = providers[i], .threads = settings->threads};

        if (engine_open(bytes, size, &options, &engines[i], &error) != SERIN_OK) {
            if (i == 0)
                goto out;
            printf("%-12s %s\n", providers[i], error.message);
        }
    }
    for (i = 0; i < PROVIDERS; i++) {
        const struct tensor_spec *spec = &engines[0]->interface.inputs[0];

        if (!make_input(spec, settings->bytes && engines[i] && engines[i]->takes_bytes ? TENSOR_U8 : spec->type,
                        settings, &inputs[i]))
            goto out;
    }
    if (engine_run(engines[0], &inputs[0], settings->threads, &wanted, &error) != SERIN_OK)
        goto out;
    for (i = 1; i < PROVIDERS; i++)
        if (engines[i]) {
            if (engine_run(engines[i], &inputs[i], settings->threads, &outputs, &error) != SERIN_OK)
                goto out;
            apart[i] = difference(&wanted.tensors[0], &outputs.tensors[0]);
            engine_outputs_done(engines[i], &outputs);
        }
    engine_outputs_done(engines[0], &wanted);
    for (run = 0; run < settings->runs; run++)
        for (i = 0; i < PROVIDERS; i++) {
            if (!engines[i])
                continue;
            before = processor_ms();
            if (engine_run(engines[i], &inputs[i], settings->threads, &outputs, &error) != SERIN_OK)
                goto out;
            ms[i][run] = processor_ms() - before;
            engine_outputs_done(engines[i], &outputs);
        }
    if (settings->steps && engines[2])
        measure_plan(bytes, size, PLAN_BF16, &inputs[2], settings);
    gflop = measure_plan(bytes, size, PLAN_F32, &inputs[engines[1] ? 1 : 0], settings);
    printf("%s: %.2f GFLOP, %d runs\n%-12s %9s %9s %9s %10s\n", path, gflop, settings->runs, "provider", "ms",
           "GFLOP/s", "ratio", "apart");
    for (i = 0; i < PROVIDERS; i++) {
        if (!engines[i])
            continue;
        qsort(ms[i], (size_t)settings->runs, sizeof(ms[i][0]), by_number);
        printf("%-12s %9.2f %9.0f %9.2f %10.1g\n", providers[i], ms[i][settings->runs / 2],
               1e3 * gflop / ms[i][settings->runs / 2], ms[0][settings->runs / 2] / ms[i][settings->runs / 2],
               apart[i]);
    }
    status = 0;
out:
    if (status)
        fprintf(stderr, "%s: %s\n", path, error.message);
    for (i = 0; i < PROVIDERS; i++) {
        engine_close(engines[i]);
        free(inputs[i].values);
    }
    free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.runs = 20, .threads = 1, .batch = 1, .size_px = 640};
    int i, status = 0;

    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const long number = i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0;

        if (strcmp(argv[i], "--steps") == 0 || strcmp(argv[i], "--bytes") == 0) {
            *(argv[i][2] == 's' ? &settings.steps : &settings.bytes) = true;
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
        fprintf(stderr, "usage: bench_engine [--runs N] [--batch N] [--size PIXELS] [--threads N] [--bytes] [--steps] "
                        "MODEL.onnx...\n");
        return 2;
    }
    for (; i < argc; i++)
        status |= bench(argv[i], &settings);
    return status;
}
