/*
 * controller_tick.c - what is due in each rollout: looks, gauges, gates, steps, and the hold on each trial.
 * SPDX-License-Identifier: Apache-2.0
 *
 * In each tick a rollout takes at most one decision, the safest first: one to go back that could not be written yet,
 * the breaker's, the judge's harm, the judge's question, and only then a step forward.
 */
#include "rollout/controller_inside.h"

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READY_S      600.0 /* a canary that is not ready by then is a question for a person */
#define GATE_AGAIN_S 30.0  /* a gate that refuses is asked again after so long */
#define GATE_GRACE_S 2.0   /* beyond its timeout, before its silence counts as an answer */
#define IDLE_LOOK_S  1.0   /* without a record */
#define AGAIN_S      1.0 /* what could not be written is tried again after so long: a full disk fails fast, and often */
#define BEAT_S       60.0 /* when the analysis is over a look marks the time, so that a kill does not lose it */

/* Whether what could not be written is left alone for now. */
static bool rests(const struct trial *trial, double now_s)
{
    return now_s < trial->again_s && trial->again_s - now_s <= AGAIN_S;
}

/* What the program decides by itself: a failure is told once by trial_decide, and tried again. */
static void decide_alone(struct controller *controller, struct trial *trial, enum rollout_event event,
                         const char *author, const char *why, const struct controller_now *now)
{
    const bool is_new = event_goes_back(event) && !trial->go_back;
    struct serin_error error;

    if (rests(trial, now->now_s) && !is_new)
        return;
    trial->again_s = 0;
    if (trial_decide(controller, trial, event, author, why, now, &error) == SERIN_OK)
        return;
    snprintf(trial->waiting, sizeof(trial->waiting), "for its decision to be written: %.200s", error.message);
    trial->again_s = now->now_s + AGAIN_S;
}

static void wait_for(struct trial *trial, const char *format, ...) PRINTF_LIKE(2, 3);

static void wait_for(struct trial *trial, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(trial->waiting, sizeof(trial->waiting), format, arguments);
    va_end(arguments);
}

static bool gates_agree(struct controller *controller, struct trial *trial, double now_s)
{
    bool all = true;
    int i;

    for (i = 0; i < trial->plan.webhook_count; i++) {
        const struct plan_webhook *hook = &trial->plan.webhooks[i];
        struct gate *gate = &trial->gates[i];

        if (!(hook->on & PLAN_ON_GATE))
            continue;
        if (gate->ticket && !gate->answered && now_s - gate->asked_s > hook->timeout_s + GATE_GRACE_S) {
            gate->answered = true;
            gate->answer = CONTROLLER_GATE_REFUSES;
            snprintf(gate->why, sizeof(gate->why), "it did not answer in %g s", hook->timeout_s);
        }
        if (gate->answered && gate->answer != CONTROLLER_GATE_AGREES && now_s - gate->asked_s >= GATE_AGAIN_S)
            *gate = (struct gate){0};
        if (!gate->ticket) {
            struct buffer body;

            buffer_init(&body, 64 << 10);
            report_hook(trial, "gate", &body);
            gate->ticket = controller->next_ticket++;
            gate->asked_s = now_s;
            if (!body.failed)
                controller->target.call_hook(controller->target.user, hook, body.bytes, gate->ticket);
            buffer_done(&body);
        }
        if (gate->answered && gate->answer == CONTROLLER_GATE_AGREES)
            continue;
        if (all && gate->answered)
            wait_for(trial, "for the gate %.*s, which says no: %.120s", plan_webhook_shown(hook), hook->url, gate->why);
        else if (all)
            wait_for(trial, "for the gate %.*s", plan_webhook_shown(hook), hook->url);
        all = false;
    }
    return all;
}

void controller_gate_answered(struct controller *controller, uint64_t ticket, enum controller_gate answer,
                              const char *why)
{
    int i, g;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        for (g = 0; g < PLAN_MAX_WEBHOOKS; g++) {
            struct gate *gate = &controller->trials[i].gates[g];

            if (ticket == 0 || gate->ticket != ticket || gate->answered)
                continue;
            gate->answered = true;
            gate->answer = answer;
            snprintf(gate->why, sizeof(gate->why), "%s", why ? why : "");
        }
}

/* A freeze window is left by itself when it ends. */
static bool is_frozen(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct controller_target *target = &controller->target;
    char why[200];

    if (!target->is_frozen(target->user, trial->state.model, now->wall_ms, why, sizeof(why)))
        return false;
    wait_for(trial, "because %.60s is frozen, %s", trial->state.model, why);
    return true;
}

/* A canary that nobody can be sent to: true while a step may begin, or go on, only when it is back. */
static bool waits_for_replica(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct controller_target *target = &controller->target;
    char why[200];

    if (target->is_ready(target->user, trial->state.model, trial->state.canary)) {
        trial->was_ready = true;
        trial->waits_since_t_s = trial->t_s;
        return false;
    }
    if (trial->state.phase == ROLLOUT_PENDING)
        wait_for(trial, "for a replica of %.120s to be ready", trial->state.canary);
    if (trial->t_s - trial->waits_since_t_s > READY_S &&
        (trial->state.phase == ROLLOUT_PENDING || trial->state.phase == ROLLOUT_PROGRESSING)) {
        snprintf(why, sizeof(why), "no replica of %.100s was ready in %.0f minutes", trial->state.canary, READY_S / 60);
        decide_alone(controller, trial, ROLLOUT_ON_ASK, "clock", why, now);
    }
    return true;
}

static void tick_pending(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    char why[200];

    if (rests(trial, now->now_s)) /* what it waits for stays said */
        return;
    trial->waiting[0] = '\0';
    if (is_frozen(controller, trial, now) || !gates_agree(controller, trial, now->now_s))
        return;
    snprintf(why, sizeof(why), "step %d of %d can begin", trial->state.step + 1, trial->plan.judge.step_count);
    decide_alone(controller, trial, ROLLOUT_ON_READY, "controller", why, now);
}

static void tick_step(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct plan_step *step = &trial->plan.steps[trial->state.step];
    const struct judge_decision *last = &trial->last;
    char why[200];

    if (last->answer == JUDGE_PASS && last->t_s > trial->step_t_s && trial->t_s - trial->step_t_s >= step->min_time_s) {
        decide_alone(controller, trial, ROLLOUT_ON_PROVEN, "judge", last->why, now);
        return;
    }
    if (trial->t_s - trial->limit_t_s > step->max_time_s)
        snprintf(why, sizeof(why), "the step has had its most time, %.0f s, and is not proven", step->max_time_s);
    else if (last->t_s > trial->step_t_s && last->units - trial->limit_units > step->max_evidence)
        snprintf(why, sizeof(why), "the step has had its most evidence, %.0f, and is not proven", step->max_evidence);
    else if (trial->record_bytes > CONTROLLER_MAX_RECORDS)
        snprintf(why, sizeof(why), "there are more records than a rollout may keep, and it is not proven");
    else
        return;
    decide_alone(controller, trial, ROLLOUT_ON_ASK, "clock", why, now);
}

static void tick_promoted(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct controller_target *target = &controller->target;
    struct record look = {.kind = RECORD_LOOK};

    if (trial_is_watched(trial))
        return;
    if (trial->on_trial) {
        target->set_trial(target->user, trial->state.model, false);
        trial->on_trial = false;
    }
    if (trial->t_s - trial->step_t_s >= trial->plan.undo_s) {
        decide_alone(controller, trial, ROLLOUT_ON_WINDOW_PASSED, "clock", "the time to undo it has passed", now);
    } else if (now->now_s - trial->looked_s >= BEAT_S) {
        trial->looked_s = now->now_s;
        trial_record(controller, trial, &look);
    }
}

static void add_gauges(struct controller *controller, struct trial *trial, double now_s)
{
    const char *const tags[] = {trial->state.stable, trial->state.canary};
    struct controller_usage usage;
    int arm;

    if (now_s - trial->gauged_s < CONTROLLER_GAUGE_S)
        return;
    trial->gauged_s = now_s;
    for (arm = 0; arm < 2; arm++) {
        struct record record = {.kind = RECORD_GAUGE, .arm = (enum judge_arm)arm};

        if (!controller->target.usage(controller->target.user, trial->state.model, tags[arm], &usage))
            continue;
        record.gauge.memory_mb = usage.memory_mb;
        record.gauge.gpu_memory_mb = usage.gpu_memory_mb;
        record.gauge.requests = usage.requests;
        trial_record(controller, trial, &record);
    }
}

static void look(struct controller *controller, struct trial *trial, double now_s)
{
    struct record record = {.kind = RECORD_LOOK};

    if (now_s - trial->looked_s < (trial->fresh ? CONTROLLER_LOOK_S : IDLE_LOOK_S))
        return;
    trial->looked_s = now_s;
    trial_record(controller, trial, &record);
}

/* True where it has decided, or must decide nothing else. */
static bool tick_danger(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct controller_target *target = &controller->target;

    if (trial->go_back) {
        decide_alone(controller, trial, trial->go_back_event, trial->go_back_author, trial->go_back_why, now);
        return true;
    }
    /* Behind the analysis nobody tells of requests any more; labels of those before still come, and can take it back.
     */
    if (!trial_is_watched(trial) && !trial->fresh)
        return false;
    if (trial->was_ready && trial->on_trial &&
        target->is_broken(target->user, trial->state.model, trial->state.canary)) {
        decide_alone(controller, trial, ROLLOUT_ON_HARM, "breaker",
                     "the canary failed so many requests in a row that the gateway took it off", now);
        return true;
    }
    if (trial_is_watched(trial))
        add_gauges(controller, trial, now->now_s);
    look(controller, trial, now->now_s);
    if (trial->last.answer == JUDGE_GO_BACK)
        decide_alone(controller, trial, ROLLOUT_ON_HARM, "judge", trial->last.why, now);
    else if (trial->last.answer == JUDGE_STOP_AND_ASK && trial_allows(trial, ROLLOUT_ON_ASK))
        decide_alone(controller, trial, ROLLOUT_ON_ASK, "judge", trial->last.why, now);
    else
        return false;
    return true;
}

static void tick_live(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    bool waits;

    trial_take_time(trial, now->now_s);
    trial_follow_wall(trial, now->wall_ms);
    if (tick_danger(controller, trial, now))
        return;
    waits = waits_for_replica(controller, trial, now);
    if (trial->state.phase == ROLLOUT_PENDING && !waits)
        tick_pending(controller, trial, now);
    else if (trial->state.phase == ROLLOUT_PROGRESSING)
        tick_step(controller, trial, now);
    else if (trial->state.phase == ROLLOUT_PROMOTED)
        tick_promoted(controller, trial, now);
}

/* Whether the model's trial may go on. */
static bool may_go_on(const struct trial *trial)
{
    const bool exposed = trial->state.step_begun || trial->state.step > 0;

    if (!trial_is_live(trial))
        return !trial->route_pending; /* a route that could not be changed back */
    /* After the program has begun anew a canary with a share is not there yet, and must not fail for that. */
    return !trial->go_back && (trial->was_ready || !trial->on_trial || !exposed);
}

void controller_tick(struct controller *controller, const struct controller_now *now)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++) {
        struct trial *trial = &controller->trials[i];

        if (!trial->used)
            continue;
        if (trial->route_pending && !rests(trial, now->now_s)) {
            trial_bring_route(controller, trial);
            trial->again_s = trial->route_pending ? now->now_s + AGAIN_S : 0;
        }
        if (trial_is_live(trial))
            tick_live(controller, trial, now);
        if (trial->on_trial || trial->route_pending)
            controller->target.hold(controller->target.user, trial->state.model,
                                    may_go_on(trial) ? CONTROLLER_HOLD_MS : 0);
    }
}
