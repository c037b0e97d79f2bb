/*
 * call_server.c - calls about the server as a whole: how it is, what it counts, what was changed, its configuration.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "admin/call.h"
#include "admin/events.h"

void do_status(struct call *call)
{
    call_answer_json(call, call->target->status(call->target->user, &call->out, &call->error));
}

/* The one answer that is not JSON. */
void do_metrics(struct call *call)
{
    call_answer(call, call->target->metrics(call->target->user, &call->out, &call->error),
                "text/plain; version=0.0.4; charset=utf-8");
}

void do_events(struct call *call)
{
    events_begin(call->events, call->exchange);
}

void do_changes(struct call *call)
{
    int64_t limit = 100;
    enum serin_errc rc = call_read_whole(call, "limit", 1, 10000, &limit);

    if (rc == SERIN_OK)
        rc = call->target->changes(call->target->user, (int)limit, &call->out, &call->error);
    call_answer_json(call, rc);
}

void do_reload(struct call *call)
{
    call_answer_done(call, call->target->reload(call->target->user, &call->error));
}
