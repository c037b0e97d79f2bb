/*
 * graph_plain_reduce.c - operators that make one number, or an order, of many.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source: onnx/docs/Operators.md.
 */
#include "engine/graph_plain_inside.h"

#include <math.h>

enum serin_errc plain_softmax(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    const float *in = plain->inputs[0];
    float *out = plain->outputs[0];
    int first = plain->node->softmax.first, last = plain->node->softmax.last;
    int64_t outer = plain_product(x, 0, first), size = plain_product(x, first, last);
    int64_t inner = plain_product(x, last, x->rank), n, i, j;

    for (n = 0; n < outer; n++)
        for (i = 0; i < inner; i++) {
            int64_t lane = n * size * inner + i;
            double most = -INFINITY, sum = 0;

            for (j = 0; j < size; j++)
                most = fmax(most, (double)in[lane + j * inner]);
            for (j = 0; j < size; j++)
                sum += exp((double)in[lane + j * inner] - most);
            for (j = 0; j < size; j++)
                out[lane + j * inner] = (float)(exp((double)in[lane + j * inner] - most) / sum);
        }
    return SERIN_OK;
}

enum serin_errc plain_expectation(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    const float *in = plain->inputs[0], *weights = plain->inputs[1];
    const int64_t bins = (int64_t)plain_in(plain, 1)->element_count, inner = plain_product(x, 2, x->rank);
    int64_t part, i, bin;

    for (part = 0; part < plain_product(x, 0, 2) / bins; part++, in += bins * inner)
        for (i = 0; i < inner; i++) {
            double most = -INFINITY, sum = 0, mean = 0;

            for (bin = 0; bin < bins; bin++)
                most = fmax(most, (double)in[bin * inner + i]);
            for (bin = 0; bin < bins; bin++) {
                const double e = exp((double)in[bin * inner + i] - most);

                sum += e;
                mean += e * (double)weights[bin];
            }
            ((float *)plain->outputs[0])[part * inner + i] = (float)(mean / sum);
        }
    return SERIN_OK;
}

/* ---- reductions ---- */

/* The dimensions of x that are reduced, or the others, as a walk over x. */
static struct plain_walk part_walk(const struct graph_value *x, uint32_t axes, bool reduced, int64_t *shape,
                                   int64_t *ret_count)
{
    struct plain_walk walk = {.shape = shape};
    int64_t strides[GRAPH_MAX_RANK] = {0};
    int i;

    *ret_count = 1;
    plain_strides(x, strides);
    for (i = 0; i < x->rank; i++)
        if ((axes >> i & 1) == reduced) {
            shape[walk.rank] = x->shape[i];
            walk.strides[0][walk.rank++] = strides[i];
            *ret_count *= x->shape[i];
        }
    return walk;
}

static float reduce_floats(enum graph_op op, const float *x, struct plain_walk walk, int64_t count)
{
    double result = op == GRAPH_REDUCE_MAX ? -INFINITY : op == GRAPH_REDUCE_MIN ? INFINITY : 0;
    int64_t i;

    for (i = 0; i < count; i++, plain_step(&walk)) {
        double value = (double)x[walk.at[0]];

        if (op == GRAPH_REDUCE_MAX)
            result = value > result || isnan(value) ? value : result;
        else if (op == GRAPH_REDUCE_MIN)
            result = value < result || isnan(value) ? value : result;
        else
            result += value;
    }
    return (float)(op == GRAPH_REDUCE_MEAN ? result / (double)count : result);
}

static int64_t reduce_integers(enum graph_op op, enum graph_type type, const void *x, int64_t offset,
                               struct plain_walk walk, int64_t count)
{
    int64_t result = op == GRAPH_REDUCE_MAX ? INT64_MIN : op == GRAPH_REDUCE_MIN ? INT64_MAX : 0, i;

    for (i = 0; i < count; i++, plain_step(&walk)) {
        int64_t value = plain_integer(type, x, offset + walk.at[0]);

        if (op == GRAPH_REDUCE_MAX)
            result = value > result ? value : result;
        else if (op == GRAPH_REDUCE_MIN)
            result = value < result ? value : result;
        else
            result = (int64_t)((uint64_t)result + (uint64_t)value);
    }
    return op == GRAPH_REDUCE_MEAN ? result / count : result;
}

enum serin_errc plain_reduce(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int64_t kept_shape[GRAPH_MAX_RANK], reduced_shape[GRAPH_MAX_RANK], kept_count, reduced_count, at;
    uint32_t axes = plain->node->reduce.axes;
    struct plain_walk kept = part_walk(x, axes, false, kept_shape, &kept_count);
    struct plain_walk reduced = part_walk(x, axes, true, reduced_shape, &reduced_count);

    for (at = 0; at < kept_count; at++, plain_step(&kept))
        if (x->type == GRAPH_F32)
            ((float *)plain->outputs[0])[at] =
                reduce_floats(plain->node->op, (const float *)plain->inputs[0] + kept.at[0], reduced, reduced_count);
        else
            plain_store(
                x->type, plain->outputs[0], at,
                reduce_integers(plain->node->op, x->type, plain->inputs[0], kept.at[0], reduced, reduced_count));
    return SERIN_OK;
}

/* ---- order ---- */

/* NaN is greater than any number: what a broken network gives must not be sorted away, where nobody sees it. */
static bool greater(enum graph_type type, const void *x, int64_t a, int64_t b)
{
    const float *floats = x;

    if (type == GRAPH_F32)
        return floats[a] > floats[b] || (isnan(floats[a]) && !isnan(floats[b]));
    return plain_integer(type, x, a) > plain_integer(type, x, b);
}

enum serin_errc plain_arg_max(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int axis = plain->node->axis.axis;
    int64_t outer = plain_product(x, 0, axis), size = x->shape[axis], inner = plain_product(x, axis + 1, x->rank);
    int64_t n, i, j;

    for (n = 0; n < outer; n++)
        for (i = 0; i < inner; i++) {
            int64_t lane = n * size * inner + i, best = 0;

            for (j = 1; j < size; j++)
                if (greater(x->type, plain->inputs[0], lane + j * inner, lane + best * inner) ||
                    (plain->node->axis.last &&
                     !greater(x->type, plain->inputs[0], lane + best * inner, lane + j * inner)))
                    best = j;
            ((int64_t *)plain->outputs[0])[n * inner + i] = best;
        }
    return SERIN_OK;
}

/* The best k of one lane, in order, go to indices, which lie inner apart. Equal ones stay in their order. */
static void top_of_lane(const struct plain *plain, int64_t lane, int64_t size, int64_t inner, int64_t k,
                        int64_t *indices)
{
    enum graph_type type = plain_in(plain, 0)->type;
    int64_t j, place, count = 0;

    for (j = 0; j < size; j++) {
        for (place = count; place > 0; place--) {
            int64_t a = lane + j * inner, b = lane + indices[(place - 1) * inner] * inner;

            if (!(plain->node->axis.largest ? greater(type, plain->inputs[0], a, b)
                                            : greater(type, plain->inputs[0], b, a)))
                break;
            if (place < k)
                indices[place * inner] = indices[(place - 1) * inner];
        }
        if (place < k)
            indices[place * inner] = j;
        count += count < k;
    }
}

enum serin_errc plain_top_k(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    int axis = plain->node->axis.axis;
    int64_t outer = plain_product(x, 0, axis), size = x->shape[axis], inner = plain_product(x, axis + 1, x->rank);
    int64_t k = plain_out(plain, 0)->shape[axis], n, i, j;
    size_t width = graph_type_bytes(x->type);

    for (n = 0; n < outer; n++)
        for (i = 0; i < inner; i++) {
            int64_t lane = n * size * inner + i, to = n * k * inner + i;
            int64_t *indices = (int64_t *)plain->outputs[1] + to;

            top_of_lane(plain, lane, size, inner, k, indices);
            for (j = 0; j < k; j++)
                __builtin_memcpy(
                    (uint8_t *)plain->outputs[0] + (size_t)(to + j * inner) * width,
                    (const uint8_t *)plain->inputs[0] + (size_t)(lane + indices[j * inner] * inner) * width, width);
        }
    return SERIN_OK;
}
