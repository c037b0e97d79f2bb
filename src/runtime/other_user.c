/*
 * other_user.c - permission bits of everybody along a path, and of the libraries that are loaded.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Access control lists may open what the bits do not: then a worker stays root without capabilities, which is safe, if
 * not as safe.
 */
#include "runtime/other_user.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool other_user_is_possible(void)
{
    static const int wanted[] = {CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE, CAP_KILL};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    size_t i;

    if (geteuid() != 0 || syscall(SYS_capget, &header, sets) != 0)
        return false;
    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!(sets[0].effective & (1u << wanted[i]))) /* all lie below 32 */
            return false;
    return true;
}

/* May everybody do so (S_IROTH, S_IXOTH) to the file, and go through the folders to it? */
static bool is_open(const char *path, mode_t bits)
{
    char real[PATH_MAX], *slash;
    struct stat status;

    if (!realpath(path, real) || stat(real, &status) != 0 || (status.st_mode & bits) != bits)
        return false;
    while ((slash = strrchr(real, '/')) && slash != real) {
        *slash = '\0';
        if (stat(real, &status) != 0 || !(status.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

static int look_at_library(struct dl_phdr_info *library, size_t size, void *user)
{
    (void)size;
    (void)user;
    return library->dlpi_name[0] == '/' && !is_open(library->dlpi_name, S_IROTH); /* the first is the program itself */
}

bool other_user_can_run(const struct replica_spec *spec)
{
    const char *const *path;
    char parent[PATH_MAX], *slash;

    if (!spec->readable || spec->gpu >= 0 || !is_open(spec->program, S_IROTH | S_IXOTH))
        return false;
    for (path = spec->readable; *path; path++)
        if (!is_open(*path, S_IROTH))
            return false;
    if (snprintf(parent, sizeof(parent), "%s", spec->run_dir) >= (int)sizeof(parent) || !(slash = strrchr(parent, '/')))
        return false;
    *slash = '\0';
    return (slash == parent || is_open(parent, S_IXOTH)) && dl_iterate_phdr(look_at_library, NULL) == 0;
}

enum serin_errc other_user_own(const char *run_dir, struct serin_error *error)
{
    if (chown(run_dir, OTHER_USER, getegid()) == 0 && chmod(run_dir, 0770) == 0)
        return SERIN_OK;
    return error_set(error, SERIN_IO, "%s cannot be given to user %d: %s", run_dir, OTHER_USER, strerror(errno));
}
