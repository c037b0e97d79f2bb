/*
 * ultralytics_ap.h - the mean average precision that `yolo val` prints, which is not COCO's.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * It differs from pycocotools in what people compare: crowds are ordinary objects, all detections of a picture count
 * (max_det, not 100 a class), a detection takes its best free object, the precision curve is interpolated linearly and
 * begins at 1, its area is the trapezoids', and IoU is in float. Behaviour of Ultralytics 8.4.190.
 */
#ifndef YOLO_ULTRALYTICS_AP_H
#define YOLO_ULTRALYTICS_AP_H

#include "base/error.h"

#include <serin/yolo.h>

#include <stddef.h>
#include <stdint.h>

struct ultralytics_ap;

struct ultralytics_result {
    struct serin_ultralytics_ap ap; /* total: mean over the classes with objects; -1 where there are none */
    size_t objects;
    size_t right, wrong; /* detections scored above the working point's threshold, at IoU .5 */
};

MUST_USE enum serin_errc ultralytics_ap_new(size_t class_count, double working_point, struct ultralytics_ap **ret,
                                            struct serin_error *error);
void ultralytics_ap_free(struct ultralytics_ap *ap);

/* One picture: the classes of its objects, its detections by falling score, and their overlap [detection][object].
 * Class numbers must be below class_count. SERIN_INVALID, SERIN_NOMEM. */
MUST_USE enum serin_errc ultralytics_ap_add(struct ultralytics_ap *ap, const int32_t *truth_classes, size_t truth_count,
                                            const int32_t *classes, const float *scores, size_t count,
                                            const float *overlap, struct serin_error *error);

/* per_class: an array of class_count, may be NULL. */
MUST_USE enum serin_errc ultralytics_ap_finish(const struct ultralytics_ap *ap, struct ultralytics_result *total,
                                               struct ultralytics_result *per_class, struct serin_error *error);

/* Overlap of two boxes x1, y1, x2, y2, and of two turned boxes cx, cy, w, h, angle in radians (probabilistic IoU of
 * arXiv:2106.06072: 1 - Hellinger distance of the boxes' Gaussians). */
float ultralytics_box_iou(const float a[4], const float b[4]);
float ultralytics_turned_iou(const float p[5], const float q[5]);

/* The smallest rectangle around four corners (x, y each) as cx, cy, w, h, angle: how labels become turned boxes. */
void ultralytics_turned_box(const double corners[8], float ret[5]);

#endif
