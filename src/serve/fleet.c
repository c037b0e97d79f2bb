/*
 * fleet.c - starting, watching and stopping replicas of versions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Slots of the gateway's counters are given to names once and kept as long as the program lives, so that a version that
 * leaves and comes back goes on counting. What a worker is told comes from its bundle's settings; where they are
 * silent, every version gets the same.
 */
#include "serve/fleet.h"

#include "base/memory_limit.h"
#include "base/processors.h"
#include "base/text.h"
#include "http/address.h"
#include "runtime/gpu.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENTS      40
#define MAX_ARGUMENT_BYTES 4200

struct fleet {
    uv_loop_t *loop;
    struct bundles *bundles;
    const struct runtime_driver *driver;
    struct fleet_options options;
    char program[4096], run_dir[128];
    struct fleet_version *versions[FLEET_MAX_VERSIONS];
    int version_count;
    char slot_names[FLEET_MAX_SLOTS][VERSION_MAX_NAME];
    int slot_count;
    void (*stopped)(void *user);
    void *stopped_user;
};

enum serin_errc fleet_new(uv_loop_t *loop, struct bundles *bundles, const struct fleet_options *options,
                          struct fleet **ret, struct serin_error *error)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));

    if (!fleet)
        return error_set(error, SERIN_NOMEM, "no memory for a fleet");
    if (strlen(options->run_dir) > 60) { /* a socket's path has 107 bytes */
        free(fleet);
        return error_set(error, SERIN_INVALID, "the folder for sockets, %s, has %zu bytes, the limit is 60",
                         options->run_dir, strlen(options->run_dir));
    }
    fleet->loop = loop;
    fleet->bundles = bundles;
    fleet->driver = &runtime_process;
    fleet->options = *options;
    if (fleet->options.threads < 1)
        fleet->options.threads = processors_usable() > 1 ? processors_usable() / 2 : 1;
    snprintf(fleet->program, sizeof(fleet->program), "%s", options->program);
    snprintf(fleet->run_dir, sizeof(fleet->run_dir), "%s", options->run_dir);
    *ret = fleet;
    return SERIN_OK;
}

struct fleet_version *fleet_find(struct fleet *fleet, const char *name)
{
    int i;

    for (i = 0; i < fleet->version_count; i++)
        if (strcmp(fleet->versions[i]->name, name) == 0)
            return fleet->versions[i];
    return NULL;
}

struct fleet_version *fleet_at(struct fleet *fleet, int index)
{
    return index < fleet->version_count ? fleet->versions[index] : NULL;
}

bool fleet_is_up(const struct fleet_replica *replica)
{
    /* Without memory for checks the passive ones must do. */
    return replica->state == REPLICA_READY && (!replica->health || health_state(replica->health) == HEALTH_UP);
}

int fleet_ready_count(const struct fleet_version *version)
{
    int count = 0, i;

    for (i = 0; i < version->replica_count; i++)
        count += fleet_is_up(&version->replicas[i]);
    return count;
}

const char *fleet_ready_endpoint(const struct fleet_version *version)
{
    int i;

    for (i = 0; version && !version->leaving && i < version->replica_count; i++)
        if (fleet_is_up(&version->replicas[i]))
            return version->replicas[i].endpoint;
    return NULL;
}

const char *fleet_failure(const struct fleet_version *version)
{
    int i;

    for (i = 0; i < version->replica_count; i++)
        if (version->replicas[i].state == REPLICA_FAILED)
            return version->replicas[i].why;
    return NULL;
}

void fleet_usage(struct fleet *fleet, const struct fleet_replica *replica, struct replica_usage *ret)
{
    *ret = (struct replica_usage){0};
    if (replica->replica)
        fleet->driver->usage(replica->replica, ret);
}

/* ---- replicas ---- */

/* Callbacks get the version and the place through this; it lives as long as its replica. */
struct fleet_watcher {
    struct fleet *fleet;
    struct fleet_version *version; /* NULL: another replica has its place, and it is only waited for */
    int place;
};

static void end_if_gone(struct fleet *fleet, struct fleet_version *version)
{
    int i, k;

    for (i = 0; i < version->replica_count; i++)
        if (version->replicas[i].replica)
            return;
    if (!version->leaving)
        return;
    for (i = 0; i < version->replica_count; i++) {
        health_close(version->replicas[i].health);
        free(version->replicas[i].watcher);
    }
    for (i = 0; i < fleet->version_count; i++)
        if (fleet->versions[i] == version) {
            for (k = i; k + 1 < fleet->version_count; k++)
                fleet->versions[k] = fleet->versions[k + 1];
            fleet->version_count--;
            break;
        }
    /* At the program's end versions stay marked: they are served again at the next start. */
    if (!version->url[0] && !fleet->stopped &&
        bundles_set_in_use(fleet->bundles, version->name, false, NULL) != SERIN_OK)
        fleet->options.logged(fleet->options.user, version->name,
                              "could not be unmarked as in use: serin rm will refuse it");
    free(version);
    if (fleet->version_count == 0 && fleet->stopped)
        fleet->stopped(fleet->stopped_user);
}

static void health_changed(void *user)
{
    struct fleet_watcher *watcher = user;
    struct fleet_replica *place = &watcher->version->replicas[watcher->place];

    snprintf(place->why, sizeof(place->why), "%s", health_why(place->health));
    if (health_state(place->health) == HEALTH_UP)
        place->state = REPLICA_READY; /* of an URL: for the first time */
    if (place->replica && health_hangs(place->health))
        watcher->fleet->driver->restart(place->replica); /* its death is told on the loop, later */
    /* Last, for a deploy that is refused at this removes the version. */
    watcher->fleet->options.changed(watcher->fleet->options.user, watcher->version);
}

static void watch_health(struct fleet *fleet, struct fleet_replica *place, enum health_state state)
{
    struct serin_error error;

    if (health_new(fleet->loop, place->endpoint, state, fleet->options.health, health_changed, place->watcher,
                   &place->health, &error) != SERIN_OK)
        fleet->options.logged(fleet->options.user, place->watcher->version->name, error.message);
}

static void state_changed(void *user, struct replica *replica, enum replica_state state, const char *why)
{
    struct fleet_watcher *watcher = user;
    struct fleet_version *version = watcher->version;
    struct fleet *fleet = watcher->fleet;
    struct fleet_replica *place;

    if (!version) {
        if (state == REPLICA_STOPPED)
            free(watcher);
        return;
    }
    place = &version->replicas[watcher->place];
    place->state = state;
    snprintf(place->why, sizeof(place->why), "%s", why ? why : "");
    health_close(place->health);
    place->health = NULL;
    if (state == REPLICA_READY) {
        snprintf(place->endpoint, sizeof(place->endpoint), "%s", fleet->driver->endpoint(replica));
        watch_health(fleet, place, HEALTH_UP); /* the driver has asked it */
    }
    if (state == REPLICA_STOPPED) {
        place->replica = NULL;
        place->watcher = NULL;
        free(watcher);
    }
    fleet->options.changed(fleet->options.user, version);
    if (state == REPLICA_STOPPED)
        end_if_gone(fleet, version);
}

/* {"event":"engine","provider":"cpu","text":"oneDNN cannot ..."}: a worker is believed no more than a name. */
static void hear_engine(struct fleet_version *version, const char *line)
{
    const char *provider = NULL, *why = NULL, *event = NULL;
    json_t *root = strstr(line, "\"event\":\"engine\"") ? json_loads(line, 0, NULL) : NULL;

    if (root && json_unpack(root, "{s:s, s:s, s:s}", "event", &event, "provider", &provider, "text", &why) == 0 &&
        text_choice_find(PROVIDERS, provider) >= 0 && strlen(why) < sizeof(version->provider_why)) {
        snprintf(version->provider, sizeof(version->provider), "%s", provider);
        snprintf(version->provider_why, sizeof(version->provider_why), "%s", why);
    }
    json_decref(root);
}

static void logged(void *user, struct replica *replica, const char *line)
{
    struct fleet_watcher *watcher = user;

    (void)replica;
    if (!watcher->version)
        return;
    hear_engine(watcher->version, line);
    watcher->fleet->options.logged(watcher->fleet->options.user, watcher->version->name, line);
}

struct arguments {
    const char *list[MAX_ARGUMENTS];
    int count;
    char texts[MAX_ARGUMENTS][256];
};

static void add_argument(struct arguments *arguments, const char *option, int decimals, double value)
{
    BUG_ON(arguments->count + 3 > MAX_ARGUMENTS);
    arguments->list[arguments->count++] = option;
    snprintf(arguments->texts[arguments->count], sizeof(arguments->texts[0]), "%.*f", decimals, value);
    arguments->list[arguments->count] = arguments->texts[arguments->count];
    arguments->count++;
}

/* Settings of a bundle that are options of a worker. */
static const struct {
    const char *key, *option;
    int decimals;
} worker_settings[] = {
    {"conf", "--conf", 6},           {"iou", "--iou", 6},
    {"max_det", "--max-det", 0},     {"imgsz", "--imgsz", 0},
    {"max_batch", "--max-batch", 0}, {"max_delay_us", "--max-delay-us", 0},
    {"max_queue", "--max-queue", 0}, {"decode_threads", "--decode-threads", 0},
};

/* The GPU that a worker sees: the first, or none. "auto" gets one where there is one. */
static int gpu_for(const char *provider)
{
    if (strcmp(provider, "cuda") == 0 || strcmp(provider, "tensorrt") == 0)
        return 0;
    return strcmp(provider, "auto") == 0 && gpu_count() > 0 ? 0 : -1;
}

static enum serin_errc start_replica(struct fleet *fleet, struct fleet_version *version, const struct bundle *bundle,
                                     int place, struct serin_error *error)
{
    char model_path[MAX_ARGUMENT_BYTES], label[VERSION_MAX_NAME + 8], listen[128];
    struct fleet_watcher *watcher = calloc(1, sizeof(*watcher));
    struct replica_callbacks callbacks = {state_changed, logged, watcher};
    struct replica_spec spec = {.label = label,
                                .program = fleet->program,
                                .run_dir = fleet->run_dir,
                                .ready_timeout_ms = 120000,
                                .drain_timeout_ms = 10000,
                                .max_restarts = 5};
    struct arguments arguments = {0};
    char provider[PROVIDER_MAX_BYTES];
    const char *readable[2] = {model_path, NULL};
    enum serin_errc rc;
    size_t i;

    if (!watcher)
        return error_set(error, SERIN_NOMEM, "no memory for a replica");
    *watcher = (struct fleet_watcher){fleet, version, place};
    rc = bundles_model_path(fleet->bundles, bundle, true, model_path, sizeof(model_path), error);
    if (rc != SERIN_OK) {
        free(watcher);
        return rc;
    }
    snprintf(label, sizeof(label), "%s#%d", version->name, place);
    snprintf(listen, sizeof(listen), "unix:%s/%d-%d.sock", fleet->run_dir, version->slot, place);
    arguments.list[arguments.count++] = "worker";
    arguments.list[arguments.count++] = "--model";
    arguments.list[arguments.count++] = model_path;
    arguments.list[arguments.count++] = "--name";
    arguments.list[arguments.count++] = version->name;
    arguments.list[arguments.count++] = "--listen";
    arguments.list[arguments.count++] = listen;
    arguments.list[arguments.count++] = "--provider";
    arguments.list[arguments.count++] = bundle_provider(bundle, provider);
    spec.gpu = gpu_for(provider);
    add_argument(&arguments, "--threads", 0, bundle_setting_get(bundle, "threads", fleet->options.threads));
    for (i = 0; i < sizeof(worker_settings) / sizeof(worker_settings[0]); i++) {
        double value = bundle_setting_get(bundle, worker_settings[i].key, -1);

        if (value >= 0)
            add_argument(&arguments, worker_settings[i].option, worker_settings[i].decimals, value);
    }
    spec.arguments = arguments.list;
    spec.socket_path = listen + 5;
    spec.readable = readable;
    spec.memory_bytes = (uint64_t)(bundle_setting_get(bundle, "memory_mb", 0) * 1e6);
    if (spec.memory_bytes == 0)
        spec.memory_bytes = memory_limit_default(bundle->model_bytes);
    version->memory_bytes = spec.memory_bytes;
    version->replicas[place] = (struct fleet_replica){.state = REPLICA_STARTING, .watcher = watcher};
    rc = fleet->driver->start(fleet->loop, &spec, &callbacks, &version->replicas[place].replica, error);
    if (rc != SERIN_OK)
        free(watcher);
    return rc;
}

/* A replica that has failed for good gives its place to a new one. */
static enum serin_errc replace_replica(struct fleet *fleet, struct fleet_version *version, const struct bundle *bundle,
                                       int place, struct serin_error *error)
{
    struct replica *failed = version->replicas[place].replica;
    enum serin_errc rc;

    /* The failed one is let go of first: what follows may fail before it has taken the place. */
    if (version->replicas[place].watcher)
        version->replicas[place].watcher->version = NULL;
    health_close(version->replicas[place].health);
    version->replicas[place] = (struct fleet_replica){.state = REPLICA_FAILED};
    rc = start_replica(fleet, version, bundle, place, error);
    if (rc != SERIN_OK) {
        version->replicas[place] = (struct fleet_replica){.state = REPLICA_FAILED};
        snprintf(version->replicas[place].why, sizeof(version->replicas[place].why), "%s", error->message);
    }
    if (failed)
        fleet->driver->stop(failed);
    return rc;
}

/* Somebody's server: a replica without a process. */
static enum serin_errc start_url(struct fleet *fleet, struct fleet_version *version, struct serin_error *error)
{
    struct fleet_watcher *watcher = calloc(1, sizeof(*watcher));
    struct fleet_replica *place = &version->replicas[0];

    if (!watcher)
        return error_set(error, SERIN_NOMEM, "no memory for a replica");
    *watcher = (struct fleet_watcher){fleet, version, 0};
    *place = (struct fleet_replica){.state = REPLICA_STARTING, .watcher = watcher};
    memcpy(place->endpoint, version->url, sizeof(version->url));
    version->replica_count = 1;
    return health_new(fleet->loop, version->url, HEALTH_UNKNOWN, fleet->options.health, health_changed, watcher,
                      &place->health, error);
}

/* ---- versions ---- */

static enum serin_errc check_url(const char *url, struct serin_error *error)
{
    struct http_address address;
    const char *authority = strstr(url, "://"), *path;

    if (strlen(url) >= FLEET_MAX_URL)
        return error_set(error, SERIN_INVALID, "the URL has %zu bytes, the limit is %d", strlen(url),
                         FLEET_MAX_URL - 1);
    if (strncmp(url, "unix:", 5) != 0) {
        path = strpbrk(authority ? authority + 3 : url, "/?#");
        if (path && strcmp(path, "/") != 0)
            return error_set(error, SERIN_INVALID,
                             "the URL has '%s' behind its host and port: requests go to /v2 there, so put a proxy that "
                             "adds a prefix between",
                             path);
    }
    return http_address_parse(url, &address, error);
}

static int slot_of(struct fleet *fleet, const char *name)
{
    int i;

    for (i = 0; i < fleet->slot_count; i++)
        if (strcmp(fleet->slot_names[i], name) == 0)
            return i;
    if (fleet->slot_count == FLEET_MAX_SLOTS)
        return -1;
    snprintf(fleet->slot_names[fleet->slot_count], sizeof(fleet->slot_names[0]), "%s", name);
    return fleet->slot_count++;
}

int fleet_slot(struct fleet *fleet, const char *name)
{
    int slot = slot_of(fleet, name);

    return slot >= 0 ? slot : FLEET_MAX_SLOTS;
}

static enum serin_errc new_version(struct fleet *fleet, const struct version_name *name, const char *text,
                                   const char *url, struct fleet_version **ret, struct serin_error *error)
{
    struct fleet_version *version;
    int slot;

    if (fleet->version_count == FLEET_MAX_VERSIONS)
        return error_set(error, SERIN_LIMIT, "%d versions are served already, the limit", FLEET_MAX_VERSIONS);
    slot = slot_of(fleet, text);
    if (slot < 0)
        return error_set(error, SERIN_LIMIT, "%d versions were served since the start, the limit: restart serin serve",
                         FLEET_MAX_SLOTS);
    version = calloc(1, sizeof(*version));
    if (!version)
        return error_set(error, SERIN_NOMEM, "no memory for a version");
    snprintf(version->name, sizeof(version->name), "%s", text);
    memcpy(version->model, name->model, sizeof(version->model));
    memcpy(version->tag, name->tag, sizeof(version->tag));
    snprintf(version->url, sizeof(version->url), "%s", url);
    version->slot = slot;
    fleet->versions[fleet->version_count++] = version;
    *ret = version;
    return SERIN_OK;
}

enum serin_errc fleet_add(struct fleet *fleet, const char *name, int replicas, const char *url,
                          struct fleet_version **ret, struct serin_error *error)
{
    struct fleet_version *version = fleet_find(fleet, name);
    struct version_name parsed;
    struct bundle bundle = {0};
    enum serin_errc rc;
    bool is_new = !version;
    int i;

    rc = version_name_parse(name, &parsed, error);
    if (rc == SERIN_OK && url[0])
        rc = check_url(url, error);
    if (rc != SERIN_OK)
        return rc;
    if (version && version->leaving)
        return error_set(error, SERIN_LIMIT, "%s is still stopping: try again in some seconds", name);
    if (version && strcmp(version->url, url) != 0)
        return error_set(error, SERIN_LIMIT, "%s is served from another place: undeploy it first", name);
    if (version && replicas < version->replica_count)
        return error_set(error, SERIN_LIMIT, "%s has %d replicas: fewer need an undeploy first", name,
                         version->replica_count);
    if (replicas < 1 || replicas > FLEET_MAX_REPLICAS)
        return error_set(error, SERIN_INVALID, "%d replicas, 1 to %d are possible", replicas, FLEET_MAX_REPLICAS);
    if (!url[0]) {
        rc = bundles_find(fleet->bundles, name, &bundle, error);
        if (rc != SERIN_OK)
            return rc;
    }
    if (is_new)
        rc = new_version(fleet, &parsed, name, url, &version, error);
    if (is_new && rc == SERIN_OK && !url[0])
        rc = bundles_set_in_use(fleet->bundles, name, true, error); /* serin rm leaves it alone */
    if (is_new && rc == SERIN_OK && url[0])
        rc = start_url(fleet, version, error);
    for (i = 0; rc == SERIN_OK && i < version->replica_count; i++)
        if (version->replicas[i].state == REPLICA_FAILED)
            rc = replace_replica(fleet, version, &bundle, i, error);
    for (; rc == SERIN_OK && !url[0] && version->replica_count < replicas; version->replica_count++) {
        rc = start_replica(fleet, version, &bundle, version->replica_count, error);
        if (rc != SERIN_OK)
            break;
    }
    bundle_done(&bundle);
    if (rc != SERIN_OK) {
        if (is_new && version)
            fleet_remove(fleet, version);
        return rc;
    }
    *ret = version;
    return SERIN_OK;
}

static bool is_there(const struct fleet *fleet, const struct fleet_version *version)
{
    int i;

    for (i = 0; i < fleet->version_count; i++)
        if (fleet->versions[i] == version)
            return true;
    return false;
}

void fleet_remove(struct fleet *fleet, struct fleet_version *version)
{
    bool any = false;
    int i;

    version->leaving = true;
    for (i = 0; i < version->replica_count; i++)
        any |= version->replicas[i].replica != NULL;
    if (!any) {
        end_if_gone(fleet, version);
        return;
    }
    for (i = 0; is_there(fleet, version) && i < version->replica_count; i++) /* the last STOPPED frees the version */
        if (version->replicas[i].replica)
            fleet->driver->stop(version->replicas[i].replica);
}

void fleet_stop(struct fleet *fleet, void (*done)(void *user), void *user)
{
    int i;

    fleet->stopped = done;
    fleet->stopped_user = user;
    if (fleet->version_count == 0) {
        done(user);
        return;
    }
    for (i = fleet->version_count - 1; i >= 0; i--)
        fleet_remove(fleet, fleet->versions[i]);
}

void fleet_free(struct fleet *fleet)
{
    free(fleet);
}
