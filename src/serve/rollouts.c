/*
 * rollouts.c - what the controller of rollouts can reach: routes, replicas, disk, webhooks; and the clock that drives
 * it. SPDX-License-Identifier: Apache-2.0
 *
 * DATA/rollouts/ID/ATTEMPT.ndjson are the records; decisions are in the state file; answers.db keeps what labels may
 * still come for. Every TICK_MS the gateway's sightings are taken, told, and the controller ticks.
 */
#include "serve/rollouts_inside.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "serve/damage.h"
#include "serve/freeze.h"
#include "serve/hooks.h"
#include "serve/label_gate.h"
#include "serve/observe.h"
#include "store/decisions.h"
#include "store/disk.h"
#include "store/records.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TICK_MS         20
#define FLUSH_MS        200
#define GALLERY_TICK_MS 1000
#define MAX_SIGHTINGS   2000 /* told of in one tick, so that the control thread stays with its other work */
#define MAX_JSON_BYTES  ((size_t)16 << 20)

struct recording { /* the open file of a rollout's attempt */
    struct recording *next;
    char rollout[ROLLOUT_MAX_ID + 1];
    int attempt;
    struct records *records;
    bool gap;  /* a line could not be taken: the file is not what the judge has heard */
    bool told; /* that a decision had to do without it */
};

struct controller_now rollouts_now(void)
{
    return (struct controller_now){(double)clock_now_ns() / 1e9, (int64_t)clock_wall_ms()};
}

static void name_of(const char *model, const char *tag, char *name, size_t size)
{
    snprintf(name, size, "%s:%s", model, tag);
}

/* ---- what the controller can reach ---- */

enum serin_errc rollouts_route(void *user, const char *model, struct route *ret, struct serin_error *error)
{
    struct rollouts *rollouts = user;
    int at = table_find(rollouts->server, model);

    if (at < 0) {
        (void)table_no_route(rollouts->server, model, error);
        return SERIN_NOT_FOUND; /* said here, so that the compiler sees that *ret is not read */
    }
    *ret = rollouts->server->table.entries[at].route;
    return SERIN_OK;
}

/* The headers by which the model's rollout slices, into the table that is published next; whether they are others. */
static bool bring_slices(struct rollouts *rollouts, const char *model)
{
    int at = table_find(rollouts->server, model), i;
    struct gateway_entry *entry;
    char slices[GATEWAY_MAX_SLICES][GATEWAY_SLICE_NAME + 1] = {""};
    struct controller_trial trial;
    int count = 0;
    bool others;

    if (at < 0 || !controller_find(rollouts->controller, model, &trial))
        return false;
    entry = &rollouts->server->table.entries[at];
    for (i = 0; i < trial.plan->judge.dimension_count && count < GATEWAY_MAX_SLICES; i++)
        if (plan_slice_is_header(trial.plan->judge.dimensions[i].name))
            snprintf(slices[count++], sizeof(slices[0]), "%s", trial.plan->judge.dimensions[i].name);
    others = entry->slice_count != count || memcmp(entry->slices, slices, sizeof(slices)) != 0;
    entry->slice_count = count;
    memcpy(entry->slices, slices, sizeof(slices));
    return others;
}

static enum serin_errc put_route(void *user, const struct route *route, bool on_trial, const char *author,
                                 struct serin_error *error)
{
    struct rollouts *rollouts = user;

    bring_slices(rollouts, route->model);
    label_gate_renew(rollouts->gate);
    return table_put_rollout(rollouts->server, route, on_trial, author, error);
}

static void set_trial(void *user, const char *model, bool on_trial)
{
    struct rollouts *rollouts = user;
    bool others = bring_slices(rollouts, model);

    label_gate_renew(rollouts->gate);
    table_set_trial(rollouts->server, model, on_trial);
    if (others)
        table_refresh(rollouts->server);
}

static const struct fleet_version *find_version(const struct rollouts *rollouts, const char *model, const char *tag)
{
    char name[2 * ROUTE_MAX_TEXT + 2];
    const struct fleet_version *version;

    name_of(model, tag, name, sizeof(name));
    version = fleet_find(rollouts->server->fleet, name);
    return version && !version->leaving ? version : NULL;
}

static bool is_ready(void *user, const char *model, const char *tag)
{
    const struct fleet_version *version = find_version(user, model, tag);

    return version && fleet_ready_count(version) > 0;
}

static bool is_broken(void *user, const char *model, const char *tag)
{
    const struct fleet_version *version = find_version(user, model, tag);

    return version && gateway_breaker_open(((struct rollouts *)user)->server->gateway, version->slot);
}

static bool usage(void *user, const char *model, const char *tag, struct controller_usage *ret)
{
    const struct rollouts *rollouts = user;
    const struct fleet_version *version = find_version(rollouts, model, tag);
    struct gateway_totals totals;
    int i;

    if (!version || version->url[0])
        return false;
    *ret = (struct controller_usage){-1, -1, 0};
    for (i = 0; i < version->replica_count; i++) {
        struct replica_usage of;

        if (!version->replicas[i].replica)
            continue;
        fleet_usage(rollouts->server->fleet, &version->replicas[i], &of);
        if (of.resident_bytes > 0)
            ret->memory_mb = fmax(ret->memory_mb, (double)of.resident_bytes / 1e6);
        if (of.gpu_bytes > 0)
            ret->gpu_memory_mb = fmax(ret->gpu_memory_mb, (double)of.gpu_bytes / 1e6);
    }
    gateway_read(rollouts->server->gateway, version->slot, &totals);
    ret->requests = (double)(totals.answered + totals.mirrored);
    return ret->memory_mb > 0;
}

static double golden_map(void *user, const char *model, const char *tag)
{
    struct rollouts *rollouts = user;
    struct bundle bundle = {0};
    const char *unit;
    double accuracy = -1;
    char name[2 * ROUTE_MAX_TEXT + 2];

    name_of(model, tag, name, sizeof(name));
    if (bundles_find(rollouts->server->bundles, name, &bundle, NULL) == SERIN_OK)
        accuracy = bundle_accuracy(&bundle, &unit);
    bundle_done(&bundle);
    return accuracy < 0 ? (double)NAN : accuracy;
}

static bool is_frozen(void *user, const char *model, int64_t wall_ms, char *ret_why, size_t size)
{
    const struct rollouts *rollouts = user;

    return freezes_hold(rollouts->server->freezes, model, wall_ms, ret_why, size);
}

/* Stable of before has had its time: out of the route, and its replicas stop. */
static void release(void *user, const char *model, const char *tag)
{
    struct rollouts *rollouts = user;
    char name[2 * ROUTE_MAX_TEXT + 2];
    struct serin_error error;

    name_of(model, tag, name, sizeof(name));
    if (find_version(rollouts, model, tag) && deploy_undo(rollouts->server, name, "rollout", &error) != SERIN_OK)
        log_event(rollouts->server->log, "warn", "ending a rollout", "%s keeps running: %s", name, error.message);
}

static void hold(void *user, const char *model, uint64_t for_ms)
{
    struct rollouts *rollouts = user;
    int at = table_find(rollouts->server, model);

    if (at >= 0)
        gateway_hold_trial(rollouts->server->gateway, rollouts->server->table.entries[at].lease, for_ms);
}

static void say(void *user, const char *level, const char *sentence)
{
    struct rollouts *rollouts = user;

    log_event(rollouts->server->log, level, "releasing", "%s", sentence);
}

static void report_more(void *user, const struct rollout *rollout, const struct plan *plan, struct json_writer *json)
{
    struct rollouts *rollouts = user;

    gallery_write_sum(rollouts->observer.gallery, rollout, plan, json);
    label_join_report(&rollouts->observer, rollout, json);
}

/* ---- records and decisions ---- */

static struct recording *find_recording(struct rollouts *rollouts, const struct rollout *rollout)
{
    struct recording *recording = rollouts->recordings;

    while (recording && strcmp(recording->rollout, rollout->id) != 0)
        recording = recording->next;
    return recording;
}

/* The file of the rollout's attempt; an older attempt's is closed. NULL: it cannot be opened. */
static struct records *recording_of(struct rollouts *rollouts, const struct rollout *rollout,
                                    void (*each)(void *user, const char *line, size_t size), void *user,
                                    struct serin_error *error)
{
    struct recording *recording;

    recording = find_recording(rollouts, rollout);
    if (recording && recording->records && recording->attempt == rollout->attempt)
        return recording->records;
    if (!recording) {
        recording = calloc(1, sizeof(*recording));
        if (!recording) {
            error_set(error, SERIN_NOMEM, "no memory for a rollout's records");
            return NULL;
        }
        snprintf(recording->rollout, sizeof(recording->rollout), "%s", rollout->id);
        recording->next = rollouts->recordings;
        rollouts->recordings = recording;
    }
    records_close(recording->records);
    recording->records = NULL;
    recording->gap = recording->gap && recording->attempt == rollout->attempt;
    recording->told = recording->told && recording->attempt == rollout->attempt;
    recording->attempt = rollout->attempt;
    if (records_open(rollouts->dir, rollout->id, rollout->attempt, each, user, &recording->records, error) != SERIN_OK)
        return NULL;
    return recording->records;
}

static void record_line(void *user, const struct rollout *rollout, const char *line, size_t size)
{
    struct rollouts *rollouts = user;
    struct serin_error error;
    struct records *records = recording_of(rollouts, rollout, NULL, NULL, &error);
    struct recording *recording = find_recording(rollouts, rollout);

    if (records && !recording->gap) {
        records_append(records, line, size);
    } else if (recording && !recording->gap) {
        recording->gap = true;
        log_event(rollouts->server->log, "error", "recording a rollout", "%s", error.message);
    }
}

static enum serin_errc each_record(void *user, const struct rollout *rollout,
                                   void (*each)(void *each_user, const char *line, size_t size), void *each_user,
                                   struct serin_error *error)
{
    return recording_of(user, rollout, each, each_user, error) ? SERIN_OK : error->code;
}

/* Of a rollout that has ended; a retry opens the file of its own attempt. */
static void close_recording(struct rollouts *rollouts, const struct rollout *rollout)
{
    struct recording **place = &rollouts->recordings, *recording;

    while (*place && strcmp((*place)->rollout, rollout->id) != 0)
        place = &(*place)->next;
    recording = *place;
    if (!recording)
        return;
    *place = recording->next;
    records_close(recording->records);
    free(recording);
}

static void close_recordings(struct rollouts *rollouts)
{
    while (rollouts->recordings) {
        struct recording *recording = rollouts->recordings;

        rollouts->recordings = recording->next;
        records_close(recording->records);
        free(recording);
    }
}

/* What a decision was taken from is on disk before it. One to go back is written even where that cannot be: then it
 * says that its records are not known. */
static enum serin_errc sync_records(struct rollouts *rollouts, const struct controller_decision *decision,
                                    struct decision *row, struct serin_error *error)
{
    struct records *records = recording_of(rollouts, decision->after, NULL, NULL, error);
    enum serin_errc rc = records ? records_sync(records, &row->records, row->records_hash, error) : error->code;
    struct recording *recording = find_recording(rollouts, decision->after);

    if (rc == SERIN_OK && recording->gap)
        rc = error_set(error, SERIN_IO, "the records of %s have a gap", decision->after->id);
    if (rc == SERIN_OK || !decision->goes_back)
        return rc;
    if (!recording || !recording->told) /* where it cannot be written either it comes again and again */
        log_event(rollouts->server->log, "error", "deciding without records", "%s: %s", decision->after->id,
                  error->message);
    if (recording)
        recording->told = true;
    row->records = DECISION_WITHOUT_RECORDS;
    memset(row->records_hash, 0, sizeof(row->records_hash));
    return SERIN_OK;
}

static enum serin_errc decide(void *user, const struct controller_decision *decision, uint64_t *ret_number,
                              struct serin_error *error)
{
    struct rollouts *rollouts = user;
    struct decision row = {.time_ms = decision->time_ms,
                           .rollout = decision->after->id,
                           .model = decision->after->model,
                           .author = decision->author,
                           .event = decision->event,
                           .why = decision->why,
                           .numbers = decision->numbers};
    struct buffer state;
    /* Who takes over reads decisions and routes at the last moment, so a way back is open; a step forward waits. */
    enum serin_errc rc = decision->goes_back ? SERIN_OK : takeover_check(rollouts->server, error);
    const uint64_t started_ns = clock_now_ns();

    if (rc == SERIN_OK)
        rc = sync_records(rollouts, decision, &row, error);
    buffer_init(&state, 64 << 10);
    rollout_to_json(decision->after, &state);
    if (rc == SERIN_OK)
        rc = buffer_check(&state, "a rollout's state", error);
    row.state = state.bytes;
    if (rc == SERIN_OK)
        rc = decisions_append(rollouts->server->state, &row, decision->plan, error);
    buffer_done(&state);
    table_tell_slow(rollouts->server, "putting a decision on disk", started_ns);
    if (rc == SERIN_OK) {
        *ret_number = (uint64_t)row.number;
        if (rollout_phase_ended(decision->after->phase))
            close_recording(rollouts, decision->after);
    }
    return rc;
}

/* ---- webhooks ---- */

static void hook_answered(void *user, const struct plan_webhook *hook, const struct hook_answer *answer)
{
    struct rollouts *rollouts = user;
    bool agrees = answer->status >= 200 && answer->status < 300;

    if (!agrees)
        log_event(rollouts->server->log, "warn", "calling a webhook", "%.*s: status %d %s", plan_webhook_shown(hook),
                  hook->url, answer->status, answer->why);
    controller_gate_answered(rollouts->controller, answer->ticket,
                             agrees ? CONTROLLER_GATE_AGREES : CONTROLLER_GATE_REFUSES, answer->why);
}

static void call_hook(void *user, const struct plan_webhook *hook, const char *body, uint64_t ticket)
{
    struct rollouts *rollouts = user;
    struct serin_error error;

    if (hooks_call(rollouts->hooks, hook, body, ticket, &error) != SERIN_OK) {
        log_event(rollouts->server->log, "warn", "calling a webhook", "%.*s: %s", plan_webhook_shown(hook), hook->url,
                  error.message);
        controller_gate_answered(rollouts->controller, ticket, CONTROLLER_GATE_REFUSES, error.message);
    }
}

static enum serin_errc check_hook(void *user, const struct plan_webhook *hook, struct serin_error *error)
{
    (void)user;
    return hooks_check(hook, error);
}

/* ---- the clock ---- */

void rollouts_flush(struct server *server)
{
    struct recording *recording;

    for (recording = server->rollouts->recordings; recording; recording = recording->next)
        if (recording->records)
            records_flush(recording->records);
}

static void flush(struct rollouts *rollouts)
{
    uint64_t now_ms = uv_now(&rollouts->server->loop);
    struct serin_error error;

    if (now_ms - rollouts->flushed_ms < FLUSH_MS)
        return;
    rollouts->flushed_ms = now_ms;
    rollouts_flush(rollouts->server);
    if (answers_flush(rollouts->observer.answers, &error) != SERIN_OK)
        log_event(rollouts->server->log, "error", "keeping answers", "%s", error.message);
}

/* ---- beginning and end ---- */

struct resuming {
    struct rollouts *rollouts;
    bool ended; /* those that have ended are meant, for people to retry and undo, as far as there is room */
    bool only_mark;
};

/* They come newest first; of each model only that one can be acted on, and those before it have ended. */
static void resume_one(void *user, const struct stored_rollout *stored)
{
    struct resuming *resuming = user;
    struct rollouts *rollouts = resuming->rollouts;
    struct controller *controller = rollouts->controller;
    struct controller_now now = rollouts_now();
    const struct rollout *newer = controller_rollout(controller, stored->model);
    struct serin_error error;
    struct rollout rollout;
    bool is_readable;

    if (newer && strcmp(newer->model, stored->model) == 0)
        return;
    is_readable = rollout_from_json(stored->json, strlen(stored->json), &rollout, &error) == SERIN_OK;
    if (is_readable && rollout_phase_ended(rollout.phase) != resuming->ended)
        return;
    if (resuming->only_mark || !is_readable || damage_of(&rollouts->damage, stored->model)) {
        if (!resuming->ended && (!is_readable || rollout.phase != ROLLOUT_PROMOTED))
            table_set_trial(rollouts->server, stored->model, true); /* of which nobody tells the gateway to go on */
        if (!is_readable && !resuming->ended)
            damage_add(&rollouts->damage, stored->model, error.message);
        return;
    }
    if (resuming->ended && controller_is_full(controller))
        return;
    rollout.number = (uint64_t)stored->number;
    if (controller_resume(controller, &rollout, stored->plan_yaml, &now, &error) == SERIN_OK)
        return;
    log_event(rollouts->server->log, "error", "taking up a rollout", "%s", error.message);
    if (!resuming->ended) {
        table_set_trial(rollouts->server, stored->model, rollout.phase != ROLLOUT_PROMOTED);
        damage_add(&rollouts->damage, stored->model, error.message);
    }
}

static void each_stored(struct rollouts *rollouts, bool ended, bool only_mark)
{
    struct resuming resuming = {.rollouts = rollouts, .ended = ended, .only_mark = only_mark};
    struct serin_error error;

    if (decisions_each_rollout(rollouts->server->state, NULL, INT_MAX, resume_one, &resuming, &error) != SERIN_OK)
        damage_add(&rollouts->damage, NULL, error.message);
}

static void tell_damage(const struct rollouts *rollouts)
{
    const struct damage *damage = &rollouts->damage;
    int i;

    if (damage->everybodys[0])
        log_event(rollouts->server->log, "error", "reading the log of decisions",
                  "%s: no rollout of any model goes on until a person has looked (serin rollout repair MODEL)",
                  damage->everybodys);
    for (i = 0; i < damage->count; i++)
        log_event(rollouts->server->log, "error", "reading the log of decisions",
                  "%s: %s: its rollouts stand still until a person has looked (serin rollout repair %s)",
                  damage->models[i].model, damage->models[i].sentence, damage->models[i].model);
}

/* What is stored is taken up, as far as the log is what was written. */
void rollouts_resume(struct rollouts *rollouts)
{
    damage_look(rollouts->server->state, &rollouts->damage);
    each_stored(rollouts, false, false);
    each_stored(rollouts, true, false);
    tell_damage(rollouts);
    rollouts->active = true;
}

/* Where the lock is ours, or has become so. */
static void take_up(struct rollouts *rollouts)
{
    if (flock(rollouts->lock, LOCK_EX | LOCK_NB) == 0)
        rollouts_resume(rollouts);
}

/* Gateway threads share a request's body with us only where a plan wants to keep it. */
static void want_pictures(struct rollouts *rollouts)
{
    const struct fleet_version *version;
    struct controller_trial trial;
    int i;

    for (i = 0; (version = fleet_at(rollouts->server->fleet, i)) != NULL; i++)
        gateway_want_pictures(rollouts->server->gateway, version->slot,
                              rollouts->observer.gallery &&
                                  controller_find(rollouts->controller, version->model, &trial) &&
                                  strcmp(trial.rollout->canary, version->tag) == 0 && gallery_is_wanted(trial.plan));
}

static void tick_gallery(struct rollouts *rollouts, const struct controller_now *now)
{
    struct observed_choice observed = {&rollouts->observer, now->now_s, 0};
    struct serin_error error;

    want_pictures(rollouts);
    if (now->wall_ms - rollouts->gallery_ms < GALLERY_TICK_MS && now->wall_ms >= rollouts->gallery_ms)
        return;
    rollouts->gallery_ms = now->wall_ms;
    label_gate_tick(rollouts->gate);
    if (gallery_tick(rollouts->observer.gallery, now->wall_ms, observe_choice, &observed, &error) != SERIN_OK)
        log_event(rollouts->server->log, "error", "keeping frames", "%s", error.message);
    if (observed.told > 0)
        rollouts_flush(rollouts->server);
}

static void tick(uv_timer_t *clock)
{
    struct rollouts *rollouts = clock->data;
    struct controller_now now = rollouts_now();
    struct gateway_sighting *sighting;
    int taken = 0;

    if (!rollouts->active)
        take_up(rollouts);
    if (!rollouts->active || rollouts->server->stopping)
        return;
    while (taken++ < MAX_SIGHTINGS && (sighting = gateway_take_sighting(rollouts->server->gateway)) != NULL) {
        now = rollouts_now(); /* a draw belongs to the block in which it was made */
        observe(&rollouts->observer, sighting, now.now_s);
        gateway_sighting_free(sighting);
    }
    controller_tick(rollouts->controller, &now);
    tick_gallery(rollouts, &now);
    flush(rollouts);
}

/* What is kept for labels may be lost, and must not keep anybody from serving: a file that cannot be opened is set
 * aside. */
static enum serin_errc open_answers(struct rollouts *rollouts, const char *path, struct serin_error *error)
{
    enum serin_errc rc = answers_open(path, ANSWERS_MAX, &rollouts->observer.answers, error);
    char aside[1300];

    if (rc == SERIN_OK)
        return rc;
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    log_event(rollouts->server->log, "error", "keeping answers", "%s; set aside as %s, and begun anew", error->message,
              aside);
    if (rename(path, aside) != 0)
        return rc;
    return answers_open(path, ANSWERS_MAX, &rollouts->observer.answers, error);
}

/* Neither must kept frames: without their file none are kept. */
static void open_gallery(struct rollouts *rollouts)
{
    char path[1300];
    struct serin_error error;

    snprintf(path, sizeof(path), "%s/" FRAMES_FILE, rollouts->server->options.data_dir);
    if (gallery_new(path, &rollouts->observer.gallery, &error) != SERIN_OK)
        log_event(rollouts->server->log, "error", "keeping frames", "%s; none are kept", error.message);
}

enum serin_errc rollouts_new(struct server *server, struct rollouts **ret, struct serin_error *error)
{
    struct rollouts *rollouts = calloc(1, sizeof(*rollouts));
    const struct controller_target target = {.user = rollouts,
                                             .get_route = rollouts_route,
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
                                             .log = say,
                                             .report = report_more};
    char path[1200];
    enum serin_errc rc;

    if (!rollouts)
        return error_set(error, SERIN_NOMEM, "no memory for rollouts");
    rollouts->server = server;
    uv_timer_init(&server->loop, &rollouts->clock);
    rollouts->clock.data = rollouts;
    snprintf(rollouts->dir, sizeof(rollouts->dir), "%s/rollouts", server->options.data_dir);
    rc = disk_make_folders(rollouts->dir, error);
    snprintf(path, sizeof(path), "%s/lock", rollouts->dir);
    rollouts->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (rc == SERIN_OK && rollouts->lock < 0)
        rc = error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    snprintf(path, sizeof(path), "%s/answers.db", server->options.data_dir);
    if (rc == SERIN_OK)
        rc = controller_new(&target, &rollouts->controller, error);
    rollouts->observer.controller = rollouts->controller;
    rollouts->observer.log = say;
    rollouts->observer.user = rollouts;
    if (rc == SERIN_OK)
        rc = label_gate_new(server, &rollouts->observer, &rollouts->gate, error);
    if (rc == SERIN_OK)
        rc = open_answers(rollouts, path, error);
    if (rc == SERIN_OK)
        open_gallery(rollouts);
    if (rc == SERIN_OK)
        rc = hooks_new(&server->loop, hook_answered, rollouts, &rollouts->hooks, error);
    if (rc == SERIN_OK)
        take_up(rollouts);
    if (rc == SERIN_OK && !rollouts->active) /* until they are in our hands nothing is on trial here */
        each_stored(rollouts, false, true);
    if (rc != SERIN_OK) {
        rollouts_close(rollouts);
        return rc;
    }
    uv_timer_start(&rollouts->clock, tick, TICK_MS, TICK_MS);
    *ret = rollouts;
    return SERIN_OK;
}

static void clock_closed(uv_handle_t *clock)
{
    free(clock->data);
}

void rollouts_close(struct rollouts *rollouts)
{
    if (!rollouts)
        return;
    hooks_close(rollouts->hooks);
    label_gate_close(rollouts->gate);
    controller_free(rollouts->controller);
    close_recordings(rollouts);
    answers_close(rollouts->observer.answers);
    gallery_free(rollouts->observer.gallery);
    label_join_done(&rollouts->observer);
    if (rollouts->lock >= 0)
        close(rollouts->lock); /* and with it the lock: an heir may go on */
    uv_close((uv_handle_t *)&rollouts->clock, clock_closed);
}
