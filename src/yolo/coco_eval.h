/*
 * coco_eval.h - COCO's average precision, as pycocotools' COCOeval computes it.  Depends on base and rle.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure computation: feed the pictures one after the other with their ground truths and detections, then ask for the
 * result. Order of the pictures matters only for detections of exactly equal score (pycocotools goes by image id).
 *     Boxes and masks: IoU .50:.05:.95, 101 recall points, at most 100 detections a class and picture, area ranges all,
 *     small, medium, large. Keypoints: object keypoint similarity, 20 detections, ranges all, medium, large.
 */
#ifndef YOLO_COCO_EVAL_H
#define YOLO_COCO_EVAL_H

#include "base/error.h"
#include "yolo/rle.h"

#include <serin/yolo.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COCO_MAX_CLASSES   65536
#define COCO_MAX_KEYPOINTS 1024
#define COCO_MAX_PER_IMAGE 100000 /* ground truths, and detections */

enum coco_kind { COCO_BOX, COCO_MASK, COCO_KEYPOINTS };

struct coco_truth {
    int32_t class_id;
    double box[4];          /* x, y of the upper left corner, width, height; px */
    double area;            /* px; decides on small, medium, large */
    bool crowd;             /* many objects: detections inside are neither right nor wrong, any number of them */
    bool ignore;            /* not to be found: a detection that fits is neither right nor wrong */
    const struct rle *mask; /* COCO_MASK; else not looked at */
    const double
        *keypoints; /* COCO_KEYPOINTS: x, y, v (0: not labelled) each; one without labelled points is ignored */
};

struct coco_detection {
    int32_t class_id;
    double score;
    double box[4];
    const struct rle *mask;
    const double *keypoints; /* x, y, and a third number that is not looked at */
};

/* What COCO prints, and counts at one working point. */
struct coco_result {
    struct serin_ap ap;
    double recall_1, recall_10; /* average recall with 1 and 10 detections a class and picture; -1 for keypoints */
    size_t truths;              /* that are neither crowd nor ignored */
    size_t images;              /* with such a truth */
    size_t right, wrong;        /* detections scored above the working point's threshold, at IoU .5 */
};

struct coco_eval;

/* working_point: the score above which detections count as right or wrong. keypoint_count: COCO_KEYPOINTS only; 17
 * means COCO's persons and their sigmas, any other number has sigma 1 / number for all. SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc coco_eval_new(enum coco_kind kind, size_t class_count, size_t keypoint_count,
                                       double working_point, struct coco_eval **ret, struct serin_error *error);
void coco_eval_free(struct coco_eval *eval);

/* One picture, in any order of detections. What the pointers lead to is not needed after the call. SERIN_INVALID where
 * a class number is not below class_count, a number is not finite, or a mask's size differs from its fellows'. */
MUST_USE enum serin_errc coco_eval_add(struct coco_eval *eval, const struct coco_truth *truths, size_t truth_count,
                                       const struct coco_detection *detections, size_t detection_count,
                                       struct serin_error *error);

/* per_class: an array of class_count, may be NULL. total is the mean over the classes that have ground truth. */
MUST_USE enum serin_errc coco_eval_finish(const struct coco_eval *eval, struct coco_result *total,
                                          struct coco_result *per_class, struct serin_error *error);

#endif
