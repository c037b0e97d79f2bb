/*
 * golden_check.h - sends a version's golden pictures to a replica that has just become ready, and compares what it
 * answers.  Depends on store/bundles.h, version/golden.h, http/client.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_GOLDEN_CHECK_H
#define SERVE_GOLDEN_CHECK_H

#include "store/bundles.h"

#include <uv.h>

struct golden_check;
struct tls;

/* Asks endpoint (https://: trusting whom tls says), one picture after the other, with the thresholds of the bundle,
 * which is read during the call only.
 * bundles must outlive the check. done is called once, from the loop, with SERIN_OK, or SERIN_LIMIT and which picture
 * differs how; not where this returns an error. */
MUST_USE enum serin_errc golden_check_start(uv_loop_t *loop, struct tls *tls, const char *endpoint,
                                            struct bundles *bundles, const struct bundle *bundle,
                                            void (*done)(void *user, enum serin_errc rc, const char *why), void *user,
                                            struct golden_check **ret, struct serin_error *error);
/* done is not called any more. NULL is fine. */
void golden_check_cancel(struct golden_check *check);

#endif
