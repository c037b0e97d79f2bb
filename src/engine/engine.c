/*
 * engine.c - the doors of the engine table: what is checked once for every backend.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend may assume that its inputs have the type and rank of the interface and that their fixed dimensions agree;
 * it is trusted to hand back outputs that are what they say, since it allocated them.
 */
#include "engine/engine.h"

#include "base/providers.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tensor_type_name(enum tensor_type type)
{
    switch (type) {
    case TENSOR_F32:
        return "fp32";
    case TENSOR_F16:
        return "fp16";
    case TENSOR_U8:
        return "uint8";
    case TENSOR_F64:
        return "fp64";
    case TENSOR_I64:
        return "int64";
    case TENSOR_OTHER:
        break;
    }
    return "other";
}

size_t tensor_type_bytes(enum tensor_type type)
{
    switch (type) {
    case TENSOR_U8:
        return 1;
    case TENSOR_F16:
        return 2;
    case TENSOR_F32:
        return 4;
    case TENSOR_F64:
    case TENSOR_I64:
        return 8;
    case TENSOR_OTHER:
        break;
    }
    return 0;
}

const char *tensor_spec_text(const struct tensor_spec *spec, char *text, size_t size)
{
    size_t used;
    int i, n;

    n = snprintf(text, size, "%s[", tensor_type_name(spec->type));
    used = n < 0 ? 0 : (size_t)n;
    for (i = 0; i < spec->rank && used < size; i++) {
        if (spec->shape[i] < 0)
            n = snprintf(text + used, size - used, "%s?", i ? "," : "");
        else
            n = snprintf(text + used, size - used, "%s%lld", i ? "," : "", (long long)spec->shape[i]);
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

enum serin_errc engine_open(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                            struct engine **ret, struct serin_error *error)
{
    struct engine *engine;
    enum serin_errc rc;

    BUG_ON(options->threads < 1 || !options->provider || strcmp(options->provider, "auto") == 0);
    if (text_choice_find(PROVIDERS, options->provider) < 0)
        return error_set(error, SERIN_INVALID, "unknown provider '%s': it is one of %s", options->provider, PROVIDERS);
    engine = calloc(1, sizeof(*engine));
    if (!engine)
        return error_set(error, SERIN_NOMEM, "no memory for an engine");
    engine->backend = strncmp(options->provider, "onednn", 6) == 0 ? &engine_onednn : &engine_onnxruntime;
    engine->threads = engine->least_threads = options->threads;
    engine->gains_by_batch = true;
    rc = engine->backend->open(bytes, size_bytes, options, engine, error);
    if (rc != SERIN_OK) {
        engine_close(engine);
        return rc;
    }
    *ret = engine;
    return SERIN_OK;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    engine->backend->close(engine);
    free(engine);
}

enum serin_errc engine_run(const struct engine *engine, const struct tensor *inputs,
                           const struct engine_selection *selection, int threads, struct engine_outputs *ret,
                           struct serin_error *error)
{
    int i, d;

    BUG_ON(threads < engine->least_threads || threads > engine->threads);
    for (i = 0; i < engine->interface.input_count; i++) {
        const struct tensor_spec *spec = &engine->interface.inputs[i];

        BUG_ON(inputs[i].type != spec->type && !(i == 0 && engine->takes_bytes && inputs[i].type == TENSOR_U8));
        BUG_ON(inputs[i].rank != spec->rank);
        for (d = 0; d < spec->rank; d++)
            BUG_ON(inputs[i].shape[d] <= 0 || (spec->shape[d] >= 0 && inputs[i].shape[d] != spec->shape[d]));
    }
    memset(ret, 0, sizeof(*ret));
    return engine->backend->run(engine, inputs, selection, threads, ret, error);
}

void engine_outputs_done(const struct engine *engine, struct engine_outputs *outputs)
{
    engine->backend->outputs_done(engine, outputs);
    memset(outputs, 0, sizeof(*outputs));
}
