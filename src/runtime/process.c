/*
 * process.c - the process driver: a replica is a sandboxed child process that is kept alive.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One timer is the state's clock: the wait before a start, the time to be ready, the time to drain. A life ends in
 * exactly one place, life_ended, which decides what comes next. A state's callback may stop the replica, so that
 * announcing a state is the last thing a function does, or it looks at `stopping` afterwards.
 *
 * The log pipe, the groups and the filter are the replica's and serve all its lives: no handle is opened or closed
 * between two of them. Deaths come as SIGCHLD; each replica looks after its own pid, as libuv itself does.
 */
#include "runtime/runtime.h"

#include "runtime/gpu.h"
#include "runtime/landlock.h"
#include "runtime/limits.h"
#include "runtime/log_lines.h"
#include "runtime/other_user.h"
#include "runtime/ready_probe.h"
#include "runtime/sandbox.h"
#include "runtime/spec.h"
#include "runtime/syscall_filter.h"
#include "runtime/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS     100
#define BACKOFF_MOST_MS      10000
#define BACKOFF_FORGOTTEN_MS 60000 /* of readiness */
#define LOG_READ_BYTES       65536 /* a wake-up; what is more waits for the loop's next round */
#define LOG_DRAIN_READS      16    /* after death: a pipe holds less, but whoever inherited it may go on writing */
#define GROUP_TRIES          100
#define GROUP_TRY_MS         10

struct replica {
    struct owned_spec owned;
    struct replica_callbacks callbacks;
    uv_loop_t *loop;
    enum replica_state state;
    bool stopping;
    char endpoint[128];

    uv_timer_t timer;
    uv_signal_t deaths;
    uv_poll_t log;
    int open_handles;
    int log_fds[2]; /* read, write */
    struct log_lines lines;
    char last_line[512]; /* of this life; quoted when it dies: a path, and then why */

    struct sock_fprog *filter;
    struct limits_group group;
    cpu_set_t cores;
    struct ready_probe *probe; /* NULL unless STARTING */
    pid_t pid;                 /* 0: none */
    const char *killed_for;    /* why we killed it ourselves; NULL: we did not */
    char ended[512];           /* why the last life ended */
    uint64_t started_ms, ready_ms, backoff_ms;
    bool was_ready; /* in this life */
    int lives, failures;
    int group_tries;
};

static void start_life(uv_timer_t *timer);
static void ready_timed_out(uv_timer_t *timer);
static void close_all(uv_timer_t *timer);

static void announce(struct replica *replica, enum replica_state state, const char *format, ...) PRINTF_LIKE(3, 4);

static void announce(struct replica *replica, enum replica_state state, const char *format, ...)
{
    char why[640];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    replica->state = state;
    if (replica->callbacks.state_changed)
        replica->callbacks.state_changed(replica->callbacks.user, replica, state, why);
}

/* ---- the log ---- */

static void line_read(void *user, const char *line)
{
    struct replica *replica = user;

    snprintf(replica->last_line, sizeof(replica->last_line), "%s", line);
    if (replica->callbacks.logged)
        replica->callbacks.logged(replica->callbacks.user, replica, line);
}

/* Returns whether there may be more. */
static bool read_log(struct replica *replica)
{
    char bytes[LOG_READ_BYTES];
    ssize_t got;

    do
        got = read(replica->log_fds[0], bytes, sizeof(bytes));
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    log_lines_feed(&replica->lines, bytes, (size_t)got, uv_now(replica->loop));
    return true;
}

static void log_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0)
        read_log(poll->data);
}

/* ---- the end of a life ---- */

static void describe_end(struct replica *replica, int status)
{
    char *text = replica->ended;
    const size_t size = sizeof(replica->ended);

    if (limits_killed_for_memory(&replica->group))
        snprintf(text, size, "was killed for memory at %" PRIu64 " MiB", replica->owned.spec.memory_bytes >> 20);
    else if (replica->killed_for)
        snprintf(text, size, "%s", replica->killed_for);
    else if (WIFEXITED(status))
        snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
    else if (WTERMSIG(status) == SIGSYS)
        snprintf(text, size, "was killed for a forbidden system call (signal %d)", SIGSYS);
    else if (WTERMSIG(status) == SIGSEGV && (sandbox_features() & SANDBOX_PROCESSES))
        /* the first process of a pid namespace ignores the SIGABRT of abort(), which then dies by a bad access */
        snprintf(text, size, "was killed by signal %d (%s, or abort)", SIGSEGV, strsignal(SIGSEGV));
    else
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (replica->last_line[0] && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        snprintf(text + strlen(text), size - strlen(text), "; its last line: %s", replica->last_line);
}

static void life_ended(struct replica *replica)
{
    const uint64_t now = uv_now(replica->loop);
    const int most = replica->owned.spec.max_restarts;
    uint64_t delay;

    uv_timer_stop(&replica->timer);
    ready_probe_close(replica->probe);
    replica->probe = NULL;
    if (replica->stopping) {
        uv_timer_start(&replica->timer, close_all, 0, 0);
        return;
    }
    if (replica->was_ready) {
        replica->failures = 0;
        if (now - replica->ready_ms >= BACKOFF_FORGOTTEN_MS)
            replica->backoff_ms = BACKOFF_FIRST_MS;
    } else {
        replica->failures++;
    }
    replica->was_ready = false;
    if (most < 0 || replica->failures > most) {
        announce(replica, REPLICA_FAILED, "%s (after %d %s)", replica->ended, replica->lives,
                 replica->lives == 1 ? "start" : "starts");
        return;
    }
    delay = replica->backoff_ms;
    replica->backoff_ms = delay * 2 < BACKOFF_MOST_MS ? delay * 2 : BACKOFF_MOST_MS;
    uv_timer_start(&replica->timer, start_life, delay, 0);
    announce(replica, REPLICA_BACKOFF, "%s; started again in %" PRIu64 " ms", replica->ended, delay);
}

static void child_died(uv_signal_t *signal_handle, int number)
{
    struct replica *replica = signal_handle->data;
    siginfo_t info = {0};
    int status = 0, reads;

    (void)number;
    /* Looked at before it is reaped: while the dead process keeps its id, the id of its group cannot be another's. */
    if (!replica->pid || waitid(P_PID, (id_t)replica->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return;
    kill(-replica->pid, SIGKILL);
    limits_kill(&replica->group);
    waitpid(replica->pid, &status, 0);
    replica->pid = 0;
    for (reads = 0; reads < LOG_DRAIN_READS && read_log(replica); reads++)
        ;
    log_lines_end(&replica->lines);
    describe_end(replica, status);
    life_ended(replica);
}

/* ---- the beginning of a life ---- */

static void became_ready(void *user)
{
    struct replica *replica = user;

    uv_timer_stop(&replica->timer);
    ready_probe_close(replica->probe);
    replica->probe = NULL;
    replica->was_ready = true;
    replica->ready_ms = uv_now(replica->loop);
    announce(replica, REPLICA_READY, "ready after %" PRIu64 " ms", replica->ready_ms - replica->started_ms);
}

static void kill_for(struct replica *replica, const char *why)
{
    replica->killed_for = why;
    kill(replica->pid, SIGKILL);
}

static void ready_timed_out(uv_timer_t *timer)
{
    kill_for(timer->data, "was not ready in time");
}

static enum serin_errc admit(void *user, pid_t pid, struct serin_error *error)
{
    return limits_admit(user, pid, error);
}

/* A killed server leaves its sockets; nothing but a socket is ever removed. */
static void remove_socket(const char *path)
{
    struct stat status;

    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        unlink(path);
}

static enum serin_errc spawn(struct replica *replica, struct serin_error *error)
{
    const struct replica_spec *spec = &replica->owned.spec;
    struct sandbox_plan plan = {.program = spec->program,
                                .argv = replica->owned.argv,
                                .envp = replica->owned.envp,
                                .features = sandbox_features(),
                                .log_fd = replica->log_fds[1],
                                .landlock_fd = -1,
                                .filter = replica->filter,
                                .cores = spec->pinned_cpus ? &replica->cores : NULL,
                                .data_bytes = limits_cgroup_version(LIMITS_MEMORY) ? 0 : spec->memory_bytes,
                                .admit = admit,
                                .user = &replica->group};
    enum serin_errc rc = SERIN_OK;

    remove_socket(spec->socket_path);
    if ((plan.features & SANDBOX_OTHER_USER) && !other_user_can_run(spec))
        plan.features &= ~(unsigned)SANDBOX_OTHER_USER;
    if (plan.features & SANDBOX_OTHER_USER)
        rc = other_user_own(spec->run_dir, error);
    if (rc == SERIN_OK && (plan.features & SANDBOX_FILES))
        rc = landlock_rules_new(spec, &plan.landlock_fd, error);
    if (rc == SERIN_OK)
        rc = sandbox_spawn(&plan, &replica->pid, error);
    if (plan.landlock_fd >= 0)
        close(plan.landlock_fd);
    return rc;
}

static void start_life(uv_timer_t *timer)
{
    struct replica *replica = timer->data;
    struct serin_error error;

    announce(replica, REPLICA_STARTING, replica->lives ? "started again" : "started");
    if (replica->stopping)
        return;
    replica->lives++;
    replica->killed_for = NULL;
    replica->last_line[0] = '\0';
    uv_update_time(replica->loop);
    replica->started_ms = uv_now(replica->loop);
    if (spawn(replica, &error) != SERIN_OK ||
        ready_probe_new(replica->loop, replica->owned.spec.socket_path, became_ready, replica, &replica->probe,
                        &error) != SERIN_OK) {
        snprintf(replica->ended, sizeof(replica->ended), "%s", error.message);
        if (replica->pid) /* its death goes on from here */
            kill_for(replica, "there was no memory to watch it");
        else
            life_ended(replica);
        return;
    }
    uv_timer_start(&replica->timer, ready_timed_out, replica->owned.spec.ready_timeout_ms, 0);
}

/* ---- birth and end of a replica ---- */

static void replica_free(struct replica *replica)
{
    int i;

    for (i = 0; i < 2; i++)
        if (replica->log_fds[i] >= 0)
            close(replica->log_fds[i]);
    free(replica->filter);
    owned_spec_done(&replica->owned);
    free(replica);
}

static void handle_closed(uv_handle_t *handle)
{
    struct replica *replica = handle->data;

    if (--replica->open_handles > 0)
        return;
    if (replica->stopping)
        announce(replica, REPLICA_STOPPED, "%s", replica->ended[0] ? replica->ended : "stopped before it had started");
    replica_free(replica);
}

static void close_handles(struct replica *replica)
{
    uv_close((uv_handle_t *)&replica->timer, handle_closed);
    uv_close((uv_handle_t *)&replica->deaths, handle_closed);
    uv_close((uv_handle_t *)&replica->log, handle_closed);
}

static void close_all(uv_timer_t *timer)
{
    struct replica *replica = timer->data;

    /* The kernel lets go of a dead process a moment after it was reaped. What stays, the next start removes. */
    if (!limits_done(&replica->group) && ++replica->group_tries < GROUP_TRIES) {
        uv_timer_start(timer, close_all, GROUP_TRY_MS, 0);
        return;
    }
    remove_socket(replica->owned.spec.socket_path);
    close_handles(replica);
}

static enum serin_errc make_run_dir(const char *path, struct serin_error *error)
{
    struct stat status;

    if (mkdir(path, 0700) == 0)
        return SERIN_OK;
    if (errno != EEXIST)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode) ||
        (status.st_uid != geteuid() && (geteuid() != 0 || status.st_uid != OTHER_USER)))
        return error_set(error, SERIN_INVALID, "%s is not a folder of ours", path);
    return SERIN_OK;
}

static enum serin_errc open_log(struct replica *replica, struct serin_error *error)
{
    if (pipe2(replica->log_fds, O_CLOEXEC) != 0)
        return error_set(error, SERIN_IO, "no pipe for a replica's log: %s", strerror(errno));
    if (fcntl(replica->log_fds[0], F_SETFL, O_NONBLOCK) != 0)
        return error_set(error, SERIN_IO, "the log's pipe: %s", strerror(errno));
    return SERIN_OK;
}

static enum serin_errc open_handles(struct replica *replica, struct serin_error *error)
{
    int rc = uv_poll_init(replica->loop, &replica->log, replica->log_fds[0]);

    if (rc != 0)
        return error_set(error, SERIN_IO, "the log's pipe cannot be watched: %s", uv_strerror(rc));
    uv_timer_init(replica->loop, &replica->timer);
    uv_signal_init(replica->loop, &replica->deaths);
    replica->timer.data = replica->deaths.data = replica->log.data = replica;
    replica->open_handles = 3;
    uv_timer_start(&replica->timer, start_life, 0, 0);
    rc = uv_poll_start(&replica->log, UV_READABLE, log_readable);
    if (rc == 0)
        rc = uv_signal_start(&replica->deaths, child_died, SIGCHLD);
    return rc == 0 ? SERIN_OK : error_set(error, SERIN_IO, "a replica cannot be watched: %s", uv_strerror(rc));
}

static enum serin_errc process_start(uv_loop_t *loop, const struct replica_spec *spec,
                                     const struct replica_callbacks *callbacks, struct replica **ret,
                                     struct serin_error *error)
{
    struct replica *replica = calloc(1, sizeof(*replica));
    enum serin_errc rc;
    int i;

    if (!replica)
        return error_set(error, SERIN_NOMEM, "no memory for a replica");
    replica->loop = loop;
    replica->callbacks = *callbacks;
    replica->backoff_ms = BACKOFF_FIRST_MS;
    replica->log_fds[0] = replica->log_fds[1] = -1;
    log_lines_init(&replica->lines, line_read, replica);
    rc = owned_spec_init(&replica->owned, spec, error);
    if (rc == SERIN_OK && spec->gpu >= 0 && gpu_count() >= 0 && spec->gpu >= gpu_count())
        rc = error_set(error, SERIN_INVALID, "%s: there is no GPU %d, NVML counts %d", spec->label, spec->gpu,
                       gpu_count());
    if (rc == SERIN_OK)
        rc = make_run_dir(spec->run_dir, error);
    if (rc == SERIN_OK && (sandbox_features() & SANDBOX_SYSCALL_FILTER))
        rc = syscall_filter_new(spec->gpu >= 0, &replica->filter, error);
    if (rc == SERIN_OK)
        rc = open_log(replica, error);
    if (rc == SERIN_OK)
        rc = limits_init(&replica->group, spec->memory_bytes, spec->cpus, error);
    if (rc != SERIN_OK) {
        replica_free(replica);
        return rc;
    }
    CPU_ZERO(&replica->cores);
    for (i = 0; spec->pinned_cpus && i < spec->pinned_count; i++)
        CPU_SET(spec->pinned_cpus[i], &replica->cores);
    snprintf(replica->endpoint, sizeof(replica->endpoint), "unix:%s", spec->socket_path);
    rc = open_handles(replica, error);
    if (rc != SERIN_OK) {
        limits_done(&replica->group);
        if (replica->open_handles)
            close_handles(replica); /* frees it */
        else
            replica_free(replica);
        return rc;
    }
    *ret = replica;
    return SERIN_OK;
}

static void drain_timed_out(uv_timer_t *timer)
{
    kill_for(timer->data, "was killed: it had not ended in time after SIGTERM");
}

static void process_stop(struct replica *replica)
{
    if (replica->stopping)
        return;
    replica->stopping = true;
    uv_timer_stop(&replica->timer);
    if (!replica->pid) {
        uv_timer_start(&replica->timer, close_all, 0, 0);
        return;
    }
    if (replica->was_ready) {
        kill(replica->pid, SIGTERM);
        uv_timer_start(&replica->timer, drain_timed_out, replica->owned.spec.drain_timeout_ms, 0);
        announce(replica, REPLICA_DRAINING, "asked to end, within %" PRIu64 " ms",
                 replica->owned.spec.drain_timeout_ms);
        return;
    }
    ready_probe_close(replica->probe);
    replica->probe = NULL;
    kill_for(replica, "was stopped before it was ready"); /* there is nothing to drain */
    announce(replica, REPLICA_DRAINING, "ended before it was ready");
}

static void process_restart(struct replica *replica)
{
    if (replica->state == REPLICA_READY && replica->pid)
        kill_for(replica, "was killed: it no longer answered its health checks");
}

static enum replica_state process_state(const struct replica *replica)
{
    return replica->state;
}

static const char *process_endpoint(const struct replica *replica)
{
    return replica->endpoint;
}

static void process_usage(struct replica *replica, struct replica_usage *ret)
{
    uint64_t peak;

    *ret = (struct replica_usage){
        .restarts = replica->lives > 1 ? replica->lives - 1 : 0, .pid = replica->pid, .user = -1};
    if (!replica->pid)
        return;
    usage_of_process(replica->pid, ret);
    peak = limits_peak_bytes(&replica->group); /* over all its lives */
    ret->peak_bytes = peak > ret->peak_bytes ? peak : ret->peak_bytes;
    if (replica->owned.spec.gpu >= 0)
        gpu_usage(replica->owned.spec.gpu, replica->pid, &ret->gpu_bytes, &ret->gpu_utilisation);
}

/* ---- what is enforced here ---- */

static void append(char *text, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static const char *process_describe(char *text, size_t size)
{
    static const char *const meanings[] = {
#define X(name, meaning) meaning,
        SANDBOX_FEATURE_MAP(X)
#undef X
    };
    static const char *const without[LIMITS_CONTROLLERS] = {
        "rlimit: RLIMIT_DATA, allocations fail", "NOT enforced: no cgroup can be made here; pin cores instead",
        "rlimit: RLIMIT_NPROC, in a user namespace only"};
    static const char *const controllers[LIMITS_CONTROLLERS] = {
#define X(name, controller) controller,
        LIMITS_CONTROLLER_MAP(X)
#undef X
    };
    const unsigned features = sandbox_features();
    size_t i;

    if (size == 0)
        return text;
    text[0] = '\0';
    for (i = 0; i < LIMITS_CONTROLLERS; i++) {
        int version = limits_cgroup_version((enum limits_controller)i);

        if (version)
            append(text, size, "%s: cgroup v%d\n", controllers[i], version);
        else
            append(text, size, "%s: %s\n", controllers[i], without[i]);
    }
    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (i != SANDBOX_INDEX_OTHER_USER || geteuid() == 0) /* others' workers are who they are */
            append(text, size, "%s%s\n", features & (1u << i) ? "" : "NOT enforced: ", meanings[i]);
    if (gpu_count() < 0)
        append(text, size, "gpu: NVML is not here; a GPU's memory and utilisation are not known\n");
    for (i = 0; (int)i < gpu_count(); i++) {
        char name[96] = "";

        gpu_name((int)i, name, sizeof(name));
        append(text, size, "gpu %zu: %s\n", i, name);
    }
    append(text, size, "always: no capabilities, no new privileges, no core files, killed with the server\n");
    return text;
}

const struct runtime_driver runtime_process = {
    .name = "process",
    .describe = process_describe,
    .start = process_start,
    .stop = process_stop,
    .restart = process_restart,
    .state = process_state,
    .usage = process_usage,
    .endpoint = process_endpoint,
};
