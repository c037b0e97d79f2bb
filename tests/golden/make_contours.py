#!/usr/bin/env python3
"""Outlines of binary masks as OpenCV finds and Ultralytics joins them: contours.txt for src/yolo/contour_test.c.

Run in an environment with opencv-python-headless 4.x and ultralytics 8.4.190:  make_contours.py > contours.txt
A case is three lines: width, height, points; the mask as rows of 0 and 1; x y of each point.
SPDX-License-Identifier: Apache-2.0
"""
import cv2
import numpy as np
from ultralytics.data.converter import merge_multi_segment

CASES = 160


def outline(mask):
    found = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    pieces = [piece.reshape(-1, 2) for piece in found]
    if not pieces:
        return np.zeros((0, 2), int)
    return pieces[0] if len(pieces) == 1 else np.concatenate(merge_multi_segment(pieces)).astype(int)


def main():
    random = np.random.default_rng(3)
    print(CASES)
    for case in range(CASES):
        height, width = random.integers(1, 20, 2)
        mask = (random.random((height, width)) < random.choice([0.2, 0.5, 0.7, 0.9])).astype("uint8")
        if case % 2:  # blobs with holes rather than noise
            mask = cv2.resize(mask, (int(width) * 3, int(height) * 3), interpolation=cv2.INTER_NEAREST)
            mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3)))
        points = outline(mask)
        print(mask.shape[1], mask.shape[0], len(points))
        print("".join(str(value) for value in mask.flatten()))
        print(*points.flatten())


main()
