/*
 * kernel_winograd_int16.h - Winograd's products in 16-bit integers: what the strides share.  Depends on
 * kernel_winograd.h. SPDX-License-Identifier: Apache-2.0
 *
 * Included by kernel_winograd_int16.c, which has the products and says what is rounded, and kernel_winograd_stride2.c.
 */
#ifndef ENGINE_KERNEL_WINOGRAD_INT16_H
#define ENGINE_KERNEL_WINOGRAD_INT16_H

#include "engine/kernel_winograd.h"

#include <math.h>

#define MOST_V   32767.0f
#define MOST_SUM 65535.0 /* of |u|: times 32768 it is below 2^31 */
#define CHUNK    4       /* pairs of blocks, of which one sum of 32 bits is made */

/* Whether input channel, of so many rounded up, is the first of a sum of 32 bits. A last block alone begins none. */
static inline bool winograd_sum_begins(int64_t channel, int64_t channels)
{
    return channel % (CHUNK * 2 * LANES) == 0 && channel + LANES < channels;
}

/* q: how many 1.0 is, of weights whose absolute values add up to most in a sum and are not above largest. */
static inline double winograd_unit(double most, double largest)
{
    /* what rounding adds to a sum is half of one for each channel */
    const double q = fmin((MOST_SUM - (CHUNK + 1) * LANES) / most, (double)MOST_V / largest);

    return isfinite(q) && q > 0.0 ? q : 1.0;
}

/* Weights of so many places, and behind them a scale for each place and output channel. */
static inline int64_t winograd_weights_count(const struct onednn_convolution *c, int places)
{
    return places * onednn_round_up(c->src.channels, LANES) * onednn_round_up(c->dst.channels, LANES);
}

static inline size_t winograd_weights_bytes(const struct onednn_convolution *c, int places)
{
    return (size_t)winograd_weights_count(c, places) * sizeof(int16_t) +
           (size_t)(places * onednn_round_up(c->dst.channels, LANES)) * sizeof(float);
}

#ifdef KERNEL_VECTORS

/* m[out][tile] = the sum over in of v[in][tile] u[in][out] / q[out], of tiles that lie group apart in blocks. v:
 * [pair of blocks][tile][32], of a last block alone 16; u: [pair of channels][16 or 32][2]; scales: 1 / q; m:
 * [block][tile][16]. */
typedef void (*winograd_product)(int64_t in_blocks, int64_t group, const int16_t *v, const int16_t *u,
                                 const float *scales, float *m);

/* By the number of tiles, 1 to MOST_TILES, and of blocks of output channels, 1 or 2, less one. */
extern const winograd_product winograd_products[MOST_TILES + 1][2];

AVX512_INLINE float winograd_from_bf16(uint16_t bits)
{
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int32_t)((uint32_t)bits << 16))));
}

/* The greatest of 32, counted as unsigned. */
AVX512_INLINE uint16_t winograd_greatest(__m512i x)
{
    const __m256i half = _mm256_max_epu16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    const __m128i quarter = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    const __m128i least_of_not = _mm_minpos_epu16(_mm_xor_si128(quarter, _mm_set1_epi16(-1)));

    return (uint16_t)~_mm_extract_epi16(least_of_not, 0);
}

/* The greatest number less the least, both counted with 0, of so many pixels of bf16 in all blocks of channels. */
AVX512_INLINE float winograd_range(const char *from, int64_t height, int64_t width, int64_t in_blocks,
                                   int64_t row_bytes, int64_t block_bytes)
{
    const __mmask16 last = width % 2 ? 0xff : 0xffff;           /* two pixels are looked at together */
    __m512i highest = _mm512_setzero_si512(), lowest = highest; /* as signed integers, and as unsigned ones */
    uint16_t most, least_one;
    int64_t block, y, x;

    for (block = 0; block < in_blocks; block++, from += block_bytes)
        for (y = 0; y < height; y++)
            for (x = 0; x < width; x += 2) {
                const char *at = from + y * row_bytes + x * 2 * LANES;
                const __m512i d = _mm512_maskz_loadu_epi32(x + 2 < width ? 0xffff : last, at);

                highest = _mm512_max_epi16(highest, d);
                lowest = _mm512_max_epu16(lowest, d);
            }
    most = winograd_greatest(highest), least_one = winograd_greatest(lowest);
    return winograd_from_bf16(most) - (least_one >> 15 ? winograd_from_bf16(least_one) : 0.0f);
}

#endif

#endif
