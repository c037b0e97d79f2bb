/*
 * scan.c - the findings of a security scanner's report, counted.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Trivy's JSON, schema 2: "Results", each with lists of findings that have a "Severity".
 */
#include "version/bundle.h"

#include <jansson.h>
#include <string.h>

#define MAX_SEVERITY 5

static const char *const severities[MAX_SEVERITY] = {"CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN"};

/* Counts the findings of one list of a result ("Vulnerabilities"). Severities that Trivy does not know are unknown; a
 * check that passed (--include-non-failures) is no finding. */
static enum serin_errc count_findings(const json_t *result, const char *key, json_int_t counts[MAX_SEVERITY],
                                      json_int_t *total, struct serin_error *error)
{
    const json_t *list = json_object_get(result, key), *finding;
    size_t i;

    if (!list || json_is_null(list))
        return SERIN_OK;
    if (!json_is_array(list))
        return error_set(error, SERIN_CORRUPT, "\"%s\" is no list", key);
    json_array_foreach(list, i, finding)
    {
        const char *severity = json_string_value(json_object_get(finding, "Severity"));
        const char *status = json_string_value(json_object_get(finding, "Status"));
        int which = 0;

        if (!json_is_object(finding))
            return error_set(error, SERIN_CORRUPT, "entry %zu of \"%s\" is no object", i, key);
        if (status && strcmp(status, "PASS") == 0)
            continue;
        while (which < MAX_SEVERITY - 1 && !(severity && strcmp(severity, severities[which]) == 0))
            which++;
        counts[which]++;
        ++*total;
    }
    return SERIN_OK;
}

static enum serin_errc summarise(const json_t *root, char **ret_json, struct serin_error *error)
{
    const json_t *results = json_object_get(root, "Results"), *result;
    json_int_t counts[MAX_SEVERITY] = {0}, vulnerabilities = 0, secrets = 0, misconfigurations = 0;
    json_t *summary;
    enum serin_errc rc;
    size_t i;

    if (json_integer_value(json_object_get(root, "SchemaVersion")) != 2)
        return error_set(error, SERIN_CORRUPT, "no Trivy JSON report: \"SchemaVersion\" is not 2");
    if (results && !json_is_null(results) && !json_is_array(results))
        return error_set(error, SERIN_CORRUPT, "no Trivy JSON report: \"Results\" is no list");
    json_array_foreach(results, i, result)
    {
        rc = count_findings(result, "Vulnerabilities", counts, &vulnerabilities, error);
        rc = rc ? rc : count_findings(result, "Secrets", counts, &secrets, error);
        rc = rc ? rc : count_findings(result, "Misconfigurations", counts, &misconfigurations, error);
        if (rc != SERIN_OK)
            return error_prefix(error, rc, "result %zu", i);
    }
    summary = json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "scanner", "trivy", "target",
                        json_string_value(json_object_get(root, "ArtifactName")), "critical", counts[0], "high",
                        counts[1], "medium", counts[2], "low", counts[3], "unknown", counts[4], "vulnerabilities",
                        vulnerabilities, "secrets", secrets, "misconfigurations", misconfigurations);
    *ret_json = summary ? json_dumps(summary, JSON_COMPACT) : NULL;
    json_decref(summary);
    return *ret_json ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for the summary of the scan");
}

enum serin_errc bundle_scan_summary(const void *bytes, size_t size, char **ret_json, struct serin_error *error)
{
    json_error_t where;
    enum serin_errc rc;
    json_t *root;

    if (size > BUNDLE_MAX_SCAN_BYTES)
        return error_set(error, SERIN_LIMIT, "a scan report of %zu bytes, the limit is %u", size,
                         BUNDLE_MAX_SCAN_BYTES);
    root = json_loadb(bytes, size, 0, &where);
    if (!root)
        return error_set(error, SERIN_CORRUPT, "no JSON: line %d: %s", where.line, where.text);
    rc = json_is_object(root) ? summarise(root, ret_json, error)
                              : error_set(error, SERIN_CORRUPT, "no Trivy JSON report: no object");
    json_decref(root);
    return rc;
}
