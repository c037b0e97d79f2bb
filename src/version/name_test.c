/*
 * name_test.c - names that are good, names that are bad and the rule each breaks, and their order.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/name.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define A10      "aaaaaaaaaa"
#define A60      A10 A10 A10 A10 A10 A10

static const struct {
    const char *text, *model, *tag, *prerelease, *hardware;
    bool has_semver;
    uint32_t major, minor, patch;
} good[] = {
    {"yolov8-detect:v1.2.0-gpu-cu118", "yolov8-detect", "v1.2.0-gpu-cu118", "", "gpu-cu118", true, 1, 2, 0},
    {"yolov8n:v0.9.1-cpu", "yolov8n", "v0.9.1-cpu", "", "cpu", true, 0, 9, 1},
    {"yolo-v8:v2.1.0-gpu-cu118", "yolo-v8", "v2.1.0-gpu-cu118", "", "gpu-cu118", true, 2, 1, 0},
    {"yolo-v8:detect-v3", "yolo-v8", "detect-v3", "", "", false, 0, 0, 0},
    {"m:v1.0.0-rc.1-cpu-amx", "m", "v1.0.0-rc.1-cpu-amx", "rc.1", "cpu-amx", true, 1, 0, 0},
    {"m:v1.0.0", "m", "v1.0.0", "", "", true, 1, 0, 0},
    {"m:v1.0.0-rc-2", "m", "v1.0.0-rc-2", "rc-2", "", true, 1, 0, 0},
    {"m:v1.0.0-rc-2-arm64", "m", "v1.0.0-rc-2-arm64", "rc-2", "arm64", true, 1, 0, 0},
    {"m:v1.0.0-x86_64-avx2", "m", "v1.0.0-x86_64-avx2", "", "x86_64-avx2", true, 1, 0, 0},
    {"m:v1.0.0-cpuid", "m", "v1.0.0-cpuid", "cpuid", "", true, 1, 0, 0}, /* another word that begins with cpu */
    {"m:v1.0.0-0.cpu", "m", "v1.0.0-0.cpu", "0.cpu", "", true, 1, 0, 0}, /* not a part between hyphens */
    {"m:v1.0.0-0a", "m", "v1.0.0-0a", "0a", "", true, 1, 0, 0},
    {"m:v4294967295.0.10", "m", "v4294967295.0.10", "", "", true, 4294967295u, 0, 10},
    {"m:v1.2", "m", "v1.2", "", "", false, 0, 0, 0},
    {"m:v1", "m", "v1", "", "", false, 0, 0, 0},
    {"m:v", "m", "v", "", "", false, 0, 0, 0},
    {"m:1.2.3", "m", "1.2.3", "", "", false, 0, 0, 0},
    {"m:v1.2.x", "m", "v1.2.x", "", "", false, 0, 0, 0},
    {"m:v1.02", "m", "v1.02", "", "", false, 0, 0, 0},
    {"m:Release_7", "m", "Release_7", "", "", false, 0, 0, 0},
    {"0:0", "0", "0", "", "", false, 0, 0, 0},
    {"a.b_c-d:x", "a.b_c-d", "x", "", "", false, 0, 0, 0},
    {A60 "aaaa:" A60 A60 "aaaaaaaa", A60 "aaaa", A60 A60 "aaaaaaaa", "", "", false, 0, 0, 0},
};

static void good_names_parse_and_round_trip(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        char text[VERSION_MAX_NAME];
        struct version_name name;
        struct serin_error error;

        if (version_name_parse(good[i].text, &name, &error) != SERIN_OK)
            fail_msg("%s: %s", good[i].text, error.message);
        assert_string_equal(name.model, good[i].model);
        assert_string_equal(name.tag, good[i].tag);
        assert_string_equal(name.prerelease, good[i].prerelease);
        assert_string_equal(name.hardware, good[i].hardware);
        assert_int_equal(name.has_semver, good[i].has_semver);
        assert_int_equal(name.major, good[i].major);
        assert_int_equal(name.minor, good[i].minor);
        assert_int_equal(name.patch, good[i].patch);
        assert_string_equal(version_name_text(&name, text), good[i].text);
        assert_int_equal(version_model_check(name.model, NULL), SERIN_OK);
    }
}

/* Each with words of the rule that it breaks. */
static const struct {
    const char *text, *rule;
} bad[] = {
    {"", "the model name is empty"},
    {":", "the model name is empty"},
    {":v1.0.0", "the model name is empty"},
    {"m", "no tag"},
    {"m:", "no tag"},
    {"Yolo:v1.0.0", "'Y' at character 1 is upper case"},
    {"yolO:v1.0.0", "'O' at character 4 is upper case"},
    {"my model:v1.0.0", "character 3 (byte 0x20)"},
    {"m:v1.0.0 cpu", "character 7 (byte 0x20)"},
    {" m:v1.0.0", "character 1 (byte 0x20)"},
    {"m :v1.0.0", "character 2 (byte 0x20)"},
    {"m: v1.0.0", "character 1 (byte 0x20)"},
    {"m:v1.0.0\n", "character 7 (byte 0x0a)"},
    {"m\t:v1", "character 2 (byte 0x09)"},
    {"mod\xc3\xa8le:v1", "character 4 (byte 0xc3)"},
    {"m:caf\xc3\xa9", "character 4 (byte 0xc3)"},
    {"m:\x7f", "character 1 (byte 0x7f)"},
    {".m:v1", "begins with '.'"},
    {"..:v1", "begins with '.'"},
    {"../m:v1", "begins with '.'"},
    {"-m:v1", "begins with '-'"},
    {"_m:v1", "begins with '_'"},
    {"m:.hidden", "begins with '.'"},
    {"m:-cpu", "begins with '-'"},
    {"m:_x", "begins with '_'"},
    {"m-:v1", "ends with '-'"},
    {"m.:v1", "ends with '.'"},
    {"m:v1.0.0-", "ends with '-'"},
    {"m:v1.", "ends with '.'"},
    {"m:v1_", "ends with '_'"},
    {"m--n:v1", "between '-' and '-' at character 3 is empty"},
    {"m.-n:v1", "between '.' and '-' at character 3 is empty"},
    {"m__n:v1", "between '_' and '_' at character 3 is empty"},
    {"m:v1.0.0-rc..1", "between '.' and '.' at character 11 is empty"},
    {"m:v1.0.0--cpu", "between '-' and '-' at character 8 is empty"},
    {"m:v1..0", "is empty"},
    {"library/m:v1.0.0", "'/' at character 8"},
    {"m:v1/0", "'/' at character 3"},
    {"m:a%2fb", "'%' at character 2"},
    {"m@sha256:" A60, "'@' at character 2"},
    {"m:v1.0.0:cpu", "second ':'"},
    {"m::v1", "second ':'"},
    {"m:v1.0.0+build.5", "'+' and build metadata"},
    {"m:v1.0.0-rc.1+gpu", "'+' and build metadata"},
    {"m:v01.0.0", "the major number has a leading zero"},
    {"m:v1.02.0", "the minor number has a leading zero"},
    {"m:v1.2.00", "the patch number has a leading zero"},
    {"m:v1.0.0-01", "'01' of the pre-release has a leading zero"},
    {"m:v1.0.0-rc.01-cpu", "'01' of the pre-release has a leading zero"},
    {"m:v1.0.0-rc_1", "the pre-release 'rc_1' has a '_'"},
    {"m:v4294967296.0.0", "the major number passes the limit of 4294967295"},
    {"m:v0.99999999999999999999.0", "the minor number passes the limit of 4294967295"},
    {"m:v1.2.0.1", "behind v1.2.0 comes '-' or the end, not '.'"},
    {"m:v1.2.0rc1", "not 'r'"},
    {"m:v1.2.0_cpu", "not '_'"},
    {"m:v1.2.0-GPU", "the hardware 'GPU' is written in lower case"},
    {"m:v1.2.0-cpu-AMX", "the hardware 'cpu-AMX' is written in lower case"},
    {A60 "aaaaa:v1", "has 65 characters, the limit is 64"},
    {"m:" A60 A60 "aaaaaaaaa", "has 129 characters, the limit is 128"},
};

static void bad_names_are_refused_with_the_rule(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        struct version_name name = {.model = "untouched"};
        struct serin_error error = {.code = SERIN_OK};

        if (version_name_parse(bad[i].text, &name, &error) != SERIN_INVALID || error.code != SERIN_INVALID)
            fail_msg("'%s' was taken", bad[i].text);
        if (!strstr(error.message, bad[i].rule))
            fail_msg("'%s': \"%s\" does not say \"%s\"", bad[i].text, error.message, bad[i].rule);
        assert_string_equal(name.model, "untouched");
        assert_int_equal(version_name_parse(bad[i].text, &name, NULL), SERIN_INVALID);
    }
    assert_true(COUNT(bad) >= 40);
}

static void a_model_alone(void **state)
{
    (void)state;
    assert_int_equal(version_model_check("street-person", NULL), SERIN_OK);
    assert_int_equal(version_model_check("street-person:v1", NULL), SERIN_INVALID);
    assert_int_equal(version_model_check("", NULL), SERIN_INVALID);
    assert_int_equal(version_model_check("..", NULL), SERIN_INVALID);
}

/* Rising. The pre-releases are the chain of SemVer 2.0.0, section 11.4, the cores that of 11.2. */
static const char *const rising[] = {
    "a:v9.0.0",
    "m:1.2.3",
    "m:9",
    "m:Zeta",
    "m:detect-v3",
    "m:v1.2",
    "m:v0.0.4",
    "m:v1.0.0-0",
    "m:v1.0.0-9",
    "m:v1.0.0-10",
    "m:v1.0.0-99999999999999999999998",
    "m:v1.0.0-99999999999999999999999",
    "m:v1.0.0-100000000000000000000000",
    "m:v1.0.0-1a",
    "m:v1.0.0-Alpha",
    "m:v1.0.0-alpha",
    "m:v1.0.0-alpha-cpu",
    "m:v1.0.0-alpha.1",
    "m:v1.0.0-alpha.beta",
    "m:v1.0.0-beta",
    "m:v1.0.0-beta.2",
    "m:v1.0.0-beta.2-gpu",
    "m:v1.0.0-beta.11",
    "m:v1.0.0-rc.1",
    "m:v1.0.0-rc.1-cpu-amx",
    "m:v1.0.0",
    "m:v1.0.0-cpu",
    "m:v1.0.0-gpu-cu118",
    "m:v1.9.0",
    "m:v1.10.0",
    "m:v1.11.0",
    "m:v2.0.0",
    "m:v2.1.0",
    "m:v2.1.1",
    "m-a:v0.0.1",
    "n:a",
};

static void order_is_that_of_semver(void **state)
{
    struct version_name names[COUNT(rising)];
    size_t i, j;

    (void)state;
    for (i = 0; i < COUNT(rising); i++)
        assert_int_equal(version_name_parse(rising[i], &names[i], NULL), SERIN_OK);
    for (i = 0; i < COUNT(rising); i++) {
        for (j = 0; j < COUNT(rising); j++) {
            int order = version_name_compare(&names[i], &names[j]), expected = (i > j) - (i < j);

            if ((order > 0) - (order < 0) != expected)
                fail_msg("%s and %s compare as %d", rising[i], rising[j], order);
        }
    }
}

static void a_tag_has_whole_words(void **state)
{
    static const struct {
        const char *text;
        bool bf16;
    } rows[] = {
        {"m:v1.0.0-cpu-amx-bf16", true}, {"m:v1.0.0-cpu_bf16.2", true}, {"m:bf16", true},
        {"m:v1.0.0-cpu-bf16x2", false},  {"bf16:v1.0.0-cpu", false},    {"m:v1.0.0-nobf16", false},
    };
    struct version_name name;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_int_equal(version_name_parse(rows[i].text, &name, NULL), SERIN_OK);
        assert_int_equal(version_tag_has(&name, "bf16"), rows[i].bf16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names_parse_and_round_trip),
        cmocka_unit_test(bad_names_are_refused_with_the_rule),
        cmocka_unit_test(a_model_alone),
        cmocka_unit_test(a_tag_has_whole_words),
        cmocka_unit_test(order_is_that_of_semver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
