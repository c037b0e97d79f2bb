/*
 * machine.h - the states of a rollout, and what takes it from one to the next.  Depends on base, rollout/plan.h; pure:
 * no network, no disk, no clock. SPDX-License-Identifier: Apache-2.0
 *
 * One table says which event is allowed in which phase and where it leads (docs/internals/
 * rollout.md draws it and a test compares). The controller asks machine_apply, writes the decision to disk, and only
 * then does what the new state says: the state alone tells the route that must be in force (machine_wish), so that
 * after kill -9 the controller brings the route to the state it finds on disk, and nothing else.
 */
#ifndef ROLLOUT_MACHINE_H
#define ROLLOUT_MACHINE_H

#include "rollout/plan.h"

#define ROLLOUT_MAX_ID 63

/* phase, its name, whether the rollout has ended in it, the sentence for people */
#define ROLLOUT_PHASES(X)                                                                                              \
    X(PENDING, "Pending", false, "waits for the canary to be ready, for a gate, or for a freeze window to end")        \
    X(PROGRESSING, "Progressing", false, "is in a step, and gathers evidence")                                         \
    X(PAUSED, "Paused", false, "stands where it is, at a person's word or the plan's")                                 \
    X(INCONCLUSIVE, "Inconclusive", false, "stands where it is, and needs a person to decide")                         \
    X(PROMOTED, "Promoted", false, "all traffic goes to the new version; it is watched, and can be undone at once")    \
    X(COMPLETED, "Completed", true, "the undo window has passed")                                                      \
    X(ROLLED_BACK, "RolledBack", true, "harm was found; all traffic goes to stable")                                   \
    X(ABORTED, "Aborted", true, "a person ended it; all traffic goes to stable")                                       \
    X(UNDONE, "Undone", true, "was promoted, and has been taken back")

enum rollout_phase {
#define X(phase, name, ended, help) ROLLOUT_##phase,
    ROLLOUT_PHASES(X)
#undef X
};
const char *rollout_phase_name(enum rollout_phase phase);
bool rollout_phase_ended(enum rollout_phase phase);

/* event, its name, whether it is a person's: then the name is the verb of `serin rollout VERB` */
#define ROLLOUT_EVENTS(X)                                                                                              \
    X(READY, "ready", false)   /* the canary's replicas are ready, gates agreed, no window: the step begins */         \
    X(PROVEN, "proven", false) /* the judge passes the step, its least time and evidence are there */                  \
    X(HARM, "harm", false)     /* the judge, the breaker or the sample ratio says go back */                           \
    X(ASK, "ask", false)       /* the judge, or a limit of time or evidence, wants a person */                         \
    X(PAUSE, "pause", true)                                                                                            \
    X(RESUME, "resume", true)                                                                                          \
    X(PROMOTE, "promote", true)           /* past this step, whatever is proven */                                     \
    X(PROMOTE_FULL, "promote-full", true) /* to all traffic at once */                                                 \
    X(ABORT, "abort", true)                                                                                            \
    X(RETRY, "retry", true) /* from the first step, with no evidence kept */                                           \
    X(UNDO, "undo", true)                                                                                              \
    X(WINDOW_PASSED, "window-passed", false) /* of undo */

enum rollout_event {
#define X(event, name, person) ROLLOUT_ON_##event,
    ROLLOUT_EVENTS(X)
#undef X
};
const char *rollout_event_name(enum rollout_event event);
bool rollout_event_is_a_persons(enum rollout_event event);
/* By its name, a person's or not; false where none has it. */
bool rollout_event_find(const char *name, enum rollout_event *ret);

/* The names of a person's events among these bits, in the table's order, with ", " between. */
#define ROLLOUT_VERBS_BYTES 80
void rollout_verbs(uint32_t events, char text[static ROLLOUT_VERBS_BYTES]);

/* All that must survive the program, besides the plan and the records. */
struct rollout {
    char id[ROLLOUT_MAX_ID + 1];                                                            /* "street-person-7" */
    char model[ROUTE_MAX_TEXT + 1], stable[ROUTE_MAX_TEXT + 1], canary[ROUTE_MAX_TEXT + 1]; /* tags */
    enum rollout_phase phase;
    enum rollout_phase resume_to; /* of a pause: what it goes back to */
    int step;                     /* 0..; the step in force, or that waits to be (PENDING) */
    bool step_begun;              /* false: its share is not in force yet */
    int attempt;                  /* 1..; rises with a retry: evidence of before does not count */
    uint64_t salt;                /* of the assignment; kept over its steps */
    uint64_t number;              /* of its last decision */
    uint64_t route_revision;      /* of the route when that was taken: a greater one has been changed since */
    int64_t started_ms, step_began_ms, ended_ms, promoted_ms; /* wall clock; 0: not yet */
    int64_t limit_from_ms; /* a step's most time counts from here: its begin, or a person's word to look again */
    char why[400];         /* of the last decision */
    char plan_sha256[65];  /* of the plan as it is stored, in hexadecimal digits; "": begun by an older program */
};

/* A rollout that waits for its first step. Texts are cut to their fields; nothing is allocated. */
void rollout_init(struct rollout *rollout, const char *id, const char *model, const char *stable, const char *canary,
                  uint64_t salt, int64_t now_ms);

/* Of its first decision, which no event leads to. */
void rollout_set_why(struct rollout *rollout, const char *why);

/* Applies event to *rollout in place. SERIN_LIMIT: not in this phase; the sentence says which phase and what is
 * possible for a person. SERIN_CORRUPT: the rollout's step is not one of the plan's. On an error nothing has changed.
 * now_ms is stored in the fields of time; number is the store's to set. The machine does not know whether replicas are
 * ready: whoever applies what gives the canary traffic (ready, promote, promote-full) makes sure of it before, as
 * whoever undoes a completed rollout makes sure that stable runs again. */
MUST_USE enum serin_errc machine_apply(struct rollout *rollout, const struct plan *plan, enum rollout_event event,
                                       int64_t now_ms, const char *why, struct serin_error *error);

/* The shares that must be in force in this state, written into a route that has both versions: weights (of all its
 * versions: only these two have any), mirrors to the two, rules that name the canary, unit, salt, stable. Everything
 * else of the route stays. Exposure never jumps: a state that waits keeps the share of the step before. Stable stays
 * who answers what fails until the rollout is completed. */
void machine_wish(const struct rollout *rollout, const struct plan *plan, struct route *route);

/* Which events are possible now, as bits. */
uint32_t machine_possible(const struct rollout *rollout);

/* JSON both ways: the stored form and the API's. */
void rollout_to_json(const struct rollout *rollout, struct buffer *out);
MUST_USE enum serin_errc rollout_from_json(const char *json, size_t size, struct rollout *ret,
                                           struct serin_error *error);

#endif
