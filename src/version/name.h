/*
 * name.h - the names of versions: NAME:TAG with TAG = SemVer and hardware.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     yolov8-detect:v1.2.0-gpu-cu118     yolov8n:v0.9.1-cpu     yolo-v8:detect-v3     m:v1.0.0-rc.1-cpu-amx
 *
 * A name is an OCI reference (distribution specification 1.1, "Pulling manifests": <name> and <reference>). A tag that
 * begins with v and a SemVer 2.0.0 core ("v1.2.0") is split into core, pre-release and hardware: hardware begins at the
 * first part, between hyphens, that is one of cpu, gpu, cuda, trt, npu, tpu, arm, x86, alone or with something behind
 * it that is no letter (arm64, x86_64). Any other valid tag is a name of its own ("v1.2", "detect-v3"): it sorts by
 * text, below all that have a SemVer.
 *
 * Model: a-z and 0-9, tag: the same and A-Z, both with single '.', '_' or '-' between them: what an OCI reference, the
 * annotation org.opencontainers.image.ref.name and a URL's path take without escapes.
 */
#ifndef VERSION_NAME_H
#define VERSION_NAME_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define VERSION_MAX_MODEL 64
#define VERSION_MAX_TAG   128
#define VERSION_MAX_NAME  (VERSION_MAX_MODEL + VERSION_MAX_TAG + 2)

struct version_name {
    char model[VERSION_MAX_MODEL + 1];
    char tag[VERSION_MAX_TAG + 1]; /* as it was written */
    bool has_semver;
    uint32_t major, minor, patch;
    char prerelease[VERSION_MAX_TAG + 1]; /* "rc.1"; "" where there is none */
    char hardware[VERSION_MAX_TAG + 1];   /* "gpu-cu118"; "" */
};

/* SERIN_INVALID names the rule that was broken, and where. */
MUST_USE enum serin_errc version_name_parse(const char *text, struct version_name *ret, struct serin_error *error);
/* The same for a model's name alone. */
MUST_USE enum serin_errc version_model_check(const char *text, struct serin_error *error);
/* "model:tag" into text of VERSION_MAX_NAME bytes; returns it. */
const char *version_name_text(const struct version_name *name, char *text);
/* Whether word is a part of the tag, between its separators: "bf16" of v1.2.0-cpu-bf16, not of v1.2.0-cpu-bf16x2. */
bool version_tag_has(const struct version_name *name, const char *word);
/* By model, then SemVer precedence (section 11 of SemVer 2.0.0), then hardware, then text. <0, 0, >0. */
int version_name_compare(const struct version_name *a, const struct version_name *b);

#endif
