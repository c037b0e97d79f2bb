/*
 * timing.c - counts in the buckets of base/histogram.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/timing.h"

#include <math.h>

void timing_add(struct timing *timing, int arm, double time_ms)
{
    timing->counts[arm][histogram_bucket((uint64_t)(time_ms * 1000))]++;
    timing->total[arm]++;
}

void fading_add(struct fading *fading, double time_ms)
{
    fading->counts[histogram_bucket((uint64_t)(time_ms * 1000))]++;
    fading->total++;
}

void fading_fade(struct fading *fading, double t_s)
{
    double left = exp2(-(t_s - fading->faded_t_s) / TIMING_FADES_S);
    int i;

    if (left > .99) /* not worth the work yet */
        return;
    fading->faded_t_s = t_s;
    fading->total = 0;
    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        fading->counts[i] = (float)((double)fading->counts[i] * left);
        fading->total += (double)fading->counts[i];
    }
}

/* A place within a bucket, part 0..1 of the way. */
static double within_ms(int bucket, double part)
{
    double low = (double)histogram_floor_us(bucket), high = (double)histogram_floor_us(bucket + 1);

    return (low + part * (high - low)) / 1000;
}

double timing_quantile(const struct timing *timing, int arm, double level)
{
    double wanted = level * (double)timing->total[arm], seen = 0;
    int i;

    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double count = timing->counts[arm][i];

        if (count > 0 && seen + count >= wanted)
            return within_ms(i, (wanted - seen) / count);
        seen += count;
    }
    return (double)NAN;
}

double fading_quantile(const struct fading *fading, double level)
{
    double wanted = level * fading->total, seen = 0, count;
    int i, last = -1;

    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count = (double)fading->counts[i];
        if (count > 0) {
            last = i;
            if (seen + count >= wanted)
                return within_ms(i, (wanted - seen) / count);
        }
        seen += count;
    }
    return last < 0 ? (double)NAN : within_ms(last, 1); /* the sum's last bit */
}
