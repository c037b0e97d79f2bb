/*
 * kernel_winograd_stride2.c - 3 x 3 convolutions of stride 2 in bf16, with nine sixteenths of the multiplications.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of the three taps of a row the first and the last meet pixels in even columns (counted from where the window begins),
 * the middle one those in odd ones. The first two are a filter of two taps and stride 1 over the even columns, for
 * which Winograd's F(4, 2) makes four results of five products; the middle one takes four. That is 9 products in place
 * of 12, in both directions 81 in place of 144 for 4 x 4 results: 25 of even rows and columns, 20 + 20 of even and odd
 * ones, 16 of odd ones. The results of the four phases are added up before the last transform is done.
 *
 * F(4, 2) as in kernel_winograd.h, with the points 1, -1, 1/2, -1/2 and infinity, which keep transformed pixels
 * smallest: of numbers between l <= 0 and h >= 0 they are at most 2 (h - l), and 4.5 (h - l) in both directions.
 *
 * Products are those of kernel_winograd_int16.c, and what is said there of rounding to 16 bits holds here. A tile's
 * scale is a power of two, so that adding a number without smaller places rounds to integers in the low bits. Of two
 * neighbouring channels, which are 32 bits of a picture, either half is cut out as a number of fp32, and both are put
 * together again as integers: the order of channels never changes.
 *
 * The weights take four and a half times the memory of the file's.
 */
#include "engine/kernel_winograd_int16.h"

#include <string.h>

#ifdef KERNEL_VECTORS

#define PHASES      9 /* places a side: 5 points of even rows or columns, then 4 odd ones */
#define PLACES      81
#define SPAN        9 /* pixels a side that a tile depends on */
#define EVEN        5
#define PIXEL_BYTES ((int64_t)2 * LANES) /* of a block of src */
#define GROWTH      4.5f
#define GROUP_BYTES ((int64_t)512 << 10)

struct layer {
    int64_t in_blocks, out_blocks;
    int64_t tiles;              /* of all pictures */
    int64_t group;              /* the most tiles that are worked on together */
    int64_t v_stride, m_stride; /* numbers from one of the 81 products to the next */
};

/* Of a tile: what is added to round it, and what its results are multiplied by. */
struct scale {
    float rounder, back;
};

static struct layer measure(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    struct layer l = {
        .in_blocks = parts_of(c->src.channels, LANES),
        .out_blocks = parts_of(c->dst.channels, LANES),
        .tiles = winograd_tiles(c, pictures),
    };
    const int64_t in_pairs = parts_of(l.in_blocks, 2);

    l.group = winograd_group(l.tiles, threads, PLACES * (in_pairs + 2) * 4 * LANES, GROUP_BYTES);
    l.v_stride = (in_pairs * l.group | 1) * 2 * LANES; /* odd numbers of vectors: not all in the same sets of a cache */
    l.m_stride = (2 * l.group | 1) * LANES;
    return l;
}

/* Transformed pixels, sums of two blocks, and scales. */
static size_t scratch_of_thread(const struct layer *l)
{
    return (size_t)(PLACES * (l->v_stride * 2 + l->m_stride * 4)) +
           (size_t)onednn_round_up(l->group * (int64_t)sizeof(struct scale), 64);
}

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    const struct layer l = measure(c, pictures, threads);

    return (size_t)threads * scratch_of_thread(&l);
}

/* ---- weights ---- */

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return winograd_weights_bytes(c, PLACES);
}

/* What each place has of the taps of a row or column. */
AVX512_INLINE void transform_taps(const __m512 g[3], __m512 to[PHASES])
{
    /* 1, p for each point p, over the product of its differences from the others */
    const __m512 two = _mm512_set1_ps(2.0f / 3), four = _mm512_set1_ps(4.0f / 3);
    const __m512 last = _mm512_mul_ps(two, g[2]);
    int i;

    to[0] = _mm512_fmadd_ps(two, g[0], last);
    to[1] = _mm512_fnmadd_ps(two, g[0], last);
    to[2] = _mm512_fnmsub_ps(four, g[0], last);
    to[3] = _mm512_fmsub_ps(four, g[0], last);
    to[4] = g[2];
    UNROLL
    for (i = EVEN; i < PHASES; i++)
        to[i] = g[1];
}

/* From input channel i to 16 output channels; what there is not is 0. */
AVX512 static void transform_weights(const struct onednn_convolution *c, const float *weights, int64_t o, int64_t i,
                                     __m512 taps[3][3], __m512 u[PLACES])
{
    const int64_t there = i < c->src.channels ? least(LANES, c->dst.channels - o) : 0;
    float numbers[9][LANES] __attribute__((aligned(64))) = {{0}};
    __m512 half[PHASES][3], to[PHASES];
    int64_t lane;
    int r, k;

    for (lane = 0; lane < there; lane++)
        for (k = 0; k < 9; k++)
            numbers[k][lane] = weights[((o + lane) * c->src.channels + i) * 9 + k];
    for (k = 0; k < 3; k++) {
        for (r = 0; r < 3; r++)
            taps[k][r] = _mm512_load_ps(numbers[r * 3 + k]);
        transform_taps(taps[k], to);
        for (r = 0; r < PHASES; r++)
            half[r][k] = to[r];
    }
    for (r = 0; r < PHASES; r++)
        transform_taps(half[r], u + r * PHASES);
}

/* q of each place and of 16 output channels; NaN where a weight is not finite. */
AVX512 static void find_units(const struct onednn_convolution *c, const float *weights, int64_t o,
                              float units[PLACES][LANES])
{
    const int64_t in = onednn_round_up(c->src.channels, LANES);
    __m512 sum[PLACES], most[PLACES], largest[PLACES], u[PLACES], taps[3][3], poison = _mm512_setzero_ps();
    int64_t i;
    int place, lane;

    for (place = 0; place < PLACES; place++)
        sum[place] = most[place] = largest[place] = _mm512_setzero_ps();
    for (i = 0; i < c->src.channels; i++) {
        const __m512 before = _mm512_set1_ps(winograd_sum_begins(i, in) ? 0.0f : 1.0f);

        transform_weights(c, weights, o, i, taps, u);
        for (place = 0; place < 9; place++)
            poison = _mm512_fmadd_ps(_mm512_setzero_ps(), taps[place / 3][place % 3], poison);
        for (place = 0; place < PLACES; place++) {
            const __m512 size = _mm512_abs_ps(u[place]);

            sum[place] = _mm512_fmadd_ps(before, sum[place], size);
            most[place] = _mm512_max_ps(most[place], sum[place]);
            largest[place] = _mm512_max_ps(largest[place], size);
        }
    }
    for (place = 0; place < PLACES; place++) {
        float mosts[LANES] __attribute__((aligned(64))), sizes[LANES] __attribute__((aligned(64)));

        _mm512_store_ps(mosts, most[place]);
        _mm512_store_ps(sizes, largest[place]);
        for (lane = 0; lane < LANES; lane++)
            mosts[lane] = (float)winograd_unit((double)mosts[lane], (double)sizes[lane]);
        _mm512_store_ps(units[place], _mm512_add_ps(poison, _mm512_load_ps(mosts)));
    }
}

/* Transformed pixels are less than half as great for each direction that is not transformed: they are doubled. */
static float doubled(int place)
{
    return (place / PHASES < EVEN ? 1.0f : 2.0f) * (place % PHASES < EVEN ? 1.0f : 2.0f);
}

/* Packed as the products read: [pair of out blocks][place][pair of in channels][32][2]; the last block may be alone.
 * Behind that what sums are multiplied by, [pair of out blocks][place][32]. */
AVX512 static void pack(const struct onednn_convolution *c, const void *weights, void *packed)
{
    const int64_t in = onednn_round_up(c->src.channels, LANES), out = onednn_round_up(c->dst.channels, LANES);
    const int64_t paired = out / (2 * LANES) * (2 * LANES);
    int16_t *to = packed;
    float *scales = (float *)(void *)((char *)packed + (size_t)winograd_weights_count(c, PLACES) * sizeof(int16_t));
    float units[PLACES][LANES] __attribute__((aligned(64)));
    __m512 one[PLACES], next[PLACES], taps[3][3];
    int64_t o, i;
    int place;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < out; o += LANES) {
        const int64_t width = o < paired ? 2 * LANES : LANES, first = o < paired ? o / width * width : paired;

        find_units(c, weights, o, units);
        for (place = 0; place < PLACES; place++)
            _mm512_store_ps(scales + first * PLACES + place * width + o - first,
                            _mm512_div_ps(_mm512_set1_ps(1.0f / doubled(place)), _mm512_load_ps(units[place])));
        for (i = 0; i < c->src.channels; i += 2) {
            transform_weights(c, weights, o, i, taps, one);
            transform_weights(c, weights, o, i + 1, taps, next);
            for (place = 0; place < PLACES; place++) {
                const __m512 unit = _mm512_load_ps(units[place]);

                _mm512_store_si512(to + (first * PLACES + place * width) * in + (i / 2 * width + o - first) * 2,
                                   _mm512_mask_blend_epi16(
                                       0xaaaaaaaa, _mm512_cvtps_epi32(_mm512_mul_ps(one[place], unit)),
                                       _mm512_slli_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(next[place], unit)), 16)));
            }
        }
    }
}

/* ---- input ---- */

/* What lies around the pixels of a tile. */
struct region {
    int64_t top, left;                      /* of the window's first pixel; may be outside */
    int64_t begin_y, end_y, begin_x, end_x; /* what is inside */
    const char *from;                       /* the picture's first block */
    int64_t row_bytes, block_bytes;
};

static struct region region_of(const struct onednn_convolution *c, const struct winograd_tile *tile, const char *src,
                               size_t picture_bytes)
{
    struct region region = {
        .top = 2 * TILE * tile->down - c->window.pad_begin[0],
        .left = 2 * TILE * tile->across - c->window.pad_begin[1],
        .from = src + (size_t)tile->picture * picture_bytes,
        .row_bytes = c->src.width * 2 * LANES,
        .block_bytes = c->src.height * c->src.width * 2 * LANES,
    };

    region.begin_y = region.top < 0 ? 0 : region.top;
    region.begin_x = region.left < 0 ? 0 : region.left;
    region.end_y = least(region.top + SPAN, c->src.height);
    region.end_x = least(region.left + SPAN, c->src.width);
    return region;
}

/* From the least and the greatest number of a tile's pixels. whole: none of them is outside the picture. */
AVX512_INLINE struct scale scale_of(const bool whole, const struct region *region, int64_t in_blocks)
{
    const int64_t height = whole ? SPAN : region->end_y - region->begin_y;
    const int64_t width = whole ? SPAN : region->end_x - region->begin_x;
    const char *from = region->from + region->begin_y * region->row_bytes + region->begin_x * PIXEL_BYTES;
    const float range = winograd_range(from, height, width, in_blocks, region->row_bytes, region->block_bytes);
    struct scale scale = {1.0f, NAN};

    if (range < 1e30f) { /* not a NaN either */
        const float most = MOST_V / GROWTH / (range > 1e-30f ? range : 1e-30f);
        uint32_t bits;

        memcpy(&bits, &most, sizeof(bits));
        bits &= 0x7f800000; /* the power of two below */
        memcpy(&scale.back, &bits, sizeof(bits));
        scale.back = 1.0f / scale.back;
        scale.rounder = 12582912.0f * scale.back; /* 1.5 * 2^23 */
    }
    return scale;
}

AVX512 static struct scale find_scale(const struct region *region, int64_t in_blocks, bool whole)
{
    return whole ? scale_of(true, region, in_blocks) : scale_of(false, region, in_blocks);
}

/* Rows or columns of a tile: the even ones by B^T, then the odd ones. */
AVX512_INLINE void transform_span(const __m512 d[SPAN], __m512 to[PHASES])
{
    const __m512 half = _mm512_set1_ps(.5f), quarter = _mm512_set1_ps(.25f);
    const __m512 even = _mm512_fnmadd_ps(quarter, d[0], d[4]), odd = _mm512_fnmadd_ps(quarter, d[2], d[6]);
    const __m512 even_half = _mm512_sub_ps(d[4], d[0]), odd_half = _mm512_sub_ps(d[6], d[2]);
    int i;

    to[0] = _mm512_add_ps(odd, even);
    to[1] = _mm512_sub_ps(odd, even);
    to[2] = _mm512_fmadd_ps(half, even_half, odd_half);
    to[3] = _mm512_fnmadd_ps(half, even_half, odd_half);
    to[4] = _mm512_fnmadd_ps(quarter, even_half, _mm512_sub_ps(d[8], d[4]));
    UNROLL
    for (i = 0; i < PHASES - EVEN; i++)
        to[EVEN + i] = d[2 * i + 1];
}

/* One tile of a pair of blocks of channels, or of one. whole: nothing of it is outside the picture. */
AVX512_INLINE void transform_tile(const bool whole, const bool pair, const struct region *region, int64_t block,
                                  float rounder, int64_t v_stride, int16_t *v)
{
    const char *from = region->from + block * region->block_bytes;
    __m512 between[2][PHASES][SPAN], d[SPAN], to[2][PHASES];
    __m512i pixels[SPAN];
    int r, k, h;

    for (k = 0; k < SPAN; k++) {
        const int64_t x = region->left + k;

        UNROLL
        for (r = 0; r < SPAN; r++) {
            const int64_t y = region->top + r;
            const char *at = from + y * region->row_bytes + x * PIXEL_BYTES;

            pixels[r] = _mm512_setzero_si512();
            if (!whole && (x < 0 || x >= region->end_x || y < 0 || y >= region->end_y))
                continue;
            pixels[r] = _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(const void *)at));
            if (pair)
                pixels[r] = _mm512_inserti64x4(
                    pixels[r], _mm256_load_si256((const __m256i *)(const void *)(at + region->block_bytes)), 1);
        }
        UNROLL
        for (h = 0; h < 2; h++) {
            UNROLL
            for (r = 0; r < SPAN; r++)
                d[r] = _mm512_castsi512_ps(h ? _mm512_and_si512(pixels[r], _mm512_set1_epi32((int32_t)0xffff0000))
                                             : _mm512_slli_epi32(pixels[r], 16));
            transform_span(d, to[h]);
            UNROLL
            for (r = 0; r < PHASES; r++)
                between[h][r][k] = to[h][r];
        }
    }
    for (r = 0; r < PHASES; r++) {
        const __m512 even = _mm512_set1_ps(r < EVEN ? rounder : rounder * .5f);
        const __m512 odd = _mm512_mul_ps(even, _mm512_set1_ps(.5f));

        UNROLL
        for (h = 0; h < 2; h++)
            transform_span(between[h][r], to[h]);
        UNROLL
        for (k = 0; k < PHASES; k++, v += v_stride) {
            const __m512i first = _mm512_castps_si512(_mm512_add_ps(to[0][k], k < EVEN ? even : odd));
            const __m512i second = _mm512_castps_si512(_mm512_add_ps(to[1][k], k < EVEN ? even : odd));
            const __m512i both = _mm512_mask_blend_epi16(0xaaaaaaaa, first, _mm512_slli_epi32(second, 16));

            if (pair)
                _mm512_store_si512(v, both);
            else
                _mm256_store_si256((__m256i *)(void *)v, _mm512_castsi512_si256(both));
        }
    }
}

typedef void (*tile_function)(const struct region *region, int64_t block, float rounder, int64_t v_stride, int16_t *v);

#define TILES(name, whole, pair)                                                                                       \
    AVX512 static void name(const struct region *region, int64_t block, float rounder, int64_t v_stride, int16_t *v)   \
    {                                                                                                                  \
        transform_tile(whole, pair, region, block, rounder, v_stride, v);                                              \
    }
TILES(tile_of_one, false, false)
TILES(tile_of_two, false, true)
TILES(whole_tile_of_one, true, false)
TILES(whole_tile_of_two, true, true)

static void transform_input(const struct onednn_convolution *c, const struct layer *l, const char *src,
                            size_t picture_bytes, int64_t first, int64_t count, struct scale *scales, int16_t *v)
{
    static const tile_function functions[2][2] = {{tile_of_one, tile_of_two}, {whole_tile_of_one, whole_tile_of_two}};
    struct winograd_tile tile = winograd_tile_at(c, first);
    int64_t t, block;

    for (t = 0; t < count; t++, winograd_tile_step(c, &tile)) {
        const struct region region = region_of(c, &tile, src, picture_bytes);
        const bool whole = region.end_y - region.begin_y == SPAN && region.end_x - region.begin_x == SPAN;

        scales[t] = find_scale(&region, l->in_blocks, whole);
        for (block = 0; block < l->in_blocks; block += 2)
            functions[whole][block + 1 < l->in_blocks](&region, block, scales[t].rounder, l->v_stride,
                                                       v + (block / 2 * l->group + t) * 2 * LANES);
    }
}

/* ---- output ---- */

/* Of a row or column of products: A^T times the five of even ones, and the four of odd ones. */
AVX512_INLINE void sum_phases(const __m512 m[PHASES], __m512 to[TILE])
{
    const __m512 s = _mm512_add_ps(m[0], m[1]), d = _mm512_sub_ps(m[0], m[1]);
    const __m512 s_half = _mm512_add_ps(m[2], m[3]), d_half = _mm512_sub_ps(m[2], m[3]);

    to[0] = _mm512_add_ps(_mm512_add_ps(s, s_half), m[5]);
    to[1] = _mm512_fmadd_ps(_mm512_set1_ps(.5f), d_half, _mm512_add_ps(d, m[6]));
    to[2] = _mm512_fmadd_ps(_mm512_set1_ps(.25f), s_half, _mm512_add_ps(s, m[7]));
    to[3] = _mm512_fmadd_ps(_mm512_set1_ps(.125f), d_half, _mm512_add_ps(_mm512_add_ps(d, m[4]), m[8]));
}

/* One block of channels; to: that block of the first picture. */
AVX512_INLINE void transform_output_body(enum onednn_type type, enum graph_op op, const struct onednn_convolution *c,
                                         const struct layer *l, const float *m, const float *bias,
                                         const struct scale *scales, char *to, size_t picture_bytes, int64_t first,
                                         int64_t count)
{
    const int64_t block_bytes = type == ONEDNN_F32 ? 4 * LANES : 2 * LANES, row_bytes = c->dst.width * block_bytes;
    const __m512 shift = bias ? _mm512_load_ps(bias) : _mm512_setzero_ps();
    struct winograd_tile tile = winograd_tile_at(c, first);
    __m512 half[TILE][PHASES], column[PHASES], y[TILE];
    int64_t t;
    int r, k;

    for (t = 0; t < count; t++, m += LANES, winograd_tile_step(c, &tile)) {
        const int64_t height = least(TILE, c->dst.height - tile.down * TILE);
        const int64_t width = least(TILE, c->dst.width - tile.across * TILE);
        char *out =
            to + (size_t)tile.picture * picture_bytes + tile.down * TILE * row_bytes + tile.across * TILE * block_bytes;
        const __m512 back = _mm512_set1_ps(scales[t].back);

        for (k = 0; k < PHASES; k++) {
            UNROLL
            for (r = 0; r < PHASES; r++)
                column[r] = _mm512_load_ps(m + (r * PHASES + k) * l->m_stride);
            sum_phases(column, y);
            UNROLL
            for (r = 0; r < TILE; r++)
                half[r][k] = y[r];
        }
        for (r = 0; r < height; r++, out += row_bytes) {
            sum_phases(half[r], y);
            UNROLL
            for (k = 0; k < TILE; k++)
                y[k] = activate(op, c->activation.alpha, type, _mm512_fmadd_ps(y[k], back, shift));
            UNROLL
            for (k = 0; k < TILE; k += 2)
                if (k + 1 < width)
                    store_two_blocks(type, out + k * block_bytes, block_bytes, y + k);
                else if (k < width)
                    store_block(type, out + k * block_bytes, y[k]);
        }
    }
}

typedef void (*output_function)(const struct onednn_convolution *c, const struct layer *l, const float *m,
                                const float *bias, const struct scale *scales, char *to, size_t picture_bytes,
                                int64_t first, int64_t count);

#define OUTPUT(name, type, op)                                                                                         \
    AVX512 static void name(const struct onednn_convolution *c, const struct layer *l, const float *m,                 \
                            const float *bias, const struct scale *scales, char *to, size_t picture_bytes,             \
                            int64_t first, int64_t count)                                                              \
    {                                                                                                                  \
        transform_output_body(type, op, c, l, m, bias, scales, to, picture_bytes, first, count);                       \
    }
OUTPUT(output_silu_bf16, ONEDNN_BF16, GRAPH_SILU)
OUTPUT(output_other, c->dst.type, c->activation.op)

/* ---- all together ---- */

struct work {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
    const struct layer *layer;
};

/* Of a pair of blocks of output channels, or of the last one. */
static void multiply(const struct layer *l, int64_t count, int width, const int16_t *v, const int16_t *u,
                     const float *scales, float *m)
{
    const int64_t parts = parts_of(count, MOST_TILES);
    int64_t part;
    int place;

    for (place = 0; place < PLACES; place++, v += l->v_stride, m += l->m_stride) {
        for (part = 0; part < parts; part++) {
            const int64_t first = count * part / parts, next = count * (part + 1) / parts;

            winograd_products[next - first][width - 1](l->in_blocks, l->group, v + first * 2 * LANES, u, scales,
                                                       m + first * LANES);
        }
        u += l->in_blocks * LANES * width * LANES;
        scales += width * LANES;
    }
}

static void run_part(void *data, int part, int parts)
{
    const struct work *work = data;
    const struct layer *l = work->layer;
    const struct onednn_convolution *c = work->convolution;
    const struct onednn_addresses *addresses = work->addresses;
    const int64_t dst_block = (int64_t)(c->dst.height * c->dst.width * LANES) * (int64_t)onednn_type_bytes(c->dst.type);
    const int64_t end = l->tiles * (part + 1) / parts, in = l->in_blocks * LANES;
    const output_function transform_output =
        c->dst.type == ONEDNN_BF16 && c->activation.op == GRAPH_SILU ? output_silu_bf16 : output_other;
    const int16_t *u = addresses->weights;
    const float *u_scales = (const float *)(const void *)(u + winograd_weights_count(c, PLACES));
    char *scratch = (char *)addresses->scratch + (size_t)part * scratch_of_thread(l);
    int16_t *v = (int16_t *)(void *)scratch;
    float *m = (float *)(void *)(scratch + PLACES * l->v_stride * 2);
    struct scale *scales = (struct scale *)(void *)(m + PLACES * l->m_stride);
    int64_t first, out, block;

    for (first = l->tiles * part / parts; first < end; first += l->group) {
        const int64_t count = least(l->group, end - first);

        transform_input(c, l, addresses->src, work->batch->src_bytes, first, count, scales, v);
        for (out = 0; out < l->out_blocks; out += 2) {
            const int width = (int)least(2, l->out_blocks - out);

            multiply(l, count, width, v, u + out * LANES * PLACES * in, u_scales + out * LANES * PLACES, m);
            for (block = out; block < out + width; block++)
                transform_output(c, l, m + (block - out) * l->group * LANES,
                                 addresses->bias ? (const float *)addresses->bias + block * LANES : NULL, scales,
                                 (char *)addresses->dst + block * dst_block, work->batch->dst_bytes, first, count);
        }
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    const struct layer l = measure(c, batch->pictures, threads);

    onednn_parallel(threads, run_part, &(struct work){c, addresses, batch, &l});
}

/* Against oneDNN 2.6 on Zen 4, one thread, with SiLU, weights and pixels not in a cache; times faster:
 *     in, out channels    16, 32    32, 64    64, 128    128, 256    256, 512
 *     results 160 x 160     .8
 *              80 x 80               1.2
 *              40 x 40                          1.3
 *              20 x 20                                     1.4          1.4
 *              10 x 10                          .6         .7           .8
 * With one block of channels the transforms cost more than is gained; with few tiles, reading the weights does. */
#define FEWEST_TILES 25

static bool pays(const struct onednn_convolution *c)
{
    return winograd_fits(c, 2) && kernel_has_vnni() && !onednn_has_amx() && !c->has_residual &&
           c->src.channels > LANES && winograd_tiles(c, 1) >= FEWEST_TILES && c->src.type == ONEDNN_BF16 &&
           c->src.block == LANES && (c->dst.type == ONEDNN_BF16 || c->dst.type == ONEDNN_F32) && c->dst.block == LANES;
}

const struct kernel_convolution kernel_winograd_stride2 = {.name = "winograd stride 2",
                                                           .pays = pays,
                                                           .weights_bytes = weights_bytes,
                                                           .pack = pack,
                                                           .scratch_bytes = scratch_bytes,
                                                           .run = run};

#endif
