/*
 * fuzz_record.c - fuzz target: bytes as lines of observations, read, written, and judged.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is accepted must come back from its own line as the same line, rounding must change nothing then, and a judge
 * that is told all of it must stay in its bounds: numbers that are numbers, and an answer with a sentence.
 */
#include "judge/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct judge *make(enum judge_unit unit)
{
    static struct judge_options options;
    struct judge *judge;
    int i;

    options = (struct judge_options){.alpha = .05,
                                     .beta = .05,
                                     .unit = unit,
                                     .block_s = 1,
                                     .step_count = 2,
                                     .dimension_count = 3,
                                     .dimensions = {{.name = "light", .values = 2, .required = true},
                                                    {.name = "camera", .values = 2},
                                                    {.name = "class", .values = 1}},
                                     .golden_map = {.5, .4}};
    for (i = 0; judge_metric_at(i); i++) {
        struct judge_guard *guard = &options.guards[options.guard_count++];

        guard->metric = judge_metric_at(i);
        snprintf(guard->name, sizeof(guard->name), "%s", guard->metric->name);
        guard->margin = guard->metric->margin;
        guard->limit = i % 2 ? .5 : (double)NAN;
        guard->alpha_share = 1;
        guard->action = JUDGE_NOTE;
        guard->required = true;
        guard->prove[0] = guard->prove[1] = guard->margin;
        guard->dimensions = 7;
    }
    if (judge_new(&options, &judge, NULL) != SERIN_OK)
        abort();
    return judge;
}

static void check_judge(struct judge *judge)
{
    struct judge_decision decision;
    struct judge_reading reading;
    int i;

    judge_look(judge, 0, &decision);
    if (!decision.why[0] || strlen(decision.why) >= sizeof(decision.why))
        abort();
    for (i = 0; i < judge_reading_count(judge); i++) {
        judge_read(judge, i, &reading);
        if (isnan(reading.log_e_harm) && reading.guard->metric &&
            strcmp(reading.guard->metric->name, "golden_map") != 0)
            abort();
        if (reading.lower > reading.upper)
            abort();
    }
    if (!(judge_alpha_spent(judge) >= 0 && judge_alpha_spent(judge) <= .0501))
        abort();
    judge_free(judge);
}

static void check_line(const char *line, size_t size, struct judge *judge)
{
    char written[RECORD_MAX_LINE], again[RECORD_MAX_LINE];
    struct serin_error error = {.code = SERIN_OK};
    struct record record, back;
    size_t length;

    if (record_read(line, size, &record, &error) != SERIN_OK) {
        if (error.code != SERIN_INVALID || !error.message[0])
            abort();
        return;
    }
    length = record_write(&record, written);
    if (record_read(written, length, &back, &error) != SERIN_OK)
        abort();
    if (record_write(&back, again) != length || memcmp(written, again, length) != 0)
        abort();
    record_round(&record);
    if (record_write(&record, again) != length || memcmp(written, again, length) != 0 || record.t_s != back.t_s ||
        record.share != back.share)
        abort();
    judge_add(judge, &back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct judge *judge = make(size ? (enum judge_unit)(bytes[0] % 3) : JUDGE_REQUEST);
    const char *at = (const char *)bytes, *end = at + size, *line_end;

    for (; at < end; at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        check_line(at, (size_t)(line_end - at), judge);
    }
    check_judge(judge);
    return 0;
}
