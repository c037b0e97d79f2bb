/*
 * graph_plain_elements.c - operators that work element by element: functions, arithmetic, casts, quantisation.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Functions of floats are computed in double and rounded once; arithmetic of floats in float; that of integers in 64
 * bits, of which the type's low ones are kept. Source: onnx/docs/Operators.md.
 */
#include "engine/graph_plain_inside.h"

#include <math.h>
#include <string.h>

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double clip(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

float graph_plain_unary(const struct graph_unary *unary, float value)
{
    double x = (double)value, alpha = (double)unary->alpha, beta = (double)unary->beta;

    switch (unary->op) {
    case GRAPH_SIGMOID:
        return (float)(1 / (1 + exp(-x)));
    case GRAPH_SILU:
        return (float)(x / (1 + exp(-x)));
    case GRAPH_RELU:
        return x < 0 ? 0 : value;
    case GRAPH_LEAKY_RELU:
        return (float)(x < 0 ? alpha * x : x);
    case GRAPH_HARD_SIGMOID:
        return (float)clip(alpha * x + beta, 0, 1);
    case GRAPH_HARD_SWISH:
        return (float)(x * clip(x / 6 + .5, 0, 1));
    case GRAPH_ELU:
        return (float)(x < 0 ? alpha * expm1(x) : x);
    case GRAPH_MISH:
        return (float)(x * tanh(softplus(x)));
    case GRAPH_SOFTPLUS:
        return (float)softplus(x);
    case GRAPH_CLIP:
        return (float)clip(x, alpha, beta);
    case GRAPH_TANH:
        return (float)tanh(x);
    case GRAPH_ERF:
        return (float)erf(x);
    case GRAPH_EXP:
        return (float)exp(x);
    case GRAPH_LOG:
        return (float)log(x);
    case GRAPH_SQRT:
        return (float)sqrt(x);
    case GRAPH_SIN:
        return (float)sin(x);
    case GRAPH_COS:
        return (float)cos(x);
    case GRAPH_NEG:
        return -value;
    case GRAPH_ABS:
        return fabsf(value);
    case GRAPH_FLOOR:
        return floorf(value);
    case GRAPH_CEIL:
        return ceilf(value);
    case GRAPH_ROUND:
        return rintf(value); /* halves to even */
    case GRAPH_RECIPROCAL:
        return 1 / value;
    default:
        BUG_ON(true);
    }
}

enum serin_errc plain_unary(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    struct graph_unary unary = plain->node->unary;
    int64_t at, count = (int64_t)x->element_count;

    for (at = 0; at < count; at++) {
        int64_t number;

        if (x->type == GRAPH_F32) {
            ((float *)plain->outputs[0])[at] = graph_plain_unary(&unary, ((const float *)plain->inputs[0])[at]);
            continue;
        }
        number = plain_integer(x->type, plain->inputs[0], at);
        if (plain->node->op == GRAPH_NOT)
            number = !number;
        else if (plain->node->op == GRAPH_NEG || number < 0) /* Neg, or Abs */
            number = (int64_t)(0 - (uint64_t)number);
        plain_store(x->type, plain->outputs[0], at, number);
    }
    return SERIN_OK;
}

/* ---- two operands ---- */

static float float_result(enum graph_op op, float a, float b)
{
    switch (op) {
    case GRAPH_ADD:
        return a + b;
    case GRAPH_SUB:
        return a - b;
    case GRAPH_MUL:
        return a * b;
    case GRAPH_DIV:
        return a / b;
    case GRAPH_POW:
        return (float)pow((double)a, (double)b);
    case GRAPH_MOD:
        return fmodf(a, b);
    case GRAPH_MIN:
        return b < a || isnan(b) ? b : a;
    case GRAPH_MAX:
        return b > a || isnan(b) ? b : a;
    case GRAPH_PRELU:
        return a < 0 ? a * b : a;
    default:
        BUG_ON(true);
    }
}

static bool float_truth(enum graph_op op, float a, float b)
{
    switch (op) {
    case GRAPH_EQUAL:
        return a == b;
    case GRAPH_LESS:
        return a < b;
    case GRAPH_LESS_OR_EQUAL:
        return a <= b;
    case GRAPH_GREATER:
        return a > b;
    case GRAPH_GREATER_OR_EQUAL:
        return a >= b;
    default:
        BUG_ON(true);
    }
}

/* b is not 0; -1 is apart, since the least number divided by it has no room. */
static int64_t quotient(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t modulus(int64_t a, int64_t b, bool sign_of_dividend)
{
    int64_t rest = b == -1 ? 0 : a % b;

    return rest && !sign_of_dividend && (rest < 0) != (b < 0) ? rest + b : rest;
}

static enum serin_errc integer_result(const struct plain *plain, int64_t a, int64_t b, int64_t *ret)
{
    switch (plain->node->op) {
    case GRAPH_ADD:
        *ret = (int64_t)((uint64_t)a + (uint64_t)b);
        return SERIN_OK;
    case GRAPH_SUB:
        *ret = (int64_t)((uint64_t)a - (uint64_t)b);
        return SERIN_OK;
    case GRAPH_MUL:
        *ret = (int64_t)((uint64_t)a * (uint64_t)b);
        return SERIN_OK;
    case GRAPH_DIV:
    case GRAPH_MOD:
        if (b == 0)
            return error_set(plain->error, SERIN_MODEL, "an integer is divided by 0");
        *ret = plain->node->op == GRAPH_DIV ? quotient(a, b) : modulus(a, b, plain->node->fmod);
        return SERIN_OK;
    case GRAPH_MIN:
        *ret = a < b ? a : b;
        return SERIN_OK;
    case GRAPH_MAX:
        *ret = a > b ? a : b;
        return SERIN_OK;
    case GRAPH_EQUAL:
        *ret = a == b;
        return SERIN_OK;
    case GRAPH_LESS:
        *ret = a < b;
        return SERIN_OK;
    case GRAPH_LESS_OR_EQUAL:
        *ret = a <= b;
        return SERIN_OK;
    case GRAPH_GREATER:
        *ret = a > b;
        return SERIN_OK;
    case GRAPH_GREATER_OR_EQUAL:
        *ret = a >= b;
        return SERIN_OK;
    case GRAPH_AND:
        *ret = a && b;
        return SERIN_OK;
    case GRAPH_OR:
        *ret = a || b;
        return SERIN_OK;
    default:
        BUG_ON(true);
    }
}

enum serin_errc plain_binary(const struct plain *plain)
{
    const struct graph_value *a = plain_in(plain, 0), *b = plain_in(plain, 1), *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    enum graph_op op = plain->node->op;
    int64_t at, count = (int64_t)y->element_count, result = 0;
    enum serin_errc rc;

    plain_broadcast(a, y, walk.strides[0]);
    plain_broadcast(b, y, walk.strides[1]);
    for (at = 0; at < count; at++, plain_step(&walk)) {
        if (a->type == GRAPH_F32) {
            float left = ((const float *)plain->inputs[0])[walk.at[0]];
            float right = ((const float *)plain->inputs[1])[walk.at[1]];

            if (y->type == GRAPH_F32)
                ((float *)plain->outputs[0])[at] = float_result(op, left, right);
            else
                ((uint8_t *)plain->outputs[0])[at] = float_truth(op, left, right);
            continue;
        }
        rc = integer_result(plain, plain_integer(a->type, plain->inputs[0], walk.at[0]),
                            plain_integer(b->type, plain->inputs[1], walk.at[1]), &result);
        if (rc)
            return rc;
        plain_store(y->type, plain->outputs[0], at, result);
    }
    return SERIN_OK;
}

enum serin_errc plain_where(const struct plain *plain)
{
    const struct graph_value *y = plain_out(plain, 0);
    struct plain_walk walk = {.rank = y->rank, .shape = y->shape};
    size_t width = graph_type_bytes(y->type);
    int64_t at;
    int i;

    for (i = 0; i < 3; i++)
        plain_broadcast(plain_in(plain, i), y, walk.strides[i]);
    for (at = 0; at < (int64_t)y->element_count; at++, plain_step(&walk)) {
        int from = ((const uint8_t *)plain->inputs[0])[walk.at[0]] ? 1 : 2;

        memcpy((uint8_t *)plain->outputs[0] + (size_t)at * width,
               (const uint8_t *)plain->inputs[from] + (size_t)walk.at[from] * width, width);
    }
    return SERIN_OK;
}

/* ---- casts and quantisation ---- */

static void limits(enum graph_type type, int64_t *ret_low, int64_t *ret_high)
{
    *ret_low = type == GRAPH_I64 ? INT64_MIN : type == GRAPH_I32 ? INT32_MIN : type == GRAPH_I8 ? INT8_MIN : 0;
    *ret_high = type == GRAPH_I64 ? INT64_MAX : type == GRAPH_I32 ? INT32_MAX : type == GRAPH_I8 ? INT8_MAX : UINT8_MAX;
}

/* An integral value into the range of an integer type; NaN becomes the least. */
static int64_t saturated(double value, enum graph_type type)
{
    int64_t low, high;

    limits(type, &low, &high);
    if (!(value > (double)low))
        return low;
    return value >= (double)high ? high : (int64_t)value;
}

int64_t plain_quantized(float number, const struct graph_scale *scale, enum graph_type type)
{
    return saturated((double)rintf(number / scale->scale) + (double)scale->zero, type);
}

enum serin_errc plain_cast(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    int64_t at;

    for (at = 0; at < (int64_t)y->element_count; at++) {
        if (x->type == GRAPH_F32) {
            float value = ((const float *)plain->inputs[0])[at];

            plain_store(y->type, plain->outputs[0], at,
                        y->type == GRAPH_BOOL ? value != 0 : saturated(trunc((double)value), y->type));
        } else {
            int64_t value = plain_integer(x->type, plain->inputs[0], at);

            if (y->type == GRAPH_F32)
                ((float *)plain->outputs[0])[at] = (float)value;
            else
                plain_store(y->type, plain->outputs[0], at, value);
        }
    }
    return SERIN_OK;
}

/* For element at of x: which number of the scale and the zero point is its own. */
static int64_t scale_index(const struct plain *plain, int64_t at)
{
    const struct graph_value *x = plain_in(plain, 0);
    int axis = plain->node->axis.axis;

    if (plain_in(plain, 1)->element_count == 1)
        return 0;
    return at / plain_product(x, axis + 1, x->rank) % x->shape[axis];
}

static int64_t zero_at(const struct plain *plain, int64_t index)
{
    return plain_has(plain, 2) ? plain_integer(plain_in(plain, 2)->type, plain->inputs[2], index) : 0;
}

enum serin_errc plain_quantize(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    int64_t at;

    for (at = 0; at < (int64_t)y->element_count; at++) {
        int64_t index = scale_index(plain, at);
        float value = x->type == GRAPH_F32 ? ((const float *)plain->inputs[0])[at]
                                           : (float)plain_integer(x->type, plain->inputs[0], at);

        const struct graph_scale scale = {((const float *)plain->inputs[1])[index], (int32_t)zero_at(plain, index)};

        plain_store(y->type, plain->outputs[0], at, plain_quantized(value, &scale, y->type));
    }
    return SERIN_OK;
}

enum serin_errc plain_dequantize(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0), *y = plain_out(plain, 0);
    int64_t at;

    for (at = 0; at < (int64_t)y->element_count; at++) {
        int64_t index = scale_index(plain, at);

        ((float *)plain->outputs[0])[at] =
            (float)(plain_integer(x->type, plain->inputs[0], at) - zero_at(plain, index)) *
            ((const float *)plain->inputs[1])[index];
    }
    return SERIN_OK;
}

/* The range always has 0 in it, so that 0 has a number of its own. */
enum serin_errc plain_dynamic_quantize(const struct plain *plain)
{
    const struct graph_value *x = plain_in(plain, 0);
    const float *in = plain->inputs[0];
    float low = 0, high = 0, scale;
    int64_t at, count = (int64_t)x->element_count, zero;

    for (at = 0; at < count; at++) {
        low = in[at] < low ? in[at] : low;
        high = in[at] > high ? in[at] : high;
    }
    scale = high == low ? 1 : (high - low) / 255;
    zero = saturated((double)rintf(0 - low / scale), GRAPH_U8);
    for (at = 0; at < count; at++)
        ((uint8_t *)plain->outputs[0])[at] = (uint8_t)saturated((double)rintf(in[at] / scale) + (double)zero, GRAPH_U8);
    *(float *)plain->outputs[1] = scale;
    *(uint8_t *)plain->outputs[2] = (uint8_t)zero;
    return SERIN_OK;
}
