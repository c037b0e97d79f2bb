/*
 * rivals.h - how others judge a canary, for comparison on the same streams: Kayenta's rank test, Flagger's threshold.
 * Depends on libc. SPDX-License-Identifier: Apache-2.0
 *
 * Only what decides is here: neither fetches metrics, weighs groups or moves traffic.
 */
#ifndef BENCH_RIVALS_H
#define BENCH_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Kayenta (Spinnaker), NetflixACAJudge: a Mann-Whitney confidence interval of the shift between two sets ---- */

enum kayenta_class { KAYENTA_PASS, KAYENTA_HIGH, KAYENTA_LOW, KAYENTA_NO_DATA, KAYENTA_ERROR };
enum kayenta_direction { KAYENTA_EITHER, KAYENTA_INCREASE, KAYENTA_DECREASE }; /* which of them is bad */

struct kayenta_shift {
    double lower, estimate, upper; /* 98 % interval, Hodges-Lehmann's estimate; in the metric's unit */
};

/* One number a minute and side, as Kayenta has it; at least 50 a side are its advice. NaNs are dropped. An effect
 * (mean of the experiment / mean of the control) less than these is passed: 1 and 1 for any. random seeds the noise
 * that is added where each side has a single value. shift may be NULL; it is set where the class is PASS, HIGH or LOW
 * by the test. */
enum kayenta_class kayenta_classify(const double *experiment, size_t experiment_count, const double *control,
                                    size_t control_count, enum kayenta_direction direction, double allowed_increase,
                                    double allowed_decrease, uint64_t *random, struct kayenta_shift *shift);

/* ---- Flagger: a threshold on one number a window ---- */

struct flagger {
    double min, max; /* of a good value; -INFINITY, INFINITY: no limit */
    int threshold;   /* failed checks at which it rolls back; its default is 1 */
    int failures;    /* of the whole run: a good check does not reset them */
};

/* The tick of a window: true where it rolls back. It does so at the tick after the one whose check failed as the last;
 * a missing value (NaN) is a failed check. */
bool flagger_tick(struct flagger *flagger, double value);

#endif
