/*
 * fuzz_plan.c - fuzz target: bytes as a plan, and as a calendar.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is accepted must be written back as a plan that is the same, bytes for bytes, and give needs that are numbers.
 */
#include "base/buffer.h"
#include "rollout/calendar.h"
#include "rollout/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void see_need(void *user, const struct plan_need *need)
{
    (void)user;
    if (need->units < 0 || need->time_s < 0)
        abort();
}

static void see_warning(void *user, const char *sentence)
{
    (void)user;
    if (!*sentence)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct plan_traffic traffic = {10, 1, .01, 8};
    struct plan *plan = malloc(sizeof(*plan)), *again = malloc(sizeof(*again));
    struct serin_error error = {.code = SERIN_OK};
    char until[CALENDAR_UNTIL_BYTES];
    struct calendar calendar;
    struct buffer text;
    int64_t until_ms;
    bool frozen;

    if (!plan || !again)
        abort();
    buffer_init(&text, 4 * PLAN_MAX_BYTES);
    if (plan_read((const char *)bytes, size, plan, &error) == SERIN_OK) {
        plan_write(plan, true, &text);
        if (buffer_check(&text, "plan", NULL) != SERIN_OK ||
            plan_read(text.bytes, text.size, again, NULL) != SERIN_OK || memcmp(plan, again, sizeof(*plan)) != 0)
            abort();
        plan_lint(plan, &traffic, see_need, see_warning, NULL);
    } else if (error.code == SERIN_OK || error.message[0] == '\0') {
        abort();
    }
    if (calendar_read((const char *)bytes, size, &calendar, &error) == SERIN_OK) {
        if (calendar_frozen(&calendar, 1700000000000, &frozen, &until_ms, NULL) != SERIN_OK ||
            (frozen && until_ms <= 1700000000000))
            abort();
        calendar_until(&calendar, 1700000000000, until_ms, until);
    }
    buffer_done(&text);
    free(plan);
    free(again);
    return 0;
}
