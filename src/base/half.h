/*
 * half.h - IEEE 754 binary16 in plain integer arithmetic, for processors and compilers without it.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

/* Exact for every half. */
static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = (half >> 10) & 0x1fu, fraction = half & 0x3ffu;
    uint32_t bits;
    float value;

    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | fraction << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else { /* zero and subnormals: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Round to nearest, ties to even; overflow to infinity; NaN stays NaN. */
static inline uint16_t half_from_float(float value)
{
    uint32_t bits, sign, magnitude;

    memcpy(&bits, &value, sizeof(bits));
    sign = (bits >> 16) & 0x8000u;
    magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: the float unit rounds when 2^-24 becomes its last place */
        float tiny;
        uint32_t rounded;

        memcpy(&tiny, &magnitude, sizeof(tiny));
        tiny += 0.5f; /* 0.5 has an ulp of 2^-24 */
        memcpy(&rounded, &tiny, sizeof(rounded));
        return (uint16_t)(sign | (rounded - 0x3f000000u));
    }
    magnitude += 0xfffu + ((magnitude >> 13) & 1); /* half an ulp less one, plus one where odd */
    return (uint16_t)(sign | ((magnitude - 0x38000000u) >> 13));
}

static inline float half_round(float value)
{
    return half_to_float(half_from_float(value));
}

#endif
