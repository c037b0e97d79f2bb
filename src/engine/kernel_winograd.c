/*
 * kernel_winograd.c - 3 x 3 convolutions of stride 1 in fp32 with a quarter of the multiplications.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tiles (kernel_winograd.h) are taken in groups whose transformed input and result (scratch) stay in the second-level
 * cache; each of the 36 products then reads its weights once for the whole group. A product's inner loop holds up to
 * 14 tiles x 2 blocks of 16 output channels in registers: a number of the input is broadcast, a block of weights is a
 * vector. The border of the picture reads zeros; of the tiles at the end only what lies in the picture is written.
 *
 * Within 1e-5 of the greatest result.
 *
 * The weights take four times the memory of the file's. No AVX2 form: oneDNN's convolutions do that.
 */
#include "engine/kernel_winograd.h"

#include <string.h>

#ifdef KERNEL_VECTORS

#define GROUP_BYTES ((int64_t)512 << 10) /* of scratch, half a second-level cache: the weights go through the rest */

struct layer {
    int64_t in_blocks, out_blocks; /* of channels */
    int64_t tiles;                 /* of all pictures */
    int64_t group;                 /* the most tiles that are worked on together */
    int64_t v_stride, m_stride;    /* floats from one of the 36 products to the next */
};

/* An odd number of vectors, so that the 36 that belong to one tile do not fall into the same few sets of a cache. */
static int64_t stride_of(int64_t blocks, int64_t group)
{
    return (blocks * group | 1) * LANES;
}

static struct layer measure(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    struct layer l = {
        .in_blocks = parts_of(c->src.channels, LANES),
        .out_blocks = parts_of(c->dst.channels, LANES),
        .tiles = winograd_tiles(c, pictures),
    };

    l.group = winograd_group(l.tiles, threads, POINTS * (l.in_blocks + l.out_blocks) * LANES * (int64_t)sizeof(float),
                             GROUP_BYTES);
    l.v_stride = stride_of(l.in_blocks, l.group);
    l.m_stride = stride_of(l.out_blocks, l.group);
    return l;
}

static size_t scratch_of_thread(const struct layer *l)
{
    return (size_t)(POINTS * (l->v_stride + l->m_stride)) * sizeof(float);
}

static size_t scratch_bytes(const struct onednn_convolution *c, int64_t pictures, int threads)
{
    const struct layer l = measure(c, pictures, threads);

    return (size_t)threads * scratch_of_thread(&l);
}

/* ---- weights ---- */

static size_t weights_bytes(const struct onednn_convolution *c)
{
    return (size_t)(POINTS * onednn_round_up(c->src.channels, LANES) * onednn_round_up(c->dst.channels, LANES)) *
           sizeof(float);
}

/* Packed as the products read: [point][pair of out blocks][in][32]; the last block may be alone. */
static void pack(const struct onednn_convolution *c, const void *from, void *packed)
{
    const float *weights = from;
    const int64_t in = onednn_round_up(c->src.channels, LANES), out = onednn_round_up(c->dst.channels, LANES);
    const int64_t paired = out / (2 * LANES) * (2 * LANES);
    float *to = packed;
    double u[POINTS];
    int64_t o, i;
    int point;

    memset(packed, 0, weights_bytes(c));
    for (o = 0; o < c->dst.channels; o++) {
        const int64_t width = o < paired ? 2 * LANES : LANES, first = o / width * width;

        for (i = 0; i < c->src.channels; i++) {
            winograd_weights(weights + (o * c->src.channels + i) * 9, u);
            for (point = 0; point < POINTS; point++)
                to[point * in * out + (o < paired ? first : paired) * in + i * width + o % width] = (float)u[point];
        }
    }
}

/* ---- input ---- */

/* Tiles [first, first + count) of one block of channels; from: that block of the first picture. Of a tile's six
 * columns the first two were the last two of the tile before it in the row. */
AVX512 static void transform_input(const struct onednn_convolution *c, const struct layer *l, const float *from,
                                   size_t picture_bytes, int64_t first, int64_t count, float *v)
{
    static const float nothing[LANES] __attribute__((aligned(64)));
    const int64_t row_floats = c->src.width * LANES;
    struct winograd_tile tile = winograd_tile_at(c, first);
    __m512 columns[REACH][REACH], d[REACH], to[REACH];
    const float *rows[REACH];
    int64_t steps[REACH], t, y, x;
    int ring = 0, begin = 0, column, r;

    for (t = 0; t < count; t++, v += LANES) {
        if (begin == 0)
            for (r = 0; r < REACH; r++) {
                const bool inside = (y = tile.down * TILE - c->window.pad_begin[0] + r) >= 0 && y < c->src.height;

                rows[r] =
                    inside ? from + (size_t)tile.picture * (picture_bytes / sizeof(float)) + y * row_floats : nothing;
                steps[r] = inside ? LANES : 0;
            }
        for (column = begin; column < REACH; column++) {
            x = tile.across * TILE - c->window.pad_begin[1] + column;
            __m512 *const made = columns[(ring + column) % REACH];

            if (x < 0 || x >= c->src.width) {
                UNROLL
                for (r = 0; r < REACH; r++)
                    made[r] = _mm512_setzero_ps();
                continue;
            }
            UNROLL
            for (r = 0; r < REACH; r++)
                d[r] = _mm512_load_ps(rows[r] + x * steps[r]);
            winograd_transform_6(1.0f, d, made);
        }
        for (r = 0; r < REACH; r++) {
            UNROLL
            for (column = 0; column < REACH; column++)
                d[column] = columns[(ring + column) % REACH][r];
            winograd_transform_6(1.0f, d, to);
            UNROLL
            for (column = 0; column < REACH; column++)
                _mm512_store_ps(v + (r * REACH + column) * l->v_stride, to[column]);
        }
        ring = (ring + TILE) % REACH;
        begin = REACH - TILE;
        winograd_tile_step(c, &tile);
        begin = tile.across == 0 ? 0 : begin;
    }
}

/* ---- products ---- */

/* m[out][tile] = the sum over in of v[in][tile] u[in][out], for tiles x (16 width) results that stay in registers. */
AVX512_INLINE void product_body(const int tiles, const int width, int64_t in_blocks, int64_t group, const float *v,
                                const float *u, float *m)
{
    __m512 sum[MOST_TILES][2], w[2];
    int64_t block;
    int i, t, k;

    UNROLL
    for (t = 0; t < tiles; t++)
        UNROLL
    for (k = 0; k < width; k++)
        sum[t][k] = _mm512_setzero_ps();
    for (block = 0; block < in_blocks; block++, v += group * LANES)
        for (i = 0; i < LANES; i++, u += width * LANES) {
            UNROLL
            for (k = 0; k < width; k++)
                w[k] = _mm512_load_ps(u + k * LANES);
            UNROLL
            for (t = 0; t < tiles; t++) {
                const __m512 x = _mm512_set1_ps(v[t * LANES + i]);

                UNROLL
                for (k = 0; k < width; k++)
                    sum[t][k] = _mm512_fmadd_ps(x, w[k], sum[t][k]);
            }
        }
    UNROLL
    for (t = 0; t < tiles; t++)
        UNROLL
    for (k = 0; k < width; k++)
        _mm512_store_ps(m + (k * group + t) * LANES, sum[t][k]);
}

typedef void (*product_function)(int64_t in_blocks, int64_t group, const float *v, const float *u, float *m);

#define PRODUCT(tiles, width)                                                                                          \
    AVX512 static void product_##tiles##_##width(int64_t in_blocks, int64_t group, const float *v, const float *u,     \
                                                 float *m)                                                             \
    {                                                                                                                  \
        product_body(tiles, width, in_blocks, group, v, u, m);                                                         \
    }
#define PRODUCTS(tiles) PRODUCT(tiles, 1) PRODUCT(tiles, 2)
EACH_COUNT_OF_TILES(PRODUCTS)

#define ROW(tiles) {product_##tiles##_1, product_##tiles##_2},
static const product_function products[MOST_TILES + 1][2] = {{NULL, NULL}, EACH_COUNT_OF_TILES(ROW)};

static void multiply(const struct layer *l, int64_t count, const float *v, const float *u, float *m)
{
    const int64_t parts = parts_of(count, MOST_TILES);
    int64_t point, out, part;

    for (point = 0; point < POINTS; point++, v += l->v_stride, m += l->m_stride)
        for (out = 0; out < l->out_blocks; out += 2) {
            const int64_t width = least(2, l->out_blocks - out);

            for (part = 0; part < parts; part++) {
                const int64_t first = count * part / parts, next = count * (part + 1) / parts;

                products[next - first][width - 1](l->in_blocks, l->group, v + first * LANES, u,
                                                  m + (out * l->group + first) * LANES);
            }
            u += l->in_blocks * LANES * width * LANES;
        }
}

/* ---- output ---- */

/* One block of channels; to and residual: that block of the first picture. */
AVX512_INLINE void transform_output_body(enum graph_op op, const struct onednn_convolution *c, const struct layer *l,
                                         const float *m, const float *bias, const char *residual, char *to,
                                         const struct kernel_batch *batch, int64_t first, int64_t count)
{
    const int64_t block_bytes = (int64_t)sizeof(float) * LANES, row_bytes = c->dst.width * block_bytes;
    const __m512 shift = bias ? _mm512_load_ps(bias) : _mm512_setzero_ps();
    struct winograd_tile tile = winograd_tile_at(c, first);
    __m512 half[REACH][TILE], row[REACH], y[TILE];
    int64_t t;
    int r, k;

    for (t = 0; t < count; t++, m += LANES, winograd_tile_step(c, &tile)) {
        const int64_t height = least(TILE, c->dst.height - tile.down * TILE);
        const int64_t width = least(TILE, c->dst.width - tile.across * TILE);
        const int64_t at = tile.down * TILE * row_bytes + tile.across * TILE * block_bytes;
        const char *add = residual ? residual + (size_t)tile.picture * batch->residual_bytes + at : NULL;
        char *out = to + (size_t)tile.picture * batch->dst_bytes + at;

        UNROLL
        for (k = 0; k < REACH; k++) {
            UNROLL
            for (r = 0; r < REACH; r++)
                row[r] = _mm512_load_ps(m + (r * REACH + k) * l->m_stride);
            winograd_transform_4(row, half[k]);
        }
        for (r = 0; r < height; r++, out += row_bytes) {
            UNROLL
            for (k = 0; k < REACH; k++)
                row[k] = half[k][r];
            winograd_transform_4(row, y);
            UNROLL
            for (k = 0; k < TILE; k++)
                y[k] = activate(op, c->activation.alpha, ONEDNN_F32, _mm512_add_ps(y[k], shift));
            UNROLL
            for (k = 0; k < TILE; k++)
                if (k < width)
                    store_block(ONEDNN_F32, out + k * block_bytes,
                                add ? _mm512_add_ps(y[k], load_block(ONEDNN_F32, add + r * row_bytes + k * block_bytes))
                                    : y[k]);
        }
    }
}

#define OUTPUT(name, op)                                                                                               \
    AVX512 static void name(const struct onednn_convolution *c, const struct layer *l, const float *m,                 \
                            const float *bias, const char *residual, char *to, const struct kernel_batch *batch,       \
                            int64_t first, int64_t count)                                                              \
    {                                                                                                                  \
        transform_output_body(op, c, l, m, bias, residual, to, batch, first, count);                                   \
    }
OUTPUT(output_silu, GRAPH_SILU)
OUTPUT(output_other, c->activation.op)

/* ---- all together ---- */

struct work {
    const struct onednn_convolution *convolution;
    const struct onednn_addresses *addresses;
    const struct kernel_batch *batch;
    const struct layer *layer;
};

static void run_part(void *data, int part, int parts)
{
    const struct work *work = data;
    const struct layer *l = work->layer;
    const struct onednn_convolution *c = work->convolution;
    const struct onednn_addresses *addresses = work->addresses;
    const int64_t src_block = c->src.height * c->src.width * LANES;
    const int64_t dst_block = c->dst.height * c->dst.width * LANES * (int64_t)sizeof(float);
    const struct winograd_range tiles = winograd_share(c, work->batch, part, parts);
    float *v = (float *)(void *)((char *)addresses->scratch + (size_t)part * scratch_of_thread(l));
    float *m = v + POINTS * l->v_stride;
    int64_t first, block;

    for (first = tiles.first; first < tiles.end; first += l->group) {
        const int64_t count = least(l->group, tiles.end - first);

        for (block = 0; block < l->in_blocks; block++)
            transform_input(c, l, (const float *)addresses->src + block * src_block, work->batch->src_bytes, first,
                            count, v + block * l->group * LANES);
        multiply(l, count, v, addresses->weights, m);
        for (block = 0; block < l->out_blocks; block++) {
            const float *bias = addresses->bias ? (const float *)addresses->bias + block * LANES : NULL;
            const char *residual = addresses->residual ? (const char *)addresses->residual + block * dst_block : NULL;
            char *to = (char *)addresses->dst + block * dst_block;

            (c->activation.op == GRAPH_SILU ? output_silu : output_other)(c, l, m + block * l->group * LANES, bias,
                                                                          residual, to, work->batch, first, count);
        }
    }
}

static void run(const struct onednn_convolution *c, const struct onednn_addresses *addresses,
                const struct kernel_batch *batch, int threads)
{
    const struct layer l = measure(c, batch->pictures, threads);

    onednn_parallel(threads, run_part, &(struct work){c, addresses, batch, &l});
}

/* Against oneDNN 2.6 on Zen 4, one thread, in to out channels alike, weights not in a cache; times faster:
 *     pixels       5 x 5  10 x 10  13 x 13  20 x 20  40 x 40  80 x 80  160 x 160
 *      16 channels  1.8     1.1      1.4      1.2      1.3      1.9      2.4
 *      64           1.2     1.6      1.4      2.1      2.6      2.9      2.9
 *     256           1.1     1.9      1.8      2.9      3.2
 * Where there are few tiles, reading the weights is what takes the time. */
static bool pays(const struct onednn_convolution *c)
{
    return winograd_fits(c, 1) && c->src.type == ONEDNN_F32 && c->dst.type == ONEDNN_F32 && c->src.block == LANES &&
           c->dst.block == LANES;
}

const struct kernel_convolution kernel_winograd = {.name = "winograd 4x4",
                                                   .takes_rows = true,
                                                   .pays = pays,
                                                   .weights_bytes = weights_bytes,
                                                   .pack = pack,
                                                   .scratch_bytes = scratch_bytes,
                                                   .run = run};

#endif
