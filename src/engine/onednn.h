/*
 * onednn.h - the primitives of oneDNN that plans use, of either generation of the library.  Depends on graph.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything works on one picture (a batch is a loop around it) and on memory that the caller lays out: no primitive
 * allocates while it runs. Primitives are made for shapes; a call is a primitive bound to addresses. Primitives may be
 * shared by threads, a call is run by one at a time.
 *
 * A picture's layout is [channels / block][height][width][block]: block 1 is ONNX's own order, 16 or 8 (onednn_block)
 * is what the kernels like, in which a range of channels that begins and ends at a multiple of the block is a piece of
 * memory of its own, and 0 stands for all channels ("nhwc"), which is what kernels for 8 bits like. Channels are
 * rounded up to the block; what lies there beyond the last true channel is finite, and weights for it are zero.
 */
#ifndef ENGINE_ONEDNN_H
#define ENGINE_ONEDNN_H

#include "engine/graph.h"

enum onednn_type { ONEDNN_F32, ONEDNN_BF16, ONEDNN_U8, ONEDNN_S8 };

struct onednn_image {
    enum onednn_type type;
    int64_t channels, height, width, block;
};

size_t onednn_type_bytes(enum onednn_type type);
size_t onednn_image_bytes(const struct onednn_image *image);
int64_t onednn_round_up(int64_t channels, int64_t block);

int64_t onednn_block(void);       /* channels in a block: one vector of fp32 of this processor */
bool onednn_has_bf16(void);       /* this processor multiplies bf16 faster than fp32 */
bool onednn_has_amx(void);        /* and does so with tiles, eight times as fast */
const char *onednn_version(void); /* "2.6.3" */

/* The threads that primitives are made for, and run with, by the calling thread from now on. */
void onednn_set_threads(int threads);
/* work(data, part, parts) for every part, in as many threads as there are, which are oneDNN's own; parts is 1 where the
 * library has another kind of threads. Never more than threads. */
void onednn_parallel(int threads, void (*work)(void *data, int part, int parts), void *data);

/* Of a convolution whose src is of 8 bits: graph.h's struct graph_quantized says what the integers stand for. dst and
 * the residual may be of 8 bits or fp32. */
struct onednn_quantized {
    const struct graph_quantized *scales; /* read only while the primitive is made; NULL: src is a float's */
    enum onednn_type residual;            /* its type */
};

/* y = activation(convolution(x) + bias) + residual. */
struct onednn_convolution {
    struct onednn_image src, dst;
    bool transposed;
    int64_t groups;
    struct graph_window window;
    struct graph_unary activation; /* one that onednn_knows */
    bool has_bias, has_residual;   /* the residual is laid out as dst */
    bool residual_first;           /* it is fp32, and added before the activation; never with quantized scales */
    struct onednn_quantized quantized;
    struct graph_scale integers; /* what dst stands for where it is of 8 bits and src a float's: our own kernels only */
    int taps; /* not 0: dst's channels are [tap][out], and the weights are a transposed convolution's of so many taps */
};

bool onednn_knows(const struct graph_unary *activation); /* as part of a convolution */

struct onednn_primitive;

/* All: SERIN_UNSUPPORTED where oneDNN has nothing but its reference code for it, SERIN_NOMEM, SERIN_ENGINE. */
MUST_USE enum serin_errc onednn_convolution_new(const struct onednn_convolution *convolution,
                                                struct onednn_primitive **ret, struct serin_error *error);
/* Windows are where op says (MAX_POOL, AVERAGE_POOL); pad_end is what the output needs. src and dst share channels,
 * type and block. */
MUST_USE enum serin_errc onednn_pool_new(enum graph_op op, bool count_padding, const struct graph_window *window,
                                         const struct onednn_image *src, const struct onednn_image *dst,
                                         struct onednn_primitive **ret, struct serin_error *error);
/* The same picture in another layout or type. */
MUST_USE enum serin_errc onednn_reorder_new(const struct onednn_image *src, const struct onednn_image *dst,
                                            struct onednn_primitive **ret, struct serin_error *error);
/* fp32, row-major: c[batch][m][n] = a[batch][m][k] b[batch][k][n]. A factor that repeats for the whole batch has
 * stride 0. b is "weights", in the caller's order. */
struct onednn_matmul {
    int64_t batch, m, k, n;
    bool repeat_a, repeat_b;
};
MUST_USE enum serin_errc onednn_matmul_new(const struct onednn_matmul *matmul, struct onednn_primitive **ret,
                                           struct serin_error *error);
/* One more owner; each calls onednn_primitive_free. Not thread-safe. */
struct onednn_primitive *onednn_primitive_share(struct onednn_primitive *primitive);
void onednn_primitive_free(struct onednn_primitive *primitive); /* NULL is fine */

size_t onednn_scratch_bytes(const struct onednn_primitive *primitive);
const char *onednn_kernel(const struct onednn_primitive *primitive); /* "jit:avx512_core", for people */

/* A convolution's weights, packed as it likes them. Two primitives that pack alike can share them. */
size_t onednn_weights_bytes(const struct onednn_primitive *convolution);
bool onednn_packs_alike(const struct onednn_primitive *one, const struct onednn_primitive *other);
/* weights as ONNX has them, fp32, or int8 where src is of 8 bits: [out][in / groups][h][w], and
 * [in][out / groups][h][w] where it is transposed. packed: onednn_weights_bytes, 64-byte aligned. */
MUST_USE enum serin_errc onednn_pack(const struct onednn_primitive *convolution, const void *weights, void *packed,
                                     struct serin_error *error);
/* Floats of a bias as a convolution reads it: out channels rounded up, zeros behind. */
size_t onednn_bias_count(const struct onednn_primitive *convolution);
/* From the bias of all out channels, once or count / repeats times; ret: onednn_bias_count. */
void onednn_fill_bias(const struct onednn_primitive *convolution, const float *bias, size_t count, float *ret);

/* 64-byte aligned where they are there at all. */
struct onednn_addresses {
    const void *src, *weights, *bias, *residual; /* matmul: src is a, weights b */
    void *dst, *scratch;
};

struct onednn_call;

MUST_USE enum serin_errc onednn_call_new(const struct onednn_primitive *primitive,
                                         const struct onednn_addresses *addresses, struct onednn_call **ret,
                                         struct serin_error *error);
MUST_USE enum serin_errc onednn_call_run(const struct onednn_call *call, struct serin_error *error);
void onednn_call_free(struct onednn_call *call); /* NULL is fine */

#endif
