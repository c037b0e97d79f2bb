/*
 * log.c - two buffers and a writer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/log.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)8 << 20) /* a second of the busiest log, where the writer does not get to run */
#define FLUSH_MS     200
#define LOCK_TRIES   100 /* the lock is held for one copy or a swap of pointers */

struct log {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t writer;
    char *filling, *writing; /* BUFFER_BYTES each */
    size_t used;
    _Atomic unsigned long taken, dropped, untold; /* untold: of the dropped ones */
    bool closing;
    int fd;
};

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* a full disk must not stop the service; what could not be written is lost */
            return;
        bytes += n;
        size -= (size_t)n;
    }
}

static void *write_on(void *argument)
{
    struct log *log = argument;
    bool closing = false;

    while (!closing) {
        struct timespec until;
        unsigned long dropped;
        size_t size;
        char *full;

        pthread_mutex_lock(&log->lock);
        if (log->used < BUFFER_BYTES / 2 && !log->closing) {
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += FLUSH_MS * 1000000L;
            until.tv_sec += until.tv_nsec / 1000000000L;
            until.tv_nsec %= 1000000000L;
            pthread_cond_timedwait(&log->filled, &log->lock, &until);
        }
        closing = log->closing;
        full = log->filling;
        size = log->used;
        log->filling = log->writing;
        log->writing = full;
        log->used = 0;
        pthread_mutex_unlock(&log->lock);
        write_all(log->fd, full, size);
        dropped = atomic_exchange(&log->untold, 0);
        if (dropped) {
            char line[128];
            int n = snprintf(line, sizeof(line),
                             "{\"event.dataset\":\"serin.log\",\"message\":\"%lu lines dropped\"}\n", dropped);

            write_all(log->fd, line, (size_t)n);
        }
    }
    return NULL;
}

enum serin_errc log_open(const char *path, struct log **ret, struct serin_error *error)
{
    struct log *log = calloc(1, sizeof(*log));

    if (!log)
        return error_set(error, SERIN_NOMEM, "no memory for a log");
    log->fd = -1;
    if (strcmp(path, "-") == 0)
        log->fd = dup(STDERR_FILENO);
    else if (path[0])
        log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (log->fd < 0 && path[0]) {
        enum serin_errc rc = error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));

        free(log);
        return rc;
    }
    log->filling = malloc(BUFFER_BYTES);
    log->writing = malloc(BUFFER_BYTES);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->filled, NULL);
    if (!log->filling || !log->writing || (path[0] && pthread_create(&log->writer, NULL, write_on, log) != 0)) {
        free(log->filling);
        free(log->writing);
        if (log->fd >= 0)
            close(log->fd);
        free(log);
        return error_set(error, SERIN_NOMEM, "no memory for a log");
    }
    *ret = log;
    return SERIN_OK;
}

void log_close(struct log *log)
{
    if (!log)
        return;
    if (log->fd >= 0) {
        pthread_mutex_lock(&log->lock);
        log->closing = true;
        pthread_cond_signal(&log->filled);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->writer, NULL);
        close(log->fd);
    }
    free(log->filling);
    free(log->writing);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->filled);
    free(log);
}

static void count_dropped(struct log *log)
{
    atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->untold, 1, memory_order_relaxed);
}

static bool try_lock(struct log *log)
{
    int i;

    for (i = 0; i < LOCK_TRIES; i++) {
        if (pthread_mutex_trylock(&log->lock) == 0)
            return true;
        sched_yield(); /* who holds it may have lost the processor */
    }
    return false;
}

void log_line(void *user, const char *line, size_t size)
{
    struct log *log = user;

    if (!log || log->fd < 0)
        return;
    if (!try_lock(log)) {
        count_dropped(log);
        return;
    }
    if (size + 1 > BUFFER_BYTES - log->used) {
        count_dropped(log);
    } else {
        atomic_fetch_add_explicit(&log->taken, 1, memory_order_relaxed);
        memcpy(log->filling + log->used, line, size);
        log->filling[log->used + size] = '\n';
        log->used += size + 1;
        if (log->used >= BUFFER_BYTES / 2)
            pthread_cond_signal(&log->filled);
    }
    pthread_mutex_unlock(&log->lock);
}

struct log_counts log_counts(const struct log *log)
{
    struct log_counts counts = {0};

    if (log) {
        counts.taken = atomic_load_explicit(&log->taken, memory_order_relaxed);
        counts.dropped = atomic_load_explicit(&log->dropped, memory_order_relaxed);
    }
    return counts;
}

void log_event(struct log *log, const char *level, const char *doing, const char *format, ...)
{
    char sentence[1024];
    struct clock_stamp stamp = {0};
    struct json_writer json;
    struct buffer line;
    va_list args;

    va_start(args, format);
    if (vsnprintf(sentence, sizeof(sentence), format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    buffer_init(&line, 8192);
    json_init(&json, &line);
    json_begin_object(&json);
    json_key(&json, "@timestamp");
    json_write_string(&json, clock_stamp(&stamp));
    json_key(&json, "log.level");
    json_write_string(&json, level);
    json_key(&json, "event.dataset");
    json_write_string(&json, "serin.serve");
    json_key(&json, "doing");
    json_write_string(&json, doing);
    json_key(&json, "message");
    json_write_string(&json, sentence);
    json_end_object(&json);
    if (!line.failed)
        log_line(log, line.bytes, line.size);
    buffer_done(&line);
}
