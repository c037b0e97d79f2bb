/*
 * kernel_pointwise.c - 1 x 1 convolutions: a matrix product over the pixels, finished in registers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The sums of 14 pixels x 2 blocks of 16 output channels stay in registers while the input channels go by
 * (kernel_broadcast.h). Pixels of a picture follow each other in the blocked layout, so that rows do not matter.
 *
 * What is gained beside oneDNN is in what follows the sum. Its SiLU takes 28 cycles of a vector, this one 15, and a sum
 * over 32 channels takes 32, or 16 in bf16. The last pixels of a picture are computed together with some before them, a
 * second time.
 */
#include "engine/kernel_broadcast.h"
#include "engine/kernel_convolution.h"

#include <string.h>

#ifdef KERNEL_VECTORS

#define PIXELS 14

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    (void)c, (void)pictures, (void)threads;
    return 0;
}

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return broadcast_weights_bytes(c->src.type, onednn_round_up(c->src.channels, LANES), c->dst.channels);
}

AVX512 static void pack(const struct onednn_convolution *c, const void *from, void *packed)
{
    const float *weights = from;
    const int64_t numbers = onednn_round_up(c->src.channels, LANES);
    int64_t o, i;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < c->dst.channels; o++)
        for (i = 0; i < c->src.channels; i++, weights++)
            broadcast_pack(c->src.type, numbers, c->dst.channels, o, i, *weights, packed);
}

struct addresses_of_pixels {
    const char *src, *weights;
    const float *before; /* the activation: the residual where it is added, NULL where not */
    const char *after;
    const float *bias; /* NULL for none */
    char *dst;
    int64_t in_blocks, pixels; /* of a picture */
    float alpha;
};

AVX512_INLINE void pixels_body(const int width, enum onednn_type src, enum onednn_type dst, enum graph_op op,
                               const struct addresses_of_pixels *at)
{
    const int64_t src_bytes = src == ONEDNN_F32 ? 4 : 2, dst_bytes = dst == ONEDNN_F32 ? 4 : 2;
    const char *from = at->src, *weights = at->weights;
    __m512 sum[PIXELS][2];
    int64_t block;
    int i, p, k;

    broadcast_begin(PIXELS, width, at->bias, sum);
    for (block = 0; block < at->in_blocks; block++, from += at->pixels * LANES * src_bytes)
        weights = broadcast_add(PIXELS, width, src, from, LANES * src_bytes, LANES * src_bytes, weights, sum);
    UNROLL
    for (k = 0; k < width; k++)
        UNROLL
    for (p = 0; p < PIXELS; p += 2) {
        const int64_t number = (k * at->pixels + p) * LANES, to = number * dst_bytes;
        __m512 y[2];

        UNROLL
        for (i = 0; i < 2; i++) {
            y[i] = sum[p + i][k];
            if (at->before)
                y[i] = _mm512_add_ps(y[i], _mm512_load_ps(at->before + number + i * LANES));
            y[i] = activate(op, at->alpha, op == GRAPH_SIGMOID ? src : dst, y[i]); /* bf16 has no more digits */
            if (at->after)
                y[i] = _mm512_add_ps(y[i], load_block(dst, at->after + to + i * LANES * dst_bytes));
        }
        store_two_blocks(dst, at->dst + to, LANES * dst_bytes, y);
    }
}

typedef void (*pixels_function)(const struct addresses_of_pixels *at);

#define FUNCTION(name, width, src, dst, op)                                                                            \
    AVX512 static void name(const struct addresses_of_pixels *at)                                                      \
    {                                                                                                                  \
        pixels_body(width, src, dst, op, at);                                                                          \
    }
#define FUNCTIONS(name, src, dst, op)                                                                                  \
    FUNCTION(name##_1, 1, src, dst, op)                                                                                \
    FUNCTION(name##_2, 2, src, dst, op)                                                                                \
    static const pixels_function name[2] = {name##_1, name##_2};
FUNCTIONS(silu_f32, ONEDNN_F32, ONEDNN_F32, GRAPH_SILU)
FUNCTIONS(silu_bf16, ONEDNN_BF16, ONEDNN_BF16, GRAPH_SILU)
FUNCTIONS(silu_bf16_to_f32, ONEDNN_BF16, ONEDNN_F32, GRAPH_SILU)
FUNCTIONS(sigmoid_f32, ONEDNN_F32, ONEDNN_F32, GRAPH_SIGMOID)
FUNCTIONS(sigmoid_bf16, ONEDNN_BF16, ONEDNN_BF16, GRAPH_SIGMOID)
FUNCTIONS(sigmoid_bf16_to_f32, ONEDNN_BF16, ONEDNN_F32, GRAPH_SIGMOID)
FUNCTIONS(sum_f32, ONEDNN_F32, ONEDNN_F32, GRAPH_REMOVED)
FUNCTIONS(sum_bf16, ONEDNN_BF16, ONEDNN_BF16, GRAPH_REMOVED)
FUNCTIONS(sum_bf16_to_f32, ONEDNN_BF16, ONEDNN_F32, GRAPH_REMOVED)

/* NULL where there is none: other activations are rare. */
static const pixels_function *functions_for(const struct onednn_convolution *c)
{
    const bool to_f32 = c->dst.type == ONEDNN_F32;

    if ((c->src.type != ONEDNN_F32 && c->src.type != ONEDNN_BF16) || (!to_f32 && c->dst.type != c->src.type))
        return NULL;
    switch ((int)c->activation.op) {
    case GRAPH_SILU:
        return c->src.type == ONEDNN_F32 ? silu_f32 : to_f32 ? silu_bf16_to_f32 : silu_bf16;
    case GRAPH_SIGMOID:
        return c->src.type == ONEDNN_F32 ? sigmoid_f32 : to_f32 ? sigmoid_bf16_to_f32 : sigmoid_bf16;
    case GRAPH_REMOVED:
        return c->src.type == ONEDNN_F32 ? sum_f32 : to_f32 ? sum_bf16_to_f32 : sum_bf16;
    default:
        return NULL;
    }
}

struct work {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
};

/* Groups of pixels, the last of which may reach into what follows: not so at the end of a picture, where it begins
 * before its time. */
struct groups {
    int64_t first_pixel, of_picture, all;
};

static struct groups groups_of(const struct onednn_convolution *c, const struct kernel_batch *batch)
{
    const int64_t first_row = batch->end_row ? batch->first_row : 0;
    const int64_t end_row = batch->end_row ? batch->end_row : c->src.height;
    const int64_t count = ((end_row - first_row) * c->src.width + PIXELS - 1) / PIXELS;

    return (struct groups){first_row * c->src.width, count, batch->pictures * count};
}

/* Where a part begins: not at a picture's last group where that is computed together with some of the one before, for
 * two threads would write the same. */
static int64_t part_begins(const struct onednn_convolution *c, const struct groups *groups, int64_t group)
{
    const int64_t last = groups->of_picture - 1;
    const bool ends_picture = groups->first_pixel + groups->of_picture * PIXELS > c->src.height * c->src.width;

    return ends_picture && last > 0 && group % groups->of_picture == last ? group + 1 : group;
}

static void run_part(void *data, int part, int parts)
{
    const struct work *work = data;
    const struct onednn_convolution *c = work->convolution;
    const struct onednn_addresses *addresses = work->addresses;
    const pixels_function *functions = functions_for(c);
    const struct groups groups = groups_of(c, work->batch);
    const int64_t pixels = c->src.height * c->src.width;
    const int64_t out_blocks = onednn_round_up(c->dst.channels, LANES) / LANES;
    const size_t src_bytes = onednn_type_bytes(c->src.type), dst_bytes = onednn_type_bytes(c->dst.type);
    struct addresses_of_pixels at = {.in_blocks = onednn_round_up(c->src.channels, LANES) / LANES, .pixels = pixels};
    const int64_t end = part_begins(c, &groups, groups.all * (part + 1) / parts);
    int64_t group, out;

    BUG_ON(!functions);
    for (group = part_begins(c, &groups, groups.all * part / parts); group < end; group++) {
        const size_t picture = (size_t)(group / groups.of_picture);
        const int64_t wanted = groups.first_pixel + group % groups.of_picture * PIXELS;
        const int64_t first = wanted + PIXELS > pixels ? pixels - PIXELS : wanted;

        at.src = (const char *)addresses->src + picture * work->batch->src_bytes + (size_t)(first * LANES) * src_bytes;
        at.weights = addresses->weights;
        for (out = 0; out < out_blocks; out += 2) {
            const int width = out + 2 <= out_blocks ? 2 : 1;
            const size_t number = (size_t)((out * pixels + first) * LANES), to = number * dst_bytes;
            const char *residual = addresses->residual;

            at.bias = addresses->bias ? (const float *)addresses->bias + out * LANES : NULL;
            at.dst = (char *)addresses->dst + picture * work->batch->dst_bytes + to;
            if (residual)
                residual += picture * work->batch->residual_bytes;
            at.before = residual && c->residual_first ? (const float *)(const void *)residual + number : NULL;
            at.after = residual && !c->residual_first ? residual + to : NULL;
            functions[width - 1](&at);
            at.weights += broadcast_weights_bytes(c->src.type, at.in_blocks * LANES, width * LANES);
        }
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    onednn_parallel(threads, run_part, &(struct work){c, addresses, batch});
}

/* Against oneDNN 2.6 on Zen 4, one thread, with SiLU; times faster:
 *     in, out channels and pixels    32, 32, 160 x 160  64, 64, 80 x 80  128, 128, 40 x 40  256, 256, 20 x 20
 *     fp32                                 1.2                1.3              1.1                1.03
 *     bf16                                 1.5                1.4              1.2                1.1
 * Where the processor has AMX, bf16 is oneDNN's: tiles multiply eight times as fast. */
static bool pays(const struct onednn_convolution *c)
{
    const struct graph_window *w = &c->window;

    if (c->src.type == ONEDNN_BF16 && onednn_has_amx())
        return false;
    return kernel_has_avx512() && !c->transposed && c->groups == 1 && !c->taps && w->kernel[0] == 1 &&
           w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 && c->src.height == c->dst.height &&
           c->src.width == c->dst.width && w->pad_begin[0] == 0 && w->pad_begin[1] == 0 && c->src.block == LANES &&
           c->dst.block == LANES && c->src.height * c->src.width >= PIXELS && functions_for(c);
}

const struct kernel_convolution kernel_pointwise = {.name = "pointwise",
                                                    .takes_rows = true,
                                                    .weights_of_bf16 = true,
                                                    .pays = pays,
                                                    .weights_bytes = weights_bytes,
                                                    .pack = pack,
                                                    .scratch_bytes = scratch_bytes,
                                                    .run = run};

#endif
