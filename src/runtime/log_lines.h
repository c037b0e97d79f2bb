/*
 * log_lines.h - a worker's output, cut into lines, at a bounded rate.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_LOG_LINES_H
#define RUNTIME_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_BYTES       4096
#define LOG_LINES_PER_SECOND 1000

struct log_lines {
    char line[LOG_LINE_BYTES + 1];
    size_t size;
    uint64_t second;
    uint64_t dropped; /* in this second */
    int passed;       /* in this second */
    void (*line_read)(void *user, const char *line);
    void *user;
};

void log_lines_init(struct log_lines *lines, void (*line_read)(void *user, const char *line), void *user);

/* now_ms: of any clock that does not go back. Lines beyond the rate are counted, and the count is told as a line. */
void log_lines_feed(struct log_lines *lines, const char *bytes, size_t size, uint64_t now_ms);

/* What came without a newline at the end, and the count of what was dropped. */
void log_lines_end(struct log_lines *lines);

#endif
