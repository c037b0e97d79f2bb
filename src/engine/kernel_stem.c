/*
 * kernel_stem.c - the first convolution of a network, straight from the planes of the picture.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A picture has three channels, so a convolution over it does little work for each number it writes, and SiLU on that
 * number takes oneDNN as long as the sum itself. Here the rows that
 * an output row depends on are widened into scratch, with the padding as zeros, once each; then the results of some
 * neighbouring pixels are held in registers, and every weight of a block of output channels meets a number of the row
 * that is broadcast. There are no cases at the border: rows outside the picture are a row of zeros, and pixels beyond
 * the right end are computed from padding and not written.
 *
 * Any window up to 7 x 7 without dilation, stride 1 or 2, planes of fp32 or of bytes that stand for value / 255. A
 * direct sum, in the order rows, channels, columns.
 */
#include "engine/kernel_broadcast.h"
#include "engine/kernel_convolution.h"

#include <string.h>

#ifdef KERNEL_VECTORS

#define MOST_CHANNELS 4
#define MOST_WINDOW   7
#define MOST_PIXELS   20 /* held in registers with one block of output channels; half as many with two */

struct stem {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
    int64_t row; /* floats of a widened row of one channel */
    struct kernel_strides dst;
};

/* All that the last pixels of a row reach, even those that are only there to fill up the registers. */
static int64_t row_floats(const struct onednn_convolution *c)
{
    const int64_t pixels = onednn_round_up(c->dst.width, MOST_PIXELS);
    const int64_t reach = (pixels - 1) * c->window.stride[1] + c->window.kernel[1];
    const int64_t filled = c->window.pad_begin[1] + c->src.width;

    return onednn_round_up(reach > filled ? reach : filled, LANES);
}

/* Of a thread: as many rows as a window has, of each channel, and one of zeros. */
static size_t scratch_of_thread(const struct onednn_convolution *c)
{
    return (size_t)((c->window.kernel[0] * c->src.channels + 1) * row_floats(c)) * sizeof(float);
}

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    (void)pictures;
    return (size_t)threads * scratch_of_thread(c);
}

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return (size_t)(c->window.kernel[0] * c->window.kernel[1] * c->src.channels *
                    onednn_round_up(c->dst.channels, LANES)) *
           sizeof(float);
}

/* [pair of out blocks][row of the window][channel][column][32]; the last block may be alone. */
static void pack(const struct onednn_convolution *c, const void *from, void *packed)
{
    const float *weights = from;
    const int64_t in = c->src.channels, down = c->window.kernel[0], across = c->window.kernel[1];
    const int64_t paired = onednn_round_up(c->dst.channels, LANES) / (2 * LANES) * (2 * LANES);
    float *to = packed;
    int64_t o, i, y, x;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < c->dst.channels; o++) {
        const int64_t width = o < paired ? 2 * LANES : LANES, first = o < paired ? o / width * width : paired;

        for (i = 0; i < in; i++)
            for (y = 0; y < down; y++)
                for (x = 0; x < across; x++)
                    to[first * in * down * across + ((y * in + i) * across + x) * width + o % width] =
                        weights[((o * in + i) * down + y) * across + x];
    }
}

/* The results of pixels x (16 width). taps: where the row of each number of the window begins, and offset what is added
 * for the first of the pixels. */
AVX512_INLINE void pixels_body(const int pixels, const int width, const int stride, enum onednn_type type,
                               enum graph_op op, const struct stem *stem, const float *const *taps, int64_t offset,
                               const float *weights, const float *bias, char *to, const char *residual, int64_t count)
{
    const struct onednn_convolution *c = stem->convolution;
    const int64_t tap_count = c->window.kernel[0] * c->src.channels * c->window.kernel[1];
    __m512 sum[MOST_PIXELS][2], w[2];
    int64_t tap;
    int p, k;

    broadcast_begin(pixels, width, bias, sum);
    for (tap = 0; tap < tap_count; tap++, weights += width * LANES) {
        const float *from = taps[tap] + offset;

        __asm__("" : "+r"(from)); /* or compilers keep offset plus each pixel's distance in registers that they lack */
        UNROLL
        for (k = 0; k < width; k++)
            w[k] = _mm512_load_ps(weights + k * LANES);
        UNROLL
        for (p = 0; p < pixels; p++) {
            const __m512 number = _mm512_set1_ps(from[p * stride]);

            UNROLL
            for (k = 0; k < width; k++)
                sum[p][k] = _mm512_fmadd_ps(number, w[k], sum[p][k]);
        }
    }
    UNROLL
    for (k = 0; k < width; k++)
        UNROLL
    for (p = 0; p < pixels; p++)
        if (p < count) {
            const int64_t at = k * stem->dst.block + p * stem->dst.pixel;
            __m512 y = activate(op, c->activation.alpha, type, sum[p][k]);

            if (residual)
                y = _mm512_add_ps(y, load_block(type, residual + at));
            store_block(type, to + at, y);
        }
}

typedef void (*pixels_function)(const struct stem *stem, const float *const *taps, int64_t offset, const float *weights,
                                const float *bias, char *to, const char *residual, int64_t count);

#define PIXELS(name, pixels, width, stride, type, op)                                                                  \
    AVX512 static void name(const struct stem *stem, const float *const *taps, int64_t offset, const float *weights,   \
                            const float *bias, char *to, const char *residual, int64_t count)                          \
    {                                                                                                                  \
        pixels_body(pixels, width, stride, type, op, stem, taps, offset, weights, bias, to, residual, count);          \
    }
#define PIXELS_OF(name, type, op)                                                                                      \
    PIXELS(name##_1_1, 20, 1, 1, type, op)                                                                             \
    PIXELS(name##_1_2, 20, 1, 2, type, op)                                                                             \
    PIXELS(name##_2_1, 10, 2, 1, type, op)                                                                             \
    PIXELS(name##_2_2, 10, 2, 2, type, op)                                                                             \
    static const pixels_function name[2][2] = {{name##_1_1, name##_1_2}, {name##_2_1, name##_2_2}};
PIXELS_OF(silu_f32, ONEDNN_F32, GRAPH_SILU)
PIXELS_OF(silu_bf16, ONEDNN_BF16, GRAPH_SILU)
PIXELS_OF(other, stem->convolution->dst.type, stem->convolution->activation.op)

static void run_row(const struct stem *stem, int64_t picture, int64_t y, const float *const *taps)
{
    const struct onednn_convolution *c = stem->convolution;
    const int64_t weights_of_block = c->window.kernel[0] * c->window.kernel[1] * c->src.channels * LANES;
    const int64_t blocks = onednn_round_up(c->dst.channels, LANES) / LANES;
    const struct onednn_addresses *addresses = stem->addresses;
    const pixels_function(*functions)[2] = c->activation.op != GRAPH_SILU ? other
                                           : c->dst.type == ONEDNN_F32    ? silu_f32
                                                                          : silu_bf16;
    int64_t block, x;

    for (block = 0; block < blocks; block += 2) {
        const int64_t width = block + 2 <= blocks ? 2 : 1, pixels = MOST_PIXELS / width;
        const pixels_function function = functions[width - 1][c->window.stride[1] - 1];

        for (x = 0; x < c->dst.width; x += pixels) {
            const size_t at = (size_t)(block * stem->dst.block + (y * c->dst.width + x) * stem->dst.pixel);

            function(stem, taps, x * c->window.stride[1], (const float *)addresses->weights + block * weights_of_block,
                     addresses->bias ? (const float *)addresses->bias + block * LANES : NULL,
                     (char *)addresses->dst + (size_t)picture * stem->batch->dst_bytes + at,
                     addresses->residual
                         ? (const char *)addresses->residual + (size_t)picture * stem->batch->residual_bytes + at
                         : NULL,
                     c->dst.width - x);
        }
    }
}

/* Row y of the picture, widened, into its place in the ring. */
AVX512 static void widen_row(const struct stem *stem, int64_t picture, int64_t y, float *ring)
{
    const struct onednn_convolution *c = stem->convolution;
    const char *planes = (const char *)stem->addresses->src + (size_t)picture * stem->batch->src_bytes;
    float *to = ring + y % c->window.kernel[0] * c->src.channels * stem->row + c->window.pad_begin[1];
    int64_t i, x;

    for (i = 0; i < c->src.channels; i++, to += stem->row) {
        const size_t at = (size_t)((i * c->src.height + y) * c->src.width);

        if (c->src.type == ONEDNN_F32)
            memcpy(to, planes + at * sizeof(float), (size_t)c->src.width * sizeof(float));
        else
            for (x = 0; x < c->src.width; x++)
                to[x] = (float)((const uint8_t *)planes)[at + (size_t)x] * (1.0f / 255.0f);
    }
}

/* Each thread takes neighbouring output rows, and widens each input row once. */
static void run_part(void *data, int part, int parts)
{
    const struct stem *stem = data;
    const struct onednn_convolution *c = stem->convolution;
    const int64_t all = stem->batch->pictures * c->dst.height, end = all * (part + 1) / parts;
    const int64_t down = c->window.kernel[0], across = c->window.kernel[1], channels = c->src.channels;
    const float *taps[MOST_WINDOW * MOST_CHANNELS * MOST_WINDOW];
    float *ring = (float *)(void *)((char *)stem->addresses->scratch + (size_t)part * scratch_of_thread(c));
    float *zeros = ring + down * channels * stem->row;
    int64_t at, picture = -1, ready = 0, k, i, x;

    memset(ring, 0, scratch_of_thread(c));
    for (at = all * part / parts; at < end; at++) {
        const int64_t y = at % c->dst.height, first = y * c->window.stride[0] - c->window.pad_begin[0];

        if (at / c->dst.height != picture) {
            picture = at / c->dst.height;
            ready = 0; /* rows before this one are in the ring, if they are needed at all */
        }
        ready = ready < first ? first : ready;
        for (; ready < first + down && ready < c->src.height; ready++)
            widen_row(stem, picture, ready, ring);
        for (k = 0; k < down; k++)
            for (i = 0; i < channels; i++)
                for (x = 0; x < across; x++)
                    taps[(k * channels + i) * across + x] =
                        x + (first + k < 0 || first + k >= c->src.height
                                 ? zeros
                                 : ring + ((first + k) % down * channels + i) * stem->row);
        run_row(stem, picture, y, taps);
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    struct stem stem = {c, addresses, batch, row_floats(c), kernel_strides_of(&c->dst)};

    onednn_parallel(threads, run_part, &stem);
}

/* Against oneDNN 2.6 on Zen 4, one thread, pictures of 640 x 640, 3 x 3 and stride 2, with SiLU; times faster:
 *     out channels    16   32   48   64        6 x 6 and stride 2:   16   32
 *     fp32           1.2  1.3  1.4  1.4                             1.0  1.1
 *     bf16           1.1        .9   .9                                   .8
 * In bf16 oneDNN multiplies two numbers at a time. Bytes would first have to be widened for it. */
#define MOST_CHANNELS_BF16 16

static bool pays(const struct onednn_convolution *c)
{
    const struct graph_window *w = &c->window;

    return kernel_has_avx512() && !c->transposed && !c->residual_first && c->groups == 1 && !c->taps &&
           w->kernel[0] <= MOST_WINDOW && w->kernel[1] <= MOST_WINDOW && w->stride[0] <= 2 && w->stride[1] <= 2 &&
           w->dilation[0] == 1 && w->dilation[1] == 1 && c->src.channels <= MOST_CHANNELS && c->src.block == 1 &&
           (c->src.type == ONEDNN_F32 || c->src.type == ONEDNN_U8) &&
           (c->src.type == ONEDNN_U8 || c->dst.type == ONEDNN_F32 || c->dst.channels <= MOST_CHANNELS_BF16) &&
           (c->dst.block == LANES || (c->dst.block == 0 && c->dst.channels % LANES == 0)) &&
           kernel_activation_known(&c->activation);
}

const struct kernel_convolution kernel_stem = {.name = "stem",
                                               .pays = pays,
                                               .weights_bytes = weights_bytes,
                                               .pack = pack,
                                               .scratch_bytes = scratch_bytes,
                                               .run = run};

#endif
