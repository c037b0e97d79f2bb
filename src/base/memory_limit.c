/*
 * memory_limit.c - a default from the size of the machine, and the kernel's limit for this process.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/memory_limit.h"

#include "base/sanitizers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LEAST_BYTES ((uint64_t)1 << 30)
#define MODEL_TIMES 8

static uint64_t read_limit(const char *path)
{
    uint64_t bytes = UINT64_MAX;
    FILE *file = fopen(path, "re");

    if (!file)
        return UINT64_MAX;
    if (fscanf(file, "%" SCNu64, &bytes) != 1) /* "max" */
        bytes = UINT64_MAX;
    fclose(file);
    return bytes;
}

/* In a container its own group is the root of the tree that it sees. A limit elsewhere in the tree keeps the machine
 * safe by itself. */
static uint64_t machine_bytes(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        uint64_t limit = read_limit(files[i]);

        least = limit < least ? limit : least;
    }
    return least;
}

uint64_t memory_limit_default(uint64_t model_bytes)
{
    uint64_t half = machine_bytes() / 2, least = LEAST_BYTES + MODEL_TIMES * model_bytes;

    if (ADDRESS_SANITIZED || THREAD_SANITIZED)
        return 0;
    return half > least ? half : least;
}

/* As the kernel counts it for RLIMIT_DATA; 0 where it does not tell. */
static uint64_t data_now(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    uint64_t kib = 0;
    char line[256];

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "VmData: %" SCNu64, &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib << 10;
}

enum serin_errc memory_limit_process(uint64_t bytes, struct serin_error *error)
{
    struct rlimit limit;
    rlim_t wanted = bytes + data_now();

    if (bytes == 0 || (ADDRESS_SANITIZED || THREAD_SANITIZED))
        return SERIN_OK;
    if (getrlimit(RLIMIT_DATA, &limit) != 0)
        return error_set(error, SERIN_IO, "the limit of memory cannot be read: %s", strerror(errno));
    if (limit.rlim_cur <= wanted) /* RLIM_INFINITY is the largest */
        return SERIN_OK;
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        return error_set(error, SERIN_IO, "memory cannot be limited to %" PRIu64 " MB: %s", bytes / 1000000,
                         strerror(errno));
    return SERIN_OK;
}

uint64_t memory_limit_in_force(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : 0;
}
