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

struct trial {
    bool used;
    struct rollout state; /* as on disk */
    struct plan plan;
    char *plan_yaml;
    struct judge *judge; /* NULL where the rollout has ended */
    /* The records' clock: it goes with the monotonic one from where the last record stood. */
    double base_t_s, base_now_s, t_s;
    double step_t_s;                            /* when the step began */
    double countdown_s;                         /* of the undo window; from the wall clock only when it is taken up */
    double watched_s;                           /* since the promotion */
    double looked_s, gauged_s, pending_since_s; /* monotonic */
    bool fresh;                                 /* records since the last look */
    bool route_pending;                         /* the route is not what the state wishes yet */
    bool on_trial;                              /* as the gateway was last told */
    bool was_ready; /* the canary, in this life of the program: until then it gets nothing, and fails nothing */
    bool go_back;   /* decided, but not written yet */
    enum rollout_event go_back_event;
    char go_back_author[160], go_back_why[400];
    uint64_t record_bytes;
    struct judge_decision last;
    struct gate gates[PLAN_MAX_WEBHOOKS];
    char waiting[300]; /* what a pending step waits for; "" */
};

struct controller {
    struct controller_target target;
    struct trial trials[CONTROLLER_MAX_ROLLOUTS]; /* the newest of each model */
    uint64_t next_ticket;
};

struct trial *trial_find(struct controller *controller, const char *rollout); /* id or model; NULL */
bool trial_is_live(const struct trial *trial);

/* controller_report.c */
struct buffer;
void report_numbers(const struct trial *trial, struct buffer *out); /* what a decision was taken from */
void report_hook(const struct trial *trial, const char *event, struct buffer *out);

#endif
