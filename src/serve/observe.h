/*
 * observe.h - from what the gateway saw to what the judge is told.  Depends on gateway, rollout, store/answers.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_OBSERVE_H
#define SERVE_OBSERVE_H

#include "gateway/gateway.h"
#include "serve/gallery.h"
#include "serve/label_join.h"
#include "rollout/controller.h"
#include "store/answers.h"

#define OBSERVE_COUNTERS(X)                                                                                            \
    X(requests, "Requests of rollouts that the judge was told of")                                                     \
    X(pairs, "Frames that both versions answered, or stable twice")                                                    \
    X(failed_copies, "Copies of requests that came to nothing, where stable had answered")                             \
    X(labels, "Labels that met a kept answer")                                                                         \
    X(choices, "Choices between two answers that met a kept pair")                                                     \
    X(unkept, "Answers and frames that could not be kept for labels and choices")                                      \
    X(unmatched, "Feedback for requests whose answers are not kept, or whose rollout has ended")                       \
    X(refused, "Feedback that cannot be true of its frame or model, or came without its key: no evidence")             \
    X(repeated, "Feedback on frames of which somebody's word has counted already")                                     \
    X(unchecked, "Labels whose classes could not be checked, since nobody tells those of the model")

struct observer {
    struct controller *controller;
    struct answers *answers;
    struct gallery *gallery; /* NULL: no frames are kept */
    /* The class names of a version as a JSON array, malloc'ed; NULL: not known. */
    char *(*class_names)(void *gate, const char *model, const char *tag);
    /* Whether who may speak of these models' requests (gateway_feedback.opened) may of this one's. */
    bool (*may_label)(void *gate, const char *model, uint64_t opened);
    void *gate; /* of these two */
    void (*log)(void *user, const char *level, const char *sentence);
    void *user;
    struct label_tally tallies[CONTROLLER_MAX_ROLLOUTS]; /* label_join_done */
#define X(name, help) uint64_t name;
    OBSERVE_COUNTERS(X)
#undef X
};

/* Tells the controller what follows from a sighting. */
void observe(struct observer *observer, const struct gateway_sighting *sighting, double now_s);

/* A person's choice of a kept frame has become the judge's; user is a struct observed_choice. */
struct observed_choice {
    struct observer *observer;
    double now_s;
    int told; /* how many the judge was told of */
};
void observe_choice(void *user, const struct kept_frame *frame);

/* "light=dark\nhour=22\n", as kept answers and frames have them. */
void observe_read_slices(const char *text, struct record *record);

/* "dark", "dim", "bright"; "blurred", "soft", "sharp"; NULL: not known. */
const char *observe_light_band(double light);
const char *observe_sharpness_band(double sharpness);

#endif
