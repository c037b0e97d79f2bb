/*
 * label_join.h - what people and inspection stations say of frames, joined with what the versions answered.  Depends on
 * observe.h, store/answers.h, judge/match.h. For src/serve alone; all on the control thread.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One word a frame: the first that can be true counts, whoever says it and in whichever form, and later ones are told
 * apart, since the judge has bet on the first. What did not count is counted by rollout, with the last reason: a guard
 * that hears nothing does not say why.
 */
#ifndef SERVE_LABEL_JOIN_H
#define SERVE_LABEL_JOIN_H

#include "gateway/gateway.h"
#include "rollout/machine.h"

struct observer;
struct json_writer;

/* Of a rollout's attempt, since this process has had it in its hands. */
struct label_tally {
    char rollout[ROLLOUT_MAX_ID + 1]; /* "": free */
    int attempt;
    bool warned_refused, warned_unchecked;
    bool asked;                 /* stable has told, or has none to tell */
    struct class_list *classes; /* NULL: not known */
    uint64_t counted, refused, repeated, unchecked;
    uint64_t unmatched_before; /* the observer's, when it began */
    char why[GATEWAY_MAX_REFUSAL];
};

/* A sighting of feedback; tells the controller what follows. */
void label_join_take(struct observer *observer, const struct gateway_sighting *sighting, double now_s);

/* Whether a person's word on a frame is the first, which it then is for later ones. */
bool label_join_claim(struct observer *observer, const struct rollout *rollout, const char *request_id);

/* The classes that labels of the rollout may name: by number stable's, for these clients know; by name also those that
 * only the canary has. Borrowed; NULL: not known here. */
struct class_list *label_join_classes(struct observer *observer, const struct rollout *rollout);

/* Whether nobody knows them yet; and what stable's server tells: a JSON array as class_list_new takes it, or NULL where
 * it tells none. rollout: an id. */
bool label_join_lacks_classes(struct observer *observer, const struct rollout *rollout);
void label_join_learn_classes(struct observer *observer, const char *rollout, const char *names);

/* A member "labels" of the rollout's report; none where nothing is known of it. */
void label_join_report(struct observer *observer, const struct rollout *rollout, struct json_writer *json);
void label_join_done(struct observer *observer);

#endif
