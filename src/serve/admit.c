/*
 * admit.c - what admission needs is gathered, asked and, where somebody confirms it, passed over.
 * SPDX-License-Identifier: Apache-2.0
 *
 * First what two bundles tell, which costs nothing; then the version is started; then, where it or stable has no
 * bundle, both are asked what they take and give; then its warm workers are measured and asked for the golden pictures.
 * Only then does it enter the route.
 */
#include "serve/admission.h"
#include "serve/declaration_check.h"
#include "serve/golden_check.h"
#include "serve/inside.h"

/* What was refused is let in where somebody has said that it is meant; it stays known. */
static enum serin_errc confirmed(struct server *server, const struct admin_deploy *deploy, const char *author,
                                 enum serin_errc rc, const struct serin_error *error)
{
    if (rc != SERIN_LIMIT || !deploy->confirm)
        return rc;
    log_event(server->log, "warn", "deploying", "%s: confirmed by %s: %s", deploy->name, author, error->message);
    return SERIN_OK;
}

/* ---- before it is started ---- */

static bool find_stable(struct server *server, const char *model, char *name, size_t size)
{
    int at = table_find(server, model);

    if (at < 0 || !server->table.entries[at].route.stable[0])
        return false;
    snprintf(name, size, "%s:%s", model, server->table.entries[at].route.stable);
    return true;
}

/* A floor that somebody asks for is not passed by what nobody has measured. The server's own (min_map) is of bundles.
 */
static enum serin_errc admit_unmeasured(struct server *server, const struct admin_deploy *deploy,
                                        struct serin_error *error)
{
    struct serin_error why = {0};
    enum serin_errc rc = SERIN_OK;

    if (deploy->min_map > 0)
        rc =
            error_set(&why, SERIN_LIMIT,
                      "%s has a floor of %g for its accuracy, and no bundle in the store that has been evaluated: push "
                      "one of this name with --eval, or leave --min-map away",
                      deploy->name, deploy->min_map);
    rc = confirmed(server, deploy, deploy->author, rc, &why);
    return rc == SERIN_OK ? rc : error_set(error, rc, "%s", why.message);
}

enum serin_errc admit_before_start(struct server *server, const struct admin_deploy *deploy, struct serin_error *error)
{
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1], stable_name[2 * ROUTE_MAX_TEXT + 2];
    double floor = deploy->min_map > 0 ? deploy->min_map : server->options.min_map;
    const struct fleet_version *running = fleet_find(server->fleet, deploy->name);
    int added = deploy->replicas - (running ? running->replica_count : 0);
    bool has_weight = deploy_has_weight(server, deploy->name), has_stable;
    struct bundle bundle = {0}, stable = {0};
    struct serin_error why = {0};
    enum serin_errc rc;

    rc = bundles_find(server->bundles, deploy->name, &bundle, error);
    if (rc == SERIN_NOT_FOUND && deploy->url[0]) /* somebody's server needs none; one that it has counts */
        return admit_unmeasured(server, deploy, error);
    if (rc != SERIN_OK)
        return rc;
    deploy_split_name(deploy->name, model, tag, sizeof(model));
    has_stable = !has_weight && find_stable(server, model, stable_name, sizeof(stable_name)) &&
                 bundles_find(server->bundles, stable_name, &stable, NULL) == SERIN_OK; /* one with an URL needs none */
    if (has_stable)
        rc = confirmed(server, deploy, deploy->author, admission_check_answers(&bundle, &stable, &why), &why);
    if (rc == SERIN_OK)
        rc = confirmed(
            server, deploy, deploy->author,
            admission_check_accuracy(&bundle, has_stable ? &stable : NULL, floor, server->options.map_margin, &why),
            &why);
    if (rc == SERIN_OK && added > 0 && !deploy->url[0])
        rc = admission_estimate_memory(&bundle, added, admission_available_bytes(),
                                       (uint64_t)(server->options.memory_reserve_mb * 1e6), &why);
    bundle_done(&bundle);
    bundle_done(&stable);
    return rc == SERIN_OK ? rc : error_set(error, rc, "%s", why.message);
}

/* ---- between ready and the route ---- */

static void add_usage(struct server *server, const struct fleet_version *version, uint64_t *resident, uint64_t *peak)
{
    int i;

    for (i = 0; version && i < version->replica_count; i++) {
        struct replica_usage usage;

        fleet_usage(server->fleet, &version->replicas[i], &usage);
        *resident += usage.resident_bytes;
        *peak += usage.peak_bytes;
    }
}

static enum serin_errc measure(struct server *server, const struct bundle *bundle, const struct fleet_version *version,
                               struct serin_error *error)
{
    struct admission_memory memory = {.available = admission_available_bytes()};
    char stable_name[2 * ROUTE_MAX_TEXT + 2];

    add_usage(server, version, &memory.resident, &memory.peak);
    if (find_stable(server, version->model, stable_name, sizeof(stable_name)))
        add_usage(server, fleet_find(server->fleet, stable_name), &memory.stable_resident, &memory.stable_peak);
    return admission_check_memory(bundle, &memory, (uint64_t)(server->options.memory_reserve_mb * 1e6), error);
}

/* One of the questions has been answered. A sentence beside SERIN_OK is to be known. */
static void asked(struct deployment *deployment, enum serin_errc rc, const char *said)
{
    struct server *server = deployment->server;
    struct serin_error error = {0};

    if (rc == SERIN_OK && said[0])
        log_event(server->log, "warn", "deploying", "%s: %s", deployment->deploy.name, said);
    if (rc != SERIN_OK)
        error_set(&error, rc, "%s: confirm it where that is meant (--confirm)", said);
    rc = confirmed(server, &deployment->deploy, deployment->author, rc, &error);
    deployment->refused = rc != SERIN_OK;
    if (deployment->refused)
        deployment->why = error;
    deploy_look(server);
}

static void declarations_compared(void *user, enum serin_errc rc, const char *said)
{
    ((struct deployment *)user)->declarations = NULL;
    asked(user, rc, said);
}

static void golden_done(void *user, enum serin_errc rc, const char *said)
{
    ((struct deployment *)user)->golden = NULL;
    asked(user, rc, said);
}

/* Two bundles have been compared before; where one of the two is somebody's server, both are asked. */
static enum serin_errc ask_declarations(struct deployment *deployment, const struct fleet_version *version,
                                        struct serin_error *error)
{
    struct server *server = deployment->server;
    char stable_name[2 * ROUTE_MAX_TEXT + 2];
    struct declarer own = {version->name, version->replicas[0].endpoint}, stable = {stable_name, NULL};
    uint64_t wait_ms = (uint64_t)(server->options.url_wait_seconds * 1000); /* 0 would be: for ever */
    const struct fleet_version *of_stable;
    struct serin_error why;

    if (deploy_has_weight(server, version->name) ||
        !find_stable(server, version->model, stable_name, sizeof(stable_name)) ||
        strcmp(stable_name, version->name) == 0)
        return SERIN_OK;
    of_stable = fleet_find(server->fleet, stable_name);
    if (!version->url[0] && !(of_stable && of_stable->url[0]))
        return SERIN_OK;
    stable.endpoint = fleet_ready_endpoint(of_stable);
    if (!stable.endpoint) {
        error_set(&why, SERIN_LIMIT,
                  "stable %s has no replica that is ready, so that nothing can be compared with it: confirm it where "
                  "that is meant (--confirm)",
                  stable_name);
        if (confirmed(server, &deployment->deploy, deployment->author, why.code, &why) == SERIN_OK)
            return SERIN_OK;
        return error_set(error, why.code, "%s was refused: %s", version->name, why.message);
    }
    return declaration_check_start(&server->loop, server->options.upstream_tls, wait_ms > 0 ? wait_ms : 1,
                                   version->model, &stable, &own, declarations_compared, deployment,
                                   &deployment->declarations, error);
}

static enum serin_errc ask_golden(struct deployment *deployment, const struct fleet_version *version,
                                  struct serin_error *error)
{
    struct server *server = deployment->server;
    struct bundle bundle = {0};
    enum serin_errc rc;

    if (deploy_is_in_route(server, version->name)) /* it was let in before */
        return SERIN_OK;
    rc = bundles_find(server->bundles, version->name, &bundle, error);
    if (rc == SERIN_NOT_FOUND && version->url[0])
        return SERIN_OK;
    if (rc == SERIN_OK && !version->url[0])
        rc = measure(server, &bundle, version, error);
    if (rc == SERIN_OK && bundle.golden_json)
        rc = golden_check_start(&server->loop, server->options.upstream_tls, version->replicas[0].endpoint,
                                server->bundles, &bundle, golden_done, deployment, &deployment->golden, error);
    bundle_done(&bundle);
    return rc;
}

bool admit_when_ready(struct deployment *deployment, const struct fleet_version *version, enum serin_errc *rc,
                      struct serin_error *error)
{
    static enum serin_errc (*const questions[])(struct deployment * deployment, const struct fleet_version *version,
                                                struct serin_error *error) = {ask_declarations, ask_golden};

    *rc = SERIN_OK;
    if (deployment->declarations || deployment->golden)
        return false;
    if (deployment->refused)
        *rc = error_set(error, SERIN_LIMIT, "%s was refused: %s", version->name, deployment->why.message);
    while (*rc == SERIN_OK && deployment->questions < sizeof(questions) / sizeof(questions[0])) {
        *rc = questions[deployment->questions++](deployment, version, error);
        if (deployment->declarations || deployment->golden)
            return false;
    }
    return true;
}

void admit_cancel(struct deployment *deployment)
{
    declaration_check_cancel(deployment->declarations);
    golden_check_cancel(deployment->golden);
}
