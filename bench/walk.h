/*
 * walk.h - whole rollouts over simulated traffic: who judges, how it ends, after what.  Depends on traffic.h, rivals.h,
 * judge, rollout. SPDX-License-Identifier: Apache-2.0
 *
 * walk_serin does what the controller does, with the machine, the plan, the gateway's assignment and the judge
 * themselves, in simulated time. The two others walk the same shares over the same requests, each by its own rules.
 */
#ifndef BENCH_WALK_H
#define BENCH_WALK_H

#include "traffic.h"

#include "rollout/plan.h"

enum walk_end { WALK_HELD, WALK_PROMOTED, WALK_ROLLED_BACK, WALK_INCONCLUSIVE, WALK_ENDS };

struct walk_options {
    struct traffic_options traffic;
    uint64_t seed;
    double label_share;      /* of the frames; they come 1 to 5 minutes later */
    double most_s;           /* then it is held */
    double patience_s;       /* after so long in a step a person lets it go on; INFINITY: never */
    const struct plan *plan; /* of walk_serin */
    double reference_alpha;  /* of a test of lost boxes in the dark by boundary_mean beside it, one-sided; 0: none */
};

struct walk_result {
    enum walk_end end;
    double t_s;                     /* of the end */
    char guard[JUDGE_MAX_NAME + 1]; /* that ended it; "" */
    char slice[RECORD_MAX_NAME + RECORD_MAX_VALUE + 2];
    double canary_requests, errors; /* drawn for the canary; failed by either version, since the canary had a share */
    double pairs, reference_pairs;  /* in the dark: seen; with which the reference was sure, NAN: it was not */
};

void walk_serin(const struct walk_options *options, struct walk_result *ret);

/* Kayenta's judge each five minutes from the tenth on, on one number a minute since the first share: errors, p95, and
 * where they are there missed objects of labels, lost boxes, memory; one of them high fails the canary, as where each
 * is critical. A quarter of an hour a share, so that an hour has the 50 points that Kayenta advises. */
void walk_kayenta(const struct walk_options *options, struct walk_result *ret);

/* Flagger: a minute's error rate, p95 and memory of the canary against fixed limits, which are right for this traffic:
 * stable's true mean and the margins of the default plan. Five failed checks go back, as in its examples. */
void walk_flagger(const struct walk_options *options, struct walk_result *ret);

#endif
