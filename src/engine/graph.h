/*
 * graph.h - a network in memory, for engines of our own: values, and the nodes that make them.  Depends on engine.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A graph has two forms, of one type:
 *
 *   as read (graph_read)      what the file says: its nodes in its order, constants, and no shapes but those of
 *                             constants. Kept as long as the engine, since each set of input shapes is made from it.
 *   with shapes (graph_shape) for one set of input shapes. Every value has its type and shape, what follows from
 *                             constants is a constant, and the nodes are in the narrow form that the table below
 *                             describes: parameters that ONNX passes as inputs (the axes of a sum, the sizes of a
 *                             split, the start of a slice) lie in plain fields, negative axes are counted from the
 *                             front, padding is in numbers. Only data is left among the inputs.
 *
 * Numbers: fp16 and fp32 are both fp32 here (constants are widened on reading, casts between the two are nothing); the
 * interface remembers what the file's inputs and outputs are. fp64 is not supported.
 *
 * Nodes stand in topological order, values are made once, and both are named by their index in the graph's array. A
 * constant is a value that no node makes and that has bytes. Graphs are not thread-safe while they change; a graph that
 * nobody changes may be read by any number of threads.
 */
#ifndef ENGINE_GRAPH_H
#define ENGINE_GRAPH_H

#include "base/arena.h"
#include "engine/engine.h"

#define GRAPH_MAX_RANK        8
#define GRAPH_MAX_ARITY       1024                 /* inputs or outputs of a node */
#define GRAPH_MAX_VALUE_BYTES ((uint64_t)4 << 30)  /* one value */
#define GRAPH_MAX_FOLD_BYTES  ((uint64_t)64 << 20) /* of all that is computed beforehand */
#define GRAPH_MAX_FOLD_WORK   ((uint64_t)1 << 26)  /* steps of it, as graph_node_work counts */
#define GRAPH_MAX_BINS        64                   /* of an EXPECTATION */
#define GRAPH_NONE            (-1)                 /* no value: an optional input left out */

enum graph_type { GRAPH_F32, GRAPH_I64, GRAPH_I32, GRAPH_U8, GRAPH_I8, GRAPH_BOOL };

/* Every operator. X(enumerator, ONNX's name, fewest inputs, most inputs, fewest outputs, most outputs, kind); the
 * numbers are those of the file. Arity "many" is GRAPH_MAX_ARITY. What kind means:
 *   LAYER    in a graph with shapes, too; its fields are told at struct graph_node
 *   UNARY    y = f(x), element by element, parameters in node->unary
 *   BINARY   y = f(a, b), with ONNX's broadcasting: shapes are aligned at their ends, 1 stretches
 *   SOURCE   only in a graph as read: with shapes it is a constant, another operator, or nothing
 *   FUSED    only made by rewriting; a file cannot name it */
#define GRAPH_OPERATORS(X)                                                                                             \
    X(CONV, "Conv", 2, 3, 1, 1, LAYER)                                                                                 \
    X(CONV_TRANSPOSE, "ConvTranspose", 2, 3, 1, 1, LAYER)                                                              \
    X(CONV_INTEGER, "ConvInteger", 2, 4, 1, 1, LAYER)                                                                  \
    X(MATMUL, "MatMul", 2, 2, 1, 1, LAYER)                                                                             \
    X(MATMUL_INTEGER, "MatMulInteger", 2, 4, 1, 1, LAYER)                                                              \
    X(GEMM, "Gemm", 2, 3, 1, 1, LAYER)                                                                                 \
    X(BATCH_NORMALIZATION, "BatchNormalization", 5, 5, 1, 1, LAYER)                                                    \
    X(MAX_POOL, "MaxPool", 1, 1, 1, 1, LAYER)                                                                          \
    X(AVERAGE_POOL, "AveragePool", 1, 1, 1, 1, LAYER)                                                                  \
    X(RESIZE, "Resize", 1, 4, 1, 1, LAYER)                                                                             \
    X(SOFTMAX, "Softmax", 1, 1, 1, 1, LAYER)                                                                           \
    X(REDUCE_MAX, "ReduceMax", 1, 2, 1, 1, LAYER)                                                                      \
    X(REDUCE_MIN, "ReduceMin", 1, 2, 1, 1, LAYER)                                                                      \
    X(REDUCE_SUM, "ReduceSum", 1, 2, 1, 1, LAYER)                                                                      \
    X(REDUCE_MEAN, "ReduceMean", 1, 2, 1, 1, LAYER)                                                                    \
    X(ARG_MAX, "ArgMax", 1, 1, 1, 1, LAYER)                                                                            \
    X(TOP_K, "TopK", 1, 2, 2, 2, LAYER)                                                                                \
    X(CONCAT, "Concat", 1, GRAPH_MAX_ARITY, 1, 1, LAYER)                                                               \
    X(SPLIT, "Split", 1, 2, 1, GRAPH_MAX_ARITY, LAYER)                                                                 \
    X(SLICE, "Slice", 1, 5, 1, 1, LAYER)                                                                               \
    X(PAD, "Pad", 1, 4, 1, 1, LAYER)                                                                                   \
    X(RESHAPE, "Reshape", 2, 2, 1, 1, LAYER)                                                                           \
    X(TRANSPOSE, "Transpose", 1, 1, 1, 1, LAYER)                                                                       \
    X(EXPAND, "Expand", 2, 2, 1, 1, LAYER)                                                                             \
    X(TILE, "Tile", 2, 2, 1, 1, LAYER)                                                                                 \
    X(GATHER, "Gather", 2, 2, 1, 1, LAYER)                                                                             \
    X(GATHER_ELEMENTS, "GatherElements", 2, 2, 1, 1, LAYER)                                                            \
    X(GATHER_ND, "GatherND", 2, 2, 1, 1, LAYER)                                                                        \
    X(CAST, "Cast", 1, 1, 1, 1, LAYER)                                                                                 \
    X(WHERE, "Where", 3, 3, 1, 1, LAYER)                                                                               \
    X(QUANTIZE_LINEAR, "QuantizeLinear", 2, 3, 1, 1, LAYER)                                                            \
    X(DEQUANTIZE_LINEAR, "DequantizeLinear", 2, 3, 1, 1, LAYER)                                                        \
    X(DYNAMIC_QUANTIZE_LINEAR, "DynamicQuantizeLinear", 1, 1, 3, 3, LAYER)                                             \
    X(SIGMOID, "Sigmoid", 1, 1, 1, 1, UNARY)                                                                           \
    X(RELU, "Relu", 1, 1, 1, 1, UNARY)                                                                                 \
    X(LEAKY_RELU, "LeakyRelu", 1, 1, 1, 1, UNARY)                                                                      \
    X(HARD_SIGMOID, "HardSigmoid", 1, 1, 1, 1, UNARY)                                                                  \
    X(HARD_SWISH, "HardSwish", 1, 1, 1, 1, UNARY)                                                                      \
    X(ELU, "Elu", 1, 1, 1, 1, UNARY)                                                                                   \
    X(MISH, "Mish", 1, 1, 1, 1, UNARY)                                                                                 \
    X(SOFTPLUS, "Softplus", 1, 1, 1, 1, UNARY)                                                                         \
    X(CLIP, "Clip", 1, 3, 1, 1, UNARY)                                                                                 \
    X(TANH, "Tanh", 1, 1, 1, 1, UNARY)                                                                                 \
    X(ERF, "Erf", 1, 1, 1, 1, UNARY)                                                                                   \
    X(EXP, "Exp", 1, 1, 1, 1, UNARY)                                                                                   \
    X(LOG, "Log", 1, 1, 1, 1, UNARY)                                                                                   \
    X(SQRT, "Sqrt", 1, 1, 1, 1, UNARY)                                                                                 \
    X(SIN, "Sin", 1, 1, 1, 1, UNARY)                                                                                   \
    X(COS, "Cos", 1, 1, 1, 1, UNARY)                                                                                   \
    X(NEG, "Neg", 1, 1, 1, 1, UNARY)                                                                                   \
    X(ABS, "Abs", 1, 1, 1, 1, UNARY)                                                                                   \
    X(FLOOR, "Floor", 1, 1, 1, 1, UNARY)                                                                               \
    X(CEIL, "Ceil", 1, 1, 1, 1, UNARY)                                                                                 \
    X(ROUND, "Round", 1, 1, 1, 1, UNARY)                                                                               \
    X(RECIPROCAL, "Reciprocal", 1, 1, 1, 1, UNARY)                                                                     \
    X(NOT, "Not", 1, 1, 1, 1, UNARY)                                                                                   \
    X(SILU, "x * sigmoid(x)", 1, 1, 1, 1, FUSED) /* unary, too */                                                      \
    X(LOOKUP, "table", 2, 2, 1, 1, FUSED)                                                                              \
    X(EXPECTATION, "expectation", 2, 2, 1, 1, FUSED)                                                                   \
    X(ADD, "Add", 2, 2, 1, 1, BINARY)                                                                                  \
    X(SUB, "Sub", 2, 2, 1, 1, BINARY)                                                                                  \
    X(MUL, "Mul", 2, 2, 1, 1, BINARY)                                                                                  \
    X(DIV, "Div", 2, 2, 1, 1, BINARY)                                                                                  \
    X(POW, "Pow", 2, 2, 1, 1, BINARY)                                                                                  \
    X(MOD, "Mod", 2, 2, 1, 1, BINARY)                                                                                  \
    X(MIN, "Min", 2, 2, 1, 1, BINARY)                                                                                  \
    X(MAX, "Max", 2, 2, 1, 1, BINARY)                                                                                  \
    X(PRELU, "PRelu", 2, 2, 1, 1, BINARY)                                                                              \
    X(EQUAL, "Equal", 2, 2, 1, 1, BINARY)                                                                              \
    X(LESS, "Less", 2, 2, 1, 1, BINARY)                                                                                \
    X(LESS_OR_EQUAL, "LessOrEqual", 2, 2, 1, 1, BINARY)                                                                \
    X(GREATER, "Greater", 2, 2, 1, 1, BINARY)                                                                          \
    X(GREATER_OR_EQUAL, "GreaterOrEqual", 2, 2, 1, 1, BINARY)                                                          \
    X(AND, "And", 2, 2, 1, 1, BINARY)                                                                                  \
    X(OR, "Or", 2, 2, 1, 1, BINARY)                                                                                    \
    X(IDENTITY, "Identity", 1, 1, 1, 1, SOURCE)                                                                        \
    X(DROPOUT, "Dropout", 1, 3, 1, 1, SOURCE)                                                                          \
    X(CONSTANT, "Constant", 0, 0, 1, 1, SOURCE)                                                                        \
    X(SHAPE, "Shape", 1, 1, 1, 1, SOURCE)                                                                              \
    X(CONSTANT_OF_SHAPE, "ConstantOfShape", 1, 1, 1, 1, SOURCE)                                                        \
    X(RANGE, "Range", 3, 3, 1, 1, SOURCE)                                                                              \
    X(FLATTEN, "Flatten", 1, 1, 1, 1, SOURCE)                                                                          \
    X(SQUEEZE, "Squeeze", 1, 2, 1, 1, SOURCE)                                                                          \
    X(UNSQUEEZE, "Unsqueeze", 1, 2, 1, 1, SOURCE)                                                                      \
    X(GLOBAL_AVERAGE_POOL, "GlobalAveragePool", 1, 1, 1, 1, SOURCE)                                                    \
    X(GLOBAL_MAX_POOL, "GlobalMaxPool", 1, 1, 1, 1, SOURCE)

enum graph_op {
    GRAPH_REMOVED, /* a node that graph_index takes out */
#define X(enumerator, ...) GRAPH_##enumerator,
    GRAPH_OPERATORS(X)
#undef X
        GRAPH_OP_COUNT
};

enum graph_kind { GRAPH_KIND_LAYER, GRAPH_KIND_UNARY, GRAPH_KIND_BINARY, GRAPH_KIND_SOURCE, GRAPH_KIND_FUSED };

const char *graph_op_name(enum graph_op op); /* "Conv"; "(removed)" */
enum graph_kind graph_op_kind(enum graph_op op);
bool graph_op_is_unary(enum graph_op op); /* UNARY, and SILU */

/* ---- values ---- */

struct graph_value {
    const char *name; /* the graph's; "" for what rewriting made */
    enum graph_type type;
    int rank; /* -1 in a graph as read, but for constants */
    int64_t shape[GRAPH_MAX_RANK];
    uint64_t element_count;     /* the product of shape: bytes never pass GRAPH_MAX_VALUE_BYTES */
    const void *constant;       /* row-major, 64-byte aligned: the graph's, or that of the one it was made from */
    bool is_output;             /* of the graph: it must be made, whoever else uses it */
    int producer;               /* node, or GRAPH_NONE: a constant, or an input */
    int first_user, user_count; /* nodes: graph->users[first_user ..]; a node that takes it twice stands there twice */
};

const char *graph_type_name(enum graph_type type); /* "fp32", "int64", ... */
size_t graph_type_bytes(enum graph_type type);
uint64_t graph_value_bytes(const struct graph_value *value);

/* ---- nodes ---- */

/* Two spatial dimensions: height, then width. */
struct graph_window {
    int32_t kernel[2], stride[2], dilation[2];
    int32_t pad_begin[2], pad_end[2]; /* top and left, bottom and right */
};

/* f and its numbers: LEAKY_RELU and ELU have alpha; HARD_SIGMOID is clip(alpha x + beta, 0, 1); CLIP is between alpha
 * and beta. GRAPH_REMOVED: none. */
struct graph_unary {
    enum graph_op op;
    float alpha, beta;
};

/* How integers of 8 bits stand for numbers: number = scale * (integer - zero). */
struct graph_scale {
    float scale;
    int32_t zero;
};

/* A convolution of integers, by rewriting: x is int8 or uint8, the weights are int8, the sums are exact. */
struct graph_quantized {
    struct graph_scale x, residual, y; /* of those that are integers */
    const float *weights;              /* scale of each output channel; the graph's memory */
};

enum graph_auto_pad { GRAPH_PAD_EXPLICIT, GRAPH_PAD_SAME_UPPER, GRAPH_PAD_SAME_LOWER, GRAPH_PAD_VALID };
enum graph_pad_mode { GRAPH_PAD_CONSTANT, GRAPH_PAD_REFLECT, GRAPH_PAD_EDGE };
enum graph_resize_mode { GRAPH_RESIZE_NEAREST, GRAPH_RESIZE_LINEAR };
enum graph_resize_coordinate {
    GRAPH_RESIZE_HALF_PIXEL,
    GRAPH_RESIZE_PYTORCH_HALF_PIXEL,
    GRAPH_RESIZE_ALIGN_CORNERS,
    GRAPH_RESIZE_ASYMMETRIC,
};
enum graph_resize_nearest {
    GRAPH_NEAREST_ROUND_PREFER_FLOOR,
    GRAPH_NEAREST_ROUND_PREFER_CEIL,
    GRAPH_NEAREST_FLOOR,
    GRAPH_NEAREST_CEIL,
};

/* What each operator takes in a graph with shapes (optional inputs that are left out: GRAPH_NONE, or fewer inputs; an
 * output that is left out has a value that nobody uses), and which member of the union tells the rest. An operator that
 * is not named here has its data as inputs, and no fields.
 *
 *   CONV                 x, weight[out][in / groups][h][w], bias[out]?, residual?    conv
 *                        (quantized: x, weight, and perhaps y and residual are integers; the bias is not)
 *   CONV_TRANSPOSE       x, weight[in][out / groups][h][w], bias[out]?               conv
 *   CONV_INTEGER         x, weight, x's zero point?, weight's?                       conv      int32
 *   GEMM                 a, b, c?: alpha a b + beta c                                gemm
 *   BATCH_NORMALIZATION  x, scale, bias, mean, variance                              batch_normalization
 *   MAX_POOL, AVERAGE_POOL  x                                                        pool
 *   RESIZE               x                                                           resize
 *   SOFTMAX              x                                                           softmax
 *   REDUCE_...           x                                                           reduce
 *   ARG_MAX, CONCAT, SPLIT, GATHER, GATHER_ELEMENTS, TOP_K                           axis
 *                        (sizes of a split, and k, are in the outputs' shapes)
 *   SLICE                x: y[i] = x[begin + i * step], per dimension                slice
 *   PAD                  x                                                           pad
 *   RESHAPE, EXPAND, TILE   x: the output's shape says the rest
 *   TRANSPOSE            x: dimension i of y is permutation[i] of x                  transpose
 *   GATHER_ND            x, indices                                                  batch_dims
 *   CAST                 x: the output's type says to what
 *   WHERE                condition, x, y, broadcast
 *   QUANTIZE_LINEAR, DEQUANTIZE_LINEAR  x, scale, zero point?                        axis
 *                        (scale is a scalar, or has one number for each index along axis; of a
 *                        constant one each number is finite and above FLT_MIN)
 *   LOOKUP               x of 8 bits, table[256] for x's bits as an unsigned number
 *   EXPECTATION          x[n][part][bin][...], its middle two as one dimension, and weights of the bins, a constant:
 *                        y[n][part][...], whatever its rank, is the sum over the bins of softmax(x) weight
 *   MATMUL_INTEGER       a, b, a's zero point?, b's?                                           int32
 *   CLIP and the other unary ones   x                                                unary
 *   MOD                                                                              fmod
 */
struct graph_node {
    enum graph_op op;
    const char *name; /* the graph's; "" where the file has none */
    int input_count, output_count;
    int *inputs, *outputs; /* values, of inputs also GRAPH_NONE; the graph's memory */
    union {
        struct {
            struct graph_window window;
            int64_t groups;
            int32_t output_padding[2];     /* CONV_TRANSPOSE */
            enum graph_auto_pad auto_pad;  /* EXPLICIT in a graph with shapes */
            struct graph_unary activation; /* by rewriting, CONV: y = activation(convolution + bias) + residual */
            bool residual_first;           /* by rewriting, CONV: y = activation(convolution + bias + residual) */
            const struct graph_quantized *quantized; /* by rewriting, CONV; else NULL */
        } conv;
        struct {
            struct graph_window window; /* pad_end as the file has it: the output's shape tells how far windows reach */
            enum graph_auto_pad auto_pad;
            bool round_up;          /* ceil_mode */
            bool count_include_pad; /* AVERAGE_POOL: the divisor counts padding (never what round_up adds behind it) */
        } pool;
        struct {
            float alpha, beta;
            bool transpose_a, transpose_b;
        } gemm;
        struct {
            float epsilon;
        } batch_normalization;
        struct {
            enum graph_resize_mode mode;
            enum graph_resize_coordinate coordinate;
            enum graph_resize_nearest nearest;
            float scales[GRAPH_MAX_RANK]; /* y's size / x's, as the file gives it or as follows from the sizes */
        } resize;
        struct {
            int first, last; /* the softmax goes over the dimensions first .. last - 1 together (before opset 13 they
                                may be several) */
        } softmax;
        struct {
            uint32_t axes; /* bit i: dimension i is reduced */
            bool keep_dims;
        } reduce;
        struct {
            int axis;
            bool keep_dims; /* ARG_MAX */
            bool largest;   /* TOP_K; the result is always sorted, equal ones by rising index */
            bool last;      /* ARG_MAX: the last of equal ones */
        } axis;
        struct {
            int64_t begin[GRAPH_MAX_RANK], step[GRAPH_MAX_RANK];
        } slice;
        struct {
            enum graph_pad_mode mode;
            int64_t begin[GRAPH_MAX_RANK]; /* may be negative: a cut; the output's shape tells the end */
            double value;
        } pad;
        struct {
            int permutation[GRAPH_MAX_RANK];
            int count; /* 0 in a graph as read: reverse the dimensions */
        } transpose;
        struct graph_unary unary;
        int batch_dims;     /* GATHER_ND */
        bool fmod;          /* MOD: the sign is the dividend's, not the divisor's */
        bool allow_zero;    /* RESHAPE, as read: 0 in the new shape is a size, not "as before" */
        enum graph_type to; /* CAST, as read */
        struct {
            int begin, end; /* SHAPE, as read */
        } range;
        int constant; /* CONSTANT_OF_SHAPE, as read: the value to fill with, or GRAPH_NONE for 0.0f */
    };
};

/* ---- graphs ---- */

struct graph {
    struct graph_value *values;
    int value_count, value_capacity;
    struct graph_node *nodes;
    int node_count, node_capacity;
    int input_count, output_count;
    int inputs[ENGINE_MAX_TENSORS], outputs[ENGINE_MAX_TENSORS]; /* values; in interface's order */
    struct engine_interface interface;                           /* names, types and shapes as the file declares them */
    int64_t opset;
    bool has_shapes;
    int *users;         /* see struct graph_value */
    struct arena arena; /* names, inputs and outputs of nodes, constants */
};

/* Reads an ONNX file, of which nothing is trusted (onnx_probe is part of it). bytes are not needed after the call. The
 * memory is at most sixteen times size_bytes, and some megabytes. ret is the caller's: graph_free. Errors: those of
 * onnx_probe; SERIN_UNSUPPORTED with a sentence that names the operator and the node, and says what of it is unknown.
 */
MUST_USE enum serin_errc graph_read(const uint8_t *bytes, size_t size_bytes, struct graph **ret,
                                    struct serin_error *error);

/* The same network for inputs of these shapes (graph->input_count, in that order; types are not looked at). Constants
 * of graph are shared: it must outlive ret, which is the caller's: graph_free. Errors: SERIN_INVALID where a shape does
 * not fit what the file declares; SERIN_MODEL where shapes within do not fit each other; SERIN_UNSUPPORTED where a
 * shape depends on the picture (NonMaxSuppression has one); SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc graph_shape(const struct graph *graph, const struct tensor *inputs, struct graph **ret,
                                     struct serin_error *error);

void graph_free(struct graph *graph); /* NULL is fine */

/* The steps that a node of a graph with shapes takes, about: multiply-adds, or elements. Saturates. */
uint64_t graph_node_work(const struct graph *graph, const struct graph_node *node);

/* ---- changing a graph ----
 * Pointers to values and nodes are good until the next value or node is added. */

/* A value with that type and shape, for a node still to be made; GRAPH_NONE without memory or beyond the limits. */
int graph_add_value(struct graph *graph, enum graph_type type, int rank, const int64_t *shape);

/* A constant; *ret_bytes, of graph_value_bytes, are the caller's to fill. GRAPH_NONE as above. */
int graph_add_constant(struct graph *graph, enum graph_type type, int rank, const int64_t *shape, void **ret_bytes);

/* A copy of node with inputs and outputs of its own, behind all others; SERIN_NOMEM. */
MUST_USE enum serin_errc graph_add_node(struct graph *graph, const struct graph_node *node, struct serin_error *error);

/* Gives node new inputs. False without memory. */
bool graph_set_inputs(struct graph *graph, struct graph_node *node, int count, const int *inputs);

/* To be called after rewriting: takes out nodes that are GRAPH_REMOVED or whose outputs nobody uses, and counts
 * producers and users anew. Values keep their indices. */
MUST_USE enum serin_errc graph_index(struct graph *graph, struct serin_error *error);

#endif
