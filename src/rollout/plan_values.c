/*
 * plan_values.c - numbers, shares, durations, dates and times of day of a plan as text, both ways.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whatever is written reads back as the same value. The program never sets a locale, so the point is the point.
 */
#include "rollout/plan_inside.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBER_BYTES 24

static const struct {
    char letter;
    double s;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

/* A plan's numbers are short: what is longer than MAX_NUMBER_BYTES is none. */
static bool read_number(const char *text, const char **end, double *ret)
{
    return text_number(text, end, ret) && *end - text <= MAX_NUMBER_BYTES;
}

bool plan_value_number(const char *text, bool percent, double *ret)
{
    const char *end;
    double value;

    if (!read_number(text, &end, &value))
        return false;
    if (percent && *end == '%') {
        value /= 100;
        end++;
    }
    if (*end)
        return false;
    *ret = value;
    return true;
}

bool plan_value_duration(const char *text, double *ret_s)
{
    const char *end;
    double value;
    size_t i;

    if (!read_number(text, &end, &value) || value < 0)
        return false;
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (*end == units[i].letter && end[1] == '\0') {
            *ret_s = value * units[i].s;
            return true;
        }
    if (value != 0 || *end) /* 0 needs no unit */
        return false;
    *ret_s = 0;
    return true;
}

const char *plan_write_number(double value, char text[PLAN_VALUE_BYTES])
{
    int precision;

    if (!isfinite(value)) {
        snprintf(text, PLAN_VALUE_BYTES, "none");
        return text;
    }
    if (value == floor(value) && fabs(value) < 1e15) { /* NOLINT: exactness is the point */
        snprintf(text, PLAN_VALUE_BYTES, "%.0f", value);
        return text;
    }
    for (precision = 1; precision <= 17; precision++) {
        snprintf(text, PLAN_VALUE_BYTES, "%.*g", precision, value);
        if (strtod(text, NULL) == value) /* NOLINT */
            break;
    }
    return text;
}

const char *plan_write_duration(double s, char text[PLAN_VALUE_BYTES])
{
    size_t i, length;

    if (!isfinite(s)) {
        snprintf(text, PLAN_VALUE_BYTES, "none");
        return text;
    }
    for (i = 0; i + 1 < sizeof(units) / sizeof(units[0]); i++)
        if (s > 0 && fmod(s, units[i].s) == 0) /* NOLINT */
            break;
    plan_write_number(s / units[i].s, text);
    length = strlen(text);
    snprintf(text + length, PLAN_VALUE_BYTES - length, "%c", units[i].letter);
    return text;
}

const char *plan_write_share(uint32_t per_million, char text[PLAN_VALUE_BYTES])
{
    snprintf(text, PLAN_VALUE_BYTES, "%g%%", per_million / 1e4);
    return text;
}

/* ---- dates: the civil calendar by eras of 400 years, counted from 1 March (Howard Hinnant's "chrono-compatible
 * low-level date algorithms") ---- */

int64_t plan_day_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void plan_date_of(int64_t day, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    *ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year + era * 400 + (*ret_month <= 2));
}

static int digits(const char *text, int count)
{
    int value = 0;

    for (; count > 0; count--, text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

bool plan_value_date(const char *text, int64_t *ret_day)
{
    int year, month, day, same_year, same_month, same_day;

    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
        return false;
    year = digits(text, 4);
    month = digits(text + 5, 2);
    day = digits(text + 8, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1)
        return false;
    plan_date_of(plan_day_of(year, month, day), &same_year, &same_month, &same_day);
    if (same_month != month || same_day != day) /* 31 April */
        return false;
    *ret_day = plan_day_of(year, month, day);
    return true;
}

bool plan_value_minute(const char *text, int *ret)
{
    int hour, minute;

    if (strlen(text) != 5 || text[2] != ':')
        return false;
    hour = digits(text, 2);
    minute = digits(text + 3, 2);
    if (hour < 0 || minute < 0 || minute > 59 || hour * 60 + minute > 1440)
        return false;
    *ret = hour * 60 + minute;
    return true;
}
