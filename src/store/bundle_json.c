/*
 * bundle_json.c - versions as JSON.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the store holds as JSON (classes, shapes, evaluation, scan) was checked to be JSON when it was read, and is
 * passed on as it is.
 */
#include "store/bundle_json.h"

static void raw_field(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    if (text)
        json_write_raw(json, text);
    else
        json_write_null(json);
}

void bundle_write_members(struct json_writer *json, const struct bundle *bundle)
{
    char name[VERSION_MAX_NAME];

    json_put_string(json, "name", version_name_text(&bundle->name, name));
    json_put_string(json, "model", bundle->name.model);
    json_put_string(json, "tag", bundle->name.tag);
    json_put_string(json, "digest", bundle->digest);
    json_put_string(json, "created", *bundle->created ? bundle->created : NULL);
    json_key(json, "in_use");
    json_write_boolean(json, bundle->in_use);
    if (*bundle->problem) {
        json_put_string(json, "problem", bundle->problem);
        return;
    }
    json_put_string(json, "model_digest", bundle->model_digest);
    json_key(json, "model_bytes");
    json_write_integer(json, (int64_t)bundle->model_bytes);
    json_put_string(json, "task", bundle->task);
    json_put_string(json, "architecture", bundle->architecture);
    json_put_string(json, "precision", bundle->precision);
    raw_field(json, "classes", bundle->class_names_json);
    raw_field(json, "inputs", bundle->inputs_json);
    raw_field(json, "outputs", bundle->outputs_json);
    json_key(json, "settings");
    bundle_settings_write(bundle, json);
    raw_field(json, "eval", bundle->eval_json);
    raw_field(json, "scan", bundle->scan_json);
    raw_field(json, "golden", bundle->golden_json);
}

void bundle_write_json(struct json_writer *json, const struct bundle *bundle)
{
    json_begin_object(json);
    bundle_write_members(json, bundle);
    json_end_object(json);
}
