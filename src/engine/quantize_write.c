/*
 * quantize_write.c - finds the scales, and writes the ONNX file anew with Q and DQ in it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file is walked field by field. What is not touched is copied as it stands; a node whose inputs have other names
 * now is copied but for those; Q and DQ of a tensor come right behind the node that makes it, DQs of weights and bias
 * right before their convolution, so that the order stays topological. New names are the old ones with an ending.
 */
#include "engine/quantize_inside.h"

#include "engine/onnx_fields.h"
#include "engine/protobuf_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CUTS 64 /* ranges that are tried at either end: from all of it down to a quarter */

/* onnx.proto3: TensorProto.DataType, AttributeProto.AttributeType */
enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT32 = 6, ONNX_ATTRIBUTE_INT = 2 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_I = 3, ATTRIBUTE_TYPE = 20 };

ONNX_MESSAGE(model_message, "ModelProto", MODEL_FIELDS)
ONNX_MESSAGE(graph_message, "GraphProto", GRAPH_FIELDS)
ONNX_MESSAGE(node_message, "NodeProto", NODE_FIELDS)
ONNX_MESSAGE(tensor_message, "TensorProto", TENSOR_FIELDS)
ONNX_MESSAGE(value_message, "ValueInfoProto", VALUE_FIELDS)

struct writer {
    struct quantizer *quantizer;
    struct protobuf file;
    struct name_set taken;    /* every name of the file */
    struct name_set tensors;  /* that get a Q; flags: index in quantizer->tensors */
    struct name_set results;  /* of convolutions that are quantized; flags: index in quantizer->convolutions */
    struct name_set replaced; /* initializers that int8 or int32 take the place of; flags: STAYS, WRITTEN */
    struct buffer graph, part, inner;
    size_t tensors_left, convolutions_left;
    struct serin_error *error;
};

enum { STAYS = 1, WRITTEN = 2 }; /* somebody else reads it, too; what takes its place is there */

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* ---- scales ---- */

static struct graph_scale scale_of_range(double low, double high)
{
    struct graph_scale scale = {(float)((high - low) / 255.0), 0};

    if (!(scale.scale > 1e-20f))
        scale.scale = 1.0f / 255.0f;
    scale.zero = (int32_t)rint(-low / (double)scale.scale);
    scale.zero = scale.zero < 0 ? 0 : scale.zero > 255 ? 255 : scale.zero;
    return scale;
}

/* The sum of squared errors of what has been counted; *ret_signal: of the numbers. */
static double squared_error(const struct quantize_group *group, const struct graph_scale *scale, double *ret_signal)
{
    const double width = ((double)group->high - (double)group->low) / QUANTIZE_BINS;
    const double low = -scale->zero, high = 255 - scale->zero;
    double sum = 0, signal = 0;
    int i;

    for (i = 0; i < QUANTIZE_BINS; i++) {
        const double x = (double)group->low + (i + 0.5) * width, n = (double)group->bins[i];
        double q = rint(x / (double)scale->scale);

        q = q < low ? low : q > high ? high : q;
        q = x - q * (double)scale->scale;
        sum += n * (q * q + width * width / 12); /* and what a bin does not tell */
        signal += n * x * x;
    }
    *ret_signal = signal;
    return sum;
}

static void choose_scale(struct quantize_group *group)
{
    double best = INFINITY, signal = 0;
    int end, cut;
    double low = (double)group->low, high = (double)group->high;

    for (end = 0; end < 2; end++) { /* the upper end first: behind SiLU it is the far one */
        const double whole = end ? low : high;
        double chosen = whole;

        for (cut = 0; cut < CUTS; cut++) {
            const double tried = whole * (1 - 0.75 * cut / CUTS);
            const struct graph_scale scale = scale_of_range(end ? tried : low, end ? high : tried);
            const double error = squared_error(group, &scale, &signal);

            if (error < best)
                best = error, chosen = tried;
        }
        if (end)
            low = chosen;
        else
            high = chosen;
    }
    group->scale = scale_of_range(low, high);
    group->noise = signal > 0 ? best / signal : 0;
}

/* Of each output channel the weights' greatest over 127; and so large that the bias, whose scale is the product of this
 * one and that of the input, fits 32 bits. */
static void raise_scales(const struct quantizer *quantizer, const struct quantize_convolution *convolution)
{
    const struct graph_value *weights = &quantizer->graph->values[convolution->weights];
    const float *w = weights->constant;
    const float *bias = convolution->bias == GRAPH_NONE ? NULL : quantizer->graph->values[convolution->bias].constant;
    const float from = quantizer->groups[convolution->group].scale.scale;
    const int64_t each = (int64_t)weights->element_count / weights->shape[0];
    int64_t o, i;

    for (o = 0; o < weights->shape[0]; o++) {
        float most = 0;

        for (i = 0; i < each; i++)
            most = fabsf(w[o * each + i]) > most ? fabsf(w[o * each + i]) : most;
        most /= 127.0f;
        if (bias && fabsf(bias[o]) / (from * 1e9f) > most)
            most = fabsf(bias[o]) / (from * 1e9f);
        most = most > 1e-12f ? most : 1e-12f;
        convolution->scales[o] = convolution->scales[o] > most ? convolution->scales[o] : most;
    }
}

static enum serin_errc give_scales(struct quantizer *quantizer, struct serin_error *error)
{
    int i, k;

    for (i = 0; i < quantizer->graph->value_count; i++)
        if (quantizer->groups[i].bins)
            choose_scale(&quantizer->groups[i]);
    for (i = 0; i < quantizer->convolution_count; i++) {
        struct quantize_convolution *convolution = &quantizer->convolutions[i];

        if (convolution->layer.kept)
            continue;
        for (k = 0; k < i && !convolution->scales; k++)
            if (!quantizer->convolutions[k].layer.kept && quantizer->convolutions[k].weights == convolution->weights)
                convolution->scales = quantizer->convolutions[k].scales;
        if (!convolution->scales)
            convolution->scales =
                arena_new(&quantizer->arena, float, (size_t)quantizer->graph->values[convolution->weights].shape[0]);
        if (!convolution->scales)
            return error_set(error, SERIN_NOMEM, "no memory for scales");
        raise_scales(quantizer, convolution);
    }
    return SERIN_OK;
}

static int8_t weight_of(float w, float scale)
{
    const float q = rintf(w / scale);

    return (int8_t)(q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q);
}

static void rate(struct quantizer *quantizer)
{
    int i;

    for (i = 0; i < quantizer->convolution_count; i++) {
        struct quantize_convolution *convolution = &quantizer->convolutions[i];
        const struct graph_value *weights = &quantizer->graph->values[convolution->weights];
        const float *w = weights->constant;
        double noise = 0, signal = 0;
        uint64_t k;

        if (convolution->layer.kept)
            continue;
        for (k = 0; k < weights->element_count; k++) {
            const float scale = convolution->scales[k / (weights->element_count / (uint64_t)weights->shape[0])];
            const double off = (double)w[k] - (double)((float)weight_of(w[k], scale) * scale);

            noise += off * off;
            signal += (double)w[k] * (double)w[k];
        }
        noise = (signal > 0 ? noise / signal : 0) + quantizer->groups[convolution->group].noise;
        convolution->layer.signal_db = noise > 0 ? -10 * log10(noise) : 100;
    }
}

/* ---- pieces of ONNX ---- */

static void put_name(struct writer *writer, uint32_t field, const char *name, const char *ending)
{
    buffer_clear(&writer->inner);
    buffer_printf(&writer->inner, "%s%s", name, ending);
    put_bytes(&writer->part, field, writer->inner.bytes, writer->inner.size);
}

/* An initializer called name and ending. */
static void put_tensor(struct writer *writer, const char *name, const char *ending, int onnx_type, int rank,
                       const int64_t *shape, const void *bytes, size_t size)
{
    int i;

    buffer_clear(&writer->part);
    for (i = 0; i < rank; i++)
        put_integer(&writer->part, TENSOR_DIMS, (uint64_t)shape[i]);
    put_integer(&writer->part, TENSOR_DATA_TYPE, (uint64_t)onnx_type);
    put_name(writer, TENSOR_NAME, name, ending);
    put_bytes(&writer->part, TENSOR_RAW_DATA, bytes, size);
    put_bytes(&writer->graph, GRAPH_INITIALIZER, writer->part.bytes, writer->part.size);
}

/* A node whose inputs and output are called name and one of endings (input, scale, zero point or NULL, output). The
 * scale is one, or one for each index along dimension 0. */
static void put_node(struct writer *writer, const char *op, const char *name, const char *const endings[4])
{
    struct buffer *part = &writer->part;
    int i;

    buffer_clear(part);
    for (i = 0; i < 3; i++)
        if (endings[i])
            put_name(writer, NODE_INPUT, name, endings[i]);
    put_name(writer, NODE_OUTPUT, name, endings[3]);
    put_name(writer, NODE_NAME, name, endings[3]);
    put_text(part, NODE_OP_TYPE, op);
    buffer_clear(&writer->inner);
    put_text(&writer->inner, ATTRIBUTE_NAME, "axis");
    put_integer(&writer->inner, ATTRIBUTE_I, 0);
    put_integer(&writer->inner, ATTRIBUTE_TYPE, ONNX_ATTRIBUTE_INT);
    put_bytes(part, NODE_ATTRIBUTE, writer->inner.bytes, writer->inner.size);
    put_bytes(&writer->graph, GRAPH_NODE, part->bytes, part->size);
}

/* SERIN_UNSUPPORTED where one of the names to be made is there already. */
static enum serin_errc check_names(struct writer *writer, const char *name, const char *const *endings)
{
    for (; *endings; endings++) {
        buffer_clear(&writer->inner);
        buffer_printf(&writer->inner, "%s%s", name, *endings);
        if (writer->inner.bytes && name_set_find(&writer->taken, slice_of(writer->inner.bytes)))
            return error_set(writer->error, SERIN_UNSUPPORTED, "the file has a '%.120s' already", writer->inner.bytes);
    }
    return SERIN_OK;
}

static enum serin_errc put_q_and_dq(struct writer *writer, const struct quantize_tensor *tensor)
{
    static const char *const made[] = {"_scale", "_zero", "_uint8", "_dq", NULL};
    static const char *const q[] = {"", "_scale", "_zero", "_uint8"}, *const dq[] = {"_uint8", "_scale", "_zero",
                                                                                     "_dq"};
    const char *name = quantize_name(writer->quantizer, tensor->value);
    const struct graph_scale *scale = &writer->quantizer->groups[tensor->group].scale;
    const uint8_t zero = (uint8_t)scale->zero;
    enum serin_errc rc = check_names(writer, name, made);

    if (rc != SERIN_OK)
        return rc;
    put_tensor(writer, name, "_scale", ONNX_FLOAT, 0, NULL, &scale->scale, sizeof(scale->scale));
    put_tensor(writer, name, "_zero", ONNX_UINT8, 0, NULL, &zero, 1);
    put_node(writer, "QuantizeLinear", name, q);
    put_node(writer, "DequantizeLinear", name, dq);
    writer->tensors_left--;
    return SERIN_OK;
}

static enum serin_errc put_weights(struct writer *writer, const struct quantize_convolution *convolution)
{
    static const char *const made[] = {"_int8", "_scale", "_zero", "_dq", NULL};
    static const char *const dq[] = {"_int8", "_scale", "_zero", "_dq"};
    const struct graph_value *weights = &writer->quantizer->graph->values[convolution->weights];
    const char *name = quantize_name(writer->quantizer, convolution->weights);
    struct named *entry = name_set_find(&writer->replaced, slice_of(name));
    const uint64_t each = weights->element_count / (uint64_t)weights->shape[0];
    enum serin_errc rc;
    int8_t *bytes;
    uint64_t i;

    BUG_ON(!entry);
    if (entry->flags & WRITTEN)
        return SERIN_OK;
    entry->flags |= WRITTEN;
    rc = check_names(writer, name, made);
    if (rc != SERIN_OK)
        return rc;
    bytes = calloc(1, (size_t)weights->element_count + 1); /* at first it holds the zero points, which are fewer */
    if (!bytes)
        return error_set(writer->error, SERIN_NOMEM, "no memory for weights");
    put_tensor(writer, name, "_zero", ONNX_INT8, 1, weights->shape, bytes, (size_t)weights->shape[0]);
    put_tensor(writer, name, "_scale", ONNX_FLOAT, 1, weights->shape, convolution->scales,
               (size_t)weights->shape[0] * sizeof(float));
    for (i = 0; i < weights->element_count; i++)
        bytes[i] = weight_of(((const float *)weights->constant)[i], convolution->scales[i / each]);
    put_tensor(writer, name, "_int8", ONNX_INT8, 4, weights->shape, bytes, (size_t)weights->element_count);
    free(bytes);
    put_node(writer, "DequantizeLinear", name, dq);
    return SERIN_OK;
}

/* The bias's scale is that of the sums: the input's times the weights'. */
static enum serin_errc put_bias(struct writer *writer, const struct quantize_convolution *convolution)
{
    static const char *const made[] = {"_bias_int32", "_bias_scale", "_bias_dq", NULL};
    static const char *const dq[] = {"_bias_int32", "_bias_scale", NULL, "_bias_dq"};
    const struct graph_value *bias = &writer->quantizer->graph->values[convolution->bias];
    const float from = writer->quantizer->groups[convolution->group].scale.scale;
    const char *name = quantize_name(writer->quantizer, convolution->y);
    const int64_t count = (int64_t)bias->element_count;
    enum serin_errc rc = check_names(writer, name, made);
    int32_t *integers;
    float *scales;
    int64_t o;

    if (rc != SERIN_OK)
        return rc;
    integers = calloc((size_t)count + 1, sizeof(*integers));
    scales = calloc((size_t)count + 1, sizeof(*scales));
    if (integers && scales) {
        for (o = 0; o < count; o++) {
            scales[o] = from * convolution->scales[o];
            integers[o] = (int32_t)rint((double)((const float *)bias->constant)[o] / (double)scales[o]);
        }
        put_tensor(writer, name, "_bias_scale", ONNX_FLOAT, 1, &count, scales, (size_t)count * sizeof(*scales));
        put_tensor(writer, name, "_bias_int32", ONNX_INT32, 1, &count, integers, (size_t)count * sizeof(*integers));
        put_node(writer, "DequantizeLinear", name, dq);
    } else {
        rc = error_set(writer->error, SERIN_NOMEM, "no memory for a bias");
    }
    free(integers);
    free(scales);
    return rc;
}

/* ---- walking ---- */

/* Calls visit with each field of a message, and with its bytes, the field's number and all. */
static enum serin_errc walk(struct writer *writer, const struct message_type *type, struct slice bytes,
                            enum serin_errc (*visit)(struct writer *writer, const struct message *field,
                                                     struct slice whole))
{
    struct message message = message_open(&writer->file, type, bytes);
    bool more;

    for (;;) {
        const size_t from = message.at;
        enum serin_errc rc = message_next(&message, &more, writer->error);

        if (rc != SERIN_OK || !more)
            return rc;
        rc = visit(writer, &message, (struct slice){writer->file.bytes + from, message.at - from});
        if (rc != SERIN_OK)
            return rc;
    }
}

/* The convolution that a node is, where it is one that is quantized. */
static enum serin_errc convolution_of(struct writer *writer, struct slice node, const struct quantize_convolution **ret)
{
    struct message message = message_open(&writer->file, &node_message, node);
    enum serin_errc rc;
    bool more;

    *ret = NULL;
    for (;;) {
        const struct named *entry;

        rc = message_next(&message, &more, writer->error);
        if (rc != SERIN_OK || !more)
            return rc;
        entry = message.number == NODE_OUTPUT ? name_set_find(&writer->results, message.bytes) : NULL;
        if (entry)
            *ret = &writer->quantizer->convolutions[entry->flags];
    }
}

/* What is read by anybody but a convolution as its weights or bias stays. */
static enum serin_errc find_other_readers(struct writer *writer, const struct message *field, struct slice whole)
{
    const struct quantize_convolution *convolution;
    struct message message;
    enum serin_errc rc;
    bool more;
    int input = 0;

    (void)whole;
    if (field->number == GRAPH_INPUT || field->number == GRAPH_OUTPUT) {
        message = message_open(&writer->file, &value_message, field->bytes);
        for (rc = message_next(&message, &more, writer->error); rc == SERIN_OK && more;
             rc = message_next(&message, &more, writer->error)) {
            struct named *entry = message.number == VALUE_NAME ? name_set_find(&writer->replaced, message.bytes) : NULL;

            if (entry)
                entry->flags |= STAYS;
        }
        return rc;
    }
    if (field->number != GRAPH_NODE)
        return SERIN_OK;
    rc = convolution_of(writer, field->bytes, &convolution);
    if (rc != SERIN_OK)
        return rc;
    message = message_open(&writer->file, &node_message, field->bytes);
    for (rc = message_next(&message, &more, writer->error); rc == SERIN_OK && more;
         rc = message_next(&message, &more, writer->error)) {
        struct named *entry = message.number == NODE_INPUT ? name_set_find(&writer->replaced, message.bytes) : NULL;

        if (entry && (!convolution || input == 0))
            entry->flags |= STAYS;
        input += message.number == NODE_INPUT;
    }
    return rc;
}

/* Copies a node whose inputs are called otherwise now. */
static enum serin_errc copy_node(struct writer *writer, struct slice node,
                                 const struct quantize_convolution *convolution)
{
    struct message message = message_open(&writer->file, &node_message, node);
    struct quantizer *quantizer = writer->quantizer;
    enum serin_errc rc;
    bool more;
    int input = 0;

    buffer_clear(&writer->part);
    for (;;) {
        const size_t from = message.at;

        rc = message_next(&message, &more, writer->error);
        if (rc != SERIN_OK)
            return rc;
        if (!more)
            break;
        if (message.number == NODE_INPUT) {
            const struct named *entry = name_set_find(&writer->tensors, message.bytes);

            input++;
            if (convolution && input == 2) {
                put_name(writer, NODE_INPUT, quantize_name(quantizer, convolution->weights), "_dq");
                continue;
            }
            if (convolution && input == 3) {
                put_name(writer, NODE_INPUT, quantize_name(quantizer, convolution->y), "_bias_dq");
                continue;
            }
            if (entry) {
                put_name(writer, NODE_INPUT, quantize_name(quantizer, quantizer->tensors[entry->flags].value), "_dq");
                continue;
            }
        }
        buffer_append(&writer->part, writer->file.bytes + from, message.at - from);
    }
    put_bytes(&writer->graph, GRAPH_NODE, writer->part.bytes, writer->part.size);
    return SERIN_OK;
}

static enum serin_errc write_node(struct writer *writer, struct slice node)
{
    const struct quantize_convolution *convolution;
    struct message message = message_open(&writer->file, &node_message, node);
    enum serin_errc rc = convolution_of(writer, node, &convolution);
    bool more;

    if (rc == SERIN_OK && convolution)
        rc = put_weights(writer, convolution);
    if (rc == SERIN_OK && convolution && convolution->bias != GRAPH_NONE)
        rc = put_bias(writer, convolution);
    if (rc == SERIN_OK)
        rc = copy_node(writer, node, convolution);
    writer->convolutions_left -= convolution != NULL;
    while (rc == SERIN_OK && (rc = message_next(&message, &more, writer->error)) == SERIN_OK && more) {
        const struct named *entry =
            message.number == NODE_OUTPUT ? name_set_find(&writer->tensors, message.bytes) : NULL;

        if (entry)
            rc = put_q_and_dq(writer, &writer->quantizer->tensors[entry->flags]);
    }
    return rc;
}

static enum serin_errc write_graph_field(struct writer *writer, const struct message *field, struct slice whole)
{
    struct message message;
    enum serin_errc rc;
    bool more;

    if (field->number == GRAPH_NODE)
        return write_node(writer, field->bytes);
    if (field->number == GRAPH_INITIALIZER) {
        message = message_open(&writer->file, &tensor_message, field->bytes);
        for (rc = message_next(&message, &more, writer->error); rc == SERIN_OK && more;
             rc = message_next(&message, &more, writer->error)) {
            const struct named *entry =
                message.number == TENSOR_NAME ? name_set_find(&writer->replaced, message.bytes) : NULL;

            if (entry && !(entry->flags & STAYS))
                return SERIN_OK;
        }
        if (rc != SERIN_OK)
            return rc;
    }
    buffer_append(&writer->graph, whole.bytes, whole.size);
    return SERIN_OK;
}

/* ---- the whole ---- */

static enum serin_errc add_once(struct name_set *set, const char *name, uint32_t flags, struct serin_error *error)
{
    if (!name[0] || name_set_find(set, slice_of(name)))
        return SERIN_OK;
    return name_set_add(set, slice_of(name), flags, error);
}

static enum serin_errc fill_sets(struct writer *writer)
{
    const struct quantizer *quantizer = writer->quantizer;
    enum serin_errc rc = SERIN_OK;
    int i;

    for (i = 0; i < quantizer->read->value_count && rc == SERIN_OK; i++)
        rc = add_once(&writer->taken, quantizer->read->values[i].name, 0, writer->error);
    for (i = 0; i < quantizer->tensor_count && rc == SERIN_OK; i++)
        rc = add_once(&writer->tensors, quantize_name(quantizer, quantizer->tensors[i].value), (uint32_t)i,
                      writer->error);
    for (i = 0; i < quantizer->convolution_count && rc == SERIN_OK; i++) {
        const struct quantize_convolution *convolution = &quantizer->convolutions[i];

        if (convolution->layer.kept)
            continue;
        rc = add_once(&writer->results, quantize_name(quantizer, convolution->y), (uint32_t)i, writer->error);
        if (rc == SERIN_OK)
            rc = add_once(&writer->replaced, quantize_name(quantizer, convolution->weights), 0, writer->error);
        if (rc == SERIN_OK && convolution->bias != GRAPH_NONE)
            rc = add_once(&writer->replaced, quantize_name(quantizer, convolution->bias), 0, writer->error);
    }
    writer->tensors_left = writer->tensors.count;
    writer->convolutions_left = writer->results.count;
    return rc;
}

static enum serin_errc write_model(struct writer *writer, struct buffer *ret)
{
    const struct slice whole = writer->quantizer->file;
    struct message message = message_open(&writer->file, &model_message, whole);
    enum serin_errc rc;
    bool more;

    for (;;) {
        const size_t from = message.at;

        rc = message_next(&message, &more, writer->error);
        if (rc != SERIN_OK || !more)
            return rc;
        if (message.number != MODEL_GRAPH) {
            buffer_append(ret, writer->file.bytes + from, message.at - from);
            continue;
        }
        rc = walk(writer, &graph_message, message.bytes, find_other_readers);
        if (rc == SERIN_OK)
            rc = walk(writer, &graph_message, message.bytes, write_graph_field);
        if (rc == SERIN_OK)
            rc = buffer_check(&writer->graph, "the network", writer->error);
        if (rc != SERIN_OK)
            return rc;
        put_bytes(ret, MODEL_GRAPH, writer->graph.bytes, writer->graph.size);
    }
}

enum serin_errc quantizer_write(struct quantizer *quantizer, struct buffer *ret, struct serin_error *error)
{
    struct writer writer = {
        .quantizer = quantizer, .file = {quantizer->file.bytes, quantizer->file.size, UINT64_MAX}, .error = error};
    enum serin_errc rc = give_scales(quantizer, error);

    name_set_init(&writer.taken), name_set_init(&writer.tensors);
    name_set_init(&writer.results), name_set_init(&writer.replaced);
    buffer_init(&writer.graph, ret->max), buffer_init(&writer.part, ret->max), buffer_init(&writer.inner, ret->max);
    if (rc == SERIN_OK)
        rc = fill_sets(&writer);
    if (rc == SERIN_OK)
        rc = write_model(&writer, ret);
    if (rc == SERIN_OK)
        rc = buffer_check(&writer.part, "a node", error);
    if (rc == SERIN_OK)
        rc = buffer_check(&writer.inner, "a name", error);
    if (rc == SERIN_OK && (writer.tensors_left || writer.convolutions_left)) /* names that were cut as they were read */
        rc = error_set(error, SERIN_UNSUPPORTED, "%zu tensors and %zu convolutions have names that are not plain text",
                       writer.tensors_left, writer.convolutions_left);
    if (rc == SERIN_OK)
        rc = buffer_check(ret, "the quantized file", error);
    if (rc == SERIN_OK)
        rate(quantizer);
    name_set_done(&writer.taken), name_set_done(&writer.tensors);
    name_set_done(&writer.results), name_set_done(&writer.replaced);
    buffer_done(&writer.graph), buffer_done(&writer.part), buffer_done(&writer.inner);
    return rc;
}
