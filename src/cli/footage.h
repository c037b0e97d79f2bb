/*
 * footage.h - pictures as files, in memory, in order: what cameras send.  Depends on sources.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_FOOTAGE_H
#define CLI_FOOTAGE_H

#include "base/bytes.h"

#define FOOTAGE_MAX_BYTES       (1ull << 30) /* of all frames */
#define FOOTAGE_MAX_FRAME_BYTES (32u << 20)  /* what the gateway takes */

struct footage {
    struct bytes **frames; /* [count], never changed */
    const char **types;    /* [count], "image/jpeg" */
    char **paths;          /* [count], of the files */
    struct bytes **truths; /* [count], what feedback says of a frame; an entry is NULL where it has no labels, and all
                              is NULL until truth_load */
    size_t count;
};

/* Reads all pictures of a folder (or pattern), sorted by name, as they are: nothing is decoded. Errors: those of
 * sources_add and file_read; SERIN_LIMIT. footage_done accepts a zeroed struct. */
MUST_USE enum serin_errc footage_load(const char *folder, struct footage *ret, struct serin_error *error);
void footage_done(struct footage *footage);

#endif
