/*
 * multipart_test.c - form bodies of browsers, curl and Python, and bodies that are wrong.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/multipart.c"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)   text, sizeof(text) - 1
#define TYPE         "multipart/form-data; boundary=b"
#define NAMED(name)  "Content-Disposition: form-data; name=\"" name "\"\r\n"

static struct multipart_part parts[MULTIPART_MAX_PARTS];
static int count;
static char *kept;
static struct serin_error error;

/* From a copy of the exact size, so that a sanitizer sees a read too far. */
static enum serin_errc parse(const char *type, const char *body, size_t size)
{
    size_t length = strlen(type);
    char *type_copy = malloc(length ? length : 1);
    enum serin_errc rc;

    free(kept);
    kept = malloc(size ? size : 1);
    assert_true(kept && type_copy);
    memcpy(type_copy, type, length);
    memcpy(kept, body, size);
    count = -1;
    error = (struct serin_error){.code = SERIN_OK};
    rc = multipart_parse((struct http_slice){type_copy, length}, kept, size, parts, &count, &error);
    assert_int_equal(rc, error.code);
    assert_true(rc == SERIN_OK ? count >= 0 : count == -1 && error.message[0] != '\0');
    free(type_copy);
    return rc;
}

static void assert_slice(struct http_slice slice, const char *text, size_t size)
{
    assert_int_equal(slice.size, size);
    if (size)
        assert_memory_equal(slice.bytes, text, size);
}

static void assert_part(int i, const char *name, const char *filename, const char *type, const char *body, size_t size)
{
    assert_true(i < count);
    assert_slice(parts[i].name, name, strlen(name));
    assert_slice(parts[i].filename, filename, strlen(filename));
    assert_slice(parts[i].content_type, type, strlen(type));
    assert_slice(parts[i].body, body, size);
}

static void bodies_of_real_clients_are_read(void **state)
{
    static const char curl[] =
        "--------------------------6a2a2f7fff560896\r\nContent-Disposition: form-data; name=\"conf\"\r\n\r\n.3\r\n"
        "--------------------------6a2a2f7fff560896\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"a%22b.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
        "\xff\xd8\r\n--x\0\r\n--------------------------6a2a2f7fff560896\r\n"
        "Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
        "--------------------------6a2a2f7fff560896--\r\n";
    static const char requests[] =
        "--b4f308f5c7990422a3e8c19201a90836\r\nContent-Disposition: form-data; name=\"conf\"\r\n\r\n.3\r\n"
        "--b4f308f5c7990422a3e8c19201a90836\r\nContent-Disposition: form-data; name=\"n\xc3\xa4me\"\r\n\r\n\xc3\xbc\r\n"
        "--b4f308f5c7990422a3e8c19201a90836\r\n"
        "Content-Disposition: form-data; name=\"image\"; filename=\"caf\xc3\xa9.jpg\"\r\n\r\n\xff\xd8\r\n"
        "--b4f308f5c7990422a3e8c19201a90836--\r\n";
    static const char chrome[] =
        "------WebKitFormBoundaryQ1k3Y0fWz8rB7xUe\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"bus.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
        "\xff\xd8\xff\xe0\r\n------WebKitFormBoundaryQ1k3Y0fWz8rB7xUe\r\n"
        "Content-Disposition: form-data; name=\"imgsz\"\r\n\r\n640\r\n"
        "------WebKitFormBoundaryQ1k3Y0fWz8rB7xUe--\r\n";
    static const char firefox[] =
        "-----------------------------9051914041544843365972754266\r\n"
        "Content-Disposition: form-data; name=\"image\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n"
        "\r\n\r\n-----------------------------9051914041544843365972754266--\r\n";
    static const char dotnet[] = "--b\r\nContent-Type: image/jpeg\r\nContent-Disposition: form-data; name=file; "
                                 "filename=a.jpg; filename*=utf-8''caf%C3%A9.jpg\r\n\r\nx\r\n--b--\r\n";
    static const char urllib3[] =
        "--b\r\nContent-Disposition: form-data; name=\"image\"; filename*=utf-8''caf%C3%A9.jpg\r\n"
        "\r\nx\r\n--b--\r\n"; /* before 2.0 */

    (void)state;
    assert_int_equal(
        parse("multipart/form-data; boundary=------------------------6a2a2f7fff560896", curl, sizeof(curl) - 1),
        SERIN_OK);
    assert_int_equal(count, 3);
    assert_part(0, "conf", "", "", ".3", 2);
    assert_part(1, "file", "a%22b.jpg", "image/jpeg", TEXT("\xff\xd8\r\n--x\0"));
    assert_part(2, "empty", "", "", "", 0);
    assert_int_equal(
        parse("multipart/form-data; boundary=b4f308f5c7990422a3e8c19201a90836", requests, sizeof(requests) - 1),
        SERIN_OK);
    assert_int_equal(count, 3);
    assert_part(1, "n\xc3\xa4me", "", "", "\xc3\xbc", 2);
    assert_part(2, "image", "caf\xc3\xa9.jpg", "", "\xff\xd8", 2);
    assert_int_equal(
        parse("multipart/form-data; boundary=----WebKitFormBoundaryQ1k3Y0fWz8rB7xUe", chrome, sizeof(chrome) - 1),
        SERIN_OK);
    assert_int_equal(count, 2);
    assert_part(0, "file", "bus.jpg", "image/jpeg", "\xff\xd8\xff\xe0", 4);
    assert_part(1, "imgsz", "", "", "640", 3);
    assert_int_equal(parse("multipart/form-data; boundary=---------------------------9051914041544843365972754266",
                           firefox, sizeof(firefox) - 1),
                     SERIN_OK);
    assert_int_equal(count, 1);
    assert_part(0, "image", "", "application/octet-stream", "", 0);
    assert_int_equal(parse("multipart/form-data; boundary=\"b\"", dotnet, sizeof(dotnet) - 1), SERIN_OK);
    assert_part(0, "file", "a.jpg", "image/jpeg", "x", 1);
    assert_int_equal(parse(TYPE, urllib3, sizeof(urllib3) - 1), SERIN_OK);
    assert_part(0, "image", "caf%C3%A9.jpg", "", "x", 1);
}

static void odd_but_clear_bodies_are_read(void **state)
{
    static const struct {
        const char *type, *bytes;
        size_t size;
        int count;
        const char *name, *body;
        size_t body_size;
    } rows[] = {
        {TYPE, TEXT("--b--"), 0, "", "", 0},
        {TYPE, TEXT("--b--\r\n"), 0, "", "", 0},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx\r\n--b--"), 1, "a", "x", 1},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\n--b--"), 1, "a", "", 0},     /* no data, not even empty */
        {TYPE, TEXT("--b\r\n" NAMED("") "\r\nx\r\n--b--"), 1, "", "x", 1}, /* a field may be called so */
        {TYPE, TEXT("--b \t\r\n" NAMED("a") "\r\nx\r\n--b-- \r\n"), 1, "a", "x", 1},
        {TYPE, TEXT("\r\n--b\r\n" NAMED("a") "\r\nx\r\n--b--"), 1, "a", "x", 1},
        {TYPE, TEXT("preamble --b\r\n--b\r\n" NAMED("a") "\r\nx\r\n--b--\r\nepilogue\r\n--b\r\n"), 1, "a", "x", 1},
        /* what looks like a boundary, and is none, in the data */
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx--b\r--b\n--b\r\n-b\r\n--c--b--\r\n--b--"), 1, "a",
         TEXT("x--b\r--b\n--b\r\n-b\r\n--c--b--")},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\n\r\n\r\n\r\n--b--"), 1, "a", TEXT("\r\n\r\n")},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\n\r\r\n\0\r\r\n--b--"), 1, "a", TEXT("\r\r\n\0\r")},
        /* fields */
        {TYPE, TEXT("--b\r\ncontent-disposition:FORM-DATA;name=a;x=y\r\nX-Y: z\r\n\r\nx\r\n--b--"), 1, "a", "x", 1},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=\"a\\\"b;c\"\r\n\r\nx\r\n--b--"), 1, "a\\\"b;c", "x",
         1},
        {TYPE, TEXT("--b\r\nContent-Transfer-Encoding: binary\r\n" NAMED("a") "\r\nx\r\n--b--"), 1, "a", "x", 1},
        /* boundaries */
        {"Multipart/Form-Data ; charset=utf-8; BOUNDARY=\"a b'()+_,-./:=?\"",
         TEXT("--a b'()+_,-./:=?\r\n" NAMED("a") "\r\nx\r\n--a b'()+_,-./:=?--"), 1, "a", "x", 1},
        {"multipart/form-data;boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
         TEXT("--0123456789012345678901234567890123456789012345678901234567890123456789--"), 0, "", "", 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        if (parse(rows[i].type, rows[i].bytes, rows[i].size) != SERIN_OK)
            fail_msg("%s: %s", rows[i].bytes, error.message);
        assert_int_equal(count, rows[i].count);
        if (count)
            assert_part(0, rows[i].name, "", "", rows[i].body, rows[i].body_size);
    }
}

static void bad_bodies_are_refused(void **state)
{
    static const struct {
        const char *type, *bytes;
        size_t size;
        enum serin_errc rc;
        const char *why;
    } rows[] = {
        {"", TEXT("--b--"), SERIN_INVALID, "not multipart"},
        {"application/json", TEXT("--b--"), SERIN_INVALID, "not multipart"},
        {"multipart/mixed; boundary=b", TEXT("--b--"), SERIN_INVALID, "not multipart"},
        {"multipart/form-data", TEXT("--b--"), SERIN_INVALID, "without a boundary"},
        {"multipart/form-data; x=b", TEXT("--b--"), SERIN_INVALID, "without a boundary"},
        {"multipart/form-data; boundary=", TEXT("----"), SERIN_INVALID, "bad parameter"},
        {"multipart/form-data; boundary=\"\"", TEXT("----"), SERIN_INVALID, "1 to 70"},
        {"multipart/form-data; boundary=\"b", TEXT("--b--"), SERIN_INVALID, "bad parameter"},
        {"multipart/form-data; boundary=\"b\\", TEXT("--b--"), SERIN_INVALID, "bad parameter"},
        {"multipart/form-data; boundary=b, boundary=c", TEXT("--b--"), SERIN_INVALID, "bad parameter"},
        {"multipart/form-data; boundary=b; boundary=b", TEXT("--b--"), SERIN_INVALID, "more than one"},
        {"multipart/form-data; boundary=\"b \"", TEXT("--b --"), SERIN_INVALID, "1 to 70"},
        {"multipart/form-data; boundary=\"b\xc3\"", TEXT("--b--"), SERIN_INVALID, "1 to 70"},
        {"multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
         TEXT("--01234567890123456789012345678901234567890123456789012345678901234567890--"), SERIN_INVALID, "1 to 70"},
        {TYPE, TEXT(""), SERIN_CORRUPT, "without its boundary"},
        {TYPE, TEXT("--"), SERIN_CORRUPT, "without its boundary"},
        {TYPE, TEXT("x--b--"), SERIN_CORRUPT, "without its boundary"},
        {TYPE, TEXT("--c--"), SERIN_CORRUPT, "without its boundary"},
        {TYPE, TEXT("--b"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b-"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b--x"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--bb\r\n" NAMED("a") "\r\nx\r\n--bb--"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b\n" NAMED("a") "\r\nx\r\n--b--"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx\r\n--bx\r\n--b--"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\n--bx\r\n--b--"), SERIN_CORRUPT, "goes on"},
        {TYPE, TEXT("--b\r\n"), SERIN_CORRUPT, "ends within its fields"},
        {TYPE, TEXT("--b\r\n" NAMED("a")), SERIN_CORRUPT, "ends within its fields"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx"), SERIN_CORRUPT, "no boundary ends it"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx\r\n--"), SERIN_CORRUPT, "no boundary ends it"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\r\nx\r\n--b"), SERIN_CORRUPT, "part 2"},
        {TYPE, TEXT("--b\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "no Content-Disposition"},
        {TYPE, TEXT("--b\r\n\r\n--b--"), SERIN_CORRUPT, "no Content-Disposition"},
        {TYPE, TEXT("--b\r\n--b--"), SERIN_CORRUPT, "ends within its fields"},
        {TYPE, TEXT("--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "no Content-Disposition"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "no name"},
        {TYPE, TEXT("--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "not form-data"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "twice"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "bad parameter"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=\"a\\\"\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "bad parameter"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=a; filename=\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "bad parameter"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=a; filename*=utf-8\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "bad parameter"},
        {TYPE, TEXT("--b\r\nContent-Disposition: form-data; name=a b\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "bad parameter"},
        {TYPE, TEXT("--b\r\n" NAMED("a") NAMED("b") "\r\nx\r\n--b--"), SERIN_CORRUPT, "Content-Disposition twice"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "Content-Type: a\r\nContent-Type: b\r\n\r\nx\r\n--b--"), SERIN_CORRUPT,
         "Content-Type twice"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "Content-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--"), SERIN_CORRUPT,
         "Content-Transfer-Encoding"},
        {TYPE, TEXT("--b\r\n" NAMED("a") " folded\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "not a field"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "X : y\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "not a field"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "X\r\n\r\nx\r\n--b--"), SERIN_CORRUPT, "not a field"},
        {TYPE, TEXT("--b\r\n" NAMED("a\0b") "\r\nx\r\n--b--"), SERIN_CORRUPT, "control character"},
        {TYPE, TEXT("--b\r\n" NAMED("a\rb") "\r\nx\r\n--b--"), SERIN_CORRUPT, "control character"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "\nx\r\n--b--"), SERIN_CORRUPT, "LF alone"},
        {TYPE, TEXT("--b\r\n" NAMED("a") "X: y\n\r\nx\r\n--b--"), SERIN_CORRUPT, "LF alone"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        enum serin_errc rc = parse(rows[i].type, rows[i].bytes, rows[i].size);

        if (rc != rows[i].rc || !strstr(error.message, rows[i].why))
            fail_msg("row %zu, %s: %d, %s", i, rows[i].bytes, rc, error.message);
    }
}

/* A body whose every piece is missing or cut is never read as a whole one. */
static void a_part_of_a_body_is_refused(void **state)
{
    static const char body[] = "--b\r\n" NAMED("a") "\r\nx\r\n--b\r\n" NAMED("c") "\r\n\r\n--b--";
    size_t size;

    (void)state;
    for (size = 0; size < sizeof(body) - 1; size++)
        assert_int_equal(parse(TYPE, body, size), SERIN_CORRUPT);
    assert_int_equal(parse(TYPE, body, size), SERIN_OK);
    assert_int_equal(count, 2);
}

static enum serin_errc parse_many(int n, const char *each, const char *before_data, int repeat)
{
    struct buffer body;
    enum serin_errc rc;
    int i, k;

    buffer_init(&body, 1 << 22);
    for (i = 0; i < n; i++) {
        buffer_append_text(&body, "--b\r\n" NAMED("a"));
        for (k = 0; k < repeat; k++)
            buffer_append_text(&body, each);
        buffer_append_text(&body, before_data);
        buffer_append_text(&body, "\r\n\r\nx\r\n");
    }
    buffer_append_text(&body, "--b--\r\n");
    rc = parse(TYPE, body.bytes, body.size);
    buffer_done(&body);
    return rc;
}

static void sizes_have_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_many(MULTIPART_MAX_PARTS, "", "X: y", 0), SERIN_OK);
    assert_int_equal(count, MULTIPART_MAX_PARTS);
    assert_int_equal(parse_many(MULTIPART_MAX_PARTS + 1, "", "X: y", 0), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "100 parts"));
    assert_int_equal(parse_many(1, "X: y\r\n", "X: y", 14), SERIN_OK);
    assert_int_equal(parse_many(1, "X: y\r\n", "X: y", 15), SERIN_CORRUPT); /* with Content-Disposition, 17 */
    assert_non_null(strstr(error.message, "16 fields"));
    assert_int_equal(parse_many(1, "X: y\r\n", "X: y", 100000), SERIN_CORRUPT);
    assert_int_equal(parse_many(1, "X: ", "y", 2500), SERIN_OK);
    assert_int_equal(parse_many(1, "X: ", "y", 100000), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "8192"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_real_clients_are_read),
        cmocka_unit_test(odd_but_clear_bodies_are_read),
        cmocka_unit_test(bad_bodies_are_refused),
        cmocka_unit_test(a_part_of_a_body_is_refused),
        cmocka_unit_test(sizes_have_limits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(kept);
    return failed;
}
