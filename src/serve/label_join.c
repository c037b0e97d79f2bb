/*
 * label_join.c - from feedback by request id to records of labels and choices.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What cannot be true of the frame is no evidence: a label that no version could find would be missed by both, and say
 * that they are equal. Invariants: each post ends as one of counted, refused, repeated, unmatched; what has counted is
 * marked with the kept answer, so that no frame counts twice, also after a restart.
 */
#include "serve/label_join.h"

#include "base/json.h"
#include "serve/answer.h"
#include "serve/observe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tallies ---- */

static struct label_tally *find_tally(struct observer *observer, const struct rollout *rollout)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (strcmp(observer->tallies[i].rollout, rollout->id) == 0 && observer->tallies[i].attempt == rollout->attempt)
            return &observer->tallies[i];
    return NULL;
}

/* A place that no rollout under way needs: there are as many as the controller has. */
static struct label_tally *free_tally(struct observer *observer)
{
    const struct rollout *rollout;
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS - 1; i++) {
        rollout = observer->tallies[i].rollout[0]
                      ? controller_rollout(observer->controller, observer->tallies[i].rollout)
                      : NULL;
        if (!rollout || strcmp(rollout->id, observer->tallies[i].rollout) != 0 ||
            rollout->attempt != observer->tallies[i].attempt || rollout_phase_ended(rollout->phase))
            break;
    }
    return &observer->tallies[i];
}

static struct class_list *read_classes(struct observer *observer, const struct rollout *rollout)
{
    char *stable = observer->class_names(observer->gate, rollout->model, rollout->stable);
    char *canary = stable ? observer->class_names(observer->gate, rollout->model, rollout->canary) : NULL;
    struct class_list *list = NULL;

    if (stable && class_list_new(stable, canary, &list, NULL) != SERIN_OK)
        list = NULL;
    free(stable);
    free(canary);
    return list;
}

static struct label_tally *tally_of(struct observer *observer, const struct rollout *rollout)
{
    struct label_tally *tally = find_tally(observer, rollout);

    if (tally)
        return tally;
    tally = free_tally(observer);
    class_list_drop(tally->classes);
    *tally = (struct label_tally){.attempt = rollout->attempt, .unmatched_before = observer->unmatched};
    snprintf(tally->rollout, sizeof(tally->rollout), "%s", rollout->id);
    tally->classes = read_classes(observer, rollout);
    return tally;
}

struct class_list *label_join_classes(struct observer *observer, const struct rollout *rollout)
{
    return tally_of(observer, rollout)->classes;
}

bool label_join_lacks_classes(struct observer *observer, const struct rollout *rollout)
{
    const struct label_tally *tally = tally_of(observer, rollout);

    return !tally->classes && !tally->asked;
}

void label_join_learn_classes(struct observer *observer, const char *rollout, const char *names)
{
    const struct rollout *of = controller_rollout(observer->controller, rollout);
    struct label_tally *tally = of ? find_tally(observer, of) : NULL;

    if (!tally || tally->classes)
        return;
    tally->asked = true;
    if (names && class_list_new(names, NULL, &tally->classes, NULL) != SERIN_OK)
        tally->classes = NULL;
}

void label_join_done(struct observer *observer)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        class_list_drop(observer->tallies[i].classes);
}

void label_join_report(struct observer *observer, const struct rollout *rollout, struct json_writer *json)
{
    const struct label_tally *tally = find_tally(observer, rollout);

    if (!tally)
        return;
    json_key(json, "labels");
    json_begin_object(json);
    json_put_integer(json, "counted", (int64_t)tally->counted);
    json_put_integer(json, "refused", (int64_t)tally->refused);
    json_put_integer(json, "repeated", (int64_t)tally->repeated);
    json_put_integer(json, "unchecked", (int64_t)tally->unchecked);
    if (!rollout_phase_ended(rollout->phase))
        json_put_integer(json, "unmatched", (int64_t)(observer->unmatched - tally->unmatched_before));
    json_put_string(json, "why", tally->why);
    json_end_object(json);
}

/* ---- joining ---- */

struct joining {
    struct observer *observer;
    const struct gateway_sighting *sighting;
    double now_s;
    bool matched, counted;
    char rollout[ROLLOUT_MAX_ID + 1]; /* where it counted */
};

static void warn_once(struct observer *observer, bool *warned, const struct rollout *rollout, const char *request_id,
                      const char *sentence)
{
    char text[GATEWAY_MAX_REFUSAL + ROLLOUT_MAX_ID + 160];

    if (*warned)
        return;
    *warned = true;
    snprintf(text, sizeof(text), "%s: a label of request %s %s; more of the kind are counted (serin rollout get)",
             rollout->id, request_id, sentence);
    observer->log(observer->user, "warn", text);
}

static void refuse(struct joining *joining, struct label_tally *tally, const struct rollout *rollout, const char *why)
{
    char sentence[GATEWAY_MAX_REFUSAL + 32];

    snprintf(tally->why, sizeof(tally->why), "%s", why);
    snprintf(sentence, sizeof(sentence), "does not count: %s", tally->why);
    tally->refused++;
    joining->observer->refused++;
    warn_once(joining->observer, &tally->warned_refused, rollout, joining->sighting->request_id, sentence);
}

/* Why it cannot count for this frame; "": it can. */
static void find_fault(const struct joining *joining, const struct label_tally *tally, const struct rollout *rollout,
                       const struct kept_answer *kept, struct serin_error *ret)
{
    const struct gateway_feedback *feedback = joining->sighting->feedback;
    struct observer *observer = joining->observer;
    enum serin_errc rc;

    ret->message[0] = '\0';
    if (feedback->refused[0])
        error_set(ret, SERIN_INVALID, "%s", feedback->refused);
    else if (!observer->may_label(observer->gate, rollout->model, feedback->opened))
        error_set(ret, SERIN_INVALID, "it came without an API key of %s", rollout->model);
    else if (feedback->is_choice && (!kept->boxes[0] || !kept->boxes[1]))
        error_set(ret, SERIN_INVALID, "the frame was answered by one version alone, so there is nothing to choose");
    else if (!feedback->is_choice) {
        rc = gateway_check_classes(feedback, rollout->model, tally->classes, ret);
        if (rc == SERIN_OK)
            rc = gateway_check_places(feedback, kept->width_px, kept->height_px, ret);
        if (rc == SERIN_OK)
            ret->message[0] = '\0';
    }
}

_Static_assert(GATEWAY_MAX_BOXES <= MATCH_MAX_BOXES, "every label is looked at");

static void read_truth(const struct label_tally *tally, const struct gateway_feedback *feedback,
                       struct match_box *boxes)
{
    int i;

    for (i = 0; i < feedback->box_count; i++) {
        const struct gateway_box *box = &feedback->boxes[i];
        const char *name = box->name[0] ? box->name : class_list_name(tally->classes, box->class_id);

        boxes[i] = (struct match_box){name, box->x1, box->y1, box->x2, box->y2, 1};
    }
}

static void fill_label(const struct joining *joining, const struct label_tally *tally, const struct kept_answer *kept,
                       struct record *record)
{
    static struct answer answer;
    static struct match_box truth[MATCH_MAX_BOXES];
    const struct gateway_feedback *feedback = joining->sighting->feedback;
    int arm;

    read_truth(tally, feedback, truth);
    record->label.age_s = fmax(0, ((double)joining->sighting->time_ms - (double)kept->time_ms) / 1000);
    record->label.both = kept->boxes[0] && kept->boxes[1];
    for (arm = 0; arm < 2; arm++)
        if (kept->boxes[arm]) {
            answer_unpack(kept->boxes[arm], kept->sizes[arm], &answer);
            match_truth(answer.boxes, answer.box_count, truth, feedback->box_count, (enum judge_arm)arm, record);
        }
}

static void count(struct joining *joining, struct label_tally *tally, const struct rollout *rollout,
                  const struct kept_answer *kept)
{
    static const int choices[] = {RECORD_NEITHER, RECORD_STABLE_RIGHT, RECORD_CANARY_RIGHT, RECORD_BOTH};
    const struct gateway_feedback *feedback = joining->sighting->feedback;
    struct observer *observer = joining->observer;
    struct record record = {.kind = feedback->is_choice ? RECORD_CHOICE : RECORD_LABEL,
                            .arm = kept->arm ? JUDGE_CANARY : JUDGE_STABLE,
                            .share = kept->share};

    snprintf(record.camera, sizeof(record.camera), "%s", kept->camera);
    observe_read_slices(kept->slices, &record);
    if (feedback->is_choice) {
        record.choice = choices[feedback->choice];
        observer->choices++;
    } else {
        fill_label(joining, tally, kept, &record);
        observer->labels++;
    }
    controller_add(observer->controller, rollout->model, &record, joining->now_s);
    joining->counted = true;
    snprintf(joining->rollout, sizeof(joining->rollout), "%s", rollout->id);
    tally->counted++;
    if (tally->classes || feedback->box_count == 0)
        return;
    tally->unchecked++;
    observer->unchecked++;
    warn_once(observer, &tally->warned_unchecked, rollout, kept->request_id,
              "counts unchecked: what the model's classes are called is not known here");
}

static void join(void *user, const struct kept_answer *kept)
{
    struct joining *joining = user;
    struct observer *observer = joining->observer;
    const struct rollout *rollout = controller_rollout(observer->controller, kept->rollout);
    struct label_tally *tally;
    struct serin_error fault;

    if (!rollout || rollout->attempt != kept->attempt || rollout_phase_ended(rollout->phase))
        return;
    /* The version that it was drawn for did not answer it: that is an error, and no miss. */
    if (!joining->sighting->feedback->is_choice && !kept->boxes[kept->arm])
        return;
    joining->matched = true;
    tally = tally_of(observer, rollout);
    find_fault(joining, tally, rollout, kept, &fault);
    if (fault.message[0]) {
        refuse(joining, tally, rollout, fault.message);
    } else if (kept->told) {
        tally->repeated++;
        observer->repeated++;
    } else {
        count(joining, tally, rollout, kept);
    }
}

static void mark_told(struct observer *observer, const char *request_id)
{
    struct serin_error error;

    if (answers_mark_told(observer->answers, request_id, &error) != SERIN_OK)
        observer->log(observer->user, "error", error.message);
}

/* Nobody is asked in the gallery what is known. */
static void close_frame(const struct joining *joining)
{
    const struct gateway_sighting *sighting = joining->sighting;
    struct observer *observer = joining->observer;
    struct controller_trial trial;
    struct serin_error error;

    if (controller_named(observer->controller, joining->rollout, &trial) &&
        gallery_mark_told(observer->gallery, &trial, sighting->request_id, (int64_t)sighting->time_ms, &error) !=
            SERIN_OK)
        observer->log(observer->user, "error", error.message);
}

void label_join_take(struct observer *observer, const struct gateway_sighting *sighting, double now_s)
{
    struct joining joining = {.observer = observer, .sighting = sighting, .now_s = now_s};
    struct serin_error error;

    if (answers_find(observer->answers, sighting->request_id, join, &joining, &error) != SERIN_OK || !joining.matched)
        observer->unmatched++;
    if (!joining.counted)
        return;
    mark_told(observer, sighting->request_id);
    close_frame(&joining);
}

struct claim {
    const struct rollout *rollout;
    bool told;
};

static void see_whether_told(void *user, const struct kept_answer *kept)
{
    struct claim *claim = user;

    claim->told =
        kept->told && strcmp(kept->rollout, claim->rollout->id) == 0 && kept->attempt == claim->rollout->attempt;
}

bool label_join_claim(struct observer *observer, const struct rollout *rollout, const char *request_id)
{
    struct claim claim = {.rollout = rollout};
    struct serin_error error;

    /* An answer that is kept no longer can get no other word either. */
    if (answers_find(observer->answers, request_id, see_whether_told, &claim, &error) != SERIN_OK)
        return true;
    if (claim.told) {
        tally_of(observer, rollout)->repeated++;
        observer->repeated++;
        return false;
    }
    mark_told(observer, request_id);
    tally_of(observer, rollout)->counted++;
    return true;
}
