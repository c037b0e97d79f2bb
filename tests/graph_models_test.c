/*
 * graph_models_test.c - whole models through graph_plain and through ONNX Runtime, on the same random picture.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   graph_models_test [--size PIXELS] [--batch COUNT] [--tolerance SHARE] MODEL...
 *
 * Free dimensions are set to the batch, and to the size where they are the picture's. The greatest difference of each
 * coordinate, score and coefficient must be below SHARE (1e-4) of its greatest value. Exit status 77: no model is
 * there.
 */
#include "base/file.h"
#include "base/half.h"
#include "engine/graph.h"
#include "engine/graph_plain.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILE_BYTES   ((size_t)512 << 20)
#define MAX_TENSOR_BYTES ((uint64_t)4 << 30)
#define LEAST            1e-2 /* what is smaller counts as this: a score of 1e-6 need not be right in its fifth digit */

struct settings {
    int64_t size_px, batch;
    double tolerance;
};

/* One picture's worth of everything, freed together. */
struct trial {
    struct engine *engine;
    struct graph *read, *shaped;
    struct tensor inputs[ENGINE_MAX_TENSORS];
    float *wide[ENGINE_MAX_TENSORS]; /* an fp16 input as a graph wants it */
    void *outputs[ENGINE_MAX_TENSORS];
    struct engine_outputs expected;
    bool ran;
};

static uint64_t random_state = 88172645463325252u;

/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003): the same pictures each time. */
static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool make_input(struct trial *trial, int index, const struct settings *settings)
{
    const struct tensor_spec *spec = &trial->engine->interface.inputs[index];
    struct tensor *input = &trial->inputs[index];
    size_t count = 1, i;
    int j;

    input->type = spec->type;
    input->rank = spec->rank;
    for (j = 0; j < spec->rank; j++) {
        input->shape[j] = spec->shape[j] > 0 ? spec->shape[j] : j == 0 ? settings->batch : settings->size_px;
        count *= (size_t)input->shape[j];
    }
    input->values = malloc(count * 8);
    trial->wide[index] = malloc(count * sizeof(float));
    if (!input->values || !trial->wide[index])
        return false;
    for (i = 0; i < count; i++) {
        float value = (float)(random_bits() >> 8) * 0x1p-24f;

        if (spec->type == TENSOR_F16) {
            ((uint16_t *)input->values)[i] = half_from_float(value);
            trial->wide[index][i] = half_round(value);
        } else if (spec->type == TENSOR_U8) {
            ((uint8_t *)input->values)[i] = (uint8_t)(value * 256);
        } else {
            ((float *)input->values)[i] = value;
        }
    }
    return true;
}

static double at(const struct tensor *tensor, size_t index)
{
    switch (tensor->type) {
    case TENSOR_F16:
        return (double)half_to_float(((const uint16_t *)tensor->values)[index]);
    case TENSOR_I64:
        return (double)((const int64_t *)tensor->values)[index];
    case TENSOR_U8:
        return (double)((const uint8_t *)tensor->values)[index];
    default:
        return (double)((const float *)tensor->values)[index];
    }
}

static double own_at(const struct graph_value *value, const void *bytes, size_t index)
{
    switch (value->type) {
    case GRAPH_I64:
        return (double)((const int64_t *)bytes)[index];
    case GRAPH_U8:
        return (double)((const uint8_t *)bytes)[index];
    default:
        return (double)((const float *)bytes)[index];
    }
}

/* The dimension along which numbers of different kinds lie side by side: coordinates, scores, coefficients. */
static int kinds_axis(const struct graph_value *value)
{
    int i, axis = value->rank - 1;

    for (i = value->rank - 1; i > 0; i--)
        if (value->shape[i] < value->shape[axis])
            axis = i;
    return axis;
}

/* The greatest difference of one kind, as a share of the greatest value of that kind, or of LEAST. */
static double worst_share(const struct graph_value *own, const void *bytes, const struct tensor *other)
{
    int axis = kinds_axis(own), i;
    size_t inner = 1, k, count = (size_t)own->shape[axis], kind;
    double worst = 0;

    for (i = axis + 1; i < own->rank; i++)
        inner *= (size_t)own->shape[i];
    for (kind = 0; kind < count; kind++) {
        double most = LEAST, difference = 0;

        for (k = 0; k < own->element_count; k++) {
            double expected, apart;

            if (k / inner % count != kind)
                continue;
            expected = at(other, k);
            apart = fabs(own_at(own, bytes, k) - expected);
            most = fmax(most, fabs(expected));
            difference = !(apart <= difference) ? apart : difference; /* NaN counts */
        }
        worst = !(difference / most <= worst) ? difference / most : worst;
    }
    return worst;
}

static bool compare(const struct trial *trial, const struct settings *settings)
{
    bool good = true;
    int i, j;

    for (i = 0; i < trial->shaped->output_count; i++) {
        const struct graph_value *own = &trial->shaped->values[trial->shaped->outputs[i]];
        const struct tensor *other = &trial->expected.tensors[i];
        double share;

        for (j = 0; j < other->rank; j++)
            if (own->rank != other->rank || own->shape[j] != other->shape[j]) {
                printf("  output %d has another shape than ONNX Runtime's\n", i);
                return false;
            }
        share = own->rank ? worst_share(own, trial->outputs[i], other) : 0;
        printf("  %s: apart by a share of %.2g\n", trial->engine->interface.outputs[i].name, share);
        good = good && share <= settings->tolerance;
    }
    return good;
}

static enum serin_errc run(struct trial *trial, const uint8_t *bytes, size_t size, const struct settings *settings,
                           struct serin_error *error)
{
    struct engine_options options = {.provider = "cpu", .threads = 1};
    const void *inputs[ENGINE_MAX_TENSORS];
    double began, read, shaped;
    enum serin_errc rc;
    int i;

    rc = engine_open(bytes, size, &options, &trial->engine, error);
    if (rc)
        return rc;
    for (i = 0; i < trial->engine->interface.input_count; i++)
        if (!make_input(trial, i, settings))
            return error_set(error, SERIN_NOMEM, "no memory for the input");
    rc = engine_run(trial->engine, trial->inputs, NULL, trial->engine->threads, &trial->expected, error);
    if (rc)
        return rc;
    trial->ran = true;
    began = cpu_seconds();
    rc = graph_read(bytes, size, &trial->read, error);
    read = cpu_seconds();
    if (rc == SERIN_OK)
        rc = graph_shape(trial->read, trial->inputs, &trial->shaped, error);
    shaped = cpu_seconds();
    if (rc)
        return rc;
    for (i = 0; i < trial->shaped->input_count; i++)
        inputs[i] = trial->inputs[i].type == TENSOR_F16 ? trial->wide[i] : trial->inputs[i].values;
    for (i = 0; i < trial->shaped->output_count; i++) {
        trial->outputs[i] = malloc(graph_value_bytes(&trial->shaped->values[trial->shaped->outputs[i]]) + 1);
        if (!trial->outputs[i])
            return error_set(error, SERIN_NOMEM, "no memory for the output");
    }
    rc = graph_plain_run(trial->shaped, MAX_TENSOR_BYTES, inputs, trial->outputs, error);
    if (rc == SERIN_OK)
        printf("  %d nodes of %d; CPU ms: read %.1f, shapes %.1f, run %.0f\n", trial->shaped->node_count,
               trial->read->node_count, (read - began) * 1e3, (shaped - read) * 1e3, (cpu_seconds() - shaped) * 1e3);
    return rc;
}

static void trial_done(struct trial *trial)
{
    int i;

    if (trial->ran)
        engine_outputs_done(trial->engine, &trial->expected);
    for (i = 0; i < ENGINE_MAX_TENSORS; i++) {
        free(trial->inputs[i].values);
        free(trial->wide[i]);
        free(trial->outputs[i]);
    }
    graph_free(trial->shaped);
    graph_free(trial->read);
    engine_close(trial->engine);
}

static bool try_model(const char *path, const struct settings *settings)
{
    struct serin_error error = {.code = SERIN_OK};
    struct trial trial = {.engine = NULL};
    uint8_t *bytes = NULL;
    size_t size = 0;
    bool good;

    printf("%s\n", path);
    if (file_read(path, MAX_FILE_BYTES, &bytes, &size, &error)) {
        printf("  %s\n", error.message);
        return false;
    }
    if (run(&trial, bytes, size, settings, &error)) {
        printf("  %s: %s\n", serin_errc_text(error.code), error.message);
        good = false;
    } else {
        good = compare(&trial, settings);
    }
    trial_done(&trial);
    free(bytes);
    return good;
}

int main(int argc, char **argv)
{
    struct settings settings = {.size_px = 160, .batch = 2, .tolerance = 1e-4};
    int i, tried = 0, failed = 0;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--size") == 0 && i + 1 < argc) {
            settings.size_px = atoll(argv[++i]);
        } else if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc) {
            settings.batch = atoll(argv[++i]);
        } else if (strcmp(argv[i], "--tolerance") == 0 && i + 1 < argc) {
            settings.tolerance = atof(argv[++i]);
        } else if (access(argv[i], R_OK) == 0) {
            tried++;
            failed += !try_model(argv[i], &settings);
        }
    }
    printf("%d models, %d failed\n", tried, failed);
    return failed ? 1 : tried ? 0 : 77;
}
