/*
 * damage.c - damage to the log of decisions: found, told, and accepted by a person.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/damage.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "rollout/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBERS_BYTES ((size_t)1 << 20)

void damage_add(struct damage *damage, const char *model, const char *sentence)
{
    int i;

    damage->any = true;
    for (i = 0; model && i < damage->count && strcmp(damage->models[i].model, model) != 0; i++)
        ;
    if (!model || i == GATEWAY_MAX_MODELS) {
        if (!damage->everybodys[0])
            snprintf(damage->everybodys, sizeof(damage->everybodys), "%s", sentence);
        return;
    }
    if (i < damage->count) /* the first is told */
        return;
    damage->count++;
    snprintf(damage->models[i].model, sizeof(damage->models[i].model), "%s", model);
    snprintf(damage->models[i].sentence, sizeof(damage->models[i].sentence), "%s", sentence);
}

static void add_fault(void *user, const struct decision_fault *fault)
{
    damage_add(user, fault->model, fault->what);
}

void damage_look(struct state *state, struct damage *ret)
{
    uint8_t last[DECISION_HASH_BYTES];
    struct serin_error error;
    int64_t count;

    *ret = (struct damage){0};
    if (decisions_check(state, add_fault, ret, &count, last, &error) != SERIN_OK)
        damage_add(ret, NULL, error.message);
}

const char *damage_of(const struct damage *damage, const char *model)
{
    int i;

    for (i = 0; i < damage->count; i++)
        if (strcmp(damage->models[i].model, model) == 0)
            return damage->models[i].sentence;
    return damage->everybodys[0] ? damage->everybodys : NULL;
}

/* ---- repair ---- */

struct accepting {
    struct json_writer json;
    const char *model;
};

static void accept_fault(void *user, const struct decision_fault *fault)
{
    struct accepting *accepting = user;
    char hash[2 * DECISION_HASH_BYTES + 1];

    if (fault->model && strcmp(fault->model, accepting->model) != 0)
        return;
    text_hex(fault->found, sizeof(fault->found), hash);
    json_begin_object(&accepting->json);
    json_key(&accepting->json, "number");
    json_write_integer(&accepting->json, fault->number);
    json_key(&accepting->json, "hash");
    json_write_string(&accepting->json, hash);
    json_key(&accepting->json, "what");
    json_write_string(&accepting->json, fault->what);
    json_end_object(&accepting->json);
}

struct newest {
    bool found;
    struct rollout rollout;
};

/* A state that cannot be read any more has ended. */
static void take_newest(void *user, const struct stored_rollout *stored)
{
    struct newest *newest = user;
    struct rollout *rollout = &newest->rollout;

    newest->found = true;
    if (rollout_from_json(stored->json, strlen(stored->json), rollout, NULL) == SERIN_OK &&
        strcmp(rollout->id, stored->id) == 0 && strcmp(rollout->model, stored->model) == 0)
        return;
    rollout_init(rollout, stored->id, stored->model, "unknown", "unknown", 0, 0);
    rollout->phase = ROLLOUT_ABORTED;
}

enum serin_errc damage_repair(struct state *state, const char *model, uint64_t route_revision, const char *author,
                              const char *why, struct serin_error *error)
{
    const int64_t now_ms = (int64_t)clock_wall_ms();
    struct decision row = {.time_ms = now_ms,
                           .model = model,
                           .author = author,
                           .event = DECISION_REPAIR,
                           .records = DECISION_WITHOUT_RECORDS};
    struct newest newest = {.found = false};
    struct rollout *rollout = &newest.rollout;
    uint8_t last[DECISION_HASH_BYTES];
    struct buffer numbers, after;
    struct accepting accepting = {.model = model};
    int64_t count;
    enum serin_errc rc = decisions_each_rollout(state, model, 1, take_newest, &newest, error);

    if (rc == SERIN_OK && !newest.found)
        rc = error_set(error, SERIN_NOT_FOUND, "no rollout of '%s'", model);
    buffer_init(&numbers, MAX_NUMBERS_BYTES);
    buffer_init(&after, 64 << 10);
    json_init(&accepting.json, &numbers);
    json_begin_object(&accepting.json);
    json_key(&accepting.json, "accepted");
    json_begin_array(&accepting.json);
    if (rc == SERIN_OK)
        rc = decisions_check(state, accept_fault, &accepting, &count, last, error);
    json_end_array(&accepting.json);
    json_end_object(&accepting.json);
    if (rc == SERIN_OK) {
        if (!rollout_phase_ended(rollout->phase) && rollout->phase != ROLLOUT_PROMOTED) {
            rollout->phase = ROLLOUT_ABORTED;
            rollout->ended_ms = now_ms;
        }
        rollout->route_revision = route_revision;
        snprintf(rollout->why, sizeof(rollout->why), "%s", why && why[0] ? why : "a person's word");
        rollout_to_json(rollout, &after);
        rc = buffer_check(&numbers, "the damage that is accepted", error);
    }
    if (rc == SERIN_OK)
        rc = buffer_check(&after, "a rollout's state", error);
    if (rc == SERIN_OK) {
        row.rollout = rollout->id;
        row.why = rollout->why;
        row.numbers = numbers.bytes;
        row.state = after.bytes;
        rc = decisions_append(state, &row, NULL, error);
    }
    buffer_done(&numbers);
    buffer_done(&after);
    return rc;
}
