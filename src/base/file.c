/*
 * file.c - reading with a limit that holds even when the file grows meanwhile; writing by rename.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t file_read_fully(int fd, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(fd, at + got, size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

enum serin_errc file_read(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                          struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    uint8_t *bytes = NULL;
    struct stat status;
    ssize_t got;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hang us before fstat tells what it is */
    if (fd < 0)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", path,
                         strerror(errno));
    if (fstat(fd, &status) != 0) {
        rc = error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(status.st_mode)) {
        rc = error_set(error, SERIN_INVALID, "%s is not a regular file", path);
        goto out;
    }
    if ((uint64_t)status.st_size > max_bytes) {
        rc = error_set(error, SERIN_LIMIT, "%s has %lld bytes, the limit is %zu", path, (long long)status.st_size,
                       max_bytes);
        goto out;
    }
    bytes = malloc((size_t)status.st_size + 1);
    if (!bytes) {
        rc = error_set(error, SERIN_NOMEM, "%s: no memory for its %lld bytes", path, (long long)status.st_size);
        goto out;
    }
    got = file_read_fully(fd, bytes, (size_t)status.st_size);
    if (got < 0) {
        rc = error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    bytes[got] = 0;
    *ret_bytes = bytes;
    *ret_size = (size_t)got;
    bytes = NULL;
out:
    free(bytes);
    close(fd);
    return rc;
}

/* Until the end, which nobody can tell before: max_bytes are taken at once. */
static enum serin_errc read_stream(int fd, const char *name, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                                   struct serin_error *error)
{
    uint8_t *bytes = malloc(max_bytes + 1);
    ssize_t got;

    if (!bytes)
        return error_set(error, SERIN_NOMEM, "%s: no memory for its bytes", name);
    got = file_read_fully(fd, bytes, max_bytes + 1);
    if (got < 0 || (size_t)got > max_bytes) {
        free(bytes);
        return got < 0 ? error_set(error, SERIN_IO, "%s: %s", name, strerror(errno))
                       : error_set(error, SERIN_LIMIT, "%s has more than %zu bytes, the limit", name, max_bytes);
    }
    bytes[got] = 0;
    *ret_bytes = bytes;
    *ret_size = (size_t)got;
    return SERIN_OK;
}

enum serin_errc file_read_input(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                                struct serin_error *error)
{
    struct stat status;
    enum serin_errc rc;
    int fd;

    if (strcmp(path, "-") == 0)
        return read_stream(STDIN_FILENO, "stdin", max_bytes, ret_bytes, ret_size, error);
    if (stat(path, &status) != 0 || (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)))
        return file_read(path, max_bytes, ret_bytes, ret_size, error);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    if (S_ISCHR(status.st_mode) && !isatty(fd))
        rc = error_set(error, SERIN_INVALID, "%s is not a regular file", path);
    else
        rc = read_stream(fd, path, max_bytes, ret_bytes, ret_size, error);
    close(fd);
    return rc;
}

/* Creates a file in path's folder under a name that is nobody's, and gives the descriptor, or -1 with errno. The name
 * is short, so that path's own may be as long as the file system allows; and hidden, so that no pattern of names finds
 * it half-written. open, unlike mkostemp, leaves the mode to the umask. */
static int create_beside(const char *path, char *temporary, size_t size)
{
    static atomic_uint counter;
    const char *slash = strrchr(path, '/');
    int folder_length = slash ? (int)(slash + 1 - path) : 0, tries, fd = -1;

    for (tries = 0; tries < 100; tries++) {
        snprintf(temporary, size, "%.*s.serin-%d-%u", folder_length, path, (int)getpid(),
                 atomic_fetch_add(&counter, 1));
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) /* a process of this number was killed here once, or runs on another machine */
            break;
    }
    return fd;
}

enum serin_errc file_write(const char *path, const void *bytes, size_t size, struct serin_error *error)
{
    const char *rest = bytes;
    char temporary[PATH_MAX + 32];
    int fd;

    if (strlen(path) >= PATH_MAX)
        return error_set(error, SERIN_LIMIT, "path of %zu bytes, the limit is %d", strlen(path), PATH_MAX - 1);
    fd = create_beside(path, temporary, sizeof(temporary));
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    while (size > 0) {
        ssize_t n = write(fd, rest, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            goto fail;
        rest += n;
        size -= (size_t)n;
    }
    if (close(fd) != 0) {
        fd = -1;
        goto fail;
    }
    fd = -1;
    if (rename(temporary, path) != 0)
        goto fail;
    return SERIN_OK;
fail:
    error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    unlink(temporary);
    return SERIN_IO;
}
