/*
 * infer_answer.c - answers of the Open Inference Protocol v2: JSON, and raw tensors behind it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/infer.h"

#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_ANSWER_BYTES ((size_t)1 << 30)

/* The pictures' share of an output. */
struct share {
    const struct tensor *tensor;
    const uint8_t *bytes;
    size_t count, size_bytes; /* values; bytes */
};

static void begin(struct json_writer *json, const struct infer_model *model, const struct infer_request *request)
{
    json_begin_object(json);
    if (request->has_id) {
        json_key(json, "id");
        json_write_string(json, request->id);
    }
    json_key(json, "model_name");
    json_write_string(json, model->name);
    json_key(json, "model_version");
    json_write_string(json, model->version);
    json_key(json, "outputs");
    json_begin_array(json);
}

static void write_binary_size(struct json_writer *json, size_t bytes)
{
    json_key(json, "parameters");
    json_begin_object(json);
    json_key(json, "binary_data_size");
    json_write_integer(json, (int64_t)bytes);
    json_end_object(json);
}

static enum serin_errc find_share(const struct infer_model *model, const struct infer_request *request,
                                  const struct engine_outputs *outputs, int index, size_t first, size_t batch,
                                  struct share *ret, struct serin_error *error)
{
    const struct tensor *tensor = &outputs->tensors[index];
    size_t row = 1;
    int i;

    if (tensor->rank < 1 || tensor->shape[0] != (int64_t)batch || !infer_datatype(tensor->type))
        return error_set(error, SERIN_MODEL, "output '%s' has no row for each picture of a batch of %zu",
                         model->interface->outputs[index].name, batch);
    for (i = 1; i < tensor->rank; i++)
        row *= (size_t)tensor->shape[i];
    ret->tensor = tensor;
    ret->count = row * (size_t)request->shape[0];
    ret->size_bytes = ret->count * tensor_type_bytes(tensor->type);
    ret->bytes = (const uint8_t *)tensor->values + first * row * tensor_type_bytes(tensor->type);
    return SERIN_OK;
}

static enum serin_errc write_numbers(struct buffer *out, const struct share *share, struct serin_error *error)
{
    size_t i;

    if (share->tensor->type == TENSOR_F16)
        return error_set(error, SERIN_INVALID, "FP16 outputs have no form in JSON, ask for binary_data");
    buffer_append_text(out, "[");
    for (i = 0; i < share->count; i++) {
        const char *comma = i ? "," : "";
        double value;

        switch (share->tensor->type) {
        case TENSOR_U8:
            buffer_printf(out, "%s%d", comma, share->bytes[i]);
            continue;
        case TENSOR_I64: {
            int64_t whole;

            memcpy(&whole, share->bytes + 8 * i, sizeof(whole));
            buffer_printf(out, "%s%" PRId64, comma, whole);
            continue;
        }
        case TENSOR_F64:
            memcpy(&value, share->bytes + 8 * i, sizeof(value));
            break;
        default: {
            float single;

            memcpy(&single, share->bytes + 4 * i, sizeof(single));
            value = (double)single;
        }
        }
        if (!isfinite(value))
            return error_set(error, SERIN_INVALID, "an output holds %g, which JSON lacks: ask for binary_data", value);
        buffer_printf(out, share->tensor->type == TENSOR_F64 ? "%s%.17g" : "%s%.9g", comma, value);
    }
    buffer_append_text(out, "]");
    return buffer_check(out, "the answer", error);
}

static enum serin_errc write_output(const struct infer_model *model, const struct infer_request *request,
                                    const struct share *share, const struct infer_output *output,
                                    struct json_writer *json, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    int i;

    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, model->interface->outputs[output->index].name);
    json_key(json, "datatype");
    json_write_string(json, infer_datatype(share->tensor->type));
    json_key(json, "shape");
    json_begin_array(json);
    json_write_integer(json, request->shape[0]);
    for (i = 1; i < share->tensor->rank; i++)
        json_write_integer(json, share->tensor->shape[i]);
    json_end_array(json);
    if (output->binary) {
        write_binary_size(json, share->size_bytes);
    } else {
        json_key(json, "data");
        json_write_raw(json, ""); /* the writer's commas; the numbers follow straight into its buffer */
        rc = write_numbers(json->out, share, error);
    }
    json_end_object(json);
    return rc;
}

/* The JSON and room behind it. */
static enum serin_errc new_answer(const struct buffer *json, size_t binary_bytes, struct bytes **ret,
                                  struct serin_error *error)
{
    enum serin_errc rc = buffer_check(json, "the answer", error);
    struct bytes *answer;

    if (rc != SERIN_OK)
        return rc;
    answer = bytes_new(json->size + binary_bytes);
    if (!answer)
        return error_set(error, SERIN_NOMEM, "no memory for an answer of %zu bytes", json->size + binary_bytes);
    memcpy(answer->data, json->bytes, json->size);
    answer->size = json->size;
    *ret = answer;
    return SERIN_OK;
}

static void append(struct bytes *answer, const void *bytes, size_t size)
{
    memcpy(answer->data + answer->size, bytes, size);
    answer->size += size;
}

enum serin_errc infer_answer_tensors(const struct infer_model *model, const struct infer_request *request,
                                     const struct engine_outputs *outputs, size_t first, size_t batch,
                                     struct bytes **ret, size_t *ret_json_size, struct serin_error *error)
{
    struct share shares[ENGINE_MAX_TENSORS];
    enum serin_errc rc = SERIN_OK;
    struct json_writer json;
    struct buffer text;
    size_t binary = 0;
    int i;

    buffer_init(&text, MAX_ANSWER_BYTES);
    json_init(&json, &text);
    begin(&json, model, request);
    for (i = 0; i < request->output_count && rc == SERIN_OK; i++) {
        const struct infer_output *output = &request->outputs[i];

        rc = find_share(model, request, outputs, output->index, first, batch, &shares[i], error);
        if (rc == SERIN_OK)
            rc = write_output(model, request, &shares[i], output, &json, error);
        binary += rc == SERIN_OK && output->binary ? shares[i].size_bytes : 0;
    }
    if (rc == SERIN_OK) {
        json_end_array(&json);
        json_end_object(&json);
        rc = new_answer(&text, binary, ret, error);
    }
    for (i = 0; i < request->output_count && rc == SERIN_OK; i++)
        if (request->outputs[i].binary)
            append(*ret, shares[i].bytes, shares[i].size_bytes);
    if (rc == SERIN_OK)
        *ret_json_size = text.size;
    buffer_done(&text);
    return rc;
}

enum serin_errc infer_answer_images(const struct infer_model *model, const struct infer_request *request,
                                    const char *const *texts, struct bytes **ret, size_t *ret_json_size,
                                    struct serin_error *error)
{
    bool is_binary = request->outputs[0].binary;
    struct json_writer json;
    struct buffer text;
    size_t binary = 0;
    enum serin_errc rc;
    int i;

    for (i = 0; i < request->image_count && is_binary; i++)
        binary += 4 + strlen(texts[i]);
    buffer_init(&text, MAX_ANSWER_BYTES);
    json_init(&json, &text);
    begin(&json, model, request);
    json_begin_object(&json);
    json_key(&json, "name");
    json_write_string(&json, "detections");
    json_key(&json, "datatype");
    json_write_string(&json, "BYTES");
    json_key(&json, "shape");
    json_begin_array(&json);
    json_write_integer(&json, request->image_count);
    json_end_array(&json);
    if (is_binary) {
        write_binary_size(&json, binary);
    } else {
        json_key(&json, "data");
        json_begin_array(&json);
        for (i = 0; i < request->image_count; i++)
            json_write_string(&json, texts[i]);
        json_end_array(&json);
    }
    json_end_object(&json);
    json_end_array(&json);
    json_end_object(&json);
    rc = new_answer(&text, binary, ret, error);
    for (i = 0; i < request->image_count && rc == SERIN_OK && is_binary; i++) {
        size_t size = strlen(texts[i]);
        const uint8_t prefix[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24)};

        append(*ret, prefix, sizeof(prefix));
        append(*ret, texts[i], size);
    }
    if (rc == SERIN_OK)
        *ret_json_size = text.size;
    buffer_done(&text);
    return rc;
}
