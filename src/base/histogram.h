/*
 * histogram.h - counts of durations in buckets that grow with them.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Log-linear buckets as in HdrHistogram: each power of two is cut into 16, so a bucket is at most 1/16 of its value
 * wide. One thread records, any thread reads: each count is an atomic that only its owner writes, so histograms of
 * several threads are merged by adding.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_BUCKETS  ((1 << HISTOGRAM_SUB_BITS) * (33 - HISTOGRAM_SUB_BITS)) /* up to 2^32 us: 71 minutes */

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_us;
};

static inline int histogram_bucket(uint64_t value_us)
{
    int exponent;

    if (value_us > UINT32_MAX)
        value_us = UINT32_MAX;
    if (value_us < (1u << HISTOGRAM_SUB_BITS))
        return (int)value_us;
    exponent = 63 - __builtin_clzll(value_us) - HISTOGRAM_SUB_BITS; /* 0 for 16..31 */
    return ((exponent + 1) << HISTOGRAM_SUB_BITS) + (int)((value_us >> exponent) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}

/* The smallest value of a bucket; that of the next one is the bucket's end. */
static inline uint64_t histogram_floor_us(int bucket)
{
    int exponent = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t part = (uint64_t)bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);

    return exponent < 0 ? part : (part + (1u << HISTOGRAM_SUB_BITS)) << exponent;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value_us)
{
    _Atomic uint64_t *count = &histogram->counts[histogram_bucket(value_us)];

    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum_us, atomic_load_explicit(&histogram->sum_us, memory_order_relaxed) + value_us,
                          memory_order_relaxed);
}

/* A merged copy, for one thread. */
struct histogram_sum {
    uint64_t counts[HISTOGRAM_BUCKETS], total, sum_us;
};

static inline void histogram_add(struct histogram_sum *sum, const struct histogram *histogram)
{
    int i;

    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);

        sum->counts[i] += count;
        sum->total += count;
    }
    sum->sum_us += atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}

/* The middle of the bucket in which the quantile q (0..1) lies, in microseconds; 0 where nothing was counted. */
static inline double histogram_quantile_us(const struct histogram_sum *sum, double q)
{
    uint64_t rank = (uint64_t)(q * (double)sum->total), seen = 0;
    int i;

    if (sum->total == 0)
        return 0;
    if (rank >= sum->total)
        rank = sum->total - 1;
    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += sum->counts[i];
        if (seen > rank)
            return ((double)histogram_floor_us(i) + (double)histogram_floor_us(i + 1)) / 2;
    }
    return 0;
}

#endif
