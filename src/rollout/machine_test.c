/*
 * machine_test.c - every row of the table, a million random events, the route of each state, and the drawing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/machine.c"

#include "base/buffer.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define EVENT_COUNT   ((int)COUNT(event_names))
#define RANDOM_EVENTS 1000000

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

/* mirror, 1, 5, 20 (with a pause behind it), 100 % */
static struct plan *new_plan(void)
{
    static const uint32_t weights[] = {0, 10000, 50000, 200000, 1000000};
    struct plan *plan = calloc(1, sizeof(*plan));
    int i;

    assert_non_null(plan);
    plan->judge.step_count = (int)COUNT(weights);
    plan->judge.unit = JUDGE_KEY_BLOCK;
    plan->judge.block_s = 90;
    snprintf(plan->key_name, sizeof(plan->key_name), "X-Line");
    for (i = 0; i < plan->judge.step_count; i++) {
        plan->steps[i].weight_per_million = weights[i];
        plan->steps[i].mirror_per_million = i < 4 ? 100000 : 0;
        plan->steps[i].noise_per_million = i == 0 ? 20000 : 0;
    }
    plan->steps[3].pause = true;
    plan->tester_count = 1;
    snprintf(plan->testers[0].header, sizeof(plan->testers[0].header), "X-Tester");
    return plan;
}

static void new_rollout(struct rollout *rollout)
{
    rollout_init(rollout, "street-7", "street", "v1.0.0", "v1.1.0", 0x8000000000000001u, 1000);
}

/* A route with a third version that somebody gave weight, a rule for each version and a mirror of its own. */
static struct route *new_route(void)
{
    static const char *const tags[] = {"v0.9.0", "v1.0.0", "v1.1.0"};
    struct route *route = calloc(1, sizeof(*route));
    int i;

    assert_non_null(route);
    route_init(route, "street");
    for (i = 0; i < 3; i++) {
        snprintf(route->versions[i].tag, sizeof(route->versions[i].tag), "%s", tags[i]);
        route->versions[i].weight = route->versions[i].drain_weight = 7;
        snprintf(route->rules[i].header, sizeof(route->rules[i].header), "X-Rule-%d", i);
        snprintf(route->rules[i].tag, sizeof(route->rules[i].tag), "%s", tags[i]);
    }
    route->version_count = route->rule_count = 3;
    snprintf(route->mirrors[0].tag, sizeof(route->mirrors[0].tag), "v0.9.0");
    route->mirrors[0].per_million = 5;
    snprintf(route->mirrors[1].tag, sizeof(route->mirrors[1].tag), "v1.1.0");
    route->mirrors[1].per_million = 6;
    route->mirror_count = 2;
    return route;
}

static void apply(struct rollout *rollout, const struct plan *plan, enum rollout_event event, enum rollout_phase to)
{
    struct serin_error error = {.message = ""};

    if (machine_apply(rollout, plan, event, 2000, "told so", &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_string_equal(rollout_phase_name(rollout->phase), rollout_phase_name(to));
}

static uint32_t exposure(const struct rollout *rollout, const struct plan *plan, struct route *route)
{
    machine_wish(rollout, plan, route);
    return route->versions[2].weight;
}

/* ---- the way up ---- */

static void test_the_steps_one_by_one(void **state)
{
    static const uint32_t shares[] = {0, 10000, 50000, 200000};
    struct plan *plan = new_plan();
    struct route *route = new_route();
    struct rollout rollout;
    int i;

    (void)state;
    new_rollout(&rollout);
    assert_int_equal(rollout.phase, ROLLOUT_PENDING);
    assert_int_equal(exposure(&rollout, plan, route), 0);
    assert_int_equal(route->mirror_count, 1); /* the canary is not ready: no copies either */
    for (i = 0; i < 3; i++) {
        apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
        assert_int_equal(rollout.step, i);
        assert_int_equal(exposure(&rollout, plan, route), shares[i]);
        apply(&rollout, plan, ROLLOUT_ON_PROVEN, ROLLOUT_PENDING);
        assert_int_equal(rollout.step, i + 1);
        assert_int_equal(exposure(&rollout, plan, route), shares[i]); /* while it waits */
    }
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    apply(&rollout, plan, ROLLOUT_ON_PROVEN, ROLLOUT_PAUSED); /* the plan's pause */
    assert_int_equal(exposure(&rollout, plan, route), shares[3]);
    apply(&rollout, plan, ROLLOUT_ON_RESUME, ROLLOUT_PENDING);
    assert_int_equal(exposure(&rollout, plan, route), shares[3]);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROMOTED);
    assert_int_equal(rollout.promoted_ms, 2000);
    assert_int_equal(exposure(&rollout, plan, route), 1000000);
    assert_string_equal(route->stable, "v1.0.0"); /* still answers what the new one fails */
    apply(&rollout, plan, ROLLOUT_ON_WINDOW_PASSED, ROLLOUT_COMPLETED);
    assert_int_equal(exposure(&rollout, plan, route), 1000000);
    assert_string_equal(route->stable, "v1.1.0");
    assert_int_equal(rollout.ended_ms, 2000);
    assert_string_equal(rollout.why, "told so");
    free(plan);
    free(route);
}

static void test_the_route_of_a_step(void **state)
{
    struct plan *plan = new_plan();
    struct route *route = new_route(), *again = calloc(1, sizeof(*again));
    struct rollout rollout;

    (void)state;
    assert_non_null(again);
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    machine_wish(&rollout, plan, route);
    assert_int_equal(route_check(route, NULL), SERIN_OK);
    assert_int_equal(route->versions[0].weight, 0);
    assert_int_equal(route->versions[0].drain_weight, 0);
    assert_int_equal(route->versions[1].weight, 1000000);
    assert_int_equal(route->mirror_count, 3);
    assert_string_equal(route->mirrors[0].tag, "v1.1.0");
    assert_int_equal(route->mirrors[0].per_million, 100000);
    assert_string_equal(route->mirrors[1].tag, "v1.0.0");
    assert_int_equal(route->mirrors[1].per_million, 20000);
    assert_string_equal(route->mirrors[2].tag, "v0.9.0");
    assert_int_equal(route->rule_count, 3); /* the tester's, and those that do not name the canary */
    assert_string_equal(route->rules[0].header, "X-Tester");
    assert_string_equal(route->rules[0].tag, "v1.1.0");
    assert_string_equal(route->rules[1].header, "X-Rule-0");
    assert_string_equal(route->rules[2].header, "X-Rule-1");
    assert_int_equal(route->unit, ROUTE_KEY_BLOCK);
    assert_string_equal(route->key_name, "X-Line");
    assert_int_equal(route->block_seconds, 90);
    assert_true(route->salt == 0x8000000000000001u);
    memcpy(again, route, sizeof(*again));
    machine_wish(&rollout, plan, again); /* asked twice, the same */
    assert_memory_equal(again, route, sizeof(*again));
    apply(&rollout, plan, ROLLOUT_ON_HARM, ROLLOUT_ROLLED_BACK);
    machine_wish(&rollout, plan, route);
    assert_int_equal(route->mirror_count, 1);
    assert_int_equal(route->rule_count, 2);
    free(plan);
    free(route);
    free(again);
}

/* ---- people ---- */

static void test_pause_and_resume_within_a_step(void **state)
{
    struct plan *plan = new_plan();
    struct route *route = new_route();
    struct rollout rollout;

    (void)state;
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE, ROLLOUT_PROGRESSING); /* past a gate that does not open */
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    apply(&rollout, plan, ROLLOUT_ON_PAUSE, ROLLOUT_PAUSED);
    assert_int_equal(exposure(&rollout, plan, route), 10000);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_PROVEN, 0, "", NULL), SERIN_LIMIT);
    apply(&rollout, plan, ROLLOUT_ON_RESUME, ROLLOUT_PROGRESSING);
    assert_int_equal(rollout.step, 1);
    apply(&rollout, plan, ROLLOUT_ON_PAUSE, ROLLOUT_PAUSED);
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING);
    assert_int_equal(rollout.step, 2);
    apply(&rollout, plan, ROLLOUT_ON_PAUSE, ROLLOUT_PAUSED);
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE, ROLLOUT_PENDING); /* goes on, and skips nothing */
    assert_int_equal(rollout.step, 2);
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED);
    assert_int_equal(rollout.step, 4);
    assert_int_equal(exposure(&rollout, plan, route), 1000000);
    free(plan);
    free(route);
}

static void test_looking_again_gives_the_step_its_time_anew(void **state)
{
    struct plan *plan = new_plan();
    struct rollout rollout;

    (void)state;
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_ASK, 5000, "too long", NULL), SERIN_OK);
    assert_int_equal(rollout.phase, ROLLOUT_INCONCLUSIVE);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_RESUME, 6000, "wait on", NULL), SERIN_OK);
    assert_int_equal(rollout.phase, ROLLOUT_PROGRESSING);
    assert_int_equal(rollout.step_began_ms, 2000);
    assert_int_equal(rollout.limit_from_ms, 6000);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_PAUSE, 7000, "", NULL), SERIN_OK);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_RESUME, 8000, "", NULL), SERIN_OK);
    assert_int_equal(rollout.limit_from_ms, 6000); /* a pause does not */
    free(plan);
}

static void test_an_abort_during_the_promotion_takes_it_back(void **state)
{
    struct plan *plan = new_plan();
    struct route *route = new_route();
    struct rollout rollout;

    (void)state;
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_PROMOTE_FULL, ROLLOUT_PROMOTED);
    apply(&rollout, plan, ROLLOUT_ON_ABORT, ROLLOUT_UNDONE);
    assert_int_equal(exposure(&rollout, plan, route), 0);
    assert_int_equal(route->versions[1].weight, 1000000);
    apply(&rollout, plan, ROLLOUT_ON_RETRY, ROLLOUT_PENDING);
    assert_int_equal(rollout.attempt, 2);
    assert_int_equal(rollout.step, 0);
    assert_false(rollout.step_begun);
    assert_int_equal(rollout.started_ms, 1000);
    assert_int_equal(rollout.ended_ms | rollout.promoted_ms | rollout.step_began_ms, 0);
    free(plan);
    free(route);
}

static void test_verbs_are_the_events_of_people(void **state)
{
    char verbs[ROLLOUT_VERBS_BYTES];
    enum rollout_event event;

    (void)state;
    rollout_verbs(~0u, verbs); /* the longest list */
    assert_string_equal(verbs, "pause, resume, promote, promote-full, abort, retry, undo");
    rollout_verbs(1u << ROLLOUT_ON_HARM, verbs);
    assert_string_equal(verbs, "");
    /* In one expression each: no compiler is told that an assertion which fails does not return. */
    assert_true(rollout_event_find("promote-full", &event) && event == ROLLOUT_ON_PROMOTE_FULL);
    assert_true(rollout_event_find("window-passed", &event) && event == ROLLOUT_ON_WINDOW_PASSED);
    assert_true(rollout_event_is_a_persons(ROLLOUT_ON_PROMOTE_FULL));
    assert_false(rollout_event_is_a_persons(ROLLOUT_ON_WINDOW_PASSED));
    assert_false(rollout_event_find("promote-ful", &event));
    assert_false(rollout_event_find("", &event));
}

static void test_a_refusal_says_what_is_possible(void **state)
{
    struct plan *plan = new_plan();
    struct serin_error error;
    struct rollout rollout;

    (void)state;
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_RETRY, 0, "", &error), SERIN_LIMIT);
    assert_string_equal(error.message,
                        "rollout 'street-7' is Progressing: 'retry' is not possible; possible: pause, promote, "
                        "promote-full, abort");
    rollout.step = 5; /* of five */
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_HARM, 0, "", &error), SERIN_CORRUPT);
    rollout.step = 4; /* the last is never in progress */
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_PROVEN, 0, "", &error), SERIN_CORRUPT);
    free(plan);
}

static void test_why_is_cut_between_characters(void **state)
{
    struct plan *plan = new_plan();
    char why[1000] = "x";
    struct rollout rollout;
    int i;

    (void)state;
    for (i = 1; i + 2 < (int)sizeof(why); i += 2)
        memcpy(why + i, "\xc3\xa9", 3);
    new_rollout(&rollout);
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_READY, 0, why, NULL), SERIN_OK);
    assert_int_equal(strlen(rollout.why), sizeof(rollout.why) - 1); /* 1 + 2 * 199 */
    assert_int_equal(machine_apply(&rollout, plan, ROLLOUT_ON_PAUSE, 0, why + 1, NULL), SERIN_OK);
    assert_int_equal(strlen(rollout.why), sizeof(rollout.why) - 2);
    free(plan);
}

/* ---- a million random events ---- */

static void check_exposure(const struct rollout *before, const struct rollout *after, const struct plan *plan,
                           enum rollout_event event, struct route *route)
{
    uint32_t was = exposure(before, plan, route), is = exposure(after, plan, route);
    bool ended = rollout_phase_ended(after->phase) && after->phase != ROLLOUT_COMPLETED;
    bool whole = after->phase == ROLLOUT_PROMOTED || after->phase == ROLLOUT_COMPLETED;
    int i;

    if (is > was)
        assert_true(event == ROLLOUT_ON_READY || event == ROLLOUT_ON_PROMOTE || event == ROLLOUT_ON_PROMOTE_FULL);
    if (ended)
        assert_int_equal(is, 0);
    else if (whole)
        assert_int_equal(is, 1000000);
    else
        assert_true(is <= plan->steps[after->step].weight_per_million);
    if (!ended && !whole && event != ROLLOUT_ON_RETRY)
        assert_true(is >= was); /* waiting takes nothing away either */
    assert_int_equal(route->versions[1].weight, 1000000 - is);
    assert_true(whole || route->versions[1].weight > 0);
    assert_string_equal(route->stable, after->phase == ROLLOUT_COMPLETED ? after->canary : after->stable);
    for (i = 0; ended && i < route->mirror_count; i++)
        assert_string_not_equal(route->mirrors[i].tag, after->canary);
    for (i = 0; ended && i < route->rule_count; i++)
        assert_string_not_equal(route->rules[i].tag, after->canary);
}

static void check_json(const struct rollout *rollout)
{
    struct serin_error error = {.message = ""};
    struct rollout again = {.step = 0};
    struct buffer text, text_again;

    buffer_init(&text, 1 << 16);
    buffer_init(&text_again, 1 << 16);
    rollout_to_json(rollout, &text);
    if (rollout_from_json(text.bytes, text.size, &again, &error) != SERIN_OK)
        fail_msg("%s of %s", error.message, text.bytes);
    rollout_to_json(&again, &text_again);
    assert_string_equal(text_again.bytes, text.bytes);
    buffer_done(&text);
    buffer_done(&text_again);
}

static void test_a_million_random_events(void **state)
{
    struct plan *plan = new_plan();
    struct route *route = new_route();
    bool seen[COUNT(table)] = {false};
    struct rollout rollout;
    int i, row;

    (void)state;
    random_state = 20261122;
    memset(&rollout, 0, sizeof(rollout));
    new_rollout(&rollout);
    for (i = 0; i < RANDOM_EVENTS; i++) {
        /* every second one goes up, or the last steps would hardly be seen */
        enum rollout_event event = draw(2)   ? (enum rollout_event)draw((uint32_t)EVENT_COUNT)
                                   : draw(2) ? ROLLOUT_ON_READY
                                             : ROLLOUT_ON_PROVEN;
        struct serin_error error = {.code = SERIN_OK, .message = ""};
        struct rollout before;
        enum serin_errc rc;

        memcpy(&before, &rollout, sizeof(before));
        rc = machine_apply(&rollout, plan, event, i, "by chance", &error);
        if (rc != SERIN_OK) {
            assert_memory_equal(&rollout, &before, sizeof(before));
            assert_false(machine_possible(&before) >> event & 1);
            assert_true(error.message[0] != '\0');
            continue;
        }
        assert_true(in_table(before.phase, event, rollout.phase));
        for (row = 0; row < (int)COUNT(table); row++)
            seen[row] |= table[row].from == before.phase && table[row].event == event && table[row].to == rollout.phase;
        check_exposure(&before, &rollout, plan, event, route);
        if (i % 101 == 0)
            check_json(&rollout);
    }
    for (row = 0; row < (int)COUNT(table); row++)
        if (!seen[row])
            fail_msg("never happened: %s, %s, %s", phase_names[table[row].from], event_names[table[row].event],
                     phase_names[table[row].to]);
    free(plan);
    free(route);
}

/* ---- JSON ---- */

static void test_json_that_is_refused(void **state)
{
    static const struct {
        const char *from, *to, *sentence;
    } cases[] = {
        {"\"phase\":\"Progressing\"", "\"phase\":\"Progress\"", "rollout: 'phase' is 'Progress', which is no phase"},
        {"\"step\":0", "\"stepp\":0", "rollout: 'step' is missing"},
        {"\"why\":", "\"wy\":", "rollout: unknown key 'wy', did you mean 'why'?"},
        {"\"step\":0", "\"step\":16", "rollout 'street-7': step 17 of at most 16, attempt 1"},
        {"\"step\":0", "\"step\":-1", "rollout: 'step' must be a whole number from 0 to 1000000"},
        {"\"step_begun\":true", "\"step_begun\":1", "rollout: 'step_begun' must be true or false"},
        {"\"step_begun\":true", "\"step_begun\":false", "rollout 'street-7': Progressing, and its step has not begun"},
        {"\"phase\":\"Progressing\"", "\"phase\":\"Pending\"", "rollout 'street-7': Pending, and its step has begun"},
        {"\"salt\":\"8", "\"salt\":\"g", "rollout: 'salt' must be 16 hexadecimal digits"},
        {"\"canary\":\"v1.1.0\"", "\"canary\":\"\"",
         "rollout 'street-7': id, model, stable and canary must not be empty"},
        {"\"canary\":\"v1.1.0\"", "\"canary\":7", "rollout: 'canary' must be text"},
        {"{", "[", NULL},
    };
    struct plan *plan = new_plan();
    struct rollout rollout, ret;
    struct serin_error error;
    struct buffer text, wrong;
    const char *place;
    size_t i;

    (void)state;
    buffer_init(&text, 1 << 16);
    buffer_init(&wrong, 1 << 16);
    new_rollout(&rollout);
    apply(&rollout, plan, ROLLOUT_ON_READY, ROLLOUT_PROGRESSING);
    rollout_to_json(&rollout, &text);
    for (i = 0; i < COUNT(cases); i++) {
        buffer_clear(&wrong);
        place = strstr(text.bytes, cases[i].from);
        assert_non_null(place);
        buffer_append(&wrong, text.bytes, (size_t)(place - text.bytes));
        buffer_append_text(&wrong, cases[i].to);
        buffer_append_text(&wrong, place + strlen(cases[i].from));
        assert_int_equal(rollout_from_json(wrong.bytes, wrong.size, &ret, &error), SERIN_CORRUPT);
        if (cases[i].sentence)
            assert_string_equal(error.message, cases[i].sentence);
    }
    rollout.phase = ROLLOUT_PAUSED;
    rollout.resume_to = ROLLOUT_COMPLETED;
    buffer_clear(&text);
    rollout_to_json(&rollout, &text);
    assert_int_equal(rollout_from_json(text.bytes, text.size, &ret, &error), SERIN_CORRUPT);
    buffer_done(&text);
    buffer_done(&wrong);
    free(plan);
}

/* ---- docs/internals/rollout.md ---- */

static void write_table(struct buffer *out)
{
    size_t i;

    buffer_append_text(out, "| in | on | goes to | |\n| --- | --- | --- | --- |\n");
    for (i = 0; i < COUNT(table); i++)
        buffer_printf(out, "| %s | %s | %s | %s |\n", phase_names[table[i].from], event_names[table[i].event],
                      phase_names[table[i].to], table[i].note);
}

static void write_drawing(struct buffer *out)
{
    static const char start[] = "stateDiagram-v2\n    [*] --> Pending: start\n";
    bool drawn[COUNT(table)] = {false};
    size_t i, j;

    buffer_append_text(out, start);
    for (i = 0; i < COUNT(table); i++) {
        if (drawn[i])
            continue;
        buffer_printf(out, "    %s --> %s: %s", phase_names[table[i].from], phase_names[table[i].to],
                      event_names[table[i].event]);
        for (j = i + 1; j < COUNT(table); j++)
            if (table[j].from == table[i].from && table[j].to == table[i].to) {
                buffer_printf(out, ", %s", event_names[table[j].event]);
                drawn[j] = true;
            }
        buffer_append_text(out, "\n");
    }
}

static void test_the_document_is_the_table(void **state)
{
    const char *root = getenv("SERIN_SOURCE_DIR");
    struct buffer table_text, drawing;
    struct serin_error error;
    uint8_t *document;
    char path[4096];
    size_t size;

    (void)state;
    if (!root)
        skip();
    snprintf(path, sizeof(path), "%s/docs/internals/rollout.md", root);
    if (file_read(path, 1 << 20, &document, &size, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    buffer_init(&table_text, 1 << 16);
    buffer_init(&drawing, 1 << 16);
    write_table(&table_text);
    write_drawing(&drawing);
    if (!strstr((char *)document, table_text.bytes) || !strstr((char *)document, drawing.bytes)) {
        printf("%s\n%s", drawing.bytes, table_text.bytes); /* longer than a message of cmocka */
        fail_msg("%s must hold what is printed above", path);
    }
    free(document);
    buffer_done(&table_text);
    buffer_done(&drawing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_steps_one_by_one),
        cmocka_unit_test(test_the_route_of_a_step),
        cmocka_unit_test(test_pause_and_resume_within_a_step),
        cmocka_unit_test(test_looking_again_gives_the_step_its_time_anew),
        cmocka_unit_test(test_an_abort_during_the_promotion_takes_it_back),
        cmocka_unit_test(test_verbs_are_the_events_of_people),
        cmocka_unit_test(test_a_refusal_says_what_is_possible),
        cmocka_unit_test(test_why_is_cut_between_characters),
        cmocka_unit_test(test_a_million_random_events),
        cmocka_unit_test(test_json_that_is_refused),
        cmocka_unit_test(test_the_document_is_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
