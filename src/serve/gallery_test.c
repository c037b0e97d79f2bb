/*
 * gallery_test.c - how much two answers differ, whichever is whose; and what of a request's body is a picture.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/gallery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct answer left, right;

static void add(struct answer *answer, const char *name, float x1, float confidence)
{
    answer->boxes[answer->box_count++] = (struct match_box){answer_name(answer, name), x1, 0, x1 + 10, 10, confidence};
}

static void clear(void)
{
    answer_unpack(NULL, 0, &left);
    answer_unpack(NULL, 0, &right);
}

/* And the same the other way round. */
static double difference(void)
{
    double found = gallery_difference(&left, &right);

    assert_float_equal(gallery_difference(&right, &left), found, 1e-9);
    return found;
}

static void what_only_one_has_counts_by_its_score(void **unused)
{
    (void)unused;
    clear();
    assert_float_equal(difference(), 0, 0);
    add(&left, "person", 0, .9f);
    assert_float_equal(difference(), .9, 1e-6);
    add(&right, "person", 2, .3f); /* IoU 8/12: the same object, whatever its score */
    assert_float_equal(difference(), 0, 1e-6);
    add(&right, "person", 50, .25f);
    assert_float_equal(difference(), .25, 1e-6);
    add(&left, "dog", 50, .5f); /* another class: neither has what the other has */
    assert_float_equal(difference(), .75, 1e-6);
    add(&left, "car", 80, 7.f); /* no score of a sane model */
    add(&left, "car", 100, -1.f);
    assert_float_equal(difference(), 1.75, 1e-6);
}

static const char *type_of(const char *content_type, const char *bytes, size_t size, struct http_slice *picture)
{
    struct bytes *body = bytes_new(size);
    static char copy[4096];
    const char *type;

    assert_non_null(body);
    memcpy(body->data, bytes, size);
    body->size = size;
    type = gallery_find_picture(content_type, body, picture);
    if (type) {
        assert_true(picture->size < sizeof(copy));
        memcpy(copy, picture->bytes, picture->size); /* the body goes */
        picture->bytes = copy;
    }
    bytes_drop(body);
    return type;
}

#define PICTURE(type, text) type_of(type, text, sizeof(text) - 1, &picture)

static void a_picture_is_known_by_its_first_bytes(void **unused)
{
    struct http_slice picture;

    (void)unused;
    assert_string_equal(PICTURE("", "\xff\xd8\xff\xe0 etc"), "image/jpeg");
    assert_string_equal(PICTURE("text/html", "\xff\xd8\xff\xe0 etc"), "image/jpeg"); /* whatever the client calls it */
    assert_string_equal(PICTURE("image/jpeg", "\x89PNG\r\n\x1a\n...."), "image/png");
    assert_string_equal(PICTURE("image/jpeg", "RIFF....WEBPVP8 "), "image/webp");
    assert_null(PICTURE("image/jpeg", "<svg onload=alert(1)>"));
    assert_null(PICTURE("image/jpeg", "RIFF....WAVE...."));
    assert_null(PICTURE("image/jpeg", "RIFF....WEB"));
    assert_null(PICTURE("image/jpeg", "\xff\xd8\xff"));
    assert_null(PICTURE("image/jpeg", ""));
}

static void a_form_has_its_first_picture(void **unused)
{
    struct http_slice picture;

    (void)unused;
    assert_string_equal(PICTURE("multipart/form-data; boundary=b",
                                "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n\xff\xd8\xff no\r\n"
                                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
                                "\xff\xd8\xff one\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; "
                                "filename=\"b\"\r\n\r\n\x89PNG\r\n\x1a\n two\r\n--b--\r\n"),
                        "image/jpeg");
    assert_int_equal(picture.size, 7);
    assert_memory_equal(picture.bytes, "\xff\xd8\xff one", 7);
    assert_null(PICTURE("multipart/form-data; boundary=b", "\xff\xd8\xff no form"));
    assert_null(PICTURE("multipart/form-data", "--b\r\n\r\n--b--\r\n"));
    assert_null(PICTURE("multipart/form-data; boundary=b",
                        "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--b--\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_one_has_counts_by_its_score),
        cmocka_unit_test(a_picture_is_known_by_its_first_bytes),
        cmocka_unit_test(a_form_has_its_first_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
