/*
 * bundle_test.c - settings and descriptions: ranges, exact bytes, and what is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/bundle.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char golden[] =
    "{\"schema\":1,\"task\":\"detect\",\"architecture\":\"yolov8\",\"precision\":\"fp32\",\"class_names\":[\"person\","
    "\"v\xc3\xa9lo\"],\"inputs\":[\"fp32[?,3,640,640]\"],\"outputs\":[\"fp32[?,6,8400]\"],\"settings\":{\"conf\":0.3,"
    "\"max_batch\":8,\"provider\":\"onednn-bf16\"},\"scan\":{\"scanner\":\"trivy\",\"critical\":0}}";

static struct bundle example(void)
{
    struct bundle bundle = {.task = "detect", .architecture = "yolov8", .precision = "fp32", .class_count = 2};

    bundle.class_names_json = strdup("[\"person\",\"v\xc3\xa9lo\"]");
    bundle.inputs_json = strdup("[\"fp32[?,3,640,640]\"]");
    bundle.outputs_json = strdup("[\"fp32[?,6,8400]\"]");
    bundle.scan_json = strdup("{\"scanner\":\"trivy\",\"critical\":0}");
    assert_int_equal(bundle_setting_set(&bundle, "max_batch=8", NULL), SERIN_OK); /* not in the order of the keys */
    assert_int_equal(bundle_setting_set(&bundle, "provider=onednn-bf16", NULL), SERIN_OK);
    assert_int_equal(bundle_setting_set(&bundle, "conf=.3", NULL), SERIN_OK);
    return bundle;
}

static void description_is_always_the_same(void **state)
{
    struct bundle bundle = example(), read = {.class_count = 0};
    char provider[PROVIDER_MAX_BYTES], text[32];
    struct buffer out;

    (void)state;
    buffer_init(&out, BUNDLE_MAX_DESCRIPTION_BYTES);
    assert_int_equal(bundle_description_write(&bundle, &out, NULL), SERIN_OK);
    assert_string_equal(out.bytes, golden);
    assert_int_equal(bundle_description_parse(out.bytes, out.size, &read, NULL), SERIN_OK);
    assert_string_equal(read.task, "detect");
    assert_string_equal(read.architecture, "yolov8");
    assert_string_equal(read.precision, "fp32");
    assert_int_equal(read.class_count, 2);
    assert_string_equal(read.class_names_json, bundle.class_names_json);
    assert_string_equal(read.scan_json, bundle.scan_json);
    assert_int_equal(read.setting_count, 3);
    assert_string_equal(bundle_provider(&read, provider), "onednn-bf16");
    assert_string_equal(bundle_setting_text(&read.settings[0], text, sizeof(text)), "0.3");
    assert_string_equal(bundle_setting_text(&read.settings[2], text, sizeof(text)), "onednn-bf16");
    assert_true(bundle_setting_get(&read, "conf", 0) == .3);
    assert_true(bundle_setting_get(&read, "iou", .7) == .7);
    buffer_clear(&out);
    assert_int_equal(bundle_description_write(&read, &out, NULL), SERIN_OK);
    assert_string_equal(out.bytes, golden);
    buffer_done(&out);
    bundle_done(&bundle);
    bundle_done(&read);
}

/* One change of the golden description each. */
static const struct {
    const char *from, *to, *words;
    enum serin_errc code;
} changes[] = {
    {"{\"schema\":1,", "{", "no schema", SERIN_CORRUPT},
    {"\"schema\":1", "\"schema\":\"1\"", "no schema", SERIN_CORRUPT},
    {"\"schema\":1", "\"schema\":2", "schema 2", SERIN_UNSUPPORTED},
    {"\"detect\"", "7", "\"task\"", SERIN_CORRUPT},
    {"\"detect\"", "\"\"", "\"task\"", SERIN_CORRUPT},
    {"\"detect\"", "\"Detect\"", "\"task\"", SERIN_CORRUPT},
    {"\"detect\"", "\"a-word-of-16-xxx\"", "\"task\"", SERIN_CORRUPT},
    {"\"yolov8\"", "\"a\\u001b\"", "\"architecture\"", SERIN_CORRUPT},
    {"\"precision\"", "\"precisely\"", "\"precision\"", SERIN_CORRUPT},
    {"[\"person\",", "[3,", "entry 0 of \"class_names\"", SERIN_CORRUPT},
    {"[\"fp32[?,3,640,640]\"]", "{}", "\"inputs\"", SERIN_CORRUPT},
    {"[\"fp32[?,6,8400]\"]", "null", "\"outputs\"", SERIN_CORRUPT},
    {"\"settings\"", "\"setting\"", "\"settings\"", SERIN_CORRUPT},
    {"\"conf\":0.3", "\"conf\":1.3", "out of its range", SERIN_CORRUPT},
    {"\"conf\":0.3", "\"conf\":\"0.3\"", "no number", SERIN_CORRUPT},
    {"\"max_batch\":8", "\"max_batch\":8.5", "out of its range", SERIN_CORRUPT},
    {"\"onednn-bf16\"", "\"abacus\"", "provider is 'abacus'", SERIN_UNSUPPORTED},
    {"\"onednn-bf16\"", "5", "no word", SERIN_CORRUPT},
    {"\"onednn-bf16\"", "\"onednn-bf16\\u0000\"", "line 1", SERIN_CORRUPT},
    {"\"conf\":0.3", "\"confidence\":0.3", "unknown to this version", SERIN_UNSUPPORTED},
    {"\"conf\":0.3", "\"conf\":0.3,\"conf\":0.3", "duplicate", SERIN_CORRUPT},
    {"{\"scanner\":\"trivy\",\"critical\":0}", "[]", "\"scan\"", SERIN_CORRUPT},
    {"}}", "}", "line 1", SERIN_CORRUPT},
    {"}}", "}}}", "line 1", SERIN_CORRUPT},
};

static void bad_descriptions_are_refused(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(changes); i++) {
        const char *at = strstr(golden, changes[i].from);
        struct bundle read = {.class_count = 77};
        struct serin_error error = {.code = SERIN_OK};
        char text[1000];

        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - golden), golden, changes[i].to,
                 at + strlen(changes[i].from));
        if (bundle_description_parse(text, strlen(text), &read, &error) != changes[i].code)
            fail_msg("%s: %d: %s", text, error.code, error.message);
        if (!strstr(error.message, changes[i].words))
            fail_msg("\"%s\" does not say \"%s\"", error.message, changes[i].words);
        assert_int_equal(read.class_count, 77);
        assert_null(read.class_names_json);
    }
}

static void every_setting_keeps_its_range(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < bundle_setting_rule_count; i++) {
        const struct bundle_setting_rule *rule = &bundle_settings[i];
        struct bundle bundle = {.class_count = 0};
        double step = rule->whole ? 1 : .001;

        assert_true(i == 0 || strcmp(bundle_settings[i - 1].key, rule->key) < 0); /* the table is sorted */
        assert_true(strlen(rule->key) < sizeof(bundle.settings[0].key));
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->min - step, NULL), SERIN_INVALID);
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->max + step, NULL), SERIN_INVALID);
        assert_int_equal(bundle_setting_add(&bundle, rule, NAN, NULL), SERIN_INVALID);
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->min + .5, NULL),
                         rule->whole ? SERIN_INVALID : SERIN_OK);
        bundle.setting_count = 0;
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->min, NULL), SERIN_OK);
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->max, NULL), SERIN_INVALID); /* twice */
        assert_true(bundle_setting_get(&bundle, rule->key, -1) == rule->min);
        bundle.setting_count = 0;
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->max, NULL), SERIN_OK);
    }
}

static void words_are_those_of_their_list(void **state)
{
    struct bundle bundle = {.class_count = 0};
    struct serin_error error;
    char text[64];
    size_t i;

    (void)state;
    assert_string_equal(bundle_provider(&bundle, text), PROVIDER_DEFAULT); /* as bundles of before the setting */
    assert_int_equal(bundle_setting_set(&bundle, "provider=abacus", &error), SERIN_INVALID);
    assert_string_equal(error.message, "setting provider is 'abacus', it is one of " PROVIDERS);
    assert_int_equal(bundle_setting_set(&bundle, "provider=2", NULL), SERIN_INVALID);
    assert_int_equal(bundle_setting_set(&bundle, "provider=", NULL), SERIN_INVALID);
    assert_int_equal(bundle_setting_set(&bundle, "conf=cpu", NULL), SERIN_INVALID);
    for (i = 0; i < bundle_setting_rule_count; i++) {
        const struct bundle_setting_rule *rule = &bundle_settings[i];

        if (!rule->choices)
            continue;
        assert_true(rule->min == 0 && rule->whole); /* all words of the list, and no more */
        assert_string_not_equal(text_choice(rule->choices, (int)rule->max, text, sizeof(text)), "");
        assert_string_equal(text_choice(rule->choices, (int)rule->max + 1, text, sizeof(text)), "");
        assert_int_equal(bundle_setting_add(&bundle, rule, rule->max, NULL), SERIN_OK);
        assert_string_equal(bundle_setting_text(&bundle.settings[0], text, sizeof(text)), "onednn-bf16");
    }
}

static void all_settings_fit_into_one_bundle(void **state)
{
    struct bundle bundle = {.class_count = 0};
    size_t i;

    (void)state;
    for (i = bundle_setting_rule_count; i-- > 0;) /* the last first */
        assert_int_equal(bundle_setting_add(&bundle, &bundle_settings[i], bundle_settings[i].max, NULL), SERIN_OK);
    for (i = 0; i < bundle_setting_rule_count; i++)
        assert_string_equal(bundle.settings[i].key, bundle_settings[i].key);
}

static void minus_zero_is_zero(void **state)
{
    struct bundle bundle = {.class_count = 0};

    (void)state;
    assert_int_equal(bundle_setting_set(&bundle, "conf=-0", NULL), SERIN_OK);
    assert_false(signbit(bundle.settings[0].value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(description_is_always_the_same),   cmocka_unit_test(bad_descriptions_are_refused),
        cmocka_unit_test(every_setting_keeps_its_range),    cmocka_unit_test(words_are_those_of_their_list),
        cmocka_unit_test(all_settings_fit_into_one_bundle), cmocka_unit_test(minus_zero_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
