/*
 * bench_statistics.c - CPU time of the formulas below the judge: an e-value, a boundary, an interval, a quantile test.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Prints one JSON object a line: {"name","median_ns"}.
 */
#include "judge/quantile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 11

/* Of this thread, so that what else runs on the machine counts little. */
static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* expression sees the caller's i, which changes its arguments a little from call to call. */
#define MEASURE(name, repeats, expression)                                                                             \
    do {                                                                                                               \
        double times_ns[ROUNDS];                                                                                       \
        int round;                                                                                                     \
                                                                                                                       \
        for (round = 0; round < ROUNDS; round++) {                                                                     \
            double start = cpu_ns(), sum = 0;                                                                          \
                                                                                                                       \
            for (i = 0; i < (repeats); i++)                                                                            \
                sum += (expression);                                                                                   \
            __asm__ volatile("" ::"r"(&sum) : "memory");                                                               \
            times_ns[round] = (cpu_ns() - start) / (repeats);                                                          \
        }                                                                                                              \
        qsort(times_ns, ROUNDS, sizeof(times_ns[0]), by_value);                                                        \
        printf("{\"name\":\"%s\",\"median_ns\":%.0f}\n", name, times_ns[ROUNDS / 2]);                                  \
    } while (0)

static double add_to_mean(struct boundary_mean *mean, double x)
{
    return boundary_mean_add(mean, x) ? mean->sum : 0;
}

int main(void)
{
    static struct histogram_sum stable, canary;
    struct mixture whole = mixture_counts(.01, 100, SPECIAL_WHOLE), above = mixture_counts(.01, 100, SPECIAL_ABOVE);
    struct mixture half = mixture_counts(.5, 100, SPECIAL_ABOVE);
    struct mixture exponential = mixture_gamma_exponential(100, .05, 1);
    struct boundary_mean mean;
    int i;

    boundary_mean_init(&mean, .05);
    for (i = 0; i < 20000; i++) { /* 10 to 90 ms */
        stable.counts[histogram_bucket((uint64_t)(10000 + 4 * i))]++;
        canary.counts[histogram_bucket((uint64_t)(11000 + 4 * i))]++;
    }
    stable.total = canary.total = 20000;
    MEASURE("mixture_counts_log_e", 20000, mixture_counts_log_e(&whole, i % 9, 500));
    MEASURE("mixture_counts_log_e_one_sided", 20000, mixture_counts_log_e(&above, i % 9, 500));
    MEASURE("mixture_counts_log_e_one_sided_large", 2000, mixture_counts_log_e(&half, 50000 + i % 900, 1e5));
    MEASURE("mixture_log_e_gamma_exponential", 20000, mixture_log_e(&exponential, i % 40, 100));
    MEASURE("mixture_bound_gamma_exponential", 500, mixture_bound(&exponential, 100 + i, .001));
    MEASURE("boundary_share", 500, boundary_share(i % 9, 500, 100, .001).upper);
    MEASURE("boundary_mean_add", 20000, add_to_mean(&mean, (i % 7) / 7.));
    MEASURE("quantile_ranks", 500, (double)quantile_ranks(.95, 20000 + (uint64_t)i, 1000, .01).lower);
    MEASURE("quantile_slower_us", 50, quantile_slower_us(.95, 1000, .05 + i * 1e-6, &stable, &canary));
    MEASURE("quantile_differs_us", 50, quantile_differs_us(.95, 1000 + i, &stable, &canary));
    return 0;
}
