/*
 * onnx_nodes.h - a graph's nodes, each after those that make its inputs.  Depends on onnx_probe.h, protobuf.h,
 * name_set.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_ONNX_NODES_H
#define ENGINE_ONNX_NODES_H

#include "engine/name_set.h"
#include "engine/onnx_probe.h"
#include "engine/protobuf.h"

/* Calls visit with the bytes of each node once, in rounds as onnx_probe.h tells: those whose inputs are among names, to
 * which visit adds what the node makes. In the last round nobody waits, so that visit may say what is not there.
 * Errors: visit's, SERIN_CORRUPT, SERIN_LIMIT (ONNX_MAX_NODES). */
MUST_USE enum serin_errc onnx_nodes_visit(struct protobuf *file, struct slice graph, const struct name_set *names,
                                          enum serin_errc (*visit)(void *user, struct slice node), void *user,
                                          struct serin_error *error);

#endif
