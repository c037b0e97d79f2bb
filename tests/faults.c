/*
 * faults.c - what goes wrong with clocks and disks, for the tests: preloaded into serin serve, told by shared memory.
 * SPDX-License-Identifier: Apache-2.0
 *
 * LD_PRELOAD=libfaults.so SERIN_FAULTS=FILE; FILE holds struct faults, which a test maps and writes at any time.
 * "Disk" are the files below FILE's own folder, and under "data" in it; everything else is left alone. Functions that
 * take a clock's time to wait for are given the real one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
    _Atomic int64_t wall_ns, monotonic_ns; /* clocks are so far ahead */
    _Atomic int64_t disk_errno;            /* writing fails with it; 0: it does not */
    _Atomic int64_t sync_ms;               /* each fsync takes so much longer */
    _Atomic int64_t kill_at;               /* the disk_calls-th change of a file is not lived to see; 0: never */
    _Atomic int64_t disk_calls;            /* changes of files so far */
    _Atomic int64_t syncs;                 /* of them, fsyncs that have begun */
};

static struct faults none, *faults = &none;
static char folder[512];
static size_t folder_size;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SERIN_FAULTS"), *slash = path ? strrchr(path, '/') : NULL;
    int fd = slash ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd >= 0 ? mmap(NULL, sizeof(none), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (mapped != MAP_FAILED) {
        faults = mapped;
        folder_size = (size_t)snprintf(folder, sizeof(folder), "%.*s/data/", (int)(slash - path), path);
    }
    if (fd >= 0)
        close(fd);
}

/* Looked up anew each time: the constructor of another library may call before ours has run. */
#define REAL(type, name) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

/* ---- clocks ---- */

static int64_t ahead_ns(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return faults->wall_ns;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return faults->monotonic_ns;
    default:
        return 0;
    }
}

static void add(struct timespec *time, int64_t ns)
{
    int64_t sum = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + ns;

    time->tv_sec = (time_t)(sum / 1000000000);
    time->tv_nsec = (long)(sum % 1000000000);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ret);

    if (rc == 0)
        add(ret, ahead_ns(clock));
    return rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}

/* A test sets the clock while somebody waits: as with the kernel's, who waits by the monotonic clock is not late, and
 * who waits by the wall's is. Serin's conditions are monotonic. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until)
{
    struct timespec real = *until;

    add(&real, -faults->monotonic_ns);
    return REAL(int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *),
                "pthread_cond_timedwait")(cond, lock, &real);
}

/* ---- disks ---- */

static bool on_disk(const char *path)
{
    return folder_size > 0 && strncmp(path, folder, folder_size) == 0;
}

static bool is_on_disk(int fd)
{
    char name[64], path[4096];
    ssize_t size;

    if (folder_size == 0)
        return false;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    size = readlink(name, path, sizeof(path) - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    return on_disk(path);
}

/* Counts a change; false: it fails. */
static bool may_change(void)
{
    int64_t kill_at = faults->kill_at;

    if (++faults->disk_calls == kill_at && kill_at > 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    if (faults->disk_errno == 0)
        return true;
    errno = (int)faults->disk_errno;
    return false;
}

#define CHANGES(fd)      (!is_on_disk(fd) || may_change())
#define CHANGES_AT(path) (!on_disk(path) || may_change())

ssize_t write(int fd, const void *bytes, size_t size)
{
    return CHANGES(fd) ? syscall(SYS_write, fd, bytes, size) : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return CHANGES(fd) ? syscall(SYS_writev, fd, parts, count) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return CHANGES(fd) ? syscall(SYS_pwrite64, fd, bytes, size, at) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) __attribute__((alias("pwrite")));

int ftruncate(int fd, off_t size)
{
    return CHANGES(fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1;
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

static int sync_slowly(long call, int fd)
{
    if (!is_on_disk(fd))
        return (int)syscall(call, fd);
    faults->syncs++;
    if (faults->sync_ms > 0) {
        const struct timespec pause = {faults->sync_ms / 1000, faults->sync_ms % 1000 * 1000000};

        nanosleep(&pause, NULL);
    }
    return may_change() ? (int)syscall(call, fd) : -1;
}

int fsync(int fd)
{
    return sync_slowly(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_slowly(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    return CHANGES_AT(to) ? (int)syscall(SYS_rename, from, to) : -1;
}

int unlink(const char *path)
{
    return CHANGES_AT(path) ? (int)syscall(SYS_unlink, path) : -1;
}

int mkdir(const char *path, mode_t mode)
{
    return CHANGES_AT(path) ? (int)syscall(SYS_mkdir, path, mode) : -1;
}

/* A file that is there can be opened for reading where nothing can be written. */
static int open_at(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TRUNC)) && on_disk(path) && access(path, F_OK) != 0 && !may_change())
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_at(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
