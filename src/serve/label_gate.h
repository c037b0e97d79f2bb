/*
 * label_gate.h - which models' rollouts take labels, of which classes, and from whom; the gateway is told.
 * For src/serve alone; all on the control thread. SPDX-License-Identifier: Apache-2.0
 *
 * The classes are those of stable's bundle; without one stable is somebody's server (--url), and is asked once what it
 * tells of its model (declaration.h).
 */
#ifndef SERVE_LABEL_GATE_H
#define SERVE_LABEL_GATE_H

#include "serve/inside.h"

struct observer;
struct label_gate;

/* Makes itself the observer's source of classes and keys. Both are borrowed. SERIN_NOMEM. */
MUST_USE enum serin_errc label_gate_new(struct server *server, struct observer *observer, struct label_gate **ret,
                                        struct serin_error *error);
/* Tells the gateway: when a rollout began or ended, or its route changed. */
void label_gate_renew(struct label_gate *gate);
/* Once a second or so: the same, and asks for classes that are not known. */
void label_gate_tick(struct label_gate *gate);
/* Its memory goes when the loop has let go of its client. NULL is fine. */
void label_gate_close(struct label_gate *gate);

#endif
