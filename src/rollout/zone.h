/*
 * zone.h - what the clocks of a time zone show.  Depends on base; reads files of the system's time zone database.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The C library has one time zone a process, and a plan has its own; so the compiled files (RFC 8536, "TZif") are read
 * here. A zone never changes once read, and any thread may ask it.
 */
#ifndef ROLLOUT_ZONE_H
#define ROLLOUT_ZONE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct zone;

/* "Europe/Berlin", as the database names it; "UTC" needs no file. The database is in /usr/share/zoneinfo, or where
 * TZDIR says. SERIN_NOT_FOUND: no such zone here; SERIN_INVALID: no name of one; SERIN_CORRUPT. zone_free takes *ret.
 */
MUST_USE enum serin_errc zone_open(const char *name, struct zone **ret, struct serin_error *error);
void zone_free(struct zone *zone); /* NULL is fine */

/* The same from the bytes of a file. */
MUST_USE enum serin_errc zone_read(const uint8_t *bytes, size_t size, struct zone **ret, struct serin_error *error);

/* Seconds that local time is ahead of UTC at an instant (seconds since 1970, UTC). */
int32_t zone_offset_s(const struct zone *zone, int64_t utc_s);

#endif
