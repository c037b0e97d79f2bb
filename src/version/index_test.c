/*
 * index_test.c - index.json: finding, adding, removing, and leaving alone what others wrote.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/index.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEX_A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ENTRY(type, name)                                                                                              \
    "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX_A                                                           \
    "\",\"size\":5,\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\",\"mine\":\"kept\"}}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "],\"theirs\":[1]}"

static struct index_entry entry_of(const char *text)
{
    struct index_entry entry = {.manifest = {MEDIA_TYPE_MANIFEST, "sha256:" HEX_A, 9, ""},
                                .created = "2026-01-02T03:04:05Z"};

    assert_int_equal(version_name_parse(text, &entry.name, NULL), SERIN_OK);
    return entry;
}

static void reread(struct oci_index *index)
{
    struct buffer out;

    buffer_init(&out, INDEX_MAX_BYTES);
    assert_int_equal(index_write(index, &out, NULL), SERIN_OK);
    index_done(index);
    assert_int_equal(index_parse(out.bytes, out.size, index, NULL), SERIN_OK);
    buffer_done(&out);
}

static void added_found_sorted_removed(void **state)
{
    static const char *const names[] = {"m:v1.10.0", "m:v1.9.0", "a:x", "m:v1.9.0-rc.1"};
    static const char *const sorted[] = {"a:x", "m:v1.9.0-rc.1", "m:v1.9.0", "m:v1.10.0"};
    struct index_entry entry, absent = entry_of("m:v2.0.0");
    struct oci_index index;
    size_t i;

    (void)state;
    assert_int_equal(index_init(&index, NULL), SERIN_OK);
    assert_null(index_find(&index, &absent.name));
    for (i = 0; i < COUNT(names); i++) {
        entry = entry_of(names[i]);
        assert_int_equal(index_add(&index, &entry, NULL), SERIN_OK);
        reread(&index);
    }
    assert_int_equal(index.count, COUNT(names));
    for (i = 0; i < COUNT(sorted); i++) {
        char text[VERSION_MAX_NAME];

        assert_string_equal(version_name_text(&index.entries[i].name, text), sorted[i]);
        entry = entry_of(sorted[i]);
        assert_ptr_equal(index_find(&index, &entry.name), &index.entries[i]);
        assert_string_equal(index.entries[i].created, "2026-01-02T03:04:05Z");
        assert_int_equal(index.entries[i].manifest.size, 9);
    }
    assert_null(index_find(&index, &absent.name));
    entry = entry_of("m:v1.9.0");
    index_remove(&index, &entry.name);
    assert_null(index_find(&index, &entry.name));
    assert_int_equal(index.count, COUNT(names) - 1);
    reread(&index);
    assert_null(index_find(&index, &entry.name));
    assert_int_equal(index.count, COUNT(names) - 1);
    index_done(&index);
}

static void what_others_wrote_stays(void **state)
{
    static const char text[] = INDEX(ENTRY(MEDIA_TYPE_MANIFEST, "latest") "," ENTRY(MEDIA_TYPE_INDEX, "m:v1") "," ENTRY(
        MEDIA_TYPE_MANIFEST, "m:v1") ",{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX_A "\",\"size\":0}");
    struct index_entry added = entry_of("m:v2"), first = entry_of("m:v1");
    struct oci_descriptor manifest;
    struct oci_index index;
    struct buffer out;

    (void)state;
    assert_int_equal(index_parse(text, strlen(text), &index, NULL), SERIN_OK);
    assert_int_equal(index.count, 1);
    assert_int_equal(index_add(&index, &added, NULL), SERIN_OK);
    index_remove(&index, &first.name);
    assert_int_equal(index.count, 1);
    assert_true(index_manifest(&index, 3, &manifest));
    assert_false(index_manifest(&index, 4, &manifest));
    buffer_init(&out, INDEX_MAX_BYTES);
    assert_int_equal(index_write(&index, &out, NULL), SERIN_OK);
    assert_non_null(strstr(out.bytes, "\"theirs\""));
    assert_non_null(strstr(out.bytes, "\"latest\""));
    assert_non_null(strstr(out.bytes, "\"mine\": \"kept\""));
    assert_non_null(strstr(out.bytes, "\"a/b\""));
    assert_non_null(strstr(out.bytes, "\"m:v1\"")); /* the index of that name is not ours */
    buffer_done(&out);
    index_done(&index);
}

static const struct {
    const char *text, *words;
} bad[] = {
    {"", "no JSON"},
    {"garbage", "no JSON"},
    {"null", "no JSON"}, /* not at the top of what jansson reads */
    {"[]", "no object"},
    {"{}", "schemaVersion"},
    {"{\"schemaVersion\":2}", "manifests"},
    {"{\"schemaVersion\":2,\"manifests\":{}}", "manifests"},
    {INDEX("7"), "entry 0 of the index is no object"},
    {INDEX("{}"), "entry 0 of the index: \"mediaType\""},
    {INDEX("{\"mediaType\":\"a\",\"digest\":\"sha256:../../../x\",\"size\":1}"), "sha256:../../../x"},
    {INDEX("{\"mediaType\":\"a\",\"digest\":\"sha256:" HEX_A "\",\"size\":-5}"), "\"size\""},
    {INDEX(ENTRY(MEDIA_TYPE_MANIFEST, "m:v1") "," ENTRY(MEDIA_TYPE_MANIFEST, "m:v1")), "'m:v1' twice"},
};

static void bad_indexes_are_refused(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        struct serin_error error = {.code = SERIN_OK};
        struct oci_index index = {.count = 77};

        if (index_parse(bad[i].text, strlen(bad[i].text), &index, &error) != SERIN_CORRUPT)
            fail_msg("taken: %s", bad[i].text);
        if (!strstr(error.message, bad[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error.message, bad[i].words);
        assert_int_equal(index.count, 77);
    }
}

static void a_hostile_time_is_no_time(void **state)
{
    static const char text[] = INDEX("{\"mediaType\":\"" MEDIA_TYPE_MANIFEST "\",\"digest\":\"sha256:" HEX_A
                                     "\",\"size\":5,\"annotations\":{\"org.opencontainers.image.ref.name\":\"m:v1\","
                                     "\"org.opencontainers.image.created\":\"\\u001b[2J\"}}");
    struct oci_index index;

    (void)state;
    assert_int_equal(index_parse(text, strlen(text), &index, NULL), SERIN_OK);
    assert_string_equal(index.entries[0].created, "");
    index_done(&index);
}

static void layouts(void **state)
{
    static const char *const refused[] = {
        "", "{}", "[]", "{\"imageLayoutVersion\":2}", "{\"imageLayoutVersion\":\"2.0.0\"}", "x"};
    size_t i;

    (void)state;
    assert_int_equal(index_check_layout("{\"imageLayoutVersion\": \"1.0.0\"}\n", 32, NULL), SERIN_OK);
    for (i = 0; i < COUNT(refused); i++)
        assert_int_equal(index_check_layout(refused[i], strlen(refused[i]), NULL), SERIN_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_found_sorted_removed),
        cmocka_unit_test(what_others_wrote_stays),
        cmocka_unit_test(bad_indexes_are_refused),
        cmocka_unit_test(a_hostile_time_is_no_time),
        cmocka_unit_test(layouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
