/*
 * plan_kernels_inside.h - how loops are compiled for several processors, bf16, and the exponential.  Included by
 * plan_kernels*.c only. SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_PLAN_KERNELS_INSIDE_H
#define ENGINE_PLAN_KERNELS_INSIDE_H

#include "engine/onednn.h"

#include <stdint.h>

/* name_body, an inline function of (parameters), becomes name, which runs it in the widest vectors there are. */
#if defined(__x86_64__)
#define FOR_PROCESSORS(name, parameters, arguments)                                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) static void name##_avx512 parameters             \
    {                                                                                                                  \
        name##_body arguments;                                                                                         \
    }                                                                                                                  \
    __attribute__((target("avx2"))) static void name##_avx2 parameters                                                 \
    {                                                                                                                  \
        name##_body arguments;                                                                                         \
    }                                                                                                                  \
    static void name parameters                                                                                        \
    {                                                                                                                  \
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&                                \
            __builtin_cpu_supports("avx512vl"))                                                                        \
            name##_avx512 arguments;                                                                                   \
        else if (__builtin_cpu_supports("avx2"))                                                                       \
            name##_avx2 arguments;                                                                                     \
        else                                                                                                           \
            name##_body arguments;                                                                                     \
    }
#else
#define FOR_PROCESSORS(name, parameters, arguments)                                                                    \
    static void name parameters                                                                                        \
    {                                                                                                                  \
        name##_body arguments;                                                                                         \
    }
#endif
#define BODY static inline __attribute__((always_inline)) void

/* Channels that lie together. */
static inline int64_t block_of(const struct onednn_image *image)
{
    return image->block ? image->block : image->channels;
}

static inline __attribute__((always_inline)) float from_bf16(uint16_t bits)
{
    union {
        uint32_t i;
        float f;
    } wide = {.i = (uint32_t)bits << 16};

    return wide.f;
}

/* To the nearest, ties to even. A NaN stays one: the carry of the rounding may not run through it. */
static inline __attribute__((always_inline)) uint16_t to_bf16(float x)
{
    union {
        float f;
        uint32_t i;
    } bits = {.f = x};

    return (uint16_t)(x != x ? (bits.i >> 16) | 0x40u : (bits.i + 0x7fffu + (bits.i >> 16 & 1u)) >> 16);
}

/* e^x to 2 units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' coefficients, Moshier). */
static inline __attribute__((always_inline)) float exponential(float x)
{
    const float rounder = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which lies in the low bits */
    union {
        float f;
        int32_t i;
    } shifted, power;
    float n, r, p;

    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    shifted.f = x * 1.44269504088896341f + rounder;
    n = shifted.f - rounder;
    r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    power.i = (int32_t)((uint32_t)(shifted.i - 0x4b400000 + 127) << 23);
    return p * power.f;
}

#endif
