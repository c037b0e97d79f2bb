/*
 * gateway_test.c - the gateway as a whole, with its threads, before a version that answers everything.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway.c"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#define REQUESTS 20

/* ---- a version ---- */

static struct {
    int listener, port;
    pthread_t thread;
} version;

/* One request a connection, without a body. */
static void *answer_all(void *user)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n"
                                 "Connection: close\r\n\r\n{\"images\":[{\"results\":[]}]}";
    char head[4096];
    int client;

    (void)user;
    while ((client = accept(version.listener, NULL, NULL)) >= 0) {
        size_t size = 0;
        ssize_t n;

        while ((n = recv(client, head + size, sizeof(head) - 1 - size, 0)) > 0) {
            size += (size_t)n;
            head[size] = '\0';
            if (strstr(head, "\r\n\r\n"))
                break;
        }
        send(client, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        close(client);
    }
    return NULL;
}

static int start_version(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);

    (void)state;
    version.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(version.listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(version.listener, 64), 0);
    assert_int_equal(getsockname(version.listener, (struct sockaddr *)&name, &size), 0);
    version.port = ntohs(name.sin_port);
    return pthread_create(&version.thread, NULL, answer_all, NULL);
}

static int stop_version(void **state)
{
    (void)state;
    shutdown(version.listener, SHUT_RDWR);
    pthread_join(version.thread, NULL);
    close(version.listener);
    return 0;
}

/* ---- a client ---- */

static int connect_tcp(const struct gateway *gateway)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)gateway_port(gateway)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

/* The whole answer, NUL-terminated; valid until the next call. Closes fd. */
static const char *ask(int fd, const char *request)
{
    static char text[8192];
    size_t size = 0;
    ssize_t n;
    int length = snprintf(text, sizeof(text),
                          "%s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", request);

    assert_int_equal(send(fd, text, (size_t)length, MSG_NOSIGNAL), length);
    while ((n = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0)
        size += (size_t)n;
    text[size] = '\0';
    close(fd);
    return text;
}

static void expect(const struct gateway *gateway, const char *request, int status, const char *part)
{
    const char *found = ask(connect_tcp(gateway), request);
    char line[32];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    assert_memory_equal(found, line, strlen(line));
    if (part && !strstr(found, part))
        fail_msg("'%s' is not in: %s", part, found);
}

/* ---- tables ---- */

enum { STABLE, CANARY };

static void add_model(struct gateway_table *table, const char *model, bool stable_ready, bool canary_ready)
{
    struct gateway_entry *entry = &table->entries[table->entry_count];
    int v;

    route_init(&entry->route, model);
    entry->route.version_count = 2;
    strcpy(entry->route.versions[STABLE].tag, "stable");
    strcpy(entry->route.versions[CANARY].tag, "canary");
    strcpy(entry->route.stable, "stable");
    entry->route.versions[CANARY].weight = 100;
    for (v = STABLE; v <= CANARY; v++) {
        entry->versions[v].slot = 2 * table->entry_count + v;
        entry->versions[v].endpoint_count = v == STABLE ? stable_ready : canary_ready;
        snprintf(entry->versions[v].endpoints[0], GATEWAY_MAX_ADDRESS, "127.0.0.1:%d", version.port);
    }
    table->entry_count++;
}

static struct gateway *gateway_on(const char *listen, int threads)
{
    struct gateway_options options;
    struct gateway *gateway = NULL;
    struct serin_error error;

    gateway_options_init(&options);
    options.listen = listen;
    options.threads = threads;
    if (gateway_new(&options, &gateway, &error) != SERIN_OK || gateway_start(gateway, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return gateway;
}

static void publish(struct gateway *gateway, struct gateway_table *table)
{
    struct serin_error error;

    if (gateway_publish(gateway, table, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    free(table);
}

static struct gateway_table *table_new(void)
{
    struct gateway_table *table = calloc(1, sizeof(*table));

    assert_non_null(table);
    return table;
}

/* ---- tests ---- */

/* As after a restart, when the routes are there before the workers. */
static void a_version_that_is_not_ready_has_not_failed(void **state)
{
    struct gateway *gateway = gateway_on("127.0.0.1:0", 2);
    struct gateway_table *table = table_new();
    struct gateway_totals canary, stable;
    int i;

    (void)state;
    add_model(table, "m", true, false);
    publish(gateway, table);
    for (i = 0; i < REQUESTS; i++)
        expect(gateway, "POST /v1/predict/m", 200, "\r\nX-Serin-Fallback: canary\r\n");
    gateway_read(gateway, CANARY, &canary);
    gateway_read(gateway, STABLE, &stable);
    assert_int_equal(canary.not_ready, REQUESTS);
    assert_int_equal(canary.fallbacks, REQUESTS);
    assert_int_equal(stable.rescued, REQUESTS);
    assert_int_equal(canary.failures + canary.skipped + canary.errors, 0);
    table = table_new();
    add_model(table, "m", true, true);
    publish(gateway, table);
    expect(gateway, "POST /v1/predict/m", 200, "\r\nX-Serin-Version: canary\r\n"); /* at once: no breaker is open */
    table = table_new();
    add_model(table, "m", false, false);
    publish(gateway, table);
    expect(gateway, "POST /v1/predict/m", 503, "\r\nRetry-After: ");
    gateway_read(gateway, STABLE, &stable);
    assert_int_equal(stable.not_ready, 1);
    assert_int_equal(stable.failures, 0);
    gateway_close(gateway);
}

static void one_model_that_is_down_is_not_the_gateway(void **state)
{
    struct gateway *gateway = gateway_on("127.0.0.1:0", 1);
    struct gateway_table *table = table_new();

    (void)state;
    expect(gateway, "GET /v2/health/ready", 503, "{\"ready\":false}");
    expect(gateway, "GET /v2/health/live", 200, NULL);
    add_model(table, "down", false, true);
    publish(gateway, table);
    expect(gateway, "GET /v2/health/ready", 503, NULL);
    table = table_new();
    add_model(table, "down", false, false);
    add_model(table, "up", true, false);
    publish(gateway, table);
    expect(gateway, "GET /v2/health/ready", 200, "{\"ready\":true}");
    expect(gateway, "GET /v2/models/down/ready", 503, NULL);
    expect(gateway, "GET /v2/models/up/ready", 200, NULL);
    gateway_close(gateway);
}

/* Of many requests that fail on one replica few are tried on the other, which fails too. */
static void an_outage_is_not_doubled(void **state)
{
    enum { OUTAGE = 1000 };
    struct gateway *gateway = gateway_on("127.0.0.1:0", 1);
    struct gateway_table *table = table_new();
    struct gateway_totals stable;
    int i;

    (void)state;
    add_model(table, "m", true, false);
    table->entries[0].route.versions[CANARY].weight = 0;
    table->entries[0].route.versions[STABLE].weight = 1;
    table->entries[0].versions[STABLE].endpoint_count = 2;
    strcpy(table->entries[0].versions[STABLE].endpoints[0], "unix:/nonexistent/a");
    strcpy(table->entries[0].versions[STABLE].endpoints[1], "unix:/nonexistent/b");
    publish(gateway, table);
    for (i = 0; i < OUTAGE; i++)
        expect(gateway, "POST /v1/predict/m", 502, NULL);
    gateway_read(gateway, STABLE, &stable);
    assert_int_equal(stable.requests, OUTAGE);
    assert_int_equal(stable.errors, OUTAGE);
    assert_in_range(stable.retries + stable.retries_refused, OUTAGE, 2 * OUTAGE); /* of three tries in all */
    assert_int_equal(stable.failures, OUTAGE + stable.retries);
    assert_in_range(stable.retries, OUTAGE / 5, OUTAGE * 2 / 3);
    gateway_close(gateway);
}

/* A unix socket is one file: who bound it last would have all the connections. */
static void threads_share_a_unix_socket(void **state)
{
    enum { THREADS = 3 };
    char folder[] = "/tmp/serin-gateway-XXXXXX", listen[64];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct gateway *gateway;
    struct stat first, other;
    int fds[HTTP_SERVER_MAX_SOCKETS], i;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder);
    snprintf(listen, sizeof(listen), "unix:%s", name.sun_path);
    gateway = gateway_on(listen, THREADS);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(http_server_sockets(gateway->threads[i].server, fds), 1);
        assert_int_equal(fstat(fds[0], i == 0 ? &first : &other), 0);
        assert_true(i == 0 || other.st_ino == first.st_ino);
    }
    for (i = 0; i < REQUESTS; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
        assert_memory_equal(ask(fd, "GET /v2/health/live"), "HTTP/1.1 200 ", 13);
    }
    gateway_close(gateway);
    unlink(name.sun_path);
    rmdir(folder);
}

static uint64_t requests_of(const struct gateway *gateway, int slot)
{
    struct gateway_totals totals;

    gateway_read(gateway, slot, &totals);
    return totals.requests;
}

/* The dead-man rule: its controller has said nothing yet, or has let go. Another model's word holds only that one. */
static void a_trial_without_its_hold_is_stable(void **state)
{
    enum { A_CANARY = 1, B_STABLE, B_CANARY };
    struct gateway *gateway = gateway_on("127.0.0.1:0", 2);
    struct gateway_table *table = table_new();
    struct gateway_totals totals;
    struct gateway_sighting *sighting;
    int i;

    (void)state;
    add_model(table, "a", true, true);
    add_model(table, "b", true, true);
    for (i = 0; i < 2; i++) {
        table->entries[i].on_trial = true;
        table->entries[i].lease = 5 - i;
    }
    publish(gateway, table);
    for (i = 0; i < REQUESTS; i++)
        expect(gateway, "POST /v1/predict/b", 200, "\r\nX-Serin-Version: stable\r\n");
    assert_int_equal(requests_of(gateway, B_STABLE), REQUESTS);
    gateway_read(gateway, B_CANARY, &totals);
    assert_int_equal(totals.requests, 0);
    assert_int_equal(totals.unheld, REQUESTS);
    assert_null(gateway_take_sighting(gateway)); /* nothing of it is evidence */

    gateway_hold_trial(gateway, 5, 3600000); /* of a */
    expect(gateway, "POST /v1/predict/a", 200, "\r\nX-Serin-Version: canary\r\n");
    expect(gateway, "POST /v1/predict/b", 200, "\r\nX-Serin-Version: stable\r\n");
    gateway_hold_trial(gateway, 4, 3600000);
    expect(gateway, "POST /v1/predict/b", 200, "\r\nX-Serin-Version: canary\r\n");
    gateway_hold_trial(gateway, 5, 0);
    for (i = 0; i < REQUESTS; i++)
        expect(gateway, "POST /v1/predict/a", 200, "\r\nX-Serin-Version: stable\r\n");
    expect(gateway, "POST /v1/predict/b", 200, "\r\nX-Serin-Version: canary\r\n");
    assert_int_equal(requests_of(gateway, A_CANARY), 1);
    assert_int_equal(requests_of(gateway, B_CANARY), 2);
    for (i = 0; i < 3; i++) { /* those that were held */
        sighting = gateway_take_sighting(gateway);
        assert_non_null(sighting);
        assert_string_equal(sighting->own.tag, "canary");
        gateway_sighting_free(sighting);
    }
    assert_null(gateway_take_sighting(gateway));
    gateway_close(gateway);
}

static void expect_draw(struct gateway *gateway, double share)
{
    struct gateway_sighting *draw = gateway_take_sighting(gateway), *request = gateway_take_sighting(gateway);

    assert_true(draw && draw->kind == GATEWAY_SAW_DRAW && draw->drawn && fabs(draw->trial_share - share) < 1e-12);
    assert_true(request && request->kind == GATEWAY_SAW_REQUEST && request->drawn);
    assert_string_equal(draw->own.tag, request->own.tag);
    assert_string_equal(draw->model, "a");
    assert_null(gateway_take_sighting(gateway));
    gateway_sighting_free(draw);
    gateway_sighting_free(request);
}

/* Stable has no replica: what is drawn for it is refused. */
static void publish_trial(struct gateway *gateway, uint32_t stable, uint32_t canary)
{
    struct gateway_table *table = table_new();

    add_model(table, "a", false, true);
    table->entries[0].on_trial = true;
    table->entries[0].route.versions[STABLE].weight = stable;
    table->entries[0].route.versions[CANARY].weight = canary;
    publish(gateway, table);
}

static void expect_no_draw(struct gateway *gateway)
{
    struct gateway_sighting *request = gateway_take_sighting(gateway);

    assert_true(request && request->kind == GATEWAY_SAW_REQUEST);
    assert_null(gateway_take_sighting(gateway));
    gateway_sighting_free(request);
}

/* The judge counts those: an answer may be long in coming, or never come. */
static void each_draw_is_told_when_it_is_made_and_nothing_else_is_one(void **state)
{
    struct gateway *gateway = gateway_on("127.0.0.1:0", 1);
    int i;

    (void)state;
    gateway_hold_trial(gateway, 0, 3600000);
    publish_trial(gateway, 300, 100);
    for (i = 0; i < REQUESTS; i++) {
        (void)ask(connect_tcp(gateway), "POST /v1/predict/a");
        expect_draw(gateway, .25);
    }
    publish_trial(gateway, 300, 300);
    (void)ask(connect_tcp(gateway), "POST /v1/predict/a");
    expect_draw(gateway, .5);
    (void)ask(connect_tcp(gateway), "POST /v2/models/a/versions/canary/infer"); /* it names the version */
    expect_no_draw(gateway);
    publish_trial(gateway, 300, 0); /* there is nothing to draw */
    (void)ask(connect_tcp(gateway), "POST /v1/predict/a");
    expect_no_draw(gateway);
    gateway_close(gateway);
}

static void a_lease_that_nobody_has_is_refused(void **state)
{
    struct gateway *gateway = gateway_on("127.0.0.1:0", 1);
    struct gateway_table *table = table_new();
    struct serin_error error;

    (void)state;
    add_model(table, "m", true, true);
    table->entries[0].lease = GATEWAY_MAX_MODELS;
    assert_int_equal(gateway_publish(gateway, table, &error), SERIN_INVALID);
    assert_string_equal(error.message, "route 'm': lease 64 of 64");
    free(table);
    gateway_close(gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_that_is_not_ready_has_not_failed),
        cmocka_unit_test(one_model_that_is_down_is_not_the_gateway),
        cmocka_unit_test(an_outage_is_not_doubled),
        cmocka_unit_test(threads_share_a_unix_socket),
        cmocka_unit_test(a_trial_without_its_hold_is_stable),
        cmocka_unit_test(each_draw_is_told_when_it_is_made_and_nothing_else_is_one),
        cmocka_unit_test(a_lease_that_nobody_has_is_refused),
    };

    return cmocka_run_group_tests_name("gateway/gateway", tests, start_version, stop_version);
}
