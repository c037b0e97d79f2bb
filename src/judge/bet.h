/*
 * bet.h - one side of one test: capital that grows when a null hypothesis is wrong.  Depends on libm.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each observation has a value x and pays Z = at_zero[arm] + slope[arm] * x, which under the null has a mean of at most
 * 0 given the past. A bet keeps the logarithms of the capitals of BET_POINTS gamblers, who each stake a share lambda of
 * their capital that was chosen before the payment: the product of (1 + lambda Z) is a non-negative supermartingale for
 * 0 <= lambda <= 1 / max(-Z), and so is the mean of the gamblers. The null is rejected when the mean reaches 1 / alpha
 * (Ville 1939; Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS-B).
 * docs/internals/judge.md has which Z tests what, and why.
 */
#ifndef JUDGE_BET_H
#define JUDGE_BET_H

#include "judge/record.h"

#define BET_POINTS 14

struct bet {
    double log_capital[BET_POINTS]; /* with the logarithms of their weights */
    double best;                    /* largest log_e at any look */
};

/* What an observation pays; the worse for the null the more. */
struct bet_line {
    double at_zero[2], slope[2]; /* by enum judge_arm */
};

/* Observations of an arm: how many, sum of x, sum of x * x. */
struct bet_sums {
    double n, x, xx;
};

/* Stakes for one line, and the most that it can lose on one observation. */
struct bet_stakes {
    double lambda[BET_POINTS], loss;
};

/* Logarithms of the factors by arm and x, for x that is 0 or 1. */
struct bet_factors {
    double log_factor[BET_POINTS][2][2];
};

enum bet_grid {
    BET_EXCESS,    /* ratios over the null's */
    BET_DEFICIT,   /* ratios under it; half of the capital on 1, which is what one hopes to prove */
    BET_BY_EFFECT, /* effects in standard deviations */
};

void bet_init(struct bet *bet, enum bet_grid grid);

/* The null is "canary's mean <= ratio * stable's" (sign 1) or ">=" (sign -1), where the draw gave canary with
 * probability rho: Z = sign ((1-rho) A (x - ratio m) - rho (1-A) ratio (x - m)); m is any prediction of stable's x. */
struct bet_line bet_relative(double rho, double m, double ratio, double sign);

/* "canary's mean <= stable's + shift": Z = sign ((1-rho) A (x - m - shift) - rho (1-A) (x - m)). */
struct bet_line bet_absolute(double rho, double m, double shift, double sign);

/* "the mean is <= level", of observations that no draw made: Z = sign (x - level), all of JUDGE_CANARY. */
struct bet_line bet_level(double level, double sign);

/* Stakes for events (x is 0 or 1, m = 0) that are best where the true ratio is that of the grid: the product is then
 * the likelihood ratio of the arms of the events. grid: BET_EXCESS with sign 1, BET_DEFICIT with sign -1. */
void bet_stake_ratios(double rho, double ratio, enum bet_grid grid, struct bet_stakes *ret);

/* Stakes that are near the best where canary's mean is off by so many standard deviations; x in [lowest, 1], rho the
 * probability of canary (1 for bet_level). */
void bet_stake_effects(const struct bet_line *line, double rho, double variance, double lowest, struct bet_stakes *ret);

void bet_factors(const struct bet_line *line, const struct bet_stakes *stakes, struct bet_factors *ret);

/* Observations with x of 0 or 1: exact. */
void bet_fold_counts(struct bet *bet, const struct bet_factors *factors, const struct bet_sums sums[2]);

/* Observations with any x: from below by ln(1 + lambda z) >= lambda z + z^2 (ln(1 - lambda b) + lambda b) / b^2 for
 * z >= -b (Fan, Grama and Liu 2015, Lemma 4.1), which needs only sums and loses in third order. */
void bet_fold_sums(struct bet *bet, const struct bet_line *line, const struct bet_stakes *stakes,
                   const struct bet_sums sums[2]);

double bet_log_e(const struct bet *bet);

/* Keeps the largest. Called after each fold. */
void bet_note_best(struct bet *bet);

/* ln of the mean over a grid of stakes of exp(lambda s - psi(lambda b) / b^2 v): how much a sum s of payments of at
 * least -b, with v the sum of their squares, speaks against a mean <= 0. For bounds: it is a function of s, v and b
 * alone. */
double bet_log_e_of_sums(double s, double v, double b);

/* Events of both arms at one share. */
struct bet_events {
    double rho, stable, canary;
};

/* How much events, at a few shares, speak against "ratio <= `ratio`" (sign 1) or ">=" (sign -1): the same bets as those
 * of BET_EXCESS and BET_DEFICIT, for any ratio. For bounds. */
double bet_log_e_of_events(const struct bet_events *events, int count, double ratio, double sign);

#endif
