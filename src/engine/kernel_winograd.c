/*
 * kernel_winograd.c - 3 x 3 convolutions of stride 1 with a quarter of the multiplications.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308):
 *     Y = A^T [ (G g G^T) . (B^T d B) ] A
 * where d are the 6 x 6 pixels that a tile of 4 x 4 results depends on, g the 3 x 3 weights and . the product number by
 * number. That product, summed over the input channels, is 36 independent matrix products [tile][in] x [in][out]: 36
 * multiplications for 16 results in place of 144. The weights are transformed once, in double.
 *
 * Tiles are taken in groups whose transformed input and result (scratch) stay in the second-level cache; each of the 36
 * products then reads its weights once for the whole group. A product's inner loop holds up to 14 tiles x 2 blocks of
 * 16 output channels in registers: a number of the input is broadcast, a block of weights is a vector. The border of
 * the picture reads zeros; of the tiles at the end only what lies in the picture is written.
 *
 * In fp32 throughout: pictures of bf16 are widened as they are read and rounded as they are written. The interpolation
 * points 0, 1, -1, 2, -2 cost one to two decimal digits against a direct sum (1e-6 of the greatest result becomes
 * 1e-5).
 *
 * The weights take four times the memory of the file's. No AVX2 form: oneDNN's convolutions do that.
 */
#include "engine/kernel_convolution.h"
#include "engine/kernel_vectors.h"

#include <string.h>

#define TILE       4 /* results a side */
#define REACH      6 /* pixels a side that they depend on */
#define POINTS     36
#define MOST_TILES 14 /* in registers, with 2 blocks of output channels: 28 sums, 2 weights, a broadcast */

#ifdef KERNEL_VECTORS

#define GROUP_BYTES ((int64_t)512 << 10) /* of scratch, half a second-level cache: the weights go through the rest */

struct layer {
    int64_t in_blocks, out_blocks; /* of channels */
    int64_t tiles_down, tiles_across;
    int64_t tiles;              /* of all pictures */
    int64_t group;              /* the most tiles that are worked on together */
    int64_t v_stride, m_stride; /* floats from one of the 36 products to the next */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts_of(int64_t whole, int64_t part)
{
    return (whole + part - 1) / part;
}

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
        .tiles_down = parts_of(c->dst.height, TILE),
        .tiles_across = parts_of(c->dst.width, TILE),
    };
    const int64_t bytes_of_tile = POINTS * (l.in_blocks + l.out_blocks) * LANES * (int64_t)sizeof(float);
    int64_t share;

    l.tiles = pictures * l.tiles_down * l.tiles_across;
    share = parts_of(l.tiles, threads);
    l.group = GROUP_BYTES / bytes_of_tile;
    l.group = l.group < 2 * MOST_TILES ? 2 * MOST_TILES : l.group;
    l.group = parts_of(share, parts_of(share, l.group)); /* all of the same size */
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

/* G g G^T */
static void transform_weights(const float *g, double u[POINTS])
{
    static const double G[REACH][3] = {{1.0 / 4, 0, 0},
                                       {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                       {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                       {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                       {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                       {0, 0, 1}};
    double half[REACH][3];
    int r, c;

    for (r = 0; r < REACH; r++)
        for (c = 0; c < 3; c++)
            half[r][c] = G[r][0] * (double)g[c] + G[r][1] * (double)g[3 + c] + G[r][2] * (double)g[6 + c];
    for (r = 0; r < REACH; r++)
        for (c = 0; c < REACH; c++)
            u[r * REACH + c] = half[r][0] * G[c][0] + half[r][1] * G[c][1] + half[r][2] * G[c][2];
}

/* Packed as the products read: [point][pair of out blocks][in][32]; the last block may be alone. */
static void pack(const struct onednn_convolution *c, const float *weights, void *packed)
{
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
            transform_weights(weights + (o * c->src.channels + i) * 9, u);
            for (point = 0; point < POINTS; point++)
                to[point * in * out + (o < paired ? first : paired) * in + i * width + o % width] = (float)u[point];
        }
    }
}

/* ---- input ---- */

/* B^T times one column, or row, of 6. */
AVX512_INLINE void transform_6(const __m512 d[REACH], __m512 to[REACH])
{
    const __m512 four = _mm512_set1_ps(4.0f), five = _mm512_set1_ps(5.0f), two = _mm512_set1_ps(2.0f);
    const __m512 a = _mm512_fnmadd_ps(four, d[2], d[4]), b = _mm512_fnmadd_ps(four, d[1], d[3]);
    const __m512 e = _mm512_sub_ps(d[4], d[2]), f = _mm512_sub_ps(d[3], d[1]);

    to[0] = _mm512_fmadd_ps(four, d[0], _mm512_fnmadd_ps(five, d[2], d[4]));
    to[1] = _mm512_add_ps(a, b);
    to[2] = _mm512_sub_ps(a, b);
    to[3] = _mm512_fmadd_ps(two, f, e);
    to[4] = _mm512_fnmadd_ps(two, f, e);
    to[5] = _mm512_fmadd_ps(four, d[1], _mm512_fnmadd_ps(five, d[3], d[5]));
}

/* Tiles [first, first + count) of one block of channels; from: that block of the first picture. Of a tile's six
 * columns the first two were the last two of the tile before it in the row. */
AVX512_INLINE void transform_input_body(enum onednn_type type, const struct onednn_convolution *c,
                                        const struct layer *l, const char *from, size_t picture_bytes, int64_t first,
                                        int64_t count, float *v)
{
    static const float nothing[LANES] __attribute__((aligned(64)));
    const int64_t block_bytes = type == ONEDNN_F32 ? 4 * LANES : 2 * LANES, row_bytes = c->src.width * block_bytes;
    int64_t across = first % l->tiles_across, down = first / l->tiles_across % l->tiles_down;
    int64_t picture = first / l->tiles_across / l->tiles_down, t, y, x;
    __m512 columns[REACH][REACH], d[REACH], to[REACH];
    const char *rows[REACH];
    int64_t steps[REACH];
    int ring = 0, begin = 0, column, r;

    for (t = 0; t < count; t++, v += LANES) {
        if (begin == 0)
            for (r = 0; r < REACH; r++) {
                const bool inside = (y = down * TILE - c->window.pad_begin[0] + r) >= 0 && y < c->src.height;

                rows[r] = inside ? from + (size_t)picture * picture_bytes + y * row_bytes : (const char *)nothing;
                steps[r] = inside ? block_bytes : 0;
            }
        for (column = begin; column < REACH; column++) {
            x = across * TILE - c->window.pad_begin[1] + column;
            __m512 *const made = columns[(ring + column) % REACH];

            if (x < 0 || x >= c->src.width) {
                UNROLL
                for (r = 0; r < REACH; r++)
                    made[r] = _mm512_setzero_ps();
                continue;
            }
            UNROLL
            for (r = 0; r < REACH; r++)
                d[r] = load_block(type, rows[r] + x * steps[r]);
            transform_6(d, made);
        }
        for (r = 0; r < REACH; r++) {
            UNROLL
            for (column = 0; column < REACH; column++)
                d[column] = columns[(ring + column) % REACH][r];
            transform_6(d, to);
            UNROLL
            for (column = 0; column < REACH; column++)
                _mm512_store_ps(v + (r * REACH + column) * l->v_stride, to[column]);
        }
        ring = (ring + TILE) % REACH;
        begin = REACH - TILE;
        if (++across == l->tiles_across) {
            across = 0, begin = 0;
            if (++down == l->tiles_down)
                down = 0, picture++;
        }
    }
}

AVX512 static void transform_input(const struct onednn_convolution *c, const struct layer *l, const char *from,
                                   size_t picture_bytes, int64_t first, int64_t count, float *v)
{
    if (c->src.type == ONEDNN_F32)
        transform_input_body(ONEDNN_F32, c, l, from, picture_bytes, first, count, v);
    else
        transform_input_body(ONEDNN_BF16, c, l, from, picture_bytes, first, count, v);
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
PRODUCTS(1)
PRODUCTS(2)
PRODUCTS(3)
PRODUCTS(4)
PRODUCTS(5)
PRODUCTS(6)
PRODUCTS(7)
PRODUCTS(8)
PRODUCTS(9)
PRODUCTS(10)
PRODUCTS(11)
PRODUCTS(12)
PRODUCTS(13)
PRODUCTS(14)

static const product_function products[MOST_TILES + 1][2] = {
    {NULL, NULL},
    {product_1_1, product_1_2},
    {product_2_1, product_2_2},
    {product_3_1, product_3_2},
    {product_4_1, product_4_2},
    {product_5_1, product_5_2},
    {product_6_1, product_6_2},
    {product_7_1, product_7_2},
    {product_8_1, product_8_2},
    {product_9_1, product_9_2},
    {product_10_1, product_10_2},
    {product_11_1, product_11_2},
    {product_12_1, product_12_2},
    {product_13_1, product_13_2},
    {product_14_1, product_14_2},
};

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

/* A^T times one column, or row, of 6. */
AVX512_INLINE void transform_4(const __m512 m[REACH], __m512 to[TILE])
{
    const __m512 s = _mm512_add_ps(m[1], m[2]), d = _mm512_sub_ps(m[1], m[2]);
    const __m512 s2 = _mm512_add_ps(m[3], m[4]), d2 = _mm512_sub_ps(m[3], m[4]);

    to[0] = _mm512_add_ps(_mm512_add_ps(m[0], s), s2);
    to[1] = _mm512_fmadd_ps(_mm512_set1_ps(2.0f), d2, d);
    to[2] = _mm512_fmadd_ps(_mm512_set1_ps(4.0f), s2, s);
    to[3] = _mm512_fmadd_ps(_mm512_set1_ps(8.0f), d2, _mm512_add_ps(d, m[5]));
}

/* One block of channels; to and residual: that block of the first picture. */
AVX512_INLINE void transform_output_body(enum onednn_type type, enum graph_op op, const struct onednn_convolution *c,
                                         const struct layer *l, const float *m, const float *bias, const char *residual,
                                         char *to, const struct kernel_batch *batch, int64_t first, int64_t count)
{
    const int64_t block_bytes = type == ONEDNN_F32 ? 4 * LANES : 2 * LANES, row_bytes = c->dst.width * block_bytes;
    const __m512 shift = bias ? _mm512_load_ps(bias) : _mm512_setzero_ps();
    int64_t across = first % l->tiles_across, down = first / l->tiles_across % l->tiles_down;
    int64_t picture = first / l->tiles_across / l->tiles_down, t;
    __m512 half[REACH][TILE], row[REACH], y[TILE];
    int r, k;

    for (t = 0; t < count; t++, m += LANES) {
        const int64_t height = least(TILE, c->dst.height - down * TILE);
        const int64_t width = least(TILE, c->dst.width - across * TILE);
        const int64_t at = down * TILE * row_bytes + across * TILE * block_bytes;
        const char *add = residual ? residual + (size_t)picture * batch->residual_bytes + at : NULL;
        char *out = to + (size_t)picture * batch->dst_bytes + at;

        UNROLL
        for (k = 0; k < REACH; k++) {
            UNROLL
            for (r = 0; r < REACH; r++)
                row[r] = _mm512_load_ps(m + (r * REACH + k) * l->m_stride);
            if (k == 1) /* a constant over all results is one at this point alone */
                row[1] = _mm512_add_ps(row[1], shift);
            transform_4(row, half[k]);
        }
        for (r = 0; r < height; r++, out += row_bytes) {
            UNROLL
            for (k = 0; k < REACH; k++)
                row[k] = half[k][r];
            transform_4(row, y);
            UNROLL
            for (k = 0; k < TILE; k++)
                y[k] = activate(op, c->activation.alpha, type, y[k]);
            UNROLL
            for (k = 0; k < TILE; k++)
                if (k < width)
                    store_block(type, out + k * block_bytes,
                                add ? _mm512_add_ps(y[k], load_block(type, add + r * row_bytes + k * block_bytes))
                                    : y[k]);
        }
        if (++across == l->tiles_across) {
            across = 0;
            if (++down == l->tiles_down)
                down = 0, picture++;
        }
    }
}

#define OUTPUT(name, type, op)                                                                                         \
    AVX512 static void name(const struct onednn_convolution *c, const struct layer *l, const float *m,                 \
                            const float *bias, const char *residual, char *to, const struct kernel_batch *batch,       \
                            int64_t first, int64_t count)                                                              \
    {                                                                                                                  \
        transform_output_body(type, op, c, l, m, bias, residual, to, batch, first, count);                             \
    }
OUTPUT(output_silu_f32, ONEDNN_F32, GRAPH_SILU)
OUTPUT(output_silu_bf16, ONEDNN_BF16, GRAPH_SILU)
OUTPUT(output_other, c->dst.type, c->activation.op)

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
    const int64_t src_block = (int64_t)(c->src.height * c->src.width * LANES) * (int64_t)onednn_type_bytes(c->src.type);
    const int64_t dst_block = (int64_t)(c->dst.height * c->dst.width * LANES) * (int64_t)onednn_type_bytes(c->dst.type);
    const int64_t end = l->tiles * (part + 1) / parts;
    float *v = (float *)(void *)((char *)addresses->scratch + (size_t)part * scratch_of_thread(l));
    float *m = v + POINTS * l->v_stride;
    int64_t first, block;

    for (first = l->tiles * part / parts; first < end; first += l->group) {
        const int64_t count = least(l->group, end - first);

        for (block = 0; block < l->in_blocks; block++)
            transform_input(c, l, (const char *)addresses->src + block * src_block, work->batch->src_bytes, first,
                            count, v + block * l->group * LANES);
        multiply(l, count, v, addresses->weights, m);
        for (block = 0; block < l->out_blocks; block++) {
            const float *bias = addresses->bias ? (const float *)addresses->bias + block * LANES : NULL;
            const char *residual = addresses->residual ? (const char *)addresses->residual + block * dst_block : NULL;
            char *to = (char *)addresses->dst + block * dst_block;

            (c->activation.op != GRAPH_SILU ? output_other
             : c->dst.type == ONEDNN_F32
                 ? output_silu_f32
                 : output_silu_bf16)(c, l, m + block * l->group * LANES, bias, residual, to, work->batch, first, count);
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
 *     pixels             5 x 5  10 x 10  13 x 13  20 x 20  40 x 40  80 x 80  160 x 160
 *     fp32,  16 channels  1.8     1.1      1.4      1.2      1.3      1.9      2.4
 *            64           1.2     1.6      1.4      2.1      2.6      2.9      2.9
 *           256           1.1     1.9      1.8      2.9      3.2
 *     bf16,  16           2.3     1.2      1.3      1.4       .8      1.1      1.1
 *            64           1.0      .9       .9      1.1      1.3      1.5      1.5
 *           256            .5      .7      1.0      1.4      1.5
 * Where there are few tiles, reading the weights is what takes the time. */
#define FEWEST_TILES_BF16 25

static bool pays(const struct onednn_convolution *c, int64_t pictures)
{
    const struct graph_window *w = &c->window;
    const int64_t tiles = pictures * parts_of(c->dst.height, TILE) * parts_of(c->dst.width, TILE);

    if (c->src.type != ONEDNN_F32 && c->src.type != ONEDNN_BF16)
        return false;
    if (c->src.type == ONEDNN_BF16 && (onednn_has_amx() || tiles < FEWEST_TILES_BF16))
        return false;
    return kernel_has_avx512() && !c->transposed && !c->residual_first && c->groups == 1 && !c->taps &&
           w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 && w->dilation[0] == 1 &&
           w->dilation[1] == 1 && c->src.block == LANES && c->dst.block == LANES &&
           kernel_activation_known(&c->activation);
}

const struct kernel_convolution kernel_winograd = {.name = "winograd 4x4",
                                                   .pays = pays,
                                                   .weights_bytes = weights_bytes,
                                                   .pack = pack,
                                                   .scratch_bytes = scratch_bytes,
                                                   .run = run};

#endif
