/*
 * letterbox_avx2.c - the letterbox's inner loops with AVX2, FMA and F16C (Haswell, Zen and later).
 * SPDX-License-Identifier: Apache-2.0
 *
 * The horizontal step loads 8 bytes for each column: the pixel and its right neighbour. The last columns, for which
 * that would reach over the row's end, and the last pixels of a plane, are left to the plain code.
 */
#include "image/letterbox_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))

static bool supported(void)
{
    unsigned eax, ebx, ecx, edx;

    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) &&
           (ecx & bit_F16C); /* clang 14's builtin does not know f16c */
}

/* Two columns, one in each half: R R' G G' B B' as 16 bits each, then 0. */
TARGET static inline __m256i pair_of(const uint8_t *column0, const uint8_t *column1)
{
    const __m256i spread =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    long long bytes0, bytes1;

    memcpy(&bytes0, column0, 8);
    memcpy(&bytes1, column1, 8);
    return _mm256_shuffle_epi8(_mm256_blend_epi32(_mm256_set1_epi64x(bytes0), _mm256_set1_epi64x(bytes1), 0xf0),
                               spread);
}

TARGET static inline __m256i weigh(__m256i pairs, __m256i weights, __m256i order)
{
    return _mm256_srai_epi32(_mm256_madd_epi16(pairs, _mm256_permutevar8x32_epi32(weights, order)), 4);
}

/* The columns from x on; a copy of the description stands for them. */
static void horizontal_rest(const struct letterbox_columns *columns, int32_t x, const uint8_t *row, int16_t *line)
{
    struct letterbox_columns rest = *columns;

    rest.count -= x;
    rest.paired = rest.paired > x ? rest.paired - x : 0;
    rest.offsets += x;
    rest.weights += x;
    letterbox_plain.horizontal(&rest, row, line + 4 * (size_t)x);
}

TARGET static void horizontal(const struct letterbox_columns *columns, const uint8_t *row, int16_t *line)
{
    const __m256i even = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2), odd = _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3);
    const uint32_t *offsets = columns->offsets;
    int32_t x;

    for (x = 0; x + 4 <= columns->count && offsets[x + 3] + 8 <= columns->row_bytes; x += 4) {
        __m256i weights = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)(const void *)(columns->weights + x)));
        __m256i pairs0 = pair_of(row + offsets[x], row + offsets[x + 2]);
        __m256i pairs1 = pair_of(row + offsets[x + 1], row + offsets[x + 3]);

        _mm256_store_si256((__m256i *)(void *)(line + 4 * (size_t)x),
                           _mm256_packs_epi32(weigh(pairs0, weights, even), weigh(pairs1, weights, odd)));
    }
    horizontal_rest(columns, x, row, line);
}

/* The sums of 32 places, rounded to quarters, as bytes in order. */
TARGET static inline void store_quarters(__m256i sum0, __m256i sum1, uint8_t *rgbx)
{
    const __m256i two = _mm256_set1_epi16(2);
    __m256i bytes = _mm256_packus_epi16(_mm256_srli_epi16(_mm256_add_epi16(sum0, two), 2),
                                        _mm256_srli_epi16(_mm256_add_epi16(sum1, two), 2));

    _mm256_store_si256((__m256i *)(void *)rgbx, _mm256_permute4x64_epi64(bytes, 0xd8));
}

TARGET static inline __m256i load(const void *from)
{
    return _mm256_load_si256(from);
}

TARGET static void vertical(const int16_t *line0, const int16_t *line1, int16_t weight0, int16_t weight1, int32_t count,
                            uint8_t *rgbx)
{
    const __m256i w0 = _mm256_set1_epi16(weight0), w1 = _mm256_set1_epi16(weight1);
    int32_t i;

    for (i = 0; i < 4 * count; i += 32)
        store_quarters(
            _mm256_add_epi16(_mm256_mulhi_epi16(load(line0 + i), w0), _mm256_mulhi_epi16(load(line1 + i), w1)),
            _mm256_add_epi16(_mm256_mulhi_epi16(load(line0 + i + 16), w0),
                             _mm256_mulhi_epi16(load(line1 + i + 16), w1)),
            rgbx + i);
}

/* 8 pixels from two loads of 16 bytes, of which the second reaches 4 bytes further than its pixels. */
TARGET static void widen(const uint8_t *row, int32_t count, uint8_t *rgbx)
{
    const __m256i spread =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    int32_t x;

    for (x = 0; 3 * (x + 8) + 4 <= 3 * count; x += 8) {
        const uint8_t *from = row + 3 * (size_t)x;
        __m256i packed =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)from)),
                                    _mm_loadu_si128((const __m128i *)(const void *)(from + 12)), 1);

        _mm256_store_si256((__m256i *)(void *)(rgbx + 4 * (size_t)x), _mm256_shuffle_epi8(packed, spread));
    }
    letterbox_plain.widen(row + 3 * (size_t)x, count - x, rgbx + 4 * (size_t)x);
}

TARGET static inline __m256i plane_of(__m256i pixels, int c)
{
    return _mm256_and_si256(_mm256_srlv_epi32(pixels, _mm256_set1_epi32(8 * c)), _mm256_set1_epi32(255));
}

/* byte / 255, correctly rounded: see letterbox_avx512.c. */
TARGET static inline __m256 quotients(__m256i bytes)
{
    const float high = 1.0f / 255.0f, low = (float)(1.0 / 255.0 - (double)(1.0f / 255.0f));
    __m256 values = _mm256_cvtepi32_ps(bytes);

    return _mm256_fmadd_ps(values, _mm256_set1_ps(high), _mm256_mul_ps(values, _mm256_set1_ps(low)));
}

TARGET static void write_f32(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    float *to = planes;
    int32_t x;
    int c;

    for (x = 0; x + 8 <= count; x += 8) {
        __m256i pixels = load(rgbx + 4 * (size_t)x);

        for (c = 0; c < 3; c++)
            _mm256_storeu_ps(to + (size_t)c * plane + x, quotients(plane_of(pixels, c)));
    }
    letterbox_plain.write[0](rgbx + 4 * (size_t)x, count - x, to + x, plane);
}

TARGET static void write_f16(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    uint16_t *to = planes;
    int32_t x;
    int c;

    for (x = 0; x + 8 <= count; x += 8) {
        __m256i pixels = load(rgbx + 4 * (size_t)x);

        for (c = 0; c < 3; c++)
            _mm_storeu_si128((__m128i *)(void *)(to + (size_t)c * plane + x),
                             _mm256_cvtps_ph(quotients(plane_of(pixels, c)), _MM_FROUND_TO_NEAREST_INT));
    }
    letterbox_plain.write[1](rgbx + 4 * (size_t)x, count - x, to + x, plane);
}

/* 8 pixels: each half's R, G, B are gathered to 4 bytes each, then the halves' words are brought together. */
TARGET static void write_u8(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    const __m256i sort =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m256i join = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    uint8_t *to = planes;
    int32_t x;

    for (x = 0; x + 8 <= count; x += 8) {
        __m256i pixels = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load(rgbx + 4 * (size_t)x), sort), join);
        __m128i red_green = _mm256_castsi256_si128(pixels);

        _mm_storel_epi64((__m128i *)(void *)(to + x), red_green);
        _mm_storel_epi64((__m128i *)(void *)(to + plane + x), _mm_unpackhi_epi64(red_green, red_green));
        _mm_storel_epi64((__m128i *)(void *)(to + 2 * plane + x), _mm256_extracti128_si256(pixels, 1));
    }
    letterbox_plain.write[2](rgbx + 4 * (size_t)x, count - x, to + x, plane);
}

const struct letterbox_kernels letterbox_avx2 = {
    .name = "avx2",
    .supported = supported,
    .horizontal = horizontal,
    .vertical = vertical,
    .widen = widen,
    .write = {write_f32, write_f16, write_u8},
};
#endif
