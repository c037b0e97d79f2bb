/*
 * admission.h - what a version must show before it gets a process, let alone traffic.  Depends on base,
 * version/bundle.h. SPDX-License-Identifier: Apache-2.0
 *
 * That it loads and warms up its worker shows by getting ready; here is what can be told from bundles: that clients of
 * stable can read its answers, that its evaluation is not below the floor it came with, and that it fits beside what
 * runs.
 */
#ifndef SERVE_ADMISSION_H
#define SERVE_ADMISSION_H

#include "version/bundle.h"

/* stable: the version that serves the model now, or NULL. confirmed: somebody has said that a difference is meant.
 * available_bytes: memory that the machine can give; 0: not known. SERIN_LIMIT says what differs or is missing, and
 * what to do. */
MUST_USE enum serin_errc admission_check(const struct bundle *bundle, const struct bundle *stable, int replicas,
                                         uint64_t available_bytes, bool confirmed, struct serin_error *error);

/* MemAvailable of /proc/meminfo; 0 where it is not there. */
uint64_t admission_available_bytes(void);

#endif
