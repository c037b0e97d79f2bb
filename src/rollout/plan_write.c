/*
 * plan_write.c - a plan as YAML with every key: what is stored with a rollout, and what `serin lint --default` prints.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading it back gives the same plan. Lists are one line an item; the help of an item's keys stands above the list.
 */
#include "rollout/plan_inside.h"

#include "base/buffer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A plain word stays; all else is quoted, as JSON and so YAML has it. Control characters do not occur: the reader
 * refuses them. */
static void write_text(struct buffer *out, const char *text)
{
    static const char plain[] = "0123456789_-/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (isalpha((unsigned char)text[0]) && text[strspn(text, plain)] == '\0') {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_text(out, "\"");
    for (; *text; text++)
        buffer_printf(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    buffer_append_text(out, "\"");
}

static void write_words(struct buffer *out, uint32_t bits, const char *const *words)
{
    bool first = true;
    int i;

    buffer_append_text(out, "[");
    for (i = 0; words[i]; i++)
        if (bits >> i & 1) {
            buffer_printf(out, "%s%s", first ? "" : ", ", words[i]);
            first = false;
        }
    buffer_append_text(out, "]");
}

static void write_scalar(struct buffer *out, const struct plan_key *key, const void *record)
{
    const void *place = (const char *)record + key->offset;
    char text[PLAN_VALUE_BYTES];

    switch (key->kind) {
    case PLAN_NUMBER:
        buffer_append_text(out, plan_write_number(*(const double *)place, text));
        break;
    case PLAN_DURATION:
        buffer_append_text(out, plan_write_duration(*(const double *)place, text));
        break;
    case PLAN_SHARE:
        buffer_append_text(out, plan_write_share(*(const uint32_t *)place, text));
        break;
    case PLAN_INT:
        buffer_printf(out, "%d", *(const int *)place);
        break;
    case PLAN_FLAG:
        buffer_append_text(out, *(const bool *)place ? "true" : "false");
        break;
    case PLAN_CHOICE:
        buffer_append_text(out, key->words[*(const int *)place]);
        break;
    default:
        write_text(out, place);
    }
}

static void write_unit(struct buffer *out, const struct plan *plan, const struct plan_key *source)
{
    char text[PLAN_VALUE_BYTES];

    if (plan->judge.unit == JUDGE_REQUEST) {
        buffer_append_text(out, "request");
        return;
    }
    buffer_append_text(out, "{key: ");
    write_text(out, plan->key_name);
    buffer_printf(out, ", source: %s", source->words[plan->key_source]);
    if (plan->judge.unit == JUDGE_KEY_BLOCK)
        buffer_printf(out, ", block: %s", plan_write_duration(plan->judge.block_s, text));
    buffer_append_text(out, "}");
}

/* Of every guard, so that what is stored does not depend on the defaults of a later program. */
static void write_prove(struct buffer *out, const struct plan *plan, int step)
{
    char text[PLAN_VALUE_BYTES];
    int i;

    buffer_append_text(out, "{");
    for (i = 0; i < plan->judge.guard_count; i++) {
        buffer_append_text(out, i ? ", " : "");
        write_text(out, plan->judge.guards[i].name);
        buffer_printf(out, ": %s", plan_write_number(plan->judge.guards[i].prove[step], text));
    }
    buffer_append_text(out, "}");
}

static void write_map(struct buffer *out, const struct plan *plan, enum plan_section section, const void *record,
                      int item);

static void write_value(struct buffer *out, const struct plan *plan, const struct plan_key *key, const void *record,
                        int item)
{
    const char *slices[JUDGE_MAX_DIMENSIONS + 1] = {NULL}, *nearest;
    int i;

    switch (key->kind) {
    case PLAN_MAP:
        write_map(out, plan, key->map, record, item);
        break;
    case PLAN_OF_UNIT:
        write_unit(out, plan, plan_key_find(PLAN_UNIT, "source", &nearest));
        break;
    case PLAN_OF_METRIC:
        buffer_append_text(out, ((const struct judge_guard *)record)->metric->name);
        break;
    case PLAN_OF_NAMES:
        for (i = 0; i < plan->judge.dimension_count; i++)
            slices[i] = plan->judge.dimensions[i].name;
        write_words(out, *(const uint32_t *)((const char *)record + key->offset), slices);
        break;
    case PLAN_OF_PROVE:
        write_prove(out, plan, item);
        break;
    case PLAN_OF_HOOKS:
        write_words(out, ((const struct plan_webhook *)record)->on, plan_hook_names);
        break;
    default:
        write_scalar(out, key, record);
    }
}

/* In one line: {key: value, ...}. */
static void write_map(struct buffer *out, const struct plan *plan, enum plan_section section, const void *record,
                      int item)
{
    const struct plan_key *key;
    bool first = true;
    int i;

    buffer_append_text(out, "{");
    for (i = 0; (key = plan_key_at(i)); i++) {
        if (key->section != section)
            continue;
        buffer_printf(out, "%s%s: ", first ? "" : ", ", key->name);
        write_value(out, plan, key, record, item);
        first = false;
    }
    buffer_append_text(out, "}");
}

static void write_item(struct buffer *out, const struct plan *plan, const struct plan_key *list, int i)
{
    const struct judge_options *judge = &plan->judge;

    switch (list->kind) {
    case PLAN_OF_SLICES:
        buffer_append_text(out, "{");
        write_text(out, judge->dimensions[i].name);
        buffer_append_text(out, ": ");
        write_map(out, plan, list->map, &judge->dimensions[i], i);
        buffer_append_text(out, "}");
        break;
    case PLAN_OF_GUARDS:
        write_map(out, plan, list->map, &judge->guards[i], i);
        break;
    case PLAN_OF_STEPS:
        write_map(out, plan, list->map, &plan->steps[i], i);
        break;
    case PLAN_OF_TESTERS:
        write_map(out, plan, list->map, &plan->testers[i], i);
        break;
    default:
        write_map(out, plan, list->map, &plan->webhooks[i], i);
    }
}

static int item_count(const struct plan *plan, enum plan_kind kind)
{
    return kind == PLAN_OF_SLICES     ? plan->judge.dimension_count
           : kind == PLAN_OF_GUARDS   ? plan->judge.guard_count
           : kind == PLAN_OF_STEPS    ? plan->judge.step_count
           : kind == PLAN_OF_TESTERS  ? plan->tester_count
           : kind == PLAN_OF_WEBHOOKS ? plan->webhook_count
                                      : -1; /* no list */
}

/* The help of a section's keys, and of the maps within. */
static void write_help(struct buffer *out, enum plan_section section, const char *indent, const char *prefix)
{
    const struct plan_key *key;
    char name[64];
    int i;

    for (i = 0; (key = plan_key_at(i)); i++) {
        if (key->section != section)
            continue;
        snprintf(name, sizeof(name), "%s%s", prefix, key->name);
        if (key->help[0])
            buffer_printf(out, "%s#   %s: %s\n", indent, name, key->help);
        if (key->kind == PLAN_MAP || key->kind == PLAN_OF_UNIT) {
            snprintf(name, sizeof(name), "%s%s.", prefix, key->name);
            write_help(out, key->map, indent, name);
        }
    }
}

static void write_block(const struct plan *plan, const struct plan_key *key, bool with_help, const char *indent,
                        struct buffer *out)
{
    int count = item_count(plan, key->kind), i;
    const struct plan_key *inner;
    char deeper[8];

    if (with_help)
        buffer_printf(out, "%s# %s\n", indent, key->help);
    if (with_help && (count >= 0 || key->kind == PLAN_OF_UNIT))
        write_help(out, key->map, indent, "");
    buffer_printf(out, "%s%s:", indent, key->name);
    if (key->kind == PLAN_MAP) {
        buffer_append_text(out, "\n");
        snprintf(deeper, sizeof(deeper), "%s  ", indent);
        for (i = 0; (inner = plan_key_at(i)); i++)
            if (inner->section == key->map)
                write_block(plan, inner, with_help, deeper, out);
    } else if (count > 0) {
        buffer_append_text(out, "\n");
        for (i = 0; i < count; i++) {
            buffer_printf(out, "%s  - ", indent);
            write_item(out, plan, key, i);
            buffer_append_text(out, "\n");
        }
    } else {
        buffer_append_text(out, " ");
        if (count == 0)
            buffer_append_text(out, "[]");
        else
            write_value(out, plan, key, plan, 0);
        buffer_append_text(out, "\n");
    }
}

void plan_write(const struct plan *plan, bool with_help, struct buffer *out)
{
    const struct plan_key *key;
    int i;

    for (i = 0; (key = plan_key_at(i)); i++)
        if (key->section == PLAN_TOP)
            write_block(plan, key, with_help, "", out);
}
