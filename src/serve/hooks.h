/*
 * hooks.h - webhooks: a POST of JSON, and what came back.  Depends on libuv, libcurl, rollout/plan.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Calls run on libuv's pool of threads, so that a host that hangs holds up nobody: at most HOOKS_IN_FLIGHT at once,
 * more are refused; hooks_make_room keeps threads of the pool free for others. http and https only, no redirects, the
 * answer's body is not kept but for its first bytes, which may say why a gate refuses.
 */
#ifndef SERVE_HOOKS_H
#define SERVE_HOOKS_H

#include "base/error.h"
#include "rollout/plan.h"

#include <uv.h>

#define HOOKS_IN_FLIGHT 16

struct hooks;

struct hook_answer {
    uint64_t ticket;
    int status;    /* 0: none came */
    char why[200]; /* the beginning of its body, or what went wrong */
};

/* Before the first use of libuv's pool: its threads are as many as may wait for hosts, and those that resolve names. */
void hooks_make_room(void);

/* answered is called on the loop's thread for each call, unless the hooks are closed. */
MUST_USE enum serin_errc hooks_new(uv_loop_t *loop,
                                   void (*answered)(void *user, const struct plan_webhook *hook,
                                                    const struct hook_answer *answer),
                                   void *user, struct hooks **ret, struct serin_error *error);
/* Whether it can be signed as its plan asks: SERIN_INVALID where its secret is not in the environment, or is empty. */
MUST_USE enum serin_errc hooks_check(const struct plan_webhook *hook, struct serin_error *error);
/* Posts body (copied). SERIN_INVALID: as hooks_check, and nothing is sent; SERIN_LIMIT: too many are under way. */
MUST_USE enum serin_errc hooks_call(struct hooks *hooks, const struct plan_webhook *hook, const char *body,
                                    uint64_t ticket, struct serin_error *error);
/* Those in flight are given up within about a second, and nobody is told. The memory goes with the last of them, on the
 * loop. NULL is fine. */
void hooks_close(struct hooks *hooks);

#endif
