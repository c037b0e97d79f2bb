/*
 * route_words.h - from what is typed for `serin route set` to changes of a route, and from a route to what is printed.
 * Depends on gateway/route.h.  SPDX-License-Identifier: Apache-2.0
 *
 * Each reader checks the words alone; whether the route has such a version is route_check's to say, or the server's.
 */
#ifndef CLI_ROUTE_WORDS_H
#define CLI_ROUTE_WORDS_H

#include "gateway/route.h"

#include <stdio.h>

struct route_weight {
    char tag[ROUTE_MAX_TEXT + 1];
    uint32_t weight;
};

/* "TAG=WEIGHT", a whole number. SERIN_INVALID. */
MUST_USE enum serin_errc route_read_weight(const char *word, struct route_weight *ret, struct serin_error *error);

/* "header:NAME", "cookie:NAME", "query:NAME" or "address". SERIN_INVALID. */
MUST_USE enum serin_errc route_read_key(const char *word, struct route *route, struct serin_error *error);

/* "HEADER=VALUE:TAG,...": the route's rules from now on; without "=VALUE" any value will do; "none": no rules.
 * SERIN_INVALID, SERIN_LIMIT. */
MUST_USE enum serin_errc route_read_rules(const char *list, struct route *route, struct serin_error *error);

/* "TAG=PERCENT,...": the route's mirrors from now on; "none": no mirrors. SERIN_INVALID, SERIN_LIMIT. */
MUST_USE enum serin_errc route_read_mirrors(const char *list, struct route *route, struct serin_error *error);

/* Gives version its weight; SERIN_NOT_FOUND names the versions that there are. */
MUST_USE enum serin_errc route_set_weight(struct route *route, const struct route_weight *weight,
                                          struct serin_error *error);

/* The route as lines for people, with the shares in force. */
void route_print(FILE *out, const struct route *route);

/* Where the route assigns keys: a sentence if the smallest share cannot be had with that many keys (cameras = 0: how
 * many it takes, for shares below a twentieth). False: nothing to say. */
bool route_hint(const struct route *route, int cameras, char *text, size_t size);

#endif
