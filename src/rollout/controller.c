/*
 * controller.c - what is due in each rollout at a tick, and how a decision is taken.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariants: the state in memory is the one on disk; a route is changed only by bring_route, from the state alone; the
 * judge hears exactly the lines that are recorded, in their order, so that a judge that reads the file stands where
 * this one does. Steps are timed by the records' clock, which stands still while the program does not run: what nobody
 * watched was not tried.
 */
#include "rollout/controller_inside.h"

#include "base/buffer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_S       600.0 /* a canary that is not ready by then is a question for a person */
#define GATE_AGAIN_S  30.0  /* a gate that refuses is asked again after so long */
#define GATE_GRACE_S  2.0   /* beyond its timeout, before its silence counts as an answer */
#define MAX_PLAN_TEXT (1u << 20)

static void say(const struct controller *controller, const char *level, const char *format, ...) PRINTF_LIKE(3, 4);

static void say(const struct controller *controller, const char *level, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    controller->target.log(controller->target.user, level, sentence);
}

bool trial_is_live(const struct trial *trial)
{
    return trial->used && !rollout_phase_ended(trial->state.phase);
}

struct trial *trial_find(struct controller *controller, const char *rollout)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (controller->trials[i].used && (strcmp(controller->trials[i].state.id, rollout) == 0 ||
                                           strcmp(controller->trials[i].state.model, rollout) == 0))
            return &controller->trials[i];
    return NULL;
}

bool controller_find(const struct controller *controller, const char *model, struct controller_trial *ret)
{
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++) {
        const struct trial *trial = &controller->trials[i];

        if (trial->used && trial->judge && strcmp(trial->state.model, model) == 0) {
            *ret = (struct controller_trial){&trial->state, &trial->plan};
            return true;
        }
    }
    return false;
}

const struct rollout *controller_rollout(struct controller *controller, const char *rollout)
{
    const struct trial *trial = trial_find(controller, rollout);

    return trial ? &trial->state : NULL;
}

static void trial_clear(struct trial *trial)
{
    judge_free(trial->judge);
    free(trial->plan_yaml);
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

static void take_time(struct trial *trial, double now_s)
{
    double t_s = trial->base_t_s + (now_s - trial->base_now_s);

    if (t_s > trial->t_s)
        trial->t_s = t_s;
}

static void add_record(struct controller *controller, struct trial *trial, struct record *record)
{
    char line[RECORD_MAX_LINE + 1];
    size_t size;

    record->t_s = trial->t_s;
    size = record_write(record, line);
    line[size] = '\n';
    controller->target.record(controller->target.user, &trial->state, line, size + 1);
    trial->record_bytes += size + 1;
    judge_add(trial->judge, record);
    trial->fresh = true;
}

void controller_add(struct controller *controller, const char *model, struct record *record, double now_s)
{
    struct trial *trial = trial_find(controller, model);

    if (!trial || !trial->judge || trial->record_bytes > CONTROLLER_MAX_RECORDS)
        return;
    take_time(trial, now_s);
    add_record(controller, trial, record);
}

static void add_step(struct controller *controller, struct trial *trial)
{
    struct record record = {.kind = RECORD_STEP, .step = trial->state.step};

    trial->step_t_s = trial->t_s;
    add_record(controller, trial, &record);
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
        add_record(controller, trial, &record);
    }
}

static enum serin_errc new_judge(struct controller *controller, struct trial *trial, struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    struct judge_options options = trial->plan.judge;

    judge_free(trial->judge);
    trial->judge = NULL;
    trial->record_bytes = 0;
    trial->fresh = false;
    trial->last = (struct judge_decision){0};
    options.golden_map[JUDGE_STABLE] = target->golden_map(target->user, trial->state.model, trial->state.stable);
    options.golden_map[JUDGE_CANARY] = target->golden_map(target->user, trial->state.model, trial->state.canary);
    return judge_new(&options, &trial->judge, error);
}

static void start_clock(struct trial *trial, double t_s, double now_s)
{
    trial->base_t_s = trial->t_s = t_s;
    trial->base_now_s = trial->pending_since_s = now_s;
    trial->looked_s = trial->gauged_s = -INFINITY;
}

/* ---- decisions ---- */

static void notify(struct controller *controller, const struct trial *trial, enum plan_hook on, const char *event)
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
        notify(controller, trial, PLAN_ON_HARM, name);
    switch (trial->state.phase) {
    case ROLLOUT_PROGRESSING:
        if (event == ROLLOUT_ON_READY || event == ROLLOUT_ON_PROMOTE)
            notify(controller, trial, PLAN_ON_STEP, name);
        break;
    case ROLLOUT_PAUSED:
    case ROLLOUT_INCONCLUSIVE:
        notify(controller, trial, PLAN_ON_PAUSED, name);
        break;
    case ROLLOUT_PROMOTED:
        notify(controller, trial, PLAN_ON_PROMOTED, name);
        break;
    case ROLLOUT_COMPLETED:
    case ROLLOUT_ROLLED_BACK:
    case ROLLOUT_ABORTED:
    case ROLLOUT_UNDONE:
        notify(controller, trial, PLAN_ON_ENDED, name);
        break;
    case ROLLOUT_PENDING:
        break;
    }
}

static bool wants_trial(const struct trial *trial)
{
    return trial_is_live(trial) &&
           !(trial->state.phase == ROLLOUT_PROMOTED && trial->watched_s >= trial->plan.analysis_s);
}

/* The route becomes what the state wishes; tried again at each tick until it is. */
static void bring_route(struct controller *controller, struct trial *trial)
{
    const struct controller_target *target = &controller->target;
    struct serin_error error;
    struct route route;
    enum serin_errc rc = target->get_route(target->user, trial->state.model, &route, &error);

    if (rc == SERIN_OK) {
        machine_wish(&trial->state, &trial->plan, &route);
        rc = target->put_route(target->user, &route, wants_trial(trial), trial->state.id, &error);
    }
    if (rc != SERIN_OK && !trial->route_pending)
        say(controller, "error", "%s: its route cannot be changed yet: %s", trial->state.id, error.message);
    trial->route_pending = rc != SERIN_OK;
    if (rc == SERIN_OK)
        trial->on_trial = wants_trial(trial);
}

static void forget_gates(struct trial *trial)
{
    memset(trial->gates, 0, sizeof(trial->gates));
}

/* What follows in memory from a decision that is on disk. */
static enum serin_errc follow(struct controller *controller, struct trial *trial, const struct rollout *next,
                              const struct controller_now *now, struct serin_error *error)
{
    struct rollout before = trial->state;
    enum serin_errc rc = SERIN_OK;

    trial->state = *next;
    trial->waiting[0] = '\0';
    trial->go_back = false;
    trial->pending_since_s = now->now_s;
    forget_gates(trial);
    if (next->attempt != before.attempt) {
        rc = new_judge(controller, trial, error);
        start_clock(trial, 0, now->now_s);
        trial->was_ready = false;
        trial->watched_s = 0;
    }
    if (next->step_begun && trial->judge && (next->step != before.step || !before.step_begun))
        add_step(controller, trial);
    if (next->phase == ROLLOUT_PROMOTED && before.phase != ROLLOUT_PROMOTED) {
        trial->countdown_s = trial->plan.undo_s;
        trial->watched_s = 0;
    }
    if (rollout_phase_ended(next->phase)) {
        judge_free(trial->judge);
        trial->judge = NULL;
    }
    return rc;
}

static bool goes_back(enum rollout_event event)
{
    return event == ROLLOUT_ON_HARM || event == ROLLOUT_ON_ABORT || event == ROLLOUT_ON_UNDO;
}

static enum serin_errc write_decision(struct controller *controller, const struct trial *trial, struct rollout *next,
                                      const char *author, const char *event, const struct controller_now *now,
                                      bool first, struct serin_error *error)
{
    struct controller_decision decision = {.after = next,
                                           .author = author,
                                           .event = event,
                                           .why = next->why,
                                           .time_ms = now->wall_ms,
                                           .plan = first ? trial->plan_yaml : NULL};
    struct buffer numbers;
    enum serin_errc rc;

    buffer_init(&numbers, 4 << 20);
    report_numbers(trial, &numbers);
    rc = buffer_check(&numbers, "the numbers of a decision", error);
    decision.numbers = numbers.bytes;
    if (rc == SERIN_OK)
        rc = controller->target.decide(controller->target.user, &decision, &next->number, error);
    buffer_done(&numbers);
    return rc;
}

static enum serin_errc decide(struct controller *controller, struct trial *trial, enum rollout_event event,
                              const char *author, const char *why, const struct controller_now *now,
                              struct serin_error *error)
{
    const char *name = rollout_event_name(event);
    struct rollout next = trial->state;
    enum serin_errc rc = machine_apply(&next, &trial->plan, event, now->wall_ms, why, error);

    if (rc != SERIN_OK)
        return rc;
    rc = write_decision(controller, trial, &next, author, name, now, false, error);
    if (rc != SERIN_OK) {
        if (goes_back(event)) { /* safety does not wait for the disk */
            if (!trial->go_back)
                say(controller, "error", "%s: stable takes over at once, for '%s' (%s) cannot be written: %s",
                    trial->state.id, name, why, error->message);
            trial->go_back = true;
            trial->go_back_event = event;
            snprintf(trial->go_back_author, sizeof(trial->go_back_author), "%s", author);
            snprintf(trial->go_back_why, sizeof(trial->go_back_why), "%s", why);
            controller->target.hold(controller->target.user, 0);
        }
        return rc;
    }
    say(controller, event == ROLLOUT_ON_HARM ? "warn" : "info", "%s: %s by %s, now %s in step %d of %d: %s",
        trial->state.id, name, author, rollout_phase_name(next.phase), next.step + 1, trial->plan.judge.step_count,
        why);
    rc = follow(controller, trial, &next, now, error);
    bring_route(controller, trial);
    notify_of(controller, trial, event, name);
    if (trial->state.phase == ROLLOUT_COMPLETED)
        controller->target.release(controller->target.user, trial->state.model, trial->state.stable);
    return rc;
}

/* What the program decides by itself: a failure is logged once, and tried again at the next tick. */
static void decide_alone(struct controller *controller, struct trial *trial, enum rollout_event event,
                         const char *author, const char *why, const struct controller_now *now)
{
    struct serin_error error;

    if (decide(controller, trial, event, author, why, now, &error) != SERIN_OK && !goes_back(event))
        snprintf(trial->waiting, sizeof(trial->waiting), "for its decision to be written: %.200s", error.message);
}

/* ---- what is due ---- */

static bool possible(const struct trial *trial, enum rollout_event event)
{
    return machine_possible(&trial->state) >> event & 1;
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
            wait_for(trial, "for the gate %.120s, which says no: %.120s", hook->url, gate->why);
        else if (all)
            wait_for(trial, "for the gate %.200s", hook->url);
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

/* A freeze window is left by itself when it ends; a zone that is not known to this machine freezes, and says so. */
static bool is_frozen(struct trial *trial, const struct controller_now *now)
{
    struct serin_error error;
    int64_t until_ms = 0;
    bool frozen = false;

    if (plan_frozen(&trial->plan, now->wall_ms, &frozen, &until_ms, &error) != SERIN_OK) {
        wait_for(trial, "because its freeze windows cannot be told: %.200s", error.message);
        return true;
    }
    if (frozen)
        wait_for(trial, "for its freeze window to end, in %.0f minutes", (double)(until_ms - now->wall_ms) / 60000.0);
    return frozen;
}

static void tick_pending(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    char why[200];

    if (!trial->was_ready) {
        wait_for(trial, "for a replica of %.120s to be ready", trial->state.canary);
        if (now->now_s - trial->pending_since_s > READY_S) {
            snprintf(why, sizeof(why), "no replica of %.100s was ready in %.0f minutes", trial->state.canary,
                     READY_S / 60);
            decide_alone(controller, trial, ROLLOUT_ON_ASK, "clock", why, now);
        }
        return;
    }
    if (is_frozen(trial, now) || !gates_agree(controller, trial, now->now_s))
        return;
    snprintf(why, sizeof(why), "step %d of %d can begin", trial->state.step + 1, trial->plan.judge.step_count);
    decide_alone(controller, trial, ROLLOUT_ON_READY, "controller", why, now);
}

static void tick_step(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct plan_step *step = &trial->plan.steps[trial->state.step];
    double in_step_s = trial->t_s - trial->step_t_s;
    char why[200];

    if (trial->last.answer == JUDGE_PASS && trial->last.t_s > trial->step_t_s && in_step_s >= step->min_time_s) {
        decide_alone(controller, trial, ROLLOUT_ON_PROVEN, "judge", trial->last.why, now);
        return;
    }
    if (in_step_s > step->max_time_s && (double)(now->wall_ms - trial->state.limit_from_ms) / 1000 > step->max_time_s) {
        snprintf(why, sizeof(why), "the step has had its most time, %.0f s, and is not proven", step->max_time_s);
        decide_alone(controller, trial, ROLLOUT_ON_ASK, "clock", why, now);
    } else if (trial->record_bytes > CONTROLLER_MAX_RECORDS) {
        decide_alone(controller, trial, ROLLOUT_ON_ASK, "clock",
                     "there are more records than a rollout may keep, and it is not proven", now);
    }
}

static void look(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    struct record record = {.kind = RECORD_LOOK};

    if (now->now_s - trial->looked_s < (trial->fresh ? CONTROLLER_LOOK_S : 1.0))
        return;
    trial->looked_s = now->now_s;
    add_record(controller, trial, &record);
    judge_look(trial->judge, trial->t_s, &trial->last);
    trial->fresh = false;
}

static void tick_promoted(struct controller *controller, struct trial *trial, double passed_s,
                          const struct controller_now *now)
{
    trial->watched_s += passed_s;
    trial->countdown_s -= passed_s;
    if (trial->on_trial && !wants_trial(trial)) {
        controller->target.set_trial(controller->target.user, trial->state.model, false);
        trial->on_trial = false;
    }
    if (trial->countdown_s <= 0)
        decide_alone(controller, trial, ROLLOUT_ON_WINDOW_PASSED, "clock", "the time to undo it has passed", now);
}

static void tick_live(struct controller *controller, struct trial *trial, const struct controller_now *now)
{
    const struct controller_target *target = &controller->target;
    double before_s = trial->t_s;
    bool watched = trial->state.phase != ROLLOUT_PROMOTED || trial->watched_s < trial->plan.analysis_s;

    take_time(trial, now->now_s);
    if (target->is_ready(target->user, trial->state.model, trial->state.canary))
        trial->was_ready = true;
    if (trial->go_back) {
        decide_alone(controller, trial, trial->go_back_event, trial->go_back_author, trial->go_back_why, now);
        return;
    }
    if (watched && trial->was_ready && possible(trial, ROLLOUT_ON_HARM) && trial->on_trial &&
        target->is_broken(target->user, trial->state.model, trial->state.canary)) {
        decide_alone(controller, trial, ROLLOUT_ON_HARM, "breaker",
                     "the canary failed so many requests in a row that the gateway took it off", now);
        return;
    }
    if (watched) {
        add_gauges(controller, trial, now->now_s);
        look(controller, trial, now);
    }
    if (watched && trial->last.answer == JUDGE_GO_BACK && possible(trial, ROLLOUT_ON_HARM)) {
        decide_alone(controller, trial, ROLLOUT_ON_HARM, "judge", trial->last.why, now);
        return;
    }
    if (trial->last.answer == JUDGE_STOP_AND_ASK && possible(trial, ROLLOUT_ON_ASK)) {
        decide_alone(controller, trial, ROLLOUT_ON_ASK, "judge", trial->last.why, now);
        return;
    }
    if (trial->state.phase == ROLLOUT_PENDING)
        tick_pending(controller, trial, now);
    else if (trial->state.phase == ROLLOUT_PROGRESSING)
        tick_step(controller, trial, now);
    else if (trial->state.phase == ROLLOUT_PROMOTED)
        tick_promoted(controller, trial, trial->t_s - before_s, now);
}

void controller_tick(struct controller *controller, const struct controller_now *now)
{
    bool held = true, any = false;
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++) {
        struct trial *trial = &controller->trials[i];

        if (!trial->used)
            continue;
        if (trial->route_pending)
            bring_route(controller, trial);
        if (trial_is_live(trial))
            tick_live(controller, trial, now);
        /* A route that could not be changed back must not go on with the canary. */
        any = any || trial->on_trial || trial->route_pending;
        held = held && !trial->go_back && !(trial->route_pending && !trial_is_live(trial)) &&
               (!trial_is_live(trial) || trial->was_ready || !trial->on_trial);
    }
    if (any)
        controller->target.hold(controller->target.user, held ? CONTROLLER_HOLD_MS : 0);
}

/* ---- beginning, and what people say ---- */

static enum serin_errc copy_plan(struct trial *trial, const char *yaml, struct serin_error *error)
{
    struct buffer text;
    enum serin_errc rc = SERIN_OK;

    plan_init(&trial->plan);
    if (yaml[0])
        rc = plan_read(yaml, strlen(yaml), &trial->plan, error);
    if (rc != SERIN_OK)
        return rc;
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

static struct trial *free_place(struct controller *controller, const char *model)
{
    struct trial *trial = trial_find(controller, model);
    int i;

    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS && !trial; i++)
        if (!controller->trials[i].used)
            trial = &controller->trials[i];
    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS && !trial; i++)
        if (!trial_is_live(&controller->trials[i]))
            trial = &controller->trials[i];
    return trial;
}

struct rereading {
    struct trial *trial;
    double t_s;
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
    judge_add(trial->judge, &record);
    trial->record_bytes += size + 1;
    rereading->t_s = record.t_s > rereading->t_s ? record.t_s : rereading->t_s;
    if (record.kind == RECORD_STEP)
        trial->step_t_s = record.t_s;
}

enum serin_errc controller_resume(struct controller *controller, const struct rollout *rollout, const char *plan_yaml,
                                  const struct controller_now *now, struct serin_error *error)
{
    struct trial *trial = free_place(controller, rollout->model);
    struct rereading rereading = {.trial = trial, .error = error};
    double since_s = (double)(now->wall_ms - rollout->promoted_ms) / 1000;
    enum serin_errc rc;

    if (!trial)
        return error_set(error, SERIN_LIMIT, "%d rollouts are under way, the limit", CONTROLLER_MAX_ROLLOUTS);
    trial_clear(trial);
    trial->state = *rollout;
    rc = copy_plan(trial, plan_yaml, error);
    if (rc == SERIN_OK && !rollout_phase_ended(rollout->phase))
        rc = new_judge(controller, trial, error);
    if (rc == SERIN_OK && trial->judge) {
        rc = controller->target.each_record(controller->target.user, rollout, reread, &rereading, error);
        if (rc == SERIN_OK)
            rc = rereading.rc;
    }
    if (rc != SERIN_OK) {
        rc = error_prefix(error, rc, "rollout %s", rollout->id);
        trial_clear(trial);
        return rc;
    }
    trial->used = true;
    start_clock(trial, rereading.t_s, now->now_s);
    if (rollout->phase == ROLLOUT_PROMOTED) {
        trial->watched_s = since_s > 0 ? since_s : 0;
        trial->countdown_s = trial->plan.undo_s - trial->watched_s;
    }
    /* The route may be that of the decision before, where the program was killed in between. */
    bring_route(controller, trial);
    return SERIN_OK;
}

static enum serin_errc make_room(struct controller *controller, const struct controller_start *start,
                                 const struct controller_now *now, struct serin_error *error)
{
    struct trial *trial = trial_find(controller, start->model);
    bool promoted;

    if (!trial || !trial_is_live(trial))
        return SERIN_OK;
    promoted = trial->state.phase == ROLLOUT_PROMOTED;
    if (!start->supersede)
        return error_set(error, SERIN_LIMIT, "%s is %s (%s): %s", trial->state.id,
                         rollout_phase_name(trial->state.phase), trial->state.canary,
                         promoted ? "its undo window is open; end it with --supersede"
                                  : "abort it, or say --supersede");
    return decide(controller, trial, promoted ? ROLLOUT_ON_WINDOW_PASSED : ROLLOUT_ON_ABORT, start->author,
                  "a newer version takes its place", now, error);
}

enum serin_errc controller_start(struct controller *controller, const struct controller_start *start,
                                 const struct controller_now *now, const char **ret_id, struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    struct trial *trial, fresh = {0};
    char id[ROLLOUT_MAX_ID + 1];
    struct route route;
    enum serin_errc rc = copy_plan(&fresh, start->plan_yaml, error);

    if (rc == SERIN_OK)
        rc = make_room(controller, start, now, error);
    if (rc == SERIN_OK)
        rc = target->get_route(target->user, start->model, &route, error);
    if (rc == SERIN_OK && route_find(&route, start->canary) < 0)
        rc = error_set(error, SERIN_NOT_FOUND,
                       "%s:%s is not in the route: deploy it first (serin deploy %s:%s --canary)", start->model,
                       start->canary, start->model, start->canary);
    if (rc == SERIN_OK && strcmp(route.stable, start->canary) == 0)
        rc = error_set(error, SERIN_LIMIT, "%s:%s is the stable version already", start->model, start->canary);
    if (rc == SERIN_OK && !route.stable[0])
        rc = error_set(error, SERIN_LIMIT, "model %s has no stable version to compare with", start->model);
    trial = rc == SERIN_OK ? free_place(controller, start->model) : NULL;
    if (rc == SERIN_OK && !trial)
        rc = error_set(error, SERIN_LIMIT, "%d rollouts are under way, the limit", CONTROLLER_MAX_ROLLOUTS);
    if (rc == SERIN_OK) {
        snprintf(id, sizeof(id), "%.40s-%llu", start->model, (unsigned long long)start->sequence);
        rollout_init(&fresh.state, id, start->model, route.stable, start->canary, start->salt, now->wall_ms);
        snprintf(fresh.state.why, sizeof(fresh.state.why), "started");
        rc = new_judge(controller, &fresh, error);
    }
    if (rc == SERIN_OK)
        rc = write_decision(controller, &fresh, &fresh.state, start->author, "start", now, true, error);
    if (rc != SERIN_OK) {
        trial_clear(&fresh);
        return rc;
    }
    trial_clear(trial);
    *trial = fresh;
    trial->used = true;
    start_clock(trial, 0, now->now_s);
    say(controller, "info", "%s: %s against %s, started by %s", id, start->canary, route.stable, start->author);
    bring_route(controller, trial);
    notify(controller, trial, PLAN_ON_STARTED, "start");
    *ret_id = trial->state.id;
    return SERIN_OK;
}

/* What gives the canary traffic needs it to be there. */
static enum serin_errc check_ready(struct controller *controller, const struct trial *trial, enum rollout_event event,
                                   struct serin_error *error)
{
    const struct controller_target *target = &controller->target;
    const char *tag = event == ROLLOUT_ON_UNDO ? trial->state.stable : trial->state.canary;

    if (event != ROLLOUT_ON_PROMOTE && event != ROLLOUT_ON_PROMOTE_FULL && event != ROLLOUT_ON_UNDO)
        return SERIN_OK;
    if (target->is_ready(target->user, trial->state.model, tag))
        return SERIN_OK;
    return error_set(error, SERIN_LIMIT, "%s:%s has no replica that is ready%s", trial->state.model, tag,
                     event == ROLLOUT_ON_UNDO ? ": deploy it first" : "");
}

enum serin_errc controller_act(struct controller *controller, const char *rollout, enum rollout_event event,
                               const char *author, const char *why, const struct controller_now *now,
                               struct serin_error *error)
{
    struct trial *trial = trial_find(controller, rollout);
    enum serin_errc rc;

    if (!trial)
        return error_set(error, SERIN_NOT_FOUND, "no rollout '%s'", rollout);
    if (event != ROLLOUT_ON_PAUSE && event != ROLLOUT_ON_RESUME && event != ROLLOUT_ON_PROMOTE &&
        event != ROLLOUT_ON_PROMOTE_FULL && event != ROLLOUT_ON_ABORT && event != ROLLOUT_ON_RETRY &&
        event != ROLLOUT_ON_UNDO)
        return error_set(error, SERIN_INVALID, "'%s' is not for people to say", rollout_event_name(event));
    rc = possible(trial, event) ? check_ready(controller, trial, event, error) : SERIN_OK;
    if (rc != SERIN_OK)
        return rc;
    return decide(controller, trial, event, author, why && why[0] ? why : "a person's word", now, error);
}
