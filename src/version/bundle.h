/*
 * bundle.h - what a bundle is: a model's description and its settings, as a struct and as JSON.  Depends on name.h and
 * jansson; knows no disk.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The description is the layer "serin.json" of a bundle. Its bytes are part of the bundle's identity, so they hold
 * nothing that differs when the same content is pushed again: no clock, no path, and not the tag (what was tested as
 * v1.0.0-rc.1 and is released as v1.0.0 keeps its digest).
 */
#ifndef VERSION_BUNDLE_H
#define VERSION_BUNDLE_H

#include "base/buffer.h"
#include "base/json.h"
#include "base/providers.h"
#include "version/name.h"

#include <stddef.h>

#define BUNDLE_SCHEMA                1 /* of serin.json */
#define BUNDLE_MAX_SETTINGS          32
#define BUNDLE_DIGEST_TEXT           72 /* "sha256:" and 64 digits, and NUL */
#define BUNDLE_MAX_DESCRIPTION_BYTES (4u << 20)
#define BUNDLE_MAX_EVAL_BYTES        (4u << 20)
#define BUNDLE_MAX_SCAN_BYTES        (64u << 20)  /* the whole report of a scanner */
#define BUNDLE_MAX_MODEL_BYTES       (1ull << 30) /* as serin_yolo_open's default */

/* One setting of a bundle; the keys and ranges are those of bundle_settings[]. */
struct bundle_setting {
    char key[32];
    double value;
};

struct bundle {
    struct version_name name;
    char digest[BUNDLE_DIGEST_TEXT];       /* of the manifest */
    char model_digest[BUNDLE_DIGEST_TEXT]; /* of the ONNX file */
    uint64_t model_bytes;
    char created[32];      /* when it was pushed, RFC 3339; "" where the index does not say */
    char task[16];         /* "detect" */
    char architecture[16]; /* the head: "yolov8" */
    char precision[16]; /* of the file (onnx_summary_precision): "fp32", "int8". What computes it is the provider's */
    int class_count;
    char *class_names_json;           /* ["person",...] */
    char *inputs_json, *outputs_json; /* ["fp32[1,3,640,640]"] */
    char *eval_json;                  /* as `serin eval --json` prints, without the speed; NULL where there is none */
    char *scan_json;   /* {"scanner":"trivy","critical":0,...}: the report's counts; NULL where there is none */
    char *golden_json; /* golden.h; NULL where there are no golden pictures */
    int setting_count;
    struct bundle_setting settings[BUNDLE_MAX_SETTINGS]; /* by rising key */
    bool in_use;                                         /* serin serve has it loaded, or routes to it */
    char problem[400]; /* in lists: why this one cannot be used, and only name and digest are known; "" where it can */
};

/* Frees what the struct points to, and zeroes it. */
void bundle_done(struct bundle *bundle);

/* ---- settings ---- */

struct bundle_setting_rule {
    const char *key;
    double min, max;
    bool whole; /* no fractions */
    const char *meaning;
    const char *choices; /* the value is one of these words ("cpu|cuda"), in memory its number; NULL: a number */
};

extern const struct bundle_setting_rule bundle_settings[];
extern const size_t bundle_setting_rule_count;

/* NULL where there is no such key. */
const struct bundle_setting_rule *bundle_setting_find_rule(const char *key);
/* SERIN_INVALID: out of range, or there already. */
MUST_USE enum serin_errc bundle_setting_add(struct bundle *bundle, const struct bundle_setting_rule *rule, double value,
                                            struct serin_error *error);
/* "conf=.3". SERIN_INVALID: no such key (the nearest is named), no number, out of range, none of the words, given
 * twice.
 */
MUST_USE enum serin_errc bundle_setting_set(struct bundle *bundle, const char *assignment, struct serin_error *error);
/* The bundle's own value, or otherwise. key must be one of bundle_settings. */
double bundle_setting_get(const struct bundle *bundle, const char *key, double otherwise);
/* A setting's value as it is written: "0.3", "onednn-bf16". Returns text. */
const char *bundle_setting_text(const struct bundle_setting *setting, char *text, size_t size);
/* What runs the network, one of PROVIDERS: the setting provider, or PROVIDER_DEFAULT. Returns text. */
const char *bundle_provider(const struct bundle *bundle, char text[PROVIDER_MAX_BYTES]);

/* The settings as an object: {"conf":0.3,"provider":"onednn-bf16"}. */
void bundle_settings_write(const struct bundle *bundle, struct json_writer *json);

/* ---- serin.json ---- */

/* The same bytes for the same content. class_names_json, inputs_json, outputs_json and scan_json are taken as they are:
 * bundle_description_parse tells whether they were JSON of the right kind. SERIN_LIMIT. */
MUST_USE enum serin_errc bundle_description_write(const struct bundle *bundle, struct buffer *out,
                                                  struct serin_error *error);
/* Into ret, whose other fields stay; on failure what was there stays too. SERIN_CORRUPT, SERIN_UNSUPPORTED (written by
 * a newer version: another schema, or a setting that this one does not know). */
MUST_USE enum serin_errc bundle_description_parse(const void *bytes, size_t size, struct bundle *ret,
                                                  struct serin_error *error);

/* The figure that the evaluation is judged by: mAP50-95 of boxes, or top-1; *ret_name says which. Negative where there
 * is no evaluation, or none that could be measured. */
double bundle_accuracy(const struct bundle *bundle, const char **ret_name);
/* Were both evaluated on the same pictures and labels? */
bool bundle_same_evaluation_data(const struct bundle *a, const struct bundle *b);

/* Is it one JSON object (an evaluation, a scan)? what names it in the sentence. SERIN_CORRUPT. */
MUST_USE enum serin_errc bundle_json_check(const void *bytes, size_t size, const char *what, struct serin_error *error);

/* The counts of a Trivy JSON report (schema 2) by severity: {"scanner":"trivy","target":"...","critical":0,"high":1,
 * "medium":0,"low":0,"unknown":0,"vulnerabilities":1,"secrets":0,"misconfigurations":0}. free() *ret_json.
 * SERIN_CORRUPT names what is no report. */
MUST_USE enum serin_errc bundle_scan_summary(const void *bytes, size_t size, char **ret_json,
                                             struct serin_error *error);

#endif
