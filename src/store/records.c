/*
 * records.c - appending lines, hashing them as they pass.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hash runs over every byte of the file. It is a running state: the digest of the lines so far is taken from a copy
 * of it, so that a decision costs the same after a million lines as after ten.
 */
#include "store/records.h"

#include "base/file.h"
#include "store/disk.h"

#include <openssl/evp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (64 << 10)
#define HELD_BYTES  (64 << 20) /* of lines that a full disk does not take; then the file has ended */

struct records {
    int fd;
    int64_t lines;
    EVP_MD_CTX *hash;
    char path[1400];
    int broken; /* errno that ended the file: a gap must not be; 0: none */
    int full;   /* errno of the last write, which is tried again; 0: it went well */
    size_t held, room;
    char *bytes;
};

static enum serin_errc fault(const struct records *records, const char *doing, struct serin_error *error)
{
    return error_set(error, SERIN_IO, "%s: %s: %s", records->path, doing, strerror(errno));
}

/* Reads what is there; *ret_end is where the last whole line ends. */
static enum serin_errc read_back(struct records *records, void (*each)(void *user, const char *line, size_t size),
                                 void *user, off_t *ret_end, struct serin_error *error)
{
    char *bytes = malloc(RECORDS_MAX_LINE + CHUNK_BYTES);
    size_t have = 0;
    enum serin_errc rc = bytes ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory to read %s", records->path);

    *ret_end = 0;
    while (rc == SERIN_OK) {
        ssize_t got = file_read_fully(records->fd, bytes + have, CHUNK_BYTES);
        size_t start = 0;
        char *newline;

        if (got < 0)
            rc = fault(records, "reading", error);
        if (got <= 0)
            break;
        have += (size_t)got;
        while ((newline = memchr(bytes + start, '\n', have - start)) != NULL) {
            size_t size = (size_t)(newline - bytes) - start;

            if (each)
                each(user, bytes + start, size);
            if (EVP_DigestUpdate(records->hash, bytes + start, size + 1) != 1)
                rc = error_set(error, SERIN_NOMEM, "no memory to hash %s", records->path);
            records->lines++;
            *ret_end += (off_t)size + 1;
            start += size + 1;
        }
        memmove(bytes, bytes + start, have - start);
        have -= start;
        if (have >= RECORDS_MAX_LINE)
            rc = error_set(error, SERIN_CORRUPT, "%s: line %lld is longer than %d bytes", records->path,
                           (long long)records->lines + 1, RECORDS_MAX_LINE - 1);
    }
    free(bytes);
    return rc;
}

enum serin_errc records_open(const char *dir, const char *rollout, int attempt,
                             void (*each)(void *user, const char *line, size_t size), void *user, struct records **ret,
                             struct serin_error *error)
{
    struct records *records = calloc(1, sizeof(*records));
    enum serin_errc rc;
    off_t end = 0;

    if (!records)
        return error_set(error, SERIN_NOMEM, "no memory for a rollout's records");
    records->fd = -1;
    snprintf(records->path, sizeof(records->path), "%s/%s", dir, rollout);
    rc = disk_make_folders(records->path, error);
    snprintf(records->path, sizeof(records->path), "%s/%s/%d.ndjson", dir, rollout, attempt);
    records->hash = EVP_MD_CTX_new();
    if (rc == SERIN_OK && (!records->hash || EVP_DigestInit_ex(records->hash, EVP_sha256(), NULL) != 1))
        rc = error_set(error, SERIN_NOMEM, "no memory to hash a rollout's records");
    if (rc == SERIN_OK) {
        records->fd = open(records->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (records->fd < 0)
            rc = fault(records, "opening", error);
    }
    if (rc == SERIN_OK)
        rc = read_back(records, each, user, &end, error);
    if (rc == SERIN_OK && (ftruncate(records->fd, end) != 0 || lseek(records->fd, end, SEEK_SET) < 0))
        rc = fault(records, "taking off a line that was cut", error);
    if (rc != SERIN_OK) {
        records_close(records);
        return rc;
    }
    *ret = records;
    return SERIN_OK;
}

void records_flush(struct records *records)
{
    size_t written = 0;

    records->full = 0;
    while (written < records->held && !records->full) {
        ssize_t n = write(records->fd, records->bytes + written, records->held - written);

        if (n > 0)
            written += (size_t)n;
        else if (errno != EINTR)
            records->full = errno ? errno : EIO;
    }
    if (written > 0)
        memmove(records->bytes, records->bytes + written, records->held - written);
    records->held -= written;
}

static bool make_room(struct records *records, size_t size)
{
    size_t room = records->room ? records->room : CHUNK_BYTES;
    char *bytes;

    while (room < records->held + size)
        room *= 2;
    if (room > HELD_BYTES)
        return false;
    bytes = realloc(records->bytes, room);
    if (!bytes)
        return false;
    records->bytes = bytes;
    records->room = room;
    return true;
}

void records_append(struct records *records, const char *lines, size_t size)
{
    size_t i;

    if (records->broken)
        return;
    if (records->held + size > CHUNK_BYTES)
        records_flush(records);
    if ((records->held + size > records->room && !make_room(records, size)) ||
        EVP_DigestUpdate(records->hash, lines, size) != 1) {
        records->broken = records->full ? records->full : ENOMEM;
        return;
    }
    memcpy(records->bytes + records->held, lines, size);
    records->held += size;
    for (i = 0; i < size; i++)
        records->lines += lines[i] == '\n';
}

enum serin_errc records_sync(struct records *records, int64_t *ret_lines, uint8_t ret_hash[RECORDS_HASH_BYTES],
                             struct serin_error *error)
{
    EVP_MD_CTX *copy = NULL;
    bool done;

    records_flush(records);
    if (records->broken || records->full)
        return error_set(error, SERIN_IO, "%s: %s", records->path,
                         strerror(records->broken ? records->broken : records->full));
    if (fdatasync(records->fd) != 0) { /* what the kernel dropped then it will not write later */
        records->broken = errno;
        return fault(records, "putting records on disk", error);
    }
    copy = EVP_MD_CTX_new();
    done = copy && EVP_MD_CTX_copy_ex(copy, records->hash) == 1 && EVP_DigestFinal_ex(copy, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(copy);
    if (!done)
        return error_set(error, SERIN_NOMEM, "no memory to hash a rollout's records");
    *ret_lines = records->lines;
    return SERIN_OK;
}

void records_close(struct records *records)
{
    if (!records)
        return;
    if (records->fd >= 0) {
        records_flush(records);
        close(records->fd);
    }
    EVP_MD_CTX_free(records->hash);
    free(records->bytes);
    free(records);
}
