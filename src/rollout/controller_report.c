/*
 * controller_report.c - a rollout as JSON: for the log of decisions, for people, for webhooks.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One shape for a guard's reading wherever it is shown: {"guard", "slice", "verdict", ...}. Numbers that are not known
 * are null.
 */
#include "rollout/controller_inside.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SLICES_SHOWN 200 /* of all guards; slices with harm come besides */

static const char *const verdict_names[] = {"unknown", "harm", "no harm"};
static const char *const answer_names[] = {"hold", "pass", "ask", "go back"};
static const char *const worse_names[] = {"higher", "lower", "either"};
static const char *const action_names[] = {"roll back", "call a person", "note"};

static void put_number(struct json_writer *json, const char *key, double number)
{
    json_key(json, key);
    if (isfinite(number))
        json_write_number(json, number);
    else
        json_write_null(json);
}

static void put_count(struct json_writer *json, const char *key, double number)
{
    json_key(json, key);
    if (number >= 0 && number < 1e15)
        json_write_integer(json, (int64_t)number);
    else
        json_write_null(json);
}

/* The relative entropy of two coins: what one toss is worth, in nats, against the second where the first is true. */
static double worth_of_a_choice(double truth, double tested)
{
    return truth * log(truth / tested) + (1 - truth) * log((1 - truth) / (1 - tested));
}

/* About how many more choices between two answers the guard's verdict needs, if they go on as they have gone so far
 * (half of them at first, by Laplace's rule); NAN: this step does not ask for them. */
static double choices_left(const struct judge_reading *reading, int step)
{
    const double count = (double)reading->canary_count, proof = reading->guard->prove[step];
    const double seen = isfinite(reading->estimate) ? .5 + reading->estimate : .5;
    const double stable_right = (seen * count + 1) / (count + 2);
    const double harm_at = .5 + reading->guard->margin, harmless_at = .5 + proof;

    if (reading->verdict != JUDGE_UNKNOWN)
        return 0;
    if (stable_right > harm_at)
        return ceil(
            fmax(1, (reading->log_e_harm_needed - reading->log_e_harm) / worth_of_a_choice(stable_right, harm_at)));
    if (!isfinite(proof) || harmless_at >= 1 || stable_right >= harmless_at)
        return NAN;
    return ceil(fmax(1, (reading->log_e_no_harm_needed - fmax(0, reading->log_e_no_harm)) /
                            worth_of_a_choice(stable_right, harmless_at)));
}

static void write_reading(struct json_writer *json, const struct judge_reading *reading, int step, int judged_step)
{
    char slice[RECORD_MAX_NAME + RECORD_MAX_VALUE + 16] = "";

    if (reading->dimension)
        snprintf(slice, sizeof(slice), "%s=%s", reading->dimension, reading->value);
    json_begin_object(json);
    json_put_string(json, "guard", reading->guard->name);
    json_put_string(json, "metric", reading->guard->metric->name);
    json_put_string(json, "unit", reading->guard->metric->unit);
    json_put_boolean(json, "relative", reading->guard->metric->scale == JUDGE_RELATIVE);
    json_put_string(json, "worse", worse_names[reading->guard->metric->direction]);
    json_put_string(json, "slice", slice);
    json_put_string(json, "verdict", verdict_names[reading->verdict]);
    json_put_string(json, "on_harm", action_names[reading->guard->action]);
    json_put_boolean(json, "required", reading->required);
    json_put_boolean(json, "accepted", reading->accepted);
    put_number(json, "margin", reading->guard->margin);
    put_number(json, "proves", reading->guard->prove[judged_step]);
    put_number(json, "stable", reading->stable);
    put_number(json, "canary", reading->canary);
    put_number(json, "estimate", reading->estimate);
    put_number(json, "lower", reading->lower);
    put_number(json, "upper", reading->upper);
    put_number(json, "log_e_harm", reading->log_e_harm);
    put_number(json, "log_e_harm_needed", reading->log_e_harm_needed);
    put_number(json, "log_e_no_harm", reading->log_e_no_harm);
    put_number(json, "log_e_no_harm_needed", reading->log_e_no_harm_needed);
    put_number(json, "left_s", reading->left_s);
    json_put_integer(json, "stable_count", (int64_t)reading->stable_count);
    json_put_integer(json, "canary_count", (int64_t)reading->canary_count);
    put_number(json, "decided_t_s", reading->decided_t_s);
    put_count(json, "proven_step", reading->proven_step < 0 ? -1 : reading->proven_step + 1);
    put_number(json, "proven_margin",
               reading->proven_step < 0 ? (double)NAN : reading->guard->prove[reading->proven_step]);
    if (reading->guard->metric->source == JUDGE_FROM_CHOICES)
        put_count(json, "left_choices", choices_left(reading, step));
    json_end_object(json);
}

/* The judge is told of a step when it begins: before that its verdicts are of the step behind, judged_step. */
static void write_readings(struct json_writer *json, const struct judge *judge, int step, int judged_step)
{
    int count = judge_reading_count(judge), slices = 0, i;

    json_key(json, "guards");
    json_begin_array(json);
    for (i = 0; i < count; i++) {
        struct judge_reading reading;

        judge_read(judge, i, &reading);
        if (!reading.guard->metric) /* the sample ratio, which is shown apart */
            continue;
        if (reading.dimension && reading.verdict != JUDGE_HARM && ++slices > MAX_SLICES_SHOWN)
            continue;
        write_reading(json, &reading, step, judged_step);
    }
    json_end_array(json);
}

/* Of a step that is in force, until its least time has passed. */
static double least_time_left_s(const struct trial *trial)
{
    if (trial->state.phase != ROLLOUT_PROGRESSING)
        return 0;
    return fmax(0, trial->plan.steps[trial->state.step].min_time_s - (trial->t_s - trial->step_t_s));
}

/* False: what the judge has said is of the step before. */
static bool is_judged(const struct trial *trial)
{
    return trial->judge && trial->last.t_s > trial->step_t_s;
}

/* Until the step can end: its proof and its least time; NAN: cannot be told. */
static double step_left_s(const struct trial *trial)
{
    const double proof_s = trial->last.answer == JUDGE_PASS ? 0 : trial->last.left_s;

    return isnan(proof_s) ? proof_s : fmax(proof_s, least_time_left_s(trial));
}

static void write_judge(struct json_writer *json, const struct trial *trial)
{
    const struct judge_decision *last = &trial->last;
    struct judge_sample_ratio ratio;

    judge_sample_ratio(trial->judge, &ratio);
    json_put_string(json, "answer", answer_names[last->answer]);
    json_put_string(json, "judged", last->why);
    json_put_string(json, "guard", last->guard);
    json_put_string(json, "slice", last->slice);
    put_number(json, "left_s", step_left_s(trial));
    json_put_boolean(json, "no_traffic", last->no_traffic);
    put_number(json, "t_s", trial->t_s);
    put_number(json, "alpha", trial->plan.judge.alpha);
    put_number(json, "alpha_spent", judge_alpha_spent(trial->judge));
    json_key(json, "sample_ratio");
    json_begin_object(json);
    put_number(json, "expected", ratio.expected);
    put_number(json, "seen", ratio.seen);
    put_number(json, "log_e", ratio.log_e);
    json_put_boolean(json, "alarm", ratio.alarm);
    json_end_object(json);
    write_readings(json, trial->judge, trial->state.step,
                   trial->state.step_begun || trial->state.step == 0 ? trial->state.step : trial->state.step - 1);
}

void report_numbers(const struct trial *trial, struct buffer *out)
{
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    if (trial->judge)
        write_judge(&json, trial);
    json_end_object(&json);
}

/* The members of rollout_to_json, without its braces, into an object that is open. */
static void write_state(struct json_writer *json, const struct trial *trial)
{
    const struct rollout *rollout = &trial->state;

    json_put_string(json, "id", rollout->id);
    json_put_string(json, "model", rollout->model);
    json_put_string(json, "stable", rollout->stable);
    json_put_string(json, "canary", rollout->canary);
    json_put_string(json, "phase", rollout_phase_name(rollout->phase));
    json_put_boolean(json, "ended", rollout_phase_ended(rollout->phase));
    json_put_integer(json, "step", rollout->step + 1);
    json_put_integer(json, "steps", trial->plan.judge.step_count);
    json_put_boolean(json, "step_begun", rollout->step_begun);
    json_put_integer(json, "attempt", rollout->attempt);
    json_put_integer(json, "decision", (int64_t)rollout->number);
    json_put_integer(json, "started_ms", rollout->started_ms);
    json_put_integer(json, "ended_ms", rollout->ended_ms);
    json_put_string(json, "why", rollout->why);
}

/* The canary's share that is in force, in percent. */
static double share_percent(const struct trial *trial)
{
    struct route route = {.version_count = 2};

    snprintf(route.versions[0].tag, sizeof(route.versions[0].tag), "%s", trial->state.stable);
    snprintf(route.versions[1].tag, sizeof(route.versions[1].tag), "%s", trial->state.canary);
    machine_wish(&trial->state, &trial->plan, &route);
    return 100.0 * route.versions[1].weight / ((double)route.versions[0].weight + route.versions[1].weight);
}

static void write_copies(struct json_writer *json, const struct copies *copies)
{
    json_key(json, "copies");
    json_begin_object(json);
    json_put_integer(json, "answered", (int64_t)copies->answered);
    json_put_integer(json, "failed", (int64_t)copies->failed);
    json_put_string(json, "failure", copies->failure);
    json_end_object(json);
}

static void write_steps(struct json_writer *json, const struct plan *plan)
{
    int i;

    json_key(json, "plan_steps");
    json_begin_array(json);
    for (i = 0; i < plan->judge.step_count; i++) {
        json_begin_object(json);
        put_number(json, "weight_percent", plan->steps[i].weight_per_million / 1e4);
        put_number(json, "mirror_percent", plan->steps[i].mirror_per_million / 1e4);
        put_number(json, "min_time_s", plan->steps[i].min_time_s);
        put_number(json, "max_time_s", plan->steps[i].max_time_s);
        json_put_boolean(json, "pause", plan->steps[i].pause);
        json_end_object(json);
    }
    json_end_array(json);
}

/* What it waits for, or does. */
static void write_waiting(struct json_writer *json, const struct trial *trial)
{
    const double left_s = least_time_left_s(trial);
    const struct copies *copies = &trial->copies;
    char text[sizeof(trial->last.why) + 160] = "";

    if (trial->waiting[0])
        snprintf(text, sizeof(text), "%s", trial->waiting);
    else if (trial->state.phase == ROLLOUT_PAUSED)
        snprintf(text, sizeof(text), "it is paused, and a person's resume or promote goes on");
    else if (trial->state.phase == ROLLOUT_PROGRESSING && !is_judged(trial))
        snprintf(text, sizeof(text), "the step has just begun");
    else if (trial->state.phase == ROLLOUT_PROGRESSING && trial->last.answer == JUDGE_PASS && left_s > 0)
        snprintf(text, sizeof(text), "waits for its minimum time: %.0f %s left; %s",
                 ceil(left_s < 100    ? left_s
                      : left_s < 6000 ? left_s / 60
                                      : left_s / 3600),
                 left_s < 100    ? "s"
                 : left_s < 6000 ? "min"
                                 : "h",
                 trial->last.why);
    else if (trial->state.phase == ROLLOUT_PROGRESSING && copies->failed > 0 && copies->answered == 0)
        snprintf(text, sizeof(text), "%s; 0 of %llu copies were answered, the last: %s", trial->last.why,
                 (unsigned long long)copies->failed, copies->failure);
    else if (trial->state.phase == ROLLOUT_PROGRESSING)
        snprintf(text, sizeof(text), "%s", trial->last.why);
    json_put_string(json, "waiting", text);
}

void report_hook(const struct trial *trial, const char *event, struct buffer *out)
{
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "event", event);
    write_state(&json, trial);
    put_number(&json, "share_percent", share_percent(trial));
    json_end_object(&json);
}

/* What a person may say, and would not be refused: a table allows an undo of which the replicas are gone. */
static void write_possible(struct json_writer *json, const struct controller *controller, const struct trial *trial)
{
    const uint32_t events = machine_possible(&trial->state);
    struct serin_error why;
    int i;

    json_key(json, "possible");
    json_begin_array(json);
    for (i = 0; i <= (int)ROLLOUT_ON_WINDOW_PASSED; i++) {
        const enum rollout_event event = (enum rollout_event)i;

        if ((events >> i & 1) && rollout_event_is_a_persons(event) &&
            trial_check_act(controller, trial, event, &why) == SERIN_OK)
            json_write_string(json, rollout_event_name(event));
    }
    json_end_array(json);
}

enum serin_errc controller_report(struct controller *controller, const char *rollout, struct buffer *out,
                                  struct serin_error *error)
{
    const struct trial *trial = trial_named(controller, rollout);
    struct json_writer json;

    if (!trial)
        return controller_no_rollout(rollout, error);
    json_init(&json, out);
    json_begin_object(&json);
    write_state(&json, trial);
    put_number(&json, "share_percent", share_percent(trial));
    json_put_boolean(&json, "route_in_force", !trial->route_pending);
    write_waiting(&json, trial);
    write_possible(&json, controller, trial);
    if (trial->state.phase == ROLLOUT_PROMOTED) {
        const double passed_s = trial->t_s - trial->step_t_s;

        put_number(&json, "undo_left_s", fmax(0, trial->plan.undo_s - passed_s));
        put_number(&json, "analysis_left_s", fmax(0, trial->plan.analysis_s - passed_s));
    }
    write_copies(&json, &trial->copies);
    write_steps(&json, &trial->plan);
    if (controller->target.report)
        controller->target.report(controller->target.user, &trial->state, &trial->plan, &json);
    if (trial->judge)
        write_judge(&json, trial);
    json_end_object(&json);
    return SERIN_OK;
}

void controller_list(struct controller *controller, struct buffer *out)
{
    struct json_writer json;
    int i;

    json_init(&json, out);
    json_begin_array(&json);
    for (i = 0; i < CONTROLLER_MAX_ROLLOUTS; i++) {
        const struct trial *trial = &controller->trials[i];

        if (!trial->used)
            continue;
        json_begin_object(&json);
        write_state(&json, trial);
        put_number(&json, "share_percent", share_percent(trial));
        write_waiting(&json, trial);
        json_end_object(&json);
    }
    json_end_array(&json);
}

bool controller_view(const struct controller *controller, int index, struct controller_view *ret)
{
    const struct trial *trial = &controller->trials[index];

    if (!trial->used)
        return false;
    *ret = (struct controller_view){.state = &trial->state,
                                    .steps = trial->plan.judge.step_count,
                                    .share = share_percent(trial) / 100,
                                    .alpha = trial->plan.judge.alpha,
                                    .judge = trial->judge};
    return true;
}
