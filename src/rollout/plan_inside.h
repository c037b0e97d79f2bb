/*
 * plan_inside.h - what the parts of a plan's and a calendar's code share: the table of keys, values as text, defaults,
 * checks. Depends on rollout/plan.h, rollout/calendar.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef ROLLOUT_PLAN_INSIDE_H
#define ROLLOUT_PLAN_INSIDE_H

#include "rollout/calendar.h"
#include "rollout/plan.h"

#include <stddef.h>

/* Maps of the YAML; the record that a map's fields lie in. */
enum plan_section {
    PLAN_TOP,      /* struct plan */
    PLAN_UNIT,     /* struct plan */
    PLAN_SLICE,    /* struct judge_dimension */
    PLAN_GUARD,    /* struct judge_guard */
    PLAN_STEP,     /* struct plan_step */
    PLAN_STEP_MIN, /* struct plan_step */
    PLAN_STEP_MAX, /* struct plan_step */
    PLAN_TESTER,   /* struct route_rule */
    PLAN_AFTER,    /* struct plan */
    PLAN_FRAMES,   /* struct plan */
    PLAN_WEBHOOK,  /* struct plan_webhook */
    PLAN_CALENDAR, /* struct calendar: a file of its own */
    PLAN_WINDOW    /* struct calendar_window */
};

enum plan_kind {
    PLAN_NUMBER,   /* double; "50%" is 0.5 */
    PLAN_SHARE,    /* uint32_t, per million: "1%", 0.01 */
    PLAN_DURATION, /* double, seconds: "90s", "5m", "1h", "7d" */
    PLAN_FLAG,     /* bool */
    PLAN_TEXT,     /* char[size] */
    PLAN_INT,      /* int */
    PLAN_CHOICE,   /* int-sized enum: one of words */
    PLAN_MAP,      /* a section whose fields lie in the same record */
    /* what has a form of its own */
    PLAN_OF_UNIT,
    PLAN_OF_SLICES,
    PLAN_OF_GUARDS,
    PLAN_OF_STEPS,
    PLAN_OF_TESTERS,
    PLAN_OF_WINDOWS,
    PLAN_OF_WEBHOOKS,
    PLAN_OF_METRIC,
    PLAN_OF_NAMES, /* of a guard's slices */
    PLAN_OF_PROVE,
    PLAN_OF_DAYS,
    PLAN_OF_EDGE, /* from, to: a date or a time of day */
    PLAN_OF_HOOKS
};

struct plan_key {
    enum plan_section section;
    const char *name;
    enum plan_kind kind;
    enum plan_section map; /* of PLAN_MAP and of lists: the section of what is inside */
    size_t offset, size;
    double low, high;
    double none;              /* what "none" means: INFINITY or NAN; 0: there must be a value */
    const char *const *words; /* of PLAN_CHOICE, ends with NULL */
    const char *help;         /* no capital, no full stop */
};

const struct plan_key *plan_key_at(int index); /* NULL behind the last */

/* The key of a section, NULL. *ret_nearest: the known one that was probably meant, or NULL. */
const struct plan_key *plan_key_find(enum plan_section section, const char *name, const char **ret_nearest);

#define PLAN_MAX_MARGIN 1e6 /* of one that is given, and of those that are made of it */

/* Values as text. False where text is no such value; the writers need PLAN_VALUE_BYTES. */
#define PLAN_VALUE_BYTES 32
bool plan_value_number(const char *text, bool percent, double *ret);
bool plan_value_duration(const char *text, double *ret_s);
bool plan_value_date(const char *text, int64_t *ret_day);
bool plan_value_minute(const char *text, int *ret);                       /* "HH:MM", 00:00 to 24:00 */
const char *plan_write_number(double value, char text[PLAN_VALUE_BYTES]); /* the shortest that reads back the same */
const char *plan_write_duration(double s, char text[PLAN_VALUE_BYTES]);
const char *plan_write_share(uint32_t per_million, char text[PLAN_VALUE_BYTES]);

int64_t plan_day_of(int year, int month, int day); /* days since 1970-01-01, proleptic Gregorian */
void plan_date_of(int64_t day, int *ret_year, int *ret_month, int *ret_day);

/* Names of slices that the judge knows; a header's name (X-...) is one, too. NULL behind the last. */
extern const char *const plan_slice_names[];
extern const char *const plan_hook_names[]; /* bit i of enum plan_hook; ends with NULL */
extern const char *const plan_day_names[];  /* mon..sun, NULL */

/* A dimension, guard or step with its defaults. */
void plan_init_slice(struct judge_dimension *slice, const char *name);
void plan_init_guard(struct judge_guard *guard, const struct judge_metric *metric);
void plan_init_step(struct plan_step *step);
void plan_init_webhook(struct plan_webhook *webhook);

/* The margin that a step of this share proves of a guard where the plan does not say. */
double plan_default_proof(const struct judge_guard *guard, const struct plan_step *step);

/* What the parts of a plan must be to one another. */
MUST_USE enum serin_errc plan_check(const struct plan *plan, struct serin_error *error);

#endif
