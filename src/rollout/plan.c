/*
 * plan.c - the default plan, and what the parts of a plan must be to one another.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a step proves by default follows its share: at 1 % of the traffic a ratio of 3 can be ruled out in reasonable
 * time, at 5 % one of 2, from 20 % on one of 1.5, where the margin of harm is the default 0.5. With a base rate of 1 %
 * errors those cost in the median 36,000, 19,000 and 25,000 (15,000 at 50 %) requests of both versions
 * (docs/plans.md has the table; plan_lint computes it for any plan and traffic).
 */
#include "rollout/plan_inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- defaults ---- */

/* Guards of the default plan. What needs labels, copies or gauges holds a step up where they come: not every fleet has
 * them. */
static const struct {
    const char *metric;
    double alpha_share;
    enum judge_required required;
    bool by_light;
} default_guards[] = {
    {"error_rate", 4, JUDGE_REQUIRED, false},
    {"mirror_error_rate", 1, JUDGE_REQUIRED_IF_HEARD, false},
    {"latency_p95", 2, JUDGE_REQUIRED, false},
    {"latency_p50", 1, JUDGE_NOT_REQUIRED, false},
    {"missed", 2, JUDGE_REQUIRED_IF_HEARD, true},
    {"wrong", 2, JUDGE_REQUIRED_IF_HEARD, true},
    {"lost", 1, JUDGE_NOT_REQUIRED, true},
    {"gained", 1, JUDGE_NOT_REQUIRED, true},
    {"detections", 1, JUDGE_NOT_REQUIRED, true},
    {"memory", 1, JUDGE_REQUIRED_IF_HEARD, false},
    {"gpu_memory", 1, JUDGE_REQUIRED_IF_HEARD, false},
    {"memory_growth", 1, JUDGE_REQUIRED_IF_HEARD, false},
    {"golden_map", 1, JUDGE_NOT_REQUIRED, false},
};

static const struct {
    uint32_t weight, mirror, noise;
    double evidence, time_s;
} default_steps[] = {
    {0, 100000, 10000, 0, 60},        {10000, 100000, 10000, 100, 60}, {50000, 100000, 10000, 200, 60},
    {200000, 100000, 10000, 500, 60}, {500000, 0, 0, 500, 60},         {ROUTE_MAX_WEIGHT, 0, 0, 0, 0},
};

void plan_init_slice(struct judge_dimension *slice, const char *name)
{
    static const struct {
        const char *name;
        int values;
    } usual[] = {{"camera", 64}, {"light", 4}, {"sharpness", 4}, {"hour", 24}, {"class", 80}, {"size", 3}};
    size_t i;

    *slice = (struct judge_dimension){.values = 16, .min_share = .05};
    snprintf(slice->name, sizeof(slice->name), "%s", name);
    for (i = 0; i < COUNT(usual); i++)
        if (strcmp(usual[i].name, name) == 0)
            slice->values = usual[i].values;
}

/* A guard that goes back holds the steps up: always where requests or labels tell of it, since whoever names such a
 * guard expects them; else where there is something to prove it by. People's choices are too few. */
static enum judge_required required_of(const struct judge_metric *metric)
{
    if (metric->action != JUDGE_ROLL_BACK)
        return JUDGE_NOT_REQUIRED;
    switch (metric->source) {
    case JUDGE_FROM_REQUESTS:
    case JUDGE_FROM_LABELS:
        return JUDGE_REQUIRED;
    case JUDGE_FROM_PAIRS:
    case JUDGE_FROM_GAUGES:
        return JUDGE_REQUIRED_IF_HEARD;
    case JUDGE_FROM_CHOICES:
    case JUDGE_FROM_GOLDEN:
        break;
    }
    return JUDGE_NOT_REQUIRED;
}

void plan_init_guard(struct judge_guard *guard, const struct judge_metric *metric)
{
    int i;

    *guard = (struct judge_guard){.metric = metric,
                                  .margin = metric->margin,
                                  .limit = NAN,
                                  .alpha_share = 1,
                                  .action = metric->action,
                                  .required = required_of(metric)};
    snprintf(guard->name, sizeof(guard->name), "%s", metric->name);
    for (i = 0; i < JUDGE_MAX_STEPS; i++)
        guard->prove[i] = INFINITY;
}

void plan_init_step(struct plan_step *step)
{
    *step = (struct plan_step){.min_evidence = 100, .max_evidence = INFINITY, .min_time_s = 60, .max_time_s = INFINITY};
}

void plan_init_webhook(struct plan_webhook *webhook)
{
    *webhook = (struct plan_webhook){.timeout_s = 10};
}

double plan_default_proof(const struct judge_guard *guard, const struct plan_step *step)
{
    bool paired = guard->metric->source == JUDGE_FROM_PAIRS || guard->metric->source == JUDGE_FROM_CHOICES;
    /* Memory goes up and down by some MB: to know its growth within the margin itself takes 26,000 requests of the new
     * version, at any share; within twice the margin 7,000. */
    bool growth = guard->metric->source == JUDGE_FROM_GAUGES && guard->metric->scale == JUDGE_ABSOLUTE;
    uint32_t share = step->weight_per_million;

    if (share >= ROUTE_MAX_WEIGHT) /* nothing is left to compare with */
        return INFINITY;
    if (paired)
        return step->mirror_per_million > 0 ? guard->margin : INFINITY;
    if (share == 0)
        return INFINITY;
    return fmin(guard->margin * (share < 20000 ? 4 : share < 100000 || growth ? 2 : 1), PLAN_MAX_MARGIN);
}

void plan_init(struct plan *plan)
{
    size_t i, j;

    memset(plan, 0, sizeof(*plan)); /* with its padding, so that equal plans are equal bytes */
    plan->judge.alpha = plan->judge.beta = .05;
    plan->judge.unit = JUDGE_REQUEST;
    plan->judge.block_s = 1; /* of pairs, where the unit is not a block */
    plan->judge.golden_map[0] = plan->judge.golden_map[1] = NAN;
    plan->key_source = ROUTE_KEY_HEADER;
    snprintf(plan->key_name, sizeof(plan->key_name), "X-Camera");
    snprintf(plan->zone, sizeof(plan->zone), "UTC");
    plan->analysis_s = 3600;
    plan->undo_s = 7 * 86400;
    plan->frames_megabytes = 256;
    plan->frames_retention_s = 7 * 86400;
    plan_init_slice(&plan->judge.dimensions[0], "light");
    plan->judge.dimensions[0].required = true; /* a version that is blind in the dark is well on the whole */
    plan->judge.dimensions[0].min_share = .1;
    plan->judge.dimension_count = 1;
    plan->judge.step_count = (int)COUNT(default_steps);
    for (i = 0; i < COUNT(default_steps); i++) {
        struct plan_step *step = &plan->steps[i];

        plan_init_step(step);
        step->weight_per_million = default_steps[i].weight;
        step->mirror_per_million = default_steps[i].mirror;
        step->noise_per_million = default_steps[i].noise;
        step->min_time_s = default_steps[i].time_s;
        step->min_evidence = plan->judge.min_evidence[i] = default_steps[i].evidence;
    }
    plan->judge.guard_count = (int)COUNT(default_guards);
    for (i = 0; i < COUNT(default_guards); i++) {
        const struct judge_metric *metric = judge_metric_find(default_guards[i].metric);
        struct judge_guard *guard = &plan->judge.guards[i];

        BUG_ON(!metric);
        plan_init_guard(guard, metric);
        guard->alpha_share = default_guards[i].alpha_share;
        guard->required = default_guards[i].required;
        guard->dimensions = default_guards[i].by_light;
        for (j = 0; j < COUNT(default_steps); j++)
            guard->prove[j] = plan_default_proof(guard, &plan->steps[j]);
    }
}

bool plan_slice_is_header(const char *name)
{
    return strncasecmp(name, "X-", 2) == 0;
}

int plan_webhook_shown(const struct plan_webhook *hook)
{
    const char *host = strstr(hook->url, "://");
    size_t size = host ? strcspn(host + 3, "/?#") : 0;

    if (host && memchr(host + 3, '@', size)) /* a password */
        size = 0;
    return host ? (int)(host + 3 - hook->url + (ptrdiff_t)size) : 0;
}

/* ---- checks ---- */

static enum serin_errc check_steps(const struct plan *plan, struct serin_error *error)
{
    int count = plan->judge.step_count, i;

    if (count < 1 || count > JUDGE_MAX_STEPS)
        return error_set(error, SERIN_INVALID, "%d steps, there must be 1 to %d", count, JUDGE_MAX_STEPS);
    for (i = 0; i < count; i++) {
        const struct plan_step *step = &plan->steps[i];
        uint32_t before = i > 0 ? plan->steps[i - 1].weight_per_million : 0;

        if (step->weight_per_million < before)
            return error_set(error, SERIN_INVALID, "step %d: a weight of %g %% behind one of %g %%: weights never fall",
                             i + 1, step->weight_per_million / 1e4, before / 1e4);
        if ((step->weight_per_million == ROUTE_MAX_WEIGHT) != (i == count - 1))
            return error_set(error, SERIN_INVALID,
                             "step %d: a weight of %g %%: the last step, and no other, gives 100 %%", i + 1,
                             step->weight_per_million / 1e4);
        if (step->weight_per_million == 0 && step->mirror_per_million == 0)
            return error_set(error, SERIN_INVALID, "step %d: neither weight nor mirror: it would learn nothing", i + 1);
        if (step->weight_per_million == 0 && step->min_evidence > 0)
            return error_set(error, SERIN_INVALID,
                             "step %d: min evidence of %g: it is counted in requests that the new version answers, and "
                             "a step that only mirrors has none",
                             i + 1, step->min_evidence);
        if (step->pause && i == count - 1)
            return error_set(error, SERIN_INVALID, "step %d: a pause behind the last step: nothing comes after it",
                             i + 1);
        if (step->min_time_s > step->max_time_s || step->min_evidence > step->max_evidence)
            return error_set(error, SERIN_INVALID, "step %d: min is more than max", i + 1);
    }
    return SERIN_OK;
}

static enum serin_errc check_guard(const struct plan *plan, const struct judge_guard *guard, struct serin_error *error)
{
    const struct judge_options *judge = &plan->judge;
    int i;

    for (i = 0; i < judge->guard_count && strcmp(judge->guards[i].name, guard->name) != 0; i++)
        continue;
    if (&judge->guards[i] != guard)
        return error_set(error, SERIN_INVALID, "guard '%s' stands there twice: give one another name", guard->name);
    for (i = 0; i < judge->step_count; i++)
        if (guard->prove[i] < guard->margin)
            return error_set(error, SERIN_INVALID,
                             "guard '%s': step %d proves %g, less than its margin of harm %g: a canary between the two "
                             "would do no harm and could never be proven",
                             guard->name, i + 1, guard->prove[i], guard->margin);
    return SERIN_OK;
}

enum serin_errc plan_check(const struct plan *plan, struct serin_error *error)
{
    const struct judge_options *judge = &plan->judge;
    enum serin_errc rc = check_steps(plan, error);
    int headers = 0, i, j;

    for (i = 0; i < judge->guard_count && rc == SERIN_OK; i++)
        rc = check_guard(plan, &judge->guards[i], error);
    if (rc != SERIN_OK)
        return rc;
    if (judge->guard_count < 1)
        return error_set(error, SERIN_INVALID, "no guards: nothing would be judged");
    for (i = 0; i < judge->dimension_count; i++) {
        headers += plan_slice_is_header(judge->dimensions[i].name);
        for (j = 0; j < i; j++)
            if (strcasecmp(judge->dimensions[i].name, judge->dimensions[j].name) == 0)
                return error_set(error, SERIN_INVALID, "slice '%s' stands there twice", judge->dimensions[i].name);
    }
    if (headers > PLAN_MAX_HEADER_SLICES)
        return error_set(error, SERIN_INVALID, "slices by %d headers, the limit is %d", headers,
                         PLAN_MAX_HEADER_SLICES);
    if (plan->analysis_s > plan->undo_s)
        return error_set(error, SERIN_INVALID,
                         "after: analysis of %g s, and undo of %g s: when stable is gone nothing can be taken back",
                         plan->analysis_s, plan->undo_s);
    if (judge->unit == JUDGE_KEY_BLOCK && (judge->block_s < 1 || judge->block_s != floor(judge->block_s)))
        return error_set(error, SERIN_INVALID, "unit: a block of %g s: whole seconds from 1", judge->block_s);
    return SERIN_OK;
}
