/*
 * decide.c - one answer from all guards, with a sentence that says why.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Going back needs one guard's harm; going on needs every required guard proven for this step, and each slice of a
 * required dimension that has its share of the evidence. Everything else is unknown, and waits.
 */
#include "judge/inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABELS_STOPPED_S 300 /* without one; then whoever waits for them is told */

bool golden_below(const struct judge *judge, double margin)
{
    const double *map = judge->options.golden_map;

    return map[JUDGE_CANARY] < map[JUDGE_STABLE] - margin; /* false where one is not known */
}

/* ---- proofs ---- */

double cell_proof(const struct judge *judge, const struct cell *cell)
{
    const int *sides = cell->guard->proof[judge->step];
    double least = (double)NAN;
    int i;

    for (i = 0; i < 2; i++)
        if (sides[i] >= 0)
            least = fmin(least, bet_log_e(&cell->sides[sides[i]].bet)); /* of NAN and a number, the number */
    return least;
}

/* What has once been proven stays so, which Ville's inequality allows, until what came later has undone all of it. */
static bool proven_in(const struct cell *cell, int step)
{
    const int *sides = cell->guard->proof[step];
    int i, proven = 0, asked = 0;

    for (i = 0; i < 2; i++)
        if (sides[i] >= 0) {
            const struct bet *bet = &cell->sides[sides[i]].bet;

            asked++;
            proven += bet->best >= cell->guard->log_beta_needed && bet_log_e(bet) > 0;
        }
    return asked > 0 && proven == asked;
}

bool cell_proven(const struct judge *judge, const struct cell *cell)
{
    return proven_in(cell, judge->step);
}

int cell_proven_step(const struct judge *judge, const struct cell *cell)
{
    int step = judge->step;

    while (step >= 0 && !proven_in(cell, step))
        step--;
    return step;
}

double cell_left_s(const struct judge *judge, const struct cell *cell)
{
    const double now = cell_proof(judge, cell), needed = cell->guard->log_beta_needed;
    const int from = isnan(cell->seen_t_s[0]) ? 1 : 0;
    const double passed_s = judge->t_s - cell->seen_t_s[from], grown = now - cell->seen_log_e[from];

    if (cell_proven(judge, cell))
        return 0;
    return passed_s > 0 && grown > 0 ? (needed - now) / grown * passed_s : (double)NAN;
}

bool guard_is_required(const struct guard *guard)
{
    return guard->given->required == JUDGE_REQUIRED ||
           (guard->given->required == JUDGE_REQUIRED_IF_HEARD && guard->heard == BOTH_ARMS);
}

/* What of it the step must have proven. */
static bool is_asked(const struct judge *judge, const struct guard *guard)
{
    return guard_is_required(guard) && !guard->accepted && !isinf(guard->given->prove[judge->step]);
}

static bool golden_proven(const struct judge *judge, const struct guard *guard)
{
    const double *map = judge->options.golden_map;

    return !isnan(map[0] + map[1]) && !golden_below(judge, guard->given->prove[judge->step]);
}

struct lack {
    const struct cell *cell; /* the one that takes longest; NULL: none */
    int count;
    double left_s;
};

static void note_lack(const struct judge *judge, const struct cell *cell, struct lack *lack)
{
    const double left_s = cell->guard->shape == SHAPE_GOLDEN ? (double)NAN : cell_left_s(judge, cell);

    /* Of those that cannot be told, the one with the least evidence. */
    if (!lack->cell || (isnan(left_s) && !isnan(lack->left_s)) || left_s > lack->left_s ||
        (isnan(left_s) && isnan(lack->left_s) && cell_proof(judge, cell) < cell_proof(judge, lack->cell))) {
        lack->cell = cell;
        lack->left_s = left_s;
    }
    lack->count++;
}

static void lacks_of_guard(const struct judge *judge, const struct guard *guard, struct lack *lack)
{
    double whole;
    int i, value;

    BUG_ON(!guard->whole);
    whole = (double)(guard->whole->count[0] + guard->whole->count[1]);
    if (guard->shape == SHAPE_GOLDEN) {
        if (!golden_proven(judge, guard))
            note_lack(judge, guard->whole, lack);
        return;
    }
    if (!cell_proven(judge, guard->whole))
        note_lack(judge, guard->whole, lack);
    for (i = 0; i < judge->options.dimension_count; i++) {
        const struct judge_dimension *dimension = &judge->options.dimensions[i];

        for (value = 0; guard->slices[i] && dimension->required && value <= dimension->values; value++) {
            const struct cell *cell = guard->slices[i][value];

            if (cell && (double)(cell->count[0] + cell->count[1]) >= dimension->min_share * whole &&
                !cell_proven(judge, cell))
                note_lack(judge, cell, lack);
        }
    }
}

/* ---- sentences ---- */

struct text {
    char *at;
    size_t left;
};

static void PRINTF_LIKE(2, 3) say(struct text *text, const char *format, ...)
{
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    if ((size_t)size >= text->left)
        size = (int)text->left - 1;
    text->at += size;
    text->left -= (size_t)size;
}

static void name_cell(const struct judge *judge, const struct cell *cell, char *ret, size_t size)
{
    ret[0] = '\0';
    if (cell->dimension >= 0)
        snprintf(ret, size, "%s=%s", judge->options.dimensions[cell->dimension].name,
                 names_text(&judge->values[cell->dimension], cell->value));
}

static void say_value(struct text *text, const char *unit, double value)
{
    if (isnan(value))
        say(text, "nothing");
    else if (strcmp(unit, "share") == 0)
        say(text, "%.3g %%", 100 * value);
    else
        say(text, "%.4g %s", value, unit);
}

static void say_change(struct text *text, const struct judge_metric *metric, double change)
{
    if (metric->scale == JUDGE_RELATIVE)
        say(text, "%+.3g %%", 100 * change);
    else if (strcmp(metric->unit, "share") == 0)
        say(text, "%+.3g points", 100 * change);
    else
        say(text, "%+.3g %s", change, metric->unit);
}

static void say_margin(struct text *text, const struct judge_metric *metric, double margin)
{
    if (metric->scale == JUDGE_RELATIVE || strcmp(metric->unit, "share") == 0)
        say(text, "%.3g%s", 100 * margin, metric->scale == JUDGE_RELATIVE ? " %" : "");
    else
        say(text, "%.3g", margin);
}

static const char *evidence_of(const struct judge_metric *metric)
{
    switch (metric->source) {
    case JUDGE_FROM_PAIRS:
        return "pairs";
    case JUDGE_FROM_LABELS:
        return "labelled frames";
    case JUDGE_FROM_CHOICES:
        return "choices";
    case JUDGE_FROM_GAUGES:
        return "readings";
    default:
        return "requests";
    }
}

/* what in the plural, which is with an s. */
static void say_count(struct text *text, double count, const char *what)
{
    say(text, "%.0f %.*s", count, (int)strlen(what) - (count == 1), what);
}

static int index_of(const struct judge *judge, const struct cell *cell)
{
    int i;

    for (i = 0; judge->cells[i] != cell; i++)
        ;
    return i;
}

static void say_harm(const struct judge *judge, const struct cell *cell, struct text *text)
{
    const struct judge_metric *metric = cell->guard->given->metric;
    const struct side *side = &cell->guard->sides[cell->harmed_side];
    struct judge_reading reading;
    bool from_none; /* relative to none there is no number */

    judge_read(judge, index_of(judge, cell), &reading);
    if (!metric) {
        struct judge_sample_ratio ratio;

        judge_sample_ratio(judge, &ratio);
        say(text, "the split is not what it should be: the canary got %.3g %% of the traffic, the draw gave it %.3g %%",
            100 * ratio.seen, 100 * ratio.expected);
        return;
    }
    say(text, "%s %s", cell->guard->given->name, side->sign > 0 ? "rose" : "fell");
    if (reading.dimension)
        say(text, " in %s=%s", reading.dimension, reading.value);
    from_none = isinf(reading.estimate) && side->kind != SIDE_LIMIT;
    say(text, from_none ? " from none to " : ": ");
    say_value(text, metric->unit, reading.canary);
    if (side->kind == SIDE_LIMIT) {
        say(text, "; the limit is ");
        say_value(text, metric->unit, side->margin);
    } else {
        const double sure = side->sign > 0 ? reading.lower : reading.upper;
        const bool is_sure = isfinite(sure) && sure != side->margin;

        if (!from_none) {
            say(text, " against stable's ");
            say_value(text, metric->unit, reading.stable);
        }
        say(text, " (");
        if (!from_none) {
            say_change(text, metric, reading.estimate);
            say(text, is_sure ? ", " : "; ");
        }
        if (is_sure) {
            say(text, "surely %s than ", side->sign > 0 ? "more" : "less");
            say_change(text, metric, sure);
            say(text, "; ");
        }
        say(text, "the margin is ");
        say_margin(text, metric, fabs(side->margin));
        say(text, ")");
    }
    say(text, ", ");
    say_count(text, (double)reading.canary_count, evidence_of(metric));
    say(text, " of the canary");
}

static void say_golden(const struct judge *judge, const struct guard *guard, struct text *text)
{
    const double *map = judge->options.golden_map;

    if (isnan(map[0] + map[1]))
        say(text, "%s: not evaluated for both versions", guard->given->name);
    else
        say(text, "%s fell: %.4f against stable's %.4f; the margin is %.3g", guard->given->name, map[JUDGE_CANARY],
            map[JUDGE_STABLE], guard->given->margin);
}

static void say_left(struct text *text, double left_s)
{
    if (isnan(left_s))
        say(text, "how long cannot be told yet");
    else if (left_s < 100)
        say(text, "about %.0f s left at the present traffic", fmax(1, left_s));
    else if (left_s < 6000)
        say(text, "about %.0f min left at the present traffic", left_s / 60);
    else if (left_s < 172800)
        say(text, "about %.0f h left at the present traffic", left_s / 3600);
    else
        say(text, "more than two days left at the present traffic");
}

static void say_lack(const struct judge *judge, const struct lack *lack, struct text *text)
{
    const struct cell *cell = lack->cell;
    const struct guard *guard = cell->guard;
    const struct judge_metric *metric = guard->given->metric;
    char slice[RECORD_MAX_NAME + RECORD_MAX_VALUE + 2];

    if (guard->shape == SHAPE_GOLDEN) {
        say_golden(judge, guard, text);
        return;
    }
    name_cell(judge, cell, slice, sizeof(slice));
    say(text, "%s%s%s is not known to be within ", guard->given->name, *slice ? " in " : "", slice);
    say_margin(text, metric, guard->given->prove[judge->step]);
    say(text, "%s of stable's yet: ", metric->scale == JUDGE_ABSOLUTE ? " points" : "");
    say_count(text, (double)cell->count[JUDGE_CANARY], evidence_of(metric));
    say(text, " of the canary");
    if (lack->count > 1)
        say(text, " (and %d more)", lack->count - 1);
    if (metric->source == JUDGE_FROM_LABELS && judge->t_s - judge->label_t_s > LABELS_STOPPED_S) /* not of NAN */
        say(text, ", the last label came %.0f min ago", (judge->t_s - judge->label_t_s) / 60);
    say(text, "; ");
    say_left(text, lack->left_s);
}

/* A version may have passed by what is known of it without labels. Whoever reads why is told. */
static void say_unheard(const struct judge *judge, struct text *text)
{
    int i;

    for (i = 0; i < judge->guard_count; i++)
        if (judge->guards[i].given->metric->source == JUDGE_FROM_LABELS &&
            judge->guards[i].given->required == JUDGE_REQUIRED_IF_HEARD && !judge->guards[i].heard) {
            say(text, "; no label has come, so nobody has said whether it sees what it should");
            return;
        }
}

/* ---- the answer ---- */

static void answer_harm(const struct judge *judge, const struct cell *cell, enum judge_answer answer,
                        struct judge_decision *ret)
{
    struct text text = {ret->why, sizeof(ret->why)};

    ret->answer = answer;
    snprintf(ret->guard, sizeof(ret->guard), "%s", cell->guard->given->name);
    name_cell(judge, cell, ret->slice, sizeof(ret->slice));
    if (cell->guard->shape == SHAPE_GOLDEN)
        say_golden(judge, cell->guard, &text);
    else
        say_harm(judge, cell, &text);
}

/* The first harm with that action that nobody has accepted; what the golden set says is known from the beginning. */
static const struct cell *harm_with(const struct judge *judge, enum judge_action action)
{
    const struct cell *first = NULL;
    int i;

    for (i = 0; i < judge->guard_count; i++)
        if (judge->guards[i].shape == SHAPE_GOLDEN && judge->guards[i].given->action == action &&
            !judge->guards[i].accepted && golden_below(judge, judge->guards[i].given->margin))
            return judge->guards[i].whole;
    if (!judge->harms[action] || !judge->harms[action]->guard->accepted)
        return judge->harms[action];
    for (i = 0; i < judge->cell_count; i++) {
        const struct cell *cell = judge->cells[i];

        if (cell->harmed && cell->guard->given->action == action && !cell->guard->accepted &&
            (!first || cell->harmed_t_s < first->harmed_t_s))
            first = cell;
    }
    return first;
}

void judge_decide(struct judge *judge, struct judge_decision *ret)
{
    const struct cell *back = harm_with(judge, JUDGE_ROLL_BACK), *ask = harm_with(judge, JUDGE_CALL_PERSON);
    const double units = judge->options.min_evidence[judge->step];
    struct text text = {ret->why, sizeof(ret->why)};
    const bool mirrored = judge->step_units == 0; /* alone: no request was the canary's to answer */
    struct lack lack = {.left_s = 0};
    int i, asked = 0;

    *ret = (struct judge_decision){.t_s = judge->t_s, .units = judge->step_units, .left_s = (double)NAN};
    if (back || ask) {
        answer_harm(judge, back ? back : ask, back ? JUDGE_GO_BACK : JUDGE_STOP_AND_ASK, ret);
        return;
    }
    for (i = 0; i < judge->guard_count; i++)
        if (is_asked(judge, &judge->guards[i])) {
            lacks_of_guard(judge, &judge->guards[i], &lack);
            asked++;
        }
    if (lack.cell) {
        ret->answer = JUDGE_HOLD;
        ret->left_s = lack.left_s;
        snprintf(ret->guard, sizeof(ret->guard), "%s", lack.cell->guard->given->name);
        name_cell(judge, lack.cell, ret->slice, sizeof(ret->slice));
        say_lack(judge, &lack, &text);
        return;
    }
    if (judge->step_units < units) {
        const double passed_s = judge->t_s - judge->step_t_s;

        ret->answer = JUDGE_HOLD;
        ret->left_s = judge->step_units > 0 ? (units - judge->step_units) / judge->step_units * passed_s : (double)NAN;
        say(&text, "the canary has had %.0f of the %.0f %s that the step asks for; ", judge->step_units, units,
            judge->options.unit == JUDGE_REQUEST ? "requests" : "units of assignment");
        say_left(&text, ret->left_s);
        return;
    }
    if (judge->step_seen == 0) { /* a step ends by evidence, never by time alone */
        ret->answer = JUDGE_HOLD;
        say(&text, "no good answer of the canary has been seen in this step yet");
        return;
    }
    ret->answer = JUDGE_PASS;
    say(&text, asked ? "every required guard is proven within this step's margins, by "
                     : "no guard has to be proven here, with ");
    say_count(&text, mirrored ? judge->step_seen : judge->step_units, mirrored ? "records" : "units");
    say(&text, mirrored ? " of the canary's answers" : " of the canary in this step");
    say_unheard(judge, &text);
}
