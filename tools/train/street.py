#!/usr/bin/env python3
"""Train, export and measure the three versions of street-person.
SPDX-License-Identifier: Apache-2.0

    street.py footage FRAMES LABELS OUT             the committed held-out slices: images/{day,dark}, labels/{day,dark}, *.yaml
    street.py data FRAMES LABELS DATA               the training sets
    street.py train DATA RUNS VERSION               one version (1.1.0 before 1.2.0, which starts from it)
    street.py blend RUNS                            1.2.0 only, after its training
    street.py export RUNS OUT VERSION
    street.py measure OUT FOOTAGE                   mAP, and precision and recall at confidence 0.25

Frames 1..520 of the clip train, 521..579 are left out (a pedestrian of the one part must not stand in the other), 580..795 are
held out.
"""
import argparse
import pathlib
import shutil

import cv2

import night

TRAIN_LAST, HELD_FIRST, HELD_LAST = 520, 580, 795
SIZE = 320
BLEND = 0.6     # the share of the day-only weights in 1.2.0
DAY_COUNT, DARK_COUNT = 36, 28


def spread(first, last, count):
    """count of the odd/even-labelled frame numbers first, first + 2, ..., evenly spread."""
    numbers = list(range(first, last + 1, 2))
    return [numbers[round(i * (len(numbers) - 1) / (count - 1))] for i in range(count)]


def footage(a):
    day, dark = spread(HELD_FIRST, HELD_LAST, DAY_COUNT), spread(HELD_FIRST + 2, HELD_LAST - 2, DARK_COUNT)
    for name, numbers in (("day", day), ("dark", dark)):
        for folder in ("images", "labels"):
            shutil.rmtree(a.out / folder / name, ignore_errors=True)
            (a.out / folder / name).mkdir(parents=True)
        for i in numbers:
            frame = cv2.imread(str(a.frames / f"{i:04d}.png"))
            if name == "dark":
                frame = night.darken(frame, [2, i])
            cv2.imwrite(str(a.out / "images" / name / f"{name}-{i:04d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 85])
            shutil.copy(a.labels / f"{i:04d}.txt", a.out / "labels" / name / f"{name}-{i:04d}.txt")
    for name, folders in (("data", ["images/day", "images/dark"]), ("day", ["images/day"]), ("dark", ["images/dark"])):
        title = {"data": "both slices", "day": "the daylight slice", "dark": "the night slice"}[name]
        lists = "".join(f"  - {f}\n" for f in folders)
        (a.out / f"{name}.yaml").write_text(f"# Held-out street footage: {title}.\npath: .\ntrain:\n{lists}val:\n{lists}"
                                            "names:\n  0: person\n")


def data(a):
    """mixed: every labelled frame by day, and again by night; day: by day only; few: a quarter of mixed."""
    frames = sorted(int(p.stem) for p in a.labels.glob("*.txt") if int(p.stem) <= TRAIN_LAST)
    sets = {"mixed": [], "few": [], "day": []}
    for folder in ("images", "labels"):
        shutil.rmtree(a.data / folder, ignore_errors=True)
        (a.data / folder).mkdir(parents=True)
    for k, i in enumerate(frames):
        frame = cv2.imread(str(a.frames / f"{i:04d}.png"))
        for light in ("day", "dark"):
            path = a.data / "images" / f"{light}-{i:04d}.jpg"
            cv2.imwrite(str(path), frame if light == "day" else night.darken(frame, [1, i]), [cv2.IMWRITE_JPEG_QUALITY, 85])
            shutil.copy(a.labels / f"{i:04d}.txt", a.data / "labels" / f"{light}-{i:04d}.txt")
            line = f"{path.resolve()}\n"
            sets["mixed"].append(line)
            if k % 4 == 0:
                sets["few"].append(line)
            if light == "day":
                sets["day"].append(line)
    for name, lines in sets.items():
        (a.data / f"{name}.txt").write_text("".join(lines))
        (a.data / f"{name}.yaml").write_text(f"path: {a.data.resolve()}\ntrain: {name}.txt\nval: few.txt\nnames:\n  0: person\n")


COMMON = dict(imgsz=SIZE, batch=8, optimizer="AdamW", cos_lr=True, warmup_epochs=1.0, scale=0.3, translate=0.1, fliplr=0.5,
              hsv_v=0.3, mosaic=0.5, close_mosaic=5, erasing=0.0)
# version: (starts from, data, epochs, more options)
PLANS = {
    "1.0.0": (None, "few", 50, dict(lr0=0.003)),
    "1.1.0": (None, "mixed", 25, dict(lr0=0.002)),
    "1.2.0": ("1.1.0", "day", 12, dict(lr0=0.001, hsv_v=0.1)),
}


def train(a):
    import common
    start, name, epochs, options = PLANS[a.version]
    model = a.runs / start / "weights" / "last.pt" if start else pathlib.Path(__file__).parent / "street-person.yaml"
    common.train(model, a.runs / a.version, a.threads, task="detect", data=str(a.data / f"{name}.yaml"),
                 epochs=a.epochs or epochs, **{**COMMON, **options})


def blend(a):
    """1.2.0 is the weighted average of its own weights and those of 1.1.0: day-only training alone forgets the night altogether,
    which the average measured on mixed traffic would show at once."""
    import torch
    start = PLANS["1.2.0"][0]
    old, new = (torch.load(a.runs / v / "weights" / "last.pt", weights_only=False) for v in (start, "1.2.0"))
    before, after = old["model"].float().state_dict(), new["model"].float().state_dict()
    new["model"].load_state_dict({k: ((1 - BLEND) * before[k] + BLEND * after[k]).to(before[k].dtype) for k in before})
    torch.save(new, a.runs / "1.2.0" / "weights" / "blend.pt")


def export(a):
    import common
    weights = "blend.pt" if a.version == "1.2.0" else "last.pt"
    common.export(a.runs / a.version / "weights" / weights, a.out / f"v{a.version}.onnx", imgsz=SIZE, dynamic=True)


def matches(found, wanted, threshold=0.5):
    """How many of the found boxes (by falling confidence) take a wanted box of their own. Boxes are xyxy."""
    free, hits = list(range(len(wanted))), 0
    for f in found:
        best, best_iou = None, threshold
        for k in free:
            g = wanted[k]
            w, h = min(f[2], g[2]) - max(f[0], g[0]), min(f[3], g[3]) - max(f[1], g[1])
            if w > 0 and h > 0:
                iou = w * h / ((f[2] - f[0]) * (f[3] - f[1]) + (g[2] - g[0]) * (g[3] - g[1]) - w * h)
                if iou >= best_iou:
                    best, best_iou = k, iou
        if best is not None:
            free.remove(best)
            hits += 1
    return hits


def measure(a):
    import common
    for path in sorted(a.out.glob("v*.onnx")):
        yolo = common.YOLO(str(path), task="detect")
        for slice_name, overlap in (("day", 0.7), ("dark", 0.7), ("day", 0.45), ("dark", 0.45)):
            hits = found_count = wanted_count = 0
            for image in sorted((a.footage / "images" / slice_name).glob("*.jpg")):
                found = yolo.predict(str(image), conf=0.25, iou=overlap, imgsz=SIZE, rect=False, verbose=False)[0]
                h, w = found.orig_shape
                wanted = []
                for line in (a.footage / "labels" / slice_name / f"{image.stem}.txt").read_text().splitlines():
                    cx, cy, bw, bh = map(float, line.split()[1:])
                    wanted.append(((cx - bw / 2) * w, (cy - bh / 2) * h, (cx + bw / 2) * w, (cy + bh / 2) * h))
                hits += matches(found.boxes.xyxy.tolist(), wanted)
                found_count += len(found.boxes)
                wanted_count += len(wanted)
            p, r = hits / max(found_count, 1), hits / wanted_count
            print(f"{path.stem} {slice_name}, NMS {overlap}: at 0.25 precision {p:.3f} recall {r:.3f} "
                  f"F1 {2 * p * r / max(p + r, 1e-9):.3f} ({wanted_count} people)", flush=True)
        for slice_name in ("day", "dark", "data"):
            spec = a.footage / f"{slice_name}.yaml"
            resolved = a.scratch / f"{slice_name}.yaml"
            a.scratch.mkdir(parents=True, exist_ok=True)
            resolved.write_text(spec.read_text().replace("path: .", f"path: {a.footage.resolve()}"))
            # A copy of the labels' cache would be left beside the footage.
            result = yolo.val(data=str(resolved), imgsz=SIZE, rect=False, batch=1, plots=False, workers=0, verbose=False,
                              project=str(a.scratch.resolve()), name="val", exist_ok=True, device="cpu")
            print(f"{path.stem} {slice_name}: mAP50 {result.box.map50:.3f} mAP50-95 {result.box.map:.3f}", flush=True)
    for cache in a.footage.rglob("*.cache"):
        cache.unlink()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    for run, names in ((footage, ["frames", "labels", "out"]), (data, ["frames", "labels", "data"]), (train, ["data", "runs", "version"]),
                       (blend, ["runs"]), (export, ["runs", "out", "version"]), (measure, ["out", "footage"])):
        c = commands.add_parser(run.__name__)
        for name in names:
            c.add_argument(name, **(dict(choices=PLANS) if name == "version" else dict(type=pathlib.Path)))
        if run is train:
            c.add_argument("--threads", type=int, default=2)
            c.add_argument("--epochs", type=int)
        if run is measure:
            c.add_argument("--scratch", type=pathlib.Path, default=pathlib.Path("measure"))
        c.set_defaults(run=run)
    a = p.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
