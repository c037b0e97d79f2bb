/*
 * bench_judge.c - what the judge costs: CPU time a request and memory, with 20 guards and 1,000 cameras.
 * SPDX-License-Identifier: Apache-2.0
 *
 * 100,000 requests with their draws at 1,000 a second with a look each 100 ms; all guards by light, two by camera.
 * Prints one line of JSON a unit of assignment, and what writing and reading a record costs.
 */
#include "judge/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define REQUESTS 100000
#define RECORDS  2000 /* that are used again and again, so that they do not count as the judge's memory */
#define CAMERAS  1000

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t seed;

static double chance(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) / 9007199254740992.;
}

static struct judge *make(enum judge_unit unit)
{
    static struct judge_options options;
    struct serin_error error;
    struct judge *judge;
    int i, k;

    options =
        (struct judge_options){.alpha = .05,
                               .beta = .05,
                               .unit = unit,
                               .block_s = 10,
                               .guard_count = 20,
                               .dimension_count = 2,
                               .step_count = 5,
                               .dimensions = {{.name = "light", .values = 4}, {.name = "camera", .values = CAMERAS}},
                               .golden_map = {(double)NAN, (double)NAN}};
    for (i = 0; i < options.guard_count; i++) {
        struct judge_guard *guard = &options.guards[i];

        guard->metric = judge_metric_at(i);
        snprintf(guard->name, sizeof(guard->name), "%s", guard->metric->name);
        guard->margin = guard->metric->margin;
        guard->limit = (double)NAN;
        guard->alpha_share = 1;
        guard->required = true;
        guard->dimensions = i < 2 ? 3 : 1;
        for (k = 0; k < options.step_count; k++)
            guard->prove[k] = guard->margin * (k < 2 ? 2 : 1);
    }
    if (judge_new(&options, &judge, &error) == SERIN_OK)
        return judge;
    fprintf(stderr, "bench_judge: %s\n", error.message);
    exit(1);
}

static void fill(struct record *record, int i)
{
    int k;

    *record = (struct record){.kind = RECORD_REQUEST, .t_s = i * .001, .share = .05, .slice_count = 1};
    record->arm = chance() < .05 ? JUDGE_CANARY : JUDGE_STABLE;
    snprintf(record->camera, sizeof(record->camera), "camera-%d", (int)(chance() * CAMERAS));
    memcpy(record->slices[0].name, "light", 6);
    memcpy(record->slices[0].value, chance() < .25 ? "dark" : "day ", 5);
    record->request = (struct record_request){.status = chance() < .01 ? 500 : 200,
                                              .total_ms = (float)(30 * exp(chance())),
                                              .queue_ms = (float)(3 * exp(chance())),
                                              .inference_ms = (float)(10 * exp(chance())),
                                              .detections = 5,
                                              .score_count = 5};
    for (k = 0; k < 5; k++)
        record->request.scores[k] = (float)chance();
}

static void bench_unit(enum judge_unit unit, const char *name, struct record *records)
{
    struct judge *judge = make(unit);
    struct judge_decision decision;
    struct rusage usage;
    double start = cpu_s(), worst_s = 0, now;
    int i;

    for (i = 0; i < REQUESTS; i++) {
        struct record *record = &records[i % RECORDS], draw = {.kind = RECORD_DRAW, .t_s = i * .001};

        draw.arm = record->arm;
        draw.share = record->share;
        memcpy(draw.camera, record->camera, sizeof(draw.camera));
        judge_add(judge, &draw);
        record->t_s = i * .001;
        judge_add(judge, record);
        if (i % 100 != 99)
            continue;
        now = cpu_s();
        judge_look(judge, i * .001, &decision);
        worst_s = fmax(worst_s, cpu_s() - now);
    }
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"name\": \"judge, unit %s\", \"us\": %.3f, \"longest_look_ms\": %.3f, \"tests\": %d, \"process_mb\": %ld}\n",
        name, (cpu_s() - start) * 1e6 / REQUESTS, worst_s * 1e3, judge_reading_count(judge), usage.ru_maxrss / 1024);
    judge_free(judge);
}

int main(void)
{
    struct record *records = calloc(RECORDS, sizeof(*records)), back;
    static char lines[1000][RECORD_MAX_LINE];
    static size_t sizes[1000];
    double start;
    int i;

    if (!records)
        return 1;
    for (i = 0; i < RECORDS; i++)
        fill(&records[i], i);
    bench_unit(JUDGE_REQUEST, "request", records);
    bench_unit(JUDGE_KEY_BLOCK, "key_block", records);
    bench_unit(JUDGE_KEY, "key", records);
    start = cpu_s();
    for (i = 0; i < REQUESTS; i++)
        sizes[i % 1000] = record_write(&records[i % RECORDS], lines[i % 1000]);
    printf("{\"name\": \"record_write\", \"us\": %.3f}\n", (cpu_s() - start) * 1e6 / REQUESTS);
    start = cpu_s();
    for (i = 0; i < 10000; i++)
        if (record_read(lines[i % 1000], sizes[i % 1000], &back, NULL) != SERIN_OK)
            return 1;
    printf("{\"name\": \"record_read\", \"us\": %.3f}\n", (cpu_s() - start) * 1e6 / 10000);
    free(records);
    return 0;
}
