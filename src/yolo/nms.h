/*
 * nms.h - non-maximum suppression, upright and rotated.  Depends on head.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef YOLO_NMS_H
#define YOLO_NMS_H

#include "yolo/head.h"

/* Greedy suppression as torchvision's nms does it on boxes that were moved apart by class * 7680 px (class-aware), in
 * float32; a box goes where its IoU with a better kept one is above iou. Ties keep their order. The survivors, at most
 * max_det, come to the front of the list by falling score; list->count is set. SERIN_NOMEM. */
MUST_USE enum serin_errc nms_upright(struct candidates *list, double iou, bool agnostic, int max_det,
                                     struct serin_error *error);

/* Rotated boxes: a box goes where its probabilistic IoU with any better one is above iou, even with one that goes
 * itself (Fast NMS, arXiv 1904.02689; ProbIoU, arXiv 2106.06072). */
MUST_USE enum serin_errc nms_rotated(struct candidates *list, double iou, bool agnostic, int max_det,
                                     struct serin_error *error);

#endif
