/*
 * bundle_diff.c - comparing two bundles, field by field, class by class, finding by finding.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists of classes and findings are compared as sets by a hash table of their keys, since a scan may have thousands.
 */
#include "store/bundle_diff.h"

#include "base/text.h"
#include "version/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text)
{
    return text ? json_loads(text, 0, NULL) : NULL;
}

static json_t *or_null(json_t *value) /* a new reference */
{
    return value ? json_incref(value) : json_null();
}

/* ---- fields ---- */

/* Takes both references. */
static void compare(json_t *fields, const char *kind, const char *name, json_t *from, json_t *to)
{
    if (!json_equal(from, to))
        json_array_append_new(fields,
                              json_pack("{s:s, s:s, s:O, s:O}", "name", name, "kind", kind, "from", from, "to", to));
    json_decref(from);
    json_decref(to);
}

static json_t *setting_of(const struct bundle *bundle, const struct bundle_setting_rule *rule)
{
    double value = bundle_setting_get(bundle, rule->key, -1); /* no setting is negative */
    char word[64];

    if (strcmp(rule->key, "provider") == 0) /* every version has one, though not every one says so */
        return json_string(bundle_provider(bundle, word));
    if (value < 0)
        return json_null();
    return rule->choices ? json_string(text_choice(rule->choices, (int)value, word, sizeof(word))) : json_real(value);
}

static json_t *compare_fields(const struct bundle *from, const struct bundle *to)
{
    json_t *fields = json_array();
    size_t i;

    compare(fields, "identity", "digest", json_string(from->digest), json_string(to->digest));
    compare(fields, "model", "model_digest", json_string(from->model_digest), json_string(to->model_digest));
    compare(fields, "model", "model_bytes", json_integer((json_int_t)from->model_bytes),
            json_integer((json_int_t)to->model_bytes));
    compare(fields, "model", "task", json_string(from->task), json_string(to->task));
    compare(fields, "engine", "architecture", json_string(from->architecture), json_string(to->architecture));
    compare(fields, "engine", "precision", json_string(from->precision), json_string(to->precision));
    compare(fields, "shape", "inputs", parse(from->inputs_json), parse(to->inputs_json));
    compare(fields, "shape", "outputs", parse(from->outputs_json), parse(to->outputs_json));
    for (i = 0; i < bundle_setting_rule_count; i++)
        compare(fields, "setting", bundle_settings[i].key, setting_of(from, &bundle_settings[i]),
                setting_of(to, &bundle_settings[i]));
    return fields;
}

/* ---- sets ---- */

/* What list has and known (an object with such keys) has not, by the string that key_of gives. */
static json_t *missing(json_t *list, const json_t *known, const char *key_field)
{
    json_t *found = json_array(), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *key = json_string_value(key_field ? json_object_get(item, key_field) : item);

        if (key && !json_object_get(known, key))
            json_array_append(found, item);
    }
    return found;
}

static json_t *keys_of(json_t *list, const char *key_field)
{
    json_t *known = json_object(), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *key = json_string_value(key_field ? json_object_get(item, key_field) : item);

        if (key)
            json_object_set(known, key, item);
    }
    return known;
}

static json_t *compare_classes(const struct bundle *from, const struct bundle *to)
{
    json_t *old = parse(from->class_names_json), *new = parse(to->class_names_json);
    json_t *old_keys = keys_of(old, NULL), *new_keys = keys_of(new, NULL);
    json_t *added = missing(new, old_keys, NULL), *removed = missing(old, new_keys, NULL);
    bool reordered = json_array_size(added) == 0 && json_array_size(removed) == 0 && !json_equal(old, new);

    json_decref(old);
    json_decref(new);
    json_decref(old_keys);
    json_decref(new_keys);
    return json_pack("{s:o, s:o, s:b}", "added", added, "removed", removed, "reordered", reordered);
}

/* ---- the evaluation ---- */

static json_t *class_figure(const json_t *class)
{
    json_t *value = json_object_get(class, "map50_95");

    return json_is_number(value) ? value : json_object_get(json_object_get(class, "ultralytics"), "map50_95");
}

/* What cannot be subtracted goes last. */
static double change_of(const json_t *class)
{
    const json_t *change = json_object_get(class, "change");

    return json_is_number(change) ? json_number_value(change) : 2;
}

static int compare_changes(const void *a, const void *b)
{
    double first = change_of(*(json_t *const *)a), second = change_of(*(json_t *const *)b);

    return first < second ? -1 : first > second;
}

static json_t *sorted_by_loss(json_t *classes)
{
    size_t count = json_array_size(classes), i;
    json_t **list = calloc(count + 1, sizeof(json_t *)), *sorted = json_array();

    for (i = 0; list && i < count; i++)
        list[i] = json_array_get(classes, i);
    if (list)
        qsort(list, count, sizeof(json_t *), compare_changes);
    for (i = 0; list && i < count; i++)
        json_array_append(sorted, list[i]);
    free(list);
    json_decref(classes);
    return sorted;
}

static json_t *compare_class_figures(json_t *old, json_t *new)
{
    json_t *classes = json_array(), *known = keys_of(old, "name"), *class;
    size_t i;

    json_array_foreach(new, i, class)
    {
        json_t *name = json_object_get(class, "name"), *after = class_figure(class), *before;
        json_t *change;

        if (!json_is_string(name))
            continue;
        before = class_figure(json_object_get(known, json_string_value(name)));
        if (!json_is_number(before) && !json_is_number(after))
            continue;
        change = json_is_number(before) && json_is_number(after)
                     ? json_real(json_number_value(after) - json_number_value(before))
                     : json_null();
        json_array_append_new(classes, json_pack("{s:O, s:o, s:o, s:o}", "name", name, "from", or_null(before), "to",
                                                 or_null(after), "change", change));
    }
    json_decref(known);
    return sorted_by_loss(classes);
}

static json_t *accuracy_json(double accuracy)
{
    return accuracy < 0 ? json_null() : json_real(accuracy);
}

static json_t *compare_evaluations(const struct bundle *from, const struct bundle *to)
{
    json_t *old = parse(from->eval_json), *new = parse(to->eval_json), *classes;
    const char *old_name, *name;
    double before = bundle_accuracy(from, &old_name), after = bundle_accuracy(to, &name);

    if (!old && !new)
        return json_null();
    classes = compare_class_figures(json_object_get(old, "per_class"), json_object_get(new, "per_class"));
    json_decref(old);
    json_decref(new);
    return json_pack("{s:s, s:o, s:o, s:b, s:o}", "name", after < 0 ? old_name : name, "from", accuracy_json(before),
                     "to", accuracy_json(after), "same_data", bundle_same_evaluation_data(from, to), "classes",
                     classes);
}

/* ---- the scan ---- */

static const char *first_of(const json_t *finding, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_is_string(json_object_get(finding, *keys)))
            return json_string_value(json_object_get(finding, *keys));
    return "";
}

/* Trivy's findings as {"key","id","severity","target","package"}. */
static void add_findings(json_t *found, const json_t *result, const char *list)
{
    static const char *const ids[] = {"VulnerabilityID", "RuleID", "AVDID", "ID", NULL};
    static const char *const packages[] = {"PkgName", NULL}, *const severities[] = {"Severity", NULL},
                             *const statuses[] = {"Status", NULL}, *const targets[] = {"Target", NULL};
    const json_t *finding;
    size_t i;

    json_array_foreach(json_object_get(result, list), i, finding)
    {
        const char *id = first_of(finding, ids), *package = first_of(finding, packages);
        const char *target = first_of(result, targets);

        if (strcmp(first_of(finding, statuses), "PASS") != 0)
            json_array_append_new(found, json_pack("{s:s++++, s:s, s:s, s:s, s:s}", "key", id, "\n", target, "\n",
                                                   package, "id", id, "severity", first_of(finding, severities),
                                                   "target", target, "package", package));
    }
}

/* NULL where there is no report; an error where it cannot be read. */
static enum serin_errc findings_of(struct bundles *store, const char *name, json_t **ret, struct serin_error *error)
{
    json_t *root, *found = json_array();
    const json_t *result;
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    size_t size = 0, i;

    rc = bundles_read_file(store, name, MANIFEST_FILE_SCAN, BUNDLE_MAX_SCAN_BYTES, &bytes, &size, error);
    root = rc == SERIN_OK ? json_loadb((const char *)bytes, size, 0, NULL) : NULL;
    free(bytes);
    if (rc == SERIN_OK && !root)
        rc = error_set(error, SERIN_CORRUPT, "%s: %s is no JSON", name, MANIFEST_FILE_SCAN);
    json_array_foreach(json_object_get(root, "Results"), i, result)
    {
        add_findings(found, result, "Vulnerabilities");
        add_findings(found, result, "Secrets");
        add_findings(found, result, "Misconfigurations");
    }
    json_decref(root);
    if (rc == SERIN_OK) {
        *ret = found;
        return SERIN_OK;
    }
    json_decref(found);
    return rc == SERIN_NOT_FOUND ? SERIN_OK : rc;
}

static json_t *without_keys(json_t *findings)
{
    json_t *finding;
    size_t i;

    json_array_foreach(findings, i, finding)
    {
        json_object_del(finding, "key");
    }
    return findings;
}

static enum serin_errc compare_scans(struct bundles *store, const char *from, const char *to, json_t **ret,
                                     struct serin_error *error)
{
    json_t *old = NULL, *new = NULL, *old_keys, *new_keys, *added, *gone;
    enum serin_errc rc;

    rc = findings_of(store, from, &old, error);
    if (rc == SERIN_OK)
        rc = findings_of(store, to, &new, error);
    if (rc == SERIN_OK && (old || new)) {
        old_keys = keys_of(old, "key");
        new_keys = keys_of(new, "key");
        added = missing(new, old_keys, "key");
        gone = missing(old, new_keys, "key");
        json_decref(old_keys);
        json_decref(new_keys);
        *ret = json_pack("{s:o, s:o}", "new", without_keys(added), "gone", without_keys(gone));
    } else if (rc == SERIN_OK) {
        *ret = json_null();
    }
    json_decref(old);
    json_decref(new);
    return rc;
}

enum serin_errc bundle_findings(struct bundles *store, const char *name, size_t most, json_t **ret,
                                struct serin_error *error)
{
    static const char *const severities[] = {"CRITICAL", "HIGH", "MEDIUM", "LOW", ""}; /* "": the rest */
    json_t *found = NULL, *finding, *list;
    size_t s, k, i;
    enum serin_errc rc = findings_of(store, name, &found, error);

    if (rc != SERIN_OK)
        return rc;
    list = found ? json_array() : NULL;
    for (s = 0; list && s < sizeof(severities) / sizeof(severities[0]); s++) {
        json_array_foreach(found, i, finding)
        {
            const char *severity = json_string_value(json_object_get(finding, "severity"));

            for (k = 0; severities[k][0] && strcmp(severities[k], severity ? severity : "") != 0; k++)
                ;
            if (k == s && json_array_size(list) < most)
                json_array_append(list, finding);
        }
    }
    *ret = list ? json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(found), "list", without_keys(list))
                : json_null();
    json_decref(found);
    return *ret ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for the findings of %s", name);
}

/* ---- the whole ---- */

enum serin_errc bundle_diff(struct bundles *store, const char *from, const char *to, json_t **ret,
                            struct serin_error *error)
{
    struct bundle old = {.class_count = 0}, new = {.class_count = 0};
    json_t *scan = NULL;
    enum serin_errc rc;

    rc = bundles_find(store, from, &old, error);
    if (rc == SERIN_OK)
        rc = bundles_find(store, to, &new, error);
    if (rc == SERIN_OK)
        rc = compare_scans(store, from, to, &scan, error);
    if (rc == SERIN_OK) {
        *ret = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "from", from, "to", to, "same",
                         strcmp(old.digest, new.digest) == 0, "fields", compare_fields(&old, &new), "classes",
                         compare_classes(&old, &new), "evaluation", compare_evaluations(&old, &new), "scan", scan);
        if (!*ret)
            rc = error_set(error, SERIN_NOMEM, "no memory for the differences of %s and %s", from, to);
    }
    bundle_done(&old);
    bundle_done(&new);
    return rc;
}
