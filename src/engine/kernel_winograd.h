/*
 * kernel_winograd.h - Winograd's F(4x4, 3x3): tiles, points and transforms.  Depends on kernel_convolution.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308:
 *     Y = A^T [ (G g G^T) . (B^T d B) ] A
 * where d are the 6 x 6 pixels that a tile of 4 x 4 results depends on, g the 3 x 3 weights and . the product number by
 * number. That product, summed over the input channels, is 36 independent matrix products [tile][in] x [in][out]: 36
 * multiplications for 16 results in place of 144.
 *
 * The interpolation points are 0, a, -a, b, -b and infinity with a = 1 / sqrt 2 and b = sqrt 2. With these, rounding
 * (of d's transform to 16 bits, say) shows a third as much in the results as with the 1 and 2 of the paper, as the
 * norms of the three matrices tell: rows of B^T have an absolute sum of at most 5.12 in place of 10.
 *
 * Included by the kernels of Winograd only.
 */
#ifndef ENGINE_KERNEL_WINOGRAD_H
#define ENGINE_KERNEL_WINOGRAD_H

#include "engine/kernel_convolution.h"
#include "engine/kernel_vectors.h"

#define TILE       KERNEL_ROWS /* results a side */
#define REACH      6           /* pixels a side that they depend on */
#define POINTS     36
#define MOST_TILES 14 /* in registers, with 2 blocks of output channels: 28 sums, 2 weights, a broadcast */

/* what(n) for each number of tiles that a product is made for. */
#define EACH_COUNT_OF_TILES(what)                                                                                      \
    what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11) what(12) what(13) what(14)

#define POINT_A 0.70710678118654752
#define POINT_B 1.41421356237309505

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t parts_of(int64_t whole, int64_t part)
{
    return (whole + part - 1) / part;
}

/* Where a tile is; tiles are counted along rows, then down, then through the batch. */
struct winograd_tile {
    int64_t across, down, picture;
};

static inline struct winograd_tile winograd_tile_at(const struct onednn_convolution *c, int64_t index)
{
    const int64_t across = parts_of(c->dst.width, TILE), down = parts_of(c->dst.height, TILE);

    return (struct winograd_tile){index % across, index / across % down, index / across / down};
}

static inline void winograd_tile_step(const struct onednn_convolution *c, struct winograd_tile *tile)
{
    if (++tile->across * TILE < c->dst.width)
        return;
    tile->across = 0;
    if (++tile->down * TILE < c->dst.height)
        return;
    tile->down = 0;
    tile->picture++;
}

static inline int64_t winograd_tiles(const struct onednn_convolution *c, int64_t pictures)
{
    return pictures * parts_of(c->dst.height, TILE) * parts_of(c->dst.width, TILE);
}

/* [first, end): the tiles that are a part's. */
struct winograd_range {
    int64_t first, end;
};

static inline struct winograd_range winograd_share(const struct onednn_convolution *c, const struct kernel_batch *batch,
                                                   int part, int parts)
{
    const int64_t across = parts_of(c->dst.width, TILE);
    const int64_t first = batch->end_row ? batch->first_row / TILE * across : 0;
    const int64_t end = batch->end_row ? parts_of(batch->end_row, TILE) * across : winograd_tiles(c, batch->pictures);

    return (struct winograd_range){first + (end - first) * part / parts, first + (end - first) * (part + 1) / parts};
}

/* How many of a thread's tiles are worked on together, so that what lies between the transforms takes about bytes. */
static inline int64_t winograd_group(int64_t tiles, int threads, int64_t bytes_of_tile, int64_t bytes)
{
    const int64_t share = parts_of(tiles, threads), most = bytes / bytes_of_tile;

    return parts_of(share, parts_of(share, most < 2 * MOST_TILES ? 2 * MOST_TILES : most)); /* all of the same size */
}

static inline bool winograd_fits(const struct onednn_convolution *c, int stride)
{
    const struct graph_window *w = &c->window;

    return kernel_has_avx512() && !c->transposed && !c->residual_first && c->groups == 1 && !c->taps &&
           w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == stride && w->stride[1] == stride &&
           w->dilation[0] == 1 && w->dilation[1] == 1 && kernel_activation_known(&c->activation);
}

/* G g G^T */
static inline void winograd_weights(const float *g, double u[POINTS])
{
    /* 1, p, p^2 for each point p, over the product of its differences from the others */
    static const double G[REACH][3] = {{1, 0, 0},
                                       {-2.0 / 3, -2.0 / 3 * POINT_A, -1.0 / 3},
                                       {-2.0 / 3, 2.0 / 3 * POINT_A, -1.0 / 3},
                                       {1.0 / 6, 1.0 / 6 * POINT_B, 1.0 / 3},
                                       {1.0 / 6, -1.0 / 6 * POINT_B, 1.0 / 3},
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

#ifdef KERNEL_VECTORS

AVX512_INLINE __m512 all(double x)
{
    return _mm512_set1_ps((float)x);
}

/* scale B^T times one column, or row, of 6. */
AVX512_INLINE void winograd_transform_6(const float scale, const __m512 d[REACH], __m512 to[REACH])
{
    const __m512 one = _mm512_set1_ps(scale), two = _mm512_set1_ps(2.0f * scale), half = _mm512_set1_ps(.5f * scale),
                 both = _mm512_set1_ps(2.5f * scale), a = all(POINT_A), b = all(POINT_B);
    const __m512 d1 = _mm512_mul_ps(one, d[1]), d3 = _mm512_mul_ps(one, d[3]), d4 = _mm512_mul_ps(one, d[4]);
    const __m512 even_a = _mm512_fnmadd_ps(two, d[2], d4), odd_a = _mm512_fnmadd_ps(two, d[1], d3);
    const __m512 even_b = _mm512_fnmadd_ps(half, d[2], d4), odd_b = _mm512_fnmadd_ps(half, d[1], d3);

    to[0] = _mm512_fmadd_ps(one, d[0], _mm512_fnmadd_ps(both, d[2], d4));
    to[1] = _mm512_fmadd_ps(a, odd_a, even_a);
    to[2] = _mm512_fnmadd_ps(a, odd_a, even_a);
    to[3] = _mm512_fmadd_ps(b, odd_b, even_b);
    to[4] = _mm512_fnmadd_ps(b, odd_b, even_b);
    to[5] = _mm512_fmadd_ps(one, d[5], _mm512_fnmadd_ps(both, d[3], d1));
}

/* A^T times one column, or row, of 6. */
AVX512_INLINE void winograd_transform_4(const __m512 m[REACH], __m512 to[TILE])
{
    const __m512 s = _mm512_add_ps(m[1], m[2]), d = _mm512_sub_ps(m[1], m[2]);
    const __m512 s2 = _mm512_add_ps(m[3], m[4]), d2 = _mm512_sub_ps(m[3], m[4]);

    to[0] = _mm512_add_ps(_mm512_add_ps(m[0], s), s2);
    to[1] = _mm512_fmadd_ps(all(POINT_B), d2, _mm512_mul_ps(all(POINT_A), d));
    to[2] = _mm512_fmadd_ps(all(2), s2, _mm512_mul_ps(all(.5), s));
    to[3] = _mm512_fmadd_ps(all(2 * POINT_B), d2, _mm512_fmadd_ps(all(.5 * POINT_A), d, m[5]));
}

#endif

#endif
