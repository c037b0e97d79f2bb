/*
 * name.c - reading, writing and ordering the names of versions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The alphabet is the intersection of three: the distribution specification's <reference>, what skopeo takes behind
 * "oci:DIR:" (the image specification's grammar of org.opencontainers.image.ref.name), and a URL's path without
 * escapes. That leaves letters and digits with single separators between them. A tag that looks like SemVer and is not
 * quite is refused instead of taken as a free tag: "v1.02.0" would sort below every release, which nobody meant.
 */
#include "version/name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SHOWN 80 /* bytes of a bad name that a sentence quotes */

static const char *const hardware_words[] = {"cpu", "gpu", "cuda", "trt", "npu", "tpu", "arm", "x86"};

static bool is_separator(char c)
{
    return c == '.' || c == '_' || c == '-';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* The alphabet and the separators; what: "model name" or "tag". */
static enum serin_errc check_characters(const char *what, const char *text, size_t length, bool upper,
                                        struct serin_error *error)
{
    size_t i;

    for (i = 0; i < length; i++) {
        char c = text[i];

        if (is_upper(c) && !upper)
            return error_set(error, SERIN_INVALID, "%s '%.*s': '%c' at character %zu is upper case; a %s is lower case",
                             what, (int)length, text, c, i + 1, what);
        if (!is_lower(c) && !is_upper(c) && !is_digit(c) && !is_separator(c)) {
            if ((unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f)
                return error_set(error, SERIN_INVALID,
                                 "%s '%.*s': character %zu (byte 0x%02x) is no letter of a-z, digit, '.', '_' or '-'",
                                 what, (int)length, text, i + 1, (unsigned char)c);
            return error_set(error, SERIN_INVALID,
                             "%s '%.*s': '%c' at character %zu is no letter, digit, '.', '_' or '-'", what, (int)length,
                             text, c, i + 1);
        }
        if (is_separator(c) && i == 0)
            return error_set(error, SERIN_INVALID, "%s '%.*s' begins with '%c'; it begins with a letter or a digit",
                             what, (int)length, text, c);
        if (is_separator(c) && i + 1 == length)
            return error_set(error, SERIN_INVALID, "%s '%.*s' ends with '%c'; it ends with a letter or a digit", what,
                             (int)length, text, c);
        if (is_separator(c) && is_separator(text[i - 1]))
            return error_set(error, SERIN_INVALID,
                             "%s '%.*s': the part between '%c' and '%c' at character %zu is empty", what, (int)length,
                             text, text[i - 1], c, i + 1);
    }
    return SERIN_OK;
}

static enum serin_errc check_model(const char *text, size_t length, struct serin_error *error)
{
    if (length == 0)
        return error_set(error, SERIN_INVALID, "the model name is empty");
    if (length > VERSION_MAX_MODEL)
        return error_set(error, SERIN_INVALID, "model name '%.*s...' has %zu characters, the limit is %d", SHOWN, text,
                         length, VERSION_MAX_MODEL);
    return check_characters("model name", text, length, false, error);
}

enum serin_errc version_model_check(const char *text, struct serin_error *error)
{
    return check_model(text, strlen(text), error);
}

/* ---- tags ---- */

/* Digits of one of the core's three numbers; *at moves behind them. */
static enum serin_errc read_number(const char *tag, const char **at, const char *which, uint32_t *ret,
                                   struct serin_error *error)
{
    const char *first = *at;
    uint64_t value = 0;

    while (is_digit(**at) && *at - first < 11)
        value = value * 10 + (uint64_t)(*(*at)++ - '0');
    if (*first == '0' && *at - first > 1)
        return error_set(error, SERIN_INVALID,
                         "tag '%.*s': the %s number has a leading zero, which SemVer does not allow", SHOWN, tag,
                         which);
    if (is_digit(**at) || value > UINT32_MAX)
        return error_set(error, SERIN_INVALID, "tag '%.*s': the %s number passes the limit of %lu", SHOWN, tag, which,
                         (unsigned long)UINT32_MAX);
    *ret = (uint32_t)value;
    return SERIN_OK;
}

/* "v", and three runs of digits with points between them: this wants to be SemVer. */
static bool wants_semver(const char *tag)
{
    int runs;

    if (*tag++ != 'v')
        return false;
    for (runs = 0; runs < 3; runs++) {
        if (runs && *tag++ != '.')
            return false;
        if (!is_digit(*tag))
            return false;
        while (is_digit(*tag))
            tag++;
    }
    return true;
}

/* Is the part between hyphens at text hardware: one of the words, alone or with something behind it that is no letter
 * (arm64, x86_64, cuda12)? In any case of letters, so that the caller can say which is wanted. */
static bool is_hardware(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof(hardware_words) / sizeof(hardware_words[0]); i++) {
        size_t length = strlen(hardware_words[i]);

        if (strncasecmp(text, hardware_words[i], length) == 0 && !is_lower(text[length]) && !is_upper(text[length]))
            return true;
    }
    return false;
}

/* SemVer 2.0.0, section 9: identifiers of letters, digits and hyphens; numeric ones without leading zeros. */
static enum serin_errc check_prerelease(const char *tag, const char *prerelease, struct serin_error *error)
{
    const char *p = prerelease;

    while (*p) {
        size_t length = strcspn(p, "."), digits = strspn(p, "0123456789");

        if (memchr(p, '_', length))
            return error_set(error, SERIN_INVALID,
                             "tag '%.*s': the pre-release '%.*s' has a '_', SemVer allows letters, digits, '-' and '.'",
                             SHOWN, tag, SHOWN, prerelease);
        if (digits == length && length > 1 && *p == '0')
            return error_set(error, SERIN_INVALID,
                             "tag '%.*s': '%.*s' of the pre-release has a leading zero, which SemVer does not allow",
                             SHOWN, tag, (int)(length < SHOWN ? length : SHOWN), p);
        p += length + (p[length] == '.');
    }
    return SERIN_OK;
}

/* What follows the core: "-rc.1-gpu-cu118". */
static enum serin_errc read_suffix(const char *suffix, struct version_name *name, struct serin_error *error)
{
    const char *part = suffix, *hardware = NULL;
    size_t length;

    while (part && !hardware) { /* part is at a hyphen */
        if (is_hardware(part + 1))
            hardware = part + 1;
        part = strchr(part + 1, '-');
    }
    if (hardware) {
        const char *p;

        for (p = hardware; *p; p++)
            if (is_upper(*p))
                return error_set(error, SERIN_INVALID, "tag '%.*s': the hardware '%.*s' is written in lower case",
                                 SHOWN, name->tag, SHOWN, hardware);
        snprintf(name->hardware, sizeof(name->hardware), "%s", hardware);
    }
    length = hardware ? (size_t)(hardware - suffix) - 1 : strlen(suffix);
    if (length > 1)
        snprintf(name->prerelease, sizeof(name->prerelease), "%.*s", (int)(length - 1), suffix + 1);
    return check_prerelease(name->tag, name->prerelease, error);
}

static enum serin_errc read_tag(const char *text, struct version_name *name, struct serin_error *error)
{
    size_t length = strlen(text);
    enum serin_errc rc;
    const char *p;

    if (length == 0)
        return error_set(error, SERIN_INVALID, "'%s:' has no tag; a version is written MODEL:TAG", name->model);
    if (length > VERSION_MAX_TAG)
        return error_set(error, SERIN_INVALID, "tag '%.*s...' has %zu characters, the limit is %d", SHOWN, text, length,
                         VERSION_MAX_TAG);
    if (strchr(text, '+'))
        return error_set(error, SERIN_INVALID,
                         "tag '%.*s': '+' and build metadata are not allowed, an OCI tag cannot hold them", SHOWN,
                         text);
    if (strchr(text, ':'))
        return error_set(error, SERIN_INVALID, "'%s:%.*s' has a second ':'; a version is written MODEL:TAG",
                         name->model, SHOWN, text);
    rc = check_characters("tag", text, length, true, error);
    if (rc != SERIN_OK)
        return rc;
    memcpy(name->tag, text, length + 1);
    if (!wants_semver(text))
        return SERIN_OK;
    p = text + 1;
    rc = read_number(text, &p, "major", &name->major, error);
    if (rc == SERIN_OK) {
        p++;
        rc = read_number(text, &p, "minor", &name->minor, error);
    }
    if (rc == SERIN_OK) {
        p++;
        rc = read_number(text, &p, "patch", &name->patch, error);
    }
    if (rc != SERIN_OK)
        return rc;
    if (*p && *p != '-')
        return error_set(error, SERIN_INVALID, "tag '%.*s': behind v%u.%u.%u comes '-' or the end, not '%c'", SHOWN,
                         text, name->major, name->minor, name->patch, *p);
    name->has_semver = true;
    return *p ? read_suffix(p, name, error) : SERIN_OK;
}

enum serin_errc version_name_parse(const char *text, struct version_name *ret, struct serin_error *error)
{
    const char *colon = strchr(text, ':');
    struct version_name name = {.has_semver = false};
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    enum serin_errc rc;

    rc = check_model(text, length, error);
    if (rc != SERIN_OK)
        return rc;
    if (!colon)
        return error_set(error, SERIN_INVALID, "'%s' has no tag; a version is written MODEL:TAG", text);
    memcpy(name.model, text, length);
    rc = read_tag(colon + 1, &name, error);
    if (rc == SERIN_OK)
        *ret = name;
    return rc;
}

const char *version_name_text(const struct version_name *name, char *text)
{
    snprintf(text, VERSION_MAX_NAME, "%s:%s", name->model, name->tag);
    return text;
}

bool version_tag_has(const struct version_name *name, const char *word)
{
    const size_t wanted = strlen(word);
    const char *part = name->tag;

    while (*part) {
        const size_t length = strcspn(part, ".-_");

        if (length == wanted && memcmp(part, word, length) == 0)
            return true;
        part += length + (part[length] != '\0');
    }
    return false;
}

/* ---- order ---- */

/* Two identifiers: numbers by value and below words, words by ASCII. Numbers have no leading zeros: the longer is the
 * larger, whatever their size. */
static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
    bool a_number = strspn(a, "0123456789") >= a_length, b_number = strspn(b, "0123456789") >= b_length;
    size_t common = a_length < b_length ? a_length : b_length;
    int order;

    if (a_number != b_number)
        return a_number ? -1 : 1;
    if (a_number && a_length != b_length)
        return a_length < b_length ? -1 : 1;
    order = memcmp(a, b, common);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_prereleases(const char *a, const char *b)
{
    if (!*a || !*b) /* a release comes after its pre-releases */
        return (*a == '\0') - (*b == '\0');
    while (*a && *b) {
        size_t a_length = strcspn(a, "."), b_length = strcspn(b, ".");
        int order = compare_identifiers(a, a_length, b, b_length);

        if (order)
            return order;
        a += a_length + (a[a_length] == '.');
        b += b_length + (b[b_length] == '.');
    }
    return (*a != '\0') - (*b != '\0'); /* all equal so far: the longer is the larger */
}

static int compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

int version_name_compare(const struct version_name *a, const struct version_name *b)
{
    int order = strcmp(a->model, b->model);

    if (!order && a->has_semver != b->has_semver)
        return a->has_semver ? 1 : -1;
    if (!order && a->has_semver) {
        order = compare_numbers(a->major, b->major);
        order = order ? order : compare_numbers(a->minor, b->minor);
        order = order ? order : compare_numbers(a->patch, b->patch);
        order = order ? order : compare_prereleases(a->prerelease, b->prerelease);
        order = order ? order : strcmp(a->hardware, b->hardware);
    }
    return order ? order : strcmp(a->tag, b->tag);
}
