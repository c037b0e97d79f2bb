/*
 * log.h - lines to a file or stderr from any thread, without ever making it wait.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A line is copied into one of two buffers; a thread of its own writes the other. Where the lock stays held, the buffer
 * is full (nobody reads the pipe, the disk hangs) or the disk takes no more, lines are dropped and counted, and the
 * count is written as soon as there is room. On a terminal lines are written for people (log_readable.h).
 */
#ifndef SERVE_LOG_H
#define SERVE_LOG_H

#include "base/error.h"

#include <stddef.h>

struct log;

/* path: "-" is stderr, "" nowhere. SERIN_IO: it cannot be opened; a FIFO must have its reader by then. */
MUST_USE enum serin_errc log_open(const char *path, struct log **ret, struct serin_error *error);
/* Writes what there is, for LOG_CLOSE_MS at most: a reader that stands still does not keep the program from ending.
 * NULL is fine. */
#define LOG_CLOSE_MS 2000
void log_close(struct log *log);

/* Of the lines since it was opened, those that had room in the buffer, and all that were lost, there or on the way from
 * it; any thread. NULL is fine. */
struct log_counts {
    unsigned long taken, dropped;
};
struct log_counts log_counts(const struct log *log);

/* One finished line without its newline; the signature is gateway_log's. */
void log_line(void *user, const char *line, size_t size);

/* An event of the program itself, as a JSON line with ECS names: level "info", "warn", "error"; doing: what was being
 * done. */
void log_event(struct log *log, const char *level, const char *doing, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
