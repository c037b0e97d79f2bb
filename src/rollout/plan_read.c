/*
 * plan_read.c - a plan, or a freeze calendar, from YAML, over the defaults.
 * SPDX-License-Identifier: Apache-2.0
 *
 * libyaml makes the tree, and the table of keys says what may stand where. Nothing is followed by recursion: the depth
 * is that of the table, so an alias that contains itself ends where the table does.
 */
#include "rollout/plan_reader.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what has a form of its own ---- */

static enum serin_errc read_unit(struct plan_reader *reader, const yaml_node_t *node)
{
    static const char *const words[] = {"request", "key", NULL};
    const char *text = plan_node_text(node);
    enum serin_errc rc;
    int i;

    if (text) {
        i = plan_index(text, strlen(text), words);
        if (i < 0)
            return plan_unknown(reader, node, "unit", text, plan_nearest(text, words));
        reader->plan->judge.unit = i == 0 ? JUDGE_REQUEST : JUDGE_KEY;
        return SERIN_OK;
    }
    rc = plan_read_map(reader, PLAN_UNIT, "unit", node, reader->plan);
    if (rc == SERIN_OK && reader->plan->key_source != ROUTE_KEY_ADDRESS)
        rc = plan_check_token(reader, "key", node, reader->plan->key_name);
    if (rc == SERIN_OK)
        reader->plan->judge.unit = plan_find(reader, node, "block") ? JUDGE_KEY_BLOCK : JUDGE_KEY;
    return rc;
}

static enum serin_errc read_hooks(struct plan_reader *reader, const yaml_node_t *node, uint32_t *ret)
{
    const char *text;
    uint32_t on = 0;
    struct plan_items items = {0};
    enum serin_errc rc = plan_read_items(reader, "on", node, 1, 7, &items);
    int i, which;

    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = plan_item_at(reader, &items, i);

        rc = plan_need_text(reader, "on", item, &text);
        if (rc != SERIN_OK)
            return rc;
        which = plan_index(text, strlen(text), plan_hook_names);
        if (which < 0)
            return plan_unknown(reader, item, "event", text, plan_nearest(text, plan_hook_names));
        on |= 1u << which;
    }
    if (rc == SERIN_OK)
        *ret = on;
    return rc;
}

static enum serin_errc read_webhook(struct plan_reader *reader, const yaml_node_t *node, struct plan_webhook *webhook)
{
    enum serin_errc rc;

    plan_init_webhook(webhook);
    rc = plan_read_map(reader, PLAN_WEBHOOK, "a webhook", node, webhook);
    if (rc != SERIN_OK)
        return rc;
    if (strncmp(webhook->url, "http://", 7) != 0 && strncmp(webhook->url, "https://", 8) != 0)
        return AT_LINE(reader, node, "a webhook's url begins with http:// or https://");
    if (webhook->on == 0)
        return AT_LINE(reader, node, "a webhook without 'on': what is it told?");
    return SERIN_OK;
}

static enum serin_errc read_tester(struct plan_reader *reader, const yaml_node_t *node, struct route_rule *tester)
{
    enum serin_errc rc;

    memset(tester, 0, sizeof(*tester));
    rc = plan_read_map(reader, PLAN_TESTER, "a tester", node, tester);
    return rc == SERIN_OK ? plan_check_token(reader, "header", node, tester->header) : rc;
}

static enum serin_errc read_step(struct plan_reader *reader, const yaml_node_t *node, int i)
{
    struct plan_step *step = &reader->plan->steps[i];
    const yaml_node_t *min;
    enum serin_errc rc;

    plan_init_step(step);
    rc = plan_read_map(reader, PLAN_STEP, "a step", node, step);
    if (rc != SERIN_OK)
        return rc;
    min = plan_find(reader, node, "min");
    if (step->weight_per_million == 0 && !(min && plan_find(reader, min, "evidence")))
        step->min_evidence = 0; /* no client's request is any */
    return SERIN_OK;
}

static enum serin_errc read_list(struct plan_reader *reader, const struct plan_key *key, const yaml_node_t *node)
{
    struct plan *plan = reader->plan;
    struct plan_items items = {0};
    enum serin_errc rc = plan_read_items(reader, key->name, node, (int)key->low, (int)key->high, &items);
    int i;

    if (rc != SERIN_OK)
        return rc;
    if (key->kind == PLAN_OF_STEPS)
        memset(reader->proves, 0, sizeof(reader->proves));
    for (i = 0; rc == SERIN_OK && i < items.count; i++) {
        const yaml_node_t *item = plan_item_at(reader, &items, i);

        if (key->kind == PLAN_OF_SLICES)
            rc = plan_read_slice(reader, item, &plan->judge.dimensions[i]);
        else if (key->kind == PLAN_OF_GUARDS)
            rc = plan_read_guard(reader, item, &plan->judge.guards[i]);
        else if (key->kind == PLAN_OF_STEPS)
            rc = read_step(reader, item, i);
        else if (key->kind == PLAN_OF_TESTERS)
            rc = read_tester(reader, item, &plan->testers[i]);
        else if (key->kind == PLAN_OF_WINDOWS)
            rc = plan_read_window(reader, item, &reader->calendar->windows[i]);
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

static enum serin_errc read_value(struct plan_reader *reader, const struct plan_key *key, const yaml_node_t *node,
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
        rc = plan_read_number(reader, key, key->name, node, &number);
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
        return plan_read_flag(reader, key->name, node, (bool *)place);
    case PLAN_TEXT:
        return plan_read_text(reader, key->name, node, place, key->size);
    case PLAN_CHOICE:
        return plan_read_choice(reader, key, node, (int *)(void *)place);
    case PLAN_MAP:
        return plan_read_map(reader, key->map, key->name, node, record);
    case PLAN_OF_UNIT:
        return read_unit(reader, node);
    case PLAN_OF_NAMES:
        return plan_read_names(reader, node, (uint32_t *)(void *)place);
    case PLAN_OF_DAYS:
        return plan_read_days(reader, node, (uint8_t *)place);
    case PLAN_OF_EDGE:
        return plan_read_edge(reader, key->name, node, record);
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

enum serin_errc plan_read_map(struct plan_reader *reader, enum plan_section section, const char *what,
                              const yaml_node_t *node, void *record)
{
    enum serin_errc rc = plan_check_keys(reader, section, what, node);
    const struct plan_key *key;
    int i;

    for (i = 0; rc == SERIN_OK && (key = plan_key_at(i)); i++) {
        const yaml_node_t *value = key->section == section ? plan_find(reader, node, key->name) : NULL;

        if (value)
            rc = read_value(reader, key, value, record);
    }
    return rc;
}

/* ---- the whole ---- */

static enum serin_errc read_plan(struct plan_reader *reader, const yaml_node_t *root)
{
    struct plan *plan = reader->plan;
    struct judge_options *judge = &plan->judge;
    enum serin_errc rc;
    int i, step;

    if (plan_find(reader, root, "freeze"))
        return AT_LINE(reader, plan_find(reader, root, "freeze"),
                       "a freeze calendar is the model's, and no plan's: serin freeze set MODEL FILE");
    if (plan_find(reader, root, "slices") && !plan_find(reader, root, "guards"))
        for (i = 0; i < judge->guard_count; i++) /* the default guards' slices are those of the default plan */
            judge->guards[i].dimensions = 0;
    rc = plan_read_map(reader, PLAN_TOP, "a plan", root, plan);
    if (rc != SERIN_OK)
        return rc;
    for (step = 0; step < JUDGE_MAX_STEPS; step++) {
        bool there = step < judge->step_count;

        judge->min_evidence[step] = there ? plan->steps[step].min_evidence : 0;
        for (i = 0; i < judge->guard_count; i++)
            judge->guards[i].prove[step] = there ? plan_default_proof(&judge->guards[i], &plan->steps[step]) : INFINITY;
        if (there && reader->proves[step])
            rc = plan_read_prove(reader, reader->proves[step], step);
        if (rc != SERIN_OK)
            return rc;
    }
    return plan_check(plan, reader->error);
}

/* A second document would be passed over: somebody believes that it holds. */
static enum serin_errc read_end(struct plan_reader *reader, yaml_parser_t *parser, const char *what)
{
    const yaml_node_t *root;
    enum serin_errc rc = SERIN_OK;

    if (!yaml_parser_load(parser, &reader->document))
        return error_set(reader->error, parser->error == YAML_MEMORY_ERROR ? SERIN_NOMEM : SERIN_INVALID,
                         "line %zu: %s", parser->problem_mark.line + 1, parser->problem ? parser->problem : "no YAML");
    root = yaml_document_get_root_node(&reader->document);
    if (root)
        rc = AT_LINE(reader, root, "a second document: %s is one", what);
    yaml_document_delete(&reader->document);
    return rc;
}

/* Parses, and has the root read, which must be a map; an empty text has none. */
static enum serin_errc read_document(struct plan_reader *reader, const char *yaml, size_t size, const char *what,
                                     enum serin_errc (*read)(struct plan_reader *reader, const yaml_node_t *root))
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
        if (rc == SERIN_OK)
            rc = read_end(reader, &parser, what);
    }
    yaml_parser_delete(&parser);
    return rc;
}

enum serin_errc plan_read(const char *yaml, size_t size, struct plan *ret, struct serin_error *error)
{
    struct plan_reader reader = {.error = error};
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

static enum serin_errc read_calendar(struct plan_reader *reader, const yaml_node_t *root)
{
    return plan_read_map(reader, PLAN_CALENDAR, "a calendar", root, reader->calendar);
}

enum serin_errc calendar_read(const char *yaml, size_t size, struct calendar *ret, struct serin_error *error)
{
    struct calendar calendar = {.zone = "UTC"};
    struct plan_reader reader = {.calendar = &calendar, .error = error};
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

    rc = file_read_input(path, PLAN_MAX_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    rc = error_prefix(error, plan_read((const char *)bytes, size, ret, error), "%s",
                      strcmp(path, "-") == 0 ? "stdin" : path);
    free(bytes);
    return rc;
}
