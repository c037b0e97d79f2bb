/*
 * kernel_stem_bytes.c - the first convolution of a network over the bytes of a picture, two products at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * kernel_stem.c in integers, for results that are rounded to bf16 or to 8 bits: VPDPWSSD multiplies pairs of 16 bits
 * and adds them up in 32 bits, as fast as one product of fp32. Bytes are what they are. Weights are rounded to 16 bits,
 * with a scale for each output channel that makes its largest one 32767: each is off by 1 / 65534 of that at the most,
 * a hundredth of what bf16 would take from it.
 *
 * A picture's three planes are interleaved as its rows are widened, so that what a row of the window meets is one piece
 * of memory, which is cut into pairs. An odd number is filled up by a weight of zero.
 */
#include "engine/kernel_convolution.h"
#include "engine/kernel_vectors.h"

#include <math.h>
#include <string.h>

#ifdef KERNEL_VECTORS

#define CHANNELS       3
#define MOST_WINDOW    7
#define MOST_PIXELS    20    /* held in registers with one block of output channels; half as many with two */
#define LARGEST_WEIGHT 32767 /* in 16 bits */
_Static_assert((int64_t)MOST_WINDOW *MOST_WINDOW *CHANNELS *LARGEST_WEIGHT * 255 <= INT32_MAX, "sums fit");

struct stem {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
    int64_t row; /* numbers of a widened row */
    struct kernel_strides dst;
    float units, zero; /* integers: of them in 1.0, and the one for 0.0 */
};

/* Of the numbers that a row of the window meets. */
static int64_t pairs_of(const struct onednn_convolution *c)
{
    return (c->window.kernel[1] * CHANNELS + 1) / 2;
}

/* All that the last pixel of a row reaches, and the vectors that it is written in. */
static int64_t row_numbers(const struct onednn_convolution *c)
{
    const int64_t reach = (c->dst.width - 1) * c->window.stride[1] * CHANNELS + 2 * pairs_of(c);
    const int64_t filled = (c->window.pad_begin[1] + onednn_round_up(c->src.width, 2 * LANES)) * CHANNELS;

    return onednn_round_up(reach > filled ? reach : filled, 2 * LANES);
}

/* Of a thread: as many rows as a window has, and one of zeros. */
static size_t scratch_of_thread(const struct onednn_convolution *c)
{
    return (size_t)((c->window.kernel[0] + 1) * row_numbers(c)) * sizeof(int16_t);
}

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    (void)pictures;
    return (size_t)threads * scratch_of_thread(c);
}

/* ---- weights ---- */

/* 16-bit weights of one output channel. */
static int64_t weights_of_channel(const struct onednn_convolution *c)
{
    return c->window.kernel[0] * pairs_of(c) * 2;
}

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return (size_t)onednn_round_up(c->dst.channels, LANES) *
           (sizeof(float) + (size_t)weights_of_channel(c) * sizeof(int16_t));
}

/* Of one output channel; what is not finite makes all its results NaN. */
static float largest_of(const float *weights, int64_t count)
{
    float largest = 0.0f;
    int64_t i;

    for (i = 0; i < count; i++)
        if (!isfinite(weights[i]))
            return NAN;
        else if (fabsf(weights[i]) > largest)
            largest = fabsf(weights[i]);
    return largest;
}

/* The scale of each channel; then [pair of out blocks][row of the window][pair][32][2]; the last block may be alone. */
static void pack(const struct onednn_convolution *c, const void *from, void *packed)
{
    const float *weights = from;
    const int64_t down = c->window.kernel[0], across = c->window.kernel[1], numbers = CHANNELS * down * across;
    const int64_t out = onednn_round_up(c->dst.channels, LANES), paired = out / (2 * LANES) * (2 * LANES);
    float *scales = packed;
    int16_t *const to = (int16_t *)(void *)(scales + out);
    int64_t o, i, y, x;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < c->dst.channels; o++, weights += numbers) {
        const int64_t width = o < paired ? 2 * LANES : LANES, first = o < paired ? o / width * width : paired;
        const double unit = (double)largest_of(weights, numbers) / LARGEST_WEIGHT;

        scales[o] = (float)(unit / 255.0);
        for (i = 0; i < CHANNELS && unit > 0.0; i++)
            for (y = 0; y < down; y++)
                for (x = 0; x < across; x++) {
                    const int64_t at = x * CHANNELS + i;

                    to[first * weights_of_channel(c) + ((y * pairs_of(c) + at / 2) * width + o % width) * 2 + at % 2] =
                        (int16_t)lrint((double)weights[(i * down + y) * across + x] / unit);
                }
    }
}

/* ---- sums ---- */

/* Integers of 8 bits, saturated, to two pixels. */
AVX512_VNNI_INLINE void store_two_integers(const struct stem *stem, char *to, const __m512 y[2])
{
    const __m512 units = _mm512_set1_ps(stem->units), zero = _mm512_set1_ps(stem->zero);
    const __m512i words = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_fmadd_ps(y[0], units, zero)),
                                             _mm512_cvtps_epi32(_mm512_fmadd_ps(y[1], units, zero)));
    /* packing takes four channels of the one and four of the other in turn */
    const __m256i both = _mm512_castsi512_si256(_mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0), _mm512_packus_epi16(words, words)));

    _mm_store_si128((__m128i *)(void *)to, _mm256_castsi256_si128(both));
    _mm_store_si128((__m128i *)(void *)(to + stem->dst.pixel), _mm256_extracti128_si256(both, 1));
}

/* The results of pixels x (16 width). rows: those of the window, at the first of the pixels. */
AVX512_VNNI_INLINE void pixels_body(const int pixels, const int width, const int stride, enum onednn_type type,
                                    enum graph_op op, const struct stem *stem, const int16_t *const *rows,
                                    int64_t offset, const float *scales, const int16_t *weights, const float *bias,
                                    char *to)
{
    const struct onednn_convolution *c = stem->convolution;
    const int64_t pairs = pairs_of(c);
    __m512i sum[MOST_PIXELS][2], w[2];
    int64_t row, pair;
    int p, k, i;

    UNROLL
    for (k = 0; k < width; k++)
        UNROLL
    for (p = 0; p < pixels; p++)
        sum[p][k] = _mm512_setzero_si512();
    for (row = 0; row < c->window.kernel[0]; row++) {
        const int16_t *from = rows[row] + offset;

        for (pair = 0; pair < pairs; pair++, weights += width * LANES * 2, from += 2) {
            __asm__("" : "+r"(from)); /* or compilers keep what one pair has loaded for the next, in registers */
            UNROLL
            for (k = 0; k < width; k++)
                w[k] = _mm512_load_si512(weights + k * LANES * 2);
            UNROLL
            for (p = 0; p < pixels; p++) {
                int32_t two;

                memcpy(&two, from + p * stride * CHANNELS, sizeof(two));
                UNROLL
                for (k = 0; k < width; k++)
                    sum[p][k] = _mm512_dpwssd_epi32(sum[p][k], _mm512_set1_epi32(two), w[k]);
            }
        }
    }
    UNROLL
    for (k = 0; k < width; k++) {
        const __m512 scale = _mm512_load_ps(scales + k * LANES);
        const __m512 shift = bias ? _mm512_load_ps(bias + k * LANES) : _mm512_setzero_ps();

        UNROLL
        for (p = 0; p < pixels; p++)
            __asm__("" : "+v"(sum[p][k])); /* or gcc copies sums from register to register in the loop */
        UNROLL
        for (p = 0; p < pixels; p += 2) {
            __m512 y[2];

            UNROLL
            for (i = 0; i < 2; i++)
                y[i] = activate(op, c->activation.alpha, type,
                                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p + i][k]), scale, shift));
            if (type == ONEDNN_U8)
                store_two_integers(stem, to + k * stem->dst.block + p * stem->dst.pixel, y);
            else
                store_two_blocks(type, to + k * stem->dst.block + p * stem->dst.pixel, stem->dst.pixel, y);
        }
    }
}

typedef void (*pixels_function)(const struct stem *stem, const int16_t *const *rows, int64_t offset,
                                const float *scales, const int16_t *weights, const float *bias, char *to);

#define PIXELS(name, pixels, width, stride, type, op)                                                                  \
    AVX512_VNNI static void name(const struct stem *stem, const int16_t *const *rows, int64_t offset,                  \
                                 const float *scales, const int16_t *weights, const float *bias, char *to)             \
    {                                                                                                                  \
        pixels_body(pixels, width, stride, type, op, stem, rows, offset, scales, weights, bias, to);                   \
    }
#define PIXELS_OF(name, type, op)                                                                                      \
    PIXELS(name##_1_1, 20, 1, 1, type, op)                                                                             \
    PIXELS(name##_1_2, 20, 1, 2, type, op)                                                                             \
    PIXELS(name##_2_1, 10, 2, 1, type, op)                                                                             \
    PIXELS(name##_2_2, 10, 2, 2, type, op)                                                                             \
    static const pixels_function name[2][2] = {{name##_1_1, name##_1_2}, {name##_2_1, name##_2_2}};
PIXELS_OF(silu_bf16, ONEDNN_BF16, GRAPH_SILU)
PIXELS_OF(silu_u8, ONEDNN_U8, GRAPH_SILU)
PIXELS_OF(other_bf16, ONEDNN_BF16, stem->convolution->activation.op)
PIXELS_OF(other_u8, ONEDNN_U8, stem->convolution->activation.op)

static void run_row(const struct stem *stem, int64_t picture, int64_t y, const int16_t *const *rows)
{
    const struct onednn_convolution *c = stem->convolution;
    const int64_t out = onednn_round_up(c->dst.channels, LANES), blocks = out / LANES;
    const float *scales = stem->addresses->weights, *bias = stem->addresses->bias;
    const int16_t *weights = (const int16_t *)(const void *)(scales + out);
    const bool integers = c->dst.type == ONEDNN_U8;
    const pixels_function(*functions)[2] = c->activation.op == GRAPH_SILU ? (integers ? silu_u8 : silu_bf16)
                                           : integers                     ? other_u8
                                                                          : other_bf16;
    int64_t block, x;

    for (block = 0; block < blocks; block += 2) {
        const int64_t width = block + 2 <= blocks ? 2 : 1, pixels = MOST_PIXELS / width;
        const pixels_function function = functions[width - 1][c->window.stride[1] - 1];

        for (x = 0; x < c->dst.width; x += pixels) {
            x = x > c->dst.width - pixels ? c->dst.width - pixels : x; /* some before the last ones once more */
            function(stem, rows, x * c->window.stride[1] * CHANNELS, scales + block * LANES,
                     weights + block * LANES * weights_of_channel(c), bias ? bias + block * LANES : NULL,
                     (char *)stem->addresses->dst + (size_t)picture * stem->batch->dst_bytes +
                         (size_t)(block * stem->dst.block + (y * c->dst.width + x) * stem->dst.pixel));
        }
    }
}

/* The numbers of 32 pixels, channels together, are three vectors: of each place, the pixel, with the highest bit set in
 * channel 1; and the places that channel 2 has. */
#define PLACE(at) ((at) / CHANNELS | ((at) % CHANNELS == 1) << 5)
#define FOUR(at)  PLACE(at), PLACE((at) + 1), PLACE((at) + 2), PLACE((at) + 3)
#define THIRTY_TWO(at)                                                                                                 \
    FOUR(at), FOUR((at) + 4), FOUR((at) + 8), FOUR((at) + 12), FOUR((at) + 16), FOUR((at) + 20), FOUR((at) + 24),      \
        FOUR((at) + 28)

static const uint16_t places[CHANNELS][2 * LANES]
    __attribute__((aligned(64))) = {{THIRTY_TWO(0)}, {THIRTY_TWO(32)}, {THIRTY_TWO(64)}};
static const __mmask32 of_last[CHANNELS] = {0x24924924, 0x49249249, 0x92492492};

/* Row y of the picture, widened, into its place in the ring. */
AVX512 static void widen_row(const struct stem *stem, int64_t picture, int64_t y, int16_t *ring)
{
    const struct onednn_convolution *c = stem->convolution;
    const int64_t plane = c->src.height * c->src.width;
    const uint8_t *from =
        (const uint8_t *)stem->addresses->src + (size_t)picture * stem->batch->src_bytes + (size_t)(y * c->src.width);
    int16_t *to = ring + y % c->window.kernel[0] * stem->row + c->window.pad_begin[1] * CHANNELS;
    int64_t x;
    int i;

    for (x = 0; x < c->src.width; x += 2 * LANES, from += 2 * LANES) {
        const __mmask32 there = c->src.width - x < 2 * LANES ? (1u << (c->src.width - x)) - 1 : ~0u;
        __m512i numbers[CHANNELS];

        UNROLL
        for (i = 0; i < CHANNELS; i++)
            numbers[i] = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(there, from + i * plane));
        UNROLL
        for (i = 0; i < CHANNELS; i++, to += 2 * LANES) {
            const __m512i place = _mm512_load_si512(places[i]);

            _mm512_storeu_si512(to,
                                _mm512_mask_permutexvar_epi16(_mm512_permutex2var_epi16(numbers[0], place, numbers[1]),
                                                              of_last[i], place, numbers[2]));
        }
    }
}

/* Each thread takes neighbouring output rows, and widens each input row once. */
static void run_part(void *data, int part, int parts)
{
    const struct stem *stem = data;
    const struct onednn_convolution *c = stem->convolution;
    const int64_t all = stem->batch->pictures * c->dst.height, end = all * (part + 1) / parts;
    const int64_t down = c->window.kernel[0];
    int16_t *ring = (int16_t *)(void *)((char *)stem->addresses->scratch + (size_t)part * scratch_of_thread(c));
    const int16_t *rows[MOST_WINDOW], *zeros = ring + down * stem->row;
    int64_t at, picture = -1, ready = 0, k;

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
            rows[k] = first + k < 0 || first + k >= c->src.height ? zeros : ring + (first + k) % down * stem->row;
        run_row(stem, picture, y, rows);
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    struct stem stem = {.convolution = c,
                        .addresses = addresses,
                        .batch = batch,
                        .row = row_numbers(c),
                        .dst = kernel_strides_of(&c->dst)};

    if (c->dst.type == ONEDNN_U8) {
        stem.units = 1.0f / c->integers.scale;
        stem.zero = (float)c->integers.zero;
    }
    onednn_parallel(threads, run_part, &stem);
}

/* Against the sums of fp32 in kernel_stem.c on Zen 4, one thread, 640 x 640, stride 2, with SiLU; times faster:
 *     out channels    16   32        6 x 6:   16
 *                    1.5  1.5                1.9 */
static bool pays(const struct onednn_convolution *c)
{
    const struct graph_window *w = &c->window;

    return kernel_has_vnni() && !c->transposed && c->groups == 1 && !c->taps && !c->has_residual &&
           w->kernel[0] <= MOST_WINDOW && w->kernel[1] <= MOST_WINDOW && w->stride[0] <= 2 && w->stride[1] <= 2 &&
           w->dilation[0] == 1 && w->dilation[1] == 1 && c->src.channels == CHANNELS && c->src.block == 1 &&
           c->src.type == ONEDNN_U8 && (c->dst.type == ONEDNN_BF16 || c->dst.type == ONEDNN_U8) &&
           c->dst.width >= MOST_PIXELS &&
           (c->dst.block == LANES || (c->dst.block == 0 && c->dst.channels % LANES == 0)) &&
           kernel_activation_known(&c->activation);
}

const struct kernel_convolution kernel_stem_bytes = {.name = "stem of bytes",
                                                     .pays = pays,
                                                     .weights_bytes = weights_bytes,
                                                     .pack = pack,
                                                     .scratch_bytes = scratch_bytes,
                                                     .run = run};

#endif
