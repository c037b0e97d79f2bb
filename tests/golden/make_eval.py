#!/usr/bin/env python3
"""Makes eval.json: masks and small random evaluations with the results of pycocotools and Ultralytics.

SPDX-License-Identifier: Apache-2.0
Needs numpy, pycocotools, torch and ultralytics (8.4.190 made the committed file). Usage: make_eval.py > eval.json
"""
import contextlib
import io
import json

import numpy as np
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from ultralytics.engine.validator import BaseValidator
from ultralytics.utils.metrics import ap_per_class, batch_probiou, box_iou

random = np.random.default_rng(7)


def rounded(values, digits=2):
    return [round(float(x), digits) for x in values]


def text(rle):
    return rle["counts"].decode()


# ---- masks ----


def polygons():
    rows = []
    for i in range(120):
        w, h = (int(x) for x in random.integers(1, 60, 2))
        n = int(random.integers(3, 9))
        spread = [1.0, 1.0, 1.6, 4.0][i % 4]
        points = (random.random((n, 2)) - 0.5) * spread * [w, h] + [w / 2, h / 2]
        if i % 3 == 0:
            points = np.round(points)  # whole numbers: many crossings fall together
        if i % 7 == 0:
            points[1] = points[0]  # a side without length
        points = rounded(points.ravel(), 3)
        rle = coco_mask.frPyObjects([points], h, w)[0]
        rows.append({"w": w, "h": h, "points": points, "text": text(rle), "area": int(coco_mask.area(rle)),
                     "box": [float(x) for x in coco_mask.toBbox(rle)]})
    return rows


def bitmaps():
    rows = []
    for i in range(12):
        w, h = (int(x) for x in random.integers(1, 14, 2))
        share = [0, 0.05, 0.5, 0.95, 1][i % 5]
        pair = [(random.random((h, w)) < share).astype(np.uint8), (random.random((h, w)) < 0.5).astype(np.uint8)]
        rles = [coco_mask.encode(np.asfortranarray(x)) for x in pair]
        rows.append({"w": w, "h": h, "rows": ["".join(map(str, x)) for x in pair[0]], "a": text(rles[0]),
                     "b": text(rles[1]), "union": text(coco_mask.merge(rles)), "area": int(coco_mask.area(rles[0])),
                     "box": [float(x) for x in coco_mask.toBbox(rles[0])],
                     "iou": float(coco_mask.iou([rles[0]], [rles[1]], [0])[0][0]),
                     "crowd_iou": float(coco_mask.iou([rles[0]], [rles[1]], [1])[0][0])})
    return rows


# ---- evaluations ----

SIZE = 200


def random_box():
    w, h = np.exp(random.uniform(np.log(6), np.log(160), 2))
    return rounded([random.uniform(0, SIZE - w), random.uniform(0, SIZE - h), w, h])


def near(box, amount):
    x, y, w, h = box
    return rounded([x + random.normal() * amount * w, y + random.normal() * amount * h,
                    max(1, w * np.exp(random.normal() * amount)), max(1, h * np.exp(random.normal() * amount))])


def mask_of(box):
    x, y, w, h = box
    angles = np.arange(7) * 2 * np.pi / 7 + random.uniform(0, 0.3, 7)
    points = np.stack([x + w / 2 + w / 2 * np.cos(angles), y + h / 2 + h / 2 * np.sin(angles)], 1)
    rle = coco_mask.frPyObjects([rounded(points.ravel())], SIZE, SIZE)[0]
    return text(rle)


def points_of(box, count, visible):
    x, y, w, h = box
    rows = []
    for _ in range(count):
        rows += rounded([x + random.random() * w, y + random.random() * h]) + [int(random.choice(visible))]
    return rows


def scenario(kind, images, classes, objects, extra, crowd=0.1, digits=2, keypoints=0):
    """Detections come from objects, moved a little, some left out, some doubled, and from nothing."""
    pictures = []
    for i in range(images):
        truths, detections = [], []
        for _ in range(0 if i % 5 == 4 else int(random.integers(0, objects + 1))):
            box = random_box()
            # the last class has no objects, the one before no detections
            truth = {"class": int(random.integers(0, classes - 1)), "box": box, "crowd": int(random.random() < crowd)}
            truth["area"] = round(box[2] * box[3] * random.uniform(0.5, 1), 2)
            if kind == "segm":
                truth["mask"] = mask_of(box)
            if kind == "keypoints":
                truth["points"] = points_of(box, keypoints, [0, 1, 2, 2] if random.random() < 0.85 else [0])
            truths.append(truth)
            for _ in range(int(random.choice([0, 1, 1, 1, 2]))):
                detection = {"class": truth["class"] if random.random() < 0.9 else int(random.integers(0, classes)),
                             "box": near(box, random.choice([0.0, 0.03, 0.1, 0.2]))}
                if kind == "keypoints":
                    amount = random.choice([0, 0.5, 2, 8])
                    detection["points"] = [round(x + (random.normal() * amount if j % 3 < 2 else 0), 2)
                                           for j, x in enumerate(truth["points"])]
                detections.append(detection)
        for _ in range(int(random.integers(0, extra + 1)) if i % 7 != 6 else 0):
            detections.append({"class": int(random.integers(0, classes)), "box": random_box()})
        for d in detections:
            d["class"] = 0 if d["class"] == classes - 2 and classes > 2 else d["class"]
            d["score"] = round(float(random.random()), digits)
            if kind == "segm":
                d["mask"] = mask_of(d["box"])
            if kind == "keypoints" and "points" not in d:
                d["points"] = points_of(d["box"], keypoints, [1])
        pictures.append({"truths": truths, "detections": detections})
    return {"kind": kind, "classes": classes, "keypoints": keypoints, "images": pictures}


def summary(precision, recall, keypoints):
    def mean(values):
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    if keypoints:
        return [mean(precision[:, :, :, 0, 0]), mean(precision[0, :, :, 0, 0]), mean(precision[5, :, :, 0, 0]), -1.0,
                mean(precision[:, :, :, 1, 0]), mean(precision[:, :, :, 2, 0]), mean(recall[:, :, 0, 0]), -1.0, -1.0]
    return [mean(precision[:, :, :, 0, 2]), mean(precision[0, :, :, 0, 2]), mean(precision[5, :, :, 0, 2]),
            mean(precision[:, :, :, 1, 2]), mean(precision[:, :, :, 2, 2]), mean(precision[:, :, :, 3, 2]),
            mean(recall[:, :, 0, 2]), mean(recall[:, :, 0, 0]), mean(recall[:, :, 0, 1])]


def pycocotools(case):
    truths, detections = [], []
    for i, picture in enumerate(case["images"]):
        for t in picture["truths"]:
            row = {"id": len(truths) + 1, "image_id": i + 1, "category_id": t["class"], "bbox": t["box"],
                   "area": t["area"], "iscrowd": t["crowd"]}
            if "mask" in t:
                row["segmentation"] = {"size": [SIZE, SIZE], "counts": t["mask"]}
            if "points" in t:
                row |= {"keypoints": t["points"], "num_keypoints": sum(v > 0 for v in t["points"][2::3])}
            truths.append(row)
        for d in picture["detections"]:
            row = {"image_id": i + 1, "category_id": d["class"], "score": d["score"]}
            if case["kind"] == "bbox":
                row["bbox"] = d["box"]
            elif case["kind"] == "segm":
                row["segmentation"] = {"size": [SIZE, SIZE], "counts": d["mask"]}
            else:
                row["keypoints"] = d["points"]
            detections.append(row)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": i + 1, "width": SIZE, "height": SIZE} for i in range(len(case["images"]))],
                        "annotations": truths, "categories": [{"id": i} for i in range(case["classes"])]}
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(detections), case["kind"])
        n = case["keypoints"]
        if n and n != 17:
            run.params.kpt_oks_sigmas = np.ones(n) / n
        run.evaluate()
        run.accumulate()
    p, r = run.eval["precision"], run.eval["recall"]
    case["total"] = summary(p, r, n)
    case["per_class"] = [summary(p[:, :, k : k + 1], r[:, k : k + 1], n) for k in range(case["classes"])]


class Matcher:
    iouv = torch.linspace(0.5, 0.95, 10)
    match_predictions = BaseValidator.match_predictions


def ultralytics(case, turned=False):
    stats = []
    for picture in case["images"]:
        order = np.argsort([-d["score"] for d in picture["detections"]], kind="stable")
        d = [picture["detections"][i] for i in order]
        t = picture["truths"]

        def boxes(rows):
            if turned:
                return torch.tensor([x["turned"] for x in rows], dtype=torch.float32).reshape(-1, 5)
            b = torch.tensor([x["box"] for x in rows], dtype=torch.float32).reshape(-1, 4)
            return torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], 1)

        overlap = (batch_probiou if turned else box_iou)(boxes(t), boxes(d))
        classes = [torch.tensor([x["class"] for x in rows]) for rows in (d, t)]
        right = Matcher().match_predictions(*classes, overlap) if d and t else torch.zeros(len(d), 10, dtype=torch.bool)
        stats.append((right.numpy(), np.array([x["score"] for x in d]), *(x.numpy() for x in classes)))
    right, score, classes, truths = (np.concatenate(x, 0) for x in zip(*stats))
    ap = ap_per_class(right, score, classes, truths)[5]
    case["ultralytics"] = [float(ap.mean()), float(ap[:, 0].mean()), float(ap[:, 5].mean())]


def turned_scenario():
    case = {"classes": 3, "images": []}
    for i in range(12):
        truths, detections = [], []
        for _ in range(int(random.integers(0, 8))):
            x, y, w, h = random_box()
            turned = rounded([x, y, w, h, random.uniform(-0.78, 2.35)], 3)
            truths.append({"class": int(random.integers(0, 3)), "turned": turned})
            for _ in range(int(random.choice([0, 1, 1, 2]))):
                amount = random.choice([0.001, 0.02, 0.05])
                moved = rounded(np.array(turned) * (1 + random.normal(size=5) * amount), 3)
                detections.append({"class": truths[-1]["class"], "turned": moved, "score": round(random.random(), 5)})
        case["images"].append({"truths": truths, "detections": detections})
    ultralytics(case, turned=True)
    return case


def main():
    cases = [scenario("bbox", 25, 5, 12, 20), scenario("bbox", 30, 3, 8, 4, crowd=0, digits=5),
             scenario("bbox", 3, 2, 8, 280, digits=1), scenario("bbox", 4, 3, 0, 3), scenario("bbox", 4, 3, 5, 0),
             scenario("segm", 12, 4, 7, 6), scenario("keypoints", 14, 3, 6, 6, keypoints=17),
             scenario("keypoints", 6, 2, 30, 24, keypoints=5)]
    for case in cases:
        pycocotools(case)
    ultralytics(cases[1])  # no equal scores: its sort is not stable
    result = {"polygons": polygons(), "bitmaps": bitmaps(), "cases": cases, "turned": turned_scenario()}
    print(json.dumps(result, separators=(",", ":")))


main()
