/*
 * gpu.c - libnvidia-ml.so.1, opened at run time: the program runs, and builds, without it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Declarations after NVIDIA's NVML API reference (docs.nvidia.com/deploy/nvml-api). Every function returns 0 for
 * success. The list of processes changed its name with its layout; versions 2 and 3 have the same one.
 */
#include "runtime/gpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define MAX_PROCESSES 1024

struct nvml_utilisation {
    unsigned gpu, memory; /* percent */
};

struct nvml_process {
    unsigned pid;
    unsigned long long used_bytes; /* all ones: not available */
    unsigned gpu_instance, compute_instance;
};

typedef struct nvml_device *nvml_device; /* the library's own */

static struct {
    int (*init)(void);
    int (*get_count)(unsigned *);
    int (*get_device)(unsigned, nvml_device *);
    int (*get_name)(nvml_device, char *, unsigned);
    int (*get_utilisation)(nvml_device, struct nvml_utilisation *);
    int (*get_processes)(nvml_device, unsigned *, struct nvml_process *);
    int count; /* -1: not usable */
} nvml;

/* POSIX lets a pointer to a function pass through void *, ISO C only its bytes. */
static bool find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);

    memcpy(function, &found, sizeof(found));
    return found != NULL;
}

static void open_nvml(void)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    unsigned count;

    nvml.count = -1;
    if (!library)
        return;
    if (!find(library, "nvmlInit_v2", &nvml.init) || !find(library, "nvmlDeviceGetCount_v2", &nvml.get_count) ||
        !find(library, "nvmlDeviceGetHandleByIndex_v2", &nvml.get_device) ||
        !find(library, "nvmlDeviceGetName", &nvml.get_name) ||
        !find(library, "nvmlDeviceGetUtilizationRates", &nvml.get_utilisation) ||
        (!find(library, "nvmlDeviceGetComputeRunningProcesses_v3", &nvml.get_processes) &&
         !find(library, "nvmlDeviceGetComputeRunningProcesses_v2", &nvml.get_processes)) ||
        nvml.init() != 0 || nvml.get_count(&count) != 0) {
        dlclose(library);
        return;
    }
    nvml.count = (int)count; /* the library stays open as long as we run */
}

int gpu_count(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_nvml);
    return nvml.count;
}

static bool find_device(int gpu, nvml_device *ret)
{
    return gpu >= 0 && gpu < gpu_count() && nvml.get_device((unsigned)gpu, ret) == 0;
}

bool gpu_name(int gpu, char *name, size_t size)
{
    nvml_device device;

    return find_device(gpu, &device) && nvml.get_name(device, name, (unsigned)size) == 0;
}

bool gpu_usage(int gpu, int pid, uint64_t *ret_bytes, double *ret_utilisation)
{
    struct nvml_process processes[MAX_PROCESSES];
    unsigned count = MAX_PROCESSES, i;
    struct nvml_utilisation utilisation;
    uint64_t bytes = 0;
    nvml_device device;

    if (!find_device(gpu, &device) || nvml.get_utilisation(device, &utilisation) != 0 ||
        nvml.get_processes(device, &count, processes) != 0)
        return false;
    for (i = 0; i < count && i < MAX_PROCESSES; i++) /* once for each instance that the GPU is cut into */
        if (processes[i].pid == (unsigned)pid && processes[i].used_bytes != ~0ull)
            bytes += processes[i].used_bytes;
    *ret_bytes = bytes;
    *ret_utilisation = utilisation.gpu > 100 ? 1 : utilisation.gpu / 100.0;
    return true;
}
