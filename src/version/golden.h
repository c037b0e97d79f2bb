/*
 * golden.h - golden pictures: a few pictures with what the model said of them when it was pushed.  Depends on base and
 * jansson; knows no disk and no network.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pictures are layers of the bundle, the answers stand in the layer golden.json:
 *
 *     {"pictures":[{"name":"bus.jpg","results":[...]}]}    results as serin_result_to_json writes them
 *
 * A version must give these answers again where it is to be served: a network that is run wrongly there (another
 * kernel, another precision, a driver that miscomputes) answers every request, and wrongly.
 */
#ifndef VERSION_GOLDEN_H
#define VERSION_GOLDEN_H

#include "base/error.h"

#include <jansson.h>

#define GOLDEN_MAX_PICTURES      32
#define GOLDEN_MAX_PICTURE_BYTES (8u << 20)
#define GOLDEN_MAX_TOTAL_BYTES   (64u << 20)
#define GOLDEN_MAX_JSON_BYTES    (4u << 20)

/* What another machine may do to an answer. fp16 against fp32 of one yolov8n on 64 photographs moves the scores of 381
 * of 382 detections by at most .007, and no IoU is below .91; TF32, fused kernels and int8 with or without VNNI lie
 * between. A wrong letterbox, channel order or weight moves far more. What scores within the tolerance of the threshold
 * may come and go. */
#define GOLDEN_SCORE_TOLERANCE .05
#define GOLDEN_LEAST_IOU       .85

/* "golden/07": the layer of picture 7. */
const char *golden_layer(int picture, char text[static 16]);

/* golden.json. json_decref(*ret_root). SERIN_CORRUPT, SERIN_LIMIT. */
MUST_USE enum serin_errc golden_parse(const char *text, json_t **ret_root, struct serin_error *error);
int golden_count(const json_t *root);
const char *golden_name(const json_t *root, int picture);

/* Compares results (a list, as in golden.json) with those of the picture. threshold: the least score that is answered.
 * SERIN_LIMIT says what differs by how much, without naming the picture; SERIN_CORRUPT: no such list. */
MUST_USE enum serin_errc golden_compare(const json_t *root, int picture, const json_t *results, double threshold,
                                        struct serin_error *error);

#endif
