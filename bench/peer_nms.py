#!/usr/bin/env python3
"""The same 8400 boxes through torchvision's nms where it is installed, and through numpy.

Prints one JSON object a line, as bench_nms does.   peer_nms.py BOXES.f32
SPDX-License-Identifier: Apache-2.0
"""
import json
import statistics
import sys
import time

import numpy as np

ROUNDS, MAX_DET, IOU = 21, 300, 0.7


def numpy_nms(boxes, scores):
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order) and len(kept) < MAX_DET:
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        overlap = np.prod(np.clip(high - low, 0, None), axis=1)
        order = rest[overlap / (areas[best] + areas[rest] - overlap) <= IOU]
    return len(kept)


def measure(name, call):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        kept = call()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps({"name": name, "kept": kept, "median_ms": round(statistics.median(times), 4)}))


def main():
    rows = np.fromfile(sys.argv[1], dtype=np.float32).reshape(-1, 5)
    boxes, scores = np.ascontiguousarray(rows[:, :4]), np.ascontiguousarray(rows[:, 4])
    measure("numpy", lambda: numpy_nms(boxes, scores))
    try:
        import torch
        import torchvision
    except ImportError:
        return
    torch.set_num_threads(1)
    tensor, values = torch.from_numpy(boxes), torch.from_numpy(scores)
    measure("torchvision", lambda: min(MAX_DET, len(torchvision.ops.nms(tensor, values, IOU))))


main()
