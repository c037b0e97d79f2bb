/*
 * batcher.c - one lock, three queues, and the threads between them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariants, under the lock: every accepted item is in exactly one of waiting, ready, finishing or in the hands of one
 * thread (counted in preparing or running); waiting + preparing + ready <= max_queue; an item has a slot from its
 * prepare until it has run, and slots bound how far the pool runs ahead of the engine, since prepared pictures are
 * large. Finishing goes before preparing, so that what is nearly done frees its memory first.
 *
 * Queues are short (max_queue) and sorted on insertion; a walk costs less than the picture it is for by orders.
 */
#include "worker/batcher.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACE_WEIGHT 0.1 /* of the newest run in the moving mean */

struct queue {
    struct batch_item *first;
    int count;
};

/* A thread that runs batches. */
struct stream {
    struct batcher *batcher;
    int number;
    pthread_t thread;
    pthread_cond_t wake;
    bool busy; /* runs a batch */
};

struct batcher {
    struct batcher_options options;
    struct batcher_stages stages;
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the pool: something to finish, or to prepare and a slot */
    struct queue waiting, ready, finishing;
    bool *slot_taken; /* [slots] */
    int next_slot;    /* slots are handed out in a circle: neighbours in time are neighbours in memory */
    bool closing;
    uint64_t sequence;
    struct batcher_counts counts;
    struct stream *streams; /* [stream_count] */
    int stream_count, streams_started, streams_left;
    pthread_t pool[BATCHER_MAX_POOL];
    int pool_started;
};

/* ---- queues ---- */

static void queue_put(struct queue *queue, struct batch_item *item)
{
    struct batch_item **at = &queue->first;

    while (*at && ((*at)->priority < item->priority ||
                   ((*at)->priority == item->priority && (*at)->sequence < item->sequence)))
        at = &(*at)->next;
    item->next = *at;
    *at = item;
    queue->count++;
}

static struct batch_item *queue_take(struct queue *queue, struct batch_item **at)
{
    struct batch_item *item = *at;

    *at = item->next;
    item->next = NULL;
    queue->count--;
    return item;
}

static bool is_over(const struct batch_item *item, uint64_t now_ns, enum batch_outcome *ret)
{
    if (atomic_load_explicit(&item->cancelled, memory_order_relaxed)) {
        *ret = BATCH_CANCELLED;
        return true;
    }
    *ret = BATCH_EXPIRED;
    return item->deadline_ns && now_ns >= item->deadline_ns;
}

/* ---- slots ---- */

static bool take_slot(struct batcher *batcher, int *ret)
{
    int i;

    for (i = 0; i < batcher->options.slots; i++) {
        int slot = (batcher->next_slot + i) % batcher->options.slots;

        if (!batcher->slot_taken[slot]) {
            batcher->slot_taken[slot] = true;
            batcher->next_slot = (slot + 1) % batcher->options.slots;
            *ret = slot;
            return true;
        }
    }
    return false;
}

static void free_slot(struct batcher *batcher, struct batch_item *item)
{
    if (item->slot < 0)
        return;
    batcher->slot_taken[item->slot] = false;
    item->slot = -1;
    pthread_cond_signal(&batcher->work);
}

/* ---- waking streams ---- */

/* The one that takes the next batch; NULL: all are busy, and each looks at the queue as it ends. */
static struct stream *next_stream(const struct batcher *batcher)
{
    int i;

    for (i = 0; i < batcher->stream_count; i++)
        if (!batcher->streams[i].busy)
            return &batcher->streams[i];
    return NULL;
}

static void wake_next(struct batcher *batcher)
{
    struct stream *stream = next_stream(batcher);

    if (stream)
        pthread_cond_signal(&stream->wake);
}

static void wake_all(struct batcher *batcher)
{
    int i;

    for (i = 0; i < batcher->stream_count; i++)
        pthread_cond_signal(&batcher->streams[i].wake);
}

/* ---- the end of an item ---- */

/* Called with the lock, which is let go of during the callback. */
static void end_item(struct batcher *batcher, struct batch_item *item, enum batch_outcome outcome)
{
    free_slot(batcher, item);
    if (batcher->closing) /* it may have been the last that the streams waited for */
        wake_all(batcher);
    item->outcome = outcome;
    item->done_ns = clock_now_ns();
    batcher->counts.finished += outcome == BATCH_FINISHED;
    batcher->counts.failed += outcome == BATCH_FAILED;
    batcher->counts.expired += outcome == BATCH_EXPIRED;
    batcher->counts.cancelled += outcome == BATCH_CANCELLED;
    batcher->counts.displaced += outcome == BATCH_DISPLACED;
    pthread_mutex_unlock(&batcher->lock);
    batcher->stages.done(batcher->user, item);
    pthread_mutex_lock(&batcher->lock);
}

/* Ends the items of a list with the outcome that each has. Ending lets go of the lock, so that they must have left
 * their queues. */
static void end_list(struct batcher *batcher, struct batch_item *over)
{
    while (over) {
        struct batch_item *item = over;

        over = item->next;
        item->next = NULL;
        end_item(batcher, item, item->outcome);
    }
}

/* Takes what is over out of a queue, then ends it. */
static void sweep_queue(struct batcher *batcher, struct queue *queue, uint64_t now_ns)
{
    struct batch_item **at = &queue->first, *over = NULL;
    enum batch_outcome outcome;

    while (*at) {
        if (is_over(*at, now_ns, &outcome)) {
            struct batch_item *item = queue_take(queue, at);

            item->outcome = outcome;
            item->next = over;
            over = item;
        } else {
            at = &(*at)->next;
        }
    }
    end_list(batcher, over);
}

/* ---- the pool ---- */

static void finish_one(struct batcher *batcher)
{
    struct batch_item *item = queue_take(&batcher->finishing, &batcher->finishing.first);

    batcher->counts.finishing++;
    pthread_mutex_unlock(&batcher->lock);
    batcher->stages.finish(batcher->user, item);
    pthread_mutex_lock(&batcher->lock);
    batcher->counts.finishing--;
    end_item(batcher, item, BATCH_FINISHED);
}

static void prepare_one(struct batcher *batcher, int slot)
{
    struct batch_item *item = queue_take(&batcher->waiting, &batcher->waiting.first);
    enum batch_outcome outcome;

    item->slot = slot;
    item->prepare_ns = clock_now_ns();
    if (is_over(item, item->prepare_ns, &outcome)) {
        item->prepare_ns = 0;
        end_item(batcher, item, outcome);
        return;
    }
    batcher->counts.preparing++;
    pthread_mutex_unlock(&batcher->lock);
    batcher->stages.prepare(batcher->user, item);
    pthread_mutex_lock(&batcher->lock);
    batcher->counts.preparing--;
    if (item->failed) {
        end_item(batcher, item, BATCH_FAILED);
        return;
    }
    item->ready_ns = clock_now_ns();
    queue_put(&batcher->ready, item);
    wake_next(batcher);
}

static bool pool_is_done(const struct batcher *batcher)
{
    return batcher->closing && batcher->streams_left == 0 && !batcher->finishing.first && !batcher->waiting.first;
}

static void *pool_thread(void *given)
{
    struct batcher *batcher = given;
    int slot;

    pthread_mutex_lock(&batcher->lock);
    while (!pool_is_done(batcher)) {
        if (batcher->finishing.first)
            finish_one(batcher);
        else if (batcher->waiting.first && take_slot(batcher, &slot))
            prepare_one(batcher, slot);
        else
            pthread_cond_wait(&batcher->work, &batcher->lock);
    }
    pthread_cond_broadcast(&batcher->work);
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

/* ---- streams ---- */

static int halvings_to(const struct batcher_options *options, int most)
{
    int halvings = 0;

    while (options->threads >> halvings > most && options->threads >> (halvings + 1) >= options->least_threads)
        halvings++;
    return halvings;
}

int batcher_share(const struct batcher_options *options, int most)
{
    return options->threads >> halvings_to(options, most);
}

int batcher_streams(const struct batcher_options *options)
{
    return options->threads / batcher_share(options, 0);
}

static int free_threads(const struct batcher *batcher)
{
    return batcher->options.threads - batcher->counts.threads;
}

/* Of the threads that are free, for the run that this stream starts, while its items are still in the queue. */
static int halvings_for(const struct batcher *batcher, const struct stream *stream)
{
    const int items = batcher->waiting.count + batcher->counts.preparing + batcher->ready.count;
    const int runs = (items + batcher->options.max_batch - 1) / batcher->options.max_batch;
    int most = free_threads(batcher) / runs;

    if (most > batcher->options.threads / (stream->number + 1))
        most = batcher->options.threads / (stream->number + 1);
    return halvings_to(&batcher->options, most);
}

/* Until when the batch that would run now may wait for more of its shape; 0: it runs at once, because it is full,
 * nothing more can come, or an item's deadline would pass in the meantime. */
static uint64_t wait_for_more(const struct batcher *batcher)
{
    const struct batch_item *first = batcher->ready.first, *item;
    uint64_t until_ns = UINT64_MAX, deadline_ns = UINT64_MAX;
    int count = 0;

    if (batcher->options.max_delay_ns == 0 || batcher->closing || first->shape == BATCHER_ALONE)
        return 0;
    for (item = first; item; item = item->next) {
        if (item->shape != first->shape)
            continue;
        if (++count == batcher->options.max_batch)
            return 0;
        if (item->ready_ns + batcher->options.max_delay_ns < until_ns)
            until_ns = item->ready_ns + batcher->options.max_delay_ns;
        if (item->deadline_ns && item->deadline_ns < deadline_ns)
            deadline_ns = item->deadline_ns;
    }
    return deadline_ns <= until_ns ? 0 : until_ns;
}

/* 0: for ever. */
static void wait_until(struct stream *stream, uint64_t when_ns)
{
    struct timespec when = {.tv_sec = (time_t)(when_ns / 1000000000u), .tv_nsec = (long)(when_ns % 1000000000u)};

    if (when_ns)
        pthread_cond_timedwait(&stream->wake, &stream->batcher->lock, &when);
    else
        pthread_cond_wait(&stream->wake, &stream->batcher->lock);
}

static int take_batch(struct batcher *batcher, struct batch_item **batch)
{
    struct batch_item **at = &batcher->ready.first;
    uint64_t shape = batcher->ready.first->shape;
    int count = 0, i;

    do {
        struct batch_item *item;

        if (count && (*at)->shape != shape) {
            at = &(*at)->next;
            continue;
        }
        item = queue_take(&batcher->ready, at);
        for (i = count++; i > 0 && batch[i - 1]->slot > item->slot; i--)
            batch[i] = batch[i - 1];
        batch[i] = item;
    } while (*at && count < batcher->options.max_batch && shape != BATCHER_ALONE);
    return count;
}

static void run_batch(struct stream *stream)
{
    struct batcher *batcher = stream->batcher;
    struct batch_item *batch[BATCHER_MAX_BATCH] = {NULL}, *failed[BATCHER_MAX_BATCH];
    const int halvings = halvings_for(batcher, stream), threads = batcher->options.threads >> halvings;
    const int count = take_batch(batcher, batch);
    int failed_count = 0, i;
    uint64_t start = clock_now_ns(), end;
    double item_ms;

    batcher->counts.running += count;
    batcher->counts.threads += threads;
    stream->busy = true;
    if (batcher->ready.first)
        wake_next(batcher);
    pthread_mutex_unlock(&batcher->lock);
    for (i = 0; i < count; i++) {
        batch[i]->run_ns = start;
        batch[i]->batch_size = count;
    }
    batcher->stages.run(batcher->user, &(struct batch_run){batch, count, threads, stream->number});
    end = clock_now_ns();
    item_ms = (double)(end - start) / 1e6 / count * threads / batcher->options.threads;
    pthread_mutex_lock(&batcher->lock);
    batcher->counts.running -= count;
    batcher->counts.threads -= threads;
    stream->busy = false;
    batcher->counts.halvings[halvings]++;
    batcher->counts.item_ms +=
        batcher->counts.batches == 0 ? item_ms : (item_ms - batcher->counts.item_ms) * PACE_WEIGHT;
    batcher->counts.batches++;
    batcher->counts.batched += (uint64_t)count;
    batcher->counts.batch_sizes[count]++;
    for (i = 0; i < count; i++) { /* all are put away before the lock is let go of, since then they may be gone */
        batch[i]->ran_ns = end;
        free_slot(batcher, batch[i]);
        if (batch[i]->failed)
            failed[failed_count++] = batch[i];
        else
            queue_put(&batcher->finishing, batch[i]);
    }
    pthread_cond_broadcast(&batcher->work);
    for (i = 0; i < failed_count; i++)
        end_item(batcher, failed[i], BATCH_FAILED);
}

static void *stream_thread(void *given)
{
    struct stream *stream = given;
    struct batcher *batcher = stream->batcher;
    uint64_t until_ns;

    pthread_mutex_lock(&batcher->lock);
    for (;;) {
        sweep_queue(batcher, &batcher->ready, clock_now_ns());
        if (!batcher->ready.first) {
            if (batcher->closing && !batcher->waiting.first && !batcher->counts.preparing)
                break;
            wait_until(stream, 0);
            continue;
        }
        if (free_threads(batcher) < batcher_share(&batcher->options, 0) || stream != next_stream(batcher)) {
            wake_next(batcher);
            wait_until(stream, 0);
            continue;
        }
        until_ns = wait_for_more(batcher);
        if (clock_now_ns() < until_ns)
            wait_until(stream, until_ns);
        else
            run_batch(stream);
    }
    batcher->streams_left--;
    pthread_cond_broadcast(&batcher->work);
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

/* ---- from outside ---- */

static int retry_after_s(const struct batcher *batcher, int queued)
{
    double seconds = (queued + batcher->counts.running) * batcher->counts.item_ms / 1000;

    if (seconds >= BATCHER_MAX_RETRY_AFTER)
        return BATCHER_MAX_RETRY_AFTER;
    return seconds <= 1 ? 1 : (int)seconds + 1;
}

static int count_less_urgent(const struct queue *queue, int priority)
{
    const struct batch_item *item;
    int count = 0;

    for (item = queue->first; item; item = item->next)
        count += item->priority > priority;
    return count;
}

/* Takes the last count items out of a queue, which are the newest of the least urgent, and puts them before over. */
static struct batch_item *displace(struct queue *queue, int count, int retry_s, struct batch_item *over)
{
    struct batch_item **at = &queue->first;
    int i;

    for (i = count; *at && i < queue->count; i++)
        at = &(*at)->next;
    while (*at) {
        struct batch_item *item = queue_take(queue, at);

        item->outcome = BATCH_DISPLACED;
        item->retry_after_s = retry_s;
        item->next = over;
        over = item;
    }
    return over;
}

/* Makes room for count items of that priority where enough that is less urgent waits; what is prepared already goes
 * last. The displaced come back in *over, to be ended once the newcomers have their places. */
static bool make_room(struct batcher *batcher, int missing, int priority, int retry_s, struct batch_item **over)
{
    int waiting = count_less_urgent(&batcher->waiting, priority), ready;

    if (waiting > missing)
        waiting = missing;
    ready = missing - waiting;
    if (ready > count_less_urgent(&batcher->ready, priority))
        return false;
    *over = displace(&batcher->waiting, waiting, retry_s, *over);
    *over = displace(&batcher->ready, ready, retry_s, *over);
    return true;
}

bool batcher_offer(struct batcher *batcher, struct batch_item *const *items, int count, int *ret_retry_after_s)
{
    uint64_t now = clock_now_ns();
    struct batch_item *over = NULL;
    int queued, missing, retry_s, i;
    bool fits;

    pthread_mutex_lock(&batcher->lock);
    BUG_ON(batcher->closing);
    queued = batcher->waiting.count + batcher->counts.preparing + batcher->ready.count;
    missing = count - (batcher->options.max_queue - queued);
    retry_s = retry_after_s(batcher, queued);
    fits = missing <= 0 ||
           (count <= batcher->options.max_queue && make_room(batcher, missing, items[0]->priority, retry_s, &over));
    if (fits) {
        for (i = 0; i < count; i++) {
            items[i]->sequence = batcher->sequence++;
            items[i]->arrived_ns = now;
            items[i]->slot = -1;
            queue_put(&batcher->waiting, items[i]);
        }
        batcher->counts.accepted += (uint64_t)count;
        if (count == 1)
            pthread_cond_signal(&batcher->work);
        else
            pthread_cond_broadcast(&batcher->work);
    } else {
        batcher->counts.refused += (uint64_t)count;
        *ret_retry_after_s = retry_s;
    }
    end_list(batcher, over);
    pthread_mutex_unlock(&batcher->lock);
    return fits;
}

void batcher_sweep(struct batcher *batcher)
{
    uint64_t now = clock_now_ns();

    pthread_mutex_lock(&batcher->lock);
    sweep_queue(batcher, &batcher->waiting, now);
    sweep_queue(batcher, &batcher->ready, now);
    wake_next(batcher);
    pthread_mutex_unlock(&batcher->lock);
}

void batcher_count(struct batcher *batcher, struct batcher_counts *ret)
{
    pthread_mutex_lock(&batcher->lock);
    *ret = batcher->counts;
    ret->waiting = batcher->waiting.count;
    ret->ready = batcher->ready.count;
    ret->finishing += batcher->finishing.count;
    pthread_mutex_unlock(&batcher->lock);
}

static enum serin_errc start_threads(struct batcher *batcher, struct serin_error *error)
{
    while (batcher->pool_started < batcher->options.pool_threads) {
        if (pthread_create(&batcher->pool[batcher->pool_started], NULL, pool_thread, batcher) != 0)
            return error_set(error, SERIN_NOMEM, "could not start thread %d of %d", batcher->pool_started + 1,
                             batcher->options.pool_threads + 1);
        batcher->pool_started++;
    }
    pthread_mutex_lock(&batcher->lock); /* a stream that ends counts itself off */
    while (batcher->streams_started < batcher->stream_count) {
        struct stream *stream = &batcher->streams[batcher->streams_started];

        if (pthread_create(&stream->thread, NULL, stream_thread, stream) != 0)
            break;
        batcher->streams_started++;
        batcher->streams_left++;
    }
    pthread_mutex_unlock(&batcher->lock);
    return batcher->streams_started == batcher->stream_count
               ? SERIN_OK
               : error_set(error, SERIN_NOMEM, "could not start thread %d of %d that run batches",
                           batcher->streams_started + 1, batcher->stream_count);
}

enum serin_errc batcher_new(const struct batcher_options *options, const struct batcher_stages *stages, void *user,
                            struct batcher **ret, struct serin_error *error)
{
    struct batcher *batcher;
    enum serin_errc rc;

    if (options->max_batch < 1 || options->max_batch > BATCHER_MAX_BATCH)
        return error_set(error, SERIN_INVALID, "batches of %d: 1 to %d are possible", options->max_batch,
                         BATCHER_MAX_BATCH);
    if (options->pool_threads < 1 || options->pool_threads > BATCHER_MAX_POOL)
        return error_set(error, SERIN_INVALID, "%d decoding threads: 1 to %d are possible", options->pool_threads,
                         BATCHER_MAX_POOL);
    if (options->max_queue < 1 || options->slots < options->max_batch)
        return error_set(error, SERIN_INVALID, "a queue of %d and %d slots: at least 1, and a slot for each of a batch",
                         options->max_queue, options->slots);
    if (options->threads < 1 || options->threads > BATCHER_MAX_THREADS || options->least_threads < 1 ||
        options->least_threads > options->threads)
        return error_set(error, SERIN_INVALID, "%d threads, at least %d for a run: 1 to %d are possible",
                         options->threads, options->least_threads, BATCHER_MAX_THREADS);
    batcher = calloc(1, sizeof(*batcher));
    if (!batcher)
        return error_set(error, SERIN_NOMEM, "no memory for a queue");
    batcher->options = *options;
    batcher->stages = *stages;
    batcher->user = user;
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_cond_init(&batcher->work, NULL);
    batcher->slot_taken = calloc((size_t)options->slots, sizeof(*batcher->slot_taken));
    batcher->streams = calloc((size_t)batcher_streams(options), sizeof(*batcher->streams));
    if (batcher->streams)
        for (; batcher->stream_count < batcher_streams(options); batcher->stream_count++) {
            batcher->streams[batcher->stream_count].batcher = batcher;
            batcher->streams[batcher->stream_count].number = batcher->stream_count;
            clock_init_cond(&batcher->streams[batcher->stream_count].wake);
        }
    rc = batcher->slot_taken && batcher->streams
             ? start_threads(batcher, error)
             : error_set(error, SERIN_NOMEM, "no memory for %d slots", options->slots);
    if (rc != SERIN_OK) {
        batcher_close(batcher);
        return rc;
    }
    *ret = batcher;
    return SERIN_OK;
}

void batcher_close(struct batcher *batcher)
{
    int i;

    if (!batcher)
        return;
    pthread_mutex_lock(&batcher->lock);
    batcher->closing = true;
    pthread_cond_broadcast(&batcher->work);
    wake_all(batcher);
    pthread_mutex_unlock(&batcher->lock);
    for (i = 0; i < batcher->streams_started; i++)
        pthread_join(batcher->streams[i].thread, NULL);
    for (i = 0; i < batcher->pool_started; i++)
        pthread_join(batcher->pool[i], NULL);
    pthread_cond_destroy(&batcher->work);
    for (i = 0; i < batcher->stream_count; i++)
        pthread_cond_destroy(&batcher->streams[i].wake);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher->streams);
    free(batcher->slot_taken);
    free(batcher);
}
