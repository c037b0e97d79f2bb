/*
 * head.h - the shapes in which YOLO networks give their answers, and candidates out of them.  Depends on base, engine.
 * SPDX-License-Identifier: Apache-2.0
 *
 * nc classes, A anchors, E extra values (M mask coefficients, K * D keypoint values, or one angle):
 *
 *     yolov8     [B, 4 + nc + E, A]   cx, cy, w, h in input pixels, class scores, extras  (v8, v9, 11, 12; all tasks)
 *     yolov5     [B, A, 5 + nc]       cx, cy, w, h, objectness, class scores
 *     end2end    [B, N, 6 + E]        x1, y1, x2, y2 (obb: cx, cy, w, h), score, class, extras  (v10, 26, nms=True)
 *     classify   [B, nc]              probabilities
 *
 * Segmentation has a second output [B, M, H / 4, W / 4] of mask prototypes (M is 32 in Ultralytics' own models).
 */
#ifndef YOLO_HEAD_H
#define YOLO_HEAD_H

#include "engine/engine.h"
#include "yolo/metadata.h"

#define HEAD_MAX_CANDIDATES 30000 /* the best by score go into suppression; Ultralytics' max_nms */

enum head_kind { HEAD_YOLOV8, HEAD_YOLOV5, HEAD_END2END, HEAD_CLASSIFY };

struct head {
    enum head_kind kind;
    enum serin_task task;
    int class_count;
    int extra_count;
    int output;       /* index among the engine's outputs */
    int proto_output; /* of the mask prototypes; -1 */
    bool half;        /* the output is fp16: corners and threshold are rounded to it, as the original's arithmetic is */
};

const char *head_kind_name(enum head_kind kind);

/* Finds out which of the above a model is, from its shapes and what its metadata says (classes, task, keypoints). Where
 * nc is not said it follows from the shape. Dimensions that tell heads apart must not be free. SERIN_UNSUPPORTED lists
 * the shapes seen and the shapes known. */
MUST_USE enum serin_errc head_recognise(const struct engine_interface *interface, const struct yolo_metadata *metadata,
                                        struct head *ret, struct serin_error *error);

struct candidate {
    float x1, y1, x2, y2; /* px of the input; obb: cx, cy, w, h */
    float angle;          /* obb: radians */
    float score;
    int32_t class_id;
    int32_t anchor; /* which column (or row) of the output it came from: where its extras lie */
};

struct candidates {
    struct candidate *items; /* malloc'ed; kept from picture to picture */
    size_t count, capacity;
    float *best; /* scratch: the best score of each anchor */
    size_t best_capacity;
};

void candidates_done(struct candidates *candidates);

struct head_filter {
    float conf;             /* scores must be above */
    bool multi_label;       /* one candidate for each class above conf, instead of the best class */
    const int32_t *classes; /* NULL: all */
    size_t class_count;
};

/* The places of the output that head_decode looks at for this threshold: no others' boxes and extras are read. Without
 * scores where the head has none of its own. */
struct engine_selection head_selection(const struct head *head, float conf);

/* One picture's share of an output, as float32: rows x columns as the output has them behind the batch. */
struct head_output {
    const float *values;
    int64_t rows, columns;
};

/* Collects the candidates of one picture in anchor order (and class order within an anchor), at most
 * HEAD_MAX_CANDIDATES, the best ones. SERIN_MODEL where a score or a candidate's box is NaN, SERIN_NOMEM. */
MUST_USE enum serin_errc head_decode(const struct head *head, const struct head_output *output,
                                     const struct head_filter *filter, struct candidates *ret,
                                     struct serin_error *error);

/* Copies the extras of an anchor: extra_count floats. */
void head_read_extras(const struct head *head, const struct head_output *output, int32_t anchor, float *extras);

#endif
