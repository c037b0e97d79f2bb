/*
 * landlock.c - a private view of the file system without a mount: rights are granted to folders, all others are
 * refused. SPDX-License-Identifier: Apache-2.0
 *
 * A server that runs as root has workers of the same user, without capabilities; root still owns /proc/sys, the disks'
 * nodes and most files, so the rules name single nodes under /dev and single files under /etc. Kernel's
 * Documentation/userspace-api/landlock.rst; what newer versions add is asked for only where the kernel has it.
 */
#include "runtime/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <link.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h of Debian 12 ends with version 2. */
#define ACCESS_FS_TRUNCATE                 (1ull << 14) /* version 3 */
#define ACCESS_NET_TCP                     3ull         /* bind and connect: version 4 */
#define SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS 3ull         /* version 6 */

struct ruleset {
    uint64_t handled_fs, handled_net, scoped;
};

#define READ_RIGHTS       (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_WRITE_RIGHTS (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_FS_TRUNCATE)
#define FOLDER_WRITE_RIGHTS                                                                                            \
    (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                    \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define DEVICE_RIGHTS                                                                                                  \
    (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                     \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

struct rules {
    int fd;
    uint64_t handled;
    bool failed;
};

/* The kernel's, 0 where there is none. */
static int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return version > 0 ? (int)version : 0;
}

int landlock_enforce(int fd)
{
    return (int)syscall(SYS_landlock_restrict_self, fd, 0);
}

void landlock_grant_mounted(int fd, const char *path)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC),
                                              .allowed_access =
                                                  LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};

    /* Refused where the rules do not restrict reading, and then it is not needed. */
    syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    syscall(SYS_close, rule.parent_fd);
}

static void grant(struct rules *rules, const char *path, uint64_t rights)
{
    const uint64_t of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | FILE_WRITE_RIGHTS;
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat status;

    if (rule.parent_fd < 0)
        return;
    rights &= rules->handled;
    if (fstat(rule.parent_fd, &status) != 0 || !S_ISDIR(status.st_mode))
        rights &= of_files;
    rule.allowed_access = rights;
    if (rights && syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        rules->failed = true;
    close(rule.parent_fd);
}

static void grant_folder_of(struct rules *rules, const char *path, uint64_t rights)
{
    char folder[4096];
    char *slash;

    if (!realpath(path, folder))
        return;
    slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return;
    *slash = '\0';
    grant(rules, folder, rights);
}

/* What we have loaded, the worker (the same program) will load too; plug-ins of a library lie beside it. */
static int grant_loaded(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    if (info->dlpi_name && info->dlpi_name[0] == '/')
        grant_folder_of(user, info->dlpi_name, READ_RIGHTS);
    return 0;
}

static void grant_library_path(struct rules *rules)
{
    const char *list = getenv("LD_LIBRARY_PATH");

    while (list && *list) {
        size_t length = strcspn(list, ":");
        char folder[4096];

        if (length > 0 && length < sizeof(folder)) {
            memcpy(folder, list, length);
            folder[length] = '\0';
            grant(rules, folder, READ_RIGHTS);
        }
        list += length + (list[length] == ':');
    }
}

static void grant_reading(struct rules *rules, const struct replica_spec *spec)
{
    static const char *const system[] = {
        "/usr",        "/lib",       "/lib64",           "/lib32",     "/bin",           "/opt",
        "/proc",       "/sys",       "/etc/ld.so.cache", "/etc/ssl",   "/etc/localtime", "/etc/nsswitch.conf",
        "/etc/passwd", "/etc/group", "/dev/urandom",     "/dev/random"};
    size_t i;

    for (i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        grant(rules, system[i], READ_RIGHTS);
    grant_folder_of(rules, spec->program, READ_RIGHTS);
    dl_iterate_phdr(grant_loaded, rules);
    grant_library_path(rules);
    for (i = 0; spec->readable[i]; i++)
        grant(rules, spec->readable[i], READ_RIGHTS);
}

static void grant_writing(struct rules *rules, const struct replica_spec *spec)
{
    static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full"};
    const uint64_t file = LANDLOCK_ACCESS_FS_READ_FILE | FILE_WRITE_RIGHTS;
    glob_t devices;
    size_t i;

    grant(rules, spec->run_dir, (READ_RIGHTS & ~LANDLOCK_ACCESS_FS_EXECUTE) | FILE_WRITE_RIGHTS | FOLDER_WRITE_RIGHTS);
    grant(rules, "/dev/shm", file | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE);
    for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        grant(rules, nodes[i], file);
    if (spec->gpu < 0 || glob("/dev/nvidia*", GLOB_NOSORT, NULL, &devices) != 0)
        return;
    for (i = 0; i < devices.gl_pathc; i++)
        grant(rules, devices.gl_pathv[i], file | LANDLOCK_ACCESS_FS_READ_DIR);
    globfree(&devices);
}

enum serin_errc landlock_rules_new(const struct replica_spec *spec, int *ret_fd, struct serin_error *error)
{
    const int version = landlock_version();
    struct ruleset ruleset = {.handled_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | FOLDER_WRITE_RIGHTS | DEVICE_RIGHTS};
    struct rules rules = {0};

    if (version < 1)
        return error_set(error, SERIN_UNSUPPORTED, "this kernel has no Landlock");
    if (version >= 3)
        ruleset.handled_fs |= ACCESS_FS_TRUNCATE;
    if (version >= 4)
        ruleset.handled_net = ACCESS_NET_TCP;
    if (version >= 6)
        ruleset.scoped = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS;
    if (spec->readable)
        ruleset.handled_fs |= READ_RIGHTS;
    rules.fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, version >= 6 ? 24 : version >= 4 ? 16 : 8, 0);
    if (rules.fd < 0)
        return error_set(error, SERIN_IO, "Landlock (version %d) made no ruleset: %s", version, strerror(errno));
    rules.handled = ruleset.handled_fs;
    grant_writing(&rules, spec);
    if (spec->readable)
        grant_reading(&rules, spec);
    if (rules.failed) {
        close(rules.fd);
        return error_set(error, SERIN_IO, "Landlock (version %d) refused a rule", version);
    }
    *ret_fd = rules.fd;
    return SERIN_OK;
}
