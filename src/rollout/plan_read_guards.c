/*
 * plan_read_guards.c - slices, guards, and what a step must prove of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan_reader.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

static enum serin_errc check_slice_name(struct plan_reader *reader, const yaml_node_t *node, const char *name)
{
    if (strlen(name) > RECORD_MAX_NAME)
        return AT_LINE(reader, node, "slice '%.60s' has %zu bytes, the limit is %d", name, strlen(name),
                       RECORD_MAX_NAME);
    if (plan_slice_is_header(name))
        return plan_check_token(reader, "a slice", node, name);
    if (plan_index(name, strlen(name), plan_slice_names) < 0)
        return plan_unknown(reader, node, "slice", name, plan_nearest(name, plan_slice_names));
    return SERIN_OK;
}

enum serin_errc plan_read_slice(struct plan_reader *reader, const yaml_node_t *node, struct judge_dimension *ret)
{
    const yaml_node_t *key = node, *value = NULL;
    const yaml_node_pair_t *pair;
    const char *name;
    enum serin_errc rc;

    if (node->type == YAML_MAPPING_NODE) {
        pair = node->data.mapping.pairs.start;
        if (node->data.mapping.pairs.top - pair != 1)
            return AT_LINE(reader, node, "a slice is a name, or a map of one name");
        key = plan_node_at(reader, pair->key);
        value = plan_node_at(reader, pair->value);
    }
    rc = plan_need_text(reader, "a slice", key, &name);
    if (rc == SERIN_OK)
        rc = check_slice_name(reader, key, name);
    if (rc != SERIN_OK)
        return rc;
    plan_init_slice(ret, name);
    return value ? plan_read_map(reader, PLAN_SLICE, name, value, ret) : SERIN_OK;
}

static enum serin_errc read_metric(struct plan_reader *reader, const yaml_node_t *node, const struct judge_metric **ret)
{
    const char *names[64], *text;
    enum serin_errc rc = plan_need_text(reader, "metric", node, &text);
    size_t count;

    if (rc != SERIN_OK)
        return rc;
    *ret = judge_metric_find(text);
    if (*ret)
        return SERIN_OK;
    for (count = 0; count < 64 && judge_metric_at((int)count); count++)
        names[count] = judge_metric_at((int)count)->name;
    return plan_unknown(reader, node, "metric", text, text_nearest(text, names, count));
}

enum serin_errc plan_read_guard(struct plan_reader *reader, const yaml_node_t *node, struct judge_guard *guard)
{
    const yaml_node_t *metric_node = node;
    const struct judge_metric *metric;
    enum serin_errc rc;

    if (node->type == YAML_MAPPING_NODE) {
        rc = plan_check_keys(reader, PLAN_GUARD, "a guard", node);
        if (rc != SERIN_OK)
            return rc;
        metric_node = plan_find(reader, node, "metric");
        if (!metric_node)
            return AT_LINE(reader, node, "a guard without its metric");
    }
    rc = read_metric(reader, metric_node, &metric);
    if (rc != SERIN_OK)
        return rc;
    plan_init_guard(guard, metric);
    if (node->type != YAML_MAPPING_NODE)
        return SERIN_OK;
    rc = plan_read_map(reader, PLAN_GUARD, "a guard", node, guard);
    if (rc != SERIN_OK)
        return rc;
    /* Who is only noted or calls a person holds no step up, unless it is said. */
    if (!plan_find(reader, node, "required") && guard->action != JUDGE_ROLL_BACK)
        guard->required = JUDGE_NOT_REQUIRED;
    return guard->name[0] ? SERIN_OK : AT_LINE(reader, node, "a guard with an empty name");
}

enum serin_errc plan_read_names(struct plan_reader *reader, const yaml_node_t *node, uint32_t *ret)
{
    const struct judge_options *judge = &reader->plan->judge;
    const char *known[JUDGE_MAX_DIMENSIONS + 1] = {NULL}, *text;
    uint32_t dimensions = 0;
    struct plan_items items = {0};
    enum serin_errc rc = plan_read_items(reader, "slices", node, 0, JUDGE_MAX_DIMENSIONS, &items);
    int i, which;

    for (i = 0; i < judge->dimension_count; i++)
        known[i] = judge->dimensions[i].name;
    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = plan_item_at(reader, &items, i);

        rc = plan_need_text(reader, "a slice", item, &text);
        if (rc != SERIN_OK)
            return rc;
        which = plan_index(text, strlen(text), known);
        if (which < 0 && plan_index(text, strlen(text), plan_slice_names) >= 0)
            return AT_LINE(reader, item, "slice '%s' is not among the plan's slices: add it to 'slices' at the top",
                           text);
        if (which < 0)
            return plan_unknown(reader, item, "slice", text, plan_nearest(text, known));
        dimensions |= 1u << which;
    }
    if (rc == SERIN_OK)
        *ret = dimensions;
    return rc;
}

enum serin_errc plan_read_prove(struct plan_reader *reader, const yaml_node_t *map, int step)
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
        const yaml_node_t *key = plan_node_at(reader, pair->key);
        const char *name = plan_node_text(key);

        if (!name)
            return AT_LINE(reader, key, "prove has a key that is no text");
        i = plan_index(name, strlen(name), known);
        if (i < 0)
            return plan_unknown(reader, key, "guard", name, plan_nearest(name, known));
        if (plan_find(reader, map, name) != plan_node_at(reader, pair->value))
            return AT_LINE(reader, key, "%s for the second time", name);
        rc = plan_read_number(reader, &margin, name, plan_node_at(reader, pair->value), &judge->guards[i].prove[step]);
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
