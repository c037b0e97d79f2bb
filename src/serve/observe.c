/*
 * observe.c - records of draws, requests, pairs and the choices of kept frames.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request becomes a record of its own; with a copy's answer it becomes a pair, too; and its boxes are kept for labels
 * that come later. The slices of a frame are measured by the worker that answered, from the picture alone, so that both
 * arms see the same.
 */
#include "serve/observe.h"

#include "base/clock.h"
#include "serve/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Three are measured: light, sharpness, hour. */
_Static_assert(GATEWAY_MAX_SLICES == PLAN_MAX_HEADER_SLICES && GATEWAY_MAX_SLICES + 3 <= RECORD_MAX_SLICES &&
                   GATEWAY_SLICE_NAME == RECORD_MAX_NAME && GATEWAY_SLICE_VALUE == RECORD_MAX_VALUE,
               "what the gateway has seen has room in a record");

#define DARK_BELOW    0.20 /* mean luma: night scenes lie at .05 to .15, days indoors from .3 */
#define DIM_BELOW     0.35
#define BLURRED_BELOW 50.0 /* variance of the Laplacian of luma 0..255 on the worker's thumbnail */
#define SOFT_BELOW    200.0

const char *observe_light_band(double light)
{
    return light < 0 ? NULL : light < DARK_BELOW ? "dark" : light < DIM_BELOW ? "dim" : "bright";
}

const char *observe_sharpness_band(double sharpness)
{
    return sharpness < 0 ? NULL : sharpness < BLURRED_BELOW ? "blurred" : sharpness < SOFT_BELOW ? "soft" : "sharp";
}

static void add_slice(struct record *record, const char *name, const char *value)
{
    struct record_slice *slice = &record->slices[record->slice_count];

    if (!value || !value[0] || record->slice_count == RECORD_MAX_SLICES || strlen(name) > RECORD_MAX_NAME ||
        strlen(value) > RECORD_MAX_VALUE)
        return;
    memcpy(slice->name, name, strlen(name) + 1);
    memcpy(slice->value, value, strlen(value) + 1);
    record->slice_count++;
}

/* What is measured of the frame, the hour that clocks show where the plan is, and headers that the plan names. */
static void add_slices(struct record *record, const struct observer *observer, const struct gateway_sighting *sighting,
                       const struct answer *answer)
{
    struct controller_trial trial;
    int64_t local_s = (int64_t)(sighting->time_ms / 1000);
    char hour[8];
    int i;

    if (controller_find(observer->controller, sighting->model, &trial) && trial.zone)
        local_s += zone_offset_s(trial.zone, local_s);
    snprintf(hour, sizeof(hour), "%02d", (int)(local_s / 3600 % 24));
    add_slice(record, "light", observe_light_band(answer->light));
    add_slice(record, "sharpness", observe_sharpness_band(answer->sharpness));
    add_slice(record, "hour", hour);
    for (i = 0; i < sighting->slice_count; i++)
        add_slice(record, sighting->slices[i].name, sighting->slices[i].value);
}

static bool is_good(int status)
{
    return status >= 200 && status < 300;
}

static void read_answer(const struct gateway_answer *from, struct answer *ret)
{
    bool good = from->body && is_good(from->status);

    answer_read(good ? from->body->data : NULL, good ? from->body->size : 0, ret);
}

static struct record begin_record(enum record_kind kind, enum judge_arm arm, const struct gateway_sighting *sighting)
{
    struct record record = {.kind = kind, .arm = arm, .share = sighting->drawn ? sighting->trial_share : 0};

    if (strlen(sighting->key) <= RECORD_MAX_VALUE)
        memcpy(record.camera, sighting->key, strlen(sighting->key) + 1);
    else /* a long key's beginning stands for it, with its length, so that cameras are seldom taken for one another */
        snprintf(record.camera, sizeof(record.camera), "%.50s~%zu", sighting->key, strlen(sighting->key));
    return record;
}

/* How long ago its version was drawn; 0 where no block asks for it. */
static double age_s_of(const struct gateway_sighting *sighting, const struct controller_trial *trial)
{
    const uint64_t wall_ms = clock_wall_ms();

    return trial->plan->judge.unit == JUDGE_KEY_BLOCK && wall_ms > sighting->drawn_ms
               ? (double)(wall_ms - sighting->drawn_ms) / 1000
               : 0;
}

static void tell_request(struct observer *observer, const struct gateway_sighting *sighting,
                         const struct controller_trial *trial, enum judge_arm arm, const struct answer *answer,
                         double now_s)
{
    struct record record = begin_record(RECORD_REQUEST, arm, sighting);
    struct record_request *request = &record.request;
    int i;

    request->status = sighting->own.status;
    if (sighting->is_prediction && is_good(request->status) && !answer->has_boxes && !answer->is_tensors)
        request->status = 0; /* it answers well, and tells nothing: whoever asked got no answer */
    request->fallback = sighting->fell_back;
    request->total_ms = (float)sighting->own.latency_ms;
    request->age_s = age_s_of(sighting, trial);
    request->queue_ms = (float)answer->queue_ms;
    request->inference_ms = (float)answer->inference_ms;
    request->detections = answer->has_boxes ? answer->detections : -1;
    for (i = 0; i < answer->box_count && request->score_count < RECORD_MAX_SCORES; i++)
        request->scores[request->score_count++] = answer->boxes[i].confidence;
    add_slices(&record, observer, sighting, answer);
    controller_add(observer->controller, sighting->model, &record, now_s);
    observer->requests++;
}

/* "light=dark\nhour=22\n" */
#define SLICES_BYTES (RECORD_MAX_SLICES * (RECORD_MAX_NAME + RECORD_MAX_VALUE + 3))

static void write_slices(const struct record *record, char text[SLICES_BYTES])
{
    size_t used = 0;
    int i;

    text[0] = '\0';
    for (i = 0; i < record->slice_count; i++)
        used += (size_t)snprintf(text + used, SLICES_BYTES - used, "%s=%s\n", record->slices[i].name,
                                 record->slices[i].value);
}

void observe_read_slices(const char *text, struct record *record)
{
    while (*text) {
        const char *equals = strchr(text, '='), *end = strchr(text, '\n');
        char name[RECORD_MAX_NAME + 1], value[RECORD_MAX_VALUE + 1];

        if (!equals || !end || equals > end)
            return;
        snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
        snprintf(value, sizeof(value), "%.*s", (int)(end - equals - 1), equals + 1);
        add_slice(record, name, value);
        text = end + 1;
    }
}

static void tell_pair(struct observer *observer, const struct gateway_sighting *sighting,
                      const struct controller_trial *trial, const struct answer *stable, const struct answer *other,
                      bool noise, double now_s)
{
    char slices[SLICES_BYTES];
    struct serin_error error;
    struct record record = begin_record(RECORD_PAIR, JUDGE_STABLE, sighting);
    const bool unread = stable->is_tensors && other->is_tensors;

    if (!unread && (!stable->has_boxes || !other->has_boxes))
        return;
    match_pair(stable->boxes, stable->box_count, other->boxes, other->box_count, &record);
    record.pair.noise = noise;
    record.pair.unread = unread;
    add_slices(&record, observer, sighting, stable);
    write_slices(&record, slices);
    if (!noise && !record.pair.unread &&
        gallery_offer(observer->gallery, trial, sighting, stable, other, record.camera, slices, &error) != SERIN_OK)
        observer->unkept++;
    controller_add(observer->controller, sighting->model, &record, now_s);
    observer->pairs++;
}

/* Whether who was asked has done what it was asked for. */
static bool has_answered(const struct gateway_sighting *sighting, const struct gateway_answer *from,
                         const struct answer *answer)
{
    return is_good(from->status) && (!sighting->is_prediction || answer->has_boxes || answer->is_tensors);
}

/* Copies lack credentials: a version that asks for one has said nothing of itself. */
static bool asks_for_credential(int status)
{
    return status == 401 || status == 403 || status == 407;
}

/* For people: what came of a copy to the canary, and of one that says nothing to the judge, too. */
static void note_copy(struct observer *observer, const struct gateway_sighting *sighting, const struct answer *stable,
                      const struct gateway_answer *from, const struct answer *copy)
{
    char failure[128];

    if (!has_answered(sighting, &sighting->own, stable))
        return;
    if (has_answered(sighting, from, copy)) {
        controller_note_copy(observer->controller, sighting->model, NULL);
        return;
    }
    if (from->status == 0)
        snprintf(failure, sizeof(failure), "%s", from->why[0] ? from->why : "no answer");
    else
        snprintf(failure, sizeof(failure), "status %d%s", from->status,
                 asks_for_credential(from->status) ? ", and copies carry no credentials"
                 : is_good(from->status)           ? " without results"
                                                   : "");
    controller_note_copy(observer->controller, sighting->model, failure);
}

/* Of a frame that stable has answered: a copy that came to nothing. */
static bool tell_failed_copy(struct observer *observer, const struct gateway_sighting *sighting,
                             const struct answer *stable, const struct gateway_answer *from, const struct answer *copy,
                             bool noise, double now_s)
{
    struct record record = begin_record(RECORD_PAIR, JUDGE_STABLE, sighting);

    if (!has_answered(sighting, &sighting->own, stable) || has_answered(sighting, from, copy) ||
        asks_for_credential(from->status))
        return false;
    record.pair.noise = noise;
    record.pair.failed = true;
    record.pair.jitter = -1;
    add_slices(&record, observer, sighting, stable);
    controller_add(observer->controller, sighting->model, &record, now_s);
    observer->failed_copies++;
    return true;
}

/* A frame's size is known where both have told the same: one version's word alone could make its own labels vanish. */
static bool agree_on_size(const struct answer *const by_arm[2])
{
    return by_arm[0] && by_arm[1] && by_arm[0]->width == by_arm[1]->width && by_arm[0]->height == by_arm[1]->height;
}

/* A label of a frame that both have answered is paid by their difference. What is left for the draw are the frames that
 * one version alone was asked about, and their share of the draw, or else the canary's would stand against no one: with
 * all of stable's mirrored, each object that both miss would be the canary's loss. A frame whose copy came to nothing
 * is neither. */
static void keep(struct observer *observer, const struct gateway_sighting *sighting, const struct rollout *rollout,
                 enum judge_arm arm, bool is_copied, const struct answer *const by_arm[2])
{
    const struct answer *any = by_arm[arm] ? by_arm[arm] : by_arm[!arm];
    struct kept_answer kept = {.request_id = sighting->request_id,
                               .rollout = rollout->id,
                               .attempt = rollout->attempt,
                               .time_ms = (int64_t)sighting->time_ms,
                               .arm = arm,
                               .share = sighting->drawn && !is_copied ? sighting->alone_share : 0};
    uint8_t packed[2][ANSWERS_MAX_BYTES];
    struct record record = begin_record(RECORD_LABEL, arm, sighting);
    char slices[SLICES_BYTES];
    struct serin_error error;
    int i;

    if (!any)
        return;
    if (agree_on_size(by_arm)) {
        kept.width_px = any->width;
        kept.height_px = any->height;
    }
    add_slices(&record, observer, sighting, any);
    write_slices(&record, slices);
    kept.slices = slices;
    kept.camera = record.camera;
    for (i = 0; i < 2; i++)
        if (by_arm[i]) {
            kept.sizes[i] = answer_pack(by_arm[i], packed[i], sizeof(packed[i]));
            kept.boxes[i] = packed[i];
        }
    if (answers_put(observer->answers, &kept, &error) != SERIN_OK)
        observer->unkept++;
}

/* Of the two that the trial compares; false: another one. */
static bool find_arm(const struct rollout *rollout, const char *tag, enum judge_arm *ret)
{
    *ret = strcmp(tag, rollout->canary) == 0 ? JUDGE_CANARY : JUDGE_STABLE;
    return *ret == JUDGE_CANARY || strcmp(tag, rollout->stable) == 0;
}

static void observe_draw(struct observer *observer, const struct gateway_sighting *sighting, double now_s)
{
    struct controller_trial trial;
    struct record record;
    enum judge_arm arm;

    if (!controller_find(observer->controller, sighting->model, &trial) ||
        !find_arm(trial.rollout, sighting->own.tag, &arm))
        return;
    record = begin_record(RECORD_DRAW, arm, sighting);
    if (trial.plan->judge.unit == JUDGE_REQUEST)
        record.camera[0] = '\0'; /* nobody asks for it, and there is a line for each request */
    record.draw.age_s = age_s_of(sighting, &trial);
    controller_add(observer->controller, sighting->model, &record, now_s);
}

static void observe_request(struct observer *observer, const struct gateway_sighting *sighting, double now_s)
{
    static struct answer own, copies[2]; /* large; all on the control thread */
    const struct answer *by_arm[2] = {NULL, NULL};
    struct controller_trial trial;
    enum judge_arm arm;
    bool is_copied = false; /* to the other of the two */
    int i;

    if (!controller_find(observer->controller, sighting->model, &trial) ||
        !find_arm(trial.rollout, sighting->own.tag, &arm))
        return;
    read_answer(&sighting->own, &own);
    tell_request(observer, sighting, &trial, arm, &own, now_s);
    if (own.has_boxes)
        by_arm[arm] = &own;
    for (i = 0; i < sighting->copy_count; i++) {
        bool is_canary = strcmp(sighting->copies[i].tag, trial.rollout->canary) == 0;

        if (!is_canary && strcmp(sighting->copies[i].tag, trial.rollout->stable) != 0)
            continue;
        is_copied = is_copied || is_canary != (arm == JUDGE_CANARY);
        read_answer(&sighting->copies[i], &copies[is_canary]);
        if (arm == JUDGE_STABLE && is_canary)
            note_copy(observer, sighting, &own, &sighting->copies[i], &copies[1]);
        if (arm == JUDGE_STABLE &&
            tell_failed_copy(observer, sighting, &own, &sighting->copies[i], &copies[is_canary], !is_canary, now_s))
            continue;
        if (arm == JUDGE_STABLE && !is_canary)
            tell_pair(observer, sighting, &trial, &own, &copies[0], true, now_s);
        else if (arm != (is_canary ? JUDGE_CANARY : JUDGE_STABLE))
            tell_pair(observer, sighting, &trial, is_canary ? &own : &copies[0], is_canary ? &copies[1] : &own, false,
                      now_s);
        if (copies[is_canary].has_boxes && !by_arm[is_canary])
            by_arm[is_canary] = &copies[is_canary];
    }
    keep(observer, sighting, trial.rollout, arm, is_copied, by_arm);
}

/* ---- what people say ---- */

void observe_choice(void *user, const struct kept_frame *frame)
{
    static const char *const choices[] = {"neither", "stable", "canary", "both"}; /* as record.choice */
    struct observed_choice *observed = user;
    struct observer *observer = observed->observer;
    const struct rollout *rollout = controller_rollout(observer->controller, frame->rollout);
    struct record record = {.kind = RECORD_CHOICE};
    int i = 0;

    if (!rollout || rollout->attempt != frame->attempt || rollout_phase_ended(rollout->phase) ||
        !label_join_claim(observer, rollout, frame->request_id))
        return;
    while (i < 3 && strcmp(choices[i], frame->right) != 0)
        i++;
    record.choice = i;
    snprintf(record.camera, sizeof(record.camera), "%s", frame->camera);
    observe_read_slices(frame->slices, &record);
    observer->choices++;
    controller_add(observer->controller, rollout->model, &record, observed->now_s);
    observed->told++;
}

void observe(struct observer *observer, const struct gateway_sighting *sighting, double now_s)
{
    if (sighting->kind == GATEWAY_SAW_REQUEST)
        observe_request(observer, sighting, now_s);
    else if (sighting->kind == GATEWAY_SAW_DRAW)
        observe_draw(observer, sighting, now_s);
    else
        label_join_take(observer, sighting, now_s);
}
