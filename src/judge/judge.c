/*
 * judge.c - making a judge, taking records, looking.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record goes into the cells of its guards and waits there (measure.c). A look closes what has ended, folds what
 * waits into the capitals (cell.c), renews what predictions come from, and decides (decide.c). All memory that depends
 * on what comes is made on first sight, under the limits of judge.h.
 */
#include "judge/inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BLOCK_S  60 /* of a key that is drawn once for all: its one unit in a step */
#define PAIR_BLOCK_S 1
#define QUIET_S      60 /* nothing for so long, or for QUIET_GAPS usual gaps, is no traffic */
#define QUIET_GAPS   20

/* ---- checking ---- */

static enum serin_errc check_guard(const struct judge_options *options, const struct judge_guard *guard,
                                   struct serin_error *error)
{
    int i;

    if (!guard->metric || !guard->name[0])
        return error_set(error, SERIN_INVALID, "guard '%s' has no name or no metric", guard->name);
    if (!(guard->margin >= 0 && guard->margin <= 1e6))
        return error_set(error, SERIN_INVALID, "guard %s: margin is %g, it must be from 0 to 1e6", guard->name,
                         guard->margin);
    if (!(guard->alpha_share > 0 && guard->alpha_share <= 1e6))
        return error_set(error, SERIN_INVALID, "guard %s: alpha share is %g, it must be over 0", guard->name,
                         guard->alpha_share);
    if (isinf(guard->limit))
        return error_set(error, SERIN_INVALID, "guard %s: the limit is infinite", guard->name);
    if (guard->dimensions >> options->dimension_count)
        return error_set(error, SERIN_INVALID, "guard %s: a dimension that is not declared", guard->name);
    for (i = 0; i < options->step_count; i++)
        if (!(guard->prove[i] >= guard->margin))
            return error_set(error, SERIN_INVALID,
                             "guard %s: step %d must prove %g, less than the margin of harm %g: what is between them "
                             "would be no harm and not provable",
                             guard->name, i + 1, guard->prove[i], guard->margin);
    return SERIN_OK;
}

static enum serin_errc check_options(const struct judge_options *options, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    double cells = 0;
    int i, k;

    if (!(options->alpha > 0 && options->alpha < 1 && options->beta > 0 && options->beta < 1))
        return error_set(error, SERIN_INVALID, "alpha is %g and beta %g, both must be between 0 and 1", options->alpha,
                         options->beta);
    if (options->guard_count < 1 || options->guard_count > JUDGE_MAX_GUARDS)
        return error_set(error, SERIN_INVALID, "%d guards, from 1 to %d are possible", options->guard_count,
                         JUDGE_MAX_GUARDS);
    if (options->step_count < 1 || options->step_count > JUDGE_MAX_STEPS)
        return error_set(error, SERIN_INVALID, "%d steps, from 1 to %d are possible", options->step_count,
                         JUDGE_MAX_STEPS);
    if (options->unit == JUDGE_KEY_BLOCK && !(options->block_s >= 1 && options->block_s <= 86400))
        return error_set(error, SERIN_INVALID, "a block of %g s, from 1 to 86400 are possible", options->block_s);
    if (options->dimension_count < 0 || options->dimension_count > JUDGE_MAX_DIMENSIONS)
        return error_set(error, SERIN_INVALID, "%d kinds of slices, the limit is %d", options->dimension_count,
                         JUDGE_MAX_DIMENSIONS);
    for (i = 0; i < options->dimension_count; i++)
        if (options->dimensions[i].values < 1 || options->dimensions[i].values > JUDGE_MAX_CAMERAS)
            return error_set(error, SERIN_INVALID, "slices by %s: %d values, from 1 to %d are possible",
                             options->dimensions[i].name, options->dimensions[i].values, JUDGE_MAX_CAMERAS);
    for (i = 0; i < options->guard_count && rc == SERIN_OK; i++) {
        rc = check_guard(options, &options->guards[i], error);
        for (k = 0; k < options->dimension_count; k++)
            if (options->guards[i].dimensions >> k & 1)
                cells += options->dimensions[k].values + 1;
    }
    if (rc == SERIN_OK && cells + options->guard_count + 1 > MAX_CELLS)
        return error_set(error, SERIN_INVALID, "guards by values of slices are %.0f tests, the limit is %d", cells,
                         MAX_CELLS);
    return rc;
}

/* ---- making ---- */

static enum serin_errc make_slices(struct judge *judge, struct guard *guard, struct serin_error *error)
{
    const int time = measure_time(guard->measure);
    int i;

    if (time >= 0 && !judge->timing[time]) {
        judge->timing[time] = calloc(1, sizeof(*judge->timing[time]));
        if (!judge->timing[time])
            return error_set(error, SERIN_NOMEM, "no memory for the judge's times");
    }
    for (i = 0; i < judge->options.dimension_count; i++) {
        const size_t values = (size_t)judge->options.dimensions[i].values + 1;

        if (!(guard->given->dimensions >> i & 1))
            continue;
        guard->slices[i] = calloc(values, sizeof(struct cell *));
        if (time >= 0 && !judge->timing_of[i][time]) {
            judge->timing_of[i][time] = calloc(values, sizeof(struct timing *));
            if (!judge->timing_of[i][time])
                return error_set(error, SERIN_NOMEM, "no memory for the judge's times");
        }
        if (!guard->slices[i])
            return error_set(error, SERIN_NOMEM, "no memory for the guard %s", guard->given->name);
    }
    return SERIN_OK;
}

static enum serin_errc make_guards(struct judge *judge, struct serin_error *error)
{
    const struct judge_options *options = &judge->options;
    enum serin_errc rc = SERIN_OK;
    int i;

    judge->sample_guard = (struct judge_guard){
        .name = "sample_ratio", .limit = (double)NAN, .action = JUDGE_CALL_PERSON, .alpha_share = 1};
    for (i = 0; i < JUDGE_MAX_STEPS; i++)
        judge->sample_guard.prove[i] = (double)INFINITY;
    for (i = 0; i <= options->guard_count && rc == SERIN_OK; i++) {
        struct guard *guard = &judge->guards[i];

        rc = guard_init(guard, i < options->guard_count ? &options->guards[i] : &judge->sample_guard, judge, error);
        if (rc == SERIN_OK)
            rc = make_slices(judge, guard, error);
        if (rc == SERIN_OK && !cell_of(judge, guard, -1, 0))
            rc = error_set(error, SERIN_NOMEM, "no memory for the guard %s", guard->given->name);
    }
    return rc;
}

enum serin_errc judge_new(const struct judge_options *options, struct judge **ret, struct serin_error *error)
{
    enum serin_errc rc = check_options(options, error);
    struct judge *judge;
    double block_s;
    int i, cells;

    if (rc != SERIN_OK)
        return rc;
    judge = calloc(1, sizeof(*judge));
    if (!judge)
        return error_set(error, SERIN_NOMEM, "no memory for a judge");
    judge->options = *options;
    judge->guard_count = options->guard_count;
    judge->rho = judge->sizes_rho = -1;
    judge->gap_s = judge->label_t_s = (double)NAN;
    cells = options->guard_count + 1;
    for (i = 0; i < options->guard_count; i++)
        for (int k = 0; k < options->dimension_count; k++)
            if (options->guards[i].dimensions >> k & 1)
                cells += options->dimensions[k].values + 1;
    judge->cells = calloc((size_t)cells, sizeof(struct cell *));
    judge->dirty = calloc((size_t)cells, sizeof(struct cell *));
    if (!judge->cells || !judge->dirty)
        rc = error_set(error, SERIN_NOMEM, "no memory for %d tests", cells);
    for (i = 0; i < options->dimension_count && rc == SERIN_OK; i++)
        rc = names_init(&judge->values[i], options->dimensions[i].values, error);
    if (rc == SERIN_OK)
        rc = names_init(&judge->cameras, JUDGE_MAX_CAMERAS, error);
    block_s = options->unit == JUDGE_KEY_BLOCK ? options->block_s : KEY_BLOCK_S;
    if (rc == SERIN_OK)
        rc = units_init(&judge->paired, JUDGE_MAX_CAMERAS, options->unit == JUDGE_KEY_BLOCK ? block_s : PAIR_BLOCK_S,
                        false, error);
    if (rc == SERIN_OK && options->unit != JUDGE_REQUEST)
        rc = units_init(&judge->drawn, JUDGE_MAX_CAMERAS, block_s, options->unit == JUDGE_KEY, error);
    if (rc == SERIN_OK)
        rc = make_guards(judge, error);
    if (rc == SERIN_OK)
        *ret = judge;
    else
        judge_free(judge);
    return rc;
}

void judge_free(struct judge *judge)
{
    int i, k, value;

    if (!judge)
        return;
    for (i = 0; i < judge->cell_count; i++) {
        free(judge->cells[i]->events);
        free(judge->cells[i]);
    }
    for (i = 0; i <= judge->guard_count; i++) {
        guard_done(&judge->guards[i]);
        for (k = 0; k < JUDGE_MAX_DIMENSIONS; k++)
            free(judge->guards[i].slices[k]);
    }
    for (k = 0; k < JUDGE_MAX_DIMENSIONS; k++) {
        for (i = 0; i < MEASURE_TIMES; i++) {
            for (value = 0; judge->timing_of[k][i] && value <= judge->options.dimensions[k].values; value++)
                free(judge->timing_of[k][i][value]);
            free(judge->timing_of[k][i]);
        }
        names_done(&judge->values[k]);
    }
    for (i = 0; i < MEASURE_TIMES; i++)
        free(judge->timing[i]);
    names_done(&judge->cameras);
    units_done(&judge->drawn);
    units_done(&judge->paired);
    free(judge->cells);
    free(judge->dirty);
    free(judge);
}

/* ---- records and looks ---- */

static void note_arrival(struct judge *judge)
{
    const double gap_s = judge->t_s - judge->last_t_s;

    judge->gap_s = isnan(judge->gap_s) ? gap_s : judge->gap_s + (gap_s - judge->gap_s) / 64;
    judge->last_t_s = judge->t_s;
}

/* Two looks back for each proof, the older at least a quarter of the step's time ago: growth is told from it. */
static void note_proofs(struct judge *judge)
{
    const double apart_s = fmax(2, (judge->t_s - judge->step_t_s) / 4);
    int i;

    for (i = 0; i < judge->cell_count; i++) {
        struct cell *cell = judge->cells[i];

        if (judge->t_s < cell->seen_t_s[1] + apart_s) /* false where there is none yet */
            continue;
        cell->seen_t_s[0] = cell->seen_t_s[1];
        cell->seen_log_e[0] = cell->seen_log_e[1];
        cell->seen_t_s[1] = judge->t_s;
        cell->seen_log_e[1] = cell_proof(judge, cell);
    }
}

static bool look(struct judge *judge, double t_s)
{
    bool closed;

    judge->t_s = fmax(judge->t_s, t_s);
    closed = measure_close(judge, judge->t_s);
    judge_fold_all(judge);
    /* A threshold may not know how the units that it is for were drawn: it is renewed between them. */
    if (judge->options.unit == JUDGE_REQUEST || closed)
        measure_renew(judge);
    return closed;
}

static void begin_step(struct judge *judge, int step)
{
    int i;

    look(judge, judge->t_s);
    judge->step = step < judge->options.step_count ? step : judge->options.step_count - 1;
    judge->step_t_s = judge->t_s;
    judge->step_units = judge->step_seen = 0;
    for (i = 0; i < judge->cell_count; i++)
        judge->cells[i]->seen_t_s[0] = judge->cells[i]->seen_t_s[1] = (double)NAN;
}

/* Harm that goes back by itself is no question, and cannot be accepted. A name that no guard has is another plan's. */
static void accept_guard(struct judge *judge, const char *name)
{
    int i;

    for (i = 0; i <= judge->guard_count; i++)
        if (judge->guards[i].given->action == JUDGE_CALL_PERSON && strcmp(judge->guards[i].given->name, name) == 0)
            judge->guards[i].accepted = true;
}

void judge_add(struct judge *judge, const struct record *record)
{
    judge->t_s = fmax(judge->t_s, record->t_s);
    if (record->kind == RECORD_LOOK) {
        look(judge, judge->t_s);
        note_proofs(judge);
        return;
    }
    if (record->kind == RECORD_STEP) {
        begin_step(judge, record->step);
        return;
    }
    if (record->kind == RECORD_GOLDEN) {
        memcpy(judge->options.golden_map, record->golden.map, sizeof(judge->options.golden_map));
        return;
    }
    if (record->kind == RECORD_ACCEPT) {
        accept_guard(judge, record->accept);
        return;
    }
    if (measure_close(judge, judge->t_s))
        look(judge, judge->t_s);
    if (record->kind == RECORD_REQUEST)
        note_arrival(judge);
    measure_record(judge, record);
}

/* That nothing comes is the first thing to know of a step that does not end. */
static void say_quiet(const struct judge *judge, struct judge_decision *decision)
{
    char why[sizeof(decision->why)];

    memcpy(why, decision->why, sizeof(why));
    snprintf(decision->why, sizeof(decision->why), "no request has come for %.0f s; %s", judge->t_s - judge->last_t_s,
             why);
    decision->left_s = (double)NAN;
}

void judge_look(struct judge *judge, double t_s, struct judge_decision *ret)
{
    look(judge, t_s);
    note_proofs(judge);
    judge_decide(judge, ret);
    ret->no_traffic =
        judge->t_s - judge->last_t_s > fmin(QUIET_S, isnan(judge->gap_s) ? QUIET_S : QUIET_GAPS * judge->gap_s);
    if (ret->no_traffic && ret->answer == JUDGE_HOLD)
        say_quiet(judge, ret);
}
