/*
 * dataset.h - a labelled set of pictures on disk: what to evaluate a model on.  Depends on base, data_yaml.h,
 * coco_eval.h. SPDX-License-Identifier: Apache-2.0
 *
 * Three forms:
 *   - a data.yaml over YOLO labels: pictures by folder, list or both, labels/x.txt beside images/x.jpg. A picture
 * without a label file has no objects. The area of an object is w * h of its box in px of the picture (of its mask
 * where it is a polygon).
 *   - a data.yaml with `annotations:` over COCO JSON, with the pictures in `images:`.
 *   - classify: a folder (or data.yaml) with one folder of pictures for each class, below val/ where that exists.
 *
 * Classes are matched to the model's by name where every name of the data is one of the model's, else by number where
 * there are equally many, else it is an error. (JSON categories: by name, else by order of their ids.)
 *
 * Unlike Ultralytics, which leaves out pictures with bad labels, a bad label is an error: what is not evaluated should
 * not go unnoticed. (Pictures are read by evaluate.c, which counts those that cannot be decoded.) Its tolerances are
 * ours: coordinates from -.01 to 1.01; rows that say the same twice count once.
 */
#ifndef YOLO_DATASET_H
#define YOLO_DATASET_H

#include "base/error.h"
#include "yolo/coco_eval.h"
#include "yolo/rle.h"

#include <serin/yolo.h>

#define DATASET_MAX_IMAGES      2000000
#define DATASET_MAX_OBJECTS     10000 /* of one picture */
#define DATASET_MAX_LABEL_BYTES (32u << 20)
#define DATASET_MAX_JSON_BYTES  (1u << 30)

struct dataset_object {
    int32_t class_id; /* the model's */
    bool crowd;
    double box[4]; /* x, y of the upper left corner, w, h */
    double area;   /* px; negative: not said, the box's */
    /* pose: x, y, v each; segment from labels: one polygon of x, y; obb: four corners of x, y; else NULL */
    double *points;
    size_t point_count;
    struct rle mask; /* segment from JSON */
};

struct dataset_image {
    char *path;
    int64_t id;            /* COCO's */
    int32_t width, height; /* px; 0 where only the picture itself knows. Then boxes and points are shares of its size */
    int32_t class_id;      /* classify */
    struct dataset_object *objects;
    size_t object_count, object_capacity;
};

struct dataset {
    struct dataset_image *images; /* by path, or by COCO's id: the order in which equal scores are ranked */
    size_t image_count, image_capacity;
    bool *known;       /* [classes of the model]: the data has a name for it */
    bool by_name;      /* how classes were matched */
    size_t duplicates; /* label rows left out */
};

/* Reads everything but the pictures. Errors begin with the file and, where it has lines, the line: SERIN_NOT_FOUND,
 * SERIN_IO, SERIN_CORRUPT, SERIN_LIMIT, SERIN_UNSUPPORTED (a form that cannot be evaluated for the model's task),
 * SERIN_NOMEM. */
MUST_USE enum serin_errc dataset_open(const char *path, const struct serin_yolo_info *model, struct dataset **ret,
                                      struct serin_error *error);
void dataset_free(struct dataset *dataset);

/* One picture's objects in px of a picture of width x height. */
struct dataset_truths {
    struct coco_truth *truths; /* [count]; masks and keypoints lead into the two below */
    size_t count;
    struct rle *masks; /* segment: [count], else NULL */
    double *points;    /* pose: [count][keypoints][3]; obb: [count][4][2]; else NULL */
};

/* SERIN_CORRUPT where the annotations are for another size. ret is the caller's: dataset_truths_done. */
MUST_USE enum serin_errc dataset_scale(const struct dataset_image *image, const struct serin_yolo_info *model,
                                       int32_t width, int32_t height, struct dataset_truths *ret,
                                       struct serin_error *error);
void dataset_truths_done(struct dataset_truths *truths);

/* ---- between the files of this module ---- */

/* Adds an image (path is taken over, freed on failure) or an object, zeroed. */
MUST_USE enum serin_errc dataset_add_image(struct dataset *dataset, char *path, struct dataset_image **ret,
                                           struct serin_error *error);
MUST_USE enum serin_errc dataset_add_object(struct dataset_image *image, struct dataset_object **ret,
                                            struct serin_error *error);

/* Fills map[count] with the model's class numbers and known. where begins an error. */
MUST_USE enum serin_errc dataset_map_classes(struct dataset *dataset, const struct serin_yolo_info *model,
                                             const char *where, char *const *names, size_t count, int32_t *map,
                                             struct serin_error *error);

/* labels.c: reads the label file of one image. keypoint_dims is the file's (2 or 3). */
MUST_USE enum serin_errc labels_read(struct dataset *dataset, struct dataset_image *image, const char *label_path,
                                     const struct serin_yolo_info *model, const int32_t *class_map, size_t class_count,
                                     int keypoint_count, int keypoint_dims, struct serin_error *error);

/* coco_json.c */
MUST_USE enum serin_errc coco_json_read(struct dataset *dataset, const char *json_path, const char *image_folder,
                                        const struct serin_yolo_info *model, struct serin_error *error);

#endif
