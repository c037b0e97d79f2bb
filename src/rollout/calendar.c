/*
 * calendar.c - whether a freeze calendar's windows hold now, and until when.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A window is a span of what the clocks on the wall show, and it holds whenever they show it: where the clocks go back
 * the repeated hour is in it twice, where they go forward what is skipped is in it never. The end of what holds is
 * found by going on from window to window, a day at a time, until none holds.
 */
#include "rollout/plan_inside.h"
#include "rollout/zone.h"

#include <stdio.h>

#define DAY_S 86400
#define MAX_DAYS                                                                                                       \
    30 /* what days of the week hold for so long has no end: every week is alike, but where clocks change */

static int64_t floor_day(int64_t local_s)
{
    return local_s / DAY_S - (local_s % DAY_S < 0);
}

static bool on_day(const struct calendar_window *window, int64_t day)
{
    if (window->dated)
        return day >= window->from_day && day <= window->to_day;
    return window->weekdays >> (((day + 3) % 7 + 7) % 7) & 1; /* 1970-01-01 was a Thursday; bit 0 is Monday */
}

/* The end, in local seconds, of what this window covers of the day at local_s; local_s itself where it does not hold.
 * A window over midnight belongs to the day on which it begins. */
static int64_t covered_until(const struct calendar_window *window, int64_t local_s)
{
    int64_t day = floor_day(local_s), of_day = local_s - day * DAY_S;
    int64_t from = window->from_minute * 60, to = window->to_minute * 60;
    int64_t midnight = (day + 1) * DAY_S;

    if (window->dated) /* of whole days */
        return on_day(window, day) ? (window->to_day + 1) * DAY_S : local_s;
    if (to > from)
        return on_day(window, day) && of_day >= from && of_day < to ? day * DAY_S + to : local_s;
    if (on_day(window, day) && of_day >= from)
        return midnight;
    return on_day(window, day - 1) && of_day < to ? day * DAY_S + to : local_s;
}

/* The first instant at or after utc_s, and at most a day behind it, at which local clocks have reached local_s. */
static int64_t reach(const struct zone *zone, int64_t utc_s, int64_t local_s)
{
    int32_t offset = zone_offset_s(zone, utc_s);
    int64_t low = utc_s, high = local_s - offset, middle;

    if (zone_offset_s(zone, high) == offset)
        return high;
    while (high - low > 1) { /* the clocks change in (low, high] */
        middle = low + (high - low) / 2;
        if (zone_offset_s(zone, middle) == offset)
            low = middle;
        else
            high = middle;
    }
    low = local_s - zone_offset_s(zone, high);
    return low > high ? low : high; /* or at the change itself, if it skips local_s */
}

enum serin_errc calendar_frozen(const struct calendar *calendar, int64_t now_ms, bool *ret, int64_t *ret_until_ms,
                                struct serin_error *error)
{
    int64_t now_s = now_ms / 1000 - (now_ms % 1000 < 0), utc_s = now_s, dated_s = now_s;
    struct zone *zone;
    enum serin_errc rc;
    bool moved = true;
    int i;

    rc = zone_open(calendar->zone, &zone, error);
    if (rc != SERIN_OK)
        return rc;
    while (moved && utc_s - dated_s < MAX_DAYS * (int64_t)DAY_S) {
        moved = false;
        for (i = 0; i < calendar->window_count; i++) {
            int64_t local_s = utc_s + zone_offset_s(zone, utc_s), until = covered_until(&calendar->windows[i], local_s);

            if (until > local_s) {
                utc_s = reach(zone, utc_s, until);
                if (calendar->windows[i].dated)
                    dated_s = utc_s;
                moved = true;
            }
        }
    }
    zone_free(zone);
    *ret = utc_s > now_s;
    *ret_until_ms = moved ? CALENDAR_WITHOUT_END : utc_s > now_s ? utc_s * 1000 : now_ms;
    return SERIN_OK;
}

const char *calendar_until(const struct calendar *calendar, int64_t now_ms, int64_t until_ms,
                           char text[CALENDAR_UNTIL_BYTES])
{
    const double left_s = (double)(until_ms - now_ms) / 1000;
    int64_t local_s = until_ms / 1000, day;
    int year, month, of_month;
    struct zone *zone;

    if (until_ms == CALENDAR_WITHOUT_END) {
        snprintf(text, CALENDAR_UNTIL_BYTES, "it is lifted");
        return text;
    }
    if (zone_open(calendar->zone, &zone, NULL) == SERIN_OK) {
        local_s += zone_offset_s(zone, until_ms / 1000);
        zone_free(zone);
    }
    day = floor_day(local_s);
    plan_date_of(day, &year, &month, &of_month);
    snprintf(text, CALENDAR_UNTIL_BYTES, "%.3s %04d-%02d-%02d %02d:%02d %s, in %.0f %s",
             &"MonTueWedThuFriSatSun"[3 * (((day + 3) % 7 + 7) % 7)], year, month, of_month,
             (int)(local_s - day * DAY_S) / 3600, (int)(local_s - day * DAY_S) / 60 % 60, calendar->zone,
             left_s < 5400     ? left_s / 60
             : left_s < 129600 ? left_s / 3600
                               : left_s / 86400,
             left_s < 5400     ? "min"
             : left_s < 129600 ? "h"
                               : "days");
    return text;
}
