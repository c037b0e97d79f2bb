/*
 * records.h - the file of one attempt of a rollout: lines that are only ever appended, and their hash.
 * Depends on disk.h, libcrypto. SPDX-License-Identifier: Apache-2.0
 *
 * DIR/ROLLOUT/ATTEMPT.ndjson. A decision names how many lines it was taken from and their SHA-256; records_sync puts
 * them on disk before it. Lines behind the last decision may be lost with the machine, and are not missed. One thread.
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define RECORDS_HASH_BYTES 32
#define RECORDS_MAX_LINE   16384 /* with its newline */

struct records;

/* Opens or makes the file of an attempt (1..). Where a kill has cut the last line, that is taken off. each (may be
 * NULL) is called for every whole line that is there, without its newline, oldest first. SERIN_IO, SERIN_CORRUPT (a
 * line longer than RECORDS_MAX_LINE), SERIN_NOMEM. */
MUST_USE enum serin_errc records_open(const char *dir, const char *rollout, int attempt,
                                      void (*each)(void *user, const char *line, size_t size), void *user,
                                      struct records **ret, struct serin_error *error);

/* Appends whole lines, the newline with them. They are written when 64 KiB are there, or by records_flush. An error of
 * the disk is kept and told by records_sync. */
void records_append(struct records *records, const char *lines, size_t size);
void records_flush(struct records *records);

/* All that was appended is on disk. Sets the number of lines and their hash. */
MUST_USE enum serin_errc records_sync(struct records *records, int64_t *ret_lines, uint8_t ret_hash[RECORDS_HASH_BYTES],
                                      struct serin_error *error);
void records_close(struct records *records); /* flushes; NULL is fine */

#endif
