/*
 * plan_lint.c - what a plan's steps need at a given traffic, and what a person should know before it runs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A proof of no harm is there when log e reaches ln(1 / beta). Under no difference log e grows by so much a unit, as
 * the best bet has it, and the units needed are about the quotient: within 20 % of the medians that were simulated for
 * rates (docs/plans.md). What a rate costs follows from its base rate alone. All else needs a spread that is
 * not known before there is traffic; the ones assumed are in the table below, and the numbers are then orders of
 * magnitude. For events the growth is the Kullback-Leibler divergence of the canary's share of events under no
 * difference from that under the margin; for bounded means it is that of a bet lambda on Z of docs/internals/judge.md,
 * lambda mu - lambda^2 v / 2.
 */
#include "rollout/plan_inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIME_SPREAD  .3  /* standard deviation of the logarithm of a request's time */
#define LABEL_SPREAD .25 /* of a labelled frame's share of missed objects */
#define PAIR_SPREAD  .15 /* of the difference of two versions on one frame */

/* Memory is told in readings of the worker's (judge/gauges.c): of its level one in five seconds, and of its growth one
 * each hundred requests. */
#define LEVEL_EACH_S     5
#define GROWTH_REQUESTS  100
#define GROWTH_SCALE     8  /* margins at which a reading is cut off */
#define GROWTH_SPREAD_MB 60 /* in 1,000 requests: of memory that goes up and down by 3 MB */

/* Standard deviations of a request's value: of its mean where the margin is relative. */
static const struct {
    const char *metric;
    double spread;
} request_spreads[] = {{"image_time", .3}, {"detections", .6}, {"score", .15}, {"low_scores", .25}};

struct lint {
    const struct plan *plan;
    const struct plan_traffic *traffic;
    void (*need)(void *user, const struct plan_need *need);
    void (*warn)(void *user, const char *sentence);
    void *user;
};

static void warn(struct lint *lint, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(struct lint *lint, const char *format, ...)
{
    char sentence[400];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    lint->warn(lint->user, sentence);
}

/* ---- growth of log e ---- */

/* The canary's share of the events where its rate is ratio times stable's. */
static double event_share(double share, double ratio)
{
    return share * ratio / (share * ratio + 1 - share);
}

/* Events of both versions until "ratio >= r0" is ruled out, if it truly is r. */
static double events_needed(double share, double r, double r0, double beta)
{
    double q = event_share(share, r), p = event_share(share, r0);
    double growth = q * log(q / p) + (1 - q) * log((1 - q) / (1 - p));

    return growth > 0 ? -log(beta) / growth : INFINITY;
}

/* Units of both versions until "canary >= r0 stable + d" is ruled out, if they are alike: their mean is mean, their
 * standard deviation spread, and no bet may be more than most. */
static double units_needed(double share, double mean, double spread, double r0, double d, double most, double beta)
{
    double away = (r0 - 1) * mean + d, variance = spread * spread;
    double mu = share * (1 - share) * away;
    double v = share * (1 - share) * ((1 - share) * (variance + away * away) + share * r0 * r0 * variance);
    double bet = fmin(mu / v, most), growth = bet * mu - bet * bet * v / 2;

    return growth > 0 ? -log(beta) / growth : INFINITY;
}

/* ---- guards ---- */

/* p of NAME_p95; 0: no quantile. */
static double level_of(const struct judge_metric *metric)
{
    static const struct {
        const char *end;
        double level;
    } levels[] = {{"_p50", .5}, {"_p95", .95}, {"_p99", .99}};
    size_t length = strlen(metric->name), i;

    for (i = 0; i < 3; i++)
        if (length > 4 && strcmp(metric->name + length - 4, levels[i].end) == 0)
            return levels[i].level;
    return 0;
}

static bool is_rate(const struct judge_metric *metric)
{
    return metric->source == JUDGE_FROM_REQUESTS && metric->scale == JUDGE_RELATIVE &&
           strcmp(metric->unit, "share") == 0;
}

/* The point that a standard normal exceeds with this probability; by bisection, as no speed is asked for. */
static double normal_point(double exceeded)
{
    double low = -10, high = 10;

    while (high - low > 1e-9) {
        double middle = (low + high) / 2;

        if (erfc(middle / M_SQRT2) / 2 > exceeded)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Requests in one unit of assignment. */
static double requests_per_unit(const struct lint *lint)
{
    const struct judge_options *judge = &lint->plan->judge;

    if (judge->unit != JUDGE_KEY_BLOCK || lint->traffic->cameras <= 0)
        return 1;
    return fmax(1, lint->traffic->requests_per_s * judge->block_s / lint->traffic->cameras);
}

/* Units of both versions that a guard on requests needs in a step. */
static double request_units(const struct lint *lint, const struct judge_guard *guard, double share, double margin)
{
    double e = lint->traffic->error_rate, beta = lint->plan->judge.beta, per_unit = requests_per_unit(lint);
    double level = level_of(guard->metric), most = 1 / (1 - share), spread = .3;
    bool relative = guard->metric->scale == JUDGE_RELATIVE;
    size_t i;

    if (is_rate(guard->metric)) {
        if (lint->plan->judge.unit == JUDGE_KEY_BLOCK)
            return units_needed(share, e, sqrt(e * (1 - e) / per_unit), 1 + margin, 0, most, beta);
        return events_needed(share, 1, 1 + margin, beta) / e;
    }
    if (level > 0) { /* alike versions: the canary exceeds the shifted quantile less often */
        double tail = 1 - level;
        double shifted = erfc((normal_point(tail) + log1p(margin) / TIME_SPREAD) / M_SQRT2) / 2;
        double by_mean = units_needed(share, tail, sqrt(tail * level / per_unit), 1, tail - shifted, most, beta);

        if (per_unit > 1)
            return by_mean;
        return fmin(by_mean, events_needed(share, shifted / tail, 1, beta) / (share * shifted + (1 - share) * tail));
    }
    for (i = 0; i < sizeof(request_spreads) / sizeof(request_spreads[0]); i++)
        if (strcmp(request_spreads[i].metric, guard->metric->name) == 0)
            spread = request_spreads[i].spread;
    return units_needed(share, relative ? 1 : 0, spread / sqrt(per_unit), relative ? 1 + margin : 1,
                        relative ? 0 : margin, INFINITY, beta);
}

/* Labelled frames of both versions; what was mirrored and labelled is compared frame by frame as well. */
static double label_units(const struct lint *lint, const struct plan_step *step, double share, double margin)
{
    double beta = lint->plan->judge.beta, mirrored = step->mirror_per_million / 1e6 * (1 - share);
    double paired = mirrored * margin * margin / (2 * (PAIR_SPREAD * PAIR_SPREAD + margin * margin)) / -log(beta);
    double drawn = share > 0 ? 1 / units_needed(share, 0, LABEL_SPREAD, 1, margin, 1 / (1 - share), beta) : 0;

    return paired + drawn > 0 ? 1 / (paired + drawn) : INFINITY;
}

static double pair_units(const struct lint *lint, double margin)
{
    double growth = margin * margin / (2 * (PAIR_SPREAD * PAIR_SPREAD + margin * margin));

    return growth > 0 ? -log(lint->plan->judge.beta) / growth : INFINITY;
}

/* Variance of a normal with this standard deviation that is cut off at -1 and 1. */
static double cut_variance(double spread)
{
    double end = 1 / spread, beyond = erfc(end / M_SQRT2), density = exp(-end * end / 2) / sqrt(2 * M_PI);

    return spread * spread * (1 - beyond - 2 * end * density) + beyond;
}

/* Readings that a guard on memory needs, where both versions' stands still. */
static double gauge_units(const struct lint *lint, const struct judge_guard *guard, double margin)
{
    double away, variance, growth;

    if (guard->metric->scale == JUDGE_RELATIVE) /* each reading is within the margin: as good as a coin's one side */
        return -log(lint->plan->judge.beta) / log(1.95);
    if (guard->margin <= 0)
        return NAN;
    away = margin / (GROWTH_SCALE * guard->margin);
    variance = cut_variance(GROWTH_SPREAD_MB / (GROWTH_SCALE * guard->margin)) + away * away;
    growth = away * away / (2 * variance);
    return -log(lint->plan->judge.beta) / growth;
}

/* The least part of the evidence that must be proven by itself. */
static double smallest_slice(const struct plan *plan, const struct judge_guard *guard)
{
    double smallest = 1;
    int i;

    for (i = 0; i < plan->judge.dimension_count; i++)
        if (guard->dimensions >> i & 1 && plan->judge.dimensions[i].required)
            smallest = fmin(smallest, fmax(plan->judge.dimensions[i].min_share, 1e-6));
    return smallest;
}

/* Copies and gauges come where there is a mirror and a worker of our own: only of labels is it known beforehand. */
static bool is_required(const struct lint *lint, const struct judge_guard *guard)
{
    return guard->required == JUDGE_REQUIRED ||
           (guard->required == JUDGE_REQUIRED_IF_HEARD &&
            (guard->metric->source != JUDGE_FROM_LABELS || lint->traffic->labels_per_s > 0));
}

/* units and time of a guard in a step; of both versions and of the canary are told apart by the caller. */
static void need_of(const struct lint *lint, const struct judge_guard *guard, int i, struct plan_need *ret)
{
    const struct plan_traffic *traffic = lint->traffic;
    const struct judge_options *judge = &lint->plan->judge;
    const struct plan_step *step = &lint->plan->steps[i];
    double share = step->weight_per_million / 1e6, rate = traffic->requests_per_s, units = NAN, part = share;

    switch (guard->metric->source) {
    case JUDGE_FROM_REQUESTS:
        units = share > 0 ? request_units(lint, guard, share, guard->prove[i]) : INFINITY;
        rate /= requests_per_unit(lint);
        if (judge->unit == JUDGE_KEY && traffic->cameras > 0) {
            double counted = is_rate(guard->metric) ? units * traffic->error_rate : units; /* once a camera */

            if (counted > traffic->cameras)
                units = INFINITY;
        }
        break;
    case JUDGE_FROM_LABELS:
        units = label_units(lint, step, share, guard->prove[i]);
        rate = traffic->labels_per_s;
        break;
    case JUDGE_FROM_PAIRS:
        units = pair_units(lint, guard->prove[i]);
        rate *= step->mirror_per_million / 1e6 * (1 - share);
        if (traffic->cameras > 0)
            rate = fmin(rate, traffic->cameras); /* one pair a camera and second */
        part = 1;
        break;
    case JUDGE_FROM_GAUGES:
        units = gauge_units(lint, guard, guard->prove[i]);
        if (guard->metric->scale == JUDGE_RELATIVE)
            rate = 1.0 / LEVEL_EACH_S;
        else /* what is copied to it fills its memory, too */
            rate *= fmin(share + step->mirror_per_million / 1e6 * (1 - share), 1 - share) / GROWTH_REQUESTS;
        part = 1;
        break;
    case JUDGE_FROM_CHOICES:
    case JUDGE_FROM_GOLDEN:
        break;
    }
    units /= smallest_slice(lint->plan, guard);
    *ret = (struct plan_need){i, guard, is_required(lint, guard), isfinite(units) ? units * part : units,
                              isnan(units)                  ? NAN
                              : isfinite(units) && rate > 0 ? units / rate
                                                            : INFINITY};
}

/* ---- what is worth a sentence ---- */

static void check_need(struct lint *lint, const struct plan_need *need)
{
    const struct plan_step *step = &lint->plan->steps[need->step];
    enum judge_source source = need->guard->metric->source;

    if (!need->required || isnan(need->units))
        return;
    if (isfinite(need->time_s) && need->time_s > step->max_time_s)
        warn(lint,
             "step %d: proving %g of '%s' takes about %.0f s at this traffic, and a person is called after %.0f s",
             need->step + 1, need->guard->prove[need->step], need->guard->name, need->time_s, step->max_time_s);
    else if (source == JUDGE_FROM_LABELS && isfinite(need->units) && !isfinite(need->time_s)) {
        if (!lint->plan->judge_without_labels)
            warn(lint,
                 "step %d: '%s' needs labels for %.0f of the new version's frames, and none are expected: the "
                 "step waits for a person",
                 need->step + 1, need->guard->name, ceil(need->units));
    } else if (!isfinite(need->time_s))
        warn(lint, "step %d: '%s' cannot be proven in this step%s", need->step + 1, need->guard->name,
             lint->plan->judge.unit == JUDGE_KEY && source == JUDGE_FROM_REQUESTS
                 ? ": each camera counts once, and there are too few; a unit of key and block counts more often"
             : source == JUDGE_FROM_REQUESTS && step->weight_per_million == 0
                 ? ": no client's request goes to the new version"
                 : "");
}

static void check_step(struct lint *lint, int i)
{
    const struct plan *plan = lint->plan;
    const struct plan_step *step = &plan->steps[i];
    double share = step->weight_per_million / 1e6;
    bool proves = false, sees_failures = false;
    int g;

    for (g = 0; g < plan->judge.guard_count; g++) {
        const struct judge_guard *guard = &plan->judge.guards[g];

        proves |= is_required(lint, guard) && isfinite(guard->prove[i]);
        sees_failures |= strcmp(guard->metric->name, "mirror_error_rate") == 0 && guard->action != JUDGE_NOTE;
    }
    if (share <= 0 && step->mirror_per_million > 0 && !sees_failures && !isfinite(step->max_time_s))
        warn(lint,
             "step %d: no guard acts on mirror_error_rate: where the new version fails all copies, the step waits "
             "for ever (add that guard, or max: {time: ...}, after which a person is called)",
             i + 1);
    if (!proves && share > 0 && share < 1)
        warn(lint, "step %d proves nothing: it ends by its least evidence and time", i + 1);
    if (plan->judge.unit != JUDGE_REQUEST && share > 0 && lint->traffic->cameras > 0 &&
        lint->traffic->cameras * share < 1)
        warn(lint, "step %d: %d cameras cannot be split at %g %%: %s", i + 1, lint->traffic->cameras, share * 100,
             plan->judge.unit == JUDGE_KEY ? "most likely none of them, or one whole, goes to the new version"
                                           : "at most times none of them has the new version");
}

static bool has_mirror(const struct plan *plan)
{
    int i;

    for (i = 0; i < plan->judge.step_count; i++)
        if (plan->steps[i].mirror_per_million > 0)
            return true;
    return false;
}

static void check_guards(struct lint *lint)
{
    const struct judge_options *judge = &lint->plan->judge;
    bool mirrors = has_mirror(lint->plan), frames = lint->plan->frames_kept > 0, labels = false;
    int g, i;

    for (g = 0; g < judge->guard_count; g++) {
        const struct judge_guard *guard = &judge->guards[g];

        if (guard->metric->source == JUDGE_FROM_PAIRS && !mirrors)
            warn(lint, "guard '%s' compares two answers to one frame, and no step mirrors", guard->name);
        if (guard->metric->source == JUDGE_FROM_CHOICES && !frames)
            warn(lint, "guard '%s' waits for people's choices, and no frames are kept for them (frames: {keep: 200})",
                 guard->name);
        labels |= guard->metric->source == JUDGE_FROM_LABELS;
        for (i = 1; i < judge->step_count; i++)
            if (isfinite(guard->prove[i - 1]) && isfinite(guard->prove[i]) && guard->prove[i] > guard->prove[i - 1])
                warn(lint, "guard '%s': step %d proves %g, which step %d has proven better (%g)", guard->name, i + 1,
                     guard->prove[i], i, guard->prove[i - 1]);
    }
    if (frames && !mirrors)
        warn(lint, "frames that both versions have answered are to be kept, and no step mirrors");
    if (labels && lint->traffic->labels_per_s <= 0 && !lint->plan->judge_without_labels)
        warn(lint, "some guards need labels, and none are expected: until one comes it is known from disagreement with "
                   "stable alone whether the new version sees what it should (--labels N tells what they take; "
                   "without_labels: true in the plan says that none will come)");
}

void plan_lint(const struct plan *plan, const struct plan_traffic *traffic,
               void (*need)(void *user, const struct plan_need *need),
               void (*warn_user)(void *user, const char *sentence), void *user)
{
    struct lint lint = {plan, traffic, need, warn_user, user};
    int i, g;

    check_guards(&lint);
    if (plan->judge.step_count == 1)
        warn(&lint,
             "the only step is the promotion: all requests go to the new version at once, and what is wrong with "
             "it is found afterwards");
    for (i = 0; i < plan->judge.step_count - 1; i++) { /* the last has nothing to prove */
        const struct plan_step *step = &plan->steps[i];
        double share = step->weight_per_million / 1e6, rate = traffic->requests_per_s / requests_per_unit(&lint);
        struct plan_need least = {i, NULL, true, step->min_evidence, step->min_time_s};

        rate *= share > 0 ? share : step->mirror_per_million / 1e6;
        if (step->min_evidence > 0)
            least.time_s = fmax(least.time_s, rate > 0 ? step->min_evidence / rate : INFINITY);
        need(user, &least);
        check_step(&lint, i);
        for (g = 0; g < plan->judge.guard_count; g++) {
            struct plan_need one;

            if (!isfinite(plan->judge.guards[g].prove[i]))
                continue;
            need_of(&lint, &plan->judge.guards[g], i, &one);
            need(user, &one);
            check_need(&lint, &one);
        }
    }
}
