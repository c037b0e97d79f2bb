/*
 * judge.h - decides from records whether the canary does harm, does none, or is not known yet.  Depends on base, libm;
 * knows neither network nor disk nor clock. SPDX-License-Identifier: Apache-2.0
 *
 * One alpha for the whole rollout, over all guards, slices and looks (Bonferroni over guards and slices, e-processes
 * over looks: Ville's inequality). Harm and no harm are tests of their own; in between is unknown, and unknown never
 * ships. The draw that gave a request its arm is the only assumption: traffic may be bursty, cameras may differ, days
 * may change (docs/internals/judge.md). Same records, same answers, to the last bit.
 *
 * One thread; memory is bounded by the limits below.
 */
#ifndef JUDGE_JUDGE_H
#define JUDGE_JUDGE_H

#include "judge/record.h"

#define JUDGE_MAX_GUARDS     32
#define JUDGE_MAX_STEPS      16
#define JUDGE_MAX_DIMENSIONS 8    /* kinds of slices: "camera", "light" */
#define JUDGE_MAX_CAMERAS    4096 /* units of assignment that are told apart; more are in no test by key */
#define JUDGE_MAX_NAME       31

enum judge_unit { JUDGE_REQUEST, JUDGE_KEY, JUDGE_KEY_BLOCK };

/* Where a metric's numbers come from, and so which tests it can have. */
enum judge_source {
    JUDGE_FROM_REQUESTS,
    JUDGE_FROM_PAIRS,
    JUDGE_FROM_LABELS,
    JUDGE_FROM_CHOICES,
    JUDGE_FROM_GAUGES,
    JUDGE_FROM_GOLDEN
};

/* What a margin is: canary <= stable * (1 + margin), or canary <= stable + margin. */
enum judge_scale { JUDGE_RELATIVE, JUDGE_ABSOLUTE };

enum judge_direction { JUDGE_HIGHER_IS_WORSE, JUDGE_LOWER_IS_WORSE, JUDGE_EITHER_IS_WORSE };

/* Whether a step ends only when a guard is proven harmless. IF_HEARD: once its source has told of both arms in this
 * attempt: a site may have no labels, and a worker elsewhere no memory that is known. */
enum judge_required { JUDGE_NOT_REQUIRED, JUDGE_REQUIRED, JUDGE_REQUIRED_IF_HEARD };

enum judge_action { JUDGE_ROLL_BACK, JUDGE_CALL_PERSON, JUDGE_NOTE }; /* on harm; note: advisory, a dry run */

/* Declared once: the plan's reader, its documentation and the console read this table. */
struct judge_metric {
    const char *name; /* "error_rate" */
    enum judge_source source;
    enum judge_scale scale;
    enum judge_direction direction;
    enum judge_action action; /* the default of its guards */
    double margin;            /* the default of its guards */
    const char *unit;         /* "share", "ms", "MB", "boxes", "points" */
    const char *help;         /* one sentence */
};
const struct judge_metric *judge_metric_find(const char *name); /* NULL */
const struct judge_metric *judge_metric_at(int index);          /* 0..; NULL behind the last */

struct judge_guard {
    char name[JUDGE_MAX_NAME + 1];
    const struct judge_metric *metric;
    double margin;      /* more than this is harm, on the metric's scale; >= 0 */
    double limit;       /* hard: the canary's own value past it is harm whatever stable does; NAN: none */
    double alpha_share; /* of the rollout's alpha; the judge divides by their sum */
    enum judge_action action;
    enum judge_required required;
    double prove[JUDGE_MAX_STEPS]; /* the margin that each step must prove; >= margin of harm, falls with the share;
                                      INFINITY: that step needs no proof of it */
    uint32_t dimensions;           /* bit i: it is also judged by dimension i */
};

struct judge_dimension {
    char name[JUDGE_MAX_NAME + 1]; /* "camera", "light", "sharpness", "hour", "class", "size", or a header's */
    int values;                    /* most values; more are judged together as "other" */
    bool required;                 /* a step needs each value with at least min_share of the evidence proven, too */
    double min_share;
};

struct judge_options {
    double alpha; /* of the rollout: .05 */
    double beta;  /* of one proof of no harm: .05 */
    enum judge_unit unit;
    double block_s; /* JUDGE_KEY_BLOCK: of a block. Else a pair's unit is a second, and a key's a minute */
    int guard_count, dimension_count, step_count;
    struct judge_guard guards[JUDGE_MAX_GUARDS];
    struct judge_dimension dimensions[JUDGE_MAX_DIMENSIONS];
    double min_evidence[JUDGE_MAX_STEPS]; /* of the canary, in units, before a step may be proven */
    double golden_map[2];                 /* by arm; NAN: not evaluated, unless a RECORD_GOLDEN says it */
};

struct judge;

/* SERIN_INVALID names the guard and field. options is copied. */
MUST_USE enum serin_errc judge_new(const struct judge_options *options, struct judge **ret, struct serin_error *error);
void judge_free(struct judge *judge); /* NULL is fine */

/* Takes a record. Times that go back are taken as the latest time seen. A RECORD_LOOK looks. */
void judge_add(struct judge *judge, const struct record *record);

enum judge_verdict { JUDGE_UNKNOWN, JUDGE_HARM, JUDGE_NO_HARM };

/* A guard, or one slice of it, as it stands. */
struct judge_reading {
    const struct judge_guard *guard;
    const char *dimension, *value;              /* NULL: the whole */
    enum judge_verdict verdict;                 /* harm stays harm */
    double log_e_harm, log_e_harm_needed;       /* harm where it has been reached */
    double log_e_no_harm, log_e_no_harm_needed; /* for the present step's margin */
    double stable, canary;                      /* means or quantiles, in the metric's unit; NAN: nothing seen */
    double estimate, lower, upper;       /* canary against stable on the metric's scale, and its always-valid bounds */
    double left_s;                       /* until the step's proof, at the present traffic; NAN: cannot be told */
    uint64_t stable_count, canary_count; /* units */
    double decided_t_s;                  /* of a harm; NAN */
    /* The last step up to the present one within whose margin no harm is proven; -1: none. A step that asks for no
     * proof, as the one behind a promotion, has the verdict unknown however much was proven before it. */
    int proven_step;
    bool accepted; /* a person goes on in spite of it: it asks no more, and need not be proven */
    bool required; /* a step needs it proven, as far as is known by now */
};

/* What all guards together say of the present step. */
enum judge_answer { JUDGE_HOLD, JUDGE_PASS, JUDGE_STOP_AND_ASK, JUDGE_GO_BACK };
struct judge_decision {
    enum judge_answer answer;
    double t_s;
    char why[400]; /* a sentence for people: which guard, which slice, the numbers */
    char guard[JUDGE_MAX_NAME + 1], slice[RECORD_MAX_NAME + RECORD_MAX_VALUE + 2]; /* "" ; "light=dark" */
    double units;    /* of the canary, in this step: of assignment */
    double left_s;   /* the longest of the guards that are not proven yet; NAN */
    bool no_traffic; /* nothing has come for min(60 s, 20 usual gaps) */
};

/* Brings all tests up to date at t_s and decides. The same as a RECORD_LOOK, then reading. */
void judge_look(struct judge *judge, double t_s, struct judge_decision *ret);
int judge_reading_count(const struct judge *judge); /* rises as slices are seen; a reading keeps its index */
enum judge_verdict judge_verdict(const struct judge *judge, int index); /* of a reading; cheap */
bool judge_is_whole(const struct judge *judge, int index); /* a reading of a guard, not of one of its slices; cheap */
void judge_read(const struct judge *judge, int index, struct judge_reading *ret); /* as of the last look */

/* The alarm of its own: the arms' sizes are not those of the draw. */
struct judge_sample_ratio {
    double log_e, log_e_needed, expected, seen; /* canary's share */
    bool alarm;
};
void judge_sample_ratio(const struct judge *judge, struct judge_sample_ratio *ret);

/* How near the whole is to a verdict: the sum over tests of alpha_j * min(1, alpha_j * largest e). Under no difference
 * its mean stays far below alpha. */
double judge_alpha_spent(const struct judge *judge);

#endif
