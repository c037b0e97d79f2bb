/*
 * usage.c - /proc/PID/status and /proc/PID/stat (proc(5)).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return false;
    got = read(fd, text, size - 1); /* one read: proc writes it all at once */
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return true;
}

static void read_kib(const char *text, const char *field, uint64_t *ret)
{
    const char *found = strstr(text, field);
    uint64_t kib;

    if (found && sscanf(found + strlen(field), "%" SCNu64, &kib) == 1)
        *ret = kib * 1024;
}

void usage_of_process(int pid, struct replica_usage *ret)
{
    unsigned long user, system;
    char path[64], text[4096];
    const char *rest, *found;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (read_text(path, text, sizeof(text))) {
        read_kib(text, "\nVmRSS:", &ret->resident_bytes);
        read_kib(text, "\nVmHWM:", &ret->peak_bytes);
        found = strstr(text, "\nUid:");
        if (found)
            sscanf(found, "\nUid: %d", &ret->user);
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (!read_text(path, text, sizeof(text)))
        return;
    rest = strrchr(text, ')'); /* the name in front of it may hold anything */
    if (rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
        ret->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
