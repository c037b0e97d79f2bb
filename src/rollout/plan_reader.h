/*
 * plan_reader.h - what the files that read a plan's YAML share.  For plan_nodes.c and plan_read*.c alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every function that can fail sets reader->error to a sentence that begins with the node's line, and returns
 * SERIN_INVALID unless said; ret is written on success only. Texts that are returned belong to the document.
 */
#ifndef ROLLOUT_PLAN_READER_H
#define ROLLOUT_PLAN_READER_H

#include "rollout/plan_inside.h"

#include <yaml.h>

struct plan_reader {
    yaml_document_t document;
    struct plan *plan; /* one of the two */
    struct calendar *calendar;
    struct serin_error *error;
    const yaml_node_t *proves[JUDGE_MAX_STEPS]; /* a step's margins are read when the guards and steps are known */
};

/* ---- plan_nodes.c ---- */

/* An error of this node: AT_LINE(reader, node, format, ...). */
#define AT_LINE(reader, node, ...) plan_at_line(reader, node, error_set((reader)->error, SERIN_INVALID, __VA_ARGS__))
enum serin_errc plan_at_line(struct plan_reader *reader, const yaml_node_t *node, enum serin_errc rc);
yaml_node_t *plan_node_at(struct plan_reader *reader, int index);

/* Words are arrays that end with NULL. */
int plan_index(const char *word, size_t length, const char *const *words); /* -1: not one of them */
const char *plan_nearest(const char *word, const char *const *words);      /* NULL: none is near */
/* The error that word is no such thing; nearest: the one that was probably meant, or NULL. */
enum serin_errc plan_unknown(struct plan_reader *reader, const yaml_node_t *node, const char *what, const char *word,
                             const char *nearest);

/* Scalars. key or name: what the sentence calls the value. */
const char *plan_node_text(const yaml_node_t *node); /* NULL where node is no text, or has a NUL within */
/* *ret is NULL on an error. */
MUST_USE enum serin_errc plan_need_text(struct plan_reader *reader, const char *key, const yaml_node_t *node,
                                        const char **ret);
MUST_USE enum serin_errc plan_read_number(struct plan_reader *reader, const struct plan_key *key, const char *name,
                                          const yaml_node_t *node, double *ret);
MUST_USE enum serin_errc plan_read_text(struct plan_reader *reader, const char *key, const yaml_node_t *node, char *ret,
                                        size_t size);
MUST_USE enum serin_errc plan_read_flag(struct plan_reader *reader, const char *key, const yaml_node_t *node,
                                        bool *ret);
MUST_USE enum serin_errc plan_read_choice(struct plan_reader *reader, const struct plan_key *key,
                                          const yaml_node_t *node, int *ret);
/* A name of a header, as RFC 9110's token. */
MUST_USE enum serin_errc plan_check_token(struct plan_reader *reader, const char *key, const yaml_node_t *node,
                                          const char *text);

/* Maps. Keys are known, and each stands there once. */
MUST_USE enum serin_errc plan_check_keys(struct plan_reader *reader, enum plan_section section, const char *what,
                                         const yaml_node_t *map);
const yaml_node_t *plan_find(struct plan_reader *reader, const yaml_node_t *map, const char *name); /* NULL */

/* A list of low to high items, or one item without its list. */
struct plan_items {
    const yaml_node_t *list;
    int count;
};
MUST_USE enum serin_errc plan_read_items(struct plan_reader *reader, const char *what, const yaml_node_t *node, int low,
                                         int high, struct plan_items *ret);
const yaml_node_t *plan_item_at(struct plan_reader *reader, const struct plan_items *items, int i);

/* ---- plan_read.c: the keys of a section into the record that their fields lie in ---- */

MUST_USE enum serin_errc plan_read_map(struct plan_reader *reader, enum plan_section section, const char *what,
                                       const yaml_node_t *node, void *record);

/* ---- plan_read_guards.c ---- */

/* "light", or {camera: {values: 64}} */
MUST_USE enum serin_errc plan_read_slice(struct plan_reader *reader, const yaml_node_t *node,
                                         struct judge_dimension *ret);
/* "error_rate", or {metric: error_rate, margin: 0.5} */
MUST_USE enum serin_errc plan_read_guard(struct plan_reader *reader, const yaml_node_t *node,
                                         struct judge_guard *guard);
/* A guard's slices, of those that the plan declares: bits. */
MUST_USE enum serin_errc plan_read_names(struct plan_reader *reader, const yaml_node_t *node, uint32_t *ret);
/* The margins that a step proves, of the plan's guards. */
MUST_USE enum serin_errc plan_read_prove(struct plan_reader *reader, const yaml_node_t *map, int step);

/* ---- plan_read_calendar.c ---- */

MUST_USE enum serin_errc plan_read_days(struct plan_reader *reader, const yaml_node_t *node, uint8_t *ret);
/* A time of day or a date. Which of them a window has is checked when it is whole. */
MUST_USE enum serin_errc plan_read_edge(struct plan_reader *reader, const char *name, const yaml_node_t *node,
                                        struct calendar_window *window);
MUST_USE enum serin_errc plan_read_window(struct plan_reader *reader, const yaml_node_t *node,
                                          struct calendar_window *window);

#endif
