/*
 * graph_plain_moves.c - operators that only move elements, of whatever type: y[i] = x[somewhere].
 * SPDX-License-Identifier: Apache-2.0
 *
 * graph_infer has checked all sizes; what is checked here are indices, which are data. Source: onnx/docs/Operators.md.
 */
#include "engine/graph_plain_inside.h"

#include <inttypes.h>
#include <string.h>

/* y[element to] = x[element from] */
static void move(const struct plain *plain, size_t width, int64_t to, int64_t from)
{
    memcpy((uint8_t *)plain->outputs[0] + (size_t)to * width, (const uint8_t *)plain->inputs[0] + (size_t)from * width,
           width);
}

/* Copies y's elements in order from x, beginning at offset and going by strides. */
static enum serin_errc move_strided(const struct plain *plain, int64_t offset, const int64_t *strides)
{
    const struct graph_value *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    size_t width = graph_type_bytes(y->type);
    int64_t at;

    memcpy(walk.strides[0], strides, (size_t)y->rank * sizeof(*strides));
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk))
        move(plain, width, at, offset + walk.at[0]);
    return SERIN_OK;
}

enum serin_errc plain_slice(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int64_t strides[GRAPH_MAX_RANK] = {0}, offset = 0;
    int i;

    plain_strides(x, strides);
    for (i = 0; i < x->rank; i++) {
        offset += plain->node->slice.begin[i] * strides[i];
        strides[i] *= plain->node->slice.step[i];
    }
    return move_strided(plain, offset, strides);
}

enum serin_errc plain_transpose(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int64_t strides[GRAPH_MAX_RANK] = {0}, moved[GRAPH_MAX_RANK] = {0};
    int i;

    plain_strides(x, strides);
    for (i = 0; i < x->rank; i++)
        moved[i] = strides[plain->node->transpose.permutation[i]];
    return move_strided(plain, 0, moved);
}

enum serin_errc plain_expand(const struct plain *plain)
{
    int64_t strides[GRAPH_MAX_RANK];

    plain_broadcast(plain_in(plain, 0), plain_out(plain, 0), strides);
    return move_strided(plain, 0, strides);
}

enum serin_errc plain_reshape(const struct plain *plain)
{
    size_t bytes = (size_t)graph_value_bytes(plain_out(plain, 0));

    if (bytes)
        memcpy(plain->outputs[0], plain->inputs[0], bytes);
    return SERIN_OK;
}

enum serin_errc plain_tile(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    int64_t strides[GRAPH_MAX_RANK] = {0}, at, from;
    int i;

    plain_strides(x, strides);
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        for (i = 0, from = 0; i < x->rank; i++)
            from += walk.index[i] % x->shape[i] * strides[i];
        move(plain, graph_type_bytes(x->type), at, from);
    }
    return SERIN_OK;
}

/* ---- concat, split, pad ---- */

/* Both are runs of equal length on one side, and parts of a longer run on the other. */
enum serin_errc plain_concat(const struct plain *plain)
{
    const struct graph_value *y = plain_out(plain, 0);
    int axis = plain->node->axis.axis, i;
    int64_t outer = plain_product(y, 0, axis), inner = plain_product(y, axis, y->rank), n;
    size_t width = graph_type_bytes(y->type), offset = 0;

    for (i = 0; i < plain->node->input_count; i++) {
        size_t run = (size_t)plain_product(plain_in(plain, i), axis, y->rank) * width;

        for (n = 0; run && n < outer; n++)
            memcpy((uint8_t *)plain->outputs[0] + (size_t)(n * inner) * width + offset,
                   (const uint8_t *)plain->inputs[i] + (size_t)n * run, run);
        offset += run;
    }
    return SERIN_OK;
}

enum serin_errc plain_split(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int axis = plain->node->axis.axis, i;
    int64_t outer = plain_product(x, 0, axis), inner = plain_product(x, axis, x->rank), n;
    size_t width = graph_type_bytes(x->type), offset = 0;

    for (i = 0; i < plain->node->output_count; i++) {
        size_t run = (size_t)plain_product(plain_out(plain, i), axis, x->rank) * width;

        for (n = 0; run && n < outer; n++)
            memcpy((uint8_t *)plain->outputs[i] + (size_t)n * run,
                   (const uint8_t *)plain->inputs[0] + (size_t)(n * inner) * width + offset, run);
        offset += run;
    }
    return SERIN_OK;
}

/* Where place lies in a dimension that was padded, or -1 for the padding itself. */
static int64_t unpadded(enum graph_pad_mode mode, int64_t place, int64_t size)
{
    if (place >= 0 && place < size)
        return place;
    switch (mode) {
    case GRAPH_PAD_REFLECT:
        return place < 0 ? -place : 2 * (size - 1) - place;
    case GRAPH_PAD_EDGE:
        return place < 0 ? 0 : size - 1;
    case GRAPH_PAD_CONSTANT:
        break;
    }
    return -1;
}

enum serin_errc plain_pad(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    int64_t strides[GRAPH_MAX_RANK] = {0}, at, from, place;
    int i;

    plain_strides(x, strides);
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        for (i = 0, from = 0; i < x->rank && from >= 0; i++) {
            place = unpadded(plain->node->pad.mode, walk.index[i] - plain->node->pad.begin[i], x->shape[i]);
            from = place < 0 ? -1 : from + place * strides[i];
        }
        if (from >= 0)
            move(plain, graph_type_bytes(x->type), at, from);
        else if (y->type == GRAPH_F32)
            ((float *)plain->outputs[0])[at] = (float)plain->node->pad.value;
        else
            plain_store(y->type, plain->outputs[0], at, (int64_t)plain->node->pad.value);
    }
    return SERIN_OK;
}

/* ---- gathering ---- */

/* Index at of the second input, for a dimension of that size; negative ones count from the end. */
static enum serin_errc index_at(const struct plain *plain, int64_t at, int64_t size, int64_t *ret)
{
    int64_t index = plain_integer(plain_in(plain, 1)->type, plain->inputs[1], at);

    if (index < -size || index >= size)
        return error_set(plain->error, SERIN_MODEL, "index %" PRId64 " of %" PRId64, index, size);
    *ret = index < 0 ? index + size : index;
    return SERIN_OK;
}

enum serin_errc plain_gather(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int axis = plain->node->axis.axis;
    int64_t outer = plain_product(x, 0, axis), inner = plain_product(x, axis + 1, x->rank);
    int64_t count = (int64_t)plain_in(plain, 1)->element_count, n, i, index = 0;
    size_t run = (size_t)inner * graph_type_bytes(x->type);
    enum serin_errc rc;

    for (n = 0; n < outer; n++)
        for (i = 0; i < count; i++) {
            rc = index_at(plain, i, x->shape[axis], &index);
            if (rc)
                return rc;
            if (run)
                memcpy((uint8_t *)plain->outputs[0] + (size_t)(n * count + i) * run,
                       (const uint8_t *)plain->inputs[0] + (size_t)(n * x->shape[axis] + index) * run, run);
        }
    return SERIN_OK;
}

enum serin_errc plain_gather_elements(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    int axis = plain->node->axis.axis;
    int64_t at, index = 0, stride;
    enum serin_errc rc;

    plain_strides(x, walk.strides[0]);
    stride = walk.strides[0][axis];
    walk.strides[0][axis] = 0;
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        rc = index_at(plain, at, x->shape[axis], &index);
        if (rc)
            return rc;
        move(plain, graph_type_bytes(x->type), at, walk.at[0] + index * stride);
    }
    return SERIN_OK;
}

enum serin_errc plain_gather_nd(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *indices = plain_in(plain, 1);
    int batch = plain->node->batch_dims, depth = (int)indices->shape[indices->rank - 1], j;
    int64_t batches = plain_product(x, 0, batch), inner = plain_product(x, batch + depth, x->rank);
    int64_t per_batch = plain_product(indices, batch, indices->rank - 1), n, i, index = 0,
            strides[GRAPH_MAX_RANK] = {0};
    size_t run = (size_t)inner * graph_type_bytes(x->type);
    enum serin_errc rc;

    plain_strides(x, strides);
    for (n = 0; n < batches; n++)
        for (i = 0; i < per_batch; i++) {
            int64_t from = n * plain_product(x, batch, x->rank), to = n * per_batch + i;

            for (j = 0; j < depth; j++) {
                rc = index_at(plain, to * depth + j, x->shape[batch + j], &index);
                if (rc)
                    return rc;
                from += index * strides[batch + j];
            }
            if (run)
                memcpy((uint8_t *)plain->outputs[0] + (size_t)to * run,
                       (const uint8_t *)plain->inputs[0] + (size_t)from * graph_type_bytes(x->type), run);
        }
    return SERIN_OK;
}
