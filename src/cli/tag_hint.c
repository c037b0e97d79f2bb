/*
 * tag_hint.c - a tag beside what its version is.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where a word is wrong, either the word is or what was pushed; which of them the sentence asks for is what people
 * mistake more often: a forgotten setting, or the wrong file. What the tag leaves out, or says of the hardware, is the
 * tag's.
 */
#include "cli/tag_hint.h"

#include <stdio.h>
#include <string.h>

#define TAG_BYTES (VERSION_MAX_TAG + 16) /* room for a word or two that it lacks */

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

#define IS_ONE_OF(text, words) is_one_of(text, words, sizeof(words) / sizeof((words)[0]))

/* Whether the hardware that the tag names begins with one of the words; behind it comes no letter (cuda12). */
static bool hardware_is(const struct version_name *name, const char *const *words, size_t count)
{
    char first[VERSION_MAX_TAG + 1];

    snprintf(first, sizeof(first), "%.*s", (int)strcspn(name->hardware, "-._0123456789"), name->hardware);
    return is_one_of(first, words, count);
}

/* Copies tag without the words of precision that are not right, and with right, which may be "". */
static void correct_words(const char *tag, const char *right, char *ret)
{
    static const char *const precisions[] = {"bf16", "fp16", "fp32", "int8"};
    size_t length = 0;

    while (*tag) {
        const char separator = strchr(".-_", *tag) ? *tag++ : '\0';
        const size_t size = strcspn(tag, ".-_");
        char word[VERSION_MAX_TAG + 1];

        snprintf(word, sizeof(word), "%.*s", (int)size, tag);
        tag += size;
        if (!IS_ONE_OF(word, precisions) || strcmp(word, right) == 0)
            length += (size_t)snprintf(ret + length, TAG_BYTES - length, "%.*s%s", length && separator ? 1 : 0,
                                       &separator, word);
    }
    ret[length] = '\0';
}

/* The tag as it should be: on the hardware ("" leaves what it says), in the precision. */
static void correct(const struct version_name *name, const char *hardware, const char *precision, char *ret)
{
    const char *right = strcmp(precision, "fp32") == 0 ? "" : precision;
    char tag[TAG_BYTES];
    struct version_name corrected = {.has_semver = false};

    snprintf(tag, sizeof(tag), "%s", name->tag);
    if (*hardware) /* it is the tag's end */
        snprintf(tag, sizeof(tag), "%.*s%s", (int)(strlen(name->tag) - strlen(name->hardware)), name->tag, hardware);
    correct_words(tag, right, ret);
    snprintf(corrected.tag, sizeof(corrected.tag), "%.*s", VERSION_MAX_TAG, ret);
    if (*right && !version_tag_has(&corrected, right))
        snprintf(ret + strlen(ret), TAG_BYTES - strlen(ret), "%s%s", *ret ? "-" : "", right);
}

/* Says what the tag calls hardware that the version does not run on. */
static bool tell_hardware(const struct version_name *name, const char *provider, const char *precision, char *text)
{
    static const char *const of_cpu[] = {"cpu", "onednn", "onednn-bf16"}, *const of_gpu[] = {"cuda", "tensorrt"};
    static const char *const cpus[] = {"cpu", "x", "arm"}, *const gpus[] = {"gpu", "cuda", "trt"};
    const bool on_cpu = IS_ONE_OF(provider, of_cpu), on_gpu = IS_ONE_OF(provider, of_gpu);
    char tag[TAG_BYTES];

    if (on_cpu && hardware_is(name, gpus, 3)) {
        correct(name, "cpu", precision, tag);
        snprintf(text, TAG_HINT_BYTES,
                 "the tag %s says %s, and the version runs on the CPU (provider %s): %s would say so, or is --set "
                 "provider=cuda missing?",
                 name->tag, name->hardware, provider, tag);
        return true;
    }
    if (on_gpu && hardware_is(name, cpus, 3)) {
        correct(name, "gpu", precision, tag);
        snprintf(text, TAG_HINT_BYTES,
                 "the tag %s says %s, and the version runs on a GPU (provider %s): %s would say so", name->tag,
                 name->hardware, provider, tag);
        return true;
    }
    return false;
}

bool tag_hint(const struct version_name *name, const char *provider, const char *precision, char *text)
{
    const bool bf16 = strcmp(provider, "onednn-bf16") == 0, int8 = strcmp(precision, "int8") == 0,
               fp16 = strcmp(precision, "fp16") == 0;
    const char *computes = int8 ? "int8" : bf16 ? "bf16" : precision;
    char tag[TAG_BYTES];

    if (tell_hardware(name, provider, computes, text))
        return true;
    if (version_tag_has(name, "bf16") && !bf16) {
        snprintf(text, TAG_HINT_BYTES,
                 "the tag %s says bf16, and the version runs with provider %s: is --set provider=onednn-bf16 missing?",
                 name->tag, provider);
        return true;
    }
    if (version_tag_has(name, "int8") && !int8) {
        snprintf(text, TAG_HINT_BYTES,
                 "the tag %s says int8, and no layer of the model is quantised: is it the right file?", name->tag);
        return true;
    }
    if (version_tag_has(name, "fp16") && !fp16) {
        snprintf(text, TAG_HINT_BYTES, "the tag %s says fp16, and the model is %s: is it the right file?", name->tag,
                 precision);
        return true;
    }
    correct(name, "", computes, tag);
    if (int8 && !version_tag_has(name, "int8"))
        snprintf(text, TAG_HINT_BYTES, "the model is quantised to 8 bits, and the tag %s does not say so: %s would",
                 name->tag, tag);
    else if (bf16 && !int8 && !version_tag_has(name, "bf16"))
        snprintf(text, TAG_HINT_BYTES,
                 "the version runs in bf16 (provider %s), and its tag %s does not say so: %s would", provider,
                 name->tag, tag);
    else if (version_tag_has(name, "fp32") && strcmp(computes, "fp32") != 0)
        snprintf(text, TAG_HINT_BYTES, "the tag %s says fp32, and the version is %s: %s would say so", name->tag,
                 computes, tag);
    else
        return false;
    return true;
}
