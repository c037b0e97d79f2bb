/*
 * rollouts.h - the rollouts of a serving process: the controller's hands, and the folder of their records.
 * For src/serve alone; all on the control thread. SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_ROLLOUTS_H
#define SERVE_ROLLOUTS_H

#include "serve/inside.h"
#include "serve/observe.h"

struct rollouts;

/* Takes up the rollouts that are stored, and begins to tick; while another process still has them in its hands (one
 * that this one takes over from) it waits for that. Where the log of decisions is not what was written, or a rollout
 * cannot be read, those of the models that it concerns stand still (damage.h). */
MUST_USE enum serin_errc rollouts_new(struct server *server, struct rollouts **ret, struct serin_error *error);
/* Stops ticking and lets go of them: the gateway's dead-man rule is the last to act. The memory goes when the loop has
 * let go of the clock. NULL is fine, as for all below: then there are none in hand. */
void rollouts_close(struct rollouts *rollouts);

/* False while another process still has them in its hands. */
bool rollouts_are_ours(const struct rollouts *rollouts);

/* SERIN_LIMIT where a rollout that has not ended has the model (and, if given, the version of it) in its hands. */
MUST_USE enum serin_errc rollouts_check_free(const struct rollouts *rollouts, const char *model, const char *tag,
                                             struct serin_error *error);

/* The model's rollout goes back, which is in force, but not on disk yet. */
bool rollouts_are_unwritten(const struct rollouts *rollouts, const char *model);

/* What is wrong with the log of a model's decisions; NULL: nothing. */
const char *rollouts_damage(const struct rollouts *rollouts, const char *model);

/* For the admin API; verb: "pause", "resume", "promote", "promote-full", "abort", "retry", "undo"; or "repair", of the
 * log of decisions. */
enum serin_errc rollouts_list(void *user, struct buffer *out, struct serin_error *error);
enum serin_errc rollouts_report(void *user, const char *rollout, struct buffer *out, struct serin_error *error);
enum serin_errc rollouts_history(void *user, const char *rollout, int64_t before, int limit, struct buffer *out,
                                 struct serin_error *error);
enum serin_errc rollouts_start(void *user, const struct admin_rollout *start, struct buffer *out,
                               struct serin_error *error);
enum serin_errc rollouts_act(void *user, const char *rollout, const char *verb, const char *author, const char *why,
                             struct buffer *out, struct serin_error *error);

/* For metrics. The controller is NULL while the rollouts are in another process's hands. */
struct controller;
struct observer;
const struct controller *rollouts_controller(const struct rollouts *rollouts);
const struct observer *rollouts_observer(const struct rollouts *rollouts);

/* What the calls on kept frames need. rollout (NULL: none is named): an id or a model's name, *ret_trial its state and
 * plan. SERIN_LIMIT: another process has the rollouts in its hands; SERIN_NOT_FOUND. */
struct rollouts_hold {
    struct gallery *gallery; /* NULL: its file could not be opened */
    struct observer *observer;
};
MUST_USE enum serin_errc rollouts_hold(struct server *server, const char *rollout, struct rollouts_hold *ret,
                                       struct controller_trial *ret_trial, struct serin_error *error);

void rollouts_flush(
    struct server *server); /* records of people's words are written at once, so that a kill loses none */

/* frames.c: kept frames, for the admin API. right: "stable", "canary", "both", "neither". */
enum serin_errc frames_list(void *user, const char *rollout, const struct admin_page *page, struct buffer *out,
                            struct serin_error *error);
enum serin_errc frames_show(void *user, const char *frame, struct buffer *out, struct serin_error *error);
enum serin_errc frames_show_picture(void *user, const char *frame, struct buffer *out, const char **ret_type,
                                    struct serin_error *error);
enum serin_errc frames_say(void *user, const char *frame, const char *right, const char *author, struct buffer *out,
                           struct serin_error *error);
enum serin_errc frames_forget_all(void *user, const char *rollout, const char *author, struct serin_error *error);
enum serin_errc frames_forget(void *user, const char *frame, const char *author, struct serin_error *error);

#endif
