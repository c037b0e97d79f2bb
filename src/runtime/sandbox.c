/*
 * sandbox.c - clone, wait at the barrier, lose one right after the other, exec.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The child is cloned straight into its namespaces, so that it is the first process of its pid namespace and the kernel
 * ends whatever it might leave behind. Between clone and exec it makes raw system calls only: the parent is
 * multi-threaded, and neither the C library's locks nor a sanitizer's interceptors may be touched. One socket pair is
 * both the barrier (the parent writes the maps of ids and the cgroup, then one byte) and the way back for the first
 * step that fails; it closes by itself on exec.
 *
 * PR_SET_PDEATHSIG is set before the barrier: a parent that dies earlier closes the barrier, one that dies later kills.
 * getppid would not tell, it is 0 in a pid namespace of one's own.
 */
#include "runtime/sandbox.h"

#include "runtime/landlock.h"
#include "runtime/other_user.h"
#include "runtime/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPEN_FILES       4096
#define PROCESSES        4096 /* threads, really; counted by user namespace */
#define LOWEST_FD        10   /* ours lie above what the child puts in place */
#define SPAWN_TIMEOUT_MS 10000

#define STEP_MAP(X)                                                                                                    \
    X(BARRIER, "waiting for its admission")                                                                            \
    X(SESSION, "a session of its own")                                                                                 \
    X(PARENT_DEATH, "dying with its parent")                                                                           \
    X(DESCRIPTORS, "its three descriptors")                                                                            \
    X(LIMITS, "its resource limits")                                                                                   \
    X(USER, "its user")                                                                                                \
    X(AFFINITY, "its cores")                                                                                           \
    X(NO_NEW_PRIVILEGES, "giving up new privileges")                                                                   \
    X(FILES, "its Landlock rules")                                                                                     \
    X(CAPABILITIES, "giving up capabilities")                                                                          \
    X(FILTER, "its seccomp filter")                                                                                    \
    X(EXEC, "executing the program")

enum step {
#define X(name, text) STEP_##name,
    STEP_MAP(X)
#undef X
};

static const char *step_text(int step)
{
    static const char *const texts[] = {
#define X(name, text) text,
        STEP_MAP(X)
#undef X
    };
    return step >= 0 && (size_t)step < sizeof(texts) / sizeof(texts[0]) ? texts[step] : "an unknown step";
}

struct failure {
    int step, error;
};

/* ---- the child: raw system calls only ---- */

struct descriptors {
    int barrier, null, log, landlock;
};

static _Noreturn void child_fails(int barrier, int step)
{
    struct failure failure = {step, errno};

    (void)!syscall(SYS_write, barrier, &failure, sizeof(failure));
    for (;;)
        syscall(SYS_exit_group, 127);
}

static int limit(int resource, uint64_t most)
{
    struct {
        uint64_t soft, hard;
    } now, wanted = {most, most};

    if (syscall(SYS_prlimit64, 0, resource, NULL, &now) != 0)
        return -1;
    if (now.hard < most) /* raising a hard limit is a privilege */
        wanted.soft = wanted.hard = now.hard;
    return (int)syscall(SYS_prlimit64, 0, resource, &wanted, NULL);
}

static void close_the_rest(unsigned first)
{
    unsigned fd;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
#endif
    for (fd = first; fd < 65536; fd++) /* before Linux 5.9; what lies above is close-on-exec, as all of ours */
        syscall(SYS_close, fd);
}

/* 0, 1 and 2, the barrier at 3, the ruleset at 4, and nothing else. */
static int place_descriptors(struct descriptors *fds)
{
    if (syscall(SYS_dup3, fds->null, 0, 0) < 0 || syscall(SYS_dup3, fds->log, 1, 0) < 0 ||
        syscall(SYS_dup3, fds->log, 2, 0) < 0 || syscall(SYS_dup3, fds->barrier, 3, O_CLOEXEC) < 0)
        return -1;
    fds->barrier = 3;
    if (fds->landlock >= 0) {
        if (syscall(SYS_dup3, fds->landlock, 4, O_CLOEXEC) < 0)
            return -1;
        fds->landlock = 4;
        close_the_rest(5);
    } else {
        close_the_rest(4);
    }
    return 0;
}

/* The mask and the ignored signals survive exec: the server ignores SIGPIPE, its worker decides for itself. */
static void reset_signals(void)
{
    static const char action[64]; /* the kernel's struct: SIG_DFL, no flags, an empty mask */
    static const char mask[8];
    int number;

    for (number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, action, NULL, sizeof(mask));
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, sizeof(mask));
}

/* Best effort: a container with a masked /proc forbids it, and then it sees the processes, but cannot reach them. */
static void hide_other_processes(int landlock)
{
    if (syscall(SYS_mount, "none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        syscall(SYS_mount, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return;
    if (landlock >= 0) /* the rules know the /proc below it, and Landlock looks past what is mounted over */
        landlock_grant_mounted(landlock, "/proc");
}

/* The kernel forgets what a parent's death means when the user changes; a parent that died before it was said again has
 * closed the barrier. */
static int change_user(int barrier)
{
    char nothing;

    if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, OTHER_USER, OTHER_USER, OTHER_USER) != 0 ||
        syscall(SYS_setresuid, OTHER_USER, OTHER_USER, OTHER_USER) != 0 ||
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -1;
    return syscall(SYS_recvfrom, barrier, &nothing, 1, MSG_DONTWAIT | MSG_PEEK, NULL, NULL) == 0 ? -1 : 0;
}

static int give_up_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    static const struct __user_cap_data_struct none[2];

    /* With no_new_privs exec gives root none back either; the bits say so twice, where we may set them. */
    syscall(SYS_prctl, PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

static _Noreturn void child_runs(const struct sandbox_plan *plan, struct descriptors fds)
{
    const unsigned features = plan->features;
    char go;

    if (syscall(SYS_setsid) < 0)
        child_fails(fds.barrier, STEP_SESSION);
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        child_fails(fds.barrier, STEP_PARENT_DEATH);
    if (syscall(SYS_read, fds.barrier, &go, 1) != 1)
        child_fails(fds.barrier, STEP_BARRIER);
    if (place_descriptors(&fds) != 0)
        child_fails(fds.barrier, STEP_DESCRIPTORS);
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_NOFILE, OPEN_FILES) != 0 ||
        (plan->data_bytes && limit(RLIMIT_DATA, plan->data_bytes) != 0) ||
        ((features & SANDBOX_USER_NAMESPACE) && limit(RLIMIT_NPROC, PROCESSES) != 0))
        child_fails(fds.barrier, STEP_LIMITS);
    if (plan->cores && syscall(SYS_sched_setaffinity, 0, sizeof(*plan->cores), plan->cores) < 0)
        child_fails(fds.barrier, STEP_AFFINITY);
    if (features & SANDBOX_PROCESSES)
        hide_other_processes(fds.landlock);
    if ((features & SANDBOX_OTHER_USER) && change_user(fds.barrier) != 0)
        child_fails(fds.barrier, STEP_USER);
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        child_fails(fds.barrier, STEP_NO_NEW_PRIVILEGES);
    if ((features & SANDBOX_FILES) && landlock_enforce(fds.landlock) != 0)
        child_fails(fds.barrier, STEP_FILES);
    if (fds.landlock >= 0)
        syscall(SYS_close, fds.landlock);
    if (give_up_capabilities() != 0)
        child_fails(fds.barrier, STEP_CAPABILITIES);
    syscall(SYS_umask, 077);
    reset_signals();
    if ((features & SANDBOX_SYSCALL_FILTER) && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, plan->filter) != 0)
        child_fails(fds.barrier, STEP_FILTER);
    if (!plan->program)
        for (;;)
            syscall(SYS_exit_group, 0);
    syscall(SYS_execve, plan->program, plan->argv, plan->envp);
    child_fails(fds.barrier, STEP_EXEC);
}

/* ---- the parent ---- */

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t written;

    if (fd < 0)
        return -1;
    written = write(fd, text, strlen(text));
    close(fd);
    return written < 0 ? -1 : 0;
}

/* It stays the user that it is, or becomes the other one, and is nobody else. */
static enum serin_errc map_ids(pid_t pid, bool other_user, struct serin_error *error)
{
    const unsigned user = other_user ? OTHER_USER : geteuid(), group = other_user ? OTHER_USER : getegid();
    char path[64], map[64];

    snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
    if (!other_user && write_text(path, "deny") != 0 && errno != ENOENT) /* the other one gives up ours by it */
        goto fail;
    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
    snprintf(map, sizeof(map), "%u %u 1", user, user);
    if (write_text(path, map) != 0)
        goto fail;
    snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
    snprintf(map, sizeof(map), "%u %u 1", group, group);
    if (write_text(path, map) == 0)
        return SERIN_OK;
fail:
    return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
}

static enum serin_errc admit(const struct sandbox_plan *plan, pid_t pid, int barrier, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    char path[64];

    if (plan->features & SANDBOX_USER_NAMESPACE)
        rc = map_ids(pid, plan->features & SANDBOX_OTHER_USER, error);
    if (rc == SERIN_OK && plan->admit)
        rc = plan->admit(plan->user, pid, error);
    if (rc != SERIN_OK)
        return rc;
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
    write_text(path, "300"); /* a machine short of memory takes a worker, which is started again, before the gateway */
    if (send(barrier, "g", 1, MSG_NOSIGNAL) != 1)
        return error_set(error, SERIN_IO, "the new process did not wait: %s", strerror(errno));
    return SERIN_OK;
}

/* Until the barrier closes (it runs), or the child says what went wrong. */
static enum serin_errc await_exec(const struct sandbox_plan *plan, int barrier, struct serin_error *error)
{
    const char *name = plan->program ? plan->program : "a rehearsal";
    struct pollfd watched = {.fd = barrier, .events = POLLIN};
    struct failure failure;
    ssize_t got;
    int ready;

    do
        ready = poll(&watched, 1, SPAWN_TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return error_set(error, SERIN_IO, "%s did not start within %d ms", name, SPAWN_TIMEOUT_MS);
    got = recv(barrier, &failure, sizeof(failure), MSG_DONTWAIT);
    if (got == 0)
        return SERIN_OK;
    if (got != (ssize_t)sizeof(failure))
        return error_set(error, SERIN_IO, "%s did not start: %s", name, strerror(errno));
    return error_set(error, SERIN_IO, "%s did not start: %s: %s", name, step_text(failure.step),
                     strerror(failure.error));
}

static unsigned long clone_flags(unsigned features)
{
    unsigned long flags = SIGCHLD;

    if (features & SANDBOX_USER_NAMESPACE)
        flags |= CLONE_NEWUSER;
    if (features & SANDBOX_NETWORK)
        flags |= CLONE_NEWNET;
    if (features & SANDBOX_IPC_UTS)
        flags |= CLONE_NEWIPC | CLONE_NEWUTS;
    if (features & SANDBOX_PROCESSES)
        flags |= CLONE_NEWPID | CLONE_NEWNS;
    return flags;
}

/* A copy that lies above the descriptors that the child puts in place. -1 with errno. */
static int lift(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
}

enum serin_errc sandbox_spawn(const struct sandbox_plan *plan, pid_t *ret, struct serin_error *error)
{
    struct descriptors fds = {-1, -1, -1, -1};
    int pair[2] = {-1, -1}, null = -1;
    enum serin_errc rc = SERIN_OK;
    sigset_t all, before;
    pid_t pid = -1;

    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || (fds.null = lift(null)) < 0 ||
        (fds.barrier = lift(pair[1])) < 0 || (fds.log = lift(plan->log_fd)) < 0 ||
        ((plan->features & SANDBOX_FILES) && (fds.landlock = lift(plan->landlock_fd)) < 0)) {
        rc = error_set(error, SERIN_IO, "no descriptors for a new process: %s", strerror(errno));
        goto out;
    }
    sigfillset(&all); /* no handler of ours may run in the child */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = (pid_t)syscall(SYS_clone, clone_flags(plan->features), NULL, NULL, NULL, NULL);
    if (pid == 0)
        child_runs(plan, fds);
    if (pid < 0)
        rc = error_set(error, errno == ENOMEM ? SERIN_NOMEM : SERIN_IO, "no new process: %s", strerror(errno));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        goto out;
    close(fds.barrier); /* so that the child's copy is the only one */
    close(pair[1]);
    fds.barrier = pair[1] = -1;
    rc = admit(plan, pid, pair[0], error);
    if (rc == SERIN_OK)
        rc = await_exec(plan, pair[0], error);
    if (rc == SERIN_OK) {
        *ret = pid;
    } else {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
out:
    for (int *fd = (int[]){null, pair[0], pair[1], fds.null, fds.barrier, fds.log, fds.landlock, -2}; *fd != -2; fd++)
        if (*fd >= 0)
            close(*fd);
    return rc;
}

/* ---- what works here ---- */

static bool rehearse(struct sandbox_plan *plan, unsigned features)
{
    pid_t pid = -1;
    int status = -1;

    plan->features = features;
    if (sandbox_spawn(plan, &pid, NULL) != SERIN_OK)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned found;

/* Whoever started us may have ignored SIGCHLD, and then the kernel tells no parent how its child ended. */
static void mind_children(void)
{
    struct sigaction action;

    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

static void find_features(void)
{
    static const unsigned namespaces[] = {
        SANDBOX_USER_NAMESPACE | SANDBOX_NETWORK | SANDBOX_IPC_UTS | SANDBOX_PROCESSES,
        SANDBOX_USER_NAMESPACE | SANDBOX_NETWORK | SANDBOX_IPC_UTS,
        SANDBOX_NETWORK | SANDBOX_IPC_UTS | SANDBOX_PROCESSES,
        SANDBOX_NETWORK | SANDBOX_IPC_UTS,
        SANDBOX_USER_NAMESPACE,
    };
    struct replica_spec spec = {.program = "/proc/self/exe", .run_dir = "/dev/null", .gpu = -1};
    struct sandbox_plan plan = {.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .landlock_fd = -1};
    struct sock_fprog *filter = NULL;
    size_t i;

    mind_children();
    for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]) && !found; i++)
        if (rehearse(&plan, namespaces[i]))
            found = namespaces[i];
    if ((found & SANDBOX_USER_NAMESPACE) && other_user_is_possible() && rehearse(&plan, found | SANDBOX_OTHER_USER))
        found |= SANDBOX_OTHER_USER;
    if (syscall_filter_new(false, &filter, NULL) == SERIN_OK) {
        plan.filter = filter;
        if (rehearse(&plan, found | SANDBOX_SYSCALL_FILTER))
            found |= SANDBOX_SYSCALL_FILTER;
    }
    if (landlock_rules_new(&spec, &plan.landlock_fd, NULL) == SERIN_OK) {
        if (rehearse(&plan, found | SANDBOX_FILES))
            found |= SANDBOX_FILES;
        close(plan.landlock_fd);
    }
    free(filter);
    if (plan.log_fd >= 0)
        close(plan.log_fd);
}

unsigned sandbox_features(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_features);
    return found;
}
