/*
 * controller_inside.h - what the files of the controller share.  For src/rollout alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ROLLOUT_CONTROLLER_INSIDE_H
#define ROLLOUT_CONTROLLER_INSIDE_H

#include "rollout/controller.h"

struct gate {
    uint64_t ticket; /* 0: not asked yet */
    bool answered;
    enum controller_gate answer;
    double asked_s; /* monotonic */
    char why[200];
};

struct copies { /* to the canary, in this step */
    uint64_t answered, failed;
    char failure[128]; /* the last; "" */
};

struct trial {
    bool used;
    struct rollout state; /* as on disk */
    struct plan plan;
    char *plan_yaml;
    struct zone *zone;   /* of the plan; NULL: not known here (any more), and hours are UTC's */
    struct judge *judge; /* NULL where the rollout has ended */
    /* The records' clock: it goes with the monotonic one from where the last record stood, as long as it is watched. */
    double t_s, taken_s; /* taken_s: monotonic, when it was taken last */
    double stands_s;     /* of blocks: so long it stands, until the wall's has come to where it is in a block */
    double step_t_s;     /* when the step began */
    double limit_t_s, limit_units; /* a step's most time and evidence count from here */
    double looked_s, gauged_s;     /* monotonic */
    double waits_since_t_s;        /* for a replica of the canary */
    bool fresh;                    /* records since the last look */
    bool route_pending;            /* the route is not what the state wishes yet */
    bool on_trial;                 /* as the gateway was last told */
    bool was_ready;                /* the canary, in this life of the program: until then it fails nothing */
    bool go_back;                  /* decided, but not written yet */
    enum rollout_event go_back_event;
    char go_back_author[160], go_back_why[400];
    double again_s; /* monotonic; what could not be written is not tried before */
    uint64_t record_bytes;
    struct judge_decision last;
    struct copies copies;
    struct gate gates[PLAN_MAX_WEBHOOKS];
    char waiting[300]; /* what a pending step waits for; "" */
};

struct controller {
    struct controller_target target;
    struct trial trials[CONTROLLER_MAX_ROLLOUTS]; /* the newest of each model */
    uint64_t next_ticket;
};

/* ---- controller.c ---- */

struct trial *trial_of_model(struct controller *controller, const char *model);    /* NULL */
struct trial *trial_named(struct controller *controller, const char *id_or_model); /* NULL */
bool trial_is_live(const struct trial *trial);
bool trial_allows(const struct trial *trial, enum rollout_event event); /* the machine's table does */
bool trial_is_watched(const struct trial *trial); /* the judge's word counts: until the analysis after promotion ends */
void trial_clear(struct trial *trial);
void controller_say(const struct controller *controller, const char *level, const char *format, ...) PRINTF_LIKE(3, 4);

/* The records' clock stands at t_s now, or a part of a block later. */
void trial_start_clock(struct trial *trial, double t_s, const struct controller_now *now);
void trial_take_time(struct trial *trial, double now_s);
/* The wall's clock may have been set: blocks begin when it says so. */
void trial_follow_wall(struct trial *trial, int64_t wall_ms);

/* Gives the record the time, writes it down, and tells the judge exactly what was written. */
void trial_record(struct controller *controller, struct trial *trial, struct record *record);
void trial_record_step(struct controller *controller, struct trial *trial);
void trial_record_golden(struct controller *controller, struct trial *trial);
MUST_USE enum serin_errc trial_new_judge(const struct trial *trial, struct judge **ret, struct serin_error *error);

/* A decision on its way: the machine, the disk, then memory, the route, webhooks. *next of trial_write is numbered. */
bool event_goes_back(enum rollout_event event);
MUST_USE enum serin_errc trial_write(struct controller *controller, const struct trial *trial, struct rollout *next,
                                     const char *author, const char *event, const struct controller_now *now,
                                     struct serin_error *error);
MUST_USE enum serin_errc trial_decide(struct controller *controller, struct trial *trial, enum rollout_event event,
                                      const char *author, const char *why, const struct controller_now *now,
                                      struct serin_error *error);
/* The route becomes what the state wishes; tried again every second until it is. */
void trial_bring_route(struct controller *controller, struct trial *trial);
void trial_notify(struct controller *controller, const struct trial *trial, enum plan_hook on, const char *event);

/* ---- controller_verbs.c ---- */

/* Whether what the machine's table allows works now; where that refuses already, the sentence is the machine's. */
MUST_USE enum serin_errc trial_check_act(const struct controller *controller, const struct trial *trial,
                                         enum rollout_event event, struct serin_error *error);

/* ---- controller_report.c ---- */

struct buffer;
void report_numbers(const struct trial *trial, struct buffer *out); /* what a decision was taken from */
void report_hook(const struct trial *trial, const char *event, struct buffer *out);

#endif
