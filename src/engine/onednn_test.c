/*
 * onednn_test.c - each primitive beside a loop that says what it means, in every layout, with channels that fill no
 * block. SPDX-License-Identifier: Apache-2.0
 */
#include "engine/onednn.c"

#include "engine/test_graphs.h"

#include <math.h>

static void *room(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);

    assert_non_null(memory);
    memset(memory, 0, (bytes + 127) / 64 * 64);
    return memory;
}

static void run(const struct onednn_primitive *primitive, struct onednn_addresses addresses)
{
    void *scratch = room(onednn_scratch_bytes(primitive));
    struct onednn_call *call = NULL;
    struct serin_error error;

    addresses.scratch = scratch;
    must(onednn_call_new(primitive, &addresses, &call, &error), &error);
    must(onednn_call_run(call, &error), &error);
    onednn_call_free(call);
    free(scratch);
}

/* A picture of plain floats in the layout of image, and back. */
static void reorder(const struct onednn_image *from, const void *src, const struct onednn_image *to, void *dst)
{
    struct onednn_primitive *primitive = NULL;
    struct serin_error error;

    must(onednn_reorder_new(from, to, &primitive, &error), &error);
    run(primitive, (struct onednn_addresses){.src = src, .dst = dst});
    onednn_primitive_free(primitive);
}

static struct onednn_image plain_of(struct onednn_image image)
{
    image.type = ONEDNN_F32;
    image.block = 1;
    return image;
}

static void *to_layout(const struct onednn_image *image, const float *floats)
{
    const struct onednn_image plain = plain_of(*image);
    void *memory = room(onednn_image_bytes(image));

    reorder(&plain, floats, image, memory);
    return memory;
}

static float *from_layout(const struct onednn_image *image, const void *memory)
{
    const struct onednn_image plain = plain_of(*image);
    float *floats = room(onednn_image_bytes(&plain));

    reorder(image, memory, &plain, floats);
    return floats;
}

static float activate(const struct graph_unary *activation, float x)
{
    switch ((int)activation->op) {
    case GRAPH_REMOVED:
        return x;
    case GRAPH_SILU:
        return x / (1.0f + expf(-x));
    case GRAPH_RELU:
        return fmaxf(x, 0.0f);
    case GRAPH_LEAKY_RELU:
        return x < 0.0f ? activation->alpha * x : x;
    case GRAPH_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case GRAPH_HARD_SWISH:
        return x * fminf(fmaxf(x / 6.0f + 0.5f, 0.0f), 1.0f);
    case GRAPH_MISH:
        return x * tanhf(log1pf(expf(x)));
    case GRAPH_ELU:
        return x < 0.0f ? activation->alpha * (expf(x) - 1.0f) : x;
    case GRAPH_TANH:
        return tanhf(x);
    case GRAPH_CLIP:
        return fminf(fmaxf(x, activation->alpha), activation->beta);
    }
    fail();
    return 0.0f;
}

static void plain_convolution(const struct onednn_convolution *c, const float *x, const float *w, const float *bias,
                              const float *residual, float *y)
{
    const struct graph_window *win = &c->window;
    const int64_t in = c->src.channels / c->groups, out = c->dst.channels / c->groups;
    const int64_t pixels = c->dst.height * c->dst.width;
    int64_t o, i, oy, ox, ky, kx;

    for (o = 0; o < c->dst.channels; o++)
        for (oy = 0; oy < c->dst.height; oy++)
            for (ox = 0; ox < c->dst.width; ox++) {
                double sum = bias ? bias[o] : 0.0;

                for (i = 0; i < in; i++)
                    for (ky = 0; ky < win->kernel[0]; ky++)
                        for (kx = 0; kx < win->kernel[1]; kx++) {
                            const int64_t channel = o / out * in + i;
                            int64_t y0 = oy * win->stride[0] + ky * win->dilation[0] - win->pad_begin[0];
                            int64_t x0 = ox * win->stride[1] + kx * win->dilation[1] - win->pad_begin[1];
                            int64_t at = (o * in + i) * win->kernel[0] + ky;

                            if (c->transposed) { /* the pixel that reaches here through this tap, if one does */
                                y0 = oy + win->pad_begin[0] - ky * win->dilation[0];
                                x0 = ox + win->pad_begin[1] - kx * win->dilation[1];
                                if (y0 % win->stride[0] || x0 % win->stride[1])
                                    continue;
                                y0 /= win->stride[0], x0 /= win->stride[1];
                                at = (channel * out + o % out) * win->kernel[0] + ky;
                            }
                            if (y0 < 0 || x0 < 0 || y0 >= c->src.height || x0 >= c->src.width)
                                continue;
                            sum += (double)x[(channel * c->src.height + y0) * c->src.width + x0] *
                                   (double)w[at * win->kernel[1] + kx];
                        }
                const int64_t to = o * pixels + oy * c->dst.width + ox;
                const float add = residual ? residual[to] : 0.0f;

                y[to] = c->residual_first ? activate(&c->activation, (float)sum + add)
                                          : activate(&c->activation, (float)sum) + add;
            }
}

static void assert_close(const float *got, const float *want, int64_t count, float tolerance)
{
    float largest = 0.0f, worst = 0.0f;
    int64_t i;

    for (i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(want[i]));
        worst = fmaxf(worst, fabsf(got[i] - want[i]));
        assert_true(isfinite(got[i]));
    }
    if (worst > tolerance * largest)
        fail_msg("off by %g of %g, the limit is %g", (double)worst, (double)largest, (double)tolerance);
}

static void check_convolution(const struct onednn_convolution *c)
{
    const struct onednn_image *src = &c->src, *dst = &c->dst;
    const int64_t pixels = dst->height * dst->width, count = dst->channels * pixels;
    const int64_t taps = (int64_t)c->window.kernel[0] * c->window.kernel[1];
    float *x = random_floats(src->channels * src->height * src->width), *bias = random_floats(dst->channels);
    float *w = random_floats(dst->channels * src->channels / c->groups * taps), *residual = random_floats(count);
    float *want = random_floats(count), *got, *wide;
    struct onednn_image added = *dst;
    struct onednn_primitive *primitive = NULL;
    struct serin_error error;
    void *at_src, *at_dst, *at_residual, *packed;

    must(onednn_convolution_new(c, &primitive, &error), &error);
    packed = room(onednn_weights_bytes(primitive));
    must(onednn_pack(primitive, w, packed, &error), &error);
    wide = room(onednn_bias_count(primitive) * sizeof(float));
    memcpy(wide, bias, (size_t)dst->channels * sizeof(float));
    at_src = to_layout(src, x);
    if (c->residual_first)
        added.type = ONEDNN_F32;
    at_residual = to_layout(&added, residual);
    at_dst = room(onednn_image_bytes(dst));
    run(primitive, (struct onednn_addresses){.src = at_src,
                                             .weights = packed,
                                             .bias = c->has_bias ? wide : NULL,
                                             .residual = c->has_residual ? at_residual : NULL,
                                             .dst = at_dst});
    plain_convolution(c, x, w, c->has_bias ? bias : NULL, c->has_residual ? residual : NULL, want);
    got = from_layout(dst, at_dst);
    assert_close(got, want, count, src->type == ONEDNN_BF16 ? 0.02f : 1e-5f);
    onednn_primitive_free(primitive);
    free(x), free(bias), free(w), free(residual), free(want), free(got), free(wide);
    free(at_src), free(at_dst), free(at_residual), free(packed);
}

/* What a convolution of the family may be; out_size follows. */
static struct onednn_convolution shape_of(int64_t in, int64_t out, int64_t groups, int kernel, int stride, int dilation,
                                          enum onednn_type type, int64_t block)
{
    struct onednn_convolution c = {
        .src = {type, in, 13, 11, in < 4 ? 1 : block},
        .dst = {type, out, 0, 0, block},
        .groups = groups,
        .window = {{kernel, kernel}, {stride, stride}, {dilation, dilation}, {kernel / 2, kernel / 2}, {0, 0}},
        .has_bias = true,
    };
    int i;

    for (i = 0; i < 2; i++) {
        const int64_t size = i ? c.src.width : c.src.height, reach = (int64_t)(kernel - 1) * dilation + 1;
        const int64_t result = (size + 2 * c.window.pad_begin[i] - reach) / stride + 1;

        c.window.pad_end[i] = (int32_t)((result - 1) * stride + reach - size - c.window.pad_begin[i]);
        *(i ? &c.dst.width : &c.dst.height) = result;
    }
    return c;
}

static void test_convolution(void **state)
{
    static const int64_t shapes[][6] = {/* in, out, groups, kernel, stride, dilation */
                                        {3, 16, 1, 3, 2, 1},   {16, 32, 1, 3, 2, 1},  {32, 32, 1, 1, 1, 1},
                                        {8, 8, 1, 3, 1, 1},    {24, 20, 1, 3, 1, 1},  {32, 6, 1, 1, 1, 1},
                                        {32, 32, 32, 3, 1, 1}, {24, 24, 24, 7, 1, 1}, {64, 64, 2, 3, 1, 1},
                                        {16, 16, 1, 3, 1, 2},  {3, 16, 1, 6, 2, 1}};
    size_t i;
    int residual, type;

    (void)state;
    for (type = 0; type < (onednn_has_bf16() ? 2 : 1); type++)
        for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
            for (residual = 0; residual < 3; residual++) {
                const int64_t *s = shapes[i];
                struct onednn_convolution c = shape_of(s[0], s[1], s[2], (int)s[3], (int)s[4], (int)s[5],
                                                       type ? ONEDNN_BF16 : ONEDNN_F32, onednn_block());

                c.has_residual = residual > 0;
                c.residual_first = residual == 2;
                c.activation.op = residual ? GRAPH_SILU : GRAPH_REMOVED;
                check_convolution(&c);
            }
}

/* The last layers of a network of bf16 write fp32, for the arithmetic on coordinates behind them. */
static void test_convolution_of_bf16_writes_fp32(void **state)
{
    struct onednn_convolution c = shape_of(32, 20, 1, 1, 1, 1, ONEDNN_BF16, onednn_block());

    (void)state;
    if (!onednn_has_bf16())
        skip();
    c.dst.type = ONEDNN_F32;
    check_convolution(&c);
}

static void test_activations(void **state)
{
    static const struct graph_unary all[] = {{GRAPH_SILU, 0, 0},    {GRAPH_RELU, 0, 0}, {GRAPH_LEAKY_RELU, 0.1f, 0},
                                             {GRAPH_SIGMOID, 0, 0}, {GRAPH_MISH, 0, 0}, {GRAPH_HARD_SWISH, 0, 0},
                                             {GRAPH_ELU, 0.5f, 0},  {GRAPH_TANH, 0, 0}, {GRAPH_CLIP, -0.5f, 0.75f}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct onednn_convolution c = shape_of(16, 16, 1, 3, 1, 1, ONEDNN_F32, onednn_block());

        c.activation = all[i];
        assert_true(onednn_knows(&all[i]));
        check_convolution(&c);
    }
    assert_false(onednn_knows(&(struct graph_unary){GRAPH_ERF, 0, 0}));
}

static void test_deconvolution(void **state)
{
    static const int64_t channels[][2] = {{32, 32}, {64, 16}};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct onednn_convolution c = shape_of(channels[i][0], channels[i][1], 1, 2, 2, 1, ONEDNN_F32, onednn_block());

        c.transposed = true;
        c.window.pad_begin[0] = c.window.pad_begin[1] = c.window.pad_end[0] = c.window.pad_end[1] = 0;
        c.dst.height = c.src.height * 2;
        c.dst.width = c.src.width * 2;
        check_convolution(&c);
    }
}

/* Groups of channels that share a block: oneDNN has only its reference code for them, and that is refused. */
static void test_what_would_be_slow_is_refused(void **state)
{
    struct onednn_convolution c = shape_of(24, 24, 2, 3, 1, 1, ONEDNN_F32, onednn_block());
    struct onednn_primitive *primitive = NULL;
    struct serin_error error;

    (void)state;
    assert_int_equal(onednn_convolution_new(&c, &primitive, &error), SERIN_UNSUPPORTED);
    assert_string_equal(error.message, "oneDNN has no convolution of this shape");
}

static void test_pool(void **state)
{
    const struct onednn_image image = {ONEDNN_F32, 20, 9, 7, onednn_block()};
    const struct graph_window window = {{5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}};
    const int64_t count = image.channels * image.height * image.width;
    float *x = random_floats(count), *want = random_floats(count), *got;
    struct onednn_primitive *primitive = NULL;
    struct serin_error error;
    void *src = to_layout(&image, x), *dst = room(onednn_image_bytes(&image));
    int64_t c, oy, ox, y0, x0;

    (void)state;
    for (c = 0; c < image.channels; c++)
        for (oy = 0; oy < image.height; oy++)
            for (ox = 0; ox < image.width; ox++) {
                float best = -INFINITY;

                for (y0 = oy - 2; y0 <= oy + 2; y0++)
                    for (x0 = ox - 2; x0 <= ox + 2; x0++)
                        if (y0 >= 0 && x0 >= 0 && y0 < image.height && x0 < image.width)
                            best = fmaxf(best, x[(c * image.height + y0) * image.width + x0]);
                want[(c * image.height + oy) * image.width + ox] = best;
            }
    must(onednn_pool_new(GRAPH_MAX_POOL, false, &window, &image, &image, &primitive, &error), &error);
    run(primitive, (struct onednn_addresses){.src = src, .dst = dst});
    got = from_layout(&image, dst);
    assert_close(got, want, count, 0.0f);
    onednn_primitive_free(primitive);
    free(x), free(want), free(got), free(src), free(dst);
}

static void test_matmul(void **state)
{
    const struct onednn_matmul matmul = {.batch = 3, .m = 5, .k = 7, .n = 4, .repeat_b = true};
    float *a = random_floats(3 * 5 * 7), *b = random_floats(7 * 4), *want = random_floats(3 * 5 * 4);
    float *got = room(3 * 5 * 4 * sizeof(float));
    struct onednn_primitive *primitive = NULL;
    struct serin_error error;
    int i, m, n, k;

    (void)state;
    for (i = 0; i < 3; i++)
        for (m = 0; m < 5; m++)
            for (n = 0; n < 4; n++) {
                double sum = 0.0;

                for (k = 0; k < 7; k++)
                    sum += (double)a[(i * 5 + m) * 7 + k] * (double)b[k * 4 + n];
                want[(i * 5 + m) * 4 + n] = (float)sum;
            }
    must(onednn_matmul_new(&matmul, &primitive, &error), &error);
    run(primitive, (struct onednn_addresses){.src = a, .weights = b, .dst = got});
    assert_close(got, want, 3 * 5 * 4, 1e-6f);
    onednn_primitive_free(primitive);
    free(a), free(b), free(want), free(got);
}

/* Plans for two sizes of the same network have one set of weights. */
static void test_packs_are_shared_by_sizes(void **state)
{
    struct onednn_convolution c = shape_of(32, 32, 1, 3, 1, 1, ONEDNN_F32, onednn_block());
    struct onednn_primitive *one = NULL, *other = NULL;
    struct serin_error error;

    (void)state;
    must(onednn_convolution_new(&c, &one, &error), &error);
    c.src.height = c.dst.height = 26;
    must(onednn_convolution_new(&c, &other, &error), &error);
    assert_true(onednn_packs_alike(one, other));
    onednn_primitive_free(other);
    c = shape_of(64, 32, 1, 3, 1, 1, ONEDNN_F32, onednn_block());
    must(onednn_convolution_new(&c, &other, &error), &error);
    assert_false(onednn_packs_alike(one, other));
    onednn_primitive_free(one);
    onednn_primitive_free(other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_convolution_of_bf16_writes_fp32),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_deconvolution),
        cmocka_unit_test(test_what_would_be_slow_is_refused),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_packs_are_shared_by_sizes),
    };

    onednn_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
