/*
 * limits.c - groups of one replica each, under our own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What works is found by making a group, since permissions, delegation and read-only mounts differ everywhere. Version
 * 2 hands controllers to children only where no process lives in the group itself (cgroups(7), "no internal
 * processes"): where we are alone in ours we move ourselves into a child, as a delegated systemd service does; where
 * others live there too, it is not ours to arrange: groups beside it, or rlimits, must do.
 */
#include "runtime/limits.h"

#include "runtime/cgroup_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERIOD_US      100000
#define LEAST_QUOTA_US 1000 /* the kernel's least */
#define MOST_PROCESSES 4096

static const char *const names[LIMITS_CONTROLLERS] = {
#define X(name, text) text,
    LIMITS_CONTROLLER_MAP(X)
#undef X
};

static struct {
    int version;
    char path[400]; /* our own group */
} places[LIMITS_CONTROLLERS];

static struct {
    int version;
    char path[400];
} home; /* the group with the limit of memory that we ourselves are in; version 0: none */

static bool write_file(const char *folder, const char *file, const char *format, ...) PRINTF_LIKE(3, 4);

static bool write_file(const char *folder, const char *file, const char *format, ...)
{
    char path[640], text[128];
    ssize_t written;
    va_list args;
    int fd, length;

    va_start(args, format);
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    written = write(fd, text, (size_t)length); /* one write: the kernel takes it whole or not at all */
    close(fd);
    return written == length;
}

static bool read_file(const char *folder, const char *file, char *text, size_t size)
{
    char path[640];
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got >= 0;
}

/* ---- what works here ---- */

/* Groups of processes that are gone; rmdir refuses those that still have a process in them. */
static void remove_stale(const char *path, bool bears_our_id)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        char group[680];
        int pid, end = 0;

        if (sscanf(entry->d_name, "serin-%d-%n", &pid, &end) != 1 || end == 0 || pid <= 0)
            continue;
        /* In a container each server may have the same id: before we have made groups, what bears ours is stale too. */
        if (pid == getpid() ? !bears_our_id : kill(pid, 0) == 0 || errno != ESRCH)
            continue;
        snprintf(group, sizeof(group), "%s/%s", path, entry->d_name);
        rmdir(group);
    }
    if (folder)
        closedir(folder);
}

static bool lists(const char *path, const char *file, const char *controller)
{
    char text[1024];

    return read_file(path, file, text, sizeof(text)) && cgroup_has_word(text, " \n", controller);
}

/* A controller of version 2 for the children of path, our own group. */
static bool hand_down(const char *path, const char *controller)
{
    char text[1024], own[16], child[512];
    bool handed;

    if (lists(path, "cgroup.subtree_control", controller) ||
        write_file(path, "cgroup.subtree_control", "+%s", controller))
        return true;
    snprintf(own, sizeof(own), "%d\n", (int)getpid());
    if (!read_file(path, "cgroup.procs", text, sizeof(text)) || strcmp(text, own) != 0)
        return false;
    snprintf(child, sizeof(child), "%s/serin-%d-self", path, (int)getpid());
    if ((mkdir(child, 0755) != 0 && errno != EEXIST) || !write_file(child, "cgroup.procs", "0"))
        return false;
    handed = write_file(path, "cgroup.subtree_control", "+%s", controller);
    if (!handed) {
        write_file(path, "cgroup.procs", "0");
        rmdir(child);
    }
    return handed;
}

static bool unlimited(const char *path)
{
    static const char *const files[] = {"memory.max", "memory.high", "cpu.max"};
    char text[64];
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (read_file(path, files[i], text, sizeof(text)) && strncmp(text, "max", 3) != 0)
            return false;
    return true;
}

/* Where replicas' groups of version 2 can be: under path (our own group), or beside it. Changes path accordingly. */
static bool find_unified(char *path, const char *controller)
{
    char *slash;

    if (!lists(path, "cgroup.controllers", controller))
        return false;
    if (hand_down(path, controller))
        return true;
    /* Others live in our group too, as in a login session. Its parent hands the controller down already; to be beside
     * it is to leave it, so that no limit of it may be evaded (but of pids, which systemd sets everywhere). */
    slash = strrchr(path, '/');
    if (!slash || slash == path || !unlimited(path))
        return false;
    *slash = '\0';
    return lists(path, "cgroup.subtree_control", controller);
}

static void find_places(void)
{
    FILE *own = fopen("/proc/self/cgroup", "re"), *mounts = fopen("/proc/self/mountinfo", "re");
    int versions[LIMITS_CONTROLLERS] = {0}, i;

    /* All first: handing down may move us to another group. */
    for (i = 0; own && mounts && i < LIMITS_CONTROLLERS; i++)
        versions[i] = cgroup_place(own, mounts, names[i], places[i].path, sizeof(places[i].path));
    home.version = versions[LIMITS_MEMORY];
    memcpy(home.path, places[LIMITS_MEMORY].path, sizeof(home.path));
    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        char trial[512];

        if (versions[i] == 0 || (versions[i] == 2 && !find_unified(places[i].path, names[i])))
            continue;
        remove_stale(places[i].path, true);
        snprintf(trial, sizeof(trial), "%s/serin-%d-trial", places[i].path, (int)getpid());
        if (mkdir(trial, 0755) != 0)
            continue;
        rmdir(trial);
        places[i].version = versions[i];
    }
    if (own)
        fclose(own);
    if (mounts)
        fclose(mounts);
}

int limits_cgroup_version(enum limits_controller controller)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_places);
    return places[controller].version;
}

void limits_sweep(void)
{
    int i;

    for (i = 0; i < LIMITS_CONTROLLERS; i++)
        if (limits_cgroup_version((enum limits_controller)i))
            remove_stale(places[i].path, false);
}

/* ---- what is left ---- */

static bool read_number(const char *path, const char *file, uint64_t *ret)
{
    char text[64];

    return read_file(path, file, text, sizeof(text)) && sscanf(text, "%" SCNu64, ret) == 1; /* "max" is none */
}

static uint64_t left_in(const char *path, int version)
{
    const char *field = version == 1 ? "\ntotal_inactive_file " : "\ninactive_file ", *found;
    uint64_t most, used, files = 0;
    char text[4096];

    if (!read_number(path, version == 1 ? "memory.limit_in_bytes" : "memory.max", &most) ||
        !read_number(path, version == 1 ? "memory.usage_in_bytes" : "memory.current", &used))
        return UINT64_MAX;
    if (read_file(path, "memory.stat", text, sizeof(text)) && (found = strstr(text, field)))
        sscanf(found + strlen(field), "%" SCNu64, &files);
    used -= files < used ? files : used;
    return most > used ? most - used : 0;
}

/* A group has no more than those above it. */
static uint64_t left_from(const char *group, int version)
{
    uint64_t least = UINT64_MAX;
    char path[400], *slash;

    for (snprintf(path, sizeof(path), "%s", group); (slash = strrchr(path, '/')) && slash != path; *slash = '\0') {
        uint64_t left = left_in(path, version);

        least = left < least ? left : least;
    }
    return least;
}

uint64_t limits_available_bytes(void)
{
    limits_cgroup_version(LIMITS_MEMORY); /* so that it has looked */
    return home.version ? left_from(home.path, home.version) : UINT64_MAX;
}

/* ---- one replica's groups ---- */

static bool limit_memory(const char *path, int version, uint64_t bytes)
{
    if (version == 1) {
        if (!write_file(path, "memory.limit_in_bytes", "%" PRIu64, bytes))
            return false;
        /* Swapping would only turn a death into slowness; kernels without swap accounting lack this one. */
        write_file(path, "memory.memsw.limit_in_bytes", "%" PRIu64, bytes);
        return true;
    }
    write_file(path, "memory.swap.max", "0");
    write_file(path, "memory.oom.group", "1");
    return write_file(path, "memory.max", "%" PRIu64, bytes);
}

static bool limit_cpu(const char *path, int version, double cpus)
{
    int64_t quota = (int64_t)(cpus * PERIOD_US);

    if (quota < LEAST_QUOTA_US)
        quota = LEAST_QUOTA_US;
    if (version == 1)
        return write_file(path, "cpu.cfs_period_us", "%d", PERIOD_US) &&
               write_file(path, "cpu.cfs_quota_us", "%" PRId64, quota);
    return write_file(path, "cpu.max", "%" PRId64 " %d", quota, PERIOD_US);
}

static uint64_t oom_kills(const struct limits_group *group)
{
    const char *path = group->paths[LIMITS_MEMORY], *found;
    char text[1024];
    uint64_t count = 0;

    if (path[0] && read_file(path, places[LIMITS_MEMORY].version == 1 ? "memory.oom_control" : "memory.events", text,
                             sizeof(text))) {
        found = strstr(text, "oom_kill ");
        if (found)
            sscanf(found, "oom_kill %" SCNu64, &count);
    }
    return count;
}

enum serin_errc limits_init(struct limits_group *ret, uint64_t memory_bytes, double cpus, struct serin_error *error)
{
    static atomic_uint number;
    const unsigned own = atomic_fetch_add(&number, 1);
    struct limits_group group = {0};
    int i;

    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        const int version = limits_cgroup_version((enum limits_controller)i);
        bool set = true;

        if (!version)
            continue;
        snprintf(group.paths[i], sizeof(group.paths[i]), "%s/serin-%d-%u", places[i].path, (int)getpid(), own);
        if (mkdir(group.paths[i], 0755) != 0 && errno != EEXIST)
            set = false; /* it exists where controllers share a hierarchy */
        else if (i == LIMITS_MEMORY)
            set = memory_bytes == 0 || limit_memory(group.paths[i], version, memory_bytes);
        else if (i == LIMITS_CPU)
            set = !(cpus > 0) || limit_cpu(group.paths[i], version, cpus);
        else
            write_file(group.paths[i], "pids.max", "%d", MOST_PROCESSES);
        if (!set) {
            error_set(error, SERIN_IO, "%s (cgroup v%d): the limit of %s cannot be set: %s", group.paths[i], version,
                      names[i], strerror(errno));
            limits_done(&group);
            return SERIN_IO;
        }
    }
    *ret = group;
    return SERIN_OK;
}

enum serin_errc limits_admit(const struct limits_group *group, pid_t pid, struct serin_error *error)
{
    int i;

    for (i = 0; i < LIMITS_CONTROLLERS; i++)
        if (group->paths[i][0] && !write_file(group->paths[i], "cgroup.procs", "%d", (int)pid))
            return error_set(error, SERIN_IO, "%s does not take the process: %s", group->paths[i], strerror(errno));
    return SERIN_OK;
}

bool limits_killed_for_memory(struct limits_group *group)
{
    const uint64_t now = oom_kills(group);
    const bool killed = now > group->oom_kills;

    group->oom_kills = now;
    return killed;
}

uint64_t limits_peak_bytes(const struct limits_group *group)
{
    const bool first = places[LIMITS_MEMORY].version == 1;
    uint64_t peak = 0;

    if (group->paths[LIMITS_MEMORY][0])
        read_number(group->paths[LIMITS_MEMORY], first ? "memory.max_usage_in_bytes" : "memory.peak", &peak);
    return peak;
}

void limits_kill(const struct limits_group *group)
{
    int i;

    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        char text[4096], *line, *rest = text;

        if (!group->paths[i][0] || write_file(group->paths[i], "cgroup.kill", "1") ||
            !read_file(group->paths[i], "cgroup.procs", text, sizeof(text)))
            continue;
        while ((line = strsep(&rest, "\n"))) {
            long pid = strtol(line, NULL, 10);

            if (pid > 0 && pid != getpid() && rest) /* a line without its end may be half a number */
                kill((pid_t)pid, SIGKILL);
        }
    }
}

bool limits_done(struct limits_group *group)
{
    bool gone = true;
    int i;

    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        if (!group->paths[i][0])
            continue;
        if (rmdir(group->paths[i]) == 0 || errno == ENOENT)
            group->paths[i][0] = '\0';
        else
            gone = false;
    }
    return gone;
}
