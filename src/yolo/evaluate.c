/*
 * evaluate.c - runs a model over a labelled set of pictures and scores it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One picture (or one fixed batch) is in memory at a time: decoded, predicted as Ultralytics' val asks for it
 * (confidence .001, several labels a box), handed to the metrics, freed. Both metrics see the same detections.
 *
 * Preprocessing is that of Ultralytics' val where the input is square: the picture's shorter side is rounded up, not to
 * the nearest pixel as predict does. On 128 photographs of COCO the difference is .0001 of map50_95; on a few small
 * pictures, .003. Masks keep predict's way: their prototypes are cut by its rounding.
 */
#include "yolo/coco_eval.h"
#include "yolo/dataset.h"
#include "yolo/model.h"
#include "yolo/ultralytics_ap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORKING_POINT   .25 /* the confidence at which precision and recall are told */
#define DEFAULT_MAX_DET 300
#define MAX_GROUP       YOLO_MAX_BATCH /* pictures in one call; more than one only where the model's batch is fixed */
/* A pose label file has no outline's area, by which keypoint similarity is scaled: the usual share of the box, which
 * xtcocotools and Ultralytics take. */
#define OUTLINE_SHARE_OF_BOX .53

struct run {
    struct serin_yolo *yolo;
    const struct serin_yolo_info *info;
    struct dataset *dataset;
    size_t image_count;                       /* of the data's pictures, evenly chosen */
    struct coco_eval *box, *mask, *keypoints; /* those the task has */
    struct ultralytics_ap *ultralytics;
    size_t *class_images, *class_instances; /* [class_count] */
    size_t images, images_failed, instances, top1, top5;
    struct serin_speed speed; /* sums */
    struct serin_error *error;
};

/* One picture's detections in the form the metrics take. */
struct picture {
    struct dataset_truths truths;
    struct coco_detection *detections; /* [count] */
    size_t count;
    struct rle *masks; /* [count] for segment */
    double *keypoints; /* [count][keypoint_count][3] for pose */
};

void serin_eval_options_init(struct serin_eval_options *options)
{
    *options = (struct serin_eval_options){.conf = .001f, .iou = .7, .max_det = DEFAULT_MAX_DET};
}

static enum serin_errc no_memory(const struct run *run, const char *path)
{
    return error_set(run->error, SERIN_NOMEM, "%s: no memory to evaluate it", path);
}

/* ---- from a result to the metrics ---- */

static void picture_done(struct picture *picture)
{
    size_t i;

    for (i = 0; picture->masks && i < picture->count; i++)
        rle_done(&picture->masks[i]);
    free(picture->masks);
    free(picture->keypoints);
    free(picture->detections);
    dataset_truths_done(&picture->truths);
}

static enum serin_errc take_mask(const struct run *run, const struct serin_result *result, size_t i, struct rle *ret)
{
    const struct serin_mask *mask = result->detections[i].mask;

    BUG_ON(!mask || mask->full_width != result->width || mask->full_height != result->height);
    return rle_from_bitmap((uint32_t)mask->full_width, (uint32_t)mask->full_height, (uint32_t)mask->x,
                           (uint32_t)mask->y, (uint32_t)mask->width, (uint32_t)mask->height, mask->values,
                           (size_t)mask->width, ret, run->error);
}

/* COCO's detections are clipped to the picture; val's own metric looks at boxes that are not. */
static double within(float value, int32_t side)
{
    return fmin(fmax((double)value, 0), side);
}

static enum serin_errc take_detections(const struct run *run, const char *path, const struct serin_result *result,
                                       struct picture *picture)
{
    size_t points = (size_t)run->info->keypoint_count, i, k;
    enum serin_errc rc;

    picture->detections = calloc(result->count + 1, sizeof(*picture->detections));
    if (run->mask)
        picture->masks = calloc(result->count + 1, sizeof(*picture->masks));
    if (run->keypoints)
        picture->keypoints = calloc(result->count * points * 3 + 1, sizeof(*picture->keypoints));
    if (!picture->detections || (run->mask && !picture->masks) || (run->keypoints && !picture->keypoints))
        return no_memory(run, path);
    picture->count = result->count;
    for (i = 0; i < result->count; i++) {
        const struct serin_detection *from = &result->detections[i];
        struct coco_detection *to = &picture->detections[i];

        to->class_id = from->class_id;
        to->score = (double)from->confidence;
        to->box[0] = within(from->x1, result->width);
        to->box[1] = within(from->y1, result->height);
        to->box[2] = within(from->x2, result->width) - to->box[0];
        to->box[3] = within(from->y2, result->height) - to->box[1];
        if (run->mask) {
            rc = take_mask(run, result, i, &picture->masks[i]);
            if (rc)
                return rc;
            to->mask = &picture->masks[i];
        }
        if (run->keypoints) {
            double *to_points = picture->keypoints + i * points * 3;

            for (k = 0; k < points; k++) {
                to_points[3 * k] = within(from->keypoints[k].x, result->width);
                to_points[3 * k + 1] = within(from->keypoints[k].y, result->height);
                to_points[3 * k + 2] = (double)from->keypoints[k].visible;
            }
            to->keypoints = to_points;
        }
    }
    return SERIN_OK;
}

static float overlap_of(const struct run *run, const struct picture *picture, size_t truth,
                        const struct serin_detection *detection)
{
    const double *box = picture->truths.truths[truth].box;

    if (run->info->task == SERIN_OBB) {
        const float turned[5] = {detection->cx, detection->cy, detection->w, detection->h, detection->angle};
        float wanted[5];

        ultralytics_turned_box(picture->truths.points + truth * 8, wanted);
        return ultralytics_turned_iou(wanted, turned);
    } else {
        const float upright[4] = {detection->x1, detection->y1, detection->x2, detection->y2};
        const float wanted[4] = {(float)box[0], (float)box[1], (float)(box[0] + box[2]), (float)(box[1] + box[3])};

        return ultralytics_box_iou(wanted, upright);
    }
}

/* Crowds are left out: the label files that Ultralytics' users have do not hold them. */
static enum serin_errc add_to_ultralytics(const struct run *run, const char *path, const struct picture *picture,
                                          const struct serin_result *result)
{
    size_t most = picture->truths.count, count = 0, i, d;
    int32_t *classes = calloc(most + result->count + 1, sizeof(*classes));
    float *overlap = calloc((most + 1) * (result->count + 1), sizeof(*overlap));
    size_t *kept = calloc(most + 1, sizeof(*kept));
    enum serin_errc rc;

    if (!classes || !overlap || !kept) {
        rc = no_memory(run, path);
    } else {
        float *scores = overlap + most * result->count; /* result->count + most + 1 are left */

        for (i = 0; i < most; i++)
            if (!picture->truths.truths[i].crowd) {
                classes[count] = picture->truths.truths[i].class_id;
                kept[count++] = i;
            }
        for (d = 0; d < result->count; d++) {
            classes[count + d] = result->detections[d].class_id;
            scores[d] = result->detections[d].confidence;
            for (i = 0; i < count; i++)
                if (classes[i] == classes[count + d])
                    overlap[d * count + i] = overlap_of(run, picture, kept[i], &result->detections[d]);
        }
        rc = ultralytics_ap_add(run->ultralytics, classes, count, classes + count, scores, result->count, overlap,
                                run->error);
    }
    free(classes);
    free(overlap);
    free(kept);
    return rc;
}

static enum serin_errc add_to_coco(const struct run *run, const struct dataset_image *image, struct picture *picture)
{
    struct dataset_truths *truths = &picture->truths;
    enum serin_errc rc = SERIN_OK;
    size_t i;

    if (run->box)
        rc = coco_eval_add(run->box, truths->truths, truths->count, picture->detections, picture->count, run->error);
    if (!rc && run->mask)
        rc = coco_eval_add(run->mask, truths->truths, truths->count, picture->detections, picture->count, run->error);
    if (!rc && run->keypoints) {
        for (i = 0; i < truths->count; i++)
            if (image->objects[i].area < 0)
                truths->truths[i].area *= OUTLINE_SHARE_OF_BOX;
        rc = coco_eval_add(run->keypoints, truths->truths, truths->count, picture->detections, picture->count,
                           run->error);
    }
    return rc ? error_prefix(run->error, rc, "%s", image->path) : SERIN_OK;
}

static enum serin_errc score_boxes(struct run *run, const struct dataset_image *image,
                                   const struct serin_result *result)
{
    struct picture picture = {0};
    enum serin_errc rc;

    rc = dataset_scale(image, run->info, result->width, result->height, &picture.truths, run->error);
    if (!rc)
        rc = take_detections(run, image->path, result, &picture);
    if (!rc)
        rc = add_to_ultralytics(run, image->path, &picture, result);
    if (!rc)
        rc = add_to_coco(run, image, &picture);
    picture_done(&picture);
    return rc;
}

static void count_objects(struct run *run, const struct dataset_image *image)
{
    size_t i, k;

    if (run->info->task == SERIN_CLASSIFY) {
        run->class_images[image->class_id]++;
        run->class_instances[image->class_id]++;
        run->instances++;
        return;
    }
    for (i = 0; i < image->object_count; i++) {
        int32_t class_id = image->objects[i].class_id;

        if (image->objects[i].crowd)
            continue;
        run->class_instances[class_id]++;
        run->instances++;
        for (k = 0; k < i && (image->objects[k].class_id != class_id || image->objects[k].crowd); k++)
            ;
        run->class_images[class_id] += k == i; /* the first of its class here */
    }
}

static enum serin_errc score_picture(struct run *run, const struct dataset_image *image,
                                     const struct serin_result *result)
{
    size_t i;

    run->speed.preprocess_ms += result->speed.preprocess_ms;
    run->speed.inference_ms += result->speed.inference_ms;
    run->speed.postprocess_ms += result->speed.postprocess_ms;
    count_objects(run, image);
    if (run->info->task != SERIN_CLASSIFY)
        return score_boxes(run, image, result);
    for (i = 0; i < result->count && i < 5; i++)
        if (result->detections[i].class_id == image->class_id) {
            run->top1 += i == 0;
            run->top5++;
        }
    return SERIN_OK;
}

/* ---- over the pictures ---- */

/* Where val of Ultralytics puts a picture in a square input of side px: the longer side fills it, the shorter one is
 * rounded up, then padding as LetterBox has it. */
static struct letterbox val_letterbox(const struct serin_image *image, int32_t side)
{
    double ratio = (double)side / (image->width > image->height ? image->width : image->height);
    struct letterbox box = {.image_width = image->width,
                            .image_height = image->height,
                            .input_width = side,
                            .input_height = side,
                            .as_it_stands = true};

    box.resized_width = (int32_t)fmin(ceil(image->width * ratio), side);
    box.resized_height = (int32_t)fmin(ceil(image->height * ratio), side);
    box.left = (int32_t)rint((side - box.resized_width) / 2.0 - .1);
    box.top = (int32_t)rint((side - box.resized_height) / 2.0 - .1);
    return box;
}

static enum serin_errc predict_pictures(struct run *run, const struct serin_image *images, size_t count,
                                        const struct serin_predict_options *options, struct serin_result **results)
{
    int32_t height = options->input_height > 0 ? options->input_height : run->info->input_height;
    int32_t width = options->input_width > 0 ? options->input_width : run->info->input_width;
    struct prepared_picture pictures[MAX_GROUP];
    enum serin_errc rc;
    size_t i;

    if (run->info->task == SERIN_CLASSIFY || run->info->task == SERIN_SEGMENT || height != width)
        return serin_yolo_predict(run->yolo, images, count, options, results, run->error);
    rc = yolo_check_options(run->yolo, options, run->error);
    if (rc)
        return rc;
    if (run->info->dynamic_size)
        width = (width + run->info->stride - 1) / run->info->stride * run->info->stride;
    for (i = 0; i < count; i++)
        pictures[i] = (struct prepared_picture){&images[i], val_letterbox(&images[i], width)};
    return yolo_predict_batch(run->yolo, pictures, count, options, results, run->error);
}

/* A picture that cannot be decoded is as bad for every model, so it is left out and counted: what is compared stays
 * comparable. What the model does to a picture (a NaN) is its own fault and stays an error: left out, it would flatter
 * the model. */
static enum serin_errc decode_or_count(struct run *run, const char *path, const struct serin_eval_options *options,
                                       struct serin_image *ret)
{
    struct serin_error error;
    enum serin_errc rc = serin_image_decode_file(path, NULL, ret, &error);

    if (!rc)
        return SERIN_OK;
    if (rc == SERIN_NOMEM)
        return error_set(run->error, rc, "%s", error.message);
    run->images_failed++;
    if (options->failed)
        options->failed(options->user, path, &error);
    if (run->images_failed == run->image_count)
        return error_set(run->error, rc, "not one of %zu pictures could be decoded; the last: %s", run->images_failed,
                         error.message);
    return SERIN_OK;
}

/* Which picture of the data comes in place i of those that are evaluated. */
static const struct dataset_image *chosen(const struct run *run, size_t i)
{
    return &run->dataset->images[(size_t)((uint64_t)i * run->dataset->image_count / run->image_count)];
}

static enum serin_errc predict_group(struct run *run, size_t first, size_t size,
                                     const struct serin_predict_options *predict,
                                     const struct serin_eval_options *options)
{
    const struct dataset_image *decoded[MAX_GROUP];
    struct serin_result *results[MAX_GROUP] = {NULL};
    struct serin_image images[MAX_GROUP] = {0};
    enum serin_errc rc = SERIN_OK;
    size_t count = 0, i;

    for (i = 0; i < size && !rc; i++) {
        decoded[count] = chosen(run, first + i);
        rc = decode_or_count(run, decoded[count]->path, options, &images[count]);
        count += images[count].pixels != NULL;
    }
    if (!rc && count > 0) {
        rc = predict_pictures(run, images, count, predict, results);
        if (rc)
            error_prefix(run->error, rc, "%s", decoded[0]->path);
    }
    for (i = 0; i < count && !rc; i++)
        rc = score_picture(run, decoded[i], results[i]);
    run->images += count;
    for (i = 0; i < count; i++) {
        serin_result_free(results[i]);
        serin_image_free(&images[i]);
    }
    return rc;
}

static enum serin_errc predict_all(struct run *run, const struct serin_eval_options *options)
{
    struct serin_predict_options predict;
    struct dataset *dataset = run->dataset;
    size_t group = run->info->batch < 1 ? 1 : run->info->batch > MAX_GROUP ? MAX_GROUP : (size_t)run->info->batch, i, k;
    int32_t *classes = calloc((size_t)run->info->class_count, sizeof(*classes));
    enum serin_errc rc = SERIN_OK;

    if (!classes)
        return error_set(run->error, SERIN_NOMEM, "no memory for %d classes", run->info->class_count);
    serin_predict_options_init(&predict);
    predict.conf = options->conf;
    predict.iou = options->iou;
    predict.max_det = options->max_det;
    predict.input_height = options->input_height;
    predict.input_width = options->input_width;
    predict.multi_label = true;
    predict.retina_masks = true; /* truth has the picture's size */
    predict.rect = SERIN_RECT_OFF;
    for (i = 0; i < (size_t)run->info->class_count; i++)
        if (dataset->known[i])
            classes[predict.class_count++] = (int32_t)i;
    if (predict.class_count < (size_t)run->info->class_count && run->info->task != SERIN_CLASSIFY)
        predict.classes = classes; /* what the data does not name is not wrong to find */
    run->image_count = options->max_images > 0 && options->max_images < dataset->image_count ? options->max_images
                                                                                             : dataset->image_count;
    for (i = 0; i < run->image_count && options->max_det == DEFAULT_MAX_DET; i++)
        if (chosen(run, i)->object_count >
            (size_t)predict.max_det) /* as Ultralytics: the default must not cap recall */
            predict.max_det = (int)chosen(run, i)->object_count;
    for (i = 0; i < run->image_count && !rc; i += group) {
        if (run->image_count - i < group)
            group = run->image_count - i;
        rc = predict_group(run, i, group, &predict, options);
        for (k = 1; k <= group && !rc && options->progress; k++)
            if (!options->progress(options->user, i + k, run->image_count))
                rc = error_set(run->error, SERIN_INVALID, "evaluation was stopped after %zu of %zu pictures", i + k,
                               run->image_count);
    }
    free(classes);
    return rc;
}

/* ---- the result ---- */

static const struct serin_ap no_ap = {-1, -1, -1, -1, -1, -1, -1};

/* One piece of memory: the evaluation, its classes, their names. */
static struct serin_evaluation *evaluation_new(const struct run *run)
{
    size_t classes = (size_t)run->info->class_count, text = 0, i;
    struct serin_evaluation *evaluation;
    struct serin_eval_class *per_class;
    char *name;

    for (i = 0; i < classes; i++)
        text += strlen(run->info->class_names[i]) + 1;
    evaluation = calloc(1, sizeof(*evaluation) + classes * sizeof(*per_class) + text);
    if (!evaluation)
        return NULL;
    per_class = (struct serin_eval_class *)(evaluation + 1);
    name = (char *)(per_class + classes);
    *evaluation = (struct serin_evaluation){.task = run->info->task,
                                            .images = run->images,
                                            .images_failed = run->images_failed,
                                            .classes_by_name = run->dataset->by_name,
                                            .instances = run->instances,
                                            .box = no_ap,
                                            .mask = no_ap,
                                            .keypoints = no_ap,
                                            .ultralytics = {-1, -1, -1},
                                            .top1 = -1,
                                            .top5 = -1,
                                            .precision = -1,
                                            .recall = -1,
                                            .f1 = -1,
                                            .class_count = classes,
                                            .per_class = per_class};
    for (i = 0; i < classes; i++) {
        per_class[i] = (struct serin_eval_class){.name = name,
                                                 .class_id = (int)i,
                                                 .images = run->class_images[i],
                                                 .instances = run->class_instances[i],
                                                 .ultralytics = {-1, -1, -1},
                                                 .box = no_ap,
                                                 .mask = no_ap,
                                                 .keypoints = no_ap};
        name = stpcpy(name, run->info->class_names[i]) + 1;
    }
    return evaluation;
}

static void tell_working_point(struct serin_evaluation *evaluation, size_t objects, size_t right, size_t wrong)
{
    if (objects == 0)
        return;
    evaluation->recall = (double)right / (double)objects;
    evaluation->precision = right + wrong > 0 ? (double)right / (double)(right + wrong) : 0;
    evaluation->f1 = right > 0 ? 2 * (double)right / (double)(right + wrong + objects) : 0;
}

/* offset: of the struct serin_ap in struct serin_eval_class */
static enum serin_errc finish_coco(const struct run *run, const struct coco_eval *eval, struct serin_ap *total,
                                   struct serin_eval_class *per_class, size_t offset, struct serin_evaluation *working)
{
    struct coco_result *results, all;
    enum serin_errc rc;
    size_t i;

    if (!eval)
        return SERIN_OK;
    results = calloc((size_t)run->info->class_count, sizeof(*results));
    if (!results)
        return error_set(run->error, SERIN_NOMEM, "no memory for %d classes", run->info->class_count);
    rc = coco_eval_finish(eval, &all, results, run->error);
    if (!rc) {
        *total = all.ap;
        for (i = 0; i < (size_t)run->info->class_count; i++)
            memcpy((char *)&per_class[i] + offset, &results[i].ap, sizeof(struct serin_ap));
        if (working)
            tell_working_point(working, all.truths, all.right, all.wrong);
    }
    free(results);
    return rc;
}

static enum serin_errc finish_ultralytics(const struct run *run, struct serin_evaluation *evaluation,
                                          struct serin_eval_class *per_class)
{
    struct ultralytics_result *results, all;
    enum serin_errc rc;
    size_t i;

    if (!run->ultralytics)
        return SERIN_OK;
    results = calloc((size_t)run->info->class_count, sizeof(*results));
    if (!results)
        return error_set(run->error, SERIN_NOMEM, "no memory for %d classes", run->info->class_count);
    rc = ultralytics_ap_finish(run->ultralytics, &all, results, run->error);
    if (!rc) {
        evaluation->ultralytics = all.ap;
        for (i = 0; i < (size_t)run->info->class_count; i++)
            per_class[i].ultralytics = results[i].ap;
        if (run->info->task == SERIN_OBB)
            tell_working_point(evaluation, all.objects, all.right, all.wrong);
    }
    free(results);
    return rc;
}

static enum serin_errc finish(const struct run *run, struct serin_evaluation **ret)
{
    struct serin_evaluation *evaluation = evaluation_new(run);
    double pictures = (double)run->images;
    struct serin_eval_class *per_class;
    enum serin_errc rc;

    if (!evaluation)
        return error_set(run->error, SERIN_NOMEM, "no memory for %d classes", run->info->class_count);
    per_class = (struct serin_eval_class *)(evaluation + 1);
    evaluation->speed = (struct serin_speed){run->speed.preprocess_ms / pictures, run->speed.inference_ms / pictures,
                                             run->speed.postprocess_ms / pictures};
    if (run->info->task == SERIN_CLASSIFY) {
        evaluation->top1 = (double)run->top1 / pictures;
        evaluation->top5 = (double)run->top5 / pictures;
    }
    rc = finish_coco(run, run->box, &evaluation->box, per_class, offsetof(struct serin_eval_class, box), evaluation);
    if (!rc)
        rc = finish_coco(run, run->mask, &evaluation->mask, per_class, offsetof(struct serin_eval_class, mask), NULL);
    if (!rc)
        rc = finish_coco(run, run->keypoints, &evaluation->keypoints, per_class,
                         offsetof(struct serin_eval_class, keypoints), NULL);
    if (!rc)
        rc = finish_ultralytics(run, evaluation, per_class);
    if (rc)
        free(evaluation);
    else
        *ret = evaluation;
    return rc;
}

static enum serin_errc start(struct run *run)
{
    size_t classes = (size_t)run->info->class_count, points = (size_t)run->info->keypoint_count;
    enum serin_task task = run->info->task;
    enum serin_errc rc = SERIN_OK;

    run->class_images = calloc(classes, sizeof(*run->class_images));
    run->class_instances = calloc(classes, sizeof(*run->class_instances));
    if (!run->class_images || !run->class_instances)
        return error_set(run->error, SERIN_NOMEM, "no memory for %zu classes", classes);
    if (task == SERIN_CLASSIFY)
        return SERIN_OK;
    rc = ultralytics_ap_new(classes, WORKING_POINT, &run->ultralytics, run->error);
    if (!rc && task != SERIN_OBB)
        rc = coco_eval_new(COCO_BOX, classes, 0, WORKING_POINT, &run->box, run->error);
    if (!rc && task == SERIN_SEGMENT)
        rc = coco_eval_new(COCO_MASK, classes, 0, WORKING_POINT, &run->mask, run->error);
    if (!rc && task == SERIN_POSE)
        rc = coco_eval_new(COCO_KEYPOINTS, classes, points, WORKING_POINT, &run->keypoints, run->error);
    return rc;
}

enum serin_errc serin_yolo_evaluate(struct serin_yolo *yolo, const char *data_path,
                                    const struct serin_eval_options *options, struct serin_evaluation **ret,
                                    struct serin_error *error)
{
    struct run run = {.yolo = yolo, .info = serin_yolo_get_info(yolo), .error = error};
    struct serin_eval_options defaults;
    enum serin_errc rc;

    serin_eval_options_init(&defaults);
    options = options ? options : &defaults;
    rc = start(&run);
    if (!rc)
        rc = dataset_open(data_path, run.info, &run.dataset, error);
    if (!rc)
        rc = predict_all(&run, options);
    if (!rc)
        rc = finish(&run, ret);
    dataset_free(run.dataset);
    coco_eval_free(run.box);
    coco_eval_free(run.mask);
    coco_eval_free(run.keypoints);
    ultralytics_ap_free(run.ultralytics);
    free(run.class_images);
    free(run.class_instances);
    return rc;
}

void serin_evaluation_free(struct serin_evaluation *evaluation)
{
    free(evaluation);
}
