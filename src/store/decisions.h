/*
 * decisions.h - the log of what was decided about rollouts, chained by hashes.  Depends on base, store/state.h, SQLite.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A decision and the state it leads to are one transaction, on disk before anything of it takes effect. Each row holds
 * SHA-256 of (the hash before it, all its columns, each behind its length), so that a changed, missing or moved row is
 * found by decisions_verify; the last hash can be kept elsewhere.
 */
#ifndef STORE_DECISIONS_H
#define STORE_DECISIONS_H

#include "store/state.h"

#define DECISION_HASH_BYTES      32
#define DECISION_WITHOUT_RECORDS (-1) /* of a way back: they could not be put on disk, and the hash is zeros */

struct decision {
    int64_t number;  /* given by decisions_append, from 1 */
    int64_t time_ms; /* wall clock */
    const char *rollout, *model;
    const char *author;                        /* "judge", "cli root", "api 127.0.0.1", "clock" */
    const char *event;                         /* rollout/machine.h */
    const char *why;                           /* for people */
    const char *numbers;                       /* JSON: the judge's readings that it was taken from; "{}" */
    int64_t records;                           /* lines of the attempt's record file at that time */
    uint8_t records_hash[DECISION_HASH_BYTES]; /* SHA-256 of those lines */
    const char *state;                         /* JSON of the rollout after it */
    uint8_t hash[DECISION_HASH_BYTES];         /* given by decisions_append */
};

/* Appends, and makes decision->state the rollout's state. With plan not NULL (the first decision of a rollout) the
 * plan's YAML is kept with it. */
MUST_USE enum serin_errc decisions_append(struct state *state, struct decision *decision, const char *plan,
                                          struct serin_error *error);

struct stored_rollout {
    const char *id, *model, *json, *plan_yaml;
    int64_t number; /* of its last decision, which the state of it could not know yet */
};

/* Rollouts, newest first, as stored. model: NULL for all. */
MUST_USE enum serin_errc decisions_each_rollout(struct state *state, const char *model, int limit,
                                                void (*each)(void *user, const struct stored_rollout *rollout),
                                                void *user, struct serin_error *error);

/* Decisions, oldest first. rollout: NULL for all. */
MUST_USE enum serin_errc decisions_each(struct state *state, const char *rollout,
                                        void (*each)(void *user, const struct decision *decision), void *user,
                                        struct serin_error *error);

/* Of a rollout's decisions before that number (0: of all) the newest limit, at most about max_bytes of text in all,
 * oldest first. Nothing before its start is what tells the end. */
MUST_USE enum serin_errc decisions_page(struct state *state, const char *rollout, int64_t before, int limit,
                                        int64_t max_bytes, void (*each)(void *user, const struct decision *decision),
                                        void *user, struct serin_error *error);

/* The first decision of a rollout; its state may say {"plan_sha256": "HEX"}, of the plan that is kept with it. */
#define DECISION_START "start"

/* What does not fit. */
struct decision_fault {
    int64_t number;    /* of the decision; 0: it is about a rollout's state */
    const char *model; /* whose rollouts it concerns; NULL: nobody can tell */
    const char *what;  /* a sentence */
    uint8_t
        found[DECISION_HASH_BYTES]; /* the hash of the row, or of the plan, as it stands; zeros where there is none */
};

/* A decision of this event is a person's word that the log is accepted as it stands: its numbers are
 * {"accepted": [{"number", "hash"}]}, with the hash that was found, so that what is changed later is found again. */
#define DECISION_REPAIR "repair"

/* Recomputes the chain and the plans' digests, and calls each for every fault that no repair has accepted.
 * SERIN_CORRUPT: there are too many; SERIN_IO: the file cannot be read. */
MUST_USE enum serin_errc decisions_check(struct state *state,
                                         void (*each)(void *user, const struct decision_fault *fault), void *user,
                                         int64_t *ret_count, uint8_t ret_last[DECISION_HASH_BYTES],
                                         struct serin_error *error);

/* The same. SERIN_CORRUPT names the first fault. */
MUST_USE enum serin_errc decisions_verify(struct state *state, int64_t *ret_count,
                                          uint8_t ret_last[DECISION_HASH_BYTES], struct serin_error *error);

#endif
