/*
 * zone.c - a small bounded reader of TZif files (RFC 8536) and of the POSIX TZ rule behind them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file holds the instants at which the offset changed, and behind them a rule for all that comes after the last.
 * Version 1 has 32-bit instants and no rule, so only the block of version 2 and later is read. Leap seconds are not:
 * the clock that asks has none either.
 */
#include "rollout/zone.h"

#include "base/file.h"
#include "rollout/plan_inside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES  (1u << 20)
#define MAX_CHANGES     10000
#define MAX_TYPES       256 /* an index is a byte */
#define HEADER_BYTES    44
#define MAX_OFFSET_S    (26 * 3600)  /* RFC 8536, 3.2: SHOULD be within -25 to 26 hours */
#define MAX_RULE_TIME_S (167 * 3600) /* RFC 8536, 3.3.1 */
#define MAX_NAME        63

/* "M10.5.0/3", "J60", "59" */
struct rule_date {
    enum { MONTH_WEEK_DAY, DAY_WITHOUT_LEAP, DAY_OF_YEAR } form;
    int month, week, day; /* day: of the week, 0 Sunday; or of the year */
    int32_t time_s;       /* local, of the clock before the change */
};

struct zone {
    int change_count;
    int64_t *changes; /* UTC, ascending; owned, with offsets behind them */
    int32_t *offsets; /* from that instant on */
    int32_t first_offset_s;
    bool has_rule, has_summer;
    int32_t standard_s, summer_s;
    struct rule_date starts, ends; /* of summer time */
};

/* ---- the rule ---- */

struct cursor {
    const char *at;
    bool failed;
};

static int read_int(struct cursor *text, int high)
{
    int value = 0, count = 0;

    for (; isdigit((unsigned char)*text->at) && count < 5; text->at++, count++)
        value = value * 10 + (*text->at - '0');
    if (count == 0 || value > high)
        text->failed = true;
    return value;
}

static void expect(struct cursor *text, char what)
{
    if (*text->at == what)
        text->at++;
    else
        text->failed = true;
}

/* [+-]h[h[h]][:mm[:ss]] */
static int32_t read_time(struct cursor *text, int max_hours)
{
    int sign = 1, s;

    if (*text->at == '+' || *text->at == '-')
        sign = *text->at++ == '-' ? -1 : 1;
    s = read_int(text, max_hours) * 3600;
    if (*text->at == ':') {
        text->at++;
        s += read_int(text, 59) * 60;
        if (*text->at == ':') {
            text->at++;
            s += read_int(text, 59);
        }
    }
    return sign * s;
}

/* Letters, or anything in <>. */
static void skip_name(struct cursor *text)
{
    const char *start = text->at;

    if (*text->at == '<') {
        text->at += strcspn(text->at, ">");
        expect(text, '>');
    } else {
        while (isalpha((unsigned char)*text->at))
            text->at++;
    }
    if (text->at - start < 3)
        text->failed = true;
}

static struct rule_date read_date(struct cursor *text)
{
    struct rule_date date = {.form = DAY_OF_YEAR, .time_s = 2 * 3600};

    if (*text->at == 'M') {
        text->at++;
        date.form = MONTH_WEEK_DAY;
        date.month = read_int(text, 12);
        expect(text, '.');
        date.week = read_int(text, 5);
        expect(text, '.');
        date.day = read_int(text, 6);
        if (date.month < 1 || date.week < 1)
            text->failed = true;
    } else if (*text->at == 'J') {
        text->at++;
        date.form = DAY_WITHOUT_LEAP;
        date.day = read_int(text, 365);
        if (date.day < 1)
            text->failed = true;
    } else {
        date.day = read_int(text, 365);
    }
    if (*text->at == '/') {
        text->at++;
        date.time_s = read_time(text, MAX_RULE_TIME_S / 3600);
    }
    return date;
}

/* POSIX.1, 8.3, TZ: std offset[dst[offset][,start[/time],end[/time]]]; offsets there are west of Greenwich. */
static enum serin_errc read_rule(const char *rule, struct zone *zone, struct serin_error *error)
{
    struct cursor text = {.at = rule};

    skip_name(&text);
    zone->standard_s = -read_time(&text, 24);
    if (*text.at && !text.failed) {
        zone->has_summer = true;
        skip_name(&text);
        zone->summer_s = *text.at && *text.at != ',' ? -read_time(&text, 24) : zone->standard_s + 3600;
        expect(&text, ',');
        zone->starts = read_date(&text);
        expect(&text, ',');
        zone->ends = read_date(&text);
    }
    if (text.failed || *text.at)
        return error_set(error, SERIN_CORRUPT, "'%.60s' is no rule of a time zone", rule);
    zone->has_rule = true;
    return SERIN_OK;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Seconds since 1970 of the local clock at a rule's date. */
static int64_t local_instant(const struct rule_date *date, int year)
{
    int64_t day = plan_day_of(year, 1, 1), next;
    int weekday;

    switch (date->form) {
    case DAY_OF_YEAR:
        day += date->day;
        break;
    case DAY_WITHOUT_LEAP: /* 29 February is not counted: J60 is 1 March of every year */
        day += date->day - 1 + (is_leap(year) && date->day > 59);
        break;
    case MONTH_WEEK_DAY:
        day = plan_day_of(year, date->month, 1);
        next = date->month < 12 ? plan_day_of(year, date->month + 1, 1) : plan_day_of(year + 1, 1, 1);
        weekday = (int)(((day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
        day += (date->day - weekday + 7) % 7 + 7 * (date->week - 1);
        if (day >= next) /* week 5 is the last one */
            day -= 7;
        break;
    }
    return day * 86400 + date->time_s;
}

static int32_t rule_offset_s(const struct zone *zone, int64_t utc_s)
{
    int64_t day = (utc_s + zone->standard_s) / 86400 - ((utc_s + zone->standard_s) % 86400 < 0), start, end;
    int year, month, of_month;
    bool summer;

    if (!zone->has_summer)
        return zone->standard_s;
    plan_date_of(day, &year, &month, &of_month);
    start = local_instant(&zone->starts, year) - zone->standard_s;
    end = local_instant(&zone->ends, year) - zone->summer_s;
    summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end; /* south: over New Year */
    return summer ? zone->summer_s : zone->standard_s;
}

int32_t zone_offset_s(const struct zone *zone, int64_t utc_s)
{
    int low = 0, high = zone->change_count; /* the first change behind utc_s lies in [low, high] */

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (zone->changes[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->change_count && zone->has_rule)
        return rule_offset_s(zone, utc_s);
    return low > 0 ? zone->offsets[low - 1] : zone->first_offset_s;
}

/* ---- the file ---- */

struct header {
    uint32_t utc_flags, standard_flags, leaps, changes, types, chars;
    uint8_t version;
};

static uint32_t big32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool read_header(const uint8_t *bytes, size_t size, struct header *ret)
{
    if (size < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0)
        return false;
    *ret = (struct header){.version = bytes[4],
                           .utc_flags = big32(bytes + 20),
                           .standard_flags = big32(bytes + 24),
                           .leaps = big32(bytes + 28),
                           .changes = big32(bytes + 32),
                           .types = big32(bytes + 36),
                           .chars = big32(bytes + 40)};
    return ret->changes <= MAX_CHANGES && ret->types >= 1 && ret->types <= MAX_TYPES && ret->chars <= MAX_TYPES &&
           ret->leaps <= MAX_CHANGES && ret->utc_flags <= MAX_TYPES && ret->standard_flags <= MAX_TYPES;
}

/* Of what stands behind a header whose instants have this many bytes. */
static size_t block_bytes(const struct header *header, size_t instant_bytes)
{
    return header->changes * (instant_bytes + 1) + header->types * 6 + header->chars +
           header->leaps * (instant_bytes + 4) + header->standard_flags + header->utc_flags;
}

static enum serin_errc damaged(struct serin_error *error, const char *what)
{
    return error_set(error, SERIN_CORRUPT, "not a time zone file: %s", what);
}

static enum serin_errc read_block(const uint8_t *block, const struct header *header, struct zone *zone,
                                  struct serin_error *error)
{
    const uint8_t *indices = block + header->changes * 8, *types = indices + header->changes;
    uint32_t i;

    for (i = 0; i < header->types; i++) {
        int32_t offset = (int32_t)big32(types + i * 6);

        if (offset < -MAX_OFFSET_S || offset > MAX_OFFSET_S)
            return damaged(error, "an offset of more than 26 hours");
    }
    zone->first_offset_s = (int32_t)big32(types);
    zone->change_count = (int)header->changes;
    if (header->changes == 0)
        return SERIN_OK;
    zone->changes = malloc(header->changes * (sizeof(*zone->changes) + sizeof(*zone->offsets)));
    if (!zone->changes)
        return error_set(error, SERIN_NOMEM, "no memory for a time zone of %u changes", header->changes);
    zone->offsets = (int32_t *)(void *)(zone->changes + header->changes);
    for (i = 0; i < header->changes; i++) {
        zone->changes[i] = (int64_t)((uint64_t)big32(block + i * 8) << 32 | big32(block + i * 8 + 4));
        if (indices[i] >= header->types || (i > 0 && zone->changes[i] <= zone->changes[i - 1]))
            return damaged(error, "its changes are in no order");
        zone->offsets[i] = (int32_t)big32(types + indices[i] * 6);
    }
    return SERIN_OK;
}

static enum serin_errc read_footer(const uint8_t *bytes, size_t size, struct zone *zone, struct serin_error *error)
{
    char rule[128];
    const uint8_t *end;

    if (size < 2 || bytes[0] != '\n')
        return damaged(error, "no line behind it");
    end = memchr(bytes + 1, '\n', size - 1);
    if (!end || (size_t)(end - bytes) > sizeof(rule))
        return damaged(error, "no end of the line behind it");
    memcpy(rule, bytes + 1, (size_t)(end - bytes) - 1);
    rule[end - bytes - 1] = '\0';
    return rule[0] ? read_rule(rule, zone, error) : SERIN_OK;
}

enum serin_errc zone_read(const uint8_t *bytes, size_t size, struct zone **ret, struct serin_error *error)
{
    struct header header;
    struct zone *zone;
    enum serin_errc rc;
    size_t at = 0;
    int pass;

    for (pass = 0; pass < 2; pass++) { /* the block of version 1 stands before the one that is read */
        if (!read_header(bytes + at, size - at, &header))
            return damaged(error, "no header");
        if (header.version < '2')
            return error_set(error, SERIN_UNSUPPORTED, "a time zone file of version 1, 2 is the oldest that is read");
        at += HEADER_BYTES;
        if (size - at < block_bytes(&header, pass == 0 ? 4 : 8))
            return damaged(error, "it is cut off");
        if (pass == 0)
            at += block_bytes(&header, 4);
    }
    zone = calloc(1, sizeof(*zone));
    if (!zone)
        return error_set(error, SERIN_NOMEM, "no memory for a time zone");
    rc = read_block(bytes + at, &header, zone, error);
    at += block_bytes(&header, 8);
    if (rc == SERIN_OK)
        rc = read_footer(bytes + at, size - at, zone, error);
    if (rc == SERIN_OK)
        *ret = zone;
    else
        zone_free(zone);
    return rc;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->changes);
    free(zone);
}

/* A name and no path out of the database. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_/";

    return name[0] && name[0] != '/' && strlen(name) <= MAX_NAME && name[strspn(name, allowed)] == '\0';
}

enum serin_errc zone_open(const char *name, struct zone **ret, struct serin_error *error)
{
    const char *folder = getenv("TZDIR");
    char path[4096];
    uint8_t *bytes;
    enum serin_errc rc;
    size_t size;

    if (!is_name(name))
        return error_set(error, SERIN_INVALID, "'%.70s' is no name of a time zone, as 'Europe/Berlin' is", name);
    if (strcmp(name, "UTC") == 0) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a time zone");
    }
    snprintf(path, sizeof(path), "%s/%s", folder && *folder ? folder : "/usr/share/zoneinfo", name);
    rc = file_read(path, MAX_FILE_BYTES, &bytes, &size, error);
    if (rc == SERIN_NOT_FOUND || rc == SERIN_INVALID) /* a folder is no zone either */
        return error_set(error, SERIN_NOT_FOUND, "there is no time zone '%s' on this machine (%s)", name, path);
    if (rc != SERIN_OK)
        return rc;
    rc = error_prefix(error, zone_read(bytes, size, ret, error), "%s", path);
    free(bytes);
    return rc;
}
