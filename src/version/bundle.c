/*
 * bundle.c - a bundle's settings, and writing its description.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keys stand in a fixed order, settings by key, and numbers in their shortest form, so that equal descriptions are
 * equal bytes.
 */
#include "version/bundle.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct bundle_setting_rule bundle_settings[] = {
    {"conf", 0, 1, false, "keep what scores above", NULL},
    {"cpus", 0, 1024, false, "processors that a worker may use; 0: no limit", NULL},
    {"decode_threads", 1, 256, true, "threads that take pictures apart", NULL},
    {"golden_map_floor", 0, 1, false, "least accuracy (mAP50-95, top-1) at admission", NULL},
    {"imgsz", 32, 8192, true, "input size in pixels, for models that take any", NULL},
    {"iou", 0, 1, false, "suppress what overlaps more", NULL},
    {"max_batch", 1, 64, true, "most pictures of one inference", NULL},
    {"max_delay_us", 0, 10000000, true, "how long a batch waits for more", NULL},
    {"max_det", 1, 30000, true, "most detections of a picture", NULL},
    {"max_queue", 1, 100000, true, "pictures that wait before requests are refused", NULL},
    {"memory_mb", 64, 4194304, true, "memory that a worker may use", NULL},
    {"provider", 0, 5, true, "what runs the network", PROVIDERS},
    {"replicas", 1, 64, true, "worker processes", NULL},
    {"threads", 0, 1024, true, "threads of the engine; 0: one for each processor", NULL},
};
const size_t bundle_setting_rule_count = sizeof(bundle_settings) / sizeof(bundle_settings[0]);

_Static_assert(sizeof(bundle_settings) / sizeof(bundle_settings[0]) <= BUNDLE_MAX_SETTINGS,
               "a bundle can have them all");

void bundle_done(struct bundle *bundle)
{
    free(bundle->class_names_json);
    free(bundle->inputs_json);
    free(bundle->outputs_json);
    free(bundle->eval_json);
    free(bundle->scan_json);
    free(bundle->golden_json);
    *bundle = (struct bundle){.class_count = 0};
}

/* ---- settings ---- */

const struct bundle_setting_rule *bundle_setting_find_rule(const char *key)
{
    size_t i;

    for (i = 0; i < bundle_setting_rule_count; i++)
        if (strcmp(bundle_settings[i].key, key) == 0)
            return &bundle_settings[i];
    return NULL;
}

static enum serin_errc unknown_key(const char *key, struct serin_error *error)
{
    const char *keys[BUNDLE_MAX_SETTINGS], *nearest;
    char list[300] = "";
    size_t i, used = 0;

    for (i = 0; i < bundle_setting_rule_count; i++) {
        keys[i] = bundle_settings[i].key;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", keys[i]);
    }
    nearest = text_nearest(key, keys, bundle_setting_rule_count);
    if (nearest)
        return error_set(error, SERIN_INVALID, "there is no setting '%.40s': did you mean '%s'?", key, nearest);
    return error_set(error, SERIN_INVALID, "there is no setting '%.40s'; there are %s", key, list);
}

static enum serin_errc check_value(const struct bundle_setting_rule *rule, double value, struct serin_error *error)
{
    if (value >= rule->min && value <= rule->max && (!rule->whole || value == floor(value)))
        return SERIN_OK;
    return error_set(error, SERIN_INVALID, "setting %s is %.10g, it is a %snumber from %.10g to %.10g", rule->key,
                     value, rule->whole ? "whole " : "", rule->min, rule->max);
}

enum serin_errc bundle_setting_add(struct bundle *bundle, const struct bundle_setting_rule *rule, double value,
                                   struct serin_error *error)
{
    enum serin_errc rc = check_value(rule, value, error);
    int at = 0;

    if (rc != SERIN_OK)
        return rc;
    while (at < bundle->setting_count && strcmp(bundle->settings[at].key, rule->key) < 0)
        at++;
    if (at < bundle->setting_count && strcmp(bundle->settings[at].key, rule->key) == 0)
        return error_set(error, SERIN_INVALID, "setting %s is given twice", rule->key);
    BUG_ON(bundle->setting_count == BUNDLE_MAX_SETTINGS);
    memmove(&bundle->settings[at + 1], &bundle->settings[at],
            (size_t)(bundle->setting_count - at) * sizeof(bundle->settings[0]));
    snprintf(bundle->settings[at].key, sizeof(bundle->settings[at].key), "%s", rule->key);
    bundle->settings[at].value = value == 0 ? 0 : value; /* -0 would be other bytes for the same setting */
    bundle->setting_count++;
    return SERIN_OK;
}

enum serin_errc bundle_setting_set(struct bundle *bundle, const char *assignment, struct serin_error *error)
{
    size_t length = strcspn(assignment, "=");
    const struct bundle_setting_rule *rule;
    char key[TEXT_MAX_WORD + 1];
    const char *end;
    double value;

    if (assignment[length] != '=' || length == 0)
        return error_set(error, SERIN_INVALID, "'%.80s' is no setting; one is written KEY=VALUE", assignment);
    snprintf(key, sizeof(key), "%.*s", (int)(length < TEXT_MAX_WORD ? length : TEXT_MAX_WORD), assignment);
    rule = bundle_setting_find_rule(key);
    if (!rule)
        return unknown_key(key, error);
    if (rule->choices) {
        const int number = text_choice_find(rule->choices, assignment + length + 1);

        if (number < 0)
            return error_set(error, SERIN_INVALID, "setting %s is '%.40s', it is one of %s", rule->key,
                             assignment + length + 1, rule->choices);
        return bundle_setting_add(bundle, rule, number, error);
    }
    if (!text_number(assignment + length + 1, &end, &value) || *end)
        return error_set(error, SERIN_INVALID, "setting %s is '%.40s', it is a %snumber from %.10g to %.10g", rule->key,
                         assignment + length + 1, rule->whole ? "whole " : "", rule->min, rule->max);
    return bundle_setting_add(bundle, rule, value, error);
}

double bundle_setting_get(const struct bundle *bundle, const char *key, double otherwise)
{
    int i;

    BUG_ON(!bundle_setting_find_rule(key));
    for (i = 0; i < bundle->setting_count; i++)
        if (strcmp(bundle->settings[i].key, key) == 0)
            return bundle->settings[i].value;
    return otherwise;
}

const char *bundle_setting_text(const struct bundle_setting *setting, char *text, size_t size)
{
    const struct bundle_setting_rule *rule = bundle_setting_find_rule(setting->key);

    BUG_ON(!rule);
    if (rule->choices)
        return text_choice(rule->choices, (int)setting->value, text, size);
    snprintf(text, size, "%.10g", setting->value);
    return text;
}

const char *bundle_provider(const struct bundle *bundle, char text[PROVIDER_MAX_BYTES])
{
    const double otherwise = text_choice_find(PROVIDERS, PROVIDER_DEFAULT);

    return text_choice(PROVIDERS, (int)bundle_setting_get(bundle, "provider", otherwise), text, PROVIDER_MAX_BYTES);
}

/* ---- writing ---- */

void bundle_settings_write(const struct bundle *bundle, struct json_writer *json)
{
    char word[64];
    int i;

    json_begin_object(json);
    for (i = 0; i < bundle->setting_count; i++) {
        const struct bundle_setting *setting = &bundle->settings[i];

        json_key(json, setting->key);
        if (bundle_setting_find_rule(setting->key)->choices)
            json_write_string(json, bundle_setting_text(setting, word, sizeof(word)));
        else
            json_write_number(json, setting->value);
    }
    json_end_object(json);
}

enum serin_errc bundle_description_write(const struct bundle *bundle, struct buffer *out, struct serin_error *error)
{
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "schema");
    json_write_integer(&json, BUNDLE_SCHEMA);
    json_key(&json, "task");
    json_write_string(&json, bundle->task);
    json_key(&json, "architecture");
    json_write_string(&json, bundle->architecture);
    json_key(&json, "precision");
    json_write_string(&json, bundle->precision);
    json_key(&json, "class_names");
    json_write_raw(&json, bundle->class_names_json);
    json_key(&json, "inputs");
    json_write_raw(&json, bundle->inputs_json);
    json_key(&json, "outputs");
    json_write_raw(&json, bundle->outputs_json);
    json_key(&json, "settings");
    bundle_settings_write(bundle, &json);
    if (bundle->scan_json) {
        json_key(&json, "scan");
        json_write_raw(&json, bundle->scan_json);
    }
    json_end_object(&json);
    return buffer_check(out, "the description", error);
}
