#!/usr/bin/env python3
"""Label the people in a street clip with a larger detector.
SPDX-License-Identifier: Apache-2.0

The labeller is a COCO YOLOv8 with a 640 x 640 input (we used yolov8s.onnx). A pedestrian of this clip is about 30 x 80 px, so
every frame is looked at seven times: once whole, and in six overlapping 400 px tiles enlarged 1.6 times. Boxes of one person are
joined by score-weighted averaging; a box cut by an inner tile edge is dropped, since another tile has it whole.
Writes one text file per frame with `class cx cy w h`, all in 0..1, class 0 = person.
"""
import argparse
import pathlib

import cv2
import numpy as np
import onnxruntime as ort

SIDE = 640        # the labeller's input
TILE = 400        # side of a tile in frame pixels
EDGE = 3          # a box nearer than this to an inner tile edge counts as cut
CONFIDENCE = 0.4
SAME = 0.55       # IoU from which two boxes are one person
MIN_HEIGHT = 28   # pixels; smaller ones are drivers behind windscreens


def people(session, crop):
    """Boxes (xyxy, pixels of crop) and scores of the people in a crop, letterboxed into the labeller's input."""
    h, w = crop.shape[:2]
    r = SIDE / max(h, w)
    nh, nw = round(h * r), round(w * r)
    top, left = (SIDE - nh) // 2, (SIDE - nw) // 2
    canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
    canvas[top:top + nh, left:left + nw] = cv2.resize(crop, (nw, nh), interpolation=cv2.INTER_CUBIC if r > 1 else cv2.INTER_AREA)
    blob = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32) / 255
    out = session.run(None, {session.get_inputs()[0].name: blob})[0][0]
    keep = (out[4:].argmax(0) == 0) & (out[4] > CONFIDENCE)
    c = (out[:4, keep].T - [left, top, 0, 0]) / r
    return np.concatenate([c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2], 1), out[4, keep]


def iou(a, b):
    wh = np.clip(np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2]), 0, None)
    inter = wh[:, 0] * wh[:, 1]
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) - inter + 1e-9)


def label(session, frame):
    h, w = frame.shape[:2]
    boxes, scores = [], []
    views = [(0, 0, w, h)] + [(x, y, TILE, TILE) for y in (0, h - TILE) for x in (0, (w - TILE) // 2, w - TILE)]
    for x, y, vw, vh in views:
        b, s = people(session, frame[y:y + vh, x:x + vw])
        whole = ((b[:, 0] > EDGE) | (x == 0)) & ((b[:, 1] > EDGE) | (y == 0)) & \
                ((b[:, 2] < vw - EDGE) | (x + vw == w)) & ((b[:, 3] < vh - EDGE) | (y + vh == h))
        boxes.append(b[whole] + [x, y, x, y])
        scores.append(s[whole])
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    people_found = []
    left = np.ones(len(boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        if left[i]:
            same = left & (iou(boxes[i], boxes) > SAME)
            people_found.append(np.average(boxes[same], 0, scores[same]))
            left &= ~same
    found = np.clip(np.array(people_found).reshape(-1, 4), 0, [w, h, w, h])
    found = found[found[:, 3] - found[:, 1] >= MIN_HEIGHT]
    return np.concatenate([(found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]], 1) / [w, h, w, h]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("labeller", help="a COCO YOLOv8 detector as ONNX, f32 1x3x640x640")
    p.add_argument("frames", type=pathlib.Path, help="folder of NNNN.png")
    p.add_argument("labels", type=pathlib.Path, help="folder to write NNNN.txt to")
    p.add_argument("--range", action="append", required=True, metavar="FIRST:LAST:STEP", help="frame numbers, repeatable")
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = a.threads
    session = ort.InferenceSession(a.labeller, options, providers=["CPUExecutionProvider"])
    a.labels.mkdir(parents=True, exist_ok=True)
    for spec in a.range:
        first, last, step = map(int, spec.split(":"))
        for i in range(first, last + 1, step):
            path = a.labels / f"{i:04d}.txt"
            if path.exists():
                continue
            rows = label(session, cv2.imread(str(a.frames / f"{i:04d}.png")))
            path.write_text("".join("0 %.6f %.6f %.6f %.6f\n" % tuple(r) for r in rows))


if __name__ == "__main__":
    main()
