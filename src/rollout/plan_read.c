/*
 * plan_read.c - a plan from YAML, over the defaults; and a calendar.
 * SPDX-License-Identifier: Apache-2.0
 *
 * libyaml makes the tree, and the table of keys says what may stand where. Nothing is followed by recursion: the depth
 * is that of the table, so an alias that contains itself ends where the table does.
 */
#include "rollout/plan_inside.h"

#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_WORDS 32

struct reader {
    yaml_document_t document;
    struct plan *plan; /* one of the two */
    struct calendar *calendar;
    struct serin_error *error;
    const yaml_node_t *proves[JUDGE_MAX_STEPS]; /* a step's margins are read when the guards and steps are known */
};

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static yaml_node_t *node_at(struct reader *reader, int index)
{
    return yaml_document_get_node(&reader->document, index);
}

#define AT_LINE(reader, node, ...) at_line(reader, node, error_set((reader)->error, SERIN_INVALID, __VA_ARGS__))

static enum serin_errc at_line(struct reader *reader, const yaml_node_t *node, enum serin_errc rc)
{
    return error_code_set(error_prefix(reader->error, rc, "line %zu", line_of(node)));
}

/* ---- scalars ---- */

/* NULL where node is no text, or has a NUL within. */
static const char *text_of(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || strlen((char *)node->data.scalar.value) != node->data.scalar.length)
        return NULL;
    return (const char *)node->data.scalar.value;
}

static enum serin_errc need_text(struct reader *reader, const char *key, const yaml_node_t *node, const char **ret)
{
    *ret = text_of(node);
    return *ret ? SERIN_OK : AT_LINE(reader, node, "%s must be one value, and text", key);
}

static enum serin_errc unknown(struct reader *reader, const yaml_node_t *node, const char *what, const char *word,
                               const char *nearest)
{
    return AT_LINE(reader, node, "unknown %s '%.60s'%s%s%s", what, word, nearest ? ", did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
}

static const char *nearest_of(const char *word, const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return text_nearest(word, words, count);
}

static int index_of(const char *word, size_t length, const char *const *words)
{
    int i;

    for (i = 0; words[i]; i++)
        if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0)
            return i;
    return -1;
}

static enum serin_errc read_number(struct reader *reader, const struct plan_key *key, const char *name,
                                   const yaml_node_t *node, double *ret)
{
    char low[PLAN_VALUE_BYTES], high[PLAN_VALUE_BYTES];
    bool is_time = key->kind == PLAN_DURATION;
    const char *text;
    double value;
    enum serin_errc rc = need_text(reader, name, node, &text);

    if (rc != SERIN_OK)
        return rc;
    if (key->none != 0 && strcmp(text, "none") == 0) { /* NaN is not 0 either */
        *ret = key->none;
        return SERIN_OK;
    }
    if (is_time ? !plan_value_duration(text, &value) : !plan_value_number(text, key->kind != PLAN_INT, &value))
        return AT_LINE(reader, node, "%s is '%.40s', it must be %s%s", name, text,
                       is_time ? "a duration as 90s, 5m, 1h or 7d" : "a number", key->none != 0 ? ", or none" : "");
    if (key->kind == PLAN_SHARE ? value < 0 || value > 1 : value < key->low || value > key->high)
        return AT_LINE(reader, node, "%s is %.40s, it lies within %s and %s", name, text,
                       key->kind == PLAN_SHARE ? "0%"
                       : is_time               ? plan_write_duration(key->low, low)
                                               : plan_write_number(key->low, low),
                       key->kind == PLAN_SHARE ? "100%"
                       : is_time               ? plan_write_duration(key->high, high)
                                               : plan_write_number(key->high, high));
    if (key->kind == PLAN_INT && value != floor(value)) /* NOLINT: exactness is the point */
        return AT_LINE(reader, node, "%s is %.40s, it must be a whole number", name, text);
    *ret = value;
    return SERIN_OK;
}

static enum serin_errc read_text(struct reader *reader, const char *key, const yaml_node_t *node, char *ret,
                                 size_t size)
{
    const char *text, *p;
    enum serin_errc rc = need_text(reader, key, node, &text);

    if (rc != SERIN_OK)
        return rc;
    if (strlen(text) >= size)
        return AT_LINE(reader, node, "%s has %zu bytes, the limit is %zu", key, strlen(text), size - 1);
    for (p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return AT_LINE(reader, node, "%s has a control character", key);
    memcpy(ret, text, strlen(text) + 1);
    return SERIN_OK;
}

static enum serin_errc read_flag(struct reader *reader, const char *key, const yaml_node_t *node, bool *ret)
{
    const char *text = text_of(node);

    if (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
        return AT_LINE(reader, node, "%s must be true or false", key);
    *ret = text[0] == 't';
    return SERIN_OK;
}

static enum serin_errc read_choice(struct reader *reader, const struct plan_key *key, const yaml_node_t *node, int *ret)
{
    const char *text;
    enum serin_errc rc = need_text(reader, key->name, node, &text);
    int i;

    if (rc != SERIN_OK)
        return rc;
    i = index_of(text, strlen(text), key->words);
    if (i < 0)
        return unknown(reader, node, key->name, text, nearest_of(text, key->words));
    *ret = i;
    return SERIN_OK;
}

/* A name of a header, as RFC 9110's token. */
static enum serin_errc check_token(struct reader *reader, const char *key, const yaml_node_t *node, const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (!text[0] || text[strspn(text, allowed)])
        return AT_LINE(reader, node, "%s is '%.40s', which is no name of a header", key, text);
    return SERIN_OK;
}

/* ---- maps ---- */

static enum serin_errc read_map(struct reader *reader, enum plan_section section, const char *what,
                                const yaml_node_t *node, void *record);

static const yaml_node_t *find(struct reader *reader, const yaml_node_t *map, const char *name)
{
    const yaml_node_pair_t *pair;

    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const char *key = text_of(node_at(reader, pair->key));

        if (key && strcmp(key, name) == 0)
            return node_at(reader, pair->value);
    }
    return NULL;
}

/* Keys are known, and each stands there once. */
static enum serin_errc check_keys(struct reader *reader, enum plan_section section, const char *what,
                                  const yaml_node_t *map)
{
    const yaml_node_pair_t *pair;
    const char *nearest = NULL;

    if (map->type != YAML_MAPPING_NODE)
        return AT_LINE(reader, map, "%s must be a map of keys and values", what);
    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(reader, pair->key);
        const char *name = text_of(key);

        if (!name)
            return AT_LINE(reader, key, "%s has a key that is no text", what);
        if (!plan_key_find(section, name, &nearest))
            return unknown(reader, key, "key", name, nearest);
        if (find(reader, map, name) != node_at(reader, pair->value))
            return AT_LINE(reader, key, "%s for the second time", name);
    }
    return SERIN_OK;
}

struct items {
    const yaml_node_t *list;
    int count;
};

/* A list of low to high items, or one item without its list. */
static enum serin_errc read_items(struct reader *reader, const char *what, const yaml_node_t *node, int low, int high,
                                  struct items *ret)
{
    ptrdiff_t count = 1;

    if (node->type == YAML_SEQUENCE_NODE)
        count = node->data.sequence.items.top - node->data.sequence.items.start;
    if (count < low || count > high)
        return AT_LINE(reader, node, "%s has %td entries, there can be %d to %d", what, count, low, high);
    *ret = (struct items){node, (int)count};
    return SERIN_OK;
}

static const yaml_node_t *item_at(struct reader *reader, const struct items *items, int i)
{
    return items->list->type == YAML_SEQUENCE_NODE ? node_at(reader, items->list->data.sequence.items.start[i])
                                                   : items->list;
}

/* ---- what has a form of its own ---- */

static enum serin_errc read_unit(struct reader *reader, const yaml_node_t *node)
{
    static const char *const words[] = {"request", "key", NULL};
    const char *text = text_of(node);
    enum serin_errc rc;
    int i;

    if (text) {
        i = index_of(text, strlen(text), words);
        if (i < 0)
            return unknown(reader, node, "unit", text, nearest_of(text, words));
        reader->plan->judge.unit = i == 0 ? JUDGE_REQUEST : JUDGE_KEY;
        return SERIN_OK;
    }
    rc = read_map(reader, PLAN_UNIT, "unit", node, reader->plan);
    if (rc == SERIN_OK && reader->plan->key_source != ROUTE_KEY_ADDRESS)
        rc = check_token(reader, "key", node, reader->plan->key_name);
    if (rc == SERIN_OK)
        reader->plan->judge.unit = find(reader, node, "block") ? JUDGE_KEY_BLOCK : JUDGE_KEY;
    return rc;
}

static enum serin_errc check_slice_name(struct reader *reader, const yaml_node_t *node, const char *name)
{
    if (strlen(name) > RECORD_MAX_NAME)
        return AT_LINE(reader, node, "slice '%.60s' has %zu bytes, the limit is %d", name, strlen(name),
                       RECORD_MAX_NAME);
    if (strncasecmp(name, "X-", 2) == 0)
        return check_token(reader, "a slice", node, name);
    if (index_of(name, strlen(name), plan_slice_names) < 0)
        return unknown(reader, node, "slice", name, nearest_of(name, plan_slice_names));
    return SERIN_OK;
}

/* "light", or {camera: {values: 64}} */
static enum serin_errc read_slice(struct reader *reader, const yaml_node_t *node, struct judge_dimension *ret)
{
    const yaml_node_t *key = node, *value = NULL;
    const yaml_node_pair_t *pair;
    const char *name;
    enum serin_errc rc;

    if (node->type == YAML_MAPPING_NODE) {
        pair = node->data.mapping.pairs.start;
        if (node->data.mapping.pairs.top - pair != 1)
            return AT_LINE(reader, node, "a slice is a name, or a map of one name");
        key = node_at(reader, pair->key);
        value = node_at(reader, pair->value);
    }
    rc = need_text(reader, "a slice", key, &name);
    if (rc == SERIN_OK)
        rc = check_slice_name(reader, key, name);
    if (rc != SERIN_OK)
        return rc;
    plan_init_slice(ret, name);
    return value ? read_map(reader, PLAN_SLICE, name, value, ret) : SERIN_OK;
}

static enum serin_errc read_metric(struct reader *reader, const yaml_node_t *node, const struct judge_metric **ret)
{
    const char *names[64], *text;
    enum serin_errc rc = need_text(reader, "metric", node, &text);
    size_t count;

    if (rc != SERIN_OK)
        return rc;
    *ret = judge_metric_find(text);
    if (*ret)
        return SERIN_OK;
    for (count = 0; count < 64 && judge_metric_at((int)count); count++)
        names[count] = judge_metric_at((int)count)->name;
    return unknown(reader, node, "metric", text, text_nearest(text, names, count));
}

/* "error_rate", or {metric: error_rate, margin: 0.5} */
static enum serin_errc read_guard(struct reader *reader, const yaml_node_t *node, struct judge_guard *guard)
{
    const yaml_node_t *metric_node = node;
    const struct judge_metric *metric;
    enum serin_errc rc;

    if (node->type == YAML_MAPPING_NODE) {
        rc = check_keys(reader, PLAN_GUARD, "a guard", node);
        if (rc != SERIN_OK)
            return rc;
        metric_node = find(reader, node, "metric");
        if (!metric_node)
            return AT_LINE(reader, node, "a guard without its metric");
    }
    rc = read_metric(reader, metric_node, &metric);
    if (rc != SERIN_OK)
        return rc;
    plan_init_guard(guard, metric);
    if (node->type != YAML_MAPPING_NODE)
        return SERIN_OK;
    rc = read_map(reader, PLAN_GUARD, "a guard", node, guard);
    if (rc != SERIN_OK)
        return rc;
    /* Who is only noted or calls a person holds no step up, unless it is said. */
    if (!find(reader, node, "required") && guard->action != JUDGE_ROLL_BACK)
        guard->required = false;
    return guard->name[0] ? SERIN_OK : AT_LINE(reader, node, "a guard with an empty name");
}

/* A guard's slices, of those that the plan declares. */
static enum serin_errc read_names(struct reader *reader, const yaml_node_t *node, uint32_t *ret)
{
    const struct judge_options *judge = &reader->plan->judge;
    const char *known[JUDGE_MAX_DIMENSIONS + 1] = {NULL}, *text;
    uint32_t dimensions = 0;
    struct items items = {0};
    enum serin_errc rc = read_items(reader, "slices", node, 0, JUDGE_MAX_DIMENSIONS, &items);
    int i, which;

    for (i = 0; i < judge->dimension_count; i++)
        known[i] = judge->dimensions[i].name;
    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = item_at(reader, &items, i);

        rc = need_text(reader, "a slice", item, &text);
        if (rc != SERIN_OK)
            return rc;
        which = index_of(text, strlen(text), known);
        if (which < 0 && index_of(text, strlen(text), plan_slice_names) >= 0)
            return AT_LINE(reader, item, "slice '%s' is not among the plan's slices: add it to 'slices' at the top",
                           text);
        if (which < 0)
            return unknown(reader, item, "slice", text, nearest_of(text, known));
        dimensions |= 1u << which;
    }
    if (rc == SERIN_OK)
        *ret = dimensions;
    return rc;
}

static enum serin_errc read_days(struct reader *reader, const yaml_node_t *node, uint8_t *ret)
{
    const char *text, *p;
    uint8_t days = 0;
    enum serin_errc rc = need_text(reader, "days", node, &text);
    int from, to;

    if (rc != SERIN_OK)
        return rc;
    for (p = text;; p++) {
        size_t length = strcspn(p, "-, ");

        from = to = index_of(p, length, plan_day_names);
        p += length;
        if (*p == '-') {
            length = strcspn(++p, "-, ");
            to = index_of(p, length, plan_day_names);
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

/* A time of day or a date. Which of them a window has is checked when it is whole. */
static enum serin_errc read_edge(struct reader *reader, const char *name, const yaml_node_t *node,
                                 struct calendar_window *window)
{
    bool from = strcmp(name, "from") == 0;
    const char *text;
    enum serin_errc rc = need_text(reader, name, node, &text);

    if (rc != SERIN_OK)
        return rc;
    if (plan_value_minute(text, from ? &window->from_minute : &window->to_minute))
        return SERIN_OK;
    if (!plan_value_date(text, from ? &window->from_day : &window->to_day))
        return AT_LINE(reader, node, "%s is '%.40s', it must be a time as 22:00 or a date as 2026-12-20", name, text);
    window->dated = true;
    return SERIN_OK;
}

static enum serin_errc read_window(struct reader *reader, const yaml_node_t *node, struct calendar_window *window)
{
    enum serin_errc rc;

    *window =
        (struct calendar_window){.weekdays = 127, .from_minute = 0, .to_minute = 1440, .from_day = -1, .to_day = -1};
    rc = read_map(reader, PLAN_WINDOW, "a window", node, window);
    if (rc != SERIN_OK)
        return rc;
    if (window->dated && (window->from_day < 0 || window->to_day < window->from_day || window->weekdays != 127))
        return AT_LINE(reader, node, "a window of dates needs from and to, the later one last, and no days");
    if (!window->dated && window->from_minute == window->to_minute)
        return AT_LINE(reader, node, "a window that ends when it begins");
    if (!window->dated)
        window->from_day = window->to_day = 0;
    return SERIN_OK;
}

static enum serin_errc read_hooks(struct reader *reader, const yaml_node_t *node, uint32_t *ret)
{
    const char *text;
    uint32_t on = 0;
    struct items items = {0};
    enum serin_errc rc = read_items(reader, "on", node, 1, 7, &items);
    int i, which;

    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = item_at(reader, &items, i);

        rc = need_text(reader, "on", item, &text);
        if (rc != SERIN_OK)
            return rc;
        which = index_of(text, strlen(text), plan_hook_names);
        if (which < 0)
            return unknown(reader, item, "event", text, nearest_of(text, plan_hook_names));
        on |= 1u << which;
    }
    if (rc == SERIN_OK)
        *ret = on;
    return rc;
}

static enum serin_errc read_webhook(struct reader *reader, const yaml_node_t *node, struct plan_webhook *webhook)
{
    enum serin_errc rc;

    plan_init_webhook(webhook);
    rc = read_map(reader, PLAN_WEBHOOK, "a webhook", node, webhook);
    if (rc != SERIN_OK)
        return rc;
    if (strncmp(webhook->url, "http://", 7) != 0 && strncmp(webhook->url, "https://", 8) != 0)
        return AT_LINE(reader, node, "a webhook's url begins with http:// or https://");
    if (webhook->on == 0)
        return AT_LINE(reader, node, "a webhook without 'on': what is it told?");
    return SERIN_OK;
}

static enum serin_errc read_tester(struct reader *reader, const yaml_node_t *node, struct route_rule *tester)
{
    enum serin_errc rc;

    memset(tester, 0, sizeof(*tester));
    rc = read_map(reader, PLAN_TESTER, "a tester", node, tester);
    return rc == SERIN_OK ? check_token(reader, "header", node, tester->header) : rc;
}

static enum serin_errc read_step(struct reader *reader, const yaml_node_t *node, int i)
{
    struct plan_step *step = &reader->plan->steps[i];
    const yaml_node_t *min;
    enum serin_errc rc;

    plan_init_step(step);
    rc = read_map(reader, PLAN_STEP, "a step", node, step);
    if (rc != SERIN_OK)
        return rc;
    min = find(reader, node, "min");
    if (step->weight_per_million == 0 && !(min && find(reader, min, "evidence")))
        step->min_evidence = 0; /* no client's request is any */
    return SERIN_OK;
}

static enum serin_errc read_list(struct reader *reader, const struct plan_key *key, const yaml_node_t *node)
{
    struct plan *plan = reader->plan;
    struct items items = {0};
    enum serin_errc rc = read_items(reader, key->name, node, (int)key->low, (int)key->high, &items);
    int i;

    if (rc != SERIN_OK)
        return rc;
    if (key->kind == PLAN_OF_STEPS)
        memset(reader->proves, 0, sizeof(reader->proves));
    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = item_at(reader, &items, i);

        if (key->kind == PLAN_OF_SLICES)
            rc = read_slice(reader, item, &plan->judge.dimensions[i]);
        else if (key->kind == PLAN_OF_GUARDS)
            rc = read_guard(reader, item, &plan->judge.guards[i]);
        else if (key->kind == PLAN_OF_STEPS)
            rc = read_step(reader, item, i);
        else if (key->kind == PLAN_OF_TESTERS)
            rc = read_tester(reader, item, &plan->testers[i]);
        else if (key->kind == PLAN_OF_WINDOWS)
            rc = read_window(reader, item, &reader->calendar->windows[i]);
        else
            rc = read_webhook(reader, item, &plan->webhooks[i]);
    }
    if (rc == SERIN_OK)
        *(key->kind == PLAN_OF_SLICES    ? &plan->judge.dimension_count
          : key->kind == PLAN_OF_GUARDS  ? &plan->judge.guard_count
          : key->kind == PLAN_OF_STEPS   ? &plan->judge.step_count
          : key->kind == PLAN_OF_TESTERS ? &plan->tester_count
          : key->kind == PLAN_OF_WINDOWS ? &reader->calendar->window_count
                                         : &plan->webhook_count) = items.count;
    return rc;
}

static enum serin_errc read_value(struct reader *reader, const struct plan_key *key, const yaml_node_t *node,
                                  void *record)
{
    char *place = (char *)record + key->offset;
    enum serin_errc rc;
    double number = 0;

    switch (key->kind) {
    case PLAN_NUMBER:
    case PLAN_DURATION:
    case PLAN_SHARE:
    case PLAN_INT:
        rc = read_number(reader, key, key->name, node, &number);
        if (rc != SERIN_OK)
            return rc;
        if (key->kind == PLAN_SHARE)
            *(uint32_t *)(void *)place = (uint32_t)lround(number * 1e6);
        else if (key->kind == PLAN_INT)
            *(int *)(void *)place = (int)number;
        else
            memcpy(place, &number, sizeof(number));
        return SERIN_OK;
    case PLAN_FLAG:
        return read_flag(reader, key->name, node, (bool *)place);
    case PLAN_TEXT:
        return read_text(reader, key->name, node, place, key->size);
    case PLAN_CHOICE:
        return read_choice(reader, key, node, (int *)(void *)place);
    case PLAN_MAP:
        return read_map(reader, key->map, key->name, node, record);
    case PLAN_OF_UNIT:
        return read_unit(reader, node);
    case PLAN_OF_NAMES:
        return read_names(reader, node, (uint32_t *)(void *)place);
    case PLAN_OF_DAYS:
        return read_days(reader, node, (uint8_t *)place);
    case PLAN_OF_EDGE:
        return read_edge(reader, key->name, node, record);
    case PLAN_OF_HOOKS:
        return read_hooks(reader, node, (uint32_t *)(void *)place);
    case PLAN_OF_METRIC: /* read_guard has read it */
        return SERIN_OK;
    case PLAN_OF_PROVE: /* read_proves will */
        reader->proves[(struct plan_step *)record - reader->plan->steps] = node;
        return SERIN_OK;
    case PLAN_OF_SLICES:
    case PLAN_OF_GUARDS:
    case PLAN_OF_STEPS:
    case PLAN_OF_TESTERS:
    case PLAN_OF_WINDOWS:
    case PLAN_OF_WEBHOOKS:
        return read_list(reader, key, node);
    }
    return SERIN_OK;
}

static enum serin_errc read_map(struct reader *reader, enum plan_section section, const char *what,
                                const yaml_node_t *node, void *record)
{
    enum serin_errc rc = check_keys(reader, section, what, node);
    const struct plan_key *key;
    int i;

    for (i = 0; rc == SERIN_OK && (key = plan_key_at(i)); i++) {
        const yaml_node_t *value = key->section == section ? find(reader, node, key->name) : NULL;

        if (value)
            rc = read_value(reader, key, value, record);
    }
    return rc;
}

/* ---- the whole ---- */

static enum serin_errc read_prove(struct reader *reader, const yaml_node_t *map, int step)
{
    static const struct plan_key margin = {.kind = PLAN_NUMBER, .low = 0, .high = 1e6, .none = INFINITY};
    struct judge_options *judge = &reader->plan->judge;
    const char *known[JUDGE_MAX_GUARDS + 1] = {NULL};
    const yaml_node_pair_t *pair;
    enum serin_errc rc;
    int i;

    if (map->type != YAML_MAPPING_NODE)
        return AT_LINE(reader, map, "prove must be a map of guards and margins");
    for (i = 0; i < judge->guard_count; i++)
        known[i] = judge->guards[i].name;
    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(reader, pair->key);
        const char *name = text_of(key);

        if (!name)
            return AT_LINE(reader, key, "prove has a key that is no text");
        i = index_of(name, strlen(name), known);
        if (i < 0)
            return unknown(reader, key, "guard", name, nearest_of(name, known));
        if (find(reader, map, name) != node_at(reader, pair->value))
            return AT_LINE(reader, key, "%s for the second time", name);
        rc = read_number(reader, &margin, name, node_at(reader, pair->value), &judge->guards[i].prove[step]);
        if (rc != SERIN_OK)
            return rc;
        if (judge->guards[i].prove[step] < judge->guards[i].margin)
            return AT_LINE(reader, key,
                           "a step proves %g of '%s', whose margin of harm is %g: a canary between the two would do no "
                           "harm and could never be proven",
                           judge->guards[i].prove[step], name, judge->guards[i].margin);
    }
    return SERIN_OK;
}

static enum serin_errc read_plan(struct reader *reader, const yaml_node_t *root)
{
    struct plan *plan = reader->plan;
    struct judge_options *judge = &plan->judge;
    enum serin_errc rc;
    int i, step;

    if (find(reader, root, "freeze"))
        return AT_LINE(reader, find(reader, root, "freeze"),
                       "a freeze calendar is the model's, and no plan's: serin freeze set MODEL FILE");
    if (find(reader, root, "slices") && !find(reader, root, "guards"))
        for (i = 0; i < judge->guard_count; i++) /* the default guards' slices are those of the default plan */
            judge->guards[i].dimensions = 0;
    rc = read_map(reader, PLAN_TOP, "a plan", root, plan);
    if (rc != SERIN_OK)
        return rc;
    for (step = 0; step < JUDGE_MAX_STEPS; step++) {
        bool there = step < judge->step_count;

        judge->min_evidence[step] = there ? plan->steps[step].min_evidence : 0;
        for (i = 0; i < judge->guard_count; i++)
            judge->guards[i].prove[step] = there ? plan_default_proof(&judge->guards[i], &plan->steps[step]) : INFINITY;
        if (there && reader->proves[step])
            rc = read_prove(reader, reader->proves[step], step);
        if (rc != SERIN_OK)
            return rc;
    }
    return plan_check(plan, reader->error);
}

/* Parses, and has the root read, which must be a map; an empty text has none. */
static enum serin_errc read_document(struct reader *reader, const char *yaml, size_t size, const char *what,
                                     enum serin_errc (*read)(struct reader *reader, const yaml_node_t *root))
{
    const yaml_node_t *root;
    yaml_parser_t parser;
    enum serin_errc rc = SERIN_OK;

    if (!yaml_parser_initialize(&parser))
        return error_set(reader->error, SERIN_NOMEM, "no memory for %s", what);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, size);
    if (!yaml_parser_load(&parser, &reader->document)) {
        rc = error_set(reader->error, parser.error == YAML_MEMORY_ERROR ? SERIN_NOMEM : SERIN_INVALID, "line %zu: %s",
                       parser.problem_mark.line + 1, parser.problem ? parser.problem : "no YAML");
    } else {
        root = yaml_document_get_root_node(&reader->document);
        if (root)
            rc = root->type == YAML_MAPPING_NODE ? read(reader, root)
                                                 : AT_LINE(reader, root, "%s is a map of keys and values", what);
        yaml_document_delete(&reader->document);
    }
    yaml_parser_delete(&parser);
    return rc;
}

enum serin_errc plan_read(const char *yaml, size_t size, struct plan *ret, struct serin_error *error)
{
    struct reader reader = {.error = error};
    enum serin_errc rc;

    if (size > PLAN_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "a plan of %zu bytes, the limit is %u", size, PLAN_MAX_BYTES);
    reader.plan = malloc(sizeof(*reader.plan));
    if (!reader.plan)
        return error_set(error, SERIN_NOMEM, "no memory for a plan");
    plan_init(reader.plan); /* an empty plan is the default one */
    rc = read_document(&reader, yaml, size, "a plan", read_plan);
    if (rc == SERIN_OK)
        memcpy(ret, reader.plan, sizeof(*ret));
    free(reader.plan);
    return rc;
}

static enum serin_errc read_calendar(struct reader *reader, const yaml_node_t *root)
{
    return read_map(reader, PLAN_CALENDAR, "a calendar", root, reader->calendar);
}

enum serin_errc calendar_read(const char *yaml, size_t size, struct calendar *ret, struct serin_error *error)
{
    struct calendar calendar = {.zone = "UTC"};
    struct reader reader = {.calendar = &calendar, .error = error};
    int64_t until_ms;
    bool frozen;
    enum serin_errc rc;

    if (size > CALENDAR_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "a calendar of %zu bytes, the limit is %u", size, CALENDAR_MAX_BYTES);
    rc = read_document(&reader, yaml, size, "a calendar", read_calendar);
    if (rc == SERIN_OK && calendar.window_count == 0)
        rc = error_set(error, SERIN_INVALID, "a calendar without windows: what is frozen?");
    if (rc == SERIN_OK) /* whether this machine knows the zone */
        rc = calendar_frozen(&calendar, 0, &frozen, &until_ms, error);
    if (rc == SERIN_OK)
        *ret = calendar;
    return rc;
}

enum serin_errc plan_read_file(const char *path, struct plan *ret, struct serin_error *error)
{
    uint8_t *bytes;
    enum serin_errc rc;
    size_t size;

    rc = file_read(path, PLAN_MAX_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    rc = error_prefix(error, plan_read((const char *)bytes, size, ret, error), "%s", path);
    free(bytes);
    return rc;
}
