/*
 * machine.c - the table of a rollout's states, applied; and the route that a state asks for.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table says what is allowed and where it can lead; apply_to_copy says which of the possible rows it is and moves
 * the step, and is checked against the table. Invariants: a phase of before the end has a step of the plan; PROGRESSING
 * means that its share is in force (step_begun), PENDING that it is not; the last step, which gives the canary
 * everything, is PROMOTED and never PROGRESSING. Harm and abort are possible wherever the canary can have traffic.
 */
#include "rollout/machine.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where an event can lead to several phases there is a row for each, and the note says when. */
static const struct {
    enum rollout_phase from;
    enum rollout_event event;
    enum rollout_phase to;
    const char *note;
} table[] = {
    {ROLLOUT_PENDING, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING, "the step begins"},
    {ROLLOUT_PENDING, ROLLOUT_ON_READY, ROLLOUT_PROMOTED, "the last step begins"},
    {ROLLOUT_PENDING, ROLLOUT_ON_HARM, ROLLOUT_ROLLED_BACK, "the share of the step before was in force"},
    {ROLLOUT_PENDING, ROLLOUT_ON_ASK, ROLLOUT_INCONCLUSIVE, "it waits too long, or for a person"},
    {ROLLOUT_PENDING, ROLLOUT_ON_PAUSE, ROLLOUT_PAUSED, "and does not begin the step when it could"},
    {ROLLOUT_PENDING, ROLLOUT_ON_PROMOTE, ROLLOUT_PROGRESSING, "the step begins in spite of gates and windows"},
    {ROLLOUT_PENDING, ROLLOUT_ON_PROMOTE, ROLLOUT_PROMOTED, "the last step begins in spite of gates and windows"},
    {ROLLOUT_PENDING, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED, "all steps are skipped"},
    {ROLLOUT_PENDING, ROLLOUT_ON_ABORT, ROLLOUT_ABORTED, ""},

    {ROLLOUT_PROGRESSING, ROLLOUT_ON_PROVEN, ROLLOUT_PENDING, "the next step waits to begin"},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_PROVEN, ROLLOUT_PAUSED, "the plan pauses behind this step"},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_HARM, ROLLOUT_ROLLED_BACK, ""},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_ASK, ROLLOUT_INCONCLUSIVE, ""},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_PAUSE, ROLLOUT_PAUSED, "the share stays, and evidence goes on counting"},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING, "the next step waits to begin"},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED, "the steps between are skipped"},
    {ROLLOUT_PROGRESSING, ROLLOUT_ON_ABORT, ROLLOUT_ABORTED, ""},

    {ROLLOUT_PAUSED, ROLLOUT_ON_HARM, ROLLOUT_ROLLED_BACK, ""},
    {ROLLOUT_PAUSED, ROLLOUT_ON_RESUME, ROLLOUT_PROGRESSING, "it was paused within a step"},
    {ROLLOUT_PAUSED, ROLLOUT_ON_RESUME, ROLLOUT_PENDING, "it was paused before a step"},
    {ROLLOUT_PAUSED, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING, "the next step waits to begin"},
    {ROLLOUT_PAUSED, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED, "the steps between are skipped"},
    {ROLLOUT_PAUSED, ROLLOUT_ON_ABORT, ROLLOUT_ABORTED, ""},

    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_HARM, ROLLOUT_ROLLED_BACK, ""},
    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_RESUME, ROLLOUT_PROGRESSING, "looks again; the most time counts anew"},
    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_RESUME, ROLLOUT_PENDING, "it was asked before a step"},
    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING, "the next step waits to begin"},
    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED, "the steps between are skipped"},
    {ROLLOUT_INCONCLUSIVE, ROLLOUT_ON_ABORT, ROLLOUT_ABORTED, ""},

    {ROLLOUT_PROMOTED, ROLLOUT_ON_HARM, ROLLOUT_UNDONE, "at once: stable still runs"},
    {ROLLOUT_PROMOTED, ROLLOUT_ON_ABORT, ROLLOUT_UNDONE, "an abort that meets the promotion takes it back"},
    {ROLLOUT_PROMOTED, ROLLOUT_ON_UNDO, ROLLOUT_UNDONE, "at once: stable still runs"},
    {ROLLOUT_PROMOTED, ROLLOUT_ON_WINDOW_PASSED, ROLLOUT_COMPLETED, "or a newer version's rollout begins"},
    {ROLLOUT_COMPLETED, ROLLOUT_ON_UNDO, ROLLOUT_UNDONE, "once stable of before runs again"},

    {ROLLOUT_ROLLED_BACK, ROLLOUT_ON_RETRY, ROLLOUT_PENDING, "from the first step, as a new attempt"},
    {ROLLOUT_ABORTED, ROLLOUT_ON_RETRY, ROLLOUT_PENDING, "from the first step, as a new attempt"},
    {ROLLOUT_UNDONE, ROLLOUT_ON_RETRY, ROLLOUT_PENDING, "from the first step, as a new attempt"},
};

#define X(phase, name, ended, help) name,
static const char *const phase_names[] = {ROLLOUT_PHASES(X)};
#undef X
#define X(phase, name, ended, help) ended,
static const bool phase_ends[] = {ROLLOUT_PHASES(X)};
#undef X
#define X(event, name, person) name,
static const char *const event_names[] = {ROLLOUT_EVENTS(X)};
#undef X
#define X(event, name, person) person,
static const bool event_is_a_persons[] = {ROLLOUT_EVENTS(X)};
#undef X

const char *rollout_phase_name(enum rollout_phase phase)
{
    return phase_names[phase];
}

bool rollout_phase_ended(enum rollout_phase phase)
{
    return phase_ends[phase];
}

const char *rollout_event_name(enum rollout_event event)
{
    return event_names[event];
}

bool rollout_event_is_a_persons(enum rollout_event event)
{
    return event_is_a_persons[event];
}

bool rollout_event_find(const char *name, enum rollout_event *ret)
{
    size_t i;

    for (i = 0; i < COUNT(event_names); i++)
        if (strcmp(event_names[i], name) == 0) {
            *ret = (enum rollout_event)i;
            return true;
        }
    return false;
}

void rollout_verbs(uint32_t events, char text[static ROLLOUT_VERBS_BYTES])
{
    size_t used = 0, i;

    text[0] = '\0';
    for (i = 0; i < COUNT(event_names); i++)
        if ((events >> i & 1) && event_is_a_persons[i])
            used += (size_t)snprintf(text + used, ROLLOUT_VERBS_BYTES - used, "%s%s", used ? ", " : "", event_names[i]);
    BUG_ON(used >= ROLLOUT_VERBS_BYTES);
}

/* Cuts where the field ends, and never within a character. */
static void put_text(char *field, size_t size, const char *text)
{
    size_t used = 0, length;

    while (text[used] && (length = text_utf8_length(text + used)) + used < size)
        used += length ? length : 1; /* a byte that is no text is left to whoever writes it out */
    memmove(field, text, used);
    field[used] = '\0';
}

void rollout_init(struct rollout *rollout, const char *id, const char *model, const char *stable, const char *canary,
                  uint64_t salt, int64_t now_ms)
{
    *rollout = (struct rollout){.attempt = 1, .salt = salt, .started_ms = now_ms, .limit_from_ms = now_ms};
    put_text(rollout->id, sizeof(rollout->id), id);
    put_text(rollout->model, sizeof(rollout->model), model);
    put_text(rollout->stable, sizeof(rollout->stable), stable);
    put_text(rollout->canary, sizeof(rollout->canary), canary);
}

void rollout_set_why(struct rollout *rollout, const char *why)
{
    put_text(rollout->why, sizeof(rollout->why), why);
}

/* ---- events ---- */

uint32_t machine_possible(const struct rollout *rollout)
{
    uint32_t events = 0;
    size_t i;

    for (i = 0; i < COUNT(table); i++)
        if (table[i].from == rollout->phase)
            events |= 1u << table[i].event;
    return events;
}

static bool in_table(enum rollout_phase from, enum rollout_event event, enum rollout_phase to)
{
    size_t i;

    for (i = 0; i < COUNT(table); i++)
        if (table[i].from == from && table[i].event == event && table[i].to == to)
            return true;
    return false;
}

static enum serin_errc refuse(const struct rollout *rollout, enum rollout_event event, uint32_t possible,
                              struct serin_error *error)
{
    char verbs[ROLLOUT_VERBS_BYTES];

    rollout_verbs(possible, verbs);
    return error_set(error, SERIN_LIMIT, "rollout '%s' is %s: '%s' is not possible; possible: %s", rollout->id,
                     phase_names[rollout->phase], event_names[event], verbs);
}

/* The step's share comes into force. */
static void begin_step(struct rollout *rollout, const struct plan *plan, int64_t now_ms)
{
    rollout->step_begun = true;
    rollout->step_began_ms = rollout->limit_from_ms = now_ms;
    if (rollout->step < plan->judge.step_count - 1) {
        rollout->phase = ROLLOUT_PROGRESSING;
    } else {
        rollout->phase = ROLLOUT_PROMOTED;
        rollout->promoted_ms = now_ms;
    }
}

/* The next step waits; the share of this one stays in force. A step that has not begun is waited for as it was. */
static void wait_for_next(struct rollout *rollout, int64_t now_ms)
{
    if (rollout->step_begun)
        rollout->step++;
    rollout->step_begun = false;
    rollout->phase = ROLLOUT_PENDING;
    rollout->limit_from_ms = now_ms;
}

static void stand(struct rollout *rollout, enum rollout_phase phase)
{
    rollout->resume_to = rollout->phase;
    rollout->phase = phase;
}

static void end(struct rollout *rollout, enum rollout_phase phase, int64_t now_ms)
{
    rollout->phase = phase;
    rollout->ended_ms = now_ms;
}

static void restart(struct rollout *rollout, int64_t now_ms)
{
    rollout->phase = ROLLOUT_PENDING;
    rollout->step = 0;
    rollout->step_begun = false;
    rollout->attempt++;
    rollout->limit_from_ms = now_ms;
    rollout->step_began_ms = rollout->ended_ms = rollout->promoted_ms = 0;
}

static void apply_to_copy(struct rollout *rollout, const struct plan *plan, enum rollout_event event, int64_t now_ms)
{
    bool promoted = rollout->phase == ROLLOUT_PROMOTED || rollout->phase == ROLLOUT_COMPLETED;

    switch (event) {
    case ROLLOUT_ON_READY:
        begin_step(rollout, plan, now_ms);
        break;
    case ROLLOUT_ON_PROVEN: {
        bool pause = plan->steps[rollout->step].pause;

        wait_for_next(rollout, now_ms);
        if (pause)
            stand(rollout, ROLLOUT_PAUSED);
        break;
    }
    case ROLLOUT_ON_HARM:
        end(rollout, promoted ? ROLLOUT_UNDONE : ROLLOUT_ROLLED_BACK, now_ms);
        break;
    case ROLLOUT_ON_ASK:
        stand(rollout, ROLLOUT_INCONCLUSIVE);
        break;
    case ROLLOUT_ON_PAUSE:
        stand(rollout, ROLLOUT_PAUSED);
        break;
    case ROLLOUT_ON_RESUME:
        if (rollout->phase == ROLLOUT_INCONCLUSIVE)
            rollout->limit_from_ms = now_ms;
        rollout->phase = rollout->resume_to;
        break;
    case ROLLOUT_ON_PROMOTE:
        if (rollout->phase == ROLLOUT_PENDING)
            begin_step(rollout, plan, now_ms);
        else
            wait_for_next(rollout, now_ms);
        break;
    case ROLLOUT_ON_PROMOTE_FULL:
        rollout->step = plan->judge.step_count - 1;
        begin_step(rollout, plan, now_ms);
        break;
    case ROLLOUT_ON_ABORT:
        end(rollout, promoted ? ROLLOUT_UNDONE : ROLLOUT_ABORTED, now_ms);
        break;
    case ROLLOUT_ON_RETRY:
        restart(rollout, now_ms);
        break;
    case ROLLOUT_ON_UNDO:
        end(rollout, ROLLOUT_UNDONE, now_ms);
        break;
    case ROLLOUT_ON_WINDOW_PASSED:
        end(rollout, ROLLOUT_COMPLETED, now_ms);
        break;
    }
}

enum serin_errc machine_apply(struct rollout *rollout, const struct plan *plan, enum rollout_event event,
                              int64_t now_ms, const char *why, struct serin_error *error)
{
    uint32_t possible = machine_possible(rollout);
    struct rollout next = *rollout;

    if (rollout->step < 0 || rollout->step >= plan->judge.step_count ||
        (rollout->phase == ROLLOUT_PROGRESSING && rollout->step == plan->judge.step_count - 1))
        return error_set(error, SERIN_CORRUPT, "rollout '%s' is %s in step %d, of a plan of %d steps", rollout->id,
                         phase_names[rollout->phase], rollout->step + 1, plan->judge.step_count);
    if (!(possible >> event & 1))
        return refuse(rollout, event, possible, error);
    apply_to_copy(&next, plan, event, now_ms);
    BUG_ON(!in_table(rollout->phase, event, next.phase));
    rollout_set_why(&next, why ? why : "");
    *rollout = next;
    return SERIN_OK;
}

/* ---- the route ---- */

/* The step whose share is in force; NULL: none yet, or none any more. */
static const struct plan_step *step_in_force(const struct rollout *rollout, const struct plan *plan)
{
    int step = rollout->step_begun ? rollout->step : rollout->step - 1;

    if (rollout_phase_ended(rollout->phase) || rollout->phase == ROLLOUT_PROMOTED || step < 0 ||
        step >= plan->judge.step_count)
        return NULL;
    return &plan->steps[step];
}

static void wish_weights(struct route *route, const struct rollout *rollout, uint32_t canary)
{
    int i;

    for (i = 0; i < route->version_count; i++) {
        struct route_version *version = &route->versions[i];

        version->weight = version->drain_weight = 0; /* who is taken off is off now, and drains nobody */
        if (strcmp(version->tag, rollout->canary) == 0)
            version->weight = canary;
        else if (strcmp(version->tag, rollout->stable) == 0)
            version->weight = ROUTE_MAX_WEIGHT - canary;
    }
}

static void wish_mirrors(struct route *route, const struct rollout *rollout, const struct plan_step *step)
{
    struct route_mirror wanted[ROUTE_MAX_MIRRORS];
    int count = 0, i;

    memset(wanted, 0, sizeof(wanted));
    if (step && step->mirror_per_million > 0) {
        memcpy(wanted[count].tag, rollout->canary, sizeof(wanted[count].tag));
        wanted[count++].per_million = step->mirror_per_million;
    }
    if (step && step->noise_per_million > 0) {
        memcpy(wanted[count].tag, rollout->stable, sizeof(wanted[count].tag));
        wanted[count++].per_million = step->noise_per_million;
    }
    for (i = 0; i < route->mirror_count && count < ROUTE_MAX_MIRRORS; i++)
        if (strcmp(route->mirrors[i].tag, rollout->canary) != 0 && strcmp(route->mirrors[i].tag, rollout->stable) != 0)
            wanted[count++] = route->mirrors[i];
    memcpy(route->mirrors, wanted, sizeof(wanted));
    route->mirror_count = count;
}

/* The plan's testers come first, so that a rule of the route cannot take them away; a rule that forces the canary and
 * is not the plan's has no place in a rollout: what is rolled back is off for everybody. */
static void wish_rules(struct route *route, const struct rollout *rollout, const struct plan *plan, bool testers)
{
    struct route_rule wanted[ROUTE_MAX_RULES];
    int count = 0, i;

    memset(wanted, 0, sizeof(wanted));
    for (i = 0; testers && i < plan->tester_count; i++) {
        wanted[count] = plan->testers[i];
        memcpy(wanted[count++].tag, rollout->canary, sizeof(wanted[0].tag));
    }
    for (i = 0; i < route->rule_count && count < ROUTE_MAX_RULES; i++)
        if (strcmp(route->rules[i].tag, rollout->canary) != 0)
            wanted[count++] = route->rules[i];
    memcpy(route->rules, wanted, sizeof(wanted));
    route->rule_count = count;
}

void machine_wish(const struct rollout *rollout, const struct plan *plan, struct route *route)
{
    static const enum route_unit units[] = {
        [JUDGE_REQUEST] = ROUTE_REQUEST, [JUDGE_KEY] = ROUTE_KEY, [JUDGE_KEY_BLOCK] = ROUTE_KEY_BLOCK};
    bool promoted = rollout->phase == ROLLOUT_PROMOTED || rollout->phase == ROLLOUT_COMPLETED;
    const struct plan_step *step = step_in_force(rollout, plan);

    wish_weights(route, rollout, promoted ? ROUTE_MAX_WEIGHT : step ? step->weight_per_million : 0);
    wish_mirrors(route, rollout, step);
    wish_rules(route, rollout, plan, step != NULL);
    memcpy(route->stable, rollout->phase == ROLLOUT_COMPLETED ? rollout->canary : rollout->stable,
           sizeof(route->stable));
    route->unit = units[plan->judge.unit];
    route->key_source = plan->key_source;
    memcpy(route->key_name, plan->key_name, sizeof(route->key_name));
    route->salt = rollout->salt;
    if (plan->judge.unit == JUDGE_KEY_BLOCK)
        route->block_seconds = (uint32_t)lround(plan->judge.block_s);
}
