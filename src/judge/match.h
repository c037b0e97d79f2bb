/*
 * match.h - which boxes of two answers to one frame are the same object.  Depends on record.h; pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Greedy, as COCO's evaluation matches: pairs of boxes at IoU >= .5, the best first; each box is matched once. Between
 * versions a second pass matches what is left across classes: those are flips, neither lost nor gained. Ties go to the
 * box that comes first, so that the same answers always give the same counts.
 */
#ifndef JUDGE_MATCH_H
#define JUDGE_MATCH_H

#include "judge/record.h"

#define MATCH_MAX_BOXES   300 /* of one answer; the rest, by falling confidence, are not looked at */
#define MATCH_MIN_IOU     0.5
#define MATCH_SMALL_PX2   (32.0 * 32.0) /* sizes as COCO's */
#define MATCH_MEDIUM_PX2  (96.0 * 96.0)
#define MATCH_MAX_CLASSES 12 /* parts by class; the rest of the parts are sizes */

struct match_box {
    const char *name; /* of its class; the caller's */
    float x1, y1, x2, y2, confidence;
};

/* Intersection over union, 0 to 1. */
double match_iou(const struct match_box *a, const struct match_box *b);

/* Stable's boxes against canary's: fills record->pair and its parts by class and size. */
void match_pair(const struct match_box *stable, int stable_count, const struct match_box *canary, int canary_count,
                struct record *record);

/* An arm's boxes against the truth: fills record->label.truth[arm], and the parts' truth[arm]; parts of the other arm
 * that are there already stay. */
void match_truth(const struct match_box *boxes, int count, const struct match_box *truth, int truth_count,
                 enum judge_arm arm, struct record *record);

#endif
