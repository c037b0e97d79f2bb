/*
 * infer.c - reading inference requests of the Open Inference Protocol v2.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every size is checked before it is multiplied: a batch is at most max_batch, a side at most max_input_px.
 */
#include "worker/infer.h"

#include <jansson.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *infer_datatype(enum tensor_type type)
{
    switch (type) {
    case TENSOR_F32:
        return "FP32";
    case TENSOR_F16:
        return "FP16";
    case TENSOR_U8:
        return "UINT8";
    case TENSOR_F64:
        return "FP64";
    case TENSOR_I64:
        return "INT64";
    case TENSOR_OTHER:
        break;
    }
    return NULL;
}

void infer_request_done(struct infer_request *request)
{
    free(request->decoded);
    request->decoded = NULL;
}

size_t infer_input_bytes(const struct infer_model *model, const struct infer_request *request)
{
    return (size_t)request->shape[0] * (size_t)request->shape[1] * (size_t)request->shape[2] *
           (size_t)request->shape[3] * tensor_type_bytes(model->interface->inputs[0].type);
}

/* ---- shapes ---- */

static enum serin_errc check_side(const struct infer_model *model, const char *what, int64_t got, int64_t said,
                                  struct serin_error *error)
{
    if (said > 0 && got != said)
        return error_set(error, SERIN_INVALID, "input '%s': the %s is %" PRId64 ", the model's is %" PRId64,
                         model->interface->inputs[0].name, what, got, said);
    if (got < 1 || got > model->max_input_px || got % model->info->stride != 0)
        return error_set(
            error, SERIN_INVALID, "input '%s': the %s is %" PRId64 ", it must be a multiple of %d from %d to %d",
            model->interface->inputs[0].name, what, got, model->info->stride, model->info->stride, model->max_input_px);
    return SERIN_OK;
}

static enum serin_errc check_shape(const struct infer_model *model, const int64_t *shape, int rank,
                                   struct serin_error *error)
{
    const struct tensor_spec *input = &model->interface->inputs[0];
    enum serin_errc rc;

    if (rank != 4)
        return error_set(error, SERIN_INVALID,
                         "input '%s' has %d dimensions, the model's has 4: batch, 3, height, "
                         "width",
                         input->name, rank);
    if (shape[0] < 1 || shape[0] > model->max_batch)
        return error_set(error, SERIN_INVALID, "input '%s': a batch of %" PRId64 ", 1 to %d are possible", input->name,
                         shape[0], model->max_batch);
    if (shape[1] != 3)
        return error_set(error, SERIN_INVALID, "input '%s': %" PRId64 " channels, the model's are 3", input->name,
                         shape[1]);
    rc = check_side(model, "height", shape[2], input->shape[2], error);
    return rc == SERIN_OK ? check_side(model, "width", shape[3], input->shape[3], error) : rc;
}

/* ---- the JSON ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : NULL;
}

static enum serin_errc read_shape(const json_t *input, int64_t *shape, int *ret_rank, struct serin_error *error)
{
    const json_t *list = json_object_get(input, "shape");
    size_t i;

    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > ENGINE_MAX_RANK)
        return error_set(error, SERIN_INVALID, "the input's shape is not a list of 1 to %d whole numbers",
                         ENGINE_MAX_RANK);
    for (i = 0; i < json_array_size(list); i++) {
        const json_t *side = json_array_get(list, i);

        if (!json_is_integer(side))
            return error_set(error, SERIN_INVALID, "the input's shape is not a list of whole numbers");
        shape[i] = json_integer_value(side);
    }
    *ret_rank = (int)json_array_size(list);
    return SERIN_OK;
}

static bool read_flag(const json_t *parameters, const char *name, bool otherwise)
{
    const json_t *value = parameters ? json_object_get(parameters, name) : NULL;

    return json_is_boolean(value) ? json_boolean_value(value) : otherwise;
}

/* A parameter as the text that a query would have: lists become "[a,b]". */
static bool parameter_text(const json_t *value, struct buffer *out)
{
    size_t i;

    if (json_is_string(value))
        buffer_append_text(out, json_string_value(value));
    else if (json_is_integer(value))
        buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        buffer_printf(out, "%.17g", json_real_value(value));
    else if (json_is_array(value)) {
        buffer_append_text(out, "[");
        for (i = 0; i < json_array_size(value); i++) {
            if (i)
                buffer_append_text(out, ",");
            if (json_is_array(json_array_get(value, i)) || !parameter_text(json_array_get(value, i), out))
                return false;
        }
        buffer_append_text(out, "]");
    } else {
        return false;
    }
    return buffer_check(out, "a parameter", NULL) == SERIN_OK && out->bytes && strlen(out->bytes) == out->size;
}

static enum serin_errc read_parameters(const struct infer_model *model, const json_t *object,
                                       struct parameters *parameters, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    struct buffer text;
    int i;

    buffer_init(&text, PARAMETERS_MAX_TEXT);
    for (i = 0; object && parameters_names[i] && rc == SERIN_OK; i++) {
        const json_t *value = json_object_get(object, parameters_names[i]);

        if (!value)
            continue;
        buffer_clear(&text);
        if (!parameter_text(value, &text))
            rc = error_set(error, SERIN_INVALID, "parameter %s is not a number, a text or a list of them",
                           parameters_names[i]);
        else
            rc = parameters_set(parameters, parameters_names[i], text.bytes, model->info, model->max_input_px, error);
    }
    buffer_done(&text);
    return rc;
}

static int find_output(const struct infer_model *model, const struct infer_request *request, const char *name)
{
    int i;

    if (request->images)
        return strcmp(name, "detections") == 0 ? 0 : -1;
    for (i = 0; i < model->interface->output_count; i++)
        if (strcmp(model->interface->outputs[i].name, name) == 0)
            return i;
    return -1;
}

static void select_all_outputs(const struct infer_model *model, struct infer_request *request, bool binary)
{
    int i;

    request->output_count = request->images ? 1 : model->interface->output_count;
    for (i = 0; i < request->output_count; i++)
        request->outputs[i] = (struct infer_output){.index = i, .binary = binary};
}

static enum serin_errc read_outputs(const struct infer_model *model, const json_t *root, struct infer_request *ret,
                                    struct serin_error *error)
{
    const json_t *list = json_object_get(root, "outputs"), *parameters = json_object_get(root, "parameters");
    bool binary = read_flag(parameters, "binary_data_output", false);
    size_t i;

    if (!list || (json_is_array(list) && json_array_size(list) == 0)) {
        select_all_outputs(model, ret, binary);
        return SERIN_OK;
    }
    if (!json_is_array(list) || json_array_size(list) > ENGINE_MAX_TENSORS)
        return error_set(error, SERIN_INVALID, "outputs is not a list of at most %d", ENGINE_MAX_TENSORS);
    for (i = 0; i < json_array_size(list); i++) {
        const json_t *output = json_array_get(list, i), *own = json_object_get(output, "parameters");
        const char *name = text_of(output, "name");
        int index = name ? find_output(model, ret, name) : -1;

        if (index < 0)
            return error_set(error, SERIN_INVALID, "output '%s' is not one of the model's", name ? name : "");
        if (own && (json_object_get(own, "shared_memory_region") || json_object_get(own, "classification")))
            return error_set(error, SERIN_UNSUPPORTED, "output '%s': shared memory and classification are not offered",
                             name);
        ret->outputs[i] = (struct infer_output){.index = index, .binary = read_flag(own, "binary_data", binary)};
    }
    ret->output_count = (int)json_array_size(list);
    return SERIN_OK;
}

/* Where the input's bytes are: the binary part, or what was cut out of the JSON. */
static enum serin_errc find_data(const json_t *input, struct infer_slice cut, struct infer_slice binary,
                                 struct infer_request *ret, struct serin_error *error)
{
    const json_t *parameters = json_object_get(input, "parameters");
    const json_t *said = parameters ? json_object_get(parameters, "binary_data_size") : NULL;
    size_t prefixes = ret->images ? 4 * (size_t)ret->image_count : 0; /* some clients leave them out of the sum */

    if (parameters && json_object_get(parameters, "shared_memory_region"))
        return error_set(error, SERIN_UNSUPPORTED, "shared memory is not offered, send the input's data");
    if (said) {
        json_int_t bytes = json_is_integer(said) ? json_integer_value(said) : -1;

        if (cut.bytes)
            return error_set(error, SERIN_INVALID, "the input has both data and binary_data_size");
        if (bytes < 0 || ((uint64_t)bytes != binary.size && (uint64_t)bytes + prefixes != binary.size))
            return error_set(error, SERIN_INVALID,
                             "binary_data_size is %" JSON_INTEGER_FORMAT ", behind the JSON lie %zu bytes", bytes,
                             binary.size);
        ret->binary = binary;
        return SERIN_OK;
    }
    if (!cut.bytes)
        return error_set(error, SERIN_INVALID, "the input has neither a list of data nor binary_data_size");
    if (binary.size > 0)
        return error_set(error, SERIN_INVALID, "%zu bytes lie behind the JSON, but no input claims them", binary.size);
    ret->numbers = cut;
    return SERIN_OK;
}

static enum serin_errc read_images(const int64_t *shape, int rank, struct infer_request *ret, struct serin_error *error)
{
    if (rank > 2 || (rank == 2 && shape[1] != 1) || shape[0] < 1 || shape[0] > INFER_MAX_IMAGES)
        return error_set(error, SERIN_INVALID, "input 'image' has the shape [N], N from 1 to %d", INFER_MAX_IMAGES);
    ret->image_count = (int)shape[0];
    return SERIN_OK;
}

static enum serin_errc read_input(const struct infer_model *model, const json_t *root, struct infer_slice cut,
                                  struct infer_slice binary, struct infer_request *ret, struct serin_error *error)
{
    const struct tensor_spec *expected = &model->interface->inputs[0];
    const json_t *inputs = json_object_get(root, "inputs"), *input;
    const char *name, *datatype;
    int64_t shape[ENGINE_MAX_RANK] = {0};
    enum serin_errc rc;
    int rank = 0;

    if (!json_is_array(inputs) || json_array_size(inputs) != 1)
        return error_set(error, SERIN_INVALID, "%zu inputs: the model has 1, '%s'",
                         json_is_array(inputs) ? json_array_size(inputs) : 0, expected->name);
    input = json_array_get(inputs, 0);
    name = text_of(input, "name");
    datatype = text_of(input, "datatype");
    if (!name || !datatype)
        return error_set(error, SERIN_INVALID, "the input lacks its name or its datatype");
    rc = read_shape(input, shape, &rank, error);
    if (rc != SERIN_OK)
        return rc;
    if (strcmp(name, "image") == 0 && strcmp(datatype, "BYTES") == 0) {
        ret->images = true;
        rc = read_images(shape, rank, ret, error);
    } else if (strcmp(name, expected->name) != 0) {
        rc = error_set(error, SERIN_INVALID,
                       "input '%s' is not the model's: that is '%s' (or 'image', BYTES, for encoded pictures)", name,
                       expected->name);
    } else if (strcmp(datatype, infer_datatype(expected->type)) != 0) {
        rc = error_set(error, SERIN_INVALID, "input '%s' is %s, the model's is %s", name, datatype,
                       infer_datatype(expected->type));
    } else {
        rc = check_shape(model, shape, rank, error);
        if (rc == SERIN_OK)
            memcpy(ret->shape, shape, sizeof(ret->shape));
    }
    return rc == SERIN_OK ? find_data(input, cut, binary, ret, error) : rc;
}

static enum serin_errc read_root(const struct infer_model *model, const json_t *root, struct infer_slice cut,
                                 struct infer_slice binary, struct parameters *parameters, struct infer_request *ret,
                                 struct serin_error *error)
{
    const json_t *id = json_object_get(root, "id");
    enum serin_errc rc;

    if (!json_is_object(root))
        return error_set(error, SERIN_INVALID, "the request is not a JSON object");
    if (id) {
        if (!json_is_string(id) || json_string_length(id) > INFER_MAX_ID ||
            strlen(json_string_value(id)) != json_string_length(id))
            return error_set(error, SERIN_INVALID, "id is not a text of at most %d bytes", INFER_MAX_ID);
        ret->has_id = true;
        memcpy(ret->id, json_string_value(id), json_string_length(id) + 1);
    }
    rc = read_input(model, root, cut, binary, ret, error);
    if (rc == SERIN_OK)
        rc = read_outputs(model, root, ret, error);
    if (rc == SERIN_OK)
        rc = read_parameters(model, json_object_get(root, "parameters"), parameters, error);
    return rc;
}

static enum serin_errc read_json(const struct infer_model *model, const uint8_t *body, size_t size, size_t json_size,
                                 struct parameters *parameters, struct infer_request *ret, struct serin_error *error)
{
    const struct infer_slice binary = {body + json_size, size - json_size};
    struct infer_slice cut = {0};
    json_error_t wrong;
    struct buffer rest;
    json_t *root;
    enum serin_errc rc;

    buffer_init(&rest, INFER_MAX_JSON_BYTES);
    rc = infer_cut_data((const char *)body, json_size, &rest, &cut, error);
    if (rc == SERIN_OK) {
        root = json_loadb(rest.bytes ? rest.bytes : "", rest.size, JSON_REJECT_DUPLICATES, &wrong);
        if (root)
            rc = read_root(model, root, cut, binary, parameters, ret, error);
        else
            rc = error_set(error, SERIN_INVALID, "the request is not JSON: line %d: %s", wrong.line, wrong.text);
        json_decref(root);
    }
    buffer_done(&rest);
    return rc;
}

/* The raw form: a batch of 1 whose size says the rest, which it only can where the model's size is fixed. */
static enum serin_errc read_raw(const struct infer_model *model, const uint8_t *body, size_t size,
                                struct infer_request *ret, struct serin_error *error)
{
    const struct serin_yolo_info *info = model->info;
    size_t expected;

    ret->shape[0] = 1;
    ret->shape[1] = 3;
    ret->shape[2] = info->input_height;
    ret->shape[3] = info->input_width;
    expected = infer_input_bytes(model, ret);
    if (size != expected)
        return error_set(error, SERIN_INVALID, "a raw request of %zu bytes: one input of %d x %d is %zu", size,
                         info->input_width, info->input_height, expected);
    ret->binary = (struct infer_slice){body, size};
    select_all_outputs(model, ret, true);
    return SERIN_OK;
}

enum serin_errc infer_read(const struct infer_model *model, const uint8_t *body, size_t size, size_t json_size,
                           struct parameters *parameters, struct infer_request *ret, struct serin_error *error)
{
    struct infer_request request = {0};
    enum serin_errc rc;

    if (json_size != INFER_WHOLE && json_size > size)
        return error_set(error, SERIN_INVALID, "Inference-Header-Content-Length is %zu, the body has %zu bytes",
                         json_size, size);
    if (json_size == 0)
        rc = read_raw(model, body, size, &request, error);
    else
        rc = read_json(model, body, size, json_size == INFER_WHOLE ? size : json_size, parameters, &request, error);
    if (rc == SERIN_OK && !request.images && request.binary.bytes &&
        request.binary.size != infer_input_bytes(model, &request))
        rc = error_set(error, SERIN_INVALID, "input '%s' has %zu bytes, its shape says %zu",
                       model->interface->inputs[0].name, request.binary.size, infer_input_bytes(model, &request));
    if (rc == SERIN_OK && request.images)
        rc = request.binary.bytes
                 ? infer_read_elements(request.binary, request.image_count, request.pictures, error)
                 : infer_read_base64(request.numbers, request.image_count, request.pictures, &request.decoded, error);
    if (rc == SERIN_OK)
        *ret = request;
    else
        infer_request_done(&request);
    return rc;
}

enum serin_errc infer_fill(const struct infer_model *model, const struct infer_request *request, void *tensor,
                           struct serin_error *error)
{
    size_t bytes = infer_input_bytes(model, request);
    enum tensor_type type = model->interface->inputs[0].type;

    if (!request->binary.bytes)
        return infer_read_numbers(request->numbers, type, tensor, bytes / tensor_type_bytes(type), error);
    memcpy(tensor, request->binary.bytes, bytes);
    return SERIN_OK;
}
