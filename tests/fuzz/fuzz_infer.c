/*
 * fuzz_infer.c - fuzz target: two bytes with the length of the JSON (65535: all of it), and behind them a request of
 * the inference protocol. SPDX-License-Identifier: Apache-2.0
 *
 * What was read is used: the input is filled in, each picture is looked at, an answer is written.
 */
#include "worker/infer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const class_names[] = {"person", "car"};
static struct engine_interface interface = {
    .input_count = 1,
    .output_count = 1,
    .inputs = {{.name = "images", .type = TENSOR_F32, .rank = 4, .shape = {-1, 3, -1, -1}}},
    .outputs = {{.name = "output0", .type = TENSOR_F32, .rank = 2, .shape = {-1, 3}}},
};
static const struct serin_yolo_info info = {
    .class_count = 2, .class_names = class_names, .input_height = 2, .input_width = 4, .stride = 1};
static const struct infer_model model = {
    .name = "m", .version = "v1", .interface = &interface, .info = &info, .max_batch = 4, .max_input_px = 64};

static void answer(const struct infer_request *request)
{
    static const char *texts[INFER_MAX_IMAGES];
    float values[4 * 3] = {1, 2, 3};
    const struct engine_outputs outputs = {
        .count = 1, .tensors = {{.type = TENSOR_F32, .rank = 2, .shape = {4, 3}, .values = values}}};
    struct bytes *body = NULL;
    size_t json_size = 0;
    enum serin_errc rc;
    int i;

    for (i = 0; i < request->image_count; i++)
        texts[i] = "[]";
    rc = request->images ? infer_answer_images(&model, request, texts, &body, &json_size, NULL)
                         : infer_answer_tensors(&model, request, &outputs, 0, 4, &body, &json_size, NULL);
    if (rc != SERIN_OK || json_size > body->size)
        abort();
    bytes_drop(body);
}

static void use(const struct infer_request *request)
{
    unsigned sum = 0;
    int i;

    for (i = 0; request->images && i < request->image_count; i++) {
        const struct infer_slice *picture = &request->pictures[i];

        if (picture->size)
            sum += picture->bytes[0] + picture->bytes[picture->size - 1];
    }
    if (sum > 2u * 255 * INFER_MAX_IMAGES)
        abort();
    if (!request->images) {
        void *tensor = malloc(infer_input_bytes(&model, request));

        if (tensor && infer_fill(&model, request, tensor, NULL) != SERIN_OK && request->binary.bytes)
            abort(); /* its size was checked */
        free(tensor);
    }
    answer(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct parameters parameters;
    struct serin_predict_options defaults = {.conf = 0.25f, .iou = 0.7, .max_det = 300};
    struct infer_request request = {0};
    struct serin_error error = {.code = SERIN_OK};
    size_t json_size;
    enum serin_errc rc;

    if (size < 2)
        return 0;
    json_size = (size_t)bytes[0] | (size_t)bytes[1] << 8;
    parameters_init(&parameters, &defaults);
    rc = infer_read(&model, bytes + 2, size - 2, json_size == 65535 ? INFER_WHOLE : json_size, &parameters, &request,
                    &error);
    if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    if (rc == SERIN_OK)
        use(&request);
    infer_request_done(&request);
    return 0;
}
