/*
 * rollout_replay.c - serin rollout replay: the decisions of a rollout, verified from what is on disk.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Four things must hold for each decision: the chain of hashes over the log; the count and the hash of the records that
 * it names; that the machine goes from the state before to the state after; and, where the judge is its author, that
 * the judge says the same again, in the same words, after the same records. The program that serves may run meanwhile:
 * what it writes is only ever appended.
 */
#include "cli/rollout_replay.h"

#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/data_dir.h"
#include "cli/terminal.h"
#include "rollout/machine.h"
#include "store/decisions.h"
#include "store/records.h"

#include <openssl/evp.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct step_taken { /* a decision, as it is on disk */
    struct rollout after;
    char author[160], event[32], why[sizeof(((struct rollout *)0)->why)];
    int64_t time_ms, records;
    uint8_t hash[DECISION_HASH_BYTES];
};

struct replay {
    char id[ROLLOUT_MAX_ID + 1], dir[PATH_MAX];
    char *plan_yaml;
    struct plan plan;
    struct step_taken *steps;
    size_t count, room;
    /* the attempt that is being read */
    FILE *file;
    int attempt;
    int64_t lines;
    EVP_MD_CTX *hash;
    struct judge *judge;
    struct judge_decision last;
    enum serin_errc rc;
    struct serin_error *error;
};

/* ---- what is on disk ---- */

struct wanted {
    struct replay *replay;
    const char *name;
    bool by_id;
};

static void find_rollout(void *user, const struct stored_rollout *stored)
{
    const struct wanted *wanted = user;
    struct replay *replay = wanted->replay;

    if (replay->id[0] || strcmp(wanted->by_id ? stored->id : stored->model, wanted->name) != 0)
        return;
    snprintf(replay->id, sizeof(replay->id), "%s", stored->id);
    replay->plan_yaml = strdup(stored->plan_yaml);
}

static void keep_decision(void *user, const struct decision *decision)
{
    struct replay *replay = user;
    struct step_taken *step;

    if (replay->rc != SERIN_OK)
        return;
    if (replay->count == replay->room) {
        const size_t room = replay->room ? 2 * replay->room : 64;
        struct step_taken *more = realloc(replay->steps, room * sizeof(*more));

        if (!more) {
            replay->rc = error_set(replay->error, SERIN_NOMEM, "no memory for %zu decisions", room);
            return;
        }
        replay->steps = more;
        replay->room = room;
    }
    step = &replay->steps[replay->count];
    *step = (struct step_taken){.time_ms = decision->time_ms, .records = decision->records};
    snprintf(step->author, sizeof(step->author), "%s", decision->author);
    snprintf(step->event, sizeof(step->event), "%s", decision->event);
    snprintf(step->why, sizeof(step->why), "%s", decision->why);
    memcpy(step->hash, decision->records_hash, sizeof(step->hash));
    replay->rc = rollout_from_json(decision->state, strlen(decision->state), &step->after, replay->error);
    step->after.number = (uint64_t)decision->number;
    replay->count += replay->rc == SERIN_OK;
}

static enum serin_errc read_log(struct replay *replay, const char *data_dir, const char *name,
                                struct serin_error *error)
{
    struct wanted wanted = {replay, name, true};
    uint8_t last[DECISION_HASH_BYTES];
    struct state *state = NULL;
    char dir[PATH_MAX - 512], path[PATH_MAX];
    int64_t count = 0;
    enum serin_errc rc = data_dir_find(data_dir, dir, sizeof(dir), error);

    if (rc != SERIN_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/state.db", dir);
    if (access(path, F_OK) != 0) /* or it would be made */
        return error_set(error, SERIN_NOT_FOUND, "%s holds no decisions: nothing has been served from it", dir);
    rc = state_open(path, &state, error);
    if (rc == SERIN_OK)
        rc = decisions_verify(state, &count, last, error);
    if (rc == SERIN_OK)
        rc = decisions_each_rollout(state, NULL, INT_MAX, find_rollout, &wanted, error);
    wanted.by_id = false;
    if (rc == SERIN_OK && replay->rc == SERIN_OK && !replay->id[0])
        rc = decisions_each_rollout(state, NULL, INT_MAX, find_rollout, &wanted, error);
    if (rc == SERIN_OK && replay->rc == SERIN_OK && !replay->id[0])
        rc = error_set(error, SERIN_NOT_FOUND, "no rollout '%s' in %s", name, dir);
    if (rc == SERIN_OK && replay->rc == SERIN_OK)
        rc = decisions_each(state, replay->id, keep_decision, replay, error);
    state_close(state);
    if (rc == SERIN_OK)
        rc = replay->rc;
    snprintf(replay->dir, sizeof(replay->dir), "%s/rollouts/%s", dir, replay->id);
    if (rc == SERIN_OK)
        printf("%lld decisions in the log, and no hash differs\n", (long long)count);
    return rc;
}

/* ---- records ---- */

static void close_attempt(struct replay *replay)
{
    if (replay->file)
        fclose(replay->file);
    EVP_MD_CTX_free(replay->hash);
    judge_free(replay->judge);
    replay->file = NULL;
    replay->hash = NULL;
    replay->judge = NULL;
}

static enum serin_errc open_attempt(struct replay *replay, int attempt, struct serin_error *error)
{
    char path[PATH_MAX + 16];

    close_attempt(replay);
    replay->attempt = attempt;
    replay->lines = 0;
    replay->last = (struct judge_decision){.left_s = (double)NAN};
    snprintf(path, sizeof(path), "%s/%d.ndjson", replay->dir, attempt);
    replay->file = fopen(path, "re");
    if (!replay->file)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    replay->hash = EVP_MD_CTX_new();
    if (!replay->hash || EVP_DigestInit_ex(replay->hash, EVP_sha256(), NULL) != 1)
        return error_set(error, SERIN_NOMEM, "no memory to hash %s", path);
    replay->plan.judge.golden_map[JUDGE_STABLE] = replay->plan.judge.golden_map[JUDGE_CANARY] = (double)NAN;
    return judge_new(&replay->plan.judge, &replay->judge, error);
}

/* The next line, judged. *ret_record is what it says; false at the end, or where it is wrong (*rc). */
static bool next_line(struct replay *replay, struct record *ret_record, enum serin_errc *rc, struct serin_error *error)
{
    char line[RECORDS_MAX_LINE + 1];
    size_t size;

    *rc = SERIN_OK;
    if (!fgets(line, sizeof(line), replay->file))
        return false;
    size = strlen(line);
    if (size == 0 || line[size - 1] != '\n') /* it is being written */
        return false;
    replay->lines++;
    if (EVP_DigestUpdate(replay->hash, line, size) != 1)
        *rc = error_set(error, SERIN_NOMEM, "no memory to hash");
    if (*rc == SERIN_OK)
        *rc = error_prefix(error, record_read(line, size - 1, ret_record, error), "line %lld of attempt %d",
                           (long long)replay->lines, replay->attempt);
    if (*rc != SERIN_OK)
        return false;
    if (ret_record->kind == RECORD_LOOK)
        judge_look(replay->judge, ret_record->t_s, &replay->last);
    else
        judge_add(replay->judge, ret_record);
    return true;
}

/* ---- one decision ---- */

static enum serin_errc check_records(struct replay *replay, const struct step_taken *step, struct serin_error *error)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    struct record record;
    enum serin_errc rc = SERIN_OK;
    EVP_MD_CTX *copy;
    bool done;

    if (step->records == DECISION_WITHOUT_RECORDS)
        return error_set(error, SERIN_NOT_FOUND, "its records could not be put on disk");
    if (step->after.attempt != replay->attempt || !replay->file)
        rc = open_attempt(replay, step->after.attempt, error);
    if (rc == SERIN_OK && step->records < replay->lines)
        rc = error_set(error, SERIN_CORRUPT, "it names %lld records, the one before it %lld", (long long)step->records,
                       (long long)replay->lines);
    while (rc == SERIN_OK && replay->lines < step->records)
        if (!next_line(replay, &record, &rc, error) && rc == SERIN_OK)
            rc = error_set(error, SERIN_CORRUPT, "it names %lld records, %lld are there", (long long)step->records,
                           (long long)replay->lines);
    if (rc != SERIN_OK)
        return rc;
    copy = EVP_MD_CTX_new();
    done = copy && EVP_MD_CTX_copy_ex(copy, replay->hash) == 1 && EVP_DigestFinal_ex(copy, hash, NULL) == 1;
    EVP_MD_CTX_free(copy);
    if (!done)
        return error_set(error, SERIN_NOMEM, "no memory to hash");
    if (memcmp(hash, step->hash, sizeof(step->hash)) != 0)
        return error_set(error, SERIN_CORRUPT, "the records are not those that it was taken from");
    return SERIN_OK;
}

static enum serin_errc check_judge(const struct replay *replay, const struct step_taken *step,
                                   struct serin_error *error)
{
    static const struct {
        const char *event;
        enum judge_answer answer;
    } follows[] = {{"proven", JUDGE_PASS}, {"harm", JUDGE_GO_BACK}, {"ask", JUDGE_STOP_AND_ASK}};
    size_t i;

    if (strcmp(step->author, "judge") != 0)
        return SERIN_OK;
    for (i = 0; i < 3; i++)
        if (strcmp(follows[i].event, step->event) == 0 && follows[i].answer != replay->last.answer)
            return error_set(error, SERIN_CORRUPT, "the judge does not say so again: %s", replay->last.why);
    if (strcmp(step->why, replay->last.why) != 0)
        return error_set(error, SERIN_CORRUPT, "the judge says something else: %s", replay->last.why);
    return SERIN_OK;
}

/* before: NULL for the first, which begins. */
static enum serin_errc check_state(const struct replay *replay, const struct step_taken *before,
                                   const struct step_taken *step, struct serin_error *error)
{
    struct buffer texts[2];
    struct rollout next;
    enum serin_errc rc = SERIN_OK;
    enum rollout_event event;

    if (!before)
        return strcmp(step->event, "start") == 0
                   ? SERIN_OK
                   : error_set(error, SERIN_CORRUPT, "a rollout does not begin with '%s'", step->event);
    next = before->after;
    if (!rollout_event_find(step->event, &event))
        return error_set(error, SERIN_CORRUPT, "'%s' is no event", step->event);
    rc = machine_apply(&next, &replay->plan, event, step->time_ms, step->why, error);
    if (rc != SERIN_OK)
        return rc;
    next.number = step->after.number;
    next.route_revision = step->after.route_revision;
    buffer_init(&texts[0], 1 << 16);
    buffer_init(&texts[1], 1 << 16);
    rollout_to_json(&next, &texts[0]);
    rollout_to_json(&step->after, &texts[1]);
    if (texts[0].failed || texts[1].failed || strcmp(texts[0].bytes, texts[1].bytes) != 0)
        rc = error_set(error, SERIN_CORRUPT, "it leads from %s to %s, and not to %s",
                       rollout_phase_name(before->after.phase), rollout_phase_name(next.phase),
                       rollout_phase_name(step->after.phase));
    buffer_done(&texts[0]);
    buffer_done(&texts[1]);
    return rc;
}

static bool replay_decision(struct replay *replay, size_t index)
{
    const struct step_taken *step = &replay->steps[index];
    const time_t at = (time_t)(step->time_ms / 1000);
    struct serin_error error;
    struct tm utc;
    char when[32] = "";
    const bool repairs = strcmp(step->event, DECISION_REPAIR) == 0; /* what cannot be followed is a person's word */
    enum serin_errc rc = repairs ? SERIN_OK : check_records(replay, step, &error);

    if (rc == SERIN_OK)
        rc = check_judge(replay, step, &error);
    if (rc == SERIN_OK && !repairs)
        rc = check_state(replay, index ? step - 1 : NULL, step, &error);
    if (gmtime_r(&at, &utc))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    printf("%6llu  %s  %-13s by %s, %lld records: %s\n", (unsigned long long)step->after.number, when, step->event,
           step->author, (long long)step->records, rc == SERIN_OK ? "ok" : error.message);
    return rc == SERIN_OK;
}

/* ---- with another plan ---- */

/* What that plan's judge would have said, where it changes its mind: in each step that was begun. */
static enum serin_errc judge_by(struct replay *replay, struct serin_error *error)
{
    static const char *const says[] = {"holds", "passes the step", "calls a person", "goes back"};
    const int attempts = replay->count ? replay->steps[replay->count - 1].after.attempt : 0;
    enum serin_errc rc = SERIN_OK;
    struct record record;
    int attempt;

    for (attempt = 1; attempt <= attempts && rc == SERIN_OK; attempt++) {
        enum judge_answer answer = JUDGE_HOLD;

        rc = open_attempt(replay, attempt, error);
        while (rc == SERIN_OK && next_line(replay, &record, &rc, error)) {
            if (record.kind == RECORD_STEP)
                printf("attempt %d, %10.3f s: step %d begins\n", attempt, record.t_s, record.step + 1);
            if (record.kind != RECORD_LOOK || replay->last.answer == answer)
                continue;
            answer = replay->last.answer;
            printf("attempt %d, %10.3f s: %s: %s\n", attempt, record.t_s, says[answer], replay->last.why);
        }
    }
    return rc;
}

int rollout_replay(const char *data_dir, const char *plan, const char *rollout)
{
    static struct replay replay; /* a plan is large */
    struct serin_error error;
    size_t i, wrong = 0;
    enum serin_errc rc;

    replay = (struct replay){.error = &error};
    rc = read_log(&replay, data_dir, rollout, &error);
    plan_init(&replay.plan);
    if (rc == SERIN_OK && plan)
        rc = plan_read_file(plan, &replay.plan, &error);
    else if (rc == SERIN_OK && replay.plan_yaml)
        rc = error_prefix(&error, plan_read(replay.plan_yaml, strlen(replay.plan_yaml), &replay.plan, &error),
                          "the plan of %s", replay.id);
    for (i = 0; i < replay.count && rc == SERIN_OK && !plan; i++)
        wrong += !replay_decision(&replay, i);
    if (rc == SERIN_OK && plan)
        rc = judge_by(&replay, &error);
    if (rc != SERIN_OK)
        terminal_complain("rollout: %s", error.message);
    else if (!plan && wrong == 0)
        printf("%s: all of its %zu decisions follow from what is on disk\n", replay.id, replay.count);
    else if (!plan)
        printf("%s: %zu of its %zu decisions do not follow from what is on disk\n", replay.id, wrong, replay.count);
    close_attempt(&replay);
    free(replay.steps);
    free(replay.plan_yaml);
    return rc == SERIN_OK && wrong == 0 ? CLI_OK : CLI_FAILED;
}
