/*
 * frames.h - pictures on which two versions differ, kept for people to judge.  Depends on base, SQLite.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file of its own (frames.db, readable by its owner alone), since it is the only place where the program keeps what a
 * camera saw. Within its limits a rollout keeps the frames that differ most, and no camera fills the room that others
 * need: where something must go, it is a frame whose answer has been counted, else the least different one of the
 * camera that has most. Frames of one camera less than FRAMES_GAP_MS apart show the same scene: one of them is kept.
 * What is deleted is overwritten (SQLite's secure_delete). One thread; another process may delete (serin rm).
 *
 * A person's answer is FRAME_GIVEN at first, and may be changed; frames_settle makes it FRAME_COUNTED, and from then on
 * it stands, because the judge's evidence is a bet that has been paid.
 */
#ifndef STORE_FRAMES_H
#define STORE_FRAMES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_FILE          "frames.db" /* in the data folder */
#define FRAMES_GAP_MS        2000
#define FRAMES_MAX_PICTURE   ((size_t)8 << 20) /* bytes of one; larger ones are not kept */
#define FRAMES_MAX_AUTHOR    160
#define FRAMES_MAX_REQUESTED 200 /* of one page of a list */

enum frame_state {
    FRAME_OPEN,   /* nobody has said which version is right */
    FRAME_GIVEN,  /* somebody has, and may change it */
    FRAME_COUNTED /* the judge was told, or the rollout had ended; with right "" it was told by feedback */
};

struct frames_limits {
    int count; /* of one rollout */
    int64_t bytes;
    int64_t retention_ms; /* from its time on */
};

struct kept_frame {
    int64_t number;                                /* given by frames_put, never used again */
    const char *rollout, *model, *stable, *canary; /* tags */
    const char *request_id, *camera;
    const char *slices; /* "light=dark\nhour=22\n" */
    const char *boxes;  /* JSON of both answers; the caller's own */
    const char *type;   /* "image/jpeg" */
    int attempt, width, height;
    int64_t time_ms;
    double difference; /* greater: more worth a look */
    size_t picture_bytes;
    enum frame_state state;
    const char *right, *author; /* "stable", "canary", "both", "neither", "" ; who said it */
    int64_t judged_ms;
};

struct frames;

/* SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc frames_open(const char *path, struct frames **ret, struct serin_error *error);
void frames_close(struct frames *frames); /* NULL is fine */

/* Keeps a frame, if it is worth one of the places; *ret_kept says whether. number, state, right, author and judged_ms
 * are not read. SERIN_LIMIT: a picture that is too large. */
MUST_USE enum serin_errc frames_put(struct frames *frames, const struct kept_frame *frame, const void *picture,
                                    const struct frames_limits *limits, bool *ret_kept, struct serin_error *error);

typedef void frames_found(void *user, const struct kept_frame *frame); /* texts are valid during the call */

/* A rollout's frames, the most different first, limit of them from the from-th on; open_only: those that nobody has
 * judged. */
MUST_USE enum serin_errc frames_each(struct frames *frames, const char *rollout, bool open_only, int from, int limit,
                                     frames_found *found, void *user, struct serin_error *error);
MUST_USE enum serin_errc frames_find(struct frames *frames, int64_t number, frames_found *found, void *user,
                                     struct serin_error *error); /* SERIN_NOT_FOUND */
MUST_USE enum serin_errc frames_picture(struct frames *frames, int64_t number,
                                        void (*found)(void *user, const char *type, const void *bytes, size_t size),
                                        void *user, struct serin_error *error); /* SERIN_NOT_FOUND */

struct frames_sum {
    int64_t count, open, bytes;
};
MUST_USE enum serin_errc frames_sum(struct frames *frames, const char *rollout, struct frames_sum *ret,
                                    struct serin_error *error);

/* Which version is right. SERIN_NOT_FOUND; SERIN_LIMIT: an answer has been counted already, whose it was. */
MUST_USE enum serin_errc frames_judge(struct frames *frames, int64_t number, const char *right, const char *author,
                                      int64_t now_ms, struct serin_error *error);
/* The judge knows what is right of that request's frame: if it is kept and open, nobody is asked any more. */
MUST_USE enum serin_errc frames_mark_told(struct frames *frames, const char *rollout, const char *request_id,
                                          int64_t now_ms, struct serin_error *error);
/* Makes the answers of rollout (NULL: of all) that were given at until_ms or before, but for that of except (0: none),
 * counted, each before counted is called for it: an answer is told at most once, even where the program dies. */
MUST_USE enum serin_errc frames_settle(struct frames *frames, const char *rollout, int64_t until_ms, int64_t except,
                                       frames_found *counted, void *user, struct serin_error *error);

/* Deletes: one, a rollout's, those of a version (stable or canary of its rollout), those whose time is over. *ret_count
 * (may be NULL): how many. */
MUST_USE enum serin_errc frames_remove(struct frames *frames, int64_t number, int *ret_count,
                                       struct serin_error *error);
MUST_USE enum serin_errc frames_remove_rollout(struct frames *frames, const char *rollout, int *ret_count,
                                               struct serin_error *error);
MUST_USE enum serin_errc frames_remove_version(struct frames *frames, const char *model, const char *tag,
                                               int *ret_count, struct serin_error *error);
MUST_USE enum serin_errc frames_expire(struct frames *frames, int64_t now_ms, int *ret_count,
                                       struct serin_error *error);

#endif
