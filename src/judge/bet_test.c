/*
 * bet_test.c - bets against what is known of them: the likelihood ratios of section "events", their costs, Ville's
 * bound, and that sums lose little to exact counts.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/bet.c"

#include "judge/test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The grid e-process on the arms of events alone: c ln(r / r0) - ln((rho r + 1 - rho) / (rho r0 + 1 - rho)). */
static void test_a_bet_on_events_is_the_likelihood_ratio_of_their_arms(void **state)
{
    static const double shares[] = {.01, .2, .5}, nulls[] = {1, 1.5, 3};
    int s, k, j, sign;

    (void)state;
    for (s = 0; s < 3; s++)
        for (k = 0; k < 3; k++)
            for (sign = -1; sign <= 1; sign += 2) {
                const double rho = shares[s], r0 = nulls[k];
                const enum bet_grid grid = sign > 0 ? BET_EXCESS : BET_DEFICIT;
                const struct bet_line line = bet_relative(rho, 0, r0, sign);
                struct bet_factors factors;
                struct bet_stakes stakes;

                bet_stake_ratios(rho, r0, grid, &stakes);
                bet_factors(&line, &stakes, &factors);
                for (j = 0; j < BET_POINTS; j++) {
                    const double r = sign > 0 ? r0 * excess[j] : j ? r0 * deficit[j] : fmin(1, r0);
                    const double rest = -log((rho * r + 1 - rho) / (rho * r0 + 1 - rho));

                    assert_true(fabs(factors.log_factor[j][JUDGE_CANARY][1] - (log(r / r0) + rest)) < 1e-12);
                    assert_true(fabs(factors.log_factor[j][JUDGE_STABLE][1] - rest) < 1e-12);
                    assert_true(factors.log_factor[j][JUDGE_STABLE][0] == 0);
                    assert_true(factors.log_factor[j][JUDGE_CANARY][0] == 0);
                }
            }
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The median number of events of both arms until log_e reaches ln(1/alpha). */
static int median_cost(double rho, double true_ratio, double r0, double sign, double alpha)
{
    enum { RUNS = 201 };
    const double canary = rho * true_ratio / (rho * true_ratio + 1 - rho);
    const struct bet_line line = bet_relative(rho, 0, r0, sign);
    struct bet_factors factors;
    struct bet_stakes stakes;
    int events[RUNS], run;

    bet_stake_ratios(rho, r0, sign > 0 ? BET_EXCESS : BET_DEFICIT, &stakes);
    bet_factors(&line, &stakes, &factors);
    for (run = 0; run < RUNS; run++) {
        struct bet bet;

        bet_init(&bet, sign > 0 ? BET_EXCESS : BET_DEFICIT);
        for (events[run] = 0; events[run] < 20000 && bet_log_e(&bet) < -log(alpha); events[run]++) {
            struct bet_sums sums[2] = {{0, 0, 0}, {0, 0, 0}};

            sums[chance() < canary ? JUDGE_CANARY : JUDGE_STABLE] = (struct bet_sums){1, 1, 1};
            bet_fold_counts(&bet, &factors, sums);
        }
    }
    qsort(events, RUNS, sizeof(events[0]), compare);
    return events[RUNS / 2];
}

/* What a mixture over a uniform grid of seven ratios costs, from 1,500 runs; ours may not cost a quarter more. */
static void test_harm_and_its_absence_cost_what_they_should(void **state)
{
    static const struct {
        double rho, ratio, r0, sign, alpha;
        int events;
    } costs[] = {
        {.01, 2, 1, 1, .001, 2129}, {.01, 4, 1, 1, .001, 273},  {.01, 10, 1, 1, .001, 59},  {.05, 2, 1, 1, .001, 509},
        {.05, 4, 1, 1, .001, 72},   {.05, 10, 1, 1, .001, 16},  {.5, 2, 1, 1, .001, 150},   {.5, 4, 1, 1, .001, 35},
        {.5, 10, 1, 1, .001, 17},   {.01, 1, 2, -1, .05, 945},  {.01, 1, 3, -1, .05, 359},  {.05, 1, 1.5, -1, .05, 677},
        {.05, 1, 2, -1, .05, 193},  {.05, 1, 3, -1, .05, 75},   {.2, 1, 1.5, -1, .05, 246}, {.2, 1, 2, -1, .05, 76},
        {.2, 1, 3, -1, .05, 25},    {.5, 1, 1.5, -1, .05, 149}, {.5, 1, 2, -1, .05, 59},    {.5, 1, 3, -1, .05, 22},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        int events = median_cost(costs[i].rho, costs[i].ratio, costs[i].r0, costs[i].sign, costs[i].alpha);

        if (events > 1.3 * costs[i].events || events < .4 * costs[i].events)
            fail_msg("share %g, ratio %g against %g: %d events, not about %d", costs[i].rho, costs[i].ratio,
                     costs[i].r0, events, costs[i].events);
    }
}

/* Equal arms, any kind of x: the capital passes 1 / alpha in at most alpha of the runs, at any of the looks. */
static void test_equal_arms_are_seldom_called_harmful(void **state)
{
    enum { RUNS = 1000, LOOKS = 100, EACH = 20 };
    static const double shares[] = {.05, .3};
    int s, shape, run, look, i, found;

    (void)state;
    for (s = 0; s < 2; s++)
        for (shape = 0; shape < 3; shape++) {
            const double rho = shares[s];

            for (run = found = 0; run < RUNS; run++) {
                struct bet bet;
                double mean = shape ? .3 : 0;

                bet_init(&bet, BET_BY_EFFECT);
                for (look = 0; look < LOOKS; look++) {
                    struct bet_sums sums[2] = {{0, 0, 0}, {0, 0, 0}};
                    struct bet_line line = shape == 2 ? bet_absolute(rho, mean, 0, -1) : bet_relative(rho, mean, 1, 1);
                    struct bet_stakes stakes;

                    bet_stake_effects(&line, rho, .1, 0, &stakes);
                    for (i = 0; i < EACH; i++) {
                        /* bursts that come to both arms alike */
                        double x = look % 7 == 0 ? .5 + chance() / 2 : chance() < .2 ? chance() : .1;
                        struct bet_sums *arm = &sums[chance() < rho ? JUDGE_CANARY : JUDGE_STABLE];

                        arm->n++;
                        arm->x += x;
                        arm->xx += x * x;
                    }
                    bet_fold_sums(&bet, &line, &stakes, sums);
                    bet_note_best(&bet);
                    if (shape && sums[JUDGE_STABLE].n > 0)
                        mean += .1 * (sums[JUDGE_STABLE].x / sums[JUDGE_STABLE].n - mean);
                }
                found += bet.best >= log(1 / .05);
            }
            assert_true(found <= 70); /* 50 and three standard errors */
        }
}

/* For x of 0 or 1 the sums are a lower bound of the exact counts, and not far under it. */
static void test_sums_stay_under_exact_counts(void **state)
{
    struct bet exact, sums_bet;
    int look, i;

    (void)state;
    bet_init(&exact, BET_BY_EFFECT);
    bet_init(&sums_bet, BET_BY_EFFECT);
    for (look = 0; look < 200; look++) {
        const struct bet_line line = bet_absolute(.3, .2, 0, 1);
        struct bet_sums sums[2] = {{0, 0, 0}, {0, 0, 0}};
        struct bet_factors factors;
        struct bet_stakes stakes;

        bet_stake_effects(&line, .3, .16, 0, &stakes);
        bet_factors(&line, &stakes, &factors);
        for (i = 0; i < 20; i++) {
            const int arm = chance() < .3;
            const double x = chance() < (arm ? .26 : .2);

            sums[arm].n++;
            sums[arm].x += x;
            sums[arm].xx += x;
        }
        bet_fold_counts(&exact, &factors, sums);
        bet_fold_sums(&sums_bet, &line, &stakes, sums);
        for (i = 0; i < BET_POINTS; i++)
            assert_true(sums_bet.log_capital[i] <= exact.log_capital[i] + 1e-9);
    }
    assert_true(bet_log_e(&exact) > 3 && bet_log_e(&sums_bet) > .8 * bet_log_e(&exact));
}

static void test_extremes_are_finite(void **state)
{
    static const double shares[] = {1e-6, .5, .999999};
    int s, i;

    (void)state;
    for (s = 0; s < 3; s++) {
        const struct bet_line line = bet_relative(shares[s], 1, 1e6, 1);
        const struct bet_sums sums[2] = {{1e9, 1e9, 1e9}, {1e9, 0, 0}};
        struct bet_stakes stakes;
        struct bet bet;

        bet_init(&bet, BET_BY_EFFECT);
        bet_stake_effects(&line, shares[s], 1e-12, 0, &stakes);
        bet_fold_sums(&bet, &line, &stakes, sums);
        bet_note_best(&bet);
        for (i = 0; i < BET_POINTS; i++)
            assert_true(isfinite(bet.log_capital[i]));
        assert_true(bet.best == 0 && bet_log_e(&bet) < 0);
    }
    assert_true(isfinite(bet_log_e_of_sums(1e12, 1e12, 1e-9)));
    assert_true(bet_log_e_of_sums(0, 0, 1) <= 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bet_on_events_is_the_likelihood_ratio_of_their_arms),
        cmocka_unit_test(test_harm_and_its_absence_cost_what_they_should),
        cmocka_unit_test(test_equal_arms_are_seldom_called_harmful),
        cmocka_unit_test(test_sums_stay_under_exact_counts),
        cmocka_unit_test(test_extremes_are_finite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
