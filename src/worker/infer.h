/*
 * infer.h - inference requests and answers of the Open Inference Protocol v2, without a socket.  Depends on yolo,
 * jansson. SPDX-License-Identifier: Apache-2.0
 *
 * Sources: OIP inference_rest.md; Triton's extension_binary_data.md. Two forms of request:
 *
 *     tensors   the model's own input (FP32, FP16 or UINT8), as JSON or binary; the model's outputs come back
 *     images    an input named "image" of datatype BYTES, shape [N]: encoded pictures, binary (each behind its length,
 *               4 bytes, little-endian) or base64 strings in JSON; the output "detections" comes back, BYTES [N], each
 *               element the JSON of a picture's results
 *
 * The data arrays are cut out of the JSON before jansson sees it: a tensor of a million numbers would cost it a hundred
 * megabytes, and is read straight into the network's input instead.
 */
#ifndef WORKER_INFER_H
#define WORKER_INFER_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "engine/engine.h"
#include "worker/parameters.h"

#define INFER_MAX_JSON_BYTES (1u << 20) /* of a request without its data */
#define INFER_MAX_ID         256
#define INFER_WHOLE          SIZE_MAX /* json_size of infer_read: there is no binary part */
#define INFER_MAX_IMAGES     64

/* What an inference must fit, and how the answers call it. */
struct infer_model {
    const char *name, *version;
    const struct engine_interface *interface;
    const struct serin_yolo_info *info;
    int max_batch, max_input_px;
};

struct infer_slice {
    const uint8_t *bytes;
    size_t size;
};

struct infer_output {
    int index; /* of the interface's outputs; 0 for "detections" */
    bool binary;
};

struct infer_request {
    char id[INFER_MAX_ID + 1];
    bool has_id, images;
    /* tensors */
    int64_t shape[4];           /* batch, 3, height, width */
    struct infer_slice binary;  /* the input's bytes; bytes is NULL where it came as JSON */
    struct infer_slice numbers; /* "[...]": the input's data in JSON */
    /* images */
    int image_count;
    struct infer_slice pictures[INFER_MAX_IMAGES];
    uint8_t *decoded; /* where base64 came; pictures point into it. malloc'ed */
    /* both */
    int output_count;
    struct infer_output outputs[ENGINE_MAX_TENSORS];
};

/* Reads a request. json_size: how much of body is JSON (the header Inference-Header-Content-Length), or INFER_WHOLE. 0
 * is Triton's raw form: body is one input and nothing else. Slices of ret point into body. Parameters of the request go
 * through parameters_set. ret is the caller's: infer_request_done. SERIN_INVALID, SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc infer_read(const struct infer_model *model, const uint8_t *body, size_t size, size_t json_size,
                                    struct parameters *parameters, struct infer_request *ret,
                                    struct serin_error *error);
void infer_request_done(struct infer_request *request); /* a zeroed one is fine */

/* Bytes of the input tensor. */
size_t infer_input_bytes(const struct infer_model *model, const struct infer_request *request);

/* Writes the input into tensor (infer_input_bytes). SERIN_INVALID: the JSON data are not what the shape says. */
MUST_USE enum serin_errc infer_fill(const struct infer_model *model, const struct infer_request *request, void *tensor,
                                    struct serin_error *error);

/* The answer to tensors: the outputs of the request's pictures, which are those from first on, of batch in all.
 * *ret_json_size: of the JSON at its start; equal to its size where no output is binary. SERIN_MODEL (an output that
 * cannot be cut into pictures), SERIN_INVALID (FP16 or NaN as JSON), SERIN_NOMEM. */
MUST_USE enum serin_errc infer_answer_tensors(const struct infer_model *model, const struct infer_request *request,
                                              const struct engine_outputs *outputs, size_t first, size_t batch,
                                              struct bytes **ret, size_t *ret_json_size, struct serin_error *error);

/* The answer to images: texts[image_count], each the JSON of a picture's results. */
MUST_USE enum serin_errc infer_answer_images(const struct infer_model *model, const struct infer_request *request,
                                             const char *const *texts, struct bytes **ret, size_t *ret_json_size,
                                             struct serin_error *error);

/* "FP32", "FP16", "UINT8", "FP64", "INT64"; NULL for what the protocol lacks. */
const char *infer_datatype(enum tensor_type type);

/* infer_data.c: the parts that read data. */

/* Copies json into out with the value of "data", where it is an array, of an input replaced by null; *ret tells it.
 * SERIN_INVALID: not JSON by its brackets and quotes, nested too deeply, or more than one. */
MUST_USE enum serin_errc infer_cut_data(const char *json, size_t size, struct buffer *out, struct infer_slice *ret,
                                        struct serin_error *error);
/* Reads count numbers of a "[...]" into values of type. */
MUST_USE enum serin_errc infer_read_numbers(struct infer_slice data, enum tensor_type type, void *values, size_t count,
                                            struct serin_error *error);
/* Decodes the base64 strings of a "[...]"; *ret_decoded is malloc'ed and holds them all. */
MUST_USE enum serin_errc infer_read_base64(struct infer_slice data, int count, struct infer_slice *ret,
                                           uint8_t **ret_decoded, struct serin_error *error);
/* Cuts length-prefixed elements. */
MUST_USE enum serin_errc infer_read_elements(struct infer_slice data, int count, struct infer_slice *ret,
                                             struct serin_error *error);

#endif
