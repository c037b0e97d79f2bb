/*
 * rollout_replay.h - serin rollout replay: judges a rollout again from what is on disk.  Depends on store, rollout.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_ROLLOUT_REPLAY_H
#define CLI_ROLLOUT_REPLAY_H

/* data_dir: NULL for the usual one. plan: a file with another plan to judge by, or NULL for the rollout's own.
 * rollout: an id, or a model's name for its newest. Returns the exit code: CLI_FAILED where anything differs. */
int rollout_replay(const char *data_dir, const char *plan, const char *rollout);

#endif
