/*
 * controller.h - runs the rollouts: hears records, asks the judge, writes decisions down, and then moves routes.
 * Depends on base, judge, machine.h, gateway/route.h; does nothing itself: struct controller_target is all it can call.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One thread. The order is always the same: the machine says what an event leads to, the records that it was judged by
 * and the decision are put on disk, the state changes, and the route is brought to what the state wishes; where that
 * fails it is tried again, every second. A decision that cannot be written is not taken; but where it is one to go
 * back, the hold on the model's trial is let go before anything is written, so that the gateway sends everything to
 * stable while it is being written, and until it can be.
 */
#ifndef ROLLOUT_CONTROLLER_H
#define ROLLOUT_CONTROLLER_H

#include "rollout/machine.h"
#include "rollout/zone.h"

#define CONTROLLER_MAX_ROLLOUTS 64 /* that have not ended, one a model */
#define CONTROLLER_HASH_BYTES   32
#define CONTROLLER_HOLD_MS      5000 /* the dead-man rule: stable takes over when no tick has come for so long */
#define CONTROLLER_LOOK_S       0.05 /* the judge looks so long after a record at most */
#define CONTROLLER_GAUGE_S      1.0
#define CONTROLLER_MAX_RECORDS  ((uint64_t)2 << 30) /* bytes of records of one attempt; then a person is called */

struct controller_usage {
    double memory_mb, gpu_memory_mb; /* of the largest replica; negative: not known */
    double requests;                 /* answered by all of them */
};

/* A decision on its way to disk; the texts are valid during the call. */
struct controller_decision {
    const struct rollout *after;                /* number is that of the decision before */
    const char *author, *event, *why, *numbers; /* numbers: JSON */
    int64_t time_ms;
    const char *plan; /* YAML; NULL but for the first of a rollout */
    bool goes_back;   /* to stable: it must be written even where the records cannot be */
};

enum controller_gate { CONTROLLER_GATE_WAITS, CONTROLLER_GATE_AGREES, CONTROLLER_GATE_REFUSES };

struct json_writer;

struct controller_target {
    void *user;
    enum serin_errc (*get_route)(void *user, const char *model, struct route *ret, struct serin_error *error);
    /* Disk, then the gateway. on_trial: the judge must hear of its requests, and the dead-man rule holds. */
    enum serin_errc (*put_route)(void *user, const struct route *route, bool on_trial, const char *author,
                                 struct serin_error *error);
    void (*set_trial)(void *user, const char *model, bool on_trial); /* the same route, at the start of the program */
    bool (*is_ready)(void *user, const char *model, const char *tag);
    bool (*is_broken)(void *user, const char *model, const char *tag); /* the gateway's breaker is open */
    bool (*usage)(void *user, const char *model, const char *tag, struct controller_usage *ret);
    double (*golden_map)(void *user, const char *model, const char *tag); /* NAN: not evaluated */
    /* Whether the model's freeze calendar lets nothing go forward now; then why and until when, for people. */
    bool (*is_frozen)(void *user, const char *model, int64_t wall_ms, char *ret_why, size_t size);
    void (*release)(void *user, const char *model, const char *tag); /* its replicas are not needed any more */
    void (*hold)(void *user, const char *model, uint64_t for_ms);    /* 0: its trial ends now */
    /* Everything recorded so far is on disk, and the decision. Sets *ret_number, and only then returns SERIN_OK. */
    enum serin_errc (*decide)(void *user, const struct controller_decision *decision, uint64_t *ret_number,
                              struct serin_error *error);
    /* A line of a rollout's attempt, with its newline; written soon. */
    void (*record)(void *user, const struct rollout *rollout, const char *line, size_t size);
    /* Reads the lines of an attempt back; those of before a kill. */
    enum serin_errc (*each_record)(void *user, const struct rollout *rollout,
                                   void (*each)(void *each_user, const char *line, size_t size), void *each_user,
                                   struct serin_error *error);
    /* A notification, or a gate's question, which is answered by controller_gate_answered with the same ticket. */
    void (*call_hook)(void *user, const struct plan_webhook *hook, const char *body, uint64_t ticket);
    /* Whether this machine can call it as the plan asks; else why not. Asked when a rollout starts. */
    enum serin_errc (*check_hook)(void *user, const struct plan_webhook *hook, struct serin_error *error);
    void (*log)(void *user, const char *level, const char *sentence);
    /* More members of a rollout's report, into its open object; may be NULL. */
    void (*report)(void *user, const struct rollout *rollout, const struct plan *plan, struct json_writer *json);
};

struct controller;

MUST_USE enum serin_errc controller_new(const struct controller_target *target, struct controller **ret,
                                        struct serin_error *error);
void controller_free(struct controller *controller); /* NULL is fine */

/* now_s: monotonic seconds; wall_ms: wall clock. Both may be anything at any call: a monotonic clock that stands still
 * delays what is done, and of a leap of it no more counts than a trial is held; a wall clock that jumps moves freeze
 * windows, blocks and what people read, and nothing else. */
struct controller_now {
    double now_s;
    int64_t wall_ms;
};

/* Takes up a rollout that was stored, at the start of the program: its judge hears all its records again, and its route
 * is brought to what its state wishes. The route of one that has ended may be people's by now: it is left alone, unless
 * the program was killed between that decision and the route. Where the records cannot be read, nothing is known of the
 * canary: it is aborted. SERIN_CORRUPT: not the plan that was stored; SERIN_LIMIT: too many. */
MUST_USE enum serin_errc controller_resume(struct controller *controller, const struct rollout *rollout,
                                           const char *plan_yaml, const struct controller_now *now,
                                           struct serin_error *error);

/* What is due: looks, gauges, gates, decisions, routes. Call it every 20 ms or so, and after controller_add. */
void controller_tick(struct controller *controller, const struct controller_now *now);

/* A record of a model's request, pair, label or choice; t_s is set here. Where the model has no rollout nothing
 * happens.
 */
void controller_add(struct controller *controller, const char *model, struct record *record, double now_s);

/* What came of a copy to the canary of a request that stable has answered: NULL, or how it failed, for people ("status
 * 500"). The judge hears of copies by records; this tells whoever wonders why a step waits, and is forgotten with the
 * step and with the program. */
void controller_note_copy(struct controller *controller, const char *model, const char *failure);

/* What the records need to know of a rollout that is under way: its tags, slices and time zone. */
struct controller_trial {
    const struct rollout *rollout;
    const struct plan *plan;
    const struct zone *zone; /* of slices by hour; NULL: not known to this machine (any more) */
};
bool controller_find(const struct controller *controller, const char *model, struct controller_trial *ret);

/* The same of the newest rollout of that id, or of that model, ended or not; false: none. */
bool controller_named(struct controller *controller, const char *rollout, struct controller_trial *ret);
/* The newest rollout of that id, or of that model, ended or not; NULL. */
const struct rollout *controller_rollout(struct controller *controller, const char *rollout);

/* SERIN_NOT_FOUND: no rollout has that id, and no model of that name has one; and what a person may do. */
enum serin_errc controller_no_rollout(const char *id_or_model, struct serin_error *error);

/* The rollout that has the model's route in its hands, so that nobody else may change it: one that has not ended, or
 * whose route is still to be changed. With tag, only if that version is one of its two. NULL: none. */
const struct rollout *controller_holder(struct controller *controller, const char *model, const char *tag);

/* The model's rollout goes back, and stable has everything, but the decision is not on disk yet. */
bool controller_is_unwritten(const struct controller *controller, const char *model);

/* No place is free, but for those of rollouts that have ended. */
bool controller_is_full(const struct controller *controller);

struct controller_start {
    const char *model, *canary; /* the tag; it must be in the route */
    const char *plan_yaml;      /* "": the default plan */
    const char *author;
    const char *why; /* a person's reason; NULL or "": none was given */
    uint64_t salt;
    uint64_t sequence; /* of its id: MODEL-SEQUENCE */
    bool supersede;    /* a rollout of the model that is under way is aborted, or its undo window ended */
};
/* SERIN_LIMIT: one is under way; SERIN_NOT_FOUND, SERIN_INVALID (the plan's line, or a webhook that
 * cannot be called). *ret_id is of the rollout's life. */
MUST_USE enum serin_errc controller_start(struct controller *controller, const struct controller_start *start,
                                          const struct controller_now *now, const char **ret_id,
                                          struct serin_error *error);

/* A person's word; rollout: its id, or a model's name for its newest. event: pause, resume, promote, promote-full,
 * abort, retry, undo. Whoever goes on from a question (resume, promote, promote-full of an Inconclusive rollout)
 * accepts what the guards that call a person have found: they ask no more in this attempt, and no step needs them
 * proven. Who goes on in spite of a freeze calendar is written down as having done that. SERIN_NOT_FOUND, SERIN_LIMIT
 * (not in this phase, or not ready), SERIN_IO (cannot be written; where it goes back, stable has taken over all the
 * same, and it is written as soon as it can be). */
MUST_USE enum serin_errc controller_act(struct controller *controller, const char *rollout, enum rollout_event event,
                                        const char *author, const char *why, const struct controller_now *now,
                                        struct serin_error *error);

void controller_gate_answered(struct controller *controller, uint64_t ticket, enum controller_gate answer,
                              const char *why);

/* JSON for people and the console: the state, what it waits for, the plan's steps, each guard's reading, what is
 * possible. SERIN_NOT_FOUND. */
struct buffer;
MUST_USE enum serin_errc controller_report(struct controller *controller, const char *rollout, struct buffer *out,
                                           struct serin_error *error);
void controller_list(struct controller *controller, struct buffer *out);

/* A model's newest rollout, for metrics. Borrowed: until the controller is called again. */
struct controller_view {
    const struct rollout *state;
    int steps;                 /* of its plan */
    double share;              /* of the canary, in force; 0 to 1 */
    double alpha;              /* of its plan */
    const struct judge *judge; /* NULL: it has ended */
};
/* index: 0 to CONTROLLER_MAX_ROLLOUTS - 1; false where there is none. */
bool controller_view(const struct controller *controller, int index, struct controller_view *ret);

#endif
