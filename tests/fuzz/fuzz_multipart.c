/*
 * fuzz_multipart.c - fuzz target: a Content-Type up to the first LF, and behind it a form body.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_slice(struct http_slice slice, const char *body, const char *end)
{
    if (slice.bytes ? slice.bytes < body || slice.bytes + slice.size > end : slice.size != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct multipart_part parts[MULTIPART_MAX_PARTS];
    const char *type = (const char *)input, *lf = size ? memchr(type, '\n', size) : NULL, *end = type + size;
    const char *body = lf ? lf + 1 : end;
    struct serin_error error = {.code = SERIN_OK};
    int count = -1, i;
    enum serin_errc rc = multipart_parse((struct http_slice){type, (size_t)((lf ? lf : end) - type)}, body,
                                         (size_t)(end - body), parts, &count, &error);

    if (rc != error.code || (rc != SERIN_OK && (count != -1 || error.message[0] == '\0')))
        abort();
    for (i = 0; i < count; i++) {
        check_slice(parts[i].name, body, end);
        check_slice(parts[i].filename, body, end);
        check_slice(parts[i].content_type, body, end);
        check_slice(parts[i].body, body, end);
        if (!parts[i].name.bytes || !parts[i].body.bytes || (i > 0 && parts[i].name.bytes <= parts[i - 1].body.bytes))
            abort();
    }
    return 0;
}
