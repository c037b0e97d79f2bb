#!/usr/bin/env python3
"""Golden predictions: what Ultralytics itself gives for our models and pictures.
SPDX-License-Identifier: Apache-2.0

Needs an environment with the ultralytics named in PINNED, onnxruntime, opencv and pycocotools; Serin's own build and tests
do not. Every (model, picture, options) of cases.json becomes one record of predictions/MODEL.json, written compactly:

    {"made_with": {...}, "model": NAME, "sha256": of the model file, "set": "miniature" | "shared", "task": TASK,
     "cases": [{"image": path below the set's folder of pictures, "options": as given to predict, "group": N,
                "shape": [h, w] of the picture,
                "results": the list that Results.to_json() gives, "rows": [the same, not rounded]}]}

Cases with one "group" are one call with one batch; the others are calls of their own. A row is {"class", "conf", "box": x1 y1
x2 y2} and, by task, "keypoints" (flat), "xywhr" and "corners" (obb), "mask" (COCO's compressed RLE with its size).
Classify's rows are the 20 best classes. float32 values are written with the shortest text that reads back equal.

Two kinds of model are not Ultralytics' own and get a stated substitute for the step that it lacks (see adapt): an input
of uint8 is fed with the letterboxed bytes, and YOLOv5's [1, anchors, 5 + classes] is turned into YOLOv8's layout.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="golden-"))

import cv2
import numpy as np
import onnxruntime
import torch
import ultralytics
from pycocotools import mask as coco_mask
from ultralytics import YOLO

PINNED = "8.4.190"
HERE = Path(__file__).resolve().parent


def short(array):
    """float32 values as the Python floats with the shortest text: 0.1, not 0.10000000149011612."""
    array = np.asarray(array)
    if array.ndim == 0:
        return float(str(np.float32(array)))
    return [short(x) for x in array]


def rle(mask):
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(map(int, packed["size"])), "counts": packed["counts"].decode("ascii")}


def rows_of(result, with_masks):
    rows = []
    if result.obb is not None:
        for i, data in enumerate(result.obb.data.numpy()):
            rows.append({"class": int(data[6]), "conf": short(data[5]), "box": short(result.obb.xyxy[i].numpy()),
                         "xywhr": short(data[:5]), "corners": short(result.obb.xyxyxyxy[i].numpy().reshape(-1))})
        return rows
    for i, data in enumerate(result.boxes.data.numpy()):
        row = {"class": int(data[5]), "conf": short(data[4]), "box": short(data[:4])}
        if result.keypoints is not None:
            row["keypoints"] = short(result.keypoints.data[i].numpy().reshape(-1))
        if result.masks is not None and with_masks:
            row["mask"] = rle(result.masks.data[i].numpy())
        rows.append(row)
    return rows


def record(result, case, keep_segments):
    text = result.to_json()
    results = json.loads(text)
    # What our own writer must give: no spaces, Python's shortest numbers but never an exponent. A change in polars is seen here.
    if re.sub(r"(\d)e-05", r"0.0000\1", json.dumps(results, separators=(",", ":"), ensure_ascii=False)) != text:
        print(f"  to_json() is not Python's own text for {case['image']}: {text[:200]}", file=sys.stderr)
    entry = {"image": case["image"], "options": case.get("options", {}), "shape": list(result.orig_shape)}
    if not keep_segments:
        for item in results:
            item.pop("segments", None)
    entry["results"] = results
    if result.probs is not None:
        values = result.probs.data.float().numpy()
        best = np.argsort(-values, kind="stable")[:20]  # of many classes the best say enough
        entry["rows"] = [{"class": int(i), "conf": short(values[i])} for i in best]
    else:
        entry["rows"] = rows_of(result, True)
    return entry


def adapt(yolo, backend):
    """Supplies what Ultralytics has no step for: uint8 inputs and YOLOv5's layout."""
    session = backend.session
    source = session.get_inputs()[0]
    forward = backend.forward

    def feed_bytes(image):
        values = (image * 255).round().to(torch.uint8).numpy()
        return session.run(None, {source.name: values})

    def from_yolov5(image):
        # YOLOv5: an anchor counts if its objectness is above conf, and then scores objectness * class score.
        output = np.asarray(forward(image)[0])
        objectness = output[:, :, 4:5]
        scores = np.where(objectness > np.float32(yolo.predictor.args.conf), output[:, :, 5:] * objectness, 0)
        return [np.concatenate([output[:, :, :4], scores], 2).transpose(0, 2, 1).copy()]

    if source.type == "tensor(uint8)":
        backend.forward = feed_bytes
    shape = session.get_outputs()[0].shape
    if len(shape) == 3 and shape[2] == 5 + len(backend.names) and shape[1] != 4 + len(backend.names):
        backend.forward = from_yolov5


def predict(yolo, paths, options):
    arguments = {"device": "cpu", "verbose": False, "save": False, **options}
    if yolo.predictor is None:  # the first call sets the predictor up; adapt must come before anything is predicted
        yolo.predictor = yolo._smart_load("predictor")(overrides={**yolo.overrides, **arguments, "mode": "predict"})
        yolo.predictor.setup_model(model=yolo.model, verbose=False)
        adapt(yolo, yolo.predictor.model.backend)
    # Results hold views of tensors; the copies below do not change when the next batch is predicted.
    return [r.cpu() for r in yolo.predict(paths, batch=len(paths), **arguments)]


def make(name, model_path, images, set_name, plan, lists, out):
    task = plan["task"]
    yolo = YOLO(str(model_path), task=task)
    cases = []
    plain = [{"image": image, "options": plan["options"]} for image in lists[plan["images"]]]
    keep = plan.get("segments", [])  # polygons are long: a few cases show them
    for number, case in enumerate(plain + plan["cases"]):
        group = case["image"] if isinstance(case["image"], list) else [case["image"]]
        paths = [str(images / image) for image in group]
        missing = [p for p in paths if not Path(p).is_file()]
        if missing:
            sys.exit(f"{name}: no picture {missing[0]}")
        for image, result in zip(group, predict(yolo, paths, case.get("options", {}))):
            entry = record(result, {**case, "image": image}, keep == "all" or number in keep)
            if len(group) > 1:
                entry["group"] = number
            cases.append(entry)
    golden = {
        "made_with": {"ultralytics": ultralytics.__version__, "torch": torch.__version__, "onnxruntime": onnxruntime.__version__,
                      "opencv": cv2.__version__},
        "model": model_path.name, "sha256": hashlib.sha256(model_path.read_bytes()).hexdigest(), "set": set_name, "task": task,
    }
    # One case a line, so that a change of one prediction is one line of a diff.
    head = json.dumps(golden, separators=(",", ":"), ensure_ascii=False)[:-1]
    lines = ",\n".join(json.dumps(c, separators=(",", ":"), ensure_ascii=False) for c in cases)
    text = f'{head},"cases":[\n{lines}\n]}}\n'
    (out / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {len(cases)} cases, {sum(len(c['results']) for c in cases)} results, {len(text)} bytes")


def main():
    parser = argparse.ArgumentParser(description="Writes golden predictions with Ultralytics itself. See README.md beside it.")
    parser.add_argument("set", choices=["miniature", "shared"], help="which set of cases.json")
    parser.add_argument("--models", type=Path, required=True, help="folder with the set's .onnx files")
    parser.add_argument("--images", type=Path, required=True, help="folder that the set's picture names are below")
    parser.add_argument("--out", type=Path, default=HERE / "predictions", help="folder for the results")
    parser.add_argument("--only", nargs="*", help="only these models, without .onnx")
    arguments = parser.parse_args()
    if ultralytics.__version__ != PINNED:
        sys.exit(f"ultralytics is {ultralytics.__version__}, the golden files are of {PINNED}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    plans = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    for name, plan in plans[arguments.set].items():
        path = arguments.models / f"{name}.onnx"
        if arguments.only and name not in arguments.only:
            continue
        if not path.is_file():
            print(f"{name}: not there, left as it is", file=sys.stderr)
            continue
        make(name, path, arguments.images, arguments.set, plan, plans["lists"], arguments.out)


if __name__ == "__main__":
    main()
