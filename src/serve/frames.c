/*
 * frames.c - for the admin port: the gallery of frames on which a rollout's versions differ.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What people say, and what they delete, goes into the journal of changes: the picture goes after its time, who judged
 * it does not.
 */
#include "serve/rollouts.h"

#include "base/clock.h"
#include "serve/gallery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES_LISTED 200

static enum serin_errc read_number(const char *text, int64_t *ret, struct serin_error *error)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (errno != 0 || *end || end == text || *ret < 1)
        return error_set(error, SERIN_NOT_FOUND, "'%.40s' is no frame's number", text);
    return SERIN_OK;
}

enum serin_errc frames_list(void *user, const char *rollout, const struct admin_page *page, struct buffer *out,
                            struct serin_error *error)
{
    const struct gallery_page which = {page->from, page->limit < MAX_FRAMES_LISTED ? page->limit : MAX_FRAMES_LISTED,
                                       page->open_only};
    struct rollouts_hold hold;
    struct controller_trial trial;
    enum serin_errc rc = rollouts_hold(user, rollout, &hold, &trial, error);

    return rc == SERIN_OK ? gallery_list(hold.gallery, trial.rollout, trial.plan, &which, out, error) : rc;
}

enum serin_errc frames_show(void *user, const char *frame, struct buffer *out, struct serin_error *error)
{
    struct rollouts_hold hold;
    int64_t number;
    enum serin_errc rc = rollouts_hold(user, NULL, &hold, NULL, error);

    if (rc == SERIN_OK)
        rc = read_number(frame, &number, error);
    return rc == SERIN_OK ? gallery_show(hold.gallery, number, out, error) : rc;
}

enum serin_errc frames_show_picture(void *user, const char *frame, struct buffer *out, const char **ret_type,
                                    struct serin_error *error)
{
    struct rollouts_hold hold;
    int64_t number;
    enum serin_errc rc = rollouts_hold(user, NULL, &hold, NULL, error);

    if (rc == SERIN_OK)
        rc = read_number(frame, &number, error);
    return rc == SERIN_OK ? gallery_picture(hold.gallery, number, out, ret_type, error) : rc;
}

enum serin_errc frames_say(void *user, const char *frame, const char *right, const char *author, struct buffer *out,
                           struct serin_error *error)
{
    struct server *server = user;
    struct observed_choice observed = {.now_s = (double)clock_now_ns() / 1e9};
    struct rollouts_hold hold;
    char detail[128];
    int64_t number;
    enum serin_errc rc = rollouts_hold(user, NULL, &hold, NULL, error);

    if (rc == SERIN_OK)
        rc = read_number(frame, &number, error);
    if (rc != SERIN_OK)
        return rc;
    observed.observer = hold.observer;
    rc = gallery_judge(hold.gallery, number, right, author, (int64_t)clock_wall_ms(), observe_choice, &observed, error);
    if (observed.told > 0)
        rollouts_flush(server);
    snprintf(detail, sizeof(detail), "frame %lld: %s", (long long)number, right);
    if (rc == SERIN_OK)
        rc = state_note(server->state, author, "frame judged", detail, error);
    return rc == SERIN_OK ? gallery_show(hold.gallery, number, out, error) : rc;
}

/* rollout NULL: the frame of that number. */
static enum serin_errc forget(struct server *server, const char *rollout, int64_t number, const char *author,
                              struct serin_error *error)
{
    struct rollouts_hold hold;
    struct controller_trial trial;
    char detail[128];
    int count = 0;
    enum serin_errc rc = rollouts_hold(server, rollout, &hold, rollout ? &trial : NULL, error);

    if (rc == SERIN_OK)
        rc = gallery_remove(hold.gallery, rollout ? trial.rollout->id : NULL, number, &count, error);
    if (rc != SERIN_OK)
        return rc;
    if (rollout)
        snprintf(detail, sizeof(detail), "%s: %d", trial.rollout->id, count);
    else
        snprintf(detail, sizeof(detail), "frame %lld", (long long)number);
    return state_note(server->state, author, "frames deleted", detail, error);
}

enum serin_errc frames_forget_all(void *user, const char *rollout, const char *author, struct serin_error *error)
{
    return forget(user, rollout, 0, author, error);
}

enum serin_errc frames_forget(void *user, const char *frame, const char *author, struct serin_error *error)
{
    int64_t number;
    enum serin_errc rc = read_number(frame, &number, error);

    return rc == SERIN_OK ? forget(user, NULL, number, author, error) : rc;
}
