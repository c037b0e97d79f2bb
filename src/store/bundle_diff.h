/*
 * bundle_diff.h - what differs between two versions, and what a scan has found in one, as JSON.  Depends on store,
 * jansson. SPDX-License-Identifier: Apache-2.0
 *
 *     {"from":NAME, "to":NAME, "same":false,
 *      "fields":[{"name":"conf","kind":"setting","from":0.25,"to":0.3}, ...]    only what differs; null: not set
 *      "classes":{"added":[...],"removed":[...],"reordered":false},
 *      "evaluation":{"name":"mAP50-95","from":.5,"to":.4,"same_data":true,
 *                    "classes":[{"name","from","to","change"}, ...]}            the greatest loss first; null: none
 *      "scan":{"new":[{"id","severity","target","package"}, ...],"gone":[...]}} null: neither was scanned
 */
#ifndef STORE_BUNDLE_DIFF_H
#define STORE_BUNDLE_DIFF_H

#include "store/bundles.h"

#include <jansson.h>

/* The findings of a version's scan, the most severe first: {"count":12,"list":[{"id","severity","target","package"},
 * ...]}, at most `most` of them; json_null where it was not scanned. json_decref(*ret). As bundles_find. */
MUST_USE enum serin_errc bundle_findings(struct bundles *store, const char *name, size_t most, json_t **ret,
                                         struct serin_error *error);

/* json_decref(*ret). As bundles_find. */
MUST_USE enum serin_errc bundle_diff(struct bundles *store, const char *from, const char *to, json_t **ret,
                                     struct serin_error *error);

#endif
