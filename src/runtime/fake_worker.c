/*
 * fake_worker.c - crashes, hangs, eats memory and tries what is forbidden, and tells on stdout how it went.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/fake_worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void drained(int number)
{
    static const char line[] = "drained\n";

    (void)number;
    (void)!write(1, line, sizeof(line) - 1);
    _exit(0);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0) {
        printf("cannot listen: %s\n", strerror(errno));
        fflush(stdout);
        _exit(9);
    }
    return fd;
}

/* Answers `answers` questions (-1: all that come). */
static void serve(const char *path, const char *status, int answers)
{
    int fd = listen_at(path);
    char text[4096], head[128];

    snprintf(head, sizeof(head), "%s\r\nContent-Length: 0\r\n\r\n", status);
    for (; answers != 0; answers -= answers > 0) {
        int client = accept(fd, NULL, NULL);

        if (client < 0)
            continue;
        (void)!read(client, text, sizeof(text));
        (void)!send(client, head, strlen(head), MSG_NOSIGNAL);
        close(client);
    }
    close(fd);
}

static void fault(void)
{
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would make an exit of it */
    *page = 1;
}

static const char *outcome(long result)
{
    return result >= 0 ? "done" : strerror(errno);
}

static void try_to_reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    printf("connect: %s\n", outcome(connect(stream, (struct sockaddr *)&address, sizeof(address))));
    printf("datagram: %s\n", outcome(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    close(stream);
}

static void eat_memory(void)
{
    const size_t piece = 1 << 20;
    size_t eaten = 0;
    char *memory;

    while ((memory = malloc(piece)) && eaten < 1024) { /* MiB */
        memset(memory, (int)eaten + 1, piece);
        *(char *volatile *)&memory = memory;
        eaten++;
    }
    printf("eaten: %zu MiB\n", eaten); /* NOLINT: it is eaten for good */
}

static void flood(void)
{
    char line[1024];
    int i;

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (i = 0; i < 8192; i++)
        (void)!write(1, line, sizeof(line));
    for (i = 0; i < 10; i++) /* one line of 10,230 bytes */
        (void)!write(1, line, sizeof(line) - 1);
    (void)!write(1, "\nflooded\n", 9);
}

static int count_entries(const char *path, int only_numbers)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    while (folder && (entry = readdir(folder)))
        if (only_numbers ? entry->d_name[0] >= '0' && entry->d_name[0] <= '9' : entry->d_name[0] != '.')
            count++;
    if (folder)
        closedir(folder);
    return count;
}

static void print_status(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 || strncmp(line, "Seccomp:", 8) == 0)
            printf("%s", line);
    if (file)
        fclose(file);
    printf("processes seen: %d\n", count_entries("/proc", 1));
    printf("descriptors: %d\n", count_entries("/proc/self/fd", 0) - 1); /* without the one that looks */
    printf("interfaces: %d\n", count_entries("/sys/class/net", 0));
}

static void try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    printf("fork: %s\n", outcome(pid));
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    printf("write %s: %s\n", path, outcome(fd));
    if (fd >= 0)
        close(fd);
}

static void look(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    printf("read %s: %s\n", path, outcome(fd));
    if (fd >= 0)
        close(fd);
}

int fake_worker_main(int count, char **arguments)
{
    const char *path = arguments[0];
    int i;

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, drained);
    for (i = 1; i < count; i++) {
        const char *verb = arguments[i];

        if (strcmp(verb, "ready") == 0)
            serve(path, "HTTP/1.1 200 OK", -1);
        else if (strcmp(verb, "ready-once") == 0)
            serve(path, "HTTP/1.1 200 OK", 1);
        else if (strcmp(verb, "unready") == 0)
            serve(path, "HTTP/1.1 503 Service Unavailable", -1);
        else if (strcmp(verb, "unready-thrice") == 0)
            serve(path, "HTTP/1.1 503 Service Unavailable", 3);
        else if (strcmp(verb, "hang") == 0)
            for (;;)
                pause();
        else if (strcmp(verb, "crash") == 0) {
            printf("going down\n");
            return 3;
        } else if (strcmp(verb, "fault") == 0)
            fault();
        else if (strcmp(verb, "deaf") == 0)
            signal(SIGTERM, SIG_IGN);
        else if (strcmp(verb, "eat") == 0)
            eat_memory();
        else if (strcmp(verb, "flood") == 0)
            flood();
        else if (strcmp(verb, "inet") == 0)
            printf("inet: %s\n", outcome(socket(AF_INET, SOCK_STREAM, 0)));
        else if (strcmp(verb, "reach") == 0)
            try_to_reach(path);
        else if (strcmp(verb, "ptrace") == 0)
            printf("ptrace: %s\n", outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
        else if (strcmp(verb, "mount") == 0)
            printf("mount: %s\n", outcome(mount("none", "/tmp", "tmpfs", 0, NULL)));
        else if (strcmp(verb, "fork") == 0)
            try_fork();
        else if (strcmp(verb, "status") == 0)
            print_status();
        else if (strcmp(verb, "environment") == 0)
            for (char **entry = environ; *entry; entry++)
                printf("env %s\n", *entry);
        else if (strcmp(verb, "touch") == 0 && i + 1 < count)
            touch(arguments[++i]);
        else if (strcmp(verb, "look") == 0 && i + 1 < count)
            look(arguments[++i]);
        else {
            printf("no such verb: %s\n", verb);
            return 2;
        }
    }
    return 0;
}
