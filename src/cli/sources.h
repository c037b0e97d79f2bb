/*
 * sources.h - from what was named on the command line to a list of picture files.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "base/error.h"

#include <stddef.h>

#define SOURCES_MAX_COUNT 1000000u

struct sources {
    char **paths; /* [count], each malloc'ed */
    size_t count, capacity;
};

/* Adds what one argument stands for: a file (whether it exists is found out by reading it), a folder (its pictures by
 * extension, sorted by name, no sub-folders), a sequence of frames ("f/%04d.jpg": all that exist, by number), a glob
 * pattern in quotes ("f/[0-9]*.png"), or "-": a list of files on stdin, one a line (its end LF or CR LF). A name that
 * exists is never a pattern. Errors: SERIN_NOT_FOUND (a folder without pictures, a pattern without matches), SERIN_IO,
 * SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc sources_add(struct sources *sources, const char *argument, struct serin_error *error);
void sources_done(struct sources *sources);

#endif
