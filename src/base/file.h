/*
 * file.h - whole files, read with a limit.  Depends on error.h only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a regular file of at most max_bytes. *ret_bytes is malloc'ed (free() it), has one NUL byte behind the last and
 * is never NULL, even for an empty file. Errors: SERIN_NOT_FOUND, SERIN_IO, SERIN_LIMIT, SERIN_NOMEM, SERIN_INVALID (a
 * folder or a device); each sentence begins with the path. */
MUST_USE enum serin_errc file_read(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                                   struct serin_error *error);

/* The same of what people name on a command line: "-" is stdin, and a pipe (/dev/stdin, <(...)) or a terminal is read
 * until its end, and waited for. Folders and other devices stay SERIN_INVALID. */
MUST_USE enum serin_errc file_read_input(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                                         struct serin_error *error);

/* read(2) until size bytes or the end; the count, or -1 with errno. */
ssize_t file_read_fully(int fd, void *bytes, size_t size);

/* Writes a file whole or not at all (a temporary name beside it, then a rename). */
MUST_USE enum serin_errc file_write(const char *path, const void *bytes, size_t size, struct serin_error *error);

#endif
