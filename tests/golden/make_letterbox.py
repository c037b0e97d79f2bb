"""make_letterbox.py - makes letterbox.tsv and centre_crop.tsv: what Ultralytics 8.4.190 with OpenCV 4.14 and Pillow 13 make of
deterministic pictures.
SPDX-License-Identifier: Apache-2.0

    python make_letterbox.py           (needs ultralytics, opencv-python-headless, torch, torchvision, pillow)

Only sizes, geometry and the SHA-256 of the resulting bytes are kept: src/image/letterbox_test.c makes the same pictures.
"""
import hashlib
import os
import random

import numpy
import torch
from PIL import Image
from ultralytics.data.augment import LetterBox, classify_transforms
from ultralytics.utils.ops import scale_boxes

HERE = os.path.dirname(os.path.abspath(__file__))


def picture(width, height, seed):
    """Noise; every third seed has only 0 and 255, where rounding and saturation show."""
    index = numpy.arange(width * height * 3, dtype=numpy.uint64) + numpy.uint64(seed * 7919)
    index = (index * numpy.uint64(2654435761)) & numpy.uint64(0xFFFFFFFF)
    index ^= index >> numpy.uint64(15)
    index = (index * numpy.uint64(2246822519)) & numpy.uint64(0xFFFFFFFF)
    values = (index >> numpy.uint64(24)).astype(numpy.uint8)
    if seed % 3 == 2:
        values = numpy.where(values & 1, 255, 0).astype(numpy.uint8)
    return values.reshape(height, width, 3)


def digest(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()


def transform_back(input_height, input_width, image_height, image_width):
    """Gains and padding of scale_boxes, seen from outside: it is linear in the box before it clips."""
    seen = {}

    class Box:
        def __getitem__(self, key):
            return Step(seen, key[1])

        def __setitem__(self, key, value):
            pass

    class Step:
        def __init__(self, seen, axis):
            self.seen, self.axis = seen, axis

        def __isub__(self, padding):
            self.seen["padding", self.axis] = padding
            return self

        def __itruediv__(self, gain):
            self.seen["gain", self.axis] = gain
            return self

    scale_boxes((input_height, input_width), Box(), (image_height, image_width), xywh=True)
    return seen["gain", 0], seen["gain", 1], seen["padding", 0], seen["padding", 1]


def letterbox_sizes():
    """(image width, image height, input width, input height, rect, stride)"""
    rng = random.Random(20240229)
    for size in ((1920, 1080), (1280, 720), (1280, 721), (810, 1080), (768, 576), (640, 640), (640, 480), (480, 640),
                 (641, 640), (639, 640), (2000, 1500), (500, 375), (375, 500), (1, 1), (2, 1), (1, 2), (1, 2000), (2000, 1),
                 (3, 3), (320, 320), (1281, 1281), (42, 42), (43, 43), (41, 5), (7, 1999), (20, 20), (22, 22)):
        yield (*size, 640, 640, 0, 32)
        yield (*size, 640, 640, 1, 32)
    for size in ((640, 640), (640, 360), (320, 2), (2, 2), (638, 426), (84, 86)):  # exact halving
        yield (*size, size[0] // 2, size[1] // 2, 0, 32)
        yield (*size, 320, 320, 1, 32)
    for size in ((1280, 1280), (300, 200), (1200, 900)):
        yield (*size, 1280, 1280, 0, 32)
    for width in range(1, 70):  # every tail of a vector, on both sides
        yield (width, 9, 64, 64, 0, 32)
        yield (100 + width, 5, width, 32, 0, 32)
    for _ in range(320):
        largest = rng.choice((40, 300, 800, 2000))
        width = max(1, int(largest * rng.random() ** 1.5))
        height = max(1, int(min(largest, 700000 / width) * rng.random() ** 1.5))
        if rng.random() < 0.5:
            width, height = height, width
        shape = rng.choice(((320, 320), (320, 320), (640, 640), (320, 192), (96, 256), (333, 211), (32, 32)))
        rect = int(rng.random() < 0.4)
        yield (width, height, *shape, rect, rng.choice((32, 32, 64, 7)))


def crop_sizes():
    rng = random.Random(7)
    for size in ((224, 224), (225, 224), (224, 225), (500, 375), (375, 500), (1280, 720), (1, 1), (3, 2), (1, 50), (2000, 7),
                 (100, 100), (448, 448), (447, 900)):
        yield (*size, 224)
    for _ in range(60):
        yield (1 + int(900 * rng.random() ** 1.5), 1 + int(900 * rng.random() ** 1.5), rng.choice((224, 64, 33, 1, 96)))


def main():
    with open(os.path.join(HERE, "letterbox.tsv"), "w") as out:
        out.write("# made by make_letterbox.py: image w, h, input w, h, rect, stride, seed; then resized w, h, left, top, input w, h, "
                  "gain x, y, padding x, y, sha256 of the RGB bytes\n")
        for seed, (width, height, input_width, input_height, rect, stride) in enumerate(letterbox_sizes()):
            box = LetterBox((input_height, input_width), auto=bool(rect), stride=stride)
            image = picture(width, height, seed)
            plan = box.get_params({"img": image})
            result = box(image=image)
            back = transform_back(*result.shape[:2], height, width)
            out.write("\t".join(str(v) for v in (
                width, height, input_width, input_height, rect, stride, seed, *plan["new_unpad"], plan["left"], plan["top"],
                result.shape[1], result.shape[0], *(repr(float(v)) for v in back), digest(result))) + "\n")
    with open(os.path.join(HERE, "centre_crop.tsv"), "w") as out:
        out.write("# made by make_letterbox.py: image w, h, size, seed, sha256 of the planes as bytes\n")
        for seed, (width, height, size) in enumerate(crop_sizes()):
            steps = classify_transforms((size, size)).transforms[:2]
            image = Image.fromarray(picture(width, height, seed))
            for step in steps:
                image = step(image)
            out.write("\t".join(str(v) for v in (width, height, size, seed,
                                                 digest(numpy.array(image).transpose(2, 0, 1)))) + "\n")
    bytes_ = torch.arange(256, dtype=torch.uint8)
    with open(os.path.join(HERE, "byte_quotients.tsv"), "w") as out:
        out.write("# made by make_letterbox.py: the bits of byte / 255 as PyTorch has them, float32 and float16\n")
        single = bytes_.float().div_(255).numpy().view(numpy.uint32)
        half = bytes_.half().div_(255).numpy().view(numpy.uint16)
        for a, b in zip(single, half):
            out.write(f"{a:08x}\t{b:04x}\n")


main()
