/*
 * onnxruntime.c - the backend that runs ONNX files with ONNX Runtime's C API, on the CPU or an NVIDIA GPU.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One OrtEnv serves the process and is never released; its log is silenced, because what matters comes back as a
 * status. Threads are always explicit: ONNX Runtime's own default takes every core of the machine, which starves its
 * neighbours in a container (onnxruntime_backend #245). The CUDA and TensorRT providers are shared libraries beside
 * libonnxruntime.so that ONNX Runtime loads when asked; where they are missing, asking is an error.
 */
#include "engine/engine.h"

#include "base/memory_limit.h"
#include "engine/ort_message.h"

#include <onnxruntime_c_api.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CAUSE_BYTES 4000 /* of one message of ONNX Runtime */

struct session {
    OrtSession *session;
    OrtMemoryInfo *memory;
};

static const OrtApi *api;
static OrtEnv *env;

static void ORT_API_CALL drop_log(void *user, OrtLoggingLevel severity, const char *category, const char *log_id,
                                  const char *location, const char *message)
{
    (void)user, (void)severity, (void)category, (void)log_id, (void)location, (void)message;
}

/* Since 1.29 the official Linux builds begin, as the environment is made, to send telemetry: a shell that runs blkid, a
 * device id in the home folder, a thread that uploads. DisableTelemetryEvents comes after that; only this variable
 * comes before. It is set as the library is loaded, because a program may have threads, which read the environment,
 * when it opens its first model. */
__attribute__((constructor)) static void refuse_telemetry(void)
{
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
}

static void start_runtime(void)
{
    api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!api)
        return;
    OrtStatus *status = api->CreateEnvWithCustomLogger(drop_log, NULL, ORT_LOGGING_LEVEL_FATAL, "serin", &env);
    if (status)
        api->ReleaseStatus(status);
    else
        api->ReleaseStatus(api->DisableTelemetryEvents(env));
}

/* Takes the status over: SERIN_OK for NULL, else its message behind what was being done. */
static enum serin_errc check(OrtStatus *status, enum serin_errc code, const char *doing, struct serin_error *error)
{
    char cause[MAX_CAUSE_BYTES + 1], limit[80] = "";
    const uint64_t limit_bytes = memory_limit_in_force();

    if (!status)
        return SERIN_OK;
    ort_message_copy(api->GetErrorMessage(status), cause, sizeof(cause));
    if (limit_bytes && (strstr(cause, "Failed to allocate memory") || strstr(cause, "bad_alloc")))
        snprintf(limit, sizeof(limit), "; this process may take %" PRIu64 " MB", limit_bytes / 1000000);
    error_set(error, code, "%s: ONNX Runtime: %s%s", doing, cause, limit);
    api->ReleaseStatus(status);
    return code;
}

static enum tensor_type type_of(ONNXTensorElementDataType type)
{
    switch ((int)type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
        return TENSOR_F32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
        return TENSOR_F16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
        return TENSOR_U8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
        return TENSOR_F64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
        return TENSOR_I64;
    default:
        return TENSOR_OTHER;
    }
}

static ONNXTensorElementDataType ort_type_of(enum tensor_type type)
{
    switch (type) {
    case TENSOR_F32:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case TENSOR_F16:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case TENSOR_U8:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case TENSOR_F64:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    case TENSOR_I64:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case TENSOR_OTHER:
        break;
    }
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

/* ---- opening ---- */

static enum serin_errc append_cuda(OrtSessionOptions *options, int device, struct serin_error *error)
{
    OrtCUDAProviderOptionsV2 *cuda = NULL;
    enum serin_errc rc;
    char number[16];
    /* EXHAUSTIVE search costs seconds at the first run and pays back in serving; warm-up hides it. */
    const char *keys[] = {"device_id", "cudnn_conv_algo_search"};
    const char *values[] = {number, "EXHAUSTIVE"};

    snprintf(number, sizeof(number), "%d", device);
    rc = check(api->CreateCUDAProviderOptions(&cuda), SERIN_ENGINE, "CUDA provider", error);
    if (rc == SERIN_OK)
        rc = check(api->UpdateCUDAProviderOptions(cuda, keys, values, 2), SERIN_ENGINE, "CUDA provider", error);
    if (rc == SERIN_OK)
        rc = check(api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda), SERIN_ENGINE, "CUDA provider",
                   error);
    if (cuda)
        api->ReleaseCUDAProviderOptions(cuda);
    return rc;
}

static enum serin_errc append_tensorrt(OrtSessionOptions *options, int device, const char *cache_dir,
                                       struct serin_error *error)
{
    OrtTensorRTProviderOptionsV2 *tensorrt = NULL;
    enum serin_errc rc;
    char number[16];
    const char *keys[] = {"device_id", "trt_fp16_enable", "trt_engine_cache_enable", "trt_engine_cache_path",
                          "trt_timing_cache_enable"};
    const char *values[] = {number, "0", "1", cache_dir, "1"};

    snprintf(number, sizeof(number), "%d", device);
    rc = check(api->CreateTensorRTProviderOptions(&tensorrt), SERIN_ENGINE, "TensorRT provider", error);
    if (rc == SERIN_OK)
        rc = check(api->UpdateTensorRTProviderOptions(tensorrt, keys, values, cache_dir ? 5 : 2), SERIN_ENGINE,
                   "TensorRT provider", error);
    if (rc == SERIN_OK)
        rc = check(api->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt), SERIN_ENGINE,
                   "TensorRT provider", error);
    if (tensorrt)
        api->ReleaseTensorRTProviderOptions(tensorrt);
    return rc;
}

static enum serin_errc append_provider(OrtSessionOptions *options, const struct engine_options *wanted,
                                       struct serin_error *error)
{
    enum serin_errc rc;

    if (strcmp(wanted->provider, "cpu") == 0)
        return SERIN_OK;
    if (strcmp(wanted->provider, "cuda") == 0)
        return append_cuda(options, wanted->device, error);
    rc = append_tensorrt(options, wanted->device, wanted->cache_dir, error);
    /* What TensorRT cannot take of the graph runs on CUDA rather than the CPU, where CUDA is there too. */
    if (rc == SERIN_OK)
        (void)append_cuda(options, wanted->device, NULL);
    return rc;
}

static enum serin_errc create_session(struct engine *engine, const uint8_t *bytes, size_t size_bytes,
                                      const struct engine_options *wanted, struct serin_error *error)
{
    struct session *session = engine->state;
    OrtSessionOptions *options = NULL;
    enum serin_errc rc;

    rc = check(api->CreateSessionOptions(&options), SERIN_ENGINE, "session options", error);
    if (rc != SERIN_OK)
        return rc;
    rc = check(api->SetIntraOpNumThreads(options, wanted->threads), SERIN_ENGINE, "threads", error);
    if (rc == SERIN_OK)
        rc = check(api->SetInterOpNumThreads(options, 1), SERIN_ENGINE, "threads", error);
    if (rc == SERIN_OK)
        rc = check(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL), SERIN_ENGINE, "optimisation", error);
    /* Threads that wait sleep: spinning gains a tenth in latency and costs nearly twice the processor time, which the
     * other version on the same cores needs. */
    if (rc == SERIN_OK)
        rc = check(api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"), SERIN_ENGINE, "threads",
                   error);
    /* It takes a Pad of any number into a MaxPool, which pads with the least one: yolov3-tiny got other boxes. */
    if (rc == SERIN_OK)
        rc = check(api->AddSessionConfigEntry(options, "optimization.disable_specified_optimizers", "Pad_Fusion"),
                   SERIN_ENGINE, "optimisation", error);
    if (rc == SERIN_OK)
        rc = append_provider(options, wanted, error);
    if (rc == SERIN_OK)
        rc = check(api->CreateSessionFromArray(env, bytes, size_bytes, options, &session->session), SERIN_CORRUPT,
                   "loading the model", error);
    api->ReleaseSessionOptions(options);
    if (rc == SERIN_OK)
        snprintf(engine->provider, sizeof(engine->provider), "%s", wanted->provider);
    return rc;
}

static enum serin_errc read_spec(const OrtTypeInfo *info, const char *name, struct tensor_spec *ret,
                                 struct serin_error *error)
{
    const OrtTensorTypeAndShapeInfo *shape = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    enum serin_errc rc;
    size_t rank = 0;

    rc = check(api->CastTypeInfoToTensorInfo(info, &shape), SERIN_ENGINE, "shapes", error);
    if (rc != SERIN_OK)
        return rc;
    if (!shape)
        return error_set(error, SERIN_UNSUPPORTED, "'%s' is not a tensor", name);
    rc = check(api->GetTensorElementType(shape, &type), SERIN_ENGINE, "shapes", error);
    if (rc == SERIN_OK)
        rc = check(api->GetDimensionsCount(shape, &rank), SERIN_ENGINE, "shapes", error);
    if (rc != SERIN_OK)
        return rc;
    if (rank > ENGINE_MAX_RANK)
        return error_set(error, SERIN_UNSUPPORTED, "'%s' has %zu dimensions, the limit is %d", name, rank,
                         ENGINE_MAX_RANK);
    if (strlen(name) >= sizeof(ret->name))
        return error_set(error, SERIN_LIMIT, "a tensor's name has %zu bytes, the limit is %zu", strlen(name),
                         sizeof(ret->name) - 1);
    memcpy(ret->name, name, strlen(name) + 1);
    ret->type = type_of(type);
    ret->rank = (int)rank;
    return check(api->GetDimensions(shape, ret->shape, rank), SERIN_ENGINE, "shapes", error);
}

static enum serin_errc read_side(const OrtSession *session, bool inputs, int *ret_count, struct tensor_spec *specs,
                                 struct serin_error *error)
{
    OrtAllocator *allocator = NULL;
    enum serin_errc rc;
    size_t count = 0, i;

    rc = check(api->GetAllocatorWithDefaultOptions(&allocator), SERIN_ENGINE, "allocator", error);
    if (rc == SERIN_OK)
        rc = check(inputs ? api->SessionGetInputCount(session, &count) : api->SessionGetOutputCount(session, &count),
                   SERIN_ENGINE, "shapes", error);
    if (rc != SERIN_OK)
        return rc;
    if (count > ENGINE_MAX_TENSORS)
        return error_set(error, SERIN_UNSUPPORTED, "the model has %zu %s, the limit is %d", count,
                         inputs ? "inputs" : "outputs", ENGINE_MAX_TENSORS);
    for (i = 0; i < count && rc == SERIN_OK; i++) {
        OrtTypeInfo *info = NULL;
        char *name = NULL;

        rc = check(inputs ? api->SessionGetInputName(session, i, allocator, &name)
                          : api->SessionGetOutputName(session, i, allocator, &name),
                   SERIN_ENGINE, "names", error);
        if (rc == SERIN_OK)
            rc = check(inputs ? api->SessionGetInputTypeInfo(session, i, &info)
                              : api->SessionGetOutputTypeInfo(session, i, &info),
                       SERIN_ENGINE, "shapes", error);
        if (rc == SERIN_OK)
            rc = read_spec(info, name, &specs[i], error);
        if (info)
            api->ReleaseTypeInfo(info);
        if (name)
            api->ReleaseStatus(api->AllocatorFree(allocator, name));
    }
    *ret_count = (int)count;
    return rc;
}

static enum serin_errc onnxruntime_open(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                                        struct engine *engine, struct serin_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct session *session;
    enum serin_errc rc;

    pthread_once(&once, start_runtime);
    if (!api || !env)
        return error_set(error, SERIN_ENGINE, "ONNX Runtime %s does not offer version %d of its C API",
                         OrtGetApiBase()->GetVersionString(), ORT_API_VERSION);
    session = calloc(1, sizeof(*session));
    if (!session)
        return error_set(error, SERIN_NOMEM, "no memory for a session");
    engine->state = session;
    rc = create_session(engine, bytes, size_bytes, options, error);
    if (rc == SERIN_OK)
        rc = check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &session->memory), SERIN_ENGINE,
                   "memory", error);
    if (rc == SERIN_OK)
        rc = read_side(session->session, true, &engine->interface.input_count, engine->interface.inputs, error);
    if (rc == SERIN_OK)
        rc = read_side(session->session, false, &engine->interface.output_count, engine->interface.outputs, error);
    return rc;
}

static void onnxruntime_close(struct engine *engine)
{
    struct session *session = engine->state;

    if (!session)
        return;
    if (session->memory)
        api->ReleaseMemoryInfo(session->memory);
    if (session->session)
        api->ReleaseSession(session->session);
    free(session);
    engine->state = NULL;
}

/* ---- running ---- */

static enum serin_errc describe_output(OrtValue *value, const char *name, struct tensor *ret, struct serin_error *error)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    enum serin_errc rc;
    size_t rank = 0;

    rc = check(api->GetTensorTypeAndShape(value, &info), SERIN_ENGINE, name, error);
    if (rc == SERIN_OK)
        rc = check(api->GetTensorElementType(info, &type), SERIN_ENGINE, name, error);
    if (rc == SERIN_OK)
        rc = check(api->GetDimensionsCount(info, &rank), SERIN_ENGINE, name, error);
    if (rc == SERIN_OK && rank > ENGINE_MAX_RANK)
        rc = error_set(error, SERIN_MODEL, "output '%s' came with %zu dimensions, the limit is %d", name, rank,
                       ENGINE_MAX_RANK);
    if (rc == SERIN_OK) {
        ret->type = type_of(type);
        ret->rank = (int)rank;
        rc = check(api->GetDimensions(info, ret->shape, rank), SERIN_ENGINE, name, error);
    }
    if (rc == SERIN_OK)
        rc = check(api->GetTensorMutableData(value, &ret->values), SERIN_ENGINE, name, error);
    if (info)
        api->ReleaseTensorTypeAndShapeInfo(info);
    return rc;
}

static size_t tensor_bytes(const struct tensor *tensor)
{
    size_t bytes = tensor_type_bytes(tensor->type);
    int d;

    for (d = 0; d < tensor->rank; d++)
        BUG_ON(__builtin_mul_overflow(bytes, (size_t)tensor->shape[d], &bytes));
    return bytes;
}

static void onnxruntime_outputs_done(const struct engine *engine, struct engine_outputs *outputs)
{
    int i;

    (void)engine;
    for (i = 0; i < ENGINE_MAX_TENSORS; i++)
        if (outputs->handles[i])
            api->ReleaseValue(outputs->handles[i]);
}

static enum serin_errc onnxruntime_run(const struct engine *engine, const struct tensor *inputs,
                                       const struct engine_selection *selection, int threads,
                                       struct engine_outputs *ret, struct serin_error *error)
{
    const struct engine_interface *interface = &engine->interface;
    const struct session *session = engine->state;
    const char *input_names[ENGINE_MAX_TENSORS], *output_names[ENGINE_MAX_TENSORS];
    OrtValue *values[ENGINE_MAX_TENSORS] = {NULL}, *results[ENGINE_MAX_TENSORS] = {NULL};
    enum serin_errc rc = SERIN_OK;
    int i;

    (void)threads, (void)selection; /* threads are the session's */
    for (i = 0; i < interface->input_count && rc == SERIN_OK; i++) {
        input_names[i] = interface->inputs[i].name;
        rc = check(api->CreateTensorWithDataAsOrtValue(session->memory, inputs[i].values, tensor_bytes(&inputs[i]),
                                                       inputs[i].shape, (size_t)inputs[i].rank,
                                                       ort_type_of(inputs[i].type), &values[i]),
                   SERIN_ENGINE, "input", error);
    }
    for (i = 0; i < interface->output_count; i++)
        output_names[i] = interface->outputs[i].name;
    if (rc == SERIN_OK)
        rc = check(api->Run(session->session, NULL, input_names, (const OrtValue *const *)values,
                            (size_t)interface->input_count, output_names, (size_t)interface->output_count, results),
                   SERIN_ENGINE, "inference", error);
    for (i = 0; i < interface->output_count; i++)
        ret->handles[i] = results[i];
    for (i = 0; i < interface->output_count && rc == SERIN_OK; i++)
        rc = describe_output(results[i], output_names[i], &ret->tensors[i], error);
    ret->count = interface->output_count;
    for (i = 0; i < interface->input_count; i++)
        if (values[i])
            api->ReleaseValue(values[i]);
    if (rc != SERIN_OK)
        engine_outputs_done(engine, ret);
    return rc;
}

const struct engine_backend engine_onnxruntime = {
    .name = "onnxruntime",
    .open = onnxruntime_open,
    .run = onnxruntime_run,
    .outputs_done = onnxruntime_outputs_done,
    .close = onnxruntime_close,
};
