/*
 * batcher.h - a bounded queue, a pool that prepares and finishes, and streams that run batches.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Triton's dynamic batcher (docs/user_guide/batcher.md): as soon as the engine is free it takes what is ready, up to
 * max_batch items of one shape, the most urgent first; with max_delay_ns it waits for more until the oldest has waited
 * that long since it was ready, but never past an item's deadline. The batcher knows nothing of pictures: what is done
 * to an item stands in struct batcher_stages.
 *
 * A full queue makes room for what is more urgent than the newest of the least urgent: those are displaced, and their
 * clients told to come again. So the bound is one, whatever the priorities, and cameras that only record cannot shut
 * out an alarm. (Triton gives each priority level a queue limit of its own: nine times the memory, and no help once a
 * level is full.)
 *
 * The engine's threads are divided among the runs. A run that starts gets an equal share of those that are free, for it
 * and for what waits behind it: an item that is alone has them all, and is done the soonest; where as many
 * wait as there are threads, each has one, and more are done in a second, since no network keeps several threads as
 * busy as one. Shares are all threads, a half, a quarter and so on, so that an engine that plans for a number of
 * threads has few to plan for. There are as many streams as runs can go on at once; the idle one of the lowest number
 * takes what comes, and stream n never has more than threads / (n + 1), so that a library whose threads belong to those
 * that use them (OpenMP) starts no more than it must.
 *
 * An item goes  waiting -> prepare (pool) -> ready -> run (a stream) -> finish (pool) -> done,  or straight to
 * done where it failed, expired or was cancelled. done is called exactly once for each accepted item, on a thread of
 * the batcher (or on the caller's of batcher_sweep and batcher_offer), with no lock held.
 */
#ifndef WORKER_BATCHER_H
#define WORKER_BATCHER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCHER_MAX_BATCH       64
#define BATCHER_MAX_POOL        64
#define BATCHER_HIGHEST         1
#define BATCHER_LOWEST          9
#define BATCHER_USUAL           5
#define BATCHER_ALONE           UINT64_MAX /* a shape that shares its batch with nothing */
#define BATCHER_MAX_RETRY_AFTER 60
#define BATCHER_MAX_THREADS     4096
#define BATCHER_MAX_HALVINGS    12 /* of BATCHER_MAX_THREADS */

enum batch_outcome {
    BATCH_FINISHED,  /* finish has been called */
    BATCH_FAILED,    /* prepare or run said so */
    BATCH_EXPIRED,   /* the deadline passed before the engine took it */
    BATCH_CANCELLED, /* the client went away before the engine took it */
    BATCH_DISPLACED, /* a more urgent one has its place in the queue */
};

/* Embedded in what the caller queues. The caller sets the first three fields, zeroes the rest, and touches none of them
 * but cancelled and (in prepare, run) shape and failed until done. */
struct batch_item {
    int priority;          /* BATCHER_HIGHEST..BATCHER_LOWEST; lower goes first, equal ones in order of arrival */
    uint64_t deadline_ns;  /* clock_now_ns; 0: none */
    atomic_bool cancelled; /* any thread may set it */
    bool failed;           /* set by prepare or run: the item is done */
    uint64_t shape;        /* set by prepare: items of equal shape share a batch */
    int slot;              /* 0..slots - 1, from prepare to run: a place for its input; else -1 */
    enum batch_outcome outcome;
    uint64_t sequence, arrived_ns, prepare_ns, ready_ns, run_ns, ran_ns, done_ns; /* when each stage began; 0: never */
    int batch_size;                                                               /* how many ran together */
    int retry_after_s;       /* of one that was displaced: when there will be room */
    struct batch_item *next; /* the batcher's */
};

struct batch_run {
    struct batch_item *const *items; /* sorted by slot */
    int count;
    int threads; /* of the engine, for this run */
    int stream;  /* 0.. streams - 1: no other run has this number meanwhile */
};

struct batcher_stages {
    void (*prepare)(void *user, struct batch_item *item);
    void (*run)(void *user, const struct batch_run *run); /* a call a stream at a time */
    void (*finish)(void *user, struct batch_item *item);
    void (*done)(void *user, struct batch_item *item); /* the item is the caller's again */
};

struct batcher_options {
    int max_batch;         /* 1..BATCHER_MAX_BATCH */
    uint64_t max_delay_ns; /* 0: run what is there */
    int max_queue;         /* items that wait, prepared or not; at least 1 */
    int pool_threads;      /* 1..BATCHER_MAX_POOL */
    int slots;             /* items from prepare to run; at least max_batch */
    int threads;           /* of the engine, for all runs together: 1..BATCHER_MAX_THREADS */
    int least_threads;     /* of a run, 1..threads; equal: one run at a time */
};

struct batcher_counts {
    int waiting, preparing, ready, running, finishing; /* now */
    uint64_t accepted, refused, finished, failed, expired, cancelled, displaced;
    uint64_t batches, batched;                   /* runs; items in them */
    uint64_t batch_sizes[BATCHER_MAX_BATCH + 1]; /* runs of each size */
    uint64_t halvings[BATCHER_MAX_HALVINGS + 1]; /* runs with all threads, with a half of them, ... */
    int threads;                                 /* that runs have now */
    double item_ms; /* the engine's pace, all threads at work: moving mean of a run's time * its share / its items */
};

struct batcher;

/* So many runs go on at once, at most. */
int batcher_streams(const struct batcher_options *options);

/* The largest share (threads, a half of them, ...; never below least_threads) that is not more than most. */
int batcher_share(const struct batcher_options *options, int most);

/* Starts the threads. stages is copied. SERIN_INVALID, SERIN_NOMEM. */
MUST_USE enum serin_errc batcher_new(const struct batcher_options *options, const struct batcher_stages *stages,
                                     void *user, struct batcher **ret, struct serin_error *error);

/* Queues count items of one priority, all or none, displacing less urgent ones where that makes room (their done is
 * called before this returns). False where they do not fit; then *ret_retry_after_s (1..BATCHER_MAX_RETRY_AFTER)
 * says when there will be room, by the measured pace. Any thread. */
bool batcher_offer(struct batcher *batcher, struct batch_item *const *items, int count, int *ret_retry_after_s);

/* Lets go at once of what waits (prepared or not) and has expired or was cancelled. Any thread but those of the stages.
 */
void batcher_sweep(struct batcher *batcher);

void batcher_count(struct batcher *batcher, struct batcher_counts *ret);

/* Ends what was accepted (without waiting for fuller batches), stops the threads, frees. Nothing may be offered any
 * more. NULL is fine. */
void batcher_close(struct batcher *batcher);

#endif
