/*
 * plan_kernels_inside.h - how loops are compiled for several processors, and bf16.  Included by plan_kernels*.c only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_PLAN_KERNELS_INSIDE_H
#define ENGINE_PLAN_KERNELS_INSIDE_H

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

#endif
