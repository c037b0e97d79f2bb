/*
 * golden_check.c - one call a picture, over the socket that the gateway would use.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/golden_check.h"

#include "base/json_check.h"
#include "http/client.h"
#include "version/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURE_TIMEOUT_MS 60000 /* an accelerator may compile for a shape that it has not met */
#define USUAL_CONF         .25   /* serin_predict_options_init's */

struct golden_check {
    struct bundles *bundles;
    struct http_client *client;
    char name[VERSION_MAX_NAME], target[VERSION_MAX_MODEL + 32];
    json_t *golden;
    double threshold;
    int at; /* the picture that is asked about */
    void (*done)(void *user, enum serin_errc rc, const char *why);
    void *user;
};

static void client_closed(void *user)
{
    struct golden_check *check = user;

    json_decref(check->golden);
    free(check);
}

static void finish(struct golden_check *check, enum serin_errc rc, const struct serin_error *error)
{
    void (*done)(void *user, enum serin_errc rc, const char *why) = check->done;

    check->done = NULL;
    http_client_close(check->client, client_closed, check);
    if (done)
        done(check->user, rc, error->message);
}

/* Compares the answer's only picture. */
static enum serin_errc look_at(const struct golden_check *check, const struct http_answer *answer,
                               struct serin_error *error)
{
    enum serin_errc rc;
    json_t *root;

    if (answer->rc != SERIN_OK)
        return error_set(error, SERIN_LIMIT, "no answer: %s", answer->why);
    if (answer->head->status != 200)
        return error_set(error, SERIN_LIMIT, "answered with status %d: %.*s", answer->head->status,
                         (int)(answer->body->size < 200 ? answer->body->size : 200), (const char *)answer->body->data);
    if (!json_check(answer->body->data, answer->body->size)) /* before a tree is made of what is none */
        return error_set(error, SERIN_LIMIT, "answered with what is no JSON");
    root = json_loadb((const char *)answer->body->data, answer->body->size, 0, NULL);
    rc = golden_compare(check->golden, check->at,
                        json_object_get(json_array_get(json_object_get(root, "images"), 0), "results"),
                        check->threshold, error);
    json_decref(root);
    return rc == SERIN_CORRUPT ? SERIN_LIMIT : rc; /* such an answer is not that of its push, either */
}

static enum serin_errc ask(struct golden_check *check, struct serin_error *error);

static void answered(void *user, const struct http_answer *answer)
{
    struct golden_check *check = user;
    struct serin_error error = {0};
    enum serin_errc rc;

    if (!check->done) /* cancelled */
        return;
    rc = look_at(check, answer, &error);
    if (rc != SERIN_OK)
        error_prefix(&error, rc, "golden picture %d of %d, %.60s", check->at + 1, golden_count(check->golden),
                     golden_name(check->golden, check->at));
    else if (++check->at < golden_count(check->golden))
        rc = ask(check, &error);
    if (rc != SERIN_OK || check->at == golden_count(check->golden))
        finish(check, rc, &error);
}

static enum serin_errc ask(struct golden_check *check, struct serin_error *error)
{
    static const struct http_slice post = {"POST", 4};
    struct http_slice target = {check->target, strlen(check->target)};
    uint8_t *picture = NULL;
    struct bytes *body;
    struct buffer head;
    enum serin_errc rc;
    char file[16];
    size_t size;

    rc = bundles_read_file(check->bundles, check->name, golden_layer(check->at, file), GOLDEN_MAX_PICTURE_BYTES,
                           &picture, &size, error);
    if (rc != SERIN_OK)
        return rc;
    body = bytes_new(size);
    if (body) {
        memcpy(body->data, picture, size);
        body->size = size;
    }
    free(picture);
    if (!body)
        return error_set(error, SERIN_NOMEM, "no memory for a golden picture of %zu bytes", size);
    buffer_init(&head, 4096);
    http_write_request_line(&head, post, target);
    http_write_field(&head, "Content-Type", "application/octet-stream");
    rc = http_call_start(check->client, &head, body, PICTURE_TIMEOUT_MS, answered, check, NULL, error);
    buffer_done(&head);
    bytes_drop(body);
    return rc;
}

enum serin_errc golden_check_start(uv_loop_t *loop, struct tls *tls, const char *endpoint, struct bundles *bundles,
                                   const struct bundle *bundle,
                                   void (*done)(void *user, enum serin_errc rc, const char *why), void *user,
                                   struct golden_check **ret, struct serin_error *error)
{
    struct golden_check *check = calloc(1, sizeof(*check));
    struct http_client_options options;
    enum serin_errc rc;

    if (!check)
        return error_set(error, SERIN_NOMEM, "no memory for a check of golden pictures");
    check->bundles = bundles;
    check->user = user;
    check->threshold = strcmp(bundle->task, "classify") == 0 ? 0 : bundle_setting_get(bundle, "conf", USUAL_CONF);
    version_name_text(&bundle->name, check->name);
    snprintf(check->target, sizeof(check->target), "/v1/predict/%s", bundle->name.model);
    http_client_options_init(&options);
    options.limits.max_body_bytes = GOLDEN_MAX_JSON_BYTES; /* all answers of a bundle together have no more */
    options.max_connections = 1;
    options.tls = tls;
    rc = golden_parse(bundle->golden_json, &check->golden, error);
    if (rc == SERIN_OK)
        rc = http_client_new(loop, endpoint, &options, &check->client, error);
    if (rc != SERIN_OK) {
        client_closed(check);
        return rc;
    }
    rc = ask(check, error);
    if (rc != SERIN_OK) {
        http_client_close(check->client, client_closed, check);
        return rc;
    }
    check->done = done;
    *ret = check;
    return SERIN_OK;
}

void golden_check_cancel(struct golden_check *check)
{
    if (!check || !check->done)
        return;
    check->done = NULL;
    http_client_close(check->client, client_closed, check);
}
