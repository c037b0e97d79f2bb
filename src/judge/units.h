/*
 * units.h - from requests to units of assignment: what a camera did in one block counts once.  Depends on record.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where a key (a camera) is drawn and not each request, the draw is the unit: its value is the mean over its records.
 * A block's unit belongs to the arm and the share of its first record. A key that is drawn once for all keeps its
 * version when the share rises, so only those that stable still has are drawn again, by the rest of the share:
 * (share - share of before) / (1 - share of before); a key that is on the canary already tells nothing new.
 */
#ifndef JUDGE_UNITS_H
#define JUDGE_UNITS_H

#include "judge/record.h"

#define UNITS_MAX (1 << 18) /* open at once; what comes when they are used up is not counted */

enum units_stream { UNITS_REQUESTS, UNITS_LABELS, UNITS_SIZES, UNITS_STREAMS };

struct cell;
struct unit {
    struct cell *cell;
    int camera, side;
    enum judge_arm arm;
    double rho, n, x;
    uint32_t draw; /* its number */
    bool closed;
};

struct draw {
    int64_t block;
    enum judge_arm arm;
    double rho, share;
    uint32_t number; /* 0: never drawn */
    bool over;       /* nothing that comes now belongs to it */
};

struct units {
    bool keyed; /* drawn once for all */
    double block_s;
    int64_t block;
    int camera_count;
    struct draw *draws; /* of camera c and stream s at c * UNITS_STREAMS + s */
    struct unit *units;
    uint32_t count, capacity, mask, next_number;
    uint32_t *slots; /* of units by cell, camera and side: index + 1 */
};

MUST_USE enum serin_errc units_init(struct units *units, int cameras, double block_s, bool keyed,
                                    struct serin_error *error);
void units_done(struct units *units);

/* The draw that a record of a camera belongs to; NULL: to none that still counts. *ret_new: it is the first of it. */
const struct draw *units_draw(struct units *units, int camera, enum units_stream stream, enum judge_arm arm,
                              double share, double at_s, bool *ret_new);

/* A record's value for a cell. draw NULL: a mirrored pair, which no draw made. */
void units_add(struct units *units, const struct draw *draw, int camera, struct cell *cell, int side, double x);

/* At t_s: hands out the units of blocks that have ended, in the order of their first records. Returns whether there was
 * an end. */
bool units_close(struct units *units, double t_s, void (*closed)(void *user, const struct unit *unit), void *user);

#endif
