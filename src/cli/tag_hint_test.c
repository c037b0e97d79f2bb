/*
 * tag_hint_test.c - tags that say what the version is, and those that do not.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/tag_hint.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* words: what the sentence has in it; NULL: nothing is said. */
static const struct row {
    const char *tag, *provider, *precision, *words;
} rows[] = {
    {"v1.0.0-cpu", "cpu", "fp32", NULL},
    {"v1.0.0-cpu-fp32", "cpu", "fp32", NULL},
    {"v1.0.0", "onednn", "fp32", NULL},
    {"v1.0.0-cpu-amx-bf16", "onednn-bf16", "fp32", NULL},
    {"v1.0.0-cpu-int8", "onednn", "int8", NULL},
    {"v1.3.1-cpu-int8", "onednn-bf16", "int8", NULL}, /* what is left of it is in bf16 */
    {"v1.3.1-cpu-int8-bf16", "onednn-bf16", "int8", NULL},
    {"v1.0.0-gpu-cu118-fp16", "cuda", "fp16", NULL},
    {"v1.0.0-gpu-cu118", "tensorrt", "fp16", NULL},
    {"v1.0.0-cuda12", "cuda", "fp32", NULL},
    {"v1.0.0-gpu", "auto", "fp32", NULL},
    {"v1.0.0-npu", "cpu", "fp32", NULL},
    {"detect-v3", "cpu", "fp32", NULL},
    /* words that are wrong */
    {"v1.0.0-cpu-bf16", "cpu", "fp32", "runs with provider cpu: is --set provider=onednn-bf16 missing?"},
    {"v1.0.0-cpu-int8", "onednn", "fp32", "says int8, and no layer of the model is quantised: is it the right file?"},
    {"v1.0.0-cpu-fp16", "onednn", "fp32", "says fp16, and the model is fp32: is it the right file?"},
    {"v1.0.0-gpu-fp16", "tensorrt", "int8", "says fp16, and the model is int8: is it the right file?"},
    {"v1.0.0-gpu-fp32", "cuda", "fp16", "says fp32, and the version is fp16: v1.0.0-gpu-fp16 would say so"},
    /* words that are missing */
    {"v1.0.0-cpu", "onednn-bf16", "fp32", "its tag v1.0.0-cpu does not say so: v1.0.0-cpu-bf16 would"},
    {"v1.9.8-cpu-fp32", "onednn-bf16", "fp32", "does not say so: v1.9.8-cpu-bf16 would"},
    {"v1.9.8-fp32-cpu", "onednn-bf16", "fp32", "does not say so: v1.9.8-cpu-bf16 would"},
    {"v1.9.8-cpu-fp32", "onednn", "int8", "does not say so: v1.9.8-cpu-int8 would"},
    {"v1.9.8-cpu", "onednn-bf16", "int8", "does not say so: v1.9.8-cpu-int8 would"},
    {"fp32", "onednn-bf16", "fp32", "does not say so: bf16 would"},
    {"fp32.b", "onednn-bf16", "fp32", "does not say so: b-bf16 would"},
    /* hardware */
    {"v1.0.0-gpu-cu118", "onednn-bf16", "fp32",
     "says gpu-cu118, and the version runs on the CPU (provider onednn-bf16): v1.0.0-cpu-bf16 would"},
    {"v1.0.0-rc.1-trt-fp16", "cpu", "fp32",
     "says trt-fp16, and the version runs on the CPU (provider cpu): v1.0.0-rc.1-cpu would"},
    {"v1.0.0-cuda12", "onednn", "int8", "v1.0.0-cpu-int8 would say so, or is --set provider=cuda missing?"},
    {"v1.0.0-cpu-amx-bf16", "cuda", "fp32", "runs on a GPU (provider cuda): v1.0.0-gpu would say so"},
    {"v1.0.0-x86_64", "tensorrt", "fp32", "runs on a GPU (provider tensorrt): v1.0.0-gpu would say so"},
};

static void each_row(void **state)
{
    char text[TAG_HINT_BYTES], whole[VERSION_MAX_NAME];
    struct version_name name;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool said;

        snprintf(whole, sizeof(whole), "m:%s", rows[i].tag);
        assert_int_equal(version_name_parse(whole, &name, NULL), SERIN_OK);
        said = tag_hint(&name, rows[i].provider, rows[i].precision, text);
        if (said != (rows[i].words != NULL) || (said && !strstr(text, rows[i].words)))
            fail_msg("%s, %s, %s: %s", rows[i].tag, rows[i].provider, rows[i].precision,
                     said ? text : "nothing is said");
    }
}

/* The sentence is whole, however long the tag. */
static void the_longest_tag(void **state)
{
    char text[TAG_HINT_BYTES], whole[VERSION_MAX_NAME];
    struct version_name name;
    size_t length;

    (void)state;
    for (length = 8; length <= VERSION_MAX_TAG; length++) {
        snprintf(whole, sizeof(whole), "m:v1.0.0-%0*d", (int)length - 7, 0);
        memset(whole + 9, 'a', length - 7);
        assert_int_equal(version_name_parse(whole, &name, NULL), SERIN_OK);
        assert_true(tag_hint(&name, "onednn-bf16", "fp32", text));
        assert_non_null(strstr(text, "a-bf16 would"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_row), cmocka_unit_test(the_longest_tag)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
