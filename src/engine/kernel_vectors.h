/*
 * kernel_vectors.h - a block of 16 channels as a vector of AVX-512: loads, stores, activations.  Depends on onednn.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by the kernels that are written in intrinsics, where KERNEL_VECTORS is defined: on x86-64. Whoever calls
 * them has asked kernel_has_avx512 first.
 */
#ifndef ENGINE_KERNEL_VECTORS_H
#define ENGINE_KERNEL_VECTORS_H

#include "engine/onednn.h"

#if defined(__x86_64__)
#define KERNEL_VECTORS 1
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#define AVX512_INLINE                                                                                                  \
    static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))

/* Whoever calls these has asked kernel_has_vnni, too. */
#define AVX512_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma")))
#define AVX512_VNNI_INLINE                                                                                             \
    static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,"     \
                                                       "fma")))

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif

#define LANES 16 /* channels in a block */

/* oneDNN's word counts, too: it may have been told to keep to AVX2, and then blocks are of 8. */
static inline bool kernel_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && onednn_block() == LANES;
}

/* Bytes from a pixel, a row, and 16 channels of a picture to the next. */
struct kernel_strides {
    int64_t pixel, row, block;
};

static inline struct kernel_strides kernel_strides_of(const struct onednn_image *image)
{
    const int64_t bytes = (int64_t)onednn_type_bytes(image->type);
    const int64_t pixel = (image->block ? image->block : image->channels) * bytes;

    return (struct kernel_strides){
        .pixel = pixel,
        .row = image->width * pixel,
        .block = image->block ? image->height * image->width * pixel : LANES * bytes,
    };
}

static inline bool kernel_has_vnni(void)
{
    return kernel_has_avx512() && __builtin_cpu_supports("avx512vnni");
}

AVX512_INLINE __m512 load_block(enum onednn_type type, const void *from)
{
    if (type == ONEDNN_F32)
        return _mm512_load_ps(from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_load_si256(from)), 16));
}

/* bf16: to the nearest, ties to even; only where onednn_has_bf16. */
AVX512_INLINE void store_block(enum onednn_type type, void *to, __m512 x)
{
    if (type == ONEDNN_F32)
        _mm512_store_ps(to, x);
    else
        _mm256_store_si256(to, (__m256i)_mm512_cvtneps_pbh(x));
}

/* Two blocks, the second next_bytes behind the first: bf16 takes one rounding for both. */
AVX512_INLINE void store_two_blocks(enum onednn_type type, void *to, int64_t next_bytes, const __m512 x[2])
{
    char *const next = (char *)to + next_bytes;

    if (type == ONEDNN_F32) {
        store_block(type, to, x[0]);
        store_block(type, next, x[1]);
    } else {
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(x[1], x[0]);

        _mm256_store_si256((__m256i *)to, _mm512_castsi512_si256(both));
        _mm256_store_si256((__m256i *)(void *)next, _mm512_extracti64x4_epi64(both, 1));
    }
}

/* 2^t to a unit in the last place, where t is from -126 to 126: 2^n 2^f, n an integer and f in [-1/2, 1/2], where 2^f
 * is a polynomial of the fifth degree, off by 7.5e-8 (least greatest relative error, by Remez's exchange). */
AVX512_INLINE __m512 power_of_two(__m512 t)
{
    const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(t, n);
    __m512 p = _mm512_set1_ps(1.327647199e-3f);

    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.675541334e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550713273e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402211972e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931469671e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.000000072f));
    return _mm512_scalef_ps(p, n);
}

/* 1 / (1 + e^-x), to some units in the last place of fp32: a first guess of 14 bits after one step of Newton's method,
 * since a division takes as long as all the rest. */
AVX512_INLINE __m512 sigmoid_exact(__m512 x)
{
    /* Newton's step may meet no infinity; a NaN stays one, since the second operand is returned */
    const __m512 t = _mm512_min_ps(_mm512_set1_ps(126.0f), _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504088896341f)));
    const __m512 d = _mm512_add_ps(power_of_two(t), _mm512_set1_ps(1.0f)), q = _mm512_rcp14_ps(d);

    return _mm512_mul_ps(q, _mm512_fnmadd_ps(d, q, _mm512_set1_ps(2.0f)));
}

/* The same within 1.8e-4 of itself, a twentieth of a unit of bf16, in fewer steps. -x / ln 2 is rounded down to a
 * sixteenth, n, by adding a number that has no smaller places; its last four bits choose 2^(1/32) times the power of
 * two of n's fraction. e to what is left, less ln 2 / 32, is 1 plus that: off by 2.4e-4 at most, in one direction,
 * which 1.000119 in the table halves. Rounding down never leaves an infinity where x is none, and the product with
 * 0.69314706, two units less than ln 2, never what is negative: no finite x becomes NaN. Those that are not do. */
AVX512_INLINE __m512 sigmoid_rounded(__m512 x)
{
    static const float powers[LANES] __attribute__((aligned(64))) = {
        1.02201879f, 1.06726742f, 1.11451936f, 1.1638633f,  1.21539199f, 1.26920199f, 1.32539439f, 1.38407457f,
        1.44535279f, 1.50934398f, 1.57616842f, 1.64595127f, 1.71882379f, 1.79492259f, 1.8743906f,  1.95737708f};
    const __m512 sixteenths = _mm512_set1_ps(786432.0f); /* 1.5 * 2^19 */
    const __m512 places = _mm512_fmadd_round_ps(x, _mm512_set1_ps(-1.44269504088896341f), sixteenths,
                                                _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m512 n = _mm512_sub_ps(places, sixteenths);
    const __m512 left = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.69314706f),
                                         _mm512_sub_ps(_mm512_set1_ps(0.978339151f), x)); /* 1 - ln 2 / 32 */
    const __m512 power = _mm512_scalef_ps(_mm512_permutexvar_ps(_mm512_castps_si512(places), _mm512_load_ps(powers)),
                                          n); /* takes n's integer part */

    return _mm512_rcp14_ps(_mm512_fmadd_ps(power, left, _mm512_set1_ps(1.0f)));
}

/* Both are as exact as a result of type to. */
AVX512_INLINE __m512 sigmoid_of(enum onednn_type to, __m512 x)
{
    return to == ONEDNN_F32 ? sigmoid_exact(x) : sigmoid_rounded(x);
}

AVX512_INLINE __m512 silu(enum onednn_type to, __m512 x)
{
    return _mm512_mul_ps(x, sigmoid_of(to, x));
}

/* What kernel_activation_known lets through. */
AVX512_INLINE __m512 activate(enum graph_op op, float alpha, enum onednn_type to, __m512 x)
{
    switch ((int)op) {
    case GRAPH_SILU:
        return silu(to, x);
    case GRAPH_SIGMOID:
        return sigmoid_of(to, x);
    case GRAPH_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    case GRAPH_LEAKY_RELU:
        return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), x, _mm512_set1_ps(alpha));
    default:
        return x;
    }
}

static inline bool kernel_activation_known(const struct graph_unary *activation)
{
    return activation->op == GRAPH_REMOVED || activation->op == GRAPH_SILU || activation->op == GRAPH_SIGMOID ||
           activation->op == GRAPH_RELU || activation->op == GRAPH_LEAKY_RELU;
}
#endif

#endif
