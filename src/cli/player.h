/*
 * player.h - sends footage to a gateway as cameras would, and counts what comes back.  Depends on footage.h, http.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An open loop: each camera sends at its times, whatever became of its earlier frames. Only where a camera has
 * in_flight frames on their way already is the next one dropped, and counted.
 */
#ifndef CLI_PLAYER_H
#define CLI_PLAYER_H

#include "base/histogram.h"
#include "cli/footage.h"

#include <stdbool.h>

#define PLAYER_MAX_VERSIONS  16
#define PLAYER_MAX_TAG       128
#define PLAYER_MAX_CAMERAS   1000
#define PLAYER_MAX_IN_FLIGHT 64
#define PLAYER_MAX_LABELS    100000 /* that wait for their time */

struct player_options {
    const char *to;                   /* as http_client_new takes it */
    const char *model;                /* a valid name */
    const struct footage *day, *dark; /* dark: NULL, or what is played for dark_share of the time, a stretch at once */
    double dark_share;
    double fps;     /* of each camera */
    double seconds; /* 0: until the footage ends */
    bool loop;      /* it never ends */
    int cameras, in_flight;
    unsigned timeout_ms; /* of one answer */
    /* Labels of this share of the answered frames that have some are posted as feedback, so long after the answer. */
    double label_share, label_delay_s;
};

struct player_version {
    char tag[PLAYER_MAX_TAG + 1]; /* of X-Serin-Version */
    uint64_t answers;
};

struct player_tally {
    double seconds; /* since the first frame was due */
    uint64_t sent, answered, errors, dropped, fallbacks;
    uint64_t labels, label_errors;              /* taken by the gateway; refused or lost */
    struct histogram_sum latency, last_latency; /* of the answers; of those since the last report */
    double last_seconds;                        /* that was ago */
    int version_count, cameras_switched;        /* cameras that were assigned to more than one version */
    struct player_version versions[PLAYER_MAX_VERSIONS];
    char first_error[400]; /* ""; a sentence */
};

/* About once a second while frames are sent; may be NULL. */
typedef void player_report(void *user, const struct player_tally *so_far);

/* Plays until the end, or SIGINT: frames on their way are waited for; a second SIGINT does not. Labels that wait for
 * their time are waited for at the end of the footage, and forgotten at SIGINT. SERIN_IO where nobody
 * listens from the beginning; later failures are counted in the tally, not errors of this function. SERIN_INVALID,
 * SERIN_NOMEM. */
MUST_USE enum serin_errc player_run(const struct player_options *options, player_report *report, void *user,
                                    struct player_tally *ret, struct serin_error *error);

#endif
