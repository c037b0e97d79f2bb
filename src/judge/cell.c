/*
 * cell.c - guards' sides, and cells: observations that wait, folds, predictions.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAST_MOST 4000 /* units of stable that a prediction remembers with full weight */

/* ---- sides ---- */

static int add_side(struct guard *guard, enum side_kind kind, double sign, double margin)
{
    int i;

    for (i = 0; i < guard->side_count; i++)
        if (guard->sides[i].kind == kind && guard->sides[i].sign == sign && guard->sides[i].margin == margin)
            return i;
    guard->sides[i] = (struct side){.kind = kind, .sign = sign, .margin = margin};
    return guard->side_count++;
}

static void make_sides(struct guard *guard, int steps)
{
    const struct judge_guard *given = guard->given;
    const enum judge_direction direction = given->metric ? given->metric->direction : JUDGE_EITHER_IS_WORSE;
    const bool up = direction != JUDGE_LOWER_IS_WORSE, down = direction != JUDGE_HIGHER_IS_WORSE;
    int i;

    if (up)
        add_side(guard, SIDE_HARM, 1, given->margin);
    if (down)
        add_side(guard, SIDE_HARM, -1, -given->margin);
    if (!isnan(given->limit))
        add_side(guard, SIDE_LIMIT, up ? 1 : -1, given->limit);
    guard->harm_sides = guard->side_count;
    for (i = 0; i < JUDGE_MAX_STEPS; i++) {
        guard->proof[i][0] = guard->proof[i][1] = -1;
        if (i >= steps || isinf(given->prove[i]))
            continue;
        if (up)
            guard->proof[i][0] = add_side(guard, SIDE_PROOF, -1, given->prove[i]);
        if (down)
            guard->proof[i][1] = add_side(guard, SIDE_PROOF, 1, -given->prove[i]);
    }
}

static enum shape shape_of(enum measure measure, enum judge_unit unit)
{
    switch (measure) {
    case MEASURE_ERROR_RATE:
    case MEASURE_FALLBACK_RATE:
        return unit == JUDGE_REQUEST ? SHAPE_EVENTS : SHAPE_MEAN;
    case MEASURE_IMAGE_TIME:
    case MEASURE_DETECTIONS:
    case MEASURE_SCORE:
    case MEASURE_LOW_SCORES:
    case MEASURE_MISSED:
    case MEASURE_WRONG:
    case MEASURE_F1_LOSS:
        return SHAPE_MEAN;
    case MEASURE_MEMORY:
    case MEASURE_GPU_MEMORY:
        return SHAPE_HALF;
    case MEASURE_GOLDEN_MAP:
        return SHAPE_GOLDEN;
    default:
        return measure_time(measure) >= 0 ? SHAPE_QUANTILE : SHAPE_LEVEL;
    }
}

enum serin_errc guard_init(struct guard *guard, const struct judge_guard *given, const struct judge *judge,
                           struct serin_error *error)
{
    const struct judge_options *options = &judge->options;
    double shares = 0, alpha = SAMPLE_ALPHA;
    int i, dimensions = __builtin_popcount(given->dimensions);

    *guard = (struct guard){.given = given, .scale = 1, .threshold = (double)NAN};
    guard->measure = MEASURES;
    if (given->metric) {
        guard->measure = measure_of(given->metric);
        guard->shape = shape_of(guard->measure, options->unit);
        for (i = 0; i < options->guard_count; i++)
            shares += options->guards[i].alpha_share;
        alpha = options->alpha * given->alpha_share / shares;
    }
    guard->per_side = guard->shape == SHAPE_QUANTILE || guard->shape == SHAPE_HALF;
    guard->exact = guard->shape == SHAPE_EVENTS || guard->shape == SHAPE_HALF || guard->measure == MEASURE_CHOICES ||
                   (guard->shape == SHAPE_QUANTILE && options->unit == JUDGE_REQUEST);
    if (guard->measure == MEASURE_SCORE_SHIFT || guard->measure == MEASURE_MEMORY_GROWTH)
        guard->lowest = -1;
    if (guard->measure == MEASURE_IMAGE_TIME || guard->measure == MEASURE_DETECTIONS)
        guard->scale = 0; /* learned */
    else if (guard->measure == MEASURE_MEMORY_GROWTH)
        guard->scale = given->margin > 0 ? 8 * given->margin : 8;
    if (guard->measure == MEASURE_CHOICES)
        guard->floor[0] = guard->floor[1] = .5;
    guard->sides = calloc(MAX_SIDES, sizeof(*guard->sides));
    if (!guard->sides)
        return error_set(error, SERIN_NOMEM, "no memory for the guard %s", given->name);
    make_sides(guard, options->step_count);
    if (guard->harm_sides > 0) {
        /* Bonferroni: over guards by their shares, half for the whole and half over dimensions, values (and "other")
         * and directions. */
        guard->log_alpha_whole = log(guard->harm_sides / (dimensions ? alpha / 2 : alpha));
        for (i = 0; i < options->dimension_count; i++)
            guard->log_alpha_slice[i] =
                log(guard->harm_sides * 2. * dimensions * (options->dimensions[i].values + 1) / alpha);
    }
    guard->log_beta_needed = -log(options->beta);
    return SERIN_OK;
}

void guard_done(struct guard *guard)
{
    free(guard->sides);
}

double cell_needed(const struct judge *judge, const struct cell *cell)
{
    (void)judge;
    return cell->dimension < 0 ? cell->guard->log_alpha_whole : cell->guard->log_alpha_slice[cell->dimension];
}

/* ---- making ---- */

static struct cell *make_cell(struct judge *judge, struct guard *guard, int dimension, int value)
{
    const size_t sides = (size_t)guard->side_count;
    struct cell *cell;
    int i;

    if (judge->cell_count == MAX_CELLS)
        return NULL;
    cell = calloc(1, sizeof(*cell) + sides * sizeof(cell->sides[0]));
    if (!cell)
        return NULL;
    cell->guard = guard;
    cell->dimension = dimension;
    cell->value = value;
    cell->variance = .05;
    cell->variance_both = .05;
    cell->seen_t_s[0] = cell->seen_t_s[1] = (double)NAN;
    for (i = 0; i < guard->side_count; i++)
        bet_init(&cell->sides[i].bet, guard->shape != SHAPE_EVENTS         ? BET_BY_EFFECT
                                      : guard->sides[i].sign < 0           ? BET_DEFICIT
                                      : guard->sides[i].kind == SIDE_LIMIT ? BET_BY_EFFECT
                                                                           : BET_EXCESS);
    judge->cells[judge->cell_count++] = cell;
    return cell;
}

struct cell *cell_of(struct judge *judge, struct guard *guard, int dimension, int value)
{
    struct cell **place;

    if (dimension >= 0 && !guard->slices[dimension])
        return NULL;
    place = dimension < 0 ? &guard->whole : &guard->slices[dimension][value];
    if (!*place)
        *place = make_cell(judge, guard, dimension, value);
    return *place;
}

/* ---- adding ---- */

static void mark(struct judge *judge, struct cell *cell)
{
    if (!cell->dirty) {
        cell->dirty = true;
        judge->dirty[judge->dirty_count++] = cell;
    }
}

static void add(struct bet_sums *sums, double x)
{
    sums->n++;
    sums->x += x;
    sums->xx += x * x;
}

void cell_add(struct judge *judge, struct cell *cell, enum judge_arm arm, int side, double x)
{
    mark(judge, cell);
    add(side >= 0 ? &cell->sides[side].canary : &cell->waiting[arm], x);
    if (side <= 0)
        cell->count[arm]++;
}

void cell_add_both(struct judge *judge, struct cell *cell, double stable_x, double canary_x)
{
    mark(judge, cell);
    add(&cell->waiting_both, canary_x - stable_x);
    cell->count[JUDGE_STABLE]++;
    cell->count[JUDGE_CANARY]++;
    cell->weight[JUDGE_STABLE]++;
    cell->weight[JUDGE_CANARY]++;
    cell->weighted[JUDGE_STABLE] += stable_x;
    cell->weighted[JUDGE_CANARY] += canary_x;
}

void cell_learn(struct cell *cell, double x)
{
    add(&cell->past, x);
}

/* ---- what stable does against itself ---- */

/* A slice has its own: in the dark boxes lie nearer to the threshold, and come and go more often. */
const double *cell_floor(const struct cell *cell)
{
    return cell->dimension >= 0 && cell->noise.n >= LEARNED_FROM ? cell->floor : cell->guard->floor;
}

/* The mean for a proof, and for harm two standard errors more, of a variance that is thought large while little has
 * been seen. */
void floor_renew(double floor[2], const struct bet_sums *noise)
{
    double mean, variance;

    if (noise->n < 1)
        return;
    mean = noise->x / noise->n;
    variance = fmax(0, noise->xx / noise->n - mean * mean) + .25 / noise->n;
    floor[0] = mean;
    floor[1] = mean + 2 * sqrt(variance / noise->n);
}

/* ---- folding ---- */

/* The margin as a part of x: relative ones are, absolute ones are in the metric's unit. */
static double scaled(const struct guard *guard, double margin)
{
    return guard->scale > 0 ? margin / guard->scale : margin;
}

static struct bet_line line_of(const struct guard *guard, const struct cell *cell, const struct side *side, double rho)
{
    const double level = measure_level(guard->measure);

    switch (guard->shape) {
    case SHAPE_QUANTILE:
        if (side->kind == SIDE_LIMIT)
            return bet_level(1 - level, side->sign);
        return bet_absolute(rho, 1 - level, 0, side->sign);
    case SHAPE_HALF:
        return bet_level(.5, side->sign);
    case SHAPE_LEVEL:
        if (side->kind == SIDE_LIMIT)
            return bet_level(scaled(guard, side->margin), side->sign);
        return bet_level(cell_floor(cell)[side->kind == SIDE_HARM] + scaled(guard, side->margin), side->sign);
    default:
        break;
    }
    if (side->kind == SIDE_LIMIT)
        return bet_level(scaled(guard, side->margin), side->sign);
    if (!guard->given->metric) /* the sizes of the arms */
        return bet_relative(rho, 0, 1, side->sign);
    if (guard->given->metric->scale == JUDGE_RELATIVE)
        return bet_relative(rho, guard->shape == SHAPE_EVENTS ? 0 : cell->mean, fmax(0, 1 + side->margin), side->sign);
    return bet_absolute(rho, cell->mean, scaled(guard, side->margin), side->sign);
}

static bool is_drawn(const struct guard *guard, const struct side *side)
{
    return side->kind != SIDE_LIMIT && guard->shape != SHAPE_LEVEL && guard->shape != SHAPE_HALF;
}

static void stakes_of(const struct guard *guard, const struct cell *cell, const struct side *side,
                      const struct bet_line *line, double rho, struct bet_stakes *ret)
{
    const double level = measure_level(guard->measure);
    double variance = cell->variance;

    if (guard->shape == SHAPE_EVENTS && side->kind != SIDE_LIMIT) {
        bet_stake_ratios(rho, 1 + side->margin, side->sign > 0 ? BET_EXCESS : BET_DEFICIT, ret);
        return;
    }
    if (guard->shape == SHAPE_QUANTILE)
        variance = level * (1 - level);
    else if (guard->shape == SHAPE_HALF || guard->measure == MEASURE_CHOICES)
        variance = .25;
    bet_stake_effects(line, is_drawn(guard, side) ? rho : 1, variance, guard->lowest, ret);
}

static void fold_side(struct guard *guard, struct cell *cell, int index, double rho)
{
    struct side *side = &guard->sides[index];
    struct side_state *state = &cell->sides[index];
    const struct bet_sums sums[2] = {cell->waiting[JUDGE_STABLE],
                                     guard->per_side ? state->canary : cell->waiting[JUDGE_CANARY]};
    struct bet_line line;
    struct bet_stakes stakes;

    if (guard->shape == SHAPE_EVENTS && side->kind != SIDE_LIMIT && sums[0].x + sums[1].x == 0)
        return; /* without events nobody is paid, and most cells of most looks have none */
    if (rho >= 1 && is_drawn(guard, side)) {
        /* All traffic is the canary's, and nothing was drawn: only limits speak, and what both have answered. */
    } else if (guard->exact && side->have_factors) {
        bet_fold_counts(&state->bet, &side->factors, sums);
    } else if (sums[0].n + sums[1].n > 0) {
        line = line_of(guard, cell, side, rho);
        stakes_of(guard, cell, side, &line, rho, &stakes);
        if (guard->exact) {
            bet_factors(&line, &stakes, &side->factors);
            /* Those of a limit on events depend on the cell's variance. */
            side->have_factors = !(side->kind == SIDE_LIMIT && guard->shape == SHAPE_EVENTS);
            bet_fold_counts(&state->bet, &side->factors, sums);
        } else {
            bet_fold_sums(&state->bet, &line, &stakes, sums);
        }
    }
    if (cell->waiting_both.n > 0 && side->kind != SIDE_LIMIT) {
        const struct bet_sums both[2] = {{0, 0, 0}, cell->waiting_both};

        line = bet_level(side->margin, side->sign);
        bet_stake_effects(&line, 1, cell->variance_both, -1, &stakes);
        bet_fold_sums(&state->bet, &line, &stakes, both);
    }
    bet_note_best(&state->bet);
    memset(&state->canary, 0, sizeof(state->canary));
}

static void widen(struct bound_sums *bounds, double low, double low_by, double high, double high_by)
{
    bounds->low = fmax(bounds->low, low);
    bounds->low_by = fmax(bounds->low_by, low_by);
    bounds->high = fmax(bounds->high, high);
    bounds->high_by = fmax(bounds->high_by, high_by);
}

/* Of observations whose Z is x - start - theta. */
static void add_level_bounds(struct bound_sums *bounds, const struct bet_sums *sums, double start, double lowest)
{
    bounds->p += sums->x - start * sums->n;
    bounds->q += sums->n;
    bounds->pp += sums->xx - 2 * start * sums->x + start * start * sums->n;
    bounds->pq += sums->x - start * sums->n;
    bounds->qq += sums->n;
    widen(bounds, start - lowest, 1, 1 - start, 1);
}

static void add_bounds(struct guard *guard, struct cell *cell, double rho)
{
    const struct bet_sums *stable = &cell->waiting[JUDGE_STABLE], *canary = &cell->waiting[JUDGE_CANARY];
    const double out = 1 - rho, m = guard->shape == SHAPE_EVENTS ? 0 : cell->mean;
    const double stable_square = stable->xx - 2 * m * stable->x + m * m * stable->n;
    struct bound_sums *bounds = &cell->bounds;

    if (cell->waiting_both.n > 0)
        add_level_bounds(bounds, &cell->waiting_both, 0, -1);
    if (guard->shape == SHAPE_LEVEL) {
        add_level_bounds(bounds, canary, cell_floor(cell)[0], guard->lowest);
    } else if ((guard->shape != SHAPE_MEAN && guard->shape != SHAPE_EVENTS) || rho >= 1) {
        return;
    } else if (!guard->given->metric || guard->given->metric->scale == JUDGE_RELATIVE) {
        bounds->p += out * canary->x;
        bounds->q += out * m * canary->n + rho * (stable->x - m * stable->n);
        bounds->pp += out * out * canary->xx;
        bounds->pq += out * out * m * canary->x;
        bounds->qq += out * out * m * m * canary->n + rho * rho * stable_square;
        widen(bounds, 0, fmax(out * m, rho * (1 - m)), out, rho * m);
    } else {
        bounds->p += out * (canary->x - m * canary->n) - rho * (stable->x - m * stable->n);
        bounds->q += out * canary->n;
        bounds->pp += out * out * (canary->xx - 2 * m * canary->x + m * m * canary->n) + rho * rho * stable_square;
        bounds->pq += out * out * (canary->x - m * canary->n);
        bounds->qq += out * out * canary->n;
        widen(bounds, fmax(out * m, rho * (1 - m)), out, fmax(out * (1 - m), rho * m), out);
    }
}

/* Events are kept by share for bounds that are exact. Most rollouts have as many shares as steps. */
static void keep_events(struct cell *cell, double rho)
{
    const double stable = cell->waiting[JUDGE_STABLE].x, canary = cell->waiting[JUDGE_CANARY].x;
    int i;

    if (stable + canary == 0 || cell->event_count > MAX_EVENT_SHARES)
        return;
    if (!cell->events)
        cell->events = calloc(MAX_EVENT_SHARES, sizeof(*cell->events));
    for (i = 0; i < cell->event_count && cell->events[i].rho != rho; i++)
        ;
    if (i == cell->event_count)
        cell->event_count++;
    if (!cell->events || cell->event_count > MAX_EVENT_SHARES) {
        cell->event_count = MAX_EVENT_SHARES + 1;
        return;
    }
    cell->events[i].rho = rho;
    cell->events[i].stable += stable;
    cell->events[i].canary += canary;
}

/* Mean and variance of stable's x from the past, with one observation's worth of doubt. */
static void renew_predictions(struct cell *cell)
{
    struct bet_sums *past = &cell->past, *both = &cell->past_both;

    if (past->n > PAST_MOST) {
        past->n /= 2;
        past->x /= 2;
        past->xx /= 2;
    }
    if (past->n > 0) {
        cell->mean = past->x / past->n;
        cell->variance = (fmax(0, past->xx - past->n * cell->mean * cell->mean) + .05) / (past->n + 1);
    }
    floor_renew(cell->floor, &cell->noise);
    if (both->n > 0)
        cell->variance_both = (both->xx + .05) / (both->n + 1);
}

static void gather(struct bet_sums *into, const struct bet_sums *from)
{
    into->n += from->n;
    into->x += from->x;
    into->xx += from->xx;
}

static void cell_fold(struct judge *judge, struct cell *cell)
{
    struct guard *guard = cell->guard;
    const bool level = guard->shape == SHAPE_LEVEL || guard->shape == SHAPE_HALF;
    const double drawn_rho = guard->given->metric ? judge->rho : judge->sizes_rho, rho = level ? 0 : drawn_rho;
    const double needed = cell_needed(judge, cell);
    int i;

    for (i = 0; i < guard->side_count; i++) {
        fold_side(guard, cell, i, drawn_rho);
        if (i < guard->harm_sides && !cell->harmed && cell->sides[i].bet.best >= needed) {
            cell->harmed = true;
            cell->harmed_t_s = judge->t_s;
            cell->harmed_side = i;
            if (!judge->harms[guard->given->action])
                judge->harms[guard->given->action] = cell;
        }
    }
    add_bounds(guard, cell, rho);
    if (guard->shape == SHAPE_EVENTS && rho < 1)
        keep_events(cell, rho);
    cell->weight[JUDGE_CANARY] += (1 - rho) * cell->waiting[JUDGE_CANARY].n;
    cell->weighted[JUDGE_CANARY] += (1 - rho) * cell->waiting[JUDGE_CANARY].x;
    cell->weight[JUDGE_STABLE] += (level ? 1 : rho) * cell->waiting[JUDGE_STABLE].n;
    cell->weighted[JUDGE_STABLE] += (level ? 1 : rho) * cell->waiting[JUDGE_STABLE].x;
    gather(&cell->past, &cell->waiting[level ? JUDGE_CANARY : JUDGE_STABLE]);
    gather(&cell->seen, &cell->waiting[JUDGE_CANARY]);
    gather(&cell->past_both, &cell->waiting_both);
    memset(cell->waiting, 0, sizeof(cell->waiting));
    memset(&cell->waiting_both, 0, sizeof(cell->waiting_both));
    renew_predictions(cell);
    cell->dirty = false;
}

void judge_fold_all(struct judge *judge)
{
    int i;

    for (i = 0; i < judge->dirty_count; i++)
        cell_fold(judge, judge->dirty[i]);
    judge->dirty_count = 0;
}
