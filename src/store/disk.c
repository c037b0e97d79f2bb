/*
 * disk.c - reading without trust, writing so that a crash leaves the old or the new.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/disk.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum serin_errc disk_make_folders(const char *path, struct serin_error *error)
{
    char prefix[PATH_MAX];
    size_t length = strlen(path), i;

    if (length >= sizeof(prefix))
        return error_set(error, SERIN_LIMIT, "path of %zu characters, the limit is %zu", length, sizeof(prefix) - 1);
    memcpy(prefix, path, length + 1);
    for (i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        prefix[i] = '\0';
        if (mkdir(prefix, 0755) != 0 && errno != EEXIST && errno != EISDIR) {
            struct stat status; /* mkdir of what exists may say EROFS or EACCES */

            if (stat(prefix, &status) != 0 || !S_ISDIR(status.st_mode))
                return error_set(error, SERIN_IO, "%s: cannot make the folder: %s", prefix, strerror(errno));
        }
        prefix[i] = path[i];
    }
    return SERIN_OK;
}

void disk_keep_private(const char *path)
{
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0640);
    struct stat about;

    if (fd < 0)
        return;
    if (fstat(fd, &about) == 0 && (about.st_mode & 07) != 0)
        (void)fchmod(fd, about.st_mode & 0770);
    close(fd);
}

enum serin_errc disk_open_folder(int folder, const char *name, int *ret, struct serin_error *error)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(folder, name, 0755) != 0 && errno != EEXIST)
            return error_set(error, SERIN_IO, "%s: cannot make the folder: %s", name, strerror(errno));
        fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return error_set(error, SERIN_CORRUPT, "%s is not a folder", name);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", name, strerror(errno));
    *ret = fd;
    return SERIN_OK;
}

enum serin_errc disk_open(int folder, const char *name, int *ret_fd, uint64_t *ret_size, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    struct stat status;
    int fd;

    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); /* a fifo must not hang us */
    if (fd < 0 && errno == ELOOP)
        return error_set(error, SERIN_CORRUPT, "%s is a symbolic link", name);
    if (fd < 0)
        return error_set(error, errno == ENOENT ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", name, strerror(errno));
    if (fstat(fd, &status) != 0)
        rc = error_set(error, SERIN_IO, "%s: %s", name, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        rc = error_set(error, SERIN_CORRUPT, "%s is not a regular file", name);
    if (rc != SERIN_OK) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)status.st_size;
    return SERIN_OK;
}

enum serin_errc disk_read(int folder, const char *name, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                          struct serin_error *error)
{
    uint8_t *bytes;
    uint64_t size;
    ssize_t got;
    enum serin_errc rc;
    int fd;

    rc = disk_open(folder, name, &fd, &size, error);
    if (rc != SERIN_OK)
        return rc;
    if (size > max_bytes) {
        close(fd);
        return error_set(error, SERIN_LIMIT, "%s has %llu bytes, the limit is %zu", name, (unsigned long long)size,
                         max_bytes);
    }
    bytes = malloc((size_t)size + 1);
    if (!bytes) {
        close(fd);
        return error_set(error, SERIN_NOMEM, "%s: no memory for its %llu bytes", name, (unsigned long long)size);
    }
    got = file_read_fully(fd, bytes, (size_t)size);
    if (got < 0)
        rc = error_set(error, SERIN_IO, "%s: %s", name, strerror(errno));
    close(fd);
    if (rc != SERIN_OK) {
        free(bytes);
        return rc;
    }
    bytes[got] = 0;
    *ret_bytes = bytes;
    *ret_size = (size_t)got;
    return SERIN_OK;
}

int disk_write_fully(int fd, const void *bytes, size_t size)
{
    const uint8_t *rest = bytes;

    while (size > 0) {
        ssize_t n = write(fd, rest, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return 0;
        rest += n;
        size -= (size_t)n;
    }
    return 1;
}

enum serin_errc disk_replace(int temporary, int folder, const char *name, const void *bytes, size_t size,
                             struct serin_error *error)
{
    int fd = openat(temporary, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), why;

    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", name, strerror(errno));
    why = disk_write_fully(fd, bytes, size) && fsync(fd) == 0 ? 0 : errno;
    if (close(fd) != 0 && !why)
        why = errno;
    if (!why && (renameat(temporary, name, folder, name) != 0 || fsync(folder) != 0))
        why = errno;
    if (!why)
        return SERIN_OK;
    unlinkat(temporary, name, 0);
    return error_set(error, SERIN_IO, "%s: cannot write: %s", name, strerror(why));
}

void disk_empty_folder(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (!listing) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(listing)))
        unlinkat(folder, entry->d_name, 0); /* of "." and "..": EISDIR, nothing happens */
    closedir(listing);
}
