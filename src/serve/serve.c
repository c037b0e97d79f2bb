/*
 * serve.c - putting the process together, and taking it apart.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Start: folders, state, bundles, gateway (it listens, and answers 503 until something is ready), what was served
 * before, admin API. One that takes over gets the sockets and answers nothing before all is ready. End, on SIGTERM or
 * SIGINT, or when another one has taken over: the gateway stops listening and lets requests in flight end, then the
 * workers drain, then the admin API, which has told of all this, closes.
 */
#include "http/address.h"
#include "http/tls.h"
#include "serve/hooks.h"
#include "serve/freeze.h"
#include "serve/rollouts.h"
#include "serve/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_BODY_BYTES    (16 << 20)
#define KEPT_HEAP_BYTES    (256 << 20)
#define GIVE_BACK_S        10 /* under load the pages come back, for less than .5 % of the time */
#define CERTIFICATE_SOON_S (14 * 86400)
#define SECOND_MS          1000 /* a key of the data port that another process has revoked opens nothing after this */

/* mkdir -p for the last two parts. */
static enum serin_errc make_folder(const char *path, mode_t mode, struct serin_error *error)
{
    char parent[1200], *slash;

    snprintf(parent, sizeof(parent), "%s", path);
    for (slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(parent, 0755);
        *slash = '/';
    }
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    return SERIN_OK;
}

/* Two programs on one folder would each undo what the other does. */
static enum serin_errc lock_folder(const char *path, int *ret_fd, struct serin_error *error)
{
    char name[1200];
    int fd;

    snprintf(name, sizeof(name), "%s/serve.lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return error_set(error, SERIN_LIMIT, "%s is in use by another serin serve", path);
    }
    *ret_fd = fd;
    return SERIN_OK;
}

/* A socket's path has 107 bytes at most; a data folder with a longer one gets its sockets in /tmp. Who takes over needs
 * another folder than the one before, whose workers still run. */
static enum serin_errc choose_run_dir(struct server *server, struct serin_error *error)
{
    const char *elder = takeover_handed(server)->run_dir;
    int n = snprintf(server->run_dir, sizeof(server->run_dir), "%s/run/0", server->options.data_dir);

    if (n > 0 && n <= 60 && server->options.data_dir[0] == '/') {
        if (strcmp(server->run_dir, elder) == 0)
            server->run_dir[n - 1] = '1';
        return make_folder(server->run_dir, 0700, error);
    }
    snprintf(server->run_dir, sizeof(server->run_dir), "/tmp/serin-XXXXXX");
    if (!mkdtemp(server->run_dir))
        return error_set(error, SERIN_IO, "/tmp: %s", strerror(errno));
    return SERIN_OK;
}

/* ---- events ---- */

static bool is_settled(const struct server *server)
{
    int i;

    for (i = 0; i < server->table.entry_count; i++) {
        const struct route *route = &server->table.entries[i].route;
        int v = route_find(route, route->stable);
        char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
        const struct fleet_version *version;

        snprintf(name, sizeof(name), "%s:%s", route->model, route->stable);
        version = fleet_find(server->fleet, name);
        if (v >= 0 && version && fleet_ready_count(version) == 0 && !fleet_failure(version) &&
            !(version->url[0] && version->replicas[0].why[0])) /* it was asked; it is not ours to wait for */
            return false;
    }
    return true;
}

static void announce(struct server *server)
{
    if (server->announced || !server->open || !is_settled(server))
        return;
    server->announced = true;
    /* Not by stdio, which would remember that nobody read it, and make a failure of the whole. */
    if (dprintf(STDOUT_FILENO, "serving on %s, admin on %s\n", server->options.listen, server->options.admin) < 0)
        log_event(server->log, "info", "starting", "nobody reads stdout: serving on %s, admin on %s",
                  server->options.listen, server->options.admin);
}

static void fleet_changed(void *user, struct fleet_version *version)
{
    struct server *server = user;
    int i;

    if (server->stopping)
        return;
    for (i = 0; i < version->replica_count; i++)
        if (!fleet_is_up(&version->replicas[i]) && version->replicas[i].why[0] &&
            (version->url[0] || version->replicas[i].state != REPLICA_STARTING))
            log_event(server->log, "warn", "watching replicas", "%s#%d is %s: %s", version->name, i,
                      version->replicas[i].state == REPLICA_READY ? "down"
                                                                  : replica_state_text(version->replicas[i].state),
                      version->replicas[i].why);
    table_refresh(server);
    deploy_look(server);
    takeover_look(server);
    announce(server);
}

static void worker_logged(void *user, const char *name, const char *line)
{
    struct server *server = user;

    log_event(server->log, "info", "worker", "%s: %s", name, line);
}

static void nothing_left(void *user)
{
    (void)user;
}

/* ---- the end ---- */

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *)&server->terminated, NULL);
    uv_close((uv_handle_t *)&server->interrupted, NULL);
    uv_close((uv_handle_t *)&server->hung_up, NULL);
    uv_close((uv_handle_t *)&server->deploy_clock, NULL);
    uv_close((uv_handle_t *)&server->second_clock, NULL);
    uv_close((uv_handle_t *)&server->gateway_stopped, NULL);
}

static void api_closed(void *user)
{
    close_handles(user);
}

static void fleet_stopped(void *user)
{
    struct server *server = user;

    if (server->api)
        api_close(server->api, false, api_closed, server);
    else
        close_handles(server);
}

static void stop_fleet(uv_async_t *gateway_stopped)
{
    struct server *server = gateway_stopped->data;

    fleet_stop(server->fleet, fleet_stopped, server);
}

/* On a thread of the gateway. */
static void gateway_has_stopped(void *user)
{
    uv_async_send(&((struct server *)user)->gateway_stopped);
}

void serve_end(struct server *server, bool handed_over)
{
    if (server->stopping)
        return;
    server->stopping = true;
    rollouts_close(server->rollouts); /* an heir takes them up; else the dead-man rule sends all to stable */
    server->rollouts = NULL;
    deploy_end_all(server);
    shelf_end_all(server);
    takeover_end(server, handed_over);
    if (server->api && handed_over) {
        api_close(server->api, true, NULL, NULL);
        server->api = NULL;
    }
    if (server->open)
        gateway_stop(server->gateway, (uint64_t)(server->options.drain_seconds * 1000), handed_over,
                     gateway_has_stopped, server);
    else
        gateway_has_stopped(server);
}

void serve_fail(struct server *server, enum serin_errc rc, const char *sentence)
{
    if (server->stopping)
        return;
    error_set(&server->failure, rc, "%s", sentence);
    log_event(server->log, "error", "ending", "%s", sentence);
    serve_end(server,
              takeover_is_heir(server)); /* what it may have begun to accept, the one before goes on accepting */
}

static void asked_to_end(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;

    log_event(server->log, "info", "ending", "on %s%s", number == SIGTERM ? "SIGTERM" : "SIGINT",
              server->stopping ? ", the second one: at once" : "");
    if (server->stopping) { /* the kernel ends the workers with this process */
        log_close(server->access_log);
        log_close(server->log);
        _exit(1);
    }
    serve_end(server, false);
}

/* ---- what the admin API asks ---- */

/* An ended certificate is served all the same: without it nobody would be answered, with it those who do not look. */
static void tell_certificate(const struct server *server)
{
    const double left_s = server->tls ? tls_server_left_s(server->tls) : (double)INFINITY;

    if (left_s < CERTIFICATE_SOON_S)
        log_event(server->log, "warn", "reading the certificate", "%s %s %.1f days%s", server->options.tls_certificate,
                  left_s < 0 ? "ended" : "ends in", fabs(left_s) / 86400,
                  left_s < 0 ? " ago: clients that look at it refuse it" : ": renew it, then 'serin reload'");
}

static enum serin_errc reload(void *user, struct serin_error *error)
{
    struct server *server = user;
    struct serve_options wish, wish_in_force = server->options;
    enum serin_errc rc = takeover_check(server, error);

    if (rc == SERIN_OK)
        rc = server->read.read(server->read.read_user, &wish, error);
    if (rc == SERIN_OK) /* the files' names stay, what is in them may not; first what can fail without a trace */
        rc = serve_options_change(&server->read, &wish, &wish_in_force, error);
    if (rc == SERIN_OK && server->tls)
        rc = tls_server_reload(server->tls, error);
    if (rc == SERIN_OK)
        server->options = wish_in_force;
    if (rc == SERIN_OK) {
        wish.read = server->read.read;
        wish.read_user = server->read.read_user;
        server->read = wish;
    }
    log_event(server->log, rc == SERIN_OK ? "info" : "error", "reading the configuration again", "%s",
              rc == SERIN_OK ? "it is in force" : error->message);
    tell_certificate(server);
    return rc;
}

static void hung_up(uv_signal_t *handle, int number)
{
    struct serin_error error;

    (void)number;
    (void)!reload(handle->data, &error); /* the log has it */
}

static enum serin_errc put_route(void *server, const struct route *route, const char *author, struct serin_error *error)
{
    enum serin_errc rc = rollouts_check_free(((struct server *)server)->rollouts, route->model, NULL, error);

    return rc == SERIN_OK ? table_put(server, route, NULL, NULL, author, error) : rc;
}

static enum serin_errc remove_route(void *server, const char *model, const char *author, struct serin_error *error)
{
    enum serin_errc rc = rollouts_check_free(((struct server *)server)->rollouts, model, NULL, error);

    return rc == SERIN_OK ? table_remove(server, model, author, error) : rc;
}

/* ---- the whole ---- */

static enum serin_errc make_gateway(struct server *server, struct serin_error *error)
{
    struct gateway_options options;
    enum serin_errc rc;

    gateway_options_init(&options);
    options.listen = server->options.listen;
    options.threads = (int)server->options.gateway_threads;
    options.server.max_connections = (int)server->options.max_connections;
    options.server.limits.max_body_bytes = (size_t)(server->options.max_body_mb * 1e6);
    options.server.max_buffered_bytes = (uint64_t)(server->options.max_buffered_mb * 1e6);
    options.mirrors_in_flight = (int)server->options.mirrors_in_flight;
    options.log = server->options.access_log[0] ? log_line : NULL;
    options.log_user = server->access_log;
    options.log_sample = server->options.log_sample;
    options.trace = server->tracer ? tracer_take : NULL;
    options.trace_user = server->tracer;
    options.trace_sample = server->options.trace_sample;
    options.cors_origins = server->options.cors_origins;
    options.server.tls = server->tls;
    options.upstream_tls = server->options.upstream_tls;
    options.sockets = takeover_handed(server)->data;
    options.socket_count = takeover_handed(server)->data_count;
    rc = gateway_new(&options, &server->gateway, error);
    if (rc == SERIN_OK) { /* port 0 became a number */
        char *colon = strrchr(server->options.listen, ':');

        if (colon && strcmp(colon, ":0") == 0)
            snprintf(colon, 8, ":%d", gateway_port(server->gateway));
    }
    return rc;
}

static void log_access(void *user, const char *level, const char *doing, const char *what)
{
    log_event(((struct server *)user)->log, level, doing, "%s", what);
}

/* Who is turned away at the door leaves no line in the access log, so that somebody must say it. */
static void tell_of_crowd(struct server *server)
{
    struct gateway_connections now;
    uint64_t refused, evicted;

    gateway_read_connections(server->gateway, &now);
    refused = now.refused - server->crowd_told.refused;
    evicted = now.evicted - server->crowd_told.evicted;
    if (refused + evicted > 0)
        log_event(server->log, "warn", "taking connections",
                  "%llu are open and the limit (max_connections: %.0f for each of %.0f threads) was reached: %llu idle "
                  "ones were closed for new ones, %llu new ones were refused",
                  (unsigned long long)now.open, server->options.max_connections, server->options.gateway_threads,
                  (unsigned long long)evicted, (unsigned long long)refused);
    server->crowd_told = now;
}

static void tell_of_lost_lines(struct server *server)
{
    unsigned long dropped = log_counts(server->access_log).dropped;

    if (dropped > server->lost_told)
        log_event(server->log, "warn", "logging",
                  "%lu lines of the access log were lost: nobody reads %.200s fast enough, or its disk is full",
                  dropped - server->lost_told, server->options.access_log);
    server->lost_told = dropped;
}

/* Somebody has deleted the folder, or put a backup's file in its place: what is open is not what a start would find. */
static void look_for_state(struct server *server)
{
    const bool was_gone = server->state_gone;

    server->state_gone = state_is_gone(server->state);
    if (server->state_gone && !was_gone)
        log_event(
            server->log, "error", "looking at the data folder",
            "%s/state.db was deleted or replaced: what is in force goes on, and no change is taken that is not a way "
            "back; put it where it was from the backup, and start the program anew",
            server->options.data_dir);
}

/* What bodies took goes back some seconds after they are gone, but for the end of each thread's arena. */
static void give_back(struct server *server)
{
    size_t resident = 0;

    if (++server->seconds % GIVE_BACK_S != 0 || uv_resident_set_memory(&resident) != 0 ||
        resident < server->resident_bytes + KEPT_BODY_BYTES)
        return;
    malloc_trim(0);
    if (uv_resident_set_memory(&resident) == 0)
        server->resident_bytes = resident;
}

static void second_over(uv_timer_t *clock)
{
    struct server *server = clock->data;

    give_back(server);
    look_for_state(server);
    table_store(server);
    if (!server->stopping) {
        tell_of_crowd(server);
        tell_of_lost_lines(server);
    }
    if (access_refresh(server->access) && !server->stopping)
        table_refresh(server);
}

static enum serin_errc start_access(struct server *server, struct serin_error *error)
{
    const struct access_options options = {.state = server->state,
                                           .open = http_address_is_local(server->options.admin),
                                           .secure = server->tls && strncmp(server->options.admin, "unix:", 5) != 0,
                                           .log = log_access,
                                           .log_user = server};
    enum serin_errc rc = access_new(&options, &server->access, error);

    if (rc == SERIN_OK)
        uv_timer_start(&server->second_clock, second_over, SECOND_MS, SECOND_MS);
    return rc;
}

/* A hot restart takes seconds, in which one process or the other takes no changes. */
static bool is_passing(void *user)
{
    const struct server *server = user;

    return takeover_check(server, NULL) != SERIN_OK || (server->rollouts && !rollouts_are_ours(server->rollouts));
}

static enum serin_errc start_api(struct server *server, struct serin_error *error)
{
    const struct admin_target target = {.user = server,
                                        .status = report_status,
                                        .is_passing = is_passing,
                                        .routes = report_routes,
                                        .route = report_route,
                                        .put_route = put_route,
                                        .remove_route = remove_route,
                                        .undeploy = deploy_undo,
                                        .changes = report_changes,
                                        .freezes = freezes_list,
                                        .set_freeze = freezes_set,
                                        .end_freeze = freezes_end,
                                        .reload = reload,
                                        .metrics = metrics_write,
                                        .deploy = deploy_start,
                                        .versions = shelf_versions,
                                        .try_picture = shelf_try,
                                        .rollouts = rollouts_list,
                                        .rollout = rollouts_report,
                                        .rollout_history = rollouts_history,
                                        .start_rollout = rollouts_start,
                                        .act_on_rollout = rollouts_act,
                                        .frames = frames_list,
                                        .frame = frames_show,
                                        .frame_picture = frames_show_picture,
                                        .judge_frame = frames_say,
                                        .remove_frames = frames_forget_all,
                                        .remove_frame = frames_forget};
    enum serin_errc rc = api_new(&server->loop, server->options.admin, takeover_handed(server)->admin, &target,
                                 server->access, server->tls, &server->api, error);
    char *colon = strrchr(server->options.admin, ':');

    if (rc == SERIN_OK && colon && strcmp(colon, ":0") == 0)
        snprintf(colon, 8, ":%d", api_port(server->api));
    return rc;
}

enum serin_errc serve_open(struct server *server, struct serin_error *error)
{
    /* Before the first request: none may go to a canary that nobody watches. */
    enum serin_errc rc = freezes_new(server, &server->freezes, error);

    if (rc == SERIN_OK)
        rc = rollouts_new(server, &server->rollouts, error);
    if (rc == SERIN_OK) {
        server->open = true; /* some threads may run: they are to be stopped */
        rc = gateway_start(server->gateway, error);
    }
    if (rc == SERIN_OK)
        rc = start_api(server, error);
    if (rc == SERIN_OK)
        rc = takeover_open_door(server, error);
    return rc;
}

static enum serin_errc start(struct server *server, const char *program, struct serin_error *error)
{
    struct fleet_options fleet = {.program = program,
                                  .run_dir = server->run_dir,
                                  .threads = (int)server->options.worker_threads,
                                  .health = &server->options,
                                  .changed = fleet_changed,
                                  .logged = worker_logged,
                                  .user = server};
    char path[1200];
    enum serin_errc rc;

    rc = choose_run_dir(server, error);
    if (rc == SERIN_OK)
        rc = log_open(server->options.log, &server->log, error);
    if (rc == SERIN_OK)
        rc = log_open(server->options.access_log, &server->access_log, error);
    snprintf(path, sizeof(path), "%s/state.db", server->options.data_dir);
    if (rc == SERIN_OK)
        rc = state_open(path, &server->state, error);
    if (rc == SERIN_OK) {
        state_hurry(server->state);
        rc = serve_make_tls(&server->options, &server->tls, error);
    }
    if (rc == SERIN_OK)
        tell_certificate(server);
    if (rc == SERIN_OK)
        rc = tls_client_new(server->options.upstream_ca, &server->options.upstream_tls, error);
    if (rc == SERIN_OK)
        rc = start_access(server, error);
    if (rc == SERIN_OK)
        rc = bundles_open(server->options.data_dir, &server->bundles, error);
    if (rc == SERIN_OK)
        rc = fleet_new(&server->loop, server->bundles, &fleet, &server->fleet, error);
    if (rc == SERIN_OK && server->options.trace_endpoint[0])
        rc = tracer_new(server->options.trace_endpoint, server->log, &server->tracer, error);
    if (rc == SERIN_OK)
        rc = make_gateway(server, error);
    if (rc == SERIN_OK)
        rc = table_load(server, error);
    if (rc == SERIN_OK && !takeover_is_heir(server))
        rc = serve_open(server, error);
    return rc;
}

enum serin_errc serve_run(const struct serve_options *options, const char *program, struct serin_error *error)
{
    struct server *server = calloc(1, sizeof(*server));
    char absolute[PATH_MAX];
    enum serin_errc rc;

    if (!server)
        return error_set(error, SERIN_NOMEM, "no memory for the server");
    signal(SIGPIPE, SIG_IGN);
    hooks_make_room();
    /* Bodies of pictures come and go thousands of times a second: taken from the heap they are warm, mapped anew each
     * time the kernel would clear every page of them. */
    mallopt(M_MMAP_THRESHOLD, KEPT_BODY_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_HEAP_BYTES);
    server->options = server->read = *options;
    server->lock = -1;
    uv_loop_init(&server->loop);
    uv_update_time(&server->loop);
    server->started_ms = uv_now(&server->loop);
    uv_signal_init(&server->loop, &server->terminated);
    uv_signal_init(&server->loop, &server->interrupted);
    uv_signal_init(&server->loop, &server->hung_up);
    server->hung_up.data = server;
    uv_timer_init(&server->loop, &server->deploy_clock);
    uv_timer_init(&server->loop, &server->second_clock);
    server->second_clock.data = server;
    uv_async_init(&server->loop, &server->gateway_stopped, stop_fleet);
    server->gateway_stopped.data = server;
    server->deploy_clock.data = server;
    server->terminated.data = server->interrupted.data = server;
    rc = takeover_new(&server->takeover, error);
    if (rc == SERIN_OK)
        rc = serve_check_access(options, error);
    if (rc == SERIN_OK)
        rc = make_folder(options->data_dir, 0755, error);
    if (rc == SERIN_OK && !realpath(options->data_dir, absolute)) /* workers run in a folder of their own */
        rc = error_set(error, SERIN_IO, "%s: %s", options->data_dir, strerror(errno));
    if (rc == SERIN_OK && strlen(absolute) >= sizeof(server->options.data_dir))
        rc = error_set(error, SERIN_LIMIT, "%s has %zu bytes, the limit is %zu", absolute, strlen(absolute),
                       sizeof(server->options.data_dir) - 1);
    if (rc == SERIN_OK)
        memcpy(server->options.data_dir, absolute, strlen(absolute) + 1);
    if (rc == SERIN_OK && options->takeover)
        rc = takeover_ask(server, error);
    if (rc == SERIN_OK && server->lock < 0)
        rc = lock_folder(options->data_dir, &server->lock, error);
    if (rc == SERIN_OK)
        rc = start(server, program, error);
    if (rc == SERIN_OK) {
        uv_signal_start(&server->terminated, asked_to_end, SIGTERM);
        uv_signal_start(&server->interrupted, asked_to_end, SIGINT);
        uv_signal_start(&server->hung_up, hung_up, SIGHUP);
        takeover_look(server);
        announce(server);
        uv_run(&server->loop, UV_RUN_DEFAULT);
        gateway_close(server->gateway);
        if (server->failure.code != SERIN_OK)
            rc = error_set(error, server->failure.code, "%s", server->failure.message);
    } else { /* what was started ends with the process; only the workers must not be left */
        rollouts_close(server->rollouts);
        server->rollouts = NULL;
        gateway_close(server->gateway);
        server->stopping = true;
        if (server->takeover)
            takeover_end(server, false);
        if (server->api)
            api_close(server->api, false, NULL, NULL);
        if (server->fleet)
            fleet_stop(server->fleet, nothing_left, NULL);
        close_handles(server);
        uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    fleet_free(server->fleet);
    bundles_close(server->bundles);
    freezes_free(server->freezes);
    access_free(server->access);
    tls_free(server->tls);
    tls_free(server->options.upstream_tls);
    state_close(server->state);
    tracer_close(server->tracer);
    log_close(server->access_log);
    log_close(server->log);
    uv_loop_close(&server->loop);
    if (strncmp(server->run_dir, "/tmp/", 5) == 0) /* a folder of its own, unless the data lie there */
        (void)rmdir(server->run_dir);
    if (server->lock >= 0)
        close(server->lock);
    takeover_free(server->takeover);
    free(server);
    return rc;
}
