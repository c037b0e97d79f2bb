/*
 * usage.h - what a process uses, from /proc.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_USAGE_H
#define RUNTIME_USAGE_H

#include "runtime/runtime.h"

/* Fills resident_bytes, peak_bytes, cpu_seconds and user; leaves them where the process is gone. */
void usage_of_process(int pid, struct replica_usage *ret);

#endif
