/*
 * syscall_filter.c - which system calls end a worker, and which it is merely refused.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A deny-list: ONNX Runtime, CUDA and TensorRT are other people's code that changes with each release, so that an
 * allow-list would break a customer's upgrade in production. What is on the list has no place in a program that reads
 * pictures: changing the kernel, the clock, namespaces or other processes ends it at once, so that the log says so.
 * What a library might try and live without (other socket families, io_uring, a new process) is refused.
 *
 * No new processes means that nothing can outlive a worker; io_uring could open sockets behind the filter's back.
 */
#include "runtime/syscall_filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names, because not every architecture (and not every kernel header) has all of them. */
/* clang-format off */
static const char *const deadly[] = {
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "mount", "umount2", "umount",
    "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr",
    "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "bpf", "add_key", "keyctl", "request_key", "userfaultfd", "perf_event_open", "open_by_handle_at", "setns",
    "unshare", "clock_settime", "clock_settime64", "settimeofday", "stime", "adjtimex", "clock_adjtime", "acct",
    "quotactl", "quotactl_fd", "iopl", "ioperm", "lookup_dcookie", "syslog", "vhangup", "sethostname",
    "setdomainname", "nfsservctl", "uselib", "modify_ldt", "vm86", "vm86old", "fanotify_init"};
/* clang-format on */

static int add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);

    /* Pseudo numbers are calls that this architecture does not have: libseccomp drops them by itself. */
    return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);
}

static int add_rules(scmp_filter_ctx filter)
{
    /* CUDA makes the nodes of its devices where they are missing, if it is root. */
    static const char *const refused[] = {"fork", "vfork", "mknod", "mknodat"};
    static const char *const unknown[] = {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"};
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < sizeof(deadly) / sizeof(deadly[0]); i++)
        rc = add(filter, SCMP_ACT_KILL_PROCESS, deadly[i]);
    for (i = 0; rc == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
        rc = add(filter, SCMP_ACT_ERRNO(EPERM), refused[i]);
    /* clone3 takes its flags from memory, where a filter cannot look: "not there" makes the C library use clone. */
    for (i = 0; rc == 0 && i < sizeof(unknown) / sizeof(unknown[0]); i++)
        rc = add(filter, SCMP_ACT_ERRNO(ENOSYS), unknown[i]);
    if (rc == 0) /* a thread shares all with its process; what does not is a new process */
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    if (rc == 0) /* typing into the terminal of whoever started us; the kernel reads 32 bits of the request */
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
    return rc;
}

/* The namespaces leave unix sockets by path, and behind such a path may be anything (a container engine, a bus): a
 * worker gets streams that it listens on. Datagrams need no connect, so they are refused as they are made. */
static int add_socket_rules(scmp_filter_ctx filter, bool may_connect)
{
    const uint64_t type = 0xf; /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));

    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, type, SOCK_DGRAM));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socketpair), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, type, SOCK_DGRAM));
    if (rc == 0 && !may_connect)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(connect), 0);
    return rc;
}

/* libseccomp writes the program to a descriptor only. */
static enum serin_errc export_program(scmp_filter_ctx filter, struct sock_fprog **ret, struct serin_error *error)
{
    int fd = memfd_create("seccomp", MFD_CLOEXEC), failed;
    enum serin_errc rc = SERIN_OK;
    struct sock_fprog *program = NULL;
    ssize_t got = -1;
    off_t size;

    if (fd < 0)
        return error_set(error, SERIN_IO, "seccomp: no memory file: %s", strerror(errno));
    failed = seccomp_export_bpf(filter, fd);
    size = lseek(fd, 0, SEEK_END);
    if (failed || size <= 0 || (size_t)size / sizeof(struct sock_filter) > BPF_MAXINSNS) {
        rc = error_set(error, SERIN_UNSUPPORTED, "seccomp: the filter of %lld bytes could not be built: %s",
                       (long long)size, strerror(-failed));
        goto out;
    }
    program = malloc(sizeof(*program) + (size_t)size);
    if (!program) {
        rc = error_set(error, SERIN_NOMEM, "no memory for a seccomp filter of %lld bytes", (long long)size);
        goto out;
    }
    program->len = (unsigned short)((size_t)size / sizeof(struct sock_filter));
    program->filter = (struct sock_filter *)(program + 1);
    got = pread(fd, program->filter, (size_t)size, 0);
    if (got != size) {
        rc = error_set(error, SERIN_IO, "seccomp: read %zd of %lld bytes of the filter", got, (long long)size);
        free(program);
        goto out;
    }
    *ret = program;
out:
    close(fd);
    return rc;
}

enum serin_errc syscall_filter_new(bool may_connect, struct sock_fprog **ret, struct serin_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    enum serin_errc rc;
    int failed;

    if (!filter)
        return error_set(error, SERIN_NOMEM, "no memory for a seccomp filter");
    failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (failed == 0)
        failed = add_rules(filter);
    if (failed == 0)
        failed = add_socket_rules(filter, may_connect);
    if (failed)
        rc = error_set(error, SERIN_UNSUPPORTED, "seccomp: a rule could not be added: %s", strerror(-failed));
    else
        rc = export_program(filter, ret, error);
    seccomp_release(filter);
    return rc;
}
