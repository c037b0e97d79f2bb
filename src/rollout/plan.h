/*
 * plan.h - how a version is released: steps, guards, gates, windows; read from YAML.  Depends on base, judge,
 * gateway/route.h, libyaml; knows no network. SPDX-License-Identifier: Apache-2.0
 *
 *     alpha: 0.05                     # of a false alarm, for the whole rollout
 *     unit: request                   # or key, or {key: X-Camera, block: 60s}
 *     slices: [light, {camera: {values: 64}}]
 *     guards:
 *       - {metric: error_rate, margin: 0.5}
 *       - {metric: missed, margin: 0.03, slices: [light]}
 *     steps:
 *       - {mirror: 10%}
 *       - {weight: 1%, prove: {error_rate: 2}, min: {evidence: 200, time: 1m}, max: {time: 1d}}
 *       - {weight: 50%, pause: true}
 *       - {weight: 100%}
 *     after: {analysis: 1h, undo: 7d}
 *     frames: {keep: 200, retention: 7d}
 *     webhooks: [{url: http://..., on: [gate, harm, promoted]}]
 *
 * Everything has a default: plan_init is the default plan (mirror, 1, 5, 20, 50, 100 %). One table declares the keys:
 * the reader, `serin lint`, the manual and the console read it. An unknown key or metric is an error with its line and
 * the nearest known one.
 */
#ifndef ROLLOUT_PLAN_H
#define ROLLOUT_PLAN_H

#include "gateway/route.h"
#include "judge/judge.h"

#define PLAN_MAX_WEBHOOKS      8
#define PLAN_MAX_TESTERS       8
#define PLAN_MAX_HEADER_SLICES 3
#define PLAN_MAX_URL           512
#define PLAN_MAX_BYTES         (256u << 10) /* of the YAML */

struct plan_step {
    uint32_t weight_per_million;       /* canary's share; 0 in a step that only mirrors */
    uint32_t mirror_per_million;       /* of stable's requests copied to the canary, and answered by no client */
    uint32_t noise_per_million;        /* of stable's requests copied to stable again, for the noise floor */
    double min_evidence, max_evidence; /* of the canary, in the unit of assignment; max INFINITY: none */
    double min_time_s, max_time_s;     /* max: then a person is called; INFINITY: none */
    bool pause;                        /* wait for a person before the next step */
};

enum plan_hook {
    PLAN_ON_GATE = 1,
    PLAN_ON_STARTED = 2,
    PLAN_ON_STEP = 4,
    PLAN_ON_HARM = 8,
    PLAN_ON_PAUSED = 16,
    PLAN_ON_PROMOTED = 32,
    PLAN_ON_ENDED = 64
};

struct plan_webhook {
    char url[PLAN_MAX_URL + 1];
    uint32_t on;         /* of enum plan_hook. A gate is asked before each step, and only a 2xx lets it go on */
    double timeout_s;    /* default 10; a gate that does not answer holds */
    char secret_env[64]; /* environment variable whose value signs the body (HMAC-SHA256); "" */
};

struct plan {
    struct judge_options judge; /* guards, slices, alpha, unit, what each step must prove */
    enum route_key_source key_source;
    char key_name[ROUTE_MAX_TEXT + 1];
    struct plan_step steps[JUDGE_MAX_STEPS]; /* judge.step_count of them */
    int tester_count;
    struct route_rule testers[PLAN_MAX_TESTERS]; /* forced to the canary from the first step; tag is empty */
    double analysis_s;                           /* after the last step: harm still undoes by itself */
    double undo_s;                               /* stable of before is kept running so long */
    char zone[64];                               /* of slices by hour, as the IANA data base has it; "UTC" */
    int webhook_count;
    struct plan_webhook webhooks[PLAN_MAX_WEBHOOKS];
    int frames_kept; /* most pictures on which the versions differ that are kept for people; 0: none, the default */
    double frames_megabytes, frames_retention_s; /* most bytes of them; how long each is kept */
    bool judge_without_labels;                   /* false: a plan whose guards need labels says so when none come */
};

void plan_init(struct plan *plan); /* the default plan */

/* How many bytes of its URL may be told: scheme and host, without a password before it. What comes behind is often the
 * secret. */
int plan_webhook_shown(const struct plan_webhook *hook);

bool plan_slice_is_header(const char *name); /* X-...: the value of that field of a request */

/* Reads YAML over the defaults. SERIN_INVALID: "line 7: ...". */
MUST_USE enum serin_errc plan_read(const char *yaml, size_t size, struct plan *ret, struct serin_error *error);
/* path as file_read_input has it. */
MUST_USE enum serin_errc plan_read_file(const char *path, struct plan *ret, struct serin_error *error);

/* The plan as YAML with every key, each with its help: reading it back gives the same plan. What is stored with a
 * rollout. */
struct buffer;
void plan_write(const struct plan *plan, bool with_help, struct buffer *out);

/* What a plan needs, at a given traffic. */
struct plan_traffic {
    double requests_per_s, labels_per_s, error_rate; /* of stable; default 10, 0, .01 */
    int cameras;                                     /* 0: not known */
};
struct plan_need { /* of one guard in one step */
    int step;
    const struct judge_guard *guard; /* NULL: the step's least evidence and time */
    bool required;                   /* at this traffic: the step waits for it */
    double units;  /* of the canary, about the median under no difference, for the step's proof: requests, blocks,
                      labelled frames, or pairs; INFINITY: it cannot; NAN: it depends on what is not known before */
    double time_s; /* INFINITY and NAN as units; INFINITY where nothing of the kind comes */
};
/* Calls need for every step but the last and each guard with a margin there, required or not, and warn for what a
 * person should know (a margin that its share cannot prove in the step's max time, a fleet too small to split, a guard
 * without its source, ...). */
void plan_lint(const struct plan *plan, const struct plan_traffic *traffic,
               void (*need)(void *user, const struct plan_need *need), void (*warn)(void *user, const char *sentence),
               void *user);

#endif
