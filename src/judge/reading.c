/*
 * reading.c - a cell as people see it: means, bounds, verdict.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bounds are a test turned round: all margins that the observations do not speak against, at the same alpha (below) and
 * beta (above) as the verdict's. They are computed when asked for, from sums (bet_log_e_of_sums), so they cost a
 * request nothing.
 */
#include "judge/inside.h"
#include "judge/quantile.h"

#include <math.h>

#define TIMES_OF_INTEREST 1000 /* of an arm: where intervals of quantiles are sharpest */

/* How much speaks against theta as the excess of canary: sign 1, that it is more; -1, that it is less. */
static double against(const struct cell *cell, double theta, double sign)
{
    const struct bound_sums *bounds = &cell->bounds;
    const double s = sign * (bounds->p - theta * bounds->q);
    const double v = fmax(0, bounds->pp - 2 * theta * bounds->pq + theta * theta * bounds->qq);
    const double low = bounds->low + fabs(theta) * bounds->low_by, high = bounds->high + fabs(theta) * bounds->high_by;
    /* Any b over the loss will do; one far under the gain would leave no stake that is small enough. */
    const double b = sign > 0 ? fmax(low, high / 8) : fmax(high, low / 8);

    if (cell->guard->shape == SHAPE_EVENTS && cell->event_count <= MAX_EVENT_SHARES)
        return bet_log_e_of_events(cell->events, cell->event_count, fmax(theta, 1e-9), sign);
    return bet_log_e_of_sums(s, v, fmax(b, 1e-9));
}

/* The last theta from `inside` towards `outside` that is not spoken against; `outside` where there is no end. */
static double bound(const struct cell *cell, double inside, double outside, double sign, double needed)
{
    int i;

    if (against(cell, outside, sign) < needed)
        return outside;
    for (i = 0; i < 60; i++) {
        double middle = inside + (outside - inside) / 2;

        if (against(cell, middle, sign) < needed)
            inside = middle;
        else
            outside = middle;
    }
    return inside;
}

static void read_bounds(const struct judge *judge, const struct cell *cell, struct judge_reading *ret)
{
    const struct guard *guard = cell->guard;
    const bool relative =
        guard->shape != SHAPE_LEVEL && (!guard->given->metric || guard->given->metric->scale == JUDGE_RELATIVE);
    const double unit = relative ? 1 : guard->scale, start = relative ? 1 : 0;
    /* Events of the canary alone are more than any ratio. */
    const double best = cell->bounds.q > 0                                   ? cell->bounds.p / cell->bounds.q
                        : guard->shape == SHAPE_EVENTS && cell->bounds.p > 0 ? 1000
                                                                             : (double)NAN;

    ret->lower = -start;
    ret->upper = relative ? (double)INFINITY : unit;
    if (!relative)
        ret->lower = -unit;
    if (isnan(best))
        return;
    ret->lower = (bound(cell, best, relative ? 0 : -1, 1, cell_needed(judge, cell)) - start) * unit;
    ret->upper = bound(cell, best, relative ? fmax(1000, 2 * best) : 1, -1, guard->log_beta_needed);
    ret->upper = relative && ret->upper >= 1000 ? (double)INFINITY : (ret->upper - start) * unit;
}

/* The interval of an arm's quantile, in us (Howard and Ramdas 2022, Theorem 1). */
static struct boundary_interval interval_us(const struct timing *timing, enum judge_arm arm, double level, double alpha)
{
    struct histogram_sum sum = {.total = timing->total[arm]};
    int i;

    for (i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum.counts[i] = timing->counts[arm][i];
    return quantile_interval_us(&sum, level, mixture_kappa(TIMES_OF_INTEREST, alpha, SPECIAL_WHOLE), alpha);
}

/* From the intervals of both arms, for people: they hold for times that are independent and alike, which the verdict
 * does not ask for. */
static void read_time_bounds(const struct judge *judge, const struct cell *cell, const struct timing *timing,
                             struct judge_reading *ret)
{
    const double level = measure_level(cell->guard->measure);
    struct boundary_interval stable, canary;

    stable = interval_us(timing, JUDGE_STABLE, level, exp(-cell_needed(judge, cell)));
    canary = interval_us(timing, JUDGE_CANARY, level, exp(-cell_needed(judge, cell)));
    ret->lower = stable.upper > 0 && !isinf(stable.upper) ? canary.lower / stable.upper - 1 : -1;
    stable = interval_us(timing, JUDGE_STABLE, level, judge->options.beta);
    canary = interval_us(timing, JUDGE_CANARY, level, judge->options.beta);
    ret->upper = stable.lower > 0 ? canary.upper / stable.lower - 1 : (double)INFINITY;
}

static void read_times(const struct judge *judge, const struct cell *cell, struct judge_reading *ret)
{
    const int time = measure_time(cell->guard->measure);
    const double level = measure_level(cell->guard->measure);
    const struct timing *timing = judge->timing[time];

    if (cell->dimension >= 0)
        timing = judge->timing_of[cell->dimension][time][cell->value];
    if (!timing)
        return;
    ret->stable = timing_quantile(timing, JUDGE_STABLE, level);
    ret->canary = timing_quantile(timing, JUDGE_CANARY, level);
    if (timing->total[JUDGE_STABLE] > 0 && timing->total[JUDGE_CANARY] > 0)
        read_time_bounds(judge, cell, timing, ret);
}

static double mean_of(const struct cell *cell, enum judge_arm arm)
{
    if (cell->weight[arm] > 0)
        return cell->weighted[arm] / cell->weight[arm];
    /* With all traffic no arm has a weight. */
    return arm == JUDGE_CANARY && cell->seen.n > 0 ? cell->seen.x / cell->seen.n : (double)NAN;
}

static void read_values(const struct judge *judge, const struct cell *cell, struct judge_reading *ret)
{
    const struct guard *guard = cell->guard;
    const double unit = guard->shape == SHAPE_HALF ? 1 : guard->scale;

    ret->stable = mean_of(cell, JUDGE_STABLE) * unit;
    ret->canary = mean_of(cell, JUDGE_CANARY) * unit;
    if (guard->shape == SHAPE_QUANTILE) {
        read_times(judge, cell, ret);
    } else if (guard->shape == SHAPE_LEVEL) {
        ret->stable = cell_floor(cell)[0] * unit;
    } else if (guard->shape == SHAPE_GOLDEN) {
        ret->stable = judge->options.golden_map[JUDGE_STABLE];
        ret->canary = judge->options.golden_map[JUDGE_CANARY];
    } else if (guard->shape == SHAPE_MEAN && isnan(ret->stable) && cell->past.n > 0) {
        ret->stable = cell->mean * unit;
    }
    if (guard->given->metric && guard->given->metric->scale == JUDGE_RELATIVE)
        ret->estimate = ret->canary / ret->stable - 1;
    else
        ret->estimate = ret->canary - ret->stable;
}

/* What has been decided is not put in doubt by the bounds, which are tests of their own. */
static void agree_with_verdict(const struct judge *judge, const struct cell *cell, struct judge_reading *ret)
{
    const struct guard *guard = cell->guard;
    const int step = cell_proven_step(judge, cell); /* of an earlier one, too, where the present asks for no proof */
    int i;

    if (cell->harmed && guard->sides[cell->harmed_side].kind == SIDE_HARM) {
        const struct side *side = &guard->sides[cell->harmed_side];

        if (side->sign > 0)
            ret->lower = fmax(ret->lower, side->margin);
        else
            ret->upper = fmin(ret->upper, side->margin);
    }
    for (i = 0; i < 2 && step >= 0; i++) {
        int index = guard->proof[step][i];

        if (index < 0)
            continue;
        if (i == 0)
            ret->upper = fmin(ret->upper, guard->sides[index].margin);
        else
            ret->lower = fmax(ret->lower, guard->sides[index].margin);
    }
}

bool judge_is_whole(const struct judge *judge, int index)
{
    return judge->cells[index]->dimension < 0;
}

enum judge_verdict judge_verdict(const struct judge *judge, int index)
{
    const struct cell *cell = judge->cells[index];
    const struct guard *guard = cell->guard;

    if (guard->shape == SHAPE_GOLDEN)
        return golden_below(judge, guard->given->margin) ? JUDGE_HARM
               : isnan(judge->options.golden_map[JUDGE_STABLE] + judge->options.golden_map[JUDGE_CANARY])
                   ? JUDGE_UNKNOWN
               : golden_below(judge, guard->given->prove[judge->step]) ? JUDGE_UNKNOWN
                                                                       : JUDGE_NO_HARM;
    return cell->harmed ? JUDGE_HARM : cell_proven(judge, cell) ? JUDGE_NO_HARM : JUDGE_UNKNOWN;
}

int judge_reading_count(const struct judge *judge)
{
    return judge->cell_count;
}

void judge_read(const struct judge *judge, int index, struct judge_reading *ret)
{
    const struct cell *cell = judge->cells[index];
    const struct guard *guard = cell->guard;
    int i;

    *ret = (struct judge_reading){.guard = guard->given,
                                  .verdict = judge_verdict(judge, index),
                                  .accepted = guard->accepted,
                                  .required = guard_is_required(guard),
                                  .log_e_harm_needed = cell_needed(judge, cell),
                                  .log_e_no_harm = cell_proof(judge, cell),
                                  .log_e_no_harm_needed = guard->log_beta_needed,
                                  .log_e_harm = (double)NAN,
                                  .stable = (double)NAN,
                                  .canary = (double)NAN,
                                  .lower = (double)NAN,
                                  .upper = (double)NAN,
                                  .left_s = cell_left_s(judge, cell),
                                  .stable_count = cell->count[JUDGE_STABLE],
                                  .canary_count = cell->count[JUDGE_CANARY],
                                  .proven_step = cell_proven_step(judge, cell),
                                  .decided_t_s = cell->harmed ? cell->harmed_t_s : (double)NAN};
    if (cell->dimension >= 0) {
        ret->dimension = judge->options.dimensions[cell->dimension].name;
        ret->value = names_text(&judge->values[cell->dimension], cell->value);
    }
    read_values(judge, cell, ret);
    if (guard->shape == SHAPE_GOLDEN)
        return;
    for (i = 0; i < guard->harm_sides; i++)
        ret->log_e_harm =
            fmax(isnan(ret->log_e_harm) ? -(double)INFINITY : ret->log_e_harm, bet_log_e(&cell->sides[i].bet));
    if (guard->shape == SHAPE_EVENTS || guard->shape == SHAPE_MEAN || guard->shape == SHAPE_LEVEL)
        read_bounds(judge, cell, ret);
    if (guard->shape != SHAPE_HALF)
        agree_with_verdict(judge, cell, ret);
}

void judge_sample_ratio(const struct judge *judge, struct judge_sample_ratio *ret)
{
    const struct cell *cell = judge->guards[judge->guard_count].whole;
    const double canary = (double)cell->count[JUDGE_CANARY] - cell->waiting[JUDGE_CANARY].n; /* as of the last look */
    const double both = canary + (double)cell->count[JUDGE_STABLE] - cell->waiting[JUDGE_STABLE].n;

    *ret = (struct judge_sample_ratio){
        .log_e = fmax(bet_log_e(&cell->sides[0].bet), bet_log_e(&cell->sides[1].bet)),
        .log_e_needed = cell->guard->log_alpha_whole,
        .expected = both > 0 ? (canary - cell->weight[JUDGE_CANARY] + cell->weight[JUDGE_STABLE]) / both : (double)NAN,
        .seen = both > 0 ? canary / both : (double)NAN,
        .alarm = cell->harmed,
    };
}

double judge_alpha_spent(const struct judge *judge)
{
    double spent = 0;
    int i, k;

    for (i = 0; i < judge->cell_count; i++) {
        const struct cell *cell = judge->cells[i];
        const double log_alpha = cell_needed(judge, cell);

        if (cell->guard->given->metric && cell->guard->shape != SHAPE_GOLDEN)
            for (k = 0; k < cell->guard->harm_sides; k++)
                spent += exp(fmin(0, cell->sides[k].bet.best - log_alpha) - log_alpha);
    }
    return spent;
}
