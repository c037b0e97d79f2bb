/*
 * record.h - what the judge is told: one record a request, a pair, a label, a choice, and what else it must know.
 * Depends on base, jansson. SPDX-License-Identifier: Apache-2.0
 *
 * A rollout keeps its records as NDJSON, one line each. The same lines feed the running judge, `serin judge` on a file,
 * a judge that comes back after kill -9, and a replay: there is no other way in. Times are seconds since the rollout
 * began, on one clock that never goes back.
 *
 *     {"t":1.5,"age":0.04,"arm":"canary","share":0.01,"camera":"c7","status":200,"fallback":false,
 *      "latency_ms":{"total":31.2,"queue":2.1,"inference":20.5},"detections":3,"scores":[0.9,0.8,0.41],
 *      "slice":{"light":"dark"}}
 *     {"t":1.6,"pair":{"camera":"c7","agreed":3,"lost":1,"gained":0,"flipped":0,"jitter":0.04,"score_shift":-0.02,
 *      "noise":false},"slice":{},"parts":[{"class":"person","agreed":2,"lost":1,"gained":0,"flipped":0}]}
 *     {"t":8,"pair":{"camera":"c7","failed":true}}
 *     {"t":9,"label":{"age":4,"arm":"canary","share":0.01,"camera":"c7","found":3,"missed":1,"wrong":0},
 *      "parts":[{"size":"small","found":0,"missed":1,"wrong":0}]}
 *     {"t":9,"label":{"camera":"c7","stable":{"found":4,"missed":0,"wrong":0},
 *      "canary":{"found":3,"missed":1,"wrong":0}}}
 *     {"t":9,"choice":"stable"}        (or canary, both, neither)
 *     {"t":1.4,"draw":{"age":0.01,"arm":"canary","share":0.01,"camera":"c7"}}
 *     {"t":10,"gauge":{"arm":"stable","memory_mb":412,"gpu_memory_mb":900,"requests":10432}}
 *     {"t":0,"golden":{"stable":0.512,"canary":0.518}}
 *     {"t":10,"step":1}    {"t":10.1,"look":true}    {"t":11,"accept":"lost"}
 */
#ifndef JUDGE_RECORD_H
#define JUDGE_RECORD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX_LINE   8192 /* bytes of a line */
#define RECORD_MAX_SCORES 64   /* of a picture, the highest; more are counted and not kept */
#define RECORD_MAX_SLICES 6
#define RECORD_MAX_PARTS  16 /* classes and sizes of one frame */
#define RECORD_MAX_NAME   23
#define RECORD_MAX_VALUE  63
#define RECORD_MAX_GUARD  31

/* Of numbers; one that is larger is refused in a file, and cut down to it by record_round. */
#define RECORD_MAX_TIME_S    1e9 /* thirty years */
#define RECORD_MAX_TIME_MS   1e8 /* a day */
#define RECORD_MAX_COUNT     1000000
#define RECORD_MAX_MEMORY_MB 1e9
#define RECORD_MAX_REQUESTS  1e10 /* of an arm's workers: at 1,000 a second, four months */

enum judge_arm { JUDGE_STABLE, JUDGE_CANARY };

enum record_kind {
    RECORD_REQUEST, /* a client's request, assigned to an arm by a draw */
    RECORD_PAIR,    /* both arms' answers to one frame, or stable's twice (noise); or that the second failed */
    RECORD_LABEL,   /* the truth about a frame has come, and how the arm (or both) had done */
    RECORD_CHOICE,  /* a person has said which answer of a pair is right */
    RECORD_DRAW,    /* a request was given to an arm; how it ended is a RECORD_REQUEST, when it has */
    RECORD_GAUGE,   /* memory of the workers of an arm */
    RECORD_GOLDEN,  /* what the golden set said of both, before the rollout */
    RECORD_STEP,    /* a step begins: its number from 0 */
    RECORD_LOOK,    /* the judge looks now */
    RECORD_ACCEPT   /* a person goes on in spite of a guard that called for one */
};

struct record_slice {
    char name[RECORD_MAX_NAME + 1], value[RECORD_MAX_VALUE + 1]; /* "light", "dark" */
};

struct record_request {
    int status;                             /* 0: no answer */
    bool fallback;                          /* stable answered in its place */
    float total_ms, queue_ms, inference_ms; /* negative: not known */
    int detections;                         /* -1: not known */
    int score_count;
    float scores[RECORD_MAX_SCORES];
    double age_s; /* how long before t_s it was drawn; 0: not told, and total_ms is all that is known of it */
};

/* Boxes of stable and canary matched greedily at IoU >= .5: of one frame, or of one class or size within it. */
struct record_matches {
    uint32_t agreed, lost, gained, flipped; /* flipped: same place, another class; neither lost nor gained */
};

/* An arm's boxes against the truth, matched greedily at IoU >= .5 in its class. */
struct record_truth {
    uint32_t found, missed, wrong; /* wrong: a box where nothing is */
};

struct record_part { /* "class" "person", "size" "small" */
    struct record_slice of;
    union {
        struct record_matches matches;
        struct record_truth truth[2]; /* by arm */
    };
};

struct record {
    enum record_kind kind;
    double t_s;
    /* request, draw, label: the arm that the draw gave, with its probability of canary at that time. Where a person or
     * a rule named the version there was no draw: share is 0, and no test uses it. */
    enum judge_arm arm;
    double share;
    char camera[RECORD_MAX_VALUE + 1]; /* the key of assignment; "" */
    int slice_count;
    struct record_slice slices[RECORD_MAX_SLICES];
    int part_count; /* pair, label */
    struct record_part parts[RECORD_MAX_PARTS];
    union {
        struct record_request request;
        struct {
            bool noise;  /* stable against itself */
            bool failed; /* stable has answered, and the copy was an error, garbage, too late, or lost */
            bool unread; /* both have answered, and in a form that has no boxes: nothing is compared */
            struct record_matches matches;
            float jitter;      /* mean of 1 - IoU over agreed boxes; negative: none agreed */
            float score_shift; /* mean of canary's score - stable's over agreed boxes, -1..1 */
        } pair;
        struct {
            double age_s; /* how long before t_s the frame was asked; 0 where it is not known */
            bool both;    /* both arms answered this frame: truth[0] and truth[1]; else truth[arm] */
            struct record_truth truth[2];
        } label;
        struct {
            double age_s; /* how long before t_s it was made */
        } draw;
        enum { RECORD_NEITHER, RECORD_STABLE_RIGHT, RECORD_CANARY_RIGHT, RECORD_BOTH } choice;
        struct {
            double memory_mb, gpu_memory_mb; /* negative: not known */
            double requests;                 /* answered by the arm's workers since they started */
        } gauge;
        struct {
            double map[2]; /* by arm; NAN: not evaluated */
        } golden;
        int step;
        char accept[RECORD_MAX_GUARD + 1]; /* the guard's name */
    };
};

/* Reads one line (without its newline). SERIN_INVALID names the field; an unknown one is refused, so that a misspelt
 * one is not silently absent. */
MUST_USE enum serin_errc record_read(const char *line, size_t size, struct record *ret, struct serin_error *error);

/* Writes it as such a line without newline; reading it back gives the same record (times to the microsecond, latencies
 * to the microsecond, shares to 1e-9, scores to 1e-4). Never fails for want of room: returns the size, at most
 * RECORD_MAX_LINE. */
size_t record_write(const struct record *record, char line[RECORD_MAX_LINE]);

/* Makes the record what reading its line back would give (numbers rounded as they are written and kept within their
 * limits, whatever a version or a clock has said; control characters and what is not UTF-8 as '?'), so that a judge
 * that is running and one that reads the file later see the same. */
void record_round(struct record *record);

#endif
