/*
 * call_frames.c - calls about kept frames: the gallery of what two versions saw differently, and who was right.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A picture is a stranger's bytes and goes out as it came in.
 */
#include "admin/call.h"

void do_frames(struct call *call)
{
    int64_t from = 0, limit = 24, open = 0;
    struct admin_page page;
    enum serin_errc rc = call_read_whole(call, "from", 0, 100000, &from);

    if (rc == SERIN_OK)
        rc = call_read_whole(call, "limit", 1, 200, &limit);
    if (rc == SERIN_OK)
        rc = call_read_whole(call, "open", 0, 1, &open);
    page = (struct admin_page){(int)from, (int)limit, open == 1};
    if (rc == SERIN_OK)
        rc = call->target->frames(call->target->user, call->argument, &page, &call->out, &call->error);
    call_answer_json(call, rc);
}

void do_frame(struct call *call)
{
    call_answer_json(call, call->target->frame(call->target->user, call->argument, &call->out, &call->error));
}

/* Whoever opens it by itself runs nothing of theirs. */
void do_frame_picture(struct call *call)
{
    const char *type = NULL;
    enum serin_errc rc =
        call->target->frame_picture(call->target->user, call->argument, &call->out, &type, &call->error);

    http_write_field(&call->fields, "X-Content-Type-Options", "nosniff");
    http_write_field(&call->fields, "Content-Security-Policy", "default-src 'none'; sandbox");
    call_answer(call, rc, type);
}

void do_judge_frame(struct call *call)
{
    const char *right = "";
    enum serin_errc rc = call_read_object(call, "an answer is {\"right\": \"stable\"}: or canary, both, neither",
                                          "{s:s}", "right", &right);

    if (rc == SERIN_OK)
        rc = call->target->judge_frame(call->target->user, call->argument, right, call->author, &call->out,
                                       &call->error);
    call_answer_json(call, rc);
}

void do_remove_frames(struct call *call)
{
    call_answer_done(call, call->target->remove_frames(call->target->user, call->argument, call->author, &call->error));
}

void do_remove_frame(struct call *call)
{
    call_answer_done(call, call->target->remove_frame(call->target->user, call->argument, call->author, &call->error));
}
