/*
 * data_dir.c - the folder of the store, from the option or the environment.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/data_dir.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST (PATH_MAX - 512) /* room for what is put behind it */

enum serin_errc data_dir_find(const char *given, char *text, size_t size, struct serin_error *error)
{
    const char *named = given ? given : getenv("SERIN_DATA_DIR");
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int length;

    if (named && *named)
        length = snprintf(text, size, "%s", named);
    else if (xdg && *xdg == '/') /* the XDG specification ignores relative ones */
        length = snprintf(text, size, "%s/serin", xdg);
    else if (home && *home)
        length = snprintf(text, size, "%s/.local/share/serin", home);
    else
        return error_set(error, SERIN_NOT_FOUND, "no data folder: name one with --data-dir (HOME is not set either)");
    if (length < 0 || (size_t)length >= size)
        return error_set(error, SERIN_LIMIT, "the data folder's path has %d characters, the limit is %zu", length,
                         size - 1);
    return SERIN_OK;
}

enum serin_errc data_dir_open(const char *given, bool make, struct bundles **ret, struct serin_error *error)
{
    char dir[LONGEST], layout[PATH_MAX];
    struct stat status;
    enum serin_errc rc;

    rc = data_dir_find(given, dir, sizeof(dir), error);
    if (rc != SERIN_OK)
        return rc;
    snprintf(layout, sizeof(layout), "%s/oci-layout", dir);
    if (stat(dir, &status) == 0 ? !S_ISDIR(status.st_mode) : errno == ENOTDIR)
        return error_set(error, SERIN_INVALID, "the store's %s is no folder", dir);
    if (!make && access(layout, F_OK) != 0) {
        if (errno != ENOENT)
            return error_set(error, SERIN_IO, "%s cannot be looked into: %s", dir, strerror(errno));
        return error_set(error, SERIN_NOT_FOUND, "%s holds no versions yet%s: 'serin push' puts one there", dir,
                         access(dir, F_OK) == 0 ? "" : " (there is no such folder)");
    }
    return bundles_open(dir, ret, error);
}
