/*
 * test_random.h - random numbers for the judge's tests, the same everywhere.  Depends on libm.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A test sets seed before it draws, so that none depends on which ran before.
 */
#ifndef JUDGE_TEST_RANDOM_H
#define JUDGE_TEST_RANDOM_H

#include <math.h>
#include <stdint.h>

static uint64_t seed = 1;

/* Uniform in (0, 1): SplitMix64 (Steele, Lea and Flood 2014). */
static inline double chance(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static inline double normal(void) /* Box and Muller 1958 */
{
    return sqrt(-2 * log(chance())) * cos(6.283185307179586 * chance());
}

#endif
