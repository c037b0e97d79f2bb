/*
 * gpu.h - what NVIDIA's management library (NVML) tells of the GPUs, where there is one.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_GPU_H
#define RUNTIME_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many GPUs there are, in PCI order; -1 without NVML. The library is opened once (which may take a second), then
 * remembered. All functions: threadsafe. */
int gpu_count(void);

/* "NVIDIA H100 80GB HBM3" into name; false where there is no such GPU. */
bool gpu_name(int gpu, char *name, size_t size);

/* Memory of one process (as the driver counts it; 0 for one that it does not list, which is so for every process of a
 * container that cannot see the host's ids) and the share of the last moments (0..1) in which the GPU was busy, with
 * whomever. False, and nothing written, where NVML does not answer. */
bool gpu_usage(int gpu, int pid, uint64_t *ret_bytes, double *ret_utilisation);

#endif
