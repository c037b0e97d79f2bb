/*
 * call_rollouts.c - calls about rollouts, and about freezes, which keep them from starting and stepping up.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "admin/call.h"

void do_rollouts(struct call *call)
{
    call_answer_json(call, call->target->rollouts(call->target->user, &call->out, &call->error));
}

void do_rollout(struct call *call)
{
    call_answer_json(call, call->target->rollout(call->target->user, call->argument, &call->out, &call->error));
}

void do_rollout_history(struct call *call)
{
    int64_t before = 0, limit = 100;
    enum serin_errc rc = call_read_whole(call, "before", 1, INT64_MAX, &before);

    if (rc == SERIN_OK)
        rc = call_read_whole(call, "limit", 1, 1000, &limit);
    if (rc == SERIN_OK)
        rc = call->target->rollout_history(call->target->user, call->argument, before, (int)limit, &call->out,
                                           &call->error);
    call_answer_json(call, rc);
}

void do_start_rollout(struct call *call)
{
    struct admin_rollout start = {.plan = "", .author = call->author, .why = ""};
    int supersede = 0;
    enum serin_errc rc =
        call_read_object(call, "a rollout is {\"name\": \"MODEL:TAG\", \"plan\": \"YAML\", \"why\": \"a sentence\"}",
                         "{s:s, s?:s, s?:b, s?:s}", "name", &start.name, "plan", &start.plan, "supersede", &supersede,
                         "why", &start.why);

    start.supersede = supersede;
    if (rc == SERIN_OK)
        rc = call->target->start_rollout(call->target->user, &start, &call->out, &call->error);
    call_answer_json(call, rc);
}

/* The verb is the path's last word. */
void do_act_on_rollout(struct call *call)
{
    const char *why = "";
    enum serin_errc rc = SERIN_OK;

    if (http_exchange_body(call->exchange)->size > 0)
        rc = call_read_object(call, "the body may be {\"why\": \"a sentence\"}", "{s?:s}", "why", &why);
    if (rc == SERIN_OK)
        rc = call->target->act_on_rollout(call->target->user, call->argument, call->word, call->author, why, &call->out,
                                          &call->error);
    call_answer_json(call, rc);
}

void do_freezes(struct call *call)
{
    call_answer_json(call, call->target->freezes(call->target->user, &call->out, &call->error));
}

void do_set_freeze(struct call *call)
{
    const char *calendar = NULL;
    enum serin_errc rc = call_read_object(call, "a freeze is {\"calendar\": \"YAML\"}", "{s:s}", "calendar", &calendar);

    if (rc == SERIN_OK)
        rc = call->target->set_freeze(call->target->user, call->argument, calendar, call->author, &call->error);
    call_answer_done(call, rc);
}

void do_end_freeze(struct call *call)
{
    call_answer_done(call, call->target->end_freeze(call->target->user, call->argument, call->author, &call->error));
}
