#!/usr/bin/env python3
"""Draw the synthetic data sets of the miniature models.
SPDX-License-Identifier: Apache-2.0

Coloured figures on textured backgrounds, one data set per task:
  detect, segment  circle, square, triangle, 1 to 5 in a scene
  obb              bar (long) and plate (stout), turned by any angle
  pose             a stick figure with 5 key points: head, left hand, right hand, left foot, right foot (as seen in the image)
  classify         one of circle, square, triangle, star, cross, ring
`shapes.py data DIR` writes DIR/<task>/ as ultralytics reads it; `shapes.py images DIR` writes the test images.
Everything follows from --seed.
"""
import argparse
import pathlib

import cv2
import numpy as np

SHAPES = ["circle", "square", "triangle"]
CLASSES = SHAPES + ["star", "cross", "ring"]
BARS = ["bar", "plate"]
TASKS = ["detect", "segment", "pose", "obb", "classify"]


def background(rng, w, h):
    """Two layers of smooth coloured noise, a gradient and a little grain."""
    image = np.full((h, w, 3), rng.uniform(70, 185, 3), np.float32)
    for cells, amount in ((3, 25), (12, 12)):
        grid = rng.normal(0, amount, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
    x, y = np.meshgrid(np.linspace(-1, 1, w), np.linspace(-1, 1, h))
    image += ((x * rng.uniform(-20, 20) + y * rng.uniform(-20, 20))[..., None]).astype(np.float32)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def colour_unlike(rng, image, centre):
    """A colour well away from what lies at centre."""
    below = image[min(int(centre[1]), image.shape[0] - 1), min(int(centre[0]), image.shape[1] - 1)].astype(float)
    while True:
        c = rng.uniform(0, 255, 3)
        if np.linalg.norm(c - below) > 120:
            return tuple(int(v) for v in c)


def outline(rng, name, r):
    """The corners of a shape of radius r around the origin."""
    def ring(n, radius, turn):
        t = turn + 2 * np.pi * np.arange(n) / n
        return np.stack([np.cos(t), np.sin(t)], 1) * np.broadcast_to(radius, n)[:, None]
    if name in ("circle", "ring"):
        return ring(28, r, 0)
    if name == "square":
        return ring(4, r, np.pi / 4 + rng.uniform(-.3, .3))
    if name == "triangle":
        return ring(3, r, -np.pi / 2 + rng.uniform(-.4, .4))
    if name == "star":
        return ring(10, np.where(np.arange(10) % 2, .42 * r, r), -np.pi / 2 + rng.uniform(-.3, .3))
    a = r * .33
    cross = np.array([(-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r), (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a)])
    t = rng.uniform(-.25, .25)
    return cross @ np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])


def fill(image, corners, colour):
    fixed = np.round(corners * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, 4)
    cv2.polylines(image, [fixed], True, tuple(int(c * .5) for c in colour), 1, cv2.LINE_AA, 4)


def extent(points):
    return np.concatenate([points.min(0), points.max(0)])


def apart(box, others, gap=2):
    return all(box[0] > o[2] + gap or box[2] < o[0] - gap or box[1] > o[3] + gap or box[3] < o[1] - gap for o in others)


def place(rng, w, h, points, others):
    """points moved to a free place in the image, or None."""
    lo, hi = points.min(0), points.max(0)
    room = np.array([w, h]) - (hi - lo) - 2
    if (room < 1).any():
        return None
    for _ in range(20):
        moved = points - lo + 1 + rng.uniform(0, 1, 2) * room
        if apart(extent(moved), others):
            return moved
    return None


def figure(rng, size):
    """A stick figure: strokes and its five key points, size pixels tall, head up."""
    lean = rng.uniform(-.15, .15)
    neck, hip = np.array([lean * .3, .28]), np.array([0, .62])
    arms = [rng.uniform(.5, 2.6), rng.uniform(.5, 2.6)]     # from straight down to nearly up
    legs = [rng.uniform(.15, .6), rng.uniform(.15, .6)]
    limb = lambda start, angle, side, length: start + length * np.array([side * np.sin(angle), np.cos(angle)])
    hands = [limb(neck + [0, .05], arms[0], -1, .30), limb(neck + [0, .05], arms[1], 1, .30)]
    feet = [limb(hip, legs[0], -1, .38), limb(hip, legs[1], 1, .38)]
    head = np.array([lean * .5, .12])
    joints = np.array([head, *hands, *feet, neck, hip]) * size
    return joints


def draw_figure(image, j, size, colour, hidden):
    thick = max(1, round(size * .07))
    line = lambda a, b: cv2.line(image, tuple(np.round(a * 16).astype(int)), tuple(np.round(b * 16).astype(int)), colour, thick,
                                 cv2.LINE_AA, 4)
    head, lh, rh, lf, rf, neck, hip = j
    line(neck, hip)
    shoulder = neck + [0, .05 * size]
    for k, (a, b) in enumerate(((shoulder, lh), (shoulder, rh), (hip, lf), (hip, rf)), 1):
        if k != hidden:
            line(a, b)
    cv2.circle(image, tuple(np.round(head * 16).astype(int)), int(.12 * size * 16), colour, -1, cv2.LINE_AA, 4)


def scene(rng, task, w, h):
    """One image and its label rows (ultralytics' text format, as lists)."""
    image = background(rng, w, h)
    side = min(w, h)
    rows, boxes = [], []
    scale = np.array([w, h], float)
    for _ in range(int(rng.integers(1, 6))):
        if task == "pose":
            size = rng.uniform(.35, .8) * side
            j = figure(rng, size)
            reach = .12 * size
            moved = place(rng, w, h, np.concatenate([j, j[:1] - reach, j[:1] + reach]), boxes)
            if moved is None:
                continue
            j = moved[:7]
            hidden = int(rng.choice([0, 0, 0, 0, 0, 1, 2]))
            draw_figure(image, j, size, colour_unlike(rng, image, j[5]), hidden)
            seen = np.array([k for k in range(7) if k != hidden or k == 0])
            half = size * .035
            box = extent(np.concatenate([j[seen] - half, j[seen] + half, j[:1] - reach, j[:1] + reach]))
            box = np.clip(box, 0, [w, h, w, h])
            boxes.append(box)
            keys = np.concatenate([j[:5] / scale, np.full((5, 1), 2.0)], 1)
            if hidden:
                keys[hidden] = 0
            rows.append([0, *((box[:2] + box[2:]) / 2 / scale), *((box[2:] - box[:2]) / scale), *keys.ravel()])
        elif task == "obb":
            c = int(rng.integers(2))
            long = rng.uniform(.28, .6) * side
            short = long / (rng.uniform(2.6, 4) if c == 0 else rng.uniform(1.2, 1.6))
            t = rng.uniform(0, np.pi)
            turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
            corners = np.array([(-long, -short), (long, -short), (long, short), (-long, short)]) / 2 @ turn
            corners = place(rng, w, h, corners, boxes)
            if corners is None:
                continue
            boxes.append(extent(corners))
            fill(image, corners, colour_unlike(rng, image, corners.mean(0)))
            rows.append([c, *(corners / scale).ravel()])
        else:
            c = int(rng.integers(len(SHAPES)))
            corners = place(rng, w, h, outline(rng, SHAPES[c], rng.uniform(.1, .28) * side), boxes)
            if corners is None:
                continue
            box = extent(corners)
            boxes.append(box)
            fill(image, corners, colour_unlike(rng, image, corners.mean(0)))
            if task == "segment":
                rows.append([c, *(corners / scale).ravel()])
            else:
                rows.append([c, *((box[:2] + box[2:]) / 2 / scale), *((box[2:] - box[:2]) / scale)])
    return image, rows


def single(rng, c, w, h):
    """One shape that fills much of the image, for classify."""
    image = background(rng, w, h)
    r = rng.uniform(.25, .42) * min(w, h)
    corners = place(rng, w, h, outline(rng, CLASSES[c], r), [])
    centre = (corners.min(0) + corners.max(0)) / 2
    hole = image.copy()
    fill(image, corners, colour_unlike(rng, image, centre))
    if CLASSES[c] == "ring":
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.circle(mask, tuple(np.round(centre * 16).astype(int)), int(r * .6 * 16), 255, -1, cv2.LINE_AA, 4)
        image = (image + (hole.astype(float) - image) * (mask[..., None] / 255)).astype(np.uint8)
    return image


def write_data(root, seed, count):
    for n, task in enumerate(TASKS):
        rng = np.random.default_rng([seed, n])
        base = root / task
        for split, many in (("train", count), ("val", count // 8)):
            for i in range(many):
                w, h = int(rng.integers(64, 257)), int(rng.integers(64, 257))
                if task == "classify":
                    c = i % len(CLASSES)
                    path = base / split / CLASSES[c] / f"{i:04d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), single(rng, c, max(w // 2, 48), max(h // 2, 48)))
                    continue
                image, rows = scene(rng, task, w, h)
                for folder in ("images", "labels"):
                    (base / folder / split).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(base / "images" / split / f"{i:04d}.png"), image)
                text = "".join(" ".join([str(r[0])] + [f"{v:.6f}" for v in r[1:]]) + "\n" for r in rows)
                (base / "labels" / split / f"{i:04d}.txt").write_text(text)
        if task != "classify":
            names = {"pose": ["figure"], "obb": BARS}.get(task, SHAPES)
            extra = "kpt_shape: [5, 3]\nflip_idx: [0, 2, 1, 4, 3]\n" if task == "pose" else ""
            (base / "data.yaml").write_text(f"path: {base.resolve()}\ntrain: images/train\nval: images/val\n{extra}names:\n" +
                                            "".join(f"  {i}: {name}\n" for i, name in enumerate(names)))


# name, what it shows, channels, wanted objects at least
IMAGES = [
    ("shapes-200x150.png", "detect", 3, 3), ("shapes-97x211.jpg", "detect", 3, 3), ("shapes-64x64.png", "detect", 3, 2),
    ("shapes-640x480.jpg", "detect", 3, 4), ("shapes-gray-150x150.jpg", "detect", 1, 3), ("shapes-alpha-160x120.png", "detect", 4, 3),
    ("figures-320x240.png", "pose", 3, 2), ("figures-131x190.jpg", "pose", 3, 2),
    ("bars-256x144.png", "obb", 3, 3), ("bars-480x360.jpg", "obb", 3, 4),
    ("star-80x80.png", "classify", 3, 1), ("cross-120x90.jpg", "classify", 3, 1),
]


def write_images(root, seed):
    root.mkdir(parents=True, exist_ok=True)
    for n, (name, task, channels, wanted) in enumerate(IMAGES):
        rng = np.random.default_rng([seed, 100 + n])
        w, h = map(int, name.rsplit("-", 1)[1].split(".")[0].split("x"))
        while True:
            if task == "classify":
                image, rows = single(rng, CLASSES.index(name.split("-")[0]), w, h), [0]
            else:
                image, rows = scene(rng, task, w, h)
            if len(rows) >= wanted:
                break
        if channels == 1:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if channels == 4:
            image = np.dstack([image, np.full((h, w), 255, np.uint8)])
            image[:, : w // 8, 3] = 128
        cv2.imwrite(str(root / name), image, [cv2.IMWRITE_JPEG_QUALITY, 92] if name.endswith("jpg") else [])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["data", "images"])
    p.add_argument("directory", type=pathlib.Path)
    p.add_argument("--seed", type=int, default=8)
    p.add_argument("--count", type=int, default=800, help="training scenes per task")
    a = p.parse_args()
    if a.what == "data":
        write_data(a.directory, a.seed, a.count)
    else:
        write_images(a.directory, a.seed)


if __name__ == "__main__":
    main()
