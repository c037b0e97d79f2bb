/*
 * kernel_winograd_int16.c - 3 x 3 convolutions of stride 1, bf16 or 8 bits, with products of 16-bit integers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 VNNI multiplies two pairs of 16-bit integers, and adds both products to a sum of 32 bits, in the time that it
 * takes for one of floats. Winograd's transforms (kernel_winograd.h) ask for more digits than bf16 or 8 bits have, but
 * not for more than 16:
 *
 *     v = round(s B^T d B)        s: of the tile, so that no v can be greater than 16 bits hold
 *     u = round(q G g G^T)        q: of the point and the output channel, so that no sum can be greater than 32 bits
 *     y = A^T [ sum of v u / q ] A / s
 *
 * Sums are exact; what is lost is lost in the two roundings. A tile's s follows from the least and the greatest number
 * that its pixels have in any channel, since |B^T d B| <= 14.58 (greatest - least); that of integers follows from their
 * type. The error is two to four thousandths of the results' root mean square, three times what the rounding of d to
 * bf16 has cost before; over the channels of a sum q is what limits it (64: one thousandth, 128: two).
 *
 * Groups of tiles as in kernel_winograd.c. Two blocks of channels are packed into one vector, whose 32-bit numbers are
 * pairs of neighbouring channels: four numbers of the first block, then four of the second, as the instruction packs
 * them. A last block without a second is half a vector.
 *
 * A number of bf16 that is not finite makes all results of its tile NaN.
 */
#include "engine/kernel_winograd_int16.h"

#include <string.h>

#ifdef KERNEL_VECTORS

#define GROUP_BYTES ((int64_t)512 << 10) /* of scratch, half a second-level cache: the weights go through the rest */
/* |B^T d B| over the greatest number of d less the least, both counted with 0: of each product of two rows of B^T the
 * coefficients of either sign add up to 14.572 at most. */
#define MOST_GROWTH 14.58f

struct layer {
    int64_t in_blocks, out_blocks; /* of channels */
    int64_t tiles;                 /* of all pictures */
    int64_t group;                 /* the most tiles that are worked on together */
    int64_t v_stride, m_stride;    /* numbers from one of the 36 products to the next */
};

static bool is_integers(enum onednn_type type)
{
    return type == ONEDNN_U8 || type == ONEDNN_S8;
}

static struct layer measure(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    struct layer l = {
        .in_blocks = parts_of(c->src.channels, LANES),
        .out_blocks = parts_of(c->dst.channels, LANES),
        .tiles = winograd_tiles(c, pictures),
    };
    const int64_t in_pairs = parts_of(l.in_blocks, 2);

    l.group = winograd_group(l.tiles, threads, POINTS * (4 * in_pairs + 4 * l.out_blocks) * LANES, GROUP_BYTES);
    /* Odd numbers of vectors, so that the 36 that belong to one tile do not fall into the same few sets of a cache. */
    l.v_stride = (in_pairs * l.group | 1) * 2 * LANES;
    l.m_stride = (l.out_blocks * l.group | 1) * LANES;
    return l;
}

/* Transformed pixels, sums, and two numbers for each tile. */
static size_t scratch_of_thread(const struct layer *l)
{
    return (size_t)(POINTS * (l->v_stride * 2 + l->m_stride * 4)) +
           (size_t)onednn_round_up(2 * l->group, LANES) * sizeof(float);
}

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    const struct layer l = measure(c, pictures, threads);

    return (size_t)threads * scratch_of_thread(&l);
}

/* ---- weights ---- */

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return winograd_weights_bytes(c, POINTS);
}

/* The place of an input channel among the 16-bit numbers of a tile, or of one output channel's weights. */
static int64_t place_of(int64_t channel, int64_t in_blocks)
{
    const int64_t block = channel / LANES, lane = channel % LANES;

    if (block == in_blocks - 1 && block % 2 == 0)
        return channel;
    return block / 2 * 2 * LANES + lane / 4 * 8 + block % 2 * 4 + lane % 4;
}

static double greater(double one, double other) /* fmax is a call, for the sake of NaN */
{
    return one > other ? one : other;
}

static void transform_weights(const struct onednn_convolution *c, const void *weights, int64_t o, int64_t i,
                              double u[POINTS])
{
    const int64_t at = (o * c->src.channels + i) * 9;
    float g[9];
    int k;

    for (k = 0; k < 9; k++)
        g[k] = is_integers(c->src.type) ? (float)((const int8_t *)weights)[at + k] : ((const float *)weights)[at + k];
    winograd_weights(g, u);
}

/* Packed as the products read: [point][pair of out blocks][pair of in channels][32][2]; the last block may be alone.
 * Behind that 1 / q, [point][out]. */
static void pack(const struct onednn_convolution *c, const void *weights, void *packed)
{
    const int64_t in = onednn_round_up(c->src.channels, LANES), out = onednn_round_up(c->dst.channels, LANES);
    const int64_t paired = out / (2 * LANES) * (2 * LANES);
    int16_t *to = packed;
    float *scales = (float *)(void *)((char *)packed + (size_t)winograd_weights_count(c, POINTS) * sizeof(int16_t));
    double u[POINTS], most[POINTS], sum[POINTS], largest[POINTS];
    int64_t o, i;
    int point;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < c->dst.channels; o++) {
        const int64_t width = o < paired ? 2 * LANES : LANES, first = o < paired ? o / width * width : paired;
        double poison = 0.0;

        memset(most, 0, sizeof(most));
        memset(sum, 0, sizeof(sum));
        memset(largest, 0, sizeof(largest));
        for (i = 0; i < c->src.channels; i++) {
            const bool begins = winograd_sum_begins(i, in);

            transform_weights(c, weights, o, i, u);
            for (point = 0; point < POINTS; point++) {
                sum[point] = (begins ? 0.0 : sum[point]) + fabs(u[point]);
                most[point] = greater(most[point], sum[point]);
                largest[point] = greater(largest[point], fabs(u[point]));
                poison += u[point] - u[point]; /* NaN where it is no number: there is no integer for that */
            }
        }
        for (point = 0; point < POINTS; point++) {
            sum[point] = winograd_unit(most[point], largest[point]);
            scales[point * out + o] = (float)(1.0 / sum[point] + poison);
        }
        for (i = 0; i < c->src.channels; i++) {
            const int64_t place = place_of(i, in / LANES);

            transform_weights(c, weights, o, i, u);
            for (point = 0; point < POINTS && poison == 0.0; point++)
                to[point * in * out + first * in + (place / 2 * width + o - first) * 2 + place % 2] =
                    (int16_t)lrint(u[point] * sum[point]);
        }
    }
}

/* ---- input ---- */

/* s and 1 / s of each tile: scales[2 t], scales[2 t + 1]. */
AVX512 static void find_scales(const struct onednn_convolution *c, const struct layer *l,
                               const struct kernel_strides *strides, const char *from, size_t picture_bytes,
                               int64_t first, int64_t count, float *scales)
{
    struct winograd_tile tile = winograd_tile_at(c, first);
    int64_t t;

    for (t = 0; t < count; t++, winograd_tile_step(c, &tile)) {
        const int64_t top = tile.down * TILE - c->window.pad_begin[0];
        const int64_t left = tile.across * TILE - c->window.pad_begin[1];
        const int64_t begin_y = top < 0 ? 0 : top, end_y = least(top + REACH, c->src.height);
        const int64_t begin_x = left < 0 ? 0 : left, end_x = least(left + REACH, c->src.width);
        const char *pixels =
            from + (size_t)tile.picture * picture_bytes + begin_y * strides->row + begin_x * strides->pixel;
        const int64_t height = end_y - begin_y, width = end_x - begin_x;
        const float range = width == REACH
                                ? winograd_range(pixels, height, REACH, l->in_blocks, strides->row, strides->block)
                                : winograd_range(pixels, height, width, l->in_blocks, strides->row, strides->block);
        const float scale = MOST_V / MOST_GROWTH / range;

        scales[2 * t] = scale < 1e30f ? scale : 1e30f; /* the range of very small numbers, or of none */
        scales[2 * t + 1] = range <= 3e38f ? 1.0f / scales[2 * t] : NAN;
    }
}

/* 16 channels of a pixel. Integers: less zero. */
AVX512_INLINE __m512 load_pixel(enum onednn_type type, const char *from, __m512i zero)
{
    if (type == ONEDNN_BF16)
        return load_block(ONEDNN_BF16, from);
    return _mm512_cvtepi32_ps(
        _mm512_sub_epi32(type == ONEDNN_U8 ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from))
                                           : _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)),
                         zero));
}

/* Tiles [first, first + count) of a pair of blocks of channels, or of one; from: the first block of the first picture.
 * Of a tile's six columns the first two were the last two of the tile before it in the row. */
AVX512_INLINE void transform_input_body(enum onednn_type type, const int blocks, const struct onednn_convolution *c,
                                        const struct layer *l, const struct kernel_strides *strides, const char *from,
                                        size_t picture_bytes, int64_t first, int64_t count, const float *scales,
                                        int16_t *v)
{
    const __m512i zero = _mm512_set1_epi32(type == ONEDNN_BF16 ? 0 : c->quantized.scales->x.zero);
    struct winograd_tile tile = winograd_tile_at(c, first);
    __m512 columns[2][REACH][REACH], d[REACH], to[2][REACH];
    const char *rows[REACH];
    bool inside[REACH];
    int64_t t, y, x;
    int ring = 0, begin = 0, column, r, k;

    for (t = 0; t < count; t++, v += 2 * LANES) {
        const float scale = scales[2 * t];

        if (begin == 0)
            for (r = 0; r < REACH; r++) {
                y = tile.down * TILE - c->window.pad_begin[0] + r;
                inside[r] = y >= 0 && y < c->src.height;
                rows[r] = from + (size_t)tile.picture * picture_bytes + (inside[r] ? y : 0) * strides->row;
            }
        for (column = begin; column < REACH; column++) {
            const int made = (ring + column) % REACH;

            x = tile.across * TILE - c->window.pad_begin[1] + column;
            for (k = 0; k < blocks; k++) {
                if (x < 0 || x >= c->src.width) {
                    UNROLL
                    for (r = 0; r < REACH; r++)
                        columns[k][made][r] = _mm512_setzero_ps();
                    continue;
                }
                UNROLL
                for (r = 0; r < REACH; r++) {
                    const char *pixel = rows[r] + x * strides->pixel + k * strides->block;

                    d[r] = inside[r] ? load_pixel(type, pixel, zero) : _mm512_setzero_ps();
                }
                winograd_transform_6(1.0f, d, columns[k][made]);
            }
        }
        for (r = 0; r < REACH; r++) {
            UNROLL
            for (k = 0; k < blocks; k++) {
                UNROLL
                for (column = 0; column < REACH; column++)
                    d[column] = columns[k][(ring + column) % REACH][r];
                winograd_transform_6(scale, d, to[k]);
            }
            UNROLL
            for (column = 0; column < REACH; column++) {
                int16_t *place = v + (r * REACH + column) * l->v_stride;

                if (blocks == 2)
                    _mm512_store_si512(place, _mm512_packs_epi32(_mm512_cvtps_epi32(to[0][column]),
                                                                 _mm512_cvtps_epi32(to[1][column])));
                else
                    _mm256_store_si256((__m256i *)(void *)place,
                                       _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(to[0][column])));
            }
        }
        ring = (ring + TILE) % REACH;
        winograd_tile_step(c, &tile);
        begin = tile.across == 0 ? 0 : REACH - TILE;
    }
}

typedef void (*input_function)(const struct onednn_convolution *c, const struct layer *l,
                               const struct kernel_strides *strides, const char *from, size_t picture_bytes,
                               int64_t first, int64_t count, const float *scales, int16_t *v);

#define INPUT(name, type, blocks)                                                                                      \
    AVX512 static void name##_##blocks(const struct onednn_convolution *c, const struct layer *l,                      \
                                       const struct kernel_strides *strides, const char *from, size_t picture_bytes,   \
                                       int64_t first, int64_t count, const float *scales, int16_t *v)                  \
    {                                                                                                                  \
        transform_input_body(type, blocks, c, l, strides, from, picture_bytes, first, count, scales, v);               \
    }
#define INPUTS(name, type) INPUT(name, type, 1) INPUT(name, type, 2)
INPUTS(input_bf16, ONEDNN_BF16)
INPUTS(input_u8, ONEDNN_U8)
INPUTS(input_s8, ONEDNN_S8)

static input_function input_for(enum onednn_type type, int blocks)
{
    switch (type) {
    case ONEDNN_U8:
        return blocks == 2 ? input_u8_2 : input_u8_1;
    case ONEDNN_S8:
        return blocks == 2 ? input_s8_2 : input_s8_1;
    default:
        return blocks == 2 ? input_bf16_2 : input_bf16_1;
    }
}

/* ---- products ---- */

/* sum += x w, pairs of 16 bits. As an intrinsic it makes gcc 12 copy each sum to memory and back. */
AVX512_VNNI_INLINE void multiply_pairs(__m512i *sum, __m512i x, __m512i w)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}

/* m[out][tile] = the sum over in of v[in][tile] u[in][out] / q[out], for tiles x (16 width) results that stay in
 * registers. */
AVX512_VNNI_INLINE void product_body(const int tiles, const int width, int64_t in_blocks, int64_t group,
                                     const int16_t *v, const int16_t *u, const float *scales, float *m)
{
    bool add = false;

    for (; in_blocks > 0; add = true) {
        int64_t chunk = least(in_blocks, in_blocks == 2 * CHUNK + 1 ? in_blocks : 2 * CHUNK);
        __m512i sum[MOST_TILES][2], w[2];
        int t, k;

        UNROLL
        for (t = 0; t < tiles; t++)
            UNROLL
        for (k = 0; k < width; k++)
            sum[t][k] = _mm512_setzero_si512();
        for (in_blocks -= chunk; chunk > 0; chunk -= 2, v += group * 2 * LANES) {
            const int16_t *from = v, *end = v + (chunk > 1 ? 2 * LANES : LANES);

            for (; from < end; from += 2, u += width * 2 * LANES) {
                UNROLL
                for (k = 0; k < width; k++)
                    w[k] = _mm512_load_si512(u + k * 2 * LANES);
                UNROLL
                for (t = 0; t < tiles; t++) {
                    const __m512i x = _mm512_set1_epi32(*(const int32_t *)(const void *)(from + t * 2 * LANES));

                    UNROLL
                    for (k = 0; k < width; k++)
                        multiply_pairs(&sum[t][k], x, w[k]);
                }
            }
        }
        UNROLL
        for (k = 0; k < width; k++) {
            const __m512 scale = _mm512_load_ps(scales + k * LANES);

            UNROLL
            for (t = 0; t < tiles; t++) {
                float *to = m + (k * group + t) * LANES;
                const __m512 made = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t][k]), scale);

                _mm512_store_ps(to, add ? _mm512_add_ps(_mm512_load_ps(to), made) : made);
            }
        }
    }
}

#define PRODUCT(tiles, width)                                                                                          \
    AVX512_VNNI static void pairs_##tiles##_##width(int64_t in_blocks, int64_t group, const int16_t *v,                \
                                                    const int16_t *u, const float *scales, float *m)                   \
    {                                                                                                                  \
        product_body(tiles, width, in_blocks, group, v, u, scales, m);                                                 \
    }
#define PRODUCTS(tiles) PRODUCT(tiles, 1) PRODUCT(tiles, 2)
EACH_COUNT_OF_TILES(PRODUCTS)

#define ROW(tiles) {pairs_##tiles##_1, pairs_##tiles##_2},
const winograd_product winograd_products[MOST_TILES + 1][2] = {{NULL, NULL}, EACH_COUNT_OF_TILES(ROW)};

static void multiply(const struct layer *l, int64_t count, const int16_t *v, const int16_t *u, const float *scales,
                     float *m)
{
    const int64_t parts = parts_of(count, MOST_TILES);
    int64_t point, out, part;

    for (point = 0; point < POINTS; point++, v += l->v_stride, m += l->m_stride)
        for (out = 0; out < l->out_blocks; out += 2) {
            const int64_t width = least(2, l->out_blocks - out);

            for (part = 0; part < parts; part++) {
                const int64_t first = count * part / parts, next = count * (part + 1) / parts;

                winograd_products[next - first][width - 1](l->in_blocks, l->group, v + first * 2 * LANES, u, scales,
                                                           m + (out * l->group + first) * LANES);
            }
            u += l->in_blocks * LANES * width * LANES;
            scales += width * LANES;
        }
}

/* ---- output ---- */

/* What results of 8 bits, and residuals of 8 bits, stand for. */
struct output {
    const struct onednn_convolution *convolution;
    const struct layer *layer;
    struct kernel_strides strides, residual_strides;
    enum onednn_type residual_type;
    const float *unit; /* of integers: what 1 of each channel's weights stands for; NULL: 1 */
    float y_scale, y_zero, residual_scale;
    int32_t residual_zero;
};

AVX512_INLINE void store_pixel(enum onednn_type type, const struct output *output, char *to, __m512 y)
{
    __m512i integers;

    if (!is_integers(type)) {
        store_block(type, to, y);
        return;
    }
    integers = _mm512_cvtps_epi32(_mm512_fmadd_ps(y, _mm512_set1_ps(output->y_scale), _mm512_set1_ps(output->y_zero)));
    _mm_storeu_si128((__m128i *)(void *)to,
                     type == ONEDNN_U8 ? _mm512_cvtusepi32_epi8(_mm512_max_epi32(integers, _mm512_setzero_si512()))
                                       : _mm512_cvtsepi32_epi8(integers));
}

AVX512_INLINE __m512 load_residual(const struct output *output, const char *from)
{
    const __m512i zero = _mm512_set1_epi32(output->residual_zero);

    switch (output->residual_type) {
    case ONEDNN_U8:
        return _mm512_mul_ps(load_pixel(ONEDNN_U8, from, zero), _mm512_set1_ps(output->residual_scale));
    case ONEDNN_S8:
        return _mm512_mul_ps(load_pixel(ONEDNN_S8, from, zero), _mm512_set1_ps(output->residual_scale));
    default:
        return load_block(output->residual_type, from);
    }
}

/* One block of channels; to and residual: that block of the first picture. */
AVX512_INLINE void transform_output_body(enum onednn_type type, enum graph_op op, const struct output *output,
                                         int64_t block, const float *m, const float *bias, const float *scales,
                                         const char *residual, char *to, const struct kernel_batch *batch,
                                         int64_t first, int64_t count)
{
    const struct onednn_convolution *c = output->convolution;
    const struct kernel_strides *strides = &output->strides, *from = &output->residual_strides;
    const __m512 shift = bias ? _mm512_load_ps(bias + block * LANES) : _mm512_setzero_ps();
    const __m512 unit = output->unit ? _mm512_loadu_ps(output->unit + block * LANES) : _mm512_set1_ps(1.0f);
    const int64_t m_stride = output->layer->m_stride;
    struct winograd_tile tile = winograd_tile_at(c, first);
    __m512 half[REACH][TILE], row[REACH], y[TILE];
    int64_t t;
    int r, k;

    for (t = 0; t < count; t++, m += LANES, winograd_tile_step(c, &tile)) {
        const int64_t down = tile.down * TILE, across = tile.across * TILE;
        const int64_t height = least(TILE, c->dst.height - down), width = least(TILE, c->dst.width - across);
        const char *add =
            residual ? residual + (size_t)tile.picture * batch->residual_bytes + down * from->row + across * from->pixel
                     : NULL;
        char *out = to + (size_t)tile.picture * batch->dst_bytes + down * strides->row + across * strides->pixel;
        const __m512 back = _mm512_mul_ps(unit, _mm512_set1_ps(scales[2 * t + 1]));

        UNROLL
        for (k = 0; k < REACH; k++) {
            UNROLL
            for (r = 0; r < REACH; r++)
                row[r] = _mm512_load_ps(m + (r * REACH + k) * m_stride);
            winograd_transform_4(row, half[k]);
        }
        for (r = 0; r < height; r++, out += strides->row) {
            UNROLL
            for (k = 0; k < REACH; k++)
                row[k] = half[k][r];
            winograd_transform_4(row, y);
            UNROLL
            for (k = 0; k < TILE; k++)
                y[k] = activate(op, c->activation.alpha, type == ONEDNN_F32 ? ONEDNN_F32 : ONEDNN_BF16,
                                _mm512_fmadd_ps(y[k], back, shift));
            UNROLL
            for (k = 0; k < TILE; k++)
                if (k < width)
                    store_pixel(type, output, out + k * strides->pixel,
                                add ? _mm512_add_ps(y[k], load_residual(output, add + r * from->row + k * from->pixel))
                                    : y[k]);
        }
    }
}

typedef void (*output_function)(const struct output *output, int64_t block, const float *m, const float *bias,
                                const float *scales, const char *residual, char *to, const struct kernel_batch *batch,
                                int64_t first, int64_t count);

#define OUTPUT(name, type, op)                                                                                         \
    AVX512 static void name(const struct output *output, int64_t block, const float *m, const float *bias,             \
                            const float *scales, const char *residual, char *to, const struct kernel_batch *batch,     \
                            int64_t first, int64_t count)                                                              \
    {                                                                                                                  \
        transform_output_body(type, op, output, block, m, bias, scales, residual, to, batch, first, count);            \
    }
OUTPUT(output_silu_bf16, ONEDNN_BF16, GRAPH_SILU)
OUTPUT(output_silu_u8, ONEDNN_U8, GRAPH_SILU)
OUTPUT(output_other, output->convolution->dst.type, output->convolution->activation.op)

/* ---- all together ---- */

struct work {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
    const struct layer *layer;
    struct output output;
    output_function transform_output;
};

static void run_part(void *data, int part, int parts)
{
    const struct work *work = data;
    const struct layer *l = work->layer;
    const struct onednn_convolution *c = work->convolution;
    const struct onednn_addresses *addresses = work->addresses;
    const struct kernel_strides src = kernel_strides_of(&c->src);
    const struct winograd_range tiles = winograd_share(c, work->batch, part, parts);
    const int16_t *u = addresses->weights;
    const float *u_scales = (const float *)(const void *)(u + winograd_weights_count(c, POINTS));
    char *scratch = (char *)addresses->scratch + (size_t)part * scratch_of_thread(l);
    int16_t *v = (int16_t *)(void *)scratch;
    float *m = (float *)(void *)(scratch + POINTS * l->v_stride * 2);
    float *scales = m + POINTS * l->m_stride;
    int64_t first, block, t;

    if (is_integers(c->src.type))
        for (t = 0; t < l->group; t++) {
            scales[2 * t] = MOST_V / MOST_GROWTH / 255.0f;
            scales[2 * t + 1] = MOST_GROWTH * 255.0f / MOST_V * c->quantized.scales->x.scale;
        }
    for (first = tiles.first; first < tiles.end; first += l->group) {
        const int64_t count = least(l->group, tiles.end - first);

        if (c->src.type == ONEDNN_BF16)
            find_scales(c, l, &src, addresses->src, work->batch->src_bytes, first, count, scales);
        for (block = 0; block < l->in_blocks; block += 2)
            input_for(c->src.type, block + 1 < l->in_blocks ? 2 : 1)(
                c, l, &src, (const char *)addresses->src + block * src.block, work->batch->src_bytes, first, count,
                scales, v + block * l->group * LANES);
        multiply(l, count, v, u, u_scales, m);
        for (block = 0; block < l->out_blocks; block++)
            work->transform_output(
                &work->output, block, m + block * l->group * LANES, addresses->bias, scales,
                addresses->residual ? (const char *)addresses->residual + block * work->output.residual_strides.block
                                    : NULL,
                (char *)addresses->dst + block * work->output.strides.block, work->batch, first, count);
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    const struct layer l = measure(c, batch->pictures, threads);
    const struct graph_quantized *scales = c->quantized.scales;
    struct onednn_image residual = c->dst;
    struct output output = {.convolution = c, .layer = &l, .strides = kernel_strides_of(&c->dst)};
    output_function transform_output = output_other;

    if (scales) {
        residual.type = c->quantized.residual;
        residual.block = 0;
        output.unit = scales->weights;
        output.y_scale = 1.0f / scales->y.scale;
        output.y_zero = (float)scales->y.zero;
        output.residual_scale = scales->residual.scale;
        output.residual_zero = scales->residual.zero;
    }
    output.residual_type = residual.type;
    output.residual_strides = kernel_strides_of(&residual);
    if (c->activation.op == GRAPH_SILU && c->dst.type == ONEDNN_BF16)
        transform_output = output_silu_bf16;
    if (c->activation.op == GRAPH_SILU && c->dst.type == ONEDNN_U8)
        transform_output = output_silu_u8;
    onednn_parallel(threads, run_part, &(struct work){c, addresses, batch, &l, output, transform_output});
}

static bool pays(const struct onednn_convolution *c)
{
    const bool to_floats = c->dst.type == ONEDNN_BF16 || c->dst.type == ONEDNN_F32;

    if (!winograd_fits(c, 1) || !kernel_has_vnni() || onednn_has_amx())
        return false;
    if (c->src.type == ONEDNN_BF16)
        return to_floats && c->src.block == LANES && c->dst.block == LANES;
    return is_integers(c->src.type) && c->quantized.scales && c->src.block == 0 && c->src.channels % LANES == 0 &&
           c->dst.channels % LANES == 0 && c->dst.block == (to_floats ? LANES : 0) &&
           (!c->has_residual || is_integers(c->quantized.residual));
}

const struct kernel_convolution kernel_winograd_int16 = {.name = "winograd 4x4 int16",
                                                         .takes_rows = true,
                                                         .pays = pays,
                                                         .weights_bytes = weights_bytes,
                                                         .pack = pack,
                                                         .scratch_bytes = scratch_bytes,
                                                         .run = run};

#endif
