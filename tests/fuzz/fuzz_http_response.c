/*
 * fuzz_http_response.c - fuzz target: bytes as a response (to HEAD where the first byte is odd).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_head(const struct http_head *head, const char *bytes, size_t size, bool head_request)
{
    bool bodiless = head_request || head->status < 200 || head->status == 204 || head->status == 304;
    int i;

    check(head->head_bytes <= size && memcmp(bytes + head->head_bytes - 4, "\r\n\r\n", 4) == 0);
    check(head->status >= 100 && head->status <= 599);
    check(bodiless == (head->framing == HTTP_NO_BODY));
    check(head->framing != HTTP_UNTIL_CLOSE || !head->keep_alive);
    check(head->framing != HTTP_CHUNKED || head->minor_version == 1);
    for (i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        check(field->name.size > 0 && field->name.bytes > bytes && field->value.bytes > field->name.bytes);
        check(field->value.bytes + field->value.size <= bytes + head->head_bytes - 4);
        check(!memchr(field->value.bytes, '\r', field->value.size) &&
              !memchr(field->value.bytes, 0, field->value.size));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    static const struct http_limits limits = {.max_head_bytes = 4096, .max_target_bytes = 1024, .max_body_bytes = 1};
    static struct http_head head, cut;
    const bool head_request = input_size > 0 && (input[0] & 1);
    const char *bytes = (const char *)input + (input_size > 0), *why = NULL, *cut_why = NULL;
    size_t size = input_size > 0 ? input_size - 1 : 0, scanned = 0, have = 0;
    size_t step = size ? 1 + (size_t)input[input_size - 1] % 16 : 1;
    enum http_result result = http_parse_response(bytes, size, &limits, &scanned, head_request, &head, &why),
                     cut_result;

    scanned = 0;
    do {
        have = have + step < size ? have + step : size;
        cut_result = http_parse_response(bytes, have, &limits, &scanned, head_request, &cut, &cut_why);
    } while (cut_result == HTTP_MORE && have < size);
    check(cut_result == result);
    if (result == HTTP_BAD)
        check(why && *why && strcmp(why, cut_why) == 0);
    if (result == HTTP_DONE) {
        check(head.head_bytes == cut.head_bytes && head.field_count == cut.field_count && head.framing == cut.framing);
        check_head(&head, bytes, size, head_request);
    }
    return 0;
}
