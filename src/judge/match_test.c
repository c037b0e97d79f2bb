/*
 * match_test.c - boxes of two answers, and of the truth: which are the same.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOX(name, x, y, w, h, conf)                                                                                    \
    {                                                                                                                  \
        name, x, y, (x) + (w), (y) + (h), conf                                                                         \
    }

static const struct record_part *part(const struct record *record, const char *name, const char *value)
{
    int i;

    for (i = 0; i < record->part_count; i++)
        if (strcmp(record->parts[i].of.name, name) == 0 && strcmp(record->parts[i].of.value, value) == 0)
            return &record->parts[i];
    fail_msg("no part %s=%s", name, value);
    return NULL;
}

static void check(const struct record_matches *m, uint32_t agreed, uint32_t lost, uint32_t gained, uint32_t flipped)
{
    assert_int_equal(m->agreed, agreed);
    assert_int_equal(m->lost, lost);
    assert_int_equal(m->gained, gained);
    assert_int_equal(m->flipped, flipped);
}

static void pairs_of_answers(void **state)
{
    static const struct match_box stable[] = {
        BOX("person", 0, 0, 100, 200, .9f), /* the same, moved by 10 px: IoU 180/220 */
        BOX("person", 300, 0, 20, 20, .5f), /* lost, small */
        BOX("car", 500, 0, 50, 50, .8f),    /* flipped to truck */
    };
    static const struct match_box canary[] = {
        BOX("person", 10, 0, 100, 200, .7f), BOX("truck", 500, 0, 50, 50, .8f),
        BOX("car", 800, 0, 50, 50, .6f), /* gained, medium */
    };
    struct record record = {0};

    (void)state;
    match_pair(stable, 3, canary, 3, &record);
    check(&record.pair.matches, 1, 1, 1, 1);
    assert_float_equal(record.pair.jitter, 1 - 90.0f / 110, 1e-6);
    assert_float_equal(record.pair.score_shift, -.2f, 1e-6);
    check(&part(&record, "class", "person")->matches, 1, 1, 0, 0);
    check(&part(&record, "class", "car")->matches, 0, 0, 1, 1);
    check(&part(&record, "size", "small")->matches, 0, 1, 0, 0);
    check(&part(&record, "size", "medium")->matches, 0, 0, 1, 1);
    check(&part(&record, "size", "large")->matches, 1, 0, 0, 0);
    match_pair(NULL, 0, NULL, 0, &record);
    check(&record.pair.matches, 0, 0, 0, 0);
    assert_true(record.pair.jitter < 0);
    assert_int_equal(record.part_count, 0);
}

/* The better overlap wins, whatever comes first; just under a half is no match. */
static void greedy_by_overlap(void **state)
{
    static const struct match_box stable[] = {BOX("a", 0, 0, 100, 100, .9f), BOX("a", 20, 0, 100, 100, .8f)};
    static const struct match_box canary[] = {BOX("a", 18, 0, 100, 100, .9f)};
    static const struct match_box half[] = {BOX("a", 34, 0, 100, 100, .9f)}; /* 66 / 134 = .4925 */
    static const struct match_box more[] = {BOX("a", 33, 0, 100, 100, .9f)}; /* 67 / 133 = .5037 */
    struct record record = {0};

    (void)state;
    match_pair(stable, 2, canary, 1, &record);
    check(&record.pair.matches, 1, 1, 0, 0);
    assert_float_equal(record.pair.jitter, 1 - 98.0f / 102, 1e-6);
    match_pair(stable, 1, half, 1, &record);
    check(&record.pair.matches, 0, 1, 1, 0);
    match_pair(stable, 1, more, 1, &record);
    check(&record.pair.matches, 1, 0, 0, 0);
}

static void against_the_truth(void **state)
{
    static const struct match_box truth[] = {BOX("person", 0, 0, 100, 100, 1), BOX("person", 200, 0, 10, 10, 1),
                                             BOX("car", 400, 0, 50, 50, 1)};
    static const struct match_box stable[] = {BOX("person", 0, 0, 100, 100, .9f), BOX("truck", 400, 0, 50, 50, .9f)};
    static const struct match_box canary[] = {BOX("person", 200, 0, 10, 10, .9f)};
    struct record record = {0};

    (void)state;
    match_truth(stable, 2, truth, 3, JUDGE_STABLE, &record);
    match_truth(canary, 1, truth, 3, JUDGE_CANARY, &record);
    assert_int_equal(record.label.truth[0].found, 1);
    assert_int_equal(record.label.truth[0].missed, 2); /* another class is no find */
    assert_int_equal(record.label.truth[0].wrong, 1);
    assert_int_equal(record.label.truth[1].found, 1);
    assert_int_equal(record.label.truth[1].missed, 2);
    assert_int_equal(record.label.truth[1].wrong, 0);
    assert_int_equal(part(&record, "size", "small")->truth[0].missed, 1);
    assert_int_equal(part(&record, "size", "small")->truth[1].found, 1);
    assert_int_equal(part(&record, "class", "truck")->truth[0].wrong, 1);
}

/* More boxes and classes than there is room for are counted in the whole, or left, and never overrun. */
static void bounds(void **state)
{
    static struct match_box many[1000];
    static char names[1000][8];
    struct record record = {0};
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        many[i] = (struct match_box){names[i], (float)(i % 3), 0, (float)(i % 3) + 100, 100, .5f};
    }
    match_pair(many, 1000, many, 1000, &record);
    assert_int_equal(record.pair.matches.agreed + record.pair.matches.flipped + record.pair.matches.lost,
                     MATCH_MAX_BOXES);
    assert_in_range(record.part_count, MATCH_MAX_CLASSES, RECORD_MAX_PARTS);
    match_truth(many, 1000, many, 1000, JUDGE_CANARY, &record);
    assert_int_equal(record.label.truth[1].found, MATCH_MAX_BOXES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_answers),
        cmocka_unit_test(greedy_by_overlap),
        cmocka_unit_test(against_the_truth),
        cmocka_unit_test(bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
