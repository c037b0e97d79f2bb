/*
 * letterbox_avx512.c - the letterbox's inner loops with AVX-512 (F, BW, VL and VBMI: Ice Lake, Zen 4 and later).
 * SPDX-License-Identifier: Apache-2.0
 *
 * The horizontal step picks the bytes of 8 columns out of a window of 64 or 128 bytes with byte permutations whose
 * indices were laid down beforehand; where 8 columns span more (a reduction to less than a fifth), AVX2's version
 * serves.
 */
#include "image/letterbox_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,f16c,fma")))

/* In each 16 bytes: R and R' as 16 bits each, then G, B; the last four 0. */
#define PAIR_BYTES 0x0555055505550555ull

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") && letterbox_avx2.supported();
}

/* The left and right neighbours of 4 columns times their weights: four 32-bit sums (R, G, B, 0) a column. */
TARGET static inline __m512i weigh(__m512i pairs, __m512i weights, __m512i order)
{
    return _mm512_srai_epi32(_mm512_madd_epi16(pairs, _mm512_permutexvar_epi32(order, weights)), 4);
}

TARGET static void horizontal(const struct letterbox_columns *columns, const uint8_t *row, int16_t *line)
{
    const __m512i even = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    const __m512i odd = _mm512_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7);
    const uint8_t *places = columns->window_places;
    int32_t padded = letterbox_padded(columns->count), x;

    if (columns->window_bytes == 0) {
        letterbox_avx2.horizontal(columns, row, line);
        return;
    }
    for (x = 0; x < padded; x += 8, places += 128) {
        const uint8_t *window = row + columns->window_offsets[x / 8];
        __m512i place0 = _mm512_load_si512(places), place1 = _mm512_load_si512(places + 64);
        __m512i weights =
            _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(const void *)(columns->weights + x)));
        __m512i low = _mm512_loadu_si512(window), pairs0, pairs1;

        if (columns->window_bytes == 64) {
            pairs0 = _mm512_maskz_permutexvar_epi8(PAIR_BYTES, place0, low);
            pairs1 = _mm512_maskz_permutexvar_epi8(PAIR_BYTES, place1, low);
        } else {
            __m512i high = _mm512_loadu_si512(window + 64);

            pairs0 = _mm512_maskz_permutex2var_epi8(PAIR_BYTES, low, place0, high);
            pairs1 = _mm512_maskz_permutex2var_epi8(PAIR_BYTES, low, place1, high);
        }
        _mm512_store_si512(line + 4 * x, _mm512_packs_epi32(weigh(pairs0, weights, even), weigh(pairs1, weights, odd)));
    }
}

TARGET static inline __m512i round_quarter(__m512i sum)
{
    return _mm512_srli_epi16(_mm512_add_epi16(sum, _mm512_set1_epi16(2)), 2);
}

TARGET static void vertical(const int16_t *line0, const int16_t *line1, int16_t weight0, int16_t weight1, int32_t count,
                            uint8_t *rgbx)
{
    const __m512i w0 = _mm512_set1_epi16(weight0), w1 = _mm512_set1_epi16(weight1);
    int32_t i;

    for (i = 0; i < 4 * count; i += 32) {
        __m512i upper = _mm512_mulhi_epi16(_mm512_load_si512(line0 + i), w0);
        __m512i lower = _mm512_mulhi_epi16(_mm512_load_si512(line1 + i), w1);

        _mm256_store_si256((__m256i *)(void *)(rgbx + i),
                           _mm512_cvtepi16_epi8(round_quarter(_mm512_add_epi16(upper, lower))));
    }
}

/* 16 pixels: 48 bytes become 64, by groups of 12 that are spread over the four lanes. */
TARGET static void widen(const uint8_t *row, int32_t count, uint8_t *rgbx)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
    const __m512i spread = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    int32_t x;

    for (x = 0; x < count; x += 16) {
        int32_t bytes = 3 * (count - x);
        __mmask64 present = bytes >= 48 ? (1ull << 48) - 1 : (1ull << bytes) - 1;
        __m512i packed = _mm512_maskz_loadu_epi8(present, row + 3 * (size_t)x);

        _mm512_store_si512(rgbx + 4 * (size_t)x, _mm512_shuffle_epi8(_mm512_permutexvar_epi32(lanes, packed), spread));
    }
}

TARGET static inline __m512i plane_of(__m512i pixels, int c)
{
    return _mm512_and_si512(_mm512_srlv_epi32(pixels, _mm512_set1_epi32(8 * c)), _mm512_set1_epi32(255));
}

/* byte / 255, correctly rounded: 1/255 is taken as the sum of two floats, so what is rounded is off by less than 2^-46
 * of it, while byte / 255 is never within 1/510 of an ulp of the middle between two floats. */
TARGET static inline __m512 quotients(__m512i bytes)
{
    const float high = 1.0f / 255.0f, low = (float)(1.0 / 255.0 - (double)(1.0f / 255.0f));
    __m512 values = _mm512_cvtepi32_ps(bytes);

    return _mm512_fmadd_ps(values, _mm512_set1_ps(high), _mm512_mul_ps(values, _mm512_set1_ps(low)));
}

/* Of 16 pixels the first `left`, or all. */
static inline __mmask16 those_of_16(int32_t left)
{
    return (__mmask16)(left >= 16 ? 0xffffu : (1u << left) - 1);
}

TARGET static void write_f32(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    float *to = planes;
    int32_t x;
    int c;

    for (x = 0; x < count; x += 16) {
        __mmask16 present = those_of_16(count - x);
        __m512i pixels = _mm512_load_si512(rgbx + 4 * (size_t)x);

        for (c = 0; c < 3; c++)
            _mm512_mask_storeu_ps(to + (size_t)c * plane + x, present, quotients(plane_of(pixels, c)));
    }
}

TARGET static void write_f16(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    uint16_t *to = planes;
    int32_t x;
    int c;

    for (x = 0; x < count; x += 16) {
        __mmask16 present = those_of_16(count - x);
        __m512i pixels = _mm512_load_si512(rgbx + 4 * (size_t)x);

        for (c = 0; c < 3; c++)
            _mm256_mask_storeu_epi16(to + (size_t)c * plane + x, present,
                                     _mm512_cvtps_ph(quotients(plane_of(pixels, c)), _MM_FROUND_TO_NEAREST_INT));
    }
}

TARGET static void write_u8(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    uint8_t *to = planes;
    int32_t x;
    int c;

    for (x = 0; x < count; x += 16) {
        __mmask16 present = those_of_16(count - x);
        __m512i pixels = _mm512_load_si512(rgbx + 4 * (size_t)x);

        for (c = 0; c < 3; c++)
            _mm512_mask_cvtepi32_storeu_epi8(to + (size_t)c * plane + x, present, plane_of(pixels, c));
    }
}

const struct letterbox_kernels letterbox_avx512 = {
    .name = "avx512",
    .supported = supported,
    .horizontal = horizontal,
    .vertical = vertical,
    .widen = widen,
    .write = {write_f32, write_f16, write_u8},
};
#endif
