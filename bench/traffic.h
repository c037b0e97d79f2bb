/*
 * traffic.h - simulated traffic of a fleet of cameras, and what two versions would answer to it.  Depends on libm.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing in it depends on who answers: a request carries what either version would have done, so that whoever judges,
 * with whatever shares, sees the same requests. The same seed gives the same traffic, everywhere.
 *
 * What makes it hard: requests come in bursts, in which everything
 * is slower and fails more often; each minute begins with some seconds in which something else runs; the day goes up
 * and down (here in two hours); cameras differ in traffic, in time, in errors and in how hard their scenes are; a
 * camera fails for many requests in a row, and then is well; times are log-normal with a tail of Pareto (1.5: its
 * variance is infinite).
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#define TRAFFIC_CAMERAS 48
#define TRAFFIC_LIGHTS  4    /* the slices; 0 is dark */
#define TRAFFIC_FLOOR   .004 /* of its boxes a version loses against itself */

/* What is wrong with the canary; all zero: nothing. */
struct traffic_harm {
    double errors;     /* more of them, as a share of the requests: .01 is one point */
    double slower;     /* all times by this part: .1 is +10 % */
    double lost_dark;  /* of its boxes in dark frames */
    double leak_mb;    /* in 1,000 requests */
    bool fails_always; /* each request */
};

struct traffic_options {
    double requests_per_s, error_rate;
    bool plain; /* Poisson arrivals, cameras alike, log-normal times with sigma .3: what the tables were made with */
    struct traffic_harm harm;
};

struct traffic_request {
    double t_s;
    int camera, light;
    bool failed[2]; /* by version: 0 stable, 1 canary */
    bool copy_failed[2];
    float time_ms[2]; /* of the whole */
    /* Objects in the frame, by bits: what is there, what each version finds, and stable a second time. */
    uint8_t objects, found[2], found_again;
    uint8_t wrong[2];                   /* boxes where nothing is */
    uint64_t draw;                      /* uniform: for who answers */
    double mirror, noise, label, delay; /* uniform in [0, 1): for what else becomes of it */
};

struct traffic_camera {
    double weight_sum, speed, error_rate, hard; /* weight_sum: of it and those before, of 1 */
    double until_s;
    bool ill;
};

struct traffic {
    struct traffic_options options;
    uint64_t random, random_of_memory;
    double t_s, phase, burst_s, burst_until_s;
    bool burst;
    struct traffic_camera cameras[TRAFFIC_CAMERAS];
};

double traffic_uniform(uint64_t *random); /* in [0, 1) */

void traffic_init(struct traffic *traffic, const struct traffic_options *options, uint64_t seed);
void traffic_next(struct traffic *traffic, struct traffic_request *ret);

/* Memory of a version's worker that has answered so many requests, in MB. */
double traffic_memory_mb(struct traffic *traffic, int version, double requests);

#endif
