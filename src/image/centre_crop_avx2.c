/*
 * centre_crop_avx2.c - the inner loops of the classifiers' resize with AVX2.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Across, a pixel's channels lie in the lanes of one vector; each tap loads 4 bytes, of which the last belongs to its
 * neighbour and is of no account. Down, each lane is a byte of the row, and the sums stay in registers over all taps.
 */
#include "image/centre_crop_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define TARGET      __attribute__((target("avx2")))
#define BLOCK_BYTES 32

TARGET int32_t centre_crop_resize_row_avx2(const struct taps *taps, const uint8_t *row, int32_t row_px, int32_t size,
                                           uint8_t *rgbx)
{
    int32_t x, k;

    for (x = 0; x < size && taps->first[x] + taps->count[x] < row_px; x++, rgbx += 4) {
        const int32_t *weights = taps->weights + (size_t)x * (size_t)taps->each;
        const uint8_t *from = row + 3 * (size_t)taps->first[x];
        __m128i sum = _mm_set1_epi32(1 << (CENTRE_CROP_WEIGHT_BITS - 1));
        int32_t pixel;

        for (k = 0; k < taps->count[x]; k++, from += 3) {
            memcpy(&pixel, from, 4);
            sum = _mm_add_epi32(
                sum, _mm_mullo_epi32(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(pixel)), _mm_set1_epi32(weights[k])));
        }
        sum = _mm_srai_epi32(sum, CENTRE_CROP_WEIGHT_BITS);
        sum = _mm_packus_epi32(sum, sum);
        pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
        memcpy(rgbx, &pixel, 4);
    }
    return x;
}

TARGET static inline __m256i add_weighed(__m256i sum, const uint8_t *bytes, __m256i weight)
{
    __m256i values = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)bytes));

    return _mm256_add_epi32(sum, _mm256_mullo_epi32(values, weight));
}

TARGET size_t centre_crop_sum_rows_avx2(const struct taps *taps, int32_t y, const uint8_t *rows, size_t stride,
                                        int32_t ring, size_t bytes, uint8_t *ret)
{
    const __m256i half = _mm256_set1_epi32(1 << (CENTRE_CROP_WEIGHT_BITS - 1));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const int32_t *weights = taps->weights + (size_t)y * (size_t)taps->each;
    size_t i;

    for (i = 0; i + BLOCK_BYTES <= bytes; i += BLOCK_BYTES) {
        __m256i sum0 = half, sum1 = half, sum2 = half, sum3 = half;
        int32_t place = taps->first[y] % ring, k;

        for (k = 0; k < taps->count[y]; k++) {
            const uint8_t *from = rows + (size_t)place * stride + i;
            __m256i weight = _mm256_set1_epi32(weights[k]);

            sum0 = add_weighed(sum0, from, weight);
            sum1 = add_weighed(sum1, from + 8, weight);
            sum2 = add_weighed(sum2, from + 16, weight);
            sum3 = add_weighed(sum3, from + 24, weight);
            place = place + 1 == ring ? 0 : place + 1;
        }
        sum0 = _mm256_packus_epi32(_mm256_srai_epi32(sum0, CENTRE_CROP_WEIGHT_BITS),
                                   _mm256_srai_epi32(sum1, CENTRE_CROP_WEIGHT_BITS));
        sum2 = _mm256_packus_epi32(_mm256_srai_epi32(sum2, CENTRE_CROP_WEIGHT_BITS),
                                   _mm256_srai_epi32(sum3, CENTRE_CROP_WEIGHT_BITS));
        _mm256_storeu_si256((__m256i *)(void *)(ret + i),
                            _mm256_permutevar8x32_epi32(_mm256_packus_epi16(sum0, sum2), order));
    }
    return i;
}
#endif
