/*
 * log_lines.c - lines out of a stream; a worker that prints without end costs us a bounded amount.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pipe is always read, since a worker must never wait for whoever reads its log; what is too much is dropped here.
 */
#include "runtime/log_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void log_lines_init(struct log_lines *lines, void (*line_read)(void *user, const char *line), void *user)
{
    memset(lines, 0, sizeof(*lines));
    lines->line_read = line_read;
    lines->user = user;
}

static void tell_dropped(struct log_lines *lines)
{
    char line[96];

    if (lines->dropped == 0)
        return;
    snprintf(line, sizeof(line), "(%" PRIu64 " lines were dropped, the limit is %d a second)", lines->dropped,
             LOG_LINES_PER_SECOND);
    lines->dropped = 0;
    lines->line_read(lines->user, line);
}

static void finish_line(struct log_lines *lines)
{
    if (lines->size && lines->line[lines->size - 1] == '\r')
        lines->size--;
    lines->line[lines->size] = '\0';
    lines->size = 0;
    if (lines->passed >= LOG_LINES_PER_SECOND) {
        lines->dropped++;
        return;
    }
    lines->passed++;
    lines->line_read(lines->user, lines->line);
}

void log_lines_feed(struct log_lines *lines, const char *bytes, size_t size, uint64_t now_ms)
{
    const char *end = bytes + size;

    if (now_ms / 1000 != lines->second) {
        lines->second = now_ms / 1000;
        lines->passed = 0;
        tell_dropped(lines);
    }
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t length = (size_t)((newline ? newline : end) - bytes);
        size_t room = LOG_LINE_BYTES - lines->size, taken = length < room ? length : room, i;

        for (i = 0; i < taken; i++) /* a NUL would end the line for whoever reads it as text */
            lines->line[lines->size + i] = bytes[i] ? bytes[i] : '?';
        lines->size += taken;
        if (newline)
            finish_line(lines);
        bytes += length + (newline != NULL);
    }
}

void log_lines_end(struct log_lines *lines)
{
    if (lines->size)
        finish_line(lines);
    tell_dropped(lines);
}
