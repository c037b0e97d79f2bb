/*
 * gallery.c - from pairs of answers to kept frames, and from people's answers to the judge.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/gallery.h"

#include "base/buffer.h"
#include "base/json.h"
#include "http/multipart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BOXES_BYTES ((size_t)1 << 20)
#define MAX_OFFERS      50 /* a second that are looked at; each costs the control thread .6 ms, kept or not */

struct gallery {
    struct frames *frames;
    uint64_t second; /* of the newest offer */
    int offers;      /* in it */
};

static const char *const media_types[] = {"image/jpeg", "image/png", "image/webp"};

enum serin_errc gallery_new(const char *path, struct gallery **ret, struct serin_error *error)
{
    struct gallery *gallery = calloc(1, sizeof(*gallery));
    enum serin_errc rc;

    if (!gallery)
        return error_set(error, SERIN_NOMEM, "no memory for kept frames");
    rc = frames_open(path, &gallery->frames, error);
    if (rc != SERIN_OK) {
        free(gallery);
        return rc;
    }
    *ret = gallery;
    return SERIN_OK;
}

void gallery_free(struct gallery *gallery)
{
    if (!gallery)
        return;
    frames_close(gallery->frames);
    free(gallery);
}

bool gallery_is_wanted(const struct plan *plan)
{
    return plan->frames_kept > 0;
}

static enum serin_errc check(const struct gallery *gallery, struct serin_error *error)
{
    return gallery ? SERIN_OK : error_set(error, SERIN_IO, "the file of kept frames could not be opened: see the log");
}

/* ---- differing ---- */

static bool has_like(const struct answer *answer, const struct match_box *box)
{
    int i;

    for (i = 0; i < answer->box_count; i++)
        if (strcmp(answer->boxes[i].name, box->name) == 0 && match_iou(&answer->boxes[i], box) >= MATCH_MIN_IOU)
            return true;
    return false;
}

static double alone_in(const struct answer *answer, const struct answer *other)
{
    double sum = 0;
    int i;

    for (i = 0; i < answer->box_count; i++)
        if (!has_like(other, &answer->boxes[i]))
            sum += fmin(1, fmax(0, (double)answer->boxes[i].confidence));
    return sum;
}

double gallery_difference(const struct answer *stable, const struct answer *canary)
{
    return alone_in(stable, canary) + alone_in(canary, stable);
}

/* ---- keeping ---- */

static const char *media_type(struct http_slice picture)
{
    if (picture.size > 3 && memcmp(picture.bytes, "\xff\xd8\xff", 3) == 0)
        return media_types[0];
    if (picture.size > 8 && memcmp(picture.bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        return media_types[1];
    if (picture.size > 12 && memcmp(picture.bytes, "RIFF", 4) == 0 && memcmp(picture.bytes + 8, "WEBP", 4) == 0)
        return media_types[2];
    return NULL;
}

const char *gallery_find_picture(const char *content_type, const struct bytes *body, struct http_slice *ret)
{
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    int count = 0, i;

    *ret = (struct http_slice){(const char *)body->data, body->size};
    if (strncasecmp(content_type, "multipart/", 10) != 0)
        return media_type(*ret);
    if (multipart_parse((struct http_slice){content_type, strlen(content_type)}, body->data, body->size, parts, &count,
                        NULL) != SERIN_OK)
        return NULL;
    for (i = 0; i < count && !multipart_is_picture(&parts[i]); i++)
        ;
    if (i == count)
        return NULL;
    *ret = parts[i].body;
    return media_type(*ret);
}

static void write_relative(struct json_writer *json, float at_px, int side_px)
{
    json_write_rounded(json, fmin(1, fmax(0, (double)at_px / side_px)), 5);
}

/* In shares of the picture's sides, so that a page needs to know nothing of its size. */
static void write_boxes(struct json_writer *json, const char *arm, const struct answer *answer,
                        const struct answer *other, int width, int height)
{
    int i;

    json_key(json, arm);
    json_begin_array(json);
    for (i = 0; i < answer->box_count; i++) {
        const struct match_box *box = &answer->boxes[i];

        json_begin_object(json);
        json_key(json, "name");
        json_write_string(json, box->name);
        json_key(json, "confidence");
        json_write_rounded(json, (double)box->confidence, 4);
        json_key(json, "alone");
        json_write_boolean(json, !has_like(other, box));
        json_key(json, "box");
        json_begin_array(json);
        write_relative(json, box->x1, width);
        write_relative(json, box->y1, height);
        write_relative(json, box->x2, width);
        write_relative(json, box->y2, height);
        json_end_array(json);
        json_end_object(json);
    }
    json_end_array(json);
}

static bool is_one_too_many(struct gallery *gallery, uint64_t time_ms)
{
    if (time_ms / 1000 != gallery->second)
        gallery->offers = 0;
    gallery->second = time_ms / 1000;
    return ++gallery->offers > MAX_OFFERS;
}

enum serin_errc gallery_offer(struct gallery *gallery, const struct controller_trial *trial,
                              const struct gateway_sighting *sighting, const struct answer *stable,
                              const struct answer *canary, const char *camera, const char *slices,
                              struct serin_error *error)
{
    const struct frames_limits limits = {.count = trial->plan->frames_kept,
                                         .bytes = (int64_t)(trial->plan->frames_megabytes * 1e6),
                                         .retention_ms = (int64_t)(trial->plan->frames_retention_s * 1000)};
    struct kept_frame frame = {.rollout = trial->rollout->id,
                               .model = trial->rollout->model,
                               .stable = trial->rollout->stable,
                               .canary = trial->rollout->canary,
                               .attempt = trial->rollout->attempt,
                               .request_id = sighting->request_id,
                               .camera = camera,
                               .slices = slices,
                               .time_ms = (int64_t)sighting->time_ms,
                               .width = stable->width,
                               .height = stable->height};
    struct http_slice picture;
    struct json_writer json;
    struct buffer boxes;
    enum serin_errc rc;
    bool kept;

    if (!gallery || !gallery_is_wanted(trial->plan) || !sighting->picture || !frame.width || !frame.height)
        return SERIN_OK;
    frame.difference = gallery_difference(stable, canary);
    if (frame.difference <= 0 || is_one_too_many(gallery, sighting->time_ms))
        return SERIN_OK;
    frame.type = gallery_find_picture(sighting->picture_type, sighting->picture, &picture);
    if (!frame.type || picture.size > FRAMES_MAX_PICTURE)
        return SERIN_OK;
    frame.picture_bytes = picture.size;
    buffer_init(&boxes, MAX_BOXES_BYTES);
    json_init(&json, &boxes);
    json_begin_object(&json);
    write_boxes(&json, "stable", stable, canary, frame.width, frame.height);
    write_boxes(&json, "canary", canary, stable, frame.width, frame.height);
    json_end_object(&json);
    rc = buffer_check(&boxes, "the boxes of a frame", error);
    frame.boxes = boxes.bytes;
    if (rc == SERIN_OK)
        rc = frames_put(gallery->frames, &frame, picture.bytes, &limits, &kept, error);
    buffer_done(&boxes);
    return rc;
}

enum serin_errc gallery_tick(struct gallery *gallery, int64_t now_ms, frames_found *counted, void *user,
                             struct serin_error *error)
{
    enum serin_errc rc;

    if (!gallery)
        return SERIN_OK;
    rc = frames_settle(gallery->frames, NULL, now_ms - GALLERY_SETTLE_MS, 0, counted, user, error);
    return rc == SERIN_OK ? frames_expire(gallery->frames, now_ms, NULL, error) : rc;
}

/* ---- judging ---- */

static void note_rollout(void *user, const struct kept_frame *frame)
{
    snprintf(user, ROLLOUT_MAX_ID + 1, "%s", frame->rollout);
}

enum serin_errc gallery_judge(struct gallery *gallery, int64_t number, const char *right, const char *author,
                              int64_t now_ms, frames_found *counted, void *user, struct serin_error *error)
{
    static const char *const known[] = {"stable", "canary", "both", "neither"};
    char rollout[ROLLOUT_MAX_ID + 1] = "";
    enum serin_errc rc = check(gallery, error);
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], right) != 0; i++)
        ;
    if (i == sizeof(known) / sizeof(known[0]))
        return error_set(error, SERIN_INVALID, "'%.40s' is no answer: stable, canary, both or neither is right", right);
    if (rc == SERIN_OK)
        rc = frames_judge(gallery->frames, number, right, author, now_ms, error);
    if (rc == SERIN_OK)
        rc = frames_find(gallery->frames, number, note_rollout, rollout, error);
    if (rc == SERIN_OK) /* who goes on to the next one means the last one */
        rc = frames_settle(gallery->frames, rollout, now_ms, number, counted, user, error);
    return rc;
}

enum serin_errc gallery_mark_told(struct gallery *gallery, const struct controller_trial *trial, const char *request_id,
                                  int64_t now_ms, struct serin_error *error)
{
    if (!gallery || !gallery_is_wanted(trial->plan))
        return SERIN_OK;
    return frames_mark_told(gallery->frames, trial->rollout->id, request_id, now_ms, error);
}

/* ---- showing ---- */

/* "light=dark\nhour=22\n" as ["light=dark", "hour=22"]. */
static void write_slices(struct json_writer *json, const char *slices)
{
    char one[RECORD_MAX_NAME + RECORD_MAX_VALUE + 2];
    const char *end;

    json_key(json, "slices");
    json_begin_array(json);
    for (; (end = strchr(slices, '\n')) != NULL; slices = end + 1) {
        snprintf(one, sizeof(one), "%.*s", (int)(end - slices), slices);
        json_write_string(json, one);
    }
    json_end_array(json);
}

static void write_frame(void *user, const struct kept_frame *frame)
{
    static const char *const states[] = {"open", "given", "counted"};
    struct json_writer *json = user;

    json_begin_object(json);
    json_put_integer(json, "number", frame->number);
    json_put_string(json, "rollout", frame->rollout);
    json_put_string(json, "stable", frame->stable);
    json_put_string(json, "canary", frame->canary);
    json_put_string(json, "request_id", frame->request_id);
    json_put_string(json, "camera", frame->camera);
    json_put_integer(json, "time_ms", frame->time_ms);
    json_key(json, "difference");
    json_write_rounded(json, frame->difference, 4);
    write_slices(json, frame->slices);
    json_put_integer(json, "width", frame->width);
    json_put_integer(json, "height", frame->height);
    json_put_integer(json, "bytes", (int64_t)frame->picture_bytes);
    json_put_string(json, "type", frame->type);
    json_key(json, "boxes");
    json_write_raw(json, frame->boxes);
    json_put_string(json, "state", states[frame->state]);
    json_put_string(json, "right", frame->right[0] ? frame->right : NULL);
    json_put_string(json, "author", frame->author[0] ? frame->author : NULL);
    json_end_object(json);
}

static void write_sum(struct json_writer *json, const struct plan *plan, const struct frames_sum *sum)
{
    json_put_integer(json, "keep", plan->frames_kept);
    json_put_integer(json, "retention_s", (int64_t)plan->frames_retention_s);
    json_put_integer(json, "kept", sum->count);
    json_put_integer(json, "open", sum->open);
    json_put_integer(json, "bytes", sum->bytes);
}

void gallery_write_sum(struct gallery *gallery, const struct rollout *rollout, const struct plan *plan,
                       struct json_writer *json)
{
    struct frames_sum sum = {0};

    if (!gallery || frames_sum(gallery->frames, rollout->id, &sum, NULL) != SERIN_OK)
        return;
    json_key(json, "frames");
    json_begin_object(json);
    write_sum(json, plan, &sum);
    json_end_object(json);
}

enum serin_errc gallery_list(struct gallery *gallery, const struct rollout *rollout, const struct plan *plan,
                             const struct gallery_page *page, struct buffer *out, struct serin_error *error)
{
    struct frames_sum sum = {0};
    struct json_writer json;
    enum serin_errc rc = check(gallery, error);

    if (rc == SERIN_OK)
        rc = frames_sum(gallery->frames, rollout->id, &sum, error);
    if (rc != SERIN_OK)
        return rc;
    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "rollout", rollout->id);
    json_put_string(&json, "stable", rollout->stable);
    json_put_string(&json, "canary", rollout->canary);
    write_sum(&json, plan, &sum);
    json_key(&json, "frames");
    json_begin_array(&json);
    rc = frames_each(gallery->frames, rollout->id, page->open_only, page->from, page->limit, write_frame, &json, error);
    json_end_array(&json);
    json_end_object(&json);
    return rc;
}

enum serin_errc gallery_show(struct gallery *gallery, int64_t number, struct buffer *out, struct serin_error *error)
{
    struct json_writer json;
    enum serin_errc rc = check(gallery, error);

    json_init(&json, out);
    return rc == SERIN_OK ? frames_find(gallery->frames, number, write_frame, &json, error) : rc;
}

struct found_picture {
    struct buffer *out;
    const char *type;
};

static void copy_picture(void *user, const char *type, const void *bytes, size_t size)
{
    struct found_picture *found = user;
    size_t i;

    for (i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++)
        if (strcmp(type, media_types[i]) == 0)
            found->type = media_types[i];
    buffer_append(found->out, bytes, size);
}

enum serin_errc gallery_picture(struct gallery *gallery, int64_t number, struct buffer *out, const char **ret_type,
                                struct serin_error *error)
{
    struct found_picture found = {out, NULL};
    enum serin_errc rc = check(gallery, error);

    if (rc == SERIN_OK)
        rc = frames_picture(gallery->frames, number, copy_picture, &found, error);
    if (rc == SERIN_OK && !found.type)
        rc = error_set(error, SERIN_CORRUPT, "frame %lld has no type that is known", (long long)number);
    if (rc == SERIN_OK)
        *ret_type = found.type;
    return rc;
}

enum serin_errc gallery_remove(struct gallery *gallery, const char *rollout, int64_t number, int *ret_count,
                               struct serin_error *error)
{
    enum serin_errc rc = check(gallery, error);

    if (rc != SERIN_OK)
        return rc;
    return rollout ? frames_remove_rollout(gallery->frames, rollout, ret_count, error)
                   : frames_remove(gallery->frames, number, ret_count, error);
}
