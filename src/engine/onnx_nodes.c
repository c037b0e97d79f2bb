/*
 * onnx_nodes.c - rounds over a graph's nodes, for those who check a file and those who read it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A node that has been visited is a bit, by its number in the file; the file is walked again in each round.
 */
#include "engine/onnx_nodes.h"

#include "engine/onnx_fields.h"

ONNX_MESSAGE(graph_message, "graph", GRAPH_FIELDS)
ONNX_MESSAGE(node_message, "node", NODE_FIELDS)

struct rounds {
    struct protobuf *file;
    const struct name_set *names;
    enum serin_errc (*visit)(void *user, struct slice node);
    void *user;
    struct serin_error *error;
    uint8_t taken[ONNX_MAX_NODES / 8]; /* bit: the node of that number has been visited */
};

/* Whether all that a node takes is there. */
static enum serin_errc inputs_are_made(const struct rounds *rounds, struct slice node, bool *ret)
{
    struct message message = message_open(rounds->file, &node_message, node);
    enum serin_errc rc;
    bool more = false;

    *ret = true;
    for (;;) {
        rc = message_next(&message, &more, rounds->error);
        if (rc || !more)
            return rc;
        if (message.number == NODE_INPUT && message.bytes.size && !name_set_find(rounds->names, message.bytes))
            *ret = false;
    }
}

/* One round; *ret_left: how many wait for others still. */
static enum serin_errc one_round(struct rounds *rounds, struct slice graph, bool last, size_t *ret_left)
{
    struct message message = message_open(rounds->file, &graph_message, graph);
    bool more = false, made = false;
    enum serin_errc rc;
    size_t at = 0;

    *ret_left = 0;
    for (;;) {
        rc = message_next(&message, &more, rounds->error);
        if (rc || !more)
            return rc;
        if (message.number != GRAPH_NODE)
            continue;
        if (at == ONNX_MAX_NODES)
            return error_set(rounds->error, SERIN_LIMIT, "more than %d nodes", ONNX_MAX_NODES);
        if (!(rounds->taken[at / 8] >> at % 8 & 1)) {
            rc = inputs_are_made(rounds, message.bytes, &made);
            if (rc == SERIN_OK && (made || last)) {
                rounds->taken[at / 8] |= (uint8_t)(1u << at % 8);
                rc = rounds->visit(rounds->user, message.bytes);
            } else {
                ++*ret_left;
            }
            if (rc)
                return rc;
        }
        at++;
    }
}

enum serin_errc onnx_nodes_visit(struct protobuf *file, struct slice graph, const struct name_set *names,
                                 enum serin_errc (*visit)(void *user, struct slice node), void *user,
                                 struct serin_error *error)
{
    struct rounds rounds = {.file = file, .names = names, .visit = visit, .user = user, .error = error};
    size_t left = SIZE_MAX, before;
    enum serin_errc rc = SERIN_OK;
    bool last = false;
    int round;

    for (round = 1; rc == SERIN_OK && left; round++) {
        before = left;
        rc = one_round(&rounds, graph, last, &left);
        last = left == before || round == ONNX_MAX_ROUNDS - 1;
    }
    return rc;
}
