/*
 * fuzz_http_request.c - fuzz target: bytes as a request, with its chunked body where it has one.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Holds for every input: the verdict does not depend on how the bytes are cut; what a head tells lies within it and has
 * no byte that ends a line; written again, it is read as the same request.
 */
#include "http/message.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BODY_BYTES 5000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool same(struct http_slice a, struct http_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

static void check_slice(struct http_slice slice, const char *bytes, size_t size)
{
    size_t i;

    check(slice.size == 0 || (slice.bytes >= bytes && slice.bytes + slice.size <= bytes + size) ||
          http_slice_is(slice, "/") || http_slice_is(slice, "*"));
    for (i = 0; i < slice.size; i++)
        check(slice.bytes[i] == '\t' || ((unsigned char)slice.bytes[i] >= ' ' && slice.bytes[i] != 0x7f));
}

static void check_head(const struct http_head *head, const char *bytes, size_t size)
{
    int i;

    check(head->head_bytes <= size && head->field_count >= 0 && head->field_count <= HTTP_MAX_FIELDS);
    check(memcmp(bytes + head->head_bytes - 4, "\r\n\r\n", 4) == 0);
    check(head->framing != HTTP_UNTIL_CLOSE && head->method.size > 0 && head->target.size > 0);
    check(head->target.bytes[0] == '/' || http_slice_is(head->target, "*"));
    check(head->content_length <= INT64_MAX && (head->content_length == 0 || head->framing == HTTP_LENGTH));
    check_slice(head->method, bytes, size);
    check_slice(head->target, bytes, size);
    check_slice(head->host, bytes, size);
    for (i = 0; i < head->field_count; i++) {
        check(head->fields[i].name.size > 0);
        check_slice(head->fields[i].name, bytes, size);
        check_slice(head->fields[i].value, bytes, size);
    }
}

/* Written as a gateway would, and read again. HTTP/1.0 is written as 1.1, which needs a Host. */
static void check_round_trip(const struct http_head *head)
{
    static struct http_head again;
    struct buffer out;
    size_t scanned = 0;
    const char *why;
    int status, i;

    buffer_init(&out, 1 << 20);
    http_write_request_line(&out, head->method, head->target);
    if (head->host.size == 0)
        http_write_field(&out, "Host", "none");
    else if (!http_find(head, "Host"))
        http_write_slice(&out, (struct http_slice){"Host", 4}, head->host);
    for (i = 0; i < head->field_count; i++)
        http_write_slice(&out, head->fields[i].name, head->fields[i].value);
    http_write_end(&out);
    check(buffer_check(&out, "a head", NULL) == SERIN_OK);
    if (head->field_count < HTTP_MAX_FIELDS) {
        const struct http_limits wide = {.max_head_bytes = 1 << 20, .max_target_bytes = 1 << 20, .max_body_bytes = 1};

        check(http_parse_request(out.bytes, out.size, &wide, &scanned, &again, &status, &why) == HTTP_DONE);
        check(same(head->method, again.method) && same(head->target, again.target) && same(head->path, again.path) &&
              same(head->query, again.query));
        check(head->framing == again.framing && head->content_length == again.content_length);
        check(again.head_bytes == out.size);
        for (i = 1; i <= head->field_count; i++)
            check(same(head->fields[head->field_count - i].name, again.fields[again.field_count - i].name) &&
                  same(head->fields[head->field_count - i].value, again.fields[again.field_count - i].value));
    }
    buffer_done(&out);
}

static enum http_result take_off(const char *in, size_t size, size_t step, char *body, size_t *ret_size,
                                 size_t *ret_used)
{
    enum http_result result = HTTP_MORE;
    struct http_chunks chunks;
    size_t at = 0, body_size = 0;

    http_chunks_init(&chunks);
    while (result == HTTP_MORE && at < size) {
        size_t piece = size - at < step ? size - at : step, run_size, used;
        const char *run, *why = NULL;

        result = http_chunks_read(&chunks, in + at, piece, MAX_BODY_BYTES, &run, &run_size, &used, &why);
        check(used > 0 && used <= piece && run_size <= used && body_size + run_size <= MAX_BODY_BYTES);
        check(result != HTTP_BAD || (why && *why));
        if (run_size)
            memcpy(body + body_size, run, run_size);
        body_size += run_size;
        at += used;
    }
    *ret_size = body_size;
    *ret_used = at;
    return result;
}

static void check_chunks(const char *in, size_t size)
{
    static char whole[MAX_BODY_BYTES], cut[MAX_BODY_BYTES];
    size_t whole_size, whole_used, cut_size, cut_used;
    enum http_result result = take_off(in, size, SIZE_MAX, whole, &whole_size, &whole_used);

    check(take_off(in, size, 1, cut, &cut_size, &cut_used) == result && cut_used == whole_used);
    check(cut_size == whole_size && memcmp(whole, cut, cut_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const struct http_limits limits = {.max_head_bytes = 4096, .max_target_bytes = 1024, .max_body_bytes = 1};
    static struct http_head head, cut;
    const char *bytes = (const char *)input, *why = NULL, *cut_why = NULL;
    size_t scanned = 0, have = 0, step = size ? 1 + (size_t)input[size - 1] % 16 : 1;
    int status = 0, cut_status = 0;
    enum http_result result = http_parse_request(bytes, size, &limits, &scanned, &head, &status, &why), cut_result;

    scanned = 0;
    do {
        have = have + step < size ? have + step : size;
        cut_result = http_parse_request(bytes, have, &limits, &scanned, &cut, &cut_status, &cut_why);
    } while (cut_result == HTTP_MORE && have < size);
    check(cut_result == result);
    if (result == HTTP_BAD)
        check(status == cut_status && why && *why && strcmp(why, cut_why) == 0 &&
              (status == 400 || status == 414 || status == 431 || status == 501 || status == 505));
    if (result != HTTP_DONE)
        return 0;
    check(head.head_bytes == cut.head_bytes && head.field_count == cut.field_count && head.framing == cut.framing);
    check_head(&head, bytes, size);
    check_round_trip(&head);
    if (head.framing == HTTP_CHUNKED)
        check_chunks(bytes + head.head_bytes, size - head.head_bytes);
    return 0;
}
