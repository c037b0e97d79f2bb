/*
 * golden_test.c - mixtures, boundaries and quantile tests against confseq on random inputs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * tests/golden/boundaries.tsv was made by tests/golden/make_boundaries.py. confseq solves its bounds to 40 bits and
 * less in the two-arm test; where its own sums cancel it is the less exact of the two.
 */
#include "judge/quantile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_NUMBERS 1024

struct row {
    char name[32];
    int count; /* of numbers; the last is the value */
    double a[MAX_NUMBERS];
};

static bool read_row(FILE *file, struct row *row)
{
    int c;

    if (fscanf(file, "%31s", row->name) != 1)
        return false;
    for (row->count = 0; (c = getc(file)) != '\n' && row->count < MAX_NUMBERS; row->count++) {
        assert_int_equal(c, '\t');
        assert_int_equal(fscanf(file, "%lf", &row->a[row->count]), 1);
    }
    return true;
}

static double of_mean(const struct row *row, struct boundary_interval *interval)
{
    struct boundary_mean mean;
    int i, n = (int)row->a[1];

    boundary_mean_init(&mean, row->a[0]);
    for (i = 0; i < n; i++)
        assert_true(boundary_mean_add(&mean, row->a[2 + i]));
    *interval = boundary_mean_interval(&mean);
    assert_true(fabs(interval->lower - row->a[2 + n]) < 1e-9);
    return interval->upper;
}

static double value_of(const struct row *row)
{
    const double *a = row->a;
    struct boundary_interval interval;
    struct mixture mixture;

    if (strcmp(row->name, "normal") == 0) {
        mixture = mixture_normal(a[2], a[3], a[4] != 0 ? SPECIAL_ABOVE : SPECIAL_WHOLE);
        return mixture_log_e(&mixture, a[0], a[1]);
    }
    if (strcmp(row->name, "normal_bound") == 0) {
        mixture = mixture_normal(a[2], a[3], a[4] != 0 ? SPECIAL_ABOVE : SPECIAL_WHOLE);
        return mixture_bound(&mixture, a[0], a[1]);
    }
    if (strcmp(row->name, "bernoulli") == 0) {
        mixture = mixture_sub_bernoulli(a[2], a[5], a[3], a[4], a[6] != 0 ? SPECIAL_ABOVE : SPECIAL_WHOLE);
        return mixture_log_e(&mixture, a[0], a[1]);
    }
    if (strcmp(row->name, "bernoulli_bound") == 0) {
        mixture = mixture_sub_bernoulli(a[2], a[5], a[3], a[4], a[6] != 0 ? SPECIAL_ABOVE : SPECIAL_WHOLE);
        return mixture_bound(&mixture, a[0], a[1]);
    }
    if (strncmp(row->name, "gamma_exponential", 17) == 0) {
        mixture = mixture_gamma_exponential(a[2], a[4], a[3]);
        return row->name[17] ? mixture_bound(&mixture, a[0], a[1]) : mixture_log_e(&mixture, a[0], a[1]);
    }
    if (strncmp(row->name, "gamma_poisson", 13) == 0) {
        mixture = mixture_gamma_poisson(a[2], a[4], a[3]);
        return row->name[13] ? mixture_bound(&mixture, a[0], a[1]) : mixture_log_e(&mixture, a[0], a[1]);
    }
    if (strcmp(row->name, "stitching") == 0)
        return boundary_stitching(a[0], a[1], a[2], a[3], a[4], a[5]);
    if (strcmp(row->name, "lil") == 0)
        return boundary_lil(a[0], a[2], a[3], boundary_lil_constant(a[1], a[3]));
    if (strcmp(row->name, "quantile_stitching") == 0)
        return quantile_stitching(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    if (strncmp(row->name, "share_", 6) == 0) {
        interval = boundary_share(a[0], a[1], mixture_kappa(a[3], a[4], SPECIAL_WHOLE), a[2]);
        return row->name[6] == 'l' ? interval.lower : interval.upper;
    }
    if (strcmp(row->name, "two_arms") == 0)
        return fmin(1, exp(-quantile_differs(a[0], mixture_kappa(a[1], .05, SPECIAL_WHOLE), a + 4, (size_t)a[2],
                                             a + 4 + (int)a[2], (size_t)a[3])));
    if (strcmp(row->name, "bounded_mean") == 0)
        return of_mean(row, &interval);
    return NAN;
}

static void test_confseq(void **state)
{
    const char *source = getenv("SERIN_SOURCE_DIR");
    static struct row row;
    char path[4096];
    int rows = 0, faults = 0;
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/golden/boundaries.tsv", source ? source : ".");
    file = fopen(path, "r");
    assert_non_null(file);
    while (read_row(file, &row)) {
        double expected = row.a[row.count - 1], found = value_of(&row);

        if (!(found == expected || (isfinite(expected) && fabs(found - expected) <= 1e-8 * fmax(1, fabs(expected))))) {
            print_error("row %d, %s: %.17g, not %.17g\n", rows + 1, row.name, found, expected);
            faults++;
        }
        rows++;
    }
    fclose(file);
    assert_int_equal(faults, 0);
    assert_true(rows > 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_confseq),
    };

    return cmocka_run_group_tests_name("judge/golden", tests, NULL, NULL);
}
