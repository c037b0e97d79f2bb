/*
 * gallery.h - the frames on which a rollout's versions differ most, for people to say which is right.
 * Depends on gateway, rollout, store/frames.h, answer.h. SPDX-License-Identifier: Apache-2.0
 *
 * Off unless a rollout's plan has `frames: {keep: N}`. A picture is kept as it came in, undecoded: this process reads
 * no strangers' pictures; a browser does, where a person looks. All on the control thread.
 *
 * A person's answer goes to the judge GALLERY_SETTLE_MS after it was given, or with the next answer of the same
 * rollout, whichever is first; until then it may be changed, and not afterwards.
 */
#ifndef SERVE_GALLERY_H
#define SERVE_GALLERY_H

#include "base/json.h"
#include "gateway/gateway.h"
#include "rollout/controller.h"
#include "serve/answer.h"
#include "store/frames.h"

#define GALLERY_SETTLE_MS 10000

struct gallery;

/* path: of frames.db. SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc gallery_new(const char *path, struct gallery **ret, struct serin_error *error);
void gallery_free(struct gallery *gallery); /* NULL is fine, as for all below: then nothing is kept */

/* How much two answers to one frame differ: the sum of the scores of those boxes of either that the other has none
 * like (same class, IoU >= .5). The same when they are exchanged: what is shown first must not depend on which version
 * is right. */
double gallery_difference(const struct answer *stable, const struct answer *canary);

/* A mirrored frame, with what both said, and its slices as store/frames.h has them: keeps it if its plan wants that,
 * it has a picture, and it differs more than others. SERIN_OK also where it is not kept. */
MUST_USE enum serin_errc gallery_offer(struct gallery *gallery, const struct controller_trial *trial,
                                       const struct gateway_sighting *sighting, const struct answer *stable,
                                       const struct answer *canary, const char *camera, const char *slices,
                                       struct serin_error *error);

/* The picture in a request's body: the first of a form, or the whole body; its media type by its first bytes. NULL: it
 * is none that a browser shows (JPEG, PNG, WebP). */
const char *gallery_find_picture(const char *content_type, const struct bytes *body, struct http_slice *ret);

/* Whether the plan of a rollout wants frames to be kept. */
bool gallery_is_wanted(const struct plan *plan);

/* Once a second or so: answers that are due are counted, and frames whose time is over are deleted. counted is called
 * for each answer that has become the judge's. */
MUST_USE enum serin_errc gallery_tick(struct gallery *gallery, int64_t now_ms, frames_found *counted, void *user,
                                      struct serin_error *error);

/* right: "stable", "canary", "both", "neither". SERIN_INVALID; as frames_judge. */
MUST_USE enum serin_errc gallery_judge(struct gallery *gallery, int64_t number, const char *right, const char *author,
                                       int64_t now_ms, frames_found *counted, void *user, struct serin_error *error);

/* Feedback has told what is right of that request's frame, which may be kept or not. */
MUST_USE enum serin_errc gallery_mark_told(struct gallery *gallery, const struct controller_trial *trial,
                                           const char *request_id, int64_t now_ms, struct serin_error *error);

/* JSON: a page of a rollout's frames, and one. */
void gallery_write_sum(struct gallery *gallery, const struct rollout *rollout, const struct plan *plan,
                       struct json_writer *json); /* a member "frames" */
struct gallery_page {
    int from, limit;
    bool open_only;
};
MUST_USE enum serin_errc gallery_list(struct gallery *gallery, const struct rollout *rollout, const struct plan *plan,
                                      const struct gallery_page *page, struct buffer *out, struct serin_error *error);
MUST_USE enum serin_errc gallery_show(struct gallery *gallery, int64_t number, struct buffer *out,
                                      struct serin_error *error);
/* The picture's bytes; *ret_type is a constant. */
MUST_USE enum serin_errc gallery_picture(struct gallery *gallery, int64_t number, struct buffer *out,
                                         const char **ret_type, struct serin_error *error);

/* Deletes a rollout's frames, or one (rollout NULL). */
MUST_USE enum serin_errc gallery_remove(struct gallery *gallery, const char *rollout, int64_t number, int *ret_count,
                                        struct serin_error *error);

#endif
