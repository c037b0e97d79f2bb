/*
 * graph_plain_layers.c - convolutions, products of matrices, pools and resizing, by their definitions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * graph_infer has checked that everything fits. Sums of floats are kept in double, of integers in 32 bits that wrap, as
 * ONNX has them. Source: onnx/docs/Operators.md.
 */
#include "engine/graph_plain_inside.h"

#include <math.h>

enum serin_errc plain_conv(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *weight = plain_in(plain, 1), *y = plain_out(plain, 0);
    const struct graph_window *window = &plain->node->conv.window;
    const float *in = plain->inputs[0], *weights = plain->inputs[1];
    const float *bias = plain_has(plain, 2) ? plain->inputs[2] : NULL;
    const float *residual = plain_has(plain, 3) ? plain->inputs[3] : NULL;
    int64_t height = x->shape[2], width = x->shape[3], per_group = weight->shape[1];
    int64_t out_per_group = y->shape[1] / plain->node->conv.groups;
    int64_t n, c, row, column, i, kr, kc, first[2], last[2], start[2], at = 0;

    if (plain->node->conv.quantized)
        return plain_conv_quantized(plain);
    for (n = 0; n < y->shape[0]; n++)
        for (c = 0; c < y->shape[1]; c++)
            for (row = 0; row < y->shape[2]; row++) {
                plain_overlap(window, 0, row, height, &start[0], &first[0], &last[0]);
                for (column = 0; column < y->shape[3]; column++, at++) {
                    double sum = bias ? (double)bias[c] : 0;
                    float result;

                    plain_overlap(window, 1, column, width, &start[1], &first[1], &last[1]);
                    for (i = 0; i < per_group; i++) {
                        const float *plane =
                            in + (n * x->shape[1] + c / out_per_group * per_group + i) * height * width;
                        const float *kernel = weights + (c * per_group + i) * window->kernel[0] * window->kernel[1];

                        for (kr = first[0]; kr < last[0]; kr++)
                            for (kc = first[1]; kc < last[1]; kc++)
                                sum += (double)plane[(start[0] + kr * window->dilation[0]) * width + start[1] +
                                                     kc * window->dilation[1]] *
                                       (double)kernel[kr * window->kernel[1] + kc];
                    }
                    result = (float)sum;
                    if (residual && plain->node->conv.residual_first)
                        result += residual[at];
                    if (plain->node->conv.activation.op != GRAPH_REMOVED)
                        result = graph_plain_unary(&plain->node->conv.activation, result);
                    if (residual && !plain->node->conv.residual_first)
                        result += residual[at];
                    ((float *)plain->outputs[0])[at] = result;
                }
            }
    return SERIN_OK;
}

/* A zero point: input number of one element, or one for each index. */
static int64_t zero_point(const struct plain *plain, int number, int64_t index)
{
    if (!plain_has(plain, number))
        return 0;
    return plain_integer(plain_in(plain, number)->type, plain->inputs[number],
                         plain_in(plain, number)->element_count == 1 ? 0 : index);
}

enum serin_errc plain_conv_integer(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *weight = plain_in(plain, 1), *y = plain_out(plain, 0);
    const struct graph_window *window = &plain->node->conv.window;
    int64_t height = x->shape[2], width = x->shape[3], per_group = weight->shape[1];
    int64_t out_per_group = y->shape[1] / plain->node->conv.groups, x_zero = zero_point(plain, 2, 0);
    int64_t n, c, row, column, i, kr, kc, first[2], last[2], start[2], at = 0;

    for (n = 0; n < y->shape[0]; n++)
        for (c = 0; c < y->shape[1]; c++)
            for (row = 0; row < y->shape[2]; row++) {
                plain_overlap(window, 0, row, height, &start[0], &first[0], &last[0]);
                for (column = 0; column < y->shape[3]; column++, at++) {
                    int64_t sum = 0, weight_zero = zero_point(plain, 3, c);

                    plain_overlap(window, 1, column, width, &start[1], &first[1], &last[1]);
                    for (i = 0; i < per_group; i++) {
                        int64_t plane = (n * x->shape[1] + c / out_per_group * per_group + i) * height * width;
                        int64_t kernel = (c * per_group + i) * window->kernel[0] * window->kernel[1];

                        for (kr = first[0]; kr < last[0]; kr++)
                            for (kc = first[1]; kc < last[1]; kc++)
                                sum += (plain_integer(x->type, plain->inputs[0],
                                                      plane + (start[0] + kr * window->dilation[0]) * width + start[1] +
                                                          kc * window->dilation[1]) -
                                        x_zero) *
                                       (plain_integer(weight->type, plain->inputs[1],
                                                      kernel + kr * window->kernel[1] + kc) -
                                        weight_zero);
                    }
                    plain_store(GRAPH_I32, plain->outputs[0], at, sum);
                }
            }
    return SERIN_OK;
}

/* Looked at from the output: output row r gets input row i through place k of the kernel where
 * r + pad_begin = i * stride + k * dilation. */
enum serin_errc plain_conv_transpose(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *weight = plain_in(plain, 1), *y = plain_out(plain, 0);
    const struct graph_window *window = &plain->node->conv.window;
    const float *in = plain->inputs[0], *weights = plain->inputs[1];
    const float *bias = plain_has(plain, 2) ? plain->inputs[2] : NULL;
    int64_t height = x->shape[2], width = x->shape[3], out_per_group = weight->shape[1];
    int64_t per_group = x->shape[1] / plain->node->conv.groups;
    int64_t n, c, row, column, i, kr, kc, at = 0;

    for (n = 0; n < y->shape[0]; n++)
        for (c = 0; c < y->shape[1]; c++)
            for (row = 0; row < y->shape[2]; row++)
                for (column = 0; column < y->shape[3]; column++, at++) {
                    double sum = bias ? (double)bias[c] : 0;

                    for (kr = 0; kr < window->kernel[0]; kr++)
                        for (kc = 0; kc < window->kernel[1]; kc++) {
                            int64_t r = row + window->pad_begin[0] - kr * window->dilation[0];
                            int64_t k = column + window->pad_begin[1] - kc * window->dilation[1];

                            if (r < 0 || r % window->stride[0] || r / window->stride[0] >= height || k < 0 ||
                                k % window->stride[1] || k / window->stride[1] >= width)
                                continue;
                            for (i = c / out_per_group * per_group; i < (c / out_per_group + 1) * per_group; i++)
                                sum +=
                                    (double)in[((n * x->shape[1] + i) * height + r / window->stride[0]) * width +
                                               k / window->stride[1]] *
                                    (double)weights[((i * out_per_group + c % out_per_group) * window->kernel[0] + kr) *
                                                        window->kernel[1] +
                                                    kc];
                        }
                    ((float *)plain->outputs[0])[at] = (float)sum;
                }
    return SERIN_OK;
}

/* ---- products ---- */

/* Sets up a walk over the matrices of a stack: at[0] and at[1] are where a and b begin. */
static struct plain_walk stack_walk(const struct graph_value *a, const struct graph_value *b,
                                    const struct graph_value *y)
{
    struct plain_walk walk = {.rank = y->rank - 2, .shape = y->shape};
    const struct graph_value *operands[2] = {a, b};
    int i, j;

    for (i = 0; i < 2; i++) {
        struct graph_value stack = *operands[i], whole = *y;

        stack.rank -= 2;
        whole.rank -= 2;
        plain_broadcast(&stack, &whole, walk.strides[i]);
        for (j = 0; j < whole.rank; j++)
            walk.strides[i][j] *= plain_product(operands[i], stack.rank, stack.rank + 2);
    }
    return walk;
}

enum serin_errc plain_matmul(const struct plain *plain)
{
    const struct graph_value *a = plain_in(plain, 0), *b = plain_in(plain, 1), *y = plain_out(plain, 0);
    struct plain_walk walk = stack_walk(a, b, y);
    int64_t rows = y->shape[y->rank - 2], columns = y->shape[y->rank - 1], depth = a->shape[a->rank - 1];
    int64_t stacks = plain_product(y, 0, y->rank - 2), n, i, j, k, at = 0;

    for (n = 0; n < stacks; n++, plain_step(&walk)) {
        const float *left = (const float *)plain->inputs[0] + walk.at[0];
        const float *right = (const float *)plain->inputs[1] + walk.at[1];

        for (i = 0; i < rows; i++)
            for (j = 0; j < columns; j++, at++) {
                double sum = 0;

                for (k = 0; k < depth; k++)
                    sum += (double)left[i * depth + k] * (double)right[k * columns + j];
                ((float *)plain->outputs[0])[at] = (float)sum;
            }
    }
    return SERIN_OK;
}

enum serin_errc plain_matmul_integer(const struct plain *plain)
{
    const struct graph_value *a = plain_in(plain, 0), *b = plain_in(plain, 1), *y = plain_out(plain, 0);
    struct plain_walk walk = stack_walk(a, b, y);
    int64_t rows = y->shape[y->rank - 2], columns = y->shape[y->rank - 1], depth = a->shape[a->rank - 1];
    int64_t stacks = plain_product(y, 0, y->rank - 2), a_zero = zero_point(plain, 2, 0), n, i, j, k, at = 0;

    for (n = 0; n < stacks; n++, plain_step(&walk))
        for (i = 0; i < rows; i++)
            for (j = 0; j < columns; j++, at++) {
                int64_t sum = 0, b_zero = zero_point(plain, 3, j);

                for (k = 0; k < depth; k++)
                    sum += (plain_integer(a->type, plain->inputs[0], walk.at[0] + i * depth + k) - a_zero) *
                           (plain_integer(b->type, plain->inputs[1], walk.at[1] + k * columns + j) - b_zero);
                plain_store(GRAPH_I32, plain->outputs[0], at, sum);
            }
    return SERIN_OK;
}

enum serin_errc plain_gemm(const struct plain *plain)
{
    const struct graph_value *a = plain_in(plain, 0), *b = plain_in(plain, 1), *y = plain_out(plain, 0);
    const struct graph_node *node = plain->node;
    const float *left = plain->inputs[0], *right = plain->inputs[1];
    const float *added = plain_has(plain, 2) ? plain->inputs[2] : NULL;
    int64_t depth = a->shape[!node->gemm.transpose_a], i, j, k, strides[2] = {0, 0};

    if (added)
        plain_broadcast(plain_in(plain, 2), y, strides);
    for (i = 0; i < y->shape[0]; i++)
        for (j = 0; j < y->shape[1]; j++) {
            double sum = 0;

            for (k = 0; k < depth; k++)
                sum += (double)left[node->gemm.transpose_a ? k * a->shape[1] + i : i * a->shape[1] + k] *
                       (double)right[node->gemm.transpose_b ? j * b->shape[1] + k : k * b->shape[1] + j];
            sum *= (double)node->gemm.alpha;
            if (added)
                sum += (double)node->gemm.beta * (double)added[i * strides[0] + j * strides[1]];
            ((float *)plain->outputs[0])[i * y->shape[1] + j] = (float)sum;
        }
    return SERIN_OK;
}

enum serin_errc plain_batch_normalization(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    const float *in = plain->inputs[0], *scale = plain->inputs[1], *bias = plain->inputs[2], *mean = plain->inputs[3],
                *variance = plain->inputs[4];
    int64_t inner = plain_product(x, 2, x->rank), at;

    for (at = 0; at < (int64_t)x->element_count; at++) {
        int64_t c = at / inner % x->shape[1];
        double factor = (double)scale[c] / sqrt((double)variance[c] + (double)plain->node->batch_normalization.epsilon);

        ((float *)plain->outputs[0])[at] = (float)(((double)in[at] - (double)mean[c]) * factor + (double)bias[c]);
    }
    return SERIN_OK;
}

/* ---- pools and resizing ---- */

/* How many places of the window lie on the input or its padding: what count_include_pad divides by. */
static int64_t padded_places(const struct graph_window *window, int dimension, int64_t start, int64_t size)
{
    int64_t end = size + window->pad_end[dimension], step = window->dilation[dimension];
    int64_t places = start >= end ? 0 : (end - start + step - 1) / step;

    return places < window->kernel[dimension] ? places : window->kernel[dimension];
}

enum serin_errc plain_pool(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    const struct graph_window *window = &plain->node->pool.window;
    bool average = plain->node->op == GRAPH_AVERAGE_POOL;
    int64_t height = x->shape[2], width = x->shape[3], planes = y->shape[0] * y->shape[1];
    int64_t c, row, column, kr, kc, first[2], last[2], start[2], at = 0;

    for (c = 0; c < planes; c++)
        for (row = 0; row < y->shape[2]; row++) {
            plain_overlap(window, 0, row, height, &start[0], &first[0], &last[0]);
            for (column = 0; column < y->shape[3]; column++, at++) {
                const int64_t plane = c * height * width;
                double sum = 0, divisor;
                float most = -INFINITY;

                plain_overlap(window, 1, column, width, &start[1], &first[1], &last[1]);
                for (kr = first[0]; kr < last[0]; kr++)
                    for (kc = first[1]; kc < last[1]; kc++) {
                        const int64_t from =
                            plane + (start[0] + kr * window->dilation[0]) * width + start[1] + kc * window->dilation[1];
                        float value = x->type == GRAPH_F32 ? ((const float *)plain->inputs[0])[from]
                                                           : (float)plain_integer(x->type, plain->inputs[0], from);

                        sum += (double)value;
                        most = value > most || isnan(value) ? value : most;
                    }
                divisor = plain->node->pool.count_include_pad ? (double)(padded_places(window, 0, start[0], height) *
                                                                         padded_places(window, 1, start[1], width))
                                                              : (double)((last[0] - first[0]) * (last[1] - first[1]));
                if (x->type == GRAPH_F32)
                    ((float *)plain->outputs[0])[at] = average ? (float)(sum / divisor) : most;
                else
                    plain_store(y->type, plain->outputs[0], at, (int64_t)most); /* by rewriting: 8 bits, the maximum */
            }
        }
    return SERIN_OK;
}

/* Where place out of a dimension lies in the input, as a float: ONNX Runtime computes it in fp32, too. */
static float source_place(const struct graph_node *node, int dimension, int64_t out, int64_t in_size, int64_t out_size)
{
    float scale = node->resize.scales[dimension], place = (float)out;

    if (scale == 1)
        return place;
    switch (node->resize.coordinate) {
    case GRAPH_RESIZE_PYTORCH_HALF_PIXEL:
        return out_size > 1 ? (place + .5f) / scale - .5f : 0;
    case GRAPH_RESIZE_ALIGN_CORNERS:
        return out_size == 1 ? 0 : place * (float)(in_size - 1) / (float)(out_size - 1);
    case GRAPH_RESIZE_ASYMMETRIC:
        return place / scale;
    case GRAPH_RESIZE_HALF_PIXEL:
        break;
    }
    return (place + .5f) / scale - .5f;
}

static int64_t nearest_place(enum graph_resize_nearest nearest, float place, int64_t size)
{
    float rounded = floorf(place);

    if (nearest == GRAPH_NEAREST_CEIL || (nearest == GRAPH_NEAREST_ROUND_PREFER_FLOOR && place - rounded > .5f) ||
        (nearest == GRAPH_NEAREST_ROUND_PREFER_CEIL && place - rounded >= .5f))
        rounded = ceilf(place);
    if (!(rounded > 0))
        return 0;
    return rounded >= (float)size ? size - 1 : (int64_t)rounded;
}

static void resize_nearest(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    size_t width = graph_type_bytes(x->type);
    int64_t strides[GRAPH_MAX_RANK] = {0}, at;
    int i;

    plain_strides(x, strides);
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        int64_t from = 0;

        for (i = 0; i < x->rank; i++)
            from += strides[i] * nearest_place(plain->node->resize.nearest,
                                               source_place(plain->node, i, walk.index[i], x->shape[i], y->shape[i]),
                                               x->shape[i]);
        __builtin_memcpy((uint8_t *)plain->outputs[0] + (size_t)at * width,
                         (const uint8_t *)plain->inputs[0] + (size_t)from * width, width);
    }
}

/* Between the two neighbours of each of the two dimensions that are stretched: the rest has one neighbour only. */
static void resize_linear(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    int64_t strides[GRAPH_MAX_RANK] = {0}, at;
    int i, j;

    plain_strides(x, strides);
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        int64_t from[4] = {0};
        double share[4] = {1}, sum = 0;
        int corners = 1;

        for (i = 0; i < x->rank; i++) {
            float place = source_place(plain->node, i, walk.index[i], x->shape[i], y->shape[i]);
            float last = (float)(x->shape[i] - 1);
            int64_t low, high;

            place = place > 0 ? place < last ? place : last : 0;
            low = (int64_t)place;
            low = low < x->shape[i] ? low : x->shape[i] - 1;
            high = low + 1 < x->shape[i] ? low + 1 : low;
            if (place == (float)low) {
                for (j = 0; j < corners; j++)
                    from[j] += low * strides[i];
                continue;
            }
            BUG_ON(corners == 4); /* graph_infer lets two through */
            for (j = 0; j < corners; j++) {
                double part = (double)place - (double)low;

                from[corners + j] = from[j] + high * strides[i];
                share[corners + j] = share[j] * part;
                from[j] += low * strides[i];
                share[j] *= 1 - part;
            }
            corners *= 2;
        }
        for (j = 0; j < corners; j++)
            sum += share[j] * (double)((const float *)plain->inputs[0])[from[j]];
        ((float *)plain->outputs[0])[at] = (float)sum;
    }
}

enum serin_errc plain_resize(const struct plain *plain)
{
    if (plain->node->resize.mode == GRAPH_RESIZE_NEAREST)
        resize_nearest(plain);
    else
        resize_linear(plain);
    return SERIN_OK;
}
