/*
 * damage.h - which models' rollouts stand still because the log of decisions is damaged, and how a person goes on.
 * Depends on serve/inside.h, store/decisions.h. For src/serve alone; all on the control thread.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Traffic does not depend on the log: the program starts and serves what the routes say. But no rollout is taken up or
 * begun on a log that is not what was written; where one was under way nobody watches its canary, so the dead-man rule
 * sends the model to stable until a person has looked.
 */
#ifndef SERVE_DAMAGE_H
#define SERVE_DAMAGE_H

#include "serve/inside.h"
#include "store/decisions.h"

#define DAMAGE_SENTENCE 320

struct damage {
    bool any;
    char everybodys[DAMAGE_SENTENCE]; /* of which nobody can tell whose it is; "" */
    int count;
    struct {
        char model[ROUTE_MAX_TEXT + 1];
        char sentence[DAMAGE_SENTENCE];
    } models[GATEWAY_MAX_MODELS];
};

/* Looks through the whole log. A log that cannot be read is everybody's damage. */
void damage_look(struct state *state, struct damage *ret);
void damage_add(struct damage *damage, const char *model, const char *sentence); /* model NULL: everybody's */
/* What is wrong for a model; NULL: nothing. */
const char *damage_of(const struct damage *damage, const char *model);

/* A person's word that the log is accepted as it stands: a decision that names each damaged row of the model's, and of
 * nobody's, with its present hash. Where the model's newest rollout was under way before its promotion it is aborted
 * with it. route_revision: of the model's route now. SERIN_NOT_FOUND: the model has no rollout. */
MUST_USE enum serin_errc damage_repair(struct state *state, const char *model, uint64_t route_revision,
                                       const char *author, const char *why, struct serin_error *error);

#endif
