/*
 * route_json.c - routes as JSON: what the admin API takes and gives, and what is stored.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading starts from a route's defaults and refuses keys it does not know, so that a misspelt field is an error and
 * not a default.
 */
#include "gateway/route.h"

#include "base/json.h"
#include "base/text.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUTE_BYTES ((size_t)1 << 20) /* some times what the most versions and rules take */

static const char *const unit_names[] = {"request", "key", "key_block"};
static const char *const source_names[] = {"header", "cookie", "query", "address"};

void route_to_json(const struct route *route, struct buffer *out)
{
    struct json_writer json;
    char salt[20];
    int i;

    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "model", route->model);
    json_put_integer(&json, "revision", route->revision);
    json_put_string(&json, "stable", route->stable);
    json_put_string(&json, "unit", unit_names[route->unit]);
    json_put_string(&json, "key_source", source_names[route->key_source]);
    json_put_string(&json, "key_name", route->key_name);
    json_put_integer(&json, "block_seconds", route->block_seconds);
    snprintf(salt, sizeof(salt), "%016llx", (unsigned long long)route->salt); /* JSON numbers have 53 bits */
    json_put_string(&json, "salt", salt);
    json_key(&json, "needs_key");
    json_write_boolean(&json, route->needs_key);
    json_put_integer(&json, "timeout_ms", route->timeout_ms);
    json_put_integer(&json, "canary_timeout_ms", route->canary_timeout_ms);
    json_key(&json, "versions");
    json_begin_array(&json);
    for (i = 0; i < route->version_count; i++) {
        json_begin_object(&json);
        json_put_string(&json, "tag", route->versions[i].tag);
        json_put_integer(&json, "weight", route->versions[i].weight);
        json_put_integer(&json, "drain_weight", route->versions[i].drain_weight);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_key(&json, "rules");
    json_begin_array(&json);
    for (i = 0; i < route->rule_count; i++) {
        json_begin_object(&json);
        json_put_string(&json, "header", route->rules[i].header);
        json_put_string(&json, "value", route->rules[i].value);
        json_put_string(&json, "tag", route->rules[i].tag);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_key(&json, "mirrors");
    json_begin_array(&json);
    for (i = 0; i < route->mirror_count; i++) {
        json_begin_object(&json);
        json_put_string(&json, "tag", route->mirrors[i].tag);
        json_put_integer(&json, "per_million", route->mirrors[i].per_million);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
}

bool route_is_same(const struct route *a, const struct route *b)
{
    struct buffer texts[2];
    bool same;

    buffer_init(&texts[0], MAX_ROUTE_BYTES);
    buffer_init(&texts[1], MAX_ROUTE_BYTES);
    route_to_json(a, &texts[0]);
    route_to_json(b, &texts[1]);
    same = !texts[0].failed && !texts[1].failed && strcmp(texts[0].bytes, texts[1].bytes) == 0;
    buffer_done(&texts[0]);
    buffer_done(&texts[1]);
    return same;
}

/* ---- reading ---- */

static enum serin_errc read_text(const char *where, const char *key, const json_t *value, char *ret,
                                 struct serin_error *error)
{
    if (!json_is_string(value))
        return error_set(error, SERIN_INVALID, "%s: '%s' must be text", where, key);
    if (json_string_length(value) > ROUTE_MAX_TEXT || strlen(json_string_value(value)) != json_string_length(value))
        return error_set(error, SERIN_INVALID, "%s: '%s' has %zu bytes, the limit is %d", where, key,
                         json_string_length(value), ROUTE_MAX_TEXT);
    memcpy(ret, json_string_value(value), json_string_length(value) + 1);
    return SERIN_OK;
}

static enum serin_errc read_number(const char *where, const char *key, const json_t *value, uint32_t *ret,
                                   struct serin_error *error)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
        return error_set(error, SERIN_INVALID, "%s: '%s' must be a whole number from 0 to %u", where, key, UINT32_MAX);
    *ret = (uint32_t)json_integer_value(value);
    return SERIN_OK;
}

static enum serin_errc read_choice(const char *where, const char *key, const json_t *value, const char *const *names,
                                   size_t count, int *ret, struct serin_error *error)
{
    const char *text = json_string_value(value);
    size_t i;

    for (i = 0; text && i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (int)i;
            return SERIN_OK;
        }
    return error_set(error, SERIN_INVALID, "%s: '%s' is '%.40s'; it can be %s, %s, %s%s", where, key,
                     text ? text : "no text", names[0], names[1], names[2], count > 3 ? " or address" : "");
}

static enum serin_errc read_salt(const char *where, const json_t *value, uint64_t *ret, struct serin_error *error)
{
    const char *text = json_string_value(value);
    char *end = NULL;

    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return error_set(error, SERIN_INVALID, "%s: 'salt' must be 16 hexadecimal digits", where);
    *ret = strtoull(text, &end, 16);
    return SERIN_OK;
}

static enum serin_errc unknown_key(const char *where, const char *key, const char *const *known, size_t count,
                                   struct serin_error *error)
{
    const char *nearest = text_nearest(key, known, count);

    return error_set(error, SERIN_INVALID, "%s: unknown key '%.60s'%s%s%s", where, key,
                     nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* A member of the objects in a route's lists. */
struct member {
    const char *key;
    bool is_number; /* uint32_t; else a text of ROUTE_MAX_TEXT */
    size_t offset;
};

static const struct member version_members[] = {
    {"tag", false, offsetof(struct route_version, tag)},
    {"weight", true, offsetof(struct route_version, weight)},
    {"drain_weight", true, offsetof(struct route_version, drain_weight)},
};
static const struct member rule_members[] = {
    {"header", false, offsetof(struct route_rule, header)},
    {"value", false, offsetof(struct route_rule, value)},
    {"tag", false, offsetof(struct route_rule, tag)},
};
static const struct member mirror_members[] = {
    {"tag", false, offsetof(struct route_mirror, tag)},
    {"per_million", true, offsetof(struct route_mirror, per_million)},
};

#define MAX_MEMBERS 3

static enum serin_errc read_members(const char *where, const json_t *object, const struct member *members, size_t count,
                                    void *record, struct serin_error *error)
{
    const char *known[MAX_MEMBERS], *key;
    enum serin_errc rc;
    json_t *value;
    size_t m;

    for (m = 0; m < count; m++)
        known[m] = members[m].key;
    json_object_foreach((json_t *)object, key, value)
    {
        for (m = 0; m < count && strcmp(members[m].key, key) != 0; m++)
            continue;
        if (m == count)
            return unknown_key(where, key, known, count, error);
        if (members[m].is_number)
            rc = read_number(where, key, value, (uint32_t *)(void *)((char *)record + members[m].offset), error);
        else
            rc = read_text(where, key, value, (char *)record + members[m].offset, error);
        if (rc != SERIN_OK)
            return rc;
    }
    return SERIN_OK;
}

enum list_kind { LIST_VERSIONS, LIST_RULES, LIST_MIRRORS };

static enum serin_errc read_list(const char *key, const json_t *array, enum list_kind kind, struct route *route,
                                 struct serin_error *error)
{
    static const int limits[] = {ROUTE_MAX_VERSIONS, ROUTE_MAX_RULES, ROUTE_MAX_MIRRORS};
    enum serin_errc rc = SERIN_OK;
    char where[64];
    size_t i;

    if (!json_is_array(array) || json_array_size(array) > (size_t)limits[kind])
        return error_set(error, SERIN_INVALID, "'%s' must be a list of at most %d", key, limits[kind]);
    for (i = 0; i < json_array_size(array) && rc == SERIN_OK; i++) {
        const json_t *object = json_array_get(array, i);

        snprintf(where, sizeof(where), "%s[%zu]", key, i);
        if (!json_is_object(object))
            return error_set(error, SERIN_INVALID, "%s must be an object", where);
        if (kind == LIST_VERSIONS)
            rc = read_members(where, object, version_members, 3, &route->versions[route->version_count++], error);
        else if (kind == LIST_RULES)
            rc = read_members(where, object, rule_members, 3, &route->rules[route->rule_count++], error);
        else
            rc = read_members(where, object, mirror_members, 2, &route->mirrors[route->mirror_count++], error);
    }
    return rc;
}

static enum serin_errc read_field(const char *key, const json_t *value, struct route *route, struct serin_error *error)
{
    static const char *const known[] = {
        "model",         "revision", "stable", "unit",       "key_source",        "key_name",
        "block_seconds", "salt",     "rules",  "timeout_ms", "canary_timeout_ms", "versions",
        "mirrors",       "needs_key"};
    enum serin_errc rc;
    int choice = 0;

    if (strcmp(key, "model") == 0)
        return read_text("route", key, value, route->model, error);
    if (strcmp(key, "stable") == 0)
        return read_text("route", key, value, route->stable, error);
    if (strcmp(key, "key_name") == 0)
        return read_text("route", key, value, route->key_name, error);
    if (strcmp(key, "block_seconds") == 0)
        return read_number("route", key, value, &route->block_seconds, error);
    if (strcmp(key, "timeout_ms") == 0)
        return read_number("route", key, value, &route->timeout_ms, error);
    if (strcmp(key, "canary_timeout_ms") == 0)
        return read_number("route", key, value, &route->canary_timeout_ms, error);
    if (strcmp(key, "needs_key") == 0) {
        if (!json_is_boolean(value))
            return error_set(error, SERIN_INVALID, "route: 'needs_key' must be true or false");
        route->needs_key = json_is_true(value);
        return SERIN_OK;
    }
    if (strcmp(key, "salt") == 0)
        return read_salt("route", value, &route->salt, error);
    if (strcmp(key, "versions") == 0)
        return read_list(key, value, LIST_VERSIONS, route, error);
    if (strcmp(key, "rules") == 0)
        return read_list(key, value, LIST_RULES, route, error);
    if (strcmp(key, "mirrors") == 0)
        return read_list(key, value, LIST_MIRRORS, route, error);
    if (strcmp(key, "revision") == 0) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return error_set(error, SERIN_INVALID, "route: 'revision' must be a whole number");
        route->revision = (uint64_t)json_integer_value(value);
        return SERIN_OK;
    }
    if (strcmp(key, "unit") == 0) {
        rc = read_choice("route", key, value, unit_names, 3, &choice, error);
        route->unit = (enum route_unit)choice;
        return rc;
    }
    if (strcmp(key, "key_source") == 0) {
        rc = read_choice("route", key, value, source_names, 4, &choice, error);
        route->key_source = (enum route_key_source)choice;
        return rc;
    }
    return unknown_key("route", key, known, sizeof(known) / sizeof(known[0]), error);
}

enum serin_errc route_from_json(const char *text, size_t size, struct route *ret, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    json_error_t fault;
    struct route route;
    const char *key;
    json_t *root, *value;

    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
    if (!root)
        return error_set(error, SERIN_INVALID, "not JSON: %s at line %d", fault.text, fault.line);
    route_init(&route, "");
    route.revision = 0; /* unless it is said */
    if (!json_is_object(root))
        rc = error_set(error, SERIN_INVALID, "a route is a JSON object");
    else
        json_object_foreach(root, key, value)
        {
            rc = read_field(key, value, &route, error);
            if (rc != SERIN_OK)
                break;
        }
    json_decref(root);
    if (rc == SERIN_OK)
        rc = route_check(&route, error);
    if (rc == SERIN_OK)
        *ret = route;
    return rc;
}
