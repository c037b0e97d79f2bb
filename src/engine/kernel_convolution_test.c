/*
 * kernel_convolution_test.c - each of our own convolutions beside a loop that says what a convolution is.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/kernel_convolution.h"
#include "engine/kernel_vectors.h"

#include "engine/test_graphs.h"

#include <math.h>
#include <string.h>

#ifdef KERNEL_VECTORS

#define GUARD 0x5a /* behind everything that a kernel writes */

/* bytes, filled with NaNs, and 64 of guard behind them. */
static char *room(size_t bytes)
{
    char *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);

    assert_non_null(memory);
    memset(memory, 0xff, bytes);
    memset(memory + bytes, GUARD, (bytes + 127) / 64 * 64 - bytes);
    return memory;
}

static void check_guard(const char *memory, size_t bytes)
{
    int i;

    for (i = 0; i < 64; i++)
        assert_int_equal(memory[bytes + (size_t)i], GUARD);
}

static char *at(const struct onednn_image *image, char *memory, int64_t channel, int64_t y, int64_t x)
{
    const int64_t block = image->block ? image->block : image->channels;
    const int64_t pixel = (channel / block * image->height + y) * image->width + x;

    return memory + (size_t)(pixel * block + channel % block) * onednn_type_bytes(image->type);
}

static float get(const struct onednn_image *image, const char *memory, int64_t channel, int64_t y, int64_t x)
{
    const char *from = at(image, (char *)memory, channel, y, x);
    uint32_t bits = 0;
    float f;

    if (image->type == ONEDNN_U8)
        return (float)*(const uint8_t *)from / 255.0f;
    if (image->type == ONEDNN_F32)
        memcpy(&bits, from, 4);
    else
        memcpy((char *)&bits + 2, from, 2);
    memcpy(&f, &bits, 4);
    return f;
}

/* What fills pictures and weights in place of any numbers; NULL: any. */
static float (*number_at)(int64_t y, int64_t x);
static float (*weight_of)(int64_t channel);

/* Fills a picture, the channels of the last block beyond the last true one, too; bf16: cut off. */
static void fill(const struct onednn_image *image, char *memory)
{
    int64_t channel, y, x;
    float f;

    for (channel = 0; channel < onednn_round_up(image->channels, image->block); channel++)
        for (y = 0; y < image->height; y++)
            for (x = 0; x < image->width; x++) {
                f = number_at ? number_at(y, x) : any_number();
                if (image->type == ONEDNN_U8)
                    *(uint8_t *)at(image, memory, channel, y, x) = (uint8_t)(random_state >> 24);
                else
                    memcpy(at(image, memory, channel, y, x), (const char *)&f + (image->type == ONEDNN_F32 ? 0 : 2),
                           onednn_type_bytes(image->type));
            }
}

static double activate_plainly(const struct graph_unary *activation, double x)
{
    if (activation->op == GRAPH_SILU)
        return x / (1.0 + exp(-x));
    if (activation->op == GRAPH_SIGMOID)
        return 1.0 / (1.0 + exp(-x));
    if (activation->op == GRAPH_RELU)
        return fmax(x, 0.0);
    return activation->op == GRAPH_LEAKY_RELU && x < 0.0 ? (double)activation->alpha * x : x;
}

/* How a residual lies. */
static struct onednn_image residual_of(const struct onednn_convolution *c)
{
    struct onednn_image residual = c->dst;

    if (c->residual_first)
        residual.type = ONEDNN_F32;
    return residual;
}

static double one_result(const struct onednn_convolution *c, const char *src, const float *weights, const float *bias,
                         const char *residual, int64_t o, int64_t y, int64_t x)
{
    const struct graph_window *w = &c->window;
    const struct onednn_image added = residual_of(c);
    double sum = bias ? (double)bias[o] : 0.0;
    int64_t i, ky, kx;

    for (i = 0; i < c->src.channels; i++)
        for (ky = 0; ky < w->kernel[0]; ky++)
            for (kx = 0; kx < w->kernel[1]; kx++) {
                const int64_t from_y = y * w->stride[0] + ky - w->pad_begin[0];
                const int64_t from_x = x * w->stride[1] + kx - w->pad_begin[1];

                if (from_y >= 0 && from_x >= 0 && from_y < c->src.height && from_x < c->src.width)
                    sum += (double)get(&c->src, src, i, from_y, from_x) *
                           (double)weights[((o * c->src.channels + i) * w->kernel[0] + ky) * w->kernel[1] + kx];
            }
    if (c->has_residual && c->residual_first)
        sum += (double)get(&added, residual, o, y, x);
    sum = activate_plainly(&c->activation, sum);
    return c->has_residual && !c->residual_first ? sum + (double)get(&added, residual, o, y, x) : sum;
}

static void check(const struct kernel_convolution *kernel, const struct onednn_convolution *c, int64_t pictures,
                  int threads, double tolerance)
{
    const struct onednn_image *src = &c->src, *dst = &c->dst;
    const size_t src_bytes = onednn_image_bytes(src), dst_bytes = onednn_image_bytes(dst);
    const size_t scratch_bytes = kernel->scratch_bytes(c, pictures, threads), packed_bytes = kernel->weights_bytes(c);
    const int64_t taps = c->window.kernel[0] * c->window.kernel[1], weight_count = dst->channels * src->channels * taps;
    float *weights = random_floats(weight_count);
    char *from = room(src_bytes * (size_t)pictures), *to = room(dst_bytes * (size_t)pictures), *packed, *scratch;
    const struct onednn_image added = residual_of(c);
    const size_t added_bytes = onednn_image_bytes(&added);
    const struct kernel_batch batch = {
        .pictures = pictures, .src_bytes = src_bytes, .dst_bytes = dst_bytes, .residual_bytes = added_bytes};
    char *residual = room(added_bytes * (size_t)pictures);
    float *bias = aligned_alloc(64, (size_t)onednn_round_up(dst->channels, dst->block) * sizeof(float));
    double largest = 0.0, worst = 0.0, limit;
    int64_t picture, o, y, x, i;

    assert_non_null(bias);
    for (i = 0; i < weight_count && weight_of; i++)
        weights[i] = weight_of(i / taps % src->channels);
    memset(bias, 0, (size_t)onednn_round_up(dst->channels, dst->block) * sizeof(float));
    for (o = 0; o < dst->channels; o++)
        bias[o] = any_number();
    packed = room(packed_bytes);
    scratch = room(scratch_bytes);
    kernel->pack(c, weights, packed);
    check_guard(packed, packed_bytes);
    for (picture = 0; picture < pictures; picture++) {
        fill(src, from + (size_t)picture * src_bytes);
        fill(&added, residual + (size_t)picture * added_bytes);
    }
    kernel->run(c,
                &(struct onednn_addresses){.src = from,
                                           .weights = packed,
                                           .bias = c->has_bias ? bias : NULL,
                                           .residual = c->has_residual ? residual : NULL,
                                           .dst = to,
                                           .scratch = scratch},
                &batch, threads);
    check_guard(to, dst_bytes * (size_t)pictures);
    check_guard(scratch, scratch_bytes);
    for (picture = 0; picture < pictures; picture++)
        for (o = 0; o < onednn_round_up(dst->channels, dst->block); o++)
            for (y = 0; y < dst->height; y++)
                for (x = 0; x < dst->width; x++) {
                    const char *made = to + (size_t)picture * dst_bytes;
                    double got = (double)get(dst, made, o, y, x), want;

                    assert_true(isfinite(got));
                    if (o >= dst->channels) /* fills up the block: finite */
                        continue;
                    want = one_result(c, from + (size_t)picture * src_bytes, weights, c->has_bias ? bias : NULL,
                                      residual + (size_t)picture * added_bytes, o, y, x);
                    if (dst->type == ONEDNN_U8) {
                        got = (got * 255.0 - c->integers.zero) * (double)c->integers.scale;
                        want = fmin(fmax(want, -c->integers.zero * (double)c->integers.scale),
                                    (255 - c->integers.zero) * (double)c->integers.scale);
                    }
                    largest = fmax(largest, fabs(want));
                    worst = fmax(worst, fabs(got - want));
                }
    limit = tolerance * largest + (dst->type == ONEDNN_U8 ? 0.5 * (double)c->integers.scale : 0.0);
    if (!(worst <= limit))
        fail_msg("%s: %d to %d channels, %d x %d: off by %g of %g, the limit is %g", kernel->name, (int)src->channels,
                 (int)dst->channels, (int)dst->height, (int)dst->width, worst, largest, limit);
    free(weights), free(from), free(to), free(residual), free(bias), free(packed), free(scratch);
}

/* Channels in their own order, and every way to leave the last registers of a row. */
static void test_stem(void **state)
{
    static const int windows[][4] = {{3, 3, 2, 1}, {6, 6, 2, 2}, {3, 3, 1, 1}, {7, 7, 2, 3}, {1, 5, 1, 0}};
    static const int64_t out[] = {16, 48, 20};
    int64_t height, width;
    size_t i;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        for (height = 7; height < 10; height++)
            for (width = 7; width < 75; width += 9) {
                const bool narrow = onednn_has_bf16() && width % 2 == 0;
                const int *w = windows[i];
                struct onednn_convolution c = {
                    .src = {height == 8 ? ONEDNN_U8 : ONEDNN_F32, 1 + width % 3, height, width, 1},
                    .dst = {narrow ? ONEDNN_BF16 : ONEDNN_F32, out[height % 3], (height + 2 * w[3] - w[0]) / w[2] + 1,
                            (width + 2 * w[3] - w[1]) / w[2] + 1, LANES},
                    .groups = 1,
                    .window = {{w[0], w[1]}, {w[2], w[2]}, {1, 1}, {w[3], w[3]}, {w[3], w[3]}},
                    .activation = {.op = height % 2 ? GRAPH_SILU : GRAPH_REMOVED},
                    .has_bias = width % 3,
                    .has_residual = width % 4 == 0,
                };

                assert_ptr_equal(kernel_convolution_for(&c),
                                 narrow && c.dst.channels > 16 && c.src.type == ONEDNN_F32 ? NULL : &kernel_stem);
                check(&kernel_stem, &c, 1 + height % 3, 1 + (int)height % 2, narrow ? 0.004 : 1e-6);
                c.dst.block = 0; /* without channels that fill up a block */
                assert_int_equal(kernel_stem.pays(&c),
                                 c.dst.channels % LANES == 0 &&
                                     (c.dst.channels == 16 || !narrow || c.src.type != ONEDNN_F32));
                if (c.dst.channels % LANES == 0)
                    check(&kernel_stem, &c, 1 + height % 3, 1 + (int)height % 2, narrow ? 0.004 : 1e-6);
            }
}

/* Half a unit of bf16 is 1 / 256 of a number at the most; what weights of 16 bits and SiLU's guess add to that. */
#define ROUNDED_TO_BF16 (1.0 / 256 + 3e-5)
#define OF_SILU         1.8e-4

static struct onednn_convolution stem_of_bytes(int kernel, int stride, int pad, int64_t out, int64_t height,
                                               int64_t width)
{
    return (struct onednn_convolution){
        .src = {ONEDNN_U8, 3, height, width, 1},
        .dst = {ONEDNN_BF16, out, (height + 2 * pad - kernel) / stride + 1, (width + 2 * pad - kernel) / stride + 1,
                LANES},
        .groups = 1,
        .window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}},
        .has_bias = true,
    };
}

/* Even and odd numbers of products in a row, and every way to end a row of the picture. */
static void test_stem_of_bytes(void **state)
{
    static const int windows[][3] = {{3, 2, 1}, {6, 2, 2}, {3, 1, 1}, {7, 2, 3}, {2, 1, 0}};
    static const int64_t out[] = {16, 48, 20};
    int64_t height, width;
    size_t i;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16())
        skip();
    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        for (height = 7; height < 10; height++)
            for (width = 40; width < 75; width += 9) {
                const int *w = windows[i];
                struct onednn_convolution c = stem_of_bytes(w[0], w[1], w[2], out[width % 3], height, width);

                c.has_bias = width % 2;
                c.activation.op = height % 2 ? GRAPH_SILU : height % 4 ? GRAPH_REMOVED : GRAPH_RELU;
                assert_ptr_equal(kernel_convolution_for(&c), &kernel_stem_bytes);
                check(&kernel_stem_bytes, &c, 1 + height % 3, 1 + (int)height % 2,
                      ROUNDED_TO_BF16 + (height % 2 ? OF_SILU : 0.0));
                c.dst.block = 0;
                assert_int_equal(kernel_stem_bytes.pays(&c), c.dst.channels % LANES == 0);
                if (c.dst.channels % LANES == 0)
                    check(&kernel_stem_bytes, &c, 2, 1, ROUNDED_TO_BF16 + (height % 2 ? OF_SILU : 0.0));
                c.dst.type = ONEDNN_U8;
                c.integers = (struct graph_scale){0.02f, 40};
                if (c.dst.channels % LANES == 0) {
                    assert_ptr_equal(kernel_convolution_for(&c), &kernel_stem_bytes);
                    check(&kernel_stem_bytes, &c, 2, 1, 3e-5 + (height % 2 ? OF_SILU : 0.0));
                }
                c.dst.width = 19; /* fewer than it computes at once */
                assert_false(kernel_stem_bytes.pays(&c));
            }
}

/* Weights for which there is no scale, or a tiny one; and what rounding takes from the others, where the bias leaves
 * nothing else. */
static void test_weights_of_a_stem_of_bytes(void **state)
{
    const struct onednn_convolution c = stem_of_bytes(3, 2, 1, 16, 40, 40);
    static uint8_t src[3 * 40 * 40] __attribute__((aligned(64)));
    static uint16_t dst[20 * 20 * LANES] __attribute__((aligned(64)));
    float weights[16 * 27], bias[LANES] __attribute__((aligned(64)));
    const struct kernel_batch batch = {.pictures = 1, .src_bytes = sizeof(src), .dst_bytes = sizeof(dst)};
    char *packed, *scratch;
    int i, o;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16())
        skip();
    memset(src, 255, sizeof(src));
    for (i = 0; i < 16 * 27; i++)
        weights[i] = i / 27 == 0 ? 0.0f : i / 27 == 1 ? 1e-44f : i / 27 == 2 ? -1e36f : any_number();
    weights[3 * 27 + 5] = (float)NAN;
    weights[4 * 27 + 6] = (float)INFINITY;
    for (o = 0; o < LANES; o++)
        for (i = 0, bias[o] = o < 5 ? 2.0f : 0.0f; i < 27 && o >= 5; i++)
            bias[o] -= weights[o * 27 + i];
    packed = room(kernel_stem_bytes.weights_bytes(&c));
    scratch = room(kernel_stem_bytes.scratch_bytes(&c, 1, 1));
    kernel_stem_bytes.pack(&c, weights, packed);
    kernel_stem_bytes.run(
        &c, &(struct onednn_addresses){.src = src, .weights = packed, .bias = bias, .dst = dst, .scratch = scratch},
        &batch, 1);
    for (o = 0; o < LANES; o++) {
        const double got = (double)get(&c.dst, (const char *)dst, o, 10, 10);

        if (o < 3)
            assert_true(fabs(got - (o < 2 ? 2.0 : -27e36)) <= (o < 2 ? 0.0 : 27e36 / 256));
        else if (o < 5)
            assert_true(isnan(got));
        else
            assert_true(fabs(got) <= 27.0 / 65534);
    }
    free(packed), free(scratch);
}

static struct onednn_convolution shape_of(int64_t in, int64_t out, int64_t height, int64_t width, int pad,
                                          enum onednn_type type)
{
    return (struct onednn_convolution){
        .src = {type, in, height, width, LANES},
        .dst = {type, out, height + 2 * pad - 2, width + 2 * pad - 2, LANES},
        .groups = 1,
        .window = {{3, 3}, {1, 1}, {1, 1}, {pad, pad}, {pad, pad}},
        .has_bias = true,
    };
}

/* Each number of blocks, and pixels that fill the registers or overlap. */
static void test_pointwise(void **state)
{
    static const int64_t channels[][2] = {{16, 16}, {20, 40}, {48, 32}, {80, 84}};
    static const enum graph_op activations[] = {GRAPH_SILU, GRAPH_REMOVED, GRAPH_SIGMOID};
    size_t i;
    int64_t width;
    int type;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (type = 0; type < (onednn_has_bf16() ? 3 : 1); type++)
        for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
            for (width = 14; width < 31; width++) {
                struct onednn_convolution c = {
                    .src = {type ? ONEDNN_BF16 : ONEDNN_F32, channels[i][0], 1 + width % 2, width, LANES},
                    .dst = {type == 1 ? ONEDNN_BF16 : ONEDNN_F32, channels[i][1], 1 + width % 2, width, LANES},
                    .groups = 1,
                    .window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
                    .activation = {.op = activations[width % 3]},
                    .has_bias = width % 4,
                    .has_residual = width % 5 < 3,
                    .residual_first = width % 5 == 1,
                };

                assert_ptr_equal(kernel_convolution_for(&c), &kernel_pointwise);
                check(&kernel_pointwise, &c, 1 + width % 3, 1 + (int)width % 2, type ? 0.01 : 1e-6);
                c.activation.op = GRAPH_MISH;
                assert_null(kernel_convolution_for(&c));
            }
}

/* Every count of tiles at the end of a group, of blocks of channels, and every way to leave the last tile. */
static void test_winograd(void **state)
{
    static const int64_t channels[][2] = {{16, 16}, {20, 40}, {48, 32}, {80, 80}};
    int64_t height, width;
    size_t i;
    int pad;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        for (height = 3; height < 10; height++)
            for (width = 3; width < 18; width += i ? 5 : 1)
                for (pad = i ? (int)width % 2 : 0; pad < (i ? 1 + (int)width % 2 : 2); pad++) {
                    struct onednn_convolution c =
                        shape_of(channels[i][0], channels[i][1], height, width, pad, ONEDNN_F32);

                    c.has_residual = width % 2;
                    c.has_bias = height % 3;
                    c.activation.op = height % 2 ? GRAPH_SILU : GRAPH_REMOVED;
                    check(&kernel_winograd, &c, 1 + (height + width) % 3, 1 + (int)width % 2, 1e-5);
                }
}

/* Enough tiles for several groups of each thread. */
static void test_winograd_in_groups(void **state)
{
    const struct onednn_convolution c = shape_of(32, 48, 45, 50, 1, ONEDNN_F32);
    int threads;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (threads = 1; threads < 4; threads++)
        check(&kernel_winograd, &c, 2, threads, 1e-5);
}

static void test_winograd_int16(void **state)
{
    static const int64_t channels[][2] = {{16, 16}, {20, 40}, {48, 32}, {80, 80}, {272, 16}, {528, 48}};
    int64_t height, width;
    size_t i;

    (void)state;
    if (!kernel_has_avx512() || !onednn_has_bf16())
        skip();
    for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        for (height = 3; height < 10; height += i < 4 ? 1 : 4)
            for (width = 3; width < 18; width += i ? 5 : 1) {
                struct onednn_convolution c =
                    shape_of(channels[i][0], channels[i][1], height, width, (int)(height + width) % 2, ONEDNN_BF16);

                c.has_residual = width % 2;
                c.has_bias = height % 3;
                c.activation.op = height % 2 ? GRAPH_SILU : GRAPH_REMOVED;
                if (!onednn_has_amx())
                    assert_ptr_equal(kernel_convolution_for(&c), &kernel_winograd_int16);
                check(&kernel_winograd_int16, &c, 1 + (height + width) % 3, 1 + (int)width % 2, 0.008);
                c.dst.type = ONEDNN_F32;
                check(&kernel_winograd_int16, &c, 1 + (height + width) % 3, 1 + (int)width % 2, 0.006);
            }
}

static int sign_row, sign_column, wanted_sign; /* of B^T */

/* 1 where two rows of B^T have the wanted sign: of numbers from 0 to 1, none make their product greater. */
static float greatest_at(int64_t y, int64_t x)
{
    static const int signs[6][6] = {{1, 0, -1, 0, 1, 0},  {0, -1, -1, 1, 1, 0}, {0, 1, -1, -1, 1, 0},
                                    {0, -1, -1, 1, 1, 0}, {0, 1, -1, -1, 1, 0}, {0, 1, 0, -1, 0, 1}};

    return signs[sign_row][y % 6] * signs[sign_column][x % 6] == wanted_sign ? 1.0f : 0.0f;
}

static float greatest_weight(int64_t channel)
{
    return channel % 2 ? 1.0f : 0.999f;
}

/* Every sum as great as 32 bits have to hold, of as many channels as are ever summed in them. */
static void test_winograd_int16_at_its_limits(void **state)
{
    struct onednn_convolution c = shape_of(144, 16, 6, 6, 0, ONEDNN_BF16);

    (void)state;
    if (!kernel_has_avx512() || !onednn_has_bf16())
        skip();
    c.dst.type = ONEDNN_F32;
    number_at = greatest_at;
    weight_of = greatest_weight;
    for (sign_row = 0; sign_row < 6; sign_row++)
        for (sign_column = 0; sign_column < 6; sign_column++)
            for (wanted_sign = -1; wanted_sign < 2; wanted_sign += 2)
                check(&kernel_winograd_int16, &c, 1, 1, 4e-3);
    number_at = NULL;
    weight_of = NULL;
}

/* A tile with a number that is none has no results, and the others theirs. */
static void check_no_number(const struct kernel_convolution *kernel, const struct onednn_convolution *convolution)
{
    const struct onednn_convolution c = *convolution;                /* to 4 x 12 results */
    static const uint16_t none[] = {0x7f80, 0xff80, 0x7fc0, 0xffc0}; /* infinities, NaNs */
    const struct kernel_batch batch = {
        .pictures = 1, .src_bytes = onednn_image_bytes(&c.src), .dst_bytes = onednn_image_bytes(&c.dst)};
    float *weights = random_floats(16 * 16 * 9);
    char *from = room(batch.src_bytes), *to = room(batch.dst_bytes);
    char *packed = room(kernel->weights_bytes(&c)), *scratch = room(kernel->scratch_bytes(&c, 1, 1));
    size_t i;

    kernel->pack(&c, weights, packed);
    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        fill(&c.src, from);
        memcpy(at(&c.src, from, 5, 2, 1), &none[i], sizeof(none[i]));
        kernel->run(&c, &(struct onednn_addresses){.src = from, .weights = packed, .dst = to, .scratch = scratch},
                    &batch, 1);
        assert_true(isnan(get(&c.dst, to, 0, 0, 0)) && isnan(get(&c.dst, to, 7, 3, 3)));
        assert_true(isfinite(get(&c.dst, to, 0, 0, 4)) && isfinite(get(&c.dst, to, 15, 3, 11)));
    }
    fill(&c.src, from);
    weights[5 * 16 * 9 + 7] = NAN; /* of one output channel */
    kernel_winograd_int16.pack(&c, weights, packed);
    kernel_winograd_int16.run(
        &c, &(struct onednn_addresses){.src = from, .weights = packed, .dst = to, .scratch = scratch}, &batch, 1);
    assert_true(isnan(get(&c.dst, to, 5, 0, 0)) && isnan(get(&c.dst, to, 5, 3, 11)));
    assert_true(isfinite(get(&c.dst, to, 4, 0, 0)) && isfinite(get(&c.dst, to, 15, 3, 11)));
    free(weights), free(from), free(to), free(packed), free(scratch);
}

static void test_winograd_int16_of_no_number(void **state)
{
    const struct onednn_convolution c = shape_of(16, 16, 4, 12, 1, ONEDNN_BF16);

    (void)state;
    if (!kernel_has_avx512() || !onednn_has_bf16())
        skip();
    check_no_number(&kernel_winograd_int16, &c);
}

static struct onednn_convolution halving(int64_t in, int64_t out, int64_t height, int64_t width, int pad)
{
    return (struct onednn_convolution){
        .src = {ONEDNN_BF16, in, height, width, LANES},
        .dst = {ONEDNN_BF16, out, (height + 2 * pad - 3) / 2 + 1, (width + 2 * pad - 3) / 2 + 1, LANES},
        .groups = 1,
        .window = {{3, 3}, {2, 2}, {1, 1}, {pad, pad}, {pad, pad}},
    };
}

/* Every way to leave the last tile, of even and odd pictures, with and without tiles that are whole. */
static void test_winograd_stride2(void **state)
{
    static const int64_t channels[][2] = {{16, 16}, {20, 40}, {48, 32}, {80, 80}, {272, 16}};
    int64_t height, width;
    size_t i;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16())
        skip();
    for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        for (height = 3; height < 20; height += i ? 8 : 3)
            for (width = 3; width < 35; width += i ? 9 : 1) {
                const int pad = (int)(height + width) % 2;
                struct onednn_convolution c = halving(channels[i][0], channels[i][1], height, width, pad);

                c.has_bias = height % 3;
                c.activation.op = height % 2 ? GRAPH_SILU : GRAPH_RELU;
                check(&kernel_winograd_stride2, &c, 1 + (height + width) % 3, 1 + (int)width % 2, 0.008);
                c.dst.type = ONEDNN_F32;
                check(&kernel_winograd_stride2, &c, 1 + (height + width) % 3, 1 + (int)width % 2, 0.004);
            }
}

static float greatest_number;

/* Greatest where two rows of what transforms even pixels have the wanted sign, and where nothing is transformed. */
static float greatest_of_stride2(int64_t y, int64_t x)
{
    static const int signs[3][5] = {{-1, -1, 1, 1, 0}, {1, -1, -1, 1, 0}, {1, 0, -1, 0, 1}};
    const int down = y % 2 ? wanted_sign : signs[sign_row][y / 2 % 5];
    const int across = x % 2 ? 1 : signs[sign_column][x / 2 % 5];

    return down * across == wanted_sign || (y % 2 && x % 2) ? greatest_number : 0.0f;
}

static void test_winograd_stride2_at_its_limits(void **state)
{
    /* 4.5 times 4096 times the first is the last that 16 bits hold: the second takes the next scale */
    static const float numbers[] = {1.7734375f, 1.78125f};
    struct onednn_convolution c = halving(144, 16, 9, 9, 0), few = halving(16, 16, 8, 24, 1);
    int k;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16())
        skip();
    c.dst.type = ONEDNN_F32;
    number_at = greatest_of_stride2;
    weight_of = greatest_weight;
    for (sign_row = 0; sign_row < 3; sign_row++)
        for (sign_column = 0; sign_column < 3; sign_column++)
            for (wanted_sign = -1; wanted_sign < 2; wanted_sign += 2)
                for (k = 0; k < 2; k++) {
                    greatest_number = numbers[k];
                    check(&kernel_winograd_stride2, &c, 1, 1, 1e-3);
                }
    number_at = NULL;
    weight_of = NULL;
    check_no_number(&kernel_winograd_stride2, &few);
}

/* A weight that is none spoils its output channel, and no other. */
static void test_winograd_stride2_of_no_weight(void **state)
{
    const struct onednn_convolution c = halving(16, 16, 8, 24, 1);
    const struct kernel_batch batch = {
        .pictures = 1, .src_bytes = onednn_image_bytes(&c.src), .dst_bytes = onednn_image_bytes(&c.dst)};
    float *weights = random_floats(16 * 16 * 9);
    char *from = room(batch.src_bytes), *to = room(batch.dst_bytes);
    char *packed = room(kernel_winograd_stride2.weights_bytes(&c));
    char *scratch = room(kernel_winograd_stride2.scratch_bytes(&c, 1, 1));
    int64_t o, x;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16())
        skip();
    weights[3 * 16 * 9 + 50] = (float)NAN;
    weights[7 * 16 * 9 + 70] = (float)INFINITY;
    fill(&c.src, from);
    kernel_winograd_stride2.pack(&c, weights, packed);
    kernel_winograd_stride2.run(
        &c, &(struct onednn_addresses){.src = from, .weights = packed, .dst = to, .scratch = scratch}, &batch, 1);
    for (o = 0; o < 16; o++)
        for (x = 0; x < 12; x++)
            assert_true(isnan(get(&c.dst, to, o, 2, x)) == (o == 3 || o == 7));
    free(weights), free(from), free(to), free(packed), free(scratch);
}

/* What it is for: enough tiles and channels, and none of what it cannot do. */
static void test_what_winograd_stride2_takes(void **state)
{
    struct onednn_convolution c = halving(32, 64, 40, 40, 1), other;

    (void)state;
    if (!kernel_has_vnni() || !onednn_has_bf16() || onednn_has_amx())
        skip();
    assert_ptr_equal(kernel_convolution_for(&c), &kernel_winograd_stride2);
    other = c, other.has_residual = true;
    assert_null(kernel_convolution_for(&other));
    other = c, other.src.channels = 16;
    assert_ptr_equal(kernel_convolution_for(&other), &kernel_direct);
    other = c, other.window.dilation[1] = 2;
    assert_null(kernel_convolution_for(&other));
    other = halving(32, 64, 32, 32, 1); /* 16 tiles */
    assert_null(kernel_convolution_for(&other));
}

/* Every way that a window leaves the picture, channels that fill no block, and rows that ten results do not fill. */
static void test_direct(void **state)
{
    static const int windows[][2] = {{3, 1}, {3, 0}, {2, 0}, {5, 2}, {7, 3}};
    static const int64_t out[] = {16, 48, 20, 32};
    int64_t height, width;
    size_t i;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        for (height = 7; height < 11; height++)
            for (width = 26; width < 70; width += 7) {
                const int *w = windows[i];
                const bool narrow = onednn_has_bf16() && height % 2 == 0;
                const enum onednn_type type = narrow ? ONEDNN_BF16 : ONEDNN_F32;
                const struct onednn_convolution c = {
                    .src = {type, width % 3 ? 16 : 9, height, width, LANES},
                    .dst = {type, out[height % 4], (height + 2 * w[1] - w[0]) / 2 + 1,
                            (width + 2 * w[1] - w[0]) / 2 + 1, LANES},
                    .groups = 1,
                    .window = {{w[0], w[0]}, {2, 2}, {1, 1}, {w[1], w[1]}, {w[1], w[1]}},
                    .activation = {.op = width % 2 ? GRAPH_SILU : GRAPH_RELU},
                    .has_bias = width % 4,
                };

                if (onednn_has_amx() && narrow)
                    continue;
                assert_ptr_equal(kernel_convolution_for(&c), &kernel_direct);
                check(&kernel_direct, &c, 1 + height % 3, 1 + (int)width % 2, narrow ? 0.004 : 2e-6);
            }
}

static void test_activations(void **state)
{
    static const struct graph_unary all[] = {{GRAPH_REMOVED, 0, 0},
                                             {GRAPH_SILU, 0, 0},
                                             {GRAPH_SIGMOID, 0, 0},
                                             {GRAPH_RELU, 0, 0},
                                             {GRAPH_LEAKY_RELU, 0.1f, 0}};
    static const struct graph_unary unknown = {GRAPH_MISH, 0, 0};
    struct onednn_convolution c = shape_of(16, 16, 8, 8, 1, ONEDNN_F32);
    size_t i;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        c.activation = all[i];
        assert_true(kernel_activation_known(&all[i]));
        check(&kernel_winograd, &c, 1, 1, 1e-5);
    }
    c.activation = unknown;
    assert_null(kernel_convolution_for(&c));
}

/* Numbers at which e^x leaves the range of floats, or is none. */
AVX512 static void test_silu_at_the_ends(void **state)
{
    static const float xs[LANES]
        __attribute__((aligned(64))) = {0.0f,   -0.0f, 1e-30f, 20.0f, -20.0f, 86.0f, -86.0f,  88.0f,
                                        -88.0f, 1e30f, -1e30f, 3e38f, -3e38f, 0.5f,  -103.0f, (float)NAN};
    float ys[LANES] __attribute__((aligned(64)));
    int i, type;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (type = ONEDNN_F32; type <= ONEDNN_BF16; type++) {
        _mm512_store_ps(ys, type == ONEDNN_F32 ? silu(ONEDNN_F32, _mm512_load_ps(xs))
                                               : silu(ONEDNN_BF16, _mm512_load_ps(xs)));
        for (i = 0; i < LANES - 1; i++) {
            const double want = (double)xs[i] / (1.0 + exp(-(double)xs[i]));
            const double tolerance = type == ONEDNN_F32 ? 1e-5 : 2e-4; /* far below 0 an exponent is rounded */

            /* below -87 the factor stays e^-87: nothing beside what a picture holds */
            assert_true(fabs((double)ys[i] - want) <= tolerance * fabs(want) + 2e-38 * fabs((double)xs[i]));
            if (want > 0.01)
                assert_true(fabs((double)ys[i] - want) <= (type == ONEDNN_F32 ? 5e-7 : 2e-4) * want);
        }
        assert_true(isnan(ys[LANES - 1]));
    }
}

/* Floats of every size. */
AVX512 static void test_silu_as_it_is_rounded(void **state)
{
    uint32_t bits, xs[LANES] __attribute__((aligned(64)));
    float ys[LANES] __attribute__((aligned(64))), x;
    int i;

    (void)state;
    if (!kernel_has_avx512())
        skip();
    for (bits = 0; bits < 0xffff0000; bits += LANES * 3571) {
        for (i = 0; i < LANES; i++)
            xs[i] = bits + (uint32_t)i * 3571;
        _mm512_store_ps(ys, silu(ONEDNN_BF16, _mm512_load_ps((const float *)(const void *)xs)));
        for (i = 0; i < LANES; i++) {
            memcpy(&x, &xs[i], sizeof(x));
            if (isfinite(x)) {
                const double want = (double)x / (1.0 + exp(-(double)x));

                assert_true(fabs((double)ys[i] - want) <= 1.8e-4 * fabs(want) + 2e-38 * fabs((double)x) + 2e-38);
            }
        }
    }
}

AVX512 static void test_rounding_to_bf16(void **state)
{
    static const uint32_t cases[][2] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82},
                                        {0x3f808001, 0x3f81}, {0x7f800000, 0x7f80}, {0xff7fffff, 0xff80}};
    uint16_t to[LANES] __attribute__((aligned(64)));
    uint32_t from[LANES] __attribute__((aligned(64)));
    size_t i;

    (void)state;
    if (!kernel_has_avx512() || !onednn_has_bf16())
        skip();
    memset(from, 0xff, sizeof(from)); /* NaNs of which no bit that is kept need be set */
    from[LANES - 1] = 0x7f800001;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        from[i] = cases[i][0];
    store_block(ONEDNN_BF16, to, _mm512_castsi512_ps(_mm512_load_si512(from)));
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(to[i], cases[i][1]);
    for (; i < LANES; i++)
        assert_true((to[i] & 0x7fff) > 0x7f80);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem),
        cmocka_unit_test(test_stem_of_bytes),
        cmocka_unit_test(test_weights_of_a_stem_of_bytes),
        cmocka_unit_test(test_pointwise),
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_winograd_in_groups),
        cmocka_unit_test(test_winograd_int16),
        cmocka_unit_test(test_winograd_int16_at_its_limits),
        cmocka_unit_test(test_winograd_int16_of_no_number),
        cmocka_unit_test(test_winograd_stride2),
        cmocka_unit_test(test_winograd_stride2_at_its_limits),
        cmocka_unit_test(test_winograd_stride2_of_no_weight),
        cmocka_unit_test(test_what_winograd_stride2_takes),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_silu_at_the_ends),
        cmocka_unit_test(test_silu_as_it_is_rounded),
        cmocka_unit_test(test_rounding_to_bf16),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77; /* meson's word for skipped: nothing of it is compiled here */
}

#endif
