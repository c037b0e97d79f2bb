/*
 * bench_http_parse.c - time to read a request's head: 520 bytes with 11 fields, as a browser sends it; and to write it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Prints one JSON object a line: {"name","bytes","fields","median_ns"}.
 */
#include "base/error.h"
#include "http/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS  41
#define REPEATS 20000

static const char request[] = "POST /v1/predict/yolov8-detect?conf=0.25&iou=0.7 HTTP/1.1\r\n"
                              "Host: serin.example.com:8080\r\n"
                              "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
                              "Accept: application/json, text/plain;q=0.9, */*;q=0.8\r\n"
                              "Accept-Language: en-GB,en;q=0.5\r\n"
                              "Accept-Encoding: gzip, deflate, br\r\n"
                              "Content-Type: image/jpeg\r\n"
                              "Content-Length: 51200\r\n"
                              "Origin: https://console.example.com\r\n"
                              "Cookie: session=5f2b3c4d5e6f; camera=line-3-north\r\n"
                              "X-Request-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n"
                              "Connection: keep-alive\r\n"
                              "\r\n";

/* Of this thread, so that what else runs on the machine counts little. */
static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* In pieces of step bytes, as they would come from a slow network. */
static void read_once(struct http_head *head, size_t step)
{
    const size_t size = sizeof(request) - 1;
    size_t scanned = 0, have = step < size ? step : size;
    enum http_result result;
    const char *why;
    int status;

    while ((result = http_parse_request(request, have, &http_default_limits, &scanned, head, &status, &why)) ==
           HTTP_MORE)
        have = have + step < size ? have + step : size;
    BUG_ON(result != HTTP_DONE);
}

static void write_once(const struct http_head *head, struct buffer *out)
{
    int i;

    buffer_clear(out);
    http_write_request_line(out, head->method, head->target);
    for (i = 0; i < head->field_count; i++)
        if (!http_is_hop_by_hop(head, head->fields[i].name))
            http_write_slice(out, head->fields[i].name, head->fields[i].value);
    http_write_end(out);
}

static void measure(const char *name, size_t step, struct buffer *out)
{
    static struct http_head head;
    double times_ns[ROUNDS];
    int round, i;

    read_once(&head, sizeof(request));
    for (round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();

        for (i = 0; i < REPEATS; i++) {
            if (out)
                write_once(&head, out);
            else
                read_once(&head, step);
            __asm__ volatile("" ::"r"(&head) : "memory");
        }
        times_ns[round] = (cpu_ns() - start) / REPEATS;
    }
    qsort(times_ns, ROUNDS, sizeof(times_ns[0]), by_value);
    printf("{\"name\":\"%s\",\"bytes\":%zu,\"fields\":%d,\"median_ns\":%.1f}\n", name, sizeof(request) - 1,
           head.field_count, times_ns[ROUNDS / 2]);
}

int main(void)
{
    struct buffer out;

    buffer_init(&out, 4096);
    measure("http_parse", sizeof(request), NULL);
    measure("http_parse_in_64s", 64, NULL);
    measure("http_write", 0, &out);
    buffer_done(&out);
    return 0;
}
