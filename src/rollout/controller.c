/*
 * controller.c - the rollouts in hand: their records, and how a decision is taken.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariants: the state in memory is the one on disk; a route is changed only by trial_bring_route, from the state
 * alone; the judge hears exactly the lines that are recorded, in their order, so that a judge that reads the file
 * stands where this one does, to the last bit. Steps and the time to undo are measured by the records' clock, which
 * stands still while the program does not run, or is suspended: what nobody watched was not tried. The wall clock is
 * for people, for freeze windows, and for where blocks begin.
 */
#include "rollout/controller_inside.h"

#include "base/buffer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void controller_say(const struct controller *controller, const char *level, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    controller->target.log(controller->target.user, level, sentence);
}

/* ---- finding ---- */

bool trial_is_live(const struct trial *trial)
{
    return trial->used && !rollout_phase_ended(trial->state.phase);
}

bool trial_allows(const struct trial *trial, enum rollout_event event)
{
    return machine_possible(&trial->state) >> event & 1;
}

bool trial_is_watched(const struct trial *trial)
{
    return trial_is_live(trial) &&
           (trial->state.phase != ROLLOUT_PROMOTED || trial->t_s - trial->step_t_s < trial->plan.analysis_s);
}

struct trial *trial_of_model(struct controller *controller, const char *model)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (controller->trials[i].used && strcmp(controller->trials[i].state.model, model) == 0)
            return &controller->trials[i];
    return NULL;
}

/* A model may have the name of another's rollout: its own word is the id. */
struct trial *trial_named(struct controller *controller, const char *id_or_model)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (controller->trials[i].used && strcmp(controller->trials[i].state.id, id_or_model) == 0)
            return &controller->trials[i];
    return trial_of_model(controller, id_or_model);
}

enum serin_errc controller_no_rollout(const char *id_or_model, struct serin_error *error)
{
    return error_set(
        error, SERIN_NOT_FOUND,
        "'%.127s' is no rollout, and no model that has one: 'serin rollout list' shows those that are, 'serin "
        "rollout start MODEL:TAG' begins one",
        id_or_model);
}

bool controller_find(const struct controller *controller, const char *model, struct controller_trial *ret)
{
    const struct trial *trial = trial_of_model((struct controller *)controller, model);

    if (!trial || !trial->judge)
        return false;
    *ret = (struct controller_trial){&trial->state, &trial->plan, trial->zone};
    return true;
}

bool controller_named(struct controller *controller, const char *rollout, struct controller_trial *ret)
{
    const struct trial *trial = trial_named(controller, rollout);

    if (trial)
        *ret = (struct controller_trial){&trial->state, &trial->plan, trial->zone};
    return trial != NULL;
}

const struct rollout *controller_rollout(struct controller *controller, const char *rollout)
{
    const struct trial *trial = trial_named(controller, rollout);

    return trial ? &trial->state : NULL;
}

const struct rollout *controller_holder(struct controller *controller, const char *model, const char *tag)
{
    const struct trial *trial = trial_of_model(controller, model);

    if (!trial || (!trial_is_live(trial) && !trial->route_pending))
        return NULL;
    if (tag && !trial->route_pending && strcmp(tag, trial->state.stable) != 0 && strcmp(tag, trial->state.canary) != 0)
        return NULL;
    return &trial->state;
}

bool controller_is_unwritten(const struct controller *controller, const char *model)
{
    const struct trial *trial = trial_of_model((struct controller *)controller, model);

    return trial && trial->go_back;
}

bool controller_is_full(const struct controller *controller)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (!controller->trials[i].used)
            return false;
    return true;
}

void trial_clear(struct trial *trial)
{
    judge_free(trial->judge);
    free(trial->plan_yaml);
    zone_free(trial->zone);
    *trial = (struct trial){0};
}

enum serin_errc controller_new(const struct controller_target *target, struct controller **ret,
                               struct serin_error *error)
{
    struct controller *controller = calloc(1, sizeof(*controller));

    if (!controller)
        return error_set(error, SERIN_NOMEM, "no memory for %d rollouts", CONTROLLER_MAX_ROLLOUTS);
    controller->target = *target;
    controller->next_ticket = 1;
    *ret = controller;
    return SERIN_OK;
}

void controller_free(struct controller *controller)
{
    int i;

    if (!controller)
        return;
    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        trial_clear(&controller->trials[i]);
    free(controller);
}

/* ---- records ---- */

/* Blocks begin at wall-clock times that are multiples of their length, for the gateway, and at such times of its
 * records for the judge: so the records' clock is set ahead to where the wall's is within a block. Seconds that it is
 * behind; 0 where there are no blocks. */
static double behind_wall_s(const struct trial *trial, int64_t wall_ms)
{
    const double block_s = trial->plan.judge.block_s;
    double behind_s;

    if (trial->plan.judge.unit != JUDGE_KEY_BLOCK)
        return 0;
    behind_s = fmod((double)wall_ms / 1000, block_s) - fmod(trial->t_s, block_s);
    return behind_s < 0 ? behind_s + block_s : behind_s;
}

void trial_start_clock(struct trial *trial, double t_s, const struct controller_now *now)
{
    trial->t_s = t_s;
    trial->t_s += behind_wall_s(trial, now->wall_ms);
    trial->stands_s = 0;
    trial->taken_s = now->now_s;
    trial->waits_since_t_s = trial->t_s;
    trial->looked_s = trial->gauged_s = -INFINITY;
}

void trial_take_time(struct trial *trial, double now_s)
{
    /* Longer than a trial is held nobody has watched it: the machine, or the program, was suspended. */
    double passed_s = fmin(fmax(0, now_s - trial->taken_s), CONTROLLER_HOLD_MS / 1000.0);
    double stood_s = fmin(passed_s, trial->stands_s);

    trial->taken_s = now_s;
    trial->stands_s -= stood_s;
    trial->t_s += passed_s - stood_s;
}

/* The shorter way: ahead, with all that counts from a time, or by standing still. Neither makes a step shorter. */
void trial_follow_wall(struct trial *trial, int64_t wall_ms)
{
    const double block_s = trial->plan.judge.block_s, slewed_s = fmin(1, block_s / 10);
    const double behind_s = behind_wall_s(trial, wall_ms);

    trial->stands_s = 0;
    if (behind_s <= slewed_s || behind_s >= block_s - slewed_s)
        return;
    if (behind_s > block_s / 2) {
        trial->stands_s = block_s - behind_s;
        return;
    }
    trial->t_s += behind_s;
    trial->step_t_s += behind_s;
    trial->limit_t_s += behind_s;
    trial->waits_since_t_s += behind_s;
}

void trial_record(struct controller *controller, struct trial *trial, struct record *record)
{
    char line[RECORD_MAX_LINE + 1];
    size_t size;

    record->t_s = trial->t_s;
    record_round(record);
    size = record_write(record, line);
    line[size] = '\n';
    controller->target.record(controller->target.user, &trial->state, line, size + 1);
    trial->record_bytes += size + 1;
    if (record->kind == RECORD_LOOK)
        judge_look(trial->judge, record->t_s, &trial->last);
    else
        judge_add(trial->judge, record);
    trial->fresh = record->kind != RECORD_LOOK;
}

void controller_add(struct controller *controller, const char *model, struct record *record, double now_s)
{
    struct trial *trial = trial_of_model(controller, model);

    if (!trial || !trial->judge || trial->record_bytes > CONTROLLER_MAX_RECORDS)
        return;
    trial_take_time(trial, now_s);
    trial_record(controller, trial, record);
}

void controller_note_copy(struct controller *controller, const char *model, const char *failure)
{
    struct trial *trial = trial_of_model(controller, model);

    if (!trial || !trial->judge)
        return;
    trial->copies.answered += !failure;
    trial->copies.failed += failure != NULL;
    if (failure)
        snprintf(trial->copies.failure, sizeof(trial->copies.failure), "%s", failure);
}

void trial_record_step(struct controller *controller, struct trial *trial)
{
    struct record record = {.kind = RECORD_STEP, .step = trial->state.step};

    trial_record(controller, trial, &record);
    trial->step_t_s = trial->limit_t_s = record.t_s;
    trial->limit_units = 0;
    trial->copies = (struct copies){0};
}

/* What the golden set said of both: the first record of an attempt. */
void trial_record_golden(struct controller *controller, struct trial *trial)
{
    const struct controller_target *target = &controller->target;
    struct record record = {.kind = RECORD_GOLDEN};

    record.golden.map[JUDGE_STABLE] = target->golden_map(target->user, trial->state.model, trial->state.stable);
    record.golden.map[JUDGE_CANARY] = target->golden_map(target->user, trial->state.model, trial->state.canary);
    trial_record(controller, trial, &record);
}

enum serin_errc trial_new_judge(const struct trial *trial, struct judge **ret, struct serin_error *error)
{
    struct judge_options options = trial->plan.judge;

    options.golden_map[JUDGE_STABLE] = options.golden_map[JUDGE_CANARY] = (double)NAN; /* a record says it */
    return judge_new(&options, ret, error);
}

/* ---- decisions ---- */

void trial_notify(struct controller *controller, const struct trial *trial, enum plan_hook on, const char *event)
{
    struct buffer body;
    int i;

    buffer_init(&body, 64 << 10);
    report_hook(trial, event, &body);
    for (i = 0; i < trial->plan.webhook_count && !body.failed; i++)
        if (trial->plan.webhooks[i].on & on)
            controller->target.call_hook(controller->target.user, &trial->plan.webhooks[i], body.bytes, 0);
    buffer_done(&body);
}

static void notify_of(struct controller *controller, const struct trial *trial, enum rollout_event event,
                      const char *name)
{
    if (event == ROLLOUT_ON_HARM)
        trial_notify(controller, trial, PLAN_ON_HARM, name);
    switch (trial->state.phase) {
    case ROLLOUT_PROGRESSING:
        if (event == ROLLOUT_ON_READY || event == ROLLOUT_ON_PROMOTE)
            trial_notify(controller, trial, PLAN_ON_STEP, name);
        break;
    case ROLLOUT_PAUSED:
    case ROLLOUT_INCONCLUSIVE:
        trial_notify(controller, trial, PLAN_ON_PAUSED, name);
        break;
    case ROLLOUT_PROMOTED:
        trial_notify(controller, trial, PLAN_ON_PROMOTED, name);
        break;
    case ROLLOUT_COMPLETED:
    case ROLLOUT_ROLLED_BACK:
    case ROLLOUT_ABORTED:
    case ROLLOUT_UNDONE:
        trial_notify(controller, trial, PLAN_ON_ENDED, name);
        break;
    case ROLLOUT_PENDING:
        break;
    }
}

void trial_bring_route(struct controller *controller, struct trial *trial)
{
    const struct controller_target *target = &controller->target;
    const bool on_trial = trial_is_watched(trial);
    struct route route, before;
    struct serin_error error;
    bool changes = true;
    enum serin_errc rc = target->get_route(target->user, trial->state.model, &route, &error);

    if (rc == SERIN_OK) {
        before = route;
        machine_wish(&trial->state, &trial->plan, &route);
        changes = !route_is_same(&before, &route);
        if (changes)
            rc = target->put_route(target->user, &route, on_trial, trial->state.id, &error);
        else
            target->set_trial(target->user, trial->state.model, on_trial);
    }
    if (rc != SERIN_OK && !trial->route_pending)
        controller_say(controller, "error", "%s: its route cannot be changed yet: %s", trial->state.id, error.message);
    trial->route_pending = rc != SERIN_OK;
    if (rc != SERIN_OK)
        return;
    trial->on_trial = on_trial;
    if (trial->state.phase == ROLLOUT_COMPLETED && changes) /* nothing leads to it any more */
        target->release(target->user, trial->state.model, trial->state.stable);
}

/* What follows in memory from a decision that is on disk. fresh: the judge of a new attempt. */
static void follow(struct controller *controller, struct trial *trial, const struct rollout *next, struct judge *fresh,
                   const struct controller_now *now)
{
    const struct rollout before = trial->state;

    trial->state = *next;
    trial->waiting[0] = '\0';
    trial->go_back = false;
    trial->waits_since_t_s = trial->t_s;
    if (before.phase == ROLLOUT_INCONCLUSIVE) { /* a person has looked at it */
        trial->limit_t_s = trial->t_s;
        trial->limit_units = trial->last.units;
    }
    memset(trial->gates, 0, sizeof(trial->gates));
    if (fresh) {
        judge_free(trial->judge);
        trial->judge = fresh;
        trial->last = (struct judge_decision){0};
        trial->record_bytes = 0;
        trial->fresh = trial->was_ready = false;
        trial->step_t_s = trial->limit_t_s = 0;
        trial_start_clock(trial, 0, now);
        trial_record_golden(controller, trial);
    }
    if (next->step_begun && trial->judge && (next->step != before.step || !before.step_begun))
        trial_record_step(controller, trial);
    if (rollout_phase_ended(next->phase)) {
        judge_free(trial->judge);
        trial->judge = NULL;
    }
}

bool event_goes_back(enum rollout_event event)
{
    return event == ROLLOUT_ON_HARM || event == ROLLOUT_ON_ABORT || event == ROLLOUT_ON_UNDO;
}

enum serin_errc trial_write(struct controller *controller, const struct trial *trial, struct rollout *next,
                            const char *author, const char *event, const struct controller_now *now,
                            struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    struct controller_decision decision = {.after = next,
                                           .author = author,
                                           .event = event,
                                           .why = next->why,
                                           .time_ms = now->wall_ms,
                                           .plan = trial->used ? NULL : trial->plan_yaml,
                                           .goes_back =
                                               rollout_phase_ended(next->phase) && next->phase != ROLLOUT_COMPLETED};
    struct buffer numbers;
    struct route route;
    enum serin_errc rc = target->get_route(target->user, next->model, &route, error);

    if (rc != SERIN_OK && !decision.goes_back)
        return rc;
    next->route_revision = rc == SERIN_OK ? route.revision : 0;
    buffer_init(&numbers, 4 << 20);
    report_numbers(trial, &numbers);
    rc = buffer_check(&numbers, "the numbers of a decision", error);
    decision.numbers = numbers.bytes;
    if (rc == SERIN_OK)
        rc = target->decide(target->user, &decision, &next->number, error);
    buffer_done(&numbers);
    return rc;
}

/* Safety does not wait for the disk: stable takes over now, and the decision is written when it can be. */
static void go_back_unwritten(struct controller *controller, struct trial *trial, enum rollout_event event,
                              const char *author, const char *why, const struct serin_error *error)
{
    if (!trial->go_back) {
        controller_say(controller, "error", "%s: stable takes over at once, for '%s' (%s) cannot be written: %s",
                       trial->state.id, rollout_event_name(event), why, error->message);
        trial->go_back_event = event;
        snprintf(trial->go_back_author, sizeof(trial->go_back_author), "%s", author);
        snprintf(trial->go_back_why, sizeof(trial->go_back_why), "%s", why);
    }
    trial->go_back = true;
}

/* A disk may be slow, or locked, and what follows is written twice. Behind the analysis the dead-man rule does not hold
 * any more: it does again, so that stable takes over now. */
static void let_go(struct controller *controller, struct trial *trial)
{
    const struct controller_target *target = &controller->target;

    if (!trial->on_trial)
        target->set_trial(target->user, trial->state.model, true);
    trial->on_trial = true;
    target->hold(target->user, trial->state.model, 0);
}

enum serin_errc trial_decide(struct controller *controller, struct trial *trial, enum rollout_event event,
                             const char *author, const char *why, const struct controller_now *now,
                             struct serin_error *error)
{
    const char *name = rollout_event_name(event);
    struct rollout next = trial->state;
    struct judge *fresh = NULL;
    struct serin_error fault;
    enum serin_errc rc = machine_apply(&next, &trial->plan, event, now->wall_ms, why, error);

    if (rc == SERIN_OK && next.attempt != trial->state.attempt)
        rc = trial_new_judge(trial, &fresh, error);
    if (rc != SERIN_OK)
        return rc;
    if (event_goes_back(event) && trial_is_live(trial))
        let_go(controller, trial);
    rc = trial_write(controller, trial, &next, author, name, now, &fault);
    if (rc != SERIN_OK) {
        judge_free(fresh);
        if (!event_goes_back(event) || !trial_is_live(trial)) /* who has said it is told, and may say it again */
            return error_set(error, rc, "%s", fault.message);
        go_back_unwritten(controller, trial, event, author, why, &fault);
        return error_set(error, rc,
                         "%s: stable has taken over, but '%s' is not stored yet, and will be tried again: %s",
                         trial->state.id, name, fault.message);
    }
    controller_say(controller, event == ROLLOUT_ON_HARM ? "warn" : "info", "%s: %s by %s, now %s in step %d of %d: %s",
                   trial->state.id, name, author, rollout_phase_name(next.phase), next.step + 1,
                   trial->plan.judge.step_count, why);
    follow(controller, trial, &next, fresh, now);
    trial_bring_route(controller, trial);
    notify_of(controller, trial, event, name);
    return SERIN_OK;
}
