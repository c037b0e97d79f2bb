/*
 * serin/yolo.h - YOLO models in C: open one, predict on pictures, read the results, evaluate.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     struct serin_yolo *yolo = NULL;
 *     struct serin_result *result = NULL;
 *     struct serin_image image = {0};
 *     struct serin_error error;
 *
 *     if (serin_yolo_open("yolov8n.onnx", NULL, &yolo, &error) ||
 *         serin_image_decode_file("bus.jpg", NULL, &image, &error) ||
 *         serin_yolo_predict(yolo, &image, 1, NULL, &result, &error))
 *         fprintf(stderr, "%s\n", error.message);
 *
 * The boxes, scores, masks, keypoints and classes are those that Ultralytics 8.4.190 gives for the same ONNX file.
 * Conventions: every pointer named ret_* or ret is written on success only; error may be NULL; options may be NULL for
 * the defaults; coordinates are pixels of the original picture, x to the right, y down, unless said otherwise.
 */
#ifndef SERIN_YOLO_H
#define SERIN_YOLO_H

#include <serin/error.h>
#include <serin/image.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum serin_task { SERIN_DETECT, SERIN_SEGMENT, SERIN_POSE, SERIN_CLASSIFY, SERIN_OBB };

/* "detect", "segment", "pose", "classify", "obb". */
const char *serin_task_name(enum serin_task task);

/* ---- opening ---- */

struct serin_open_options {
    const char *provider; /* ONNX Runtime's "cpu" (default), "cuda", "tensorrt"; "onednn", "onednn-bf16": the CPU, with
                             oneDNN; "auto": the first of tensorrt, cuda, onednn and cpu that can run the model */
    int device;           /* GPU number for cuda and tensorrt */
    int threads; /* of the engine for one inference; 0: one for each processor this process may use. At most 4 for each
                    of those (and 16 always) */
    const char *sidecar;   /* YAML with the metadata that the model lacks; NULL: MODEL.yaml beside it if there is one */
    const char *cache_dir; /* where TensorRT keeps built engines; NULL: they are built anew each time */
    uint64_t max_model_bytes; /* 0: 1 GiB */
};

void serin_open_options_init(struct serin_open_options *options);

struct serin_yolo; /* immutable once open, but for scratch memory under a lock of its own */

/* Opens an ONNX file exported from YOLOv5, v8, v9, v10, 11, 12 or 26 (detect, segment, pose, classify, obb). Reads
 * names, task, stride and size from the metadata that Ultralytics' exporter writes, or from the sidecar. A model that
 * is none of these is SERIN_UNSUPPORTED with the shapes seen and the shapes known; a damaged one SERIN_CORRUPT. Close
 * with serin_yolo_close. */
enum serin_errc serin_yolo_open(const char *path, const struct serin_open_options *options, struct serin_yolo **ret,
                                struct serin_error *error);

/* The same from memory; the bytes may be freed after the call. */
enum serin_errc serin_yolo_open_memory(const void *bytes, size_t size_bytes, const struct serin_open_options *options,
                                       struct serin_yolo **ret, struct serin_error *error);

void serin_yolo_close(struct serin_yolo *yolo); /* NULL is fine; no call on it may be in flight */

/* What is known of an open model. Lives as long as the model; all strings are UTF-8, never NULL unless said. */
struct serin_yolo_info {
    enum serin_task task;
    int class_count;
    const char *const *class_names; /* [class_count] */
    int input_height, input_width;  /* px; the model's fixed size, or the size it was exported for */
    int stride;                     /* px; input sizes are multiples of it */
    int channels;                   /* always 3 */
    int batch;                      /* fixed batch size, or 0 where any batch is accepted */
    bool dynamic_size;              /* accepts other heights and widths */
    bool end_to_end;                /* no non-maximum suppression needed: boxes come out final */
    int keypoint_count;             /* pose; else 0 */
    int keypoint_dims;              /* 2 (x, y) or 3 (x, y, visible) */
    const char *input_type;         /* "fp32", "fp16" or "uint8" */
    const char *head;               /* "yolov8", "yolov5" or "end2end", or "classify" */
    const char *provider;           /* the one in use */
    int threads;                    /* of the engine */
    const char *description;        /* from the metadata; may be "" */
    const char *license;            /* from the metadata; may be "" */
    const char *provider_why;       /* of "auto": why it is cpu, naming what oneDNN cannot do; else "" */
};

const struct serin_yolo_info *serin_yolo_get_info(const struct serin_yolo *yolo);

/* ---- predicting ---- */

enum serin_rect { SERIN_RECT_AUTO, SERIN_RECT_OFF, SERIN_RECT_ON };

struct serin_predict_options {
    float conf;             /* keep what scores above; default .25 */
    double iou;             /* suppress what overlaps more; default .7 */
    int max_det;            /* most detections for a picture; default 300 */
    const int32_t *classes; /* keep only these class numbers; NULL: all */
    size_t class_count;
    bool agnostic_nms;             /* suppress across classes */
    bool multi_label;              /* a box may come out once for each class above conf, as evaluation needs it */
    bool retina_masks;             /* masks at the picture's own size instead of the network's */
    int input_height, input_width; /* px; 0: the model's own. Rounded up to the stride. Dynamic models only */
    /* Pad to the nearest stride instead of the square: auto (as Ultralytics: dynamic models, all pictures of one call
     * of one shape), off, on (the same, but refused by a model of fixed size). See serin_yolo_predict for what that
     * means for pictures of several shapes. */
    enum serin_rect rect;
};

void serin_predict_options_init(struct serin_predict_options *options);

struct serin_keypoint {
    float x, y;    /* px */
    float visible; /* confidence 0..1; 1 where the model gives none */
};

/* A binary mask, stored for the rectangle that holds it; outside of it the mask is 0. */
struct serin_mask {
    int32_t full_width, full_height; /* of the whole mask: the network's input, or the picture with retina_masks */
    int32_t x, y, width, height;     /* the stored rectangle within it */
    const uint8_t *values;           /* height rows of width bytes, each 0 or 1 */
    size_t point_count;
    const float *points; /* [point_count][2]: the outline, px of the picture; one polygon */
};

struct serin_detection {
    int32_t class_id;
    float confidence;
    float x1, y1, x2, y2;      /* px, clipped to the picture (obb: the upright box around the corners, not clipped) */
    float cx, cy, w, h, angle; /* obb only: centre and size in px, angle in radians */
    float corners[4][2];       /* obb only: px */
    const struct serin_keypoint *keypoints; /* pose: [info.keypoint_count]; else NULL */
    const struct serin_mask *mask;          /* segment; else NULL */
};

struct serin_speed {
    double preprocess_ms, inference_ms,
        postprocess_ms; /* for this picture; a batch's inference is divided by its size */
};

/* All of one picture's results, which end together. */
struct serin_result {
    enum serin_task task;
    int32_t width, height; /* px, of the picture */
    struct serin_speed speed;
    size_t
        count; /* of detections; by falling confidence. classify: the five best classes, class_id and confidence only */
    const struct serin_detection *detections;
    const float *probabilities;         /* classify: [info.class_count]; else NULL */
    const struct serin_yolo_info *info; /* of the model; the result must not outlive it */
};

/* Predicts on count pictures (1..64). ret_results is an array of count; each entry on success is the caller's:
 * serin_result_free. Pictures go through the network in batches as large as the model takes. May be called from many
 * threads at once on one model.
 *
 * CAUTION: pictures of DIFFERENT SHAPES in one call to a model of DYNAMIC SIZE are all padded to the square, as
 * Ultralytics does, while a picture by itself is padded to the nearest stride: its boxes and scores are then OTHERS
 * than those of one call a picture. Where a result must not depend on what else is in the call, set rect to
 * SERIN_RECT_OFF: everything is padded to the square, always. (Or call once for each shape.)
 *
 * Errors: SERIN_INVALID (options, named), SERIN_ENGINE, SERIN_MODEL (NaN or shapes that
 * change), SERIN_NOMEM. */
enum serin_errc serin_yolo_predict(struct serin_yolo *yolo, const struct serin_image *images, size_t count,
                                   const struct serin_predict_options *options, struct serin_result **ret_results,
                                   struct serin_error *error);

void serin_result_free(struct serin_result *result); /* NULL is fine */

/* The list that Ultralytics' Results.to_json() gives (fields, order, rounding), on one line. free() it. */
enum serin_errc serin_result_to_json(const struct serin_result *result, char **ret_json, struct serin_error *error);

/* ---- evaluating ---- */

struct serin_eval_options {
    float conf;                    /* default .001 */
    double iou;                    /* default .7 */
    int max_det;                   /* default 300; COCO's AP itself looks at the best 100 of an image */
    int input_height, input_width; /* px; 0: the model's own */
    size_t max_images;             /* evenly chosen of the data's pictures; 0, the default: all of them */
    /* Called after each picture with the number done and the total; returning false stops with SERIN_INVALID. May be
     * NULL. */
    bool (*progress)(void *user, size_t done, size_t total);
    /* Called for each picture that cannot be read or decoded, with the reason. Such a picture is left out of every
     * figure and counted in images_failed; it does not end the evaluation. May be NULL. */
    void (*failed)(void *user, const char *path, const struct serin_error *error);
    void *user;
};

void serin_eval_options_init(struct serin_eval_options *options);

/* COCO average precision (pycocotools' COCOeval). Each value is -1 where there is no ground truth for it. */
struct serin_ap {
    double map50_95, map50, map75;
    double small, medium, large; /* map50_95 of the objects under 32^2, 96^2, and from 96^2 px of area */
    double recall;               /* average recall at 100 detections */
};

/* The mean average precision that `yolo val` of Ultralytics prints: the same matches' idea, another curve and other
 * rules, so that on the same detections it lies some thousandths away from COCO's. -1 where there is no ground truth.
 */
struct serin_ultralytics_ap {
    double map50_95, map50, map75;
};

struct serin_eval_class {
    const char *name;
    int class_id;
    size_t images, instances;                /* with this class; of this class. Crowds are not counted */
    struct serin_ultralytics_ap ultralytics; /* of boxes */
    struct serin_ap box, mask, keypoints;    /* the last two only for segment and pose, else all -1 */
};

struct serin_evaluation {
    enum serin_task task;
    size_t images, instances; /* that the figures are of */
    size_t images_failed;     /* pictures of the data that could not be read or decoded, and are not in images */
    /* The data's classes were matched to the model's by name. False: its names are others, but as many, so they were
     * matched by number; if the order is another too, the figures mean nothing. */
    bool classes_by_name;
    struct serin_ap box, mask,
        keypoints; /* mean over the classes that have ground truth. obb: -1, COCO has no turned boxes */
    struct serin_ultralytics_ap ultralytics; /* of boxes; obb: of turned boxes, by probabilistic IoU */
    double top1, top5;                       /* classify only, else -1 */
    double precision, recall, f1;            /* at confidence .25 and IoU .5, of boxes, all classes together; else -1 */
    size_t class_count;
    const struct serin_eval_class *per_class; /* [class_count] */
    struct serin_speed speed;                 /* mean for a picture */
};

/* Runs the model over the validation pictures of data (a YOLO data.yaml, or COCO JSON beside an images folder: a
 * data.yaml with `annotations:`; classify: also a folder with a folder for each class) and scores it. The input is
 * always the whole rectangle, never SERIN_RECT_ON. Free with serin_evaluation_free; it does not need the model any
 * more. Errors: as predict, and SERIN_NOT_FOUND, SERIN_CORRUPT (which file and line), also where not one picture could
 * be decoded. Look at images_failed and classes_by_name before you trust the figures. */
enum serin_errc serin_yolo_evaluate(struct serin_yolo *yolo, const char *data_path,
                                    const struct serin_eval_options *options, struct serin_evaluation **ret,
                                    struct serin_error *error);

void serin_evaluation_free(struct serin_evaluation *evaluation);

/* "0.1.0": the library's own version. */
const char *serin_version(void);

#ifdef __cplusplus
}
#endif

#endif
