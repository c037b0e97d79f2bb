/*
 * state_test.c - what was written is there again, after a crash too; what is not ours is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/state.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_FILE "state.db"
#include "store/test_folder.h"

static char seen[4096];

static void note_route(void *user, const char *model, const char *json)
{
    (void)user;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s;", model, json);
}

static void note_serving(void *user, const struct state_serving *serving)
{
    (void)user;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s x%d %s;", serving->name, serving->replicas,
             serving->url);
}

static void note_change(void *user, const struct state_change *change)
{
    (void)user;
    assert_true(change->time_ms > 1600000000000);
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%lld %s %s %s;", (long long)change->number,
             change->author, change->what, change->detail);
}

static struct state *open_state(void)
{
    struct serin_error error;
    struct state *state = NULL;

    if (state_open(path, &state, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return state;
}

static void others_cannot_read_it(void **unused)
{
    struct state *state;
    struct stat about;
    char log[300];
    int i;

    (void)unused;
    for (i = 0; i < 2; i++) { /* made, and found with another mode */
        state = open_state();
        assert_int_equal(state_put_route(state, "m", "{}", NULL, NULL, "cli ann", NULL), SERIN_OK);
        assert_int_equal(stat(path, &about), 0);
        assert_int_equal(about.st_mode & 07, 0);
        snprintf(log, sizeof(log), "%s-wal", path);
        assert_int_equal(stat(log, &about), 0);
        assert_int_equal(about.st_mode & 07, 0);
        state_close(state);
        assert_int_equal(chmod(path, 0644), 0);
    }
}

static void everything_comes_back(void **unused)
{
    const struct state_serving serving = {"m:v1", 2, ""}, other = {"m:v2", 0, "http://127.0.0.1:9000"};
    struct state *state = open_state();

    (void)unused;
    assert_int_equal(state_put_route(state, "m", "{\"a\":1}", NULL, NULL, "cli ann", NULL), SERIN_OK);
    assert_int_equal(state_put_route(state, "a", "{}", NULL, NULL, "cli ann", NULL), SERIN_OK);
    assert_int_equal(state_put_route(state, "m", "{\"a\":2}", &other, NULL, "cli bob", NULL), SERIN_OK);
    assert_int_equal(state_put_route(state, "m", "{\"a\":3}", &serving, NULL, "cli ann", NULL), SERIN_OK);
    state_close(state);
    state = open_state();
    seen[0] = '\0';
    assert_int_equal(state_each_route(state, note_route, NULL, NULL), SERIN_OK);
    assert_int_equal(state_each_serving(state, note_serving, NULL, NULL), SERIN_OK);
    assert_string_equal(seen, "a={};m={\"a\":3};m:v1 x2 ;m:v2 x0 http://127.0.0.1:9000;");
    seen[0] = '\0';
    assert_int_equal(state_remove_route(state, "a", "cli bob", NULL), SERIN_OK);
    assert_int_equal(state_each_change(state, 3, note_change, NULL, NULL), SERIN_OK);
    assert_string_equal(seen,
                        "7 cli bob route removed a;6 cli ann route {\"a\":3};5 cli ann serving m:v1 replicas=2 url=;");
    seen[0] = '\0';
    assert_int_equal(state_put_route(state, "m", "{\"a\":4}", NULL, "m:v1", "cli bob", NULL), SERIN_OK);
    assert_int_equal(state_each_serving(state, note_serving, NULL, NULL), SERIN_OK);
    assert_int_equal(state_each_change(state, 2, note_change, NULL, NULL), SERIN_OK);
    assert_string_equal(seen,
                        "m:v2 x0 http://127.0.0.1:9000;9 cli bob route {\"a\":4};8 cli bob serving removed m:v1;");
    state_close(state);
}

/* A child writes numbered routes, each with what serves it, and is killed; what it had been told was written must be
 * there, and never one without the other. */
static void killed_writers_lose_nothing(void **unused)
{
    int round;

    (void)unused;
    for (round = 0; round < 10; round++) {
        int pipe_ends[2], last = -1, number, replicas;
        struct state_serving serving = {"k:v", 0, ""};
        char json[32];
        pid_t child;
        struct state *state;

        assert_int_equal(pipe(pipe_ends), 0);
        child = fork();
        if (child == 0) {
            close(pipe_ends[0]);
            if (state_open(path, &state, NULL) != SERIN_OK)
                _exit(1);
            for (number = 0;; number++) {
                snprintf(json, sizeof(json), "{\"n\":%d}", number);
                serving.replicas = number;
                if (state_put_route(state, "k", json, &serving, NULL, "child", NULL) != SERIN_OK ||
                    write(pipe_ends[1], &number, sizeof(number)) != (ssize_t)sizeof(number))
                    _exit(2);
            }
        }
        close(pipe_ends[1]);
        while (read(pipe_ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number)) {
            last = number;
            if (number == 5 + round) {
                kill(child, SIGKILL);
                break;
            }
        }
        while (read(pipe_ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
            last = number;
        waitpid(child, NULL, 0);
        close(pipe_ends[0]);
        state = open_state();
        seen[0] = '\0';
        assert_int_equal(state_each_route(state, note_route, NULL, NULL), SERIN_OK);
        assert_int_equal(sscanf(strstr(seen, "k={\"n\":"), "k={\"n\":%d}", &number), 1);
        assert_true(number == last || number == last + 1);
        assert_int_equal(state_each_serving(state, note_serving, NULL, NULL), SERIN_OK);
        assert_int_equal(sscanf(strstr(seen, "k:v x"), "k:v x%d", &replicas), 1);
        assert_int_equal(replicas, number);
        state_close(state);
    }
}

static void what_is_not_ours_is_refused(void **unused)
{
    struct state *state = NULL;
    struct serin_error error;
    FILE *file = fopen(path, "w");

    (void)unused;
    assert_non_null(file);
    fputs("this is no database, and longer than a hundred bytes so that nobody takes it for an empty one: "
          "............................................................",
          file);
    fclose(file);
    assert_int_equal(state_open(path, &state, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "state.db"));
    remove(path);
    state = open_state();
    assert_int_equal(state_execute(state, "PRAGMA user_version=99", "", NULL), SERIN_OK);
    state_close(state);
    assert_int_equal(state_open(path, &state, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "its version is 99"));
    assert_int_equal(state_open("/nonexistent/state.db", &state, &error), SERIN_IO);
}

/* Who waits in vain does not wait again at once: the handler is asked by SQLite as it would be by a lock. */
static void a_lock_is_waited_for_once(void **unused)
{
    struct state *state = open_state(), *other = open_state();

    (void)unused;
    assert_int_equal(state->patience_ms, PATIENCE_MS);
    state_hurry(state);
    assert_int_equal(state_execute(other, "BEGIN IMMEDIATE", "", NULL), SERIN_OK);
    assert_int_equal(state_note(state, "me", "what", "", NULL), SERIN_IO);
    assert_true(state->in_vain_until_ms > 0);
    state->in_vain_until_ms = UINT64_MAX; /* the clock stands */
    assert_int_equal(wait_for_lock(state, 0), 0);
    assert_int_equal(state_execute(other, "COMMIT", "", NULL), SERIN_OK);
    assert_int_equal(state_note(state, "me", "what", "", NULL), SERIN_OK); /* and what is free is taken */
    state->in_vain_until_ms = 0;
    assert_int_equal(wait_for_lock(state, 0), 1);
    state_close(other);
    state_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(others_cannot_read_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(everything_comes_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(killed_writers_lose_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_lock_is_waited_for_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_not_ours_is_refused, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
