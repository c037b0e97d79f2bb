/*
 * manifest_test.c - manifests: their exact bytes, reading them back, and what is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/manifest.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEX_A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONFIG   "{\"mediaType\":\"" MEDIA_TYPE_CONFIG "\",\"digest\":\"sha256:" HEX_A "\",\"size\":7}"
#define LAYER                                                                                                          \
    "{\"mediaType\":\"" MEDIA_TYPE_WEIGHT "\",\"digest\":\"sha256:" HEX_B "\",\"size\":9007199254740993,"              \
    "\"annotations\":{\"org.cncf.model.filepath\":\"model.onnx\"}}"

static const char golden[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
    "\"artifactType\":\"application/vnd.cncf.model.manifest.v1+json\",\"config\":" CONFIG ",\"layers\":[" LAYER "]}";

static void bytes_are_always_the_same(void **state)
{
    static const struct oci_manifest manifest = {
        .artifact_type = MEDIA_TYPE_MODEL,
        .config = {MEDIA_TYPE_CONFIG, "sha256:" HEX_A, 7, ""},
        .layer_count = 1,
        .layers = {{MEDIA_TYPE_WEIGHT, "sha256:" HEX_B, 9007199254740993u, "model.onnx"}}};
    struct oci_manifest *read = calloc(1, sizeof(*read));
    struct buffer out;

    (void)state;
    assert_non_null(read);
    buffer_init(&out, MANIFEST_MAX_BYTES);
    assert_int_equal(manifest_write(&manifest, &out, NULL), SERIN_OK);
    assert_string_equal(out.bytes, golden);
    assert_int_equal(manifest_parse(out.bytes, out.size, read, NULL), SERIN_OK);
    assert_string_equal(read->artifact_type, manifest.artifact_type);
    assert_int_equal(read->layer_count, 1);
    assert_int_equal(read->config.size, 7);
    assert_true(read->layers[0].size == 9007199254740993u); /* no double on the way */
    buffer_clear(&out);
    assert_int_equal(manifest_write(read, &out, NULL), SERIN_OK);
    assert_string_equal(out.bytes, golden);
    assert_ptr_equal(manifest_find(read, "model.onnx"), &read->layers[0]);
    assert_null(manifest_find(read, "serin.json"));
    buffer_done(&out);
    free(read);
}

static void configuration_is_modelpacks(void **state)
{
    static const struct bundle bundle = {.architecture = "yolov8", .precision = "fp16"};
    static const struct oci_manifest manifest = {.layer_count = 2,
                                                 .layers = {{.digest = "sha256:" HEX_A}, {.digest = "sha256:" HEX_B}}};
    struct buffer out;

    (void)state;
    buffer_init(&out, MANIFEST_MAX_BYTES);
    assert_int_equal(manifest_write_config(&bundle, &manifest, &out, NULL), SERIN_OK);
    assert_string_equal(out.bytes,
                        "{\"descriptor\":{},\"config\":{\"architecture\":\"yolov8\",\"format\":\"onnx\","
                        "\"precision\":\"fp16\"},\"modelfs\":{\"type\":\"layers\",\"diffIds\":[\"sha256:" HEX_A
                        "\",\"sha256:" HEX_B "\"]}}");
    buffer_done(&out);
}

static void digests(void **state)
{
    static const char *const bad[] = {"",
                                      "sha256:",
                                      HEX_A,
                                      "sha512:" HEX_A,
                                      "SHA256:" HEX_A,
                                      "sha256:" HEX_A "a",
                                      "sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd",
                                      "sha256:A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                      "sha256:012345678/abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                      " sha256:" HEX_A};
    size_t i;

    (void)state;
    assert_true(oci_digest_check("sha256:" HEX_A));
    assert_true(oci_digest_check("sha256:" HEX_B));
    for (i = 0; i < COUNT(bad); i++)
        assert_false(oci_digest_check(bad[i]));
}

/* What others write: no artifactType, annotations of their own, an unknown field. */
static void a_plain_image_is_read(void **state)
{
    static const char image[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"subject\":null,\"layers\":[],"
                                "\"annotations\":{\"a\":\"b\"}}";
    struct oci_manifest *read = calloc(1, sizeof(*read));

    (void)state;
    assert_non_null(read);
    assert_int_equal(manifest_parse(image, strlen(image), read, NULL), SERIN_OK);
    assert_string_equal(read->artifact_type, "");
    assert_int_equal(read->layer_count, 0);
    free(read);
}

#define WITH_LAYER(layer)              "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" layer "]}"
#define DESCRIPTOR(type, digest, size) "{\"mediaType\":" type ",\"digest\":" digest ",\"size\":" size "}"

static const struct {
    const char *text, *words;
} bad[] = {
    {"", "no JSON"},
    {"{", "no JSON"},
    {"\xff", "no JSON"},
    {"{\"schemaVersion\":2} x", "no JSON"},
    {"{\"schemaVersion\":2,\"schemaVersion\":2}", "duplicate"},
    {"[]", "no object"},
    {"{}", "\"schemaVersion\" is not 2"},
    {"{\"schemaVersion\":1}", "\"schemaVersion\" is not 2"},
    {"{\"schemaVersion\":\"2\"}", "\"schemaVersion\" is not 2"},
    {"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_INDEX "\"}", "\"mediaType\" is not"},
    {"{\"schemaVersion\":2,\"artifactType\":3}", "artifactType"},
    {"{\"schemaVersion\":2}", "config is no object"},
    {"{\"schemaVersion\":2,\"config\":[]}", "config is no object"},
    {"{\"schemaVersion\":2,\"config\":" CONFIG "}", "\"layers\" is no list"},
    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":{}}", "\"layers\" is no list"},
    {WITH_LAYER("3"), "layer 0 is no object"},
    {WITH_LAYER(LAYER ",null"), "layer 1 is no object"},
    {WITH_LAYER(DESCRIPTOR("\"\"", "\"sha256:" HEX_A "\"", "1")), "\"mediaType\""},
    {WITH_LAYER(DESCRIPTOR("\"a\\u001bb\"", "\"sha256:" HEX_A "\"", "1")), "\"mediaType\""},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha256:../../etc/passwd\"", "1")), "sha256:../../etc/passwd is not"},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha512:" HEX_A HEX_A "\"", "1")), "\"digest\""},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "7", "1")), "\"digest\" is no text"},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha256:" HEX_A "\"", "-1")), "\"size\""},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha256:" HEX_A "\"", "1.5")), "\"size\""},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha256:" HEX_A "\"", "\"1\"")), "\"size\""},
    {WITH_LAYER(DESCRIPTOR("\"a\"", "\"sha256:" HEX_A "\"", "99999999999999999999")), "no JSON"},
    {WITH_LAYER("{\"mediaType\":\"a\",\"digest\":\"sha256:" HEX_A
                "\",\"size\":1,\"annotations\":{\"org.cncf.model.filepath\":7}}"),
     "org.cncf.model.filepath"},
};

static void bad_manifests_are_refused(void **state)
{
    struct oci_manifest *read = calloc(1, sizeof(*read));
    size_t i;

    (void)state;
    assert_non_null(read);
    for (i = 0; i < COUNT(bad); i++) {
        struct serin_error error = {.code = SERIN_OK};

        if (manifest_parse(bad[i].text, strlen(bad[i].text), read, &error) != SERIN_CORRUPT)
            fail_msg("taken: %s", bad[i].text);
        if (!strstr(error.message, bad[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error.message, bad[i].words);
        assert_int_equal(read->layer_count, 0); /* written on success only */
    }
    free(read);
}

static void limits(void **state)
{
    struct oci_manifest *read = calloc(1, sizeof(*read));
    char *large = malloc(MANIFEST_MAX_BYTES + 1);
    struct buffer out;
    int i;

    (void)state;
    assert_non_null(read);
    assert_non_null(large);
    memset(large, ' ', MANIFEST_MAX_BYTES + 1);
    memcpy(large, golden, strlen(golden));
    assert_int_equal(manifest_parse(large, MANIFEST_MAX_BYTES, read, NULL), SERIN_OK);
    assert_int_equal(manifest_parse(large, MANIFEST_MAX_BYTES + 1, read, NULL), SERIN_LIMIT);
    for (i = MANIFEST_MAX_LAYERS; i <= MANIFEST_MAX_LAYERS + 1; i++) {
        int k;

        buffer_init(&out, MANIFEST_MAX_BYTES);
        buffer_append_text(&out, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[");
        for (k = 0; k < i; k++)
            buffer_printf(&out, "%s%s", k ? "," : "", LAYER);
        buffer_append_text(&out, "]}");
        assert_int_equal(manifest_parse(out.bytes, out.size, read, NULL),
                         i > MANIFEST_MAX_LAYERS ? SERIN_LIMIT : SERIN_OK);
        buffer_done(&out);
    }
    memset(large, '[', MANIFEST_MAX_BYTES); /* as deep as it is long */
    assert_int_equal(manifest_parse(large, MANIFEST_MAX_BYTES, read, NULL), SERIN_CORRUPT);
    free(large);
    free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_always_the_same),
        cmocka_unit_test(configuration_is_modelpacks),
        cmocka_unit_test(digests),
        cmocka_unit_test(a_plain_image_is_read),
        cmocka_unit_test(bad_manifests_are_refused),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
