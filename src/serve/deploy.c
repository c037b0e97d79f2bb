/*
 * deploy.c - making a version serve: start it, wait until it is ready, then let the route know.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Weight follows readiness, never the other way round (a canary that got traffic before it was ready is a known way to
 * fail), and admission (admit.c) comes before both. The former stable version keeps running with weight 0, so that
 * going back is a pointer swap.
 */
#include "serve/inside.h"

#include "serve/rollouts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FULL_WEIGHT 100
#define CLOCK_MS    100

void deploy_split_name(const char *name, char *model, char *tag, size_t size)
{
    const char *colon = strchr(name, ':');

    snprintf(model, size, "%.*s", colon ? (int)(colon - name) : (int)strlen(name), name);
    snprintf(tag, size, "%s", colon ? colon + 1 : "");
}

/* Lets the route have the version: as stable with all the weight, or with none yet. What serves it is stored with it.
 */
static enum serin_errc enter_route(struct server *server, const struct deployment *deployment,
                                   struct serin_error *error)
{
    struct state_serving serving = {.replicas = deployment->deploy.replicas};
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    struct route route;
    bool changes = deployment->added > 0;
    int at, version, i;

    deploy_split_name(deployment->deploy.name, model, tag, sizeof(model));
    at = table_find(server, model);
    if (at >= 0) {
        route = server->table.entries[at].route;
    } else {
        route_init(&route, model);
        if (getrandom(&route.salt, sizeof(route.salt), 0) != (ssize_t)sizeof(route.salt))
            route.salt = uv_hrtime();
    }
    version = route_find(&route, tag);
    if (version < 0) {
        if (route.version_count == ROUTE_MAX_VERSIONS)
            return error_set(error, SERIN_LIMIT, "the route of '%s' has %d versions, the limit: undeploy one", model,
                             ROUTE_MAX_VERSIONS);
        changes = true;
        version = route.version_count++;
        route.versions[version] = (struct route_version){0};
        snprintf(route.versions[version].tag, sizeof(route.versions[version].tag), "%s", tag);
    }
    if (deployment->deploy.stable || !route.stable[0]) {
        changes |= strcmp(route.stable, tag) != 0;
        for (i = 0; i < route.version_count; i++) {
            uint32_t weight = i == version ? FULL_WEIGHT : 0;

            changes |= route.versions[i].weight != weight || route.versions[i].drain_weight != 0;
            route.versions[i].weight = weight;
            route.versions[i].drain_weight = 0;
        }
        snprintf(route.stable, sizeof(route.stable), "%s", tag);
    }
    if (!changes) /* a revision is something that changed */
        return SERIN_OK;
    snprintf(serving.name, sizeof(serving.name), "%s", deployment->deploy.name);
    snprintf(serving.url, sizeof(serving.url), "%s", deployment->deploy.url);
    return table_put(server, &route, &serving, NULL, deployment->author, error);
}

static enum serin_errc complete(struct server *server, const struct deployment *deployment, struct serin_error *error)
{
    enum serin_errc rc = enter_route(server, deployment, error);

    if (rc == SERIN_OK) /* who deploys it again has mended it */
        gateway_breaker_reset(server->gateway, fleet_slot(server->fleet, deployment->deploy.name));
    return rc;
}

static void answer(struct server *server, struct deployment *deployment, enum serin_errc rc, struct serin_error *error)
{
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    struct buffer out;

    log_event(server->log, rc == SERIN_OK ? "info" : "error", "deploying", "%s by %s: %s", deployment->deploy.name,
              deployment->author, rc == SERIN_OK ? "ready" : error->message);
    if (!deployment->exchange)
        return;
    deploy_split_name(deployment->deploy.name, model, tag, sizeof(model));
    buffer_init(&out, 1 << 20);
    if (rc == SERIN_OK)
        rc = report_route(server, model, &out, error);
    api_answered(deployment->exchange, rc, rc == SERIN_OK ? out.bytes : error->message);
    buffer_done(&out);
}

bool deploy_is_in_route(const struct server *server, const char *name)
{
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    int at;

    deploy_split_name(name, model, tag, sizeof(model));
    at = table_find(server, model);
    return at >= 0 && route_find(&server->table.entries[at].route, tag) >= 0;
}

bool deploy_has_weight(const struct server *server, const char *name)
{
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    int at, v;

    deploy_split_name(name, model, tag, sizeof(model));
    at = table_find(server, model);
    v = at < 0 ? -1 : route_find(&server->table.entries[at].route, tag);
    return v >= 0 && server->table.entries[at].route.versions[v].weight > 0;
}

/* Why it will not get ready, as a sentence in text; NULL: it may. The driver knows when to give a worker up; somebody's
 * server has its time. */
static const char *failure_of(const struct server *server, const struct deployment *deployment,
                              const struct fleet_version *version, char *text, size_t size)
{
    uint64_t wait_ms = (uint64_t)(server->options.url_wait_seconds * 1000);
    const struct fleet_replica *replica;

    if (!version || version->leaving)
        return "it was undeployed meanwhile";
    if (!version->url[0])
        return fleet_failure(version);
    replica = &version->replicas[0];
    if (fleet_is_up(replica) || uv_now(&server->loop) - deployment->started_ms < wait_ms)
        return NULL;
    snprintf(text, size, "%s is not ready after %g s: %s", version->url, server->options.url_wait_seconds,
             replica->why[0] ? replica->why : "it has not answered yet");
    return text;
}

void deploy_look(struct server *server)
{
    struct deployment **place = &server->deployments;

    while (*place) {
        struct deployment *deployment = *place;
        struct fleet_version *version = fleet_find(server->fleet, deployment->deploy.name);
        struct serin_error error = {0};
        enum serin_errc rc = SERIN_OK;
        char text[512];
        const char *failure = failure_of(server, deployment, version, text, sizeof(text));

        if (failure)
            rc = error_set(&error, SERIN_LIMIT, "%s did not get ready: %s", deployment->deploy.name, failure);
        else if (fleet_ready_count(version) < version->replica_count ||
                 !admit_when_ready(deployment, version, &rc, &error)) {
            place = &deployment->next;
            continue;
        }
        *place = deployment->next;
        admit_cancel(deployment);
        if (rc == SERIN_OK)
            rc = complete(server, deployment, &error);
        if (rc != SERIN_OK && version && !version->leaving && !deploy_is_in_route(server, version->name))
            fleet_remove(server->fleet, version); /* one in the route may serve with other replicas */
        answer(server, deployment, rc, &error);
        free(deployment);
        place = &server->deployments; /* what was called may have changed the list */
    }
    if (!server->deployments)
        uv_timer_stop(&server->deploy_clock);
}

void deploy_end_all(struct server *server)
{
    while (server->deployments) {
        struct deployment *deployment = server->deployments;
        struct serin_error error;

        server->deployments = deployment->next;
        admit_cancel(deployment);
        error_set(&error, SERIN_IO, "serin serve is ending: %s was not deployed", deployment->deploy.name);
        answer(server, deployment, error.code, &error);
        free(deployment);
    }
    uv_timer_stop(&server->deploy_clock);
}

static void client_left(void *user)
{
    struct deployment *deployment = user;
    struct http_exchange *exchange = deployment->exchange;

    deployment->exchange = NULL; /* the deploy itself goes on */
    http_respond(exchange, 499, NULL, NULL);
}

/* As many as were asked for; else as many as run, or as the bundle says. */
static enum serin_errc choose_replicas(struct server *server, struct admin_deploy *deploy, int running,
                                       struct serin_error *error)
{
    struct bundle bundle = {0};
    enum serin_errc rc;

    if (deploy->replicas > 0)
        return SERIN_OK;
    deploy->replicas = running > 0 ? running : 1;
    if (running > 0 || deploy->url[0])
        return SERIN_OK;
    rc = bundles_find(server->bundles, deploy->name, &bundle, error);
    if (rc == SERIN_OK)
        deploy->replicas = (int)bundle_setting_get(&bundle, "replicas", 1);
    bundle_done(&bundle);
    return rc;
}

static void look_again(uv_timer_t *clock)
{
    deploy_look(clock->data);
}

enum serin_errc deploy_start(void *user, const struct admin_deploy *deploy, struct http_exchange *exchange,
                             struct serin_error *error)
{
    struct server *server = user;
    struct deployment *deployment;
    struct fleet_version *version = fleet_find(server->fleet, deploy->name);
    int running = version ? version->replica_count : 0;
    enum serin_errc rc;

    rc = takeover_check(server, error);
    if (rc != SERIN_OK)
        return rc;
    for (deployment = server->deployments; deployment; deployment = deployment->next)
        if (strcmp(deployment->deploy.name, deploy->name) == 0)
            return error_set(error, SERIN_LIMIT, "%s is being deployed already, by %s", deploy->name,
                             deployment->author);
    deployment = calloc(1, sizeof(*deployment));
    if (!deployment)
        return error_set(error, SERIN_NOMEM, "no memory for a deploy");
    if (deploy->stable) {
        char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];

        deploy_split_name(deploy->name, model, tag, sizeof(model));
        rc = rollouts_check_free(server->rollouts, model, NULL, error);
        if (rc != SERIN_OK) {
            free(deployment);
            return rc;
        }
    }
    deployment->server = server;
    deployment->started_ms = uv_now(&server->loop);
    deployment->exchange = exchange;
    deployment->deploy = *deploy;
    snprintf(deployment->author, sizeof(deployment->author), "%s", deploy->author);
    rc = choose_replicas(server, &deployment->deploy, running, error);
    if (rc == SERIN_OK)
        rc = admit_before_start(server, &deployment->deploy, error);
    if (rc == SERIN_OK)
        rc = fleet_add(server->fleet, deploy->name, deployment->deploy.replicas, deploy->url, &version, error);
    if (rc != SERIN_OK) {
        free(deployment);
        return rc;
    }
    deployment->added = version->replica_count - running;
    http_exchange_on_abort(exchange, client_left, deployment);
    deployment->next = server->deployments;
    server->deployments = deployment;
    uv_timer_start(&server->deploy_clock, look_again, CLOCK_MS, CLOCK_MS);
    deploy_look(server); /* it may be ready already */
    return SERIN_OK;
}

/* What still names the tag would lead requests to nobody. */
static enum serin_errc check_unnamed(const struct route *route, const char *tag, struct serin_error *error)
{
    int i;

    for (i = 0; i < route->mirror_count; i++)
        if (strcmp(route->mirrors[i].tag, tag) == 0)
            return error_set(error, SERIN_LIMIT,
                             "%s:%s gets copies: take it off the mirrors first (serin route set %s --mirror none)",
                             route->model, tag, route->model);
    for (i = 0; i < route->rule_count; i++)
        if (strcmp(route->rules[i].tag, tag) == 0)
            return error_set(error, SERIN_LIMIT,
                             "a rule sends requests with the header %s to %s:%s: take it away first (serin route set "
                             "%s --rule none)",
                             route->rules[i].header, route->model, tag, route->model);
    return SERIN_OK;
}

enum serin_errc deploy_undo(void *user, const char *name, const char *author, struct serin_error *error)
{
    struct server *server = user;
    struct fleet_version *version = fleet_find(server->fleet, name);
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    enum serin_errc rc;
    int at, v, i;

    rc = takeover_check(server, error);
    if (rc != SERIN_OK)
        return rc;
    if (!version || version->leaving)
        return error_set(error, SERIN_NOT_FOUND, "'%s' is not served; GET /api/v1/status has what is", name);
    deploy_split_name(name, model, tag, sizeof(model));
    rc = rollouts_check_free(server->rollouts, model, tag, error);
    if (rc != SERIN_OK)
        return rc;
    at = table_find(server, model);
    v = at < 0 ? -1 : route_find(&server->table.entries[at].route, tag);
    if (v >= 0) {
        struct route route = server->table.entries[at].route;

        if (route.versions[v].weight > 0 || route.versions[v].drain_weight > 0)
            return error_set(error, SERIN_LIMIT, "%s has weight %u: take it away first (serin route set %s %s=0)", name,
                             route.versions[v].weight, model, tag);
        if (strcmp(route.stable, tag) == 0)
            return error_set(error, SERIN_LIMIT, "%s is the stable version of its route: make another one stable first",
                             name);
        rc = check_unnamed(&route, tag, error);
        if (rc != SERIN_OK)
            return rc;
        for (i = v; i + 1 < route.version_count; i++)
            route.versions[i] = route.versions[i + 1];
        route.version_count--;
        rc = table_put(server, &route, NULL, name, author, error);
    } else {
        rc = state_remove_serving(server->state, name, author, error);
    }
    if (rc == SERIN_OK) {
        fleet_remove(server->fleet, version);
        deploy_look(server); /* somebody may have waited for it */
    }
    return rc;
}
