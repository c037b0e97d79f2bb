/*
 * cgroup_place.h - where our own control group lies in the file system.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_CGROUP_PLACE_H
#define RUNTIME_CGROUP_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* own: /proc/self/cgroup, mounts: /proc/self/mountinfo, both read from their beginning. Returns the version of the
 * hierarchy that has the controller (version 2 is assumed to; its cgroup.controllers tells) and writes our group's
 * folder into path; 0 where it is not mounted, or the path is longer than size. */
int cgroup_place(FILE *own, FILE *mounts, const char *controller, char *path, size_t size);

/* Whether word is one of text's, which the separators divide. */
bool cgroup_has_word(const char *text, const char *separators, const char *word);

#endif
