/*
 * bet.c - the capitals of one side of one test.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/bet.h"

#include <math.h>

#define MOST_STAKED .95 /* of 1 / loss: nobody is ever ruined, so an error early on is forgiven */

/* Ratios over the null's: 1 % shares need the large ones to find a gross failure within a few events. */
static const double excess[BET_POINTS] = {1.12, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10, 16, 30, 60, 100};
/* Under it, as parts of it; the first stands for a ratio of 1. */
static const double deficit[BET_POINTS] = {1, .96, .92, .86, .8, .73, .66, .58, .5, .4, .3, .2, .1, .02};

void bet_init(struct bet *bet, enum bet_grid grid)
{
    int i;

    for (i = 0; i < BET_POINTS; i++)
        bet->log_capital[i] = grid != BET_DEFICIT ? -log(BET_POINTS) : i == 0 ? log(.5) : log(.5 / (BET_POINTS - 1));
    bet->best = 0;
}

struct bet_line bet_relative(double rho, double m, double ratio, double sign)
{
    struct bet_line line;

    line.at_zero[JUDGE_CANARY] = -sign * (1 - rho) * ratio * m;
    line.slope[JUDGE_CANARY] = sign * (1 - rho);
    line.at_zero[JUDGE_STABLE] = sign * rho * ratio * m;
    line.slope[JUDGE_STABLE] = -sign * rho * ratio;
    return line;
}

struct bet_line bet_absolute(double rho, double m, double shift, double sign)
{
    struct bet_line line;

    line.at_zero[JUDGE_CANARY] = -sign * (1 - rho) * (m + shift);
    line.slope[JUDGE_CANARY] = sign * (1 - rho);
    line.at_zero[JUDGE_STABLE] = sign * rho * m;
    line.slope[JUDGE_STABLE] = -sign * rho;
    return line;
}

struct bet_line bet_level(double level, double sign)
{
    struct bet_line line = {{0, 0}, {0, 0}};

    line.at_zero[JUDGE_CANARY] = -sign * level;
    line.slope[JUDGE_CANARY] = sign;
    return line;
}

void bet_stake_ratios(double rho, double ratio, enum bet_grid grid, struct bet_stakes *ret)
{
    int i;

    for (i = 0; i < BET_POINTS; i++) {
        double r = grid == BET_EXCESS ? ratio * excess[i] : i == 0 ? fmin(1, ratio) : ratio * deficit[i];

        ret->lambda[i] = fabs(r - ratio) / (ratio * (rho * r + 1 - rho));
    }
    ret->loss = grid == BET_EXCESS ? rho * ratio : 1 - rho;
}

void bet_stake_effects(const struct bet_line *line, double rho, double variance, double lowest, struct bet_stakes *ret)
{
    const double slope = fabs(line->slope[JUDGE_CANARY]), other = line->slope[JUDGE_STABLE];
    const double spread = rho * slope * slope * variance + (1 - rho) * other * other * variance;
    double effect = .02 * sqrt(variance), least = 0;
    int i, arm;

    for (arm = 0; arm < 2; arm++)
        least = fmin(least, line->at_zero[arm] + fmin(line->slope[arm] * lowest, line->slope[arm]));
    ret->loss = fmax(-least, 1e-9);
    for (i = 0; i < BET_POINTS; i++, effect *= 1.6) {
        double lambda = rho * slope * effect / (spread + rho * slope * slope * effect * effect);

        ret->lambda[i] = fmin(lambda, MOST_STAKED / ret->loss);
    }
    /* One gambler stakes the most: a version that only fails is found in the fewest events. */
    ret->lambda[BET_POINTS - 1] = MOST_STAKED / ret->loss;
}

void bet_factors(const struct bet_line *line, const struct bet_stakes *stakes, struct bet_factors *ret)
{
    int i, arm, x;

    for (i = 0; i < BET_POINTS; i++)
        for (arm = 0; arm < 2; arm++)
            for (x = 0; x < 2; x++)
                ret->log_factor[i][arm][x] = log1p(stakes->lambda[i] * (line->at_zero[arm] + line->slope[arm] * x));
}

void bet_fold_counts(struct bet *bet, const struct bet_factors *factors, const struct bet_sums sums[2])
{
    const double stable_0 = sums[JUDGE_STABLE].n - sums[JUDGE_STABLE].x, stable_1 = sums[JUDGE_STABLE].x;
    const double canary_0 = sums[JUDGE_CANARY].n - sums[JUDGE_CANARY].x, canary_1 = sums[JUDGE_CANARY].x;
    int i;

    for (i = 0; i < BET_POINTS; i++) {
        const double(*factor)[2] = factors->log_factor[i];

        bet->log_capital[i] += stable_0 * factor[JUDGE_STABLE][0] + stable_1 * factor[JUDGE_STABLE][1] +
                               canary_0 * factor[JUDGE_CANARY][0] + canary_1 * factor[JUDGE_CANARY][1];
    }
}

/* -ln(1-u) - u */
static double psi(double u)
{
    return -log1p(-u) - u;
}

void bet_fold_sums(struct bet *bet, const struct bet_line *line, const struct bet_stakes *stakes,
                   const struct bet_sums sums[2])
{
    const double b = stakes->loss;
    double s = 0, v = 0;
    int i, arm;

    for (arm = 0; arm < 2; arm++) {
        const double a = line->at_zero[arm], k = line->slope[arm];

        s += a * sums[arm].n + k * sums[arm].x;
        v += a * a * sums[arm].n + 2 * a * k * sums[arm].x + k * k * sums[arm].xx;
    }
    v = fmax(v, 0);
    for (i = 0; i < BET_POINTS; i++)
        bet->log_capital[i] += stakes->lambda[i] * s - psi(stakes->lambda[i] * b) / (b * b) * v;
}

static double log_sum_exp(const double *terms)
{
    double most = terms[0], sum = 0;
    int i;

    for (i = 1; i < BET_POINTS; i++)
        most = fmax(most, terms[i]);
    for (i = 0; i < BET_POINTS; i++)
        sum += exp(terms[i] - most);
    return most + log(sum);
}

double bet_log_e(const struct bet *bet)
{
    return log_sum_exp(bet->log_capital);
}

void bet_note_best(struct bet *bet)
{
    /* Weights sum to 1, so log_e is at most the largest capital times the number of points: most looks need no
     * exponentials. */
    double most = bet->log_capital[0];
    int i;

    for (i = 1; i < BET_POINTS; i++)
        most = fmax(most, bet->log_capital[i]);
    if (most + log(BET_POINTS) > bet->best)
        bet->best = fmax(bet->best, bet_log_e(bet));
}

double bet_log_e_of_sums(double s, double v, double b)
{
    double terms[BET_POINTS], u = .9;
    int i;

    for (i = 0; i < BET_POINTS; i++, u *= .6)
        terms[i] = u / b * s - psi(u) / (b * b) * v - log(BET_POINTS);
    return log_sum_exp(terms);
}

double bet_log_e_of_events(const struct bet_events *events, int count, double ratio, double sign)
{
    double terms[BET_POINTS];
    int i, k;

    for (i = 0; i < BET_POINTS; i++) {
        const double r = ratio * (sign > 0 ? excess[i] : deficit[i]);

        terms[i] = -log(BET_POINTS);
        for (k = 0; k < count; k++) {
            const double rho = events[k].rho;

            terms[i] += events[k].canary * log(r / ratio) -
                        (events[k].canary + events[k].stable) * log((rho * r + 1 - rho) / (rho * ratio + 1 - rho));
        }
    }
    return log_sum_exp(terms);
}
