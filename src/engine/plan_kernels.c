/*
 * plan_kernels.c - copies, and arithmetic that reads and writes memory once.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bodies are plain loops that compilers vectorise; FOR_PROCESSORS (plan_kernels_inside.h) compiles each three
 * times. They are bound by memory, so intrinsics would gain nothing; but the exponential is a polynomial, since a call
 * of expf in a loop keeps it scalar, and the softmax of rows, which attention spends its time in, has its own for
 * AVX-512. Dimensions that stay neighbours are one, after which most transpositions are of matrices, in tiles
 * (kernel_rows.c).
 */
#include "engine/plan_kernels.h"

#include "engine/kernel_vectors.h"
#include "engine/plan_kernels_inside.h"

#include <string.h>

/* ---- numbers ---- */

static inline __attribute__((always_inline)) float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(-x));
}

/* ---- pictures ---- */

static const char *at(const struct onednn_image *image, const void *memory, int64_t channel)
{
    const int64_t block = block_of(image), pixels = image->height * image->width;

    return (const char *)memory +
           (size_t)(channel / block * block * pixels + channel % block) * onednn_type_bytes(image->type);
}

BODY copy_runs_body(int64_t count, size_t run_bytes, const char *from, size_t from_stride, char *to, size_t to_stride)
{
    int64_t i;
    size_t k;

    if (run_bytes % 64 == 0)
        for (i = 0; i < count; i++, from += from_stride, to += to_stride)
            for (k = 0; k < run_bytes; k += 64)
                memcpy(to + k, from + k, 64);
    else if (run_bytes % 16 == 0)
        for (i = 0; i < count; i++, from += from_stride, to += to_stride)
            for (k = 0; k < run_bytes; k += 16)
                memcpy(to + k, from + k, 16);
    else
        for (i = 0; i < count; i++, from += from_stride, to += to_stride)
            memcpy(to, from, run_bytes);
}

FOR_PROCESSORS(copy_runs,
               (int64_t count, size_t run_bytes, const char *from, size_t from_stride, char *to, size_t to_stride),
               (count, run_bytes, from, from_stride, to, to_stride))

void kernel_copy_channels(const struct onednn_image *src, const void *from, int64_t src_channel,
                          const struct onednn_image *dst, void *to, int64_t dst_channel, int64_t count, bool last)
{
    const size_t bytes = onednn_type_bytes(src->type);
    const int64_t pixels = src->height * src->width, src_block = block_of(src), dst_block = block_of(dst);
    int64_t done, pixel;

    for (done = 0; done < count;) {
        const int64_t from_room = src_block - (src_channel + done) % src_block;
        const int64_t to_room = dst_block - (dst_channel + done) % dst_block;
        int64_t run = from_room < to_room ? from_room : to_room;
        const char *in = at(src, from, src_channel + done);
        char *out = (char *)at(dst, to, dst_channel + done);

        run = run < count - done ? run : count - done;
        if (run == src_block && run == dst_block)
            memcpy(out, in, (size_t)(run * pixels) * bytes);
        else
            copy_runs(pixels, (size_t)run * bytes, in, (size_t)src_block * bytes, out, (size_t)dst_block * bytes);
        done += run;
    }
    if (last && dst->channels % dst_block) {
        char *out = (char *)at(dst, to, dst->channels);

        for (pixel = 0; pixel < pixels; pixel++)
            memset(out + (size_t)(pixel * dst_block) * bytes, 0,
                   (size_t)(dst_block - dst->channels % dst_block) * bytes);
    }
}

void kernel_resize_nearest(const struct onednn_image *src, const void *from, const struct onednn_image *dst, void *to)
{
    const int64_t groups = onednn_round_up(src->channels, src->block) / block_of(src);
    const int64_t down = dst->height / src->height, across = dst->width / src->width;
    const size_t pixel_bytes = (size_t)block_of(src) * onednn_type_bytes(src->type);
    const char *in = from;
    char *out = to;
    int64_t row, k;

    for (row = 0; row < groups * src->height; row++) {
        for (k = 0; k < down * across; k++)
            copy_runs(src->width, pixel_bytes, in, pixel_bytes,
                      out + (size_t)(k / across * dst->width + k % across) * pixel_bytes, (size_t)across * pixel_bytes);
        in += (size_t)src->width * pixel_bytes;
        out += (size_t)(down * dst->width) * pixel_bytes;
    }
}

void kernel_spread_taps(const struct onednn_image *src, const void *from, const struct onednn_image *dst, void *to)
{
    const int64_t block = block_of(dst), groups = dst->channels / block;
    const int64_t down = dst->height / src->height, across = dst->width / src->width;
    const size_t bytes = onednn_type_bytes(src->type), pixel_bytes = (size_t)block * bytes;
    const size_t src_pixel_bytes = (size_t)block_of(src) * bytes;
    int64_t tap, group, y;

    for (tap = 0; tap < down * across; tap++)
        for (group = 0; group < groups; group++) {
            const char *in = at(src, from, tap * dst->channels + group * block);

            for (y = 0; y < src->height; y++, in += (size_t)src->width * src_pixel_bytes) {
                const int64_t row = group * dst->height + y * down + tap / across;

                copy_runs(src->width, pixel_bytes, in, src_pixel_bytes,
                          (char *)to + (size_t)(row * dst->width + tap % across) * pixel_bytes,
                          (size_t)across * pixel_bytes);
            }
        }
}

/* ---- element by element ---- */

BODY widen_bytes_body(int64_t count, const uint8_t *from, float *to)
{
    int64_t i;

    for (i = 0; i < count; i++)
        to[i] = (float)from[i] / 255.0f;
}

FOR_PROCESSORS(widen_bytes, (int64_t count, const uint8_t *from, float *to), (count, from, to))

void kernel_widen_bytes(int64_t count, const uint8_t *from, float *to)
{
    widen_bytes(count, from, to);
}

BODY add_or_multiply_body(bool add, bool bf16, int64_t count, const void *a, const void *b, void *to)
{
    const uint16_t *a16 = a, *b16 = b;
    const float *a32 = a, *b32 = b;
    uint16_t *to16 = to;
    float *to32 = to;
    int64_t i;

    if (bf16 && add)
        for (i = 0; i < count; i++)
            to16[i] = to_bf16(from_bf16(a16[i]) + from_bf16(b16[i]));
    else if (bf16)
        for (i = 0; i < count; i++)
            to16[i] = to_bf16(from_bf16(a16[i]) * from_bf16(b16[i]));
    else if (add)
        for (i = 0; i < count; i++)
            to32[i] = a32[i] + b32[i];
    else
        for (i = 0; i < count; i++)
            to32[i] = a32[i] * b32[i];
}

FOR_PROCESSORS(add_or_multiply, (bool add, bool bf16, int64_t count, const void *a, const void *b, void *to),
               (add, bf16, count, a, b, to))

void kernel_add_or_multiply(enum graph_op op, enum onednn_type type, int64_t count, const void *a, const void *b,
                            void *to)
{
    add_or_multiply(op == GRAPH_ADD, type == ONEDNN_BF16, count, a, b, to);
}

#define UNARY_LOOPS(f)                                                                                                 \
    if (bf16)                                                                                                          \
        for (i = 0; i < count; i++) {                                                                                  \
            const float x = from_bf16(from16[i]);                                                                      \
            to16[i] = to_bf16(f);                                                                                      \
        }                                                                                                              \
    else                                                                                                               \
        for (i = 0; i < count; i++) {                                                                                  \
            const float x = from32[i];                                                                                 \
            to32[i] = f;                                                                                               \
        }

BODY unary_body(enum graph_op op, bool bf16, int64_t count, const void *from, void *to)
{
    const uint16_t *from16 = from;
    const float *from32 = from;
    uint16_t *to16 = to;
    float *to32 = to;
    int64_t i;

    if (op == GRAPH_SIGMOID) {
        UNARY_LOOPS(sigmoid(x))
    } else if (op == GRAPH_SILU) {
        UNARY_LOOPS(x * sigmoid(x))
    } else {
        UNARY_LOOPS(x > 0.0f ? x : 0.0f)
    }
}

FOR_PROCESSORS(unary, (enum graph_op op, bool bf16, int64_t count, const void *from, void *to),
               (op, bf16, count, from, to))

bool kernel_knows_unary(enum graph_op op)
{
    return op == GRAPH_SIGMOID || op == GRAPH_SILU || op == GRAPH_RELU;
}

void kernel_unary(enum graph_op op, enum onednn_type type, int64_t count, const void *from, void *to)
{
    unary(op, type == ONEDNN_BF16, count, from, to);
}

/* ---- rows and columns ---- */

#define SOFTMAX_STRIP 256 /* columns that are worked on together, so that their sums stay in the first-level cache */

BODY softmax_columns_body(int64_t n, int64_t stride, int64_t columns, const float *from, float *to)
{
    float largest[SOFTMAX_STRIP], sum[SOFTMAX_STRIP];
    int64_t k, i;

    for (i = 0; i < columns; i++)
        largest[i] = from[i], sum[i] = 0.0f;
    for (k = 1; k < n; k++)
        for (i = 0; i < columns; i++)
            largest[i] = from[k * stride + i] > largest[i] ? from[k * stride + i] : largest[i];
    for (k = 0; k < n; k++)
        for (i = 0; i < columns; i++) {
            const float e = exponential(from[k * stride + i] - largest[i]);

            to[k * stride + i] = e;
            sum[i] += e;
        }
    for (i = 0; i < columns; i++)
        sum[i] = 1.0f / sum[i];
    for (k = 0; k < n; k++)
        for (i = 0; i < columns; i++)
            to[k * stride + i] *= sum[i];
}

FOR_PROCESSORS(softmax_columns, (int64_t n, int64_t stride, int64_t columns, const float *from, float *to),
               (n, stride, columns, from, to))

BODY softmax_row_body(int64_t n, const float *from, float *to)
{
    float largest = from[0], part[16] = {0}, sum = 0.0f;
    int64_t i, k;

    for (i = 1; i < n; i++)
        largest = from[i] > largest ? from[i] : largest;
    for (i = 0; i + 16 <= n; i += 16)
        for (k = 0; k < 16; k++) {
            to[i + k] = exponential(from[i + k] - largest);
            part[k] += to[i + k];
        }
    for (; i < n; i++) {
        to[i] = exponential(from[i] - largest);
        sum += to[i];
    }
    for (k = 0; k < 16; k++)
        sum += part[k];
    sum = 1.0f / sum;
    for (i = 0; i < n; i++)
        to[i] *= sum;
}

FOR_PROCESSORS(softmax_row, (int64_t n, const float *from, float *to), (n, from, to))

#ifdef KERNEL_VECTORS
/* The same with the exponential of kernel_vectors.h, in a third of the time. */
AVX512 static void softmax_row_in_vectors(int64_t n, const float *from, float *to)
{
    const __m512 least = _mm512_set1_ps(-126.0f), scale = _mm512_set1_ps(1.44269504088896341f);
    __m512 largest = _mm512_set1_ps(from[0]), sum = _mm512_setzero_ps();
    int64_t i;

    for (i = 0; i < n; i += LANES) {
        const __mmask16 there = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffff);

        largest = _mm512_mask_max_ps(largest, there, largest, _mm512_maskz_loadu_ps(there, from + i));
    }
    largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (i = 0; i < n; i += LANES) {
        const __mmask16 there = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffff);
        const __m512 t = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, from + i), largest), scale);
        const __m512 e = power_of_two(_mm512_max_ps(least, t));

        sum = _mm512_mask_add_ps(sum, there, sum, e);
        _mm512_mask_storeu_ps(to + i, there, e);
    }
    sum = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sum));
    for (i = 0; i < n; i += LANES) {
        const __mmask16 there = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffff);

        _mm512_mask_storeu_ps(to + i, there, _mm512_mul_ps(_mm512_maskz_loadu_ps(there, to + i), sum));
    }
}
#endif

void kernel_softmax(int64_t outer, int64_t n, int64_t inner, const float *from, float *to)
{
    int64_t o, i;

    for (o = 0; o < outer; o++, from += n * inner, to += n * inner) {
#ifdef KERNEL_VECTORS
        if (inner == 1 && kernel_has_avx512()) {
            softmax_row_in_vectors(n, from, to);
            continue;
        }
#endif
        if (inner == 1) {
            softmax_row(n, from, to);
            continue;
        }
        for (i = 0; i < inner; i += SOFTMAX_STRIP)
            softmax_columns(n, inner, inner - i < SOFTMAX_STRIP ? inner - i : SOFTMAX_STRIP, from + i, to + i);
    }
}

BODY mix_body(int64_t n, int64_t inner, const float *from, const float *weights, float bias, float *to)
{
    int64_t k, i;

    for (i = 0; i < inner; i++)
        to[i] = bias;
    for (k = 0; k < n; k++)
        for (i = 0; i < inner; i++)
            to[i] += weights[k] * from[k * inner + i];
}

FOR_PROCESSORS(mix, (int64_t n, int64_t inner, const float *from, const float *weights, float bias, float *to),
               (n, inner, from, weights, bias, to))

void kernel_mix(int64_t outer, int64_t n, int64_t inner, const float *from, const float *weights, float bias, float *to)
{
    int64_t o;

    for (o = 0; o < outer; o++)
        mix(n, inner, from + o * n * inner, weights, bias, to + o * inner);
}

BODY dense_body(int64_t in, int64_t out, const float *from, const float *weights, const float *bias, float *to)
{
    int64_t o, i, k;

    for (o = 0; o < out; o++, weights += in) {
        float part[16] = {0}, sum = bias ? bias[o] : 0.0f;

        for (i = 0; i + 16 <= in; i += 16)
            for (k = 0; k < 16; k++)
                part[k] += from[i + k] * weights[i + k];
        for (; i < in; i++)
            sum += from[i] * weights[i];
        for (k = 0; k < 16; k++)
            sum += part[k];
        to[o] = sum;
    }
}

FOR_PROCESSORS(dense, (int64_t in, int64_t out, const float *from, const float *weights, const float *bias, float *to),
               (in, out, from, weights, bias, to))

void kernel_dense(int64_t rows, int64_t in, int64_t out, const float *from, const float *weights, const float *bias,
                  float *to)
{
    int64_t row;

    for (row = 0; row < rows; row++)
        dense(in, out, from + row * in, weights, bias, to + row * out);
}

/* ---- any strides ---- */

#define TRANSPOSE_TILE 16 /* a tile of 16 x 16 reads and writes whole cache lines */

/* to[i][j] = from[i * i_stride + j * j_stride], with the smaller stride of from in the inner loop of a tile. */
/* A type, where parentheses may not stand. NOLINTBEGIN(bugprone-macro-parentheses) */
#define TRANSPOSE_PLANE(type)                                                                                          \
    static void transpose_plane_##type(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride,       \
                                       const type *from, type *to)                                                     \
    {                                                                                                                  \
        int64_t i, j, i0, j0;                                                                                          \
                                                                                                                       \
        if (column_stride == 1) {                                                                                      \
            for (i = 0; i < rows; i++)                                                                                 \
                memcpy(to + i * columns, from + i * row_stride, (size_t)columns * sizeof(type));                       \
            return;                                                                                                    \
        }                                                                                                              \
        for (i0 = 0; i0 < rows; i0 += TRANSPOSE_TILE)                                                                  \
            for (j0 = 0; j0 < columns; j0 += TRANSPOSE_TILE)                                                           \
                for (i = i0; i < rows && i < i0 + TRANSPOSE_TILE; i++)                                                 \
                    for (j = j0; j < columns && j < j0 + TRANSPOSE_TILE; j++)                                          \
                        to[i * columns + j] = from[i * row_stride + j * column_stride];                                \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
TRANSPOSE_PLANE(uint32_t)
TRANSPOSE_PLANE(uint64_t)

/* The next index of the dimensions before count; false after the last. */
static bool step_index(int count, const int64_t *shape, int64_t *index)
{
    int d;

    for (d = count - 1; d >= 0; d--) {
        if (++index[d] < shape[d])
            return true;
        index[d] = 0;
    }
    return false;
}

void kernel_transpose(int rank, const int64_t *to_shape, const int *permutation, size_t element_bytes, const void *from,
                      void *to)
{
    int64_t from_shape[GRAPH_MAX_RANK] = {0}, from_strides[GRAPH_MAX_RANK] = {0}, strides[GRAPH_MAX_RANK + 2] = {0},
            shape[GRAPH_MAX_RANK + 2], index[GRAPH_MAX_RANK + 2] = {0}, stride = 1, base;
    char *out = to;
    int d, merged = 0;

    for (d = 0; d < rank; d++)
        from_shape[permutation[d]] = to_shape[d];
    for (d = rank - 1; d >= 0; d--) {
        from_strides[d] = stride;
        stride *= from_shape[d];
    }
    for (d = 0; d < rank; d++) { /* neighbours that are neighbours in from are one dimension */
        const int64_t size = to_shape[d], from_stride = from_strides[permutation[d]];

        if (size == 1)
            continue;
        if (merged > 0 && strides[merged - 1] == from_stride * size)
            shape[merged - 1] *= size, strides[merged - 1] = from_stride;
        else
            shape[merged] = size, strides[merged++] = from_stride;
    }
    rank = merged;
    for (; rank < 2; rank++) { /* one more dimension before them, of size 1 */
        shape[1] = rank ? shape[0] : 1, strides[1] = rank ? strides[0] : 1;
        shape[0] = strides[0] = 1;
    }
    do {
        for (base = 0, d = 0; d < rank - 2; d++)
            base += index[d] * strides[d];
        if (element_bytes == 4 && strides[rank - 2] == 1 && strides[rank - 1] >= shape[rank - 2])
            kernel_transpose_matrix(shape[rank - 2], shape[rank - 1], strides[rank - 1], (const uint32_t *)from + base,
                                    out);
        else if (element_bytes == 4)
            transpose_plane_uint32_t(shape[rank - 2], shape[rank - 1], strides[rank - 2], strides[rank - 1],
                                     (const uint32_t *)from + base, (uint32_t *)(void *)out);
        else
            transpose_plane_uint64_t(shape[rank - 2], shape[rank - 1], strides[rank - 2], strides[rank - 1],
                                     (const uint64_t *)from + base, (uint64_t *)(void *)out);
        out += (size_t)(shape[rank - 2] * shape[rank - 1]) * element_bytes;
    } while (step_index(rank - 2, shape, index));
}

bool kernel_knows_binary(enum graph_op op)
{
    return op == GRAPH_ADD || op == GRAPH_SUB || op == GRAPH_MUL || op == GRAPH_DIV;
}

#define BINARY_LOOPS(operator)                                                                                         \
    if (a_stride && b_stride)                                                                                          \
        for (i = 0; i < count; i++)                                                                                    \
            to[i] = a[i] operator b[i];                                                                                \
    else if (a_stride)                                                                                                 \
        for (i = 0; i < count; i++)                                                                                    \
            to[i] = a[i] operator b[0];                                                                                \
    else                                                                                                               \
        for (i = 0; i < count; i++)                                                                                    \
            to[i] = a[0] operator b[b_stride * i];

BODY binary_body(enum graph_op op, int64_t count, int64_t a_stride, const float *a, int64_t b_stride, const float *b,
                 float *to)
{
    int64_t i;

    if (op == GRAPH_ADD) {
        BINARY_LOOPS(+)
    } else if (op == GRAPH_SUB) {
        BINARY_LOOPS(-)
    } else if (op == GRAPH_MUL) {
        BINARY_LOOPS(*)
    } else {
        BINARY_LOOPS(/)
    }
}

FOR_PROCESSORS(binary,
               (enum graph_op op, int64_t count, int64_t a_stride, const float *a, int64_t b_stride, const float *b,
                float *to),
               (op, count, a_stride, a, b_stride, b, to))

void kernel_binary(enum graph_op op, int rank, const int64_t *shape, const int64_t *a_strides, const float *a,
                   const int64_t *b_strides, const float *b, float *to)
{
    int64_t index[GRAPH_MAX_RANK] = {0}, count = 1, a_inner = 0, b_inner = 0, a_at, b_at;
    int outer = rank, d;

    /* The dimensions at the end that one loop can run through: both go on from one to the next as within it. */
    for (; outer > 0; outer--) {
        const int64_t size = shape[outer - 1], a_stride = a_strides[outer - 1], b_stride = b_strides[outer - 1];

        if (size == 1)
            continue;
        if (count == 1)
            a_inner = a_stride, b_inner = b_stride;
        else if (a_stride != a_inner * count || b_stride != b_inner * count)
            break;
        count *= size;
    }
    do {
        for (a_at = 0, b_at = 0, d = 0; d < outer; d++)
            a_at += index[d] * a_strides[d], b_at += index[d] * b_strides[d];
        binary(op, count, a_inner, a + a_at, b_inner, b + b_at, to);
        to += count;
    } while (step_index(outer, shape, index));
}
