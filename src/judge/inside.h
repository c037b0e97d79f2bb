/*
 * inside.h - what the judge is made of, for its own files.  Depends on judge.h, bet.h, names.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A guard has sides: one test each (harm up or down, past the hard limit, no harm by some margin). A cell is a guard in
 * the whole traffic or in one value of one dimension, with the capitals of each of its guard's sides. Observations wait
 * in a cell until it is folded: at a look, or when the share changes. What a fold uses to predict (mean, variance) is
 * renewed behind it only, so each payment was agreed on before its observation came.
 */
#ifndef JUDGE_INSIDE_H
#define JUDGE_INSIDE_H

#include "judge/bet.h"
#include "judge/judge.h"
#include "judge/measures.h"
#include "judge/names.h"
#include "judge/timing.h"
#include "judge/units.h"

#define MAX_SIDES        (4 * (JUDGE_MAX_STEPS + 1))
#define MAX_CELLS        65536
#define MAX_EVENT_SHARES 16
#define LEARNED_FROM     30 /* values of stable from which a scale or a slice's floor is known */
#define BOTH_ARMS        3u /* of `heard` */
#define SAMPLE_ALPHA                                                                                                   \
    1e-4 /* of the alarm on the sizes of the arms: with a release a week of many models, rarer than any fault it finds \
          */

/* How a guard's numbers are compared. */
enum shape {
    SHAPE_EVENTS,   /* drawn, x of 0 or 1, mostly 0: likelihood ratios */
    SHAPE_MEAN,     /* drawn, mean of x in [0, 1], on the metric's scale */
    SHAPE_QUANTILE, /* drawn, x = the time is over a threshold that the past has set */
    SHAPE_LEVEL,    /* not drawn: mean of x against a level */
    SHAPE_HALF,     /* not drawn: x = canary is over its margin, against one half of the time */
    SHAPE_GOLDEN    /* two numbers, no test */
};

enum side_kind { SIDE_HARM, SIDE_LIMIT, SIDE_PROOF };

struct side {
    enum side_kind kind;
    double sign;   /* 1: shows that canary is above; -1: below */
    double margin; /* signed: below stable where negative; of SIDE_LIMIT the limit */
    /* x of 0 or 1: factors for the present share */
    bool have_factors;
    struct bet_factors factors;
};

/* A guard's gauges, by arm. */
struct gauge_state {
    double began_t_s;
    struct bet_sums sums[2];
    double memory_mb[2], requests[2]; /* growth: now, and where it is counted from */
    double from_mb[2], from_requests[2];
    int blocks;
};

struct guard {
    const struct judge_guard *given;
    enum measure measure;
    enum shape shape;
    bool per_side;   /* canary's x differs by side (its margin lies in the threshold) */
    bool exact;      /* x is 0 or 1 and each is a unit */
    bool accepted;   /* by a person; only of those that call one */
    unsigned heard;  /* bit of an arm: its source has told of it */
    double lowest;   /* of x: 0, or -1 */
    double scale;    /* the metric's unit of x = 1; 0: not known yet, and nothing counts */
    double floor[2]; /* SHAPE_LEVEL: of stable with itself; its mean, and as much as it may well be. Of the whole */
    double log_beta_needed, log_alpha_whole, log_alpha_slice[JUDGE_MAX_DIMENSIONS]; /* ln(1/alpha) for each side */
    int side_count, harm_sides;
    struct side *sides;
    int proof[JUDGE_MAX_STEPS][2]; /* sides of a step's proof, up and down; -1: none */
    struct bet_sums seen;          /* pairs of stable with itself; or stable's values, from which scale comes */
    double threshold;              /* SHAPE_QUANTILE: ms; NAN: not known yet */
    struct gauge_state gauge;
    struct cell *whole;
    struct cell **slices[JUDGE_MAX_DIMENSIONS]; /* by value; NULL: the guard does not have that dimension */
};

struct side_state {
    struct bet bet;
    struct bet_sums canary; /* waiting; where per_side */
};

/* For bounds: sums of P, Q and their products where Z(theta) = P - theta Q; and the most that Z can be below and above
 * zero, as low + theta low_by. */
struct bound_sums {
    double p, q, pp, pq, qq;
    double low, low_by, high, high_by;
};

struct cell {
    struct guard *guard;
    int dimension, value; /* -1: the whole */
    bool dirty;
    struct bet_sums waiting[2], waiting_both; /* since the last fold; both: differences on frames that both answered */
    struct bet_sums seen;                     /* of the canary, all of it */
    struct bet_sums past, past_both;          /* stable's (fading): what predictions come from */
    struct bet_sums noise;                    /* SHAPE_LEVEL, of a slice: stable with itself */
    double mean, variance, variance_both;     /* predictions */
    double floor[2];                          /* of `noise`, where there is enough of it */
    uint64_t count[2];                        /* units */
    double weight[2], weighted[2];            /* for means that are comparable over steps */
    struct bound_sums bounds;
    struct bet_events *events; /* SHAPE_EVENTS: by share; NULL: none yet */
    int event_count;           /* of events; over MAX_EVENT_SHARES: too many shares, so bounds are of the sums */
    bool harmed;
    double harmed_t_s;
    int harmed_side;
    /* for forecasts of the present step's proof: two older looks at it */
    double seen_t_s[2], seen_log_e[2];
    struct side_state sides[];
};

struct judge {
    struct judge_options options;
    struct guard guards[JUDGE_MAX_GUARDS + 1]; /* the last is the sizes of the arms */
    struct judge_guard sample_guard;
    int guard_count; /* without it */
    struct names values[JUDGE_MAX_DIMENSIONS], cameras;
    struct timing *timing[MEASURE_TIMES];                           /* of the whole; NULL: no guard needs it */
    struct timing **timing_of[JUDGE_MAX_DIMENSIONS][MEASURE_TIMES]; /* by value */
    struct fading fading[MEASURE_TIMES];
    int cell_count, dirty_count;
    struct cell **cells, **dirty;
    struct units drawn, paired; /* units.h; drawn is unused where each request is a unit */
    double rho;                 /* of what waits in drawn cells, but for the sizes of the arms */
    double sizes_rho;           /* of what waits there: draws are heard before the answers to older ones */
    bool has_draws;             /* the sizes are those of the draws, since these are told */
    double t_s, step_t_s;
    int step;
    double step_units; /* of the canary, in this step */
    double step_seen;  /* records of this step that tell of the canary's answers */
    double label_t_s;  /* of the last label; NAN: none */
    /* arrivals, for "no traffic" */
    double last_t_s, gap_s;
    struct cell *harms[3]; /* the first by each action */
};

/* ---- cell.c ---- */

/* Fills in sides and thresholds of a guard. */
MUST_USE enum serin_errc guard_init(struct guard *guard, const struct judge_guard *given, const struct judge *judge,
                                    struct serin_error *error);
void guard_done(struct guard *guard);

/* The guard's cell of a value, made on first sight; NULL: the guard has no such dimension, or no memory. */
struct cell *cell_of(struct judge *judge, struct guard *guard, int dimension, int value);

/* Adds a unit: n of it with sum x (1 and its value, for a single one). side: where per_side and arm is canary; else -1.
 */
void cell_add(struct judge *judge, struct cell *cell, enum judge_arm arm, int side, double x);
void cell_add_both(struct judge *judge, struct cell *cell, double stable_x, double canary_x);

/* A value of stable that no test uses, for predictions. */
void cell_learn(struct cell *cell, double x);

void judge_fold_all(struct judge *judge);
double cell_needed(const struct judge *judge, const struct cell *cell); /* ln(1/alpha) of each harm side */

/* SHAPE_LEVEL: what stable does against itself, in the slice where enough of it is known. */
const double *cell_floor(const struct cell *cell);
/* From what stable has done against itself; nothing where there is none. */
void floor_renew(double floor[2], const struct bet_sums *noise);

/* ---- measure.c ---- */

/* Takes the record's values into the cells of all guards. */
void measure_record(struct judge *judge, const struct record *record);

/* Renews thresholds, scales and floors from the past. Nothing may wait. */
void measure_renew(struct judge *judge);

/* Closes units whose block has ended at t_s. Returns whether there was an end. */
bool measure_close(struct judge *judge, double t_s);

/* ---- gauges.c ---- */

void gauges_add(struct judge *judge, const struct record *record);

/* ---- decide.c ---- */

/* log_e of the cell's proof for the present step: the least of its directions; NAN: it has none. */
double cell_proof(const struct judge *judge, const struct cell *cell);
bool cell_proven(const struct judge *judge, const struct cell *cell);
int cell_proven_step(const struct judge *judge, const struct cell *cell); /* as judge_reading's proven_step */
double cell_left_s(const struct judge *judge, const struct cell *cell);   /* until it is proven; NAN */
void judge_decide(struct judge *judge, struct judge_decision *ret);
bool guard_is_required(const struct guard *guard); /* by now, in any step */

/* golden_map: the version is worse than stable by more than margin. */
bool golden_below(const struct judge *judge, double margin);

#endif
