/*
 * tap_test.c - what one thread says of requests another one hears, in order, and no more waits than may.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/inside.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 200000

static int make_gateway(void **state)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));

    if (!gateway)
        return -1;
    gateway->options.threads = 2;
    for (int i = 0; i < 2; i++) {
        gateway->threads[i].gateway = gateway;
        gateway->threads[i].counters = calloc(GATEWAY_MAX_SLOTS, sizeof(*gateway->threads[i].counters));
    }
    *state = gateway;
    return 0;
}

static int free_gateway(void **state)
{
    struct gateway *gateway = *state;
    struct gateway_sighting *sighting;

    while ((sighting = gateway_take_sighting(gateway)) != NULL)
        gateway_sighting_free(sighting);
    for (int i = 0; i < 2; i++)
        free(gateway->threads[i].counters);
    free(gateway);
    return 0;
}

static struct gateway_entry entry_of(uint32_t stable, uint32_t canary)
{
    struct gateway_entry entry = {0};

    route_init(&entry.route, "m");
    entry.route.version_count = 2;
    strcpy(entry.route.stable, "v1");
    strcpy(entry.route.versions[0].tag, "v1");
    strcpy(entry.route.versions[1].tag, "v2");
    entry.route.versions[0].weight = stable;
    entry.route.versions[1].weight = canary;
    entry.route.revision = 7;
    return entry;
}

static void tells_the_share_of_the_draw(void **state)
{
    struct gateway_entry entry = entry_of(990, 10);
    struct gateway_sighting *sighting = sighting_new(&entry, "id", "c7");

    (void)state;
    assert_float_equal(sighting->trial_share, .01, 1e-12);
    assert_string_equal(sighting->model, "m");
    assert_string_equal(sighting->key, "c7");
    assert_int_equal(sighting->revision, 7);
    gateway_sighting_free(sighting);
    entry = entry_of(0, 0);
    sighting = sighting_new(&entry, "id", "");
    assert_float_equal(sighting->trial_share, 0, 0);
    gateway_sighting_free(sighting);
}

static void keeps_no_more_than_its_room(void **state)
{
    struct gateway *gateway = *state;
    struct thread *thread = &gateway->threads[1];
    struct gateway_entry entry = entry_of(1, 1);
    struct gateway_sighting *sighting;
    int i, taken = 0;

    for (i = 0; i < TAP_SIGHTINGS + 5; i++)
        tap_push_request(thread, 3, sighting_new(&entry, "id", ""));
    assert_int_equal(thread->counters[3].untold, 5);
    tap_push_request(thread, 3, NULL);
    while ((sighting = gateway_take_sighting(gateway)) != NULL) {
        gateway_sighting_free(sighting);
        taken++;
    }
    assert_int_equal(taken, TAP_SIGHTINGS);
    assert_int_equal(thread->tap.bytes, 0);
    /* and by bytes: three bodies of 6 MiB do not fit in 16 */
    for (i = 0; i < 3; i++) {
        struct bytes *body = bytes_new((size_t)6 << 20);

        assert_non_null(body);
        body->size = (size_t)6 << 20;
        sighting = sighting_new(&entry, "id", "");
        sighting_set(&sighting->own, 200, 1, body);
        bytes_drop(body);
        tap_push_request(thread, 3, sighting);
    }
    assert_int_equal(thread->counters[3].untold, 6);
}

static void for_want_of_room_a_picture_goes_alone(void **state)
{
    struct gateway *gateway = *state;
    struct thread *thread = &gateway->threads[1];
    struct gateway_entry entry = entry_of(1, 1);
    struct gateway_sighting *sighting;
    int i, taken = 0, pictures = 0;

    for (i = 0; i < 5; i++) {
        sighting = sighting_new(&entry, "id", "");
        assert_non_null(sighting->picture = bytes_new(1));
        sighting->picture->size = TAP_PICTURES / 2; /* as large as that, for the tap */
        tap_push_request(thread, 3, sighting);
    }
    assert_int_equal(thread->counters[3].untold, 0);
    while ((sighting = gateway_take_sighting(gateway)) != NULL) {
        pictures += sighting->picture != NULL;
        taken++;
        gateway_sighting_free(sighting);
    }
    assert_int_equal(taken, 5);
    assert_int_equal(pictures, 2);
    assert_int_equal(thread->tap.picture_bytes, 0);
}

static void a_busy_thread_does_not_silence_the_others(void **state)
{
    struct gateway *gateway = *state;
    struct gateway_entry entry = entry_of(1, 1);
    struct gateway_sighting *sighting;
    int i, heard = 0;

    for (i = 0; i < 4; i++)
        tap_push_request(&gateway->threads[1], 3, sighting_new(&entry, "quiet", ""));
    for (i = 0; i < 8; i++) { /* as fast as they are taken, the busy one tells of more */
        tap_push_request(&gateway->threads[0], 3, sighting_new(&entry, "busy", ""));
        sighting = gateway_take_sighting(gateway);
        assert_non_null(sighting);
        heard += strcmp(sighting->request_id, "quiet") == 0;
        gateway_sighting_free(sighting);
    }
    assert_int_equal(heard, 4);
}

static void *push_many(void *argument)
{
    struct thread *thread = argument;
    struct gateway_entry entry = entry_of(1, 1);

    for (int i = 0; i < MANY; i++) {
        struct gateway_sighting *sighting = sighting_new(&entry, "id", "");

        sighting->revision = (uint64_t)i;
        tap_push_request(thread, 3, sighting);
    }
    return NULL;
}

static void keeps_order_between_threads(void **state)
{
    struct gateway *gateway = *state;
    struct thread *thread = &gateway->threads[0];
    struct gateway_sighting *sighting;
    uint64_t taken = 0, next = 0;
    pthread_t id;

    assert_int_equal(pthread_create(&id, NULL, push_many, thread), 0);
    while (taken + atomic_load(&thread->counters[3].untold) < MANY) {
        sighting = gateway_take_sighting(gateway);
        if (!sighting)
            continue;
        assert_true(sighting->revision >= next);
        next = sighting->revision + 1;
        taken++;
        gateway_sighting_free(sighting);
    }
    pthread_join(id, NULL);
    assert_true(taken >= TAP_SIGHTINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_share_of_the_draw),
        cmocka_unit_test_setup_teardown(keeps_no_more_than_its_room, make_gateway, free_gateway),
        cmocka_unit_test_setup_teardown(for_want_of_room_a_picture_goes_alone, make_gateway, free_gateway),
        cmocka_unit_test_setup_teardown(a_busy_thread_does_not_silence_the_others, make_gateway, free_gateway),
        cmocka_unit_test_setup_teardown(keeps_order_between_threads, make_gateway, free_gateway),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
