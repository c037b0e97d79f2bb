/*
 * hooks_test.c - a webhook that is answered, and one whose host hangs while the program ends.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/hooks.c"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    uv_loop_t loop;
    struct hooks *hooks;
    struct plan_webhook hook;
    struct hook_answer answer;
    int listener, answers;
    char request[4096];
} test;

static void answered(void *user, const struct plan_webhook *hook, const struct hook_answer *answer)
{
    (void)user;
    assert_string_equal(hook->url, test.hook.url);
    test.answer = *answer;
    test.answers++;
}

static int open_hooks(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);

    (void)state;
    memset(&test, 0, sizeof(test));
    test.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(test.listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(test.listener, 8), 0);
    assert_int_equal(getsockname(test.listener, (struct sockaddr *)&name, &size), 0);
    test.hook.timeout_s = 600;
    snprintf(test.hook.url, sizeof(test.hook.url), "http://127.0.0.1:%d/hook", ntohs(name.sin_port));
    assert_int_equal(uv_loop_init(&test.loop), 0);
    return hooks_new(&test.loop, answered, NULL, &test.hooks, NULL) == SERIN_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    close(test.listener);
    return uv_loop_close(&test.loop);
}

static void *answer_one(void *user)
{
    static const char answer[] = "HTTP/1.1 409 Conflict\r\nContent-Length: 8\r\nConnection: close\r\n\r\nnot\nyet!";
    int client = accept(test.listener, NULL, NULL);
    size_t size = 0;
    ssize_t n;

    (void)user;
    while (!strstr(test.request, "{\"a\":1}") &&
           (n = recv(client, test.request + size, sizeof(test.request) - 1 - size, 0)) > 0)
        size += (size_t)n;
    send(client, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
    close(client);
    return NULL;
}

static void a_gate_is_told_with_a_signature_and_says_why_it_refuses(void **state)
{
    pthread_t thread;

    (void)state;
    setenv("SERIN_TEST_SECRET", "secret", 1);
    strcpy(test.hook.secret_env, "SERIN_TEST_SECRET");
    assert_int_equal(pthread_create(&thread, NULL, answer_one, NULL), 0);
    assert_int_equal(hooks_call(test.hooks, &test.hook, "{\"a\":1}", 42, NULL), SERIN_OK);
    uv_run(&test.loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    assert_int_equal(test.answers, 1);
    assert_int_equal(test.answer.ticket, 42);
    assert_int_equal(test.answer.status, 409);
    assert_string_equal(test.answer.why, "not yet!");
    assert_non_null(strstr(test.request, "X-Serin-Signature: sha256="
                                         "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494\r\n"));
    hooks_close(test.hooks);
}

static void what_cannot_be_signed_is_not_sent(void **state)
{
    struct serin_error error;

    (void)state;
    strcpy(test.hook.secret_env, "SERIN_TEST_ABSENT");
    unsetenv("SERIN_TEST_ABSENT");
    assert_int_equal(hooks_check(&test.hook, &error), SERIN_INVALID);
    assert_int_equal(hooks_call(test.hooks, &test.hook, "{}", 1, &error), SERIN_INVALID);
    assert_string_equal(error.message, "not sent: its secret_env, SERIN_TEST_ABSENT, is not set in the server's "
                                       "environment");
    setenv("SERIN_TEST_ABSENT", "", 1);
    assert_int_equal(hooks_check(&test.hook, &error), SERIN_INVALID);
    setenv("SERIN_TEST_ABSENT", "secret", 1);
    assert_int_equal(hooks_check(&test.hook, &error), SERIN_OK);
    hooks_close(test.hooks);
}

static void the_end_does_not_wait_for_a_host_that_hangs(void **state)
{
    int client;

    (void)state;
    assert_int_equal(hooks_call(test.hooks, &test.hook, "{\"a\":1}", 1, NULL), SERIN_OK);
    client = accept(test.listener, NULL, NULL);
    hooks_close(test.hooks);
    uv_run(&test.loop, UV_RUN_DEFAULT); /* its time is ten minutes, more than this test has */
    assert_int_equal(test.answers, 0);
    close(client);
}

static void no_more_than_may_are_under_way(void **state)
{
    struct serin_error error;
    int i;

    (void)state;
    for (i = 0; i < HOOKS_IN_FLIGHT; i++)
        assert_int_equal(hooks_call(test.hooks, &test.hook, "", 1, NULL), SERIN_OK);
    assert_int_equal(hooks_call(test.hooks, &test.hook, "", 1, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "16 webhooks"));
    hooks_close(test.hooks);
    uv_run(&test.loop, UV_RUN_DEFAULT);
    assert_int_equal(test.answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_gate_is_told_with_a_signature_and_says_why_it_refuses, open_hooks, close_all),
        cmocka_unit_test_setup_teardown(what_cannot_be_signed_is_not_sent, open_hooks, close_all),
        cmocka_unit_test_setup_teardown(the_end_does_not_wait_for_a_host_that_hangs, open_hooks, close_all),
        cmocka_unit_test_setup_teardown(no_more_than_may_are_under_way, open_hooks, close_all),
    };

    hooks_make_room();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
