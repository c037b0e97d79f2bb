/*
 * disk.h - files under a folder's descriptor, read with a limit and written durably.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A store may hold what a stranger put there: no symbolic link is followed below the folder, and only regular files are
 * read. Names are single path components.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* mkdir -p, mode 0755. SERIN_IO, SERIN_LIMIT. */
MUST_USE enum serin_errc disk_make_folders(const char *path, struct serin_error *error);
/* Makes the file where it is missing, and takes it from everybody but its owner and its group. Errors are left to who
 * opens it. */
void disk_keep_private(const char *path);
/* A folder in the folder, made where it is missing. *ret is a descriptor: close() it. SERIN_CORRUPT: not a folder. */
MUST_USE enum serin_errc disk_open_folder(int folder, const char *name, int *ret, struct serin_error *error);

/* Opens a regular file to read. SERIN_NOT_FOUND, SERIN_CORRUPT (a link, a device), SERIN_IO. */
MUST_USE enum serin_errc disk_open(int folder, const char *name, int *ret_fd, uint64_t *ret_size,
                                   struct serin_error *error);
/* The whole file; free() *ret_bytes, which has a NUL behind the last byte. As disk_open, and SERIN_LIMIT, SERIN_NOMEM.
 */
MUST_USE enum serin_errc disk_read(int folder, const char *name, size_t max_bytes, uint8_t **ret_bytes,
                                   size_t *ret_size, struct serin_error *error);

/* All of the bytes. False with errno. */
int disk_write_fully(int fd, const void *bytes, size_t size);
/* Writes temporary/name, syncs it, and renames it to folder/name: after a crash the old file is there or the new one.
 */
MUST_USE enum serin_errc disk_replace(int temporary, int folder, const char *name, const void *bytes, size_t size,
                                      struct serin_error *error);
/* Removes the files (not folders) in the folder. */
void disk_empty_folder(int folder);

#endif
