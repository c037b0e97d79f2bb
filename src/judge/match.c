/*
 * match.c - greedy matching of boxes by IoU.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All pairs that overlap enough are listed and sorted (by falling IoU, then by place), and taken in that order where
 * both boxes are still free. A few hundred boxes make a few thousand pairs at most, since few overlap by half.
 */
#include "judge/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAIRS 4096 /* beyond it the weakest overlaps are not looked at */

struct pair {
    float iou;
    int16_t a, b;
};

static double area_of(const struct match_box *box)
{
    return fmax(0, (double)box->x2 - box->x1) * fmax(0, (double)box->y2 - box->y1);
}

double match_iou(const struct match_box *a, const struct match_box *b)
{
    double width = (double)fminf(a->x2, b->x2) - (double)fmaxf(a->x1, b->x1);
    double height = (double)fminf(a->y2, b->y2) - (double)fmaxf(a->y1, b->y1), both;

    if (!(width > 0) || !(height > 0))
        return 0;
    both = width * height;
    return both / (area_of(a) + area_of(b) - both);
}

static int by_iou(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;

    if (a->iou != b->iou)
        return a->iou > b->iou ? -1 : 1;
    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    return a->b < b->b ? -1 : a->b > b->b;
}

/* to[i]: the box of b that box i of a is matched with, or -1; taken[j] likewise. Only boxes that are free yet. */
static void match(const struct match_box *a, int a_count, const struct match_box *b, int b_count, bool same_class,
                  int *to, int *taken)
{
    struct pair pairs[MAX_PAIRS];
    int count = 0, i, j;

    for (i = 0; i < a_count; i++) {
        for (j = 0; j < b_count && count < MAX_PAIRS; j++) {
            double iou;

            if (to[i] >= 0 || taken[j] >= 0 || (same_class && strcmp(a[i].name, b[j].name) != 0))
                continue;
            iou = match_iou(&a[i], &b[j]);
            if (iou >= MATCH_MIN_IOU)
                pairs[count++] = (struct pair){(float)iou, (int16_t)i, (int16_t)j};
        }
    }
    if (count > 1)
        qsort(pairs, (size_t)count, sizeof(pairs[0]), by_iou);
    for (i = 0; i < count; i++)
        if (to[pairs[i].a] < 0 && taken[pairs[i].b] < 0) {
            to[pairs[i].a] = pairs[i].b;
            taken[pairs[i].b] = pairs[i].a;
        }
}

static int bounded(int count)
{
    return count < MATCH_MAX_BOXES ? count : MATCH_MAX_BOXES;
}

static void free_all(int *places, int count)
{
    int i;

    for (i = 0; i < count; i++)
        places[i] = -1;
}

/* ---- parts ---- */

static const char *size_name(const struct match_box *box)
{
    double area = area_of(box);

    return area < MATCH_SMALL_PX2 ? "small" : area < MATCH_MEDIUM_PX2 ? "medium" : "large";
}

/* The part of that name; NULL where there is no room for it. */
static struct record_part *part_of(struct record *record, const char *name, const char *value)
{
    struct record_part *part;
    bool is_class = strcmp(name, "class") == 0;
    int i, classes = 0;

    for (i = 0; i < record->part_count; i++) {
        part = &record->parts[i];
        if (strcmp(part->of.name, name) == 0 && strcmp(part->of.value, value) == 0)
            return part;
        classes += strcmp(part->of.name, "class") == 0;
    }
    if (record->part_count == RECORD_MAX_PARTS || (is_class && classes == MATCH_MAX_CLASSES) || !value[0] ||
        strlen(value) > RECORD_MAX_VALUE)
        return NULL;
    part = &record->parts[record->part_count++];
    memset(part, 0, sizeof(*part));
    memcpy(part->of.name, name, strlen(name) + 1);
    memcpy(part->of.value, value, strlen(value) + 1);
    return part;
}

enum fate { AGREED, LOST, GAINED, FLIPPED };

static void count_fate(struct record_matches *matches, enum fate fate)
{
    matches->agreed += fate == AGREED;
    matches->lost += fate == LOST;
    matches->gained += fate == GAINED;
    matches->flipped += fate == FLIPPED;
}

/* A box's fate, in the whole and in the parts that it belongs to. */
static void tell_fate(struct record *record, const struct match_box *box, enum fate fate)
{
    struct record_part *by_class = part_of(record, "class", box->name);
    struct record_part *by_size = part_of(record, "size", size_name(box));

    count_fate(&record->pair.matches, fate);
    if (by_class)
        count_fate(&by_class->matches, fate);
    if (by_size)
        count_fate(&by_size->matches, fate);
}

void match_pair(const struct match_box *stable, int stable_count, const struct match_box *canary, int canary_count,
                struct record *record)
{
    int to[MATCH_MAX_BOXES], taken[MATCH_MAX_BOXES], agreed = 0, i;
    double jitter = 0, shift = 0;
    bool same[MATCH_MAX_BOXES];

    stable_count = bounded(stable_count);
    canary_count = bounded(canary_count);
    free_all(to, stable_count);
    free_all(taken, canary_count);
    memset(&record->pair, 0, sizeof(record->pair));
    record->part_count = 0;
    match(stable, stable_count, canary, canary_count, true, to, taken);
    for (i = 0; i < stable_count; i++)
        same[i] = to[i] >= 0;
    match(stable, stable_count, canary, canary_count, false, to, taken);
    for (i = 0; i < stable_count; i++) {
        tell_fate(record, &stable[i], same[i] ? AGREED : to[i] >= 0 ? FLIPPED : LOST);
        if (same[i]) {
            jitter += 1 - match_iou(&stable[i], &canary[to[i]]);
            shift += (double)canary[to[i]].confidence - stable[i].confidence;
            agreed++;
        }
    }
    for (i = 0; i < canary_count; i++)
        if (taken[i] < 0)
            tell_fate(record, &canary[i], GAINED);
    record->pair.jitter = agreed ? (float)(jitter / agreed) : -1;
    record->pair.score_shift = agreed ? (float)(shift / agreed) : 0;
}

/* what: 0 found, 1 missed, 2 wrong. */
static void tell_truth(struct record *record, const struct match_box *box, enum judge_arm arm, int what)
{
    struct record_part *const parts[] = {part_of(record, "class", box->name), part_of(record, "size", size_name(box))};
    struct record_truth *const truths[] = {&record->label.truth[arm], parts[0] ? &parts[0]->truth[arm] : NULL,
                                           parts[1] ? &parts[1]->truth[arm] : NULL};
    int i;

    for (i = 0; i < 3; i++) {
        if (!truths[i])
            continue;
        truths[i]->found += what == 0;
        truths[i]->missed += what == 1;
        truths[i]->wrong += what == 2;
    }
}

void match_truth(const struct match_box *boxes, int count, const struct match_box *truth, int truth_count,
                 enum judge_arm arm, struct record *record)
{
    int to[MATCH_MAX_BOXES], taken[MATCH_MAX_BOXES], i;

    count = bounded(count);
    truth_count = bounded(truth_count);
    free_all(to, truth_count);
    free_all(taken, count);
    record->label.truth[arm] = (struct record_truth){0};
    match(truth, truth_count, boxes, count, true, to, taken);
    for (i = 0; i < truth_count; i++)
        tell_truth(record, &truth[i], arm, to[i] >= 0 ? 0 : 1);
    for (i = 0; i < count; i++)
        if (taken[i] < 0)
            tell_truth(record, &boxes[i], arm, 2);
}
