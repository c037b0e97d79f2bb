/*
 * remove.c - marking versions as in use, and removing those that are not.
 * SPDX-License-Identifier: Apache-2.0
 *
 * First the index forgets the tag, then the blobs go: a kill between the two leaves blobs that nobody needs, never a
 * tag without its blobs. The next push or removal takes those.
 */
#include "store/bundles_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- in use ---- */

static enum serin_errc open_in_use(struct bundles *bundles, int *ret, struct serin_error *error)
{
    enum serin_errc rc;
    int state;

    rc = disk_open_folder(bundles->root, "state", &state, error);
    if (rc == SERIN_OK) {
        rc = disk_open_folder(state, "in-use", ret, error);
        close(state);
    }
    return error_prefix(error, rc, "%s", bundles->dir);
}

/* Under the lock. A mark for a version, or none. */
static enum serin_errc mark(struct bundles *bundles, const char *text, bool in_use, struct serin_error *error)
{
    enum serin_errc rc;
    int folder = -1, fd;

    rc = open_in_use(bundles, &folder, error);
    if (rc != SERIN_OK)
        return rc;
    if (in_use) {
        fd = openat(folder, text, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || close(fd) != 0 || fsync(folder) != 0)
            rc = error_set(error, SERIN_IO, "%s/state/in-use/%s: %s", bundles->dir, text, strerror(errno));
    } else if (unlinkat(folder, text, 0) != 0 && errno != ENOENT) {
        rc = error_set(error, SERIN_IO, "%s/state/in-use/%s: %s", bundles->dir, text, strerror(errno));
    }
    close(folder);
    return rc;
}

enum serin_errc bundles_set_in_use(struct bundles *bundles, const char *text, bool in_use, struct serin_error *error)
{
    struct version_name name; /* checked: it becomes part of a path */
    struct oci_index index;
    enum serin_errc rc;
    int lock;

    rc = version_name_parse(text, &name, error);
    if (rc == SERIN_OK)
        rc = bundles_lock(bundles, &lock, error);
    if (rc != SERIN_OK)
        return rc;
    rc = bundles_read_index(bundles, &index, error);
    if (rc == SERIN_OK) {
        if (in_use && !index_find(&index, &name))
            rc = bundles_not_found(&index, text, error);
        index_done(&index);
    }
    if (rc == SERIN_OK)
        rc = mark(bundles, text, in_use, error);
    bundles_unlock(lock);
    return rc;
}

bool bundles_is_in_use(const struct bundles *bundles, const struct version_name *name)
{
    char path[VERSION_MAX_NAME + 32], text[VERSION_MAX_NAME];

    snprintf(path, sizeof(path), "state/in-use/%s", version_name_text(name, text));
    return faccessat(bundles->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT; /* in doubt it is */
}

/* ---- removing ---- */

static enum serin_errc remove_entry(struct bundles *bundles, struct oci_index *index, const char *text,
                                    struct serin_error *error)
{
    const struct index_entry *entry;
    struct version_name name;
    enum serin_errc rc;

    rc = version_name_parse(text, &name, error);
    if (rc != SERIN_OK)
        return rc;
    entry = index_find(index, &name);
    if (!entry)
        return bundles_not_found(index, text, error);
    if (bundles_is_in_use(bundles, &name))
        return error_set(error, SERIN_INVALID,
                         "%s is in use: take it off its routes first (%s/state/in-use/%s says so)", text, bundles->dir,
                         text);
    index_remove(index, &name);
    rc = bundles_write_index(bundles, index, error);
    if (rc == SERIN_OK)
        bundles_sweep(bundles, index);
    return rc;
}

enum serin_errc bundles_remove(struct bundles *bundles, const char *name, struct serin_error *error)
{
    struct oci_index index;
    enum serin_errc rc;
    int lock;

    rc = bundles_lock(bundles, &lock, error);
    if (rc != SERIN_OK)
        return rc;
    rc = bundles_read_index(bundles, &index, error);
    if (rc == SERIN_OK) {
        rc = remove_entry(bundles, &index, name, error);
        index_done(&index);
    }
    bundles_unlock(lock);
    return rc;
}
