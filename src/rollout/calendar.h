/*
 * calendar.h - when nothing of a model goes forward: windows in a time zone.  Depends on base, zone.h, libyaml.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     zone: Europe/Berlin
 *     windows:
 *       - {days: fri-sun}
 *       - {days: mon-thu, from: "17:00", to: "08:00"}    # over midnight: belongs to the day on which it begins
 *       - {from: 2026-12-20, to: 2027-01-06}             # both included
 */
#ifndef ROLLOUT_CALENDAR_H
#define ROLLOUT_CALENDAR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALENDAR_MAX_WINDOWS 32
#define CALENDAR_MAX_BYTES   (16u << 10) /* of the YAML */
#define CALENDAR_UNTIL_BYTES 112         /* of calendar_until's text */

struct calendar_window {
    bool dated;
    int64_t from_day, to_day;   /* days since 1970-01-01, both included; dated */
    uint8_t weekdays;           /* bit 0 Monday; not dated */
    int from_minute, to_minute; /* of the day, 0..1440; to < from runs over midnight */
};

struct calendar {
    char zone[64]; /* of the IANA data base; "UTC" where none is given */
    int window_count;
    struct calendar_window windows[CALENDAR_MAX_WINDOWS];
};

/* Reads YAML, with the rules of plans: an unknown key is an error with its line. SERIN_INVALID; SERIN_LIMIT: too long;
 * SERIN_NOT_FOUND: no such zone on this machine. */
MUST_USE enum serin_errc calendar_read(const char *yaml, size_t size, struct calendar *ret, struct serin_error *error);

#define CALENDAR_WITHOUT_END INT64_MAX /* its windows leave no time free, in any week */

/* Whether a window is in force, and until when (wall clock, ms). SERIN_NOT_FOUND: no such zone on this machine. */
MUST_USE enum serin_errc calendar_frozen(const struct calendar *calendar, int64_t now_ms, bool *ret,
                                         int64_t *ret_until_ms, struct serin_error *error);

/* An end that calendar_frozen gave, for people: "Mon 2026-11-23 08:00 Europe/Berlin, in 12 h", or "it is lifted".
 * Returns text. */
const char *calendar_until(const struct calendar *calendar, int64_t now_ms, int64_t until_ms,
                           char text[CALENDAR_UNTIL_BYTES]);

#endif
