/*
 * freeze.c - freeze calendars: kept in memory as they are on disk, since the controller asks at each tick.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/freeze.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "rollout/calendar.h"
#include "store/freezes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FREEZES 256 /* models that have lost their route keep theirs */

struct freeze {
    char model[ROUTE_MAX_TEXT + 1];
    char *text; /* as it was written */
    struct calendar calendar;
    bool is_unreadable;
    char fault[200];
};

struct freezes {
    int count;
    struct freeze items[MAX_FREEZES]; /* by model */
};

static int find(const struct freezes *freezes, const char *model)
{
    int i;

    for (i = 0; i < freezes->count; i++)
        if (strcmp(freezes->items[i].model, model) == 0)
            return i;
    return -1;
}

static void clear(struct freezes *freezes)
{
    while (freezes->count > 0)
        free(freezes->items[--freezes->count].text);
}

void freezes_free(struct freezes *freezes)
{
    if (freezes)
        clear(freezes);
    free(freezes);
}

struct loading {
    struct server *server;
    struct freezes *freezes;
    struct serin_error *error;
    enum serin_errc rc;
};

static void load_one(void *user, const char *model, const char *text)
{
    struct loading *loading = user;
    struct freezes *freezes = loading->freezes;
    struct freeze *freeze = &freezes->items[freezes->count];
    struct serin_error why;

    if (loading->rc != SERIN_OK)
        return;
    if (freezes->count == MAX_FREEZES || strlen(model) > ROUTE_MAX_TEXT) {
        loading->rc = error_set(loading->error, SERIN_CORRUPT, "stored freeze calendars: more than %d, or '%.80s'",
                                MAX_FREEZES, model);
        return;
    }
    *freeze = (struct freeze){.text = strdup(text)};
    if (!freeze->text) {
        loading->rc = error_set(loading->error, SERIN_NOMEM, "no memory for freeze calendars");
        return;
    }
    snprintf(freeze->model, sizeof(freeze->model), "%s", model);
    freezes->count++;
    if (calendar_read(text, strlen(text), &freeze->calendar, &why) == SERIN_OK)
        return;
    freeze->is_unreadable = true;
    snprintf(freeze->fault, sizeof(freeze->fault), "%.199s", why.message);
    log_event(loading->server->log, "error", "reading a freeze calendar", "%s is frozen until another is set: %s",
              model, why.message);
}

static enum serin_errc load(struct server *server, struct freezes *freezes, struct serin_error *error)
{
    struct loading loading = {server, freezes, error, SERIN_OK};
    enum serin_errc rc;

    clear(freezes);
    rc = freezes_each(server->state, load_one, &loading, error);
    return rc == SERIN_OK ? loading.rc : rc;
}

enum serin_errc freezes_new(struct server *server, struct freezes **ret, struct serin_error *error)
{
    struct freezes *freezes = calloc(1, sizeof(*freezes));
    enum serin_errc rc;

    if (!freezes)
        return error_set(error, SERIN_NOMEM, "no memory for freeze calendars");
    rc = load(server, freezes, error);
    if (rc != SERIN_OK) {
        freezes_free(freezes);
        return rc;
    }
    *ret = freezes;
    return SERIN_OK;
}

static bool holds(const struct freeze *freeze, int64_t now_ms, int64_t *ret_until_ms, char *ret_why, size_t size)
{
    char until[CALENDAR_UNTIL_BYTES];
    struct serin_error error;
    bool frozen = true;

    *ret_until_ms = 0;
    if (freeze->is_unreadable)
        snprintf(ret_why, size, "its calendar cannot be read: %s", freeze->fault);
    else if (calendar_frozen(&freeze->calendar, now_ms, &frozen, ret_until_ms, &error) != SERIN_OK)
        snprintf(ret_why, size, "its calendar cannot be told: %s", error.message);
    else if (frozen)
        snprintf(ret_why, size, "until %s", calendar_until(&freeze->calendar, now_ms, *ret_until_ms, until));
    return frozen;
}

bool freezes_hold(const struct freezes *freezes, const char *model, int64_t now_ms, char *ret_why, size_t size)
{
    int at = find(freezes, model);
    int64_t until_ms;

    return at >= 0 && holds(&freezes->items[at], now_ms, &until_ms, ret_why, size);
}

/* ---- for the admin API ---- */

enum serin_errc freezes_list(void *user, struct buffer *out, struct serin_error *error)
{
    const struct server *server = user;
    int64_t now_ms = (int64_t)clock_wall_ms(), until_ms;
    struct json_writer json;
    int i;

    (void)error;
    json_init(&json, out);
    json_begin_array(&json);
    for (i = 0; i < server->freezes->count; i++) {
        const struct freeze *freeze = &server->freezes->items[i];
        char why[300] = "";
        bool frozen = holds(freeze, now_ms, &until_ms, why, sizeof(why));

        json_begin_object(&json);
        json_key(&json, "model");
        json_write_string(&json, freeze->model);
        json_key(&json, "frozen");
        json_write_boolean(&json, frozen);
        json_key(&json, "until_ms");
        if (frozen && until_ms > 0 && until_ms != CALENDAR_WITHOUT_END)
            json_write_integer(&json, until_ms);
        else
            json_write_null(&json);
        json_key(&json, "why");
        json_write_string(&json, why);
        json_key(&json, "calendar");
        json_write_string(&json, freeze->text);
        json_end_object(&json);
    }
    json_end_array(&json);
    return SERIN_OK;
}

enum serin_errc freezes_set(void *user, const char *model, const char *text, const char *author,
                            struct serin_error *error)
{
    struct server *server = user;
    struct calendar calendar;
    enum serin_errc rc = calendar_read(text, strlen(text), &calendar, error);

    if (rc == SERIN_NOT_FOUND) /* its zone: what is asked is wrong, and not the path */
        rc = error_code_set(SERIN_INVALID);
    if (rc == SERIN_OK)
        rc = takeover_check(server, error);
    if (rc == SERIN_OK && table_find(server, model) < 0)
        rc = error_set(error, SERIN_NOT_FOUND, "no model '%s' has a route", model);
    if (rc == SERIN_OK && find(server->freezes, model) < 0 && server->freezes->count == MAX_FREEZES)
        rc = error_set(error, SERIN_LIMIT, "%d models have a calendar, the limit", MAX_FREEZES);
    if (rc == SERIN_OK)
        rc = freezes_put(server->state, model, text, author, error);
    if (rc != SERIN_OK)
        return rc;
    log_event(server->log, "info", "setting a freeze calendar", "%s by %s", model, author);
    return load(server, server->freezes, error);
}

enum serin_errc freezes_end(void *user, const char *model, const char *author, struct serin_error *error)
{
    struct server *server = user;
    enum serin_errc rc = takeover_check(server, error);

    if (rc == SERIN_OK && find(server->freezes, model) < 0)
        rc = error_set(error, SERIN_NOT_FOUND, "model '%s' has no freeze calendar", model);
    if (rc == SERIN_OK)
        rc = freezes_remove(server->state, model, author, error);
    if (rc != SERIN_OK)
        return rc;
    log_event(server->log, "info", "removing a freeze calendar", "%s by %s", model, author);
    return load(server, server->freezes, error);
}
