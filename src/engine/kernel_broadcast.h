/*
 * kernel_broadcast.h - sums of some pixels x two blocks of 16 output channels, kept in registers.  Depends on
 * kernel_vectors.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A number of a pixel is broadcast, the weights to two blocks are two vectors. In bf16 two neighbouring numbers are
 * multiplied at a time (VDPBF16PS): a pair of a pixel is broadcast as 32 bits. Included by kernel_pointwise.c,
 * kernel_direct.c, and kernel_stem.c, which only begins in this way.
 */
#ifndef ENGINE_KERNEL_BROADCAST_H
#define ENGINE_KERNEL_BROADCAST_H

#include "engine/kernel_vectors.h"

#ifdef KERNEL_VECTORS

/* numbers: of a pixel, that one result is made of, an even count; channels: of the output. */
static inline size_t broadcast_weights_bytes(enum onednn_type type, int64_t numbers, int64_t channels)
{
    return (size_t)(numbers * onednn_round_up(channels, LANES)) * onednn_type_bytes(type);
}

/* Where one weight belongs: [pair of out blocks][number][32], in bf16 [pair of numbers][32][2]. The last block may be
 * alone. */
AVX512_INLINE void broadcast_pack(enum onednn_type type, int64_t numbers, int64_t channels, int64_t channel,
                                  int64_t number, float weight, void *packed)
{
    const int64_t paired = onednn_round_up(channels, LANES) / (2 * LANES) * (2 * LANES);
    const int64_t width = channel < paired ? 2 * LANES : LANES, lane = channel % width;
    uint16_t halves[LANES] __attribute__((aligned(64)));

    if (type == ONEDNN_F32) {
        ((float *)packed)[(channel - lane) * numbers + number * width + lane] = weight;
        return;
    }
    store_block(ONEDNN_BF16, halves, _mm512_set1_ps(weight));
    ((uint16_t *)packed)[(channel - lane) * numbers + (number / 2 * width + lane) * 2 + number % 2] = halves[0];
}

/* bias: NULL for none. */
AVX512_INLINE void broadcast_begin(const int pixels, const int width, const float *bias, __m512 (*sum)[2])
{
    int p, k;

    UNROLL
    for (k = 0; k < width; k++)
        UNROLL
    for (p = 0; p < pixels; p++)
        sum[p][k] = bias ? _mm512_load_ps(bias + k * LANES) : _mm512_setzero_ps();
}

/* Adds what the next numbers of each pixel make, which lie in bytes from from on, and at the next pixel pixel_bytes
 * further. Returns the weights behind those that it took. */
AVX512_INLINE const char *broadcast_add(const int pixels, const int width, const enum onednn_type type,
                                        const char *from, const int64_t pixel_bytes, int64_t bytes, const char *weights,
                                        __m512 (*sum)[2])
{
    __m512 w[2];
    int64_t i;
    int p, k;

    for (i = 0; i < bytes; i += 4, from += 4, weights += width * LANES * 4) {
        UNROLL
        for (k = 0; k < width; k++)
            w[k] = _mm512_load_ps(weights + k * LANES * 4);
        UNROLL
        for (p = 0; p < pixels; p++) {
            const __m512 x = _mm512_set1_ps(*(const float *)(const void *)(from + p * pixel_bytes));

            UNROLL
            for (k = 0; k < width; k++)
                sum[p][k] = type == ONEDNN_F32 ? _mm512_fmadd_ps(x, w[k], sum[p][k])
                                               : _mm512_dpbf16_ps(sum[p][k], (__m512bh)_mm512_castps_si512(x),
                                                                  (__m512bh)_mm512_castps_si512(w[k]));
        }
    }
    return weights;
}

#endif

#endif
