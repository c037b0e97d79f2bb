/*
 * traffic.c - arrivals, cameras, times and boxes, from one stream of random numbers.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "traffic.h"

#include <math.h>
#include <string.h>

#define DAY_S       7200 /* so that a rollout sees some of it */
#define BURST_EACH  90   /* s between bursts, on average */
#define BURST_LASTS 4
#define BURST_RATE  5   /* times the traffic */
#define BURST_SLOW  1.6 /* times the time */
#define CRON_EACH   60  /* s: what runs at the beginning of each minute */
#define CRON_LASTS  3
#define CRON_ERRORS 2   /* times the error rate more, in this time */
#define ILL_EACH    400 /* s between a camera's bad times, on average */
#define ILL_LASTS   8
#define ILL_ERRORS  .35 /* of the requests of a camera in a bad time fail */
#define TAIL        .02 /* of the requests have a time of Pareto */
#define MEDIAN_MS   40

/* Sebastiano Vigna's SplitMix64. */
static uint64_t bits(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double traffic_uniform(uint64_t *random)
{
    return (double)(bits(random) >> 11) * 0x1p-53;
}

static double exponential(uint64_t *random, double mean)
{
    return -log(1 - traffic_uniform(random)) * mean;
}

static double normal(uint64_t *random)
{
    double radius = sqrt(-2 * log(1 - traffic_uniform(random)));

    return radius * cos(2 * M_PI * traffic_uniform(random));
}

void traffic_init(struct traffic *traffic, const struct traffic_options *options, uint64_t seed)
{
    double sum = 0, ill = (double)ILL_LASTS / (ILL_EACH + ILL_LASTS) * ILL_ERRORS;
    int i;

    memset(traffic, 0, sizeof(*traffic));
    traffic->options = *options;
    traffic->random = seed * 0x2545f4914f6cdd1d + 1;
    traffic->random_of_memory = traffic->random ^ 0x6d656d6f7279;
    traffic->phase = traffic_uniform(&traffic->random);
    traffic->burst_s = exponential(&traffic->random, BURST_EACH);
    for (i = 0; i < TRAFFIC_CAMERAS; i++) {
        struct traffic_camera *camera = &traffic->cameras[i];
        double weight = options->plain ? 1 : exp(.7 * normal(&traffic->random));

        sum += weight;
        camera->weight_sum = sum;
        camera->speed = options->plain ? 1 : exp(.2 * normal(&traffic->random));
        /* Mean 1 of the log-normal, and what bad times and bursts add is taken off. */
        camera->error_rate = options->plain
                                 ? options->error_rate
                                 : fmax(0, options->error_rate - ill) * exp(.8 * normal(&traffic->random) - .32);
        camera->hard = options->plain ? 0 : .1 * traffic_uniform(&traffic->random);
        camera->until_s = exponential(&traffic->random, ILL_EACH);
    }
    for (i = 0; i < TRAFFIC_CAMERAS; i++)
        traffic->cameras[i].weight_sum /= sum;
}

/* Requests a second, now. The next one is drawn at the present rate, which changes slowly beside it. */
static double rate_of(const struct traffic *traffic)
{
    if (traffic->options.plain)
        return traffic->options.requests_per_s;
    return traffic->options.requests_per_s * (1 + .6 * sin(2 * M_PI * (traffic->t_s / DAY_S + traffic->phase))) *
           (traffic->burst ? BURST_RATE : 1);
}

static void step_burst(struct traffic *traffic)
{
    while (!traffic->options.plain && traffic->t_s >= traffic->burst_s) {
        traffic->burst = !traffic->burst;
        traffic->burst_s += exponential(&traffic->random, traffic->burst ? BURST_LASTS : BURST_EACH);
    }
}

static int pick_camera(const struct traffic *traffic, double u)
{
    int low = 0, high = TRAFFIC_CAMERAS - 1;

    while (low < high) {
        int middle = (low + high) / 2;

        if (u < traffic->cameras[middle].weight_sum)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Which of four objects an event with probability p meets. */
static uint8_t chosen(uint64_t random, double p)
{
    uint8_t mask = 0;
    int i;

    for (i = 0; i < 4; i++)
        mask |= (uint8_t)(((double)(random >> 16 * i & 0xffff) < p * 65536) << i);
    return mask;
}

/* A scene lasts half a minute. What is hard to see is so for both versions; at the edge of the threshold a box comes
 * and goes, for each answer by itself. */
static void see(struct traffic *traffic, const struct traffic_camera *camera, struct traffic_request *ret)
{
    uint64_t scene = (uint64_t)(ret->t_s / 30) * 64 + (uint64_t)ret->camera, kind = bits(&scene);
    uint64_t dark = (kind >> 32) % 8 == 0 ? 1 : 0;
    double lost = traffic->options.harm.lost_dark;
    uint8_t missed;

    ret->light = traffic->options.plain ? (int)(kind >> 40 & 3) : dark ? 0 : 1 + ret->camera % 3;
    if (!traffic->options.plain && ret->camera % 6 == 0)
        ret->light = 0; /* indoors */
    ret->objects = (uint8_t)((2u << (kind & 3)) - 1);
    missed = traffic->options.plain ? 0
                                    : chosen(bits(&traffic->random),
                                             .03 + camera->hard + (camera->ill ? .3 : 0) + (ret->light == 0 ? .1 : 0));
    ret->found[0] = ret->objects & (uint8_t) ~(missed | chosen(bits(&traffic->random), TRAFFIC_FLOOR));
    ret->found[1] = ret->objects & (uint8_t) ~(missed | chosen(bits(&traffic->random), TRAFFIC_FLOOR) |
                                               chosen(bits(&traffic->random), ret->light == 0 ? lost : 0));
    ret->found_again = ret->objects & (uint8_t) ~(missed | chosen(bits(&traffic->random), TRAFFIC_FLOOR));
    ret->wrong[0] = ret->wrong[1] = traffic_uniform(&traffic->random) < .05;
    if (traffic_uniform(&traffic->random) < TRAFFIC_FLOOR)
        ret->wrong[1] = !ret->wrong[1];
}

void traffic_next(struct traffic *traffic, struct traffic_request *ret)
{
    const struct traffic_options *options = &traffic->options;
    struct traffic_camera *camera;
    double error_rate, failed, time_ms, tail;
    bool busy;

    traffic->t_s += exponential(&traffic->random, 1 / rate_of(traffic));
    step_burst(traffic);
    ret->t_s = traffic->t_s;
    ret->camera = pick_camera(traffic, traffic_uniform(&traffic->random));
    camera = &traffic->cameras[ret->camera];
    while (!options->plain && traffic->t_s >= camera->until_s) {
        camera->ill = !camera->ill;
        camera->until_s += exponential(&traffic->random, camera->ill ? ILL_LASTS : ILL_EACH);
    }
    busy = !options->plain && fmod(traffic->t_s, CRON_EACH) < CRON_LASTS;
    error_rate = camera->error_rate + (camera->ill ? ILL_ERRORS : 0) + (traffic->burst ? options->error_rate : 0) +
                 (busy ? CRON_ERRORS * options->error_rate : 0);
    failed = traffic_uniform(&traffic->random);
    ret->failed[0] = failed < error_rate;
    ret->failed[1] = failed < error_rate + options->harm.errors || options->harm.fails_always;
    failed = traffic_uniform(&traffic->random);
    ret->copy_failed[0] = failed < error_rate;
    ret->copy_failed[1] = failed < error_rate + options->harm.errors || options->harm.fails_always;
    time_ms =
        MEDIAN_MS * camera->speed * (traffic->burst || busy ? BURST_SLOW : 1) * exp(.3 * normal(&traffic->random));
    tail = traffic_uniform(&traffic->random);
    if (!options->plain && tail < TAIL)
        time_ms *= fmin(100, pow(tail / TAIL + 1e-9, -1 / 1.5));
    ret->time_ms[0] = (float)time_ms;
    ret->time_ms[1] = (float)(time_ms * (1 + options->harm.slower));
    see(traffic, camera, ret);
    ret->draw = bits(&traffic->random);
    ret->mirror = traffic_uniform(&traffic->random);
    ret->noise = traffic_uniform(&traffic->random);
    ret->label = traffic_uniform(&traffic->random);
    ret->delay = traffic_uniform(&traffic->random);
}

double traffic_memory_mb(struct traffic *traffic, int version, double requests)
{
    return 400 + 3 * normal(&traffic->random_of_memory) + (traffic->burst ? 20 : 0) +
           (version == 1 ? traffic->options.harm.leak_mb * requests / 1000 : 0);
}
