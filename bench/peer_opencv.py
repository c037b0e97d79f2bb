#!/usr/bin/env python3
"""peer_opencv.py - what bench_letterbox measures, done with OpenCV and NumPy on one thread. Prints a JSON object a line.

SPDX-License-Identifier: Apache-2.0
Usage: peer_opencv.py picture.jpg   (needs opencv-python and numpy; says so and exits with 77 where they are absent)
"""
import json
import statistics
import sys
import time

try:
    import cv2
    import numpy
except ImportError as missing:
    print(f"peer_opencv.py: skipped, {missing}", file=sys.stderr)
    sys.exit(77)

INPUT_PX = 640
CALLS = 51


def letterbox(image):
    height, width = image.shape[:2]
    gain = min(INPUT_PX / height, INPUT_PX / width)
    resized_width, resized_height = max(round(width * gain), 1), max(round(height * gain), 1)
    if (width, height) != (resized_width, resized_height):
        image = cv2.resize(image, (resized_width, resized_height), interpolation=cv2.INTER_LINEAR)
    x, y = INPUT_PX - resized_width, INPUT_PX - resized_height
    left, top = round(x / 2 - 0.1), round(y / 2 - 0.1)
    return cv2.copyMakeBorder(image, top, y - top, left, x - left, cv2.BORDER_CONSTANT, value=(114, 114, 114))


def to_tensor(image):
    """The quickest way with OpenCV and NumPy: planes first, as bytes, then one division."""
    planes = numpy.stack(cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))
    return numpy.divide(planes, numpy.float32(255), dtype=numpy.float32)


def main():
    cv2.setNumThreads(1)
    with open(sys.argv[1], "rb") as file:
        encoded = numpy.frombuffer(file.read(), numpy.uint8)
    decode_ms, letterbox_ms, both_ms = [], [], []
    for _ in range(CALLS):
        start = time.perf_counter()
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        decoded = time.perf_counter()
        to_tensor(letterbox(image))
        end = time.perf_counter()
        decode_ms.append(1e3 * (decoded - start))
        letterbox_ms.append(1e3 * (end - decoded))
        both_ms.append(1e3 * (end - start))
    print(json.dumps({
        "bench": "decode_letterbox", "implementation": f"opencv {cv2.__version__}",
        "image": f"{image.shape[1]}x{image.shape[0]}", "decode_ms": round(statistics.median(decode_ms), 3),
        "letterbox_ms": round(statistics.median(letterbox_ms), 3),
        "best_letterbox_ms": round(min(letterbox_ms), 3),
        "decode_letterbox_ms": round(statistics.median(both_ms), 3), "best_ms": round(min(both_ms), 3)}))


main()
