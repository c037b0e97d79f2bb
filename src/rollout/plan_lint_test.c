/*
 * plan_lint_test.c - what steps need, against simulated medians; what is warned of.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan_lint.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct seen {
    struct plan_need needs[JUDGE_MAX_STEPS * (JUDGE_MAX_GUARDS + 1)];
    int count;
    char warnings[8192];
};

static void see_need(void *user, const struct plan_need *need)
{
    struct seen *seen = user;

    seen->needs[seen->count++] = *need;
}

static void see_warning(void *user, const char *sentence)
{
    struct seen *seen = user;
    size_t length = strlen(seen->warnings);

    snprintf(seen->warnings + length, sizeof(seen->warnings) - length, "%s\n", sentence);
}

static struct seen *lint_of(const char *yaml, struct plan_traffic traffic, struct plan *plan)
{
    struct seen *seen = calloc(1, sizeof(*seen));
    struct serin_error error;

    assert_non_null(seen);
    if (plan_read(yaml, strlen(yaml), plan, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    plan_lint(plan, &traffic, see_need, see_warning, seen);
    return seen;
}

static const struct plan_need *need_in(const struct seen *seen, int step, const char *guard)
{
    int i;

    for (i = 0; i < seen->count; i++)
        if (seen->needs[i].step == step &&
            (guard ? seen->needs[i].guard && strcmp(seen->needs[i].guard->name, guard) == 0 : !seen->needs[i].guard))
            return &seen->needs[i];
    fail_msg("no need of %s in step %d", guard ? guard : "the step itself", step + 1);
    return NULL;
}

/* Simulated medians of all events of both versions until a ratio of r0 is ruled out, beta = .05, by the grid e-process
 * of docs/internals/judge.md: 1,500 runs each. */
static void test_events_are_within_20_percent_of_simulated_medians(void **state)
{
    static const struct {
        double share, r0, events;
    } table[] = {{.01, 1.5, 3444}, {.01, 2, 945}, {.01, 3, 359}, {.05, 1.5, 677}, {.05, 2, 193}, {.05, 3, 75},
                 {.2, 1.5, 246},   {.2, 2, 76},   {.2, 3, 25},   {.5, 1.5, 149},  {.5, 2, 59},   {.5, 3, 22}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        double events = events_needed(table[i].share, 1, table[i].r0, .05);

        if (fabs(events / table[i].events - 1) > .2)
            fail_msg("share %g, ratio %g: %g events, the table has %g", table[i].share, table[i].r0, events,
                     table[i].events);
    }
}

static void test_the_default_plan_at_ten_requests_a_second(void **state)
{
    const struct plan_traffic traffic = {.requests_per_s = 10, .error_rate = .01};
    struct plan *plan = malloc(sizeof(*plan));
    struct seen *seen;
    const struct plan_need *need;

    (void)state;
    assert_non_null(plan);
    seen = lint_of("without_labels: true", traffic, plan);
    assert_string_equal(seen->warnings, ""); /* nothing to say of the default plan */
    need = need_in(seen, 1, "error_rate");   /* 1 %, ratio 3: 359 events are 359 requests of the canary */
    assert_true(need->units > 359 * .8 && need->units < 359 * 1.2);
    assert_true(need->time_s > 3590 * .8 && need->time_s < 3590 * 1.2);
    need = need_in(seen, 4, "error_rate"); /* 50 %, ratio 1.5: 149 events are 7,450 requests of the canary */
    assert_true(need->units > 7450 * .8 && need->units < 7450 * 1.2);
    need = need_in(seen, 1, NULL);
    assert_true(need->units == 100);
    assert_true(fabs(need->time_s - 1000) < 1e-6); /* 100 requests at .1 a second */
    need = need_in(seen, 1, "lost");
    assert_true(isfinite(need->units) && isfinite(need->time_s));
    need = need_in(seen, 1, "golden_map");
    assert_true(isnan(need->units) && isnan(need->time_s));
    need = need_in(seen, 1, "memory"); /* five readings, one each five seconds */
    assert_true(need->required && need->units > 4 && need->units < 5 && need->time_s < 25);
    /* 70 readings of a hundred requests, of which .2 + .8 * .1 of ten a second come. */
    need = need_in(seen, 3, "memory_growth");
    assert_true(need->required && need->units > 50 && need->units < 100);
    assert_true(fabs(need->time_s - need->units * 100 / 2.8) < 1);
    assert_false(need_in(seen, 1, "missed")->required);
    need = need_in(seen, 1, "missed");
    assert_true(isfinite(need->units) && isinf(need->time_s)); /* no labels come */
    free(seen);
    free(plan);
}

/* Up to the shares and margins of a careful plan: with large ones a half is more than is best. */
static void test_needs_are_monotone(void **state)
{
    double share, r0;

    (void)state;
    for (share = .005; share < .15; share *= 1.3)
        for (r0 = 1.1; r0 < 3; r0 *= 1.2) {
            assert_true(events_needed(share * 1.3, 1, r0, .05) < events_needed(share, 1, r0, .05));
            assert_true(events_needed(share, 1, r0 * 1.2, .05) < events_needed(share, 1, r0, .05));
            assert_true(units_needed(share, 0, .2, 1, r0 - 1, 1, .05) >
                        units_needed(share, 0, .2, 1, (r0 - 1) * 1.2, 1, .05));
            assert_true(units_needed(share, 0, .2, 1, r0 - 1, 1, .05) < units_needed(share, 0, .2, 1, r0 - 1, 1, .01));
        }
    assert_true(isinf(events_needed(.5, 1, 1, .05)));
    assert_true(isinf(units_needed(.5, 0, .2, 1, 0, 1, .05)));
}

static void check_warning(const char *yaml, struct plan_traffic traffic, const char *part)
{
    struct plan *plan = malloc(sizeof(*plan));
    struct seen *seen;

    assert_non_null(plan);
    seen = lint_of(yaml, traffic, plan);
    if (!strstr(seen->warnings, part))
        fail_msg("'%s' is not among the warnings:\n%s", part, seen->warnings);
    free(seen);
    free(plan);
}

static void check_no_warning(const char *yaml, struct plan_traffic traffic)
{
    struct plan *plan = malloc(sizeof(*plan));
    struct seen *seen;

    assert_non_null(plan);
    seen = lint_of(yaml, traffic, plan);
    assert_string_equal(seen->warnings, "");
    free(seen);
    free(plan);
}

static void test_what_is_warned_of(void **state)
{
    const struct plan_traffic usual = {.requests_per_s = 10, .error_rate = .01},
                              fleet = {.requests_per_s = 10, .error_rate = .01, .cameras = 8};

    (void)state;
    check_warning("", usual, "some guards need labels, and none are expected");
    check_warning("guards: [missed]\nsteps: [{weight: 50%}, {weight: 100%}]", usual,
                  "step 1: 'missed' needs labels for ");
    check_warning("steps: [{weight: 1%, prove: {error_rate: .5}, max: {time: 1h}}, {weight: 100%}]", usual,
                  "step 1: proving 0.5 of 'error_rate' takes about 3");
    check_warning("steps: [{weight: 5%}, {weight: 100%}]", usual,
                  "guard 'lost' compares two answers to one frame, and no step mirrors");
    check_warning("unit: key\nwithout_labels: true", fleet,
                  "step 2: 8 cameras cannot be split at 1 %: most likely none of them, or one whole, goes");
    check_warning("unit: key\nwithout_labels: true", fleet,
                  "step 5: 'error_rate' cannot be proven in this step: each camera counts once");
    check_warning("unit: {key: X-Camera, block: 60s}", fleet,
                  "step 2: 8 cameras cannot be split at 1 %: at most times none of them");
    check_warning("guards: [error_rate]\nsteps: [{weight: 5%, prove: {error_rate: 1}}, {weight: 50%, prove: "
                  "{error_rate: 2}}, {weight: 100%}]",
                  usual, "guard 'error_rate': step 2 proves 2, which step 1 has proven better (1)");
    check_warning("guards: [{metric: error_rate, required: false}]\nsteps: [{weight: 5%}, {weight: 100%}]", usual,
                  "step 1 proves nothing");
    check_warning("steps: [{mirror: 1%}, {weight: 100%}]\nguards: [error_rate]", (struct plan_traffic){0}, "");
    check_warning("steps: [{mirror: 10%}, {weight: 100%}]\nguards: [error_rate]", usual,
                  "step 1: no guard acts on mirror_error_rate: where the new version fails all copies, the step waits");
    check_warning("steps: [{mirror: 10%}, {weight: 100%}]\nguards: [{metric: mirror_error_rate, action: note}]", usual,
                  "step 1: no guard acts on mirror_error_rate");
    check_warning("steps: [{weight: 100%}]", usual,
                  "the only step is the promotion: all requests go to the new version");
    check_no_warning("steps: [{mirror: 10%}, {weight: 100%}]\nguards: [mirror_error_rate]", usual);
    check_no_warning("steps: [{mirror: 10%, max: {time: 1h}}, {weight: 100%}]\nguards: [golden_map]", usual);
}

/* Every unit and traffic gives numbers, never a NaN where there is a formula. */
static void test_any_traffic_is_taken(void **state)
{
    static const double rates[] = {0, 1e-9, 1, 1e9}, error_rates[] = {1e-9, .5, 1};
    static const char *const units[] = {"request", "key", "{key: X-Camera, block: 1s}", "{key: X-Camera, block: 1d}"};
    struct plan *plan = malloc(sizeof(*plan));
    char yaml[64];
    size_t r, e, u;
    int cameras, i;

    (void)state;
    assert_non_null(plan);
    for (r = 0; r < 4; r++)
        for (e = 0; e < 3; e++)
            for (u = 0; u < 4; u++)
                for (cameras = 0; cameras < 100000; cameras = cameras * 1000 + 1) {
                    const struct plan_traffic traffic = {rates[r], rates[r], error_rates[e], cameras};
                    struct seen *seen;

                    snprintf(yaml, sizeof(yaml), "unit: %s", units[u]);
                    seen = lint_of(yaml, traffic, plan);
                    for (i = 0; i < seen->count; i++) {
                        const struct plan_need *need = &seen->needs[i];
                        bool unknown = need->guard && (need->guard->metric->source == JUDGE_FROM_GOLDEN ||
                                                       need->guard->metric->source == JUDGE_FROM_CHOICES);

                        assert_int_equal(isnan(need->units), unknown);
                        assert_int_equal(isnan(need->time_s), unknown);
                        assert_true(unknown || (need->units >= 0 && need->time_s >= 0));
                    }
                    free(seen);
                }
    free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_within_20_percent_of_simulated_medians),
        cmocka_unit_test(test_the_default_plan_at_ten_requests_a_second),
        cmocka_unit_test(test_needs_are_monotone),
        cmocka_unit_test(test_what_is_warned_of),
        cmocka_unit_test(test_any_traffic_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
