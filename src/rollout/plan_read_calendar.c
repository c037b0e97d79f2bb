/*
 * plan_read_calendar.c - windows of a freeze calendar: days, times of day, dates.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan_reader.h"

#include <string.h>

enum serin_errc plan_read_days(struct plan_reader *reader, const yaml_node_t *node, uint8_t *ret)
{
    const char *text, *p;
    uint8_t days = 0;
    enum serin_errc rc = plan_need_text(reader, "days", node, &text);
    int from, to;

    if (rc != SERIN_OK)
        return rc;
    for (p = text;; p++) {
        size_t length = strcspn(p, "-, ");

        from = to = plan_index(p, length, plan_day_names);
        p += length;
        if (*p == '-') {
            length = strcspn(++p, "-, ");
            to = plan_index(p, length, plan_day_names);
            p += length;
        }
        if (from < 0 || to < 0 || (*p && *p != ','))
            return AT_LINE(reader, node, "days is '%.40s', it must be as fri-sun or mon,wed", text);
        for (; from != to; from = (from + 1) % 7) /* sat-mon goes over Sunday */
            days |= (uint8_t)(1u << from);
        days |= (uint8_t)(1u << to);
        if (!*p)
            break;
    }
    *ret = days;
    return SERIN_OK;
}

enum serin_errc plan_read_edge(struct plan_reader *reader, const char *name, const yaml_node_t *node,
                               struct calendar_window *window)
{
    bool from = strcmp(name, "from") == 0;
    const char *text;
    enum serin_errc rc = plan_need_text(reader, name, node, &text);

    if (rc != SERIN_OK)
        return rc;
    if (plan_value_minute(text, from ? &window->from_minute : &window->to_minute))
        return SERIN_OK;
    if (!plan_value_date(text, from ? &window->from_day : &window->to_day))
        return AT_LINE(reader, node, "%s is '%.40s', it must be a time as 22:00 or a date as 2026-12-20", name, text);
    window->dated = true;
    return SERIN_OK;
}

enum serin_errc plan_read_window(struct plan_reader *reader, const yaml_node_t *node, struct calendar_window *window)
{
    enum serin_errc rc;

    *window =
        (struct calendar_window){.weekdays = 127, .from_minute = 0, .to_minute = 1440, .from_day = -1, .to_day = -1};
    rc = plan_read_map(reader, PLAN_WINDOW, "a window", node, window);
    if (rc != SERIN_OK)
        return rc;
    if (node->data.mapping.pairs.top == node->data.mapping.pairs.start)
        return AT_LINE(reader, node, "a window needs days, or from and to");
    if (window->dated && (window->from_day < 0 || window->to_day < window->from_day || window->weekdays != 127))
        return AT_LINE(reader, node, "a window of dates needs from and to, the later one last, and no days");
    if (!window->dated && window->from_minute == window->to_minute)
        return AT_LINE(reader, node, "a window that ends when it begins");
    if (!window->dated)
        window->from_day = window->to_day = 0;
    return SERIN_OK;
}
