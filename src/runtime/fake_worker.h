/*
 * fake_worker.h - the test program's other face: a worker that behaves as badly as it is told.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_FAKE_WORKER_H
#define RUNTIME_FAKE_WORKER_H

/* arguments: a socket's path, then verbs that are done one after the other (fake_worker.c has the list). */
int fake_worker_main(int count, char **arguments);

#endif
