/*
 * shelf.c - for the admin port: the versions in the store, what differs between two, and a picture tried on one.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading the store may mean reading and comparing scan reports of many megabytes, so it is done on libuv's threads,
 * each time with a store of its own. A picture goes to a replica over the socket that the gateway uses, past the
 * gateway: no client asked, so nothing is counted and nobody judges by it.
 */
#include "serve/inside.h"

#include "base/json.h"
#include "http/client.h"
#include "store/bundle_diff.h"
#include "store/bundle_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER_BYTES ((size_t)64 << 20)
#define MAX_FINDINGS     500 /* of one scan that are listed */
#define MAX_PICTURES     8   /* tried at once */
#define PICTURE_MS       30000

/* ---- the store ---- */

struct reading {
    uv_work_t work;
    struct http_exchange *exchange;
    char dir[1024], name[VERSION_MAX_NAME], against[VERSION_MAX_NAME];
    char provider[PROVIDER_MAX_BYTES], provider_why[sizeof(((struct fleet_version *)0)->provider_why)];
    struct buffer out;
    struct serin_error error;
    enum serin_errc rc;
};

static enum serin_errc write_all(struct bundles *store, struct json_writer *json, struct serin_error *error)
{
    struct bundle *list = NULL;
    size_t count = 0, i;
    enum serin_errc rc = bundles_list(store, NULL, &list, &count, error);

    if (rc != SERIN_OK)
        return rc;
    json_begin_array(json);
    for (i = 0; i < count; i++) {
        bundle_write_json(json, &list[i]);
        bundle_done(&list[i]);
    }
    json_end_array(json);
    free(list);
    return SERIN_OK;
}

static enum serin_errc write_one(struct bundles *store, const struct reading *reading, struct json_writer *json,
                                 struct serin_error *error)
{
    const char *name = reading->name;
    struct bundle bundle = {0};
    json_t *findings = NULL;
    enum serin_errc rc = bundles_find(store, name, &bundle, error);
    char *text;

    if (rc == SERIN_OK && bundle.scan_json)
        rc = bundle_findings(store, name, MAX_FINDINGS, &findings, error);
    text = findings ? json_dumps(findings, JSON_COMPACT) : NULL;
    if (rc == SERIN_OK && findings && !text)
        rc = error_set(error, SERIN_NOMEM, "no memory for the findings of %s", name);
    if (rc == SERIN_OK) {
        json_begin_object(json);
        bundle_write_members(json, &bundle);
        report_engine(json, reading->provider, reading->provider_why);
        json_key(json, "findings");
        json_write_raw(json, text ? text : "null");
        json_end_object(json);
    }
    free(text);
    json_decref(findings);
    bundle_done(&bundle);
    return rc;
}

static enum serin_errc write_diff(struct bundles *store, const struct reading *reading, struct json_writer *json,
                                  struct serin_error *error)
{
    json_t *root = NULL;
    enum serin_errc rc = bundle_diff(store, reading->against, reading->name, &root, error);
    char *text = rc == SERIN_OK ? json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

    if (rc == SERIN_OK && !text)
        rc = error_set(error, SERIN_NOMEM, "no memory for the differences of two versions");
    if (rc == SERIN_OK)
        json_write_raw(json, text);
    free(text);
    json_decref(root);
    return rc;
}

/* On a thread of libuv's. */
static void read_store(uv_work_t *work)
{
    struct reading *reading = work->data;
    struct bundles *store = NULL;
    struct json_writer json;

    json_init(&json, &reading->out);
    reading->rc = bundles_open(reading->dir, &store, &reading->error);
    if (reading->rc == SERIN_OK && !reading->name[0])
        reading->rc = write_all(store, &json, &reading->error);
    else if (reading->rc == SERIN_OK && !reading->against[0])
        reading->rc = write_one(store, reading, &json, &reading->error);
    else if (reading->rc == SERIN_OK)
        reading->rc = write_diff(store, reading, &json, &reading->error);
    if (reading->rc == SERIN_OK)
        reading->rc = buffer_check(&reading->out, "the answer", &reading->error);
    bundles_close(store);
}

static void have_read(uv_work_t *work, int status)
{
    struct reading *reading = work->data;

    (void)status; /* nobody cancels it */
    api_answered(reading->exchange, reading->rc, reading->rc == SERIN_OK ? reading->out.bytes : reading->error.message);
    buffer_done(&reading->out);
    free(reading);
}

enum serin_errc shelf_versions(void *user, const char *name, const char *against, struct http_exchange *exchange,
                               struct serin_error *error)
{
    struct server *server = user;
    const struct fleet_version *version = fleet_find(server->fleet, name);
    struct reading *reading;

    if (strlen(name) >= sizeof(reading->name) || strlen(against) >= sizeof(reading->against))
        return error_set(error, SERIN_INVALID, "a version's name has %d bytes at most", VERSION_MAX_NAME - 1);
    reading = calloc(1, sizeof(*reading));
    if (!reading)
        return error_set(error, SERIN_NOMEM, "no memory for reading the store");
    reading->work.data = reading;
    reading->exchange = exchange;
    snprintf(reading->dir, sizeof(reading->dir), "%s", server->options.data_dir);
    snprintf(reading->name, sizeof(reading->name), "%s", name);
    snprintf(reading->against, sizeof(reading->against), "%s", against);
    if (version) {
        memcpy(reading->provider, version->provider, sizeof(reading->provider));
        memcpy(reading->provider_why, version->provider_why, sizeof(reading->provider_why));
    }
    buffer_init(&reading->out, MAX_ANSWER_BYTES);
    if (uv_queue_work(&server->loop, &reading->work, read_store, have_read) != 0) {
        free(reading);
        return error_set(error, SERIN_NOMEM, "no thread to read the store");
    }
    return SERIN_OK;
}

/* ---- a picture ---- */

struct trial_picture {
    struct trial_picture *next;
    struct server *server;
    struct http_exchange *exchange;
    struct http_client *client;
};

static void client_closed(void *user)
{
    free(user);
}

static void finish(struct trial_picture *picture)
{
    struct trial_picture **at;

    for (at = &picture->server->pictures; *at && *at != picture; at = &(*at)->next)
        ;
    if (*at)
        *at = picture->next;
    http_client_close(picture->client, client_closed, picture);
}

/* A version's own refusal (no picture, too many pixels) goes to whoever asked. */
static void answered(void *user, const struct http_answer *answer)
{
    struct trial_picture *picture = user;
    struct http_exchange *exchange = picture->exchange;
    struct buffer fields;

    picture->exchange = NULL;
    if (!exchange)
        return;
    if (answer->rc != SERIN_OK) {
        http_respond_error(exchange, 502, "the version gave no answer: %s", answer->why);
    } else {
        buffer_init(&fields, 512);
        http_write_field(&fields, "Content-Type", "application/json");
        http_write_field(&fields, "Cache-Control", "no-store");
        http_write_field(&fields, "X-Content-Type-Options", "nosniff");
        http_respond(exchange, answer->head->status < 200 ? 502 : answer->head->status, &fields,
                     bytes_share(answer->body));
        buffer_done(&fields);
    }
    finish(picture);
}

static enum serin_errc ask(struct trial_picture *picture, const char *model, struct serin_error *error)
{
    static const struct http_slice post = {"POST", 4};
    const struct http_slice *type = http_find(http_exchange_head(picture->exchange), "Content-Type");
    char target[VERSION_MAX_MODEL + 32];
    struct buffer head;
    enum serin_errc rc;

    snprintf(target, sizeof(target), "/v1/predict/%s", model);
    buffer_init(&head, 4096);
    http_write_request_line(&head, post, (struct http_slice){target, strlen(target)});
    if (type)
        http_write_slice(&head, (struct http_slice){"Content-Type", 12}, *type);
    rc = buffer_check(&head, "the head of a request", error);
    if (rc == SERIN_OK)
        rc = http_call_start(picture->client, &head, http_exchange_body(picture->exchange), PICTURE_MS, answered,
                             picture, NULL, error);
    buffer_done(&head);
    return rc;
}

enum serin_errc shelf_try(void *user, const char *name, struct http_exchange *exchange, struct serin_error *error)
{
    struct server *server = user;
    const struct fleet_version *version = fleet_find(server->fleet, name);
    const char *endpoint = fleet_ready_endpoint(version);
    struct http_client_options options;
    struct trial_picture *picture;
    enum serin_errc rc;
    int count = 0;

    if (!version)
        return error_set(error, SERIN_NOT_FOUND, "%.200s is not served: deploy it first", name);
    if (!endpoint)
        return error_set(error, SERIN_LIMIT, "%.200s has no replica that is ready", name);
    for (picture = server->pictures; picture; picture = picture->next)
        count++;
    if (count >= MAX_PICTURES || server->stopping)
        return error_set(error, SERIN_LIMIT, "%d pictures are being tried already, the limit", count);
    picture = calloc(1, sizeof(*picture));
    if (!picture)
        return error_set(error, SERIN_NOMEM, "no memory for trying a picture");
    picture->server = server;
    picture->exchange = exchange;
    http_client_options_init(&options);
    options.max_connections = 1;
    options.tls = server->options.upstream_tls;
    rc = http_client_new(&server->loop, endpoint, &options, &picture->client, error);
    if (rc != SERIN_OK) {
        free(picture);
        return rc;
    }
    rc = ask(picture, version->model, error);
    if (rc != SERIN_OK) {
        http_client_close(picture->client, client_closed, picture);
        return rc;
    }
    picture->next = server->pictures;
    server->pictures = picture;
    return SERIN_OK;
}

void shelf_end_all(struct server *server)
{
    while (server->pictures) {
        struct trial_picture *picture = server->pictures;
        struct http_exchange *exchange = picture->exchange;

        picture->exchange = NULL;
        http_respond_error(exchange, 503, "the server is ending");
        finish(picture);
    }
}
