/*
 * metadata.h - what an exported YOLO says of itself: task, class names, stride, size.  Depends on base and literal.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two sources: the metadata_props that Ultralytics' exporter writes into the ONNX file (values are Python literals),
 * and a sidecar in YAML with the same keys (Ultralytics' metadata.yaml has this form), which wins where both speak.
 */
#ifndef YOLO_METADATA_H
#define YOLO_METADATA_H

#include "base/error.h"

#include <serin/yolo.h>

#define YOLO_MAX_CLASSES    65536
#define YOLO_MAX_NAME_BYTES 256
#define YOLO_MAX_KEYPOINTS  512

struct yolo_metadata {
    bool has_task;
    enum serin_task task;
    char **class_names; /* [class_count], each malloc'ed; NULL where there are none */
    int class_count;
    int stride;                            /* 0: not said */
    int input_height, input_width;         /* 0: not said */
    int batch;                             /* 0: not said */
    int channels;                          /* 0: not said */
    int keypoint_count, keypoint_dims;     /* 0: not said */
    bool end_to_end;                       /* end2end, or exported with nms=True */
    bool dynamic;                          /* args['dynamic'] */
    char *description, *license, *version; /* NULL: not said */
};

/* A key's value as text, or NULL: how metadata_read asks the model. */
typedef const char *metadata_lookup(const void *user, const char *key);

/* Reads the model's own properties. Every bad value is an error that names its key: SERIN_CORRUPT, SERIN_LIMIT, and
 * SERIN_UNSUPPORTED for a task that is none of serin_task. Unknown keys are left alone. ret is the caller's:
 * metadata_done (a zeroed one is fine). */
MUST_USE enum serin_errc metadata_read(metadata_lookup *lookup, const void *user, struct yolo_metadata *ret,
                                       struct serin_error *error);

/* Lays a sidecar's text over what is there. Errors name the line: SERIN_INVALID (an unknown key, with the nearest known
 * one) and those of metadata_read. After an error metadata may be half laid over: metadata_done is all that is left to
 * do. */
MUST_USE enum serin_errc metadata_read_sidecar(const char *yaml, size_t size_bytes, struct yolo_metadata *metadata,
                                               struct serin_error *error);
void metadata_done(struct yolo_metadata *metadata);

#endif
