/*
 * convolution_floor.c - the least time of a network's convolutions, by oneDNN's C API of either generation.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Not through engine/onednn.h, which has the engine's layouts: here every tensor's layout is "any". Each convolution
 * has memory of its own, so that its input does not lie in the cache, much as in a network. Numbers are all the same,
 * since no kernel looks at them, and neither large nor denormal.
 */
#include "convolution_floor.h"

#include <oneapi/dnnl/dnnl.h>

#include <stdlib.h>
#include <string.h>

enum { SRC, WEIGHTS, BIAS, DST, TENSORS };

static const int arguments[TENSORS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};

struct one {
    dnnl_primitive_t primitive;
    dnnl_memory_t memories[TENSORS];
};

struct convolution_floor {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct one *ones;
    int count;
};

/* ---- the two generations ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t descriptor;
typedef const_dnnl_memory_desc_t borrowed;

static dnnl_status_t describe(descriptor *ret, int rank, const dnnl_dims_t shape, dnnl_data_type_t type)
{
    return dnnl_memory_desc_create_with_tag(ret, rank, shape, type, rank == 1 ? dnnl_x : dnnl_format_tag_any);
}

static void forget(descriptor *d)
{
    if (*d)
        dnnl_memory_desc_destroy(*d);
}

static dnnl_status_t append_swish(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_swish, 1.0f, 0.0f);
}
#else
typedef dnnl_memory_desc_t descriptor;
typedef const dnnl_memory_desc_t *borrowed;

static dnnl_status_t describe(descriptor *ret, int rank, const dnnl_dims_t shape, dnnl_data_type_t type)
{
    return dnnl_memory_desc_init_by_tag(ret, rank, shape, type, rank == 1 ? dnnl_x : dnnl_format_tag_any);
}

static void forget(descriptor *d)
{
    (void)d;
}

static dnnl_status_t append_swish(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_swish, 1.0f, 0.0f);
}
#endif

static dnnl_status_t convolution(dnnl_engine_t engine, const struct graph_window *window, const descriptor *d,
                                 dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *ret)
{
    const dnnl_dims_t strides = {window->stride[0], window->stride[1]};
    const dnnl_dims_t dilates = {window->dilation[0] - 1, window->dilation[1] - 1};
    const dnnl_dims_t begin = {window->pad_begin[0], window->pad_begin[1]};
    const dnnl_dims_t end = {window->pad_end[0], window->pad_end[1]};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(ret, engine, dnnl_forward_inference, dnnl_convolution_direct,
                                                          d[SRC], d[WEIGHTS], d[BIAS], d[DST], strides, dilates, begin,
                                                          end, attributes);
#else
    dnnl_convolution_desc_t described;
    const dnnl_status_t status =
        dnnl_dilated_convolution_forward_desc_init(&described, dnnl_forward_inference, dnnl_convolution_direct, &d[SRC],
                                                   &d[WEIGHTS], &d[BIAS], &d[DST], strides, dilates, begin, end);

    return status == dnnl_success ? dnnl_primitive_desc_create(ret, &described, attributes, engine, NULL) : status;
#endif
}

/* ---- one convolution ---- */

/* Half everywhere, in bytes one. */
static void fill(void *memory, size_t bytes, dnnl_data_type_t type)
{
    const float half = 0.5f;
    size_t i;

    if (type == dnnl_f32)
        for (i = 0; i + sizeof(half) <= bytes; i += sizeof(half))
            memcpy((char *)memory + i, &half, sizeof(half));
    else if (type == dnnl_bf16)
        for (i = 0; i + 2 <= bytes; i += 2)
            memcpy((char *)memory + i, (const uint8_t[]){0x00, 0x3f}, 2);
    else
        memset(memory, 1, bytes);
}

static dnnl_status_t make_memory(dnnl_engine_t engine, borrowed layout, dnnl_data_type_t type, dnnl_memory_t *ret)
{
    dnnl_status_t status = dnnl_memory_create(ret, layout, engine, DNNL_MEMORY_ALLOCATE);
    void *bytes = NULL;

    if (status == dnnl_success)
        status = dnnl_memory_get_data_handle(*ret, &bytes);
    if (status == dnnl_success)
        fill(bytes, dnnl_memory_desc_get_size(layout), type);
    return status;
}

static dnnl_status_t make_attributes(bool silu, dnnl_primitive_attr_t *ret)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(ret);

    if (status != dnnl_success || !silu)
        return status;
    status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success)
        status = append_swish(ops);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*ret, ops);
    if (ops)
        dnnl_post_ops_destroy(ops);
    return status;
}

static dnnl_status_t make_one(dnnl_engine_t engine, const struct graph *graph, const struct graph_node *node,
                              enum floor_precision precision, struct one *ret)
{
    static const dnnl_data_type_t types[][TENSORS] = {
        [FLOOR_F32] = {dnnl_f32, dnnl_f32, dnnl_f32, dnnl_f32},
        [FLOOR_BF16] = {dnnl_bf16, dnnl_bf16, dnnl_f32, dnnl_bf16},
        [FLOOR_INT8] = {dnnl_u8, dnnl_s8, dnnl_f32, dnnl_u8},
    };
    static const dnnl_query_t queries[TENSORS] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_weights_md,
                                                  dnnl_query_dst_md};
    const int64_t *x = graph->values[node->inputs[0]].shape, *w = graph->values[node->inputs[1]].shape;
    const int64_t *y = graph->values[node->outputs[0]].shape, groups = node->conv.groups;
    const dnnl_dims_t src = {x[0], x[1], x[2], x[3]}, dst = {y[0], y[1], y[2], y[3]}, bias = {y[1]};
    const dnnl_dims_t weights = {w[0], w[1], w[2], w[3]}, grouped = {groups, w[0] / groups, w[1], w[2], w[3]};
    descriptor d[TENSORS];
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status;
    int i;

    memset(d, 0, sizeof(d));
    status = make_attributes(node->conv.activation.op == GRAPH_SILU, &attributes);
    if (status == dnnl_success)
        status = describe(&d[SRC], 4, src, types[precision][SRC]);
    if (status == dnnl_success)
        status = describe(&d[WEIGHTS], groups > 1 ? 5 : 4, groups > 1 ? grouped : weights, types[precision][WEIGHTS]);
    if (status == dnnl_success)
        status = describe(&d[BIAS], 1, bias, types[precision][BIAS]);
    if (status == dnnl_success)
        status = describe(&d[DST], 4, dst, types[precision][DST]);
    if (status == dnnl_success)
        status = convolution(engine, &node->conv.window, d, attributes, &pd);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&ret->primitive, pd);
    for (i = 0; i < TENSORS && status == dnnl_success; i++)
        status = make_memory(engine, dnnl_primitive_desc_query_md(pd, queries[i], i == BIAS), types[precision][i],
                             &ret->memories[i]);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    for (i = 0; i < TENSORS; i++)
        forget(&d[i]);
    return status;
}

/* ---- all of them ---- */

enum serin_errc convolution_floor_new(const struct graph *graph, enum floor_precision precision,
                                      struct convolution_floor **ret, struct serin_error *error)
{
    struct convolution_floor *floor = calloc(1, sizeof(*floor));
    dnnl_status_t status = dnnl_out_of_memory;
    int i;

    if (floor)
        floor->ones = calloc((size_t)graph->node_count + 1, sizeof(*floor->ones));
    if (floor && floor->ones)
        status = dnnl_engine_create(&floor->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&floor->stream, floor->engine, dnnl_stream_default_flags);
    for (i = 0; i < graph->node_count && status == dnnl_success; i++)
        if (graph->nodes[i].op == GRAPH_CONV)
            status = make_one(floor->engine, graph, &graph->nodes[i], precision, &floor->ones[floor->count++]);
    if (status != dnnl_success) {
        convolution_floor_free(floor);
        return error_set(error, status == dnnl_out_of_memory ? SERIN_NOMEM : SERIN_UNSUPPORTED,
                         "oneDNN ended with status %d for one of the convolutions", (int)status);
    }
    *ret = floor;
    return SERIN_OK;
}

enum serin_errc convolution_floor_run(const struct convolution_floor *floor, struct serin_error *error)
{
    int i, k;

    for (i = 0; i < floor->count; i++) {
        dnnl_exec_arg_t given[TENSORS];

        for (k = 0; k < TENSORS; k++)
            given[k] = (dnnl_exec_arg_t){arguments[k], floor->ones[i].memories[k]};
        if (dnnl_primitive_execute(floor->ones[i].primitive, floor->stream, TENSORS, given) != dnnl_success)
            return error_set(error, SERIN_ENGINE, "oneDNN does not run convolution %d of %d", i + 1, floor->count);
    }
    if (dnnl_stream_wait(floor->stream) != dnnl_success)
        return error_set(error, SERIN_ENGINE, "oneDNN does not end");
    return SERIN_OK;
}

void convolution_floor_free(struct convolution_floor *floor)
{
    int i, k;

    if (!floor)
        return;
    for (i = 0; i < floor->count; i++) {
        for (k = 0; k < TENSORS; k++)
            if (floor->ones[i].memories[k])
                dnnl_memory_destroy(floor->ones[i].memories[k]);
        if (floor->ones[i].primitive)
            dnnl_primitive_destroy(floor->ones[i].primitive);
    }
    if (floor->stream)
        dnnl_stream_destroy(floor->stream);
    if (floor->engine)
        dnnl_engine_destroy(floor->engine);
    free(floor->ones);
    free(floor);
}
