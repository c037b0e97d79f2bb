/*
 * batcher_test.c - the batcher with an engine of paper, whose runs the test holds back and lets go.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/batcher.c"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HOUR_NS 3600000000000u
#define MANY    64

struct thing {
    struct batch_item item;
    int number;
    bool fail_prepare, fail_run, expire_when_ready;
    atomic_int prepared, ran, finished, done;
};

struct paper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;    /* runs wait, */
    int released; /* but those up to this one */
    int runs, done;
    int run_of[MANY]; /* which run took thing number n; 0: none */
    int size_of_run[MANY], threads_of_run[MANY], stream_of_run[MANY];
    struct batcher *batcher;
    struct thing things[MANY];
};

static void prepare(void *user, struct batch_item *item)
{
    struct thing *thing = (struct thing *)item;

    (void)user;
    thing->prepared++;
    item->failed = thing->fail_prepare;
    if (thing->expire_when_ready)
        item->deadline_ns = 1;
}

static void run(void *user, const struct batch_run *batch)
{
    struct paper *paper = user;
    int i, number;

    pthread_mutex_lock(&paper->lock);
    number = ++paper->runs;
    paper->size_of_run[number] = batch->count;
    paper->threads_of_run[number] = batch->threads;
    paper->stream_of_run[number] = batch->stream;
    for (i = 0; i < batch->count; i++) {
        struct batch_item *item = batch->items[i];
        struct thing *thing = (struct thing *)item;

        thing->ran++;
        paper->run_of[thing->number] = number;
        item->failed = thing->fail_run;
        assert_true(item->slot >= 0 && (i == 0 || item->slot > batch->items[i - 1]->slot));
    }
    pthread_cond_broadcast(&paper->changed);
    while (paper->held && number > paper->released)
        pthread_cond_wait(&paper->changed, &paper->lock);
    pthread_mutex_unlock(&paper->lock);
}

static void finish(void *user, struct batch_item *item)
{
    (void)user;
    ((struct thing *)item)->finished++;
}

static void done(void *user, struct batch_item *item)
{
    struct paper *paper = user;
    struct thing *thing = (struct thing *)item;

    pthread_mutex_lock(&paper->lock);
    thing->done++;
    paper->done++;
    pthread_cond_broadcast(&paper->changed);
    pthread_mutex_unlock(&paper->lock);
}

static const struct batcher_stages stages = {prepare, run, finish, done};

static void set_up(struct paper *paper, struct batcher_options options)
{
    int i;

    memset(paper, 0, sizeof(*paper));
    pthread_mutex_init(&paper->lock, NULL);
    pthread_cond_init(&paper->changed, NULL);
    for (i = 0; i < MANY; i++) {
        paper->things[i].number = i;
        paper->things[i].item.priority = BATCHER_USUAL;
    }
    if (!options.max_batch)
        options.max_batch = 4;
    if (!options.max_queue)
        options.max_queue = MANY;
    if (!options.pool_threads)
        options.pool_threads = 2;
    if (!options.slots)
        options.slots = 16;
    if (!options.threads)
        options.threads = options.least_threads = 1;
    assert_int_equal(batcher_new(&options, &stages, paper, &paper->batcher, NULL), SERIN_OK);
}

static void tear_down(struct paper *paper)
{
    batcher_close(paper->batcher);
    pthread_mutex_destroy(&paper->lock);
    pthread_cond_destroy(&paper->changed);
}

static bool offer(struct paper *paper, int first, int count)
{
    struct batch_item *items[MANY];
    int i, retry = 0;
    bool fits;

    for (i = 0; i < count; i++)
        items[i] = &paper->things[first + i].item;
    fits = batcher_offer(paper->batcher, items, count, &retry);
    assert_true(fits || (retry >= 1 && retry <= BATCHER_MAX_RETRY_AFTER));
    return fits;
}

static void hold(struct paper *paper, bool held)
{
    pthread_mutex_lock(&paper->lock);
    paper->held = held;
    pthread_cond_broadcast(&paper->changed);
    pthread_mutex_unlock(&paper->lock);
}

/* The run of that number, and those before it, may end. */
static void release(struct paper *paper, int run_number)
{
    pthread_mutex_lock(&paper->lock);
    paper->released = run_number;
    pthread_cond_broadcast(&paper->changed);
    pthread_mutex_unlock(&paper->lock);
}

static void wait_for(struct paper *paper, const int *value, int at_least)
{
    pthread_mutex_lock(&paper->lock);
    while (*value < at_least)
        pthread_cond_wait(&paper->changed, &paper->lock);
    pthread_mutex_unlock(&paper->lock);
}

static void wait_ready(struct paper *paper, int ready)
{
    struct batcher_counts counts;

    do {
        sched_yield();
        batcher_count(paper->batcher, &counts);
    } while (counts.ready != ready);
}

/* Thing 0 runs and stays in the engine: whatever follows meets a busy one. */
static void occupy(struct paper *paper)
{
    hold(paper, true);
    assert_true(offer(paper, 0, 1));
    wait_for(paper, &paper->runs, 1);
}

static void test_an_item_goes_through_every_stage_once(void **state)
{
    struct paper paper;
    struct batcher_counts counts;
    struct thing *thing = &paper.things[0];

    (void)state;
    set_up(&paper, (struct batcher_options){0});
    assert_true(offer(&paper, 0, 1));
    wait_for(&paper, &paper.done, 1);
    assert_int_equal(thing->prepared, 1);
    assert_int_equal(thing->ran, 1);
    assert_int_equal(thing->finished, 1);
    assert_int_equal(thing->item.outcome, BATCH_FINISHED);
    assert_int_equal(thing->item.batch_size, 1);
    assert_true(thing->item.arrived_ns <= thing->item.prepare_ns && thing->item.prepare_ns <= thing->item.ready_ns &&
                thing->item.ready_ns <= thing->item.run_ns && thing->item.run_ns <= thing->item.ran_ns &&
                thing->item.ran_ns <= thing->item.done_ns);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.finished, 1);
    assert_int_equal(counts.batch_sizes[1], 1);
    tear_down(&paper);
    assert_int_equal(thing->done, 1);
}

static void test_what_waits_for_a_busy_engine_runs_together(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){0});
    occupy(&paper);
    assert_true(offer(&paper, 1, 5));
    wait_ready(&paper, 5);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 6);
    assert_int_equal(paper.runs, 3);
    assert_int_equal(paper.size_of_run[2], 4); /* max_batch */
    assert_int_equal(paper.size_of_run[3], 1);
    tear_down(&paper);
}

static void test_only_equal_shapes_share_a_batch(void **state)
{
    struct paper paper;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 8, .pool_threads = 1});
    occupy(&paper);
    for (i = 1; i <= 6; i++)
        paper.things[i].item.shape = i % 2 ? 640 : 320;
    paper.things[7].item.shape = paper.things[8].item.shape = BATCHER_ALONE;
    assert_true(offer(&paper, 1, 8));
    wait_ready(&paper, 8);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 9);
    assert_int_equal(paper.runs, 5); /* 0; 1 3 5; 2 4 6; 7; 8 */
    assert_int_equal(paper.run_of[1], 2);
    assert_int_equal(paper.run_of[3], 2);
    assert_int_equal(paper.run_of[5], 2);
    assert_int_equal(paper.run_of[2], 3);
    assert_int_equal(paper.run_of[6], 3);
    assert_int_equal(paper.size_of_run[4], 1);
    assert_int_equal(paper.size_of_run[5], 1);
    tear_down(&paper);
}

static void test_the_urgent_go_first_and_equals_in_order(void **state)
{
    struct paper paper;
    static const int expected[] = {1, 4, 5, 6, 7, 2, 3}; /* the run of each */

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .pool_threads = 1});
    occupy(&paper);
    paper.things[4].item.priority = BATCHER_LOWEST;
    paper.things[5].item.priority = paper.things[6].item.priority = BATCHER_HIGHEST;
    assert_true(offer(&paper, 1, 6));
    wait_ready(&paper, 6);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 7);
    assert_memory_equal(paper.run_of, expected, sizeof(expected));
    tear_down(&paper);
}

static void test_a_full_queue_refuses_all_or_none(void **state)
{
    struct paper paper;
    struct batcher_counts counts;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_queue = 4});
    occupy(&paper);
    assert_true(offer(&paper, 1, 3));
    assert_false(offer(&paper, 4, 2)); /* one place is left */
    assert_true(offer(&paper, 6, 1));
    assert_false(offer(&paper, 7, 1));
    hold(&paper, false);
    wait_for(&paper, &paper.done, 5);
    assert_int_equal(paper.things[4].done + paper.things[5].done + paper.things[7].done, 0);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.refused, 3);
    assert_int_equal(counts.accepted, 5);
    assert_true(offer(&paper, 4, 2)); /* there is room again */
    wait_for(&paper, &paper.done, 7);
    tear_down(&paper);
}

static void test_the_urgent_displace_the_newest_of_the_least_urgent(void **state)
{
    struct paper paper;
    struct batcher_counts counts;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .max_queue = 4, .slots = 2, .pool_threads = 1});
    occupy(&paper);
    paper.things[1].item.priority = paper.things[12].item.priority = BATCHER_LOWEST;
    for (i = 5; i < 12; i++)
        paper.things[i].item.priority = BATCHER_HIGHEST;
    assert_true(offer(&paper, 1, 1));
    wait_ready(&paper, 1); /* prepared, in the last slot */
    assert_true(offer(&paper, 2, 3));
    assert_false(offer(&paper, 12, 1)); /* nothing is less urgent */
    assert_int_equal(paper.things[1].done, 0);
    assert_true(offer(&paper, 5, 2)); /* for 4 and 3, the newest: no work was spent on them */
    assert_int_equal(paper.things[4].item.outcome, BATCH_DISPLACED);
    assert_int_equal(paper.things[3].item.outcome, BATCH_DISPLACED);
    assert_true(paper.things[3].item.retry_after_s >= 1);
    assert_int_equal(paper.things[1].done + paper.things[2].done, 0);
    assert_false(offer(&paper, 7, 3)); /* two are less urgent, three are too many: none goes */
    assert_int_equal(paper.things[1].done + paper.things[2].done, 0);
    assert_false(offer(&paper, 7, 5)); /* more than the queue */
    assert_true(offer(&paper, 7, 2));  /* the last that waits, and the one that is prepared */
    assert_int_equal(paper.things[2].item.outcome, BATCH_DISPLACED);
    assert_int_equal(paper.things[1].item.outcome, BATCH_DISPLACED);
    assert_false(offer(&paper, 9, 1)); /* equals do not displace each other */
    hold(&paper, false);
    wait_for(&paper, &paper.done, 9);
    for (i = 5; i < 9; i++)
        assert_int_equal(paper.things[i].item.outcome, BATCH_FINISHED);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.displaced, 4);
    assert_int_equal(counts.accepted, 9);
    assert_int_equal(counts.refused, 10);
    tear_down(&paper);
}

static void test_retry_after_follows_the_pace(void **state)
{
    struct batcher batcher = {.counts = {.item_ms = 100}};

    (void)state;
    assert_int_equal(retry_after_s(&batcher, 3), 1);
    assert_int_equal(retry_after_s(&batcher, 25), 3);
    assert_int_equal(retry_after_s(&batcher, 100000), BATCHER_MAX_RETRY_AFTER);
}

static void test_expired_items_are_dropped_before_work_is_spent(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1});
    occupy(&paper);
    paper.things[1].item.deadline_ns = 1;     /* passed before anything began */
    paper.things[2].expire_when_ready = true; /* passed while the engine was busy */
    paper.things[3].item.deadline_ns = clock_now_ns() + HOUR_NS;
    assert_true(offer(&paper, 1, 3));
    wait_for(&paper, &paper.done, 1); /* thing 1 at once, though the engine is busy */
    hold(&paper, false);
    wait_for(&paper, &paper.done, 4);
    assert_int_equal(paper.things[1].item.outcome, BATCH_EXPIRED);
    assert_int_equal(paper.things[1].prepared, 0);
    assert_int_equal(paper.things[2].item.outcome, BATCH_EXPIRED);
    assert_int_equal(paper.things[2].prepared, 1);
    assert_int_equal(paper.things[2].ran, 0);
    assert_int_equal(paper.things[3].item.outcome, BATCH_FINISHED);
    tear_down(&paper);
}

static void test_a_sweep_ends_what_waits_while_the_engine_is_stuck(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .slots = 2, .pool_threads = 1});
    occupy(&paper);
    assert_true(offer(&paper, 1, 3)); /* one prepared in the second slot, two not */
    wait_ready(&paper, 1);
    paper.things[1].item.cancelled = true;
    paper.things[3].item.cancelled = true;
    batcher_sweep(paper.batcher);
    wait_for(&paper, &paper.done, 2);
    assert_int_equal(paper.things[1].item.outcome, BATCH_CANCELLED);
    assert_int_equal(paper.things[3].item.outcome, BATCH_CANCELLED);
    assert_int_equal(paper.things[3].prepared, 0);
    wait_ready(&paper, 1); /* the freed slot went to thing 2 */
    assert_int_equal(paper.things[2].prepared, 1);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 4);
    tear_down(&paper);
}

static void test_slots_bound_how_far_preparing_runs_ahead(void **state)
{
    struct paper paper;
    struct batcher_counts counts;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .slots = 3, .pool_threads = 4});
    occupy(&paper); /* holds a slot */
    assert_true(offer(&paper, 1, 6));
    wait_ready(&paper, 2);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.waiting, 4);
    assert_int_equal(counts.preparing, 0);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 7);
    tear_down(&paper);
}

static void test_failures_end_the_item_and_no_other(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){0});
    occupy(&paper);
    paper.things[1].fail_prepare = true;
    paper.things[2].fail_run = true;
    assert_true(offer(&paper, 1, 4));
    wait_ready(&paper, 3);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 5);
    assert_int_equal(paper.things[1].item.outcome, BATCH_FAILED);
    assert_int_equal(paper.things[1].ran, 0);
    assert_int_equal(paper.things[2].item.outcome, BATCH_FAILED);
    assert_int_equal(paper.things[2].finished, 0);
    assert_int_equal(paper.things[3].item.outcome, BATCH_FINISHED);
    assert_int_equal(paper.things[4].item.outcome, BATCH_FINISHED);
    assert_int_equal(paper.size_of_run[2], 3);
    tear_down(&paper);
}

static void test_a_delay_waits_for_a_full_batch(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_delay_ns = HOUR_NS});
    assert_true(offer(&paper, 0, 3));
    wait_ready(&paper, 3);
    assert_int_equal(paper.runs, 0);
    assert_true(offer(&paper, 3, 1));
    wait_for(&paper, &paper.done, 4);
    assert_int_equal(paper.runs, 1);
    assert_int_equal(paper.size_of_run[1], 4);
    tear_down(&paper);
}

static void test_a_delay_ends_when_the_oldest_has_waited(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_delay_ns = 1000000});
    assert_true(offer(&paper, 0, 1));
    wait_for(&paper, &paper.done, 1); /* hangs where the timer is not set */
    assert_int_equal(paper.size_of_run[1], 1);
    assert_true(paper.things[0].item.run_ns - paper.things[0].item.ready_ns >= 1000000);
    tear_down(&paper);
}

static void test_a_delay_does_not_outlast_a_deadline(void **state)
{
    struct paper paper;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_delay_ns = 2 * (uint64_t)HOUR_NS});
    paper.things[0].item.deadline_ns = clock_now_ns() + HOUR_NS;
    assert_true(offer(&paper, 0, 1));
    wait_for(&paper, &paper.done, 1);
    assert_int_equal(paper.things[0].item.outcome, BATCH_FINISHED);
    tear_down(&paper);
}

static void test_one_that_is_alone_has_all_threads_and_many_have_one_each(void **state)
{
    struct paper paper;
    struct batcher_counts counts;
    unsigned streams = 0;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .threads = 4, .least_threads = 1});
    occupy(&paper);
    assert_int_equal(paper.threads_of_run[1], 4);
    assert_true(offer(&paper, 1, 5));
    wait_ready(&paper, 5); /* no threads are left for them */
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.threads, 4);
    release(&paper, 1);
    wait_for(&paper, &paper.runs, 5);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.running, 4);
    assert_int_equal(counts.threads, 4);
    assert_int_equal(counts.ready, 1);
    for (i = 2; i <= 5; i++) {
        assert_int_equal(paper.threads_of_run[i], 1);
        streams |= 1u << paper.stream_of_run[i];
    }
    assert_int_equal(streams, 15); /* each another */
    hold(&paper, false);
    wait_for(&paper, &paper.done, 6);
    assert_int_equal(paper.runs, 6);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.threads, 0);
    assert_int_equal(counts.halvings[0], 1);
    assert_true(counts.halvings[2] >= 4);
    hold(&paper, true);
    assert_true(offer(&paper, 6, 1)); /* alone again */
    wait_for(&paper, &paper.runs, 7);
    assert_int_equal(paper.threads_of_run[7], 4);
    assert_int_equal(paper.stream_of_run[7], 0);
    hold(&paper, false);
    tear_down(&paper);
}

static void test_what_is_on_its_way_has_its_share(void **state)
{
    struct paper paper;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .threads = 8, .least_threads = 1, .pool_threads = 1});
    hold(&paper, true);
    assert_true(offer(&paper, 0, 3)); /* the first is ready before the others are */
    wait_for(&paper, &paper.runs, 3);
    for (i = 1; i <= 3; i++)
        assert_int_equal(paper.threads_of_run[i], 2); /* 8 / 3, 6 / 2; the third stream has no more than 8 / 3 */
    hold(&paper, false);
    tear_down(&paper);
}

static void test_threads_that_cannot_be_divided_are_not(void **state)
{
    struct paper paper;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .threads = 6, .least_threads = 4});
    assert_true(offer(&paper, 0, 4));
    wait_for(&paper, &paper.done, 4);
    for (i = 1; i <= 4; i++)
        assert_int_equal(paper.threads_of_run[i], 6);
    tear_down(&paper);
}

static void test_what_is_left_of_the_threads_is_not_a_share(void **state)
{
    struct paper paper;
    struct batcher_counts counts;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_batch = 1, .threads = 23, .least_threads = 3});
    hold(&paper, true);
    assert_true(offer(&paper, 0, 6));
    wait_for(&paper, &paper.runs, 4);
    wait_ready(&paper, 2);
    batcher_count(paper.batcher, &counts);
    assert_int_equal(counts.threads, 20);
    hold(&paper, false);
    wait_for(&paper, &paper.done, 6);
    tear_down(&paper);
}

static void test_shares_are_halves_of_halves(void **state)
{
    const struct batcher_options options = {.threads = 12, .least_threads = 2},
                                 odd = {.threads = 23, .least_threads = 3};
    static const int shares[] = {3, 3, 3, 3, 3, 3, 6, 6, 6, 6, 6, 6, 12, 12};
    int most;

    (void)state;
    assert_int_equal(batcher_streams(&options), 4);
    assert_int_equal(batcher_streams(&odd), 4); /* of 5 each: what is left is no share */
    for (most = 0; most < 14; most++)
        assert_int_equal(batcher_share(&options, most), shares[most]);
}

static void test_closing_ends_everything_accepted(void **state)
{
    struct paper paper;
    int i;

    (void)state;
    set_up(&paper, (struct batcher_options){.max_delay_ns = HOUR_NS, .max_batch = 16});
    paper.things[9].item.deadline_ns = 1;
    paper.things[8].fail_prepare = true;
    assert_true(offer(&paper, 0, 10));
    tear_down(&paper);
    for (i = 0; i < 10; i++)
        assert_int_equal(paper.things[i].done, 1);
    assert_int_equal(paper.things[0].item.outcome, BATCH_FINISHED);
}

static void test_bad_options_are_refused(void **state)
{
    static const struct batcher_options bad[] = {
        {.max_batch = 0, .max_queue = 1, .pool_threads = 1, .slots = 1},
        {.max_batch = BATCHER_MAX_BATCH + 1, .max_queue = 1, .pool_threads = 1, .slots = 100},
        {.max_batch = 1, .max_queue = 0, .pool_threads = 1, .slots = 1},
        {.max_batch = 2, .max_queue = 1, .pool_threads = 1, .slots = 1},
        {.max_batch = 1, .max_queue = 1, .pool_threads = 0, .slots = 1},
        {.max_batch = 1, .max_queue = 1, .pool_threads = 1, .slots = 1},
        {.max_batch = 1, .max_queue = 1, .pool_threads = 1, .slots = 1, .threads = 1, .least_threads = 2},
        {.max_batch = 1, .max_queue = 1, .pool_threads = 1, .slots = 1, .threads = 5000, .least_threads = 1},
    };
    struct batcher *batcher = NULL;
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(batcher_new(&bad[i], &stages, NULL, &batcher, &error), SERIN_INVALID);
    assert_null(batcher);
}

/* ---- many threads ---- */

#define PRODUCERS 4
#define EACH      2000

enum { CROWD_THREADS = 4 };

struct crowd {
    struct batcher *batcher;
    struct thing *things; /* [PRODUCERS * EACH] */
    atomic_int accepted, done, threads_at_work;
    atomic_bool streams_at_work[CROWD_THREADS];
};

static void crowd_run(void *user, const struct batch_run *batch)
{
    struct crowd *crowd = user;
    int i;

    assert_true(atomic_fetch_add(&crowd->threads_at_work, batch->threads) + batch->threads <= CROWD_THREADS);
    assert_false(atomic_exchange(&crowd->streams_at_work[batch->stream], true));
    for (i = 0; i < batch->count; i++)
        ((struct thing *)batch->items[i])->ran++;
    sched_yield();
    atomic_store(&crowd->streams_at_work[batch->stream], false);
    atomic_fetch_sub(&crowd->threads_at_work, batch->threads);
}

static void crowd_done(void *user, struct batch_item *item)
{
    ((struct thing *)item)->done++;
    atomic_fetch_add(&((struct crowd *)user)->done, 1);
}

struct producer {
    struct crowd *crowd;
    int number;
};

static void *produce(void *given)
{
    const struct producer *producer = given;
    unsigned random = 17u * (unsigned)producer->number + 1;
    int i, retry;

    for (i = 0; i < EACH; i++) {
        struct thing *thing = &producer->crowd->things[producer->number * EACH + i];
        struct batch_item *item = &thing->item;

        random = random * 1103515245u + 12345u;
        item->priority = BATCHER_HIGHEST + (int)(random >> 16) % BATCHER_LOWEST;
        item->shape = random >> 28 & 1;
        thing->fail_prepare = (random >> 20 & 15) == 0;
        if (batcher_offer(producer->crowd->batcher, &item, 1, &retry)) {
            atomic_fetch_add(&producer->crowd->accepted, 1);
            if ((random >> 24 & 7) == 0) {
                item->cancelled = true;
                batcher_sweep(producer->crowd->batcher);
            }
        } else {
            thing->number = -1;
            sched_yield();
        }
    }
    return NULL;
}

static void test_many_threads_lose_nothing_and_end_nothing_twice(void **state)
{
    static const struct batcher_options options = {
        .max_batch = 4, .max_queue = 16, .pool_threads = 3, .slots = 10, .threads = CROWD_THREADS, .least_threads = 1};
    const struct batcher_stages crowd_stages = {prepare, crowd_run, finish, crowd_done};
    struct crowd crowd = {.things = calloc(PRODUCERS * EACH, sizeof(*crowd.things))};
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int i;

    (void)state;
    assert_non_null(crowd.things);
    assert_int_equal(batcher_new(&options, &crowd_stages, &crowd, &crowd.batcher, NULL), SERIN_OK);
    for (i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    batcher_close(crowd.batcher);
    assert_true(crowd.accepted > 0);
    assert_int_equal(crowd.done, crowd.accepted);
    for (i = 0; i < PRODUCERS * EACH; i++) {
        const struct thing *thing = &crowd.things[i];

        assert_int_equal(thing->done, thing->number == -1 ? 0 : 1);
        if (thing->done && thing->item.outcome == BATCH_FINISHED)
            assert_true(thing->ran == 1 && thing->finished == 1 && thing->prepared == 1);
    }
    free(crowd.things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_item_goes_through_every_stage_once),
        cmocka_unit_test(test_what_waits_for_a_busy_engine_runs_together),
        cmocka_unit_test(test_only_equal_shapes_share_a_batch),
        cmocka_unit_test(test_the_urgent_go_first_and_equals_in_order),
        cmocka_unit_test(test_a_full_queue_refuses_all_or_none),
        cmocka_unit_test(test_the_urgent_displace_the_newest_of_the_least_urgent),
        cmocka_unit_test(test_retry_after_follows_the_pace),
        cmocka_unit_test(test_expired_items_are_dropped_before_work_is_spent),
        cmocka_unit_test(test_a_sweep_ends_what_waits_while_the_engine_is_stuck),
        cmocka_unit_test(test_slots_bound_how_far_preparing_runs_ahead),
        cmocka_unit_test(test_failures_end_the_item_and_no_other),
        cmocka_unit_test(test_a_delay_waits_for_a_full_batch),
        cmocka_unit_test(test_a_delay_ends_when_the_oldest_has_waited),
        cmocka_unit_test(test_a_delay_does_not_outlast_a_deadline),
        cmocka_unit_test(test_one_that_is_alone_has_all_threads_and_many_have_one_each),
        cmocka_unit_test(test_what_is_on_its_way_has_its_share),
        cmocka_unit_test(test_threads_that_cannot_be_divided_are_not),
        cmocka_unit_test(test_what_is_left_of_the_threads_is_not_a_share),
        cmocka_unit_test(test_shares_are_halves_of_halves),
        cmocka_unit_test(test_closing_ends_everything_accepted),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_many_threads_lose_nothing_and_end_nothing_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
