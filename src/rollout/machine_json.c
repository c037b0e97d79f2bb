/*
 * machine_json.c - a rollout's state as JSON: what is stored, and what the admin API gives.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table of fields writes and reads. Reading wants every field but those of time, why and the plan's digest, refuses
 * what it does not know, and checks what the machine relies on, so that a damaged row is an error and not a state.
 */
#include "rollout/machine.h"

#include "base/json.h"
#include "base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_ATTEMPT  1000000

enum kind { TEXT, PHASE, INT, BOOL, TIME, HEX, NUMBER };

static const struct field {
    const char *key;
    enum kind kind;
    bool needed;
    size_t offset, size; /* size: of a text */
} fields[] = {
#define FIELD(name, kind, needed)                                                                                      \
    {                                                                                                                  \
#name, kind, needed, offsetof(struct rollout, name), sizeof(((struct rollout *)0)->name)                       \
    }
    FIELD(id, TEXT, true),           FIELD(model, TEXT, true),          FIELD(stable, TEXT, true),
    FIELD(canary, TEXT, true),       FIELD(phase, PHASE, true),         FIELD(resume_to, PHASE, true),
    FIELD(step, INT, true),          FIELD(step_begun, BOOL, true),     FIELD(attempt, INT, true),
    FIELD(salt, HEX, true),          FIELD(number, NUMBER, true),       FIELD(route_revision, NUMBER, false),
    FIELD(started_ms, TIME, false),  FIELD(step_began_ms, TIME, false), FIELD(limit_from_ms, TIME, false),
    FIELD(promoted_ms, TIME, false), FIELD(ended_ms, TIME, false),      FIELD(why, TEXT, false),
    FIELD(plan_sha256, TEXT, false),
#undef FIELD
};

static void write_field(struct json_writer *json, const struct rollout *rollout, const struct field *field)
{
    const void *place = (const char *)rollout + field->offset;
    char hex[20];

    json_key(json, field->key);
    switch (field->kind) {
    case TEXT:
        json_write_string(json, place);
        break;
    case PHASE:
        json_write_string(json, rollout_phase_name(*(const enum rollout_phase *)place));
        break;
    case INT:
        json_write_integer(json, *(const int *)place);
        break;
    case BOOL:
        json_write_boolean(json, *(const bool *)place);
        break;
    case TIME:
        json_write_integer(json, *(const int64_t *)place);
        break;
    case HEX:
        snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)*(const uint64_t *)place); /* 53 bits in JSON */
        json_write_string(json, hex);
        break;
    case NUMBER:
        json_write_integer(json, (int64_t) * (const uint64_t *)place);
        break;
    }
}

void rollout_to_json(const struct rollout *rollout, struct buffer *out)
{
    struct json_writer json;
    size_t i;

    json_init(&json, out);
    json_begin_object(&json);
    for (i = 0; i < COUNT(fields); i++)
        write_field(&json, rollout, &fields[i]);
    json_end_object(&json);
}

/* ---- reading ---- */

static enum serin_errc wrong(const struct field *field, const char *what, struct serin_error *error)
{
    return error_set(error, SERIN_CORRUPT, "rollout: '%s' must be %s", field->key, what);
}

static enum serin_errc read_text(const struct field *field, const json_t *value, char *place, struct serin_error *error)
{
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return wrong(field, "text", error);
    if (json_string_length(value) >= field->size)
        return error_set(error, SERIN_CORRUPT, "rollout: '%s' has %zu bytes, the limit is %zu", field->key,
                         json_string_length(value), field->size - 1);
    memcpy(place, json_string_value(value), json_string_length(value) + 1);
    return SERIN_OK;
}

static enum serin_errc read_phase(const struct field *field, const json_t *value, enum rollout_phase *place,
                                  struct serin_error *error)
{
    const char *name = json_string_value(value);
    int i;

    for (i = 0; name && i <= ROLLOUT_UNDONE; i++)
        if (strcmp(rollout_phase_name((enum rollout_phase)i), name) == 0) {
            *place = (enum rollout_phase)i;
            return SERIN_OK;
        }
    return error_set(error, SERIN_CORRUPT, "rollout: '%s' is '%.40s', which is no phase", field->key,
                     name ? name : "no text");
}

static enum serin_errc read_number(const struct field *field, const json_t *value, int64_t max, int64_t *ret,
                                   struct serin_error *error)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return error_set(error, SERIN_CORRUPT, "rollout: '%s' must be a whole number from 0 to %lld", field->key,
                         (long long)max);
    *ret = json_integer_value(value);
    return SERIN_OK;
}

static enum serin_errc read_field(const struct field *field, const json_t *value, struct rollout *rollout,
                                  struct serin_error *error)
{
    void *place = (char *)rollout + field->offset;
    const char *text = json_string_value(value);
    enum serin_errc rc;
    int64_t number = 0;

    switch (field->kind) {
    case TEXT:
        return read_text(field, value, place, error);
    case PHASE:
        return read_phase(field, value, place, error);
    case INT:
        rc = read_number(field, value, MAX_ATTEMPT, &number, error);
        *(int *)place = (int)number;
        return rc;
    case BOOL:
        *(bool *)place = json_is_true(value);
        return json_is_boolean(value) ? SERIN_OK : wrong(field, "true or false", error);
    case TIME:
    case NUMBER:
        rc = read_number(field, value, INT64_MAX, &number, error);
        memcpy(place, &number, sizeof(number));
        return rc;
    case HEX:
        if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
            return wrong(field, "16 hexadecimal digits", error);
        *(uint64_t *)place = strtoull(text, NULL, 16);
        return SERIN_OK;
    }
    return SERIN_OK;
}

static enum serin_errc read_fields(const json_t *root, struct rollout *rollout, struct serin_error *error)
{
    const char *known[COUNT(fields)], *key, *nearest;
    enum serin_errc rc;
    json_t *value;
    size_t i;

    for (i = 0; i < COUNT(fields); i++) {
        known[i] = fields[i].key;
        if (fields[i].needed && !json_object_get(root, fields[i].key))
            return error_set(error, SERIN_CORRUPT, "rollout: '%s' is missing", fields[i].key);
    }
    json_object_foreach((json_t *)root, key, value)
    {
        for (i = 0; i < COUNT(fields) && strcmp(fields[i].key, key) != 0; i++)
            continue;
        if (i == COUNT(fields)) {
            nearest = text_nearest(key, known, COUNT(fields));
            return error_set(error, SERIN_CORRUPT, "rollout: unknown key '%.60s'%s%s%s", key,
                             nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        }
        rc = read_field(&fields[i], value, rollout, error);
        if (rc != SERIN_OK)
            return rc;
    }
    return SERIN_OK;
}

/* What machine.c takes for granted. */
static enum serin_errc check(const struct rollout *rollout, struct serin_error *error)
{
    bool begun = rollout->step_begun;
    enum rollout_phase phase = rollout->phase, waits = phase;

    if (phase == ROLLOUT_PAUSED || phase == ROLLOUT_INCONCLUSIVE) {
        waits = rollout->resume_to;
        if (waits != ROLLOUT_PENDING && waits != ROLLOUT_PROGRESSING)
            return error_set(error, SERIN_CORRUPT, "rollout '%s': nothing goes back from a pause to %s", rollout->id,
                             rollout_phase_name(waits));
    }
    if (rollout->step >= JUDGE_MAX_STEPS || rollout->attempt < 1)
        return error_set(error, SERIN_CORRUPT, "rollout '%s': step %d of at most %d, attempt %d", rollout->id,
                         rollout->step + 1, JUDGE_MAX_STEPS, rollout->attempt);
    if ((waits == ROLLOUT_PENDING && begun) ||
        ((waits == ROLLOUT_PROGRESSING || phase == ROLLOUT_PROMOTED || phase == ROLLOUT_COMPLETED) && !begun))
        return error_set(error, SERIN_CORRUPT, "rollout '%s': %s, and its step has %sbegun", rollout->id,
                         rollout_phase_name(phase), begun ? "" : "not ");
    if (!rollout->id[0] || !rollout->model[0] || !rollout->stable[0] || !rollout->canary[0])
        return error_set(error, SERIN_CORRUPT, "rollout '%s': id, model, stable and canary must not be empty",
                         rollout->id);
    return SERIN_OK;
}

enum serin_errc rollout_from_json(const char *json, size_t size, struct rollout *ret, struct serin_error *error)
{
    struct rollout rollout = {.attempt = 1};
    enum serin_errc rc;
    json_error_t fault;
    json_t *root;

    root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &fault);
    if (!root)
        return error_set(error, SERIN_CORRUPT, "rollout: not JSON: %s at line %d", fault.text, fault.line);
    if (json_is_object(root))
        rc = read_fields(root, &rollout, error);
    else
        rc = error_set(error, SERIN_CORRUPT, "rollout: not a JSON object");
    json_decref(root);
    if (rc == SERIN_OK)
        rc = check(&rollout, error);
    if (rc == SERIN_OK)
        *ret = rollout;
    return rc;
}
