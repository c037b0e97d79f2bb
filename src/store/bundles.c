/*
 * bundles.c - opening a store: its layout, its lock, its index.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/bundles_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LAYOUT           "{\"imageLayoutVersion\":\"1.0.0\"}"
#define MAX_LAYOUT_BYTES 4096

/* ---- opening ---- */

enum serin_errc bundles_lock(struct bundles *bundles, int *ret, struct serin_error *error)
{
    int fd = openat(bundles->root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    int rc = fd < 0 ? -1 : 0;

    while (fd >= 0 && (rc = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
        ;
    if (rc != 0) {
        rc = errno;
        if (fd >= 0)
            close(fd);
        return error_set(error, SERIN_IO, "%s/lock: %s", bundles->dir, strerror(rc));
    }
    *ret = fd;
    return SERIN_OK;
}

void bundles_unlock(int lock)
{
    close(lock); /* the lock ends with the description, which nobody else has */
}

/* Under the lock: oci-layout and an empty index. An index without oci-layout is somebody else's folder. */
static enum serin_errc make_layout(struct bundles *bundles, bool has_layout, struct serin_error *error)
{
    struct oci_index index;
    enum serin_errc rc;

    if (faccessat(bundles->root, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return has_layout ? SERIN_OK /* another process was faster */
                          : error_set(error, SERIN_CORRUPT, "index.json is there, and oci-layout is not");
    if (!has_layout) {
        rc = disk_replace(bundles->blobs.temporary, bundles->root, "oci-layout", LAYOUT, strlen(LAYOUT), error);
        if (rc != SERIN_OK)
            return rc;
    }
    rc = index_init(&index, error);
    if (rc == SERIN_OK) {
        rc = bundles_write_index(bundles, &index, error);
        index_done(&index);
    }
    return rc;
}

static enum serin_errc check_layout(struct bundles *bundles, bool *ret_there, struct serin_error *error)
{
    uint8_t *bytes = NULL;
    struct serin_error why;
    enum serin_errc rc;
    size_t size;

    rc = disk_read(bundles->root, "oci-layout", MAX_LAYOUT_BYTES, &bytes, &size, &why);
    *ret_there = rc == SERIN_OK;
    if (rc == SERIN_NOT_FOUND)
        return SERIN_OK;
    if (rc != SERIN_OK)
        return error_set(error, rc, "%s", why.message);
    rc = index_check_layout(bytes, size, error);
    free(bytes);
    return rc;
}

static enum serin_errc open_layout(struct bundles *bundles, struct serin_error *error)
{
    enum serin_errc rc;
    bool there = false;
    int lock;

    rc = blobs_open(bundles->root, &bundles->blobs, error);
    if (rc == SERIN_OK)
        rc = check_layout(bundles, &there, error);
    if (rc != SERIN_OK || (there && faccessat(bundles->root, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0))
        return rc;
    rc = bundles_lock(bundles, &lock, error);
    if (rc != SERIN_OK)
        return rc;
    rc = check_layout(bundles, &there, error); /* again: another process may have made it meanwhile */
    if (rc == SERIN_OK)
        rc = make_layout(bundles, there, error);
    bundles_unlock(lock);
    return rc;
}

enum serin_errc bundles_open(const char *dir, struct bundles **ret, struct serin_error *error)
{
    struct bundles *bundles;
    enum serin_errc rc;

    rc = disk_make_folders(dir, error);
    if (rc != SERIN_OK)
        return rc;
    bundles = calloc(1, sizeof(*bundles));
    if (!bundles)
        return error_set(error, SERIN_NOMEM, "no memory for a store");
    bundles->blobs = (struct blobs){-1, -1};
    bundles->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bundles->dir = strdup(dir);
    if (bundles->root < 0)
        rc = error_set(error, SERIN_IO, "%s: %s", dir, strerror(errno));
    else if (!bundles->dir)
        rc = error_set(error, SERIN_NOMEM, "no memory for a store");
    else
        rc = error_prefix(error, open_layout(bundles, error), "%s is no store of versions", dir);
    if (rc != SERIN_OK) {
        bundles_close(bundles);
        return rc;
    }
    *ret = bundles;
    return SERIN_OK;
}

void bundles_close(struct bundles *bundles)
{
    if (!bundles)
        return;
    blobs_close(&bundles->blobs);
    if (bundles->root >= 0)
        close(bundles->root);
    free(bundles->dir);
    free(bundles);
}

/* ---- the index ---- */

enum serin_errc bundles_read_index(const struct bundles *bundles, struct oci_index *index, struct serin_error *error)
{
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    size_t size;

    rc = disk_read(bundles->root, "index.json", INDEX_MAX_BYTES, &bytes, &size, error);
    if (rc == SERIN_OK) {
        rc = index_parse(bytes, size, index, error);
        free(bytes);
    }
    return error_prefix(error, rc, "%s/index.json", bundles->dir);
}

enum serin_errc bundles_write_index(struct bundles *bundles, const struct oci_index *index, struct serin_error *error)
{
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, INDEX_MAX_BYTES);
    rc = index_write(index, &out, error);
    if (rc == SERIN_OK)
        rc = disk_replace(bundles->blobs.temporary, bundles->root, "index.json", out.bytes, out.size, error);
    buffer_done(&out);
    return rc;
}
