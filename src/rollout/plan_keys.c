/*
 * plan_keys.c - the keys of a plan, and of a calendar: one table that the reader, the writer and docs/plans.md read.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sections are read in the order of this table, whatever their order in the file: guards name slices, and steps name
 * guards.
 */
#include "rollout/plan_inside.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

#define YEAR_S    (366 * 86400.0)
#define MAX_KEYS  16 /* of a section */
#define MANY      1e12
#define MAX_SLICE 4096

const char *const plan_slice_names[] = {"camera", "light", "sharpness", "hour", "class", "size", NULL};
const char *const plan_hook_names[] = {"gate", "started", "step", "harm", "paused", "promoted", "ended", NULL};
const char *const plan_day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};
static const char *const sources[] = {"header", "cookie", "query", "address", NULL};
static const char *const required[] = {"false", "true", "auto", NULL}; /* as enum judge_required */
static const char *const actions[] = {"roll_back", "call_person", "note", NULL};

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const struct plan_key keys[] = {
    {PLAN_TOP, "alpha", PLAN_NUMBER, 0, AT(plan, judge.alpha), 1e-6, .5, 0, NULL,
     "how often a harmless version may be taken off, over the whole rollout"},
    {PLAN_TOP, "beta", PLAN_NUMBER, 0, AT(plan, judge.beta), 1e-6, .5, 0, NULL,
     "how often one proof that a version does no harm may be wrong"},
    {PLAN_TOP, "unit", PLAN_OF_UNIT, PLAN_UNIT, 0, 0, 0, 0, 0, NULL,
     "what is given to a version: request, key, or a map that names the key"},
    {PLAN_UNIT, "key", PLAN_TEXT, 0, AT(plan, key_name), 0, 0, 0, NULL,
     "name of the header, cookie or parameter that tells cameras apart"},
    {PLAN_UNIT, "source", PLAN_CHOICE, 0, AT(plan, key_source), 0, 0, 0, sources, "where the key is found"},
    {PLAN_UNIT, "block", PLAN_DURATION, 0, AT(plan, judge.block_s), 1, 86400, 0, NULL,
     "a key keeps its version so long and is then drawn anew; without it, for the whole rollout"},

    {PLAN_TOP, "slices", PLAN_OF_SLICES, PLAN_SLICE, 0, 0, 0, JUDGE_MAX_DIMENSIONS, 0, NULL,
     "kinds of slices of the traffic: camera, light, sharpness, hour, class, size, or a header (X-Line); "
     "at most 3 headers"},
    {PLAN_SLICE, "values", PLAN_INT, 0, AT(judge_dimension, values), 1, MAX_SLICE, 0, NULL,
     "most values that are judged by themselves; more are judged together"},
    {PLAN_SLICE, "required", PLAN_FLAG, 0, AT(judge_dimension, required), 0, 0, 0, NULL,
     "a step needs each value proven, too"},
    {PLAN_SLICE, "min_share", PLAN_NUMBER, 0, AT(judge_dimension, min_share), 0, 1, 0, NULL,
     "of the evidence; a value with less is not required"},

    {PLAN_TOP, "zone", PLAN_TEXT, 0, AT(plan, zone), 0, 0, 0, NULL,
     "time zone of slices by hour, as Europe/Berlin; the freeze calendar has its own"},

    {PLAN_TOP, "guards", PLAN_OF_GUARDS, PLAN_GUARD, 0, 0, 1, JUDGE_MAX_GUARDS, 0, NULL,
     "what the new version must not do; given, they take the place of the default ones"},
    {PLAN_GUARD, "metric", PLAN_OF_METRIC, 0, 0, 0, 0, 0, 0, NULL, "what is measured; docs/plans.md has the list"},
    {PLAN_GUARD, "name", PLAN_TEXT, 0, AT(judge_guard, name), 0, 0, 0, NULL,
     "what steps call it; the metric's name where it is not given"},
    {PLAN_GUARD, "margin", PLAN_NUMBER, 0, AT(judge_guard, margin), 0, PLAN_MAX_MARGIN, 0, NULL,
     "worse than stable by more than this is harm: relative (0.5: half as much again) or absolute, as the metric is"},
    {PLAN_GUARD, "limit", PLAN_NUMBER, 0, AT(judge_guard, limit), -1e9, 1e9, NAN, NULL,
     "the version's own value past this is harm, whatever stable does"},
    {PLAN_GUARD, "alpha", PLAN_NUMBER, 0, AT(judge_guard, alpha_share), 1e-3, 1e3, 0, NULL,
     "its part of the rollout's alpha, against the other guards' parts"},
    {PLAN_GUARD, "action", PLAN_CHOICE, 0, AT(judge_guard, action), 0, 0, 0, actions, "what harm does"},
    {PLAN_GUARD, "required", PLAN_CHOICE, 0, AT(judge_guard, required), 0, 0, 0, required,
     "a step goes on only when it is proven that there is no harm; auto: once something to prove it by has come"},
    {PLAN_GUARD, "slices", PLAN_OF_NAMES, 0, AT(judge_guard, dimensions), 0, 0, 0, NULL,
     "kinds of slices in which it is judged, too"},

    {PLAN_TOP, "steps", PLAN_OF_STEPS, PLAN_STEP, 0, 0, 1, JUDGE_MAX_STEPS, 0, NULL,
     "the way up; weights never fall, and the last one, and no other, is 100%"},
    {PLAN_STEP, "weight", PLAN_SHARE, 0, AT(plan_step, weight_per_million), 0, 1e6, 0, NULL,
     "the new version's share of the requests"},
    {PLAN_STEP, "mirror", PLAN_SHARE, 0, AT(plan_step, mirror_per_million), 0, 1e6, 0, NULL,
     "share of stable's requests that are copied to the new version, whose answers no client sees"},
    {PLAN_STEP, "noise", PLAN_SHARE, 0, AT(plan_step, noise_per_million), 0, 1e6, 0, NULL,
     "share of stable's requests that are copied to stable again, to know how it differs from itself"},
    {PLAN_STEP, "prove", PLAN_OF_PROVE, 0, 0, 0, 0, PLAN_MAX_MARGIN, 0, NULL,
     "by guard: the margin that this step must prove, or none"},
    {PLAN_STEP, "min", PLAN_MAP, PLAN_STEP_MIN, 0, 0, 0, 0, 0, NULL, "what a step needs at least"},
    {PLAN_STEP_MIN, "evidence", PLAN_NUMBER, 0, AT(plan_step, min_evidence), 0, MANY, 0, NULL,
     "of the new version, in units of assignment; a step that only mirrors has none"},
    {PLAN_STEP_MIN, "time", PLAN_DURATION, 0, AT(plan_step, min_time_s), 0, YEAR_S, 0, NULL, ""},
    {PLAN_STEP, "max", PLAN_MAP, PLAN_STEP_MAX, 0, 0, 0, 0, 0, NULL,
     "where a step is not proven by then, a person is called"},
    {PLAN_STEP_MAX, "evidence", PLAN_NUMBER, 0, AT(plan_step, max_evidence), 1, MANY, INFINITY, NULL,
     "of the new version, in units of assignment"},
    {PLAN_STEP_MAX, "time", PLAN_DURATION, 0, AT(plan_step, max_time_s), 1, YEAR_S, INFINITY, NULL, ""},
    {PLAN_STEP, "pause", PLAN_FLAG, 0, AT(plan_step, pause), 0, 0, 0, NULL, "wait for a person before the next step"},

    {PLAN_TOP, "testers", PLAN_OF_TESTERS, PLAN_TESTER, 0, 0, 0, PLAN_MAX_TESTERS, 0, NULL,
     "requests that get the new version from the first step on, whatever the weight"},
    {PLAN_TESTER, "header", PLAN_TEXT, 0, AT(route_rule, header), 0, 0, 0, NULL, "name of a header"},
    {PLAN_TESTER, "value", PLAN_TEXT, 0, AT(route_rule, value), 0, 0, 0, NULL, "its value; empty: any"},

    {PLAN_TOP, "after", PLAN_MAP, PLAN_AFTER, 0, 0, 0, 0, 0, NULL, "behind the last step"},
    {PLAN_AFTER, "analysis", PLAN_DURATION, 0, AT(plan, analysis_s), 0, YEAR_S, 0, NULL,
     "harm that is found so long still goes back by itself"},
    {PLAN_AFTER, "undo", PLAN_DURATION, 0, AT(plan, undo_s), 0, YEAR_S, 0, NULL,
     "the version of before keeps running so long, and an undo is instant"},

    {PLAN_TOP, "frames", PLAN_MAP, PLAN_FRAMES, 0, 0, 0, 0, 0, NULL,
     "mirrored frames on which the versions differ most, kept as pictures for people to say which is right"},
    {PLAN_FRAMES, "keep", PLAN_INT, 0, AT(plan, frames_kept), 0, 2000, 0, NULL,
     "most that are kept; with 0 no picture is stored"},
    {PLAN_FRAMES, "megabytes", PLAN_NUMBER, 0, AT(plan, frames_megabytes), 1, 4096, 0, NULL, "most of all of them"},
    {PLAN_FRAMES, "retention", PLAN_DURATION, 0, AT(plan, frames_retention_s), 60, YEAR_S, 0, NULL,
     "a frame is deleted after"},

    {PLAN_TOP, "webhooks", PLAN_OF_WEBHOOKS, PLAN_WEBHOOK, 0, 0, 0, PLAN_MAX_WEBHOOKS, 0, NULL,
     "addresses that are told, or asked"},
    {PLAN_WEBHOOK, "url", PLAN_TEXT, 0, AT(plan_webhook, url), 0, 0, 0, NULL, "http:// or https://"},
    {PLAN_WEBHOOK, "on", PLAN_OF_HOOKS, 0, AT(plan_webhook, on), 0, 0, 0, NULL,
     "gate is asked before each step, and only a 2xx lets it go on; told are started, step, harm, paused, promoted, "
     "ended"},
    {PLAN_WEBHOOK, "timeout", PLAN_DURATION, 0, AT(plan_webhook, timeout_s), 1, 600, 0, NULL,
     "a gate that does not answer holds"},
    {PLAN_WEBHOOK, "secret_env", PLAN_TEXT, 0, AT(plan_webhook, secret_env), 0, 0, 0, NULL,
     "environment variable with the secret that signs what is sent (HMAC-SHA256)"},

    {PLAN_TOP, "without_labels", PLAN_FLAG, 0, AT(plan, judge_without_labels), 0, 0, 0, NULL,
     "it is known that no labels will come for the guards that need some: do not say so"},

    {PLAN_CALENDAR, "zone", PLAN_TEXT, 0, AT(calendar, zone), 0, 0, 0, NULL,
     "time zone of the windows, as Europe/Berlin"},
    {PLAN_CALENDAR, "windows", PLAN_OF_WINDOWS, PLAN_WINDOW, 0, 0, 0, CALENDAR_MAX_WINDOWS, 0, NULL, "when"},
    {PLAN_WINDOW, "days", PLAN_OF_DAYS, 0, AT(calendar_window, weekdays), 0, 0, 0, NULL,
     "days of the week: fri-sun, or mon,wed; all where it is not given"},
    {PLAN_WINDOW, "from", PLAN_OF_EDGE, 0, 0, 0, 0, 0, 0, NULL, "a time of day (22:00), or a date (2026-12-20)"},
    {PLAN_WINDOW, "to", PLAN_OF_EDGE, 0, 0, 0, 0, 0, 0, NULL,
     "the end: a time, which may lie behind midnight, or the last day"},
};

const struct plan_key *plan_key_at(int index)
{
    return index >= 0 && index < (int)(sizeof(keys) / sizeof(keys[0])) ? &keys[index] : NULL;
}

const struct plan_key *plan_key_find(enum plan_section section, const char *name, const char **ret_nearest)
{
    const char *known[MAX_KEYS];
    const struct plan_key *key;
    size_t count = 0;
    int i;

    for (i = 0; (key = plan_key_at(i)); i++) {
        if (key->section != section)
            continue;
        if (strcmp(key->name, name) == 0)
            return key;
        BUG_ON(count == MAX_KEYS);
        known[count++] = key->name;
    }
    *ret_nearest = text_nearest(name, known, count);
    return NULL;
}
