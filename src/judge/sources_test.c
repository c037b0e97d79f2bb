/*
 * sources_test.c - the judge by source and unit: pairs, choices, gauges, golden set, limits, cameras as units, the
 * sizes of the arms, and that the same records give the same answers. SPDX-License-Identifier: Apache-2.0
 */
#include "judge/test_streams.h"

#include "judge/inside.h"

/* ---- mirrored pairs ---- */

static double lost_share, noise_share;
static double bad[2];

static void fill_pair(struct record *record)
{
    double lost;
    int i;

    record->kind = RECORD_PAIR;
    memset(&record->pair, 0, sizeof(record->pair));
    record->pair.noise = chance() < .2;
    record->pair.jitter = .02f;
    snprintf(record->camera, sizeof(record->camera), "c%d", (int)(chance() * 8));
    lost = record->pair.noise ? noise_share : lost_share;
    for (i = 0; i < 5; i++)
        if (chance() < lost)
            record->pair.matches.lost++;
        else
            record->pair.matches.agreed++;
}

static void test_lost_boxes_call_a_person(void **state)
{
    static const char *const metrics[] = {"lost", "gained", "jitter"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 1;
    start(3, metrics);
    judge = make();
    noise_share = .02;
    lost_share = .15;
    decision = run(judge, 40000, .1, fill_pair, &at);
    assert_int_equal(decision.answer, JUDGE_STOP_AND_ASK);
    assert_string_equal(decision.guard, "lost");
    assert_true(at < 10000);
    judge_free(judge);
}

/* What stable loses against itself is not held against the canary. */
static void test_what_stable_does_to_itself_is_no_harm(void **state)
{
    static const char *const metrics[] = {"lost", "gained"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int at;

    (void)state;
    seed = 2;
    start(2, metrics);
    judge = make();
    noise_share = lost_share = .2;
    decision = run(judge, 200000, .1, fill_pair, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_read(judge, 0, &reading);
    assert_true(reading.stable > .15 && reading.stable < .25); /* the floor */
    assert_true(fabs(reading.estimate) < .06 && reading.lower < 0 && reading.upper <= .05);
    judge_free(judge);
}

/* A burst of pairs of one camera within a second is one unit. */
static void test_pairs_of_a_camera_in_a_second_count_once(void **state)
{
    static const char *const metrics[] = {"lost"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int i;

    (void)state;
    start(1, metrics);
    judge = make();
    for (i = 0; i < 1000; i++) {
        struct record record = {.kind = RECORD_PAIR, .t_s = i * .001, .camera = "c1"};

        record.pair.matches.lost = 1;
        judge_add(judge, &record);
    }
    judge_look(judge, 10, &decision);
    judge_read(judge, 0, &reading);
    assert_int_equal(reading.canary_count, 1);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    judge_free(judge);
}

/* ---- labels on frames that both answered ---- */

static void fill_both(struct record *record)
{
    const bool hard = chance() < .3;
    int arm, i;

    record->kind = RECORD_LABEL;
    memset(&record->label, 0, sizeof(record->label));
    record->label.both = true;
    for (i = 0; i < 3; i++)
        for (arm = 0; arm < 2; arm++)
            if (chance() < (hard ? .5 : .02) + (arm ? lost_share : 0))
                record->label.truth[arm].missed++;
            else
                record->label.truth[arm].found++;
}

static void test_labels_of_both_answers_are_compared_frame_by_frame(void **state)
{
    static const char *const metrics[] = {"missed"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 3;
    start(1, metrics);
    judge = make();
    lost_share = .1;
    decision = run(judge, 20000, 0, fill_both, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_true(at < 3000);
    judge_free(judge);
    judge = make();
    lost_share = 0;
    decision = run(judge, 20000, 0, fill_both, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
}

/* ---- both directions, and bounds ---- */

static void fill_bad(struct record *record)
{
    record->request.status = chance() < bad[record->arm] ? 503 : 200;
    record->request.total_ms = (float)(40 + 40 * chance());
    record->request.detections = (int)(6 * chance());
}

static double fewer;

static void fill_boxes(struct record *record)
{
    int i;

    record->request.detections = 0;
    for (i = 0; i < 8; i++)
        record->request.detections += chance() < .5 * (record->arm == JUDGE_CANARY ? fewer : 1);
}

/* That there are not more boxes is soon proven; that there are not fewer is not, since there are. */
static void test_one_direction_is_half_a_proof(void **state)
{
    static const char *const metrics[] = {"detections"};
    struct judge_decision decision;
    const struct cell *cell;
    struct judge *judge;
    int at;

    (void)state;
    seed = 11;
    start(1, metrics);
    options.guards[0].action = JUDGE_NOTE;
    options.guards[0].margin = .2;
    options.guards[0].prove[0] = .2;
    judge = make();
    fewer = .7;
    decision = run(judge, 5000, .3, fill_boxes, &at);
    cell = judge->guards[0].whole;
    assert_true(cell->sides[judge->guards[0].proof[0][0]].bet.best > cell->guard->log_beta_needed);
    assert_false(cell_proven(judge, cell));
    assert_int_equal(decision.answer, JUDGE_HOLD);
    assert_true(cell->harmed && judge->guards[0].sides[cell->harmed_side].sign < 0); /* noted, and no more */
    judge_free(judge);
}

static void test_bounds_hold_the_truth_and_close_around_it(void **state)
{
    static const char *const metrics[] = {"detections", "error_rate", "latency_p50"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int metric, at, runs, outside, i;

    (void)state;
    fewer = 1.1;
    bad[0] = .1;
    bad[1] = .15;
    for (metric = 0; metric < 3; metric++)
        for (runs = outside = 0; runs < 40; runs++) {
            static void (*const fills[])(struct record *) = {fill_boxes, fill_bad, fill_bad};
            static const double truths[] = {.1, .5, 0}, widths[] = {.2, .9, .35};

            seed = 100 + (uint64_t)runs;
            start(1, &metrics[metric]);
            options.guards[0].action = JUDGE_NOTE;
            options.guards[0].margin = 5; /* nothing is decided */
            for (i = 0; i < 2; i++)
                options.guards[0].prove[i] = (double)INFINITY;
            options.min_evidence[0] = 1e9;
            judge = make();
            decision = run(judge, 6000, .3, fills[metric], &at);
            assert_int_equal(decision.answer, JUDGE_HOLD);
            judge_read(judge, 0, &reading);
            outside += reading.lower > truths[metric] || reading.upper < truths[metric];
            assert_true(reading.lower > truths[metric] - widths[metric] &&
                        reading.upper < truths[metric] + widths[metric]);
            assert_true(reading.lower < reading.estimate && reading.estimate < reading.upper);
            judge_free(judge);
        }
    assert_true(outside <= 4); /* 2 of 40 each way at most, in the mean */
}

/* ---- choices ---- */

static void test_people_who_prefer_stable_are_heard(void **state)
{
    static const char *const metrics[] = {"choices"};
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    struct judge *judge;
    int i, wanted;

    (void)state;
    for (wanted = 0; wanted < 2; wanted++) {
        start(1, metrics);
        judge = make();
        decision.answer = JUDGE_HOLD;
        for (i = 0; i < 100 && decision.answer == JUDGE_HOLD; i++) {
            struct record record = {.kind = RECORD_CHOICE, .t_s = i};

            record.choice = i % 3 == 2 ? RECORD_BOTH : wanted ? RECORD_STABLE_RIGHT : RECORD_CANARY_RIGHT;
            judge_add(judge, &record);
            judge_look(judge, i, &decision);
        }
        assert_int_equal(decision.answer, wanted ? JUDGE_GO_BACK : JUDGE_PASS);
        assert_true(i < 25);
        judge_free(judge);
    }
}

/* ---- gauges and the golden set ---- */

/* Without any answer of the canary nothing passes. */
static void see_one(struct judge *judge)
{
    struct record pair = {.kind = RECORD_PAIR, .pair = {.jitter = -1}};

    judge_add(judge, &pair);
}

static enum judge_answer run_gauges(const char *metric, double level, double leak, int *ret_at)
{
    const char *const metrics[] = {metric};
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    struct judge *judge;
    int i, arm;

    start(1, metrics);
    judge = make();
    see_one(judge);
    for (i = 0; i < 2000 && decision.answer == JUDGE_HOLD; i++) {
        for (arm = 0; arm < 2; arm++) {
            struct record record = {.kind = RECORD_GAUGE, .t_s = i, .arm = (enum judge_arm)arm};

            record.gauge.requests = i * 50;
            record.gauge.gpu_memory_mb = -1;
            record.gauge.memory_mb =
                400 * (arm ? level : 1) + (arm ? leak : 0) * record.gauge.requests / 1000 + 4 * chance();
            judge_add(judge, &record);
        }
        judge_look(judge, i, &decision);
    }
    *ret_at = i;
    judge_free(judge);
    return decision.answer;
}

static void test_memory_and_leaks(void **state)
{
    int at;

    (void)state;
    seed = 4;
    assert_int_equal(run_gauges("memory", 1.5, 0, &at), JUDGE_GO_BACK);
    assert_true(at < 120);
    assert_int_equal(run_gauges("memory", 1.1, 0, &at), JUDGE_PASS);
    assert_int_equal(run_gauges("memory_growth", 1.1, 40, &at), JUDGE_GO_BACK);
    assert_true(at < 200);
    assert_int_equal(run_gauges("memory_growth", 1.5, 0, &at), JUDGE_PASS);
}

static void test_the_golden_set_is_two_numbers(void **state)
{
    static const char *const metrics[] = {"golden_map"};
    struct judge_decision decision;
    struct judge *judge;

    (void)state;
    start(1, metrics);
    options.golden_map[0] = .5;
    options.golden_map[1] = .45;
    judge = make();
    judge_look(judge, 0, &decision);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_non_null(strstr(decision.why, "0.4500"));
    judge_free(judge);
    options.golden_map[1] = .495;
    judge = make();
    see_one(judge);
    judge_look(judge, 0, &decision);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
    options.golden_map[1] = (double)NAN;
    judge = make();
    judge_look(judge, 0, &decision);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    judge_free(judge);
}

/* ---- hard limits ---- */

static void test_a_limit_holds_whatever_stable_does(void **state)
{
    static const char *const metrics[] = {"error_rate", "latency_p95"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 5;
    start(2, metrics);
    options.min_evidence[0] = 1e9; /* equal arms would pass else */
    options.guards[0].limit = .1;
    judge = make();
    bad[0] = bad[1] = .25;
    decision = run(judge, 100000, .2, fill_bad, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_non_null(strstr(decision.why, "the limit is 10 %"));
    judge_free(judge);
    options.guards[0].limit = (double)NAN;
    options.guards[1].limit = 60;
    judge = make();
    decision = run(judge, 100000, .2, fill_bad, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_non_null(strstr(decision.why, "the limit is 60 ms"));
    judge_free(judge);
    /* also after promotion, when there is nothing to compare with */
    options.guards[0].limit = .1;
    options.guards[1].limit = (double)NAN;
    judge = make();
    decision = run(judge, 10000, 1, fill_bad, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_non_null(strstr(decision.why, "the limit is 10 %"));
    judge_free(judge);
}

static void test_a_canary_that_only_fails_is_off_after_a_few(void **state)
{
    static const char *const metrics[] = {"error_rate", "latency_p50", "latency_p95", "detections"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int at;

    (void)state;
    seed = 6;
    start(4, metrics);
    slice_by("light", 4);
    judge = make();
    bad[0] = 0;
    bad[1] = 1;
    decision = run(judge, 10000, .01, fill_bad, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_string_equal(decision.guard, "error_rate");
    judge_read(judge, 0, &reading);
    assert_true(reading.canary_count < 10);
    judge_free(judge);
}

/* ---- units ---- */

static double coin[200];

/* Cameras differ a lot: half of those in arm canary would look terrible if each request counted. */
static void fill_sticky(struct record *record)
{
    int camera = (int)(chance() * 12);

    snprintf(record->camera, sizeof(record->camera), "c%d", camera);
    record->arm = coin[camera] < record->share ? JUDGE_CANARY : JUDGE_STABLE;
    record->request.status = chance() < (camera < 2 ? .4 : .001) ? 500 : 200;
}

static void test_few_cameras_are_an_honest_unknown(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge *judge;
    int at, run_index, i, as_requests = 0;

    (void)state;
    seed = 7;
    for (run_index = 0; run_index < 40; run_index++) {
        for (i = 0; i < 12; i++)
            coin[i] = chance();
        start(1, metrics);
        options.unit = JUDGE_KEY;
        judge = make();
        decision = run(judge, 12000, .3, fill_sticky, &at);
        assert_int_equal(decision.answer, JUDGE_HOLD);
        judge_free(judge);
        options.unit = JUDGE_REQUEST; /* the wrong unit, to see that it matters */
        judge = make();
        decision = run(judge, 12000, .3, fill_sticky, &at);
        as_requests += decision.answer == JUDGE_GO_BACK || decision.answer == JUDGE_STOP_AND_ASK;
        judge_free(judge);
    }
    assert_true(as_requests > 10);
}

static int block_of_coins;

static void fill_blocks(struct record *record)
{
    int camera = (int)(chance() * 60), i;

    if ((int)(record->t_s / 5) != block_of_coins) {
        block_of_coins = (int)(record->t_s / 5);
        for (i = 0; i < 60; i++)
            coin[i] = chance();
    }
    snprintf(record->camera, sizeof(record->camera), "c%d", camera);
    record->arm = coin[camera] < record->share ? JUDGE_CANARY : JUDGE_STABLE;
    record->request.status = chance() < bad[record->arm] * (camera % 7 ? 1 : 4) ? 500 : 200;
}

static void test_blocks_of_cameras_find_harm_and_prove_its_absence(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int at;

    (void)state;
    seed = 8;
    start(1, metrics);
    options.unit = JUDGE_KEY_BLOCK;
    options.block_s = 5;
    judge = make();
    bad[0] = .05;
    bad[1] = .2;
    block_of_coins = -1;
    decision = run(judge, 100000, .3, fill_blocks, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    judge_free(judge);
    judge = make();
    bad[1] = .05;
    block_of_coins = -1;
    decision = run(judge, 200000, .3, fill_blocks, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_read(judge, 0, &reading);
    assert_true(reading.canary_count + reading.stable_count <= (uint64_t)(at / 500 + 1) * 60);
    judge_free(judge);
}

/* A key that stays on stable when the share rises is drawn again, by the rest of the share. */
static void test_keys_are_drawn_again_by_the_rest_of_the_share(void **state)
{
    struct units units;
    const struct draw *draw;
    bool first;

    (void)state;
    assert_int_equal(units_init(&units, 4, 60, true, NULL), SERIN_OK);
    draw = units_draw(&units, 1, UNITS_REQUESTS, JUDGE_STABLE, .2, 0, &first);
    assert_true(first && draw && draw->rho == .2);
    assert_ptr_equal(units_draw(&units, 1, UNITS_REQUESTS, JUDGE_STABLE, .2, 1, &first), draw);
    assert_false(first);
    draw = units_draw(&units, 1, UNITS_REQUESTS, JUDGE_CANARY, .6, 2, &first);
    assert_true(first && draw && fabs(draw->rho - .5) < 1e-15);
    assert_null(units_draw(&units, 1, UNITS_REQUESTS, JUDGE_CANARY, .9, 3, &first)); /* nothing is drawn any more */
    assert_null(units_draw(&units, 4, UNITS_REQUESTS, JUDGE_CANARY, .9, 3, &first)); /* one camera too many */
    units_done(&units);
}

/* ---- the sizes of the arms ---- */

static double real_share;

static void fill_drawn_otherwise(struct record *record)
{
    record->arm = chance() < real_share ? JUDGE_CANARY : JUDGE_STABLE;
    record->request.detections = 3;
}

static void test_a_split_that_is_not_the_draw_is_an_alarm(void **state)
{
    static const char *const metrics[] = {"detections"};
    struct judge_sample_ratio ratio;
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 9;
    start(1, metrics);
    options.guards[0].required = false;
    options.min_evidence[0] = 1e9;
    judge = make();
    real_share = .14;
    decision = run(judge, 50000, .1, fill_drawn_otherwise, &at);
    assert_int_equal(decision.answer, JUDGE_STOP_AND_ASK);
    judge_sample_ratio(judge, &ratio);
    assert_true(ratio.alarm && fabs(ratio.expected - .1) < 1e-9 && ratio.seen > .11);
    assert_non_null(strstr(decision.why, "the split"));
    judge_free(judge);
    judge = make();
    real_share = .1;
    decision = run(judge, 50000, .1, fill_drawn_otherwise, &at);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    judge_free(judge);
}

#define LATE 1000 /* records, of 10 ms: a stable version that cannot keep up answers by so much later */

/* A stream of draws, as right as `wrong` is 1, of which stable's are answered late and the canary's at once; the share
 * rises in its middle. Until an answer that is not to hold, or its end. */
static enum judge_answer draw_and_answer_late(enum judge_unit unit, double wrong, struct judge_sample_ratio *ret)
{
    static const char *const metrics[] = {"detections"};
    static struct record late[LATE];
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    enum judge_arm arms[50] = {JUDGE_STABLE};
    double drawn[2] = {0, 0};
    struct judge *judge;
    int i;

    seed = 9;
    start(1, metrics);
    options.guards[0].required = false;
    options.min_evidence[0] = 1e9;
    options.unit = unit;
    options.block_s = 10;
    judge = make();
    for (i = 0; i < 60 * LATE && decision.answer == JUDGE_HOLD; i++) {
        const double share = i < 30 * LATE ? .1 : .3;
        struct record answer = request(i * .01, share), draw = {.kind = RECORD_DRAW, .t_s = i * .01, .share = share};

        if (unit == JUDGE_REQUEST || i % LATE < 50) /* else a camera keeps its version for a block */
            arms[i % 50] = chance() < wrong * share ? JUDGE_CANARY : JUDGE_STABLE;
        drawn[JUDGE_CANARY] += arms[i % 50] == JUDGE_CANARY;
        drawn[JUDGE_STABLE] += arms[i % 50] == JUDGE_STABLE;
        answer.arm = draw.arm = arms[i % 50];
        snprintf(answer.camera, sizeof(answer.camera), "c%d", i % 50);
        memcpy(draw.camera, answer.camera, sizeof(draw.camera));
        judge_add(judge, &draw);
        if (answer.arm == JUDGE_CANARY)
            judge_add(judge, &answer);
        if (i >= LATE && late[i % LATE].arm == JUDGE_STABLE) {
            late[i % LATE].t_s = i * .01;
            late[i % LATE].request.total_ms = LATE * 10;
            judge_add(judge, &late[i % LATE]);
        }
        late[i % LATE] = answer;
        if (i % 10 == 9)
            judge_look(judge, i * .01, &decision);
    }
    judge_sample_ratio(judge, ret);
    assert_true(fabs(ret->seen - drawn[JUDGE_CANARY] / (drawn[0] + drawn[1])) < .005);
    judge_free(judge);
    return decision.answer;
}

static void test_a_stable_that_cannot_keep_up_is_no_wrong_split(void **state)
{
    static const enum judge_unit units[] = {JUDGE_REQUEST, JUDGE_KEY_BLOCK};
    struct judge_sample_ratio ratio;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        assert_int_equal(draw_and_answer_late(units[i], 1, &ratio), JUDGE_HOLD);
        assert_true(!ratio.alarm && fabs(ratio.expected - .2) < 1e-9);
        assert_int_equal(draw_and_answer_late(units[i], 1.5, &ratio), JUDGE_STOP_AND_ASK);
        assert_true(ratio.alarm && ratio.seen > 1.1 * ratio.expected);
    }
}

/* A camera is a coin: it counts once for each rise of the share, whoever answers when. */
static void test_a_camera_is_drawn_once_for_a_share(void **state)
{
    static const char *const metrics[] = {"detections"};
    struct judge_sample_ratio ratio;
    struct judge_decision decision;
    struct judge *judge;
    int i;

    (void)state;
    start(1, metrics);
    options.unit = JUDGE_KEY;
    judge = make();
    for (i = 0; i < 400; i++) {
        struct record draw = {.kind = RECORD_DRAW, .t_s = i, .share = i < 200 ? .1 : .4};

        draw.arm = i % 4 == 0 || (i >= 200 && i % 4 == 1) ? JUDGE_CANARY : JUDGE_STABLE;
        snprintf(draw.camera, sizeof(draw.camera), "c%d", i % 4);
        judge_add(judge, &draw);
    }
    judge_look(judge, 400, &decision);
    judge_sample_ratio(judge, &ratio);
    /* Four at first; of the three that stable had one more, at a third. */
    assert_true(fabs(ratio.seen - 2. / 7) < 1e-9 && fabs(ratio.expected - (4 * .1 + 3 * .3 / .9) / 7) < 1e-9);
    judge_free(judge);
}

/* Of a request that nobody drew for, by a rule or a path, and where all are one version's, nothing is counted. */
static void test_what_nobody_drew_is_in_no_arm(void **state)
{
    static const char *const metrics[] = {"detections"};
    struct judge_sample_ratio ratio;
    struct judge_decision decision;
    struct judge *judge;
    int i;

    (void)state;
    start(1, metrics);
    judge = make();
    for (i = 0; i < 100; i++) {
        struct record draw = {.kind = RECORD_DRAW, .t_s = i, .arm = JUDGE_CANARY, .share = i % 2};
        struct record answer = request(i, .5);

        judge_add(judge, &draw);
        judge_add(judge, &answer); /* where draws are told they are what counts */
    }
    judge_look(judge, 100, &decision);
    judge_sample_ratio(judge, &ratio);
    assert_true(isnan(ratio.seen) && !ratio.alarm);
    judge_free(judge);
}

/* ---- the same again ---- */

static void fill_all(struct record *record)
{
    const double kind = chance();

    if (kind < .1) {
        fill_pair(record);
        return;
    }
    fill_bad(record);
    record->request.inference_ms = (float)(10 * chance());
    record->request.score_count = 2;
    record->request.scores[0] = (float)chance();
    snprintf(record->camera, sizeof(record->camera), "camera-%d", (int)(chance() * 30));
    record->slice_count = 1;
    snprintf(record->slices[0].name, sizeof(record->slices[0].name), "light");
    snprintf(record->slices[0].value, sizeof(record->slices[0].value), "%d", (int)(chance() * 7));
    if (kind < .3) {
        record->kind = RECORD_LABEL;
        memset(&record->label, 0, sizeof(record->label));
        record->label.truth[record->arm] = (struct record_truth){3, chance() < .2, chance() < .1};
    }
}

/* Both judges see the same records; within a look, the second sees those of requests from the back. */
static void add_two_ways(struct judge *judges[2], bool turned)
{
    struct record records[10];
    struct judge_decision decision;
    int look, i;

    seed = 10;
    for (look = 0; look < 400; look++) {
        for (i = 0; i < 10; i++) {
            records[i] = request(look * .1, .2);
            fill_all(&records[i]);
        }
        for (i = 0; i < 10; i++) {
            judge_add(judges[0], &records[i]);
            judge_add(judges[1], &records[turned ? 9 - i : i]);
        }
        judge_look(judges[0], look * .1, &decision);
        judge_look(judges[1], look * .1, &decision);
    }
}

static const char *const every_kind[] = {"error_rate", "latency_p95", "detections", "score",
                                         "image_time", "lost",        "missed",     "wrong"};

static void test_same_records_same_numbers(void **state)
{
    struct judge_reading a, b;
    struct judge *judges[2];
    int i;

    (void)state;
    start(8, every_kind);
    slice_by("light", 4);
    slice_by("camera", 16);
    judges[0] = make();
    judges[1] = make();
    bad[0] = bad[1] = .02;
    add_two_ways(judges, false);
    assert_int_equal(judge_reading_count(judges[0]), judge_reading_count(judges[1]));
    assert_true(judge_reading_count(judges[0]) > 100);
    for (i = 0; i < judge_reading_count(judges[0]); i++) {
        judge_read(judges[0], i, &a);
        judge_read(judges[1], i, &b);
        assert_memory_equal(&a.log_e_harm, &b.log_e_harm, sizeof(double));
        assert_memory_equal(&a.lower, &b.lower, sizeof(double));
        assert_int_equal(a.verdict, b.verdict);
    }
    judge_free(judges[0]);
    judge_free(judges[1]);
}

static void test_order_within_a_look_does_not_matter(void **state)
{
    struct judge_reading a, b;
    struct judge *judges[2];
    int i;

    (void)state;
    start(8, every_kind);
    judges[0] = make();
    judges[1] = make();
    add_two_ways(judges, true);
    for (i = 0; i < 8; i++) {
        judge_read(judges[0], i, &a);
        judge_read(judges[1], i, &b);
        if (fabs(a.log_e_harm - b.log_e_harm) > 1e-6)
            fail_msg("%s: %.17g is not %.17g", a.guard->name, a.log_e_harm, b.log_e_harm);
    }
    judge_free(judges[0]);
    judge_free(judges[1]);
}

/* ---- what is refused, and what is bounded ---- */

static void test_absurd_options_are_refused_with_a_sentence(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct serin_error error;
    struct judge *judge;

    (void)state;
    start(1, metrics);
    options.guards[0].prove[1] = .1;
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "guard error_rate: step 2"));
    start(1, metrics);
    options.guards[0].margin = (double)NAN;
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
    start(1, metrics);
    options.alpha = 0;
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
    start(1, metrics);
    options.guard_count = 33;
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
    start(1, metrics);
    slice_by("camera", 5000);
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
    start(1, metrics);
    options.guards[0].dimensions = 1;
    assert_int_equal(judge_new(&options, &judge, &error), SERIN_INVALID);
}

static void test_more_values_than_declared_are_judged_as_other(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int i;

    (void)state;
    start(1, metrics);
    slice_by("camera", 4096);
    judge = make();
    for (i = 0; i < 20000; i++) {
        struct record record = request(i, .5);

        snprintf(record.camera, sizeof(record.camera), "camera-%d", i);
        judge_add(judge, &record);
    }
    judge_look(judge, 20000, &decision);
    assert_int_equal(judge_reading_count(judge), 2 + 4097);
    judge_read(judge, judge_reading_count(judge) - 1, &reading);
    assert_string_equal(reading.value, "other");
    assert_int_equal(reading.stable_count + reading.canary_count, 20000 - 4096);
    judge_free(judge);
}

static void test_silence_is_told(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    start(1, metrics);
    judge = make();
    bad[0] = bad[1] = 0;
    decision = run(judge, 200, .1, fill_bad, &at);
    assert_false(decision.no_traffic);
    judge_look(judge, 30, &decision);
    assert_true(decision.no_traffic);
    assert_non_null(strstr(decision.why, "no request has come for 28 s; "));
    assert_int_equal(decision.answer, JUDGE_HOLD);
    judge_free(judge);
}

/* It would have been the first of the next block, and its version that of the block. The third is heard of late, since
 * it waited for its copies. */
static void test_an_answer_that_comes_after_its_block_is_not_of_the_next(void **state)
{
    static const char *const metrics[] = {"latency_p95"};
    static const struct {
        double t_s, age_s;
        float total_ms;
        enum judge_arm arm;
    } answers[] = {{9, 0, 50, JUDGE_CANARY},
                   {10.02, 0, 100, JUDGE_CANARY},
                   {10.5, .9, 50, JUDGE_CANARY},
                   {11, .05, 50, JUDGE_STABLE}};
    struct judge_sample_ratio ratio;
    struct judge_decision decision;
    struct judge *judge;
    size_t i;

    (void)state;
    start(1, metrics);
    options.unit = JUDGE_KEY_BLOCK;
    options.block_s = 10;
    judge = make();
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct record record = request(answers[i].t_s, .1);

        record.arm = answers[i].arm;
        record.request.total_ms = answers[i].total_ms;
        record.request.age_s = answers[i].age_s;
        snprintf(record.camera, sizeof(record.camera), "c1");
        judge_add(judge, &record);
    }
    judge_look(judge, 20, &decision);
    judge_sample_ratio(judge, &ratio);
    assert_true(fabs(ratio.seen - .5) < 1e-9); /* a block of each */
    judge_free(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_that_comes_after_its_block_is_not_of_the_next),
        cmocka_unit_test(test_lost_boxes_call_a_person),
        cmocka_unit_test(test_what_stable_does_to_itself_is_no_harm),
        cmocka_unit_test(test_pairs_of_a_camera_in_a_second_count_once),
        cmocka_unit_test(test_labels_of_both_answers_are_compared_frame_by_frame),
        cmocka_unit_test(test_one_direction_is_half_a_proof),
        cmocka_unit_test(test_bounds_hold_the_truth_and_close_around_it),
        cmocka_unit_test(test_people_who_prefer_stable_are_heard),
        cmocka_unit_test(test_memory_and_leaks),
        cmocka_unit_test(test_the_golden_set_is_two_numbers),
        cmocka_unit_test(test_a_limit_holds_whatever_stable_does),
        cmocka_unit_test(test_a_canary_that_only_fails_is_off_after_a_few),
        cmocka_unit_test(test_few_cameras_are_an_honest_unknown),
        cmocka_unit_test(test_blocks_of_cameras_find_harm_and_prove_its_absence),
        cmocka_unit_test(test_keys_are_drawn_again_by_the_rest_of_the_share),
        cmocka_unit_test(test_a_split_that_is_not_the_draw_is_an_alarm),
        cmocka_unit_test(test_a_stable_that_cannot_keep_up_is_no_wrong_split),
        cmocka_unit_test(test_a_camera_is_drawn_once_for_a_share),
        cmocka_unit_test(test_what_nobody_drew_is_in_no_arm),
        cmocka_unit_test(test_same_records_same_numbers),
        cmocka_unit_test(test_order_within_a_look_does_not_matter),
        cmocka_unit_test(test_absurd_options_are_refused_with_a_sentence),
        cmocka_unit_test(test_more_values_than_declared_are_judged_as_other),
        cmocka_unit_test(test_silence_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
