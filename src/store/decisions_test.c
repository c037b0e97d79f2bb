/*
 * decisions_test.c - decisions come back as they were written, and any changed byte of the log is found.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "store/decisions.h"
#include "store/state_inside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_FILE "state.db"
#include "store/test_folder.h"

static struct state *open_state(void)
{
    struct serin_error error;
    struct state *state = NULL;

    assert_int_equal(state_open(path, &state, &error), SERIN_OK);
    return state;
}

static struct decision decision_of(const char *rollout, const char *event, const char *after)
{
    struct decision decision = {.time_ms = 1700000000123,
                                .rollout = rollout,
                                .model = "m",
                                .author = "judge",
                                .event = event,
                                .why = "missed objects rose",
                                .numbers = "{\"log_e\":9.5}",
                                .records = 1234567890123,
                                .state = after};

    memset(decision.records_hash, 0xa5, sizeof(decision.records_hash));
    return decision;
}

static void append(struct state *state, const char *rollout, const char *event, const char *after, const char *plan)
{
    struct decision decision = decision_of(rollout, event, after);
    struct serin_error error = {0};

    if (decisions_append(state, &decision, plan, &error) != SERIN_OK)
        fail_msg("%s", error.message);
}

static void append_some(struct state *state)
{
    append(state, "m-1", "start", "{\"step\":0}", "alpha: 0.05\n");
    append(state, "m-1", "ready", "{\"step\":1}", NULL);
    append(state, "m-2", "start", "{\"other\":0}", "alpha: 0.01\n");
    append(state, "m-1", "harm", "{\"step\":2}", NULL);
}

static char seen[4096];

static void note(void *user, const struct decision *row)
{
    struct decision expected = decision_of("", "", "");

    (void)user;
    assert_int_equal(row->time_ms, expected.time_ms);
    assert_int_equal(row->records, expected.records);
    assert_memory_equal(row->records_hash, expected.records_hash, DECISION_HASH_BYTES);
    assert_string_equal(row->numbers, expected.numbers);
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%d %s %s %s;", (int)row->number, row->rollout,
             row->event, row->state);
}

static void note_rollout(void *user, const struct stored_rollout *rollout)
{
    (void)user;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s %lld %s %s", rollout->id, (long long)rollout->number,
             rollout->json, rollout->plan_yaml);
}

static void comes_back_as_written(void **unused)
{
    struct state *state = open_state();
    struct serin_error error;
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;

    (void)unused;
    append_some(state);
    state_close(state);
    state = open_state();
    seen[0] = '\0';
    assert_int_equal(decisions_each(state, "m-1", note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "1 m-1 start {\"step\":0};2 m-1 ready {\"step\":1};4 m-1 harm {\"step\":2};");
    seen[0] = '\0';
    assert_int_equal(decisions_page(state, "m-1", 0, 2, 1 << 20, note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "2 m-1 ready {\"step\":1};4 m-1 harm {\"step\":2};");
    seen[0] = '\0';
    assert_int_equal(decisions_page(state, "m-1", 2, 2, 1 << 20, note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "1 m-1 start {\"step\":0};");
    seen[0] = '\0';
    assert_int_equal(decisions_page(state, "m-1", 1, 2, 1 << 20, note, NULL, &error), SERIN_OK);
    assert_int_equal(decisions_page(state, "m-1", 0, 10, 50, note, NULL, &error), SERIN_OK); /* bytes */
    assert_string_equal(seen, "4 m-1 harm {\"step\":2};");
    seen[0] = '\0';
    assert_int_equal(decisions_each_rollout(state, NULL, 10, note_rollout, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "m-2 3 {\"other\":0} alpha: 0.01\nm-1 4 {\"step\":2} alpha: 0.05\n");
    seen[0] = '\0';
    assert_int_equal(decisions_each_rollout(state, "none", 10, note_rollout, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "");
    assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    assert_int_equal(count, 4);
    state_close(state);
}

static void refuses_a_decision_without_a_rollout(void **unused)
{
    struct state *state = open_state();
    struct decision decision = decision_of("m-9", "ready", "{}");
    struct serin_error error;
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;

    (void)unused;
    assert_int_equal(decisions_append(state, &decision, NULL, &error), SERIN_NOT_FOUND);
    assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    assert_int_equal(count, 0);
    /* and one that is there already is not begun again */
    append(state, "m-1", "start", "{}", "");
    decision = decision_of("m-1", "start", "{}");
    assert_int_equal(decisions_append(state, &decision, "", &error), SERIN_IO);
    state_close(state);
}

/* Each change that somebody could make with the sqlite3 tool. */
static void finds_what_was_changed(void **unused)
{
    static const char *const changes[] = {
        "UPDATE decision SET why='missed objects fell' WHERE number=2",
        "UPDATE decision SET time_ms=time_ms+1 WHERE number=1",
        "UPDATE decision SET author='cli root' WHERE number=4",
        "UPDATE decision SET rollout='m-2' WHERE number=2",
        "UPDATE decision SET model=model||'' || ' ' WHERE number=3",
        "UPDATE decision SET event='proven' WHERE number=4",
        "UPDATE decision SET numbers='{}' WHERE number=1",
        "UPDATE decision SET records=records-1 WHERE number=1",
        "UPDATE decision SET records_hash=zeroblob(32) WHERE number=1",
        "UPDATE decision SET hash=zeroblob(32) WHERE number=4",
        "UPDATE decision SET why='missed objects', numbers=' rose{\"log_e\":9.5}' WHERE number=2",
        "DELETE FROM decision WHERE number=1",
        "DELETE FROM decision WHERE number=2",
        "DELETE FROM decision WHERE number=4",
        "UPDATE decision SET number=9 WHERE number=4",
        "UPDATE rollout SET json='{\"step\":3}' WHERE id='m-1'",
        ("UPDATE decision SET state='{\"step\":7}' WHERE number=4;"
         "UPDATE rollout SET json='{\"step\":7}' WHERE id='m-1'"),
    };
    struct state *state = open_state();
    struct serin_error error = {0};
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;
    size_t i;

    (void)unused;
    append_some(state);
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_int_equal(sqlite3_exec(state->db, "SAVEPOINT before", NULL, NULL, NULL), SQLITE_OK);
        if (sqlite3_exec(state->db, changes[i], NULL, NULL, NULL) != SQLITE_OK)
            fail_msg("%s: %s", changes[i], sqlite3_errmsg(state->db));
        if (decisions_verify(state, &count, last, &error) != SERIN_CORRUPT)
            fail_msg("not found: %s", changes[i]);
        assert_int_equal(sqlite3_exec(state->db, "ROLLBACK TO before; RELEASE before", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    }
    state_close(state);
}

static struct decision_fault found;
static char found_model[64];
static int found_count;

static void note_fault(void *user, const struct decision_fault *fault)
{
    (void)user;
    found = *fault;
    snprintf(found_model, sizeof(found_model), "%s", fault->model ? fault->model : "anybody");
    found_count++;
}

static int faults_of(struct state *state)
{
    uint8_t last[DECISION_HASH_BYTES];
    struct serin_error error;
    int64_t count;

    found_count = 0;
    assert_int_equal(decisions_check(state, note_fault, NULL, &count, last, &error), SERIN_OK);
    return found_count;
}

static void check_one_fault(struct state *state, const char *change, const char *found_hash)
{
    char hash[2 * DECISION_HASH_BYTES + 1];

    assert_int_equal(sqlite3_exec(state->db, change, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(faults_of(state), 1);
    assert_int_equal(found.number, 1);
    assert_string_equal(found_model, "m");
    text_hex(found.found, DECISION_HASH_BYTES, hash);
    assert_memory_equal(hash, found_hash, strlen(found_hash));
}

static void a_plan_that_was_exchanged_is_found(void **unused)
{
    /* SHA-256 of "alpha: 0.05\n" and of "alpha: 0.5\n", by sha256sum */
    static const char of_start[] =
        "{\"plan_sha256\":\"d4a561fbed1b04397fa84e34b1a3ad51401a8199e0fe04163b2de6e5ec584562\"}";
    static const char of_other[] = "8674959cd5944054ae50c0bc96d899827df7148d35b9a2a062e3883fee4478ce";
    struct state *state = open_state();
    struct decision repair = decision_of("m-1", DECISION_REPAIR, of_start);
    struct serin_error error;
    char numbers[128];

    (void)unused;
    append(state, "m-1", DECISION_START, of_start, "alpha: 0.05\n");
    append(state, "m-2", DECISION_START, "{}", "of an older program, which kept no digest");
    assert_int_equal(faults_of(state), 0);
    check_one_fault(state, "UPDATE rollout SET plan='alpha: 0.5' || char(10) WHERE id='m-1'", of_other);
    snprintf(numbers, sizeof(numbers), "{\"accepted\":[{\"number\":1,\"hash\":\"%s\"}]}", of_other);
    repair.numbers = numbers;
    assert_int_equal(decisions_append(state, &repair, NULL, &error), SERIN_OK);
    assert_int_equal(faults_of(state), 0);
    check_one_fault(state, "UPDATE rollout SET plan='' WHERE id='m-1'", "e3b0c442"); /* of nothing */
    check_one_fault(state, "PRAGMA foreign_keys=OFF; DELETE FROM rollout WHERE id='m-1'", "00000000");
    state_close(state);
}

/* A person accepts a changed row as it stands; another change of it is found again. */
static void a_repair_accepts_what_is_there_and_no_more(void **unused)
{
    struct state *state = open_state();
    struct decision repair = decision_of("m-1", DECISION_REPAIR, "{}");
    char numbers[256], hash[2 * DECISION_HASH_BYTES + 1];
    struct serin_error error;

    (void)unused;
    append_some(state);
    assert_int_equal(faults_of(state), 0);
    assert_int_equal(sqlite3_exec(state->db, "UPDATE decision SET why='x' WHERE number=2", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(faults_of(state), 1);
    assert_int_equal(found.number, 2);
    assert_string_equal(found_model, "m");
    text_hex(found.found, DECISION_HASH_BYTES, hash);
    snprintf(numbers, sizeof(numbers), "{\"accepted\":[{\"number\":2,\"hash\":\"%s\"}]}", hash);
    repair.numbers = numbers;
    assert_int_equal(decisions_append(state, &repair, NULL, &error), SERIN_OK);
    assert_int_equal(faults_of(state), 0);
    assert_int_equal(sqlite3_exec(state->db, "UPDATE decision SET why='y' WHERE number=2", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(faults_of(state), 1);
    /* A repair that was itself changed accepts nothing. */
    assert_int_equal(sqlite3_exec(state->db,
                                  "UPDATE decision SET why='x' WHERE number=2;"
                                  "UPDATE decision SET author='z' WHERE number=5",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(faults_of(state), 2);
    /* Whose a row was that is gone, or says another model than its rollout, nobody can tell. */
    assert_int_equal(sqlite3_exec(state->db, "UPDATE decision SET model='n' WHERE number=5", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(state->db, "UPDATE decision SET number=7 WHERE number=5", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(state->db, "UPDATE decision SET why='missed objects rose' WHERE number=2", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(faults_of(state), 3); /* 5 is missing, 7 is changed, and the state is not that of m's last */
    state_close(state);
}

/* What does not fit is not there at all, and what comes later fits to what was there before. */
static void a_full_disk_loses_nothing_that_was_told(void **unused)
{
    struct state *state = open_state();
    struct decision decision = decision_of("m-1", "ready", "{\"step\":3}");
    char *numbers = malloc(1 << 20);
    struct serin_error error;
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;

    (void)unused;
    assert_non_null(numbers);
    snprintf(numbers, 1 << 20, "{\"x\":\"%0900000d\"}", 7);
    append_some(state);
    assert_int_equal(sqlite3_exec(state->db, "PRAGMA max_page_count=60", NULL, NULL, NULL), SQLITE_OK);
    decision.numbers = numbers;
    assert_int_equal(decisions_append(state, &decision, NULL, &error), SERIN_IO);
    assert_non_null(strstr(error.message, "full"));
    assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    assert_int_equal(count, 4);
    assert_int_equal(sqlite3_exec(state->db, "PRAGMA max_page_count=100000", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(decisions_append(state, &decision, NULL, &error), SERIN_OK);
    assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    assert_int_equal(count, 5);
    free(numbers);
    state_close(state);
}

/* A process that appends as fast as it can is killed; what it was told is there, and the chain fits. */
static void survives_a_kill(void **unused)
{
    int round;

    (void)unused;
    state_close(open_state());
    for (round = 0; round < 10; round++) {
        struct serin_error error = {.message = ""};
        struct state *state;
        uint8_t last[DECISION_HASH_BYTES];
        int64_t count, told = 0;
        int ends[2], status;
        pid_t child;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        if (child == 0) {
            int64_t number = 0;

            state = open_state();
            for (;;) {
                char id[32];
                struct decision decision;

                snprintf(id, sizeof(id), "r-%d-%lld", round, (long long)number++);
                decision = decision_of(id, "start", "{}");
                if (decisions_append(state, &decision, "plan", &error) != SERIN_OK ||
                    write(ends[1], &decision.number, sizeof(decision.number)) != sizeof(decision.number))
                    _exit(1);
            }
        }
        close(ends[1]);
        while (told < round * 5 + 3)
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(ends[0], &told, sizeof(told)) == sizeof(told))
            ;
        close(ends[0]);
        state = open_state();
        if (decisions_verify(state, &count, last, &error) != SERIN_OK)
            fail_msg("%s", error.message);
        assert_true(count >= told && count <= told + 1);
        state_close(state);
    }
}

/* A file of the first schema, as the program before this one left it. */
static void brings_up_an_older_file(void **unused)
{
    struct state *state = open_state();
    struct serin_error error;
    uint8_t last[DECISION_HASH_BYTES];
    int64_t count;

    (void)unused;
    assert_int_equal(state_put_route(state, "m", "{}", NULL, NULL, "t", &error), SERIN_OK);
    assert_int_equal(
        sqlite3_exec(
            state->db,
            "DROP TABLE freeze; DROP TABLE token; DROP TABLE decision; DROP TABLE rollout; PRAGMA user_version=1", NULL,
            NULL, NULL),
        SQLITE_OK);
    state_close(state);
    state = open_state();
    append_some(state);
    assert_int_equal(decisions_verify(state, &count, last, &error), SERIN_OK);
    assert_int_equal(count, 4);
    state_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_as_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_a_decision_without_a_rollout, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_plan_that_was_exchanged_is_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(finds_what_was_changed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_repair_accepts_what_is_there_and_no_more, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_nothing_that_was_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(survives_a_kill, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(brings_up_an_older_file, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
