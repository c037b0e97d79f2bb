/*
 * graph_plain_int8.c - what rewriting makes of quantized networks, by its definition.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sums of integers are exact; what follows is in double, as the sums of plain_conv are.
 */
#include "engine/graph_plain_inside.h"

static int64_t sum_of(const struct plain *plain, int64_t picture, int64_t channel, const int64_t *start,
                      const int64_t *first, const int64_t *last)
{
    const struct graph_value *x = plain_in(plain, 0), *weight = plain_in(plain, 1), *y = plain_out(plain, 0);
    const struct graph_window *window = &plain->node->conv.window;
    const int64_t per_group = weight->shape[1], plane = x->shape[2] * x->shape[3];
    const int64_t out_per_group = y->shape[1] / plain->node->conv.groups;
    const int8_t *weights = plain->inputs[1];
    const int32_t zero = plain->node->conv.quantized->x.zero;
    int64_t sum = 0, i, kr, kc;

    for (i = 0; i < per_group; i++) {
        const int64_t from = (picture * x->shape[1] + channel / out_per_group * per_group + i) * plane;
        const int8_t *kernel = weights + (channel * per_group + i) * window->kernel[0] * window->kernel[1];

        for (kr = first[0]; kr < last[0]; kr++)
            for (kc = first[1]; kc < last[1]; kc++)
                sum += (plain_integer(x->type, plain->inputs[0],
                                      from + (start[0] + kr * window->dilation[0]) * x->shape[3] + start[1] +
                                          kc * window->dilation[1]) -
                        zero) *
                       kernel[kr * window->kernel[1] + kc];
    }
    return sum;
}

static float residual_at(const struct plain *plain, int64_t at)
{
    const struct graph_scale *scale = &plain->node->conv.quantized->residual;

    if (plain_in(plain, 3)->type == GRAPH_F32)
        return ((const float *)plain->inputs[3])[at];
    return (float)(plain_integer(plain_in(plain, 3)->type, plain->inputs[3], at) - scale->zero) * scale->scale;
}

enum serin_errc plain_conv_quantized(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    const struct graph_quantized *quantized = plain->node->conv.quantized;
    const struct graph_window *window = &plain->node->conv.window;
    const float *bias = plain_has(plain, 2) ? plain->inputs[2] : NULL;
    int64_t n, c, row, column, first[2], last[2], start[2], at = 0;

    for (n = 0; n < y->shape[0]; n++)
        for (c = 0; c < y->shape[1]; c++)
            for (row = 0; row < y->shape[2]; row++) {
                plain_overlap(window, 0, row, x->shape[2], &start[0], &first[0], &last[0]);
                for (column = 0; column < y->shape[3]; column++, at++) {
                    float result;

                    plain_overlap(window, 1, column, x->shape[3], &start[1], &first[1], &last[1]);
                    result = (float)((double)sum_of(plain, n, c, start, first, last) * (double)quantized->x.scale *
                                         (double)quantized->weights[c] +
                                     (bias ? (double)bias[c] : 0));
                    if (plain->node->conv.activation.op != GRAPH_REMOVED)
                        result = graph_plain_unary(&plain->node->conv.activation, result);
                    if (plain_has(plain, 3))
                        result += residual_at(plain, at);
                    if (y->type == GRAPH_F32)
                        ((float *)plain->outputs[0])[at] = result;
                    else
                        plain_store(y->type, plain->outputs[0], at, plain_quantized(result, &quantized->y, y->type));
                }
            }
    return SERIN_OK;
}

enum serin_errc plain_lookup(const struct plain *plain)
{
    const uint8_t *in = plain->inputs[0], *table = plain->inputs[1];
    int64_t at;

    for (at = 0; at < (int64_t)plain_out(plain, 0)->element_count; at++)
        ((uint8_t *)plain->outputs[0])[at] = table[in[at]];
    return SERIN_OK;
}
