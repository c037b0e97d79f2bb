/*
 * plan_kernels_int8.c - between numbers and the integers of 8 bits that stand for them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Integers lie in block 0 (all channels of a pixel together), numbers in blocks of 16 or 8 as a rule: a block of a
 * pixel is what a loop takes at once. In ONNX's own order (block 1) a channel is, a strip at a time.
 */
#include "engine/plan_kernels.h"

#include "engine/plan_kernels_inside.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ROUNDER     12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which lies in the low bits */
#define ROUNDER_BIT 0x4b400000

struct range {
    float scale, low, high; /* the least and the most that there is an integer for, over the scale */
    int32_t zero;
};

static inline __attribute__((always_inline)) uint8_t quantized(float x, const struct range *range)
{
    union {
        float f;
        int32_t i;
    } bits;

    x = x / range->scale;
    x = x > range->low ? x : range->low; /* NaN: the lowest, as in graph_plain.h */
    x = x < range->high ? x : range->high;
    bits.f = x + ROUNDER;
    return (uint8_t)(bits.i - ROUNDER_BIT + range->zero);
}

#define QUANTIZE_CHANNELS(channels, number)                                                                            \
    for (p = 0; p < pixels; p++)                                                                                       \
        for (c = 0; c < (channels); c++)                                                                               \
            to[p * to_pixel + c] = quantized(number, &range);

/* count channels of each of so many pixels, so many elements apart. */
BODY quantize_body(bool bf16, int64_t pixels, int64_t count, const void *from, int64_t from_pixel, int64_t from_channel,
                   const struct range *given, uint8_t *to, int64_t to_pixel)
{
    const struct range range = *given;
    const uint16_t *from16 = from;
    const float *from32 = from;
    int64_t p, c;

    if (from_channel != 1) {
        for (c = 0; c < count; c++)
            for (p = 0; p < pixels; p++)
                to[p * to_pixel + c] =
                    quantized(bf16 ? from_bf16(from16[c * from_channel + p]) : from32[c * from_channel + p], &range);
    } else if (count == 16) { /* a number that compilers know, as nearly always */
        if (bf16)
            QUANTIZE_CHANNELS(16, from_bf16(from16[p * from_pixel + c]))
        else
            QUANTIZE_CHANNELS(16, from32[p * from_pixel + c])
    } else if (bf16) {
        QUANTIZE_CHANNELS(count, from_bf16(from16[p * from_pixel + c]))
    } else {
        QUANTIZE_CHANNELS(count, from32[p * from_pixel + c])
    }
}

FOR_PROCESSORS(quantize,
               (bool bf16, int64_t pixels, int64_t count, const void *from, int64_t from_pixel, int64_t from_channel,
                const struct range *given, uint8_t *to, int64_t to_pixel),
               (bf16, pixels, count, from, from_pixel, from_channel, given, to, to_pixel))

void kernel_quantize(const struct onednn_image *src, const void *from, const struct graph_scale *scale,
                     const struct onednn_image *dst, void *to)
{
    const int64_t pixels = src->height * src->width, block = src->block ? src->block : src->channels;
    const int32_t least = dst->type == ONEDNN_S8 ? -128 : 0;
    const struct range range = {scale->scale, (float)(least - scale->zero), (float)(least + 255 - scale->zero),
                                scale->zero};
    int64_t channel, first;

    if (block == 1) { /* a strip's results stay in the first-level cache until all channels have come */
        for (first = 0; first < pixels; first += 256)
            quantize(src->type == ONEDNN_BF16, pixels - first < 256 ? pixels - first : 256, src->channels,
                     (const char *)from + (size_t)first * onednn_type_bytes(src->type), 1, pixels == 1 ? 1 : pixels,
                     &range, (uint8_t *)to + first * dst->channels, dst->channels);
        return;
    }
    for (channel = 0; channel < src->channels; channel += block)
        quantize(src->type == ONEDNN_BF16, pixels, src->channels - channel < block ? src->channels - channel : block,
                 (const char *)from + (size_t)(channel * pixels) * onednn_type_bytes(src->type), block, 1, &range,
                 (uint8_t *)to + channel, dst->channels);
}

/* Of channels, of room that there is for them. */
#define NUMBERS_OF(type, channels, room)                                                                               \
    for (p = 0; p < pixels; p++)                                                                                       \
        for (c = 0; c < (room); c++) {                                                                                 \
            const float y = c < (channels) ? (float)(((const type *)from)[p * from_pixel + c] - zero) * scale : 0.0f;  \
                                                                                                                       \
            if (bf16)                                                                                                  \
                to16[p * (room) + c] = to_bf16(y);                                                                     \
            else                                                                                                       \
                to32[p * (room) + c] = y;                                                                              \
        }

/* count channels of each pixel, of room that there is for them. */
BODY dequantize_body(bool bf16, bool is_signed, int64_t pixels, int64_t count, int64_t room, const void *from,
                     int64_t from_pixel, float scale, int32_t zero, void *to)
{
    uint16_t *to16 = to;
    float *to32 = to;
    int64_t p, c;

    if (count == 16 && room == 16 && !is_signed) {
        NUMBERS_OF(uint8_t, 16, 16)
    } else if (is_signed) {
        NUMBERS_OF(int8_t, count, room)
    } else {
        NUMBERS_OF(uint8_t, count, room)
    }
}

FOR_PROCESSORS(dequantize,
               (bool bf16, bool is_signed, int64_t pixels, int64_t count, int64_t room, const void *from,
                int64_t from_pixel, float scale, int32_t zero, void *to),
               (bf16, is_signed, pixels, count, room, from, from_pixel, scale, zero, to))

void kernel_dequantize(const struct onednn_image *src, const void *from, const struct graph_scale *scale,
                       const struct onednn_image *dst, void *to)
{
    const int64_t pixels = src->height * src->width, block = dst->block ? dst->block : dst->channels;
    int64_t channel;

    for (channel = 0; channel < src->channels; channel += block)
        dequantize(dst->type == ONEDNN_BF16, src->type == ONEDNN_S8, pixels,
                   src->channels - channel < block ? src->channels - channel : block, block,
                   (const char *)from + channel, src->channels, scale->scale, scale->zero,
                   (char *)to + (size_t)(channel * pixels) * onednn_type_bytes(dst->type));
}

static void lookup_one_by_one(const uint8_t *table, int64_t count, const uint8_t *from, uint8_t *to)
{
    int64_t i;

    for (i = 0; i < count; i++)
        to[i] = table[from[i]];
}

#if defined(__x86_64__)
/* The table lies in four registers: two lookups of 128 places each, and the highest bit says which of them it was. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static void
lookup_in_registers(const uint8_t *table, int64_t count, const uint8_t *from, uint8_t *to)
{
    const __m512i first = _mm512_loadu_si512(table), second = _mm512_loadu_si512(table + 64),
                  third = _mm512_loadu_si512(table + 128), fourth = _mm512_loadu_si512(table + 192);
    int64_t i;

    for (i = 0; i + 64 <= count; i += 64) {
        const __m512i x = _mm512_loadu_si512(from + i);
        const __m512i low = _mm512_permutex2var_epi8(first, x, second),
                      high = _mm512_permutex2var_epi8(third, x, fourth);

        _mm512_storeu_si512(to + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
    }
    lookup_one_by_one(table, count - i, from + i, to + i);
}
#endif

void kernel_lookup(const uint8_t *table, int64_t count, const void *from, void *to)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi")) {
        lookup_in_registers(table, count, from, to);
        return;
    }
#endif
    lookup_one_by_one(table, count, from, to);
}
