/*
 * rollouts_calls.c - what people and the rest of the server ask of the rollouts: lists, histories, starts and verbs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is answered while another process has the rollouts in its hands, and nothing is released on a log of
 * decisions that is not what was written.
 */
#include "serve/rollouts_inside.h"

#include "base/json.h"
#include "base/text.h"
#include "store/decisions.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MAX_PAGE_BYTES (8 << 20) /* of a history; one decision has half of it at most */

bool rollouts_are_ours(const struct rollouts *rollouts)
{
    return rollouts && rollouts->active;
}

/* What everybody needs before asking: that this process has the rollouts in its hands. */
static enum serin_errc check_active(const struct rollouts *rollouts, struct serin_error *error)
{
    if (rollouts_are_ours(rollouts))
        return SERIN_OK;
    return error_set(error, SERIN_LIMIT, "the rollouts are in the hands of another process: ask again in a moment");
}

/* ---- the log ---- */

/* The rollout of a name: its id, or its model's for the newest. */
struct named {
    const char *name;
    char id[ROLLOUT_MAX_ID + 1], model[ROUTE_MAX_TEXT + 1];
    bool by_id;
};

static void see_named(void *user, const struct stored_rollout *stored)
{
    struct named *named = user;
    bool by_id = strcmp(stored->id, named->name) == 0;

    if (named->by_id || (!by_id && (named->id[0] || strcmp(stored->model, named->name) != 0)))
        return;
    named->by_id = by_id;
    snprintf(named->id, sizeof(named->id), "%s", stored->id);
    snprintf(named->model, sizeof(named->model), "%s", stored->model);
}

static bool find_named(struct server *server, const char *name, struct named *ret)
{
    *ret = (struct named){.name = name};
    return decisions_each_rollout(server->state, NULL, INT_MAX, see_named, ret, NULL) == SERIN_OK && ret->id[0];
}

static enum serin_errc refuse_damaged(const struct damage *damage, const char *model, struct serin_error *error)
{
    return error_set(
        error, SERIN_LIMIT,
        "the log of decisions is damaged: %s; rollouts of %s stand still until a person has looked: 'serin "
        "rollout history %s', and 'serin rollout repair %s --why ...' accepts it as it stands",
        damage_of(damage, model), model, model, model);
}

/* Nothing is released on a log that is not what was written, whenever that has happened. */
static enum serin_errc check_log(const struct rollouts *rollouts, const char *model, struct serin_error *error)
{
    struct damage now;

    if (damage_of(&rollouts->damage, model))
        return refuse_damaged(&rollouts->damage, model, error);
    damage_look(rollouts->server->state, &now);
    return damage_of(&now, model) ? refuse_damaged(&now, model, error) : SERIN_OK;
}

bool rollouts_are_unwritten(const struct rollouts *rollouts, const char *model)
{
    return rollouts && rollouts->active && controller_is_unwritten(rollouts->controller, model);
}

const char *rollouts_damage(const struct rollouts *rollouts, const char *model)
{
    return rollouts && rollouts->active ? damage_of(&rollouts->damage, model) : NULL;
}

enum serin_errc rollouts_check_free(const struct rollouts *rollouts, const char *model, const char *tag,
                                    struct serin_error *error)
{
    enum serin_errc rc = rollouts ? check_active(rollouts, error) : SERIN_OK;
    const struct rollout *rollout;
    int at;

    if (rc != SERIN_OK)
        return rc;
    at = rollouts ? table_find(rollouts->server, model) : -1;
    /* A canary that was under way when the log was damaged: stable has everything, until it is known how it stands. */
    if (at >= 0 && rollouts->server->table.entries[at].on_trial && damage_of(&rollouts->damage, model))
        return refuse_damaged(&rollouts->damage, model, error);
    rollout = rollouts ? controller_holder(rollouts->controller, model, tag) : NULL;
    if (!rollout)
        return SERIN_OK;
    return error_set(error, SERIN_LIMIT, "rollout %s has %s in its hands (%s): end it first, or use its own verbs",
                     rollout->id, model, rollout_phase_name(rollout->phase));
}

/* Why a rollout cannot be shown or moved: only the newest of each model can, and none whose log is damaged. */
static enum serin_errc explain_missing(struct server *server, const char *rollout, struct serin_error *error)
{
    struct named named;

    if (!find_named(server, rollout, &named))
        return controller_no_rollout(rollout, error);
    if (damage_of(&server->rollouts->damage, named.model))
        return refuse_damaged(&server->rollouts->damage, named.model, error);
    return error_set(error, SERIN_NOT_FOUND,
                     "%s has ended, and is not the newest rollout of %s: 'serin rollout history %s' shows what it did",
                     named.id, named.model, named.id);
}

/* ---- for the admin API ---- */

enum serin_errc rollouts_list(void *user, struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    enum serin_errc rc = check_active(server->rollouts, error);

    if (rc == SERIN_OK)
        controller_list(server->rollouts->controller, out);
    return rc;
}

enum serin_errc rollouts_report(void *user, const char *rollout, struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    enum serin_errc rc = check_active(server->rollouts, error);

    if (rc != SERIN_OK)
        return rc;
    rc = controller_report(server->rollouts->controller, rollout, out, error);
    return rc == SERIN_NOT_FOUND ? explain_missing(server, rollout, error) : rc;
}

static void write_decision(void *user, const struct decision *decision)
{
    struct json_writer *json = user;
    char hash[2 * DECISION_HASH_BYTES + 1];

    text_hex(decision->hash, sizeof(decision->hash), hash);
    json_begin_object(json);
    json_put_integer(json, "number", decision->number);
    json_put_integer(json, "time_ms", decision->time_ms);
    json_put_string(json, "rollout", decision->rollout);
    json_put_string(json, "author", decision->author);
    json_put_string(json, "event", decision->event);
    json_put_string(json, "why", decision->why);
    json_put_integer(json, "records", decision->records);
    json_key(json, "state");
    json_write_raw(json, decision->state);
    json_key(json, "numbers");
    json_write_raw(json, decision->numbers);
    json_put_string(json, "hash", hash);
    json_end_object(json);
}

enum serin_errc rollouts_history(void *user, const char *rollout, int64_t before, int limit, struct buffer *out,
                                 struct serin_error *error)
{
    struct server *server = user;
    enum serin_errc rc = check_active(server->rollouts, error);
    struct json_writer json;
    struct named named;

    if (rc != SERIN_OK)
        return rc;
    if (!find_named(server, rollout, &named))
        return controller_no_rollout(rollout, error);
    json_init(&json, out);
    json_begin_array(&json);
    rc = decisions_page(server->state, named.id, before, limit, MAX_PAGE_BYTES, write_decision, &json, error);
    json_end_array(&json);
    return rc;
}

enum serin_errc rollouts_hold(struct server *server, const char *rollout, struct rollouts_hold *ret,
                              struct controller_trial *ret_trial, struct serin_error *error)
{
    enum serin_errc rc = check_active(server->rollouts, error);

    if (rc == SERIN_OK && rollout && !controller_named(server->rollouts->controller, rollout, ret_trial))
        rc = controller_no_rollout(rollout, error);
    if (rc == SERIN_OK)
        *ret = (struct rollouts_hold){server->rollouts->observer.gallery, &server->rollouts->observer};
    return rc;
}

static void count_rollout(void *user, const struct stored_rollout *rollout)
{
    (void)rollout;
    ++*(uint64_t *)user;
}

enum serin_errc rollouts_start(void *user, const struct admin_rollout *start, struct buffer *out,
                               struct serin_error *error)
{
    struct server *server = user;
    struct controller_now now = rollouts_now();
    struct controller_start how = {
        .plan_yaml = start->plan, .author = start->author, .why = start->why, .supersede = start->supersede};
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    const char *id = NULL;
    enum serin_errc rc = check_active(server->rollouts, error);

    deploy_split_name(start->name, model, tag, sizeof(model));
    how.model = model;
    how.canary = tag;
    if (rc == SERIN_OK)
        rc = check_log(server->rollouts, model, error);
    if (rc == SERIN_OK)
        rc = decisions_each_rollout(server->state, model, INT_MAX, count_rollout, &how.sequence, error);
    how.sequence++; /* "yolov8n-1" is the first of its model */
    if (getrandom(&how.salt, sizeof(how.salt), 0) != (ssize_t)sizeof(how.salt))
        how.salt = uv_hrtime();
    if (rc == SERIN_OK)
        rc = controller_start(server->rollouts->controller, &how, &now, &id, error);
    if (rc == SERIN_OK)
        rc = controller_report(server->rollouts->controller, id, out, error);
    return rc;
}

/* Afterwards what can be taken up is: aborted, where it was under way, with its route. */
static enum serin_errc repair(struct server *server, const char *rollout, const char *author, const char *why,
                              struct buffer *out, struct serin_error *error)
{
    struct rollouts *rollouts = server->rollouts;
    struct damage now;
    struct named named;
    struct route route;
    enum serin_errc rc = takeover_check(server, error);

    if (rc == SERIN_OK && !find_named(server, rollout, &named))
        rc = controller_no_rollout(rollout, error);
    damage_look(server->state, &now);
    if (rc == SERIN_OK && !damage_of(&rollouts->damage, named.model) && !damage_of(&now, named.model))
        rc = error_set(error, SERIN_LIMIT, "the log of decisions of %s is not damaged", named.model);
    if (rc == SERIN_OK)
        rc = damage_repair(server->state, named.model,
                           rollouts_route(rollouts, named.model, &route, NULL) == SERIN_OK ? route.revision : 0, author,
                           why, error);
    if (rc != SERIN_OK)
        return rc;
    log_event(server->log, "warn", "repairing the log of decisions", "%s: accepted as it stands by %s", named.model,
              author);
    rollouts_resume(rollouts);
    return controller_report(rollouts->controller, named.model, out, error);
}

enum serin_errc rollouts_act(void *user, const char *rollout, const char *verb, const char *author, const char *why,
                             struct buffer *out, struct serin_error *error)
{
    struct server *server = user;
    struct controller_now now = rollouts_now();
    enum serin_errc rc = check_active(server->rollouts, error);
    enum rollout_event event;

    if (rc != SERIN_OK)
        return rc;
    if (strcmp(verb, DECISION_REPAIR) == 0)
        return repair(server, rollout, author, why, out, error);
    if (!rollout_event_find(verb, &event) || !rollout_event_is_a_persons(event)) {
        char verbs[ROLLOUT_VERBS_BYTES];

        rollout_verbs(~0u, verbs);
        return error_set(error, SERIN_NOT_FOUND, "'%.40s' is no verb: %s", verb, verbs);
    }
    if (!controller_rollout(server->rollouts->controller, rollout))
        return explain_missing(server, rollout, error);
    rc = controller_act(server->rollouts->controller, rollout, event, author, why, &now, error);
    return rc == SERIN_OK ? controller_report(server->rollouts->controller, rollout, out, error) : rc;
}

const struct controller *rollouts_controller(const struct rollouts *rollouts)
{
    return rollouts && rollouts->active ? rollouts->controller : NULL;
}

const struct observer *rollouts_observer(const struct rollouts *rollouts)
{
    return rollouts ? &rollouts->observer : NULL;
}
