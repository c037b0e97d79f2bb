#!/usr/bin/env python3
"""Train and export the miniature models, one per task, on the data of shapes.py.
SPDX-License-Identifier: Apache-2.0

    shapes.py data DATA && miniature.py DATA RUNS OUT

writes detect.onnx (dynamic batch, height and width), segment.onnx, pose.onnx, obb.onnx, classify.onnx (batch 1) and
end-to-end.onnx (the NMS-free head) to OUT.
"""
import argparse
import pathlib

import yaml

import common

HERE = pathlib.Path(__file__).parent
SIZE = 160
# task: (head line, classes, epochs, export options, train options). nms=False asks the exporter for the NMS-free branch.
PLANS = {
    "detect": ("Detect", 3, 16, dict(dynamic=True), {}),
    "segment": ("Segment", 3, 16, {}, dict(overlap_mask=True, mask_ratio=2)),
    "pose": ("Pose", 1, 24, {}, dict(pose=16.0)),
    "obb": ("OBB", 2, 20, {}, dict(flipud=0.5)),
    "classify": ("Classify", 6, 60, {}, dict(imgsz=64, auto_augment=None, scale=0.2)),
    "end-to-end": ("Detect", 3, 20, dict(nms=False), {}),
}


def describe(name, head, classes, path):
    spec = yaml.safe_load((HERE / "miniature-trunk.yaml").read_text())
    spec["nc"] = classes
    heads = [15, 18, 21]
    if head == "Classify":
        spec["head"] = [[6, 1, "Classify", [classes]]]
        spec["backbone"] = spec["backbone"][:7]  # 64 px leave 4 x 4 cells at stride 16
    else:
        more = {"Segment": [16, 24], "Pose": [[5, 3]], "OBB": [1]}.get(head, [])
        spec["head"].append([heads, 1, head, [classes, *more]])
    if head == "Pose":
        spec["kpt_shape"] = [5, 3]
    if name == "end-to-end":
        spec["end2end"] = True
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("runs", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--only", action="append", choices=PLANS)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--speed", type=float, default=1.0, help="fraction of the epochs to run, for a trial")
    a = p.parse_args()
    for name in a.only or PLANS:
        head, classes, epochs, export_options, train_options = PLANS[name]
        task = "detect" if name == "end-to-end" else name
        data = a.data / task if task == "classify" else a.data / task / "data.yaml"
        spec = describe(name, head, classes, a.runs / f"miniature-{name}.yaml")
        settings = dict(imgsz=SIZE, batch=16, optimizer="AdamW", lr0=0.004, warmup_epochs=1.0, mosaic=0.3, close_mosaic=10,
                        scale=0.3, translate=0.1, cos_lr=True, erasing=0.0)
        settings.update(train_options)
        weights = common.train(spec, a.runs / name, a.threads, task=task, data=str(data), epochs=max(1, round(epochs * a.speed)),
                               **settings)
        common.export(weights, a.out / f"{name}.onnx", imgsz=settings["imgsz"], **export_options)


if __name__ == "__main__":
    main()
