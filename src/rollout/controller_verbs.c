/*
 * controller_verbs.c - how rollouts begin, how they are taken up again, and what people say.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A judge has no state on disk: one that comes back is made anew and hears the attempt's records again, and then stands
 * where it stood. What a kill has kept from the records is mended before the first tick.
 */
#include "rollout/controller_inside.h"

#include "base/buffer.h"
#include "base/text.h"

#include <openssl/sha.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLAN_TEXT (1u << 20)

static enum serin_errc copy_plan(struct trial *trial, const char *yaml, struct serin_error *error)
{
    struct buffer text;
    enum serin_errc rc = SERIN_OK;

    plan_init(&trial->plan);
    if (yaml[0])
        rc = plan_read(yaml, strlen(yaml), &trial->plan, error);
    if (rc != SERIN_OK)
        return rc;
    if (zone_open(trial->plan.zone, &trial->zone, NULL) != SERIN_OK)
        trial->zone = NULL;
    buffer_init(&text, MAX_PLAN_TEXT);
    plan_write(&trial->plan, false, &text); /* whole, so that other defaults of a later program change nothing */
    rc = buffer_check(&text, "the plan", error);
    if (rc == SERIN_OK) {
        trial->plan_yaml = strdup(text.bytes);
        if (!trial->plan_yaml)
            rc = error_set(error, SERIN_NOMEM, "no memory for a plan");
    }
    buffer_done(&text);
    return rc;
}

/* The model's own place, or one that is free, or that of a rollout which has ended and whose route is as it wishes. */
static struct trial *free_place(struct controller *controller, const char *model)
{
    struct trial *trial = trial_of_model(controller, model);
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS && !trial; i++)
        if (!controller->trials[i].used)
            trial = &controller->trials[i];
    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS && !trial; i++)
        if (!trial_is_live(&controller->trials[i]) && !controller->trials[i].route_pending)
            trial = &controller->trials[i];
    return trial;
}

/* ---- taking up ---- */

struct rereading {
    struct trial *trial;
    double t_s;
    int step; /* of the last that was begun; -1: none */
    enum serin_errc rc;
    struct serin_error *error;
};

static void reread(void *user, const char *line, size_t size)
{
    struct rereading *rereading = user;
    struct trial *trial = rereading->trial;
    struct record record;

    if (rereading->rc != SERIN_OK)
        return;
    rereading->rc = record_read(line, size, &record, rereading->error);
    if (rereading->rc != SERIN_OK)
        return;
    if (record.kind == RECORD_LOOK)
        judge_look(trial->judge, record.t_s, &trial->last);
    else
        judge_add(trial->judge, &record);
    trial->record_bytes += size + 1;
    rereading->t_s = fmax(rereading->t_s, record.t_s);
    if (record.kind == RECORD_STEP) {
        trial->step_t_s = record.t_s;
        rereading->step = record.step;
    }
}

/* What a kill may have kept from the records: their first line, and that the step has begun. Without it the step would
 * be judged by the margins of the one before, which it has passed. */
static void mend_records(struct controller *controller, struct trial *trial, const struct rereading *rereading,
                         const struct controller_now *now)
{
    const double waited_s = (double)(now->wall_ms - trial->state.limit_from_ms) / 1000;

    if (trial->record_bytes == 0)
        trial_record_golden(controller, trial);
    if (trial->state.step_begun && rereading->step != trial->state.step)
        trial_record_step(controller, trial);
    /* Since a person's word the step has had no more time than the wall clock says. */
    trial->limit_t_s = fmax(trial->step_t_s, trial->t_s - fmax(0, waited_s));
}

enum serin_errc controller_resume(struct controller *controller, const struct rollout *rollout, const char *plan_yaml,
                                  const struct controller_now *now, struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    struct trial *trial = free_place(controller, rollout->model);
    struct serin_error why;
    struct rereading rereading = {.trial = trial, .step = -1, .error = &why};
    struct route route;
    enum serin_errc rc;

    if (!trial)
        return error_set(error, SERIN_LIMIT, "%d rollouts are under way, the limit", CONTROLLER_MAX_ROLLOUTS);
    trial_clear(trial);
    trial->state = *rollout;
    rc = copy_plan(trial, plan_yaml, error);
    if (rc == SERIN_OK && !rollout_phase_ended(rollout->phase))
        rc = trial_new_judge(trial, &trial->judge, error);
    if (rc != SERIN_OK) {
        rc = error_prefix(error, rc, "rollout %s", rollout->id);
        trial_clear(trial);
        return rc;
    }
    trial->used = true;
    if (!trial->judge) {
        trial_start_clock(trial, 0, now);
        if (target->get_route(target->user, rollout->model, &route, &why) == SERIN_OK &&
            route.revision == rollout->route_revision)
            trial_bring_route(controller, trial);
        return SERIN_OK;
    }
    rc = target->each_record(target->user, rollout, reread, &rereading, &why);
    rc = rc == SERIN_OK ? rereading.rc : rc;
    trial_start_clock(trial, rereading.t_s, now);
    if (rc == SERIN_OK) {
        mend_records(controller, trial, &rereading, now);
    } else {
        controller_say(controller, "error", "%s: its records cannot be read again, so it goes back: %s", rollout->id,
                       why.message);
        trial->go_back = true;
        trial->go_back_event = ROLLOUT_ON_ABORT;
        snprintf(trial->go_back_author, sizeof(trial->go_back_author), "controller");
        snprintf(trial->go_back_why, sizeof(trial->go_back_why), "its records cannot be read again: %.300s",
                 why.message);
    }
    trial_bring_route(controller, trial);
    return SERIN_OK;
}

/* ---- beginning ---- */

/* In the state and so in the chain of decisions, which finds a plan that was exchanged afterwards. */
static void note_plan(struct trial *trial)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256((const uint8_t *)trial->plan_yaml, strlen(trial->plan_yaml), digest);
    text_hex(digest, sizeof(digest), trial->state.plan_sha256);
}

static enum serin_errc make_room(struct controller *controller, const struct controller_start *start,
                                 const struct controller_now *now, struct serin_error *error)
{
    struct trial *trial = trial_of_model(controller, start->model);
    char why[sizeof(trial->state.why)] = "a newer version takes its place";
    enum serin_errc rc = SERIN_OK;
    bool promoted;

    if (trial && trial_is_live(trial)) {
        promoted = trial->state.phase == ROLLOUT_PROMOTED;
        if (!start->supersede)
            return error_set(error, SERIN_LIMIT, "%s is %s (%s): %s", trial->state.id,
                             rollout_phase_name(trial->state.phase), trial->state.canary,
                             promoted ? "its undo window is open; end it with --supersede"
                                      : "abort it, or say --supersede");
        if (promoted && trial->go_back)
            return error_set(error, SERIN_LIMIT, "%s goes back, as soon as that can be written", trial->state.id);
        if (start->why && start->why[0])
            snprintf(why, sizeof(why), "a newer version takes its place: %.300s", start->why);
        rc = trial_decide(controller, trial, promoted ? ROLLOUT_ON_WINDOW_PASSED : ROLLOUT_ON_ABORT, start->author, why,
                          now, error);
    }
    if (rc == SERIN_OK && trial && trial->route_pending)
        return error_set(error, SERIN_IO, "the route cannot be changed as %s asks yet: try again", trial->state.id);
    return rc;
}

/* To end the undo window of what is asked for would only take the version of before away. */
static enum serin_errc check_not_promoted(const struct trial *trial, const char *canary, struct serin_error *error)
{
    if (!trial || trial->state.phase != ROLLOUT_PROMOTED || strcmp(trial->state.canary, canary) != 0)
        return SERIN_OK;
    return error_set(error, SERIN_LIMIT, "%s has promoted %s:%s already: 'serin rollout undo %s' takes it back",
                     trial->state.id, trial->state.model, canary, trial->state.model);
}

static enum serin_errc check_route(const struct route *route, const char *canary, struct serin_error *error)
{
    if (route_find(route, canary) < 0)
        return error_set(error, SERIN_NOT_FOUND,
                         "%s:%s is not in the route: deploy it first (serin deploy %s:%s --canary)", route->model,
                         canary, route->model, canary);
    if (!route->stable[0])
        return error_set(error, SERIN_LIMIT, "model %s has no stable version to compare with", route->model);
    if (strcmp(route->stable, canary) == 0)
        return error_set(error, SERIN_LIMIT, "%s:%s is the stable version already", route->model, canary);
    return SERIN_OK;
}

/* A gate that cannot be asked would hold the rollout, and a message without its signature is one that anybody sends. */
static enum serin_errc check_hooks(const struct controller *controller, const struct plan *plan,
                                   struct serin_error *error)
{
    enum serin_errc rc;
    int i;

    for (i = 0; i < plan->webhook_count; i++) {
        const struct plan_webhook *hook = &plan->webhooks[i];

        rc = controller->target.check_hook(controller->target.user, hook, error);
        if (rc != SERIN_OK)
            return error_prefix(error, rc, "the webhook %.*s", plan_webhook_shown(hook), hook->url);
    }
    return SERIN_OK;
}

enum serin_errc controller_start(struct controller *controller, const struct controller_start *start,
                                 const struct controller_now *now, const char **ret_id, struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    struct trial *trial = NULL, fresh = {0};
    char id[ROLLOUT_MAX_ID + 1];
    struct route route;
    enum serin_errc rc = copy_plan(&fresh, start->plan_yaml, error);

    if (rc == SERIN_OK && !fresh.zone)
        rc = zone_open(fresh.plan.zone, &fresh.zone, error); /* why */
    if (rc == SERIN_OK)
        rc = check_hooks(controller, &fresh.plan, error);
    if (rc == SERIN_OK)
        rc = target->get_route(target->user, start->model, &route, error);
    if (rc == SERIN_OK && route_find(&route, start->canary) < 0) /* before anything is ended for it */
        rc = check_route(&route, start->canary, error);
    if (rc == SERIN_OK)
        rc = check_not_promoted(trial_of_model(controller, start->model), start->canary, error);
    if (rc == SERIN_OK)
        rc = make_room(controller, start, now, error);
    if (rc == SERIN_OK)
        rc = target->get_route(target->user, start->model, &route, error);
    if (rc == SERIN_OK)
        rc = check_route(&route, start->canary, error);
    if (rc == SERIN_OK) {
        trial = free_place(controller, start->model);
        if (!trial)
            rc = error_set(error, SERIN_LIMIT, "%d rollouts are under way, the limit", CONTROLLER_MAX_ROLLOUTS);
    }
    if (rc == SERIN_OK) {
        snprintf(id, sizeof(id), "%.40s-%llu", start->model, (unsigned long long)start->sequence);
        rollout_init(&fresh.state, id, start->model, route.stable, start->canary, start->salt, now->wall_ms);
        note_plan(&fresh);
        rollout_set_why(&fresh.state, start->why && start->why[0] ? start->why : "started");
        rc = trial_new_judge(&fresh, &fresh.judge, error);
    }
    if (rc == SERIN_OK)
        rc = trial_write(controller, &fresh, &fresh.state, start->author, "start", now, error);
    if (rc != SERIN_OK) {
        trial_clear(&fresh);
        return rc;
    }
    trial_clear(trial);
    *trial = fresh;
    trial->used = true;
    trial_start_clock(trial, 0, now);
    trial_record_golden(controller, trial);
    controller_say(controller, "info", "%s: %s against %s, started by %s", id, start->canary, route.stable,
                   start->author);
    trial_bring_route(controller, trial);
    trial_notify(controller, trial, PLAN_ON_STARTED, "start");
    *ret_id = trial->state.id;
    return SERIN_OK;
}

/* ---- what people say ---- */

static enum serin_errc check_replica(const struct controller *controller, const char *model, const char *tag,
                                     struct serin_error *error)
{
    const struct controller_target *target = &controller->target;

    if (target->is_ready(target->user, model, tag))
        return SERIN_OK;
    return error_set(error, SERIN_LIMIT,
                     "%s:%s has no replica that is ready: deploy it first (serin deploy %s:%s --canary)", model, tag,
                     model, tag);
}

/* What gives a version traffic needs it to be there; and what takes up a rollout that has ended needs the route to be
 * as that left it, since it may be people's by now. */
enum serin_errc trial_check_act(const struct controller *controller, const struct trial *trial,
                                enum rollout_event event, struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    const struct rollout *state = &trial->state;
    const char *trusted = state->phase == ROLLOUT_COMPLETED ? state->canary : state->stable;
    struct route route;
    enum serin_errc rc = SERIN_OK;

    if (trial->go_back && !event_goes_back(event))
        return error_set(error, SERIN_LIMIT, "%s goes back (%s), as soon as that can be written", state->id,
                         rollout_event_name(trial->go_back_event));
    if (!trial_allows(trial, event))
        return SERIN_OK; /* the machine has the sentence */
    if (!trial_is_live(trial)) {
        rc = target->get_route(target->user, state->model, &route, error);
        if (rc == SERIN_OK && strcmp(route.stable, trusted) != 0)
            rc = error_set(error, SERIN_LIMIT, "the stable version of %s is %s by now, not %s", state->model,
                           route.stable[0] ? route.stable : "none", trusted);
        if (rc == SERIN_OK && event == ROLLOUT_ON_RETRY)
            rc = check_route(&route, state->canary, error);
    }
    if (rc == SERIN_OK && (event == ROLLOUT_ON_PROMOTE || event == ROLLOUT_ON_PROMOTE_FULL))
        rc = check_replica(controller, state->model, state->canary, error);
    if (rc == SERIN_OK && event == ROLLOUT_ON_UNDO)
        rc = check_replica(controller, state->model, state->stable, error);
    return rc;
}

/* Who goes on from a question has seen what its guards found. Written before the decision, so that no kill can make it
 * ask again; where the decision cannot be written, it is still the person's word that is missing. */
static void accept_questions(struct controller *controller, struct trial *trial)
{
    const int count = judge_reading_count(trial->judge);
    int i;

    for (i = 0; i < count; i++) {
        struct record record = {.kind = RECORD_ACCEPT};
        struct judge_reading reading;

        judge_read(trial->judge, i, &reading);
        if (reading.verdict != JUDGE_HARM || reading.guard->action != JUDGE_CALL_PERSON || reading.accepted)
            continue;
        snprintf(record.accept, sizeof(record.accept), "%s", reading.guard->name);
        trial_record(controller, trial, &record);
    }
}

/* A person's reason, and that it passes a freeze window where it does. */
static void tell_why(struct controller *controller, const struct trial *trial, enum rollout_event event,
                     const char *why, const struct controller_now *now, char *ret, size_t size)
{
    const struct controller_target *target = &controller->target;
    bool climbs =
        event == ROLLOUT_ON_PROMOTE_FULL || (event == ROLLOUT_ON_PROMOTE && trial->state.phase == ROLLOUT_PENDING);
    char freeze[200];

    if (!why || !why[0])
        why = "a person's word";
    if (climbs && target->is_frozen(target->user, trial->state.model, now->wall_ms, freeze, sizeof(freeze)))
        snprintf(ret, size, "in spite of the freeze (%s): %.180s", freeze, why);
    else
        snprintf(ret, size, "%s", why);
}

enum serin_errc controller_act(struct controller *controller, const char *rollout, enum rollout_event event,
                               const char *author, const char *why, const struct controller_now *now,
                               struct serin_error *error)
{
    struct trial *trial = trial_named(controller, rollout);
    char reason[400];
    enum serin_errc rc;

    if (!trial)
        return controller_no_rollout(rollout, error);
    if (!rollout_event_is_a_persons(event))
        return error_set(error, SERIN_INVALID, "'%s' is not for people to say", rollout_event_name(event));
    rc = trial_check_act(controller, trial, event, error);
    if (rc != SERIN_OK)
        return rc;
    if (trial->state.phase == ROLLOUT_INCONCLUSIVE && !event_goes_back(event) && trial_allows(trial, event))
        accept_questions(controller, trial);
    tell_why(controller, trial, event, why, now, reason, sizeof(reason));
    return trial_decide(controller, trial, event, author, reason, now, error);
}
