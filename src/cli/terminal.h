/*
 * terminal.h - what the program says: to stdout, to stderr, and the progress bar.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Verbs print results with stdio to stdout and ask terminal_flush after each piece whether anybody still reads. Names
 * that come from files or models go through terminal_text, because a control character in them would drive the
 * terminal.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "serin: ..." and a newline on stderr, control characters replaced. */
void terminal_complain(const char *format, ...) PRINTF_LIKE(1, 2);

/* The same for what is wrong with one of many files: "PATH: sentence", or the sentence where it begins with the path.
 */
void terminal_complain_of(const char *path, const struct serin_error *error);

/* Writes text with control characters (C0, DEL, C1) replaced by '?'. */
void terminal_text(FILE *out, const char *text);

/* The width of what is written to: 80 where a terminal does not say, TERMINAL_ENDLESS where it is none. */
#define TERMINAL_ENDLESS 10000
int terminal_columns(int fd);

/* False: stdout takes no more, so stop. The reason is told once, by terminal_finish. */
bool terminal_flush(void);

/* Flushes stdout for the last time: the exit code, or 1 with a sentence where what was printed did not arrive. A reader
 * that closed the pipe early gets no sentence: it knows. */
int terminal_finish(int code);

/* A line on stderr that each call puts in place of the one before, cut to the terminal's width; "" takes it away.
 * Nothing where stderr is no terminal, or with SERIN_PROGRESS=off. */
void terminal_live(const char *line);

/* How far a work is, on stderr. A bar where that is a terminal and the whole work takes more than about a second;
 * SERIN_PROGRESS=on draws it at once. In a file or a pipe a line each half minute. Neither with SERIN_PROGRESS=off. One
 * thread at a time. */
struct progress {
    bool wanted, redraws, eager, visible;
    size_t done, total;
    uint64_t start_ns, drawn_ns;
    const char *what; /* "measuring", where a verb has several works one after another; else NULL */
    const char *unit; /* "img" */
};

void progress_begin(struct progress *progress, const char *what, size_t total, const char *unit);
void progress_step(struct progress *progress, size_t done);
void progress_hide(struct progress *progress); /* before anything else is printed, and at the end */

#endif
