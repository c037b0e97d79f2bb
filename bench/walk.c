/*
 * walk.c - a rollout by plan, machine, route and judge, in simulated time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order of things is the controller's: records as they come, a look CONTROLLER_LOOK_S after one at most, harm at
 * once, a step's end where it is proven by a look within it and has had its least time.
 */
#include "walk.h"

#include "judge/boundary.h"
#include "rollout/controller.h"
#include "rollout/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS      1700000040000 /* wall clock: the beginning of a minute, as the traffic's time 0 is */
#define MOST_ASKED    4096          /* at once; what is more is never answered */
#define LATEST_S      320           /* a label's delay is less */
#define FIRST_LABEL_S 60
#define LABELS_FOR_S  240

static const char *const lights[TRAFFIC_LIGHTS] = {"dark", "day", "dusk", "glare"};

/* A label on its way. */
struct pending {
    struct traffic_request request;
    enum judge_arm arm;
    double share;
    bool both;
    int next; /* of the same second; -1 */
};

/* A request whose answer is on its way. */
struct asked {
    struct traffic_request request;
    enum judge_arm arm;
    double share, answered_t_s;
};

struct walk {
    const struct walk_options *options;
    struct walk_result *result;
    struct traffic traffic;
    struct route route;
    struct rollout rollout;
    struct judge *judge;
    struct judge_decision last;
    double t_s, step_t_s, looked_s, gauged_s;
    double answered[2];
    bool fresh;
    int due[LATEST_S], free, label_s; /* labels by the second in which they come */
    struct pending *pending;
    int pending_count, pending_size;
    struct asked asked[MOST_ASKED]; /* a heap, the first answered first */
    int asked_count;
    struct boundary_mean reference;
    double pairs;
};

static void must(enum serin_errc rc, const struct serin_error *error)
{
    if (rc == SERIN_OK)
        return;
    fprintf(stderr, "simulation: %s\n", error->message);
    abort();
}

/* ---- records ---- */

static void slice_by_light(struct record *record, const struct traffic_request *request)
{
    record->slice_count = 1;
    memcpy(record->slices[0].name, "light", sizeof("light"));
    snprintf(record->slices[0].value, sizeof(record->slices[0].value), "%s", lights[request->light]);
    snprintf(record->camera, sizeof(record->camera), "c%d", request->camera);
}

static uint32_t ones(uint8_t mask)
{
    return (uint32_t)__builtin_popcount(mask);
}

static void add(struct walk *walk, struct record *record)
{
    record->t_s = walk->t_s;
    judge_add(walk->judge, record);
    walk->fresh = true;
}

static void add_draw(struct walk *walk, const struct traffic_request *request, enum judge_arm arm, double share)
{
    struct record record = {.kind = RECORD_DRAW, .arm = arm, .share = share};

    snprintf(record.camera, sizeof(record.camera), "c%d", request->camera);
    add(walk, &record);
}

static void add_request(struct walk *walk, const struct traffic_request *request, enum judge_arm arm, double share)
{
    static struct record record; /* large, and most of it is not used */

    record.kind = RECORD_REQUEST;
    record.arm = arm;
    record.share = share;
    slice_by_light(&record, request);
    record.request = (struct record_request){
        .status = request->failed[arm] && arm == JUDGE_STABLE ? 500 : 200,
        .fallback = request->failed[arm] && arm == JUDGE_CANARY, /* stable answers in its place */
        .total_ms = request->time_ms[arm],
        .queue_ms = -1,
        .inference_ms = -1,
        .detections = (int)ones(request->found[arm]) + request->wrong[arm],
    };
    if (request->failed[arm])
        record.request.detections = -1;
    add(walk, &record);
}

/* It is told the true floor, which the judge has to learn. */
static void note_reference(struct walk *walk, const struct record_matches *matches)
{
    const double boxes = matches->agreed + matches->lost;

    if (boxes == 0)
        return;
    walk->pairs++;
    boundary_mean_add(&walk->reference, (matches->lost / boxes + 1) / 2);
    if (isnan(walk->result->reference_pairs) && 2 * boundary_mean_interval(&walk->reference).lower - 1 > TRAFFIC_FLOOR)
        walk->result->reference_pairs = walk->pairs;
}

static void add_pair(struct walk *walk, const struct traffic_request *request, bool noise, bool failed)
{
    static struct record record;
    const uint8_t stable = request->found[0], other = noise ? request->found_again : request->found[1];
    const uint8_t wrong = noise ? request->wrong[0] : request->wrong[1];

    record.kind = RECORD_PAIR;
    slice_by_light(&record, request);
    record.pair.noise = noise;
    record.pair.matches = (struct record_matches){
        .agreed = ones(stable & other) + (request->wrong[0] && wrong),
        .lost = ones(stable & (uint8_t)~other) + (request->wrong[0] && !wrong),
        .gained = ones(other & (uint8_t)~stable) + (wrong && !request->wrong[0]),
    };
    record.pair.failed = failed;
    if (failed)
        record.pair.matches = (struct record_matches){.agreed = 0};
    record.pair.jitter = -1;
    add(walk, &record);
    if (!noise && !failed && request->light == 0 && walk->options->reference_alpha > 0)
        note_reference(walk, &record.pair.matches);
}

/* ---- labels ---- */

static void put_off(struct walk *walk, const struct pending *label)
{
    const int second = (int)(walk->t_s + FIRST_LABEL_S + label->request.delay * LABELS_FOR_S) % LATEST_S;
    int place = walk->free;

    if (place >= 0) {
        walk->free = walk->pending[place].next;
    } else {
        if (walk->pending_count == walk->pending_size) {
            walk->pending_size = walk->pending_size ? 2 * walk->pending_size : 1024;
            walk->pending = realloc(walk->pending, (size_t)walk->pending_size * sizeof(*walk->pending));
            if (!walk->pending)
                abort();
        }
        place = walk->pending_count++;
    }
    walk->pending[place] = *label;
    walk->pending[place].next = walk->due[second];
    walk->due[second] = place;
}

static void add_label(struct walk *walk, const struct pending *label)
{
    static struct record record;
    const struct traffic_request *request = &label->request;
    int arm;

    record.kind = RECORD_LABEL;
    record.arm = label->arm;
    record.share = label->share;
    slice_by_light(&record, request);
    record.label.both = label->both;
    record.label.age_s = walk->t_s - request->t_s;
    for (arm = 0; arm < 2; arm++)
        record.label.truth[arm] =
            (struct record_truth){.found = ones(request->found[arm]),
                                  .missed = ones(request->objects & (uint8_t)~request->found[arm]),
                                  .wrong = request->wrong[arm]};
    add(walk, &record);
}

static void add_labels(struct walk *walk)
{
    for (; walk->label_s + 1 <= walk->t_s; walk->label_s++) {
        int *first = &walk->due[walk->label_s % LATEST_S];

        while (*first >= 0) {
            struct pending *label = &walk->pending[*first];
            const int place = *first;

            add_label(walk, label);
            *first = label->next;
            label->next = walk->free;
            walk->free = place;
        }
    }
}

/* ---- requests ---- */

static bool is_mirrored(const struct walk *walk, const char *to, double u)
{
    int i;

    for (i = 0; i < walk->route.mirror_count; i++)
        if (strcmp(walk->route.mirrors[i].tag, to) == 0)
            return u * 1e6 < walk->route.mirrors[i].per_million;
    return false;
}

static void swap(struct asked *a, struct asked *b)
{
    const struct asked kept = *a;

    *a = *b;
    *b = kept;
}

/* The gateway draws a version. */
static void ask(struct walk *walk, const struct traffic_request *request)
{
    char key[16];
    const struct route_request asked = {.key = key,
                                        .key_size = (size_t)snprintf(key, sizeof(key), "c%d", request->camera),
                                        .random = request->draw,
                                        .now_ms = START_MS + (uint64_t)(request->t_s * 1000)};
    const enum judge_arm arm = route_pick(&walk->route, &asked).version == 1 ? JUDGE_CANARY : JUDGE_STABLE;
    const double share = walk->route.versions[1].weight / (double)ROUTE_MAX_WEIGHT;
    struct asked *heap = walk->asked;
    int at = walk->asked_count;

    if (share > 0 && share < 1)
        add_draw(walk, request, arm, share);
    if (at == MOST_ASKED)
        return;
    walk->asked_count++;
    heap[at] = (struct asked){*request, arm, share, request->t_s + (double)request->time_ms[arm] / 1000};
    for (; at > 0 && heap[at].answered_t_s < heap[(at - 1) / 2].answered_t_s; at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

static void take_answer(struct walk *walk, const struct asked *asked)
{
    const struct traffic_request *request = &asked->request;
    const enum judge_arm arm = asked->arm;
    const double share = asked->share;
    struct pending label = {.request = *request, .arm = arm, .share = share};

    walk->answered[arm]++;
    walk->result->canary_requests += arm == JUDGE_CANARY;
    walk->result->errors += share > 0 && request->failed[arm];
    add_request(walk, request, arm, share);
    /* What the canary has answered is copied to stable as rarely as stable's own, and where that fails nothing is told.
     */
    if (!request->failed[arm] && !(arm == JUDGE_CANARY && request->copy_failed[0]) &&
        is_mirrored(walk, arm == JUDGE_STABLE ? walk->rollout.canary : walk->rollout.stable, request->mirror)) {
        walk->answered[!arm]++;
        label.both = !request->copy_failed[!arm];
        add_pair(walk, request, false, !label.both);
    }
    if (arm == JUDGE_STABLE && !request->failed[0] && is_mirrored(walk, walk->rollout.stable, request->noise))
        add_pair(walk, request, true, request->copy_failed[0]);
    if (request->label < walk->options->label_share && !request->failed[arm])
        put_off(walk, &label);
}

/* The answers that come before t_s. */
static void take_answers(struct walk *walk, double t_s)
{
    struct asked *heap = walk->asked, first;
    int at, child;

    while (walk->asked_count > 0 && heap[0].answered_t_s <= t_s) {
        first = heap[0];
        heap[0] = heap[--walk->asked_count];
        for (at = 0; (child = 2 * at + 1) < walk->asked_count; at = child) {
            child += child + 1 < walk->asked_count && heap[child + 1].answered_t_s < heap[child].answered_t_s;
            if (heap[at].answered_t_s <= heap[child].answered_t_s)
                break;
            swap(&heap[at], &heap[child]);
        }
        walk->t_s = fmax(walk->t_s, first.answered_t_s);
        take_answer(walk, &first);
    }
}

static void add_gauges(struct walk *walk)
{
    static struct record record;
    int arm;

    if (walk->t_s - walk->gauged_s < CONTROLLER_GAUGE_S)
        return;
    walk->gauged_s = walk->t_s;
    for (arm = 0; arm < 2; arm++) {
        record.kind = RECORD_GAUGE;
        record.arm = (enum judge_arm)arm;
        record.gauge.memory_mb = traffic_memory_mb(&walk->traffic, arm, walk->answered[arm]);
        record.gauge.gpu_memory_mb = -1;
        record.gauge.requests = walk->answered[arm];
        add(walk, &record);
    }
}

/* ---- the rollout ---- */

static void apply(struct walk *walk, enum rollout_event event)
{
    struct serin_error error;

    must(machine_apply(&walk->rollout, walk->options->plan, event, (int64_t)(walk->t_s * 1000), "", &error), &error);
    if (walk->rollout.phase == ROLLOUT_PENDING)
        must(machine_apply(&walk->rollout, walk->options->plan, ROLLOUT_ON_READY, (int64_t)(walk->t_s * 1000), "",
                           &error),
             &error);
    machine_wish(&walk->rollout, walk->options->plan, &walk->route);
    if (walk->rollout.phase == ROLLOUT_PROGRESSING) {
        struct record record = {.kind = RECORD_STEP, .step = walk->rollout.step};

        walk->step_t_s = walk->t_s;
        add(walk, &record);
    }
}

static void begin(struct walk *walk)
{
    struct serin_error error;
    int i;

    traffic_init(&walk->traffic, &walk->options->traffic, walk->options->seed);
    must(judge_new(&walk->options->plan->judge, &walk->judge, &error), &error);
    rollout_init(&walk->rollout, "camera-1", "camera", "v1", "v2", walk->options->seed * 0x9e3779b97f4a7c15, 0);
    route_init(&walk->route, "camera");
    walk->route.version_count = 2;
    memcpy(walk->route.versions[0].tag, walk->rollout.stable, sizeof(walk->route.versions[0].tag));
    memcpy(walk->route.versions[1].tag, walk->rollout.canary, sizeof(walk->route.versions[1].tag));
    for (i = 0; i < LATEST_S; i++)
        walk->due[i] = -1;
    walk->free = -1;
    if (walk->options->reference_alpha > 0)
        boundary_mean_init(&walk->reference, 2 * walk->options->reference_alpha); /* its interval has two sides */
    apply(walk, ROLLOUT_ON_READY);
}

/* What the last look says, and what a person would; whether the walk is over. */
static bool decide(struct walk *walk)
{
    const struct plan_step *step = &walk->options->plan->steps[walk->rollout.step];
    const double in_step_s = walk->t_s - walk->step_t_s;

    if (walk->last.answer == JUDGE_GO_BACK) {
        apply(walk, ROLLOUT_ON_HARM);
        walk->result->end = WALK_ROLLED_BACK;
    } else if (walk->last.answer == JUDGE_STOP_AND_ASK || in_step_s > step->max_time_s) {
        apply(walk, ROLLOUT_ON_ASK);
        walk->result->end = WALK_INCONCLUSIVE;
    } else if (walk->last.answer == JUDGE_PASS && walk->last.t_s > walk->step_t_s && in_step_s >= step->min_time_s) {
        apply(walk, ROLLOUT_ON_PROVEN);
    } else if (in_step_s > walk->options->patience_s) {
        apply(walk, ROLLOUT_ON_PROMOTE);
    }
    if (walk->rollout.phase == ROLLOUT_PROMOTED)
        walk->result->end = WALK_PROMOTED;
    return walk->rollout.phase != ROLLOUT_PROGRESSING;
}

void walk_serin(const struct walk_options *options, struct walk_result *ret)
{
    struct walk walk = {.options = options, .result = ret};
    struct traffic_request request;
    bool over = false;

    *ret = (struct walk_result){.reference_pairs = (double)NAN};
    begin(&walk);
    traffic_next(&walk.traffic, &request);
    while (!over && request.t_s < options->most_s) {
        const double look_t_s = walk.looked_s + CONTROLLER_LOOK_S;

        take_answers(&walk, fmin(look_t_s, request.t_s));
        if (look_t_s <= request.t_s) {
            walk.looked_s = walk.t_s = fmax(walk.t_s, look_t_s);
            add_labels(&walk);
            add_gauges(&walk);
            if (walk.fresh)
                judge_look(walk.judge, walk.t_s, &walk.last);
            walk.fresh = false;
            over = decide(&walk);
        } else {
            walk.t_s = request.t_s;
            ask(&walk, &request);
            traffic_next(&walk.traffic, &request);
        }
    }
    ret->t_s = walk.t_s;
    ret->pairs = walk.pairs;
    while (options->reference_alpha > 0 && isnan(ret->reference_pairs) && request.t_s < options->most_s) {
        ask(&walk, &request); /* whoever is asked stands where it is, and mirrors */
        take_answers(&walk, request.t_s);
        traffic_next(&walk.traffic, &request);
    }
    if (ret->end == WALK_ROLLED_BACK || ret->end == WALK_INCONCLUSIVE) {
        memcpy(ret->guard, walk.last.guard, sizeof(ret->guard));
        snprintf(ret->slice, sizeof(ret->slice), "%s", walk.last.slice);
    }
    judge_free(walk.judge);
    free(walk.pending);
}
