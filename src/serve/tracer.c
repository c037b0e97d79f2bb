/*
 * tracer.c - a ring of traced requests, and the thread that sends them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/tracer.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "serve/log.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define BATCH          100
#define GATHER_MS      1000 /* a batch waits so long for more */
#define CONNECT_MS     2000
#define POST_MS        5000
#define MAX_JSON_BYTES ((size_t)8 << 20) /* a batch has 13 spans a request at the most, each under 2 KB */
#define LOCK_TRIES     100               /* as log.c: it is held for a pointer, or for a batch of them */

struct tracer {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t sender;
    struct gateway_trace *ring[TRACER_QUEUE];
    unsigned first, count;
    bool closing;
    _Atomic uint64_t deadline_ns; /* of the end; 0: it is not near */
    _Atomic uint64_t sent, dropped;
    char *endpoint;
    struct log *log;
    /* the sender's own */
    CURL *curl;
    struct curl_slist *fields;
    bool failing;
    char why[CURL_ERROR_SIZE];
};

static size_t pass_over(char *bytes, size_t one, size_t count, void *user)
{
    (void)bytes, (void)user;
    return one * count;
}

static int is_over(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct tracer *tracer = user;
    uint64_t deadline_ns = atomic_load(&tracer->deadline_ns);

    (void)down_total, (void)down, (void)up_total, (void)up;
    return deadline_ns && clock_now_ns() > deadline_ns;
}

/* Whether the collector took it. */
static bool post(struct tracer *tracer, const struct buffer *body)
{
    uint64_t deadline_ns = atomic_load(&tracer->deadline_ns), now_ns = clock_now_ns();
    long status = 0, limit_ms = POST_MS;
    CURLcode rc;

    if (deadline_ns && now_ns >= deadline_ns)
        return false;
    if (deadline_ns)
        limit_ms = 1 + (long)((deadline_ns - now_ns) / 1000000);
    tracer->why[0] = '\0';
    curl_easy_setopt(tracer->curl, CURLOPT_TIMEOUT_MS, limit_ms);
    curl_easy_setopt(tracer->curl, CURLOPT_POSTFIELDS, body->bytes);
    curl_easy_setopt(tracer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
    rc = curl_easy_perform(tracer->curl);
    curl_easy_getinfo(tracer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK && !tracer->why[0])
        snprintf(tracer->why, sizeof(tracer->why), "%s", curl_easy_strerror(rc));
    else if (rc == CURLE_OK && status / 100 != 2)
        snprintf(tracer->why, sizeof(tracer->why), "it answers with status %ld", status);
    return rc == CURLE_OK && status / 100 == 2;
}

/* Once when it begins to fail, and once when it no longer does. */
static void tell(struct tracer *tracer, bool failed)
{
    if (failed && !tracer->failing)
        log_event(tracer->log, "warn", "sending traces",
                  "the collector takes none, and what it should get is dropped: %s", tracer->why);
    else if (!failed && tracer->failing)
        log_event(tracer->log, "info", "sending traces", "the collector takes them again");
    tracer->failing = failed;
}

static void send_batch(struct tracer *tracer, struct gateway_trace **batch, int count)
{
    struct buffer body;
    bool sent;
    int i;

    buffer_init(&body, MAX_JSON_BYTES);
    trace_write_json(batch, count, &body);
    sent = body.failed == SERIN_OK && post(tracer, &body);
    atomic_fetch_add(sent ? &tracer->sent : &tracer->dropped, (uint64_t)count);
    tell(tracer, !sent);
    buffer_done(&body);
    for (i = 0; i < count; i++)
        free(batch[i]);
}

static void *send_on(void *argument)
{
    struct tracer *tracer = argument;
    struct gateway_trace *batch[BATCH];
    bool over = false;

    while (!over) {
        struct timespec until;
        int count = 0;

        pthread_mutex_lock(&tracer->lock);
        if (tracer->count < BATCH && !tracer->closing) {
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += GATHER_MS / 1000;
            pthread_cond_timedwait(&tracer->filled, &tracer->lock, &until);
        }
        for (; count < BATCH && tracer->count > 0; count++) {
            batch[count] = tracer->ring[tracer->first++ % TRACER_QUEUE];
            tracer->count--;
        }
        over = tracer->closing && tracer->count == 0;
        pthread_mutex_unlock(&tracer->lock);
        if (count > 0)
            send_batch(tracer, batch, count);
    }
    return NULL;
}

static bool try_lock(struct tracer *tracer)
{
    int i;

    for (i = 0; i < LOCK_TRIES; i++) {
        if (pthread_mutex_trylock(&tracer->lock) == 0)
            return true;
        sched_yield();
    }
    return false;
}

void tracer_take(void *user, struct gateway_trace *trace)
{
    struct tracer *tracer = user;
    bool taken = false;

    if (try_lock(tracer)) {
        taken = tracer->count < TRACER_QUEUE;
        if (taken)
            tracer->ring[(tracer->first + tracer->count++) % TRACER_QUEUE] = trace;
        if (tracer->count >= BATCH)
            pthread_cond_signal(&tracer->filled);
        pthread_mutex_unlock(&tracer->lock);
    }
    if (!taken) {
        atomic_fetch_add(&tracer->dropped, 1);
        free(trace);
    }
}

static enum serin_errc prepare_curl(struct tracer *tracer, struct serin_error *error)
{
    enum serin_errc rc;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        tracer->curl = curl_easy_init();
    tracer->fields = curl_slist_append(NULL, "Content-Type: application/json");
    if (!tracer->curl || !tracer->fields)
        return error_set(error, SERIN_NOMEM, "no memory for traces");
    rc = trace_fields_read(&tracer->fields, error);
    if (rc != SERIN_OK)
        return rc;
    curl_easy_setopt(tracer->curl, CURLOPT_URL, tracer->endpoint);
    curl_easy_setopt(tracer->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(tracer->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(tracer->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(tracer->curl, CURLOPT_HTTPHEADER, tracer->fields);
    curl_easy_setopt(tracer->curl, CURLOPT_ERRORBUFFER, tracer->why);
    curl_easy_setopt(tracer->curl, CURLOPT_WRITEFUNCTION, pass_over);
    curl_easy_setopt(tracer->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(tracer->curl, CURLOPT_XFERINFOFUNCTION, is_over);
    curl_easy_setopt(tracer->curl, CURLOPT_XFERINFODATA, tracer);
    return SERIN_OK;
}

static void free_tracer(struct tracer *tracer)
{
    curl_easy_cleanup(tracer->curl);
    curl_slist_free_all(tracer->fields);
    pthread_mutex_destroy(&tracer->lock);
    pthread_cond_destroy(&tracer->filled);
    free(tracer->endpoint);
    free(tracer);
}

enum serin_errc tracer_new(const char *endpoint, struct log *log, struct tracer **ret, struct serin_error *error)
{
    struct tracer *tracer = calloc(1, sizeof(*tracer));
    enum serin_errc rc;

    if (!tracer)
        return error_set(error, SERIN_NOMEM, "no memory for traces");
    tracer->log = log;
    tracer->endpoint = strdup(endpoint);
    pthread_mutex_init(&tracer->lock, NULL);
    clock_init_cond(&tracer->filled);
    rc = tracer->endpoint ? prepare_curl(tracer, error) : error_set(error, SERIN_NOMEM, "no memory for traces");
    if (rc == SERIN_OK && pthread_create(&tracer->sender, NULL, send_on, tracer) != 0)
        rc = error_set(error, SERIN_NOMEM, "no thread for traces");
    if (rc != SERIN_OK) {
        free_tracer(tracer);
        return rc;
    }
    *ret = tracer;
    return SERIN_OK;
}

void tracer_close(struct tracer *tracer)
{
    if (!tracer)
        return;
    atomic_store(&tracer->deadline_ns, clock_now_ns() + TRACER_CLOSE_MS * (uint64_t)1000000);
    pthread_mutex_lock(&tracer->lock);
    tracer->closing = true;
    pthread_cond_signal(&tracer->filled);
    pthread_mutex_unlock(&tracer->lock);
    pthread_join(tracer->sender, NULL);
    free_tracer(tracer);
}

struct tracer_counts tracer_counts(const struct tracer *tracer)
{
    struct tracer_counts counts = {0};

    if (tracer) {
        counts.sent = atomic_load(&tracer->sent);
        counts.dropped = atomic_load(&tracer->dropped);
    }
    return counts;
}
