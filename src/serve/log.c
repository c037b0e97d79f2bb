/*
 * log.c - two buffers and a writer: who logs copies, and waits for nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log_fields.h"
#include "serve/log_readable.h"

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

#define BUFFER_BYTES   ((size_t)8 << 20)   /* a second of the busiest log, where the writer does not get to run */
#define FLUSH_BYTES    ((size_t)256 << 10) /* what is written at once: little enough to be in the cache still */
#define FLUSH_MS       200
#define READABLE_BYTES 65536 /* of one line */
#define LOCK_TRIES     100   /* the lock is held for one copy or a swap of pointers */

struct log {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t writer;
    char *filling, *writing; /* BUFFER_BYTES each */
    size_t used;
    _Atomic unsigned long taken, dropped, untold; /* untold: of the dropped ones */
    atomic_int owners;                            /* the writer, and who closes it */
    bool closing;
    int fd;
    /* the writer's own */
    bool on_terminal, torn; /* torn: half a line was written */
    struct buffer readable;
};

static void count_dropped(struct log *log, unsigned long lines)
{
    atomic_fetch_add_explicit(&log->dropped, lines, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->untold, lines, memory_order_relaxed);
}

/* How much of it was written: all, unless the disk is full or the reader has gone, which must not stop the service. */
static size_t write_most(int fd, const char *bytes, size_t size)
{
    size_t written = 0;

    while (written < size) {
        ssize_t n = write(fd, bytes + written, size - written);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    return written;
}

/* Whole lines; half a line that was left is ended first. How much of them was written. */
static size_t write_lines(struct log *log, const char *lines, size_t size)
{
    size_t written;

    if (log->torn && size > 0)
        log->torn = write_most(log->fd, "\n", 1) != 1;
    written = log->torn ? 0 : write_most(log->fd, lines, size);
    log->torn = log->torn || (written > 0 && written < size && lines[written - 1] != '\n');
    return written;
}

static void write_counted(struct log *log, const char *lines, size_t size)
{
    size_t written = write_lines(log, lines, size);
    unsigned long lost = 0;

    for (; written < size; written++)
        lost += lines[written] == '\n';
    if (lost > 0)
        count_dropped(log, lost);
}

/* For people, where a terminal is what is written to. */
static void write_readable(struct log *log, const char *lines, size_t size)
{
    const char *end = lines + size, *next;

    for (; lines < end; lines = next + 1) {
        next = memchr(lines, '\n', (size_t)(end - lines));
        buffer_clear(&log->readable);
        log_readable(lines, (size_t)(next - lines), &log->readable);
        write_counted(log, log->readable.bytes, log->readable.size);
    }
}

/* The line of an event; without the newline. */
static void write_event(struct buffer *out, const char *level, const char *doing, const char *sentence)
{
    struct clock_stamp stamp = {0};
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    json_raw_key(&json, JSON_KEY(LOG_TIME));
    json_write_string(&json, clock_stamp(&stamp));
    json_raw_key(&json, JSON_KEY(LOG_LEVEL));
    json_write_string(&json, level);
    json_raw_key(&json, log_event_keys);
    json_write_string(&json, doing);
    json_raw_key(&json, JSON_KEY(LOG_MESSAGE));
    json_write_string(&json, sentence);
    json_end_object(&json);
}

/* That lines were lost, once lines can be written again. */
static void tell_dropped(struct log *log)
{
    unsigned long dropped = atomic_load_explicit(&log->untold, memory_order_relaxed);
    char sentence[128];
    struct buffer line;

    if (dropped == 0)
        return;
    snprintf(sentence, sizeof(sentence), "%lu lines were lost: nobody read them fast enough, or the disk was full",
             dropped);
    buffer_init(&line, 8192);
    write_event(&line, "warn", "logging", sentence);
    if (log->on_terminal) {
        buffer_clear(&log->readable);
        log_readable(line.bytes, line.size, &log->readable);
        buffer_clear(&line);
        buffer_append(&line, log->readable.bytes, log->readable.size);
    } else {
        buffer_append(&line, "\n", 1);
    }
    if (line.failed == SERIN_OK && write_lines(log, line.bytes, line.size) == line.size)
        atomic_fetch_sub_explicit(&log->untold, dropped, memory_order_relaxed);
    buffer_done(&line);
}

/* By the writer, or by who closes the log: whoever lets go of it last. */
static void let_go(struct log *log)
{
    if (log->fd >= 0 && atomic_fetch_sub(&log->owners, 1) > 1)
        return;
    if (log->fd >= 0)
        close(log->fd);
    buffer_done(&log->readable);
    free(log->filling);
    free(log->writing);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->filled);
    free(log);
}

static void *write_on(void *argument)
{
    struct log *log = argument;
    bool closing = false;

    while (!closing) {
        struct timespec until;
        size_t size;
        char *full;

        pthread_mutex_lock(&log->lock);
        if (log->used < FLUSH_BYTES && !log->closing) {
            clock_gettime(CLOCK_MONOTONIC, &until); /* the wall's may be set back by hours */
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
        if (log->on_terminal)
            write_readable(log, full, size);
        else
            write_counted(log, full, size);
        tell_dropped(log);
    }
    let_go(log);
    return NULL;
}

/* A pipe that nobody reads would keep the program from starting. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

    if (fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) != 0) { /* it is the writer that waits */
        close(fd);
        return -1;
    }
    return fd;
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
        log->fd = open_file(path);
    if (log->fd < 0 && path[0]) {
        enum serin_errc rc =
            error_set(error, SERIN_IO, "%s: %s", path, errno == ENXIO ? "a pipe that nobody reads" : strerror(errno));

        free(log);
        return rc;
    }
    atomic_init(&log->owners, 2);
    log->on_terminal = log->fd >= 0 && isatty(log->fd);
    buffer_init(&log->readable, READABLE_BYTES);
    log->filling = malloc(BUFFER_BYTES);
    log->writing = malloc(BUFFER_BYTES);
    pthread_mutex_init(&log->lock, NULL);
    clock_init_cond(&log->filled);
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
        struct timespec until;
        pthread_t writer;

        pthread_mutex_lock(&log->lock);
        log->closing = true;
        pthread_cond_signal(&log->filled);
        pthread_mutex_unlock(&log->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOG_CLOSE_MS / 1000;
        writer = log->writer;
        if (pthread_clockjoin_np(writer, NULL, CLOCK_MONOTONIC, &until) != 0)
            pthread_detach(writer); /* it hangs in a write, and lets go of the log when that has ended */
    }
    let_go(log);
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
        count_dropped(log, 1);
        return;
    }
    if (size + 1 > BUFFER_BYTES - log->used) {
        count_dropped(log, 1);
    } else {
        atomic_fetch_add_explicit(&log->taken, 1, memory_order_relaxed);
        memcpy(log->filling + log->used, line, size);
        log->filling[log->used + size] = '\n';
        log->used += size + 1;
        if (log->used >= FLUSH_BYTES)
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
    struct buffer line;
    va_list args;

    va_start(args, format);
    if (vsnprintf(sentence, sizeof(sentence), format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    buffer_init(&line, 8192);
    write_event(&line, level, doing, sentence);
    if (!line.failed)
        log_line(log, line.bytes, line.size);
    buffer_done(&line);
}
