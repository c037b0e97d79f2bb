/*
 * route.h - a model's live table, and which version a request gets.  Depends on base, version; knows neither network
 * nor clock nor random numbers. SPDX-License-Identifier: Apache-2.0
 *
 * Shares are weight / sum of weights, weights 0..1,000,000 (as the Kubernetes Gateway API's). Weight 0 means none,
 * exactly. The version of a key is a pure function of (key, salt, weights): the one with the largest -weight / ln(u), u
 * drawn from a hash of (key, salt, version): weighted rendezvous (Schindelhauer and Schomaker 2005; also Mosharaf's and
 * Resch's form). So raising a weight only moves keys to that version.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTE_MAX_VERSIONS 16
#define ROUTE_MAX_RULES    32
#define ROUTE_MAX_MIRRORS  4
#define ROUTE_MAX_WEIGHT   1000000u
#define ROUTE_MAX_TEXT     128

enum route_unit { ROUTE_REQUEST, ROUTE_KEY, ROUTE_KEY_BLOCK }; /* what is assigned to a version */
enum route_key_source { ROUTE_KEY_HEADER, ROUTE_KEY_COOKIE, ROUTE_KEY_QUERY, ROUTE_KEY_ADDRESS };
enum route_reason {
    ROUTE_BY_WEIGHT,
    ROUTE_BY_KEY,
    ROUTE_BY_BLOCK,
    ROUTE_BY_RULE,
    ROUTE_BY_TAG /* the request named it */
};

struct route_version {
    char tag[ROUTE_MAX_TEXT + 1];
    uint32_t weight;
    uint32_t drain_weight; /* with weight 0: keyed requests are assigned as if it still had this one (those who have it
                              keep it); 0: nobody gets it, now */
};

/* A request whose header has this value (empty: any) gets this version, whatever the weights. */
struct route_rule {
    char header[ROUTE_MAX_TEXT + 1], value[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
};

struct route_mirror {
    char tag[ROUTE_MAX_TEXT + 1];
    uint32_t per_million; /* of the requests */
};

struct route {
    char model[ROUTE_MAX_TEXT + 1];
    int version_count, rule_count, mirror_count;
    struct route_version versions[ROUTE_MAX_VERSIONS];
    struct route_rule rules[ROUTE_MAX_RULES];
    struct route_mirror mirrors[ROUTE_MAX_MIRRORS];
    char stable[ROUTE_MAX_TEXT + 1]; /* who answers what another version fails; "" : nobody */
    enum route_unit unit;
    enum route_key_source key_source;
    char key_name[ROUTE_MAX_TEXT + 1]; /* "X-Camera" */
    uint32_t block_seconds;            /* ROUTE_KEY_BLOCK */
    uint64_t salt;
    bool needs_key;             /* who asks must show an API key of the model */
    uint32_t timeout_ms;        /* of one try; default 10,000 */
    uint32_t canary_timeout_ms; /* of a version that is not stable, after which stable is asked; default 5,000 */
    uint64_t revision;          /* rises with every change; 0 in what route_from_json read without one */
};

void route_init(struct route *route, const char *model); /* defaults: by request, header X-Camera named, no versions */

/* Model and tags are names as version/name.h has them. SERIN_INVALID says which field of which version or rule. */
MUST_USE enum serin_errc route_check(const struct route *route, struct serin_error *error);

struct route_request {
    const char *key; /* the value found under key_source; NULL: none (then it is drawn as a request) */
    size_t key_size;
    uint64_t random;    /* uniform 64 bits */
    uint64_t now_ms;    /* wall clock, for blocks */
    const char *forced; /* tag that the request names itself, or that a rule gave; NULL */
};

struct route_choice {
    int version; /* index; -1: the route has no version with weight */
    enum route_reason reason;
};

struct route_choice route_pick(const struct route *route, const struct route_request *request);

/* The probability with which route_pick, unless it is forced, gives a request a version that is not stable, over all
 * random numbers (has_key: over all keys, or blocks). What only drains still has its keys, and no draws. 0 where there
 * is nothing to draw. */
double route_share_on_trial(const struct route *route, bool has_key);

/* The same among the requests that only their own version sees, since none of the route's mirrors took them: where all
 * of stable's are mirrored, those are the other version's alone, and there is nothing to compare them with: 0. A key's
 * unit has some such requests as long as not all are mirrored, and its own share. */
double route_share_alone(const struct route *route, bool has_key);

/* The first rule that a header fits; NULL. */
const char *route_match_rule(const struct route *route, const char *header, const char *value, size_t value_size);
int route_find(const struct route *route, const char *tag); /* index, or -1 */

/* JSON both ways (the admin API and the stored form are one): route_from_json refuses unknown keys and names them. */
struct buffer;
void route_to_json(const struct route *route, struct buffer *out);
/* In all that the JSON tells, the revision too; false without memory. */
bool route_is_same(const struct route *a, const struct route *b);
MUST_USE enum serin_errc route_from_json(const char *json, size_t size, struct route *ret, struct serin_error *error);

#endif
