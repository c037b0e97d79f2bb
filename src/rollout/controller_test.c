/*
 * controller_test.c - whole rollouts against a world in memory: every order, every kill, every fault of the disk.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The world keeps what a disk would: decisions, records (those since the last decision may be lost), and the route. A
 * kill is the k-th call into it: from there on nothing has an effect, and another controller takes up what is left.
 */
#include "rollout/controller.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TICK_S       .05
#define SECOND       21 /* ticks, and one more */
#define MOST_TICKS   20000
#define MOST         64
#define RECORD_BYTES (4 << 20)
#define PLAN_OF(evidence)                                                                                              \
    "slices: []\n"                                                                                                     \
    "guards:\n"                                                                                                        \
    "  - {metric: golden_map, margin: 0.01, required: true}\n"                                                         \
    "  - {metric: error_rate, margin: 0.5, required: false}\n"                                                         \
    "  - {metric: score, margin: 0.05, required: false}\n"                                                             \
    "steps:\n"                                                                                                         \
    "  - {weight: 10%, prove: {golden_map: 0.01}, min: {evidence: 3, time: 1s}, max: {time: 1h}}\n"                    \
    "  - {weight: 50%, prove: {golden_map: 0.01}, min: {evidence: " evidence                                           \
    ", time: 1s}, max: {time: 1h, evidence: 500}}\n"                                                                   \
    "  - {weight: 100%}\n"                                                                                             \
    "after: {analysis: 5s, undo: 80s}\n"

#define PLAN PLAN_OF("10")

struct stored {
    struct rollout after;
    char author[32], event[32], why[400], plan[16384];
    size_t records; /* bytes of the attempt's at that time */
};

struct world {
    struct controller *controller;
    struct route route;
    bool on_trial, ready, broken, decide_fails, put_fails, dead, released, unreadable;
    int holds, let_go; /* calls of hold with a time, and without */
    uint64_t hold_ms;
    struct stored decisions[MOST];
    int decision_count, puts, tries; /* tries: of decisions to be written */
    char *records[4];                /* by attempt */
    size_t size[4], synced[4];
    long calls, kill_at;
    bool loses; /* at a kill, what is not synced */
    double now_s;
    int64_t wall_ms, frozen_until_ms;
    double golden[2], score, errors; /* of the canary; errors: share of its requests */
    uint64_t random;
    uint64_t ticket;
    int asked, told;
    bool answers;               /* gates */
    bool old_is_gone;           /* the stable version's replicas */
    struct serin_error refusal; /* of the start */
    char plan[4096];
};

/* False: the program is dead, and nothing has an effect. */
static bool lives(struct world *world)
{
    world->dead = world->dead || ++world->calls == world->kill_at;
    return !world->dead;
}

static enum serin_errc get_route(void *user, const char *model, struct route *ret, struct serin_error *error)
{
    struct world *world = user;

    if (!lives(world) || strcmp(model, world->route.model) != 0)
        return error_set(error, SERIN_NOT_FOUND, "no model '%s'", model);
    *ret = world->route;
    return SERIN_OK;
}

static uint32_t share_of(const struct route *route)
{
    return route->versions[1].weight;
}

static const struct rollout *last_state(const struct world *world)
{
    return &world->decisions[world->decision_count - 1].after;
}

/* What the route may be: what the last decision on disk says, and one step more than before at most. */
static enum serin_errc put_route(void *user, const struct route *route, bool on_trial, const char *author,
                                 struct serin_error *error)
{
    struct world *world = user;
    struct route wish = *route;
    struct plan plan;

    assert_string_equal(author, last_state(world)->id);
    if (!lives(world) || world->put_fails)
        return error_set(error, SERIN_IO, "the disk is full");
    assert_int_equal(plan_read(world->plan, strlen(world->plan), &plan, NULL), SERIN_OK);
    machine_wish(last_state(world), &plan, &wish);
    assert_true(route_is_same(&wish, route));
    if (share_of(route) > share_of(&world->route) && share_of(route) != 100000)
        assert_true(share_of(&world->route) >= (share_of(route) == 1000000 ? 500000u : 100000u));
    world->route = *route;
    world->route.revision++;
    world->on_trial = on_trial;
    world->puts++;
    return SERIN_OK;
}

static void set_trial(void *user, const char *model, bool on_trial)
{
    struct world *world = user;

    (void)model;
    if (lives(world))
        world->on_trial = on_trial;
}

static bool is_ready(void *user, const char *model, const char *tag)
{
    struct world *world = user;

    (void)model;
    return lives(world) && (strcmp(tag, "v1.0.0") == 0 ? !world->old_is_gone : world->ready);
}

static bool is_broken(void *user, const char *model, const char *tag)
{
    (void)model, (void)tag;
    return lives(user) && ((struct world *)user)->broken;
}

static bool usage(void *user, const char *model, const char *tag, struct controller_usage *ret)
{
    (void)model;
    *ret = (struct controller_usage){strcmp(tag, "v1.0.0") == 0 ? 400.1234567 : 401.7654321, -1, 100};
    return lives(user);
}

static double golden_map(void *user, const char *model, const char *tag)
{
    struct world *world = user;

    (void)model;
    return lives(world) ? world->golden[strcmp(tag, "v1.0.0") != 0] : (double)NAN;
}

static bool is_frozen(void *user, const char *model, int64_t wall_ms, char *ret_why, size_t size)
{
    struct world *world = user;

    assert_string_equal(model, world->route.model);
    snprintf(ret_why, size, "until Monday");
    return lives(world) && wall_ms < world->frozen_until_ms;
}

static void release(void *user, const char *model, const char *tag)
{
    struct world *world = user;

    (void)model;
    assert_string_equal(tag, "v1.0.0");
    assert_int_equal(last_state(world)->phase, ROLLOUT_COMPLETED);
    world->released = lives(world);
}

static void hold(void *user, const char *model, uint64_t for_ms)
{
    struct world *world = user;

    assert_string_equal(model, world->route.model);
    if (!lives(world))
        return;
    world->hold_ms = for_ms;
    world->holds += for_ms > 0;
    world->let_go += for_ms == 0;
}

static enum serin_errc decide(void *user, const struct controller_decision *decision, uint64_t *ret_number,
                              struct serin_error *error)
{
    struct world *world = user;
    const int attempt = decision->after->attempt;
    struct stored *stored = &world->decisions[world->decision_count];

    if (decision->goes_back && world->on_trial) /* stable has taken over before the disk is asked */
        assert_true(world->dead || world->hold_ms == 0);
    world->tries++;
    if (!lives(world) || world->decide_fails)
        return error_set(error, SERIN_IO, "the disk is full");
    assert_true(world->decision_count < MOST);
    assert_int_equal(decision->after->route_revision, world->route.revision);
    assert_int_equal(decision->plan != NULL, strcmp(decision->event, "start") == 0);
    if (world->decision_count > 0)
        assert_int_equal(decision->after->number, world->decision_count);
    *stored = (struct stored){.after = *decision->after};
    snprintf(stored->author, sizeof(stored->author), "%s", decision->author);
    snprintf(stored->event, sizeof(stored->event), "%s", decision->event);
    snprintf(stored->why, sizeof(stored->why), "%s", decision->why);
    if (decision->plan)
        snprintf(stored->plan, sizeof(stored->plan), "%s", decision->plan);
    stored->records = world->synced[attempt] = world->size[attempt];
    *ret_number = stored->after.number = (uint64_t)++world->decision_count;
    return SERIN_OK;
}

static void record_line(void *user, const struct rollout *rollout, const char *line, size_t size)
{
    struct world *world = user;

    if (!lives(world))
        return;
    assert_true(rollout->attempt < 4 && world->size[rollout->attempt] + size <= RECORD_BYTES);
    memcpy(world->records[rollout->attempt] + world->size[rollout->attempt], line, size);
    world->size[rollout->attempt] += size;
}

static enum serin_errc each_record(void *user, const struct rollout *rollout,
                                   void (*each)(void *each_user, const char *line, size_t size), void *each_user,
                                   struct serin_error *error)
{
    struct world *world = user;
    const char *at = world->records[rollout->attempt], *end = at + world->size[rollout->attempt], *newline;

    if (!lives(world) || world->unreadable)
        return error_set(error, SERIN_CORRUPT, "line 3 is damaged");
    for (; at < end; at = newline + 1) {
        newline = memchr(at, '\n', (size_t)(end - at));
        each(each_user, at, (size_t)(newline - at));
    }
    return SERIN_OK;
}

static void call_hook(void *user, const struct plan_webhook *hook, const char *body, uint64_t ticket)
{
    struct world *world = user;

    (void)hook;
    assert_non_null(strstr(body, "\"model\":\"street\""));
    if (!lives(world))
        return;
    world->ticket = ticket ? ticket : world->ticket;
    world->asked += ticket != 0;
    world->told += ticket == 0;
}

static enum serin_errc check_hook(void *user, const struct plan_webhook *hook, struct serin_error *error)
{
    (void)user;
    if (strcmp(hook->secret_env, "ABSENT") == 0)
        return error_set(error, SERIN_INVALID, "ABSENT is not set");
    return SERIN_OK;
}

static void log_nothing(void *user, const char *level, const char *sentence)
{
    (void)user, (void)level;
    assert_true(sentence[0] != '\0');
}

/* ---- a life of the program ---- */

static struct controller_now now_of(const struct world *world)
{
    return (struct controller_now){world->now_s, world->wall_ms};
}

static struct controller *new_controller(struct world *world)
{
    const struct controller_target target = {.user = world,
                                             .get_route = get_route,
                                             .put_route = put_route,
                                             .set_trial = set_trial,
                                             .is_ready = is_ready,
                                             .is_broken = is_broken,
                                             .usage = usage,
                                             .golden_map = golden_map,
                                             .is_frozen = is_frozen,
                                             .release = release,
                                             .hold = hold,
                                             .decide = decide,
                                             .record = record_line,
                                             .each_record = each_record,
                                             .call_hook = call_hook,
                                             .check_hook = check_hook,
                                             .log = log_nothing};
    struct controller *controller = NULL;

    assert_int_equal(controller_new(&target, &controller, NULL), SERIN_OK);
    return controller;
}

static struct world *new_world(const char *plan)
{
    struct world *world = calloc(1, sizeof(*world));
    int i;

    assert_non_null(world);
    for (i = 0; i < 4; i++) {
        world->records[i] = malloc(RECORD_BYTES);
        assert_non_null(world->records[i]);
    }
    route_init(&world->route, "street");
    world->route.version_count = 2;
    snprintf(world->route.versions[0].tag, sizeof(world->route.versions[0].tag), "v1.0.0");
    snprintf(world->route.versions[1].tag, sizeof(world->route.versions[1].tag), "v1.1.0");
    snprintf(world->route.stable, sizeof(world->route.stable), "v1.0.0");
    world->route.versions[0].weight = 1;
    world->route.revision = 1;
    world->ready = true;
    world->golden[0] = world->golden[1] = 1 / 3.0;
    world->score = .8;
    world->random = 1;
    world->now_s = 1000;
    world->wall_ms = 1700000000000;
    snprintf(world->plan, sizeof(world->plan), "%s", plan);
    world->controller = new_controller(world);
    return world;
}

static void free_world(struct world *world)
{
    int i;

    controller_free(world->controller);
    for (i = 0; i < 4; i++)
        free(world->records[i]);
    free(world);
}

static enum serin_errc start(struct world *world)
{
    const struct controller_start how = {.model = "street",
                                         .canary = "v1.1.0",
                                         .plan_yaml = world->plan,
                                         .author = "cli test",
                                         .salt = 7,
                                         .sequence = 1};
    const struct controller_now now = now_of(world);
    const char *id = NULL;
    enum serin_errc rc = controller_start(world->controller, &how, &now, &id, &world->refusal);

    if (rc == SERIN_OK)
        assert_string_equal(id, "street-1");
    return rc;
}

static void take_up(struct world *world)
{
    const struct controller_now now = now_of(world);

    world->dead = false;
    world->kill_at = 0;
    controller_free(world->controller);
    world->controller = new_controller(world);
    if (world->decision_count == 0)
        return;
    assert_int_equal(controller_resume(world->controller, last_state(world), world->decisions[0].plan, &now, NULL),
                     SERIN_OK);
}

static double draw(struct world *world)
{
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(world->random >> 11) / 9007199254740992.0;
}

/* A request, as the gateway would tell of it. */
static void request(struct world *world)
{
    struct record record = {.kind = RECORD_REQUEST, .share = share_of(&world->route) / 1e6};
    const double chance = draw(world), fault = draw(world), noise = draw(world);

    record.arm = chance < record.share ? JUDGE_CANARY : JUDGE_STABLE;
    record.request.status = record.arm == JUDGE_CANARY && fault < world->errors ? 500 : 200;
    record.request.total_ms = (float)(20 + 10 * noise);
    record.request.queue_ms = record.request.inference_ms = -1;
    record.request.detections = record.request.score_count = 1;
    record.request.scores[0] = (float)((record.arm == JUDGE_CANARY ? world->score : .8) - .2 * noise);
    if (world->on_trial && world->hold_ms > 0)
        controller_add(world->controller, "street", &record, world->now_s);
}

static void tick(struct world *world)
{
    struct controller_now now;

    world->now_s += TICK_S;
    world->wall_ms += (int64_t)(TICK_S * 1000);
    now = now_of(world);
    request(world);
    controller_tick(world->controller, &now);
}

static const struct trial *trial(struct world *world)
{
    return trial_named(world->controller, "street-1");
}

static enum rollout_phase phase(struct world *world)
{
    return trial(world)->state.phase;
}

/* Ticks until it is in that phase and step. */
static void go_to(struct world *world, enum rollout_phase wanted, int step)
{
    int i;

    for (i = 0; phase(world) != wanted || trial(world)->state.step != step; i++) {
        assert_true(i < MOST_TICKS);
        tick(world);
    }
}

static enum serin_errc act(struct world *world, enum rollout_event event)
{
    const struct controller_now now = now_of(world);

    return controller_act(world->controller, "street", event, "cli test", NULL, &now, NULL);
}

static void tick_times(struct world *world, int times)
{
    int i;

    for (i = 0; i < times; i++)
        tick(world);
}

static struct world *begun(const char *plan)
{
    struct world *world = new_world(plan);

    assert_int_equal(start(world), SERIN_OK);
    return world;
}

static void expect_events(const struct world *world, const char *const *events, int count)
{
    int i;

    for (i = 0; i < count && i < world->decision_count; i++)
        assert_string_equal(world->decisions[i].event, events[i]);
    assert_int_equal(world->decision_count, count);
}

/* ---- tests ---- */

static const char *const promoted[] = {"start", "ready", "proven", "ready", "proven", "ready", "window-passed"};

static void test_whole_rollout(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    assert_int_equal(share_of(&world->route), 100000);
    assert_true(world->on_trial && world->hold_ms == CONTROLLER_HOLD_MS);
    go_to(world, ROLLOUT_PROMOTED, 2);
    assert_int_equal(share_of(&world->route), 1000000);
    assert_string_equal(world->route.stable, "v1.0.0");
    assert_false(world->released);
    go_to(world, ROLLOUT_COMPLETED, 2);
    assert_string_equal(world->route.stable, "v1.1.0");
    assert_true(world->released);
    assert_false(world->on_trial);
    assert_int_equal(world->let_go, 0);
    expect_events(world, promoted, 7);
    assert_string_equal(world->decisions[2].author, "judge");
    free_world(world);
}

/* A rollout that is killed once at the k-th call. Returns the calls that were made; 0: there was no k-th. */
static bool killed_rollout(long kill_at, bool loses)
{
    struct world *world = new_world(PLAN);
    bool killed = false;
    int i;

    world->kill_at = kill_at;
    world->loses = loses;
    for (i = 0; world->decision_count == 0 || last_state(world)->phase != ROLLOUT_COMPLETED || world->dead; i++) {
        assert_true(i < MOST_TICKS);
        if (world->dead) {
            killed = true;
            if (loses)
                memcpy(world->size, world->synced, sizeof(world->size));
            take_up(world);
        }
        if (world->decision_count == 0)
            (void)!start(world);
        else
            tick(world);
    }
    tick(world);
    expect_events(world, promoted, 7);
    assert_string_equal(world->route.stable, "v1.1.0");
    assert_int_equal(share_of(&world->route), 1000000);
    /* Each step begins once in the file that a replay reads. */
    for (i = 0; i < 3; i++) {
        char step[32];
        const char *found;

        snprintf(step, sizeof(step), ",\"step\":%d}", i);
        found = memmem(world->records[1], world->size[1], step, strlen(step));
        assert_non_null(found);
        found++;
        assert_null(memmem(found, world->size[1] - (size_t)(found - world->records[1]), step, strlen(step)));
    }
    free_world(world);
    return killed;
}

static void test_kill_at_every_call(void **state)
{
    long kill_at;

    (void)state;
    /* All of the first ones, where starts and steps are, and then a sample that meets every kind of call. */
    for (kill_at = 1; killed_rollout(kill_at, kill_at % 2 == 0); kill_at += kill_at < 400 ? 1 : 13)
        ;
    assert_true(kill_at > 1000);
}

static void expect_same_readings(const struct judge *a, const struct judge *b)
{
    int i;

    assert_int_equal(judge_reading_count(a), judge_reading_count(b));
    for (i = 0; i < judge_reading_count(a); i++) {
        struct judge_reading x, y;

        memset(&x, 0, sizeof(x));
        memset(&y, 0, sizeof(y));
        judge_read(a, i, &x);
        judge_read(b, i, &y);
        assert_int_equal(x.verdict, y.verdict);
        assert_int_equal(x.stable_count, y.stable_count);
        assert_int_equal(x.canary_count, y.canary_count);
        assert_memory_equal(&x.log_e_harm, &y.log_e_harm,
                            offsetof(struct judge_reading, left_s) + sizeof(x.left_s) -
                                offsetof(struct judge_reading, log_e_harm));
    }
}

static void test_resumed_judge_is_the_same_to_the_bit(void **state)
{
    struct world *world = begun(PLAN);
    int i, compared = 0;

    (void)state;
    for (i = 0; phase(world) != ROLLOUT_PROMOTED || i % 3; i++) {
        tick(world);
        if (i % 3 == 0 && trial(world)->record_bytes > 0) {
            struct controller *other = new_controller(world);
            const struct controller_now now = now_of(world);
            const size_t size = world->size[1];

            assert_int_equal(controller_resume(other, last_state(world), world->decisions[0].plan, &now, NULL),
                             SERIN_OK);
            assert_int_equal(world->size[1], size);
            expect_same_readings(trial(world)->judge, trial_named(other, "street-1")->judge);
            assert_string_equal(trial(world)->last.why, trial_named(other, "street-1")->last.why);
            assert_int_equal(trial(world)->last.answer, trial_named(other, "street-1")->last.answer);
            controller_free(other);
            compared++;
        }
    }
    assert_true(compared > 5);
    free_world(world);
}

static void test_full_disk_takes_no_step_forward(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    world->decide_fails = true;
    tick_times(world, 400);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    assert_int_equal(world->decision_count, 2);
    assert_int_equal(share_of(&world->route), 100000);
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE), SERIN_IO);
    assert_int_equal(world->let_go, 0);
    world->decide_fails = false;
    go_to(world, ROLLOUT_PROMOTED, 2);
    expect_events(world, promoted, 6);
    free_world(world);
}

static void test_who_aborts_on_a_full_disk_is_told(void **state)
{
    struct world *world = begun(PLAN);
    const struct controller_now now = now_of(world);
    struct serin_error error;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->decide_fails = true;
    assert_int_equal(controller_act(world->controller, "street", ROLLOUT_ON_ABORT, "cli test", "smoke", &now, &error),
                     SERIN_IO);
    assert_non_null(strstr(error.message, "street-1: stable has taken over, but 'abort' is not stored yet"));
    assert_int_equal(world->hold_ms, 0);
    world->decide_fails = false;
    tick(world);
    assert_int_equal(phase(world), ROLLOUT_ABORTED);
    assert_string_equal(world->decisions[world->decision_count - 1].why, "smoke");
    free_world(world);
}

static void test_full_disk_goes_back_at_once(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->decide_fails = true;
    world->errors = 1;
    while (world->let_go == 0)
        tick(world);
    assert_int_equal(world->hold_ms, 0);
    world->errors = 0;
    world->tries = 0;
    tick_times(world, 5 * SECOND);
    assert_in_range(world->tries, 4, 6);
    assert_int_equal(world->hold_ms, 0); /* and it stays so */
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE_FULL), SERIN_LIMIT);
    world->decide_fails = false;
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE_FULL), SERIN_LIMIT);
    tick_times(world, SECOND);
    assert_int_equal(phase(world), ROLLOUT_ROLLED_BACK);
    assert_int_equal(share_of(&world->route), 0);
    assert_string_equal(world->decisions[world->decision_count - 1].author, "judge");
    free_world(world);
}

static void test_route_that_cannot_be_put(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->put_fails = true;
    assert_int_equal(act(world, ROLLOUT_ON_ABORT), SERIN_OK);
    assert_int_equal(phase(world), ROLLOUT_ABORTED);
    assert_int_equal(share_of(&world->route), 500000);
    tick_times(world, 3);
    assert_int_equal(world->hold_ms, 0);
    assert_non_null(controller_holder(world->controller, "street", NULL));
    assert_non_null(controller_holder(world->controller, "street", "v0.9.0"));
    assert_int_equal(start(world), SERIN_IO); /* nothing begins on a route that is not what it should be */
    world->put_fails = false;
    tick_times(world, SECOND);
    assert_int_equal(share_of(&world->route), 0);
    assert_null(controller_holder(world->controller, "street", NULL));
    free_world(world);
}

static void test_clock_jumps(void **state)
{
    const int64_t year_ms = 366ll * 86400 * 1000;
    struct world *world = begun(PLAN);
    double stood_s;
    int i;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    world->wall_ms += year_ms; /* not the step's most time */
    tick_times(world, 4);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    world->wall_ms -= 3 * year_ms;
    tick_times(world, 4);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    stood_s = world->now_s;
    for (i = 0; i < 500; i++) { /* evidence comes, and time stands */
        world->now_s = stood_s - TICK_S;
        tick(world);
    }
    assert_int_equal(world->decision_count, 2);
    go_to(world, ROLLOUT_PROMOTED, 2);
    tick_times(world, 200); /* the analysis is over */
    world->wall_ms += 5 * year_ms;
    take_up(world);
    tick_times(world, 20);
    assert_int_equal(phase(world), ROLLOUT_PROMOTED); /* the time to undo is not lost */
    assert_int_equal(act(world, ROLLOUT_ON_UNDO), SERIN_OK);
    assert_int_equal(share_of(&world->route), 0);
    free_world(world);
}

/* A container that was paused, a machine that was suspended: nobody watched, and no time has passed. */
static void test_a_leap_of_the_monotonic_clock_is_no_time(void **state)
{
    struct world *world = begun(PLAN);
    double t_s;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    t_s = trial(world)->t_s;
    world->now_s += 2 * 3600; /* twice the step's most time */
    tick(world);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    assert_true(trial(world)->t_s <= t_s + CONTROLLER_HOLD_MS / 1000.0 + TICK_S);
    go_to(world, ROLLOUT_PENDING, 1);
    world->ready = false;
    tick(world);
    world->now_s += 2 * 3600; /* nor has the canary been awaited for ten minutes */
    tick_times(world, 4);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    world->ready = true;
    go_to(world, ROLLOUT_PROMOTED, 2);
    tick_times(world, 200); /* the analysis is over */
    world->now_s += 2 * 3600;
    tick_times(world, 4);
    assert_int_equal(phase(world), ROLLOUT_PROMOTED);
    free_world(world);
}

static double in_block(double s)
{
    return fmod(s, 60);
}

/* The gateway draws cameras anew when the wall's clock says so: the judge's blocks must begin there, too. */
static void test_blocks_follow_the_wall(void **state)
{
    static const int64_t set_s[] = {0, 7200, -7200, 7, -7, 25, -25, 30 * 86400 + 11, -90 * 86400 - 11};
    struct world *world =
        begun("unit: {key: X-Camera, block: 60s}\n"
              "slices: []\n"
              "guards: [{metric: error_rate, margin: 0.5, required: false}]\n"
              "steps: [{weight: 10%, min: {evidence: 1000000, time: 1d}, max: {time: 2d}}, {weight: 100%}]\n");
    double before_s, left_s, apart_s;
    size_t i;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    for (i = 0; i < sizeof(set_s) / sizeof(set_s[0]); i++) {
        world->wall_ms += set_s[i] * 1000;
        before_s = trial(world)->t_s;
        left_s = trial(world)->t_s - trial(world)->step_t_s;
        tick_times(world, (int)(31 / TICK_S)); /* what stands still has come after half a block */
        apart_s = fabs(in_block(trial(world)->t_s) - in_block((double)world->wall_ms / 1000));
        assert_true(apart_s < 1 || apart_s > 59);
        assert_true(trial(world)->t_s >= before_s); /* it never goes back, and the step gets no time from it */
        assert_true(trial(world)->t_s - trial(world)->step_t_s <= left_s + 31 + TICK_S);
    }
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    free_world(world);
}

static void test_no_evidence_no_step(void **state)
{
    struct world *world = begun(PLAN);
    struct controller_now now;
    int i;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    for (i = 0; i < 3500 && phase(world) == ROLLOUT_PROGRESSING; i++) {
        world->now_s += 1;
        now = now_of(world);
        controller_tick(world->controller, &now);
    }
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    for (i = 0; i < 200; i++) {
        world->now_s += 1;
        now = now_of(world);
        controller_tick(world->controller, &now);
    }
    assert_int_equal(phase(world), ROLLOUT_INCONCLUSIVE);
    assert_int_equal(act(world, ROLLOUT_ON_RESUME), SERIN_OK);
    now = now_of(world);
    controller_tick(world->controller, &now);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING); /* its most time counts anew */
    take_up(world);
    now = now_of(world);
    controller_tick(world->controller, &now);
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING); /* also after a kill */
    free_world(world);
}

static void test_canary_that_is_never_ready(void **state)
{
    struct world *world = begun(PLAN);
    int i;

    (void)state;
    world->ready = false;
    for (i = 0; i < 590 * 20; i++)
        tick(world);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    assert_int_equal(share_of(&world->route), 0);
    assert_int_equal(world->let_go, 0); /* other models' rollouts go on */
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE), SERIN_LIMIT);
    go_to(world, ROLLOUT_INCONCLUSIVE, 0);
    assert_int_equal(act(world, ROLLOUT_ON_RESUME), SERIN_OK);
    world->ready = true;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    world->ready = false; /* it comes back after a restart, and must not fail requests until then */
    take_up(world);
    tick(world);
    assert_int_equal(world->hold_ms, 0);
    assert_int_equal(share_of(&world->route), 100000);
    world->ready = true;
    tick(world);
    assert_int_equal(world->hold_ms, CONTROLLER_HOLD_MS);
    free_world(world);
}

static void test_gate_that_hangs_refuses_and_agrees(void **state)
{
    struct world *world = begun(PLAN "webhooks: [{url: 'http://gate/', on: [gate, started, step], timeout: 2s}]\n");
    int i;

    (void)state;
    tick_times(world, 1200); /* a minute: it hangs, counts as a no, and is asked again */
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    assert_true(world->asked >= 2);
    assert_int_equal(world->told, 1);
    controller_gate_answered(world->controller, world->ticket + 1000, CONTROLLER_GATE_AGREES, "");
    controller_gate_answered(world->controller, 0, CONTROLLER_GATE_AGREES, "");
    tick(world);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    for (i = 0; i < 3; i++) {
        const int asked = world->asked;

        while (world->asked == asked)
            tick(world);
        controller_gate_answered(world->controller, world->ticket,
                                 i < 2 ? CONTROLLER_GATE_REFUSES : CONTROLLER_GATE_AGREES, "not on my watch");
        tick(world);
        if (i < 2)
            assert_non_null(strstr(trial(world)->waiting, "not on my watch"));
    }
    assert_int_equal(phase(world), ROLLOUT_PROGRESSING);
    assert_int_equal(world->told, 2);
    free_world(world);
}

static void test_a_webhook_that_cannot_be_signed_starts_nothing(void **state)
{
    struct world *world = new_world(PLAN "webhooks: [{url: 'http://gate/x', on: gate, secret_env: ABSENT}]\n");

    (void)state;
    assert_int_equal(start(world), SERIN_INVALID);
    assert_string_equal(world->refusal.message, "the webhook http://gate: ABSENT is not set");
    assert_int_equal(world->decision_count, 0);
    free_world(world);
}

/* What the report lists as possible, as its JSON has it. */
static void expect_possible(struct world *world, const char *list)
{
    struct buffer report;

    buffer_init(&report, 1 << 20);
    assert_int_equal(controller_report(world->controller, "street", &report, NULL), SERIN_OK);
    assert_non_null(strstr(report.bytes, list));
    buffer_done(&report);
}

static void test_only_what_works_is_possible(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROMOTED, 2);
    go_to(world, ROLLOUT_COMPLETED, 2);
    expect_possible(world, "\"possible\":[\"undo\"]");
    world->old_is_gone = true;
    assert_int_equal(act(world, ROLLOUT_ON_UNDO), SERIN_LIMIT);
    expect_possible(world, "\"possible\":[]");
    free_world(world);
}

static void test_abort_that_meets_the_promotion(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PENDING, 2);
    world->put_fails = true; /* the decision is on disk, the route is not */
    go_to(world, ROLLOUT_PROMOTED, 2);
    assert_int_equal(share_of(&world->route), 500000);
    assert_int_equal(act(world, ROLLOUT_ON_ABORT), SERIN_OK);
    assert_int_equal(phase(world), ROLLOUT_UNDONE);
    world->put_fails = false;
    tick(world);
    assert_int_equal(share_of(&world->route), 0);
    assert_string_equal(world->route.stable, "v1.0.0");
    free_world(world);
}

/* It holds the next step and the first one, and neither evidence nor a way back; whoever goes past it is named. */
static void test_a_freeze_holds_every_climb(void **state)
{
    struct world *world = new_world(PLAN);

    (void)state;
    world->frozen_until_ms = world->wall_ms + 3000;
    assert_int_equal(start(world), SERIN_OK);
    tick_times(world, 20);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    assert_int_equal(share_of(&world->route), 0);
    assert_string_equal(trial(world)->waiting, "because street is frozen, until Monday");
    go_to(world, ROLLOUT_PROGRESSING, 0);
    assert_true(world->wall_ms >= world->frozen_until_ms);
    world->frozen_until_ms = INT64_MAX;
    go_to(world, ROLLOUT_PENDING, 1); /* a step may end */
    tick_times(world, 400);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    assert_int_equal(share_of(&world->route), 100000);
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE), SERIN_OK);
    assert_int_equal(share_of(&world->route), 500000);
    assert_string_equal(last_state(world)->why, "in spite of the freeze (until Monday): a person's word");
    assert_int_equal(act(world, ROLLOUT_ON_PAUSE), SERIN_OK);
    assert_string_equal(last_state(world)->why, "a person's word");
    assert_int_equal(act(world, ROLLOUT_ON_RESUME), SERIN_OK);
    assert_int_equal(act(world, ROLLOUT_ON_PROMOTE_FULL), SERIN_OK);
    assert_string_equal(last_state(world)->why, "in spite of the freeze (until Monday): a person's word");
    assert_int_equal(act(world, ROLLOUT_ON_UNDO), SERIN_OK);
    assert_int_equal(share_of(&world->route), 0);
    assert_string_equal(last_state(world)->why, "a person's word");
    assert_int_equal(act(world, ROLLOUT_ON_RETRY), SERIN_OK);
    tick_times(world, 20);
    assert_int_equal(phase(world), ROLLOUT_PENDING);
    free_world(world);
}

static void test_retry_is_a_new_attempt(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->errors = 1;
    go_to(world, ROLLOUT_ROLLED_BACK, 1);
    assert_null(trial(world)->judge);
    world->errors = 0;
    assert_int_equal(world->size[2], 0);
    assert_int_equal(act(world, ROLLOUT_ON_RETRY), SERIN_OK);
    assert_int_equal(trial(world)->state.attempt, 2);
    tick_times(world, 3);
    assert_true(world->size[2] > 0);
    take_up(world);
    go_to(world, ROLLOUT_COMPLETED, 2);
    assert_int_equal(act(world, ROLLOUT_ON_RETRY), SERIN_LIMIT);
    /* By now people have made another version the stable one: an undo would take that away from them. */
    snprintf(world->route.stable, sizeof(world->route.stable), "v1.2.0");
    assert_int_equal(act(world, ROLLOUT_ON_UNDO), SERIN_LIMIT);
    free_world(world);
}

static void test_accepted_question_is_not_asked_again(void **state)
{
    struct world *world = begun(PLAN_OF("400"));
    struct controller *other;
    struct controller_now now;

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->score = .2;
    go_to(world, ROLLOUT_INCONCLUSIVE, 1);
    assert_string_equal(trial(world)->last.guard, "score");
    assert_int_equal(share_of(&world->route), 500000); /* it stands where it is */
    take_up(world);
    assert_int_equal(trial(world)->last.answer, JUDGE_STOP_AND_ASK); /* the question survives a kill */
    world->decide_fails = true;
    assert_int_equal(act(world, ROLLOUT_ON_RESUME), SERIN_IO);
    assert_int_equal(phase(world), ROLLOUT_INCONCLUSIVE);
    world->decide_fails = false;
    assert_int_equal(act(world, ROLLOUT_ON_RESUME), SERIN_OK);
    tick_times(world, 20);
    assert_int_not_equal(phase(world), ROLLOUT_INCONCLUSIVE);
    other = new_controller(world);
    now = now_of(world);
    assert_int_equal(controller_resume(other, last_state(world), world->decisions[0].plan, &now, NULL), SERIN_OK);
    assert_int_not_equal(trial_named(other, "street-1")->last.answer, JUDGE_STOP_AND_ASK);
    controller_free(other);
    world->errors = 1; /* nothing was accepted of what goes back by itself */
    go_to(world, ROLLOUT_ROLLED_BACK, 1);
    free_world(world);
}

static void test_harm_goes_back_wherever_it_stands(void **state)
{
    static const enum rollout_event stands[] = {ROLLOUT_ON_PAUSE, ROLLOUT_ON_RESUME};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct world *world = begun(PLAN);

        go_to(world, ROLLOUT_PROGRESSING, 1);
        assert_int_equal(act(world, ROLLOUT_ON_PAUSE), SERIN_OK);
        if (i == 1)
            assert_int_equal(act(world, stands[i]), SERIN_OK);
        world->errors = 1;
        go_to(world, ROLLOUT_ROLLED_BACK, 1);
        assert_int_equal(share_of(&world->route), 0);
        assert_false(world->on_trial);
        free_world(world);
    }
}

/* What is learnt after the analysis of requests from before it: labels come late. */
static void test_late_evidence_undoes(void **state)
{
    struct world *world = begun(PLAN);
    struct record record;
    int i;

    (void)state;
    go_to(world, ROLLOUT_PROMOTED, 2);
    tick_times(world, 200); /* the analysis is over */
    assert_false(world->on_trial);
    for (i = 0; i < 400 && phase(world) == ROLLOUT_PROMOTED; i++) {
        record = (struct record){.kind = RECORD_REQUEST, .arm = i % 2 ? JUDGE_CANARY : JUDGE_STABLE, .share = .5};
        record.request.status = i % 2 ? 500 : 200;
        record.request.total_ms = record.request.queue_ms = record.request.inference_ms = -1;
        record.request.detections = -1;
        controller_add(world->controller, "street", &record, world->now_s);
        tick(world);
    }
    assert_int_equal(phase(world), ROLLOUT_UNDONE);
    assert_int_equal(share_of(&world->route), 0);
    assert_string_equal(world->decisions[world->decision_count - 1].author, "judge");
    free_world(world);
}

/* Nobody watches any more, and the dead-man rule with it: it is there again, so that stable has everything at once. */
static void test_undo_after_the_analysis_on_a_full_disk(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROMOTED, 2);
    tick_times(world, 200); /* the analysis is over */
    assert_false(world->on_trial);
    assert_false(controller_is_unwritten(world->controller, "street"));
    world->decide_fails = true;
    assert_int_equal(act(world, ROLLOUT_ON_UNDO), SERIN_IO);
    assert_true(world->on_trial);
    assert_int_equal(world->hold_ms, 0);
    tick_times(world, 100);
    assert_true(world->on_trial && world->hold_ms == 0 && controller_is_unwritten(world->controller, "street"));
    world->decide_fails = false;
    tick_times(world, SECOND);
    assert_int_equal(phase(world), ROLLOUT_UNDONE);
    assert_int_equal(share_of(&world->route), 0);
    assert_false(world->on_trial || controller_is_unwritten(world->controller, "street"));
    free_world(world);
}

static void test_breaker(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 0);
    world->broken = true;
    tick(world);
    assert_int_equal(phase(world), ROLLOUT_ROLLED_BACK);
    assert_string_equal(world->decisions[world->decision_count - 1].author, "breaker");
    free_world(world);
}

static void test_most_evidence_calls_a_person(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->decide_fails = true; /* or it would be proven long before */
    while (trial(world)->last.units <= 500)
        tick(world);
    ((struct trial *)trial(world))->last.answer = JUDGE_HOLD;
    ((struct trial *)trial(world))->again_s = 0;
    world->decide_fails = false;
    world->now_s -= TICK_S;
    tick(world);
    assert_int_equal(phase(world), ROLLOUT_INCONCLUSIVE);
    assert_non_null(strstr(world->decisions[world->decision_count - 1].why, "most evidence"));
    free_world(world);
}

static void test_unreadable_records_go_back(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->unreadable = true;
    take_up(world);
    world->decide_fails = true;
    tick(world);
    assert_int_equal(world->hold_ms, 0);
    world->decide_fails = false;
    tick_times(world, SECOND);
    assert_int_equal(phase(world), ROLLOUT_ABORTED);
    assert_string_equal(world->decisions[world->decision_count - 1].author, "controller");
    assert_int_equal(share_of(&world->route), 0);
    free_world(world);
}

static void test_route_of_an_ended_rollout_is_peoples(void **state)
{
    struct world *world = begun(PLAN);

    (void)state;
    go_to(world, ROLLOUT_PROGRESSING, 1);
    assert_int_equal(act(world, ROLLOUT_ON_ABORT), SERIN_OK);
    world->route.versions[1].weight = 300000; /* a person's `serin route set` */
    world->route.revision++;
    take_up(world);
    tick(world);
    assert_int_equal(share_of(&world->route), 300000);
    free_world(world);

    world = begun(PLAN);
    go_to(world, ROLLOUT_PROGRESSING, 1);
    world->put_fails = true;
    assert_int_equal(act(world, ROLLOUT_ON_ABORT), SERIN_OK);
    world->put_fails = false; /* killed between the decision and the route */
    take_up(world);
    assert_int_equal(share_of(&world->route), 0);
    free_world(world);
}

static void test_model_with_the_name_of_a_rollout(void **state)
{
    struct record record = {.kind = RECORD_REQUEST, .request = {.status = 200, .total_ms = 1, .detections = -1}};
    struct world *world = begun(PLAN);
    const size_t size = world->size[1];
    struct controller_trial found;

    (void)state;
    controller_add(world->controller, "street-1", &record, world->now_s);
    assert_int_equal(world->size[1], size);
    assert_false(controller_find(world->controller, "street-1", &found));
    assert_true(controller_find(world->controller, "street", &found));
    free_world(world);
}

static void test_golden_set_decides_alone(void **state)
{
    struct world *world = new_world(PLAN);

    (void)state;
    world->golden[1] = .2;
    assert_int_equal(start(world), SERIN_OK);
    go_to(world, ROLLOUT_ROLLED_BACK, 0);
    assert_int_equal(share_of(&world->route), 0);
    assert_non_null(strstr(world->decisions[1].why, "golden_map fell"));
    free_world(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_rollout),
        cmocka_unit_test(test_kill_at_every_call),
        cmocka_unit_test(test_resumed_judge_is_the_same_to_the_bit),
        cmocka_unit_test(test_full_disk_takes_no_step_forward),
        cmocka_unit_test(test_who_aborts_on_a_full_disk_is_told),
        cmocka_unit_test(test_full_disk_goes_back_at_once),
        cmocka_unit_test(test_route_that_cannot_be_put),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_a_leap_of_the_monotonic_clock_is_no_time),
        cmocka_unit_test(test_blocks_follow_the_wall),
        cmocka_unit_test(test_no_evidence_no_step),
        cmocka_unit_test(test_canary_that_is_never_ready),
        cmocka_unit_test(test_gate_that_hangs_refuses_and_agrees),
        cmocka_unit_test(test_a_webhook_that_cannot_be_signed_starts_nothing),
        cmocka_unit_test(test_only_what_works_is_possible),
        cmocka_unit_test(test_abort_that_meets_the_promotion),
        cmocka_unit_test(test_a_freeze_holds_every_climb),
        cmocka_unit_test(test_retry_is_a_new_attempt),
        cmocka_unit_test(test_accepted_question_is_not_asked_again),
        cmocka_unit_test(test_harm_goes_back_wherever_it_stands),
        cmocka_unit_test(test_late_evidence_undoes),
        cmocka_unit_test(test_undo_after_the_analysis_on_a_full_disk),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_most_evidence_calls_a_person),
        cmocka_unit_test(test_unreadable_records_go_back),
        cmocka_unit_test(test_route_of_an_ended_rollout_is_peoples),
        cmocka_unit_test(test_model_with_the_name_of_a_rollout),
        cmocka_unit_test(test_golden_set_decides_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
