/*
 * onnx_tensor.c - does a tensor hold as many values as its dimensions say, and are they numbers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Values come in one of seven fields, and how many a type needs there is the table below. Counting them before the
 * engine sees the file is what makes a tensor of 10^18 elements an error here and not an allocation there.
 */
#include "engine/onnx_tensor.h"

#include "engine/onnx_fields.h"

#include <stdio.h>
#include <string.h>

ONNX_MESSAGE(tensor_message, "tensor", TENSOR_FIELDS)
ONNX_MESSAGE(external_message, "external_data", EXTERNAL_FIELDS)

#define TYPE_STRING 8

/* By TensorProto.DataType. bits: of one element in raw_data; field: where its values lie otherwise, per_element of
 * them; 4-bit types are packed in pairs there too. special: has NaN and infinities that are counted. */
static const struct element_type {
    const char *name;
    enum tensor_type type;
    uint8_t bits, per_element;
    enum tensor_message_field field;
    bool parameter;
} element_types[] = {
    [1] = {"float", TENSOR_F32, 32, 1, TENSOR_FLOAT_DATA, true},
    [2] = {"uint8", TENSOR_U8, 8, 1, TENSOR_INT32_DATA, true},
    [3] = {"int8", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, true},
    [4] = {"uint16", TENSOR_OTHER, 16, 1, TENSOR_INT32_DATA, false},
    [5] = {"int16", TENSOR_OTHER, 16, 1, TENSOR_INT32_DATA, false},
    [6] = {"int32", TENSOR_OTHER, 32, 1, TENSOR_INT32_DATA, false},
    [7] = {"int64", TENSOR_I64, 64, 1, TENSOR_INT64_DATA, false},
    [8] = {"string", TENSOR_OTHER, 0, 1, TENSOR_STRING_DATA, false},
    [9] = {"bool", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, false},
    [10] = {"float16", TENSOR_F16, 16, 1, TENSOR_INT32_DATA, true},
    [11] = {"double", TENSOR_F64, 64, 1, TENSOR_DOUBLE_DATA, true},
    [12] = {"uint32", TENSOR_OTHER, 32, 1, TENSOR_UINT64_DATA, false},
    [13] = {"uint64", TENSOR_OTHER, 64, 1, TENSOR_UINT64_DATA, false},
    [14] = {"complex64", TENSOR_OTHER, 64, 2, TENSOR_FLOAT_DATA, false},
    [15] = {"complex128", TENSOR_OTHER, 128, 2, TENSOR_DOUBLE_DATA, false},
    [16] = {"bfloat16", TENSOR_OTHER, 16, 1, TENSOR_INT32_DATA, true},
    [17] = {"float8e4m3fn", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, true},
    [18] = {"float8e4m3fnuz", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, true},
    [19] = {"float8e5m2", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, true},
    [20] = {"float8e5m2fnuz", TENSOR_OTHER, 8, 1, TENSOR_INT32_DATA, true},
    [21] = {"uint4", TENSOR_OTHER, 4, 1, TENSOR_INT32_DATA, false},
    [22] = {"int4", TENSOR_OTHER, 4, 1, TENSOR_INT32_DATA, false},
    [23] = {"float4e2m1", TENSOR_OTHER, 4, 1, TENSOR_INT32_DATA, false},
};

static const struct element_type *element_type(uint64_t type)
{
    return type < sizeof(element_types) / sizeof(element_types[0]) && element_types[type].name ? &element_types[type]
                                                                                               : NULL;
}

const char *onnx_type_name(uint64_t type)
{
    return element_type(type) ? element_type(type)->name : NULL;
}

enum tensor_type onnx_tensor_type(uint64_t type)
{
    return element_type(type) ? element_type(type)->type : TENSOR_OTHER;
}

bool onnx_type_is_exotic(uint64_t type)
{
    return type == 8 || type == 14 || type == 15; /* string, complex64, complex128 */
}

const char *slice_text(struct slice slice, char *text, size_t size)
{
    size_t length = slice.size < size - 1 ? slice.size : size - 1, i;

    for (i = 0; i < length; i++)
        text[i] = slice.bytes[i] ? (char)slice.bytes[i] : '?';
    text[length] = '\0';
    if (length < slice.size && size > 4)
        memcpy(text + length - 3, "...", 3);
    return text;
}

/* ---- NaN and infinities ---- */

#define BLOCK 64 /* elements; a fixed number, which is what lets the compiler use vectors */

/* Counts the elements whose exponent is all ones, apart by whether any fraction bit is set. Hardly any block has one,
 * so that a gigabyte of weights costs little more than reading it. */
#define COUNT_SPECIAL(type, exponent)                                                                                  \
    do {                                                                                                               \
        size_t left_ = values.size / sizeof(type), i_, n_;                                                             \
        const uint8_t *p_ = values.bytes;                                                                              \
        type block_[BLOCK] = {0};                                                                                      \
        for (; left_ > 0; left_ -= n_, p_ += n_ * sizeof(type)) {                                                      \
            type any_ = 0;                                                                                             \
            n_ = left_ < BLOCK ? left_ : BLOCK;                                                                        \
            if (n_ == BLOCK)                                                                                           \
                memcpy(block_, p_, sizeof(block_));                                                                    \
            else                                                                                                       \
                memcpy(block_, p_, n_ * sizeof(type));                                                                 \
            for (i_ = 0; i_ < BLOCK; i_++)                                                                             \
                any_ = (type)(any_ | ((block_[i_] & (exponent)) == (exponent)));                                       \
            for (i_ = 0; any_ && i_ < n_; i_++) {                                                                      \
                type magnitude_ = (type)(block_[i_] & ((type) ~(type)0 >> 1));                                         \
                tensor->nan_count += magnitude_ > (exponent);                                                          \
                tensor->inf_count += magnitude_ == (exponent);                                                         \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* Numbers that no scale of integers is. As bits, a float that is normal and above 0 lies between the smallest normal
 * one and infinity; in 16 bits those below are normal in 32. */
static void count_no_scales(struct onnx_tensor *tensor, struct slice values)
{
    const uint32_t low = tensor->type == 1    ? 0x00800000u
                         : tensor->type == 10 ? 0x0001u
                                              : 0x0080u,
                   high = tensor->type == 1    ? 0x7f800000u
                          : tensor->type == 10 ? 0x7c00u
                                               : 0x7f80u;
    const size_t width = tensor->type == 1 ? 4 : 2;
    size_t i;

    if ((tensor->type != 1 && tensor->type != 10 && tensor->type != 16) || values.size > ONNX_MAX_SCALE_BYTES)
        return;
    for (i = 0; i + width <= values.size; i += width) {
        uint32_t bits = 0;

        memcpy(&bits, values.bytes + i, width); /* ONNX and every machine that we know: the lowest byte first */
        tensor->no_scale_count += bits < low || bits >= high;
    }
}

static void count_special(struct onnx_tensor *tensor, struct slice values)
{
    count_no_scales(tensor, values);
    switch (tensor->type) {
    case 1:
        COUNT_SPECIAL(uint32_t, 0x7f800000u);
        break;
    case 10:
        COUNT_SPECIAL(uint16_t, 0x7c00u);
        break;
    case 11:
        COUNT_SPECIAL(uint64_t, 0x7ff0000000000000u);
        break;
    case 16:
        COUNT_SPECIAL(uint16_t, 0x7f80u);
        break;
    default:
        break;
    }
}

/* ---- the message ---- */

/* What the fields of a tensor hold, before it is known whether they agree. */
struct found {
    uint64_t dims[ONNX_MAX_TENSOR_RANK];
    size_t rank;
    bool has_raw;
    struct slice raw;
    uint64_t counts[TENSOR_UINT64_DATA + 1]; /* values in each typed field */
};

static enum serin_errc add_dim(struct found *found, uint64_t dim, struct serin_error *error)
{
    if (found->rank == ONNX_MAX_TENSOR_RANK)
        return error_set(error, SERIN_LIMIT, "more than %d dimensions", ONNX_MAX_TENSOR_RANK);
    if (dim > INT64_MAX)
        return error_set(error, SERIN_CORRUPT, "dimension %zu is negative (%lld)", found->rank, (long long)dim);
    found->dims[found->rank++] = dim;
    return SERIN_OK;
}

/* Calls for each varint of a packed field, or for the one of an unpacked field. float16 and bfloat16 that come as
 * varints are looked at for NaN here. */
static enum serin_errc read_varints(struct message *message, struct onnx_tensor *tensor, struct found *found,
                                    struct serin_error *error)
{
    struct slice packed = message->bytes;
    uint64_t value = message->value;
    enum serin_errc rc;
    size_t at = 0;

    do {
        if (message->wire == WIRE_BYTES) {
            if (at == packed.size)
                return SERIN_OK;
            if (!varint_read(packed.bytes, packed.size, &at, &value))
                return error_set(error, SERIN_CORRUPT, "a number of field %u has no end within 64 bits",
                                 message->number);
        }
        if (message->number == TENSOR_DIMS) {
            rc = add_dim(found, value, error);
            if (rc)
                return rc;
        } else {
            uint16_t half = (uint16_t)value;

            found->counts[message->number]++;
            if (tensor->type == 10 || tensor->type == 16)
                count_special(tensor, (struct slice){(const uint8_t *)&half, sizeof(half)});
        }
    } while (message->wire == WIRE_BYTES);
    return SERIN_OK;
}

/* The file that external_data names: for the message only. */
static enum serin_errc refuse_external(struct protobuf *file, struct slice pair, struct serin_error *error)
{
    struct message message = message_open(file, &external_message, pair);
    struct slice key = {0}, value = {0};
    bool more = false;
    char text[80];

    while (message_next(&message, &more, NULL) == SERIN_OK && more) {
        if (message.number == EXTERNAL_KEY)
            key = message.bytes;
        if (message.number == EXTERNAL_VALUE)
            value = message.bytes;
    }
    if (!slice_is(key, "location"))
        value = (struct slice){(const uint8_t *)"?", 1};
    return error_set(error, SERIN_UNSUPPORTED, "weights in another file ('%s') are not loaded: export with them inside",
                     slice_text(value, text, sizeof(text)));
}

static enum serin_errc read_field(struct message *message, struct onnx_tensor *tensor, struct found *found,
                                  struct serin_error *error)
{
    switch (message->number) {
    case TENSOR_DATA_TYPE:
    case TENSOR_NAME:
        return SERIN_OK; /* read in the first pass */
    case TENSOR_SEGMENT:
        return error_set(error, SERIN_UNSUPPORTED, "values in segments");
    case TENSOR_EXTERNAL_DATA:
        return refuse_external(message->file, message->bytes, error);
    case TENSOR_DATA_LOCATION:
        return message->value == 0 ? SERIN_OK
                                   : refuse_external(message->file, (struct slice){message->file->bytes, 0}, error);
    case TENSOR_RAW_DATA:
        found->has_raw = true;
        found->raw = message->bytes;
        count_special(tensor, message->bytes);
        return SERIN_OK;
    case TENSOR_FLOAT_DATA:
    case TENSOR_DOUBLE_DATA: {
        size_t width = message->number == TENSOR_FLOAT_DATA ? 4 : 8;

        if (message->bytes.size % width)
            return error_set(error, SERIN_CORRUPT, "%zu bytes of numbers of %zu", message->bytes.size, width);
        found->counts[message->number] += message->bytes.size / width;
        count_special(tensor, message->bytes);
        return SERIN_OK;
    }
    case TENSOR_STRING_DATA:
        found->counts[TENSOR_STRING_DATA]++;
        return SERIN_OK;
    case TENSOR_DIMS:
    case TENSOR_INT32_DATA:
    case TENSOR_INT64_DATA:
    case TENSOR_UINT64_DATA:
        return read_varints(message, tensor, found, error);
    default:
        return SERIN_OK;
    }
}

/* Sets element_count and bytes; compares them with the values that are there. */
static enum serin_errc check_values(const struct found *found, struct onnx_tensor *tensor, struct serin_error *error)
{
    const struct element_type *type = element_type(tensor->type);
    uint64_t count = 1, bits, wanted, there = 0;
    size_t i;

    for (i = 0; i < found->rank; i++)
        if (__builtin_mul_overflow(count, found->dims[i], &count))
            return error_set(error, SERIN_CORRUPT, "the product of its %zu dimensions is beyond 64 bits", found->rank);
    if (__builtin_mul_overflow(count, type->bits, &bits) || bits > UINT64_MAX - 7)
        return error_set(error, SERIN_CORRUPT, "%llu elements are beyond 64 bits of size", (unsigned long long)count);
    tensor->element_count = count;
    tensor->bytes = (bits + 7) / 8;
    tensor->counts_as_parameter = type->parameter;
    if (found->has_raw) {
        if (tensor->type == TYPE_STRING)
            return error_set(error, SERIN_CORRUPT, "strings as raw bytes");
        if (found->raw.size != tensor->bytes)
            return error_set(error, SERIN_CORRUPT, "%llu elements of %s need %llu bytes, but there are %zu",
                             (unsigned long long)count, type->name, (unsigned long long)tensor->bytes, found->raw.size);
    }
    wanted = type->bits == 4 ? count / 2 + count % 2 : count * type->per_element;
    if (found->has_raw)
        wanted = 0;
    for (i = 0; i <= TENSOR_UINT64_DATA; i++)
        there += i == type->field ? 0 : found->counts[i];
    if (there || found->counts[type->field] != wanted)
        return error_set(error, SERIN_CORRUPT, "%llu elements of %s need %llu values, but there are %llu%s",
                         (unsigned long long)count, type->name, (unsigned long long)wanted,
                         found->counts[type->field] + (unsigned long long)there,
                         there ? ", some in another type's field" : "");
    return SERIN_OK;
}

/* Type and name first: they may come behind the values that they are needed for. */
static enum serin_errc read_head(struct protobuf *file, struct slice bytes, struct onnx_tensor *tensor,
                                 struct serin_error *error)
{
    struct message message = message_open(file, &tensor_message, bytes);
    enum serin_errc rc;
    bool more = false;

    tensor->name = (struct slice){bytes.bytes, 0};
    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            return rc;
        if (message.number == TENSOR_DATA_TYPE)
            tensor->type = message.value;
        if (message.number == TENSOR_NAME)
            tensor->name = message.bytes;
    }
}

enum serin_errc onnx_tensor_read(struct protobuf *file, struct slice bytes, struct onnx_tensor *ret,
                                 struct serin_error *error)
{
    struct message message = message_open(file, &tensor_message, bytes);
    struct onnx_tensor tensor = {.bytes = 0};
    struct found found = {.rank = 0};
    enum serin_errc rc;
    bool more = false;
    char text[80];

    rc = read_head(file, bytes, &tensor, error);
    if (rc)
        return rc;
    slice_text(tensor.name, text, sizeof(text));
    if (!element_type(tensor.type))
        return error_set(error, SERIN_UNSUPPORTED, "tensor '%s' at byte %zu has the unknown element type %llu", text,
                         message.at, (unsigned long long)tensor.type);
    for (;;) {
        rc = message_next(&message, &more, error);
        if (rc || !more)
            break;
        rc = read_field(&message, &tensor, &found, error);
        if (rc)
            break;
    }
    if (rc == SERIN_OK)
        rc = check_values(&found, &tensor, error);
    if (rc)
        return error_prefix(error, rc, "tensor '%s' at byte %zu", text, (size_t)(bytes.bytes - file->bytes));
    *ret = tensor;
    return SERIN_OK;
}
