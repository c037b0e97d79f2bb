/*
 * golden_test.c - which answers are let in, and what is said of the others.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/golden.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BOX(x1, y1, x2, y2)          "\"box\":{\"x1\":" #x1 ",\"y1\":" #y1 ",\"x2\":" #x2 ",\"y2\":" #y2 "}"
#define ONE(name, class, score, box) "{\"name\":\"" name "\",\"class\":" #class ",\"confidence\":" #score "," box "}"
#define PERSON                       ONE("person", 0, 0.8, BOX(0, 0, 100, 200))
#define CAR                          ONE("car", 2, 0.6, BOX(300, 0, 400, 100))
#define FAINT                        ONE("car", 2, 0.28, BOX(500, 0, 600, 100))

static json_t *list(const char *text)
{
    json_t *parsed = json_loads(text, 0, NULL);

    assert_non_null(parsed);
    return parsed;
}

/* words: NULL where the answer is let in. */
static void expect(const char *expected, const char *answered, const char *words)
{
    struct serin_error error = {0};
    json_t *root = json_pack("{s:[{s:s, s:o}]}", "pictures", "name", "a.jpg", "results", list(expected));
    json_t *results = list(answered);
    enum serin_errc rc = golden_compare(root, 0, results, .25, &error);

    if (rc != (words ? SERIN_LIMIT : SERIN_OK) || (words && !strstr(error.message, words)))
        fail_msg("'%s' for '%s'", error.message, words ? words : "nothing");
    json_decref(root);
    json_decref(results);
}

static void the_same_within_the_tolerance_is_let_in(void **state)
{
    (void)state;
    expect("[]", "[]", NULL);
    expect("[" PERSON "," CAR "]", "[" PERSON "," CAR "]", NULL);
    expect("[" PERSON "]", "[" ONE("person", 0, 0.755, BOX(2, 3, 99, 201)) "]", NULL);
    expect("[" PERSON "," CAR "]", "[" CAR "," PERSON "]", NULL); /* the order is told by scores that may move */
}

static void what_lies_at_the_threshold_may_come_and_go(void **state)
{
    (void)state;
    expect("[" PERSON "," FAINT "]", "[" PERSON "]", NULL);
    expect("[" PERSON "]", "[" PERSON "," FAINT "]", NULL);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    expect("[" PERSON "," CAR "]", "[" PERSON "]", "car with a score of 0.600 in 300,0 to 400,100 is missing");
    expect("[" PERSON "]", "[" ONE("dog", 1, 0.8, BOX(0, 0, 100, 200)) "]", "person with a score of 0.800");
}

static void what_is_new_is_named(void **state)
{
    (void)state;
    expect("[" PERSON "]", "[" PERSON "," CAR "]",
           "car with a score of 0.600 in 300,0 to 400,100 was not there when it was pushed");
    expect("[" PERSON "]", "[" PERSON "," PERSON "]", "was not there"); /* one takes one */
}

static void what_has_moved_is_named_with_numbers(void **state)
{
    (void)state;
    expect("[" PERSON "]", "[" ONE("person", 0, 0.74, BOX(0, 0, 100, 200)) "]",
           "came with a score of 0.740 and an IoU of 1.00");
    expect("[" PERSON "]", "[" ONE("person", 0, 0.8, BOX(0, 0, 100, 160)) "]",
           "came with a score of 0.800 and an IoU of 0.80");
}

static void classes_of_whole_pictures_have_no_box(void **state)
{
    static const char cat[] = "[{\"name\":\"cat\",\"class\":1,\"confidence\":0.9}]";

    (void)state;
    expect(cat, cat, NULL);
    expect(cat, "[{\"name\":\"cat\",\"class\":1,\"confidence\":0.5}]",
           "cat with a score of 0.900 came with a score of 0.500");
    expect(cat, "[]", "cat with a score of 0.900 is missing");
}

static void oriented_boxes_are_compared_by_what_is_around_them(void **state)
{
    static const char ship[] =
        "[{\"name\":\"ship\",\"class\":0,\"confidence\":0.9,\"box\":{\"x1\":50,\"y1\":0,\"x2\":100,"
        "\"y2\":50,\"x3\":50,\"y3\":100,\"x4\":0,\"y4\":50}}]";

    (void)state;
    expect(ship, ship, NULL);
    expect(ship, "[" ONE("ship", 0, 0.9, BOX(0, 0, 100, 100)) "]", NULL);
    expect(ship, "[" ONE("ship", 0, 0.9, BOX(0, 0, 50, 100)) "]", "an IoU of 0.50");
}

static void boxes_without_an_area_are_no_trouble(void **state)
{
    (void)state;
    expect("[" ONE("person", 0, 0.8, BOX(5, 5, 5, 5)) "]", "[" ONE("person", 0, 0.8, BOX(5, 5, 5, 5)) "]", NULL);
}

static void hostile_files_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"pictures\":[]}",
                                        "{\"pictures\":[{\"name\":1,\"results\":[]}]}",
                                        "{\"pictures\":[{\"name\":\"a\"}]}"};
    json_t *root = NULL, *results;
    char many[4096] = "{\"pictures\":[{\"name\":\"a\",\"results\":[]}", *end = many + strlen(many);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(golden_parse(texts[i], &root, NULL), SERIN_CORRUPT);
    for (i = 0; i < GOLDEN_MAX_PICTURES; i++)
        end = stpcpy(end, ",{\"name\":\"a\",\"results\":[]}");
    strcpy(end, "]}");
    assert_int_equal(golden_parse(many, &root, NULL), SERIN_CORRUPT);
    assert_int_equal(golden_parse("{\"pictures\":[{\"name\":\"a\",\"results\":[{\"class\":0}]}]}", &root, NULL),
                     SERIN_OK);
    assert_int_equal(golden_count(root), 1);
    assert_string_equal(golden_name(root, 0), "a");
    results = list("[]");
    assert_int_equal(golden_compare(root, 0, results, 0, NULL), SERIN_CORRUPT);
    json_decref(results);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_within_the_tolerance_is_let_in),
        cmocka_unit_test(what_lies_at_the_threshold_may_come_and_go),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_is_new_is_named),
        cmocka_unit_test(what_has_moved_is_named_with_numbers),
        cmocka_unit_test(classes_of_whole_pictures_have_no_box),
        cmocka_unit_test(oriented_boxes_are_compared_by_what_is_around_them),
        cmocka_unit_test(boxes_without_an_area_are_no_trouble),
        cmocka_unit_test(hostile_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
