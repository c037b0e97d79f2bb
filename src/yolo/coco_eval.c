/*
 * coco_eval.c - average precision from matches made picture by picture.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Matching needs one picture and one class at a time, so it is done when the picture is added; of a detection only its
 * score, its rank and, for each area range, ten bits (one an IoU threshold) each for "matched" and "ignored" are kept.
 * coco_eval_finish then sorts each class once and walks the precision curves.
 *
 * Reference: COCOeval of pycocotools (evaluateImg, accumulate, summarize), whose order of ties and of floating-point
 * operations is kept.
 */
#include "yolo/coco_eval.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define THRESHOLDS          10
#define RECALL_POINTS       101
#define AREAS               4
#define BOX_DETECTIONS      100 /* a class and picture */
#define KEYPOINT_DETECTIONS 20

static const double area_ranges[AREAS][2] = {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}};

/* of nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, times ten (COCO's keypoint challenge) */
static const double person_sigmas[17] = {.26, .25, .25,  .35,  .35, .79, .79, .72, .72,
                                         .62, .62, 1.07, 1.07, .87, .87, .89, .89};

struct scored {
    double score;
    uint32_t rank;                           /* among the class's detections of its picture, from 0 */
    uint16_t matched[AREAS], ignored[AREAS]; /* bit i: at threshold i */
};

struct class_record {
    struct scored *scored;
    size_t count, capacity;
    size_t positives[AREAS]; /* truths that are to be found */
    size_t images;
};

struct coco_eval {
    enum coco_kind kind;
    size_t class_count, keypoint_count;
    double working_point;
    double *variances; /* [keypoint_count]: (2 sigma)^2 */
    struct class_record *classes;
    size_t images; /* with a truth of any class */
};

/* The truths and detections of one class in one picture. */
struct group {
    const struct coco_truth *truths;
    const struct coco_detection *detections;
    const uint32_t *truth_order, *detection_order; /* indices; detections by falling score */
    size_t truth_count, detection_count;
    double *similarity; /* [detection_count][truth_count] */
    double *areas;      /* [detection_count] */
};

/* The ten IoU thresholds as numpy's linspace(.5, .95, 10) gives them. */
static double coco_threshold(int i)
{
    return i == THRESHOLDS - 1 ? .95 : i * ((.95 - .5) / 9) + .5;
}

enum serin_errc coco_eval_new(enum coco_kind kind, size_t class_count, size_t keypoint_count, double working_point,
                              struct coco_eval **ret, struct serin_error *error)
{
    struct coco_eval *eval;
    size_t i;

    if (class_count < 1 || class_count > COCO_MAX_CLASSES)
        return error_set(error, SERIN_LIMIT, "%zu classes to evaluate, the limit is %d", class_count, COCO_MAX_CLASSES);
    if (kind != COCO_KEYPOINTS)
        keypoint_count = 0;
    else if (keypoint_count < 1 || keypoint_count > COCO_MAX_KEYPOINTS)
        return error_set(error, SERIN_LIMIT, "%zu keypoints to evaluate, the limit is %d", keypoint_count,
                         COCO_MAX_KEYPOINTS);
    eval = calloc(1, sizeof(*eval));
    if (!eval)
        return error_set(error, SERIN_NOMEM, "no memory for an evaluation");
    eval->kind = kind;
    eval->class_count = class_count;
    eval->keypoint_count = keypoint_count;
    eval->working_point = working_point;
    eval->classes = calloc(class_count, sizeof(*eval->classes));
    eval->variances = calloc(keypoint_count + 1, sizeof(*eval->variances));
    if (!eval->classes || !eval->variances) {
        coco_eval_free(eval);
        return error_set(error, SERIN_NOMEM, "no memory for an evaluation of %zu classes", class_count);
    }
    for (i = 0; i < keypoint_count; i++) {
        double sigma = keypoint_count == 17 ? person_sigmas[i] / 10 : 1.0 / (double)keypoint_count;

        eval->variances[i] = (sigma * 2) * (sigma * 2);
    }
    *ret = eval;
    return SERIN_OK;
}

void coco_eval_free(struct coco_eval *eval)
{
    size_t i;

    if (!eval)
        return;
    for (i = 0; eval->classes && i < eval->class_count; i++)
        free(eval->classes[i].scored);
    free(eval->classes);
    free(eval->variances);
    free(eval);
}

/* ---- similarity ---- */

static double box_iou(const double d[4], const double t[4], bool crowd)
{
    double w = fmin(d[0] + d[2], t[0] + t[2]) - fmax(d[0], t[0]);
    double h = fmin(d[1] + d[3], t[1] + t[3]) - fmax(d[1], t[1]);
    double both, either;

    if (w <= 0 || h <= 0)
        return 0;
    both = w * h;
    either = crowd ? d[2] * d[3] : d[2] * d[3] + t[2] * t[3] - both;
    return both / either;
}

/* Object keypoint similarity over the labelled points; of a truth without any, over all points by how far they lie
 * outside of its box doubled. */
static double keypoint_similarity(const struct coco_eval *eval, const double *d, const struct coco_truth *truth)
{
    const double *t = truth->keypoints, *box = truth->box;
    double x0 = box[0] - box[2], x1 = box[0] + box[2] * 2, y0 = box[1] - box[3], y1 = box[1] + box[3] * 2;
    size_t i, labelled = 0, used = 0;
    double sum = 0;

    for (i = 0; i < eval->keypoint_count; i++)
        labelled += t[3 * i + 2] > 0;
    for (i = 0; i < eval->keypoint_count; i++) {
        double dx, dy;

        if (labelled > 0) {
            if (!(t[3 * i + 2] > 0))
                continue;
            dx = d[3 * i] - t[3 * i];
            dy = d[3 * i + 1] - t[3 * i + 1];
        } else {
            dx = fmax(0, x0 - d[3 * i]) + fmax(0, d[3 * i] - x1);
            dy = fmax(0, y0 - d[3 * i + 1]) + fmax(0, d[3 * i + 1] - y1);
        }
        sum += exp(-((dx * dx + dy * dy) / eval->variances[i] / (truth->area + DBL_EPSILON) / 2));
        used++;
    }
    return sum / (double)used;
}

static double keypoint_extent(const double *keypoints, size_t count)
{
    double x0 = keypoints[0], x1 = x0, y0 = keypoints[1], y1 = y0;
    size_t i;

    for (i = 1; i < count; i++) {
        x0 = fmin(x0, keypoints[3 * i]);
        x1 = fmax(x1, keypoints[3 * i]);
        y0 = fmin(y0, keypoints[3 * i + 1]);
        y1 = fmax(y1, keypoints[3 * i + 1]);
    }
    return (x1 - x0) * (y1 - y0);
}

static void measure_group(const struct coco_eval *eval, struct group *group)
{
    size_t d, t;

    for (d = 0; d < group->detection_count; d++) {
        const struct coco_detection *detection = &group->detections[group->detection_order[d]];

        if (eval->kind == COCO_MASK)
            group->areas[d] = (double)rle_area(detection->mask);
        else if (eval->kind == COCO_KEYPOINTS)
            group->areas[d] = keypoint_extent(detection->keypoints, eval->keypoint_count);
        else
            group->areas[d] = detection->box[2] * detection->box[3];
        for (t = 0; t < group->truth_count; t++) {
            const struct coco_truth *truth = &group->truths[group->truth_order[t]];
            double *similarity = &group->similarity[d * group->truth_count + t];

            if (eval->kind == COCO_MASK)
                *similarity = rle_iou(detection->mask, truth->mask, truth->crowd);
            else if (eval->kind == COCO_KEYPOINTS)
                *similarity = keypoint_similarity(eval, detection->keypoints, truth);
            else
                *similarity = box_iou(detection->box, truth->box, truth->crowd);
        }
    }
}

/* ---- matching ---- */

static bool truth_is_ignored(const struct coco_eval *eval, const struct coco_truth *truth)
{
    size_t i;

    if (truth->crowd || truth->ignore)
        return true;
    if (eval->kind != COCO_KEYPOINTS)
        return false;
    for (i = 0; i < eval->keypoint_count; i++)
        if (truth->keypoints[3 * i + 2] > 0)
            return false;
    return true;
}

/* The best truth for detection d that nobody has taken (or that is a crowd); one that counts is preferred to any that
 * is ignored, and of equals the last. order holds the truths with the ignored ones behind counting. -1: none. */
static ptrdiff_t best_truth(const struct group *group, size_t d, double threshold, const uint32_t *order,
                            size_t counting, const bool *taken)
{
    double best = fmin(threshold, 1 - 1e-10);
    ptrdiff_t found = -1;
    size_t i;

    for (i = 0; i < group->truth_count; i++) {
        uint32_t t = order[i];
        double similarity = group->similarity[d * group->truth_count + t];

        if (taken[t] && !group->truths[group->truth_order[t]].crowd)
            continue;
        if (found >= 0 && (size_t)found < counting && i >= counting)
            break;
        if (similarity < best)
            continue;
        best = similarity;
        found = (ptrdiff_t)i;
    }
    return found;
}

static void match_group(const struct coco_eval *eval, const struct group *group, int area, struct scored *scored,
                        uint32_t *order, bool *ignored, bool *taken, size_t *positives)
{
    const double *range = area_ranges[area];
    size_t counting = 0, behind, d, t;
    int i;

    for (t = 0; t < group->truth_count; t++) {
        const struct coco_truth *truth = &group->truths[group->truth_order[t]];

        ignored[t] = truth_is_ignored(eval, truth) || truth->area < range[0] || truth->area > range[1];
        if (!ignored[t])
            order[counting++] = (uint32_t)t;
    }
    for (t = 0, behind = counting; t < group->truth_count; t++)
        if (ignored[t])
            order[behind++] = (uint32_t)t;
    *positives += counting;
    for (i = 0; i < THRESHOLDS; i++) {
        double threshold = coco_threshold(i);

        memset(taken, 0, group->truth_count * sizeof(*taken));
        for (d = 0; d < group->detection_count; d++) {
            ptrdiff_t found = best_truth(group, d, threshold, order, counting, taken);
            bool outside = group->areas[d] < range[0] || group->areas[d] > range[1];

            if (found >= 0) {
                taken[order[found]] = true;
                scored[d].matched[area] |= (uint16_t)(1u << i);
            }
            if (found >= 0 ? (size_t)found >= counting : outside)
                scored[d].ignored[area] |= (uint16_t)(1u << i);
        }
    }
}

static enum serin_errc record_reserve(struct class_record *record, size_t more, struct serin_error *error)
{
    size_t capacity = record->capacity ? record->capacity : 64;
    struct scored *scored;

    while (capacity - record->count < more)
        capacity *= 2;
    if (capacity == record->capacity)
        return SERIN_OK;
    scored = realloc(record->scored, capacity * sizeof(*scored));
    if (!scored)
        return error_set(error, SERIN_NOMEM, "no memory for %zu detections of a class", capacity);
    record->scored = scored;
    record->capacity = capacity;
    return SERIN_OK;
}

static enum serin_errc add_group(struct coco_eval *eval, struct group *group, int32_t class_id, bool *counts,
                                 struct serin_error *error)
{
    struct class_record *record = &eval->classes[class_id];
    size_t most = eval->kind == COCO_KEYPOINTS ? KEYPOINT_DETECTIONS : BOX_DETECTIONS, before = record->positives[0], d;
    size_t truths = group->truth_count + 1; /* no empty allocations */
    enum serin_errc rc;
    uint32_t *order;
    bool *flags;
    int area;

    if (group->detection_count > most)
        group->detection_count = most;
    rc = record_reserve(record, group->detection_count, error);
    if (rc)
        return rc;
    group->similarity = malloc((group->detection_count + 1) * truths * sizeof(double));
    group->areas = malloc((group->detection_count + 1) * sizeof(double));
    order = malloc(truths * sizeof(*order));
    flags = malloc(truths * 2 * sizeof(*flags));
    if (!group->similarity || !group->areas || !order || !flags) {
        rc = error_set(error, SERIN_NOMEM, "no memory to match %zu objects", group->truth_count);
        goto out;
    }
    measure_group(eval, group);
    for (d = 0; d < group->detection_count; d++)
        record->scored[record->count + d] =
            (struct scored){.score = group->detections[group->detection_order[d]].score, .rank = (uint32_t)d};
    for (area = 0; area < AREAS; area++)
        match_group(eval, group, area, record->scored + record->count, order, flags, flags + truths,
                    &record->positives[area]);
    record->count += group->detection_count;
    if (record->positives[0] > before) {
        record->images++;
        *counts = true;
    }
out:
    free(group->similarity);
    free(group->areas);
    free(order);
    free(flags);
    return rc;
}

/* ---- one picture ---- */

static enum serin_errc check_numbers(const struct coco_eval *eval, int32_t class_id, const double box[4], double number,
                                     const double *keypoints, const struct rle *mask, const struct rle **size,
                                     struct serin_error *error)
{
    size_t i;

    if (class_id < 0 || (size_t)class_id >= eval->class_count)
        return error_set(error, SERIN_INVALID, "class %d of an object, there are %zu", class_id, eval->class_count);
    for (i = 0; i < 4; i++)
        if (!isfinite(box[i]))
            return error_set(error, SERIN_INVALID, "an object's box is not made of finite numbers");
    if (!isfinite(number))
        return error_set(error, SERIN_INVALID, "an object's area or score is not a finite number");
    for (i = 0; i < 3 * eval->keypoint_count; i++)
        if (!isfinite(keypoints[i]))
            return error_set(error, SERIN_INVALID, "an object's keypoints are not finite numbers");
    if (eval->kind != COCO_MASK)
        return SERIN_OK;
    if (*size && ((*size)->width != mask->width || (*size)->height != mask->height))
        return error_set(error, SERIN_INVALID, "masks of %u x %u and %u x %u in one picture", (*size)->width,
                         (*size)->height, mask->width, mask->height);
    *size = mask;
    return SERIN_OK;
}

static enum serin_errc check_picture(const struct coco_eval *eval, const struct coco_truth *truths, size_t truth_count,
                                     const struct coco_detection *detections, size_t detection_count,
                                     struct serin_error *error)
{
    const struct rle *size = NULL;
    enum serin_errc rc;
    size_t i;

    if (truth_count > COCO_MAX_PER_IMAGE || detection_count > COCO_MAX_PER_IMAGE)
        return error_set(error, SERIN_LIMIT, "%zu objects and %zu detections in a picture, the limit is %d each",
                         truth_count, detection_count, COCO_MAX_PER_IMAGE);
    for (i = 0; i < truth_count; i++) {
        rc = check_numbers(eval, truths[i].class_id, truths[i].box, truths[i].area, truths[i].keypoints, truths[i].mask,
                           &size, error);
        if (rc)
            return rc;
    }
    for (i = 0; i < detection_count; i++) {
        rc = check_numbers(eval, detections[i].class_id, detections[i].box, detections[i].score,
                           detections[i].keypoints, detections[i].mask, &size, error);
        if (rc)
            return rc;
    }
    return SERIN_OK;
}

/* for sorting indices: qsort_r's last argument is the array they point into */
static int truth_order(const void *a, const void *b, void *array)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct coco_truth *truths = array;

    if (truths[x].class_id != truths[y].class_id)
        return truths[x].class_id < truths[y].class_id ? -1 : 1;
    return x < y ? -1 : 1;
}

static int detection_order(const void *a, const void *b, void *array)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct coco_detection *detections = array;

    if (detections[x].class_id != detections[y].class_id)
        return detections[x].class_id < detections[y].class_id ? -1 : 1;
    if (detections[x].score != detections[y].score)
        return detections[x].score > detections[y].score ? -1 : 1;
    return x < y ? -1 : 1;
}

enum serin_errc coco_eval_add(struct coco_eval *eval, const struct coco_truth *truths, size_t truth_count,
                              const struct coco_detection *detections, size_t detection_count,
                              struct serin_error *error)
{
    enum serin_errc rc = check_picture(eval, truths, truth_count, detections, detection_count, error);
    uint32_t *orders, *of_truths, *of_detections;
    size_t i, t = 0, d = 0;
    bool counts = false;

    if (rc)
        return rc;
    orders = malloc((truth_count + detection_count + 1) * sizeof(*orders));
    if (!orders)
        return error_set(error, SERIN_NOMEM, "no memory to sort %zu detections", detection_count);
    of_truths = orders;
    of_detections = orders + truth_count;
    for (i = 0; i < truth_count; i++)
        of_truths[i] = (uint32_t)i;
    for (i = 0; i < detection_count; i++)
        of_detections[i] = (uint32_t)i;
    qsort_r(of_truths, truth_count, sizeof(*orders), truth_order, (void *)truths);
    qsort_r(of_detections, detection_count, sizeof(*orders), detection_order, (void *)detections);
    while (!rc && (t < truth_count || d < detection_count)) {
        int32_t class_id = t < truth_count ? truths[of_truths[t]].class_id : INT32_MAX;
        struct group group = {.truths = truths, .detections = detections};

        if (d < detection_count && detections[of_detections[d]].class_id < class_id)
            class_id = detections[of_detections[d]].class_id;
        group.truth_order = of_truths + t;
        group.detection_order = of_detections + d;
        for (; t < truth_count && truths[of_truths[t]].class_id == class_id; t++)
            group.truth_count++;
        for (; d < detection_count && detections[of_detections[d]].class_id == class_id; d++)
            group.detection_count++;
        rc = add_group(eval, &group, class_id, &counts, error);
    }
    free(orders);
    eval->images += !rc && counts;
    return rc;
}

/* ---- the result ---- */

/* Precision at each of the recall points, at one threshold and area range. Returns the recall reached. right and curve
 * have room for all of the class's detections. */
static double precision_curve(const struct class_record *record, const uint32_t *order, int area, int threshold,
                              double *recalls, double *precisions, double curve[RECALL_POINTS])
{
    double positives = (double)record->positives[area], right = 0, wrong = 0;
    size_t count = 0, i;
    int point;

    for (i = 0; i < record->count; i++) {
        const struct scored *scored = &record->scored[order[i]];

        if (!(scored->ignored[area] >> threshold & 1)) {
            if (scored->matched[area] >> threshold & 1)
                right++;
            else
                wrong++;
        }
        recalls[count] = right / positives;
        precisions[count++] = right / (wrong + right + DBL_EPSILON);
    }
    for (i = count; i > 1; i--)
        if (precisions[i - 1] > precisions[i - 2])
            precisions[i - 2] = precisions[i - 1];
    for (point = 0, i = 0; point < RECALL_POINTS; point++) {
        double recall = point == RECALL_POINTS - 1 ? 1.0 : point * .01;

        while (i < count && recalls[i] < recall)
            i++;
        curve[point] = i < count ? precisions[i] : 0;
    }
    return count ? recalls[count - 1] : 0;
}

/* Average recall over the thresholds with the first most detections of each picture. */
static double recall_with(const struct class_record *record, uint32_t most)
{
    size_t right = 0, i;

    if (record->positives[0] == 0)
        return -1;
    for (i = 0; i < record->count; i++)
        if (record->scored[i].rank < most)
            right += (size_t)__builtin_popcount(record->scored[i].matched[0] & (unsigned)~record->scored[i].ignored[0]);
    return (double)right / (double)record->positives[0] / THRESHOLDS;
}

static int by_falling_score(const void *a, const void *b, void *array)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct scored *scored = array;

    if (scored[x].score != scored[y].score)
        return scored[x].score > scored[y].score ? -1 : 1;
    return x < y ? -1 : 1;
}

static void finish_area(const struct class_record *record, const uint32_t *order, int area, double *scratch,
                        struct coco_result *result)
{
    double mean = 0, recall = 0, curve[RECALL_POINTS];
    int i, point;

    for (i = 0; i < THRESHOLDS; i++) {
        double sum = 0;

        recall += precision_curve(record, order, area, i, scratch, scratch + record->count, curve);
        for (point = 0; point < RECALL_POINTS; point++)
            sum += curve[point];
        mean += sum / RECALL_POINTS / THRESHOLDS;
        if (area == 0 && i == 0)
            result->ap.map50 = sum / RECALL_POINTS;
        if (area == 0 && i == 5)
            result->ap.map75 = sum / RECALL_POINTS;
    }
    if (area == 0) {
        result->ap.map50_95 = mean;
        result->ap.recall = recall / THRESHOLDS;
    } else {
        *(area == 1 ? &result->ap.small : area == 2 ? &result->ap.medium : &result->ap.large) = mean;
    }
}

static enum serin_errc finish_class(const struct coco_eval *eval, const struct class_record *record,
                                    struct coco_result *result, struct serin_error *error)
{
    double *scratch = malloc((record->count * 2 + 1) * sizeof(*scratch));
    uint32_t *order = malloc((record->count + 1) * sizeof(*order));
    size_t i;
    int area;

    *result = (struct coco_result){.ap = {-1, -1, -1, -1, -1, -1, -1}, .recall_1 = -1, .recall_10 = -1};
    if (!scratch || !order) {
        free(scratch);
        free(order);
        return error_set(error, SERIN_NOMEM, "no memory to sort %zu detections", record->count);
    }
    for (i = 0; i < record->count; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, record->count, sizeof(*order), by_falling_score, record->scored);
    for (area = 0; area < AREAS; area++)
        if (record->positives[area] > 0 && (area != 1 || eval->kind != COCO_KEYPOINTS))
            finish_area(record, order, area, scratch, result);
    if (eval->kind != COCO_KEYPOINTS) {
        result->recall_1 = recall_with(record, 1);
        result->recall_10 = recall_with(record, 10);
    }
    result->truths = record->positives[0];
    result->images = record->images;
    for (i = 0; i < record->count; i++)
        if (record->scored[i].score > eval->working_point && !(record->scored[i].ignored[0] & 1))
            *(record->scored[i].matched[0] & 1 ? &result->right : &result->wrong) += 1;
    free(scratch);
    free(order);
    return SERIN_OK;
}

struct mean {
    double sum;
    size_t count;
};

static void mean_add(struct mean *mean, double value)
{
    if (value < 0) /* no ground truth */
        return;
    mean->sum += value;
    mean->count++;
}

static double mean_of(const struct mean *mean)
{
    return mean->count ? mean->sum / (double)mean->count : -1;
}

enum serin_errc coco_eval_finish(const struct coco_eval *eval, struct coco_result *total, struct coco_result *per_class,
                                 struct serin_error *error)
{
    struct coco_result sum = {.images = eval->images}, one;
    struct mean means[9] = {0};
    enum serin_errc rc;
    size_t i;

    for (i = 0; i < eval->class_count; i++) {
        rc = finish_class(eval, &eval->classes[i], &one, error);
        if (rc)
            return rc;
        if (per_class)
            per_class[i] = one;
        mean_add(&means[0], one.ap.map50_95);
        mean_add(&means[1], one.ap.map50);
        mean_add(&means[2], one.ap.map75);
        mean_add(&means[3], one.ap.small);
        mean_add(&means[4], one.ap.medium);
        mean_add(&means[5], one.ap.large);
        mean_add(&means[6], one.ap.recall);
        mean_add(&means[7], one.recall_1);
        mean_add(&means[8], one.recall_10);
        sum.truths += one.truths;
        sum.right += one.right;
        sum.wrong += one.wrong;
    }
    sum.ap = (struct serin_ap){mean_of(&means[0]), mean_of(&means[1]), mean_of(&means[2]), mean_of(&means[3]),
                               mean_of(&means[4]), mean_of(&means[5]), mean_of(&means[6])};
    sum.recall_1 = mean_of(&means[7]);
    sum.recall_10 = mean_of(&means[8]);
    *total = sum;
    return SERIN_OK;
}
