/*
 * work_test.c - what workers tell of themselves, and what cannot be read of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/work.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct work read_fields(const char *timing, const char *counts)
{
    struct http_head head = {.field_count = 2};

    head.fields[0] = (struct http_field){{"Server-Timing", 13}, {timing, strlen(timing)}};
    head.fields[1] = (struct http_field){{"X-Serin-Work", 12}, {counts, strlen(counts)}};
    return work_read(&head);
}

static void test_a_workers_own(void **state)
{
    struct work work = read_fields("decode;dur=1.250, queue;dur=0.000, inference;dur=12.5, post;dur=0.0105",
                                   "pictures=2, batch=4, detections=17");

    (void)state;
    assert_true(work.stages_told);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_decode], 1250);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_queue], 0);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_inference], 12500);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_post], 11);
    assert_int_equal(work.pictures, 2);
    assert_int_equal(work.batch, 4);
    assert_int_equal(work.detections, 17);
}

static void test_blanks_and_other_parameters(void **state)
{
    struct work work =
        read_fields(" cache ; desc=hit ,queue; desc=\"x\" ;dur = 3,other;dur=9", "batch=2;a=b,pictures = 1");

    (void)state;
    assert_true(work.stages_told);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_queue], 3000);
    assert_int_equal(work.stage_us[GATEWAY_STAGE_decode], 0);
    assert_int_equal(work.batch, 0); /* a parameter is none of ours: the whole member is passed over */
    assert_int_equal(work.pictures, 1);
}

static void test_what_is_no_number(void **state)
{
    static const char *const bad[] = {"",
                                      "decode",
                                      "decode;dur",
                                      "decode;dur=",
                                      "decode;dur=-1",
                                      "decode;dur=1e3",
                                      "decode;dur=1.2.3",
                                      "decode;dur=99999999",
                                      "decode;dur=00000000000000001",
                                      "decode;dur=nan",
                                      ";;;,,,===",
                                      "DECODE;dur=1",
                                      "decode;=1;dur 1"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(read_fields(bad[i], bad[i]).stages_told);
    assert_int_equal(read_fields("", "batch=1000001, pictures=-1, detections=1000000").detections, 1000000);
    assert_int_equal(read_fields("", "batch=1000001, pictures=-1").batch, 0);
    assert_false(work_read(&(struct http_head){0}).stages_told);
}

static void test_counting(void **state)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    struct work told = {
        .stages_told = true, .stage_us = {1000, 0, 5000, 10}, .pictures = 2, .batch = 4, .detections = 3};
    struct work silent = {0};
    struct histogram_sum batch = {0}, inference = {0};

    (void)state;
    assert_non_null(thread);
    thread->counters = calloc(1, sizeof(*thread->counters));
    assert_non_null(thread->counters);
    work_count(thread, 0, &told);
    work_count(thread, 0, &silent); /* somebody else's server: not a stage of no time */
    histogram_add(&batch, &thread->counters[0].batch);
    histogram_add(&inference, &thread->counters[0].stages[GATEWAY_STAGE_inference]);
    assert_int_equal(batch.total, 1);
    assert_int_equal(batch.sum_us, 4);
    assert_int_equal(inference.total, 1);
    assert_int_equal(inference.sum_us, 5000);
    assert_int_equal(thread->counters[0].pictures, 2);
    assert_int_equal(thread->counters[0].detections, 3);
    free(thread->counters);
    free(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_workers_own),
        cmocka_unit_test(test_blanks_and_other_parameters),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_counting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
