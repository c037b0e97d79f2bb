/*
 * admission.h - what a version must show before it gets traffic.  Depends on base, version/bundle.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * That it loads and warms up its worker shows by getting ready, and that it answers as it did when it was pushed
 * golden_check.h asks of that worker. Here is what two bundles and the machine tell: that clients of stable can read
 * its answers, that it is accurate enough, and that it fits beside what runs. All say SERIN_LIMIT, with what differs or
 * is missing and by how much; memory apart, somebody may say that it is meant.
 */
#ifndef SERVE_ADMISSION_H
#define SERVE_ADMISSION_H

#include "version/bundle.h"

/* Task, classes, inputs and outputs are those of stable. */
MUST_USE enum serin_errc admission_check_answers(const struct bundle *bundle, const struct bundle *stable,
                                                 struct serin_error *error);

/* The evaluation is not below the greater of floor and the bundle's own, nor, where stable (or NULL) was evaluated on
 * the same data, more than margin below stable's. A floor of 0 is none. */
MUST_USE enum serin_errc admission_check_accuracy(const struct bundle *bundle, const struct bundle *stable,
                                                  double floor, double margin, struct serin_error *error);

/* Before it is started, by its size: replicas need no more than is available and leave reserve free. Bytes;
 * available 0: not known. */
MUST_USE enum serin_errc admission_estimate_memory(const struct bundle *bundle, int replicas, uint64_t available,
                                                   uint64_t reserve, struct serin_error *error);

/* Once it is warm, by what was measured: of what runs (this version's replicas and stable's), how much is resident now
 * and how much was so at the most. All may need their most at once, and the reserve stays free. */
struct admission_memory {
    uint64_t resident, peak;               /* of this version */
    uint64_t stable_resident, stable_peak; /* 0 where there is none */
    uint64_t available;                    /* 0: not known */
};
MUST_USE enum serin_errc admission_check_memory(const struct bundle *bundle, const struct admission_memory *memory,
                                                uint64_t reserve, struct serin_error *error);

/* MemAvailable of /proc/meminfo, or what the control groups leave of it; 0 where neither is told. */
uint64_t admission_available_bytes(void);

#endif
