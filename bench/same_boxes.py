"""Whether two servers found the same boxes: lists of {"name", "confidence", "box": {"x1", "y1", "x2", "y2"}} in px.

SPDX-License-Identifier: Apache-2.0
"""
CONF = .25  # the threshold that all use
NEAR = .01  # how far scores may be apart
OVERLAP = .98  # the least IoU


def overlap(one, other):
    a, b = one["box"], other["box"]
    wide = min(a["x2"], b["x2"]) - max(a["x1"], b["x1"])
    high = min(a["y2"], b["y2"]) - max(a["y1"], b["y1"])
    both = max(wide, 0) * max(high, 0)
    areas = [(box["x2"] - box["x1"]) * (box["y2"] - box["y1"]) for box in (a, b)]
    return both / max(sum(areas) - both, 1e-9)


def different(mine, other, near=NEAR, least=OVERLAP):
    """How many boxes of either have no counterpart in the other. Scores near the threshold may be on one side only."""
    alone, left = 0, list(other)
    for box in mine:
        found = [at for at in left if at["name"] == box["name"] and abs(at["confidence"] - box["confidence"]) <= near
                 and overlap(at, box) >= least]
        if found:
            left.remove(max(found, key=lambda at, box=box: overlap(at, box)))
        else:
            alone += box["confidence"] > CONF + near
    return alone + sum(box["confidence"] > CONF + near for box in left)
