/*
 * call_versions.c - calls about versions: what is in the store, what serves, and a picture to try one with.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Those that take a while (a version's worker starts, the store's files are read) are answered by the target, later.
 */
#include "admin/call.h"

#include <string.h>

#define MAX_REPLICAS 16

void do_versions(struct call *call)
{
    const struct http_head *head = http_exchange_head(call->exchange);
    enum serin_errc rc = SERIN_OK;
    char against[256];

    if (!http_query_get(head->query, "against", against, sizeof(against)))
        against[0] = '\0';
    else if (!against[0])
        rc = error_set(&call->error, SERIN_INVALID, "against is the name of a version, and not empty");
    if (rc == SERIN_OK)
        rc = call->target->versions(call->target->user, call->argument, against, call->exchange, &call->error);
    if (rc != SERIN_OK)
        call_answer_error(call, rc);
}

void do_try(struct call *call)
{
    enum serin_errc rc = call->target->try_picture(call->target->user, call->argument, call->exchange, &call->error);

    if (rc != SERIN_OK)
        call_answer_error(call, rc);
}

static enum serin_errc read_deploy(struct call *call, struct admin_deploy *deploy)
{
    const char *name = NULL, *url = "";
    int stable = 1, confirm = 0;
    json_int_t replicas = 0;
    enum serin_errc rc = call_read_object(
        call, "a deploy is {\"name\": \"MODEL:TAG\", \"replicas\": N, \"url\": \"\", \"stable\": true}",
        "{s:s, s?:I, s?:s, s?:b, s?:F, s?:b}", "name", &name, "replicas", &replicas, "url", &url, "stable", &stable,
        "min_map", &deploy->min_map, "confirm", &confirm);

    if (rc != SERIN_OK)
        return rc;
    if (strlen(name) >= sizeof(deploy->name) || strlen(url) >= sizeof(deploy->url))
        return error_set(&call->error, SERIN_INVALID,
                         "name or url are too long: %zu and %zu bytes, the limits are "
                         "%zu and %zu",
                         strlen(name), strlen(url), sizeof(deploy->name) - 1, sizeof(deploy->url) - 1);
    if (json_object_get(call->body, "replicas") && (replicas < 1 || replicas > MAX_REPLICAS))
        return error_set(&call->error, SERIN_INVALID, "%lld replicas, 1 to %d are possible", (long long)replicas,
                         MAX_REPLICAS);
    if (!(deploy->min_map >= 0 && deploy->min_map <= 1))
        return error_set(&call->error, SERIN_INVALID, "min_map is %g, it lies within 0 and 1", deploy->min_map);
    memcpy(deploy->name, name, strlen(name) + 1);
    memcpy(deploy->url, url, strlen(url) + 1);
    deploy->replicas = (int)replicas;
    deploy->stable = stable;
    deploy->confirm = confirm;
    return SERIN_OK;
}

void do_deploy(struct call *call)
{
    struct admin_deploy deploy = {.author = call->author};
    enum serin_errc rc = read_deploy(call, &deploy);

    if (rc == SERIN_OK)
        rc = call->target->deploy(call->target->user, &deploy, call->exchange, &call->error);
    if (rc != SERIN_OK)
        call_answer_error(call, rc);
}

void do_undeploy(struct call *call)
{
    call_answer_done(call, call->target->undeploy(call->target->user, call->argument, call->author, &call->error));
}
