/*
 * process_test.c - replicas that live and die on a real loop; what this kernel forbids is said and passed over.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The program is its own worker ("fake"), and its own server that is killed ("server").
 */
#include "runtime/process.c"

#include "runtime/fake_worker.h"

#include <poll.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cmocka.h>

#define DEADLINE_MS 60000 /* a test that hangs fails; nothing waits for it otherwise */
#define MAX_TEXT    (1 << 20)

static char self[4096];

struct fixture {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64], socket[128];
    struct replica *replica;
    struct replica_spec spec;
    const char *arguments[24];
    int seen[REPLICA_STOPPED + 1]; /* how often each state was announced */
    char states[8192];             /* "starting: started\nbackoff: ..." */
    char *log;
    size_t log_size;
    int lines, longest;
    enum replica_state stop_at;
    bool stop_set;
};

static void state_changed(void *user, struct replica *replica, enum replica_state state, const char *why)
{
    struct fixture *fixture = user;
    size_t used = strlen(fixture->states);

    snprintf(fixture->states + used, sizeof(fixture->states) - used, "%s: %s\n", replica_state_text(state), why);
    assert_int_equal(runtime_process.state(replica), state);
    fixture->seen[state]++;
    if (state == REPLICA_STOPPED)
        fixture->replica = NULL;
    if (fixture->stop_set && fixture->stop_at == state)
        runtime_process.stop(replica);
}

static void logged(void *user, struct replica *replica, const char *line)
{
    struct fixture *fixture = user;
    size_t length = strlen(line);

    (void)replica;
    fixture->lines++;
    if ((int)length > fixture->longest)
        fixture->longest = (int)length;
    if (fixture->log_size + length + 2 < MAX_TEXT && line[0] != 'x') {
        memcpy(fixture->log + fixture->log_size, line, length);
        fixture->log[fixture->log_size + length] = '\n';
        fixture->log_size += length + 1;
        fixture->log[fixture->log_size] = '\0';
    }
}

static void too_late(uv_timer_t *timer)
{
    struct fixture *fixture = timer->data;

    fail_msg("nothing came of it within %d ms\nstates:\n%slog:\n%s", DEADLINE_MS, fixture->states, fixture->log);
}

static void setup(struct fixture *fixture, const char *const *verbs)
{
    int i = 0;

    memset(fixture, 0, sizeof(*fixture));
    fixture->log = calloc(1, MAX_TEXT);
    assert_non_null(fixture->log);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    uv_timer_init(&fixture->loop, &fixture->deadline);
    fixture->deadline.data = fixture;
    uv_timer_start(&fixture->deadline, too_late, DEADLINE_MS, 0);
    uv_unref((uv_handle_t *)&fixture->deadline);
    strcpy(fixture->dir, "/tmp/serin-runtime-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->socket, sizeof(fixture->socket), "%s/w.sock", fixture->dir);
    fixture->arguments[i++] = "fake";
    fixture->arguments[i++] = fixture->socket;
    while (*verbs)
        fixture->arguments[i++] = *verbs++;
    fixture->spec = (struct replica_spec){.label = "street:v1.0.0-cpu#0",
                                          .program = self,
                                          .arguments = fixture->arguments,
                                          .run_dir = fixture->dir,
                                          .socket_path = fixture->socket,
                                          .gpu = -1,
                                          .max_restarts = -1};
}

#define SETUP(fixture, ...) setup(fixture, (const char *const[]){__VA_ARGS__, NULL})

static void start(struct fixture *fixture)
{
    struct replica_callbacks callbacks = {state_changed, logged, fixture};
    struct serin_error error;

    if (runtime_process.start(&fixture->loop, &fixture->spec, &callbacks, &fixture->replica, &error) != SERIN_OK)
        fail_msg("%s", error.message);
}

static void await(struct fixture *fixture, enum replica_state state, int times)
{
    while (fixture->seen[state] < times)
        if (!uv_run(&fixture->loop, UV_RUN_ONCE) && fixture->seen[state] < times)
            fail_msg("the loop ended without '%s'\nstates:\n%slog:\n%s", replica_state_text(state), fixture->states,
                     fixture->log);
}

static void await_line(struct fixture *fixture, const char *text)
{
    while (!strstr(fixture->log, text))
        if (!uv_run(&fixture->loop, UV_RUN_ONCE) && !strstr(fixture->log, text))
            fail_msg("the loop ended without '%s'\nstates:\n%slog:\n%s", text, fixture->states, fixture->log);
}

static void stop(struct fixture *fixture)
{
    if (fixture->replica) {
        runtime_process.stop(fixture->replica);
        if (fixture->replica)
            runtime_process.stop(fixture->replica); /* twice is once */
        await(fixture, REPLICA_STOPPED, 1);
    }
}

/* Stops it, and nothing may be left: no handle, no file, no group. */
static void teardown(struct fixture *fixture)
{
    stop(fixture);
    assert_int_equal(access(fixture->socket, F_OK), -1);
    assert_int_equal(fixture->seen[REPLICA_STOPPED], 1);
    uv_close((uv_handle_t *)&fixture->deadline, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    assert_int_equal(rmdir(fixture->dir), 0);
    free(fixture->log);
}

#define assert_has(text, part)                                                                                         \
    do {                                                                                                               \
        if (!strstr(text, part))                                                                                       \
            fail_msg("'%s' is not in:\n%s", part, text);                                                               \
    } while (0)

#define assert_has_not(text, part)                                                                                     \
    do {                                                                                                               \
        if (strstr(text, part))                                                                                        \
            fail_msg("'%s' is in:\n%s", part, text);                                                                   \
    } while (0)

/* ---- life ---- */

static void it_becomes_ready_and_drains(void **state)
{
    struct fixture fixture;
    struct replica_usage usage;
    char endpoint[160];

    (void)state;
    SETUP(&fixture, "ready");
    start(&fixture);
    assert_string_equal(fixture.states, ""); /* callbacks only follow */
    await(&fixture, REPLICA_READY, 1);
    snprintf(endpoint, sizeof(endpoint), "unix:%s", fixture.socket);
    assert_string_equal(runtime_process.endpoint(fixture.replica), endpoint);
    runtime_process.usage(fixture.replica, &usage);
    assert_true(usage.pid > 1);
    assert_true(usage.resident_bytes > 0 && usage.peak_bytes >= usage.resident_bytes);
    assert_true(usage.cpu_seconds >= 0);
    assert_int_equal(usage.restarts, 0);
    stop(&fixture);
    assert_has(fixture.states, "starting: started\nready: ready after ");
    assert_has(fixture.states, "draining: asked to end, within 10000 ms\nstopped: exited with status 0\n");
    assert_has(fixture.log, "drained\n");
    teardown(&fixture);
}

static void what_crashes_waits_longer_each_time_and_fails(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "crash");
    fixture.spec.max_restarts = 2;
    start(&fixture);
    await(&fixture, REPLICA_FAILED, 1);
    assert_string_equal(fixture.states,
                        "starting: started\n"
                        "backoff: exited with status 3; its last line: going down; started again in 100 ms\n"
                        "starting: started again\n"
                        "backoff: exited with status 3; its last line: going down; started again in 200 ms\n"
                        "starting: started again\n"
                        "failed: exited with status 3; its last line: going down (after 3 starts)\n");
    teardown(&fixture);
    assert_has(fixture.states, "\nstopped: exited with status 3");
}

static void what_dies_is_started_again(void **state)
{
    struct fixture fixture;
    struct replica_usage usage;

    (void)state;
    SETUP(&fixture, "ready");
    fixture.spec.max_restarts = 1;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    runtime_process.usage(fixture.replica, &usage);
    kill(usage.pid, SIGKILL);
    await(&fixture, REPLICA_READY, 2);
    runtime_process.usage(fixture.replica, &usage);
    kill(usage.pid, SIGKILL);
    await(&fixture, REPLICA_READY, 3); /* it was ready in between: no failure counts */
    runtime_process.usage(fixture.replica, &usage);
    assert_int_equal(usage.restarts, 2);
    assert_has(fixture.states, "backoff: was killed by signal 9 (Killed); started again in 100 ms\n");
    assert_has(fixture.states, "backoff: was killed by signal 9 (Killed); started again in 200 ms\n");
    teardown(&fixture);
}

static void a_minute_of_readiness_makes_waits_short_again(void **state)
{
    struct fixture fixture;
    int lives;

    (void)state;
    SETUP(&fixture, "ready");
    fixture.spec.max_restarts = 1;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    fixture.replica->backoff_ms = 200;
    for (lives = 1; lives <= 2; lives++) {
        if (lives == 2)
            fixture.replica->ready_ms -= BACKOFF_FORGOTTEN_MS;
        kill(fixture.replica->pid, SIGKILL);
        await(&fixture, REPLICA_READY, lives + 1);
    }
    assert_has(fixture.states, "started again in 200 ms\n");
    assert_has(fixture.states, "started again in 100 ms\n");
    fixture.replica->backoff_ms = 8000;
    kill(fixture.replica->pid, SIGKILL);
    await(&fixture, REPLICA_BACKOFF, 3);
    assert_has(fixture.states, "started again in 8000 ms\n");
    assert_int_equal(fixture.replica->backoff_ms, BACKOFF_MOST_MS);
    teardown(&fixture); /* in the middle of the wait */
}

static void unready_is_not_ready(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "unready");
    fixture.spec.ready_timeout_ms = 400;
    start(&fixture);
    await(&fixture, REPLICA_FAILED, 1);
    assert_int_equal(fixture.seen[REPLICA_READY], 0);
    assert_has(fixture.states, "failed: was not ready in time (after 1 start)\n");
    teardown(&fixture);
}

static void what_ignores_sigterm_is_killed(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "deaf", "ready");
    fixture.spec.drain_timeout_ms = 200;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    teardown(&fixture);
    assert_has(fixture.states, "stopped: was killed: it had not ended in time after SIGTERM\n");
}

static void stopping_is_possible_in_every_state(void **state)
{
    static const enum replica_state states[] = {REPLICA_STARTING, REPLICA_BACKOFF, REPLICA_FAILED, REPLICA_DRAINING};
    struct fixture fixture;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) { /* in the callback of a state */
        SETUP(&fixture, "crash");
        fixture.spec.max_restarts = 1;
        fixture.stop_at = states[i];
        fixture.stop_set = states[i] != REPLICA_DRAINING;
        start(&fixture);
        if (fixture.stop_set)
            await(&fixture, REPLICA_STOPPED, 1);
        else
            stop(&fixture); /* before the loop has run at all */
        teardown(&fixture);
    }
    SETUP(&fixture, "hang"); /* it runs, and is not ready: nothing to drain */
    start(&fixture);
    await(&fixture, REPLICA_STARTING, 1);
    teardown(&fixture);
    assert_has(fixture.states, "stopped: was stopped before it was ready\n");
}

static void what_cannot_be_started_says_why(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "ready");
    fixture.spec.program = "/nowhere/serin";
    start(&fixture);
    await(&fixture, REPLICA_FAILED, 1);
    assert_has(fixture.states, "failed: /nowhere/serin did not start: executing the program: No such file");
    teardown(&fixture);
}

static void bad_specifications_are_refused(void **state)
{
    struct replica_callbacks callbacks = {0};
    struct fixture fixture;
    struct serin_error error;
    struct replica *replica = NULL;
    struct replica_spec spec;
    char path[200];
    int core = -1;

    (void)state;
    SETUP(&fixture, "ready");
#define REFUSED(code, sentence)                                                                                        \
    do {                                                                                                               \
        assert_int_equal(runtime_process.start(&fixture.loop, &spec, &callbacks, &replica, &error), code);             \
        assert_has(error.message, sentence);                                                                           \
        assert_null(replica);                                                                                          \
        spec = fixture.spec;                                                                                           \
    } while (0)
    spec = fixture.spec;
    memset(path, 'y', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    spec.socket_path = path;
    REFUSED(SERIN_LIMIT, "the socket's path has 199 bytes, the limit is 107");
    spec.socket_path = "/tmp/elsewhere.sock";
    REFUSED(SERIN_INVALID, "does not lie in the run_dir");
    spec.program = "serin";
    REFUSED(SERIN_INVALID, "not an absolute path");
    spec.cpus = -1;
    REFUSED(SERIN_INVALID, "cpus is -1");
    spec.pinned_cpus = &core;
    spec.pinned_count = 1;
    REFUSED(SERIN_INVALID, "pinned to core -1");
    spec.gpu = -2;
    REFUSED(SERIN_INVALID, "gpu is -2");
    spec.label = NULL;
    REFUSED(SERIN_INVALID, "needs a label");
    spec.run_dir = "/dev/null";
    spec.socket_path = "/dev/null/w.sock";
    REFUSED(SERIN_INVALID, "/dev/null is not a folder of ours");
    fixture.seen[REPLICA_STOPPED] = 1;
    teardown(&fixture);
}

static void a_stale_socket_is_removed(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture fixture;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    SETUP(&fixture, "ready");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    teardown(&fixture);
}

static void a_flood_of_lines_is_bounded(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "flood", "ready");
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    stop(&fixture);
    assert_has(fixture.log, "lines were dropped, the limit is 1000 a second)");
    assert_true(fixture.lines < 8192);
    assert_true(fixture.longest <= LOG_LINE_BYTES);
    teardown(&fixture);
}

/* ---- the sandbox ---- */

static bool features_missing(unsigned wanted)
{
    if ((sandbox_features() & wanted) == wanted)
        return false;
    print_message("skipped: this kernel or container forbids it\n");
    return true;
}

static void it_has_no_privileges(void **state)
{
    struct fixture fixture;
    const unsigned features = sandbox_features();

    (void)state;
    setenv("SERIN_TEST_SECRET", "hush", 1);
    SETUP(&fixture, "environment", "status", "ready");
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    assert_has(fixture.log, "CapEff:\t0000000000000000\n");
    assert_has(fixture.log, "CapPrm:\t0000000000000000\n");
    assert_has(fixture.log, "NoNewPrivs:\t1\n");
    assert_has(fixture.log, "descriptors: 3\n");
    assert_has_not(fixture.log, "hush");
    assert_has(fixture.log, "env CUDA_VISIBLE_DEVICES=-1\n");
    if (features & SANDBOX_SYSCALL_FILTER)
        assert_has(fixture.log, "Seccomp:\t2\n");
    teardown(&fixture);
}

static void it_has_no_network_and_no_children(void **state)
{
    struct fixture fixture;
    int gpu;

    (void)state;
    if (features_missing(SANDBOX_SYSCALL_FILTER))
        return;
    for (gpu = -1; gpu <= 0; gpu++) {
        if (gpu >= 0 && gpu_count() == 0)
            continue; /* NVML is here, and counts none */
        SETUP(&fixture, "inet", "reach", "fork", "ready");
        fixture.spec.gpu = gpu;
        start(&fixture);
        await(&fixture, REPLICA_READY, 1);
        assert_has(fixture.log, "inet: Operation not permitted\n");
        assert_has(fixture.log, "datagram: Operation not permitted\n");
        assert_has(fixture.log, "fork: Operation not permitted\n");
        /* where there is a GPU it may ask CUDA's services; nothing listens there yet */
        assert_has(fixture.log,
                   gpu < 0 ? "connect: Operation not permitted\n" : "connect: No such file or directory\n");
        teardown(&fixture);
    }
}

static void forbidden_calls_end_it(void **state)
{
    static const char *const calls[] = {"ptrace", "mount"};
    struct fixture fixture;
    size_t i;

    (void)state;
    if (features_missing(SANDBOX_SYSCALL_FILTER))
        return;
    for (i = 0; i < 2; i++) {
        SETUP(&fixture, calls[i], "ready");
        start(&fixture);
        await(&fixture, REPLICA_FAILED, 1);
        assert_has(fixture.states, "failed: was killed for a forbidden system call (signal 31)");
        teardown(&fixture);
    }
}

static void it_sees_only_itself(void **state)
{
    struct fixture fixture;

    (void)state;
    if (features_missing(SANDBOX_PROCESSES | SANDBOX_NETWORK))
        return;
    SETUP(&fixture, "status", "fault");
    start(&fixture);
    await(&fixture, REPLICA_FAILED, 1);
    assert_has(fixture.log, "processes seen: 1\n");
    assert_has(fixture.states, "was killed by signal 11 (Segmentation fault, or abort)");
    teardown(&fixture);
}

static void it_touches_its_own_files_only(void **state)
{
    struct fixture fixture;
    char inside[128], beside[] = "/tmp/serin-beside-XXXXXX", line[256];
    int fd;
    const char *readable[] = {beside, NULL};

    (void)state;
    if (features_missing(SANDBOX_FILES))
        return;
    fd = mkstemp(beside);
    assert_true(fd >= 0);
    close(fd);
    SETUP(&fixture, "touch", inside, "touch", beside, "look", beside, "look", "/etc/shadow", "look", "/usr/bin/env",
          "look", "/proc/cpuinfo", "ready");
    snprintf(inside, sizeof(inside), "%s/file", fixture.dir);
    fixture.spec.readable = readable;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    snprintf(line, sizeof(line), "write %s: done\n", inside);
    assert_has(fixture.log, line);
    snprintf(line, sizeof(line), "write %s: Permission denied\n", beside);
    assert_has(fixture.log, line);
    snprintf(line, sizeof(line), "read %s: done\n", beside);
    assert_has(fixture.log, line);
    assert_has(fixture.log, "read /etc/shadow: Permission denied\n");
    assert_has(fixture.log, "read /usr/bin/env: done\n");
    assert_has(fixture.log, "read /proc/cpuinfo: done\n"); /* which lies in a mount of its own */
    unlink(inside);
    unlink(beside);
    teardown(&fixture);
}

static void it_runs_on_its_cores(void **state)
{
    struct fixture fixture;
    struct replica_usage usage;
    char path[64], text[8192], wanted[64];
    cpu_set_t allowed;
    int core = CPU_SETSIZE - 1;
    FILE *file;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    while (core > 0 && !CPU_ISSET(core, &allowed))
        core--;
    SETUP(&fixture, "ready");
    fixture.spec.pinned_cpus = &core;
    fixture.spec.pinned_count = 1;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    runtime_process.usage(fixture.replica, &usage);
    snprintf(path, sizeof(path), "/proc/%d/status", usage.pid);
    file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    snprintf(wanted, sizeof(wanted), "Cpus_allowed_list:\t%d\n", core);
    assert_has(text, wanted);
    teardown(&fixture);
}

/* ---- limits ---- */

static void too_much_memory_ends_it(void **state)
{
    struct fixture fixture;

    (void)state;
    SETUP(&fixture, "eat", "ready");
    fixture.spec.memory_bytes = 64 << 20;
    start(&fixture);
    if (limits_cgroup_version(LIMITS_MEMORY)) {
        await(&fixture, REPLICA_FAILED, 1);
        assert_has(fixture.states, "failed: was killed for memory at 64 MiB");
    } else {
        print_message("no memory cgroup here: RLIMIT_DATA instead\n");
        await_line(&fixture, "eaten: ");
        assert_has_not(fixture.log, "eaten: 1024 MiB");
    }
    teardown(&fixture);
}

static void the_processor_limit_is_set(void **state)
{
    struct fixture fixture;
    char text[64];

    (void)state;
    if (!limits_cgroup_version(LIMITS_CPU)) {
        print_message("skipped: no cpu cgroup can be made here\n");
        return;
    }
    SETUP(&fixture, "ready");
    fixture.spec.cpus = 1.5;
    start(&fixture);
    await(&fixture, REPLICA_READY, 1);
    {
        const char *folder = fixture.replica->group.paths[LIMITS_CPU];
        const bool first = limits_cgroup_version(LIMITS_CPU) == 1;
        char path[640];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", folder, first ? "cpu.cfs_quota_us" : "cpu.max");
        file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof(text), file));
        fclose(file);
        assert_string_equal(text, first ? "150000\n" : "150000 100000\n");
        snprintf(path, sizeof(path), "%s", folder);
        teardown(&fixture);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* ---- the server dies ---- */

struct server {
    struct fixture fixtures[2];
    int ready;
};

/* "server DIR": two replicas, their ids on stdout once they are ready, and then it waits to be killed. */
static _Noreturn void server_main(void)
{
    static struct server server;
    struct replica_usage usage;
    int i;

    for (i = 0; i < 2; i++) {
        struct fixture *fixture = &server.fixtures[i];

        SETUP(fixture, "deaf", "ready");
        fixture->spec.memory_bytes = 256 << 20;
        start(fixture);
        await(fixture, REPLICA_READY, 1);
        runtime_process.usage(fixture->replica, &usage);
        printf("%d %s %s\n", usage.pid, fixture->dir,
               fixture->replica->group.paths[LIMITS_MEMORY][0] ? fixture->replica->group.paths[LIMITS_MEMORY] : "-");
    }
    fflush(stdout);
    for (;;)
        pause();
}

static void nothing_outlives_a_killed_server(void **state)
{
    char *arguments[] = {self, (char *)"server", NULL};
    char line[1024], dirs[2][64], groups[2][512], path[128];
    posix_spawn_file_actions_t actions;
    int output[2], pids[2], watched[2], i;
    pid_t server;
    FILE *file;

    (void)state;
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    assert_int_equal(posix_spawn(&server, self, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(output[1]);
    file = fdopen(output[0], "r");
    for (i = 0; i < 2; i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        assert_int_equal(sscanf(line, "%d %63s %511s", &pids[i], dirs[i], groups[i]), 3);
        watched[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
        assert_true(watched[i] >= 0);
    }
    fclose(file);
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
    for (i = 0; i < 2; i++) {
        struct pollfd gone = {.fd = watched[i], .events = POLLIN};

        assert_int_equal(poll(&gone, 1, DEADLINE_MS), 1);
        close(watched[i]);
        snprintf(path, sizeof(path), "%s/w.sock", dirs[i]);
        unlink(path);
        rmdir(dirs[i]);
    }
    limits_sweep();
    for (i = 0; i < 2; i++)
        if (groups[i][0] == '/')
            assert_int_equal(access(groups[i], F_OK), -1);
}

static void it_says_what_it_enforces(void **state)
{
    char text[4096];

    (void)state;
    print_message("%s", runtime_process.describe(text, sizeof(text)));
    assert_has(text, "memory: ");
    assert_has(text, "cpu: ");
    assert_has(text, "seccomp: ");
    assert_has(runtime_process.describe(text, 20), "memory: ");
    assert_true(strlen(text) < 20);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_enforces),
        cmocka_unit_test(it_becomes_ready_and_drains),
        cmocka_unit_test(what_crashes_waits_longer_each_time_and_fails),
        cmocka_unit_test(what_dies_is_started_again),
        cmocka_unit_test(a_minute_of_readiness_makes_waits_short_again),
        cmocka_unit_test(unready_is_not_ready),
        cmocka_unit_test(what_ignores_sigterm_is_killed),
        cmocka_unit_test(stopping_is_possible_in_every_state),
        cmocka_unit_test(what_cannot_be_started_says_why),
        cmocka_unit_test(bad_specifications_are_refused),
        cmocka_unit_test(a_stale_socket_is_removed),
        cmocka_unit_test(a_flood_of_lines_is_bounded),
        cmocka_unit_test(it_has_no_privileges),
        cmocka_unit_test(it_has_no_network_and_no_children),
        cmocka_unit_test(forbidden_calls_end_it),
        cmocka_unit_test(it_sees_only_itself),
        cmocka_unit_test(it_touches_its_own_files_only),
        cmocka_unit_test(it_runs_on_its_cores),
        cmocka_unit_test(too_much_memory_ends_it),
        cmocka_unit_test(the_processor_limit_is_set),
        cmocka_unit_test(nothing_outlives_a_killed_server),
    };

    unsetenv("TSAN_OPTIONS"); /* it names a file of suppressions, which a worker in its sandbox may not read */
    if (count > 2 && strcmp(arguments[1], "fake") == 0)
        return fake_worker_main(count - 2, arguments + 2);
    if (!realpath("/proc/self/exe", self))
        return 1;
    if (count == 2 && strcmp(arguments[1], "server") == 0)
        server_main();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
