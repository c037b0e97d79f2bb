/*
 * spec.c - what the caller asked for, copied, so that it may change or free its own while replicas come and go.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The environment is an allow-list: a worker is handed strangers' models and pictures, and needs none of the secrets
 * that a server's environment tends to hold.
 */
#include "runtime/spec.h"

#include "base/sanitizers.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_SPEC_BYTES  (1u << 20)
#define MAX_ARGUMENTS   256
#define MAX_READABLE    64
#define MAX_ENVIRONMENT 256

static char *copy_text(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size, 1);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static enum serin_errc copy_list(struct arena *arena, const char *const *list, int most, const char *what,
                                 const char *const **ret, struct serin_error *error)
{
    const char **copy;
    int count = 0, i;

    while (list && list[count])
        if (++count > most)
            return error_set(error, SERIN_LIMIT, "more than %d %s", most, what);
    copy = arena_new(arena, const char *, (size_t)count + 1);
    for (i = 0; copy && i < count; i++) {
        copy[i] = copy_text(arena, list[i]);
        if (!copy[i])
            copy = NULL;
    }
    if (!copy)
        return error_set(error, SERIN_NOMEM, "no memory for the %s, or more than %u bytes of them", what,
                         MAX_SPEC_BYTES);
    *ret = copy;
    return SERIN_OK;
}

static enum serin_errc check(const struct replica_spec *spec, struct serin_error *error)
{
    const size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    size_t folder;
    int i;

    if (!spec->label || !spec->program || !spec->run_dir || !spec->socket_path)
        return error_set(error, SERIN_INVALID, "a replica needs a label, a program, a run_dir and a socket_path");
    folder = strlen(spec->run_dir);
    if (spec->program[0] != '/')
        return error_set(error, SERIN_INVALID, "%s: the program '%s' is not an absolute path", spec->label,
                         spec->program);
    if (strlen(spec->socket_path) > longest)
        return error_set(error, SERIN_LIMIT, "%s: the socket's path has %zu bytes, the limit is %zu", spec->label,
                         strlen(spec->socket_path), longest);
    if (strncmp(spec->socket_path, spec->run_dir, folder) != 0 || spec->socket_path[folder] != '/')
        return error_set(error, SERIN_INVALID, "%s: the socket '%s' does not lie in the run_dir '%s'", spec->label,
                         spec->socket_path, spec->run_dir);
    if (!(spec->cpus >= 0 && spec->cpus <= CPU_SETSIZE))
        return error_set(error, SERIN_INVALID, "%s: cpus is %g, it lies within 0 and %d", spec->label, spec->cpus,
                         CPU_SETSIZE);
    if (spec->pinned_cpus && (spec->pinned_count < 1 || spec->pinned_count > CPU_SETSIZE))
        return error_set(error, SERIN_INVALID, "%s: pinned to %d cores, it lies within 1 and %d", spec->label,
                         spec->pinned_count, CPU_SETSIZE);
    for (i = 0; spec->pinned_cpus && i < spec->pinned_count; i++)
        if (spec->pinned_cpus[i] < 0 || spec->pinned_cpus[i] >= CPU_SETSIZE)
            return error_set(error, SERIN_INVALID, "%s: pinned to core %d, they are 0 to %d", spec->label,
                             spec->pinned_cpus[i], CPU_SETSIZE - 1);
    if (spec->gpu < -1 || spec->gpu > 1023)
        return error_set(error, SERIN_INVALID, "%s: gpu is %d, it lies within -1 and 1023", spec->label, spec->gpu);
    return SERIN_OK;
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* CUDA's own choice of a device is replaced by the spec's. */
static bool handed_on(const char *entry)
{
    static const char *const prefixes[] = {
        "PATH=", "HOME=",   "LANG=",          "LC_",   "TZ=",       "LD_LIBRARY_PATH=", "OMP_",
        "MKL_",  "ORT_",    "NVIDIA_",        "CUDA_", "SERIN_LOG", "UBSAN_OPTIONS",    "TSAN_",
        "LSAN_", "MALLOC_", "GLIBC_TUNABLES="};
    size_t i;

    if (begins(entry, "CUDA_VISIBLE_DEVICES=") || begins(entry, "CUDA_DEVICE_ORDER="))
        return false;
    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (begins(entry, prefixes[i]))
            return true;
    return false;
}

static enum serin_errc make_environment(struct owned_spec *owned, struct serin_error *error)
{
    const char *own[MAX_ENVIRONMENT + 8];
    char device[64];
    int count = 0, i;

    for (i = 0; environ && environ[i] && count < MAX_ENVIRONMENT; i++)
        if (handed_on(environ[i]))
            own[count++] = environ[i];
    snprintf(device, sizeof(device), "CUDA_VISIBLE_DEVICES=%d", owned->spec.gpu); /* -1 hides every GPU */
    own[count++] = device;
    own[count++] = "CUDA_DEVICE_ORDER=PCI_BUS_ID"; /* NVML's numbering */
    if (!getenv("OMP_WAIT_POLICY"))
        own[count++] = "OMP_WAIT_POLICY=passive"; /* threads of oneDNN that spin take the time of those that work */
    if (ADDRESS_SANITIZED) /* its leak check at exit would ptrace the process, which the sandbox forbids */
        own[count++] = "ASAN_OPTIONS=detect_leaks=0";
    own[count] = NULL;
    return copy_list(&owned->arena, own, MAX_ENVIRONMENT + 8, "environment variables",
                     (const char *const **)&owned->envp, error);
}

enum serin_errc owned_spec_init(struct owned_spec *ret, const struct replica_spec *spec, struct serin_error *error)
{
    struct replica_spec *own = &ret->spec;
    enum serin_errc rc = check(spec, error);
    int *cores, argument_count = 0;

    if (rc != SERIN_OK)
        return rc;
    ret->spec = *spec;
    arena_init(&ret->arena, MAX_SPEC_BYTES);
    own->label = copy_text(&ret->arena, spec->label);
    own->program = copy_text(&ret->arena, spec->program);
    own->run_dir = copy_text(&ret->arena, spec->run_dir);
    own->socket_path = copy_text(&ret->arena, spec->socket_path);
    rc = copy_list(&ret->arena, spec->arguments, MAX_ARGUMENTS, "arguments", &own->arguments, error);
    if (rc == SERIN_OK && spec->readable)
        rc = copy_list(&ret->arena, spec->readable, MAX_READABLE, "readable files", &own->readable, error);
    if (rc == SERIN_OK)
        rc = make_environment(ret, error);
    if (rc != SERIN_OK)
        goto fail;
    while (own->arguments[argument_count])
        argument_count++;
    ret->argv = arena_new(&ret->arena, char *, (size_t)argument_count + 2);
    cores = arena_new(&ret->arena, int, spec->pinned_cpus ? (size_t)spec->pinned_count : 1);
    if (!own->label || !own->program || !own->run_dir || !own->socket_path || !ret->argv || !cores) {
        rc = error_set(error, SERIN_NOMEM, "no memory for a replica's specification");
        goto fail;
    }
    ret->argv[0] = (char *)own->program;
    memcpy(ret->argv + 1, own->arguments, ((size_t)argument_count + 1) * sizeof(char *));
    if (spec->pinned_cpus) {
        memcpy(cores, spec->pinned_cpus, (size_t)spec->pinned_count * sizeof(int));
        own->pinned_cpus = cores;
    }
    if (own->ready_timeout_ms == 0)
        own->ready_timeout_ms = 120000;
    if (own->drain_timeout_ms == 0)
        own->drain_timeout_ms = 10000;
    if (own->max_restarts == 0)
        own->max_restarts = 5;
    return SERIN_OK;
fail:
    arena_done(&ret->arena);
    return rc;
}

void owned_spec_done(struct owned_spec *owned)
{
    arena_done(&owned->arena);
}
