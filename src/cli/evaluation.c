/*
 * evaluation.c - an evaluation on the terminal while it runs, and as JSON afterwards.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/evaluation.h"

static bool show_progress(void *user, size_t done, size_t total)
{
    struct progress *progress = user;

    if (total != progress->total)
        progress_begin(progress, progress->what, total, "img");
    progress_step(progress, done);
    return true;
}

static void show_failure(void *user, const char *path, const struct serin_error *error)
{
    progress_hide(user);
    terminal_complain_of(path, error);
}

void evaluation_report_to(struct progress *progress, const char *what, struct serin_eval_options *options)
{
    progress_begin(progress, what, 0, "img");
    options->progress = show_progress;
    options->failed = show_failure;
    options->user = progress;
}

void evaluation_warn(const char *verb, const char *data, const struct serin_evaluation *evaluation)
{
    if (!evaluation->classes_by_name)
        terminal_complain("%s: the class names of %s are not the model's, so classes were matched by number: is their "
                          "order the same? 'serin inspect' lists the model's",
                          verb, data);
}

/* What could not be measured is null. */
static void json_score(struct json_writer *json, const char *key, double value)
{
    json_key(json, key);
    if (value < 0)
        json_write_null(json);
    else
        json_write_number(json, value);
}

static void json_ap(struct json_writer *json, const struct serin_ap *ap)
{
    json_score(json, "map50_95", ap->map50_95);
    json_score(json, "map50", ap->map50);
    json_score(json, "map75", ap->map75);
    json_score(json, "small", ap->small);
    json_score(json, "medium", ap->medium);
    json_score(json, "large", ap->large);
    json_score(json, "ar100", ap->recall);
}

static void json_ultralytics(struct json_writer *json, const struct serin_ultralytics_ap *ap)
{
    json_key(json, "ultralytics");
    json_begin_object(json);
    json_score(json, "map50_95", ap->map50_95);
    json_score(json, "map50", ap->map50);
    json_score(json, "map75", ap->map75);
    json_end_object(json);
}

/* "mask" and "keypoints" objects, for the tasks that have them. */
static void json_parts(struct json_writer *json, enum serin_task task, const struct serin_ap *mask,
                       const struct serin_ap *keypoints)
{
    if (task == SERIN_SEGMENT) {
        json_key(json, "mask");
        json_begin_object(json);
        json_ap(json, mask);
        json_end_object(json);
    }
    if (task == SERIN_POSE) {
        json_key(json, "keypoints");
        json_begin_object(json);
        json_ap(json, keypoints);
        json_end_object(json);
    }
}

static void json_class(struct json_writer *json, enum serin_task task, const struct serin_eval_class *class)
{
    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, class->name);
    json_key(json, "class");
    json_write_integer(json, class->class_id);
    json_key(json, "images");
    json_write_integer(json, (int64_t) class->images);
    json_key(json, "instances");
    json_write_integer(json, (int64_t) class->instances);
    json_ap(json, &class->box);
    json_ultralytics(json, &class->ultralytics);
    json_parts(json, task, &class->mask, &class->keypoints);
    json_end_object(json);
}

static void json_speed(struct json_writer *json, const struct serin_speed *speed)
{
    json_key(json, "speed");
    json_begin_object(json);
    json_key(json, "preprocess");
    json_write_rounded(json, speed->preprocess_ms, 3);
    json_key(json, "inference");
    json_write_rounded(json, speed->inference_ms, 3);
    json_key(json, "postprocess");
    json_write_rounded(json, speed->postprocess_ms, 3);
    json_end_object(json);
}

void evaluation_json(struct json_writer *json, const struct serin_evaluation *evaluation, bool with_speed,
                     const char *data_digest)
{
    size_t i;

    json_begin_object(json);
    json_key(json, "task");
    json_write_string(json, serin_task_name(evaluation->task));
    if (data_digest) {
        json_key(json, "data_digest");
        json_write_string(json, data_digest);
    }
    json_key(json, "images");
    json_write_integer(json, (int64_t)evaluation->images);
    json_key(json, "images_failed");
    json_write_integer(json, (int64_t)evaluation->images_failed);
    json_key(json, "instances");
    json_write_integer(json, (int64_t)evaluation->instances);
    json_key(json, "classes_by_name");
    json_write_boolean(json, evaluation->classes_by_name);
    json_ap(json, &evaluation->box);
    json_ultralytics(json, &evaluation->ultralytics);
    json_score(json, "precision", evaluation->precision);
    json_score(json, "recall", evaluation->recall);
    json_score(json, "f1", evaluation->f1);
    json_score(json, "top1", evaluation->top1);
    json_score(json, "top5", evaluation->top5);
    json_parts(json, evaluation->task, &evaluation->mask, &evaluation->keypoints);
    json_key(json, "per_class");
    json_begin_array(json);
    for (i = 0; i < evaluation->class_count; i++)
        json_class(json, evaluation->task, &evaluation->per_class[i]);
    json_end_array(json);
    if (with_speed)
        json_speed(json, &evaluation->speed);
    json_end_object(json);
}
