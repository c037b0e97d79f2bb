/*
 * class_list.h - the names of a model's classes, by number and by name: what labels may speak of.  Depends on base,
 * jansson. SPDX-License-Identifier: Apache-2.0
 *
 * Immutable once it is made, so threads share it; its owners are counted.
 */
#ifndef GATEWAY_CLASS_LIST_H
#define GATEWAY_CLASS_LIST_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct class_list;

/* names: a JSON array of texts, by number from 0. more (NULL: none): another such array, whose names are known too, but
 * have no numbers here: classes that only the canary has. SERIN_INVALID: it is no such array; SERIN_NOMEM. */
MUST_USE enum serin_errc class_list_new(const char *names, const char *more, struct class_list **ret,
                                        struct serin_error *error);
struct class_list *class_list_share(struct class_list *list); /* NULL gives NULL */
void class_list_drop(struct class_list *list);                /* NULL is fine */

int class_list_count(const struct class_list *list);                        /* of the numbers */
const char *class_list_name(const struct class_list *list, int64_t number); /* NULL: there is no such class */
bool class_list_has(const struct class_list *list, const char *name);

/* "it has 0 person, 1 car and 78 more", for sentences. */
void class_list_describe(const struct class_list *list, char *text, size_t size);

#endif
