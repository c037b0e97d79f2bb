/*
 * plan_nodes.c - nodes of a plan's YAML: scalars within their limits, known keys, lists that end.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan_reader.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LIST_BYTES 100

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

yaml_node_t *plan_node_at(struct plan_reader *reader, int index)
{
    return yaml_document_get_node(&reader->document, index);
}

enum serin_errc plan_at_line(struct plan_reader *reader, const yaml_node_t *node, enum serin_errc rc)
{
    return error_code_set(error_prefix(reader->error, rc, "line %zu", line_of(node)));
}

/* ---- scalars ---- */

const char *plan_node_text(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || strlen((char *)node->data.scalar.value) != node->data.scalar.length)
        return NULL;
    return (const char *)node->data.scalar.value;
}

enum serin_errc plan_need_text(struct plan_reader *reader, const char *key, const yaml_node_t *node, const char **ret)
{
    *ret = plan_node_text(node);
    return *ret ? SERIN_OK : AT_LINE(reader, node, "%s must be one value, and text", key);
}

enum serin_errc plan_unknown(struct plan_reader *reader, const yaml_node_t *node, const char *what, const char *word,
                             const char *nearest)
{
    return AT_LINE(reader, node, "unknown %s '%.60s'%s%s%s", what, word, nearest ? ", did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
}

const char *plan_nearest(const char *word, const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return text_nearest(word, words, count);
}

int plan_index(const char *word, size_t length, const char *const *words)
{
    int i;

    for (i = 0; words[i]; i++)
        if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0)
            return i;
    return -1;
}

enum serin_errc plan_read_number(struct plan_reader *reader, const struct plan_key *key, const char *name,
                                 const yaml_node_t *node, double *ret)
{
    char low[PLAN_VALUE_BYTES], high[PLAN_VALUE_BYTES];
    bool is_time = key->kind == PLAN_DURATION;
    const char *text;
    double value;
    enum serin_errc rc = plan_need_text(reader, name, node, &text);

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
        return AT_LINE(reader, node, "%s is %.40s, it lies within %s and %s%s", name, text,
                       key->kind == PLAN_SHARE ? "0%"
                       : is_time               ? plan_write_duration(key->low, low)
                                               : plan_write_number(key->low, low),
                       key->kind == PLAN_SHARE ? "100%"
                       : is_time               ? plan_write_duration(key->high, high)
                                               : plan_write_number(key->high, high),
                       key->kind == PLAN_SHARE && !strchr(text, '%') ? ": a percent needs its sign" : "");
    if (key->kind == PLAN_INT && value != floor(value)) /* NOLINT: exactness is the point */
        return AT_LINE(reader, node, "%s is %.40s, it must be a whole number", name, text);
    *ret = value;
    return SERIN_OK;
}

enum serin_errc plan_read_text(struct plan_reader *reader, const char *key, const yaml_node_t *node, char *ret,
                               size_t size)
{
    const char *text, *p;
    enum serin_errc rc = plan_need_text(reader, key, node, &text);

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

enum serin_errc plan_read_flag(struct plan_reader *reader, const char *key, const yaml_node_t *node, bool *ret)
{
    const char *text = plan_node_text(node);

    if (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
        return AT_LINE(reader, node, "%s must be true or false", key);
    *ret = text[0] == 't';
    return SERIN_OK;
}

static const char *list_of(const char *const *words, char ret[LIST_BYTES])
{
    size_t size = 0;
    int i;

    ret[0] = '\0';
    for (i = 0; words[i] && size < LIST_BYTES; i++)
        size += (size_t)snprintf(ret + size, LIST_BYTES - size, "%s%s", i ? ", " : "", words[i]);
    return ret;
}

enum serin_errc plan_read_choice(struct plan_reader *reader, const struct plan_key *key, const yaml_node_t *node,
                                 int *ret)
{
    char list[LIST_BYTES];
    const char *text, *nearest;
    enum serin_errc rc = plan_need_text(reader, key->name, node, &text);
    int i;

    if (rc != SERIN_OK)
        return rc;
    i = plan_index(text, strlen(text), key->words);
    nearest = plan_nearest(text, key->words);
    if (i < 0 && !nearest)
        return AT_LINE(reader, node, "%s is '%.40s', it may be %s", key->name, text, list_of(key->words, list));
    if (i < 0)
        return plan_unknown(reader, node, key->name, text, nearest);
    *ret = i;
    return SERIN_OK;
}

enum serin_errc plan_check_token(struct plan_reader *reader, const char *key, const yaml_node_t *node, const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (!text[0] || text[strspn(text, allowed)])
        return AT_LINE(reader, node, "%s is '%.40s', which is no name of a header", key, text);
    return SERIN_OK;
}

/* ---- maps and lists ---- */

const yaml_node_t *plan_find(struct plan_reader *reader, const yaml_node_t *map, const char *name)
{
    const yaml_node_pair_t *pair;

    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const char *key = plan_node_text(plan_node_at(reader, pair->key));

        if (key && strcmp(key, name) == 0)
            return plan_node_at(reader, pair->value);
    }
    return NULL;
}

enum serin_errc plan_check_keys(struct plan_reader *reader, enum plan_section section, const char *what,
                                const yaml_node_t *map)
{
    const yaml_node_pair_t *pair;
    const char *nearest = NULL;

    if (map->type != YAML_MAPPING_NODE)
        return AT_LINE(reader, map, "%s must be a map of keys and values", what);
    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = plan_node_at(reader, pair->key);
        const char *name = plan_node_text(key);

        if (!name)
            return AT_LINE(reader, key, "%s has a key that is no text", what);
        if (!plan_key_find(section, name, &nearest))
            return plan_unknown(reader, key, "key", name, nearest);
        if (plan_find(reader, map, name) != plan_node_at(reader, pair->value))
            return AT_LINE(reader, key, "%s for the second time", name);
    }
    return SERIN_OK;
}

enum serin_errc plan_read_items(struct plan_reader *reader, const char *what, const yaml_node_t *node, int low,
                                int high, struct plan_items *ret)
{
    ptrdiff_t count = 1;

    if (node->type == YAML_SEQUENCE_NODE)
        count = node->data.sequence.items.top - node->data.sequence.items.start;
    if (count < low || count > high)
        return AT_LINE(reader, node, "%s has %td entries, there can be %d to %d", what, count, low, high);
    *ret = (struct plan_items){node, (int)count};
    return SERIN_OK;
}

const yaml_node_t *plan_item_at(struct plan_reader *reader, const struct plan_items *items, int i)
{
    return items->list->type == YAML_SEQUENCE_NODE ? plan_node_at(reader, items->list->data.sequence.items.start[i])
                                                   : items->list;
}
