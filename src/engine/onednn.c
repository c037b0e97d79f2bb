/*
 * onednn.c - the only file that knows oneDNN's C API: 2.6 (Debian 12) and 3.x (Debian 13).
 * SPDX-License-Identifier: Apache-2.0
 *
 * The generations differ in how a primitive is described (2.x fills in an "operation descriptor" first; 3.x does not
 * have them) and in memory descriptors (a struct; an opaque handle). The first screen levels both, and the rest is the
 * same for either. Primitives come from the process's cache, which oneDNN keeps itself; a kernel that it compiled for
 * one plan serves the next one with the same shapes.
 *
 * Residuals are binary post-ops and not sums: a sum after an activation makes the kernels of 2.6 for AVX-512 give way
 * to the reference code, which is a thousand times slower. That is also why "ref" is refused everywhere.
 */
#include "engine/onednn.h"

#include "base/sanitizers.h"

#include <oneapi/dnnl/dnnl.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

/* oneDNN takes the threads of OpenMP where it is built on it, as Debian's is; other builds have no such function. */
extern void omp_set_num_threads(int threads) __attribute__((weak));
extern int omp_get_thread_num(void) __attribute__((weak));
extern int omp_get_num_threads(void) __attribute__((weak));
/* What compilers call for "#pragma omp parallel"; LLVM's library has it, too. */
extern void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags) __attribute__((weak));

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t descriptor;
#define DESCRIPTOR(d) (d)

static bool descriptor_init(descriptor *ret, int rank, const dnnl_dims_t shape, dnnl_data_type_t type,
                            dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(ret, rank, shape, type, tag) == dnnl_success;
}

static bool descriptor_copy(descriptor *ret, const_dnnl_memory_desc_t from)
{
    return from && dnnl_memory_desc_clone(ret, from) == dnnl_success;
}

static void descriptor_done(descriptor *d)
{
    if (*d)
        dnnl_memory_desc_destroy(*d);
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta)
{
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta);
}
#else
typedef dnnl_memory_desc_t descriptor;
#define DESCRIPTOR(d) (&(d))

static bool descriptor_init(descriptor *ret, int rank, const dnnl_dims_t shape, dnnl_data_type_t type,
                            dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(ret, rank, shape, type, tag) == dnnl_success;
}

static bool descriptor_copy(descriptor *ret, const dnnl_memory_desc_t *from)
{
    if (from)
        *ret = *from;
    return from;
}

static void descriptor_done(descriptor *d)
{
    (void)d;
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta);
}
#endif

struct onednn_primitive {
    dnnl_primitive_t primitive;
    descriptor src, weights, bias, dst, residual, scratch; /* those that are not there have no bytes */
    int residual_argument;
    struct onednn_convolution convolution; /* for packing */
    int64_t groups, in, out;               /* of its weights, in and out of one group, rounded up */
    const char *kernel;
    float *scales; /* of the sums of a convolution of integers, by output channel; else NULL */
    int64_t scale_count;
    int32_t src_zero;
    int more_owners;
};

struct onednn_call {
    dnnl_primitive_t primitive; /* the onednn_primitive's */
    dnnl_stream_t stream;
    int count;
    dnnl_exec_arg_t arguments[8];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t processor;

static void start(void)
{
    if (dnnl_engine_create(&processor, dnnl_cpu, 0) != dnnl_success)
        processor = NULL;
}

static bool has_isa(dnnl_cpu_isa_t isa)
{
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)isa) == (unsigned)isa;
}

int64_t onednn_block(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core) ? 16 : 8;
}

bool onednn_has_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_bf16);
}

bool onednn_has_amx(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_amx);
}

const char *onednn_version(void)
{
    return TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}

void onednn_set_threads(int threads)
{
    if (omp_set_num_threads)
        omp_set_num_threads(threads);
}

/* ThreadSanitizer does not see how OpenMP's library begins and ends a piece of work: it is told. */
#if THREAD_SANITIZED
#include <sanitizer/tsan_interface.h>
#define HANDS_OVER(place) __tsan_release(place)
#define TAKES_OVER(place) __tsan_acquire(place)
#else
#define HANDS_OVER(place) ((void)(place))
#define TAKES_OVER(place) ((void)(place))
#endif

struct parallel {
    void (*work)(void *data, int part, int parts);
    void *data;
};

static void parallel_part(void *data)
{
    const struct parallel *parallel = data;

    TAKES_OVER(data);
    parallel->work(parallel->data, omp_get_thread_num(), omp_get_num_threads());
    HANDS_OVER(data);
}

void onednn_parallel(int threads, void (*work)(void *data, int part, int parts), void *data)
{
    struct parallel parallel = {work, data};

    if (threads > 1 && GOMP_parallel && omp_get_thread_num && omp_get_num_threads) {
        HANDS_OVER(&parallel);
        GOMP_parallel(parallel_part, &parallel, (unsigned)threads, 0);
        TAKES_OVER(&parallel);
    } else {
        work(data, 0, 1);
    }
}

/* ---- pictures ---- */

size_t onednn_type_bytes(enum onednn_type type)
{
    return type == ONEDNN_F32 ? 4 : type == ONEDNN_BF16 ? 2 : 1;
}

int64_t onednn_round_up(int64_t channels, int64_t block)
{
    return block ? (channels + block - 1) / block * block : channels;
}

size_t onednn_image_bytes(const struct onednn_image *image)
{
    return (size_t)(onednn_round_up(image->channels, image->block) * image->height * image->width) *
           onednn_type_bytes(image->type);
}

static dnnl_data_type_t type_of(enum onednn_type type)
{
    static const dnnl_data_type_t types[] = {
        [ONEDNN_F32] = dnnl_f32, [ONEDNN_BF16] = dnnl_bf16, [ONEDNN_U8] = dnnl_u8, [ONEDNN_S8] = dnnl_s8};

    return types[type];
}

/* padded: with the channels that fill up the last block as channels like any other. */
static bool describe(const struct onednn_image *image, bool padded, descriptor *ret)
{
    const dnnl_dims_t shape = {1, padded ? onednn_round_up(image->channels, image->block) : image->channels,
                               image->height, image->width};
    dnnl_format_tag_t tag = dnnl_nchw;

    if (image->block == 0)
        tag = dnnl_nhwc;
    else if (image->block == 16)
        tag = dnnl_nChw16c;
    else if (image->block == 8)
        tag = dnnl_nChw8c;
    else
        BUG_ON(image->block != 1);
    return descriptor_init(ret, 4, shape, type_of(image->type), tag);
}

/* ---- activations ---- */

static bool eltwise_of(const struct graph_unary *activation, dnnl_alg_kind_t *ret_kind, float *ret_alpha,
                       float *ret_beta)
{
    float alpha = 0.0f, beta = 0.0f;
    dnnl_alg_kind_t kind;

    switch ((int)activation->op) {
    case GRAPH_SILU:
        kind = dnnl_eltwise_swish;
        alpha = 1.0f;
        break;
    case GRAPH_RELU:
        kind = dnnl_eltwise_relu;
        break;
    case GRAPH_LEAKY_RELU:
        kind = dnnl_eltwise_relu;
        alpha = activation->alpha;
        break;
    case GRAPH_SIGMOID:
        kind = dnnl_eltwise_logistic;
        break;
    case GRAPH_HARD_SWISH: /* 2.x has the numbers built in and does not look */
        kind = dnnl_eltwise_hardswish;
        alpha = 1.0f / 6.0f;
        beta = 0.5f;
        break;
    case GRAPH_MISH:
        kind = dnnl_eltwise_mish;
        break;
    case GRAPH_ELU:
        kind = dnnl_eltwise_elu;
        alpha = activation->alpha;
        break;
    case GRAPH_TANH:
        kind = dnnl_eltwise_tanh;
        break;
    case GRAPH_CLIP:
        kind = dnnl_eltwise_clip;
        alpha = activation->alpha;
        beta = activation->beta;
        break;
    default:
        return false;
    }
    *ret_kind = kind, *ret_alpha = alpha, *ret_beta = beta;
    return true;
}

bool onednn_knows(const struct graph_unary *activation)
{
    dnnl_alg_kind_t kind;
    float alpha, beta;

    return eltwise_of(activation, &kind, &alpha, &beta);
}

/* ---- primitives ---- */

static enum serin_errc fail(struct serin_error *error, const char *what, dnnl_status_t status)
{
    if (status == dnnl_out_of_memory)
        return error_set(error, SERIN_NOMEM, "no memory for %s of oneDNN", what);
    if (status == dnnl_unimplemented || status == dnnl_invalid_arguments)
        return error_set(error, SERIN_UNSUPPORTED, "oneDNN has no %s of this shape", what);
    return error_set(error, SERIN_ENGINE, "%s: oneDNN ended with status %d", what, (int)status);
}

/* The scales of a convolution of integers: in 2.x they are a part of the primitive, in 3.x arguments of a call. One
 * for each output channel does for src and weights together, since they are multiplied. */
static dnnl_status_t set_scales(const struct onednn_primitive *primitive, dnnl_primitive_attr_t attributes)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t status =
        dnnl_primitive_attr_set_scales_mask(attributes, DNNL_ARG_WEIGHTS, primitive->groups > 1 ? 3 : 1);

    if (status == dnnl_success && primitive->src_zero)
        status = dnnl_primitive_attr_set_zero_points_mask(attributes, DNNL_ARG_SRC, 0);
    return status;
#else
    dnnl_status_t status =
        dnnl_primitive_attr_set_output_scales(attributes, primitive->scale_count, 1 << 1, primitive->scales);

    if (status == dnnl_success && primitive->src_zero)
        status = dnnl_primitive_attr_set_zero_points(attributes, DNNL_ARG_SRC, 1, 0, &primitive->src_zero);
    return status;
#endif
}

/* What follows the sums. A residual of integers is added to what has been brought to its scale; and what is of 8 bits
 * in the end is brought to its own, to be rounded when it is written. */
static dnnl_status_t append_all(const struct onednn_convolution *convolution, struct onednn_primitive *primitive,
                                dnnl_post_ops_t ops)
{
    const struct graph_quantized *quantized = convolution->quantized.scales;
    const bool to_integers = convolution->dst.type == ONEDNN_U8 || convolution->dst.type == ONEDNN_S8;
    const bool integers_added = quantized && convolution->has_residual && convolution->quantized.residual != ONEDNN_F32;
    float scale = 1.0f, zero = 0.0f, alpha, beta; /* of what has been computed so far */
    dnnl_status_t status = dnnl_success;
    dnnl_alg_kind_t kind;
    int count = 0;

    if (convolution->has_residual && convolution->residual_first) {
        primitive->residual_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;
        status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, DESCRIPTOR(primitive->residual));
    }
    if (eltwise_of(&convolution->activation, &kind, &alpha, &beta) && status == dnnl_success) {
        status = append_eltwise(ops, kind, alpha, beta);
        count++;
    }
    if (integers_added &&
        status == dnnl_success) { /* "x^1 / scale": 2.6 computes two linear ones with the same numbers */
        scale = quantized->residual.scale, zero = (float)quantized->residual.zero;
        status = append_eltwise(ops, dnnl_eltwise_pow, 1.0f / scale, 1.0f);
        count++;
    }
    if (convolution->has_residual && !convolution->residual_first && status == dnnl_success) {
        primitive->residual_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(count) | DNNL_ARG_SRC_1;
        status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, DESCRIPTOR(primitive->residual));
    }
    if (quantized && (to_integers || integers_added) && status == dnnl_success) {
        const float to = to_integers ? quantized->y.scale : 1.0f;

        status = append_eltwise(ops, dnnl_eltwise_linear, scale / to,
                                (to_integers ? (float)quantized->y.zero : 0.0f) - zero * scale / to);
    }
    return status;
}

/* The attributes of a primitive; the residual of a convolution is described by residual. */
static dnnl_status_t attributes_new(const struct onednn_convolution *convolution, struct onednn_primitive *primitive,
                                    dnnl_primitive_attr_t *ret)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attributes);

    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && convolution) {
        status = dnnl_post_ops_create(&ops);
        if (status == dnnl_success)
            status = append_all(convolution, primitive, ops);
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_post_ops(attributes, ops);
        if (ops)
            dnnl_post_ops_destroy(ops);
    }
    if (status == dnnl_success && primitive->scales)
        status = set_scales(primitive, attributes);
    if (status != dnnl_success && attributes) {
        dnnl_primitive_attr_destroy(attributes);
        attributes = NULL;
    }
    *ret = attributes;
    return status;
}

/* Takes pd over: makes the primitive, unless the kernel is the reference code. */
static dnnl_status_t adopt(dnnl_primitive_desc_t pd, struct onednn_primitive *primitive)
{
    dnnl_status_t status = dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&primitive->kernel);

    if (status == dnnl_success && strncmp(primitive->kernel, "ref", 3) == 0)
        status = dnnl_unimplemented;
    if (status == dnnl_success &&
        !descriptor_copy(&primitive->scratch, dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)))
        status = dnnl_out_of_memory;
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive->primitive, pd);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static enum serin_errc primitive_start(struct onednn_primitive **ret, struct serin_error *error)
{
    pthread_once(&once, start);
    if (!processor)
        return error_set(error, SERIN_ENGINE, "oneDNN does not start on this processor");
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return error_set(error, SERIN_NOMEM, "no memory for a primitive of oneDNN");
    return SERIN_OK;
}

/* Makes primitive of its description and hands it out, or frees it and says what could not be made. pd and attributes
 * are taken over; NULL is fine. */
static enum serin_errc primitive_end(struct onednn_primitive *primitive, dnnl_status_t status, dnnl_primitive_desc_t pd,
                                     dnnl_primitive_attr_t attributes, const char *what, struct onednn_primitive **ret,
                                     struct serin_error *error)
{
    if (status == dnnl_success)
        status = adopt(pd, primitive);
    else if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    if (status != dnnl_success) {
        onednn_primitive_free(primitive);
        return fail(error, what, status);
    }
    *ret = primitive;
    return SERIN_OK;
}

struct onednn_primitive *onednn_primitive_share(struct onednn_primitive *primitive)
{
    primitive->more_owners++;
    return primitive;
}

void onednn_primitive_free(struct onednn_primitive *primitive)
{
    if (!primitive || primitive->more_owners-- > 0)
        return;
    if (primitive->primitive)
        dnnl_primitive_destroy(primitive->primitive);
    descriptor_done(&primitive->src);
    descriptor_done(&primitive->weights);
    descriptor_done(&primitive->bias);
    descriptor_done(&primitive->dst);
    descriptor_done(&primitive->residual);
    descriptor_done(&primitive->scratch);
    free(primitive->scales);
    free(primitive);
}

/* How many groups, and channels of one, oneDNN is told of, with those that fill up the blocks. False where a block
 * would hold channels of two groups. */
static bool size_weights(const struct onednn_convolution *convolution, struct onednn_primitive *primitive)
{
    const struct onednn_image *src = &convolution->src, *dst = &convolution->dst;
    int64_t groups = convolution->groups, in = src->channels / groups, out = dst->channels / groups;

    if (groups == 1) {
        in = onednn_round_up(in, src->block);
        out = onednn_round_up(out, dst->block);
    } else if (in == 1 && out == 1) {
        groups = onednn_round_up(groups, src->block);
    } else if (onednn_round_up(src->channels, src->block) != src->channels ||
               onednn_round_up(dst->channels, dst->block) != dst->channels) {
        return false;
    }
    primitive->groups = groups, primitive->in = in, primitive->out = out;
    return true;
}

static bool has_integers(const struct onednn_convolution *convolution)
{
    return convolution->quantized.scales;
}

/* Weights as they are packed, or, dense, as they come in: fp32, or int8 both times. */
static dnnl_status_t describe_weights(const struct onednn_convolution *convolution, struct onednn_primitive *primitive,
                                      bool dense, descriptor *ret)
{
    const int32_t *kernel = convolution->window.kernel;
    const dnnl_dims_t grouped_shape = {primitive->groups, primitive->out, primitive->in, kernel[0], kernel[1]};
    const dnnl_dims_t shape = {primitive->out, primitive->in, kernel[0], kernel[1]};
    const bool grouped = primitive->groups > 1;
    const dnnl_format_tag_t plain = grouped ? dnnl_goihw : dnnl_oihw;

    const dnnl_data_type_t type = has_integers(convolution) ? dnnl_s8
                                  : dense                   ? dnnl_f32
                                                            : type_of(convolution->src.type);

    return descriptor_init(ret, grouped ? 5 : 4, grouped ? grouped_shape : shape, type,
                           dense ? plain : dnnl_format_tag_any)
               ? dnnl_success
               : dnnl_out_of_memory;
}

static dnnl_status_t convolution_describe(const struct onednn_convolution *convolution,
                                          struct onednn_primitive *primitive, descriptor *wanted,
                                          dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *ret)
{
    const struct graph_window *window = &convolution->window;
    const dnnl_dims_t strides = {window->stride[0], window->stride[1]};
    const dnnl_dims_t dilates = {window->dilation[0] - 1, window->dilation[1] - 1};
    const dnnl_dims_t begin = {window->pad_begin[0], window->pad_begin[1]};
    const dnnl_dims_t end = {window->pad_end[0], window->pad_end[1]};
#if DNNL_VERSION_MAJOR >= 3
    const_dnnl_memory_desc_t bias = convolution->has_bias ? primitive->bias : NULL;

    if (convolution->transposed)
        return dnnl_deconvolution_forward_primitive_desc_create(
            ret, processor, dnnl_forward_inference, dnnl_deconvolution_direct, primitive->src, *wanted, bias,
            primitive->dst, strides, dilates, begin, end, attributes);
    return dnnl_convolution_forward_primitive_desc_create(ret, processor, dnnl_forward_inference,
                                                          dnnl_convolution_direct, primitive->src, *wanted, bias,
                                                          primitive->dst, strides, dilates, begin, end, attributes);
#else
    const dnnl_memory_desc_t *bias = convolution->has_bias ? &primitive->bias : NULL;
    dnnl_deconvolution_desc_t operation; /* the same type as a convolution's */
    dnnl_status_t status;

    if (convolution->transposed)
        status = dnnl_dilated_deconvolution_forward_desc_init(&operation, dnnl_forward_inference,
                                                              dnnl_deconvolution_direct, &primitive->src, wanted, bias,
                                                              &primitive->dst, strides, dilates, begin, end);
    else
        status = dnnl_dilated_convolution_forward_desc_init(&operation, dnnl_forward_inference, dnnl_convolution_direct,
                                                            &primitive->src, wanted, bias, &primitive->dst, strides,
                                                            dilates, begin, end);
    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret, &operation, attributes, processor, NULL);
#endif
}

/* Keeps the scales of a convolution of integers. */
static dnnl_status_t take_scales(const struct onednn_convolution *convolution, struct onednn_primitive *primitive)
{
    const struct graph_quantized *quantized = convolution->quantized.scales;
    int64_t i;

    if (!quantized)
        return dnnl_success;
    primitive->scale_count = primitive->groups * primitive->out;
    primitive->scales = malloc((size_t)primitive->scale_count * sizeof(*primitive->scales) + 1);
    if (!primitive->scales)
        return dnnl_out_of_memory;
    for (i = 0; i < primitive->scale_count; i++)
        primitive->scales[i] = i < convolution->dst.channels ? quantized->x.scale * quantized->weights[i] : 1.0f;
    primitive->src_zero = quantized->x.zero;
    return dnnl_success;
}

enum serin_errc onednn_convolution_new(const struct onednn_convolution *convolution, struct onednn_primitive **ret,
                                       struct serin_error *error)
{
    static const char what[] = "convolution";
    const bool depthwise = convolution->groups > 1;
    struct onednn_primitive *primitive = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t pd = NULL;
    descriptor wanted = {0};
    dnnl_status_t status;
    enum serin_errc rc = primitive_start(&primitive, error);

    if (rc != SERIN_OK)
        return rc;
    primitive->convolution = *convolution;
    if (!size_weights(convolution, primitive))
        return primitive_end(primitive, dnnl_unimplemented, NULL, NULL, what, ret, error);
    const dnnl_dims_t bias_shape = {primitive->groups * primitive->out};
    struct onednn_image residual = convolution->dst;

    if (has_integers(convolution))
        residual.type = convolution->quantized.residual;
    else if (convolution->residual_first)
        residual.type = ONEDNN_F32;
    status = describe(&convolution->src, depthwise || convolution->src.block != 1, &primitive->src) &&
                     describe(&convolution->dst, true, &primitive->dst) &&
                     (!convolution->has_bias || descriptor_init(&primitive->bias, 1, bias_shape, dnnl_f32, dnnl_x)) &&
                     (!convolution->has_residual || describe(&residual, true, &primitive->residual))
                 ? describe_weights(convolution, primitive, false, &wanted)
                 : dnnl_out_of_memory;
    if (status == dnnl_success)
        status = take_scales(convolution, primitive);
    if (status == dnnl_success)
        status = attributes_new(convolution, primitive, &attributes);
    if (status == dnnl_success)
        status = convolution_describe(convolution, primitive, &wanted, attributes, &pd);
    if (status == dnnl_success &&
        !descriptor_copy(&primitive->weights, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)))
        status = dnnl_out_of_memory;
    descriptor_done(&wanted);
    return primitive_end(primitive, status, pd, attributes, convolution->transposed ? "deconvolution" : what, ret,
                         error);
}

enum serin_errc onednn_pool_new(enum graph_op op, bool count_padding, const struct graph_window *window,
                                const struct onednn_image *src, const struct onednn_image *dst,
                                struct onednn_primitive **ret, struct serin_error *error)
{
    const dnnl_dims_t strides = {window->stride[0], window->stride[1]};
    const dnnl_dims_t kernel = {window->kernel[0], window->kernel[1]};
    const dnnl_dims_t dilates = {window->dilation[0] - 1, window->dilation[1] - 1};
    const dnnl_dims_t begin = {window->pad_begin[0], window->pad_begin[1]};
    const dnnl_dims_t end = {window->pad_end[0], window->pad_end[1]};
    const dnnl_alg_kind_t kind = op == GRAPH_MAX_POOL ? dnnl_pooling_max
                                 : count_padding      ? dnnl_pooling_avg_include_padding
                                                      : dnnl_pooling_avg_exclude_padding;
    struct onednn_primitive *primitive = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status;
    enum serin_errc rc = primitive_start(&primitive, error);

    if (rc != SERIN_OK)
        return rc;
    status = describe(src, true, &primitive->src) && describe(dst, true, &primitive->dst)
                 ? attributes_new(NULL, primitive, &attributes)
                 : dnnl_out_of_memory;
    if (status == dnnl_success) {
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_pooling_forward_primitive_desc_create(&pd, processor, dnnl_forward_inference, kind,
                                                            primitive->src, primitive->dst, strides, kernel, dilates,
                                                            begin, end, attributes);
#else
        dnnl_pooling_v2_desc_t operation;

        status = dnnl_pooling_v2_forward_desc_init(&operation, dnnl_forward_inference, kind, &primitive->src,
                                                   &primitive->dst, strides, kernel, dilates, begin, end);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&pd, &operation, attributes, processor, NULL);
#endif
    }
    return primitive_end(primitive, status, pd, attributes, "pooling", ret, error);
}

enum serin_errc onednn_reorder_new(const struct onednn_image *src, const struct onednn_image *dst,
                                   struct onednn_primitive **ret, struct serin_error *error)
{
    struct onednn_primitive *primitive = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status;
    enum serin_errc rc = primitive_start(&primitive, error);

    if (rc != SERIN_OK)
        return rc;
    status = describe(src, false, &primitive->src) && describe(dst, false, &primitive->dst)
                 ? attributes_new(NULL, primitive, &attributes)
                 : dnnl_out_of_memory;
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&pd, DESCRIPTOR(primitive->src), processor,
                                                    DESCRIPTOR(primitive->dst), processor, attributes);
    return primitive_end(primitive, status, pd, attributes, "reordering", ret, error);
}

enum serin_errc onednn_matmul_new(const struct onednn_matmul *matmul, struct onednn_primitive **ret,
                                  struct serin_error *error)
{
    const dnnl_dims_t a = {matmul->repeat_a ? 1 : matmul->batch, matmul->m, matmul->k};
    const dnnl_dims_t b = {matmul->repeat_b ? 1 : matmul->batch, matmul->k, matmul->n};
    const dnnl_dims_t c = {matmul->batch, matmul->m, matmul->n};
    struct onednn_primitive *primitive = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status;
    enum serin_errc rc = primitive_start(&primitive, error);

    if (rc != SERIN_OK)
        return rc;
    status = descriptor_init(&primitive->src, 3, a, dnnl_f32, dnnl_abc) &&
                     descriptor_init(&primitive->weights, 3, b, dnnl_f32, dnnl_abc) &&
                     descriptor_init(&primitive->dst, 3, c, dnnl_f32, dnnl_abc)
                 ? attributes_new(NULL, primitive, &attributes)
                 : dnnl_out_of_memory;
    if (status == dnnl_success) {
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_matmul_primitive_desc_create(&pd, processor, primitive->src, primitive->weights, NULL,
                                                   primitive->dst, attributes);
#else
        dnnl_matmul_desc_t operation;

        status = dnnl_matmul_desc_init(&operation, &primitive->src, &primitive->weights, NULL, &primitive->dst);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&pd, &operation, attributes, processor, NULL);
#endif
    }
    return primitive_end(primitive, status, pd, attributes, "matrix product", ret, error);
}

size_t onednn_scratch_bytes(const struct onednn_primitive *primitive)
{
    return dnnl_memory_desc_get_size(DESCRIPTOR(primitive->scratch));
}

const char *onednn_kernel(const struct onednn_primitive *primitive)
{
    return primitive->kernel;
}

/* ---- weights ---- */

size_t onednn_weights_bytes(const struct onednn_primitive *convolution)
{
    return dnnl_memory_desc_get_size(DESCRIPTOR(convolution->weights));
}

size_t onednn_bias_count(const struct onednn_primitive *convolution)
{
    return (size_t)(convolution->groups * convolution->out);
}

void onednn_fill_bias(const struct onednn_primitive *convolution, const float *bias, size_t count, float *ret)
{
    const size_t all = onednn_bias_count(convolution), given = (size_t)convolution->convolution.dst.channels;
    size_t i;

    for (i = 0; i < all; i++) {
        ret[i] = i < given ? bias[i % count] : 0.0f;
#if DNNL_VERSION_MAJOR < 3 /* it is added before the scales are multiplied with, and afterwards in 3.x */
        if (convolution->scales)
            ret[i] /= convolution->scales[i];
#endif
    }
}

bool onednn_packs_alike(const struct onednn_primitive *one, const struct onednn_primitive *other)
{
    return dnnl_memory_desc_equal(DESCRIPTOR(one->weights), DESCRIPTOR(other->weights));
}

/* The weights in oneDNN's plain order [group][out][in][h][w], with zeros where a block was filled up. */
static void spread_weights(const struct onednn_primitive *primitive, const void *weights, void *spread)
{
    const struct onednn_convolution *convolution = &primitive->convolution;
    const int64_t groups = convolution->groups, in = convolution->src.channels / groups,
                  out = convolution->dst.channels / groups;
    const int64_t taps = (int64_t)convolution->window.kernel[0] * convolution->window.kernel[1];
    const size_t bytes = (size_t)taps * (has_integers(convolution) ? sizeof(int8_t) : sizeof(float));
    int64_t g, o, i;

    if (convolution->taps) {
        const int64_t each = out / convolution->taps;

        for (o = 0; o < out; o++)
            for (i = 0; i < in; i++)
                ((float *)spread)[o * primitive->in + i] =
                    ((const float *)weights)[(i * each + o % each) * convolution->taps + o / each];
        return;
    }
    for (g = 0; g < groups; g++)
        for (o = 0; o < out; o++)
            for (i = 0; i < in; i++)
                memcpy((char *)spread + (size_t)((g * primitive->out + o) * primitive->in + i) * bytes,
                       (const char *)weights +
                           (size_t)(convolution->transposed ? (g * in + i) * out + o : (g * out + o) * in + i) * bytes,
                       bytes);
}

enum serin_errc onednn_pack(const struct onednn_primitive *convolution, const void *weights, void *packed,
                            struct serin_error *error)
{
    struct onednn_primitive reorder = {0};
    struct onednn_call *call = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status;
    enum serin_errc rc;
    void *spread = NULL;
    size_t bytes;

    status = describe_weights(&convolution->convolution, (struct onednn_primitive *)convolution, true, &reorder.src);
    if (status != dnnl_success)
        return fail(error, "packing of weights", status);
    bytes = dnnl_memory_desc_get_size(DESCRIPTOR(reorder.src));
    spread = calloc(1, bytes);
    if (!spread)
        status = dnnl_out_of_memory;
    if (status == dnnl_success) {
        spread_weights(convolution, weights, spread);
        status = dnnl_reorder_primitive_desc_create(&pd, DESCRIPTOR(reorder.src), processor,
                                                    DESCRIPTOR(convolution->weights), processor, NULL);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(&reorder.primitive, pd);
        dnnl_primitive_desc_destroy(pd);
    }
    rc = status == dnnl_success ? SERIN_OK : fail(error, "packing of weights", status);
    if (rc == SERIN_OK) {
        reorder.dst = convolution->weights;
        rc = onednn_call_new(&reorder, &(struct onednn_addresses){.src = spread, .dst = packed}, &call, error);
    }
    if (rc == SERIN_OK)
        rc = onednn_call_run(call, error);
    onednn_call_free(call);
    if (reorder.primitive)
        dnnl_primitive_destroy(reorder.primitive);
    descriptor_done(&reorder.src);
    free(spread);
    return rc;
}

/* ---- calls ---- */

static dnnl_status_t add_argument(struct onednn_call *call, int argument, descriptor what, const void *address)
{
    dnnl_memory_t memory = NULL;
    dnnl_status_t status = dnnl_memory_create(&memory, DESCRIPTOR(what), processor, (void *)address);

    if (status == dnnl_success)
        call->arguments[call->count++] = (dnnl_exec_arg_t){argument, memory};
    return status;
}

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t add_numbers(struct onednn_call *call, int argument, dnnl_data_type_t type, int64_t count,
                                 const void *numbers)
{
    const dnnl_dims_t shape = {count};
    descriptor what = {0};
    dnnl_status_t status = dnnl_out_of_memory;

    if (descriptor_init(&what, 1, shape, type, dnnl_x))
        status = add_argument(call, argument, what, numbers);
    descriptor_done(&what);
    return status;
}
#endif

enum serin_errc onednn_call_new(const struct onednn_primitive *primitive, const struct onednn_addresses *addresses,
                                struct onednn_call **ret, struct serin_error *error)
{
    struct onednn_call *call = calloc(1, sizeof(*call));
    dnnl_status_t status;

    if (!call)
        return error_set(error, SERIN_NOMEM, "no memory for a call of oneDNN");
    call->primitive = primitive->primitive;
    status = dnnl_stream_create(&call->stream, processor, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = add_argument(call, DNNL_ARG_SRC, primitive->src, addresses->src);
    if (status == dnnl_success)
        status = add_argument(call, DNNL_ARG_DST, primitive->dst, addresses->dst);
    if (status == dnnl_success && addresses->weights)
        status = add_argument(call, DNNL_ARG_WEIGHTS, primitive->weights, addresses->weights);
    if (status == dnnl_success && addresses->bias)
        status = add_argument(call, DNNL_ARG_BIAS, primitive->bias, addresses->bias);
    if (status == dnnl_success && addresses->residual)
        status = add_argument(call, primitive->residual_argument, primitive->residual, addresses->residual);
#if DNNL_VERSION_MAJOR >= 3
    if (status == dnnl_success && primitive->scales)
        status = add_numbers(call, DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, dnnl_f32, primitive->scale_count,
                             primitive->scales);
    if (status == dnnl_success && primitive->src_zero)
        status = add_numbers(call, DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, dnnl_s32, 1, &primitive->src_zero);
#endif
    if (status == dnnl_success && addresses->scratch)
        status = add_argument(call, DNNL_ARG_SCRATCHPAD, primitive->scratch, addresses->scratch);
    if (status != dnnl_success) {
        onednn_call_free(call);
        return fail(error, "call", status);
    }
    *ret = call;
    return SERIN_OK;
}

enum serin_errc onednn_call_run(const struct onednn_call *call, struct serin_error *error)
{
    dnnl_status_t status = dnnl_primitive_execute(call->primitive, call->stream, call->count, call->arguments);

    return status == dnnl_success ? SERIN_OK : fail(error, "inference", status);
}

void onednn_call_free(struct onednn_call *call)
{
    int i;

    if (!call)
        return;
    for (i = 0; i < call->count; i++)
        dnnl_memory_destroy(call->arguments[i].memory);
    if (call->stream)
        dnnl_stream_destroy(call->stream);
    free(call);
}
