/*
 * route.c - assignment as a pure function, and the checks of a table.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A key's draw for a version does not depend on the weights, and its score is -ln(draw) / weight, the smallest of which
 * wins: so when a weight rises only that version's scores fall, and keys move nowhere but to it. A block adds its
 * number to what is hashed; all keys have their borders at the same wall-clock times, multiples of the block's length,
 * since the judge has to know them: a unit that it cut elsewhere would hold parts of two draws.
 */
#include "gateway/route.h"

#include "base/siphash.h"
#include "version/name.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS        10000
#define DEFAULT_CANARY_TIMEOUT_MS 5000
#define MAX_TIMEOUT_MS            600000
#define MAX_BLOCK_SECONDS         604800

void route_init(struct route *route, const char *model)
{
    *route = (struct route){.timeout_ms = DEFAULT_TIMEOUT_MS,
                            .canary_timeout_ms = DEFAULT_CANARY_TIMEOUT_MS,
                            .block_seconds = 60,
                            .key_name = "X-Camera",
                            .revision = 1};
    strncpy(route->model, model, ROUTE_MAX_TEXT);
}

int route_find(const struct route *route, const char *tag)
{
    int i;

    for (i = 0; i < route->version_count; i++)
        if (strcmp(route->versions[i].tag, tag) == 0)
            return i;
    return -1;
}

/* ---- choosing ---- */

/* A number in (0, 1) from 53 bits of a hash; never 0 or 1, whose logarithms would be no scores. */
static double unit_interval(uint64_t hash)
{
    return ((double)(hash >> 11) + 0.5) * 0x1p-53;
}

static uint64_t hash_of(const struct route *route, const struct route_request *request, const char *what,
                        uint64_t block)
{
    const uint64_t seed[2] = {route->salt, block};
    const uint64_t key[2] = {siphash(seed, request->key, request->key_size), route->salt};

    return siphash(key, what, strlen(what));
}

static uint64_t block_of(const struct route *route, const struct route_request *request)
{
    uint64_t block_ms = (uint64_t)route->block_seconds * 1000;

    return 1 + request->now_ms / block_ms;
}

/* What a version weighs for requests with a key: what only drains keeps those it has. */
static uint32_t weight_by_key(const struct route_version *version)
{
    return version->weight > 0 ? version->weight : version->drain_weight;
}

static int pick_by_key(const struct route *route, const struct route_request *request, uint64_t block)
{
    double best_score = INFINITY;
    int best = -1, i;

    for (i = 0; i < route->version_count; i++) {
        const struct route_version *version = &route->versions[i];
        uint32_t weight = weight_by_key(version);
        double score;

        if (weight == 0)
            continue;
        score = -log(unit_interval(hash_of(route, request, version->tag, block))) / weight;
        if (score < best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

/* random is spread over [0, total) by the high half of a 64 x 64 bit product (Lemire 2019): no value gets more than
 * 2^-44 too much. */
static int pick_at_random(const struct route *route, uint64_t random)
{
    uint64_t total = 0, place;
    int i;

    for (i = 0; i < route->version_count; i++)
        total += route->versions[i].weight;
    if (total == 0)
        return -1;
    place = ((random >> 32) * total + (((random & UINT32_MAX) * total) >> 32)) >> 32;
    for (i = 0; i < route->version_count; i++) {
        if (place < route->versions[i].weight)
            return i;
        place -= route->versions[i].weight;
    }
    return -1;
}

struct route_choice route_pick(const struct route *route, const struct route_request *request)
{
    struct route_choice choice = {-1, ROUTE_BY_WEIGHT};

    if (request->forced) {
        choice.version = route_find(route, request->forced);
        choice.reason = ROUTE_BY_RULE;
        if (choice.version >= 0)
            return choice;
    }
    if (route->unit == ROUTE_REQUEST || !request->key) {
        choice.reason = ROUTE_BY_WEIGHT;
        choice.version = pick_at_random(route, request->random);
        return choice;
    }
    choice.reason = route->unit == ROUTE_KEY ? ROUTE_BY_KEY : ROUTE_BY_BLOCK;
    choice.version = pick_by_key(route, request, route->unit == ROUTE_KEY ? 0 : block_of(route, request));
    return choice;
}

double route_share_on_trial(const struct route *route, bool has_key)
{
    const bool by_key = has_key && route->unit != ROUTE_REQUEST;
    uint64_t sum = 0, trial = 0;
    int i;

    for (i = 0; i < route->version_count; i++) {
        const struct route_version *version = &route->versions[i];
        uint32_t weight = by_key ? weight_by_key(version) : version->weight;

        sum += weight;
        if (strcmp(version->tag, route->stable) != 0)
            trial += weight;
    }
    return sum ? (double)trial / (double)sum : 0;
}

double route_share_alone(const struct route *route, bool has_key)
{
    const double trial = route_share_on_trial(route, has_key);
    double alone[2] = {1, 1}; /* of stable's requests, of the trial's */
    int i;

    /* A copy to stable is taken of all requests, one to another version of stable's (mirror.c). */
    for (i = 0; i < route->mirror_count; i++)
        alone[strcmp(route->mirrors[i].tag, route->stable) == 0] *= 1 - route->mirrors[i].per_million / 1e6;
    if (trial >= 1)
        return trial;
    if (alone[0] <= 0 || alone[1] <= 0)
        return 0;
    if (has_key && route->unit != ROUTE_REQUEST)
        return trial;
    return trial * alone[1] / (trial * alone[1] + (1 - trial) * alone[0]);
}

const char *route_match_rule(const struct route *route, const char *header, const char *value, size_t value_size)
{
    int i;

    for (i = 0; i < route->rule_count; i++) {
        const struct route_rule *rule = &route->rules[i];

        if (strcasecmp(rule->header, header) == 0 &&
            (rule->value[0] == '\0' ||
             (strlen(rule->value) == value_size && memcmp(rule->value, value, value_size) == 0)))
            return rule->tag;
    }
    return NULL;
}

/* ---- checking ---- */

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    if (!*text)
        return false;
    for (; *text; text++)
        if (!((*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
              strchr(others, *text)))
            return false;
    return true;
}

static enum serin_errc check_tag(const struct route *route, const char *tag, const char *what,
                                 struct serin_error *error)
{
    if (route_find(route, tag) < 0)
        return error_set(error, SERIN_INVALID, "route '%s': %s names version '%s', which the route does not have",
                         route->model, what, tag);
    return SERIN_OK;
}

/* Names are those of versions: they stand in paths, headers, logs and metrics as they are. */
static enum serin_errc check_versions(const struct route *route, struct serin_error *error)
{
    char text[2 * ROUTE_MAX_TEXT + 2];
    struct version_name name;
    enum serin_errc rc;
    int i;

    if (route->version_count == 0)
        return error_set(error, SERIN_INVALID, "route '%s' has no version", route->model);
    for (i = 0; i < route->version_count; i++) {
        const struct route_version *version = &route->versions[i];

        if (!version->tag[0])
            return error_set(error, SERIN_INVALID, "route '%s': version %d has no tag", route->model, i);
        snprintf(text, sizeof(text), "%s:%s", route->model, version->tag);
        rc = version_name_parse(text, &name, error);
        if (rc != SERIN_OK)
            return error_prefix(error, rc, "route '%s'", route->model);
        if (version->weight > ROUTE_MAX_WEIGHT || version->drain_weight > ROUTE_MAX_WEIGHT)
            return error_set(error, SERIN_INVALID, "route '%s': weight %u of '%s', the limit is %u", route->model,
                             version->weight > ROUTE_MAX_WEIGHT ? version->weight : version->drain_weight, version->tag,
                             ROUTE_MAX_WEIGHT);
        if (route_find(route, version->tag) != i)
            return error_set(error, SERIN_INVALID, "route '%s': version '%s' stands there twice", route->model,
                             version->tag);
    }
    return SERIN_OK;
}

enum serin_errc route_check(const struct route *route, struct serin_error *error)
{
    enum serin_errc rc;
    int i;

    if (!route->model[0])
        return error_set(error, SERIN_INVALID, "a route without a model");
    rc = version_model_check(route->model, error);
    if (rc != SERIN_OK)
        return error_prefix(error, rc, "a route");
    rc = check_versions(route, error);
    if (rc == SERIN_OK && route->stable[0])
        rc = check_tag(route, route->stable, "stable", error);
    for (i = 0; i < route->rule_count && rc == SERIN_OK; i++) {
        if (!is_token(route->rules[i].header))
            rc = error_set(error, SERIN_INVALID, "route '%s': rule %d has '%s' for a header's name", route->model, i,
                           route->rules[i].header);
        else
            rc = check_tag(route, route->rules[i].tag, "a rule", error);
    }
    for (i = 0; i < route->mirror_count && rc == SERIN_OK; i++) {
        if (route->mirrors[i].per_million > 1000000)
            rc = error_set(error, SERIN_INVALID, "route '%s': %u of a million requests mirrored to '%s'", route->model,
                           route->mirrors[i].per_million, route->mirrors[i].tag);
        else
            rc = check_tag(route, route->mirrors[i].tag, "a mirror", error);
    }
    if (rc != SERIN_OK)
        return rc;
    if (route->unit != ROUTE_REQUEST && route->key_source != ROUTE_KEY_ADDRESS && !is_token(route->key_name))
        return error_set(error, SERIN_INVALID, "route '%s': '%s' is no name of a header, cookie or parameter",
                         route->model, route->key_name);
    if (route->block_seconds < 1 || route->block_seconds > MAX_BLOCK_SECONDS)
        return error_set(error, SERIN_INVALID, "route '%s': blocks of %u s, 1 to %d are possible", route->model,
                         route->block_seconds, MAX_BLOCK_SECONDS);
    if (route->timeout_ms < 1 || route->timeout_ms > MAX_TIMEOUT_MS || route->canary_timeout_ms < 1 ||
        route->canary_timeout_ms > MAX_TIMEOUT_MS)
        return error_set(error, SERIN_INVALID, "route '%s': a time-out of %u ms, 1 to %d are possible", route->model,
                         route->timeout_ms < 1 || route->timeout_ms > MAX_TIMEOUT_MS ? route->timeout_ms
                                                                                     : route->canary_timeout_ms,
                         MAX_TIMEOUT_MS);
    return SERIN_OK;
}
