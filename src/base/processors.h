/*
 * processors.h - how many processors this process may use, and how many threads make sense on them.  Depends on
 * nothing. SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

#include <sched.h>

/* In a container or under taskset they are fewer than the machine has. At least 1. */
static inline int processors_usable(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

/* The most threads that an engine may have. More than processors only wait for each other; a thousand of them cost
 * gigabytes of address space and stall the machine. So many are let through for those who know better. */
static inline int processors_most_threads(void)
{
    int most = 4 * processors_usable();

    return most > 16 ? most : 16;
}

#endif
