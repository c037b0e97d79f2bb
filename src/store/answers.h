/*
 * answers.h - the answers of a rollout that labels may still come for, by request id.  Depends on base, disk.h, SQLite.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file of its own (answers.db): it may be lost without harm, so it is written in batches and not waited for. The
 * oldest go when there are more than may be kept. No pictures are in it. One thread.
 */
#ifndef STORE_ANSWERS_H
#define STORE_ANSWERS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWERS_MAX       1000000 /* kept */
#define ANSWERS_MAX_BYTES 16384   /* of one arm's boxes */

struct answers;

struct kept_answer {
    const char *request_id, *rollout, *camera;
    const char *slices; /* "light=dark\nhour=22" */
    int attempt;
    int64_t time_ms;
    int arm; /* the draw's: 0 stable, 1 canary */
    double share;
    int width_px, height_px; /* of the frame, as both arms have told; 0: not known */
    bool told;               /* somebody has said what is right of it, and that has counted; not read by answers_put */
    const void *boxes[2];    /* by arm; NULL: that arm did not answer this frame */
    size_t sizes[2];
};

MUST_USE enum serin_errc answers_open(const char *path, int64_t max_kept, struct answers **ret,
                                      struct serin_error *error);
void answers_close(struct answers *answers); /* flushes; NULL is fine */

/* Keeps one; the same id again takes the place of the first. It is on its way to disk after answers_flush, which is
 * due every few hundred milliseconds. */
MUST_USE enum serin_errc answers_put(struct answers *answers, const struct kept_answer *answer,
                                     struct serin_error *error);
MUST_USE enum serin_errc answers_flush(struct answers *answers, struct serin_error *error);

/* Calls found with the answer, whose texts are valid during the call. SERIN_NOT_FOUND. */
MUST_USE enum serin_errc answers_find(struct answers *answers, const char *request_id,
                                      void (*found)(void *user, const struct kept_answer *answer), void *user,
                                      struct serin_error *error);
/* Marks it as told. Where nothing is kept of the id nothing is marked. */
MUST_USE enum serin_errc answers_mark_told(struct answers *answers, const char *request_id, struct serin_error *error);

#endif
