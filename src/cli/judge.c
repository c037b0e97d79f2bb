/*
 * judge.c - serin judge: recorded observations, judged as a running rollout would.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A rollout's own file has a line for each look and each step, so judging it again takes the same looks and gives the
 * same answers. A file without them is looked at on a grid of the records' own time, and its steps are found from the
 * shares. Either is told by reading the file once before, which is why a pipe is copied first.
 */
#include "base/json.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "judge/judge.h"
#include "rollout/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID_S       .1
#define MAX_COPY     (4ull << 30)
#define MAX_VERDICTS 4096 /* bytes of a line */

enum { EXIT_ROLL_BACK = 3, EXIT_HOLD = 4 };

struct judge_settings {
    const char *plan;
};

static const struct cli_option options[] = {
    {.name = "plan",
     .value = "FILE|default",
     .type = CLI_TEXT,
     .fallback = "default",
     .offset = offsetof(struct judge_settings, plan),
     .help = "the plan whose guards, margins and steps are asked; 'default' is the built-in one"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin judge --plan plan.yaml observations.ndjson", "judge what has been recorded"},
    {"zcat old.ndjson.gz | serin judge - | tail -1", "only the answer, from a pipe"},
    {0},
};

/* A file that is being judged. */
struct replay {
    const struct plan *plan;
    struct judge *judge;
    struct judge_decision decision;
    FILE *file;
    const char *name;
    size_t line, records;
    double t_s; /* of the record before */
    bool has_looks, has_steps;
    int step;
    double next_look_s;
    enum judge_verdict *told; /* of each reading, as last printed */
    int told_count;
    struct buffer out;
};

/* ---- what is printed ---- */

static void write_number(struct json_writer *json, const char *key, double value)
{
    json_key(json, key);
    json_write_rounded(json, value, 6);
}

static void print_verdict(struct replay *replay, int index)
{
    static const char *const verdicts[] = {"unknown", "harm", "no harm"};
    char slice[RECORD_MAX_NAME + RECORD_MAX_VALUE + 2];
    struct judge_reading reading;
    struct json_writer json;

    judge_read(replay->judge, index, &reading);
    buffer_clear(&replay->out);
    json_init(&json, &replay->out);
    json_begin_object(&json);
    write_number(&json, "t", replay->decision.t_s);
    json_key(&json, "guard");
    json_write_string(&json, reading.guard->name);
    json_key(&json, "slice");
    if (reading.dimension)
        snprintf(slice, sizeof(slice), "%s=%s", reading.dimension, reading.value);
    json_write_string(&json, reading.dimension ? slice : NULL);
    json_key(&json, "verdict");
    json_write_string(&json, verdicts[reading.verdict]);
    write_number(&json, "log_e", reading.verdict == JUDGE_HARM ? reading.log_e_harm : reading.log_e_no_harm);
    write_number(&json, "stable", reading.stable);
    write_number(&json, "canary", reading.canary);
    write_number(&json, "estimate", reading.estimate);
    json_key(&json, "bound");
    json_begin_array(&json);
    json_write_rounded(&json, reading.lower, 6);
    json_write_rounded(&json, reading.upper, 6);
    json_end_array(&json);
    json_end_object(&json);
    puts(replay->out.bytes);
}

static void print_answer(struct replay *replay, const char *verdict)
{
    struct json_writer json;

    buffer_clear(&replay->out);
    json_init(&json, &replay->out);
    json_begin_object(&json);
    json_key(&json, "verdict");
    json_write_string(&json, verdict);
    write_number(&json, "t", replay->decision.t_s);
    json_key(&json, "why");
    json_write_string(&json, replay->decision.why);
    json_end_object(&json);
    puts(replay->out.bytes);
}

static enum serin_errc print_changes(struct replay *replay, struct serin_error *error)
{
    const int count = judge_reading_count(replay->judge);
    enum judge_verdict *more;
    int i;

    if (count > replay->told_count) {
        more = realloc(replay->told, (size_t)count * sizeof(*more));
        if (!more)
            return error_set(error, SERIN_NOMEM, "no memory for %d verdicts", count);
        memset(more + replay->told_count, 0, (size_t)(count - replay->told_count) * sizeof(*more));
        replay->told = more;
        replay->told_count = count;
    }
    for (i = 0; i < count; i++) {
        const enum judge_verdict verdict = judge_verdict(replay->judge, i);

        if (verdict == replay->told[i])
            continue;
        replay->told[i] = verdict;
        print_verdict(replay, i);
    }
    return buffer_check(&replay->out, "a verdict", error);
}

/* ---- reading ---- */

/* A line without its newline, whatever bytes it has: fgets would end it at a NUL. Of one that is too long no more is
 * read than it takes to know that. False: there is none. */
static bool read_line(struct replay *replay, char line[static RECORD_MAX_LINE + 1], size_t *ret_size)
{
    size_t size = 0;
    int c = EOF;

    while (size <= RECORD_MAX_LINE && (c = getc_unlocked(replay->file)) != EOF && c != '\n')
        line[size++] = (char)c;
    *ret_size = size;
    replay->line += size > 0 || c != EOF;
    return size > 0 || c != EOF;
}

/* What a line alone does not show: a step that the plan has not, and time that runs backwards, are another plan's file
 * or a damaged one, and an answer to either would be of nothing. */
static enum serin_errc check_record(const struct replay *replay, const struct record *record, struct serin_error *error)
{
    const int steps = replay->plan->judge.step_count;

    if (record->kind == RECORD_STEP && record->step >= steps)
        return error_set(error, SERIN_INVALID, "step: %d, and the plan's %d steps are 0 to %d", record->step, steps,
                         steps - 1);
    if (record->t_s < replay->t_s)
        return error_set(error, SERIN_INVALID, "t: %.6f s, and the record before is of %.6f s", record->t_s,
                         replay->t_s);
    return SERIN_OK;
}

/* The next record; *ret_end: there is none. */
static enum serin_errc next_record(struct replay *replay, struct record *ret, bool *ret_end, struct serin_error *error)
{
    char line[RECORD_MAX_LINE + 1];
    enum serin_errc rc;
    size_t size;

    do {
        *ret_end = !read_line(replay, line, &size);
        if (ferror(replay->file))
            return error_set(error, SERIN_IO, "%s: cannot be read", replay->name);
        if (*ret_end)
            return SERIN_OK;
    } while (size == 0);
    rc = record_read(line, size, ret, error);
    if (rc == SERIN_OK)
        rc = check_record(replay, ret, error);
    if (rc != SERIN_OK)
        return error_prefix(error, rc, "%s: line %zu", replay->name, replay->line);
    replay->t_s = ret->t_s;
    replay->records++;
    return SERIN_OK;
}

static enum serin_errc look(struct replay *replay, double t_s, struct serin_error *error)
{
    judge_look(replay->judge, t_s, &replay->decision);
    return print_changes(replay, error);
}

/* The first step with that share of the traffic. */
static int step_of_share(const struct plan *plan, double share)
{
    int i;

    for (i = 0; i + 1 < plan->judge.step_count; i++)
        if (plan->steps[i].weight_per_million >= share * 1e6 - .5)
            break;
    return i;
}

static enum serin_errc take(struct replay *replay, const struct record *record, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;

    if (record->kind == RECORD_LOOK)
        return look(replay, record->t_s, error);
    if (!replay->has_looks && record->t_s >= replay->next_look_s) {
        if (replay->next_look_s > 0)
            rc = look(replay, fmin(replay->next_look_s, record->t_s), error);
        replay->next_look_s = (floor(record->t_s / GRID_S) + 1) * GRID_S;
    }
    if (rc != SERIN_OK || replay->decision.answer == JUDGE_GO_BACK)
        return rc;
    if (!replay->has_steps && record->kind == RECORD_REQUEST &&
        (replay->step < 0 || step_of_share(replay->plan, record->share) > replay->step)) {
        struct record step = {.kind = RECORD_STEP, .t_s = record->t_s};

        step.step = replay->step = step_of_share(replay->plan, record->share);
        judge_add(replay->judge, &step);
    }
    judge_add(replay->judge, record);
    return SERIN_OK;
}

static enum serin_errc read_all(struct replay *replay, bool only_kinds, struct serin_error *error)
{
    struct record record = {.t_s = 0};
    enum serin_errc rc;
    bool end = false;

    rewind(replay->file);
    replay->line = replay->records = 0;
    replay->t_s = 0;
    for (;;) {
        rc = next_record(replay, &record, &end, error);
        if (rc != SERIN_OK || end)
            break;
        if (only_kinds) {
            replay->has_looks = replay->has_looks || record.kind == RECORD_LOOK;
            replay->has_steps = replay->has_steps || record.kind == RECORD_STEP;
            continue;
        }
        rc = take(replay, &record, error);
        if (rc != SERIN_OK || replay->decision.answer == JUDGE_GO_BACK || !terminal_flush())
            return rc;
    }
    if (rc == SERIN_OK && replay->records == 0)
        return error_set(error, SERIN_INVALID, "%s: no observation", replay->name);
    return rc == SERIN_OK && !only_kinds ? look(replay, record.t_s, error) : rc;
}

/* A pipe as a file, since it is read twice. */
static enum serin_errc copy_input(FILE *from, FILE **ret, struct serin_error *error)
{
    FILE *copy = tmpfile();
    unsigned long long total = 0;
    char bytes[65536];
    size_t size;

    if (!copy)
        return error_set(error, SERIN_IO, "no temporary file for what comes from stdin");
    while ((size = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        total += size;
        if (total > MAX_COPY || fwrite(bytes, 1, size, copy) != size) {
            fclose(copy);
            return error_set(error, SERIN_LIMIT, "stdin: %llu bytes could not be kept, the limit is %llu", total,
                             MAX_COPY);
        }
    }
    *ret = copy;
    return SERIN_OK;
}

static enum serin_errc open_input(const char *path, FILE **ret, struct serin_error *error)
{
    FILE *file;
    enum serin_errc rc;

    if (strcmp(path, "-") == 0)
        return copy_input(stdin, ret, error);
    file = fopen(path, "re");
    if (!file)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    if (fseek(file, 0, SEEK_END) == 0) {
        *ret = file;
        return SERIN_OK;
    }
    rc = copy_input(file, ret, error);
    fclose(file);
    return rc;
}

static int answer(struct replay *replay)
{
    switch (replay->decision.answer) {
    case JUDGE_GO_BACK:
        print_answer(replay, "rollback");
        return EXIT_ROLL_BACK;
    case JUDGE_PASS:
        print_answer(replay, "promote");
        return CLI_OK;
    default:
        print_answer(replay, "hold");
        return EXIT_HOLD;
    }
}

static int run(const void *given, char *const *operands, size_t operand_count)
{
    const struct judge_settings *settings = given;
    struct plan *plan = calloc(1, sizeof(*plan));
    struct replay replay = {.plan = plan, .name = operands[0], .step = -1};
    struct serin_error error;
    enum serin_errc rc;
    int code = CLI_FAILED;

    (void)operand_count;
    buffer_init(&replay.out, MAX_VERDICTS);
    if (!plan)
        rc = error_set(&error, SERIN_NOMEM, "no memory for a plan");
    else if (strcmp(settings->plan, "default") != 0)
        rc = plan_read_file(settings->plan, plan, &error);
    else {
        plan_init(plan);
        rc = SERIN_OK;
    }
    if (rc == SERIN_OK)
        rc = judge_new(&plan->judge, &replay.judge, &error);
    if (rc == SERIN_OK)
        rc = open_input(operands[0], &replay.file, &error);
    if (rc == SERIN_OK)
        rc = read_all(&replay, true, &error);
    if (rc == SERIN_OK)
        rc = read_all(&replay, false, &error);
    if (rc == SERIN_OK)
        code = answer(&replay);
    if (rc == SERIN_OK && !terminal_flush()) /* an answer that nobody was given is none */
        code = CLI_FAILED;
    if (rc != SERIN_OK) {
        terminal_complain("judge: %s", error.message);
        code = rc == SERIN_INVALID || rc == SERIN_LIMIT ? CLI_USAGE : CLI_FAILED;
    }
    if (replay.file)
        fclose(replay.file);
    judge_free(replay.judge);
    buffer_done(&replay.out);
    free(replay.told);
    free(plan);
    return code;
}

const struct cli_verb cli_judge = {
    .name = "judge",
    .summary = "judge recorded observations of two versions, offline",
    .operands = "OBSERVATIONS.ndjson",
    .min_operands = 1,
    .max_operands = 1,
    .text =
        "Reads observations, one JSON object a line ('-' is stdin), and asks the guards of a plan whether the canary "
        "does harm, does none, or is not known yet: the same tests, with the same answers to the last byte, as a "
        "running rollout takes. docs/internals/judge.md has the lines and the tests.\n\n"
        "Prints a line of JSON each time that a guard's verdict changes, in the whole or in one slice, with the "
        "estimate of canary against stable and its always-valid bounds; and at the end {\"verdict\", \"t\", \"why\"}. "
        "Reading stops at the first harm that goes back.\n\n"
        "A file of a rollout has its looks and steps in it. Where there are none, the judge looks each 100 ms of the "
        "records' own time, and takes the plan's first step with the share that the records have.\n\n"
        "The exit code is 0 for promote (all that the last step asks for is proven), 3 for rollback, 4 for hold. As "
        "always, 1 says that something failed, and 2 that what was given is wrong: the command line, the plan or a "
        "line.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct judge_settings),
    .run = run,
};
