/*
 * rollouts_inside.h - what rollouts.c and rollouts_calls.c share.  For these two alone; all on the control thread.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_ROLLOUTS_INSIDE_H
#define SERVE_ROLLOUTS_INSIDE_H

#include "serve/damage.h"
#include "serve/rollouts.h"

struct hooks;
struct label_gate;
struct recording;

struct rollouts {
    struct server *server;
    struct controller *controller;
    struct observer observer;
    struct hooks *hooks;
    struct label_gate *gate;
    struct recording *recordings;
    uv_timer_t clock;
    uint64_t flushed_ms;
    int64_t gallery_ms; /* when answers and retention were looked at last */
    char dir[1100];
    int lock;             /* of the folder of records: who has it decides */
    bool active;          /* the lock is ours, and what is stored has been taken up */
    struct damage damage; /* of the log, as it was found when it was taken up */
};

struct controller_now rollouts_now(void);

/* The model's route in the table of now; user: struct rollouts. SERIN_NOT_FOUND. */
MUST_USE enum serin_errc rollouts_route(void *user, const char *model, struct route *ret, struct serin_error *error);

/* Looks at the log of decisions, and takes up what is stored and can be. */
void rollouts_resume(struct rollouts *rollouts);

#endif
