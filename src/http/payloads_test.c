/*
 * payloads_test.c - requests that others wrote to break servers: Http11Probe's with what they expect, h2o's fuzz
 * corpus. SPDX-License-Identifier: Apache-2.0
 *
 * Both lie in the shared test data; skipped where it is absent. What a server as a whole is asked for (answers,
 * methods, connections) is judged elsewhere: here an accepted request passes where Http11Probe allows any answer that a
 * server gives to a request it has read.
 */
#include "../../tests/fuzz/fuzz_http_request.c"

#include "base/test_paths.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

/* 0: waits for more, 200: read to its end, else the status it is refused with. */
static int judge(const char *bytes, size_t size, const char **ret_why)
{
    static struct http_head head;
    static char body[MAX_BODY_BYTES];
    size_t scanned = 0, body_size, used;
    int status = 0;
    enum http_result result = http_parse_request(bytes, size, &http_default_limits, &scanned, &head, &status, ret_why);

    if (result == HTTP_DONE && head.framing == HTTP_CHUNKED) {
        result = take_off(bytes + head.head_bytes, size - head.head_bytes, SIZE_MAX, body, &body_size, &used);
        status = 400;
        *ret_why = "its chunks";
    }
    return result == HTTP_DONE ? 200 : result == HTTP_BAD ? status : 0;
}

/* "400/431 or close", "2xx", "417 or 2xx", "!101": whether what we did is among them. */
static bool is_expected(const char *expected, int status)
{
    char number[12];

    snprintf(number, sizeof(number), "%d", status);
    if (status == 0)
        return strstr(expected, "timeout") || strstr(expected, "close");
    if (status == 200)
        return strstr(expected, "2xx") || strstr(expected, "200") || strstr(expected, "!101");
    /* 501 where 400 is expected says more, and refuses as well */
    return strstr(expected, number) || strstr(expected, "close") || (status == 501 && strstr(expected, "400"));
}

static void http11probe_is_answered_as_it_expects(void **state)
{
    /* Cut short or mangled in the source, so that what we see is another request than the one that was meant. */
    static const char *const unfit[] = {"MAL-URL-OVERLONG-UTF8"};
    json_error_t json_error;
    json_t *root = json_load_file(test_data_path("http11probe.json"), JSON_ALLOW_NUL, &json_error), *item;
    size_t i, k, judged = 0, refused = 0;
    bool failed = false;

    (void)state;
    if (!root) {
        print_message("no http11probe.json\n");
        skip();
    }
    json_array_foreach(json_object_get(root, "cases"), i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id")), *why = "";
        const char *expected = json_string_value(json_object_get(item, "expected"));
        const json_t *raw = json_object_get(item, "raw_request");
        int status;

        assert_true(id && expected && json_is_string(raw));
        for (k = 0; k < sizeof(unfit) / sizeof(unfit[0]) && strcmp(id, unfit[k]) != 0;)
            k++;
        if (k < sizeof(unfit) / sizeof(unfit[0]))
            continue;
        status = judge(json_string_value(raw), json_string_length(raw), &why);
        judged++;
        refused += status >= 400;
        if (!is_expected(expected, status)) {
            print_error("%s: %d (%s), expected %s\n", id, status, why, expected);
            failed = true;
        }
        /* Its smuggling cases are refused, all but those that are plain requests in odd clothes. */
        if (strncmp(id, "SMUG-", 5) == 0 && strncmp(expected, "400 or close", 12) == 0 && status < 400) {
            print_error("%s: accepted\n", id);
            failed = true;
        }
    }
    print_message("%zu requests, %zu of them refused\n", judged, refused);
    assert_true(judged >= 60 && refused >= 40);
    json_decref(root);
    assert_false(failed);
}

/* The corpus is a tar file: blocks of 512 bytes, a head with name and octal size before each file. */
static void h2o_corpus_breaks_no_invariant(void **state)
{
    char command[1200], block[512];
    FILE *tar;
    size_t files = 0;

    (void)state;
    tar = fopen(test_data_path("http1-corpus.tar.gz"), "rb");
    if (!tar) {
        print_message("no http1-corpus.tar.gz\n");
        skip();
    }
    fclose(tar);
    snprintf(command, sizeof(command), "gzip -dc '%s'", test_data_path("http1-corpus.tar.gz"));
    tar = popen(command, "r");
    assert_non_null(tar);
    while (fread(block, sizeof(block), 1, tar) == 1 && block[0]) {
        size_t size = strtoul(block + 124, NULL, 8), blocks = (size + 511) / 512;
        uint8_t *bytes = malloc(blocks * 512 + 1), *alone = malloc(size ? size : 1);

        assert_true(bytes && alone && size < (16u << 20));
        assert_int_equal(fread(bytes, 512, blocks, tar), blocks);
        memcpy(alone, bytes, size);
        if (block[156] == '0' || block[156] == '\0') {
            LLVMFuzzerTestOneInput(alone, size);
            files++;
        }
        free(bytes);
        free(alone);
    }
    while (fread(block, sizeof(block), 1, tar) == 1)
        ;
    assert_int_equal(pclose(tar), 0);
    print_message("%zu files\n", files);
    assert_int_equal(files, 1972);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http11probe_is_answered_as_it_expects),
        cmocka_unit_test(h2o_corpus_breaks_no_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
