/*
 * kernel_rows.c - pictures made plain, matrices transposed, and on the way the expectations of distributions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row is a channel, pixel by pixel, as ONNX has it. In blocks of channels it is a column, so that tiles of 16 pixels
 * by 16 channels are transposed in registers, each row of which then goes to where it belongs: that need not be beside
 * its neighbour, as where several pictures lie beside each other in one tensor. Distributions go through the
 * first-level cache in strips: rows of bins are made of some pixels, over which the sums are those of vectors.
 */
#include "engine/plan_kernels.h"

#include "engine/kernel_vectors.h"
#include "engine/plan_kernels_inside.h"

#include <string.h>

/* ---- rows ---- */

#define TILE 16

/* run channels of pixels, at pixel_bytes from each other, become rows. */
static void make_rows(enum onednn_type type, int64_t run, int64_t pixels, const char *from, size_t pixel_bytes,
                      float *to, int64_t row_stride)
{
    int64_t c, p;

    for (c = 0; c < run; c++)
        for (p = 0; p < pixels; p++) {
            const char *number = from + (size_t)p * pixel_bytes + (size_t)c * onednn_type_bytes(type);

            if (type == ONEDNN_F32)
                memcpy(&to[c * row_stride + p], number, sizeof(float));
            else
                to[c * row_stride + p] = from_bf16(*(const uint16_t *)(const void *)number);
        }
}

#ifdef KERNEL_VECTORS
/* Row i and column j change places: neighbours in pairs, in fours, and then fours of vectors. */
AVX512_INLINE void transpose_tile(__m512 *x)
{
    __m512 pairs[TILE];
    int i, k;

    UNROLL
    for (i = 0; i < TILE; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    UNROLL
    for (i = 0; i < TILE; i += 4)
        UNROLL
    for (k = 0; k < 2; k++) {
        const __m512d low = _mm512_castps_pd(pairs[i + k]), high = _mm512_castps_pd(pairs[i + k + 2]);

        x[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
        x[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
    UNROLL
    for (k = 0; k < 4; k++) {
        const __m512 even[2] = {_mm512_shuffle_f32x4(x[k], x[4 + k], 0x88),
                                _mm512_shuffle_f32x4(x[8 + k], x[12 + k], 0x88)};
        const __m512 odd[2] = {_mm512_shuffle_f32x4(x[k], x[4 + k], 0xdd),
                               _mm512_shuffle_f32x4(x[8 + k], x[12 + k], 0xdd)};

        x[k] = _mm512_shuffle_f32x4(even[0], even[1], 0x88);
        x[4 + k] = _mm512_shuffle_f32x4(odd[0], odd[1], 0x88);
        x[8 + k] = _mm512_shuffle_f32x4(even[0], even[1], 0xdd);
        x[12 + k] = _mm512_shuffle_f32x4(odd[0], odd[1], 0xdd);
    }
}

AVX512_INLINE void load_tile(enum onednn_type type, __mmask16 there, const char *from, size_t pixel_bytes, __m512 *x)
{
    int i;

    UNROLL
    for (i = 0; i < TILE; i++, from += pixel_bytes)
        x[i] = type == ONEDNN_F32 ? _mm512_maskz_loadu_ps(there, from)
                                  : _mm512_castsi512_ps(_mm512_slli_epi32(
                                        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, from)), 16));
    transpose_tile(x);
}

/* At least a tile of pixels, of at most a tile of channels. The last tile takes some pixels a second time. */
AVX512 static void make_rows_in_tiles(enum onednn_type type, int64_t run, int64_t pixels, const char *from,
                                      size_t pixel_bytes, float *to, int64_t row_stride)
{
    const __mmask16 there = (__mmask16)((1u << run) - 1);
    int64_t pixel;
    int i;

    for (pixel = 0; pixel < pixels; pixel += TILE) {
        const int64_t first = pixel + TILE <= pixels ? pixel : pixels - TILE;
        __m512 x[TILE];

        load_tile(type, there, from + (size_t)first * pixel_bytes, pixel_bytes, x);
        UNROLL
        for (i = 0; i < TILE; i++)
            if (i < run)
                _mm512_storeu_ps(to + i * row_stride + first, x[i]);
    }
}
#endif

/* Where a number lies. */
static const char *number_at(const struct onednn_image *image, const void *memory, int64_t channel, int64_t pixel)
{
    const int64_t block = block_of(image), pixels = image->height * image->width;

    return (const char *)memory + (size_t)(channel / block * block * pixels + pixel * block + channel % block) *
                                      onednn_type_bytes(image->type);
}

/* Channels [channel, + count) of pixels [first, + pixels); to: where the first of both goes. */
static void rows_of(const struct onednn_image *src, const void *from, int64_t channel, int64_t count, int64_t first,
                    int64_t pixels, float *to, int64_t row_stride)
{
    const int64_t block = block_of(src);
    const size_t pixel_bytes = (size_t)block * onednn_type_bytes(src->type);
    int64_t run;

    for (; count > 0; channel += run, count -= run, to += run * row_stride) {
        const char *in = number_at(src, from, channel, first);

        run = block - channel % block < TILE ? block - channel % block : TILE;
        run = run < count ? run : count;
        if (block == 1 && src->type == ONEDNN_F32)
            memcpy(to, in, (size_t)pixels * sizeof(float));
#ifdef KERNEL_VECTORS
        else if (kernel_has_avx512() && pixels >= TILE)
            make_rows_in_tiles(src->type, run, pixels, in, pixel_bytes, to, row_stride);
#endif
        else
            make_rows(src->type, run, pixels, in, pixel_bytes, to, row_stride);
    }
}

/* One picture at work. */
struct picture {
    const struct onednn_image *src;
    const void *from;
    float *to;
    int64_t row_stride;
    int64_t first_pixel, pixels; /* to be looked at */
    int64_t bins;                /* of expectations */
    const float *weights;
};

/* Pixels [ret, *ret_end) are this part's: whole strips. */
static int64_t own_pixels(const struct picture *picture, int64_t strip, int part, int parts, int64_t *ret_end)
{
    const int64_t strips = (picture->pixels + strip - 1) / strip, end = strips * (part + 1) / parts * strip;

    *ret_end = picture->first_pixel + (end < picture->pixels ? end : picture->pixels);
    return picture->first_pixel + strips * part / parts * strip;
}

static void rows_part(void *data, int part, int parts)
{
    const struct picture *picture = data;
    int64_t end, first = own_pixels(picture, TILE, part, parts, &end);

    if (first < end)
        rows_of(picture->src, picture->from, 0, picture->src->channels, first, end - first, picture->to + first,
                picture->row_stride);
}

void kernel_rows(const struct onednn_image *src, const void *from, float *to, int64_t row_stride, int threads)
{
    struct picture picture = {
        .src = src, .from = from, .to = to, .row_stride = row_stride, .pixels = src->height * src->width};

    onednn_parallel(threads, rows_part, &picture);
}

void kernel_transpose_matrix(int64_t rows, int64_t columns, int64_t column_stride, const void *from, void *to)
{
    const struct onednn_image columns_of = {ONEDNN_F32, column_stride, 1, columns, 0};

    rows_of(&columns_of, from, 0, rows, 0, columns, to, columns);
}

/* ---- expectations ---- */

#define STRIP 64 /* pixels whose bins lie in the first-level cache */

BODY expectation_body(int64_t bins, int64_t pixels, const float *from, const float *weights, float *to)
{
    float largest[STRIP], sum[STRIP], mean[STRIP];
    int64_t bin, i;

    for (i = 0; i < pixels; i++)
        largest[i] = from[i], sum[i] = mean[i] = 0.0f;
    for (bin = 1; bin < bins; bin++)
        for (i = 0; i < pixels; i++)
            largest[i] = from[bin * STRIP + i] > largest[i] ? from[bin * STRIP + i] : largest[i];
    for (bin = 0; bin < bins; bin++)
        for (i = 0; i < pixels; i++) {
            const float e = exponential(from[bin * STRIP + i] - largest[i]);

            sum[i] += e;
            mean[i] += e * weights[bin];
        }
    for (i = 0; i < pixels; i++)
        to[i] = mean[i] / sum[i];
}

FOR_PROCESSORS(expectation, (int64_t bins, int64_t pixels, const float *from, const float *weights, float *to),
               (bins, pixels, from, weights, to))

#ifdef KERNEL_VECTORS
/* Of 16 bins: no strip is needed, the tile stays in registers. At least a tile of pixels. */
AVX512 static void expectation_in_tiles(enum onednn_type type, int64_t pixels, const char *from, size_t pixel_bytes,
                                        const float *weights, float *to)
{
    const __m512 scale = _mm512_set1_ps(1.44269504088896341f);
    int64_t pixel;
    int i;

    for (pixel = 0; pixel < pixels; pixel += TILE) {
        const int64_t first = pixel + TILE <= pixels ? pixel : pixels - TILE;
        __m512 x[TILE], largest, sum = _mm512_setzero_ps(), mean = _mm512_setzero_ps();

        load_tile(type, 0xffff, from + (size_t)first * pixel_bytes, pixel_bytes, x);
        largest = x[0];
        UNROLL
        for (i = 1; i < TILE; i++)
            largest = _mm512_max_ps(largest, x[i]);
        UNROLL
        for (i = 0; i < TILE; i++) {
            const __m512 least = _mm512_set1_ps(-126.0f), t = _mm512_mul_ps(_mm512_sub_ps(x[i], largest), scale);
            const __m512 e = power_of_two(_mm512_max_ps(least, t));

            sum = _mm512_add_ps(sum, e);
            mean = _mm512_fmadd_ps(e, _mm512_set1_ps(weights[i]), mean);
        }
        _mm512_storeu_ps(to + first, _mm512_div_ps(mean, sum));
    }
}
#endif

static void expectation_part(void *data, int part, int parts)
{
    const struct picture *picture = data;
    const struct onednn_image *src = picture->src;
    float strip[GRAPH_MAX_BINS * STRIP] __attribute__((aligned(64)));
    int64_t end, first = own_pixels(picture, STRIP, part, parts, &end), row, pixels;

#ifdef KERNEL_VECTORS
    if (kernel_has_avx512() && picture->bins == TILE && src->block % TILE == 0 && end - first >= TILE) {
        for (row = 0; row * TILE < src->channels; row++)
            expectation_in_tiles(src->type, end - first, number_at(src, picture->from, row * TILE, first),
                                 (size_t)block_of(src) * onednn_type_bytes(src->type), picture->weights,
                                 picture->to + row * picture->row_stride + first);
        return;
    }
#endif
    memset(strip, 0, sizeof(strip));
    for (; first < end; first += STRIP)
        for (row = 0; row * picture->bins < src->channels; row++) {
            pixels = end - first < STRIP ? end - first : STRIP;
            rows_of(src, picture->from, row * picture->bins, picture->bins, first, pixels, strip, STRIP);
            expectation(picture->bins, pixels, strip, picture->weights,
                        picture->to + row * picture->row_stride + first);
        }
}

void kernel_expectation(const struct onednn_image *src, const void *from, int64_t first_row, int64_t end_row,
                        int64_t bins, const float *weights, float *to, int threads)
{
    struct picture picture = {.src = src,
                              .from = from,
                              .to = to,
                              .row_stride = src->height * src->width,
                              .first_pixel = first_row * src->width,
                              .pixels = (end_row - first_row) * src->width,
                              .bins = bins,
                              .weights = weights};

    BUG_ON(bins < 1 || bins > GRAPH_MAX_BINS || src->channels % bins);
    onednn_parallel(threads, expectation_part, &picture);
}

/* ---- thresholds ---- */

/* run numbers of each pixel, at pixel floats from each other. */
BODY is_above_body(int64_t run, int64_t pixels, int64_t pixel, const float *from, float above, uint8_t *any)
{
    int found = *any;
    int64_t p, c;

    for (p = 0; p < pixels; p++)
        for (c = 0; c < run; c++)
            found |= !(from[p * pixel + c] <= above);
    *any = found != 0;
}

FOR_PROCESSORS(is_above, (int64_t run, int64_t pixels, int64_t pixel, const float *from, float above, uint8_t *any),
               (run, pixels, pixel, from, above, any))

void kernel_rows_above(const struct onednn_image *src, const void *from, float above, uint8_t *rows)
{
    const int64_t block = block_of(src);
    int64_t y, c;

    BUG_ON(src->type != ONEDNN_F32);
    memset(rows, 0, (size_t)src->height);
    for (c = 0; c < src->channels; c += block) {
        const bool whole = src->channels - c >= block; /* then pixels follow each other without a gap */
        const int64_t pixels = whole ? 1 : src->width, run = whole ? src->width * block : src->channels - c;

        for (y = 0; y < src->height; y++)
            if (!rows[y])
                is_above(run, pixels, block, (const float *)(const void *)number_at(src, from, c, y * src->width),
                         above, &rows[y]);
    }
}
