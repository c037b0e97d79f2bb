/*
 * log.h - lines to a file or stderr from any thread, without ever making it wait.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A line is copied into one of two buffers; a thread of its own writes the other. Where the lock stays held or the
 * buffer is full the line is dropped and counted, and the count is written as soon as there is room.
 */
#ifndef SERVE_LOG_H
#define SERVE_LOG_H

#include "base/error.h"

#include <stddef.h>

struct log;

/* path: "-" is stderr, "" nowhere. SERIN_IO. */
MUST_USE enum serin_errc log_open(const char *path, struct log **ret, struct serin_error *error);
void log_close(struct log *log); /* writes what there is; NULL is fine */

/* Lines that were taken, and lines that were dropped, since it was opened; any thread. NULL is fine. */
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
