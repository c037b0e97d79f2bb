/*
 * calendar_test.c - time zones against the C library's, damaged zone files, and freeze windows over DST changes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/calendar.c"
#include "rollout/zone.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static struct zone *open_zone(const char *name)
{
    struct serin_error error;
    struct zone *zone = NULL;

    if (zone_open(name, &zone, &error) != SERIN_OK) {
        if (error.code == SERIN_NOT_FOUND)
            skip(); /* a machine without the database */
        fail_msg("%s", error.message);
    }
    return zone;
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    return plan_day_of(year, month, day) * 86400 + hour * 3600 + minute * 60;
}

/* ---- zones ---- */

static void test_offsets_are_those_of_the_c_library(void **state)
{
    static const char *const names[] = {"Europe/Berlin",    "America/New_York",  "Australia/Lord_Howe", "Asia/Kolkata",
                                        "Pacific/Apia",     "Africa/Casablanca", "America/Sao_Paulo",   "Europe/Dublin",
                                        "Antarctica/Troll", "America/Nuuk",      "Asia/Gaza",           "UTC",
                                        "Pacific/Chatham",  "Africa/Cairo",      "America/Caracas",     "EST5EDT"};
    uint64_t random = 42;
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct zone *zone = open_zone(names[i]);

        setenv("TZ", names[i], 1);
        tzset();
        for (k = 0; k < 20000; k++) {
            struct tm local;
            time_t now;

            random = random * 6364136223846793005u + 1442695040888963407u;
            now = (time_t)((random >> 20) % 6000000000u) - 1500000000; /* 1922 to 2112 */
            localtime_r(&now, &local);
            if (zone_offset_s(zone, now) != local.tm_gmtoff)
                fail_msg("%s at %lld: %d, not %ld", names[i], (long long)now, zone_offset_s(zone, now),
                         local.tm_gmtoff);
        }
        zone_free(zone);
    }
    unsetenv("TZ");
    tzset();
}

static void test_the_instants_of_a_change(void **state)
{
    struct zone *zone = open_zone("Europe/Berlin");

    (void)state;
    assert_int_equal(zone_offset_s(zone, utc(2026, 3, 29, 1, 0) - 1), 3600);
    assert_int_equal(zone_offset_s(zone, utc(2026, 3, 29, 1, 0)), 7200);
    assert_int_equal(zone_offset_s(zone, utc(2026, 10, 25, 1, 0) - 1), 7200);
    assert_int_equal(zone_offset_s(zone, utc(2026, 10, 25, 1, 0)), 3600);
    assert_int_equal(zone_offset_s(zone, utc(2150, 7, 1, 0, 0)), 7200); /* by the rule */
    zone_free(zone);
}

static void check_rule(const char *rule, bool good)
{
    struct zone zone = {.change_count = 0};

    if ((read_rule(rule, &zone, NULL) == SERIN_OK) != good)
        fail_msg("'%s' is %s", rule, good ? "refused" : "taken");
}

static void test_rules(void **state)
{
    struct zone zone = {.change_count = 0};

    (void)state;
    check_rule("UTC0", true);
    check_rule("<+0330>-3:30", true);
    check_rule("EST5EDT,M3.2.0,M11.1.0", true);
    check_rule("IST-2IDT,M3.4.4/26,M10.5.0", true);
    check_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true);
    check_rule("AAA3BBB,J60/1:30:15,300", true);
    check_rule("EST5EDT", false); /* without dates: left to the machine by POSIX, and never in a file */
    check_rule("ES5", false);
    check_rule("EST", false);
    check_rule("EST25", false);
    check_rule("EST5EDT,M13.1.0,M1.1.0", false);
    check_rule("EST5EDT,M1.6.0,M1.1.0", false);
    check_rule("EST5EDT,M1.1.7,M1.1.0", false);
    check_rule("EST5EDT,J0,J1", false);
    check_rule("EST5EDT,1,366", false);
    check_rule("EST5EDT,1,2,3", false);
    check_rule("EST5EDT,1/168,2", false);
    check_rule("<AB", false);
    check_rule("EST999999999999", false);
    /* summer over New Year, J without 29 February: 1 March to 31 December is winter */
    assert_int_equal(read_rule("AAA0BBB,J365/24,J60/0", &zone, NULL), SERIN_OK);
    assert_int_equal(zone_offset_s(&zone, utc(2024, 2, 29, 22, 59)), 3600);
    assert_int_equal(zone_offset_s(&zone, utc(2024, 2, 29, 23, 0)), 0);
    assert_int_equal(zone_offset_s(&zone, utc(2024, 12, 31, 23, 59)), 0);
    assert_int_equal(zone_offset_s(&zone, utc(2025, 1, 1, 0, 0)), 3600);
}

static void test_damaged_zone_files_are_refused(void **state)
{
    struct zone *zone = NULL, *whole = open_zone("Europe/Berlin");
    struct serin_error error;
    uint8_t *bytes, *part;
    size_t size, cut, i;

    (void)state;
    zone_free(whole);
    assert_int_equal(file_read("/usr/share/zoneinfo/Europe/Berlin", MAX_FILE_BYTES, &bytes, &size, &error), SERIN_OK);
    for (cut = 0; cut < size; cut++) { /* alone in its allocation, so that a read too far shows under a sanitizer */
        part = malloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        assert_int_equal(zone_read(part, cut, &zone, &error), SERIN_CORRUPT);
        free(part);
    }
    for (i = 0; i < size; i++) { /* and no flipped bit is followed anywhere */
        int bit;

        for (bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            if (zone_read(bytes, size, &zone, &error) == SERIN_OK) {
                (void)zone_offset_s(zone, INT64_C(4000000000));
                zone_free(zone);
            }
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    free(bytes);
}

static void test_names_of_zones(void **state)
{
    struct serin_error error;
    struct zone *zone = NULL;

    (void)state;
    assert_int_equal(zone_open("../../../etc/passwd", &zone, &error), SERIN_INVALID);
    assert_string_equal(error.message, "'../../../etc/passwd' is no name of a time zone, as 'Europe/Berlin' is");
    assert_int_equal(zone_open("/etc/passwd", &zone, NULL), SERIN_INVALID);
    assert_int_equal(zone_open("", &zone, NULL), SERIN_INVALID);
    assert_int_equal(zone_open("Europe/Berlln", &zone, NULL), SERIN_NOT_FOUND);
    assert_int_equal(zone_open("Europe", &zone, NULL), SERIN_NOT_FOUND);
}

/* ---- windows ---- */

static struct calendar *calendar_of(const char *zone, struct calendar_window window)
{
    struct calendar *calendar = calloc(1, sizeof(*calendar));

    assert_non_null(calendar);
    snprintf(calendar->zone, sizeof(calendar->zone), "%s", zone);
    zone_free(open_zone(zone));
    calendar->windows[0] = window;
    calendar->window_count = 1;
    return calendar;
}

#define NEVER ((int64_t)1 << 40)

/* until 0: not frozen; NEVER: without end */
static void check(const struct calendar *calendar, int64_t utc_s, int64_t until_s)
{
    struct serin_error error;
    int64_t until_ms = -1;
    bool frozen;

    if (calendar_frozen(calendar, utc_s * 1000 + 999, &frozen, &until_ms, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    if (until_ms == CALENDAR_WITHOUT_END)
        until_ms = NEVER * 1000;
    if (frozen != (until_s != 0) || (frozen && until_ms != until_s * 1000))
        fail_msg("at %lld: %s until %lld, not %lld", (long long)utc_s, frozen ? "frozen" : "free",
                 (long long)until_ms / 1000, (long long)until_s);
}

static void test_days_of_the_week(void **state)
{
    struct calendar *calendar = calendar_of("UTC", (struct calendar_window){.weekdays = 0x70, .to_minute = 1440});

    (void)state;
    check(calendar, utc(2026, 11, 19, 23, 59), 0); /* a Thursday */
    check(calendar, utc(2026, 11, 20, 0, 0), utc(2026, 11, 23, 0, 0));
    check(calendar, utc(2026, 11, 22, 23, 59), utc(2026, 11, 23, 0, 0));
    check(calendar, utc(2026, 11, 23, 0, 0), 0);
    check(calendar, utc(1960, 1, 1, 12, 0), utc(1960, 1, 4, 0, 0));                   /* a Friday before 1970 */
    calendar->windows[1] = (struct calendar_window){.weekdays = 1, .to_minute = 480}; /* and Monday until 08:00 */
    calendar->window_count = 2;
    check(calendar, utc(2026, 11, 20, 0, 0), utc(2026, 11, 23, 8, 0));
    free(calendar);
}

static void test_a_window_over_midnight_belongs_to_the_day_of_its_begin(void **state)
{
    struct calendar *calendar =
        calendar_of("UTC", (struct calendar_window){.weekdays = 0x10, .from_minute = 22 * 60, .to_minute = 6 * 60});

    (void)state;
    check(calendar, utc(2026, 11, 20, 5, 0), 0); /* Friday morning: Thursday night is free */
    check(calendar, utc(2026, 11, 20, 22, 0), utc(2026, 11, 21, 6, 0));
    check(calendar, utc(2026, 11, 21, 5, 59), utc(2026, 11, 21, 6, 0));
    check(calendar, utc(2026, 11, 21, 22, 0), 0);
    free(calendar);
}

static void test_dates(void **state)
{
    struct calendar *calendar =
        calendar_of("America/New_York", (struct calendar_window){.dated = true,
                                                                 .from_day = plan_day_of(2026, 12, 20),
                                                                 .to_day = plan_day_of(2027, 1, 6),
                                                                 .to_minute = 1440});

    (void)state;
    check(calendar, utc(2026, 12, 20, 4, 59), 0);
    check(calendar, utc(2026, 12, 20, 5, 0), utc(2027, 1, 7, 5, 0));
    check(calendar, utc(2027, 1, 7, 5, 0), 0);
    free(calendar);
}

static void test_when_the_clocks_go_forward(void **state)
{
    /* In Berlin 02:00 is 03:00 on 2026-03-29. */
    struct calendar *calendar =
        calendar_of("Europe/Berlin", (struct calendar_window){.weekdays = 127, .from_minute = 60, .to_minute = 150});

    (void)state;
    check(calendar, utc(2026, 3, 28, 0, 0), utc(2026, 3, 28, 1, 30)); /* 01:00 to 02:30 */
    check(calendar, utc(2026, 3, 29, 0, 0), utc(2026, 3, 29, 1, 0));  /* 02:30 never comes: the change ends it */
    calendar->windows[0].from_minute = 130;
    check(calendar, utc(2026, 3, 29, 0, 59), 0); /* 02:10 to 02:30 is skipped whole */
    check(calendar, utc(2026, 3, 29, 1, 0), 0);
    calendar->windows[0].from_minute = 0;
    calendar->windows[0].to_minute = 240;
    check(calendar, utc(2026, 3, 28, 23, 0), utc(2026, 3, 29, 2, 0)); /* four hours by the clock, three long */
    free(calendar);
}

static void test_when_the_clocks_go_back(void **state)
{
    /* In Berlin 03:00 is 02:00 again on 2026-10-25. */
    struct calendar *calendar =
        calendar_of("Europe/Berlin", (struct calendar_window){.weekdays = 127, .from_minute = 60, .to_minute = 240});

    (void)state;
    check(calendar, utc(2026, 10, 24, 23, 0), utc(2026, 10, 25, 3, 0)); /* three hours by the clock, four long */
    calendar->windows[0].from_minute = 130;
    calendar->windows[0].to_minute = 150;
    check(calendar, utc(2026, 10, 25, 0, 10), utc(2026, 10, 25, 0, 30)); /* 02:10 to 02:30, for the first time */
    check(calendar, utc(2026, 10, 25, 0, 30), 0);
    check(calendar, utc(2026, 10, 25, 1, 10), utc(2026, 10, 25, 1, 30)); /* and again */
    calendar->windows[0].from_minute = 120;
    calendar->windows[0].to_minute = 180;
    check(calendar, utc(2026, 10, 25, 0, 0), utc(2026, 10, 25, 2, 0));
    free(calendar);
}

static void test_a_freeze_without_end(void **state)
{
    struct calendar *calendar =
        calendar_of("Europe/Berlin", (struct calendar_window){.weekdays = 127, .to_minute = 1440});
    char text[CALENDAR_UNTIL_BYTES];

    (void)state;
    check(calendar, utc(2026, 3, 22, 0, 0), NEVER);
    assert_string_equal(calendar_until(calendar, 0, CALENDAR_WITHOUT_END, text), "it is lifted");
    /* Free in one hour of the week, which does not come when the clocks go forward. */
    calendar->windows[0] = (struct calendar_window){.weekdays = 63, .to_minute = 1440};
    calendar->windows[1] = (struct calendar_window){.weekdays = 64, .to_minute = 120};
    calendar->windows[2] = (struct calendar_window){.weekdays = 64, .from_minute = 180, .to_minute = 1440};
    calendar->window_count = 3;
    check(calendar, utc(2026, 3, 22, 3, 0), utc(2026, 4, 5, 0, 0));
    free(calendar);
}

static void test_a_freeze_of_years_has_an_end(void **state)
{
    struct calendar *calendar = calendar_of("UTC", (struct calendar_window){.dated = true,
                                                                            .from_day = plan_day_of(2026, 1, 1),
                                                                            .to_day = plan_day_of(2030, 12, 31),
                                                                            .to_minute = 1440});

    (void)state;
    check(calendar, utc(2026, 11, 22, 12, 0), utc(2031, 1, 1, 0, 0));
    calendar->windows[1] = (struct calendar_window){.weekdays = 127, .to_minute = 1440};
    calendar->window_count = 2;
    check(calendar, utc(2026, 11, 22, 12, 0), NEVER);
    free(calendar);
}

static void test_the_end_is_told_in_its_zone(void **state)
{
    const struct {
        int64_t now_s, until_s;
        const char *text;
    } ends[] = {
        {utc(2026, 11, 20, 12, 0), utc(2026, 11, 23, 7, 0), "Mon 2026-11-23 08:00 Europe/Berlin, in 3 days"},
        {utc(2026, 7, 1, 12, 0), utc(2026, 7, 1, 22, 30), "Thu 2026-07-02 00:30 Europe/Berlin, in 10 h"},
        {utc(2026, 11, 23, 6, 20), utc(2026, 11, 23, 7, 0), "Mon 2026-11-23 08:00 Europe/Berlin, in 40 min"},
    };
    struct calendar *calendar = calendar_of("Europe/Berlin", (struct calendar_window){.weekdays = 127});
    char text[CALENDAR_UNTIL_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        assert_string_equal(calendar_until(calendar, ends[i].now_s * 1000, ends[i].until_s * 1000, text), ends[i].text);
    free(calendar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_are_those_of_the_c_library),
        cmocka_unit_test(test_the_instants_of_a_change),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_damaged_zone_files_are_refused),
        cmocka_unit_test(test_names_of_zones),
        cmocka_unit_test(test_days_of_the_week),
        cmocka_unit_test(test_a_window_over_midnight_belongs_to_the_day_of_its_begin),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_when_the_clocks_go_forward),
        cmocka_unit_test(test_when_the_clocks_go_back),
        cmocka_unit_test(test_a_freeze_without_end),
        cmocka_unit_test(test_a_freeze_of_years_has_an_end),
        cmocka_unit_test(test_the_end_is_told_in_its_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
